//! Booking an ad set: where it appears, what is paid, how it is spread over time.

use super::{
    BOOKS, act, action,
    form::{Data, Form, micros_text},
    layout, page, targeting_rows,
};
use crate::http::{App, AppState, Route, auth::Caller};
use crate::t;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{AdSetId, CampaignId, Faults, Micros, Zone, booking::*, command::Command};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/campaigns/{id}/ad-sets/new", BOOKS, get(new)),
        action("/console/campaigns/{id}/ad-sets", BOOKS, post(create)),
        page("/console/ad-sets/{id}/edit", BOOKS, get(edit)),
        action("/console/ad-sets/{id}", BOOKS, post(save)),
    ]
}

/// A tier in words.
pub fn tier_words(tier: &Tier) -> String {
    match tier {
        Tier::Sponsorship { share_ppm } => t!(
            "booking-sponsorship-of-of-the-matching",
            share_ppm = super::ui::percent(u64::from(*share_ppm), 1_000_000)
        ),
        Tier::Guaranteed { impressions_count } => {
            t!("booking-guaranteed-impressions", impressions_count = super::ui::count(*impressions_count))
        }
        Tier::Auction => t!("booking-in-the-auction").into(),
        Tier::House => t!("booking-house-ad").into(),
    }
}

async fn new(State(app): State<AppState>, caller: Caller, Path(campaign): Path<String>) -> layout::Html {
    let campaign: CampaignId = campaign.parse().map_err(|_| act::missing(&campaign))?;
    act::see_campaign(&app.platform.catalogue(), &caller, campaign)?;
    Ok(show(&app, &caller, campaign, None, &blank(), &Faults::new(), None))
}

/// An ad set before anything is typed.
pub(super) fn blank() -> Data {
    let mut data = Data::default();
    for (name, value) in [("bid.kind", "cpm"), ("tier.kind", "auction"), ("pacing", "even")] {
        data.set(name, value);
    }
    data
}

async fn edit(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, data) = current(&app, &caller, id)?;
    Ok(show(&app, &caller, campaign, Some(id), &data, &Faults::new(), None))
}

fn zone_of(app: &App, campaign: CampaignId) -> Zone {
    let catalogue = app.platform.catalogue();
    catalogue
        .campaigns
        .get(&campaign)
        .map_or_else(Zone::utc, |c| act::account_zone(&catalogue, c.spec.advertiser))
}

fn current(app: &App, caller: &Caller, id: AdSetId) -> Result<(CampaignId, Data), layout::PageError> {
    let (campaign, kept) = {
        let catalogue = app.platform.catalogue();
        let campaign = act::see_set(&catalogue, caller, id)?;
        (campaign, catalogue.ad_sets.get(&id).cloned().ok_or_else(|| act::missing(id))?)
    };
    let mut data = fill(&kept.spec, &zone_of(app, campaign));
    data.set("revision", kept.revision);
    Ok((campaign, data))
}

fn fill(spec: &AdSetSpec, zone: &Zone) -> Data {
    let mut data = Data::default();
    data.set("name", &spec.name);
    targeting_rows::fill(&mut data, &spec.targeting);
    let (kind, field, micros) = match &spec.bid {
        Bid::Cpm { micros_per_mille } => ("cpm", "bid.micros_per_mille", *micros_per_mille),
        Bid::Cpc { micros_per_click } => ("cpc", "bid.micros_per_click", *micros_per_click),
        Bid::Cpa { micros_per_conversion, action } => {
            data.set("bid.action", action);
            ("cpa", "bid.micros_per_conversion", *micros_per_conversion)
        }
        Bid::FlatFee { total_micros } => ("flat_fee", "bid.total_micros", total_micros.0),
        Bid::Free => ("free", "", 0),
    };
    data.set("bid.kind", kind);
    if !field.is_empty() {
        data.set(field, micros_text(Micros(micros)));
    }
    let tier = match spec.tier {
        Tier::Sponsorship { share_ppm } => {
            data.set("tier.share_ppm", micros_text(Micros(i64::from(share_ppm) * 100)));
            "sponsorship"
        }
        Tier::Guaranteed { impressions_count } => {
            data.set("tier.impressions_count", impressions_count);
            "guaranteed"
        }
        Tier::Auction => "auction",
        Tier::House => "house",
    };
    data.set("tier.kind", tier);
    data.set("pacing", if spec.pacing == Pacing::Asap { "asap" } else { "even" });
    for (row, cap) in spec.caps.iter().enumerate() {
        data.set(format!("caps[{row}].impressions_count"), cap.impressions_count);
        data.set(
            format!("caps[{row}].period"),
            PERIODS.iter().find(|p| p.2 == cap.period).map_or("", |p| p.0),
        );
        data.set(format!("caps[{row}].scope"), SCOPES.iter().find(|s| s.2 == cap.scope).map_or("", |s| s.0));
    }
    if let Some(flight) = spec.flight {
        data.set("flight.starts_at", zone.input_text(flight.starts_at));
        data.set_some("flight.ends_at", flight.ends_at.map(|end| zone.input_text(end)));
    }
    data.set_some("lifetime_budget_micros", spec.lifetime_budget_micros.map(micros_text));
    data.set_some("daily_budget_micros", spec.daily_budget_micros.map(micros_text));
    data.set_some("external_id", spec.external_id.as_ref());
    data
}

const PERIODS: [(&str, &str, CapPeriod); 5] = [
    ("page_view", "page view", CapPeriod::PageView),
    ("hour", "hour", CapPeriod::Hour),
    ("day", "24 hours", CapPeriod::Day),
    ("week", "seven days", CapPeriod::Week),
    ("lifetime", "flight", CapPeriod::Lifetime),
];
const SCOPES: [(&str, &str, CapScope); 3] = [
    ("ad_set", "all its ads together", CapScope::AdSet),
    ("ad", "each ad", CapScope::Ad),
    ("campaign", "the whole campaign", CapScope::Campaign),
];

fn read(app: &App, campaign: CampaignId, data: &mut Data, faults: &mut Faults) -> AdSetSpec {
    let zone = zone_of(app, campaign);
    let begins = app.platform.catalogue().campaigns.get(&campaign).map(|c| c.spec.flight.starts_at);
    read_in(&zone, begins.unwrap_or_default(), campaign, data, faults)
}
/// What a form says of an ad set of a campaign that begins then; times are of this zone.
pub(super) fn read_in(
    zone: &Zone,
    begins: regie_model::UtcMs,
    campaign: CampaignId,
    data: &mut Data,
    faults: &mut Faults,
) -> AdSetSpec {
    data.compact("caps", &["impressions_count"]);
    let starts_at = data.time_opt("flight.starts_at", zone, faults);
    let ends_at = data.time_opt("flight.ends_at", zone, faults);
    let flight = if data.has("flight.starts_at") || data.has("flight.ends_at") {
        Some(Flight { starts_at: starts_at.unwrap_or(begins), ends_at })
    } else {
        None
    };
    let mut caps = Vec::new();
    for row in 0..data.rows("caps") {
        let at = |field: &str| format!("caps[{row}].{field}");
        let period =
            PERIODS.iter().find(|p| p.0 == data.get(&at("period"))).map_or(CapPeriod::PageView, |p| p.2);
        let scope = SCOPES.iter().find(|s| s.0 == data.get(&at("scope"))).map_or(CapScope::AdSet, |s| s.2);
        caps.push(FrequencyCap {
            scope,
            period,
            impressions_count: data.whole(&at("impressions_count"), 0, faults),
        });
    }
    AdSetSpec {
        campaign,
        name: data.text("name"),
        targeting: targeting_rows::read(data, faults),
        bid: read_bid(data, faults),
        tier: read_tier(data, faults),
        pacing: if data.get("pacing") == "asap" { Pacing::Asap } else { Pacing::Even },
        caps,
        flight,
        lifetime_budget_micros: data.micros_opt("lifetime_budget_micros", faults),
        daily_budget_micros: data.micros_opt("daily_budget_micros", faults),
        external_id: Some(data.text("external_id")).filter(|t| !t.is_empty()),
        experiment: None,
        learning: None,
    }
}
fn read_bid(data: &Data, faults: &mut Faults) -> Bid {
    match data.get("bid.kind") {
        "cpm" => Bid::Cpm { micros_per_mille: data.micros("bid.micros_per_mille", faults) },
        "cpc" => Bid::Cpc { micros_per_click: data.micros("bid.micros_per_click", faults) },
        "cpa" => Bid::Cpa {
            micros_per_conversion: data.micros("bid.micros_per_conversion", faults),
            action: data.text("bid.action"),
        },
        "flat_fee" => Bid::FlatFee { total_micros: Micros(data.micros("bid.total_micros", faults)) },
        "free" => Bid::Free,
        _ => {
            faults.add("bid.kind", "missing", t!("booking-choose-what-is-paid-for"));
            Bid::Free
        }
    }
}
fn read_tier(data: &Data, faults: &mut Faults) -> Tier {
    match data.get("tier.kind") {
        "sponsorship" => {
            let percent = data.micros("tier.share_ppm", faults);
            Tier::Sponsorship { share_ppm: u32::try_from(percent / 100).unwrap_or(u32::MAX) }
        }
        "guaranteed" => {
            Tier::Guaranteed { impressions_count: data.whole("tier.impressions_count", 0, faults) }
        }
        "house" => Tier::House,
        _ => Tier::Auction,
    }
}

async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Path(campaign): Path<String>,
    data: Data,
) -> layout::Html {
    let campaign: CampaignId = campaign.parse().map_err(|_| act::missing(&campaign))?;
    put(&app, &caller, campaign, None, data).await
}
async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let campaign = act::see_set(&app.platform.catalogue(), &caller, id)?;
    put(&app, &caller, campaign, Some(id), data).await
}
async fn put(
    app: &AppState,
    caller: &Caller,
    campaign: CampaignId,
    id: Option<AdSetId>,
    mut data: Data,
) -> layout::Html {
    let mut faults = Faults::new();
    let mut spec = read(app, campaign, &mut data, &mut faults);
    // The form has no fields for experiment and learning (they have a page of their own): an edit keeps them.
    let kept = id.and_then(|id| app.platform.catalogue().ad_sets.get(&id).map(|kept| kept.spec.clone()));
    (spec.experiment, spec.learning) = kept.map_or((None, None), |kept| (kept.experiment, kept.learning));
    if data.has("forecast") {
        let panel = crate::http::forecast::panel(app, caller, &spec, id).await;
        return Ok(show_with(app, caller, campaign, id, &data, &Faults::new(), None, &panel));
    }
    let command = Command::PutAdSet { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(app, caller, command, faults).await? {
        act::Sent::Done(id) => Ok(layout::go(format!("/console/campaigns/{campaign}#{id}"))),
        act::Sent::Faults(faults) => Ok(show(app, caller, campaign, id, &data, &faults, None)),
        act::Sent::Conflict => {
            let (_, theirs) = current(app, caller, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            Ok(show(app, caller, campaign, id, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

fn show(
    app: &AppState,
    caller: &Caller,
    campaign: CampaignId,
    id: Option<AdSetId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> axum::response::Response {
    show_with(app, caller, campaign, id, data, faults, theirs, &html! {})
}

/// The form, with the forecast that was asked for.
#[allow(clippy::too_many_arguments)]
fn show_with(
    app: &AppState,
    caller: &Caller,
    campaign: CampaignId,
    id: Option<AdSetId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
    forecast: &Markup,
) -> axum::response::Response {
    let form = Form { data, faults, theirs };
    let fields = html! {
        fieldset { legend { (t!("booking-ad-set")) } (form.field("name", t!("words-name")).required()) }
        (price(&form))
        (targeting_rows::rows(&form, |_| true))
        (spread(&form))
        fieldset id="forecast" {
            legend { (t!("booking-forecast")) }
            p { (t!("booking-how-many-requests-it-will")) }
            button name="forecast" value="on" formnovalidate data-follow="#forecast" { (t!("booking-forecast-without-saving")) }
            (forecast)
        }
    };
    let name =
        app.platform.catalogue().campaigns.get(&campaign).map(|c| c.spec.name.clone()).unwrap_or_default();
    let back = format!("/console/campaigns/{campaign}");
    let to = id.map_or_else(
        || format!("/console/campaigns/{campaign}/ad-sets"),
        |id| format!("/console/ad-sets/{id}"),
    );
    let (title, button) = if id.is_some() {
        (t!("booking-edit-the-ad-set"), t!("booking-save-the-ad-set"))
    } else {
        (t!("words-add-an-ad-set"), t!("booking-add-the-ad-set"))
    };
    let body = form.wrap(caller, &to, &fields, button, &back);
    let status =
        if faults.is_empty() && theirs.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = layout::Frame::new(title, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb(back, name);
    layout::console_with(status, app, caller, &frame, &body)
}

/// What is paid, and for what.
pub(super) fn price(form: &Form<'_>) -> Markup {
    html! {
        fieldset {
            legend { (t!("booking-what-is-paid")) }
            p { (t!("booking-amounts-are-in-the-account")) }
            div class="row" {
                (form.field("bid.kind", t!("booking-paid-for")).select([("cpm", t!("booking-a-thousand-impressions-cpm")), ("cpc", t!("booking-a-click-cpc")), ("cpa", t!("booking-an-action-after-a-click")), ("flat_fee", t!("booking-the-whole-flight-flat-fee")), ("free", t!("booking-nothing-house-ads"))]).required())
                (form.field("tier.kind", t!("booking-order-of-service")).select([("auction", t!("booking-auction-competes-by-value")), ("sponsorship", t!("booking-sponsorship-a-share-of-requests")), ("guaranteed", t!("booking-guaranteed-a-number-of-impressions")), ("house", t!("booking-house-the-publisher-s-own"))]).required())
            }
            (form.faults_at("bid"))
            div class="row" {
                (form.field("bid.micros_per_mille", t!("booking-bid-for-a-thousand-impressions")).amount())
                (form.field("bid.micros_per_click", t!("booking-bid-for-a-click")).amount())
                (form.field("bid.micros_per_conversion", t!("booking-bid-for-an-action")).amount())
                (form.field("bid.action", t!("booking-which-action")).hint(t!("booking-such-as-order-or-signup")))
                (form.field("bid.total_micros", t!("booking-flat-fee")).amount())
            }
            div class="row" {
                (form.field("tier.share_ppm", t!("booking-share-of-requests-percent")).amount().hint(t!("booking-only-for-a-sponsorship-such")))
                (form.field("tier.impressions_count", t!("booking-impressions-promised")).number().hint(t!("booking-only-for-guaranteed")))
            }
        }
    }
}

/// How it is spread over time and visitors.
pub(super) fn spread(form: &Form<'_>) -> Markup {
    let caps = form.data.rows("caps") + 1;
    html! {
        fieldset {
            legend { (t!("booking-how-it-is-spread")) }
            (form.field("pacing", t!("booking-pacing")).select([("even", t!("booking-evenly-along-the-site-s")), ("asap", t!("booking-as-fast-as-possible"))]))
            div class="row" { (form.field("lifetime_budget_micros", t!("booking-budget-of-this-ad-set")).amount()) (form.field("daily_budget_micros", t!("booking-its-budget-a-day")).amount()) }
            div class="row" { (form.field("flight.starts_at", t!("booking-own-start")).time().hint(t!("booking-empty-the-campaign-s"))) (form.field("flight.ends_at", t!("booking-own-end")).time()) }
            h3 { (t!("booking-how-often-one-visitor-sees")) }
            @for row in 0..caps {
                @let at = |field: &str| format!("caps[{row}].{field}");
                div class="row" {
                    (form.field(at("impressions_count"), t!("booking-at-most")).number())
                    (form.field(at("period"), t!("booking-times-in-one")).select(PERIODS.map(|(v, w, _)| (v, w))))
                    (form.field(at("scope"), t!("console-cap-counting")).select(SCOPES.map(|(v, w, _)| (v, w))))
                }
            }
            p class="small muted" { (t!("booking-periods-longer-than-a-page")) }
            details { summary { (t!("words-for-imports")) } (form.field("external_id", t!("words-your-own-id"))) }
        }
    }
}
