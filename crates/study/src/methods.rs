//! The methods paragraph: written from what was really done, with every source and its date.

use crate::rank::{Estimate, Measure, Partly, Ranking};
use crate::store::{KnownBasis, Snapshot};
use crate::targets::Unit;
use std::collections::{BTreeMap, BTreeSet};

/// What was done, in sentences.
pub fn paragraph(r: &Ranking) -> String {
    let mut s: Vec<String> = Vec::new();
    let what = match (r.measure, &r.currency) {
        (Measure::Spend, Some(currency)) => format!("spending in {currency}"),
        (Measure::Spend, None) => "spending".into(),
        (Measure::Impressions, _) => "impressions (times shown, not people)".into(),
    };
    let unit = match r.unit {
        Unit::Account => "platform accounts (pages, advertiser ids), or payers where there is no account",
        Unit::Payer => "payers as named in disclaimers",
        Unit::Name => "names as written",
        Unit::Pair => "pairs of account and disclaimer",
    };
    s.push(format!("We ranked {} candidates by {what}; units are {unit}.", r.candidates_count));
    if let Some((title, cite)) = &r.grouping {
        let cite = if cite.is_empty() || cite == title { String::new() } else { format!(" ({cite})") };
        s.push(format!("Units were joined by the grouping \"{title}\"{cite}."));
    } else {
        s.push("Units were not grouped.".into());
    }
    s.push(range(r));
    let rules: BTreeSet<String> = r.sources.iter().map(|x| x.rule.sentence()).collect();
    s.push(format!("In the sources {}.", rules.into_iter().collect::<Vec<_>>().join("; and ")));
    s.push(match r.estimate {
        Estimate::Published => "Candidates are ordered by the sum of published values (the lower bound where a range is published).".into(),
        Estimate::Midpoint => "Candidates are ordered by the middle of their interval (the lower bound where no upper is known).".into(),
    });
    s.push(
        "Every sum is an interval sum. A candidate's best rank counts only those whose lower bound is above its upper \
         bound; its worst rank counts all whose upper bound is above its lower bound."
            .into(),
    );
    if !r.is_complete {
        s.push("Because a source is only a selection, worst ranks are not known.".into());
    }
    if !r.rates.is_empty() {
        let rates: Vec<String> = r
            .rates
            .iter()
            .map(|x| {
                format!(
                    "1 {} = {} (quoted {})",
                    x.currency,
                    crate::amount::money(i128::from(x.rate_micros)),
                    x.quoted_on
                )
            })
            .collect();
        s.push(format!("Other currencies were converted: {}.", rates.join("; ")));
    } else if !r.other_currencies.is_empty() {
        let list: Vec<&str> = r.other_currencies.iter().map(|c| c.0.code()).collect();
        s.push(format!("Amounts in {} are kept apart and not in these figures.", list.join(", ")));
    }
    if let Some(excluded) = &r.excluded {
        s.push(format!(
            "{} candidates were taken out by kind (government, commercial), each with its reason.",
            excluded.count
        ));
    }
    s.join(" ")
}

fn range(r: &Ranking) -> String {
    let mut parts = Vec::new();
    match (r.from, r.to) {
        (None, None) => parts.push("All days the sources cover are counted".to_owned()),
        (Some(a), None) => parts.push(format!("Days from {a} are counted")),
        (None, Some(b)) => parts.push(format!("Days up to {b} are counted")),
        (Some(a), Some(b)) => parts.push(format!("Days from {a} to {b} are counted")),
    }
    if r.from.is_some() || r.to.is_some() {
        parts.push(match r.partly {
            Partly::Bounded => {
                "a period that reaches over the edge counts as the interval from nothing to its whole amount"
                    .into()
            }
            Partly::ByStart => "a period counts wholly when it begins inside".into(),
        });
    }
    if let Some(known) = r.known_on {
        parts.push(format!("as known on {known}"));
    }
    if let Some(region) = &r.region {
        parts.push(format!("in {region}"));
    }
    if let Some(election) = &r.election {
        parts.push(format!("for {election}"));
    }
    parts.join(", ") + "."
}

/// The sources, one line each, the same kind of file joined.
pub fn citations(sources: &[Snapshot]) -> Vec<String> {
    let mut lines: BTreeMap<String, Vec<&Snapshot>> = BTreeMap::new();
    for s in sources {
        let cite = if s.cite.is_empty() { format!("{} ({})", s.platform, s.layout) } else { s.cite.clone() };
        let country = if s.country.is_empty() { String::new() } else { format!(", {}", s.country) };
        lines.entry(format!("{cite}{country}, {} figures", s.dataset.code())).or_default().push(s);
    }
    let line = |(cite, list): (String, Vec<&Snapshot>)| {
        let rows: u64 = list.iter().map(|s| s.rows_count).sum();
        let bad: u64 = list.iter().map(|s| s.bad_rows_count).sum();
        let known: BTreeSet<String> = list
            .iter()
            .map(|s| {
                if s.known_basis == KnownBasis::FileTime {
                    format!("{} (by file time)", s.known_on)
                } else {
                    s.known_on.to_string()
                }
            })
            .collect();
        let known: Vec<String> = known.into_iter().collect();
        let known = if known.len() > 4 {
            format!("{} to {}", known[0], known[known.len() - 1])
        } else {
            known.join(", ")
        };
        let hashes: Vec<&str> =
            list.iter().take(3).map(|s| s.content_hash.get(..16).unwrap_or(&s.content_hash)).collect();
        let more = if list.len() > 3 { " ..." } else { "" };
        format!(
            "{cite}: {} file{}, {rows} rows, {bad} kept aside; snapshot of {known}; BLAKE3 {}{more}",
            list.len(),
            if list.len() == 1 { "" } else { "s" },
            hashes.join(", ")
        )
    };
    lines.into_iter().map(line).collect()
}
