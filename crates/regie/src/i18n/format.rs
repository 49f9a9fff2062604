//! Numbers, money and dates as the language of the request writes them.

use super::{Lang, lang};
use regie_model::{Day, UtcMs, Zone};

/// What stands between thousands: a comma, or a narrow space that does not break.
pub fn thousands() -> char {
    match lang() {
        Lang::En => ',',
        Lang::Fr => '\u{202f}',
    }
}
/// What stands before decimals.
pub fn decimal() -> char {
    match lang() {
        Lang::En => '.',
        Lang::Fr => ',',
    }
}
/// What stands before the sign of percent.
pub fn before_percent() -> &'static str {
    match lang() {
        Lang::En => "",
        Lang::Fr => "\u{a0}",
    }
}

const MONTHS: [[&str; 12]; 2] = [
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
];

/// A date as `2026-11-27` in words: `27 Nov 2026`, `27 nov. 2026`. What is no such date stays as it is.
pub fn date_text(iso: &str) -> String {
    let mut parts = iso.splitn(3, '-');
    let (Some(year), Some(month), Some(day)) = (parts.next(), parts.next(), parts.next()) else {
        return iso.to_owned();
    };
    let (Ok(month), Ok(day)) = (month.parse::<usize>(), day.parse::<u8>()) else { return iso.to_owned() };
    let Some(name) = month.checked_sub(1).and_then(|m| MONTHS[lang() as usize].get(m)) else {
        return iso.to_owned();
    };
    let day = if lang() == Lang::Fr && day == 1 { "1er".to_owned() } else { day.to_string() };
    format!("{day}\u{a0}{name}\u{a0}{year}")
}
/// A day.
pub fn day(day: Day) -> String {
    date_text(&day.to_string())
}
/// Local date and time: `27 Nov 2026, 16:03`, `27 nov. 2026 à 16:03`.
pub fn when(at: UtcMs, zone: &Zone) -> String {
    let text = zone.local_text(at);
    let Some((date, time)) = text.split_once([' ', 'T']) else { return text };
    match lang() {
        Lang::En => format!("{}, {time}", date_text(date)),
        Lang::Fr => format!("{} à {time}", date_text(date)),
    }
}
/// A month as `2026-11`: `Nov 2026`.
pub fn month(iso: &str) -> String {
    let whole = date_text(&format!("{iso}-02"));
    whole.split_once('\u{a0}').map_or_else(|| iso.to_owned(), |(_, rest)| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::within;

    #[test]
    fn dates_read_as_people_write_them() {
        assert_eq!(date_text("2026-11-27"), "27\u{a0}Nov\u{a0}2026");
        assert_eq!(within(Lang::Fr, || date_text("2026-08-01")), "1er\u{a0}août\u{a0}2026");
        assert_eq!(month("2026-03"), "Mar\u{a0}2026");
        for other in ["never", "2026-13-01", "2026-11"] {
            assert_eq!(date_text(other), other);
        }
        let at = UtcMs(1_764_259_380_000);
        assert_eq!(when(at, &Zone::utc()), "27\u{a0}Nov\u{a0}2025, 16:03");
        assert_eq!(within(Lang::Fr, || when(at, &Zone::utc())), "27\u{a0}nov.\u{a0}2025 à 16:03");
    }
}
