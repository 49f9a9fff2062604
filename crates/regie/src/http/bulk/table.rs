//! Bookings as tables: one row a thing, one column a field, the same columns out and in.
//!
//! A column is the field's path in the API (`creative.title`); amounts that the API has in micros stand in units
//! (`lifetime_budget` for `lifetime_budget_micros`), lists and rules as JSON in one cell. Refuses rules of booking.

use crate::http::console::form::{micros_text, parse_micros};
use regie_model::{Faults, Micros};
use serde_json::{Map, Value};

/// Columns that say which thing a row is, and in what state; they are no fields of it.
pub const HEAD: [&str; 3] = ["id", "revision", "status"];

/// Fields that are text even when they look like numbers or JSON, by the last step of their path.
const TEXTS: [&str; 20] = [
    "name",
    "external_id",
    "title",
    "body",
    "call_to_action",
    "alt",
    "markup",
    "landing_url",
    "hash",
    "media_type",
    "zone",
    "starts_at",
    "ends_at",
    "election",
    "kind",
    "action",
    "fallback_html",
    "language",
    "invoice_address",
    "objective",
];
/// Objects whose fields have columns of their own; every other object, and every list, is one cell of JSON.
const OPENED: [&str; 5] = ["creative", "size", "asset", "flight", "bid"];

/// The column of a field, and whether its amount is in units there.
fn column(path: &str) -> (String, bool) {
    if let Some(plain) = path.strip_suffix("_micros") {
        return (plain.to_owned(), true);
    }
    let (holder, last) = path.rsplit_once('.').map_or(("", path), |(h, l)| (h, l));
    match last.strip_prefix("micros_per_") {
        Some(rest) if holder.is_empty() => (format!("price_per_{rest}"), true),
        Some(rest) => (format!("{holder}.price_per_{rest}"), true),
        None => (path.to_owned(), false),
    }
}
/// The field of a column, the other way round.
fn field(column: &str) -> (String, bool) {
    const AMOUNTS: [&str; 4] = ["lifetime_budget", "daily_budget", "bid.total", "limit"];
    if AMOUNTS.contains(&column) {
        return (format!("{column}_micros"), true);
    }
    let (holder, last) = column.rsplit_once('.').map_or(("", column), |(h, l)| (h, l));
    match last.strip_prefix("price_per_") {
        Some(rest) if holder.is_empty() => (format!("micros_per_{rest}"), true),
        Some(rest) => (format!("{holder}.micros_per_{rest}"), true),
        None => (column.to_owned(), false),
    }
}
/// The column in which a fault's field stands.
pub fn column_of(fault_field: &str, columns: &[String]) -> String {
    let plain = fault_field.split('[').next().unwrap_or(fault_field);
    let (name, _) = column(plain);
    if columns.contains(&name) { name } else { plain.to_owned() }
}

/// The cells of a thing: (column, text), empty fields left out.
pub fn cells(spec: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    open(spec, "", &mut found);
    found
}
fn open(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    let Some(object) = value.as_object() else { return };
    for (key, inner) in object {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        if inner.is_object() && OPENED.contains(&key.as_str()) {
            open(inner, &path, found);
        } else if let Some(cell) = cell(&path, inner) {
            found.push(cell);
        }
    }
}
fn cell(path: &str, value: &Value) -> Option<(String, String)> {
    let (name, in_units) = column(path);
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Number(number) if in_units => micros_text(Micros(number.as_i64()?)),
        Value::Array(list) if list.is_empty() => return None,
        other => other.to_string(),
    };
    (!text.is_empty()).then_some((name, text))
}

/// A thing with the cells of a row: columns that the table has are set, or emptied where the cell is; fields without a
/// column stay what they were. Faults name the column.
pub fn filled(
    base: Option<Value>,
    columns: &[String],
    row: &csv::StringRecord,
    faults: &mut Faults,
) -> Value {
    let mut spec = base.unwrap_or_else(|| Value::Object(Map::new()));
    // A creative of another kind has other fields: what the old one had does not stay behind.
    let kind = columns.iter().position(|c| c == "creative.kind").and_then(|at| row.get(at));
    if kind.is_some_and(|k| spec.pointer("/creative/kind").is_some_and(|old| old != k)) {
        spec["creative"] = Value::Object(Map::new());
    }
    for (name, text) in columns.iter().zip(row) {
        if HEAD.contains(&name.as_str()) || name.is_empty() || name == "reason" {
            continue;
        }
        let (path, in_units) = field(name);
        let text = text.trim();
        if text.is_empty() {
            take(&mut spec, &path);
            continue;
        }
        match value(&path, text, in_units) {
            Ok(value) => put(&mut spec, &path, value),
            Err(why) => faults.add(name.clone(), "malformed", why),
        }
    }
    spec
}

fn value(path: &str, text: &str, in_units: bool) -> Result<Value, &'static str> {
    if in_units {
        let micros = parse_micros(text);
        return micros
            .map(Value::from)
            .ok_or("Write an amount such as 1250 or 1250.50 (at most six decimals).");
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    if TEXTS.contains(&last) {
        return Ok(text.into());
    }
    match text.as_bytes().first() {
        Some(b'{' | b'[') => {
            serde_json::from_str(text).map_err(|_| "This cell is JSON, and cannot be read as such.")
        }
        _ => Ok(match text {
            "true" => true.into(),
            "false" => false.into(),
            _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        }),
    }
}

fn put(spec: &mut Value, path: &str, value: Value) {
    let mut at = spec;
    for step in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[step];
    }
    *at = value;
}
/// Removes a field, and what held only it.
fn take(spec: &mut Value, path: &str) {
    let Some(object) = spec.as_object_mut() else { return };
    match path.split_once('.') {
        None => drop(object.remove(path)),
        Some((first, rest)) => {
            if let Some(inner) = object.get_mut(first) {
                take(inner, rest);
                if inner.as_object().is_some_and(Map::is_empty) {
                    object.remove(first);
                }
            }
        }
    }
}

/// Nulls, empty lists and empty texts removed, so that what is left out and what is empty compare alike.
pub fn bare(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let inner = object.iter().map(|(k, v)| (k.clone(), bare(v)));
            Value::Object(inner.filter(|(_, v)| !is_empty(v)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(bare).collect()),
        other => other.clone(),
    }
}
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn back(spec: &Value, base: Option<Value>) -> Value {
        let cells = cells(spec);
        let columns: Vec<String> = cells.iter().map(|(c, _)| c.clone()).collect();
        let row: csv::StringRecord = cells.iter().map(|(_, v)| v.as_str()).collect();
        let mut faults = Faults::new();
        let spec = filled(base, &columns, &row, &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        spec
    }

    #[test]
    fn what_goes_out_comes_in_again() {
        for spec in [
            json!({ "ad": "ad_1", "name": "007", "weight": 2, "external_id": "12",
                    "creative": { "kind": "html", "markup": "{\"a\": 1}", "size": { "width": 300, "height": 250 } } }),
            json!({ "campaign": "cam_1", "name": "[x]", "bid": { "kind": "cpm", "micros_per_mille": 2_500_000 },
                    "tier": { "kind": "auction" }, "targeting": { "clauses": [{ "dimension": "country", "op": "in", "values": ["FR"] }] } }),
            json!({ "name": "true", "lifetime_budget_micros": 1_250_500_000, "flight": { "starts_at": "2026-01-01T00:00:00Z" } }),
        ] {
            assert_eq!(back(&spec, None), spec);
            assert_eq!(back(&spec, Some(spec.clone())), spec);
        }
    }
    #[test]
    fn amounts_stand_in_units() {
        let spec =
            json!({ "lifetime_budget_micros": 1_250_500_000, "bid": { "micros_per_mille": 2_000_000 } });
        let mut found = cells(&spec);
        found.sort();
        let want = [("bid.price_per_mille", "2"), ("lifetime_budget", "1250.50")];
        assert_eq!(found, want.map(|(c, v)| (c.to_owned(), v.to_owned())));
        assert_eq!(column_of("lifetime_budget_micros", &["lifetime_budget".into()]), "lifetime_budget");
        assert_eq!(column_of("targeting[2].values", &[]), "targeting");
    }
    #[test]
    fn an_empty_cell_empties_and_a_missing_column_keeps() {
        let base = json!({ "name": "A", "external_id": "x", "weight": 3 });
        let mut faults = Faults::new();
        let row = csv::StringRecord::from(vec!["B", ""]);
        let spec = filled(Some(base), &["name".into(), "external_id".into()], &row, &mut faults);
        assert_eq!(spec, json!({ "name": "B", "weight": 3 }));
    }
    #[test]
    fn another_kind_of_creative_leaves_nothing_of_the_old_one() {
        let base = json!({ "creative": { "kind": "text", "title": "T", "body": "B" } });
        let row = csv::StringRecord::from(vec!["html", "<p>"]);
        let columns = ["creative.kind".to_owned(), "creative.markup".to_owned()];
        let spec = filled(Some(base), &columns, &row, &mut Faults::new());
        assert_eq!(spec, json!({ "creative": { "kind": "html", "markup": "<p>" } }));
    }
    #[test]
    fn a_cell_that_cannot_be_read_names_its_column() {
        let mut faults = Faults::new();
        let row = csv::StringRecord::from(vec!["ten", "{"]);
        filled(None, &["daily_budget".into(), "targeting".into()], &row, &mut faults);
        let found: Vec<_> = faults.0.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(found, ["daily_budget", "targeting"]);
    }
}
