//! `regie simulate --campaign 2016`: a political campaign's autumn, scaled: five months of traffic, an auction against a market,
//! $44 million at real prices, 5.9 million versions of one template, learned while it runs.
//!
//! Every request is decided by the product's decision path; where the campaign wins, its version comes from the published table,
//! the viewer clicks or not by a hidden truth, and the learner hears of it. Rounds of requests are decided on all processors while
//! the learner works on the round before: tables are a round late, as in production, and the same seed gives the same run
//! whatever the number of processors (law D1). Refuses wall-clock traffic: time is the simulation's.

use super::{
    learning::policy::space,
    market::{self, OWN, SECTIONS},
};
use crate::cli::{Cli, progress};
use anyhow::Result;
use clap::Args;
use regie_decide::{BudgetGate, Request, Snapshot, Tables, decide};
use regie_learn::{
    allocation::{Allocation, Drawn},
    factor::{Learner, Settings},
};
use regie_model::{AdSetId, PlacementId, SiteId, UtcMs, ticket::DeviceClass};
use regie_sim::{
    DayShape, Random,
    campaign::{CONTEXTS_COUNT, Family, Form, Truth},
};
use serde_json::json;
use std::{process::ExitCode, time::Instant};

/// 11 June 2016, 00:00 UTC; the campaign runs for 150 days.
const BEGINS_AT: UtcMs = UtcMs(1_465_603_200_000);
const DAYS_COUNT: f64 = 150.0;
const DAY_MS: f64 = 86_400_000.0;
/// $44 million, micros.
const BUDGET_MICROS: f64 = 44e12;
/// Requests decided on one table.
const ROUND: usize = 20_000;

/// What `regie simulate --campaign` takes.
#[derive(Debug, Args)]
pub struct CampaignArgs {
    /// Which campaign: 2016.
    #[arg(long)]
    pub campaign: Option<String>,
    /// One in so many: 1 spends the whole $44 million, some 4.4 billion impressions.
    #[arg(long, default_value_t = 1_000.0)]
    factor: f64,
    /// Ad sets of others in the market.
    #[arg(long, default_value_t = 200)]
    rivals: u32,
    /// Family of the hidden truth (docs/SIMULATION.md).
    #[arg(long, default_value = "strong")]
    truth: String,
    /// Seed.
    #[arg(long, default_value_t = 2016)]
    seed: u64,
}

/// The campaign's money.
struct Purse {
    is_spent: bool,
}
impl BudgetGate for Purse {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        self.is_spent && ad_set == OWN
    }
}

/// A click or not, and what it cost.
struct Outcome {
    context: u16,
    drawn: Drawn,
    price_nanos: i64,
    rate: f64,
    clicked: bool,
}

struct Setting<'a> {
    snapshot: &'a Snapshot,
    truth: &'a Truth,
    tables: &'a Tables,
    purse: &'a Purse,
    allocation: &'a Allocation,
    shape: &'a DayShape,
    seed: u64,
    /// Requests expected in all; spreads them over the five months.
    expected: f64,
}

/// Decides requests `first..last`; the campaign's outcomes in order.
fn decide_some(setting: &Setting<'_>, first: usize, last: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(last - first);
    let mut request = Request::bare(BEGINS_AT, 0, SiteId(1), vec![PlacementId(1)]);
    request.page.key_values = vec![("section".into(), String::new())];
    for number in first..last {
        let mut random = Random::new(setting.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Thinning by the hour: the moment is drawn again until the day's shape lets it pass.
        let start = (number as f64 / setting.expected).min(1.0 - 1e-9);
        let at_ms = loop {
            let within = (start * DAYS_COUNT).floor() + random.unit();
            if random.chance(setting.shape.at(within * DAY_MS) / 2.0) {
                break within * DAY_MS;
            }
        };
        request.at = UtcMs(BEGINS_AT.0 + at_ms as i64);
        request.seed = random.bits();
        let section = (random.unit() * SECTIONS.len() as f64) as usize;
        request.page.key_values[0].1.clear();
        request.page.key_values[0].1.push_str(SECTIONS[section]);
        let phone = random.chance(0.5);
        request.device = if phone { DeviceClass::Phone } else { DeviceClass::Desktop };
        let decision = decide(setting.snapshot, setting.tables, &request, setting.purse, &mut |_, _| ());
        let Some(fill) = decision.fills().find(|fill| fill.ad_set == OWN) else { continue };
        let context = section * 2 + usize::from(phone);
        let drawn = setting.allocation.draw(context, random.bits());
        let rate = setting.truth.rate(context, &drawn.assets[..setting.truth.slots().len()]);
        let clicked = random.chance(rate);
        outcomes.push(Outcome {
            context: context as u16,
            drawn,
            price_nanos: fill.price_nanos,
            rate,
            clicked,
        });
    }
    outcomes
}

/// What has come of it so far.
#[derive(Default)]
struct Sums {
    decisions: usize,
    impressions: u64,
    clicks: u64,
    spent_nanos: i128,
    tables: u32,
    /// (impressions, true rates summed) by tenth of the budget.
    tenths: [(f64, f64); 10],
    learning_s: f64,
}

/// Runs it.
///
/// # Errors
/// Unknown words.
pub fn run(cli: &Cli, args: &CampaignArgs) -> Result<ExitCode> {
    let name = args.campaign.as_deref().unwrap_or_default();
    anyhow::ensure!(name == "2016", "--campaign {name}: unknown; known is 2016");
    anyhow::ensure!(args.factor >= 1.0 && args.factor <= 1e7, "--factor: from 1 to 10000000");
    let family =
        Family::from_word(&args.truth).ok_or_else(|| anyhow::anyhow!("--truth {}: unknown", args.truth))?;
    let truth = Truth::draw(family, Form::Large, args.seed);
    let (snapshot, tables) = market::build(args.rivals, BEGINS_AT, args.seed)?;
    let budget_nanos = (BUDGET_MICROS / args.factor * 1e3) as i128;
    let available: Vec<Vec<bool>> = truth.slots().iter().map(|size| vec![true; *size]).collect();
    let mut learner = Learner::new(space(&available, CONTEXTS_COUNT)?, Settings::default());
    let mut allocation = learner.allocate(args.seed);
    let shape = DayShape::news(DAY_MS as u32);
    let purse = Purse { is_spent: false };
    // Prices near $10 per mille, and not every auction is won.
    let expected = (budget_nanos as f64 / 8e6 * 1.3).max(1.0);
    let bar = progress::bar("$44M campaign", cli.json);
    bar.set_length((budget_nanos / 1_000_000_000) as u64);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut sums = Sums::default();
    let mut waiting: Vec<Outcome> = Vec::new();
    let begun = Instant::now();
    while sums.spent_nanos < budget_nanos && (sums.decisions as f64) < 20.0 * expected {
        let setting = Setting {
            snapshot: &snapshot,
            truth: &truth,
            tables: &tables,
            purse: &purse,
            allocation: &allocation,
            shape: &shape,
            seed: args.seed,
            expected,
        };
        let first = sums.decisions;
        let (outcomes, table) = std::thread::scope(|scope| {
            let parts: Vec<_> = (0..workers)
                .map(|n| {
                    let range = (first + ROUND * n / workers, first + ROUND * (n + 1) / workers);
                    let setting = &setting;
                    scope.spawn(move || decide_some(setting, range.0, range.1))
                })
                .collect();
            let learning = Instant::now();
            for outcome in &waiting {
                let reward = if outcome.clicked { 1.0 } else { 0.0 };
                learner.observe(usize::from(outcome.context), outcome.drawn.code, 1.0, reward);
            }
            let table = learner.is_due().then(|| learner.refresh(args.seed ^ first as u64));
            sums.learning_s += learning.elapsed().as_secs_f64();
            let mut all = Vec::with_capacity(ROUND);
            for part in parts {
                match part.join() {
                    Ok(outcomes) => all.extend(outcomes),
                    Err(cause) => std::panic::resume_unwind(cause),
                }
            }
            (all, table)
        });
        sums.decisions += ROUND;
        waiting = account(outcomes, budget_nanos, &mut sums);
        if let Some(table) = table {
            allocation = table;
            sums.tables += 1;
        }
        bar.set_position((sums.spent_nanos / 1_000_000_000) as u64);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    report(cli, args, &truth, &learner, &sums, elapsed);
    Ok(ExitCode::SUCCESS)
}

/// Charges outcomes in order until the budget is spent, to the nano; what comes after was not served.
fn account(outcomes: Vec<Outcome>, budget_nanos: i128, sums: &mut Sums) -> Vec<Outcome> {
    let mut served = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let left = budget_nanos - sums.spent_nanos;
        if left <= 0 {
            break;
        }
        let tenth = ((sums.spent_nanos * 10 / budget_nanos) as usize).min(9);
        sums.spent_nanos += i128::from(outcome.price_nanos).min(left);
        sums.impressions += 1;
        sums.clicks += u64::from(outcome.clicked);
        sums.tenths[tenth].0 += 1.0;
        sums.tenths[tenth].1 += outcome.rate;
        served.push(outcome);
    }
    served
}

fn report(cli: &Cli, args: &CampaignArgs, truth: &Truth, learner: &Learner, sums: &Sums, elapsed: f64) {
    let (even, best) = truth.standing(None).over_contexts();
    let shares: Vec<f64> =
        sums.tenths.iter().map(|(count, rates)| (rates / count.max(1.0) - even) / (best - even)).collect();
    let per_s = sums.decisions as f64 / elapsed;
    let price = sums.spent_nanos as f64 / 1e6 / (sums.impressions.max(1) as f64);
    let found = learner.effects().found();
    if cli.json {
        println!(
            "{}",
            json!({ "factor": args.factor, "decisions": sums.decisions, "impressions": sums.impressions, "clicks": sums.clicks,
                "spent_nanos": sums.spent_nanos.to_string(), "per_mille": price, "tables": sums.tables, "seconds": elapsed,
                "decisions_per_s": per_s, "learning_seconds": sums.learning_s, "share_by_tenth": shares })
        );
        return;
    }
    println!(
        "${:.2} spent of $44 million / {} at ${price:.2} per mille",
        sums.spent_nanos as f64 / 1e9,
        args.factor
    );
    println!(
        "{} requests decided, {} impressions won, {} clicks, {} tables",
        sums.decisions, sums.impressions, sums.clicks, sums.tables
    );
    println!(
        "versions: {} combinable; {} shown at least once in a context",
        Form::Large.versions_count(),
        learner.evidence().cells_count()
    );
    println!(
        "click rate: {:.2}% for an even draw, {:.2}% for the best; of that gap, by tenth of the budget:",
        100.0 * even,
        100.0 * best
    );
    println!(
        "  {}",
        shares.iter().map(|share| format!("{:.0}%", 100.0 * share)).collect::<Vec<_>>().join("  ")
    );
    println!("what was learned ({} effects more likely than not; strongest first):", found.len());
    let name = |(slot, asset): (usize, usize)| match slot == truth.slots().len() {
        true => format!(
            "on {} ({})",
            SECTIONS[asset / 2 % SECTIONS.len()],
            if asset % 2 == 1 { "phone" } else { "desktop" }
        ),
        false => format!("slot {} asset {}", slot + 1, asset + 1),
    };
    for effect in found.iter().take(12) {
        let second = effect.second.map(|second| format!(" with {}", name(second)).replace("with on", "on"));
        let times = f64::from(effect.posterior.mean).exp();
        println!("  x {times:.2}  {}{}", name(effect.first), second.unwrap_or_default());
    }
    println!(
        "{elapsed:.1} s in all, of which the learner was busy {:.1} s beside the decisions",
        sums.learning_s
    );
    if let Ok(cpu_s) = crate::cli::bench::cpu_s(std::process::id()) {
        println!("{:.0} decisions a CPU-second, learning included", sums.decisions as f64 / cpu_s.max(0.01));
    }
    let bar = if per_s >= 200_000.0 { "held" } else { "MISSED" };
    println!("whole loop: {per_s:.0} decisions/s (bar 200,000: {bar})");
}
