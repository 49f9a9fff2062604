//! From a JSON body to a value, naming every field that is missing or cannot be read, not only the first.
//!
//! Serde stops at the first fault. So the faulty field is noted, replaced by something that reads, and the whole is read
//! again, a bounded number of times: what comes out is the list of faults, and a value to check the other fields with.

use crate::http::problem::Problem;
use axum::http::StatusCode;
use regie_model::{Fault, Faults, limits::COMMAND_BODY_BYTES_MAX};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Rounds of noting and replacing at most.
const ROUNDS_MAX: usize = 96;

/// What was read: a value if one could be made, and the faults of the fields it had to be made up for.
pub struct Read<T> {
    /// The value; made up where there are faults.
    pub value: Option<T>,
    /// Fields that are missing or cannot be read.
    pub faults: Faults,
}

/// The JSON of a body.
///
/// # Errors
/// 413 over the limit, 400 for no JSON.
pub fn json(body: &[u8]) -> Result<Value, Problem> {
    json_up_to(body, COMMAND_BODY_BYTES_MAX)
}
/// The JSON of a body with a limit of its own.
///
/// # Errors
/// As [`json`].
pub fn json_up_to(body: &[u8], max: usize) -> Result<Value, Problem> {
    if body.len() > max {
        return Err(Problem::too_large(max));
    }
    serde_json::from_slice(body).map_err(|e| Problem::bad_request(format!("The body is no JSON: {e}")))
}

/// The value of a body.
///
/// # Errors
/// As [`json`]; 422 with every field that is missing or cannot be read.
pub fn whole<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let read = read(json(body)?);
    match read.value {
        Some(value) if read.faults.is_empty() => Ok(value),
        _ => Err(Problem::faults(read.faults)),
    }
}

/// Reads a value as far as it can be.
pub fn read<T: DeserializeOwned>(mut json: Value) -> Read<T> {
    let mut faults = Faults::new();
    if !json.is_object() {
        faults.add("", "malformed", "The body is a JSON object.");
        return Read { value: None, faults };
    }
    let mut inserted = String::new();
    for _ in 0..ROUNDS_MAX {
        // From text, since only there numbers keep their width and errors their place.
        let text = json.to_string();
        let error = match serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text)) {
            Ok(value) => return Read { value: Some(value), faults },
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = plain(&error.into_inner().to_string());
        let path = narrowed(&json, path, &message, &inserted);
        let (at, fault) = place(&path, &message);
        let made_up = faults.0.iter().any(|f| covers(&f.field, &at));
        let unknown = fault.code == "unknown_field";
        if !made_up {
            faults.0.push(fault);
        }
        let mended = if unknown { remove(&mut json, &at) } else { replace(&mut json, &at, &message) };
        if !mended {
            break;
        }
        if message.starts_with("missing field") {
            inserted = at;
        }
    }
    Read { value: None, faults }
}

/// Whether a fault at `told` makes one at `field` a mere consequence: the same field, one below it, or one beside an
/// unreadable `kind`, which decides what its object holds.
pub fn covers(told: &str, field: &str) -> bool {
    let below = |holder: &str| field.strip_prefix(holder).is_some_and(|rest| rest.starts_with(['.', '[']));
    field == told
        || below(told)
        || told.strip_suffix(".kind").is_some_and(|holder| field == holder || below(holder))
}

/// Errors inside a tagged object name only the object: this finds the field that they are about.
fn narrowed(json: &Value, path: String, message: &str, inserted: &str) -> String {
    let mut at = json;
    for step in steps(&path) {
        at = match &step {
            Step::Key(key) => &at[key.as_str()],
            Step::Index(index) => &at[*index],
        };
    }
    if message.starts_with("unknown variant") && at.get("kind").is_some() {
        return join(&path, "kind");
    }
    // A made-up value of the wrong type, put in just before.
    let below = inserted.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
    if below && at.is_object() && message.starts_with("invalid") { inserted.to_owned() } else { path }
}

/// Without the line and column of the text that nobody wrote.
fn plain(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').next()
}
fn join(path: &str, field: &str) -> String {
    if path.is_empty() || path == "." { field.to_owned() } else { format!("{path}.{field}") }
}

/// Which field an error is about, and the fault to tell.
fn place(path: &str, message: &str) -> (String, Fault) {
    let fault = |field: &str, code: &str, message: String| Fault {
        field: field.to_owned(),
        code: code.to_owned(),
        message,
    };
    if let Some(name) = quoted(message, "missing field `") {
        let at = join(path, name);
        let fault = fault(&at, "missing", "Please fill this in.".into());
        return (at, fault);
    }
    if let Some(name) = quoted(message, "unknown field `") {
        // The path of an unknown field names it already, except inside a tagged object.
        let named = path == name || path.ends_with(&format!(".{name}"));
        let at = if named { path.to_owned() } else { join(path, name) };
        let fault = fault(&at, "unknown_field", format!("There is no such field: {message}."));
        return (at, fault);
    }
    let at = if path == "." { String::new() } else { path.to_owned() };
    let told = fault(&at, "malformed", format!("This cannot be read: {message}."));
    (at, told)
}

enum Step {
    Key(String),
    Index(usize),
}
fn steps(path: &str) -> Vec<Step> {
    let mut all = Vec::new();
    for part in path.split('.') {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|k| !k.is_empty()) {
            all.push(Step::Key(key.to_owned()));
        }
        all.extend(pieces.filter_map(|p| p.trim_end_matches(']').parse().ok()).map(Step::Index));
    }
    all
}

/// The object or list that holds the last step of a path.
fn parent<'a>(json: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    let mut at = json;
    for step in steps {
        at = match step {
            Step::Key(key) => at.as_object_mut()?.get_mut(key)?,
            Step::Index(index) => at.as_array_mut()?.get_mut(*index)?,
        };
    }
    Some(at)
}
fn remove(json: &mut Value, path: &str) -> bool {
    let mut all = steps(path);
    let Some(Step::Key(last)) = all.pop() else { return false };
    parent(json, &all).and_then(Value::as_object_mut).is_some_and(|o| o.remove(&last).is_some())
}

/// Puts something at `path` that is closer to what the error asks for; false when there is nothing left to try.
fn replace(json: &mut Value, path: &str, message: &str) -> bool {
    let mut all = steps(path);
    let Some(last) = all.pop() else { return false };
    let Some(holder) = parent(json, &all) else { return false };
    let (current, slot) = match &last {
        Step::Key(key) => {
            let Some(object) = holder.as_object_mut() else { return false };
            let current = object.get(key).cloned();
            (current, object.entry(key.clone()).or_insert(Value::Null))
        }
        Step::Index(index) => {
            let Some(slot) = holder.as_array_mut().and_then(|a| a.get_mut(*index)) else { return false };
            (Some(slot.clone()), slot)
        }
    };
    let next = candidate(message, current.as_ref());
    let moved = next.is_some() && next != current;
    if let Some(value) = next.filter(|_| moved) {
        *slot = value;
    }
    moved
}

/// What an error message asks for.
fn candidate(message: &str, current: Option<&Value>) -> Option<Value> {
    let text = |t: &str| Some(Value::String(t.to_owned()));
    if message.starts_with("missing field") {
        return text("");
    }
    if let Some(rest) =
        message.split("expected one of `").nth(1).or_else(|| message.split("expected `").nth(1))
    {
        return text(rest.split('`').next()?);
    }
    if let Some(rest) = message.split("such as ").nth(1) {
        return text(rest.split_whitespace().next()?.trim_end_matches(','));
    }
    if let Some(prefix) = message.split("of the form ").nth(1).and_then(|t| t.split("NUMBER").next()) {
        return text(&format!("{prefix}1"));
    }
    let Some(wanted) = message.split("expected ").nth(1) else {
        // A type with words of its own: a day, an hour.
        return (current != Some(&Value::from(0))).then(|| Value::from(0));
    };
    Some(match wanted {
        w if ["struct", "internally tagged", "a map"].iter().any(|p| w.starts_with(p)) => {
            Value::Object(Map::new())
        }
        w if w.starts_with("a sequence") => Value::Array(Vec::new()),
        w if w.starts_with("a string") || w.starts_with("string") => Value::from(""),
        w if w.starts_with("a boolean") => Value::from(false),
        w if w.starts_with(['u', 'i', 'f']) => Value::from(1),
        _ => return None,
    })
}

/// A body's optional `revision`, taken out of it.
///
/// # Errors
/// 422 when it is no number.
pub fn take_revision(json: &mut Value) -> Result<Option<u32>, Problem> {
    let Some(given) = json.as_object_mut().and_then(|o| o.remove("revision")) else { return Ok(None) };
    let number = given.as_u64().and_then(|n| u32::try_from(n).ok());
    number.map(Some).ok_or_else(|| {
        let mut faults = Faults::new();
        faults.add("revision", "malformed", "The revision is the number that was last read.");
        Problem { status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(), ..Problem::faults(faults) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regie_model::booking::{AdSetSpec, AdvertiserSpec, CampaignSpec, PlacementSpec, VersionSpec};

    fn fields<T: DeserializeOwned>(text: &str) -> (Vec<(String, String)>, bool) {
        let read = read::<T>(serde_json::from_str(text).unwrap());
        (read.faults.0.into_iter().map(|f| (f.field, f.code)).collect(), read.value.is_some())
    }
    fn is(found: Vec<(String, String)>, want: &[(&str, &str)]) {
        let found: Vec<_> = found.iter().map(|(f, c)| (f.as_str(), c.as_str())).collect();
        assert_eq!(found, want);
    }
    #[test]
    fn an_empty_campaign_names_every_field_it_needs() {
        let (found, whole) = fields::<CampaignSpec>("{}");
        is(
            found,
            &[
                ("advertiser", "missing"),
                ("name", "missing"),
                ("objective", "missing"),
                ("flight", "missing"),
                ("sponsor", "missing"),
                ("payer", "missing"),
            ],
        );
        assert!(whole, "a value is made up, to check the other fields with");
    }
    #[test]
    fn wrong_types_words_and_unknown_fields_are_named_together() {
        let text = r#"{"campaign":"cam_x","name":7,"bid":{"kind":"cpm"},"tier":{"kind":"best"},"colour":"red","caps":[{"scope":"ad","period":"eon","impressions_count":1}]}"#;
        let (mut found, _) = fields::<AdSetSpec>(text);
        found.sort();
        let found: Vec<_> = found.iter().map(|(f, c)| (f.as_str(), c.as_str())).collect();
        assert_eq!(
            found,
            [
                ("bid.micros_per_mille", "missing"),
                ("campaign", "malformed"),
                ("caps[0].period", "malformed"),
                ("colour", "unknown_field"),
                ("name", "malformed"),
                ("tier.kind", "malformed")
            ]
        );
    }
    #[test]
    fn currencies_zones_and_creatives_are_made_up_too() {
        let (found, whole) = fields::<AdvertiserSpec>(r#"{"name":"A"}"#);
        is(found, &[("currency", "missing"), ("zone", "missing"), ("funding", "missing")]);
        assert!(whole);
        let (found, _) = fields::<VersionSpec>(r#"{"ad":"ad_1"}"#);
        is(found, &[("creative", "missing")]);
        let (found, whole) = fields::<AdSetSpec>("{}");
        is(found, &[("campaign", "missing"), ("name", "missing"), ("bid", "missing"), ("tier", "missing")]);
        assert!(whole);
        let (found, whole) = fields::<PlacementSpec>(
            r#"{"site":"site_1","name":"x","format":{"kind":"banner","sizes":[{"width":300}]}}"#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "missing");
        let _ = whole;
    }
    proptest! {
        #[test]
        fn hostile_bodies_never_panic(text in "\\PC{0,200}") {
            let _ = whole::<CampaignSpec>(text.as_bytes());
            let wrapped = serde_json::json!({ "name": text, text.clone(): 1, "flight": text, "objective": text });
            let _ = read::<CampaignSpec>(wrapped);
        }
    }
}
