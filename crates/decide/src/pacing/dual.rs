//! One budget's multiplier: a dual variable that is stepped against what was spent.
//!
//! The bid counts for `multiplier = exp(log)`, `log` at most 0. At each update the budget's target per unit of expected
//! traffic is taken anew, the curve's with what was missed made good within two hours (at the end: what is left over
//! the traffic still to come), and
//!
//! ```text
//! log += gain x (target x traffic that passed - spent) / paced bid
//! ```
//!
//! This is adaptive pacing (Balseiro and Gur, Learning in repeated auctions with budgets, Management Science 2019,
//! section 3: `1 / (1 + mu)` is the multiplier, `mu` its dual) in the multiplicative form of dual mirror descent
//! with an entropic reference (Balseiro, Lu, Mirrokni, The best of many worlds, Operations Research 2023, section 3),
//! with a target that follows the site's traffic instead of the clock (Agarwal et al., Budget pacing for targeted
//! online advertisements at LinkedIn, KDD 2014, section 3.1: the allocation curve). Steps are counted in events,
//! so that the gain, about 1 / sqrt(events of the period) as in their theorem 1, is the same for every currency and
//! price. Refuses a multiplier above 1.

/// The gain is this by the root of the period's events.
const GAIN: f64 = 1.5;
/// Largest gain: of a small budget.
const GAIN_MAX: f64 = 0.15;
/// Smallest gain: a large budget must still follow a market that changes within the hour.
const GAIN_MIN: f64 = 0.001;
/// Gain times the events that one update is expected to bring, at most: what was bought is known late.
const GAIN_UPDATE_MAX: f64 = 0.1;
/// Traffic, in mean hours, within which a budget is to be on its curve again.
const CATCH_UP_HOURS: f64 = 2.0;
/// Traffic, in mean hours, over which the mean multiplier is taken that the next period begins with.
const MEAN_HOURS: f64 = 6.0;
/// Gain of the first event; it falls with the root of what was bought, until it is that of the period.
const GAIN_FIRST: f64 = 0.3;
/// Largest change of `log` in one update.
const STEP_MAX: f64 = 0.25;
/// Smallest multiplier: e^-9, about 1 in 8,000.
const LOG_MIN: f64 = -9.0;

use serde::{Deserialize, Serialize};

/// The dual variable of one budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Dual {
    /// Logarithm of the multiplier.
    pub(super) log: f64,
    /// Target until the next update, by unit of traffic; 0 before the first.
    target: f64,
    /// Mean of `log` over the last hours.
    mean: f64,
    /// Events that were bought since it began: the first ones weigh more.
    bought: f64,
}

/// What happened since the last update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// Expected traffic that passed.
    pub(super) traffic: f64,
    /// Spent meanwhile.
    pub(super) spent: f64,
    /// Expected traffic of the period still to come.
    pub(super) to_come: f64,
    /// Expected traffic of the whole period.
    pub(super) whole: f64,
    /// What is left of the budget.
    pub(super) left: f64,
    /// Price of one event at most: the whole bid.
    pub(super) event: f64,
    /// The budget of the whole period.
    pub(super) total: f64,
}

impl Passed {
    /// Spend by unit of traffic from now on: the curve's, and what was missed or taken in advance within the next
    /// hours; at the end of the period, all that is left over the traffic that is left.
    fn next_target(&self) -> f64 {
        if self.to_come <= 0.0 {
            return 0.0;
        }
        let rate = self.total / self.whole.max(self.to_come);
        let behind = self.left - rate * self.to_come;
        (rate + behind / self.to_come.min(CATCH_UP_HOURS)).max(0.0)
    }
}

impl Dual {
    /// One step.
    pub(super) fn step(&mut self, passed: Passed) {
        // What an event costs at most now: the paced bid.
        let event = (passed.event * self.multiplier()).max(1.0);
        let target = self.target * passed.traffic;
        let settled = (GAIN / (passed.total / event).max(1.0).sqrt()).clamp(GAIN_MIN, GAIN_MAX);
        let first = GAIN_FIRST / (1.0 + self.bought).sqrt();
        let gain = settled.max(first).min(GAIN_UPDATE_MAX / (target / event).max(f64::MIN_POSITIVE));
        self.bought += passed.spent / event;
        let step = gain * (target - passed.spent) / event;
        if step.is_finite() {
            self.log = (self.log + step.clamp(-STEP_MAX, STEP_MAX)).clamp(LOG_MIN, 0.0);
        }
        let weight = 1.0 - (-passed.traffic.max(0.0) / MEAN_HOURS).exp();
        self.mean += weight * (self.log - self.mean);
        self.target = passed.next_target();
    }
    /// A new period begins with the multiplier that the old one had on average, and not with that of its last
    /// minutes, in which what was left over had to go; the old target no longer counts.
    pub(super) fn begin(&mut self) {
        (self.log, self.target) = (self.mean, 0.0);
    }
    /// What the bid counts for: above 0, at most 1.
    pub(super) fn multiplier(&self) -> f64 {
        self.log.exp().min(1.0)
    }
}
