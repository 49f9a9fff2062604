//! What is published and how it is read: facts before the first impression, days, search, versions, bulk, reports, limits.

use crate::common::{self, Client, Harness, create};
use crate::shown::{self, Stage};
use regie_model::{AdId, UtcMs, booking::Role, time::DAY_MS};
use regie_record::{
    breakdown::CELL_MIN,
    commit::{Object, Sha256Hash},
    leaf::{Kind, Leaf, Stage as Firmness},
};
use serde_json::{Value, json};

fn ad_of(text: &str) -> AdId {
    text.parse().unwrap()
}
fn get(reader: &Client, path: &str) -> Value {
    reader.get(path).expect(200).json()
}
/// Waits until the facts of an ad are published.
fn published(harness: &Harness, ad: &str) -> Leaf {
    let mut found = None;
    harness.wait_for("the facts in the record", || {
        found = harness.app.publication.db().latest(ad_of(ad), Kind::Facts, None).unwrap();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn facts_are_published_before_the_first_impression_and_changes_within_60_s() {
    let stage = Stage::open();
    let harness = &stage.harness;
    let leaf = published(harness, &stage.shop.ad);
    assert_eq!(leaf.version, 1);
    let ticket = stage.ticket();
    // The label carries the log's signed promise for these facts.
    let told = stage.ask()["ad"]["label"]["promise"].clone();
    let promise: regie_record::promise::SignedPromise = serde_json::from_value(told).unwrap();
    // The facts that stood in the log then: the first, or a version that followed meanwhile.
    let versions = harness.app.publication.db().versions(ad_of(&stage.shop.ad), None).unwrap();
    let logged = |leaf: &Leaf| Leaf::merkle_hash(&leaf.to_bytes().unwrap()) == promise.promise.content;
    assert!(versions.iter().any(|version| logged(&version.leaf)));
    assert_eq!((promise.promise.entry, promise.promise.merge_within_ms), (ad_of(&stage.shop.ad), 60_000));
    regie_record::log::promise::open(&promise, &harness.app.log.verifiers()).unwrap();
    assert!(leaf.at <= harness.app.platform.now(), "the facts were there when the ad was first decided on");
    stage.report(&ticket, &["impression"]);
    let stop =
        json!({ "what": { "kind": "ad", "id": stage.shop.ad }, "on": true, "reason": "complaint upheld" });
    let before = harness.app.platform.now();
    stage.owner.post("/v1/stops", stop);
    harness.wait_for("the stop in the record", || {
        let db = harness.app.publication.db();
        db.facts(ad_of(&stage.shop.ad)).unwrap().is_some_and(|f| f.run == regie_record::RunState::Stopped)
    });
    let second = published(harness, &stage.shop.ad);
    assert!(second.at.0 - before.0 < 60_000 && second.version >= 2);
    assert!(second.follows.is_some());
}

#[test]
fn an_ad_that_is_not_in_the_record_is_not_served() {
    let stage = Stage::open();
    stage.ticket();
    let ad = ad_of(&stage.shop.ad);
    // As if its leaf had never been written: everything but this ad is known to be logged.
    stage.harness.app.platform.hold_back_unlogged([]);
    assert!(stage.ask()["ad"].is_null(), "without its leaf the ad is refused");
    stage.harness.app.platform.logged(&[ad]);
    assert!(!stage.ask()["ad"].is_null());
}

#[test]
fn a_closed_day_is_published_exactly_and_a_credit_corrects_it_with_both_values() {
    let stage = Stage::open();
    stage.show(25);
    let (app, ad) = (&stage.harness.app, ad_of(&stage.shop.ad));
    app.publication.settle().unwrap();
    assert!(app.publication.db().days().unwrap().is_empty(), "an open day has no figures");
    let days = app.publication.day_amounts(ad).unwrap();
    let (day, amounts) = days.iter().next().map(|(d, a)| (*d, a.clone())).unwrap();
    assert_eq!((amounts.impressions_count, amounts.net().0), (25, 25 * i128::from(shown::FLOOR_NANOS)));
    let tomorrow = UtcMs(app.platform.now().0 + 2 * DAY_MS);
    app.publication.settle_at(tomorrow).unwrap();
    let leaf = app.publication.db().latest(ad, Kind::Figures, Some(day)).unwrap().unwrap();
    let figures = leaf.figures.clone().unwrap();
    assert_eq!(
        (figures.stage, &figures.amounts, &figures.total),
        (Firmness::Provisional, &amounts, &amounts)
    );
    let text = String::from_utf8(leaf.to_bytes().unwrap()).unwrap();
    assert!(!text.contains("Bicycle"), "a leaf names nobody: {text}");
    // The breakdowns add up, and show no small cell.
    let object = app.publication.db().object(&leaf.commitment("breakdown").unwrap()).unwrap();
    let told: Value =
        serde_json::from_slice(Object::open(Sha256Hash::of(&object), &object).unwrap()).unwrap();
    for breakdown in told.as_array().unwrap() {
        let cells = breakdown["cells"].as_array().unwrap();
        let sum: u64 = cells.iter().map(|c| c["impressions_count"].as_u64().unwrap()).sum();
        assert_eq!(sum + breakdown["other_count"].as_u64().unwrap(), 25);
        assert!(cells.iter().all(|c| c["impressions_count"].as_u64().unwrap() >= CELL_MIN));
    }
    assert!(figures.manifest.is_some());
    // A credit for the first charge.
    let position = first_charge(&stage);
    let reply = stage.owner.post(
        "/v1/credits",
        json!({ "position": position, "amount_nanos": shown::FLOOR_NANOS, "reason": "invalid traffic" }),
    );
    assert!(reply.status < 300, "{}", reply.text());
    let head = app.metrics.head();
    assert!(app.platform.wait_applied(head, 5_000));
    app.platform.flush(false).unwrap();
    app.publication.settle_at(tomorrow).unwrap();
    let second = app.publication.db().latest(ad, Kind::Figures, Some(day)).unwrap().unwrap();
    let corrected = second.figures.unwrap();
    assert_eq!((corrected.stage, corrected.before.as_ref()), (Firmness::Correction, Some(&amounts)));
    assert_eq!(corrected.amounts.net().0, 24 * i128::from(shown::FLOOR_NANOS));
    assert_eq!(second.follows, Some(Sha256Hash::of(&leaf.to_bytes().unwrap())));
    let part = second_reason(app, ad);
    let reason = app.publication.db().object(&part).unwrap();
    assert!(String::from_utf8_lossy(&reason).contains("invalid traffic"));
    app.publication.settle_at(UtcMs(tomorrow.0 + 8 * DAY_MS)).unwrap();
    let last = app.publication.db().latest(ad, Kind::Figures, Some(day)).unwrap().unwrap();
    assert_eq!(last.figures.unwrap().stage, Firmness::Final);
    // Bulk files: the same figures, with the hash that was announced.
    let reader = stage.harness.anonymous();
    let list = get(&reader, "/record/days.json");
    let file = &list["days"][0]["csv"];
    let bytes = reader.get(file["path"].as_str().unwrap()).expect(200).body;
    assert_eq!(Sha256Hash::of(&bytes).to_string(), file["sha256"].as_str().unwrap());
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("Bicycle Shop") && text.contains(",final,"), "{text}");
    let parquet = reader.get(list["days"][0]["parquet"]["path"].as_str().unwrap()).expect(200).body;
    assert_eq!(Sha256Hash::of(&parquet).to_string(), list["days"][0]["parquet"]["sha256"].as_str().unwrap());
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    reader.get("/record/days/2001-01-01.csv").expect(404);
    reader.get("/record/days/x.csv").expect(404);
}

fn second_reason(app: &regie::http::AppState, ad: AdId) -> Sha256Hash {
    let versions = app.publication.db().versions(ad, None).unwrap();
    versions.iter().filter_map(|v| v.leaf.commitment("reason")).next_back().unwrap()
}
fn first_charge(stage: &Stage) -> u64 {
    let folder = stage.harness.folder().join("journal");
    let mut reader = regie_journal::JournalReader::open(&folder, regie_journal::Position(0)).unwrap();
    while let Some(batch) = reader.next_batch().unwrap() {
        for record in batch.records() {
            let event = regie_model::event::Event::decode(record.payload).unwrap();
            if matches!(event, regie_model::event::Event::Impression(_)) {
                return record.position.0;
            }
        }
    }
    panic!("nothing was charged")
}

#[test]
fn pages_and_answers_are_bound_to_a_size_of_the_log() {
    let stage = Stage::open();
    stage.show(1);
    let reader = stage.harness.anonymous();
    let ad = &stage.shop.ad;
    let first = stage.harness.app.publication.db().size().unwrap();
    let page = reader.get(&format!("/record/ads/{ad}")).expect(200).text();
    assert!(page.contains("Cite this") && page.contains(&format!("size={first}")), "{page}");
    stage.owner.post(
        "/v1/stops",
        json!({ "what": { "kind": "ad", "id": ad }, "on": true, "reason": "complaint upheld" }),
    );
    stage.harness.wait_for("a second version", || {
        get(&reader, &format!("/record/ads/{ad}/versions.json"))["versions"].as_array().unwrap().len() > 1
    });
    let then = get(&reader, &format!("/record/ads/{ad}.json?size={first}"));
    let now = get(&reader, &format!("/record/ads/{ad}.json"));
    assert_eq!((&then["status"], &now["status"]), (&json!("running"), &json!("stopped")));
    let page = reader.get(&format!("/record/ads/{ad}?size={first}")).expect(200).text();
    assert!(page.contains("as it was known at log size"));
    reader.get(&format!("/record/ads/{ad}?on=2001-01-01")).expect(404);
    reader.get(&format!("/record/ads/{ad}?on=soon")).expect(400);
    let list = get(&reader, &format!("/record/ads.json?q=bicycle&size={first}"));
    assert_eq!(list["entries"][0]["status"], "running", "a list as it was known");
    let page = reader.get(&format!("/record?q=bicycle&size={first}")).expect(200).text();
    assert!(page.contains("as it was known at log size"));
    reader.get(&format!("/record/sponsors/{}?size={first}", stage.shop.party)).expect(200);
    reader.get(&format!("/record/sponsors/{}?size=0", stage.shop.party)).expect(404);
    let diff = get(&reader, &format!("/record/changes.json?from={first}"));
    assert_eq!(diff["ads"][0]["ad"], ad.as_str());
    let paths: Vec<&str> =
        diff["ads"][0]["changes"].as_array().unwrap().iter().map(|c| c["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"facts.run"), "{paths:?}");
    reader.get("/record/changes?from=2001-01-01").expect(200);
    reader.get("/record/changes.json?from=9&to=1").expect(400);
    let versions = get(&reader, &format!("/record/ads/{ad}/versions.json"));
    for version in versions["versions"].as_array().unwrap() {
        let index = version["index"].as_u64().unwrap();
        let bytes = stage.harness.app.publication.db().leaf_bytes(index).unwrap().unwrap();
        assert_eq!(version["sha256"], Sha256Hash::of(&bytes).to_string());
    }
    reader.get(&format!("/record/ads/{ad}/versions")).expect(200);
}

#[test]
fn search_is_narrowed_by_party_vote_country_target_and_period() {
    let stage = Stage::open();
    let (_, political) = stage.political();
    let reader = stage.harness.anonymous();
    stage.harness.wait_for("both ads in the record", || {
        stage.show(1);
        get(&reader, "/record/ads.json")["entries_count"] == 2
    });
    let count =
        |query: &str| get(&reader, &format!("/record/ads.json?{query}"))["entries"].as_array().unwrap().len();
    let party = &stage.shop.party;
    for (query, want) in [
        (format!("sponsor={party}"), 2),
        (format!("payer={party}"), 2),
        ("sponsor=party_99".into(), 0),
        ("political=1".into(), 1),
        ("election=Municipal+election%2C+Example+Town".into(), 1),
        ("election=Other".into(), 0),
        ("q=vote&political=1".into(), 1),
        ("q=municipal".into(), 1),
        ("from=2029-01-01&to=2029-02-01".into(), 2),
        ("from=2040-01-01&to=2040-02-01".into(), 0),
        ("targeted=topic".into(), 0),
        ("country=FR".into(), 2),
        ("country=DE".into(), 0),
    ] {
        assert_eq!(count(&query), want, "{query}");
    }
    reader.get("/record/ads.json?from=soon").expect(400);
    let page = reader.get(&format!("/record?q=bicycle&sponsor={party}")).expect(200).text();
    assert!(page.contains("Follow this search") && page.contains("Cite this"));
    let feed = reader.get("/record/feed.atom?q=bicycle").expect(200);
    assert!(feed.header("content-type").starts_with("application/atom+xml"));
    assert!(
        feed.text().contains("<entry>") && feed.text().contains(&format!("/record/ads/{}", stage.shop.ad))
    );
    let elections = get(&reader, "/record/elections.json");
    assert_eq!(elections["elections"][0]["name"], "Municipal election, Example Town");
    assert_eq!(elections["elections"][0]["ads_count"], 1);
    reader.get("/record/elections").expect(200);
    let complete = get(&reader, "/record/completeness.json");
    assert_eq!(complete["ads_shown_by_the_ledger_count"], complete["ads_shown_in_the_record_count"]);
    assert_eq!(complete["shown_but_not_in_the_record"], json!([]));
    // Notice in a language, JSON, JSON-LD, and the form of Who Targets Me.
    let notice = get(&reader, &format!("/record/ads/{political}/notice.json?lang=fr"));
    assert_eq!(
        (&notice["language"], &notice["items"][4]["title"]),
        (&json!("fr"), &json!("Origine des fonds"))
    );
    assert_eq!(notice["items"][4]["values"][0], json!({ "label": "Les fonds sont", "value": "privés" }));
    let page = reader.get(&format!("/record/ads/{political}/notice?lang=fr")).expect(200).text();
    assert!(page.contains("Avis de transparence") && page.contains("lang=\"fr\""));
    let german = get(&reader, &format!("/record/ads/{political}/notice.json?lang=de"));
    assert_eq!(german["language"], "en", "nobody reviewed the German texts, and nobody opted in");
    let linked = get(&reader, &format!("/record/ads/{political}/notice.jsonld"));
    assert!(regie_record::export::faults(&linked).is_empty(), "{linked}");
    assert_eq!(
        get(&reader, &format!("/record/ads/{political}/wtm.json"))["ad/details"]["AD_ID"],
        political.as_str()
    );
    reader.get(&format!("/record/ads/{political}/other")).expect(404);
    // The repository's queue: a transport that fails, then one that does not.
    let app = &stage.harness.app;
    let mut failing = |_: &str, _: &[u8]| -> anyhow::Result<String> { anyhow::bail!("no answer") };
    assert_eq!(regie::http::record::outbox::round(app, &mut failing).unwrap(), 0);
    let mut sent = Vec::new();
    let mut taking = |_: &str, body: &[u8]| -> anyhow::Result<String> {
        sent.push(serde_json::from_slice::<Value>(body)?);
        Ok("taken".into())
    };
    assert_eq!(regie::http::record::outbox::round(app, &mut taking).unwrap(), 0, "not before its next try");
    app.publication.db().connection().execute("UPDATE outbox SET next_ms = 0", []).unwrap();
    assert_eq!(regie::http::record::outbox::round(app, &mut taking).unwrap(), 1);
    assert_eq!(regie::http::record::outbox::round(app, &mut taking).unwrap(), 0, "once");
    assert_eq!(sent[0]["identifier"], political.as_str());
}

#[test]
fn a_report_has_a_receipt_a_deadline_and_a_decision_and_its_words_are_sealed() {
    let stage = Stage::open();
    stage.show(1);
    let (reader, ad) = (stage.harness.anonymous(), &stage.shop.ad);
    let path = format!("/record/ads/{ad}/report");
    assert!(reader.get(&path).expect(200).text().contains("Report this ad"));
    reader.get("/record/ads/ad_99/report").expect(404);
    reader.form(&path, &[("words", "")]).expect(422);
    let words = "It is about the vote on Sunday, says Alix Exemple";
    let reply =
        reader.form(&path, &[("ground-undeclared", "on"), ("words", words), ("email", "alix@example.org")]);
    assert_eq!(reply.status, 303, "{}", reply.text());
    let receipt = reply.header("location").to_owned();
    let waits = reader.get(&receipt).expect(200).text();
    assert!(waits.contains("waits for a decision") && !waits.contains("Alix"), "{waits}");
    reader.get("/record/reports/report_1").expect(404);
    reader.get("/record/reports/report_1?receipt=guess").expect(404);
    for entry in std::fs::read_dir(stage.harness.folder().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(4).any(|w| w == b"Alix"), "J1: {}", path.display());
    }
    let owner = &stage.owner;
    assert!(owner.get("/console/complaints").expect(200).text().contains("report_1"));
    assert!(owner.get("/console/complaints/report_1").expect(200).text().contains("Alix Exemple"));
    stage.harness.user(Role::ReadOnly, None).get("/console/complaints/report_1").expect(403);
    let decide = [("outcome", "stopped"), ("reason", "It names the vote, and was not declared.")];
    assert_eq!(owner.form("/console/complaints/report_1", &decide).status, 303);
    assert!(reader.get(&receipt).expect(200).text().contains("the ad was stopped"));
    assert_eq!(get(&reader, &format!("/record/ads/{ad}.json"))["status"], "stopped");
    let again = owner.form("/console/complaints/report_1", &decide);
    assert!(again.status >= 400, "a report is decided once");
    assert_eq!(owner.form("/console/complaints/report_1/erase", &[]).status, 303);
    assert!(!owner.get("/console/complaints/report_1").expect(200).text().contains("Alix"));
}

#[test]
fn before_a_vote_a_report_is_due_in_48_hours_and_a_barred_or_silent_ad_is_not_served() {
    let stage = Stage::open();
    let owner = &stage.owner;
    let zone = regie_model::Zone::parse("Europe/Paris").unwrap();
    let today = zone.day(stage.harness.app.platform.now());
    let day = |offset: i32| regie_model::Day(today.0 + offset).to_string();
    let lines = format!(
        "name,kind,country,held_on,restricted_from,silent_from,official_url\n\
         Far vote,election,FR,{},,,https://vote.example/\nNear vote,referendum,FR,{},,{},\n",
        day(400),
        day(20),
        day(0)
    );
    assert_eq!(owner.form("/console/elections/import", &[("text", &lines)]).status, 303);
    assert!(owner.get("/console/elections").expect(200).text().contains("Near vote"));
    owner.form("/console/elections/import", &[("text", "name,country\nx,y\n")]).expect(422);
    {
        let catalogue = stage.harness.app.platform.catalogue();
        assert_eq!(catalogue.elections.len(), 2);
        let now = stage.harness.app.platform.now();
        let due = regie::http::record::due_at(&catalogue, ad_of(&stage.shop.ad), now);
        assert_eq!(due.0 - now.0, 48 * 3_600_000);
    }
    // Linked to the far vote the ad may run; its sponsor is not barred yet.
    let mut campaign = common::campaign(&stage.shop.advertiser, &stage.shop.party);
    campaign["political"] = common::declaration();
    campaign["political"]["linked"] = json!([{ "name": "Far vote", "election": "vote_1" }]);
    let id = create(owner, "/v1/campaigns", campaign.clone());
    let mut set = common::ad_set(&id);
    set["bid"] = json!({ "kind": "cpm", "micros_per_mille": 9_000_000 });
    let set = create(owner, "/v1/ad-sets", set);
    let ad = create(owner, "/v1/ads", common::ad(&set));
    create(owner, "/v1/versions", common::html_version(&ad, "Vote"));
    stage.approve(&ad);
    stage.harness.wait_for("the political ad", || stage.ask()["ad"]["ad"] == ad.as_str());
    // Linked to the near vote it may not: the country's silence before it has begun.
    campaign["political"]["linked"] = json!([{ "name": "Near vote", "election": "vote_2" }]);
    owner.put(&format!("/v1/campaigns/{id}"), campaign.clone()).expect(200);
    stage.harness.wait_for("the shop's ad instead", || stage.ask()["ad"]["ad"] == stage.shop.ad.as_str());
    campaign["political"]["linked"] = json!([{ "name": "Far vote", "election": "vote_9" }]);
    owner.put(&format!("/v1/campaigns/{id}"), campaign.clone()).expect(422);
    // A right that is missing holds it back too, and the console says why.
    campaign["political"]["linked"] = json!([{ "name": "Far vote", "election": "vote_1" }]);
    campaign["political"]["right_missing"] = json!("the photograph's licence");
    owner.put(&format!("/v1/campaigns/{id}"), campaign).expect(200);
    let body = json!({ "site": stage.site, "placements": [{ "name": "front-top" }], "page": { "url": "https://gazette.example/" } });
    stage.harness.wait_for("the reason", || {
        owner.post("/v1/decisions?explain=1", body.clone()).text().contains("lacks a right to be shown")
    });
    let page = owner.get(&format!("/console/campaigns/{id}")).expect(200).text();
    assert!(
        page.contains("the photograph&#39;s licence") || page.contains("photograph's licence"),
        "the booking says why"
    );
}

#[test]
fn the_open_interface_is_fair_and_says_when_to_come_back() {
    let harness = Harness::with(|config| config.record_requests_per_minute = 5);
    let reader = harness.anonymous();
    for _ in 0..5 {
        reader.get("/record/days.json").expect(200);
    }
    let refused = reader.get("/record/days.json").expect(429);
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=12).contains(&seconds));
    assert_eq!(refused.json()["code"], "too_many_requests");
    reader.get("/record").expect(200);
    let api = get(&reader, "/record/openapi.json");
    for (path, methods) in api["paths"].as_object().unwrap() {
        assert!(methods["get"]["responses"]["200"].is_object(), "{path}");
    }
    assert_eq!(api["info"]["x-requests-per-minute"], 5);
    reader.get("/record/data").expect(200);
    assert!(get(&reader, "/record/data.json")["limits"].as_array().unwrap().len() > 3);
}

#[test]
fn an_erased_sponsor_is_withheld_from_every_version_and_from_search() {
    let stage = Stage::open();
    stage.show(1);
    let reader = stage.harness.anonymous();
    let mut party = common::party("Quixotic Wheels");
    party["advertiser"] = stage.shop.advertiser.clone().into();
    stage.owner.put(&format!("/v1/parties/{}", stage.shop.party), party).expect(200);
    let count = || get(&reader, "/record/ads.json?q=quixotic")["entries"].as_array().unwrap().len();
    stage.harness.wait_for("the new name", || count() == 1);
    let first = stage.harness.app.publication.db().size().unwrap();
    let reply = stage
        .owner
        .post(&format!("/v1/parties/{}/erase", stage.shop.party), json!({ "reason": "asked for" }));
    assert!(reply.status < 300, "{}", reply.text());
    stage.harness.wait_for("the name gone from search", || count() == 0);
    let then = get(&reader, &format!("/record/ads/{}.json?size={first}", stage.shop.ad));
    assert_eq!(then["sponsor"]["withheld"], true, "{then}");
    assert!(!then.to_string().contains("Quixotic"), "{then}");
    let versions = get(&reader, &format!("/record/ads/{}/versions.json", stage.shop.ad));
    assert!(versions["versions"].as_array().unwrap().len() >= 2, "the leaves stay");
}
