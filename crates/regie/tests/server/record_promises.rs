//! The promises of the record, each the answer to a complaint of researchers, each with a test of its name.

use crate::common::{self, Client, create};
use crate::shown::Stage;
use regie::platform::{
    folder::Folder,
    log::{client::HttpSource, files::FolderFiles, store::SqliteHead},
};
use regie_model::{AdId, UtcMs, time::DAY_MS};
use regie_record::leaf::Kind;
use regie_record::log::{
    Append, Policy,
    read::Source,
    sequencer::{Opening, Sequencer},
    verify::{Verdict, Wanted, verify},
};
use serde_json::{Value, json};

fn get(reader: &Client, path: &str) -> Value {
    reader.get(path).expect(200).json()
}
fn stop(stage: &Stage) {
    let what =
        json!({ "what": { "kind": "ad", "id": stage.shop.ad }, "on": true, "reason": "complaint upheld" });
    let reply = stage.owner.post("/v1/stops", what);
    assert!(reply.status < 300, "{}", reply.text());
}

/// Everything that anybody can read of the log at its present checkpoint: by HTTP, and checked. The note, and all leaves.
fn published(stage: &Stage) -> (String, Vec<Vec<u8>>) {
    let mut source = HttpSource::new(&format!("{}/record/log", stage.harness.url));
    let policy = Policy::of_log(stage.harness.app.log.verifiers().remove(0));
    let wanted = Wanted { policy: &policy, seen: None, objects: true };
    let mut schema = regie::platform::log::schema::Entries::default();
    let report = verify(&mut source, &wanted, &mut schema, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    let (note, size) = (report.note.unwrap().to_string(), report.checkpoint.unwrap().size);
    let mut leaves = Vec::new();
    let each = &mut |_, leaf: &[u8]| {
        leaves.push(leaf.to_vec());
        true
    };
    regie_record::log::mirror::for_each_leaf(&mut source, size, each).unwrap();
    (note, leaves)
}

/// "Seven years of political ads erased": nothing that was published is ever removed, changed or renumbered, and a reader can
/// prove it: the later checkpoint goes on from the earlier one through a stop, an edit, an erasure and a restart, every earlier
/// leaf is still served where it stood, what was withheld says on what ground, and a log that dropped one leaf is caught by the
/// checkpoint that the reader kept.
#[test]
fn promise_append_only_nothing_published_is_lost() {
    let mut stage = Stage::open();
    stage.show(1);
    let (seen, before) = published(&stage);
    stop(&stage);
    let mut set = common::ad_set(&stage.shop.campaign);
    set["targeting"] = json!([{ "dimension": "topic", "op": "in", "values": ["cycling"] }]);
    stage.owner.put(&format!("/v1/ad-sets/{}", stage.shop.ad_set), set).expect(200);
    let erase = stage
        .owner
        .post(&format!("/v1/parties/{}/erase", stage.shop.party), json!({ "reason": "asked for" }));
    assert!(erase.status < 300, "{}", erase.text());
    let tombstones = |leaves: &[Vec<u8>]| {
        leaves.iter().filter(|l| String::from_utf8_lossy(l).contains("\"kind\":\"tombstone\"")).count()
    };
    stage.harness.wait_for("the tombstone", || tombstones(&published(&stage).1) > 0);
    let restarted = stage.harness.restart();
    stage = Stage { harness: restarted, ..stage };
    let (_, after) = published(&stage);
    assert!(after.len() > before.len() + 1);
    assert_eq!(after[..before.len()], before[..], "what stood there stands there");
    // Who kept the earlier checkpoint finds that the present log goes on from it.
    let policy = Policy::of_log(stage.harness.app.log.verifiers().remove(0));
    let check = |source: &mut dyn Source| {
        let wanted = Wanted { policy: &policy, seen: Some(seen.clone()), objects: true };
        let mut schema = regie::platform::log::schema::Entries::default();
        verify(source, &wanted, &mut schema, &mut |_, _| {})
    };
    let mut source = HttpSource::new(&format!("{}/record/log", stage.harness.url));
    let report = check(&mut source);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    assert!(!report.withheld.is_empty() && report.withheld.iter().all(|(_, _, ground)| !ground.is_empty()));
    // The owner, with the key, erases the second leaf and signs anew: proof for whoever kept the checkpoint.
    let dir = tempfile::tempdir().unwrap();
    let mut rewritten = erased(&stage, dir.path(), &after);
    let report = check(&mut rewritten);
    assert_eq!(report.verdict(), Verdict::Broken);
    let evidence = report.evidence.expect("two checkpoints that do not fit are evidence");
    evidence.check(&policy.log_keys()).unwrap();
}

/// The log without its second leaf, signed by the same key as if it had never been there.
fn erased(stage: &Stage, dir: &std::path::Path, leaves: &[Vec<u8>]) -> FolderFiles {
    let keys = [stage.harness.app.log.signatory().unwrap().clone()];
    let store = SqliteHead::open(&dir.join("log.db")).unwrap();
    let files = FolderFiles::new(&dir.join("record")).unwrap();
    let opening = Opening {
        origin: stage.harness.app.log.origin(),
        keys: &keys,
        now_ms: 0,
        continues: None,
        position: 0,
    };
    let mut sequencer = Sequencer::open(Box::new(store), Box::new(files.clone()), &opening).unwrap();
    let kept = leaves.iter().skip(2).map(|leaf| Append { leaf: leaf.clone(), objects: Vec::new() });
    sequencer.append(&kept.collect::<Vec<_>>(), 0).unwrap();
    sequencer.show().unwrap();
    files
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
    for part in ["Related sponsors", "declared that Bicycle Shop controls it", "Author", "Since", "/dispute"]
    {
        assert!(page.contains(part), "{part}");
    }
    // The same for programs: evidence, author, and the date and entry of the log in which it was first said.
    let path = format!("/record/sponsors/{}", stage.shop.party);
    let related = &get(&reader, &format!("{path}.json"))["related"][0];
    assert_eq!(
        (&related["name"], &related["author"]),
        (&json!("Friends of Bicycles"), &json!("Friends of Bicycles"))
    );
    let index = related["declared"]["entry_index"].as_u64().unwrap();
    let leaf = stage.harness.app.publication.db().leaf_bytes(index).unwrap().unwrap();
    let leaf = regie_record::leaf::Leaf::parse(&leaf).unwrap();
    assert_eq!(json!(leaf.at), related["declared"]["at"]);
    assert!(leaf.commitment("sponsor.controller").is_some(), "the entry has the declaration");
    // A dispute has a form, a receipt with a day, and a decision that becomes an entry of the record.
    let dispute = format!("{path}/dispute");
    assert!(reader.get(&dispute).expect(200).text().contains("Dispute a grouping"));
    reader.form(&dispute, &[("words", "")]).expect(422);
    let reply = reader.form(&dispute, &[("words", "They have nothing to do with us, says Alix")]);
    assert_eq!(reply.status, 303, "{}", reply.text());
    let receipt = reply.header("location").to_owned();
    assert!(reader.get(&receipt).expect(200).text().contains("waits for a decision"));
    let report = receipt.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let decide = [("outcome", "complies"), ("reason", "It is what the sponsor declared.")];
    assert_eq!(stage.owner.form(&format!("/console/complaints/{report}"), &decide).status, 303);
    let ad: AdId = stage.shop.ad.parse().unwrap();
    let decided =
        || regie::publication::decisions::of(&stage.harness.app.publication.db(), ad, None).unwrap();
    stage.harness.wait_for("the decision in the log", || !decided().is_empty());
    assert_eq!(decided()[0].decided.as_ref().unwrap().grounds, ["grouping"]);
    assert!(!published(&stage).1.iter().any(|leaf| String::from_utf8_lossy(leaf).contains("Alix")));
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
    // The counter counts: of an ad whose published facts name nobody it says so.
    let app = &stage.harness.app;
    let ad: AdId = stage.shop.ad.parse().unwrap();
    let mut facts = app.publication.db().facts(ad).unwrap().unwrap();
    facts.sponsor.name = String::new();
    let mut salt = [7; 32];
    let sheet = {
        let db = app.publication.db();
        let (leaf, object) = (db.latest(ad, Kind::Facts, None).unwrap().unwrap(), |hash: &_| db.object(hash));
        let previous = regie_record::Previous { leaf: &leaf, object: &object };
        let mut fresh = || {
            salt[0] += 1;
            salt
        };
        regie_record::facts_sheet(&facts, &|_| None, Some(&previous), app.platform.now(), &mut fresh)
            .unwrap()
            .unwrap()
    };
    let size = app.publication.log_size();
    app.publication.db().ingest(size, &[sheet], None).unwrap();
    // The sponsor pays itself: neither is named. (An answer is kept for a moment.)
    stage.harness.wait_for("both are counted", || {
        let counter = get(&stage.harness.anonymous(), "/record/completeness.json");
        counter["without_sponsor_count"] == json!(1) && counter["without_payer_count"] == json!(1)
    });
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

/// "Targeting missing or coarse": every condition with its values, exclusions included, in the leaf's facts and on the page; and
/// what was delivered against the places that met them.
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
    // Of nine places, five met the conditions; two of these showed the ad.
    let app = &stage.harness.app;
    let ask = |topic: &str, language: &str| {
        let body = json!({ "site": stage.site, "placements": [{ "name": "front-top" }],
            "page": { "url": "https://gazette.example/", "topics": [topic], "language": language } });
        stage.harness.anonymous().post("/v1/decisions", body).expect(200).json()["decisions"][0].clone()
    };
    let matched = |figures: &Value| figures["figures"]["matched_count"].as_u64().unwrap_or(0);
    stage.harness.wait_for("the targeting in decisions", || {
        ask("war", "en")["ad"].is_null() && !ask("sport", "en")["ad"].is_null()
    });
    let reader = stage.harness.anonymous();
    let settle = || {
        app.platform.flush_traffic();
        // What is acknowledged after it is behind it in the journal.
        stage.fund(&stage.shop);
        let head = app.metrics.head();
        assert!(app.platform.wait_applied(head, 5_000));
        app.platform.flush(false).unwrap();
    };
    settle();
    stage.report(ask("sport", "fr")["ad"]["ticket"].as_str().unwrap(), &["impression"]);
    settle();
    let path = format!("/record/ads/{}", stage.shop.ad);
    let before = matched(&get(&reader, &format!("{path}.json")));
    for (topic, language) in
        [("sport", "en"), ("sport", "fr"), ("news", "en"), ("news", "fr"), ("sport", "en")]
    {
        ask(topic, language);
    }
    for (topic, language) in [("war", "en"), ("war", "fr"), ("sport", "de"), ("news", "it")] {
        assert!(ask(topic, language)["ad"].is_null());
    }
    settle();
    let entry = get(&reader, &format!("{path}.json"));
    assert_eq!(matched(&entry) - before, 5, "{}", entry["figures"]);
    assert!(reader.get(&path).expect(200).text().contains("of what it could have had"));
    // At the close of the day it stands in the log, beside what was shown.
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let db = app.publication.db();
    let leaf = db.versions(ad, None).unwrap().into_iter().find(|v| v.leaf.figures.is_some()).unwrap().leaf;
    let hash = leaf.commitment("audience").unwrap();
    let object = db.object(&hash).unwrap();
    let told: Value =
        serde_json::from_slice(regie_record::commit::Object::open(hash, &object).unwrap()).unwrap();
    assert_eq!((told["matched_count"].as_u64(), told["shown_count"].as_u64()), (Some(before + 5), Some(1)));
    // And so it does in the record as known then: not before the close, and ever after.
    let size = db.size().unwrap();
    let first = db.versions(ad, None).unwrap()[0].index + 1;
    drop(db);
    let known =
        |size: u64| get(&reader, &format!("{path}.json?size={size}"))["figures"]["matched_count"].clone();
    assert_eq!((known(first), known(size)), (Value::Null, json!(before + 5)));
    assert!(reader.get(&format!("{path}?size={size}")).expect(200).text().contains("matched at least"));
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

/// "Optimisation itself skews who sees an ad": every decision that showed a political ad can be taken again from what was kept,
/// byte for byte, with the reason of each ad set that was not shown, even after the bookings have changed; and each ad's page
/// says what of its matching audience it reached.
#[test]
fn promise_decisions_can_be_replayed() {
    let stage = Stage::open();
    let (campaign, ad) = stage.political();
    let mut decisions = Vec::new();
    stage.harness.wait_for("twelve political decisions", || {
        let told = stage.ask();
        if told["ad"]["ad"] == ad.as_str() {
            stage.report(told["ad"]["ticket"].as_str().unwrap(), &["impression"]);
            decisions.push(told["ad"]["decision"].as_str().unwrap().to_owned());
        }
        decisions.len() >= 12
    });
    // The catalogue that they were taken on is no more.
    let pause = json!({ "status": "paused" });
    stage.owner.post(&format!("/v1/campaigns/{campaign}/status"), pause).expect(200);
    stage.harness.app.platform.flush(false).unwrap();
    let folder = Folder::open(stage.harness.folder()).unwrap();
    let mut refused = 0;
    for decision in &decisions {
        let inputs = regie::cli::explain::find(&folder, decision.parse().unwrap()).unwrap();
        let (explanation, same) = regie::cli::explain::again(&folder, &inputs).unwrap();
        assert!(same, "decision {decision} came out different");
        let sets = &explanation.placements[0].ad_sets;
        assert_eq!(sets.iter().filter(|s| matches!(s.verdict, regie_decide::Verdict::Won)).count(), 1);
        assert!(sets.iter().all(|s| !s.sentence.is_empty()), "a reason for each");
        refused += sets.len() - 1;
    }
    assert!(refused > 0, "the shop's ad competed and has a reason");
    // A decision with one input changed comes out another or is told apart: the replay is no formality.
    let mut inputs = regie::cli::explain::find(&folder, decisions[0].parse().unwrap()).unwrap();
    inputs.request.placements.truncate(0);
    assert!(!regie::cli::explain::again(&folder, &inputs).unwrap().1, "a false record is found");
}
