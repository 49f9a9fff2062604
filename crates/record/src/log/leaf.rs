//! What every leaf has: kind, id, version, time, figures in the clear, and a commitment for each part kept outside.
//!
//! A leaf is canonical JSON: one object, compact, members sorted by their bytes, integers only; any other spelling is
//! refused, so that a leaf has one hash. Kinds that begin with `log_`, and `tombstone`, are the log's own and defined here.
//! Leaves about ads have a form of their own (docs/RECORD-FORMAT.md): of them the log reads only what [`View`] has. Laws
//! R3 (a removal is a tombstone) and R4.

use super::{hash::Hash, note::VerifierKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Version of the envelope.
pub const ENVELOPE_VERSION: u32 = 1;
/// Kind of the first leaf of a log.
pub const KIND_OPENED: &str = "log_opened";
/// Kind of a leaf that names a further signing key of the log.
pub const KIND_KEY: &str = "log_key";
/// Kind of a leaf that retires one, for good.
pub const KIND_KEY_RETIRED: &str = "log_key_retired";
/// Kind of a leaf with the commitment to a day's billing.
pub const KIND_DAY: &str = "log_day";
/// Kind of a leaf that says why an object is gone.
pub const KIND_TOMBSTONE: &str = "tombstone";

/// Why bytes are no leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// No JSON object with what an envelope needs.
    #[error("this is no leaf: {0}")]
    Malformed(String),
    /// A second spelling.
    #[error("the leaf is not in canonical form")]
    NotCanonical,
}

/// A leaf, read or to be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of the envelope: [`ENVELOPE_VERSION`].
    pub v: u32,
    /// What it is.
    pub kind: String,
    /// Whom or what it is about, such as `ad_12` or `2026-11-27`.
    pub id: String,
    /// Counts up for one kind and id, from 1.
    pub version: u32,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Hashes of objects, by the name of the part that each holds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commitments: BTreeMap<String, Hash>,
    /// Everything else, in the clear.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub body: Map<String, Value>,
}

impl Envelope {
    /// A leaf with a body of its own type.
    ///
    /// # Errors
    /// A body that is no JSON object of integers, texts, lists and objects.
    pub fn new(
        kind: &str,
        id: &str,
        version: u32,
        at_ms: i64,
        body: &impl Serialize,
    ) -> Result<Envelope, LeafError> {
        let body = serde_json::to_value(body).map_err(|e| LeafError::Malformed(e.to_string()))?;
        let Value::Object(body) = body else {
            return Err(LeafError::Malformed("its body is no object".into()));
        };
        let (kind, id, commitments) = (kind.to_owned(), id.to_owned(), BTreeMap::new());
        Ok(Envelope { v: ENVELOPE_VERSION, kind, id, version, at_ms, commitments, body })
    }
    /// The canonical bytes.
    ///
    /// # Errors
    /// A number that is no integer.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LeafError> {
        let value = serde_json::to_value(self).map_err(|e| LeafError::Malformed(e.to_string()))?;
        canonical(&value)
    }
    /// Reads a leaf.
    ///
    /// # Errors
    /// [`LeafError`]; never panics, whatever the bytes.
    pub fn read(leaf: &[u8]) -> Result<Envelope, LeafError> {
        let value: Value = serde_json::from_slice(leaf).map_err(|e| LeafError::Malformed(e.to_string()))?;
        if canonical(&value)? != leaf {
            return Err(LeafError::NotCanonical);
        }
        let envelope: Envelope =
            serde_json::from_value(value).map_err(|e| LeafError::Malformed(e.to_string()))?;
        if envelope.v != ENVELOPE_VERSION {
            return Err(LeafError::Malformed(format!("envelope version {} is not known here", envelope.v)));
        }
        // Nothing may hide beside the members that are known.
        if envelope.to_bytes()? != leaf {
            return Err(LeafError::Malformed("it has members that are not known".into()));
        }
        Ok(envelope)
    }
    /// Its body as a type.
    ///
    /// # Errors
    /// A body that is another.
    pub fn body_as<T: for<'de> Deserialize<'de>>(&self) -> Result<T, LeafError> {
        serde_json::from_value(Value::Object(self.body.clone()))
            .map_err(|e| LeafError::Malformed(e.to_string()))
    }
}

/// What the log itself needs of any leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What it is.
    pub kind: String,
    /// Whom or what it is about: what its versions count up for.
    pub id: String,
    /// From 1.
    pub version: u32,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Hashes of objects, by part.
    pub commitments: BTreeMap<String, Hash>,
}

/// The members of a leaf about an ad that matter here.
#[derive(Deserialize)]
struct AdLeaf {
    kind: String,
    ad: String,
    version: u32,
    at: regie_model::UtcMs,
    figures: Option<AdDay>,
    #[serde(default)]
    commitments: Vec<AdCommitment>,
}
#[derive(Deserialize)]
struct AdDay {
    day: Value,
}
#[derive(Deserialize)]
struct AdCommitment {
    part: String,
    sha256: Hash,
}

impl View {
    /// Of a leaf's bytes: an envelope, or a leaf about an ad.
    ///
    /// # Errors
    /// [`LeafError`]; never panics, whatever the bytes.
    pub fn read(leaf: &[u8]) -> Result<View, LeafError> {
        let malformed = |e: serde_json::Error| LeafError::Malformed(e.to_string());
        let value: Value = serde_json::from_slice(leaf).map_err(malformed)?;
        if value.get("v").is_some() {
            return Envelope::read(leaf).map(View::from);
        }
        if canonical(&value)? != leaf {
            return Err(LeafError::NotCanonical);
        }
        let AdLeaf { kind, ad, version, at, figures, commitments } =
            serde_json::from_value(value).map_err(malformed)?;
        if kind.starts_with("log_") || kind == KIND_TOMBSTONE {
            return Err(LeafError::Malformed(format!("`{kind}` is the log's own kind, and has an envelope")));
        }
        let id = match figures.map(|figures| figures.day) {
            Some(Value::String(day)) => format!("{ad} {day}"),
            Some(day) => format!("{ad} {day}"),
            None => ad,
        };
        let commitments = commitments.into_iter().map(|c| (c.part, c.sha256)).collect();
        Ok(View { kind, id, version, at_ms: at.0, commitments })
    }
}
impl From<Envelope> for View {
    fn from(leaf: Envelope) -> View {
        let Envelope { kind, id, version, at_ms, commitments, .. } = leaf;
        View { kind, id, version, at_ms, commitments }
    }
}

fn canonical(value: &Value) -> Result<Vec<u8>, LeafError> {
    crate::canonical::canonical(value).map_err(|e| LeafError::Malformed(e.to_string()))
}

/// Body of the first leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The log's origin.
    pub origin: String,
    /// Its first key.
    pub key: String,
    /// How long after an ad was first shown its entry may be missing, in milliseconds.
    pub merge_delay_ms: u64,
    /// The log that this one goes on from, where that could not be continued: its last known signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// Why it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Body of a leaf about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The key, as a verifier key.
    pub key: String,
    /// It signs no more after this leaf, because of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_because: Option<String>,
}

/// Body of a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The object that is gone.
    pub object: Hash,
    /// Kind and id of the leaf that commits to it, such as `facts ad_12`.
    pub of: String,
    /// The part, as the leaf's commitments name it.
    pub part: String,
    /// On what legal ground, such as `GDPR Art. 17(1)(b)`.
    pub ground: String,
    /// When it was withheld, in milliseconds since 1970.
    pub withheld_at_ms: i64,
}

/// A tombstone's leaf.
///
/// # Errors
/// Does not happen: the body is an object of texts and integers.
pub fn tombstone(version: u32, at_ms: i64, body: &Tombstone) -> Result<Envelope, LeafError> {
    Envelope::new(KIND_TOMBSTONE, &body.object.to_hex(), version, at_ms, body)
}
/// The first leaf of a log.
///
/// # Errors
/// Does not happen, as above.
pub fn opened(at_ms: i64, body: &Opened) -> Result<Envelope, LeafError> {
    Envelope::new(KIND_OPENED, &body.origin, 1, at_ms, body)
}
/// A leaf about a key: it signs from now on, or, for a reason, no more.
///
/// # Errors
/// Does not happen, as above.
pub fn key_change(
    at_ms: i64,
    key: &VerifierKey,
    retired_because: Option<String>,
) -> Result<Envelope, LeafError> {
    let kind = if retired_because.is_some() { KIND_KEY_RETIRED } else { KIND_KEY };
    let body = KeyChange { key: key.to_string(), retired_because };
    Envelope::new(kind, &format!("{:08x}", key.id()), 1, at_ms, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_leaf_has_one_spelling() {
        let leaf =
            Envelope::new("facts", "ad_1", 1, 5, &json!({ "b": 1, "a": { "z": [1, "ü"], "y": null } }))
                .unwrap();
        let bytes = leaf.to_bytes().unwrap();
        assert_eq!(Envelope::read(&bytes).unwrap(), leaf);
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replace("\"a\"", " \"a\""),
            text.replace("\"v\":1", "\"v\":1.0"),
            text.replace('ü', "\\u00fc"),
        ] {
            assert!(Envelope::read(other.as_bytes()).is_err(), "{other}");
        }
        let hidden = text.replace("\"version\":1", "\"version\":1,\"viewer\":\"x\"");
        assert!(Envelope::read(hidden.as_bytes()).is_err());
        assert!(Envelope::new("facts", "ad_1", 1, 5, &json!({ "rate": 0.5 })).unwrap().to_bytes().is_err());
    }
}
