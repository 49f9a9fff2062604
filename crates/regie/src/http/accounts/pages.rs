//! Pages of accounts in the console's frame: they work without scripts, under its strict content security policy.

use crate::http::{auth::Caller, console::layout, problem::Problem};
use crate::{i18n::rooms::say, t};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use maud::{Markup, html};

/// A page for somebody who is not signed in.
pub fn plain_page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let body = html! { h1 { (title) } (body) };
    let mut response = layout::page(status, &layout::bare(title, &body));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    response.headers_mut().insert(opener, HeaderValue::from_static("same-origin"));
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
        p { (say(&problem.detail)) }
        p { a href="/console" { (t!("accounts-back-to-the-console")) } }
    };
    plain_page(status, &say(&problem.title), &body)
}
