//! A plan says which column of a delimited file holds what; one engine runs every plan.
//!
//! Importers only recognise headers and make plans, so that a layout whose columns come and go, or a
//! mapping file for an unknown one, are the same thing. Refuses rows silently never: a row that does not
//! fit is kept aside with its line and reason.

use crate::amount::{self, Amount, Currency, Rule};
use crate::day::Day;
use crate::error::Result;
use crate::records::Record;
use crate::store::{Coverage, Dataset, Fact, KnownBasis, Window, Writer};
use crate::subject::Subject;

/// One column (or pair of columns) with money.
#[derive(Clone, Debug)]
pub struct Money {
    /// Column of the amount or of its lower bound.
    pub lower: usize,
    /// Column of the upper bound, when apart.
    pub upper: Option<usize>,
    /// Currency of the column, when the header says it.
    pub currency: Option<Currency>,
    /// Column that names whom this amount is about, when not the row's own name.
    pub name: Option<usize>,
}

/// Where to find things in a record.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Platform's id of the advertiser.
    pub account: Option<usize>,
    /// Name of the advertiser or page.
    pub name: Option<usize>,
    /// Disclaimer, byline, payer; the first column that is not empty counts.
    pub payer: Vec<usize>,
    /// Public identifiers (FEC, EIN).
    pub ids: Option<usize>,
    /// Id of the ad.
    pub item: Option<usize>,
    /// Region; several columns are joined with a space.
    pub place: Vec<usize>,
    /// Election or cycle.
    pub election: Option<usize>,
    /// First day of the row's period.
    pub from: Option<usize>,
    /// Last day of the row's period.
    pub to: Option<usize>,
    /// Length of the row's period in days, where only its first day is given.
    pub days: Option<i32>,
    /// Money.
    pub spend: Vec<Money>,
    /// Currency of the row.
    pub currency: Option<usize>,
    /// Impressions: lower (or a range text) and upper.
    pub views: Option<(usize, Option<usize>)>,
    /// Number of ads.
    pub ads: Option<usize>,
}

/// Everything about a file that its header and name tell.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Layout name.
    pub layout: String,
    /// Platform code.
    pub platform: String,
    /// What rows are.
    pub dataset: Dataset,
    /// How the source rounds.
    pub rule: Rule,
    /// Everybody or a selection.
    pub coverage: Coverage,
    /// Source for citation.
    pub cite: String,
    /// Country code, or empty.
    pub country: String,
    /// Region of the whole file, or empty.
    pub place: String,
    /// Name for rows that name nobody.
    pub name: String,
    /// Days the file covers, when its name or mapping says so.
    pub window: Option<Window>,
    /// When it was known, when its name or mapping says so.
    pub known_on: Option<(Day, KnownBasis)>,
    /// Currency of every row, when fixed.
    pub currency: Option<Currency>,
    /// Whether several money columns state the same money.
    pub parallel_currencies: bool,
    /// Whether rows hold private columns, so that rows kept aside are stored without their text.
    pub is_private: bool,
    /// Header length.
    pub fields_count: usize,
    /// Columns.
    pub columns: Columns,
    /// Remarks for the snapshot.
    pub notes: Vec<String>,
}

impl Plan {
    /// An empty plan for a layout.
    pub fn new(layout: &str, platform: &str, dataset: Dataset, rule: Rule) -> Plan {
        Plan {
            layout: layout.into(),
            platform: platform.into(),
            dataset,
            rule,
            coverage: Coverage::Complete,
            cite: String::new(),
            country: String::new(),
            place: String::new(),
            name: String::new(),
            window: None,
            known_on: None,
            currency: None,
            parallel_currencies: false,
            is_private: false,
            fields_count: 0,
            columns: Columns::default(),
            notes: Vec::new(),
        }
    }
}

/// A plan with its window and date settled, ready to run.
pub struct Runner<'p> {
    plan: &'p Plan,
    window: &'p Window,
    known_on: Day,
    place: String,
    swapped_count: u64,
}

/// Why a row is kept aside.
type Refusal = String;

impl<'p> Runner<'p> {
    /// Prepares to run.
    pub fn new(plan: &'p Plan, window: &'p Window, known_on: Day) -> Runner<'p> {
        Runner { plan, window, known_on, place: String::new(), swapped_count: 0 }
    }

    /// Stores the facts of one record, or keeps it aside. Errors are the store's only.
    pub fn run(&mut self, record: &Record<'_>, writer: &mut Writer<'_>) -> Result<()> {
        match self.facts(record, writer)? {
            Ok(()) => Ok(()),
            Err(reason) => {
                let raw = if self.plan.is_private { &[] } else { record.raw };
                writer.bad(record.line, &reason, raw)
            }
        }
    }

    fn facts(
        &mut self,
        record: &Record<'_>,
        writer: &mut Writer<'_>,
    ) -> Result<std::result::Result<(), Refusal>> {
        let columns = &self.plan.columns;
        let base = match self.base(record) {
            Ok(base) => base,
            Err(reason) => return Ok(Err(reason)),
        };
        let place = std::mem::take(&mut self.place);
        let fact = Fact { place: if place.is_empty() { &self.plan.place } else { &place }, ..base };
        if columns.spend.is_empty() {
            writer.push(&fact)?;
        }
        if let [money] = columns.spend.as_slice() {
            // One money column, as reports have: nothing to hold back.
            let stored = match self.amount(record, money, 0) {
                Ok(Some((spend, currency, name))) => {
                    let subject =
                        if money.name.is_some() { Subject { name, ..fact.subject } } else { fact.subject };
                    writer.push(&Fact { subject, spend, currency, ..fact })?;
                    Ok(())
                }
                Ok(None) => Err("no amount in any money column".into()),
                Err(reason) => Err(reason),
            };
            self.place = place;
            self.place.clear();
            return Ok(stored);
        }
        // All amounts are read before any is stored: a row is a fact as a whole or not at all.
        let mut amounts: Vec<(Amount, &Money, &str, &str)> = Vec::with_capacity(columns.spend.len());
        for (index, money) in columns.spend.iter().enumerate() {
            match self.amount(record, money, index) {
                Ok(Some((amount, currency, name))) => amounts.push((amount, money, currency, name)),
                Ok(None) => {}
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let all_none = amounts.is_empty() && !columns.spend.is_empty();
        // Of parallel currency columns a question reads one, so that ads and impressions may stand with each.
        for (amount, money, currency, name) in &amounts {
            let subject = if money.name.is_some() { Subject { name, ..fact.subject } } else { fact.subject };
            writer.push(&Fact { subject, spend: *amount, currency, ..fact })?;
        }
        self.place = place;
        self.place.clear();
        Ok(if all_none { Err("no amount in any money column".into()) } else { Ok(()) })
    }

    /// Everything but the money.
    fn base<'r>(&mut self, record: &Record<'r>) -> std::result::Result<Fact<'r>, Refusal>
    where
        'p: 'r,
    {
        let plan = self.plan;
        let columns = &plan.columns;
        // Empty fields beyond the header are a spreadsheet's, not a row's.
        let beyond = (plan.fields_count..record.len()).any(|c| !record.bytes(c).is_empty());
        if record.len() < plan.fields_count || beyond {
            return Err(format!("has {} fields where the header has {}", record.len(), plan.fields_count));
        }
        let text = |column: Option<usize>| column.map_or(Ok(""), |c| record.trimmed(c));
        let mut payer = "";
        for column in &columns.payer {
            payer = record.trimmed(*column)?;
            if !payer.is_empty() {
                break;
            }
        }
        let mut name = text(columns.name)?;
        let account = text(columns.account)?;
        if name.is_empty() && account.is_empty() && payer.is_empty() {
            name = &plan.name;
        }
        let subject = Subject { platform: &plan.platform, account, name, payer, ids: text(columns.ids)? };
        for (index, column) in columns.place.iter().enumerate() {
            let part = record.trimmed(*column)?;
            if index > 0 && !part.is_empty() && !self.place.is_empty() {
                self.place.push(' ');
            }
            self.place.push_str(part);
        }
        let (from, to) = self.period(record)?;
        let views = match columns.views {
            None => Amount::UNSTATED,
            Some((lower, upper)) => {
                range(record, lower, upper, 1, "impressions")?.unwrap_or(Amount::UNSTATED)
            }
        };
        let views = if plan.rule == Rule::LowerOnly { Amount { upper: None, ..views } } else { views };
        let ads = match text(columns.ads)? {
            "" => i64::from(columns.item.is_some()),
            ads => amount::parse_amount(ads, 1).map_err(|e| format!("number of ads: {e}"))?.lower,
        };
        let election = text(columns.election)?;
        let item = text(columns.item)?;
        if columns.item.is_some() && item.is_empty() {
            return Err("the ad has no id".into());
        }
        Ok(Fact {
            subject,
            place: "",
            election,
            currency: "",
            from,
            to,
            spend: Amount::UNSTATED,
            views,
            ads,
            item,
        })
    }

    /// What was noticed while running, for the snapshot.
    pub fn notes(&self) -> Vec<String> {
        let swapped = self.swapped_count;
        let note = format!("{swapped} ads end before they begin; their money counts in the days between");
        (swapped > 0).then_some(note).into_iter().collect()
    }

    fn period(&mut self, record: &Record<'_>) -> std::result::Result<(Day, Day), Refusal> {
        let columns = &self.plan.columns;
        let Some(from_column) = columns.from else { return Ok((self.window.from, self.window.to)) };
        let from_text = record.text(from_column)?;
        let from = Day::parse_prefix(from_text).ok_or("the first day is not a date")?;
        let to = match (columns.to, columns.days) {
            (_, Some(days)) => from.plus(days - 1),
            (Some(column), None) => match record.text(column)?.trim() {
                "" => self.known_on.max(from),
                text => Day::parse_prefix(text).ok_or("the last day is not a date")?,
            },
            (None, None) => from,
        };
        if to < from && self.plan.dataset == Dataset::Ad {
            // The money of an ad is certain even where its days are not.
            self.swapped_count += 1;
            return Ok((to, from));
        }
        if to < from {
            return Err("the last day is before the first".into());
        }
        Ok((from, to))
    }

    /// One money column: `None` when it holds nothing (further columns only).
    fn amount<'r>(
        &self,
        record: &Record<'r>,
        money: &'p Money,
        index: usize,
    ) -> std::result::Result<Option<(Amount, &'r str, &'r str)>, Refusal>
    where
        'p: 'r,
    {
        let name = money.name.map_or(Ok(""), |c| record.trimmed(c))?;
        let found = range(record, money.lower, money.upper, amount::UNIT, "amount")?;
        let Some(mut amount) = found else { return Ok(None) };
        let is_zero = amount == Amount::exact(0);
        if (index > 0 && is_zero) || (money.name.is_some() && name.is_empty()) {
            return Ok(None);
        }
        if self.plan.rule == Rule::LowerOnly {
            amount.upper = None;
        }
        let currency = match (&money.currency, self.plan.columns.currency, &self.plan.currency) {
            (Some(currency), _, _) => currency.code(),
            (None, Some(column), _) if !record.bytes(column).is_empty() => record.trimmed(column)?,
            (None, _, Some(currency)) => currency.code(),
            _ => "",
        };
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err("no currency (three capital letters) stated".into());
        }
        Ok(Some((amount, currency, name)))
    }
}

/// Reads one column, or a lower and an upper one; `None` when empty.
fn range(
    record: &Record<'_>,
    lower: usize,
    upper: Option<usize>,
    scale: i64,
    what: &str,
) -> std::result::Result<Option<Amount>, Refusal> {
    let lower_text = record.trimmed(lower)?;
    let upper_text = upper.map_or(Ok(""), |c| record.trimmed(c))?;
    if lower_text.is_empty() && upper_text.is_empty() {
        return Ok(None);
    }
    let read = |text: &str| amount::parse_amount(text, scale).map_err(|e| format!("{what}: {e}"));
    if upper.is_none() {
        return read(lower_text).map(Some);
    }
    let lower = if lower_text.is_empty() { 0 } else { read(lower_text)?.lower };
    let upper = if upper_text.is_empty() { None } else { read(upper_text)?.upper };
    if upper.is_some_and(|u| u < lower) {
        return Err(format!("{what}: the lower bound is above the upper bound"));
    }
    Ok(Some(Amount { lower, upper }))
}
