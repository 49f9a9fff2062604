//! Campaigns: the list, and the page of one with its ad sets, budgets, ads and the reasons why it does not deliver.

use super::{BOOKS, SIGNED, act, action, form::Data, layout, page, ui, why};
use crate::http::{App, AppState, Route, auth::Caller, problem::Problem};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_ledger::{Counts, Limit};
use regie_model::{
    AdSetId, AdvertiserId, CampaignId, Currency, Day, Nanos, UtcMs, Zone,
    booking::{Bid, CampaignSpec, Flight, Status},
    catalogue::{Catalogue, Kept},
    command::{Command, EntityRef},
};
use serde::Deserialize;

/// Rows of one page.
const ROWS_MAX: usize = 100;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/campaigns", SIGNED, get(list)),
        page("/console/campaigns/{id}", SIGNED, get(show)),
        action("/console/status", BOOKS, post(set_status)),
    ]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    q: String,
    status: String,
    advertiser: String,
    after: Option<u32>,
}

/// Counts of all ad sets of a campaign.
pub fn counts(catalogue: &Catalogue, ledger: &regie_ledger::Ledger, id: CampaignId) -> Counts {
    let mut sum = Counts::default();
    for set in catalogue.ad_sets_of.get(&id).into_iter().flatten() {
        let own = ledger.counts(*set);
        sum.impressions_count += own.impressions_count;
        sum.viewable_count += own.viewable_count;
        sum.clicks_count += own.clicks_count;
        sum.conversions_count += own.conversions_count;
    }
    sum
}

/// Currency of an advertiser's account.
pub fn currency(catalogue: &Catalogue, id: AdvertiserId) -> Currency {
    catalogue.advertisers.get(&id).map_or(Currency::EUR, |a| a.spec.currency)
}

/// A flight in words of the account's zone.
pub fn flight_words(catalogue: &Catalogue, advertiser: AdvertiserId, flight: Flight) -> String {
    let zone = act::account_zone(catalogue, advertiser);
    let end = flight.ends_at.map_or_else(
        || t!("words-until-stopped").to_owned(),
        |end| t!("console-to-time", end = ui::when(end, &zone)),
    );
    format!("{} {end}", ui::when(flight.starts_at, &zone))
}

fn phase(status: Status, flight: Flight, now: UtcMs) -> Markup {
    match status {
        Status::Active if flight.ends_at.is_some_and(|end| end <= now) => ui::badge("", t!("console-ended")),
        Status::Active if now < flight.starts_at => ui::badge("", t!("console-not-begun")),
        Status::Active => ui::badge("good", t!("words-running")),
        other => ui::status(other),
    }
}

async fn list(State(app): State<AppState>, caller: Caller, Query(query): Query<ListQuery>) -> Response {
    let body = html! {
        form class="filters" method="get" action="/console/campaigns" data-swap="#list" role="search" {
            div class="field" { label for="q" { (t!("console-name-or-id")) } input id="q" name="q" type="search" value=(query.q); }
            div class="field" { label for="st" { (t!("words-status")) } select id="st" name="status" { @for (v, w) in [("", "any"), ("active", "active"), ("paused", "paused"), ("draft", "draft"), ("archived", "archived")] { option value=(v) selected[query.status == v] { (say(w)) } } } }
            @if !query.advertiser.is_empty() { input type="hidden" name="advertiser" value=(query.advertiser); }
            button { (t!("words-show")) }
        }
        div data-live-source="/console/live" {}
        div id="list" class="card flush" { (rows(&app, &caller, &query)) }
    };
    let actions = html! { @if caller.may_book() { a class="btn primary" href="/console/book" { (t!("words-book-a-campaign")) } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("words-campaigns"), "/console/campaigns").actions(actions),
        &body,
    )
}

fn rows(app: &App, caller: &Caller, query: &ListQuery) -> Markup {
    let now = app.platform.now();
    let catalogue = app.platform.catalogue();
    let needle = query.q.trim().to_lowercase();
    let wanted = |id: &CampaignId, c: &Kept<CampaignSpec>| {
        caller.may_see(c.spec.advertiser)
            && (needle.is_empty() || c.spec.name.to_lowercase().contains(&needle) || id.to_string() == needle)
            && (query.status.is_empty() && c.status != Status::Archived || word(c.status) == query.status)
            && (query.advertiser.is_empty() || c.spec.advertiser.to_string() == query.advertiser)
            && query.after.is_none_or(|after| id.0 < after)
    };
    let found: Vec<_> =
        catalogue.campaigns.iter().rev().filter(|(id, c)| wanted(id, c)).take(ROWS_MAX + 1).collect();
    if found.is_empty() {
        return ui::empty(t!("console-no-campaign-fits-book-one"));
    }
    let folds = app.platform.folds();
    html! {
        div class="scroll" {
            table {
                thead { tr { th { (t!("words-campaign")) } th { (t!("words-status")) } th { (t!("console-flight")) } th { (t!("console-budget")) } th class="right" { (t!("words-impressions")) } th class="right" { (t!("words-ctr")) } th class="right" { (t!("words-spent")) } } }
                tbody {
                    @for (id, campaign) in found.iter().take(ROWS_MAX) {
                        @let money = currency(&catalogue, campaign.spec.advertiser);
                        @let counts = counts(&catalogue, &folds.ledger, **id);
                        @let budget = folds.ledger.campaign_budget(**id, now);
                        @let gross = budget.map_or(Nanos::ZERO, |b| b.gross);
                        tr {
                            th scope="row" { a href={ "/console/campaigns/" (id) } { (campaign.spec.name) } " " (ui::political(campaign.spec.political.is_some())) span class="small muted" { (id) } }
                            td { (phase(campaign.status, campaign.spec.flight, now)) }
                            td class="small" { (flight_words(&catalogue, campaign.spec.advertiser, campaign.spec.flight)) }
                            td {
                                @match budget.and_then(|b| b.lifetime) {
                                    Some(whole) => { (ui::bar(gross.0, whole.0, t!("words-spent-of-the-budget"), &format!("campaigns.{id}.spent_permille"))) span class="small muted" { (th!("console-left", max = ui::money(Nanos((whole.0 - gross.0).max(0)), money))) } }
                                    None => span class="small muted" { (t!("console-no-limit-in-all")) },
                                }
                                @if let Some(daily) = budget.and_then(|b| b.daily) { span class="small muted" { (th!("console-a-day", daily = ui::money(daily, money))) } }
                            }
                            td class="right" { (ui::count(counts.impressions_count)) }
                            td class="right" { (ui::percent(counts.clicks_count, counts.impressions_count)) }
                            td class="right" { span data-live={ "campaigns." (id) ".spent" } { (ui::money(gross, money)) } }
                        }
                    }
                }
            }
        }
        @if found.len() > ROWS_MAX {
            @if let Some((last, _)) = found.get(ROWS_MAX - 1) {
                p class="empty" { a href={ "?" (next_query(query, last.0)) } { (t!("console-older-campaigns")) } }
            }
        }
    }
}
fn next_query(query: &ListQuery, after: u32) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs
        .append_pair("q", &query.q)
        .append_pair("status", &query.status)
        .append_pair("advertiser", &query.advertiser);
    pairs.append_pair("after", &after.to_string());
    pairs.finish()
}
/// The word of a status.
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Archived => "archived",
    }
}

/// Buttons that pause, resume or put away.
pub fn status_buttons(caller: &Caller, id: &str, status: Status, back: &str) -> Markup {
    let moves: &[(&str, &str, &str)] = match status {
        Status::Active => &[("paused", t!("console-pause"), "")],
        Status::Paused | Status::Draft => &[
            ("active", if status == Status::Draft { t!("console-start") } else { t!("console-resume") }, ""),
            ("archived", t!("console-archive"), t!("console-put-this-away-it-stays")),
        ],
        Status::Archived => &[("paused", t!("console-take-out-of-the-archive"), "")],
    };
    html! {
        @if caller.may_book() {
            @for (to, words, question) in moves {
                form class="inline" method="post" action="/console/status" data-confirm=[(!question.is_empty()).then_some(question)] {
                    (layout::csrf(caller))
                    input type="hidden" name="entity" value=(id);
                    input type="hidden" name="status" value=(to);
                    input type="hidden" name="back" value=(back);
                    button { (words) }
                }
            }
        }
    }
}

async fn set_status(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let entity = entity(data.get("entity")).ok_or_else(|| Problem::bad_request("There is no such thing."))?;
    let status = match data.get("status") {
        "active" => Status::Active,
        "paused" => Status::Paused,
        "archived" => Status::Archived,
        _ => return Err(Problem::bad_request("A status is active, paused or archived.").into()),
    };
    act::run(&app, &caller, vec![Command::SetStatus { entity, status }]).await?;
    Ok(layout::go(own_path(data.get("back"))))
}
/// A path of the console, never another server's.
fn own_path(path: &str) -> &str {
    if path.starts_with("/console/") && !path.contains(['\\', '\r', '\n']) { path } else { "/console" }
}
fn entity(text: &str) -> Option<EntityRef> {
    crate::http::booking::kind::parse_any(text)
}

async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let (spec, status, advertiser_name) = {
        let catalogue = app.platform.catalogue();
        let advertiser = act::see_campaign(&catalogue, &caller, id)?;
        let kept = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?;
        let name = catalogue.advertisers.get(&advertiser).map(|a| a.spec.name.clone()).unwrap_or_default();
        (kept.spec.clone(), kept.status, name)
    };
    let body = html! {
        div data-live-source="/console/live" {}
        (figures(&app, id, &spec))
        div class="grid wide" {
            div { (ad_sets(&app, &caller, id, &spec)) }
            div { (facts(&app, id, &spec, &advertiser_name)) }
        }
    };
    let back = format!("/console/campaigns/{id}");
    let actions = html! {
        (phase(status, spec.flight, app.platform.now())) (ui::political(spec.political.is_some()))
        (status_buttons(&caller, &id.to_string(), status, &back))
        @if caller.may_book() { a class="btn" href={ (back) "/edit" } { (t!("words-edit")) } }
        a class="btn" href={ (back) "/adapting" } { (t!("learning-adapting")) }
        a class="btn" href={ (back) "/results" } { (t!("console-results")) }
        @if caller.may_book() { form class="inline" method="post" action={ (back) "/duplicate" } { (layout::csrf(&caller)) button { (t!("booking-duplicate")) } } }
        a class="btn" href={ "/console/reports?campaign=" (id) } { (t!("words-report")) }
    };
    let frame = layout::Frame::new(&spec.name, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

fn figures(app: &App, id: CampaignId, spec: &CampaignSpec) -> Markup {
    let now = app.platform.now();
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let counts = counts(&catalogue, &folds.ledger, id);
    let budget = folds.ledger.campaign_budget(id, now);
    let money = currency(&catalogue, spec.advertiser);
    let gross = budget.map_or(Nanos::ZERO, |b| b.gross);
    let free = budget.map_or(0, |b| b.free_lifetime.0 + b.free_daily.0);
    html! {
        dl class="figures" {
            (ui::figure(t!("words-impressions"), &ui::count(counts.impressions_count), ""))
            (ui::figure(t!("words-viewable"), &ui::percent(counts.viewable_count, counts.impressions_count), ""))
            (ui::figure(t!("words-clicks"), &ui::count(counts.clicks_count), ""))
            (ui::figure("CTR", &ui::percent(counts.clicks_count, counts.impressions_count), ""))
            (ui::figure(t!("words-conversions"), &ui::count(counts.conversions_count), ""))
            (ui::figure(t!("words-spent"), &ui::money(gross, money), &format!("campaigns.{id}.spent")))
            (ui::figure(t!("words-charged-today"), &ui::money(budget.map_or(Nanos::ZERO, |b| b.gross_today), money), &format!("campaigns.{id}.spend")))
        }
        @if let Some(whole) = budget.and_then(|b| b.lifetime) {
            div class="card" {
                (th!("console-of-spent-left", strong = html! { strong { (ui::money(gross, money)) } }, whole = ui::money(whole, money), max = ui::money(Nanos((whole.0 - gross.0).max(0)), money), format = ui::bar(gross.0, whole.0, t!("words-spent-of-the-budget"), &format!("campaigns.{id}.spent_permille"))))
                @if free > 0 { p class="small muted" { (th!("console-delivered-beyond-a-budget-and", free = ui::money(Nanos(free), money))) } }
            }
        }
    }
}

/// Why a political campaign is not served now, by its declaration, its sponsor and the votes that it names.
fn not_served(catalogue: &Catalogue, spec: &CampaignSpec, now: regie_model::UtcMs) -> Vec<String> {
    let Some(declaration) = &spec.political else { return Vec::new() };
    let mut reasons = Vec::new();
    if !declaration.right_missing.trim().is_empty() {
        reasons.push(t!("console-not-served-it-lacks-a", right_missing = declaration.right_missing));
    }
    let mut faults = regie_model::Faults::new();
    declaration.check("political", &mut faults);
    reasons.extend(faults.0.iter().map(|f| t!("console-not-served", field = f.field, message = f.message)));
    let sponsor = catalogue.parties.get(&spec.sponsor).map(|p| &p.spec);
    for gap in sponsor.iter().flat_map(|s| &s.political_gaps) {
        reasons.push(t!("console-not-served-the-notice-needs", gap = gap));
    }
    let today = catalogue.publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone()).day(now);
    for linked in &declaration.linked {
        let kept = linked.election.and_then(|id| catalogue.elections.get(&id)).map(|e| &e.spec);
        let Some(vote) = kept.map(|e| e.held_on).or(linked.held_on) else { continue };
        let from = kept.map_or(Day(vote.0 - regie_model::booking::RESTRICTED_DAYS), |e| e.restricted_from());
        let admitted = sponsor.is_some_and(|s| s.may_sponsor_before_votes);
        if !admitted && (from..=vote).contains(&today) {
            reasons.push(t!(
                "console-not-served-until-is-over",
                vote = vote,
                from = from,
                name = linked.name
            ));
        }
        if let Some(silent) = kept.and_then(|e| e.silent_from)
            && (silent..=vote).contains(&today)
        {
            reasons.push(t!(
                "console-not-served-until-is-over-2",
                vote = vote,
                name = linked.name,
                silent = silent
            ));
        }
    }
    reasons
}

fn facts(app: &App, id: CampaignId, spec: &CampaignSpec, advertiser: &str) -> Markup {
    let catalogue = app.platform.catalogue();
    let money = currency(&catalogue, spec.advertiser);
    let amount = |m: Option<regie_model::Micros>| {
        m.map_or_else(|| t!("console-no-limit").to_owned(), |m| ui::money_micros(m, money))
    };
    html! {
        div class="card" {
            h2 { (t!("words-booked")) }
            dl class="facts" {
                dt { (t!("words-id")) } dd { code { (id) } }
                dt { (t!("words-advertiser")) } dd { a href={ "/console/advertisers/" (spec.advertiser) } { (advertiser) } }
                dt { (t!("words-sponsor")) } dd { (act::party_name(app, spec.sponsor)) }
                dt { (t!("words-payer")) } dd { (act::party_name(app, spec.payer)) }
                dt { (t!("words-objective")) } dd { (say(super::book_campaign::objective_word(spec.objective))) }
                dt { (t!("console-flight")) } dd { (flight_words(&catalogue, spec.advertiser, spec.flight)) " (" (act::account_zone(&catalogue, spec.advertiser).name()) ")" }
                dt { (t!("words-budget-in-all")) } dd { (amount(spec.lifetime_budget_micros)) }
                dt { (t!("words-budget-a-day")) } dd { (amount(spec.daily_budget_micros)) }
            }
            @for reason in not_served(&app.platform.catalogue(), spec, app.platform.now()) { div class="note warn" { p { (reason) } } }
            @if spec.political.is_some() { p class="small muted" { (t!("console-declared-as-political-its-notice")) } }
            p { a href={ "/console/history?entity=" (id) } { (t!("console-who-changed-what")) } }
        }
    }
}

fn ad_sets(app: &App, caller: &Caller, id: CampaignId, spec: &CampaignSpec) -> Markup {
    let sets: Vec<AdSetId> = app.platform.catalogue().ad_sets_of.get(&id).cloned().unwrap_or_default();
    html! {
        @if sets.is_empty() { div class="card" { (ui::empty(t!("console-no-ad-set-yet-it"))) } }
        @for set in &sets { (ad_set(app, caller, *set, spec)) }
        @if caller.may_book() { p { a class="btn" href={ "/console/campaigns/" (id) "/ad-sets/new" } { (t!("words-add-an-ad-set")) } } }
    }
}

/// A bid in few words.
pub fn bid_words(bid: &Bid, currency: Currency) -> String {
    let money = |micros: i64| ui::money_micros(regie_model::Micros(micros), currency);
    match bid {
        Bid::Cpm { micros_per_mille } => t!("console-bid-cpm", money = money(*micros_per_mille)),
        Bid::Cpc { micros_per_click } => t!("console-bid-cpc", money = money(*micros_per_click)),
        Bid::Cpa { micros_per_conversion, action } => {
            t!("console-bid-cpa", money = money(*micros_per_conversion), action = action)
        }
        Bid::FlatFee { total_micros } => t!("console-bid-flat", money = money(total_micros.0)),
        Bid::Free => t!("console-bid-free").into(),
    }
}

fn limit_word(limit: Option<Limit>) -> &'static str {
    match limit {
        Some(Limit::Account) => t!("console-the-account-s-balance"),
        Some(Limit::CampaignLifetime) => t!("console-the-campaign-s-budget"),
        Some(Limit::CampaignDaily) => t!("console-the-campaign-s-budget-of"),
        Some(Limit::AdSetLifetime) => t!("console-this-ad-set-s-budget"),
        Some(Limit::AdSetDaily) => t!("console-this-ad-set-s-budget-2"),
        Some(Limit::NotBooked) | None => t!("console-no-budget"),
    }
}

fn ad_set(app: &App, caller: &Caller, id: AdSetId, campaign: &CampaignSpec) -> Markup {
    let now = app.platform.now();
    let catalogue = app.platform.catalogue();
    let Some(set) = catalogue.ad_sets.get(&id) else { return ui::nothing() };
    let folds = app.platform.folds();
    let money = currency(&catalogue, campaign.advertiser);
    let counts = folds.ledger.counts(id);
    let left = folds.ledger.remaining(id, now);
    let held = app.platform.gate.draws().get(&id).map_or(0, |d| d.budgets[2].held_nanos());
    let reasons = folds.ledger.traffic().eliminated(id);
    let gross = folds.ledger.ad_set_budget(id, now).map_or(Nanos::ZERO, |b| b.gross);
    let back = format!("/console/campaigns/{}", set.spec.campaign);
    html! {
        section class="card" id=(id) {
            div class="head" {
                h2 { (set.spec.name) " " (phase(set.status, set.spec.flight_in(campaign), now)) }
                div class="actions" { (status_buttons(caller, &id.to_string(), set.status, &back)) a class="btn" href={ "/console/ad-sets/" (id) "/learning" } { (t!("learning-title")) } @if caller.may_book() { a class="btn" href={ "/console/ad-sets/" (id) "/edit" } { (t!("words-edit")) } } }
            }
            p class="muted" { (bid_words(&set.spec.bid, money)) ", " (super::book_set::tier_words(&set.spec.tier)) ". " (say(&regie_record::targeting_in_words(&set.spec.targeting))) }
            dl class="figures" {
                (ui::figure(t!("words-impressions"), &ui::count(counts.impressions_count), ""))
                (ui::figure(t!("words-clicks"), &ui::count(counts.clicks_count), ""))
                (ui::figure(t!("words-spent"), &ui::money(gross, money), ""))
                (ui::figure(t!("console-may-still-spend"), &left.nanos.map_or_else(|| t!("console-bid-free").into(), |n| ui::money(n, money)), ""))
                (ui::figure(t!("console-held-by-open-tickets"), &ui::money(Nanos(i128::from(held)), money), ""))
            }
            @if left.nanos.is_some() { p class="small muted" { (th!("console-limited-by-a-hold-is", limit = limit_word(left.limit))) } }
            @if let Some(goal) = left.impressions_count { p class="small muted" { (th!("console-impressions-left-of-the-goal", goal = ui::count(goal))) } }
            (super::ads::thumbnails(caller, &catalogue, id))
            h3 { (t!("console-why-it-was-not-shown")) }
            @if reasons.is_empty() {
                p class="muted" { (t!("console-no-decision-of-the-last")) @if counts.impressions_count == 0 { (t!("console-no-request-that-fits-its")) } "." }
            } @else {
                @let all: u64 = reasons.values().sum();
                p class="small muted" { (th!("console-of-the-requests-that-fitted", all = ui::count(all))) }
                (why::list(&reasons))
            }
        }
    }
}
