//! What a label promises: this entry, with this content, is in the log a merge delay after this time, or the log lied.
//!
//! A signed note by the log's own key under the log's name. Its first line is fixed and is no origin, so that it cannot pass
//! for a checkpoint, nor a checkpoint for it. Refuses a promise of another version.

use super::{
    checkpoint::decimal,
    hash::Hash,
    note::{Note, NoteError, Signatory, VerifierKey, is_key_name},
};

/// First line of a promise.
pub const HEADER: &str = "regie-promise/v1";
/// How long an entry may be missing, in milliseconds.
pub const MERGE_DELAY_MS: u64 = 60_000;

/// A promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Which log.
    pub origin: String,
    /// Which entry, such as `ad_12`.
    pub entry: String,
    /// Hash of what was shown; the entry's leaf commits to it in `body.content` or a commitment.
    pub content: Hash,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long after that the entry may be missing, in milliseconds.
    pub merge_delay_ms: u64,
}

impl Promise {
    /// The note's text.
    pub fn text(&self) -> String {
        let Promise { origin, entry, content, at_ms, merge_delay_ms } = self;
        format!("{HEADER}\n{origin}\n{entry}\n{}\n{at_ms}\n{merge_delay_ms}\n", content.to_base64())
    }
    /// When the entry must be there at the latest, in milliseconds since 1970.
    pub fn due_at_ms(&self) -> u64 {
        self.at_ms.saturating_add(self.merge_delay_ms)
    }
    /// Signs it.
    ///
    /// # Errors
    /// A name with white space.
    pub fn sign(&self, by: &Signatory) -> Result<Note, NoteError> {
        if !is_key_name(&self.origin) || !is_key_name(&self.entry) {
            return Err(NoteError::Malformed("an origin or entry has white space"));
        }
        Note::sign(&self.text(), &[by])
    }
    /// Reads a text.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Promise, NoteError> {
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let [HEADER, origin, entry, content, at, delay] = lines.as_slice() else {
            return Err(NoteError::Malformed("a promise has six lines, the first of which is fixed"));
        };
        let read = || {
            Some(Promise {
                origin: (*origin).to_owned(),
                entry: (*entry).to_owned(),
                content: Hash::from_base64(content)?,
                at_ms: decimal(at)?,
                merge_delay_ms: decimal(delay)?,
            })
        };
        read()
            .filter(|p| p.text() == text)
            .ok_or(NoteError::Malformed("a line of the promise cannot be read"))
    }
    /// Reads a signed promise of one of the logs that are trusted.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Note::verify`].
    pub fn open(bytes: &[u8], logs: &[VerifierKey]) -> Result<(Promise, Note), NoteError> {
        let note = Note::parse(bytes)?;
        let by = note.verify(logs)?;
        let promise = Promise::parse(&note.text)?;
        if !by.iter().any(|key| key.name() == promise.origin) {
            return Err(NoteError::Unsigned);
        }
        Ok((promise, note))
    }
}
