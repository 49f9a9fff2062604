//! Reports made by the clock: ordered for a campaign, each day or each week, made by the server as CSV and kept as files
//! that people and programs fetch. The same rows as `GET /v1/reports`.
//!
//! Who may see a campaign may see its orders and files, asked each time; who may book may order. Refuses periods that are
//! not over: a file is exact for good.

mod make;
mod page;

use make::LATE_DAYS;
pub use make::{round, spawn};

use super::{
    Access, AppState, Route,
    auth::{Caller, caller::Who},
    booking::{BOOK, parse},
    console::{self, act},
    problem::Problem,
    reports::{Dimension, READERS},
};
use crate::desk::{Every, FILE_DAYS_DEFAULT, FILE_DAYS_MAX, File, NewOrder, Order};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use regie_model::{CampaignId, Faults};
use serde::Deserialize;
use serde_json::{Value, json};

/// Files of one list.
const FILES_MAX: usize = 500;
/// By what a report is made unless another is asked for.
const BY_DEFAULT: &str = "day,version";

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let own = |method, path, access: Access, handler: MethodRouter<AppState>| Route {
        owner: "downloads",
        method,
        path,
        access,
        handler,
    };
    vec![
        own(Method::GET, "/v1/report-orders", READERS, get(list_orders)),
        own(Method::POST, "/v1/report-orders", BOOK, post(order)),
        own(Method::POST, "/v1/report-orders/{id}/end", BOOK, post(end)),
        own(Method::GET, "/v1/report-files", READERS, get(list_files)),
        own(Method::GET, "/v1/report-files/{id}", READERS, get(file)),
        console::page("/console/downloads", console::SIGNED, get(page::show)),
        console::action("/console/downloads", console::BOOKS, post(page::order)),
        console::action("/console/downloads/{id}/end", console::BOOKS, post(page::end)),
        console::page("/console/downloads/{id}", console::SIGNED, get(file)),
    ]
}

/// What this route takes, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    campaign: CampaignId,
    every: Every,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    keep_days: Option<u32>,
    #[serde(default)]
    mail: bool,
}

/// Places an order, if it makes sense and the campaign is the caller's to see.
///
/// # Errors
/// 422 with every fault by field; 409 when there are too many.
async fn place(app: &AppState, caller: &Caller, input: Input) -> Result<i64, Problem> {
    let (advertiser, zone) = {
        let catalogue = app.platform.catalogue();
        let advertiser = act::see_campaign(&catalogue, caller, input.campaign)?;
        (advertiser, act::account_zone(&catalogue, advertiser))
    };
    let mut faults = Faults::new();
    let by = input.by.filter(|by| !by.is_empty()).unwrap_or_else(|| BY_DEFAULT.to_owned());
    let unknown = by.split(',').find(|word| Dimension::from_word(word.trim()).is_none());
    faults.when(unknown.is_some(), "by", "unknown", format!("Known are {}.", Dimension::words()));
    let keep_days = input.keep_days.unwrap_or(FILE_DAYS_DEFAULT);
    let odd = !(1..=FILE_DAYS_MAX).contains(&keep_days);
    faults.when(odd, "keep_days", "out_of_range", format!("A whole number up to {FILE_DAYS_MAX}."));
    let user = match caller.who {
        Who::User(user) => Some(user),
        Who::Token(_) => None,
    };
    let mails = crate::mail::is_configured(&app.config) && user.is_some();
    faults.when(
        input.mail && !mails,
        "mail",
        "unavailable",
        "Mail is not set up here, or you are no person.",
    );
    faults.into_result().map_err(Problem::faults)?;
    let what = NewOrder {
        advertiser,
        campaign: input.campaign,
        user,
        every: input.every,
        by,
        keep_days,
        has_mail: input.mail,
    };
    let now = app.platform.now();
    Ok(app.desk.place_order(&what, zone.day(now), now)?)
}

/// Ends an order that the caller may see.
///
/// # Errors
/// Not found.
fn finish(app: &AppState, caller: &Caller, id: &str) -> Result<(), Problem> {
    let orders = app.desk.orders(caller.scope_filter())?;
    let order = orders.iter().find(|o| o.id.to_string() == id).ok_or_else(|| act::missing(id))?;
    Ok(app.desk.end_order(order.id)?)
}

fn order_json(order: &Order) -> Value {
    json!({
        "id": order.id, "campaign": order.what.campaign, "advertiser": order.what.advertiser, "every": order.what.every,
        "by": order.what.by, "keep_days": order.what.keep_days, "mail": order.what.has_mail, "made_until": order.made_until,
        "created_at": order.created_at, "problem": order.problem,
    })
}
fn file_json(file: &File) -> Value {
    json!({
        "id": file.id, "order": file.order, "campaign": file.campaign, "advertiser": file.advertiser, "from": file.first,
        "to": file.last, "made_at": file.made_at, "keep_until": file.keep_until, "size_bytes": file.size_bytes,
        "rows_count": file.rows_count, "name": file.name, "path": format!("/v1/report-files/{}", file.id),
    })
}

async fn list_orders(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let orders = app.desk.orders(caller.scope_filter())?;
    Ok(Json(json!({ "orders": orders.iter().map(order_json).collect::<Vec<_>>() })).into_response())
}
async fn order(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let id = place(&app, &caller, parse::whole(&body)?).await?;
    let orders = app.desk.orders(caller.scope_filter())?;
    let placed = orders.iter().find(|o| o.id == id).map(order_json);
    Ok((StatusCode::CREATED, Json(placed.unwrap_or(Value::Null))).into_response())
}
async fn end(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    finish(&app, &caller, &id)?;
    Ok(Json(json!({ "id": id })).into_response())
}
async fn list_files(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let files = app.desk.files(caller.scope_filter(), FILES_MAX)?;
    let rows = files.iter().map(file_json).collect::<Vec<_>>();
    Ok(Json(json!({ "files": rows, "limit": FILES_MAX })).into_response())
}
/// One file, for whom its advertiser's things may be seen; somebody else's is not there.
async fn file(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let number = id.parse().map_err(|_| act::missing(&id))?;
    let found = app.desk.file(number)?.filter(|(file, _)| caller.may_see(file.advertiser));
    let (file, text) = found.ok_or_else(|| act::missing(&id))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, text).into_response())
}
