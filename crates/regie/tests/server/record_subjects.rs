//! What the record owes to whom it is about and to whom may ask: the signed dossier, the date on a personal field and its end,
//! decisions on reports as entries, elections from a file.

use crate::common;

use crate::program::{key, regie, text};
use crate::shown::Stage;
use regie_model::{AdId, UtcMs, time::DAY_MS};
use regie_record::log::{
    Policy,
    dossier::{Dossier, check},
    verify::{Verdict, Wanted, verify},
};
use serde_json::json;

/// A political ad beside the shop's, shown, with several versions and one withheld name.
fn busy() -> (Stage, AdId) {
    let stage = Stage::open();
    let (_, ad) = stage.political();
    let id: AdId = ad.parse().unwrap();
    stage.harness.wait_for("the political ad", || {
        stage.show(1);
        stage.harness.app.platform.folds().ledger.totals(id).impressions_count > 0
    });
    let publication = &stage.harness.app.publication;
    let stop = json!({ "what": { "kind": "ad", "id": ad }, "on": true, "reason": "complaint upheld" });
    assert!(stage.owner.post("/v1/stops", stop).status < 300);
    stage.harness.wait_for("the stop in the record", || {
        publication.db().facts(id).unwrap().is_some_and(|f| f.run == regie_record::RunState::Stopped)
    });
    publication.settle_at(UtcMs(stage.harness.app.platform.now().0 + 2 * DAY_MS)).unwrap();
    (stage, id)
}

#[test]
fn a_dossier_is_complete_signed_and_checked_anywhere() {
    let (mut stage, ad) = busy();
    let reader = stage.harness.anonymous();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (key, url) = (key(&stage.harness), format!("{}/record/log", stage.harness.url));
    // One name is withheld: the dossier then has its tombstone in its place.
    let party = stage.shop.party.clone();
    let erase = stage.owner.post(&format!("/v1/parties/{party}/erase"), json!({ "reason": "asked for" }));
    assert!(erase.status < 300, "{}", erase.text());
    let policy = Policy::parse(&format!("log {key}\nquorum none\n")).unwrap();
    let path = format!("/record/sponsors/{party}/dossier.json");
    let read = || Dossier::parse(&reader.get(&path).expect(200).body).unwrap();
    stage
        .harness
        .wait_for("the tombstone in the dossier", || check(&read(), &policy).unwrap().withheld_count > 0);
    let file = at("dossier.json");
    std::fs::write(&file, &reader.get(&path).expect(200).body).unwrap();
    let verify =
        |more: &[&str]| regie(&[&["verify", "--dossier", text(&file), "--key", &key], more].concat());
    let (code, told) = verify(&[&url]);
    assert_eq!((code, &told["fits"], &told["compared_with_log"]), (0, &json!(true), &json!(true)), "{told}");
    assert_eq!(told["ads"], 2);
    assert!(told["versions"].as_u64().unwrap() >= 5, "facts, the stop, figures: {told}");
    // By its vote, the political ad alone.
    let by_vote = "/record/elections/dossier.json?election=Municipal+election%2C+Example+Town";
    let vote = Dossier::parse(&reader.get(by_vote).expect(200).body).unwrap();
    assert_eq!(vote.document.ads.iter().map(|a| a.ad).collect::<Vec<_>>(), [ad]);
    assert_eq!(check(&vote, &policy).unwrap().faults, Vec::<String>::new());
    reader.get("/record/elections/dossier.json?election=Other").expect(404);
    reader.get("/record/sponsors/party_99/dossier.json").expect(404);
    // Whoever changes it on the way is found out: by the signature, and by the proofs if it were signed anew.
    let good = read();
    let by = stage.harness.app.log.signatory().unwrap().clone();
    let faults = |change: &dyn Fn(&mut Dossier)| {
        let mut changed = good.clone();
        change(&mut changed);
        assert!(check(&changed, &policy).is_err(), "the signature is of another document");
        let again = Dossier::sign(changed.document, &by).unwrap();
        check(&again, &policy).unwrap().faults
    };
    type Change<'a> = &'a dyn Fn(&mut Dossier);
    let cases: [(&str, Change<'_>); 6] = [
        ("left out", &|d| drop(d.document.ads[1].versions.remove(0))),
        ("not proved", &|d| d.document.ads[0].versions[0].entry.index += 1),
        ("its facts are not", &|d| {
            let facts = d.document.ads[0].versions.iter_mut().find_map(|v| v.facts.as_mut());
            facts.unwrap().targeting.words = "Everybody".into();
        }),
        ("no tombstone", &|d| {
            let parts = d.document.ads.iter_mut().flat_map(|a| &mut a.versions).flat_map(|v| &mut v.parts);
            parts.filter(|p| p.tombstone.is_some()).for_each(|p| p.tombstone = None);
        }),
        ("parts are not those", &|d| drop(d.document.ads[0].versions[0].parts.pop())),
        ("not of what", &|d| d.document.about.sponsor = Some(regie_model::PartyId(77))),
    ];
    for (word, change) in cases {
        let told = faults(change);
        assert!(told.iter().any(|fault| fault.contains(word)), "{word}: {told:?}");
    }
    // An ad that is left out is seen beside the log.
    let mut fewer = good.clone();
    fewer.document.ads.pop();
    let fewer = Dossier::sign(fewer.document, &by).unwrap();
    std::fs::write(&file, serde_json::to_vec(&fewer).unwrap()).unwrap();
    assert_eq!(verify(&[]).0, 0, "by itself nothing is wrong with it");
    let (code, told) = verify(&[&url]);
    assert_eq!(code, 1, "{told}");
    assert!(told.to_string().contains("is not in the dossier"), "{told}");
    // The command makes the same file, beside a server or without it.
    stage.harness.stop();
    let folder = stage.harness.folder().to_path_buf();
    let made = at("made.json");
    let (code, told) =
        regie(&["--folder", text(&folder), "dossier", "--sponsor", &party, "--to", text(&made)]);
    assert_eq!((code, &told["ads"]), (0, &json!(2)), "{told}");
    let made = Dossier::parse(&std::fs::read(&made).unwrap()).unwrap();
    assert_eq!(check(&made, &policy).unwrap().faults, Vec::<String>::new());
    assert_eq!(made.document.ads, good.document.ads);
    let none = at("none.json");
    let absent = ["--folder", text(&folder), "dossier", "--election", "Other", "--to", text(&none)];
    assert_eq!(regie(&absent).0, 1);
}

#[test]
fn a_personal_field_is_withheld_when_its_time_is_over() {
    let (stage, ad) = busy();
    let (app, reader) = (&stage.harness.app, stage.harness.anonymous());
    let versions = || reader.get(&format!("/record/ads/{ad}/versions.json")).expect(200).json();
    let first = versions()["versions"][0].clone();
    let until = first["personal_kept_until"]["sponsor.name"].as_str().unwrap().to_owned();
    let by_default = 2_557 * DAY_MS;
    let year: i32 = until[..4].parse().unwrap();
    assert!(year >= 2029 + 7, "the ad's flight ends in 2029 or later: {until}");
    // A day before the end of the time nothing happens; at its end every field of the party goes, and the leaves stay.
    let end = UtcMs::parse(&until).unwrap();
    assert_eq!(app.publication.withhold_expired(UtcMs(end.0 - DAY_MS)).unwrap(), 0);
    let size = app.publication.log_size();
    assert!(app.publication.withhold_expired(UtcMs(end.0 + by_default)).unwrap() > 0);
    let entry = reader.get(&format!("/record/ads/{ad}.json?size={size}")).expect(200).json();
    assert_eq!(entry["sponsor"]["withheld"], true, "{entry}");
    assert!(versions()["versions"][0]["personal_kept_until"].is_null(), "what is gone has no date");
    // Outsiders are told on what ground.
    let policy = Policy::of_log(app.log.verifiers().remove(0));
    let mut source =
        regie::platform::log::client::HttpSource::new(&format!("{}/record/log", stage.harness.url));
    let wanted = Wanted { policy: &policy, seen: None, objects: true };
    let mut schema = regie::platform::log::schema::Entries::default();
    let report = verify(&mut source, &wanted, &mut schema, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    let told = report
        .withheld
        .iter()
        .filter(|(_, part, ground)| part.starts_with("sponsor.") && ground.contains("retention"));
    assert!(told.count() >= 2, "{:?}", report.withheld);
    // What was withheld stays so: the next version does not bring it again.
    let lift = json!({ "what": { "kind": "ad", "id": ad }, "on": false, "reason": "corrected" });
    assert!(stage.owner.post("/v1/stops", lift).status < 300);
    stage.harness.wait_for("another version", || {
        app.publication.db().facts(ad).unwrap().is_some_and(|f| f.run == regie_record::RunState::Active)
    });
    assert!(app.publication.db().facts(ad).unwrap().unwrap().sponsor.withheld);
}

#[test]
fn a_decision_on_a_report_is_an_entry_of_the_log_and_names_nobody() {
    let (stage, ad) = busy();
    let (app, reader) = (&stage.harness.app, stage.harness.anonymous());
    let words = "It is about Sunday, says Alix Exemple";
    let form = [("ground-undeclared", "on"), ("words", words), ("email", "alix@example.org")];
    assert_eq!(reader.form(&format!("/record/ads/{ad}/report"), &form).status, 303);
    let decide = [("outcome", "corrected"), ("reason", "It is declared now.")];
    assert_eq!(stage.owner.form("/console/complaints/report_1", &decide).status, 303);
    let of = || regie::publication::decisions::of(&app.publication.db(), ad, None).unwrap();
    stage.harness.wait_for("the decision in the log", || !of().is_empty());
    let line = &of()[0];
    let decided = line.decided.clone().unwrap();
    assert_eq!(
        (decided.report.to_string().as_str(), decided.outcome.word()),
        ("report_1", "the ad was corrected")
    );
    assert_eq!(
        (line.reason.as_str(), &decided.grounds[..]),
        ("It is declared now.", &["undeclared".to_owned()][..])
    );
    let page = reader.get(&format!("/record/ads/{ad}")).expect(200).text();
    assert!(page.contains("Reports of this ad, as decided") && page.contains("It is declared now."));
    let earlier = reader.get(&format!("/record/ads/{ad}?size={}", line.index)).expect(200).text();
    assert!(!earlier.contains("as decided"), "not known yet then");
    assert!(
        reader.get(&format!("/record/ads/{ad}/versions")).expect(200).text().contains("Decision on a report")
    );
    // Once: neither the hourly round nor a restart publishes it again, and nothing of the reporter is public.
    let size = app.publication.log_size();
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    assert_eq!((of().len(), app.publication.log_size()), (1, size));
    let record = stage.harness.folder().join("record");
    let mut open = vec![record];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            for secret in ["Alix", "alix@example.org", "about Sunday"] {
                assert!(
                    !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()),
                    "R4: {}",
                    path.display()
                );
            }
        }
    }
    let harness = stage.harness.restart();
    assert_eq!(harness.app.platform.catalogue().reports.len(), 1, "the image has reports");
    harness.app.publication.settle().unwrap();
    assert_eq!(regie::publication::decisions::of(&harness.app.publication.db(), ad, None).unwrap().len(), 1);
}

/// A template's ad: committed to before it is shown, its combinations in a manifest at the close of the day, each with a page, a
/// proof, and a rendering from a mirror alone.
#[test]
fn what_a_template_showed_is_proved_and_rendered_from_a_mirror_alone() {
    let mut stage = Stage::open();
    let owner = stage.owner.clone();
    let mut spec = common::ad(&stage.shop.ad_set);
    let words = |texts: &[&str]| texts.iter().map(|text| json!({ "text": text })).collect::<Vec<_>>();
    spec["template"] = json!({
        "layout": { "kind": "html", "markup": "<a href=\"{CLICK_URL}\"><b>{slot:title}</b> {slot:body}</a>", "size": { "width": 300, "height": 250 } },
        "slots": [
            { "name": "title", "capacity": 4, "assets": words(&["Two wheels", "Ride <on>", "Quixotic saddles"]) },
            { "name": "body", "capacity": 4, "assets": words(&["by the river", "in the rain"]) },
        ],
        "never": [[{ "slot": 0, "asset": 0 }, { "slot": 1, "asset": 1 }]],
    });
    let text_id = common::create(&owner, "/v1/ads", spec);
    stage.approve(&text_id);
    let ad: AdId = text_id.parse().unwrap();
    // Whoever serves needs the documents at hand.
    let template = stage.harness.app.platform.catalogue().ads[&ad].kept.spec.template.clone().unwrap();
    for title in 0..3 {
        for body in 0..2 {
            let creative = template.creative_of(&[title, body]).unwrap();
            stage.harness.app.platform.objects.put(&creative.to_bytes()).unwrap();
        }
    }
    let pause = json!({ "status": "paused" });
    owner.post(&format!("/v1/ads/{}/status", stage.shop.ad), pause).expect(200);
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    stage.harness.wait_for("several combinations", || {
        let told = stage.ask();
        if told["ad"]["ad"] == text_id.as_str() {
            stage.report(told["ad"]["ticket"].as_str().unwrap(), &["impression"]);
            seen.insert(told["ad"]["version"].as_str().unwrap().to_owned());
            count += 1;
        }
        seen.len() >= 3 && count >= 20
    });
    let app = &stage.harness.app;
    let head = app.metrics.head();
    assert!(app.platform.wait_applied(head, 5_000));
    app.publication.settle_at(UtcMs(app.platform.now().0 + 2 * DAY_MS)).unwrap();
    let reader = stage.harness.anonymous();
    let entry = reader.get(&format!("/record/ads/{ad}.json")).expect(200).json();
    assert_eq!(entry["content"]["template"]["combinations_count"], 6, "{entry}");
    assert_eq!(
        reader.get("/record/ads.json?q=quixotic").expect(200).json()["entries"].as_array().unwrap().len(),
        1
    );
    let (mut sum, mut any) = (0, String::new());
    for version in &seen {
        let path = format!("/record/ads/{ad}/versions/{version}");
        let told = reader.get(&format!("{path}.json")).expect(200).json();
        let day: regie_record::shown::ProvedLine = serde_json::from_value(told["days"][0].clone()).unwrap();
        let (index, lines) = (day.index as usize, day.lines_count as usize);
        assert!(regie_record::dayclose::manifest_holds(&day.line, index, lines, &day.path, day.manifest));
        // The manifest's root stands in a leaf that the log has, under its checkpoint.
        let leaf = reader.get(&format!("/record/log/proof/{}/leaf", day.entry_index)).expect(200);
        let figures = regie_record::leaf::Leaf::parse(&leaf.body).unwrap().figures.unwrap();
        assert_eq!(figures.manifest, Some(day.manifest));
        let proof = reader.get(&format!("/record/log/proof/{}", day.entry_index)).expect(200).text();
        regie_record::log::proof::TlogProof::parse(&proof).unwrap().verify(&leaf.body).unwrap();
        assert_eq!(told["elements"].as_array().unwrap().len(), 2);
        let frame = reader.get(&format!("{path}/frame")).expect(200).text();
        assert!(frame.contains("<b>") && !frame.contains("Ride <on>"), "assets are text: {frame}");
        assert!(reader.get(&path).expect(200).text().contains("from the public record alone"));
        sum += day.line.impressions_count;
        any.clone_from(version);
    }
    assert_eq!(sum, count, "every impression is one version's");
    reader.get(&format!("/record/ads/{ad}/versions/ver_77")).expect(404);
    // A mirror, without the server: verified, and rendered.
    let dir = tempfile::tempdir().unwrap();
    let (copy, page, seen_file) =
        (dir.path().join("copy"), dir.path().join("v.html"), dir.path().join("seen"));
    let (key, url) = (key(&stage.harness), format!("{}/record/log", stage.harness.url));
    assert_eq!(regie(&["mirror", &url, "--key", &key, "--to", text(&copy)]).0, 0);
    stage.harness.stop();
    let (code, told) = regie(&["verify", text(&copy), "--key", &key, "--state", text(&seen_file)]);
    assert_eq!((code, &told["verdict"]), (0, &json!("consistent, unwitnessed")), "{told}");
    let render = ["record", "render", text(&copy), &text_id, &any, "--key", &key, "--to", text(&page)];
    let (code, told) = regie(&render);
    assert_eq!((code, &told["version"]), (0, &json!(any)), "{told}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("alone") && html.contains("srcdoc"), "{html}");
    let never = ["record", "render", text(&copy), &text_id, "ver_77", "--key", &key, "--to", text(&page)];
    assert!(regie(&never).1.to_string().contains("no closed day"));
}

#[test]
fn elections_are_imported_from_a_file_by_the_operator() {
    let mut stage = Stage::open();
    stage.harness.stop();
    let folder = stage.harness.folder().to_path_buf();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("votes.csv");
    let columns = "name,kind,country,held_on,restricted_from,silent_from,official_url";
    let write = |lines: &str| std::fs::write(&file, format!("{columns}\n{lines}")).unwrap();
    let import = |more: &[&str]| {
        regie(&[&["--folder", text(&folder), "elections", "import", text(&file)], more].concat())
    };
    write("Municipal election,election,FR,2029-03-15,,2029-03-14,https://vote.example/\n");
    let (code, told) = import(&["--dry-run"]);
    assert_eq!((code, &told["added"], &told["dry_run"]), (0, &json!(1), &json!(true)), "{told}");
    assert_eq!(regie(&["--folder", text(&folder), "elections", "list"]).1["elections"], json!([]));
    assert_eq!(import(&[]).1["added"], 1);
    // The same line again changes the vote that is known; a wrong line changes nothing and is named.
    write("Municipal election,election,FR,2029-03-15,2028-12-01,2029-03-13,https://vote.example/\n");
    assert_eq!((import(&[]).1["added"].clone(), import(&[]).1["changed"].clone()), (json!(0), json!(1)));
    write("Other vote,election,FR,2029-05-01,,,\nWrong,plebiscite,France,soon,,,\n");
    let (code, told) = import(&[]);
    assert_eq!(code, 1);
    assert!(told.to_string().contains("line 3"), "{told}");
    let (_, told) = regie(&["--folder", text(&folder), "elections", "list"]);
    assert_eq!(told["elections"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["elections"][0]["election"]["silent_from"], "2029-03-13");
    // The server has it: in the record's overview, without sign-in.
    let harness = stage.harness.restart();
    let elections = harness.anonymous().get("/record/elections.json").expect(200).json();
    assert_eq!(elections["elections"][0]["name"], "Municipal election");
    // A second start reads the catalogue's image, which has votes and reports too: else a blackout would end with a restart.
    let harness = harness.restart();
    assert_eq!(harness.app.platform.catalogue().elections.len(), 1);
}
