//! Subtrees and their consistency with a tree (draft-ietf-plants-merkle-tree-certs, "Subtrees" and "Subtree Consistency
//! Proofs"), by which a mirror knows some entries to be a checkpoint's before it has the rest.
//!
//! A subtree is the tree over the leaves `start..end`, where `start` is a multiple of the smallest power of two that holds
//! them. Refuses ranges that are none, and proofs longer or shorter than their place demands.

use super::{
    hash::{Hash, node_hash},
    tree::{Head, Nodes, ProofError, range_root},
};

/// Leaves from `start` up to, not with, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// Of a range; `None` where it is no subtree.
    pub fn new(start: u64, end: u64) -> Option<Subtree> {
        let width = end.checked_sub(start).filter(|count| *count > 0)?.checked_next_power_of_two()?;
        start.is_multiple_of(width).then_some(Subtree { start, end })
    }
    /// The first leaf.
    pub fn start(self) -> u64 {
        self.start
    }
    /// The leaf after the last.
    pub fn end(self) -> u64 {
        self.end
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split_of(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Where a subtree stands in one node of the tree.
enum Place {
    /// It is the whole node.
    Whole,
    /// In the left child, of so many leaves.
    Left(u64),
    /// In the right child.
    Right(u64),
    /// It begins with the node and reaches into the right child.
    Across(u64),
}
fn place(start: u64, end: u64, count: u64) -> Place {
    if start == 0 && end == count {
        return Place::Whole;
    }
    let split = split_of(count);
    if end <= split {
        Place::Left(split)
    } else if start >= split {
        Place::Right(split)
    } else {
        Place::Across(split)
    }
}

/// The proof that a subtree is part of the tree of `size` leaves.
///
/// # Errors
/// [`ProofError::Place`] within, or what `read` returns.
pub fn prove_subtree<E: From<ProofError>>(
    subtree: Subtree,
    size: u64,
    read: &mut Nodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    if subtree.end > size {
        return Err(ProofError::Place.into());
    }
    let (mut from, mut count) = (0, size);
    let (mut start, mut end, mut known) = (subtree.start, subtree.end, true);
    let mut path = Vec::new();
    loop {
        match place(start, end, count) {
            Place::Whole => break,
            Place::Left(split) => {
                path.push(range_root(from + split, from + count, read)?);
                count = split;
            }
            Place::Right(split) | Place::Across(split) => {
                path.push(range_root(from, from + split, read)?);
                known &= start >= split;
                start = start.saturating_sub(split);
                (end, from, count) = (end - split, from + split, count - split);
            }
        }
    }
    if !known {
        path.push(range_root(from, from + count, read)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether the leaves of a subtree, whose root is `root`, stand in the tree of this head.
///
/// # Errors
/// Why it does not follow.
pub fn verify_subtree(subtree: Subtree, root: Hash, head: Head, path: &[Hash]) -> Result<(), ProofError> {
    if subtree.end > head.size {
        return Err(ProofError::Place);
    }
    let mut rest = path.iter().copied();
    let at = Node { start: subtree.start, end: subtree.end, count: head.size };
    let (own, whole) = climb(at, Some(root), &mut rest)?;
    if rest.next().is_some() {
        return Err(ProofError::Length);
    }
    if own == root && whole == head.root { Ok(()) } else { Err(ProofError::Root) }
}

/// A subtree within a node of `count` leaves.
#[derive(Clone, Copy)]
struct Node {
    start: u64,
    end: u64,
    count: u64,
}

/// The roots of the subtree and of the node, as the proof has them; `known` while the subtree's own root opens the proof
/// unwritten. Goes down at most 64 levels.
fn climb(
    at: Node,
    known: Option<Hash>,
    rest: &mut dyn Iterator<Item = Hash>,
) -> Result<(Hash, Hash), ProofError> {
    let next = |rest: &mut dyn Iterator<Item = Hash>| rest.next().ok_or(ProofError::Length);
    match place(at.start, at.end, at.count) {
        Place::Whole => {
            let hash = known.map_or_else(|| next(rest), Ok)?;
            Ok((hash, hash))
        }
        Place::Left(split) => {
            let (own, node) = climb(Node { count: split, ..at }, known, rest)?;
            Ok((own, node_hash(node, next(rest)?)))
        }
        Place::Right(split) => {
            let below = Node { start: at.start - split, end: at.end - split, count: at.count - split };
            let (own, node) = climb(below, known, rest)?;
            Ok((own, node_hash(next(rest)?, node)))
        }
        Place::Across(split) => {
            let below = Node { start: 0, end: at.end - split, count: at.count - split };
            let (own, node) = climb(below, None, rest)?;
            let left = next(rest)?;
            Ok((node_hash(left, own), node_hash(left, node)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        hash::leaf_hash,
        tree::{SmallTree, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion},
    };

    fn tree(count: u64) -> SmallTree {
        SmallTree::of((0..count).map(|n| leaf_hash(&n.to_be_bytes())))
    }
    fn nodes(tree: &SmallTree) -> impl FnMut(u32, u64) -> Result<Hash, ProofError> + '_ {
        |level, index| {
            let (from, to) = (index << level, (index + 1) << level);
            let part = SmallTree::of((from..to).map(|n| leaf_hash(&n.to_be_bytes())));
            (to <= tree.size()).then(|| part.root()).ok_or(ProofError::Place)
        }
    }
    fn root_of(subtree: Subtree) -> Hash {
        SmallTree::of((subtree.start..subtree.end).map(|n| leaf_hash(&n.to_be_bytes()))).root()
    }

    #[test]
    fn a_range_is_a_subtree_where_it_begins_at_a_multiple_of_its_width() {
        for (start, end, is) in [
            (0, 1, true),
            (0, 7, true),
            (4, 8, true),
            (4, 7, true),
            (4, 9, false),
            (2, 5, false),
            (6, 8, true),
            (5, 5, false),
            (5, 4, false),
            (256, 300, true),
            (256, 512, true),
            (256, 513, false),
        ] {
            assert_eq!(Subtree::new(start, end).is_some(), is, "{start}..{end}");
        }
    }
    #[test]
    fn every_subtree_is_proved_and_no_other_root_length_or_place_is() {
        for size in 1..=20u64 {
            let whole = tree(size);
            let head = Head { size, root: whole.root() };
            for start in 0..size {
                for end in start + 1..=size {
                    let Some(subtree) = Subtree::new(start, end) else { continue };
                    let root = root_of(subtree);
                    let proof = prove_subtree(subtree, size, &mut nodes(&whole)).unwrap();
                    assert_eq!(
                        verify_subtree(subtree, root, head, &proof),
                        Ok(()),
                        "{start}..{end} of {size}"
                    );
                    let other = leaf_hash(b"another");
                    assert!(verify_subtree(subtree, other, head, &proof).is_err());
                    assert!(verify_subtree(subtree, root, Head { size, root: other }, &proof).is_err());
                    let longer: Vec<Hash> = proof.iter().copied().chain([other]).collect();
                    assert_eq!(verify_subtree(subtree, root, head, &longer), Err(ProofError::Length));
                    for at in 0..proof.len() {
                        let mut changed = proof.clone();
                        changed[at] = other;
                        assert!(verify_subtree(subtree, root, head, &changed).is_err());
                    }
                    if let Some((_, shorter)) = proof.split_last() {
                        assert!(verify_subtree(subtree, root, head, shorter).is_err());
                    }
                }
            }
        }
    }
    /// The draft says that a subtree from 0 gives RFC 9162's consistency proof, and one of a single leaf its inclusion proof.
    #[test]
    fn the_ends_of_the_range_are_the_proofs_of_rfc_9162() {
        for size in 1..=40u64 {
            let whole = tree(size);
            let head = Head { size, root: whole.root() };
            for end in 1..=size {
                let subtree = Subtree::new(0, end).unwrap();
                let proof = prove_subtree(subtree, size, &mut nodes(&whole)).unwrap();
                assert_eq!(proof, prove_consistency(end, size, &mut nodes(&whole)).unwrap());
                let old = Head { size: end, root: root_of(subtree) };
                assert_eq!(verify_consistency(old, head, &proof), Ok(()));
            }
            for index in 0..size {
                let subtree = Subtree::new(index, index + 1).unwrap();
                let proof = prove_subtree(subtree, size, &mut nodes(&whole)).unwrap();
                assert_eq!(proof, prove_inclusion(index, size, &mut nodes(&whole)).unwrap());
                assert_eq!(verify_inclusion(root_of(subtree), index, size, &proof, head.root), Ok(()));
            }
        }
    }
}
