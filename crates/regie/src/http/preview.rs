//! Signed preview links: a draft on the real page, before it is approved, without counting anything.
//!
//! A link names a version and a placement, never a ticket: it cannot be billed, and its clicks go to the landing page
//! uncounted. The page's tag reads it from the address's fragment, which browsers do not send to the page's server.

use super::{
    AppState, Route,
    auth::Caller,
    booking::{BOOK, parse, scope},
    decisions, facts, frames, labels,
    problem::Problem,
};
use crate::platform::{Platform, view::AdView};
use crate::t;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use regie_model::{
    AdId, Faults, PlacementId, SiteId, UtcMs, VersionId,
    booking::{Format, Shape, Status},
    catalogue::Catalogue,
    command::EntityRef,
    creative::Creative,
    time::DAY_MS,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// How long a link is good for, in milliseconds (7 days).
pub const PREVIEW_MS: i64 = 7 * DAY_MS;
/// Version and key, version id, placement id, expiry.
const BODY_BYTES: usize = 1 + 1 + 4 + 4 + 8;
const MAC_BYTES: usize = 16;
const FORMAT: u8 = 1;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route {
            owner: "preview",
            method: Method::POST,
            path: "/v1/previews",
            access: BOOK,
            handler: post(make),
        },
        Route::public("preview", Method::GET, "/v1/previews/{token}", get(show)),
        Route::public("preview", Method::GET, "/v1/previews/{token}/frame", get(frame)),
        Route::public("preview", Method::GET, "/v1/previews/{token}/click", get(follow)),
    ]
}

/// What a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What is shown: its current creative, approved or not.
    pub version: VersionId,
    /// Where.
    pub placement: PlacementId,
    /// Until when.
    pub expires_at: UtcMs,
}

fn mac(platform: &Platform, key_id: u8, body: &[u8]) -> Option<[u8; MAC_BYTES]> {
    let key = platform.keys().iter().find(|k| k.id == key_id)?;
    let derived = blake3::derive_key("regie preview link v1", &key.secret);
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(&blake3::keyed_hash(&derived, body).as_bytes()[..MAC_BYTES]);
    Some(short)
}

/// The text of a link; empty without a key.
pub fn seal(platform: &Platform, preview: Preview) -> String {
    let key_id = platform.keys().last().map_or(0, |k| k.id);
    let mut bytes = vec![FORMAT, key_id];
    bytes.extend_from_slice(&preview.version.0.to_le_bytes());
    bytes.extend_from_slice(&preview.placement.0.to_le_bytes());
    bytes.extend_from_slice(&preview.expires_at.0.to_le_bytes());
    let Some(mac) = mac(platform, key_id, &bytes) else { return String::new() };
    bytes.extend_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Opens a link's text: unchanged, and not too old.
pub fn open(platform: &Platform, text: &str) -> Option<Preview> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|b| b.len() == BODY_BYTES + MAC_BYTES)?;
    let (body, given) = bytes.split_at(BODY_BYTES);
    let wanted = mac(platform, body[1], body)?;
    if body[0] != FORMAT || !super::auth::csrf::same(&wanted, given) {
        return None;
    }
    let preview = Preview {
        version: VersionId(u32::from_le_bytes(body[2..6].try_into().ok()?)),
        placement: PlacementId(u32::from_le_bytes(body[6..10].try_into().ok()?)),
        expires_at: UtcMs(i64::from_le_bytes(body[10..18].try_into().ok()?)),
    };
    (platform.now() < preview.expires_at).then_some(preview)
}

/// What a link shows.
struct Draft {
    preview: Preview,
    site: SiteId,
    placement_name: String,
    ad: AdView,
    creative: Arc<Creative>,
}

fn draft(app: &AppState, text: &str) -> Result<Draft, Problem> {
    let gone = || Problem::not_found("preview of this link; it may be older than 7 days");
    let preview = open(&app.platform, text).ok_or_else(gone)?;
    let view = app.platform.current_view();
    let catalogue = app.platform.catalogue();
    let version = catalogue.versions.get(&preview.version).ok_or_else(gone)?;
    let placement = catalogue.placements.get(&preview.placement).ok_or_else(gone)?;
    let ad = ad_view(&catalogue, version.kept.spec.ad, &view.parties).ok_or_else(gone)?;
    let short = version.kept.spec.creative.short();
    let (site, placement_name) = (placement.spec.site, placement.spec.name.clone());
    drop(catalogue);
    let creative = app.creatives.get(&app.platform.objects, &short).ok_or_else(gone)?;
    Ok(Draft { preview, site, placement_name, ad, creative })
}

/// An ad as it would be served, its current revision taken for approved.
fn ad_view(
    catalogue: &Catalogue,
    id: AdId,
    parties: &std::collections::HashMap<regie_model::PartyId, crate::platform::view::PartyView>,
) -> Option<AdView> {
    let ad = &catalogue.ads.get(&id)?.kept.spec;
    let (campaign_id, ad_set) = catalogue.parents_of(id)?;
    let set = &catalogue.ad_sets.get(&ad_set)?.spec;
    let campaign = &catalogue.campaigns.get(&campaign_id)?.spec;
    let party = |id| parties.get(&id).cloned().unwrap_or_default();
    let declared = campaign.political.as_ref();
    Some(AdView {
        id,
        ad_set,
        campaign: campaign_id,
        advertiser: campaign.advertiser,
        landing_url: ad.landing_url.clone(),
        third_party_origins: ad.third_party_origins.clone(),
        political: declared.is_some(),
        sponsor: campaign.sponsor,
        payer: campaign.payer,
        sponsor_name: party(campaign.sponsor).name,
        payer_name: party(campaign.payer).name,
        controller: party(campaign.sponsor).controller,
        linked: declared.map(|d| d.linked.iter().map(|l| l.name.clone()).collect()).unwrap_or_default(),
        targeted: !set.targeting.clauses.is_empty(),
    })
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[serde(default)]
    version: Option<VersionId>,
    #[serde(default)]
    ad: Option<AdId>,
    placement: PlacementId,
    /// A page of the site; its front page without.
    #[serde(default)]
    page_url: Option<String>,
}

async fn make(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let input: Input = parse::whole(&body)?;
    let (version, page) = {
        let catalogue = app.platform.catalogue();
        check(&catalogue, &caller, &input).map_err(Problem::faults)?
    };
    let expires_at = UtcMs(app.platform.now().0 + PREVIEW_MS);
    let token = seal(&app.platform, Preview { version, placement: input.placement, expires_at });
    let url = format!("{page}#regie-preview={token}");
    Ok((
        StatusCode::CREATED,
        Json(json!({ "url": url, "token": token, "expires_at": expires_at, "version": version })),
    )
        .into_response())
}

/// The version and the page's address; or every fault.
fn check(catalogue: &Catalogue, caller: &Caller, input: &Input) -> Result<(VersionId, String), Faults> {
    let mut faults = Faults::new();
    let visible = |entity| scope::may_see(catalogue, caller, entity);
    let latest = |ad: AdId| {
        let of = catalogue.versions_of(ad);
        visible(EntityRef::Ad(ad)).then_some(())?;
        of.iter()
            .rev()
            .find(|v| catalogue.versions.brief(**v).is_some_and(|s| s.status != Status::Archived))
            .copied()
    };
    let version = match (input.version, input.ad) {
        (Some(version), None) => {
            Some(version).filter(|v| catalogue.versions.contains_key(v) && visible(EntityRef::Version(*v)))
        }
        (None, Some(ad)) => latest(ad),
        _ => None,
    };
    let field = if input.ad.is_some() { "ad" } else { "version" };
    faults.when(version.is_none(), field, "unknown", t!("console-name-one-version-or-one"));
    let placement = catalogue.placements.get(&input.placement);
    faults.when(
        placement.is_none(),
        "placement",
        "unknown",
        t!("console-there-is-no-placement", placement = input.placement),
    );
    let site = placement.and_then(|p| catalogue.sites.get(&p.spec.site));
    let origins = site.map(|s| s.spec.origins.clone()).unwrap_or_default();
    let page = match &input.page_url {
        Some(text) => page_of(text, &origins, &mut faults),
        None => origins.first().map(|o| format!("{o}/")).unwrap_or_default(),
    };
    if let (Some(placement), Some(version)) = (placement, version.and_then(|v| catalogue.versions.get(&v))) {
        let misfit = !fits(&placement.spec.format, version.kept.spec.shape);
        faults.when(misfit, "placement", "contradiction", t!("console-the-version-does-not-fit"));
    }
    match version {
        Some(version) if faults.is_empty() => Ok((version, page)),
        _ => Err(faults),
    }
}
fn page_of(text: &str, origins: &[String], faults: &mut Faults) -> String {
    let Some(mut url) = regie_model::booking::check_https("page_url", text, faults) else {
        return String::new();
    };
    let listed = origins.iter().any(|o| *o == url.origin().ascii_serialization());
    faults.when(!listed, "page_url", "contradiction", t!("console-the-page-is-not-on"));
    url.set_fragment(None);
    url.into()
}
/// Whether a place takes an ad of this shape.
pub fn fits(format: &Format, shape: Shape) -> bool {
    match (format, shape) {
        (Format::Banner { sizes }, Shape::Banner(size)) => sizes.contains(&size),
        (Format::Native, Shape::Native) | (Format::Text, Shape::Text) => true,
        _ => false,
    }
}

async fn show(
    State(app): State<AppState>,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let draft = draft(&app, &text)?;
    let language = facts::language(&headers);
    let size = draft.creative.size();
    let native = match draft.creative.as_ref() {
        Creative::Native { title, body, call_to_action, asset, alt } => {
            let image = asset.as_ref().map(|a| format!("/v1/assets/{}", a.hash));
            json!({ "title": title, "body": body, "call_to_action": call_to_action, "image_path": image, "alt": alt })
        }
        Creative::Text { title, body } => {
            json!({ "title": title, "body": body, "call_to_action": "", "image_path": null, "alt": "" })
        }
        Creative::Image { .. } | Creative::Html { .. } => json!(null),
    };
    let publisher = app.platform.current_view().publisher.clone();
    let opted_in = publisher.map(|p| p.label_languages).unwrap_or_default();
    let mut ad = json!({
        "campaign": draft.ad.campaign, "ad_set": draft.ad.ad_set, "ad": draft.ad.id, "version": draft.preview.version,
        "kind": draft.creative.kind(), "width": size.map_or(0, |s| s.width), "height": size.map_or(0, |s| s.height),
        "frame_path": format!("/v1/previews/{text}/frame"), "click_path": format!("/v1/previews/{text}/click"),
        "sandbox": frames::sandbox(&draft.creative), "label": labels::label(&draft.ad, language.as_deref(), &opted_in),
    });
    if !native.is_null() {
        ad["native"] = native;
    }
    let json = json!({
        "preview": true, "placement": draft.preview.placement, "name": draft.placement_name,
        "expires_at": draft.preview.expires_at, "ad": ad,
    });
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Json(json)).into_response();
    decisions::allow_origin(&app.platform.current_view(), Some(draft.site), &headers, &mut response);
    Ok(response)
}

async fn frame(State(app): State<AppState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let draft = draft(&app, &text)?;
    let click = format!("{}/v1/previews/{text}/click", app.config.public_url);
    let document = frames::document(&draft.creative, &click, &draft.placement_name, 0);
    let mut response = frames::framed(document, &draft.creative, &draft.ad.third_party_origins);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn follow(State(app): State<AppState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let draft = draft(&app, &text)?;
    let target =
        draft.ad.landing_url.replace("{PLACEMENT}", &draft.placement_name).replace("{CACHEBUSTER}", "0");
    let headers = [(header::LOCATION, target), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::FOUND, headers).into_response())
}
