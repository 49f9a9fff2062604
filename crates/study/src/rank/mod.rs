//! Rankings that say how certain they are.
//!
//! Every candidate has an interval; its best rank counts only those certainly above it, its worst rank
//! all that may be above. What no grouping maps, what is a rest, and what a filter took out stand beside
//! the ranking with their sums. Refuses to add currencies without dated rates.

mod answer;
mod gather;
mod split;

pub use split::{PlacePoint, SeriesPoint, Split};

use crate::amount::Currency;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::group::{Grouping, Unmapped};
use crate::kinds::Kind;
use crate::select::{self, Scope};
use crate::store::{Snapshot, Store};
use crate::targets::{Label, Targets, Unit};
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
    let mut answer = answer::assemble(store, question, grouping, &targets, &gathered)?;
    answer.notes.splice(0..0, selection.notes);
    answer::notes(&mut answer, &gathered, &selection.snapshots);
    if question.with_split {
        let top: Vec<usize> =
            answer::order(question, &targets, &gathered).ranked.iter().take(8).copied().collect();
        answer.split = Some(split::split(store, &selection.snapshots, question, &targets, &gathered, &top)?);
    }
    answer.sources = selection.snapshots;
    Ok(answer)
}

/// The refusal when currencies would be mixed.
pub(crate) fn mixed(found: &[Currency], target: Currency) -> Error {
    let list: Vec<&str> = found.iter().map(Currency::code).collect();
    Error::Question(format!(
        "rates were given, but none for {}; add --rate CUR=RATE@DAY into {target} for each, or leave all out to keep currencies apart",
        list.join(", ")
    ))
}
