//! The operator's page: whether everything keeps up, what it fills, which version runs, when it was last backed up.
//!
//! The page and `GET /v1/health` show the same figures. No personal data, no secrets, no path of the machine.

use super::{layout, page, ui};
use crate::http::{Access, App, AppState, Route, auth::Caller, problem::Problem};
use crate::t;
use axum::{
    Json,
    extract::State,
    http::Method,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::html;
use regie_model::{
    UtcMs,
    booking::{Role, Scope},
};
use serde::Serialize;
use serde_json::json;
use std::{path::Path, sync::Arc};

/// Who looks after the server.
const KEEPS: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::Auditor], scope: None };
/// The same, for programs that watch.
const WATCHES: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::Auditor], scope: Some(Scope::Metrics) };
/// Files that are looked at for a size; a folder with more says so.
const FILES_MAX: usize = 200_000;
/// A backup older than this is told of.
const BACKUP_DAYS_MAX: i64 = 7;
/// What `regie backup` leaves in the folder that it copied.
pub const BACKUP_MARK: &str = "last-backup.json";

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/health", KEEPS, get(show)),
        Route {
            owner: "console",
            method: Method::GET,
            path: "/v1/health",
            access: WATCHES,
            handler: get(api),
        },
    ]
}

/// A fold, and how far it has read.
#[derive(Clone, Debug, Serialize)]
pub struct Fold {
    /// Its name.
    pub name: &'static str,
    /// Journal position up to which it has read.
    pub position: u64,
    /// Records that it has still to read.
    pub lag_count: u64,
}
/// A part of the data folder.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Its name in the folder.
    pub name: &'static str,
    /// Bytes it takes.
    pub size_bytes: u64,
    /// Files in it.
    pub files_count: u64,
    /// There are more files than were looked at.
    pub more: bool,
}
/// Everything an operator looks at first.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Version of the program.
    pub version: &'static str,
    /// When this was read.
    pub at: UtcMs,
    /// When the process started.
    pub started_at: UtcMs,
    /// Why paid ads stand still; empty when they do not.
    pub halted: Vec<&'static str>,
    /// The last durable record.
    pub journal_head: u64,
    /// Records waiting to be committed.
    pub queued_count: u64,
    /// Duration of the last commit.
    pub last_commit_micros: u64,
    /// Every fold.
    pub folds: Vec<Fold>,
    /// Entries in the public record's log.
    pub log_size: u64,
    /// Epoch of the tickets issued now.
    pub ticket_epoch: u32,
    /// What fills the data folder.
    pub parts: Vec<Part>,
    /// Bytes free on its disk.
    pub free_bytes: Option<u64>,
    /// When the folder was last backed up by `regie backup`.
    pub last_backup_at: Option<UtcMs>,
}

/// Reads everything. For a thread that may block.
///
/// # Errors
/// The record's database.
pub fn health(app: &App) -> Result<Health, Problem> {
    let counters = app.metrics.committer_counters();
    let head = counters.head.0;
    let fold = |name, position: u64| Fold { name, position, lag_count: head.saturating_sub(position) };
    let (on_disk, changes) = {
        let state = app.platform.state();
        let last = "SELECT coalesce(max(position), 0) FROM changes";
        let changes: i64 =
            state.connection().query_row(last, [], |row| row.get(0)).map_err(Problem::internal)?;
        (state.rollups_position().map_err(Problem::internal)?, changes as u64)
    };
    let published =
        app.publication.reading().map_err(Problem::internal)?.mark("changes").map_err(Problem::internal)?;
    let folds = vec![
        fold("ledger", app.platform.position()),
        fold("learner", app.platform.position()),
        fold("reports", on_disk),
        // These two follow changes of bookings alone: they lag behind the last of those, not behind the journal.
        Fold { name: "catalogue", position: changes, lag_count: 0 },
        Fold { name: "record", position: published, lag_count: changes.saturating_sub(published) },
    ];
    let root = &app.folder;
    let names = [
        "journal",
        "objects",
        "record",
        "state.db",
        "record.db",
        "secrets.db",
        "catalogue.img",
        "log.db",
        "desk.db",
        "downloads",
        "witness.db",
        "mirror.db",
        "mirror",
        "study",
        "study.db",
    ];
    let parts = names.into_iter().map(|name| part(root, name)).filter(|p| p.files_count > 0).collect();
    let mark = std::fs::read(root.join(BACKUP_MARK)).ok();
    let mark = mark.and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
    Ok(Health {
        version: env!("CARGO_PKG_VERSION"),
        at: app.platform.now(),
        started_at: app.metrics.started_at(),
        halted: app.platform.halted(),
        journal_head: head,
        queued_count: counters.queued_record_count,
        last_commit_micros: counters.last_commit_micros,
        folds,
        log_size: app.publication.log_size(),
        ticket_epoch: app.platform.epoch(),
        parts,
        free_bytes: crate::platform::folder::free_bytes(root),
        last_backup_at: mark.and_then(|m| m["at"].as_str().and_then(UtcMs::parse)),
    })
}

fn part(root: &Path, name: &'static str) -> Part {
    let mut part = Part { name, size_bytes: 0, files_count: 0, more: false };
    let mut open = vec![root.join(name)];
    while let Some(path) = open.pop() {
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else if part.files_count as usize >= FILES_MAX {
            part.more = true;
            break;
        } else {
            part.size_bytes += meta.len();
            part.files_count += 1;
        }
    }
    part
}

async fn read(app: &AppState) -> Result<Health, Problem> {
    let state = Arc::clone(app);
    tokio::task::spawn_blocking(move || health(&state)).await.map_err(Problem::internal)?
}

async fn api(State(app): State<AppState>) -> Result<Response, Problem> {
    Ok(Json(json!(read(&app).await?)).into_response())
}

fn bytes(number: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 1_000.0 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = if unit == 0 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{}\u{a0}{}", ui::decimal(&digits), units[unit])
}

fn fold_words(name: &str) -> &'static str {
    match name {
        "ledger" => t!("health-fold-ledger"),
        "learner" => t!("health-fold-learner"),
        "reports" => t!("health-fold-reports"),
        "catalogue" => t!("health-fold-catalogue"),
        _ => t!("health-fold-record"),
    }
}

async fn show(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let health = read(&app).await?;
    let zone = super::act::zone(&app);
    let backup_old = health.last_backup_at.is_none_or(|at| health.at.0 - at.0 > BACKUP_DAYS_MAX * 86_400_000);
    let lag = health.folds.iter().map(|f| f.lag_count).max().unwrap_or(0);
    let body = html! {
        div id="health" data-refresh="5000" {
            @if health.halted.is_empty() { div class="note good" { p { (t!("health-all-well")) } } }
            dl class="figures" {
                (ui::figure(t!("health-journal-head"), &ui::count(health.journal_head), ""))
                (ui::figure(t!("health-waiting"), &ui::count(health.queued_count), ""))
                (ui::figure(t!("health-last-commit"), &format!("{}\u{a0}ms", ui::decimal(&format!("{:.1}", health.last_commit_micros as f64 / 1_000.0))), ""))
                (ui::figure(t!("health-lag"), &ui::count(lag), ""))
                (ui::figure(t!("health-log-size"), &ui::count(health.log_size), ""))
                (ui::figure(t!("health-free"), &health.free_bytes.map_or_else(|| "\u{2013}".into(), bytes), ""))
            }
            div class="grid" {
                section class="card flush" {
                    div class="cardhead" { h2 { (t!("health-folds")) } }
                    table {
                        thead { tr { th { (t!("health-fold")) } th class="right" { (t!("console-journal-position")) } th class="right" { (t!("health-behind")) } } }
                        tbody { @for fold in &health.folds { tr { th scope="row" { (fold_words(fold.name)) } td class="right" { (ui::count(fold.position)) } td class="right" { (ui::count(fold.lag_count)) } } } }
                        caption { (t!("health-folds-caption")) }
                    }
                }
                section class="card flush" {
                    div class="cardhead" { h2 { (t!("health-storage")) } }
                    table {
                        thead { tr { th { (t!("health-part")) } th class="right" { (t!("health-files")) } th class="right" { (t!("health-size")) } } }
                        tbody { @for part in &health.parts { tr { th scope="row" { code { (part.name) } } td class="right" { (ui::count(part.files_count)) @if part.more { "+" } } td class="right" { (bytes(part.size_bytes)) } } } }
                    }
                }
            }
            section class="card" {
                h2 { (t!("health-program")) }
                dl class="facts" {
                    dt { (t!("record-version")) } dd { (health.version) }
                    dt { (t!("health-started")) } dd { (ui::when(health.started_at, &zone)) }
                    dt { (t!("health-epoch")) } dd { (health.ticket_epoch) }
                    dt { (t!("health-backup")) } dd {
                        @match health.last_backup_at { Some(at) => (ui::when(at, &zone)), None => (t!("health-never")) } " "
                        @if backup_old { (ui::badge("warn", t!("health-back-up"))) " " code { "regie backup" } }
                    }
                }
                p class="small muted" { (t!("health-more")) " " code { "/metrics" } }
            }
        }
    };
    Ok(layout::console(&app, &caller, &layout::Frame::new(t!("health-title"), "/console/health"), &body))
}
