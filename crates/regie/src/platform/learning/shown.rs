//! What people see of the learner: estimates, shares and reasons, for pages and the interface. Figures, and the words for why.
//!
//! Intervals are confidence sequences by betting on a version's own outcomes, valid at every look and under any allocation that does
//! not look ahead. Refuses to list millions: versions that were shown and those that win, at most [`VERSIONS_COUNT_MAX`].

use super::{Platform, State, is_whole, lock, stands_for, template::TemplateLearner};
use regie_decide::{Snapshot, learned::TemplateFacts};
use regie_learn::{
    experiment::report::{ALPHA, rate_interval},
    infer::{Interval, bayes, betting::Sequence, many},
    served::{Counts, SetSeen, list, progress::Progress},
    template::Code,
};
use regie_model::{
    AdId, AdSetId, VersionId,
    booking::{Element, LearningGoal, LearningSpec, TemplateSpec},
};
use std::collections::BTreeMap;

/// Versions listed at most.
pub const VERSIONS_COUNT_MAX: usize = 200;
/// Versions among which the best is judged.
const RIVALS_COUNT_MAX: usize = 24;
/// Combinations of a template listed.
const CODES_COUNT_MAX: usize = 12;
/// Proposals for a person.
const PROPOSALS_COUNT: usize = 5;

/// A version with everything known of it.
#[derive(Clone, Debug)]
pub struct VersionShown {
    /// Its ad.
    pub ad: AdId,
    /// Which; of a template as a whole, the version of its code 0.
    pub version: VersionId,
    /// What was counted.
    pub counts: Counts,
    /// Its part of what is shown now, exploring included.
    pub share: f64,
    /// Draws it won, of how many (in the context shown most).
    pub won: (u32, u32),
    /// Expected rate and its standard deviation, shrunk; `None` where it is not in the table.
    pub expected: Option<(f64, f64)>,
    /// Its own rate: what was seen.
    pub rate: f64,
    /// Confidence sequence of its own rate, 95% at every look; `None` for value.
    pub interval: Option<Interval>,
    /// Probability to be the best of those listed first.
    pub best: Option<f64>,
    /// Expected loss if it is chosen.
    pub loss: Option<f64>,
    /// Evidence that it is better than control could be; `None` for control.
    pub e_value: Option<f64>,
    /// Among the discoveries at a false discovery rate of 5% (e-BH).
    pub discovered: bool,
    /// May still be shown.
    pub offered: bool,
    /// Its share, in words.
    pub why: String,
}

/// One element of a template.
#[derive(Clone, Debug)]
pub struct ElementShown {
    /// Which.
    pub element: Element,
    /// Its slot and what stands there.
    pub words: String,
    /// No longer shown.
    pub retired: bool,
    /// What was counted of all versions with it.
    pub counts: Counts,
    /// The part of the impressions that would have it now.
    pub share: f64,
    /// Its effect by itself: what it multiplies the odds of a success by, with the 95% range of what is believed.
    pub odds: (f64, f64, f64),
}

/// A combination.
#[derive(Clone, Debug)]
pub struct CodeShown {
    /// Which.
    pub code: u32,
    /// Its assets, by slot.
    pub assets: Vec<u16>,
    /// Expected rate.
    pub rate: f64,
    /// Its exact probability now.
    pub share: f64,
    /// Draws it won, of how many.
    pub won: (u32, u32),
}

/// A template.
#[derive(Clone, Debug)]
pub struct TemplateShown {
    /// Of which ad.
    pub ad: AdId,
    /// As approved.
    pub spec: TemplateSpec,
    /// Its elements, slot by slot.
    pub elements: Vec<ElementShown>,
    /// The combinations shown most now (in the context shown most).
    pub codes: Vec<CodeShown>,
    /// "What next": combinations expected to be best, for a person to approve.
    pub proposals: Vec<CodeShown>,
    /// Different combinations that were shown.
    pub tried_count: usize,
    /// How many could be.
    pub combinations_count: u64,
    /// Expected rate of what is shown now, and of the best combination known (in the context shown most).
    pub expected: (f64, f64),
    /// The part of the best expected reward given away.
    pub price: f64,
    /// How often a change of taste was noticed.
    pub changes_count: u32,
}

/// An ad set that learns.
#[derive(Clone, Debug)]
pub struct SetShown {
    /// Which.
    pub ad_set: AdSetId,
    /// As booked.
    pub spec: LearningSpec,
    /// All of it together.
    pub total: Counts,
    /// Expected rate of what is shown now, and of the best version, in the context shown most.
    pub expected: (f64, f64),
    /// What exploring costs: the part of the best expected reward given away, mean over contexts by impressions.
    pub price: f64,
    /// Share of impressions drawn by booked weights.
    pub explore: f64,
    /// Draws that made way for the cap of exploring or the guardrail.
    pub moved_count: u32,
    /// Versions.
    pub versions: Vec<VersionShown>,
    /// Versions that may be shown and never were.
    pub untried_count: usize,
    /// Templates.
    pub templates: Vec<TemplateShown>,
    /// How it went.
    pub progress: Progress,
}

/// One table for all contexts: the parts with how much of the impressions each has.
fn weights(seen: Option<&SetSeen>, spec: &LearningSpec) -> Vec<f64> {
    let mut weights = vec![0.0; spec.context.count()];
    for (key, counts) in seen.iter().flat_map(|seen| &seen.cells) {
        if key.context == spec.context
            && let Some(weight) = weights.get_mut(usize::from(key.number))
        {
            *weight += f64::from(counts.impressions_count);
        }
    }
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        weights[0] = 1.0;
        return weights;
    }
    weights.into_iter().map(|weight| weight / sum).collect()
}
fn largest(weights: &[f64]) -> usize {
    let best = weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(at, _)| at)
}

impl Platform {
    /// What is known of an ad set that learns; `None` where it does not.
    pub fn learning_of(&self, ad_set: AdSetId) -> Option<SetShown> {
        let view = self.current_view();
        let seen = lock(&self.folds).served.set(ad_set).cloned();
        let state = lock(&self.learning.state);
        state.shown(ad_set, seen, &view.snapshot)
    }
    /// Ad sets that learn now.
    pub fn learning_sets(&self) -> Vec<AdSetId> {
        lock(&self.learning.state).sets.keys().copied().collect()
    }
}

impl State {
    fn shown(&self, ad_set: AdSetId, seen: Option<SetSeen>, snapshot: &Snapshot) -> Option<SetShown> {
        let made = self.sets.get(&ad_set)?;
        let spec = &made.spec;
        let by_context = weights(seen.as_ref(), spec);
        let main = largest(&by_context);
        let part = made.table.parts.get(main)?;
        let price =
            made.table.parts.iter().zip(&by_context).map(|(part, weight)| weight * part.price()).sum();
        let versions = self.versions(made, seen.as_ref(), snapshot, ad_set, &by_context, main);
        let offered_count = super::offered_count(snapshot, ad_set);
        let tried = versions.iter().filter(|v| v.offered && v.counts.impressions_count > 0).count();
        let templates = self.templates.values().filter(|learner| learner.ad_set() == ad_set);
        let templates = templates.filter_map(|learner| {
            let facts = snapshot.template(ad_set, learner.ad())?;
            Some(template_shown(learner, facts, seen.as_ref()))
        });
        Some(SetShown {
            ad_set,
            spec: spec.clone(),
            total: seen.as_ref().map(SetSeen::total).unwrap_or_default(),
            expected: (part.expected, part.best),
            price,
            explore: f64::from(made.table.explore_ppm) / 1e6,
            moved_count: made.table.parts.iter().map(|part| u32::from(part.moved_count)).sum(),
            untried_count: offered_count.saturating_sub(tried),
            versions,
            templates: templates.collect(),
            progress: seen.map(|seen| seen.progress).unwrap_or_default(),
        })
    }
    fn versions(
        &self,
        made: &super::Made,
        seen: Option<&SetSeen>,
        snapshot: &Snapshot,
        ad_set: AdSetId,
        by_context: &[f64],
        main: usize,
    ) -> Vec<VersionShown> {
        let offered = snapshot.offered_of(ad_set);
        let offered_count = super::offered_count(snapshot, ad_set);
        let part = &made.table.parts[main];
        let draws = |part: &list::Part| part.winners.iter().map(|w| u32::from(w.draws_count)).sum::<u32>();
        let mut counts: BTreeMap<(AdId, VersionId), Counts> = BTreeMap::new();
        for (ad, version, own) in seen.iter().flat_map(|seen| seen.versions()) {
            counts.entry((ad, stands_for(version))).or_default().add(own);
        }
        for won in made.table.parts.iter().flat_map(|part| &part.winners) {
            counts.entry((won.of.ad, won.of.version)).or_default();
        }
        let is_offered = |(ad, version): &(AdId, VersionId)| {
            offered.iter().any(|(of, _, versions)| of == ad && versions.binary_search(version).is_ok())
        };
        let explore = f64::from(made.table.explore_ppm) / 1e6;
        let mut versions: Vec<VersionShown> = Vec::new();
        for (key, counts) in counts {
            let won_in = |part: &list::Part| {
                part.winners
                    .iter()
                    .find(|w| (w.of.ad, w.of.version) == key)
                    .map_or(0, |w| u32::from(w.draws_count))
            };
            let shares = made.table.parts.iter().zip(by_context).filter(|(_, weight)| **weight > 0.0);
            let drawn: f64 = shares
                .map(|(part, weight)| weight * f64::from(won_in(part)) / f64::from(draws(part).max(1)))
                .sum();
            let offers = is_offered(&key);
            let floor = if offers { 1.0 / offered_count.max(1) as f64 } else { 0.0 };
            let expected =
                part.winners.iter().find(|w| (w.of.ad, w.of.version) == key).map(|w| (w.rate, w.deviation));
            let (trials, reward) =
                seen.map_or((0.0, 0.0), |seen| list::outcome(seen, made.spec.goal, &counts));
            versions.push(VersionShown {
                ad: key.0,
                version: key.1,
                counts,
                share: if offers { explore * floor + (1.0 - explore) * drawn } else { 0.0 },
                won: (won_in(part), draws(part)),
                expected,
                rate: if trials > 0.0 { reward / trials } else { 0.0 },
                interval: None,
                best: None,
                loss: None,
                e_value: None,
                discovered: false,
                offered: offers,
                why: String::new(),
            });
        }
        versions.sort_by(|a, b| {
            b.share.total_cmp(&a.share).then(b.counts.impressions_count.cmp(&a.counts.impressions_count))
        });
        versions.truncate(VERSIONS_COUNT_MAX);
        judge(&mut versions, &made.spec);
        versions
    }
}

fn successes(version: &VersionShown, goal: LearningGoal) -> (u64, u64) {
    let n = u64::from(version.counts.impressions_count);
    ((version.counts.reward(goal, 1) as u64).min(n), n)
}

/// Intervals, the probability to be best, discoveries, and the words.
fn judge(versions: &mut [VersionShown], spec: &LearningSpec) {
    if spec.goal != LearningGoal::Value {
        for version in versions.iter_mut().filter(|v| v.counts.impressions_count > 0) {
            let (successes, n) = successes(version, spec.goal);
            version.interval = Some(rate_interval(successes, n));
        }
        let rivals = versions.len().min(RIVALS_COUNT_MAX);
        let arms: Vec<bayes::Beta> = versions[..rivals]
            .iter()
            .map(|version| {
                let (successes, n) = successes(version, spec.goal);
                bayes::Beta { a: 1.0 + successes as f64, b: 1.0 + (n - successes) as f64 }
            })
            .collect();
        if rivals > 1 {
            for (version, standing) in versions.iter_mut().zip(bayes::standings(&arms)) {
                version.best = Some(standing.best);
                version.loss = Some(standing.expected_loss);
            }
        }
        discover(versions, spec);
    }
    for version in versions.iter_mut() {
        version.why = why(version, spec);
    }
}

/// Evidence that a version's rate is above the highest that control's sequence at 97.5% leaves possible; discoveries by e-BH.
fn discover(versions: &mut [VersionShown], spec: &LearningSpec) {
    let named = spec.guardrail.map(|guardrail| guardrail.control);
    let control = versions.iter().position(|v| Some(v.version) == named);
    let first = || (0..versions.len()).min_by_key(|at| (versions[*at].ad, versions[*at].version));
    let Some(control) = control.or_else(first) else { return };
    let (s, n) = successes(&versions[control], spec.goal);
    let most = Sequence::of_rate(s, n).interval(ALPHA / 2.0).high;
    let others: Vec<usize> = (0..versions.len()).filter(|at| *at != control).collect();
    let values: Vec<f64> = others
        .iter()
        .map(|at| {
            let (s, n) = successes(&versions[*at], spec.goal);
            if n == 0 || most >= 1.0 { 1.0 } else { Sequence::of_rate(s, n).ln_e_value_above(most).exp() }
        })
        .collect();
    let discovered = many::e_bh(&values, ALPHA / 2.0);
    for (number, at) in others.iter().enumerate() {
        versions[*at].e_value = Some(values[number]);
        versions[*at].discovered = discovered.contains(&number);
    }
}

fn percent(part: f64) -> String {
    format!("{:.2}%", 100.0 * part)
}
fn why(version: &VersionShown, spec: &LearningSpec) -> String {
    if !version.offered {
        return "It is paused, retired or not approved: it is not shown, and its history stays.".into();
    }
    let share = percent(version.share);
    match version.expected {
        Some((rate, deviation)) => format!(
            "It has {share} of impressions: it won {} of {} draws of what is believed. It is expected to bring {} of {} an impression, give or take {}.",
            version.won.0,
            version.won.1,
            percent(rate),
            spec.goal.plural(),
            percent(deviation)
        ),
        None => format!(
            "It has {share} of impressions, from exploring alone: it won none of {} draws, since others are expected to do better.",
            version.won.1
        ),
    }
}

fn template_shown(learner: &TemplateLearner, facts: &TemplateFacts, seen: Option<&SetSeen>) -> TemplateShown {
    let spec = facts.spec();
    let mut elements: BTreeMap<Element, Counts> = BTreeMap::new();
    let mut by_context = vec![0.0; spec.context.count()];
    let mut tried_count = 0;
    let own = seen.iter().flat_map(|seen| &seen.cells).filter(|(key, _)| key.ad == learner.ad());
    for (key, counts) in own {
        if key.context == spec.context
            && key.version.template_code().is_some()
            && let Some(weight) = by_context.get_mut(usize::from(key.number))
        {
            *weight += f64::from(counts.impressions_count);
        }
        let assets = key.version.template_code().filter(|_| is_whole(key)).and_then(|code| spec.decode(code));
        let Some(assets) = assets else { continue };
        tried_count += 1;
        for (slot, asset) in (0u8..).zip(assets) {
            elements.entry(Element { slot, asset }).or_default().add(counts);
        }
    }
    let main = largest(&by_context);
    let codes = codes_of(learner, facts, main);
    let all = spec.slots.iter().enumerate().flat_map(|(slot, of)| {
        (0..of.assets.len() as u16).map(move |asset| Element { slot: slot as u8, asset })
    });
    let shown = all.map(|element| {
        let (mean, deviation) = learner.effect(usize::from(element.slot), usize::from(element.asset));
        let asset = &spec.slots[usize::from(element.slot)].assets[usize::from(element.asset)];
        let has = codes.iter().filter(|c| c.assets.get(usize::from(element.slot)) == Some(&element.asset));
        ElementShown {
            element,
            words: spec.words(element),
            retired: asset.retired,
            counts: elements.get(&element).copied().unwrap_or_default(),
            // A sum of nothing is zero, and not minus zero.
            share: has.map(|code| code.share).sum::<f64>() + 0.0,
            odds: (mean.exp(), (mean - 1.96 * deviation).exp(), (mean + 1.96 * deviation).exp()),
        }
    });
    let shown = shown.collect();
    let whole: f64 = codes.iter().map(|code| code.share).sum();
    let mean = codes.iter().map(|code| code.share * code.rate).sum::<f64>() / whole.max(1e-12);
    let proposals = regie_learn::adapt::proposals(learner.learner(), PROPOSALS_COUNT).into_iter().map(|p| {
        let assets = spec.decode(p.code.0).unwrap_or_default();
        CodeShown { code: p.code.0, assets, rate: p.rate, share: share(learner, main, p.code), won: (0, 0) }
    });
    let proposals: Vec<CodeShown> = proposals.collect();
    let listed = codes.iter().chain(&proposals).map(|code| code.rate);
    let best = listed.fold(0.0, f64::max);
    TemplateShown {
        ad: learner.ad(),
        spec: spec.clone(),
        elements: shown,
        codes: codes.into_iter().take(CODES_COUNT_MAX).collect(),
        proposals,
        tried_count,
        combinations_count: spec.combinations_count(),
        changes_count: learner.learner().changes_count(),
        expected: (mean, best),
        price: if best > 0.0 { (1.0 - mean / best).clamp(0.0, 1.0) } else { 0.0 },
    }
}

fn share(learner: &TemplateLearner, context: usize, code: Code) -> f64 {
    let assets = learner.learner().space().decode(code);
    learner.allocation().zip(assets).map_or(0.0, |(table, assets)| table.propensity(context, &assets))
}

/// Every combination of the table, the most shown first.
fn codes_of(learner: &TemplateLearner, facts: &TemplateFacts, context: usize) -> Vec<CodeShown> {
    let entries = learner.allocation().map_or(&[][..], |table| table.entries(context));
    let draws: u32 = entries.iter().map(|entry| entry.weight()).sum();
    let code = |entry: &regie_learn::allocation::Entry| CodeShown {
        code: entry.code.0,
        assets: facts.spec().decode(entry.code.0).unwrap_or_default(),
        rate: learner.rate(context, entry.code),
        share: share(learner, context, entry.code),
        won: (entry.weight(), draws),
    };
    entries.iter().map(code).collect()
}
