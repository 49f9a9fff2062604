//! Adapting: budget moves to the better return, losers are paused, within the limits that the advertiser set.
//!
//! Each step is a command by the job `adapt`, planned like any other: the limits are checked where all bookings are, and the step is
//! journalled with its reason beside the change that it makes. Refuses to act where a campaign has no `adapt`, and more often than
//! its period.

use super::{Platform, lock};
use regie_learn::adapt::{Contender, Line, Move, MoveRule, losers, moves};
use regie_model::{
    AdId, AdSetId, CampaignId, Micros, UtcMs, VersionId,
    booking::{AdaptSpec, AdaptStep, Element, Objective, Status},
    catalogue::Catalogue,
    command::{Change, Command},
    event::{Actor, Event},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Steps of one campaign in one go.
const STEPS_COUNT_MAX: usize = 8;
/// Steps of a campaign that are read back for pages.
const HISTORY_COUNT_MAX: usize = 100;
/// Impressions' worth of the ad set's own rate in a contender's.
const SHRUNK_BY: f64 = 100.0;

/// When each campaign was looked at last.
#[derive(Default)]
pub struct Adapting {
    looked_at: HashMap<CampaignId, i64>,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// When.
    pub at: UtcMs,
    /// Journal position of the note.
    pub position: u64,
    /// What and why.
    pub step: AdaptStep,
}

/// What an ad set spent and brought lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately {
    /// Charged, nanos.
    pub spend_nanos: i64,
    /// What it brought, in units of the campaign's objective.
    pub gained: u64,
}

fn unit(objective: Objective) -> &'static str {
    match objective {
        Objective::Impressions => "impressions",
        Objective::ViewableImpressions => "viewable impressions",
        Objective::Clicks => "clicks",
        Objective::Conversions => "conversions",
    }
}

impl Platform {
    /// Takes the steps that are due. For a thread that may block.
    pub fn adapt(self: &Arc<Self>) {
        let now = self.now();
        let due: Vec<(CampaignId, AdaptSpec, Objective)> = {
            let catalogue = self.catalogue();
            let mut adapting = lock(&self.adapting);
            let active = catalogue.campaigns.iter().filter(|(_, kept)| kept.status == Status::Active);
            let with =
                active.filter_map(|(id, kept)| Some((*id, kept.spec.adapt.clone()?, kept.spec.objective)));
            let due = with.filter(|(id, spec, _)| {
                let last = *adapting.looked_at.entry(*id).or_insert(now.0);
                now.0 >= last + i64::from(spec.period_minutes) * 60_000
            });
            let due: Vec<_> = due.collect();
            for (id, ..) in &due {
                adapting.looked_at.insert(*id, now.0);
            }
            due
        };
        for (campaign, spec, objective) in due {
            for step in self.steps_due(campaign, &spec, objective, now).into_iter().take(STEPS_COUNT_MAX) {
                let command = Command::Adapt { campaign, step };
                let done = move |result: Result<_, super::commands::CommandError>| {
                    if let Err(error) = result {
                        tracing::info!(%error, %campaign, "a step of adapting was not taken");
                    }
                };
                self.command(Actor::Job("adapt".into()), vec![command], Box::new(done));
            }
        }
    }
    /// What the rules would do now.
    pub fn steps_due(
        &self,
        campaign: CampaignId,
        spec: &AdaptSpec,
        objective: Objective,
        now: UtcMs,
    ) -> Vec<AdaptStep> {
        let mut steps = self.moves_due(campaign, spec, objective, now);
        if spec.pause_losers {
            let sets = self.catalogue().ad_sets_of.get(&campaign).cloned().unwrap_or_default();
            for ad_set in sets {
                steps.extend(self.losers_due(ad_set, spec));
            }
        }
        steps
    }
    /// What each ad set of a campaign spent and brought within a period up to now, hours begun included.
    pub fn lately(
        &self,
        campaign: CampaignId,
        objective: Objective,
        since: UtcMs,
    ) -> BTreeMap<AdSetId, Lately> {
        let column = match objective {
            Objective::Impressions => "impressions",
            Objective::ViewableImpressions => "viewable",
            Objective::Clicks => "clicks",
            Objective::Conversions => "conversions",
        };
        let sql = format!(
            "SELECT ad_set, SUM(spend_nanos - credited_nanos), SUM({column}) FROM rollups WHERE campaign = ?1 AND hour >= ?2 GROUP BY ad_set"
        );
        let state = self.state();
        let read = || -> rusqlite::Result<BTreeMap<AdSetId, Lately>> {
            let mut statement = state.connection().prepare_cached(&sql)?;
            let rows = statement.query_map([i64::from(campaign.0), since.hour().0], |row| {
                let lately = Lately { spend_nanos: row.get(1)?, gained: row.get::<_, i64>(2)?.max(0) as u64 };
                Ok((AdSetId(row.get(0)?), lately))
            })?;
            rows.collect()
        };
        read().unwrap_or_else(|error| {
            tracing::warn!(%error, "what ad sets spent lately could not be read");
            BTreeMap::new()
        })
    }
    fn moves_due(
        &self,
        campaign: CampaignId,
        spec: &AdaptSpec,
        objective: Objective,
        now: UtcMs,
    ) -> Vec<AdaptStep> {
        let period_ms = i64::from(spec.period_minutes) * 60_000;
        let lately = self.lately(campaign, objective, UtcMs(now.0 - period_ms));
        let catalogue = self.catalogue();
        let line = |limits: &regie_model::booking::BudgetLimits| {
            let set = catalogue.ad_sets.get(&limits.ad_set).filter(|set| set.status == Status::Active)?;
            let own = lately.get(&limits.ad_set).copied().unwrap_or_default();
            Some(Line {
                id: limits.ad_set.0,
                budget_micros: set.spec.daily_budget_micros?.0,
                least_micros: limits.least_micros.0,
                most_micros: limits.most_micros.0,
                spent_micros: own.spend_nanos / 1_000,
                gained: own.gained as f64,
            })
        };
        let lines: Vec<Line> = spec.limits.iter().filter_map(line).collect();
        let rule = MoveRule { step_ppm: spec.step_ppm, sure: f64::from(spec.sure_ppm) / 1e6 };
        moves(&lines, rule).into_iter().map(|made| moved(&catalogue, made, objective)).collect()
    }
    /// Losers of an ad set that learns: versions, and elements of its templates.
    fn losers_due(&self, ad_set: AdSetId, spec: &AdaptSpec) -> Vec<AdaptStep> {
        let Some(known) = self.learning_of(ad_set) else { return Vec::new() };
        let rule = |contenders: &[Contender]| {
            let (chance, tolerance) = (f64::from(spec.chance_ppm) / 1e6, f64::from(spec.tolerance_ppm) / 1e6);
            losers(contenders, f64::from(spec.least_impressions_count), chance, tolerance)
        };
        let goal = known.spec.goal;
        let mean = known.total.reward(goal, 1) / f64::from(known.total.impressions_count.max(1));
        let guarded = known.spec.guardrail.map(|guardrail| guardrail.control);
        // Each shape by itself would be fairer still; versions of one ad set are made for the same words.
        let versions = known.versions.iter().filter(|v| v.offered && v.version.template_code().is_none());
        let contenders: Vec<Contender> = versions
            .map(|version| {
                let n = f64::from(version.counts.impressions_count);
                let rate = (version.counts.reward(goal, 1) + SHRUNK_BY * mean) / (n + SHRUNK_BY);
                let deviation = (rate * (1.0 - rate).max(0.0) / (n + SHRUNK_BY)).sqrt();
                Contender { id: version.version.0, trials: n, rate: (rate, deviation) }
            })
            .collect();
        let mut steps = Vec::new();
        for pause in rule(&contenders) {
            let version = VersionId(pause.id);
            if Some(version) == guarded {
                continue;
            }
            let reason = format!(
                "{version} is expected to bring {:.2}% {}, the best of {ad_set} {:.2}%; that it is as good within {:.0}% has probability {:.1e} after at least {} impressions.",
                100.0 * pause.rates.1,
                goal.plural(),
                100.0 * pause.rates.0,
                f64::from(spec.tolerance_ppm) / 1e4,
                pause.probability,
                spec.least_impressions_count
            );
            let (probability, rates) = (pause.probability, pause.rates);
            steps.push(AdaptStep::VersionPaused { ad_set, version, probability, rates, reason });
        }
        for template in &known.templates {
            for slot in 0..template.spec.slots.len() {
                let of_slot =
                    template.elements.iter().filter(|e| usize::from(e.element.slot) == slot && !e.retired);
                let contenders: Vec<Contender> = of_slot
                    .map(|element| {
                        let (odds, _, high) = element.odds;
                        let deviation = odds * (high / odds).ln() / 1.96;
                        let trials = f64::from(element.counts.impressions_count);
                        Contender { id: u32::from(element.element.asset), trials, rate: (odds, deviation) }
                    })
                    .collect();
                for pause in rule(&contenders) {
                    steps.push(retired(template.ad, slot as u8, &pause, template, spec));
                }
            }
        }
        steps
    }
    /// The latest steps of a campaign, the newest first.
    pub fn steps_taken(&self, campaign: CampaignId) -> Vec<Taken> {
        let state = self.state();
        let read = || -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
            let sql =
                "SELECT position, body FROM changes WHERE entity = ?1 ORDER BY position DESC LIMIT 2000";
            let mut statement = state.connection().prepare_cached(sql)?;
            let rows = statement
                .query_map([campaign.to_string()], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read().unwrap_or_default();
        drop(state);
        let taken = rows.into_iter().filter_map(|(position, body)| match Event::decode(&body).ok()? {
            Event::Booked(booked) => match booked.change {
                Change::Adapted { step, .. } => Some(Taken { at: booked.at, position, step }),
                _ => None,
            },
            _ => None,
        });
        taken.take(HISTORY_COUNT_MAX).collect()
    }
}

fn moved(catalogue: &Catalogue, made: Move, objective: Objective) -> AdaptStep {
    let (from, to) = (AdSetId(made.from), AdSetId(made.to));
    let name = |id: AdSetId| {
        catalogue.ad_sets.get(&id).map_or_else(|| id.to_string(), |set| format!("{id} ({})", set.spec.name))
    };
    let reason = format!(
        "For each unit of currency spent lately, {} brought {:.3} {}, {} {:.3}; that the first is better has probability {:.1}%.",
        name(to),
        made.returns.1,
        unit(objective),
        name(from),
        made.returns.0,
        100.0 * made.probability
    );
    AdaptStep::BudgetMoved {
        from,
        to,
        amount_micros: Micros(made.micros),
        returns: (made.returns.1, made.returns.0),
        probability: made.probability,
        reason,
    }
}

fn retired(
    ad: AdId,
    slot: u8,
    pause: &regie_learn::adapt::Pause,
    template: &super::learning::TemplateShown,
    spec: &AdaptSpec,
) -> AdaptStep {
    let element = Element { slot, asset: pause.id as u16 };
    let reason = format!(
        "{} multiplies the odds of a success by {:.2}, the best of its slot by {:.2}; that it is as good within {:.0}% has probability {:.1e} after at least {} impressions.",
        template.spec.words(element),
        pause.rates.1,
        pause.rates.0,
        f64::from(spec.tolerance_ppm) / 1e4,
        pause.probability,
        spec.least_impressions_count
    );
    AdaptStep::ElementRetired { ad, element, probability: pause.probability, reason }
}
