//! Facts and figures as versions: what changed is a new one, what was withheld stays so, what was known stays readable.
#![allow(clippy::unwrap_used)]

use regie_model::{
    AdId, CampaignId, Currency, Day, Nanos, PartyId, UtcMs, VersionId,
    creative::{Creative, ObjectHash},
    time::DAY_MS,
};
use regie_record::{
    breakdown::{Dimension, breakdown},
    commit::{Object, Sha256Hash},
    dayclose::{ClosedDay, REASON_PART, Shown, figures_sheet, manifest_root},
    known::{Version, as_known, changes},
    leaf::{Amounts, Leaf, Sheet, Stage},
    *,
};
use std::collections::BTreeMap;

fn document() -> Vec<u8> {
    Creative::Text { title: "Vote".into(), body: "On Sunday".into() }.to_bytes()
}
fn sponsor() -> PublicParty {
    PublicParty {
        id: PartyId(1),
        name: "Alix Exemple".into(),
        email: "alix@party.example".into(),
        established_in: "FR".into(),
        ..PublicParty::default()
    }
}
fn facts() -> Facts {
    Facts {
        schema_version: SCHEMA_VERSION,
        id: AdId(3),
        campaign: CampaignId(2),
        political: true,
        run: RunState::Active,
        sponsor: sponsor(),
        payer: sponsor(),
        content: Content {
            landing_url: "https://party.example/".into(),
            third_party_origins: vec![],
            versions: vec![PublicVersion {
                version: VersionId(5),
                kind: "text".into(),
                creative: ObjectHash::of(&document()),
                width: None,
                height: None,
                texts: vec!["Vote".into(), "On Sunday".into()],
            }],
            template: None,
        },
        period: Period {
            starts_at: UtcMs(0),
            ends_at: None,
            first_day: None,
            last_day: None,
            zone: "UTC".into(),
        },
        currency: Currency::EUR,
        targeting: PublicTargeting {
            clauses: vec![],
            caps: vec![],
            learned: false,
            words: "every page".into(),
        },
        price: Price {
            model: "cpm".into(),
            amount_micros: Some(2),
            currency: Currency::EUR,
            words: "2".into(),
        },
        history: vec![],
        declaration: None,
        template: None,
    }
}

/// Objects as a log keeps them, and new salts.
#[derive(Default)]
struct Shelf {
    objects: BTreeMap<Sha256Hash, Vec<u8>>,
    salts: u8,
}
impl Shelf {
    fn keep(&mut self, sheet: &Sheet) {
        for Object { hash, bytes } in &sheet.objects {
            assert!(self.objects.insert(*hash, bytes.clone()).is_none(), "no object comes twice");
        }
    }
    fn next(&mut self, facts: &Facts, previous: Option<&Leaf>, at: i64) -> Option<Sheet> {
        let objects = self.objects.clone();
        let read = |hash: &Sha256Hash| objects.get(hash).cloned();
        let previous = previous.map(|leaf| Previous { leaf, object: &read });
        let store = |hash: &ObjectHash| (*hash == ObjectHash::of(&document())).then(document);
        let mut salt = || {
            self.salts += 1;
            [self.salts; 32]
        };
        let sheet = facts_sheet(facts, &store, previous.as_ref(), UtcMs(at), &mut salt).unwrap();
        if let Some(sheet) = &sheet {
            self.keep(sheet);
        }
        sheet
    }
    fn read(&self, leaf: &Leaf) -> Facts {
        Facts::read(leaf, &|hash| self.objects.get(hash).cloned()).unwrap()
    }
}

#[test]
fn facts_come_back_from_leaf_and_objects_and_the_leaf_names_nobody() {
    let mut shelf = Shelf::default();
    let first = shelf.next(&facts(), None, 10).unwrap();
    let text = String::from_utf8(first.bytes.clone()).unwrap();
    for secret in ["Alix", "party.example", "Vote", "Sunday"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let parts: Vec<&str> = first.leaf.commitments.iter().map(|c| c.part.as_str()).collect();
    assert_eq!(parts, ["creative.ver_5", "facts", "sponsor.email", "sponsor.name"]);
    assert_eq!(shelf.read(&first.leaf), facts());
    assert_eq!(Leaf::parse(&first.bytes).unwrap(), first.leaf);
}

#[test]
fn a_changed_fact_is_a_new_version_and_an_unchanged_one_is_none() {
    let mut shelf = Shelf::default();
    let first = shelf.next(&facts(), None, 10).unwrap();
    assert_eq!(shelf.next(&facts(), Some(&first.leaf), 20), None);
    let stopped = Facts { run: RunState::Stopped, ..facts() };
    let second = shelf.next(&stopped, Some(&first.leaf), 5).unwrap();
    assert_eq!((second.leaf.version, second.leaf.follows), (2, Some(first.hash())));
    assert_eq!(second.leaf.at, UtcMs(10), "never dated before its predecessor");
    assert_eq!(second.objects.len(), 1, "only the changed part has a new object");
    for part in ["creative.ver_5", "sponsor.name"] {
        assert_eq!(second.leaf.commitment(part), first.leaf.commitment(part));
    }
    assert_eq!(shelf.read(&first.leaf), facts(), "the old version stays readable");
    assert_eq!(shelf.read(&second.leaf), stopped);
}

#[test]
fn what_was_withheld_is_never_published_again() {
    let mut shelf = Shelf::default();
    let first = shelf.next(&facts(), None, 10).unwrap();
    let (name, creative) =
        (first.leaf.commitment("sponsor.name").unwrap(), first.leaf.commitment("creative.ver_5").unwrap());
    shelf.objects.remove(&name);
    shelf.objects.remove(&creative);
    let read = shelf.read(&first.leaf);
    assert!(read.sponsor.withheld && read.payer.withheld);
    assert_eq!(read.sponsor.name, WITHHELD);
    assert!(read.content.versions[0].texts.is_empty() && read.content.versions[0].kind.is_empty());
    assert_eq!(Leaf::parse(&first.bytes).unwrap(), first.leaf, "the leaf stays valid");
    let paused = Facts { run: RunState::Paused, ..facts() };
    let second = shelf.next(&paused, Some(&first.leaf), 20).unwrap();
    assert_eq!(second.leaf.commitment("sponsor.name"), Some(name));
    assert_eq!(second.leaf.commitment("creative.ver_5"), Some(creative));
    assert!(second.objects.iter().all(|o| !o.bytes.windows(4).any(|w| w == b"Alix")));
}

fn amounts(impressions_count: u64, gross: i128, credited: i128) -> Amounts {
    Amounts {
        impressions_count,
        gross_nanos: Nanos(gross),
        credited_nanos: Nanos(credited),
        ..Amounts::zero(Currency::EUR)
    }
}
fn shown() -> Vec<Shown> {
    vec![Shown {
        version: VersionId(5),
        creative: ObjectHash::of(&document()),
        impressions_count: 100,
        spend_nanos: "1000".into(),
    }]
}
fn closed(amounts: &Amounts, previous: Option<&Leaf>, now: i64, reason: &str) -> Option<Sheet> {
    let breakdowns =
        [breakdown(AdId(3), Day(0), Dimension::Device, &BTreeMap::from([("phone".into(), 100)]))];
    let (zero, lines) = (amounts_zero(), shown());
    let day = ClosedDay {
        ad: AdId(3),
        day: Day(0),
        closed_at: UtcMs(DAY_MS),
        amounts,
        others: &zero,
        breakdowns: &breakdowns,
        shown: &lines,
        matched_count: Some(9),
        reason,
    };
    let none = |_: &Sha256Hash| None;
    let previous = previous.map(|leaf| Previous { leaf, object: &none });
    let mut salts = 0;
    let mut salt = || {
        salts += 1;
        [salts; 32]
    };
    figures_sheet(&day, previous.as_ref(), UtcMs(now), &mut salt).unwrap()
}
fn amounts_zero() -> Amounts {
    Amounts::zero(Currency::EUR)
}

#[test]
fn a_day_is_provisional_then_final_and_a_later_credit_is_a_correction_with_both_values() {
    let at_close = amounts(100, 1_000, 0);
    assert_eq!(closed(&at_close, None, DAY_MS - 1, ""), None, "an open day has no figures");
    assert_eq!(closed(&amounts_zero(), None, DAY_MS, ""), None, "nor has one on which nothing happened");
    let first = closed(&at_close, None, DAY_MS, "").unwrap();
    assert_eq!(first.leaf.figures.as_ref().unwrap().stage, Stage::Provisional);
    assert_eq!(first.leaf.figures.as_ref().unwrap().manifest, Some(manifest_root(&shown()).unwrap()));
    assert_eq!(closed(&at_close, Some(&first.leaf), 2 * DAY_MS, ""), None);
    let credited = amounts(100, 1_000, 250);
    let early = closed(&credited, Some(&first.leaf), 3 * DAY_MS, "invalid traffic").unwrap();
    let figures = early.leaf.figures.clone().unwrap();
    assert_eq!((figures.stage, figures.before.as_ref()), (Stage::Correction, Some(&at_close)));
    assert_eq!(figures.amounts.net(), Nanos(750));
    assert!(early.leaf.commitment(REASON_PART).is_some());
    let sealed = closed(&credited, Some(&early.leaf), 8 * DAY_MS, "").unwrap();
    assert_eq!(sealed.leaf.figures.as_ref().unwrap().stage, Stage::Final);
    assert_eq!(closed(&credited, Some(&sealed.leaf), 30 * DAY_MS, ""), None);
    let late = closed(&amounts(100, 1_000, 400), Some(&sealed.leaf), 30 * DAY_MS, "refund").unwrap();
    assert_eq!(late.leaf.figures.as_ref().unwrap().stage, Stage::Correction);
    assert_eq!(closed(&amounts(100, 1_000, 400), Some(&late.leaf), 60 * DAY_MS, ""), None);
    for later in [&early, &sealed, &late] {
        let kept = |sheet: &Sheet| sheet.leaf.commitment("breakdown");
        assert_eq!(kept(later), kept(&first), "a day is broken down once, and never again");
    }
}

#[test]
fn what_was_known_on_a_date_stays_known() {
    let mut shelf = Shelf::default();
    let first = shelf.next(&facts(), None, 10).unwrap();
    let second =
        shelf.next(&Facts { run: RunState::Stopped, ..facts() }, Some(&first.leaf), 2 * DAY_MS).unwrap();
    let provisional = closed(&amounts(100, 1_000, 0), None, DAY_MS, "").unwrap();
    let corrected = closed(&amounts(100, 1_000, 250), Some(&provisional.leaf), 3 * DAY_MS, "refund").unwrap();
    let held: Vec<&Object> =
        [&provisional, &corrected].into_iter().flat_map(|sheet| &sheet.objects).collect();
    let object = |hash: &Sha256Hash| {
        let of_days = || held.iter().find(|object| object.hash == *hash).map(|object| object.bytes.clone());
        shelf.objects.get(hash).cloned().or_else(of_days)
    };
    let version = |index, sheet: &Sheet| Version::read(index, sheet.leaf.clone(), &object);
    let log = [version(0, &first), version(1, &provisional), version(2, &second), version(3, &corrected)];
    assert_eq!(as_known(&log, UtcMs(9)), None);
    let then = as_known(&log, UtcMs(DAY_MS + 1)).unwrap();
    let now = as_known(&log, UtcMs(9 * DAY_MS)).unwrap();
    assert_eq!((then.facts.run, then.total().net()), (RunState::Active, Nanos(1_000)));
    assert_eq!(
        (then.matched_count, now.matched_count),
        (Some(9), Some(9)),
        "the audience too was known then"
    );
    assert_eq!(as_known(&log, UtcMs(20)).unwrap().matched_count, None, "no day was closed");
    assert_eq!((now.facts.run, now.total().net(), now.facts_version), (RunState::Stopped, Nanos(750), 2));
    let found: Vec<String> = changes(Some(&then), Some(&now)).into_iter().map(|d| d.path).collect();
    assert_eq!(found, ["days.1970-01-01.amounts.credited_nanos", "days.1970-01-01.stage", "facts.run"]);
    assert!(changes(Some(&now), Some(&now)).is_empty());
    assert_eq!(now.entry(&now.figures(), UtcMs(9 * DAY_MS)).figures.spend, "0.00000075");
}

#[test]
fn exports_are_complete_or_say_what_is_missing() {
    let figures = Figures { impressions_count: 3, gross: Nanos(9_000_000), ..Figures::default() };
    let entry = facts().entry(&figures, &figures, UtcMs(0));
    let around = export::Around {
        base_url: "https://ads.example",
        publisher: "Gazette",
        language: Some("en"),
        version: 2,
        modified: "2026-11-20T00:00:00Z".into(),
    };
    let document = export::repository(&entry, &around);
    assert_eq!(export::faults(&document), ["the notice has the items \"\" instead of a to m"]);
    assert_eq!(
        (&document["version"], &document["@id"]),
        (&2.into(), &"https://ads.example/record/ads/ad_3".into())
    );
    // The notice of a newspaper site in October 2025: amounts without a total and without a currency.
    let mut newspaper = document.clone();
    newspaper["amounts"] = serde_json::json!({ "words": "Digital Video 10,950; Print 5 x 9,285" });
    let faults = export::faults(&newspaper).join("; ");
    for lack in
        ["amounts.ad.value", "amounts.ad.currency", "amounts.campaign.value", "amounts.campaign.currency"]
    {
        assert!(faults.contains(&format!("{lack} is missing")), "{faults}");
    }
    let theirs = export::who_targets_me(&entry, &around);
    assert_eq!(theirs["spending/details"]["SPENDING_TOTAL"], "0.009");
    assert_eq!(theirs["targeting_category/geo_location"]["GEO_LOCATION_NOT_USED"], true);
    assert_eq!(theirs.as_object().unwrap().len(), 21);
}

/// A template of 3 by 2 headlines and pictures, with one pair that never meets.
fn template() -> regie_model::booking::TemplateSpec {
    let hash = ObjectHash::of(b"picture bytes");
    serde_json::from_value(serde_json::json!({
        "layout": { "kind": "native" },
        "slots": [
            { "name": "title", "capacity": 8, "assets": [{ "text": "One" }, { "text": "Two" }, { "text": "Three" }] },
            { "name": "image", "capacity": 4, "assets": [
                { "text": "a bicycle", "asset": { "hash": hash, "media_type": "image/png", "size_bytes": 13, "size": { "width": 4, "height": 4 } } },
                { "text": "none" }
            ] }
        ],
        "never": [[{ "slot": 0, "asset": 2 }, { "slot": 1, "asset": 1 }]],
    }))
    .unwrap()
}

#[test]
fn a_templates_entry_commits_to_it_and_every_shown_version_renders_from_the_record_alone() {
    use regie_record::shown::{ShownError, asset, shown};
    let (template, picture) = (template(), b"picture bytes".to_vec());
    let facts = Facts { template: Some(template.clone()), ..facts() };
    let store = |hash: &ObjectHash| (*hash == ObjectHash::of(&picture)).then(|| picture.clone());
    let mut counter = 0u8;
    let mut salt = || {
        counter += 1;
        [counter; 32]
    };
    let first = facts_sheet(&facts, &store, None, UtcMs(1), &mut salt).unwrap().unwrap();
    for part in ["template", &format!("asset.{}", ObjectHash::of(&picture))] {
        assert!(first.leaf.commitment(part).is_some(), "{part}");
    }
    let held = |sheets: &[&Sheet], hash: &Sha256Hash| {
        sheets.iter().flat_map(|s| &s.objects).find(|o| o.hash == *hash).map(|o| o.bytes.clone())
    };
    let read = Facts::read(&first.leaf, &|hash| held(&[&first], hash)).unwrap();
    assert_eq!(read.template, Some(template.clone()));
    // Five combinations were shown on a day; each has a line, a path, and its picture.
    let codes = [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1]].map(|assets| template.encode(&assets));
    let lines: Vec<Shown> = codes
        .iter()
        .zip(1u64..)
        .map(|(code, count)| Shown {
            version: VersionId::of_template(*code),
            creative: ObjectHash::of(&template.creative(*code).unwrap().to_bytes()),
            impressions_count: count * 10,
            spend_nanos: (count * 1_000).to_string(),
        })
        .collect();
    let (amounts, zero) = (amounts(150, 15_000, 0), amounts_zero());
    let day = ClosedDay {
        ad: AdId(3),
        day: Day(0),
        closed_at: UtcMs(DAY_MS),
        amounts: &amounts,
        others: &zero,
        breakdowns: &[],
        shown: &lines,
        matched_count: None,
        reason: "",
    };
    let closed = figures_sheet(&day, None, UtcMs(DAY_MS), &mut salt).unwrap().unwrap();
    let leaves = [(1, first.leaf.clone()), (2, closed.leaf.clone())];
    let object = |hash: &Sha256Hash| held(&[&first, &closed], hash);
    for (line, code) in lines.iter().zip(codes) {
        let found = shown(&leaves, &object, line.version).unwrap();
        assert_eq!(found.creative, template.creative(code), "as it was combined");
        let day = &found.days[0];
        assert_eq!((&day.line, day.entry_index), (line, 2));
        let (index, count) = (day.index as usize, day.lines_count as usize);
        assert!(regie_record::dayclose::manifest_holds(line, index, count, &day.path, day.manifest));
        assert_eq!(found.elements.len(), 2);
    }
    assert_eq!(asset(&leaves, &object, ObjectHash::of(&picture)), Some(picture.clone()));
    assert_eq!(shown(&leaves, &object, VersionId::of_template(9_999)).unwrap_err(), ShownError::Never);
    // A manifest that was changed under the leaf is refused; a withheld template leaves days and figures.
    let forged = |hash: &Sha256Hash| {
        let bytes = object(hash)?;
        let text = String::from_utf8_lossy(&bytes[32..]).replacen(
            "\"impressions_count\":10,",
            "\"impressions_count\":11,",
            1,
        );
        Some([&bytes[..32], text.as_bytes()].concat())
    };
    assert!(shown(&leaves, &forged, lines[0].version).is_err());
    let hidden = first.leaf.commitment("template").unwrap();
    let without = |hash: &Sha256Hash| (*hash != hidden).then(|| object(hash)).flatten();
    let found = shown(&leaves, &without, lines[0].version).unwrap();
    assert_eq!((found.creative, found.days.len()), (None, 1));
}
