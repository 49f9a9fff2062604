//! The home of the record: what it is, search, the biggest spenders, ads running now.

use super::{ListQuery, data, narrowed};
use crate::http::{
    AppState,
    console::{act, ads::thumb_class, layout, ui},
    problem::Problem,
};
use axum::{
    extract::{Query, RawQuery, State},
    http::StatusCode,
};
use maud::{Markup, html};
use regie_model::{Currency, Day, Nanos, PartyId};
use std::sync::Arc;

/// Ads on the page.
const ADS: usize = 20;
/// Spenders on the page, for each currency.
const SPENDERS: usize = 10;

struct Found {
    count: usize,
    lines: Vec<data::Line>,
    next: Option<regie_model::AdId>,
    spenders: Vec<(PartyId, String, Currency, Nanos)>,
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
    let zone = act::zone(&app);
    let today = zone.day(app.platform.now());
    let since = since.and_then(|text| Day::parse(&text)).unwrap_or(Day(today.0 - 30));
    let wanted = narrowed(&query)?;
    let (reader, from) = (Arc::clone(&app), zone.day_start(since).hour());
    let work = move || -> Result<Found, Problem> {
        let (ids, next) = data::search(&reader, &wanted, ADS)?;
        let view = reader.platform.current_view();
        let named = |(id, currency, net)| (id, data::public_party(&view, id).name, currency, net);
        let spenders = data::spenders(&reader, from)?.into_iter().map(named).collect();
        let db = reader.publication.db();
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
        h1 { "Who paid for the ads on " (publisher) "?" }
        p class="intro" {
            "Every ad that was shown here is in this record, political or not, from its first impression on. "
            "Each entry says for whom it appeared, who paid, how much, how often it was shown, and by what it was targeted. "
            "The figures are exact, and nothing about readers is kept."
        }
        @if query.size.as_deref().is_some_and(|s| !s.is_empty()) {
            div class="note warn" role="status" { p { "This is the record as it was known at log size " (found.size) " (" (found.at) "): figures are those of the days published by then. " a href={ "/record?" (query.to_query()) } { "See it as it is now" } "." } }
        }
        (search_form(&query))
        @if searching { (results(&query, &found)) (cite(&app, &query, &found)) }
        @else {
            (spenders(&found.spenders, since))
            section {
                h2 { "Shown most recently" }
                p class="muted" { (ui::count(found.count as u64)) " ads are in the record. The newest come first." }
                (hits(&found.lines))
                (more(&query, found.next))
            }
        }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, "Who paid for the ads", &body)))
}

fn search_form(query: &ListQuery) -> Markup {
    let narrowed = ["sponsor", "payer", "election", "country", "targeted", "from", "to"];
    let open = narrowed.iter().any(|name| query.to_query().contains(&format!("{name}=")));
    let field = |name: &str, words: &str, value: &str, kind: &str| {
        html! { div class="field" { label for=(name) { (words) } input id=(name) type=(kind) name=(name) value=(value); } }
    };
    html! {
        form class="search" method="get" action="/record" role="search" {
            label class="visually-hidden" for="q" { "Search sponsor, payer or the ad's words" }
            input id="q" type="search" name="q" value=(query.q) placeholder="Sponsor, payer, or words in the ad";
            label class="nowrap" { input type="checkbox" name="political" value="1" checked[query.political == "1"]; " political only" }
            button class="primary" { "Search" }
            details open[open] {
                summary { "Narrow the search" }
                div class="filters" {
                    (field("election", "Election or law", &query.election, "text"))
                    (field("country", "Sponsor\u{2019}s country", &query.country, "text"))
                    (field("targeted", "Targeted by", &query.targeted, "text"))
                    (field("sponsor", "Sponsor\u{2019}s id", query.sponsor.as_deref().unwrap_or(""), "text"))
                    (field("payer", "Payer\u{2019}s id", query.payer.as_deref().unwrap_or(""), "text"))
                    (field("from", "Running from", &query.from, "date"))
                    (field("to", "to", &query.to, "date"))
                }
            }
        }
    }
}
fn cite(app: &AppState, query: &ListQuery, found: &Found) -> Markup {
    let path = format!("/record?{}", query.to_query());
    html! {
        p { a href={ "/record/feed.atom?" (query.to_query()) } { "Follow this search (Atom)" } " \u{b7} " a href={ "/record/ads.json?" (query.to_query()) } { "As JSON" } }
        (super::known::citation(app, &path, "search in the public ad record", found.size, found.at))
    }
}

fn results(query: &ListQuery, found: &Found) -> Markup {
    html! {
        section {
            h2 { @if query.q.trim().is_empty() { "Ads" } @else { "Ads with \u{201c}" (query.q) "\u{201d}" } }
            @if found.lines.is_empty() { p class="muted" { "Nothing was found. Try fewer words; every word must be in the sponsor, the payer or the ad, and its beginning is enough." } }
            (hits(&found.lines))
            (more(query, found.next))
            p { a href="/record" { "Back to the start" } }
        }
    }
}
fn more(query: &ListQuery, next: Option<regie_model::AdId>) -> Markup {
    let Some(next) = next else { return ui::nothing() };
    let size =
        query.size.as_deref().filter(|s| !s.is_empty()).map_or(String::new(), |s| format!("&size={s}"));
    html! { p { a class="btn" href={ "/record?" (query.to_query()) (size) "&cursor=" (next) } { "Older ads" } } }
}

/// Ads as a list with small pictures.
pub(super) fn hits(lines: &[data::Line]) -> Markup {
    html! {
        ul class="hits" {
            @for line in lines {
                li {
                    @match line.version {
                        Some((version, shape)) => a class=(thumb_class(shape)) href={ "/record/ads/" (line.id) } aria-label={ "Open " (line.id) } {
                            iframe src={ "/record/ads/" (line.id) "/versions/" (version) "/frame" } sandbox="" loading="lazy" tabindex="-1" title={ "The ad " (line.id) } {}
                        },
                        None => span class="thumb" {},
                    }
                    div {
                        p {
                            strong { a href={ "/record/ads/" (line.id) } { "On behalf of " (line.sponsor_name) } } " "
                            (ui::political(line.political)) " " @if line.running { (ui::badge("good", "running")) }
                        }
                        p { "Paid for by " (line.payer_name) " · " a href={ "/record/sponsors/" (line.sponsor) } { "all ads of this sponsor" } }
                        p class="num" { strong { (ui::money(line.net, line.currency)) } ", shown " strong { (ui::count(line.impressions_count)) } " times" }
                        @if let Some((first, last)) = line.days { p class="muted small" { @if first == last { "on " (first) } @else { "from " (first) " to " (last) } } }
                    }
                }
            }
        }
    }
}

fn spenders(rows: &[(PartyId, String, Currency, Nanos)], since: Day) -> Markup {
    let mut currencies: Vec<Currency> = rows.iter().map(|r| r.2).collect();
    currencies.dedup();
    html! {
        section class="card" {
            div class="head" {
                h2 { "Biggest spenders" }
                form class="filters" method="get" action="/record" { div class="field" { label for="since" { "Since" } input id="since" type="date" name="since" value=(since); } button { "Show" } }
            }
            @if rows.is_empty() { p class="muted" { "Nobody has paid for an ad since " (since) "." } }
            @for currency in &currencies {
                @let of: Vec<_> = rows.iter().filter(|r| r.2 == *currency).take(SPENDERS).collect();
                @let top = of.first().map_or(1, |r| r.3.0);
                div class="scroll" { table {
                    thead { tr { th { "Sponsor" } th {} th class="right" { "Spent, " (currency) } } }
                    tbody { @for (id, name, _, net) in of { tr {
                        th scope="row" { a href={ "/record/sponsors/" (id) } { (name) } }
                        td { (ui::bar(net.0, top, "share of the largest", "")) }
                        td class="right" { (ui::money(*net, *currency)) }
                    } } }
                    caption { "Exact, net of credits, since " (since) "." }
                } }
            }
        }
    }
}
