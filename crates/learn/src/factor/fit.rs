//! Fitting the effects to what was seen: coordinate ascent, a block at a time.
//!
//! The effects of one slot (or of one pair of slots) share no showing, so that all of a block are solved at once, each exactly,
//! with everything else held at its mean: iterative proportional fitting (Deming and Stephan 1940) with shrinkage, a mean-field
//! approximation (Carbonetto and Stephens 2012 for spike and slab). Two passes over the cells for each block, no matrix. Starts from
//! the last fit, so that one sweep after new outcomes is enough. Refuses to choose what is shown.

use super::{
    effects::{Block, Effects, Kind},
    evidence::Evidence,
    shrink::{self, Posterior, Seen, Weights},
};

/// What one block's effects saw: trials, reward, expected successes as things stand.
pub(super) type Sums = Vec<[f64; 3]>;

/// One sweep over all blocks, then one step of learning the priors.
pub(super) fn sweep(effects: &mut Effects, evidence: &mut Evidence) {
    base(effects, evidence);
    for index in 0..effects.blocks.len() {
        let one = effects.blocks[index];
        block(effects, &one, evidence);
    }
    learn_priors(effects);
}

/// Solves a block, and carries the change to the cells.
pub(super) fn block(effects: &mut Effects, block: &Block, evidence: &mut Evidence) {
    let sums = add_up(block, evidence);
    let factors = solve(effects, block, &sums);
    apply(block, evidence, &factors);
}

/// The base rate: one step of Newton's method towards as many successes as were seen.
pub(super) fn base(effects: &mut Effects, evidence: &mut Evidence) {
    let (mut reward, mut expected, mut curvature) = (0.0, 0.0, 1.0);
    for ((trials, seen), odds) in evidence.trials.iter().zip(&evidence.reward).zip(&evidence.odds) {
        let rate = f64::from(odds / (1.0 + odds));
        reward += f64::from(*seen);
        expected += f64::from(*trials) * rate;
        curvature += f64::from(*trials) * rate * (1.0 - rate);
    }
    let step = ((reward - expected) / curvature).clamp(-1.0, 1.0);
    effects.base += step;
    let factor = step.exp() as f32;
    evidence.odds.iter_mut().for_each(|odds| *odds *= factor);
}

pub(super) fn add_up(block: &Block, evidence: &Evidence) -> Sums {
    let mut sums = vec![[0.0; 3]; block.count];
    let cells = evidence.trials.iter().zip(&evidence.reward).zip(&evidence.odds);
    let mut add = |at: usize, trials: f32, reward: f32, odds: f32| {
        let sum = &mut sums[at];
        sum[0] += f64::from(trials);
        sum[1] += f64::from(reward);
        sum[2] += f64::from(trials * odds / (1.0 + odds));
    };
    let first = &evidence.digits[block.first];
    match block.second {
        None => {
            for (((trials, reward), odds), a) in cells.zip(first) {
                add(usize::from(*a), *trials, *reward, *odds);
            }
        }
        Some(second) => {
            for ((((trials, reward), odds), a), b) in cells.zip(first).zip(&evidence.digits[second]) {
                add(usize::from(*a) * block.stride + usize::from(*b), *trials, *reward, *odds);
            }
        }
    }
    sums
}

/// Solves a block; returns by what each effect's odds change.
fn solve(effects: &mut Effects, block: &Block, sums: &Sums) -> Vec<f32> {
    let weights = effects.weights[block.kind as usize];
    let own = &mut effects.posteriors[block.offset..block.offset + block.count];
    let each = own.iter_mut().zip(sums).map(|(posterior, sums)| {
        let before = posterior.mean;
        *posterior = solve_one(*sums, before, &weights, effects.scale);
        (posterior.mean - before).exp()
    });
    each.collect()
}

/// One effect's posterior, with everything else held. `before` is its mean as the sums know it.
pub(super) fn solve_one(
    [trials, reward, expected]: [f64; 3],
    before: f32,
    weights: &Weights,
    scale: f64,
) -> Posterior {
    // Expected successes without this effect: the mean odds, divided by its own factor.
    let without = if trials > 0.0 {
        let rate = (expected / trials).clamp(1e-9, 1.0 - 1e-9);
        let odds = rate / (1.0 - rate) * f64::from(-before).exp();
        trials * odds / (1.0 + odds)
    } else {
        0.0
    };
    shrink::posterior(Seen { trials, reward, expected: without }, weights, scale)
}

fn apply(block: &Block, evidence: &mut Evidence, factors: &[f32]) {
    let first = &evidence.digits[block.first];
    match block.second {
        None => {
            for (odds, a) in evidence.odds.iter_mut().zip(first) {
                *odds *= factors[usize::from(*a)];
            }
        }
        Some(second) => {
            for ((odds, a), b) in evidence.odds.iter_mut().zip(first).zip(&evidence.digits[second]) {
                *odds *= factors[usize::from(*a) * block.stride + usize::from(*b)];
            }
        }
    }
}

/// Learns each kind's prior from all of its effects.
fn learn_priors(effects: &mut Effects) {
    for kind in Kind::ALL {
        let own = effects.blocks.iter().filter(|block| block.kind == kind);
        let all = own.flat_map(|block| &effects.posteriors[block.offset..block.offset + block.count]);
        let before = effects.weights[kind as usize];
        let posteriors: Vec<&shrink::Posterior> = all.collect();
        effects.weights[kind as usize] =
            shrink::learn_weights(&posteriors, &before, &kind.pseudo_counts(posteriors.len()));
    }
}
