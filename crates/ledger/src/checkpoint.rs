//! The fold's state as bytes, and its hash.
//!
//! Format version 2: `RGLEDGER`, version (u16, little-endian), BLAKE3 of the payload (32 bytes), payload
//! (postcard). Maps are written in the order of their keys, vectors in the order of the journal, so that equal
//! states have equal bytes. What was not yet taken (rows of reports, blocks of charges) is in the bytes but not
//! in the hash, which therefore compares a rebuild with the running state. Holds law B2; refuses damaged bytes
//! with an error, never a panic.

use crate::{
    apply::{Ledger, State},
    cells::Cells,
    charges::{ChargeBlock, ChargeState, Charges},
    rows::Untaken,
    uses::Uses,
};
use regie_model::mutation::{self, Mutation};

const MAGIC: &[u8; 8] = b"RGLEDGER";
/// Version 2 added the cells of forecasts behind the rest; version 1 is read as having none.
const VERSION: u16 = 2;
const HEAD_BYTES: usize = 8 + 2 + 32;

/// Why bytes are no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not written by a ledger, or cut short.
    #[error("these bytes are no checkpoint of a ledger")]
    NotACheckpoint,
    /// Written by a later version of Regie: fold the journal anew, or upgrade.
    #[error("a checkpoint of version {0}, which this version of Regie does not know")]
    Version(u16),
    /// The hash does not fit.
    #[error("the checkpoint is damaged: its hash does not fit")]
    Damaged,
    /// Whole, yet contradictory.
    #[error("the checkpoint contradicts itself: {0}")]
    Contradiction(String),
}

impl Ledger {
    /// The whole state, with what was not yet taken.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        let parts = (&self.state, &self.charges.state, self.charges.untaken(), &self.untaken);
        // Writing our own types to memory cannot fail; bytes without a payload would not be read back.
        bytes = postcard::to_extend(&parts, bytes).unwrap_or_default();
        bytes = postcard::to_extend(&self.cells, bytes).unwrap_or_default();
        if bytes.len() <= HEAD_BYTES {
            return Vec::new();
        }
        let hash = blake3::hash(&bytes[HEAD_BYTES..]);
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..HEAD_BYTES].copy_from_slice(hash.as_bytes());
        bytes
    }
    /// Reads a state back; the fold continues at `position() + 1`.
    ///
    /// # Errors
    /// [`CheckpointError`]; never panics, whatever the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Ledger, CheckpointError> {
        let (head, payload) = bytes.split_at_checked(HEAD_BYTES).ok_or(CheckpointError::NotACheckpoint)?;
        if head[..8] != *MAGIC {
            return Err(CheckpointError::NotACheckpoint);
        }
        let version = u16::from_le_bytes([head[8], head[9]]);
        if !(1..=VERSION).contains(&version) {
            return Err(CheckpointError::Version(version));
        }
        if head[10..] != *blake3::hash(payload).as_bytes() {
            return Err(CheckpointError::Damaged);
        }
        type Parts = (State, ChargeState, Vec<ChargeBlock>, Untaken);
        let ((mut state, charges, blocks, untaken), mut rest) =
            postcard::take_from_bytes::<Parts>(payload).map_err(|_| CheckpointError::Damaged)?;
        let mut cells = Cells::default();
        if version > 1 {
            (cells, rest) = postcard::take_from_bytes(rest).map_err(|_| CheckpointError::Damaged)?;
        }
        if !rest.is_empty() {
            return Err(CheckpointError::Damaged);
        }
        state.books.index().map_err(CheckpointError::Contradiction)?;
        state.ads.index();
        if state.uses.ad_sets().any(|index| index as usize >= state.books.ad_sets.len()) {
            return Err(CheckpointError::Contradiction("a use of an ad set that is not in the books".into()));
        }
        if mutation::on(Mutation::ForgetDuplicates) {
            state.uses = Uses::default();
        }
        let charges = Charges::new(charges, blocks);
        charges.check().map_err(CheckpointError::Contradiction)?;
        let ledger = Ledger { state, charges, untaken, cells };
        ledger.verify().map_err(|e| CheckpointError::Contradiction(e.to_string()))?;
        Ok(ledger)
    }
    /// BLAKE3 of the canonical state, without what was not yet taken: equal for every fold of the same journal
    /// up to the same position.
    pub fn state_hash(&self) -> [u8; 32] {
        let bytes =
            postcard::to_allocvec(&(&self.state, &self.charges.state, &self.cells)).unwrap_or_default();
        *blake3::hash(&bytes).as_bytes()
    }
}
