//! The decision allocates little: counted, so that a change that allocates more is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "it/world.rs"]
mod world;

use regie_decide::{OpenGate, Snapshot, Tables, decide};
use world::{Chance, World, random_request, random_world};

/// Allocations of one decision at most, and for each further placement: of a catalogue without political ads, and of one
/// with them, where a pass of their own comes first (law P1). A targeting index with every kind of clause costs three;
/// the rest are the slots, and lists of who matched.
const PLAIN_MAX: (u64, u64) = (72, 64);
const POLITICAL_MAX: (u64, u64) = (160, 96);

/// The largest number of allocations seen.
fn count(world: &World, chance: &mut Chance, (one, further): (u64, u64)) -> u64 {
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let tables = Tables::default().align(&snapshot);
    let (mut fills, mut largest) = (0, 0);
    for _ in 0..300 {
        let request = random_request(chance, world);
        let mut decision = None;
        let counted = allocation_counter::measure(|| {
            decision = Some(decide(&snapshot, &tables, &request, &OpenGate, &mut |_, _| ()));
        });
        fills += decision.unwrap().fills().count();
        let max = one + further * (request.placements.len() as u64 - 1);
        assert!(counted.count_total <= max, "{} of {max}: {request:?}", counted.count_total);
        largest = largest.max(counted.count_total);
    }
    assert!(fills > 50, "{fills}");
    largest
}

#[test]
fn a_decision_allocates_little_however_large_the_catalogue() {
    for ad_sets_count in [30, 3_000] {
        let mut chance = Chance(7);
        let mut world = random_world(&mut chance, ad_sets_count);
        let political = count(&world, &mut chance, POLITICAL_MAX);
        for id in world.catalogue.ad_sets.keys().copied().collect::<Vec<_>>() {
            world.edit_campaign(id, |campaign| campaign.political = None);
        }
        let plain = count(&world, &mut chance, PLAIN_MAX);
        println!("{ad_sets_count}: at most {plain} allocations, with political ads {political}");
    }
}
