//! Previews in the console: a version's document in a sandboxed frame, as it would be served, counting nothing.

use super::{SIGNED, act, page};
use crate::http::{AppState, Route, auth::Caller, frames, problem::Problem};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::Response,
    routing::get,
};
use regie_model::{AdId, VersionId};
use serde::Deserialize;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/ads/{id}/versions/{version}/frame", SIGNED, get(show))]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FrameQuery {
    /// `approved` shows what is served now instead of the latest edit.
    what: String,
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, version)): Path<(String, String)>,
    Query(query): Query<FrameQuery>,
) -> Result<Response, Problem> {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let version: VersionId = version.parse().map_err(|_| act::missing(&version))?;
    let (hash, origins) = {
        let catalogue = app.platform.catalogue();
        act::see_ad(&catalogue, &caller, id)?;
        let state = catalogue
            .versions
            .get(&version)
            .filter(|v| v.kept.spec.ad == id)
            .ok_or_else(|| act::missing(version))?;
        let ad = catalogue.ads.get(&id).ok_or_else(|| act::missing(id))?;
        let approved = query.what == "approved";
        let hash = state.approved.filter(|_| approved).map_or(state.kept.spec.creative, |(hash, _)| hash);
        let old = ad.approved.as_ref().filter(|_| approved).map(|a| &a.third_party_origins);
        (hash, old.unwrap_or(&ad.kept.spec.third_party_origins).clone())
    };
    let creative = app.creatives.get(&app.platform.objects, &hash.short());
    let creative = creative.ok_or_else(|| Problem::not_found("creative of this version"))?;
    // A preview's link leads nowhere: nothing is counted, and nobody leaves the console by accident.
    let document = frames::document(&creative, "#", "preview", 0);
    let mut response = frames::framed(document, &creative, &origins);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
