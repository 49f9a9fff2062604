//! Offline proofs (C2SP tlog-proof): a leaf's place, its path, and the checkpoint that covers it, in one text.
//!
//! Refuses any other first line, more than 64 hashes, and numbers with leading zeroes.

use super::{
    checkpoint::{Checkpoint, decimal},
    hash::{Hash, leaf_hash},
    note::{Note, NoteError},
    tree::{ProofError, verify_inclusion},
};
use base64::{Engine, engine::general_purpose::STANDARD};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const PATH_COUNT_MAX: usize = 64;

/// A proof as it is kept in a `.tlog-proof` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque, not authenticated by the proof itself.
    pub extra: Option<Vec<u8>>,
    /// Place of the leaf, from 0.
    pub index: u64,
    /// From the sibling up.
    pub path: Vec<Hash>,
    /// The checkpoint, as published.
    pub checkpoint: Note,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Not the format.
    #[error("this is no tlog-proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The path does not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// The text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&hash.to_base64());
            text.push('\n');
        }
        format!("{text}\n{}", self.checkpoint)
    }
    /// Reads the text.
    ///
    /// # Errors
    /// [`TlogProofError`]; never panics, whatever the bytes.
    pub fn parse(text: &str) -> Result<TlogProof, TlogProofError> {
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(TlogProofError::Malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Malformed("another first line"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(text) => {
                lines.next();
                Some(STANDARD.decode(text).map_err(|_| TlogProofError::Malformed("`extra` is no Base64"))?)
            }
            None => None,
        };
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(TlogProofError::Malformed("no index"))?;
        let path: Option<Vec<Hash>> = lines.map(Hash::from_base64).collect();
        let path = path.filter(|p| p.len() <= PATH_COUNT_MAX);
        let path = path.ok_or(TlogProofError::Malformed("a line of the path is no hash"))?;
        Ok(TlogProof { extra, index, path, checkpoint: Note::parse(checkpoint.as_bytes())? })
    }
    /// Whether `leaf` stands at its index under the checkpoint's root. Who signed the checkpoint is another question: ask
    /// [`super::policy::Policy::judge`].
    ///
    /// # Errors
    /// Why it does not follow.
    pub fn verify(&self, leaf: &[u8]) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::parse(&self.checkpoint.text)?;
        verify_inclusion(leaf_hash(leaf), self.index, checkpoint.size, &self.path, checkpoint.root)?;
        Ok(checkpoint)
    }
}
