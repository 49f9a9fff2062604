//! Plots of a report as SVG, each beside the table that says the same in text.
//!
//! Refuses scripts, fonts and anything loaded from elsewhere; colours are the page's (`currentColor`).

use super::report::Report;
use crate::infer::Interval;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const ROW: f64 = 34.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 20.0;

/// Text that may stand in SVG.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Differences from control with their ranges, one row an arm, a line at zero.
pub fn differences(report: &Report) -> String {
    let rows: Vec<(&str, f64, Interval)> = report
        .arms
        .iter()
        .filter_map(|a| a.against.as_ref().map(|d| (a.name.as_str(), d.difference, d.interval)))
        .collect();
    let reach = rows.iter().map(|(_, _, i)| i.low.abs().max(i.high.abs())).fold(1e-9, f64::max);
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value / reach + 1.0) / 2.0;
    let height = ROW * rows.len() as f64 + 30.0;
    let mut svg = opening(height, "Difference of each arm from control, with its range");
    let zero = x(0.0);
    let _ = write!(
        svg,
        "<line x1=\"{zero:.1}\" x2=\"{zero:.1}\" y1=\"0\" y2=\"{:.1}\" stroke=\"currentColor\" stroke-dasharray=\"3 3\"/>",
        height - 22.0
    );
    for (at, (name, difference, interval)) in rows.iter().enumerate() {
        let y = ROW * (at as f64 + 0.5);
        let _ = write!(
            svg,
            "<text x=\"4\" y=\"{:.1}\">{}</text><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"currentColor\" stroke-width=\"4\" opacity=\".5\"/><circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"currentColor\"/>",
            y + 4.0,
            escaped(name),
            x(interval.low),
            x(interval.high),
            x(*difference)
        );
    }
    for value in [-reach, 0.0, reach] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:+.2}</text>",
            x(value).clamp(20.0, WIDTH - 24.0),
            height - 6.0,
            1e3 * value
        );
    }
    svg + "</svg>"
}

/// Mean outcome by day of exposure, one line an arm.
pub fn days(report: &Report) -> String {
    let height = 200.0;
    let mut svg = opening(height, "Mean outcome by day of exposure, one line for each arm");
    let most = report.days.iter().flat_map(|(_, arms)| arms.iter().map(|a| a.1)).fold(1e-9, f64::max);
    let steps = report.days.len().saturating_sub(1).max(1) as f64;
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / steps;
    let y = |rate: f64| 10.0 + (height - 40.0) * (1.0 - rate / most);
    for (arm, named) in report.arms.iter().enumerate() {
        let points: Vec<String> = report
            .days
            .iter()
            .enumerate()
            .filter_map(|(at, (_, arms))| {
                arms.get(arm).filter(|a| a.0 > 0).map(|a| format!("{:.1},{:.1}", x(at), y(a.1)))
            })
            .collect();
        let dashes = ["none", "6 3", "2 3", "8 3 2 3"][arm % 4];
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\" points=\"{}\"/><line x1=\"4\" x2=\"40\" y1=\"{l:.1}\" y2=\"{l:.1}\" stroke=\"currentColor\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/><text x=\"46\" y=\"{:.1}\">{}</text>",
            points.join(" "),
            20.0 + 20.0 * arm as f64,
            escaped(&named.name),
            l = 16.0 + 20.0 * arm as f64
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">0 to {:.2} per 1,000, {} days</text>",
        height - 8.0,
        1e3 * most,
        report.days.len()
    );
    svg + "</svg>"
}

fn opening(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" font-size=\"13\" fill=\"currentColor\"><title>{title}</title>"
    )
}
