//! One budget pair (lifetime and daily) and one account: what they allow, what was spent.
//!
//! Refuses to refill: a credit gives the account its money back and leaves campaign and ad set budgets spent.
//! Holds law B1's arithmetic; all amounts are nanos in `i128`, so that no sum can overflow in practice.

use crate::outcome::{FreeReason, Limit};
use regie_model::{
    AdvertiserId, Currency, Day, Micros, UtcMs, Zone,
    booking::{AdvertiserSpec, Funding},
    mutation::{self, Mutation},
};
use serde::{Deserialize, Serialize};

/// The account-zone day that is running, and its month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayBounds {
    pub day: Day,
    pub start: UtcMs,
    pub end: UtcMs,
    pub month: (i16, i8),
}
impl DayBounds {
    /// No day yet: contains no moment.
    const NONE: DayBounds =
        DayBounds { day: Day(0), start: UtcMs(0), end: UtcMs(i64::MIN), month: (1970, 1) };

    /// The day of `zone` with `start <= at < end`; 23, 24 or 25 hours long.
    pub(crate) fn of(zone: &Zone, at: UtcMs) -> DayBounds {
        let utc = Zone::utc();
        let zone = if mutation::on(Mutation::WrongDay) { &utc } else { zone };
        let mut day = zone.day(at);
        // Where clocks go back across midnight a date comes twice; the bounds decide.
        if at < zone.day_start(day) {
            day = Day(day.0 - 1);
        } else if at >= zone.day_start(Day(day.0 + 1)) {
            day = Day(day.0 + 1);
        }
        DayBounds {
            day,
            start: zone.day_start(day),
            end: zone.day_start(Day(day.0 + 1)),
            month: day.year_month(),
        }
    }
}

/// An account: what it may spend, in which currency, by which days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub id: AdvertiserId,
    pub currency: Currency,
    pub zone: Zone,
    /// `None`: prepaid.
    pub credit_limit: Option<i128>,
    pub deposits: i128,
    pub spent: i128,
    pub credited: i128,
    /// Delivered free because the account had nothing left.
    pub free: i128,
    pub pixel_count_max: Option<u32>,
    pub pixel_day: Day,
    pub pixel_count: u32,
    pub today: DayBounds,
}
impl Account {
    pub(crate) fn new(id: AdvertiserId, spec: &AdvertiserSpec) -> Account {
        let mut account = Account {
            id,
            currency: spec.currency,
            zone: spec.zone.clone(),
            credit_limit: None,
            deposits: 0,
            spent: 0,
            credited: 0,
            free: 0,
            pixel_count_max: None,
            pixel_day: Day(0),
            pixel_count: 0,
            today: DayBounds::NONE,
        };
        account.put(spec);
        account
    }
    /// Takes a new spec over. Zone and currency stay as they are once money has moved.
    pub(crate) fn put(&mut self, spec: &AdvertiserSpec) {
        if self.deposits == 0 && self.spent == 0 {
            self.currency = spec.currency;
            self.zone = spec.zone.clone();
            self.today = DayBounds::NONE;
        }
        self.credit_limit = match spec.funding {
            Funding::Prepaid => None,
            Funding::Credit { limit_micros } => Some(limit_micros.to_nanos().0),
        };
        self.pixel_count_max = spec.pixel_conversions.map(|p| p.daily_count_max);
    }
    /// The day of `at`, which never goes backwards.
    #[inline]
    pub(crate) fn day_at(&mut self, at: UtcMs) -> DayBounds {
        if at >= self.today.end || at < self.today.start {
            self.today = DayBounds::of(&self.zone, at);
        }
        self.today
    }
    /// Whether one more pixel conversion may be billed on `day`.
    pub(crate) fn pixel_allows(&mut self, day: Day) -> Result<(), FreeReason> {
        if self.pixel_day != day {
            self.pixel_day = day;
            self.pixel_count = 0;
        }
        match self.pixel_count_max {
            None => Err(FreeReason::PixelNotAccepted),
            Some(max) if self.pixel_count >= max => Err(FreeReason::PixelCap),
            Some(_) => Ok(()),
        }
    }
    /// What may be spent in all: deposits, and the credit limit.
    #[inline]
    pub(crate) fn allowed(&self) -> i128 {
        self.deposits + self.credit_limit.unwrap_or(0)
    }
    /// Gross less credits.
    #[inline]
    pub(crate) fn net(&self) -> i128 {
        self.spent - self.credited
    }
    /// What is left; not below zero.
    #[inline]
    pub(crate) fn remaining(&self) -> i128 {
        (self.allowed() - self.net()).max(0)
    }
}

/// A lifetime and a daily budget, and what was spent of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Budget {
    pub lifetime: Option<i128>,
    pub daily: Option<i128>,
    pub spent: i128,
    pub credited: i128,
    /// Delivered free because the lifetime budget had nothing left.
    pub free_lifetime: i128,
    /// Delivered free because the daily budget had nothing left.
    pub free_daily: i128,
    /// The day that `spent_today` and `free_today` belong to.
    pub day: Day,
    pub spent_today: i128,
    pub free_today: i128,
}
impl Budget {
    pub(crate) fn new(lifetime: Option<Micros>, daily: Option<Micros>) -> Budget {
        let nothing = Budget {
            lifetime: None,
            daily: None,
            spent: 0,
            credited: 0,
            free_lifetime: 0,
            free_daily: 0,
            day: Day(i32::MIN),
            spent_today: 0,
            free_today: 0,
        };
        let mut budget = nothing;
        budget.put(lifetime, daily);
        budget
    }
    /// The amounts in force from here on.
    pub(crate) fn put(&mut self, lifetime: Option<Micros>, daily: Option<Micros>) {
        self.lifetime = lifetime.map(|m| m.to_nanos().0);
        self.daily = daily.map(|m| m.to_nanos().0);
    }
    /// Makes `day` the running day.
    #[inline]
    pub(crate) fn turn_to(&mut self, day: Day) {
        if self.day != day || mutation::on(Mutation::LoseDay) {
            self.day = day;
            self.spent_today = 0;
            self.free_today = 0;
        }
    }
    /// Counts free over-delivery, of the lifetime or the daily budget.
    pub(crate) fn over(&mut self, free: i128, lifetime: bool) {
        let sum = if lifetime { &mut self.free_lifetime } else { &mut self.free_daily };
        *sum += free;
        self.free_today += free;
    }
    /// What is left of the lifetime budget; not below zero.
    #[inline]
    pub(crate) fn lifetime_left(&self) -> Option<i128> {
        self.lifetime.map(|limit| (limit - self.spent).max(0))
    }
    /// What is left of the daily budget on `day`; not below zero.
    #[inline]
    pub(crate) fn daily_left(&self, day: Day) -> Option<i128> {
        let spent = if self.day == day { self.spent_today } else { 0 };
        self.daily.map(|limit| (limit - spent).max(0))
    }
}

/// The smallest of several remaining amounts; of equals the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Smallest(pub Option<(i128, Limit)>);
impl Smallest {
    #[inline]
    pub(crate) fn take(&mut self, left: Option<i128>, limit: Limit) {
        if let Some(left) = left
            && self.0.is_none_or(|(smallest, _)| left < smallest)
        {
            self.0 = Some((left, limit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_model::time::HOUR_MS;

    #[test]
    fn a_day_has_its_bounds_where_clocks_change() {
        for (zone, day, hours) in [
            ("Europe/Paris", "2026-03-29", 23),
            ("Europe/Paris", "2026-10-25", 25),
            ("Europe/Paris", "2026-05-01", 24),
            ("America/Havana", "2024-03-10", 23),
            ("America/Havana", "2024-11-03", 25),
            ("UTC", "2026-03-29", 24),
        ] {
            let zone = Zone::parse(zone).unwrap();
            let day = Day::parse(day).unwrap();
            let bounds = DayBounds::of(&zone, UtcMs(zone.day_start(day).0 + 12 * HOUR_MS));
            assert_eq!((bounds.day, bounds.end.0 - bounds.start.0), (day, hours * HOUR_MS), "{zone:?} {day}");
            for at in [bounds.start.0, bounds.end.0 - 1] {
                assert_eq!(DayBounds::of(&zone, UtcMs(at)), bounds);
            }
            assert_eq!(DayBounds::of(&zone, bounds.end).day, Day(day.0 + 1));
            assert_eq!(DayBounds::of(&zone, UtcMs(bounds.start.0 - 1)).day, Day(day.0 - 1));
        }
    }
}
