//! Who is calling: sessions, tokens, roles, CSRF.

use super::App;
use axum::http::{HeaderMap, header};
use regie_model::{AdvertiserId, booking::{Scope, TokenRecord}};

/// The active token of a request, if it carries one.
fn token(app: &App, headers: &HeaderMap) -> Option<TokenRecord> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let id = app.platform.secrets.token(text).ok()??;
    app.platform.catalogue().tokens.get(&id).filter(|t| t.active).cloned()
}
/// Whether the request carries an active token with a scope.
pub fn token_has(app: &App, headers: &HeaderMap, scope: Scope) -> bool {
    token(app, headers).is_some_and(|t| t.scopes.contains(&scope))
}
/// The advertiser that the request's token is limited to.
pub fn token_advertiser(app: &App, headers: &HeaderMap) -> Option<AdvertiserId> {
    token(app, headers)?.advertiser
}
