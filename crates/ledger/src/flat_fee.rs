//! Flat fees: a fixed price for a flight, accrued by account-zone day.
//!
//! By the end of day `k` (from 0) of the `n` days of the flight, total x (k + 1) / n has accrued, in exact
//! integers: day `k` costs total x (k + 1) / n - total x k / n, and all days together exactly the total. A
//! total or flight that is edited meanwhile is caught up with on the next day that accrues; nothing is ever
//! given back by an edit (that is a credit). A day accrues once (law B3); it is charged like everything else,
//! and what no budget has left for it is free (law B1). A fee belongs to its ad set, not to an ad.

use crate::{
    apply::Ledger,
    books::{AdSet, ChargeKind},
    budget::DayBounds,
    counters::Counters,
    deliver::Due,
    outcome::{LawBroken, NotDue, Outcome},
};
use regie_model::{AdId, AdSetId, Day, PlacementId, UtcMs, VersionId, booking::Status, event::RollupKey};

/// Most days that one call of [`Ledger::due_flat_fees`] names; the rest comes with the next call.
pub const DUE_FLAT_FEES_COUNT_MAX: usize = 10_000;

/// A fee over the days of its flight.
struct Plan {
    total: i128,
    first: Day,
    last: Day,
}

impl Ledger {
    fn fee_plan(&self, ad_set: &AdSet) -> Option<Plan> {
        let total = ad_set.flat.total?;
        let flight = self.state.books.flight_of(ad_set);
        let zone = &self.state.books.accounts[ad_set.account as usize].zone;
        let end = flight.ends_at?;
        let first = DayBounds::of(zone, flight.starts_at).day;
        let last = DayBounds::of(zone, UtcMs(end.0.saturating_sub(1))).day;
        (first <= last).then_some(Plan { total, first, last })
    }

    /// Days of flat fees that have begun at `at` and did not yet accrue: append an
    /// `Event::FlatFeeAccrued` for each, in this order. Drafts and what is archived owe nothing; a pause does
    /// not make a fixed price smaller. A flight without an end has no days to divide by, and accrues nothing.
    pub fn due_flat_fees(&self, at: UtcMs) -> Vec<(AdSetId, Day)> {
        let mut due = Vec::new();
        let books = &self.state.books;
        let runs = |status| matches!(status, Status::Active | Status::Paused);
        for ad_set in &books.ad_sets {
            let Some(plan) = self.fee_plan(ad_set) else { continue };
            if !runs(ad_set.status) || !runs(books.campaigns[ad_set.campaign as usize].status) {
                continue;
            }
            let today = DayBounds::of(&books.accounts[ad_set.account as usize].zone, at).day;
            let next = ad_set.flat.last_day.map_or(plan.first, |last| plan.first.max(Day(last.0 + 1)));
            for day in next.0..=plan.last.min(today).0 {
                if due.len() >= DUE_FLAT_FEES_COUNT_MAX {
                    return due;
                }
                due.push((ad_set.id, Day(day)));
            }
        }
        due
    }

    pub(crate) fn accrue(&mut self, at: UtcMs, id: AdSetId, day: Day) -> Result<Outcome, LawBroken> {
        let Some(index) = self.state.books.ad_set_index(id) else {
            return Ok(Outcome::NotDue(NotDue::NotBooked));
        };
        let ad_set = &self.state.books.ad_sets[index];
        let Some(plan) = self.fee_plan(ad_set) else { return Ok(Outcome::NotDue(NotDue::NotBooked)) };
        if ad_set.flat.last_day.is_some_and(|last| day <= last) {
            return Ok(Outcome::Duplicate);
        }
        let account = ad_set.account as usize;
        let campaign = self.state.books.campaigns[ad_set.campaign as usize].id;
        let today = self.state.books.accounts[account].day_at(at);
        if day < plan.first || day > plan.last.min(today.day) {
            return Ok(Outcome::NotDue(NotDue::NotYet));
        }
        let days = i128::from(plan.last.0 - plan.first.0) + 1;
        let by_then = plan.total * (i128::from(day.0 - plan.first.0) + 1) / days;
        let flat = &mut self.state.books.ad_sets[index].flat;
        let price = (by_then - flat.accrued).max(0);
        flat.accrued += price;
        flat.last_day = Some(day);
        if price == 0 {
            return Ok(Outcome::Counted);
        }
        let key = RollupKey {
            campaign,
            ad_set: id,
            ad: AdId(0),
            version: VersionId(0),
            placement: PlacementId(0),
            country: [0; 2],
            device: 0,
        };
        let due = Due { ad_set: index, key, kind: ChargeKind::FlatFee, price, day: today };
        let outcome = self.charge(&due)?;
        let delta = Counters {
            gross_nanos: outcome.billed_nanos(),
            free_nanos: outcome.free_nanos(),
            ..Counters::default()
        };
        self.note(at, today.day, &key, &delta);
        Ok(outcome)
    }
}
