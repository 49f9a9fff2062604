//! Fixed-sample inference: one look, at a sample size chosen beforehand. Looking again and again breaks its promise
//! (100 looks under the null reject 38.7% of the time, not 5%); for that there is [`super::betting`].
//!
//! Refuses samples too small to have a variance: the answer is `None`.

use super::{
    Interval,
    special::{beta_quantile, chi_square_tail, normal_cdf, normal_quantile, student_cdf, student_quantile},
};

/// A sample-ratio test below this is a mismatch: something other than chance split the units.
pub const RATIO_MISMATCH_P: f64 = 0.001;

/// A sample's size, mean and variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Units.
    pub count: f64,
    /// Mean outcome.
    pub mean: f64,
    /// Variance of one outcome.
    pub variance: f64,
}

impl Sample {
    /// A sample of yes and no, with variance p(1-p).
    pub fn of_rate(successes: u64, count: u64) -> Sample {
        let rate = successes as f64 / count as f64;
        Sample { count: count as f64, mean: rate, variance: rate * (1.0 - rate) }
    }
    /// A sample by its sums, with the unbiased variance.
    pub fn of_sums(count: u64, sum: f64, sum_of_squares: f64) -> Sample {
        let n = count as f64;
        Sample { count: n, mean: sum / n, variance: (sum_of_squares - sum * sum / n) / (n - 1.0) }
    }
}

/// How an effect is expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// B minus A.
    Absolute,
    /// (B minus A) over A.
    Relative,
}

/// An effect and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The estimate.
    pub estimate: f64,
    /// Variance of the estimate.
    pub variance: f64,
    /// Units in both samples.
    pub count: f64,
}

impl Effect {
    /// The effect of `b` against the control `a`; relative ones by the delta method. `None` where the control's mean is
    /// zero (relative), or nothing varies.
    pub fn of(a: &Sample, b: &Sample, scale: Scale) -> Option<Effect> {
        let (estimate, variance) = match scale {
            Scale::Absolute => (b.mean - a.mean, b.variance / b.count + a.variance / a.count),
            Scale::Relative => (
                (b.mean - a.mean) / a.mean,
                b.variance / (a.mean.powi(2) * b.count)
                    + a.variance * b.mean.powi(2) / (a.mean.powi(4) * a.count),
            ),
        };
        let sound = estimate.is_finite() && variance.is_finite() && variance > 0.0;
        sound.then_some(Effect { estimate, variance, count: a.count + b.count })
    }
}

/// A test's result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// The estimate.
    pub estimate: f64,
    /// Its interval.
    pub interval: Interval,
    /// The two-sided p-value.
    pub p: f64,
}

/// Welch's t-test, two-sided (degrees of freedom by Welch and Satterthwaite).
pub fn t_test(a: &Sample, b: &Sample, scale: Scale, alpha: f64) -> Option<Tested> {
    let effect = Effect::of(a, b, scale)?;
    let part = |s: &Sample| s.variance / s.count;
    let freedom =
        (part(a) + part(b)).powi(2) / (part(a).powi(2) / (a.count - 1.0) + part(b).powi(2) / (b.count - 1.0));
    if !freedom.is_finite() || freedom <= 0.0 {
        return None;
    }
    let error = effect.variance.sqrt();
    let p = 2.0 * student_cdf(-(effect.estimate / error).abs(), freedom);
    let half_width = student_quantile(1.0 - alpha / 2.0, freedom) * error;
    Some(Tested { estimate: effect.estimate, interval: Interval::around(effect.estimate, half_width), p })
}

/// Two rates' pooled z statistic and its two-sided p-value.
pub fn pooled_z(successes: [u64; 2], counts: [u64; 2]) -> Option<(f64, f64)> {
    let n = counts.map(|c| c as f64);
    let rate = [successes[0] as f64 / n[0], successes[1] as f64 / n[1]];
    let pooled = (successes[0] + successes[1]) as f64 / (n[0] + n[1]);
    let z = (rate[1] - rate[0]) / (pooled * (1.0 - pooled) * (1.0 / n[0] + 1.0 / n[1])).sqrt();
    z.is_finite().then(|| (z, 2.0 * normal_cdf(-z.abs())))
}

/// Wilson's score interval of a rate (Wilson 1927).
pub fn wilson(successes: u64, count: u64, alpha: f64) -> Interval {
    let (n, z) = (count as f64, normal_quantile(1.0 - alpha / 2.0));
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let p = successes as f64 / n;
    let scale = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / scale;
    let half_width = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    Interval { low: (centre - half_width).max(0.0), high: (centre + half_width).min(1.0) }
}

/// The exact interval of a rate (Clopper, Pearson 1934).
pub fn clopper_pearson(successes: u64, count: u64, alpha: f64) -> Interval {
    let (k, n) = (successes as f64, count as f64);
    let low = if successes == 0 { 0.0 } else { beta_quantile(k, n - k + 1.0, alpha / 2.0) };
    let high = if successes == count { 1.0 } else { beta_quantile(k + 1.0, n - k, 1.0 - alpha / 2.0) };
    Interval { low, high }
}

/// The interval of a difference of rates, B minus A (Newcombe 1998, method 10).
pub fn newcombe(successes: [u64; 2], counts: [u64; 2], alpha: f64) -> Interval {
    let rate = |i: usize| successes[i] as f64 / counts[i] as f64;
    let (a, b) = (wilson(successes[0], counts[0], alpha), wilson(successes[1], counts[1], alpha));
    let difference = rate(1) - rate(0);
    Interval {
        low: difference - ((rate(1) - b.low).powi(2) + (a.high - rate(0)).powi(2)).sqrt(),
        high: difference + ((b.high - rate(1)).powi(2) + (rate(0) - a.low).powi(2)).sqrt(),
    }
}

/// The sample-ratio test: chi-square and p-value of counts against the shares they should have.
/// `None` with fewer than two arms of a share, or no units.
pub fn sample_ratio(counts: &[u64], shares: &[f64]) -> Option<(f64, f64)> {
    let arms: Vec<(f64, f64)> =
        counts.iter().zip(shares).filter(|(_, s)| **s > 0.0).map(|(c, s)| (*c as f64, *s)).collect();
    let units: f64 = arms.iter().map(|(c, _)| c).sum();
    let share: f64 = arms.iter().map(|(_, s)| s).sum();
    if arms.len() < 2 || units == 0.0 {
        return None;
    }
    let expected = |s: f64| s / share * units;
    let chi_square: f64 = arms.iter().map(|(c, s)| (c - expected(*s)).powi(2) / expected(*s)).sum();
    Some((chi_square, chi_square_tail(chi_square, arms.len() as f64 - 1.0)))
}
