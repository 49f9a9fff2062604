//! Properties over random catalogues and requests: the indexed decision is the naive one, the same inputs give
//! the same bytes, prices stay below bids, nothing panics. `PROPTEST_CASES` runs more.

use crate::{
    naive::Naive,
    world::{Chance, World, count_page_view, random_request, random_world},
};
use proptest::prelude::*;
use regie_decide::{
    Decision, Elimination, Fill, JointMethod, NoFill, OpenGate, RecordedGate, Request, Row, Slot, Snapshot,
    Tables, decide, explain, rates::PPB,
};
use regie_model::{AdSetId, booking::Bid};
use std::collections::{BTreeMap, BTreeSet};

/// The default of 256 is for people's own tests; a decision is cheap.
fn cases(count: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases == 256 { count } else { asked.cases };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

fn random_rows(chance: &mut Chance, world: &World) -> BTreeMap<AdSetId, Row> {
    let mut rows = BTreeMap::new();
    for id in world.catalogue.ad_sets.keys() {
        if chance.one_in(2) {
            let pass_ppm = if chance.one_in(3) { chance.below(1_000_001) as u32 } else { 1_000_000 };
            let need_ppm = chance.below(3) as u32 * 1_000;
            let click_ppb = 1 + chance.below(50_000_000) as u32;
            let conversion_ppb = 1 + chance.below(2_000_000) as u32;
            let multiplier_ppm = if chance.one_in(2) { chance.below(1_000_001) as u32 } else { 1_000_000 };
            rows.insert(*id, Row { pass_ppm, multiplier_ppm, click_ppb, conversion_ppb, need_ppm });
        }
    }
    rows
}

fn random_refusals(chance: &mut Chance, world: &World) -> BTreeSet<AdSetId> {
    world.catalogue.ad_sets.keys().copied().filter(|_| chance.one_in(8)).collect()
}

/// Everything one case needs.
struct Case {
    world: World,
    snapshot: Snapshot,
    rows: BTreeMap<AdSetId, Row>,
    tables: Tables,
    chance: Chance,
}
impl Case {
    fn new(seed: u64, ad_sets_count: u64) -> Case {
        let mut chance = Chance(seed);
        let world = random_world(&mut chance, ad_sets_count);
        let snapshot = Snapshot::build(&world.catalogue, 7);
        let rows = random_rows(&mut chance, &world);
        let tables = Tables::new(rows.iter().map(|(id, row)| (*id, *row))).align(&snapshot);
        Case { world, snapshot, rows, tables, chance }
    }
    fn request(&mut self) -> (Request, RecordedGate) {
        let mut request = random_request(&mut self.chance, &self.world);
        count_page_view(&mut self.chance, &mut request);
        let refused = random_refusals(&mut self.chance, &self.world);
        (request, RecordedGate { refused, house_only: false })
    }
    fn decide(&self, request: &Request, gate: &RecordedGate) -> Decision {
        decide(&self.snapshot, &self.tables, request, gate, &mut |_, _| ())
    }
}

fn fills(decision: &Decision) -> Vec<Option<Fill>> {
    let fill = |slot: &Slot| match slot {
        Slot::Fill(fill) => Some(fill.clone()),
        Slot::NoFill { .. } => None,
    };
    decision.slots.iter().map(fill).collect()
}

fn check_against_naive(seed: u64, ad_sets_count: u64, requests_count: usize) -> usize {
    let mut case = Case::new(seed, ad_sets_count);
    let mut filled = 0;
    for _ in 0..requests_count {
        let (request, gate) = case.request();
        let decision = case.decide(&request, &gate);
        let naive = Naive {
            catalogue: &case.world.catalogue,
            rows: &case.rows,
            refused: &gate.refused,
            request: &request,
            contextual: false,
        };
        let got = fills(&decision);
        if decision.joint.iter().any(|joint| joint.method != JointMethod::Exact) {
            assert!(ad_sets_count > 100, "so few need no limit: {:?}", decision.joint);
            continue;
        }
        assert_eq!(
            got,
            crate::naive_pass::decide(&naive),
            "seed {seed}, {ad_sets_count} ad sets, {request:?}"
        );
        filled += got.iter().flatten().count();
    }
    filled
}

proptest! {
    #![proptest_config(cases(3_000))]
    #[test]
    fn the_indexed_decision_is_the_naive_one(seed: u64, ad_sets_count in 0u64..40) {
        check_against_naive(seed, ad_sets_count, 4);
    }
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn also_over_many_blocks(seed: u64) {
        check_against_naive(seed, 2_500, 6);
    }
}

#[test]
fn the_random_worlds_do_fill() {
    let filled: usize = (0..40).map(|seed| check_against_naive(seed, 30, 10)).sum();
    assert!(filled > 150, "{filled}");
}

fn price_is_within_bid(world: &World, fill: &Fill) -> bool {
    let bid = match world.catalogue.ad_sets[&fill.ad_set].spec.bid {
        Bid::Cpm { micros_per_mille } => micros_per_mille,
        Bid::Cpc { micros_per_click } => micros_per_click * 1_000,
        Bid::Cpa { micros_per_conversion, .. } => micros_per_conversion * 1_000,
        Bid::FlatFee { .. } | Bid::Free => 0,
    };
    (0..=bid).contains(&fill.price_nanos) && (0..=fill.price_nanos).contains(&fill.hold_nanos)
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn same_inputs_same_bytes(seed: u64, ad_sets_count in 0u64..40) {
        let (mut one, two) = (Case::new(seed, ad_sets_count), Case::new(seed, ad_sets_count));
        let (request, gate) = one.request();
        let bytes = serde_json::to_vec(&one.decide(&request, &gate)).unwrap();
        // Read back from the journal, on a snapshot and tables built anew, aligned or not.
        let stored: Request = serde_json::from_slice(&serde_json::to_vec(&request).unwrap()).unwrap();
        prop_assert_eq!(&stored, &request);
        let tables = Tables::from_bytes(&two.tables.to_bytes()).unwrap();
        prop_assert_eq!(tables.hash(), one.tables.hash());
        let mut refused = BTreeSet::new();
        let again = decide(&two.snapshot, &tables, &stored, &gate, &mut |id, why| {
            if why == Elimination::Budget { refused.insert(id); }
        });
        prop_assert_eq!(&bytes, &serde_json::to_vec(&again).unwrap());
        // Another numbering decides alike.
        let renumbered = Snapshot::build_for(&two.world.catalogue, 7, &tables);
        let alike = decide(&renumbered, &tables.clone().align(&renumbered), &stored, &gate, &mut |_, _| ());
        prop_assert_eq!(&bytes, &serde_json::to_vec(&alike).unwrap());
        // Replay knows of the gate only what the sink saw.
        let recorded = RecordedGate { refused, house_only: false };
        let replayed = decide(&two.snapshot, &tables, &stored, &recorded, &mut |_, _| ());
        prop_assert_eq!(&bytes, &serde_json::to_vec(&replayed).unwrap());
    }

    #[test]
    fn fills_keep_the_laws(seed: u64, ad_sets_count in 1u64..40) {
        let mut case = Case::new(seed, ad_sets_count);
        for _ in 0..4 {
            let (request, gate) = case.request();
            let decision = case.decide(&request, &gate);
            prop_assert_eq!(decision.slots.len(), request.placements.len());
            let mut ads = BTreeSet::new();
            for fill in decision.fills() {
                prop_assert!(price_is_within_bid(&case.world, fill), "{:?}", fill);
                prop_assert!(fill.propensity > 0.0 && fill.propensity <= 1.0);
                prop_assert!(fill.predicted_rate > 0.0 && fill.predicted_rate <= 1.0);
                prop_assert!(ads.insert(fill.ad), "the same ad twice");
                prop_assert!(!gate.refused.contains(&fill.ad_set) || fill.price_nanos == 0);
                prop_assert!(case.world.version_state(fill.version).approved.is_some());
            }
        }
    }

    #[test]
    fn explain_is_the_decision_with_every_reason(seed: u64, ad_sets_count in 0u64..40) {
        let mut case = Case::new(seed, ad_sets_count);
        let (request, gate) = case.request();
        let decision = case.decide(&request, &gate);
        let explanation = explain(&case.snapshot, &case.tables, &request, &gate);
        prop_assert_eq!(&explanation.decision, &decision);
        for (slot, said) in decision.slots.iter().zip(&explanation.placements) {
            let winner = match slot { Slot::Fill(fill) => Some(fill.ad_set), Slot::NoFill { .. } => None };
            let servable = match slot {
                Slot::Fill(_) => true,
                Slot::NoFill { reason, .. } => matches!(reason, NoFill::NothingMatches | NoFill::Eliminated(_)),
            };
            if servable {
                prop_assert_eq!(said.ad_sets.len(), case.world.catalogue.ad_sets.len());
            }
            for ad_set in &said.ad_sets {
                prop_assert_eq!(ad_set.code == "won", Some(ad_set.ad_set) == winner);
                prop_assert!(ad_set.sentence.len() > 10, "{:?}", ad_set);
            }
        }
        // What the sink reports is what explain says.
        let mut sunk = BTreeMap::new();
        decide(&case.snapshot, &case.tables, &request, &gate, &mut |id, why| { sunk.insert((id, why.code()), why); });
        for (id, code) in sunk.keys() {
            let all = explanation.placements.iter().flat_map(|p| &p.ad_sets);
            // Whose value cannot matter is outbid, whatever else explain has against it.
            let fits = |a: &str| if *code == "outbid" { a != "won" && a != "targeting" } else { a == *code };
            prop_assert!(all.filter(|a| a.ad_set == *id).any(|a| fits(a.code)), "{} {}", id, code);
        }
    }

    #[test]
    fn house_only_is_house_only(seed: u64, ad_sets_count in 1u64..40) {
        let mut case = Case::new(seed, ad_sets_count);
        let (request, _) = case.request();
        let gate = RecordedGate { refused: BTreeSet::new(), house_only: true };
        for fill in case.decide(&request, &gate).fills() {
            prop_assert_eq!(fill.tier, regie_model::booking::TierKind::House);
        }
    }

    #[test]
    fn hostile_requests_never_panic(
        seed: u64,
        at in any::<i64>(),
        site in any::<u32>(),
        placements in proptest::collection::vec(0u32..9, 0..40),
        texts in proptest::collection::vec("\\PC{0,400}", 12),
        country in any::<[u8; 2]>(),
        counts in any::<[u32; 3]>(),
    ) {
        let mut case = Case::new(seed, 20);
        let (mut request, gate) = case.request();
        request.at = regie_model::UtcMs(at);
        request.site = regie_model::SiteId(site % 3);
        request.placements = placements.into_iter().map(regie_model::PlacementId).collect();
        request.page.url = texts[0].clone();
        request.page.language = Some(texts[1].clone());
        request.page.keywords = texts[2..5].to_vec();
        request.page.topics = vec![texts.concat(); 200];
        request.page.key_values = vec![(texts[5].clone(), texts[6].clone()); 3];
        request.location.country = Some(country);
        request.location.region = Some(texts[7].clone());
        request.location.city = Some(texts[8].clone());
        request.machine.os = Some(texts[9].clone());
        request.consents = texts[10..].to_vec();
        request.frequency.page_view = counts.iter().map(|count| regie_decide::PageViewCount {
            what: regie_decide::Counted::AdSet(AdSetId(1)), count: *count,
        }).collect();
        for normalised in [false, true] {
            if normalised {
                request.normalise();
                let once = request.clone();
                request.normalise();
                prop_assert!(once == request, "normalising twice is normalising once");
            }
            let decision = case.decide(&request, &gate);
            prop_assert_eq!(decision.slots.len(), request.placements.len());
            let explanation = explain(&case.snapshot, &Tables::default(), &request, &OpenGate);
            prop_assert_eq!(explanation.placements.len(), request.placements.len());
        }
    }

    #[test]
    fn second_price_is_exact(
        bids in proptest::collection::vec((1i64..1_000_000_000_000, 1u32..PPB, 0u8..3), 1..6),
        seed: u64,
        rate in 1i64..5_000_000_000,
    ) {
        // Any bid, any predicted rate, any exchange rate: never above the bid, not by one nano, and the value
        // paid is the value needed, to within the last nano of one action.
        let mut world = World::new();
        world.publisher(|p| p.rates[0].rate_nanos = rate);
        let mut rows = BTreeMap::new();
        for (index, (bid, ppb, kind)) in bids.iter().enumerate() {
            let id = world.bidder(*bid);
            if index % 2 == 1 { world.edit_advertiser(id, |a| a.currency = crate::world::USD); }
            world.edit_ad_set(id, |s| s.bid = match kind {
                0 => Bid::Cpm { micros_per_mille: *bid },
                1 => Bid::Cpc { micros_per_click: *bid },
                _ => Bid::Cpa { micros_per_conversion: *bid, action: "order".into() },
            });
            rows.insert(id, Row { click_ppb: *ppb, conversion_ppb: *ppb, ..Row::default() });
        }
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let tables = Tables::new(rows.iter().map(|(id, row)| (*id, *row)));
        let request = Request::bare(crate::world::noon(), seed, regie_model::SiteId(1), vec![regie_model::PlacementId(1)]);
        let decision = decide(&snapshot, &tables, &request, &OpenGate, &mut |_, _| ());
        let refused = BTreeSet::new();
        let naive = Naive { catalogue: &world.catalogue, rows: &rows, refused: &refused, request: &request, contextual: false };
        prop_assert_eq!(fills(&decision), crate::naive_pass::decide(&naive));
        for fill in decision.fills() {
            prop_assert!(price_is_within_bid(&world, fill), "{:?}", fill);
        }
    }
}
