//! A checker that cannot fail proves nothing: under each seeded fault it must name the broken law.
//!
//! Runs with `cargo test -p regie-ledger --features mutations` alone.
#![cfg(feature = "mutations")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/steps.rs"]
mod steps;

use common::*;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use regie_ledger::{Ledger, audit};
use regie_model::{
    event::Event,
    mutation::{self, Mutation},
    *,
};
use std::collections::BTreeSet;
use steps::{Walk, step};

/// Switches the fault off again, also when a test fails.
struct On;
impl On {
    fn new(mutation: Mutation) -> On {
        mutation::set(Some(mutation));
        On
    }
}
impl Drop for On {
    fn drop(&mut self) {
        mutation::set(None);
    }
}

/// A day's end in Paris with a daily budget, duplicates, a late event and a restart.
fn scenario() -> World {
    let mut world = World::at(at("2026-03-28T22:30:00Z"), false);
    world.edit_ad_set(CPM, |s| s.daily_budget_micros = Some(Micros(5_000)));
    let (first, late) = (world.ticket(CPM), world.ticket(CPC));
    world.push(Event::Impression(first));
    world.push(Event::Impression(first));
    for _ in 0..4 {
        world.impression(CPM);
    }
    world.ledger = Ledger::from_bytes(&world.ledger.to_bytes()).unwrap();
    world.push(Event::Impression(first));
    // 29 March has begun in Paris, not in UTC.
    world.wait(45 * MINUTE);
    world.impression(CPM);
    world.wait(DAY);
    world.push(Event::Click(late));
    world
}

/// A hundred random streams from one seed.
fn streams() -> Vec<Vec<steps::Step>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = proptest::collection::vec(step(), 150);
    (0..40).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

const FAULTS: [(Mutation, &str); 6] = [
    (Mutation::DoubleCharge, "B3"),
    (Mutation::IgnoreBudget, "B1"),
    (Mutation::WrongDay, "B1"),
    (Mutation::ForgetDuplicates, "B3"),
    (Mutation::BillLate, "B3"),
    (Mutation::LoseDay, "B1"),
];

#[test]
fn the_scenario_is_sound_without_a_fault() {
    scenario().agree();
}

#[test]
fn the_checker_names_the_law_that_each_seeded_fault_breaks() {
    for (fault, law) in FAULTS {
        let _on = On::new(fault);
        let world = scenario();
        let found: BTreeSet<&str> = world.audit.findings().iter().map(|f| f.law).collect();
        assert_eq!(found, [law].into(), "{fault:?}: {:?}", world.audit.findings());
        assert_eq!(audit::check(&world.list), world.audit.findings(), "the list form says the same");
    }
}

#[test]
fn random_streams_find_each_seeded_fault_too() {
    let streams = streams();
    for (fault, law) in FAULTS {
        let _on = On::new(fault);
        let mut found = BTreeSet::new();
        for steps in &streams {
            let mut walk = Walk::new(false);
            for step in steps {
                walk.step(step);
                if !walk.world.audit.findings().is_empty() {
                    break;
                }
            }
            found.extend(walk.world.audit.findings().iter().map(|f| f.law));
            if found.contains(law) {
                break;
            }
        }
        assert!(found.contains(law), "{fault:?}: {found:?}");
    }
}

#[test]
fn random_streams_are_sound_without_a_fault() {
    for steps in streams() {
        let mut walk = Walk::new(true);
        for step in &steps {
            walk.step(step);
        }
        walk.world.agree();
    }
}
