//! The list of downloads: what is ordered, what was made, and a form to order more.

use super::{BY_DEFAULT, FILES_MAX, Input, finish, place};
use crate::desk::{Every, FILE_DAYS_DEFAULT};
use crate::http::{
    AppState,
    auth::Caller,
    console::{
        act,
        form::{Data, Form},
        layout, ui,
    },
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};
use regie_model::{CampaignId, Faults};
use serde::Deserialize;

/// Campaigns that the form offers.
const CAMPAIGNS_MAX: usize = 500;
/// What a file's rows may be by: value, words.
const BY: [(&str, &str); 5] = [
    ("day,version", "day and version"),
    ("day,element", "day and element"),
    ("day,placement", "day and placement"),
    ("day,country,device", "day, country and device"),
    ("hour,ad_set", "hour and ad set"),
];

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    campaign: String,
}

pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> layout::Html {
    let mut data = Data::default();
    data.set("campaign", asked.campaign);
    data.set("every", Every::Day.word());
    data.set("by", BY_DEFAULT);
    data.set("keep_days", FILE_DAYS_DEFAULT);
    whole(&app, &caller, &data, &Faults::new())
}

pub(super) async fn order(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let campaign: CampaignId = data.id("campaign", &mut faults);
    let every = Every::from_word(data.get("every"));
    faults.when(every.is_none(), "every", "missing", t!("booking-choose-one-from-the-list"));
    let keep_days = data.whole("keep_days", FILE_DAYS_DEFAULT, &mut faults);
    if faults.is_empty() {
        let input = Input {
            campaign,
            every: every.unwrap_or(Every::Day),
            by: Some(data.text("by")),
            keep_days: Some(keep_days),
            mail: data.has("mail"),
        };
        match place(&app, &caller, input).await {
            Ok(_) => {
                // Periods that are over are made at once: who ordered sees what it will be like.
                super::round(&app, app.platform.now())
                    .await
                    .map_err(crate::http::problem::Problem::internal)?;
                return Ok(layout::go("/console/downloads"));
            }
            Err(problem) if !problem.faults.is_empty() => faults = problem.faults,
            Err(problem) => return Err(problem.into()),
        }
    }
    whole(&app, &caller, &data, &faults)
}

pub(super) async fn end(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    _data: Data,
) -> layout::Html {
    finish(&app, &caller, &id)?;
    Ok(layout::go("/console/downloads"))
}

fn whole(app: &AppState, caller: &Caller, data: &Data, faults: &Faults) -> layout::Html {
    let body = html! {
        p class="lead" { (t!("downloads-about")) }
        (files(app, caller)?)
        (orders(app, caller)?)
        @if caller.may_book() { (form(app, caller, data, faults)) }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = layout::Frame::new(t!("downloads-title"), "/console/downloads");
    Ok::<Response, layout::PageError>(layout::console_with(status, app, caller, &frame, &body))
}

fn campaign_name(app: &AppState, id: CampaignId) -> String {
    app.platform.catalogue().campaigns.get(&id).map_or_else(|| id.to_string(), |c| c.spec.name.clone())
}

fn files(app: &AppState, caller: &Caller) -> Result<Markup, layout::PageError> {
    let files = app.desk.files(caller.scope_filter(), FILES_MAX)?;
    let zone = act::zone(app);
    Ok(html! {
        section class="card flush" {
            h2 { (t!("downloads-files")) }
            @if files.is_empty() { (ui::empty(t!("downloads-no-file"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("downloads-file")) } th { (t!("words-campaign")) } th { (t!("downloads-period")) } th class="right" { (t!("downloads-rows")) } th { (t!("downloads-made")) } th { (t!("downloads-kept-until")) } } }
                tbody { @for file in &files { tr {
                    th scope="row" { a href={ "/console/downloads/" (file.id) } download=(file.name) { (file.name) } }
                    td { (campaign_name(app, file.campaign)) }
                    td { (ui::day(file.first)) @if file.last != file.first { " \u{2013} " (ui::day(file.last)) } }
                    td class="right" { (ui::count(file.rows_count)) } td { (ui::when(file.made_at, &zone)) } td { (ui::day(file.keep_until)) }
                } } }
            } } }
        }
    })
}

fn orders(app: &AppState, caller: &Caller) -> Result<Markup, layout::PageError> {
    let orders = app.desk.orders(caller.scope_filter())?;
    let by = |words: &str| {
        BY.iter().find(|(v, _)| *v == words).map_or_else(|| words.replace(',', ", "), |(_, w)| say(w))
    };
    Ok(html! {
        section class="card flush" {
            h2 { (t!("downloads-orders")) }
            @if orders.is_empty() { (ui::empty(t!("downloads-no-order"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("words-campaign")) } th { (t!("downloads-how-often")) } th { (t!("downloads-rows-by")) } th { (t!("downloads-made-until")) } th {} } }
                tbody { @for order in &orders { tr {
                    th scope="row" { a href={ "/console/campaigns/" (order.what.campaign) } { (campaign_name(app, order.what.campaign)) } }
                    td { (every_words(order.what.every)) } td { (by(&order.what.by)) }
                    td { (ui::day(order.made_until)) @if !order.problem.is_empty() { span class="small" { (ui::badge("bad", t!("downloads-problem"))) " " (say(&order.problem)) } } }
                    td { @if caller.may_book() { form method="post" action={ "/console/downloads/" (order.id) "/end" } { (layout::csrf(caller)) button class="link small" { (t!("downloads-end")) } } } }
                } } }
            } } }
        }
    })
}
fn every_words(every: Every) -> &'static str {
    match every {
        Every::Day => t!("downloads-each-day"),
        Every::Week => t!("downloads-each-week"),
    }
}

fn form(app: &AppState, caller: &Caller, data: &Data, faults: &Faults) -> Markup {
    let form = Form { data, faults, theirs: None };
    let campaigns: Vec<(String, String)> = {
        let catalogue = app.platform.catalogue();
        let seen = catalogue.campaigns.iter().rev().filter(|(_, c)| caller.may_see(c.spec.advertiser));
        seen.take(CAMPAIGNS_MAX).map(|(id, c)| (id.to_string(), format!("{} ({id})", c.spec.name))).collect()
    };
    let fields = html! {
        fieldset {
            legend { (t!("downloads-order-one")) }
            (form.field("campaign", t!("words-campaign")).select(campaigns).required())
            div class="row" {
                (form.field("every", t!("downloads-how-often")).select([Every::Day, Every::Week].map(|e| (e.word(), every_words(e)))).required())
                (form.field("by", t!("downloads-rows-by")).select(BY).required())
                (form.field("keep_days", t!("downloads-keep-days")).number())
            }
            @if crate::mail::is_configured(&app.config) { (form.field("mail", t!("downloads-mail")).check().hint(t!("downloads-mail-hint"))) }
            p class="small muted" { (th!("downloads-late", days = super::LATE_DAYS)) }
        }
    };
    form.wrap(caller, "/console/downloads", &fields, t!("downloads-order"), "/console/downloads")
}
