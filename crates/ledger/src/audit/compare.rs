//! The balances of a ledger against the sums of the checker (law B2).
//!
//! Refuses to take the ledger's word for anything: every figure it shows is added up again.

use super::{Audit, Charged, Finding, Purse, get};
use crate::{ChargeAt, ChargeKind, Ledger, Loss, outcome::Limit};
use regie_model::{
    AdSetId, AdvertiserId, Micros, Nanos,
    booking::{Bid, Tier},
    limits::IMPRESSION_EXPIRY_MS,
    money::div_half_even,
    time::MINUTE_MS,
};
use std::collections::{BTreeMap, BTreeSet};

impl Audit {
    /// Every balance of `ledger` that differs from what was observed. The ledger stands at the last position
    /// observed.
    pub fn compare(&self, ledger: &Ledger) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut same = |what: String, left: String, right: String| {
            if left != right {
                let detail = format!("{what}: the ledger says {left}, the journal {right}");
                found.push(Finding { law: "B2", position: 0, detail });
            }
        };
        same("position".into(), ledger.position().to_string(), self.last.0.to_string());
        for advertiser in self.advertisers.keys() {
            self.compare_account(ledger, *advertiser, &mut same);
            self.compare_months(ledger, *advertiser, &mut same);
        }
        for ad_set in self.ad_sets.keys() {
            self.compare_ad_set(ledger, *ad_set, &mut same);
        }
        for campaign in self.campaigns.keys() {
            let view = ledger.campaign_budget(*campaign, self.last.1);
            let sums = (Purse::Campaign(*campaign, None), view.map(|v| (v.gross.0, v.credited.0)));
            let right = Some((get(&self.spent, &sums.0), get(&self.credited, &sums.0)));
            same(campaign.to_string(), format!("{:?}", sums.1), format!("{right:?}"));
        }
        for ((ad, day), counters) in &self.ads {
            let shown = match day {
                None => ledger.totals(*ad),
                Some(day) => {
                    let row = ledger.ad_days(*ad).iter().find(|(d, _)| d == day);
                    row.map(|(_, counters)| *counters).unwrap_or_default()
                }
            };
            same(format!("{ad} on {day:?}"), format!("{shown:?}"), format!("{counters:?}"));
        }
        for (position, charge) in &self.charges {
            let right = (charge.nanos, charge.credits.iter().map(|c| c.1).sum::<i128>());
            if let ChargeAt::NeedsBlock(_) = ledger.charge_at(*position) {
                continue;
            }
            let left = match ledger.charge_at(*position) {
                ChargeAt::Charge(c) => Some((c.nanos.0, c.credited.0)),
                _ => None,
            };
            same(format!("charge at {position}"), format!("{left:?}"), format!("{:?}", Some(right)));
        }
        found
    }

    fn compare_account(
        &self,
        ledger: &Ledger,
        id: AdvertiserId,
        same: &mut impl FnMut(String, String, String),
    ) {
        let purse = Purse::Account(id);
        let left = ledger.account(id).map(|a| (a.deposits.0, a.gross.0, a.credited.0, a.free.0));
        let free = self.free.iter().filter(|((set, limit), _)| {
            *limit == Limit::Account && self.parents(*set).is_some_and(|(a, _)| a == id)
        });
        let right = Some((
            get(&self.deposits, &id),
            get(&self.spent, &purse),
            get(&self.credited, &purse),
            free.map(|(_, nanos)| *nanos).sum::<i128>(),
        ));
        same(id.to_string(), format!("{left:?}"), format!("{right:?}"));
    }

    fn compare_ad_set(&self, ledger: &Ledger, id: AdSetId, same: &mut impl FnMut(String, String, String)) {
        let at = self.last.1;
        let day = self.day_of(id, at);
        let left = ledger
            .ad_set_budget(id, at)
            .map(|v| (v.gross.0, v.credited.0, v.gross_today.0, v.free_lifetime.0, v.free_daily.0));
        let sums = (Purse::AdSet(id, None), Purse::AdSet(id, Some(day)));
        let right = Some((
            get(&self.spent, &sums.0),
            get(&self.credited, &sums.0),
            get(&self.spent, &sums.1),
            get(&self.free, &(id, Limit::AdSetLifetime)),
            get(&self.free, &(id, Limit::AdSetDaily)),
        ));
        same(id.to_string(), format!("{left:?}"), format!("{right:?}"));

        let spec = &self.ad_sets[&id];
        let remaining = ledger.remaining(id, at);
        let smallest = self.left(id, day).into_iter().map(|(left, limit)| (left.max(0), limit)).min();
        let smallest = smallest
            .filter(|_| spec.bid != Bid::Free)
            .map(|(left, limit)| if self.stopped { (0, Limit::Account) } else { (left, limit) });
        let left = remaining.nanos.map(|n| n.0).zip(remaining.limit);
        same(format!("remaining of {id}"), format!("{left:?}"), format!("{smallest:?}"));
        let shown: u64 = self.shown.range((id, i64::MIN)..=(id, i64::MAX)).map(|(_, (_, shown))| shown).sum();
        let goal = match spec.tier {
            Tier::Guaranteed { impressions_count } => Some(impressions_count.saturating_sub(shown)),
            _ => None,
        };
        same(format!("goal of {id}"), format!("{:?}", remaining.impressions_count), format!("{goal:?}"));

        let settled = self
            .shown
            .range((id, i64::MIN)..=(id, i64::MAX))
            .filter(|((_, minute), _)| at.0 > minute * MINUTE_MS + MINUTE_MS - 1 + IMPRESSION_EXPIRY_MS);
        let loss = settled.fold(Loss::default(), |sum, (_, (served, shown))| Loss {
            served_count: sum.served_count + served,
            impressions_count: sum.impressions_count + shown,
        });
        same(format!("loss of {id}"), format!("{:?}", ledger.loss(id)), format!("{loss:?}"));
    }

    fn compare_months(
        &self,
        ledger: &Ledger,
        id: AdvertiserId,
        same: &mut impl FnMut(String, String, String),
    ) {
        let of_account = |c: &&Charged| self.parents(c.ad_set).is_some_and(|(a, _)| a == id);
        let charges: Vec<&Charged> = self.charges.values().filter(of_account).collect();
        let months: BTreeSet<(i16, i8)> =
            charges.iter().flat_map(|c| c.credits.iter().map(|m| m.0).chain([c.month])).collect();
        for month in months {
            let mut lines: BTreeMap<(AdSetId, ChargeKind), (u64, i128, i128)> = BTreeMap::new();
            for charge in &charges {
                let key = (charge.ad_set, charge.kind);
                if charge.month == month {
                    let line = lines.entry(key).or_default();
                    *line = (line.0 + 1, line.1 + charge.nanos, line.2);
                }
                for (_, nanos) in charge.credits.iter().filter(|(credit_month, _)| *credit_month == month) {
                    lines.entry(key).or_default().2 += nanos;
                }
            }
            let currency = self.advertisers[&id].currency;
            let step = 10i128.pow(9 - currency.minor_digits());
            let rounded = |(_, gross, credited): &(u64, i128, i128)| {
                div_half_even(gross - credited, step) * step / 1_000
            };
            let net: i128 = lines.values().map(rounded).sum();
            let Some(invoice) = ledger.invoice(id, month.0, month.1) else {
                same(format!("invoice of {id} {month:?}"), "none".into(), format!("{lines:?}"));
                continue;
            };
            let shown: BTreeMap<_, _> = invoice
                .lines
                .iter()
                .map(|l| ((l.ad_set, l.kind), (l.quantity_count, l.gross_nanos.0, l.credited_nanos.0)))
                .collect();
            same(format!("invoice of {id} {month:?}"), format!("{shown:?}"), format!("{lines:?}"));
            same(format!("net of {id} {month:?}"), invoice.net_micros.0.to_string(), net.to_string());
            let total = Micros(invoice.net_micros.0 + invoice.tax_micros.0);
            same(format!("total of {id}"), format!("{:?}", invoice.total_micros), format!("{total:?}"));
            let Nanos(gross) = invoice.gross_nanos;
            let sum: i128 = lines.values().map(|line| line.1).sum();
            same(format!("gross of {id}"), gross.to_string(), sum.to_string());
        }
    }
}
