//! The public record over HTTP: from the first impression on, exact, allow-listed, escaped, without sign-in.

use crate::common::Harness;
use crate::shown::{self, Stage};
use serde_json::Value;
use std::collections::BTreeSet;

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            found.insert(key.clone());
            keys(inner, found);
        }),
        Value::Array(list) => list.iter().for_each(|inner| keys(inner, found)),
        _ => {}
    }
}

#[test]
fn an_ad_appears_with_its_first_impression_and_not_before() {
    let stage = Stage::open();
    let reader = stage.harness.anonymous();
    let path = format!("/record/ads/{}", stage.shop.ad);
    reader.get(&path).expect(404);
    let ticket = stage.ticket();
    reader.get(&path).expect(404);
    reader.get(&format!("{path}/versions/{}/frame", stage.shop.version)).expect(404);
    assert_eq!(reader.get("/record/ads.json").expect(200).json()["entries"].as_array().unwrap().len(), 0);
    stage.report(&ticket, &["impression"]);
    stage.show(0);
    reader.get(&path).expect(200);
    reader.get(&format!("{path}/versions/{}/frame", stage.shop.version)).expect(200);
    let list = reader.get("/record/ads.json").expect(200).json();
    assert_eq!(list["entries"][0]["id"], stage.shop.ad.as_str());
}

#[test]
fn figures_are_exact_in_total_and_per_day() {
    let stage = Stage::open();
    stage.show(7);
    let entry =
        stage.harness.anonymous().get(&format!("/record/ads/{}.json", stage.shop.ad)).expect(200).json();
    assert_eq!(entry["figures"]["impressions_count"], 7);
    let charged =
        stage.owner.get("/v1/reports?by=ad").expect(200).json()["rows"][0]["net_nanos"].as_i64().unwrap();
    assert_eq!(charged, 7 * shown::FLOOR_NANOS);
    assert_eq!(entry["figures"]["spend_nanos"], charged.to_string());
    assert_eq!(entry["figures"]["spend"], "0.0105");
    let days = entry["figures"]["days"].as_array().unwrap();
    let sum: u64 = days.iter().map(|d| d["impressions_count"].as_u64().unwrap()).sum();
    assert_eq!(sum, 7);
    let nanos: i64 = days.iter().map(|d| d["spend_nanos"].as_str().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(nanos, charged);
    let page = stage.harness.anonymous().get(&format!("/record/ads/{}", stage.shop.ad)).expect(200).text();
    for words in ["Bicycle Shop", "Shown", "What it cost", "Approvals and suspensions"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn r4_the_record_has_only_allow_listed_keys() {
    let stage = Stage::open();
    let (_, political) = stage.political();
    let reader = stage.harness.anonymous();
    // Either of the two ads may be the first to be shown.
    stage.harness.wait_for("both ads in the record", || {
        stage.show(1);
        reader.get(&format!("/record/ads/{political}")).status == 200
            && reader.get("/record/ads.json").expect(200).json()["entries_count"] == 2
    });
    let list = reader.get("/record/ads.json").expect(200).json();
    let mut found = BTreeSet::new();
    list["entries"].as_array().unwrap().iter().for_each(|e| keys(e, &mut found));
    let strangers: Vec<_> =
        found.iter().filter(|k| !regie_record::ALLOWED_KEYS.contains(&k.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    let frame: BTreeSet<&str> = list.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(frame, BTreeSet::from(["schema_version", "entries", "entries_count", "limit", "cursor"]));
    let sponsor = reader.get(&format!("/record/sponsors/{}.json", stage.shop.party)).expect(200).json();
    let mut found = BTreeSet::new();
    keys(&sponsor, &mut found);
    let allowed = [
        "schema_version",
        "id",
        "name",
        "withheld",
        "established_in",
        "controller",
        // Groupings, each with what it rests on.
        "groupings",
        "related",
        "evidence",
        "author",
        "declared",
        "entry_index",
        "at",
        "dispute",
        "totals",
        "ads",
        "cursor",
        "currency",
        "spend_nanos",
        "spend",
        "ad",
        "political",
        "impressions_count",
    ];
    let strangers: Vec<_> = found.iter().filter(|k| !allowed.contains(&k.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn a_political_ad_shows_every_notice_item() {
    let stage = Stage::open();
    let (_, ad) = stage.political();
    stage.harness.wait_for("the political ad in the record", || {
        stage.show(1);
        stage.harness.anonymous().get(&format!("/record/ads/{ad}")).status == 200
    });
    let reader = stage.harness.anonymous();
    let entry = reader.get(&format!("/record/ads/{ad}.json")).expect(200).json();
    let letters: String =
        entry["notice"].as_array().unwrap().iter().map(|i| i["item"].as_str().unwrap()).collect();
    assert_eq!(letters, "abcdefghijklm");
    let page = reader.get(&format!("/record/ads/{ad}")).expect(200).text();
    for item in entry["notice"].as_array().unwrap() {
        let title = item["title"].as_str().unwrap();
        assert!(page.contains(title), "{title}");
    }
    assert!(page.contains("Political advertisement"));
    assert!(page.contains("office@example.org"), "a political sponsor's contact is public");
    let commercial = reader.get(&format!("/record/ads/{}", stage.shop.ad));
    assert!(!commercial.text().contains("office@example.org"), "a commercial sponsor's contact is not");
}

#[test]
fn search_finds_sponsors_and_pages_with_a_cursor() {
    let stage = Stage::open();
    stage.show(2);
    let reader = stage.harness.anonymous();
    for (query, want) in [("bicycle", 1), ("BICYCLE shop", 1), ("submarine", 0), (stage.shop.ad.as_str(), 1)]
    {
        let pairs = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", query).finish();
        let list = reader.get(&format!("/record/ads.json?{pairs}")).expect(200).json();
        assert_eq!(list["entries"].as_array().unwrap().len(), want, "{query}");
    }
    let home = reader.get("/record").expect(200).text();
    assert!(home.contains("Biggest spenders") && home.contains("Bicycle Shop"), "{home}");
    reader.get("/record?q=bicycle&political=1").expect(200);
    reader.get("/record/ads.json?limit=0").expect(400);
    reader.get("/record/ads.json?cursor=x").expect(400);
    reader.get("/record/ads/ad_99").expect(404);
    reader.get("/record/sponsors/party_99").expect(404);
}

#[test]
fn a_stop_is_public_with_its_reason() {
    let stage = Stage::open();
    stage.show(1);
    let stop = serde_json::json!({ "what": { "kind": "ad", "id": stage.shop.ad }, "on": true, "reason": "complaint upheld" });
    let reply = stage.owner.post("/v1/stops", stop);
    assert!(reply.status < 300, "{}", reply.text());
    let entry =
        stage.harness.anonymous().get(&format!("/record/ads/{}.json", stage.shop.ad)).expect(200).json();
    assert_eq!(entry["status"], "stopped");
    let told: Vec<(&str, &str)> = entry["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["event"].as_str().unwrap(), l["reason"].as_str().unwrap_or("")))
        .collect();
    assert!(told.contains(&("stopped", "complaint upheld")), "{told:?}");
    assert!(told.iter().any(|(event, _)| *event == "approved"), "{told:?}");
}

#[test]
fn nobody_needs_to_sign_in_and_the_empty_record_says_so() {
    let harness = Harness::start();
    let page = harness.anonymous().get("/record").expect(200);
    assert!(page.text().contains("Who paid for the ads"));
    assert_eq!(page.header("set-cookie"), "");
}
