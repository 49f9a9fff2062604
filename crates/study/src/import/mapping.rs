//! Mapping files: a few lines of TOML with which any CSV becomes facts.
//!
//! ```toml
//! platform = "nyu"              # code of the source
//! cite = "Edelson et al. 2018, Table 2"
//! dataset = "advertiser"        # advertiser, region, location, weekly, totals, geo, ad
//! rule = "lower_only"           # exact, capped, range, lower_only, step:100, step:100:down
//! coverage = "selection"        # complete, or selection: others may have spent more
//! currency = "USD"              # or columns.currency
//! known_on = "2018-07-16"
//! window = { name = "crawl", from = "2018-05-07", to = "2018-07-04" }
//! [columns]                     # names as in the header, any case
//! name = "sponsor"
//! spend = "min_spend_usd"       # or spend_lower and spend_upper
//! ```
//! Refuses unknown keys and columns that the header does not have.

use super::layouts::Header;
use super::plan::{Money, Plan};
use crate::amount::{self, Currency, Rounding, Rule};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::{Coverage, Dataset, KnownBasis, Window};
use serde::Deserialize;

/// A mapping file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    platform: String,
    #[serde(default)]
    cite: String,
    #[serde(default = "advertiser")]
    dataset: String,
    rule: String,
    #[serde(default)]
    coverage: Option<String>,
    currency: Option<Currency>,
    known_on: Option<Day>,
    #[serde(default)]
    country: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    private: bool,
    window: Option<MappedWindow>,
    #[serde(default)]
    notes: Vec<String>,
    columns: MappedColumns,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappedWindow {
    name: String,
    from: Option<Day>,
    to: Day,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MappedColumns {
    account: Option<String>,
    name: Option<String>,
    payer: Option<String>,
    ids: Option<String>,
    item: Option<String>,
    place: Option<String>,
    election: Option<String>,
    from: Option<String>,
    to: Option<String>,
    days: Option<i32>,
    spend: Option<String>,
    spend_lower: Option<String>,
    spend_upper: Option<String>,
    currency: Option<String>,
    views: Option<String>,
    views_lower: Option<String>,
    views_upper: Option<String>,
    ads: Option<String>,
}

fn advertiser() -> String {
    "advertiser".into()
}

impl Mapping {
    /// Reads a mapping; `file` names it in messages.
    pub fn parse(text: &str, file: &str) -> Result<Mapping> {
        let mapping: Mapping = toml::from_str(text).map_err(|e| wrong(file, e.to_string()))?;
        mapping.rule(file)?;
        Ok(mapping)
    }

    fn rule(&self, file: &str) -> Result<Rule> {
        let mut parts = self.rule.split(':');
        let rule = match (parts.next(), parts.next(), parts.next()) {
            (Some("exact"), None, _) => Rule::Exact,
            (Some("capped"), None, _) => Rule::Capped,
            (Some("range"), None, _) => Rule::Range,
            (Some("lower_only"), None, _) => Rule::LowerOnly,
            (Some("step"), Some(step), rounding) => {
                let step_micros = amount::parse_amount(step, amount::UNIT).map_err(|e| wrong(file, e))?.lower;
                let rounding = match rounding {
                    None | Some("unknown") => Rounding::Unknown,
                    Some("nearest") => Rounding::Nearest,
                    Some("down") => Rounding::Down,
                    Some("up") => Rounding::Up,
                    Some(other) => {
                        return Err(wrong(
                            file,
                            format!("rounding {other:?}; write unknown, nearest, down or up"),
                        ));
                    }
                };
                Rule::Step { step_micros, rounding }
            }
            _ => {
                return Err(wrong(
                    file,
                    format!("rule {:?}; write exact, capped, range, lower_only or step:100", self.rule),
                ));
            }
        };
        Ok(rule)
    }

    /// Makes the plan for a header.
    pub fn plan(&self, header: &Header, file: &str) -> Result<Plan> {
        let dataset = Dataset::parse(&self.dataset)
            .ok_or_else(|| wrong(file, format!("dataset {:?} is none of this program's", self.dataset)))?;
        let mut plan = Plan::new("mapped", &self.platform, dataset, self.rule(file)?);
        plan.cite.clone_from(&self.cite);
        plan.country.clone_from(&self.country);
        plan.place.clone_from(&self.place);
        plan.notes.clone_from(&self.notes);
        (plan.currency, plan.is_private) = (self.currency, self.private);
        plan.known_on = self.known_on.map(|day| (day, KnownBasis::Given));
        plan.window = self.window.as_ref().map(|w| Window {
            name: w.name.clone(),
            from: w.from.unwrap_or(Day::OPEN_START),
            to: w.to,
        });
        plan.coverage = match self.coverage.as_deref() {
            None | Some("complete") => Coverage::Complete,
            Some("selection") => Coverage::Selection,
            Some(other) => {
                return Err(wrong(file, format!("coverage {other:?}; write complete or selection")));
            }
        };
        plan.fields_count = header.names.len();
        self.columns(&mut plan, header, file)?;
        Ok(plan)
    }

    fn columns(&self, plan: &mut Plan, header: &Header, file: &str) -> Result<()> {
        let find = |name: &Option<String>| -> Result<Option<usize>> {
            let Some(name) = name else { return Ok(None) };
            let at = header
                .raw
                .iter()
                .position(|n| n.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name.trim()));
            at.map(Some).ok_or_else(|| {
                wrong(file, format!("no column {name:?}; the file has: {}", header.raw.join(", ")))
            })
        };
        let mapped = &self.columns;
        let columns = &mut plan.columns;
        columns.account = find(&mapped.account)?;
        columns.name = find(&mapped.name)?;
        columns.payer = find(&mapped.payer)?.into_iter().collect();
        columns.ids = find(&mapped.ids)?;
        columns.item = find(&mapped.item)?;
        columns.place = find(&mapped.place)?.into_iter().collect();
        columns.election = find(&mapped.election)?;
        columns.from = find(&mapped.from)?;
        columns.to = find(&mapped.to)?;
        columns.days = mapped.days.filter(|d| (1..=100_000).contains(d));
        columns.currency = find(&mapped.currency)?;
        columns.ads = find(&mapped.ads)?;
        let spend = find(&mapped.spend)?.or(find(&mapped.spend_lower)?);
        let upper = find(&mapped.spend_upper)?;
        columns.spend =
            spend.map(|lower| Money { lower, upper, currency: None, name: None }).into_iter().collect();
        let views = find(&mapped.views)?.or(find(&mapped.views_lower)?);
        columns.views = views.map(|lower| Ok::<_, Error>((lower, find(&mapped.views_upper)?))).transpose()?;
        if columns.spend.is_empty() && columns.views.is_none() && columns.ads.is_none() {
            return Err(wrong(file, "no column for spend, views or ads"));
        }
        Ok(())
    }
}

fn wrong(file: &str, reason: impl Into<String>) -> Error {
    Error::Definition { file: file.into(), line: 0, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_mappings_say_what_is_wrong() {
        let text = "platform='x'\nrule='exact'\ncurrency='EUR'\n[columns]\nname='Who'\nspend='Paid'\n";
        let header = Header::new(vec!["who".into(), "paid".into()]);
        assert!(Mapping::parse(text, "m").unwrap().plan(&header, "m").is_ok());
        let missing = Header::new(vec!["who".into()]);
        let error = Mapping::parse(text, "m").unwrap().plan(&missing, "m").unwrap_err().to_string();
        assert!(error.contains("no column \"Paid\""), "{error}");
        assert!(Mapping::parse("platform='x'\nrule='roughly'\n[columns]\n", "m").is_err());
        assert!(Mapping::parse("platform='x'\nrule='exact'\ncolour='red'\n[columns]\n", "m").is_err());
    }
}
