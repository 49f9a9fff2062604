//! `/v1`: what an ad set learned and why, how its experiment stands, what a campaign adapted, how good predicted rates were; and the
//! one thing that a person decides here: to book a proposed combination as a version.
//!
//! Figures only from the learner's fold, the same as the console shows. Refuses to show one advertiser another's.

use super::{
    App, AppState, Route,
    auth::Caller,
    booking::{BOOK, READ, send},
    console::act,
    problem::Problem,
};
use crate::platform::learning::{CodeShown, ElementShown, SetShown, TemplateShown, VersionShown};
use axum::{
    Json,
    extract::{Path, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use regie_learn::{
    experiment::report::{ALPHA, ArmReport, Report},
    infer::Interval,
    served::{Counts, calibration::Bin, trial::Trial},
};
use regie_model::{
    AdId, AdSetId, CampaignId, UtcMs,
    booking::{LearningGoal, VersionSpec},
    command::Command,
    ticket::Billing,
};
use serde_json::{Value, json};

/// How long outcomes of an hour are waited for before it counts: clicks and views, hours.
pub const WINDOW_HOURS: i64 = 1;
/// The same for conversions and value.
pub const CONVERSION_WINDOW_HOURS: i64 = 72;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let row = |method, path, access, handler: MethodRouter<AppState>| Route {
        owner: "learning",
        method,
        path,
        access,
        handler,
    };
    vec![
        row(Method::GET, "/v1/ad-sets/{id}/learning", READ, get(learning)),
        row(Method::GET, "/v1/ad-sets/{id}/experiment", READ, get(experiment)),
        row(Method::GET, "/v1/campaigns/{id}/adapting", READ, get(adapting)),
        row(Method::GET, "/v1/learning/rates", READ, get(rates)),
        row(Method::POST, "/v1/ads/{id}/proposals/{code}", BOOK, post(book_proposal)),
    ]
}

fn range(interval: Option<Interval>) -> Value {
    interval.map_or(Value::Null, |i| json!([i.low, i.high]))
}
fn counts(counts: &Counts) -> Value {
    json!({
        "impressions_count": counts.impressions_count, "viewable_count": counts.viewable_count,
        "clicks_count": counts.clicks_count, "conversions_count": counts.conversions_count,
        "value_micros": counts.value_micros, "spend_nanos": counts.spend_nanos,
    })
}
fn version(v: &VersionShown) -> Value {
    json!({
        "ad": v.ad, "version": v.version, "is_template": v.version.template_code().is_some(), "counts": counts(&v.counts),
        "share": v.share, "draws_won": v.won.0, "draws_count": v.won.1,
        "expected_rate": v.expected.map(|e| e.0), "expected_deviation": v.expected.map(|e| e.1),
        "rate": v.rate, "rate_range": range(v.interval), "best_probability": v.best, "expected_loss": v.loss,
        "e_value": v.e_value, "better_than_control": v.discovered, "may_be_shown": v.offered, "why": v.why,
    })
}
fn element(e: &ElementShown) -> Value {
    json!({
        "slot": e.element.slot, "asset": e.element.asset, "words": e.words, "retired": e.retired, "counts": counts(&e.counts),
        "share": e.share, "odds": e.odds.0, "odds_range": [e.odds.1, e.odds.2],
    })
}
fn code(c: &CodeShown) -> Value {
    json!({ "code": c.code, "assets": c.assets, "expected_rate": c.rate, "share": c.share, "draws_won": c.won.0, "draws_count": c.won.1 })
}
fn template(t: &TemplateShown) -> Value {
    json!({
        "ad": t.ad, "combinations_count": t.combinations_count, "tried_count": t.tried_count, "changes_noticed_count": t.changes_count,
        "elements": t.elements.iter().map(element).collect::<Vec<_>>(),
        "combinations": t.codes.iter().map(code).collect::<Vec<_>>(),
        "proposals": t.proposals.iter().map(code).collect::<Vec<_>>(),
    })
}
fn set(shown: &SetShown) -> Value {
    let steps = shown.progress.steps().iter().map(|step| {
        let versions: Vec<Value> = step
            .versions
            .iter()
            .map(|((ad, version), count)| json!({ "ad": ad, "version": version, "impressions_count": count }))
            .collect();
        json!({ "impressions_count": step.impressions_count, "reward": step.reward, "versions": versions })
    });
    json!({
        "ad_set": shown.ad_set, "learning": shown.spec, "total": counts(&shown.total),
        "expected_rate": shown.expected.0, "best_rate": shown.expected.1, "exploring_price": shown.price,
        "explore_share": shown.explore, "draws_moved_count": shown.moved_count, "untried_count": shown.untried_count,
        "versions": shown.versions.iter().map(version).collect::<Vec<_>>(),
        "templates": shown.templates.iter().map(template).collect::<Vec<_>>(),
        "progress": steps.collect::<Vec<_>>(),
    })
}

async fn learning(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    act::see_set(&app.platform.catalogue(), &caller, id)?;
    let shown = of_set(&app, id).await?;
    let shown = shown
        .ok_or_else(|| Problem::not_found("learning of this ad set: it draws versions by their weights"))?;
    Ok(Json(set(&shown)).into_response())
}

/// What is known of an ad set, on a thread that may take its time.
///
/// # Errors
/// Something inside failed.
pub async fn of_set(app: &AppState, id: AdSetId) -> Result<Option<SetShown>, Problem> {
    let platform = std::sync::Arc::clone(&app.platform);
    let asked = tokio::task::spawn_blocking(move || platform.learning_of(id));
    asked.await.map_err(|error| Problem::internal(error.to_string()))
}

/// What an experiment counts for a campaign: its ad set's goal, else clicks.
pub fn goal_of(app: &App, id: AdSetId) -> LearningGoal {
    let catalogue = app.platform.catalogue();
    catalogue
        .ad_sets
        .get(&id)
        .and_then(|set| set.spec.learning.as_ref())
        .map_or(LearningGoal::Clicks, |l| l.goal)
}
/// Hours before this one are closed: outcomes of later exposures may still come in.
pub fn closed_before(now: UtcMs, goal: LearningGoal) -> i64 {
    let window = match goal {
        LearningGoal::Clicks | LearningGoal::ViewableImpressions => WINDOW_HOURS,
        LearningGoal::Conversions | LearningGoal::Value => CONVERSION_WINDOW_HOURS,
    };
    now.hour().0 - window + 1
}

/// A phase of an experiment with its report.
pub struct Phase {
    /// As it ran.
    pub trial: Trial,
    /// On closed hours; `None` where fewer than two arms show anything.
    pub report: Option<Report>,
    /// Hours before this one are closed.
    pub closed_before: i64,
    /// It runs now.
    pub runs: bool,
}

/// The phases of an ad set's experiments, the latest first.
///
/// # Errors
/// Something inside failed.
pub async fn phases(app: &AppState, id: AdSetId, goal: LearningGoal) -> Result<Vec<Phase>, Problem> {
    let before = closed_before(app.platform.now(), goal);
    let (phases, runs) = {
        let folds = app.platform.folds();
        let trials = folds.served.set(id).map(|seen| seen.trials.clone()).unwrap_or_default();
        (trials.phases().to_vec(), trials.current().is_some())
    };
    let last = phases.len().saturating_sub(1);
    let reported = tokio::task::spawn_blocking(move || {
        let each = phases.into_iter().enumerate().map(|(number, trial)| Phase {
            report: trial.report(goal, before, &[]),
            closed_before: before,
            runs: runs && number == last,
            trial,
        });
        each.rev().collect::<Vec<_>>()
    });
    reported.await.map_err(|error| Problem::internal(error.to_string()))
}

fn arm(arm: &ArmReport) -> Value {
    let against = arm.against.as_ref().map(|a| {
        json!({
            "difference": a.difference, "difference_range": range(Some(a.interval)), "relative_range": range(a.relative),
            "asymptotic_range": range(a.asymptotic), "e_value": a.e_value, "p": a.p, "discovered": a.discovered,
        })
    });
    json!({
        "name": arm.name, "share": arm.share, "units_count": arm.units, "rate": arm.rate, "rate_range": range(Some(arm.interval)),
        "best_probability": arm.best, "expected_loss": arm.expected_loss, "against_control": against,
    })
}
fn report_json(report: &Report) -> Value {
    let days = report.days.iter().map(|(day, arms)| {
        let arms: Vec<Value> =
            arms.iter().map(|(units, rate)| json!({ "units_count": units, "rate": rate })).collect();
        json!({ "exposed_on": regie_model::Day(*day).to_string(), "arms": arms })
    });
    json!({
        "sentences": report.sentences, "warnings": report.warnings, "stopping_rule": report.stopping_rule,
        "level": 1.0 - ALPHA, "arms": report.arms.iter().map(arm).collect::<Vec<_>>(),
        "sample_ratio": report.sample_ratio.map(|(chi_square, p)| json!({ "chi_square": chi_square, "p": p })),
        "outlook": report.outlook.map(|o| json!({ "smallest_difference": o.smallest, "days_count": o.days, "days_to_a_tenth": o.days_to_tenth })),
        "days": days.collect::<Vec<_>>(),
    })
}

async fn experiment(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    act::see_set(&app.platform.catalogue(), &caller, id)?;
    let goal = goal_of(&app, id);
    let phases = phases(&app, id, goal).await?;
    let phases = phases.iter().map(|phase| {
        let arms: Vec<Value> = phase
            .trial
            .spec
            .arms
            .iter()
            .zip(phase.trial.by_arm())
            .map(|(arm, own)| json!({ "name": arm.name, "share_ppm": arm.share_ppm, "holdout": arm.holdout, "counts": counts(&own) }))
            .collect();
        json!({
            "name": phase.trial.spec.name, "unit": phase.trial.spec.unit, "runs": phase.runs, "arms": arms,
            "ghosts_count": phase.trial.ghosts_count(i64::MAX), "untold_count": phase.trial.untold_count,
            "closed_before": UtcMs(phase.closed_before * 3_600_000),
            "report": phase.report.as_ref().map(report_json),
        })
    });
    Ok(Json(json!({ "ad_set": id, "goal": goal, "phases": phases.collect::<Vec<_>>() })).into_response())
}

async fn adapting(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let (adapt, objective, sets) = {
        let catalogue = app.platform.catalogue();
        act::see_campaign(&catalogue, &caller, id)?;
        let kept = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?;
        let sets = catalogue.ad_sets_of.get(&id).cloned().unwrap_or_default();
        (kept.spec.adapt.clone(), kept.spec.objective, sets)
    };
    let platform = std::sync::Arc::clone(&app.platform);
    let spec = adapt.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let due = spec.map(|spec| platform.steps_due(id, &spec, objective, platform.now()));
        let proposals: Vec<(AdSetId, TemplateShown)> = sets
            .into_iter()
            .filter_map(|set| platform.learning_of(set))
            .flat_map(|shown| shown.templates.into_iter().map(move |t| (shown.ad_set, t)))
            .collect();
        (platform.steps_taken(id), due, proposals)
    });
    let (taken, due, proposals) = asked.await.map_err(|error| Problem::internal(error.to_string()))?;
    let taken = taken.iter().map(|t| json!({ "at": t.at, "position": t.position, "step": t.step }));
    let proposals = proposals.iter().map(|(set, t)| {
        json!({ "ad_set": set, "ad": t.ad, "proposals": t.proposals.iter().map(code).collect::<Vec<_>>() })
    });
    let answer = json!({
        "campaign": id, "adapt": adapt, "taken": taken.collect::<Vec<_>>(), "due": due,
        "what_next": proposals.collect::<Vec<_>>(),
    });
    Ok(Json(answer).into_response())
}

fn bins(bins: &[Bin]) -> Vec<Value> {
    let bin = |b: &Bin| {
        json!({
            "impressions_count": b.impressions_count, "actions_count": b.actions_count,
            "predicted_rate": b.predicted_sum / b.impressions_count.max(1) as f64,
            "rate": b.actions_count as f64 / b.impressions_count.max(1) as f64,
        })
    };
    bins.iter().map(bin).collect()
}
async fn rates(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    // Of all ads together: nobody's figures can be told from it, but it is the publisher's.
    if caller.scope_filter().is_some() {
        return Err(Problem::forbidden(
            "How good predictions are over all advertisers is the publisher's to know.",
        ));
    }
    let calibration = app.platform.folds().served.calibration.clone();
    let of = |billing| {
        let summary = calibration.summary(billing).map(|s| {
            json!({
                "impressions_count": s.impressions_count, "actions_count": s.actions_count, "predicted_rate": s.predicted,
                "log_loss": s.loss, "constant_log_loss": s.constant_loss,
            })
        });
        json!({ "summary": summary, "bins": bins(&calibration.of(billing)) })
    };
    Ok(Json(json!({ "clicks": of(Billing::Click), "conversions": of(Billing::Conversion) })).into_response())
}

/// A combination of an ad's template as an uploaded version of the same ad: it waits for review like any other.
///
/// # Errors
/// There is no such ad or combination.
pub fn proposal(app: &App, caller: &Caller, ad: AdId, code: u32) -> Result<Command, Problem> {
    let catalogue = app.platform.catalogue();
    act::see_ad(&catalogue, caller, ad)?;
    let template = catalogue.ads.get(&ad).and_then(|kept| kept.kept.spec.template.as_ref());
    let template = template.ok_or_else(|| Problem::not_found("template of this ad"))?;
    let gone = || Problem::not_found("combination of this template that may be shown");
    let assets = template.decode(code).filter(|assets| template.may_show(assets)).ok_or_else(gone)?;
    let creative = template.creative_of(&assets).ok_or_else(gone)?;
    let name = format!("combination {code}");
    let spec =
        VersionSpec { ad, name, creative, weight: 1, external_id: Some(format!("{ad}-combination-{code}")) };
    Ok(Command::PutVersion { id: None, revision: None, spec })
}

async fn book_proposal(
    State(app): State<AppState>,
    caller: Caller,
    Path((ad, code)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let ad: AdId = ad.parse().map_err(|_| act::missing(&ad))?;
    let code: u32 = code.parse().map_err(|_| Problem::not_found("combination of this number"))?;
    let command = proposal(&app, &caller, ad, code)?;
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let id = accepted.into_iter().next().map(|a| a.id).unwrap_or_default();
    Ok((axum::http::StatusCode::CREATED, Json(json!({ "id": id, "waits_for": "review" }))).into_response())
}
