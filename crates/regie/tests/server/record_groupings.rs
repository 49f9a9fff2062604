//! Groupings of sponsors that the publisher keeps: evidence, author and date in the record; a dispute; a change; a withdrawal that
//! takes what it said with it and leaves that it was.

use crate::common;
use crate::shown::Stage;
use regie::{platform::log::schema::Entries, publication::groupings};
use regie_model::{GroupingId, PartyId};
use regie_record::log::{
    Envelope, Policy,
    verify::{Verdict, Wanted, verify},
};
use serde_json::{Value, json};

fn check_log(stage: &Stage) -> regie_record::log::verify::Report {
    let mut source =
        regie::platform::log::client::HttpSource::new(&format!("{}/record/log", stage.harness.url));
    let policy = Policy::of_log(stage.harness.app.log.verifiers().remove(0));
    let wanted = Wanted { policy: &policy, seen: None, objects: true };
    verify(&mut source, &wanted, &mut Entries::default(), &mut |_, _| {})
}

#[test]
fn a_grouping_of_the_publishers_has_evidence_author_date_and_dispute() {
    let stage = Stage::open();
    stage.show(1);
    let other = common::open_shop(&stage.owner, "Riders United");
    let (shop, riders) = (stage.shop.party.clone(), other.party.clone());
    let (reader, owner) = (stage.harness.anonymous(), &stage.owner);
    let path = format!("/record/sponsors/{shop}");
    let both = format!("{shop}, {riders}");
    let fields = |sponsors: &str, id: &str, name: &str| -> Vec<(String, String)> {
        [
            ("id", id),
            ("name", name),
            ("sponsors", sponsors),
            ("evidence", "Register of associations, file 77: one founder"),
            ("evidence_url", "https://register.example/77"),
            ("author", "Research desk"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    };
    let send = |fields: &[(String, String)]| {
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        owner.form("/console/groupings", &pairs)
    };
    // What is missing or unknown is said, and nothing is published.
    for wrong in [
        fields(&shop, "", "Jo Exemple"),
        fields(&format!("{shop}, party_99"), "", "Jo Exemple"),
        fields(&both, "", ""),
    ] {
        let reply = send(&wrong);
        assert!(reply.text().contains("role=\"alert\""), "{}", reply.text());
    }
    assert!(stage.harness.app.platform.catalogue().groupings.is_empty());
    assert_eq!(send(&fields(&both, "", "Jo Exemple")).status, 303);
    stage.harness.wait_for("the grouping on the sponsor's page", || {
        reader.get(&path).expect(200).text().contains("Jo Exemple")
    });
    let page = reader.get(&path).expect(200).text();
    for part in [
        "Grouped by the publisher",
        "Register of associations",
        "https://register.example/77",
        "Research desk",
        "Riders United",
        "/dispute",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let told = || -> Value { reader.get(&format!("{path}.json")).expect(200).json()["groupings"].clone() };
    let first = told()[0].clone();
    assert_eq!((&first["id"], &first["version"]), (&json!("grp_1"), &json!(1)));
    assert_eq!(
        (&first["said"]["author"], &first["others"][0]["id"]),
        (&json!("Research desk"), &json!(riders))
    );
    // The entry: sponsors by number, and nobody's name.
    let index = first["entry_index"].as_u64().unwrap();
    let leaf = reader.get(&format!("/record/log/proof/{index}/leaf")).expect(200);
    assert!(!leaf.text().contains("Jo") && !leaf.text().contains("Research"), "{}", leaf.text());
    let leaf = Envelope::read(&leaf.body).unwrap();
    assert_eq!((leaf.kind.as_str(), leaf.id.as_str()), ("grouping", "grp_1"));
    assert_eq!(leaf.body_as::<groupings::Body>().unwrap().sponsors.len(), 2);
    // Nor does the journal have one in the clear.
    let state = stage.harness.app.platform.state();
    let sql = "SELECT count(*) FROM changes WHERE instr(body, 'Exemple') > 0";
    let clear: i64 = state.connection().query_row(sql, [], |r| r.get(0)).unwrap();
    drop(state);
    assert_eq!(clear, 0, "a name stands in the journal");
    // A dispute: form, receipt, decision.
    let reply = reader.form(&format!("{path}/dispute"), &[("words", "Riders United has two founders")]);
    assert_eq!(reply.status, 303, "{}", reply.text());
    let receipt = reply.header("location").to_owned();
    let report = receipt.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let decide = [("outcome", "corrected"), ("reason", "The register names two.")];
    assert_eq!(owner.form(&format!("/console/complaints/{report}"), &decide).status, 303);
    assert!(reader.get(&receipt).expect(200).text().contains("The register names two."));
    // It is corrected: a second version, and what was known before stays readable.
    assert_eq!(send(&fields(&both, "grp_1", "Jo Exemple and Kim Modele")).status, 303);
    stage.harness.wait_for("the second version", || told()[0]["version"] == 2);
    let then = reader.get(&format!("{path}.json?size={}", index + 1)).expect(200).json();
    assert_eq!(then["groupings"][0]["said"]["name"], "Jo Exemple");
    assert_eq!(send(&fields(&both, "grp_1", "Jo Exemple and Kim Modele")).status, 303);
    let report = check_log(&stage);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    // It is withdrawn: gone from the page; what it said is under tombstones; the leaves stay.
    owner.form("/console/groupings/grp_1/withdraw", &[("reason", "")]);
    assert_eq!(told().as_array().unwrap().len(), 1, "a withdrawal has a reason");
    let reply = owner.form("/console/groupings/grp_1/withdraw", &[("reason", "upheld dispute")]);
    assert_eq!(reply.status, 303, "{}", reply.text());
    stage.harness.wait_for("the withdrawal", || told().as_array().unwrap().is_empty());
    stage.harness.wait_for("the tombstones", || check_log(&stage).withheld.len() == 2);
    let report = check_log(&stage);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    let then = reader.get(&format!("{path}.json?size={}", index + 1)).expect(200).json();
    assert_eq!(
        (&then["groupings"][0]["withheld"], &then["groupings"][0]["said"]),
        (&json!(true), &Value::Null)
    );
    assert!(!owner.get("/console/groupings").expect(200).text().contains("Exemple"));
    // record.db is a projection of it: made anew, it says the same.
    let before =
        groupings::of(&stage.harness.app.publication.db(), shop.parse::<PartyId>().unwrap(), Some(index + 1))
            .unwrap();
    let mut harness = stage.harness;
    harness.stop();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(harness.folder().join(format!("record.db{suffix}")));
    }
    let harness = harness.restart();
    let again = groupings::of(&harness.app.publication.db(), shop.parse().unwrap(), Some(index + 1)).unwrap();
    assert_eq!(before, again);
    assert_eq!(again[0].id, GroupingId(1));
}
