//! The public record's data under `/v1` as well: the record's own handlers behind a second address, so that one document
//! says where the data of every page is. `/record/` stays the address to cite.
//!
//! Refuses an answer of its own: a twin asks its handler for JSON, and changes nothing in what it says.

use super::{AppState, Route, console::act, problem::Problem, record};
use axum::{
    Json,
    extract::{Query, Request, State},
    http::{HeaderValue, Method, Uri, header},
    middleware::map_request,
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::Day;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Spenders of one answer at most.
const SPENDERS_MAX: usize = 1_000;

/// Twin, and the record's own address.
const TWINS: [(&str, &str); 11] = [
    ("/v1/record/ads", "/record/ads.json"),
    ("/v1/record/ads/{id}", "/record/ads/{id}"),
    ("/v1/record/ads/{id}/{form}", "/record/ads/{id}/{form}"),
    ("/v1/record/ads/{id}/versions", "/record/ads/{id}/versions.json"),
    ("/v1/record/ads/{id}/versions/{version}", "/record/ads/{id}/versions/{version}"),
    ("/v1/record/changes", "/record/changes.json"),
    ("/v1/record/days", "/record/days.json"),
    ("/v1/record/elections", "/record/elections.json"),
    ("/v1/record/completeness", "/record/completeness.json"),
    ("/v1/record/fields", "/record/data.json"),
    ("/v1/record/sponsors/{id}", "/record/sponsors/{id}"),
];

/// The twins of the record's routes.
pub fn routes() -> Vec<Route> {
    let own = record::routes();
    let twin = |(path, of): (&'static str, &'static str)| {
        let found = own.iter().find(|route| route.path == of && route.method == Method::GET)?;
        Some(Route::public("record", Method::GET, path, found.handler.clone().layer(map_request(as_json))))
    };
    let mut all: Vec<Route> = TWINS.into_iter().filter_map(twin).collect();
    all.push(Route::public("record", Method::GET, "/v1/record/spenders", get(spenders)));
    all
}

/// Asks for JSON in both ways that the record's handlers know: by header, and by the end of the address.
async fn as_json(mut request: Request) -> Request {
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    if let Ok(uri) = format!("{}.json{query}", request.uri().path()).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Since {
    since: String,
}

/// `GET /v1/record/spenders`: who spent most since a day (thirty days ago when absent), the largest first.
async fn spenders(State(app): State<AppState>, Query(query): Query<Since>) -> Result<Response, Problem> {
    let zone = act::zone(&app);
    let since = match query.since.trim() {
        "" => Day(zone.day(app.platform.now()).0 - 30),
        text => {
            Day::parse(text).ok_or_else(|| Problem::bad_request("`since` is a day, such as 2026-11-20."))?
        }
    };
    let reader = Arc::clone(&app);
    let from = zone.day_start(since).hour();
    let found = tokio::task::spawn_blocking(move || {
        let view = reader.platform.current_view();
        let rows = record::spenders(&reader, from)?.into_iter().take(SPENDERS_MAX);
        let rows = rows.map(|(id, currency, net)| {
            json!({ "sponsor": id, "name": record::public_party(&view, id).name, "currency": currency, "net_nanos": net })
        });
        Ok::<_, Problem>(rows.collect::<Vec<_>>())
    });
    let rows = found.await.map_err(Problem::internal)??;
    Ok(Json(json!({ "since": since, "spenders": rows })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_twin_finds_its_handler() {
        assert_eq!(routes().len(), TWINS.len() + 1);
    }
}
