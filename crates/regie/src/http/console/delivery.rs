//! The delivery board: every running ad set against what it should have delivered by now, and what to do about it.
//!
//! The plan is an even one over the flight (or the day, where only a daily budget is booked): a yardstick, not what pacing
//! follows. The page and `GET /v1/delivery` show the same rows. Refuses to guess: without end or budget there is no plan.

use super::{SIGNED, act, layout, page, twin, ui, why};
use crate::http::{App, AppState, Route, auth::Caller, booking::READ, forecast, problem::Problem};
use crate::{i18n::rooms::say, t, th};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use regie_model::{
    AdSetId, CampaignId, Nanos, UtcMs,
    booking::{AdSetSpec, Bid, CampaignSpec, Pacing, Status, Tier},
    catalogue::Catalogue,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Rows at most; those that need a hand come first.
const ROWS_MAX: usize = 300;
/// Ad sets with promises that are forecast for one page.
const FORECASTS_MAX: usize = 12;
/// Behind or ahead by more than so many in a thousand of the plan.
const TOLERANCE_PERMILLE: i128 = 100;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/delivery", SIGNED, get(show)),
        twin("console", "/v1/delivery", READ, get(api)),
        twin("console", "/v1/campaigns/{id}/eliminations", READ, get(eliminations)),
    ]
}

/// Where an ad set stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing was shown in the last hour, and something holds it back.
    Blocked,
    /// Under nine tenths of the plan.
    Behind,
    /// Over eleven tenths of the plan.
    Ahead,
    /// Within a tenth of the plan.
    OnTrack,
    /// It has no end or no budget to be measured by.
    NoPlan,
}

/// One ad set on the board.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub ad_set: AdSetId,
    /// Its campaign.
    pub campaign: regie_model::CampaignId,
    /// Where it stands.
    pub standing: Standing,
    /// Delivered of what should be by now, in thousandths; none without a plan.
    pub of_plan_permille: Option<i64>,
    /// Delivered, by what is planned: money or impressions.
    pub delivered: i128,
    /// Planned until now, in the same unit.
    pub planned: i128,
    /// `nanos` or `impressions`.
    pub unit: &'static str,
    /// The most frequent reason of the last hour, or the budget that is spent.
    pub reason: Option<&'static str>,
    /// How often in the last hour.
    pub reason_count: u64,
}

/// Every running ad set that the caller may see, those that need a hand first.
pub fn board(app: &App, caller: &Caller) -> Vec<Row> {
    let now = app.platform.now();
    let catalogue = app.platform.catalogue();
    let mut rows: Vec<Row> = catalogue
        .ad_sets
        .iter()
        .filter_map(|(id, set)| {
            let campaign = catalogue.campaigns.get(&set.spec.campaign)?;
            let runs = set.status == Status::Active
                && campaign.status == Status::Active
                && set.spec.flight_in(&campaign.spec).contains(now);
            (runs && caller.may_see(campaign.spec.advertiser))
                .then(|| row(app, &catalogue, *id, &set.spec, &campaign.spec, now))
        })
        .collect();
    rows.sort_by_key(|r| (r.standing, r.of_plan_permille.unwrap_or(0), r.ad_set));
    rows.truncate(ROWS_MAX);
    rows
}

fn row(
    app: &App,
    catalogue: &Catalogue,
    id: AdSetId,
    set: &AdSetSpec,
    campaign: &CampaignSpec,
    now: UtcMs,
) -> Row {
    let folds = app.platform.folds();
    let ledger = &folds.ledger;
    let flight = set.flight_in(campaign);
    let gone = |from: UtcMs, to: UtcMs| {
        let whole = i128::from(to.0 - from.0).max(1);
        (i128::from(now.0 - from.0).clamp(0, whole), whole)
    };
    let counts = ledger.counts(id);
    // An ad set without a budget of its own is measured by its campaign's.
    let limited = |b: &regie_ledger::BudgetView| b.lifetime.is_some() || b.daily.is_some();
    let own = ledger.ad_set_budget(id, now).filter(limited);
    let budget = own.or_else(|| ledger.campaign_budget(set.campaign, now));
    let left = ledger.remaining(id, now);
    let (delivered, planned, unit) =
        match (set.tier, flight.ends_at, budget.and_then(|b| b.lifetime.map(|l| (b, l)))) {
            (Tier::Guaranteed { impressions_count }, Some(end), _) => {
                let (part, whole) = gone(flight.starts_at, end);
                (
                    i128::from(counts.impressions_count),
                    i128::from(impressions_count) * part / whole,
                    "impressions",
                )
            }
            (_, Some(end), Some((budget, lifetime))) => {
                let (part, whole) = gone(flight.starts_at, end);
                (budget.gross.0, lifetime.0 * part / whole, "nanos")
            }
            _ => match budget.and_then(|b| b.daily.map(|d| (b, d))) {
                Some((budget, daily)) => {
                    let zone = super::act::account_zone(catalogue, campaign.advertiser);
                    let (part, whole) =
                        gone(zone.day_start(zone.day(now)).max(flight.starts_at), left.day_ends_at);
                    (budget.gross_today.0, daily.0 * part / whole, "nanos")
                }
                None => (i128::from(counts.impressions_count), 0, "impressions"),
            },
        };
    let reasons = ledger.traffic().eliminated(id);
    let top = reasons.iter().max_by_key(|(code, n)| (**n, std::cmp::Reverse(**code)));
    let spent = left.nanos == Some(Nanos::ZERO) && set.bid != Bid::Free;
    let (reason, reason_count) = match (spent, top) {
        (true, _) => (Some("budget"), 0),
        (false, Some((code, n))) => {
            (regie_decide::Stage::ALL.iter().map(|s| s.code()).find(|c| c == code), *n)
        }
        (false, None) => (None, 0),
    };
    let of_plan = (planned > 0).then(|| delivered * 1_000 / planned);
    let shown_lately = shown_lately(ledger, catalogue, id, now);
    let standing = match of_plan {
        // A budget that is spent before its time is ahead, not blocked: it delivered.
        _ if !shown_lately
            && of_plan.is_none_or(|p| p < 1_000 - TOLERANCE_PERMILLE)
            && (reason.is_some() && !spent || counts.impressions_count == 0 && reason.is_some()) =>
        {
            Standing::Blocked
        }
        None => Standing::NoPlan,
        Some(p) if p < 1_000 - TOLERANCE_PERMILLE => Standing::Behind,
        Some(p) if p > 1_000 + TOLERANCE_PERMILLE => Standing::Ahead,
        Some(_) => Standing::OnTrack,
    };
    Row {
        ad_set: id,
        campaign: set.campaign,
        standing,
        of_plan_permille: of_plan.map(|p| i64::try_from(p.min(1_000_000)).unwrap_or(0)),
        delivered,
        planned,
        unit,
        reason,
        reason_count,
    }
}

/// Whether anything of it was shown on its account's day of an hour ago, or since.
fn shown_lately(ledger: &regie_ledger::Ledger, catalogue: &Catalogue, id: AdSetId, now: UtcMs) -> bool {
    let ads = catalogue.ads_of.get(&id).into_iter().flatten();
    let owner = catalogue.ad_sets.get(&id).and_then(|s| catalogue.campaigns.get(&s.spec.campaign));
    let Some(owner) = owner else { return false };
    // Soon after midnight, what was shown on the day before counts as well.
    let hour_ago = UtcMs(now.0 - regie_model::time::HOUR_MS);
    let since = super::act::account_zone(catalogue, owner.spec.advertiser).day(hour_ago);
    ads.filter_map(|ad| ledger.ad_days(*ad).last()).any(|(last, c)| *last >= since && c.impressions_count > 0)
}

async fn api(State(app): State<AppState>, caller: Caller, Query(query): Query<BoardQuery>) -> Response {
    let rows = board(&app, &caller);
    let mut told = json!({ "at": app.platform.now(), "ad_sets": rows });
    if !query.promises.is_empty() {
        let oversold = promised(&app, &caller).await.into_iter().map(|(id, name, message)| {
            json!({ "ad_set": id, "name": name, "message": crate::i18n::rooms::say_all(&message) })
        });
        told["oversold"] = oversold.collect();
    }
    Json(told).into_response()
}

/// `GET /v1/campaigns/{id}/eliminations`: why its ad sets were not shown in the last hour, as decisions counted it.
async fn eliminations(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let sets = {
        let catalogue = app.platform.catalogue();
        act::see_campaign(&catalogue, &caller, id)?;
        catalogue.ad_sets_of.get(&id).cloned().unwrap_or_default()
    };
    crate::http::reports::settle(&app).await?;
    let folds = app.platform.folds();
    let rows = sets.into_iter().map(|set| {
        let mut reasons: Vec<_> = folds.ledger.traffic().eliminated(set).into_iter().collect();
        reasons.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
        let reasons = reasons.into_iter().map(|(code, count)| {
            let (means, remedy) = why::explain(code);
            json!({ "reason": code, "count": count, "means": say(means), "remedy": say(remedy) })
        });
        json!({ "ad_set": set, "reasons": reasons.collect::<Vec<_>>() })
    });
    Ok(Json(json!({ "at": app.platform.now(), "ad_sets": rows.collect::<Vec<_>>() })).into_response())
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BoardQuery {
    /// Also forecast what is promised.
    promises: String,
}

async fn show(State(app): State<AppState>, caller: Caller, Query(query): Query<BoardQuery>) -> layout::Html {
    crate::http::reports::settle(&app).await?;
    let rows = board(&app, &caller);
    let promises = if query.promises.is_empty() { Vec::new() } else { promised(&app, &caller).await };
    let count = |s: Standing| rows.iter().filter(|r| r.standing == s).count() as u64;
    let body = html! {
        p class="lead" { (t!("delivery-lead")) }
        dl class="figures" {
            (ui::figure(t!("delivery-blocked"), &ui::count(count(Standing::Blocked)), ""))
            (ui::figure(t!("delivery-behind"), &ui::count(count(Standing::Behind)), ""))
            (ui::figure(t!("delivery-on-track"), &ui::count(count(Standing::OnTrack)), ""))
            (ui::figure(t!("delivery-ahead"), &ui::count(count(Standing::Ahead)), ""))
            (ui::figure(t!("delivery-no-plan"), &ui::count(count(Standing::NoPlan)), ""))
        }
        section class="card flush" { (table(&app, &rows)) }
        section class="card" id="promises" {
            h2 { (t!("delivery-promises")) }
            @if query.promises.is_empty() { p { (t!("delivery-promises-lead")) } p { a class="btn" href="/console/delivery?promises=1#promises" { (t!("delivery-check-promises")) } } }
            @else if promises.is_empty() { p { (ui::badge("good", t!("delivery-nothing-oversold"))) } }
            @for (id, name, sentence) in &promises { div class="note warn" { p { a href={ "/console/ad-sets/" (id) "/edit" } { (name) } ": " (crate::i18n::rooms::say_all(sentence)) } } }
        }
    };
    Ok(layout::console(&app, &caller, &layout::Frame::new(t!("delivery-board"), "/console/delivery"), &body))
}

/// Promises that the forecast says cannot be kept: ad set, name, sentence.
async fn promised(app: &AppState, caller: &Caller) -> Vec<(AdSetId, String, String)> {
    let now = app.platform.now();
    let asked: Vec<(AdSetId, String)> = {
        let catalogue = app.platform.catalogue();
        let promises = |s: &AdSetSpec| matches!(s.tier, Tier::Guaranteed { .. } | Tier::Sponsorship { .. });
        let lies_ahead = |s: &AdSetSpec| {
            let campaign = catalogue.campaigns.get(&s.campaign);
            campaign.is_some_and(|c| {
                caller.may_see(c.spec.advertiser) && s.flight_in(&c.spec).ends_at.is_none_or(|end| end > now)
            })
        };
        let sets = catalogue.ad_sets.iter().filter(|(_, s)| s.status == Status::Active);
        let sets = sets.filter(|(_, s)| promises(&s.spec) && lies_ahead(&s.spec));
        sets.take(FORECASTS_MAX).map(|(id, s)| (*id, s.spec.name.clone())).collect()
    };
    let mut found = Vec::new();
    for (id, name) in asked {
        for warning in forecast::warnings(app, caller, id).await {
            found.push((id, name.clone(), warning["message"].as_str().unwrap_or_default().to_owned()));
        }
    }
    found
}

fn badge(standing: Standing) -> Markup {
    match standing {
        Standing::Blocked => ui::badge("bad", t!("delivery-blocked")),
        Standing::Behind => ui::badge("warn", t!("delivery-behind")),
        Standing::Ahead => ui::badge("warn", t!("delivery-ahead")),
        Standing::OnTrack => ui::badge("good", t!("delivery-on-track")),
        Standing::NoPlan => ui::badge("", t!("delivery-no-plan")),
    }
}

/// Why an ad set is ahead of an even plan, and what to do about it.
fn ahead(set: Option<&AdSetSpec>) -> (&'static str, &'static str) {
    match set {
        Some(set) if matches!(set.tier, Tier::Sponsorship { .. }) => {
            (t!("delivery-ahead-share"), t!("delivery-ahead-share-remedy"))
        }
        Some(set) if set.pacing == Pacing::Asap => {
            (t!("delivery-ahead-asap"), t!("delivery-ahead-asap-remedy"))
        }
        _ => (t!("delivery-ahead-even"), t!("delivery-ahead-even-remedy")),
    }
}

/// A part of the plan in percent; far beyond it, only that.
fn of_plan_words(permille: i64) -> String {
    const FAR_PERMILLE: i64 = 10_000;
    if permille > FAR_PERMILLE {
        return format!("> {}{}%", ui::count(1_000u64), crate::i18n::format::before_percent());
    }
    ui::percent(permille.unsigned_abs(), 1_000)
}

fn table(app: &App, rows: &[Row]) -> Markup {
    let catalogue = app.platform.catalogue();
    let amount = |row: &Row, number: i128| match row.unit {
        "nanos" => {
            let campaign = catalogue.campaigns.get(&row.campaign);
            let money = campaign.and_then(|c| catalogue.advertisers.get(&c.spec.advertiser));
            ui::money_short(Nanos(number), money.map_or(regie_model::Currency::EUR, |a| a.spec.currency))
        }
        _ => ui::count(u128::try_from(number).unwrap_or(0)),
    };
    html! {
        @if rows.is_empty() { (ui::empty(t!("delivery-none"))) } @else {
            div class="scroll" { table class="board" {
                thead { tr { th { (t!("delivery-stands")) } th { (t!("delivery-ad-set")) } th class="right" { (t!("delivery-delivered")) } th class="right" { (t!("delivery-plan")) } th class="right" { (t!("delivery-of-plan")) } th { (t!("delivery-why")) } } }
                tbody { @for row in rows {
                    @let name = catalogue.ad_sets.get(&row.ad_set).map_or("", |s| s.spec.name.as_str());
                    @let campaign = catalogue.campaigns.get(&row.campaign).map_or("", |c| c.spec.name.as_str());
                    tr {
                        td { (badge(row.standing)) }
                        th scope="row" { a href={ "/console/campaigns/" (row.campaign) "#" (row.ad_set) } { (campaign) } span class="small muted" { (name) } }
                        td class="right" { (amount(row, row.delivered)) }
                        td class="right" { @if row.planned > 0 { (amount(row, row.planned)) } @else { "\u{2013}" } }
                        td class="right" { @match row.of_plan_permille { Some(p) => (of_plan_words(p)), None => "\u{2013}" } }
                        td class="small" {
                            @if row.standing == Standing::Ahead && row.reason != Some("budget") {
                                @let (means, remedy) = ahead(catalogue.ad_sets.get(&row.ad_set).map(|s| &s.spec));
                                (means) div class="remedy muted" { (remedy) }
                            } @else if let (Some(reason), false) = (row.reason, row.standing == Standing::OnTrack) {
                                @let (means, remedy) = why::explain(reason);
                                (say(means)) @if row.reason_count > 0 { " " span class="muted" { (th!("delivery-times-last-hour", count = ui::count(row.reason_count))) } }
                                div class="remedy muted" { (say(remedy)) }
                            }
                        }
                    }
                } }
            } }
        }
    }
}
