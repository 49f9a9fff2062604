//! Reports of possibly non-compliant ads (Art. 15): the queue, what was said, the decision with its reasons.

use super::{HOUSE, OPERATES, act, action, form::Data, layout, page, ui};
use crate::http::{AppState, Route, auth::Caller, problem::Problem, record::Reporter};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    ReportId,
    booking::{Outcome, REPORT_GROUNDS, ReportDecision},
    catalogue::ReportState,
    command::{Change, Command, Stop},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/complaints", HOUSE, get(queue)),
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

async fn queue(State(app): State<AppState>, caller: Caller) -> Response {
    let zone = act::zone(&app);
    let now = app.platform.now();
    let mut reports: Vec<(ReportId, ReportState)> =
        app.platform.catalogue().reports.iter().map(|(id, r)| (*id, r.clone())).collect();
    reports.sort_by_key(|(id, r)| (r.decided.is_some(), r.spec.due_at, std::cmp::Reverse(*id)));
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
                tbody { @for (id, report) in reports.iter().take(500) { (line(id, report)) } }
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
    let zone = act::zone(&app);
    let said: Option<Reporter> =
        app.platform.secrets.unseal_as(&report.spec.reporter).map_err(Problem::internal)?;
    let body = html! {
        div class="card" {
            dl class="facts" {
                dt { (t!("words-ad")) } dd { a href={ "/record/ads/" (report.spec.ad) } { (report.spec.ad) } }
                dt { (t!("console-about")) } dd { (grounds(&report)) }
                dt { (t!("console-received")) } dd { (ui::when(report.filed_at, &zone)) }
                dt { (t!("console-answer-due")) } dd { (ui::when(report.spec.due_at, &zone)) }
                @match &said {
                    Some(said) => { dt { (t!("console-in-their-words")) } dd { (ui::lines(&said.words)) } dt { (t!("console-address")) } dd { @if said.email.is_empty() { (t!("console-not-given")) } @else { (said.email) } } },
                    None => { dt { (t!("console-in-their-words")) } dd { (t!("console-erased")) } },
                }
            }
            @if said.is_some() {
                form method="post" action={ "/console/complaints/" (id) "/erase" } data-confirm=(t!("console-erase-words-and-address-for")) {
                    (layout::csrf(&caller)) button class="danger" { (t!("console-erase-words-and-address")) }
                }
            }
        }
        @match &report.decided {
            Some((decision, at)) => div class="card" { h2 { (th!("console-decided", at = ui::when(*at, &zone))) } p { (ui::badge("good", decision.outcome.word())) } p { (decision.reason) } },
            None => form class="card" method="post" action={ "/console/complaints/" (id) } {
                (layout::csrf(&caller))
                h2 { (t!("console-decide")) }
                div class="field" { label for="outcome" { (t!("console-what-was-found")) } select id="outcome" name="outcome" {
                    option value="complies" { (t!("console-the-ad-complies")) } option value="corrected" { (t!("console-it-did-not-and-was")) } option value="stopped" { (t!("console-it-did-not-stop-it")) }
                } }
                div class="field" { label for="reason" { (t!("console-reasons-for-the-reporter-and")) } textarea id="reason" name="reason" rows="4" required {} }
                button class="primary" { (t!("console-decide")) }
            },
        }
    };
    let title = t!("console-report", id = id);
    let frame = layout::Frame::new(&title, "/console/complaints")
        .crumb("/console/complaints", t!("console-reports-of-ads"));
    Ok(layout::console(&app, &caller, &frame, &body))
}

async fn decide(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let (id, report) = find(&app, &id)?;
    let outcome = match data.get("outcome") {
        "complies" => Outcome::Complies,
        "corrected" => Outcome::Corrected,
        "stopped" => Outcome::Stopped,
        _ => return Err(Problem::bad_request("Choose what was found.").into()),
    };
    let reason = data.text("reason");
    let mut commands = vec![Command::DecideReport {
        report: id,
        decision: ReportDecision { outcome, reason: reason.clone() },
    }];
    if outcome == Outcome::Stopped {
        commands.push(Command::SetStop { what: Stop::Ad(report.spec.ad), on: true, reason });
    }
    act::run(&app, &caller, commands).await?;
    Ok(layout::go(format!("/console/complaints/{id}")))
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
