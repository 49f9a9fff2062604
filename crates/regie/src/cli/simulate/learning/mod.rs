//! `regie simulate learning`: how much of what there is to gain is gained, by the product's learner and by others.
//!
//! Campaigns as docs/SIMULATION.md specifies them, or a truth from a file. Means over seeds with 95% intervals, beside the bars. All rows
//! with thirty seeds take hours: `--row` divides them, `--keep` lets a run be stopped and gone on with. Refuses to leave out a seed.

mod jobs;
mod plot;
pub mod policy;
mod scenario;
mod table;
mod uploaded;

use crate::cli::{Cli, progress};
use anyhow::{Context, Result};
use clap::Args;
use jobs::{Kept, Key};
use regie_sim::campaign::{Captured, Effect, Family, Form, Truth};
use scenario::{Scenario, Who};
use std::{path::PathBuf, process::ExitCode};

/// What `regie simulate learning` takes.
#[derive(Debug, Args)]
pub struct LearningArgs {
    /// Run every scenario that has a bar, one after the other, instead of the one described by the flags.
    #[arg(long)]
    bars: bool,
    /// Only rows of `--bars` whose name begins so, such as sparse-2m, strong or uploaded; may be given several times.
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,
    /// Print the names of the rows of `--bars`.
    #[arg(long)]
    rows: bool,
    /// With `--bars` or `--row`: keep each run in this file as it finishes, and do not run again what is in it. The file of one
    /// program is none for another: a changed learner needs a new one.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Write a picture of each row of templates, as NAME.svg, into this folder.
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
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
    let barred = args.bars || !args.row.is_empty();
    if args.rows {
        scenario::with_bars(form).iter().for_each(|scenario| println!("{}", scenario.row));
        uploaded::ROWS.iter().for_each(|row| println!("{}", row.row));
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(barred || args.keep.is_none(), "--keep: only with --bars or --row");
    let wanted =
        |row: &str| args.row.is_empty() || args.row.iter().any(|name| row.starts_with(name.as_str()));
    let scenarios = match barred {
        true => scenario::with_bars(form).into_iter().filter(|scenario| wanted(&scenario.row)).collect(),
        false => vec![described(args, form)?],
    };
    let lists: Vec<uploaded::Row> =
        uploaded::ROWS.into_iter().filter(|row| barred && wanted(row.row)).collect();
    anyhow::ensure!(!scenarios.is_empty() || !lists.is_empty(), "--row: no such row; --rows prints them");
    Who::list(&args.beside)?;
    let mut kept = Kept::open(args.keep.as_deref())?;
    let mut missed = 0;
    for scenario in &scenarios {
        let timer = Timer::start();
        missed += usize::from(!templates(cli, args, scenario, &seeds, &mut kept)?);
        timer.stop(cli.json);
    }
    for row in &lists {
        let timer = Timer::start();
        let jobs = uploaded::jobs(row, &seeds);
        let bar = progress::bar(row.row, cli.json);
        bar.set_length(jobs.len() as u64);
        kept.run(&jobs, &uploaded::one, &|| bar.inc(1))?;
        bar.finish_and_clear();
        let runs: Vec<Vec<&Captured>> = jobs
            .chunks(seeds.len())
            .map(|own| own.iter().filter_map(|(key, _)| kept.get(key)).collect())
            .collect();
        missed += usize::from(!uploaded::print(cli.json, row, &runs));
        timer.stop(cli.json);
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs and prints a row of templates; false where its bar is missed.
fn templates(
    cli: &Cli,
    args: &LearningArgs,
    scenario: &Scenario,
    seeds: &[u64],
    kept: &mut Kept,
) -> Result<bool> {
    let policies = scenario.policies(&Who::list(&args.beside)?);
    let key = |who: Who, seed: u64| Key {
        row: scenario.row.clone(),
        policy: who.word().to_owned(),
        seed,
        requests_count: scenario.requests_count,
    };
    let jobs: Vec<(Key, Who)> =
        policies.iter().flat_map(|who| seeds.iter().map(|seed| (key(*who, *seed), *who))).collect();
    let bar = progress::bar(&scenario.name, cli.json);
    bar.set_length(jobs.len() as u64);
    kept.run(&jobs, &|who, seed| scenario.one(*who, seed), &|| bar.inc(1))?;
    bar.finish_and_clear();
    let runs = |who: Who| seeds.iter().filter_map(|seed| kept.get(&key(who, *seed)).cloned()).collect();
    let rows: Vec<(Who, Vec<Captured>)> = policies.iter().map(|who| (*who, runs(*who))).collect();
    if let Some(folder) = &args.plot {
        let path = folder.join(format!("{}.svg", scenario.row));
        std::fs::write(&path, plot::svg(scenario, &rows))
            .with_context(|| format!("--plot {}", path.display()))?;
    }
    Ok(table::print(cli.json, scenario, &rows))
}

/// How long a row took, by the clock and in processor time.
struct Timer {
    begun: std::time::Instant,
    cpu_s: Option<f64>,
}
impl Timer {
    fn cpu_s() -> Option<f64> {
        crate::cli::bench::cpu_s(std::process::id()).ok()
    }
    fn start() -> Timer {
        Timer { begun: std::time::Instant::now(), cpu_s: Timer::cpu_s() }
    }
    fn stop(self, in_json: bool) {
        let cpu_s = Timer::cpu_s().zip(self.cpu_s).map(|(end, start)| end - start);
        if !in_json {
            let cpu = cpu_s.map(|s| format!(", {s:.0} s of processor time")).unwrap_or_default();
            println!("took {:.0} s{cpu}", self.begun.elapsed().as_secs_f64());
        }
    }
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
