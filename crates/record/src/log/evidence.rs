//! Evidence that anybody can check alone: two checkpoints of one log that do not fit, or a promise that was broken.
//!
//! A file of JSON that holds only what was signed and the hashes that tie it together. Refuses to accuse: [`Evidence::check`]
//! recomputes everything, and says in what the proof consists.

use super::{
    checkpoint::Checkpoint,
    hash::Hash,
    note::{NoteError, VerifierKey},
    promise::{self, SignedPromise},
    read::{ReadError, Source, consistency_from, tile_hashes},
    tile::nodes_over,
    tree::{Head, range_root, verify_consistency},
};
use serde::{Deserialize, Serialize};

/// Version of the file.
pub const EVIDENCE_VERSION: u32 = 1;

/// What is proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "evidence", rename_all = "snake_case")]
pub enum Evidence {
    /// The log's key signed two checkpoints, the newer of which does not begin with the older.
    Fork {
        /// Version of this form.
        v: u32,
        /// The smaller checkpoint, signed.
        older: String,
        /// The larger (or as large) checkpoint, signed.
        newer: String,
        /// The root that the newer tree really has at the older size.
        root_within: Hash,
        /// Consistency proof from that root to the newer one.
        proof: Vec<Hash>,
    },
    /// A label promised an entry that a later checkpoint's log does not have.
    BrokenPromise {
        /// Version of this form.
        v: u32,
        /// The promise, signed.
        promise: SignedPromise,
        /// A checkpoint from after the promise was due, signed, as it was read.
        checkpoint: String,
        /// When the checkpoint was read, in milliseconds since 1970, by the clock of who made this file.
        read_at_ms: i64,
    },
}

/// Why a file is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// No such file format.
    #[error("this is no evidence file: {0}")]
    Malformed(String),
    /// What it holds was not signed by the log.
    #[error("what it holds was not signed by the log: {0}")]
    Unsigned(#[from] NoteError),
    /// It proves nothing.
    #[error("it proves nothing: {0}")]
    NoProof(&'static str),
}

/// Whether a log, whose newer checkpoint `source` shows, goes on from an older one; the evidence where it does not.
///
/// # Errors
/// A file that cannot be read, or checkpoints that are none: then nobody knows. A log that is smaller than before is an error
/// too: it may be an old copy, which proves nothing.
pub fn compare(
    source: &mut dyn Source,
    older: &[u8],
    newer: &[u8],
    log: &[VerifierKey],
) -> Result<Result<(), Evidence>, CompareError> {
    let (before, before_note) = Checkpoint::open(older, log)?;
    let (now, now_note) = Checkpoint::open(newer, log)?;
    if before.size > now.size {
        return Err(CompareError::Smaller { seen: before.size, now: now.size });
    }
    let proof = consistency_from(source, before.size, now.size)?;
    if verify_consistency(before.head(), now.head(), &proof).is_ok() {
        return Ok(Ok(()));
    }
    let size = now.size;
    let mut nodes = nodes_over(size, |tile| tile_hashes(source, tile));
    let root_within = range_root(0, before.size, &mut *nodes)?;
    drop(nodes);
    let (older, newer) = (before_note.to_string(), now_note.to_string());
    let evidence = Evidence::Fork { v: EVIDENCE_VERSION, older, newer, root_within, proof };
    // Tiles that are only damaged prove nothing.
    evidence.check(log).map_err(|_| CompareError::Damaged)?;
    Ok(Err(evidence))
}

/// Why two checkpoints could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// A file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checkpoint.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It shows less than before.
    #[error("the log had {seen} entries before, and shows {now} now: an old copy, or cut off")]
    Smaller {
        /// Entries seen before.
        seen: u64,
        /// Entries now.
        now: u64,
    },
    /// Its tiles do not give its root.
    #[error("the log's tiles do not give the root that is signed")]
    Damaged,
}

impl Evidence {
    /// Reads a file.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`].
    pub fn parse(text: &str) -> Result<Evidence, EvidenceError> {
        serde_json::from_str(text).map_err(|e| EvidenceError::Malformed(e.to_string()))
    }
    /// The file.
    pub fn to_text(&self) -> String {
        // Text of our own types cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
    /// Recomputes everything with a log's keys, and says what is proved.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn check(&self, log: &[VerifierKey]) -> Result<String, EvidenceError> {
        match self {
            Evidence::Fork { older, newer, root_within, proof, .. } => {
                let (older, _) = Checkpoint::open(older.as_bytes(), log)?;
                let (newer, _) = Checkpoint::open(newer.as_bytes(), log)?;
                if older.origin != newer.origin {
                    return Err(EvidenceError::NoProof("the checkpoints are of different logs"));
                }
                if *root_within == older.root {
                    return Err(EvidenceError::NoProof("the newer checkpoint goes on from the older one"));
                }
                let within = Head { size: older.size, root: *root_within };
                verify_consistency(within, newer.head(), proof)
                    .map_err(|_| EvidenceError::NoProof("the hashes do not lead to the newer checkpoint"))?;
                Ok(format!(
                    "{} signed two histories: at {} entries, one has the root {} and the other {root_within}.",
                    older.origin, older.size, older.root
                ))
            }
            Evidence::BrokenPromise { promise, checkpoint, read_at_ms, .. } => {
                promise::open(promise, log)?;
                let promise = &promise.promise;
                let (checkpoint, _) = Checkpoint::open(checkpoint.as_bytes(), log)?;
                if checkpoint.origin != promise.origin {
                    return Err(EvidenceError::NoProof("promise and checkpoint are of different logs"));
                }
                let late = *read_at_ms > promise.due_at().0;
                if !late {
                    return Err(EvidenceError::NoProof("the promise was not yet due"));
                }
                Ok(format!(
                    "{} promised the entry {} by {}; compare with its {} entries under the root {} (a mirror of that size shows that it is not among them).",
                    promise.origin,
                    promise.entry,
                    promise.due_at(),
                    checkpoint.size,
                    checkpoint.root
                ))
            }
        }
    }
}
