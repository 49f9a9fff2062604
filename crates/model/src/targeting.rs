//! Targeting: which requests an ad set may serve. A conjunction of clauses, each IN or NOT IN over one dimension.
//!
//! Law P1 lives in [`Dimension::political`]: which dimensions an ad set of a political campaign may name.

use crate::{Faults, Zone, limits::*};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// What a clause looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// ISO 3166-1 alpha-2 code, capital letters.
    Country,
    /// ISO 3166-2 code (`FR-IDF`).
    Region,
    /// City name as in the MaxMind database, lower case.
    City,
    /// BCP 47 primary language, lower case.
    Language,
    /// `desktop`, `phone`, `tablet`, `tv` or `other`.
    Device,
    /// Age band of the visitor ([`AGE_BANDS`]), where the request proves the consent [`AGE_BAND_CONSENT`].
    AgeBand,
    /// Operating system family, lower case.
    Os,
    /// Browser family, lower case.
    Browser,
    /// Hours of the week in the clause's zone.
    HourOfWeek,
    /// Site id.
    Site,
    /// Placement id.
    Placement,
    /// Page URL pattern, `*` standing for any characters.
    PageUrl,
    /// Page keyword, lower case.
    Keyword,
    /// Page topic, lower case.
    Topic,
    /// Publisher's own segment id.
    Segment,
    /// A publisher's key-value, by key.
    Key(String),
}

/// Age bands, in years.
pub const AGE_BANDS: [&str; 7] = ["13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+"];
/// Name of the consent without which an age band is not read.
pub const AGE_BAND_CONSENT: &str = "age_band";

/// How a dimension may be used for a political ad (law P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Political {
    /// Page, placement, language, time, device class: always.
    Allowed,
    /// Country and region: where the publisher has switched location on after its own review.
    WhereSwitchedOn,
    /// A key-value that the publisher has declared to describe the page, not the visitor.
    WherePageKey,
    /// Anything that describes the person or their machine: never.
    Never,
}

impl Dimension {
    /// Law P1 for this dimension.
    pub fn political(&self) -> Political {
        match self {
            Dimension::Language | Dimension::Device | Dimension::HourOfWeek | Dimension::Site => {
                Political::Allowed
            }
            Dimension::Placement | Dimension::PageUrl | Dimension::Keyword | Dimension::Topic => {
                Political::Allowed
            }
            Dimension::Country | Dimension::Region => Political::WhereSwitchedOn,
            Dimension::Key(_) => Political::WherePageKey,
            Dimension::City
            | Dimension::AgeBand
            | Dimension::Os
            | Dimension::Browser
            | Dimension::Segment => Political::Never,
        }
    }
}

const PLAIN: [(&str, Dimension); 15] = [
    ("country", Dimension::Country),
    ("region", Dimension::Region),
    ("city", Dimension::City),
    ("language", Dimension::Language),
    ("device", Dimension::Device),
    ("age_band", Dimension::AgeBand),
    ("os", Dimension::Os),
    ("browser", Dimension::Browser),
    ("hour_of_week", Dimension::HourOfWeek),
    ("site", Dimension::Site),
    ("placement", Dimension::Placement),
    ("page_url", Dimension::PageUrl),
    ("keyword", Dimension::Keyword),
    ("topic", Dimension::Topic),
    ("segment", Dimension::Segment),
];

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dimension::Key(key) => write!(f, "key:{key}"),
            other => f.write_str(PLAIN.iter().find(|(_, d)| d == other).map_or("?", |(name, _)| name)),
        }
    }
}
/// The text named no dimension.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown targeting dimension; known are country, region, city, language, device, age_band, os, browser, hour_of_week, site, placement, page_url, keyword, topic, segment and key:NAME"
)]
pub struct DimensionError;
impl FromStr for Dimension {
    type Err = DimensionError;
    fn from_str(text: &str) -> Result<Self, DimensionError> {
        if let Some(key) = text.strip_prefix("key:") {
            let fits = !key.is_empty()
                && key.len() <= 64
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            return if fits { Ok(Dimension::Key(key.to_owned())) } else { Err(DimensionError) };
        }
        PLAIN.iter().find(|(name, _)| *name == text).map(|(_, d)| d.clone()).ok_or(DimensionError)
    }
}
impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Must be among the values, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// At least one of the request's values is listed. A request without a value does not match.
    In,
    /// None of the request's values is listed. A request without a value matches.
    NotIn,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// What is looked at.
    pub dimension: Dimension,
    /// In or not in.
    pub op: Op,
    /// The listed values, normalised by [`Targeting::check`]. Hours of the week are `mon 08-18`
    /// (from 08:00 to 17:59), `mon-fri 8-18`, or `sat`.
    pub values: Vec<String>,
    /// Zone of `hour_of_week`; the account's zone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

/// All clauses must hold; none at all means every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Targeting {
    /// The conditions.
    pub clauses: Vec<Clause>,
}

impl Targeting {
    /// Normalises the values and adds every fault found under `field`.
    pub fn check(&mut self, field: &str, faults: &mut Faults) {
        let count = self.clauses.len();
        faults.when(
            count > CLAUSES_COUNT_MAX,
            field,
            "too_many",
            format!("At most {CLAUSES_COUNT_MAX} conditions; this has {count}."),
        );
        for (index, clause) in self.clauses.iter_mut().enumerate() {
            clause.check(&format!("{field}[{index}]"), faults);
        }
    }
}

impl Clause {
    fn check(&mut self, field: &str, faults: &mut Faults) {
        let at = format!("{field}.values");
        let count = self.values.len();
        faults.when(count == 0, &at, "missing", "List at least one value, or remove the condition.");
        faults.when(
            count > CLAUSE_VALUES_COUNT_MAX,
            &at,
            "too_many",
            format!("At most {CLAUSE_VALUES_COUNT_MAX} values; this has {count}."),
        );
        let zone_fits = self.zone.is_none() || self.dimension == Dimension::HourOfWeek;
        faults.when(
            !zone_fits,
            format!("{field}.zone"),
            "contradiction",
            "Only hour_of_week has a time zone.",
        );
        for (index, value) in self.values.iter_mut().enumerate() {
            match normalise(&self.dimension, value) {
                Ok(good) => *value = good,
                Err(why) => faults.add(format!("{at}[{index}]"), "malformed", why),
            }
        }
    }
    /// The hours that an `hour_of_week` clause lists; index 0 is Monday 00:00. Malformed values list nothing.
    pub fn hours(&self) -> [bool; 168] {
        let mut hours = [false; 168];
        for value in &self.values {
            for hour in parse_hours(value).unwrap_or_default() {
                hours[hour] = true;
            }
        }
        hours
    }
}

fn normalise(dimension: &Dimension, value: &str) -> Result<String, String> {
    let value = value.trim();
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(format!("A value has 1 to {VALUE_BYTES_MAX} bytes."));
    }
    let lower = value.to_lowercase();
    let among = |known: &[&str], what: &str| {
        if known.contains(&lower.as_str()) {
            Ok(lower.clone())
        } else {
            Err(format!("{what}: one of {}.", known.join(", ")))
        }
    };
    match dimension {
        Dimension::Country => {
            let code = value.to_ascii_uppercase();
            let fits = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
            if fits { Ok(code) } else { Err("A country is two letters (ISO 3166-1), such as FR.".into()) }
        }
        Dimension::Region => {
            let code = value.to_ascii_uppercase();
            let fits = code.len() >= 4 && code.len() <= 6 && code.as_bytes()[2] == b'-';
            if fits { Ok(code) } else { Err("A region is an ISO 3166-2 code, such as FR-IDF.".into()) }
        }
        Dimension::Language => {
            let fits = (2..=3).contains(&lower.len()) && lower.bytes().all(|b| b.is_ascii_lowercase());
            if fits { Ok(lower) } else { Err("A language is two or three letters, such as fr.".into()) }
        }
        Dimension::Device => among(&["desktop", "phone", "tablet", "tv", "other"], "A device class is"),
        Dimension::AgeBand => among(&AGE_BANDS, "An age band is"),
        Dimension::HourOfWeek => parse_hours(&lower)
            .map(|_| lower)
            .ok_or("Hours are written such as \"mon 08-18\", \"mon-fri 8-18\" or \"sat\".".into()),
        Dimension::Site => value.parse::<crate::SiteId>().map(|id| id.to_string()).map_err(|e| e.to_string()),
        Dimension::Placement => {
            value.parse::<crate::PlacementId>().map(|id| id.to_string()).map_err(|e| e.to_string())
        }
        Dimension::Segment => {
            value.parse::<crate::SegmentId>().map(|id| id.to_string()).map_err(|e| e.to_string())
        }
        Dimension::PageUrl | Dimension::Key(_) => Ok(value.to_owned()),
        Dimension::City | Dimension::Os | Dimension::Browser | Dimension::Keyword | Dimension::Topic => {
            Ok(lower)
        }
    }
}

fn parse_hours(text: &str) -> Option<Vec<usize>> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |name: &str| DAYS.iter().position(|d| *d == name);
    let mut parts = text.split_whitespace();
    let (first, last) = match parts.next()?.split_once('-') {
        Some((a, b)) => (day(a)?, day(b)?),
        None => text.split_whitespace().next().and_then(day).map(|d| (d, d))?,
    };
    let (from, to) = match parts.next() {
        None => (0, 24),
        Some(span) => {
            let (a, b) = span.split_once('-')?;
            (a.parse::<usize>().ok()?, b.parse::<usize>().ok()?)
        }
    };
    if parts.next().is_some() || from >= to || to > 24 || first > last {
        return None;
    }
    Some((first..=last).flat_map(|d| (from..to).map(move |h| d * 24 + h)).collect())
}

/// Whether `text` fits `pattern`, where `*` stands for any run of characters. Linear in time.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut pi, mut ti, mut star, mut mark) = (0, 0, None, 0);
    while ti < t.len() {
        if pi < p.len() && p[pi] == b'*' {
            star = Some(pi);
            mark = ti;
            pi += 1;
        } else if pi < p.len() && p[pi] == t[ti] {
            pi += 1;
            ti += 1;
        } else if let Some(back) = star {
            pi = back + 1;
            mark += 1;
            ti = mark;
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn hours_are_read() {
        assert_eq!(parse_hours("mon 0-2"), Some(vec![0, 1]));
        assert_eq!(parse_hours("sun").map(|h| h.len()), Some(24));
        assert_eq!(parse_hours("mon-fri 08-18").map(|h| h.len()), Some(50));
        for bad in ["", "mon 8-8", "mon 20-25", "fri-mon", "xx", "mon 1-2 3"] {
            assert_eq!(parse_hours(bad), None, "{bad}");
        }
    }
    #[test]
    fn globs_match() {
        for (pattern, text, want) in [
            ("https://a.example/*", "https://a.example/x", true),
            ("*sport*", "https://a.example/sport/1", true),
            ("*sport", "https://a.example/sport/1", false),
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
        ] {
            assert_eq!(glob_matches(pattern, text), want, "{pattern} {text}");
        }
    }
    #[test]
    fn every_value_fault_is_named() {
        let json = r#"[{"dimension":"country","op":"in","values":["fr","Germany"]},{"dimension":"device","op":"not_in","values":["toaster"]}]"#;
        let mut targeting: Targeting = serde_json::from_str(json).unwrap();
        let mut faults = Faults::new();
        targeting.check("targeting", &mut faults);
        let fields: Vec<_> = faults.0.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["targeting[0].values[1]", "targeting[1].values[0]"]);
        assert_eq!(targeting.clauses[0].values[0], "FR");
    }
}
