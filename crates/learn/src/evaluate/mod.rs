//! Off-policy evaluation: what would another policy have earned, from what this one logged.
//!
//! Every estimator is a function of five columns ([`Log`]): the reward, the propensity with which the shown action was
//! drawn, the target policy's probability of the same action, and, for those that use a model, its prediction for the
//! shown action and its mean over the target policy. Names and formulas follow Dudik, Langford, Li (2011), Swaminathan,
//! Joachims (2015), Wang, Agarwal, Dudik (2017), Su et al. (2020), as in Saito et al. (arXiv 2008.07146, 4).
//!
//! Refuses propensities of zero, a target policy outside the logging policy's support by more than 1% of its mass
//! ([`support`]), and a bare point estimate where a few weights carry everything ([`verdict`]).

pub mod elements;
pub mod estimators;
pub mod intervals;
pub mod model;
pub mod policy;
pub mod support;
pub mod verdict;

/// Why a log cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// Columns of different length, or none.
    #[error("a log needs rows, and as many values in every column: {0}")]
    Shape(String),
    /// A value that no log can have.
    #[error("row {row}: {what}")]
    Value {
        /// Number of the row, from 0.
        row: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The target policy does what the logging policy could not.
    #[error(
        "{:.2}% of what the target policy would show was never possible in this log (limit {:.0}%): nothing was observed \
         there, so no estimate is given. Choose a policy that stays with what was tested",
        100.0 * .outside_share, 100.0 * support::OUTSIDE_SHARE_MAX
    )]
    OutsideSupport {
        /// Share of the target policy's mass outside.
        outside_share: f64,
    },
}

/// What was logged, and what the target policy would have done; one value a row in every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The reward: a click, a conversion, a value.
    pub reward: Vec<f64>,
    /// Probability with which the shown action was drawn, in (0, 1].
    pub logged: Vec<f64>,
    /// The target policy's probability of the same action, in [0, 1].
    pub target: Vec<f64>,
    /// The model's prediction for the shown action; empty without a model.
    pub predicted: Vec<f64>,
    /// The model's mean prediction under the target policy; empty without a model.
    pub expected: Vec<f64>,
}

impl Log {
    /// Rows.
    pub fn count(&self) -> usize {
        self.reward.len()
    }
    /// Whether there is a model.
    pub fn has_model(&self) -> bool {
        !self.predicted.is_empty()
    }
    /// Checks shape and values.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`], [`EvaluateError::Value`].
    pub fn check(&self) -> Result<(), EvaluateError> {
        let n = self.count();
        let same = [&self.logged, &self.target].iter().all(|c| c.len() == n);
        let model = [&self.predicted, &self.expected].iter().all(|c| c.len() == n || c.is_empty());
        if n == 0 || !same || !model || self.predicted.len() != self.expected.len() {
            return Err(EvaluateError::Shape(format!("{n} rewards, {} propensities", self.logged.len())));
        }
        let value = |row: usize, what: String| Err(EvaluateError::Value { row, what });
        for row in 0..n {
            let (reward, logged, target) = (self.reward[row], self.logged[row], self.target[row]);
            if !reward.is_finite() {
                return value(row, format!("a reward of {reward}"));
            }
            if !(logged > 0.0 && logged <= 1.0 + 1e-9) {
                return value(row, format!("a propensity of {logged}; it must be above 0 and at most 1"));
            }
            if !(0.0..=1.0 + 1e-9).contains(&target) {
                return value(row, format!("a target probability of {target}"));
            }
        }
        Ok(())
    }
    /// What the logging policy itself earned, on average.
    pub fn earned(&self) -> f64 {
        self.reward.iter().sum::<f64>() / self.count() as f64
    }
}
