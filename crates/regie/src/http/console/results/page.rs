//! The results of a campaign as a page: figures against the period before, spend against plan, click rate with its
//! interval, the way from ad to action, and breakdowns. A table stands behind each plot.

use super::{Asked, PARTS, Results, planned, take};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, plot, ui},
    reports::{Dimension, Row, page::element_words},
};
use crate::{t, th};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use regie_ledger::Counters;
use regie_model::{AdId, Currency, Day, Nanos, VersionId, catalogue::Catalogue, creative::Creative};

pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> layout::Html {
    let results = take(&app, &caller, &id, &asked, PARTS.to_vec()).await?;
    let (from, to, currency) = (results.period.from, results.period.to, results.currency);
    let csv = |by: &str| format!("/v1/reports?campaign={id}&by={by}&from={from}&to={to}&format=csv");
    let body = html! {
        form class="filters" method="get" action={ "/console/campaigns/" (id) "/results" } data-swap="#results" {
            div class="field" { label for="from" { (t!("console-from")) } input id="from" type="date" name="from" value=(from); }
            div class="field" { label for="to" { (t!("console-to")) } input id="to" type="date" name="to" value=(to); }
            div class="field" { label for="against" { (t!("results-against")) } input id="against" type="date" name="against" value=(results.other.from); }
            button { (t!("words-show")) }
        }
        div id="results" {
            (figures(&results))
            (pacing(&results))
            (click_rate(&results))
            (funnel(&results.total))
            @for (by, rows) in &results.parts { @if !rows.is_empty() {
                @if *by == Dimension::HourOfDay { (by_hour(rows, currency, &csv(by.word()))) }
                @else { (breakdown(&app, *by, rows, currency, &csv(by.word()))) }
            } }
            p { a class="btn" href=(csv("day,version")) { (t!("results-all-as-csv")) } " " a class="btn" href={ "/v1/campaigns/" (id) "/results?from=" (from) "&to=" (to) } { (t!("results-as-json")) } " " a class="btn" href={ "/console/downloads?campaign=" (id) } { (t!("results-by-the-clock")) } }
        }
    };
    let title = t!("results-of", name = results.spec.name);
    let frame = layout::Frame::new(&title, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb(format!("/console/campaigns/{id}"), results.spec.name.clone());
    Ok(layout::console(&app, &caller, &frame, &body))
}

/// A figure of this period with how it differs from the other one, and what it was there.
fn compared(label: &str, now: &str, was: &str, (value, before): (i128, i128)) -> Markup {
    let change = (before > 0).then(|| (value - before) * 1_000 / before);
    html! {
        div class="figure" {
            dt { (label) }
            dd { (now) @if let Some(change) = change { span class="small muted" { (if change < 0 { "\u{2212}" } else { "+" }) (ui::percent(u64::try_from(change.abs()).unwrap_or(0), 1_000)) " (" (was) ")" } } }
        }
    }
}

fn figures(results: &Results) -> Markup {
    let (now, old, currency) = (&results.total, &results.before, results.currency);
    let before = results.other;
    html! {
        dl class="figures" {
            (compared(t!("words-impressions"), &ui::count(now.impressions_count), &ui::count(old.impressions_count), (now.impressions_count.into(), old.impressions_count.into())))
            (compared(t!("words-viewable"), &ui::count(now.viewable_count), &ui::count(old.viewable_count), (now.viewable_count.into(), old.viewable_count.into())))
            (compared(t!("words-clicks"), &ui::count(now.clicks_count), &ui::count(old.clicks_count), (now.clicks_count.into(), old.clicks_count.into())))
            (compared(t!("words-conversions"), &ui::count(now.conversions_count), &ui::count(old.conversions_count), (now.conversions_count.into(), old.conversions_count.into())))
            (compared(t!("words-spent"), &ui::money(now.net_nanos(), currency), &ui::money(old.net_nanos(), currency), (now.net_nanos().0, old.net_nanos().0)))
        }
        p class="small muted" { (th!("results-compared", from = ui::day(before.from), to = ui::day(before.to))) }
    }
}

fn pacing(results: &Results) -> Markup {
    let Results { spec, zone, period, currency, .. } = results;
    let (unit, currency) = (1e9, *currency);
    let (mut spent, mut actual, mut plan, mut rows) = (0i128, Vec::new(), Vec::new(), Vec::new());
    let base = planned(spec, zone.day_start(period.from));
    for number in period.from.0..=period.to.0 {
        let day = Day(number);
        let on_day = results.days.get(&day.to_string()).map_or(0, |c| c.net_nanos().0);
        spent += on_day;
        // Of this period alone, so that both lines begin at zero.
        let due = planned(spec, zone.day_start(Day(number + 1))).zip(base).map(|(p, b)| p - b);
        actual.push(spent as f64 / unit);
        plan.push(due.map(|d| d as f64 / unit));
        rows.push((day, on_day, spent, due));
    }
    let labels: Vec<String> = rows.iter().map(|(d, ..)| ui::day(*d)).collect();
    let mut lines = vec![plot::Line {
        name: t!("results-spent-so-far").to_owned(),
        values: actual.into_iter().map(Some).collect(),
        within: Vec::new(),
    }];
    if plan.iter().any(Option::is_some) {
        lines.push(plot::Line { name: t!("results-even-plan").to_owned(), values: plan, within: Vec::new() });
    }
    html! {
        section class="card" {
            h2 { (t!("results-spend-and-plan")) }
            (plot::lines(t!("results-spend-and-plan"), &currency.to_string(), &labels, &lines))
            details { summary { (t!("record-as-a-table")) } div class="scroll" { table {
                thead { tr { th { (t!("words-day")) } th class="right" { (t!("results-on-the-day")) } th class="right" { (t!("results-spent-so-far")) } th class="right" { (t!("results-even-plan")) } } }
                tbody { @for (day, on_day, spent, due) in &rows { tr {
                    th scope="row" { (ui::day(*day)) } td class="right" { (ui::money(Nanos(*on_day), currency)) } td class="right" { (ui::money(Nanos(*spent), currency)) }
                    td class="right" { @match due { Some(due) => (ui::money(Nanos(*due), currency)), None => "\u{2013}" } }
                } } }
            } } }
        }
    }
}

/// A rate in percent for a plot.
fn share(hits: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| hits as f64 * 100.0 / of as f64)
}
/// Limits of a rate in percent for a plot; nothing where nothing was shown.
fn limits(c: &Counters) -> Option<(f64, f64)> {
    let (low, high) = interval(c.clicks_count, c.impressions_count);
    (c.impressions_count > 0).then_some((low as f64 / 1e4, high as f64 / 1e4))
}
/// A line of click rates with the band in which each lies.
fn rates(title: &str, labels: &[String], counters: &[Counters]) -> Markup {
    let line = plot::Line {
        name: t!("results-rate-and-interval").to_owned(),
        values: counters.iter().map(|c| share(c.clicks_count, c.impressions_count)).collect(),
        within: counters.iter().map(limits).collect(),
    };
    plot::lines(title, "%", labels, &[line])
}
/// Cells of impressions, clicks, click rate and its interval.
fn rate_cells(c: &Counters) -> Markup {
    let (low, high) = interval(c.clicks_count, c.impressions_count);
    html! {
        td class="right" { (ui::count(c.impressions_count)) } td class="right" { (ui::count(c.clicks_count)) }
        td class="right" { (ui::percent(c.clicks_count, c.impressions_count)) }
        td class="right nowrap" { @if c.impressions_count > 0 { (ui::percent(low, 1_000_000)) " \u{2013} " (ui::percent(high, 1_000_000)) } @else { "\u{2013}" } }
    }
}
fn rate_heads() -> Markup {
    html! { th class="right" { (t!("words-impressions")) } th class="right" { (t!("words-clicks")) } th class="right" { (t!("words-ctr")) } th class="right" { (t!("results-interval")) } }
}

/// The click rate of each day.
fn click_rate(results: &Results) -> Markup {
    let days: Vec<(Day, Counters)> = (results.period.from.0..=results.period.to.0)
        .map(|n| (Day(n), results.days.get(&Day(n).to_string()).copied().unwrap_or_default()))
        .collect();
    if results.total.clicks_count == 0 {
        return ui::nothing();
    }
    let labels: Vec<String> = days.iter().map(|(d, _)| ui::day(*d)).collect();
    let counters: Vec<Counters> = days.iter().map(|(_, c)| *c).collect();
    html! {
        section class="card" {
            h2 { (t!("results-click-rate")) }
            (rates(t!("results-click-rate"), &labels, &counters))
            details { summary { (t!("record-as-a-table")) } div class="scroll" { table {
                thead { tr { th { (t!("words-day")) } (rate_heads()) } }
                tbody { @for (day, c) in &days { tr { th scope="row" { (ui::day(*day)) } (rate_cells(c)) } } }
            } } }
        }
    }
}

/// Every hour of the day, whether anything was shown in it or not.
fn by_hour(rows: &[Row], currency: Currency, csv: &str) -> Markup {
    let mut hours = [Counters::default(); 24];
    for row in rows {
        let hour = row.keys.first().and_then(|(_, key)| key.parse::<usize>().ok());
        if let Some(at) = hour.and_then(|hour| hours.get_mut(hour)) {
            at.add(&row.sums.counters);
        }
    }
    let labels: Vec<String> = (0..24).map(|h| format!("{h:02}:00")).collect();
    let most = hours.iter().map(|c| c.impressions_count).max().unwrap_or(0);
    html! {
        section class="card" {
            div class="head" { h2 { (t!("results-by-hour")) } a class="btn" href=(csv) { (t!("words-csv")) } }
            (rates(t!("results-by-hour"), &labels, &hours))
            details { summary { (t!("record-as-a-table")) } div class="scroll" { table {
                thead { tr { th { (t!("results-hour")) } th {} (rate_heads()) th class="right" { (t!("words-spent")) } } }
                tbody { @for (label, c) in labels.iter().zip(&hours) { tr {
                    th scope="row" { (label) } td { (ui::bar(c.impressions_count.into(), most.into(), label, "")) } (rate_cells(c)) td class="right" { (ui::money(c.net_nanos(), currency)) }
                } } }
            } } }
        }
    }
}

fn funnel(total: &Counters) -> Markup {
    let steps = [
        (t!("words-handed-out"), total.served_count),
        (t!("words-impressions"), total.impressions_count),
        (t!("words-viewable"), total.viewable_count),
        (t!("words-clicks"), total.clicks_count),
        (t!("words-conversions"), total.conversions_count),
    ];
    let top = steps.iter().map(|(_, n)| *n).max().unwrap_or(0);
    html! {
        section class="card" {
            h2 { (t!("results-funnel")) }
            div class="scroll" { table {
                thead { tr { th { (t!("results-step")) } th {} th class="right" { (t!("results-number")) } th class="right" { (t!("results-of-the-step-before")) } } }
                tbody { @for (index, (name, number)) in steps.iter().enumerate() { tr {
                    th scope="row" { (name) } td { (ui::bar((*number).into(), top.into(), name, "")) } td class="right" { (ui::count(*number)) }
                    td class="right" { @if index > 0 { (ui::percent(*number, steps[index - 1].1)) } }
                } } }
            } }
        }
    }
}

/// The limits within which a rate lies with 95% confidence (Wilson, 1927), in millionths.
pub fn interval(hits: u64, of: u64) -> (u64, u64) {
    if of == 0 {
        return (0, 0);
    }
    const Z: f64 = 1.959_964;
    let (n, p) = (of as f64, (hits.min(of)) as f64 / of as f64);
    let middle = p + Z * Z / (2.0 * n);
    let width = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    let ppm = |x: f64| (x.clamp(0.0, 1.0) * 1e6).round() as u64;
    (ppm((middle - width) / scale), ppm((middle + width) / scale))
}

fn breakdown(app: &AppState, by: Dimension, rows: &[Row], currency: Currency, csv: &str) -> Markup {
    let catalogue = app.platform.catalogue();
    let title = match by {
        Dimension::Version => t!("results-by-version"),
        Dimension::Element => t!("results-by-element"),
        Dimension::Placement => t!("results-by-place"),
        Dimension::Country => t!("results-by-country"),
        _ => t!("results-by-device"),
    };
    html! {
        section class="card flush" {
            div class="cardhead head" { h2 { (title) } a class="btn" href=(csv) { (t!("words-csv")) } }
            div class="scroll" { table {
                thead { tr { th {} (rate_heads()) th class="right" { (t!("words-conversions")) } th class="right" { (t!("words-spent")) } } }
                tbody { @for row in rows {
                    @let key = row.keys.last().map_or("", |(_, k)| k.as_str());
                    @let c = &row.sums.counters;
                    tr {
                        th scope="row" { (name(app, &catalogue, row).unwrap_or_else(|| t!("results-unknown").to_owned())) @if by == Dimension::Version { span class="small muted" { (key) } } }
                        (rate_cells(c))
                        td class="right" { (ui::count(c.conversions_count)) } td class="right" { (ui::money(c.net_nanos(), currency)) }
                    }
                } }
            } }
            @if by == Dimension::Element { p class="small muted cardhead" { (t!("results-elements-overlap")) } }
        }
    }
}

/// What a row is of, in words.
fn name(app: &AppState, catalogue: &Catalogue, row: &Row) -> Option<String> {
    let (by, key) = row.keys.last()?;
    match by {
        Dimension::Version => {
            let ad = row.keys.first().and_then(|(_, ad)| ad.parse().ok());
            version_words(app, catalogue, ad, key.parse().ok()?)
        }
        Dimension::Element => element_words(catalogue, key),
        Dimension::Placement => Some(catalogue.placements.get(&key.parse().ok()?)?.spec.name.clone()),
        _ => (!key.is_empty()).then(|| key.to_owned()),
    }
}
/// A version by its own name or by what it says.
fn version_words(app: &AppState, catalogue: &Catalogue, ad: Option<AdId>, id: VersionId) -> Option<String> {
    if let Some(code) = id.template_code() {
        let ad = &catalogue.ads.get(&ad?)?.kept.spec;
        let said = said(&ad.template.as_ref()?.creative(code)?);
        return Some(if said.is_empty() { ad.name.clone() } else { format!("{}, {said}", ad.name) });
    }
    let state = catalogue.versions.get(&id)?;
    let ad = catalogue.ads.get(&state.kept.spec.ad)?.kept.spec.name.clone();
    let own = if state.kept.spec.name.is_empty() {
        let creative = app.creatives.get(&app.platform.objects, &state.kept.spec.creative.short());
        creative.map(|creative| said(&creative)).unwrap_or_default()
    } else {
        state.kept.spec.name.clone()
    };
    Some(if own.is_empty() { ad } else { format!("{ad}, {own}") })
}
/// The words by which people know a creative; none for HTML.
fn said(creative: &Creative) -> String {
    match creative {
        Creative::Image { alt, .. } => alt.clone(),
        Creative::Html { .. } => String::new(),
        Creative::Native { title, .. } | Creative::Text { title, .. } => title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_rate_is_wilsons() {
        // Wilson's interval for 10 of 100, to four digits: 0.0552 to 0.1744.
        let (low, high) = interval(10, 100);
        assert!((55_100..55_400).contains(&low) && (174_200..174_600).contains(&high), "{low} {high}");
        assert_eq!(interval(0, 0), (0, 0));
        assert_eq!(interval(0, 50).0, 0);
        assert_eq!(interval(50, 50).1, 1_000_000);
    }
}
