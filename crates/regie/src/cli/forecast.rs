//! `regie forecast`: what a targeting will meet in a period, who competes, and which promises cannot be kept, from
//! the counts in the data folder. Reads only; may run beside the server, and then lags by its last checkpoint.

use super::Cli;
use crate::platform::{
    folder::Folder,
    folds::Folds,
    forecasting::{Answer, Forecaster, OPEN_PERIOD_DAYS, Question, claim_of, rounded},
    state_db::StateDb,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_decide::forecast::PERIOD_DAYS_MAX;
use regie_model::{
    AdSetId, CampaignId, Faults, UtcMs,
    booking::Tier,
    catalogue::Catalogue,
    event::Event,
    targeting::{Clause, Op, Targeting},
    time::DAY_MS,
};
use std::{fmt::Write, process::ExitCode};

/// Arguments of `regie forecast`.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// One condition, such as --target country=FR,BE or --target 'device!=tv'; all must hold. Every request without.
    #[arg(long = "target", value_name = "DIMENSION=VALUES")]
    targets: Vec<String>,
    /// The forecast of a booked ad set: its targeting, its flight, its promise.
    #[arg(long, value_name = "SET", conflicts_with_all = ["targets", "goal", "share", "campaign"])]
    ad_set: Option<AdSetId>,
    /// For an ad of this campaign: its time zone, and where political ads may appear.
    #[arg(long)]
    campaign: Option<CampaignId>,
    /// From when, as 2027-03-01T00:00:00Z; now when not given.
    #[arg(long)]
    from: Option<String>,
    /// Until when, not included; four weeks after the start when not given.
    #[arg(long)]
    until: Option<String>,
    /// Whether so many impressions could be promised.
    #[arg(long, value_name = "IMPRESSIONS", conflicts_with = "share")]
    goal: Option<u64>,
    /// Whether this share of voice could be promised, in percent.
    #[arg(long, value_name = "PERCENT")]
    share: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// What cannot be read, in words.
pub fn run(cli: &Cli, args: &ForecastArgs) -> Result<ExitCode> {
    let folder = Folder::existing(&cli.folder)?;
    let state = StateDb::open(&folder.state_db())?;
    let mut catalogue = Catalogue::new();
    state.for_each_change(0, |_, body| {
        if let Event::Booked(booked) = Event::decode(body)? {
            catalogue.apply(booked.at, &booked.change);
        }
        Ok(())
    })?;
    let folds = Folds::restore(&state)?;
    let now = (crate::server::system_clock())();
    let question = question(args, &catalogue, now)?;
    let answer = Forecaster::gather(&catalogue, &folds.ledger, now, question).answer();
    if cli.json {
        println!("{}", crate::http::forecast::to_json(&answer));
    } else {
        print!("{}", to_text(&catalogue, &answer));
    }
    Ok(ExitCode::SUCCESS)
}

fn moment(text: Option<&String>, option: &str) -> Result<Option<UtcMs>> {
    let parse = |text: &String| {
        UtcMs::parse(text)
            .with_context(|| format!("--{option} {text}: write a moment as 2027-03-01T00:00:00Z"))
    };
    text.map(parse).transpose()
}

fn question(args: &ForecastArgs, catalogue: &Catalogue, now: UtcMs) -> Result<Question> {
    let (from, until) = (moment(args.from.as_ref(), "from")?, moment(args.until.as_ref(), "until")?);
    let mut question = match args.ad_set {
        Some(id) => {
            let set = catalogue.ad_sets.get(&id).with_context(|| format!("there is no ad set {id}"))?;
            let question = Question::of_ad_set(catalogue, &set.spec, Some(id), now);
            question.with_context(|| format!("the flight of {id} is over"))?
        }
        None => Question {
            targeting: targeting(&args.targets)?,
            from: now,
            until: UtcMs(from.unwrap_or(now).0.saturating_add(OPEN_PERIOD_DAYS * DAY_MS)),
            claim: None,
            campaign: args.campaign,
            instead_of: None,
        },
    };
    if let Some(id) = args.campaign.filter(|id| !catalogue.campaigns.contains_key(id)) {
        bail!("there is no campaign {id}");
    }
    let tier = match (args.goal, args.share) {
        (Some(impressions_count), _) => Some(Tier::Guaranteed { impressions_count }),
        (_, Some(percent)) if (0.0..=100.0).contains(&percent) => {
            Some(Tier::Sponsorship { share_ppm: (percent * 10_000.0).round() as u32 })
        }
        (_, Some(percent)) => bail!("--share {percent}: a share is 0 to 100 percent"),
        _ => None,
    };
    question.claim = tier.and_then(claim_of).or(question.claim);
    question.from = from.unwrap_or(question.from);
    question.until = until.unwrap_or(question.until);
    if question.until <= question.from.max(now) {
        bail!("the period ends before it begins, or is over");
    }
    if question.until.0 - question.from.0 > PERIOD_DAYS_MAX * DAY_MS {
        bail!("a forecast looks at most {PERIOD_DAYS_MAX} days ahead");
    }
    Ok(question)
}

/// Conditions written `dimension=a,b` or `dimension!=a,b`.
fn targeting(texts: &[String]) -> Result<Targeting> {
    let mut targeting = Targeting::default();
    for text in texts {
        let (name, values) =
            text.split_once('=').with_context(|| format!("--target {text}: write DIMENSION=VALUES"))?;
        let (name, op) = match name.strip_suffix('!') {
            Some(name) => (name, Op::NotIn),
            None => (name, Op::In),
        };
        let dimension = name.trim().parse().with_context(|| format!("--target {text}"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        targeting.clauses.push(Clause { dimension, op, values, zone: None });
    }
    let mut faults = Faults::new();
    targeting.check("target", &mut faults);
    if let Some(fault) = faults.0.first() {
        bail!("--target: {} ({})", fault.message, fault.field);
    }
    Ok(targeting)
}

fn to_text(catalogue: &Catalogue, answer: &Answer) -> String {
    let zone = catalogue.publisher.as_ref().map(|p| p.spec.zone.clone());
    let day = |at: UtcMs| zone.as_ref().map_or_else(|| at.to_string(), |zone| zone.day(at).to_string());
    let name = |id| catalogue.placements.get(&id).map_or_else(String::new, |p| p.spec.name.clone());
    let mut text = String::new();
    let _ = writeln!(text, "From {} to {}.\n{}", answer.from, answer.until, answer.sentence);
    if !answer.available.by_placement.is_empty() {
        let _ = writeln!(text, "\n{:<10} {:<20} {:<12} {:>14}", "placement", "name", "week from", "requests");
    }
    for row in &answer.available.by_placement {
        let (id, week) = (row.placement.to_string(), day(row.week.starts_at));
        let _ =
            writeln!(text, "{id:<10} {:<20} {week:<12} {:>14}", name(row.placement), rounded(row.requests));
    }
    if !answer.rivals.is_empty() {
        let _ = writeln!(
            text,
            "\n{:<10} {:<12} {:>16}  promised, or worth",
            "competes", "tier", "shared requests"
        );
    }
    for rival in &answer.rivals {
        let what = match (rival.share_ppm, rival.left_count, rival.value_micros_per_mille) {
            (Some(ppm), ..) => format!("{:.2}% of requests", f64::from(ppm) / 1e4),
            (_, Some(left), _) => format!("{} impressions to come", rounded(left as f64)),
            (.., Some(micros)) => format!("{:.4} per thousand", micros as f64 / 1e6),
            _ => String::new(),
        };
        let tier = crate::http::console::book_house::tier_word(rival.tier);
        let shared = rounded(rival.shared_requests);
        let _ = writeln!(text, "{:<10} {tier:<12} {shared:>16}  {what}", rival.ad_set.to_string());
    }
    if !answer.all_looked_at {
        let _ = writeln!(text, "Of the auction's bidders, those of highest value were looked at.");
    }
    for missed in &answer.missed {
        let id = missed.ad_set.map_or_else(String::new, |id| id.to_string());
        let _ = writeln!(text, "\n{id} would miss {} impressions.", rounded(missed.missing_count as f64));
    }
    if !answer.oversold.is_empty() {
        let head = ("oversold", "week from", "requests", "to sponsors", "to goals");
        let _ =
            writeln!(text, "\n{:<10} {:<12} {:>14} {:>14} {:>14}", head.0, head.1, head.2, head.3, head.4);
    }
    for row in &answer.oversold {
        let (id, week) = (row.placement.to_string(), day(row.week.starts_at));
        let counts = [row.available, row.sponsored, row.guaranteed].map(rounded);
        let _ = writeln!(text, "{id:<10} {week:<12} {:>14} {:>14} {:>14}", counts[0], counts[1], counts[2]);
    }
    text
}
