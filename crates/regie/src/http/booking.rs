//! The booking API: everything that can be booked, under `/v1`, from the same commands as the console and the imports.
//!
//! Refuses rules of its own: whether a booking is sound is `regie_model::command::plan`'s; whose it is, `scope`'s.

pub mod entities;
pub mod history;
pub mod kind;
pub mod operate;
pub mod parse;
pub mod scope;
pub mod send;
pub mod show;

use super::{Access, AppState, Route};
use axum::{
    extract::DefaultBodyLimit,
    http::Method,
    routing::{MethodRouter, get, post, put},
};
use kind::Kind;
use regie_model::{
    booking::{Role, Scope},
    limits::COMMAND_BODY_BYTES_MAX,
};

/// Everybody who may read bookings.
pub(super) const READ: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor],
    scope: Some(Scope::Read),
};
/// Campaigns and what is in them.
pub(super) const BOOK: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::Advertiser], scope: Some(Scope::Book) };
/// What is the publisher's.
const INVENTORY: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations], scope: Some(Scope::Book) };
/// Approvals, switches, money.
const OPERATE: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations], scope: Some(Scope::Operate) };
/// Erasing a person: for ever.
const ERASE: Access = Access::Signed { roles: &[Role::Owner], scope: None };
/// The journal's history.
const HISTORY: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::Auditor],
    scope: Some(Scope::Read),
};

macro_rules! entity_routes {
    ($all:ident, $(($kind:ident, $path:literal);)*) => {$(
        let write = if Kind::$kind.is_bookers() { BOOK } else { INVENTORY };
        let list = get(|app, caller, query| entities::list(Kind::$kind, app, caller, query));
        let create = post(|app, caller, body| entities::create(Kind::$kind, app, caller, body));
        let one = get(|app, caller, id| entities::one(Kind::$kind, app, caller, id));
        let edit = put(|app, caller, id, headers, body| entities::edit(Kind::$kind, app, caller, id, headers, body));
        let status = post(|app, caller, id, body| entities::status(Kind::$kind, app, caller, id, body));
        $all.push(row(Method::GET, concat!("/v1/", $path), READ, list));
        $all.push(row(Method::POST, concat!("/v1/", $path), write, create));
        $all.push(row(Method::GET, concat!("/v1/", $path, "/{id}"), READ, one));
        $all.push(row(Method::PUT, concat!("/v1/", $path, "/{id}"), write, edit));
        $all.push(row(Method::POST, concat!("/v1/", $path, "/{id}/status"), write, status));
    )*};
}

fn row(method: Method, path: &'static str, access: Access, handler: MethodRouter<AppState>) -> Route {
    // Bodies somewhat over their limit are read, so that the sender hears the answer; the handlers refuse them.
    let read_max =
        if path == "/v1/commands" { operate::COMMANDS_BODY_BYTES_MAX } else { 4 * COMMAND_BODY_BYTES_MAX };
    let handler = handler.layer(DefaultBodyLimit::max(read_max));
    Route { owner: "booking", method, path, access, handler }
}

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let mut all = vec![
        row(Method::GET, "/v1/publisher", READ, get(entities::publisher)),
        row(Method::PUT, "/v1/publisher", INVENTORY, put(entities::edit_publisher)),
        row(Method::POST, "/v1/commands", BOOK, post(operate::commands)),
        row(Method::POST, "/v1/reviews", OPERATE, post(operate::review)),
        row(Method::GET, "/v1/reviews/queue", READ, get(operate::queue)),
        row(Method::GET, "/v1/stops", READ, get(operate::stops)),
        row(Method::POST, "/v1/stops", OPERATE, post(operate::stop)),
        row(Method::POST, "/v1/advertisers/{id}/deposits", OPERATE, post(operate::deposit)),
        row(Method::POST, "/v1/parties/{id}/erase", ERASE, post(operate::erase)),
        row(Method::GET, "/v1/history", HISTORY, get(history::history)),
    ];
    entity_routes!(all,
        (Site, "sites");
        (Placement, "placements");
        (Segment, "segments");
        (Advertiser, "advertisers");
        (Party, "parties");
        (Campaign, "campaigns");
        (AdSet, "ad-sets");
        (Ad, "ads");
        (Version, "versions");
    );
    all
}
