//! What runs inside an ad's frame: its creative as a document of its own, sandboxed, under a strict content security
//! policy. Ads are hostile input: no same-origin rights, no network but the ad's own listed origins.

use super::{AppState, Route, creatives, problem::Problem};
use crate::t;
use axum::{
    extract::{Path, State},
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, PreEscaped, html};
use regie_model::creative::{Creative, ObjectHash};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("frames", Method::GET, "/v1/frames/{ticket}", get(frame)),
        Route::public("frames", Method::GET, "/v1/assets/{hash}", get(asset)),
    ]
}

/// The sandbox of a creative's frame: only HTML bundles may run scripts, and never with the page's rights.
pub fn sandbox(creative: &Creative) -> &'static str {
    match creative {
        Creative::Html { .. } => "allow-scripts allow-popups allow-popups-to-escape-sandbox",
        _ => "allow-popups allow-popups-to-escape-sandbox",
    }
}

async fn frame(State(app): State<AppState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let ticket = app.platform.open_ticket(&text)?;
    let view = app.platform.current_view();
    let Some(ad) = view.ads.get(&ticket.ad) else {
        return Err(Problem::not_found("ad that this ticket was issued for"));
    };
    let creative = creatives::shown(&app, &view, ticket.ad, ticket.version, &ticket.creative);
    let Some(creative) = creative else { return Err(Problem::not_found("creative of this ticket")) };
    let placement = view.placements.get(&ticket.placement).map_or("", |p| p.name.as_str());
    let click = format!("{}/v1/click/{text}", app.config.public_url);
    let document = document(&creative, &click, placement, ticket.id.sequence);
    Ok(framed(document, &creative, &ad.third_party_origins))
}

/// A document with the headers that hold it.
pub fn framed(document: String, creative: &Creative, origins: &[String]) -> Response {
    let policy = policy(creative, origins);
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document).into_response();
    let out = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&policy) {
        out.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The content security policy of one ad: nothing from anywhere but itself and its listed origins.
pub fn policy(creative: &Creative, origins: &[String]) -> String {
    let listed = origins.join(" ");
    let sandbox = sandbox(creative);
    match creative {
        Creative::Html { .. } => format!(
            "default-src 'none'; script-src 'unsafe-inline' {listed}; style-src 'unsafe-inline' {listed}; img-src data: 'self' {listed}; \
             font-src data: {listed}; media-src {listed}; connect-src {listed}; form-action 'none'; base-uri 'none'; sandbox {sandbox}"
        ),
        _ => format!(
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'none'; base-uri 'none'; sandbox {sandbox}"
        ),
    }
}

/// The creative as a document. `click` is an absolute address.
pub fn document(creative: &Creative, click: &str, placement: &str, sequence: u64) -> String {
    const STYLE: &str = "html,body{margin:0;padding:0;overflow:hidden;font:16px/1.4 system-ui,sans-serif;color:#1a1a1a;background:#fff}\
        a{color:inherit;text-decoration:none;display:block}img{display:block;max-width:100%;height:auto;border:0}\
        .text{padding:12px}.text b{display:block;font-size:18px}.cta{display:inline-block;margin-top:8px;padding:6px 12px;border-radius:4px;background:#1a1a1a;color:#fff}";
    let body = match creative {
        Creative::Image { asset, alt } => html! {
            a href=(click) target="_blank" rel="noopener" {
                img src={ "/v1/assets/" (asset.hash) } width=(asset.size.width) height=(asset.size.height) alt=(alt);
            }
        },
        Creative::Html { markup, .. } => {
            let filled = markup
                .replace("{CLICK_URL}", click)
                .replace("{CACHEBUSTER}", &sequence.to_string())
                .replace("{PLACEMENT}", placement);
            return filled;
        }
        Creative::Native { title, body, call_to_action, asset, alt } => html! {
            a href=(click) target="_blank" rel="noopener" {
                @if let Some(asset) = asset {
                    img src={ "/v1/assets/" (asset.hash) } width=(asset.size.width) height=(asset.size.height) alt=(alt);
                }
                div class="text" { b { (title) } span { (body) } @if !call_to_action.is_empty() { br; span class="cta" { (call_to_action) } } }
            }
        },
        Creative::Text { title, body } => html! {
            a href=(click) target="_blank" rel="noopener" { div class="text" { b { (title) } span { (body) } } }
        },
    };
    let page = html! {
        (DOCTYPE)
        html { head { meta charset="utf-8"; title { (t!("words-advertisement")) } style { (PreEscaped(STYLE)) } } body { (body) } }
    };
    page.into_string()
}

async fn asset(State(app): State<AppState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let hash = ObjectHash::parse(&text).ok_or_else(|| Problem::not_found("asset of this name"))?;
    let bytes = app.platform.objects.get(&hash).ok_or_else(|| Problem::not_found("asset of this name"))?;
    let media =
        crate::uploads::image_type(&bytes).ok_or_else(|| Problem::not_found("picture of this name"))?;
    let mut response = ([(header::CONTENT_TYPE, media.media_type)], bytes.as_ref().clone()).into_response();
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    out.insert(
        axum::http::HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    Ok(response)
}
