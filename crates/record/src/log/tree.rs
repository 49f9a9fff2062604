//! The Merkle tree of RFC 6962, section 2.1: growing it, and the proofs that it contains a leaf and that it only grew.
//!
//! Proofs are verified by the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which share no code with the
//! generators here. Refuses a proof that is longer or shorter than its place in the tree demands. Law R1 rests on this.

use super::hash::{Hash, leaf_hash, node_hash};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size, or the older size is above the newer.
    #[error("there is no such place in a tree of this size")]
    Place,
    /// It has too many or too few hashes.
    #[error("the proof has the wrong length")]
    Length,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The tree's right edge: the roots of its perfect subtrees, largest first. Enough to append and to tell the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of leaves in order.
    pub fn of<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Frontier {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf_hash(leaf));
        }
        frontier
    }
    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut merged = self.size;
        while merged & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(left, hash);
            }
            merged >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// The root of what was appended so far.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::empty_root() };
        peaks.fold(*last, |right, left| node_hash(*left, right))
    }
    /// Rebuilds the edge of a tree of `size` leaves from the roots of its perfect subtrees.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn load<E>(size: u64, read: &mut Nodes<'_, E>) -> Result<Frontier, E> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..64).rev() {
            if size >> level & 1 == 1 {
                peaks.push(read(level, start >> level)?);
                start += 1u64 << level;
            }
        }
        Ok(Frontier { size, peaks })
    }
}

/// Reads the root of the perfect subtree number `index` of 2^`level` leaves.
pub type Nodes<'a, E> = dyn FnMut(u32, u64) -> Result<Hash, E> + 'a;

/// The root of the leaves `from..to`, where `from` is a multiple of the largest power of two that is not larger than the
/// range (as every range in RFC 6962's recursion is).
///
/// # Errors
/// What `read` returns.
pub fn range_root<E>(from: u64, to: u64, read: &mut Nodes<'_, E>) -> Result<Hash, E> {
    let count = to - from;
    if count == 0 {
        return Ok(Hash::empty_root());
    }
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return read(level, from >> level);
    }
    let split = from + split_of(count);
    Ok(node_hash(range_root(from, split, read)?, range_root(split, to, read)?))
}

/// The largest power of two below `count` (RFC 6962's k); `count` is at least 2.
fn split_of(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// The audit path of a leaf, from its sibling up (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`ProofError::Place`] within, or what `read` returns.
pub fn prove_inclusion<E: From<ProofError>>(
    index: u64,
    size: u64,
    read: &mut Nodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(ProofError::Place.into());
    }
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let split = from + split_of(to - from);
        if index < split {
            path.push(range_root(split, to, read)?);
            to = split;
        } else {
            path.push(range_root(from, split, read)?);
            from = split;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is a prefix of that of `new` leaves (RFC 6962, section 2.1.2); empty when
/// `old` is 0 or equals `new`.
///
/// # Errors
/// [`ProofError::Place`] within, or what `read` returns.
pub fn prove_consistency<E: From<ProofError>>(
    old: u64,
    new: u64,
    read: &mut Nodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(ProofError::Place.into());
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut from, mut to, mut whole) = (0, new, true);
    while old != to {
        let split = from + split_of(to - from);
        if old <= split {
            path.push(range_root(split, to, read)?);
            to = split;
        } else {
            path.push(range_root(from, split, read)?);
            from = split;
            whole = false;
        }
    }
    if !whole {
        path.push(range_root(from, to, read)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `leaf` stands at `index` in the tree of `size` leaves with this root (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// Why it does not follow.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Place);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(*sibling, hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == root { Ok(()) } else { Err(ProofError::Root) }
}

/// A tree's head: how many leaves, under which root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
}

/// Whether the tree of `new` begins with all of `old` (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// Why it does not follow.
pub fn verify_consistency(old: Head, new: Head, path: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Place);
    }
    if old.size == new.size || old.size == 0 {
        let same = if old.size == 0 { old.root == Hash::empty_root() } else { old.root == new.root };
        return match (path.is_empty(), same) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // Where the older tree is perfect, its root opens the proof unwritten.
    let mut rest = path.iter();
    let first = if old.size.is_power_of_two() { old.root } else { *rest.next().ok_or(ProofError::Length)? };
    let (mut older, mut newer) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            older = node_hash(*sibling, older);
            newer = node_hash(*sibling, newer);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            newer = node_hash(newer, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if older == old.root && newer == new.root { Ok(()) } else { Err(ProofError::Root) }
}

/// A whole tree in memory, for small ones: the leaves of a day, tests.
#[derive(Clone, Debug, Default)]
pub struct SmallTree {
    /// Hashes by level, leaves first; only perfect subtrees.
    levels: Vec<Vec<Hash>>,
}

impl SmallTree {
    /// Of leaf hashes in order.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> SmallTree {
        let mut levels = vec![leaves.into_iter().collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.chunks_exact(2).map(|pair| node_hash(pair[0], pair[1])).collect();
            levels.push(above);
        }
        SmallTree { levels }
    }
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }
    fn read(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        let found = self.levels.get(level as usize).and_then(|l| l.get(usize::try_from(index).ok()?));
        found.copied().ok_or(ProofError::Place)
    }
    /// The root of the first `size` leaves; of fewer where there are not so many.
    pub fn root_at(&self, size: u64) -> Hash {
        range_root(0, size.min(self.size()), &mut |level, index| self.read(level, index))
            .unwrap_or_else(|_: ProofError| Hash::empty_root())
    }
    /// The root.
    pub fn root(&self) -> Hash {
        self.root_at(self.size())
    }
    /// The audit path of a leaf in the tree of all leaves.
    ///
    /// # Errors
    /// [`ProofError::Place`].
    pub fn prove(&self, index: u64) -> Result<Vec<Hash>, ProofError> {
        prove_inclusion(index, self.size(), &mut |level, index| self.read(level, index))
    }
    /// The consistency proof between two of its sizes.
    ///
    /// # Errors
    /// [`ProofError::Place`].
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        if new > self.size() {
            return Err(ProofError::Place);
        }
        prove_consistency(old, new, &mut |level, index| self.read(level, index))
    }
}
