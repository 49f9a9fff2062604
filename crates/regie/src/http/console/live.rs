//! Live figures: what the ledger says now, as JSON each second by server-sent events.

use super::{SIGNED, page, ui};
use crate::http::{App, AppState, Route, auth::Caller, problem::Problem};
use crate::t;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_ledger::Counters;
use regie_model::{Currency, Nanos, UtcMs, catalogue::Catalogue};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

/// Streams of this process at the same time.
const STREAMS_MAX: usize = 64;
/// After so many ticks the browser connects anew, and proves itself again.
const TICKS_MAX: u32 = 600;
static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/live", SIGNED, get(stream)), page("/console/live.json", SIGNED, get(once))]
}

/// Figures of one campaign.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LiveCampaign {
    /// Shown today.
    pub impressions_count: u64,
    /// Clicked today.
    pub clicks_count: u64,
    /// Charged today.
    pub charged_today_nanos: i128,
    /// Charged in all.
    pub charged_nanos: i128,
    /// Of both amounts.
    pub currency: Option<Currency>,
    /// Shown today, in words.
    pub impressions: String,
    /// Clicked today, in words.
    pub clicks: String,
    /// Click rate today.
    pub ctr: String,
    /// Charged today, in words.
    pub spend: String,
    /// Charged in all, in words.
    pub spent: String,
    /// Spent of the whole budget, in thousandths.
    pub spent_permille: i64,
}

/// Figures of today, as pages show them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Live {
    /// When.
    pub at: String,
    /// Shown today, as a number.
    pub impressions_count: u64,
    /// Placements asked for today, as a number.
    pub requests_count: u64,
    /// Of these answered with an ad, as a number.
    pub fills_count: u64,
    /// Seen today, as a number.
    pub viewable_count: u64,
    /// Clicked today, as a number.
    pub clicks_count: u64,
    /// Actions today, as a number.
    pub conversions_count: u64,
    /// Placements asked for today.
    pub requests: String,
    /// Of these answered with an ad.
    pub fills: String,
    /// Shown today.
    pub impressions: String,
    /// Seen today.
    pub viewable: String,
    /// Clicked today.
    pub clicks: String,
    /// Actions today.
    pub conversions: String,
    /// Charged today, each currency apart.
    pub spend: String,
    /// By campaign.
    pub campaigns: BTreeMap<String, LiveCampaign>,
}

/// What happened to an ad today in its account's zone.
fn today(
    catalogue: &Catalogue,
    ledger: &regie_ledger::Ledger,
    ad: regie_model::AdId,
    now: UtcMs,
) -> Counters {
    let account = catalogue
        .parents_of(ad)
        .and_then(|(campaign, _)| catalogue.campaigns.get(&campaign))
        .and_then(|c| catalogue.advertisers.get(&c.spec.advertiser));
    let Some(account) = account else { return Counters::default() };
    let day = account.spec.zone.day(now);
    ledger.ad_days(ad).iter().rev().find(|(d, _)| *d == day).map(|(_, c)| *c).unwrap_or_default()
}

/// The figures that a caller may see.
pub fn figures(app: &App, caller: &Caller) -> Live {
    let now = app.platform.now();
    let zone = super::act::zone(app);
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let ledger = &folds.ledger;
    let (mut sum, mut spend) = (Counters::default(), BTreeMap::<Currency, Nanos>::new());
    let mut campaigns = BTreeMap::new();
    for (id, campaign) in catalogue.campaigns.iter().filter(|(_, c)| caller.may_see(c.spec.advertiser)) {
        let currency =
            catalogue.advertisers.get(&campaign.spec.advertiser).map_or(Currency::EUR, |a| a.spec.currency);
        let mut own = Counters::default();
        let sets = catalogue.ad_sets_of.get(id).into_iter().flatten();
        for ad in sets.filter_map(|set| catalogue.ads_of.get(set)).flatten() {
            own.add(&today(&catalogue, ledger, *ad, now));
        }
        sum.add(&own);
        let budget = ledger.campaign_budget(*id, now);
        let charged = budget.map_or(Nanos::ZERO, |b| b.gross_today);
        *spend.entry(currency).or_default() += charged;
        let gross = budget.map_or(Nanos::ZERO, |b| b.gross);
        let whole = budget.and_then(|b| b.lifetime).map_or(0, |n| n.0);
        campaigns.insert(
            id.to_string(),
            LiveCampaign {
                impressions_count: own.impressions_count,
                clicks_count: own.clicks_count,
                charged_today_nanos: charged.0,
                charged_nanos: gross.0,
                currency: Some(currency),
                impressions: ui::count(own.impressions_count),
                clicks: ui::count(own.clicks_count),
                ctr: ui::percent(own.clicks_count, own.impressions_count),
                spend: ui::money_short(charged, currency),
                spent: ui::money_short(gross, currency),
                spent_permille: if whole > 0 { (gross.0 * 1_000 / whole).min(1_000) as i64 } else { 0 },
            },
        );
    }
    let midnight = zone.day_start(zone.day(now)).hour();
    let (mut requests, mut fills) = (0, 0);
    if caller.sees_everything() {
        for (_, _, hour) in ledger.traffic().all_hours().filter(|(hour, _, _)| *hour >= midnight) {
            requests += hour.requests_count;
            fills += hour.fills_count;
        }
    }
    spend.retain(|_, nanos| nanos.0 != 0);
    let spend: Vec<String> = spend.into_iter().map(|(currency, nanos)| ui::money(nanos, currency)).collect();
    Live {
        at: ui::when(now, &zone),
        impressions_count: sum.impressions_count,
        requests_count: requests,
        fills_count: fills,
        viewable_count: sum.viewable_count,
        clicks_count: sum.clicks_count,
        conversions_count: sum.conversions_count,
        requests: ui::count(requests),
        fills: ui::count(fills),
        impressions: ui::count(sum.impressions_count),
        viewable: ui::count(sum.viewable_count),
        clicks: ui::count(sum.clicks_count),
        conversions: ui::count(sum.conversions_count),
        spend: if spend.is_empty() { "0".into() } else { spend.join(" + ") },
        campaigns,
    }
}

async fn once(State(app): State<AppState>, caller: Caller) -> Response {
    axum::Json(figures(&app, &caller)).into_response()
}

async fn stream(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    if STREAMS.fetch_add(1, Ordering::SeqCst) >= STREAMS_MAX {
        STREAMS.fetch_sub(1, Ordering::SeqCst);
        let title = t!("console-at-most-pages-have-live", STREAMS_MAX = STREAMS_MAX);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title));
    }
    let slot = Slot;
    let language = crate::i18n::lang();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(2);
    tokio::spawn(async move {
        let _slot = slot;
        for _ in 0..TICKS_MAX {
            // A role taken away, or an account closed, ends the stream.
            if !still_in(&app, &caller) {
                break;
            }
            let (platform, who) = (Arc::clone(&app), caller.clone());
            let Ok(live) = tokio::task::spawn_blocking(move || {
                crate::i18n::within(language, || figures(&platform, &who))
            })
            .await
            else {
                break;
            };
            let json = serde_json::to_string(&live).unwrap_or_default();
            if sender.send(Bytes::from(format!("data: {json}\n\n"))).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Events(receiver))).into_response())
}

fn still_in(app: &App, caller: &Caller) -> bool {
    match caller.who {
        crate::http::auth::Who::User(id) => app.platform.catalogue().users.get(&id).is_some_and(|u| {
            u.active
                && Some(u.role) == caller.role
                && (u.advertiser == caller.advertiser || u.advertiser.is_none())
        }),
        crate::http::auth::Who::Token(id) => {
            app.platform.catalogue().tokens.get(&id).is_some_and(|t| t.active)
        }
    }
}

/// One stream; gives its place back at its end.
struct Slot;
impl Drop for Slot {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body of what arrives.
struct Events(tokio::sync::mpsc::Receiver<Bytes>);
impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|next| next.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}
