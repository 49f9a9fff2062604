//! Auctions as a bidder meets them, for one request with fixed multipliers: honest bidding is best where a second
//! price or VCG is charged, nobody pays above the bid, and the several-place auction is what trying everything says.

use crate::world::*;
use proptest::prelude::*;
use regie_decide::{
    Decision, JointMethod, OpenGate, Request, Row, Snapshot, Tables, decide,
    rates::PPB,
    vcg::{self, FINALISTS_COUNT_MAX, Finalist, SLOTS_COUNT_MAX, STEPS_COUNT_MAX, Worth},
};
use regie_model::{AdSetId, AdvertiserId, PlacementId, SiteId, booking::*};

fn cases(count: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases == 256 { count } else { asked.cases };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

/// Finalists at random: few values and categories, so that equal ones and clashes are many.
fn random_finalists(chance: &mut Chance, count: u64, slots: usize) -> Vec<Finalist> {
    let finalist = |chance: &mut Chance| {
        let mut categories: Vec<u32> =
            (0..[0, 0, 1, 1, 2][chance.below(5) as usize]).map(|_| chance.below(4) as u32).collect();
        categories.sort_unstable();
        categories.dedup();
        let mut offers = [None; SLOTS_COUNT_MAX];
        let value = chance.below(12) as i128;
        for offer in &mut offers[..slots] {
            let surplus = match chance.below(5) {
                0 => -1,
                1 => chance.below(12) as i128,
                _ => value,
            };
            *offer = Worth::new(surplus, chance.bits() as u32);
        }
        Finalist { advertiser: AdvertiserId(1 + chance.below(count) as u32), categories, offers }
    };
    (0..count).map(|_| finalist(chance)).collect()
}

/// The greatest surplus of all assignments, without one advertiser; every one is tried.
fn brute(
    finalists: &[Finalist],
    slots: usize,
    without: Option<AdvertiserId>,
    taken: &mut Vec<usize>,
) -> i128 {
    let slot = taken.len();
    if slot == slots {
        return 0;
    }
    taken.push(usize::MAX);
    let mut best = brute(finalists, slots, without, taken);
    taken.pop();
    for (number, finalist) in finalists.iter().enumerate() {
        let Some(offer) = finalist.offers[slot] else { continue };
        let clash = taken.iter().filter_map(|t| finalists.get(*t)).any(|other| other.clashes(finalist));
        if clash || Some(finalist.advertiser) == without {
            continue;
        }
        taken.push(number);
        best = best.max(offer.surplus() + brute(finalists, slots, without, taken));
        taken.pop();
    }
    best
}

proptest! {
    #![proptest_config(cases(2_500))]

    /// Allocation and payments are what trying every assignment gives.
    #[test]
    fn selling_together_is_the_best_of_all_assignments(seed: u64, count in 0u64..7, slots in 1usize..5) {
        let finalists = random_finalists(&mut Chance(seed), count, slots);
        let sold = vcg::sell(&finalists, slots, STEPS_COUNT_MAX).unwrap();
        let mut surplus = 0;
        let winners: Vec<usize> = sold.winners.iter().flatten().copied().collect();
        for (at, one) in winners.iter().enumerate() {
            prop_assert!(!winners[..at].iter().any(|two| finalists[*one].clashes(&finalists[*two])));
        }
        for (slot, winner) in sold.winners.iter().enumerate() {
            surplus += winner.map_or(0, |w| finalists[w].offers[slot].unwrap().surplus());
        }
        prop_assert_eq!(surplus, brute(&finalists, slots, None, &mut Vec::new()));
        for (slot, winner) in sold.winners.iter().enumerate() {
            let Some(winner) = winner.map(|w| &finalists[w]) else { continue };
            let own = winner.offers[slot].unwrap().surplus();
            let without = brute(&finalists, slots, Some(winner.advertiser), &mut Vec::new());
            prop_assert_eq!(sold.over_floor[slot], without - (surplus - own));
            prop_assert!((0..=own).contains(&sold.over_floor[slot]), "pays between the floor and its value");
        }
    }

    /// The search says when it takes too long, and never answers otherwise than without a limit.
    #[test]
    fn a_limit_of_steps_is_a_limit(seed: u64, steps in 0u32..12) {
        let finalists = random_finalists(&mut Chance(seed), 20, 6);
        let whole = vcg::sell(&finalists, 6, u32::MAX).unwrap();
        match vcg::sell(&finalists, 6, steps) {
            Some(sold) => {
                prop_assert!(sold.steps_count <= steps);
                prop_assert_eq!(sold, whole);
            }
            None => prop_assert!(whole.steps_count > steps),
        }
    }
}

/// The largest problem that is allowed, with many clashes, ends within its steps or says so.
#[test]
fn the_largest_search_ends() {
    let mut ended = 0;
    for seed in 0..40 {
        let finalists = random_finalists(&mut Chance(seed), FINALISTS_COUNT_MAX as u64, SLOTS_COUNT_MAX);
        ended += u32::from(vcg::sell(&finalists, SLOTS_COUNT_MAX, STEPS_COUNT_MAX).is_some());
    }
    assert!(ended >= 36, "{ended} of 40");
}

/// A market of a few advertisers, each with one ad set, at up to three places.
struct Market {
    world: World,
    sets: Vec<AdSetId>,
    rows: Vec<(AdSetId, Row)>,
    request: Request,
}
impl Market {
    fn new(chance: &mut Chance, kind: AuctionKind, places: u32) -> Market {
        let mut world = World::new();
        world.publisher(|p| p.auction = kind);
        for number in 1..=places {
            let mut spec = placement(SiteId(1), &format!("place-{number}"));
            spec.slot_weight_ppm = 1_000_000 / (1 + chance.below(3) as u32 * (number - 1));
            let micros_per_mille = chance.below(4) as i64 * 300_000;
            let currency = regie_model::Currency::EUR;
            spec.floors = vec![Floor { tier: TierKind::Auction, currency, micros_per_mille }];
            world.placement(number, spec);
        }
        let (mut sets, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..2 + chance.below(5) {
            let id = world.bidder(1 + chance.below(3_000_000) as i64);
            if chance.one_in(3) {
                let category = *chance.pick(&["Shoes", "Food"]);
                world.edit_advertiser(id, |a| a.categories = vec![category.to_owned()]);
            }
            if chance.one_in(3) {
                let micros_per_click = 1 + chance.below(3_000_000) as i64;
                world.edit_ad_set(id, |set| set.bid = Bid::Cpc { micros_per_click });
                let click_ppb = 1 + chance.below(3_000_000) as u32;
                rows.push((id, Row { click_ppb, ..Row::default() }));
            }
            sets.push(id);
        }
        let placements = (1..=places).map(PlacementId).collect();
        let request = Request::bare(noon(), chance.bits(), SiteId(1), placements);
        Market { world, sets, rows, request }
    }
    fn ask(&self) -> Decision {
        let snapshot = Snapshot::build(&self.world.catalogue, 1);
        let tables = Tables::new(self.rows.iter().copied());
        decide(&snapshot, &tables, &self.request, &OpenGate, &mut |_, _| ())
    }
    fn bid(&self, id: AdSetId) -> i64 {
        match self.world.catalogue.ad_sets[&id].spec.bid {
            Bid::Cpm { micros_per_mille } => micros_per_mille,
            Bid::Cpc { micros_per_click } => micros_per_click,
            _ => 0,
        }
    }
    fn set_bid(&mut self, id: AdSetId, bid: i64) {
        self.world.edit_ad_set(id, |set| match &mut set.bid {
            Bid::Cpm { micros_per_mille } => *micros_per_mille = bid,
            Bid::Cpc { micros_per_click } => *micros_per_click = bid,
            _ => (),
        });
    }
    /// What one request is worth to an ad set whose worth of an event is `bid`, less what it pays; nanos.
    fn utility(&self, decision: &Decision, id: AdSetId, bid: i64) -> f64 {
        let Some(fill) = decision.fills().find(|fill| fill.ad_set == id) else { return 0.0 };
        let weight = self.world.catalogue.placements[&fill.placement].spec.slot_weight_ppm;
        let weight = f64::from(weight) / 1e6;
        let joint = !decision.joint.is_empty();
        let row = self.rows.iter().find(|(set, _)| *set == id).map_or_else(Row::default, |(_, row)| *row);
        match self.world.catalogue.ad_sets[&id].spec.bid {
            // An impression at a lesser place is worth less.
            Bid::Cpm { .. } => bid as f64 * if joint { weight } else { 1.0 } - fill.price_nanos as f64,
            _ => {
                let clicks = f64::from(row.click_ppb) / f64::from(PPB) * if joint { weight } else { 1.0 };
                clicks * (bid as f64 * 1_000.0 - fill.price_nanos as f64)
            }
        }
    }
}

/// Nobody gains by another bid than its worth, beyond what rounding to nanos moves.
fn honesty_pays(seed: u64, kind: AuctionKind, places: u32) -> Result<(), TestCaseError> {
    let mut chance = Chance(seed);
    let mut market = Market::new(&mut chance, kind, places);
    let honest = market.ask();
    prop_assert!(honest.joint.iter().all(|joint| joint.method == JointMethod::Exact));
    for id in market.sets.clone() {
        let worth = market.bid(id);
        let gains = market.utility(&honest, id, worth);
        prop_assert!(gains >= -1e-3, "{id} pays above its worth: {gains}");
        for _ in 0..3 {
            let other = 1 + match chance.below(3) {
                0 => chance.below(worth as u64 * 2) as i64,
                1 => worth + chance.below(9) as i64 - 4,
                _ => chance.below(6_000_000) as i64,
            };
            market.set_bid(id, other.max(1));
            let gained = market.utility(&market.ask(), id, worth);
            prop_assert!(gained <= gains + 3.0, "{id}: worth {worth}, bid {other}: {gained} above {gains}");
        }
        market.set_bid(id, worth);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(250))]
    #[test]
    fn honest_bids_are_best_at_the_second_price(seed: u64) {
        honesty_pays(seed, AuctionKind::SecondPrice, 1)?;
    }
    #[test]
    fn honest_bids_are_best_where_places_are_sold_together(seed: u64, places in 1u32..4) {
        honesty_pays(seed, AuctionKind::Vcg, places)?;
    }
}

/// The same test has teeth: at the first price a lower bid gains.
#[test]
fn honest_bids_are_not_best_at_the_first_price() {
    let lies = (0..50).filter(|seed| honesty_pays(*seed, AuctionKind::FirstPrice, 1).is_err()).count();
    assert!(lies > 10, "{lies} of 50");
}

/// Edelman, Ostrovsky and Schwarz (2007), section II, give this example: places of 200 and 100 clicks, three
/// bidders of 10, 4 and 2 a click. VCG payments are 600 and 200 in all, 3 and 2 a click.
#[test]
fn the_published_example_comes_out() {
    let mut world = World::new();
    world.publisher(|p| p.auction = AuctionKind::Vcg);
    for (number, slot_weight_ppm) in [(1, 1_000_000), (2, 500_000)] {
        world.placement(
            number,
            PlacementSpec { slot_weight_ppm, ..placement(SiteId(1), &format!("p{number}")) },
        );
    }
    let mut rows = Vec::new();
    let mut sets = Vec::new();
    for units in [10, 4, 2] {
        let id = world.bidder(1);
        world.edit_ad_set(id, |set| set.bid = Bid::Cpc { micros_per_click: units * 1_000_000 });
        rows.push((id, Row { click_ppb: PPB / 5, ..Row::default() }));
        sets.push(id);
    }
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let request = Request::bare(noon(), 1, SiteId(1), vec![PlacementId(1), PlacementId(2)]);
    let decision = decide(&snapshot, &Tables::new(rows), &request, &OpenGate, &mut |_, _| ());
    let got: Vec<_> = decision.fills().map(|fill| (fill.ad_set, fill.price_nanos)).collect();
    assert_eq!(got, [(sets[0], 3_000_000_000), (sets[1], 2_000_000_000)]);
    let rates: Vec<f32> = decision.fills().map(|fill| fill.predicted_rate).collect();
    assert_eq!(rates, [0.2, 0.1], "half as many clicks at the lesser place");
}

/// With one place, VCG is the second price with reserve.
#[test]
fn one_place_is_a_second_price() {
    for seed in 0..60 {
        let of = |kind| {
            let market = Market::new(&mut Chance(seed), kind, 1);
            market.ask().fills().map(|f| (f.ad_set, f.price_nanos)).collect::<Vec<_>>()
        };
        assert_eq!(of(AuctionKind::SecondPrice), of(AuctionKind::Vcg), "{seed}");
    }
}

/// More than the finalists that may be searched: the answer says so, and everything is still sold.
#[test]
fn what_was_not_searched_is_said() {
    let mut world = World::new();
    world.publisher(|p| p.auction = AuctionKind::Vcg);
    for number in 1..=8 {
        world.placement(number, placement(SiteId(1), &format!("p{number}")));
    }
    // Many categories each, so that many finalists can matter.
    let names: Vec<String> = (0..600).map(|n| format!("category {n}")).collect();
    for n in 0..120 {
        let id = world.bidder(1_000_000 + n * 7_919 % 500_000);
        let mut chance = Chance(n as u64);
        let own: Vec<String> = (0..6).map(|_| chance.pick(&names).clone()).collect();
        world.edit_advertiser(id, |a| a.categories = own);
    }
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let request = Request::bare(noon(), 3, SiteId(1), (1..=8).map(PlacementId).collect());
    let decision = decide(&snapshot, &Tables::default(), &request, &OpenGate, &mut |_, _| ());
    assert_eq!(decision.fills().count(), 8);
    assert_eq!(decision.joint.len(), 1);
    assert_ne!(decision.joint[0].method, JointMethod::Exact);
    let said = regie_decide::explain(&snapshot, &Tables::default(), &request, &OpenGate);
    assert_eq!(said.decision, decision);
    let sentence = &said.placements[0].sentence;
    assert!(sentence.contains("there were more") || sentence.contains("one after another"), "{sentence}");
}
