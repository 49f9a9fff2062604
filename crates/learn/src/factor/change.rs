//! Has the truth changed? What was just seen against what was predicted before it was seen.
//!
//! Two tests at each fit, both against the predictions of the fit before: all showings together, and each version often shown.
//! An alarm needs five (six for a single version) standard deviations beyond a stated inaccuracy of the predictions, so that
//! neither luck nor the learner's own first errors raise it. Refuses to say what changed: the learner weighs the past less, and
//! finds out.

/// Inaccuracy of predictions that is forgiven: over all, and for a single version.
const FORGIVEN: (f64, f64) = (0.05, 0.15);
/// Standard deviations that alarm.
const ALARM: (f64, f64) = (5.0, 6.0);
/// Expected successes below which nothing is tested.
const EXPECTED_MIN: f64 = 50.0;

/// One cell's fresh outcomes beside their prediction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    pub(super) trials: f64,
    pub(super) reward: f64,
    pub(super) rate: f64,
}

/// Whether fresh outcomes contradict what was predicted of them.
pub(super) fn contradicts(fresh: impl Iterator<Item = Fresh>) -> bool {
    let (mut reward, mut expected, mut variance) = (0.0, 0.0, 0.0);
    for cell in fresh {
        let own = cell.trials * cell.rate;
        let own_variance = own * (1.0 - cell.rate);
        if own >= EXPECTED_MIN && beyond(cell.reward, own, own_variance, FORGIVEN.1) > ALARM.1 {
            return true;
        }
        reward += cell.reward;
        expected += own;
        variance += own_variance;
    }
    expected >= EXPECTED_MIN && beyond(reward, expected, variance, FORGIVEN.0) > ALARM.0
}

fn beyond(reward: f64, expected: f64, variance: f64, forgiven: f64) -> f64 {
    (reward - expected).abs() / (variance + (forgiven * expected).powi(2)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;
    fn outcomes(stream: &mut Stream, rate: f64, predicted: f64) -> Vec<Fresh> {
        let cell = |_| {
            let reward = (0..150).filter(|_| stream.unit() < rate).count() as f64;
            Fresh { trials: 150.0, reward, rate: predicted }
        };
        (0..60).map(cell).collect()
    }
    #[test]
    fn luck_does_not_alarm_and_a_change_does() {
        let mut stream = Stream::new(9, 1);
        let alarms = (0..500).filter(|_| contradicts(outcomes(&mut stream, 0.04, 0.04).into_iter())).count();
        assert_eq!(alarms, 0);
        let close = (0..100).filter(|_| contradicts(outcomes(&mut stream, 0.038, 0.04).into_iter())).count();
        assert_eq!(close, 0, "predictions may be a little wrong");
        let found = (0..100).filter(|_| contradicts(outcomes(&mut stream, 0.02, 0.04).into_iter())).count();
        assert_eq!(found, 100);
        let one = [Fresh { trials: 5_000.0, reward: 80.0, rate: 0.04 }];
        assert!(contradicts(one.into_iter()));
    }
}
