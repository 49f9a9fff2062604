//! The dashboard: what happens now, and what needs somebody's hand.

use super::{SIGNED, layout, live, page, twin, ui};
use crate::http::{App, AppState, Route, auth::Caller, booking::READ};
use crate::{t, th};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use regie_model::{
    UtcMs,
    booking::Status,
    catalogue::{Catalogue, Review},
};
use serde_json::json;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console", SIGNED, get(show)), twin("console", "/v1/dashboard", READ, get(api))]
}

/// Something that needs a hand: words, and where to go.
struct Attention {
    kind: &'static str,
    words: String,
    href: String,
}

/// `GET /v1/dashboard`: the same figures, and what needs a hand.
async fn api(State(app): State<AppState>, caller: Caller) -> Response {
    let attention = attention(&app, &caller);
    let attention = attention
        .iter()
        .map(|item| json!({ "urgent": item.kind == "bad", "message": item.words, "page": item.href }));
    let attention: Vec<_> = attention.collect();
    Json(json!({ "today": live::figures(&app, &caller), "attention": attention })).into_response()
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    let figures = live::figures(&app, &caller);
    let empty = app.platform.catalogue().publisher.is_none();
    let attention = attention(&app, &caller);
    let body = html! {
        div data-live-source="/console/live" {}
        @if empty && caller.may_book_inventory() { (first_steps(&app)) }
        p class="live" data-live-status=(t!("frame-live")) data-lost=(t!("frame-reconnecting")) { span { (th!("console-as-of", at = figures.at)) } }
        dl class="figures" {
            @if caller.sees_everything() {
                (ui::figure(t!("console-requests-today"), &figures.requests, "requests"))
                (ui::figure(t!("console-filled"), &figures.fills, "fills"))
            }
            (ui::figure(t!("words-impressions"), &figures.impressions, "impressions"))
            (ui::figure(t!("words-viewable"), &figures.viewable, "viewable"))
            (ui::figure(t!("words-clicks"), &figures.clicks, "clicks"))
            (ui::figure(t!("words-conversions"), &figures.conversions, "conversions"))
            (ui::figure(t!("words-charged-today"), &figures.spend, "spend"))
        }
        div class="grid wide" {
            div class="card flush" {
                div class="cardhead" { h2 { (t!("words-campaigns")) } }
                (table(&app, &caller, &figures))
            }
            div {
                div class="card" {
                    h2 { (t!("console-impressions-a-second")) }
                    (ui::sparkline())
                    p class="small muted" data-spark-max=(t!("frame-a-second-at-most", n = "{n}")) { (t!("console-drawn-while-this-page-is")) }
                }
                div class="card" {
                    h2 { (t!("console-needs-a-hand")) }
                    @if attention.is_empty() { p class="muted" { (t!("console-nothing-everything-runs-as-booked")) } }
                    @for item in &attention {
                        p { (ui::badge(item.kind, if item.kind == "bad" { "now" } else { "soon" })) " " a href=(item.href) { (item.words) } }
                    }
                }
            }
        }
    };
    layout::console(&app, &caller, &layout::Frame::new(t!("console-dashboard"), "/console"), &body)
}

fn table(app: &App, caller: &Caller, figures: &live::Live) -> Markup {
    let catalogue = app.platform.catalogue();
    let shown: Vec<_> = catalogue
        .campaigns
        .iter()
        .filter(|(_, c)| caller.may_see(c.spec.advertiser) && c.status != Status::Archived)
        .rev()
        .take(25)
        .collect();
    if shown.is_empty() {
        return ui::empty(t!("console-no-campaign-is-booked-yet"));
    }
    html! {
        div class="scroll" {
            table {
                thead { tr { th { (t!("words-campaign")) } th class="right" { (t!("words-impressions")) } th class="right" { (t!("words-clicks")) } th class="right" { (t!("words-ctr")) } th class="right" { (t!("words-charged-today")) } th { (t!("console-spent-of-budget")) } } }
                tbody {
                    @for (id, campaign) in &shown {
                        @let key = id.to_string();
                        @let row = figures.campaigns.get(&key).cloned().unwrap_or_default();
                        @let path = |field: &str| format!("campaigns.{key}.{field}");
                        tr {
                            th scope="row" {
                                a href={ "/console/campaigns/" (id) } { (campaign.spec.name) } " "
                                @if campaign.status != Status::Active { (ui::status(campaign.status)) }
                                (ui::political(campaign.spec.political.is_some()))
                            }
                            td class="right" { span data-live=(path("impressions")) { (row.impressions) } }
                            td class="right" { span data-live=(path("clicks")) { (row.clicks) } }
                            td class="right" { span data-live=(path("ctr")) { (row.ctr) } }
                            td class="right" { span data-live=(path("spend")) { (row.spend) } }
                            td {
                                @if campaign.spec.lifetime_budget_micros.is_some() { (ui::bar(row.spent_permille.into(), 1_000, t!("words-spent-of-the-budget"), &path("spent_permille"))) }
                                span class="small muted" data-live=(path("spent")) { (row.spent) }
                            }
                        }
                    }
                }
                caption { (th!("console-of-today-in-each-account", link = html! { a href="/console/campaigns" { (t!("console-all-campaigns")) } })) }
            }
        }
    }
}

fn attention(app: &App, caller: &Caller) -> Vec<Attention> {
    let now = app.platform.now();
    let catalogue = app.platform.catalogue();
    let mut found = Vec::new();
    if caller.sees_everything() {
        for (what, reason) in catalogue.stops.iter().take(5) {
            let words = t!(
                "console-is-stopped",
                what = super::stops::words(&catalogue, what),
                format = if reason.is_empty() { String::new() } else { format!(": {reason}") }
            );
            found.push(Attention { kind: "bad", words, href: "/console/stops".into() });
        }
        let waiting = super::review::waiting_count(&catalogue);
        if waiting > 0 && caller.may_operate() {
            found.push(Attention {
                kind: "warn",
                words: t!("console-ads-wait-for-review", waiting = waiting),
                href: "/console/review".into(),
            });
        }
    }
    found.extend(campaigns_in_need(app, &catalogue, caller, now));
    found.truncate(12);
    found
}

fn campaigns_in_need(app: &App, catalogue: &Catalogue, caller: &Caller, now: UtcMs) -> Vec<Attention> {
    let folds = app.platform.folds();
    let mut found = Vec::new();
    for (id, campaign) in &catalogue.campaigns {
        let running = campaign.status == Status::Active && campaign.spec.flight.contains(now);
        if !caller.may_see(campaign.spec.advertiser) || !running {
            continue;
        }
        let href = format!("/console/campaigns/{id}");
        let name = &campaign.spec.name;
        let mut add = |kind, words: String| found.push(Attention { kind, words, href: href.clone() });
        let sets: Vec<_> = catalogue.ad_sets_of.get(id).into_iter().flatten().copied().collect();
        let ads: Vec<_> = sets
            .iter()
            .filter_map(|s| catalogue.ads_of.get(s))
            .flatten()
            .filter_map(|a| catalogue.ads.get(a))
            .collect();
        if ads.iter().any(|ad| matches!(ad.review, Review::Rejected { .. })) {
            add("bad", t!("console-an-ad-of-was-rejected", name = name));
        }
        if ads.is_empty() {
            add("warn", t!("console-has-no-ad-yet", name = name));
        }
        let spent = folds
            .ledger
            .campaign_budget(*id, now)
            .and_then(|b| b.remaining())
            .is_some_and(|left| left.0 == 0);
        let account = folds.ledger.account(campaign.spec.advertiser).is_some_and(|a| a.remaining.0 <= 0);
        let paid = sets
            .iter()
            .filter_map(|s| catalogue.ad_sets.get(s))
            .any(|s| s.spec.bid != regie_model::booking::Bid::Free);
        if spent && paid {
            add("warn", t!("console-the-budget-of-is-spent", name = name));
        } else if account && paid {
            add("bad", t!("console-the-account-of-has-nothing", name = name));
        }
    }
    found
}

fn first_steps(app: &App) -> Markup {
    let catalogue = app.platform.catalogue();
    let steps = [
        ("/console/settings", t!("console-write-the-publisher-s-settings"), catalogue.publisher.is_some()),
        ("/console/sites/new", t!("console-add-a-site-and-its"), !catalogue.placements.is_empty()),
        (
            "/console/advertisers/new",
            t!("console-add-an-advertiser-a-sponsor"),
            !catalogue.advertisers.is_empty(),
        ),
        ("/console/book", t!("words-book-a-campaign"), !catalogue.campaigns.is_empty()),
    ];
    html! {
        div class="note" {
            h2 { (t!("console-four-steps-to-the-first")) }
            ol { @for (href, words, done) in steps { li { a href=(href) { (words) } @if done { " " (ui::badge("good", t!("console-done"))) } } } }
        }
    }
}
