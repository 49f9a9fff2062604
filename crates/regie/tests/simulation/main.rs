//! Deterministic simulation of the shipping platform: one thread, simulated clock, disk and clients. The laws are
//! checked after every step, and the whole journal is folded anew at every start. `REGIE_SIM_SEEDS` sets the number of
//! random seeds (default 24); a seed that fails is printed, and gets a test of its own below.

#![allow(clippy::unwrap_used)]

mod dice;
mod learning;
mod record;
mod record_faults;
mod steps;
mod world;

use regie_journal::simdisk::SimFaults;
use steps::{Run, run};
use world::World;

/// Seeds of the random runs.
fn seeds() -> u64 {
    std::env::var("REGIE_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

#[test]
fn a_quiet_run_keeps_every_law() {
    let end = run(Run { seed: 1, steps: 400, ..Run::default() }).expect("no law is broken");
    assert!(
        end.billed_count > 20,
        "only {} events were billed: the scenario tests nothing",
        end.billed_count
    );
    assert!(end.restarts > 0 && end.late_count > 0 && end.duplicate_count > 0, "{end:?}");
}

#[test]
fn random_runs_with_crashes_and_clock_jumps_keep_every_law() {
    for seed in 0..seeds() {
        let result = run(Run { seed, steps: 160, crash_every: Some(90), ..Run::default() });
        assert!(result.is_ok(), "seed {seed}: {}", result.unwrap_err());
    }
}

/// The power goes at every write boundary of one fixed scenario.
#[test]
fn power_lost_at_every_write_boundary() {
    let fixed = |crash_at_op| run(Run { seed: 77, steps: 30, crash_at_op, ..Run::default() });
    let whole = fixed(None).expect("no law is broken without a crash");
    assert!(whole.disk_ops > 100, "{whole:?}");
    // All boundaries of the bookings and the first steps, then every third: the rest repeats the same writes.
    let boundaries = (1..=whole.disk_ops).filter(|op| *op <= 150 || op % 3 == 0);
    for op in boundaries {
        let result = fixed(Some(op));
        assert!(result.is_ok(), "power lost at operation {op}: {}", result.unwrap_err());
    }
}

#[test]
fn a_failed_sync_stops_the_journal_and_spares_house_ads() {
    let mut world = World::start(5).expect("starts");
    steps::book(&mut world).expect("books");
    assert!(world.decide_some(40) > 0);
    for ahead in 0..60 {
        let op = world.disk.op_count() + 1 + ahead % 6;
        world.disk.set_faults(SimFaults { fail_sync_at_op: Some(op), ..SimFaults::default() });
        world.send_impressions(3);
        let _ = world.commit();
        if !world.platform.is_journal_up() {
            break;
        }
    }
    assert!(!world.platform.is_journal_up(), "no sync was met");
    world.platform.halt(regie::platform::Halt::Journal, true);
    let (paid, house) = world.tiers_served(60);
    assert_eq!(paid, 0, "paid ads were served though the journal had stopped");
    assert!(house > 0, "house ads go on");
    assert!(world.platform.halted().iter().any(|why| why.contains("journal")));
    world.restart(true).expect("recovers");
    world.check().expect("no law is broken");
}

/// Free over-delivery in the standard simulation, budget ends and a crash included: at most 1% of spend.
#[test]
fn free_over_delivery_is_at_most_one_percent_of_spend() {
    let end = steps::spend_out(11).expect("no law is broken");
    let share = end.free_nanos as f64 / end.billed_nanos as f64;
    println!("free over-delivery: {:.3}% of spend ({} events billed)", share * 100.0, end.billed_count);
    assert!(end.billed_count > 2_000, "{end:?}");
    assert!(share <= 0.01, "free over-delivery is {:.3}% of spend", share * 100.0);
}

/// Every decision whose inputs were kept comes out the same, byte for byte (law D1).
#[test]
fn kept_decisions_are_taken_again_alike() {
    let mut world = World::start(21).expect("starts");
    steps::book(&mut world).expect("books");
    for _ in 0..12 {
        world.decide_some(10);
        world.send_impressions(5);
        world.commit().expect("commits");
        world.advance(7_000);
    }
    let count = world.replay_samples().expect("law D1");
    assert!(count > 20, "only {count} decisions were kept");
}

/// The same with the record's log: whatever crashes, clocks and edits do, what was published stays, fits, and is what was billed.
#[test]
fn random_runs_with_publication_keep_the_laws_of_the_record() {
    let mut published = 0;
    for seed in 0..seeds().div_ceil(4) {
        let wild = Run { seed, steps: 120, crash_every: Some(90), record: true, ..Run::default() };
        match run(wild) {
            Ok(end) => published += end.published_count,
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    assert!(published > 24, "only {published} entries were published: the scenario tests nothing");
}

#[cfg(feature = "mutations")]
mod mutations {
    //! The suite must notice each seeded fault; a suite that cannot fail proves nothing.
    use super::*;
    use crate::world::Violation;
    use regie_model::mutation::{self, Mutation};

    fn noticed(name: &str) -> Violation {
        for seed in 0..60 {
            let crash_every = (seed % 2 == 0).then_some(60);
            if let Err(violation) = run(Run { seed, steps: 200, crash_every, ..Run::default() }) {
                return violation;
            }
        }
        panic!("{name} went unnoticed");
    }

    #[test]
    fn every_seeded_fault_of_the_platform_is_noticed() {
        for fault in [
            Mutation::DoubleCharge,
            Mutation::IgnoreBudget,
            Mutation::WrongDay,
            Mutation::ForgetDuplicates,
            Mutation::AcceptForged,
            Mutation::SameEpoch,
            Mutation::BillLate,
            Mutation::LoseDay,
        ] {
            mutation::set(Some(fault));
            let violation = noticed(&format!("{fault:?}"));
            mutation::set(None);
            println!("{fault:?}: {violation}");
        }
    }

    #[test]
    fn every_seeded_fault_of_the_journal_is_noticed() {
        use regie_journal::mutation as journal;
        for fault in [
            journal::Mutation::AcknowledgeBeforeCommit,
            journal::Mutation::NoFsync,
            journal::Mutation::LostTail,
        ] {
            journal::set(Some(fault));
            let violation = noticed(&format!("{fault:?}"));
            journal::set(None);
            println!("{fault:?}: {violation}");
        }
    }
}
