//! Attacks the whole published history of breakdowns by linear programming: no cell under the threshold can be pinned.
//!
//! The attacker has everything that is public: exact impressions per ad and day, exact totals, every breakdown ever
//! published, and the list of values that exist. A cell is pinned when its smallest and largest possible value agree.
#![allow(clippy::unwrap_used)]

use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};
use proptest::prelude::*;
use regie_model::{AdId, Day};
use regie_record::breakdown::{Breakdown, CELL_MIN, Cell, Dimension, breakdown};
use std::collections::BTreeMap;

const DEVICES: [&str; 5] = ["desktop", "phone", "tablet", "tv", "unknown"];
const REGIONS: [&str; 7] = ["AT", "BE", "CH", "DE", "FR", "IT", "unknown"];

/// Repeatable numbers, seldom large, often small.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
    fn count(&mut self) -> u64 {
        match self.roll(4) {
            0 => 0,
            1 => self.roll(CELL_MIN),
            2 => CELL_MIN - 2 + self.roll(6),
            _ => self.roll(400),
        }
    }
}

type Truth = BTreeMap<(AdId, Day, Dimension), BTreeMap<String, u64>>;

/// Days of two ads: for each day one exact number of impressions, split in every dimension.
fn history(seed: u64, days: i32) -> Truth {
    let mut dice = Dice(seed);
    let mut truth = Truth::new();
    for ad in [AdId(1), AdId(2)] {
        for day in (0..days).map(Day) {
            let regions: BTreeMap<String, u64> =
                REGIONS.iter().map(|v| ((*v).into(), dice.count())).collect();
            let total: u64 = regions.values().sum();
            let mut split = |labels: Vec<String>| {
                let mut left = total;
                let last = labels.len() - 1;
                let mut counts = BTreeMap::new();
                for (index, label) in labels.into_iter().enumerate() {
                    let part = if index == last { left } else { dice.count().min(left) };
                    left -= part;
                    counts.insert(label, part);
                }
                counts
            };
            let devices = split(DEVICES.iter().map(|v| (*v).to_owned()).collect());
            let hours = split((0..24).map(|h| format!("{h:02}")).collect());
            truth.insert((ad, day, Dimension::Region), regions);
            truth.insert((ad, day, Dimension::Device), devices);
            truth.insert((ad, day, Dimension::Hour), hours);
        }
    }
    truth
}

/// Everything public as linear constraints over one variable per cell of the whole history.
fn attack(truth: &Truth, published: &BTreeMap<(AdId, Day, Dimension), Breakdown>) -> Vec<String> {
    let mut pinned = Vec::new();
    for (key, counts) in truth {
        for (value, count) in counts.iter().filter(|(_, n)| (1..CELL_MIN).contains(n)) {
            let bound = |direction| solve(truth, published, direction, key, value);
            let (low, high) =
                (bound(OptimizationDirection::Minimize), bound(OptimizationDirection::Maximize));
            assert!(low <= *count as f64 + 1e-6 && *count as f64 <= high + 1e-6, "the truth is possible");
            if high - low < 0.5 {
                pinned.push(format!("{key:?} {value} = {count}"));
            }
        }
    }
    pinned
}

fn solve(
    truth: &Truth,
    published: &BTreeMap<(AdId, Day, Dimension), Breakdown>,
    direction: OptimizationDirection,
    target: &(AdId, Day, Dimension),
    wanted: &str,
) -> f64 {
    let mut problem = Problem::new(direction);
    let mut ad_total: Vec<(Variable, f64)> = Vec::new();
    let mut exact = 0;
    for (key, counts) in truth.iter().filter(|(k, _)| k.0 == target.0) {
        let made = &published[key];
        let mut all: Vec<(Variable, f64)> = Vec::new();
        let mut other: Vec<(Variable, f64)> = Vec::new();
        for value in counts.keys() {
            let aim = if key == target && value == wanted { 1.0 } else { 0.0 };
            let cell = problem.add_var(aim, (0.0, f64::INFINITY));
            all.push((cell, 1.0));
            match made.cells.iter().find(|c| c.value == *value) {
                Some(told) => {
                    problem.add_constraint([(cell, 1.0)], ComparisonOp::Eq, told.impressions_count as f64)
                }
                None => other.push((cell, 1.0)),
            }
        }
        problem.add_constraint(&other, ComparisonOp::Eq, made.other_count as f64);
        // The day's exact impressions are public, and each dimension adds up to them.
        let day: u64 = counts.values().sum();
        problem.add_constraint(&all, ComparisonOp::Eq, day as f64);
        if key.2 == Dimension::Region {
            ad_total.extend(all);
            exact += day;
        }
    }
    problem.add_constraint(&ad_total, ComparisonOp::Eq, exact as f64);
    problem.solve().unwrap().objective()
}

fn publish(truth: &Truth) -> BTreeMap<(AdId, Day, Dimension), Breakdown> {
    truth.iter().map(|(key, counts)| (*key, breakdown(key.0, key.1, key.2, counts))).collect()
}
/// What many archives do: leave out the small cells and nothing else.
fn naive(truth: &Truth) -> BTreeMap<(AdId, Day, Dimension), Breakdown> {
    let one = |(key, counts): (&(AdId, Day, Dimension), &BTreeMap<String, u64>)| {
        let listed = counts.iter().filter(|(_, n)| **n >= CELL_MIN);
        let cells: Vec<Cell> =
            listed.map(|(value, n)| Cell { value: value.clone(), impressions_count: *n }).collect();
        let total: u64 = counts.values().sum();
        let other_count = total - cells.iter().map(|c| c.impressions_count).sum::<u64>();
        (*key, Breakdown { dimension: key.2, cells, other_count })
    };
    truth.iter().map(one).collect()
}

#[test]
fn no_small_cell_of_the_published_history_can_be_worked_out() {
    for seed in 1..=4 {
        let truth = history(seed, 3);
        let pinned = attack(&truth, &publish(&truth));
        assert!(pinned.is_empty(), "seed {seed}: {pinned:?}");
    }
}

#[test]
fn the_attack_pins_cells_where_only_the_small_ones_are_left_out() {
    let mut truth = history(1, 1);
    // A day with a single small cell among cells that are all listed.
    let key = (AdId(1), Day(0), Dimension::Device);
    let devices = [("desktop", 0), ("phone", 0), ("tablet", 7), ("tv", 30), ("unknown", 40)];
    truth.insert(key, devices.iter().map(|(v, n)| ((*v).into(), *n)).collect());
    truth.retain(|k, _| *k == key);
    let counts = truth.get_mut(&key).unwrap();
    counts.insert("desktop".into(), 25);
    counts.insert("phone".into(), 25);
    assert_eq!(attack(&truth, &naive(&truth)).len(), 1, "without a complement the attack succeeds");
    assert!(attack(&truth, &publish(&truth)).is_empty());
}

/// An attacker who also knows the rule: enumerates every way in which the hidden cells could have come about.
fn possible(
    hidden: &[String],
    other: u64,
    key: (AdId, Day, Dimension),
    told: &Breakdown,
) -> Vec<BTreeMap<String, u64>> {
    let mut found = Vec::new();
    let (first, second) = (&hidden[0], &hidden[1]);
    for a in 0..=other {
        let mut counts: BTreeMap<String, u64> =
            told.cells.iter().map(|c| (c.value.clone(), c.impressions_count)).collect();
        counts.insert(first.clone(), a);
        counts.insert(second.clone(), other - a);
        if breakdown(key.0, key.1, key.2, &counts) == *told {
            found.push(counts);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Even with two hidden values, and the rule known, a small cell has more than one possible value.
    #[test]
    fn knowing_the_rule_does_not_help(small in 1..CELL_MIN, large in CELL_MIN..200, rest in CELL_MIN..200, ad in 1u32..50) {
        let key = (AdId(ad), Day(0), Dimension::Device);
        let counts: BTreeMap<String, u64> =
            [("desktop", small), ("phone", large), ("tablet", rest)].iter().map(|(v, n)| ((*v).into(), *n)).collect();
        let told = breakdown(key.0, key.1, key.2, &counts);
        let hidden: Vec<String> =
            counts.keys().filter(|v| told.cells.iter().all(|c| c.value != **v)).cloned().collect();
        prop_assume!(hidden.len() == 2);
        let values: std::collections::BTreeSet<u64> =
            possible(&hidden, told.other_count, key, &told).iter().map(|c| c["desktop"]).collect();
        prop_assert!(values.len() > 1, "{counts:?} {told:?}");
    }
    /// Cells and "other" add up to the day, and nothing below the threshold is listed.
    #[test]
    fn a_breakdown_adds_up(counts in proptest::collection::btree_map("[a-e]", 0u64..100, 0..6)) {
        let made = breakdown(AdId(1), Day(1), Dimension::Region, &counts);
        let sum: u64 = made.cells.iter().map(|c| c.impressions_count).sum();
        prop_assert_eq!(sum + made.other_count, counts.values().sum::<u64>());
        prop_assert!(made.cells.iter().all(|c| c.impressions_count >= CELL_MIN));
    }
}
