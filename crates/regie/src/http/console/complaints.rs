//! Reports of possibly non-compliant ads (Art. 15): the queue, what was said, the decision with its reasons.

use super::{
    HOUSE, HOUSE_READ, OPERATES, OPERATES_BY_PROGRAM, act, action,
    form::{Data, Form},
    layout, page, twin, ui, whole_house,
};
use crate::http::{AppState, Route, auth::Caller, problem::Problem, record::Reporter};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    Faults, ReportId,
    booking::{Outcome, REPORT_GROUNDS, ReportDecision},
    catalogue::ReportState,
    command::{Change, Command, Stop},
    limits::TEXT_CHARS_MAX,
};
use serde_json::{Value, json};

/// Reports of one page at most.
const ROWS_MAX: usize = 500;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/complaints", HOUSE, get(queue)),
        twin("console", "/v1/complaints", HOUSE_READ, get(list_api)),
        twin("console", "/v1/complaints/{id}", OPERATES_BY_PROGRAM, get(one_api)),
        page("/console/complaints/{id}", OPERATES, get(show)),
        action("/console/complaints/{id}", OPERATES, post(decide)),
        action("/console/complaints/{id}/erase", OPERATES, post(erase)),
    ]
}

fn grounds(report: &ReportState) -> String {
    let told = report.spec.grounds.iter().map(|word| {
        REPORT_GROUNDS.iter().find(|(known, _)| known == word).map_or(word.as_str(), |(_, told)| *told)
    });
    told.map(say).collect::<Vec<_>>().join("; ")
}

/// Every report: those that wait first, by when they are due.
fn sorted(app: &AppState) -> Vec<(ReportId, ReportState)> {
    let mut reports: Vec<(ReportId, ReportState)> =
        app.platform.catalogue().reports.iter().map(|(id, r)| (*id, r.clone())).collect();
    reports.sort_by_key(|(id, r)| (r.decided.is_some(), r.spec.due_at, std::cmp::Reverse(*id)));
    reports.truncate(ROWS_MAX);
    reports
}

fn report_json(id: ReportId, report: &ReportState) -> Value {
    let decided = report.decided.as_ref().map(|(decision, at)| json!({ "decision": decision, "at": at }));
    json!({
        "id": id, "ad": report.spec.ad, "grounds": report.spec.grounds,
        "filed_at": report.filed_at, "due_at": report.spec.due_at, "decided": decided,
    })
}

/// `GET /v1/complaints`: the queue, without what reporters wrote.
async fn list_api(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let reports = sorted(&app);
    let rows: Vec<Value> = reports.iter().map(|(id, report)| report_json(*id, report)).collect();
    Ok(Json(json!({ "complaints": rows })).into_response())
}

/// `GET /v1/complaints/{id}`: one report with the reporter's words, unless they were erased.
async fn one_api(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let (id, report) = find(&app, &id)?;
    let said: Option<Reporter> =
        app.platform.secrets.unseal_as(&report.spec.reporter).map_err(Problem::internal)?;
    let mut told = report_json(id, &report);
    told["reporter"] = json!(said.map(|s| json!({ "words": s.words, "email": s.email })));
    Ok(Json(told).into_response())
}

async fn queue(State(app): State<AppState>, caller: Caller) -> Response {
    let zone = act::zone(&app);
    let now = app.platform.now();
    let reports = sorted(&app);
    let line = |id: &ReportId, report: &ReportState| -> Markup {
        html! { tr {
            th scope="row" { a href={ "/console/complaints/" (id) } { (id) } }
            td { a href={ "/record/ads/" (report.spec.ad) } { (report.spec.ad) } }
            td { (grounds(report)) }
            td class="nowrap" { (ui::when(report.filed_at, &zone)) }
            td { @match &report.decided {
                Some((decision, _)) => (ui::badge("good", decision.outcome.word())),
                None => {
                    @if report.spec.due_at <= now { (ui::badge("bad", t!("console-overdue"))) } @else { (ui::badge("warn", t!("console-waits"))) }
                    " " (th!("console-by", due_at = ui::when(report.spec.due_at, &zone)))
                },
            } }
        } }
    };
    let body = html! {
        p class="lead" { (t!("console-reports-of-ads-that-may")) }
        div class="card flush" {
            @if reports.is_empty() { (ui::empty(t!("console-no-reports"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("words-report")) } th { (t!("words-ad")) } th { (t!("console-about")) } th { (t!("console-received")) } th { (t!("console-answer")) } } }
                tbody { @for (id, report) in &reports { (line(id, report)) } }
            } } }
        }
    };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-reports-of-ads"), "/console/complaints"),
        &body,
    )
}

fn find(app: &AppState, id: &str) -> Result<(ReportId, ReportState), Problem> {
    let missing = || Problem::not_found("report of this number");
    let id: ReportId = id.parse().map_err(|_| missing())?;
    let report = app.platform.catalogue().reports.get(&id).cloned().ok_or_else(missing)?;
    Ok((id, report))
}

async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let (id, report) = find(&app, &id)?;
    render(&app, &caller, (id, &report), &Data::default(), &Faults::new())
}

fn render(
    app: &AppState,
    caller: &Caller,
    (id, report): (ReportId, &ReportState),
    data: &Data,
    faults: &Faults,
) -> layout::Html {
    let form = Form { data, faults, theirs: None };
    let outcomes = [
        ("complies", t!("console-the-ad-complies")),
        ("corrected", t!("console-it-did-not-and-was")),
        ("stopped", t!("console-it-did-not-stop-it")),
    ];
    let zone = act::zone(app);
    let said: Option<Reporter> =
        app.platform.secrets.unseal_as(&report.spec.reporter).map_err(Problem::internal)?;
    let body = html! {
        div class="card" {
            dl class="facts" {
                dt { (t!("words-ad")) } dd { a href={ "/record/ads/" (report.spec.ad) } { (report.spec.ad) } }
                dt { (t!("console-about")) } dd { (grounds(report)) }
                dt { (t!("console-received")) } dd { (ui::when(report.filed_at, &zone)) }
                dt { (t!("console-answer-due")) } dd { (ui::when(report.spec.due_at, &zone)) }
                @match &said {
                    Some(said) => { dt { (t!("console-in-their-words")) } dd { (ui::lines(&said.words)) } dt { (t!("console-address")) } dd { @if said.email.is_empty() { (t!("console-not-given")) } @else { (said.email) } } },
                    None => { dt { (t!("console-in-their-words")) } dd { (t!("console-erased")) } },
                }
            }
            @if said.is_some() {
                form method="post" action={ "/console/complaints/" (id) "/erase" } data-confirm=(t!("console-erase-words-and-address-for")) {
                    (layout::csrf(caller)) button class="danger" { (t!("console-erase-words-and-address")) }
                }
            }
        }
        @match &report.decided {
            Some((decision, at)) => div class="card" { h2 { (th!("console-decided", at = ui::when(*at, &zone))) } p { (ui::badge("good", decision.outcome.word())) } p { (decision.reason) } },
            None => section class="card" {
                h2 { (t!("console-decide")) }
                @let fields = html! {
                    (form.field("outcome", t!("console-what-was-found")).select(outcomes).required())
                    (form.field("reason", t!("console-reasons-for-the-reporter-and")).area(4).required())
                };
                (form.wrap(caller, &format!("/console/complaints/{id}"), &fields, t!("console-decide"), "/console/complaints"))
            },
        }
    };
    let title = t!("console-report", id = id);
    let frame = layout::Frame::new(&title, "/console/complaints")
        .crumb("/console/complaints", t!("console-reports-of-ads"));
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(layout::console_with(status, app, caller, &frame, &body))
}

async fn decide(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let (id, report) = find(&app, &id)?;
    let outcome = match data.get("outcome") {
        "complies" => Some(Outcome::Complies),
        "corrected" => Some(Outcome::Corrected),
        "stopped" => Some(Outcome::Stopped),
        _ => None,
    };
    let reason = data.text("reason");
    let mut faults = Faults::new();
    faults.text("reason", &reason, TEXT_CHARS_MAX);
    let Some(outcome) = outcome.filter(|_| faults.is_empty()) else {
        faults.when(outcome.is_none(), "outcome", "missing", "Choose what was found.");
        return render(&app, &caller, (id, &report), &data, &faults);
    };
    let mut commands = vec![Command::DecideReport {
        report: id,
        decision: ReportDecision { outcome, reason: reason.clone() },
    }];
    if outcome == Outcome::Stopped {
        commands.push(Command::SetStop { what: Stop::Ad(report.spec.ad), on: true, reason });
    }
    match act::run(&app, &caller, commands).await {
        Ok(_) => Ok(layout::go(format!("/console/complaints/{id}"))),
        Err(problem) if !problem.faults.is_empty() => {
            render(&app, &caller, (id, &report), &data, &problem.faults)
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn erase(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let (id, report) = find(&app, &id)?;
    let key = report.spec.reporter.key;
    let reason = format!("words and address of {id}");
    act::record(&app, &caller, move |_| Ok((vec![Change::PersonErased { key, reason }], String::new())))
        .await
        .map_err(Problem::from)?;
    app.platform.secrets.erase_person(key).map_err(Problem::internal)?;
    Ok(layout::go(format!("/console/complaints/{id}")))
}
