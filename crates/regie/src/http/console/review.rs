//! The review queue: ads and versions that wait, an edit beside what is served now, approve or reject with a reason.

use super::{
    HOUSE, OPERATES, act, action, ads,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{App, AppState, Route, auth::Caller};
use crate::{t, th};
use axum::{
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdId, Faults, VersionId,
    booking::Status,
    catalogue::{AdState, Catalogue, Review},
    command::{Command, Verdict},
};

/// Ads on one page of the queue.
const ADS_MAX: usize = 20;
/// Versions of one ad shown in the queue.
const VERSIONS_MAX: usize = 8;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/review", HOUSE, get(show)), action("/console/review", OPERATES, post(decide))]
}

fn waiting_versions(catalogue: &Catalogue, ad: AdId) -> Vec<VersionId> {
    let of = catalogue.versions_of(ad).iter().copied();
    let waits = |version: &VersionId| {
        catalogue.versions.brief(*version).is_some_and(|s| s.is_pending && s.status != Status::Archived)
    };
    of.filter(waits).collect()
}
fn waits(catalogue: &Catalogue, id: AdId, ad: &AdState) -> bool {
    let has_versions = !catalogue.versions_of(id).is_empty();
    let pending = ad.review == Review::Pending || !waiting_versions(catalogue, id).is_empty();
    ad.kept.status != Status::Archived && has_versions && pending
}
/// How many ads wait.
pub fn waiting_count(catalogue: &Catalogue) -> usize {
    catalogue.ads.iter().filter(|(id, ad)| waits(catalogue, **id, ad)).count()
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    render(&app, &caller, &Data::default(), &Faults::new())
}

/// The queue; `data` and `faults` are those of the one answer that was sent.
fn render(app: &AppState, caller: &Caller, data: &Data, faults: &Faults) -> Response {
    let (waiting, count) = {
        let catalogue = app.platform.catalogue();
        let all = catalogue.ads.iter().filter(|(id, ad)| waits(&catalogue, **id, ad));
        let mut list: Vec<(AdId, AdState)> = all.map(|(id, ad)| (*id, ad.clone())).collect();
        list.sort_by_key(|(_, ad)| ad.kept.changed_at);
        let count = list.len();
        list.truncate(ADS_MAX);
        (list, count)
    };
    let body = html! {
        p class="lead" { (t!("console-nothing-is-served-before-it")) }
        @if waiting.is_empty() { div class="card" { (ui::empty(t!("console-nothing-waits-for-review"))) } }
        @for (id, ad) in &waiting { (one(app, caller, (*id, ad), data, faults)) }
        @if count > waiting.len() { p class="muted" { (th!("console-the-oldest-of-are-shown", waiting = waiting.len(), value = count)) } }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::console_with(
        status,
        app,
        caller,
        &layout::Frame::new(t!("words-review"), "/console/review"),
        &body,
    )
}

fn one(app: &App, caller: &Caller, (id, ad): (AdId, &AdState), data: &Data, faults: &Faults) -> Markup {
    let zone = act::zone(app);
    let catalogue = app.platform.catalogue();
    let campaign = catalogue.parents_of(id).and_then(|(c, _)| catalogue.campaigns.get(&c));
    let versions = waiting_versions(&catalogue, id);
    html! {
        section class="card" {
            div class="head" {
                h2 { a href={ "/console/ads/" (id) } { (ad.kept.spec.name) } " " (ui::political(campaign.is_some_and(|c| c.spec.political.is_some()))) }
                span class="muted small" { (th!("console-waits-since", changed_at = ui::when(ad.kept.changed_at, &zone))) }
            }
            @if let Some(campaign) = campaign {
                dl class="facts" {
                    dt { (t!("words-sponsor")) } dd { (act::party_name(app, campaign.spec.sponsor)) }
                    dt { (t!("words-payer")) } dd { (act::party_name(app, campaign.spec.payer)) }
                    dt { (t!("words-campaign")) } dd { (campaign.spec.name) }
                }
            }
            (landing(ad))
            @for version in versions.iter().take(VERSIONS_MAX) { (side_by_side(&catalogue, id, *version)) }
            @if versions.len() > VERSIONS_MAX { p class="muted" { (th!("console-and-more-versions-decided-together", versions = versions.len() - VERSIONS_MAX)) } }
            @if caller.may_operate() { (answer(caller, (id, ad), data, faults)) }
        }
    }
}

fn landing(ad: &AdState) -> Markup {
    let spec = &ad.kept.spec;
    html! {
        @match &ad.approved {
            Some(approved) if approved.landing_url != spec.landing_url || approved.third_party_origins != spec.third_party_origins => {
                div class="diff" {
                    div { h4 { (t!("console-landing-page-served-now")) } p class="mono wrap-any" { (approved.landing_url) } p class="small muted" { (origins(&approved.third_party_origins)) } }
                    div { h4 { (t!("console-landing-page-as-edited")) } p class="mono wrap-any" { span class="changed" { (spec.landing_url) } } p class="small muted" { (origins(&spec.third_party_origins)) } }
                }
            }
            _ => p { span class="muted" { (t!("words-landing-page")) " " } span class="mono wrap-any" { (spec.landing_url) } @if !spec.third_party_origins.is_empty() { br; span class="small" { (origins(&spec.third_party_origins)) } } }
        }
    }
}
fn origins(list: &[String]) -> String {
    if list.is_empty() {
        t!("console-loads-nothing-from-elsewhere").into()
    } else {
        t!("console-loads-from", list = list.join(", "))
    }
}

fn side_by_side(catalogue: &Catalogue, ad: AdId, version: VersionId) -> Markup {
    let Some(state) = catalogue.versions.get(&version) else { return ui::nothing() };
    html! {
        div class="diff" {
            @if state.approved.is_some() {
                div { h4 { (th!("console-served-now-2", version = version)) } (ads::preview(ad, version, &state, "?what=approved")) }
            }
            div { h4 { (version) @if state.approved.is_some() { (t!("console-as-edited")) } @else { (t!("console-new")) } } (ads::preview(ad, version, &state, "")) }
        }
    }
}

fn answer(caller: &Caller, (id, ad): (AdId, &AdState), data: &Data, faults: &Faults) -> Markup {
    let (nothing, none, is_sent) = (Data::default(), Faults::new(), data.get("ad") == id.to_string());
    let form = Form {
        data: if is_sent { data } else { &nothing },
        faults: if is_sent { faults } else { &none },
        theirs: None,
    };
    html! {
        form method="post" action="/console/review" {
            (layout::csrf(caller))
            input type="hidden" name="ad" value=(id);
            input type="hidden" name="revision" value=(ad.kept.revision);
            (form.field("reason", t!("words-reason")).hint(t!("console-needed-to-reject-the-advertiser")).marked(id))
            div class="buttons" {
                button class="primary" name="verdict" value="approved" { (t!("console-approve")) }
                button class="danger" name="verdict" value="rejected" { (t!("console-reject")) }
            }
        }
    }
}

async fn decide(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let id: AdId = data.get("ad").parse().map_err(|_| act::missing(data.get("ad")))?;
    let revision = app.platform.catalogue().ads.get(&id).map(|a| a.kept.revision.to_string());
    if revision.as_deref() != Some(data.get("revision")) {
        let changed = t!("console-the-ad-was-edited-while");
        let problem = crate::http::problem::Problem::new(StatusCode::CONFLICT, "conflict", changed);
        return Err(problem.into());
    }
    let verdict = if data.get("verdict") == "approved" { Verdict::Approved } else { Verdict::Rejected };
    let command =
        Command::Review { ads: vec![id], versions: Vec::new(), verdict, reason: data.text("reason") };
    match act::submit(&app, &caller, command, Faults::new()).await? {
        act::Sent::Faults(faults) => Ok(render(&app, &caller, &data, &faults)),
        act::Sent::Done(_) | act::Sent::Conflict => Ok(layout::go("/console/review")),
    }
}
