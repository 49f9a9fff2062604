//! What stands in a leaf of the log: ids, version, kind, time, figures, and one salted commitment for each part that may
//! have to be withheld. Schema 1, canonical JSON (docs/RECORD-FORMAT.md).
//!
//! Holds R3 (a correction is a new version; contents lie outside) and R4 (a leaf has only the keys of these types, and
//! parses only when its bytes are the canonical ones). Refuses names, texts, creatives: they are objects.

use crate::{
    canonical::{CanonicalError, canonical},
    commit::{Object, Sha256Hash},
};
use regie_model::{AdId, Currency, Day, Nanos, UtcMs};
use serde::{Deserialize, Serialize};

/// Version of the leaf's schema.
pub const LEAF_SCHEMA: u32 = 1;
/// Bytes of a leaf at most; a template's many versions are in its manifest, not in its leaf.
pub const LEAF_BYTES_MAX: usize = 65_535;

/// What a leaf states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who, what, when, to whom, at what price; in the log before the first impression.
    Facts,
    /// One closed day's exact figures.
    Figures,
    /// A decision of the publisher on a report under Art. 15.
    Decision,
}

/// How firm a day's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// At the close of the day.
    Provisional,
    /// On the seventh day after it.
    Final,
    /// Later, with a reason and both values.
    Correction,
}
impl Stage {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Provisional => "provisional",
            Stage::Final => "final",
            Stage::Correction => "corrected",
        }
    }
}

/// Exact counts and money. Money is 10^-9 of a unit, as decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Of the money.
    pub currency: Currency,
    /// Times shown.
    pub impressions_count: u64,
    /// Times clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
    /// Charged.
    #[serde(with = "nanos_text")]
    pub gross_nanos: Nanos,
    /// Of that given back, whenever it was given back.
    #[serde(with = "nanos_text")]
    pub credited_nanos: Nanos,
}
impl Amounts {
    /// Nothing, in a currency.
    pub fn zero(currency: Currency) -> Amounts {
        Amounts {
            currency,
            impressions_count: 0,
            clicks_count: 0,
            conversions_count: 0,
            gross_nanos: Nanos::ZERO,
            credited_nanos: Nanos::ZERO,
        }
    }
    /// Charged less given back.
    pub fn net(&self) -> Nanos {
        self.gross_nanos - self.credited_nanos
    }
    /// The sum of both; `None` when a count overflows or the currencies differ.
    pub fn plus(&self, other: &Amounts) -> Option<Amounts> {
        (self.currency == other.currency).then_some(())?;
        Some(Amounts {
            currency: self.currency,
            impressions_count: self.impressions_count.checked_add(other.impressions_count)?,
            clicks_count: self.clicks_count.checked_add(other.clicks_count)?,
            conversions_count: self.conversions_count.checked_add(other.conversions_count)?,
            gross_nanos: Nanos(self.gross_nanos.0.checked_add(other.gross_nanos.0)?),
            credited_nanos: Nanos(self.credited_nanos.0.checked_add(other.credited_nanos.0)?),
        })
    }
}

/// Nanos as decimal text, since they may pass 2^53.
mod nanos_text {
    use regie_model::Nanos;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(nanos: &Nanos, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&nanos.0)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Nanos, D::Error> {
        let text = String::deserialize(d)?;
        let value: i128 = text.parse().map_err(|_| D::Error::custom("an amount is an integer as text"))?;
        if value.to_string() != text {
            return Err(D::Error::custom("an amount has one form: no sign +, no leading zeros"));
        }
        Ok(Nanos(value))
    }
}

/// A day's figures in a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayFigures {
    /// Day of the account's zone.
    pub day: Day,
    /// How firm.
    pub stage: Stage,
    /// Of that day, this ad.
    pub amounts: Amounts,
    /// What the version before said; present exactly on a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Amounts>,
    /// This ad, all published days together, as of this leaf.
    pub total: Amounts,
    /// Root of the Merkle tree over the versions really shown on that day (RFC 6962 hashing), where several may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Sha256Hash>,
}

/// A commitment to one part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Which part: `facts`, `sponsor.name`, `creative.ver_3`, `breakdown` ...
    pub part: String,
    /// SHA-256 of salt and content.
    pub sha256: Sha256Hash,
}

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// [`LEAF_SCHEMA`].
    pub schema: u32,
    /// What it states.
    pub kind: Kind,
    /// The ad: the entry's id.
    pub ad: AdId,
    /// 1 for the first of this ad and kind (for figures: and day).
    pub version: u32,
    /// When it was made.
    pub at: UtcMs,
    /// The version that this one follows: SHA-256 of its leaf's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Sha256Hash>,
    /// Present exactly on figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<DayFigures>,
    /// Sorted by part, each part once.
    pub commitments: Vec<Commitment>,
}

/// Why bytes are no leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// No JSON, or not of this schema.
    #[error("the leaf does not fit its schema: {0}")]
    Schema(String),
    /// The same value could be written otherwise: bytes that are not canonical hide a second meaning.
    #[error("the leaf's bytes are not the canonical ones")]
    NotCanonical,
    /// The parts contradict each other.
    #[error("the leaf contradicts itself: {0}")]
    Contradiction(&'static str),
    /// It has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// [`LEAF_BYTES_MAX`].
    #[error("the leaf has {0} bytes; at most {LEAF_BYTES_MAX}")]
    TooLong(usize),
}

impl Leaf {
    /// The canonical bytes.
    ///
    /// # Errors
    /// A leaf that contradicts itself or is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LeafError> {
        self.check()?;
        let bytes = canonical(self)?;
        if bytes.len() > LEAF_BYTES_MAX { Err(LeafError::TooLong(bytes.len())) } else { Ok(bytes) }
    }
    /// Reads a leaf; never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn parse(bytes: &[u8]) -> Result<Leaf, LeafError> {
        if bytes.len() > LEAF_BYTES_MAX {
            return Err(LeafError::TooLong(bytes.len()));
        }
        let leaf: Leaf = serde_json::from_slice(bytes).map_err(|e| LeafError::Schema(e.to_string()))?;
        leaf.check()?;
        if canonical(&leaf)? == bytes { Ok(leaf) } else { Err(LeafError::NotCanonical) }
    }
    fn check(&self) -> Result<(), LeafError> {
        let wrong = |what| Err(LeafError::Contradiction(what));
        if self.schema != LEAF_SCHEMA {
            return Err(LeafError::Schema(format!("schema {} is not known here", self.schema)));
        }
        if self.version == 0 {
            return wrong("versions begin with 1");
        }
        if (self.version > 1) != self.follows.is_some() {
            return wrong("a first version follows nothing, a later one something");
        }
        if (self.kind == Kind::Figures) != self.figures.is_some() {
            return wrong("figures stand on figures and nowhere else");
        }
        if let Some(figures) = &self.figures {
            let corrected = figures.stage == Stage::Correction;
            if corrected != figures.before.is_some() || corrected && self.version == 1 {
                return wrong("a correction has what was said before, and nothing else has");
            }
            if figures.amounts.currency != figures.total.currency {
                return wrong("day and total have one currency");
            }
        }
        if self.commitments.windows(2).any(|pair| pair[0].part >= pair[1].part) {
            return wrong("commitments are sorted, each part once");
        }
        Ok(())
    }
    /// Hash of a leaf's bytes in the tree: SHA-256 over a zero byte and the bytes (RFC 6962, section 2.1).
    pub fn merkle_hash(bytes: &[u8]) -> Sha256Hash {
        Sha256Hash::of(&[&[0], bytes].concat())
    }
    /// The commitment to a part.
    pub fn commitment(&self, part: &str) -> Option<Sha256Hash> {
        let at = self.commitments.binary_search_by(|c| c.part.as_str().cmp(part)).ok()?;
        self.commitments.get(at).map(|c| c.sha256)
    }
}

/// A leaf with its new objects, ready for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The leaf.
    pub leaf: Leaf,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Objects that it commits to and that no earlier version of it brought.
    pub objects: Vec<Object>,
}
impl Sheet {
    /// Of a leaf and its objects.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn new(leaf: Leaf, objects: Vec<Object>) -> Result<Sheet, LeafError> {
        let bytes = leaf.to_bytes()?;
        Ok(Sheet { leaf, bytes, objects })
    }
    /// SHA-256 of the leaf's bytes: what a label promises and a later version follows.
    pub fn hash(&self) -> Sha256Hash {
        Sha256Hash::of(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(version: u32, stage: Stage) -> Leaf {
        let amounts =
            Amounts { impressions_count: 7, gross_nanos: Nanos(1 << 90), ..Amounts::zero(Currency::EUR) };
        Leaf {
            schema: LEAF_SCHEMA,
            kind: Kind::Figures,
            ad: AdId(3),
            version,
            at: UtcMs(1_000),
            follows: (version > 1).then(|| Sha256Hash::of(b"before")),
            figures: Some(DayFigures {
                day: Day(20_000),
                stage,
                before: (stage == Stage::Correction).then(|| amounts.clone()),
                total: amounts.clone(),
                amounts,
                manifest: None,
            }),
            commitments: vec![Commitment { part: "breakdown".into(), sha256: Sha256Hash::of(b"x") }],
        }
    }

    #[test]
    fn a_leaf_round_trips_in_one_form_only() {
        let leaf = figures(2, Stage::Correction);
        let bytes = leaf.to_bytes().unwrap();
        assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains("\"gross_nanos\":\"1237940039285380274899124224\""), "{text}");
        let spaced = text.replacen(':', ": ", 1);
        assert_eq!(Leaf::parse(spaced.as_bytes()), Err(LeafError::NotCanonical));
        let signed = text.replacen("\"credited_nanos\":\"0\"", "\"credited_nanos\":\"+0\"", 1);
        assert!(matches!(Leaf::parse(signed.as_bytes()), Err(LeafError::Schema(_))));
        let viewer = text.replacen("\"ad\":", "\"address\":\"1.2.3.4\",\"ad\":", 1);
        assert!(matches!(Leaf::parse(viewer.as_bytes()), Err(LeafError::Schema(_))), "R4: no other key");
        for cut in 0..bytes.len() {
            assert!(Leaf::parse(&bytes[..cut]).is_err());
        }
    }
    #[test]
    fn a_leaf_that_contradicts_itself_is_none() {
        for broken in [
            Leaf { version: 0, follows: None, ..figures(1, Stage::Final) },
            Leaf { follows: None, ..figures(2, Stage::Final) },
            Leaf { figures: None, ..figures(1, Stage::Final) },
            Leaf { kind: Kind::Facts, ..figures(1, Stage::Final) },
            Leaf { schema: 2, ..figures(1, Stage::Final) },
            figures(1, Stage::Correction),
        ] {
            assert!(broken.to_bytes().is_err(), "{broken:?}");
        }
        let mut twice = figures(1, Stage::Final);
        twice.commitments.push(twice.commitments[0].clone());
        assert!(twice.to_bytes().is_err());
        assert_eq!(figures(1, Stage::Final).commitment("breakdown"), Some(Sha256Hash::of(b"x")));
        assert_eq!(figures(1, Stage::Final).commitment("other"), None);
    }
}
