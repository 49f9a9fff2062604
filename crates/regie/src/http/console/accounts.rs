//! Advertisers with their money, and sponsors and payers.

use super::{
    OPERATES, SIGNED, act, action,
    form::{Data, Form},
    layout, page, twin, ui,
};
use crate::http::{
    App, AppState, Route,
    auth::Caller,
    booking::{self, READ},
    problem::Problem,
};
use crate::{t, th};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdvertiserId, Faults, Micros,
    booking::{AdvertiserSpec, Funding, PartyKind},
    catalogue::Kept,
    command::{Command, EntityRef},
};
use serde_json::json;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/advertisers", SIGNED, get(list)),
        page("/console/advertisers/{id}", SIGNED, get(show)),
        twin("console", "/v1/advertisers/{id}/account", READ, get(account_api)),
        action("/console/advertisers/{id}/deposits", OPERATES, post(deposit)),
        page("/console/parties", SIGNED, get(parties)),
    ]
}

async fn list(State(app): State<AppState>, caller: Caller) -> Response {
    let body = {
        let catalogue = app.platform.catalogue();
        let folds = app.platform.folds();
        let shown: Vec<_> = catalogue.advertisers.iter().filter(|(id, _)| caller.may_see(**id)).collect();
        html! {
            div class="card flush" {
                @if shown.is_empty() { (ui::empty(t!("console-no-advertiser-yet-an-advertiser"))) } @else {
                    div class="scroll" { table {
                        thead { tr { th { (t!("words-advertiser")) } th { (t!("words-pays")) } th class="right" { (t!("console-paid-in")) } th class="right" { (t!("console-charged-net")) } th class="right" { (t!("console-may-still-be-charged")) } } }
                        tbody { @for (id, advertiser) in shown {
                            @let money = advertiser.spec.currency;
                            @let account = folds.ledger.account(*id);
                            tr {
                                th scope="row" { a href={ "/console/advertisers/" (id) } { (advertiser.spec.name) } span class="small muted" { (id) ", " (money) ", " (advertiser.spec.zone.name()) } }
                                td { (funding_words(&advertiser.spec)) }
                                @if let Some(account) = account {
                                    td class="right" { (ui::money(account.deposits, money)) }
                                    td class="right" { (ui::money(account.gross - account.credited, money)) }
                                    td class="right" { (ui::money(account.remaining, money)) @if account.remaining.0 <= 0 { span class="small" { (ui::badge("bad", t!("console-empty"))) } } }
                                } @else { td {} td {} td {} }
                            }
                        } }
                    } }
                }
            }
        }
    };
    let actions = html! { @if caller.may_book_inventory() { a class="btn primary" href="/console/advertisers/new" { (t!("words-add-an-advertiser")) } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-advertisers"), "/console/advertisers").actions(actions),
        &body,
    )
}

/// `GET /v1/advertisers/{id}/account`: what was paid in, charged, given back, and what may still be charged.
async fn account_api(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: AdvertiserId = id.parse().map_err(|_| act::missing(&id))?;
    let currency = {
        let catalogue = app.platform.catalogue();
        act::see_advertiser(&catalogue, &caller, id)?;
        catalogue.advertisers.get(&id).map(|a| a.spec.currency).ok_or_else(|| act::missing(id))?
    };
    crate::http::reports::settle(&app).await?;
    let folds = app.platform.folds();
    let account = folds.ledger.account(id).ok_or_else(|| Problem::not_found("account of this advertiser"))?;
    let told = json!({
        "advertiser": id, "currency": currency, "deposits_nanos": account.deposits, "charged_nanos": account.gross,
        "credited_nanos": account.credited, "remaining_nanos": account.remaining, "free_nanos": account.free,
    });
    Ok(Json(told).into_response())
}

fn funding_words(spec: &AdvertiserSpec) -> String {
    match spec.funding {
        Funding::Prepaid => t!("words-in-advance").into(),
        Funding::Credit { limit_micros } => {
            t!("console-by-invoice-up-to-open", limit_micros = ui::money_micros(limit_micros, spec.currency))
        }
    }
}

async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: AdvertiserId = id.parse().map_err(|_| act::missing(&id))?;
    account_page(&app, &caller, id, StatusCode::OK, &Data::default(), &Faults::new())
}

fn account_page(
    app: &AppState,
    caller: &Caller,
    id: AdvertiserId,
    status: StatusCode,
    data: &Data,
    faults: &Faults,
) -> layout::Html {
    let kept = {
        let catalogue = app.platform.catalogue();
        act::see_advertiser(&catalogue, caller, id)?;
        catalogue.advertisers.get(&id).cloned().ok_or_else(|| act::missing(id))?
    };
    let form = Form { data, faults, theirs: None };
    let body = html! {
        (balance(app, id, &kept))
        div class="grid" {
            div class="card" {
                h2 { (t!("console-account")) }
                dl class="facts" {
                    dt { (t!("words-id")) } dd { code { (id) } }
                    dt { (t!("words-currency")) } dd { (kept.spec.currency) }
                    dt { (t!("words-time-zone")) } dd { (kept.spec.zone.name()) }
                    dt { (t!("words-pays")) } dd { (funding_words(&kept.spec)) }
                    dt { (t!("words-categories")) } dd { @if kept.spec.categories.is_empty() { (t!("words-none")) } @else { (kept.spec.categories.join(", ")) } }
                    dt { (t!("words-invoice-address")) } dd { (ui::lines(&kept.spec.invoice_address)) }
                    dt { (t!("console-pixel-conversions")) } dd { @match kept.spec.pixel_conversions { Some(p) => { (th!("console-accepted-at-most-billed-a", daily_count_max = p.daily_count_max)) } None => (t!("console-not-billed")) } }
                }
                p { a href={ "/console/campaigns?advertiser=" (id) } { (t!("console-its-campaigns")) } " · " a href={ "/console/billing?advertiser=" (id) } { (t!("console-its-invoices")) } " · " a href={ "/console/history?entity=" (id) } { (t!("words-history")) } }
            }
            @if caller.may_operate() {
                form class="card" method="post" action={ "/console/advertisers/" (id) "/deposits" } novalidate {
                    h2 { (t!("console-book-a-payment")) }
                    (form.summary()) (layout::csrf(caller))
                    (form.field("amount_micros", t!("words-amount")).amount().unit(currency_word(&kept)).required())
                    (form.field("reference", t!("console-reference")).hint(t!("console-what-the-bank-statement-says")))
                    button class="primary" { (t!("console-book-the-payment")) }
                }
            }
        }
    };
    let actions = html! { (ui::status(kept.status)) @if caller.may_book_inventory() { a class="btn" href={ "/console/advertisers/" (id) "/edit" } { (t!("words-edit")) } } };
    let frame = layout::Frame::new(&kept.spec.name, "/console/advertisers")
        .crumb("/console/advertisers", t!("console-advertisers"))
        .actions(actions);
    Ok(layout::console_with(status, app, caller, &frame, &body))
}
fn currency_word(kept: &Kept<AdvertiserSpec>) -> &'static str {
    match &kept.spec.currency.0 {
        b"EUR" => "EUR",
        b"USD" => "USD",
        b"GBP" => "GBP",
        b"CHF" => "CHF",
        _ => t!("words-in-the-account-s-currency"),
    }
}

fn balance(app: &App, id: AdvertiserId, kept: &Kept<AdvertiserSpec>) -> Markup {
    let folds = app.platform.folds();
    let Some(account) = folds.ledger.account(id) else { return ui::nothing() };
    let money = kept.spec.currency;
    html! {
        dl class="figures" {
            (ui::figure(t!("console-paid-in"), &ui::money(account.deposits, money), ""))
            (ui::figure(t!("words-charged"), &ui::money(account.gross, money), ""))
            (ui::figure(t!("words-credited"), &ui::money(account.credited, money), ""))
            (ui::figure(t!("console-may-still-be-charged"), &ui::money(account.remaining, money), ""))
            (ui::figure(t!("console-delivered-free-account-empty"), &ui::money(account.free, money), ""))
        }
    }
}

async fn deposit(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdvertiserId = id.parse().map_err(|_| act::missing(&id))?;
    let mut faults = Faults::new();
    let amount_micros = Micros(data.micros("amount_micros", &mut faults));
    let command = Command::Deposit { advertiser: id, amount_micros, reference: data.text("reference") };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Faults(faults) => {
            account_page(&app, &caller, id, StatusCode::UNPROCESSABLE_ENTITY, &data, &faults)
        }
        act::Sent::Done(_) | act::Sent::Conflict => Ok(layout::go(format!("/console/advertisers/{id}"))),
    }
}

async fn parties(State(app): State<AppState>, caller: Caller) -> Response {
    let view = app.platform.current_view();
    let rows: Vec<_> = {
        let catalogue = app.platform.catalogue();
        let seen = |id| booking::scope::may_see(&catalogue, &caller, EntityRef::Party(id));
        let all = catalogue.parties.iter().filter(|(id, _)| seen(**id));
        all.map(|(id, p)| {
            (*id, p.spec.kind, p.spec.established_in.clone(), p.spec.political_gaps.clone(), p.status)
        })
        .collect()
    };
    let contacts = caller.may_see_contacts();
    let body = html! {
        p class="lead" { (t!("console-the-sponsor-is-on-whose")) }
        div class="card flush" {
            @if rows.is_empty() { (ui::empty(t!("console-no-sponsor-or-payer-yet"))) } @else {
                div class="scroll" { table {
                    thead { tr { th { (t!("words-name")) } th { (t!("words-kind")) } th { (t!("console-established-in")) } th { (t!("console-contact")) } th { (t!("words-for-political-ads")) } } }
                    tbody { @for (id, kind, country, gaps, status) in &rows {
                        @let party = view.parties.get(id).cloned().unwrap_or_default();
                        tr {
                            th scope="row" { a href={ "/console/parties/" (id) "/edit" } { (party.name) } span class="small muted" { (id) } @if *status != regie_model::booking::Status::Active { (ui::status(*status)) } }
                            td { @match kind { PartyKind::Person => (t!("console-person")), PartyKind::Organisation => (t!("console-organisation")) } }
                            td { (country) }
                            td class="wrap-any" { @if contacts { (party.email) } @else { span class="muted" { (t!("console-not-for-your-role")) } } }
                            td { @if gaps.is_empty() { (ui::badge("good", t!("console-complete"))) } @else { (ui::badge("warn", t!("console-incomplete"))) span class="small muted" { (th!("console-lacks", replace = gaps.join(", ").replace("identity.", ""))) } } }
                        }
                    } }
                } }
            }
        }
    };
    let actions = html! { @if caller.may_book() { a class="btn primary" href="/console/parties/new" { (t!("words-add-a-sponsor-or-payer")) } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-sponsors-and-payers"), "/console/parties").actions(actions),
        &body,
    )
}
