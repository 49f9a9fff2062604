//! Decisions and single updates a CPU-second, Regie's learners beside the Rust crate `trashpanda`, in one run.
//!
//! `cargo run --release` in this folder; `peers.py` beside it, which is run too, does the same for Vowpal Wabbit and for learners written
//! in Python. Regie's decisions include making its tables
//! (each 10,000 decisions) and the exact propensity of each. Refuses wall time: seconds are this process's own CPU time.

use rand::{SeedableRng, rngs::StdRng};
use regie_learn::{
    factor::{Learner, Settings as FactorSettings},
    stream::Stream,
    template::{Code, Slot, Space},
    uploaded::{Settings, Uploaded},
};
use std::hint::black_box;
use trashpanda::{Bandit, policies::LinTs};

/// Decisions between two tables.
const BATCH: usize = 10_000;

/// CPU seconds of this process, user and system, to a hundredth.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// How many a CPU-second: from a least number on (a table's, where tables are made) doubles it until 0.25 seconds have passed.
fn rate(least: usize, mut work: impl FnMut(usize)) -> f64 {
    let mut count = least;
    loop {
        let start = cpu_s();
        work(count);
        let spent = cpu_s() - start;
        if spent > 0.25 {
            return count as f64 / spent;
        }
        count *= 2;
    }
}

fn print(what: &str, who: &str, decisions: f64, updates: f64) {
    println!("{what:<28} {who:<22} {decisions:>14.0} {updates:>14.0}");
}

/// Regie's list: every arm with outcomes behind it.
fn uploaded(arms: usize) -> (f64, f64) {
    let groups: Vec<u32> = (0..arms as u32).map(|n| n % 20).collect();
    let mut stream = Stream::new(1, 1);
    let mut learner = Uploaded::new(&groups, Settings::default());
    for arm in 0..arms as u32 {
        learner.observe(arm, 100.0, if stream.unit() < 0.6 { 1.0 } else { 2.0 });
    }
    let decisions = rate(BATCH, |count| {
        let mut shares = learner.allocate(1);
        for n in 0..count {
            if n > 0 && n.is_multiple_of(BATCH) {
                shares = learner.allocate(n as u64);
            }
            black_box(shares.draw(stream.bits()));
        }
    });
    let updates = rate(16, |count| {
        for n in 0..count {
            let arm = stream.below(arms as u64) as u32;
            learner.observe(arm, 1.0, if n.is_multiple_of(64) { 1.0 } else { 0.0 });
        }
    });
    (decisions, updates)
}

fn trashpanda(arms: usize) -> (f64, f64) {
    let mut bandit = Bandit::thompson_sampling(0..arms as u32).expect("arms");
    let mut random = StdRng::seed_from_u64(1);
    let mut stream = Stream::new(1, 1);
    for arm in 0..arms as u32 {
        bandit.partial_fit_simple(&[arm], &[0.0]).expect("fits");
    }
    let decisions =
        rate(16, |count| (0..count).for_each(|_| drop(black_box(bandit.predict_simple(&mut random)))));
    let updates = rate(16, |count| {
        for n in 0..count {
            let arm = stream.below(arms as u64) as u32;
            let reward = if n.is_multiple_of(64) { 1.0 } else { 0.0 };
            bandit.partial_fit_simple(&[arm], &[reward]).expect("fits");
        }
    });
    (decisions, updates)
}

/// 10 actions in contexts of 20 features: for Regie one slot of 10 assets, two context slots' worth of 20 values.
fn factor() -> (f64, f64) {
    let slots = vec![Slot { capacity: 10, active: vec![true; 10] }];
    let space = Space::new(slots, 20, Vec::new()).expect("a template");
    let mut learner = Learner::new(space, FactorSettings::default());
    let mut stream = Stream::new(1, 1);
    for _ in 0..50_000 {
        let context = stream.below(20) as usize;
        learner.observe(
            context,
            Code(stream.below(10) as u32),
            1.0,
            if stream.unit() < 0.05 { 1.0 } else { 0.0 },
        );
    }
    let decisions = rate(BATCH, |count| {
        let mut table = learner.refresh(1);
        for n in 0..count {
            if n > 0 && n.is_multiple_of(BATCH) {
                table = learner.refresh(n as u64);
            }
            black_box(table.draw(stream.below(20) as usize, stream.bits()));
        }
    });
    let updates = rate(16, |count| {
        for n in 0..count {
            let (context, code) = (stream.below(20) as usize, Code(stream.below(10) as u32));
            learner.observe(context, code, 1.0, if n.is_multiple_of(64) { 1.0 } else { 0.0 });
        }
    });
    (decisions, updates)
}

fn trashpanda_linear() -> (f64, f64) {
    let mut bandit = Bandit::new(0..10u32, LinTs::new(1.0, 1.0, 20)).expect("arms");
    let mut random = StdRng::seed_from_u64(1);
    let mut stream = Stream::new(1, 1);
    let mut contexts = Vec::new();
    for _ in 0..1_000 {
        let row: Vec<f64> = (0..20).map(|_| stream.unit()).collect();
        contexts.push(row);
    }
    for (n, context) in contexts.iter().enumerate() {
        bandit.partial_fit(&[n as u32 % 10], context, &[0.0]).expect("fits");
    }
    let decisions = rate(16, |count| {
        (0..count).for_each(|n| drop(black_box(bandit.predict(&contexts[n % 1_000], &mut random))));
    });
    let updates = rate(16, |count| {
        for n in 0..count {
            bandit.partial_fit(&[n as u32 % 10], &contexts[n % 1_000], &[0.0]).expect("fits");
        }
    });
    (decisions, updates)
}

fn main() {
    println!("{:<28} {:<22} {:>14} {:>14}", "", "", "decisions/s", "updates/s");
    for arms in [10, 1_000, 100_000] {
        let what = format!("{arms} arms");
        let (decisions, updates) = uploaded(arms);
        print(&what, "regie", decisions, updates);
        let (decisions, updates) = trashpanda(arms);
        print(&what, "trashpanda", decisions, updates);
    }
    let what = "10 actions x 20 features";
    let (decisions, updates) = factor();
    print(what, "regie", decisions, updates);
    let (decisions, updates) = trashpanda_linear();
    print(what, "trashpanda LinTS", decisions, updates);
    python();
}

/// Runs `peers.py` with the Python of the `venv` beside it, or of `REGIE_PEERS_PYTHON`; says so where there is none.
fn python() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let program = std::env::var("REGIE_PEERS_PYTHON").unwrap_or_else(|_| format!("{folder}/venv/bin/python"));
    let ran = std::process::Command::new(&program).arg(format!("{folder}/peers.py")).status();
    match ran {
        Ok(status) if status.success() => {}
        Ok(status) => println!("peers.py ended with {status}"),
        Err(cause) => println!("Vowpal Wabbit and the Python peers: skipped, {program}: {cause} (peers.py says how to make it)"),
    }
}
