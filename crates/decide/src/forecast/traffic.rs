//! Counts to expectations: the mean of each hour of the week, and how far from it weeks have been.
//!
//! Counts vary more than independent arrivals would, by a factor that is estimated from the residuals (quasi-Poisson:
//! McCullagh and Nelder 1989, section 6.2.3), and whole weeks vary together. An interval is the expectation plus and
//! minus 1.645 standard deviations of (noise, error of the means, hours never seen, level of the weeks).

use super::{Asked, Available, Cell, PlacementWeek, Week, matching::Hours};
use regie_model::{HourOfWeek, PlacementId, UtcHour, UtcMs, Zone};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const HOURS: usize = HourOfWeek::COUNT;
/// Standard deviations of an interval that holds nine of ten.
const NINE_OF_TEN: f64 = 1.645;
/// How much the level of a week is taken to vary until two weeks were counted: a fifth.
const LEVEL_UNKNOWN: f64 = 0.2;
/// Below so many requests a forecast is called thin.
const REQUESTS_COUNT_FEW: u64 = 1_000;

/// Counted traffic.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Requests by hour and cell; hours between `from` and `until` without a row had none.
    pub counts: Vec<(UtcHour, Cell, u64)>,
    /// The first whole hour that was counted.
    pub from: UtcHour,
    /// The hour after the last whole one.
    pub until: UtcHour,
}

/// An expectation and its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    /// With probability 5% less than this.
    pub low: f64,
    /// Expected.
    pub expected: f64,
    /// With probability 5% more than this.
    pub high: f64,
}

/// Why a forecast is thin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TooLittle {
    /// Whole hours that were counted; a week has 168.
    pub hours_count: u32,
    /// Requests in them.
    pub requests_count: u64,
}

/// Means by cell and hour of the week.
#[derive(Clone, Debug)]
pub struct Traffic {
    zone: Zone,
    /// How often each hour of the week was counted.
    seen: [u32; HOURS],
    means: BTreeMap<Cell, [f64; HOURS]>,
    /// Variance of a count over its mean, at least 1.
    dispersion: f64,
    /// Standard deviation of the hourly means over their mean, for hours that were never seen.
    hourly_spread: f64,
    /// Standard deviation of whole weeks over their mean.
    level_spread: f64,
    thin: Option<TooLittle>,
}

impl Traffic {
    /// Learns from counts; `zone` is the publisher's, in which hours of the week repeat.
    pub fn learn(observed: &Observed, zone: &Zone) -> Traffic {
        let mut seen = [0u32; HOURS];
        let hours: Vec<(UtcHour, usize)> = (observed.from.0..observed.until.0)
            .map(|hour| (UtcHour(hour), usize::from(zone.hour_of_week(UtcHour(hour).start()).0) % HOURS))
            .collect();
        hours.iter().for_each(|(_, slot)| seen[*slot] += 1);
        let within = |hour: &UtcHour| (observed.from..observed.until).contains(hour);
        let mut sums: BTreeMap<Cell, [f64; HOURS]> = BTreeMap::new();
        let mut by_hour: BTreeMap<UtcHour, f64> = BTreeMap::new();
        let mut requests_count = 0u64;
        for (hour, cell, count) in observed.counts.iter().filter(|(hour, ..)| within(hour)) {
            let slot = usize::from(zone.hour_of_week(hour.start()).0) % HOURS;
            sums.entry(*cell).or_insert([0.0; HOURS])[slot] += *count as f64;
            *by_hour.entry(*hour).or_default() += *count as f64;
            requests_count = requests_count.saturating_add(*count);
        }
        let hours_count = hours.len() as u32;
        for means in sums.values_mut() {
            let overall = means.iter().sum::<f64>() / f64::from(hours_count.max(1));
            for (mean, seen) in means.iter_mut().zip(seen) {
                *mean = if seen > 0 { *mean / f64::from(seen) } else { overall };
            }
        }
        let total = |slot: usize| sums.values().map(|means| means[slot]).sum::<f64>();
        let totals: Vec<f64> = (0..HOURS).map(total).collect();
        let thin = (hours_count < HOURS as u32 || requests_count < REQUESTS_COUNT_FEW)
            .then_some(TooLittle { hours_count, requests_count });
        let residual = |(hour, slot): &(UtcHour, usize)| {
            let (count, mean) = (by_hour.get(hour).copied().unwrap_or(0.0), totals[*slot]);
            if mean > 0.0 { (count - mean) * (count - mean) / mean } else { 0.0 }
        };
        let distinct = seen.iter().filter(|count| **count > 0).count();
        let freedom = hours.len().saturating_sub(distinct);
        let repeated: f64 = hours.iter().filter(|(_, slot)| seen[*slot] > 1).map(residual).sum();
        let dispersion = if freedom > 0 { (repeated / freedom as f64).max(1.0) } else { 1.0 };
        let known: Vec<f64> = (0..HOURS).filter(|slot| seen[*slot] > 0).map(|slot| totals[slot]).collect();
        Traffic {
            zone: zone.clone(),
            seen,
            means: sums,
            dispersion,
            hourly_spread: spread(&known).unwrap_or(1.0).max(if known.len() < 24 { 1.0 } else { 0.0 }),
            level_spread: spread(&weeks(observed, &by_hour)).unwrap_or(LEVEL_UNKNOWN),
            thin,
        }
    }
    /// Whether so little was counted that a forecast is thin.
    pub fn too_little(&self) -> Option<TooLittle> {
        self.thin
    }
    /// The publisher's zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
    /// Expected requests of cells that match, by hours that match; and what is known of them.
    pub fn forecast(&self, asked: &Asked<'_>) -> Available {
        let hours = Hours::of(asked, &self.zone);
        let mut by_placement: BTreeMap<(PlacementId, Week), f64> = BTreeMap::new();
        let mut sum = Sum::default();
        for (cell, means) in self.means.iter().filter(|(cell, _)| asked.matches_cell(cell)) {
            for (week, counts) in &hours.weeks {
                let expected: f64 = counts.iter().zip(means).map(|(count, mean)| count * mean).sum();
                if expected > 0.0 {
                    *by_placement.entry((cell.placement, *week)).or_default() += expected;
                }
            }
            sum.add(self, &hours.total, means);
        }
        let by_placement = by_placement.into_iter().map(|((placement, week), requests)| PlacementWeek {
            placement,
            week,
            requests,
        });
        let uncounted: BTreeSet<String> = asked.uncounted().collect();
        let mut requests = sum.interval(self);
        if !uncounted.is_empty() {
            requests.low = 0.0;
        }
        Available {
            requests,
            by_placement: by_placement.collect(),
            too_little: self.thin,
            uncounted: uncounted.into_iter().collect(),
        }
    }
}

/// Expectation and variance of a sum of hours.
#[derive(Default)]
struct Sum {
    expected: f64,
    means_variance: f64,
    /// Expected in hours of the week that were never seen.
    unseen: f64,
}
impl Sum {
    fn add(&mut self, traffic: &Traffic, counts: &[f64; HOURS], means: &[f64; HOURS]) {
        for ((count, mean), seen) in counts.iter().zip(means).zip(traffic.seen) {
            let expected = count * mean;
            self.expected += expected;
            if seen > 0 {
                self.means_variance += count * count * mean / f64::from(seen);
            } else {
                self.unseen += expected;
            }
        }
    }
    fn interval(&self, traffic: &Traffic) -> Interval {
        let noise = traffic.dispersion * (self.expected + self.means_variance);
        let unseen = traffic.hourly_spread * self.unseen;
        let level = traffic.level_spread * self.expected;
        let margin = NINE_OF_TEN * (noise + unseen * unseen + level * level).sqrt();
        Interval {
            low: (self.expected - margin).max(0.0),
            expected: self.expected,
            high: self.expected + margin,
        }
    }
}

/// The sums of whole weeks, counted back from the last hour; none when fewer than two.
fn weeks(observed: &Observed, by_hour: &BTreeMap<UtcHour, f64>) -> Vec<f64> {
    let whole = (observed.until.0 - observed.from.0).max(0) / HOURS as i64;
    let week = |back: i64| {
        let end = observed.until.0 - back * HOURS as i64;
        by_hour.range(UtcHour(end - HOURS as i64)..UtcHour(end)).map(|(_, count)| count).sum()
    };
    (0..whole).map(week).collect()
}
/// Standard deviation over mean of a sample, with the uncertainty of a small one; `None` for fewer than two.
fn spread(sample: &[f64]) -> Option<f64> {
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    if sample.len() < 2 || mean <= 0.0 {
        return None;
    }
    let variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
    // The mean of n weeks is itself uncertain, and so is the next week.
    Some((variance * (1.0 + 1.0 / count)).sqrt() / mean * few(sample.len()))
}

/// By how much wider Student's t is than the normal distribution at 5%, for the few weeks that are kept.
fn few(count: usize) -> f64 {
    match count {
        0..=2 => 3.84,
        3 => 1.775,
        4 => 1.43,
        _ => 1.0,
    }
}

/// The weeks of a period: Monday to Sunday in the zone, cut to it.
pub(super) fn weeks_of(zone: &Zone, from: UtcMs, until: UtcMs) -> Vec<Week> {
    let mut weeks = Vec::new();
    let mut starts_at = from;
    while starts_at < until {
        // Day 0 of 1970 was a Thursday.
        let day = zone.day(starts_at);
        let monday = day.0 + 7 - (day.0 + 3).rem_euclid(7);
        let ends_at = zone.day_start(regie_model::Day(monday)).min(until);
        if ends_at <= starts_at {
            break;
        }
        weeks.push(Week { starts_at, ends_at });
        starts_at = ends_at;
    }
    weeks
}
