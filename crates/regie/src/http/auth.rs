//! Who is calling, and whether they may: sessions, tokens, roles, CSRF, passwords, the second factor.
//!
//! Every route that is not public stands behind [`guard`]; there is no other way to a handler. Refuses to know what a
//! booking is: which advertiser a thing belongs to is asked in `http::booking::scope`.

pub mod attempts;
pub mod caller;
pub mod csrf;
pub mod guard;
pub mod links;
pub mod password;
pub mod second_factor;

pub use caller::{Caller, Who};
pub use csrf::CsrfForm;
pub use links::first_owner_link;

use super::App;
use axum::http::{HeaderMap, header};
use regie_model::{
    AdvertiserId, TokenId,
    booking::{Scope, TokenRecord},
};

/// Name of the session's cookie.
pub const COOKIE: &str = "regie_session";

/// The active token of a request, if it carries one.
fn token(app: &App, headers: &HeaderMap) -> Option<(TokenId, TokenRecord)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let id = app.platform.secrets.token(text.trim()).ok()??;
    let record = app.platform.catalogue().tokens.get(&id).filter(|t| t.active).cloned()?;
    Some((id, record))
}
/// Whether the request carries an active token with a scope.
pub fn token_has(app: &App, headers: &HeaderMap, scope: Scope) -> bool {
    token(app, headers).is_some_and(|(_, t)| t.scopes.contains(&scope))
}
/// The advertiser that the request's token is limited to.
pub fn token_advertiser(app: &App, headers: &HeaderMap) -> Option<AdvertiserId> {
    token(app, headers)?.1.advertiser
}
/// The session secret that a browser sent.
pub fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    cookies
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}
/// The `Set-Cookie` value that opens (or, with an empty secret, ends) a session.
pub fn set_cookie(app: &App, secret: &str) -> String {
    let secure = if app.config.public_url.starts_with("https://") { "; Secure" } else { "" };
    let end = if secret.is_empty() { "; Max-Age=0" } else { "" };
    format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{end}")
}
