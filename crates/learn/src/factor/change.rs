//! Has the truth changed? What was just seen against what was predicted before it was seen.
//!
//! Three tests at each fit, all against the predictions of the fit before: all showings together, each version often shown, and all
//! showings of many fits added up (Page 1954, cumulative sums, for counts). An alarm of the first two needs five (six for a single
//! version) standard deviations beyond a stated inaccuracy of the predictions, so that neither luck nor the learner's own first
//! errors raise it; the third finds a fall by a quarter that lasts. Refuses to say what changed: the learner weighs the past less,
//! and finds out.

/// Inaccuracy of predictions that is forgiven: over all, and for a single version.
const FORGIVEN: (f64, f64) = (0.05, 0.15);
/// Standard deviations that alarm.
const ALARM: (f64, f64) = (5.0, 6.0);
/// Expected successes below which nothing is tested.
const EXPECTED_MIN: f64 = 50.0;

/// The lasting fall that sums are made for, as a part of the prediction; half of it is forgiven for ever.
const LASTING: f64 = 0.3;
/// Log-likelihood ratio of the change against none that alarms: luck alone comes so far once in e^12 fits.
const SUM_MAX: f64 = 12.0;

/// Cumulative sum for a rate that fell, natural logarithm. A rate that rose loses nothing that was had.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fall(f64);
impl Fall {
    /// Adds a fit's fresh outcomes; true on alarm, which begins the sum anew.
    pub(super) fn alarms(&mut self, fresh: impl Iterator<Item = Fresh>) -> bool {
        let (reward, expected) =
            fresh.fold((0.0, 0.0), |sum, cell| (sum.0 + cell.reward, sum.1 + cell.trials * cell.rate));
        self.0 = (self.0 + reward * (1.0 - LASTING).ln() + expected * LASTING).max(0.0);
        let alarms = self.0 > SUM_MAX;
        if alarms {
            *self = Fall::default();
        }
        alarms
    }
}

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
        let mut fall = Fall::default();
        let lucky = (0..500).filter(|_| fall.alarms(outcomes(&mut stream, 0.036, 0.04).into_iter())).count();
        assert_eq!(lucky, 0, "predictions may be a little wrong for ever");
        let found = (0..20).position(|_| fall.alarms(outcomes(&mut stream, 0.03, 0.04).into_iter()));
        assert!(found.is_some_and(|fits| fits < 10), "{found:?}");
        let one = [Fresh { trials: 5_000.0, reward: 80.0, rate: 0.04 }];
        assert!(contradicts(one.into_iter()));
    }
}
