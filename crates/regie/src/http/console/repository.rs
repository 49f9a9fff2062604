//! Uploads to the repository of political ads (Regulation (EU) 2024/900, Art. 13): what waits, until when, and what was answered last.
//!
//! Only shows: sending goes on by itself (`http::record::outbox`). Refuses to hide an upload that cannot be sent.

use super::{HOUSE, HOUSE_READ, act, layout, page, twin, ui};
use crate::http::{AppState, Route, auth::Caller, problem::Problem};
use crate::publication::sending::{self, Upload};
use crate::{t, th};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use regie_model::UtcMs;
use serde_json::json;

/// Uploads of the list at most.
const SHOWN_MAX: usize = 200;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/repository", HOUSE, get(show)),
        twin("console", "/v1/repository", HOUSE_READ, get(list_api)),
    ]
}

/// What waits, the next due first, and how many of each kind there are.
fn waiting(app: &AppState, now: UtcMs) -> Result<(Vec<Upload>, sending::Counts), Problem> {
    let db = app.publication.reading().map_err(Problem::internal)?;
    let waiting = sending::waiting(&db, SHOWN_MAX).map_err(Problem::internal)?;
    Ok((waiting, sending::counts(&db, now).map_err(Problem::internal)?))
}

/// `GET /v1/repository`: the same as data.
async fn list_api(State(app): State<AppState>) -> Result<Response, Problem> {
    let (waiting, counts) = waiting(&app, app.platform.now())?;
    let rows = waiting.iter().map(|upload| {
        json!({
            "ad": upload.ad, "version": upload.version, "due_at": upload.due_at, "next_at": upload.next_at,
            "tries_count": upload.tries_count, "answer": upload.answer,
        })
    });
    let target = &app.config.repository_url;
    Ok(Json(json!({
        "sent_to": (!target.is_empty()).then_some(target), "sent_count": counts.sent, "waiting_count": counts.waiting,
        "overdue_count": counts.overdue, "waiting": rows.collect::<Vec<_>>(),
    }))
    .into_response())
}

async fn show(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let now = app.platform.now();
    let (waiting, counts) = waiting(&app, now)?;
    let target = &app.config.repository_url;
    let body = html! {
        p class="lead" { (t!("console-repository-lead")) }
        @if target.is_empty() { div class="note warn" role="status" { p { (t!("console-repository-off")) } } }
        @else { p { (th!("console-repository-to", target = html! { code { (target) } })) } }
        dl class="figures" {
            (ui::figure(t!("console-repository-sent"), &ui::count(counts.sent), ""))
            (ui::figure(t!("console-waits"), &ui::count(counts.waiting), ""))
            (ui::figure(t!("console-overdue"), &ui::count(counts.overdue), ""))
        }
        div class="card flush" {
            @if waiting.is_empty() { (ui::empty(t!("console-repository-none"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("words-ad")) } th { (t!("console-repository-due")) } th class="right" { (t!("console-repository-tries")) } th { (t!("console-repository-next")) } th { (t!("console-repository-answer")) } } }
                tbody { @for upload in &waiting { (line(&app, upload, now)) } }
            } } }
        }
    };
    Ok(layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-repository"), "/console/repository"),
        &body,
    ))
}

fn line(app: &AppState, upload: &Upload, now: UtcMs) -> Markup {
    let zone = act::zone(app);
    html! { tr {
        th scope="row" { a href={ "/record/ads/" (upload.ad) } { (upload.ad) } " " span class="small muted" { (t!("console-repository-version", version = upload.version)) } }
        td class="nowrap" { @if upload.due_at <= now { (ui::badge("bad", t!("console-overdue"))) " " } (ui::when(upload.due_at, &zone)) }
        td class="right" { (upload.tries_count) }
        td class="nowrap" { (ui::when(upload.next_at, &zone)) }
        td class="wrap-any" { (upload.answer) }
    } }
}
