//! The published JSON of a Regie record (`/record/ads.json`, schema version 1): anybody's, read like any other archive.
//!
//! Takes sponsor, payer, days and figures; ignores what it does not know, so that later versions of the format with
//! more keys are read. Refuses an entry whose figures are not exact integers.

use super::own::{OwnEntry, store_ad};
use crate::amount::Currency;
use crate::day::Day;
use crate::error::Result;
use crate::store::Writer;
use serde_json::Value;

/// Whether a value is an entry of a Regie record.
pub(super) fn is_entry(value: &Value) -> bool {
    value.pointer("/figures/days").is_some() && value.pointer("/sponsor/name").is_some()
}

/// Whether the head of a file is of a Regie record.
pub(super) fn is_record(head: &str) -> bool {
    head.contains("\"entries\"") && head.contains("\"schema_version\"")
        || (head.contains("\"campaign_figures\"") && head.contains("\"sponsor\""))
}

/// Stores an entry, or says why not.
pub(super) fn store(entry: &Value, writer: &mut Writer<'_>) -> Result<std::result::Result<(), String>> {
    Ok(match days(entry) {
        Ok(days) => {
            store_ad(&days.iter().collect::<Vec<_>>(), writer)?;
            Ok(())
        }
        Err(reason) => Err(reason),
    })
}

fn days(entry: &Value) -> std::result::Result<Vec<OwnEntry>, String> {
    let text = |path: &str| entry.pointer(path).map(text_of).unwrap_or_default();
    let ad = text("/id");
    if ad.is_empty() {
        return Err("the entry has no id".into());
    }
    let currency = Currency::parse(&text("/figures/currency")).ok_or("the currency is no three letters")?;
    let one = |day: &Value| -> std::result::Result<OwnEntry, String> {
        let spend = day.get("spend_nanos").map(text_of).unwrap_or_default();
        let count = day.get("impressions_count").and_then(Value::as_i64);
        Ok(OwnEntry {
            account: text("/sponsor/id"),
            sponsor: text("/sponsor/name"),
            payer: text("/payer/name"),
            ad: ad.clone(),
            region: String::new(),
            election: election(entry),
            currency,
            day: day
                .get("day")
                .and_then(Value::as_str)
                .and_then(Day::parse)
                .ok_or("a day of the figures is no date")?,
            spend_nanos: spend.parse().map_err(|_| "the spend of a day is no whole number of nano-units")?,
            impressions_count: count.filter(|n| *n >= 0).ok_or("the impressions of a day are no count")?,
        })
    };
    let list = entry.pointer("/figures/days").and_then(Value::as_array);
    let mut days: Vec<OwnEntry> =
        list.ok_or("the figures have no days")?.iter().map(one).collect::<std::result::Result<_, _>>()?;
    days.sort_by_key(|e| e.day);
    Ok(days)
}

/// The linked election, from item g of the notice.
fn election(entry: &Value) -> String {
    let items = entry.get("notice").and_then(Value::as_array).into_iter().flatten();
    let linked = items.filter(|i| i.get("item").and_then(Value::as_str) == Some("g"));
    let values = linked.filter_map(|i| i.get("values").and_then(Value::as_array)).flatten();
    let mut named = values.filter_map(|v| v.get("value").and_then(Value::as_str));
    named.find(|t| !t.is_empty() && !t.starts_with("declared")).unwrap_or_default().to_owned()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
