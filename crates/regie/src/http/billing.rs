//! Statements and invoices, printable and as CSV, and credits. Every figure is the ledger's.
//!
//! An invoice is issued once for a closed month and never changes; its number has no gaps, since the fold counts it.
//! A credit refers to the charge it takes back, and is never a new bill.

pub(crate) mod credits;
mod page;

use super::{Access, AppState, Route, auth::Caller, events::durable, problem::Problem};
use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use regie_ledger::Invoice;
use regie_model::{
    AdvertiserId, Currency, Faults,
    booking::{Role, Scope},
    event::Event,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How long an answer waits for the folds, in milliseconds.
const APPLIED_MS: u64 = 5_000;
const OPERATE: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations], scope: Some(Scope::Operate) };

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let row = |method, path, access, handler| Route { owner: "billing", method, path, access, handler };
    let mut all = vec![
        row(Method::GET, "/v1/invoices", super::reports::READERS, get(list)),
        row(Method::GET, "/v1/invoices/{advertiser}/{month}", super::reports::READERS, get(show)),
        row(Method::POST, "/v1/invoices", OPERATE, post(issue_api)),
        row(Method::POST, "/v1/credits", OPERATE, post(credits::credit)),
    ];
    all.extend(page::routes());
    all
}

/// An account's month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// Year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
}
impl Month {
    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-')?;
        let month = Month { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1..=12).contains(&month.month) && (1970..=9999).contains(&month.year)).then_some(month)
    }
}
impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:02}", self.year, self.month)
    }
}

/// The invoice as issued, or the statement so far, if the caller may see it.
///
/// # Errors
/// Not found, also when it is somebody else's.
pub fn invoice(
    app: &AppState,
    caller: &Caller,
    advertiser: AdvertiserId,
    month: Month,
) -> Result<Invoice, Problem> {
    super::console::act::see_advertiser(&app.platform.catalogue(), caller, advertiser)?;
    let folds = app.platform.folds();
    folds
        .ledger
        .invoice(advertiser, month.year, month.month)
        .ok_or_else(|| Problem::not_found("account of this advertiser"))
}

/// An invoice as JSON: exact nanos, rounded lines, decimal text.
fn as_json(invoice: &Invoice) -> Value {
    let text = |micros: regie_model::Micros| micros.display(invoice.currency);
    let lines: Vec<Value> = invoice
        .lines
        .iter()
        .map(|line| {
            json!({
                "campaign": line.campaign, "ad_set": line.ad_set, "kind": line.kind.word(), "quantity_count": line.quantity_count,
                "gross_nanos": nanos(line.gross_nanos), "credited_nanos": nanos(line.credited_nanos),
                "net_micros": line.net_micros, "net": text(line.net_micros),
            })
        })
        .collect();
    json!({
        "number": invoice.number, "advertiser": invoice.advertiser, "year": invoice.year, "month": invoice.month,
        "currency": invoice.currency, "lines": lines,
        "gross_nanos": nanos(invoice.gross_nanos), "credited_nanos": nanos(invoice.credited_nanos),
        "net_micros": invoice.net_micros, "net": text(invoice.net_micros),
        "tax_rate_ppm": invoice.tax_rate_ppm, "tax_micros": invoice.tax_micros, "tax": text(invoice.tax_micros),
        "total_micros": invoice.total_micros, "total": text(invoice.total_micros),
    })
}
fn nanos(amount: regie_model::Nanos) -> i64 {
    i64::try_from(amount.0).unwrap_or(i64::MAX)
}

/// An invoice as CSV, a line for each line and one for the sum.
fn as_csv(invoice: &Invoice) -> Result<String, Problem> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let currency: Currency = invoice.currency;
    let number = invoice.number.map_or_else(String::new, |n| n.to_string());
    let month = Month { year: invoice.year, month: invoice.month }.to_string();
    let head = [
        "invoice",
        "advertiser",
        "month",
        "campaign",
        "ad_set",
        "kind",
        "quantity_count",
        "currency",
        "gross",
        "credited",
        "net",
    ];
    out.write_record(head).map_err(Problem::internal)?;
    for line in &invoice.lines {
        let cells = [
            number.clone(),
            invoice.advertiser.to_string(),
            month.clone(),
            line.campaign.to_string(),
            line.ad_set.to_string(),
            line.kind.word().to_owned(),
            line.quantity_count.to_string(),
            currency.to_string(),
            line.gross_nanos.display(currency, 9),
            line.credited_nanos.display(currency, 9),
            line.net_micros.display(currency),
        ];
        out.write_record(&cells).map_err(Problem::internal)?;
    }
    for (kind, micros) in
        [("net", invoice.net_micros), ("tax", invoice.tax_micros), ("total", invoice.total_micros)]
    {
        let none = String::new;
        let cells = [
            number.clone(),
            invoice.advertiser.to_string(),
            month.clone(),
            none(),
            none(),
            kind.to_owned(),
            none(),
            currency.to_string(),
            none(),
            none(),
            micros.display(currency),
        ];
        out.write_record(&cells).map_err(Problem::internal)?;
    }
    String::from_utf8(out.into_inner().map_err(Problem::internal)?).map_err(Problem::internal)
}

async fn list(State(app): State<AppState>, caller: Caller) -> Response {
    let folds = app.platform.folds();
    let seen = folds.ledger.invoices().iter().filter(|i| caller.may_see(i.invoice.advertiser));
    let all: Vec<Value> = seen
        .map(|issued| {
            let mut json = as_json(&issued.invoice);
            json["issued_at"] = json!(issued.at);
            json["position"] = json!(issued.position);
            json
        })
        .collect();
    axum::Json(json!({ "invoices": all })).into_response()
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FormatQuery {
    format: String,
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path((advertiser, month)): Path<(String, String)>,
    Query(query): Query<FormatQuery>,
) -> Result<Response, Problem> {
    let advertiser: AdvertiserId =
        advertiser.parse().map_err(|_| Problem::not_found("advertiser of this id"))?;
    let month = Month::parse(&month).ok_or_else(|| Problem::bad_request("A month is written 2026-11."))?;
    super::reports::settle(&app).await?;
    let invoice = invoice(&app, &caller, advertiser, month)?;
    if query.format == "csv" {
        let name = format!("attachment; filename=\"{advertiser}-{month}.csv\"");
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, name),
        ];
        return Ok((headers, as_csv(&invoice)?).into_response());
    }
    Ok(axum::Json(as_json(&invoice)).into_response())
}

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueInput {
    advertiser: AdvertiserId,
    year: i16,
    month: i8,
}

async fn issue_api(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let input: IssueInput = super::booking::parse::whole(&body)?;
    let month = Month { year: input.year, month: input.month };
    let invoice = issue(&app, &caller, input.advertiser, month).await?;
    Ok((StatusCode::CREATED, axum::Json(as_json(&invoice))).into_response())
}

/// Issues the invoice of a closed month: its number is the next one.
///
/// # Errors
/// 422 for a month that is not over or was issued already.
pub async fn issue(
    app: &AppState,
    caller: &Caller,
    advertiser: AdvertiserId,
    month: Month,
) -> Result<Invoice, Problem> {
    super::console::act::see_advertiser(&app.platform.catalogue(), caller, advertiser)?;
    let mut faults = Faults::new();
    {
        let catalogue = app.platform.catalogue();
        let zone = super::console::act::account_zone(&catalogue, advertiser);
        let (year, running) = zone.day(app.platform.now()).year_month();
        let open = (month.year, month.month) >= (year, running) || !(1..=12).contains(&month.month);
        faults.when(open, "month", "not_closed", "The month is not over in the account's time zone.");
    }
    let before = invoice(app, caller, advertiser, month)?;
    faults.when(before.number.is_some(), "month", "issued", "The invoice of this month was issued already.");
    faults.when(before.lines.is_empty(), "month", "empty", "Nothing was charged or credited in this month.");
    faults.into_result().map_err(Problem::faults)?;
    let event = Event::InvoiceIssued { advertiser, year: month.year, month: month.month };
    let position = durable(&app.platform, &[event]).await?.last.0;
    let platform = Arc::clone(&app.platform);
    let applied = tokio::task::spawn_blocking(move || platform.wait_applied(position, APPLIED_MS));
    if !applied.await.map_err(Problem::internal)? {
        let title = "The invoice is being issued; look again in a moment.";
        return Err(Problem::new(StatusCode::ACCEPTED, "pending", title));
    }
    invoice(app, caller, advertiser, month)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn months_are_read() {
        assert_eq!(Month::parse("2026-11").map(|m| m.to_string()).as_deref(), Some("2026-11"));
        for bad in ["2026-13", "2026-0", "2026", "x-1", ""] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
    }
}
