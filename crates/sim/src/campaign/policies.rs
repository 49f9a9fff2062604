//! Policies to compare with: they share nothing between versions.
//!
//! What a learner of elements has to be better than. Each follows its source plainly; where a table is made each so many requests, the
//! learner's is too. Refuses contexts: versions of all contexts are one, which is to these policies' advantage.

use super::run::{Policy, SLOTS_MAX, Shown};
use crate::Random;
use std::collections::HashMap;

/// Requests between two tables.
const BATCH: usize = 10_000;

/// A version drawn evenly.
fn even(open: &[Vec<u16>], random: &mut Random) -> Shown {
    let mut shown = [0; SLOTS_MAX];
    for (asset, choices) in shown.iter_mut().zip(open) {
        let at = (random.unit() * choices.len() as f64) as usize;
        *asset = choices.get(at).copied().unwrap_or(0);
    }
    shown
}
fn all(sizes: &[usize]) -> Vec<Vec<u16>> {
    sizes.iter().map(|size| (0..*size as u16).collect()).collect()
}
fn opened(available: &[Vec<bool>]) -> Vec<Vec<u16>> {
    let slot =
        |row: &Vec<bool>| (0u16..).zip(row).filter(|(_, open)| **open).map(|(asset, _)| asset).collect();
    available.iter().map(slot).collect()
}
fn may_show(shown: &Shown, open: &[Vec<u16>]) -> bool {
    shown.iter().zip(open).all(|(asset, choices)| choices.binary_search(asset).is_ok())
}

/// Every version alike.
pub struct Uniform {
    open: Vec<Vec<u16>>,
}
impl Uniform {
    /// Over these slots.
    pub fn new(sizes: &[usize]) -> Uniform {
        Uniform { open: all(sizes) }
    }
}
impl Policy for Uniform {
    fn choose(&mut self, _: usize, bits: u64) -> Shown {
        even(&self.open, &mut Random::new(bits))
    }
    fn learn(&mut self, _: usize, _: &Shown, _: bool) {}
    fn roster(&mut self, available: &[Vec<bool>]) {
        self.open = opened(available);
    }
}

/// A tenth evenly, else the best observed rate (with at least 20 showings), found again each 10,000 requests.
pub struct EpsilonGreedy {
    open: Vec<Vec<u16>>,
    seen: HashMap<Shown, (f64, f64)>,
    best: Option<Shown>,
    requests_count: usize,
}
impl EpsilonGreedy {
    /// Over these slots.
    pub fn new(sizes: &[usize]) -> EpsilonGreedy {
        EpsilonGreedy { open: all(sizes), seen: HashMap::new(), best: None, requests_count: 0 }
    }
}
impl Policy for EpsilonGreedy {
    fn choose(&mut self, _: usize, bits: u64) -> Shown {
        let mut random = Random::new(bits);
        match self.best.filter(|_| random.unit() >= 0.1) {
            Some(best) => best,
            None => even(&self.open, &mut random),
        }
    }
    fn learn(&mut self, _: usize, shown: &Shown, success: bool) {
        let seen = self.seen.entry(*shown).or_default();
        seen.0 += 1.0;
        seen.1 += f64::from(u8::from(success));
    }
    fn pause(&mut self, _: u64) {
        self.requests_count += 1;
        if self.requests_count.is_multiple_of(BATCH) {
            let enough =
                self.seen.iter().filter(|(shown, seen)| seen.0 >= 20.0 && may_show(shown, &self.open));
            // The order of the map is not fixed; equal rates are told apart by the version itself.
            let order = |a: &(&Shown, &(f64, f64)), b: &(&Shown, &(f64, f64))| {
                (a.1.1 / a.1.0).total_cmp(&(b.1.1 / b.1.0)).then(a.0.cmp(b.0))
            };
            self.best = enough.max_by(order).map(|(shown, _)| *shown).filter(|best| self.seen[best].1 > 0.0);
        }
    }
    fn roster(&mut self, available: &[Vec<bool>]) {
        self.open = opened(available);
        self.best = self.best.filter(|best| may_show(best, &self.open));
    }
}

/// How the versions of a subsample are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Thompson sampling, Beta(1, 99): 64 draws each 10,000 requests.
    Thompson,
    /// UCB1 (Auer, Cesa-Bianchi, Fischer 2002), chosen again each 64 requests.
    Ucb1,
    /// Successive halving (Karnin, Koren, Somekh 2013): the better half of what is left goes on after each round.
    Halving,
}

/// A subsample of sqrt(T) versions (Bayati et al. 2020), each for itself.
pub struct Subsample {
    rule: Rule,
    arms: Vec<Shown>,
    seen: Vec<(f64, f64)>,
    index: HashMap<Shown, usize>,
    /// Arms to show: the winners of draws, the one with the highest bound, or those still in.
    table: Vec<usize>,
    requests_count: usize,
    horizon: usize,
    next: usize,
    open: Vec<Vec<u16>>,
    random: Random,
}
impl Subsample {
    /// For so many requests over these slots.
    pub fn new(rule: Rule, sizes: &[usize], horizon: usize, seed: u64) -> Subsample {
        let mut random = Random::new(seed ^ 0x7375_6273);
        let open = all(sizes);
        let count = (horizon as f64).sqrt().ceil().max(2.0) as usize;
        let mut arms: Vec<Shown> = (0..count).map(|_| even(&open, &mut random)).collect();
        arms.sort_unstable();
        arms.dedup();
        let count = arms.len();
        let index = arms.iter().enumerate().map(|(at, arm)| (*arm, at)).collect();
        let table = (0..count).collect();
        let seen = vec![(0.0, 0.0); count];
        Subsample { rule, arms, seen, index, table, requests_count: 0, horizon, next: 0, open, random }
    }
    fn thompson(&mut self) {
        let mut draws = Vec::with_capacity(64);
        for _ in 0..64 {
            let mut best = (f64::NEG_INFINITY, 0);
            for (at, (trials, successes)) in self.seen.iter().enumerate() {
                // The Beta posterior by its normal approximation on the square-root scale: fast, and close for rates of per cents.
                let (a, b) = (1.0 + successes, 99.0 + trials - successes);
                let mean = (a / (a + b)).sqrt();
                let value = (mean + self.random.normal() * 0.5 / (a + b).sqrt()).max(0.0);
                if value > best.0 {
                    best = (value, at);
                }
            }
            draws.push(best.1);
        }
        self.table = draws;
    }
    fn ucb1(&mut self) {
        let log = 2.0 * (self.requests_count.max(2) as f64).ln();
        let bound = |seen: &(f64, f64)| {
            if seen.0 <= 0.0 { f64::INFINITY } else { seen.1 / seen.0 + (log / seen.0).sqrt() }
        };
        let best =
            (0..self.arms.len()).max_by(|a, b| bound(&self.seen[*a]).total_cmp(&bound(&self.seen[*b])));
        self.table = vec![best.unwrap_or(0)];
    }
    fn halve(&mut self) {
        let rate = |at: usize| self.seen[at].1 / self.seen[at].0.max(1.0);
        let mut left = self.table.clone();
        left.sort_by(|a, b| rate(*b).total_cmp(&rate(*a)).then(a.cmp(b)));
        left.truncate(left.len().div_ceil(2));
        self.table = left;
    }
}
impl Policy for Subsample {
    fn choose(&mut self, _: usize, bits: u64) -> Shown {
        self.next += 1;
        let at = match self.rule {
            Rule::Halving => self.next % self.table.len(),
            _ => (Random::new(bits).unit() * self.table.len() as f64) as usize,
        };
        self.arms[self.table[at]]
    }
    fn learn(&mut self, _: usize, shown: &Shown, success: bool) {
        if let Some(at) = self.index.get(shown) {
            self.seen[*at].0 += 1.0;
            self.seen[*at].1 += f64::from(u8::from(success));
        }
    }
    fn pause(&mut self, _: u64) {
        self.requests_count += 1;
        let rounds = (self.arms.len() as f64).log2().ceil().max(1.0) as usize;
        match self.rule {
            Rule::Thompson if self.requests_count.is_multiple_of(BATCH) => self.thompson(),
            Rule::Ucb1 if self.requests_count.is_multiple_of(64) => self.ucb1(),
            Rule::Halving if self.requests_count.is_multiple_of((self.horizon / (rounds + 1)).max(1)) => {
                self.halve()
            }
            _ => {}
        }
    }
    fn roster(&mut self, available: &[Vec<bool>]) {
        self.open = opened(available);
        // What can no longer be shown makes way for a version drawn anew.
        for at in 0..self.arms.len() {
            if !may_show(&self.arms[at], &self.open) {
                self.index.remove(&self.arms[at]);
                self.arms[at] = even(&self.open, &mut self.random);
                self.seen[at] = (0.0, 0.0);
                self.index.insert(self.arms[at], at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{Campaign, Effect, Events, Family, Form, Truth};
    #[test]
    fn each_finds_the_better_of_few() {
        let effects = vec![Effect { first: (0, 1), second: None, log_odds: 1.2 }];
        let truth = Truth::from_effects(vec![3, 1], 0.1, effects).unwrap();
        let campaign = Campaign {
            family: Family::Sparse,
            form: Form::Small,
            seed: 1,
            requests_count: 120_000,
            events: Events::default(),
            truth: Some(truth),
        };
        let sizes = campaign.sizes();
        let mut policies: Vec<Box<dyn Policy>> = vec![Box::new(EpsilonGreedy::new(&sizes))];
        for rule in [Rule::Thompson, Rule::Ucb1, Rule::Halving] {
            policies.push(Box::new(Subsample::new(rule, &sizes, 120_000, 1)));
        }
        for (at, policy) in policies.iter_mut().enumerate() {
            let share = campaign.run(policy.as_mut(), &mut |_| ()).last_tenth().unwrap();
            assert!(share > 0.8, "{at}: {share}");
        }
    }
}
