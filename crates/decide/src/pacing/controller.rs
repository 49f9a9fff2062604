//! The controller: pass probabilities from what was spent, what is left, and the traffic still to come.
//!
//! For each budget it estimates what a unit of expected traffic would spend if nobody sat out,
//! `speed = spent / (pass x traffic)`, over a window that forgets, and then sets
//! `pass = what is left / (traffic still to come x speed)`, at most 1. Because both remainders are taken anew
//! each time, errors of shape and estimate correct themselves (probabilistic throttling as in Agarwal et al.,
//! Budget Pacing for Targeted Online Advertisements at LinkedIn, KDD 2014; Xu et al., Smart Pacing, KDD 2015).
//! An ad set passes with the smallest of its budgets' probabilities. A budget that is short of traffic is at 1.

use super::TrafficShape;
use crate::tables::{PPM, Row};
use regie_model::{AdSetId, CampaignId, UtcMs, Zone};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long what was observed counts, once enough was.
const MEMORY_MS: f64 = 120_000.0;
/// Updates with spend before an estimate is trusted, and below which nothing is forgotten.
const TRUSTED_HITS: f64 = 30.0;
/// How many spending updates' worth ahead of its curve a budget must be for an estimate to count at once.
const AHEAD_HITS: f64 = 3.0;
/// Smallest probability of a budget that has something left.
const PASS_MIN: f64 = 1e-6;

/// Which budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum BudgetKey {
    /// A campaign's money.
    Campaign(CampaignId),
    /// An ad set's money.
    AdSet(AdSetId),
    /// A guaranteed ad set's impressions.
    Goal(AdSetId),
}

/// A budget as it stands. Amounts in any one unit (nanos, impressions), the same in every update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Which.
    pub key: BudgetKey,
    /// Spent in the period; with what is held, where holds are known.
    pub spent: i64,
    /// In force for the period: the daily budget, or [`TrafficShape::share_of_day`] of a lifetime budget.
    pub total: i64,
    /// First moment of the period: of the account-zone day, or of the flight if that begins later.
    pub starts_at: UtcMs,
    /// First moment after it: of the next day, or the flight's end if that comes earlier.
    pub ends_at: UtcMs,
}

/// An impression goal over its flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Delivered so far.
    pub delivered_count: u64,
    /// Promised.
    pub goal_count: u64,
    /// First moment of the flight.
    pub starts_at: UtcMs,
    /// First moment after it.
    pub ends_at: UtcMs,
}

/// An ad set that is paced.
#[derive(Clone, Debug, PartialEq)]
pub struct Paced {
    /// Which.
    pub ad_set: AdSetId,
    /// As fast as possible: budgets do not hold it back before they are spent.
    pub asap: bool,
    /// The budgets it draws on, among those given.
    pub budgets: Vec<BudgetKey>,
    /// Its goal, when it is guaranteed.
    pub goal: Option<Goal>,
}

/// What came out for an ad set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Which.
    pub ad_set: AdSetId,
    /// Probability that it takes part, parts per million.
    pub pass_ppm: u32,
    /// How far its goal is behind its curve, parts per million of what is left; 0 without a goal.
    pub need_ppm: u32,
}
impl Pass {
    /// The row of a table with this outcome.
    #[must_use]
    pub fn row(&self, rates: Row) -> Row {
        Row { pass_ppm: self.pass_ppm, need_ppm: self.need_ppm, ..rates }
    }
}

/// What is remembered of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    pass: f64,
    seen_at: UtcMs,
    starts_at: UtcMs,
    seen_spent: i64,
    /// Forgetting sums: spent, and pass x traffic, and updates with spend.
    spent: f64,
    exposure: f64,
    hits: f64,
}

/// The memory of all budgets. Serialisable: a restart may take it up again, or lose it gladly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Controller {
    budgets: Vec<(BudgetKey, Memory)>,
}

/// Shape and zone with the integrals that many budgets share.
struct Traffic<'a> {
    shape: &'a TrafficShape,
    zone: &'a Zone,
    known: BTreeMap<(UtcMs, UtcMs), f64>,
}
impl Traffic<'_> {
    fn mass(&mut self, from: UtcMs, to: UtcMs) -> f64 {
        *self.known.entry((from, to)).or_insert_with(|| self.shape.mass(self.zone, from, to))
    }
}

impl Memory {
    fn new(budget: &Budget, now: UtcMs) -> Memory {
        Memory {
            pass: 1.0,
            seen_at: now,
            starts_at: budget.starts_at,
            seen_spent: budget.spent,
            spent: 0.0,
            exposure: 0.0,
            hits: 0.0,
        }
    }
    /// Takes in what was spent since the last update.
    fn observe(&mut self, now: UtcMs, budget: &Budget, traffic: &mut Traffic<'_>) {
        if self.starts_at != budget.starts_at {
            // A new period: what was spent counts from nothing, what was learned stays.
            (self.starts_at, self.seen_spent) = (budget.starts_at, 0);
        }
        let spent = budget.spent.saturating_sub(self.seen_spent).max(0);
        let since = self.seen_at.max(budget.starts_at);
        if now > since {
            if self.hits > TRUSTED_HITS {
                let keep = (-((now.0 - since.0) as f64) / MEMORY_MS).exp();
                let keep = keep.max(TRUSTED_HITS / self.hits);
                (self.spent, self.exposure, self.hits) =
                    (self.spent * keep, self.exposure * keep, self.hits * keep);
            }
            self.exposure += self.pass * traffic.mass(since, now);
            self.spent += spent as f64;
            self.hits += f64::from(u8::from(spent > 0));
            self.seen_spent = budget.spent;
        }
        self.seen_at = self.seen_at.max(now);
    }
    /// The probability from now on.
    fn decide(&mut self, now: UtcMs, budget: &Budget, traffic: &mut Traffic<'_>) -> f64 {
        let left = budget.total.saturating_sub(budget.spent) as f64;
        if left <= 0.0 {
            return 0.0;
        }
        let to_come = traffic.mass(now.max(budget.starts_at), budget.ends_at);
        if self.hits < 1.0 || self.exposure <= 0.0 || to_come <= 0.0 {
            return 1.0;
        }
        let whole = traffic.mass(budget.starts_at, budget.ends_at);
        let curve = budget.total as f64 * (1.0 - to_come / whole.max(to_come));
        let ahead = budget.spent as f64 - curve > AHEAD_HITS * self.spent / self.hits;
        // An estimate from few events may be far too high, and would starve a budget that is short of traffic:
        // unless it is ahead of its curve, the low end of the estimate's range (two standard errors) counts.
        let doubt = if self.hits < TRUSTED_HITS && !ahead { 1.0 - 2.0 / self.hits.sqrt() } else { 1.0 };
        let speed = doubt.max(0.0) * self.spent / self.exposure;
        let pass = left / (to_come * speed);
        if pass.is_finite() { pass.clamp(PASS_MIN, 1.0) } else { 1.0 }
    }
}

impl Controller {
    /// Takes in how all budgets stand and says what each ad set's probability is from now on. Call it every few
    /// seconds; budgets that are no longer given are forgotten. `zone` is the one in which `shape` was learned.
    pub fn update(
        &mut self,
        now: UtcMs,
        (shape, zone): (&TrafficShape, &Zone),
        budgets: &[Budget],
        ad_sets: &[Paced],
    ) -> Vec<Pass> {
        let mut traffic = Traffic { shape, zone, known: BTreeMap::new() };
        let mut before: BTreeMap<BudgetKey, Memory> = std::mem::take(&mut self.budgets).into_iter().collect();
        let goals = ad_sets.iter().filter_map(|paced| paced.goal.map(|goal| goal_budget(paced.ad_set, goal)));
        let mut passes: BTreeMap<BudgetKey, f64> = BTreeMap::new();
        for budget in budgets.iter().copied().chain(goals) {
            let mut memory = before.remove(&budget.key).unwrap_or_else(|| Memory::new(&budget, now));
            // A spent budget delivers nothing, which says nothing about the traffic.
            if memory.pass > 0.0 {
                memory.observe(now, &budget, &mut traffic);
            } else {
                (memory.seen_at, memory.seen_spent, memory.starts_at) = (now, budget.spent, budget.starts_at);
            }
            memory.pass = memory.decide(now, &budget, &mut traffic);
            passes.insert(budget.key, memory.pass);
            self.budgets.push((budget.key, memory));
        }
        ad_sets.iter().map(|paced| pass_of(paced, &passes, now, &mut traffic)).collect()
    }
}

fn goal_budget(ad_set: AdSetId, goal: Goal) -> Budget {
    Budget {
        key: BudgetKey::Goal(ad_set),
        spent: i64::try_from(goal.delivered_count).unwrap_or(i64::MAX),
        total: i64::try_from(goal.goal_count).unwrap_or(i64::MAX),
        starts_at: goal.starts_at,
        ends_at: goal.ends_at,
    }
}

fn pass_of(paced: &Paced, passes: &BTreeMap<BudgetKey, f64>, now: UtcMs, traffic: &mut Traffic<'_>) -> Pass {
    let goal_key = paced.goal.map(|_| BudgetKey::Goal(paced.ad_set));
    let own = paced.budgets.iter().chain(&goal_key);
    let smallest = own.filter_map(|key| passes.get(key)).copied().fold(1.0, f64::min);
    let pass = if paced.asap && smallest > 0.0 { 1.0 } else { smallest };
    let need_ppm = paced.goal.map_or(0, |goal| {
        let whole = traffic.mass(goal.starts_at, goal.ends_at);
        let done = traffic.mass(goal.starts_at, now.min(goal.ends_at));
        let curve = goal.goal_count as f64 * if whole > 0.0 { done / whole } else { 1.0 };
        let left = goal.goal_count.saturating_sub(goal.delivered_count) as f64;
        let behind = (curve - goal.delivered_count as f64).max(0.0);
        if left > 0.0 { (behind / left * f64::from(PPM)).round().min(f64::from(PPM)) as u32 } else { 0 }
    });
    // Rounded up: a probability above zero stays above zero.
    Pass { ad_set: paced.ad_set, pass_ppm: (pass * f64::from(PPM)).ceil() as u32, need_ppm }
}
