//! One pass over the facts: sums per candidate, by interval arithmetic, in one currency.

use super::{Measure, Partly, Question, mixed};
use crate::amount::{Amount, Currency, Sum};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::columns::Column;
use crate::store::{Chunk, Coverage, Dataset, KeyMap, Snapshot, SnapshotId, Store};
use crate::targets::Targets;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most distinct ads held in mind to count each once (about 32 bytes each).
const ITEMS_MAX: usize = 20_000_000;

/// Sums of one candidate.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Money.
    pub spend: Sum,
    /// Impressions.
    pub views: Sum,
    /// Ads.
    pub ads_count: u64,
    /// A subject whose words show it: the latest among the rows counted.
    pub subject: u32,
}

impl Account {
    /// The sum a question is about.
    pub fn sum(&self, measure: Measure) -> &Sum {
        match measure {
            Measure::Spend => &self.spend,
            Measure::Impressions => &self.views,
        }
    }
}

/// What one pass found.
pub struct Gathered {
    /// By target.
    pub accounts: Vec<Account>,
    /// The currency summed.
    pub currency: Option<Currency>,
    /// Rows over the edge of the range.
    pub partial_count: u64,
    /// Rows that repeat an ad.
    pub repeated_count: u64,
    /// Rows without money.
    pub without_money_count: u64,
    /// Whether impressions are stated anywhere.
    pub has_views: bool,
    /// Whether some source is only a selection.
    pub is_selection: bool,
    other: BTreeMap<Currency, (i128, u64)>,
}

impl Gathered {
    /// Other currencies: published sums in micros and rows.
    pub fn others(&self) -> Vec<(Currency, String, u64)> {
        self.other.iter().map(|(c, (sum, rows))| (*c, sum.to_string(), *rows)).collect()
    }
}

/// How a row's amounts count.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// Millionths of the target currency for one unit; 1,000,000 for the currency itself.
    pub rate_micros: i64,
}

/// What decides whether and how a row counts; shared by both passes.
pub(super) struct Filter {
    from: Day,
    to: Day,
    partly: Partly,
    /// Per word: whether a region or election passes; empty when not asked.
    places: Vec<bool>,
    elections: Vec<bool>,
    /// Per word: how a currency counts.
    pub currencies: Vec<Option<Scale>>,
    /// The currency of the sums.
    pub currency: Option<Currency>,
    measure: Measure,
    slack: HashMap<SnapshotId, (i64, i64)>,
    seen: Option<KeyMap<()>>,
    parallel: HashSet<SnapshotId>,
    /// Snapshots in which an ad has a row for each region or group.
    shared: HashSet<SnapshotId>,
}

/// How a row counts.
pub(super) struct Counted {
    pub amount: Amount,
    pub views: Amount,
    pub is_partial: bool,
}

impl Filter {
    pub fn new(store: &Store, snapshots: &[Snapshot], question: &Question) -> Result<Filter> {
        let words = store.words()?;
        let allow = |wanted: &Option<String>| -> Vec<bool> {
            let Some(wanted) = wanted else { return Vec::new() };
            let wanted = crate::text::plain(wanted);
            words.iter().map(|w| !w.is_empty() && crate::text::plain(w) == wanted).collect()
        };
        let places = allow(&question.scope.region);
        let elections = allow(&question.election);
        let ad_dumps = snapshots.iter().filter(|s| s.dataset.is_per_ad());
        let mut by_platform: HashMap<&str, u32> = HashMap::new();
        ad_dumps.for_each(|s| *by_platform.entry(&s.platform).or_default() += 1);
        let needs_seen = by_platform.values().any(|n| *n > 1);
        let (currency, currencies) = currencies(store, snapshots, question, &words)?;
        Ok(Filter {
            from: question.scope.from.unwrap_or(Day::OPEN_START),
            to: question.scope.to.unwrap_or(Day::OPEN_END),
            partly: question.partly,
            places,
            elections,
            currencies,
            currency,
            measure: question.measure,
            slack: snapshots.iter().map(|s| (s.id, s.rule.slack())).collect(),
            seen: needs_seen.then(KeyMap::default),
            parallel: snapshots.iter().filter(|s| s.parallel_currencies).map(|s| s.id).collect(),
            shared: snapshots
                .iter()
                .filter(|s| s.dataset.is_per_ad() && s.dataset != Dataset::Ad)
                .map(|s| s.id)
                .collect(),
        })
    }
    pub fn slack(&self, snapshot: SnapshotId) -> (i64, i64) {
        self.slack.get(&snapshot).copied().unwrap_or_default()
    }
    /// Columns a pass needs.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::Subject,
            Column::Currency,
            Column::From,
            Column::Days,
            Column::Lower,
            Column::Width,
            Column::ViewsLower,
            Column::ViewsWidth,
            Column::Ads,
        ];
        if !self.places.is_empty() || (self.seen.is_some() && !self.shared.is_empty()) {
            columns.push(Column::Place);
        }
        if !self.elections.is_empty() {
            columns.push(Column::Election);
        }
        if self.seen.is_some() {
            columns.push(Column::Item);
        }
        columns
    }
    /// Whether region and election let the row pass, and its days touch the range.
    #[inline]
    pub fn passes(&self, chunk: &Chunk, row: usize) -> bool {
        let word = |column: Column| chunk.column(column)[row] as usize;
        if !self.places.is_empty() && !self.places.get(word(Column::Place)).copied().unwrap_or(false) {
            return false;
        }
        if !self.elections.is_empty() && !self.elections.get(word(Column::Election)).copied().unwrap_or(false)
        {
            return false;
        }
        let (from, to) = chunk.period(row);
        match self.partly {
            Partly::Bounded => from <= self.to && to >= self.from,
            Partly::ByStart => from >= self.from && from <= self.to,
        }
    }
    /// Whether this ad was counted before; remembers it.
    pub fn is_repeated(&mut self, chunk: &Chunk, row: usize) -> Result<bool> {
        let Some(seen) = &mut self.seen else { return Ok(false) };
        let item = chunk.item(row);
        if item.is_empty() {
            return Ok(false);
        }
        let mut hash = blake3::Hasher::new();
        hash.update(item);
        hash.update(&chunk.column(Column::Currency)[row].to_le_bytes());
        if self.shared.contains(&chunk.snapshot) {
            hash.update(&chunk.column(Column::Place)[row].to_le_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        if seen.len() >= ITEMS_MAX {
            return Err(Error::Limit {
                what: "distinct ads in several dumps",
                limit: ITEMS_MAX as u64,
                hint: "narrow the question to one dump with --known-on, or to fewer days",
            });
        }
        Ok(seen.insert(u128::from_le_bytes(key), ()).is_some())
    }
    /// The row's amounts as they count; `None` when its currency does not.
    #[inline]
    pub fn count(&self, chunk: &Chunk, row: usize) -> Option<Counted> {
        let scale = self.currencies.get(chunk.column(Column::Currency)[row] as usize).copied().flatten();
        let (from, to) = chunk.period(row);
        let is_partial = from < self.from || to > self.to;
        let mut views = chunk.views(row);
        let mut amount = match (scale, self.measure) {
            (Some(scale), _) => convert(chunk.spend(row), scale),
            // A row repeated for a parallel currency column states the same impressions again.
            (None, Measure::Impressions) if !self.parallel.contains(&chunk.snapshot) => Amount::UNSTATED,
            (None, _) => return None,
        };
        if is_partial && self.partly == Partly::Bounded {
            amount.lower = 0;
            views.lower = 0;
        }
        Some(Counted { amount, views, is_partial })
    }
}

fn convert(amount: Amount, scale: Scale) -> Amount {
    if scale.rate_micros == 1_000_000 {
        return amount;
    }
    let rate = i128::from(scale.rate_micros);
    let clamp = |v: i128| i64::try_from(v).unwrap_or(i64::MAX);
    let lower = clamp(i128::from(amount.lower) * rate / 1_000_000);
    // The upper bound is rounded up, so that the interval still holds the truth.
    let upper = amount.upper.map(|u| clamp((i128::from(u) * rate + 999_999) / 1_000_000));
    Amount { lower, upper }
}

type Currencies = (Option<Currency>, Vec<Option<Scale>>);

/// Which currencies count and how: the one asked for, else the one with most rows; others by rate.
fn currencies(
    store: &Store,
    snapshots: &[Snapshot],
    question: &Question,
    words: &[String],
) -> Result<Currencies> {
    let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
    let ids: Vec<SnapshotId> = snapshots.iter().map(|s| s.id).collect();
    store.scan(&ids, &[Column::Currency])?.each(|chunk| {
        let column = chunk.column(Column::Currency);
        let (first, mut same) = (column.first().copied().unwrap_or(0), 0);
        for word in column {
            if *word == first {
                same += 1;
            } else {
                *rows.entry(*word as usize).or_default() += 1;
            }
        }
        *rows.entry(first as usize).or_default() += same;
        Ok(())
    })?;
    let parse = |word: usize| words.get(word).and_then(|w| Currency::parse(w));
    // Of equally frequent ones the first column counts.
    let most = rows.iter().rev().filter_map(|(w, n)| parse(*w).map(|c| (*n, c))).max_by_key(|(n, _)| *n);
    let target = question.currency.or(most.map(|(_, c)| c));
    let mut scales = vec![None; words.len()];
    let mut missing = Vec::new();
    for word in rows.keys() {
        let Some(currency) = parse(*word) else { continue };
        let rate = question.rates.iter().find(|r| r.currency == currency);
        let scale = match (Some(currency) == target, rate) {
            (true, _) => Some(Scale { rate_micros: 1_000_000 }),
            (false, Some(rate)) => Some(Scale { rate_micros: rate.rate_micros }),
            (false, None) => None,
        };
        if scale.is_none() && !question.rates.is_empty() {
            missing.push(currency);
        }
        if let Some(slot) = scales.get_mut(*word) {
            *slot = scale;
        }
    }
    match (missing.is_empty(), target) {
        (false, Some(target)) => Err(mixed(&missing, target)),
        _ if !question.rates.is_empty() && snapshots.iter().any(|s| s.parallel_currencies) => Err(Error::Question(
            "this source states amounts in several currency columns, which may be the same money; adding them by rates \
             would count it twice. Choose one with --currency"
                .into(),
        )),
        _ => Ok((target, scales)),
    }
}

/// The snapshots with the latest first, so that of a repeated ad the latest statement counts.
pub(super) fn latest_first(snapshots: &[Snapshot]) -> Vec<SnapshotId> {
    let mut order: Vec<&Snapshot> = snapshots.iter().collect();
    order.sort_by_key(|s| std::cmp::Reverse((s.known_on, s.id)));
    order.into_iter().map(|s| s.id).collect()
}

/// Makes the pass.
pub(super) fn gather(
    store: &Store,
    snapshots: &[Snapshot],
    question: &Question,
    targets: &Targets,
) -> Result<Gathered> {
    let mut filter = Filter::new(store, snapshots, question)?;
    let words = store.words()?;
    let mut found = Gathered {
        accounts: vec![Account::default(); targets.list.len()],
        currency: filter.currency,
        partial_count: 0,
        repeated_count: 0,
        without_money_count: 0,
        has_views: false,
        is_selection: snapshots.iter().any(|s| s.coverage == Coverage::Selection),
        other: BTreeMap::new(),
    };
    let columns = filter.columns();
    store.scan(&latest_first(snapshots), &columns)?.each(|chunk| {
        let slack = filter.slack(chunk.snapshot);
        let subjects = chunk.column(Column::Subject);
        let ads = chunk.column(Column::Ads);
        let stated =
            chunk.column(Column::ViewsWidth).iter().chain(chunk.column(Column::ViewsLower)).any(|v| *v != 0);
        found.has_views |= stated;
        for row in 0..chunk.rows {
            if !filter.passes(chunk, row) {
                continue;
            }
            if filter.is_repeated(chunk, row)? {
                found.repeated_count += 1;
                continue;
            }
            let Some(counted) = filter.count(chunk, row) else {
                let word = chunk.column(Column::Currency)[row] as usize;
                match words.get(word).and_then(|w| Currency::parse(w)) {
                    Some(currency) => {
                        let other = found.other.entry(currency).or_default();
                        other.0 += i128::from(chunk.spend(row).lower);
                        other.1 += 1;
                    }
                    None => found.without_money_count += 1,
                }
                continue;
            };
            let target = targets.of(subjects[row], chunk.period(row).0);
            let Some(account) = found.accounts.get_mut(target) else { continue };
            if account.spend.rows_count == 0 {
                account.subject = subjects[row] as u32;
            }
            account.spend.add(counted.amount, slack);
            if stated {
                account.views.add(counted.views, (0, 0));
            }
            account.ads_count += ads[row].max(0) as u64;
            found.partial_count += u64::from(counted.is_partial);
        }
        Ok(())
    })?;
    if !found.has_views {
        // Nobody stated impressions: their sum is unknown, not zero.
        for account in &mut found.accounts {
            account.views.unknown_count = account.spend.rows_count;
        }
    }
    Ok(found)
}
