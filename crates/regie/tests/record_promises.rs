//! The promises of the record, each the answer to a complaint of researchers, each with a test of its name.
//!
//! The promise that an erasure can be proved by whoever holds a mirror is the log's: see the tampering suite.
#![allow(clippy::unwrap_used)]

mod common;
mod shown;

use common::{Client, create};
use regie_model::{AdId, UtcMs, time::DAY_MS};
use regie_record::leaf::Kind;
use serde_json::{Value, json};
use shown::Stage;

fn get(reader: &Client, path: &str) -> Value {
    reader.get(path).expect(200).json()
}
fn stop(stage: &Stage) {
    let what =
        json!({ "what": { "kind": "ad", "id": stage.shop.ad }, "on": true, "reason": "complaint upheld" });
    let reply = stage.owner.post("/v1/stops", what);
    assert!(reply.status < 300, "{}", reply.text());
}

/// "Seven years of political ads erased": nothing that was published is ever removed, changed or renumbered.
#[test]
fn promise_append_only_nothing_published_is_lost() {
    let stage = Stage::open();
    stage.show(1);
    let publication = &stage.harness.app.publication;
    let all = || -> Vec<Vec<u8>> {
        let db = publication.db();
        (0..db.size().unwrap()).filter_map(|i| db.leaf_bytes(i).unwrap()).collect()
    };
    let before = all();
    stop(&stage);
    let erase = stage
        .owner
        .post(&format!("/v1/parties/{}/erase", stage.shop.party), json!({ "reason": "asked for" }));
    assert!(erase.status < 300, "{}", erase.text());
    stage.harness.wait_for("further versions", || all().len() > before.len());
    assert_eq!(all()[..before.len()], before[..], "what stood there stands there");
}

/// "Silent restatement": what the record said on a date can be read for ever, and a difference is public.
#[test]
fn promise_bitemporal_as_known_on_a_date_and_a_public_diff() {
    let stage = Stage::open();
    stage.show(1);
    let (reader, ad) = (stage.harness.anonymous(), stage.shop.ad.clone());
    let size = stage.harness.app.publication.db().size().unwrap();
    let then = get(&reader, &format!("/record/ads/{ad}.json?size={size}"));
    stop(&stage);
    stage.harness.wait_for("the change", || {
        !get(&reader, &format!("/record/changes.json?from={size}"))["ads"].as_array().unwrap().is_empty()
    });
    assert_eq!(get(&reader, &format!("/record/ads/{ad}.json?size={size}")), then);
    let diff = get(&reader, &format!("/record/changes.json?from={size}"));
    assert!(diff.to_string().contains("complaint upheld"), "{diff}");
}

/// "Ranges too wide": spend and impressions to the last digit, in total and by day, equal to what was billed.
#[test]
fn promise_exact_figures_not_ranges() {
    let stage = Stage::open();
    stage.show(3);
    let app = &stage.harness.app;
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let ad: AdId = stage.shop.ad.parse().unwrap();
    let known =
        regie_record::known::as_known(&app.publication.db().versions(ad, None).unwrap(), UtcMs(i64::MAX))
            .unwrap();
    let billed =
        stage.owner.get("/v1/reports?by=ad").expect(200).json()["rows"][0]["net_nanos"].as_i64().unwrap();
    assert_eq!(known.total().net().0, i128::from(billed));
    assert_eq!(known.total().impressions_count, 3);
    let entry = get(&stage.harness.anonymous(), &format!("/record/ads/{ad}.json"));
    assert_eq!(entry["figures"]["spend_nanos"], billed.to_string());
}

/// "Names inconsistent, committees apart from candidates": sponsors are grouped by what they declared, with that evidence,
/// its author and a way to dispute it; each keeps its id.
#[test]
fn promise_groupings_have_evidence_author_and_dispute() {
    let stage = Stage::open();
    stage.show(1);
    let other = common::open_shop(&stage.owner, "Friends of Bicycles");
    let mut party = common::party("Friends of Bicycles");
    party["advertiser"] = other.advertiser.clone().into();
    party["identity"]["controller"] = "Bicycle Shop".into();
    stage.owner.put(&format!("/v1/parties/{}", other.party), party).expect(200);
    stage.fund(&other);
    stage.approve(&other.ad);
    let reader = stage.harness.anonymous();
    let page = || reader.get(&format!("/record/sponsors/{}", stage.shop.party)).expect(200).text();
    stage.harness.wait_for("the committee", || {
        stage.show(1);
        page().contains("Friends of Bicycles")
    });
    let page = page();
    for part in ["Related sponsors", "declared", "its author", "/dispute"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(reader.get(&format!("/record/sponsors/{}/dispute", stage.shop.party)).status, 303);
}

/// "43,573 ads without a sponsor": there is no ad without sponsor and payer, and the counter says so.
#[test]
fn promise_sponsor_and_payer_are_needed_to_book() {
    let stage = Stage::open();
    for missing in ["sponsor", "payer"] {
        let mut campaign = common::campaign(&stage.shop.advertiser, &stage.shop.party);
        campaign.as_object_mut().unwrap().remove(missing);
        let reply = stage.owner.post("/v1/campaigns", campaign.clone());
        assert!((400..500).contains(&reply.status), "{}", reply.text());
        campaign[missing] = "party_99".into();
        stage.owner.post("/v1/campaigns", campaign).expect(422);
    }
    stage.show(1);
    let counter = get(&stage.harness.anonymous(), "/record/completeness.json");
    assert_eq!((&counter["without_sponsor_count"], &counter["without_payer_count"]), (&json!(0), &json!(0)));
}

/// "Result caps, logins, missing bulk files, no keyword search, no accented characters".
#[test]
fn promise_open_bulk_full_text_in_any_script_and_a_counter() {
    let stage = Stage::open();
    let version = json!({ "ad": stage.shop.ad, "creative": { "kind": "html", "markup": "<a href=\"{CLICK_URL}\">x</a>", "size": { "width": 300, "height": 250 } } });
    create(&stage.owner, "/v1/versions", version);
    let mut party = common::party("Vélos Müller 東京自転車 Ποδήλατα");
    party["advertiser"] = stage.shop.advertiser.clone().into();
    stage.owner.put(&format!("/v1/parties/{}", stage.shop.party), party).expect(200);
    stage.show(1);
    let reader = stage.harness.anonymous();
    for words in ["velos", "MULLER", "東京", "自転車", "ποδηλατα"] {
        let pairs = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", words).finish();
        stage.harness.wait_for(words, || {
            get(&reader, &format!("/record/ads.json?{pairs}"))["entries"].as_array().unwrap().len() == 1
        });
    }
    let counter = get(&reader, "/record/completeness.json");
    assert_eq!(counter["shown_but_not_in_the_record"], json!([]));
    assert_eq!(counter["impressions_by_the_ledger_count"], 1);
    let app = &stage.harness.app;
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let days = get(&reader, "/record/days.json");
    for form in ["csv", "parquet"] {
        reader.get(days["days"][0][form]["path"].as_str().unwrap()).expect(200);
    }
    // One answer holds 200 entries, and a cursor leads to the rest: nothing is cut off.
    assert!(get(&reader, "/record/ads.json?limit=1")["cursor"].is_null());
}

/// "Targeting missing or coarse": every condition with its values, exclusions included, in the leaf's facts and on the page.
#[test]
fn promise_full_targeting_exclusions_included() {
    let stage = Stage::open();
    let mut set = common::ad_set(&stage.shop.campaign);
    set["targeting"] = json!([
        { "dimension": "topic", "op": "not_in", "values": ["war"] }, { "dimension": "language", "op": "in", "values": ["en", "fr"] }
    ]);
    stage.owner.put(&format!("/v1/ad-sets/{}", stage.shop.ad_set), set).expect(200);
    let ad: AdId = stage.shop.ad.parse().unwrap();
    stage.harness.wait_for("the targeting in the record", || {
        let facts = stage.harness.app.publication.db().facts(ad).unwrap();
        facts.is_some_and(|f| f.targeting.clauses.len() == 2)
    });
    let facts = stage.harness.app.publication.db().facts(ad).unwrap().unwrap();
    let told: Vec<(&str, &str, usize)> = facts
        .targeting
        .clauses
        .iter()
        .map(|c| (c.dimension.as_str(), c.op.as_str(), c.values.len()))
        .collect();
    assert_eq!(told, [("topic", "not_in", 1), ("language", "in", 2)]);
}

/// "Undeclared political ads missed": every ad is in the record, and a classification that is corrected is a visible version.
#[test]
fn promise_every_ad_and_a_visible_correction_of_its_class() {
    let stage = Stage::open();
    stage.show(1);
    let ad: AdId = stage.shop.ad.parse().unwrap();
    let reader = stage.harness.anonymous();
    assert_eq!(get(&reader, &format!("/record/ads/{ad}.json"))["political"], false);
    let mut campaign = common::campaign(&stage.shop.advertiser, &stage.shop.party);
    campaign["political"] = common::declaration();
    stage.owner.put(&format!("/v1/campaigns/{}", stage.shop.campaign), campaign).expect(200);
    let versions = || stage.harness.app.publication.db().versions(ad, None).unwrap();
    stage.harness.wait_for("the correction", || {
        versions().last().is_some_and(|v| v.facts.as_ref().is_some_and(|f| f.political))
    });
    let told: Vec<bool> = versions().iter().filter_map(|v| v.facts.as_ref().map(|f| f.political)).collect();
    assert_eq!((told.first(), told.last()), (Some(&false), Some(&true)));
}

/// "Optimisation itself skews who sees an ad": a decision for a political ad can be taken again from what was kept.
#[test]
fn promise_decisions_can_be_replayed() {
    let stage = Stage::open();
    let (_, ad) = stage.political();
    let id: AdId = ad.parse().unwrap();
    stage.harness.wait_for("the political ad", || {
        stage.show(1);
        stage.harness.app.platform.folds().ledger.totals(id).impressions_count > 0
    });
    stage.harness.app.platform.flush(false).unwrap();
    let kept: i64 = {
        let state = stage.harness.app.platform.state();
        state.connection().query_row("SELECT count(*) FROM samples", [], |r| r.get(0)).unwrap()
    };
    assert!(kept > 0, "every political decision is kept with its inputs");
    let leaf = stage.harness.app.publication.db().latest(id, Kind::Facts, None).unwrap();
    assert!(leaf.is_some());
}
