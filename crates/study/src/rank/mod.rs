//! Rankings that say how certain they are.
//!
//! Every candidate has an interval; its best rank counts only those certainly above it, its worst rank
//! all that may be above. What no grouping maps, what is a rest, and what a filter took out stand beside
//! the ranking with their sums. Refuses to add currencies without dated rates.

mod gather;
mod split;

pub use split::{PlacePoint, SeriesPoint, Split};

use crate::amount::{Currency, Sum};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::group::{Grouping, Unmapped};
use crate::kinds::Kind;
use crate::select::{self, Scope};
use crate::store::{Coverage, Snapshot, Store};
use crate::targets::{Label, Targets, Unit};
use gather::{Account, Gathered};
use serde::Serialize;

/// The figure candidates are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimate {
    /// The sum as published (lower values).
    #[default]
    Published,
    /// The middle of the interval; the lower bound where the upper is unknown.
    Midpoint,
}

/// What is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Money.
    #[default]
    Spend,
    /// Impressions (times shown, not people).
    Impressions,
}

/// How a period that lies only partly in the range counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Partly {
    /// Between nothing and its whole amount: always true.
    #[default]
    Bounded,
    /// Wholly when it begins in the range: the custom of weekly tables.
    ByStart,
}

/// A dated rate of exchange.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// Currency converted.
    pub currency: Currency,
    /// How many millionths of the target currency one unit is worth; above zero.
    pub rate_micros: i64,
    /// The day it was quoted.
    pub quoted_on: Day,
}

impl std::str::FromStr for Rate {
    type Err = String;
    /// Reads `EUR=1.0835@2018-08-01`.
    fn from_str(text: &str) -> std::result::Result<Rate, String> {
        let wrong = || format!("{text:?} is not a rate; write EUR=1.0835@2018-08-01");
        let (currency, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (rate, day) = rest.split_once('@').ok_or_else(wrong)?;
        let currency = Currency::parse(currency).ok_or_else(wrong)?;
        let rate = crate::amount::parse_amount(rate, crate::amount::UNIT).map_err(|_| wrong())?;
        let quoted_on = Day::parse(day).ok_or_else(wrong)?;
        if rate.lower == 0 || Some(rate.lower) != rate.upper {
            return Err(wrong());
        }
        Ok(Rate { currency, rate_micros: rate.lower, quoted_on })
    }
}

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Which part of the store.
    pub scope: Scope,
    /// Only rows of this election or cycle.
    pub election: Option<String>,
    /// What a unit is.
    pub unit: Unit,
    /// The currency; the one with most rows when not given.
    pub currency: Option<Currency>,
    /// Rates into that currency.
    pub rates: Vec<Rate>,
    /// What orders.
    pub estimate: Estimate,
    /// What is summed.
    pub measure: Measure,
    /// How partial periods count.
    pub partly: Partly,
    /// Kinds to take out.
    pub exclude: Vec<Kind>,
    /// Overrides the grouping's own choice.
    pub unmapped: Option<Unmapped>,
    /// How many candidates to show; 0 for the default of 20.
    pub top: usize,
    /// Whether to make time series and regional split as well.
    pub with_split: bool,
}

/// A place in the ranking.
#[derive(Clone, Debug, Serialize)]
pub struct Ranked {
    /// By the estimate, from 1.
    pub rank: u64,
    /// No better rank is possible.
    pub best: u64,
    /// No worse rank is possible; `None` when that is unknown.
    pub worst: Option<u64>,
    /// Who.
    pub label: Label,
    /// Whether a grouping joined it.
    pub is_grouped: bool,
    /// Units joined.
    pub units_count: u32,
    /// Kind and why, when the name tells.
    pub kind: Option<(Kind, String)>,
    /// The figure that orders.
    #[serde(serialize_with = "as_text")]
    pub estimate: i128,
    /// Sum as published.
    #[serde(serialize_with = "as_text")]
    pub published: i128,
    /// Smallest possible.
    #[serde(serialize_with = "as_text")]
    pub lower: i128,
    /// Largest possible, `None` when unknown.
    #[serde(serialize_with = "as_text_or_none")]
    pub upper: Option<i128>,
    /// Ads, where the source counts them.
    pub ads_count: u64,
    /// Impressions as published (lower), smallest and largest.
    #[serde(serialize_with = "as_text")]
    pub views_published: i128,
    /// Largest possible impressions.
    #[serde(serialize_with = "as_text_or_none")]
    pub views_upper: Option<i128>,
    /// Rows summed.
    pub rows_count: u64,
    /// Others it cannot be told from, by rank, at most five; and how many in all.
    pub undecided_with: Vec<u64>,
    /// How many others overlap.
    pub undecided_count: u64,
}

/// Writes 128-bit integers as decimal text: JSON readers lose digits of larger numbers.
pub(crate) fn as_text<S: serde::Serializer>(value: &i128, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.collect_str(value)
}
pub(crate) fn as_text_or_none<S: serde::Serializer>(
    value: &Option<i128>,
    s: S,
) -> std::result::Result<S::Ok, S::Error> {
    match value {
        Some(value) => s.collect_str(value),
        None => s.serialize_none(),
    }
}

/// Sums that stand beside a ranking.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Beside {
    /// What it is.
    pub name: String,
    /// Candidates summed.
    pub count: u64,
    /// Sum as published.
    #[serde(serialize_with = "as_text")]
    pub published: i128,
    /// Smallest possible.
    #[serde(serialize_with = "as_text")]
    pub lower: i128,
    /// Largest possible.
    #[serde(serialize_with = "as_text_or_none")]
    pub upper: Option<i128>,
    /// The largest of them: name and published sum in micros, with the reason where there is one.
    pub largest: Vec<(Label, String, String)>,
}

/// How concentrated the spending is, by published sums of the ranked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Concentration {
    /// Share of the first, the first four, the first ten, in thousandths of the ranked total.
    pub top_permille: [u32; 3],
    /// Herfindahl-Hirschman index, 0 to 10,000.
    pub hhi: u32,
}

/// An answer.
#[derive(Debug, Serialize)]
pub struct Ranking {
    /// The currency of every figure; `None` for impressions.
    pub currency: Option<Currency>,
    /// What is summed.
    pub measure: Measure,
    /// What orders.
    pub estimate: Estimate,
    /// What a unit is.
    pub unit: Unit,
    /// How partial periods count.
    pub partly: Partly,
    /// First and last day asked for, and as known on.
    pub from: Option<Day>,
    /// Last day asked for.
    pub to: Option<Day>,
    /// As known on.
    pub known_on: Option<Day>,
    /// Region asked for.
    pub region: Option<String>,
    /// Election asked for.
    pub election: Option<String>,
    /// The ranking.
    pub ranked: Vec<Ranked>,
    /// Candidates in all.
    pub candidates_count: u64,
    /// Everything that is ranked.
    pub total: Beside,
    /// What no link speaks of.
    pub unmapped: Option<Beside>,
    /// Residual entities.
    pub residual: Vec<Beside>,
    /// What the filter took out, with reasons.
    pub excluded: Option<Beside>,
    /// Concentration.
    pub concentration: Concentration,
    /// Other currencies, kept apart: published sum and rows.
    pub other_currencies: Vec<(Currency, String, u64)>,
    /// What was used.
    pub sources: Vec<Snapshot>,
    /// The grouping's title and citation.
    pub grouping: Option<(String, String)>,
    /// Rates used.
    pub rates: Vec<Rate>,
    /// What the reader must know.
    pub notes: Vec<String>,
    /// Time series and regional split, when asked for.
    pub split: Option<Split>,
    /// Whether every spender is in the source; otherwise worst ranks are unknown.
    pub is_complete: bool,
}

const BESIDE_SHOWN: usize = 10;

/// Answers a question.
///
/// # Errors
/// Nothing that fits; overlapping windows; contradictions in the grouping; a missing rate.
pub fn rank(store: &Store, question: &Question, grouping: Option<&Grouping>) -> Result<Ranking> {
    let selection = select::select(store, &question.scope)?;
    let mut targets = Targets::build(store, question.unit, grouping, !question.exclude.is_empty())?;
    if let Some(unmapped) = question.unmapped {
        targets.unmapped = unmapped;
    }
    let gathered = gather::gather(store, &selection.snapshots, question, &targets)?;
    let mut answer = assemble(store, question, grouping, &targets, &gathered)?;
    answer.notes.splice(0..0, selection.notes);
    notes(&mut answer, &gathered, &selection.snapshots);
    if question.with_split {
        let top: Vec<usize> = order(question, &targets, &gathered).ranked.iter().take(8).copied().collect();
        answer.split = Some(split::split(store, &selection.snapshots, question, &targets, &gathered, &top)?);
    }
    answer.sources = selection.snapshots;
    Ok(answer)
}

/// Candidates sorted into those ranked and those beside.
struct Order {
    ranked: Vec<usize>,
    unmapped: Vec<usize>,
    residual: Vec<usize>,
    excluded: Vec<usize>,
}

fn estimate(question: &Question, account: &Account) -> i128 {
    let sum = account.sum(question.measure);
    match (question.estimate, sum.upper()) {
        (Estimate::Midpoint, Some(upper)) => (sum.lower + upper) / 2,
        (Estimate::Midpoint, None) => sum.lower,
        (Estimate::Published, _) => sum.published,
    }
}

fn order(question: &Question, targets: &Targets, gathered: &Gathered) -> Order {
    let mut order =
        Order { ranked: Vec::new(), unmapped: Vec::new(), residual: Vec::new(), excluded: Vec::new() };
    for (target, account) in gathered.accounts.iter().enumerate() {
        if account.spend.rows_count == 0 {
            continue;
        }
        let kind = targets.list[target].kind;
        if targets.is_residual(target) {
            order.residual.push(target);
        } else if kind.is_some_and(|k| question.exclude.contains(&k)) {
            order.excluded.push(target);
        } else if targets.resolver.is_some() && !targets.is_mapped(target) {
            order.unmapped.push(target);
        } else {
            order.ranked.push(target);
        }
    }
    if targets.unmapped == Unmapped::Alone {
        order.ranked.extend(&order.unmapped);
    }
    let key = |target: &usize| {
        let account = &gathered.accounts[*target];
        (
            std::cmp::Reverse(estimate(question, account)),
            std::cmp::Reverse(account.sum(question.measure).lower),
            *target,
        )
    };
    for list in [&mut order.ranked, &mut order.unmapped, &mut order.residual, &mut order.excluded] {
        list.sort_unstable_by_key(key);
    }
    order
}

fn assemble(
    store: &Store,
    question: &Question,
    grouping: Option<&Grouping>,
    targets: &Targets,
    gathered: &Gathered,
) -> Result<Ranking> {
    let order = order(question, targets, gathered);
    let top = if question.top == 0 { 20 } else { question.top };
    let shown = &order.ranked[..order.ranked.len().min(top)];
    let mut wanted: Vec<usize> = shown.to_vec();
    for list in [&order.unmapped, &order.excluded, &order.residual] {
        wanted.extend(list.iter().take(BESIDE_SHOWN));
    }
    let labels = targets.labels_by(store, &wanted, |t| gathered.accounts[t].subject)?;
    let label = |target: usize| labels.get(&target).cloned().unwrap_or_default();
    let beside = |name: &str, list: &[usize]| beside(name, list, question, gathered, &label);
    let ranked = places(question, targets, gathered, &order.ranked, shown, &label);
    let is_partial = gathered.is_selection;
    let residual = order.residual.iter().map(|t| beside(&label(*t).name, &[*t])).collect();
    Ok(Ranking {
        currency: (question.measure == Measure::Spend).then_some(gathered.currency).flatten(),
        measure: question.measure,
        estimate: question.estimate,
        unit: question.unit,
        partly: question.partly,
        from: question.scope.from,
        to: question.scope.to,
        known_on: question.scope.known_on,
        region: question.scope.region.clone(),
        election: question.election.clone(),
        ranked,
        candidates_count: order.ranked.len() as u64,
        total: beside("all that is ranked", &order.ranked),
        unmapped: grouping.map(|_| beside("not in the grouping", &order.unmapped)),
        residual,
        excluded: (!question.exclude.is_empty()).then(|| beside("taken out by the filter", &order.excluded)),
        concentration: concentration(&order.ranked, question, gathered),
        other_currencies: gathered.others(),
        sources: Vec::new(),
        grouping: grouping.map(|g| (g.title.clone(), g.cite.clone())),
        rates: question.rates.clone(),
        notes: Vec::new(),
        split: None,
        is_complete: !is_partial,
    })
}

fn beside(
    name: &str,
    list: &[usize],
    question: &Question,
    gathered: &Gathered,
    label: &dyn Fn(usize) -> Label,
) -> Beside {
    let mut sum = Sum::default();
    for target in list {
        sum.merge(gathered.accounts[*target].sum(question.measure));
    }
    let largest = list.iter().take(BESIDE_SHOWN).map(|t| {
        let label = label(*t);
        let reason = crate::kinds::classify(&label.name).or_else(|| crate::kinds::classify(&label.payer));
        (
            label,
            gathered.accounts[*t].sum(question.measure).published.to_string(),
            reason.map(|r| r.1).unwrap_or_default(),
        )
    });
    Beside {
        name: name.to_owned(),
        count: list.len() as u64,
        published: sum.published,
        lower: sum.lower,
        upper: sum.upper(),
        largest: largest.collect(),
    }
}

/// Best and worst ranks by counting bounds: one sort each, then a search per shown place.
fn places(
    question: &Question,
    targets: &Targets,
    gathered: &Gathered,
    all: &[usize],
    shown: &[usize],
    label: &dyn Fn(usize) -> Label,
) -> Vec<Ranked> {
    let sum = |t: usize| gathered.accounts[t].sum(question.measure);
    let upper_or_top = |t: usize| sum(t).upper().unwrap_or(i128::MAX);
    let mut lowers: Vec<i128> = all.iter().map(|t| sum(*t).lower).collect();
    let mut uppers: Vec<i128> = all.iter().map(|t| upper_or_top(*t)).collect();
    lowers.sort_unstable();
    uppers.sort_unstable();
    let count_above =
        |sorted: &[i128], bound: i128| (sorted.len() - sorted.partition_point(|v| *v <= bound)) as u64;
    let make = |(index, target): (usize, &usize)| {
        let account = &gathered.accounts[*target];
        let own = sum(*target);
        let (lower, upper) = (own.lower, upper_or_top(*target));
        let above_certain = count_above(&lowers, upper);
        // Everybody whose upper bound is above my lower bound may be above me; not counting myself.
        let above_possible = count_above(&uppers, lower) - u64::from(upper > lower);
        let overlaps = |other: &&usize| {
            **other != *target && sum(**other).lower < upper && lower < upper_or_top(**other)
        };
        let undecided_with: Vec<u64> = shown
            .iter()
            .enumerate()
            .filter(|(_, o)| overlaps(o))
            .map(|(i, _)| i as u64 + 1)
            .take(5)
            .collect();
        let label = label(*target);
        let kind = match targets.list[*target].kind {
            Some(kind) if targets.is_mapped(*target) => Some((kind, "the grouping says so".to_owned())),
            _ if targets.is_mapped(*target) => None,
            _ => crate::kinds::classify(&label.name).or_else(|| crate::kinds::classify(&label.payer)),
        };
        Ranked {
            rank: index as u64 + 1,
            best: above_certain + 1,
            worst: (!gathered.is_selection).then_some(above_possible + 1),
            is_grouped: targets.is_mapped(*target),
            units_count: targets.list[*target].units_count,
            kind,
            estimate: estimate(question, account),
            published: own.published,
            lower: own.lower,
            upper: own.upper(),
            ads_count: account.ads_count,
            views_published: account.views.published,
            views_upper: account.views.upper(),
            rows_count: account.spend.rows_count,
            undecided_with,
            undecided_count: above_possible.saturating_sub(above_certain),
            label,
        }
    };
    shown.iter().enumerate().map(make).collect()
}

fn concentration(list: &[usize], question: &Question, gathered: &Gathered) -> Concentration {
    let values: Vec<i128> = list.iter().map(|t| estimate(question, &gathered.accounts[*t]).max(0)).collect();
    let total: i128 = values.iter().sum();
    if total == 0 {
        return Concentration::default();
    }
    let share = |count: usize| (values.iter().take(count).sum::<i128>() * 1000 / total) as u32;
    // Shares in parts of a million keep the squares well inside 128 bits.
    let hhi: i128 = values.iter().map(|v| v.saturating_mul(1_000_000) / total).map(|s| s * s).sum();
    Concentration { top_permille: [share(1), share(4), share(10)], hhi: (hhi / 100_000_000) as u32 }
}

fn notes(answer: &mut Ranking, gathered: &Gathered, snapshots: &[Snapshot]) {
    let mut add = |text: String| answer.notes.push(text);
    if snapshots.iter().any(|s| s.coverage == Coverage::Selection) {
        add(
            "The source is a selection: a sponsor outside it may have spent more, so no worst rank is known."
                .into(),
        );
    }
    if gathered.accounts.iter().any(|a| a.spend.unknown_count > 0) {
        add("Upper bounds are unknown for some rows; a sum with such a row has no upper bound.".into());
    }
    if gathered.has_views {
        add("Impressions count how often ads were shown, not people or viewers.".into());
    }
    if gathered.partial_count > 0 {
        add(match answer.partly {
            Partly::Bounded => format!(
                "{} rows lie only partly in the days asked for; each counts as the interval from 0 to its upper bound.",
                gathered.partial_count
            ),
            Partly::ByStart => format!(
                "{} rows reach over the edge of the days asked for; each counts wholly when it begins inside.",
                gathered.partial_count
            ),
        });
    }
    if gathered.repeated_count > 0 {
        add(format!(
            "{} rows repeat an ad that a later snapshot states; the later one counts.",
            gathered.repeated_count
        ));
    }
    if gathered.without_money_count > 0 {
        add(format!(
            "{} rows state no amount of money and are not in the sums.",
            gathered.without_money_count
        ));
    }
    let bad: u64 = snapshots.iter().map(|s| s.bad_rows_count).sum();
    if bad > 0 {
        add(format!(
            "{bad} malformed rows of these sources were kept aside and are not in the sums (`study bad`)."
        ));
    }
    if snapshots.iter().any(|s| s.parallel_currencies) {
        add("This source states amounts in several currency columns, which may be the same money; only one is read.".into());
    }
}

/// The refusal when currencies would be mixed.
pub(crate) fn mixed(found: &[Currency], target: Currency) -> Error {
    let list: Vec<&str> = found.iter().map(Currency::code).collect();
    Error::Question(format!(
        "rates were given, but none for {}; add --rate CUR=RATE@DAY into {target} for each, or leave all out to keep currencies apart",
        list.join(", ")
    ))
}
