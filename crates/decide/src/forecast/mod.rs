//! Forecasts from the site's own counted traffic: how many requests a targeting will meet in a period, and whether
//! what is promised of them can be kept.
//!
//! [`Traffic`] learns from counts by placement, hour, country and device, and from nothing else: no visitor's data
//! (law P1). What was not counted by (keywords, segments, ...) it says, and answers with a range down to nothing.
//! Pure; refuses to guess without traffic: an interval says how little is known.

mod booked;
mod flow;
mod matching;
mod traffic;

pub use booked::{Booked, Claim, Demand, Promise, book};
pub use matching::{Asked, PERIOD_DAYS_MAX, is_counted};
pub use traffic::{Interval, Observed, TooLittle, Traffic};

use regie_model::{PlacementId, SiteId, UtcMs};
use serde::Serialize;

/// What requests are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Asked for which placement.
    pub placement: PlacementId,
    /// On which site.
    pub site: SiteId,
    /// ISO 3166-1 code, zeros when unknown.
    pub country: [u8; 2],
    /// [`regie_model::ticket::DeviceClass`] as a number.
    pub device: u8,
}

/// A week of a forecast: Monday to Sunday in the publisher's zone, cut to the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Week {
    /// From when.
    pub starts_at: UtcMs,
    /// Until when, not included.
    pub ends_at: UtcMs,
}

/// Requests for one placement in one week.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PlacementWeek {
    /// Which placement.
    pub placement: PlacementId,
    /// Which week.
    pub week: Week,
    /// Requests expected.
    pub requests: f64,
}

/// What a targeting will meet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Available {
    /// Requests expected, with the range that holds them nine times of ten.
    pub requests: Interval,
    /// By placement and week, in order; placements without a matching request are left out.
    pub by_placement: Vec<PlacementWeek>,
    /// What the forecast rests on is thin, and why.
    pub too_little: Option<TooLittle>,
    /// Dimensions of the targeting that traffic is not counted by: the requests expected are the most there can
    /// be, and the range begins at 0.
    pub uncounted: Vec<String>,
}
