//! What the world has seen of the log: its published checkpoint, its mirrors, its witnesses.
//!
//! Asked at a start, and after every restore before anything is signed. Where the world has more than this folder, the missing
//! leaves are fetched from where it has them ([`catch_up`]); where they are nowhere, or are not the same history, nothing is
//! signed any more (R1), and the way on is a new origin that links to the old. A witness that has seen more, or something else,
//! says so with every request for a cosignature.

use super::{
    Append,
    checkpoint::Checkpoint,
    cosignature::witnesses_of,
    hash::leaf_hash,
    leaf::View,
    mirror::for_each_leaf,
    note::{Note, NoteError, SignatureLine, VerifierKey},
    read::{CHECKPOINT_PATH, ReadError, Source, consistency_from, object_path},
    sequencer::{BATCH_LEAVES_MAX, Halted, Sequencer, SequencerError, StorageError, StoredHead},
    tree::{Frontier, Head, verify_consistency},
    witness::AddCheckpoint,
};

/// How this folder stands to one outside view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The outside has nothing beyond what is here.
    Behind(u64),
    /// The outside has all that is here, and more.
    Ahead(u64),
    /// The outside has another history.
    Forked(u64),
    /// Nothing is published there, or it cannot be reached.
    Unknown(String),
}

/// Why the outside could not be compared, followed, or asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// A file there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checkpoint or cosignature that is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log here.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// No connection.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Leaves there do not give the root that is signed there.
    #[error("what is published there does not fit its own checkpoint")]
    Unfit,
    /// What a witness said.
    #[error("{0}")]
    Witness(String),
}

/// Compares a published log with the sequencer's own.
pub fn compare(sequencer: &mut Sequencer, outside: &mut dyn Source, keys: &[VerifierKey]) -> Standing {
    let bytes = match outside.get(CHECKPOINT_PATH) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Standing::Unknown("nothing is published there".into()),
        Err(error) => return Standing::Unknown(error.to_string()),
    };
    let checkpoint = match Checkpoint::open(&bytes, keys) {
        Ok((checkpoint, _)) => checkpoint,
        Err(error) => return Standing::Unknown(error.to_string()),
    };
    let own = sequencer.head().clone();
    if checkpoint.origin != own.origin {
        return Standing::Unknown(format!("{} is published there", checkpoint.origin));
    }
    let (theirs, mine) = (checkpoint.head(), own.head);
    if theirs.size <= mine.size {
        let mut files = OwnFiles(sequencer);
        return match fits(&mut files, theirs, mine) {
            Ok(true) => Standing::Behind(theirs.size),
            Ok(false) => Standing::Forked(theirs.size),
            Err(error) => Standing::Unknown(error.to_string()),
        };
    }
    match fits(outside, mine, theirs) {
        Ok(true) => Standing::Ahead(theirs.size),
        Ok(false) => Standing::Forked(theirs.size),
        Err(error) => Standing::Unknown(error.to_string()),
    }
}

/// Whether the tree of `new`, whose files `source` has, begins with `old`.
fn fits(source: &mut dyn Source, old: Head, new: Head) -> Result<bool, ReadError> {
    let proof = consistency_from(source, old.size, new.size)?;
    Ok(verify_consistency(old, new, &proof).is_ok())
}

/// The sequencer's own files as a source.
pub struct OwnFiles<'a>(pub &'a mut Sequencer);
impl Source for OwnFiles<'_> {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let failed = |e: SequencerError| ReadError::Unreachable { path: path.to_owned(), why: e.to_string() };
        self.0.file(path).map_err(failed)
    }
}

/// Appends what the outside has beyond this folder, and checks that the result is the very head that was published. The
/// position in the journal stays: what was lost there is told by the operator, not guessed.
///
/// # Errors
/// Leaves that cannot be read, or that do not give the published head; then nothing is signed any more.
pub fn catch_up(
    sequencer: &mut Sequencer,
    outside: &mut dyn Source,
    keys: &[VerifierKey],
) -> Result<u64, OutsideError> {
    let bytes = outside.get(CHECKPOINT_PATH)?.ok_or_else(|| ReadError::Missing(CHECKPOINT_PATH.into()))?;
    let (checkpoint, _) = Checkpoint::open(&bytes, keys)?;
    let from = sequencer.head().head.size;
    let mut missing = Vec::new();
    for_each_leaf(outside, checkpoint.size, &mut |index, leaf| {
        if index >= from {
            missing.push(leaf.to_vec());
        }
        true
    })?;
    let mut frontier = Frontier::default();
    for_each_leaf(outside, checkpoint.size, &mut |_, leaf| {
        frontier.push(leaf_hash(leaf));
        true
    })?;
    if frontier.root() != checkpoint.root {
        return Err(OutsideError::Unfit);
    }
    let position = sequencer.head().position;
    let mut entries = Vec::with_capacity(missing.len());
    for leaf in missing {
        let mut objects = Vec::new();
        if let Ok(view) = View::read(&leaf) {
            for hash in view.commitments.into_values() {
                if let Some(object) = outside.get(&object_path(hash))? {
                    objects.push((hash, object));
                }
            }
        }
        entries.push(Append { leaf, objects });
    }
    for batch in entries.chunks(BATCH_LEAVES_MAX) {
        sequencer.append(batch, position)?;
    }
    Ok(checkpoint.size - from)
}

/// How a witness is reached.
pub trait WitnessClient {
    /// Its key.
    fn key(&self) -> &VerifierKey;
    /// Sends a request: status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<(u16, String), StorageError>;
}

/// How often a witness may answer with another size before it is given up.
pub const QUESTIONS_MAX: usize = 3;

/// The question to a witness about a decided head, going on from the size that it cosigned last. To be sent without holding the
/// sequencer: a slow witness must not hold up who appends.
///
/// # Errors
/// Files that cannot be read.
pub fn question(
    sequencer: &mut Sequencer,
    head: &StoredHead,
    last: u64,
) -> Result<AddCheckpoint, OutsideError> {
    let checkpoint = Note::parse(head.note.as_bytes())?;
    let old_size = last.min(head.head.size);
    let proof = consistency_from(&mut OwnFiles(sequencer), old_size, head.head.size)?;
    Ok(AddCheckpoint { old_size, proof, checkpoint })
}

/// What a witness answered: its cosignature, or none where it is to be asked again from the size in `last`. A witness that has
/// seen more than this folder ever decided, or another history, halts the sequencer: it knows what this folder forgot.
///
/// # Errors
/// An answer that is none; the log goes on unwitnessed by this one.
pub fn answered(
    sequencer: &mut Sequencer,
    asked: &AddCheckpoint,
    witness: &VerifierKey,
    (status, body): (u16, &str),
    last: &mut u64,
) -> Result<Option<String>, OutsideError> {
    let name = witness.name().to_owned();
    match status {
        200 => {
            let line = own_line(body, &asked.checkpoint, witness)?;
            *last = Checkpoint::parse(&asked.checkpoint.text)?.size;
            Ok(Some(line))
        }
        409 => {
            let answer = body.trim().parse();
            let size: u64 = answer.map_err(|_| OutsideError::Witness(format!("{name} answered no size")))?;
            let held = sequencer.head().head.size;
            if size > held {
                let why = format!(
                    "the witness {name} has seen {size} entries, and this folder holds {held}: it was restored, or another sequencer runs"
                );
                sequencer.halt(Halted::Outside(why.clone()));
                return Err(OutsideError::Witness(why));
            }
            if size == asked.old_size {
                return Err(forked(sequencer, &name));
            }
            *last = size;
            Ok(None)
        }
        422 => Err(forked(sequencer, &name)),
        other => Err(OutsideError::Witness(format!("{name} answered {other}: {}", body.trim()))),
    }
}

/// Asks a witness to cosign the head, and waits for its answer.
///
/// # Errors
/// No answer, or one that is none; the log goes on unwitnessed by this one.
pub fn cosign(
    sequencer: &mut Sequencer,
    witness: &mut dyn WitnessClient,
    last: &mut u64,
) -> Result<String, OutsideError> {
    let head = sequencer.head().clone();
    for _ in 0..QUESTIONS_MAX {
        let asked = question(sequencer, &head, *last)?;
        let (status, body) = witness.add_checkpoint(&asked)?;
        if let Some(line) = answered(sequencer, &asked, witness.key(), (status, &body), last)? {
            return Ok(line);
        }
    }
    Err(OutsideError::Witness(format!("{} keeps answering with another size", witness.key().name())))
}

fn forked(sequencer: &mut Sequencer, name: &str) -> OutsideError {
    let why = format!("the witness {name} has seen another history of this log than this folder holds");
    sequencer.halt(Halted::Outside(why.clone()));
    OutsideError::Witness(why)
}

/// The witness's own line in an answer, checked; lines by others are ignored.
pub(crate) fn own_line(body: &str, note: &Note, key: &VerifierKey) -> Result<String, OutsideError> {
    for line in body.lines() {
        let Ok(line) = SignatureLine::parse(line) else { continue };
        if line.is_by(key) {
            let mut alone = note.clone();
            alone.signatures = vec![line.clone()];
            witnesses_of(&alone, std::slice::from_ref(key))?;
            return Ok(line.to_string());
        }
    }
    Err(OutsideError::Witness(format!("{} answered without its own cosignature", key.name())))
}
