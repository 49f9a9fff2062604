//! HTTP: routes with their access, the application's state, and the one place where errors become answers.
//!
//! Every route stands in a table with who may call it; there is no other way to add one. The few that need no sign-in
//! are a golden file (`tests/golden/endpoints.txt`). Refuses business rules.

pub mod accounts;
pub mod auth;
pub mod billing;
pub mod booking;
pub mod bulk;
pub mod click;
pub mod console;
pub mod conversions;
pub mod creatives;
pub mod decisions;
pub mod downloads;
pub mod events;
pub mod facts;
pub mod forecast;
pub mod frames;
pub mod health;
pub mod labels;
pub mod learning;
pub mod log;
pub mod mirror;
pub mod openapi;
pub mod preview;
pub mod problem;
pub mod record;
pub mod record_twins;
pub mod reports;
pub mod serve;
pub mod study;
pub mod tag;
pub mod uploads;

use crate::{config::Config, platform::Platform};
use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method},
    routing::MethodRouter,
};
use regie_model::booking::{Role, Scope};
use std::sync::Arc;

/// The application as handlers see it.
pub struct App {
    /// Everything behind HTTP.
    pub platform: Arc<Platform>,
    /// Settings of this process.
    pub config: Config,
    /// Country, region, city by address, where a database is configured.
    pub geo: Option<maxminddb::Reader<Vec<u8>>>,
    /// Parsed creatives by the first bytes of their hash.
    pub creatives: creatives::Creatives,
    /// Counters of this process.
    pub metrics: health::Metrics,
    /// The record's log.
    pub log: Arc<crate::platform::log::RecordLog>,
    /// This server as a witness of other logs, where it is one.
    pub witness: Option<crate::platform::log::own_witness::OwnWitness>,
    /// This server as a mirror of other logs, where it is one.
    pub mirror: Option<Arc<crate::platform::log::own_mirror::OwnMirror>>,
    /// What publishes into the record, and what it published.
    pub publication: Arc<crate::publication::Publication>,
    /// Fair limits of the record's open interface.
    pub record_limits: record::limits::Limits,
    /// The completeness counter's last answer.
    pub completeness: record::completeness::Kept,
    /// Held while the hashes of bulk files are made.
    pub bulk_files: std::sync::Mutex<()>,
    /// The data folder.
    pub folder: std::path::PathBuf,
    /// Tables of bookings that are being taken in.
    pub bulk: bulk::Jobs,
    /// Drafts of bookings and reports made by the clock.
    pub desk: crate::desk::Desk,
    /// Archives, groupings and published reports; apart from everything above.
    pub study: Arc<study::Study>,
}

/// The state of handlers.
pub type AppState = Arc<App>;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: the golden file lists these.
    Public,
    /// A signed-in person of one of these roles, or a token with this scope.
    Signed {
        /// Roles that may.
        roles: &'static [Role],
        /// Scope that a token needs; none means that no token may.
        scope: Option<Scope>,
    },
}

/// One route: owner (the module that returns it), method, path, access, handler.
pub struct Route {
    /// Which room of the server answers for it.
    pub owner: &'static str,
    /// Method.
    pub method: Method,
    /// Path as axum writes it.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// What answers.
    pub handler: MethodRouter<AppState>,
}

impl Route {
    /// A route anybody may call.
    pub fn public(
        owner: &'static str,
        method: Method,
        path: &'static str,
        handler: MethodRouter<AppState>,
    ) -> Route {
        Route { owner, method, path, access: Access::Public, handler }
    }
}

/// Every route of the server.
pub fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    all.extend(decisions::routes());
    all.extend(events::routes());
    all.extend(click::routes());
    all.extend(conversions::routes());
    all.extend(frames::routes());
    all.extend(health::routes());
    all.extend(reports::routes());
    all.extend(downloads::routes());
    all.extend(tag::routes());
    all.extend(accounts::routes());
    all.extend(booking::routes());
    all.extend(bulk::routes());
    all.extend(forecast::routes());
    all.extend(learning::routes());
    all.extend(uploads::routes());
    all.extend(preview::routes());
    all.extend(console::routes());
    all.extend(record::routes());
    all.extend(record_twins::routes());
    all.extend(log::routes());
    all.extend(mirror::routes());
    all.extend(billing::routes());
    all.extend(study::routes());
    all.extend(crate::i18n::choice::routes());
    all.extend(openapi::own_routes());
    all
}

/// The server's router: every route that is not public stands behind the guard.
pub fn router(app: AppState) -> Router {
    let mut router: Router<AppState> = Router::new();
    for route in routes() {
        let handler = match route.access {
            Access::Public => route.handler,
            access => {
                let guarded = auth::guard::Guarded { app: Arc::clone(&app), access };
                route.handler.route_layer(axum::middleware::from_fn_with_state(guarded, auth::guard::guard))
            }
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::map_response(problem::problem_of_plain))
        .layer(axum::middleware::from_fn(crate::i18n::negotiate))
        .with_state(app)
}

/// Content types and caching in few words.
pub(crate) fn header(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}
