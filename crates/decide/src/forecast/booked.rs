//! What is promised against what will come: sponsorship shares and guaranteed goals, by placement and week.

use super::{Asked, Traffic, Week, flow::Transport};
use regie_model::{AdSetId, PlacementId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is promised to an ad set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// A share of the matching requests, parts per million.
    Share {
        /// Parts per million.
        ppm: u32,
    },
    /// So many impressions still to be delivered.
    Goal {
        /// Impressions.
        left_count: u64,
    },
}

/// An ad set with a promise.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// Which; `None` for one that is only being considered.
    pub ad_set: Option<AdSetId>,
    /// Which requests it may serve, and when.
    pub asked: Asked<'a>,
    /// What is promised.
    pub claim: Claim,
}

/// One promise and whether it can be kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Promise {
    /// Which ad set; `None` for the one that is being considered.
    pub ad_set: Option<AdSetId>,
    /// What is promised.
    pub claim: Claim,
    /// Requests that it can serve.
    pub available: f64,
    /// Impressions of a goal that will be missing at the traffic expected, however the others are served.
    pub missing_count: u64,
    /// The same at the traffic that is exceeded once in twenty times.
    pub missing_at_most_traffic_count: u64,
}

/// A placement's week with what is promised of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Booked {
    /// Which placement.
    pub placement: PlacementId,
    /// Which week.
    pub week: Week,
    /// Requests expected.
    pub available: f64,
    /// Of these promised to sponsors.
    pub sponsored: f64,
    /// Of these promised to goals: as they can best be met, with what they will miss spread over where they run.
    pub guaranteed: f64,
}
impl Booked {
    /// More is promised than will come.
    pub fn is_oversold(&self) -> bool {
        self.sponsored + self.guaranteed > self.available + 0.5
    }
}

/// Weighs promises against traffic: sponsors first, then goals in the way that meets most of them.
///
/// `everything` is all requests of the period; what it leaves out is not counted as available.
pub fn book(
    traffic: &Traffic,
    everything: &Asked<'_>,
    demands: &[Demand<'_>],
) -> (Vec<Promise>, Vec<Booked>) {
    let whole = traffic.forecast(everything);
    let more =
        if whole.requests.expected > 0.0 { whole.requests.high / whole.requests.expected } else { 1.0 };
    let mut rows: BTreeMap<(PlacementId, Week), Booked> = whole
        .by_placement
        .iter()
        .map(|at| {
            let row = Booked {
                placement: at.placement,
                week: at.week,
                available: at.requests,
                sponsored: 0.0,
                guaranteed: 0.0,
            };
            ((at.placement, at.week), row)
        })
        .collect();
    let reach: Vec<BTreeMap<(PlacementId, Week), f64>> =
        demands.iter().map(|demand| reach(traffic, demand, everything)).collect();
    for (demand, reach) in demands.iter().zip(&reach) {
        let Claim::Share { ppm } = demand.claim else { continue };
        for (key, requests) in reach {
            if let Some(row) = rows.get_mut(key) {
                row.sponsored += requests * f64::from(ppm) / 1e6;
            }
        }
    }
    let expected = served(demands, &reach, &rows, 1.0);
    let most = served(demands, &reach, &rows, more);
    let mut promises = Vec::with_capacity(demands.len());
    for (number, demand) in demands.iter().enumerate() {
        let available: f64 = reach[number].values().sum();
        let mut promise = Promise {
            ad_set: demand.ad_set,
            claim: demand.claim,
            available,
            missing_count: 0,
            missing_at_most_traffic_count: 0,
        };
        if let Claim::Goal { left_count } = demand.claim {
            let met = |served: &Served| served[number].values().sum::<u64>();
            promise.missing_count = left_count.saturating_sub(met(&expected));
            promise.missing_at_most_traffic_count = left_count.saturating_sub(met(&most));
            for (key, row) in &mut rows {
                let own = reach[number].get(key).copied().unwrap_or(0.0);
                let spread = if available > 0.0 { own / available } else { 0.0 };
                row.guaranteed += expected[number].get(key).copied().unwrap_or(0) as f64;
                row.guaranteed += promise.missing_count as f64 * spread;
            }
        }
        promises.push(promise);
    }
    (promises, rows.into_values().collect())
}

/// By demand: impressions by placement and week.
type Served = Vec<BTreeMap<(PlacementId, Week), u64>>;

/// Requests that a demand can serve, in the weeks of the whole period.
fn reach(
    traffic: &Traffic,
    demand: &Demand<'_>,
    everything: &Asked<'_>,
) -> BTreeMap<(PlacementId, Week), f64> {
    let weeks: BTreeSet<Week> =
        super::traffic::weeks_of(traffic.zone(), everything.from, everything.until).into_iter().collect();
    let mut sums = BTreeMap::new();
    let asked = Asked {
        from: demand.asked.from.max(everything.from),
        until: demand.asked.until.min(everything.until),
        ..demand.asked.clone()
    };
    for at in traffic.forecast(&asked).by_placement {
        // A flight that begins within a week has a shorter one: it lies in one of the period's.
        let whole = weeks.iter().find(|w| w.starts_at <= at.week.starts_at && at.week.ends_at <= w.ends_at);
        if let Some(week) = whole {
            *sums.entry((at.placement, *week)).or_default() += at.requests;
        }
    }
    sums
}

/// How goals are best met by what the sponsors leave, at a multiple of the traffic expected.
fn served(
    demands: &[Demand<'_>],
    reach: &[BTreeMap<(PlacementId, Week), f64>],
    rows: &BTreeMap<(PlacementId, Week), Booked>,
    multiple: f64,
) -> Served {
    let keys: Vec<&(PlacementId, Week)> = rows.keys().collect();
    let left = |row: &Booked| (row.available - row.sponsored).max(0.0) * multiple;
    let mut problem = Transport {
        sources: Vec::with_capacity(demands.len()),
        sinks: rows.values().map(|row| left(row).round() as u64).collect(),
        ways: Vec::new(),
    };
    for (number, demand) in demands.iter().enumerate() {
        let goal = match demand.claim {
            Claim::Goal { left_count } => left_count,
            Claim::Share { .. } => 0,
        };
        problem.sources.push(goal);
        for (sink, (key, row)) in rows.iter().enumerate().filter(|_| goal > 0) {
            let Some(own) = reach[number].get(key) else { continue };
            // Sponsors take their part of its requests as of all.
            let share = if row.available > 0.0 { left(row) / row.available } else { 0.0 };
            problem.ways.push((number, sink, (own * share).round() as u64));
        }
    }
    let mut served: Served = vec![BTreeMap::new(); demands.len()];
    for ((number, sink, _), flow) in problem.ways.iter().zip(problem.solve()) {
        served[*number].insert(*keys[*sink], flow);
    }
    served
}
