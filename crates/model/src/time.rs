//! Time: UTC inside; account-zone days and hours of the week at the edges.
//!
//! Refuses a clock: the present is always an argument. Zone rules come from the IANA data bundled
//! with the binary, so that the same journal folds to the same days on every machine.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 text, in binary an `i64`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMs(pub i64);

/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// Twenty-four hours in milliseconds (an account-zone day may be longer or shorter).
pub const DAY_MS: i64 = 86_400_000;

impl UtcMs {
    /// The UTC hour this moment lies in.
    pub fn hour(self) -> UtcHour {
        UtcHour(self.0.div_euclid(HOUR_MS))
    }
    /// The UTC minute this moment lies in (minutes since 1970).
    pub fn minute(self) -> i64 {
        self.0.div_euclid(MINUTE_MS)
    }
    fn stamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
    /// Parses RFC 3339 with an offset, or with `Z`.
    pub fn parse(text: &str) -> Option<UtcMs> {
        text.parse::<Timestamp>().ok().map(|t| UtcMs(t.as_millisecond()))
    }
}
impl fmt::Display for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stamp())
    }
}
impl fmt::Debug for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stamp())
    }
}
impl Serialize for UtcMs {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}
impl<'de> Deserialize<'de> for UtcMs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            UtcMs::parse(&text)
                .ok_or_else(|| de::Error::custom("a time is RFC 3339, such as 2026-05-01T08:00:00Z"))
        } else {
            i64::deserialize(d).map(UtcMs)
        }
    }
}

/// Hours since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UtcHour(pub i64);
impl UtcHour {
    /// The first millisecond of the hour.
    pub fn start(self) -> UtcMs {
        UtcMs(self.0 * HOUR_MS)
    }
}

/// A calendar day in some zone: days since 1970-01-01. In JSON `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);
impl Day {
    fn date(self) -> civil::Date {
        let epoch = civil::date(1970, 1, 1);
        epoch.checked_add(jiff::Span::new().days(self.0)).unwrap_or(epoch)
    }
    fn of_date(date: civil::Date) -> Day {
        let days = date.since(civil::date(1970, 1, 1)).map(|span| span.get_days()).unwrap_or(0);
        Day(days)
    }
    /// Parses `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        text.parse::<civil::Date>().ok().map(Day::of_date)
    }
    /// Year and month (1 to 12).
    pub fn year_month(self) -> (i16, i8) {
        let date = self.date();
        (date.year(), date.month())
    }
}
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}
impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i32(self.0) }
    }
}
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            Day::parse(&text).ok_or_else(|| de::Error::custom("a day is YYYY-MM-DD"))
        } else {
            i32::deserialize(d).map(Day)
        }
    }
}

/// Hour of the week in some zone: 0 is Monday 00:00, 167 is Sunday 23:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HourOfWeek(pub u8);
impl HourOfWeek {
    /// Hours in a week.
    pub const COUNT: usize = 168;
}

/// A time zone by its IANA name, known to the bundled data.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    name: std::sync::Arc<str>,
}
impl Zone {
    /// Universal time.
    pub fn utc() -> Zone {
        Zone { zone: TimeZone::UTC, name: "UTC".into() }
    }
    /// Looks a name such as `Europe/Paris` up; `None` when unknown.
    pub fn parse(name: &str) -> Option<Zone> {
        if name == "UTC" {
            return Some(Zone::utc());
        }
        TimeZone::get(name).ok().map(|zone| Zone { zone, name: name.into() })
    }
    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The calendar day of a moment here.
    pub fn day(&self, at: UtcMs) -> Day {
        Day::of_date(at.stamp().to_zoned_datetime(self.zone.clone()).date())
    }
    /// The hour of the week of a moment here.
    pub fn hour_of_week(&self, at: UtcMs) -> HourOfWeek {
        let zoned = at.stamp().to_zoned_datetime(self.zone.clone());
        let day = zoned.weekday().to_monday_zero_offset();
        HourOfWeek((i16::from(day) * 24 + i16::from(zoned.hour())) as u8)
    }
    /// The first moment of a day here; with [`Day`] + 1, the day's bounds (23, 24 or 25 hours).
    pub fn day_start(&self, day: Day) -> UtcMs {
        let at = self.zone.to_ambiguous_zoned_datetime(day.date().at(0, 0, 0, 0)).compatible();
        UtcMs(at.map(|z| z.timestamp().as_millisecond()).unwrap_or(i64::from(day.0) * DAY_MS))
    }
    /// Local date and time for people: `2026-05-01 08:00`.
    pub fn local_text(&self, at: UtcMs) -> String {
        let zoned = at.stamp().to_zoned_datetime(self.zone.clone());
        format!("{} {:02}:{:02}", zoned.date(), zoned.hour(), zoned.minute())
    }
    /// Reads a civil date and time (`2026-05-01T08:00`, seconds optional) as local time here.
    pub fn parse_local(&self, text: &str) -> Option<UtcMs> {
        let at: civil::DateTime = text.parse().ok()?;
        let zoned = self.zone.to_ambiguous_zoned_datetime(at).compatible().ok()?;
        Some(UtcMs(zoned.timestamp().as_millisecond()))
    }
    /// Civil date and time as a form field wants it: `2026-05-01T08:00`.
    pub fn input_text(&self, at: UtcMs) -> String {
        self.local_text(at).replace(' ', "T")
    }
}
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.name)
    }
}
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        Zone::parse(&name)
            .ok_or_else(|| de::Error::custom("a time zone is an IANA name, such as Europe/Paris"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn days_have_23_or_25_hours_where_clocks_change() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-01", 24)] {
            let day = Day::parse(day).unwrap();
            let length = paris.day_start(Day(day.0 + 1)).0 - paris.day_start(day).0;
            assert_eq!(length, hours * HOUR_MS, "{day}");
            assert_eq!(paris.day(paris.day_start(day)), day);
            assert_eq!(paris.day(UtcMs(paris.day_start(day).0 - 1)), Day(day.0 - 1));
        }
    }
    #[test]
    fn hour_of_week_counts_from_monday() {
        let at = UtcMs::parse("2026-11-23T21:30:00Z").unwrap();
        assert_eq!(Zone::utc().hour_of_week(at), HourOfWeek(21));
        assert_eq!(Zone::parse("Europe/Paris").unwrap().hour_of_week(at), HourOfWeek(22));
        assert_eq!(Day::parse("2026-11-23").unwrap().to_string(), "2026-11-23");
    }
}
