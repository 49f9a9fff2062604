//! List, read, create, edit, and switch what is booked.

use super::{
    kind::{Kind, id_of, parse_any},
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
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use regie_model::{
    Faults,
    booking::Status,
    catalogue::Catalogue,
    command::{Command, EntityRef},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rows of one page at most.
pub const LIST_ROWS_MAX: usize = 1_000;
const LIST_ROWS: usize = 100;

/// What a list is cut by.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    /// Rows of a page.
    limit: Option<usize>,
    /// The last id of the page before.
    after: Option<String>,
    /// Only what stands in this thing (a site's placements, an advertiser's campaigns, a campaign's ad sets ...).
    within: Option<String>,
    /// Only with this status.
    status: Option<Status>,
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(&id.chars().take(40).collect::<String>())
}

/// A page of a kind.
///
/// # Errors
/// 400 for a query that makes no sense.
pub async fn list(
    kind: Kind,
    State(app): State<AppState>,
    caller: Caller,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let limit = query.limit.unwrap_or(LIST_ROWS);
    if limit == 0 || limit > LIST_ROWS_MAX {
        return Err(Problem::bad_request(format!("`limit` is 1 to {LIST_ROWS_MAX}.")));
    }
    let after = match &query.after {
        Some(text) => {
            id_of(
                kind.parse(text)
                    .ok_or_else(|| Problem::bad_request("`after` is the last id of the page before."))?,
            )
            .0
        }
        None => 0,
    };
    let within = match &query.within {
        Some(text) => {
            Some(parse_any(text).ok_or_else(|| Problem::bad_request("`within` is an id, such as cam_1."))?)
        }
        None => None,
    };
    let catalogue = app.platform.catalogue();
    let fits = |entity: &EntityRef| {
        scope::may_see(&catalogue, &caller, *entity)
            && within.is_none_or(|holder| is_within(&catalogue, *entity, holder))
            && query.status.is_none_or(|s| status_of(&catalogue, *entity) == Some(s))
    };
    let mut found: Vec<EntityRef> = kind.after(&catalogue, after).filter(fits).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let rows: Vec<Value> = found.iter().filter_map(|e| show::show(&app, &catalogue, &caller, *e)).collect();
    let next = if more { found.last().map(|e| id_of(*e).1) } else { None };
    Ok(Json(json!({ "items": rows, "next_after": next })).into_response())
}

fn status_of(c: &Catalogue, entity: EntityRef) -> Option<Status> {
    match entity {
        EntityRef::Site(id) => c.sites.get(&id).map(|k| k.status),
        EntityRef::Placement(id) => c.placements.get(&id).map(|k| k.status),
        EntityRef::Segment(id) => c.segments.get(&id).map(|k| k.status),
        EntityRef::Advertiser(id) => c.advertisers.get(&id).map(|k| k.status),
        EntityRef::Party(id) => c.parties.get(&id).map(|k| k.status),
        EntityRef::Campaign(id) => c.campaigns.get(&id).map(|k| k.status),
        EntityRef::AdSet(id) => c.ad_sets.get(&id).map(|k| k.status),
        EntityRef::Ad(id) => c.ads.get(&id).map(|k| k.kept.status),
        EntityRef::Version(id) => c.versions.brief(id).map(|k| k.status),
    }
}

/// What a thing stands in, one step up.
fn holder(c: &Catalogue, entity: EntityRef) -> Option<EntityRef> {
    match entity {
        EntityRef::Site(_) | EntityRef::Segment(_) | EntityRef::Advertiser(_) => None,
        EntityRef::Placement(id) => Some(EntityRef::Site(c.placements.get(&id)?.spec.site)),
        EntityRef::Party(id) => c.parties.get(&id)?.spec.advertiser.map(EntityRef::Advertiser),
        EntityRef::Campaign(id) => Some(EntityRef::Advertiser(c.campaigns.get(&id)?.spec.advertiser)),
        EntityRef::AdSet(id) => Some(EntityRef::Campaign(c.ad_sets.get(&id)?.spec.campaign)),
        EntityRef::Ad(id) => Some(EntityRef::AdSet(c.ads.get(&id)?.kept.spec.ad_set)),
        EntityRef::Version(id) => Some(EntityRef::Ad(c.versions.brief(id)?.ad)),
    }
}
pub(crate) fn is_within(c: &Catalogue, entity: EntityRef, wanted: EntityRef) -> bool {
    let mut at = holder(c, entity);
    while let Some(here) = at {
        if here == wanted {
            return true;
        }
        at = holder(c, here);
    }
    false
}

/// One thing.
///
/// # Errors
/// 404 when there is none for this caller.
pub async fn one(
    kind: Kind,
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let entity = kind.parse(&id).ok_or_else(|| unknown(&id))?;
    let found = show::show(&app, &app.platform.catalogue(), &caller, entity);
    found.map(|json| answer(StatusCode::OK, json)).ok_or_else(|| unknown(&id))
}

/// An entity's JSON with its revision as `ETag`.
pub fn answer(status: StatusCode, json: Value) -> Response {
    let tag = format!("\"{}\"", json["revision"]);
    (status, [(header::ETAG, tag)], Json(json)).into_response()
}

/// Creates, or, where an outside id is known already, edits.
///
/// # Errors
/// 422 with every fault by field.
pub async fn create(
    kind: Kind,
    State(app): State<AppState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let command = command(&app, &caller, kind, None, None, parse::json(&body)?)?;
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let warnings = warnings(&app, &caller, &accepted).await;
    respond(&app, &caller, kind, accepted, true, warnings)
}

/// Edits: the body is the whole new spec, with an optional `revision`; or `If-Match` names it.
///
/// # Errors
/// 409 when somebody else changed it; 404; 422 with every fault by field.
pub async fn edit(
    kind: Kind,
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let entity = kind.parse(&id).ok_or_else(|| unknown(&id))?;
    if !exists(&app, &caller, entity) {
        return Err(unknown(&id));
    }
    let mut json = parse::json(&body)?;
    let revision = revision(&headers, &mut json)?;
    let command = command(&app, &caller, kind, Some(entity), revision, json)?;
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let warnings = warnings(&app, &caller, &accepted).await;
    respond(&app, &caller, kind, accepted, false, warnings)
}

fn exists(app: &AppState, caller: &Caller, entity: EntityRef) -> bool {
    let catalogue = app.platform.catalogue();
    status_of(&catalogue, entity).is_some() && scope::may_see(&catalogue, caller, entity)
}

/// The revision that an edit was made on, from the body or `If-Match`.
fn revision(headers: &HeaderMap, json: &mut Value) -> Result<Option<u32>, Problem> {
    let given = parse::take_revision(json)?;
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(given) };
    let number = tag.to_str().ok().and_then(|t| t.trim().trim_matches('"').parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Problem::bad_request("If-Match is the ETag that was last read, such as \"3\"."))
}

/// What an accepted ad set oversells, with the forecast that shows it.
async fn warnings(app: &AppState, caller: &Caller, accepted: &[Accepted]) -> Vec<Value> {
    match accepted.first().and_then(|accepted| accepted.id.parse().ok()) {
        Some(id) => crate::http::forecast::warnings(app, caller, id).await,
        None => Vec::new(),
    }
}

fn respond(
    app: &AppState,
    caller: &Caller,
    kind: Kind,
    accepted: Vec<Accepted>,
    created: bool,
    warnings: Vec<Value>,
) -> Result<Response, Problem> {
    let Some(accepted) = accepted.into_iter().next() else {
        return Err(Problem::internal("nothing was accepted"));
    };
    let entity = kind.parse(&accepted.id).ok_or_else(|| Problem::internal("an id of another kind"))?;
    let json = show::show(app, &app.platform.catalogue(), caller, entity);
    let mut json = json.ok_or_else(|| Problem::internal("what was booked cannot be shown"))?;
    json["position"] = accepted.position.into();
    if !warnings.is_empty() {
        json["warnings"] = warnings.into();
    }
    let fresh = created && json["revision"] == 1;
    let mut response = answer(if fresh { StatusCode::CREATED } else { StatusCode::OK }, json);
    if let Ok(place) = format!("/v1/{}/{}", kind.plural(), accepted.id).parse() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The command that puts a thing; every fault at once, those of fields that cannot be read included.
fn command(
    app: &AppState,
    caller: &Caller,
    kind: Kind,
    entity: Option<EntityRef>,
    revision: Option<u32>,
    json: Value,
) -> Result<Command, Problem> {
    let (command, faults) = read_command(kind, entity, revision, json);
    settle(app, caller, command, faults)
}

/// The command that puts a thing, made up where a field cannot be read; and what cannot be read.
pub(crate) fn read_command(
    kind: Kind,
    entity: Option<EntityRef>,
    revision: Option<u32>,
    json: Value,
) -> (Option<Command>, Faults) {
    macro_rules! put {
        ($command:ident, $entity:ident) => {{
            let id = match entity {
                Some(EntityRef::$entity(id)) => Some(id),
                _ => None,
            };
            let read = parse::read(json);
            let command = read.value.map(|spec| Command::$command { id, revision, spec });
            (command, read.faults)
        }};
    }
    match kind {
        Kind::Site => put!(PutSite, Site),
        Kind::Placement => put!(PutPlacement, Placement),
        Kind::Segment => put!(PutSegment, Segment),
        Kind::Advertiser => put!(PutAdvertiser, Advertiser),
        Kind::Party => put!(PutParty, Party),
        Kind::Campaign => put!(PutCampaign, Campaign),
        Kind::AdSet => put!(PutAdSet, AdSet),
        Kind::Ad => put!(PutAd, Ad),
        Kind::Version => put!(PutVersion, Version),
    }
}

/// A command that was read whole; or every fault of it.
///
/// # Errors
/// 422.
pub fn settle(
    app: &AppState,
    caller: &Caller,
    command: Option<Command>,
    faults: Faults,
) -> Result<Command, Problem> {
    let Some(mut command) = command else { return Err(Problem::faults(faults)) };
    own(caller, &mut command);
    if faults.is_empty() {
        return Ok(command);
    }
    // The other fields are checked on a value made up for the ones that could not be read.
    let mut more = send::asset_faults(&app.platform, &command);
    more.0.append(&mut send::dry_faults(&app.platform, caller, &command).0);
    let told = |field: &str| faults.0.iter().any(|f| parse::covers(&f.field, field));
    let rest: Vec<_> = more.0.into_iter().filter(|fault| !told(&fault.field)).collect();
    Err(Problem::faults(Faults(faults.0.iter().cloned().chain(rest).collect())))
}
/// A limited caller's parties are its advertiser's.
pub fn own(caller: &Caller, command: &mut Command) {
    if let (Command::PutParty { spec, .. }, Some(own)) = (command, caller.scope_filter()) {
        spec.advertiser = spec.advertiser.or(Some(own));
    }
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusInput {
    status: Status,
}

/// Switches a thing on, off, or puts it away.
///
/// # Errors
/// 404; 422 for an unknown status.
pub async fn status(
    kind: Kind,
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let entity = kind.parse(&id).ok_or_else(|| unknown(&id))?;
    if !exists(&app, &caller, entity) {
        return Err(unknown(&id));
    }
    let input: StatusInput = parse::whole(&body)?;
    let accepted =
        send::send(&app, &caller, vec![Command::SetStatus { entity, status: input.status }]).await?;
    respond(&app, &caller, kind, accepted, false, Vec::new())
}

/// The publisher's settings.
///
/// # Errors
/// 404 before they are made.
pub async fn publisher(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let json = show::publisher(&app.platform.catalogue(), &caller);
    json.map(|j| answer(StatusCode::OK, j))
        .ok_or_else(|| Problem::not_found("publisher yet; PUT its settings"))
}

/// Makes or edits the publisher's settings.
///
/// # Errors
/// 409, 422.
pub async fn edit_publisher(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut json = parse::json(&body)?;
    let revision = revision(&headers, &mut json)?;
    let read = parse::read(json);
    let command = read.value.map(|spec| Command::PutPublisher { revision, spec });
    let command = settle(&app, &caller, command, read.faults)?;
    let accepted = send::send(&app, &caller, vec![command]).await?;
    let json = show::publisher(&app.platform.catalogue(), &caller);
    let mut json = json.ok_or_else(|| Problem::internal("no publisher after its booking"))?;
    json["position"] = accepted.first().map_or(0, |a| a.position).into();
    Ok(answer(StatusCode::OK, json))
}
