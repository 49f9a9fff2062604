//! One-way breakdowns of a closed day's impressions (by region, device or hour), so that no small cell can be worked out.
//!
//! Published once, at day close, never again, and never crossed with each other (law R4). A value with fewer than
//! [`CELL_MIN`] impressions is merged into "other". While fewer than two values are merged, or "other" itself is below the
//! threshold, one more value joins it; which one depends on the ad, the day and the values' names only, never on counts,
//! so that the choice says nothing about them. The rest of a day's exact total is thus always a sum of several unknowns
//! (complementary suppression; Willenborg and de Waal, Elements of Statistical Disclosure Control, ch. 2 and 6).

use regie_model::{AdId, Day};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Impressions that a published value has at least.
pub const CELL_MIN: u64 = 20;

/// By what a day's impressions are broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Country of the page view, where the publisher looks it up.
    Region,
    /// Device class.
    Device,
    /// Hour of the day in the account's zone.
    Hour,
}
impl Dimension {
    /// All.
    pub const ALL: [Dimension; 3] = [Dimension::Region, Dimension::Device, Dimension::Hour];
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Dimension::Region => "region",
            Dimension::Device => "device",
            Dimension::Hour => "hour",
        }
    }
}

/// A published value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Such as `FR`, `phone`, `07`.
    pub value: String,
    /// At least [`CELL_MIN`].
    pub impressions_count: u64,
}

/// A breakdown. Cells and `other_count` add up to the day's impressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakdown {
    /// By what.
    pub dimension: Dimension,
    /// The largest first.
    pub cells: Vec<Cell>,
    /// All other values together.
    pub other_count: u64,
}

/// The breakdown of an ad's day. Counts of 0 are no cells: nobody stands behind them.
pub fn breakdown(ad: AdId, day: Day, dimension: Dimension, counts: &BTreeMap<String, u64>) -> Breakdown {
    let (mut listed, small): (Vec<_>, Vec<_>) = counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(v, n)| (v.clone(), *n))
        .partition(|(_, n)| *n >= CELL_MIN);
    let mut merged_count = small.len();
    let mut other_count: u64 = small.iter().map(|(_, n)| n).sum();
    listed.sort_by_cached_key(|(value, _)| rank(ad, day, dimension, value));
    while merged_count > 0 && (merged_count < 2 || other_count < CELL_MIN) {
        let Some((_, count)) = listed.pop() else { break };
        merged_count += 1;
        other_count += count;
    }
    listed.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let cells = listed.into_iter().map(|(value, impressions_count)| Cell { value, impressions_count });
    Breakdown { dimension, cells: cells.collect(), other_count }
}

/// A place in an order that knows nothing of the counts.
fn rank(ad: AdId, day: Day, dimension: Dimension, value: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(format!("regie breakdown 1\n{ad}\n{day}\n{}\n{value}", dimension.word()));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(&str, u64)]) -> Breakdown {
        let counts = counts.iter().map(|(v, n)| ((*v).to_owned(), *n)).collect();
        breakdown(AdId(1), Day(20_000), Dimension::Device, &counts)
    }
    fn values(breakdown: &Breakdown) -> Vec<&str> {
        breakdown.cells.iter().map(|c| c.value.as_str()).collect()
    }

    #[test]
    fn small_cells_merge_with_a_complement() {
        assert_eq!(values(&of(&[("desktop", 100), ("phone", 50)])), ["desktop", "phone"]);
        assert_eq!(of(&[("desktop", 100), ("phone", 50)]).other_count, 0);
        let one_small = of(&[("desktop", 100), ("phone", 50), ("tablet", 3), ("tv", 0)]);
        assert_eq!(one_small.cells.len(), 1, "the small one takes another with it");
        assert_eq!(one_small.other_count + one_small.cells[0].impressions_count, 153);
        let two_small = of(&[("desktop", 100), ("phone", 12), ("tablet", 9)]);
        assert_eq!((values(&two_small), two_small.other_count), (vec!["desktop"], 21));
        let all_small = of(&[("desktop", 2), ("phone", 1)]);
        assert_eq!((values(&all_small), all_small.other_count), (vec![], 3));
        assert_eq!(of(&[("desktop", 5)]).other_count, 5);
    }
    #[test]
    fn the_complement_does_not_depend_on_counts() {
        let merged = |counts: &[(&str, u64)]| {
            let made = of(counts);
            let listed: Vec<String> = made.cells.iter().map(|c| c.value.clone()).collect();
            listed.join(" ")
        };
        let first = merged(&[("desktop", 500), ("phone", 20), ("bot", 30), ("tablet", 3)]);
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        let second = merged(&[("desktop", 20), ("phone", 900), ("bot", 77), ("tablet", 19)]);
        assert_eq!(sorted(&first), sorted(&second));
    }
}
