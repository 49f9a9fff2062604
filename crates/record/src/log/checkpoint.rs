//! Checkpoints (C2SP tlog-checkpoint): a signed note that says how large a log is, and under which root.
//!
//! Law R1 is about these: each is consistent with every earlier one of its origin. Refuses sizes with leading zeroes and
//! empty extension lines; Regie itself writes no extension lines.

use super::{
    hash::Hash,
    note::{Note, NoteError, Signatory, VerifierKey, is_key_name},
    tree::Head,
};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root of the tree of so many leaves.
    pub root: Hash,
    /// Further lines: opaque, part of what is signed, and not written by Regie.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A head of a log.
    pub fn new(origin: &str, head: Head) -> Checkpoint {
        Checkpoint { origin: origin.to_owned(), size: head.size, root: head.root, extensions: Vec::new() }
    }
    /// The head alone.
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root }
    }
    /// The note's text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64());
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
    /// Reads a note's text.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Checkpoint, NoteError> {
        let mut lines = text.strip_suffix('\n').ok_or(NoteError::Malformed("no final newline"))?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed("no origin"))?;
        let size =
            lines.next().and_then(decimal).ok_or(NoteError::Malformed("the tree size is no number"))?;
        let root =
            lines.next().and_then(Hash::from_base64).ok_or(NoteError::Malformed("the root is no hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(NoteError::Malformed("an extension line is empty"));
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root, extensions })
    }
    /// Signs it.
    ///
    /// # Errors
    /// An origin that cannot stand in a note.
    pub fn sign(&self, by: &[&Signatory]) -> Result<Note, NoteError> {
        if self.origin.contains('\n') || !is_key_name(&self.origin) {
            return Err(NoteError::Malformed("an origin has no white space and no plus sign"));
        }
        Note::sign(&self.text(), by)
    }
    /// Reads a signed checkpoint of one of the logs that are trusted: the name of the key that signed is its origin.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Note::verify`]; [`NoteError::Unsigned`] when a trusted key of another origin signed.
    pub fn open(bytes: &[u8], logs: &[VerifierKey]) -> Result<(Checkpoint, Note), NoteError> {
        let note = Note::parse(bytes)?;
        let by = note.verify(logs)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if !by.iter().any(|key| key.name() == checkpoint.origin) {
            return Err(NoteError::Unsigned);
        }
        Ok((checkpoint, note))
    }
}

/// A decimal number with one spelling.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}
