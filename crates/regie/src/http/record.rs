//! The public record: who paid for every ad, how much, and how often it was shown. For anybody, without sign-in.
//!
//! Every ad is here from its first impression on, and not before (its facts are in the log before that). Figures are the
//! ledger's own, exact, at most a second old; closed days stand in the log. Refuses anything of a viewer (law R4).

mod ad_page;
pub mod bulk;
pub mod completeness;
mod data;
mod dossier;
mod elections;
mod home;
mod known;
pub mod limits;
mod notice;
pub mod outbox;
mod own;
mod reading;
mod report;
mod spenders;
mod sponsor_page;
mod version_page;

pub use data::entry;
pub use own::own_entries;
pub use report::{Reporter, due_at};

use super::{AppState, Route, problem::Problem};
use crate::publication::words::months_between;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::{AdId, Day, PartyId};
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
    let mut all = vec![
        public("/record", get(home::show)),
        public("/record/ads.json", get(list)),
        public("/record/ads/{id}", get(ad_page::show)),
        public("/record/ads/{id}/versions", get(known::versions)),
        public("/record/ads/{id}/versions.json", get(known::versions)),
        public("/record/ads/{id}/{form}", get(notice::show)),
        public("/record/ads/{id}/versions/{version}", get(version_page::show)),
        public("/record/ads/{id}/versions/{version}/frame", get(ad_page::frame)),
        public("/record/changes", get(known::between)),
        public("/record/changes.json", get(known::between)),
        public("/record/days.json", get(bulk::list)),
        public("/record/days/{name}", get(bulk::file)),
        public("/record/elections", get(elections::show)),
        public("/record/elections.json", get(elections::show)),
        public("/record/elections/dossier.json", get(dossier::of_election)),
        public("/record/spenders", get(spenders::show)),
        public("/record/spenders.json", get(spenders::show)),
        public("/record/feed.atom", get(reading::feed)),
        public("/record/completeness.json", get(completeness::completeness)),
        public("/record/openapi.json", get(reading::openapi)),
        public("/record/data", get(reading::dictionary)),
        public("/record/data.json", get(reading::dictionary)),
        public("/record/sponsors/{id}", get(sponsor_page::show)),
        public("/record/sponsors/{id}/dossier.json", get(dossier::of_sponsor)),
    ];
    all.extend(report::routes());
    all
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
    /// Words in sponsor, payer or ad, in any language and script.
    pub q: String,
    /// Only this sponsor.
    pub sponsor: Option<String>,
    /// Only this payer.
    pub payer: Option<String>,
    /// `1` for political ads only.
    pub political: String,
    /// Linked to this vote or process, by name.
    pub election: String,
    /// Where the sponsor is established, ISO 3166-1.
    pub country: String,
    /// A dimension (`topic`) or a value of it (`topic war`), meant or excluded.
    pub targeted: String,
    /// First day of the intended period; months count whole.
    pub from: String,
    /// Last day of it.
    pub to: String,
    /// As of this size of the log.
    pub size: Option<String>,
    /// Entries of the answer.
    pub limit: Option<usize>,
    /// The cursor of an earlier answer.
    pub cursor: Option<String>,
}
impl ListQuery {
    /// The filled fields, as a query of a page; without limit, size and cursor.
    pub(crate) fn to_query(&self) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.q),
            ("sponsor", self.sponsor.as_ref().unwrap_or(&String::new())),
            ("payer", self.payer.as_ref().unwrap_or(&String::new())),
            ("political", &self.political),
            ("election", &self.election),
            ("country", &self.country),
            ("targeted", &self.targeted),
            ("from", &self.from),
            ("to", &self.to),
        ] {
            if !value.trim().is_empty() {
                pairs.append_pair(name, value.trim());
            }
        }
        pairs.finish()
    }
    /// Whether it asks for anything in particular.
    pub(crate) fn is_search(&self) -> bool {
        !self.to_query().is_empty() || self.cursor.is_some() || self.size.is_some()
    }
}

async fn list(
    State(app): State<AppState>,
    _: limits::Fair,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(ENTRIES_DEFAULT);
    if !(1..=ENTRIES_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is 1 to {ENTRIES_MAX}.")));
    }
    let wanted = narrowed(&query)?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<serde_json::Value, Problem> {
        let (ids, next) = data::search_briefly(&reader, &wanted, limit)?;
        let one = |id: &AdId| match wanted.size {
            Some(size) => {
                let db = reader.publication.reading().map_err(Problem::internal)?;
                Ok(known::entry_at(&reader, &db, *id, size)?.map(|(_, entry)| entry))
            }
            None => data::entry(&reader, *id),
        };
        let entries: Vec<_> = ids.iter().filter_map(|id| one(id).transpose()).collect::<Result<_, _>>()?;
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
    fn read<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let filled = text.filter(|t| !t.is_empty());
        filled.map(|t| t.parse::<T>().map_err(|e| Problem::bad_request(e.to_string()))).transpose()
    }
    let day = |name: &str, text: &str| match text.trim() {
        "" => Ok(None),
        text => Day::parse(text)
            .map(Some)
            .ok_or_else(|| Problem::bad_request(format!("`{name}` is a day, such as 2026-11-20."))),
    };
    let months = match (day("from", &query.from)?, day("to", &query.to)?) {
        (None, None) => Vec::new(),
        (Some(day), None) | (None, Some(day)) => months_between(day, day),
        (Some(first), Some(last)) => months_between(first, last),
    };
    Ok(data::Wanted {
        words: query.q.clone(),
        sponsor: read::<PartyId>(query.sponsor.as_deref())?,
        payer: read::<PartyId>(query.payer.as_deref())?,
        political: query.political == "1",
        election: query.election.clone(),
        country: query.country.clone(),
        targeted: query.targeted.clone(),
        months,
        size: read::<u64>(query.size.as_deref())?,
        before: read::<AdId>(query.cursor.as_deref())?,
    })
}
