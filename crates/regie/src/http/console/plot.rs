//! Lines over days as SVG: axes, unit, a legend by form and colour, values as titles. The table stands beside it.
//!
//! Colours are the design system's tokens, so that a plot reads in dark mode; the second line is dashed, so that it reads
//! without colours.

use super::ui;
use crate::i18n::format;
use maud::{Markup, html};
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 28.0;

/// One line.
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its values, one for each label; gaps where there is none.
    pub values: Vec<Option<f64>>,
    /// Within which limits each value lies, drawn as a band; empty for values that are exact.
    pub within: Vec<Option<(f64, f64)>>,
}

/// Up to two lines over the same labels.
pub fn lines(title: &str, unit: &str, labels: &[String], lines: &[Line]) -> Markup {
    let all = || {
        let values = lines.iter().flat_map(|l| l.values.iter().flatten().copied());
        values.chain(lines.iter().flat_map(|l| l.within.iter().flatten().map(|(_, high)| *high)))
    };
    if labels.is_empty() || all().next().is_none() {
        return ui::empty(crate::t!("frame-nothing-to-draw-in-this"));
    }
    let top = ui::nice_top(all().fold(0.0, f64::max));
    let x = |index: usize| {
        let last = labels.len().saturating_sub(1).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / last
    };
    let y = |value: f64| TOP + (HEIGHT - BOTTOM - TOP) * (1.0 - value.max(0.0) / top);
    let every = labels.len().div_ceil(6).max(1);
    html! {
        figure class="plot" {
            svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
                title { (title) }
                @for step in 0..=4u32 {
                    @let value = top * f64::from(step) / 4.0;
                    line class="axis" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(y(value))) y2=(px(y(value))) {}
                    text x=(LEFT - 8.0) y=(px(y(value) + 4.0)) text-anchor="end" { (ui::short_number(value)) }
                }
                @for (index, label) in labels.iter().enumerate().filter(|(i, _)| i % every == 0) {
                    text x=(px(x(index))) y=(HEIGHT - 8.0) text-anchor="middle" { (label) }
                }
                text x="4" y="11" { (unit) }
                @for line in lines.iter().filter(|l| !l.within.is_empty()) { path class="band" d=(band(&line.within, &x, &y)) {} }
                @for (number, line) in lines.iter().enumerate() {
                    path class=(if number == 0 { "line" } else { "line two" }) d=(path(&line.values, &x, &y)) {}
                    @if labels.len() <= 80 {
                        @for (index, value) in line.values.iter().enumerate() { @if let Some(value) = value {
                            circle class=(if number == 0 { "dot" } else { "dot two" }) cx=(px(x(index))) cy=(px(y(*value))) r="2.6" { title { (labels[index]) ", " (line.name) ": " (words(*value)) " " (unit) @if let Some(Some((low, high))) = line.within.get(index) { " (" (words(*low)) " \u{2013} " (words(*high)) ")" } } }
                        } }
                    }
                }
            }
            figcaption class="legend" { @for (number, line) in lines.iter().enumerate() { span { i class=[(number > 0).then_some("two")] {} (line.name) } } }
        }
    }
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}
fn words(value: f64) -> String {
    format!("{value:.2}").replace('.', &format::decimal().to_string())
}
/// The area between the limits: along the upper ones and back along the lower; a gap begins a new piece.
fn band(within: &[Option<(f64, f64)>], x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let mut area = String::new();
    let known: Vec<(usize, (f64, f64))> =
        within.iter().enumerate().filter_map(|(i, limits)| Some((i, (*limits)?))).collect();
    for piece in known.chunk_by(|a, b| a.0 + 1 == b.0) {
        for (number, (index, (_, high))) in piece.iter().enumerate() {
            let _ = write!(area, "{}{:.1} {:.1}", if number == 0 { 'M' } else { 'L' }, x(*index), y(*high));
        }
        for (index, (low, _)) in piece.iter().rev() {
            let _ = write!(area, "L{:.1} {:.1}", x(*index), y(*low));
        }
        area.push('Z');
    }
    area
}
/// A path through the values; a gap begins a new piece.
fn path(values: &[Option<f64>], x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let (mut path, mut open) = (String::new(), false);
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            open = false;
            continue;
        };
        let _ = write!(path, "{}{:.1} {:.1}", if open { 'L' } else { 'M' }, x(index), y(*value));
        open = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_begins_a_new_piece_and_two_lines_differ_without_colour() {
        assert_eq!(
            path(&[Some(1.0), None, Some(2.0), Some(3.0)], &|i| i as f64, &|v| v),
            "M0.0 1.0M2.0 2.0L3.0 3.0"
        );
        let two = [
            Line {
                name: "A".into(),
                values: vec![Some(1.0), Some(2.0)],
                within: vec![None, Some((1.5, 9.0))],
            },
            Line { name: "B".into(), values: vec![None, Some(1.5)], within: vec![] },
        ];
        let labels = ["one".to_owned(), "two".to_owned()];
        let svg = lines("T", "EUR", &labels, &two).0;
        assert!(svg.contains("class=\"line two\"") && svg.contains("two, B: 1.50 EUR"), "{svg}");
        assert!(
            svg.contains("two, A: 2.00 EUR (1.50 \u{2013} 9.00)"),
            "the table's limits are in the plot: {svg}"
        );
        assert!(svg.contains(">10</text>"), "the axis reaches above the band: {svg}");
        assert!(lines("T", "EUR", &[], &two).0.contains("empty"));
    }
    #[test]
    fn a_band_goes_along_the_upper_limits_and_back_along_the_lower() {
        let limits = [Some((1.0, 3.0)), Some((2.0, 4.0)), None, Some((5.0, 6.0))];
        assert_eq!(
            band(&limits, &|i| i as f64, &|v| v),
            "M0.0 3.0L1.0 4.0L1.0 2.0L0.0 1.0ZM3.0 6.0L3.0 5.0Z"
        );
    }
}
