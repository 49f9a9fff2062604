//! Who changed what, and when: read from the changes that the journal holds, the latest first.
//!
//! Personal data stays sealed for everybody who may not see it; nothing here is a second source of truth.

use super::{kind, scope, show};
use crate::{
    http::{App, AppState, auth::Caller, problem::Problem},
    platform::state_db::StateDb,
};
use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use regie_model::{
    UserId, UtcMs,
    booking::Role,
    command::Change,
    event::{Actor, Booked, Event},
};
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Rows of one page at most.
pub const HISTORY_ROWS_MAX: usize = 500;

/// Which changes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryQuery {
    /// Of one thing (`cam_1`, `publisher`, `stop`).
    entity: Option<String>,
    /// Only before this journal position.
    before: Option<u64>,
    /// Rows of a page.
    limit: Option<usize>,
}

/// A page of the history.
///
/// # Errors
/// 404 for a thing that the caller may not see; 400.
pub async fn history(
    State(app): State<AppState>,
    caller: Caller,
    query: Result<Query<HistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    allowed(&app, &caller, query.entity.as_deref())?;
    let limit = query.limit.unwrap_or(100);
    if limit == 0 || limit > HISTORY_ROWS_MAX {
        return Err(Problem::bad_request(format!("`limit` is 1 to {HISTORY_ROWS_MAX}.")));
    }
    let task = tokio::task::spawn_blocking(move || read(&app, &caller, &query, limit));
    let rows = task.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let next = if rows.len() == limit { rows.last().map(|r| r["position"].clone()) } else { None };
    Ok(Json(json!({ "changes": rows, "next_before": next })).into_response())
}

fn allowed(app: &App, caller: &Caller, entity: Option<&str>) -> Result<(), Problem> {
    let missing = || Problem::not_found("history of this");
    let personal = |text: &str| ["usr_", "tok_", "key_"].iter().any(|p| text.starts_with(p));
    match (entity, caller.scope_filter()) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Problem::bad_request("Name one thing: ?entity=cam_1.")),
        (Some(text), None) if personal(text) && !caller.may_see_people() => Err(missing()),
        (Some(_), None) => Ok(()),
        (Some(text), Some(_)) => {
            let entity = kind::parse_any(text).ok_or_else(missing)?;
            let catalogue = app.platform.catalogue();
            // The publisher's things are seen in part only; their history would tell the rest.
            let own =
                scope::owner(&catalogue, entity).is_some() && scope::may_see(&catalogue, caller, entity);
            if own { Ok(()) } else { Err(missing()) }
        }
    }
}

fn read(app: &App, caller: &Caller, query: &HistoryQuery, limit: usize) -> anyhow::Result<Vec<Value>> {
    app.platform.flush(false)?;
    let path = app.platform.state().path().to_path_buf();
    let connection = StateDb::reader(&path)?;
    let before = query.before.map_or(i64::MAX, |b| i64::try_from(b).unwrap_or(i64::MAX));
    let sql = match query.entity {
        Some(_) => {
            "SELECT position, at_ms, entity, body FROM changes WHERE position < ?1 AND entity = ?2 ORDER BY position DESC"
        }
        None => {
            "SELECT position, at_ms, entity, body FROM changes WHERE position < ?1 AND ?2 = '' ORDER BY position DESC"
        }
    };
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![before, query.entity.as_deref().unwrap_or("")])?;
    let mut names = Names::default();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let entity: String = row.get(2)?;
        let body: Vec<u8> = row.get(3)?;
        let Ok(Event::Booked(booked)) = Event::decode(&body) else { continue };
        let people = matches!(
            booked.change,
            Change::UserPut { .. }
                | Change::TokenPut { .. }
                | Change::PersonErased { .. }
                | Change::ReportFiled { .. }
                | Change::GroupingPut { .. }
        );
        if people && !caller.may_see_people() {
            continue;
        }
        found.push(json!({
            "position": row.get::<_, i64>(0)?, "appended_at": UtcMs(row.get(1)?), "at": booked.at, "entity": entity,
            "by": names.actor(app, caller, &booked.by), "change": change(app, caller, &booked),
        }));
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

/// A change without what the caller may not see.
fn change(app: &App, caller: &Caller, booked: &Booked) -> Value {
    let mut json = serde_json::to_value(&booked.change).unwrap_or(Value::Null);
    if let Change::PartyPut { spec, .. } = &booked.change {
        json["spec"]["identity"] = show::identity(app, caller, spec);
    }
    json
}

/// Names of users, looked up once.
#[derive(Default)]
struct Names(HashMap<UserId, Option<String>>);
impl Names {
    fn actor(&mut self, app: &App, caller: &Caller, by: &Actor) -> Value {
        match by {
            Actor::Operator => json!({ "kind": "operator" }),
            Actor::Job(name) => json!({ "kind": "job", "name": name }),
            Actor::Token(id) => {
                let catalogue = app.platform.catalogue();
                let token = catalogue.tokens.get(id);
                match caller.scope_filter() {
                    Some(own) if token.and_then(|t| t.advertiser) != Some(own) => {
                        json!({ "kind": "publisher" })
                    }
                    _ => json!({ "kind": "token", "id": id, "name": token.map(|t| &t.name) }),
                }
            }
            Actor::User(id) => {
                let of = app.platform.catalogue().users.get(id).and_then(|u| u.advertiser);
                if caller.scope_filter().is_some_and(|own| of != Some(own)) {
                    return json!({ "kind": "publisher" });
                }
                let roles = [Role::Owner, Role::AdOperations, Role::Auditor, Role::Advertiser];
                let name = if caller.is_one_of(&roles, None) { self.name(app, *id) } else { None };
                json!({ "kind": "user", "id": id, "name": name })
            }
        }
    }
    fn name(&mut self, app: &App, id: UserId) -> Option<String> {
        let look = || {
            app.platform
                .secrets
                .user(id)
                .ok()
                .flatten()
                .map(|u| if u.name.is_empty() { u.email } else { u.name })
        };
        self.0.entry(id).or_insert_with(look).clone()
    }
}
