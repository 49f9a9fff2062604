//! What a payer can find out with an audit file alone: each way in which an invoice can differ from what was published.
#![allow(clippy::unwrap_used)]

mod log_world;

use log_world::{START_MS, Shared, key, open, policy};
use regie_record::log::{
    Append, Envelope, Hash, Note,
    audit::{AuditError, AuditFile, Invoice, Line, ProvedDay, audit, sign_invoice},
    day::{BillingEvent, ChargedFor, DayLeaf, DayTree},
    leaf::KIND_DAY,
    outside::OwnFiles,
    proof::TlogProof,
    read::inclusion_from,
};

fn events(ad: u64, day: i64) -> Vec<BillingEvent> {
    (0..5)
        .map(|at| BillingEvent(format!("{ad}-{day}{at}"), ChargedFor::Impression, 2_000_003, day * 24 + at))
        .chain([BillingEvent(format!("{ad}-{day}0"), ChargedFor::Impression, -1_000_000, day * 24 + 9)])
        .collect()
}
fn leaf(day: i64, ad: u64) -> DayLeaf {
    let name = format!("2026-11-{day:02}");
    DayLeaf::of(&name, "adset_1", Some(&format!("ad_{ad}")), "EUR", seed(day, ad), &events(ad, day)).unwrap()
}
fn seed(day: i64, ad: u64) -> Hash {
    Hash::of(&[day as u8, ad as u8])
}

/// Three days of two ads of one payer, and one of another's, logged; the file of the payer of ads 1 and 2.
fn file() -> AuditFile {
    let mut log = open(&Shared::default(), &[key(1)], START_MS).unwrap();
    let mut trees = Vec::new();
    for day in 1..=3 {
        let tree = DayTree::of((1..=3).map(|ad| leaf(day, ad)).collect());
        let entry =
            Envelope::new(KIND_DAY, &format!("2026-11-{day:02}"), 1, START_MS + day, &tree.commitment())
                .unwrap();
        let entry = entry.to_bytes().unwrap();
        log.append(&[Append { leaf: entry.clone(), objects: Vec::new() }], 0).unwrap();
        trees.push((tree, String::from_utf8(entry).unwrap(), log.head().head.size - 1));
    }
    let size = log.head().head.size;
    let note = Note::parse(log.head().note.as_bytes()).unwrap();
    let mut days = Vec::new();
    for (day, (tree, entry, place)) in (1..).zip(&trees) {
        let path = inclusion_from(&mut OwnFiles(&mut log), *place, size).unwrap();
        let proof = TlogProof { extra: None, index: *place, path, checkpoint: note.clone() }.to_text();
        for ad in 1..=2 {
            let index = ad - 1;
            days.push(ProvedDay {
                leaf: String::from_utf8(tree.leaves()[index as usize].to_bytes()).unwrap(),
                seed: seed(day, ad),
                events: events(ad, day),
                index,
                path: tree.prove(index),
                entry: entry.clone(),
                proof: proof.clone(),
            });
        }
    }
    let gross = 6 * 5 * 2_000_003;
    let line = Line {
        ad_set: "adset_1".into(),
        kind: ChargedFor::Impression,
        quantity_count: 30,
        gross_nanos: gross,
        credited_nanos: 6_000_000,
        net_micros: 50_000,
    };
    let invoice = Invoice {
        number: Some(1),
        advertiser: "adv_1".into(),
        month: "2026-11".into(),
        currency: "EUR".into(),
        minor_digits: 2,
        net_micros: 50_000,
        lines: vec![line],
    };
    signed(AuditFile { v: 1, invoice, signed: String::new(), days })
}
fn signed(mut file: AuditFile) -> AuditFile {
    file.signed = sign_invoice(&file.invoice, &file.days, &key(1)).unwrap().to_string();
    file
}
fn text(file: &AuditFile) -> String {
    serde_json::to_string(file).unwrap()
}
fn changed(change: impl FnOnce(&mut AuditFile)) -> AuditFile {
    let mut file = file();
    change(&mut file);
    file
}

#[test]
fn an_honest_invoice_has_no_difference() {
    let report = audit(&text(&file()), &policy(), Some(50_000)).unwrap();
    assert_eq!(report.differences, Vec::<String>::new());
    assert_eq!((report.days_count, report.events_count, report.is_evidence), (6, 36, false));
}

#[test]
fn an_invoice_that_asks_for_more_than_was_published_is_evidence() {
    for (what, change) in [
        (
            "31 events",
            Box::new(|f: &mut AuditFile| f.invoice.lines[0].quantity_count = 31)
                as Box<dyn FnOnce(&mut AuditFile)>,
        ),
        ("are asked for", Box::new(|f| f.invoice.lines[0].gross_nanos += 1)),
        ("given back", Box::new(|f| f.invoice.lines[0].credited_nanos = 0)),
        ("half to even", Box::new(|f| f.invoice.lines[0].net_micros = 60_000)),
        ("sum to", Box::new(|f| f.invoice.net_micros = 60_000)),
        ("not on the invoice", Box::new(|f| f.invoice.lines.clear())),
    ] {
        let file = signed(changed(change));
        let report = audit(&text(&file), &policy(), None).unwrap();
        assert!(report.differences.iter().any(|d| d.contains(what)), "{what}: {:?}", report.differences);
        assert!(report.is_evidence, "{what}: the publisher signed both");
    }
}

#[test]
fn what_was_changed_on_the_way_is_no_evidence() {
    let unsigned = changed(|f| f.invoice.net_micros = 60_000);
    assert!(matches!(audit(&text(&unsigned), &policy(), None), Err(AuditError::Unsigned(_))));
    let left_out = changed(|f| drop(f.days.pop()));
    assert!(
        matches!(audit(&text(&left_out), &policy(), None), Err(AuditError::Unsigned(_))),
        "no day can be left out"
    );
    let altered = changed(|f| f.days[0].events[0].2 += 1);
    let report = audit(&text(&altered), &policy(), None).unwrap();
    assert!(report.differences[0].contains("not those that were published") && !report.is_evidence);
    let twice = signed(changed(|f| {
        let day = f.days[0].clone();
        f.days.push(day);
    }));
    assert!(audit(&text(&twice), &policy(), None).unwrap().differences[0].contains("stands twice"));
    let unlogged = signed(changed(|f| {
        f.days[0].leaf = f.days[0].leaf.replace("\"charged_count\":5", "\"charged_count\":6")
    }));
    assert!(!audit(&text(&unlogged), &policy(), None).unwrap().differences.is_empty());
    let paid = audit(&text(&file()), &policy(), Some(40_000)).unwrap();
    assert!(paid.differences[0].contains("40000 were paid") && !paid.is_evidence);
    assert!(audit("{}", &policy(), None).is_err());
}

#[test]
fn the_public_list_of_a_day_gives_its_root() {
    let tree = DayTree::of((1..=3).map(|ad| leaf(1, ad)).collect());
    DayTree::check(&tree.list(), &tree.commitment(), "2026-11-01").unwrap();
    assert!(DayTree::check(&tree.list(), &tree.commitment(), "2026-11-02").is_err());
    let more = String::from_utf8(tree.list()).unwrap().replacen("10000015", "10000016", 1);
    assert!(DayTree::check(more.as_bytes(), &tree.commitment(), "2026-11-01").is_err());
    // Without the seed, the root says nothing of which tickets are in it.
    assert_ne!(
        regie_record::log::day::events_root(Hash::of(b"guess"), &events(1, 1)),
        tree.leaves()[0].events_root
    );
}
