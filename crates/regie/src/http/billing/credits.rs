//! `POST /v1/credits`: money back for a charge that turned out invalid, wholly or in part.
//!
//! Refuses more than what is left of the charge (law B1); the ledger judges again in journal order.

use crate::http::{AppState, auth::Caller, booking::parse, console::act, problem::Problem};
use crate::t;
use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use regie_ledger::{Charge, ChargeAt};
use regie_model::{AdvertiserId, Faults, command::Change, limits::TEXT_CHARS_MAX};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// What this route takes, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Journal position of the charged event.
    position: u64,
    /// How much; with `full` absent.
    #[serde(default)]
    amount_nanos: Option<i64>,
    /// All that is left of the charge.
    #[serde(default)]
    full: bool,
    /// Why; the advertiser reads it.
    reason: String,
}

/// The charge at a position, its block loaded from the projections where the fold does not hold it.
/// For threads that may block.
fn charge(app: &AppState, position: u64) -> Result<Option<(Charge, AdvertiserId)>, Problem> {
    let found = app.platform.folds().ledger.charge_at(position);
    let found = match found {
        ChargeAt::NeedsBlock(block) => {
            let bytes = app.platform.state().charge_block(block).map_err(Problem::internal)?;
            let Some(bytes) = bytes else {
                return Err(Problem::internal(format!("charge block {block} is missing")));
            };
            let mut folds = app.platform.folds();
            folds.ledger.load_block(&bytes).map_err(Problem::internal)?;
            folds.ledger.charge_at(position)
        }
        other => other,
    };
    let ChargeAt::Charge(charge) = found else { return Ok(None) };
    let advertiser = app.platform.catalogue().advertiser_of(charge.key.ad_set);
    Ok(advertiser.map(|advertiser| (charge, advertiser)))
}

/// What of the input is wrong, or the amount to credit.
fn check(input: &Input, charge: Option<&Charge>) -> Result<i64, Faults> {
    let mut faults = Faults::new();
    faults.text("reason", &input.reason, TEXT_CHARS_MAX);
    let one = input.full != input.amount_nanos.is_some();
    faults.when(!one, "amount_nanos", "contradiction", t!("console-give-an-amount-or-full"));
    let left = charge.map_or(0, |c| i64::try_from(c.nanos.0 - c.credited.0).unwrap_or(i64::MAX));
    match charge {
        None => faults.add("position", "no_charge", t!("console-nothing-was-charged-at-this")),
        Some(_) => {
            faults.when(left == 0, "position", "nothing_left", t!("console-the-whole-charge-was-credited"))
        }
    }
    let amount = input.amount_nanos.unwrap_or(left);
    faults.when(
        input.amount_nanos.is_some_and(|n| n <= 0),
        "amount_nanos",
        "too_small",
        t!("console-above-zero"),
    );
    let over = charge.is_some() && amount > left;
    faults.when(over, "amount_nanos", "too_large", t!("console-at-most-what-is-left", left = left));
    faults.into_result().map(|()| amount)
}

/// The handler.
pub(super) async fn credit(
    State(app): State<AppState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let input: Input = parse::whole(&body)?;
    crate::http::reports::settle(&app).await?;
    let (reader, position) = (Arc::clone(&app), input.position);
    let found = tokio::task::spawn_blocking(move || charge(&reader, position));
    let found = found.await.map_err(Problem::internal)??;
    let found = found.filter(|(_, advertiser)| caller.may_see(*advertiser));
    let amount_nanos = check(&input, found.as_ref().map(|(c, _)| c)).map_err(Problem::faults)?;
    let Some((before, advertiser)) = found else { return Err(Problem::not_found("charge at this position")) };
    let reason = input.reason.trim().to_owned();
    let make = move |_: &_| {
        Ok((vec![Change::Credited { advertiser, position, amount_nanos, reason }], position.to_string()))
    };
    let accepted = act::record(&app, &caller, make).await?;
    let after = charge(&app, position)?.map_or(before.credited, |(c, _)| c.credited);
    let granted = after.0 - before.credited.0;
    let json = json!({
        "advertiser": advertiser, "position": position, "granted_nanos": i64::try_from(granted).unwrap_or(i64::MAX),
        "charged_nanos": i64::try_from(before.nanos.0).unwrap_or(i64::MAX), "credited_nanos": i64::try_from(after.0).unwrap_or(i64::MAX),
        "credit_position": accepted.first().map(|a| a.position),
    });
    Ok((StatusCode::CREATED, axum::Json(json)).into_response())
}
