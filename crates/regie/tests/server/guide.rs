//! Booking step by step: a draft that loses nothing, faults beside fields, previews, a declaration where there is one, and
//! a launch that books the whole or nothing.

use crate::common::{self, Client, GIF, Reply};
use crate::shown::Stage;
use regie::desk::Draft;
use regie_model::{UserId, booking::Role};
use serde_json::json;

/// A draft of an advertiser's person, on the way.
struct Way<'a> {
    who: &'a Client,
    base: String,
}
impl<'a> Way<'a> {
    fn begin(who: &'a Client) -> Way<'a> {
        let reply = who.form("/console/book", &[]).expect(303);
        let base = reply.header("location").strip_suffix("/goal").unwrap().to_owned();
        Way { who, base }
    }
    fn get(&self, step: &str) -> String {
        self.who.get(&format!("{}/{step}", self.base)).expect(200).text()
    }
    #[track_caller]
    fn send(&self, step: &str, go: &str, pairs: &[(&str, &str)]) -> Reply {
        let mut all = vec![("go", go)];
        all.extend(pairs);
        self.who.form(&format!("{}/{step}", self.base), &all)
    }
    #[track_caller]
    fn goes_to(&self, step: &str, reply: &Reply) {
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, format!("{}/{step}", self.base).as_str()),
            "{}",
            reply.text()
        );
    }
    fn number(&self) -> i64 {
        self.base.rsplit('/').next().unwrap().parse().unwrap()
    }
}
fn goal<'a>(stage: &'a Stage, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("name", "Autumn"),
        ("advertiser", stage.shop.advertiser.as_str()),
        ("sponsor", stage.shop.party.as_str()),
        ("payer", stage.shop.party.as_str()),
        ("objective", "clicks"),
        ("flight.starts_at", "2026-01-01T00:00"),
        ("flight.ends_at", "2030-01-01T00:00"),
        ("lifetime_budget_micros", "250"),
    ];
    pairs.extend(more);
    pairs
}
const AUDIENCE: &[(&str, &str)] =
    &[("bid.kind", "cpm"), ("bid.micros_per_mille", "2,50"), ("tier.kind", "auction"), ("pacing", "even")];
const TEXT: &[(&str, &str)] = &[
    ("kind", "html"),
    ("landing_url", "https://shop.example/autumn"),
    ("versions[0].creative.markup", "<a href=\"{CLICK_URL}\">Leaves</a>"),
    ("versions[0].creative.size.width", "300"),
    ("versions[0].creative.size.height", "250"),
];
fn of_advertiser(stage: &Stage) -> Client {
    stage.harness.user(Role::Advertiser, stage.shop.advertiser.parse().ok())
}
fn drafts(stage: &Stage) -> Vec<Draft> {
    (1..20).flat_map(|n| stage.harness.app.desk.drafts(UserId(n)).unwrap()).collect()
}
fn campaigns(stage: &Stage) -> usize {
    stage.owner.get("/v1/campaigns").expect(200).json()["items"].as_array().unwrap().len()
}
fn upload(way: &Way<'_>, go: &str, pairs: &[(&str, &str)], pictures: &[&[u8]]) -> Reply {
    let mut body = Vec::new();
    let mut all = vec![("go", go)];
    all.extend(pairs);
    for (name, value) in all {
        body.extend(
            format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    for picture in pictures {
        body.extend(b"--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.gif\"\r\ncontent-type: image/gif\r\n\r\n");
        body.extend(*picture);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    way.who.send("POST", &format!("{}/creative", way.base), Some("multipart/form-data; boundary=cut"), &body)
}

#[test]
fn a_booking_goes_from_a_goal_to_a_launch() {
    let stage = Stage::open();
    let kim = of_advertiser(&stage);
    let before = campaigns(&stage);
    let way = Way::begin(&kim);
    // What is missing is said beside its field, and what was typed stands there still.
    let refused = way.send("goal", "next", &[("name", "Autumn"), ("objective", "clicks")]).expect(422).text();
    assert!(refused.contains("id=\"e-sponsor\"") && refused.contains("value=\"Autumn\""), "{refused}");
    way.goes_to("audience", &way.send("goal", "next", &goal(&stage, &[])));
    let audience = way.get("audience");
    assert!(audience.contains("id=\"forecast\"") && audience.contains("front-top"), "{audience}");
    assert!(!audience.contains("/declaration"), "a commercial campaign declares nothing");
    let placed = format!("place.{}", stage.placement);
    let mut chosen = AUDIENCE.to_vec();
    chosen.extend([(placed.as_str(), "on"), ("device.phone", "on")]);
    way.goes_to("creative", &way.send("audience", "next", &chosen));
    let refused = way.send("creative", "next", &TEXT[..2]).expect(422).text();
    assert!(refused.contains("id=\"e-versions-0--creative-markup\""), "{refused}");
    // Looked at before it goes on: a sandboxed frame of its own size, and where it fits.
    let looked = way.send("creative", "look", TEXT).expect(200).text();
    assert!(
        looked.contains("preview/0\" width=\"300\" height=\"250\"") && looked.contains("front-top, Gazette"),
        "{looked}"
    );
    // A size that none of the chosen places takes would never be shown: that is said before it is booked.
    let stage_other = common::placement(&stage.site, "side");
    common::create(&stage.owner, "/v1/placements", {
        let mut wide = stage_other;
        wide["format"] = json!({ "kind": "banner", "sizes": [{ "width": 728, "height": 90 }] });
        wide
    });
    let mut wide = TEXT.to_vec();
    wide[3] = ("versions[0].creative.size.width", "728");
    wide[4] = ("versions[0].creative.size.height", "90");
    let warned = way.send("creative", "look", &wide).expect(200).text();
    assert!(
        warned.contains("None of the places that you chose") && warned.contains("side, Gazette"),
        "{warned}"
    );
    way.send("creative", "look", TEXT).expect(200);
    let frame = kim.get(&format!("{}/preview/0", way.base)).expect(200);
    assert!(
        frame.text().contains("Leaves") && frame.header("content-security-policy").contains("sandbox"),
        "{frame:?}"
    );
    kim.get(&format!("{}/preview/1", way.base)).expect(404);
    way.goes_to("launch", &way.send("creative", "next", TEXT));
    let last = way.get("launch");
    assert!(
        last.contains("Autumn")
            && last.contains("placement is front-top")
            && last.contains("device class is phone")
            && !last.contains("note bad"),
        "{last}"
    );
    assert_eq!(campaigns(&stage), before, "nothing is booked before the launch");
    let done = way.send("launch", "launch", &[]).expect(303);
    let campaign = done.header("location").rsplit('/').next().unwrap().to_owned();
    let booked = stage.owner.get(&format!("/v1/campaigns/{campaign}")).expect(200).json();
    assert_eq!(
        (booked["status"].as_str(), booked["spec"]["lifetime_budget_micros"].as_i64()),
        (Some("active"), Some(250_000_000))
    );
    let within = |kind: &str, of: &str| {
        stage.owner.get(&format!("/v1/{kind}?within={of}")).expect(200).json()["items"].clone()
    };
    let sets = within("ad-sets", &campaign);
    assert_eq!(sets[0]["spec"]["bid"]["micros_per_mille"], 2_500_000);
    let clauses = sets[0]["spec"]["targeting"].to_string();
    assert!(clauses.contains(&stage.placement) && clauses.contains("phone"), "{clauses}");
    let ads = within("ads", sets[0]["id"].as_str().unwrap());
    assert_eq!(ads.as_array().unwrap().len(), 1);
    assert_eq!(within("versions", ads[0]["id"].as_str().unwrap()).as_array().unwrap().len(), 1);
    assert!(drafts(&stage).is_empty(), "the draft has done its work");
    kim.get(&format!("{}/goal", way.base)).expect(404);
}

#[test]
fn a_draft_survives_leaving_and_a_restart_and_is_its_persons_alone() {
    let mut stage = Stage::open();
    let (kim, lee) = (of_advertiser(&stage), of_advertiser(&stage));
    let way = Way::begin(&kim);
    // Faulty, and kept all the same, whichever way one goes.
    way.goes_to(
        "goal",
        &way.send(
            "audience",
            "back",
            &[("bid.kind", "cpm"), ("bid.micros_per_mille", "much"), ("name", "Half a")],
        ),
    );
    assert!(way.get("audience").contains("value=\"much\""));
    way.send("goal", "leave", &[("name", "Autumn, half done"), ("flight.starts_at", "soon")]).expect(303);
    assert!(kim.get("/console/book").expect(200).text().contains("Autumn, half done"));
    assert!(!lee.get("/console/book").expect(200).text().contains("Autumn, half done"));
    for path in ["goal", "launch", "preview/0"] {
        lee.get(&format!("{}/{path}", way.base)).expect(404);
    }
    lee.form(&format!("{}/launch", way.base), &[("go", "discard")]).expect(404);
    let base = way.base.clone();
    stage.harness = stage.harness.restart();
    let again = Client { url: stage.harness.url.clone(), headers: kim.headers.clone() }
        .without("origin")
        .with("origin", &stage.harness.url);
    let text = again.get(&format!("{base}/goal")).expect(200).text();
    assert!(text.contains("Autumn, half done") && text.contains("value=\"soon\""), "{text}");
    again.form(&format!("{base}/launch"), &[("go", "discard")]).expect(303);
    again.get(&format!("{base}/goal")).expect(404);
}

#[test]
fn a_political_campaign_declares_in_a_step_of_its_own_and_is_not_launched_before() {
    let stage = Stage::open();
    let kim = of_advertiser(&stage);
    let before = campaigns(&stage);
    let way = Way::begin(&kim);
    way.goes_to("audience", &way.send("goal", "next", &goal(&stage, &[("political", "on")])));
    let mut personal = AUDIENCE.to_vec();
    personal.extend([
        ("targeting[0].dimension", "segment"),
        ("targeting[0].op", "in"),
        ("targeting[0].values", "seg_1"),
    ]);
    let refused = way.send("audience", "next", &personal).expect(422).text();
    assert!(refused.contains("id=\"f-targeting-0--values\""), "{refused}");
    assert!(!refused.contains("<option value=\"segment\">"), "what the law forbids is not offered");
    way.goes_to("creative", &way.send("audience", "next", AUDIENCE));
    way.goes_to("declaration", &way.send("creative", "next", TEXT));
    let half = [
        ("political.linked[0].name", "Municipal election"),
        ("political.linked[0].held_on", "2029-03-15"),
        ("political.origin.private", "on"),
    ];
    let refused = way.send("declaration", "next", &half).expect(422).text();
    assert!(refused.contains("Municipal election"), "{refused}");
    assert!(way.get("launch").contains("note bad"));
    way.send("launch", "launch", &[]).expect(200);
    assert_eq!(campaigns(&stage), before, "what is not declared is not booked");
    let mut full = half.to_vec();
    full.extend([
        ("political.origin.inside_union", "on"),
        ("political.confirmed", "on"),
        ("political.no_other_provider", "on"),
    ]);
    // What is typed below a ticked "none" does not count.
    full.push(("political.other_providers[0].provider", "Half typed"));
    way.goes_to("launch", &way.send("declaration", "next", &full));
    let last = way.get("launch");
    assert!(last.contains("Municipal election, 15\u{a0}Mar") && last.contains("Private money"), "{last}");
    let done = way.send("launch", "book", &[]).expect(303);
    let campaign = done.header("location").rsplit('/').next().unwrap().to_owned();
    let booked = stage.owner.get(&format!("/v1/campaigns/{campaign}")).expect(200).json();
    assert_eq!(
        (&booked["status"], &booked["spec"]["political"]["other_providers"]),
        (&json!("draft"), &json!([]))
    );
}

#[test]
fn pictures_become_versions_once_each_and_a_template_is_seen_in_combinations() {
    let stage = Stage::open();
    let kim = of_advertiser(&stage);
    let way = Way::begin(&kim);
    way.send("goal", "next", &goal(&stage, &[])).expect(303);
    let basics = [("kind", "image"), ("landing_url", "https://shop.example/")];
    let mut other = GIF.to_vec();
    other.push(0x3b);
    let page = upload(&way, "look", &basics, &[GIF, &other, GIF]).expect(200).text();
    assert_eq!(page.matches("adframe small").count(), 2, "the same picture twice is one version");
    let hash = |row: usize| {
        let head = format!("name=\"versions[{row}].creative.asset\" value=\"");
        page.split_once(&head).unwrap().1.split('"').next().unwrap().to_owned()
    };
    let (first, second) = (hash(0), hash(1));
    let mut named = basics.to_vec();
    named.extend([("versions[0].creative.asset", first.as_str()), ("versions[0].remove", "on")]);
    named.extend([
        ("versions[1].creative.asset", second.as_str()),
        ("versions[1].creative.alt", "A wood in autumn"),
    ]);
    let page = upload(&way, "look", &named, &[]).expect(200).text();
    assert!(page.contains("A wood in autumn") && page.matches("adframe small").count() == 1, "{page}");
    let bad = upload(&way, "next", &basics, &[b"no picture"]).expect(422).text();
    assert!(bad.contains("id=\"f-file\""), "{bad}");

    let fresh = way.send("creative", "look", &[("kind", "template")]).expect(200).text();
    assert!(
        fresh.contains("name=\"slots[0].name\" type=\"text\" value=\"title\""),
        "the slots of words are offered: {fresh}"
    );
    let slots = [
        ("kind", "template"),
        ("landing_url", "https://shop.example/"),
        ("layout", "text"),
        ("slots[0].name", "title"),
        ("slots[0].assets", "Red leaves\nGold leaves"),
        ("slots[1].name", "body"),
        ("slots[1].assets", "Come and see."),
    ];
    let page = way.send("creative", "look", &slots).expect(200).text();
    assert_eq!(page.matches("/preview/").count(), 4, "two combinations, each on two widths: {page}");
    assert!(page.contains("No active place takes this size"), "the stage has no place for text");
    let frame = kim.get(&format!("{}/preview/1", way.base)).expect(200).text();
    assert!(frame.contains("Gold leaves"), "{frame}");
}

#[test]
fn a_launch_that_stopped_halfway_goes_on_and_doubles_nothing() {
    let stage = Stage::open();
    let kim = of_advertiser(&stage);
    let way = Way::begin(&kim);
    way.send("goal", "next", &goal(&stage, &[])).expect(303);
    way.send("audience", "next", AUDIENCE).expect(303);
    way.send("creative", "next", TEXT).expect(303);
    // As if the process had ended after the campaign and its ad set were booked.
    let campaign = common::create(
        &stage.owner,
        "/v1/campaigns",
        common::campaign(&stage.shop.advertiser, &stage.shop.party),
    );
    let set = common::create(&stage.owner, "/v1/ad-sets", common::ad_set(&campaign));
    let count = campaigns(&stage);
    let desk = &stage.harness.app.desk;
    let owner = (1..20).map(UserId).find(|u| desk.draft(*u, way.number()).unwrap().is_some()).unwrap();
    let mut draft = desk.draft(owner, way.number()).unwrap().unwrap();
    draft.content.made.insert("campaign".into(), campaign.clone());
    draft.content.made.insert("ad_set".into(), set.clone());
    desk.keep_draft(owner, &draft, stage.harness.app.platform.now()).unwrap();
    let done = way.send("launch", "launch", &[]).expect(303);
    assert!(done.header("location").ends_with(&campaign), "{}", done.header("location"));
    assert_eq!(campaigns(&stage), count);
    let booked = stage.owner.get(&format!("/v1/campaigns/{campaign}")).expect(200).json();
    assert_eq!(
        (booked["spec"]["name"].as_str(), booked["status"].as_str()),
        (Some("Autumn"), Some("active"))
    );
    let ads = stage.owner.get(&format!("/v1/ads?within={set}")).expect(200).json()["items"].clone();
    assert_eq!(ads.as_array().unwrap().len(), 1);
}
