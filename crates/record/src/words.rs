//! Targeting and prices in plain words. Refuses to leave anything out: exclusions are said as such.

use regie_model::{
    Currency, Micros,
    booking::{Bid, CapPeriod, CapScope, FrequencyCap, Tier},
    targeting::{Clause, Dimension, Op, Targeting},
};

fn noun(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Country => "country".into(),
        Dimension::Region => "region".into(),
        Dimension::City => "city".into(),
        Dimension::Language => "language".into(),
        Dimension::Device => "device class".into(),
        Dimension::Os => "operating system".into(),
        Dimension::AgeBand => "age band".into(),
        Dimension::Browser => "browser".into(),
        Dimension::HourOfWeek => "hour of the week".into(),
        Dimension::Site => "site".into(),
        Dimension::Placement => "placement".into(),
        Dimension::PageUrl => "page address".into(),
        Dimension::Keyword => "page keyword".into(),
        Dimension::Topic => "page topic".into(),
        Dimension::Segment => "publisher's own audience segment".into(),
        Dimension::Key(key) => format!("the page's value \u{201c}{key}\u{201d}"),
    }
}

/// One condition: "device class is one of phone, tablet".
pub fn clause_in_words(clause: &Clause) -> String {
    let verb = match (clause.op, clause.values.len()) {
        (Op::In, 1) => "is",
        (Op::In, _) => "is one of",
        (Op::NotIn, 1) => "is not",
        (Op::NotIn, _) => "is none of",
    };
    let zone = clause.zone.as_ref().map(|z| format!(" ({})", z.name())).unwrap_or_default();
    format!("{} {verb} {}{zone}", noun(&clause.dimension), clause.values.join(", "))
}

/// The whole targeting in one sentence.
pub fn targeting_in_words(targeting: &Targeting) -> String {
    if targeting.clauses.is_empty() {
        return "No targeting: any visitor on any page of the publisher.".into();
    }
    let parts: Vec<String> = targeting.clauses.iter().map(clause_in_words).collect();
    format!("Shown only where {}.", parts.join("; and "))
}

/// A cap in words.
pub(crate) fn cap_in_words(cap: &FrequencyCap) -> String {
    let scope = match cap.scope {
        CapScope::Campaign => "all ads of the campaign together",
        CapScope::AdSet => "all ads of the ad set together",
        CapScope::Ad => "each ad",
    };
    let period = match cap.period {
        CapPeriod::PageView => "page view",
        CapPeriod::Hour => "hour",
        CapPeriod::Day => "24 hours",
        CapPeriod::Week => "seven days",
        CapPeriod::Lifetime => "flight",
    };
    format!("{scope}: at most {} times per visitor in one {period}", cap.impressions_count)
}

/// How the price is formed.
pub fn price_in_words(bid: &Bid, tier: &Tier, currency: Currency) -> String {
    let money = |micros: i64| format!("{} {currency}", Micros(micros).display(currency));
    let bid = match bid {
        Bid::Cpm { micros_per_mille } => {
            format!("at most {} for a thousand impressions", money(*micros_per_mille))
        }
        Bid::Cpc { micros_per_click } => format!("at most {} for each click", money(*micros_per_click)),
        Bid::Cpa { micros_per_conversion, action } => {
            format!(
                "at most {} for each action \u{201c}{action}\u{201d} after a click",
                money(*micros_per_conversion)
            )
        }
        Bid::FlatFee { total_micros } => {
            format!(
                "{} for the whole period, accrued by day and stated with the ad set's first ad",
                money(total_micros.0)
            )
        }
        Bid::Free => return "Free: an ad of the publisher's own.".into(),
    };
    let how = match tier {
        Tier::Auction => "in an auction against other ads; the winner pays what was needed to win",
        Tier::Sponsorship { .. } => "for a fixed share of the matching page views",
        Tier::Guaranteed { .. } => "for an agreed number of impressions",
        Tier::House => "as an ad of the publisher's own",
    };
    format!("The advertiser pays {bid}, {how}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_are_said() {
        let json = r#"[{"dimension":"device","op":"in","values":["phone","tablet"]},{"dimension":"topic","op":"not_in","values":["war"]}]"#;
        let targeting: Targeting = serde_json::from_str(json).unwrap();
        let want = "Shown only where device class is one of phone, tablet; and page topic is not war.";
        assert_eq!(targeting_in_words(&targeting), want);
        assert!(targeting_in_words(&Targeting::default()).starts_with("No targeting"));
    }
    #[test]
    fn prices_are_said() {
        let bid = Bid::Cpm { micros_per_mille: 4_500_000 };
        let words = price_in_words(&bid, &Tier::Auction, Currency::EUR);
        assert!(words.contains("4.50 EUR for a thousand impressions"), "{words}");
    }
}
