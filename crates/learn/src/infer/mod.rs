//! Inference: what can be said about rates and effects, and how sure it is.
//!
//! Three families, kept apart by name. *Fixed* ([`fixed`]) holds for one look at a sample size chosen beforehand.
//! *Sequential* holds at every look: asymptotic ones ([`sequential`]) only after a stated burn-in, non-asymptotic ones
//! ([`betting`], [`plug_in`]) from the first unit on. *Bayesian* ([`bayes`]) answers with a prior, and promises no
//! error rate. [`many`] bounds false discoveries over many versions, [`plan`] says how long it takes.
//!
//! Refuses IO, clock, randomness; refuses to give an interval without saying which promise it keeps.

pub mod bayes;
pub mod betting;
pub mod coverage;
pub mod fixed;
pub mod many;
pub mod plan;
pub mod plug_in;
pub mod sequential;
pub mod special;

/// An interval of a rate or an effect, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// An interval around `centre`.
    pub fn around(centre: f64, half_width: f64) -> Interval {
        Interval { low: centre - half_width, high: centre + half_width }
    }
    /// Whether `value` lies in it.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
    /// High minus low.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
    /// What lies in both; where nothing does, the two have crossed, and the point between them is returned with
    /// width zero.
    pub fn intersect(&self, other: &Interval) -> Interval {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        if low <= high {
            return Interval { low, high };
        }
        let middle = f64::midpoint(low, high);
        Interval { low: middle, high: middle }
    }
}
