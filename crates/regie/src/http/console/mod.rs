//! The console: HTML pages for ad operations and advertisers, and the frame that all pages share.
//!
//! Server-rendered; everything works without scripts. Reads the catalogue and the ledger, acts only by commands.
//! Refuses to show one advertiser another's things: every page asks [`act`] what the caller may see.

pub mod accounts;
pub mod act;
pub mod ads;
pub mod book_ad;
pub mod book_campaign;
pub mod book_house;
pub mod book_set;
pub mod campaigns;
pub mod complaints;
pub mod dashboard;
pub mod delivery;
pub mod design;
pub mod duplicate;
pub mod form;
pub mod frames;
pub mod groupings;
pub mod guide;
pub mod history;
pub mod inventory;
pub mod layout;
pub mod learning;
pub mod live;
pub mod operator;
pub mod people;
pub mod plot;
pub mod repository;
pub mod results;
pub mod review;
pub mod stops;
pub mod targeting_rows;
pub mod ui;
pub mod undo;
pub mod votes;
pub mod why;

use super::{Access, AppState, Route, auth::Caller, problem::Problem};
use axum::{http::Method, routing::MethodRouter};
use regie_model::booking::{Role, Scope};

/// Everybody who is signed in.
pub const SIGNED: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor],
    scope: None,
};
/// The publisher's own people.
pub const HOUSE: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::ReadOnly, Role::Auditor], scope: None };
/// Who books.
pub const BOOKS: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::Advertiser], scope: None };
/// Who runs the house.
pub const OPERATES: Access = Access::Signed { roles: &[Role::Owner, Role::AdOperations], scope: None };
/// Who sees users and tokens.
pub const PEOPLE: Access = Access::Signed { roles: &[Role::Owner, Role::Auditor], scope: None };
/// Who changes users and tokens.
pub const OWNER: Access = Access::Signed { roles: &[Role::Owner], scope: None };

/// The publisher's own people and their programs; handlers ask [`whole_house`] as well, since a token may be limited.
pub(crate) const HOUSE_READ: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::ReadOnly, Role::Auditor],
    scope: Some(Scope::Read),
};
/// Who runs the house, and their programs; handlers ask [`whole_house`] as well.
pub(crate) const OPERATES_BY_PROGRAM: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations], scope: Some(Scope::Operate) };

/// Lets in who sees the whole house.
///
/// # Errors
/// 403 for a token that is limited to one advertiser.
pub(crate) fn whole_house(caller: &Caller) -> Result<(), Problem> {
    if caller.sees_everything() { Ok(()) } else { Err(Problem::forbidden("This is the publisher's own.")) }
}
/// The data of a page, under `/v1`.
pub(crate) fn twin(
    owner: &'static str,
    path: &'static str,
    access: Access,
    handler: MethodRouter<AppState>,
) -> Route {
    Route { owner, method: Method::GET, path, access, handler }
}

/// A page to read.
pub(crate) fn page(path: &'static str, access: Access, handler: MethodRouter<AppState>) -> Route {
    Route { owner: "console", method: Method::GET, path, access, handler }
}
/// A form to send.
pub(crate) fn action(path: &'static str, access: Access, handler: MethodRouter<AppState>) -> Route {
    Route { owner: "console", method: Method::POST, path, access, handler }
}

/// The console's routes.
pub fn routes() -> Vec<Route> {
    let mut all = layout::routes();
    all.extend(dashboard::routes());
    all.extend(live::routes());
    all.extend(campaigns::routes());
    all.extend(ads::routes());
    all.extend(frames::routes());
    all.extend(review::routes());
    all.extend(inventory::routes());
    all.extend(accounts::routes());
    all.extend(history::routes());
    all.extend(stops::routes());
    all.extend(complaints::routes());
    all.extend(votes::routes());
    all.extend(groupings::routes());
    all.extend(repository::routes());
    all.extend(people::routes());
    all.extend(guide::routes());
    all.extend(book_campaign::routes());
    all.extend(book_set::routes());
    all.extend(book_ad::routes());
    all.extend(book_house::routes());
    all.extend(design::routes());
    all.extend(learning::routes());
    all.extend(delivery::routes());
    all.extend(results::routes());
    all.extend(duplicate::routes());
    all.extend(undo::routes());
    all.extend(operator::routes());
    all
}
