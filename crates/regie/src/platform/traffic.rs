//! Decisions in aggregate: counted in memory, journalled every few seconds as one event. Soft state: what was not
//! yet journalled is lost in a crash, and nothing is billed from it.

use regie_decide::{Fill, NoFill};
use regie_model::{
    AdSetId, PlacementId, SiteId, UtcMs,
    event::{Asked, PlacementTraffic, RollupKey, Traffic},
    ticket::DeviceClass,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counted for each decision, under keys that are our own: a fast hash will do.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// Shards, so that workers seldom meet.
const SHARDS: usize = 8;
/// (ad set, reason) rows of one event at most; the largest are kept.
const ELIMINATED_ROWS_MAX: usize = 2_000;
/// Rows of requests by placement, country and device of one event at most; the rest lose their country.
const ASKED_ROWS_MAX: usize = 2_000;

/// Requests, fills, and no fills by reason.
type Placed = (u64, u64, HashMap<&'static str, u64>);

#[derive(Default)]
struct Counts {
    placements: HashMap<(PlacementId, SiteId), Placed>,
    served: HashMap<RollupKey, u64>,
    asked: HashMap<(PlacementId, SiteId, [u8; 2], u8), u64>,
    refused: HashMap<&'static str, u64>,
    eliminated: HashMap<(AdSetId, &'static str), u64>,
}

/// The counters.
pub struct TrafficCounters {
    shards: [Mutex<Counts>; SHARDS],
}
impl Default for TrafficCounters {
    fn default() -> Self {
        TrafficCounters { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

/// Where a request came from, as far as reports count it.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// ISO 3166-1 code, zeros when unknown.
    pub country: [u8; 2],
    /// Device class.
    pub device: DeviceClass,
}

/// What reports count a fill by.
pub fn rollup_key(fill: &Fill, origin: Origin) -> RollupKey {
    RollupKey {
        campaign: fill.campaign,
        ad_set: fill.ad_set,
        ad: fill.ad,
        version: fill.version,
        placement: fill.placement,
        country: origin.country,
        device: origin.device as u8,
    }
}

impl TrafficCounters {
    fn with<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        thread_local! { static SHARD: usize = {
            use std::sync::atomic::{AtomicUsize, Ordering};
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
        } }
        let shard = SHARD.with(|s| *s);
        work(&mut self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// A request for one placement, whatever its answer.
    pub fn asked(&self, placement: PlacementId, site: SiteId, origin: Origin) {
        let key = (placement, site, origin.country, origin.device as u8);
        self.with(|counts| *counts.asked.entry(key).or_default() += 1);
    }
    /// One placement answered with an ad.
    pub fn fill(&self, fill: &Fill, origin: Origin) {
        self.with(|counts| {
            let row = counts.placements.entry((fill.placement, fill.site)).or_default();
            row.0 += 1;
            row.1 += 1;
            *counts.served.entry(rollup_key(fill, origin)).or_default() += 1;
        });
    }
    /// One placement answered without.
    pub fn no_fill(&self, placement: PlacementId, site: SiteId, reason: &NoFill) {
        self.with(|counts| {
            let row = counts.placements.entry((placement, site)).or_default();
            row.0 += 1;
            *row.2.entry(reason.code()).or_default() += 1;
        });
    }
    /// An event that did not reach the journal.
    pub fn refused(&self, reason: &'static str) {
        self.with(|counts| *counts.refused.entry(reason).or_default() += 1);
    }
    /// Ad sets that matched a request and were then not shown.
    pub fn eliminated(&self, rows: &[(AdSetId, &'static str)]) {
        if !rows.is_empty() {
            self.with(|counts| rows.iter().for_each(|row| *counts.eliminated.entry(*row).or_default() += 1));
        }
    }
    /// Everything counted since the last call, as an event; `None` when nothing was.
    pub fn take(&self, now: UtcMs) -> Option<Traffic> {
        let mut all = Counts::default();
        for shard in &self.shards {
            let counts = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            for (key, (requests, fills, reasons)) in counts.placements {
                let row = all.placements.entry(key).or_default();
                row.0 += requests;
                row.1 += fills;
                reasons.into_iter().for_each(|(reason, count)| *row.2.entry(reason).or_default() += count);
            }
            counts.served.into_iter().for_each(|(key, count)| *all.served.entry(key).or_default() += count);
            counts.asked.into_iter().for_each(|(key, count)| *all.asked.entry(key).or_default() += count);
            counts.refused.into_iter().for_each(|(key, count)| *all.refused.entry(key).or_default() += count);
            counts
                .eliminated
                .into_iter()
                .for_each(|(key, count)| *all.eliminated.entry(key).or_default() += count);
        }
        if all.placements.is_empty() && all.refused.is_empty() {
            return None;
        }
        let mut traffic = Traffic { minute: now.minute(), ..Traffic::default() };
        traffic.placements = all
            .placements
            .into_iter()
            .map(|((placement, site), (requests_count, fills_count, reasons))| {
                let mut no_fills: Vec<_> = reasons.into_iter().map(|(r, c)| (r.to_owned(), c)).collect();
                no_fills.sort();
                PlacementTraffic { placement, site, requests_count, fills_count, no_fills }
            })
            .collect();
        traffic.placements.sort_by_key(|p| p.placement);
        traffic.served = all.served.into_iter().collect();
        traffic.served.sort();
        traffic.refused = all.refused.into_iter().map(|(r, c)| (r.to_owned(), c)).collect();
        traffic.refused.sort();
        let mut rows: Vec<_> =
            all.eliminated.into_iter().map(|((set, why), count)| (set, why.to_owned(), count)).collect();
        rows.sort_by(|a, b| b.2.cmp(&a.2).then(a.cmp(b)));
        rows.truncate(ELIMINATED_ROWS_MAX);
        traffic.eliminated = rows;
        traffic.asked = asked_rows(all.asked);
        Some(traffic)
    }
}

/// The largest rows, in order; the others without their country.
fn asked_rows(counts: HashMap<(PlacementId, SiteId, [u8; 2], u8), u64>) -> Vec<Asked> {
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    let mut kept: BTreeMap<_, u64> = BTreeMap::new();
    for (number, ((placement, site, country, device), count)) in rows.into_iter().enumerate() {
        let country = if number < ASKED_ROWS_MAX { country } else { [0; 2] };
        *kept.entry((placement, site, country, device)).or_default() += count;
    }
    let row = |((placement, site, country, device), requests_count)| Asked {
        placement,
        site,
        country,
        device,
        requests_count,
    };
    kept.into_iter().map(row).collect()
}
