//! Fitting anew from nothing, the strongest effect first: a way out where coordinate ascent is stuck.
//!
//! Ascent moves one effect at a time. Two wrong pairs that share an asset with the right one can explain what the right one
//! does, and while tables show all three assets together no single step leads out. So every so often the effects are chosen again:
//! the one with the highest posterior odds, all chosen ones solved again, the next (forward selection; Chipman, George and
//! McCulloch 2001, section 3, for the score: log-likelihood less the divergence from the prior). What comes of it replaces the fit
//! only where it scores higher. Refuses to choose what is shown.

use super::{
    effects::{Block, Effects, Kind},
    evidence::Evidence,
    fit::{self, Sums},
    shrink::{self, Posterior, SLABS, Seen, WIDTHS},
};

/// Effects chosen at most.
const CHOSEN_MAX: usize = 96;
/// Candidates whose posterior is computed, by likelihood, for each choice.
const CANDIDATES: usize = 24;
/// Choices after which base, contexts and sums are found again from all cells.
const BETWEEN_SUMS: usize = 8;
/// Rounds over what was chosen, and the base, after each choice.
const ROUNDS: usize = 8;
/// A chosen effect is solved again when it would move by more than this.
const MOVE: f32 = 0.02;

/// Fits anew and keeps the better of both; true where that is the new one.
pub(super) fn rebuild(effects: &mut Effects, evidence: &mut Evidence) -> bool {
    let before = score(effects, evidence);
    let odds = evidence.odds.clone();
    let mut new = effects.clone();
    choose(&mut new, evidence);
    (0..2).for_each(|_| fit::sweep(&mut new, evidence));
    if score(&new, evidence) > before + 1.0 {
        *effects = new;
        return true;
    }
    evidence.odds = odds;
    false
}

/// Chooses effects one after the other.
fn choose(effects: &mut Effects, evidence: &mut Evidence) {
    for block in &effects.blocks {
        let prior = Posterior::prior(&effects.weights[block.kind as usize], effects.scale);
        effects.posteriors[block.offset..block.offset + block.count].fill(prior);
    }
    let mut chosen: Vec<usize> = Vec::new();
    let mut sums = start(effects, evidence);
    while chosen.len() < CHOSEN_MAX {
        if chosen.len() % BETWEEN_SUMS == BETWEEN_SUMS - 1 {
            sums = start(effects, evidence);
        }
        let Some(next) = strongest(effects, &sums, &chosen) else { return };
        chosen.push(next);
        for _ in 0..ROUNDS {
            chosen.iter().rev().for_each(|at| solve(effects, evidence, &mut sums, *at));
            if level(effects, evidence, &mut sums).abs() < f64::from(MOVE) {
                break;
            }
        }
    }
}

/// Moves the base to as many successes as were seen, and odds and sums with it (which holds for rates well below 1; the sums are found
/// again from all cells before long). Returns by how much, log-odds.
fn level(effects: &mut Effects, evidence: &mut Evidence, sums: &mut Sums) -> f64 {
    let Some(first) = effects.blocks.first() else { return 0.0 };
    let own = sums[first.offset..first.offset + first.count].iter();
    let (reward, expected) =
        own.fold((0.0, 0.0), |sum, [_, reward, expected]| (sum.0 + reward, sum.1 + expected));
    if reward <= 0.0 || expected <= 0.0 {
        return 0.0;
    }
    let factor = reward / expected;
    effects.base += factor.ln();
    evidence.odds.iter_mut().for_each(|odds| *odds *= factor as f32);
    sums.iter_mut().for_each(|sum| sum[2] *= factor);
    factor.ln()
}

/// Base, contexts, and the sums of every effect as things stand.
fn start(effects: &mut Effects, evidence: &mut Evidence) -> Sums {
    effects.predict_all(evidence);
    fit::base(effects, evidence);
    let contexts: Vec<Block> = effects.blocks.iter().filter(|b| b.kind == Kind::Context).copied().collect();
    contexts.iter().for_each(|block| fit::block(effects, block, evidence));
    fit::base(effects, evidence);
    let mut sums = Vec::with_capacity(effects.count());
    effects.blocks.iter().for_each(|block| sums.extend(fit::add_up(block, evidence)));
    sums
}

/// The effect not chosen yet whose posterior odds of being one are highest, and above even.
fn strongest(effects: &Effects, sums: &Sums, chosen: &[usize]) -> Option<usize> {
    let mut list: Vec<(f64, usize, usize)> = Vec::with_capacity(sums.len());
    for (number, block) in effects.blocks.iter().enumerate().filter(|(_, b)| b.kind != Kind::Context) {
        for (at, [trials, reward, expected]) in
            sums.iter().copied().enumerate().skip(block.offset).take(block.count)
        {
            if trials <= 0.0 || expected <= 0.0 {
                continue;
            }
            let explained = if reward > 0.0 { reward * (reward / expected).ln() } else { 0.0 };
            list.push((explained - reward + expected, at, number));
        }
    }
    list.retain(|(_, at, _)| !chosen.contains(at));
    let count = CANDIDATES.min(list.len());
    if count == 0 {
        return None;
    }
    list.select_nth_unstable_by(count - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let odds = |(_, at, number): &(f64, usize, usize)| {
        let block = &effects.blocks[*number];
        let [trials, reward, expected] = sums[*at];
        let weights = &effects.weights[block.kind as usize];
        let posterior = shrink::posterior(Seen { trials, reward, expected }, weights, effects.scale);
        // In floats the chance of zero vanishes; what was explained tells the strong ones apart.
        (posterior.weights[0] < 0.5)
            .then(|| shrink::log_odds(Seen { trials, reward, expected }, weights, effects.scale))
    };
    let each = list[..count].iter().filter_map(|item| odds(item).map(|odds| (odds, item.1)));
    each.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, at)| at)
}

/// Solves one effect with everything else held, and carries the change to the cells and to all sums.
fn solve(effects: &mut Effects, evidence: &mut Evidence, sums: &mut Sums, at: usize) {
    let number = effects.blocks.partition_point(|block| block.offset + block.count <= at);
    let block = effects.blocks[number];
    let before = effects.posteriors[at].mean;
    let posterior = fit::solve_one(sums[at], before, &effects.weights[block.kind as usize], effects.scale);
    let change = posterior.mean - before;
    if change.abs() < MOVE {
        return;
    }
    effects.posteriors[at] = posterior;
    let within = at - block.offset;
    let (a, b) = ((within / block.stride) as u16, (within % block.stride) as u16);
    let factor = change.exp();
    for cell in 0..evidence.odds.len() {
        let met = evidence.digits[block.first][cell] == a
            && block.second.is_none_or(|second| evidence.digits[second][cell] == b);
        if !met {
            continue;
        }
        let old = evidence.odds[cell];
        let new = old * factor;
        evidence.odds[cell] = new;
        let more = f64::from(evidence.trials[cell] * (new / (1.0 + new) - old / (1.0 + old)));
        for other in &effects.blocks {
            let first = evidence.digits[other.first][cell];
            let second = other.second.map_or(0, |second| evidence.digits[second][cell]);
            sums[other.at(first, second)][2] += more;
        }
    }
}

/// Log-likelihood at the means, less the divergence of what is believed from the prior.
fn score(effects: &Effects, evidence: &Evidence) -> f64 {
    let mut sum = 0.0;
    for ((trials, reward), odds) in evidence.trials.iter().zip(&evidence.reward).zip(&evidence.odds) {
        sum += f64::from(*reward) * f64::from(*odds).ln() - f64::from(*trials) * f64::from(*odds).ln_1p();
    }
    for block in &effects.blocks {
        let weights = &effects.weights[block.kind as usize];
        for posterior in &effects.posteriors[block.offset..block.offset + block.count] {
            sum -= divergence(posterior, weights, effects.scale);
        }
    }
    sum
}

fn divergence(posterior: &Posterior, weights: &[f64; SLABS + 1], scale: f64) -> f64 {
    let ratio =
        |q: f32, w: f64| if q > 0.0 { f64::from(q) * (f64::from(q) / w.max(1e-12)).ln() } else { 0.0 };
    let mut sum = ratio(posterior.weights[0], weights[0]);
    for slab in 0..SLABS {
        let (q, width) = (posterior.weights[slab + 1], WIDTHS[slab] * scale);
        let (centre, deviation) = (f64::from(posterior.centre[slab]), f64::from(posterior.deviation[slab]));
        let normal =
            (width / deviation).ln() + 0.5 * ((deviation.powi(2) + centre.powi(2)) / width.powi(2) - 1.0);
        sum += ratio(q, weights[slab + 1]) + f64::from(q) * normal;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{SLOTS_COUNT_MAX, Slot, Space};
    /// Three slots of twenty; the first assets of the first two slots together have twice the odds.
    fn seen(space: &Space) -> Evidence {
        let mut evidence = Evidence::new(3, 16_384);
        for code in 0..8_000u32 {
            let mut assets = [0; SLOTS_COUNT_MAX];
            (assets[0], assets[1], assets[2]) =
                ((code / 400) as u16, (code / 20 % 20) as u16, (code % 20) as u16);
            // The table shows one version nearly always; the others a little.
            let trials = if code == 0 { 400_000.0 } else { 150.0 };
            let rate = if assets[0] == 0 && assets[1] == 0 { 0.04 } else { 0.02 };
            let cell = evidence.cell(0, space.encode(&assets), &assets, || 0.02);
            evidence.add(cell, trials, trials * rate);
        }
        evidence
    }
    #[test]
    fn two_wrong_pairs_give_way_to_the_right_one() {
        let slot = || Slot { capacity: 20, active: vec![true; 20] };
        let space = Space::new(vec![slot(), slot(), slot()], 1, Vec::new()).unwrap();
        let mut evidence = seen(&space);
        let mut effects = Effects::new(&space, 0.02, 1.0, true);
        // Half of it on each of the pairs with the third slot's first asset.
        for (first, second) in [(0, 2), (1, 2)] {
            let block =
                *effects.blocks.iter().find(|b| b.first == first && b.second == Some(second)).unwrap();
            effects.posteriors[block.offset].mean = 0.36;
        }
        effects.predict_all(&mut evidence);
        let mut stuck = (effects.clone(), evidence.clone());
        (0..20).for_each(|_| fit::sweep(&mut stuck.0, &mut stuck.1));
        let of = |effects: &Effects, a, b| effects.of((a, 0), Some((b, 0))).unwrap().mean;
        assert!(of(&stuck.0, 0, 1) < 0.3, "ascent alone stays where it is: {}", of(&stuck.0, 0, 1));
        assert!(rebuild(&mut stuck.0, &mut stuck.1));
        let [right, wrong, other] = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| of(&stuck.0, a, b));
        assert!(
            (right - 0.71).abs() < 0.06 && wrong.abs() < 0.06 && other.abs() < 0.06,
            "{right} {wrong} {other}"
        );
        assert!(!rebuild(&mut stuck.0, &mut stuck.1), "what is right stays");
    }
}
