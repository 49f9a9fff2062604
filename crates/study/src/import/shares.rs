//! Shares of an ad by region or by age and gender, as Meta's API publishes them, made into amounts.
//!
//! A share is of the people an ad reached, published to so many decimals, and the amount it is taken of is a range:
//! the result is an interval, the range's lower bound times the share's and its upper times the share's. That money
//! falls as reach does is an assumption and stands beside every such figure. Refuses shares that are none.

use super::json::{Ad, Checked, JsonRun, Pass, read_ad, text};
use crate::amount::Amount;
use crate::error::Result;
use crate::store::Writer;
use serde_json::Value;

/// What stands beside every amount made from shares.
pub const NOTE: &str = "amounts by region, age and gender are an ad's range times its published share of the people \
     reached; how the money itself fell is not published";
/// One whole, in the unit of shares: a thousandth of a millionth.
const WHOLE: i128 = 1_000_000_000;
/// People reached in the European Union, by country, age and gender.
const REACHED: &str = "age_country_gender_reach_breakdown";
/// Most shares of one ad.
const SHARES_MAX: usize = 10_000;

/// Lower and upper bound, in parts of [`WHOLE`].
type Share = (i128, i128);

/// Whether an ad has shares for a pass.
pub(super) fn has(ad: &Value, pass: Pass) -> bool {
    let keys: &[&str] = match pass {
        Pass::Ads => return true,
        Pass::Regions => &["delivery_by_region", "region_distribution", REACHED],
        Pass::Audience => &["demographic_distribution", REACHED],
    };
    list(ad, keys).is_some_and(|list| !list.is_empty())
}

/// Stores the shares of an ad; an ad without shares, or one that is kept aside already, stores nothing.
pub(super) fn store(value: &Value, run: &JsonRun<'_>, writer: &mut Writer<'_>) -> Result<Checked> {
    let Ok(ad) = read_ad(value, run) else { return Ok(Ok(())) };
    let shares = match run.pass {
        Pass::Regions => by_region(value),
        _ => by_audience(value),
    };
    let shares = match shares {
        Ok(shares) => shares,
        Err(reason) => return Ok(Err(format!("shares: {reason}"))),
    };
    for (group, share) in &shares {
        let spend = ad.spend.map_or(Amount::UNSTATED, |spend| of(spend, *share));
        push(&ad, group, spend, of(ad.views, *share), writer)?;
    }
    Ok(Ok(()))
}

fn push(ad: &Ad, group: &str, spend: Amount, views: Amount, writer: &mut Writer<'_>) -> Result<()> {
    writer.push(&ad.fact(group, &ad.item, spend, views, 1))
}

/// A share of an amount, rounded outwards.
fn of(amount: Amount, share: Share) -> Amount {
    let part = |value: i64, share: i128, add: i128| {
        i64::try_from((i128::from(value) * share + add) / WHOLE).unwrap_or(i64::MAX)
    };
    Amount {
        lower: part(amount.lower, share.0, 0),
        upper: amount.upper.map(|upper| part(upper, share.1, WHOLE - 1)),
    }
}

/// A published share such as `0.002039`, or `12.5%`: between half a step below and half a step above.
fn share(value: &Value) -> std::result::Result<Share, &'static str> {
    let text = text(value);
    let (text, percent) = match text.strip_suffix('%') {
        Some(text) => (text.trim(), 100),
        None => (text.as_str(), 1),
    };
    // JSON numbers may come in powers of ten: a share below a millionth.
    let (text, shift) = match text.split_once(['e', 'E']) {
        Some((text, power)) => (text, power.parse::<i32>().map_err(|_| "a share is no number")?),
        None => (text, 0),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || digits.len() > 27 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("a share is no number");
    }
    let decimals = i32::try_from(part.len()).unwrap_or(i32::MAX).saturating_sub(shift);
    if !(0..=27).contains(&decimals) {
        return Err("a share is no number");
    }
    let value: i128 = digits.parse().map_err(|_| "a share is no number")?;
    // Twice the value, so that half a step is a whole number.
    let unit = 10i128.pow(decimals as u32).saturating_mul(2 * percent);
    let scaled = |twice: i128, add: i128| (twice.max(0).saturating_mul(WHOLE) + add) / unit;
    let (lower, upper) = (scaled(value * 2 - 1, 0), scaled(value * 2 + 1, unit - 1));
    if value == 0 {
        return Ok((0, upper.min(WHOLE)));
    }
    if lower > WHOLE {
        return Err("a share is more than the whole");
    }
    Ok((lower.min(WHOLE), upper.min(WHOLE)))
}

type Shares = Vec<(String, Share)>;

fn list<'v>(ad: &'v Value, keys: &[&str]) -> Option<&'v Vec<Value>> {
    keys.iter().find_map(|key| ad.get(key).and_then(Value::as_array)).filter(|l| l.len() <= SHARES_MAX)
}

fn by_region(ad: &Value) -> std::result::Result<Shares, &'static str> {
    if let Some(list) = list(ad, &["delivery_by_region", "region_distribution"]) {
        return list.iter().map(|v| Ok((named(v, "region")?, share(percentage(v))?))).collect();
    }
    let groups = reached(ad)?;
    Ok(as_shares(groups.into_iter().map(|(country, _, count)| (country, count))))
}

fn by_audience(ad: &Value) -> std::result::Result<Shares, &'static str> {
    if let Some(list) = list(ad, &["demographic_distribution"]) {
        let one = |v: &Value| -> std::result::Result<(String, Share), &'static str> {
            Ok((format!("{} {}", named(v, "gender")?, named(v, "age")?), share(percentage(v))?))
        };
        return list.iter().map(one).collect();
    }
    let groups = reached(ad)?;
    Ok(as_shares(groups.into_iter().map(|(_, group, count)| (group, count))))
}

fn percentage(value: &Value) -> &Value {
    value.get("percentage").unwrap_or(&Value::Null)
}
fn named(value: &Value, key: &str) -> std::result::Result<String, &'static str> {
    let name = value.get(key).map(text).unwrap_or_default();
    if name.is_empty() { Err("a share is of nothing named") } else { Ok(name) }
}

/// Counts of people in the European Union (2023 on): country, group, number.
fn reached(ad: &Value) -> std::result::Result<Vec<(String, String, i128)>, &'static str> {
    let mut found = Vec::new();
    for country in list(ad, &[REACHED]).into_iter().flatten() {
        let name = named(country, "country")?;
        for row in country.get("age_gender_breakdowns").and_then(Value::as_array).into_iter().flatten() {
            let age = named(row, "age_range")?;
            for gender in ["male", "female", "unknown"] {
                let count = row.get(gender).and_then(Value::as_i64).unwrap_or(0);
                if count < 0 {
                    return Err("a number of people is negative");
                }
                if count > 0 {
                    found.push((name.clone(), format!("{gender} {age}"), i128::from(count)));
                }
            }
        }
    }
    Ok(found)
}

/// Counts as exact shares of their sum.
fn as_shares(counts: impl Iterator<Item = (String, i128)>) -> Shares {
    let mut sums: std::collections::BTreeMap<String, i128> = Default::default();
    counts.for_each(|(name, count)| *sums.entry(name).or_default() += count);
    let total: i128 = sums.values().sum::<i128>().max(1);
    sums.into_iter().map(|(name, n)| (name, (n * WHOLE / total, (n * WHOLE + total - 1) / total))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_are_intervals_of_half_a_step() {
        assert_eq!(share(&json!("0.002039")), Ok((2_038_500, 2_039_500)));
        assert_eq!(share(&json!(0.5)), Ok((450_000_000, 550_000_000)));
        assert_eq!(share(&json!("12.5%")), Ok((124_500_000, 125_500_000)));
        assert_eq!(share(&json!(1e-6)), Ok((500, 1_500)));
        assert_eq!(share(&json!("1")), Ok((500_000_000, WHOLE)));
        for wrong in [json!("x"), json!(null), json!("-0.1"), json!("7.5"), json!("")] {
            assert!(share(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_rounded_outwards_and_unknown_stays_unknown() {
        let range = Amount { lower: 300_000_000, upper: Some(399_000_000) };
        let half = of(range, (WHOLE / 2, WHOLE / 2 + 1));
        assert_eq!((half.lower, half.upper), (150_000_000, Some(199_500_001)));
        assert_eq!(of(Amount { lower: 7, upper: None }, (1, WHOLE)).upper, None);
    }

    #[test]
    fn reach_in_the_union_becomes_shares() {
        let ad = json!({ "age_country_gender_reach_breakdown": [
            { "country": "NL", "age_gender_breakdowns": [{ "age_range": "18-24", "male": 1, "female": 2 }] },
            { "country": "BE", "age_gender_breakdowns": [{ "age_range": "18-24", "unknown": 1 }] } ] });
        let regions = by_region(&ad).unwrap();
        assert_eq!(
            regions,
            [("BE".into(), (250_000_000, 250_000_000)), ("NL".into(), (750_000_000, 750_000_000))]
        );
        assert_eq!(by_audience(&ad).unwrap().len(), 3);
    }
}
