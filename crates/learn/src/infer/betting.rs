//! Confidence sequences by betting: valid at every look, from the first unit on, with no burn-in and no approximation.
//!
//! A gambler bets against "the mean is m"; the capital is a martingale under that hypothesis, so that it ever exceeds
//! 1/alpha with probability at most alpha (Ville). The sequence is every m that the gambler could not ruin. Here the
//! gambler splits the capital over a fixed grid of bets (a mixture: Waudby-Smith, Ramdas, JRSS B 2024, 4.4 and App. D),
//! one half on "above m", one on "below m" (Thm. 3). Three things follow. The capital depends only on *which* outcomes were
//! seen and how often, not on their order, so a fold keeps counts, not histories. Both halves are monotone in m, so the
//! sequence is an interval found by bisection. And since outcomes may be weighted by 1/propensity, where the *bound* on
//! the weight is declared beforehand, it holds under adaptive allocation (Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro,
//! arXiv 2210.10768, 3): bets below need no bound, bets above use the declared one.
//!
//! Refuses an outcome outside its declared bounds.

use super::Interval;
use std::collections::BTreeMap;

/// Bets of each half at most; the grid has a bet for every doubling.
pub const BETS_MAX: usize = 28;
/// A bet never risks more than this share of what an outcome at the bound would take.
const BOLDEST: f64 = 0.99;
/// Doublings of the grid below one over the range of outcomes: small bets find small effects in long tests.
const DOUBLINGS_BELOW: i32 = 13;
/// Doublings above: bold bets find the lower end of rare rates.
const DOUBLINGS_ABOVE: i32 = 14;

/// What is declared before the first unit: where outcomes and their mean lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// No outcome is below.
    pub low: f64,
    /// No outcome is above.
    pub high: f64,
    /// The mean is not below.
    pub mean_low: f64,
    /// The mean is not above.
    pub mean_high: f64,
}

impl Bounds {
    /// Yes or no, or anything in [0, 1].
    pub const RATE: Bounds = Bounds { low: 0.0, high: 1.0, mean_low: 0.0, mean_high: 1.0 };
    /// Outcomes in [0, 1] over the probability of the arm, which is at least `floor`: their mean is the arm's rate.
    pub fn weighted_rate(floor: f64) -> Bounds {
        Bounds { low: 0.0, high: 1.0 / floor, mean_low: 0.0, mean_high: 1.0 }
    }
    /// As [`Bounds::weighted_rate`], treated minus control: their mean is the difference of rates.
    pub fn weighted_difference(floor_control: f64, floor_treated: f64) -> Bounds {
        Bounds { low: -1.0 / floor_control, high: 1.0 / floor_treated, mean_low: -1.0, mean_high: 1.0 }
    }
    /// The same bounds seen from the other side: of outcomes times -1.
    fn mirrored(&self) -> Bounds {
        Bounds { low: -self.high, high: -self.low, mean_low: -self.mean_high, mean_high: -self.mean_low }
    }
}

/// Bets on "the mean is above m", in rising boldness. Those on "below" are these, of the mirrored outcomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Bets {
    bets: Vec<f64>,
    low: f64,
}

impl Bets {
    /// The grid for outcomes within `bounds`.
    pub fn above(bounds: &Bounds) -> Bets {
        let range = bounds.high - bounds.low;
        let boldest = BOLDEST / (bounds.mean_low - bounds.low).max(0.0);
        let bet = |doublings: i32| 2f64.powi(doublings) / range;
        let mut bets: Vec<f64> =
            (-DOUBLINGS_BELOW..=DOUBLINGS_ABOVE).map(bet).take_while(|b| *b < boldest).collect();
        if boldest.is_finite() && bets.len() < BETS_MAX {
            bets.push(boldest);
        }
        Bets { bets, low: bounds.low }
    }
    /// The grid on "below m", for outcomes times -1.
    pub fn below(bounds: &Bounds) -> Bets {
        Bets::above(&bounds.mirrored())
    }
    /// The bets against a mean of `m`: none so bold that an outcome at the bound ruins it.
    pub fn against(&self, m: f64) -> impl Iterator<Item = f64> + '_ {
        let boldest = BOLDEST / (m - self.low).max(0.0);
        self.bets.iter().map(move |b| b.min(boldest))
    }
    /// The logarithm of the capital against a mean of `m`, after `outcomes` (each with how often it was seen).
    fn ln_capital(&self, m: f64, outcomes: impl Iterator<Item = (f64, u64)> + Clone) -> f64 {
        let mut logs = [f64::NEG_INFINITY; BETS_MAX];
        for (log, bet) in logs.iter_mut().zip(self.against(m)) {
            *log = outcomes.clone().map(|(x, count)| count as f64 * (bet * (x - m)).ln_1p()).sum();
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        most + (sum / self.bets.len() as f64).ln()
    }
}

/// Bits of an outcome in the order of numbers, for a map that keeps the same order everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome(f64);
impl Eq for Outcome {}
impl PartialOrd for Outcome {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Outcome {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// An outcome that was outside the declared bounds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("outcome {outcome} lies outside the declared bounds {low} to {high}")]
pub struct OutOfBounds {
    /// What came.
    pub outcome: f64,
    /// Declared lower bound.
    pub low: f64,
    /// Declared upper bound.
    pub high: f64,
}

/// Outcomes seen so far, and the sequence they give. Order does not matter; two can be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    bounds: Bounds,
    above: Bets,
    below: Bets,
    seen: BTreeMap<Outcome, u64>,
    count: u64,
    sum: f64,
}

impl Sequence {
    /// Nothing seen yet.
    pub fn new(bounds: Bounds) -> Sequence {
        let (above, below) = (Bets::above(&bounds), Bets::below(&bounds));
        Sequence { bounds, above, below, seen: BTreeMap::new(), count: 0, sum: 0.0 }
    }
    /// A rate's sequence, from counts.
    pub fn of_rate(successes: u64, count: u64) -> Sequence {
        let mut sequence = Sequence::new(Bounds::RATE);
        // Both outcomes are within the bounds.
        let _ = sequence.add(1.0, successes.min(count));
        let _ = sequence.add(0.0, count.saturating_sub(successes));
        sequence
    }
    /// Adds `count` units with the same outcome.
    ///
    /// # Errors
    /// [`OutOfBounds`]; nothing is added.
    pub fn add(&mut self, outcome: f64, count: u64) -> Result<(), OutOfBounds> {
        let Bounds { low, high, .. } = self.bounds;
        if !(low..=high).contains(&outcome) {
            return Err(OutOfBounds { outcome, low, high });
        }
        if count > 0 {
            // -0.0 and 0.0 are one outcome.
            *self.seen.entry(Outcome(outcome + 0.0)).or_default() += count;
            self.count += count;
            self.sum += outcome * count as f64;
        }
        Ok(())
    }
    /// Units seen.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Mean outcome; `None` before the first unit.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
    /// ln capital of the bets that the mean is above `m`.
    fn ln_above(&self, m: f64) -> f64 {
        self.above.ln_capital(m, self.seen.iter().map(|(x, n)| (x.0, *n)))
    }
    /// ln capital of the bets that the mean is below `m`.
    fn ln_below(&self, m: f64) -> f64 {
        self.below.ln_capital(-m, self.seen.iter().map(|(x, n)| (-x.0, *n)))
    }
    /// The logarithm of the e-value against "the mean is `m`": half the capital on either side.
    pub fn ln_e_value(&self, m: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let (a, b) = (self.ln_above(m), self.ln_below(m));
        let most = a.max(b);
        most + (0.5 * ((a - most).exp() + (b - most).exp())).ln()
    }
    /// The logarithm of the e-value against "the mean is at most `m`".
    pub fn ln_e_value_above(&self, m: f64) -> f64 {
        if self.count == 0 { 0.0 } else { self.ln_above(m) }
    }
    /// The always-valid p-value against "the mean is `m`" (at this look).
    pub fn p(&self, m: f64) -> f64 {
        (-self.ln_e_value(m)).exp().min(1.0)
    }
    /// The 1 - `alpha` confidence sequence at this look. Ends lie outward of the exact ones by less than 1e-12 of the
    /// mean's range.
    pub fn interval(&self, alpha: f64) -> Interval {
        let Bounds { mean_low, mean_high, .. } = self.bounds;
        if self.count == 0 {
            return Interval { low: mean_low, high: mean_high };
        }
        let limit = (2.0 / alpha).ln();
        // Capital on "above m" falls with m: every m where it is at least the limit is refuted.
        let low = edge(mean_low, mean_high, |m| self.ln_above(m) >= limit);
        let high = -edge(-mean_high, -mean_low, |m| self.ln_below(-m) >= limit);
        Interval { low, high: high.max(low) }
    }
}

/// The last point from `low` on that is refuted, given that refuted ones come first; `low` where none is.
fn edge(low: f64, high: f64, refuted: impl Fn(f64) -> bool) -> f64 {
    if !refuted(low + (high - low) * 1e-15) {
        return low;
    }
    let (mut inside, mut outside) = (low, high);
    for _ in 0..60 {
        let middle = f64::midpoint(inside, outside);
        if refuted(middle) {
            inside = middle
        } else {
            outside = middle
        }
        if outside - inside <= 1e-13 * (high - low) {
            break;
        }
    }
    inside
}
