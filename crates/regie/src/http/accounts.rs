//! Accounts: sign in and out, set a password by a one-time link, the second factor, users and tokens.
//!
//! Refuses to say whether a user exists, and takes as long when there is none.

pub mod mine;
pub mod pages;
pub mod people;

use super::{
    Access, AppState, Route,
    auth::{self, Caller, CsrfForm, attempts::Attempts, csrf, links, password, second_factor},
    facts,
    problem::Problem,
};
use crate::{t, th};
use axum::{
    Extension,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::html;
use regie_model::{Faults, booking::Role};
use serde::Deserialize;
use std::{net::SocketAddr, sync::Arc};

/// Everybody who is signed in; no token.
pub(super) const ANYBODY: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor],
    scope: None,
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let attempts = Arc::new(Attempts::default());
    let counted = |handler: axum::routing::MethodRouter<AppState>| {
        handler.route_layer(Extension(Arc::clone(&attempts)))
    };
    let mut all = vec![
        Route::public("accounts", Method::GET, "/console/sign-in", get(sign_in_page)),
        Route::public("accounts", Method::POST, "/console/sign-in", counted(post(sign_in))),
        Route::public("accounts", Method::GET, "/console/link/{secret}", get(link_page)),
        Route::public("accounts", Method::POST, "/console/link/{secret}", counted(post(use_link))),
        Route {
            owner: "accounts",
            method: Method::POST,
            path: "/console/sign-out",
            access: ANYBODY,
            handler: post(sign_out),
        },
    ];
    all.extend(mine::routes(&attempts));
    all.extend(people::routes());
    all
}

#[derive(Deserialize)]
struct NextQuery {
    #[serde(default)]
    next: String,
}

/// Where to go after signing in: only a page of the console.
fn next_page(next: &str) -> &str {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if plain && auth::guard::is_page(next.split('?').next().unwrap_or("")) { next } else { "/console" }
}

fn sign_in_form(status: StatusCode, message: &str, email: &str, next: &str) -> Response {
    let body = html! {
        @if !message.is_empty() { p role="alert" class="fault" { (message) } }
        form method="post" action="/console/sign-in" {
            input type="hidden" name="next" value=(next_page(next));
            p { label for="email" { (t!("accounts-e-mail-or-user-name")) } br; input id="email" name="email" value=(email) required autocomplete="username"; }
            p { label for="password" { (t!("words-password")) } br; input id="password" name="password" type="password" required autocomplete="current-password"; }
            p {
                label for="code" { (t!("accounts-code-from-your-authenticator-if")) } br;
                input id="code" name="code" inputmode="numeric" autocomplete="one-time-code";
            }
            p { button { (t!("accounts-sign-in")) } }
        }
        p { (t!("accounts-no-password-yet-or-forgotten")) }
    };
    pages::plain_page(status, t!("accounts-sign-in"), &body)
}

async fn sign_in_page(caller: Option<Caller>, Query(query): Query<NextQuery>) -> Response {
    match caller {
        Some(_) => redirect(next_page(&query.next)),
        None => sign_in_form(StatusCode::OK, "", "", &query.next),
    }
}

fn redirect(to: &str) -> Response {
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, to.to_owned()), (header::CACHE_CONTROL, "no-store".to_owned())],
    )
        .into_response()
}

#[derive(Deserialize)]
struct SignIn {
    email: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(app): State<AppState>,
    Extension(attempts): Extension<Arc<Attempts>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    CsrfForm(form): CsrfForm<SignIn>,
) -> Result<Response, Problem> {
    csrf::check_origin(&app, &headers)?;
    let address = facts::client_ip(&app, &headers, peer);
    if let Err(wait_s) = attempts.count(&form.email, address, app.platform.now()) {
        return Ok(too_many(wait_s, &form));
    }
    let found = app.platform.secrets.user_by_email(form.email.trim()).map_err(Problem::internal)?;
    let kept = found.as_ref().and_then(|u| u.password.clone());
    let fits = verify(&attempts, form.password.clone(), kept).await?;
    let active = |id| app.platform.catalogue().users.get(&id).is_some_and(|u| u.active);
    let Some(user) = found.filter(|user| fits && active(user.id)) else {
        let message = t!("accounts-the-user-name-or-the");
        return Ok(sign_in_form(StatusCode::UNAUTHORIZED, message, &form.email, &form.next));
    };
    if !second_factor::passed(&app.platform, &user, &form.code) {
        let message = t!("accounts-type-a-fresh-code-from");
        return Ok(sign_in_form(StatusCode::UNAUTHORIZED, message, &form.email, &form.next));
    }
    attempts.succeeded(&form.email);
    open_session(&app, &headers, user.id, next_page(&form.next))
}

/// Checks a password on a thread that may block, a few at a time.
async fn verify(attempts: &Attempts, given: String, kept: Option<String>) -> Result<bool, Problem> {
    let _permit = attempts.hashing.acquire().await.map_err(Problem::internal)?;
    let fits = tokio::task::spawn_blocking(move || password::fits(&given, kept.as_deref()));
    fits.await.map_err(Problem::internal)
}
async fn hash(attempts: &Attempts, given: String) -> Result<String, Problem> {
    let _permit = attempts.hashing.acquire().await.map_err(Problem::internal)?;
    let hash = tokio::task::spawn_blocking(move || password::hash(&given));
    hash.await.map_err(Problem::internal)?.map_err(Problem::internal)
}

fn too_many(wait_s: i64, form: &SignIn) -> Response {
    let message = t!("accounts-too-many-attempts-try-again", wait_s = (wait_s + 59) / 60);
    let mut response = sign_in_form(StatusCode::TOO_MANY_REQUESTS, &message, &form.email, &form.next);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

/// Ends the browser's session, if it had one, and opens a new one: a session planted before signing in is worth nothing.
fn open_session(
    app: &AppState,
    headers: &HeaderMap,
    user: regie_model::UserId,
    to: &str,
) -> Result<Response, Problem> {
    if let Some(old) = auth::session_cookie(headers) {
        app.platform.secrets.close_session(old).map_err(Problem::internal)?;
    }
    let (secret, _) =
        app.platform.secrets.open_session(user, app.platform.now()).map_err(Problem::internal)?;
    let mut response = redirect(to);
    let cookie = HeaderValue::from_str(&auth::set_cookie(app, &secret)).map_err(Problem::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn sign_out(State(app): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = auth::session_cookie(&headers) {
        app.platform.secrets.close_session(secret).map_err(Problem::internal)?;
    }
    let mut response = redirect("/console/sign-in");
    let cookie = HeaderValue::from_str(&auth::set_cookie(&app, "")).map_err(Problem::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// What the form of a link holds.
#[derive(Default, Deserialize)]
struct LinkForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    password: String,
}

fn link_form(secret: &str, first: bool, form: &LinkForm, faults: &Faults) -> Response {
    let fault = |field: &str| faults.0.iter().find(|f| f.field == field).map(|f| f.message.clone());
    let note = |field: &str| html! { @if let Some(text) = fault(field) { br; span role="alert" class="fault" { (text) } } };
    let body = html! {
        @if first { p { (t!("accounts-you-are-the-first-owner")) } }
        form method="post" action={ "/console/link/" (secret) } {
            @if first {
                p { label for="email" { (t!("accounts-your-e-mail-with-which")) } br; input id="email" name="email" type="email" required value=(form.email) autocomplete="username"; (note("email")) }
                p { label for="name" { (t!("accounts-your-name-as-colleagues-see")) } br; input id="name" name="name" value=(form.name) autocomplete="name"; (note("name")) }
            }
            p {
                label for="password" { (th!("words-new-password-at-least-characters", password = password::PASSWORD_CHARS_MIN)) } br;
                input id="password" name="password" type="password" required minlength=(password::PASSWORD_CHARS_MIN) autocomplete="new-password";
                (note("password"))
            }
            p { button { (t!("accounts-set-the-password")) } }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    pages::plain_page(status, t!("accounts-set-your-password"), &body)
}

fn link_is_used() -> Response {
    let body = html! {
        p { (th!("accounts-this-link-was-used-already", links = links::LINK_HOURS, code = html! { code { "regie user link" } })) }
    };
    pages::plain_page(StatusCode::NOT_FOUND, t!("accounts-the-link-is-no-longer"), &body)
}

async fn link_page(State(app): State<AppState>, Path(secret): Path<String>) -> Result<Response, Problem> {
    let user = app.platform.secrets.link(&secret, false, app.platform.now()).map_err(Problem::internal)?;
    let Some(user) = user else { return Ok(link_is_used()) };
    let person = app.platform.secrets.user(user).map_err(Problem::internal)?;
    let first = person.is_some_and(|p| p.email == links::FIRST_OWNER);
    Ok(link_form(&secret, first, &LinkForm::default(), &Faults::new()))
}

async fn use_link(
    State(app): State<AppState>,
    Extension(attempts): Extension<Arc<Attempts>>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    CsrfForm(form): CsrfForm<LinkForm>,
) -> Result<Response, Problem> {
    csrf::check_origin(&app, &headers)?;
    let secrets = &app.platform.secrets;
    let user = secrets.link(&secret, false, app.platform.now()).map_err(Problem::internal)?;
    let person = user.map(|id| secrets.user(id)).transpose().map_err(Problem::internal)?.flatten();
    let Some(person) = person else { return Ok(link_is_used()) };
    let first = person.email == links::FIRST_OWNER;
    let mut faults = Faults::new();
    password::check(&form.password, &mut faults);
    if first {
        people::check_person(&app, &form.email, &form.name, None, &mut faults);
    }
    if !faults.is_empty() {
        return Ok(link_form(&secret, first, &form, &faults));
    }
    let hash = hash(&attempts, form.password.clone()).await?;
    if secrets.link(&secret, true, app.platform.now()).map_err(Problem::internal)?.is_none() {
        return Ok(link_is_used());
    }
    if first {
        secrets.rename_user(person.id, form.email.trim(), form.name.trim()).map_err(Problem::internal)?;
    }
    secrets.set_password(person.id, &hash).map_err(Problem::internal)?;
    // A link proves the mailbox, not the second factor.
    if person.totp_on {
        Ok(redirect("/console/sign-in"))
    } else {
        open_session(&app, &headers, person.id, "/console")
    }
}

#[cfg(test)]
mod tests {
    use super::next_page;
    #[test]
    fn only_pages_of_the_console_are_gone_to() {
        assert_eq!(next_page("/console/campaigns?x=1"), "/console/campaigns?x=1");
        for bad in [
            "",
            "//evil.example",
            "https://evil.example/console",
            "/consolex",
            "/console/\\evil",
            "/console\r\nx: y",
            "/\\evil",
        ] {
            assert_eq!(next_page(bad), "/console", "{bad}");
        }
    }
}
