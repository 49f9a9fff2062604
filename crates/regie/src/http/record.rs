//! The public record: who paid for every ad, how much, and how often it was shown. For anybody, without sign-in.
//!
//! Every ad is here from its first impression on, and not before. Figures are the ledger's own, exact, at most a second
//! old. Refuses anything of a viewer, and any breakdown finer than a day (law R4).

mod ad_page;
mod data;
mod home;
mod index;
mod own;
mod sponsor_page;

pub use data::entry;
pub use index::Index;
pub use own::own_entries;

use super::{AppState, Route, problem::Problem};
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::{AdId, PartyId};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Entries of one answer unless the request says less.
const ENTRIES_DEFAULT: usize = 50;
/// Entries of one answer at most.
const ENTRIES_MAX: usize = 200;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let public = |path, handler| Route::public("record", Method::GET, path, handler);
    vec![
        public("/record", get(home::show)),
        public("/record/ads.json", get(list)),
        public("/record/ads/{id}", get(ad_page::show)),
        public("/record/ads/{id}/versions/{version}/frame", get(ad_page::frame)),
        public("/record/sponsors/{id}", get(sponsor_page::show)),
    ]
}

/// Whether JSON is asked for, and the id without its suffix.
fn wants_json<'a>(id: &'a str, headers: &HeaderMap) -> (bool, &'a str) {
    if let Some(bare) = id.strip_suffix(".json") {
        return (true, bare);
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let json = accept.split(',').any(|part| part.trim().split(';').next() == Some("application/json"));
    (json && !accept.contains("text/html"), id)
}

/// JSON that any page may read.
fn open_json(value: &serde_json::Value) -> Response {
    let mut response = axum::Json(value).into_response();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("accept"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the list is narrowed by.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct ListQuery {
    /// Words in sponsor, payer or ad.
    pub q: String,
    /// Only this sponsor.
    pub sponsor: Option<String>,
    /// `1` for political ads only.
    pub political: String,
    /// Entries of the answer.
    pub limit: Option<usize>,
    /// The cursor of an earlier answer.
    pub cursor: Option<String>,
}

async fn list(State(app): State<AppState>, Query(query): Query<ListQuery>) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(ENTRIES_DEFAULT);
    if !(1..=ENTRIES_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is 1 to {ENTRIES_MAX}.")));
    }
    let wanted = narrowed(&query)?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<serde_json::Value, Problem> {
        let (ids, next) = data::search(&reader, &wanted, limit);
        let entries: Vec<_> =
            ids.iter().filter_map(|id| data::entry(&reader, *id).transpose()).collect::<Result<_, _>>()?;
        let count = data::shown_count(&reader);
        Ok(json!({
            "schema_version": regie_record::SCHEMA_VERSION, "entries": entries,
            "entries_count": count, "limit": limit, "cursor": next.map(|id| id.to_string()),
        }))
    };
    let json = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    Ok(open_json(&json))
}

/// The search that a query asks for.
fn narrowed(query: &ListQuery) -> Result<data::Wanted, Problem> {
    let sponsor = match query.sponsor.as_deref().filter(|t| !t.is_empty()) {
        Some(text) => Some(text.parse::<PartyId>().map_err(|e| Problem::bad_request(e.to_string()))?),
        None => None,
    };
    let before = match query.cursor.as_deref().filter(|t| !t.is_empty()) {
        Some(text) => Some(text.parse::<AdId>().map_err(|e| Problem::bad_request(e.to_string()))?),
        None => None,
    };
    Ok(data::Wanted { words: data::words(&query.q), sponsor, political: query.political == "1", before })
}
