//! `regie evaluate`: what would another policy have earned, from what was logged?
//!
//! Plain words first, then the statistics. Refuses a policy that does what the log could not show, and a bare figure where
//! a few rows would carry it (law D2 is what makes any of it possible: propensities are exact).

mod logs;
mod policies;

use super::Cli;
use anyhow::{Result, bail};
use clap::Args;
use logs::{Actions, Logged, Selection};
use policies::Policy;
use regie_learn::{
    evaluate::{
        Log,
        estimators::{Estimator, SHOWN, Weights},
        intervals, model,
        support::{Known, Support},
        verdict::{self, Verdict},
    },
    infer::Interval,
};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

/// The level of every interval.
const ALPHA: f64 = 0.05;

/// Arguments of `regie evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// What was logged: a CSV in the Open Bandit layout, one with the columns reward, pscore, pi_e (q_factual, dm_term), or a
    /// folder that regie export wrote.
    log: PathBuf,
    /// The policy in question: uniform, logged, version:ID, table:FILE.csv, thompson:FILE.yaml#CAMPAIGN, learned:OTHER_LOG.
    #[arg(long, default_value = "uniform")]
    policy: String,
    /// Of an export: which ad set; the one with most impressions unless given.
    #[arg(long)]
    ad_set: Option<i64>,
    /// Of an export: what counts: clicks, viewable, conversions, value.
    #[arg(long, default_value = "clicks")]
    reward: String,
    /// A log of the policy in question itself, to see how far off the estimates are.
    #[arg(long, value_name = "LOG")]
    truth: Option<PathBuf>,
    /// The largest weight that was possible, for the interval that needs no approximation; known for uniform logs.
    #[arg(long)]
    weight_max: Option<f64>,
    /// Resamples of the bootstrap.
    #[arg(long, default_value_t = 10_000)]
    resamples: usize,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 12_345)]
    seed: u64,
}

/// One estimator's figures.
struct Figure {
    estimator: Estimator,
    value: f64,
    bootstrap: Interval,
    normal: Interval,
}

/// All that is said.
struct Answer {
    about: String,
    /// The log came with its target column; no policy was named.
    columns: bool,
    unit: String,
    log: Log,
    weights: Weights,
    verdict: Verdict,
    support: Option<(Support, f64)>,
    figures: Vec<Figure>,
    betting: Option<(f64, Interval)>,
    truth: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// A log or policy that cannot be read; a policy outside the log's support.
pub fn run(cli: &Cli, args: &EvaluateArgs) -> Result<ExitCode> {
    let selection = Selection { ad_set: args.ad_set, reward: args.reward.clone() };
    let (about, unit, log, support, bound) = match logs::read(&args.log, &selection)? {
        Logged::Columns(log) => {
            log.check()?;
            let support = Support::of_weights(&Weights::of(&log), log.count());
            support.check()?;
            let about = format!("{} rows of {}", log.count(), args.log.display());
            (about, "rewards".into(), log, Some((support, support.outside_share)), None)
        }
        Logged::Actions(actions) => {
            let policy = policies::read(&args.policy, &actions, &args.log)?;
            let bound = weight_bound(&actions, &policy);
            let (log, support) = under(&actions, &policy)?;
            (actions.about, actions.unit, log, support, bound)
        }
    };
    log.check()?;
    let weights = Weights::of(&log);
    let verdict = verdict::judge(&log, &weights);
    let chosen = SHOWN.into_iter().filter(|e| log.has_model() || !e.needs_model());
    let figures = chosen
        .map(|estimator| Figure {
            estimator,
            value: estimator.value(&log),
            bootstrap: intervals::bootstrap(estimator, &log, ALPHA, args.resamples, args.seed),
            normal: intervals::normal(estimator, &log, ALPHA),
        })
        .collect();
    let in_unit = log.reward.iter().all(|r| (0.0..=1.0).contains(r));
    let betting = match args.weight_max.or(bound).filter(|_| in_unit) {
        Some(bound) => Some((bound, intervals::betting(&log, bound * (1.0 + 1e-9), ALPHA)?)),
        None => None,
    };
    let truth = match &args.truth {
        Some(path) => match logs::read(path, &selection)? {
            Logged::Actions(actions) => Some(mean(&actions.shown.reward)),
            Logged::Columns(log) => Some(log.earned()),
        },
        None => None,
    };
    let columns = unit == "rewards";
    let answer = Answer { about, columns, unit, log, weights, verdict, support, figures, betting, truth };
    if cli.json {
        println!("{:#}", answer.json(&args.policy));
    } else {
        print!("{}", answer.words(&args.policy));
    }
    Ok(ExitCode::SUCCESS)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The largest weight that was possible beforehand, where the log was uniform.
fn weight_bound(actions: &Actions, policy: &Policy) -> Option<f64> {
    let uniform = 1.0 / actions.names.len() as f64;
    if !actions.logged.iter().all(|p| (p - uniform).abs() < 1e-9) {
        return None;
    }
    match policy {
        Policy::Logged => Some(1.0),
        Policy::Table(table) => {
            let likeliest = (0..table.places_count()).flat_map(|p| table.at(p)).copied().fold(0.0, f64::max);
            Some(likeliest / uniform)
        }
    }
}

/// The log's columns under a policy, the support checked.
fn under(actions: &Actions, policy: &Policy) -> Result<(Log, Option<(Support, f64)>)> {
    let mut log =
        Log { reward: actions.shown.reward.clone(), logged: actions.logged.clone(), ..Log::default() };
    let Policy::Table(table) = policy else {
        log.target = log.logged.clone();
        return Ok((log, None));
    };
    if table.actions_count() != actions.names.len() {
        bail!("the policy has {} actions, the log {}", table.actions_count(), actions.names.len());
    }
    let shown = || actions.shown.action.iter().copied().zip(actions.shown.place.iter().copied());
    log.target = shown().map(|(action, place)| table.at(place)[action]).collect();
    (log.predicted, log.expected) = model::cross_fit(&actions.shown, table);
    let places = actions.places_count();
    let mut seen = vec![vec![0u64; actions.names.len()]; places];
    shown().for_each(|(action, place)| seen[place][action] += 1);
    let rows = log.count() as f64;
    let outside = |place: usize| {
        let row = &seen[place];
        let here: u64 = row.iter().sum();
        (here as f64 / rows, table.at(place), move |action: usize| row[action] > 0)
    };
    let cells: Vec<_> = (0..places).map(outside).collect();
    let observed = Support::of(
        cells.iter().map(|(share, target, possible)| (*share, *target, possible as &dyn Fn(usize) -> bool)),
        Known::Observed,
    );
    let support =
        if actions.everywhere { Support { outside_share: 0.0, known: Known::Declared } } else { observed };
    support.check()?;
    Ok((log, Some((support, observed.outside_share))))
}

impl Answer {
    /// The estimator that the sentence speaks of: doubly robust where there is a model, else self-normalised.
    fn main(&self) -> &Figure {
        let wanted = if self.log.has_model() { Estimator::Dr } else { Estimator::Snips };
        self.figures.iter().find(|f| f.estimator == wanted).unwrap_or(&self.figures[0])
    }
    fn support_words(&self) -> String {
        match &self.support {
            None => String::new(),
            Some((support, never_shown)) => format!(
                "Outside what the log could show: {:.2}% of the policy ({}); possible but never shown: {:.2}%.\n",
                100.0 * support.outside_share,
                match support.known {
                    Known::Declared => "by the logging policy",
                    Known::Observed => "counting all that was never shown",
                },
                100.0 * if support.known == Known::Declared { *never_shown } else { 0.0 },
            ),
        }
    }
    fn words(&self, policy: &str) -> String {
        let main = self.main();
        let mut out = format!("{}\n\n", self.about);
        let earned = self.log.earned();
        let name = if self.columns {
            "The policy of the target column".into()
        } else {
            format!("The policy \"{policy}\"")
        };
        let said = verdict::sentence(&name, &self.unit, &self.verdict, main.value, &main.bootstrap, earned);
        out += &format!("{said}\n");
        self.verdict.warnings.iter().for_each(|w| out += &format!("\nWarning: {w}\n"));
        out += &format!("\n{}", self.support_words());
        out += &format!(
            "{} rows are worth {:.2} for this policy (effective sample size); mean weight {:.4}, largest {:.2}.\n\n",
            self.log.count(),
            self.weights.effective_count,
            self.weights.mean,
            self.weights.largest
        );
        let marked = if self.verdict.may_say_a_number { "" } else { " (only with its range)" };
        let against = self.truth.map(|t| format!("  {:>14}", format!("off {t:.6}"))).unwrap_or_default();
        out += &format!(
            "{:<16} {:>14}{marked}  {:>25}  {:>25}{against}\n",
            "estimator", "value", "95%, bootstrap", "95%, normal"
        );
        for figure in &self.figures {
            let off = self.truth.map(|t| format!("  {:>13.2}%", 100.0 * (figure.value - t).abs() / t));
            out += &format!(
                "{:<16} {:>14.9}  {:>25}  {:>25}{}\n",
                figure.estimator.name(),
                figure.value,
                range(&figure.bootstrap),
                range(&figure.normal),
                off.unwrap_or_default()
            );
        }
        if self.log.has_model() {
            out += "\nThe ranges of DM hold only if its model is right; the model is fitted by action and place, and cross-fitted.\n";
        }
        if let Some((bound, interval)) = &self.betting {
            out += &format!(
                "\nWithout any approximation, for weights up to {bound:.3}: {} (95%, at every look; betting).\n",
                range(interval)
            );
        }
        out
    }
    fn json(&self, policy: &str) -> serde_json::Value {
        let main = self.main();
        let pair = |i: &Interval| json!([i.low, i.high]);
        let figures: Vec<_> = self
            .figures
            .iter()
            .map(|f| {
                let off = self.truth.map(|t| (f.value - t).abs() / t);
                json!({ "estimator": f.estimator.name(), "value": f.value, "bootstrap": pair(&f.bootstrap),
                        "normal": pair(&f.normal), "relative_error": off })
            })
            .collect();
        json!({
            "log": self.about, "policy": policy, "unit": self.unit, "rows": self.log.count(),
            "earned": self.log.earned(), "truth": self.truth,
            "estimate": self.verdict.may_say_a_number.then_some(main.value),
            "interval": pair(&main.bootstrap), "estimator": main.estimator.name(),
            "warnings": self.verdict.warnings,
            "support": self.support.as_ref().map(|(s, never)| json!({ "outside_share": s.outside_share,
                "declared": s.known == Known::Declared, "never_shown_share": never })),
            "weights": { "mean": self.weights.mean, "largest": self.weights.largest,
                         "largest_share": self.weights.largest_share, "effective_count": self.weights.effective_count },
            "betting": self.betting.as_ref().map(|(bound, i)| json!({ "weight_max": bound, "interval": pair(i) })),
            "estimators": figures,
        })
    }
}

fn range(interval: &Interval) -> String {
    format!("{:.7} to {:.7}", interval.low, interval.high)
}
