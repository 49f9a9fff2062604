//! Delivery events: is it in time, known, first; then count it, then charge it.
//!
//! Refuses to bill what is late, forged in time, unknown or a duplicate (law B3), and more than any budget
//! has left (law B1). A viewable impression or click without an impression counts for itself (the impression's
//! beacon was lost); no impression is made up for it, so none is billed.

use crate::{
    apply::{FUTURE_TOLERANCE_MS, Ledger, is_kept},
    books::ChargeKind,
    budget::{DayBounds, Smallest},
    counters::{Counters, EventKind},
    outcome::{FreeReason, LawBroken, Limit, Outcome, Unknown},
    uses::{Marked, Use},
};
use regie_model::{
    Day, Nanos, UtcMs,
    event::{Conversion, ConversionSource, RollupKey},
    limits::{CLICK_EXPIRY_MS, CONVERSION_WINDOW_MS, IMPRESSION_EXPIRY_MS},
    mutation::{self, Mutation},
    ticket::{Billing, Ticket},
};

/// A charge to be made.
pub(crate) struct Due {
    /// Index of the ad set.
    pub ad_set: usize,
    pub key: RollupKey,
    pub kind: ChargeKind,
    /// The whole price; not below zero.
    pub price: i128,
    /// The account's day.
    pub day: DayBounds,
}

/// Late or early by more than the window of its kind.
fn untimely(at: UtcMs, issued_at: UtcMs, expiry_ms: i64) -> Option<Outcome> {
    let age = at.0.saturating_sub(issued_at.0);
    if age > expiry_ms && !mutation::on(Mutation::BillLate) {
        Some(Outcome::Late)
    } else if age < -FUTURE_TOLERANCE_MS {
        Some(Outcome::Future)
    } else {
        None
    }
}

impl Ledger {
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        at: UtcMs,
        kind: EventKind,
        ticket: &Ticket,
    ) -> Result<Outcome, LawBroken> {
        let (expiry_ms, what, charged) = match kind {
            EventKind::Click => (CLICK_EXPIRY_MS, Use::Click, Some(ChargeKind::Click)),
            EventKind::Viewable => (IMPRESSION_EXPIRY_MS, Use::Viewable, None),
            _ => (IMPRESSION_EXPIRY_MS, Use::Impression, Some(ChargeKind::Impression)),
        };
        if let Some(refused) = untimely(at, ticket.issued_at, expiry_ms) {
            return Ok(self.refuse(at, kind, ticket, refused));
        }
        let ad_set = match self.known(at, ticket) {
            Ok(ad_set) => ad_set,
            Err(unknown) => return Ok(self.refuse(at, kind, ticket, Outcome::Unknown(unknown))),
        };
        if !self.state.uses.mark(what, ticket.id, ticket.issued_at) {
            return Ok(self.refuse(at, kind, ticket, Outcome::Duplicate));
        }
        let mut delta = Counters::default();
        let counts = &mut self.state.books.ad_sets[ad_set].counts;
        match what {
            Use::Impression => {
                delta.impressions_count = 1;
                counts.impressions_count += 1;
                let minute = ticket.issued_at.minute();
                if let Some((_, shown)) = self.state.uses.shown_of(minute, ad_set as u32, at) {
                    *shown += 1;
                }
            }
            Use::Viewable => {
                delta.viewable_count = 1;
                counts.viewable_count += 1;
            }
            Use::Click => {
                delta.clicks_count = 1;
                counts.clicks_count += 1;
            }
        }
        let bills = matches!(
            (kind, ticket.billing),
            (EventKind::Impression, Billing::Impression) | (EventKind::Click, Billing::Click)
        );
        let charged = charged.filter(|_| bills);
        self.settle(at, ad_set, ticket, charged, delta)
    }

    pub(crate) fn convert(&mut self, at: UtcMs, conversion: &Conversion) -> Result<Outcome, LawBroken> {
        let (kind, ticket) = (EventKind::Conversion, &conversion.ticket);
        let refused = untimely(at, conversion.clicked_at, CONVERSION_WINDOW_MS)
            .or_else(|| untimely(conversion.clicked_at, ticket.issued_at, CLICK_EXPIRY_MS));
        if let Some(refused) = refused {
            return Ok(self.refuse(at, kind, ticket, refused));
        }
        let ad_set = match self.known(at, ticket) {
            Ok(ad_set) => ad_set,
            Err(unknown) => return Ok(self.refuse(at, kind, ticket, Outcome::Unknown(unknown))),
        };
        let (action, order) = (conversion.action.as_str(), &conversion.order);
        match self.state.uses.mark_conversion(ticket.id, ticket.issued_at, action, order) {
            Marked::First => {}
            Marked::Again => return Ok(self.refuse(at, kind, ticket, Outcome::Duplicate)),
            Marked::TooMany => return Ok(self.refuse(at, kind, ticket, Outcome::TooManyConversions)),
        }
        let delta = Counters { conversions_count: 1, ..Counters::default() };
        self.state.books.ad_sets[ad_set].counts.conversions_count += 1;
        let bills = ticket.billing == Billing::Conversion
            && ticket.price_nanos > 0
            && self.state.books.ad_sets[ad_set].action.as_deref() == Some(action);
        if !bills {
            return self.settle(at, ad_set, ticket, None, delta);
        }
        if conversion.source == ConversionSource::Pixel {
            let account = &mut self.state.books.accounts[self.state.books.ad_sets[ad_set].account as usize];
            let day = account.day_at(at).day;
            if let Err(reason) = account.pixel_allows(day) {
                return Ok(self.free(at, ad_set, ticket, reason, delta));
            }
        }
        let outcome = self.settle(at, ad_set, ticket, Some(ChargeKind::Conversion), delta)?;
        if conversion.source == ConversionSource::Pixel && outcome.billed_nanos() > Nanos::ZERO {
            let account = self.state.books.ad_sets[ad_set].account as usize;
            self.state.books.accounts[account].pixel_count += 1;
        }
        Ok(outcome)
    }

    /// The ad set of a ticket whose epoch, parents and currency are those of the journal.
    #[inline]
    fn known(&self, at: UtcMs, ticket: &Ticket) -> Result<usize, Unknown> {
        if !self.state.epochs.get(&ticket.id.epoch).is_some_and(|superseded| is_kept(*superseded, at)) {
            return Err(Unknown::Epoch);
        }
        let books = &self.state.books;
        let index = books.ad_set_index(ticket.ad_set).ok_or(Unknown::AdSet)?;
        let ad_set = &books.ad_sets[index];
        let account = &books.accounts[ad_set.account as usize];
        let fits = books.campaigns[ad_set.campaign as usize].id == ticket.campaign
            && account.id == ticket.advertiser
            && account.currency == ticket.currency;
        if fits { Ok(index) } else { Err(Unknown::Contradiction) }
    }

    #[cold]
    fn refuse(&mut self, at: UtcMs, kind: EventKind, ticket: &Ticket, outcome: Outcome) -> Outcome {
        if let Some(reason) = outcome.refusal() {
            self.untaken.refuse(at.hour(), kind, ticket.placement, reason, 1);
        }
        outcome
    }

    /// Charges a counted event if it is to be charged, and notes it in every row.
    #[inline]
    fn settle(
        &mut self,
        at: UtcMs,
        ad_set: usize,
        ticket: &Ticket,
        charged: Option<ChargeKind>,
        mut delta: Counters,
    ) -> Result<Outcome, LawBroken> {
        let books = &mut self.state.books;
        let account = books.ad_sets[ad_set].account as usize;
        let day = books.accounts[account].day_at(at);
        let key = RollupKey::of(ticket);
        let outcome = match charged {
            Some(kind) if ticket.price_nanos > 0 => {
                if ticket.price_nanos > books.ad_sets[ad_set].highest[ticket.billing as usize] {
                    return Ok(self.free(at, ad_set, ticket, FreeReason::PriceAboveBid, delta));
                }
                let price = i128::from(ticket.price_nanos);
                self.charge(&Due { ad_set, key, kind, price, day })?
            }
            _ => Outcome::Counted,
        };
        delta.gross_nanos = outcome.billed_nanos();
        delta.free_nanos = outcome.free_nanos();
        self.note(at, day.day, &key, &delta);
        Ok(outcome)
    }

    /// Counts an event that has a price, yet costs nothing for a reason other than a budget.
    fn free(
        &mut self,
        at: UtcMs,
        ad_set: usize,
        ticket: &Ticket,
        reason: FreeReason,
        mut delta: Counters,
    ) -> Outcome {
        let books = &mut self.state.books;
        let account = books.ad_sets[ad_set].account as usize;
        let day = books.accounts[account].day_at(at).day;
        let would_have_cost = Nanos(i128::from(ticket.price_nanos));
        delta.free_nanos = would_have_cost;
        self.note(at, day, &RollupKey::of(ticket), &delta);
        Outcome::Free { reason, would_have_cost }
    }

    /// Adds a difference to its ad, the ad's day, and the hour's row.
    #[inline]
    pub(crate) fn note(&mut self, at: UtcMs, day: Day, key: &RollupKey, delta: &Counters) {
        if key.ad.0 != 0 {
            self.state.ads.add(key.ad, day, delta);
        }
        self.untaken.rollups.entry((at.hour(), *key)).or_default().add(delta);
    }

    /// Charges min(price, smallest remaining budget); the rest is free (law B1).
    #[inline]
    pub(crate) fn charge(&mut self, due: &Due) -> Result<Outcome, LawBroken> {
        let price = due.price;
        if self.state.stopped.is_some() {
            return Ok(Outcome::Free { reason: FreeReason::BillingStopped, would_have_cost: Nanos(price) });
        }
        let books = &mut self.state.books;
        let ad_set = &mut books.ad_sets[due.ad_set];
        let account = &mut books.accounts[ad_set.account as usize];
        let campaign = &mut books.campaigns[ad_set.campaign as usize].budget;
        let day = due.day.day;
        campaign.turn_to(day);
        ad_set.budget.turn_to(day);
        let mut smallest = Smallest::default();
        smallest.take(Some(account.remaining()), Limit::Account);
        smallest.take(campaign.lifetime_left(), Limit::CampaignLifetime);
        smallest.take(campaign.daily_left(day), Limit::CampaignDaily);
        smallest.take(ad_set.budget.lifetime_left(), Limit::AdSetLifetime);
        smallest.take(ad_set.budget.daily_left(day), Limit::AdSetDaily);
        let (mut left, limit) = smallest.0.unwrap_or((0, Limit::Account));
        if mutation::on(Mutation::IgnoreBudget) {
            left = price;
        }
        let billed = price.min(left);
        let free = price - billed;
        for budget in [&mut *campaign, &mut ad_set.budget] {
            budget.spent += billed;
            budget.spent_today += billed;
        }
        account.spent += billed;
        match limit {
            _ if free == 0 => {}
            Limit::CampaignLifetime => campaign.over(free, true),
            Limit::CampaignDaily => campaign.over(free, false),
            Limit::AdSetLifetime => ad_set.budget.over(free, true),
            Limit::AdSetDaily => ad_set.budget.over(free, false),
            Limit::Account | Limit::NotBooked => account.free += free,
        }
        if billed == 0 {
            let reason = FreeReason::Budget(limit);
            return Ok(Outcome::Free { reason, would_have_cost: Nanos(price) });
        }
        let row = ad_set.month_row(due.day.month, due.kind);
        row.quantity += 1;
        row.gross += billed;
        self.assert_within(due.ad_set)?;
        self.charges.note(self.state.position, due.key, due.kind, billed)?;
        let limit = (free > 0).then_some(limit);
        Ok(Outcome::Billed { nanos: Nanos(billed), free: Nanos(free), limit })
    }

    /// Law B1, after every charge: nothing that was drawn on has passed its budget.
    #[inline]
    pub(crate) fn assert_within(&self, ad_set: usize) -> Result<(), LawBroken> {
        let books = &self.state.books;
        let ad_set = &books.ad_sets[ad_set];
        let account = &books.accounts[ad_set.account as usize];
        let campaign = &books.campaigns[ad_set.campaign as usize];
        let within = |spent: i128, limit: Option<i128>| limit.is_none_or(|limit| spent <= limit);
        let holds = account.net() <= account.allowed()
            && within(campaign.budget.spent, campaign.budget.lifetime)
            && within(campaign.budget.spent_today, campaign.budget.daily)
            && within(ad_set.budget.spent, ad_set.budget.lifetime)
            && within(ad_set.budget.spent_today, ad_set.budget.daily);
        // The seeded fault leaves the finding to the checker of the audit.
        if holds || mutation::on(Mutation::IgnoreBudget) {
            return Ok(());
        }
        let detail = format!(
            "position {}: {} net {} of {}; {} {:?}; {} {:?}",
            self.state.position,
            account.id,
            account.net(),
            account.allowed(),
            campaign.id,
            campaign.budget,
            ad_set.id,
            ad_set.budget
        );
        Err(LawBroken::new("B1", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Books;
    use regie_model::{
        AdSetId, AdvertiserId, CampaignId, Currency, Micros, PartyId, Zone,
        booking::{AdSetSpec, AdvertiserSpec, Bid, CampaignSpec, Flight, Funding, Objective, Pacing, Tier},
        command::Change,
    };

    /// One account without a limit worth the name, one campaign, one ad set.
    fn books() -> Books {
        let mut books = Books::default();
        let spec = AdvertiserSpec {
            name: "Example".into(),
            currency: Currency::EUR,
            zone: Zone::utc(),
            funding: Funding::Credit { limit_micros: Micros(1_000_000) },
            categories: Vec::new(),
            pixel_conversions: None,
            invoice_address: String::new(),
        };
        books.apply(&Change::AdvertiserPut { id: AdvertiserId(1), spec });
        let spec = CampaignSpec {
            advertiser: AdvertiserId(1),
            name: "Example".into(),
            objective: Objective::Clicks,
            flight: Flight { starts_at: UtcMs(0), ends_at: None },
            lifetime_budget_micros: Some(Micros(1_000)),
            daily_budget_micros: Some(Micros(1_000)),
            sponsor: PartyId(1),
            payer: PartyId(1),
            political: None,
            roadblock: false,
            adapt: None,
            external_id: None,
        };
        books.apply(&Change::CampaignPut { id: CampaignId(1), spec });
        let spec = AdSetSpec {
            campaign: CampaignId(1),
            name: "Example".into(),
            targeting: Default::default(),
            bid: Bid::Cpm { micros_per_mille: 1 },
            tier: Tier::Auction,
            pacing: Pacing::Asap,
            caps: Vec::new(),
            flight: None,
            lifetime_budget_micros: Some(Micros(1_000)),
            daily_budget_micros: Some(Micros(1_000)),
            external_id: None,
            experiment: None,
            learning: None,
        };
        books.apply(&Change::AdSetPut { id: AdSetId(1), spec });
        books
    }

    #[test]
    fn b1_is_asserted_in_production_for_each_budget_to_the_nano() {
        type Spend = fn(&mut Books, i128);
        let cases: [(Spend, i128); 5] = [
            (|b, nanos| b.accounts[0].spent = nanos, 1_000_000_000),
            (|b, nanos| b.campaigns[0].budget.spent = nanos, 1_000_000),
            (|b, nanos| b.campaigns[0].budget.spent_today = nanos, 1_000_000),
            (|b, nanos| b.ad_sets[0].budget.spent = nanos, 1_000_000),
            (|b, nanos| b.ad_sets[0].budget.spent_today = nanos, 1_000_000),
        ];
        for (spend, limit) in cases {
            let mut ledger = Ledger::new();
            ledger.state.books = books();
            spend(&mut ledger.state.books, limit);
            assert_eq!(ledger.assert_within(0), Ok(()));
            spend(&mut ledger.state.books, limit + 1);
            let broken = ledger.assert_within(0).unwrap_err();
            assert_eq!(broken.law, "B1");
            assert!(broken.detail.contains(&(limit + 1).to_string()), "{broken}");
        }
    }

    #[test]
    fn b2_balances_that_do_not_add_up_are_found() {
        let mut ledger = Ledger::new();
        ledger.state.books = books();
        assert_eq!(ledger.verify(), Ok(()));
        ledger.state.books.accounts[0].spent = 1;
        assert_eq!(ledger.verify().unwrap_err().law, "B2");
        assert!(Ledger::from_bytes(&ledger.to_bytes()).is_err());
    }
}
