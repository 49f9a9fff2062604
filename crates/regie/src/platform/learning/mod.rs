//! The learner at work: from its fold to the tables that decisions draw from, every few seconds.
//!
//! The fold ([`regie_learn::served`]) is a function of the journal and stands in a checkpoint beside the ledger's. What is here
//! follows from it and may be lost: tables of ad sets, fitted templates, predicted rates. Tables are kept by hash with the decisions
//! that read them (law D1), so that a replay needs none of this. Refuses to change anything booked: that is [`super::adapting`]'s.

mod rates;
mod shown;
mod template;

pub use shown::{CodeShown, ElementShown, SetShown, TemplateShown, VersionShown};

use super::{Platform, lock};
use regie_decide::{
    PPM, Snapshot,
    learned::{Learned, LearnedSet, LearnedTemplate, Winner},
    rates::PPB,
};
use regie_learn::{
    served::{
        CellKey, SetSeen,
        list::{self, Offered, Table, Wanted},
    },
    stream::Stream,
};
use regie_model::{
    AdId, AdSetId, UtcMs, VersionId,
    booking::{AdSetSpec, Bid, LearningGoal, LearningSpec, Status},
    catalogue::Catalogue,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use template::TemplateLearner;

/// A look at what is fresh, at the earliest after so long.
const REFRESH_MS: i64 = 2_000;
/// Ad sets, and templates, made anew in one look at most; the others wait for the next.
const SETS_COUNT_MAX: usize = 200;
const TEMPLATES_COUNT_MAX: usize = 16;
/// A table is made anew after so many impressions, or this part more.
const IMPRESSIONS_MIN: u32 = 20;
const GROWTH: f64 = 0.02;
/// Versions of one ad and shape up to which all are looked at for a table.
const LISTED_COUNT_MAX: usize = 1_000;
/// Of a longer list, versions drawn among those that may never have been shown.
const NEW_COUNT: usize = 128;
/// Rates are fitted anew after so long.
const RATES_MS: i64 = 5_000;
/// Rate of success before anything was seen anywhere.
const BASE_CLICKS: f64 = 0.005;
const BASE_CONVERSIONS: f64 = 0.0005;
const BASE_VIEWABLE: f64 = 0.6;

/// What was learned so far.
#[derive(Default)]
pub struct Learning {
    state: Mutex<State>,
}

/// An ad set's table with what it was made of.
struct Made {
    table: Table,
    impressions_count: u32,
    offered_count: usize,
    spec: LearningSpec,
}

#[derive(Default)]
struct State {
    next_at: i64,
    rates_at: i64,
    generation: u64,
    started: bool,
    due: BTreeSet<AdSetId>,
    sets: BTreeMap<AdSetId, Made>,
    templates: BTreeMap<AdId, TemplateLearner>,
    rates: rates::Predicted,
    published: Learned,
    changed: bool,
}

/// Predicted clicks and conversions an impression by ad set, parts per billion.
pub(super) type RatesPpb = BTreeMap<AdSetId, (u32, u32)>;
/// Fresh cells of templates by ad, with its ad set.
type FreshCells = BTreeMap<AdId, (AdSetId, Vec<template::Cell>)>;

/// What an ad set needs for its next table.
struct Job {
    id: AdSetId,
    spec: LearningSpec,
    seen: Option<SetSeen>,
    offered: Vec<Offered>,
    offered_count: usize,
    base_rate: f64,
}

impl Platform {
    /// Makes tables anew where enough was seen since the last.
    pub(super) fn refresh_learning(&self, now: UtcMs) {
        let mut state = lock(&self.learning.state);
        if now.0 < state.next_at {
            return;
        }
        state.next_at = now.0 + REFRESH_MS;
        let view = self.current_view();
        let (jobs, cells) = self.gather(&mut state, &view.snapshot);
        for job in jobs {
            state.make(job);
        }
        state.fit_templates(&view.snapshot, cells);
        if now.0 >= state.rates_at {
            state.rates_at = now.0 + RATES_MS;
            let rows = {
                let folds = lock(&self.folds);
                rates::rows(&folds.served)
            };
            state.changed |= state.rates.fit(rows);
        }
        if std::mem::take(&mut state.changed) {
            state.publish(&self.catalogue(), &view.snapshot);
        }
    }
    /// The tables in force, and the rates of the ad sets that have counts: (ad set, clicks, conversions), parts per billion.
    pub(super) fn learned(&self) -> (Learned, Arc<RatesPpb>) {
        let state = lock(&self.learning.state);
        (state.published.clone(), state.rates.rows())
    }
    /// Ad sets that learn and are due, and fresh cells of templates, by ad.
    fn gather(&self, state: &mut State, snapshot: &Snapshot) -> (Vec<Job>, FreshCells) {
        let catalogue = self.catalogue();
        let mut folds = lock(&self.folds);
        if !std::mem::replace(&mut state.started, true) {
            folds.served.all_fresh();
        }
        let fresh = folds.served.take_fresh();
        let mut cells = FreshCells::new();
        for (ad_set, key) in &fresh {
            state.due.insert(*ad_set);
            if let (Some(cell), Some(seen)) = (template::cell(&catalogue, key), folds.served.set(*ad_set)) {
                let counts = seen.cells.get(key).copied().unwrap_or_default();
                let largest = seen.largest_micros;
                let list = &mut cells.entry(key.ad).or_insert_with(|| (*ad_set, Vec::new())).1;
                list.push(template::Cell { counts, largest_micros: largest, ..cell });
            }
        }
        let learns = |kept: &regie_model::catalogue::Kept<AdSetSpec>| {
            kept.spec.learning.clone().filter(|_| kept.status == Status::Active)
        };
        // Those that are new, edited or have new versions are due whatever was seen.
        for (id, kept) in catalogue.ad_sets.iter().filter(|(_, kept)| kept.spec.learning.is_some()) {
            let made = state.sets.get(id);
            let edited = made.is_none_or(|made| Some(&made.spec) != kept.spec.learning.as_ref());
            if edited || made.is_some_and(|m| m.offered_count != offered_count(snapshot, *id)) {
                state.due.insert(*id);
            }
        }
        let mut jobs = Vec::new();
        let mut done = Vec::new();
        for id in &state.due {
            if jobs.len() >= SETS_COUNT_MAX {
                break;
            }
            done.push(*id);
            let Some(spec) = catalogue.ad_sets.get(id).and_then(learns) else {
                state.changed |= state.sets.remove(id).is_some();
                continue;
            };
            let seen = folds.served.set(*id);
            let impressions = seen.map_or(0, |seen| seen.total().impressions_count);
            let offered_count = offered_count(snapshot, *id);
            let stale = state.sets.get(id).is_none_or(|made| {
                let grown = f64::from(made.impressions_count) * (1.0 + GROWTH);
                made.spec != spec
                    || made.offered_count != offered_count
                    || impressions >= made.impressions_count + IMPRESSIONS_MIN
                        && f64::from(impressions) >= grown
            });
            if !stale {
                continue;
            }
            let others = folds.served.sets().filter(|(other, _)| other != id).map(|(_, seen)| seen);
            let base_rate = list::prior_rate(others, spec.goal, base(spec.goal));
            let offered = offered(snapshot, *id, seen, u64::from(impressions));
            jobs.push(Job { id: *id, spec, seen: seen.cloned(), offered, offered_count, base_rate });
        }
        for id in &done {
            state.due.remove(id);
        }
        (jobs, cells)
    }
}

fn offered_count(snapshot: &Snapshot, id: AdSetId) -> usize {
    snapshot.offered_of(id).iter().map(|(.., versions)| versions.len()).sum()
}
/// Versions that a table can be about: all of short lists; of long ones those that were shown and some that never were.
fn offered(snapshot: &Snapshot, id: AdSetId, seen: Option<&SetSeen>, seed: u64) -> Vec<Offered> {
    let mut list = Vec::new();
    let mut stream = Stream::new(seed ^ (u64::from(id.0) << 32), 0x6f66_6665);
    for (ad, shape, versions) in snapshot.offered_of(id) {
        let of = |version: &VersionId| Offered { ad, version: *version, shape };
        if versions.len() <= LISTED_COUNT_MAX {
            list.extend(versions.iter().map(of));
            continue;
        }
        let mut some: BTreeSet<VersionId> = (0..NEW_COUNT)
            .filter_map(|_| versions.get(stream.below(versions.len() as u64) as usize).copied())
            .collect();
        let shown = seen.into_iter().flat_map(|seen| seen.versions()).filter(|(of, ..)| *of == ad);
        some.extend(shown.map(|(_, version, _)| version).filter(|v| versions.binary_search(v).is_ok()));
        list.extend(some.iter().map(of));
    }
    list
}

fn base(goal: LearningGoal) -> f64 {
    match goal {
        LearningGoal::Clicks => BASE_CLICKS,
        LearningGoal::ViewableImpressions => BASE_VIEWABLE,
        LearningGoal::Conversions | LearningGoal::Value => BASE_CONVERSIONS,
    }
}

impl State {
    fn make(&mut self, job: Job) {
        self.generation += 1;
        let impressions_count = job.seen.as_ref().map_or(0, |seen| seen.total().impressions_count);
        // What was seen fixes the draws: the same fold gives the same table.
        let seed = (u64::from(job.id.0) << 32) ^ u64::from(impressions_count);
        let wanted = Wanted { spec: &job.spec, base_rate: job.base_rate, seed };
        let table = list::table(job.seen.as_ref(), &job.offered, wanted);
        let made = Made { table, impressions_count, offered_count: job.offered_count, spec: job.spec };
        self.sets.insert(job.id, made);
        self.changed = true;
    }
    fn fit_templates(&mut self, snapshot: &Snapshot, cells: FreshCells) {
        for (ad, (ad_set, cells)) in cells {
            let Some(made) = self.sets.get(&ad_set) else { continue };
            let Some(facts) = snapshot.template(ad_set, ad) else { continue };
            let scale = template::prior_scale(self.templates.values().filter(|other| other.ad() != ad));
            let learner = self
                .templates
                .entry(ad)
                .or_insert_with(|| TemplateLearner::new(ad, ad_set, facts, &made.spec, scale));
            if learner.observe(facts, &made.spec, cells) {
                // It begins anew from the same counts: all of them are told again.
                self.started = false;
            }
        }
        let mut made = 0;
        for learner in self.templates.values_mut() {
            let Some(facts) = snapshot.template(learner.ad_set(), learner.ad()) else { continue };
            if made < TEMPLATES_COUNT_MAX && learner.refresh(facts) {
                made += 1;
                self.changed = true;
            }
        }
    }
    fn publish(&mut self, catalogue: &Catalogue, snapshot: &Snapshot) {
        self.rates.predict(catalogue, snapshot, |id| {
            let made = self.sets.get(&id)?;
            Some((&made.table, made.spec.goal))
        });
        let mut sets: BTreeMap<AdSetId, LearnedSet> = BTreeMap::new();
        for (id, made) in &self.sets {
            sets.insert(*id, learned_set(made));
        }
        for (id, places) in self.rates.places() {
            let set = sets.entry(*id).or_default();
            set.place_ppm = places.place_ppm.clone();
            set.elsewhere_ppm = places.elsewhere_ppm;
            set.context_ppm = places.context_ppm.clone();
        }
        // Unchanged tables stay the same object.
        let before = self.published.clone();
        let sets = sets.into_iter().map(|(id, set)| {
            let old =
                before.sets().binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &before.sets()[at].1);
            let same = old.filter(|old| ***old == set).cloned();
            (id, same.unwrap_or_else(|| Arc::new(set)))
        });
        let templates = self.templates.values().filter_map(|learner| {
            let facts = snapshot.template(learner.ad_set(), learner.ad())?;
            let table: LearnedTemplate = learner.table()?.made_ready(facts);
            Some((learner.ad(), Arc::new(table)))
        });
        let templates: Vec<_> = templates.collect();
        self.published = Learned::new(sets.collect::<Vec<_>>(), templates);
    }
}

fn learned_set(made: &Made) -> LearnedSet {
    let winner = |won: &list::Won| Winner {
        ad: won.of.ad,
        version: won.of.version,
        won: won.draws_count,
        rate_ppb: (won.rate.clamp(0.0, 1.0) * f64::from(PPB)) as u32,
        impressions_count: won.impressions_count,
    };
    LearnedSet {
        context: made.spec.context,
        explore_ppm: made.table.explore_ppm.clamp(1, PPM),
        parts: made.table.parts.iter().map(|part| part.winners.iter().map(winner).collect()).collect(),
        ..LearnedSet::default()
    }
}

/// The event that an ad set's bid pays for, where it is an action.
fn paid_goal(bid: &Bid) -> Option<LearningGoal> {
    match bid {
        Bid::Cpc { .. } => Some(LearningGoal::Clicks),
        Bid::Cpa { .. } => Some(LearningGoal::Conversions),
        Bid::Cpm { .. } | Bid::FlatFee { .. } | Bid::Free => None,
    }
}
/// A version that stands for a whole template.
fn stands_for(version: VersionId) -> VersionId {
    version.template_code().map_or(version, |_| VersionId::of_template(0))
}
/// Of a cell: whether it counts a version whatever the context.
fn is_whole(key: &CellKey) -> bool {
    key.context == regie_model::booking::LearningContext::None
}
