//! Requests by site and hour (the shape that even pacing follows), and why nothing was shown lately.
//!
//! Refuses to grow: four weeks of hours by site, one hour of reasons. Holds no law; it is a fold all the same.

use regie_model::{AdSetId, PlacementId, SiteId, UtcHour, UtcMs, event, time::MINUTE_MS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hours of traffic that are kept: four weeks.
pub const TRAFFIC_HOURS_COUNT: i64 = 28 * 24;
/// Minutes for which reasons are kept.
const REASON_MINUTES_COUNT: i64 = 60;

/// Requests and fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteHour {
    /// Requests for any placement of the site.
    pub requests_count: u64,
    /// Of these answered with an ad.
    pub fills_count: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reasons {
    no_fills: BTreeMap<(PlacementId, String), u64>,
    eliminated: BTreeMap<(AdSetId, String), u64>,
}

/// The traffic of the last weeks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    hours: BTreeMap<UtcHour, BTreeMap<SiteId, SiteHour>>,
    minutes: BTreeMap<i64, Reasons>,
}

/// The minute that an aggregate belongs to: its own, but not later than the present.
pub(crate) fn minute_of(traffic: &event::Traffic, at: UtcMs) -> i64 {
    traffic.minute.min(at.minute())
}
/// The hour of a minute.
pub(crate) fn hour_of(minute: i64) -> UtcHour {
    UtcMs(minute.saturating_mul(MINUTE_MS)).hour()
}

impl Traffic {
    pub(crate) fn apply(&mut self, at: UtcMs, traffic: &event::Traffic) {
        let minute = minute_of(traffic, at);
        let sites = self.hours.entry(hour_of(minute)).or_default();
        for placement in &traffic.placements {
            let site = sites.entry(placement.site).or_default();
            site.requests_count = site.requests_count.saturating_add(placement.requests_count);
            site.fills_count = site.fills_count.saturating_add(placement.fills_count);
        }
        let reasons = self.minutes.entry(minute).or_default();
        for placement in &traffic.placements {
            for (reason, count) in &placement.no_fills {
                *reasons.no_fills.entry((placement.placement, reason.clone())).or_default() += count;
            }
        }
        for (ad_set, reason, count) in &traffic.eliminated {
            *reasons.eliminated.entry((*ad_set, reason.clone())).or_default() += count;
        }
        let (hour, minute) = (UtcHour(at.hour().0 - TRAFFIC_HOURS_COUNT), at.minute() - REASON_MINUTES_COUNT);
        self.hours = self.hours.split_off(&UtcHour(hour.0 + 1));
        self.minutes = self.minutes.split_off(&(minute + 1));
    }
    /// Requests and fills of a site by hour, oldest first.
    pub fn site_hours(&self, site: SiteId) -> impl Iterator<Item = (UtcHour, SiteHour)> {
        self.hours.iter().filter_map(move |(hour, sites)| sites.get(&site).map(|counts| (*hour, *counts)))
    }
    /// Requests and fills of all sites, by hour and site.
    pub fn all_hours(&self) -> impl Iterator<Item = (UtcHour, SiteId, SiteHour)> {
        self.hours.iter().flat_map(|(hour, sites)| sites.iter().map(|(site, c)| (*hour, *site, *c)))
    }
    /// Why requests were not filled in the last hour of traffic, by placement and reason.
    pub fn no_fills(&self) -> BTreeMap<(PlacementId, &str), u64> {
        let mut sums = BTreeMap::new();
        for ((placement, reason), count) in self.minutes.values().flat_map(|m| &m.no_fills) {
            *sums.entry((*placement, reason.as_str())).or_default() += count;
        }
        sums
    }
    /// Why an ad set was not shown in the last hour of traffic, by reason.
    pub fn eliminated(&self, ad_set: AdSetId) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for ((of, reason), count) in self.minutes.values().flat_map(|m| &m.eliminated) {
            if *of == ad_set {
                *sums.entry(reason.as_str()).or_default() += count;
            }
        }
        sums
    }
}
