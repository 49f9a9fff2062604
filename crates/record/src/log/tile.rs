//! Tiles and entry bundles (C2SP tlog-tiles, sections "Merkle Tree" and "Log entries"): the tree as static files.
//!
//! A tile has 256 hashes of a level that is a multiple of eight; the rightmost ones are partial and have their width in
//! their name. Once a full tile or a width is published, its bytes never change. Refuses names with more than one spelling.

use super::{
    hash::{Hash, leaf_hash, node_hash},
    tree::Nodes,
};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Bytes of a leaf at most: its length is a big-endian u16.
pub const LEAF_BYTES_MAX: usize = 65_535;

/// What a static file of the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of a tile level.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// One file: which kind, number, and width (256 when full).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Hashes or entries.
    pub kind: Kind,
    /// Number within its level.
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

impl Tile {
    /// The tile of level `level` with number `index` in a tree of `size` leaves; `None` where it would be empty.
    pub fn at(kind: Kind, index: u64, size: u64) -> Option<Tile> {
        let level = if let Kind::Hashes(level) = kind { u32::from(level) } else { 0 };
        let hashes = size.checked_shr(TILE_HEIGHT * level).unwrap_or(0);
        let width = hashes.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        (width > 0).then_some(Tile { kind, index, width: width as u16 })
    }
    /// Path below the log's prefix, such as `tile/0/x001/x234/067.p/8`.
    pub fn path(&self) -> String {
        let mut groups = vec![format!("{:03}", self.index % 1_000)];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1_000));
            rest /= 1_000;
        }
        groups.reverse();
        let level = match self.kind {
            Kind::Hashes(level) => level.to_string(),
            Kind::Entries => "entries".to_owned(),
        };
        let partial =
            if u64::from(self.width) < TILE_WIDTH { format!(".p/{}", self.width) } else { "".into() };
        format!("tile/{level}/{}{partial}", groups.join("/"))
    }
    /// Reads [`Tile::path`]; `None` for any other spelling.
    pub fn parse(path: &str) -> Option<Tile> {
        let rest = path.strip_prefix("tile/")?;
        let (level, rest) = rest.split_once('/')?;
        let kind = match level {
            "entries" => Kind::Entries,
            text => Kind::Hashes(text.parse().ok().filter(|level| *level < 64)?),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().ok()?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index = 0u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Tile { kind, index, width };
        ((1..=TILE_WIDTH as u16).contains(&width) && tile.path() == path).then_some(tile)
    }
}

/// Every file that a reader of a tree of `size` leaves may ask for, that a tree of `old` leaves did not have.
pub fn tiles_between(old: u64, size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut kinds = vec![Kind::Entries];
    kinds.extend((0..TILE_HEIGHT as u8).map(Kind::Hashes));
    for kind in kinds {
        let level = if let Kind::Hashes(level) = kind { u32::from(level) } else { 0 };
        let (before, now) = (old >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level));
        if now == before {
            continue;
        }
        let first = before / TILE_WIDTH;
        tiles.extend((first..now.div_ceil(TILE_WIDTH)).filter_map(|index| Tile::at(kind, index, size)));
    }
    tiles
}

/// Why bytes are no tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not as many hashes as its width.
    #[error("a tile does not have as many hashes as its width says")]
    Width,
    /// An entry is cut off, or there are more or fewer entries than the width.
    #[error("an entry bundle is cut off, or has more or fewer entries than its width says")]
    Bundle,
    /// A leaf that does not fit its length.
    #[error("a leaf has at most {LEAF_BYTES_MAX} bytes")]
    Leaf,
}

/// The hashes of a tile's bytes.
///
/// # Errors
/// [`TileError::Width`].
pub fn hashes_of(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::Width);
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}
/// A tile's bytes.
pub fn hashes_to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
/// The entries of a bundle.
///
/// # Errors
/// [`TileError::Bundle`].
pub fn entries_of(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(2).ok_or(TileError::Bundle)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (entry, after) = after.split_at_checked(length).ok_or(TileError::Bundle)?;
        entries.push(entry);
        rest = after;
    }
    if entries.len() == usize::from(width) { Ok(entries) } else { Err(TileError::Bundle) }
}
/// Appends an entry to a bundle's bytes.
///
/// # Errors
/// [`TileError::Leaf`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::Leaf)?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The root of the perfect subtree of 2^`level` leaves, number `index`, from the tiles of a tree of `size` leaves.
///
/// # Errors
/// What `tile` returns.
pub fn node_from_tiles<E: From<TileError>>(
    level: u32,
    index: u64,
    size: u64,
    tile: &mut dyn FnMut(Tile) -> Result<Vec<Hash>, E>,
) -> Result<Hash, E> {
    // Upwards to a tile that has the subtree's hashes, downwards within it.
    let tile_level = level / TILE_HEIGHT;
    let inner = level % TILE_HEIGHT;
    let first = index << inner;
    let count = 1u64 << inner;
    let at = Tile::at(Kind::Hashes(tile_level as u8), first / TILE_WIDTH, size).ok_or(TileError::Width)?;
    let hashes = tile(at)?;
    let from = (first % TILE_WIDTH) as usize;
    let mut row = hashes.get(from..from + count as usize).ok_or(TileError::Width)?.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(pair[0], pair[1])).collect();
    }
    Ok(row[0])
}

/// The tiles on a growing tree's right edge, and what must be written when it grows.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    size: u64,
    /// Hashes of the rightmost, not full tile by tile level.
    hashes: Vec<Vec<Hash>>,
    /// Bytes of the rightmost, not full bundle.
    bundle: Vec<u8>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, from its files.
    ///
    /// # Errors
    /// What `read` returns, or a damaged tile.
    pub fn load<E: From<TileError>>(
        size: u64,
        read: &mut dyn FnMut(Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Edge, E> {
        let mut edge = Edge { size, ..Edge::default() };
        for level in 0..TILE_HEIGHT as u8 {
            let hashes = size >> (TILE_HEIGHT * u32::from(level));
            let kind = Kind::Hashes(level);
            let mut row = Vec::new();
            if let Some(tile) = Tile::at(kind, hashes / TILE_WIDTH, size) {
                row = hashes_of(&read(tile)?, tile.width)?;
            }
            edge.hashes.push(row);
        }
        if let Some(tile) = Tile::at(Kind::Entries, size / TILE_WIDTH, size) {
            edge.bundle = read(tile)?;
            entries_of(&edge.bundle, tile.width)?;
        }
        Ok(edge)
    }
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Appends leaves and returns every file that a reader of the new size needs and one of the old size did not.
    ///
    /// # Errors
    /// [`TileError::Leaf`]; then nothing was appended.
    pub fn append(&mut self, leaves: &[Vec<u8>]) -> Result<Vec<(Tile, Vec<u8>)>, TileError> {
        if leaves.iter().any(|leaf| leaf.len() > LEAF_BYTES_MAX) {
            return Err(TileError::Leaf);
        }
        self.hashes.resize(TILE_HEIGHT as usize, Vec::new());
        let old = self.size;
        let mut files = Vec::new();
        for leaf in leaves {
            push_entry(&mut self.bundle, leaf)?;
            self.size += 1;
            if self.size.is_multiple_of(TILE_WIDTH) {
                let index = self.size / TILE_WIDTH - 1;
                let tile = Tile { kind: Kind::Entries, index, width: TILE_WIDTH as u16 };
                files.push((tile, std::mem::take(&mut self.bundle)));
            }
            self.push_hash(leaf_hash(leaf), &mut files);
        }
        self.partials(old, &mut files);
        Ok(files)
    }
    fn push_hash(&mut self, leaf: Hash, files: &mut Vec<(Tile, Vec<u8>)>) {
        let mut hash = leaf;
        for level in 0..TILE_HEIGHT as u8 {
            let row = &mut self.hashes[usize::from(level)];
            row.push(hash);
            if row.len() < TILE_WIDTH as usize {
                return;
            }
            let full = std::mem::take(row);
            let index = (self.size >> (TILE_HEIGHT * (u32::from(level) + 1))) - 1;
            let tile = Tile { kind: Kind::Hashes(level), index, width: TILE_WIDTH as u16 };
            files.push((tile, hashes_to_bytes(&full)));
            hash = full_root(full);
        }
    }
    fn partials(&self, old: u64, files: &mut Vec<(Tile, Vec<u8>)>) {
        for tile in tiles_between(old, self.size).into_iter().filter(|t| u64::from(t.width) < TILE_WIDTH) {
            let bytes = match tile.kind {
                Kind::Entries => self.bundle.clone(),
                Kind::Hashes(level) => hashes_to_bytes(&self.hashes[usize::from(level)]),
            };
            files.push((tile, bytes));
        }
    }
}

fn full_root(mut row: Vec<Hash>) -> Hash {
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(pair[0], pair[1])).collect();
    }
    row[0]
}

/// A reader of nodes over tiles, for [`super::tree`]'s proofs.
pub fn nodes_over<'a, E: From<TileError> + 'a>(
    size: u64,
    mut tile: impl FnMut(Tile) -> Result<Vec<Hash>, E> + 'a,
) -> Box<Nodes<'a, E>> {
    Box::new(move |level, index| node_from_tiles(level, index, size, &mut tile))
}
