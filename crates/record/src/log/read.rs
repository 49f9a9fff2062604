//! How a verifier reads a log: as static files, from wherever the caller finds them.
//!
//! Refuses to know what is at the other end. A file that is not there is `None`; a [`ReadError`] says that the caller could
//! not find out, which is never taken for either.

use super::{
    hash::Hash,
    tile::{Tile, TileError, hashes_of, nodes_over},
    tree::{ProofError, prove_consistency, prove_inclusion},
};

/// Path of the checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// A file could not be read, or is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody knows whether it is there.
    #[error("{path} cannot be read: {why}")]
    Unreachable {
        /// Which file.
        path: String,
        /// What the system or the other end said.
        why: String,
    },
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// It is damaged.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// There is no such place in the tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// Where the files of a log are.
pub trait Source {
    /// A file by its path below the log's prefix; `None` where it is not there.
    ///
    /// # Errors
    /// [`ReadError::Unreachable`].
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError>;
}
impl<S: Source + ?Sized> Source for &mut S {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        (**self).get(path)
    }
}

/// Path of an object.
pub fn object_path(hash: Hash) -> String {
    let hex = hash.to_hex();
    format!("object/{}/{hex}", &hex[..2])
}
/// The object that a path names.
pub fn object_of_path(path: &str) -> Option<Hash> {
    let hash = Hash::from_hex(path.rsplit('/').next()?)?;
    (object_path(hash) == path).then_some(hash)
}

/// A tile's bytes, or those of the full one where a partial one is gone (tlog-tiles, "Partial Tiles").
///
/// # Errors
/// [`ReadError`].
pub fn tile_bytes(source: &mut (impl Source + ?Sized), tile: Tile) -> Result<Vec<u8>, ReadError> {
    source.get(&tile.path())?.ok_or_else(|| ReadError::Missing(tile.path()))
}
/// A tile's hashes.
///
/// # Errors
/// [`ReadError`].
pub fn tile_hashes(source: &mut (impl Source + ?Sized), tile: Tile) -> Result<Vec<Hash>, ReadError> {
    Ok(hashes_of(&tile_bytes(source, tile)?, tile.width)?)
}
/// The audit path of a leaf in the tree of `size` leaves, from its tiles.
///
/// # Errors
/// [`ReadError`].
pub fn inclusion_from(
    source: &mut (impl Source + ?Sized),
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ReadError> {
    prove_inclusion(index, size, &mut *nodes_over(size, |tile| tile_hashes(source, tile)))
}
/// The consistency proof between two sizes, from the tiles of the larger.
///
/// # Errors
/// [`ReadError`].
pub fn consistency_from(
    source: &mut (impl Source + ?Sized),
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ReadError> {
    prove_consistency(old, new, &mut *nodes_over(new, |tile| tile_hashes(source, tile)))
}

/// Files in memory: for tests, simulation and small mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFiles(pub std::collections::BTreeMap<String, Vec<u8>>);
impl Source for MemoryFiles {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.get(path).cloned())
    }
}
