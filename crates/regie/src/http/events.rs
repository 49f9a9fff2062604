//! `POST /v1/events`: beacons, up to 64 in one body. The answer says that they are durable, not that they are billed.

use super::{AppState, Route, problem::Problem};
use crate::platform::{Platform, SubmitError, intake::Kind};
use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{options, post},
};
use regie_journal::Appended;
use regie_model::{event::Event, limits::*};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("events", Method::POST, "/v1/events", post(report)),
        Route::public("events", Method::OPTIONS, "/v1/events", options(preflight)),
    ]
}

/// A beacon's body.
#[derive(Debug, Deserialize)]
pub struct Beacon<'a> {
    /// What happened, at most [`BEACON_EVENTS_COUNT_MAX`].
    #[serde(borrow)]
    pub events: Vec<BeaconEvent<'a>>,
}
/// One event of a beacon. Text is borrowed where it is written plainly, and copied where it is written with escapes.
#[derive(Debug, Deserialize)]
pub struct BeaconEvent<'a> {
    /// Its kind, a word of [`Kind`].
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The sealed ticket.
    #[serde(borrow)]
    pub ticket: Cow<'a, str>,
}
/// One event that was not accepted.
#[derive(Debug, Serialize)]
struct Refused {
    index: usize,
    reason: &'static str,
}
#[derive(Serialize)]
struct Report {
    accepted_count: usize,
    refused: Vec<Refused>,
}

async fn preflight(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    super::decisions::allow_origin(&app.platform.current_view(), None, &headers, &mut response);
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, header::HeaderValue::from_static("content-type"));
    response
}

async fn report(State(app): State<AppState>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = take(&app, body).await.unwrap_or_else(IntoResponse::into_response);
    super::decisions::allow_origin(&app.platform.current_view(), None, &head.headers, &mut response);
    response
}

async fn take(app: &AppState, body: axum::body::Body) -> Result<Response, Problem> {
    let body = super::serve::read(body, DELIVERY_BODY_BYTES_MAX).await?;
    let beacon: Beacon<'_> =
        serde_json::from_slice(&body).map_err(|e| Problem::bad_request(e.to_string()))?;
    let count = beacon.events.len();
    if count > BEACON_EVENTS_COUNT_MAX {
        return Err(Problem::bad_request(format!(
            "At most {BEACON_EVENTS_COUNT_MAX} events in a beacon; this has {count}."
        )));
    }
    let (mut events, mut refused) = (Vec::with_capacity(count), Vec::new());
    for (index, event) in beacon.events.iter().enumerate() {
        match Kind::from_word(&event.kind) {
            None => refused.push(Refused { index, reason: "unknown_kind" }),
            Some(kind) => match app.platform.beacon(kind, &event.ticket) {
                Ok(event) => events.push(event),
                Err(error) => refused.push(Refused { index, reason: crate::platform::intake::reason(error) }),
            },
        }
    }
    let report = Report { accepted_count: events.len(), refused };
    if events.is_empty() && count > 0 {
        let title = "None of the events was accepted; each has its reason.";
        return Ok(Problem::new(StatusCode::BAD_REQUEST, "refused", title).response_with(&report));
    }
    if !events.is_empty() {
        durable(&app.platform, &events).await?;
    }
    let json = serde_json::to_vec(&report).unwrap_or_default();
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Submits events and waits until they are durable, without blocking a worker.
///
/// # Errors
/// When the journal cannot take them, or lost them.
pub async fn durable(platform: &Platform, events: &[Event]) -> Result<Appended, SubmitError> {
    let (done, wait) = tokio::sync::oneshot::channel();
    platform.submit(events, Box::new(move |result| drop(done.send(result))))?;
    match wait.await {
        Ok(Ok(appended)) => Ok(appended),
        Ok(Err(_)) | Err(_) => Err(SubmitError::Stopped),
    }
}
