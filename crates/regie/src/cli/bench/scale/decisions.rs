//! Decisions in process: median and 99th percentile in CPU time of the deciding thread, at several sizes, and with the
//! best ad sets out of money.

use super::{
    super::{Bar, Row},
    world::Plan,
    world::{Chance, request},
};
use anyhow::Result;
use regie_decide::{
    BudgetGate, Compiler, OpenGate, Request, Row as Numbers, Snapshot, Tables, decide, explain,
};
use regie_model::{AdSetId, UtcMs, catalogue::Catalogue};
use std::time::Duration;

/// CPU time of this thread.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Microseconds at parts per thousand of sorted nanoseconds.
pub fn at(nanos: &[u64], part: usize) -> f64 {
    let index = (nanos.len() * part / 1_000).min(nanos.len().saturating_sub(1));
    nanos.get(index).map_or(0.0, |n| *n as f64 / 1_000.0)
}

/// What reading the clock twice costs, in nanoseconds: taken off every figure.
pub fn clock_nanos() -> u64 {
    let mut nanos: Vec<u64> = (0..10_000)
        .map(|_| {
            let start = thread_cpu();
            (thread_cpu() - start).as_nanos() as u64
        })
        .collect();
    nanos.sort_unstable();
    nanos[nanos.len() / 2]
}

/// A gate that refuses what a list says.
struct Refusing(Vec<bool>);
impl BudgetGate for Refusing {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        self.0.get(ad_set.0 as usize).copied().unwrap_or(false)
    }
}

fn measure(
    snapshot: &Snapshot,
    tables: &Tables,
    gate: &dyn BudgetGate,
    requests: &[Request],
) -> (Vec<u64>, usize) {
    let clock = clock_nanos();
    let mut nanos = Vec::with_capacity(requests.len());
    let mut fills = 0;
    for request in requests {
        let start = thread_cpu();
        let decision = decide(snapshot, tables, request, gate, &mut |_, _| ());
        nanos.push(((thread_cpu() - start).as_nanos() as u64).saturating_sub(clock));
        fills += decision.fills().count();
    }
    nanos.sort_unstable();
    (nanos, fills)
}

/// Predicted rates and pacing of every ad set, at random.
pub fn tables(ad_sets: u32, chance: &mut Chance) -> Tables {
    let rows = (1..=ad_sets).map(|id| {
        let click_ppb = 200_000 + chance.below(3_000_000) as u32;
        let pass_ppm = if chance.below(3) == 0 { 500_000 } else { 1_000_000 };
        (AdSetId(id), Numbers { click_ppb, pass_ppm, ..Numbers::default() })
    });
    Tables::new(rows.collect::<Vec<_>>())
}

/// How much of the catalogue fits a request's targeting, in percent.
fn matching_percent(snapshot: &Snapshot, requests: &[Request], ad_sets: u32) -> f64 {
    let fits = |request| {
        let explanation = explain(snapshot, &Tables::default(), request, &OpenGate);
        explanation.placements.iter().flat_map(|p| &p.ad_sets).filter(|a| a.code != "targeting").count()
    };
    let sum: usize = requests.iter().map(fits).sum();
    100.0 * sum as f64 / requests.len() as f64 / f64::from(ad_sets)
}

/// The ad sets of highest value at these rates.
fn best(catalogue: &Catalogue, tables: &Tables, count: usize) -> Vec<AdSetId> {
    use regie_model::booking::Bid;
    let value = |id: AdSetId, bid: &Bid| match bid {
        Bid::Cpm { micros_per_mille } => *micros_per_mille as f64,
        Bid::Cpc { micros_per_click } => *micros_per_click as f64 * f64::from(tables.row(id).click_ppb) / 1e6,
        _ => 0.0,
    };
    let mut all: Vec<(f64, AdSetId)> =
        catalogue.ad_sets.iter().map(|(id, kept)| (value(*id, &kept.spec.bid), *id)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(count).map(|(_, id)| id).collect()
}

/// The rows of one size. `median` is the median at the smallest size, once measured.
///
/// # Errors
/// None but the generator's.
pub fn rows(plan: &Plan, median: &mut Option<f64>, count: usize) -> Result<Vec<Row>> {
    let mut chance = Chance::new(plan.seed ^ 1);
    let mut catalogue = Catalogue::new();
    plan.changes(&mut |change| {
        catalogue.apply(UtcMs(0), &change);
        Ok(())
    })?;
    let tables = tables(plan.ad_sets, &mut chance);
    let start = thread_cpu();
    let snapshot = Compiler::new(&catalogue, 1, &tables).snapshot();
    let built = (thread_cpu() - start).as_secs_f64();
    let aligned = tables.clone().align(&snapshot);
    let requests: Vec<Request> = (0..count).map(|_| request(&mut chance)).collect();
    let matching = matching_percent(&snapshot, &requests[..requests.len().min(10)], plan.ad_sets);
    let size = format!("{} ad sets, {} versions", plan.ad_sets, catalogue.versions.len());
    drop(measure(&snapshot, &aligned, &OpenGate, &requests[..count / 10]));
    let (nanos, fills) = measure(&snapshot, &aligned, &OpenGate, &requests);
    let share = fills as f64 / count as f64;
    let note = format!("{size}; {matching:.1}% match, {share:.3} filled; p99.9 {:.1} µs", at(&nanos, 999));
    let first = *median.get_or_insert(at(&nanos, 500));
    let reference = plan.ad_sets == 100_000;
    let mut rows = vec![
        row("in-process decision, median", at(&nanos, 500), "µs of CPU", reference.then_some(5.0), note),
        row(
            "in-process decision, p99",
            at(&nanos, 990),
            "µs of CPU",
            reference.then_some(30.0),
            size.clone(),
        ),
        row("snapshot built whole", built, "s of CPU", None, size.clone()),
    ];
    let growth = at(&nanos, 500) / first.max(1e-9);
    rows.push(row("median against the smallest size", growth, "x", Some(2.0), size.clone()));
    let top = best(&catalogue, &tables, 10_000);
    let mut refused = vec![false; plan.ad_sets as usize + 1];
    top.iter().for_each(|id| refused[id.0 as usize] = true);
    let gate = Refusing(refused);
    let capped = &requests[..(count / 10).max(1)];
    let bar = (plan.ad_sets >= 1_000_000).then_some(300.0);
    let (nanos, _) = measure(&snapshot, &aligned, &gate, capped);
    let note = format!("{size}; each looked at and refused; median {:.1} µs", at(&nanos, 500));
    rows.push(row("worst case: best 10,000 ad sets refused, p99", at(&nanos, 990), "µs of CPU", bar, note));
    let masked = snapshot.with_exhausted(top);
    let (nanos, _) = measure(&masked, &aligned, &gate, capped);
    let note = format!("{size}; out of the live mask; median {:.1} µs", at(&nanos, 500));
    rows.push(row("best 10,000 ad sets out of money, p99", at(&nanos, 990), "µs of CPU", bar, note));
    Ok(rows)
}

/// A row whose figure should be at most its bar.
pub fn row(what: &str, figure: f64, unit: &'static str, bar: Option<f64>, note: String) -> Row {
    Row { what: what.into(), figure, unit, bar: bar.map(Bar::AtMost), note }
}
