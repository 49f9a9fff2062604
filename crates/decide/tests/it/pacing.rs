//! Pacing in a simulated market of a day: budgets that can be spent end the day spent and on their curve;
//! budgets that cannot are never held back.

use crate::world::Chance;
use regie_decide::{
    PPM,
    pacing::{Budget, BudgetKey, Controller, Goal, Paced, Pass, TrafficShape},
};
use regie_model::{AdSetId, CampaignId, HourOfWeek, UtcMs, Zone, time::DAY_MS};

const STEP_MS: i64 = 10_000;
const PRICE: i64 = 2_000;

/// Requests in an hour of the day: quiet nights, two peaks; another level at the weekend.
fn usual(hour: u8) -> u64 {
    let of_day = f64::from(hour % 24);
    let peak = |at: f64, width: f64| (-((of_day - at) / width).powi(2)).exp();
    let weekend = if hour >= 120 { 0.6 } else { 1.0 };
    ((0.05 + peak(9.0, 2.5) + 1.4 * peak(20.0, 2.0)) * 20_000.0 * weekend) as u64
}
fn learned() -> TrafficShape {
    let mut shape = TrafficShape::flat();
    (0..168).for_each(|hour| shape.observe(HourOfWeek(hour), usual(hour)));
    shape
}

/// One day in which each request that passes is bought at one price, up to the budget.
struct Day {
    controller: Controller,
    shape: TrafficShape,
    zone: Zone,
    chance: Chance,
    start: UtcMs,
    /// Real traffic relative to the usual.
    level: f64,
    /// Steps between an impression and its being known to the controller.
    lag: usize,
}
/// How a day went: (share of the traffic that had passed, spent, probability) after each step.
type Course = Vec<(f64, i64, u32)>;

impl Day {
    fn new(seed: u64) -> Day {
        Day {
            controller: Controller::default(),
            shape: learned(),
            zone: Zone::utc(),
            chance: Chance(seed),
            start: UtcMs::parse("2026-05-04T00:00:00Z").unwrap(),
            level: 1.0,
            lag: 1,
        }
    }
    fn requests(&mut self, at: UtcMs) -> u64 {
        let hour = self.zone.hour_of_week(at).0;
        let mean = usual(hour) as f64 * self.level * STEP_MS as f64 / 3_600_000.0;
        // Poisson by inversion for small means, close enough by a sum of halves for larger ones.
        let (mut left, mut count) = (mean, 0);
        while left > 0.0 {
            let part = left.min(20.0);
            left -= part;
            let (mut product, limit) = (1.0, (-part).exp());
            loop {
                product *= (self.chance.below(1 << 53) as f64 + 1.0) / (1u64 << 53) as f64;
                if product <= limit {
                    break;
                }
                count += 1;
            }
        }
        count
    }
    fn run(&mut self, total: i64, asap: bool) -> Course {
        let end = UtcMs(self.start.0 + DAY_MS);
        let paced = [Paced {
            ad_set: AdSetId(1),
            asap,
            bids: false,
            budgets: vec![BudgetKey::Campaign(CampaignId(1))],
            goal: None,
        }];
        let usual = learned();
        let (whole, mut passed) = (usual.mass(&self.zone, self.start, end), 0.0);
        let (mut spent, mut course, mut known): (i64, Course, Vec<i64>) = (0, Vec::new(), vec![0; self.lag]);
        let mut at = self.start;
        while at < end {
            let budget = Budget {
                key: BudgetKey::Campaign(CampaignId(1)),
                spent: known[known.len() - self.lag],
                total,
                event: PRICE,
                starts_at: self.start,
                ends_at: end,
            };
            let passes = self.controller.update(at, (&self.shape, &self.zone), &[budget], &paced);
            let pass_ppm = passes[0].pass_ppm;
            for _ in 0..self.requests(at) {
                // The gate: never above the budget.
                let passes = self.chance.below(u64::from(PPM)) < u64::from(pass_ppm);
                spent += if passes && spent + PRICE <= total { PRICE } else { 0 };
            }
            known.push(spent);
            let next = UtcMs(at.0 + STEP_MS);
            passed += usual.mass(&self.zone, at, next);
            at = next;
            course.push((passed / whole, spent, pass_ppm));
        }
        self.start = end;
        course
    }
}

/// Largest distance from the curve, as a share of the budget.
fn deviation(course: &Course, total: i64) -> f64 {
    let off = course.iter().map(|(share, spent, _)| (*spent as f64 / total as f64 - share).abs());
    off.fold(0.0, f64::max)
}
fn spent_share(course: &Course, total: i64) -> f64 {
    course.last().map_or(0.0, |(_, spent, _)| *spent as f64 / total as f64)
}
/// What the day's traffic would spend unpaced.
fn possible() -> i64 {
    (0..24).map(|hour| usual(hour) as i64 * PRICE).sum()
}

#[test]
fn an_even_budget_with_ample_traffic_is_spent_along_the_curve() {
    for (seed, part) in [(1, 2), (2, 5), (3, 50)] {
        let total = possible() / part;
        let course = Day::new(seed).run(total, false);
        let (share, off) = (spent_share(&course, total), deviation(&course, total));
        assert!((0.97..=1.0).contains(&share), "1/{part}: spent {share}");
        assert!(off < 0.03, "1/{part}: {off} off the curve");
    }
}

#[test]
fn it_corrects_traffic_that_is_not_the_usual_one() {
    for (seed, level) in [(1, 0.6), (2, 2.5)] {
        let total = possible() / 5;
        let mut day = Day::new(seed);
        day.level = level;
        let course = day.run(total, false);
        let (share, off) = (spent_share(&course, total), deviation(&course, total));
        assert!((0.97..=1.0).contains(&share), "x{level}: spent {share}");
        assert!(off < 0.03, "x{level}: {off} off the curve");
    }
}

#[test]
fn the_first_day_without_a_learned_shape_is_spent_too() {
    let total = possible() / 5;
    let mut day = Day::new(7);
    day.shape = TrafficShape::flat();
    let share = spent_share(&day.run(total, false), total);
    assert!((0.90..=1.0).contains(&share), "spent {share}");
    // What was learned of the market serves the next day.
    day.shape = learned();
    let course = day.run(total, false);
    assert!((0.97..=1.0).contains(&spent_share(&course, total)));
    assert!(deviation(&course, total) < 0.03);
}

#[test]
fn a_starved_budget_is_never_held_back() {
    for seed in 0..3 {
        let total = possible() * 2;
        let course = Day::new(seed).run(total, false);
        let least = course.iter().map(|(_, _, pass)| *pass).min();
        assert_eq!(least, Some(PPM), "seed {seed}");
    }
}

#[test]
fn as_fast_as_possible_is_not_held_back_and_not_exceeded() {
    let total = possible() / 10;
    let course = Day::new(1).run(total, true);
    let (share, _, _) = course.iter().find(|(_, spent, _)| *spent + PRICE > total).unwrap();
    assert!(*share < 0.11, "spent only when {share} of the traffic had passed");
    assert!(course.iter().all(|(_, spent, _)| *spent <= total));
}

#[test]
fn a_small_budget_does_not_go_in_one_gulp() {
    let total = 100 * PRICE;
    for seed in 0..4 {
        let course = Day::new(seed).run(total, false);
        assert!(spent_share(&course, total) >= 0.97);
        assert!(deviation(&course, total) < 0.2, "seed {seed}: {}", deviation(&course, total));
    }
}

#[test]
fn goals_are_needed_when_behind_and_silent_when_met() {
    let start = UtcMs::parse("2026-05-04T00:00:00Z").unwrap();
    let (end, half) = (UtcMs(start.0 + 2 * DAY_MS), UtcMs(start.0 + DAY_MS));
    let goal = |delivered_count| Goal { delivered_count, goal_count: 1_000, starts_at: start, ends_at: end };
    let ask = |delivered_count| {
        let goal = Some(goal(delivered_count));
        let paced = [Paced { ad_set: AdSetId(1), asap: true, bids: false, budgets: Vec::new(), goal }];
        Controller::default().update(half, (&TrafficShape::flat(), &Zone::utc()), &[], &paced)[0]
    };
    assert_eq!(ask(500), Pass { ad_set: AdSetId(1), pass_ppm: PPM, multiplier_ppm: PPM, need_ppm: 0 });
    assert_eq!(ask(250).need_ppm, 333_333);
    assert_eq!(ask(1_000), Pass { ad_set: AdSetId(1), pass_ppm: 0, multiplier_ppm: PPM, need_ppm: 0 });
}

#[test]
fn the_controller_survives_odd_inputs_and_a_restart() {
    let mut controller = Controller::default();
    let (shape, zone) = (learned(), Zone::utc());
    let mut chance = Chance(5);
    for _ in 0..2_000 {
        let odd = |chance: &mut Chance| match chance.below(4) {
            0 => i64::MAX,
            1 => i64::MIN,
            _ => chance.below(1_000) as i64,
        };
        let budget = Budget {
            key: BudgetKey::AdSet(AdSetId(chance.below(3) as u32)),
            spent: odd(&mut chance),
            total: odd(&mut chance),
            event: odd(&mut chance),
            starts_at: UtcMs(chance.below(9 * DAY_MS as u64) as i64),
            ends_at: UtcMs(chance.below(9 * DAY_MS as u64) as i64),
        };
        let paced = [Paced {
            ad_set: AdSetId(1),
            asap: false,
            bids: chance.one_in(2),
            budgets: vec![budget.key],
            goal: None,
        }];
        let now = UtcMs(chance.below(9 * DAY_MS as u64) as i64);
        let pass = controller.update(now, (&shape, &zone), &[budget], &paced)[0];
        assert!(pass.pass_ppm <= PPM && pass.multiplier_ppm <= PPM);
        let text = serde_json::to_string(&controller).unwrap();
        controller = serde_json::from_str(&text).unwrap();
    }
}
