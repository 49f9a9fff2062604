//! The learner on simulated campaigns, short enough for every run of the tests: it finds what there is to find, in constraints,
//! with assets that come and go, and is never worse than an even draw. The long figures are `regie simulate learning --bars`.
#![allow(clippy::unwrap_used)]

use regie_learn::{
    allocation::Allocation,
    factor::{Learner, Settings},
    stream::Stream,
    template::{Assets, Constraint, Slot, Space},
};
use regie_sim::campaign::{Effect, Truth};

fn space(sizes: &[usize], contexts: usize, constraints: Vec<Constraint>) -> Space {
    let slot = |size: &usize| Slot { capacity: *size as u16 + 2, active: vec![true; *size] };
    Space::new(sizes.iter().map(slot).collect(), contexts, constraints).unwrap()
}
fn effect(first: (usize, usize), second: Option<(usize, usize)>, log_odds: f64) -> Effect {
    Effect { first, second, log_odds }
}

struct Campaign {
    truth: Truth,
    learner: Learner,
    table: Allocation,
    stream: Stream,
}
impl Campaign {
    fn new(truth: Truth, space: Space) -> Campaign {
        let settings = Settings { base_rate: 0.05, refresh_trials: 2_000.0, ..Settings::default() };
        let learner = Learner::new(space, settings);
        let table = learner.allocate(1);
        Campaign { truth, learner, table, stream: Stream::new(4, 4) }
    }
    /// Serves so many; returns the mean true rate.
    fn serve(&mut self, count: usize) -> f64 {
        let mut sum = 0.0;
        for _ in 0..count {
            let context = self.stream.below(self.truth.contexts_count() as u64) as usize;
            let drawn = self.table.draw(context, self.stream.bits());
            assert!(self.table.space().may_show(&drawn.assets));
            let rate = self.truth.rate(context, &drawn.assets[..self.truth.slots().len()]);
            sum += rate;
            let success = self.stream.unit() < rate;
            self.learner.observe(context, drawn.code, 1.0, f32::from(u8::from(success)));
            if self.learner.is_due() {
                let seed = self.stream.bits();
                self.table = self.learner.refresh(seed);
            }
        }
        sum / count as f64
    }
    fn share(&self, rate: f64) -> f64 {
        let (mean, best) = self.truth.standing(None).over_contexts();
        (rate - mean) / (best - mean)
    }
}

fn truth() -> Truth {
    let effects = vec![
        effect((0, 3), None, 0.8),
        effect((1, 2), Some((2, 5)), 1.0),
        effect((2, 1), None, -0.7),
        effect((0, 1), Some((3, 1)), 1.6),
    ];
    Truth::from_effects(vec![6, 8, 10, 2], 0.05, effects).unwrap()
}

#[test]
fn assets_pairs_and_contexts_are_found() {
    let mut campaign = Campaign::new(truth(), space(&[6, 8, 10], 2, Vec::new()));
    campaign.serve(50_000);
    let rate = campaign.serve(10_000);
    let share = campaign.share(rate);
    assert!(share > 0.85, "{share}");
    // Parts that are always shown together cannot be told apart; what they are together can.
    for (context, assets) in [(0, [3, 2, 5, 0, 0, 0, 0, 0]), (1, [1, 2, 5, 0, 0, 0, 0, 0])] {
        let (believed, true_rate) =
            (campaign.learner.expected_rate(context, &assets), campaign.truth.rate(context, &assets[..3]));
        assert!((believed / true_rate - 1.0).abs() < 0.25, "{context}: {believed} {true_rate}");
    }
    let poor = campaign.learner.effects().of((2, 1), None).unwrap().mean;
    assert!(poor < 0.0, "{poor}");
}

#[test]
fn constraints_hold_and_the_best_that_is_allowed_is_found() {
    // The best pair may not be shown.
    let never = Constraint { first: (1, 2), second: (2, 5) };
    let mut campaign = Campaign::new(truth(), space(&[6, 8, 10], 2, vec![never]));
    campaign.serve(30_000);
    let rate = campaign.serve(10_000);
    let allowed: Assets = [3, 0, 0, 0, 0, 0, 0, 0];
    let best = campaign.truth.rate(0, &allowed[..3]);
    assert!(rate > 0.85 * best, "{rate} {best}");
}

#[test]
fn assets_come_and_go_without_a_restart() {
    let before = space(&[6, 8, 10], 2, Vec::new());
    let mut campaign = Campaign::new(truth(), before.clone());
    campaign.serve(30_000);
    let learned = campaign.learner.effects().of((1, 2), Some((2, 5))).unwrap().mean;
    // The best asset of slot 0 is retired, another one joins.
    let slots = before.slots().iter().enumerate().map(|(n, slot)| {
        let mut active = slot.active.clone();
        if n == 0 {
            active[3] = false;
        }
        active.push(n == 1);
        Slot { capacity: slot.capacity, active }
    });
    let after = Space::new(slots.collect(), 2, Vec::new()).unwrap();
    campaign.learner.continue_with(after).unwrap();
    assert_eq!(
        campaign.learner.effects().of((1, 2), Some((2, 5))).unwrap().mean,
        learned,
        "an edit resets nothing"
    );
    campaign.table = campaign.learner.allocate(2);
    let mut joined = 0;
    for bits in 0..20_000 {
        let drawn = campaign.table.draw(0, bits);
        assert_ne!(drawn.assets[0], 3, "retired assets are not shown");
        joined += u32::from(drawn.assets[1] == 8);
    }
    assert!(joined > 0, "new ones are");
    let wider = space(&[9, 8, 10], 2, Vec::new());
    assert!(campaign.learner.continue_with(wider).is_err(), "capacities are fixed");
}

#[test]
fn a_changed_taste_is_noticed_and_found_again() {
    let mut campaign = Campaign::new(truth(), space(&[6, 8, 10], 2, Vec::new()));
    campaign.serve(40_000);
    let alarms = campaign.learner.changes_count();
    assert_eq!(alarms, 0, "luck is no change");
    let effects = vec![effect((0, 5), None, 1.2), effect((1, 6), None, 0.8)];
    campaign.truth = Truth::from_effects(vec![6, 8, 10, 2], 0.05, effects).unwrap();
    campaign.serve(40_000);
    let rate = campaign.serve(10_000);
    assert!(campaign.learner.changes_count() > 0);
    assert!(campaign.share(rate) > 0.8, "{}", campaign.share(rate));
}

#[test]
fn with_nothing_to_find_hardly_anything_is_found() {
    let flat = Truth::from_effects(vec![6, 8, 10, 2], 0.05, Vec::new()).unwrap();
    let mut wrong = 0;
    for seed in 4..12 {
        let mut campaign = Campaign::new(flat.clone(), space(&[6, 8, 10], 2, Vec::new()));
        campaign.stream = Stream::new(seed, 4);
        campaign.serve(40_000);
        wrong += campaign.learner.effects().found().len();
    }
    // In each of eight campaigns 260 effects are looked at in twenty tables: a rare one looks like one by luck.
    assert!(wrong <= 2, "{wrong}");
}

#[test]
fn the_same_outcomes_and_seeds_give_the_same_tables() {
    let run = || {
        let mut campaign = Campaign::new(truth(), space(&[6, 8, 10], 2, Vec::new()));
        campaign.serve(12_000);
        campaign.table.to_record()
    };
    assert_eq!(run(), run());
}
