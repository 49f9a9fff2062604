//! The budget gate: soft holds that keep free over-delivery small. Soft state: lost gladly in a crash.
//!
//! Each budget (account, campaign, ad set) has what the ledger says remains and what decisions hold of it. A hold is
//! taken at the decision and released by its impression or click, or when its minute expires. Billing never looks here
//! (law B1 is the ledger's); the gate only refuses ad sets that could not be billed. Readers take no lock.

use super::sharded::Sharded;
use arc_swap::{ArcSwap, Guard};
use regie_decide::BudgetGate;
use regie_model::{AdSetId, AdvertiserId, CampaignId, UtcMs};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
};

/// Holds are told apart by spans of so many minutes.
const SPAN_MINUTES: i64 = 5;
/// Spans after which a hold expires: after 61 to 65 minutes, since a ticket lives one hour.
const HOLD_SPANS: i64 = 13;
/// Spans that are told apart: those that live, and the one that begins.
const SPANS: usize = HOLD_SPANS as usize + 1;
/// Stands for "no limit".
const UNLIMITED: i64 = i64::MAX;

/// One budget as the gate sees it.
pub struct Budget {
    remaining: AtomicI64,
    held: AtomicI64,
    by_span: [AtomicI64; SPANS],
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            remaining: AtomicI64::new(UNLIMITED),
            held: AtomicI64::new(0),
            by_span: std::array::from_fn(|_| AtomicI64::new(0)),
        }
    }
}

/// The span in which a moment falls.
fn span(at: UtcMs) -> i64 {
    at.minute().div_euclid(SPAN_MINUTES)
}

impl Draws {
    /// The budgets and the goal.
    fn all(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.budgets.iter().chain(&self.goal)
    }
}

impl Budget {
    /// Nothing remains by the ledger's word, holds apart.
    fn is_spent(&self) -> bool {
        self.remaining.load(Relaxed) <= 0
    }
    fn is_empty(&self) -> bool {
        let remaining = self.remaining.load(Relaxed);
        remaining != UNLIMITED && remaining - self.held.load(Relaxed) <= 0
    }
    fn of_span(&self, span: i64) -> &AtomicI64 {
        &self.by_span[span.rem_euclid(SPANS as i64) as usize]
    }
    fn hold(&self, nanos: i64, span: i64) {
        self.held.fetch_add(nanos, Relaxed);
        self.of_span(span).fetch_add(nanos, Relaxed);
    }
    fn release(&self, nanos: i64, span: i64) {
        let bucket = self.of_span(span);
        // Never below nothing: a hold lost in a restart has nothing to release.
        let taken =
            bucket.fetch_update(Relaxed, Relaxed, |held| Some((held - nanos).max(0))).unwrap_or(0).min(nanos);
        self.held.fetch_sub(taken, Relaxed);
    }
    fn expire(&self, span: i64) {
        let left = self.of_span(span).swap(0, Relaxed);
        self.held.fetch_sub(left, Relaxed);
    }
    /// Sets what the ledger says remains; `None` is no limit. Nanos of the account's currency.
    pub fn set_remaining(&self, nanos: Option<i128>) {
        let value = nanos.map_or(UNLIMITED, |n| i64::try_from(n).unwrap_or(UNLIMITED - 1));
        self.remaining.store(value, Relaxed);
    }
    /// Nanos held now.
    pub fn held_nanos(&self) -> i64 {
        self.held.load(Relaxed)
    }
}

/// The budgets that one ad set draws on, and whether it is free of charge.
#[derive(Clone)]
pub struct Draws {
    /// Account, campaign, ad set.
    pub budgets: [Arc<Budget>; 3],
    /// Impressions left of a guaranteed goal, where there is one.
    pub goal: Option<Arc<Budget>>,
    /// Who is billed.
    pub advertiser: AdvertiserId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// A house ad: goes on when everything paid is stopped.
    pub house: bool,
}

/// All budgets.
#[derive(Default)]
pub struct Gate {
    /// Ad sets with an ad whose facts are not in the record's log yet.
    unlogged: ArcSwap<HashSet<AdSetId>>,
    draws: ArcSwap<Sharded<AdSetId, Draws>>,
    accounts: ArcSwap<Sharded<AdvertiserId, Arc<Budget>>>,
    campaigns: ArcSwap<Sharded<CampaignId, Arc<Budget>>>,
    paid_stopped: AtomicBool,
    swept_span: AtomicI64,
}

impl Gate {
    /// Puts a new set of ad sets in force.
    pub fn publish(
        &self,
        draws: Sharded<AdSetId, Draws>,
        accounts: Sharded<AdvertiserId, Arc<Budget>>,
        campaigns: Sharded<CampaignId, Arc<Budget>>,
    ) {
        self.draws.store(Arc::new(draws));
        self.accounts.store(Arc::new(accounts));
        self.campaigns.store(Arc::new(campaigns));
    }
    /// Refuses these ad sets until their ads are in the record's log.
    pub fn hold_back(&self, unlogged: HashSet<AdSetId>) {
        self.unlogged.store(Arc::new(unlogged));
    }
    /// The ad sets in force.
    pub fn draws(&self) -> Arc<Sharded<AdSetId, Draws>> {
        self.draws.load_full()
    }
    /// The accounts' budgets.
    pub fn accounts(&self) -> Arc<Sharded<AdvertiserId, Arc<Budget>>> {
        self.accounts.load_full()
    }
    /// The campaigns' budgets.
    pub fn campaigns(&self) -> Arc<Sharded<CampaignId, Arc<Budget>>> {
        self.campaigns.load_full()
    }
    /// Ad sets of which a budget or goal is used up by the ledger's word.
    pub fn spent(&self) -> Vec<AdSetId> {
        let draws = self.draws.load();
        let spent = |d: &Draws| !d.house && d.all().any(|b| b.is_spent());
        draws.iter().filter(|(_, d)| spent(d)).map(|(id, _)| *id).collect()
    }
    /// Stops everything that is paid for, at once.
    pub fn stop_paid(&self, stop: bool) {
        self.paid_stopped.store(stop, Relaxed);
    }
    /// Whether everything paid is stopped.
    pub fn is_paid_stopped(&self) -> bool {
        self.paid_stopped.load(Relaxed)
    }
    /// What one decision reads: the ad sets in force are found once, not for each that is asked about.
    pub fn read(&self) -> Reading {
        Reading {
            unlogged: self.unlogged.load(),
            draws: self.draws.load(),
            house_only: self.is_paid_stopped(),
        }
    }
    /// Holds an amount for a ticket issued now.
    pub fn hold(&self, ad_set: AdSetId, nanos: i64, now: UtcMs) {
        self.read().hold(ad_set, nanos, now);
    }
    /// Releases the hold of a ticket issued at `issued_at`.
    pub fn release(&self, ad_set: AdSetId, nanos: i64, impressions: i64, issued_at: UtcMs, now: UtcMs) {
        if span(now) - span(issued_at) >= HOLD_SPANS {
            return;
        }
        if let Some(draws) = self.draws.load().get(&ad_set) {
            draws.goal.iter().for_each(|goal| goal.release(impressions, span(issued_at)));
            if nanos > 0 {
                draws.budgets.iter().for_each(|b| b.release(nanos, span(issued_at)));
            }
        }
    }
    /// Lets holds expire; called about once a second.
    pub fn sweep(&self, now: UtcMs) {
        let last = self.swept_span.swap(span(now), Relaxed);
        if last == 0 || last >= span(now) {
            return;
        }
        let first = last.max(span(now) - SPANS as i64);
        for (_, draws) in self.draws.load().iter() {
            for begun in first + 1..=span(now) {
                draws.all().for_each(|b| b.expire(begun - HOLD_SPANS));
            }
        }
    }
}

/// The gate as one decision sees it. Amounts go on moving; which ad sets there are, and the switch, stay.
pub struct Reading {
    unlogged: Guard<Arc<HashSet<AdSetId>>>,
    draws: Guard<Arc<Sharded<AdSetId, Draws>>>,
    house_only: bool,
}
impl Reading {
    /// Holds an amount for a ticket issued now, and a place of the ad set's goal where it has one.
    pub fn hold(&self, ad_set: AdSetId, nanos: i64, now: UtcMs) {
        if let Some(draws) = self.draws.get(&ad_set) {
            draws.goal.iter().for_each(|goal| goal.hold(1, span(now)));
            if nanos > 0 {
                draws.budgets.iter().for_each(|b| b.hold(nanos, span(now)));
            }
        }
    }
}
impl BudgetGate for Reading {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        if !self.unlogged.is_empty() && self.unlogged.contains(&ad_set) {
            return true;
        }
        match self.draws.get(&ad_set) {
            Some(draws) if draws.house => false,
            Some(draws) => draws.all().any(|b| b.is_empty()),
            None => true,
        }
    }
    fn house_only(&self) -> bool {
        self.house_only
    }
}

impl BudgetGate for Gate {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        self.read().refuses(ad_set)
    }
    fn house_only(&self) -> bool {
        self.is_paid_stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(gate: &Gate, all: &[(u32, Draws)]) {
        let mut draws = Sharded::default();
        all.iter().for_each(|(id, one)| draws.insert(AdSetId(*id), one.clone()));
        gate.publish(draws, Sharded::default(), Sharded::default());
    }
    fn gate_with(remaining: i128) -> (Gate, Draws) {
        let gate = Gate::default();
        let draws = Draws {
            budgets: std::array::from_fn(|_| Arc::default()),
            goal: None,
            advertiser: AdvertiserId(1),
            campaign: CampaignId(1),
            house: false,
        };
        draws.budgets[1].set_remaining(Some(remaining));
        publish(&gate, &[(1, draws.clone())]);
        (gate, draws)
    }

    #[test]
    fn holds_refuse_until_released_or_expired() {
        let (gate, draws) = gate_with(100);
        let start = UtcMs(60_000 * 1_000);
        gate.sweep(start);
        assert!(!gate.refuses(AdSetId(1)));
        gate.hold(AdSetId(1), 100, start);
        assert!(gate.refuses(AdSetId(1)));
        gate.release(AdSetId(1), 100, 1, start, start);
        assert!(!gate.refuses(AdSetId(1)));
        gate.release(AdSetId(1), 100, 1, start, start);
        assert_eq!(draws.budgets[1].held_nanos(), 0, "a second release finds nothing");
        gate.hold(AdSetId(1), 100, start);
        let mut freed = None;
        for minute in 1..=HOLD_SPANS * SPAN_MINUTES {
            gate.sweep(UtcMs(start.0 + minute * 60_000));
            freed = freed.or((!gate.refuses(AdSetId(1))).then_some(minute));
        }
        assert_eq!(freed, Some(65), "no sooner than its ticket expires, and soon after it");
    }

    #[test]
    fn the_switch_spares_house_ads() {
        let (gate, draws) = gate_with(100);
        publish(&gate, &[(1, draws.clone()), (2, Draws { house: true, ..draws })]);
        gate.stop_paid(true);
        assert!(gate.house_only());
        assert!(!gate.refuses(AdSetId(2)));
    }
}
