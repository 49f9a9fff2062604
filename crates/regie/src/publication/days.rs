//! Closed days: what the ledger counted of each ad, published once a day is over, and again when it changes.
//!
//! A credit counts on the day of the charge that it gives back: the ledger books it on its own day, and the charge's day is
//! read from the journal. A flat fee belongs to no ad, and is stated with the first ad of its set, always. Breakdowns are
//! taken from the hourly reports, once.

use super::{Publication, Work, subject};
use crate::platform::lock;
use anyhow::Result;
use regie_journal::{JournalReader, Position};
use regie_ledger::Counters;
use regie_model::{
    AdId, AdSetId, CampaignId, Currency, Day, Nanos, UtcHour, UtcMs, VersionId, Zone, command::Change,
    event::Event, ticket::DeviceClass,
};
use regie_record::{
    Previous,
    breakdown::{Breakdown, Dimension, breakdown},
    commit::Sha256Hash,
    dayclose::{ClosedDay, FINAL_AFTER_DAYS, Shown, due, figures_sheet, spend_text},
    leaf::{Amounts, Kind},
};
use std::collections::BTreeMap;

/// Days of one batch at most.
const BATCH_MAX: usize = 1_000;
/// A day is closed so long after its end, in milliseconds: what was appended on it has then been folded.
const SETTLE_MS: i64 = 5_000;

/// What an ad's days need to be read.
struct Account {
    campaign: CampaignId,
    set: AdSetId,
    zone: Zone,
    currency: Currency,
}

impl Publication {
    /// Publishes what is due of closed days; whether there may be more.
    pub(super) fn close_days(&self, work: &mut Work, now: UtcMs) -> Result<bool> {
        let credits = self.resolve_credits()?;
        // Five seconds into each hour, and after a credit.
        let hour = UtcMs(now.0 - SETTLE_MS).hour().0;
        if hour == work.hour && credits == work.credits {
            return Ok(false);
        }
        let mut sheets = Vec::new();
        for ad in self.ads_with_days(now)? {
            self.due_days(ad, now, &mut sheets)?;
            if sheets.len() >= BATCH_MAX {
                break;
            }
        }
        let more = sheets.len() >= BATCH_MAX;
        self.publish(&sheets, work.position, None)?;
        if !more {
            self.publish_decisions(work.position)?;
            self.withhold_expired(now)?;
            (work.hour, work.credits) = (hour, credits);
        }
        Ok(more)
    }
    /// Ads that may have something due: all with a day of the last fortnight, and all that were ever credited.
    fn ads_with_days(&self, now: UtcMs) -> Result<Vec<AdId>> {
        let first = Day(i32::try_from(now.0 / regie_model::time::DAY_MS).unwrap_or(i32::MAX) - 14);
        let mut ads: std::collections::BTreeSet<AdId> = {
            let folds = self.platform.folds();
            let recent = |ad: &AdId| folds.ledger.ad_days(*ad).last().is_some_and(|(day, _)| *day >= first);
            folds.ledger.ads().map(|(id, _)| id).filter(recent).collect()
        };
        let db = self.db();
        let mut statement = db.connection().prepare_cached("SELECT DISTINCT ad FROM moves")?;
        for id in statement.query_map([], |r| r.get::<_, u32>(0))? {
            ads.insert(AdId(id?));
        }
        // What was counted before there was a log has no leaf yet.
        drop(statement);
        let known = db.mark("days_begun")?;
        drop(db);
        if known == 0 {
            ads.extend(self.platform.folds().ledger.ads().map(|(id, _)| id));
            self.db().set_mark("days_begun", 1)?;
        }
        Ok(ads.into_iter().collect())
    }
    fn account(&self, ad: AdId) -> Option<Account> {
        let catalogue = self.platform.catalogue();
        let about = subject(&catalogue, ad)?;
        let advertiser = catalogue.campaigns.get(&about.campaign)?.spec.advertiser;
        let spec = &catalogue.advertisers.get(&advertiser)?.spec;
        Some(Account {
            campaign: about.campaign,
            set: about.ad_set,
            zone: spec.zone.clone(),
            currency: spec.currency,
        })
    }
    /// Exact figures of an ad by day of its account's zone.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn day_amounts(&self, ad: AdId) -> Result<BTreeMap<Day, Amounts>> {
        let Some(account) = self.account(ad) else { return Ok(BTreeMap::new()) };
        let zero = || Amounts::zero(account.currency);
        let mut days: BTreeMap<Day, Amounts> = BTreeMap::new();
        let counted: Vec<(Day, Counters)> = self.platform.folds().ledger.ad_days(ad).to_vec();
        for (day, counters) in counted {
            let of = days.entry(day).or_insert_with(zero);
            of.impressions_count += counters.impressions_count;
            of.clicks_count += counters.clicks_count;
            of.conversions_count += counters.conversions_count;
            of.gross_nanos += counters.gross_nanos;
            of.credited_nanos += counters.credited_nanos;
        }
        if self.states_flat_fee(ad, account.set) {
            for (hour, gross, credited) in self.flat_fee_hours(&account)? {
                let of = days.entry(account.zone.day(hour.start())).or_insert_with(zero);
                of.gross_nanos += gross;
                of.credited_nanos += credited;
            }
        }
        let db = self.db();
        let mut statement =
            db.connection().prepare_cached("SELECT from_day, to_day, nanos FROM moves WHERE ad = ?1")?;
        let moves = statement.query_map([ad.0], |r| {
            Ok((Day(r.get(0)?), Day(r.get(1)?), Nanos(i128::from(r.get::<_, i64>(2)?))))
        })?;
        for credit in moves {
            let (own, charged, nanos) = credit?;
            if let Some(of) = days.get_mut(&own) {
                of.credited_nanos = of.credited_nanos - nanos;
                days.entry(charged).or_insert_with(zero).credited_nanos += nanos;
            }
        }
        Ok(days)
    }
    fn states_flat_fee(&self, ad: AdId, set: AdSetId) -> bool {
        let catalogue = self.platform.catalogue();
        let flat = catalogue
            .ad_sets
            .get(&set)
            .is_some_and(|s| matches!(s.spec.bid, regie_model::booking::Bid::FlatFee { .. }));
        flat && catalogue.ads_of.get(&set).and_then(|ads| ads.first()) == Some(&ad)
    }
    fn flat_fee_hours(&self, account: &Account) -> Result<Vec<(UtcHour, Nanos, Nanos)>> {
        let sql = "SELECT hour, sum(spend_nanos), sum(credited_nanos) FROM rollups
            WHERE campaign = ?2 AND ad_set = ?1 AND ad = 0 GROUP BY hour";
        let state = self.platform.state();
        let mut statement = state.connection().prepare_cached(sql)?;
        let rows = statement.query_map([account.set.0, account.campaign.0], |r| {
            let nanos = |n: i64| Nanos(i128::from(n));
            Ok((UtcHour(r.get(0)?), nanos(r.get(1)?), nanos(r.get(2)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    fn due_days(&self, ad: AdId, now: UtcMs, sheets: &mut Vec<regie_record::leaf::Sheet>) -> Result<()> {
        let Some(account) = self.account(ad) else { return Ok(()) };
        if self.db().latest(ad, Kind::Facts, None)?.is_none() {
            return Ok(());
        }
        let days = self.day_amounts(ad)?;
        let mut published: BTreeMap<Day, Amounts> = BTreeMap::new();
        let mut wanted = Vec::new();
        for (day, amounts) in &days {
            let closed_at = UtcMs(account.zone.day_start(Day(day.0 + 1)).0 + SETTLE_MS);
            let last = self.db().latest(ad, Kind::Figures, Some(*day))?;
            let known = last.as_ref().and_then(|l| Some((l.figures.as_ref()?, l.at)));
            if let Some((figures, _)) = known {
                published.insert(*day, figures.amounts.clone());
            }
            if due(amounts, closed_at, now, known).is_some() {
                wanted.push((*day, closed_at, last.clone()));
            }
        }
        for (day, closed_at, last) in wanted {
            let amounts = &days[&day];
            let zero = Amounts::zero(account.currency);
            let others = published.iter().filter(|(d, _)| **d != day);
            let others = others.fold(zero, |sum, (_, a)| sum.plus(a).unwrap_or(sum));
            let (breakdowns, shown) = if last.is_none() {
                self.breakdowns(ad, day, &account, amounts)?
            } else {
                Default::default()
            };
            let reason = self.reason(ad, day)?;
            let closed = ClosedDay {
                ad,
                day,
                closed_at,
                amounts,
                others: &others,
                breakdowns: &breakdowns,
                shown: &shown,
                matched_count: self.matched(&account, day)?.filter(|_| last.is_none()),
                reason: &reason,
            };
            let none = |_: &Sha256Hash| None;
            let previous = last.as_ref().map(|leaf| Previous { leaf, object: &none });
            let mut failed = None;
            let sheet = figures_sheet(&closed, previous.as_ref(), now, &mut || super::salt(&mut failed))?;
            anyhow::ensure!(failed.is_none(), "no randomness for a salt");
            published.insert(day, amounts.clone());
            sheets.extend(sheet);
        }
        const { assert!(FINAL_AFTER_DAYS < 14, "days stay in view until they are final") };
        Ok(())
    }
    /// One-way breakdowns of a day's impressions, and what was shown by version, from the hourly reports.
    fn breakdowns(
        &self,
        ad: AdId,
        day: Day,
        account: &Account,
        amounts: &Amounts,
    ) -> Result<(Vec<Breakdown>, Vec<Shown>)> {
        self.platform.flush(false)?;
        let (from, to) = (account.zone.day_start(day), account.zone.day_start(Day(day.0 + 1)));
        let sql = "SELECT hour, country, device, version, sum(impressions), sum(spend_nanos) FROM rollups
            WHERE campaign = ?1 AND ad = ?2 AND hour >= ?3 AND hour < ?4 GROUP BY hour, country, device, version";
        let mut by: BTreeMap<Dimension, BTreeMap<String, u64>> = BTreeMap::new();
        let mut versions: BTreeMap<VersionId, (u64, Nanos)> = BTreeMap::new();
        {
            let state = self.platform.state();
            let mut statement = state.connection().prepare_cached(sql)?;
            let hours = [account.campaign.0.into(), ad.0.into(), from.hour().0, to.hour().0];
            let mut rows = statement.query(hours)?;
            while let Some(row) = rows.next()? {
                let count = row.get::<_, i64>(4)? as u64;
                let country: String = row.get(1)?;
                let country = if country.is_empty() { "unknown".to_owned() } else { country };
                let device = DeviceClass::from_u8(row.get(2)?).word().to_owned();
                let local = account.zone.local_text(UtcHour(row.get(0)?).start());
                let hour = local.get(11..13).unwrap_or("00").to_owned();
                for (dimension, value) in
                    [(Dimension::Region, country), (Dimension::Device, device), (Dimension::Hour, hour)]
                {
                    *by.entry(dimension).or_default().entry(value).or_default() += count;
                }
                let of = versions.entry(VersionId(row.get(3)?)).or_default();
                of.0 += count;
                of.1 += Nanos(i128::from(row.get::<_, i64>(5)?));
            }
        }
        let whole =
            |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>() == amounts.impressions_count;
        // Retired hourly reports give no breakdown; one that does not add up is not published.
        let made = by.iter().filter(|(_, counts)| whole(counts) && amounts.impressions_count > 0);
        let made = made.map(|(dimension, counts)| breakdown(ad, day, *dimension, counts)).collect();
        let summed: u64 = versions.values().map(|(count, _)| count).sum();
        if summed != amounts.impressions_count {
            // Retired hourly reports give no manifest either: one that leaves versions out would be a false one.
            return Ok((made, Vec::new()));
        }
        let catalogue = self.platform.catalogue();
        let template = catalogue.ads.get(&ad).and_then(|state| state.approved.as_ref()?.template.as_ref());
        let mut shown = Vec::new();
        for (id, (count, spend)) in versions.into_iter().filter(|(_, (count, _))| *count > 0) {
            let creative = match id.template_code() {
                Some(code) => template
                    .and_then(|t| t.creative(code))
                    .map(|creative| regie_model::creative::ObjectHash::of(&creative.to_bytes())),
                None => catalogue
                    .versions
                    .get(&id)
                    .map(|state| state.approved.map_or(state.kept.spec.creative, |(hash, _)| hash)),
            };
            let Some(creative) = creative else { return Ok((made, Vec::new())) };
            let spend_nanos = spend_text(spend);
            shown.push(Shown { version: id, creative, impressions_count: count, spend_nanos });
        }
        Ok((made, shown))
    }
    /// Places offered on a day that matched the ad set's targeting; none where they were not counted.
    fn matched(&self, account: &Account, day: Day) -> Result<Option<u64>> {
        let (from, to) = (account.zone.day_start(day), account.zone.day_start(Day(day.0 + 1)));
        self.platform.state().matched(account.set, from.hour(), to.hour())
    }
    fn reason(&self, ad: AdId, day: Day) -> Result<String> {
        let db = self.db();
        let sql = "SELECT reason FROM moves WHERE ad = ?1 AND to_day = ?2 ORDER BY position DESC LIMIT 1";
        let mut statement = db.connection().prepare_cached(sql)?;
        let mut rows = statement.query([i64::from(ad.0), i64::from(day.0)])?;
        let found: Option<String> = rows.next()?.map(|r| r.get(0)).transpose()?;
        Ok(found.unwrap_or_else(|| "counted anew".into()))
    }
    /// Finds, for each credit, the ad and the day of its charge; how many credits there are.
    fn resolve_credits(&self) -> Result<u64> {
        let after = self.db().mark("credits")?;
        let fresh: Vec<(u64, UtcMs, u64, i64)> = {
            let state = self.platform.state();
            let sql = "SELECT position, at_ms, charged, nanos FROM credits WHERE position > ?1 ORDER BY position LIMIT 1000";
            let mut statement = state.connection().prepare_cached(sql)?;
            let rows = statement.query_map([after as i64], |r| {
                Ok((r.get::<_, i64>(0)? as u64, UtcMs(r.get(1)?), r.get::<_, i64>(2)? as u64, r.get(3)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let mut last = after;
        for (position, at, charged, nanos) in fresh {
            if let Some((ad, charged_at)) = self.charge(charged)?
                && let Some(account) = self.account(ad)
            {
                let (own, of) = (account.zone.day(at), account.zone.day(charged_at));
                let reason = self.credit_reason(position)?;
                let sql = "INSERT OR REPLACE INTO moves VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let db = self.db();
                db.connection()
                    .execute(sql, rusqlite::params![position as i64, ad.0, own.0, of.0, nanos, reason])?;
            }
            last = position;
            self.db().set_mark("credits", last)?;
        }
        Ok(last)
    }
    /// The ad and time of the charge at a journal position; `None` when its record is retired.
    fn charge(&self, position: u64) -> Result<Option<(AdId, UtcMs)>> {
        let Ok(mut reader) = JournalReader::open(&self.journal, Position(position.saturating_sub(1))) else {
            return Ok(None);
        };
        let Some(batch) = reader.next_batch()? else { return Ok(None) };
        let Some(record) = batch.records().find(|r| r.position.0 == position) else { return Ok(None) };
        let event = Event::decode(record.payload)?;
        let flat = match &event {
            Event::FlatFeeAccrued { ad_set, .. } => {
                self.platform.catalogue().ads_of.get(ad_set).and_then(|ads| ads.first().copied())
            }
            _ => None,
        };
        Ok(event.ticket().map(|t| t.ad).or(flat).map(|ad| (ad, UtcMs(record.at_ms))))
    }
    fn credit_reason(&self, position: u64) -> Result<String> {
        let state = self.platform.state();
        let body: Option<Vec<u8>> = state
            .connection()
            .prepare_cached("SELECT body FROM changes WHERE position = ?1")?
            .query_map([position as i64], |r| r.get(0))?
            .next()
            .transpose()?;
        Ok(match body.map(|b| Event::decode(&b)).transpose()? {
            Some(Event::Booked(booked)) => match booked.change {
                Change::Credited { reason, .. } => reason,
                _ => String::new(),
            },
            _ => String::new(),
        })
    }
    /// Waits until everything due now is published; for tests and the demo.
    ///
    /// # Errors
    /// As [`Publication::step`].
    pub fn settle(&self) -> Result<()> {
        while self.step()? {}
        self.settle_at(self.platform.now())
    }
    /// Publishes what of the closed days is due at a moment; for tests and the demo, whose days are long over.
    ///
    /// # Errors
    /// As [`Publication::step`].
    pub fn settle_at(&self, now: UtcMs) -> Result<()> {
        let mut work = lock(&self.work);
        work.hour = -1;
        while self.close_days(&mut work, now)? {}
        Ok(())
    }
}
