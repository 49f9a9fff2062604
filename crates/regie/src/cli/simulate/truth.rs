//! `regie simulate truth`: what a simulated campaign hides. Refuses to run anything.

use crate::cli::Cli;
use anyhow::{Context, Result};
use clap::Args;
use regie_sim::campaign::{Family, Form, Truth};
use serde_json::json;
use std::process::ExitCode;

/// Which campaign.
#[derive(Debug, Args)]
pub struct TruthArgs {
    /// Family: sparse, mains, pairs, heavy, dense, null (docs/SIMULATION.md).
    #[arg(long, default_value = "sparse")]
    family: String,
    /// The template of 590,000 versions instead of 5.9 million.
    #[arg(long)]
    small: bool,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints it.
///
/// # Errors
/// An unknown family.
pub fn run(cli: &Cli, args: &TruthArgs) -> Result<ExitCode> {
    let family = Family::from_word(&args.family).with_context(|| {
        let known: Vec<&str> = Family::ALL.iter().map(|family| family.word()).collect();
        format!("--family {}: unknown; known are {}", args.family, known.join(", "))
    })?;
    let form = if args.small { Form::Small } else { Form::Large };
    let truth = Truth::draw(family, form, args.seed);
    let (mean, best) = truth.standing(None).over_contexts();
    if cli.json {
        let effects: Vec<_> = truth
            .effects()
            .iter()
            .map(|e| json!({ "first": e.first, "second": e.second, "log_odds": e.log_odds }))
            .collect();
        let sizes: Vec<usize> = truth.slots().iter().copied().chain([truth.contexts_count()]).collect();
        println!("{}", json!({ "sizes": sizes, "mean_rate": mean, "best_rate": best, "effects": effects }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} versions, {} contexts", form.versions_count(), truth.contexts_count());
    println!("rate of an even draw {:.3}%, of the best {:.3}%", mean * 100.0, best * 100.0);
    let name = |(slot, asset): (usize, usize)| match slot == truth.slots().len() {
        true => format!("context {asset}"),
        false => format!("slot {slot} asset {asset}"),
    };
    for effect in truth.effects() {
        let second = effect.second.map(|s| format!(" with {}", name(s))).unwrap_or_default();
        println!("{:+.3}  {}{second}", effect.log_odds, name(effect.first));
    }
    Ok(ExitCode::SUCCESS)
}
