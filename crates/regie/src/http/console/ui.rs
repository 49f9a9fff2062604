//! Components of the pages: money, numbers, badges, figures, charts. Every value is escaped by the templates.

use crate::i18n::{format, rooms::say};
use crate::t;
use maud::{Markup, PreEscaped, html};
use regie_model::{Currency, Day, Micros, Nanos, UtcMs, Zone, booking::Status, catalogue::Review};
use std::fmt::Write;

/// A number with its thousands apart, as the page's language writes them.
pub fn count(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(format::thousands());
        }
        text.push(digit);
    }
    text
}

/// Money for people: minor digits, with the currency; amounts under one minor unit keep more digits.
pub fn money(nanos: Nanos, currency: Currency) -> String {
    let minor = currency.minor_digits();
    let small = nanos.0 != 0 && nanos.0.abs() < 10i128.pow(9 - minor);
    let digits = if small { 6 } else { minor };
    let mut plain = nanos.display(currency, digits);
    if small {
        let keep = plain.len() - (digits - minor) as usize;
        plain.truncate(plain.trim_end_matches('0').len().max(keep));
    }
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("\u{2212}", rest));
    let (whole, part) = plain.split_once('.').map_or((plain, ""), |(w, p)| (w, p));
    let grouped = whole.parse::<u128>().map_or_else(|_| whole.to_owned(), count);
    let part = if part.is_empty() { String::new() } else { format!("{}{part}", format::decimal()) };
    format!("{sign}{grouped}{part}\u{a0}{currency}")
}
/// The same where digits below the smallest coin would only be in the way: under it, that it is under it.
pub fn money_short(nanos: Nanos, currency: Currency) -> String {
    let coin = 10i128.pow(9 - currency.minor_digits());
    match nanos.0 {
        0 => money(nanos, currency),
        n if n.abs() < coin => format!("< {}", money(Nanos(coin), currency)),
        _ => money(nanos, currency),
    }
}
/// The same from micros.
pub fn money_micros(micros: Micros, currency: Currency) -> String {
    money(micros.to_nanos(), currency)
}

/// A share in percent with two digits, or a dash where there is nothing to divide by.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "\u{2013}".into();
    }
    let hundredths = (u128::from(part) * 10_000 + u128::from(whole) / 2) / u128::from(whole);
    let (point, space) = (format::decimal(), format::before_percent());
    format!("{}{point}{:02}{space}%", hundredths / 100, hundredths % 100)
}

/// Local date and time.
pub fn when(at: UtcMs, zone: &Zone) -> String {
    format::when(at, zone)
}

/// A day.
pub fn day(day: Day) -> String {
    format::day(day)
}

/// A day as `2026-11-27`.
pub fn date(iso: &impl std::fmt::Display) -> String {
    format::date_text(&iso.to_string())
}
/// A decimal number as the page's language writes it.
pub fn decimal(plain: &str) -> String {
    plain.replace('.', &format::decimal().to_string())
}

/// A badge.
pub fn badge(kind: &str, words: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (say(words)) } }
}
/// A status as a badge.
pub fn status(status: Status) -> Markup {
    match status {
        Status::Draft => badge("", "draft"),
        Status::Active => badge("good", "active"),
        Status::Paused => badge("warn", "paused"),
        Status::Archived => badge("", "archived"),
    }
}
/// A review as a badge.
pub fn review(review: &Review) -> Markup {
    match review {
        Review::Pending => badge("warn", t!("frame-waits-for-review")),
        Review::Approved => badge("good", "approved"),
        Review::Rejected { .. } => badge("bad", "rejected"),
    }
}
/// The badge of a political ad.
pub fn political(on: bool) -> Markup {
    html! { @if on { (badge("political", "political")) } }
}

/// Nothing here yet, and what to do.
pub fn empty(words: &str) -> Markup {
    html! { div class="empty" { p { (words) } } }
}

/// One figure of a row of figures. `live` is the path in the live data.
pub fn figure(label: &str, value: &str, live: &str) -> Markup {
    let long = if value.chars().count() > 13 { "long" } else { "" };
    html! {
        div class="figure" {
            dt { (label) }
            dd class=(long) { @if live.is_empty() { (value) } @else { span data-live=(live) { (value) } } }
        }
    }
}

/// A bar of a whole; the words say the same.
pub fn bar(part: i128, whole: i128, label: &str, live: &str) -> Markup {
    let ppm = if whole <= 0 { 0 } else { (part.max(0) * 1_000 / whole).min(1_000) };
    html! { progress max="1000" value=(ppm) aria-label=(label) data-live-value=[(!live.is_empty()).then_some(live)] { (ppm / 10) "%" } }
}

/// A point of a chart: words of the x axis, value, the value in words.
pub struct Point {
    /// On the x axis.
    pub label: String,
    /// Height.
    pub value: f64,
    /// In the tooltip.
    pub words: String,
}

/// A line chart with axes; the data stands in a table beside it.
pub fn line_chart(title: &str, points: &[Point], unit: &str) -> Markup {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 210.0;
    const LEFT: f64 = 62.0;
    const BOTTOM: f64 = 26.0;
    if points.is_empty() {
        return empty(t!("frame-nothing-to-draw-in-this"));
    }
    let top = nice_top(points.iter().map(|p| p.value).fold(0.0, f64::max));
    let x = |index: usize| {
        let last = points.len().saturating_sub(1).max(1) as f64;
        LEFT + (WIDTH - LEFT - 12.0) * index as f64 / last
    };
    let y = |value: f64| 12.0 + (HEIGHT - BOTTOM - 12.0) * (1.0 - value / top);
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let verb = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{verb}{:.1} {:.1}", x(index), y(point.value));
    }
    let floor = HEIGHT - BOTTOM;
    let area = format!("{path}L{:.1} {floor}L{:.1} {floor}Z", x(points.len() - 1), x(0));
    let every = points.len().div_ceil(6).max(1);
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
            title { (title) }
            @for step in 0..=4u32 {
                @let value = top * f64::from(step) / 4.0;
                line class="axis" x1=(LEFT) x2=(WIDTH - 8.0) y1=(format!("{:.1}", y(value))) y2=(format!("{:.1}", y(value))) {}
                text x=(LEFT - 8.0) y=(format!("{:.1}", y(value) + 4.0)) text-anchor="end" { (short_number(value)) }
            }
            path class="fill" d=(area) {}
            path class="line" d=(path) {}
            @for (index, point) in points.iter().enumerate() {
                @if points.len() <= 80 {
                    circle class="dot" cx=(format!("{:.1}", x(index))) cy=(format!("{:.1}", y(point.value))) r="2.6" { title { (point.label) ": " (point.words) } }
                }
                @if index % every == 0 {
                    text x=(format!("{:.1}", x(index))) y=(HEIGHT - 8.0) text-anchor="middle" { (point.label) }
                }
            }
            text x="4" y="10" { (unit) }
        }
    }
}

/// A round number at or above the largest value.
pub(super) fn nice_top(largest: f64) -> f64 {
    if largest <= 0.0 {
        return 1.0;
    }
    let scale = 10f64.powf(largest.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].iter().map(|m| m * scale).find(|top| *top >= largest).unwrap_or(largest)
}
pub(super) fn short_number(value: f64) -> String {
    let trim = |v: f64, unit: &str| {
        let text = if v < 0.1 { format!("{v:.4}") } else { format!("{v:.2}") };
        let plain = text.trim_end_matches('0').trim_end_matches('.');
        format!("{}{unit}", plain.replace('.', &format::decimal().to_string()))
    };
    match value {
        v if v >= 1e9 => trim(v / 1e9, "G"),
        v if v >= 1e6 => trim(v / 1e6, "M"),
        v if v >= 1e4 => trim(v / 1e3, "k"),
        v => trim(v, ""),
    }
}

/// The line that the live script draws: the last minute.
pub fn sparkline() -> Markup {
    html! {
        svg class="chart spark" viewBox="0 0 600 60" preserveAspectRatio="none" role="img" aria-label=(t!("frame-impressions-a-second-last-minute")) {
            line class="axis" x1="0" x2="600" y1="58" y2="58" {}
            polyline class="line" points="" data-spark="" vector-effect="non-scaling-stroke" {}
        }
    }
}

/// Text with its line breaks.
pub fn lines(text: &str) -> Markup {
    html! { @for (index, line) in text.lines().enumerate() { @if index > 0 { br; } (line) } }
}
/// Nothing.
pub fn nothing() -> Markup {
    PreEscaped(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567u64), "1,234,567");
        let french = || (count(1_234_567u64), money(Nanos(12_345_678_000_000), Currency::EUR), percent(1, 3));
        let (number, amount, share) = crate::i18n::within(crate::i18n::Lang::Fr, french);
        assert_eq!(number, "1\u{202f}234\u{202f}567");
        assert_eq!(amount, "12\u{202f}345,68\u{a0}EUR");
        assert_eq!(share, "33,33\u{a0}%");
        assert_eq!(count(12u64), "12");
        assert_eq!(money(Nanos(12_345_678_000_000), Currency::EUR), "12,345.68\u{a0}EUR");
        assert_eq!(money(Nanos(4_500_000), Currency::EUR), "0.0045\u{a0}EUR");
        assert_eq!(money(Nanos(-2_000_000_000), Currency::EUR), "\u{2212}2.00\u{a0}EUR");
        let short = |nanos| money_short(Nanos(nanos), Currency::EUR);
        assert_eq!((short(4_500_000), short(0)), ("< 0.01\u{a0}EUR".into(), "0.00\u{a0}EUR".into()));
        assert_eq!(short(1_239_000_000), "1.24\u{a0}EUR");
        assert_eq!(percent(1, 3), "33.33%");
        assert_eq!(percent(1, 0), "\u{2013}");
    }
    #[test]
    fn charts_have_round_tops() {
        for (largest, top) in [(0.0, 1.0), (3.0, 4.0), (41.0, 50.0), (99.0, 100.0), (1_000.0, 1_000.0)] {
            assert!((nice_top(largest) - top).abs() < 1e-9, "{largest}");
        }
    }
}
