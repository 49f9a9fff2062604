//! Intervals of an estimate: normal, bootstrap, and one that needs no approximation.
//!
//! *Normal*: mean and spread of the rows' contributions; too narrow where few rows carry weight. *Bootstrap*: percentiles
//! over resampled rows (Efron 1979), as the reference implementation does. *Betting*: the confidence sequence of IPS, for
//! rewards in [0, 1] and weights up to a declared bound; holds at any sample size and at any look, and is wide where the
//! bound is (arXiv 2210.10768, 3). Refuses randomness of its own: the bootstrap takes a seed.

use super::{Log, estimators::Estimator};
use crate::infer::{
    Interval,
    betting::{Bounds, OutOfBounds, Sequence},
    special::normal_quantile,
};

/// The normal interval.
pub fn normal(estimator: Estimator, log: &Log, alpha: f64) -> Interval {
    let contributions = estimator.contributions(log);
    let n = contributions.len() as f64;
    let mean = contributions.iter().sum::<f64>() / n;
    let variance = contributions.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Interval::around(estimator.value(log), normal_quantile(1.0 - alpha / 2.0) * (variance / n).sqrt())
}

/// The percentile bootstrap interval over `resamples_count` resamples of the rows' contributions, from a seed.
pub fn bootstrap(estimator: Estimator, log: &Log, alpha: f64, resamples_count: usize, seed: u64) -> Interval {
    let contributions = estimator.contributions(log);
    if contributions.is_empty() || resamples_count == 0 {
        return Interval { low: f64::NAN, high: f64::NAN };
    }
    // Rows that contribute alike are drawn as one: logs are mostly zeros, and a draw is then a binomial-like count.
    let n = contributions.len() as u64;
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let mut means: Vec<f64> = (0..resamples_count)
        .map(|_| {
            let mut sum = 0.0;
            // Two rows from one draw: 32 bits choose among fewer than 2^32 rows, evenly to one part in 2^32 / n.
            for _ in 0..n.div_ceil(2) {
                let bits = draw();
                let (first, second) = (((bits >> 32) * n) >> 32, ((bits & 0xffff_ffff) * n) >> 32);
                sum += contributions[first as usize] + contributions[second as usize];
            }
            sum / (n.div_ceil(2) * 2) as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |p: f64| means[((resamples_count - 1) as f64 * p).round() as usize];
    Interval { low: at(alpha / 2.0), high: at(1.0 - alpha / 2.0) }
}

/// The confidence sequence of IPS by betting. Rewards must lie in [0, 1]; `weight_max` must be known beforehand: 1 over
/// the exploration floor, times the target's largest probability.
///
/// # Errors
/// A reward or weight outside what was declared.
pub fn betting(log: &Log, weight_max: f64, alpha: f64) -> Result<Interval, OutOfBounds> {
    let mut sequence = Sequence::new(Bounds { low: 0.0, high: weight_max, mean_low: 0.0, mean_high: 1.0 });
    for ((reward, logged), target) in log.reward.iter().zip(&log.logged).zip(&log.target) {
        sequence.add(reward * target / logged, 1)?;
    }
    Ok(sequence.interval(alpha))
}
