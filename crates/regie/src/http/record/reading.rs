//! More ways to read the record: Atom feeds, the open API's own description, the data dictionary.

use super::{ListQuery, bulk, data, limits::Fair, open_json};
use crate::http::{
    AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};
use std::sync::Arc;

/// Ads in a feed.
const FEED_MAX: usize = 50;

/// `GET /record/feed.atom`: the newest ads that a search finds (RFC 4287).
pub(super) async fn feed(
    State(app): State<AppState>,
    _: Fair,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wanted = super::narrowed(&query)?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<(Vec<data::Line>, String), Problem> {
        let (ids, _) = data::search_briefly(&reader, &wanted, FEED_MAX)?;
        let db = reader.publication.reading().map_err(Problem::internal)?;
        let size = db.size().map_err(Problem::internal)?;
        let at = db.time_of(size).map_err(Problem::internal)?;
        drop(db);
        Ok((data::lines(&reader, &ids), at.to_string()))
    };
    let (lines, updated) = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    let base = &app.config.public_url;
    let publisher = layout::publisher_name(&app);
    let markup = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"))
        feed xmlns="http://www.w3.org/2005/Atom" {
            title { (th!("record-public-ad-record", publisher = publisher)) @if !query.q.is_empty() { ", " (query.q) } }
            id { (th!("record-record-feed-atom", base = base, to_query = query.to_query())) }
            updated { (updated) }
            author { name { (publisher) } }
            (link("self", &format!("{base}/record/feed.atom?{}", query.to_query())))
            (link("alternate", &format!("{base}/record?{}", query.to_query())))
            @for line in &lines { (entry(base, line, &updated)) }
        }
    };
    let mut response = markup.into_string().into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8"));
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
/// An empty element with its end: XML knows no other.
fn link(rel: &str, href: &str) -> Markup {
    let escaped = html! { (href) }.into_string();
    PreEscaped(format!("<link rel=\"{rel}\" href=\"{escaped}\"/>"))
}
fn entry(base: &str, line: &data::Line, updated: &str) -> Markup {
    let day = line.days.map_or_else(|| updated.to_owned(), |(_, last)| format!("{last}T00:00:00Z"));
    html! {
        entry {
            title { @if line.political { (t!("record-political-ad")) } @else { (t!("words-ad")) } " " (th!("record-on-behalf-of-3", sponsor_name = line.sponsor_name)) }
            id { (th!("record-record-ads", base = base, id = line.id)) }
            (link("alternate", &format!("{base}/record/ads/{}", line.id)))
            updated { (day) }
            summary { (th!("record-paid-for-by-shown-times-2", payer_name = line.payer_name, net = ui::money(line.net, line.currency), impressions_count = line.impressions_count)) }
        }
    }
}

/// `GET /record/openapi.json`.
pub(super) async fn openapi(State(app): State<AppState>) -> Response {
    let mut document: Value =
        serde_json::from_str(include_str!("../../../assets/record-openapi.json")).unwrap_or_default();
    document["servers"] = json!([{ "url": app.config.public_url }]);
    document["info"]["x-requests-per-minute"] = app.config.record_requests_per_minute.into();
    open_json(&document)
}

/// What the data cannot tell, said once for people and programs.
const LIMITS: [&str; 8] = [
    "Only ads shown by this publisher's own server are here; what other sellers showed on the same pages is not.",
    "Sponsor and payer are what the customer declared; the publisher answers for asking, not for the truth of every answer.",
    "A click or impression proves a browser's request, not a person; invalid traffic that is found later is credited and corrects its day.",
    "An ad that nobody declared as political stands here as not political until that is corrected, as a new version.",
    "Breakdowns by region, device and hour leave out values under 20, together with at least one more.",
    "Days are those of the account's time zone: two ads' days may begin at different moments.",
    "A bulk file says of an ad what was known when the day's figures were made; what changed later stands in the ad's versions.",
    "A search as of an earlier size finds the ads known then by their present words.",
];

/// `GET /record/data`: how to get everything, what each column means, and what the data cannot tell.
pub(super) async fn dictionary(State(app): State<AppState>, uri: axum::http::Uri) -> Response {
    let columns =
        || bulk::TEXTS.iter().map(|c| (c, "text")).chain(bulk::NUMBERS.iter().map(|c| (c, "integer")));
    if uri.path().ends_with(".json") {
        let told: Vec<Value> = columns()
            .map(|((name, what), kind)| json!({ "name": name, "type": kind, "what": what }))
            .collect();
        return open_json(&json!({ "columns": told, "limits": LIMITS }));
    }
    let per_minute = app.config.record_requests_per_minute;
    let body = html! {
        h1 { (t!("words-data")) }
        p class="intro" { (th!("record-everything-in-this-record-is", per_minute = per_minute)) }
        h2 { (t!("record-how-to-get-it")) }
        dl class="facts" {
            dt { a href="/record/ads.json" { "/record/ads.json" } } dd { (t!("record-entries-newest-first-with-a")) }
            dt { a href="/record/days.json" { "/record/days.json" } } dd { (t!("record-bulk-files-by-day-csv")) }
            dt { a href="/record/changes.json" { "/record/changes.json" } } dd { (t!("record-what-changed-between-two-dates")) }
            dt { a href="/record/elections.json" { "/record/elections.json" } } dd { (t!("record-votes-and-processes")) }
            dt { a href="/record/spenders.json" { "/record/spenders.json" } } dd { (t!("record-who-spent-most-since-a-day")) }
            dt { a href="/record/completeness.json" { "/record/completeness.json" } } dd { (t!("record-what-was-shown-against-what")) }
            dt { a href="/record/feed.atom" { "/record/feed.atom" } } dd { (t!("record-atom-feed-of-any-search")) }
            dt { a href="/record/openapi.json" { "/record/openapi.json" } } dd { (t!("record-the-interface-as-openapi")) }
        }
        h2 { (t!("record-columns-of-the-bulk-files")) }
        div class="scroll" { table {
            thead { tr { th { (t!("record-column")) } th { (t!("record-type")) } th { (t!("record-what-it-holds")) } } }
            tbody { @for ((name, what), kind) in columns() { tr { th scope="row" { code { (name) } } td { (say(kind)) } td { (say(what)) } } } }
        } }
        h2 { (t!("record-what-the-data-cannot-tell")) }
        ul { @for limit in LIMITS { li { (say(limit)) } } }
        p { a href="/record/data.json" { (t!("words-the-same-as-json")) } }
    };
    layout::page(StatusCode::OK, &layout::public(&app, t!("words-data"), &body))
}
