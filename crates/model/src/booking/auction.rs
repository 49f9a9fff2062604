//! How places are sold in the auction tier, and how much a place is worth beside others of its page.
//!
//! Refuses money: prices are `decide`'s. The rules stand in docs/AUCTION.md.

use serde::{Deserialize, Serialize};

/// How the auction tier sells a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuctionKind {
    /// The highest value wins and pays what it needed to win, at least the floor (Vickrey 1961).
    #[default]
    SecondPrice,
    /// The highest value wins and pays its bid.
    FirstPrice,
    /// All places of this kind in one request are sold together; each winner pays what its presence costs the
    /// others (Vickrey 1961, Clarke 1971, Groves 1973), at least the floor.
    Vcg,
}
impl AuctionKind {
    /// All kinds.
    pub const ALL: [AuctionKind; 3] = [AuctionKind::SecondPrice, AuctionKind::FirstPrice, AuctionKind::Vcg];
    /// Its word in documents and forms.
    pub fn word(self) -> &'static str {
        match self {
            AuctionKind::SecondPrice => "second_price",
            AuctionKind::FirstPrice => "first_price",
            AuctionKind::Vcg => "vcg",
        }
    }
    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<AuctionKind> {
        AuctionKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
    /// Whether it is what holds when nothing is said.
    pub fn is_default(&self) -> bool {
        *self == AuctionKind::default()
    }
}

/// Weight of a place that says none: full, parts per million.
pub const FULL_WEIGHT_PPM: u32 = 1_000_000;

pub(super) fn full_weight() -> u32 {
    FULL_WEIGHT_PPM
}
pub(super) fn is_full_weight(weight_ppm: &u32) -> bool {
    *weight_ppm == FULL_WEIGHT_PPM
}
pub(super) fn is_false(flag: &bool) -> bool {
    !*flag
}
