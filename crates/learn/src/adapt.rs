//! Adapting: money to the better return, losers paused by a rule, proposals for a person to approve.
//!
//! Pure functions from what was seen to what should be done, each step with its reason; who calls them journals both. Nothing moves beyond
//! the limits that the advertiser sets, nothing is paused before it had its least exposure, nothing new is shown unasked.
//! Refuses to act, and refuses money other than integer micros.

use crate::{
    factor::Learner,
    template::{Assets, Code, SLOTS_COUNT_MAX},
};
use std::collections::BTreeMap;

/// A budget that may move: an ad set, or an ad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The caller's number of it.
    pub id: u32,
    /// Its budget, micros.
    pub budget_micros: i64,
    /// What the advertiser wants it to keep at least, micros.
    pub least_micros: i64,
    /// What it may have at most, micros.
    pub most_micros: i64,
    /// Spent in the latest period, micros: the return at the margin is that of the latest money.
    pub spent_micros: i64,
    /// What that brought, in units of the objective (clicks, conversions, value).
    pub gained: f64,
}
impl Line {
    /// Gain for a micro, and its standard deviation (counts: the root of what was gained, at least of one).
    fn rate(&self) -> Option<(f64, f64)> {
        let spent = self.spent_micros as f64;
        (self.spent_micros > 0).then(|| (self.gained / spent, self.gained.max(1.0).sqrt() / spent))
    }
}

/// How money moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveRule {
    /// Part of a budget that one step may move, parts per million.
    pub step_ppm: u32,
    /// How sure it has to be that the other return is better.
    pub sure: f64,
}

/// Money that should move, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// From which line.
    pub from: u32,
    /// To which.
    pub to: u32,
    /// How much, micros; above zero.
    pub micros: i64,
    /// Gains for a million micros, there and here.
    pub returns: (f64, f64),
    /// Probability that the line it goes to brings more.
    pub probability: f64,
}

/// Moves for one period: from the worst return to the best, pair by pair, while it is sure and the limits leave room.
/// The sum of all budgets stays the same, to the micro.
pub fn moves(lines: &[Line], rule: MoveRule) -> Vec<Move> {
    let mut known: Vec<(Line, f64, f64)> =
        lines.iter().filter_map(|line| line.rate().map(|(mean, sd)| (*line, mean, sd))).collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.id.cmp(&b.0.id)));
    let (mut low, mut high) = (0, known.len().saturating_sub(1));
    let mut list = Vec::new();
    while low < high {
        let ((from, worse, from_sd), (to, better, to_sd)) = (known[low], known[high]);
        let probability = normal_cdf((better - worse) / from_sd.hypot(to_sd));
        if probability < rule.sure {
            break;
        }
        let step = i64::try_from(i128::from(from.budget_micros) * i128::from(rule.step_ppm) / 1_000_000)
            .unwrap_or(0);
        let gives = step.min(from.budget_micros.saturating_sub(from.least_micros)).max(0);
        let takes = to.most_micros.saturating_sub(to.budget_micros).max(0);
        let micros = gives.min(takes);
        if micros > 0 {
            let returns = (worse * 1e6, better * 1e6);
            list.push(Move { from: from.id, to: to.id, micros, returns, probability });
        }
        low += 1;
        high -= 1;
    }
    list
}

/// What was seen of one version or element, for the rule that pauses losers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    /// The caller's number of it.
    pub id: u32,
    /// Showings.
    pub trials: f64,
    /// Expected success rate and its standard deviation.
    pub rate: (f64, f64),
}

/// A loser, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    /// Which.
    pub id: u32,
    /// Probability that it is within the tolerance of the best, or better.
    pub probability: f64,
    /// The best's expected rate, and its own.
    pub rates: (f64, f64),
}

/// Those that had their least exposure and are, but for this probability, worse than the best by more than a tolerance (a part of the
/// best's rate). The best itself is never paused.
pub fn losers(
    contenders: &[Contender],
    least_trials: f64,
    probability_max: f64,
    tolerance: f64,
) -> Vec<Pause> {
    let shown = contenders.iter().filter(|c| c.trials >= least_trials);
    let Some(best) = shown.clone().max_by(|a, b| a.rate.0.total_cmp(&b.rate.0)) else { return Vec::new() };
    let judged = shown.filter(|c| c.id != best.id).map(|c| {
        let gap = c.rate.0 - best.rate.0 * (1.0 - tolerance);
        let probability = normal_cdf(gap / c.rate.1.hypot(best.rate.1).max(1e-12));
        Pause { id: c.id, probability, rates: (best.rate.0, c.rate.0) }
    });
    judged.filter(|pause| pause.probability <= probability_max).collect()
}

/// A version to propose.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Which.
    pub code: Code,
    /// Its assets.
    pub assets: Assets,
    /// Expected success rate, mean over contexts.
    pub rate: f64,
    /// In how many contexts it is the best known.
    pub contexts_count: usize,
}

/// "What next": the best known version of each context and all versions one asset away, by expected rate over all contexts, at most
/// `count`. A person approves them.
pub fn proposals(learner: &Learner, count: usize) -> Vec<Proposal> {
    let space = learner.space();
    let contexts = space.contexts_count();
    let mut best_in: BTreeMap<Code, usize> = BTreeMap::new();
    for assets in learner.best() {
        *best_in.entry(space.encode(&assets)).or_default() += 1;
    }
    let mut all: BTreeMap<Code, Assets> = BTreeMap::new();
    for assets in best_in.keys().filter_map(|code| space.decode(*code)) {
        for slot in 0..space.slots().len().min(SLOTS_COUNT_MAX) {
            for asset in space.choices(slot) {
                let mut near = assets;
                near[slot] = *asset;
                if space.holds(&near) {
                    all.insert(space.encode(&near), near);
                }
            }
        }
    }
    let proposal = |(code, assets): (Code, Assets)| {
        let sum: f64 = (0..contexts).map(|context| learner.expected_rate(context, &assets)).sum();
        let contexts_count = best_in.get(&code).copied().unwrap_or(0);
        Proposal { code, assets, rate: sum / contexts as f64, contexts_count }
    };
    let mut list: Vec<Proposal> = all.into_iter().map(proposal).collect();
    list.sort_by(|a, b| b.rate.total_cmp(&a.rate).then(a.code.cmp(&b.code)));
    list.truncate(count);
    list
}

fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        factor::Settings,
        template::{Slot, Space},
    };

    fn line(id: u32, gained: f64) -> Line {
        Line {
            id,
            budget_micros: 100_000_000,
            least_micros: 40_000_000,
            most_micros: 150_000_000,
            spent_micros: 10_000_000,
            gained,
        }
    }
    const RULE: MoveRule = MoveRule { step_ppm: 200_000, sure: 0.95 };

    #[test]
    fn money_goes_to_the_better_return_within_limits() {
        let list = moves(&[line(1, 100.0), line(2, 400.0), line(3, 210.0), line(4, 200.0)], RULE);
        assert_eq!(list.len(), 1, "3 and 4 cannot be told apart");
        assert_eq!((list[0].from, list[0].to, list[0].micros), (1, 2, 20_000_000));
        assert!(list[0].probability > 0.999 && list[0].returns.0 < list[0].returns.1);
        let poor = Line { budget_micros: 45_000_000, ..line(1, 100.0) };
        assert_eq!(moves(&[poor, line(2, 400.0)], RULE)[0].micros, 5_000_000, "it keeps its least");
        let full = Line { budget_micros: 150_000_000, ..line(2, 400.0) };
        assert_eq!(moves(&[line(1, 100.0), full], RULE), Vec::new(), "it has its most");
        let unspent = Line { spent_micros: 0, ..line(3, 0.0) };
        assert_eq!(moves(&[unspent, line(2, 400.0)], RULE), Vec::new(), "nothing is known of it");
    }
    #[test]
    fn losers_are_paused_only_after_their_exposure_and_when_sure() {
        let contender =
            |id, trials, rate: f64| Contender { id, trials, rate: (rate, (rate / trials).sqrt()) };
        let list = [
            contender(1, 50_000.0, 0.04),
            contender(2, 50_000.0, 0.02),
            contender(3, 200.0, 0.0001),
            contender(4, 50_000.0, 0.039),
        ];
        let paused = losers(&list, 1_000.0, 0.01, 0.05);
        assert_eq!(paused.iter().map(|p| p.id).collect::<Vec<_>>(), [2]);
        assert!(losers(&list[..1], 1_000.0, 0.01, 0.05).is_empty(), "the best is never paused");
    }
    #[test]
    fn proposals_recombine_what_was_found() {
        let slots =
            vec![Slot { capacity: 4, active: vec![true; 4] }, Slot { capacity: 3, active: vec![true; 3] }];
        let mut learner = Learner::new(Space::new(slots, 1, Vec::new()).unwrap(), Settings::default());
        for code in 0..12u32 {
            let assets = learner.space().decode(Code(code)).unwrap();
            let rate = 0.02 * if assets[0] == 2 { 2.0 } else { 1.0 } * if assets[1] == 1 { 1.7 } else { 1.0 };
            // The two best were never shown together.
            if assets[..2] != [2, 1] {
                learner.observe(0, Code(code), 20_000.0, (20_000.0 * rate) as f32);
            }
        }
        (0..10).for_each(|_| learner.fit());
        let list = proposals(&learner, 3);
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].assets[0], list[0].assets[1], list[0].contexts_count), (2, 1, 1));
        assert!(list[0].rate > list[1].rate);
    }
}
