//! What a witness answers (C2SP tlog-witness, "add-checkpoint"), as a function of what it remembers.
//!
//! The caller stores the new head and answers in one step, or two requests at once could roll it back. Refuses logs it was
//! not told of, signatures it does not know, and anything that does not extend what it cosigned last.

use super::{
    checkpoint::{Checkpoint, decimal},
    cosignature::cosign,
    hash::Hash,
    note::{Note, NoteError, Signatory, VerifierKey},
    tree::{Head, verify_consistency},
};

/// Hashes of a proof at most.
pub const PROOF_COUNT_MAX: usize = 63;

/// A request to cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size that the caller thinks was cosigned last.
    pub old_size: u64,
    /// From there to the new one.
    pub proof: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: Note,
}
impl AddCheckpoint {
    /// The body of the request.
    pub fn to_text(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| format!("{}\n", hash.to_base64())).collect();
        format!("old {}\n{proof}\n{}", self.old_size, self.checkpoint)
    }
    /// Reads the body.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint, NoteError> {
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(NoteError::Malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old_size = old_size.ok_or(NoteError::Malformed("the first line is `old` and a size"))?;
        let proof: Option<Vec<Hash>> = lines.map(Hash::from_base64).collect();
        let proof = proof.filter(|p| p.len() <= PROOF_COUNT_MAX);
        let proof =
            proof.ok_or(NoteError::Malformed("a line of the proof is no hash, or there are over 63"))?;
        Ok(AddCheckpoint { old_size, proof, checkpoint: Note::parse(checkpoint.as_bytes())? })
    }
}

/// What a witness says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: remember this head, then send the line.
    Cosigned {
        /// To be stored before anything is sent.
        head: Head,
        /// Signature line, with its newline.
        body: String,
    },
    /// 400: not the format, or an old size above the checkpoint's.
    BadRequest(String),
    /// 403: nobody trusted signed it.
    Forbidden,
    /// 404: a log that this witness does not know.
    UnknownLog,
    /// 409: the size cosigned last.
    Conflict(u64),
    /// 422: the proof does not verify.
    Unprocessable,
}
impl Answer {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Answer::Cosigned { .. } => 200,
            Answer::BadRequest(_) => 400,
            Answer::Forbidden => 403,
            Answer::UnknownLog => 404,
            Answer::Conflict(_) => 409,
            Answer::Unprocessable => 422,
        }
    }
}

/// Which log a request is about: its origin line.
///
/// # Errors
/// [`NoteError::Malformed`].
pub fn origin_of(request: &AddCheckpoint) -> Result<String, NoteError> {
    Ok(Checkpoint::parse(&request.checkpoint.text)?.origin)
}

/// Whether a request goes on from what was seen last, given the log's known keys (all named by its origin): the checkpoint to be
/// remembered.
///
/// # Errors
/// What to answer where it does not.
pub fn check(
    request: &AddCheckpoint,
    keys: &[VerifierKey],
    last: Option<Head>,
) -> Result<Checkpoint, Answer> {
    let checkpoint =
        Checkpoint::parse(&request.checkpoint.text).map_err(|error| Answer::BadRequest(error.to_string()))?;
    let keys: Vec<VerifierKey> = keys.iter().filter(|key| key.name() == checkpoint.origin).cloned().collect();
    if keys.is_empty() {
        return Err(Answer::UnknownLog);
    }
    if request.checkpoint.verify(&keys).is_err() {
        return Err(Answer::Forbidden);
    }
    if request.old_size > checkpoint.size {
        return Err(Answer::BadRequest("the old size is above the checkpoint's".into()));
    }
    let known = last.unwrap_or(Head { size: 0, root: Hash::empty_root() });
    let same_size = request.old_size == checkpoint.size;
    if request.old_size != known.size || same_size && known.root != checkpoint.root {
        return Err(Answer::Conflict(known.size));
    }
    match verify_consistency(known, checkpoint.head(), &request.proof) {
        Ok(()) => Ok(checkpoint),
        Err(_) => Err(Answer::Unprocessable),
    }
}

/// What a witness answers.
pub fn judge(
    request: &AddCheckpoint,
    keys: &[VerifierKey],
    last: Option<Head>,
    witness: &Signatory,
    now_s: u64,
) -> Answer {
    let checkpoint = match check(request, keys, last) {
        Ok(checkpoint) => checkpoint,
        Err(answer) => return answer,
    };
    match cosign(&request.checkpoint.text, witness, now_s) {
        Ok(line) => Answer::Cosigned { head: checkpoint.head(), body: format!("{line}\n") },
        Err(error) => Answer::BadRequest(error.to_string()),
    }
}
