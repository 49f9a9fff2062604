//! Running a policy through a simulated campaign, and counting what it captured.
//!
//! Every policy meets the same truth, contexts and luck for the same seed. Refuses to tell a policy anything but outcomes.

use super::{Events, Family, Form, Roster, Standing, Truth, source};
use std::collections::VecDeque;

/// Most slots a simulated template has.
pub const SLOTS_MAX: usize = 8;
/// One asset for each slot; zero beyond the last.
pub type Shown = [u16; SLOTS_MAX];
/// Parts of a run for which the share is kept.
pub const PARTS_COUNT: usize = 100;

/// Something that chooses versions and hears what became of them.
pub trait Policy {
    /// Chooses a version for a context; `bits` are 64 even bits for its chances.
    fn choose(&mut self, context: usize, bits: u64) -> Shown;
    /// An outcome is known.
    fn learn(&mut self, context: usize, shown: &Shown, success: bool);
    /// Between two requests: the moment for work in the background.
    fn pause(&mut self, _seed: u64) {}
    /// Other assets can be shown from now on.
    fn roster(&mut self, _available: &[Vec<bool>]) {}
}

/// Which campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Family of the truth.
    pub family: Family,
    /// Slots.
    pub form: Form,
    /// Seed of truth, contexts and luck.
    pub seed: u64,
    /// Requests.
    pub requests_count: usize,
    /// What happens.
    pub events: Events,
    /// A truth made up by somebody else, instead of the family's.
    pub truth: Option<Truth>,
}

/// What a policy captured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Captured {
    /// For each hundredth of the run: true rates of what was shown, of an even draw, of the best; summed.
    pub parts: Vec<[f64; 3]>,
    /// Successes that happened.
    pub successes: f64,
}
impl Captured {
    /// Share of the gap between an even draw and the best, over a range of hundredths; `None` where there is no gap.
    pub fn share(&self, parts: std::ops::Range<usize>) -> Option<f64> {
        let mut sums = [0.0; 3];
        for part in self.parts.get(parts).unwrap_or(&[]) {
            (0..3).for_each(|n| sums[n] += part[n]);
        }
        let gap = sums[2] - sums[1];
        (gap > 1e-9 * sums[2].max(1e-12)).then(|| (sums[0] - sums[1]) / gap)
    }
    /// Over the whole run.
    pub fn whole(&self) -> Option<f64> {
        self.share(0..PARTS_COUNT)
    }
    /// Over its last tenth.
    pub fn last_tenth(&self) -> Option<f64> {
        self.share(PARTS_COUNT - PARTS_COUNT / 10..PARTS_COUNT)
    }
    /// Mean true rate of what was shown, and of an even draw.
    pub fn rates(&self, requests_count: usize) -> (f64, f64) {
        let sum =
            |n: usize| self.parts.iter().map(|part| part[n]).sum::<f64>() / requests_count.max(1) as f64;
        (sum(0), sum(1))
    }
}

/// The truth as it stands at a moment of a campaign.
struct Stage {
    truth: Truth,
    standing: Standing,
}

impl Campaign {
    /// What holds in a quarter of the run (0 to 3), and the assets that can be shown if those change.
    fn stage(&self, quarter: usize, roster: Option<&Roster>) -> (Stage, Option<Vec<Vec<bool>>>) {
        let drawn = || Truth::draw(self.family, self.form, self.seed);
        let mut truth = self.truth.clone().unwrap_or_else(drawn);
        if self.events.redrawn && quarter >= 2 && !truth.effects().is_empty() {
            truth = truth.redrawn(self.family, self.seed);
        }
        let available = roster.map(|roster| roster.available(quarter >= 1, quarter >= 2));
        let standing = truth.standing(available.as_deref());
        (Stage { truth, standing }, available)
    }
    /// Slots of the template.
    pub fn sizes(&self) -> Vec<usize> {
        self.truth.as_ref().map_or_else(|| self.form.sizes().to_vec(), |truth| truth.slots().to_vec())
    }
    /// Runs it. `each` is called after each hundredth, with its number.
    pub fn run(&self, policy: &mut dyn Policy, each: &mut dyn FnMut(usize)) -> Captured {
        let roster = self.events.assets_change.then(|| Roster::draw(self.family, self.form, self.seed));
        let mut random = source(self.family, self.seed, 4);
        let mut captured = Captured { parts: vec![[0.0; 3]; PARTS_COUNT], successes: 0.0 };
        let mut late: VecDeque<(u16, Shown, bool)> = VecDeque::new();
        let mut stage = None;
        for at in 0..self.requests_count {
            let quarter = at * 4 / self.requests_count;
            if at == 0 || quarter != (at - 1) * 4 / self.requests_count {
                let (new, available) = self.stage(quarter, roster.as_ref());
                available.iter().for_each(|available| policy.roster(available));
                stage = Some(new);
            }
            let Some(Stage { truth, standing }) = &stage else { continue };
            let context =
                ((random.unit() * truth.contexts_count() as f64) as usize).min(truth.contexts_count() - 1);
            let (bits, luck) = (random.bits(), random.unit());
            let shown = policy.choose(context, bits);
            let rate = truth.rate(context, &shown[..truth.slots().len()]);
            let part = at * PARTS_COUNT / self.requests_count;
            let sums = &mut captured.parts[part];
            sums[0] += rate;
            sums[1] += standing.mean[context];
            sums[2] += standing.best[context];
            captured.successes += if luck < rate { 1.0 } else { 0.0 };
            late.push_back((context as u16, shown, luck < rate));
            if late.len() > self.events.delay_count
                && let Some((context, shown, success)) = late.pop_front()
            {
                policy.learn(usize::from(context), &shown, success);
            }
            policy.pause(bits);
            if (at + 1) * PARTS_COUNT / self.requests_count != part {
                each(part);
            }
        }
        captured
    }
}

#[cfg(test)]
mod tests {
    use super::{super::policies, *};
    fn campaign(requests_count: usize) -> Campaign {
        let (family, form) = (Family::Sparse, Form::Small);
        Campaign { family, form, seed: 3, requests_count, events: Events::default(), truth: None }
    }
    struct Oracle(Shown);
    impl Policy for Oracle {
        fn choose(&mut self, _: usize, _: u64) -> Shown {
            self.0
        }
        fn learn(&mut self, _: usize, _: &Shown, _: bool) {}
    }
    #[test]
    fn an_even_draw_captures_nothing_and_the_best_everything() {
        let campaign = campaign(40_000);
        let even = campaign.run(&mut policies::Uniform::new(&campaign.sizes()), &mut |_| ());
        assert!(even.whole().unwrap().abs() < 0.02, "{:?}", even.whole());
        let effects = vec![super::super::Effect { first: (1, 7), second: None, log_odds: 1.0 }];
        let truth = Truth::from_effects(vec![4, 9, 2], 0.05, effects).unwrap();
        let known = Campaign { truth: Some(truth), ..campaign };
        let best = known.run(&mut Oracle([0, 7, 0, 0, 0, 0, 0, 0]), &mut |_| ());
        assert!((best.last_tenth().unwrap() - 1.0).abs() < 1e-9);
    }
    #[test]
    fn late_outcomes_come_in_order_and_the_last_never() {
        struct Count(usize);
        impl Policy for Count {
            fn choose(&mut self, _: usize, bits: u64) -> Shown {
                [(bits % 10) as u16, 0, 0, 0, 0, 0, 0, 0]
            }
            fn learn(&mut self, _: usize, _: &Shown, _: bool) {
                self.0 += 1;
            }
        }
        let mut count = Count(0);
        let events = Events { delay_count: 1_500, ..Events::default() };
        Campaign { events, ..campaign(4_000) }.run(&mut count, &mut |_| ());
        assert_eq!(count.0, 2_500);
    }
}
