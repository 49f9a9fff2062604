//! Exactness: before a report answers, everything acknowledged before the question is folded and written.

use crate::{
    http::{AppState, events::durable, problem::Problem},
    platform::SubmitError,
};
use axum::http::StatusCode;
use regie_model::event::Event;
use std::sync::Arc;

/// Longest wait for the folds, in milliseconds.
const WAIT_MS: u64 = 10_000;

/// Journals what was counted of decisions in memory, waits until the folds have read everything acknowledged so far,
/// and writes the projections. Gives the journal position that figures are exact at.
///
/// # Errors
/// 503 when the folds are too far behind.
pub async fn settle(app: &AppState) -> Result<u64, Problem> {
    let mut wanted = app.metrics.head();
    if let Some(traffic) = app.platform.traffic.take(app.platform.now()) {
        match durable(&app.platform, &[Event::Traffic(Box::new(traffic))]).await {
            Ok(appended) => wanted = wanted.max(appended.last.0),
            // A stopped journal counts no more decisions; what was counted before can still be read.
            Err(SubmitError::Stopped | SubmitError::Busy) => {
                tracing::warn!("aggregate traffic was not journalled")
            }
        }
    }
    let platform = Arc::clone(&app.platform);
    let work = move || {
        if !platform.wait_applied(wanted, WAIT_MS) {
            let title = "The figures are more than ten seconds behind; try again in a moment.";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "behind", title));
        }
        platform.flush(false).map_err(Problem::internal)?;
        Ok(wanted)
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}
