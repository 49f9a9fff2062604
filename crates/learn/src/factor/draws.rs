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
/// Suspects that a testing draw takes in, besides one for each context.
const SUSPECTS: usize = 3;
/// A suspect is chosen by its promise to this power.
const SHARPNESS: f64 = 1.5;
/// Added to the price of a test, as a part of the best rate, so that what is free is not tested for ever.
const PRICE_FLOOR: f64 = 0.03;
/// Breaks ties among assets of which nothing is known, evenly.
const TIE: f64 = 1e-5;

/// What an effect that was not found yet could be worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    at: usize,
    block: usize,
    /// The context whose effect it is; none where it is everybody's.
    context: Option<usize>,
    /// Log of the expected improvement over what is known, by the price of finding out.
    log: f64,
    /// Its mean where it is an improvement.
    value: f32,
}

/// One draw of every effect.
pub(super) struct Draw<'a> {
    space: &'a Space,
    slots_count: usize,
    contexts_count: usize,
    /// Value of each effect.
    values: Vec<f32>,
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
                self.values[at] = match block.kind {
                    Kind::Asset => value + (TIE * stream.unit()) as f32,
                    _ => value,
                };
                if block.kind == Kind::Pair && value > 0.0 {
                    self.note(block, at - block.offset, value);
                }
            }
        }
    }
    /// Takes what was found at its mean, and beside it some of what was not, as if it were true: mostly what promises most.
    pub(super) fn suspect(&mut self, effects: &Effects, promises: &[Promise], stream: &mut Stream) {
        self.settle(effects, stream);
        // The highest of log promise plus Gumbel noise: without replacement, each by its promise to the power of the sharpness.
        let mut chosen: Vec<(f64, usize)> = Vec::with_capacity(SUSPECTS + 1);
        let mut there: Vec<Option<(f64, usize)>> = vec![None; self.contexts_count];
        for (number, promise) in promises.iter().enumerate() {
            let noise = -(-stream.unit().max(1e-12).ln()).ln();
            let key = SHARPNESS * promise.log + noise;
            if let Some(context) = promise.context {
                if there[context].is_none_or(|best| key > best.0) {
                    there[context] = Some((key, number));
                }
                continue;
            }
            if chosen.len() == SUSPECTS && key <= chosen[SUSPECTS - 1].0 {
                continue;
            }
            let place = chosen.partition_point(|other| other.0 >= key);
            chosen.insert(place, (key, number));
            chosen.truncate(SUSPECTS);
        }
        for (_, number) in chosen.into_iter().chain(there.into_iter().flatten()) {
            let promise = &promises[number];
            self.values[promise.at] = promise.value;
            let block = effects.blocks[promise.block];
            if block.kind == Kind::Pair {
                self.note(&block, promise.at - block.offset, promise.value);
            }
        }
    }
    /// What the best version of each context loses where one of its assets makes way for another: by slot, asset and context.
    fn losses(&self) -> Vec<Vec<Vec<f32>>> {
        let best: Vec<Assets> = (0..self.contexts_count).map(|context| self.best(context)).collect();
        let of = |slot: usize, asset: u16| -> Vec<f32> {
            let loss = |(context, assets): (usize, &Assets)| {
                let mut other = *assets;
                other[slot] = asset;
                self.score(assets, context) - self.score(&other, context)
            };
            best.iter().enumerate().map(loss).collect()
        };
        let slots = self.space.slots().iter().enumerate();
        slots.map(|(slot, own)| (0..own.capacity).map(|asset| of(slot, asset)).collect()).collect()
    }
    /// What every effect promises that was not found yet and may be shown. Reads the draw: call it after [`Draw::expect`].
    pub(super) fn promises(&self, effects: &Effects) -> Vec<Promise> {
        let losses = self.losses();
        let means: Vec<Vec<f64>> = losses
            .iter()
            .map(|slot| {
                slot.iter().map(|own| f64::from(own.iter().sum::<f32>()) / own.len() as f64).collect()
            })
            .collect();
        let shown: Vec<Vec<bool>> = (0..self.slots_count)
            .map(|slot| {
                let mut row = vec![false; means[slot].len()];
                self.space.choices(slot).iter().for_each(|asset| row[usize::from(*asset)] = true);
                row
            })
            .collect();
        let mut list = Vec::with_capacity(effects.count());
        for (number, block) in
            effects.blocks.iter().enumerate().filter(|(_, block)| block.kind != Kind::Context)
        {
            for within in 0..block.count {
                let at = block.offset + within;
                let posterior = &effects.posteriors[at];
                let (a, b) = (within / block.stride, within % block.stride);
                if posterior.weights[0] <= 0.5 || !shown[block.first][a] {
                    continue;
                }
                let (loss, context) = match (block.kind, block.second) {
                    (Kind::Pair, Some(second)) if !shown[second][b] => continue,
                    (Kind::Pair, Some(second)) => (means[block.first][a].max(means[second][b]), None),
                    (Kind::InContext, _) => (f64::from(losses[block.first][a][b]), Some(b)),
                    _ => (means[block.first][a], None),
                };
                let loss = loss.max(0.0);
                let (chance, part) = posterior.above(loss);
                if part > 1e-12 {
                    let log = part.ln() - (1.0 - (-loss).exp() + PRICE_FLOOR).ln();
                    list.push(Promise {
                        at,
                        block: number,
                        context,
                        log,
                        value: (loss + part / chance) as f32,
                    });
                }
            }
        }
        list
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
    pub(super) fn settle(&mut self, effects: &Effects, stream: &mut Stream) {
        self.strongest.clear();
        for block in &effects.blocks {
            for at in block.offset..block.offset + block.count {
                let posterior = &effects.posteriors[at];
                let value = if posterior.weights[0] < 0.5 { posterior.mean } else { 0.0 };
                self.values[at] = match block.kind {
                    Kind::Asset => value + (TIE * stream.unit()) as f32,
                    _ => value,
                };
                if block.kind == Kind::Pair && value > 0.0 {
                    self.note(block, at - block.offset, value);
                }
            }
        }
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
        let own = self.values[self.assets[slot].offset + usize::from(asset)];
        let there = self.in_context.get(slot).map_or(0.0, |block| {
            self.values[block.offset + usize::from(asset) * self.contexts_count + context]
        });
        own + there
    }
    fn pair(&self, slot: usize, asset: u16, other: usize, other_asset: u16) -> f32 {
        let (a, b, first, second) =
            if slot < other { (slot, other, asset, other_asset) } else { (other, slot, other_asset, asset) };
        self.pairs[a][b].map_or(0.0, |block| self.values[block.at(first, second)])
    }
    fn score(&self, assets: &Assets, context: usize) -> f32 {
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
    fn climb(&self, assets: &mut Assets, context: usize, held: &[usize]) {
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
