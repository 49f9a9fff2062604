//! What was seen, added up: trials and reward of each version in each context that was ever shown.
//!
//! Cells, not events: a version served a million times is one cell. Adding an outcome is one look-up. The number of cells
//! is bounded; the oldest generation is forgotten first, successes and failures alike, so that nothing is biased. Refuses to
//! know what the numbers mean.

use super::change::Fresh;
use crate::template::{Assets, Code, SLOTS_COUNT_MAX};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Mixes a 64-bit key; no randomness of its own (law D1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Mixer(u64);
impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Cells by column.
#[derive(Clone, Debug)]
pub struct Evidence {
    index: HashMap<u64, u32, BuildHasherDefault<Mixer>>,
    /// (context, code) of each cell.
    keys: Vec<u64>,
    /// Asset of each cell, slot by slot; after the last slot the context.
    pub(super) digits: Vec<Vec<u16>>,
    /// Showings, weighted.
    pub(super) trials: Vec<f32>,
    /// Reward, weighted; a success counts 1.
    pub(super) reward: Vec<f32>,
    /// Showings and reward of this generation.
    fresh: Vec<[f32; 2]>,
    /// When last seen, in generations.
    seen: Vec<u32>,
    /// Predicted odds of a success, kept in step with the estimates by the fit.
    pub(super) odds: Vec<f32>,
    /// Showings since the beginning of this generation, and that count.
    fresh_trials: f64,
    total_trials: f64,
    total_reward: f64,
    generation: u32,
    cells_count_max: usize,
}

impl Evidence {
    /// Nothing seen yet, of versions with so many slots.
    pub fn new(slots_count: usize, cells_count_max: usize) -> Evidence {
        Evidence {
            index: HashMap::default(),
            keys: Vec::new(),
            digits: vec![Vec::new(); slots_count.min(SLOTS_COUNT_MAX) + 1],
            trials: Vec::new(),
            reward: Vec::new(),
            fresh: Vec::new(),
            seen: Vec::new(),
            odds: Vec::new(),
            fresh_trials: 0.0,
            total_trials: 0.0,
            total_reward: 0.0,
            generation: 0,
            cells_count_max: cells_count_max.max(1_024),
        }
    }
    /// How many cells there are.
    pub fn cells_count(&self) -> usize {
        self.keys.len()
    }
    /// Showings since the last generation began.
    pub fn fresh_trials(&self) -> f64 {
        self.fresh_trials
    }
    /// Showings that count now: what was forgotten or weighed less does not.
    pub fn total_trials(&self) -> f64 {
        self.total_trials
    }
    /// Reward that counts now.
    pub fn total_reward(&self) -> f64 {
        self.total_reward
    }
    /// Where a version's cell is, made where there is none. `assets` is the code's; `odds` predicts a new cell's.
    pub(super) fn cell(
        &mut self,
        context: u16,
        code: Code,
        assets: &Assets,
        odds: impl FnOnce() -> f32,
    ) -> usize {
        let key = u64::from(context) << 32 | u64::from(code.0);
        let next = self.keys.len() as u32;
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.keys.push(key);
            let slots_count = self.digits.len() - 1;
            for (digits, asset) in self.digits.iter_mut().zip(assets).take(slots_count) {
                digits.push(*asset);
            }
            self.digits[slots_count].push(context);
            self.trials.push(0.0);
            self.reward.push(0.0);
            self.fresh.push([0.0; 2]);
            self.seen.push(self.generation);
            self.odds.push(odds());
        }
        at as usize
    }
    /// Adds to a cell.
    pub(super) fn add(&mut self, cell: usize, trials: f32, reward: f32) {
        self.trials[cell] += trials;
        self.reward[cell] += reward;
        self.fresh[cell][0] += trials;
        self.fresh[cell][1] += reward;
        self.seen[cell] = self.generation;
        self.fresh_trials += f64::from(trials);
        self.total_trials += f64::from(trials);
        self.total_reward += f64::from(reward);
    }
    /// Begins a generation; forgets the oldest cells when there are too many.
    pub(super) fn begin_generation(&mut self) {
        self.generation += 1;
        self.fresh_trials = 0.0;
        self.fresh.iter_mut().for_each(|fresh| *fresh = [0.0; 2]);
        if self.keys.len() <= self.cells_count_max {
            return;
        }
        // The age beyond which three quarters of the limit are left.
        let mut ages: Vec<u32> = self.seen.clone();
        let keep = self.cells_count_max * 3 / 4;
        let at = ages.len() - keep;
        let (_, oldest, _) = ages.select_nth_unstable(at);
        let oldest = *oldest;
        let kept: Vec<bool> = self.seen.iter().map(|seen| *seen > oldest).collect();
        self.retain(&kept);
    }
    /// This generation's outcomes beside what the last fit predicted.
    pub(super) fn fresh(&self) -> impl Iterator<Item = Fresh> + '_ {
        self.fresh.iter().zip(&self.odds).filter(|(fresh, _)| fresh[0] > 0.0).map(|(fresh, odds)| Fresh {
            trials: f64::from(fresh[0]),
            reward: f64::from(fresh[1]),
            rate: f64::from(odds / (1.0 + odds)),
        })
    }
    /// Multiplies what was seen so far; cells that no longer count are forgotten.
    pub(super) fn discount(&mut self, factor: f32) {
        self.total_trials *= f64::from(factor);
        self.total_reward *= f64::from(factor);
        for (trials, reward) in self.trials.iter_mut().zip(&mut self.reward) {
            *trials *= factor;
            *reward *= factor;
        }
        let kept: Vec<bool> = self.trials.iter().map(|trials| *trials > 0.02).collect();
        self.retain(&kept);
    }
    fn retain(&mut self, kept: &[bool]) {
        fn only<T: Copy>(column: &mut Vec<T>, kept: &[bool]) {
            let mut at = 0;
            column.retain(|_| {
                at += 1;
                kept[at - 1]
            });
        }
        only(&mut self.keys, kept);
        self.digits.iter_mut().for_each(|digits| only(digits, kept));
        only(&mut self.trials, kept);
        only(&mut self.reward, kept);
        only(&mut self.fresh, kept);
        only(&mut self.seen, kept);
        only(&mut self.odds, kept);
        self.index.clear();
        self.index.extend(self.keys.iter().enumerate().map(|(at, key)| (*key, at as u32)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn put(evidence: &mut Evidence, code: u32) {
        let assets = [(code % 7) as u16, (code / 7) as u16, 0, 0, 0, 0, 0, 0];
        let cell = evidence.cell(3, Code(code), &assets, || 0.01);
        evidence.add(cell, 1.0, if code.is_multiple_of(2) { 1.0 } else { 0.0 });
    }
    #[test]
    fn a_version_is_one_cell() {
        let mut evidence = Evidence::new(2, 2_000);
        for _ in 0..3 {
            (0..100).for_each(|code| put(&mut evidence, code));
        }
        assert_eq!(evidence.cells_count(), 100);
        assert_eq!((evidence.trials[8], evidence.reward[8], evidence.reward[9]), (3.0, 3.0, 0.0));
        assert_eq!((evidence.digits[0][8], evidence.digits[1][8], evidence.digits[2][8]), (1, 1, 3));
    }
    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut evidence = Evidence::new(2, 1_024);
        for generation in 0..4 {
            (0..400).for_each(|n| put(&mut evidence, generation * 400 + n));
            evidence.begin_generation();
            assert!(evidence.cells_count() <= 1_024 + 400);
        }
        let cells = evidence.cells_count();
        put(&mut evidence, 1_599);
        assert_eq!(evidence.cells_count(), cells, "the youngest is still there");
        put(&mut evidence, 0);
        assert_eq!(evidence.cells_count(), cells + 1, "the oldest is not");
    }
    #[test]
    fn discounting_forgets_what_no_longer_counts() {
        let mut evidence = Evidence::new(2, 1_024);
        (0..10).for_each(|n| put(&mut evidence, n));
        (0..5).for_each(|_| put(&mut evidence, 4));
        evidence.discount(0.01);
        assert_eq!(evidence.cells_count(), 1);
        assert!((evidence.trials[0] - 0.06).abs() < 1e-6);
    }
}
