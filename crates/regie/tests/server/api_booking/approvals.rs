//! Approvals: bound to what was looked at; an edit never stops what was approved, and is never served unseen.

use crate::common::*;
use serde_json::{Value, json};

fn decide(harness: &Harness, site: &str) -> Value {
    let body = json!({ "site": site, "placements": [{ "name": "front-top" }], "page": { "url": "https://gazette.example/" } });
    harness.anonymous().post("/v1/decisions", body).expect(200).json()["decisions"][0].clone()
}
/// The words that the frame of a served ad shows, if one is served.
fn served(harness: &Harness, site: &str) -> Option<String> {
    let path = decide(harness, site)["ad"]["frame_path"].as_str()?.to_owned();
    Some(harness.anonymous().get(&path).expect(200).text())
}

#[test]
fn an_edit_waits_and_does_not_stop_what_was_approved() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, _) = open_publisher(&owner);
    let shop = open_shop(&owner, "Old words");
    let money = json!({ "amount_micros": 100_000_000 });
    owner.post(&format!("/v1/advertisers/{}/deposits", shop.advertiser), money).expect(201);
    let queue = owner.get("/v1/reviews/queue").expect(200).json();
    let ids: Vec<&str> =
        queue["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [shop.ad.as_str(), shop.version.as_str()], "nothing is served before it is approved");
    assert_eq!(served(&harness, &site), None);
    owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    assert_eq!(owner.get("/v1/reviews/queue").json()["items"], json!([]));
    harness.wait_for("the approved ad", || served(&harness, &site).is_some_and(|t| t.contains("Old words")));
    // Edit the creative and the landing page.
    let version = format!("/v1/versions/{}", shop.version);
    let edited = owner.put(&version, html_version(&shop.ad, "New words")).expect(200).json();
    assert_eq!(edited["review"], json!({ "state": "pending" }));
    let mut spec = owner.get(&format!("/v1/ads/{}", shop.ad)).json()["spec"].clone();
    spec["landing_url"] = "https://elsewhere.example/".into();
    owner.put(&format!("/v1/ads/{}", shop.ad), spec).expect(200);
    let queue = owner.get("/v1/reviews/queue").json();
    assert_eq!(
        queue["items"][0]["approved"]["landing_url"],
        "https://shop.example/bicycles?from={PLACEMENT}"
    );
    assert_eq!(queue["items"][0]["pending"]["landing_url"], "https://elsewhere.example/");
    assert!(queue["items"][1]["approved"]["creative"]["markup"].as_str().unwrap().contains("Old words"));
    assert!(queue["items"][1]["pending"]["creative"]["markup"].as_str().unwrap().contains("New words"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(served(&harness, &site).unwrap().contains("Old words"), "the approved one goes on");
    let click = decide(&harness, &site)["ad"]["click_path"].as_str().unwrap().to_owned();
    let place = harness.anonymous().get(&click).expect(302).header("location").to_owned();
    assert!(place.starts_with("https://shop.example/bicycles?from=front-top"), "{place}");
    // Approving what was looked at, while it was edited once more, approves nothing.
    let seen = json!({ "ads": [shop.ad], "verdict": "approved", "seen": { &shop.ad: 2, &shop.version: edited["creative_hash"] } });
    owner.put(&version, html_version(&shop.ad, "Newest words")).expect(200);
    owner.post("/v1/reviews", seen).expect(409);
    owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    harness.wait_for("the new words", || served(&harness, &site).is_some_and(|t| t.contains("Newest words")));
}

#[test]
fn a_rejection_needs_a_reason_and_stops_what_it_names() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, _) = open_publisher(&owner);
    let shop = open_shop(&owner, "Old words");
    let path = format!("/v1/advertisers/{}/deposits", shop.advertiser);
    owner.post(&path, json!({ "amount_micros": 100_000_000 })).expect(201);
    owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    harness.wait_for("the approved ad", || served(&harness, &site).is_some());
    let silent = json!({ "versions": [shop.version], "verdict": "rejected" });
    assert_eq!(owner.post("/v1/reviews", silent).faults(), ["reason: missing"]);
    assert_eq!(
        owner
            .post("/v1/reviews", json!({ "verdict": "approved", "ads": ["ad_99"], "versions": ["ver_99"] }))
            .faults(),
        ["ads[0]: unknown", "versions[0]: unknown"]
    );
    let told = json!({ "versions": [shop.version], "verdict": "rejected", "reason": "Says what is not so." });
    let reply = owner.post("/v1/reviews", told).expect(200).json();
    assert_eq!(reply["items"][0]["review"], json!({ "state": "rejected", "reason": "Says what is not so." }));
    harness.wait_for("the end of the rejected ad", || served(&harness, &site).is_none());
}

#[test]
fn a_switch_stops_an_ad_within_a_second() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, _) = open_publisher(&owner);
    let shop = open_shop(&owner, "Words");
    let path = format!("/v1/advertisers/{}/deposits", shop.advertiser);
    owner.post(&path, json!({ "amount_micros": 100_000_000 })).expect(201);
    owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    harness.wait_for("the ad", || served(&harness, &site).is_some());
    for what in [
        json!({ "kind": "all_paid" }),
        json!({ "kind": "ad", "id": shop.ad }),
        json!({ "kind": "sponsor", "id": shop.party }),
    ] {
        let start = std::time::Instant::now();
        owner.post("/v1/stops", json!({ "what": what, "on": true })).expect(200);
        harness.wait_for("the stop", || served(&harness, &site).is_none());
        assert!(start.elapsed().as_millis() < 1_000, "{what}: {:?}", start.elapsed());
        owner.post("/v1/stops", json!({ "what": what, "on": false })).expect(200);
        harness.wait_for("the ad again", || served(&harness, &site).is_some());
    }
}
