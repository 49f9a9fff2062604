//! The guard before every route that is not public: who calls, whether they may, and that a browser's own user wants it.
//!
//! Answers 401 and 403 as problem details, or, for pages of the console, as a way to the sign-in page.

use super::{
    caller::{Caller, authenticate},
    csrf,
};
use crate::http::{Access, AppState, problem::Problem};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// What the guard of one route knows.
#[derive(Clone)]
pub struct Guarded {
    /// The application.
    pub app: AppState,
    /// Who may.
    pub access: Access,
}

/// Whether a path is a page for people.
pub fn is_page(path: &str) -> bool {
    path == "/console" || path.starts_with("/console/")
}

/// Whether a method changes nothing.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Lets a request through to its handler with its [`Caller`], or answers in its place.
pub async fn guard(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let form = form_page(request.headers());
    let mut response = match admit(&guarded, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => refuse(problem, &uri, &method, form.as_deref()),
    };
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.append(header::VARY, HeaderValue::from_static("cookie, authorization"));
    response
}

async fn admit(guarded: &Guarded, mut request: Request) -> Result<Request, Problem> {
    let caller = authenticate(&guarded.app, request.headers())?.ok_or_else(Problem::unauthorized)?;
    if !caller.passes(guarded.access) {
        return Err(Problem::forbidden(needed(guarded.access, &caller)));
    }
    if let Some(wanted) = caller.csrf.clone().filter(|_| !is_safe(request.method())) {
        csrf::check_origin(&guarded.app, request.headers())?;
        request = csrf::check_token(request, &wanted).await?;
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

fn needed(access: Access, caller: &Caller) -> String {
    let Access::Signed { roles, scope } = access else { return String::new() };
    match (caller.role, scope) {
        (None, Some(scope)) => format!("A token needs the scope {}.", word(&scope)),
        (None, None) => "No token may do this; sign in.".into(),
        (Some(role), _) => {
            let all: Vec<String> = roles.iter().map(word).collect();
            format!("Your role is {}; this needs one of: {}.", word(&role), all.join(", "))
        }
    }
}
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The page that a form was on, as the browser says; only its path counts, so that it leads nowhere else.
fn form_page(headers: &axum::http::HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    is_page(url.path()).then(|| url.path().to_owned())
}

/// A refusal in the form that the path's callers understand.
pub fn refuse(problem: Problem, uri: &Uri, method: &Method, form: Option<&str>) -> Response {
    if !is_page(uri.path()) {
        return problem.into_response();
    }
    if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
        // A form that was sent without a session is not repeated: its page is opened again, where the script still has
        // what was typed.
        let next = if is_safe(method) {
            uri.path_and_query().map_or("/console", |p| p.as_str())
        } else {
            form.unwrap_or("/console")
        };
        let pairs = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        return (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/console/sign-in?{pairs}"))])
            .into_response();
    }
    crate::http::accounts::pages::refused(&problem)
}
