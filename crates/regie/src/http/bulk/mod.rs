//! Bookings by table: campaigns, ad sets, ads and versions as CSV, out and in, in the same columns.
//!
//! `GET /v1/tables/{kind}` writes what is booked, `POST` takes a table in as a job that tells its progress and gives back
//! every bad row with its reason. The console's page is the same. Refuses rules of booking; jobs are soft state.

pub mod page;
pub mod run;
pub mod table;

use super::{AppState, Route, auth::Caller, booking::kind::Kind, problem::Problem};
use crate::http::booking::{BOOK, READ, kind::id_of, scope, show};
use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use regie_model::{AdvertiserId, Faults};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A table's size at most.
pub const TABLE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Where the console sends a table: its token is the first field, so that the file need not be held twice.
pub const UPLOAD_PATH: &str = "/console/bulk";
/// Rows of an export at most.
const EXPORT_ROWS_MAX: usize = 1_000_000;
/// Bad rows that a job keeps.
const BAD_ROWS_MAX: usize = 20_000;
/// Jobs that run at the same time.
const RUNNING_MAX: usize = 2;
/// Finished jobs that are remembered.
const JOBS_MAX: usize = 50;

/// Kinds that have tables.
pub const KINDS: [Kind; 4] = [Kind::Campaign, Kind::AdSet, Kind::Ad, Kind::Version];

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let row = |method, path, access, handler| Route { owner: "bulk", method, path, access, handler };
    let limit = DefaultBodyLimit::max(TABLE_BYTES_MAX);
    let mut all = vec![
        row(Method::GET, "/v1/tables/{kind}", READ, get(export)),
        row(Method::POST, "/v1/tables/{kind}", BOOK, post(import).layer(limit)),
        row(Method::GET, "/v1/table-jobs", BOOK, get(list)),
        row(Method::GET, "/v1/table-jobs/{id}", BOOK, get(progress)),
        row(Method::GET, "/v1/table-jobs/{id}/bad", BOOK, get(bad_rows)),
    ];
    all.extend(page::routes());
    all
}

/// A row that was not taken, and why.
#[derive(Clone, Debug, Serialize)]
pub struct BadRow {
    /// Line of the file, from 1.
    pub line: u64,
    /// What is wrong, by column.
    pub faults: Faults,
    #[serde(skip)]
    cells: Vec<String>,
}

/// How far a job is, and what came of its rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Rows that were looked at.
    pub done_count: u64,
    /// Made anew.
    pub created_count: u64,
    /// Edited or switched.
    pub changed_count: u64,
    /// As they were.
    pub unchanged_count: u64,
    /// Not taken.
    pub bad_count: u64,
    /// Whether it is over.
    pub finished: bool,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first bad rows, each with its reasons.
    pub bad: Vec<BadRow>,
}

/// One table being taken in.
pub struct Job {
    /// Its number.
    pub id: u64,
    /// What its rows are.
    pub kind: Kind,
    /// Name of the file, where it had one.
    pub file: String,
    /// Rows of the file, its header not counted.
    pub rows_count: u64,
    /// Whether rows are only checked.
    pub dry_run: bool,
    columns: Vec<String>,
    by: super::auth::Who,
    advertiser: Option<AdvertiserId>,
    progress: Mutex<Progress>,
}
impl Job {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }
    fn count(&self, what: &str) {
        let mut progress = self.lock();
        progress.done_count += 1;
        match what {
            "created" => progress.created_count += 1,
            "changed" => progress.changed_count += 1,
            _ => progress.unchanged_count += 1,
        }
    }
    fn bad(&self, line: u64, row: &csv::StringRecord, faults: &Faults) {
        let mut progress = self.lock();
        progress.done_count += 1;
        progress.bad_count += 1;
        if progress.bad.len() < BAD_ROWS_MAX {
            let mut faults = faults.clone();
            for fault in &mut faults.0 {
                fault.field = table::column_of(&fault.field, &self.columns);
            }
            let cells = row.iter().map(str::to_owned).collect();
            progress.bad.push(BadRow { line, faults, cells });
        }
    }
    fn finish(&self, error: Option<String>) {
        let mut progress = self.lock();
        progress.finished = true;
        progress.error = error;
    }
    fn is_for(&self, caller: &Caller) -> bool {
        self.by == caller.who
            || caller.may_operate()
            || caller.advertiser.is_some() && caller.advertiser == self.advertiser
    }
    /// The bad rows as a table of the same columns, with a column `reason` more: to mend and send again.
    ///
    /// # Errors
    /// None in memory.
    fn bad_table(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        let with_reason = |cells: &[String], reason: &str| {
            let mut row: Vec<String> = cells.to_vec();
            row.push(reason.to_owned());
            row
        };
        writer.write_record(with_reason(&self.columns, "reason"))?;
        for row in &self.lock().bad {
            let told: Vec<String> =
                row.faults.0.iter().map(|f| told(&f.field, &crate::i18n::rooms::say(&f.message))).collect();
            let mut cells = row.cells.clone();
            cells.resize(self.columns.len(), String::new());
            let reason = crate::t!("bulk-line-and-reason", line = row.line, reason = told.join(" "));
            writer.write_record(with_reason(&cells, &reason))?;
        }
        writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
    }
}
fn told(field: &str, message: &str) -> String {
    if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") }
}

/// Jobs of this process.
#[derive(Default)]
pub struct Jobs {
    all: Mutex<BTreeMap<u64, Arc<Job>>>,
}
impl Jobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Job>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A job, if it is this caller's.
    pub fn get(&self, caller: &Caller, id: u64) -> Option<Arc<Job>> {
        self.lock().get(&id).filter(|j| j.is_for(caller)).cloned()
    }
    /// The caller's jobs, the latest first.
    pub fn of(&self, caller: &Caller) -> Vec<Arc<Job>> {
        self.lock().values().rev().filter(|j| j.is_for(caller)).cloned().collect()
    }
    fn add(&self, make: impl FnOnce(u64) -> Job) -> Result<Arc<Job>, Problem> {
        let mut all = self.lock();
        let running = all.values().filter(|j| !j.lock().finished).count();
        if running >= RUNNING_MAX {
            let title = format!("{RUNNING_MAX} tables are being taken in; send it again when one is done.");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", title));
        }
        let id = all.keys().next_back().map_or(1, |last| last + 1);
        let job = Arc::new(make(id));
        all.insert(id, Arc::clone(&job));
        let old: Vec<u64> = all.iter().filter(|(_, j)| j.lock().finished).map(|(id, _)| *id).collect();
        for id in old.iter().take(all.len().saturating_sub(JOBS_MAX)) {
            all.remove(id);
        }
        Ok(job)
    }
}

/// The kind of a table by its word.
///
/// # Errors
/// 404 for what has no tables.
fn kind(word: &str) -> Result<Kind, Problem> {
    let plain = word.strip_suffix(".csv").unwrap_or(word);
    KINDS.into_iter().find(|k| k.plural() == plain).ok_or_else(|| Problem::not_found("table of this name"))
}

/// Starts taking a table in.
///
/// # Errors
/// 422 for a header that cannot be used; 429 while too many run.
pub async fn begin(
    app: &AppState,
    caller: &Caller,
    kind: Kind,
    file: String,
    dry_run: bool,
    bytes: Bytes,
) -> Result<Arc<Job>, Problem> {
    let counted = bytes.clone();
    let look = move || -> Result<(Vec<String>, u64), Problem> {
        let columns = run::columns(&counted, kind)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(counted.as_ref());
        let rows_count = reader.byte_records().count() as u64;
        Ok((columns, rows_count))
    };
    let (columns, rows_count) = tokio::task::spawn_blocking(look).await.map_err(Problem::internal)??;
    let job = app.bulk.add(|id| Job {
        id,
        kind,
        file,
        rows_count,
        dry_run,
        columns,
        by: caller.who,
        advertiser: caller.advertiser,
        progress: Mutex::default(),
    })?;
    tokio::spawn(run::run(Arc::clone(app), caller.clone(), Arc::clone(&job), bytes));
    Ok(job)
}

/// What an import is told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ImportQuery {
    /// Only check.
    dry_run: bool,
}

/// `POST /v1/tables/{kind}`.
async fn import(
    State(app): State<AppState>,
    caller: Caller,
    Path(word): Path<String>,
    query: Result<Query<ImportQuery>, axum::extract::rejection::QueryRejection>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let job = begin(&app, &caller, kind(&word)?, String::new(), query.dry_run, body).await?;
    let place = format!("/v1/table-jobs/{}", job.id);
    let told = json!({ "job": job.id, "rows_count": job.rows_count, "path": place });
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(told)).into_response())
}

fn find(app: &AppState, caller: &Caller, id: u64) -> Result<Arc<Job>, Problem> {
    app.bulk
        .get(caller, id)
        .ok_or_else(|| Problem::not_found("table of this number, or the server was started since"))
}

/// `GET /v1/table-jobs`: the tables of this process that the caller sent, the latest first.
async fn list(State(app): State<AppState>, caller: Caller) -> Response {
    let jobs = app.bulk.of(&caller);
    let rows = jobs.iter().map(|job| job_json(job, 0));
    Json(json!({ "jobs": rows.collect::<Vec<_>>() })).into_response()
}

fn job_json(job: &Job, bad_rows_max: usize) -> serde_json::Value {
    let mut progress = job.progress();
    progress.bad.truncate(bad_rows_max);
    let mut told = json!(progress);
    for fault in told["bad"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .flat_map(|row| row["faults"].as_array_mut())
        .flatten()
    {
        fault["message"] = crate::i18n::rooms::say(fault["message"].as_str().unwrap_or_default()).into();
    }
    told["job"] = job.id.into();
    told["kind"] = job.kind.plural().into();
    told["rows_count"] = job.rows_count.into();
    told["dry_run"] = job.dry_run.into();
    told
}

/// `GET /v1/table-jobs/{id}`.
async fn progress(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    const SHOWN: usize = 100;
    let job = find(&app, &caller, id)?;
    Ok(Json(job_json(&job, SHOWN)).into_response())
}

/// `GET /v1/table-jobs/{id}/bad`: the bad rows as a table.
async fn bad_rows(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    let job = find(&app, &caller, id)?;
    let bytes = job.bad_table().map_err(Problem::internal)?;
    Ok(csv_file(&format!("{}-bad-rows-{id}", job.kind.plural()), bytes))
}

fn csv_file(name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    (headers, bytes).into_response()
}

/// What an export is cut by.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExportQuery {
    /// Only what stands in this thing.
    within: Option<String>,
}

/// `GET /v1/tables/{kind}`: everything of a kind that the caller may see.
async fn export(
    State(app): State<AppState>,
    caller: Caller,
    Path(word): Path<String>,
    query: Result<Query<ExportQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let of = kind(&word)?;
    let within = match query.within.as_deref().filter(|t| !t.is_empty()) {
        Some(text) => Some(
            crate::http::booking::kind::parse_any(text)
                .ok_or_else(|| Problem::bad_request("`within` is an id, such as cam_1."))?,
        ),
        None => None,
    };
    let write = move || -> Result<Vec<u8>, Problem> {
        let catalogue = app.platform.catalogue();
        let fits = |entity: &regie_model::command::EntityRef| {
            scope::may_see(&catalogue, &caller, *entity)
                && within.is_none_or(|holder| {
                    crate::http::booking::entities::is_within(&catalogue, *entity, holder)
                })
        };
        let found: Vec<_> = of.after(&catalogue, 0).filter(fits).take(EXPORT_ROWS_MAX + 1).collect();
        if found.len() > EXPORT_ROWS_MAX {
            let detail = format!("At most {EXPORT_ROWS_MAX} rows; name a campaign with `within`.");
            return Err(Problem::bad_request(detail));
        }
        let shown =
            found.iter().filter_map(|e| Some((id_of(*e).1, show::show(&app, &catalogue, &caller, *e)?)));
        table_of(of, shown).map_err(Problem::internal)
    };
    let bytes = tokio::task::spawn_blocking(write).await.map_err(Problem::internal)??;
    Ok(csv_file(of.plural(), bytes))
}

/// A table of things: first what says which each is, then every column that one of them has.
fn table_of(
    of: Kind,
    shown: impl Iterator<Item = (String, serde_json::Value)>,
) -> Result<Vec<u8>, csv::Error> {
    let mut order: Vec<String> = run::field_names(of).iter().map(|n| (*n).to_owned()).collect();
    let mut rows = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for (id, json) in shown {
        let cells: BTreeMap<String, String> = table::cells(&json["spec"]).into_iter().collect();
        used.extend(cells.keys().cloned());
        let status = json["status"].as_str().unwrap_or_default().to_owned();
        rows.push((id, json["revision"].to_string(), status, cells));
    }
    // Columns within a field stand in its place; a field that nobody fills has its column nevertheless.
    let mut columns = Vec::new();
    for name in order.drain(..) {
        let inner: Vec<String> =
            used.iter().filter(|c| c.starts_with(&format!("{name}."))).cloned().collect();
        if inner.is_empty() { columns.push(name) } else { columns.extend(inner) }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(table::HEAD.iter().copied().chain(columns.iter().map(String::as_str)))?;
    for (id, revision, status, cells) in &rows {
        let fields = columns.iter().map(|c| cells.get(c).map_or("", String::as_str));
        writer.write_record([id.as_str(), revision, status].into_iter().chain(fields))?;
    }
    writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}
