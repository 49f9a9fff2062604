//! Random streams of events against the naive checker: every outcome, every balance (laws B1, B2, B3).
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/steps.rs"]
mod steps;

use common::*;
use proptest::prelude::*;
use regie_ledger::{Counters, Ledger};
use std::collections::BTreeMap;
use steps::{Walk, step};

/// 64 streams, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Every outcome is the checker's, every balance too, restarts included; and a fold of the same list from
    /// the beginning, without a restart, ends in the same state.
    #[test]
    fn b1_b2_b3_hold_for_any_stream(steps in proptest::collection::vec(step(), 1..250)) {
        let mut walk = Walk::new(true);
        for step in &steps {
            walk.step(step);
        }
        let world = &walk.world;
        world.agree();
        let mut rebuilt = Ledger::new();
        let mut rows: BTreeMap<u32, Counters> = BTreeMap::new();
        for (position, at, event, outcome) in &world.list {
            prop_assert_eq!(rebuilt.apply(*position, *at, event).unwrap(), *outcome);
            if position.is_multiple_of(64) {
                add_rows(&mut rows, &mut rebuilt);
            }
        }
        add_rows(&mut rows, &mut rebuilt);
        prop_assert_eq!(rebuilt.state_hash(), world.ledger.state_hash());
        prop_assert_eq!(world.audit.compare(&rebuilt), vec![]);
        // The rows handed over add up to the totals of each ad.
        for (ad, totals) in rebuilt.ads() {
            prop_assert_eq!(rows.get(&ad.0), Some(totals), "{}", ad);
        }
    }
}

fn add_rows(rows: &mut BTreeMap<u32, Counters>, ledger: &mut Ledger) {
    for ((_, key), row) in ledger.take_rollups() {
        if key.ad.0 != 0 {
            rows.entry(key.ad.0).or_default().add(&row);
        }
    }
}

#[test]
fn a_damaged_checkpoint_gives_an_error_and_never_a_panic() {
    let mut world = World::new();
    for set in steps::SETS {
        world.impression(set);
        world.click(set);
    }
    let bytes = world.ledger.to_bytes();
    for cut in 0..bytes.len() {
        assert!(Ledger::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut changed = bytes.clone();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            changed[index] ^= 1 << bit;
            assert!(Ledger::from_bytes(&changed).is_err(), "byte {index} bit {bit}");
            changed[index] ^= 1 << bit;
        }
    }
    changed.push(0);
    assert!(Ledger::from_bytes(&changed).is_err(), "a byte too many");
    assert!(Ledger::from_bytes(&bytes).is_ok());
}

proptest! {
    /// Payloads that nobody wrote, under a hash that fits: an error or a ledger, never a panic.
    #[test]
    fn a_hostile_checkpoint_never_panics(edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut world = World::new();
        world.impression(CPM);
        world.click(CPC);
        let mut bytes = world.ledger.to_bytes();
        for (index, value) in edits {
            let index = 42 + index % (bytes.len() - 42);
            bytes[index] = value;
        }
        let hash = blake3::hash(&bytes[42..]);
        bytes[10..42].copy_from_slice(hash.as_bytes());
        if let Ok(mut ledger) = Ledger::from_bytes(&bytes) {
            let ticket = world.ticket(CPM);
            let event = regie_model::event::Event::Impression(ticket);
            let _ = ledger.apply(ledger.position().saturating_add(1), world.now, &event);
            let _ = ledger.budgets(world.now);
            let _ = ledger.charge_at(world.position);
            let _ = ledger.take_charge_blocks();
        }
    }
}
