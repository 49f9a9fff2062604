//! Forecasts against traffic whose truth is known: the expectation, how often the interval holds, what a targeting
//! meets, and when a promise cannot be kept.

use crate::world::{Chance, clause, noon};
use regie_decide::forecast::{Asked, Cell, Claim, Demand, Observed, Traffic, book};
use regie_model::{
    AdSetId, PlacementId, SiteId, UtcHour, UtcMs, Zone,
    targeting::{Clause, Dimension, Op},
    ticket::DeviceClass,
    time::{DAY_MS, HOUR_MS},
};
use std::collections::BTreeSet;

fn cell(placement: u32, country: &[u8; 2], device: DeviceClass) -> Cell {
    Cell { placement: PlacementId(placement), site: SiteId(1), country: *country, device: device as u8 }
}
fn mean(hour_of_day: i64, weekend: bool) -> f64 {
    let day = [
        4., 3., 2., 2., 3., 6., 12., 20., 30., 34., 36., 38., 40., 38., 36., 36., 38., 42., 50., 56., 60.,
        50., 30., 15.,
    ];
    day[hour_of_day as usize] * if weekend { 0.6 } else { 1.0 }
}
/// A Poisson draw (Knuth).
fn poisson(chance: &mut Chance, mean: f64) -> u64 {
    let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
    loop {
        product *= (chance.bits() >> 11) as f64 / (1u64 << 53) as f64;
        if product <= limit {
            return count;
        }
        count += 1;
    }
}
/// So many hours before noon: two thirds phones in France, one third desktops in Belgium, at two placements.
fn observe(chance: &mut Chance, hours: i64, level: impl Fn(&mut Chance, i64) -> f64) -> Observed {
    let until = noon().hour();
    let mut counts = Vec::new();
    let mut week = (i64::MIN, 1.0);
    for hour in until.0 - hours..until.0 {
        let back = (until.0 - 1 - hour) / 168;
        if back != week.0 {
            week = (back, level(chance, hour));
        }
        let (day, at) = (hour.div_euclid(24), hour.rem_euclid(24));
        let per = mean(at, (day + 3).rem_euclid(7) >= 5) * week.1;
        for placement in 1..=2 {
            counts.push((
                UtcHour(hour),
                cell(placement, b"FR", DeviceClass::Phone),
                poisson(chance, per * 2.0 / 3.0),
            ));
            counts.push((
                UtcHour(hour),
                cell(placement, b"BE", DeviceClass::Desktop),
                poisson(chance, per / 3.0),
            ));
        }
    }
    Observed { counts, from: UtcHour(until.0 - hours), until }
}
fn truth(days: i64) -> f64 {
    let hours = (0..days * 24).map(|n| noon().hour().0 + n);
    hours.map(|h| 2.0 * mean(h.rem_euclid(24), (h.div_euclid(24) + 3).rem_euclid(7) >= 5)).sum()
}
fn places() -> BTreeSet<PlacementId> {
    [PlacementId(1), PlacementId(2)].into()
}
fn ask<'a>(
    clauses: &'a [Clause],
    zone: &'a Zone,
    placements: &'a BTreeSet<PlacementId>,
    days: i64,
) -> Asked<'a> {
    Asked { clauses, zone, placements, from: noon(), until: UtcMs(noon().0 + days * DAY_MS) }
}

#[test]
fn four_weeks_foretell_the_next_ones_and_the_interval_holds_about_nine_of_ten() {
    let (zone, places) = (Zone::utc(), places());
    for (steady, least, most) in [(true, 0.85, 1.0), (false, 0.75, 1.0)] {
        let mut held = 0;
        let count = 60;
        for seed in 0..count {
            let mut chance = Chance(seed);
            let level = |chance: &mut Chance| {
                if steady { 1.0 } else { 0.85 + 0.3 * (chance.below(1_000) as f64 / 1_000.0) }
            };
            let observed = observe(&mut chance, 28 * 24, |chance, _| level(chance));
            let got = Traffic::learn(&observed, &zone).forecast(&ask(&[], &zone, &places, 7));
            assert!((got.requests.expected / truth(7) - 1.0).abs() < 0.2, "{:?} {}", got.requests, truth(7));
            assert!(got.too_little.is_none() && got.uncounted.is_empty());
            let next = truth(7) * level(&mut chance);
            let next = next + (poisson(&mut chance, 400.0) as f64 - 400.0) / 20.0 * next.sqrt();
            held += u32::from((got.requests.low..=got.requests.high).contains(&next));
        }
        let share = f64::from(held) / count as f64;
        assert!((least..=most).contains(&share), "steady {steady}: {share}");
    }
}

#[test]
fn thin_traffic_says_so_with_a_wide_interval() {
    let (zone, places) = (Zone::utc(), places());
    let of = |hours: i64| {
        let observed = observe(&mut Chance(3), hours, |_, _| 1.0);
        Traffic::learn(&observed, &zone).forecast(&ask(&[], &zone, &places, 7))
    };
    let (day, month) = (of(20), of(28 * 24));
    let thin = day.too_little.unwrap();
    assert_eq!(thin.hours_count, 20);
    assert!(month.too_little.is_none());
    let width =
        |a: &regie_decide::forecast::Available| (a.requests.high - a.requests.low) / a.requests.expected;
    assert!(width(&day) > 5.0 * width(&month), "{} {}", width(&day), width(&month));
    assert!((day.requests.low..=day.requests.high).contains(&truth(7)), "{:?} {}", day.requests, truth(7));
    let none = of(0);
    assert_eq!(none.requests.expected, 0.0);
    assert_eq!(none.too_little.map(|thin| thin.requests_count), Some(0));
}

#[test]
fn a_targeting_meets_its_part() {
    let (zone, places) = (Zone::utc(), places());
    let observed = observe(&mut Chance(9), 28 * 24, |_, _| 1.0);
    let traffic = Traffic::learn(&observed, &zone);
    let all = traffic.forecast(&ask(&[], &zone, &places, 14)).requests.expected;
    let part =
        |clauses: &[Clause]| traffic.forecast(&ask(clauses, &zone, &places, 14)).requests.expected / all;
    let near = |got: f64, want: f64| assert!((got - want).abs() < 0.02, "{got} {want}");
    near(part(&[clause(Dimension::Country, Op::In, &["FR"])]), 2.0 / 3.0);
    near(part(&[clause(Dimension::Device, Op::NotIn, &["phone"])]), 1.0 / 3.0);
    near(part(&[clause(Dimension::Placement, Op::In, &["plc_2"])]), 0.5);
    near(part(&[clause(Dimension::Country, Op::In, &["DE"])]), 0.0);
    let hours = part(&[clause(Dimension::HourOfWeek, Op::In, &["mon-fri 18-22"])]);
    near(hours, 5.0 * (50. + 56. + 60. + 50. - 0.0) / (truth(7) / 2.0));
    let both =
        [clause(Dimension::Country, Op::In, &["FR"]), clause(Dimension::Placement, Op::NotIn, &["plc_2"])];
    near(part(&both), 1.0 / 3.0);
    let only: BTreeSet<_> = [PlacementId(1)].into();
    near(traffic.forecast(&ask(&[], &zone, &only, 14)).requests.expected / all, 0.5);
    // What is not counted by: the most it can be, and down to nothing.
    let keyword = [clause(Dimension::Keyword, Op::In, &["sport"])];
    let got = traffic.forecast(&ask(&keyword, &zone, &places, 14));
    assert_eq!((got.uncounted, got.requests.low), (vec!["keyword".to_owned()], 0.0));
    assert!((got.requests.expected - all).abs() < 1e-6);
    // Weeks are Monday to Sunday, and add up.
    let got = traffic.forecast(&ask(&[], &zone, &places, 14));
    assert_eq!(got.by_placement.len(), 6);
    let sum: f64 = got.by_placement.iter().map(|row| row.requests).sum();
    assert!((sum - all).abs() < 1e-6);
    assert!(got.by_placement.iter().all(|r| r.week.ends_at.0 - r.week.starts_at.0 <= 7 * 24 * HOUR_MS));
}

#[test]
fn promises_beyond_the_traffic_are_oversold_where_they_are() {
    let (zone, places) = (Zone::utc(), places());
    let observed = observe(&mut Chance(4), 28 * 24, |_, _| 1.0);
    let traffic = Traffic::learn(&observed, &zone);
    let week = traffic.forecast(&ask(&[], &zone, &places, 7)).requests.expected;
    let first = [clause(Dimension::Placement, Op::In, &["plc_1"])];
    let demand = |number: u32, clauses: &'static [Clause], claim: Claim, places| Demand {
        ad_set: Some(AdSetId(number)),
        asked: ask(clauses, Box::leak(Box::new(Zone::utc())), places, 7),
        claim,
    };
    let first: &'static [Clause] = Box::leak(Box::new(first));
    let goal = |part: f64| Claim::Goal { left_count: (week * part) as u64 };
    let whole = ask(&[], &zone, &places, 7);
    let oversold = |demands: &[Demand<'_>]| {
        let (promises, rows) = book(&traffic, &whole, demands);
        let over: BTreeSet<u32> = rows.iter().filter(|r| r.is_oversold()).map(|r| r.placement.0).collect();
        let missing: Vec<f64> = promises.iter().map(|p| p.missing_count as f64 / week).collect();
        (over, missing)
    };
    // Half of all at the first placement, and four fifths of the rest anywhere: it fits, and only just.
    let (over, missing) =
        oversold(&[demand(1, first, goal(0.45), &places), demand(2, &[], goal(0.5), &places)]);
    assert_eq!((over, missing), (BTreeSet::new(), vec![0.0, 0.0]));
    // A sponsor with half of everything leaves too little at the first.
    let share = Claim::Share { ppm: 500_000 };
    let (over, missing) = oversold(&[demand(1, first, goal(0.45), &places), demand(3, &[], share, &places)]);
    assert_eq!(over, [1].into());
    assert!((missing[0] - 0.2).abs() < 0.01, "{missing:?}");
    // Two sponsors of two thirds each are too many by themselves.
    let share = Claim::Share { ppm: 666_667 };
    let (over, _) = oversold(&[demand(3, &[], share, &places), demand(4, first, share, &places)]);
    assert_eq!(over, [1].into());
    // Far too much is missed however high the traffic.
    let (promises, _) = book(&traffic, &whole, &[demand(1, &[], goal(3.0), &places)]);
    assert!(promises[0].missing_at_most_traffic_count > 0);
    assert!((promises[0].missing_count as f64 / week - 2.0).abs() < 0.01);
}
