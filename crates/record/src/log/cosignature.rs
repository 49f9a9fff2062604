//! Timestamped cosignatures (C2SP tlog-cosignature, "Ed25519 signed message"): a witness says what it saw, and when.
//!
//! Refuses signature types other than 0x04.

use super::{
    checkpoint::Checkpoint,
    note::{Note, NoteError, Signatory, SignatureLine, TYPE_COSIGNATURE, VerifierKey},
};

/// A cosignature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// By whom.
    pub key: VerifierKey,
    /// When, in seconds since 1970.
    pub at_s: u64,
}

fn message(text: &str, at_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {at_s}\n{text}").into_bytes()
}

/// The signature line of a witness under a checkpoint's text.
///
/// # Errors
/// A key that is no witness's, a text that is no checkpoint.
pub fn cosign(text: &str, witness: &Signatory, at_s: u64) -> Result<SignatureLine, NoteError> {
    let key = witness.verifier();
    if key.kind() != TYPE_COSIGNATURE {
        return Err(NoteError::Key("a witness has a key of type 4"));
    }
    Checkpoint::parse(text)?;
    let mut signature = at_s.to_be_bytes().to_vec();
    signature.extend_from_slice(&witness.sign_bytes(&message(text, at_s)));
    Ok(SignatureLine { name: key.name().to_owned(), key_id: key.id(), signature })
}

/// The cosignatures of known witnesses under a note.
///
/// # Errors
/// [`NoteError::Forged`] when a line by a known witness does not verify or stands twice.
pub fn witnesses_of(note: &Note, known: &[VerifierKey]) -> Result<Vec<Witnessed>, NoteError> {
    let mut found = Vec::new();
    for key in known.iter().filter(|key| key.kind() == TYPE_COSIGNATURE) {
        let mut lines = note.signatures.iter().filter(|line| line.is_by(key));
        let Some(line) = lines.next() else { continue };
        let at_s = lines.next().is_none().then(|| verify(&note.text, line, key)).flatten();
        let at_s = at_s.ok_or_else(|| NoteError::Forged(key.name().to_owned()))?;
        found.push(Witnessed { key: key.clone(), at_s });
    }
    Ok(found)
}

fn verify(text: &str, line: &SignatureLine, key: &VerifierKey) -> Option<u64> {
    let (at, signature) = line.signature.split_at_checked(8)?;
    let at_s = u64::from_be_bytes(at.try_into().ok()?);
    (i64::try_from(at_s).is_ok() && key.has_signed(&message(text, at_s), signature)).then_some(at_s)
}
