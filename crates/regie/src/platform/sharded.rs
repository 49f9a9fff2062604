//! A map in many small shared pieces: a copy costs next to nothing, and a change copies one piece only.
//!
//! What readers hold never moves; whoever publishes copies, changes and swaps.

use std::sync::Arc;

/// Keys are our own numbers: a fast hash will do.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// Pieces of one map.
const PIECES: usize = 1_024;

/// A key that says in which piece it stands.
pub trait Numbered: Copy + Eq + std::hash::Hash {
    /// Any number; ids spread evenly.
    fn number(self) -> u32;
}
macro_rules! numbered {
    ($($id:ident),*) => { $(impl Numbered for regie_model::$id { fn number(self) -> u32 { self.0 } })* };
}
numbered!(AdId, AdSetId, AdvertiserId, CampaignId);

/// The map.
#[derive(Clone, Debug)]
pub struct Sharded<K, V> {
    pieces: Vec<Arc<HashMap<K, V>>>,
}
impl<K, V> Default for Sharded<K, V> {
    fn default() -> Sharded<K, V> {
        let empty = Arc::new(HashMap::default());
        Sharded { pieces: vec![empty; PIECES] }
    }
}
impl<K: Numbered, V: Clone> Sharded<K, V> {
    fn at(key: K) -> usize {
        key.number() as usize % PIECES
    }
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.pieces[Self::at(*key)].get(key)
    }
    /// Whether there is one.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }
    /// Sets it.
    pub fn insert(&mut self, key: K, value: V) {
        Arc::make_mut(&mut self.pieces[Self::at(key)]).insert(key, value);
    }
    /// Takes it out.
    pub fn remove(&mut self, key: &K) {
        if self.contains_key(key) {
            Arc::make_mut(&mut self.pieces[Self::at(*key)]).remove(key);
        }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_empty())
    }
    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_model::AdId;
    #[test]
    fn a_copy_does_not_move() {
        let mut map = Sharded::default();
        (0..5_000).for_each(|id| map.insert(AdId(id), id));
        let copy = map.clone();
        map.insert(AdId(7), 0);
        map.remove(&AdId(8));
        map.remove(&AdId(9_000));
        assert_eq!((copy.get(&AdId(7)), copy.get(&AdId(8))), (Some(&7), Some(&8)));
        assert_eq!((map.get(&AdId(7)), map.get(&AdId(8)), map.len()), (Some(&0), None, 4_999));
        assert_eq!(map.iter().count(), map.len());
        assert!(!map.is_empty());
    }
}
