//! The frame of every HTML page: head, navigation, strict content security policy, hashed static files.
//!
//! Pages load nothing from elsewhere and contain no inline script or style. Refuses business rules.

use crate::http::{App, AppState, Route, auth::Caller, problem::Problem};
use crate::i18n::{choice, rooms::say};
use crate::{t, th};
use axum::{
    extract::Path,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use regie_model::booking::Role;
use std::sync::OnceLock;

/// The policy of every page.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A file of the pages, served under a hash of its bytes.
pub struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: &'static str,
    hash: OnceLock<String>,
}
impl Asset {
    const fn new(name: &'static str, media_type: &'static str, body: &'static str) -> Asset {
        Asset { name, media_type, body, hash: OnceLock::new() }
    }
    fn hash(&self) -> &str {
        self.hash.get_or_init(|| blake3::hash(self.body.as_bytes()).to_hex()[..16].to_owned())
    }
    /// Where it is served.
    pub fn path(&self) -> String {
        format!("/static/{}/{}", self.hash(), self.name)
    }
}
/// Tokens and components.
pub static CSS: Asset =
    Asset::new("console.css", "text/css; charset=utf-8", include_str!("../../../assets/console.css"));
/// Live figures and partial swaps; pages work without.
pub static JS: Asset =
    Asset::new("console.js", "text/javascript; charset=utf-8", include_str!("../../../assets/console.js"));
/// What study reports look like; everything in it is under one class.
pub static STUDY_CSS: Asset = Asset::new("study.css", "text/css; charset=utf-8", regie_study::report::STYLE);

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("pages", Method::GET, "/static/{hash}/{name}", get(asset)),
        Route::public("pages", Method::GET, "/favicon.ico", get(icon)),
    ]
}

async fn asset(Path((hash, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let found = [&CSS, &JS, &STUDY_CSS].into_iter().find(|a| a.name == name);
    let found = found.ok_or_else(|| Problem::not_found("file of this name"))?;
    let cache = if hash == found.hash() { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, found.media_type),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, found.body).into_response())
}
async fn icon() -> Response {
    let svg = mark().into_string().replace("currentColor", "#0b5f58");
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, svg).into_response()
}

/// The sign: a column of text with one block standing out.
pub fn mark() -> Markup {
    html! {
        (PreEscaped(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"><path d="M4 5h16M4 19h16M4 12h5"/></g><rect x="12" y="9" width="9" height="6" rx="1.5" fill="currentColor"/></svg>"#))
    }
}

/// A page with its headers.
pub fn page(status: StatusCode, markup: &Markup) -> Response {
    let mut response =
        (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.0.clone()).into_response();
    let out = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        out.insert(name, HeaderValue::from_static(value));
    }
    crate::i18n::choice::mark(&mut response);
    response
}

/// What handlers of pages give back.
pub type Html = Result<Response, PageError>;

/// An error as a page instead of JSON.
pub struct PageError(pub Problem);
impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> PageError {
        PageError(error.into())
    }
}
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let problem = self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = html! {
            h1 { (say(&problem.title)) }
            @if !problem.detail.is_empty() { p { (say(&problem.detail)) } }
            @if !problem.faults.is_empty() {
                ul { @for fault in &problem.faults.0 { li { code { (fault.field) } ": " (say(&fault.message)) } } }
            }
            p { a href="/console" { (t!("frame-to-the-console")) } " · " a href="/record" { (t!("frame-to-the-public-record")) } }
            p class="small muted" { (th!("frame-code-status", code = html! { code { (problem.code) } }, status = problem.status)) }
        };
        page(status, &bare(&say(&problem.title), &body))
    }
}

fn head(title: &str, has_study: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) }
            link rel="icon" href="/favicon.ico" type="image/svg+xml";
            link rel="stylesheet" href=(CSS.path());
            @if has_study { link rel="stylesheet" href=(STUDY_CSS.path()); }
            script src=(JS.path()) defer {}
        }
    }
}

/// A page without navigation, for errors and sign-in.
pub fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(crate::i18n::lang().code()) {
            (head(title, false))
            body class="public" {
                header class="top" { div { a class="brand" href="/record" { (mark()) span { (t!("words-regie")) } } } }
                main { (body) }
                footer { div { (choice::links()) } }
            }
        }
    }
}

/// The publisher's name, or the program's while there is none.
pub fn publisher_name(app: &App) -> String {
    app.platform
        .catalogue()
        .publisher
        .as_ref()
        .map_or_else(|| t!("words-regie").to_owned(), |p| p.spec.name.clone())
}

/// A page of the public record.
pub fn public(app: &App, title: &str, body: &Markup) -> Markup {
    public_with(app, title, body, false)
}

/// A public page, with what study reports need where it is one.
pub fn public_with(app: &App, title: &str, body: &Markup, has_study: bool) -> Markup {
    let publisher = publisher_name(app);
    let contact =
        app.platform.catalogue().publisher.as_ref().map(|p| p.spec.legal_address.clone()).unwrap_or_default();
    html! {
        (DOCTYPE)
        html lang=(crate::i18n::lang().code()) {
            (head(&t!("frame-ad-record", title = title, publisher = publisher), has_study))
            body class="public" {
                a class="skip" href="#main" { (t!("frame-skip-to-the-content")) }
                header class="top" {
                    div {
                        a class="brand" href="/record" { (mark()) span { (publisher) small { (t!("frame-public-ad-record")) } } }
                        nav aria-label=(t!("words-record")) {
                            a href="/record" { (t!("words-search")) }
                            a href="/record/elections" { (t!("words-elections")) }
                            a href="/record/changes" { (t!("words-what-changed")) }
                            a href="/record/data" { (t!("words-data")) }
                            a href="/study" { (t!("frame-studies")) }
                        }
                    }
                }
                main id="main" { (body) }
                footer {
                    div {
                        p {
                            (th!("frame-published-by-with-regie", publisher = publisher)) " "
                            @if !contact.is_empty() { (th!("frame-contact", n = contact.replace('\n', ", "))) }
                        }
                        (choice::links())
                        p class="small" {
                            @if has_study { (t!("frame-figures-are-as-the-sources")) }
                            @else { (t!("frame-figures-are-exact-and-come")) }
                        }
                    }
                }
            }
        }
    }
}

/// One entry of the navigation: address, words, who sees it.
struct Item(&'static str, &'static str, Sees);
#[derive(Clone, Copy, PartialEq)]
enum Sees {
    All,
    House,
    Operates,
    People,
    History,
    Books,
    Keeps,
}
const NAVIGATION: [(&str, &[Item]); 4] = [
    (
        "Campaigns",
        &[
            Item("/console", "Dashboard", Sees::All),
            Item("/console/campaigns", "Campaigns", Sees::All),
            Item("/console/delivery", "Delivery", Sees::All),
            Item("/console/review", "Review", Sees::House),
            Item("/console/reports", "Reports", Sees::All),
            Item("/console/downloads", "Downloads", Sees::All),
            Item("/console/learning", "Learning", Sees::All),
            Item("/console/bulk", "Tables", Sees::Books),
        ],
    ),
    (
        "Money",
        &[
            Item("/console/advertisers", "Advertisers", Sees::All),
            Item("/console/billing", "Invoices", Sees::All),
            Item("/console/parties", "Sponsors and payers", Sees::All),
        ],
    ),
    (
        "Publisher",
        &[
            Item("/console/inventory", "Inventory", Sees::House),
            Item("/console/elections", "Elections", Sees::House),
            Item("/console/groupings", "Groupings of sponsors", Sees::House),
            Item("/console/complaints", "Reports of ads", Sees::House),
            Item("/console/repository", "Uploads of political ads", Sees::House),
            Item("/console/stops", "Stops", Sees::House),
            Item("/console/study", "Study", Sees::House),
            Item("/console/settings", "Settings", Sees::House),
        ],
    ),
    (
        "House",
        &[
            Item("/console/history", "History", Sees::History),
            Item("/console/users", "Users", Sees::People),
            Item("/console/tokens", "Tokens", Sees::Operates),
            Item("/console/health", "Health", Sees::Keeps),
            Item("/console/design", "Design system", Sees::House),
        ],
    ),
];
fn visible(caller: &Caller, sees: Sees) -> bool {
    match sees {
        Sees::All => true,
        Sees::House => caller.sees_everything(),
        Sees::Books => caller.may_book(),
        Sees::Keeps => caller.is_one_of(&[Role::Owner, Role::AdOperations, Role::Auditor], None),
        Sees::People => caller.may_see_people(),
        Sees::History => caller.is_one_of(&[Role::Owner, Role::AdOperations, Role::Auditor], None),
        Sees::Operates => caller.is_one_of(&[Role::Owner, Role::Auditor], None),
    }
}

/// The word for a role.
pub fn role_word(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Owner) => "owner",
        Some(Role::AdOperations) => "ad operations",
        Some(Role::Advertiser) => "advertiser",
        Some(Role::ReadOnly) => "read-only",
        Some(Role::Auditor) => "auditor",
        None => "API token",
    }
}

/// What a console page says about itself.
pub struct Frame<'a> {
    /// Title of page and window.
    pub title: &'a str,
    /// Address in the navigation that is current.
    pub nav: &'a str,
    /// Where the page stands: (address, words).
    pub crumbs: Vec<(String, String)>,
    /// Buttons beside the title.
    pub actions: Markup,
}
impl<'a> Frame<'a> {
    /// A page without crumbs or buttons.
    pub fn new(title: &'a str, nav: &'a str) -> Frame<'a> {
        Frame { title, nav, crumbs: Vec::new(), actions: PreEscaped(String::new()) }
    }
    /// With a crumb.
    pub fn crumb(mut self, href: impl Into<String>, words: impl Into<String>) -> Frame<'a> {
        self.crumbs.push((href.into(), words.into()));
        self
    }
    /// With buttons.
    pub fn actions(mut self, actions: Markup) -> Frame<'a> {
        self.actions = actions;
        self
    }
}

/// A page of the console.
pub fn console(app: &AppState, caller: &Caller, frame: &Frame<'_>, body: &Markup) -> Response {
    console_with(StatusCode::OK, app, caller, frame, body)
}

/// The same with another status (a form with faults).
pub fn console_with(
    status: StatusCode,
    app: &AppState,
    caller: &Caller,
    frame: &Frame<'_>,
    body: &Markup,
) -> Response {
    let publisher = publisher_name(app);
    let halted = app.platform.halted();
    let waiting =
        if caller.may_operate() { super::review::waiting_count(&app.platform.catalogue()) } else { 0 };
    let markup = html! {
        (DOCTYPE)
        html lang=(crate::i18n::lang().code()) {
            (head(&format!("{} · {publisher}", frame.title), frame.nav == "/console/study"))
            body {
                a class="skip" href="#main" { (t!("frame-skip-to-the-content")) }
                div class="shell" {
                    (side(caller, frame.nav, &publisher, waiting))
                    main class="main" id="main" {
                        @if !frame.crumbs.is_empty() {
                            nav class="crumbs" aria-label=(t!("frame-where-you-are")) {
                                @for (href, words) in &frame.crumbs { a href=(href) { (words) } }
                            }
                        }
                        div class="head" { h1 { (frame.title) } div class="actions" { (frame.actions) } }
                        @for why in &halted {
                            div class="note bad" role="status" { p { strong { (t!("frame-paid-ads-stand-still")) " " } (say(why)) "." } }
                        }
                        (body)
                    }
                }
            }
        }
    };
    page(status, &markup)
}

fn side(caller: &Caller, current: &str, publisher: &str, waiting: usize) -> Markup {
    html! {
        div class="side" {
            a class="brand" href="/console" { (mark()) span { (publisher) small { (t!("frame-regie-console")) } } }
            // On a phone the way through the console is folded away until it is asked for; without scripts too.
            input id="menu" class="menu" type="checkbox" aria-label=(t!("frame-menu"));
            label class="btn menu" for="menu" aria-hidden="true" { "\u{2630} " (t!("frame-menu")) @if waiting > 0 { " " span class="badge warn" { (waiting) } } }
            nav aria-label=(t!("frame-console")) {
                @for (group, items) in &NAVIGATION {
                    @if items.iter().any(|i| visible(caller, i.2)) {
                        h2 { (say(group)) }
                        ul {
                            @for item in items.iter().filter(|i| visible(caller, i.2)) {
                                li {
                                    a href=(item.0) aria-current=[(item.0 == current).then_some("page")] {
                                        span { (say(item.1)) }
                                        @if item.0 == "/console/review" && waiting > 0 {
                                            span class="badge warn" { (waiting) span class="visually-hidden" { " " (t!("frame-waiting")) } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            div class="who" {
                div { strong class="wrap-any" { (caller.name) } " " span class="muted" { "(" (say(role_word(caller.role))) ")" } }
                div { a href="/record" { (t!("frame-public-record")) } }
                (choice::links())
                @if caller.csrf.is_some() {
                    div { a href="/console/account" { (t!("words-your-account")) } }
                    form method="post" action="/console/sign-out" { (csrf(caller)) button class="link" { (t!("frame-sign-out")) } }
                }
            }
        }
    }
}

/// The hidden field that proves a form to be ours.
pub fn csrf(caller: &Caller) -> Markup {
    html! { @if let Some(token) = &caller.csrf { input type="hidden" name="csrf" value=(token); } }
}

/// Goes on with a GET after a POST.
pub fn go(to: impl AsRef<str>) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to.as_ref().to_owned())]).into_response()
}

/// Rendered text, for places that take markup.
pub fn text(text: impl Render) -> Markup {
    text.render()
}
