//! Copying a log so that it can be served without its origin (C2SP tlog-mirror, the reading half).
//!
//! What is copied is whatever the checkpoint covers: bundles, tiles, objects; the checkpoint last, so that an interrupted
//! copy never shows more than it has. An object that the origin withholds is left out, and one that was copied before is kept by
//! the caller's choice alone. Refuses to judge: [`super::verify`] does that, on the copy.

use super::{
    checkpoint::Checkpoint,
    hash::Hash,
    leaf::View,
    note::{Note, NoteError, VerifierKey},
    read::{CHECKPOINT_PATH, ReadError, Source, object_path, tile_bytes},
    tile::{Kind, TILE_WIDTH, Tile, entries_of, tiles_between},
};

/// Where a copy goes.
pub trait Sink: Source {
    /// Stores a file durably; replaces one of the same path.
    ///
    /// # Errors
    /// [`ReadError::Unreachable`].
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ReadError>;
}
impl Sink for super::read::MemoryFiles {
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ReadError> {
        self.0.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Why a copy stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// A file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint.
    #[error("the checkpoint is not to be believed: {0}")]
    Note(#[from] NoteError),
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The checkpoint, as signed by the log.
    pub note: Note,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Files fetched.
    pub files_count: u64,
    /// Objects that the origin does not have.
    pub absent_count: u64,
}

/// The folder name under which a mirror serves a log: SHA-256 of the origin, in hexadecimal.
pub fn folder_of(origin: &str) -> String {
    Hash::of(origin.as_bytes()).to_hex()
}

/// Copies what `to` does not have yet. Full tiles are never fetched twice. `progress` is told (files done, of all).
///
/// # Errors
/// The first file that cannot be read or stored; then `to` still shows its former checkpoint.
pub fn copy(
    from: &mut dyn Source,
    to: &mut dyn Sink,
    log: &[VerifierKey],
    objects: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Copied, MirrorError> {
    let bytes = from.get(CHECKPOINT_PATH)?.ok_or_else(|| ReadError::Missing(CHECKPOINT_PATH.into()))?;
    let (checkpoint, note) = Checkpoint::open(&bytes, log)?;
    let mut copied = Copied { note, checkpoint, files_count: 0, absent_count: 0 };
    let tiles = tiles_between(0, copied.checkpoint.size);
    let all = tiles.len() as u64;
    for (done, tile) in tiles.into_iter().enumerate() {
        let path = tile.path();
        let known = to.get(&path)?;
        let fresh = known.is_none();
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                copied.files_count += 1;
                tile_bytes(from, tile)?
            }
        };
        if objects && tile.kind == Kind::Entries {
            copy_objects(from, to, tile, &bytes, &mut copied)?;
        }
        if fresh {
            to.put(&path, &bytes)?;
        }
        progress(done as u64 + 1, all);
    }
    to.put(CHECKPOINT_PATH, copied.note.to_string().as_bytes())?;
    Ok(copied)
}

fn copy_objects(
    from: &mut dyn Source,
    to: &mut dyn Sink,
    tile: Tile,
    bundle: &[u8],
    copied: &mut Copied,
) -> Result<(), MirrorError> {
    for leaf in entries_of(bundle, tile.width).map_err(ReadError::from)? {
        // A leaf that cannot be read has no objects that anybody could name; the check will say so.
        let Ok(leaf) = View::read(leaf) else { continue };
        for hash in leaf.commitments.values() {
            let path = object_path(*hash);
            if to.get(&path)?.is_some() {
                continue;
            }
            match from.get(&path)? {
                Some(object) => {
                    copied.files_count += 1;
                    to.put(&path, &object)?;
                }
                None => copied.absent_count += 1,
            }
        }
    }
    Ok(())
}

/// Every leaf of a copy, in order, with its index; `each` stops it by returning false.
///
/// # Errors
/// A bundle that cannot be read.
pub fn for_each_leaf(
    source: &mut dyn Source,
    size: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<(), ReadError> {
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let Some(tile) = Tile::at(Kind::Entries, index, size) else { break };
        let bytes = tile_bytes(source, tile)?;
        for (offset, leaf) in entries_of(&bytes, tile.width)?.into_iter().enumerate() {
            if !each(index * TILE_WIDTH + offset as u64, leaf) {
                return Ok(());
            }
        }
    }
    Ok(())
}
