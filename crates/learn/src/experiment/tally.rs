//! The tally of an experiment: units and outcomes by arm and day of exposure, and the sequences they feed.
//!
//! A unit counts once, on the day it was exposed, when its window has closed; its outcome lies in [0, 1]. Under a fixed
//! split, arms are compared on the units of both, weighted by the split; under adaptive allocation on all units,
//! weighted by the logged propensity, which the declared floor bounds. Refuses outcomes and propensities outside what was
//! declared, and counts them as refused.

use crate::infer::betting::{Bounds, Sequence};
use std::collections::BTreeMap;

/// How units are allocated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allocation {
    /// By fixed shares.
    Fixed,
    /// By propensities that move, never below the floor.
    Adaptive {
        /// Least probability of every arm, declared beforehand.
        floor: f64,
    },
}

/// Units and outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Units.
    pub units: u64,
    /// Sum of their outcomes; successes where outcomes are yes or no.
    pub sum: f64,
}

impl Seen {
    /// Mean outcome, 0 without units.
    pub fn mean(&self) -> f64 {
        if self.units == 0 { 0.0 } else { self.sum / self.units as f64 }
    }
}

/// The tally; arm 0 is control.
#[derive(Clone, Debug)]
pub struct Tally {
    allocation: Allocation,
    shares: Vec<f64>,
    arms: Vec<Seen>,
    days: BTreeMap<i32, Vec<Seen>>,
    rates: Vec<Sequence>,
    /// Against control; entry 0 stays empty.
    differences: Vec<Sequence>,
    /// Outcomes or propensities outside their declared bounds.
    pub refused: u64,
}

/// What happened to some units alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposed {
    /// Which arm.
    pub arm: usize,
    /// Day of exposure, by its number.
    pub day: i32,
    /// Outcome of each, in [0, 1].
    pub outcome: f64,
    /// How many.
    pub units: u64,
}

impl Tally {
    /// Of arms with these shares, which sum to 1.
    pub fn new(allocation: Allocation, shares: &[f64]) -> Tally {
        let between = |arm: usize| match allocation {
            Allocation::Fixed => {
                let both = shares[0] + shares[arm];
                Bounds::weighted_difference(shares[0] / both, shares[arm] / both)
            }
            Allocation::Adaptive { floor } => Bounds::weighted_difference(floor, floor),
        };
        let rate = match allocation {
            Allocation::Fixed => Bounds::RATE,
            Allocation::Adaptive { floor } => Bounds::weighted_rate(floor),
        };
        Tally {
            allocation,
            shares: shares.to_vec(),
            arms: vec![Seen::default(); shares.len()],
            days: BTreeMap::new(),
            rates: vec![Sequence::new(rate); shares.len()],
            differences: (0..shares.len()).map(|arm| Sequence::new(between(arm))).collect(),
            refused: 0,
        }
    }
    /// Counts units under a fixed split.
    pub fn add(&mut self, exposed: Exposed) {
        let propensities = self.shares.clone();
        self.add_drawn(exposed, &propensities);
    }
    /// Counts units that were drawn with these propensities of all arms.
    pub fn add_drawn(&mut self, exposed: Exposed, propensities: &[f64]) {
        let Exposed { arm, day, outcome, units } = exposed;
        let floor = match self.allocation {
            Allocation::Fixed => 0.0,
            Allocation::Adaptive { floor } => floor,
        };
        let sound = (0.0..=1.0).contains(&outcome)
            && propensities.len() == self.arms.len()
            && propensities.get(arm).is_some_and(|p| *p > 0.0 && *p >= floor - 1e-12);
        if !sound {
            self.refused += units;
            return;
        }
        let counted = |seen: &mut Seen| {
            seen.units += units;
            seen.sum += outcome * units as f64;
        };
        counted(&mut self.arms[arm]);
        let count = self.arms.len();
        counted(&mut self.days.entry(day).or_insert_with(|| vec![Seen::default(); count])[arm]);
        for other in 0..count {
            let (rate, difference) = match self.allocation {
                // Each arm on its own units; each comparison on the units of its two arms.
                Allocation::Fixed => {
                    let both = self.shares[0] + self.shares[other];
                    let own = (other == arm).then_some(outcome);
                    let compared = match arm {
                        _ if other == 0 => None,
                        0 => Some(-outcome / (self.shares[0] / both)),
                        _ if arm == other => Some(outcome / (self.shares[other] / both)),
                        _ => None,
                    };
                    (own, compared)
                }
                Allocation::Adaptive { floor } => {
                    let weighted = outcome / propensities[arm].max(floor);
                    let own = if other == arm { weighted } else { 0.0 };
                    let compared = match arm {
                        0 => -weighted,
                        _ if arm == other => weighted,
                        _ => 0.0,
                    };
                    (Some(own), (other != 0).then_some(compared))
                }
            };
            let fed = rate.map_or(Ok(()), |x| self.rates[other].add(x, units));
            let fed = fed.and(difference.map_or(Ok(()), |x| self.differences[other].add(x, units)));
            if fed.is_err() {
                self.refused += units;
            }
        }
    }
    /// Shares of the arms.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
    /// How units are allocated.
    pub fn allocation(&self) -> Allocation {
        self.allocation
    }
    /// Units and outcomes by arm.
    pub fn arms(&self) -> &[Seen] {
        &self.arms
    }
    /// The same by day of exposure, in order.
    pub fn days(&self) -> impl Iterator<Item = (i32, &[Seen])> {
        self.days.iter().map(|(day, arms)| (*day, arms.as_slice()))
    }
    /// The sequence of an arm's mean outcome.
    pub fn rate(&self, arm: usize) -> &Sequence {
        &self.rates[arm]
    }
    /// The sequence of an arm's difference from control.
    pub fn difference(&self, arm: usize) -> &Sequence {
        &self.differences[arm]
    }
}
