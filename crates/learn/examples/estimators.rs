//! `cargo run --release -p regie-learn --example estimators`: time of each estimator for 10,000 rows, beside its bar.
//!
//! The best of many rounds of one thread: on a shared machine the others measure the neighbours.

// A benchmark measures; the room itself never does.
#![allow(clippy::disallowed_methods)]

use regie_learn::evaluate::{
    Log,
    estimators::{Estimator, SHOWN},
};
use std::time::Instant;

const ROWS: usize = 10_000;
const BAR_MICROSECONDS: f64 = 100.0;

fn main() {
    let column = |f: &dyn Fn(usize) -> f64| (0..ROWS).map(f).collect::<Vec<f64>>();
    let log = Log {
        reward: column(&|row| f64::from(u8::from(row % 211 == 0))),
        logged: column(&|row| 0.0125 + 0.01 * (row % 7) as f64),
        target: column(&|row| 0.001 * (row % 83) as f64),
        predicted: column(&|row| 0.003 + 1e-5 * (row % 97) as f64),
        expected: column(&|row| 0.004 + 1e-5 * (row % 11) as f64),
    };
    println!("| estimator | microseconds for {ROWS} rows | bar | value |");
    println!("|---|---|---|---|");
    let mut slow = 0;
    for estimator in SHOWN.into_iter().chain([Estimator::ClippedIps(5.0)]) {
        let (mut best, mut value) = (f64::INFINITY, 0.0);
        for _ in 0..2_000 {
            let start = Instant::now();
            value = std::hint::black_box(estimator).value(std::hint::black_box(&log));
            best = best.min(1e6 * start.elapsed().as_secs_f64());
        }
        slow += u32::from(best >= BAR_MICROSECONDS);
        println!("| {} | {best:.1} | < {BAR_MICROSECONDS} | {value:.6} |", estimator.name());
    }
    std::process::exit(i32::from(slow > 0));
}
