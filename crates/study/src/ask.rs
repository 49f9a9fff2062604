//! A question as pairs of words, the way a form or a permalink says it, and back.
//!
//! The same names as the command line's options, so that one question is one thing everywhere. Refuses names it does
//! not know and values it cannot read, each with what to write instead.

use crate::amount::Currency;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::group::Unmapped;
use crate::kinds::Kind;
use crate::rank::{Estimate, Measure, Partly, Question};
use crate::select::Scope;
use crate::store::Dataset;
use crate::targets::Unit;

/// Every name a question's pairs may have; `group` names a grouping and is the caller's to look up.
pub const NAMES: [&str; 20] = [
    "source", "country", "dataset", "window", "known-on", "from", "to", "region", "election", "group", "by",
    "currency", "rate", "estimate", "measure", "periods", "exclude", "unmapped", "split", "top",
];
/// Most places of an answer that may be asked for here.
pub const TOP_MAX: usize = 1_000;
/// Most pairs of a question.
const PAIRS_MAX: usize = 200;

/// Reads a question. Empty values are as if they were not there.
///
/// # Errors
/// The name or value that cannot be read.
pub fn question(pairs: &[(String, String)]) -> Result<Question> {
    if pairs.len() > PAIRS_MAX {
        return Err(Error::Limit {
            what: "parts of a question",
            limit: PAIRS_MAX as u64,
            hint: "ask for less",
        });
    }
    let mut q = Question::default();
    for (name, value) in pairs {
        let value = value.trim();
        if !value.is_empty() {
            set(&mut q, name, value)?;
        }
    }
    if let (Some(from), Some(to)) = (q.scope.from, q.scope.to)
        && to < from
    {
        return Err(Error::Question(format!("the last day {to} is before the first {from}")));
    }
    Ok(q)
}

/// The scope alone, for comparisons and checks.
///
/// # Errors
/// As [`question`].
pub fn scope(pairs: &[(String, String)]) -> Result<Scope> {
    Ok(question(pairs)?.scope)
}

fn set(q: &mut Question, name: &str, value: &str) -> Result<()> {
    let wrong = |what: &str| Error::Question(format!("{name}: {value:?} is {what}"));
    let day = || Day::parse(value).ok_or_else(|| wrong("no day; write YYYY-MM-DD"));
    match name {
        "source" => q.scope.platforms.push(value.to_owned()),
        "country" => q.scope.country = Some(value.to_owned()),
        "dataset" => {
            q.scope.dataset = Some(Dataset::parse(value).ok_or_else(|| wrong("no kind of rows"))?);
        }
        "window" => q.scope.window = Some(value.to_owned()),
        "known-on" => q.scope.known_on = Some(day()?),
        "from" => q.scope.from = Some(day()?),
        "to" => q.scope.to = Some(day()?),
        "region" => q.scope.region = Some(value.to_owned()),
        "election" => q.election = Some(value.to_owned()),
        "group" => {}
        "by" => {
            q.unit = match value {
                "account" => Unit::Account,
                "payer" => Unit::Payer,
                "name" => Unit::Name,
                "pair" => Unit::Pair,
                _ => return Err(wrong("none of account, payer, name, pair")),
            }
        }
        "currency" => q.currency = Some(value.parse::<Currency>().map_err(Error::Question)?),
        "rate" => {
            for rate in value.split_whitespace() {
                q.rates.push(rate.parse().map_err(Error::Question)?);
            }
        }
        "estimate" => {
            q.estimate = match value {
                "published" => Estimate::Published,
                "midpoint" => Estimate::Midpoint,
                _ => return Err(wrong("none of published, midpoint")),
            }
        }
        "measure" => {
            q.measure = match value {
                "spend" => Measure::Spend,
                "impressions" => Measure::Impressions,
                _ => return Err(wrong("none of spend, impressions")),
            }
        }
        "periods" => {
            q.partly = match value {
                "bounded" => Partly::Bounded,
                "start" => Partly::ByStart,
                _ => return Err(wrong("none of bounded, start")),
            }
        }
        "exclude" => {
            q.exclude.push(Kind::parse(value).ok_or_else(|| wrong("none of government, commercial"))?)
        }
        "unmapped" => {
            q.unmapped = match value {
                "alone" => Some(Unmapped::Alone),
                "apart" => Some(Unmapped::Apart),
                _ => return Err(wrong("none of alone, apart")),
            }
        }
        "split" => q.with_split = true,
        "top" => {
            let top: usize = value.parse().map_err(|_| wrong("no number"))?;
            if !(1..=TOP_MAX).contains(&top) {
                return Err(wrong("not 1 to 1000"));
            }
            q.top = top;
        }
        _ => {
            return Err(Error::Question(format!(
                "a question has no {name:?}; it may have {}",
                NAMES.join(", ")
            )));
        }
    }
    Ok(())
}

/// A question's pairs without what is empty or a matter of course, in a fixed order: its permalink.
pub fn normal(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let usual = [
        ("by", "account"),
        ("estimate", "published"),
        ("measure", "spend"),
        ("periods", "bounded"),
        ("top", "20"),
    ];
    let mut out = Vec::new();
    for name in NAMES {
        for (_, value) in pairs.iter().filter(|(n, v)| n == name && !v.trim().is_empty()) {
            if !usual.contains(&(name, value.trim())) {
                out.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn every_name_is_read_and_the_rest_refused() {
        let all = pairs(&[
            ("source", "meta"),
            ("source", "google"),
            ("country", "US"),
            ("dataset", "weekly"),
            ("window", "lifelong"),
            ("known-on", "2024-05-01"),
            ("from", "2024-01-01"),
            ("to", "2024-02-01"),
            ("region", "Ohio"),
            ("election", "E"),
            ("group", "mine"),
            ("by", "payer"),
            ("currency", "usd"),
            ("rate", "EUR=1.1@2024-01-01 GBP=1.2@2024-01-01"),
            ("estimate", "midpoint"),
            ("measure", "impressions"),
            ("periods", "start"),
            ("exclude", "government"),
            ("unmapped", "apart"),
            ("split", "1"),
            ("top", "50"),
            ("region", ""),
        ]);
        let q = question(&all).unwrap();
        assert_eq!((q.scope.platforms.len(), q.rates.len(), q.top, q.unit), (2, 2, 50, Unit::Payer));
        assert_eq!(q.scope.region.as_deref(), Some("Ohio"));
        for wrong in [
            ("from", "May"),
            ("colour", "red"),
            ("top", "0"),
            ("by", "shoe size"),
            ("rate", "EUR"),
            ("dataset", "x"),
        ] {
            assert!(question(&pairs(&[wrong])).is_err(), "{wrong:?}");
        }
        assert!(question(&pairs(&[("from", "2024-02-01"), ("to", "2024-01-01")])).is_err());
    }

    #[test]
    fn permalinks_leave_out_what_goes_without_saying() {
        let given = pairs(&[
            ("top", "20"),
            ("to", " 2024-01-01 "),
            ("from", ""),
            ("source", "b"),
            ("source", "a"),
            ("x", "y"),
        ]);
        assert_eq!(normal(&given), pairs(&[("source", "b"), ("source", "a"), ("to", "2024-01-01")]));
    }
}
