//! Signing what a label promises ([`crate::promise`]) with the log's key, and holding the log to it.
//!
//! The signed bytes begin with a line of their own, so that a promise cannot pass for a checkpoint. Refuses to call a promise
//! broken before it is due.

use super::{
    checkpoint::Checkpoint,
    evidence::{EVIDENCE_VERSION, Evidence},
    hash::{Hash, leaf_hash},
    mirror::for_each_leaf,
    note::{Note, NoteError, Signatory, TYPE_ED25519, VerifierKey},
    read::{ReadError, Source},
    tree::Frontier,
};
pub use crate::promise::{MERGE_WITHIN_MS, Promise, SignedPromise};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Signs a promise.
///
/// # Errors
/// A promise of another log than the key's.
pub fn sign(promise: &Promise, by: &Signatory) -> Result<SignedPromise, NoteError> {
    let key = by.verifier().name().to_owned();
    if key != promise.origin {
        return Err(NoteError::Malformed("a log promises for itself alone"));
    }
    let bytes = promise.to_bytes().map_err(|_| NoteError::Malformed("a promise has no fractions"))?;
    Ok(SignedPromise { promise: promise.clone(), key, signature: STANDARD.encode(by.sign_bytes(&bytes)) })
}

/// Whether a trusted log's key signed it.
///
/// # Errors
/// [`NoteError::Unsigned`] when no key of the promise's origin is known, [`NoteError::Forged`] when none of them signed.
pub fn open(signed: &SignedPromise, logs: &[VerifierKey]) -> Result<(), NoteError> {
    let of_origin = |key: &&VerifierKey| {
        key.kind() == TYPE_ED25519 && key.name() == signed.key && signed.key == signed.promise.origin
    };
    let mut keys = logs.iter().filter(of_origin).peekable();
    if keys.peek().is_none() {
        return Err(NoteError::Unsigned);
    }
    let forged = || NoteError::Forged(signed.key.clone());
    let bytes = signed.promise.to_bytes().map_err(|_| forged())?;
    let signature = STANDARD.decode(&signed.signature).map_err(|_| forged())?;
    if keys.any(|key| key.has_signed(&bytes, &signature)) { Ok(()) } else { Err(forged()) }
}

/// What a log did with a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The entry is there, at this place.
    Yes(u64),
    /// It is not there, and need not be yet: due at this time, in milliseconds since 1970.
    NotYetDue(i64),
    /// It is not there and had to be: the file is the proof.
    Broken(Evidence),
}

/// Looks a promised entry up among all leaves of a log, at `now_ms`.
///
/// # Errors
/// Leaves that cannot be read: then nobody knows.
pub fn hold(
    source: &mut dyn Source,
    checkpoint: &Checkpoint,
    note: &Note,
    signed: &SignedPromise,
    now_ms: i64,
) -> Result<Kept, ReadError> {
    let wanted = Hash(signed.promise.content.0);
    let (mut found, mut frontier) = (None, Frontier::default());
    for_each_leaf(source, checkpoint.size, &mut |index, leaf| {
        let hash = leaf_hash(leaf);
        frontier.push(hash);
        if hash == wanted {
            found = Some(index);
        }
        true
    })?;
    // What a mirror left out is not the log's breach.
    if frontier.root() != checkpoint.root {
        let why =
            "the entries do not give the root that is signed, so they say nothing of the promise".to_owned();
        return Err(ReadError::Unreachable { path: "tile/entries".to_owned(), why });
    }
    let due_ms = signed.promise.due_at().0;
    Ok(match found {
        Some(index) => Kept::Yes(index),
        None if now_ms <= due_ms => Kept::NotYetDue(due_ms),
        None => Kept::Broken(Evidence::BrokenPromise {
            v: EVIDENCE_VERSION,
            promise: signed.clone(),
            checkpoint: note.to_string(),
            read_at_ms: now_ms,
        }),
    })
}
