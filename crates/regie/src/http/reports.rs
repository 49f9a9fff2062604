//! Reports: hourly roll-ups by what people ask for, exact as of the moment of asking, as JSON and CSV.
//!
//! Before answering, the folds catch up with the journal's head and are written; so an acknowledged event is in the
//! report. Amounts of different currencies are never added up: each row belongs to one campaign's currency, or says
//! `mixed` and has no amount.

use super::{Access, AppState, Route, auth::Caller, problem::Problem};
use axum::{
    extract::{Query, State},
    http::{Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, Day, Nanos, PlacementId, UtcHour, VersionId, Zone,
    booking::{Role, Scope},
    catalogue::Catalogue,
    ticket::DeviceClass,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one report at most.
pub const ROWS_MAX: usize = 50_000;
/// How long a report waits for the folds, in milliseconds.
const CATCH_UP_MS: u64 = 5_000;

/// Who reads reports.
pub const READERS: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor],
    scope: Some(Scope::Read),
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![Route {
        owner: "reports",
        method: Method::GET,
        path: "/v1/reports",
        access: READERS,
        handler: get(report),
    }]
}

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// First day (`YYYY-MM-DD`, publisher's zone); 30 days back when absent.
    pub from: Option<String>,
    /// Last day; today when absent.
    pub to: Option<String>,
    /// Comma-separated dimensions: hour, day, campaign, ad_set, ad, version, placement, country, device.
    pub by: Option<String>,
    /// Only this campaign.
    pub campaign: Option<CampaignId>,
    /// Only this advertiser.
    pub advertiser: Option<AdvertiserId>,
    /// `json` or `csv`.
    pub format: Option<String>,
}

/// What a row can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// UTC hour.
    Hour,
    /// Day in the publisher's zone.
    Day,
    /// Campaign.
    Campaign,
    /// Ad set.
    AdSet,
    /// Ad.
    Ad,
    /// Version.
    Version,
    /// Placement.
    Placement,
    /// Country.
    Country,
    /// Device class.
    Device,
}
const DIMENSIONS: [(&str, Dimension); 9] = [
    ("hour", Dimension::Hour),
    ("day", Dimension::Day),
    ("campaign", Dimension::Campaign),
    ("ad_set", Dimension::AdSet),
    ("ad", Dimension::Ad),
    ("version", Dimension::Version),
    ("placement", Dimension::Placement),
    ("country", Dimension::Country),
    ("device", Dimension::Device),
];

/// One row: its names, its counts, its rates.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// The dimensions asked for, in order.
    #[serde(flatten)]
    pub names: BTreeMap<&'static str, String>,
    /// Ads handed out.
    pub served_count: u64,
    /// Ads shown.
    pub impressions_count: u64,
    /// Ads seen (MRC).
    pub viewable_count: u64,
    /// Clicks.
    pub clicks_count: u64,
    /// Conversions.
    pub conversions_count: u64,
    /// ISO 4217 code, or `mixed`: then the row has no amounts.
    pub currency: String,
    /// Charged, before credits; absent when the currency is mixed.
    pub gross_nanos: Option<i64>,
    /// Given back.
    pub credited_nanos: Option<i64>,
    /// Charged and kept.
    pub net_nanos: Option<i64>,
    /// Charged and kept, as decimal text.
    pub net: Option<String>,
    /// Delivered without being charged.
    pub free_nanos: Option<i64>,
    /// Share of impressions that were seen.
    pub viewability: Option<f64>,
    /// Clicks per impression.
    pub click_rate: Option<f64>,
    /// Conversions per click.
    pub conversion_rate: Option<f64>,
    /// Net spend per thousand impressions, nanos.
    pub ecpm_nanos: Option<i64>,
    /// Served ads of which no impression came back, as a share: lost, blocked, or still under way.
    pub loss: Option<f64>,
}

/// Events that were not counted.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Kind of event.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// First day.
    pub from: Day,
    /// Last day.
    pub to: Day,
    /// Zone of the days.
    pub zone: String,
    /// Journal position up to which everything is counted.
    pub position: u64,
    /// Rows, in order of their names.
    pub rows: Vec<Row>,
    /// Duplicates, late, forged and other refused events, for callers who see everything.
    pub refused: Vec<Refused>,
}

async fn report(
    State(app): State<AppState>,
    caller: Caller,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    let csv = match question.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => return Err(Problem::bad_request(format!("format is json or csv, not {other:?}"))),
    };
    let dimensions = dimensions(&question)?;
    let asked = dimensions.clone();
    let report = tokio::task::spawn_blocking(move || answer(&app, &caller, &question, &asked))
        .await
        .map_err(Problem::internal)??;
    if csv {
        let text = to_csv(&report, &dimensions).map_err(Problem::internal)?;
        return Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response());
    }
    Ok(axum::Json(report).into_response())
}

/// The dimensions asked for.
///
/// # Errors
/// An unknown one, named.
pub fn dimensions(question: &Question) -> Result<Vec<(&'static str, Dimension)>, Problem> {
    let text = question.by.as_deref().unwrap_or("campaign");
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            DIMENSIONS.iter().find(|(known, _)| *known == name).copied().ok_or_else(|| {
                let known: Vec<&str> = DIMENSIONS.iter().map(|(known, _)| *known).collect();
                Problem::bad_request(format!("{name:?} is no dimension; known are {}", known.join(", ")))
            })
        })
        .collect()
}

/// Answers a question; for a thread that may block.
///
/// # Errors
/// Days that are none, too many rows, or a failing store.
pub fn answer(
    app: &AppState,
    caller: &Caller,
    question: &Question,
    dimensions: &[(&'static str, Dimension)],
) -> Result<Report, Problem> {
    let platform = &app.platform;
    platform.wait_applied(app.metrics.head(), CATCH_UP_MS);
    platform.flush(false).map_err(Problem::internal)?;
    let catalogue = platform.catalogue().clone();
    let zone = catalogue.publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone());
    let today = zone.day(platform.now());
    let (from, to) = days(question, today)?;
    let only = caller.scope_filter().or(question.advertiser);
    if question.advertiser.is_some_and(|asked| !caller.may_see(asked)) {
        return Err(Problem::forbidden("This is another advertiser's."));
    }
    let wanted = Wanted { only, campaign: question.campaign, hours: hours(&zone, from, to) };
    let state = platform.state();
    let connection = state.connection();
    let sums = sums(connection, &catalogue, &zone, &wanted, dimensions)?;
    let refused = if caller.sees_everything() { refused(connection, wanted.hours)? } else { Vec::new() };
    let position = state.rollups_position().map_err(Problem::internal)?;
    drop(state);
    let rows = sums.into_values().map(Sum::finish).collect();
    Ok(Report { from, to, zone: zone.name().to_owned(), position, rows, refused })
}

fn days(question: &Question, today: Day) -> Result<(Day, Day), Problem> {
    let read = |text: &Option<String>, default: Day| match text {
        Some(text) => Day::parse(text)
            .ok_or_else(|| Problem::bad_request(format!("{text:?} is no day; write YYYY-MM-DD"))),
        None => Ok(default),
    };
    let to = read(&question.to, today)?;
    let from = read(&question.from, Day(to.0 - 30))?;
    if from > to {
        return Err(Problem::bad_request("`from` is after `to`."));
    }
    Ok((from, to))
}
fn hours(zone: &Zone, from: Day, to: Day) -> (i64, i64) {
    (zone.day_start(from).hour().0, zone.day_start(Day(to.0 + 1)).hour().0)
}

struct Wanted {
    only: Option<AdvertiserId>,
    campaign: Option<CampaignId>,
    hours: (i64, i64),
}

#[derive(Default)]
struct Sum {
    row: Row,
    currencies: BTreeSet<Currency>,
    nanos: [i128; 3],
}
impl Sum {
    fn finish(mut self) -> Row {
        let row = &mut self.row;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        row.viewability = share(row.viewable_count, row.impressions_count);
        row.click_rate = share(row.clicks_count, row.impressions_count);
        row.conversion_rate = share(row.conversions_count, row.clicks_count);
        row.loss = share(row.served_count.saturating_sub(row.impressions_count), row.served_count);
        let mut currencies = self.currencies.iter();
        match (currencies.next(), currencies.next()) {
            (Some(currency), None) => {
                let [gross, credited, free] = self.nanos;
                let clip = |n: i128| i64::try_from(n).ok();
                row.currency = currency.code().to_owned();
                row.gross_nanos = clip(gross);
                row.credited_nanos = clip(credited);
                row.net_nanos = clip(gross - credited);
                row.free_nanos = clip(free);
                row.net = Some(Nanos(gross - credited).display(*currency, 4));
                let impressions = i128::from(row.impressions_count);
                row.ecpm_nanos =
                    (impressions > 0).then(|| clip((gross - credited) * 1_000 / impressions)).flatten();
            }
            _ => row.currency = "mixed".into(),
        }
        self.row
    }
}

fn sums(
    connection: &rusqlite::Connection,
    catalogue: &Catalogue,
    zone: &Zone,
    wanted: &Wanted,
    dimensions: &[(&'static str, Dimension)],
) -> Result<BTreeMap<Vec<String>, Sum>, Problem> {
    let sql = "SELECT hour, campaign, ad_set, ad, version, placement, country, device, served, impressions, viewable, clicks,
               conversions, spend_nanos, credited_nanos, free_nanos FROM rollups WHERE hour >= ?1 AND hour < ?2";
    let mut statement = connection.prepare_cached(sql).map_err(Problem::internal)?;
    let mut rows = statement.query([wanted.hours.0, wanted.hours.1]).map_err(Problem::internal)?;
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    while let Some(row) = rows.next().map_err(Problem::internal)? {
        let number = |index: usize| row.get::<_, i64>(index).map_err(Problem::internal);
        let id = |index: usize| row.get::<_, u32>(index).map_err(Problem::internal);
        let campaign = CampaignId(id(1)?);
        let account = catalogue.campaigns.get(&campaign).map(|c| c.spec.advertiser);
        let asked = wanted.campaign.is_none_or(|c| c == campaign);
        if !asked || wanted.only.is_some_and(|only| account != Some(only)) {
            continue;
        }
        let hour = UtcHour(number(0)?);
        let mut names = Vec::with_capacity(dimensions.len());
        for (_, dimension) in dimensions {
            names.push(match dimension {
                Dimension::Hour => hour.start().to_string(),
                Dimension::Day => zone.day(hour.start()).to_string(),
                Dimension::Campaign => campaign.to_string(),
                Dimension::AdSet => AdSetId(id(2)?).to_string(),
                Dimension::Ad => AdId(id(3)?).to_string(),
                Dimension::Version => VersionId(id(4)?).to_string(),
                Dimension::Placement => PlacementId(id(5)?).to_string(),
                Dimension::Country => row.get::<_, String>(6).map_err(Problem::internal)?,
                Dimension::Device => DeviceClass::from_u8(id(7)? as u8).word().to_owned(),
            });
        }
        if sums.len() >= ROWS_MAX && !sums.contains_key(&names) {
            return Err(Problem::bad_request(format!(
                "The report has more than {ROWS_MAX} rows; ask for fewer days or dimensions."
            )));
        }
        let sum = sums.entry(names.clone()).or_default();
        if sum.row.names.is_empty() {
            sum.row.names = dimensions.iter().map(|(name, _)| *name).zip(names).collect();
        }
        let counts = [
            &mut sum.row.served_count,
            &mut sum.row.impressions_count,
            &mut sum.row.viewable_count,
            &mut sum.row.clicks_count,
            &mut sum.row.conversions_count,
        ];
        for (index, count) in counts.into_iter().enumerate() {
            *count += number(8 + index)? as u64;
        }
        for index in 0..3 {
            sum.nanos[index] += i128::from(number(13 + index)?);
        }
        let currency = account.and_then(|a| catalogue.advertisers.get(&a)).map(|a| a.spec.currency);
        sum.currencies.extend(currency);
    }
    Ok(sums)
}

fn refused(connection: &rusqlite::Connection, hours: (i64, i64)) -> Result<Vec<Refused>, Problem> {
    let sql = "SELECT kind, reason, sum(count) FROM refusals WHERE hour >= ?1 AND hour < ?2 GROUP BY kind, reason ORDER BY kind, reason";
    let mut statement = connection.prepare_cached(sql).map_err(Problem::internal)?;
    let read = |r: &rusqlite::Row<'_>| {
        Ok(Refused { kind: r.get(0)?, reason: r.get(1)?, count: r.get::<_, i64>(2)? as u64 })
    };
    let rows = statement.query_map([hours.0, hours.1], read).map_err(Problem::internal)?;
    rows.collect::<Result<_, _>>().map_err(Problem::internal)
}

/// The report as CSV: the same columns as the JSON.
///
/// # Errors
/// Never in practice: it writes to memory.
pub fn to_csv(report: &Report, dimensions: &[(&'static str, Dimension)]) -> anyhow::Result<String> {
    const COLUMNS: [&str; 16] = [
        "served_count",
        "impressions_count",
        "viewable_count",
        "clicks_count",
        "conversions_count",
        "currency",
        "gross_nanos",
        "credited_nanos",
        "net_nanos",
        "net",
        "free_nanos",
        "viewability",
        "click_rate",
        "conversion_rate",
        "ecpm_nanos",
        "loss",
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = dimensions.iter().map(|(name, _)| *name);
    writer.write_record(names.clone().chain(COLUMNS))?;
    for row in &report.rows {
        let json = serde_json::to_value(row)?;
        let cells = names.clone().chain(COLUMNS).map(|column| match &json[column] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
