//! Requests by placement, hour, country and device: what forecasts are made of. No visitor's data: counts.
//!
//! Refuses to grow: four weeks of hours, each with at most [`CELLS_COUNT_MAX`] cells; what comes beyond is counted
//! under an unknown country. Holds no law; it is a fold all the same.

use crate::traffic::{TRAFFIC_HOURS_COUNT, hour_of, minute_of};
use regie_model::{UtcHour, UtcMs, event};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells of one hour.
pub const CELLS_COUNT_MAX: usize = 1_000;

/// Placement, site, country, device.
type Key = (u32, u32, [u8; 2], u8);

/// The counts of the last weeks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    hours: BTreeMap<UtcHour, BTreeMap<Key, u64>>,
    /// The first hour that was ever counted by cells: it was not whole.
    first: Option<UtcHour>,
}

impl Cells {
    pub(crate) fn apply(&mut self, at: UtcMs, traffic: &event::Traffic) {
        if traffic.asked.is_empty() {
            return;
        }
        let hour = hour_of(minute_of(traffic, at));
        self.first = Some(self.first.map_or(hour, |first| first.min(hour)));
        let cells = self.hours.entry(hour).or_default();
        for asked in &traffic.asked {
            let mut key = (asked.placement.0, asked.site.0, asked.country, asked.device);
            if cells.len() >= CELLS_COUNT_MAX && !cells.contains_key(&key) {
                key.2 = [0; 2];
            }
            let count = cells.entry(key).or_default();
            *count = count.saturating_add(asked.requests_count);
        }
        self.hours = self.hours.split_off(&UtcHour(at.hour().0 - TRAFFIC_HOURS_COUNT + 1));
    }
    /// Requests by hour and cell, oldest first.
    pub fn rows(&self) -> impl Iterator<Item = (UtcHour, event::Asked)> {
        self.hours.iter().flat_map(|(hour, cells)| {
            cells.iter().map(|((placement, site, country, device), requests_count)| {
                let asked = event::Asked {
                    placement: regie_model::PlacementId(*placement),
                    site: regie_model::SiteId(*site),
                    country: *country,
                    device: *device,
                    requests_count: *requests_count,
                };
                (*hour, asked)
            })
        })
    }
    /// The whole hours that were counted up to now: from the one, up to the other, which is not included.
    pub fn whole_hours(&self, now: UtcMs) -> (UtcHour, UtcHour) {
        let until = now.hour();
        let from = self.first.map_or(until.0, |first| first.0 + 1).max(until.0 - TRAFFIC_HOURS_COUNT + 1);
        (UtcHour(from.min(until.0)), until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_model::{PlacementId, SiteId, time::HOUR_MS};

    fn asked(placement: u32, country: &[u8; 2], requests_count: u64) -> event::Asked {
        let (placement, site) = (PlacementId(placement), SiteId(1));
        event::Asked { placement, site, country: *country, device: 1, requests_count }
    }
    fn traffic(hour: i64, asked: Vec<event::Asked>) -> (UtcMs, event::Traffic) {
        let at = UtcMs(hour * HOUR_MS + 1);
        (at, event::Traffic { minute: at.minute(), asked, ..event::Traffic::default() })
    }

    #[test]
    fn counts_add_up_and_four_weeks_are_kept() {
        let mut cells = Cells::default();
        for hour in 1_000..1_000 + 40 * 24 {
            let (at, event) = traffic(hour, vec![asked(1, b"FR", 2), asked(1, b"DE", 3)]);
            cells.apply(at, &event);
            cells.apply(at, &event);
        }
        let rows: Vec<_> = cells.rows().collect();
        assert_eq!(rows.len(), 2 * TRAFFIC_HOURS_COUNT as usize);
        assert!(rows.iter().all(|(_, a)| a.requests_count == if a.country == *b"FR" { 4 } else { 6 }));
        let (from, until) = cells.whole_hours(UtcMs((1_000 + 40 * 24) * HOUR_MS));
        assert_eq!(until.0, 1_000 + 40 * 24);
        assert_eq!(until.0 - from.0, TRAFFIC_HOURS_COUNT - 1);
    }
    #[test]
    fn an_hour_has_a_limit_that_loses_no_request() {
        let mut cells = Cells::default();
        let many =
            (0..3_000u32).map(|n| asked(n % 3, &[b'A' + (n / 26 % 26) as u8, b'A' + (n % 26) as u8], 1));
        let (at, event) = traffic(50, many.chain((0..2_000).map(|n| asked(10 + n, b"FR", 1))).collect());
        cells.apply(at, &event);
        assert_eq!(cells.rows().map(|(_, a)| a.requests_count).sum::<u64>(), 5_000);
        assert!(cells.rows().filter(|(_, a)| a.country != [0; 2]).count() <= CELLS_COUNT_MAX);
    }
    #[test]
    fn the_first_hour_is_not_whole() {
        let mut cells = Cells::default();
        assert_eq!(cells.whole_hours(UtcMs(7 * HOUR_MS)), (UtcHour(7), UtcHour(7)));
        let (at, event) = traffic(5, vec![asked(1, b"FR", 2)]);
        cells.apply(at, &event);
        assert_eq!(cells.whole_hours(UtcMs(7 * HOUR_MS)), (UtcHour(6), UtcHour(7)));
    }
}
