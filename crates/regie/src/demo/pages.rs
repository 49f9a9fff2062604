//! The demo's pages: a newspaper whose ads are live, advertisers' landing pages, and a way into the console.
//!
//! The newspaper is a customer of Regie like any other: it holds the tag and nothing else. Public GETs under `/demo`.

use super::{
    articles::{LIVE, SECTIONS, Section},
    bookings::COURIER,
    keep::Kept,
};
use crate::http::{AppState, auth};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};
use regie_model::SiteId;
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

const STYLE: &str = include_str!("../../assets/demo/demo.css");
const LIVE_SCRIPT: &str = include_str!("../../assets/demo/live.js");

/// What the pages need to know; set once, before the addresses are printed.
pub struct Facts {
    /// The newspaper's site.
    pub site: SiteId,
    /// Origin of Regie.
    pub ads: String,
    /// Secrets of the demo.
    pub kept: Kept,
    /// Lets whoever has it in as the demo's owner; nothing when others can reach the server.
    pub sign_in_key: Option<String>,
}
/// The facts, as soon as they are known.
pub type Shared = Arc<OnceLock<Facts>>;

/// The routes, to be merged into the server's.
pub fn router(shared: Shared) -> Router<AppState> {
    let page = |work: fn(&Facts, &str) -> Option<Markup>| {
        let shared = Arc::clone(&shared);
        get(move |path: Option<Path<String>>| async move {
            show(&shared, path.as_ref().map_or("", |p| p.as_str()), work)
        })
    };
    let (signing, ordering) = (Arc::clone(&shared), Arc::clone(&shared));
    Router::new()
        .route("/demo", page(|facts, _| Some(section(facts, &SECTIONS[0]))))
        .route(
            "/demo/{section}",
            page(|facts, word| SECTIONS.iter().find(|s| s.word == word).map(|s| section(facts, s))),
        )
        .route("/demo/live", page(|facts, _| live(facts, "all")))
        .route("/demo/live/{tab}", page(live))
        .route("/demo/taste", get(taste))
        .route("/demo/without-script", page(|facts, _| Some(without_script(facts))))
        .route("/demo/at/{slug}", get(landing))
        .route("/demo/order/{slug}", get(move |path, query| order(ordering, path, query)))
        .route("/demo/console", get(move |state, query| sign_in(signing, state, query)))
        .route("/demo/demo.css", get(|| async { text("text/css; charset=utf-8", STYLE) }))
        .route("/demo/live.js", get(|| async { text("text/javascript; charset=utf-8", LIVE_SCRIPT) }))
}

/// Behind the curtain: the readers' hidden taste beside what was found of it.
async fn taste(State(app): State<AppState>) -> Response {
    let page = tokio::task::spawn_blocking(move || super::taste::page(&app).into_string()).await;
    let Ok(page) = page else { return missing() };
    let mut response = Html(page).into_response();
    let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFRESH, "3"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}
fn missing() -> Response {
    (StatusCode::NOT_FOUND, "The demo has no such page.\n").into_response()
}

/// A page of the newspaper, under a policy that lets in nothing but itself and the ad server.
fn show(shared: &OnceLock<Facts>, word: &str, work: fn(&Facts, &str) -> Option<Markup>) -> Response {
    let Some(facts) = shared.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "The demo is being set up.\n").into_response();
    };
    let Some(markup) = work(facts, word) else { return missing() };
    let ads = &facts.ads;
    let policy = format!(
        "default-src 'self'; script-src 'self' {ads}; connect-src 'self' {ads}; frame-src 'self' {ads}; img-src 'self' data: {ads}; \
         style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    );
    let mut response = Html(markup.into_string()).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
        .headers_mut()
        .insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    response
}

fn layout(facts: &Facts, section: &str, topics: &str, title: &str, tag: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-regie-topics=(topics) data-regie-kv-section=(section) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – " (COURIER) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/demo/demo.css";
                @if tag { script async src={ (facts.ads) "/regie.js" } data-site=(facts.site) {} }
            }
            body {
                (explained(facts))
                header class="masthead" {
                    a href="/demo" { (COURIER) }
                    p { "Port Brume's morning paper – entirely invented" }
                    nav {
                        @for s in &SECTIONS {
                            a href={ "/demo" @if s.word != "front" { "/" (s.word) } } class=[(s.word == section).then_some("here")] { (s.name) }
                        }
                        a href="/demo/live" class=[(section == "live").then_some("here")] { "Live" }
                        a href="/demo/taste" { "Hidden taste" }
                        a href="/demo/without-script" class=[(section == "other").then_some("here")] { "Without a script" }
                    }
                }
                (body)
                footer {
                    p { "The Harbour Courier, its advertisers, parties, votes and readers do not exist. Who paid for each advertisement is true within the demo: it stands in the "
                        a href={ (facts.ads) "/record" } { "public record" } "." }
                }
            }
        }
    }
}

/// What is going on, in three sentences.
fn explained(facts: &Facts) -> Markup {
    let console = match &facts.sign_in_key {
        Some(key) => format!("{}/demo/console?key={key}", facts.ads),
        None => format!("{}/console", facts.ads),
    };
    html! {
        aside class="explained" {
            p {
                b { "You are looking at a demo of Regie, an ad server that a newspaper runs itself. " }
                "Each ad on this page was chosen a moment ago, in an auction or by contract, while simulated readers look and click beside you. "
                "No cookie was set: who asked for an ad and who paid stands above it, what it cost stands in the public record."
            }
            p class="ways" {
                a class="way" href=(console) { "Console: follow the money" }
                a class="way" href={ (facts.ads) "/record" } { "Public record: who paid" }
            }
        }
    }
}

/// A placement as a publisher writes it.
fn place(name: &str, size: (u16, u16)) -> Markup {
    html! { div class={ "ad ad-" (name) } data-regie-placement=(name) data-regie-width=(size.0) data-regie-height=(size.1) {} }
}
/// A place for native ads, in the newspaper's own style.
fn native() -> Markup {
    html! {
        div class="ad teaser" data-regie-placement="native" data-regie-height="142" data-regie-lazy {
            template {
                article {
                    img data-regie-slot="image" width="160" height="90";
                    div { h3 data-regie-slot="title" {} p data-regie-slot="body" {} span class="more" data-regie-slot="call_to_action" {} }
                }
            }
        }
    }
}
fn words() -> Markup {
    html! {
        div class="ad wordad" data-regie-placement="text" data-regie-height="44" data-regie-lazy {
            template { p { b data-regie-slot="title" {} " " span data-regie-slot="body" {} } }
        }
    }
}

fn section(facts: &Facts, section: &Section) -> Markup {
    let front = section.word == "front";
    let body = html! {
        (place("top", (728, 90)))
        @if front { (place("billboard", (970, 250))) }
        main {
            div class="stories" {
                @for (index, (title, opening, text)) in section.articles.iter().enumerate() {
                    article class=[(index == 0).then_some("first")] { h2 { (title) } p class="opening" { (opening) } p { (text) } }
                    @if index == 0 { (native()) }
                }
                (words())
            }
            aside class="side" {
                (place("side", (300, 250)))
                h3 { "Tides today" }
                table { tr { td { "High" } td { "06:14" } } tr { td { "Low" } td { "12:31" } } tr { td { "High" } td { "18:52" } } }
            }
        }
    };
    layout(facts, section.word, section.topics, section.name, true, &body)
}

/// A single-page application: its tabs change the address and the ads without loading a page.
fn live(facts: &Facts, tab: &str) -> Option<Markup> {
    let at = LIVE.iter().position(|t| t.0 == tab)?;
    let body = html! {
        (place("top", (728, 90)))
        main {
            div class="stories live" {
                h2 { "Live from Port Brume" }
                p class="tabs" { @for (word, name, _) in &LIVE { a href={ "/demo/live/" (word) } data-tab=(word) class=[(word == &LIVE[at].0).then_some("here")] { (name) } } }
                @for (word, _, reports) in &LIVE {
                    ul data-reports=(word) hidden[word != &LIVE[at].0] { @for report in *reports { li { (report) } } }
                }
                p class="small" { "This page never loads again: its tabs change the address, and the ad at the side is asked for anew; so is it after 30 seconds in view." }
            }
            aside class="side" { (place("live-side", (300, 250))) }
        }
        script src="/demo/live.js" {}
    };
    Some(layout(facts, "live", "sport,politics", "Live", true, &body))
}

/// The variants for sites that allow no script: an iframe, and a picture with a link.
fn without_script(facts: &Facts) -> Markup {
    let (ads, site) = (&facts.ads, facts.site);
    let n = crate::platform::secrets::random_bytes()
        .map(|b| format!("{:x}", u64::from(b[0]) << 32 | u64::from(b[1]) << 16 | u64::from(b[2])))
        .unwrap_or_default();
    let query = format!("site={site}&placement=side&n={n}");
    let body = html! {
        main {
            div class="stories" {
                article class="first" { h2 { "Two ads without a script on this page" }
                    p class="opening" { "Some sites allow only iframes, some readers no script at all." } }
                h3 { "In an iframe" }
                iframe class="embed" title="Advertisement" width="300" height="310" src={ (ads) "/v1/embed?site=" (site) "&placement=side&language=en&topics=news" } {}
                h3 { "A picture and a link" }
                p class="noscript" {
                    a href={ (ads) "/v1/noscript/click?" (query) } target="_blank" rel="noopener sponsored" {
                        img width="300" height="250" alt="Advertisement" title="Advertisement" src={ (ads) "/v1/noscript/image?" (query) };
                    }
                    br; "Advertisement. " a href={ (ads) "/v1/noscript/notice?" (query) } { "Who paid?" }
                }
                p class="small" { "A picture has no room for the label of a political ad: only other image ads are shown this way." }
            }
        }
    };
    layout(facts, "other", "news", "Without a script", false, &body)
}

#[derive(Deserialize)]
struct LandingQuery {
    #[serde(default)]
    regie_click: String,
    #[serde(default)]
    from: String,
}

fn shop(slug: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match slug {
        "bikes" => ("Brume Bikes", "Reserve a trial ride", super::looks::BIKES.art),
        "guesthouse" => ("Lighthouse Guesthouse", "Book a room", super::looks::GUESTHOUSE.art),
        "coffee" => ("Saltwind Coffee Roasters", "Order a first bag", super::looks::COFFEE.art),
        "ferry" => ("Night Ferry Line", "Buy a ticket", super::looks::TRAIL.art),
        "trail" => ("Kestrel Trail Shoes", "Order a pair", super::looks::TRAIL.art),
        "opera" => ("Harbour Opera", "Buy a ticket", super::looks::OPERA.art),
        "wind" => ("Northlight Energy Cooperative", "Become a member", super::looks::WIND.art),
        "tide" => ("Tidal Outlet", "Fill the basket", super::looks::TIDE.art),
        "courier" => (COURIER, "Subscribe", super::looks::COURIER.art),
        "open-harbour" => ("Open Harbour List", "Ask for the programme", super::looks::OPEN_HARBOUR.art),
        "forward" => ("Port Brume Forward", "Ask for the programme", super::looks::FORWARD.art),
        "old-quay" => ("Keep the Old Quay", "Ask for the plans", super::looks::OLD_QUAY.art),
        _ => return None,
    })
}

fn plain(title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8"; meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) } link rel="icon" href="data:,"; link rel="stylesheet" href="/demo/demo.css";
            }
            body class="shop" { (body) }
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], Html(page.into_string())).into_response()
}

async fn landing(Path(slug): Path<String>, Query(query): Query<LandingQuery>) -> Response {
    let Some((name, call, art)) = shop(&slug) else { return missing() };
    let came = !query.regie_click.is_empty();
    plain(
        name,
        &html! {
            div class="art" { (maud::PreEscaped(art)) }
            h1 { (name) }
            p { "An invented advertiser's landing page. "
                @if came { "You came by an ad in the placement " b { (query.from) } "; the address carries a signed click id, and no cookie was needed." }
                @else { "You came without a click." } }
            @if came { p { a id="order" class="way" href={ "/demo/order/" (slug) "?regie_click=" (query.regie_click) } { (call) } } }
            p { a href="/demo" { "Back to " (COURIER) } }
        },
    )
}

/// The advertiser's own server reports an order, with its token, from server to server.
async fn order(shared: Shared, Path(slug): Path<String>, Query(query): Query<LandingQuery>) -> Response {
    let (Some((name, ..)), Some(facts)) = (shop(&slug), shared.get()) else { return missing() };
    let (address, token) = (format!("{}/v1/conversions", facts.ads), facts.kept.conversions_token.clone());
    let order_id = format!("order-{}", query.regie_click.get(..24).unwrap_or("none"));
    let body = serde_json::json!({ "click_ids": [query.regie_click], "action": "order", "order_id": order_id, "value_micros": 20_000_000 });
    let sent = tokio::task::spawn_blocking(move || {
        ureq::post(&address)
            .header("authorization", &format!("Bearer {token}"))
            .send(body.to_string().as_bytes())
            .map(drop)
    });
    let counted = matches!(sent.await, Ok(Ok(())));
    plain(
        name,
        &html! {
            h1 { "Thank you" }
            p id="thanks" {
                @if counted { (name) "'s server has reported your (pretend) order to Regie, once; loading this page again counts nothing more." }
                @else { "The order was not counted: the click id is missing, changed or too old." }
            }
            p { a href="/demo" { "Back to " (COURIER) } }
        },
    )
}

#[derive(Deserialize)]
struct KeyQuery {
    #[serde(default)]
    key: String,
}

/// Signs the demo's visitor in as its owner, and leads to the console.
async fn sign_in(shared: Shared, State(app): State<AppState>, Query(query): Query<KeyQuery>) -> Response {
    let facts = shared.get();
    let known = facts
        .and_then(|f| f.sign_in_key.as_ref())
        .is_some_and(|key| auth::csrf::same(key.as_bytes(), query.key.as_bytes()));
    let user = facts.and_then(|f| app.platform.secrets.user_by_email(&f.kept.email).ok().flatten());
    let (Some(user), true) = (user, known) else {
        return (StatusCode::FORBIDDEN, "Take the address that the demo printed.\n").into_response();
    };
    match app.platform.secrets.open_session(user.id, app.platform.now()) {
        Ok((secret, _)) => {
            let headers = [
                (header::LOCATION, "/console".to_owned()),
                (header::SET_COOKIE, auth::set_cookie(&app, &secret)),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => crate::http::problem::Problem::internal(error).into_response(),
    }
}
