//! How the record is read: the notice in a language that the publisher opted into, the ranking of spenders and the votes as known at a
//! size of the log, links to cite by, bulk files and their hashes; uploads to a repository; reports that arrive together.

use crate::common::Client;
use crate::shown::{FLOOR_NANOS, Stage};
use regie_model::{UtcMs, time::DAY_MS};
use regie_record::commit::Sha256Hash;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

fn get(reader: &Client, path: &str) -> Value {
    reader.get(path).expect(200).json()
}
/// A stage with a political ad that was shown, and its number.
fn political() -> (Stage, String) {
    let stage = Stage::open();
    let (_, ad) = stage.political();
    let id = ad.parse().unwrap();
    stage.harness.wait_for("the political ad", || {
        stage.show(1);
        stage.harness.app.platform.folds().ledger.totals(id).impressions_count > 0
    });
    (stage, ad)
}

#[test]
fn label_and_notice_are_in_a_language_that_the_publisher_opted_into() {
    let (stage, ad) = political();
    let reader = stage.harness.anonymous();
    let notice = format!("/record/ads/{ad}/notice");
    let page = reader.get(&format!("{notice}?lang=de")).expect(200).text();
    assert!(page.contains("Transparency notice") && !page.contains("lang=\"de\""), "nobody has opted in");
    let mut publisher = get(&stage.owner, "/v1/publisher")["spec"].clone();
    publisher["label_languages"] = json!(["de"]);
    stage.owner.put("/v1/publisher", publisher).expect(200);
    let german = get(&reader, &format!("{notice}.json?lang=de-AT"));
    assert_eq!((&german["language"], german["items"].as_array().unwrap().len()), (&json!("de"), 13));
    assert_eq!(german["items"][0]["values"][2]["label"], "Postanschrift");
    assert_eq!(german["items"][4]["values"][0], json!({ "label": "Die Mittel sind", "value": "privat" }));
    let linked = get(&reader, &format!("{notice}.jsonld?lang=de"));
    assert_eq!(linked["inLanguage"], "de");
    assert!(regie_record::export::faults(&linked).is_empty(), "{linked}");
    let page = reader.get(&format!("{notice}?lang=de")).expect(200).text();
    for words in ["<article lang=\"de\">", "Die Mittel sind", "vom Sponsor angegeben", "hreflang=\"de\""] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // To print: what only leads elsewhere is left out by the style sheet, and all thirteen items stand there.
    assert_eq!(page.matches("<ol class=\"notice\"").count(), 1);
    assert!(page.contains("noprint"));
    // A language of the list that nobody opted into stays English.
    assert_eq!(get(&reader, &format!("{notice}.json?lang=it"))["language"], "en");
    // The label follows the page's language, and leads to the notice in it.
    let body = json!({ "site": stage.site, "placements": [{ "name": "front-top" }],
        "page": { "url": "https://gazette.example/", "language": "de" } });
    let mut label = Value::Null;
    stage.harness.wait_for("a political label", || {
        let reply = reader.post("/v1/decisions", body.clone()).expect(200).json();
        label = reply["decisions"][0]["ad"]["label"].clone();
        label["political"] == true && label["language"] == "de"
    });
    assert_eq!(label["linked"], "im Zusammenhang mit: Municipal election, Example Town");
    let path = label["notice_path"].as_str().unwrap();
    assert_eq!(path, format!("{notice}?lang=de"));
    reader.get(path).expect(200);
}

#[test]
fn spenders_votes_and_changes_are_bound_to_a_size_of_the_log() {
    let (stage, _) = political();
    let (app, reader) = (&stage.harness.app, stage.harness.anonymous());
    let party = &stage.shop.party;
    let before = app.publication.db().size().unwrap();
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let closed = app.publication.db().size().unwrap();
    assert!(closed > before);
    let spent = |told: &Value| -> Option<i128> {
        let first = told["currencies"].as_array().unwrap().first()?;
        assert_eq!(first["sponsors"][0]["sponsor"], party.as_str());
        Some(first["sponsors"][0]["spend_nanos"].as_str().unwrap().parse().unwrap())
    };
    let impressions: u64 =
        app.platform.folds().ledger.ads().map(|(_, counters)| counters.impressions_count).sum();
    let now = get(&reader, "/record/spenders.json");
    let by_the_ledger = spent(&now).unwrap();
    assert_eq!(by_the_ledger % i128::from(FLOOR_NANOS), 0);
    assert!(by_the_ledger > 0 && by_the_ledger <= i128::from(impressions) * i128::from(2 * FLOOR_NANOS));
    // As known before the day was closed nothing was published; afterwards all of it.
    assert_eq!(spent(&get(&reader, &format!("/record/spenders.json?size={before}"))), None);
    let then = get(&reader, &format!("/record/spenders.json?size={closed}"));
    assert_eq!((spent(&then), &then["size"]), (Some(by_the_ledger), &json!(closed)));
    assert_eq!(spent(&get(&reader, "/record/spenders.json?since=2999-01-01")), None);
    let votes = get(&reader, &format!("/record/elections.json?size={closed}"));
    let now = get(&reader, "/record/elections.json");
    assert_eq!(votes["elections"], now["elections"]);
    assert_eq!(votes["elections"][0]["ads_count"], 1);
    let early = get(&reader, &format!("/record/elections.json?size={before}"));
    assert_eq!(early["elections"][0]["impressions_count"], 0, "no day was closed");
    // Every page that states something has a link and words to cite it by.
    for (path, bound) in [
        ("/record/spenders?since=2026-01-01", format!("/record/spenders?since=2026-01-01&amp;size={closed}")),
        ("/record/elections", format!("/record/elections?size={closed}")),
        ("/record/changes", format!("/record/changes?from=0&amp;to={closed}&amp;size={closed}")),
    ] {
        let page = reader.get(path).expect(200).text();
        assert!(page.contains("Cite this") && page.contains(&bound), "{path}: {page}");
        reader.get(&bound.replace("&amp;", "&")).expect(200);
    }
    assert!(reader.get("/record").expect(200).text().contains("/record/spenders?since="));
    reader.get("/record/spenders.json?size=x").expect(400);
}

#[test]
fn reports_that_arrive_together_have_numbers_and_receipts_of_their_own() {
    let stage = Stage::open();
    stage.show(1);
    let path = format!("/record/ads/{}/report", stage.shop.ad);
    let together = std::sync::Barrier::new(8);
    let receipts: Vec<String> = std::thread::scope(|scope| {
        let file = |n: usize| {
            let (stage, path, together) = (&stage, &path, &together);
            move || {
                let reader = stage.harness.anonymous();
                let words = format!("Report {n} of many at one moment");
                together.wait();
                let reply = reader.form(path, &[("ground-undeclared", "on"), ("words", &words)]);
                assert_eq!(reply.status, 303, "{}", reply.text());
                reply.header("location").to_owned()
            }
        };
        let filing: Vec<_> = (0..8).map(|n| scope.spawn(file(n))).collect();
        filing.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let numbers: BTreeSet<&str> = receipts.iter().map(|r| r.split('?').next().unwrap()).collect();
    assert_eq!(numbers.len(), 8, "{receipts:?}");
    let reader = stage.harness.anonymous();
    receipts.iter().for_each(|receipt| drop(reader.get(receipt).expect(200)));
    let catalogue = stage.harness.app.platform.catalogue();
    let keys: BTreeSet<_> = catalogue.reports.values().map(|report| report.spec.reporter.key).collect();
    assert_eq!((catalogue.reports.len(), keys.len()), (8, 8), "each reporter has a key of their own");
}

/// The hash that is announced for a day's CSV, and the file itself.
fn bulk(reader: &Client) -> (String, String) {
    let told = get(reader, "/record/days.json")["days"][0]["csv"].clone();
    let file = reader.get(told["path"].as_str().unwrap()).expect(200).body;
    assert_eq!(Sha256Hash::of(&file).to_string(), told["sha256"].as_str().unwrap(), "announced and served");
    (told["sha256"].as_str().unwrap().to_owned(), String::from_utf8(file).unwrap())
}

#[test]
fn a_bulk_file_keeps_its_hash_until_its_day_says_something_else() {
    let stage = Stage::open();
    stage.show(1);
    let (app, reader) = (&stage.harness.app, stage.harness.anonymous());
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let (first, text) = bulk(&reader);
    assert!(text.contains("Bicycle Shop"), "{text}");
    // Another name later: it was not known when the day was closed.
    let mut party = crate::common::party("Velocipede Works");
    party["advertiser"] = stage.shop.advertiser.clone().into();
    stage.owner.put(&format!("/v1/parties/{}", stage.shop.party), party).expect(200);
    stage.harness.wait_for("the new name in the record", || {
        let facts = app.publication.db().facts(stage.shop.ad.parse().unwrap()).unwrap();
        facts.is_some_and(|facts| facts.sponsor.name == "Velocipede Works")
    });
    assert_eq!(bulk(&reader), (first.clone(), text));
    // What is withheld is in no file any more, and the hash says that it is another one.
    let reply =
        stage.owner.post(&format!("/v1/parties/{}/erase", stage.shop.party), json!({ "reason": "request" }));
    assert!(reply.status < 300, "{}", reply.text());
    let mut after = (String::new(), "Bicycle Shop".to_owned());
    stage.harness.wait_for("a file without the name", || {
        after = bulk(&reader);
        !after.1.contains("Bicycle Shop")
    });
    assert_ne!(after.0, first);
    assert!(after.1.contains("withheld"), "{}", after.1);
}

/// A repository that answers each upload with the next status, and gives back what it was sent.
fn repository(statuses: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/uploads", listener.local_addr().unwrap());
    let serve = move || {
        let mut taken = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            taken.push((head, serde_json::from_slice(&body).unwrap()));
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnoted");
            stream.write_all(&answer.as_bytes()[..answer.len() - 1]).unwrap();
        }
        taken
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn uploads_to_a_repository_are_tried_again_and_the_console_says_how_they_stand() {
    let (stage, ad) = political();
    let (app, owner) = (&stage.harness.app, &stage.owner);
    let (address, served) = repository(&["503 Service Unavailable", "201 Created"]);
    let mut send = |_: &str, body: &[u8]| regie::http::record::outbox::send(&address, body);
    let mut round = || regie::http::record::outbox::round(app, &mut send).unwrap();
    assert!(owner.get("/console/repository").expect(200).text().contains("Nothing is sent"));
    assert_eq!(round(), 0, "the repository did not take it");
    let page = owner.get("/console/repository").expect(200).text();
    assert!(page.contains("status 503") && page.contains(&format!("/record/ads/{ad}")), "{page}");
    assert_eq!(page.matches("overdue").count(), 1, "a heading alone: {page}");
    let waiting = || regie::publication::sending::waiting(&app.publication.db(), 10).unwrap();
    let [upload] = &waiting()[..] else { panic!("one upload waits") };
    let published = app.publication.db().versions(upload.ad, None).unwrap()[0].leaf.at;
    assert_eq!(upload.due_at.0, published.0 + 72 * 3_600_000, "72 hours from the first publication");
    assert!(upload.next_at > app.platform.now() && upload.tries_count == 1);
    app.publication.db().connection().execute("UPDATE outbox SET next_ms = 0, due_ms = 1", []).unwrap();
    assert_eq!(owner.get("/console/repository").expect(200).text().matches("overdue").count(), 2);
    assert_eq!(round(), 1);
    let taken = served.join().unwrap();
    assert!(taken.iter().all(|(head, _)| head.starts_with("POST /uploads ")));
    assert!(taken[1].0.to_lowercase().contains("content-type: application/ld+json"));
    assert_eq!((&taken[1].1["identifier"], &taken[1].1["version"]), (&json!(ad), &json!(upload.version)));
    assert_eq!(round(), 0, "nothing is sent twice");
    // A correction has the same id and a higher version, without anybody asking for it.
    let stop = json!({ "what": { "kind": "ad", "id": ad }, "on": true, "reason": "complaint upheld" });
    assert!(owner.post("/v1/stops", stop).status < 300);
    let folder = tempfile::tempdir().unwrap();
    let target = format!("file:{}", folder.path().display());
    let mut sent = 0;
    stage.harness.wait_for("the correction", || {
        let mut write = |_: &str, body: &[u8]| regie::http::record::outbox::send(&target, body);
        sent += regie::http::record::outbox::round(app, &mut write).unwrap();
        sent > 0
    });
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let told: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(told["identifier"], ad.as_str());
    assert!(told["version"].as_u64().unwrap() > u64::from(upload.version));
}
