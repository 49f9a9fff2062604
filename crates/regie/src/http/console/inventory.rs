//! Inventory: sites and placements, and the snippet that brings ads onto a page.

use super::{HOUSE, campaigns, layout, page, ui};
use crate::http::{App, AppState, Route, auth::Caller, tag};
use axum::{
    extract::{Path, State},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use regie_model::{SiteId, booking::Format, catalogue::Catalogue};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/inventory", HOUSE, get(list)), page("/console/sites/{id}", HOUSE, get(show))]
}

/// A format in words.
pub fn format_words(format: &Format) -> String {
    match format {
        Format::Banner { sizes } => {
            sizes.iter().map(|s| format!("{}\u{d7}{}", s.width, s.height)).collect::<Vec<_>>().join(", ")
        }
        Format::Native => "native".into(),
        Format::Text => "text".into(),
    }
}

async fn list(State(app): State<AppState>, caller: Caller) -> Response {
    let body = {
        let catalogue = app.platform.catalogue();
        let folds = app.platform.folds();
        html! {
            @if catalogue.sites.is_empty() { div class="card" { (ui::empty("No site yet. A site is where pages ask for ads; its placements are the places in them.")) } }
            @for (id, site) in &catalogue.sites {
                @let (requests, fills) = folds.ledger.traffic().site_hours(*id).fold((0, 0), |(r, f), (_, h)| (r + h.requests_count, f + h.fills_count));
                section class="card flush" {
                    div class="cardhead head" {
                        h2 { a href={ "/console/sites/" (id) } { (site.spec.name) } " " (ui::status(site.status)) }
                        span class="muted small" { (ui::count(requests)) " requests in four weeks, " (ui::percent(fills, requests)) " filled" }
                    }
                    (placements(&catalogue, *id))
                }
            }
        }
    };
    let actions = html! { @if caller.may_book_inventory() { a class="btn primary" href="/console/sites/new" { "Add a site" } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new("Inventory", "/console/inventory").actions(actions),
        &body,
    )
}

fn placements(catalogue: &Catalogue, site: SiteId) -> Markup {
    let of: Vec<_> = catalogue.placements.iter().filter(|(_, p)| p.spec.site == site).collect();
    html! {
        @if of.is_empty() { (ui::empty("No placement yet.")) }
        @else {
            div class="scroll" { table {
                thead { tr { th { "Placement" } th { "Format" } th { "Floors" } th { "Political ads" } th { "Status" } } }
                tbody {
                    @for (id, placement) in of {
                        tr {
                            th scope="row" { a href={ "/console/placements/" (id) "/edit" } { (placement.spec.name) } span class="small muted" { (id) } }
                            td { (format_words(&placement.spec.format)) }
                            td { @if placement.spec.floors.is_empty() { span class="muted" { "none" } } @for floor in &placement.spec.floors { div { (ui::money_micros(regie_model::Micros(floor.micros_per_mille), floor.currency)) " CPM, " (super::book_house::tier_word(floor.tier)) } } }
                            td { (if placement.spec.political { "allowed" } else { "not here" }) }
                            td { (ui::status(placement.status)) }
                        }
                    }
                }
            } }
        }
    }
}

async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: SiteId = id.parse().map_err(|_| super::act::missing(&id))?;
    let site = app.platform.catalogue().sites.get(&id).cloned().ok_or_else(|| super::act::missing(id))?;
    let back = format!("/console/sites/{id}");
    let body = html! {
        div class="grid" {
            div {
                section class="card flush" { div class="cardhead" { h2 { "Placements" } } (placements(&app.platform.catalogue(), id)) }
                (reasons(&app, id))
            }
            div { (snippets(&app, id)) div class="card" { h2 { "Booked" } dl class="facts" { dt { "Id" } dd { code { (id) } } dt { "Origins" } dd { @for origin in &site.spec.origins { div { (origin) } } } } } }
        }
    };
    let actions = html! {
        (ui::status(site.status))
        @if caller.may_book_inventory() {
            (campaigns::status_buttons(&caller, &id.to_string(), site.status, &back))
            a class="btn" href={ (back) "/edit" } { "Edit" }
            a class="btn primary" href={ "/console/sites/" (id) "/placements/new" } { "Add a placement" }
        }
    };
    let frame = layout::Frame::new(&site.spec.name, "/console/inventory")
        .crumb("/console/inventory", "Inventory")
        .actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

fn snippets(app: &App, site: SiteId) -> Markup {
    let base = &app.config.public_url;
    let catalogue = app.platform.catalogue();
    let head = tag::head_snippet(base, site);
    let places: Vec<(&str, String)> = catalogue
        .placements
        .values()
        .filter(|p| p.spec.site == site)
        .map(|p| (p.spec.name.as_str(), tag::place_snippet(&p.spec)))
        .collect();
    html! {
        div class="card" {
            h2 { "Put ads on a page" }
            p { "Once in the page, in its head:" }
            div class="snippet" { pre id="snippet-head" { (head) } button data-copy="#snippet-head" { "Copy" } }
            p { "Where an ad shall stand:" }
            @if places.is_empty() { p class="muted" { "Add a placement first; its line appears here." } }
            @for (name, place) in &places {
                div class="snippet" {
                    pre id={ "snippet-" (name) } { (place) }
                    button data-copy={ "#snippet-" (name) } { "Copy" }
                }
            }
            p class="small muted" { "The tag sets no cookie. It works on the origins listed for this site only." }
        }
    }
}

fn reasons(app: &App, site: SiteId) -> Markup {
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let all = folds.ledger.traffic().no_fills();
    let mut sums = std::collections::BTreeMap::new();
    for ((placement, reason), count) in &all {
        if catalogue.placements.get(placement).is_some_and(|p| p.spec.site == site) {
            *sums.entry(*reason).or_insert(0u64) += count;
        }
    }
    html! {
        section class="card" {
            h2 { "Why places stayed empty, last hour" }
            @if sums.is_empty() { p class="muted" { "None did, or nobody came." } } @else {
                ul class="why" {
                    @for (reason, times) in &sums {
                        li { b { (ui::count(*times)) "\u{d7}" } div { (empty_words(reason)) } }
                    }
                }
            }
        }
    }
}
fn empty_words(reason: &str) -> String {
    match reason {
        "not_set_up" => "The publisher's settings are missing.".into(),
        "too_many_placements" => "The page asked for too many placements at once.".into(),
        "unknown_placement" => {
            "The page asked for a placement that does not exist; check the name in its tag.".into()
        }
        "other_site" => "The page asked for a placement of another site.".into(),
        "site_not_active" => "The site is paused or archived.".into(),
        "placement_not_active" => "The placement is paused or archived.".into(),
        "nothing_matches" => "No ad set is targeted at these requests.".into(),
        other => format!("The ad that came furthest fell out: {}", super::why::explain(other).0),
    }
}
