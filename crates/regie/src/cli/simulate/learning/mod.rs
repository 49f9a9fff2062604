//! `regie simulate learning`: how much of what there is to gain is gained, by the product's learner and by others.
//!
//! Campaigns as docs/SIMULATION.md specifies them, or a truth from a file. Means over seeds with 95% intervals, beside the bars. Refuses to
//! leave out a seed.

pub mod policy;
mod scenario;
mod table;

use crate::cli::{Cli, progress};
use anyhow::{Context, Result};
use clap::Args;
use regie_sim::campaign::{Effect, Family, Form, Truth};
use scenario::{Scenario, Who};
use std::{path::PathBuf, process::ExitCode};

/// What `regie simulate learning` takes.
#[derive(Debug, Args)]
pub struct LearningArgs {
    /// Run every scenario that has a bar, one after the other, instead of the one described by the flags.
    #[arg(long)]
    bars: bool,
    /// Family of the truth: sparse, mains, pairs, heavy, strong, dense, null (docs/SIMULATION.md).
    #[arg(long, default_value = "sparse")]
    family: String,
    /// The template of 590,000 versions instead of 5.9 million.
    #[arg(long)]
    small: bool,
    /// A truth from a JSON file, as `regie simulate truth --json` prints one, instead of a family.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 30)]
    seeds: u64,
    /// Requests.
    #[arg(long, default_value_t = 2_000_000)]
    requests: usize,
    /// The learner hears of an outcome so many impressions later.
    #[arg(long, default_value_t = 0)]
    delay: usize,
    /// 30% of the truth is drawn again half-way.
    #[arg(long)]
    redrawn: bool,
    /// Assets join after a quarter, others are retired half-way.
    #[arg(long)]
    assets_change: bool,
    /// Multiplies the widths of the learner's priors.
    #[arg(long, default_value_t = 1.0)]
    prior_scale: f64,
    /// Policies beside the learner: all, none, or a list of main-effects, thompson, ucb1, halving, epsilon-greedy, uniform.
    #[arg(long, default_value = "all")]
    beside: String,
}

/// Runs it.
///
/// # Errors
/// Unknown words, a truth that cannot be.
pub fn run(cli: &Cli, args: &LearningArgs) -> Result<ExitCode> {
    let seeds: Vec<u64> = (args.first_seed..args.first_seed.saturating_add(args.seeds)).collect();
    anyhow::ensure!(!seeds.is_empty(), "--seeds: at least one");
    let form = if args.small { Form::Small } else { Form::Large };
    let scenarios = if args.bars { scenario::with_bars(form) } else { vec![described(args, form)?] };
    let beside = Who::list(&args.beside)?;
    let mut missed = 0;
    for scenario in &scenarios {
        let policies: Vec<Who> =
            [Who::Learner].into_iter().chain(beside.iter().copied().filter(|_| scenario.compared)).collect();
        let bar = progress::bar(&scenario.name, cli.json);
        bar.set_length((seeds.len() * policies.len()) as u64);
        let rows = scenario.run(&policies, &seeds, &|| bar.inc(1))?;
        bar.finish_and_clear();
        missed += usize::from(!table::print(cli.json, scenario, &rows));
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn described(args: &LearningArgs, form: Form) -> Result<Scenario> {
    let family = Family::from_word(&args.family).with_context(|| {
        let known: Vec<&str> = Family::ALL.iter().map(|family| family.word()).collect();
        format!("--family {}: unknown; known are {}", args.family, known.join(", "))
    })?;
    let truth = args.truth.as_ref().map(|path| read(path)).transpose()?;
    let mut scenario = Scenario::plain(family, form, args.requests);
    scenario.truth = truth;
    scenario.events.delay_count = args.delay;
    scenario.events.redrawn = args.redrawn;
    scenario.events.assets_change = args.assets_change;
    scenario.prior_scale = args.prior_scale.clamp(1e-3, 1e3);
    anyhow::ensure!(
        scenario.truth.is_none() || !(args.redrawn || args.assets_change),
        "--truth cannot be combined with --redrawn or --assets-change"
    );
    Ok(scenario)
}

#[derive(serde::Deserialize)]
struct TruthFile {
    sizes: Vec<usize>,
    #[serde(default = "base_rate")]
    base_rate: f64,
    effects: Vec<EffectRow>,
}
#[derive(serde::Deserialize)]
struct EffectRow {
    first: (usize, usize),
    second: Option<(usize, usize)>,
    log_odds: f64,
}
fn base_rate() -> f64 {
    regie_sim::campaign::BASE_RATE
}

fn read(path: &std::path::Path) -> Result<Truth> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: TruthFile =
        serde_json::from_str(&text).with_context(|| format!("{} is no truth", path.display()))?;
    let effect = |row: EffectRow| Effect { first: row.first, second: row.second, log_odds: row.log_odds };
    Ok(Truth::from_effects(file.sizes, file.base_rate, file.effects.into_iter().map(effect).collect())?)
}
