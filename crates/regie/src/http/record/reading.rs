//! More ways to read the record: elections, Atom feeds, the open API's own description, the completeness counter.

use super::{ListQuery, bulk, data, limits::Fair, open_json};
use crate::http::{
    App, AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::i18n::rooms::say;
use crate::publication::register;
use crate::{t, th};
use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, PreEscaped, html};
use regie_model::{Currency, Day, ElectionId, Nanos};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Ads in a feed.
const FEED_MAX: usize = 50;

/// An election with what was shown for it.
struct Overview {
    id: Option<ElectionId>,
    name: String,
    held_on: Option<Day>,
    spec: Option<regie_model::booking::ElectionSpec>,
    ads: usize,
    spend: BTreeMap<Currency, Nanos>,
    impressions: u64,
}

fn overviews(app: &App) -> Result<Vec<Overview>, Problem> {
    let mut found: BTreeMap<(Option<ElectionId>, String, Option<Day>), Overview> = BTreeMap::new();
    let elections = app.platform.catalogue().elections.clone();
    for (id, kept) in &elections {
        let spec = kept.spec.clone();
        let key = (Some(*id), spec.name.clone(), Some(spec.held_on));
        let (name, held_on) = (spec.name.clone(), Some(spec.held_on));
        let empty = Overview {
            id: Some(*id),
            name,
            held_on,
            spec: Some(spec),
            ads: 0,
            spend: BTreeMap::new(),
            impressions: 0,
        };
        found.insert(key, empty);
    }
    let wanted = data::Wanted { political: true, ..data::Wanted::default() };
    let (ids, _) = data::search(app, &wanted, 10_000)?;
    let lines = data::lines(app, &ids);
    let catalogue = app.platform.catalogue();
    for line in lines {
        let campaign = catalogue.parents_of(line.id).and_then(|(c, _)| catalogue.campaigns.get(&c));
        for linked in campaign.iter().filter_map(|c| c.spec.political.as_ref()).flat_map(|d| &d.linked) {
            let kept = linked.election.and_then(|id| Some((id, elections.get(&id)?)));
            let key = match kept {
                Some((id, kept)) => (Some(id), kept.spec.name.clone(), Some(kept.spec.held_on)),
                None => (None, linked.name.clone(), linked.held_on),
            };
            let (name, held_on) = (key.1.clone(), key.2);
            let of = found.entry(key).or_insert_with(|| Overview {
                id: None,
                name,
                held_on,
                spec: None,
                ads: 0,
                spend: BTreeMap::new(),
                impressions: 0,
            });
            of.ads += 1;
            of.impressions += line.impressions_count;
            *of.spend.entry(line.currency).or_default() += line.net;
        }
    }
    let mut list: Vec<Overview> = found.into_values().collect();
    list.sort_by(|a, b| b.held_on.cmp(&a.held_on).then_with(|| a.name.cmp(&b.name)));
    Ok(list)
}

/// `GET /record/elections`, also `.json`.
pub(super) async fn elections(
    State(app): State<AppState>,
    _: Fair,
    uri: axum::http::Uri,
) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let list = tokio::task::spawn_blocking(move || overviews(&reader)).await.map_err(Problem::internal)??;
    if uri.path().ends_with(".json") {
        let told: Vec<Value> = list
            .iter()
            .map(|o| {
                let spend: Vec<Value> = o.spend.iter().map(|(c, n)| json!({ "currency": c, "spend_nanos": n.0.to_string() })).collect();
                json!({ "id": o.id, "name": o.name, "held_on": o.held_on, "election": o.spec, "ads_count": o.ads, "impressions_count": o.impressions, "spend": spend })
            })
            .collect();
        return Ok(open_json(&json!({ "elections": told })));
    }
    let body = html! {
        h1 { (t!("record-elections-referendums-laws")) }
        p class="intro" { (t!("record-votes-and-legislative-processes-that")) }
        @if list.is_empty() { (ui::empty(t!("record-none-so-far"))) }
        @else { div class="scroll" { table {
            thead { tr { th { (t!("words-day")) } th { (t!("words-what")) } th class="right" { (t!("words-ads")) } th class="right" { (t!("record-shown")) } th class="right" { (t!("words-spent")) } } }
            tbody { @for o in &list { tr {
                td class="nowrap" { @match o.held_on { Some(day) => (day), None => (t!("record-no-day")) } }
                th scope="row" {
                    a href={ "/record?" (linked_query(&o.name)) } { (o.name) }
                    @if o.ads > 0 { " " a class="small" href={ "/record/elections/dossier.json?" (linked_query(&o.name)) } { (t!("proofs-dossier-short")) } }
                    @if let Some(spec) = &o.spec {
                        div class="small muted" {
                            (th!("record-only-some-sponsors-from", word = say(spec.kind.word()), country = spec.country, restricted_from = spec.restricted_from()))
                            @if let Some(day) = spec.silent_from { (th!("record-no-linked-ad-from", day = day)) }
                            @if let Some(url) = &spec.official_url { "; " a href=(url) rel="noopener noreferrer nofollow" { (t!("record-how-to-take-part")) } }
                        }
                    }
                }
                td class="right" { (o.ads) } td class="right" { (ui::count(o.impressions)) }
                td class="right" { @for (currency, net) in &o.spend { div { (ui::money(*net, *currency)) } } }
            } } }
        } } }
        p { a href="/record/elections.json" { (t!("words-the-same-as-json")) } }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("words-elections"), &body)))
}
fn linked_query(name: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("election", name).finish()
}

/// `GET /record/feed.atom`: the newest ads that a search finds (RFC 4287).
pub(super) async fn feed(
    State(app): State<AppState>,
    _: Fair,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wanted = super::narrowed(&query)?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<(Vec<data::Line>, String), Problem> {
        let (ids, _) = data::search(&reader, &wanted, FEED_MAX)?;
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

/// `GET /record/completeness.json`: what is in the record, against what was served and shown.
pub(super) async fn completeness(State(app): State<AppState>, _: Fair) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let told = tokio::task::spawn_blocking(move || counter(&reader)).await.map_err(Problem::internal)??;
    Ok(open_json(&told))
}
fn counter(app: &App) -> Result<Value, Problem> {
    let [entries, ads, shown, facts, days] =
        app.publication.fresh_reading().map_err(Problem::internal)?.counts().map_err(Problem::internal)?;
    app.publication.register().map_err(Problem::internal)?;
    let (mut counted, mut impressions) = (0u64, 0u64);
    let mut missing = Vec::new();
    let all: Vec<_> = app.platform.folds().ledger.ads().map(|(id, c)| (id, c.impressions_count)).collect();
    let db = app.publication.reading().map_err(Problem::internal)?;
    let logged = db.ads_with_facts().map_err(Problem::internal)?;
    for (id, count) in all.into_iter().filter(|(_, n)| *n > 0) {
        counted += 1;
        impressions += count;
        if !logged.contains(&id) {
            missing.push(id);
        }
    }
    let [sponsorless, payerless] = register::unnamed_counts(&db).map_err(Problem::internal)?;
    Ok(json!({
        "ads_shown_by_the_ledger_count": counted, "ads_shown_in_the_record_count": shown, "ads_in_the_record_count": ads,
        "impressions_by_the_ledger_count": impressions, "entries_count": entries, "facts_versions_count": facts,
        "day_versions_count": days, "shown_but_not_in_the_record": missing,
        "without_sponsor_count": sponsorless, "without_payer_count": payerless,
    }))
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
const LIMITS: [&str; 7] = [
    "Only ads shown by this publisher's own server are here; what other sellers showed on the same pages is not.",
    "Sponsor and payer are what the customer declared; the publisher answers for asking, not for the truth of every answer.",
    "A click or impression proves a browser's request, not a person; invalid traffic that is found later is credited and corrects its day.",
    "An ad that nobody declared as political stands here as not political until that is corrected, as a new version.",
    "Breakdowns by region, device and hour leave out values under 20, together with at least one more.",
    "Days are those of the account's time zone: two ads' days may begin at different moments.",
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
