//! Answers as plain text for a terminal and as CSV; the same rows everywhere.

use crate::amount::{money, thousands};
use crate::diff::{Change, Counts, Diff};
use crate::rank::{Beside, Measure, Ranked, Ranking};
use crate::records::csv_line;
use std::fmt::Write;

/// A figure of the ranking's measure.
pub fn figure(measure: Measure, value: i128) -> String {
    match measure {
        Measure::Spend => money(value),
        Measure::Impressions => thousands(value),
    }
}

/// A figure that may be unknown.
pub fn bound(measure: Measure, value: Option<i128>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |v| figure(measure, v))
}

/// Best to worst rank: `1`, `1-2`, `1 to unknown`.
pub fn ranks(r: &Ranked) -> String {
    match r.worst {
        Some(worst) if worst == r.best => worst.to_string(),
        Some(worst) => format!("{}-{worst}", r.best),
        None => format!("{} to unknown", r.best),
    }
}

/// Whether the rank is certain, and what it cannot be told from.
pub fn certainty(r: &Ranked) -> String {
    match (r.worst, r.undecided_with.as_slice()) {
        (Some(worst), _) if worst == r.best => "certain".into(),
        (None, _) => "undecided: others may have spent more".into(),
        (_, []) => format!("undecided with {} further down", r.undecided_count),
        (_, with) => {
            let list: Vec<String> = with.iter().map(|w| format!("#{w}")).collect();
            let more = if r.undecided_count > with.len() as u64 {
                format!(" and {} more", r.undecided_count - with.len() as u64)
            } else {
                String::new()
            };
            format!("undecided with {}{more}", list.join(", "))
        }
    }
}

fn columns(rows: &[Vec<String>], right: &[bool]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, text) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c].saturating_sub(text.chars().count()));
            if right.get(c).copied().unwrap_or(false) {
                line.push_str(&pad);
                line.push_str(text);
            } else {
                line.push_str(text);
                line.push_str(&pad);
            }
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        text.to_owned()
    } else {
        text.chars().take(max - 1).chain("…".chars()).collect()
    }
}

/// The ranking for a terminal.
pub fn ranking(r: &Ranking) -> String {
    let unit = r.currency.map_or_else(|| "impressions".to_owned(), |c| c.to_string());
    let mut rows = vec![
        ["#", "best-worst", "who", "published", "at least", "at most", &unit, "ads", "certainty"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for x in &r.ranked {
        let name = if x.is_grouped {
            format!("{} [{} joined]", x.label.name, x.units_count)
        } else {
            x.label.name.clone()
        };
        rows.push(vec![
            x.rank.to_string(),
            ranks(x),
            short(&name, 46),
            figure(r.measure, x.published),
            figure(r.measure, x.lower),
            bound(r.measure, x.upper),
            String::new(),
            thousands(i128::from(x.ads_count)),
            certainty(x),
        ]);
    }
    let mut out = columns(&rows, &[true, false, false, true, true, true, false, true, false]);
    if r.candidates_count > r.ranked.len() as u64 {
        let _ = writeln!(out, "... and {} more", r.candidates_count - r.ranked.len() as u64);
    }
    out.push('\n');
    besides(r, &mut out);
    out.push('\n');
    if let Some(split) = &r.split {
        split_text(r.measure, split, &mut out);
    }
    for note in &r.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "\n{}\n", crate::methods::paragraph(r));
    for line in crate::methods::citations(&r.sources) {
        let _ = writeln!(out, "source: {line}");
    }
    out
}

/// Over time and by region.
fn split_text(measure: Measure, split: &crate::rank::Split, out: &mut String) {
    let row = |name: String, published: i128, lower: i128, upper: Option<i128>| {
        vec![name, figure(measure, published), figure(measure, lower), bound(measure, upper)]
    };
    let head = |what: &str| [what, "published", "at least", "at most"].map(str::to_owned).to_vec();
    let mut series = vec![head("period from")];
    series.extend(split.series.iter().map(|p| row(p.from.to_string(), p.published, p.lower, p.upper)));
    let mut places = vec![head("region")];
    places.extend(split.places.iter().take(30).map(|p| row(p.place.clone(), p.published, p.lower, p.upper)));
    let mut audience = vec![head("age and gender")];
    audience
        .extend(split.audience.iter().take(30).map(|p| row(p.place.clone(), p.published, p.lower, p.upper)));
    for rows in [series, places, audience].iter().filter(|rows| rows.len() > 1) {
        out.push_str(&columns(rows, &[false, true, true, true]));
        out.push('\n');
    }
}

/// Totals, what is not ranked, other currencies, concentration.
fn besides(r: &Ranking, out: &mut String) {
    let mut besides = vec![&r.total];
    besides.extend(&r.unmapped);
    besides.extend(&r.residual);
    besides.extend(&r.excluded);
    for (index, b) in besides.iter().enumerate() {
        let role = if r.residual.iter().any(|x| std::ptr::eq(x, *b)) { "residual, not ranked: " } else { "" };
        out.push_str(&beside_line(r.measure, b, role));
        if index > 0 && b.largest.len() > 1 {
            for (label, sum, reason) in b.largest.iter().take(5) {
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                let _ = writeln!(
                    out,
                    "    {} {}{reason}",
                    figure(r.measure, sum.parse().unwrap_or(0)),
                    short(&label.name, 60)
                );
            }
        }
    }
    for (currency, sum, count) in &r.other_currencies {
        let _ = writeln!(
            out,
            "kept apart: {currency} {} in {count} rows (ask with --currency {currency})",
            money(sum.parse().unwrap_or(0))
        );
    }
    let [one, four, ten] = r.concentration.top_permille;
    let percent = |p: u32| format!("{}.{}%", p / 10, p % 10);
    let _ = writeln!(
        out,
        "concentration: first {}, first four {}, first ten {}; HHI {}",
        percent(one),
        percent(four),
        percent(ten),
        r.concentration.hhi
    );
}

fn beside_line(measure: Measure, b: &Beside, role: &str) -> String {
    format!(
        "{role}{}: {} candidates, published {}, between {} and {}\n",
        b.name,
        b.count,
        figure(measure, b.published),
        figure(measure, b.lower),
        bound(measure, b.upper)
    )
}

/// The ranking as CSV. Amounts in micros where the measure is money.
pub fn ranking_csv(r: &Ranking) -> String {
    let mut out = csv_line(&[
        "rank",
        "best_rank",
        "worst_rank",
        "name",
        "platform",
        "account",
        "payer",
        "grouped",
        "units_count",
        "kind",
        "kind_reason",
        "currency",
        "published_micros",
        "lower_micros",
        "upper_micros",
        "ads_count",
        "impressions_lower",
        "impressions_upper",
        "rows_count",
        "certainty",
    ]);
    for x in &r.ranked {
        let or_empty = |v: Option<String>| v.unwrap_or_default();
        out.push_str(&csv_line(&[
            x.rank.to_string(),
            x.best.to_string(),
            or_empty(x.worst.map(|w| w.to_string())),
            x.label.name.clone(),
            x.label.platform.clone(),
            x.label.account.clone(),
            x.label.payer.clone(),
            x.is_grouped.to_string(),
            x.units_count.to_string(),
            or_empty(x.kind.as_ref().map(|k| k.0.code().into())),
            or_empty(x.kind.as_ref().map(|k| k.1.clone())),
            or_empty(r.currency.map(|c| c.to_string())),
            x.published.to_string(),
            x.lower.to_string(),
            or_empty(x.upper.map(|u| u.to_string())),
            x.ads_count.to_string(),
            x.views_published.to_string(),
            or_empty(x.views_upper.map(|u| u.to_string())),
            x.rows_count.to_string(),
            certainty(x),
        ]));
    }
    out
}

/// A comparison for a terminal.
pub fn diff(d: &Diff) -> String {
    let line = |name: &str, value: fn(&Counts) -> String| {
        vec![name.to_owned(), value(&d.as_published), value(&d.joined)]
    };
    let rows = vec![
        vec![String::new(), "ids as published".into(), "re-identified joined".into()],
        line("rows in both", |c| thousands(i128::from(c.common))),
        line("changed", |c| format!("{} ({} up, {} down)", c.changed, c.up, c.down)),
        line("  risen by, fallen by", |c| format!("{}, {}", money(c.up_micros), money(c.down_micros))),
        line("vanished", |c| {
            format!("{} worth {} ({} of nothing)", c.vanished, money(c.vanished_micros), c.vanished_zero)
        }),
        line("appeared", |c| {
            format!("{} worth {} ({} of nothing)", c.appeared, money(c.appeared_micros), c.appeared_zero)
        }),
        line("total before", |c| money(c.first_micros)),
        line("total after", |c| money(c.second_micros)),
    ];
    let mut out = columns(&rows, &[false, true, true]);
    for r in &d.reidentified {
        let _ = writeln!(
            out,
            "\nre-identified: {} {} is now {} ({})",
            r.old.name, r.old.account, r.new.account, r.evidence
        );
    }
    for (title, list) in
        [("largest changes", &d.largest), ("vanished", &d.vanished), ("appeared", &d.appeared)]
    {
        if !list.is_empty() {
            let _ = writeln!(out, "\n{title}:");
            out.push_str(&columns(
                &list.iter().take(10).map(change).collect::<Vec<_>>(),
                &[false, false, true, true],
            ));
        }
    }
    out
}

fn change(c: &Change) -> Vec<String> {
    let shown = |v: &Option<String>| v.as_ref().map_or_else(|| "-".into(), |v| money(v.parse().unwrap_or(0)));
    vec![format!("  {}", short(&c.label.name, 44)), c.from.to_string(), shown(&c.first), shown(&c.second)]
}
