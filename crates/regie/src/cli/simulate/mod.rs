//! `regie simulate`: campaigns with a hidden truth, the platform's own code, figures beside their bars.
//!
//! One subcommand for each thing that is simulated. Refuses to touch a data folder: everything happens in memory.

mod campaign;
mod coverage;
mod learning;
mod market;
mod pacing;
mod truth;

use super::Cli;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// What `regie simulate` takes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct SimulateArgs {
    /// What to simulate.
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    campaign: campaign::CampaignArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How often confidence sequences miss the truth, every unit being a look, beside their bar.
    Coverage(coverage::CoverageArgs),
    /// How much of what there is to gain the learner gains, beside other policies and its bars.
    Learning(Box<learning::LearningArgs>),
    /// Budgets that compete for a site's days: is each spent, along its curve, and never exceeded?
    Pacing(pacing::PacingArgs),
    /// Print the hidden truth of a simulated campaign: what there is to find.
    Truth(truth::TruthArgs),
}

/// Runs it.
///
/// # Errors
/// As the subcommand's.
pub fn run(cli: &Cli, args: &SimulateArgs) -> Result<ExitCode> {
    match &args.what {
        Some(What::Coverage(args)) => coverage::run(cli, args),
        Some(What::Learning(args)) => learning::run(cli, args),
        Some(What::Pacing(args)) => pacing::run(cli, args),
        Some(What::Truth(args)) => truth::run(cli, args),
        None if args.campaign.campaign.is_some() => campaign::run(cli, &args.campaign),
        None => anyhow::bail!("say what to simulate: regie simulate --help"),
    }
}
