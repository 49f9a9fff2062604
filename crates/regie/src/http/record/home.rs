//! The home of the record: what it is, search, the biggest spenders, ads running now.

use super::{ListQuery, data, narrowed, spenders};
use crate::http::{
    AppState,
    console::{ads::thumb_class, layout, ui},
    problem::Problem,
};
use crate::{t, th};
use axum::{
    extract::{Query, RawQuery, State},
    http::StatusCode,
};
use maud::{Markup, html};
use std::sync::Arc;

/// Ads on the page.
const ADS: usize = 20;
/// Spenders on the page, for each currency.
const SPENDERS: usize = 10;

struct Found {
    count: u64,
    lines: Vec<data::Line>,
    next: Option<regie_model::AdId>,
    spenders: Vec<spenders::Spender>,
    size: u64,
    at: regie_model::UtcMs,
}

/// `GET /record`.
pub(super) async fn show(
    State(app): State<AppState>,
    Query(query): Query<ListQuery>,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let raw = raw.unwrap_or_default();
    let since =
        url::form_urlencoded::parse(raw.as_bytes()).find(|(n, _)| n == "since").map(|(_, v)| v.into_owned());
    let since = spenders::since_day(&app, since.as_deref().unwrap_or(""));
    let wanted = narrowed(&query)?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<Found, Problem> {
        let (ids, next) = data::search_briefly(&reader, &wanted, ADS)?;
        let spenders = spenders::now(&reader, since)?;
        let db = reader.publication.reading().map_err(Problem::internal)?;
        let size = match wanted.size {
            Some(size) => size,
            None => db.size().map_err(Problem::internal)?,
        };
        let at = db.time_of(size).map_err(Problem::internal)?;
        drop(db);
        let lines = match wanted.size {
            Some(size) => data::lines_at(&reader, &ids, size)?,
            None => data::lines(&reader, &ids),
        };
        Ok(Found { count: data::shown_count(&reader), lines, next, spenders, size, at })
    };
    let found = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    let searching = query.is_search();
    let publisher = layout::publisher_name(&app);
    let body = html! {
        h1 { (th!("record-who-paid-for-the-ads", publisher = publisher)) }
        p class="intro" {
            (t!("record-every-ad-that-was-shown"))
        }
        @if query.size.as_deref().is_some_and(|s| !s.is_empty()) {
            div class="note warn" role="status" { p { (th!("record-this-is-the-record-as-2", size = found.size, at = found.at, link = html! { a href={ "/record?" (query.to_query()) } { (t!("words-see-it-as-it-is")) } })) } }
        }
        (search_form(&query))
        @if searching { (results(&query, &found)) (cite(&app, &query, &found)) }
        @else {
            (spenders::table(&found.spenders, since, SPENDERS, "/record"))
            p { a href={ "/record/spenders?since=" (since) } { (t!("record-all-spenders")) } }
            section {
                h2 { (t!("record-shown-most-recently")) }
                p class="muted" { (th!("record-ads-are-in-the-record", found = ui::count(found.count))) }
                (hits(&found.lines))
                (more(&query, found.next))
            }
        }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("record-who-paid-for-the-ads-2"), &body)))
}

fn search_form(query: &ListQuery) -> Markup {
    let narrowed = ["sponsor", "payer", "election", "country", "targeted", "from", "to"];
    let open = narrowed.iter().any(|name| query.to_query().contains(&format!("{name}=")));
    let field = |name: &str, words: &str, value: &str, kind: &str| {
        html! { div class="field" { label for=(name) { (words) } input id=(name) type=(kind) name=(name) value=(value); } }
    };
    html! {
        form class="search" method="get" action="/record" role="search" {
            label class="visually-hidden" for="q" { (t!("record-search-sponsor-payer-or-the")) }
            input id="q" type="search" name="q" value=(query.q) placeholder=(t!("record-sponsor-payer-or-words-in"));
            label class="nowrap" { input type="checkbox" name="political" value="1" checked[query.political == "1"]; " " (t!("record-political-only")) }
            button class="primary" { (t!("words-search")) }
            details open[open] {
                summary { (t!("record-narrow-the-search")) }
                div class="filters" {
                    (field("election", t!("record-election-or-law"), &query.election, "text"))
                    (field("country", t!("record-sponsor-s-country"), &query.country, "text"))
                    (field("targeted", t!("record-targeted-by"), &query.targeted, "text"))
                    (field("sponsor", t!("record-sponsor-s-id"), query.sponsor.as_deref().unwrap_or(""), "text"))
                    (field("payer", t!("record-payer-s-id"), query.payer.as_deref().unwrap_or(""), "text"))
                    (field("from", t!("record-running-from"), &query.from, "date"))
                    (field("to", t!("record-running-to"), &query.to, "date"))
                }
            }
        }
    }
}
fn cite(app: &AppState, query: &ListQuery, found: &Found) -> Markup {
    let path = format!("/record?{}", query.to_query());
    html! {
        p { a href={ "/record/feed.atom?" (query.to_query()) } { (t!("record-follow-this-search-atom")) } " \u{b7} " a href={ "/record/ads.json?" (query.to_query()) } { (t!("words-as-json")) } }
        (super::known::citation(app, &path, t!("record-search-in-the-public-ad"), found.size, found.at))
    }
}

fn results(query: &ListQuery, found: &Found) -> Markup {
    html! {
        section {
            h2 { @if query.q.trim().is_empty() { (t!("words-ads")) } @else { (th!("record-ads-with", q = query.q)) } }
            @if found.next.is_some() && found.lines.len() < ADS { p class="note" role="status" { (t!("record-older-ads-were-not-searched")) } }
            @else if found.lines.is_empty() { p class="muted" { (t!("record-nothing-was-found-try-fewer")) } }
            (hits(&found.lines))
            (more(query, found.next))
            p { a href="/record" { (t!("record-back-to-the-start")) } }
        }
    }
}
fn more(query: &ListQuery, next: Option<regie_model::AdId>) -> Markup {
    let Some(next) = next else { return ui::nothing() };
    let size =
        query.size.as_deref().filter(|s| !s.is_empty()).map_or(String::new(), |s| format!("&size={s}"));
    html! { p { a class="btn" href={ "/record?" (query.to_query()) (size) "&cursor=" (next) } { (t!("words-older-ads")) } } }
}

/// Ads as a list with small pictures.
pub(super) fn hits(lines: &[data::Line]) -> Markup {
    html! {
        ul class="hits" {
            @for line in lines {
                li {
                    @match line.version {
                        Some((version, shape)) => a class=(thumb_class(shape)) href={ "/record/ads/" (line.id) } aria-label={ (th!("record-open", id = line.id)) } {
                            iframe src={ "/record/ads/" (line.id) "/versions/" (version) "/frame" } sandbox="" loading="lazy" tabindex="-1" title={ (th!("record-the-ad-2", id = line.id)) } {}
                        },
                        None => span class="thumb" {},
                    }
                    div {
                        p {
                            strong { a href={ "/record/ads/" (line.id) } { (th!("record-on-behalf-of-2", sponsor_name = line.sponsor_name)) } } " "
                            (ui::political(line.political)) " " @if line.running { (ui::badge("good", t!("words-running"))) }
                        }
                        p { (th!("record-paid-for-by", payer_name = line.payer_name)) " · " a href={ "/record/sponsors/" (line.sponsor) } { (t!("record-all-ads-of-this-sponsor")) } }
                        p class="num" { (th!("record-shown-times", strong = html! { strong { (ui::money(line.net, line.currency)) } }, strong2 = html! { strong { (ui::count(line.impressions_count)) } })) }
                        @if let Some((first, last)) = line.days { p class="muted small" { @if first == last { (th!("record-on", first = ui::day(first))) } @else { (th!("record-from-to", first = ui::day(first), last = ui::day(last))) } } }
                    }
                }
            }
        }
    }
}
