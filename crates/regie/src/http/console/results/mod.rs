//! What came of a campaign: spend against plan by day, the period before beside it, and by version, element of a template,
//! place, hour of the day, country and device. One reading, from the same rows as reports: the page draws it, and
//! `GET /v1/campaigns/{id}/results` says it.

mod page;

pub use page::interval;

use super::{SIGNED, act};
use crate::http::{
    AppState, Route,
    auth::Caller,
    problem::Problem,
    reports::{self, Dimension, READERS, Row, Sums, Wanted},
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::get,
};
use regie_ledger::Counters;
use regie_model::{CampaignId, Currency, Day, Faults, UtcMs, Zone, booking::CampaignSpec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Days that a period has unless another is asked for.
const DAYS: i32 = 14;
/// Days of one period at most.
const DAYS_MAX: i32 = 400;
/// Rows of each breakdown.
const ROWS: usize = 20;
/// By what results are broken down.
const PARTS: [Dimension; 6] = [
    Dimension::Version,
    Dimension::Element,
    Dimension::Placement,
    Dimension::HourOfDay,
    Dimension::Country,
    Dimension::Device,
];

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        super::page("/console/campaigns/{id}/results", SIGNED, get(page::show)),
        Route {
            owner: "results",
            method: Method::GET,
            path: "/v1/campaigns/{id}/results",
            access: READERS,
            handler: get(api),
        },
    ]
}

/// What a query asks for.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Asked {
    from: String,
    to: String,
    by: String,
    /// First day of the period to compare with; the one right before when absent.
    against: String,
}

/// A period of whole days in the account's zone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Period {
    from: Day,
    to: Day,
}
impl Period {
    /// The last days up to today, or what is asked for.
    fn asked(asked: &Asked, today: Day) -> Period {
        let to = Day::parse(&asked.to).unwrap_or(today);
        let from = Day::parse(&asked.from).unwrap_or(Day(to.0 - DAYS + 1)).clamp(Day(to.0 - DAYS_MAX), to);
        Period { from, to }
    }
    fn days(self) -> i32 {
        self.to.0 - self.from.0 + 1
    }
    /// The same number of days from the day that is asked for on, else right before.
    fn other(self, asked: &Asked) -> Period {
        let from = Day::parse(&asked.against).unwrap_or(Day(self.from.0 - self.days()));
        Period { from, to: Day(from.0 + self.days() - 1) }
    }
}

/// What came of a campaign in a period.
struct Results {
    campaign: CampaignId,
    spec: CampaignSpec,
    zone: Zone,
    currency: Currency,
    period: Period,
    /// The period that it is compared with, as long.
    other: Period,
    position: u64,
    days: BTreeMap<String, Counters>,
    total: Counters,
    before: Counters,
    parts: Vec<(Dimension, Vec<Row>)>,
}

fn wanted(campaign: CampaignId, zone: &Zone, period: Period, by: Vec<Dimension>) -> Wanted {
    Wanted {
        from: zone.day_start(period.from).hour(),
        to: zone.day_start(Day(period.to.0 + 1)).hour(),
        zone: zone.clone(),
        by,
        campaign: Some(campaign.0),
        ad_set: None,
        ad: None,
        version: None,
        placement: None,
        advertiser: None,
        sees_all: false,
        limit: 10_000,
        after: 0,
        csv: false,
    }
}

/// Takes the results that are asked for, exact at the time of asking.
///
/// # Errors
/// Not found, also when the campaign is somebody else's; as reports.
async fn take(
    app: &AppState,
    caller: &Caller,
    id: &str,
    asked: &Asked,
    parts: Vec<Dimension>,
) -> Result<Results, Problem> {
    let id: CampaignId = id.parse().map_err(|_| act::missing(id))?;
    let (spec, zone, currency) = {
        let catalogue = app.platform.catalogue();
        let advertiser = act::see_campaign(&catalogue, caller, id)?;
        let spec = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?.spec.clone();
        let currency = catalogue.advertisers.get(&advertiser).map_or(Currency::EUR, |a| a.spec.currency);
        (spec, act::account_zone(&catalogue, advertiser), currency)
    };
    let period = Period::asked(asked, zone.day(app.platform.now()));
    let other = period.other(asked);
    let position = reports::settle(app).await?;
    let app = Arc::clone(app);
    let work = move || {
        let rows = |period, by| reports::run(&app, &wanted(id, &zone, period, by), position).map(|r| r.rows);
        let days = rows(period, vec![Dimension::Day])?;
        let before = rows(other, vec![Dimension::Day])?;
        let mut found = Vec::new();
        for by in parts {
            found.push((by, part(rows(period, dimensions(by))?, by)));
        }
        let key = |row: &Row| row.keys.first().map_or_else(String::new, |(_, k)| k.clone());
        Ok(Results {
            campaign: id,
            total: sum(&days),
            before: sum(&before),
            days: days.iter().map(|r| (key(r), r.sums.counters)).collect(),
            parts: found,
            spec,
            zone: zone.clone(),
            currency,
            period,
            other,
            position,
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}
/// A version of a template is known only together with its ad.
fn dimensions(by: Dimension) -> Vec<Dimension> {
    if by == Dimension::Version { vec![Dimension::Ad, by] } else { vec![by] }
}
/// Hours in their order; everything else by what was shown most. What belongs to no template has no element.
fn part(mut rows: Vec<Row>, by: Dimension) -> Vec<Row> {
    if by == Dimension::Element {
        rows.retain(|row| row.keys.iter().all(|(_, key)| !key.is_empty()));
    }
    if by != Dimension::HourOfDay {
        rows.sort_by_key(|r| std::cmp::Reverse(r.sums.counters.impressions_count));
        rows.truncate(if by == Dimension::Element { 3 * ROWS } else { ROWS });
    }
    rows
}
fn sum(rows: &[Row]) -> Counters {
    let mut all = Counters::default();
    rows.iter().for_each(|r| all.add(&r.sums.counters));
    all
}

/// What should have been spent by then, spread evenly over the flight, in nanos; nothing without budget or end.
fn planned(spec: &CampaignSpec, until: UtcMs) -> Option<i128> {
    let (budget, end) = (spec.lifetime_budget_micros?, spec.flight.ends_at?);
    let whole = i128::from(end.0 - spec.flight.starts_at.0).max(1);
    let part = i128::from(until.0 - spec.flight.starts_at.0).clamp(0, whole);
    Some(budget.to_nanos().0 * part / whole)
}

async fn api(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let mut faults = Faults::new();
    for (name, text) in [("from", &asked.from), ("to", &asked.to), ("against", &asked.against)] {
        let bad = !text.is_empty() && Day::parse(text).is_none();
        faults.when(bad, name, "malformed", "A day such as 2026-05-01.");
    }
    let words = asked.by.split(',').map(str::trim).filter(|w| !w.is_empty());
    let mut parts = Vec::new();
    for word in words {
        match PARTS.into_iter().find(|d| d.word() == word) {
            Some(part) => parts.push(part),
            None => {
                let known = PARTS.map(Dimension::word).join(", ");
                faults.add("by", "unknown", format!("\"{word}\" is none of {known}."));
            }
        }
    }
    faults.into_result().map_err(Problem::faults)?;
    let parts = if asked.by.is_empty() { PARTS.to_vec() } else { parts };
    let results = take(&app, &caller, &id, &asked, parts).await?;
    Ok(Json(told(&results)).into_response())
}

/// The figures of a row, with the limits of its click rate.
fn figures(counters: Counters, currency: Currency) -> Value {
    let mut json = reports::figures(&Sums { currency, counters });
    let (low, high) = interval(counters.clicks_count, counters.impressions_count);
    json["click_rate_low_ppm"] = low.into();
    json["click_rate_high_ppm"] = high.into();
    json
}
fn told(results: &Results) -> Value {
    let Results { period, currency, zone, spec, .. } = results;
    let start = planned(spec, zone.day_start(period.from));
    let day = |number: i32| {
        let counters = results.days.get(&Day(number).to_string()).copied().unwrap_or_default();
        let due = planned(spec, zone.day_start(Day(number + 1))).zip(start).map(|(p, s)| p - s);
        let mut json = figures(counters, *currency);
        json["day"] = Day(number).to_string().into();
        json["planned_nanos"] = due.and_then(|nanos| i64::try_from(nanos).ok()).into();
        json
    };
    let row = |row: &Row| {
        let mut json = figures(row.sums.counters, *currency);
        row.keys.iter().for_each(|(dimension, key)| json[dimension.word()] = key.clone().into());
        json
    };
    let parts = results.parts.iter().map(|(by, rows)| (by.word().to_owned(), rows.iter().map(row).collect()));
    let before = results.other;
    json!({
        "campaign": results.campaign, "from": period.from, "to": period.to, "zone": zone.name(),
        "currency": currency, "position": results.position,
        "totals": figures(results.total, *currency),
        "before": { "from": before.from, "to": before.to, "totals": figures(results.before, *currency) },
        "days": (period.from.0..=period.to.0).map(day).collect::<Vec<_>>(),
        "by": parts.collect::<serde_json::Map<String, Value>>(),
        "about": "planned_nanos: what an even plan would have spent since the first day; click_rate_*_ppm: Wilson's interval, 95%.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_before_is_as_long_and_ends_the_day_before() {
        let period = Period { from: Day(100), to: Day(106) };
        let before = period.other(&Asked::default());
        assert_eq!((before.from.0, before.to.0, before.days()), (93, 99, 7));
        let asked = Asked { against: "2025-11-27".into(), ..Asked::default() };
        let last_year = period.other(&asked);
        assert_eq!((last_year.from.to_string(), last_year.days()), ("2025-11-27".into(), 7));
    }
    #[test]
    fn a_period_is_bounded_and_never_backwards() {
        let asked = |from: &str, to: &str| Asked { from: from.into(), to: to.into(), ..Asked::default() };
        let today = Day::parse("2026-11-27").unwrap_or_default();
        assert_eq!(Period::asked(&asked("", ""), today), Period { from: Day(today.0 - 13), to: today });
        assert_eq!(Period::asked(&asked("2020-01-01", ""), today).days(), DAYS_MAX + 1);
        assert_eq!(Period::asked(&asked("2026-12-24", "2026-12-01"), today).days(), 1);
    }
}
