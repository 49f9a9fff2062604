//! Plots of the learner, each beside a table that says the same. Colours are the page's; nothing is loaded.

use crate::t;
use maud::{Markup, html};
use regie_learn::{
    experiment::report::Report,
    served::{calibration::Bin, progress::Progress},
};
use regie_model::{AdId, VersionId};
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 10.0;
/// Bands of a plot that have a colour of their own.
pub const BANDS_COUNT_MAX: usize = 6;

/// Shares of versions over the time in which an ad set learned, as bands that sum to all; above them what each step brought.
pub fn shares(progress: &Progress, bands: &[(AdId, VersionId)], unit: &str) -> Markup {
    const TOP: f64 = 70.0;
    const HEIGHT: f64 = 330.0;
    const BOTTOM: f64 = 24.0;
    let steps: Vec<_> = progress.steps().iter().filter(|step| step.impressions_count > 0).collect();
    let last = steps.len().saturating_sub(1).max(1) as f64;
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / last;
    let floor = HEIGHT - BOTTOM;
    let y = |share: f64| floor - (floor - TOP - 14.0) * share;
    let share = |at: usize, band: usize| {
        let step = steps[at];
        let whole = f64::from(step.impressions_count);
        match bands.get(band) {
            Some(version) => f64::from(step.versions.get(version).copied().unwrap_or_default()) / whole,
            None => {
                let known: u32 = bands.iter().filter_map(|v| step.versions.get(v)).sum();
                1.0 - f64::from(known) / whole
            }
        }
    };
    let below = |at: usize, band: usize| (0..band).map(|lower| share(at, lower)).sum::<f64>();
    let area = |band: usize| {
        let mut path = String::new();
        for at in 0..steps.len() {
            let verb = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1}", x(at), y(below(at, band) + share(at, band)));
        }
        for at in (0..steps.len()).rev() {
            let _ = write!(path, "L{:.1} {:.1}", x(at), y(below(at, band)));
        }
        path + "Z"
    };
    let rate = |at: usize| steps[at].reward as f64 / f64::from(steps[at].impressions_count);
    let most = (0..steps.len()).map(rate).fold(1e-12, f64::max);
    let rates: Vec<String> = (0..steps.len())
        .map(|at| format!("{:.1},{:.1}", x(at), 8.0 + (TOP - 16.0) * (1.0 - rate(at) / most)))
        .collect();
    let seen: u64 = steps.iter().map(|step| u64::from(step.impressions_count)).sum();
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(t!("learning-plot-shares")) {
            title { (t!("learning-plot-shares")) }
            @if steps.len() < 2 { text x=(WIDTH / 2.0) y=(HEIGHT / 2.0) text-anchor="middle" { (t!("learning-plot-soon")) } }
            @else {
                @for band in 0..=bands.len() { path class={ "s" (if band == bands.len() { BANDS_COUNT_MAX } else { band }) } d=(area(band)) {} }
                @for tenth in [0u8, 25, 50, 75, 100] {
                    text x=(LEFT - 6.0) y=(format!("{:.1}", y(f64::from(tenth) / 100.0) + 4.0)) text-anchor="end" { (tenth) "%" }
                }
                polyline class="line" points=(rates.join(" ")) {}
                text x="4" y="12" { (format!("{:.2}", 1e3 * most)) }
                text x="4" y="26" { (unit) }
                text x=(LEFT) y=(HEIGHT - 6.0) { "0" }
                text x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { (t!("learning-plot-impressions", count = crate::http::console::ui::count(seen))) }
            }
        }
    }
}

/// Ranges with their middle, one row each; a line at `zero`, if any.
pub fn ranges(
    title: &str,
    rows: &[(String, f64, f64, f64)],
    zero: Option<f64>,
    words: &dyn Fn(f64) -> String,
) -> Markup {
    const ROW: f64 = 30.0;
    const NAMES: f64 = 250.0;
    let low = rows.iter().map(|r| r.2).chain(zero).fold(f64::INFINITY, f64::min);
    let high = rows.iter().map(|r| r.3).chain(zero).fold(f64::NEG_INFINITY, f64::max);
    let span = (high - low).max(1e-12);
    let x = |value: f64| NAMES + (WIDTH - NAMES - 30.0) * (value - low) / span;
    let height = ROW * rows.len() as f64 + 26.0;
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(title) {
            title { (title) }
            @if let Some(zero) = zero { line class="axis" x1=(format!("{:.1}", x(zero))) x2=(format!("{:.1}", x(zero))) y1="0" y2=(height - 20.0) {} }
            @for (at, (name, middle, from, to)) in rows.iter().enumerate() {
                @let y = ROW * (at as f64 + 0.5);
                text x="4" y=(y + 4.0) { (name.chars().take(40).collect::<String>()) }
                line class="line" x1=(format!("{:.1}", x(*from))) x2=(format!("{:.1}", x(*to))) y1=(y) y2=(y) {}
                circle class="dot" cx=(format!("{:.1}", x(*middle))) cy=(y) r="4.5" { title { (name) ": " (words(*middle)) } }
            }
            text x=(NAMES) y=(height - 4.0) { (words(low)) }
            text x=(WIDTH - 30.0) y=(height - 4.0) text-anchor="end" { (words(high)) }
        }
    }
}

/// Rates by day of exposure, one line an arm.
pub fn days(report: &Report) -> Markup {
    const HEIGHT: f64 = 200.0;
    let most = report.days.iter().flat_map(|(_, arms)| arms.iter().map(|a| a.1)).fold(1e-12, f64::max);
    let last = report.days.len().saturating_sub(1).max(1) as f64;
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / last;
    let y = |rate: f64| 10.0 + (HEIGHT - 40.0) * (1.0 - rate / most);
    let line = |arm: usize| {
        let points = report.days.iter().enumerate().filter_map(|(at, (_, arms))| {
            arms.get(arm).filter(|a| a.0 > 0).map(|a| format!("{:.1},{:.1}", x(at), y(a.1)))
        });
        points.collect::<Vec<_>>().join(" ")
    };
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(t!("learning-plot-days")) {
            title { (t!("learning-plot-days")) }
            @for arm in 0..report.arms.len() { polyline class={ "line l" (arm.min(BANDS_COUNT_MAX)) } points=(line(arm)) {} }
            text x="4" y="14" { (format!("{:.2}", 1e3 * most)) }
            text x="4" y="28" { (t!("learning-per-thousand")) }
            @if let (Some(first), Some(end)) = (report.days.first(), report.days.last()) {
                text x=(LEFT) y=(HEIGHT - 8.0) { (regie_model::Day(first.0)) }
                text x=(WIDTH - RIGHT) y=(HEIGHT - 8.0) text-anchor="end" { (regie_model::Day(end.0)) }
            }
        }
    }
}

/// Actions of a bin below which it is left out of the plot; the table has all.
const ACTIONS_MIN: u64 = 3;

/// What happened against what was predicted, both on a scale of doublings; on the line they are equal.
pub fn reliability(bins: &[Bin]) -> Markup {
    const SIZE: f64 = 320.0;
    let points: Vec<(f64, f64, u64)> = bins
        .iter()
        // A handful of actions says nothing about a rate.
        .filter(|bin| bin.actions_count >= ACTIONS_MIN)
        .map(|bin| {
            let n = bin.impressions_count as f64;
            ((bin.predicted_sum / n).log2(), (bin.actions_count as f64 / n).log2(), bin.impressions_count)
        })
        .collect();
    let all = || points.iter().flat_map(|(p, s, _)| [*p, *s]);
    let low = all().fold(f64::INFINITY, f64::min).floor();
    let high = all().fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
    let at = |value: f64| 50.0 + (SIZE - 70.0) * (value - low) / (high - low);
    let most = points.iter().map(|p| p.2).max().unwrap_or(1) as f64;
    let percent = |value: f64| format!("{:.2}%", 100.0 * value.exp2());
    html! {
        svg class="chart square" viewBox={ "0 0 " (SIZE) " " (SIZE) } role="img" aria-label=(t!("learning-plot-reliability")) {
            title { (t!("learning-plot-reliability")) }
            @if points.is_empty() { text x=(SIZE / 2.0) y=(SIZE / 2.0) text-anchor="middle" { (t!("learning-plot-soon")) } }
            @else {
                line class="axis" x1=(at(low)) y1=(SIZE - at(low)) x2=(at(high)) y2=(SIZE - at(high)) {}
                @for (predicted, seen, count) in &points {
                    circle class="dot" cx=(format!("{:.1}", at(*predicted))) cy=(format!("{:.1}", SIZE - at(*seen)))
                        r=(format!("{:.1}", 2.5 + 6.0 * (*count as f64 / most).sqrt())) {
                        title { (percent(*predicted)) " / " (percent(*seen)) }
                    }
                }
                @for value in [low, high] {
                    text x=(at(value)) y=(SIZE - 30.0) text-anchor=(if value == high { "end" } else { "middle" }) { (percent(value)) }
                    text x="48" y=(SIZE - at(value) + 4.0) text-anchor="end" { (percent(value)) }
                }
                text x=(SIZE / 2.0) y=(SIZE - 8.0) text-anchor="middle" { (t!("learning-predicted")) }
                text x="4" y="11" { (t!("learning-happened")) }
            }
        }
    }
}
