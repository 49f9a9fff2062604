//! Experiments in the decision: arms by unit, exact propensities within an arm, ghosts of a holdout.

use crate::world::*;
use regie_decide::{Decision, Elimination, OpenGate, Request, Snapshot, Tables, decide, explain};
use regie_model::{AdId, AdSetId, PlacementId, SiteId, UtcMs, VersionId, booking::*, time::HOUR_MS};
use std::collections::BTreeMap;

fn arm(name: &str, share_ppm: u32) -> ArmSpec {
    ArmSpec { name: name.into(), share_ppm, ads: Vec::new(), versions: Vec::new(), holdout: false }
}
fn experiment(unit: ExperimentUnit, arms: Vec<ArmSpec>) -> Option<ExperimentSpec> {
    Some(ExperimentSpec { name: "spring".into(), unit, arms })
}
fn request(seed: u64, hour: i64) -> Request {
    Request::bare(UtcMs(noon().0 + hour * HOUR_MS), seed, SiteId(1), vec![PlacementId(1)])
}
fn ask(snapshot: &Snapshot, request: &Request) -> (Decision, Vec<(AdSetId, Elimination)>) {
    let mut said = Vec::new();
    let decision =
        decide(snapshot, &Tables::default(), request, &OpenGate, &mut |id, why| said.push((id, why)));
    (decision, said)
}

/// One ad set with two ads, of two versions (weights 1, 3) and one.
fn two_ads() -> (World, AdSetId, [AdId; 2], [VersionId; 3]) {
    let mut world = World::new();
    let set = world.bidder(5_000_000);
    let first = AdId(1);
    let second = world.ad(set, "https://goods.example/other");
    let versions = [
        VersionId(1),
        world.version(first, Shape::Banner(SIZES[0]), 3),
        world.version(second, Shape::Banner(SIZES[0]), 1),
    ];
    world.approve(first);
    world.approve(second);
    (world, set, [first, second], versions)
}

#[test]
fn a_page_view_sees_its_arm_with_an_exact_propensity() {
    let (mut world, set, ads, versions) = two_ads();
    let arms = vec![
        ArmSpec { ads: vec![ads[0]], ..arm("old", 700_000) },
        ArmSpec { ads: vec![ads[1]], ..arm("new", 300_000) },
    ];
    world.edit_ad_set(set, |spec| spec.experiment = experiment(ExperimentUnit::PageView, arms));
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let mut counts: BTreeMap<VersionId, (u64, f64)> = BTreeMap::new();
    for seed in 0..20_000 {
        let (decision, _) = ask(&snapshot, &request(seed, 0));
        assert_eq!(decision, ask(&snapshot, &request(seed, 0)).0, "law D1");
        let fill = decision.fills().next().expect("an ad");
        let row = counts.entry(fill.version).or_default();
        *row = (row.0 + 1, fill.propensity);
    }
    // Within an arm the propensities are those of its versions alone (law D2), and sum to 1.
    let share = |version: VersionId| counts[&version].0 as f64 / 20_000.0;
    assert_eq!(versions.map(|v| counts[&v].1), [0.25, 0.75, 1.0]);
    for (version, expected) in versions.into_iter().zip([0.7 * 0.25, 0.7 * 0.75, 0.3]) {
        assert!((share(version) - expected).abs() < 0.015, "{version} {} {expected}", share(version));
    }
}

#[test]
fn arms_of_versions_leave_the_others_out() {
    let (mut world, set, _, versions) = two_ads();
    let arms = vec![
        ArmSpec { versions: vec![versions[1]], ..arm("a", 500_000) },
        ArmSpec { versions: vec![versions[0], versions[2]], ..arm("b", 500_000) },
    ];
    world.edit_ad_set(set, |spec| spec.experiment = experiment(ExperimentUnit::PageView, arms));
    let snapshot = Snapshot::build(&world.catalogue, 1);
    for seed in 0..500 {
        let (decision, _) = ask(&snapshot, &request(seed, 0));
        let fill = decision.fills().next().expect("an ad");
        let expected = if fill.version == versions[1] { 1.0 } else { 0.5 };
        assert_eq!(fill.propensity, expected, "{}", fill.version);
    }
}

#[test]
fn a_new_name_draws_units_anew() {
    let (mut world, set, ads, _) = two_ads();
    let arms = ads.map(|ad| ArmSpec { ads: vec![ad], ..arm(&ad.to_string(), 500_000) }).to_vec();
    world.edit_ad_set(set, |spec| spec.experiment = experiment(ExperimentUnit::PageView, arms));
    let before = Snapshot::build(&world.catalogue, 1);
    world.edit_ad_set(set, |spec| {
        if let Some(experiment) = &mut spec.experiment {
            experiment.name = "summer".into();
        }
    });
    let after = Snapshot::build(&world.catalogue, 2);
    let ad = |snapshot: &Snapshot, seed| ask(snapshot, &request(seed, 0)).0.fills().next().map(|f| f.ad);
    let moved = (0..2_000).filter(|seed| ad(&before, *seed) != ad(&after, *seed)).count();
    assert!((850..1_150).contains(&moved), "{moved}");
}

#[test]
fn in_the_holdout_the_runner_up_is_served_and_a_ghost_is_told() {
    let mut world = World::new();
    let (tested, other, third) = (world.bidder(9_000_000), world.bidder(4_000_000), world.bidder(3_000_000));
    for set in [tested, other, third] {
        world.edit_campaign(set, |campaign| campaign.flight.ends_at = None);
    }
    let arms = vec![ArmSpec { holdout: true, ..arm("none", 500_000) }, arm("shown", 500_000)];
    let plain = Snapshot::build(&world.catalogue, 1);
    world.edit_ad_set(tested, |spec| spec.experiment = experiment(ExperimentUnit::PlacementHour, arms));
    let snapshot = Snapshot::build(&world.catalogue, 2);
    let mut without = world.clone();
    without.edit_ad_set(tested, |spec| spec.bid = Bid::Cpm { micros_per_mille: 1 });
    let without = Snapshot::build(&without.catalogue, 3);
    let mut held = 0;
    for hour in 0..200 {
        let (decision, said) = ask(&snapshot, &request(hour as u64, hour));
        let fill = decision.fills().next().expect("an ad");
        let ghosts: Vec<_> = said.iter().filter(|(_, why)| *why == Elimination::HeldOut).collect();
        if fill.ad_set == tested {
            assert!(ghosts.is_empty());
            assert_eq!(fill, ask(&plain, &request(hour as u64, hour)).0.fills().next().expect("an ad"));
            continue;
        }
        held += 1;
        assert_eq!((fill.ad_set, ghosts.len(), ghosts[0].0), (other, 1, tested));
        assert_eq!(said.iter().filter(|(id, _)| *id == third).count(), 1, "each reason once");
        // The runner-up pays what it would have paid had the ghost not been there.
        let alone = ask(&without, &request(hour as u64, hour)).0;
        assert_eq!(fill.price_nanos, alone.fills().next().expect("an ad").price_nanos);
        let explained = explain(&snapshot, &Tables::default(), &request(hour as u64, hour), &OpenGate);
        let of_tested =
            explained.placements[0].ad_sets.iter().find(|a| a.ad_set == tested).expect("explained");
        assert_eq!(of_tested.code, "held_out");
        // Everybody in this hour is in the same arm.
        assert_eq!(
            ask(&snapshot, &request(hour as u64 + 1_000, hour)).0.fills().next().expect("an ad").ad_set,
            other
        );
    }
    assert!((70..130).contains(&held), "{held}");
}

#[test]
fn a_political_experiment_by_region_reads_none_where_location_is_off() {
    let mut world = World::new();
    let tested = world.bidder(9_000_000);
    world.bidder(4_000_000);
    world.edit_campaign(tested, |campaign| campaign.political = Some(declaration()));
    let arms = vec![ArmSpec { holdout: true, ..arm("none", 500_000) }, arm("shown", 500_000)];
    world.edit_ad_set(tested, |spec| spec.experiment = experiment(ExperimentUnit::RegionDay, arms));
    let snapshot = Snapshot::build(&world.catalogue, 1);
    for seed in 0..200 {
        let mut here = request(seed, 0);
        let before = ask(&snapshot, &here).0;
        here.location.region = Some(format!("FR-{seed}"));
        assert_eq!(ask(&snapshot, &here).0, before, "law P1");
    }
}
