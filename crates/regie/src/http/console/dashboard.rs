//! The dashboard: what happens now, and what needs somebody's hand.

use super::{SIGNED, layout, live, page, ui};
use crate::http::{App, AppState, Route, auth::Caller};
use axum::{extract::State, response::Response, routing::get};
use maud::{Markup, html};
use regie_model::{
    UtcMs,
    booking::Status,
    catalogue::{Catalogue, Review},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console", SIGNED, get(show))]
}

/// Something that needs a hand: words, and where to go.
struct Attention {
    kind: &'static str,
    words: String,
    href: String,
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    let figures = live::figures(&app, &caller);
    let empty = app.platform.catalogue().publisher.is_none();
    let attention = attention(&app, &caller);
    let body = html! {
        div data-live-source="/console/live" {}
        @if empty && caller.may_book_inventory() { (first_steps(&app)) }
        p class="live" data-live-status="" { span { "as of " (figures.at) } }
        dl class="figures" {
            @if caller.sees_everything() {
                (ui::figure("Requests today", &figures.requests, "requests"))
                (ui::figure("Filled", &figures.fills, "fills"))
            }
            (ui::figure("Impressions", &figures.impressions, "impressions"))
            (ui::figure("Viewable", &figures.viewable, "viewable"))
            (ui::figure("Clicks", &figures.clicks, "clicks"))
            (ui::figure("Conversions", &figures.conversions, "conversions"))
            (ui::figure("Charged today", &figures.spend, "spend"))
        }
        div class="grid wide" {
            div class="card flush" {
                div class="cardhead" { h2 { "Campaigns" } }
                (table(&app, &caller, &figures))
            }
            div {
                div class="card" {
                    h2 { "Impressions a second" }
                    (ui::sparkline())
                    p class="small muted" data-spark-max="" { "drawn while this page is open" }
                }
                div class="card" {
                    h2 { "Needs a hand" }
                    @if attention.is_empty() { p class="muted" { "Nothing. Everything runs as booked." } }
                    @for item in &attention {
                        p { (ui::badge(item.kind, if item.kind == "bad" { "now" } else { "soon" })) " " a href=(item.href) { (item.words) } }
                    }
                }
            }
        }
    };
    layout::console(&app, &caller, &layout::Frame::new("Dashboard", "/console"), &body)
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
        return ui::empty("No campaign is booked yet.");
    }
    html! {
        div class="scroll" {
            table {
                thead { tr { th { "Campaign" } th class="right" { "Impressions" } th class="right" { "Clicks" } th class="right" { "CTR" } th class="right" { "Charged today" } th { "Spent of budget" } } }
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
                                @if campaign.spec.lifetime_budget_micros.is_some() { (ui::bar(row.spent_permille.into(), 1_000, "spent of the budget", &path("spent_permille"))) }
                                span class="small muted" data-live=(path("spent")) { (row.spent) }
                            }
                        }
                    }
                }
                caption { "Of today, in each account's own time zone; the newest 25 campaigns. " a href="/console/campaigns" { "All campaigns" } }
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
            let words = format!(
                "{} is stopped{}",
                super::stops::words(&catalogue, what),
                if reason.is_empty() { String::new() } else { format!(": {reason}") }
            );
            found.push(Attention { kind: "bad", words, href: "/console/stops".into() });
        }
        let waiting = super::review::waiting_count(&catalogue);
        if waiting > 0 && caller.may_operate() {
            found.push(Attention {
                kind: "warn",
                words: format!("{waiting} ads wait for review"),
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
            add("bad", format!("An ad of \u{201c}{name}\u{201d} was rejected"));
        }
        if ads.is_empty() {
            add("warn", format!("\u{201c}{name}\u{201d} has no ad yet"));
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
            add("warn", format!("The budget of \u{201c}{name}\u{201d} is spent for now"));
        } else if account && paid {
            add("bad", format!("The account of \u{201c}{name}\u{201d} has nothing left"));
        }
    }
    found
}

fn first_steps(app: &App) -> Markup {
    let catalogue = app.platform.catalogue();
    let steps = [
        ("/console/settings", "Write the publisher's settings", catalogue.publisher.is_some()),
        ("/console/sites/new", "Add a site and its placements", !catalogue.placements.is_empty()),
        (
            "/console/advertisers/new",
            "Add an advertiser, a sponsor and a payer",
            !catalogue.advertisers.is_empty(),
        ),
        ("/console/campaigns/new", "Book a campaign", !catalogue.campaigns.is_empty()),
    ];
    html! {
        div class="note" {
            h2 { "Four steps to the first ad" }
            ol { @for (href, words, done) in steps { li { a href=(href) { (words) } @if done { " " (ui::badge("good", "done")) } } } }
        }
    }
}
