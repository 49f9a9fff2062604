//! Pure parts of a decision, by number of ad sets: `cargo bench -p regie-decide`.
//!
//! Every rule is on (targeting of all dimensions, caps, tiers, places sold together, political passes). The decision at
//! the reference size stands in `regie bench --scale`; these say which part a change made slower.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../tests/it/world.rs"]
mod world;

use divan::{Bencher, black_box};
use regie_decide::{Compiler, OpenGate, Request, Row, Snapshot, Tables, Touched, decide, explain};
use regie_model::AdSetId;
use world::{Chance, World, random_request, random_world};

const AD_SETS: [u64; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

/// A catalogue at random, a thousand requests for it.
fn scene(ad_sets_count: u64) -> (World, Vec<Request>) {
    let mut chance = Chance(11);
    let world = random_world(&mut chance, ad_sets_count);
    let requests = (0..1_000).map(|_| random_request(&mut chance, &world)).collect();
    (world, requests)
}

#[divan::bench(args = AD_SETS)]
fn decision(bencher: Bencher<'_, '_>, ad_sets_count: u64) {
    let (world, requests) = scene(ad_sets_count);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let tables = Tables::default().align(&snapshot);
    let mut next = requests.iter().cycle();
    bencher.bench_local(|| {
        let request = next.next().unwrap();
        decide(&snapshot, &tables, black_box(request), &OpenGate, &mut |_, _| ())
    });
}

#[divan::bench(args = AD_SETS)]
fn explanation(bencher: Bencher<'_, '_>, ad_sets_count: u64) {
    let (world, requests) = scene(ad_sets_count);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let tables = Tables::default().align(&snapshot);
    let mut next = requests.iter().cycle();
    bencher.bench_local(|| explain(&snapshot, &tables, black_box(next.next().unwrap()), &OpenGate));
}

#[divan::bench(args = AD_SETS)]
fn compiling_everything(bencher: Bencher<'_, '_>, ad_sets_count: u64) {
    let (world, _) = scene(ad_sets_count);
    bencher.bench_local(|| Snapshot::build(black_box(&world.catalogue), 1));
}

#[divan::bench(args = AD_SETS)]
fn compiling_one_edited_ad_set(bencher: Bencher<'_, '_>, ad_sets_count: u64) {
    let (world, _) = scene(ad_sets_count);
    let tables = Tables::default();
    let mut compiler = Compiler::new(&world.catalogue, 1, &tables);
    let mut touched = Touched::default();
    touched.ad_sets.insert(*world.catalogue.ad_sets.keys().next().unwrap());
    bencher.bench_local(|| compiler.update(&world.catalogue, 1, black_box(&touched), &tables));
}

#[divan::bench(args = AD_SETS)]
fn aligning_new_tables(bencher: Bencher<'_, '_>, ad_sets_count: u64) {
    let (world, _) = scene(ad_sets_count);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let rows =
        (1..=ad_sets_count as u32).map(|id| (AdSetId(id), Row { click_ppb: 1 + id, ..Row::default() }));
    let tables = Tables::new(rows);
    bencher.bench_local(|| black_box(&tables).clone().align(&snapshot));
}
