//! Planning: the smallest effect that a test can show, and how long it takes. Estimates, not promises: they take the
//! control's rate as known and outcomes as about normal.
//!
//! Fixed sample: n = 2 (z_{1-a/2} + z_{power})^2 v / d^2. Sequential: the width of the sequence in place of z_{1-a/2}
//! (arXiv 2103.06476, eq. 9), which is what "always valid" costs.

use super::{
    sequential::{half_width, tuning},
    special::normal_quantile,
};

/// What a plan assumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Error probability, such as 0.05.
    pub alpha: f64,
    /// Probability to see an effect that is there, such as 0.8.
    pub power: f64,
    /// Variance of one unit's outcome.
    pub variance: f64,
    /// Share of the units in the treated arm, the rest in control; in (0, 1).
    pub share: f64,
}

impl Plan {
    /// For a rate and an even split.
    pub fn of_rate(rate: f64) -> Plan {
        Plan { alpha: 0.05, power: 0.8, variance: rate * (1.0 - rate), share: 0.5 }
    }
    /// Standard deviation of one unit's contribution to the estimated difference.
    fn deviation(&self) -> f64 {
        (self.variance / self.share + self.variance / (1.0 - self.share)).sqrt()
    }
    /// The smallest difference that a fixed sample of `count` units in all shows.
    pub fn smallest_fixed(&self, count: f64) -> f64 {
        let z = normal_quantile(1.0 - self.alpha / 2.0) + normal_quantile(self.power);
        z * self.deviation() / count.sqrt()
    }
    /// The smallest difference that an always-valid sequence shows by `count` units in all.
    pub fn smallest_sequential(&self, count: f64) -> f64 {
        let rho = tuning(self.alpha, count);
        half_width(count, self.deviation(), rho, self.alpha)
            + normal_quantile(self.power) * self.deviation() / count.sqrt()
    }
    /// Units in all after which a difference is shown, `None` above 10^15.
    pub fn count_needed(&self, difference: f64, smallest: impl Fn(&Plan, f64) -> f64) -> Option<f64> {
        const MOST: f64 = 1e15;
        let shown = |count: f64| smallest(self, count) <= difference.abs();
        if difference == 0.0 || !shown(MOST) {
            return None;
        }
        let (mut low, mut high) = (1.0, MOST);
        while high / low > 1.0 + 1e-9 {
            let middle = (low * high).sqrt();
            if shown(middle) { high = middle } else { low = middle }
        }
        Some(high.ceil())
    }
}
