//! Which units an experiment may use, with the reason where it may not.
//!
//! Refuses a visitor unit without a token, a political one without the recorded consent (law P1), and conversion lift
//! over units that a returning visitor crosses: without a token nobody can say whether the buyer saw the ad.

use super::Unit;

/// What an experiment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Which arm does better on what happens on the page: views, clicks.
    Compare,
    /// What the ads add to conversions, against a holdout.
    ConversionLift,
}

/// What is known of the site and the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The publisher's pages send a visitor token.
    pub visitor_token: bool,
    /// The campaign is political.
    pub political: bool,
    /// Consent for experiments with political ads is recorded with the token.
    pub political_consent: bool,
    /// Regions are known here: for political ads only where the publisher has switched location on.
    pub regions: bool,
}

/// A unit, and why it is not offered, if it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub unit: Unit,
    /// `None` where it is offered.
    pub refused: Option<&'static str>,
}

/// Every unit with the answer, in the order of [`Unit::ALL`].
pub fn offers(facts: &Facts, goal: Goal) -> [Offer; 4] {
    Unit::ALL.map(|unit| Offer { unit, refused: refused(unit, facts, goal) })
}

/// Why a unit is not offered.
pub fn refused(unit: Unit, facts: &Facts, goal: Goal) -> Option<&'static str> {
    match unit {
        Unit::Visitor if !facts.visitor_token => {
            Some("visitors cannot be told apart here: no token is sent, and none is made")
        }
        Unit::Visitor if facts.political && !facts.political_consent => Some(
            "a political experiment may use visitors only with their recorded consent for exactly that (law P1)",
        ),
        Unit::PageView if goal == Goal::ConversionLift => Some(
            "conversions come after the page view, from visitors who saw both arms; use hours or regions",
        ),
        Unit::RegionDay if !facts.regions => {
            Some("regions are not known here, or not switched on for political ads")
        }
        _ => None,
    }
}

/// The sentence that a page shows beside the choice.
pub fn sentence(facts: &Facts, goal: Goal) -> String {
    let offers = offers(facts, goal);
    let words = |offered: bool| -> Vec<&str> {
        offers.iter().filter(|o| o.refused.is_none() == offered).map(|o| o.unit.plural()).collect()
    };
    let offered = words(true);
    let mut sentence = match offered.as_slice() {
        [] => "Nothing can be randomised here for this goal.".to_owned(),
        some => format!("Can be randomised here: {}.", some.join(", ")),
    };
    for offer in offers.iter().filter(|o| o.refused.is_some()) {
        sentence += &format!(" Not {}: {}.", offer.unit.plural(), offer.refused.unwrap_or_default());
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Facts =
        Facts { visitor_token: false, political: false, political_consent: false, regions: false };

    fn offered(facts: Facts, goal: Goal) -> Vec<&'static str> {
        offers(&facts, goal).iter().filter(|o| o.refused.is_none()).map(|o| o.unit.word()).collect()
    }

    #[test]
    fn without_a_token_only_page_views_and_time_or_place() {
        assert_eq!(offered(NOTHING, Goal::Compare), ["page_view", "placement_hour"]);
        assert_eq!(offered(NOTHING, Goal::ConversionLift), ["placement_hour"]);
        let regions = Facts { regions: true, ..NOTHING };
        assert_eq!(offered(regions, Goal::ConversionLift), ["placement_hour", "region_day"]);
        assert!(sentence(&NOTHING, Goal::Compare).contains("Not visitors: visitors cannot be told apart"));
    }

    #[test]
    fn a_political_experiment_uses_visitors_only_with_consent() {
        let token = Facts { visitor_token: true, ..NOTHING };
        assert_eq!(offered(token, Goal::Compare), ["visitor", "page_view", "placement_hour"]);
        let political = Facts { political: true, ..token };
        assert_eq!(offered(political, Goal::Compare), ["page_view", "placement_hour"]);
        let consented = Facts { political_consent: true, ..political };
        assert_eq!(offered(consented, Goal::Compare), ["visitor", "page_view", "placement_hour"]);
    }
}
