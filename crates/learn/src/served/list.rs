//! The table of an ad set's versions in the running program: from what was seen of them, in their contexts, under its guardrails.
//!
//! The posterior and the draws are those of [`crate::uploaded`]: versions around their ad, ads around all, both by empirical Bayes; of
//! versions never shown one door for each ad. A version in a context is shrunk toward what was seen of it elsewhere, as tightly as
//! contexts agree (empirical Bayes over the ad set). Draws that would cost more than the advertiser's cap make way for the best, and a
//! guardrail moves the rest to control until what is expected of the whole holds it. Refuses a table without exploration.

use super::{Counts, SetSeen, rates::tightest};
use crate::{
    stream::Stream,
    uploaded::{Settings, Uploaded},
};
use regie_model::{
    AdId, VersionId,
    booking::{LearningContext, LearningGoal, LearningSpec},
};
use std::collections::BTreeMap;

/// Posterior draws of a table.
const DRAWS_COUNT: u16 = 64;
/// The part of what may explore that is drawn by booked weights: the rest is for posterior draws that are not the best known.
const FLOOR_PART: u32 = 5;
/// Least share drawn by booked weights, parts per million.
const FLOOR_PPM_MIN: u32 = 1_000;
/// New versions of one ad among which a table's doors are.
const DOORS_COUNT_MAX: usize = 64;
/// Successes that a prior from other ad sets is worth at most.
const SUCCESSES_ELSEWHERE: f64 = 1_000.0;

/// A version that may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Which ad.
    pub ad: AdId,
    /// Which version.
    pub version: VersionId,
    /// Number of its shape: where one shape fits, only versions of it compete, so that each shape has draws of its own.
    pub shape: u32,
}

/// A version in a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Won {
    /// Which.
    pub of: Offered,
    /// Draws it won.
    pub draws_count: u16,
    /// Its expected rate in this context.
    pub rate: f64,
    /// Standard deviation of that.
    pub deviation: f64,
    /// Impressions that were seen of it (in all contexts).
    pub impressions_count: u32,
}

/// A context's part of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Winners; the most frequent first.
    pub winners: Vec<Won>,
    /// Expected rate of what is shown, exploring included.
    pub expected: f64,
    /// The best expected rate.
    pub best: f64,
    /// Draws that made way for a cheaper version: the cap of exploring, or the guardrail.
    pub moved_count: u16,
}
impl Part {
    /// What exploring costs: the part of the best expected reward that is given away.
    pub fn price(&self) -> f64 {
        if self.best > 0.0 { (1.0 - self.expected / self.best).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Share of impressions drawn by booked weights, parts per million.
    pub explore_ppm: u32,
    /// By number of the context.
    pub parts: Vec<Part>,
}

/// What a table is made for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// As booked.
    pub spec: &'a LearningSpec,
    /// Rate expected before anything was seen, from other ad sets.
    pub base_rate: f64,
    /// Source of chance.
    pub seed: u64,
}

/// Trials and reward of counts toward a goal; value counts by spend where something was spent.
pub fn outcome(seen: &SetSeen, goal: LearningGoal, counts: &Counts) -> (f64, f64) {
    let impressions = f64::from(counts.impressions_count);
    let trials = match goal {
        LearningGoal::Value => {
            let total = seen.total();
            let mean = total.spend_nanos as f64 / f64::from(total.impressions_count.max(1));
            if mean > 0.0 { counts.spend_nanos as f64 / mean } else { impressions }
        }
        _ => impressions,
    };
    (trials, counts.reward(goal, seen.largest_micros).min(trials))
}

struct Listed {
    of: Offered,
    offered: bool,
    whole: (f64, f64),
    impressions_count: u32,
}

/// Makes the next table of what may be shown.
pub fn table(seen: Option<&SetSeen>, offered: &[Offered], wanted: Wanted<'_>) -> Table {
    let explore_ppm = (wanted.spec.explore_ppm / FLOOR_PART).max(FLOOR_PPM_MIN);
    let listed = listed(seen, offered, wanted);
    let contexts_count = wanted.spec.context.count();
    let tight = seen.map_or(f64::INFINITY, |seen| tightness(seen, &listed, wanted.spec));
    let parts = (0..contexts_count).map(|number| {
        let here = seen.map(|seen| in_context(seen, &listed, wanted.spec, number, tight));
        match here {
            // Nothing was seen of this context: the part of the whole.
            Some(None) if number > 0 => None,
            Some(Some(counts)) => Some(part(&listed, &counts, wanted, explore_ppm, number)),
            _ => Some(part(
                &listed,
                &listed.iter().map(|l| l.whole).collect::<Vec<_>>(),
                wanted,
                explore_ppm,
                0,
            )),
        }
    });
    let parts: Vec<Option<Part>> = parts.collect();
    let whole = || part(&listed, &listed.iter().map(|l| l.whole).collect::<Vec<_>>(), wanted, explore_ppm, 0);
    let missing = parts.iter().any(Option::is_none).then(whole);
    let parts = parts.into_iter().map(|part| part.or_else(|| missing.clone()).unwrap_or_default());
    Table { explore_ppm, parts: parts.collect() }
}

/// Everything seen, whether or not it may still be shown, and some of what never was.
fn listed(seen: Option<&SetSeen>, offered: &[Offered], wanted: Wanted<'_>) -> Vec<Listed> {
    let mut known: BTreeMap<(AdId, VersionId), Listed> = BTreeMap::new();
    for seen in seen.into_iter() {
        let mut sums: BTreeMap<(AdId, VersionId), Counts> = BTreeMap::new();
        for (ad, version, counts) in seen.versions() {
            // A template stands as one.
            let version = version.template_code().map_or(version, |_| VersionId::of_template(0));
            sums.entry((ad, version)).or_default().add(counts);
        }
        for ((ad, version), counts) in sums {
            let whole = outcome(seen, wanted.spec.goal, &counts);
            let impressions_count = counts.impressions_count;
            let of = Offered { ad, version, shape: u32::MAX };
            known.insert((ad, version), Listed { of, offered: false, whole, impressions_count });
        }
    }
    let mut unseen: BTreeMap<AdId, Vec<Offered>> = BTreeMap::new();
    for of in offered {
        match known.get_mut(&(of.ad, of.version)) {
            Some(listed) => {
                listed.offered = true;
                listed.of.shape = of.shape;
            }
            None => unseen.entry(of.ad).or_default().push(*of),
        }
    }
    let mut list: Vec<Listed> = known.into_values().collect();
    let mut stream = Stream::new(wanted.seed, 0x646f_6f72);
    for (_, doors) in unseen {
        for _ in 0..doors.len().min(DOORS_COUNT_MAX) {
            let of = doors[stream.below(doors.len() as u64) as usize];
            list.push(Listed { of, offered: true, whole: (0.0, 0.0), impressions_count: 0 });
        }
    }
    list
}

fn cell(seen: &SetSeen, of: Offered, context: LearningContext, number: usize) -> Counts {
    let key = |version| super::CellKey { ad: of.ad, version, context, number: number as u16 };
    if of.version.template_code().is_none() {
        return seen.cells.get(&key(of.version)).copied().unwrap_or_default();
    }
    let mut sum = Counts::default();
    let all = seen.cells.iter().filter(|(k, _)| {
        k.ad == of.ad
            && k.version.template_code().is_some()
            && k.context == context
            && usize::from(k.number) == number
    });
    all.for_each(|(_, counts)| sum.add(counts));
    sum
}

/// How tightly versions keep to their rate elsewhere, in expected successes; infinite where there is one context only.
fn tightness(seen: &SetSeen, listed: &[Listed], spec: &LearningSpec) -> f64 {
    if spec.context == LearningContext::None {
        return f64::INFINITY;
    }
    let rows =
        listed.iter().filter(|l| l.whole.1 > 0.0 && l.of.version.template_code().is_none()).flat_map(|l| {
            (0..spec.context.count()).map(move |number| {
                let (n, k) = outcome(seen, spec.goal, &cell(seen, l.of, spec.context, number));
                (k, n * l.whole.1 / l.whole.0)
            })
        });
    tightest(rows)
}

/// Trials and reward in a context, with as much of what was seen elsewhere as contexts agree; `None` where nothing was seen here.
fn in_context(
    seen: &SetSeen,
    listed: &[Listed],
    spec: &LearningSpec,
    number: usize,
    tight: f64,
) -> Option<Vec<(f64, f64)>> {
    if spec.context == LearningContext::None {
        return Some(listed.iter().map(|l| l.whole).collect());
    }
    let mut any = false;
    let counts = listed.iter().map(|l| {
        let (n, k) = outcome(seen, spec.goal, &cell(seen, l.of, spec.context, number));
        any |= n > 0.0;
        let (others_n, others_k) = ((l.whole.0 - n).max(0.0), (l.whole.1 - k).max(0.0));
        // As many trials elsewhere as make `tight` successes.
        let part = if others_k > 0.0 { (tight / others_k).min(1.0) } else { 1.0 };
        (n + part * others_n, k + part * others_k)
    });
    let counts: Vec<(f64, f64)> = counts.collect();
    any.then_some(counts)
}

fn part(
    listed: &[Listed],
    counts: &[(f64, f64)],
    wanted: Wanted<'_>,
    explore_ppm: u32,
    number: usize,
) -> Part {
    let mut ads: Vec<AdId> = listed.iter().map(|l| l.of.ad).collect();
    ads.sort_unstable();
    ads.dedup();
    let group = |l: &Listed| ads.binary_search(&l.of.ad).unwrap_or_default() as u32;
    let groups: Vec<u32> = listed.iter().map(group).collect();
    let settings = Settings {
        draws_count: DRAWS_COUNT,
        explore_ppm,
        base_rate: wanted.base_rate.clamp(1e-7, 0.5),
        leader_share: 0.25,
    };
    let mut learner = Uploaded::new(&groups, settings);
    for (at, (l, (trials, reward))) in (0u32..).zip(listed.iter().zip(counts)) {
        learner.set_active(at, l.offered);
        if *trials > 0.0 {
            learner.observe(at, *trials, *reward);
        }
    }
    let expected = learner.expected();
    let mut shapes: Vec<u32> = listed.iter().filter(|l| l.offered).map(|l| l.of.shape).collect();
    shapes.sort_unstable();
    shapes.dedup();
    let mut whole = Part::default();
    let mut weights = 0.0;
    for shape in shapes {
        let here = |l: &Listed| l.offered && l.of.shape == shape;
        for (at, l) in (0u32..).zip(listed) {
            learner.set_active(at, here(l));
        }
        let seed = wanted.seed.wrapping_add(number as u64).wrapping_add(u64::from(shape) << 16);
        let own: Vec<usize> = (0..listed.len()).filter(|at| here(&listed[*at])).collect();
        let drawn = learner.allocate(seed).winners;
        let draws = drawn.iter().map(|share| (share.version as usize, share.won)).collect();
        let part = of_shape(listed, &own, &expected, draws, wanted, explore_ppm);
        // As often as the shape was shown; a little where it never was.
        let weight = 1.0 + own.iter().map(|at| f64::from(listed[*at].impressions_count)).sum::<f64>();
        whole.winners.extend(part.winners);
        whole.expected += weight * part.expected;
        whole.best += weight * part.best;
        whole.moved_count += part.moved_count;
        weights += weight;
    }
    whole.expected /= f64::max(weights, 1.0);
    whole.best /= f64::max(weights, 1.0);
    whole.winners.sort_by_key(|won| (std::cmp::Reverse(won.draws_count), won.of.ad, won.of.version));
    whole
}

/// The draws of one shape, within the cap of exploring and the guardrail.
fn of_shape(
    listed: &[Listed],
    offered: &[usize],
    expected: &[(f64, f64)],
    mut draws: Vec<(usize, u16)>,
    wanted: Wanted<'_>,
    explore_ppm: u32,
) -> Part {
    let best = offered.iter().copied().max_by(|a, b| expected[*a].0.total_cmp(&expected[*b].0));
    let even = offered.iter().map(|at| expected[*at].0).sum::<f64>() / offered.len().max(1) as f64;
    let explore = f64::from(explore_ppm) / 1e6;
    let whole = |draws: &[(usize, u16)]| {
        let sum: f64 = draws.iter().map(|(at, won)| f64::from(*won) * expected[*at].0).sum();
        let count: f64 = draws.iter().map(|(_, won)| f64::from(*won)).sum();
        explore * even + (1.0 - explore) * sum / count.max(1.0)
    };
    let mut moved_count = 0;
    if let Some(best) = best {
        let cap = 1.0 - f64::from(wanted.spec.explore_ppm) / 1e6;
        moved_count += give_way(&mut draws, best, expected, |draws| whole(draws) >= cap * expected[best].0);
    }
    let guardrail = wanted.spec.guardrail;
    let control = guardrail.and_then(|g| listed.iter().position(|l| l.offered && l.of.version == g.control));
    if let (Some(guardrail), Some(control)) = (guardrail, control) {
        let least = f64::from(guardrail.least_ppm) / 1e6 * expected[control].0;
        let sure = best.filter(|best| sure_above(expected[*best], least));
        // Control itself where it fits here; of another shape, the best that does.
        let own = Some(control).filter(|control| offered.contains(control)).or(best);
        if let Some(own) = own {
            // Every winner that may well be below the promise makes way first, then the dearest until the whole keeps it.
            let risky: Vec<usize> =
                draws.iter().map(|d| d.0).filter(|at| below(expected[*at], least)).collect();
            for at in risky.into_iter().filter(|at| *at != own) {
                moved_count += move_all(&mut draws, at, sure.unwrap_or(own));
            }
            moved_count += give_way(&mut draws, own, expected, |draws| whole(draws) >= least);
        }
    }
    let expected_whole = whole(&draws);
    draws.retain(|(_, won)| *won > 0);
    let winner = |(at, won): &(usize, u16)| Won {
        of: listed[*at].of,
        draws_count: *won,
        rate: expected[*at].0,
        deviation: expected[*at].1,
        impressions_count: listed[*at].impressions_count,
    };
    Part {
        winners: draws.iter().map(winner).collect(),
        expected: expected_whole,
        best: best.map_or(0.0, |best| expected[best].0),
        moved_count,
    }
}

fn sure_above(rate: (f64, f64), least: f64) -> bool {
    rate.0 - 1.645 * rate.1 >= least
}
/// More likely than not below, and by more than luck.
fn below(rate: (f64, f64), least: f64) -> bool {
    rate.0 + 1.645 * rate.1 < least
}
fn move_all(draws: &mut Vec<(usize, u16)>, from: usize, to: usize) -> u16 {
    let Some(at) = draws.iter().position(|d| d.0 == from) else { return 0 };
    let won = std::mem::take(&mut draws[at].1);
    match draws.iter_mut().find(|d| d.0 == to) {
        Some(target) => target.1 += won,
        None => draws.push((to, won)),
    }
    won
}
/// Moves draws one by one from the lowest expected rate to `to` until `holds`; how many.
fn give_way(
    draws: &mut Vec<(usize, u16)>,
    to: usize,
    expected: &[(f64, f64)],
    holds: impl Fn(&[(usize, u16)]) -> bool,
) -> u16 {
    let mut moved = 0;
    while !holds(draws) {
        let others = draws.iter().enumerate().filter(|(_, d)| d.0 != to && d.1 > 0);
        let worst = others.min_by(|a, b| expected[a.1.0].0.total_cmp(&expected[b.1.0].0)).map(|(at, _)| at);
        let Some(worst) = worst else { break };
        draws[worst].1 -= 1;
        match draws.iter_mut().find(|d| d.0 == to) {
            Some(target) => target.1 += 1,
            None => draws.push((to, 1)),
        }
        moved += 1;
    }
    moved
}

/// The rate expected before anything was seen of an ad set: that of the others, at most as sure as a few hundred successes.
pub fn prior_rate<'a>(others: impl Iterator<Item = &'a SetSeen>, goal: LearningGoal, fallback: f64) -> f64 {
    let (mut trials, mut reward) = (0.0, 0.0);
    for seen in others {
        let (n, k) = outcome(seen, goal, &seen.total());
        let part = if k > 0.0 { (SUCCESSES_ELSEWHERE / k).min(1.0) } else { 1.0 };
        trials += part * n;
        reward += part * k;
    }
    (reward + 1.0) / (trials + 1.0 / fallback.clamp(1e-6, 0.5))
}
