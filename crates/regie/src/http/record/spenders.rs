//! Who spent most since a day: now, by the ledger's running sums; or as known at a size of the log, by the published figures of closed
//! days.
//!
//! Refuses to rank by a part of the figures: where there are more published days than it reads, it says so and ranks nothing.

use super::{data, known, limits::Fair, open_json};
use crate::http::{
    App, AppState,
    console::{act, layout, ui},
    problem::Problem,
};
use crate::publication::db::RecordDb;
use crate::{t, th};
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use regie_model::{AdId, Currency, Day, Nanos, PartyId, UtcMs};
use regie_record::leaf::Leaf;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Spenders of an answer, for each currency.
const SPENDERS_MAX: usize = 200;
/// Days that count from the present one when none is named.
const DAYS_DEFAULT: i32 = 30;
/// Published days of ads that an earlier ranking reads at most.
const FIGURES_MAX: usize = 100_000;

/// Since when, and as known when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    since: String,
    size: Option<String>,
    on: Option<String>,
}

/// A sponsor with what it spent.
pub(super) type Spender = (PartyId, String, Currency, Nanos);

struct Found {
    since: Day,
    spenders: Vec<Spender>,
    size: u64,
    at: UtcMs,
    earlier: bool,
}

/// The day that a text names, in the publisher's zone; thirty days ago where it names none.
pub(super) fn since_day(app: &AppState, text: &str) -> Day {
    let today = act::zone(app).day(app.platform.now());
    Day::parse(text.trim()).unwrap_or(Day(today.0 - DAYS_DEFAULT))
}

/// The present ranking.
pub(super) fn now(app: &AppState, since: Day) -> Result<Vec<Spender>, Problem> {
    let view = app.platform.current_view();
    let named = |(id, currency, net)| (id, data::public_party(&view, id).name, currency, net);
    let from = act::zone(app).day_start(since).hour();
    Ok(data::spenders(app, from)?.into_iter().map(named).collect())
}

/// The latest figures of each ad and day from `since` on, among the first `size` leaves.
fn figures(db: &RecordDb, since: Day, size: u64) -> anyhow::Result<Vec<(AdId, Leaf)>> {
    let sql = "SELECT ad, bytes, max(idx) FROM leaves WHERE day >= ?1 AND idx < ?2 GROUP BY day, ad LIMIT ?3";
    let mut statement = db.connection().prepare_cached(sql)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let mut rows = statement.query(rusqlite::params![since.0, size, FIGURES_MAX as i64 + 1])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((AdId(row.get(0)?), Leaf::parse(&row.get::<_, Vec<u8>>(1)?)?));
    }
    Ok(found)
}

fn then(app: &App, since: Day, size: u64) -> Result<(Vec<Spender>, UtcMs), Problem> {
    let db = app.publication.reading().map_err(Problem::internal)?;
    let figures = figures(&db, since, size).map_err(Problem::internal)?;
    if figures.len() > FIGURES_MAX {
        let words = t!("record-too-many-figures", count = FIGURES_MAX);
        return Err(Problem::bad_request(words));
    }
    let mut of_ad: BTreeMap<AdId, Nanos> = BTreeMap::new();
    for (ad, leaf) in figures {
        *of_ad.entry(ad).or_default() += leaf.figures.map_or(Nanos::ZERO, |f| f.amounts.net());
    }
    let mut sums: BTreeMap<(PartyId, Currency), (String, Nanos)> = BTreeMap::new();
    for (ad, net) in of_ad {
        if let Some(known) = known::ad_at(&db, ad, size)? {
            let of = sums.entry((known.facts.sponsor.id, known.facts.currency)).or_default();
            (of.0, of.1) = (known.facts.sponsor.name, of.1 + net);
        }
    }
    let mut spenders: Vec<Spender> = sums
        .into_iter()
        .filter(|(_, (_, net))| net.0 > 0)
        .map(|((id, c), (name, net))| (id, name, c, net))
        .collect();
    spenders.sort_by(|a, b| a.2.cmp(&b.2).then(b.3.cmp(&a.3)).then(a.0.cmp(&b.0)));
    Ok((spenders, db.time_of(size).map_err(Problem::internal)?))
}

fn collect(app: &AppState, asked: &Since) -> Result<Found, Problem> {
    let since = since_day(app, &asked.since);
    let (size, whole, at) = {
        let db = app.publication.fresh_reading().map_err(Problem::internal)?;
        let when = known::When { size: asked.size.clone(), on: asked.on.clone() };
        let whole = db.size().map_err(Problem::internal)?;
        (when.size(&db)?, whole, db.time_of(whole).map_err(Problem::internal)?)
    };
    match size {
        Some(size) => {
            let (spenders, at) = then(app, since, size)?;
            Ok(Found { since, spenders, size, at, earlier: true })
        }
        None => Ok(Found { since, spenders: now(app, since)?, size: whole, at, earlier: false }),
    }
}

/// `GET /record/spenders`, also `.json`: who spent most since a day.
pub(super) async fn show(
    State(app): State<AppState>,
    _: Fair,
    Query(asked): Query<Since>,
    uri: axum::http::Uri,
) -> Result<Response, Response> {
    let json = uri.path().ends_with(".json");
    let refuse = |problem: Problem| {
        if json { problem.into_response() } else { layout::PageError(problem).into_response() }
    };
    // A reader of the page sees which day is meant; a program is told that its own was none.
    if json && !asked.since.trim().is_empty() && Day::parse(asked.since.trim()).is_none() {
        return Err(refuse(Problem::bad_request("`since` is a day, such as 2026-11-20.")));
    }
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || collect(&reader, &asked)).await;
    let found = found.map_err(|e| refuse(Problem::internal(e)))?.map_err(refuse)?;
    if json {
        return Ok(open_json(&as_json(&found)));
    }
    let body = page(&app, &found);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("record-biggest-spenders"), &body)))
}

/// Of each currency as many as an answer has.
fn of_currency(spenders: &[Spender], currency: Currency, count: usize) -> Vec<&Spender> {
    spenders.iter().filter(|s| s.2 == currency).take(count).collect()
}
fn currencies(spenders: &[Spender]) -> Vec<Currency> {
    let mut all: Vec<Currency> = spenders.iter().map(|s| s.2).collect();
    all.dedup();
    all
}

fn as_json(found: &Found) -> Value {
    let told: Vec<Value> = currencies(&found.spenders)
        .into_iter()
        .map(|currency| {
            let list: Vec<Value> = of_currency(&found.spenders, currency, SPENDERS_MAX)
                .into_iter()
                .zip(1..)
                .map(|((id, name, _, net), rank)| {
                    json!({ "rank": rank, "sponsor": id, "name": name, "spend_nanos": net.0.to_string(), "spend": net.display(currency, 9) })
                })
                .collect();
            let count = found.spenders.iter().filter(|s| s.2 == currency).count();
            json!({ "currency": currency, "sponsors_count": count, "sponsors": list })
        })
        .collect();
    json!({ "since": found.since, "size": found.size, "as_known_at": found.at, "limit": SPENDERS_MAX, "currencies": told,
        "figures": if found.earlier { "published, of closed days" } else { "of the ledger, now" } })
}

fn page(app: &AppState, found: &Found) -> Markup {
    let path = format!("/record/spenders?since={}", found.since);
    html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } span { (t!("record-biggest-spenders")) } }
        h1 { (t!("record-biggest-spenders")) }
        @if found.earlier {
            div class="note warn" role="status" { p { (th!("record-this-is-the-record-as-2", size = found.size, at = found.at, link = html! { a href=(path) { (t!("words-see-it-as-it-is")) } })) } }
        }
        (table(&found.spenders, found.since, SPENDERS_MAX, "/record/spenders"))
        p { a href={ "/record/spenders.json?since=" (found.since) } { (t!("words-the-same-as-json")) } }
        (known::citation(app, &path, &t!("record-spenders-since", since = found.since), found.size, found.at))
    }
}

/// The ranking as a table for each currency, with the form that asks for another day.
pub(super) fn table(spenders: &[Spender], since: Day, count: usize, path: &str) -> Markup {
    html! {
        section class="card" {
            div class="head" {
                h2 { (t!("record-biggest-spenders")) }
                form class="filters" method="get" action=(path) { div class="field" { label for="since" { (t!("record-since")) } input id="since" type="date" name="since" value=(since); } button { (t!("words-show")) } }
            }
            @if spenders.is_empty() { p class="muted" { (th!("record-nobody-has-paid-for-an", since = ui::day(since))) } }
            @for currency in currencies(spenders) {
                @let of = of_currency(spenders, currency, count);
                @let top = of.first().map_or(1, |s| s.3.0);
                div class="scroll" { table {
                    thead { tr { th { (t!("words-sponsor")) } th {} th class="right" { (th!("record-spent", value = currency)) } } }
                    tbody { @for (id, name, _, net) in of { tr {
                        th scope="row" { a href={ "/record/sponsors/" (id) } { (name) } }
                        td { (ui::bar(net.0, top, t!("record-share-of-the-largest"), "")) }
                        td class="right" { (ui::money(*net, currency)) }
                    } } }
                    caption { (th!("record-exact-net-of-credits-since", since = ui::day(since))) }
                } }
            }
        }
    }
}
