//! Learned tables in the decision: exact propensities over what may be shown (law D2), replay (law D1), templates, rates by context.

use crate::world::*;
use regie_decide::{
    Decision, Fill, OpenGate, Request, Row, Snapshot, Tables, decide, explain,
    learned::{Learned, LearnedSet, LearnedTemplate, Winner},
};
use regie_learn::{
    allocation::{AllocationRecord, Entry},
    template::Code,
};
use regie_model::{
    AdId, AdSetId, PlacementId, SiteId, UtcMs, VersionId,
    booking::*,
    command::{Change, EntityRef},
    ticket::DeviceClass,
};
use std::{collections::BTreeMap, sync::Arc};

fn request(seed: u64) -> Request {
    Request::bare(UtcMs(noon().0), seed, SiteId(1), vec![PlacementId(1)])
}
fn ask(snapshot: &Snapshot, tables: &Tables, request: &Request) -> Decision {
    decide(snapshot, tables, request, &OpenGate, &mut |_, _| {})
}
fn fill(decision: &Decision) -> Fill {
    decision.fills().next().expect("an ad").clone()
}
fn winner(version: VersionId, won: u16) -> Winner {
    Winner { ad: AdId(1), version, won, rate_ppb: 20_000_000, impressions_count: 1_000 }
}
fn tables(set: AdSetId, learned: LearnedSet) -> Tables {
    Tables::default().with_learned(Learned::new([(set, Arc::new(learned))], []))
}
/// One ad set, one ad, three versions of weights 1, 3 and 1.
fn three() -> (World, AdSetId, [VersionId; 3]) {
    let mut world = World::new();
    let set = world.bidder(5_000_000);
    let more = [3, 1].map(|weight| world.version(AdId(1), Shape::Banner(SIZES[0]), weight));
    world.approve(AdId(1));
    (world, set, [VersionId(1), more[0], more[1]])
}

#[test]
fn shares_match_the_logged_propensities_and_weighing_recovers_both_rates() {
    let (world, set, versions) = three();
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let parts = vec![vec![winner(versions[0], 40), winner(versions[1], 24)]];
    let tables = tables(set, LearnedSet { explore_ppm: 100_000, parts, ..LearnedSet::default() });
    let expected = [0.1 * 0.2 + 0.9 * 40.0 / 64.0, 0.1 * 0.6 + 0.9 * 24.0 / 64.0, 0.1 * 0.2];
    let truth = [0.03, 0.08, 0.05];
    let mut chance = Chance(7);
    let mut seen: BTreeMap<VersionId, (u32, f64, f64)> = BTreeMap::new();
    let draws = 60_000;
    for seed in 0..draws {
        let fill = fill(&ask(&snapshot, &tables, &request(seed)));
        let at = versions.iter().position(|v| *v == fill.version).unwrap();
        assert!((fill.propensity - expected[at]).abs() < 1e-12, "exact (law D2)");
        let clicks = (chance.below(1_000_000) as f64) < truth[at] * 1e6;
        let row = seen.entry(fill.version).or_insert((0, 0.0, 0.0));
        *row = (row.0 + 1, row.1 + 1.0 / fill.propensity, row.2 + f64::from(clicks as u8) / fill.propensity);
    }
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    for (at, version) in versions.iter().enumerate() {
        let (count, weights, clicks) = seen[version];
        let (n, p) = (draws as f64, expected[at]);
        let share = f64::from(count) / n;
        assert!((share - p).abs() < 4.5 * (p * (1.0 - p) / n).sqrt(), "{version}: {share} {p}");
        assert!((weights / n - 1.0).abs() < 0.12, "inverse propensities count every request once");
        let deviation = (truth[at] / (p * n)).sqrt();
        assert!((clicks / n - truth[at]).abs() < 4.5 * deviation, "{version}: {} {}", clicks / n, truth[at]);
    }
}

#[test]
fn what_left_is_never_drawn_and_what_came_is_drawn_at_once() {
    let (mut world, set, versions) = three();
    let parts = vec![vec![winner(versions[0], 40), winner(versions[1], 24)]];
    let tables = tables(set, LearnedSet { explore_ppm: 100_000, parts, ..LearnedSet::default() });
    world.status(EntityRef::Version(versions[0]), Status::Paused);
    let new = world.version(AdId(1), Shape::Banner(SIZES[0]), 4);
    world.approve(AdId(1));
    let snapshot = Snapshot::build(&world.catalogue, 2);
    // Weights are now 3, 1 and 4; of the table only the second is left.
    let expected = BTreeMap::from([
        (versions[1], 0.1 * 3.0 / 8.0 + 0.9),
        (versions[2], 0.1 / 8.0),
        (new, 0.1 * 4.0 / 8.0),
    ]);
    let mut drawn = BTreeMap::new();
    for seed in 0..4_000 {
        let fill = fill(&ask(&snapshot, &tables, &request(seed)));
        assert!(
            (fill.propensity - expected[&fill.version]).abs() < 1e-12,
            "renormalised over what may be shown"
        );
        *drawn.entry(fill.version).or_insert(0) += 1;
    }
    assert_eq!(drawn.len(), 3, "{drawn:?}");
}

#[test]
fn a_context_has_its_own_part_and_its_own_rate() {
    let (mut world, set, versions) = three();
    world.edit_ad_set(set, |spec| spec.bid = Bid::Cpc { micros_per_click: 1_000_000 });
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let mut parts = vec![Vec::new(); LearningContext::Device.count()];
    parts[DeviceClass::Phone as usize] = vec![winner(versions[2], 64)];
    let mut context_ppm = vec![1_000_000; 5];
    context_ppm[DeviceClass::Phone as usize] = 250_000;
    let learned = LearnedSet {
        context: LearningContext::Device,
        explore_ppm: 1_000,
        parts,
        context_ppm,
        place_ppm: vec![(PlacementId(1), 800_000)],
        ..LearnedSet::default()
    };
    let row = Row { click_ppb: 50_000_000, ..Row::default() };
    let tables =
        Tables::new([(set, row)]).with_learned(Learned::new([(set, Arc::new(learned))], [])).align(&snapshot);
    let on = |device| fill(&ask(&snapshot, &tables, &Request { device, ..request(5) }));
    let (phone, desktop) = (on(DeviceClass::Phone), on(DeviceClass::Desktop));
    assert_eq!(phone.version, versions[2]);
    assert!((phone.propensity - (0.999 + 0.001 / 5.0)).abs() < 1e-12);
    assert!([0.2, 0.6].contains(&desktop.propensity), "where nothing is learned: by weight");
    assert_eq!((phone.predicted_rate, desktop.predicted_rate), (0.01, 0.04), "the rate of context and place");
    let said = explain(&snapshot, &tables, &Request { device: DeviceClass::Phone, ..request(5) }, &OpenGate);
    let sentence = said.placements[0].ad_sets.iter().find(|one| one.ad_set == set).unwrap().sentence.clone();
    assert!(
        sentence.contains("won 64 of 64 draws") && sentence.contains("expected rate 2.00%"),
        "{sentence}"
    );
}

fn template() -> TemplateSpec {
    let slot = |name: &str, texts: &[&str]| SlotSpec {
        name: name.into(),
        capacity: 8,
        assets: texts.iter().map(|t| AssetSpec { text: (*t).into(), asset: None, retired: false }).collect(),
    };
    let markup = "<a href=\"{CLICK_URL}\">{slot:head} {slot:body}</a>".to_owned();
    TemplateSpec {
        layout: Layout::Html { markup, size: SIZES[0] },
        slots: vec![slot("head", &["Warm", "Dry", "New"]), slot("body", &["socks", "boots"])],
        never: vec![[Element { slot: 0, asset: 1 }, Element { slot: 1, asset: 0 }]],
        context: LearningContext::None,
    }
}

#[test]
fn a_template_is_drawn_by_its_table_with_exact_propensities() {
    let mut world = World::new();
    let set = world.bidder(5_000_000);
    let book = |world: &mut World, spec: TemplateSpec| {
        let kept = world.catalogue.ads[&AdId(1)].kept.spec.clone();
        world.apply(Change::AdPut { id: AdId(1), spec: AdSpec { template: Some(spec), ..kept } });
        world.approve(AdId(1));
    };
    book(&mut world, template());
    world.status(EntityRef::Version(VersionId(1)), Status::Paused);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let spec = template();
    let code = |head, body| spec.encode(&[head, body]);
    let entry = |code, won| Entry { code: Code(code), won, kept: 0 };
    let record = AllocationRecord {
        explore_ppm: 60_000,
        contexts: vec![vec![entry(code(0, 0), 48), entry(code(2, 1), 16)]],
    };
    let table =
        LearnedTemplate::new(record, vec![vec![vec![100, -50], vec![0, 0]]], vec![vec![30_000_000, 1]]);
    let ready = table.clone().made_ready(snapshot.template(set, AdId(1)).unwrap());
    let with = |table: LearnedTemplate| {
        Tables::default().with_learned(Learned::new([], [(AdId(1), Arc::new(table))]))
    };
    let (tables, bare) = (with(ready), with(table));
    let mut seen: BTreeMap<u32, (u32, f64)> = BTreeMap::new();
    for seed in 0..40_000 {
        let drawn = fill(&ask(&snapshot, &tables, &request(seed)));
        assert_eq!(drawn, fill(&ask(&snapshot, &bare, &request(seed))), "a cache changes nothing (law D1)");
        let code = drawn.version.template_code().unwrap();
        let creative = spec.creative(code).unwrap();
        assert_eq!(drawn.creative, regie_model::creative::ObjectHash::of(&creative.to_bytes()));
        // As it is kept with a decision and read back.
        let kept = serde_json::to_value(&drawn).unwrap();
        assert_eq!(serde_json::from_value::<Fill>(kept.clone()).unwrap(), drawn);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Fill>(&text).unwrap(), drawn);
        let row = seen.entry(code).or_insert((0, drawn.propensity));
        assert_eq!(row.1, drawn.propensity);
        row.0 += 1;
    }
    assert!(!seen.contains_key(&code(1, 0)), "the constraint holds");
    let sum: f64 = seen.values().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{seen:?}");
    for (count, p) in seen.values() {
        let share = f64::from(*count) / 40_000.0;
        assert!((share - p).abs() < 4.5 * (p * (1.0 - p) / 40_000.0).sqrt(), "{share} {p}");
    }
    // Kept by hash and read back: the same decisions; a missing part is said.
    let objects: BTreeMap<_, _> = tables.learned().objects().collect();
    let read = Tables::fetch(&tables.to_bytes(), &mut |hash| objects.get(hash).cloned()).unwrap();
    assert_eq!((read.hash(), &read), (tables.hash(), &tables));
    assert_eq!(Tables::from_bytes(&tables.to_bytes()), None);
    // An asset is retired a moment before the next table: it is never shown, and all is still exact.
    let mut narrower = template();
    narrower.slots[1].assets[0].retired = true;
    book(&mut world, narrower);
    let later = Snapshot::build(&world.catalogue, 3);
    let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
    for seed in 0..4_000 {
        let drawn = fill(&ask(&later, &tables, &request(seed)));
        sums.insert(drawn.version.template_code().unwrap(), drawn.propensity);
    }
    assert!(sums.keys().all(|code| spec.decode(*code).unwrap()[1] == 1), "{sums:?}");
    assert!((sums.values().sum::<f64>() - 1.0).abs() < 1e-9, "{sums:?}");
    let said = explain(&snapshot, &tables, &request(1), &OpenGate);
    let sentence = said.placements[0].ad_sets.iter().find(|one| one.ad_set == set).unwrap().sentence.clone();
    assert!(sentence.contains("of 64 draws here") || sentence.contains("won none of 64"), "{sentence}");
}
