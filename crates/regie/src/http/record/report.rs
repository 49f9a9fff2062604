//! Reporting an ad as possibly non-compliant (Regulation (EU) 2024/900, Art. 15): form, receipt, answer.
//!
//! Who reports, and in which words, is sealed under a key of its own before it is journalled, and is erased by destroying
//! that key (J1). An address is not needed: the receipt's link leads to the answer. Refuses more than a few thousand open
//! reports, and says so.

use super::{data, limits::Fair};
use crate::i18n::rooms::say;
use crate::{
    http::{
        AppState, Route,
        console::{form::Data, layout, ui},
        problem::Problem,
    },
    platform::{Platform, commands::CommandError},
};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    http::{Method, StatusCode},
    response::Response,
    routing::{get, post},
};
use maud::html;
use regie_model::{
    AdId, Faults, PartyId, ReportId, UtcMs,
    booking::{REPORT_GROUNDS, ReportSpec, URGENT_DAYS},
    catalogue::Catalogue,
    command::{Change, Refusal},
    event::Actor,
    limits::{NAME_CHARS_MAX, TEXT_CHARS_MAX},
    time::DAY_MS,
};
use regie_record::commit::Sha256Hash;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Reports without a decision at most.
pub const OPEN_COUNT_MAX: usize = 5_000;
/// An answer is due after so many hours in the last month before a vote.
pub const URGENT_HOURS: i64 = 48;
/// And after so many days otherwise.
pub const USUAL_DAYS: i64 = 14;

/// The ground of who disputes a grouping of sponsors.
const GROUPING: &str = "grouping";

/// What is sealed of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reporter {
    /// As given; may be empty.
    pub email: String,
    /// The reporter's words.
    pub words: String,
}

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("record", Method::GET, "/record/ads/{id}/report", get(form)),
        Route::public("record", Method::POST, "/record/ads/{id}/report", post(file)),
        Route::public("record", Method::GET, "/record/reports/{id}", get(receipt)),
        Route::public("record", Method::GET, "/record/sponsors/{id}/dispute", get(dispute)),
        Route::public("record", Method::POST, "/record/sponsors/{id}/dispute", post(file_dispute)),
    ]
}

/// When a report on an ad is to be answered: 48 hours in the last month before a vote that it is linked to.
pub fn due_at(catalogue: &Catalogue, ad: AdId, now: UtcMs) -> UtcMs {
    let zone = catalogue.publisher.as_ref().map_or_else(regie_model::Zone::utc, |p| p.spec.zone.clone());
    let today = zone.day(now);
    let declaration = catalogue
        .parents_of(ad)
        .and_then(|(campaign, _)| catalogue.campaigns.get(&campaign))
        .and_then(|c| c.spec.political.as_ref());
    let votes = declaration.into_iter().flat_map(|d| &d.linked).filter_map(|linked| {
        let kept = linked.election.and_then(|id| catalogue.elections.get(&id)).map(|e| e.spec.held_on);
        kept.or(linked.held_on)
    });
    // An ad that names no vote may still be about one that the publisher keeps.
    let all = votes.chain(catalogue.elections.values().map(|e| e.spec.held_on));
    let urgent = all.into_iter().any(|vote| (0..=URGENT_DAYS).contains(&(vote.0 - today.0)));
    match urgent {
        true => UtcMs(now.0 + URGENT_HOURS * 3_600_000),
        false => UtcMs(now.0 + USUAL_DAYS * DAY_MS),
    }
}

async fn form(State(app): State<AppState>, Path(id): Path<String>) -> layout::Html {
    let ad = shown(&app, &id)?;
    Ok(page(&app, ad, &Data::default(), &Faults::new()))
}
fn shown(app: &AppState, id: &str) -> Result<AdId, Problem> {
    let ad: AdId = id.parse().map_err(|_| super::ad_page::not_here(id))?;
    if data::is_shown(app, ad) { Ok(ad) } else { Err(super::ad_page::not_here(id)) }
}

fn page(app: &AppState, ad: AdId, data: &Data, faults: &Faults) -> Response {
    let fault = |field: &str| faults.0.iter().find(|f| f.field == field).map(|f| f.message.clone());
    let body = html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } a href={ "/record/ads/" (ad) } { (ad) } span { (t!("words-report")) } }
        h1 { (t!("words-report-this-ad")) }
        p class="intro" { (t!("record-if-you-think-that-this")) }
        form class="card" method="post" action={ "/record/ads/" (ad) "/report" } {
            fieldset {
                legend { (t!("record-what-is-wrong")) }
                @if let Some(words) = fault("grounds") { p class="fault" role="alert" { (say(&words)) } }
                @for (word, told) in REPORT_GROUNDS.iter().filter(|(word, _)| *word != GROUPING) {
                    div { label { input type="checkbox" name={ "ground-" (word) } value="on" checked[data.has(&format!("ground-{word}"))]; " " (say(told)) } }
                }
            }
            div class="field" {
                label for="words" { (t!("record-in-your-words")) }
                @if let Some(words) = fault("words") { p class="fault" role="alert" { (say(&words)) } }
                textarea id="words" name="words" rows="6" required { (data.get("words")) }
            }
            div class="field" {
                label for="email" { (t!("record-your-e-mail-address-if")) }
                @if let Some(words) = fault("email") { p class="fault" role="alert" { (say(&words)) } }
                input id="email" type="email" name="email" autocomplete="email" value=(data.get("email"));
            }
            button class="primary" { (t!("record-send-the-report")) }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::page(status, &layout::public(app, t!("words-report-this-ad"), &body))
}

async fn file(State(app): State<AppState>, _: Fair, Path(id): Path<String>, data: Data) -> layout::Html {
    let ad = shown(&app, &id)?;
    let grounds: Vec<String> = REPORT_GROUNDS
        .iter()
        .filter(|(word, _)| *word != GROUPING && data.has(&format!("ground-{word}")))
        .map(|(word, _)| (*word).to_owned())
        .collect();
    let reporter = Reporter { email: data.text("email"), words: data.text("words") };
    let mut faults = faults_of(&reporter);
    faults.when(grounds.is_empty(), "grounds", "missing", t!("record-choose-at-least-one"));
    if !faults.is_empty() {
        return Ok(page(&app, ad, &data, &faults));
    }
    send(&app, ad, grounds, reporter).await
}

fn faults_of(reporter: &Reporter) -> Faults {
    let mut faults = Faults::new();
    faults.text("words", &reporter.words, TEXT_CHARS_MAX);
    faults.optional_text("email", &reporter.email, NAME_CHARS_MAX);
    faults
}

/// Files a report, and leads to its receipt.
async fn send(app: &AppState, ad: AdId, grounds: Vec<String>, reporter: Reporter) -> layout::Html {
    let secret = crate::platform::secrets::fresh_text().map_err(Problem::internal)?;
    let platform = Arc::clone(&app.platform);
    let receipt_hash = Sha256Hash::of(secret.as_bytes()).to_string();
    let (done, wait) = tokio::sync::oneshot::channel();
    let work = move || {
        let inner = Arc::clone(&platform);
        let make =
            move |catalogue: &Catalogue| filed(&inner, catalogue, ad, grounds, &reporter, receipt_hash);
        platform.record_with(
            Actor::Job("public report form".into()),
            make,
            Box::new(move |result| drop(done.send(result))),
        );
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
    let accepted = wait.await.map_err(Problem::internal)?.map_err(Problem::from)?;
    let id = accepted.first().map(|a| a.id.clone()).unwrap_or_default();
    Ok(layout::go(format!("/record/reports/{id}?receipt={secret}")))
}

fn filed(
    platform: &Platform,
    catalogue: &Catalogue,
    ad: AdId,
    grounds: Vec<String>,
    reporter: &Reporter,
    receipt_hash: String,
) -> Result<(Vec<Change>, String), CommandError> {
    let open = catalogue.reports.values().filter(|r| r.decided.is_none()).count();
    if open >= OPEN_COUNT_MAX {
        let mut faults = Faults::new();
        let words = t!("record-reports-wait-already-write-to", OPEN_COUNT_MAX = OPEN_COUNT_MAX);
        faults.add("words", "too_many", words);
        return Err(Refusal::Faults(faults).into());
    }
    let id = ReportId(catalogue.reports.last_key_value().map_or(1, |(id, _)| id.0 + 1));
    let sealed = platform
        .secrets
        .seal(reporter, None, catalogue.last_person_key)
        .map_err(|e| CommandError::Internal(e.to_string()))?;
    let due_at = due_at(catalogue, ad, platform.now());
    let spec = ReportSpec { ad, grounds, reporter: sealed, due_at, receipt_hash };
    Ok((vec![Change::ReportFiled { id, spec }], id.to_string()))
}

/// What leads to a report's answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Receipt {
    receipt: String,
}

async fn receipt(
    State(app): State<AppState>,
    Path(id): Path<String>,
    Query(given): Query<Receipt>,
) -> layout::Html {
    let missing = || Problem::not_found("report with this receipt");
    let id: ReportId = id.parse().map_err(|_| missing())?;
    let report = app.platform.catalogue().reports.get(&id).cloned().ok_or_else(missing)?;
    if Sha256Hash::of(given.receipt.as_bytes()).to_string() != report.spec.receipt_hash {
        return Err(missing().into());
    }
    let zone = crate::http::console::act::zone(&app);
    let body = html! {
        h1 { (th!("record-your-report", id = id)) }
        p { (th!("record-on-ad-received", link = html! { a href={ "/record/ads/" (report.spec.ad) } { (report.spec.ad) } }, filed_at = ui::when(report.filed_at, &zone))) }
        @match &report.decided {
            Some((decision, at)) => div class="card" {
                h2 { (t!("record-the-decision")) }
                p { (ui::badge("good", decision.outcome.word())) " " (ui::when(*at, &zone)) }
                p { (decision.reason) }
            },
            None => div class="card" { p { (th!("record-it-waits-for-a-decision", strong = html! { strong { (ui::when(report.spec.due_at, &zone)) } })) } },
        }
        p class="muted" { (t!("record-keep-the-address-of-this")) }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("record-your-report-2"), &body)))
}

/// The newest ad of a sponsor in the record.
async fn newest(app: &AppState, id: &str) -> Result<(PartyId, AdId), Problem> {
    let missing = || Problem::not_found("sponsor of this number in the record");
    let sponsor: PartyId = id.parse().map_err(|_| missing())?;
    let wanted = data::Wanted { sponsor: Some(sponsor), ..data::Wanted::default() };
    let reader = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || data::search(&reader, &wanted, 1)).await;
    let (ids, _) = found.map_err(Problem::internal)??;
    Ok((sponsor, *ids.first().ok_or_else(missing)?))
}

/// `GET /record/sponsors/{id}/dispute`: the form by which a grouping of sponsors is disputed.
async fn dispute(State(app): State<AppState>, Path(id): Path<String>) -> layout::Html {
    let (sponsor, _) = newest(&app, &id).await?;
    Ok(dispute_page(&app, sponsor, &Data::default(), &Faults::new()))
}
fn dispute_page(app: &AppState, sponsor: PartyId, data: &Data, faults: &Faults) -> Response {
    let fault = |field: &str| faults.0.iter().find(|f| f.field == field).map(|f| f.message.clone());
    let body = html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } a href={ "/record/sponsors/" (sponsor) } { (sponsor) } span { (t!("proofs-dispute")) } }
        h1 { (t!("proofs-dispute-title")) }
        p class="intro" { (t!("proofs-dispute-intro")) }
        form class="card" method="post" action={ "/record/sponsors/" (sponsor) "/dispute" } {
            div class="field" {
                label for="words" { (t!("proofs-dispute-words")) }
                @if let Some(words) = fault("words") { p class="fault" role="alert" { (say(&words)) } }
                textarea id="words" name="words" rows="6" required { (data.get("words")) }
            }
            div class="field" {
                label for="email" { (t!("proofs-dispute-email")) }
                @if let Some(words) = fault("email") { p class="fault" role="alert" { (say(&words)) } }
                input id="email" type="email" name="email" autocomplete="email" value=(data.get("email"));
            }
            button class="primary" { (t!("proofs-send")) }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::page(status, &layout::public(app, t!("proofs-dispute-title"), &body))
}
async fn file_dispute(
    State(app): State<AppState>,
    _: Fair,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let (sponsor, ad) = newest(&app, &id).await?;
    let reporter = Reporter { email: data.text("email"), words: data.text("words") };
    let faults = faults_of(&reporter);
    if !faults.is_empty() {
        return Ok(dispute_page(&app, sponsor, &data, &faults));
    }
    send(&app, ad, vec![GROUPING.to_owned()], reporter).await
}
