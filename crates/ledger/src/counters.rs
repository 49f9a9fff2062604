//! What is counted: the same row for an ad, an ad's day and an hour of a report.
//!
//! Refuses to mix what was charged with what was free. Sums are exact.

use regie_model::{Nanos, PlacementId, UtcHour};
use serde::{Deserialize, Serialize};

use crate::outcome::Refusal;

/// Counts and money of one row. Also a difference between two states of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Ads handed out.
    pub served_count: u64,
    /// Ads shown.
    pub impressions_count: u64,
    /// Ads seen.
    pub viewable_count: u64,
    /// Ads clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
    /// Charged, before credits.
    pub gross_nanos: Nanos,
    /// Given back.
    pub credited_nanos: Nanos,
    /// Delivered without being charged, at full price.
    pub free_nanos: Nanos,
}
impl Counters {
    /// Charged and kept: gross less credits.
    pub fn net_nanos(&self) -> Nanos {
        self.gross_nanos - self.credited_nanos
    }
    /// Adds a difference.
    #[inline]
    pub fn add(&mut self, other: &Counters) {
        self.served_count += other.served_count;
        self.impressions_count += other.impressions_count;
        self.viewable_count += other.viewable_count;
        self.clicks_count += other.clicks_count;
        self.conversions_count += other.conversions_count;
        self.gross_nanos += other.gross_nanos;
        self.credited_nanos += other.credited_nanos;
        self.free_nanos += other.free_nanos;
    }
}

/// Which kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An ad was shown.
    Impression,
    /// It was seen.
    Viewable,
    /// It was clicked.
    Click,
    /// An action followed.
    Conversion,
    /// Not known: refused before the journal.
    Other,
}
impl EventKind {
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            EventKind::Impression => "impression",
            EventKind::Viewable => "viewable",
            EventKind::Click => "click",
            EventKind::Conversion => "conversion",
            EventKind::Other => "other",
        }
    }
}

/// By what refused events are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RefusalKey {
    /// The hour of the append.
    pub hour: UtcHour,
    /// Which kind of event.
    pub kind: EventKind,
    /// Where; 0 when it was refused before the journal.
    pub placement: PlacementId,
    /// Why.
    pub reason: Refusal,
}
