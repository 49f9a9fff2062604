//! Rows that are counted into: ads and their days (kept), hours of reports and refusals (handed over).
//!
//! Refuses to lose a difference: what was not yet taken is part of a checkpoint.

use crate::{
    counters::{Counters, EventKind, RefusalKey},
    hash::{FastMap, sorted},
    outcome::Refusal,
};
use regie_model::{AdId, Day, PlacementId, UtcHour, event::RollupKey};
use serde::{Deserialize, Serialize};

/// One ad: in total, and by account-zone day of the append (for a credit: of the credit).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AdRow {
    pub id: AdId,
    pub total: Counters,
    /// In order of days.
    pub days: Vec<(Day, Counters)>,
}
impl AdRow {
    #[inline]
    fn add(&mut self, day: Day, delta: &Counters) {
        self.total.add(delta);
        match self.days.last_mut() {
            Some((last, row)) if *last == day => row.add(delta),
            _ => match self.days.binary_search_by_key(&day, |(d, _)| *d) {
                Ok(at) => self.days[at].1.add(delta),
                Err(at) => self.days.insert(at, (day, *delta)),
            },
        }
    }
}

/// All ads that anything happened to, in journal order. Grows by one row (about 110 bytes in memory) for each
/// ad and day on which something happened to it: the public record states them for years.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AdRows {
    rows: Vec<AdRow>,
    #[serde(skip)]
    row_of: FastMap<AdId, u32>,
}
impl AdRows {
    #[inline]
    pub(crate) fn add(&mut self, ad: AdId, day: Day, delta: &Counters) {
        let index = *self.row_of.entry(ad).or_insert_with(|| {
            self.rows.push(AdRow { id: ad, total: Counters::default(), days: Vec::new() });
            (self.rows.len() - 1) as u32
        });
        self.rows[index as usize].add(day, delta);
    }
    pub(crate) fn get(&self, ad: AdId) -> Option<&AdRow> {
        self.row_of.get(&ad).map(|index| &self.rows[*index as usize])
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AdRow> {
        self.rows.iter()
    }
    pub(crate) fn index(&mut self) {
        self.row_of = self.rows.iter().zip(0..).map(|(row, i)| (row.id, i)).collect();
    }
}

/// Differences since they were last taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Untaken {
    #[serde(with = "sorted")]
    pub rollups: FastMap<(UtcHour, RollupKey), Counters>,
    #[serde(with = "sorted")]
    pub refusals: FastMap<RefusalKey, u64>,
}
impl Untaken {
    pub(crate) fn refuse(
        &mut self,
        hour: UtcHour,
        kind: EventKind,
        placement: PlacementId,
        reason: Refusal,
        count: u64,
    ) {
        *self.refusals.entry(RefusalKey { hour, kind, placement, reason }).or_default() += count;
    }
}
