//! Which versions to try: what was not found yet, as long as finding it would be worth what trying costs.
//!
//! An effect that was not found promises the expected part of it above what showing its assets loses (expected improvement: Jones,
//! Schonlau and Welch 1998, section 4). Found, it would bring that for as long again as was looked so far; each showing does its part of
//! finding it. So one showing is worth [`WORTH`] x successes so far x the promise, and a version is tried where the sum over all it tests is
//! above what it loses. A version tests all of its pairs at once: the one that leads brings others along. Promises fall as
//! versions of the same table test them, so that a table spreads. Refuses to look at outcomes, or to draw at random.

use super::{
    draws::Draw,
    effects::{Effects, Kind},
};
use crate::template::{Assets, Space};
use std::collections::BinaryHeap;

/// What showing an effect once is worth, by its promise and by the successes so far: some ten successes tell whether it is one, and
/// what is found pays for as long again as was looked so far.
const WORTH: f64 = 0.1;
/// What a version gives up at most to test one more effect beside its lead, log-odds.
const COMPANION_MAX: f32 = 0.03;
/// What is left of a promise after a version of the same table tests it, ...
const TESTED: f32 = 0.7;
/// ... and after a version around it was not worth its loss.
const REFUSED: f32 = 0.9;
/// Leads looked at for one version.
const TRIES: usize = 4;
/// A found effect that loses less than this is shown anyway.
const SHOWN: f32 = 1e-3;
/// A lead's value while the rest of its version is chosen.
const LEAD: f32 = 8.0;
/// Parts of a log-odds in a heap's keys.
const KEY: f64 = 1e6;

/// What is left to find, while one table is made.
pub(super) struct Probes<'a> {
    space: &'a Space,
    effects: &'a Effects,
    /// What is known, without anything else.
    known: &'a Draw<'a>,
    /// What is known, and what testing is worth on top.
    hoped: Draw<'a>,
    /// The best known version of each context, and its score.
    best: Vec<(Assets, f32)>,
    /// Worth of showing each effect once, log-odds.
    worth: Vec<f32>,
    /// What the assets of each effect lose.
    loss: Vec<f32>,
    /// Effects of every context, then those of each; the most worth beyond its loss first.
    leads: Vec<BinaryHeap<(i64, u32)>>,
}

impl<'a> Probes<'a> {
    /// `known` has settled on what was found.
    pub(super) fn new(
        space: &'a Space,
        effects: &'a Effects,
        known: &'a Draw<'a>,
        successes: f64,
    ) -> Probes<'a> {
        let contexts_count = space.contexts_count();
        let best: Vec<(Assets, f32)> = (0..contexts_count)
            .map(|context| {
                let assets = known.best(context);
                (assets, known.score(&assets, context))
            })
            .collect();
        let mut probes = Probes {
            space,
            effects,
            known,
            hoped: known.clone(),
            best,
            worth: vec![0.0; effects.count()],
            loss: vec![0.0; effects.count()],
            leads: vec![BinaryHeap::new(); contexts_count + 1],
        };
        probes.value(successes);
        probes
    }
    fn value(&mut self, successes: f64) {
        let contexts_count = self.best.len();
        let singles = self.singles();
        let worth_in_all = WORTH * successes;
        for block in self.effects.blocks.iter().filter(|block| block.kind != Kind::Context) {
            let mut keys = Vec::new();
            for within in 0..block.count {
                let at = block.offset + within;
                let (a, b) = ((within / block.stride) as u16, (within % block.stride) as u16);
                let shown = |slot: usize, asset: u16| self.space.choices(slot).binary_search(&asset).is_ok();
                if !shown(block.first, a) {
                    continue;
                }
                let (loss, worth, list) = match (block.kind, block.second) {
                    (Kind::InContext, _) => {
                        let context = usize::from(b);
                        (
                            singles[context][block.first][usize::from(a)],
                            worth_in_all / contexts_count as f64,
                            context + 1,
                        )
                    }
                    (Kind::Pair, Some(second)) => {
                        if !shown(second, b) {
                            continue;
                        }
                        let each = (0..contexts_count).map(|context| {
                            let own = &singles[context];
                            let best = &self.best[context].0;
                            let (s, t) = (block.first, second);
                            let pair = |x: u16, y: u16| self.known.pair(s, x, t, y);
                            let apart = own[s][usize::from(a)] + own[t][usize::from(b)];
                            let twice =
                                pair(best[s], best[t]) - pair(a, best[t]) - pair(best[s], b) + pair(a, b);
                            (apart - twice).max(0.0)
                        });
                        (each.sum::<f32>() / contexts_count as f32, worth_in_all, 0)
                    }
                    _ => {
                        let each = singles.iter().map(|own| own[block.first][usize::from(a)]);
                        (each.sum::<f32>() / contexts_count as f32, worth_in_all, 0)
                    }
                };
                let loss = loss.max(0.0);
                let posterior = &self.effects.posteriors[at];
                let found = posterior.weights[0] < 0.5;
                if found && loss < SHOWN {
                    continue;
                }
                let least = f64::from(loss + if found { posterior.mean } else { 0.0 });
                let worth = worth * posterior.above(least).1;
                self.worth[at] = worth as f32;
                self.loss[at] = loss;
                self.hoped.values[at] += (worth as f32).min(COMPANION_MAX);
                if worth > 1e-7 {
                    keys.push((list, (self.key(at), at as u32)));
                }
            }
            keys.into_iter().for_each(|(list, key)| self.leads[list].push(key));
        }
    }
    /// What the best version of each context loses where one asset takes the place of its own: by context, slot, asset.
    fn singles(&self) -> Vec<Vec<Vec<f32>>> {
        let of = |(context, (best, height)): (usize, &(Assets, f32))| {
            let slot = |(slot, own): (usize, &crate::template::Slot)| {
                let loss = |asset: u16| {
                    let mut other = *best;
                    other[slot] = asset;
                    height - self.known.score(&other, context)
                };
                (0..own.capacity).map(loss).collect()
            };
            self.space.slots().iter().enumerate().map(slot).collect()
        };
        self.best.iter().enumerate().map(of).collect()
    }
    fn key(&self, at: usize) -> i64 {
        let (worth, loss) = (f64::from(self.worth[at]), f64::from(self.loss[at]));
        ((worth - loss) * KEY) as i64
    }
    /// The list's next lead, with keys brought up to date.
    fn lead(&mut self, list: usize) -> Option<(i64, u32)> {
        loop {
            let (key, at) = *self.leads[list].peek()?;
            let now = self.key(at as usize);
            if now >= key {
                return Some((key, at));
            }
            self.leads[list].pop();
            self.leads[list].push((now, at));
        }
    }
    /// The next version to try in a context; none where nothing is worth its loss.
    pub(super) fn next(&mut self, context: usize) -> Option<Assets> {
        for _ in 0..TRIES {
            let (everywhere, here) = (self.lead(0), self.lead(context + 1));
            let list = if here > everywhere { context + 1 } else { 0 };
            let (_, at) = self.leads[list].pop()?;
            let at = at as usize;
            let tried = self.try_lead(at, context);
            if let Some((assets, worth)) = tried {
                if worth > 0.0 {
                    self.spread(context, &assets);
                    let key = self.key(at);
                    self.leads[list].push((key, at as u32));
                    return Some(assets);
                }
                // Worth it perhaps in another context.
                if list == 0 {
                    self.worth[at] *= REFUSED;
                    let key = self.key(at);
                    self.leads[list].push((key, at as u32));
                }
            }
        }
        None
    }
    /// A version around a lead, and what it is worth beyond its loss.
    fn try_lead(&mut self, at: usize, context: usize) -> Option<(Assets, f32)> {
        let number = self.effects.blocks.partition_point(|block| block.offset + block.count <= at);
        let block = self.effects.blocks[number];
        let within = at - block.offset;
        let (best, height) = self.best[context];
        let mut assets = best;
        let mut held = vec![block.first];
        assets[block.first] = (within / block.stride) as u16;
        if let (Kind::Pair, Some(second)) = (block.kind, block.second) {
            assets[second] = (within % block.stride) as u16;
            held.push(second);
        }
        if !self.space.holds(&assets) {
            return None;
        }
        let before = self.hoped.values[at];
        self.hoped.values[at] = before + LEAD;
        self.hoped.climb(&mut assets, context, &held);
        self.hoped.values[at] = before;
        let loss = height - self.known.score(&assets, context);
        let met = self.effects.met(context as u16, &assets);
        let worth: f32 = met.map(|(_, at)| self.worth[at]).sum();
        Some((assets, worth - (1.0 - (-loss.max(0.0)).exp())))
    }
    /// What a version tests is worth less to the versions after it.
    fn spread(&mut self, context: usize, assets: &Assets) {
        for (_, at) in self.effects.met(context as u16, assets) {
            let before = self.worth[at];
            self.worth[at] = before * TESTED;
            self.hoped.values[at] += self.worth[at].min(COMPANION_MAX) - before.min(COMPANION_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{factor::shrink::Posterior, template::Slot};
    fn space() -> Space {
        let slot = |capacity| Slot { capacity, active: vec![true; usize::from(capacity)] };
        Space::new(vec![slot(6), slot(8), slot(4)], 2, Vec::new()).unwrap()
    }
    /// The second asset of the first slot is known to add this.
    fn effects(space: &Space, known: f32) -> Effects {
        let mut effects = Effects::new(space, 0.02, 1.0, true);
        let found =
            Posterior { weights: [0.0, 0.0, 0.0, 1.0, 0.0, 0.0], mean: known, ..effects.posteriors[1] };
        effects.posteriors[1] = Posterior { centre: [known; 5], deviation: [0.01; 5], ..found };
        effects
    }
    fn tried(known: f32, successes: f64, count: usize) -> Vec<Assets> {
        let space = space();
        let effects = effects(&space, known);
        let mut draw = Draw::new(&space, &effects);
        draw.settle(&effects);
        let mut probes = Probes::new(&space, &effects, &draw, successes);
        (0..count).map_while(|number| probes.next(number % 2)).collect()
    }
    #[test]
    fn what_costs_nothing_is_tried_before_what_is_dear() {
        let few = tried(0.5, 20.0, 64);
        assert!(!few.is_empty() && few.iter().all(|assets| assets[0] == 1), "the known asset stays at first");
        let many = tried(0.5, 20_000.0, 64);
        assert!(many.iter().any(|assets| assets[0] != 1), "later its rivals' pairs are worth their loss");
        assert!(tried(0.5, 0.0, 8).is_empty(), "nothing is worth anything before the first success");
    }
    #[test]
    fn a_table_spreads_over_all_pairs_that_cost_nothing() {
        let list = tried(0.5, 20.0, 64);
        let mut pairs: Vec<(u16, u16)> = list.iter().map(|assets| (assets[1], assets[2])).collect();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), 32, "all of 8 x 4 in 64 versions");
    }
}
