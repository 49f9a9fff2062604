//! An independent checker of laws B1, B2 and B3: plain, slow, and of nothing but standard maps.
//!
//! It is shown what went in and what came out of a ledger, works each outcome out anew from everything it ever
//! saw (it forgets nothing: no bitmaps, no running day, no window that is dropped), and names the law where
//! the two differ. It shares no code with the fold beyond the words of `regie-model` and of outcomes.
//! Refuses nothing; memory grows with the journal, so it is for tests, simulation and `check`.

mod compare;
mod expect;

use crate::{
    books::ChargeKind,
    counters::Counters,
    outcome::{FreeReason, Limit, Outcome},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Day, UtcMs,
    booking::{AdSetSpec, AdvertiserSpec, Bid, CampaignSpec},
    command::{Change, Stop},
    event::{Conversion, ConversionSource, Event},
    ticket::{Billing, Ticket, TicketId},
};
use std::collections::{BTreeMap, BTreeSet};

/// A difference between what happened and what should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Id of the law.
    pub law: &'static str,
    /// Where in the journal; 0: in a comparison of balances.
    pub position: u64,
    /// What was found.
    pub detail: String,
}

/// Whose money, and of which day if it is a daily sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purse {
    Account(AdvertiserId),
    Campaign(CampaignId, Option<Day>),
    AdSet(AdSetId, Option<Day>),
}

/// A charge as it was reported.
#[derive(Clone, Debug)]
struct Charged {
    ad_set: AdSetId,
    ad: AdId,
    kind: ChargeKind,
    month: (i16, i8),
    nanos: i128,
    /// Month of each credit, and how much.
    credits: Vec<((i16, i8), i128)>,
}

/// The checker, with everything it ever saw.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    findings: Vec<Finding>,
    last: (u64, UtcMs),
    stopped: bool,
    /// When each epoch was opened.
    epochs: BTreeMap<u32, UtcMs>,
    advertisers: BTreeMap<AdvertiserId, AdvertiserSpec>,
    campaigns: BTreeMap<CampaignId, CampaignSpec>,
    ad_sets: BTreeMap<AdSetId, AdSetSpec>,
    /// Highest price by ad set and billing, nanos.
    highest: BTreeMap<(AdSetId, u8), i64>,
    actions: BTreeMap<AdSetId, String>,
    tax_rate_ppm: u32,
    deposits: BTreeMap<AdvertiserId, i128>,
    /// Uses by kind.
    used: BTreeSet<(&'static str, TicketId)>,
    conversions: BTreeMap<TicketId, BTreeSet<(String, [u8; 16])>>,
    pixels: BTreeMap<(AdvertiserId, Day), u32>,
    charges: BTreeMap<u64, Charged>,
    spent: BTreeMap<Purse, i128>,
    credited: BTreeMap<Purse, i128>,
    /// Free over-delivery by the budget that had nothing left.
    free: BTreeMap<(AdSetId, Limit), i128>,
    ads: BTreeMap<(AdId, Option<Day>), Counters>,
    shown: BTreeMap<(AdSetId, i64), (u64, u64)>,
    fees: BTreeMap<AdSetId, (i128, Day)>,
    months_closed: Vec<(AdvertiserId, (i16, i8))>,
}

/// Runs a whole list of events and outcomes through the checker.
pub fn check(list: &[(u64, UtcMs, Event, Outcome)]) -> Vec<Finding> {
    let mut audit = Audit::new();
    for (position, at, event, outcome) in list {
        audit.observe(*position, *at, event, outcome);
    }
    audit.findings
}

fn name(event: &Event) -> &'static str {
    event.kind()
}
fn get<K: Ord, V: Copy + Default>(map: &BTreeMap<K, V>, key: &K) -> V {
    map.get(key).copied().unwrap_or_default()
}

impl Audit {
    /// Has seen nothing.
    pub fn new() -> Audit {
        Audit::default()
    }
    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
    fn find(&mut self, law: &'static str, position: u64, detail: String) {
        self.findings.push(Finding { law, position, detail });
    }

    /// Is shown one event and what the ledger made of it. An [`Outcome::NeedsBlock`] is passed over.
    pub fn observe(&mut self, position: u64, at: UtcMs, event: &Event, outcome: &Outcome) {
        if matches!(outcome, Outcome::NeedsBlock(_)) {
            return;
        }
        if position != self.last.0 + 1 || at < self.last.1 {
            self.find("B2", position, format!("{position} at {at} came after {:?}", self.last));
        }
        self.last = (position, at);
        let expected = self.expect(position, at, event);
        if expected != *outcome {
            let law = law_of(&expected, outcome);
            let kind = name(event);
            self.find(law, position, format!("{kind} at {at}: {outcome:?}, should be {expected:?}"));
        }
        match event {
            Event::Booked(booked) => self.book(position, at, &booked.change, outcome),
            Event::Impression(t) | Event::Viewable(t) | Event::Click(t) => {
                self.delivered(position, at, event, t, outcome);
            }
            Event::Conversion(conversion) => self.converted(position, at, event, conversion, outcome),
            Event::EpochOpened { epoch } => {
                if self.epochs.last_key_value().is_some_and(|(last, _)| epoch <= last) {
                    self.find("B3", position, format!("epoch {epoch} opened again"));
                }
                self.epochs.insert(*epoch, at);
            }
            Event::Traffic(traffic) => {
                let minute = traffic.minute.min(at.minute());
                for (key, count) in
                    traffic.served.iter().filter(|(k, _)| self.ad_sets.contains_key(&k.ad_set))
                {
                    self.shown.entry((key.ad_set, minute)).or_default().0 += count;
                    let day = self.day_of(key.ad_set, at);
                    for row in [None, Some(day)] {
                        self.ads.entry((key.ad, row)).or_default().served_count += count;
                    }
                }
            }
            Event::FlatFeeAccrued { ad_set, day } => self.accrued(position, at, *ad_set, *day, outcome),
            Event::LawBroken { .. } => self.stopped = true,
            Event::InvoiceIssued { advertiser, year, month } => {
                if matches!(outcome, Outcome::Invoiced { .. }) {
                    self.months_closed.push((*advertiser, (*year, *month)));
                }
            }
            Event::Sampled(_) => {}
        }
    }

    fn book(&mut self, position: u64, at: UtcMs, change: &Change, outcome: &Outcome) {
        match change {
            Change::PublisherPut { spec } => self.tax_rate_ppm = spec.tax_rate_ppm,
            Change::AdvertiserPut { id, spec } => {
                let mut spec = spec.clone();
                let moved = get(&self.deposits, id) != 0 || get(&self.spent, &Purse::Account(*id)) != 0;
                if let Some(old) = self.advertisers.get(id).filter(|_| moved) {
                    (spec.currency, spec.zone) = (old.currency, old.zone.clone());
                }
                self.advertisers.insert(*id, spec);
            }
            Change::CampaignPut { id, spec } if self.advertisers.contains_key(&spec.advertiser) => {
                let mut spec = spec.clone();
                spec.advertiser = self.campaigns.get(id).map_or(spec.advertiser, |old| old.advertiser);
                self.campaigns.insert(*id, spec);
            }
            Change::AdSetPut { id, spec } if self.campaigns.contains_key(&spec.campaign) => {
                let mut spec = spec.clone();
                spec.campaign = self.ad_sets.get(id).map_or(spec.campaign, |old| old.campaign);
                self.note_bid(*id, &spec.bid);
                self.ad_sets.insert(*id, spec);
            }
            Change::StopSet { what: Stop::AllPaid, on: false, .. } => self.stopped = false,
            Change::Deposited { advertiser, amount_micros, .. }
                if self.advertisers.contains_key(advertiser) =>
            {
                *self.deposits.entry(*advertiser).or_default() += i128::from(amount_micros.0) * 1_000;
            }
            Change::Credited { position: charged, .. } => {
                if let Outcome::Credited { nanos, .. } = outcome {
                    self.credited(position, at, *charged, nanos.0);
                }
            }
            _ => {}
        }
    }
    fn note_bid(&mut self, id: AdSetId, bid: &Bid) {
        let (billing, nanos) = match bid {
            Bid::Cpm { micros_per_mille } => (Billing::Impression, *micros_per_mille),
            Bid::Cpc { micros_per_click } => (Billing::Click, micros_per_click * 1_000),
            Bid::Cpa { micros_per_conversion, action } => {
                self.actions.insert(id, action.clone());
                (Billing::Conversion, micros_per_conversion * 1_000)
            }
            Bid::FlatFee { .. } | Bid::Free => return,
        };
        let highest = self.highest.entry((id, billing as u8)).or_insert(nanos);
        *highest = nanos.max(*highest);
    }

    fn delivered(&mut self, position: u64, at: UtcMs, event: &Event, ticket: &Ticket, outcome: &Outcome) {
        if outcome.refusal().is_some() {
            return;
        }
        // Law B3 by itself, whatever was expected.
        if !self.used.insert((name(event), ticket.id)) {
            self.find("B3", position, format!("{} {} counted twice", name(event), ticket.id));
        }
        if matches!(event, Event::Impression(_)) {
            self.shown.entry((ticket.ad_set, ticket.issued_at.minute())).or_default().1 += 1;
        }
        let kind = if matches!(event, Event::Click(_)) { ChargeKind::Click } else { ChargeKind::Impression };
        self.settled(position, at, event, ticket, kind, outcome);
    }
    fn converted(&mut self, position: u64, at: UtcMs, event: &Event, c: &Conversion, outcome: &Outcome) {
        if outcome.refusal().is_some() {
            return;
        }
        if !self.conversions.entry(c.ticket.id).or_default().insert((c.action.clone(), c.order)) {
            self.find("B3", position, format!("conversion {} counted twice", c.ticket.id));
        }
        if c.source == ConversionSource::Pixel && outcome.billed_nanos().0 > 0 {
            let day = self.day_of(c.ticket.ad_set, at);
            *self.pixels.entry((c.ticket.advertiser, day)).or_default() += 1;
        }
        self.settled(position, at, event, &c.ticket, ChargeKind::Conversion, outcome);
    }

    /// Adds up what was reported of an event of an ad.
    fn settled(
        &mut self,
        position: u64,
        at: UtcMs,
        event: &Event,
        ticket: &Ticket,
        kind: ChargeKind,
        outcome: &Outcome,
    ) {
        if !self.ad_sets.contains_key(&ticket.ad_set) {
            return self.find("B3", position, format!("{} is not booked", ticket.ad_set));
        }
        let day = self.day_of(ticket.ad_set, at);
        for row in [None, Some(day)] {
            let row = self.ads.entry((ticket.ad, row)).or_default();
            match event {
                Event::Impression(_) => row.impressions_count += 1,
                Event::Viewable(_) => row.viewable_count += 1,
                Event::Click(_) => row.clicks_count += 1,
                _ => row.conversions_count += 1,
            }
        }
        self.money(position, at, ticket.ad_set, ticket.ad, kind, outcome);
    }

    /// Adds a reported charge to every purse, and holds each purse against its budget (law B1 by itself).
    fn money(
        &mut self,
        position: u64,
        at: UtcMs,
        ad_set: AdSetId,
        ad: AdId,
        kind: ChargeKind,
        outcome: &Outcome,
    ) {
        let (billed, free, day) = (outcome.billed_nanos(), outcome.free_nanos(), self.day_of(ad_set, at));
        for row in [None, Some(day)].into_iter().filter(|_| ad.0 != 0) {
            let row = self.ads.entry((ad, row)).or_default();
            row.gross_nanos += billed;
            row.free_nanos += free;
        }
        let limit = match outcome {
            Outcome::Billed { limit, .. } => *limit,
            Outcome::Free { reason: FreeReason::Budget(limit), .. } => Some(*limit),
            _ => None,
        };
        if let Some(limit) = limit {
            *self.free.entry((ad_set, limit)).or_default() += free.0;
        }
        if billed.0 == 0 {
            return;
        }
        let (month, credits) = (day.year_month(), Vec::new());
        self.charges.insert(position, Charged { ad_set, ad, kind, month, nanos: billed.0, credits });
        for purse in self.purses(ad_set, day) {
            *self.spent.entry(purse).or_default() += billed.0;
        }
        for (left, limit) in self.left(ad_set, day) {
            if left < 0 {
                self.find("B1", position, format!("{ad_set} passed {limit:?} by {} nanos", -left));
            }
        }
    }

    fn credited(&mut self, position: u64, at: UtcMs, charged: u64, nanos: i128) {
        let Some(ad_set) = self.charges.get(&charged).map(|c| c.ad_set) else {
            return self.find("B1", position, format!("a credit for {charged}, where nothing was charged"));
        };
        let day = self.day_of(ad_set, at);
        for purse in self.purses(ad_set, day) {
            *self.credited.entry(purse).or_default() += nanos;
        }
        let Some(charge) = self.charges.get_mut(&charged) else { return };
        charge.credits.push((day.year_month(), nanos));
        let (sum, ad, whole) = (charge.credits.iter().map(|c| c.1).sum::<i128>(), charge.ad, charge.nanos);
        for row in [None, Some(day)].into_iter().filter(|_| ad.0 != 0) {
            self.ads.entry((ad, row)).or_default().credited_nanos.0 += nanos;
        }
        if sum > whole {
            self.find("B1", position, format!("credits of {sum} for a charge of {whole} at {charged}"));
        }
    }

    fn accrued(&mut self, position: u64, at: UtcMs, id: AdSetId, day: Day, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Billed { .. } | Outcome::Free { .. } | Outcome::Counted) {
            return;
        }
        if self.fees.get(&id).is_some_and(|(_, last)| day <= *last) {
            self.find("B3", position, format!("{day} of {id} accrued twice"));
        }
        let price = outcome.billed_nanos().0 + outcome.free_nanos().0;
        let fee = self.fees.entry(id).or_insert((0, day));
        *fee = (fee.0 + price, day);
        self.money(position, at, id, AdId(0), ChargeKind::FlatFee, outcome);
    }
}

/// The law that stands behind a difference.
fn law_of(expected: &Outcome, found: &Outcome) -> &'static str {
    match (expected.refusal(), found.refusal()) {
        (Some(_), None) | (None, Some(_)) => "B3",
        _ if expected.billed_nanos() != found.billed_nanos() => "B1",
        _ if matches!((expected, found), (Outcome::Credited { .. }, _) | (_, Outcome::Credited { .. })) => {
            "B1"
        }
        _ => "B2",
    }
}
