//! Conversions: server to server with a scoped token, or by a pixel that is marked unauthenticated.

use super::{AppState, Route, auth, events::durable, problem::Problem};
use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use regie_model::{booking::Scope, event::ConversionSource, limits::*};
use serde::Deserialize;

/// A transparent GIF of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
/// Click ids that one report may name.
const CLICK_IDS_MAX: usize = 8;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let by_token = super::Access::Signed { roles: &[], scope: Some(Scope::Conversions) };
    vec![
        Route {
            owner: "conversions",
            method: Method::POST,
            path: "/v1/conversions",
            access: by_token,
            handler: post(server),
        },
        Route::public("conversions", Method::GET, "/v1/conversions/pixel.gif", get(pixel)),
    ]
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Signed click ids (`regie_click` of the landing address); the latest valid one counts.
    click_ids: Vec<String>,
    action: String,
    order_id: String,
    #[serde(default)]
    value_micros: i64,
}

fn check(action: &str, order: &str, value_micros: i64) -> Result<(), Problem> {
    if action.is_empty() || action.len() > 64 || order.is_empty() || order.len() > VALUE_BYTES_MAX {
        let detail = format!("`action` has 1 to 64 bytes, `order_id` 1 to {VALUE_BYTES_MAX}.");
        return Err(Problem::bad_request(detail));
    }
    if !(0..=AMOUNT_MICROS_MAX).contains(&value_micros) {
        return Err(Problem::bad_request(format!("`value_micros` is 0 to {AMOUNT_MICROS_MAX}.")));
    }
    Ok(())
}

async fn server(State(app): State<AppState>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let input: Input = serde_json::from_slice(&body).map_err(|e| Problem::bad_request(e.to_string()))?;
    check(&input.action, &input.order_id, input.value_micros)?;
    if input.click_ids.len() > CLICK_IDS_MAX {
        return Err(Problem::bad_request(format!("At most {CLICK_IDS_MAX} click ids.")));
    }
    let ids: Vec<&str> = input.click_ids.iter().map(String::as_str).collect();
    let source = ConversionSource::Server;
    let only = auth::token_advertiser(&app, &headers);
    let (action, order) = (&input.action, &input.order_id);
    let event = app.platform.conversion(&ids, only, action, order, input.value_micros, source)?;
    if only.is_some_and(|only| event.ticket().is_none_or(|t| t.advertiser != only)) {
        return Err(Problem::forbidden("This token reports conversions of another advertiser."));
    }
    let appended = durable(&app.platform, &[event]).await?;
    Ok((axum::http::StatusCode::ACCEPTED, axum::Json(serde_json::json!({ "position": appended.last.0 })))
        .into_response())
}

#[derive(Deserialize)]
struct PixelQuery {
    click_id: String,
    action: String,
    order_id: String,
    #[serde(default)]
    value_micros: i64,
}

async fn pixel(
    State(app): State<AppState>,
    method: Method,
    query: Result<Query<PixelQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    check(&query.action, &query.order_id, query.value_micros)?;
    let ids = [query.click_id.as_str()];
    let (action, order, source) = (&query.action, &query.order_id, ConversionSource::Pixel);
    let event = app.platform.conversion(&ids, None, action, order, query.value_micros, source)?;
    if method != Method::HEAD {
        durable(&app.platform, &[event]).await?;
    }
    Ok(([(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")], PIXEL).into_response())
}
