//! The console's page of tables: out, in, and how far a table is.

use super::{Job, KINDS, TABLE_BYTES_MAX, UPLOAD_PATH, begin, find, kind};
use crate::{
    http::{
        AppState, Route,
        auth::Caller,
        booking::kind::Kind,
        console::{BOOKS, action, layout, page, ui},
        problem::Problem,
    },
    i18n::rooms::say,
    t, th,
};
use axum::{
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use maud::{Markup, html};
use std::sync::Arc;

/// Bad rows on the page; the file has more.
const BAD_SHOWN: usize = 50;

/// The page's routes.
pub(super) fn routes() -> Vec<Route> {
    let limit = DefaultBodyLimit::max(TABLE_BYTES_MAX + 64 * 1024);
    vec![
        page(UPLOAD_PATH, BOOKS, get(show)),
        action(UPLOAD_PATH, BOOKS, post(upload).layer(limit)),
        page("/console/bulk/{id}", BOOKS, get(watch)),
    ]
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => t!("words-campaigns"),
        Kind::AdSet => t!("bulk-ad-sets"),
        Kind::Ad => t!("words-ads"),
        _ => t!("words-versions"),
    }
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("bulk-tables"), UPLOAD_PATH),
        &body(&app, &caller, None),
    )
}

fn body(app: &AppState, caller: &Caller, refused: Option<&Problem>) -> Markup {
    let jobs = app.bulk.of(caller);
    html! {
        p class="lead" { (t!("bulk-lead")) }
        @if let Some(problem) = refused {
            div class="note bad" role="alert" {
                p { strong { (t!("bulk-refused")) } }
                ul { @for fault in &problem.faults.0 { li { code { (fault.field) } ": " (say(&fault.message)) } } @if problem.faults.is_empty() { li { (say(&problem.title)) } } }
            }
        }
        div class="grid" {
            section class="card" {
                h2 { (t!("bulk-out")) }
                p { (t!("bulk-out-lead")) }
                p {
                    @for kind in KINDS { a class="btn" href={ "/v1/tables/" (kind.plural()) } { (kind_word(kind)) } " " }
                }
                (exports(app, caller))
            }
            section class="card" {
                h2 { (t!("bulk-in")) }
                form method="post" action=(UPLOAD_PATH) enctype="multipart/form-data" {
                    (layout::csrf(caller))
                    div class="field" { label for="kind" { (t!("bulk-rows-are")) } select id="kind" name="kind" { @for kind in KINDS.into_iter().rev() { option value=(kind.plural()) { (kind_word(kind)) } } } }
                    div class="field check" { label for="dry" { input id="dry" type="checkbox" name="dry_run" value="on"; span { (t!("bulk-only-check")) } } }
                    div class="field" { label for="file" { (t!("bulk-file")) } p class="hint" id="h-file" { (t!("bulk-file-hint")) } input id="file" name="file" type="file" accept=".csv,text/csv" required aria-describedby="h-file"; }
                    button class="primary" { (t!("bulk-send")) }
                }
            }
        }
        section class="card flush" {
            div class="cardhead" { h2 { (t!("bulk-latest")) } }
            @if jobs.is_empty() { (ui::empty(t!("bulk-none"))) } @else {
                div class="scroll" { table {
                    thead { tr { th { (t!("bulk-table")) } th { (t!("words-kind")) } th class="right" { (t!("bulk-rows")) } th class="right" { (t!("bulk-created")) } th class="right" { (t!("bulk-changed")) } th class="right" { (t!("bulk-bad")) } } }
                    tbody { @for job in &jobs { @let progress = job.progress(); tr {
                        th scope="row" { a href={ "/console/bulk/" (job.id) } { (job.id) " " (job.file) } " " (state(job)) }
                        td { (kind_word(job.kind)) }
                        td class="right" { (ui::count(progress.done_count)) } td class="right" { (ui::count(progress.created_count)) }
                        td class="right" { (ui::count(progress.changed_count)) } td class="right" { (ui::count(progress.bad_count)) }
                    } } }
                } }
            }
        }
    }
}

/// Exports of one campaign.
fn exports(app: &AppState, caller: &Caller) -> Markup {
    const SHOWN: usize = 20;
    let catalogue = app.platform.catalogue();
    let all: Vec<_> = catalogue
        .campaigns
        .iter()
        .rev()
        .filter(|(_, c)| caller.may_see(c.spec.advertiser))
        .take(SHOWN)
        .collect();
    html! {
        @if !all.is_empty() {
            details { summary { (t!("bulk-one-campaign")) }
                ul { @for (id, campaign) in all { li { (campaign.spec.name) ": "
                    @for kind in [Kind::AdSet, Kind::Ad, Kind::Version] { a href={ "/v1/tables/" (kind.plural()) "?within=" (id) } { (kind_word(kind)) } " " }
                } } }
            }
        }
    }
}

fn state(job: &Job) -> Markup {
    let progress = job.progress();
    match (progress.finished, progress.error.is_some()) {
        (_, true) => ui::badge("bad", t!("bulk-broke-off")),
        (true, _) => ui::badge("good", t!("console-done")),
        _ => ui::badge("warn", t!("words-running")),
    }
}

/// `POST /console/bulk`: the fields first, the file last.
async fn upload(State(app): State<AppState>, caller: Caller, request: Request) -> layout::Html {
    let form = Multipart::from_request(request, &app).await;
    let mut form = form.map_err(|e| Problem::bad_request(e.body_text()))?;
    let (mut of, mut dry_run, mut file) = (String::new(), false, None);
    while let Some(field) = form.next_field().await.map_err(|e| Problem::bad_request(e.body_text()))? {
        match field.name().unwrap_or("").to_owned().as_str() {
            "kind" => of = field.text().await.map_err(|e| Problem::bad_request(e.body_text()))?,
            "dry_run" => dry_run = true,
            "file" => {
                let name: String =
                    field.file_name().unwrap_or("").chars().filter(|c| !c.is_control()).take(80).collect();
                let bytes = field.bytes().await.map_err(|_| Problem::too_large(TABLE_BYTES_MAX))?;
                file = Some((name, bytes));
            }
            _ => {}
        }
    }
    let (name, bytes) = file.unwrap_or((String::new(), Bytes::new()));
    match begin(&app, &caller, kind(&of)?, name, dry_run, bytes).await {
        Ok(job) => Ok(layout::go(format!("/console/bulk/{}", job.id))),
        Err(problem) if problem.status < 500 => {
            let frame = layout::Frame::new(t!("bulk-tables"), UPLOAD_PATH);
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Ok(layout::console_with(status, &app, &caller, &frame, &body(&app, &caller, Some(&problem))))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// `GET /console/bulk/{id}`: how far it is; swaps itself until it is done.
async fn watch(State(app): State<AppState>, caller: Caller, Path(id): Path<u64>) -> layout::Html {
    let job = find(&app, &caller, id)?;
    let title = t!("bulk-table-number", id = id);
    let frame = layout::Frame::new(&title, UPLOAD_PATH).crumb(UPLOAD_PATH, t!("bulk-tables"));
    Ok(layout::console(&app, &caller, &frame, &progress(&job)))
}

fn progress(job: &Arc<Job>) -> Markup {
    let now = job.progress();
    let running = !now.finished;
    html! {
        div id="progress" data-refresh=[running.then_some("1000")] {
            @if running { noscript { meta http-equiv="refresh" content="2"; } }
            p { (job.file) " " (kind_word(job.kind)) " " (state(job)) @if job.dry_run { " " (ui::badge("", t!("bulk-checked-only"))) } }
            div role="status" {
                (ui::bar(i128::from(now.done_count), i128::from(job.rows_count), t!("bulk-rows-looked-at"), ""))
                p class="num" { (th!("bulk-of-rows", done = ui::count(now.done_count), rows = ui::count(job.rows_count))) }
            }
            dl class="figures" {
                (ui::figure(if job.dry_run { t!("bulk-would-create") } else { t!("bulk-created") }, &ui::count(now.created_count), ""))
                (ui::figure(if job.dry_run { t!("bulk-would-change") } else { t!("bulk-changed") }, &ui::count(now.changed_count), ""))
                (ui::figure(t!("bulk-unchanged"), &ui::count(now.unchanged_count), ""))
                (ui::figure(t!("bulk-bad"), &ui::count(now.bad_count), ""))
            }
            @if let Some(error) = &now.error { div class="note bad" role="alert" { p { (t!("bulk-broke-off-why")) " " (say(error)) } } }
            @if now.bad_count > 0 {
                section class="card flush" {
                    div class="cardhead" { h2 { (t!("bulk-bad-rows")) } a class="btn" href={ "/v1/table-jobs/" (job.id) "/bad" } { (t!("bulk-bad-file")) } }
                    div class="scroll" { table {
                        thead { tr { th class="right" { (t!("bulk-line")) } th { (t!("record-column")) } th { (t!("words-reason")) } } }
                        tbody { @for row in now.bad.iter().take(BAD_SHOWN) { @for fault in &row.faults.0 { tr {
                            td class="right" { (row.line) } td { code { (fault.field) } } td { (say(&fault.message)) }
                        } } } }
                    } }
                }
            } @else if now.finished && now.error.is_none() { div class="note good" { p { (t!("bulk-all-well")) } } }
        }
    }
}
