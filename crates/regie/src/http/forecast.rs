//! `POST /v1/forecast`: what a targeting will meet, who competes, and whether a promise can be kept. And the same
//! beside a booking: the console's panel, and the warning of an ad set that oversells a placement.
//!
//! A caller limited to one advertiser hears of others' bookings only how many there are by tier.

use super::{
    App, AppState, Route,
    auth::Caller,
    booking::{self, parse, scope},
    problem::Problem,
};
use crate::platform::forecasting::{self, Answer, OPEN_PERIOD_DAYS, Question, rounded};
use crate::{
    i18n::rooms::{grouped, say_all},
    t,
};
use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::post,
};
use maud::{Markup, html};
use regie_decide::forecast::PERIOD_DAYS_MAX;
use regie_model::{
    AdSetId, CampaignId, Faults, UtcMs, Zone,
    booking::{AdSetSpec, Tier},
    catalogue::Catalogue,
    command::EntityRef,
    limits::COMMAND_BODY_BYTES_MAX,
    targeting::Targeting,
    time::DAY_MS,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let handler = post(ask).layer(DefaultBodyLimit::max(4 * COMMAND_BODY_BYTES_MAX));
    let route = |handler| Route {
        owner: "forecast",
        method: Method::POST,
        path: "/v1/forecast",
        access: booking::READ,
        handler,
    };
    vec![route(handler)]
}

/// What this route takes, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Which requests; all when absent.
    #[serde(default)]
    targeting: Targeting,
    /// From when; now when absent.
    #[serde(default)]
    from: Option<UtcMs>,
    /// Until when; four weeks on when absent.
    #[serde(default)]
    until: Option<UtcMs>,
    /// What would be promised.
    #[serde(default)]
    tier: Option<Tier>,
    /// For an ad of this campaign: its zone, and where political ads may appear.
    #[serde(default)]
    campaign: Option<CampaignId>,
    /// What this ad set is promised now does not count.
    #[serde(default)]
    instead_of: Option<AdSetId>,
}

async fn ask(State(app): State<AppState>, caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let mut input: Input = parse::whole(&body)?;
    let from = input.from.unwrap_or_else(|| app.platform.now());
    let until = input.until.unwrap_or(UtcMs(from.0.saturating_add(OPEN_PERIOD_DAYS * DAY_MS)));
    let mut faults = Faults::new();
    input.targeting.check("targeting", &mut faults);
    faults.when(until <= from, "until", "contradiction", t!("booking-ends-before-it-begins"));
    let long = until.0.saturating_sub(from.0) > PERIOD_DAYS_MAX * DAY_MS;
    faults.when(long, "until", "too_large", t!("booking-at-most-days", PERIOD_DAYS_MAX = PERIOD_DAYS_MAX));
    {
        let catalogue = app.platform.catalogue();
        let hidden = |entity| !scope::may_see(&catalogue, &caller, entity);
        let unknown = input
            .campaign
            .is_some_and(|id| !catalogue.campaigns.contains_key(&id) || hidden(EntityRef::Campaign(id)));
        faults.when(unknown, "campaign", "unknown", t!("booking-there-is-no-such-campaign"));
        let unknown = input
            .instead_of
            .is_some_and(|id| !catalogue.ad_sets.contains_key(&id) || hidden(EntityRef::AdSet(id)));
        faults.when(unknown, "instead_of", "unknown", t!("booking-there-is-no-such-ad"));
    }
    faults.into_result().map_err(Problem::faults)?;
    let question = Question {
        targeting: input.targeting,
        from,
        until,
        claim: input.tier.and_then(forecasting::claim_of),
        campaign: input.campaign,
        instead_of: input.instead_of,
    };
    let answer = answer(&app, &caller, question).await?;
    Ok(Json(to_json(&answer)).into_response())
}

/// Asks on a thread that may block, and leaves out what the caller may not know.
async fn answer(app: &AppState, caller: &Caller, question: Question) -> Result<Answer, Problem> {
    let platform = Arc::clone(&app.platform);
    let asked = tokio::task::spawn_blocking(move || platform.forecast(question));
    Ok(known_to(caller, asked.await.map_err(|error| Problem::internal(error.to_string()))?))
}
/// Without what the caller may not know.
fn known_to(caller: &Caller, mut answer: Answer) -> Answer {
    if caller.scope_filter().is_some() {
        answer.rivals.clear();
        answer.missed.clear();
        answer.oversold.clear();
    }
    answer
}

/// The answer as it goes out; counts are whole.
pub fn to_json(answer: &Answer) -> Value {
    let mut json = json!(answer);
    json["oversold_at_booking"] = answer.is_oversold().into();
    json
}

/// What a caller is told beside an accepted ad set: nothing, or that it oversells, with the forecast that shows it.
pub async fn warnings(app: &AppState, caller: &Caller, id: AdSetId) -> Vec<Value> {
    let question = {
        let catalogue = app.platform.catalogue();
        let set = catalogue.ad_sets.get(&id).map(|set| set.spec.clone());
        set.and_then(|spec| Question::of_ad_set(&catalogue, &spec, Some(id), app.platform.now()))
    };
    let Some(question) = question.filter(|question| question.claim.is_some()) else { return Vec::new() };
    match answer(app, caller, question).await {
        Ok(answer) if answer.is_oversold() || answer.is_promise_missed() => vec![json!({
            "field": "tier",
            "code": "oversold",
            "message": answer.sentence,
            "forecast": to_json(&answer),
        })],
        _ => Vec::new(),
    }
}

/// The forecast of an ad set that is being booked, as a part of its page.
pub async fn panel(app: &AppState, caller: &Caller, spec: &AdSetSpec, id: Option<AdSetId>) -> Markup {
    let question = {
        let catalogue = app.platform.catalogue();
        Question::of_ad_set(&catalogue, spec, id, app.platform.now())
    };
    let Some(question) = question else {
        return html! { p class="muted" { (t!("booking-a-forecast-needs-a-period")) } };
    };
    match answer(app, caller, question).await {
        Ok(answer) => drawn(app, &answer),
        Err(_) => html! { p class="muted" { (t!("booking-the-forecast-could-not-be")) } },
    }
}
/// The same for an ad set of a catalogue in which it is booked already. For a thread that may block.
pub fn panel_in(app: &App, caller: &Caller, catalogue: &Catalogue, spec: &AdSetSpec) -> Markup {
    let Some(question) = Question::of_ad_set(catalogue, spec, None, app.platform.now()) else {
        return html! { p class="muted" { (t!("booking-a-forecast-needs-a-period")) } };
    };
    drawn(app, &known_to(caller, app.platform.forecast_in(catalogue, question)))
}

/// A number of requests as the page writes it.
fn shown(requests: f64) -> String {
    grouped(&rounded(requests))
}

fn drawn(app: &App, answer: &Answer) -> Markup {
    let catalogue = app.platform.catalogue();
    let zone = catalogue.publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone());
    let name = |id| catalogue.placements.get(&id).map_or_else(String::new, |p| p.spec.name.clone());
    let day = |at: UtcMs| zone.day(at).to_string();
    let warn = answer.is_oversold() || answer.is_promise_missed();
    html! {
        p class=(if warn { "note warn" } else { "lead" }) role=[warn.then_some("alert")] { (say_all(&answer.sentence)) }
        @if !answer.available.by_placement.is_empty() {
            table {
                caption { (t!("booking-requests-that-match-by-placement")) }
                thead { tr { th { (t!("words-placement")) } th { (t!("booking-week-from")) } th class="num" { (t!("booking-requests")) } } }
                tbody {
                    @for row in answer.available.by_placement.iter().take(60) {
                        tr { td { (name(row.placement)) } td { (day(row.week.starts_at)) } td class="num" { (shown(row.requests)) } }
                    }
                }
            }
        }
        @if !answer.competition.is_empty() {
            table {
                caption { (t!("booking-who-competes-for-them")) }
                thead { tr { th { (t!("booking-order-of-service")) } th class="num" { (t!("booking-ad-sets")) } th class="num" { (t!("booking-requests-shared-at-most")) } } }
                tbody {
                    @for row in &answer.competition {
                        tr { td { (super::console::book_house::tier_word(row.tier)) } td class="num" { (row.ad_sets_count) } td class="num" { (shown(row.widest_requests)) } }
                    }
                }
            }
        }
        @if !answer.oversold.is_empty() {
            table {
                caption { (t!("booking-promised-against-what-will-come")) }
                thead { tr { th { (t!("words-placement")) } th { (t!("booking-week-from")) } th class="num" { (t!("booking-requests")) } th class="num" { (t!("booking-to-sponsors")) } th class="num" { (t!("booking-to-goals")) } } }
                tbody {
                    @for row in answer.oversold.iter().take(60) {
                        tr { td { (name(row.placement)) } td { (day(row.week.starts_at)) } td class="num" { (shown(row.available)) } td class="num" { (shown(row.sponsored)) } td class="num" { (shown(row.guaranteed)) } }
                    }
                }
            }
        }
    }
}
