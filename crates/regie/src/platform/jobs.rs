//! What runs by the clock: pacing and predicted rates, aggregate traffic, flat fees, expiring holds.
//!
//! Each is a pure function of what the folds and the catalogue say, called about once a second; what it changes goes
//! through the journal like everything else, or is soft state.

use super::{Platform, lock};
use regie_decide::{
    Row, Tables,
    pacing::{Budget, BudgetKey, Controller, Goal, Paced, TrafficShape},
    rates::{self, Counts},
};
use regie_ledger::{BudgetView, Ledger};
use regie_model::{
    AdSetId, CampaignId, UtcMs, Zone,
    booking::{AdSetSpec, Bid, CampaignSpec, Flight, Pacing, Status, Tier},
    catalogue::Catalogue,
    event::Event,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Memory of the pacing controllers: one for each zone that accounts have, since a day is the account's own.
#[derive(Default)]
pub struct PacingState {
    controllers: HashMap<String, Controller>,
    shape: Option<(i64, TrafficShape, Zone)>,
}

impl Platform {
    /// Everything that is due about once a second.
    pub fn tick(&self) {
        self.tick_budgets();
        self.tick_tables();
    }
    /// Budgets, holds and flat fees: about once a second, whatever the size of the catalogue.
    pub fn tick_budgets(&self) {
        let now = self.now();
        self.gate.sweep(now);
        self.refresh_whole_gate();
        self.mask_spent();
        self.accrue_flat_fees(now);
    }
    /// Pacing, predicted rates and what was learned; of a large catalogue less often, since all of it is looked at.
    pub fn tick_tables(&self) {
        let now = self.now();
        self.refresh_learning(now);
        self.update_tables(now);
    }
    /// Journals what was counted of decisions since the last time.
    pub fn flush_traffic(&self) {
        if let Some(traffic) = self.traffic.take(self.now())
            && let Err(error) = self.submit(&[Event::Traffic(Box::new(traffic))], Box::new(|_| {}))
        {
            tracing::warn!(%error, "aggregate traffic was not journalled");
        }
    }
    /// Journals the days of flat fees that have come due; a day that is journalled twice changes nothing.
    fn accrue_flat_fees(&self, now: UtcMs) {
        let due = lock(&self.folds).ledger.due_flat_fees(now);
        if !due.is_empty() {
            let events: Vec<Event> =
                due.into_iter().map(|(ad_set, day)| Event::FlatFeeAccrued { ad_set, day }).collect();
            let _ = self.submit(&events, Box::new(|_| {}));
        }
    }
    /// Learns pacing and rates from what the ledger counted, and swaps the tables.
    fn update_tables(&self, now: UtcMs) {
        let rows = {
            let catalogue = self.catalogue();
            let folds = lock(&self.folds);
            let mut pacing = lock(&self.pacing);
            rows(&catalogue, &folds.ledger, &mut pacing, now)
        };
        // Where something was counted, rates are those of the current allocation.
        let (learned, rates) = self.learned();
        let mut rows: BTreeMap<AdSetId, Row> = rows.into_iter().collect();
        for (id, (click_ppb, conversion_ppb)) in rates.iter() {
            let row = rows.entry(*id).or_default();
            (row.click_ppb, row.conversion_ppb) = (*click_ppb, *conversion_ppb);
        }
        let tables = Tables::new(rows).with_learned(learned);
        if tables != **self.tables.load() {
            let view = self.current_view();
            self.tables.store(Arc::new(tables.align(&view.snapshot)));
        }
    }
}

fn rows(catalogue: &Catalogue, ledger: &Ledger, pacing: &mut PacingState, now: UtcMs) -> Vec<(AdSetId, Row)> {
    let zone = catalogue.publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone());
    let shape = shape_of(ledger, pacing, &zone, now);
    let mut rows: BTreeMap<AdSetId, Row> = rates_of(catalogue, ledger);
    let mut by_zone: BTreeMap<String, (Vec<Budget>, Vec<Paced>)> = BTreeMap::new();
    let mut seen: HashMap<BudgetKey, usize> = HashMap::new();
    for (id, set) in catalogue.ad_sets.iter().filter(|(_, s)| s.status == Status::Active) {
        let Some(campaign) = catalogue.campaigns.get(&set.spec.campaign) else { continue };
        let Some(account) = catalogue.advertisers.get(&campaign.spec.advertiser) else { continue };
        let flight = set.spec.flight_in(&campaign.spec);
        if !flight.contains(now) {
            continue;
        }
        let (budgets, paced) = by_zone.entry(account.spec.zone.name().to_owned()).or_default();
        let mut keys = Vec::new();
        let event = event_nanos(&set.spec.bid);
        let mut add = |key: BudgetKey, view: Option<BudgetView>, flight: Flight| {
            let budget = view.and_then(|v| budget_of(key, &v, flight, &account.spec.zone, &shape, now));
            if let Some(budget) = budget {
                keys.push(key);
                let at = *seen.entry(key).or_insert(budgets.len());
                if at == budgets.len() {
                    budgets.push(budget);
                }
                budgets[at].event = budgets[at].event.max(event);
            }
        };
        add(
            BudgetKey::Campaign(set.spec.campaign),
            ledger.campaign_budget(set.spec.campaign, now),
            campaign.spec.flight,
        );
        add(BudgetKey::AdSet(*id), ledger.ad_set_budget(*id, now), flight);
        paced.push(paced_of(*id, &set.spec, flight, keys, ledger));
    }
    pacing.controllers.retain(|zone, _| by_zone.contains_key(zone));
    for (name, (budgets, paced)) in by_zone {
        let controller = pacing.controllers.entry(name).or_default();
        for pass in controller.update(now, (&shape, &zone), &budgets, &paced) {
            let row = rows.entry(pass.ad_set).or_default();
            *row = pass.row(*row);
        }
    }
    rows.into_iter().collect()
}

/// The publisher's traffic by hour of the week, learned from whole hours that have passed; read again once an hour.
fn shape_of(ledger: &Ledger, pacing: &mut PacingState, zone: &Zone, now: UtcMs) -> TrafficShape {
    let hour = now.hour().0;
    if let Some((at, shape, of)) = &pacing.shape
        && *at == hour
        && of == zone
    {
        return shape.clone();
    }
    let mut sums: BTreeMap<i64, u64> = BTreeMap::new();
    for (at, _, counts) in ledger.traffic().all_hours().filter(|(at, _, _)| at.0 < hour) {
        *sums.entry(at.0).or_default() += counts.requests_count;
    }
    let mut shape = TrafficShape::flat();
    // The first hour is seldom whole.
    for (at, requests) in sums.iter().skip(1) {
        shape.observe(zone.hour_of_week(regie_model::UtcHour(*at).start()), *requests);
    }
    pacing.shape = Some((hour, shape.clone(), zone.clone()));
    shape
}

/// What one billed event costs at most, nanos of the account's currency; 0 where no event is billed.
fn event_nanos(bid: &Bid) -> i64 {
    match bid {
        // Micros per mille are nanos an impression.
        Bid::Cpm { micros_per_mille } => *micros_per_mille,
        Bid::Cpc { micros_per_click } => micros_per_click.saturating_mul(1_000),
        Bid::Cpa { micros_per_conversion, .. } => micros_per_conversion.saturating_mul(1_000),
        Bid::FlatFee { .. } | Bid::Free => 0,
    }
}

/// The budget that is paced today: the daily one, or today's share of the lifetime one, whichever is smaller.
fn budget_of(
    key: BudgetKey,
    view: &BudgetView,
    flight: Flight,
    zone: &Zone,
    shape: &TrafficShape,
    now: UtcMs,
) -> Option<Budget> {
    let day = zone.day(now);
    let (start, end) = (zone.day_start(day), zone.day_start(regie_model::Day(day.0 + 1)));
    let starts_at = start.max(flight.starts_at);
    let ends_at = flight.ends_at.map_or(end, |e| e.min(end));
    let clip = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
    let spent = clip(view.gross_today.0);
    let daily = view.daily.map(|n| clip(n.0));
    let lifetime = view.lifetime.map(|n| {
        let left_at_start = clip(n.0 - view.gross.0 + view.gross_today.0).max(0);
        match flight.ends_at {
            Some(flight_ends) => shape.share_of_day(zone, left_at_start, (starts_at, ends_at), flight_ends),
            // Without an end there is nothing to spread over: only the daily budget paces.
            None => i64::MAX,
        }
    });
    let total = daily.into_iter().chain(lifetime).min().filter(|total| *total < i64::MAX)?;
    (starts_at < ends_at).then_some(Budget { key, spent, total, event: 0, starts_at, ends_at })
}

fn paced_of(
    ad_set: AdSetId,
    spec: &AdSetSpec,
    flight: Flight,
    budgets: Vec<BudgetKey>,
    ledger: &Ledger,
) -> Paced {
    let goal = match (spec.tier, flight.ends_at) {
        (Tier::Guaranteed { impressions_count }, Some(ends_at)) => Some(Goal {
            delivered_count: ledger.counts(ad_set).impressions_count,
            goal_count: impressions_count,
            starts_at: flight.starts_at,
            ends_at,
        }),
        _ => None,
    };
    let asap = spec.pacing == Pacing::Asap;
    // As fast as possible is not held to a day's share of a lifetime budget: the gate stops it when the budget is spent.
    let budgets = if asap { Vec::new() } else { budgets };
    Paced { ad_set, asap, bids: spec.tier == Tier::Auction, budgets, goal }
}

/// Predicted click and conversion rates, shrunk from ad set to campaign to all.
fn rates_of(catalogue: &Catalogue, ledger: &Ledger) -> BTreeMap<AdSetId, Row> {
    #[derive(Clone, Copy, Default)]
    struct Sum {
        impressions: u64,
        clicks: u64,
        conversions: u64,
    }
    let mut overall = Sum::default();
    let mut campaigns: HashMap<CampaignId, Sum> = HashMap::new();
    let mut sets = Vec::with_capacity(catalogue.ad_sets.len());
    for (id, set) in &catalogue.ad_sets {
        let counts = ledger.counts(*id);
        let own = Sum {
            impressions: counts.impressions_count,
            clicks: counts.clicks_count,
            conversions: counts.conversions_count,
        };
        for sum in [&mut overall, campaigns.entry(set.spec.campaign).or_default()] {
            sum.impressions += own.impressions;
            sum.clicks += own.clicks;
            sum.conversions += own.conversions;
        }
        sets.push((*id, set.spec.campaign, own));
    }
    let clicks = |s: Sum| Counts { impressions_count: s.impressions, actions_count: s.clicks };
    let conversions = |s: Sum| Counts { impressions_count: s.impressions, actions_count: s.conversions };
    let rows = sets.into_iter().map(|(id, campaign, own)| {
        let shared = campaigns.get(&campaign).copied().unwrap_or_default();
        let click_ppb =
            rates::predict_ppb(clicks(overall), clicks(shared), clicks(own), rates::PRIOR_CLICK_PPB);
        let conversion_ppb = rates::predict_ppb(
            conversions(overall),
            conversions(shared),
            conversions(own),
            rates::PRIOR_CONVERSION_PPB,
        );
        (id, Row { click_ppb, conversion_ppb, ..Row::default() })
    });
    rows.collect()
}

/// Whether a campaign's flight is over, for pages.
pub fn is_over(campaign: &CampaignSpec, now: UtcMs) -> bool {
    campaign.flight.ends_at.is_some_and(|end| end <= now)
}
