//! The uses of tickets: which impression, viewable impression, click and conversion came already.
//!
//! Holds law B3. A ticket's uses are one bit per kind, in chunks of 512 sequences by (issue minute, epoch).
//! A minute is dropped exactly when each of its tickets has expired for that kind, and from then on the same
//! event is late; so nothing is ever forgotten that could still be billed.
//!
//! Bound, with `r` tickets issued a second: impressions and viewable impressions `r` x 3,600 x 2 bits, clicks
//! `r` x 86,400 x 1 bit (plus about 32 bytes for each 512 tickets, and at most one chunk more a minute and
//! epoch); conversions 16 bytes each (at most 16 a ticket) for 8 days. 1,000 tickets a second: about 1 MB for
//! the hour, 16 MB for the clicks of a day.

use crate::hash::{FastMap, sorted};
use regie_model::{
    UtcMs,
    limits::{CLICK_EXPIRY_MS, CONVERSION_WINDOW_MS, CONVERSIONS_PER_CLICK_COUNT_MAX, IMPRESSION_EXPIRY_MS},
    mutation::{self, Mutation},
    ticket::TicketId,
    time::MINUTE_MS,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Epoch, and sequence / 512.
type ChunkKey = (u32, u64);
type Chunks<const WORDS: usize> = FastMap<ChunkKey, [u64; WORDS]>;

/// Tickets of one issue minute, while their impressions may come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ShownMinute {
    /// Words 0 to 7: impressions. Words 8 to 15: viewable impressions.
    #[serde(with = "sorted")]
    chunks: Chunks<16>,
    /// Served and shown by index of ad set, for the estimate of loss.
    #[serde(with = "sorted")]
    pub by_ad_set: FastMap<u32, (u64, u64)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ClickedMinute {
    #[serde(with = "sorted")]
    chunks: Chunks<8>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ConvertedMinute {
    /// Hashes of (action, order) by ticket.
    #[serde(with = "sorted")]
    tickets: FastMap<(u32, u64), Vec<[u8; 16]>>,
}

/// Which bit of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Impression,
    Viewable,
    Click,
}

/// What marking a conversion found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    First,
    Again,
    TooMany,
}

/// Uses by issue minute.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Uses {
    shown: BTreeMap<i64, ShownMinute>,
    clicked: BTreeMap<i64, ClickedMinute>,
    converted: BTreeMap<i64, ConvertedMinute>,
}

/// The last moment at which some ticket of a minute may still be used.
fn last_use(minute: i64, expiry_ms: i64) -> UtcMs {
    UtcMs(minute.saturating_mul(MINUTE_MS).saturating_add(MINUTE_MS - 1 + expiry_ms))
}

impl Uses {
    /// Marks a use. Returns whether it is the first.
    #[inline]
    pub(crate) fn mark(&mut self, what: Use, id: TicketId, issued_at: UtcMs) -> bool {
        let key = (id.epoch, id.sequence / 512);
        let bit = (id.sequence % 512) as usize;
        let minute = issued_at.minute();
        let word = match what {
            Use::Impression => {
                &mut self.shown.entry(minute).or_default().chunks.entry(key).or_default()[bit / 64]
            }
            Use::Viewable => {
                &mut self.shown.entry(minute).or_default().chunks.entry(key).or_default()[8 + bit / 64]
            }
            Use::Click => {
                &mut self.clicked.entry(minute).or_default().chunks.entry(key).or_default()[bit / 64]
            }
        };
        let mask = 1 << (bit % 64);
        let first = *word & mask == 0;
        *word |= mask;
        first || mutation::on(Mutation::DoubleCharge)
    }
    /// Marks a conversion by its action and order.
    pub(crate) fn mark_conversion(
        &mut self,
        id: TicketId,
        issued_at: UtcMs,
        action: &str,
        order: &[u8; 16],
    ) -> Marked {
        let minute = self.converted.entry(issued_at.minute()).or_default();
        let of_ticket = minute.tickets.entry((id.epoch, id.sequence)).or_default();
        let hash = conversion_hash(action, order);
        if of_ticket.contains(&hash) {
            return if mutation::on(Mutation::DoubleCharge) { Marked::First } else { Marked::Again };
        }
        if of_ticket.len() >= CONVERSIONS_PER_CLICK_COUNT_MAX {
            return Marked::TooMany;
        }
        of_ticket.push(hash);
        Marked::First
    }
    /// The served and shown counts of an ad set for tickets of `minute`; `None` when that minute has expired.
    #[inline]
    pub(crate) fn shown_of(&mut self, minute: i64, ad_set: u32, at: UtcMs) -> Option<&mut (u64, u64)> {
        if at > last_use(minute, IMPRESSION_EXPIRY_MS) {
            return None;
        }
        Some(self.shown.entry(minute).or_default().by_ad_set.entry(ad_set).or_default())
    }
    /// Drops what can no longer be used at `at`; gives `settle` the served and shown counts of each ad set.
    #[inline]
    pub(crate) fn expire(&mut self, at: UtcMs, mut settle: impl FnMut(u32, (u64, u64))) {
        while let Some(entry) = self.shown.first_entry()
            && at > last_use(*entry.key(), IMPRESSION_EXPIRY_MS)
        {
            for (ad_set, counts) in entry.remove().by_ad_set {
                settle(ad_set, counts);
            }
        }
        while let Some(entry) = self.clicked.first_entry()
            && at > last_use(*entry.key(), CLICK_EXPIRY_MS)
        {
            entry.remove();
        }
        while let Some(entry) = self.converted.first_entry()
            && at > last_use(*entry.key(), CLICK_EXPIRY_MS + CONVERSION_WINDOW_MS)
        {
            entry.remove();
        }
    }
    /// Chunks and conversions held, for metrics and for tests of the bound.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (
            self.shown.values().map(|m| m.chunks.len()).sum(),
            self.clicked.values().map(|m| m.chunks.len()).sum(),
            self.converted.values().flat_map(|m| m.tickets.values()).map(Vec::len).sum(),
        )
    }
    /// Indices of ad sets that are named, to be checked after reading a checkpoint.
    pub(crate) fn ad_sets(&self) -> impl Iterator<Item = u32> {
        self.shown.values().flat_map(|m| m.by_ad_set.keys().copied())
    }
}

/// 16 bytes of BLAKE3 over the length of the action, the action and the order.
fn conversion_hash(action: &str, order: &[u8; 16]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(action.len() as u64).to_le_bytes()).update(action.as_bytes()).update(order);
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_dropped_exactly_when_its_last_ticket_expires() {
        let mut uses = Uses::default();
        let issued_at = UtcMs(59_999);
        let id = TicketId { epoch: 1, sequence: 513 };
        assert!(uses.mark(Use::Impression, id, issued_at));
        assert!(uses.mark(Use::Click, id, issued_at));
        assert!(!uses.mark(Use::Impression, id, issued_at));
        uses.expire(UtcMs(issued_at.0 + IMPRESSION_EXPIRY_MS), |_, _| {});
        assert!(!uses.mark(Use::Impression, id, issued_at));
        uses.expire(UtcMs(issued_at.0 + IMPRESSION_EXPIRY_MS + 1), |_, _| {});
        assert_eq!(uses.sizes(), (0, 1, 0));
        uses.expire(UtcMs(issued_at.0 + CLICK_EXPIRY_MS + 1), |_, _| {});
        assert_eq!(uses.sizes(), (0, 0, 0));
    }
    #[test]
    fn sequences_and_kinds_do_not_share_bits() {
        let mut uses = Uses::default();
        for sequence in 0..2_000 {
            for what in [Use::Impression, Use::Viewable, Use::Click] {
                let id = TicketId { epoch: 1, sequence };
                assert!(uses.mark(what, id, UtcMs(0)), "{sequence} {what:?}");
                assert!(!uses.mark(what, id, UtcMs(0)), "{sequence} {what:?}");
            }
        }
        assert_eq!(uses.sizes(), (4, 4, 0));
    }
}
