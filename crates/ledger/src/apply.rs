//! The fold itself: one event after the other, in journal order, each with its append time.
//!
//! Refuses to skip, to go back and to go on after a broken law: the same error comes back from then on, and
//! the state with its evidence can still be read. Holds law B2 (the fold's order).

use crate::{
    books::Books,
    cells::Cells,
    charges::{BlockError, ChargeAt, Charges},
    counters::{Counters, EventKind, RefusalKey},
    hash::FastMap,
    invoice::IssuedInvoice,
    outcome::{LawBroken, Outcome, Refusal},
    rows::{AdRows, Untaken},
    traffic::{self, Traffic},
    uses::Uses,
};
use regie_model::{
    PlacementId, UtcHour, UtcMs,
    command::{Change, Stop},
    event::{self, Event, RollupKey},
    limits::{CLICK_EXPIRY_MS, CONVERSION_WINDOW_MS},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a ticket's or click's time may lie after the append time, in milliseconds: clocks of threads differ,
/// and a step back of the machine's clock holds the append time still.
pub const FUTURE_TOLERANCE_MS: i64 = 60_000;
/// How long an epoch is known after the next one was opened: until its last ticket has expired, and a day.
/// Then a ticket of it is unknown, however fresh it claims to be.
pub const EPOCH_KEPT_MS: i64 = CLICK_EXPIRY_MS + CONVERSION_WINDOW_MS + 86_400_000;

/// The state that a checkpoint holds and [`Ledger::state_hash`] covers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub position: u64,
    pub at: UtcMs,
    pub broken: Option<LawBroken>,
    /// A journalled broken law, until somebody lets billing go on.
    pub stopped: Option<String>,
    /// When each epoch was superseded; the last one never was.
    pub epochs: BTreeMap<u32, i64>,
    pub books: Books,
    pub uses: Uses,
    pub ads: AdRows,
    pub traffic: Traffic,
    pub issued: Vec<IssuedInvoice>,
}

/// Budgets, charges, duplicates and counts: a fold over the journal.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) state: State,
    pub(crate) charges: Charges,
    pub(crate) untaken: Untaken,
    /// What forecasts are made of; since version 2 of the checkpoint.
    pub(crate) cells: Cells,
}

/// Whether an epoch that was superseded then (`i64::MAX`: never) may still have tickets at `at`.
#[inline]
pub(crate) fn is_kept(superseded_at: i64, at: UtcMs) -> bool {
    at.0.saturating_sub(superseded_at) <= EPOCH_KEPT_MS
}

impl Ledger {
    /// Before the first record.
    pub fn new() -> Ledger {
        Ledger::default()
    }
    /// The last position applied; 0 before the first.
    pub fn position(&self) -> u64 {
        self.state.position
    }
    /// The append time of the last event applied.
    pub fn at(&self) -> UtcMs {
        self.state.at
    }
    /// The journalled broken law for which billing stands still, in words.
    ///
    /// [`Event::LawBroken`] stops billing at its position; the operator's word that it may go on is a
    /// `StopSet { what: AllPaid, on: false }` after it.
    pub fn billing_stopped(&self) -> Option<&str> {
        self.state.stopped.as_deref()
    }
    /// The law that this fold itself found broken. It goes no further.
    pub fn broken(&self) -> Option<&LawBroken> {
        self.state.broken.as_ref()
    }

    /// Applies the record at `position`, appended at `at`.
    ///
    /// [`Outcome::NeedsBlock`] applied nothing: give the block to [`Ledger::load_block`] and apply again.
    ///
    /// # Errors
    /// [`LawBroken`]: a balance would pass a budget (B1); a record is missing, comes twice, or time goes back
    /// (B2); an epoch is opened twice (B3). The ledger then refuses every further event with the same error.
    #[inline]
    pub fn apply(&mut self, position: u64, at: UtcMs, event: &Event) -> Result<Outcome, LawBroken> {
        if let Some(broken) = &self.state.broken {
            return Err(broken.clone());
        }
        if let Event::Booked(booked) = event
            && let Change::Credited { position: charged, .. } = booked.change
            && let Some(block) = self.charges.missing(charged)
        {
            return Ok(Outcome::NeedsBlock(block));
        }
        let result = self.begin(position, at).and_then(|()| self.dispatch(at, event));
        if let Err(broken) = &result {
            self.state.broken = Some(broken.clone());
        }
        result
    }

    #[inline]
    fn begin(&mut self, position: u64, at: UtcMs) -> Result<(), LawBroken> {
        let state = &mut self.state;
        if position != state.position + 1 {
            let last = state.position;
            return Err(LawBroken::new("B2", format!("position {position} came after position {last}")));
        }
        if at < state.at {
            let last = state.at;
            return Err(LawBroken::new(
                "B2",
                format!("append time went back from {last} to {at} at {position}"),
            ));
        }
        if at > state.at {
            let ad_sets = &mut state.books.ad_sets;
            state.uses.expire(at, |ad_set, (served, impressions)| {
                let loss = &mut ad_sets[ad_set as usize].loss;
                loss.served_count = loss.served_count.saturating_add(served);
                loss.impressions_count += impressions;
            });
        }
        state.position = position;
        state.at = at;
        self.charges.turn_to(position);
        Ok(())
    }

    #[inline]
    fn dispatch(&mut self, at: UtcMs, event: &Event) -> Result<Outcome, LawBroken> {
        match event {
            Event::Impression(ticket) => self.deliver(at, EventKind::Impression, ticket),
            Event::Viewable(ticket) => self.deliver(at, EventKind::Viewable, ticket),
            Event::Click(ticket) => self.deliver(at, EventKind::Click, ticket),
            Event::Conversion(conversion) => self.convert(at, conversion),
            Event::Booked(booked) => Ok(self.book(at, &booked.change)),
            Event::EpochOpened { epoch } => self.open_epoch(at, *epoch),
            Event::Traffic(traffic) => Ok(self.count_traffic(at, traffic)),
            Event::FlatFeeAccrued { ad_set, day } => self.accrue(at, *ad_set, *day),
            Event::InvoiceIssued { advertiser, year, month } => {
                Ok(self.issue(at, *advertiser, *year, *month))
            }
            Event::LawBroken { law, detail } => {
                self.state.stopped = Some(format!("law {law} is broken: {detail}"));
                Ok(Outcome::Other)
            }
            Event::Sampled(_) => Ok(Outcome::Other),
        }
    }

    fn book(&mut self, at: UtcMs, change: &Change) -> Outcome {
        match change {
            Change::Credited { advertiser, position, amount_nanos, .. } => {
                self.credit(at, *advertiser, *position, *amount_nanos)
            }
            Change::StopSet { what: Stop::AllPaid, on: false, .. } => {
                self.state.stopped = None;
                Outcome::Other
            }
            change => self.state.books.apply(change),
        }
    }

    fn open_epoch(&mut self, at: UtcMs, epoch: u32) -> Result<Outcome, LawBroken> {
        if let Some(mut last) = self.state.epochs.last_entry() {
            if epoch <= *last.key() {
                let last = last.key();
                return Err(LawBroken::new("B3", format!("epoch {epoch} was opened after epoch {last}")));
            }
            *last.get_mut() = at.0;
        }
        self.state.epochs.retain(|_, superseded_at| is_kept(*superseded_at, at));
        self.state.epochs.insert(epoch, i64::MAX);
        Ok(Outcome::Other)
    }

    fn count_traffic(&mut self, at: UtcMs, event: &event::Traffic) -> Outcome {
        let minute = traffic::minute_of(event, at);
        let hour = traffic::hour_of(minute);
        for (key, count) in &event.served {
            let Some(index) = self.state.books.ad_set_index(key.ad_set) else { continue };
            match self.state.uses.shown_of(minute, index as u32, at) {
                Some((served, _)) => *served = served.saturating_add(*count),
                None => {
                    let loss = &mut self.state.books.ad_sets[index].loss;
                    loss.served_count = loss.served_count.saturating_add(*count);
                }
            }
            let account = self.state.books.ad_sets[index].account as usize;
            let day = self.state.books.accounts[account].day_at(at).day;
            let delta = Counters { served_count: *count, ..Counters::default() };
            self.state.ads.add(key.ad, day, &delta);
            self.untaken.rollups.entry((hour, *key)).or_default().add(&delta);
        }
        for (reason, count) in &event.refused {
            let reason = Refusal::BeforeJournal(reason.clone());
            self.untaken.refuse(hour, EventKind::Other, PlacementId(0), reason, *count);
        }
        self.state.traffic.apply(at, event);
        self.cells.apply(at, event);
        Outcome::Other
    }

    /// What changed in the rows of reports since this was last called, by hour of the append (served: hour of
    /// the decision; a credit: hour of the credit), in order. A flat fee has the ids 0 below its ad set.
    pub fn take_rollups(&mut self) -> Vec<((UtcHour, RollupKey), Counters)> {
        // As many rows as last time are likely: no growing step by step.
        let next = FastMap::with_capacity_and_hasher(self.untaken.rollups.len(), Default::default());
        let mut rows: Vec<_> = std::mem::replace(&mut self.untaken.rollups, next).into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
    /// Events that were not counted since this was last called, by kind, reason, placement and hour, in order.
    pub fn take_refusals(&mut self) -> Vec<(RefusalKey, u64)> {
        let mut rows: Vec<_> = std::mem::take(&mut self.untaken.refusals).into_iter().collect();
        rows.sort_unstable();
        rows
    }
    /// Sealed blocks of charges that changed since this was last called: store each under its number, in the
    /// same transaction as a checkpoint ([`Ledger::to_bytes`] holds those that were not yet taken) or before it.
    pub fn take_charge_blocks(&mut self) -> Vec<(u64, Vec<u8>)> {
        self.charges.take()
    }
    /// Accepts a block of charges back. Returns its number. Credits that the fold has not come to, because it
    /// started again from an older checkpoint, are left out: they follow from the journal.
    ///
    /// # Errors
    /// [`BlockError`] when the bytes are damaged, or not what this fold wrote last under that number.
    pub fn load_block(&mut self, bytes: &[u8]) -> Result<u64, BlockError> {
        self.charges.load(bytes, self.state.position)
    }
    /// What was charged and credited at a position.
    pub fn charge_at(&self, position: u64) -> ChargeAt {
        self.charges.charge_at(position)
    }
}
