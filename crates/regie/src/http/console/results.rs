//! What came of a campaign: spend against plan by day, the way from ad to action, by version, place, time and device, and
//! the period before beside it. From the same rows as reports; the tables say what the plots draw.

use super::{SIGNED, act, layout, page, plot, ui};
use crate::http::{
    AppState, Route,
    auth::Caller,
    problem::Problem,
    reports::{self, Dimension, Row, Wanted},
};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    routing::get,
};
use maud::{Markup, html};
use regie_ledger::Counters;
use regie_model::{CampaignId, Currency, Day, Nanos, UtcMs, Zone, booking::CampaignSpec};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// Days that a period has unless another is asked for.
const DAYS: i32 = 14;
/// Days of one period at most.
const DAYS_MAX: i32 = 400;
/// Rows of each breakdown.
const ROWS: usize = 20;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/campaigns/{id}/results", SIGNED, get(show))]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Asked {
    from: String,
    to: String,
}

/// A period of whole days in the account's zone.
#[derive(Clone, Copy)]
struct Period {
    from: Day,
    to: Day,
}
impl Period {
    fn days(self) -> i32 {
        self.to.0 - self.from.0 + 1
    }
    /// The same number of days right before.
    fn before(self) -> Period {
        Period { from: Day(self.from.0 - self.days()), to: Day(self.from.0 - 1) }
    }
}

struct Found {
    days: BTreeMap<String, Counters>,
    total: Counters,
    before: Counters,
    parts: Vec<(Dimension, Vec<Row>)>,
}

fn wanted(campaign: CampaignId, zone: &Zone, period: Period, by: Vec<Dimension>, limit: usize) -> Wanted {
    Wanted {
        from: zone.day_start(period.from).hour(),
        to: zone.day_start(Day(period.to.0 + 1)).hour(),
        zone: zone.clone(),
        by,
        campaign: Some(campaign.0),
        ad_set: None,
        ad: None,
        version: None,
        placement: None,
        advertiser: None,
        sees_all: false,
        limit,
        after: 0,
        csv: false,
    }
}

fn read(
    app: &AppState,
    campaign: CampaignId,
    zone: &Zone,
    period: Period,
    position: u64,
) -> Result<Found, Problem> {
    let rows = |period: Period, by: Vec<Dimension>, limit: usize| {
        reports::run(app, &wanted(campaign, zone, period, by, limit), position).map(|r| r.rows)
    };
    let sum = |rows: &[Row]| {
        let mut all = Counters::default();
        rows.iter().for_each(|r| all.add(&r.sums.counters));
        all
    };
    let days = rows(period, vec![Dimension::Day], DAYS_MAX as usize + 2)?;
    let before = rows(period.before(), vec![Dimension::Day], DAYS_MAX as usize + 2)?;
    let key = |row: &Row| row.keys.first().map_or_else(String::new, |(_, k)| k.clone());
    let mut parts = Vec::new();
    for by in [Dimension::Version, Dimension::Placement, Dimension::Country, Dimension::Device] {
        let mut found = rows(period, vec![by], 10_000)?;
        found.sort_by_key(|r| std::cmp::Reverse(r.sums.counters.impressions_count));
        found.truncate(ROWS);
        parts.push((by, found));
    }
    Ok(Found {
        total: sum(&days),
        before: sum(&before),
        days: days.iter().map(|r| (key(r), r.sums.counters)).collect(),
        parts,
    })
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let (spec, zone, currency) = {
        let catalogue = app.platform.catalogue();
        let advertiser = act::see_campaign(&catalogue, &caller, id)?;
        let spec = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?.spec.clone();
        let currency = catalogue.advertisers.get(&advertiser).map_or(Currency::EUR, |a| a.spec.currency);
        (spec, act::account_zone(&catalogue, advertiser), currency)
    };
    let position = reports::settle(&app).await?;
    let today = zone.day(app.platform.now());
    let to = Day::parse(&asked.to).unwrap_or(today);
    let from = Day::parse(&asked.from).unwrap_or(Day(to.0 - DAYS + 1)).clamp(Day(to.0 - DAYS_MAX), to);
    let period = Period { from, to };
    let (reader, in_zone) = (Arc::clone(&app), zone.clone());
    let found = tokio::task::spawn_blocking(move || read(&reader, id, &in_zone, period, position));
    let found = found.await.map_err(Problem::internal)??;
    let csv = |by: &str| format!("/v1/reports?campaign={id}&by={by}&from={from}&to={to}&format=csv");
    let body = html! {
        form class="filters" method="get" action={ "/console/campaigns/" (id) "/results" } data-swap="#results" {
            div class="field" { label for="from" { (t!("console-from")) } input id="from" type="date" name="from" value=(from); }
            div class="field" { label for="to" { (t!("console-to")) } input id="to" type="date" name="to" value=(to); }
            button { (t!("words-show")) }
        }
        div id="results" {
            (figures(&found, period, currency))
            (pacing(&found, &spec, &zone, period, currency))
            (funnel(&found.total))
            @for (by, rows) in &found.parts { @if !rows.is_empty() { (breakdown(&app, *by, rows, currency, &csv(by.word()))) } }
            p { a class="btn" href=(csv("day,version")) { (t!("results-all-as-csv")) } }
        }
    };
    let title = t!("results-of", name = spec.name);
    let frame = layout::Frame::new(&title, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb(format!("/console/campaigns/{id}"), spec.name.clone());
    Ok(layout::console(&app, &caller, &frame, &body))
}

/// A figure of this period with how it differs from the one before.
fn compared(label: &str, now: &str, value: i128, before: i128) -> Markup {
    let change = (before > 0).then(|| (value - before) * 1_000 / before);
    html! {
        div class="figure" {
            dt { (label) }
            dd { (now) @if let Some(change) = change { span class="small muted" { (if change < 0 { "\u{2212}" } else { "+" }) (ui::percent(u64::try_from(change.abs()).unwrap_or(0), 1_000)) } } }
        }
    }
}

fn figures(found: &Found, period: Period, currency: Currency) -> Markup {
    let (now, old) = (&found.total, &found.before);
    html! {
        dl class="figures" {
            (compared(t!("words-impressions"), &ui::count(now.impressions_count), now.impressions_count.into(), old.impressions_count.into()))
            (compared(t!("words-viewable"), &ui::count(now.viewable_count), now.viewable_count.into(), old.viewable_count.into()))
            (compared(t!("words-clicks"), &ui::count(now.clicks_count), now.clicks_count.into(), old.clicks_count.into()))
            (compared(t!("words-conversions"), &ui::count(now.conversions_count), now.conversions_count.into(), old.conversions_count.into()))
            (compared(t!("words-spent"), &ui::money(now.net_nanos(), currency), now.net_nanos().0, old.net_nanos().0))
        }
        p class="small muted" { (th!("results-compared", from = ui::day(period.before().from), to = ui::day(period.before().to))) }
    }
}

/// What should have been spent by the end of a day, spread evenly over the flight; nothing without budget or end.
fn planned(spec: &CampaignSpec, until: UtcMs) -> Option<i128> {
    let (budget, end) = (spec.lifetime_budget_micros?, spec.flight.ends_at?);
    let whole = i128::from(end.0 - spec.flight.starts_at.0).max(1);
    let part = i128::from(until.0 - spec.flight.starts_at.0).clamp(0, whole);
    Some(budget.to_nanos().0 * part / whole)
}

fn pacing(found: &Found, spec: &CampaignSpec, zone: &Zone, period: Period, currency: Currency) -> Markup {
    let unit = 1e9;
    let (mut spent, mut actual, mut plan, mut rows) = (0i128, Vec::new(), Vec::new(), Vec::new());
    let base = planned(spec, zone.day_start(period.from));
    for number in period.from.0..=period.to.0 {
        let day = Day(number);
        let on_day = found.days.get(&day.to_string()).map_or(0, |c| c.net_nanos().0);
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
    }];
    if plan.iter().any(Option::is_some) {
        lines.push(plot::Line { name: t!("results-even-plan").to_owned(), values: plan });
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
    let name = |key: &str| match by {
        Dimension::Version => key.parse().ok().and_then(|id| {
            let state = catalogue.versions.get(&id)?;
            let ad = catalogue.ads.get(&state.kept.spec.ad)?.kept.spec.name.clone();
            let own = state.kept.spec.name.clone();
            Some(if own.is_empty() { ad } else { format!("{ad}, {own}") })
        }),
        Dimension::Placement => {
            key.parse().ok().and_then(|id| Some(catalogue.placements.get(&id)?.spec.name.clone()))
        }
        _ => (!key.is_empty()).then(|| key.to_owned()),
    };
    let title = match by {
        Dimension::Version => t!("results-by-version"),
        Dimension::Placement => t!("results-by-place"),
        Dimension::Country => t!("results-by-country"),
        _ => t!("results-by-device"),
    };
    html! {
        section class="card flush" {
            div class="cardhead head" { h2 { (title) } a class="btn" href=(csv) { (t!("words-csv")) } }
            div class="scroll" { table {
                thead { tr { th {} th class="right" { (t!("words-impressions")) } th class="right" { (t!("words-clicks")) } th class="right" { (t!("words-ctr")) } th class="right" { (t!("results-interval")) } th class="right" { (t!("words-conversions")) } th class="right" { (t!("words-spent")) } } }
                tbody { @for row in rows {
                    @let key = row.keys.first().map_or("", |(_, k)| k.as_str());
                    @let c = &row.sums.counters;
                    @let (low, high) = interval(c.clicks_count, c.impressions_count);
                    tr {
                        th scope="row" { (name(key).unwrap_or_else(|| t!("results-unknown").to_owned())) @if by == Dimension::Version { span class="small muted" { (key) } } }
                        td class="right" { (ui::count(c.impressions_count)) } td class="right" { (ui::count(c.clicks_count)) }
                        td class="right" { (ui::percent(c.clicks_count, c.impressions_count)) }
                        td class="right nowrap" { (ui::percent(low, 1_000_000)) " \u{2013} " (ui::percent(high, 1_000_000)) }
                        td class="right" { (ui::count(c.conversions_count)) } td class="right" { (ui::money(c.net_nanos(), currency)) }
                    }
                } }
            } }
        }
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
    #[test]
    fn the_period_before_is_as_long_and_ends_the_day_before() {
        let period = Period { from: Day(100), to: Day(106) };
        let before = period.before();
        assert_eq!((before.from.0, before.to.0, before.days()), (93, 99, 7));
    }
}
