//! Guaranteed goals over days: met by their end when they can be, the shortage shared when they cannot; and shares
//! of versions inside auctions against the propensities that were logged.

use crate::world::*;
use regie_decide::{
    RecordedGate, Request, Row, Snapshot, Tables, decide,
    pacing::{Controller, Goal, Paced, TrafficShape},
};
use regie_model::{
    AdSetId, HourOfWeek, PlacementId, SiteId, UtcMs, VersionId, Zone,
    booking::*,
    targeting::{Dimension, Op},
    time::{DAY_MS, HOUR_MS, MINUTE_MS},
};
use std::collections::{BTreeMap, BTreeSet};

/// Requests an hour by hour of the day: quiet nights, full evenings. 996 a day.
const DAY: [u32; 24] =
    [8, 5, 4, 4, 5, 10, 20, 35, 45, 48, 50, 52, 55, 52, 50, 50, 52, 58, 68, 80, 90, 80, 50, 25];

/// A goal is let into requests at the rate that meets it at its very end, so the last few are a matter of chance
/// between two updates (here two minutes; a server updates every second).
const LAST_COUNT: u64 = 3;

/// A market of goals over days.
struct Days {
    world: World,
    goals: BTreeMap<AdSetId, (u64, i64)>,
    delivered: BTreeMap<AdSetId, u64>,
    bidder: AdSetId,
    bidder_count: u64,
}
impl Days {
    /// Goals of (impressions, days of flight, placements), beside a bidder in the auction who would take everything.
    fn new(goals: &[(u64, i64, &[&str])]) -> Days {
        let mut world = World::new();
        world.placement(2, placement(SiteId(1), "side"));
        let bidder = world.bidder(90_000_000);
        let open = |campaign: &mut CampaignSpec, days: i64| {
            campaign.flight = Flight { starts_at: noon(), ends_at: Some(UtcMs(noon().0 + days * DAY_MS)) };
        };
        world.edit_campaign(bidder, |campaign| open(campaign, 10));
        let mut own = BTreeMap::new();
        for (impressions_count, days, places) in goals {
            let id = world.bidder(1_000_000);
            world.edit_campaign(id, |campaign| open(campaign, *days));
            world.edit_ad_set(id, |set| {
                set.tier = Tier::Guaranteed { impressions_count: *impressions_count };
                set.targeting.clauses = vec![clause(Dimension::Placement, Op::In, places)];
            });
            own.insert(id, (*impressions_count, *days));
        }
        Days { world, goals: own, delivered: BTreeMap::new(), bidder, bidder_count: 0 }
    }
    fn run(&mut self, days: i64) {
        let (snapshot, zone) = (Snapshot::build(&self.world.catalogue, 1), Zone::utc());
        let mut shape = TrafficShape::flat();
        for hour in 0..168u8 {
            shape.observe(HourOfWeek(hour), u64::from(DAY[usize::from(hour % 24)]));
        }
        let (mut controller, mut chance) = (Controller::default(), Chance(5));
        let mut tables = Tables::default();
        for minute in 0..days * 24 * 60 {
            let now = UtcMs(noon().0 + minute * MINUTE_MS);
            if minute % 2 == 0 {
                let passes = controller.update(now, (&shape, &zone), &[], &self.paced(now));
                let rows = passes.iter().map(|pass| (pass.ad_set, pass.row(Row::default())));
                tables = Tables::new(rows).align(&snapshot);
            }
            let hour = (now.0 / HOUR_MS).rem_euclid(24) as usize;
            // Twice DAY's requests an hour: one for each placement.
            let per_hour = u64::from(2 * DAY[hour]);
            for _ in 0..(per_hour / 60 + u64::from(chance.below(60) < per_hour % 60)) {
                let placement = PlacementId(1 + chance.below(2) as u32);
                self.ask(&snapshot, &tables, &Request::bare(now, chance.bits(), SiteId(1), vec![placement]));
            }
        }
    }
    fn paced(&self, now: UtcMs) -> Vec<Paced> {
        let of = |(id, (count, days)): (&AdSetId, &(u64, i64))| Paced {
            ad_set: *id,
            asap: false,
            bids: false,
            budgets: Vec::new(),
            goal: Some(Goal {
                delivered_count: self.delivered.get(id).copied().unwrap_or(0),
                goal_count: *count,
                starts_at: noon(),
                ends_at: UtcMs(noon().0 + days * DAY_MS),
            }),
        };
        self.goals.iter().filter(|(_, (_, days))| now.0 < noon().0 + days * DAY_MS).map(of).collect()
    }
    fn ask(&mut self, snapshot: &Snapshot, tables: &Tables, request: &Request) {
        let met = |id: &&AdSetId| self.delivered.get(id).copied().unwrap_or(0) >= self.goals[id].0;
        let refused: BTreeSet<AdSetId> = self.goals.keys().filter(met).copied().collect();
        let gate = RecordedGate { refused, house_only: false };
        let decision = decide(snapshot, tables, request, &gate, &mut |_, _| ());
        for fill in decision.fills() {
            *self.delivered.entry(fill.ad_set).or_default() += u64::from(fill.ad_set != self.bidder);
            self.bidder_count += u64::from(fill.ad_set == self.bidder);
        }
    }
    /// Impressions that the goal which missed most has missed.
    fn missing(&self) -> u64 {
        let missing = |(id, (count, _)): (&AdSetId, &(u64, i64))| {
            count.saturating_sub(self.delivered.get(id).copied().unwrap_or(0))
        };
        self.goals.iter().map(missing).max().unwrap_or(0)
    }
    /// Delivered over promised, by goal in the order given.
    fn kept(&self) -> Vec<f64> {
        let kept = |(id, (count, _)): (&AdSetId, &(u64, i64))| {
            self.delivered.get(id).copied().unwrap_or(0) as f64 / *count as f64
        };
        self.goals.iter().map(kept).collect()
    }
}

/// About 2,000 requests a day at two placements, 10,000 in five days; goals of 9,100 that hinder one another.
#[test]
fn goals_that_can_be_met_are_met_by_their_end() {
    let both: &[&str] = &["plc_1", "plc_2"];
    let mut days = Days::new(&[
        (1_600, 2, &["plc_1"]),
        (4_000, 5, both),
        (1_700, 5, &["plc_2"]),
        (1_800, 5, &["plc_1"]),
    ]);
    days.run(5);
    assert!(days.missing() <= LAST_COUNT, "{:?}", days.kept());
    assert!(days.bidder_count > 300, "what the goals leave goes to the auction: {}", days.bidder_count);
}

/// Goals of 13,500 for 10,000 requests: those with the same flight miss alike, whatever their size; nobody else is
/// served at their cost.
#[test]
fn a_shortage_is_shared_in_proportion() {
    let both: &[&str] = &["plc_1", "plc_2"];
    let mut days = Days::new(&[(6_000, 5, both), (4_500, 5, both), (3_000, 5, both)]);
    days.run(5);
    let kept = days.kept();
    let mean = kept.iter().sum::<f64>() / 3.0;
    assert!((0.70..0.80).contains(&mean), "{kept:?}");
    assert!(kept.iter().all(|kept| (kept - mean).abs() < 0.05), "{kept:?}");
    assert!(days.bidder_count < 300, "the goals come first: {}", days.bidder_count);
}

/// One that can only run where others can too has what it needs before them.
#[test]
fn who_has_no_other_place_is_served_there() {
    let both: &[&str] = &["plc_1", "plc_2"];
    let mut days = Days::new(&[(4_200, 5, &["plc_1"]), (5_000, 5, both)]);
    days.run(5);
    assert!(days.missing() <= LAST_COUNT, "{:?}", days.kept());
}

/// Two ad sets in an auction whose winner changes with the request; each draws among three versions. What is served
/// is what the tickets say, and inverse propensity weighting recovers each version's true click rate.
#[test]
fn served_shares_are_the_logged_propensities_and_recover_the_true_rates() {
    let mut world = World::new();
    world.publisher(|p| p.auction = AuctionKind::Vcg);
    for (number, slot_weight_ppm) in [(1, 1_000_000), (2, 600_000)] {
        let name = format!("place-{number}");
        world.placement(number, PlacementSpec { slot_weight_ppm, ..placement(SiteId(1), &name) });
    }
    let (one, two) = (world.bidder(1_200_000), world.bidder(1_000_000));
    world.edit_ad_set(one, |set| {
        set.targeting.clauses = vec![clause(Dimension::Keyword, Op::NotIn, &["food"])]
    });
    for set in [one, two] {
        for weight in [1, 8] {
            let ad = world.ad(set, "https://goods.example/");
            world.version(ad, Shape::Banner(SIZES[0]), weight);
            world.approve(ad);
        }
    }
    let snapshot = Snapshot::build(&world.catalogue, 1);
    // Of the second ad set's versions: true click rates, known to nobody.
    let true_rate = |version: VersionId| [0.02, 0.05, 0.11][version.0 as usize % 3];
    let count = 40_000u32;
    let mut chance = Chance(11);
    let (mut served, mut logged): (BTreeMap<VersionId, f64>, BTreeMap<VersionId, f64>) = Default::default();
    let mut weighted: BTreeMap<VersionId, f64> = BTreeMap::new();
    let mut wins: BTreeMap<AdSetId, f64> = BTreeMap::new();
    for _ in 0..count {
        let placements = vec![PlacementId(1), PlacementId(2)];
        let mut request = Request::bare(noon(), chance.bits(), SiteId(1), placements);
        request.page.keywords = if chance.one_in(2) { vec!["food".into()] } else { Vec::new() };
        let decision =
            decide(&snapshot, &Tables::default(), &request, &RecordedGate::default(), &mut |_, _| ());
        for fill in decision.fills() {
            *wins.entry(fill.ad_set).or_default() += 1.0;
            *served.entry(fill.version).or_default() += 1.0;
            logged.insert(fill.version, fill.propensity);
            let clicked = (chance.below(1_000_000) as f64) < true_rate(fill.version) * 1e6;
            *weighted.entry(fill.version).or_default() += f64::from(u8::from(clicked)) / fill.propensity;
        }
    }
    assert_eq!(logged.len(), 6);
    for (version, propensity) in logged {
        let ad = world.catalogue.versions.brief(version).unwrap().ad;
        let wins = wins[&world.catalogue.ads[&ad].kept.spec.ad_set];
        let (share, sigma) = (served[&version] / wins, (propensity * (1.0 - propensity) / wins).sqrt());
        assert!((share - propensity).abs() < 4.5 * sigma, "{version}: {share} against {propensity}");
        let (rate, truth) = (weighted[&version] / wins, true_rate(version));
        let sigma = (truth * (1.0 - truth) / (propensity * wins)).sqrt();
        assert!((rate - truth).abs() < 4.5 * sigma, "{version}: {rate} against {truth}");
    }
}
