//! The learner's fold: what was seen of every version that was shown, in the running program.
//!
//! A function of the journal and of the ledger's outcomes: an event counts here exactly when it counts there, once. Kept are only
//! versions that were shown; of millions that never were, nothing. An edit resets nothing: a version keeps its history whatever
//! becomes of it, and another context begins beside the old one. From this fold follow the tables that decisions draw from
//! ([`list`], [`crate::factor`]), predicted rates ([`rates`]), how good those were ([`calibration`]) and the reports of experiments
//! ([`trial`]). Refuses IO, a clock and randomness.

pub mod calibration;
pub mod list;
pub mod progress;
pub mod rates;
pub mod trial;

use calibration::Calibration;
use progress::Progress;
use regie_model::{
    AdId, AdSetId, CampaignId, PlacementId, VersionId,
    booking::{AdSetSpec, ContextFacts, LearningContext, LearningGoal},
    command::Change,
    event::Event,
    ticket::{Billing, Ticket},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use trial::Trials;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Impressions.
    pub impressions_count: u32,
    /// Of these seen.
    pub viewable_count: u32,
    /// Clicks.
    pub clicks_count: u32,
    /// Conversions.
    pub conversions_count: u32,
    /// Value of these, micros of the account's currency.
    pub value_micros: i64,
    /// Charged, nanos.
    pub spend_nanos: i64,
}
impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Counts) {
        self.impressions_count = self.impressions_count.saturating_add(other.impressions_count);
        self.viewable_count = self.viewable_count.saturating_add(other.viewable_count);
        self.clicks_count = self.clicks_count.saturating_add(other.clicks_count);
        self.conversions_count = self.conversions_count.saturating_add(other.conversions_count);
        self.value_micros = self.value_micros.saturating_add(other.value_micros);
        self.spend_nanos = self.spend_nanos.saturating_add(other.spend_nanos);
    }
    /// Successes toward a goal; of value, in conversions of the largest value.
    pub fn reward(&self, goal: LearningGoal, largest_micros: i64) -> f64 {
        match goal {
            LearningGoal::ViewableImpressions => f64::from(self.viewable_count),
            LearningGoal::Clicks => f64::from(self.clicks_count),
            LearningGoal::Conversions => f64::from(self.conversions_count),
            LearningGoal::Value => self.value_micros.max(0) as f64 / largest_micros.max(1) as f64,
        }
    }
}

/// One version in one context; context 0 of [`LearningContext::None`] is the sum over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellKey {
    /// Which ad.
    pub ad: AdId,
    /// Which version of it.
    pub version: VersionId,
    /// In what.
    pub context: LearningContext,
    /// Which of those.
    pub number: u16,
}

/// What was seen of an ad set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetSeen {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// By version, and by version and context.
    pub cells: BTreeMap<CellKey, Counts>,
    /// By ad and placement: what rates are predicted from.
    pub places: BTreeMap<(AdId, PlacementId), Counts>,
    /// The largest value of one conversion, micros.
    pub largest_micros: i64,
    /// How shares and results went, where it learns.
    pub progress: Progress,
    /// Its experiments.
    pub trials: Trials,
    context: LearningContext,
    goal: LearningGoal,
    learns: bool,
}
impl SetSeen {
    /// All of it together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.places.values().for_each(|counts| total.add(counts));
        total
    }
    /// By version, whatever the context.
    pub fn versions(&self) -> impl Iterator<Item = (AdId, VersionId, &Counts)> {
        let whole = |key: &&CellKey| key.context == LearningContext::None;
        self.cells
            .iter()
            .filter(move |(key, _)| whole(key))
            .map(|(key, counts)| (key.ad, key.version, counts))
    }
    /// One version.
    pub fn version(&self, ad: AdId, version: VersionId) -> Counts {
        let key = CellKey { ad, version, context: LearningContext::None, number: 0 };
        self.cells.get(&key).copied().unwrap_or_default()
    }
}

/// The fold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    position: u64,
    sets: BTreeMap<AdSetId, SetSeen>,
    /// What a template's best combination may depend on, by ad.
    templates: BTreeMap<AdId, LearningContext>,
    /// Predicted rates beside what became of them.
    pub calibration: Calibration,
    /// Cells that changed since somebody last took this list; soft.
    #[serde(skip)]
    fresh: BTreeSet<(AdSetId, CellKey)>,
}

impl Served {
    /// Up to which journal position it has read.
    pub fn position(&self) -> u64 {
        self.position
    }
    /// What was seen of an ad set.
    pub fn set(&self, ad_set: AdSetId) -> Option<&SetSeen> {
        self.sets.get(&ad_set)
    }
    /// Every ad set of which something was seen.
    pub fn sets(&self) -> impl Iterator<Item = (AdSetId, &SetSeen)> {
        self.sets.iter().map(|(id, seen)| (*id, seen))
    }
    /// Cells that changed since the last call; after a start all of them.
    pub fn take_fresh(&mut self) -> BTreeSet<(AdSetId, CellKey)> {
        std::mem::take(&mut self.fresh)
    }
    /// Marks everything as changed: after a start.
    pub fn all_fresh(&mut self) {
        let all = self.sets.iter().flat_map(|(id, seen)| seen.cells.keys().map(|key| (*id, *key)));
        self.fresh = all.collect();
    }
    /// Applies one record. `counted`: the ledger counted it; `billed_nanos`: what it charged.
    pub fn apply(&mut self, position: u64, event: &Event, counted: bool, billed_nanos: i64) {
        if position <= self.position && self.position > 0 {
            return;
        }
        self.position = position;
        match event {
            Event::Booked(booked) => self.book(&booked.change),
            Event::Traffic(traffic) => {
                for (ad_set, reason, count) in traffic.eliminated.iter().filter(|(_, r, _)| r == "held_out") {
                    debug_assert_eq!(reason, "held_out");
                    self.sets.entry(*ad_set).or_default().trials.ghosts(traffic.minute, *count);
                }
            }
            Event::Impression(ticket) if counted => {
                self.count(
                    ticket,
                    Counts { impressions_count: 1, spend_nanos: billed_nanos, ..Counts::default() },
                );
                self.calibration.shown(ticket);
            }
            Event::Viewable(ticket) if counted => {
                self.count(
                    ticket,
                    Counts { viewable_count: 1, spend_nanos: billed_nanos, ..Counts::default() },
                );
            }
            Event::Click(ticket) if counted => {
                self.count(
                    ticket,
                    Counts { clicks_count: 1, spend_nanos: billed_nanos, ..Counts::default() },
                );
                self.calibration.acted(ticket, Billing::Click);
            }
            Event::Conversion(conversion) if counted => {
                let ticket = &conversion.ticket;
                let counts = Counts {
                    conversions_count: 1,
                    value_micros: conversion.value_micros,
                    spend_nanos: billed_nanos,
                    ..Counts::default()
                };
                let seen = self.sets.entry(ticket.ad_set).or_default();
                seen.largest_micros = seen.largest_micros.max(conversion.value_micros);
                self.count(ticket, counts);
                self.calibration.acted(ticket, Billing::Conversion);
            }
            _ => {}
        }
    }
    fn book(&mut self, change: &Change) {
        match change {
            Change::AdSetPut { id, spec } => {
                let AdSetSpec { learning, experiment, campaign, .. } = spec;
                if learning.is_none() && experiment.is_none() && !self.sets.contains_key(id) {
                    return;
                }
                let seen = self.sets.entry(*id).or_default();
                seen.campaign = *campaign;
                seen.learns = learning.is_some();
                seen.context = learning.as_ref().map_or(LearningContext::None, |l| l.context);
                seen.goal = learning.as_ref().map_or(LearningGoal::default(), |l| l.goal);
                seen.trials.book(*id, experiment.as_ref());
            }
            Change::AdPut { id, spec } => match &spec.template {
                Some(template) => drop(self.templates.insert(*id, template.context)),
                None => drop(self.templates.remove(id)),
            },
            _ => {}
        }
    }
    fn count(&mut self, ticket: &Ticket, counts: Counts) {
        let seen = self.sets.entry(ticket.ad_set).or_default();
        seen.campaign = ticket.campaign;
        seen.places.entry((ticket.ad, ticket.placement)).or_default().add(&counts);
        let facts = ContextFacts::of(ticket);
        let own = self.templates.get(&ticket.ad).copied();
        let context = match (ticket.version.template_code(), own) {
            (Some(_), Some(context)) => context,
            _ => seen.context,
        };
        let whole =
            CellKey { ad: ticket.ad, version: ticket.version, context: LearningContext::None, number: 0 };
        let here = CellKey { context, number: context.number(&facts) as u16, ..whole };
        let keys = [whole, here];
        let count = if context == LearningContext::None { 1 } else { 2 };
        for key in &keys[..count] {
            seen.cells.entry(*key).or_default().add(&counts);
            self.fresh.insert((ticket.ad_set, *key));
        }
        if seen.learns {
            seen.progress.add(ticket, &counts, seen.goal);
        }
        seen.trials.add(ticket, &counts);
    }
}

#[cfg(test)]
mod tests;
