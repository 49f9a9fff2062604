//! The verdict on an evaluation, in plain words: what may be said, and what may not.
//!
//! Refuses a point estimate where the effective sample size has collapsed: then only the interval is said, with a warning.

use super::{Log, estimators::Weights};
use crate::infer::Interval;

/// Below this share of the rows the effective sample size has collapsed.
pub const EFFECTIVE_SHARE_MIN: f64 = 0.1;
/// Below this many effective rows there is too little, whatever the share.
pub const EFFECTIVE_COUNT_MIN: f64 = 100.0;
/// No single row may carry more of the weight.
pub const LARGEST_SHARE_MAX: f64 = 0.05;
/// How far the mean weight may be from 1 before propensities or support are doubted, in its standard errors.
const MEAN_ERRORS_MAX: f64 = 4.0;

/// What the weights allow one to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// A point estimate may be said.
    pub may_say_a_number: bool,
    /// Warnings, each a sentence.
    pub warnings: Vec<String>,
}

/// Judges a log by its weights.
pub fn judge(log: &Log, weights: &Weights) -> Verdict {
    let rows = log.count() as f64;
    let share = weights.effective_count / rows;
    let mut warnings = Vec::new();
    let few = weights.effective_count < EFFECTIVE_COUNT_MIN.min(rows);
    let collapsed = few || share < EFFECTIVE_SHARE_MIN || weights.largest_share > LARGEST_SHARE_MAX;
    if collapsed {
        warnings.push(format!(
            "The {} logged rows are worth only {:.0} ({:.1}%) for this policy: a few rows carry most of the weight \
             (the largest counts {:.0}-fold), since the policy often shows what was rarely shown. One click more or less on \
             such a row would move the answer a lot, so no single figure is given; only the range below can be defended.",
            log.count(),
            weights.effective_count,
            100.0 * share,
            weights.largest
        ));
    }
    // Var(w) = E[w]^2 (n / ESS - 1).
    let spread = weights.mean * (rows / weights.effective_count.max(1.0) - 1.0).max(0.0).sqrt();
    let error = spread / rows.sqrt();
    if (weights.mean - 1.0).abs() > MEAN_ERRORS_MAX * error + 1e-9 {
        warnings.push(format!(
            "The weights average {:.3} instead of 1, further than chance explains: logged propensities are not those that \
             were used, or part of the policy was never possible in this log.",
            weights.mean
        ));
    }
    Verdict { may_say_a_number: !collapsed, warnings }
}

/// The answer in one sentence, plain words first. `unit` is what a reward counts, such as "clicks".
pub fn sentence(
    policy: &str,
    unit: &str,
    verdict: &Verdict,
    value: f64,
    interval: &Interval,
    earned: f64,
) -> String {
    let per = |v: f64| format!("{:.2}", 1e3 * v);
    let range = format!("between {} and {}", per(interval.low.max(0.0)), per(interval.high));
    let compared = if interval.low > earned {
        "more than"
    } else if interval.high < earned {
        "less than"
    } else {
        "not distinguishable from"
    };
    let what = if verdict.may_say_a_number {
        format!("{} {unit} per 1,000 shown, {range} (95%)", per(value))
    } else {
        format!("{range} {unit} per 1,000 shown (95%)")
    };
    format!("{policy} would have earned {what}: {compared} the {} that was logged.", per(earned))
}
