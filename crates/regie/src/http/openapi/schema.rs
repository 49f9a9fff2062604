//! Body schemas read off the types that bodies are parsed into: a type is asked, with one JSON after the other, what it takes.
//!
//! Serde's refusals name missing and unknown fields and the words of a choice, so that a schema cannot say otherwise than
//! the parser: nothing is kept by hand, and no type has to describe itself. Runs once, when the document is first asked
//! for. Refuses to know the rules of booking (limits, what goes with what): those are faults by field.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Values that are tried where a field is missing, in this order: plain words first, so that what takes only a certain form
/// is known by it.
const TEXTS: [&str; 18] = [
    "text",
    "2026-05-01T08:00:00Z",
    "2026-05-01",
    "EUR",
    "Europe/Paris",
    "cam_1",
    "adv_1",
    "party_1",
    "set_1",
    "ad_1",
    "ver_1",
    "site_1",
    "plc_1",
    "seg_1",
    "usr_1",
    "vote_1",
    "country",
    "0000000000000000000000000000000000000000000000000000000000000000",
];
/// Refusals answered on the way to a value that is taken.
const ROUNDS_MAX: usize = 64;
/// Objects within objects.
const DEPTH_MAX: usize = 8;
/// No field has this name, and no choice this word.
const NOBODY: &str = "?";

/// A refusal: where, and in serde's words.
struct Refusal {
    path: String,
    words: String,
}
impl Refusal {
    fn missing(&self) -> Option<&str> {
        self.words.strip_prefix("missing field `")?.split('`').next()
    }
    /// The names that would be taken, of an unknown field or word.
    fn expected(&self, what: &str) -> Option<Vec<String>> {
        let rest = self.words.strip_prefix(what)?.split_once("`, ")?.1;
        let names = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(names)
    }
}

/// A type, as what it takes and refuses.
struct Asked<'a> {
    ask: &'a dyn Fn(&Value) -> Result<(), Refusal>,
    /// The field that makes an object a choice.
    tag: &'a str,
    /// The schema that the field `spec` of a choice refers to, by the choice's word.
    spec_of: &'a dyn Fn(&str) -> Option<&'static str>,
}

/// The schema of a type.
pub fn of<T: DeserializeOwned>() -> Value {
    of_choice::<T>("kind", &|_| None)
}

/// The schema of a type whose choices are made by `tag`; their field `spec` refers to the schema that `spec_of` names.
pub fn of_choice<T: DeserializeOwned>(tag: &str, spec_of: &dyn Fn(&str) -> Option<&'static str>) -> Value {
    let ask = |value: &Value| {
        let text = value.to_string();
        let mut reader = serde_json::Deserializer::from_str(&text);
        let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
        read.map(drop).map_err(|error| Refusal {
            path: error.path().to_string(),
            words: error.into_inner().to_string(),
        })
    };
    let asked = Asked { ask: &ask, tag, spec_of };
    match asked.complete(json!({})) {
        Some(whole) => asked.explore(&whole, &[], 0),
        None => json!({}),
    }
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}
fn at<'v>(root: &'v Value, path: &[Step]) -> &'v Value {
    path.iter().fold(root, |value, step| match step {
        Step::Key(key) => value.get(key).unwrap_or(&Value::Null),
        Step::Index(index) => value.get(index).unwrap_or(&Value::Null),
    })
}
fn put(root: &Value, path: &[Step], new: Value) -> Value {
    fn go(value: &mut Value, path: &[Step], new: Value) {
        match path.split_first() {
            None => *value = new,
            Some((Step::Key(key), rest)) => {
                if let Some(map) = value.as_object_mut() {
                    go(map.entry(key.clone()).or_insert(Value::Null), rest, new);
                }
            }
            Some((Step::Index(index), rest)) => {
                if let Some(inner) = value.get_mut(*index) {
                    go(inner, rest, new);
                }
            }
        }
    }
    let mut changed = root.clone();
    go(&mut changed, path, new);
    changed
}
fn without(root: &Value, path: &[Step], key: &str) -> Value {
    let mut inner = at(root, path).clone();
    inner.as_object_mut().map(|map| map.remove(key));
    put(root, path, inner)
}
fn below(path: &[Step], step: Step) -> Vec<Step> {
    [path, &[step]].concat()
}
/// Where a field is missing in a value and in what lies in it: the outermost first.
fn lacking(value: &Value, field: &str, path: Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let inner: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, value)| (Step::Index(i), value)).collect(),
        _ => return,
    };
    if value.as_object().is_some_and(|map| !map.contains_key(field)) {
        found.push(below(&path, Step::Key(field.to_owned())));
    }
    inner.into_iter().for_each(|(step, value)| lacking(value, field, below(&path, step), found));
}
/// A path as serde writes it, such as `caps[2].scope`; `.` is the whole.
fn parsed(path: &str) -> Vec<Step> {
    let pieces = path.split(['.', '[']).filter(|p| !p.is_empty());
    let step = |piece: &str| match piece.strip_suffix(']').and_then(|n| n.parse().ok()) {
        Some(index) => Step::Index(index),
        None => Step::Key(piece.to_owned()),
    };
    pieces.map(step).collect()
}

impl Asked<'_> {
    fn refusal(&self, value: &Value) -> Option<Refusal> {
        (self.ask)(value).err()
    }
    fn takes(&self, value: &Value) -> bool {
        self.refusal(value).is_none()
    }
    /// Fills in what is missing until the whole is taken; nothing where that does not succeed.
    fn complete(&self, mut root: Value) -> Option<Value> {
        for _ in 0..ROUNDS_MAX {
            let Some(refusal) = self.refusal(&root) else { return Some(root) };
            let field = refusal.missing()?.to_owned();
            // Within a choice by `kind` a refusal names only the object of the choice: the field may be missing deeper.
            let mut places = Vec::new();
            lacking(at(&root, &parsed(&refusal.path)), &field, parsed(&refusal.path), &mut places);
            root = places.into_iter().find_map(|path| {
                let tries = self.candidates(&root, &path).into_iter().map(|value| put(&root, &path, value));
                tries.into_iter().find(|tried| self.moves_on(tried, &path))
            })?;
        }
        None
    }
    /// Values worth a try at a place: the words of a choice, where it is one.
    fn candidates(&self, root: &Value, path: &[Step]) -> Vec<Value> {
        let refused = self.refusal(&put(root, path, json!(NOBODY)));
        let words = refused.and_then(|r| r.expected("unknown variant `"));
        if let Some(words) = words {
            return words.into_iter().map(Value::from).collect();
        }
        let mut all: Vec<Value> = TEXTS.iter().map(|text| json!(text)).collect();
        all.extend([json!(1), json!(true), json!(0.5), json!({}), json!([])]);
        all
    }
    /// Whether a value at a place is not what is refused (any more).
    fn moves_on(&self, root: &Value, path: &[Step]) -> bool {
        let Some(refusal) = self.refusal(root) else { return true };
        // A choice by `kind` is refused at the object that it is in, whatever in it is the reason.
        let is_elsewhere = !path.starts_with(&parsed(&refusal.path));
        is_elsewhere
            || refusal.missing().is_some_and(|field| path.last() != Some(&Step::Key(field.to_owned())))
    }

    fn explore(&self, root: &Value, path: &[Step], depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return json!({});
        }
        match at(root, path) {
            Value::Object(_) => self.object(root, path, depth),
            Value::Array(_) => self.array(root, path, depth),
            Value::String(text) => self.text(root, path, text),
            Value::Number(number) if number.is_i64() => {
                let is_wide = self.takes(&put(root, path, json!(0.5)));
                json!({ "type": if is_wide { "number" } else { "integer" } })
            }
            Value::Number(_) => json!({ "type": "number" }),
            Value::Bool(_) => json!({ "type": "boolean" }),
            Value::Null => json!({}),
        }
    }
    fn text(&self, root: &Value, path: &[Step], text: &str) -> Value {
        let refused = self.refusal(&put(root, path, json!(NOBODY)));
        if let Some(words) = refused.and_then(|r| r.expected("unknown variant `")) {
            return json!({ "type": "string", "enum": words });
        }
        match text {
            "text" => json!({ "type": "string" }),
            "2026-05-01T08:00:00Z" => json!({ "type": "string", "format": "date-time" }),
            "2026-05-01" => json!({ "type": "string", "format": "date" }),
            id if id.ends_with("_1") => {
                json!({ "type": "string", "pattern": format!("^{}_[0-9]+$", &id[..id.len() - 2]), "examples": [id] })
            }
            other => json!({ "type": "string", "examples": [other] }),
        }
    }
    fn array(&self, root: &Value, path: &[Step], depth: usize) -> Value {
        let place = below(path, Step::Index(0));
        for value in self.candidates(&put(root, path, json!([null])), &place) {
            let tried = put(root, path, json!([value]));
            if self.moves_on(&tried, &place)
                && let Some(whole) = self.complete(tried)
            {
                return json!({ "type": "array", "items": self.explore(&whole, &place, depth + 1) });
            }
        }
        json!({ "type": "array" })
    }
    /// The fields of an object; of one whose `kind` is a choice, those of each.
    fn object(&self, root: &Value, path: &[Step], depth: usize) -> Value {
        let choice_by = |tag: &str| {
            let kind = below(path, Step::Key(tag.into()));
            let here = at(root, path).get(tag)?.is_string();
            let words = self.refusal(&put(root, &kind, json!(NOBODY)))?.expected("unknown variant `")?;
            here.then(|| (tag.to_owned(), words))
        };
        let Some((tag, kinds)) = choice_by(self.tag).or_else(|| choice_by("kind")) else {
            return self.fields(root, path, depth, None);
        };
        // Only where the other fields depend on it: a kind among plain fields is a field.
        let alone = |word: &str| self.complete(put(root, path, json!({ tag.as_str(): word })));
        let schemas: Vec<Value> = kinds
            .iter()
            .filter_map(|word| Some(self.fields(&alone(word)?, path, depth, Some((&tag, word)))))
            .collect();
        let mut bare = schemas.clone();
        bare.iter_mut().for_each(|schema| schema["properties"][tag.as_str()] = Value::Null);
        bare.dedup();
        if bare.len() == 1 { self.fields(root, path, depth, None) } else { json!({ "oneOf": schemas }) }
    }
    fn fields(&self, root: &Value, path: &[Step], depth: usize, kind: Option<(&String, &String)>) -> Value {
        let strange = self.refusal(&put(root, &below(path, Step::Key(NOBODY.into())), json!(0)));
        let named = strange
            .filter(|r| r.words.starts_with("unknown field"))
            .and_then(|r| r.expected("unknown field `"));
        let present: Vec<String> =
            at(root, path).as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        let is_closed = named.is_some();
        let mut names = named.unwrap_or_default();
        names.extend(present.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for name in names {
            if let Some((_, word)) = kind.filter(|(tag, _)| **tag == name) {
                properties.insert(name.clone(), json!({ "const": word }));
                required.push(name);
                continue;
            }
            if let ("spec", Some(known)) = (name.as_str(), kind.and_then(|(_, word)| (self.spec_of)(word))) {
                properties.insert(name.clone(), json!({ "$ref": format!("#/components/schemas/{known}") }));
                required.push(name);
                continue;
            }
            let place = below(path, Step::Key(name.clone()));
            let lacks = self.refusal(&without(root, path, &name));
            if lacks.as_ref().is_some_and(|r| r.missing() == Some(name.as_str())) {
                required.push(name.clone());
            }
            let whole = if at(root, &place).is_null() { self.with(root, &place) } else { Some(root.clone()) };
            let mut schema = whole.map_or_else(|| json!({}), |whole| self.explore(&whole, &place, depth + 1));
            if self.takes(&put(root, &place, Value::Null)) && schema["type"].is_string() {
                schema["type"] = json!([schema["type"], "null"]);
            }
            properties.insert(name, schema);
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            required.sort();
            schema["required"] = json!(required);
        }
        if is_closed {
            schema["additionalProperties"] = json!(false);
        }
        schema
    }
    /// The whole with a value at a place where there is none.
    fn with(&self, root: &Value, path: &[Step]) -> Option<Value> {
        self.candidates(root, path).into_iter().find_map(|value| {
            let tried = put(root, path, value);
            if self.moves_on(&tried, path) { self.complete(tried) } else { None }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use regie_model::booking::{AdSetSpec, AdSpec, CampaignSpec, PlacementSpec, VersionSpec};

    #[test]
    fn paths_are_read_as_serde_writes_them() {
        let path = [Step::Key("caps".into()), Step::Index(2), Step::Key("scope".into())];
        assert_eq!(parsed("caps[2].scope"), path);
        assert_eq!(parsed("."), []);
    }
    #[test]
    fn a_campaign_says_its_fields_which_must_be_there_and_what_lies_in_them() {
        let schema = of::<CampaignSpec>();
        let fields = &schema["properties"];
        let required = schema["required"].as_array().unwrap();
        for name in ["advertiser", "name", "objective", "flight", "sponsor", "payer"] {
            assert!(required.contains(&json!(name)), "{name}: {schema}");
        }
        assert!(!required.contains(&json!("political")));
        assert_eq!(fields["advertiser"]["pattern"], "^adv_[0-9]+$");
        assert_eq!(
            fields["objective"]["enum"],
            json!(["impressions", "viewable_impressions", "clicks", "conversions"])
        );
        assert_eq!(fields["flight"]["properties"]["starts_at"]["format"], "date-time");
        assert_eq!(fields["lifetime_budget_micros"]["type"], json!(["integer", "null"]));
        let declared = &fields["political"];
        assert_eq!(
            declared["properties"]["linked"]["items"]["properties"]["held_on"]["format"], "date",
            "{declared}"
        );
        assert_eq!(declared["properties"]["origin"]["properties"]["public"]["type"], "boolean");
        assert_eq!(schema["additionalProperties"], false);
    }
    #[test]
    fn what_depends_on_a_kind_is_said_for_each() {
        let kinds = |schema: &Value| -> Vec<String> {
            let all = schema["oneOf"].as_array().unwrap_or_else(|| panic!("{schema}"));
            all.iter().map(|s| s["properties"]["kind"]["const"].as_str().unwrap().to_owned()).collect()
        };
        let set = of::<AdSetSpec>();
        assert_eq!(kinds(&set["properties"]["bid"]), ["cpm", "cpc", "cpa", "flat_fee", "free"]);
        assert_eq!(
            set["properties"]["bid"]["oneOf"][2]["required"],
            json!(["action", "kind", "micros_per_conversion"])
        );
        let version = of::<VersionSpec>();
        assert_eq!(kinds(&version["properties"]["creative"]), ["image", "html", "native", "text"]);
        let place = of::<PlacementSpec>();
        assert_eq!(kinds(&place["properties"]["format"])[0], "banner");
        let ad = of::<AdSpec>();
        let slots = &ad["properties"]["template"]["properties"]["slots"]["items"]["properties"];
        assert_eq!(slots["assets"]["items"]["properties"]["text"]["type"], "string", "{ad}");
    }
}
