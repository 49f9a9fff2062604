//! The hidden truth of a template: a log-odds for every version in every context, its best and its mean.
//!
//! log-odds = base + effects of assets + effects of pairs, the context being one more slot (the last). Best and mean are
//! exact: versions that no effect tells apart are counted, not listed. Refuses to approximate them.

use super::{BASE_RATE, CONTEXTS_COUNT, Family, Form, source};
use crate::Random;

/// One asset, or the meeting of two, that matters. The slot after the last is the context.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Slot and asset.
    pub first: (usize, usize),
    /// Another slot and asset, of a higher slot; none for an asset alone.
    pub second: Option<(usize, usize)>,
    /// Added to the log-odds where they meet.
    pub log_odds: f64,
}

/// A truth that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TruthError {
    /// An effect names a slot or an asset that is not there, or its slots are out of order.
    #[error(
        "effect {index}: slots must be ascending and below {slots_count}, assets below their slot's size"
    )]
    Effect {
        /// Which effect.
        index: usize,
        /// Slots, the context included.
        slots_count: usize,
    },
    /// Too few slots, or an empty one.
    #[error("a truth needs at least one slot and no empty one")]
    Sizes,
}

/// Best and mean success rate over the versions that can be shown, per context.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Of the best version.
    pub best: Vec<f64>,
    /// Of a version drawn evenly.
    pub mean: Vec<f64>,
}
impl Standing {
    /// Mean over contexts that come equally often: (uniform, best).
    pub fn over_contexts(&self) -> (f64, f64) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        (mean(&self.mean), mean(&self.best))
    }
}

/// What decides who succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Assets per slot, then the number of contexts.
    sizes: Vec<usize>,
    base: f64,
    /// The sparse families' effects.
    effects: Vec<Effect>,
    /// The dense family's: for each pair of slots (a, b), a <= b, one value for each pair of assets.
    dense: Vec<Vec<f32>>,
}

/// The sparse families' truths are drawn until the best over the mean lies here.
const RATIO: std::ops::RangeInclusive<f64> = 3.0..=8.0;

impl Truth {
    /// Draws the truth of a campaign.
    pub fn draw(family: Family, form: Form, seed: u64) -> Truth {
        let mut random = source(family, seed, 1);
        let mut sizes = form.sizes().to_vec();
        sizes.push(CONTEXTS_COUNT);
        let mut truth = Truth {
            sizes,
            base: (BASE_RATE / (1.0 - BASE_RATE)).ln(),
            effects: Vec::new(),
            dense: Vec::new(),
        };
        match family {
            Family::Null => {}
            Family::Dense => truth.fill(&mut random),
            _ => truth.draw_effects(family, &mut random, 0),
        }
        truth
    }
    /// A truth from given effects: for campaigns that somebody else made up.
    ///
    /// # Errors
    /// When the effects do not fit the sizes (the context's included, as the last).
    pub fn from_effects(
        sizes: Vec<usize>,
        base_rate: f64,
        effects: Vec<Effect>,
    ) -> Result<Truth, TruthError> {
        if sizes.len() < 2 || sizes.contains(&0) {
            return Err(TruthError::Sizes);
        }
        let fits = |(slot, asset): (usize, usize)| sizes.get(slot).is_some_and(|size| asset < *size);
        for (index, effect) in effects.iter().enumerate() {
            let ascending = effect.second.is_none_or(|second| second.0 > effect.first.0 && fits(second));
            if !fits(effect.first) || !ascending {
                return Err(TruthError::Effect { index, slots_count: sizes.len() });
            }
        }
        let rate = base_rate.clamp(1e-6, 1.0 - 1e-6);
        Ok(Truth { sizes, base: (rate / (1.0 - rate)).ln(), effects, dense: Vec::new() })
    }
    /// The same truth with 30% of its effects drawn again (5 of 16), of the same kinds.
    pub fn redrawn(&self, family: Family, seed: u64) -> Truth {
        let mut random = source(family, seed, 2);
        let mut truth = self.clone();
        let count = (self.effects.len() * 3 + 5) / 10;
        // The first `count` of a random order make way; what is drawn anew comes after those that stay, kind by kind.
        for at in 0..count {
            let other = at + (random.unit() * (truth.effects.len() - at) as f64) as usize;
            truth.effects.swap(at, other);
        }
        let gone: Vec<Effect> = truth.effects.drain(..count).collect();
        let kept = truth.effects.clone();
        loop {
            truth.effects.clone_from(&kept);
            for old in &gone {
                let kind = truth.kind(old);
                let new = truth.draw_effect(family, kind, &mut random);
                truth.effects.push(new);
            }
            if truth.is_accepted() {
                return truth;
            }
        }
    }
    fn kind(&self, effect: &Effect) -> usize {
        match effect.second {
            None => 0,
            Some((slot, _)) if slot + 1 < self.sizes.len() => 1,
            Some(_) => 2,
        }
    }
    fn draw_effects(&mut self, family: Family, random: &mut Random, kept: usize) {
        loop {
            self.effects.truncate(kept);
            for (kind, count) in family.kinds().into_iter().enumerate() {
                for _ in 0..count {
                    let effect = self.draw_effect(family, kind, random);
                    self.effects.push(effect);
                }
            }
            if self.is_accepted() {
                return;
            }
        }
    }
    /// One effect of a kind on features that have none yet: slots evenly, assets evenly.
    fn draw_effect(&self, family: Family, kind: usize, random: &mut Random) -> Effect {
        let slots_count = self.sizes.len() - 1;
        let mut below = |count: usize| ((random.unit() * count as f64) as usize).min(count - 1);
        loop {
            let a = below(slots_count);
            let b = match kind {
                0 => None,
                1 => Some((a + 1 + below(slots_count - 1)) % slots_count),
                _ => Some(slots_count),
            };
            let (a, b) = b.map_or((a, None), |b| (a.min(b), Some(a.max(b))));
            let first = (a, below(self.sizes[a]));
            let second = b.map(|b| (b, below(self.sizes[b])));
            if self.effects.iter().all(|e| (e.first, e.second) != (first, second)) {
                let log_odds = family.size(random);
                return Effect { first, second, log_odds };
            }
        }
    }
    fn is_accepted(&self) -> bool {
        let (mean, best) = self.standing(None).over_contexts();
        RATIO.contains(&(best / mean))
    }
    fn fill(&mut self, random: &mut Random) {
        let count = self.sizes.len();
        for a in 0..count {
            for b in a..count {
                let (cells, scale) = if a == b {
                    (self.sizes[a], if a + 1 == count { 0.0 } else { 0.25 })
                } else {
                    (self.sizes[a] * self.sizes[b], 0.06)
                };
                self.dense.push((0..cells).map(|_| (scale * random.normal()) as f32).collect());
            }
        }
    }

    /// Assets of each slot.
    pub fn slots(&self) -> &[usize] {
        &self.sizes[..self.sizes.len() - 1]
    }
    /// How many contexts there are.
    pub fn contexts_count(&self) -> usize {
        self.sizes.last().copied().unwrap_or(1)
    }
    /// The effects of a sparse truth.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }
    /// Chance that a version succeeds in a context. `assets` has one for each slot.
    pub fn rate(&self, context: usize, assets: &[u16]) -> f64 {
        let value = |slot: usize| assets.get(slot).map_or(context, |asset| usize::from(*asset));
        let mut sum = self.base;
        for effect in &self.effects {
            let met = |(slot, asset): (usize, usize)| value(slot) == asset;
            if met(effect.first) && effect.second.is_none_or(met) {
                sum += effect.log_odds;
            }
        }
        if !self.dense.is_empty() {
            let count = self.sizes.len();
            let mut block = 0;
            for a in 0..count {
                sum += f64::from(self.dense[block][value(a)]);
                block += 1;
                for b in a + 1..count {
                    sum += f64::from(self.dense[block][value(a) * self.sizes[b] + value(b)]);
                    block += 1;
                }
            }
        }
        1.0 / (1.0 + (-sum).exp())
    }

    /// Best and mean over what can be shown (`available[slot][asset]`; everything where none is given).
    pub fn standing(&self, available: Option<&[Vec<bool>]>) -> Standing {
        let slots_count = self.sizes.len() - 1;
        let open = |slot: usize, asset: usize| {
            available.and_then(|a| a.get(slot)).is_none_or(|row| row.get(asset).copied().unwrap_or(false))
        };
        let mentioned = |slot: usize, asset: usize| {
            !self.dense.is_empty()
                || self.effects.iter().any(|e| e.first == (slot, asset) || e.second == Some((slot, asset)))
        };
        // For each slot the assets that differ, each once, and one that stands for all others, with their number.
        let choices: Vec<Vec<(u16, f64)>> = (0..slots_count)
            .map(|slot| {
                let all = (0..self.sizes[slot]).filter(|asset| open(slot, *asset));
                let (apart, alike): (Vec<usize>, Vec<usize>) = all.partition(|asset| mentioned(slot, *asset));
                let mut list: Vec<(u16, f64)> = apart.iter().map(|asset| (*asset as u16, 1.0)).collect();
                list.extend(alike.first().map(|asset| (*asset as u16, alike.len() as f64)));
                list
            })
            .collect();
        let mut standing = Standing { best: Vec::new(), mean: Vec::new() };
        for context in 0..self.contexts_count() {
            let mut walk = Walk { truth: self, choices: &choices, context, best: 0.0, sum: 0.0, weight: 0.0 };
            walk.step(&mut Vec::with_capacity(slots_count), 1.0);
            standing.best.push(walk.best);
            standing.mean.push(if walk.weight > 0.0 { walk.sum / walk.weight } else { 0.0 });
        }
        standing
    }
}

/// Walks all combinations that differ.
struct Walk<'a> {
    truth: &'a Truth,
    choices: &'a [Vec<(u16, f64)>],
    context: usize,
    best: f64,
    sum: f64,
    weight: f64,
}
impl Walk<'_> {
    fn step(&mut self, assets: &mut Vec<u16>, weight: f64) {
        let Some(choices) = self.choices.get(assets.len()) else {
            let rate = self.truth.rate(self.context, assets);
            self.best = self.best.max(rate);
            self.sum += weight * rate;
            self.weight += weight;
            return;
        };
        for (asset, count) in choices {
            assets.push(*asset);
            self.step(assets, weight * count);
            assets.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_and_mean_are_those_of_a_full_list() {
        let effects = vec![
            Effect { first: (0, 1), second: None, log_odds: 0.7 },
            Effect { first: (0, 2), second: Some((1, 3)), log_odds: 1.4 },
            Effect { first: (1, 0), second: Some((2, 1)), log_odds: -0.9 },
        ];
        let truth = Truth::from_effects(vec![4, 5, 2], 0.02, effects).unwrap();
        let standing = truth.standing(None);
        for context in 0..2 {
            let rates: Vec<f64> = (0..20).map(|n| truth.rate(context, &[n / 5, n % 5])).collect();
            assert!((standing.mean[context] - rates.iter().sum::<f64>() / 20.0).abs() < 1e-12);
            assert_eq!(standing.best[context], rates.iter().copied().fold(0.0, f64::max));
        }
        let without = vec![vec![true, true, false, true], vec![true; 5]];
        assert!(truth.standing(Some(&without)).best[0] < standing.best[0]);
    }
    #[test]
    fn families_keep_their_promise() {
        for family in [Family::Sparse, Family::Mains, Family::Pairs, Family::Heavy, Family::Strong] {
            let truth = Truth::draw(family, Form::Small, 1);
            assert_eq!(truth.effects().len(), 16);
            let kinds = [0, 1, 2].map(|k| truth.effects().iter().filter(|e| truth.kind(e) == k).count());
            assert_eq!(kinds, family.kinds());
            let (mean, best) = truth.standing(None).over_contexts();
            assert!(RATIO.contains(&(best / mean)), "{mean} {best}");
            assert_eq!(truth, Truth::draw(family, Form::Small, 1));
            let later = truth.redrawn(family, 1);
            let same = later.effects().iter().filter(|e| truth.effects().contains(e)).count();
            assert_eq!((same, later.effects().len()), (11, 16));
        }
        let (mean, best) = Truth::draw(Family::Null, Form::Large, 1).standing(None).over_contexts();
        assert!((mean - BASE_RATE).abs() < 1e-9 && (best - BASE_RATE).abs() < 1e-9);
    }
    #[test]
    fn effects_that_do_not_fit_are_refused() {
        let effect = |first, second| vec![Effect { first, second, log_odds: 1.0 }];
        assert!(Truth::from_effects(vec![2, 2], 0.1, effect((0, 2), None)).is_err());
        assert!(Truth::from_effects(vec![2, 2], 0.1, effect((1, 0), Some((0, 0)))).is_err());
        assert!(Truth::from_effects(vec![2, 0], 0.1, Vec::new()).is_err());
        assert!(Truth::from_effects(vec![2, 2], 0.1, effect((0, 0), Some((1, 1)))).is_ok());
    }
}
