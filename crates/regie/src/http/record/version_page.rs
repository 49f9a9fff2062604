//! One version of an ad that was really shown: what it looked like, on which days, and the proof of each. From the record alone: the
//! leaves and objects that anybody can copy, not the server's own store.

use super::{open_json, wants_json};
use crate::http::{
    App, AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::{t, th};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use regie_model::{AdId, Currency, Nanos, VersionId};
use regie_record::{
    leaf::Leaf,
    shown::{ShownError, ShownVersion, shown},
};
use serde_json::json;
use std::sync::Arc;

/// A version from the record; none where no closed day has shown it.
///
/// # Errors
/// SQLite's error, objects that do not fit.
pub(super) fn find(
    app: &App,
    ad: AdId,
    version: VersionId,
) -> Result<Option<(ShownVersion, Currency)>, Problem> {
    let db = app.publication.reading().map_err(Problem::internal)?;
    let versions = db.versions(ad, None).map_err(Problem::internal)?;
    let leaves: Vec<(u64, Leaf)> = versions.into_iter().map(|v| (v.index, v.leaf)).collect();
    let currency =
        leaves.iter().rev().find_map(|(_, leaf)| leaf.figures.as_ref().map(|f| f.amounts.currency));
    match shown(&leaves, &|hash| db.object(hash), version) {
        Ok(found) => Ok(Some((found, currency.unwrap_or(Currency::EUR)))),
        Err(ShownError::Never) => Ok(None),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// `GET /record/ads/{id}/versions/{version}`, also with `.json`.
pub(super) async fn show(
    State(app): State<AppState>,
    _: super::limits::Fair,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let (json, bare) = wants_json(&version, &headers);
    let refuse = |problem: Problem| {
        if json { problem.into_response() } else { layout::PageError(problem).into_response() }
    };
    let none = || refuse(Problem::not_found("version of this ad that a closed day of the record has shown"));
    let (ad, version): (AdId, VersionId) =
        (id.parse().map_err(|_| none())?, bare.parse().map_err(|_| none())?);
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || find(&reader, ad, version)).await;
    let (found, currency) =
        found.map_err(|e| refuse(Problem::internal(e)))?.map_err(refuse)?.ok_or_else(none)?;
    if json {
        return Ok(open_json(&json!({
            "ad": ad, "version": version, "creative": found.hash, "document": found.creative, "elements": found.elements,
            "withheld": found.creative.is_none(), "days": found.days,
        })));
    }
    let title = t!("proofs-version-title", version = version, ad = ad);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, &title, &page(ad, version, &found, currency))))
}

fn page(ad: AdId, version: VersionId, found: &ShownVersion, currency: Currency) -> Markup {
    let path = format!("/record/ads/{ad}/versions/{version}");
    let impressions: u64 = found.days.iter().map(|d| d.line.impressions_count).sum();
    html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } a href={ "/record/ads/" (ad) } { (ad) } span { (version) } }
        h1 { (t!("proofs-version-title", version = version, ad = ad)) }
        p class="intro" { (t!("proofs-version-intro")) }
        @match &found.creative {
            Some(creative) => {
                @let size = creative.size();
                iframe class="adframe" src={ (path) "/frame" } width=(size.map_or(320, |s| s.width)) height=(size.map_or(200, |s| s.height))
                    sandbox=(if creative.kind() == "html" { "allow-scripts" } else { "" }) loading="lazy" title={ (ad) ", " (version) } {}
            },
            None => div class="note warn" { p { (t!("proofs-version-withheld")) } },
        }
        @if !found.elements.is_empty() { h2 { (t!("proofs-version-elements")) } ul { @for words in &found.elements { li { (words) } } } }
        section class="card" {
            h2 { (t!("proofs-version-days")) }
            div class="scroll" { table {
                thead { tr { th { (t!("proofs-day")) } th class="right" { (t!("proofs-shown")) } th class="right" { (t!("proofs-spend", currency = currency)) } th { (t!("proofs-entry")) } th { (t!("proofs-manifest")) } } }
                tbody { @for day in &found.days { tr {
                    th scope="row" { (day.day) } td class="right" { (ui::count(day.line.impressions_count)) }
                    td class="right" { (Nanos(day.line.spend_nanos.parse().unwrap_or(0)).display(currency, 9)) }
                    td { a href={ "/record/log/proof/" (day.entry_index) } { (day.entry_index) } }
                    td class="wrap-any small" { code { (day.manifest) } " " (t!("proofs-line", index = day.index + 1, count = day.lines_count)) }
                } } }
                tfoot { tr { th scope="row" { (t!("proofs-in-all")) } td class="right" { (ui::count(impressions)) } td {} td {} td {} } }
            } }
            p class="small muted" { (th!("proofs-version-check", link = html! { a href={ (path) ".json" } { (t!("proofs-as-json")) } }, hash = html! { code class="wrap-any" { (found.hash) } })) }
        }
    }
}
