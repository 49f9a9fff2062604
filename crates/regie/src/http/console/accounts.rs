//! Advertisers with their money, and sponsors and payers.

use super::{
    OPERATES, SIGNED, act, action,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{App, AppState, Route, auth::Caller, booking};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdvertiserId, Faults, Micros,
    booking::{AdvertiserSpec, Funding, PartyKind},
    catalogue::Kept,
    command::{Command, EntityRef},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/advertisers", SIGNED, get(list)),
        page("/console/advertisers/{id}", SIGNED, get(show)),
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
                @if shown.is_empty() { (ui::empty("No advertiser yet. An advertiser is the account that books and is billed.")) } @else {
                    div class="scroll" { table {
                        thead { tr { th { "Advertiser" } th { "Pays" } th class="right" { "Paid in" } th class="right" { "Charged, net" } th class="right" { "May still be charged" } } }
                        tbody { @for (id, advertiser) in shown {
                            @let money = advertiser.spec.currency;
                            @let account = folds.ledger.account(*id);
                            tr {
                                th scope="row" { a href={ "/console/advertisers/" (id) } { (advertiser.spec.name) } span class="small muted" { (id) ", " (money) ", " (advertiser.spec.zone.name()) } }
                                td { (funding_words(&advertiser.spec)) }
                                @if let Some(account) = account {
                                    td class="right" { (ui::money(account.deposits, money)) }
                                    td class="right" { (ui::money(account.gross - account.credited, money)) }
                                    td class="right" { (ui::money(account.remaining, money)) @if account.remaining.0 <= 0 { span class="small" { (ui::badge("bad", "empty")) } } }
                                } @else { td {} td {} td {} }
                            }
                        } }
                    } }
                }
            }
        }
    };
    let actions = html! { @if caller.may_book_inventory() { a class="btn primary" href="/console/advertisers/new" { "Add an advertiser" } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new("Advertisers", "/console/advertisers").actions(actions),
        &body,
    )
}

fn funding_words(spec: &AdvertiserSpec) -> String {
    match spec.funding {
        Funding::Prepaid => "in advance".into(),
        Funding::Credit { limit_micros } => {
            format!("by invoice, up to {} open", ui::money_micros(limit_micros, spec.currency))
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
                h2 { "Account" }
                dl class="facts" {
                    dt { "Id" } dd { code { (id) } }
                    dt { "Currency" } dd { (kept.spec.currency) }
                    dt { "Time zone" } dd { (kept.spec.zone.name()) }
                    dt { "Pays" } dd { (funding_words(&kept.spec)) }
                    dt { "Categories" } dd { @if kept.spec.categories.is_empty() { "none" } @else { (kept.spec.categories.join(", ")) } }
                    dt { "Invoice address" } dd { (ui::lines(&kept.spec.invoice_address)) }
                    dt { "Pixel conversions" } dd { @match kept.spec.pixel_conversions { Some(p) => { "accepted, at most " (p.daily_count_max) " billed a day" } None => "not billed" } }
                }
                p { a href={ "/console/campaigns?advertiser=" (id) } { "Its campaigns" } " · " a href={ "/console/billing?advertiser=" (id) } { "Its invoices" } " · " a href={ "/console/history?entity=" (id) } { "History" } }
            }
            @if caller.may_operate() {
                form class="card" method="post" action={ "/console/advertisers/" (id) "/deposits" } novalidate {
                    h2 { "Book a payment" }
                    (form.summary()) (layout::csrf(caller))
                    (form.field("amount_micros", "Amount").amount().unit(currency_word(&kept)).required())
                    (form.field("reference", "Reference").hint("What the bank statement says, such as an invoice number."))
                    button class="primary" { "Book the payment" }
                }
            }
        }
    };
    let actions = html! { (ui::status(kept.status)) @if caller.may_book_inventory() { a class="btn" href={ "/console/advertisers/" (id) "/edit" } { "Edit" } } };
    let frame = layout::Frame::new(&kept.spec.name, "/console/advertisers")
        .crumb("/console/advertisers", "Advertisers")
        .actions(actions);
    Ok(layout::console_with(status, app, caller, &frame, &body))
}
fn currency_word(kept: &Kept<AdvertiserSpec>) -> &'static str {
    match &kept.spec.currency.0 {
        b"EUR" => "EUR",
        b"USD" => "USD",
        b"GBP" => "GBP",
        b"CHF" => "CHF",
        _ => "in the account's currency",
    }
}

fn balance(app: &App, id: AdvertiserId, kept: &Kept<AdvertiserSpec>) -> Markup {
    let folds = app.platform.folds();
    let Some(account) = folds.ledger.account(id) else { return ui::nothing() };
    let money = kept.spec.currency;
    html! {
        dl class="figures" {
            (ui::figure("Paid in", &ui::money(account.deposits, money), ""))
            (ui::figure("Charged", &ui::money(account.gross, money), ""))
            (ui::figure("Credited", &ui::money(account.credited, money), ""))
            (ui::figure("May still be charged", &ui::money(account.remaining, money), ""))
            (ui::figure("Delivered free, account empty", &ui::money(account.free, money), ""))
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
        p class="lead" { "The sponsor is on whose behalf an ad appears, the payer who pays for it. Both are public, on every ad." }
        div class="card flush" {
            @if rows.is_empty() { (ui::empty("No sponsor or payer yet; a campaign needs both.")) } @else {
                div class="scroll" { table {
                    thead { tr { th { "Name" } th { "Kind" } th { "Established in" } th { "Contact" } th { "For political ads" } } }
                    tbody { @for (id, kind, country, gaps, status) in &rows {
                        @let party = view.parties.get(id).cloned().unwrap_or_default();
                        tr {
                            th scope="row" { a href={ "/console/parties/" (id) "/edit" } { (party.name) } span class="small muted" { (id) } @if *status != regie_model::booking::Status::Active { (ui::status(*status)) } }
                            td { @match kind { PartyKind::Person => "person", PartyKind::Organisation => "organisation" } }
                            td { (country) }
                            td class="wrap-any" { @if contacts { (party.email) } @else { span class="muted" { "not for your role" } } }
                            td { @if gaps.is_empty() { (ui::badge("good", "complete")) } @else { (ui::badge("warn", "incomplete")) span class="small muted" { "lacks " (gaps.join(", ").replace("identity.", "")) } } }
                        }
                    } }
                } }
            }
        }
    };
    let actions = html! { @if caller.may_book() { a class="btn primary" href="/console/parties/new" { "Add a sponsor or payer" } } };
    layout::console(
        &app,
        &caller,
        &layout::Frame::new("Sponsors and payers", "/console/parties").actions(actions),
        &body,
    )
}
