//! Plain pages of accounts: they work without scripts, under a strict content security policy.

use crate::http::{auth::Caller, problem::Problem};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

/// Nothing from anywhere but this server, nothing inline, never in a frame.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page with the headers that hold it.
pub fn plain_page(status: StatusCode, title: &str, caller: Option<&Caller>, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Regie" }
            }
            body {
                @if let Some(caller) = caller {
                    header {
                        a href="/console" { "Console" } " · " (caller.name) " · "
                        form method="post" action="/console/sign-out" { (csrf_field(caller)) button { "Sign out" } }
                    }
                }
                main { h1 { (title) } (body) }
            }
        }
    };
    let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// The hidden field that a form sends back.
pub fn csrf_field(caller: &Caller) -> Markup {
    html! { input type="hidden" name="csrf" value=(caller.csrf.as_deref().unwrap_or("")); }
}

/// A refusal as a page.
pub fn refused(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
    let body = html! {
        p { (problem.detail) }
        p { a href="/console" { "Back to the console" } }
    };
    plain_page(status, &problem.title, None, body)
}
