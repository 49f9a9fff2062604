//! The folds: what follows from the journal. Each record is applied once, in order, after it is durable.
//!
//! Holds B2: state is a function of the journal. Refuses a record out of order.

use super::{
    Halt, Platform, lock,
    state_db::{Flush, StateDb},
    view::{refresh_account, refresh_campaign},
};
use anyhow::{Context, Result};
use regie_decide::Stage;
use regie_journal::Appended;
use regie_learn::served::Served;
use regie_ledger::{LawBroken, Ledger, Outcome};
use regie_model::{
    UtcMs,
    command::{Change, EntityRef},
    event::{Booked, Event, Traffic},
    ticket::{Billing, Ticket},
    time::MINUTE_MS,
};
use std::sync::atomic::Ordering;

/// Ledger checkpoints are written after so many records, or at a stop.
const CHECKPOINT_RECORDS: u64 = 200_000;

/// Sees each record with what became of it.
pub type Watcher = Box<dyn FnMut(u64, UtcMs, &Event, &Outcome) + Send>;

/// The folds and what waits to be written to `state.db`.
pub struct Folds {
    /// Balances, charges, duplicates.
    pub ledger: Ledger,
    /// What was seen of every version that was shown; reads what the ledger has read.
    pub served: Served,
    /// A broken law, once found: nothing is billed any more.
    pub broken: Option<LawBroken>,
    rollups_position: u64,
    checkpoint_at: u64,
    waiting: Flush,
    /// Ad sets whose budgets moved since the gate last read them.
    touched: std::collections::BTreeSet<regie_model::AdSetId>,
    /// Accounts and campaigns whose budgets were edited.
    touched_accounts: std::collections::BTreeSet<regie_model::AdvertiserId>,
    touched_campaigns: std::collections::BTreeSet<regie_model::CampaignId>,
    /// Ads shown for the first time since somebody last took this list.
    pub first_shown: Vec<regie_model::AdId>,
    /// Called after each record with its outcome (simulation's eyes).
    pub watcher: Option<Watcher>,
}

impl Folds {
    /// Nothing read yet.
    pub fn empty() -> Folds {
        Folds {
            ledger: Ledger::new(),
            served: Served::default(),
            broken: None,
            rollups_position: 0,
            checkpoint_at: 0,
            waiting: Flush::default(),
            touched: Default::default(),
            touched_accounts: Default::default(),
            touched_campaigns: Default::default(),
            first_shown: Vec::new(),
            watcher: None,
        }
    }
    /// As `state.db` has them.
    ///
    /// # Errors
    /// SQLite's error, or a checkpoint that cannot be read.
    pub fn restore(state: &StateDb) -> Result<Folds> {
        let mut folds = Folds::empty();
        // Two checkpoints of one position; where one is missing, both folds are made from the journal again.
        if let (Some(ledger), Some(served)) = (state.ledger()?, state.served()?) {
            let (ledger, served) = (Ledger::from_bytes(&ledger)?, postcard::from_bytes::<Served>(&served)?);
            if ledger.position() == served.position() {
                (folds.ledger, folds.served) = (ledger, served);
            }
        }
        folds.rollups_position = state.rollups_position()?;
        folds.checkpoint_at = folds.ledger.position();
        folds.first_shown =
            folds.ledger.ads().filter(|(_, c)| c.impressions_count > 0).map(|(id, _)| id).collect();
        Ok(folds)
    }
    /// Up to where everything has read; the journal is to be replayed from here.
    pub fn position(&self) -> u64 {
        self.ledger.position()
    }
    /// As [`Folds::apply`], reading an old block of charges from `state` where a credit refers to one.
    ///
    /// # Errors
    /// SQLite's error, or a block that is missing or damaged.
    pub fn apply_loading(&mut self, position: u64, at: UtcMs, payload: &[u8], state: &StateDb) -> Result<()> {
        if let Some((_, Outcome::NeedsBlock(block))) = self.apply(position, at, payload) {
            self.load_block(block, state)?;
            self.apply(position, at, payload);
        }
        Ok(())
    }
    fn load_block(&mut self, block: u64, state: &StateDb) -> Result<()> {
        let bytes = state
            .charge_block(block)?
            .with_context(|| format!("block {block} of charges is not in state.db"))?;
        self.ledger.load_block(&bytes)?;
        Ok(())
    }
    /// Applies one record.
    pub fn apply(&mut self, position: u64, at: UtcMs, payload: &[u8]) -> Option<(Event, Outcome)> {
        let event = match Event::decode(payload) {
            Ok(event) => event,
            Err(error) => {
                let detail = format!("record {position}: {error}");
                self.broken.get_or_insert_with(|| LawBroken { law: "L1".into(), detail });
                return None;
            }
        };
        let outcome = match self.ledger.apply(position, at, &event) {
            Ok(outcome) => outcome,
            Err(law) => {
                tracing::error!(law = %law, position, "a law was found broken: billing stops");
                self.broken.get_or_insert(law);
                return None;
            }
        };
        if matches!(outcome, Outcome::NeedsBlock(_)) {
            return Some((event, outcome));
        }
        let counted = matches!(outcome, Outcome::Billed { .. } | Outcome::Free { .. } | Outcome::Counted);
        let billed_nanos = i64::try_from(outcome.billed_nanos().0).unwrap_or(i64::MAX);
        self.served.apply(position, &event, counted, billed_nanos);
        if let Some(watcher) = &mut self.watcher {
            watcher(position, at, &event, &outcome);
        }
        if let Event::Impression(ticket) = &event
            && self.ledger.totals(ticket.ad).impressions_count == 1
        {
            self.first_shown.push(ticket.ad);
        }
        if position > self.rollups_position {
            if let (Event::Booked(booked), Outcome::Credited { nanos, .. }) = (&event, &outcome)
                && let Change::Credited { position: charged, .. } = booked.change
            {
                self.waiting.credits.push((position, at.0, charged, nanos.0));
            }
            self.project(position, at, &event, payload);
        } else if position == self.rollups_position {
            // What was counted up to here is in the reports already.
            drop(self.ledger.take_rollups());
            drop(self.ledger.take_refusals());
        }
        Some((event, outcome))
    }
    fn project(&mut self, position: u64, at: UtcMs, event: &Event, payload: &[u8]) {
        match event {
            Event::Booked(booked) => {
                self.waiting.changes.push((position, at.0, entity_of(booked), payload.to_vec()));
            }
            Event::Traffic(traffic) => self.count_matched(at, traffic),
            Event::Sampled(sample) => self.waiting.samples.push((sample.epoch, sample.sequence, position)),
            _ => {}
        }
    }
    /// Places offered that matched an ad set: those where it was shown, and those where it was passed over for another reason.
    fn count_matched(&mut self, at: UtcMs, traffic: &Traffic) {
        let minute = traffic.minute.min(at.minute());
        let hour = UtcMs(minute.saturating_mul(MINUTE_MS)).hour();
        let served = traffic.served.iter().map(|(key, count)| (key.ad_set, *count));
        let passed =
            traffic.eliminated.iter().map(|(ad_set, reason, count)| (*ad_set, reason.as_str(), *count));
        // What the place or the flight rules out could not have been shown, and is no audience.
        let late = |reason: &str| {
            let stages = Stage::ALL.iter().skip_while(|stage| **stage != Stage::HouseOnly);
            stages.into_iter().any(|stage| stage.code() == reason)
        };
        let passed = passed.filter(|(_, reason, _)| late(reason)).map(|(ad_set, _, count)| (ad_set, count));
        for (ad_set, count) in served.chain(passed) {
            let sum = self.waiting.matched.entry((ad_set, hour)).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    /// Notes whose budgets a change may have moved.
    fn note_budgets(&mut self, change: &Change) {
        match change {
            Change::AdSetPut { id, .. } => drop(self.touched.insert(*id)),
            Change::CampaignPut { id, .. } => drop(self.touched_campaigns.insert(*id)),
            Change::AdvertiserPut { id, .. } => drop(self.touched_accounts.insert(*id)),
            Change::Deposited { advertiser, .. } | Change::Credited { advertiser, .. } => {
                self.touched_accounts.insert(*advertiser);
            }
            _ => {}
        }
    }
    /// How many changes of bookings wait to be written.
    pub fn changes_waiting(&self) -> usize {
        self.waiting.changes.len()
    }
    /// Everything to be written; `checkpoint` adds the ledger's whole state.
    pub fn take_flush(&mut self, checkpoint: bool) -> Option<Flush> {
        let position = self.ledger.position();
        let due = checkpoint && position > self.checkpoint_at
            || position >= self.checkpoint_at + CHECKPOINT_RECORDS;
        if position <= self.rollups_position && !due {
            return None;
        }
        let mut flush = std::mem::take(&mut self.waiting);
        flush.position = position;
        flush.rollups = self.ledger.take_rollups();
        flush.refusals = self.ledger.take_refusals();
        flush.charge_blocks = self.ledger.take_charge_blocks();
        if due {
            flush.ledger = Some(self.ledger.to_bytes());
            // Numbers and maps only: postcard cannot fail on them.
            flush.served = postcard::to_allocvec(&self.served).ok();
            self.checkpoint_at = position;
        }
        self.rollups_position = position.max(self.rollups_position);
        Some(flush)
    }
}

/// The entity whose history a change belongs to.
pub fn entity_of(booked: &Booked) -> String {
    match &booked.change {
        Change::PublisherPut { .. } => "publisher".into(),
        Change::SitePut { id, .. } => id.to_string(),
        Change::PlacementPut { id, .. } => id.to_string(),
        Change::SegmentPut { id, .. } => id.to_string(),
        Change::AdvertiserPut { id, .. } => id.to_string(),
        Change::PartyPut { id, .. } => id.to_string(),
        Change::CampaignPut { id, .. } => id.to_string(),
        Change::AdSetPut { id, .. } => id.to_string(),
        Change::AdPut { id, .. } => id.to_string(),
        Change::VersionPut { id, .. } => id.to_string(),
        Change::StatusSet { entity, .. } => match entity {
            EntityRef::Site(id) => id.to_string(),
            EntityRef::Placement(id) => id.to_string(),
            EntityRef::Segment(id) => id.to_string(),
            EntityRef::Advertiser(id) => id.to_string(),
            EntityRef::Party(id) => id.to_string(),
            EntityRef::Campaign(id) => id.to_string(),
            EntityRef::AdSet(id) => id.to_string(),
            EntityRef::Ad(id) => id.to_string(),
            EntityRef::Version(id) => id.to_string(),
        },
        Change::Reviewed { ads, versions, .. } => match (ads.first(), versions.first()) {
            (Some((ad, _)), _) => ad.to_string(),
            (None, Some((version, _))) => version.to_string(),
            (None, None) => "review".into(),
        },
        Change::StopSet { .. } => "stop".into(),
        Change::Deposited { advertiser, .. } | Change::Credited { advertiser, .. } => advertiser.to_string(),
        Change::UserPut { id, .. } => id.to_string(),
        Change::TokenPut { id, .. } => id.to_string(),
        Change::ElectionPut { id, .. } => id.to_string(),
        Change::GroupingPut { id, .. } => id.to_string(),
        Change::Adapted { campaign, .. } => campaign.to_string(),
        Change::ReportFiled { id, .. } | Change::ReportDecided { id, .. } => id.to_string(),
        Change::PersonErased { key, .. } => key.to_string(),
    }
}

/// What a ticket holds at the gate: full price for CPM, price x predicted rate for CPC and CPA.
pub fn hold_nanos(ticket: &Ticket) -> i64 {
    match ticket.billing {
        Billing::None => 0,
        Billing::Impression => ticket.price_nanos,
        Billing::Click | Billing::Conversion => {
            (ticket.price_nanos as f64 * f64::from(ticket.predicted_rate)) as i64
        }
    }
}

impl Platform {
    /// Applies durable records: the committer's observer, and the replay of a start.
    pub fn observe(&self, appended: Appended, payloads: &[Vec<u8>]) {
        let at = UtcMs(appended.at_ms);
        for (index, payload) in payloads.iter().enumerate() {
            self.observe_one(appended.first.0 + index as u64, at, payload, false);
        }
        self.finish_observing();
    }
    /// Applies one durable record. `replay`: it is read back at a start, so the catalogue has not seen it yet.
    pub fn observe_one(&self, position: u64, at: UtcMs, payload: &[u8], replay: bool) {
        let mut folds = lock(&self.folds);
        let fresh = position > folds.rollups_position;
        let mut applied = folds.apply(position, at, payload);
        if let Some((_, Outcome::NeedsBlock(block))) = applied {
            // The state's lock comes before the folds'; only this thread applies, so nothing comes between.
            drop(folds);
            let state = lock(&self.state);
            folds = lock(&self.folds);
            applied = match folds.load_block(block, &state) {
                Ok(()) => folds.apply(position, at, payload),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "a credit refers to a charge that cannot be read"
                    );
                    None
                }
            };
        }
        let Some((event, _)) = applied else {
            let broken = folds.broken.clone();
            drop(folds);
            self.alarm(broken);
            return;
        };
        match &event {
            // An image may be ahead of state.db.
            Event::Booked(booked)
                if replay && fresh && position > self.catalogue_position.load(Ordering::SeqCst) =>
            {
                // Whoever draws a picture meanwhile holds the catalogue and asks for the folds.
                drop(folds);
                let mut catalogue = self.catalogue.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                catalogue.apply(booked.at, &booked.change);
                lock(&self.touched).note(&catalogue, &booked.change);
                self.catalogue_position.store(position, Ordering::SeqCst);
            }
            Event::Booked(_) if replay => {}
            Event::Booked(booked) => folds.note_budgets(&booked.change),
            Event::Impression(ticket) | Event::Click(ticket) => {
                let is_click = matches!(event, Event::Click(_));
                let billed_by_click = matches!(ticket.billing, Billing::Click | Billing::Conversion);
                let nanos = if is_click == billed_by_click { hold_nanos(ticket) } else { 0 };
                let goal = i64::from(!is_click);
                self.gate.release(ticket.ad_set, nanos, goal, ticket.issued_at, at);
                folds.touched.insert(ticket.ad_set);
            }
            Event::FlatFeeAccrued { ad_set, .. } => drop(folds.touched.insert(*ad_set)),
            Event::Conversion(conversion) => drop(folds.touched.insert(conversion.ticket.ad_set)),
            _ => {}
        }
    }
    /// A law was found broken: billing stops, house ads go on, the evidence is journalled.
    fn alarm(&self, broken: Option<LawBroken>) {
        if self.halt(Halt::Law, true) {
            return;
        }
        if let Some(LawBroken { law, detail }) = broken {
            tracing::error!(law, detail, "a law was found broken: everything paid is stopped");
            let _ = self.submit(&[Event::LawBroken { law, detail }], Box::new(|_| {}));
        }
    }
    /// Tells those who wait how far the folds are.
    pub fn finish_observing(&self) {
        let now = self.now();
        let mut folds = lock(&self.folds);
        for ad_set in std::mem::take(&mut folds.touched) {
            self.refresh_gate(&folds.ledger, ad_set, now);
        }
        let (accounts, campaigns) = (self.gate.accounts(), self.gate.campaigns());
        for id in std::mem::take(&mut folds.touched_accounts) {
            accounts.get(&id).into_iter().for_each(|budget| refresh_account(&folds.ledger, id, budget));
        }
        for id in std::mem::take(&mut folds.touched_campaigns) {
            campaigns
                .get(&id)
                .into_iter()
                .for_each(|budget| refresh_campaign(&folds.ledger, id, budget, now));
        }
        let position = folds.position();
        drop(folds);
        *lock(&self.applied.0) = position;
        self.applied.1.notify_all();
    }
    /// Waits until the folds have applied `position`; false after `timeout_ms`. For threads that may block.
    pub fn wait_applied(&self, position: u64, timeout_ms: u64) -> bool {
        let timeout = std::time::Duration::from_millis(timeout_ms);
        let guard = lock(&self.applied.0);
        let result = self.applied.1.wait_timeout_while(guard, timeout, |applied| *applied < position);
        result.is_ok_and(|(applied, _)| *applied >= position)
    }
    /// Writes what waits to `state.db`; `checkpoint` adds the ledger's whole state.
    ///
    /// # Errors
    /// SQLite's error. The projections can be rebuilt from the journal.
    pub fn flush(&self, checkpoint: bool) -> Result<()> {
        // The state's lock comes first, so that flushes are written in the order in which they were taken.
        let mut state = lock(&self.state);
        let flush = lock(&self.folds).take_flush(checkpoint);
        match flush {
            Some(flush) => state.flush(&flush),
            None => Ok(()),
        }
    }
}
