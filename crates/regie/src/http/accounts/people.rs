//! Users and tokens over the API: for owners; auditors may read. What they may do is journalled; who they are is not.

use crate::t;
use crate::{
    http::{
        Access, AppState, Route,
        auth::{Caller, links},
        problem::Problem,
    },
    platform::secrets::UserSecret,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use regie_model::{
    AdvertiserId, Faults, TokenId, UserId,
    booking::{Role, Scope, TokenRecord, UserRecord},
    catalogue::Catalogue,
    command::Change,
    limits::NAME_CHARS_MAX,
};
use serde::Deserialize;
use serde_json::{Value, json};

const READ: Access = Access::Signed { roles: &[Role::Owner, Role::Auditor], scope: None };
const WRITE: Access = Access::Signed { roles: &[Role::Owner], scope: None };

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let row = |method, path, access, handler| Route { owner: "accounts", method, path, access, handler };
    vec![
        row(Method::GET, "/v1/users", READ, get(users)),
        row(Method::POST, "/v1/users", WRITE, post(add_user)),
        row(Method::PUT, "/v1/users/{id}", WRITE, put(edit_user)),
        row(Method::POST, "/v1/users/{id}/link", WRITE, post(link)),
        row(Method::GET, "/v1/tokens", READ, get(tokens)),
        row(Method::POST, "/v1/tokens", WRITE, post(add_token)),
        row(Method::POST, "/v1/tokens/{id}/revoke", WRITE, post(revoke)),
    ]
}

/// Adds what is wrong with a person's sign-in name and name. `own`: whose they are already.
pub fn check_person(app: &AppState, email: &str, name: &str, own: Option<UserId>, faults: &mut Faults) {
    let email = email.trim();
    let odd = email.len() > NAME_CHARS_MAX
        || !email.contains('@')
        || email.chars().any(|c| c.is_whitespace() || c.is_control());
    faults.when(odd, "email", "malformed", t!("accounts-write-an-e-mail-address"));
    faults.optional_text("name", name, NAME_CHARS_MAX);
    let taken = app.platform.secrets.user_by_email(email).ok().flatten().is_some_and(|u| Some(u.id) != own);
    faults.when(taken, "email", "taken", t!("accounts-another-user-signs-in-with"));
}

/// Adds what is wrong with a role and its advertiser.
pub fn check_role(catalogue: &Catalogue, role: Role, advertiser: Option<AdvertiserId>, faults: &mut Faults) {
    let missing = role == Role::Advertiser && advertiser.is_none();
    faults.when(missing, "advertiser", "missing", t!("accounts-the-role-advertiser-needs-one"));
    let stray = role != Role::Advertiser && advertiser.is_some();
    faults.when(stray, "advertiser", "contradiction", t!("accounts-only-the-role-advertiser-is"));
    let unknown = advertiser.is_some_and(|id| !catalogue.advertisers.contains_key(&id));
    faults.when(unknown, "advertiser", "unknown", t!("accounts-there-is-no-such-advertiser"));
}

fn user_json(id: UserId, record: &UserRecord, person: Option<&UserSecret>) -> Value {
    json!({
        "id": id, "role": record.role, "advertiser": record.advertiser, "active": record.active,
        "email": person.map(|p| &p.email), "name": person.map(|p| &p.name),
        "password_set": person.is_some_and(|p| p.password.is_some()), "second_factor": person.is_some_and(|p| p.totp_on),
    })
}

async fn users(State(app): State<AppState>) -> Result<Response, Problem> {
    let people = app.platform.secrets.users().map_err(Problem::internal)?;
    let catalogue = app.platform.catalogue();
    let rows = catalogue
        .users
        .iter()
        .map(|(id, record)| user_json(*id, record, people.iter().find(|p| p.id == *id)));
    Ok(Json(json!({ "users": rows.collect::<Vec<_>>() })).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    email: String,
    #[serde(default)]
    name: String,
    role: Role,
    #[serde(default)]
    advertiser: Option<AdvertiserId>,
}

async fn add_user(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let new: NewUser = read(&body)?;
    let mut faults = Faults::new();
    check_person(&app, &new.email, &new.name, None, &mut faults);
    check_role(&app.platform.catalogue(), new.role, new.advertiser, &mut faults);
    faults.into_result().map_err(Problem::faults)?;
    let record = UserRecord { role: new.role, advertiser: new.advertiser, active: true };
    let (platform, kept) = (app.platform.clone(), record.clone());
    let id = tokio::task::spawn_blocking(move || links::add_user(&platform, caller.actor, kept));
    let id = id.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let secrets = &app.platform.secrets;
    secrets.add_user(id, new.email.trim(), new.name.trim(), app.platform.now()).map_err(Problem::internal)?;
    let link = links::make(&app.platform, &app.config, id, "setup").map_err(Problem::internal)?;
    let mailed = mail_link(&app, new.email.trim(), &link).await;
    let person = secrets.user(id).map_err(Problem::internal)?;
    let mut json = user_json(id, &record, person.as_ref());
    json["link"] = link.into();
    json["link_hours"] = links::LINK_HOURS.into();
    json["mailed"] = mailed.into();
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/users/{id}"))], Json(json)).into_response())
}

/// Sends a link, where mail is configured; says whether it went.
async fn mail_link(app: &AppState, to: &str, link: &str) -> bool {
    if !crate::mail::is_configured(&app.config) {
        return false;
    }
    let body = format!(
        "Set your password here; the link is good once, for {} hours:\n\n{link}\n",
        links::LINK_HOURS
    );
    match crate::mail::send(&app.config, to, t!("accounts-your-access-to-regie"), &body).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "a link could not be mailed");
            false
        }
    }
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditUser {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    advertiser: Option<AdvertiserId>,
    #[serde(default)]
    active: Option<bool>,
}

async fn edit_user(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let edit: EditUser = read(&body)?;
    let id: UserId = id.parse().map_err(|_| Problem::not_found("user of this id"))?;
    let (before, owners) = {
        let catalogue = app.platform.catalogue();
        let before =
            catalogue.users.get(&id).cloned().ok_or_else(|| Problem::not_found(&format!("user {id}")))?;
        (before, catalogue.users.values().filter(|u| u.role == Role::Owner && u.active).count())
    };
    let person = app.platform.secrets.user(id).map_err(Problem::internal)?;
    let person = person.ok_or_else(|| Problem::not_found(&format!("user {id}")))?;
    let role = edit.role.unwrap_or(before.role);
    let advertiser =
        if role == Role::Advertiser { edit.advertiser.or(before.advertiser) } else { edit.advertiser };
    let record = UserRecord { role, advertiser, active: edit.active.unwrap_or(before.active) };
    let email = edit.email.unwrap_or(person.email);
    let name = edit.name.unwrap_or(person.name);
    let mut faults = Faults::new();
    if email != links::FIRST_OWNER {
        check_person(&app, &email, &name, Some(id), &mut faults);
    }
    check_role(&app.platform.catalogue(), role, advertiser, &mut faults);
    let was = before.role == Role::Owner && before.active;
    let stays = record.role == Role::Owner && record.active;
    faults.when(was && !stays && owners == 1, "role", "last_owner", t!("accounts-the-last-owner-stays-make"));
    faults.into_result().map_err(Problem::faults)?;
    let (platform, kept) = (app.platform.clone(), record.clone());
    let changes = vec![Change::UserPut { id, record: kept }];
    let done = tokio::task::spawn_blocking(move || links::record(&platform, caller.actor, changes));
    done.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    app.platform.secrets.rename_user(id, email.trim(), name.trim()).map_err(Problem::internal)?;
    if !record.active {
        app.platform.secrets.close_sessions(id).map_err(Problem::internal)?;
    }
    let person = app.platform.secrets.user(id).map_err(Problem::internal)?;
    Ok(Json(user_json(id, &record, person.as_ref())).into_response())
}

/// Changes what a user may do, and ends their sessions where they may nothing any more.
///
/// # Errors
/// When it would leave the house without an owner, or the advertiser is not there; what the journal says.
pub async fn put_record(
    app: &AppState,
    caller: &Caller,
    id: UserId,
    record: UserRecord,
) -> Result<(), Problem> {
    {
        let catalogue = app.platform.catalogue();
        let before = catalogue.users.get(&id).ok_or_else(|| Problem::not_found(&format!("user {id}")))?;
        let is_owner = |u: &UserRecord| u.role == Role::Owner && u.active;
        let owners = catalogue.users.values().filter(|u| is_owner(u)).count();
        if is_owner(before) && !is_owner(&record) && owners == 1 {
            return Err(Problem::bad_request("The last owner stays; make another one first."));
        }
        let mut faults = Faults::new();
        check_role(&catalogue, record.role, record.advertiser, &mut faults);
        faults.into_result().map_err(Problem::faults)?;
    }
    let (platform, by, active) = (app.platform.clone(), caller.actor.clone(), record.active);
    let changes = vec![Change::UserPut { id, record }];
    let done = tokio::task::spawn_blocking(move || links::record(&platform, by, changes));
    done.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    if !active {
        app.platform.secrets.close_sessions(id).map_err(Problem::internal)?;
    }
    Ok(())
}

async fn link(State(app): State<AppState>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: UserId = id.parse().map_err(|_| Problem::not_found("user of this id"))?;
    let person = app.platform.secrets.user(id).map_err(Problem::internal)?;
    let Some(person) = person else { return Err(Problem::not_found(&format!("user {id}"))) };
    let link = links::make(&app.platform, &app.config, id, "reset").map_err(Problem::internal)?;
    let mailed = mail_link(&app, &person.email, &link).await;
    Ok(Json(json!({ "link": link, "link_hours": links::LINK_HOURS, "mailed": mailed })).into_response())
}

async fn tokens(State(app): State<AppState>) -> Response {
    let catalogue = app.platform.catalogue();
    let rows = catalogue.tokens.iter().map(|(id, t)| token_json(*id, t));
    Json(json!({ "tokens": rows.collect::<Vec<_>>() })).into_response()
}
fn token_json(id: TokenId, t: &TokenRecord) -> Value {
    json!({ "id": id, "name": t.name, "scopes": t.scopes, "advertiser": t.advertiser, "active": t.active })
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    name: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    advertiser: Option<AdvertiserId>,
}

async fn add_token(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let new: NewToken = read(&body)?;
    let mut faults = Faults::new();
    faults.text("name", &new.name, NAME_CHARS_MAX);
    faults.when(new.scopes.is_empty(), "scopes", "missing", t!("accounts-list-at-least-one-scope"));
    let unknown = new.advertiser.is_some_and(|id| !app.platform.catalogue().advertisers.contains_key(&id));
    faults.when(unknown, "advertiser", "unknown", t!("accounts-there-is-no-such-advertiser"));
    faults.into_result().map_err(Problem::faults)?;
    let record = TokenRecord { name: new.name, scopes: new.scopes, advertiser: new.advertiser, active: true };
    let (platform, kept) = (app.platform.clone(), record.clone());
    let made = tokio::task::spawn_blocking(move || make_token(&platform, caller.actor, kept));
    let (id, secret) = made.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let mut json = token_json(id, &record);
    json["token"] = secret.into();
    Ok((StatusCode::CREATED, Json(json)).into_response())
}

/// Journals a token and makes its secret, shown once. Blocks until durable.
///
/// # Errors
/// The journal's or SQLite's error.
pub fn make_token(
    platform: &std::sync::Arc<crate::platform::Platform>,
    by: regie_model::event::Actor,
    record: TokenRecord,
) -> anyhow::Result<(TokenId, String)> {
    use anyhow::Context;
    let (done, wait) = std::sync::mpsc::sync_channel(1);
    platform.record_with(
        by,
        move |catalogue| {
            let id = TokenId(catalogue.tokens.keys().last().map_or(0, |t| t.0) + 1);
            Ok((vec![Change::TokenPut { id, record }], id.to_string()))
        },
        Box::new(move |result| drop(done.send(result))),
    );
    let id = links::first(wait.recv().context("the journal stopped")?)?;
    let id: TokenId = id.parse().map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok((id, platform.secrets.make_token(id)?))
}

async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: TokenId = id.parse().map_err(|_| Problem::not_found("token of this id"))?;
    let record = app.platform.catalogue().tokens.get(&id).cloned();
    let Some(record) = record else { return Err(Problem::not_found(&format!("token {id}"))) };
    let record = TokenRecord { active: false, ..record };
    app.platform.secrets.revoke_token(id).map_err(Problem::internal)?;
    let (platform, changes) = (app.platform.clone(), vec![Change::TokenPut { id, record: record.clone() }]);
    let done = tokio::task::spawn_blocking(move || links::record(&platform, caller.actor, changes));
    done.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(Json(token_json(id, &record)).into_response())
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    crate::http::booking::parse::whole(body)
}
