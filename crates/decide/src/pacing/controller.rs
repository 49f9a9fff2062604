//! The controller: multipliers and pass probabilities from what was spent, what is left, and the traffic still to come.
//!
//! A budget that buys many events in auctions has a multiplier on its bids (`dual`): it then wins where it is worth
//! most to it. A budget of few events, or one that does not compete by price, is throttled: for it the controller
//! estimates what a unit of expected traffic would spend if nobody sat out, `speed = spent / (pass x traffic)`,
//! over a window that forgets, and sets `pass = what is left / (traffic still to come x speed)`, at most 1
//! (probabilistic throttling as in Agarwal et al., Budget Pacing for Targeted Online Advertisements at LinkedIn,
//! KDD 2014, section 3; Xu et al., Smart Pacing, KDD 2015). Both take what remains anew each time, so that errors of
//! shape and estimate correct themselves. An ad set has the smallest number of its budgets: the one that binds.
//! Refuses a multiplier or probability above 1.

use super::{
    TrafficShape,
    dual::{Dual, Passed},
};
use crate::tables::{PPM, Row};
use regie_model::{AdSetId, CampaignId, UtcMs, Zone};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long what was observed counts, once enough was.
const MEMORY_MS: f64 = 120_000.0;
/// Updates with spend before an estimate is trusted, and below which nothing is forgotten.
const TRUSTED_HITS: f64 = 30.0;
/// How many spending updates' worth ahead of its curve a budget must be for an estimate to count at once.
const AHEAD_HITS: f64 = 3.0;
/// Smallest probability of a budget that has something left.
const PASS_MIN: f64 = 1e-6;
/// Events of a period from which on a budget is paced by its bids.
pub const BIDS_EVENTS_MIN: f64 = 100.0;
/// How far a budget that does not bind may stand above the one that does, as a logarithm: it must not have to come
/// down a long way when it binds again.
const SLACK_LOG: f64 = 0.7;

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
    /// What one billed event costs at most, the bid; 0 when unknown, and the budget is then throttled.
    pub event: i64,
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
    /// It competes by price: a multiplier on its bid changes what it wins.
    pub bids: bool,
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
    /// What its bid counts for, parts per million of itself.
    pub multiplier_ppm: u32,
    /// How far its goal is behind its curve, parts per million of what is left; 0 without a goal.
    pub need_ppm: u32,
}
impl Pass {
    /// The row of a table with this outcome.
    #[must_use]
    pub fn row(&self, rates: Row) -> Row {
        let Pass { pass_ppm, multiplier_ppm, need_ppm, .. } = *self;
        Row { pass_ppm, multiplier_ppm, need_ppm, ..rates }
    }
}

/// What is remembered of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    pass: f64,
    dual: Dual,
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
            dual: Dual::default(),
            seen_at: now,
            starts_at: budget.starts_at,
            seen_spent: budget.spent,
            spent: 0.0,
            exposure: 0.0,
            hits: 0.0,
        }
    }
    /// Steps the multiplier; to be called before [`Memory::observe`] has taken in what was spent.
    fn steer(&mut self, now: UtcMs, budget: &Budget, traffic: &mut Traffic<'_>) {
        let seen_spent = if self.starts_at == budget.starts_at { self.seen_spent } else { 0 };
        if self.starts_at != budget.starts_at {
            self.dual.begin();
        }
        let since = self.seen_at.max(budget.starts_at);
        self.dual.step(Passed {
            traffic: traffic.mass(since, now),
            spent: budget.spent.saturating_sub(seen_spent).max(0) as f64,
            to_come: traffic.mass(now.max(budget.starts_at), budget.ends_at),
            whole: traffic.mass(budget.starts_at, budget.ends_at),
            left: budget.total.saturating_sub(budget.spent) as f64,
            event: budget.event as f64,
            total: budget.total as f64,
        });
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
        let bidding: BTreeSet<BudgetKey> =
            ad_sets.iter().filter(|paced| paced.bids).flat_map(|paced| paced.budgets.clone()).collect();
        let goals = ad_sets.iter().filter_map(|paced| paced.goal.map(|goal| goal_budget(paced.ad_set, goal)));
        let mut controls: BTreeMap<BudgetKey, Control> = BTreeMap::new();
        let by_price = |key: &BudgetKey| bidding.contains(key);
        for budget in budgets.iter().copied().chain(goals) {
            let mut memory = before.remove(&budget.key).unwrap_or_else(|| Memory::new(&budget, now));
            let bids = budget.event > 0
                && budget.total as f64 >= BIDS_EVENTS_MIN * budget.event as f64
                && by_price(&budget.key);
            if bids {
                memory.steer(now, &budget, &mut traffic);
                // A throttle that takes over later begins from the present.
                memory.pass = if budget.total > budget.spent { 1.0 } else { 0.0 };
                (memory.seen_at, memory.seen_spent) = (memory.seen_at.max(now), budget.spent);
                memory.starts_at = budget.starts_at;
            } else {
                // A spent budget delivers nothing, which says nothing about the traffic.
                if memory.pass > 0.0 {
                    memory.observe(now, &budget, &mut traffic);
                } else {
                    (memory.seen_at, memory.seen_spent, memory.starts_at) =
                        (now, budget.spent, budget.starts_at);
                }
                memory.pass = memory.decide(now, &budget, &mut traffic);
            }
            let multiplier = if bids { memory.dual.multiplier() } else { 1.0 };
            controls.insert(budget.key, Control { pass: memory.pass, multiplier });
            self.budgets.push((budget.key, memory));
        }
        self.rein_in(ad_sets, &controls);
        ad_sets.iter().map(|paced| pass_of(paced, &controls, now, &mut traffic)).collect()
    }

    /// Keeps multipliers that do not bind near those that do.
    fn rein_in(&mut self, ad_sets: &[Paced], controls: &BTreeMap<BudgetKey, Control>) {
        let mut highest: BTreeMap<BudgetKey, f64> = BTreeMap::new();
        for paced in ad_sets.iter().filter(|paced| paced.budgets.len() > 1) {
            let own = || paced.budgets.iter().filter_map(|key| controls.get(key));
            let binding = own().map(|control| control.multiplier).fold(1.0, f64::min);
            for key in &paced.budgets {
                let most = highest.entry(*key).or_insert(0.0);
                *most = most.max(binding);
            }
        }
        // Ad sets with one budget are held by it alone: it binds.
        for paced in ad_sets.iter().filter(|paced| paced.budgets.len() == 1) {
            highest.remove(&paced.budgets[0]);
        }
        for (key, memory) in &mut self.budgets {
            if let Some(most) = highest.get(key) {
                memory.dual.log = memory.dual.log.min(most.max(f64::MIN_POSITIVE).ln() + SLACK_LOG);
            }
        }
    }
}

/// What one budget asks of the ad sets that draw on it.
#[derive(Clone, Copy)]
struct Control {
    pass: f64,
    multiplier: f64,
}

fn goal_budget(ad_set: AdSetId, goal: Goal) -> Budget {
    Budget {
        key: BudgetKey::Goal(ad_set),
        spent: i64::try_from(goal.delivered_count).unwrap_or(i64::MAX),
        total: i64::try_from(goal.goal_count).unwrap_or(i64::MAX),
        event: 0,
        starts_at: goal.starts_at,
        ends_at: goal.ends_at,
    }
}

fn pass_of(
    paced: &Paced,
    controls: &BTreeMap<BudgetKey, Control>,
    now: UtcMs,
    traffic: &mut Traffic<'_>,
) -> Pass {
    let goal_key = paced.goal.map(|_| BudgetKey::Goal(paced.ad_set));
    let own = || paced.budgets.iter().chain(&goal_key).filter_map(|key| controls.get(key));
    let mut pass = own().map(|control| control.pass).fold(1.0, f64::min);
    let mut multiplier = own().map(|control| control.multiplier).fold(1.0, f64::min);
    if !paced.bids {
        // Its price decides nothing: it gives way by sitting out.
        (pass, multiplier) = (pass.min(multiplier), 1.0);
    }
    if paced.asap && pass > 0.0 {
        (pass, multiplier) = (1.0, 1.0);
    }
    let need_ppm = paced.goal.map_or(0, |goal| {
        let whole = traffic.mass(goal.starts_at, goal.ends_at);
        let done = traffic.mass(goal.starts_at, now.min(goal.ends_at));
        let curve = goal.goal_count as f64 * if whole > 0.0 { done / whole } else { 1.0 };
        let left = goal.goal_count.saturating_sub(goal.delivered_count) as f64;
        let behind = (curve - goal.delivered_count as f64).max(0.0);
        if left > 0.0 { (behind / left * f64::from(PPM)).round().min(f64::from(PPM)) as u32 } else { 0 }
    });
    // Rounded up: a number above zero stays above zero.
    let ppm = |share: f64| ((share * f64::from(PPM)).ceil() as u32).min(PPM);
    Pass { ad_set: paced.ad_set, pass_ppm: ppm(pass), multiplier_ppm: ppm(multiplier), need_ppm }
}
