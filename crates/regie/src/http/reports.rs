//! Reports: what was served, shown, seen, clicked, done and charged, by hour or day and by what was booked.
//!
//! Figures are exact at the time of asking: the folds have read everything that was acknowledged before. Amounts of
//! different currencies are never added together: they are different rows. Rows are bounded; the answer says how to
//! get the rest.

mod exact;
pub mod page;
mod query;
mod write;

pub use exact::settle;
pub use query::{Dimension, Report, Row, Sums, Wanted, element_of, run};
pub use write::{csv, figures};

use super::{Access, AppState, Route, auth::Caller, problem::Problem};
use axum::{
    extract::{RawQuery, State},
    http::{Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::{
    Day, Faults, UtcHour, UtcMs, Zone,
    booking::{Role, Scope},
    time::HOUR_MS,
};
use std::sync::Arc;

/// Rows of one answer unless the request says less.
pub const ROWS_DEFAULT: usize = 10_000;
/// Rows of one answer at most.
pub const ROWS_MAX: usize = 50_000;

/// Who reads reports.
pub const READERS: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor],
    scope: Some(Scope::Read),
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route {
            owner: "reports",
            method: Method::GET,
            path: "/v1/reports",
            access: READERS,
            handler: get(api),
        },
        super::console::page("/console/reports", super::console::SIGNED, get(page::show)),
    ]
}

/// The query's pairs, and the faults found in them.
struct Asked {
    pairs: Vec<(String, String)>,
    faults: Faults,
}
impl Asked {
    fn one(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
    /// An id of a kind, as its number.
    fn id(&mut self, name: &str, prefix: &str) -> Option<u32> {
        let text = self.one(name)?;
        let number = text.strip_prefix(prefix).and_then(|t| t.strip_prefix('_')).and_then(|t| t.parse().ok());
        self.faults.when(number.is_none(), name, "malformed", format!("An id such as {prefix}_1."));
        number
    }
    /// The first hour of a day or time; for an end, the first hour after the day, or after the hour of the time.
    fn hour(&mut self, name: &str, zone: &Zone, default: Day, end: bool) -> UtcHour {
        let text = self.one(name).map(str::to_owned);
        let day = match &text {
            None => Some(default),
            Some(text) => Day::parse(text),
        };
        if let Some(day) = day {
            return zone.day_start(Day(day.0.saturating_add(i32::from(end)))).hour();
        }
        let at = text.as_deref().and_then(UtcMs::parse);
        let hint = "A day such as 2026-05-01, or a time such as 2026-05-01T08:00:00Z.";
        self.faults.when(at.is_none(), name, "malformed", hint);
        let at = at.unwrap_or_default();
        UtcMs(if end { at.0.saturating_add(HOUR_MS - 1) } else { at.0 }).hour()
    }
    fn dimensions(&mut self) -> Vec<Dimension> {
        let text = self.one("by").unwrap_or("campaign").to_owned();
        let mut by = Vec::new();
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            match Dimension::from_word(word) {
                Some(dimension) if !by.contains(&dimension) => by.push(dimension),
                Some(_) => {}
                None => {
                    let known = format!("\"{word}\" is no dimension; known are {}.", Dimension::words());
                    self.faults.add("by", "unknown", known);
                }
            }
        }
        by
    }
    fn number(&mut self, name: &str, default: usize, max: usize) -> usize {
        let number = self.one(name).map_or(Some(default), |t| t.parse().ok()).filter(|n| *n <= max);
        self.faults.when(number.is_none(), name, "out_of_range", format!("A whole number up to {max}."));
        number.unwrap_or(default)
    }
}

/// Reads the query of a report: `from`, `to` (days, both included, in `zone`; or times), `by`, filters by id, `limit`,
/// `cursor`, `format`.
///
/// # Errors
/// 422 with every fault by parameter.
pub fn parse(app: &AppState, caller: &Caller, raw: &str) -> Result<Wanted, Problem> {
    let pairs = url::form_urlencoded::parse(raw.as_bytes()).map(|(n, v)| (n.into_owned(), v.into_owned()));
    let mut asked = Asked { pairs: pairs.collect(), faults: Faults::new() };
    let zone = match asked.one("zone") {
        Some(name) => Zone::parse(name),
        None => Some(super::console::act::zone(app)),
    };
    asked.faults.when(zone.is_none(), "zone", "unknown", "A time zone such as Europe/Paris.");
    let zone = zone.unwrap_or_else(Zone::utc);
    let today = zone.day(app.platform.now());
    let to = asked.hour("to", &zone, today, true);
    let from = asked.hour("from", &zone, Day(today.0 - 30), false);
    asked.faults.when(from >= to, "to", "contradiction", "The end is before the start.");
    let format = asked.one("format").unwrap_or("json").to_owned();
    asked.faults.when(!["json", "csv"].contains(&format.as_str()), "format", "unknown", "json or csv.");
    let others = asked.id("advertiser", "adv");
    if others.is_some_and(|id| !caller.may_see(regie_model::AdvertiserId(id))) {
        return Err(Problem::forbidden("This is another advertiser's."));
    }
    let wanted = Wanted {
        from,
        to,
        zone,
        by: asked.dimensions(),
        campaign: asked.id("campaign", "cam"),
        ad_set: asked.id("ad_set", "set"),
        ad: asked.id("ad", "ad"),
        version: asked.id("version", "ver"),
        placement: asked.id("placement", "plc"),
        advertiser: caller.scope_filter().map(|a| a.0).or(others),
        sees_all: caller.sees_everything(),
        limit: asked.number("limit", ROWS_DEFAULT, ROWS_MAX).max(1),
        after: asked.number("cursor", 0, usize::MAX),
        csv: format == "csv",
    };
    asked.faults.into_result().map_err(Problem::faults)?;
    Ok(wanted)
}

/// Takes a report, exact at the time of asking.
///
/// # Errors
/// As [`settle`] and [`run`].
pub async fn take(app: &AppState, wanted: Wanted) -> Result<Report, Problem> {
    let position = settle(app).await?;
    let app = Arc::clone(app);
    let work = move || run(&app, &wanted, position);
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

async fn api(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let wanted = parse(&app, &caller, raw.as_deref().unwrap_or(""))?;
    let csv = wanted.csv;
    let report = take(&app, wanted).await?;
    if csv {
        let name = "attachment; filename=\"report.csv\"";
        let headers =
            [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
        return Ok((headers, write::csv(&report).map_err(Problem::internal)?).into_response());
    }
    Ok(axum::Json(write::json(&report)).into_response())
}
