//! What the publisher does with bookings: reviews, switches, deposits; and lists of commands, all or none.

use super::{
    entities::own,
    kind::{Kind, id_of},
    parse, scope, send, show,
};
use crate::{
    http::{AppState, auth::Caller, problem::Problem},
    platform::commands::Accepted,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use regie_model::{
    AdvertiserId, Faults, Micros,
    catalogue::Review,
    command::{Command, EntityRef, Stop, Verdict},
    limits::COMMANDS_COUNT_MAX,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Body of a list of commands, in bytes: room for as many as may be sent.
pub const COMMANDS_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Ad sets of one list of commands whose forecast is looked at: a forecast takes milliseconds.
const WARNED_SETS_MAX: usize = 50;
/// Rows of the queue at most.
const QUEUE_ROWS_MAX: usize = 500;

/// Several commands: all are accepted, or none. An ad set that oversells a placement says so beside its id, the first fifty
/// of them.
///
/// # Errors
/// 403 for one that the caller may not send; 422 with faults located as `commands[INDEX].FIELD`.
pub async fn commands(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let json = parse::json_up_to(&body, COMMANDS_BODY_BYTES_MAX)?;
    let Some(list) = json.get("commands").and_then(Value::as_array) else {
        return Err(Problem::bad_request("The body is {\"commands\": [...]}."));
    };
    let count = list.len();
    if count == 0 || count > COMMANDS_COUNT_MAX {
        return Err(Problem::bad_request(format!(
            "Send 1 to {COMMANDS_COUNT_MAX} commands; this has {count}."
        )));
    }
    let (mut commands, mut faults) = (Vec::with_capacity(count), Faults::new());
    for (index, json) in list.iter().enumerate() {
        match serde_json::from_str::<Command>(&json.to_string()) {
            Ok(mut command) => {
                own(&caller, &mut command);
                commands.push(command);
            }
            Err(error) => {
                let text = error.to_string();
                let text = text.split(" at line ").next().unwrap_or_default().to_owned();
                faults.add(
                    format!("commands[{index}]"),
                    "malformed",
                    format!("This cannot be read: {text}."),
                );
            }
        }
    }
    faults.into_result().map_err(Problem::faults)?;
    let accepted = send::send(&app, &caller, commands).await?;
    let (mut rows, mut asked_count) = (Vec::with_capacity(accepted.len()), 0);
    for Accepted { id, position } in accepted {
        let mut row = json!({ "id": id, "position": position });
        if let Ok(ad_set) = id.parse()
            && asked_count < WARNED_SETS_MAX
        {
            asked_count += 1;
            let warnings = crate::http::forecast::warnings(&app, &caller, ad_set).await;
            if !warnings.is_empty() {
                row["warnings"] = warnings.into();
            }
        }
        rows.push(row);
    }
    Ok(Json(json!({ "accepted": rows })).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewInput {
    #[serde(default)]
    ads: Vec<regie_model::AdId>,
    #[serde(default)]
    versions: Vec<regie_model::VersionId>,
    verdict: Verdict,
    #[serde(default)]
    reason: String,
    /// What was looked at, so that an edit in between is not approved unseen: ad id to revision, version id to creative hash.
    #[serde(default)]
    seen: std::collections::BTreeMap<String, Value>,
}

/// Approves or rejects. With `seen`, only what was looked at.
///
/// # Errors
/// 409 when something was edited after it was looked at; 422.
pub async fn review(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let input: ReviewInput = parse::whole(&body)?;
    {
        let catalogue = app.platform.catalogue();
        for (id, seen) in &input.seen {
            let now = match super::kind::parse_any(id) {
                Some(EntityRef::Ad(ad)) => catalogue.ads.get(&ad).map(|a| json!(a.kept.revision)),
                Some(EntityRef::Version(v)) => {
                    catalogue.versions.get(&v).map(|v| json!(v.kept.spec.creative))
                }
                _ => None,
            };
            if now.as_ref() != Some(seen) {
                let detail = format!("{id} was edited after you looked at it; look again.");
                return Err(Problem::new(StatusCode::CONFLICT, "conflict", "What was reviewed has changed.")
                    .detail(detail));
            }
        }
    }
    let named: Vec<EntityRef> = input
        .ads
        .iter()
        .map(|a| EntityRef::Ad(*a))
        .chain(input.versions.iter().map(|v| EntityRef::Version(*v)))
        .collect();
    let command = Command::Review {
        ads: input.ads,
        versions: input.versions,
        verdict: input.verdict,
        reason: input.reason,
    };
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let catalogue = app.platform.catalogue();
    let items: Vec<Value> =
        named.into_iter().filter_map(|e| show::show(&app, &catalogue, &caller, e)).collect();
    let position = accepted.first().map_or(0, |a| a.position);
    Ok(Json(json!({ "position": position, "items": items })).into_response())
}

/// What the queue is cut by.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueQuery {
    /// Rows at most.
    limit: Option<usize>,
}

/// Ads and versions that wait, each with what is served now beside what was asked for.
///
/// # Errors
/// 400 for a query that makes no sense.
pub async fn queue(
    State(app): State<AppState>,
    caller: Caller,
    query: Result<Query<QueueQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let limit = query.limit.unwrap_or(QUEUE_ROWS_MAX).min(QUEUE_ROWS_MAX);
    let catalogue = app.platform.catalogue();
    let waits = |entity: &EntityRef| match entity {
        EntityRef::Ad(id) => catalogue.ads.get(id).is_some_and(|a| a.review == Review::Pending),
        EntityRef::Version(id) => catalogue.versions.brief(*id).is_some_and(|v| v.is_pending),
        _ => false,
    };
    let all = Kind::Ad.after(&catalogue, 0).chain(Kind::Version.after(&catalogue, 0));
    let mut found: Vec<EntityRef> =
        all.filter(waits).filter(|e| scope::may_see(&catalogue, &caller, *e)).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let items: Vec<Value> = found
        .into_iter()
        .filter_map(|entity| {
            let mut json = show::show(&app, &catalogue, &caller, entity)?;
            let approved = json["approved"].take();
            let pending = match entity {
                EntityRef::Ad(_) => json!({
                    "revision": json["revision"], "landing_url": json["spec"]["landing_url"],
                    "third_party_origins": json["spec"]["third_party_origins"],
                }),
                _ => json!({ "creative_hash": json["creative_hash"], "shape": json["shape"], "creative": json["spec"]["creative"] }),
            };
            let kind = if matches!(entity, EntityRef::Ad(_)) { "ad" } else { "version" };
            let advertiser = scope::owner(&catalogue, entity);
            Some(json!({
                "kind": kind, "id": id_of(entity).1, "name": json["spec"]["name"], "advertiser": advertiser,
                "changed_at": json["changed_at"], "approved": approved, "pending": pending,
            }))
        })
        .collect();
    Ok(Json(json!({ "items": items, "more": more })).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInput {
    what: Stop,
    on: bool,
    #[serde(default)]
    reason: String,
}

/// What is stopped.
///
/// # Errors
/// None.
pub async fn stops(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let catalogue = app.platform.catalogue();
    let visible = |what: &Stop| match what {
        Stop::AllPaid => true,
        Stop::Sponsor(id) => scope::may_see(&catalogue, &caller, EntityRef::Party(*id)),
        Stop::Ad(id) => scope::may_see(&catalogue, &caller, EntityRef::Ad(*id)),
    };
    let rows = catalogue.stops.iter().filter(|(what, _)| visible(what));
    let rows: Vec<Value> = rows.map(|(what, reason)| json!({ "what": what, "reason": reason })).collect();
    Ok(Json(json!({ "stops": rows })).into_response())
}

/// Stops everything paid, a sponsor, or an ad; or lets it go on.
///
/// # Errors
/// 422.
pub async fn stop(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let input: StopInput = parse::whole(&body)?;
    let command = Command::SetStop { what: input.what, on: input.on, reason: input.reason };
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let position = accepted.first().map_or(0, |a| a.position);
    Ok(Json(json!({ "what": input.what, "on": input.on, "position": position })).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepositInput {
    amount_micros: Micros,
    #[serde(default)]
    reference: String,
}

/// Records money paid in, or an invoice settled.
///
/// # Errors
/// 404, 422.
pub async fn deposit(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("advertiser of this id");
    let advertiser: AdvertiserId = id.parse().map_err(|_| missing())?;
    if !app.platform.catalogue().advertisers.contains_key(&advertiser) {
        return Err(missing());
    }
    let input: DepositInput = parse::whole(&body)?;
    let command =
        Command::Deposit { advertiser, amount_micros: input.amount_micros, reference: input.reference };
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let position = accepted.first().map_or(0, |a| a.position);
    let body =
        json!({ "advertiser": advertiser, "amount_micros": input.amount_micros, "position": position });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseInput {
    reason: String,
}

/// Erases the identity of a sponsor or payer (law J1): the event first, then the key is destroyed. What was sealed with
/// it cannot be read again by anybody; pages and the record say "withheld".
///
/// # Errors
/// 404, 422.
pub async fn erase(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("sponsor or payer of this id");
    let party: regie_model::PartyId = id.parse().map_err(|_| missing())?;
    let input: EraseInput = parse::whole(&body)?;
    let mut faults = regie_model::Faults::new();
    faults.text("reason", &input.reason, regie_model::limits::TEXT_CHARS_MAX);
    faults.into_result().map_err(Problem::faults)?;
    let key =
        app.platform.catalogue().parties.get(&party).map(|p| p.spec.identity.key).ok_or_else(missing)?;
    let change = regie_model::command::Change::PersonErased { key, reason: input.reason };
    let state = app.clone();
    let erased = tokio::task::spawn_blocking(move || {
        crate::http::auth::links::record(&state.platform, caller.actor.clone(), vec![change])?;
        state.platform.secrets.erase_person(key)
    });
    erased.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok((StatusCode::OK, Json(json!({ "party": party, "erased": true }))).into_response())
}
