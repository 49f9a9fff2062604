//! Health, readiness and metrics. No personal data, no secrets.

use super::{Access, AppState, Route};
use crate::platform::deciding::Answer;
use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_journal::CommitterHandle;
use regie_model::{
    UtcMs,
    booking::{Role, Scope},
};
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let metrics = Access::Signed {
        roles: &[Role::Owner, Role::AdOperations, Role::Auditor],
        scope: Some(Scope::Metrics),
    };
    vec![
        Route::public("health", Method::GET, "/health", get(|| async { "ok\n" })),
        Route::public("health", Method::GET, "/ready", get(ready)),
        Route {
            owner: "health",
            method: Method::GET,
            path: "/metrics",
            access: metrics,
            handler: get(report),
        },
    ]
}

/// Counters of this process.
pub struct Metrics {
    committer: CommitterHandle,
    started_at: UtcMs,
    /// Decisions answered.
    pub decisions_count: AtomicU64,
    /// Of these with an ad.
    pub fills_count: AtomicU64,
}
impl Metrics {
    /// Counters at zero.
    pub fn new(committer: CommitterHandle, started_at: UtcMs) -> Metrics {
        Metrics { committer, started_at, decisions_count: AtomicU64::new(0), fills_count: AtomicU64::new(0) }
    }
    /// When this process began to serve.
    pub fn started_at(&self) -> UtcMs {
        self.started_at
    }
    /// What the committer counts.
    pub fn committer_counters(&self) -> regie_journal::CommitCounters {
        self.committer.counters()
    }
    /// The last durable record.
    pub fn head(&self) -> u64 {
        self.committer.counters().head.0
    }
    /// Counts the answers of one request.
    pub fn count(&self, answers: &[Answer]) {
        let fills = answers.iter().filter(|a| matches!(a, Answer::Fill(_))).count();
        self.decisions_count.fetch_add(answers.len() as u64, Ordering::Relaxed);
        self.fills_count.fetch_add(fills as u64, Ordering::Relaxed);
    }
}

async fn ready(State(app): State<AppState>) -> Response {
    let mut why = app.platform.halted();
    if app.platform.epoch() == 0 {
        why.push("no ticket epoch is open");
    }
    let status = if why.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let waiting_count = app.platform.waiting_for_log_count();
    let told =
        serde_json::json!({ "ready": why.is_empty(), "why_not": why, "record_waiting_ads": waiting_count });
    (status, axum::Json(told)).into_response()
}

async fn report(State(app): State<AppState>) -> Response {
    let counters = app.metrics.committer.counters();
    let mut text = String::with_capacity(2_048);
    let mut line = |name: &str, kind: &str, help: &str, value: f64| {
        let _ =
            writeln!(text, "# HELP regie_{name} {help}\n# TYPE regie_{name} {kind}\nregie_{name} {value}");
    };
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    line(
        "decisions_total",
        "counter",
        "Placements decided since the start.",
        load(&app.metrics.decisions_count),
    );
    line("fills_total", "counter", "Of these answered with an ad.", load(&app.metrics.fills_count));
    line("journal_head", "gauge", "Records in the journal.", counters.head.0 as f64);
    line("journal_commits_total", "counter", "Commits since the start.", counters.commit_count as f64);
    line(
        "journal_records_total",
        "counter",
        "Records committed since the start.",
        counters.record_count as f64,
    );
    line(
        "journal_queued_records",
        "gauge",
        "Records waiting to be committed.",
        counters.queued_record_count as f64,
    );
    line(
        "journal_last_commit_seconds",
        "gauge",
        "Duration of the last commit.",
        counters.last_commit_micros as f64 / 1e6,
    );
    line(
        "folds_position",
        "gauge",
        "Record up to which the folds have read.",
        app.platform.position() as f64,
    );
    line(
        "record_waiting_ads",
        "gauge",
        "Ads that could be shown and wait for their facts to be in the record's log.",
        app.platform.waiting_for_log_count() as f64,
    );
    line("ticket_epoch", "gauge", "Epoch of the tickets issued now.", f64::from(app.platform.epoch()));
    line(
        "paid_stopped",
        "gauge",
        "1 while everything paid is stopped.",
        f64::from(u8::from(app.platform.gate.is_paid_stopped())),
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
