//! Plots as SVG, drawn on the server: intervals, a series over time, a curve. No scripts, no fonts of their
//! own; colours come from the page, so that light, dark and print follow. Each stands beside a table of
//! the same data; the drawing itself is named for screen readers.

use maud::{Markup, html};

/// One row of an interval plot, in any one unit.
pub struct Interval {
    /// What it is.
    pub label: String,
    /// The figure as published.
    pub value: i128,
    /// Smallest possible.
    pub lower: i128,
    /// Largest possible, `None` when unknown.
    pub upper: Option<i128>,
}

const WIDTH: i128 = 760;
const LABEL: i128 = 250;
const ROW: i128 = 26;

/// Position on an axis from 0 to `top` that is `span` long.
fn at(value: i128, top: i128, span: i128) -> i128 {
    if top <= 0 { 0 } else { value.clamp(0, top) * span / top }
}

/// A round number at or above a value: 1, 2, 2.5 or 5 times a power of ten.
fn round_up(value: i128) -> i128 {
    let mut power = 1i128;
    while power < i128::MAX / 100 && power * 10 <= value {
        power *= 10;
    }
    [10, 20, 25, 50, 100].into_iter().map(|m| power * m / 10).find(|v| *v >= value).unwrap_or(value)
}

fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        text.to_owned()
    } else {
        text.chars().take(max - 1).chain("…".chars()).collect()
    }
}

/// A label that fits beside the bars: capitals are wider.
fn label(text: &str) -> String {
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    short(text, if capitals * 2 > text.chars().count() { 27 } else { 36 })
}

/// Horizontal bars from nothing to the published figure, with a line from the smallest to the largest
/// possible; an open arrow where the upper bound is unknown.
pub fn intervals(name: &str, rows: &[Interval], show: &dyn Fn(i128) -> String) -> Markup {
    let top =
        round_up(rows.iter().map(|r| r.upper.unwrap_or(r.value).max(r.value)).max().unwrap_or(1).max(1));
    let span = WIDTH - LABEL - 30;
    let height = ROW * rows.len() as i128 + 34;
    let x = |v: i128| LABEL + at(v, top, span);
    let any_unknown = rows.iter().any(|r| r.upper.is_none());
    html! {
        svg role="img" viewBox=(format!("0 0 {WIDTH} {height}")) aria-label=(name) xmlns="http://www.w3.org/2000/svg" {
            title { (name) }
            @for tick in 0..=4 {
                @let value = top * tick / 4;
                line.grid x1=(x(value)) x2=(x(value)) y1="4" y2=(height - 26) {}
                text.tick x=(x(value)) y=(height - 8) text-anchor=(if tick == 4 { "end" } else { "middle" }) { (show(value)) }
            }
            @for (index, row) in rows.iter().enumerate() {
                @let y = ROW * index as i128 + 8;
                @let middle = y + 8;
                text.label x=(LABEL - 8) y=(y + 12) text-anchor="end" { (label(&row.label)) }
                rect.amount x=(LABEL) y=(y) height="16" width=(at(row.value, top, span).max(1)) {
                    title { (row.label) ": " (show(row.value)) }
                }
                @let end = row.upper.map_or(WIDTH - 16, x);
                @if end > x(row.lower) {
                    line.whisker x1=(x(row.lower)) x2=(end) y1=(middle) y2=(middle) {}
                    line.whisker x1=(x(row.lower)) x2=(x(row.lower)) y1=(middle - 5) y2=(middle + 5) {}
                    @if row.upper.is_some() {
                        line.whisker x1=(end) x2=(end) y1=(middle - 5) y2=(middle + 5) {}
                    } @else {
                        path.open d=(format!("M {} {} l 8 5 l -8 5", end - 8, middle - 5)) {}
                    }
                }
            }
        }
        p.legend {
            "Bar: as published. Line: from the smallest to the largest possible sum."
            @if any_unknown { " An open arrow: no upper bound is known." }
        }
    }
}

/// One point of a series.
pub struct Point {
    /// What stands on the axis.
    pub label: String,
    /// The figure.
    pub value: i128,
    /// Smallest possible.
    pub lower: i128,
    /// Largest possible.
    pub upper: Option<i128>,
}

/// A series over time with a band from the smallest to the largest possible.
pub fn series(name: &str, points: &[Point], show: &dyn Fn(i128) -> String) -> Markup {
    let (left, right, height) = (86, 16, 260i128);
    let bottom = 34;
    let top =
        round_up(points.iter().map(|p| p.upper.unwrap_or(p.value).max(p.value)).max().unwrap_or(1).max(1));
    let span = WIDTH - left - right;
    let steps = (points.len() as i128 - 1).max(1);
    let x = |i: usize| left + span * i as i128 / steps;
    let y = |v: i128| height - bottom - at(v, top, height - bottom - 12);
    let line: Vec<String> =
        points.iter().enumerate().map(|(i, p)| format!("{},{}", x(i), y(p.value))).collect();
    let above = points.iter().enumerate().map(|(i, p)| format!("{},{}", x(i), y(p.upper.unwrap_or(p.value))));
    let below = points.iter().enumerate().rev().map(|(i, p)| format!("{},{}", x(i), y(p.lower)));
    let band: Vec<String> = above.chain(below).collect();
    let every = points.len().div_ceil(6).max(1);
    html! {
        svg role="img" viewBox=(format!("0 0 {WIDTH} {height}")) aria-label=(name) xmlns="http://www.w3.org/2000/svg" {
            title { (name) }
            @for tick in 0..=4 {
                @let value = top * tick / 4;
                line.grid x1=(left) x2=(WIDTH - right) y1=(y(value)) y2=(y(value)) {}
                text.tick x=(left - 8) y=(y(value) + 4) text-anchor="end" { (show(value)) }
            }
            polygon.band points=(band.join(" ")) {}
            polyline.line points=(line.join(" ")) {}
            @for (i, p) in points.iter().enumerate() {
                @if points.len() <= 60 {
                    circle.dot cx=(x(i)) cy=(y(p.value)) r="3" { title { (p.label) ": " (show(p.value)) } }
                }
                @if i % every == 0 {
                    text.tick x=(x(i)) y=(height - 12) text-anchor=(if i == 0 { "start" } else if i + every >= points.len() { "end" } else { "middle" }) { (p.label) }
                }
            }
        }
        p.legend { "Line: as published. Band: from the smallest to the largest possible sum." }
    }
}

/// A curve of precision over recall, both in thousandths.
pub fn curve(name: &str, points: &[(u64, u64)]) -> Markup {
    let (left, size, bottom) = (60i128, 300i128, 40i128);
    let x = |v: u64| left + at(i128::from(v), 1000, WIDTH - left - 40);
    let y = |v: u64| size - bottom - at(i128::from(v), 1000, size - bottom - 12);
    let line: Vec<String> =
        points.iter().map(|(recall, precision)| format!("{},{}", x(*recall), y(*precision))).collect();
    html! {
        svg role="img" viewBox=(format!("0 0 {WIDTH} {size}")) aria-label=(name) xmlns="http://www.w3.org/2000/svg" {
            title { (name) }
            @for tick in [0u64, 250, 500, 750, 1000] {
                line.grid x1=(left) x2=(x(1000)) y1=(y(tick)) y2=(y(tick)) {}
                text.tick x=(left - 8) y=(y(tick) + 4) text-anchor="end" { (format!("{}.{:02}", tick / 1000, tick % 1000 / 10)) }
                text.tick x=(x(tick)) y=(size - 20) text-anchor="middle" { (format!("{}.{:02}", tick / 1000, tick % 1000 / 10)) }
            }
            polyline.line points=(line.join(" ")) {}
            @for (recall, precision) in points { circle.dot cx=(x(*recall)) cy=(y(*precision)) r="3" {} }
            text.tick x=(x(500)) y=(size - 4) text-anchor="middle" { "recall (across), precision (up)" }

        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_round_numbers() {
        for (value, want) in [(1, 1), (9, 10), (11, 20), (23, 25), (700_000, 1_000_000), (260, 500)] {
            assert_eq!(round_up(value), want, "{value}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let rows = [Interval { label: "<script>".into(), value: 3, lower: 1, upper: None }];
        let svg = intervals("a & b", &rows, &|v| v.to_string()).into_string();
        assert!(
            svg.contains("&lt;script&gt;") && !svg.contains("<script>") && svg.contains("class=\"open\"")
        );
    }
}
