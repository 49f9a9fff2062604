//! What should become of an event, worked out from everything that was seen before it.
//!
//! Refuses cleverness: every sum is a look-up of all that was added to it, every day is asked of the zone.

use super::{Audit, Purse, get, name};
use crate::{
    apply::{EPOCH_KEPT_MS, FUTURE_TOLERANCE_MS},
    outcome::{CreditRefusal, FreeReason, Limit, NotDue, Outcome, Unknown},
};
use regie_model::{
    AdSetId, AdvertiserId, CampaignId, Day, Nanos, UtcMs,
    booking::{Bid, Funding},
    command::Change,
    event::{Conversion, ConversionSource, Event},
    limits::{CLICK_EXPIRY_MS, CONVERSION_WINDOW_MS, CONVERSIONS_PER_CLICK_COUNT_MAX, IMPRESSION_EXPIRY_MS},
    ticket::{Billing, Ticket},
};

fn window(at: UtcMs, from: UtcMs, expiry_ms: i64) -> Option<Outcome> {
    match at.0 - from.0 {
        age if age > expiry_ms => Some(Outcome::Late),
        age if age < -FUTURE_TOLERANCE_MS => Some(Outcome::Future),
        _ => None,
    }
}

impl Audit {
    pub(super) fn parents(&self, ad_set: AdSetId) -> Option<(AdvertiserId, CampaignId)> {
        let campaign = self.ad_sets.get(&ad_set)?.campaign;
        Some((self.campaigns.get(&campaign)?.advertiser, campaign))
    }
    /// The account-zone day of an ad set's account.
    pub(super) fn day_of(&self, ad_set: AdSetId, at: UtcMs) -> Day {
        self.parents(ad_set)
            .and_then(|(advertiser, _)| self.advertisers.get(&advertiser))
            .map(|advertiser| advertiser.zone.day(at))
            .unwrap_or_default()
    }
    pub(super) fn purses(&self, ad_set: AdSetId, day: Day) -> Vec<Purse> {
        let Some((advertiser, campaign)) = self.parents(ad_set) else { return Vec::new() };
        vec![
            Purse::Account(advertiser),
            Purse::Campaign(campaign, None),
            Purse::Campaign(campaign, Some(day)),
            Purse::AdSet(ad_set, None),
            Purse::AdSet(ad_set, Some(day)),
        ]
    }
    /// What every budget has left, which may be less than nothing.
    pub(super) fn left(&self, ad_set: AdSetId, day: Day) -> Vec<(i128, Limit)> {
        let Some((advertiser, campaign)) = self.parents(ad_set) else { return Vec::new() };
        let account = Purse::Account(advertiser);
        let credit = match self.advertisers[&advertiser].funding {
            Funding::Prepaid => 0,
            Funding::Credit { limit_micros } => i128::from(limit_micros.0) * 1_000,
        };
        let money = get(&self.deposits, &advertiser) + credit + get(&self.credited, &account)
            - get(&self.spent, &account);
        let (of_campaign, of_set) = (&self.campaigns[&campaign], &self.ad_sets[&ad_set]);
        let mut left = vec![(money, Limit::Account)];
        for (budget, purse, limit) in [
            (of_campaign.lifetime_budget_micros, Purse::Campaign(campaign, None), Limit::CampaignLifetime),
            (of_campaign.daily_budget_micros, Purse::Campaign(campaign, Some(day)), Limit::CampaignDaily),
            (of_set.lifetime_budget_micros, Purse::AdSet(ad_set, None), Limit::AdSetLifetime),
            (of_set.daily_budget_micros, Purse::AdSet(ad_set, Some(day)), Limit::AdSetDaily),
        ] {
            if let Some(budget) = budget {
                left.push((i128::from(budget.0) * 1_000 - get(&self.spent, &purse), limit));
            }
        }
        left
    }

    pub(super) fn expect(&self, position: u64, at: UtcMs, event: &Event) -> Outcome {
        match event {
            Event::Impression(t) | Event::Viewable(t) => {
                self.expect_delivery(at, event, t, IMPRESSION_EXPIRY_MS)
            }
            Event::Click(ticket) => self.expect_delivery(at, event, ticket, CLICK_EXPIRY_MS),
            Event::Conversion(conversion) => self.expect_conversion(at, conversion),
            Event::FlatFeeAccrued { ad_set, day } => self.expect_fee(at, *ad_set, *day),
            Event::InvoiceIssued { advertiser, year, month } => {
                self.expect_invoice(at, *advertiser, (*year, *month))
            }
            Event::Booked(booked) => match &booked.change {
                Change::Credited { advertiser, position: charged, amount_nanos, .. } => {
                    self.expect_credit(position, *advertiser, *charged, *amount_nanos)
                }
                _ => Outcome::Other,
            },
            Event::EpochOpened { .. } | Event::Traffic(_) | Event::Sampled(_) | Event::LawBroken { .. } => {
                Outcome::Other
            }
        }
    }

    fn unknown(&self, at: UtcMs, ticket: &Ticket) -> Option<Outcome> {
        let next = self.epochs.iter().find(|(epoch, _)| **epoch > ticket.id.epoch);
        let over = next.is_some_and(|(_, opened_at)| at.0 - opened_at.0 > EPOCH_KEPT_MS);
        if over || !self.epochs.contains_key(&ticket.id.epoch) {
            return Some(Outcome::Unknown(Unknown::Epoch));
        }
        let Some((advertiser, campaign)) = self.parents(ticket.ad_set) else {
            return Some(Outcome::Unknown(Unknown::AdSet));
        };
        let fits = (ticket.advertiser, ticket.campaign) == (advertiser, campaign)
            && self.advertisers[&advertiser].currency == ticket.currency;
        (!fits).then_some(Outcome::Unknown(Unknown::Contradiction))
    }

    fn expect_delivery(&self, at: UtcMs, event: &Event, ticket: &Ticket, expiry_ms: i64) -> Outcome {
        if let Some(refused) = window(at, ticket.issued_at, expiry_ms).or_else(|| self.unknown(at, ticket)) {
            return refused;
        }
        if self.used.contains(&(name(event), ticket.id)) {
            return Outcome::Duplicate;
        }
        match (event, ticket.billing) {
            (Event::Impression(_), Billing::Impression) | (Event::Click(_), Billing::Click) => {
                self.expect_price(at, ticket)
            }
            _ => Outcome::Counted,
        }
    }

    fn expect_conversion(&self, at: UtcMs, c: &Conversion) -> Outcome {
        let refused = window(at, c.clicked_at, CONVERSION_WINDOW_MS)
            .or_else(|| window(c.clicked_at, c.ticket.issued_at, CLICK_EXPIRY_MS))
            .or_else(|| self.unknown(at, &c.ticket));
        if let Some(refused) = refused {
            return refused;
        }
        if let Some(before) = self.conversions.get(&c.ticket.id) {
            if before.contains(&(c.action.clone(), c.order)) {
                return Outcome::Duplicate;
            }
            if before.len() >= CONVERSIONS_PER_CLICK_COUNT_MAX {
                return Outcome::TooManyConversions;
            }
        }
        let fits = self.actions.get(&c.ticket.ad_set) == Some(&c.action);
        if c.ticket.billing != Billing::Conversion || c.ticket.price_nanos == 0 || !fits {
            return Outcome::Counted;
        }
        if c.source == ConversionSource::Pixel {
            let day = self.day_of(c.ticket.ad_set, at);
            let billed = get(&self.pixels, &(c.ticket.advertiser, day));
            let would_have_cost = Nanos(c.ticket.price_nanos.into());
            match self.advertisers[&c.ticket.advertiser].pixel_conversions {
                None => return Outcome::Free { reason: FreeReason::PixelNotAccepted, would_have_cost },
                Some(accepted) if billed >= accepted.daily_count_max => {
                    return Outcome::Free { reason: FreeReason::PixelCap, would_have_cost };
                }
                Some(_) => {}
            }
        }
        self.expect_price(at, &c.ticket)
    }

    fn expect_price(&self, at: UtcMs, ticket: &Ticket) -> Outcome {
        if ticket.price_nanos == 0 {
            return Outcome::Counted;
        }
        let highest = self.highest.get(&(ticket.ad_set, ticket.billing as u8)).copied().unwrap_or(-1);
        let price = i128::from(ticket.price_nanos);
        if ticket.price_nanos > highest {
            return Outcome::Free { reason: FreeReason::PriceAboveBid, would_have_cost: Nanos(price) };
        }
        self.expect_charge(at, ticket.ad_set, price)
    }

    /// Law B1: min(price, smallest remaining budget).
    fn expect_charge(&self, at: UtcMs, ad_set: AdSetId, price: i128) -> Outcome {
        if self.stopped {
            return Outcome::Free { reason: FreeReason::BillingStopped, would_have_cost: Nanos(price) };
        }
        let left = self.left(ad_set, self.day_of(ad_set, at));
        let Some((smallest, limit)) = left.into_iter().map(|(left, l)| (left.max(0), l)).min() else {
            return Outcome::Other;
        };
        let billed = price.min(smallest);
        if billed == 0 {
            return Outcome::Free { reason: FreeReason::Budget(limit), would_have_cost: Nanos(price) };
        }
        let free = price - billed;
        Outcome::Billed { nanos: Nanos(billed), free: Nanos(free), limit: (free > 0).then_some(limit) }
    }

    fn expect_fee(&self, at: UtcMs, id: AdSetId, day: Day) -> Outcome {
        let Some((advertiser, campaign)) = self.parents(id) else {
            return Outcome::NotDue(NotDue::NotBooked);
        };
        let zone = &self.advertisers[&advertiser].zone;
        let flight = self.ad_sets[&id].flight.unwrap_or(self.campaigns[&campaign].flight);
        let (Bid::FlatFee { total_micros }, Some(end)) = (&self.ad_sets[&id].bid, flight.ends_at) else {
            return Outcome::NotDue(NotDue::NotBooked);
        };
        let (first, last) = (zone.day(flight.starts_at), zone.day(UtcMs(end.0 - 1)));
        if first > last {
            return Outcome::NotDue(NotDue::NotBooked);
        }
        if self.fees.get(&id).is_some_and(|(_, before)| day <= *before) {
            return Outcome::Duplicate;
        }
        if day < first || day > last || day > zone.day(at) {
            return Outcome::NotDue(NotDue::NotYet);
        }
        let (k, n) = (i128::from(day.0 - first.0), i128::from(last.0 - first.0) + 1);
        let by_then = i128::from(total_micros.0) * 1_000 * (k + 1) / n;
        match by_then - self.fees.get(&id).map_or(0, |(accrued, _)| *accrued) {
            price if price > 0 => self.expect_charge(at, id, price),
            _ => Outcome::Counted,
        }
    }

    fn expect_credit(&self, position: u64, advertiser: AdvertiserId, charged: u64, asked: i64) -> Outcome {
        let Some(charge) = self.charges.get(&charged).filter(|_| charged < position) else {
            return Outcome::CreditRefused(CreditRefusal::NoCharge);
        };
        let left = charge.nanos - charge.credits.iter().map(|(_, nanos)| nanos).sum::<i128>();
        if self.parents(charge.ad_set).map(|(a, _)| a) != Some(advertiser) {
            Outcome::CreditRefused(CreditRefusal::OtherAdvertiser)
        } else if asked <= 0 {
            Outcome::CreditRefused(CreditRefusal::NotPositive)
        } else if left == 0 {
            Outcome::CreditRefused(CreditRefusal::NothingLeft)
        } else {
            Outcome::Credited { advertiser, nanos: Nanos(left.min(asked.into())) }
        }
    }

    fn expect_invoice(&self, at: UtcMs, advertiser: AdvertiserId, month: (i16, i8)) -> Outcome {
        let Some(spec) = self.advertisers.get(&advertiser) else {
            return Outcome::NotDue(NotDue::NotBooked);
        };
        if !(1..=12).contains(&month.1) || month >= spec.zone.day(at).year_month() {
            Outcome::NotDue(NotDue::NotYet)
        } else if self.months_closed.contains(&(advertiser, month)) {
            Outcome::Duplicate
        } else {
            Outcome::Invoiced { number: self.months_closed.len() as u64 + 1 }
        }
    }
}
