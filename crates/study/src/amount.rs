//! Amounts as intervals: what an archive says is rarely a figure, mostly two bounds.
//!
//! A published value is `[lower, upper]` in micros (millionths of a currency unit) or in counts; an
//! upper bound may be unknown. Sums are interval sums in 128 bits. Refuses floating point, and refuses
//! to guess: a text that is no amount is an error with its reason.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One currency unit in micros.
pub const UNIT: i64 = 1_000_000;

/// ISO 4217 code, three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(pub [u8; 3]);

impl Currency {
    /// Reads three letters, in either case.
    pub fn parse(text: &str) -> Option<Currency> {
        match text.trim().as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|x| x.is_ascii_alphabetic()) => {
                Some(Currency([a.to_ascii_uppercase(), b.to_ascii_uppercase(), c.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }
    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Currency::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a currency is three letters, such as EUR"))
    }
}
impl std::str::FromStr for Currency {
    type Err = String;
    fn from_str(text: &str) -> Result<Currency, String> {
        Currency::parse(text)
            .ok_or_else(|| format!("{text:?} is not a currency; write three letters, such as EUR"))
    }
}

/// One published amount: bounds in micros (money) or in plain counts (impressions). `lower <= upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Amount {
    /// Smallest possible value.
    pub lower: i64,
    /// Largest possible value; `None` when the archive does not say.
    pub upper: Option<i64>,
}

impl Amount {
    /// Exactly this.
    pub fn exact(value: i64) -> Amount {
        Amount { lower: value, upper: Some(value) }
    }
    /// Nothing was said.
    pub const UNSTATED: Amount = Amount { lower: 0, upper: None };
}

/// How the source turns a true amount into the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Rule {
    /// Published to the last unit.
    Exact,
    /// Published to the last whole unit, small amounts as "at most 100".
    Capped,
    /// Published in steps.
    Step {
        /// Size of a step in micros.
        step_micros: i64,
        /// Direction of the rounding.
        rounding: Rounding,
    },
    /// Published as a range per ad.
    Range,
    /// Only the lower bound is published.
    LowerOnly,
}

/// Direction in which a source rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// The source does not say: a published value may be a whole step too high or too low.
    Unknown,
    /// To the nearest step: half a step either way.
    Nearest,
    /// Down to the step.
    Down,
    /// Up to the step.
    Up,
}

impl Rule {
    /// By how much the true value may lie below and above a published one, in micros.
    pub fn slack(self) -> (i64, i64) {
        match self {
            Rule::Step { step_micros, rounding } => match rounding {
                Rounding::Unknown => (step_micros, step_micros),
                Rounding::Nearest => (step_micros / 2, step_micros / 2),
                Rounding::Down => (0, step_micros),
                Rounding::Up => (step_micros, 0),
            },
            _ => (0, 0),
        }
    }
    /// The rule in one sentence, for a methods paragraph.
    pub fn sentence(self) -> String {
        match self {
            Rule::Exact => "amounts are published exactly".into(),
            Rule::Capped => {
                "amounts are published in whole units (rounding rule unknown, at most one unit a row, not widened); \
                 \"at most N\" is read as the interval from 0 to N"
                    .into()
            }
            Rule::Step { step_micros, rounding } => {
                let step = money(i128::from(step_micros));
                match rounding {
                    Rounding::Unknown => format!(
                        "amounts are published in steps of {step}; the rounding rule is unknown, so each published value may be up to {step} too high or too low"
                    ),
                    Rounding::Nearest => format!("amounts are rounded to the nearest {step}"),
                    Rounding::Down => format!("amounts are rounded down to {step}"),
                    Rounding::Up => format!("amounts are rounded up to {step}"),
                }
            }
            Rule::Range => "amounts are published as a range for each ad".into(),
            Rule::LowerOnly => "only lower bounds are published; upper bounds are unknown".into(),
        }
    }
    /// The wider of two rules when one store answer mixes them; used for wording only.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Exact => "exact",
            Rule::Capped => "capped",
            Rule::Step { .. } => "step",
            Rule::Range => "range",
            Rule::LowerOnly => "lower_only",
        }
    }
}

/// A sum of amounts: the sum of what was published, and the bounds of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum {
    /// Sum of published lower values (the figure one would read off the archive).
    pub published: i128,
    /// Smallest possible true sum.
    pub lower: i128,
    /// Largest possible true sum over the rows whose upper bound is known.
    pub upper: i128,
    /// Rows whose upper bound is unknown; above zero the upper bound of the sum is unknown.
    pub unknown_count: u64,
    /// Rows summed.
    pub rows_count: u64,
}

impl Sum {
    /// Adds a published amount with a rule's slack (see [`Rule::slack`]); counts as bounded below by 0.
    #[inline]
    pub fn add(&mut self, amount: Amount, slack: (i64, i64)) {
        self.published += i128::from(amount.lower);
        self.lower += i128::from((amount.lower - slack.0.min(amount.lower)).max(0));
        match amount.upper {
            Some(upper) => self.upper += i128::from(upper) + i128::from(slack.1),
            None => self.unknown_count += 1,
        }
        self.rows_count += 1;
    }
    /// Adds another sum.
    pub fn merge(&mut self, other: &Sum) {
        self.published += other.published;
        self.lower += other.lower;
        self.upper += other.upper;
        self.unknown_count += other.unknown_count;
        self.rows_count += other.rows_count;
    }
    /// The upper bound, or `None` when some row's is unknown.
    pub fn upper(&self) -> Option<i128> {
        (self.unknown_count == 0).then_some(self.upper)
    }
    /// Whether the truth is known to the unit.
    pub fn is_exact(&self) -> bool {
        self.upper() == Some(self.lower)
    }
}

/// Why a text is no amount.
pub type Refusal = &'static str;

/// Largest amount accepted, in whole units: a thousand million million.
const UNITS_MAX: i128 = 1_000_000_000_000;

/// Reads a published amount: `1234`, `1,234.50`, `≤100`, `<=100`, `<100`, `>1M`, `100-499`, `10k-100k`.
/// `scale` is 1,000,000 for money (the result in micros) and 1 for counts. Never negative.
pub fn parse_amount(text: &str, scale: i64) -> Result<Amount, Refusal> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && text.len() <= 12 {
        let value = text.bytes().fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'));
        return Ok(Amount::exact(value * scale));
    }
    if text.is_empty() {
        return Err("the amount is empty");
    }
    // No notation without names is so long and begins with a letter, brace or quotation mark.
    if text.len() > 12
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && let Some(bounds) = named_bounds(text, scale)
    {
        return bounds;
    }
    for (sign, upper) in
        [("≤", true), ("<=", true), ("&le;", true), ("<", true), ("≥", false), (">=", false), (">", false)]
    {
        if let Some(rest) = text.strip_prefix(sign) {
            let value = number(rest, scale)?;
            return Ok(if upper {
                Amount { lower: 0, upper: Some(value) }
            } else {
                Amount { lower: value, upper: None }
            });
        }
    }
    if let Some(at) = text.find(['-', '–', '—']).filter(|at| *at > 0) {
        let width = text[at..].chars().next().map_or(1, char::len_utf8);
        let (lower, upper) = (number(&text[..at], scale)?, number(&text[at + width..], scale)?);
        if lower > upper {
            return Err("the range's lower bound is above its upper bound");
        }
        return Ok(Amount { lower, upper: Some(upper) });
    }
    if let Some(lower) = text.strip_suffix('+') {
        return Ok(Amount { lower: number(lower, scale)?, upper: None });
    }
    number(text, scale).map(Amount::exact)
}

/// Bounds by name, as exports write them into one field: `lower_bound: 100, upper_bound: 199`, with or without braces
/// and quotation marks; the upper may be missing.
fn named_bounds(text: &str, scale: i64) -> Option<Result<Amount, Refusal>> {
    let after = |name: &str| {
        let rest = &text[text.find(name)? + name.len()..];
        let is_value = |c: char| c.is_ascii_digit() || c == '.';
        let rest = rest.trim_start_matches(['"', '\'', ':', ' ', '=']);
        Some(&rest[..rest.find(|c| !is_value(c)).unwrap_or(rest.len())])
    };
    let lower = after("lower_bound");
    let upper = after("upper_bound").filter(|t| !t.is_empty());
    if lower.is_none() && upper.is_none() {
        return None;
    }
    let read = || {
        let lower = lower.filter(|t| !t.is_empty()).map_or(Ok(0), |t| number(t, scale))?;
        let upper = upper.map(|t| number(t, scale)).transpose()?;
        if upper.is_some_and(|u| u < lower) {
            return Err("the range's lower bound is above its upper bound");
        }
        Ok(Amount { lower, upper })
    };
    Some(read())
}

/// Reads one non-negative decimal number with optional currency signs, separators and k, M, B.
fn number(text: &str, scale: i64) -> Result<i64, Refusal> {
    let text = without_currency(text);
    if text.starts_with('-') || text.starts_with('(') {
        return Err("the amount is negative");
    }
    let (text, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'b' | 'B')) => (&text[..at], 1_000_000_000),
        _ => (text, 1i128),
    };
    let text = text.trim_end();
    let joined;
    let text = if text.contains(SPACES) {
        joined = joined_groups(text)?;
        joined.as_str()
    } else {
        text
    };
    let (whole, part) = split_decimal(text)?;
    let mut value = 0i128;
    for byte in whole.bytes().filter(|b| b.is_ascii_digit()) {
        value = value * 10 + i128::from(byte - b'0');
        if value > UNITS_MAX * 1_000 {
            return Err("the amount is too large to be one");
        }
    }
    let mut micros = value * i128::from(scale) * factor;
    let mut place = i128::from(scale) * factor;
    for byte in part.bytes() {
        place /= 10;
        micros += i128::from(byte - b'0') * place;
        if place == 0 && byte != b'0' && scale == 1 {
            return Err("a count has a fraction");
        }
    }
    if micros > UNITS_MAX * i128::from(scale) {
        return Err("the amount is too large to be one");
    }
    i64::try_from(micros).map_err(|_| "the amount is too large to be one")
}

/// Signs of money beside a number.
const SIGNS: [char; 9] = ['$', '€', '£', '₹', '¥', '₪', '₩', ' ', '\u{a0}'];
/// Marks that some countries put between thousands.
const SPACES: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\'', '’'];

/// Without signs of money and codes of three capitals (`US$ 100`, `100 EUR`), before or behind.
fn without_currency(text: &str) -> &str {
    let mut text = text.trim().trim_matches(SIGNS);
    let code = |t: &str| t.len() == 3 && t.bytes().all(|b| b.is_ascii_uppercase());
    if let Some(rest) = text.get(..3).filter(|t| code(t)).and(text.get(3..)) {
        text = rest;
    }
    if let Some(at) = text.len().checked_sub(3)
        && text.get(at..).is_some_and(code)
    {
        text = &text[..at];
    }
    for sign in ["US$", "CA$", "A$", "C$", "R$"] {
        text = text.strip_prefix(sign).unwrap_or(text);
    }
    text.trim_matches(SIGNS)
}

/// `1 234 567` without its gaps; groups must be of three digits.
fn joined_groups(text: &str) -> Result<String, Refusal> {
    let mut groups = text.split(SPACES);
    let mut joined = groups.next().unwrap_or("").to_owned();
    for group in groups {
        let digits = group.split([',', '.']).next().unwrap_or("");
        if digits.len() != 3 || joined.is_empty() || joined.contains([',', '.']) {
            return Err("the amount is not a number");
        }
        joined.push_str(group);
    }
    Ok(joined)
}

/// Splits into whole digits (separators checked) and decimals.
fn split_decimal(text: &str) -> Result<(&str, &str), Refusal> {
    const BAD: Refusal = "the amount is not a number";
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.')) {
        return Err(BAD);
    }
    let last = text.rfind([',', '.']);
    let Some(at) = last else { return Ok((text, "")) };
    let mark = text.as_bytes()[at];
    let other = if mark == b',' { b'.' } else { b',' };
    let is_grouped = text[at + 1..].len() == 3 && at > 0 && (mark == b',' || text.matches('.').count() > 1);
    let (whole, part) = if is_grouped && !text.as_bytes().contains(&other) {
        (text, "")
    } else {
        (&text[..at], &text[at + 1..])
    };
    let separators = whole.bytes().filter(|b| !b.is_ascii_digit()).count();
    let mut groups = whole.split([',', '.']);
    let first_ok = groups.next().is_some_and(|g| !g.is_empty() || (separators == 0 && !part.is_empty()));
    let mixed = whole.contains(',') && whole.contains('.');
    if !first_ok || mixed || groups.any(|g| g.len() != 3) || part.contains([',', '.']) {
        return Err(BAD);
    }
    Ok((whole, part))
}

/// Shows micros as units with thousands separators, cents only where there are any: `617,700`, `12.34`.
pub fn money(micros: i128) -> String {
    let unit = i128::from(UNIT);
    let (whole, part) = (micros.abs() / unit, micros.abs() % unit);
    let sign = if micros < 0 { "-" } else { "" };
    let cents = (part + 5_000) / 10_000;
    let (whole, cents) = if cents == 100 { (whole + 1, 0) } else { (whole, cents) };
    if cents == 0 {
        format!("{sign}{}", thousands(whole))
    } else {
        format!("{sign}{}.{cents:02}", thousands(whole))
    }
}

/// Shows an integer with thousands separators.
pub fn thousands(value: i128) -> String {
    let digits = value.abs().to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(i64, Option<i64>), Refusal> {
        parse_amount(text, UNIT).map(|a| (a.lower, a.upper))
    }

    #[test]
    fn reads_every_notation_of_the_archives() {
        let u = |n: i64| n * UNIT;
        for (text, want) in [
            ("1234", (u(1234), Some(u(1234)))),
            ("0", (0, Some(0))),
            (" 1,234 ", (u(1234), Some(u(1234)))),
            ("1,234,567.89", (1_234_567_890_000, Some(1_234_567_890_000))),
            ("1.234,50", (1_234_500_000, Some(1_234_500_000))),
            ("12.5", (12_500_000, Some(12_500_000))),
            ("12,5", (12_500_000, Some(12_500_000))),
            ("161.23", (161_230_000, Some(161_230_000))),
            (".5", (500_000, Some(500_000))),
            ("≤100", (0, Some(u(100)))),
            ("<=100", (0, Some(u(100)))),
            ("<100", (0, Some(u(100)))),
            ("≤ 10k", (0, Some(u(10_000)))),
            ("> 10M", (u(10_000_000), None)),
            ("100-499", (u(100), Some(u(499)))),
            ("10k-100k", (u(10_000), Some(u(100_000)))),
            ("$1,000", (u(1000), Some(u(1000)))),
            ("$100-$199", (u(100), Some(u(199)))),
            ("€100 - €499", (u(100), Some(u(499)))),
            (">€50000", (u(50_000), None)),
            ("US$ 1,000", (u(1000), Some(u(1000)))),
            ("USD 100–199", (u(100), Some(u(199)))),
            ("1 234 567,50 €", (1_234_567_500_000, Some(1_234_567_500_000))),
            ("1\u{202f}000", (u(1000), Some(u(1000)))),
            ("12'500.25 CHF", (12_500_250_000, Some(12_500_250_000))),
            ("1M+", (u(1_000_000), None)),
            ("lower_bound: 100, upper_bound: 199", (u(100), Some(u(199)))),
            ("{'lower_bound': '1000000'}", (u(1_000_000), None)),
            ("{\"lower_bound\":\"0\",\"upper_bound\":\"99\"}", (0, Some(u(99)))),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in [
            "",
            "abc",
            "-5",
            "1-",
            "--",
            "1,23,4",
            "1.2.3",
            "1e9",
            "NaN",
            "499-100",
            "≤",
            "99999999999999999999",
            "1,2.3,4",
            "１２",
            "1 23",
            "12 3456",
            "lower_bound: 5, upper_bound: 3",
            "+",
        ] {
            assert!(read(text).is_err(), "{text} gave {:?}", read(text));
        }
    }

    #[test]
    fn shows_money() {
        assert_eq!(money(617_700_000_000), "617,700");
        assert_eq!(money(-12_345_678), "-12.35");
        assert_eq!(money(999_999), "1");
    }

    #[test]
    fn sums_are_interval_sums() {
        let mut sum = Sum::default();
        sum.add(Amount { lower: 0, upper: Some(100) }, (0, 0));
        sum.add(Amount::exact(50), (100, 100));
        assert_eq!((sum.published, sum.lower, sum.upper()), (50, 0, Some(250)));
        sum.add(Amount { lower: 7, upper: None }, (0, 0));
        assert_eq!(sum.upper(), None);
    }
}
