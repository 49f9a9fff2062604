//! The page of an ad: its versions as they look, its landing page, its review, its figures.

use super::{SIGNED, act, campaigns, layout, page, ui};
use crate::http::{App, AppState, Route, auth::Caller};
use crate::{t, th};
use axum::{
    extract::{Path, State},
    routing::get,
};
use maud::{Markup, html};
use regie_model::{
    AdId, AdSetId, VersionId,
    booking::Shape,
    catalogue::{AdState, Catalogue, Review, VersionState},
};

/// Thumbnails of one ad set at most.
const THUMBNAILS_MAX: usize = 12;
/// Versions shown on an ad's page at most.
const VERSIONS_MAX: usize = 24;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/ads/{id}", SIGNED, get(show))]
}

/// Size of a preview.
pub fn preview_size(shape: Shape) -> (u16, u16) {
    match shape {
        Shape::Banner(size) => (size.width, size.height),
        Shape::Native => (320, 380),
        Shape::Text => (320, 160),
    }
}

/// How a small preview of a shape is framed.
pub fn thumb_class(shape: Shape) -> &'static str {
    match shape {
        Shape::Banner(size) if size.width >= 5 * size.height => "thumb wide",
        Shape::Banner(size) if size.width >= 2 * size.height => "thumb large",
        Shape::Banner(size) if 2 * size.height >= 3 * size.width => "thumb tall",
        _ => "thumb",
    }
}

/// A sandboxed preview of a version.
pub fn preview(ad: AdId, version: VersionId, state: &VersionState, query: &str) -> Markup {
    let (width, height) = preview_size(state.kept.spec.shape);
    html! {
        div class="preview" { iframe class="adframe" src={ "/console/ads/" (ad) "/versions/" (version) "/frame" (query) } width=(width) height=(height)
            sandbox="allow-scripts" loading="lazy" title={ (th!("console-preview-of", version = version)) } {} }
    }
}

/// The ads of an ad set with small previews.
pub fn thumbnails(caller: &Caller, catalogue: &Catalogue, set: AdSetId) -> Markup {
    let ads = catalogue.ads_of.get(&set).map_or(&[][..], Vec::as_slice);
    html! {
        @if ads.is_empty() { p class="muted" { (t!("console-no-ad-yet")) } }
        @else {
            div class="scroll" {
                table {
                    thead { tr { th { (t!("words-ad")) } th { (t!("words-review")) } th { (t!("words-versions")) } } }
                    tbody {
                        @for id in ads.iter().take(THUMBNAILS_MAX) {
                            @if let Some(ad) = catalogue.ads.get(id) {
                                @let versions = catalogue.versions_of(*id);
                                tr {
                                    td {
                                        @if let Some(version) = versions.first() {
                                            @let shape = catalogue.versions.get(version).map_or(Shape::Native, |v| v.kept.spec.shape);
                                            a class=(thumb_class(shape)) href={ "/console/ads/" (id) } aria-label={ (th!("console-open", name = ad.kept.spec.name)) } {
                                                iframe src={ "/console/ads/" (id) "/versions/" (version) "/frame" } sandbox="" loading="lazy" tabindex="-1" title={ (th!("console-preview-of-2", id = id)) } {}
                                            }
                                        }
                                        a href={ "/console/ads/" (id) } { (ad.kept.spec.name) } span class="small muted wrap-any" { (ad.kept.spec.landing_url) }
                                    }
                                    td { (ui::review(&ad.review)) @if let Review::Rejected { reason } = &ad.review { span class="small" { (reason) } } }
                                    td { (versions.len()) @if versions.is_empty() { span class="small" { (ui::badge("warn", t!("console-needs-one"))) } } }
                                }
                            }
                        }
                    }
                }
            }
            @if ads.len() > THUMBNAILS_MAX { p class="small muted" { (th!("console-and-more", ads = ads.len() - THUMBNAILS_MAX)) } }
        }
        @if caller.may_book() { p { a class="btn" href={ "/console/ad-sets/" (set) "/ads/new" } { (t!("words-add-an-ad")) } } }
    }
}

async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, ad) = {
        let catalogue = app.platform.catalogue();
        let (campaign, _) = act::see_ad(&catalogue, &caller, id)?;
        (campaign, catalogue.ads.get(&id).cloned().ok_or_else(|| act::missing(id))?)
    };
    let campaign_name =
        app.platform.catalogue().campaigns.get(&campaign).map(|c| c.spec.name.clone()).unwrap_or_default();
    let body = html! {
        (figures(&app, id))
        @if let Review::Rejected { reason } = &ad.review {
            div class="note bad" { p { strong { (t!("console-rejected")) " " } (reason) } p { (t!("console-edit-the-ad-the-new")) } }
        }
        @if ad.review == Review::Pending && ad.approved.is_some() {
            div class="note warn" { p { (t!("console-an-edit-waits-for-review")) } }
        }
        div class="grid wide" {
            div { (versions(&app, &caller, id)) }
            div { (facts(&app, id, &ad)) }
        }
    };
    let back = format!("/console/ads/{id}");
    let actions = html! {
        (ui::review(&ad.review)) (ui::status(ad.kept.status))
        (campaigns::status_buttons(&caller, &id.to_string(), ad.kept.status, &back))
        a class="btn" href={ (back) "/template" } { (t!("learning-template")) } @if caller.may_book() { a class="btn" href={ (back) "/edit" } { (t!("words-edit")) } }
    };
    let frame = layout::Frame::new(&ad.kept.spec.name, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb(format!("/console/campaigns/{campaign}"), campaign_name)
        .actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

fn figures(app: &App, id: AdId) -> Markup {
    let catalogue = app.platform.catalogue();
    let money = catalogue
        .parents_of(id)
        .and_then(|(c, _)| catalogue.campaigns.get(&c))
        .map_or(regie_model::Currency::EUR, |c| campaigns::currency(&catalogue, c.spec.advertiser));
    let folds = app.platform.folds();
    let total = folds.ledger.totals(id);
    html! {
        dl class="figures" {
            (ui::figure(t!("words-handed-out"), &ui::count(total.served_count), ""))
            (ui::figure(t!("words-impressions"), &ui::count(total.impressions_count), ""))
            (ui::figure(t!("words-viewable"), &ui::percent(total.viewable_count, total.impressions_count), ""))
            (ui::figure(t!("words-clicks"), &ui::count(total.clicks_count), ""))
            (ui::figure("CTR", &ui::percent(total.clicks_count, total.impressions_count), ""))
            (ui::figure(t!("words-conversions"), &ui::count(total.conversions_count), ""))
            (ui::figure(t!("words-spent"), &ui::money(total.net_nanos(), money), ""))
        }
    }
}

fn facts(app: &App, id: AdId, ad: &AdState) -> Markup {
    let shown = app.platform.folds().ledger.totals(id).impressions_count > 0;
    html! {
        div class="card" {
            h2 { (t!("words-booked")) }
            dl class="facts" {
                dt { (t!("words-id")) } dd { code { (id) } }
                dt { (t!("console-revision")) } dd { (ad.kept.revision) }
                dt { (t!("words-landing-page")) } dd { span class="mono" { (ad.kept.spec.landing_url) } }
                @if let Some(approved) = ad.approved.as_ref().filter(|a| a.landing_url != ad.kept.spec.landing_url) {
                    dt { (t!("console-served-now")) } dd { span class="mono changed" { (approved.landing_url) } }
                }
                @if !ad.kept.spec.third_party_origins.is_empty() { dt { (t!("console-may-load-from")) } dd { (ad.kept.spec.third_party_origins.join(", ")) } }
            }
            p { a href={ "/console/history?entity=" (id) } { (t!("console-edits-and-reviews")) } }
            @if shown { p { a href={ "/record/ads/" (id) } { (t!("console-in-the-public-record")) } } }
            @else { p class="small muted" { (t!("console-it-enters-the-public-record")) } }
        }
    }
}

fn versions(app: &App, caller: &Caller, id: AdId) -> Markup {
    let catalogue = app.platform.catalogue();
    let versions = catalogue.versions_of(id);
    html! {
        @if versions.is_empty() { div class="card" { (ui::empty(t!("console-no-version-yet-add-what"))) } }
        @for version in versions.iter().take(VERSIONS_MAX) {
            @if let Some(state) = catalogue.versions.get(version) {
                section class="card" {
                    div class="head" {
                        h2 { @if state.kept.spec.name.is_empty() { (th!("console-version", version = version)) } @else { (state.kept.spec.name) } " " (ui::review(&state.review)) }
                        div class="actions" {
                            (campaigns::status_buttons(caller, &version.to_string(), state.kept.status, &format!("/console/ads/{id}")))
                            @if caller.may_book() { a class="btn" href={ "/console/versions/" (version) "/edit" } { (t!("words-edit")) } }
                        }
                    }
                    @if let Review::Rejected { reason } = &state.review { p class="fault" { (reason) } }
                    (preview(id, *version, &state, ""))
                    p class="small muted" { (th!("console-weight-creative", version = version, weight = state.kept.spec.weight, code = html! { code { (state.kept.spec.creative.to_string().get(..12).unwrap_or("")) } })) }
                }
            }
        }
        @if versions.len() > VERSIONS_MAX { p class="muted" { (th!("console-and-more-versions", versions = versions.len() - VERSIONS_MAX)) } }
        @if caller.may_book() {
            p {
                @for (kind, words) in [("image", t!("console-add-a-picture")), ("html", t!("console-add-html")), ("native", t!("console-add-a-native-version")), ("text", t!("console-add-a-text"))] {
                    a class="btn" href={ "/console/ads/" (id) "/versions/new?kind=" (kind) } { (words) } " "
                }
            }
        }
    }
}
