//! The seeds of the corpus, made here: valid inputs, and some that are nearly so.

use regie::platform::intake::seal_click_id;
use regie_decide::{Row, Tables};
use regie_fuzz_targets::{KEY, TICKET, checkpoint_of_world, set_up};
use regie_journal::encode_frame;
use regie_ledger::Ledger;
use regie_model::{
    AdSetId, AdvertiserId, Day, UtcMs,
    command::{Change, Stop},
    event::{
        Actor, Booked, Conversion, ConversionSource, DecisionSample, Event, PlacementTraffic, RollupKey,
        Traffic,
    },
    ticket::Ticket,
};
use std::path::PathBuf;

/// Writes every seed into its target's folder, and removes what was there.
pub fn write(folder: &dyn Fn(&str) -> PathBuf) {
    for (target, seeds) in all() {
        let folder = folder(target);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (index, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("{:02}", index + 1)), seed).unwrap();
        }
    }
}

fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("beacon", texts(&beacons())),
        ("booking_body", texts(&bodies())),
        ("checkpoint", checkpoints()),
        ("click_id", click_ids()),
        ("command", texts(&commands())),
        ("configuration", texts(&CONFIGURATIONS)),
        ("creative", texts(&CREATIVES)),
        ("decision_request", texts(&REQUESTS)),
        ("event", events().iter().map(Event::encode).collect()),
        ("frame", frames()),
        ("image", images()),
        ("open_bandit", texts(&LOGS)),
        ("tables", tables()),
        ("targeting", texts(&TARGETING)),
        ("ticket_bytes", tickets().iter().map(|t| t.to_bytes().to_vec()).collect()),
        ("ticket_text", tickets().iter().map(|t| t.seal(&KEY).into_bytes()).collect()),
    ]
}
fn texts<T: AsRef<str>>(list: &[T]) -> Vec<Vec<u8>> {
    list.iter().map(|text| text.as_ref().as_bytes().to_vec()).collect()
}

fn tickets() -> [Ticket; 3] {
    let strange = Ticket { predicted_rate: f32::NAN, country: [0xff, 0], price_nanos: i64::MAX, ..TICKET };
    [TICKET, Ticket { political: true, country: [0, 0], ..TICKET }, strange]
}
fn click_ids() -> Vec<Vec<u8>> {
    let bytes = [&TICKET.to_bytes()[..], &i64::MIN.to_le_bytes()].concat();
    vec![
        seal_click_id(&TICKET, TICKET.issued_at, &[KEY]).into_bytes(),
        seal_click_id(&TICKET, UtcMs(-1), &[KEY]).into_bytes(),
        bytes,
    ]
}
fn beacons() -> [String; 3] {
    let ticket = TICKET.seal(&KEY);
    [
        format!(
            r#"{{"events":[{{"kind":"impression","ticket":"{ticket}"}},{{"kind":"click","ticket":"{ticket}"}}]}}"#
        ),
        format!(r#"{{"events":[{{"kind":"view\u0061ble","ticket":"{ticket}\u0000"}}]}}"#),
        r#"{"events":[]}"#.into(),
    ]
}
fn commands() -> Vec<String> {
    let more = [
        r#"{"command":"put_campaign","id":"cam_1","spec":{"advertiser":"adv_1","name":"Vote","objective":"clicks","flight":{"starts_at":"-009999-01-03T00:00:00Z","ends_at":"9999-12-30T00:00:00Z"},"sponsor":"party_1","payer":"party_1"}}
{"command":"put_ad_set","spec":{"campaign":"cam_1","name":"For ever","bid":{"kind":"flat_fee","total_micros":1},"tier":{"kind":"sponsorship","share_ppm":1000000},"pacing":"even"}}"#,
        r#"{"command":"put_ad_set","id":"set_1","revision":1,"spec":{"campaign":"cam_1","name":"Mornings","bid":{"kind":"flat_fee","total_micros":999999999},"tier":{"kind":"sponsorship","share_ppm":1000000},"targeting":[{"dimension":"hour_of_week","op":"in","values":["mon-fri 08-12"]},{"dimension":"placement","op":"not_in","values":["plc_1"]}],"caps":[{"scope":"ad","period":"day","impressions_count":3}],"pacing":"even"}}"#,
        r#"{"command":"put_ad","id":"ad_1","revision":7,"spec":{"ad_set":"set_1","name":"Bicycles","landing_url":"https://shop.example/{CACHEBUSTER}","third_party_origins":["https://cdn.example"]}}"#,
        r#"{"command":"set_status","entity":{"kind":"ad_set","id":"set_1"},"status":"paused"}"#,
        r#"{"command":"set_stop","what":{"kind":"sponsor","id":"party_1"},"on":true,"reason":"asked to"}"#,
        r#"{"command":"set_stop","what":{"kind":"all_paid"},"on":true}"#,
        r#"{"command":"review","versions":["ver_1"],"verdict":"rejected","reason":""}"#,
        r#"{"command":"deposit","advertiser":"adv_1","amount_micros":9223372036854775807,"reference":"x"}"#,
    ];
    set_up().chain(more).map(str::to_owned).collect()
}
/// The specs of the commands, and bodies that are hard to read.
fn bodies() -> Vec<String> {
    let spec = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        json.get("spec").map(ToString::to_string)
    };
    let all = commands().join("\n");
    let hard = [
        r#"{"name":7,"flight":[],"objective":"best","sponsor":{},"political":{"linked":[{"held_on":"2029-02-30"}]}}"#,
        r#"{"campaign":"set_1","bid":{"kind":"cpm","micros_per_click":1},"targeting":[{"dimension":"key:","op":"in"}]}"#,
        r#"{"a.b":1,"c[0]":2,"":3,"kind":null}"#,
        "{}",
    ];
    all.lines().filter_map(spec).chain(hard.map(str::to_owned)).collect()
}
fn events() -> Vec<Event> {
    let change = Change::StopSet { what: Stop::AllPaid, on: true, reason: "asked to".into() };
    let booked = Booked { by: Actor::Job("jobs".into()), at: TICKET.issued_at, change };
    let conversion = Conversion {
        ticket: TICKET,
        clicked_at: TICKET.issued_at,
        action: "order".into(),
        order: [3; 16],
        value_micros: 12_500_000,
        source: ConversionSource::Server,
    };
    let place = PlacementTraffic {
        placement: TICKET.placement,
        site: TICKET.site,
        requests_count: 3,
        fills_count: 2,
        no_fills: vec![("no_candidate".into(), 1)],
    };
    let traffic = Traffic {
        minute: TICKET.issued_at.minute(),
        placements: vec![place],
        served: vec![(RollupKey::of(&TICKET), 2)],
        refused: vec![("forged".into(), 1)],
        eliminated: vec![(AdSetId(1), "pacing".into(), u64::MAX)],
        asked: Vec::new(),
    };
    let inputs = serde_json::json!({ "propensity": 0.1, "score": 1e-300, "seed": u64::MAX });
    vec![
        Event::Booked(Box::new(booked)),
        Event::Impression(TICKET),
        Event::Viewable(TICKET),
        Event::Click(TICKET),
        Event::Conversion(Box::new(conversion)),
        Event::EpochOpened { epoch: u32::MAX },
        Event::Traffic(Box::new(traffic)),
        Event::FlatFeeAccrued { ad_set: AdSetId(1), day: Day(i32::MIN) },
        Event::Sampled(Box::new(DecisionSample { epoch: 1, sequence: 42, inputs })),
        Event::LawBroken { law: "B1".into(), detail: "a balance passed its budget".into() },
        Event::InvoiceIssued { advertiser: AdvertiserId(1), year: 2026, month: 2 },
    ]
}
fn frames() -> Vec<Vec<u8>> {
    let payloads: Vec<Vec<u8>> = events().iter().take(3).map(Event::encode).collect();
    let mut longer = encode_frame(&[vec![]]).unwrap();
    longer.push(0);
    vec![encode_frame(&payloads).unwrap(), encode_frame(&[vec![], b"x".to_vec()]).unwrap(), longer]
}
fn checkpoints() -> Vec<Vec<u8>> {
    vec![Ledger::new().to_bytes(), checkpoint_of_world()]
}
fn tables() -> Vec<Vec<u8>> {
    let half = Row { pass_ppm: 500_000, ..Row::default() };
    let all = Row {
        pass_ppm: u32::MAX,
        multiplier_ppm: u32::MAX,
        click_ppb: 0,
        conversion_ppb: u32::MAX,
        need_ppm: 1,
    };
    let rows = [(AdSetId(1), half), (AdSetId(2), all), (AdSetId(u32::MAX), half)];
    vec![Tables::new(rows).to_bytes(), Tables::default().to_bytes(), b"\xff\xff\xff\xff\x0f".to_vec()]
}
/// The head of each kind of picture, and some that end too soon.
fn images() -> Vec<Vec<u8>> {
    let whole: [&[u8]; 6] = [
        b"GIF89a\x2c\x01\xfa\x00\x80\x00\x00",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x2c\x00\x00\x00\xfa\x08\x02\x00\x00\x00",
        b"RIFF\x1a\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x2b\x01\x00\xf9\x00\x00",
        b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x2b\x41\x3e\x00",
        b"RIFF\x1a\x00\x00\x00WEBPVP8 \x0d\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x2c\x01\xfa\x00",
        b"\xff\xd8\xff\xe0\x00\x04JF\xff\xff\xff\xc0\x00\x11\x08\x00\xfa\x01\x2c\x03",
    ];
    let broken: [&[u8]; 2] = [b"\xff\xd8\xff\xe0\x00\x00\xff\xff\xff", b"<svg onload=alert(1)>"];
    whole.into_iter().chain(broken).map(<[u8]>::to_vec).collect()
}

const CONFIGURATIONS: [&str; 4] = [
    "listen = \"127.0.0.1:8080\"\npublic_url = \"https://ads.example.org/\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n",
    "log_format = \"json\"\ntraffic_flush_ms = 10000\ndisk_free_bytes_min = 9223372036854775807\nworkers = 0\n",
    "trusted_proxies = [\"0.0.0.0/0\", \"10.0.0.0/33\"]\n",
    "tls_certificate = \"a\"\n[listen]\nport = 1e400\n",
];
const CREATIVES: [&str; 5] = [
    r#"{"kind":"html","markup":"<a href=\"{CLICK_URL}\"><img src=\"https://cdn.example/a.png\"></a>","size":{"width":300,"height":250}}"#,
    r#"{"kind":"image","asset":{"hash":"0000000000000000000000000000000000000000000000000000000000000000","media_type":"image/png","size_bytes":4294967295,"size":{"width":0,"height":65535}},"alt":""}"#,
    r#"{"kind":"native","title":"Bicycles","body":"Two wheels.","call_to_action":"Look"}"#,
    r#"{"kind":"text","title":"\u0007","body":""}"#,
    "<script src=HTTPS://other.example:443/a.js></script><a href='{CLICK_URL}'>\u{130}https://https://</a>",
];
const REQUESTS: [&str; 4] = [
    r#"{"site":"site_1","placements":[{"id":"plc_1"},{"name":"front-top"}],"page":{"url":"https://gazette.example/a","language":"fr-FR","keywords":["SPORT"],"topics":[],"key_values":{"section":["news","x"]}},"segments":["seg_1"],"consents":["ads"],"frequency":{"page_view":[{"what":{"kind":"ad","id":"ad_1"},"count":4294967295}]}}"#,
    r#"{"site":"site_1","placements":[{"name":"front-top"}],"visitor":{"location":{"country":"fr","region":" FR-idf ","city":"Paris"},"device":"tv","user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"}}"#,
    r#"{"site":"site_1","placements":[{"id":"plc_1"}],"visitor":{"user_agent":"Mozilla/5.0 (PlayStation; DoCoMo/2.0 KDDI-; Windows NT) Googlebot/2.1 Opera/9.80 Version/"}}"#,
    r#"{"at":"2026-09-21T15:33:20Z","seed":18446744073709551615,"site":"site_1","placements":["plc_1","plc_9"],"page":{"language":"\u0130\u0130"},"frequency":{"visitor":[{"what":{"kind":"campaign","id":"cam_1"},"period":"day","count":2}]}}"#,
];
const LOGS: [&str; 4] = [
    ",timestamp,item_id,position,click,propensity_score,user_feature_0\n0,2019-11-24 00:00:00+00:00,13,3,0,0.1,abc\n1,2019-11-24 00:00:01+00:00,14,1,1,0.1,\"a,b\"\n",
    "click,position,item_id,timestamp\n1,1,1,\n",
    "timestamp,item_id,position,click\na,-1,1,1\n",
    "timestamp,item_id,position,click\n\"",
];
const TARGETING: [&str; 3] = [
    r#"[{"dimension":"country","op":"in","values":["fr"," DE "]},{"dimension":"region","op":"not_in","values":["fr-idf"]},{"dimension":"hour_of_week","op":"in","values":["mon-fri 08-18","SAT"],"zone":"Europe/Paris"}]"#,
    r#"[{"dimension":"key:section","op":"in","values":["News*"]},{"dimension":"page_url","op":"in","values":["*a*a*a*b"]},{"dimension":"keyword","op":"in","values":["\u0130stanbul"]},{"dimension":"site","op":"in","values":["site_007"]}]"#,
    r#"[{"dimension":"language","op":"in","values":["\u00e9\u00e9"]},{"dimension":"region","op":"in","values":["\u20ac-FR"]},{"dimension":"hour_of_week","op":"in","values":["mon 0-99999999999999999999"]},{"dimension":"device","op":"in","values":[]}]"#,
];
