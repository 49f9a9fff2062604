//! The report as a page: filters, totals, a chart, the same data as a table, and the way to CSV.

use super::{Dimension, Report, Sums, parse, take};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, ui},
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::extract::{RawQuery, State};
use maud::{Markup, html};
use regie_model::{CampaignId, Nanos, UtcMs, catalogue::Catalogue};

/// Rows on the page; the CSV has all.
const ROWS_MAX: usize = 500;

const BY: [(&str, &str); 13] = [
    ("day", "day"),
    ("hour", "hour"),
    ("hour_of_day", "hour of day"),
    ("campaign", "campaign"),
    ("ad_set", "ad set"),
    ("ad", "ad"),
    ("version", "version"),
    ("element", "element of a template"),
    ("placement", "placement"),
    ("country", "country"),
    ("device", "device"),
    ("day,campaign", "day and campaign"),
    ("campaign,placement", "campaign and placement"),
];

/// `GET /console/reports`.
pub async fn show(State(app): State<AppState>, caller: Caller, RawQuery(raw): RawQuery) -> layout::Html {
    let raw = raw.unwrap_or_default();
    let raw = with_defaults(&app, raw);
    let mut wanted = parse(&app, &caller, &raw)?;
    wanted.limit = ROWS_MAX;
    let campaign = wanted.campaign;
    let by: Vec<&str> = wanted.by.iter().map(|d| d.word()).collect();
    let by = by.join(",");
    let report = take(&app, wanted).await?;
    let body = html! {
        (filters(&app, &caller, &report, campaign, &by))
        div id="report" {
            @if report.totals.is_empty() { div class="card" { (ui::empty(t!("console-nothing-happened-in-this-period"))) } }
            @for sums in &report.totals { (totals(sums, report.totals.len() > 1)) }
            (chart(&report))
            (table(&app, &report))
            (apart(&caller, &report))
            p class="small muted" { (th!("console-exact-as-of-journal-position", position = report.position, name = report.zone.name())) }
        }
    };
    let mut csv = url::form_urlencoded::Serializer::new(String::new());
    csv.extend_pairs(
        url::form_urlencoded::parse(raw.as_bytes()).filter(|(n, _)| n != "format" && n != "limit"),
    );
    csv.append_pair("format", "csv").append_pair("limit", &super::ROWS_MAX.to_string());
    let actions = html! { a class="btn" href={ "/v1/reports?" (csv.finish()) } { (t!("words-csv")) } };
    Ok(layout::console(
        &app,
        &caller,
        &layout::Frame::new(t!("console-reports"), "/console/reports").actions(actions),
        &body,
    ))
}

/// A page begins with the last seven days, by day.
fn with_defaults(app: &AppState, raw: String) -> String {
    let given =
        |name: &str| url::form_urlencoded::parse(raw.as_bytes()).any(|(n, v)| n == name && !v.is_empty());
    let zone = crate::http::console::act::zone(app);
    let week = regie_model::Day(zone.day(app.platform.now()).0 - 6).to_string();
    let mut pairs = url::form_urlencoded::Serializer::new(raw.clone());
    for (name, value) in [("by", "day"), ("from", week.as_str())] {
        if !given(name) {
            pairs.append_pair(name, value);
        }
    }
    pairs.finish()
}

fn filters(app: &AppState, caller: &Caller, report: &Report, campaign: Option<u32>, by: &str) -> Markup {
    let catalogue = app.platform.catalogue();
    let campaigns: Vec<_> = catalogue
        .campaigns
        .iter()
        .rev()
        .filter(|(_, c)| caller.may_see(c.spec.advertiser))
        .take(200)
        .collect();
    html! {
        form class="filters" method="get" action="/console/reports" data-swap="#report" {
            div class="field" { label for="from" { (t!("console-from")) } input id="from" type="date" name="from" value=(report.zone.day(report.from)); }
            div class="field" { label for="to" { (t!("console-to")) } input id="to" type="date" name="to" value=(report.zone.day(UtcMs(report.to.0 - 1))); }
            div class="field" { label for="by" { (t!("console-by-2")) } select id="by" name="by" {
                @if !BY.iter().any(|(v, _)| *v == by) { option value=(by) selected { (by.replace(',', ", ")) } }
                @for (value, words) in BY { option value=(value) selected[value == by] { (say(words)) } }
            } }
            div class="field" { label for="campaign" { (t!("words-campaign")) } select id="campaign" name="campaign" {
                option value="" { (t!("console-all")) }
                @for (id, kept) in campaigns { option value=(id) selected[campaign == Some(id.0)] { (kept.spec.name) } }
            } }
            button { (t!("words-show")) }
        }
    }
}

fn totals(sums: &Sums, several: bool) -> Markup {
    let c = &sums.counters;
    html! {
        @if several { h2 { (th!("console-in", sums = sums.currency)) } }
        dl class="figures" {
            (ui::figure(t!("words-handed-out"), &ui::count(c.served_count), ""))
            (ui::figure(t!("words-impressions"), &ui::count(c.impressions_count), ""))
            (ui::figure(t!("words-viewable"), &ui::percent(c.viewable_count, c.impressions_count), ""))
            (ui::figure(t!("words-clicks"), &ui::count(c.clicks_count), ""))
            (ui::figure("CTR", &ui::percent(c.clicks_count, c.impressions_count), ""))
            (ui::figure(t!("words-conversions"), &ui::count(c.conversions_count), ""))
            (ui::figure(t!("words-charged"), &ui::money(c.gross_nanos, sums.currency), ""))
            @if c.credited_nanos.0 != 0 { (ui::figure(t!("console-net-of-credits"), &ui::money(c.net_nanos(), sums.currency), "")) }
            (ui::figure("eCPM", &sums.ecpm().map_or_else(|| "\u{2013}".into(), |n| ui::money(n, sums.currency)), ""))
        }
    }
}

/// Impressions over time, when the report is by time alone.
fn chart(report: &Report) -> Markup {
    let by_time = matches!(report.by.as_slice(), [Dimension::Day | Dimension::Hour]);
    if !by_time || report.rows.len() < 2 {
        return ui::nothing();
    }
    let mut sums: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for row in &report.rows {
        if let Some((_, key)) = row.keys.first() {
            *sums.entry(key).or_default() += row.sums.counters.impressions_count;
        }
    }
    let label = |key: &str| match report.by.first() {
        Some(Dimension::Hour) => {
            UtcMs::parse(key).map_or_else(String::new, |at| report.zone.local_text(at)[5..].to_owned())
        }
        _ => key.get(5..).unwrap_or(key).to_owned(),
    };
    let points: Vec<ui::Point> = sums
        .iter()
        .map(|(key, count)| ui::Point {
            label: label(key),
            value: *count as f64,
            words: t!("console-impressions-in-words", count = ui::count(*count)),
        })
        .collect();
    html! { section class="card" { h2 { (t!("words-impressions")) } (ui::line_chart(t!("console-impressions-over-time-the-table"), &points, "")) } }
}

fn name(app: &AppState, dimension: Dimension, key: &str, report: &Report) -> String {
    let catalogue = app.platform.catalogue();
    let named = |name: Option<String>| name.map_or_else(|| key.to_owned(), |n| format!("{n} ({key})"));
    match dimension {
        Dimension::Hour => UtcMs::parse(key).map_or_else(|| key.to_owned(), |at| ui::when(at, &report.zone)),
        Dimension::Campaign => named(
            key.parse::<CampaignId>()
                .ok()
                .and_then(|id| catalogue.campaigns.get(&id))
                .map(|c| c.spec.name.clone()),
        ),
        Dimension::AdSet => {
            named(key.parse().ok().and_then(|id| catalogue.ad_sets.get(&id)).map(|s| s.spec.name.clone()))
        }
        Dimension::Ad => {
            named(key.parse().ok().and_then(|id| catalogue.ads.get(&id)).map(|a| a.kept.spec.name.clone()))
        }
        Dimension::Placement => {
            named(key.parse().ok().and_then(|id| catalogue.placements.get(&id)).map(|p| p.spec.name.clone()))
        }
        Dimension::HourOfDay => format!("{key}:00"),
        Dimension::Element => {
            element_words(&catalogue, key).unwrap_or_else(|| t!("results-no-template").into())
        }
        Dimension::Country if key.is_empty() => "unknown".into(),
        _ if key.is_empty() => "\u{2013}".into(),
        _ => key.to_owned(),
    }
}

/// An element of a template in words: its ad, its slot, what it says.
pub fn element_words(catalogue: &Catalogue, key: &str) -> Option<String> {
    let (id, element) = super::element_of(key)?;
    let ad = &catalogue.ads.get(&id)?.kept.spec;
    let slot = ad.template.as_ref()?.slots.get(usize::from(element.slot))?;
    let text = &slot.assets.get(usize::from(element.asset))?.text;
    Some(format!("{}, {}: {}", ad.name, slot.name, text))
}

/// A dimension as a column's heading.
fn heading(dimension: Dimension) -> String {
    let words = say(&dimension.word().replace('_', " "));
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn table(app: &AppState, report: &Report) -> Markup {
    html! {
        @if !report.rows.is_empty() {
            div class="card flush" { div class="scroll" { table {
                thead { tr {
                    @for dimension in &report.by { th { (heading(*dimension)) } }
                    th class="right" { (t!("words-handed-out")) } th class="right" { (t!("words-impressions")) } th class="right" { (t!("words-viewable")) } th class="right" { (t!("words-clicks")) } th class="right" { (t!("words-ctr")) } th class="right" { (t!("words-conversions")) } th class="right" { (t!("words-charged")) } th class="right" { (t!("words-net")) }
                } }
                tbody { @for row in &report.rows { @let c = &row.sums.counters; tr {
                    @for (dimension, key) in &row.keys { th scope="row" { (name(app, *dimension, key, report)) } }
                    td class="right" { (ui::count(c.served_count)) } td class="right" { (ui::count(c.impressions_count)) }
                    td class="right" { (ui::percent(c.viewable_count, c.impressions_count)) } td class="right" { (ui::count(c.clicks_count)) }
                    td class="right" { (ui::percent(c.clicks_count, c.impressions_count)) } td class="right" { (ui::count(c.conversions_count)) }
                    td class="right" { (ui::money(c.gross_nanos, row.sums.currency)) } td class="right" { (ui::money(c.net_nanos(), row.sums.currency)) }
                } } }
            } } }
            @if report.cursor.is_some() { p class="muted" { (th!("console-the-first-of-rows-the", rows = report.rows.len(), rows_count = report.rows_count, value = super::ROWS_MAX)) } }
        }
    }
}

/// What was not counted, and what was probably lost.
fn apart(caller: &Caller, report: &Report) -> Markup {
    let free: Vec<_> = report.totals.iter().filter(|s| s.counters.free_nanos != Nanos::ZERO).collect();
    html! {
        div class="grid" {
            section class="card" {
                h2 { (t!("console-estimated-loss")) }
                @if report.loss.served_count == 0 { p class="muted" { (t!("console-known-an-hour-after-the")) } }
                @else { p { (th!("console-of-ads-handed-out-sent", lost_count = ui::count(report.loss.lost_count()), served_count = ui::count(report.loss.served_count), served_count2 = ui::percent(report.loss.lost_count(), report.loss.served_count))) } }
                @for sums in free { p class="small muted" { (th!("console-delivered-and-not-charged-since", sums = ui::money(sums.counters.free_nanos, sums.currency))) } }
            }
            @if caller.sees_everything() {
                section class="card" {
                    h2 { (t!("console-not-counted")) }
                    @if report.refused.is_empty() { p class="muted" { (t!("console-every-event-of-this-period")) } } @else {
                        table { thead { tr { th { (t!("console-event")) } th { (t!("words-reason")) } th class="right" { (t!("console-times")) } } }
                            tbody { @for (kind, reason, count) in &report.refused { tr { td { (kind) } td { (reason.replace('_', " ")) } td class="right" { (ui::count(*count)) } } } } }
                    }
                }
            }
        }
    }
}
