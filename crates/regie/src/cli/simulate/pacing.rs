//! `regie simulate pacing`: a market of competing budgets, day after day, with the figures of docs/PACING.md beside
//! their bars. Refuses to touch a data folder.

use crate::cli::{Cli, progress};
use anyhow::Result;
use clap::Args;
use regie_sim::market::{BudgetDay, Options, Report, Spread, run as simulate};
use serde_json::json;
use std::process::ExitCode;

/// What is simulated.
#[derive(Debug, Args)]
pub struct PacingArgs {
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Budgets that compete.
    #[arg(long, default_value_t = 1_000)]
    budgets: u32,
    /// Requests of a day.
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Days; on the first nothing is known of the site's traffic.
    #[arg(long, default_value_t = 2)]
    days: u32,
    /// Seconds between two updates of the controller.
    #[arg(long, default_value_t = 10)]
    step_s: i64,
}

/// Simulates and prints.
///
/// # Errors
/// None of its own.
pub fn run(cli: &Cli, args: &PacingArgs) -> Result<ExitCode> {
    let options = Options {
        seed: args.seed,
        budgets_count: args.budgets,
        requests_count: args.requests,
        step_ms: args.step_s.max(1) * 1_000,
        learned: false,
        days_count: args.days,
    };
    let bar = progress::bar("hours", cli.json);
    bar.set_length(u64::from(args.days.max(1)) * 24);
    let days = simulate(options, &mut |_, _| bar.inc(1));
    bar.finish_and_clear();
    let held =
        days.iter().enumerate().map(|(at, day)| if cli.json { machine(at, day) } else { print(at, day) });
    let held = held.collect::<Vec<_>>().iter().all(|held| *held);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The share of its budget that a large one must spend on this day.
fn least(day: usize) -> f64 {
    if day == 0 { 0.90 } else { 0.97 }
}
fn within(day: usize, report: &Report) -> (usize, usize) {
    let good = |b: &&BudgetDay| (least(day)..=1.0).contains(&b.share());
    (report.large().filter(good).count(), report.large().count())
}
fn holds(day: usize, report: &Report) -> bool {
    let (good, all) = within(day, report);
    report.exceeded() == 0 && report.broken.is_empty() && good == all
}

fn print(day: usize, report: &Report) -> bool {
    let percent = |spread: Spread| {
        let [min, p5, median, p95, max] =
            [spread.min, spread.p5, spread.median, spread.p95, spread.max].map(|share| share * 100.0);
        format!("min {min:.1}%, 5% {p5:.1}%, median {median:.1}%, 95% {p95:.1}%, max {max:.1}%")
    };
    let known = if day == 0 { "nothing known of the site's traffic" } else { "traffic as learned so far" };
    println!("Day {}: {} requests, {} filled; {known}", day + 1, report.requests_count, report.fills_count);
    let (good, all) = within(day, report);
    println!("  large budgets (>= 1,000 events, unpaced replay >= 120%): {all}");
    println!("    spent {:.0} to 100% of it (bar: all): {good} of {all}", least(day) * 100.0);
    println!("    share spent: {}", percent(Spread::of(report.large().map(BudgetDay::share))));
    println!(
        "    largest distance from the curve: {}",
        percent(Spread::of(report.large().map(BudgetDay::off_curve)))
    );
    println!(
        "    mean distance (root of squares): {}",
        percent(Spread::of(report.large().map(BudgetDay::rms_off_curve)))
    );
    let near = report.small().filter(|b| b.small_is_near()).count();
    println!("  smaller budgets within two events and 3% (bar: all): {near} of {}", report.small().count());
    println!("  budgets that the market could not spend to 120%: {} (no bar)", report.short().count());
    println!("  budgets exceeded (bar: 0): {}; laws broken: {}", report.exceeded(), report.broken.len());
    let free = report.free_nanos / report.billed_nanos.max(1.0) * 100.0;
    println!("  delivered free, of what was billed: {free:.2}%");
    holds(day, report)
}

fn machine(day: usize, report: &Report) -> bool {
    let spread = |spread: Spread| json!({ "min": spread.min, "p5": spread.p5, "median": spread.median, "p95": spread.p95, "max": spread.max });
    let (good, all) = within(day, report);
    let line = json!({
        "day": day + 1,
        "requests_count": report.requests_count,
        "large_count": all,
        "large_within_count": good,
        "share": spread(Spread::of(report.large().map(BudgetDay::share))),
        "off_curve": spread(Spread::of(report.large().map(BudgetDay::off_curve))),
        "off_curve_rms": spread(Spread::of(report.large().map(BudgetDay::rms_off_curve))),
        "small_count": report.small().count(),
        "small_within_count": report.small().filter(|b| b.small_is_near()).count(),
        "short_count": report.short().count(),
        "exceeded_count": report.exceeded(),
        "broken": report.broken,
    });
    println!("{line}");
    holds(day, report)
}
