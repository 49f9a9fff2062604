//! Bringing a log to a mirror (C2SP tlog-mirror, the client's half): the checkpoint first, then its entries, package by package.
//!
//! The log is read from wherever it is, a copy of it included. An upload that was cut off goes on where the mirror says. Refuses to
//! overwrite: a mirror that has seen another history says so, and nothing more is sent.

use super::{
    checkpoint::Checkpoint,
    note::{NoteError, VerifierKey},
    outside::{OutsideError, own_line},
    read::{CHECKPOINT_PATH, ReadError, Source, consistency_from},
    sequencer::StorageError,
    upload::{MirrorInfo, PACKAGES_MAX, Package, Upload, UploadError},
    witness::AddCheckpoint,
};

/// How often a mirror may answer with another state before it is given up.
const CONFLICTS_MAX: usize = 4;

/// How a mirror is reached.
pub trait MirrorClient {
    /// Its key.
    fn key(&self) -> &VerifierKey;
    /// Sends a checkpoint: status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<(u16, String), StorageError>;
    /// Sends an upload's bytes: status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    fn add_entries(&mut self, request: &[u8]) -> Result<(u16, String), StorageError>;
}

/// Why a log was not brought to a mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The log's files.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checkpoint or cosignature that is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A package or an answer that is none.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// No connection.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The mirror's cosignature.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// It has entries beyond these.
    #[error("the mirror has seen {0} entries, more than this copy has")]
    Ahead(u64),
    /// It has another history.
    #[error("the mirror has seen another history of this log")]
    Forked,
    /// Something else that it said.
    #[error("the mirror answered {0}: {1}")]
    Answer(u16, String),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What the mirror now has.
    pub checkpoint: Checkpoint,
    /// The mirror's cosignature of it.
    pub line: String,
    /// Entries sent.
    pub entries_count: u64,
    /// Requests that carried them.
    pub requests_count: u64,
}

/// Brings a log, as its checkpoint shows it, to a mirror. `progress` is told (entries that the mirror has, of all).
///
/// # Errors
/// Why it was not brought; what the mirror took in until then it keeps.
pub fn push(
    source: &mut dyn Source,
    log: &[VerifierKey],
    mirror: &mut dyn MirrorClient,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Pushed, PushError> {
    let bytes = source.get(CHECKPOINT_PATH)?.ok_or_else(|| ReadError::Missing(CHECKPOINT_PATH.into()))?;
    let (checkpoint, note) = Checkpoint::open(&bytes, log)?;
    let size = checkpoint.size;
    let mut request = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: note };
    announce(source, &mut request, size, mirror)?;
    let mut pushed = Pushed { checkpoint, line: String::new(), entries_count: 0, requests_count: 0 };
    // A request for nothing is answered with where the mirror stands.
    let mut at = Upload { origin: pushed.checkpoint.origin.clone(), start: 0, end: 0, ticket: Vec::new() };
    let mut conflicts = 0;
    loop {
        let mut bytes = at.to_bytes()?;
        for span in at.spans().take(PACKAGES_MAX) {
            bytes.extend(Package::of(source, span, at.end)?.to_bytes()?);
            pushed.entries_count += span.count() as u64;
        }
        pushed.requests_count += 1;
        let (status, body) = mirror.add_entries(&bytes)?;
        let info = match status {
            200 if at.end == size => {
                progress(size, size);
                pushed.line = own_line(&body, &request.checkpoint, mirror.key())?;
                return Ok(pushed);
            }
            202 | 409 => MirrorInfo::parse(&body)?,
            _ => return Err(PushError::Answer(status, body.trim().to_owned())),
        };
        if status == 409 || info.next <= at.start {
            conflicts += 1;
        }
        if conflicts > CONFLICTS_MAX {
            return Err(PushError::Answer(status, body.trim().to_owned()));
        }
        if info.size > size {
            return Err(PushError::Ahead(info.size));
        }
        progress(info.next.min(size), size);
        (at.start, at.end, at.ticket) = (info.next.min(size), size, info.ticket);
    }
}

/// Makes the checkpoint known to the mirror.
fn announce(
    source: &mut dyn Source,
    request: &mut AddCheckpoint,
    size: u64,
    mirror: &mut dyn MirrorClient,
) -> Result<(), PushError> {
    for _ in 0..CONFLICTS_MAX {
        request.proof = consistency_from(source, request.old_size, size)?;
        let (status, body) = mirror.add_checkpoint(request)?;
        match status {
            200 => return Ok(()),
            409 => {
                let seen: u64 =
                    body.trim().parse().map_err(|_| PushError::Answer(status, body.trim().to_owned()))?;
                if seen > size {
                    return Err(PushError::Ahead(seen));
                }
                if seen == request.old_size {
                    return Err(PushError::Forked);
                }
                request.old_size = seen;
            }
            422 => return Err(PushError::Forked),
            _ => return Err(PushError::Answer(status, body.trim().to_owned())),
        }
    }
    Err(PushError::Answer(409, "it keeps answering with another size".into()))
}
