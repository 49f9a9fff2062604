//! The log that nobody can change unseen: a Merkle tree of entries, its checkpoints, and everything that checks them.
//!
//! Hashing follows RFC 6962; files and texts follow C2SP's tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature,
//! tlog-proof, tlog-policy, tlog-witness and tlog-mirror (docs/LOG.md names each by section). What an entry says is not
//! known here beyond its envelope ([`leaf`]): the log takes bytes. Refuses IO, a clock and randomness: files come through
//! [`read::Source`], times and salts are arguments. Holds the pure half of laws R1 and R3.

pub mod audit;
pub mod checkpoint;
pub mod cosignature;
pub mod day;
pub mod dossier;
pub mod evidence;
pub mod hash;
pub mod leaf;
pub mod mirror;
pub mod note;
pub mod outside;
pub mod policy;
pub mod promise;
pub mod proof;
pub mod push;
pub mod read;
pub mod sequencer;
pub mod subtree;
pub mod tile;
pub mod tree;
pub mod upload;
pub mod verify;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use hash::Hash;
pub use leaf::Envelope;
pub use note::{Note, Signatory, VerifierKey};
pub use policy::{Policy, Trust};

/// One entry to be appended: its leaf, and the contents that the leaf commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The leaf's bytes, canonical ([`leaf::Envelope::to_bytes`]); at most [`tile::LEAF_BYTES_MAX`].
    pub leaf: Vec<u8>,
    /// Objects by their hash: salt and content of each part that may have to be withheld ([`hash::object_of`]). They are
    /// stored outside the tiles, durably, before the leaf is.
    pub objects: Vec<(Hash, Vec<u8>)>,
}
