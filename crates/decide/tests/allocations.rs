//! The decision allocates little: counted, so that a change that allocates more is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "it/world.rs"]
mod world;

use regie_decide::{OpenGate, Snapshot, Tables, decide};
use world::{Chance, random_request, random_world};

/// Allocations of one decision at most, and for each further placement. A targeting index that has every kind of clause
/// costs three, there are two (law P1); the rest are the slots and what each found.
const ONE_MAX: u64 = 24;
const FURTHER_MAX: u64 = 20;

#[test]
fn a_decision_allocates_little_however_large_the_catalogue() {
    let mut largest = [0, 0];
    for (at, ad_sets_count) in [30, 3_000].into_iter().enumerate() {
        let mut chance = Chance(7);
        let world = random_world(&mut chance, ad_sets_count);
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let tables = Tables::default().align(&snapshot);
        let mut fills = 0;
        for _ in 0..300 {
            let request = random_request(&mut chance, &world);
            let mut decision = None;
            let counted = allocation_counter::measure(|| {
                decision = Some(decide(&snapshot, &tables, &request, &OpenGate, &mut |_, _| ()));
            });
            fills += decision.unwrap().fills().count();
            let max = ONE_MAX + FURTHER_MAX * (request.placements.len() as u64 - 1);
            assert!(counted.count_total <= max, "{} of {max}: {request:?}", counted.count_total);
            largest[at] = largest[at].max(counted.count_total);
        }
        assert!(fills > 100, "{fills}");
    }
    println!("largest counts: {largest:?}");
}
