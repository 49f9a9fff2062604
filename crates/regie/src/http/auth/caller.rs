//! The caller of a request: a signed-in person or a token, and what it may see.

use super::{super::AppState, session_cookie, token};
use crate::http::{Access, App, problem::Problem};
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use regie_model::{
    AdvertiserId, TokenId, UserId,
    booking::{Role, Scope},
    event::Actor,
};

/// A person or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A signed-in person.
    User(UserId),
    /// An API token.
    Token(TokenId),
}

/// Who calls, as handlers see it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the journal names it.
    pub actor: Actor,
    /// As the catalogue names it.
    pub who: Who,
    /// Role, of a person.
    pub role: Option<Role>,
    /// Scopes, of a token.
    pub scopes: Vec<Scope>,
    /// Sees and changes only this advertiser's things.
    pub advertiser: Option<AdvertiserId>,
    /// The session's CSRF token; a form sends it back as `csrf`, a script as `x-regie-csrf`.
    pub csrf: Option<String>,
    /// For the page's corner.
    pub name: String,
}

/// No advertiser has this number: a limited caller whose limit is missing sees nothing.
const NOBODY: AdvertiserId = AdvertiserId(0);

impl Caller {
    /// Whether an advertiser's things may be seen.
    pub fn may_see(&self, advertiser: AdvertiserId) -> bool {
        self.advertiser.is_none_or(|own| own == advertiser)
    }
    /// The only advertiser whose things may be seen, if there is a limit.
    pub fn scope_filter(&self) -> Option<AdvertiserId> {
        self.advertiser
    }
    /// Whether it is a person of one of these roles, or a token with this scope.
    pub fn is_one_of(&self, roles: &[Role], scope: Option<Scope>) -> bool {
        match self.role {
            Some(role) => roles.contains(&role),
            None => scope.is_some_and(|s| self.scopes.contains(&s)),
        }
    }
    /// Whether a route's access lets this caller in.
    pub fn passes(&self, access: Access) -> bool {
        match access {
            Access::Public => true,
            Access::Signed { roles, scope } => self.is_one_of(roles, scope),
        }
    }
    /// May book campaigns and what is in them.
    pub fn may_book(&self) -> bool {
        self.is_one_of(&[Role::Owner, Role::AdOperations, Role::Advertiser], Some(Scope::Book))
    }
    /// May change what is the publisher's: settings, sites, placements, segments, accounts.
    pub fn may_book_inventory(&self) -> bool {
        self.advertiser.is_none() && self.is_one_of(&[Role::Owner, Role::AdOperations], Some(Scope::Book))
    }
    /// May approve, stop, take money.
    pub fn may_operate(&self) -> bool {
        self.advertiser.is_none() && self.is_one_of(&[Role::Owner, Role::AdOperations], Some(Scope::Operate))
    }
    /// May see contact data of sponsors and payers (its own advertiser's, where it is limited).
    pub fn may_see_contacts(&self) -> bool {
        let roles = [Role::Owner, Role::AdOperations, Role::Advertiser, Role::Auditor];
        self.is_one_of(&roles, Some(Scope::Book))
    }
    /// May see who the users are.
    pub fn may_see_people(&self) -> bool {
        self.is_one_of(&[Role::Owner, Role::Auditor], None)
    }
    /// May see the publisher's whole picture (floors, blocks, stops, every account).
    pub fn sees_everything(&self) -> bool {
        self.advertiser.is_none()
    }
}

/// The caller of a request; nobody without a session or token.
///
/// # Errors
/// A token that is not (or no longer) good.
pub fn authenticate(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        let (id, record) = token(app, headers).ok_or_else(Problem::unauthorized)?;
        return Ok(Some(Caller {
            actor: Actor::Token(id),
            who: Who::Token(id),
            role: None,
            scopes: record.scopes,
            advertiser: record.advertiser,
            csrf: None,
            name: record.name,
        }));
    }
    let Some(secret) = session_cookie(headers) else { return Ok(None) };
    let session = app.platform.secrets.session(secret, app.platform.now()).map_err(Problem::internal)?;
    let Some(session) = session else { return Ok(None) };
    let record = app.platform.catalogue().users.get(&session.user).filter(|u| u.active).cloned();
    let Some(record) = record else { return Ok(None) };
    let person = app.platform.secrets.user(session.user).map_err(Problem::internal)?;
    let name = person.map(|p| if p.name.is_empty() { p.email } else { p.name }).unwrap_or_default();
    let limited = record.role == Role::Advertiser;
    Ok(Some(Caller {
        actor: Actor::User(session.user),
        who: Who::User(session.user),
        role: Some(record.role),
        scopes: Vec::new(),
        advertiser: limited.then(|| record.advertiser.unwrap_or(NOBODY)),
        csrf: Some(session.csrf),
        name,
    }))
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Caller, Problem> {
        match parts.extensions.get::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None => authenticate(app, &parts.headers)?.ok_or_else(Problem::unauthorized),
        }
    }
}
impl OptionalFromRequestParts<AppState> for Caller {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        parts: &mut Parts,
        app: &AppState,
    ) -> Result<Option<Caller>, Self::Rejection> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(Some(caller.clone()));
        }
        Ok(authenticate(app, &parts.headers).ok().flatten())
    }
}
