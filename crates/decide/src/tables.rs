//! What a decision reads besides catalogue and request: pacing and predicted rates by ad set.
//!
//! A table is kept by its hash for replay (law D1). Alignment to a snapshot is a cache: it changes how long a
//! decision takes, never what it decides.

use crate::{
    learned::{Learned, LearnedSet, LearnedTemplate, Names},
    rates::{PPB, PRIOR_CLICK_PPB, PRIOR_CONVERSION_PPB},
    snapshot::{STRATA_MAX, Snapshot, locate, locate_block},
};
use regie_model::{AdId, AdSetId, AdvertiserId, creative::ObjectHash};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// Parts per million in 1.
pub const PPM: u32 = 1_000_000;

/// Numbers of one ad set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Probability that it takes part in a decision, parts per million.
    pub pass_ppm: u32,
    /// What its bid counts for in the auction, parts per million of itself: at most 1, so that a bound of the
    /// whole bid bounds the paced one (docs/PACING.md).
    #[serde(default = "whole")]
    pub multiplier_ppm: u32,
    /// Predicted clicks an impression, parts per billion, above zero.
    pub click_ppb: u32,
    /// Predicted billable conversions an impression, parts per billion, above zero.
    pub conversion_ppb: u32,
    /// How far a guaranteed goal is behind its curve, parts per million of what is still to be delivered.
    pub need_ppm: u32,
}
fn whole() -> u32 {
    PPM
}
impl Default for Row {
    fn default() -> Row {
        Row {
            pass_ppm: PPM,
            multiplier_ppm: PPM,
            click_ppb: PRIOR_CLICK_PPB,
            conversion_ppb: PRIOR_CONVERSION_PPB,
            need_ppm: 0,
        }
    }
}
/// What the bid counts for, rounded down.
pub(crate) fn paced(nanos: i64, multiplier_ppm: u32) -> i64 {
    scaled(nanos, multiplier_ppm.min(PPM), PPM)
}
/// `nanos * of / whole` toward zero, at most `i64::MAX`. Most are the whole, or fit 64 bits: divisions of 128 bits
/// are the dearest step of a candidate's check.
pub(crate) fn scaled(nanos: i64, of: u32, whole: u32) -> i64 {
    if of == whole {
        return nanos;
    }
    match nanos.checked_mul(i64::from(of)) {
        Some(product) => product / i64::from(whole),
        None => i64::try_from(i128::from(nanos) * i128::from(of) / i128::from(whole)).unwrap_or(i64::MAX),
    }
}
/// Begins the bytes of a table of the second form.
const MAGIC: &[u8; 8] = b"RGTABLE2";
/// The same of a table that names learned ones.
const MAGIC_LEARNED: &[u8; 8] = b"RGTABLE3";
/// A row of the first form.
#[derive(Deserialize)]
struct OldRow {
    pass_ppm: u32,
    click_ppb: u32,
    conversion_ppb: u32,
    need_ppm: u32,
}
impl From<OldRow> for Row {
    fn from(old: OldRow) -> Row {
        Row {
            pass_ppm: old.pass_ppm,
            multiplier_ppm: PPM,
            click_ppb: old.click_ppb,
            conversion_ppb: old.conversion_ppb,
            need_ppm: old.need_ppm,
        }
    }
}
impl Row {
    fn within_limits(mut self) -> Row {
        self.pass_ppm = self.pass_ppm.min(PPM);
        self.multiplier_ppm = self.multiplier_ppm.min(PPM);
        self.click_ppb = self.click_ppb.clamp(1, PPB);
        self.conversion_ppb = self.conversion_ppb.clamp(1, PPB);
        self
    }
}

/// Numbers by ad set; an ad set without a row has [`Row::default`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(AdSetId, Row)>", into = "Vec<(AdSetId, Row)>")]
pub struct Tables {
    /// Ascending by ad set, none twice, none that says the default.
    rows: Arc<Vec<(AdSetId, Row)>>,
    learned: Learned,
    /// In the order of each stratum of the latest snapshot, and of the one before.
    aligned: Vec<Arc<StratumNumbers>>,
}
impl PartialEq for Tables {
    fn eq(&self, other: &Tables) -> bool {
        self.rows == other.rows && self.learned == other.learned
    }
}
impl From<Vec<(AdSetId, Row)>> for Tables {
    fn from(rows: Vec<(AdSetId, Row)>) -> Tables {
        Tables::new(rows)
    }
}
impl From<Tables> for Vec<(AdSetId, Row)> {
    fn from(tables: Tables) -> Vec<(AdSetId, Row)> {
        Arc::unwrap_or_clone(tables.rows)
    }
}

impl Tables {
    /// From rows in any order; the last of several for one ad set counts. Numbers are cut to their limits.
    pub fn new(rows: impl IntoIterator<Item = (AdSetId, Row)>) -> Tables {
        let mut rows: Vec<_> = rows.into_iter().map(|(id, row)| (id, row.within_limits())).collect();
        rows.sort_by_key(|(id, _)| *id);
        rows.reverse();
        rows.dedup_by_key(|(id, _)| *id);
        rows.reverse();
        rows.retain(|(_, row)| *row != Row::default());
        Tables { rows: Arc::new(rows), learned: Learned::default(), aligned: Vec::new() }
    }
    /// The same with what was learned of versions.
    #[must_use]
    pub fn with_learned(self, learned: Learned) -> Tables {
        Tables { learned, aligned: Vec::new(), ..self }
    }
    /// What was learned of versions.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }
    /// The numbers of an ad set.
    pub fn row(&self, ad_set: AdSetId) -> Row {
        let found = self.rows.binary_search_by_key(&ad_set, |(id, _)| *id);
        found.ok().and_then(|at| self.rows.get(at)).map_or_else(Row::default, |(_, row)| *row)
    }
    /// The canonical bytes, which [`Tables::from_bytes`] reads; what [`Tables::hash`] covers.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, hashes and sequences only: postcard cannot fail on them.
        if self.learned.is_empty() {
            return postcard::to_extend(self.rows.as_ref(), MAGIC.to_vec()).unwrap_or_default();
        }
        let both = (self.rows.as_ref(), self.learned.names());
        postcard::to_extend(&both, MAGIC_LEARNED.to_vec()).unwrap_or_default()
    }
    /// Reads [`Tables::to_bytes`] back; `None` when damaged, or when it names learned tables ([`Tables::fetch`] reads those).
    pub fn from_bytes(bytes: &[u8]) -> Option<Tables> {
        Tables::fetch(bytes, &mut |_| None)
    }
    /// Reads [`Tables::to_bytes`] back with the learned tables that it names, which `objects` gives by hash; `None` when
    /// damaged or one is missing.
    pub fn fetch(bytes: &[u8], objects: &mut dyn FnMut(&ObjectHash) -> Option<Vec<u8>>) -> Option<Tables> {
        if let Some(body) = bytes.strip_prefix(MAGIC_LEARNED) {
            let (rows, names): (Vec<(AdSetId, Row)>, Names) = postcard::from_bytes(body).ok()?;
            return Some(Tables::new(rows).with_learned(names.read(objects)?));
        }
        let Some(body) = bytes.strip_prefix(MAGIC) else {
            // Kept before there were multipliers.
            let old: Vec<(AdSetId, OldRow)> = postcard::from_bytes(bytes).ok()?;
            return Some(Tables::new(old.into_iter().map(|(id, row)| (id, row.into()))));
        };
        postcard::from_bytes::<Vec<(AdSetId, Row)>>(body).ok().map(Tables::new)
    }
    /// Names the table for replay (law D1).
    pub fn hash(&self) -> ObjectHash {
        ObjectHash::of(&self.to_bytes())
    }
    /// All rows, ascending by ad set.
    pub(crate) fn rows(&self) -> &[(AdSetId, Row)] {
        &self.rows
    }
    /// The same table with its numbers in the order of `snapshot`. Do this once after either changed, and put the
    /// table in force before the snapshot: a decision with a table that is not aligned aligns it for itself, in time
    /// proportional to the catalogue. Strata that were aligned already are not aligned again.
    #[must_use]
    pub fn align(self, snapshot: &Snapshot) -> Tables {
        let mut aligned: Vec<Arc<StratumNumbers>> = Vec::with_capacity(2 * STRATA_MAX);
        for stratum in snapshot.strata() {
            let known = self.aligned.iter().find(|numbers| numbers.key == stratum.key()).cloned();
            aligned.push(known.unwrap_or_else(|| Arc::new(stratum.align(&self))));
        }
        // Decisions that began before still read the snapshot before.
        let before = self.aligned.iter().filter(|old| !aligned.iter().any(|new| new.key == old.key));
        let before: Vec<_> = before.take(STRATA_MAX).cloned().collect();
        aligned.extend(before);
        Tables { rows: self.rows, learned: self.learned, aligned }
    }
    /// The numbers in the order of `snapshot`.
    pub(crate) fn for_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> Aligned<'a> {
        let mut strata: [Option<Cow<'a, StratumNumbers>>; STRATA_MAX] = Default::default();
        for (slot, stratum) in strata.iter_mut().zip(snapshot.strata()) {
            let known = self.aligned.iter().find(|numbers| numbers.key == stratum.key());
            *slot = Some(match known {
                Some(numbers) => Cow::Borrowed(numbers.as_ref()),
                None if self.rows.is_empty() && self.learned.is_empty() => Cow::Borrowed(stratum.plain()),
                None => Cow::Owned(stratum.align(self)),
            });
        }
        Aligned { strata, learned: &self.learned }
    }
}

/// Numbers of one ad set in a snapshot's order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) pass_ppm: u32,
    pub(crate) multiplier_ppm: u32,
    /// Predicted rate of the billed event; [`PPB`] for impressions.
    pub(crate) rate_ppb: u32,
    pub(crate) need_ppm: u32,
    /// Expected value of an impression in nanos of the auction currency, rounded down.
    pub(crate) score_nanos: i64,
    /// Who bids.
    pub(crate) advertiser: AdvertiserId,
}

/// The highest that can still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Largest score; below 0 when there is none.
    pub(crate) nanos: i64,
    /// Whose that is.
    advertiser: AdvertiserId,
    /// Largest score of all others.
    others_nanos: i64,
}
impl Bound {
    /// Nothing comes.
    pub(crate) const NONE: Bound = Bound { nanos: -1, advertiser: AdvertiserId(0), others_nanos: -1 };
    /// Takes one more in.
    pub(crate) fn take(&mut self, numbers: &Numbers) {
        let (score, advertiser) = (numbers.score_nanos, numbers.advertiser);
        if score > self.nanos {
            let others_nanos = if advertiser == self.advertiser { self.others_nanos } else { self.nanos };
            *self = Bound { nanos: score, advertiser, others_nanos };
        } else if advertiser != self.advertiser {
            self.others_nanos = self.others_nanos.max(score);
        }
    }
    /// Largest score of anybody but this advertiser.
    pub(crate) fn of_others(&self, advertiser: AdvertiserId) -> i64 {
        if advertiser == self.advertiser { self.others_nanos } else { self.nanos }
    }
}

/// A table in the order of one stratum.
#[derive(Clone, Debug, Default)]
pub(crate) struct StratumNumbers {
    pub(crate) key: u64,
    pub(crate) numbers: Vec<Numbers>,
    /// Of the auction's ad sets in this block and all later ones.
    pub(crate) bounds: Vec<Bound>,
    /// By ad set, 1 and the place of its learned table; empty where nothing was learned of any.
    pub(crate) learned: Vec<u32>,
}

/// A table in a snapshot's order.
pub(crate) struct Aligned<'a> {
    strata: [Option<Cow<'a, StratumNumbers>>; STRATA_MAX],
    learned: &'a Learned,
}
impl Aligned<'_> {
    fn stratum(&self, at: usize) -> Option<&StratumNumbers> {
        self.strata.get(at)?.as_deref()
    }
    /// The learned table of an ad set.
    pub(crate) fn learned_at(&self, index: usize) -> Option<&LearnedSet> {
        let (at, number) = locate(index);
        let place = self.stratum(at)?.learned.get(number)?.checked_sub(1)?;
        self.learned.sets().get(place as usize).map(|(_, set)| set.as_ref())
    }
    /// The learned table of an ad's template.
    pub(crate) fn template(&self, ad: AdId) -> Option<&LearnedTemplate> {
        self.learned.template(ad)
    }
    /// The numbers of an ad set.
    pub(crate) fn numbers(&self, index: usize) -> Numbers {
        let (at, number) = locate(index);
        self.stratum(at).and_then(|s| s.numbers.get(number)).copied().unwrap_or_default()
    }
    /// The auction's ad sets in a block and all later ones of its stratum.
    pub(crate) fn bound(&self, block: usize) -> Bound {
        let (at, number) = locate_block(block);
        self.stratum(at).and_then(|s| s.bounds.get(number)).copied().unwrap_or(Bound::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn is_canonical_and_reads_back() {
        let row = Row { pass_ppm: 5_000_000, click_ppb: 0, ..Row::default() };
        let half = Row { pass_ppm: 500_000, ..Row::default() };
        let a = Tables::new([(AdSetId(9), half), (AdSetId(2), row), (AdSetId(4), Row::default())]);
        let b = Tables::new([(AdSetId(2), half), (AdSetId(2), row), (AdSetId(9), half)]);
        assert_eq!(a.hash(), b.hash());
        assert_eq!(a.row(AdSetId(2)).pass_ppm, PPM);
        assert_eq!(a.row(AdSetId(2)).click_ppb, 1);
        assert_eq!(a.row(AdSetId(3)), Row::default());
        assert_eq!(Tables::from_bytes(&a.to_bytes()), Some(a.clone()));
        let text = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Tables>(&text).unwrap().hash(), a.hash());
    }
    #[test]
    fn the_first_form_is_read_as_it_was_meant() {
        // Two rows as they were written before multipliers: pass, click, conversion, need.
        let old = postcard::to_allocvec(&vec![(3u32, 7u32, 8u32, 9u32, 1u32), (5, PPM, 2, 3, 4)]).unwrap();
        let tables = Tables::from_bytes(&old).unwrap();
        let first = Row { pass_ppm: 7, multiplier_ppm: PPM, click_ppb: 8, conversion_ppb: 9, need_ppm: 1 };
        assert_eq!((tables.row(AdSetId(3)), tables.row(AdSetId(5)).need_ppm), (first, 4));
    }
    #[test]
    fn a_bound_is_the_highest_of_each_and_of_the_others() {
        for seed in 0..2_000u64 {
            let mut bound = Bound::NONE;
            let mut all: Vec<(i64, u32)> = Vec::new();
            for at in 0..6 {
                let drawn = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at * 9)) >> 13;
                let (score_nanos, advertiser) = ((drawn % 5) as i64, 1 + (drawn / 5 % 3) as u32);
                all.push((score_nanos, advertiser));
                bound.take(&Numbers {
                    score_nanos,
                    advertiser: AdvertiserId(advertiser),
                    ..Numbers::default()
                });
                assert_eq!(Some(bound.nanos), all.iter().map(|(score, _)| *score).max());
                for one in 1..5 {
                    let others = all.iter().filter(|(_, of)| *of != one).map(|(score, _)| *score).max();
                    assert_eq!(bound.of_others(AdvertiserId(one)), others.unwrap_or(-1), "{all:?} {one}");
                }
            }
        }
    }
    #[test]
    fn scaling_is_the_wide_division() {
        let edges = [0, 1, 7, 999_999, 1_000_001, 9_223_372_036, 9_223_372_037, i64::MAX - 1, i64::MAX];
        for nanos in edges {
            for (of, whole) in [(0, PPM), (1, PPM), (PPM - 1, PPM), (PPM, PPM), (1, PPB), (2 * PPB, PPB)] {
                let wide = i128::from(nanos) * i128::from(of) / i128::from(whole);
                assert_eq!(scaled(nanos, of, whole), i64::try_from(wide).unwrap_or(i64::MAX));
            }
        }
    }
    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = Tables::new([(AdSetId(1), Row { pass_ppm: 7, ..Row::default() })]).to_bytes();
        for cut in 0..bytes.len() {
            assert!(Tables::from_bytes(&bytes[..cut]).is_none());
        }
    }
}
