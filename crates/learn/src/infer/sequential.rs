//! Sequential inference by normal mixtures: valid at every look, but **asymptotic**: only from a burn-in on.
//!
//! The confidence sequence is Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv 2103.06476, eq. 9), its tuning eq. 161,
//! its p-value eq. 155. The boundary is the two-sided normal mixture of Howard, Ramdas, McAuliffe, Sekhon (Annals of
//! Statistics 2021, eq. 14), the mSPRT that of Johari, Pekelis, Walsh (arXiv 1512.04922, eq. 11).
//! Watched from the first unit on, an asymptotic sequence of a rate of 1% is missed in every run: use
//! [`super::betting`] there. [`burnt_in`] is the burn-in that reports state.

use super::{Interval, fixed::Effect};

/// Successes and failures that every arm needs before an asymptotic sequence is shown.
pub const BURN_IN_COUNT: u64 = 50;

/// Whether an asymptotic sequence may be shown for an arm: at least [`BURN_IN_COUNT`] units of either outcome.
pub fn burnt_in(successes: u64, count: u64) -> bool {
    successes >= BURN_IN_COUNT && count.saturating_sub(successes) >= BURN_IN_COUNT
}

/// The tuning under which the sequence is narrowest at `count_best` units (eq. 161).
pub fn tuning(alpha: f64, count_best: f64) -> f64 {
    let l = -2.0 * alpha.ln();
    ((l + l.ln_1p()) / count_best).sqrt()
}

/// Half-width of the asymptotic confidence sequence after `count` units, for `deviation`, the standard deviation of a
/// single unit's contribution (eq. 9).
pub fn half_width(count: f64, deviation: f64, rho: f64, alpha: f64) -> f64 {
    let grown = count * rho * rho + 1.0;
    deviation * (2.0 * grown * (grown.sqrt() / alpha).ln()).sqrt() / (count * rho)
}

/// The asymptotic confidence sequence of an effect, narrowest at `count_best` units.
pub fn asymptotic(effect: &Effect, alpha: f64, count_best: f64) -> Interval {
    let deviation = (effect.variance * effect.count).sqrt();
    let rho = tuning(alpha, count_best);
    Interval::around(effect.estimate, half_width(effect.count, deviation, rho, alpha))
}

/// Its always-valid p-value against an effect of zero (eq. 155).
pub fn asymptotic_p(effect: &Effect, alpha: f64, count_best: f64) -> f64 {
    let rho_squared = tuning(alpha, count_best).powi(2);
    let grown = effect.count * rho_squared + 1.0;
    let statistic = effect.estimate.powi(2) * effect.count / effect.variance;
    (grown.sqrt() * (-rho_squared * statistic / (2.0 * grown)).exp()).min(1.0)
}

/// The two-sided normal mixture boundary: a sum of intrinsic variance `v` leaves (-b, b) at any time with probability
/// at most `alpha`. Narrowest, relative to sqrt(v), at `v_best`.
pub fn mixture_boundary(v: f64, v_best: f64, alpha: f64) -> f64 {
    let l = -2.0 * alpha.ln();
    let rho = v_best / (l + l.ln_1p());
    ((v + rho) * (l + ((v + rho) / rho).ln())).sqrt()
}

/// The logarithm of the mSPRT's likelihood ratio for a mean of `count` differences with variance `variance`, against
/// `theta`, with a normal mixture of variance `mixing` around it (eq. 11).
pub fn ln_msprt(mean: f64, count: f64, variance: f64, theta: f64, mixing: f64) -> f64 {
    let whole = variance + count * mixing;
    0.5 * (variance / whole).ln() + count.powi(2) * mixing * (mean - theta).powi(2) / (2.0 * variance * whole)
}

/// The mSPRT's p-value at one look, at most 1; the always-valid one is the smallest so far.
pub fn msprt_p(mean: f64, count: f64, variance: f64, theta: f64, mixing: f64) -> f64 {
    (-ln_msprt(mean, count, variance, theta, mixing)).exp().min(1.0)
}
