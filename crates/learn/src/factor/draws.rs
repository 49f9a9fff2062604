//! Posterior draws and the best version of each: Thompson sampling over millions of versions that are never listed.
//!
//! One draw is a value for every effect; its best version is found by hill climbing, a slot at a time, from the best single
//! assets and from the strongest pairs (Hill et al. 2017, section 3.3, with starts of its own). Refuses to look at outcomes.

use super::effects::{Block, Effects, Kind};
use crate::{
    stream::Stream,
    template::{Assets, Space},
};

/// Strongest drawn pairs from which a climb starts.
const PAIR_STARTS: usize = 4;
/// Rounds over all slots that a climb may take.
const ROUNDS_MAX: usize = 8;
/// Breaks ties among assets of which nothing is known, evenly.
const TIE: f64 = 1e-5;

/// One draw of every effect.
#[derive(Clone)]
pub(super) struct Draw<'a> {
    space: &'a Space,
    slots_count: usize,
    contexts_count: usize,
    /// Value of each effect.
    pub(super) values: Vec<f32>,
    /// Breaks ties among assets of which nothing is known.
    ties: Vec<f32>,
    assets: Vec<Block>,
    in_context: Vec<Block>,
    /// For slots (a, b), a < b: their block.
    pairs: Vec<Vec<Option<Block>>>,
    /// The strongest pairs: value, slots, assets.
    strongest: Vec<(f32, [usize; 2], [u16; 2])>,
}

impl<'a> Draw<'a> {
    pub(super) fn new(space: &'a Space, effects: &Effects) -> Draw<'a> {
        let slots_count = space.slots().len();
        let of = |kind| effects.blocks.iter().filter(move |b| b.kind == kind).copied();
        let mut pairs = vec![vec![None; slots_count]; slots_count];
        for block in of(Kind::Pair) {
            if let Some(second) = block.second {
                pairs[block.first][second] = Some(block);
            }
        }
        Draw {
            space,
            slots_count,
            contexts_count: space.contexts_count(),
            values: vec![0.0; effects.count()],
            ties: vec![0.0; of(Kind::Asset).map(|block| block.count).sum()],
            assets: of(Kind::Asset).collect(),
            in_context: of(Kind::InContext).collect(),
            pairs,
            strongest: Vec::new(),
        }
    }
    /// Draws every effect anew.
    pub(super) fn sample(&mut self, effects: &Effects, stream: &mut Stream) {
        self.strongest.clear();
        for block in &effects.blocks {
            for at in block.offset..block.offset + block.count {
                let unit = stream.unit();
                let posterior = &effects.posteriors[at];
                let value = posterior.draw(unit, || stream.normal());
                self.values[at] = value;
                if block.kind == Kind::Pair && value > 0.0 {
                    self.note(block, at - block.offset, value);
                }
            }
        }
    }
    /// Takes every effect's mean instead of a draw.
    pub(super) fn expect(&mut self, effects: &Effects) {
        self.strongest.clear();
        for block in &effects.blocks {
            for at in block.offset..block.offset + block.count {
                self.values[at] = effects.posteriors[at].mean;
                if block.kind == Kind::Pair && self.values[at] > 0.0 {
                    self.note(block, at - block.offset, self.values[at]);
                }
            }
        }
    }
    /// Takes the means of what was found, and nothing of what was not: the best version's indifferent slots are then drawn evenly, so
    /// that showing what is known tries everything else beside it at no price.
    pub(super) fn settle(&mut self, effects: &Effects) {
        self.strongest.clear();
        for block in &effects.blocks {
            for at in block.offset..block.offset + block.count {
                let posterior = &effects.posteriors[at];
                self.values[at] = if posterior.weights[0] < 0.5 { posterior.mean } else { 0.0 };
                if block.kind == Kind::Pair && self.values[at] > 0.0 {
                    self.note(block, at - block.offset, self.values[at]);
                }
            }
        }
    }
    /// Draws anew which of several equal assets is chosen.
    pub(super) fn shuffle(&mut self, stream: &mut Stream) {
        self.ties.iter_mut().for_each(|tie| *tie = (TIE * stream.unit()) as f32);
    }
    /// Keeps a pair if it is among the strongest that may be shown.
    fn note(&mut self, block: &Block, within: usize, value: f32) {
        let full = self.strongest.len() == PAIR_STARTS;
        if full && self.strongest.last().is_some_and(|last| value <= last.0) {
            return;
        }
        let assets = [(within / block.stride) as u16, (within % block.stride) as u16];
        let slots = [block.first, block.second.unwrap_or(block.first)];
        let shown = |n: usize| self.space.choices(slots[n]).binary_search(&assets[n]).is_ok();
        if !shown(0) || !shown(1) {
            return;
        }
        if full {
            self.strongest.pop();
        }
        let at = self.strongest.partition_point(|other| other.0 >= value);
        self.strongest.insert(at, (value, slots, assets));
    }
    fn alone(&self, slot: usize, asset: u16, context: usize) -> f32 {
        let at = self.assets[slot].offset + usize::from(asset);
        let own = self.values[at] + self.ties[at];
        let there = self.in_context.get(slot).map_or(0.0, |block| {
            self.values[block.offset + usize::from(asset) * self.contexts_count + context]
        });
        own + there
    }
    pub(super) fn pair(&self, slot: usize, asset: u16, other: usize, other_asset: u16) -> f32 {
        let (a, b, first, second) =
            if slot < other { (slot, other, asset, other_asset) } else { (other, slot, other_asset, asset) };
        self.pairs[a][b].map_or(0.0, |block| self.values[block.at(first, second)])
    }
    pub(super) fn score(&self, assets: &Assets, context: usize) -> f32 {
        let mut sum = 0.0;
        for slot in 0..self.slots_count {
            sum += self.alone(slot, assets[slot], context);
            for other in slot + 1..self.slots_count {
                sum += self.pair(slot, assets[slot], other, assets[other]);
            }
        }
        sum
    }
    /// Climbs until no single change is better; slots in `held` stay as they are in the first round.
    pub(super) fn climb(&self, assets: &mut Assets, context: usize, held: &[usize]) {
        for round in 0..ROUNDS_MAX {
            let mut changed = false;
            for slot in (0..self.slots_count).filter(|slot| round > 0 || !held.contains(slot)) {
                let before = assets[slot];
                let value = |asset: u16, assets: &Assets| {
                    let others = (0..self.slots_count).filter(|other| *other != slot);
                    self.alone(slot, asset, context)
                        + others.map(|other| self.pair(slot, asset, other, assets[other])).sum::<f32>()
                };
                let mut best = (value(before, assets), before);
                for asset in self.space.choices(slot) {
                    let new = value(*asset, assets);
                    if new > best.0 {
                        let mut tried = *assets;
                        tried[slot] = *asset;
                        if self.space.holds(&tried) {
                            best = (new, *asset);
                        }
                    }
                }
                assets[slot] = best.1;
                changed |= best.1 != before;
            }
            if !changed && round > 0 {
                return;
            }
        }
    }
    /// The best version of this draw in a context, as far as climbing finds it.
    pub(super) fn best(&self, context: usize) -> Assets {
        let mut start = self.space.some_version();
        for (slot, place) in start.iter_mut().enumerate().take(self.slots_count) {
            let value = |asset: &u16| self.alone(slot, *asset, context);
            let order = |a: &&u16, b: &&u16| value(a).total_cmp(&value(b));
            *place = self.space.choices(slot).iter().max_by(order).copied().unwrap_or(*place);
        }
        if !self.space.holds(&start) {
            start = self.space.some_version();
        }
        let mut best = start;
        self.climb(&mut best, context, &[]);
        let mut height = self.score(&best, context);
        for (_, slots, assets) in &self.strongest {
            let mut other = best;
            other[slots[0]] = assets[0];
            other[slots[1]] = assets[1];
            if !self.space.holds(&other) || other == best {
                continue;
            }
            self.climb(&mut other, context, slots);
            let reached = self.score(&other, context);
            if reached > height {
                (best, height) = (other, reached);
            }
        }
        best
    }
}
