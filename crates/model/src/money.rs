//! Money: integers with a currency. Every rounding has a name.
//!
//! * `Micros`: one millionth of a currency unit; what people book and read.
//! * `Nanos`: one thousandth of a micro (10^-9 of a unit); what accounts accrue, so that one
//!   impression at a price per thousand is exact: X micros per mille is X nanos an impression.
//!
//! Refuses floating point.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// ISO 4217 code, three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(pub [u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency(*b"EUR");
    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
    /// Digits after the decimal point on an invoice (ISO 4217 minor unit).
    pub fn minor_digits(&self) -> u32 {
        match &self.0 {
            b"JPY" | b"KRW" | b"VND" | b"CLP" | b"ISK" | b"UGX" | b"XAF" | b"XOF" | b"XPF" | b"PYG"
            | b"RWF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
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
/// The text was no ISO 4217 code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as EUR")]
pub struct CurrencyError;
impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|x| x.is_ascii_uppercase()) => Ok(Currency([*a, *b, *c])),
            _ => Err(CurrencyError),
        }
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Millionths of a currency unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The same amount in nanos; exact.
    pub fn to_nanos(self) -> Nanos {
        Nanos(i128::from(self.0) * 1_000)
    }
    /// Plain decimal text with the currency's minor digits, rounded half-even: `"12.50"`.
    pub fn display(self, currency: Currency) -> String {
        self.to_nanos().display(currency, currency.minor_digits())
    }
}

/// Thousandths of a micro: 10^-9 of a currency unit. Sums are `i128` and cannot overflow in practice;
/// additions are checked all the same where they meet a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub i128);

impl Nanos {
    /// Nothing.
    pub const ZERO: Nanos = Nanos(0);
    /// One currency unit in nanos.
    pub const UNIT: i128 = 1_000_000_000;
    /// Rounds once, half-even, to micros: only for an invoice line or a display.
    pub fn round_half_even_to_micros(self) -> Micros {
        Micros(i64::try_from(div_half_even(self.0, 1_000)).unwrap_or(i64::MAX))
    }
    /// Rounds down (towards minus infinity) to micros: only for a remaining amount that is shown.
    pub fn round_down_to_micros(self) -> Micros {
        Micros(i64::try_from(self.0.div_euclid(1_000)).unwrap_or(i64::MAX))
    }
    /// Rounds once, half-even, to the currency's minor unit (cents), as micros: an invoice total.
    pub fn round_half_even_to_minor(self, currency: Currency) -> Micros {
        let step = 10i128.pow(9 - currency.minor_digits());
        Micros(i64::try_from(div_half_even(self.0, step) * step / 1_000).unwrap_or(i64::MAX))
    }
    /// Decimal text with `digits` (0 to 9) places, rounded half-even.
    pub fn display(self, _currency: Currency, digits: u32) -> String {
        let digits = digits.min(9);
        let step = 10i128.pow(9 - digits);
        let scaled = div_half_even(self.0, step);
        let sign = if scaled < 0 { "-" } else { "" };
        let scale = 10i128.pow(digits);
        let (whole, part) = (scaled.abs() / scale, scaled.abs() % scale);
        if digits == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{part:0>width$}", width = digits as usize)
        }
    }
    /// The sum, or `None` when it would leave the range.
    pub fn checked_add(self, other: Nanos) -> Option<Nanos> {
        self.0.checked_add(other.0).map(Nanos)
    }
    /// The difference, or `None` when it would leave the range.
    pub fn checked_sub(self, other: Nanos) -> Option<Nanos> {
        self.0.checked_sub(other.0).map(Nanos)
    }
}
impl std::ops::Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0 + other.0)
    }
}
impl std::ops::AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        self.0 += other.0;
    }
}
impl std::ops::Sub for Nanos {
    type Output = Nanos;
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0 - other.0)
    }
}
impl std::iter::Sum for Nanos {
    fn sum<I: Iterator<Item = Nanos>>(iter: I) -> Nanos {
        Nanos(iter.map(|n| n.0).sum())
    }
}

/// Integer division that rounds half to even ("banker's rounding"); `divisor` above zero.
pub fn div_half_even(value: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (value.div_euclid(divisor), value.rem_euclid(divisor));
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// A dated exchange rate: how many nanos of the auction currency one whole unit of `currency` is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedRate {
    /// The currency that is converted.
    pub currency: Currency,
    /// Auction-currency value of one unit of `currency`, times 10^9; above zero.
    pub rate_nanos: i64,
    /// The day the rate was quoted, as `YYYY-MM-DD`.
    pub quoted_on: String,
}

impl DatedRate {
    /// One to one: the auction currency itself.
    pub const PAR: i64 = 1_000_000_000;
}

/// Converts an auction-currency amount back to the account's currency, rounded down in the payer's favour.
pub fn to_account_round_down(auction: Nanos, rate_nanos: i64) -> Nanos {
    Nanos((auction.0 * i128::from(DatedRate::PAR)).div_euclid(i128::from(rate_nanos.max(1))))
}
/// Converts an account-currency amount to the auction currency, rounded down.
pub fn to_auction_round_down(account: Nanos, rate_nanos: i64) -> Nanos {
    Nanos((account.0 * i128::from(rate_nanos)).div_euclid(i128::from(DatedRate::PAR)))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn half_even_rounds_ties_to_even() {
        for (value, want) in [(500, 0), (1500, 2), (2500, 2), (-500, 0), (-1500, -2), (1499, 1), (1501, 2)] {
            assert_eq!(div_half_even(value, 1000), want, "{value}");
        }
    }
    #[test]
    fn shows_minor_digits() {
        assert_eq!(Micros(12_500_000).display(Currency::EUR), "12.50");
        assert_eq!(Micros(-12_505_000).display(Currency::EUR), "-12.50");
        assert_eq!(Micros(7_000_000).display(Currency(*b"JPY")), "7");
    }
    #[test]
    fn conversion_never_favours_the_publisher() {
        let rate = 1_083_500_000;
        for nanos in [1i128, 999, 1_000_001, 123_456_789_012] {
            let there = to_auction_round_down(Nanos(nanos), rate);
            assert!(to_account_round_down(there, rate) <= Nanos(nanos));
        }
    }
}
