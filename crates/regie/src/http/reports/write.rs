//! A report as JSON and CSV: the same columns in both. Integers have their unit in their name; text is for people.

use super::{Report, Sums};
use regie_model::Nanos;
use serde_json::{Value, json};

/// The figures of a row, in the order of the CSV's columns.
const COLUMNS: [&str; 20] = [
    "served_count",
    "impressions_count",
    "viewable_count",
    "clicks_count",
    "conversions_count",
    "currency",
    "gross_nanos",
    "credited_nanos",
    "net_nanos",
    "free_nanos",
    "gross",
    "credited",
    "net",
    "fill",
    "viewability",
    "click_rate",
    "conversion_rate",
    "ecpm_nanos",
    "ecpm",
    "loss",
];

/// A share, or nothing where there is nothing to divide by.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The figures of a row as JSON.
pub fn figures(sums: &Sums) -> Value {
    let c = &sums.counters;
    let text = |nanos: Nanos| nanos.display(sums.currency, 9);
    let whole = |nanos: Nanos| i64::try_from(nanos.0).ok();
    json!({
        "served_count": c.served_count, "impressions_count": c.impressions_count, "viewable_count": c.viewable_count,
        "clicks_count": c.clicks_count, "conversions_count": c.conversions_count, "currency": sums.currency,
        "gross_nanos": whole(c.gross_nanos), "credited_nanos": whole(c.credited_nanos),
        "net_nanos": whole(c.net_nanos()), "free_nanos": whole(c.free_nanos),
        "gross": text(c.gross_nanos), "credited": text(c.credited_nanos), "net": text(c.net_nanos()),
        "fill": share(c.impressions_count, c.served_count),
        "viewability": share(c.viewable_count, c.impressions_count),
        "click_rate": share(c.clicks_count, c.impressions_count),
        "conversion_rate": share(c.conversions_count, c.clicks_count),
        "ecpm_nanos": sums.ecpm().and_then(whole), "ecpm": sums.ecpm().map(text),
        "loss": share(c.served_count.saturating_sub(c.impressions_count), c.served_count),
    })
}

/// The answer as JSON.
pub(super) fn json(report: &Report) -> Value {
    let rows = report.rows.iter().map(|row| {
        let mut json = figures(&row.sums);
        for (dimension, value) in &row.keys {
            json[dimension.word()] = Value::String(value.clone());
        }
        json
    });
    let refused = report.refused.iter();
    let refused =
        refused.map(|(kind, reason, count)| json!({ "kind": kind, "reason": reason, "count": count }));
    let last = regie_model::UtcMs(report.to.0 - 1);
    json!({
        "from": report.zone.day(report.from), "to": report.zone.day(last), "from_at": report.from, "before_at": report.to,
        "zone": report.zone.name(), "position": report.position,
        "rows": rows.collect::<Vec<_>>(), "rows_count": report.rows_count, "limit": report.limit,
        "cursor": report.cursor.map(|c| c.to_string()),
        "totals": report.totals.iter().map(figures).collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "lost": {
            "served_count": report.loss.served_count, "impressions_count": report.loss.impressions_count,
            "lost_count": report.loss.lost_count(), "lost_ppm": report.loss.lost_ppm(),
            "about": "since the start: ads handed out of which no impression can arrive any more",
        },
    })
}

/// The answer as CSV.
///
/// # Errors
/// When it cannot be written.
pub fn csv(report: &Report) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = report.by.iter().map(|d| d.word());
    writer.write_record(names.chain(COLUMNS))?;
    for row in &report.rows {
        let json = figures(&row.sums);
        let keys = row.keys.iter().map(|(_, value)| value.clone());
        let cells = COLUMNS.iter().map(|column| match &json[*column] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(keys.chain(cells))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
