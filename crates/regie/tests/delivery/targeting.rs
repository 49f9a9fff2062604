//! Targeting over HTTP: IN and NOT IN on what a request can say, hours in a fixed zone, segments with consent.

use crate::{
    common::*,
    scene::{Booking, Scene},
};
use serde_json::{Value, json};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
const DESKTOP: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

type Headers = Vec<(&'static str, &'static str)>;

/// An ad set with IN, one with NOT IN over the same values; each with a site-wide name.
struct Pair {
    dimension: &'static str,
    values: Value,
    /// Page (or more of the request), headers; whether IN holds; whether NOT IN holds.
    cases: Vec<(Value, Headers, bool, bool)>,
}

fn page(more: Value) -> Value {
    json!({ "page": more })
}

fn pairs() -> Vec<Pair> {
    let none = Vec::new;
    let agent = |text| vec![("user-agent", text)];
    vec![
        Pair {
            dimension: "language",
            values: json!(["FR", "de"]),
            cases: vec![
                (page(json!({ "language": "fr" })), none(), true, false),
                (page(json!({ "language": "de" })), vec![("accept-language", "en")], true, false),
                (page(json!({ "language": "en" })), vec![("accept-language", "fr")], false, true),
                (json!({}), vec![("accept-language", "de-CH,fr;q=0.8")], true, false),
                (json!({}), vec![("accept-language", "*")], false, true),
                (json!({}), none(), false, true),
                (page(json!({ "language": "fr-CA" })), none(), true, false),
            ],
        },
        Pair {
            dimension: "device",
            values: json!(["phone"]),
            cases: vec![
                (json!({}), agent(PHONE), true, false),
                (json!({}), agent(DESKTOP), false, true),
                (json!({}), agent(""), false, true),
            ],
        },
        Pair {
            dimension: "browser",
            values: json!(["Chrome"]),
            cases: vec![(json!({}), agent(DESKTOP), true, false), (json!({}), agent(PHONE), false, true)],
        },
        Pair {
            dimension: "key:section",
            values: json!(["sport", "Été"]),
            cases: vec![
                (page(json!({ "key_values": { "section": ["news", "sport"] } })), none(), true, false),
                (page(json!({ "key_values": { "section": ["Été"] } })), none(), true, false),
                (page(json!({ "key_values": { "section": ["Sport"] } })), none(), false, true),
                (page(json!({ "key_values": { "place": ["sport"] } })), none(), false, true),
                (json!({}), none(), false, true),
            ],
        },
        Pair {
            dimension: "page_url",
            values: json!(["https://gazette.example/sport/*", "*/recipes/*.html"]),
            cases: vec![
                (page(json!({ "url": "https://gazette.example/sport/rowing" })), none(), true, false),
                (
                    page(json!({ "url": "https://gazette.example/food/recipes/soup.html" })),
                    none(),
                    true,
                    false,
                ),
                (page(json!({ "url": "https://gazette.example/sports" })), none(), false, true),
                (
                    page(json!({ "url": "https://evil.example/?u=https://gazette.example/sport/" })),
                    none(),
                    false,
                    true,
                ),
                (json!({}), none(), false, true),
            ],
        },
        Pair {
            dimension: "keyword",
            values: json!(["Bicycle"]),
            cases: vec![
                (page(json!({ "keywords": ["garden", "BICYCLE"] })), none(), true, false),
                (page(json!({ "keywords": ["bicycles"] })), none(), false, true),
            ],
        },
        Pair {
            dimension: "topic",
            values: json!(["local politics"]),
            cases: vec![
                (page(json!({ "topics": ["Local Politics"] })), none(), true, false),
                (page(json!({ "topics": [] })), none(), false, true),
            ],
        },
    ]
}

#[test]
fn in_and_not_in_hold_for_what_a_request_says() {
    let scene = Scene::start();
    for pair in pairs() {
        let clause = |op: &str| json!([{ "dimension": pair.dimension, "op": op, "values": pair.values }]);
        let inside = scene.book(&Booking::cpm("Inside", 2_000_000).targeting(clause("in")));
        let outside = scene.book(&Booking::cpm("Outside", 1_000_000).targeting(clause("not_in")));
        for (more, headers, is_in, is_out) in &pair.cases {
            let client = headers.iter().fold(scene.harness.anonymous(), |c, (n, v)| c.with(n, v));
            let shown = scene.ask_as(&client, more.clone())["ad"]["ad_set"].clone();
            let want = match (is_in, is_out) {
                (true, _) => json!(inside.ad_set),
                (false, true) => json!(outside.ad_set),
                (false, false) => Value::Null,
            };
            assert_eq!(shown, want, "{} {more} {headers:?}", pair.dimension);
        }
        for shop in [inside, outside] {
            let path = format!("/v1/ad-sets/{}/status", shop.ad_set);
            scene.owner.post(&path, json!({ "status": "paused" })).expect(200);
        }
    }
}

#[test]
fn hours_of_the_week_are_those_of_the_clauses_zone() {
    let scene = Scene::start();
    // A zone without summer time, nine hours ahead.
    let zone = regie_model::Zone::parse("Asia/Tokyo").unwrap();
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let now = scene.harness.app.platform.now();
    let hour = usize::from(zone.hour_of_week(now).0);
    // One hour more, lest the hour ends while we look; and the same words read in the wrong zone name no such hour.
    let words =
        [hour, (hour + 1) % 168].map(|h| format!("{} {:02}-{:02}", names[h / 24], h % 24, h % 24 + 1));
    let clause = |op: &str, zone: &str| json!([{ "dimension": "hour_of_week", "op": op, "values": words, "zone": zone }]);
    let outside = scene.book(&Booking::cpm("Outside", 9_000_000).targeting(clause("not_in", "Asia/Tokyo")));
    let wrong = scene.book(&Booking::cpm("Wrong", 8_000_000).targeting(clause("in", "UTC")));
    let inside = scene.book(&Booking::cpm("Inside", 1_000_000).targeting(clause("in", "Asia/Tokyo")));
    let shown = scene.shown(json!({}));
    assert_ne!(shown, Some(outside.ad_set));
    assert_ne!(shown, Some(wrong.ad_set));
    assert_eq!(shown, Some(inside.ad_set));
}

#[test]
fn segments_count_only_with_the_consent_they_need() {
    let scene = Scene::start();
    let free = create(&scene.owner, "/v1/segments", json!({ "name": "Front page readers" }));
    let bound = create(&scene.owner, "/v1/segments", json!({ "name": "Cyclists", "consent": "advertising" }));
    let clause = |id: &str, op: &str| json!([{ "dimension": "segment", "op": op, "values": [id] }]);
    let cyclists = scene.book(&Booking::cpm("Cyclists", 9_000_000).targeting(clause(&bound, "in")));
    let readers = scene.book(&Booking::cpm("Readers", 5_000_000).targeting(clause(&free, "in")));
    let others = scene.book(&Booking::cpm("Others", 1_000_000).targeting(clause(&bound, "not_in")));
    let both = json!([free, bound]);
    let shown = |segments: &Value, consents: Value| {
        scene.shown(json!({ "segments": segments, "consents": consents }))
    };
    assert_eq!(shown(&both, json!(["advertising"])), Some(cyclists.ad_set.clone()));
    assert_eq!(shown(&both, json!(["analytics"])), Some(readers.ad_set.clone()), "no consent, no such fact");
    assert_eq!(shown(&json!([free]), json!([])), Some(readers.ad_set));
    assert_eq!(shown(&json!([bound]), json!([])), Some(others.ad_set.clone()));
    assert_eq!(shown(&json!([bound, "seg_999"]), json!(["advertising"])), Some(cyclists.ad_set));
    assert_eq!(shown(&json!([]), json!(["advertising"])), Some(others.ad_set));
}

#[test]
fn a_political_ad_reads_nothing_personal() {
    let scene = Scene::start();
    let clauses = json!([{ "dimension": "browser", "op": "in", "values": ["chrome"] }]);
    let booking = Booking::cpm("Party", 1_000_000).campaign(json!({ "political": declaration() }));
    let shop = scene.book(&booking);
    let path = format!("/v1/ad-sets/{}", shop.ad_set);
    let mut spec = scene.owner.get(&path).expect(200).json()["spec"].clone();
    for (clauses, code) in [
        (clauses, "political"),
        (json!([{ "dimension": "city", "op": "in", "values": ["paris"] }]), "political"),
        (json!([{ "dimension": "country", "op": "in", "values": ["FR"] }]), "political"),
        (json!([{ "dimension": "key:mood", "op": "in", "values": ["x"] }]), "political"),
    ] {
        spec["targeting"] = clauses;
        let faults = scene.owner.put(&path, spec.clone()).faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("targeting[0]"), "{faults:?} {code}");
    }
    spec["targeting"] = json!([{ "dimension": "language", "op": "in", "values": ["fr"] }]);
    scene.owner.put(&path, spec).expect(200);
    scene.settle();
    let label = scene.ask(json!({ "page": { "language": "fr" } }))["ad"]["label"].clone();
    assert_eq!(label["text"], "Annonce à caractère politique");
    assert_eq!(label["payer"], "payée par Party");
    assert_eq!(label["linked"], "en lien avec : Municipal election, Example Town");
    let path = label["notice_path"].as_str().unwrap();
    assert!(path.starts_with("/record/ads/ad_") && path.ends_with("/notice?lang=fr"), "{path}");
    assert_eq!(label["targeted"], "diffusion ciblée");
}
