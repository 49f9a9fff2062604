//! The tag and its variants: `/regie.js`, a whole page for sites that allow only iframes, and a picture with a link
//! where no script runs. None sets a cookie (docs/TAG.md).
//!
//! The no-script variant has no place for a label beside the picture, so it shows image ads that are not political,
//! and nothing else. Picture and link are two requests without a cookie between them: a number that the page gives
//! (`n`) joins them, in a bounded, expiring map in memory that a restart loses (then the link leads to a plain page).

use super::{AppState, Route, decisions, problem::Problem};
use crate::platform::{deciding::Answer, intake::Kind};
use axum::{
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, html};
use regie_decide::Slot;
use regie_model::{
    SiteId, UtcMs,
    booking::{Format, PlacementSpec},
    creative::Creative,
    limits::*,
};
use serde::Deserialize;
use std::{
    collections::{HashMap, VecDeque},
    io::Write,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// The tag as it is written.
pub const SCRIPT: &str = include_str!("../../assets/regie.js");
/// The tag as it is served: without indentation and lines of comment, which a page has no use for.
static PLAIN: LazyLock<String> = LazyLock::new(|| squeeze(SCRIPT));
/// Decisions that the no-script variant remembers at most; the oldest go first.
pub const NOSCRIPT_COUNT_MAX: usize = 20_000;
/// How long it remembers one, in milliseconds: as long as its impression counts.
pub const NOSCRIPT_MS: i64 = IMPRESSION_EXPIRY_MS;
/// Ad sets that one no-script picture leaves out at most, because they win with something else than a picture.
const NOSCRIPT_EXCEPT_MAX: usize = 50;
/// A transparent GIF of one pixel: no ad.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

struct Served {
    etag: String,
    gzip: Vec<u8>,
}
static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing into memory cannot fail; an empty body would be served plain.
    let gzip = encoder.write_all(PLAIN.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    Served { etag: format!("\"{}\"", &blake3::hash(PLAIN.as_bytes()).to_hex()[..16]), gzip }
});

/// Takes indentation and whole lines of comment away; no text of the script runs over several lines.
fn squeeze(script: &str) -> String {
    let comment = |line: &&str| ["//", "/*", "* "].iter().any(|start| line.starts_with(start));
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let memory = Arc::new(Memory::default());
    let (clicked, asked) = (Arc::clone(&memory), Arc::clone(&memory));
    let image = move |state, peer, headers, query| image(Arc::clone(&memory), state, peer, headers, query);
    let click = move |state, query| follow(Arc::clone(&clicked), state, query, false);
    let notice = move |state, query| follow(Arc::clone(&asked), state, query, true);
    vec![
        Route::public("tag", Method::GET, "/regie.js", get(script)),
        Route::public("tag", Method::GET, "/v1/embed", get(embed)),
        Route::public("tag", Method::GET, "/v1/noscript/image", get(image)),
        Route::public("tag", Method::GET, "/v1/noscript/click", get(click)),
        Route::public("tag", Method::GET, "/v1/noscript/notice", get(notice)),
    ]
}

/// What a publisher pastes into a page's head, once.
pub fn head_snippet(public_url: &str, site: SiteId) -> String {
    format!("<script async src=\"{public_url}/regie.js\" data-site=\"{site}\"></script>")
}
/// What a publisher pastes where an ad shall stand. Room for ad and label is kept by the page itself, since the tag
/// comes after the first paint.
pub fn place_snippet(placement: &PlacementSpec) -> String {
    let name = &placement.name;
    let lazy = if placement.behaviour.lazy { " data-regie-lazy" } else { "" };
    let size = match &placement.format {
        Format::Banner { sizes } => sizes.first(),
        Format::Native | Format::Text => None,
    };
    let size = size.map_or(String::new(), |size| {
        let label = if size.width < 400 { 56 } else { 38 };
        let room = u32::from(size.height) + label;
        let (width, height) = (size.width, size.height);
        format!(" data-regie-width=\"{width}\" data-regie-height=\"{height}\" style=\"min-height:{room}px\"")
    });
    format!("<div data-regie-placement=\"{name}\"{size}{lazy}></div>")
}

async fn script(headers: HeaderMap) -> Response {
    let has = |name: HeaderName, part: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains(part))
    };
    let fresh = has(header::IF_NONE_MATCH, &SERVED.etag);
    let packed = !SERVED.gzip.is_empty() && has(header::ACCEPT_ENCODING, "gzip");
    let mut response = match (fresh, packed) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, true) => ([(header::CONTENT_ENCODING, "gzip")], SERVED.gzip.as_slice()).into_response(),
        (false, false) => PLAIN.as_str().into_response(),
    };
    let out = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&SERVED.etag) {
        out.insert(header::ETAG, etag);
    }
    for (name, value) in [
        super::header("content-type", "text/javascript; charset=utf-8"),
        super::header("cache-control", "public, max-age=3600, stale-while-revalidate=86400"),
        super::header("vary", "accept-encoding"),
        super::header("access-control-allow-origin", "*"),
        super::header("cross-origin-resource-policy", "cross-origin"),
        super::header("x-content-type-options", "nosniff"),
    ] {
        out.insert(name, value);
    }
    response
}

/// What the iframe variant is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbedQuery {
    site: SiteId,
    placement: String,
    /// Address of the page around it; the `Referer` header when absent.
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    language: Option<String>,
    /// Comma-separated.
    #[serde(default)]
    keywords: Option<String>,
    /// Comma-separated.
    #[serde(default)]
    topics: Option<String>,
}

async fn embed(
    State(app): State<AppState>,
    headers: HeaderMap,
    Query(query): Query<EmbedQuery>,
) -> Result<Response, Problem> {
    let view = app.platform.current_view();
    let Some(site) = view.sites.get(&query.site) else {
        return Err(Problem::not_found("site of this number"));
    };
    let referer = headers.get(header::REFERER).and_then(|v| v.to_str().ok());
    let url = query.url.as_deref().or(referer).unwrap_or("").split(['?', '#']).next().unwrap_or("");
    let language = query.language.as_deref().or(site.language.as_deref());
    let page = html! {
        (DOCTYPE)
        html lang=[language] {
            head {
                meta charset="utf-8";
                title { "Advertisement" }
                style { "html,body{margin:0;padding:0}" }
                script async src="/regie.js" data-site=(query.site) data-regie-url=(url)
                    data-regie-keywords=[query.keywords.as_deref()] data-regie-topics=[query.topics.as_deref()] {}
            }
            body { div data-regie-placement=(query.placement) {} }
        }
    };
    // Only the site's own pages may hold it.
    let policy = format!(
        "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'; img-src 'self'; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self' {}",
        site.origins.join(" ")
    );
    let mut response =
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What picture and link of the no-script variant have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoscriptQuery {
    site: SiteId,
    placement: String,
    /// Written by the page anew for each view: it joins picture and link.
    n: String,
}
impl NoscriptQuery {
    fn check(&self) -> Result<(), Problem> {
        let fits =
            |text: &str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        if fits(&self.n) && fits(&self.placement) {
            return Ok(());
        }
        Err(Problem::bad_request("`placement` and `n` have 1 to 64 visible ASCII characters."))
    }
}

/// A decision that a picture and its link share.
#[derive(Clone)]
struct Joined {
    sealed: String,
    image_path: String,
}

/// What the no-script variant remembers.
#[derive(Default)]
struct Memory {
    entries: Mutex<Entries>,
}
#[derive(Default)]
struct Entries {
    known: HashMap<NoscriptQuery, Joined>,
    order: VecDeque<(UtcMs, NoscriptQuery)>,
}
impl Memory {
    fn get(&self, key: &NoscriptQuery, now: UtcMs) -> Option<Joined> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.forget(now, NOSCRIPT_COUNT_MAX);
        entries.known.get(key).cloned()
    }
    fn put(&self, key: NoscriptQuery, joined: Joined, now: UtcMs) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.forget(now, NOSCRIPT_COUNT_MAX - 1);
        if entries.known.insert(key.clone(), joined).is_none() {
            entries.order.push_back((now, key));
        }
    }
}
impl Entries {
    /// Drops what is too old, and the oldest above `count`.
    fn forget(&mut self, now: UtcMs, count: usize) {
        while let Some((at, key)) = self.order.front() {
            if now.0 - at.0 < NOSCRIPT_MS && self.order.len() <= count {
                break;
            }
            self.known.remove(key);
            self.order.pop_front();
        }
    }
}

async fn image(
    memory: Arc<Memory>,
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(query): Query<NoscriptQuery>,
) -> Result<Response, Problem> {
    query.check()?;
    let now = app.platform.now();
    let found = match memory.get(&query, now) {
        Some(joined) => Some(joined),
        None => {
            let decided = decide(&app, &headers, peer, &query)?;
            if let Some(joined) = &decided {
                memory.put(query, joined.clone(), now);
                // There is no script that could say so: what is asked for counts as shown.
                let event = app.platform.beacon(Kind::Impression, &joined.sealed)?;
                super::events::durable(&app.platform, &[event]).await?;
            }
            decided
        }
    };
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(match found {
        Some(joined) => {
            let target = HeaderValue::from_str(&joined.image_path).map_err(Problem::internal)?;
            (StatusCode::FOUND, [(header::LOCATION, target), no_store]).into_response()
        }
        None => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("image/gif")), no_store], PIXEL).into_response()
        }
    })
}

/// An image ad that is not political, or none. Ad sets that win with anything else are left out, before anything counts.
fn decide(
    app: &AppState,
    headers: &HeaderMap,
    peer: SocketAddr,
    query: &NoscriptQuery,
) -> Result<Option<Joined>, Problem> {
    let view = app.platform.current_view();
    let input = decisions::DecisionInput {
        site: query.site,
        placements: vec![decisions::PlacementRef::Name(query.placement.clone())],
        page: decisions::PageInput { url: referer(headers), ..Default::default() },
        segments: Vec::new(),
        age_band: None,
        consents: Vec::new(),
        frequency: Default::default(),
        visitor: None,
    };
    let request = decisions::to_request(&decisions::Asker::new(app, headers, peer), &view, input)?;
    let picture = |short: &[u8; 16]| match app.creatives.get(&app.platform.objects, short).as_deref() {
        Some(Creative::Image { asset, .. }) => Some(format!("/v1/assets/{}", asset.hash)),
        _ => None,
    };
    let mut except = Vec::new();
    while except.len() < NOSCRIPT_EXCEPT_MAX {
        let decision = app.platform.foresee(&view, &request, &except);
        let Some(Slot::Fill(fill)) = decision.slots.first() else { break };
        if !fill.political && picture(&fill.creative.short()).is_some() {
            break;
        }
        except.push(fill.ad_set);
    }
    match app.platform.decide_except(&view, &request, &except).into_iter().next() {
        Some(Answer::Fill(filled)) if !filled.ticket.political => {
            let sealed = filled.sealed;
            Ok(picture(&filled.ticket.creative).map(|image_path| Joined { sealed, image_path }))
        }
        _ => Ok(None),
    }
}

fn referer(headers: &HeaderMap) -> String {
    let text = headers.get(header::REFERER).and_then(|v| v.to_str().ok()).unwrap_or("");
    text.split(['?', '#']).next().unwrap_or("").to_owned()
}

/// Where a link of the no-script variant leads: the click, or the notice that says who paid.
async fn follow(
    memory: Arc<Memory>,
    State(app): State<AppState>,
    Query(query): Query<NoscriptQuery>,
    notice: bool,
) -> Result<Response, Problem> {
    query.check()?;
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let Some(joined) = memory.get(&query, app.platform.now()) else {
        // Never a guess: without its decision a link leads nowhere else.
        let words = "This advertisement is no longer known here. Go back and load the page again.\n";
        return Ok((StatusCode::GONE, [no_store], words).into_response());
    };
    let target = match notice {
        true => format!("/record/ads/{}", app.platform.open_ticket(&joined.sealed)?.ad),
        false => format!("/v1/click/{}", joined.sealed),
    };
    let target = HeaderValue::from_str(&target).map_err(Problem::internal)?;
    Ok((StatusCode::FOUND, [(header::LOCATION, target), no_store]).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    fn query(n: usize) -> NoscriptQuery {
        NoscriptQuery { site: SiteId(1), placement: "top".into(), n: n.to_string() }
    }
    #[test]
    fn the_tag_is_small_and_keeps_its_promises() {
        assert!(PLAIN.len() < 12 * 1024, "{} bytes", PLAIN.len());
        for word in ["cookie", "sessionStorage", "indexedDB", "innerHTML", "eval(", "document.write"] {
            assert!(!PLAIN.contains(word), "{word}");
        }
        // Storage is touched in one function, and what it keeps is read only where the page states a consent.
        let (_, after) = PLAIN.split_once("function kept(value) {").unwrap();
        let (inside, _) = after.split_once("\n}\n").unwrap();
        assert_eq!(PLAIN.matches("localStorage").count(), inside.matches("localStorage").count());
        assert_eq!(PLAIN.matches("kept() ||").count(), 1);
        assert!(PLAIN.contains("const asked = mayKeep(said) ? inTurn("));
    }
    #[test]
    fn nothing_of_the_script_runs_over_several_lines() {
        for line in SCRIPT.lines() {
            assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        }
    }
    #[test]
    fn what_joins_picture_and_link_is_bounded_and_expires() {
        let memory = Memory::default();
        let joined = Joined { sealed: "t".into(), image_path: "/p".into() };
        for n in 0..NOSCRIPT_COUNT_MAX + 5 {
            memory.put(query(n), joined.clone(), UtcMs(n as i64));
        }
        let now = UtcMs(NOSCRIPT_COUNT_MAX as i64 + 5);
        assert!(memory.get(&query(4), now).is_none(), "the oldest went first");
        assert!(memory.get(&query(5), now).is_some());
        assert!(memory.get(&query(5), UtcMs(NOSCRIPT_MS + 5)).is_none());
        let entries = memory.entries.lock().unwrap();
        assert_eq!(entries.known.len(), entries.order.len());
    }
    #[test]
    fn snippets_hold_what_the_tag_reads() {
        let spec = r#"{"site":"site_1","name":"front-top","format":{"kind":"banner","sizes":[{"width":728,"height":90}]},"behaviour":{"lazy":true}}"#;
        let want = "<div data-regie-placement=\"front-top\" data-regie-width=\"728\" data-regie-height=\"90\" \
            style=\"min-height:128px\" data-regie-lazy></div>";
        assert_eq!(place_snippet(&serde_json::from_str(spec).unwrap()), want);
        assert!(head_snippet("https://ads.example", SiteId(1)).contains(" data-site=\"site_1\""));
        for attribute in ["site: said.site", "regiePlacement", "regieWidth", "regieHeight", "regieLazy"] {
            assert!(SCRIPT.contains(attribute), "{attribute}");
        }
    }
}
