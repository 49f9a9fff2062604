//! Inventory: sites and placements, and the snippet that brings ads onto a page.

use super::{HOUSE, HOUSE_READ, campaigns, layout, page, twin, ui, whole_house};
use crate::http::{App, AppState, Route, auth::Caller, problem::Problem, tag};
use crate::{t, th};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use regie_model::{PlacementId, SiteId, UtcMs, booking::Format, catalogue::Catalogue};
use serde_json::json;
use std::collections::BTreeMap;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/inventory", HOUSE, get(list)),
        page("/console/sites/{id}", HOUSE, get(show)),
        twin("console", "/v1/sites/{id}/tag", HOUSE_READ, get(tag_api)),
    ]
}

/// Versions that are looked through for one that fits a place.
const PREVIEWS_LOOKED_AT: usize = 20_000;

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
            @if catalogue.sites.is_empty() { div class="card" { (ui::empty(t!("console-no-site-yet-a-site"))) } }
            @for (id, site) in &catalogue.sites {
                @let (requests, fills) = folds.ledger.traffic().site_hours(*id).fold((0, 0), |(r, f), (_, h)| (r + h.requests_count, f + h.fills_count));
                section class="card flush" {
                    div class="cardhead head" {
                        h2 { a href={ "/console/sites/" (id) } { (site.spec.name) } " " (ui::status(site.status)) }
                        span class="muted small" { (th!("console-requests-in-four-weeks-filled", requests = ui::count(requests), requests2 = ui::percent(fills, requests))) }
                    }
                    (placements(&catalogue, *id))
                }
            }
        }
    };
    let actions = html! { @if caller.may_book_inventory() { a class="btn primary" href="/console/sites/new" { (t!("words-add-a-site")) } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-inventory"), "/console/inventory").actions(actions),
        &body,
    )
}

fn placements(catalogue: &Catalogue, site: SiteId) -> Markup {
    let of: Vec<_> = catalogue.placements.iter().filter(|(_, p)| p.spec.site == site).collect();
    html! {
        @if of.is_empty() { (ui::empty(t!("console-no-placement-yet"))) }
        @else {
            div class="scroll" { table {
                thead { tr { th { (t!("words-placement")) } th { (t!("console-format")) } th { (t!("console-floors")) } th { (t!("console-political-ads")) } th { (t!("words-status")) } } }
                tbody {
                    @for (id, placement) in of {
                        tr {
                            th scope="row" { a href={ "/console/placements/" (id) "/edit" } { (placement.spec.name) } span class="small muted" { (id) } }
                            td { (format_words(&placement.spec.format)) }
                            td { @if placement.spec.floors.is_empty() { span class="muted" { (t!("words-none")) } } @for floor in &placement.spec.floors { div { (th!("console-cpm", floor = ui::money_micros(regie_model::Micros(floor.micros_per_mille), floor.currency), tier = super::book_house::tier_word(floor.tier))) } } }
                            td { (if placement.spec.political { t!("console-allowed") } else { t!("console-not-here") }) }
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
        div class="grid" { (working(&app, id)) (reasons(&app, id)) }
        section class="card flush" { div class="cardhead" { h2 { (t!("console-placements")) } } (placements(&app.platform.catalogue(), id)) }
        div class="grid wide" {
            (snippets(&app, id))
            div class="card" { h2 { (t!("words-booked")) } dl class="facts" { dt { (t!("words-id")) } dd { code { (id) } } dt { (t!("words-origins")) } dd { @for origin in &site.spec.origins { div class="wrap-any" { (origin) } } } } }
        }
    };
    let actions = html! {
        (ui::status(site.status))
        @if caller.may_book_inventory() {
            (campaigns::status_buttons(&caller, &id.to_string(), site.status, &back))
            a class="btn" href={ (back) "/edit" } { (t!("words-edit")) }
            a class="btn primary" href={ "/console/sites/" (id) "/placements/new" } { (t!("words-add-a-placement")) }
        }
    };
    let frame = layout::Frame::new(&site.spec.name, "/console/inventory")
        .crumb("/console/inventory", t!("console-inventory"))
        .actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

/// What to paste for each place of a site.
fn place_snippets(catalogue: &Catalogue, site: SiteId) -> Vec<(PlacementId, &str, String)> {
    let of = catalogue.placements.iter().filter(|(_, p)| p.spec.site == site);
    of.map(|(id, p)| (*id, p.spec.name.as_str(), tag::place_snippet(&p.spec))).collect()
}

fn snippets(app: &App, site: SiteId) -> Markup {
    let base = &app.config.public_url;
    let catalogue = app.platform.catalogue();
    let head = tag::head_snippet(base, site);
    let places = place_snippets(&catalogue, site);
    html! {
        div class="card" {
            h2 { (t!("console-put-ads-on-a-page")) }
            p { (t!("console-once-in-the-page-in")) }
            div class="snippet" { pre id="snippet-head" { (head) } button data-copy="#snippet-head" data-copied=(t!("frame-copied")) { (t!("words-copy")) } }
            p { (t!("console-where-an-ad-shall-stand")) }
            @if places.is_empty() { p class="muted" { (t!("console-add-a-placement-first-its")) } }
            @for (id, name, place) in &places {
                section class="version" {
                    h3 { (name) " " @if let Some(placement) = catalogue.placements.get(id) { span class="small muted" { (format_words(&placement.spec.format)) } } }
                    div class="snippet" {
                        pre id={ "snippet-" (name) } { (place) }
                        button data-copy={ "#snippet-" (name) } data-copied=(t!("frame-copied")) aria-label=(t!("console-copy-snippet-of", name = name)) { (t!("words-copy")) }
                    }
                    @if let Some(placement) = catalogue.placements.get(id) { (preview(app, &placement.spec)) }
                }
            }
            p class="small muted" { (t!("console-the-tag-sets-no-cookie")) }
        }
    }
}

/// What the server heard from a site's tag.
#[derive(Default)]
struct Heard {
    /// Requests of the last two hours.
    lately: u64,
    /// Of these answered with an ad.
    fills: u64,
    /// The last hour with a request.
    last: Option<UtcMs>,
}
fn heard(app: &App, site: SiteId) -> Heard {
    let now = app.platform.now();
    let folds = app.platform.folds();
    let mut heard = Heard::default();
    for (hour, counts) in folds.ledger.traffic().site_hours(site).filter(|(_, c)| c.requests_count > 0) {
        heard.last = heard.last.max(Some(hour.start()));
        if now.0 - hour.start().0 < 2 * regie_model::time::HOUR_MS {
            heard.lately += counts.requests_count;
            heard.fills += counts.fills_count;
        }
    }
    heard
}

/// `GET /v1/sites/{id}/tag`: what was heard of the tag, what to paste, and why places stayed empty.
async fn tag_api(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let id: SiteId = id.parse().map_err(|_| super::act::missing(&id))?;
    crate::http::reports::settle(&app).await?;
    let catalogue = app.platform.catalogue();
    catalogue.sites.get(&id).ok_or_else(|| super::act::missing(id))?;
    let heard = heard(&app, id);
    let places = place_snippets(&catalogue, id).into_iter().map(
        |(placement, name, snippet)| json!({ "placement": placement, "name": name, "snippet": snippet }),
    );
    let empty = empty_reasons(&app, &catalogue, id).into_iter().map(|(reason, count)| {
        json!({ "reason": reason, "times_last_hour": count, "message": empty_words(&reason) })
    });
    let told = json!({
        "site": id, "works": heard.lately > 0, "requests_two_hours_count": heard.lately,
        "fills_two_hours_count": heard.fills, "last_heard_hour": heard.last,
        "head_snippet": tag::head_snippet(&app.config.public_url, id),
        "places": places.collect::<Vec<_>>(), "stayed_empty": empty.collect::<Vec<_>>(),
    });
    Ok(Json(told).into_response())
}

/// Whether the tag of a site works: what the server heard from it, and what to look at when it heard nothing.
fn working(app: &App, site: SiteId) -> Markup {
    let Heard { lately, fills, last } = heard(app, site);
    let zone = super::act::zone(app);
    html! {
        section class="card" id="working" {
            h2 { (t!("console-is-my-tag-working")) }
            @match (lately > 0, last) {
                (true, _) => p { (ui::badge("good", t!("console-tag-works"))) " " (th!("console-requests-in-two-hours", requests = ui::count(lately), filled = ui::percent(fills, lately))) },
                (false, Some(hour)) => p { (ui::badge("warn", t!("console-tag-silent"))) " " (th!("console-tag-last-heard", at = ui::when(hour, &zone))) },
                (false, None) => p { (ui::badge("bad", t!("console-tag-never-heard"))) },
            }
            @if lately == 0 {
                ol {
                    li { (t!("console-tag-check-open")) }
                    li { (t!("console-tag-check-origin")) }
                    li { (t!("console-tag-check-names")) }
                    li { (t!("console-tag-check-policy")) " " code { "script-src " (app.config.public_url) "; frame-src " (app.config.public_url) "; connect-src " (app.config.public_url) } }
                }
            }
            p class="small muted" { (t!("console-tag-counted-by-minute")) }
        }
    }
}

/// What a place looks like: a version that fits it, at its size, as it would be served; nothing is counted.
fn preview(app: &App, placement: &regie_model::booking::PlacementSpec) -> Markup {
    use regie_model::booking::Shape;
    let catalogue = app.platform.catalogue();
    let fits = |shape: Shape| match (&placement.format, shape) {
        (Format::Banner { sizes }, Shape::Banner(size)) => sizes.contains(&size),
        (Format::Native, Shape::Native) | (Format::Text, Shape::Text) => true,
        _ => false,
    };
    let (width, height) = match &placement.format {
        Format::Banner { sizes } => {
            sizes.first().map_or((300, 250), |s| (u32::from(s.width), u32::from(s.height)))
        }
        Format::Native => (320, 380),
        Format::Text => (320, 160),
    };
    let found = catalogue
        .versions
        .iter()
        .take(PREVIEWS_LOOKED_AT)
        .find(|(_, v)| v.approved.is_some_and(|(_, shape)| fits(shape)));
    html! {
        details {
            summary { (t!("console-preview")) }
            @match found {
                Some((id, version)) => {
                    p class="adlabel" { b { (t!("words-advertisement")) } }
                    div class="preview" { iframe class="adframe" src={ "/console/ads/" (version.kept.spec.ad) "/versions/" (id) "/frame?what=approved" } width=(width) height=(height) sandbox="" loading="lazy" title={ (th!("console-preview-of-place", name = placement.name)) } {} }
                }
                None => p class="muted" { (th!("console-no-ad-fits", width = width, height = height)) },
            }
        }
    }
}

/// Why places of a site stayed empty in the last hour, and how often.
fn empty_reasons(app: &App, catalogue: &Catalogue, site: SiteId) -> BTreeMap<String, u64> {
    let folds = app.platform.folds();
    let mut sums = BTreeMap::new();
    for ((placement, reason), count) in folds.ledger.traffic().no_fills() {
        if catalogue.placements.get(&placement).is_some_and(|p| p.spec.site == site) {
            *sums.entry(reason.to_owned()).or_insert(0u64) += count;
        }
    }
    sums
}
fn reasons(app: &App, site: SiteId) -> Markup {
    let sums = empty_reasons(app, &app.platform.catalogue(), site);
    html! {
        section class="card" {
            h2 { (t!("console-why-places-stayed-empty-last")) }
            @if sums.is_empty() { p class="muted" { (t!("console-none-did-or-nobody-came")) } } @else {
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
        "not_set_up" => t!("console-the-publisher-s-settings-are").into(),
        "too_many_placements" => t!("console-the-page-asked-for-too").into(),
        "unknown_placement" => t!("console-the-page-asked-for-a").into(),
        "other_site" => t!("console-the-page-asked-for-a-2").into(),
        "site_not_active" => t!("console-the-site-is-paused-or").into(),
        "placement_not_active" => t!("console-the-placement-is-paused-or").into(),
        "nothing_matches" => t!("console-no-ad-set-is-targeted").into(),
        other => t!(
            "console-the-ad-that-came-furthest",
            other = crate::i18n::rooms::say(super::why::explain(other).0)
        ),
    }
}
