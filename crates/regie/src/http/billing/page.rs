//! Invoices and statements as pages that print well.

use super::{Month, invoice, issue};
use crate::http::{
    AppState, Route,
    auth::Caller,
    console::{self, form::Data, layout, ui},
    problem::Problem,
};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_ledger::{ChargeKind, Invoice};
use regie_model::{AdvertiserId, catalogue::Catalogue};
use serde::Deserialize;

/// Months offered for each account.
const MONTHS: usize = 12;

/// The pages' routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        console::page("/console/billing", console::SIGNED, get(list)),
        console::page("/console/billing/{advertiser}/{month}", console::SIGNED, get(show)),
        console::action("/console/billing/{advertiser}/{month}", console::OPERATES, post(close)),
    ]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    advertiser: String,
}

/// The months of an account from now backwards.
fn months(app: &AppState, catalogue: &Catalogue, advertiser: AdvertiserId) -> Vec<Month> {
    let zone = console::act::account_zone(catalogue, advertiser);
    let (year, month) = zone.day(app.platform.now()).year_month();
    let mut at = Month { year, month };
    let mut all = Vec::with_capacity(MONTHS);
    for _ in 0..MONTHS {
        all.push(at);
        at = if at.month == 1 {
            Month { year: at.year - 1, month: 12 }
        } else {
            Month { year: at.year, month: at.month - 1 }
        };
    }
    all
}

async fn list(State(app): State<AppState>, caller: Caller, Query(query): Query<ListQuery>) -> layout::Html {
    super::super::reports::settle(&app).await?;
    let body = {
        let catalogue = app.platform.catalogue();
        let folds = app.platform.folds();
        let wanted = |id: &AdvertiserId| {
            caller.may_see(*id) && (query.advertiser.is_empty() || query.advertiser == id.to_string())
        };
        html! {
            p class="lead" { (t!("console-a-statement-shows-a-month")) }
            div class="card flush" { div class="scroll" { table {
                thead { tr { th { (t!("words-advertiser")) } th { (t!("console-month")) } th { (t!("console-number")) } th class="right" { (t!("words-charged")) } th class="right" { (t!("words-credited")) } th class="right" { (t!("words-net")) } th class="right" { (t!("console-with-tax")) } } }
                @for (id, advertiser) in catalogue.advertisers.iter().filter(|(id, _)| wanted(id)) {
                    @let running = months(&app, &catalogue, *id).first().copied();
                    tbody { @for month in months(&app, &catalogue, *id) {
                        @if let Some(invoice) = folds.ledger.invoice(*id, month.year, month.month).filter(|i| !i.lines.is_empty() || Some(month) == running) {
                            tr {
                                th scope="row" { @if Some(month) == running { a href={ "/console/advertisers/" (id) } { (advertiser.spec.name) } span class="small muted" { (id) } } @else { span class="visually-hidden" { (advertiser.spec.name) } } }
                                td class="nowrap" { a href={ "/console/billing/" (id) "/" (month) } { (month) } }
                                td { @match invoice.number { Some(number) => { (th!("console-no", number = number)) } None => @if Some(month) == running { (ui::badge("", t!("words-running"))) } @else { (ui::badge("warn", t!("console-to-be-issued"))) } } }
                                td class="right" { (ui::money(invoice.gross_nanos, invoice.currency)) }
                                td class="right" { (ui::money(invoice.credited_nanos, invoice.currency)) }
                                td class="right" { (ui::money_micros(invoice.net_micros, invoice.currency)) }
                                td class="right" { (ui::money_micros(invoice.total_micros, invoice.currency)) }
                            }
                        }
                    } }
                }
            } } }
        }
    };
    Ok(layout::console(&app, &caller, &layout::Frame::new(t!("console-invoices"), "/console/billing"), &body))
}

fn read(advertiser: &str, month: &str) -> Result<(AdvertiserId, Month), Problem> {
    let id = advertiser.parse().map_err(|_| console::act::missing(advertiser))?;
    let month = Month::parse(month).ok_or_else(|| Problem::bad_request("A month is written 2026-11."))?;
    Ok((id, month))
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path((advertiser, month)): Path<(String, String)>,
) -> layout::Html {
    let (id, month) = read(&advertiser, &month)?;
    super::super::reports::settle(&app).await?;
    let invoice = invoice(&app, &caller, id, month)?;
    let title = invoice
        .number
        .map_or_else(|| t!("console-statement", month = month), |n| t!("console-invoice-no", n = n));
    let running = {
        let catalogue = app.platform.catalogue();
        months(&app, &catalogue, id).first() == Some(&month)
    };
    let actions = html! {
        a class="btn" href={ "/v1/invoices/" (id) "/" (month) "?format=csv" } { (t!("words-csv")) }
        @if invoice.number.is_none() && !running && !invoice.lines.is_empty() && caller.may_operate() {
            form method="post" action={ "/console/billing/" (id) "/" (month) } data-confirm=(t!("console-issue-this-invoice-it-gets")) {
                (layout::csrf(&caller)) button class="primary" { (t!("console-issue-the-invoice")) }
            }
        }
    };
    let body = sheet(&app, &invoice, month);
    let frame = layout::Frame::new(&title, "/console/billing")
        .crumb("/console/billing", t!("console-invoices"))
        .actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

async fn close(
    State(app): State<AppState>,
    caller: Caller,
    Path((advertiser, month)): Path<(String, String)>,
    _data: Data,
) -> layout::Html {
    let (id, month) = read(&advertiser, &month)?;
    issue(&app, &caller, id, month).await?;
    Ok(layout::go(format!("/console/billing/{id}/{month}")))
}

fn kind_words(kind: ChargeKind) -> &'static str {
    match kind {
        ChargeKind::Impression => "impressions",
        ChargeKind::Click => "clicks",
        ChargeKind::Conversion => "conversions",
        ChargeKind::FlatFee => t!("console-days-of-a-flat-fee"),
    }
}

fn sheet(app: &AppState, invoice: &Invoice, month: Month) -> Markup {
    let catalogue = app.platform.catalogue();
    let publisher = catalogue.publisher.as_ref().map(|p| p.spec.clone());
    let account = catalogue.advertisers.get(&invoice.advertiser).map(|a| a.spec.clone());
    let issued = {
        let folds = app.platform.folds();
        let number = invoice.number.and_then(|n| usize::try_from(n).ok());
        number.and_then(|n| folds.ledger.invoices().get(n.saturating_sub(1)).map(|i| (i.at, i.position)))
    };
    let money = invoice.currency;
    html! {
        div class="card invoice" {
            div class="parties" {
                div { strong { (publisher.as_ref().map_or("", |p| p.name.as_str())) } br; (publisher.as_ref().map_or("", |p| p.legal_address.as_str())) @if let Some(p) = &publisher { @if !p.tax_id.is_empty() { br; (th!("console-tax-no", tax_id = p.tax_id)) } } }
                div { span class="muted" { (t!("words-for")) } br; strong { (account.as_ref().map_or("", |a| a.name.as_str())) } br; (account.as_ref().map_or("", |a| a.invoice_address.as_str())) }
            }
            dl class="facts" {
                @match (invoice.number, issued) {
                    (Some(number), Some((at, position))) => { dt { (t!("console-invoice")) } dd { (th!("console-no-2", number = number)) } dt { (t!("console-issued")) } dd { (th!("console-journal-position-2", at = ui::when(at, &console::act::account_zone(&catalogue, invoice.advertiser)), position = position)) } }
                    _ => { dt { (t!("console-statement-2")) } dd { (t!("console-not-an-invoice-the-month")) } }
                }
                dt { (t!("console-month")) } dd { (month) " (" (account.as_ref().map_or("UTC", |a| a.zone.name())) ")" }
            }
            @if invoice.lines.is_empty() { (ui::empty(t!("console-nothing-was-charged-or-credited"))) } @else {
                div class="scroll" { table {
                    thead { tr { th { (t!("console-campaign-ad-set")) } th { (t!("words-for")) } th class="right" { (t!("console-quantity")) } th class="right" { (t!("words-charged")) } th class="right" { (t!("words-credited")) } th class="right" { (t!("words-net")) } } }
                    tbody { @for line in &invoice.lines { tr {
                        td {
                            (catalogue.campaigns.get(&line.campaign).map_or("", |c| c.spec.name.as_str()))
                            span class="small muted" { (catalogue.ad_sets.get(&line.ad_set).map_or("", |s| s.spec.name.as_str())) " (" (line.ad_set) ")" }
                        }
                        td { (kind_words(line.kind)) }
                        td class="right" { (ui::count(line.quantity_count)) }
                        td class="right" { (ui::money(line.gross_nanos, money)) }
                        td class="right" { (ui::money(line.credited_nanos, money)) }
                        td class="right" { (ui::money_micros(line.net_micros, money)) }
                    } } }
                    tfoot class="sum" {
                        tr { th colspan="5" class="right" { (t!("words-net")) } td class="right" { (ui::money_micros(invoice.net_micros, money)) } }
                        tr { th colspan="5" class="right" { (th!("console-tax", tax_rate_ppm = ui::percent(u64::from(invoice.tax_rate_ppm), 1_000_000))) } td class="right" { (ui::money_micros(invoice.tax_micros, money)) } }
                        tr { th colspan="5" class="right" { (t!("console-total")) } td class="right" { (ui::money_micros(invoice.total_micros, money)) } }
                    }
                } }
                p class="small muted" { (t!("console-each-line-is-rounded-once")) }
            }
        }
    }
}
