//! The site's week: how much traffic each of its 168 hours usually has. Flat until learned.

use regie_model::{HourOfWeek, UtcMs, Zone, time::HOUR_MS};
use serde::{Deserialize, Serialize};

/// Weight of the newest week in the average.
const NEWEST_WEIGHT: f64 = 0.3;
/// Step of integration: zones begin their hours on the half hour at the finest that matters here.
const STEP_MS: i64 = HOUR_MS / 2;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Requests in a usual hour, for each hour of the week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Option<f64>>", into = "Vec<Option<f64>>")]
pub struct TrafficShape {
    /// `None` where nothing was observed yet.
    hours: [Option<f64>; HourOfWeek::COUNT],
}
impl Default for TrafficShape {
    fn default() -> TrafficShape {
        TrafficShape { hours: [None; HourOfWeek::COUNT] }
    }
}
impl TryFrom<Vec<Option<f64>>> for TrafficShape {
    type Error = String;
    fn try_from(hours: Vec<Option<f64>>) -> Result<TrafficShape, String> {
        let sound = hours.iter().flatten().all(|weight| weight.is_finite() && *weight >= 0.0);
        let hours = hours.try_into().ok().filter(|_| sound);
        hours.map(|hours| TrafficShape { hours }).ok_or("a traffic shape has 168 weights of 0 or more".into())
    }
}
impl From<TrafficShape> for Vec<Option<f64>> {
    fn from(shape: TrafficShape) -> Vec<Option<f64>> {
        shape.hours.to_vec()
    }
}

impl TrafficShape {
    /// Nothing learned yet: every hour alike.
    pub fn flat() -> TrafficShape {
        TrafficShape::default()
    }
    /// Takes in one whole hour that has passed, by exponential average over weeks.
    pub fn observe(&mut self, hour: HourOfWeek, requests_count: u64) {
        let Some(weight) = self.hours.get_mut(usize::from(hour.0)) else { return };
        let new = requests_count as f64;
        *weight = Some(weight.map_or(new, |old| old + NEWEST_WEIGHT * (new - old)));
    }
    /// Several sites as one: budgets that run on all of them follow the sum.
    pub fn sum<'a>(shapes: impl IntoIterator<Item = &'a TrafficShape>) -> TrafficShape {
        let mut sum = TrafficShape::default();
        for shape in shapes.into_iter().filter(|shape| shape.hours.iter().any(Option::is_some)) {
            let mean = shape.mean();
            for (total, hour) in sum.hours.iter_mut().zip(shape.hours) {
                *total = Some(total.unwrap_or(0.0) + hour.unwrap_or(mean));
            }
        }
        sum
    }
    /// The mean of the observed hours, which counts for those that never were.
    fn mean(&self) -> f64 {
        let known = self.hours.iter().flatten();
        let (sum, count) = known.fold((0.0, 0u32), |(sum, count), weight| (sum + weight, count + 1));
        if count == 0 || sum <= 0.0 { 1.0 } else { sum / f64::from(count) }
    }
    /// Traffic of an hour relative to the mean hour; never zero, since a dead hour may wake up.
    pub fn weight(&self, hour: HourOfWeek) -> f64 {
        self.relative(hour, self.mean())
    }
    /// An hour that was never observed counts as the same hour of the days that were, and else as the mean hour.
    fn relative(&self, hour: HourOfWeek, mean: f64) -> f64 {
        let known = self.hours.get(usize::from(hour.0)).copied().flatten();
        let weight = known.or_else(|| {
            let same = self.hours.iter().skip(usize::from(hour.0) % 24).step_by(24).flatten();
            let (sum, count) = same.fold((0.0, 0u32), |(sum, count), weight| (sum + weight, count + 1));
            (count > 0).then(|| sum / f64::from(count))
        });
        weight.map_or(1.0, |weight| (weight / mean).max(0.001))
    }
    /// Expected traffic between two moments, in mean hours (so that what was learned on another shape, or on
    /// none, stays of use); 0 when they are backwards.
    pub fn mass(&self, zone: &Zone, from: UtcMs, to: UtcMs) -> f64 {
        let span = to.0.saturating_sub(from.0);
        if span <= 0 {
            return 0.0;
        }
        let mean = self.mean();
        let weeks = span / WEEK_MS;
        let whole: f64 = if weeks == 0 {
            0.0
        } else {
            (0..HourOfWeek::COUNT as u8).map(|h| self.relative(HourOfWeek(h), mean)).sum()
        };
        let mut at = to.0 - span % WEEK_MS;
        let mut mass = whole * weeks as f64;
        while at < to.0 {
            let next = ((at.div_euclid(STEP_MS) + 1) * STEP_MS).min(to.0);
            let weight = self.relative(zone.hour_of_week(UtcMs(at)), mean);
            mass += weight * (next - at) as f64 / HOUR_MS as f64;
            at = next;
        }
        mass
    }
    /// Part of an amount for a whole flight that belongs to one day: by the day's share of the traffic still to
    /// come, rounded up. `remaining` is what was left when the day began.
    pub fn share_of_day(
        &self,
        zone: &Zone,
        remaining: i64,
        day: (UtcMs, UtcMs),
        flight_ends_at: UtcMs,
    ) -> i64 {
        let (start, end) = day;
        let whole = self.mass(zone, start, flight_ends_at);
        if flight_ends_at <= end || whole <= 0.0 {
            return remaining;
        }
        let share = self.mass(zone, start, end) / whole;
        ((remaining as f64 * share).ceil() as i64).clamp(0, remaining.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_model::time::DAY_MS;

    #[test]
    fn is_flat_until_learned_and_then_follows() {
        let mut shape = TrafficShape::flat();
        let monday = UtcMs::parse("2026-05-04T00:00:00Z").unwrap();
        let utc = Zone::utc();
        let day = |n: i64| UtcMs(monday.0 + n * DAY_MS);
        assert_eq!(shape.mass(&utc, day(0), day(1)), 24.0);
        assert_eq!(shape.mass(&utc, day(0), day(21)), 21.0 * 24.0);
        for hour in 0..24u8 {
            shape.observe(HourOfWeek(hour), if hour < 12 { 100 } else { 300 });
        }
        let half = UtcMs(monday.0 + DAY_MS / 2);
        let share = shape.mass(&utc, day(0), half) / shape.mass(&utc, day(0), day(1));
        assert!((share - 0.25).abs() < 1e-9, "{share}");
        // Tuesday was not observed: as Monday, hour by hour.
        assert!((shape.mass(&utc, day(1), day(2)) - 24.0).abs() < 1e-9);
        assert!((shape.weight(HourOfWeek(24 + 12)) - 1.5).abs() < 1e-9);
        assert!((shape.weight(HourOfWeek(12)) - 1.5).abs() < 1e-9);
        shape.observe(HourOfWeek(0), 200);
        assert!((shape.hours[0].unwrap() - 130.0).abs() < 1e-9);
        let text = serde_json::to_string(&shape).unwrap();
        assert_eq!(serde_json::from_str::<TrafficShape>(&text).unwrap(), shape);
        assert!(serde_json::from_str::<TrafficShape>("[1.0]").is_err());
    }
    #[test]
    fn a_lifetime_budget_is_shared_by_traffic_to_come() {
        let shape = TrafficShape::flat();
        let utc = Zone::utc();
        let start = UtcMs::parse("2026-05-04T00:00:00Z").unwrap();
        let day = (start, UtcMs(start.0 + DAY_MS));
        let share = shape.share_of_day(&utc, 1_000, day, UtcMs(start.0 + 10 * DAY_MS));
        assert!((100..=101).contains(&share), "{share}");
        assert_eq!(shape.share_of_day(&utc, 1_000, day, day.1), 1_000);
    }
    #[test]
    fn sites_add_up() {
        let (mut a, mut b) = (TrafficShape::flat(), TrafficShape::flat());
        a.observe(HourOfWeek(0), 10);
        b.observe(HourOfWeek(0), 30);
        let sum = TrafficShape::sum([&a, &b, &TrafficShape::flat()]);
        assert!((sum.hours[0].unwrap() - 40.0).abs() < 1e-9);
        assert_eq!(sum.weight(HourOfWeek(0)), 1.0);
    }
}
