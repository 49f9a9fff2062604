//! The hidden truth of a list of uploaded versions: with structure (groups that resemble each other) and without.
//!
//! Refuses IO, a clock and randomness of its own: (family, seed) gives the same truth.

use super::BASE_RATE;
use crate::Random;

/// Versions in a list.
pub const UPLOADED_COUNT: usize = 1_000;
const GROUPS_COUNT: usize = 20;

/// Whether groups say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadedFamily {
    /// Log-odds = base + N(0, 0.5^2) of the group + N(0, 0.3^2) of the version.
    Structured,
    /// Log-odds = base + N(0, 0.34 ) of the version alone (the same variance); groups are labels without meaning.
    Unstructured,
    /// All alike.
    Null,
}
impl UploadedFamily {
    /// All, in the order they are printed.
    pub const ALL: [UploadedFamily; 3] =
        [UploadedFamily::Structured, UploadedFamily::Unstructured, UploadedFamily::Null];
    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            UploadedFamily::Structured => "structured",
            UploadedFamily::Unstructured => "unstructured",
            UploadedFamily::Null => "null",
        }
    }
}

/// What decides who succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadedTruth {
    /// Chance of a success, by version.
    pub rates: Vec<f64>,
    /// Group of each version: 20 groups of 50.
    pub groups: Vec<u32>,
}
impl UploadedTruth {
    /// Draws the truth of a list of [`UPLOADED_COUNT`] versions.
    pub fn draw(family: UploadedFamily, seed: u64) -> UploadedTruth {
        let mut random = Random::new(seed ^ (family as u64 + 11).wrapping_mul(0xa076_1d64_78bd_642f));
        let (between, within): (f64, f64) = match family {
            UploadedFamily::Structured => (0.5, 0.3),
            UploadedFamily::Unstructured => (0.0, 0.34f64.sqrt()),
            UploadedFamily::Null => (0.0, 0.0),
        };
        let groups: Vec<u32> = (0..UPLOADED_COUNT).map(|n| (n % GROUPS_COUNT) as u32).collect();
        let means: Vec<f64> = (0..GROUPS_COUNT).map(|_| between * random.normal()).collect();
        let base = (BASE_RATE / (1.0 - BASE_RATE)).ln();
        let rate = |group: &u32| {
            let log_odds = base + means[*group as usize] + within * random.normal();
            1.0 / (1.0 + (-log_odds).exp())
        };
        UploadedTruth { rates: groups.iter().map(rate).collect(), groups }
    }
    /// (mean, best).
    pub fn standing(&self) -> (f64, f64) {
        let mean = self.rates.iter().sum::<f64>() / self.rates.len().max(1) as f64;
        (mean, self.rates.iter().copied().fold(0.0, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn structure_is_in_the_groups() {
        let share = |family| {
            let truth = UploadedTruth::draw(family, 5);
            let odds: Vec<f64> = truth.rates.iter().map(|r| r.ln()).collect();
            let mean = odds.iter().sum::<f64>() / odds.len() as f64;
            let all: f64 = odds.iter().map(|o| (o - mean).powi(2)).sum();
            let between: f64 = (0..GROUPS_COUNT as u32)
                .map(|g| {
                    let own: Vec<f64> =
                        odds.iter().zip(&truth.groups).filter(|(_, x)| **x == g).map(|(o, _)| *o).collect();
                    own.len() as f64 * (own.iter().sum::<f64>() / own.len() as f64 - mean).powi(2)
                })
                .sum();
            between / all
        };
        assert!(share(UploadedFamily::Structured) > 0.4);
        assert!(share(UploadedFamily::Unstructured) < 0.1);
    }
}
