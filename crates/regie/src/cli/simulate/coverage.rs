//! `regie simulate coverage`: how often 95% confidence sequences miss the truth when every unit is a look, at rates of 0.1%, 1% and 10%,
//! allocation fixed and adaptive, with and without an effect, outcomes delayed. Refuses to leave out a run.

use crate::cli::{Cli, progress};
use anyhow::Result;
use clap::Args;
use regie_learn::infer::coverage::{self, Method, Setting};
use serde_json::json;
use std::process::ExitCode;

/// Misses of each method, in the order of [`Method::ALL`].
type Counts = [u64; Method::ALL.len()];

/// How much is simulated.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// Runs of each setting.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// Units of each run; every unit is a look.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    units: u64,
    /// Seed of the first run of each setting.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Simulates and prints; fails where a sequence that promises 5% misses more than that and two Monte Carlo standard errors.
///
/// # Errors
/// A worker that ended early.
pub fn run(cli: &Cli, args: &CoverageArgs) -> Result<ExitCode> {
    let bar = coverage::allowed(args.runs);
    let settings = coverage::settings(args.units);
    let progress = progress::bar("coverage", cli.json);
    progress.set_length(settings.len() as u64);
    if !cli.json {
        println!("{} runs of {} units, every unit a look; bar {:.2}%\n", args.runs, args.units, 100.0 * bar);
        println!("| rate | allocation | effect | {} |", Method::ALL.map(Method::name).join(" | "));
        println!("|---|---|---|{}", "---|".repeat(Method::ALL.len()));
    }
    let mut broken = 0;
    for setting in &settings {
        let counts = count(setting, args)?;
        let shares = counts.map(|count| count as f64 / args.runs as f64);
        let above = |(method, share): &(Method, f64)| method.promises() && *share > bar;
        broken += Method::ALL.into_iter().zip(shares).filter(above).count();
        print(cli.json, setting, shares, bar);
        progress.inc(1);
    }
    progress.finish_and_clear();
    if !cli.json {
        println!("\n{broken} cells of sequences that promise 5% are above the bar.");
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(in_json: bool, setting: &Setting, shares: [f64; Method::ALL.len()], bar: f64) {
    let allocation = if setting.adaptive { "adaptive" } else { "fixed" };
    if in_json {
        let cell = |(method, share): (Method, f64)| json!({ "method": method.name(), "promises": method.promises(), "missed": share });
        let cells: Vec<_> = Method::ALL.into_iter().zip(shares).map(cell).collect();
        let effect = if setting.effect { coverage::EFFECT } else { 1.0 };
        println!(
            "{}",
            json!({ "rate": setting.rate, "allocation": allocation, "times": effect, "bar": bar, "sequences": cells })
        );
        return;
    }
    let effect = if setting.effect { format!("x {}", coverage::EFFECT) } else { "none".to_owned() };
    let cells = shares.map(|share| format!("{:.2}%", 100.0 * share));
    println!("| {}% | {allocation} | {effect} | {} |", 100.0 * setting.rate, cells.join(" | "));
}

/// Misses of each method, over all processors.
fn count(setting: &Setting, args: &CoverageArgs) -> Result<Counts> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let part = |first: u64| {
        let mut counts = Counts::default();
        for run in (first..args.runs).step_by(threads as usize) {
            let seed = args.seed.wrapping_add(run).wrapping_mul(0xd134_2543_de82_ef95);
            let missed = coverage::run(setting, seed);
            counts.iter_mut().zip(missed).for_each(|(count, missed)| *count += u64::from(missed));
        }
        counts
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        let mut counts = Counts::default();
        for worker in workers {
            let own = worker.join().map_err(|_| anyhow::anyhow!("a worker of the study ended early"))?;
            counts.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
        }
        Ok(counts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_run_is_counted_once_whatever_the_processors() {
        let setting = coverage::settings(600).into_iter().next_back().unwrap();
        let args = CoverageArgs { runs: 31, units: 600, seed: 7 };
        let mut alone = Counts::default();
        for run in 0..31u64 {
            let missed = coverage::run(&setting, (7 + run).wrapping_mul(0xd134_2543_de82_ef95));
            alone.iter_mut().zip(missed).for_each(|(count, missed)| *count += u64::from(missed));
        }
        assert_eq!(count(&setting, &args).unwrap(), alone);
        assert!(alone.iter().sum::<u64>() > 0, "the repeated look misses in some");
    }
}
