//! Where effects stand: assets, pairs of assets, assets in a context, and what is believed of each.
//!
//! An effect's place depends on the slots' capacities alone, so that a new asset moves nothing. Refuses to learn; that is the
//! fit's.

use super::{
    evidence::Evidence,
    shrink::{Posterior, SLABS, Weights},
};
use crate::template::{Assets, Space};

/// Kinds of effects; each has a prior of its own that is learned from all of its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An asset by itself.
    Asset,
    /// Two assets that meet.
    Pair,
    /// The context by itself: no choice, but part of what is predicted.
    Context,
    /// An asset in a context.
    InContext,
}
impl Kind {
    /// All.
    pub const ALL: [Kind; 4] = [Kind::Asset, Kind::Pair, Kind::Context, Kind::InContext];
    /// Prior pseudo-counts of the point at zero and of the normals, for a kind with so many effects: some eight of them are
    /// expected to matter, whatever their number, and this counts as much as one effect that was found.
    pub(super) fn pseudo_counts(self, count: usize) -> Weights {
        let matter = match self {
            Kind::Asset | Kind::Pair | Kind::InContext => 8.0,
            Kind::Context => count as f64 * 0.75,
        };
        [(count as f64 / matter - 1.0).max(0.3), 0.1, 0.2, 0.3, 0.3, 0.1]
    }
}

/// Effects of one or two slots; the number of the slots is the context's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) first: usize,
    pub(super) second: Option<usize>,
    pub(super) offset: usize,
    /// Assets of `second`.
    pub(super) stride: usize,
    pub(super) count: usize,
}
impl Block {
    /// The effect of two digits (the second is not read where there is one slot).
    pub(super) fn at(&self, first: u16, second: u16) -> usize {
        match self.second {
            None => self.offset + usize::from(first),
            Some(_) => self.offset + usize::from(first) * self.stride + usize::from(second),
        }
    }
}

/// What is believed of every effect.
#[derive(Clone, Debug)]
pub struct Effects {
    pub(super) blocks: Vec<Block>,
    pub(super) posteriors: Vec<Posterior>,
    /// Log-odds of a version without any effect.
    pub(super) base: f64,
    /// Learned prior weights, by kind.
    pub(super) weights: [Weights; 4],
    pub(super) scale: f64,
    slots_count: usize,
    pub(super) capacities: Vec<usize>,
}

impl Effects {
    /// Nothing known. `interactions` without which only assets and contexts count.
    pub(super) fn new(space: &Space, base_rate: f64, scale: f64, interactions: bool) -> Effects {
        let slots_count = space.slots().len();
        let mut capacities: Vec<usize> =
            space.slots().iter().map(|slot| usize::from(slot.capacity)).collect();
        capacities.push(space.contexts_count());
        let mut blocks = Vec::new();
        let mut offset = 0;
        let mut push = |kind, first: usize, second: Option<usize>| {
            let stride = second.map_or(1, |b| capacities[b]);
            let count = capacities[first] * stride;
            blocks.push(Block { kind, first, second, offset, stride, count });
            offset += count;
        };
        (0..slots_count).for_each(|slot| push(Kind::Asset, slot, None));
        push(Kind::Context, slots_count, None);
        if interactions {
            (0..slots_count).for_each(|slot| push(Kind::InContext, slot, Some(slots_count)));
            for first in 0..slots_count {
                (first + 1..slots_count).for_each(|second| push(Kind::Pair, first, Some(second)));
            }
        }
        let normalised = |kind: Kind| {
            let count = blocks.iter().filter(|block| block.kind == kind).map(|block| block.count).sum();
            let pseudo = kind.pseudo_counts(count);
            let sum: f64 = pseudo.iter().sum();
            pseudo.map(|count| count / sum)
        };
        let weights = Kind::ALL.map(normalised);
        let mut posteriors = Vec::with_capacity(offset);
        for block in &blocks {
            let prior = Posterior::prior(&weights[block.kind as usize], scale);
            posteriors.extend(std::iter::repeat_n(prior, block.count));
        }
        let rate = base_rate.clamp(1e-6, 1.0 - 1e-6);
        let base = (rate / (1.0 - rate)).ln();
        Effects { blocks, posteriors, base, weights, scale, slots_count, capacities }
    }
    fn digit(&self, slot: usize, context: u16, assets: &Assets) -> u16 {
        if slot == self.slots_count { context } else { assets[slot] }
    }
    /// The effects that a version meets in a context, with their kind.
    pub(super) fn met<'a>(
        &'a self,
        context: u16,
        assets: &'a Assets,
    ) -> impl Iterator<Item = (&'a Block, usize)> + 'a {
        self.blocks.iter().map(move |block| {
            let first = self.digit(block.first, context, assets);
            let second = block.second.map_or(0, |b| self.digit(b, context, assets));
            (block, block.at(first, second))
        })
    }
    /// Expected log-odds of a version in a context.
    pub fn log_odds(&self, context: u16, assets: &Assets) -> f64 {
        self.base + self.met(context, assets).map(|(_, at)| f64::from(self.posteriors[at].mean)).sum::<f64>()
    }
    /// Expected log-odds in a context of a version without any effect.
    pub(super) fn level(&self, context: u16) -> f64 {
        let own = self.blocks.iter().filter(|block| block.kind == Kind::Context);
        self.base + own.map(|block| f64::from(self.posteriors[block.at(context, 0)].mean)).sum::<f64>()
    }
    /// Predicts every cell anew: takes away what rounding added up.
    pub(super) fn predict_all(&self, evidence: &mut Evidence) {
        let mut sums = vec![self.base as f32; evidence.odds.len()];
        for block in &self.blocks {
            let first = &evidence.digits[block.first];
            match block.second {
                None => {
                    for (sum, a) in sums.iter_mut().zip(first) {
                        *sum += self.posteriors[block.at(*a, 0)].mean;
                    }
                }
                Some(second) => {
                    for ((sum, a), b) in sums.iter_mut().zip(first).zip(&evidence.digits[second]) {
                        *sum += self.posteriors[block.at(*a, *b)].mean;
                    }
                }
            }
        }
        for (odds, sum) in evidence.odds.iter_mut().zip(sums) {
            *odds = sum.exp();
        }
    }
    /// How many effects there are.
    pub fn count(&self) -> usize {
        self.posteriors.len()
    }
    /// Mean number of effects that are not zero, by kind, in the order of [`Kind::ALL`].
    pub fn included(&self) -> [f64; 4] {
        let mut sums = [0.0; 4];
        for block in &self.blocks {
            let own = &self.posteriors[block.offset..block.offset + block.count];
            sums[block.kind as usize] += own.iter().map(Posterior::inclusion).sum::<f64>();
        }
        sums
    }
    /// Learned prior weights of a kind: of the point at zero, then of each normal.
    pub fn prior(&self, kind: Kind) -> [f64; SLABS + 1] {
        self.weights[kind as usize]
    }
    /// What is believed of an asset, (slot, asset), or of two that meet; the slot after the last is the context, and slots ascend.
    /// `None` where no such effect is learned.
    pub fn of(&self, first: (usize, usize), second: Option<(usize, usize)>) -> Option<&Posterior> {
        let block =
            self.blocks.iter().find(|b| b.first == first.0 && b.second == second.map(|(slot, _)| slot))?;
        let inside = first.1 < self.capacities[first.0]
            && second.is_none_or(|(slot, asset)| self.capacities.get(slot).is_some_and(|size| asset < *size));
        inside
            .then(|| &self.posteriors[block.at(first.1 as u16, second.map_or(0, |(_, asset)| asset as u16))])
    }
    /// Every effect that probably is one (more likely than not), the strongest first; contexts by themselves, which nobody chooses,
    /// are left out.
    pub fn found(&self) -> Vec<Found> {
        let mut list = Vec::new();
        for block in self.blocks.iter().filter(|block| block.kind != Kind::Context) {
            for within in 0..block.count {
                let posterior = self.posteriors[block.offset + within];
                if posterior.inclusion() > 0.5 {
                    let first = (block.first, within / block.stride);
                    let second = block.second.map(|slot| (slot, within % block.stride));
                    list.push(Found { kind: block.kind, first, second, posterior });
                }
            }
        }
        list.sort_by(|a, b| b.posterior.mean.abs().total_cmp(&a.posterior.mean.abs()));
        list
    }
}

/// An effect that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Slot and asset.
    pub first: (usize, usize),
    /// Another slot (or the context, the slot after the last) and its asset.
    pub second: Option<(usize, usize)>,
    /// What is believed.
    pub posterior: Posterior,
}
