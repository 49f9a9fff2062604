//! Calendar days without a clock or a zone: archives publish days, not moments.
//!
//! Days are counted from 1970-01-01 (proleptic Gregorian; Howard Hinnant's `days_from_civil`).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Days since 1970-01-01. In text and JSON `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

impl Day {
    /// Stands for "no stated beginning": earlier than any archive.
    pub const OPEN_START: Day = Day(-1_000_000);
    /// Stands for "no stated end": later than any archive.
    pub const OPEN_END: Day = Day(1_000_000);

    /// The day of a civil date, or `None` when there is no such date (years 1 to 9999).
    pub fn new(year: i32, month: u32, day: u32) -> Option<Day> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month)
        {
            return None;
        }
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let of_era = shifted.rem_euclid(400);
        let month = month as i32;
        let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day as i32 - 1;
        let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        Some(Day(era * 146_097 + day_of_era - 719_468))
    }
    /// Year, month, day.
    pub fn civil(self) -> (i32, u32, u32) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = of_era + era * 400 + i32::from(month <= 2);
        (year, month as u32, day as u32)
    }
    /// Reads the first ten characters as `YYYY-MM-DD` or `YYYY/MM/DD`; what follows must not be a digit.
    pub fn parse_prefix(text: &str) -> Option<Day> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < 10 || !matches!(bytes[4], b'-' | b'/') || bytes[7] != bytes[4] {
            return None;
        }
        if bytes.get(10).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        Day::new(digits(&bytes[0..4])? as i32, digits(&bytes[5..7])?, digits(&bytes[8..10])?)
    }
    /// Reads exactly `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        if text.trim().len() == 10 { Day::parse_prefix(text) } else { None }
    }
    /// The UTC day of a moment in seconds since 1970.
    pub fn from_unix_seconds(seconds: i64) -> Option<Day> {
        let day = seconds.div_euclid(86_400);
        i32::try_from(day).ok().filter(|d| (-700_000..2_900_000).contains(d)).map(Day)
    }
    /// This many days later (earlier when negative).
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }
    /// Whether this is a real day and not an open start or end.
    pub fn is_stated(self) -> bool {
        self != Day::OPEN_START && self != Day::OPEN_END
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
}

fn days_in(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Finds the first `YYYY-MM-DD` inside a text, with its byte position.
pub fn find_in(text: &str) -> Option<(usize, Day)> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(9)).find_map(|at| {
        let before_is_digit = at > 0 && bytes[at - 1].is_ascii_digit();
        let window = std::str::from_utf8(&bytes[at..at + 10]).ok()?;
        let after_is_digit = bytes.get(at + 10).is_some_and(u8::is_ascii_digit);
        if before_is_digit || after_is_digit || bytes[at + 4] != b'-' {
            return None;
        }
        Day::parse(window).map(|day| (at, day))
    })
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Day::OPEN_START => f.write_str("the beginning"),
            Day::OPEN_END => f.write_str("an open end"),
            _ => {
                let (y, m, d) = self.civil();
                write!(f, "{y:04}-{m:02}-{d:02}")
            }
        }
    }
}
impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.is_stated() { s.collect_str(self) } else { s.serialize_none() }
    }
}
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Day::parse(&text).ok_or_else(|| de::Error::custom("a day is YYYY-MM-DD"))
    }
}
impl std::str::FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Day, String> {
        Day::parse(text).ok_or_else(|| format!("{text:?} is not a day; write YYYY-MM-DD"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_back() {
        for day in (-200_000..400_000).step_by(37) {
            let (y, m, d) = Day(day).civil();
            assert_eq!(Day::new(y, m, d), Some(Day(day)));
        }
        assert_eq!(Day::parse("2018-05-27").map(|d| d.0), Some(17_678));
    }

    #[test]
    fn refuses_what_is_no_day() {
        for text in
            ["2018-02-29", "2018-13-01", "2018-00-10", "18-05-27", "2018-5-27", "2018-05-271", "", "０"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(Day::parse_prefix("2018/10/09 15:51:44Z"), Day::new(2018, 10, 9));
        assert_eq!(
            find_in("FacebookAdLibraryReport_2023-06-01_US.csv"),
            Day::new(2023, 6, 1).map(|d| (24, d))
        );
    }
}
