//! Confidence sequences watched from the first unit on miss the truth as seldom as they promise: a short run of what
//! `cargo run --release -p regie-learn --example coverage` does at full length.

#![allow(clippy::unwrap_used)]

use regie_learn::infer::{
    betting::{Bounds, Sequence},
    coverage::{self, Method, Setting, Watch},
};

fn missed(setting: &Setting, runs_count: u64) -> Vec<f64> {
    let mut counts = [0u64; Method::ALL.len()];
    for seed in 0..runs_count {
        let missed = coverage::run(setting, 1_000_003 * (seed + 1));
        counts.iter_mut().zip(missed).for_each(|(count, missed)| *count += u64::from(missed));
    }
    counts.iter().map(|c| *c as f64 / runs_count as f64).collect()
}

#[test]
fn sequences_keep_their_promise_at_every_look() {
    let runs_count = 150;
    for setting in coverage::settings(1_200) {
        for (method, share) in Method::ALL.into_iter().zip(missed(&setting, runs_count)) {
            let bar = coverage::allowed(runs_count);
            assert!(!method.promises() || share <= bar, "{setting:?} {}: {share} > {bar}", method.name());
        }
    }
}

#[test]
fn the_simulation_sees_a_broken_promise() {
    let setting = Setting { rate: 0.1, effect: false, adaptive: false, units_count: 4_000, delay_units: 50 };
    let shares = missed(&setting, 100);
    let repeated = shares[Method::ALL.iter().position(|m| *m == Method::Repeated).unwrap()];
    assert!(repeated > 0.15, "one look's interval looked at again and again missed in {repeated}");
}

#[test]
fn what_is_watched_is_what_reports_use() {
    let bounds = Bounds::weighted_difference(0.1, 0.1);
    let mean = 0.004;
    let (mut watch, mut sequence) = (Watch::against(mean, &bounds), Sequence::new(bounds));
    let outcomes = [0.0, 0.0, 1.25, 0.0, -10.0, 0.0, 3.0, 10.0, 0.0, -1.25];
    for outcome in outcomes.into_iter().cycle().take(300) {
        watch.push(outcome);
        sequence.add(outcome, 1).unwrap();
    }
    let (above, below) = watch.ln_capital();
    let whole = (0.5 * (above.exp() + below.exp())).ln();
    assert!((whole - sequence.ln_e_value(mean)).abs() < 1e-9 * whole.abs().max(1.0));
    assert!((above - sequence.ln_e_value_above(mean)).abs() < 1e-9 * above.abs().max(1.0));
}
