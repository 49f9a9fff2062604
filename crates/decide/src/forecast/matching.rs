//! Which cells and hours a targeting meets, as far as traffic is counted by what it names.

use super::{Cell, Week, traffic::weeks_of};
use regie_model::{
    HourOfWeek, PlacementId, UtcMs, Zone,
    targeting::{Clause, Dimension, Op},
    ticket::DeviceClass,
    time::HOUR_MS,
};
use std::collections::BTreeSet;

/// Longest period of a forecast, in days.
pub const PERIOD_DAYS_MAX: i64 = 400;

/// A targeting and a period.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// All must hold.
    pub clauses: &'a [Clause],
    /// The account's zone, for hours without one.
    pub zone: &'a Zone,
    /// Where the ad may appear at all.
    pub placements: &'a BTreeSet<PlacementId>,
    /// From when.
    pub from: UtcMs,
    /// Until when, not included; at most [`PERIOD_DAYS_MAX`] days are looked at.
    pub until: UtcMs,
}

/// Whether traffic is counted by a dimension.
pub fn is_counted(dimension: &Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Country
            | Dimension::Device
            | Dimension::Site
            | Dimension::Placement
            | Dimension::HourOfWeek
    )
}

impl Asked<'_> {
    /// Whether requests of a cell match, by what is counted; hours are another matter.
    pub fn matches_cell(&self, cell: &Cell) -> bool {
        let country = (cell.country != [0; 2]).then(|| String::from_utf8_lossy(&cell.country).into_owned());
        let has = |clause: &Clause| match clause.dimension {
            Dimension::Country => {
                clause.values.iter().any(|value| Some(value.as_str()) == country.as_deref())
            }
            Dimension::Device => {
                let device = DeviceClass::from_u8(cell.device);
                clause.values.iter().any(|value| DeviceClass::from_word(value) == Some(device))
            }
            Dimension::Site => clause.values.iter().any(|value| value.parse() == Ok(cell.site)),
            Dimension::Placement => clause.values.iter().any(|value| value.parse() == Ok(cell.placement)),
            _ => clause.op == Op::In,
        };
        let holds = |clause: &Clause| has(clause) == (clause.op == Op::In);
        self.placements.contains(&cell.placement) && self.clauses.iter().all(holds)
    }
    /// Dimensions that traffic is not counted by.
    pub fn uncounted(&self) -> impl Iterator<Item = String> {
        let others = self.clauses.iter().filter(|clause| !is_counted(&clause.dimension));
        others.map(|clause| clause.dimension.to_string())
    }
    fn matches_hour(&self, at: UtcMs, hours: &[(&Zone, [bool; 168], bool)]) -> bool {
        hours.iter().all(|(zone, listed, within)| {
            listed[usize::from(zone.hour_of_week(at).0) % HourOfWeek::COUNT] == *within
        })
    }
}

/// How often each hour of the week comes in a period, where the targeting's hours match.
pub(super) struct Hours {
    pub(super) total: [f64; HourOfWeek::COUNT],
    pub(super) weeks: Vec<(Week, [f64; HourOfWeek::COUNT])>,
}
impl Hours {
    /// `zone` is the one in which traffic repeats.
    pub(super) fn of(asked: &Asked<'_>, zone: &Zone) -> Hours {
        let last = asked.from.0.saturating_add(PERIOD_DAYS_MAX * 24 * HOUR_MS);
        let until = UtcMs(asked.until.0.min(last));
        let clauses = asked.clauses.iter().filter(|clause| clause.dimension == Dimension::HourOfWeek);
        let listed: Vec<(&Zone, [bool; 168], bool)> = clauses
            .map(|clause| (clause.zone.as_ref().unwrap_or(asked.zone), clause.hours(), clause.op == Op::In))
            .collect();
        let mut total = [0.0; HourOfWeek::COUNT];
        let mut weeks = Vec::new();
        for week in weeks_of(zone, asked.from, until) {
            let mut counts = [0.0; HourOfWeek::COUNT];
            let mut at = week.starts_at.0;
            while at < week.ends_at.0 {
                let next = ((at.div_euclid(HOUR_MS) + 1) * HOUR_MS).min(week.ends_at.0);
                if asked.matches_hour(UtcMs(at), &listed) {
                    let slot = usize::from(zone.hour_of_week(UtcMs(at)).0) % HourOfWeek::COUNT;
                    counts[slot] += (next - at) as f64 / HOUR_MS as f64;
                }
                at = next;
            }
            total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            weeks.push((week, counts));
        }
        Hours { total, weeks }
    }
}
