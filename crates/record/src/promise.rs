//! The promise on a label: that the ad's facts are in the log within a stated time. Whoever holds a label whose promise
//! is not kept holds the proof.
//!
//! As a signed certificate timestamp is to a certificate log (RFC 6962, section 3.2). The log's key signs the canonical
//! bytes; this room neither signs nor verifies.

use crate::{
    canonical::{CanonicalError, canonical},
    commit::Sha256Hash,
};
use regie_model::{AdId, UtcMs};
use serde::{Deserialize, Serialize};

/// Longest time between a label's promise and its leaf in a published tree, in milliseconds.
pub const MERGE_WITHIN_MS: u32 = 60_000;

/// What is promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The log, by its origin line.
    pub origin: String,
    /// The entry.
    pub entry: AdId,
    /// Merkle leaf hash of the facts in force: it commits to the creatives.
    pub content: Sha256Hash,
    /// When it was promised.
    pub at: UtcMs,
    /// [`MERGE_WITHIN_MS`].
    pub merge_within_ms: u32,
}
impl Promise {
    /// The bytes that are signed: a line that names the use, then canonical JSON.
    ///
    /// # Errors
    /// None in practice: a promise has no fractions.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut bytes = b"regie label promise 1\n".to_vec();
        bytes.extend(canonical(self)?);
        Ok(bytes)
    }
    /// From when on a missing leaf is proof of breach.
    pub fn due_at(&self) -> UtcMs {
        UtcMs(self.at.0.saturating_add(i64::from(self.merge_within_ms)))
    }
}

/// A promise as a label carries it and `regie verify --label` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPromise {
    /// What is promised.
    pub promise: Promise,
    /// Name of the key, as in the log's signed notes.
    pub key: String,
    /// Ed25519 over [`Promise::to_bytes`], base 64.
    pub signature: String,
}
