//! `cargo run --release -p regie-learn --example coverage [runs] [units]`: how often 95% confidence sequences miss the
//! truth when every unit is a look. 10,000 runs of 10,000 units for each setting unless told otherwise.

use regie_learn::infer::coverage::{self, Method, Missed, Setting};

fn main() {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).map_or(Ok(default), |text| text.parse()).expect("a whole number")
    };
    let (runs_count, units_count) = (number(1, 10_000), number(2, 10_000));
    let bar = coverage::allowed(runs_count);
    println!("{runs_count} runs of {units_count} units, every unit a look; bar {:.2}%\n", 100.0 * bar);
    println!("| rate | allocation | effect | {} |", Method::ALL.map(Method::name).join(" | "));
    println!("|---|---|---|{}", "---|".repeat(Method::ALL.len()));
    let mut broken = 0;
    for setting in coverage::settings(units_count) {
        let counts = count(&setting, runs_count);
        let mut cells = Vec::new();
        for (method, count) in Method::ALL.into_iter().zip(counts) {
            let share = count as f64 / runs_count as f64;
            broken += u32::from(method.promises() && share > bar);
            cells.push(format!("{:.2}%", 100.0 * share));
        }
        let allocation = if setting.adaptive { "adaptive" } else { "fixed" };
        let effect = if setting.effect { "x 1.5" } else { "none" };
        println!("| {}% | {allocation} | {effect} | {} |", 100.0 * setting.rate, cells.join(" | "));
    }
    println!("\n{broken} cells of sequences that promise 5% are above the bar.");
    std::process::exit(i32::from(broken > 0));
}

/// Misses of each method, over all cores.
fn count(setting: &Setting, runs_count: u64) -> [u64; Method::ALL.len()] {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    let mut counts = [0u64; Method::ALL.len()];
    std::thread::scope(|scope| {
        let part = |first: u64| {
            let mut counts = [0u64; Method::ALL.len()];
            for run in (first..runs_count).step_by(threads as usize) {
                let missed: Missed = coverage::run(setting, (run + 1).wrapping_mul(0xd134_2543_de82_ef95));
                counts.iter_mut().zip(missed).for_each(|(count, missed)| *count += u64::from(missed));
            }
            counts
        };
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        for worker in workers {
            let part = worker.join().expect("a worker of the study ended early");
            counts.iter_mut().zip(part).for_each(|(sum, count)| *sum += count);
        }
    });
    counts
}
