//! The report as a page: filters, totals, a chart, the same data as a table, and the way to CSV.

use super::{Dimension, Report, Sums, parse, take};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, ui},
};
use axum::extract::{RawQuery, State};
use maud::{Markup, html};
use regie_model::{CampaignId, Nanos, UtcMs};

/// Rows on the page; the CSV has all.
const ROWS_MAX: usize = 500;

const BY: [(&str, &str); 11] = [
    ("day", "day"),
    ("hour", "hour"),
    ("campaign", "campaign"),
    ("ad_set", "ad set"),
    ("ad", "ad"),
    ("version", "version"),
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
            @if report.totals.is_empty() { div class="card" { (ui::empty("Nothing happened in this period.")) } }
            @for sums in &report.totals { (totals(sums, report.totals.len() > 1)) }
            (chart(&report))
            (table(&app, &report))
            (apart(&caller, &report))
            p class="small muted" { "Exact as of journal position " (report.position) ". Days are those of " (report.zone.name()) "; hours count at the time an event was written." }
        }
    };
    let mut csv = url::form_urlencoded::Serializer::new(String::new());
    csv.extend_pairs(
        url::form_urlencoded::parse(raw.as_bytes()).filter(|(n, _)| n != "format" && n != "limit"),
    );
    csv.append_pair("format", "csv").append_pair("limit", &super::ROWS_MAX.to_string());
    let actions = html! { a class="btn" href={ "/v1/reports?" (csv.finish()) } { "CSV" } };
    Ok(layout::console(
        &app,
        &caller,
        &layout::Frame::new("Reports", "/console/reports").actions(actions),
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
            div class="field" { label for="from" { "From" } input id="from" type="date" name="from" value=(report.zone.day(report.from)); }
            div class="field" { label for="to" { "To" } input id="to" type="date" name="to" value=(report.zone.day(UtcMs(report.to.0 - 1))); }
            div class="field" { label for="by" { "By" } select id="by" name="by" {
                @if !BY.iter().any(|(v, _)| *v == by) { option value=(by) selected { (by.replace(',', ", ")) } }
                @for (value, words) in BY { option value=(value) selected[value == by] { (words) } }
            } }
            div class="field" { label for="campaign" { "Campaign" } select id="campaign" name="campaign" {
                option value="" { "all" }
                @for (id, kept) in campaigns { option value=(id) selected[campaign == Some(id.0)] { (kept.spec.name) } }
            } }
            button { "Show" }
        }
    }
}

fn totals(sums: &Sums, several: bool) -> Markup {
    let c = &sums.counters;
    html! {
        @if several { h2 { "In " (sums.currency) } }
        dl class="figures" {
            (ui::figure("Handed out", &ui::count(c.served_count), ""))
            (ui::figure("Impressions", &ui::count(c.impressions_count), ""))
            (ui::figure("Viewable", &ui::percent(c.viewable_count, c.impressions_count), ""))
            (ui::figure("Clicks", &ui::count(c.clicks_count), ""))
            (ui::figure("CTR", &ui::percent(c.clicks_count, c.impressions_count), ""))
            (ui::figure("Conversions", &ui::count(c.conversions_count), ""))
            (ui::figure("Charged", &ui::money(c.gross_nanos, sums.currency), ""))
            @if c.credited_nanos.0 != 0 { (ui::figure("Net of credits", &ui::money(c.net_nanos(), sums.currency), "")) }
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
            words: format!("{} impressions", ui::count(*count)),
        })
        .collect();
    html! { section class="card" { h2 { "Impressions" } (ui::line_chart("Impressions over time; the table below has the same data", &points, "")) } }
}

fn name(app: &AppState, dimension: Dimension, key: &str, report: &Report) -> String {
    let catalogue = app.platform.catalogue();
    let named = |name: Option<String>| name.map_or_else(|| key.to_owned(), |n| format!("{n} ({key})"));
    match dimension {
        Dimension::Hour => UtcMs::parse(key).map_or_else(|| key.to_owned(), |at| report.zone.local_text(at)),
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
        Dimension::Country if key.is_empty() => "unknown".into(),
        _ if key.is_empty() => "\u{2013}".into(),
        _ => key.to_owned(),
    }
}

/// A dimension as a column's heading.
fn heading(dimension: Dimension) -> String {
    let words = dimension.word().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn table(app: &AppState, report: &Report) -> Markup {
    html! {
        @if !report.rows.is_empty() {
            div class="card flush" { div class="scroll" { table {
                thead { tr {
                    @for dimension in &report.by { th { (heading(*dimension)) } }
                    th class="right" { "Handed out" } th class="right" { "Impressions" } th class="right" { "Viewable" } th class="right" { "Clicks" } th class="right" { "CTR" } th class="right" { "Conversions" } th class="right" { "Charged" } th class="right" { "Net" }
                } }
                tbody { @for row in &report.rows { @let c = &row.sums.counters; tr {
                    @for (dimension, key) in &row.keys { th scope="row" { (name(app, *dimension, key, report)) } }
                    td class="right" { (ui::count(c.served_count)) } td class="right" { (ui::count(c.impressions_count)) }
                    td class="right" { (ui::percent(c.viewable_count, c.impressions_count)) } td class="right" { (ui::count(c.clicks_count)) }
                    td class="right" { (ui::percent(c.clicks_count, c.impressions_count)) } td class="right" { (ui::count(c.conversions_count)) }
                    td class="right" { (ui::money(c.gross_nanos, row.sums.currency)) } td class="right" { (ui::money(c.net_nanos(), row.sums.currency)) }
                } } }
            } } }
            @if report.cursor.is_some() { p class="muted" { "The first " (report.rows.len()) " of " (report.rows_count) " rows; the CSV has up to " (super::ROWS_MAX) "." } }
        }
    }
}

/// What was not counted, and what was probably lost.
fn apart(caller: &Caller, report: &Report) -> Markup {
    let free: Vec<_> = report.totals.iter().filter(|s| s.counters.free_nanos != Nanos::ZERO).collect();
    html! {
        div class="grid" {
            section class="card" {
                h2 { "Estimated loss" }
                @if report.loss.served_count == 0 { p class="muted" { "Known an hour after the first ads were handed out: an ad whose impression has not come by then is taken for lost." } }
                @else { p { (ui::count(report.loss.lost_count())) " of " (ui::count(report.loss.served_count)) " ads handed out sent no impression in the hour they had (" (ui::percent(report.loss.lost_count(), report.loss.served_count)) "), since the start: a page left early, a blocked or lost message." } }
                @for sums in free { p class="small muted" { "Delivered and not charged, since a budget had nothing left: " (ui::money(sums.counters.free_nanos, sums.currency)) "." } }
            }
            @if caller.sees_everything() {
                section class="card" {
                    h2 { "Not counted" }
                    @if report.refused.is_empty() { p class="muted" { "Every event of this period was counted." } } @else {
                        table { thead { tr { th { "Event" } th { "Reason" } th class="right" { "Times" } } }
                            tbody { @for (kind, reason, count) in &report.refused { tr { td { (kind) } td { (reason.replace('_', " ")) } td class="right" { (ui::count(*count)) } } } } }
                    }
                }
            }
        }
    }
}
