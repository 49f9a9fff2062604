//! Visitors by the publisher's pseudonymous id: under a keyed hash, in memory, bounded, expiring. Lost at a restart.
//!
//! Two generations a shard: when the young one is full or half the period has passed, the old one goes and the young
//! one becomes old. So nothing is kept longer than [`KEPT_MS`] after it was last used, and never more than
//! [`VISITORS_COUNT_MAX`] visitors (about 100 bytes and up each).

use super::history::History;
use regie_model::{SiteId, UtcMs, ticket::TicketKey, time::DAY_MS};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How long a visitor is kept at most after the last visit, in milliseconds (30 days).
pub const KEPT_MS: i64 = 30 * DAY_MS;
/// Visitors held at once, at most.
pub const VISITORS_COUNT_MAX: usize = 262_144;
const SHARDS: usize = 64;
const YOUNG_COUNT_MAX: usize = VISITORS_COUNT_MAX / SHARDS / 2;

#[derive(Default)]
struct Shard {
    young: HashMap<[u8; 16], History>,
    old: HashMap<[u8; 16], History>,
    /// When the young generation began; 0 before the first.
    since: i64,
}
impl Shard {
    fn turn(&mut self, at: UtcMs) {
        if self.since == 0 {
            self.since = at.0;
        }
        let halves = (at.0 - self.since) / (KEPT_MS / 2);
        if halves >= 2 {
            self.young.clear();
        }
        if halves >= 1 || self.young.len() >= YOUNG_COUNT_MAX {
            self.old = std::mem::take(&mut self.young);
            self.since = at.0;
        }
    }
}

/// The memory of visitors.
pub(super) struct Store {
    shards: [Mutex<Shard>; SHARDS],
}
impl Default for Store {
    fn default() -> Store {
        Store { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

/// Under what a visitor is kept: 16 bytes of a keyed hash, different for each site; the id itself is dropped.
pub(super) fn key(keys: &[TicketKey], site: SiteId, id: &[u8]) -> [u8; 16] {
    // The oldest key: a rotation must not forget everybody.
    let secret = keys.first().map_or([0; 32], |key| key.secret);
    let derived = blake3::derive_key("regie frequency visitor v1", &secret);
    let mut hasher = blake3::Hasher::new_keyed(&derived);
    hasher.update(&site.0.to_le_bytes()).update(id);
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

impl Store {
    fn shard(&self, key: &[u8; 16]) -> &Mutex<Shard> {
        &self.shards[usize::from(key[0]) % SHARDS]
    }
    /// Shows what is known of a visitor.
    pub(super) fn read(&self, key: &[u8; 16], at: UtcMs, work: impl FnOnce(&History)) {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        shard.turn(at);
        match shard.young.get(key).or_else(|| shard.old.get(key)) {
            Some(history) => work(history),
            None => work(&History::default()),
        }
    }
    /// Changes what is known of a visitor; nobody else does meanwhile.
    pub(super) fn change<T>(&self, key: &[u8; 16], at: UtcMs, work: impl FnOnce(&mut History) -> T) -> T {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        shard.turn(at);
        let mut history = shard.young.remove(key).or_else(|| shard.old.remove(key)).unwrap_or_default();
        let result = work(&mut history);
        if !history.is_empty() {
            shard.young.insert(*key, history);
        }
        result
    }
    pub(super) fn len(&self) -> usize {
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(held).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn visitor(number: u32) -> [u8; 16] {
        key(&[TicketKey { id: 1, secret: [7; 32] }], SiteId(1), &number.to_le_bytes())
    }
    #[test]
    fn keys_are_secret_and_differ_by_site() {
        let keys = [TicketKey { id: 1, secret: [7; 32] }];
        let others = [TicketKey { id: 1, secret: [8; 32] }];
        assert_ne!(key(&keys, SiteId(1), b"a"), key(&keys, SiteId(2), b"a"));
        assert_ne!(key(&keys, SiteId(1), b"a"), key(&others, SiteId(1), b"a"));
        assert_eq!(visitor(5), visitor(5));
    }
    #[test]
    fn a_visitor_without_history_takes_no_room() {
        let store = Store::default();
        for number in 0..1_000 {
            store.change(&visitor(number), UtcMs(1), |_| ());
        }
        assert_eq!(store.len(), 0);
    }
}
