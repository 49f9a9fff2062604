//! What an ad set learns and what a campaign adapts: booked with them, by the same commands and events.
//!
//! Refuses a context that law P1 forbids ([`LearningContext`] has none of a visitor), exploring without a cap, and limits of
//! budgets that contradict each other.

use super::check_amount;
use crate::{
    AdId, AdSetId, Faults, Micros, PlacementId, UtcMs, VersionId,
    limits::{NAME_CHARS_MAX, TEXT_CHARS_MAX},
    ticket::{DeviceClass, Ticket},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Share of impressions that explore unless the advertiser says otherwise, parts per million: 5%.
pub const EXPLORE_PPM: u32 = 50_000;
/// Most that may be set.
pub const EXPLORE_PPM_MAX: u32 = 500_000;
/// Least that may be set: a propensity is never so small that nothing can be weighed.
pub const EXPLORE_PPM_MIN: u32 = 1_000;
/// Ad sets with limits in one campaign.
pub const ADAPT_LIMITS_COUNT_MAX: usize = 200;

/// What a version is to bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningGoal {
    /// To be seen.
    ViewableImpressions,
    /// To be clicked.
    #[default]
    Clicks,
    /// To bring about an action.
    Conversions,
    /// To bring value (of conversions) for the money spent.
    Value,
}
impl LearningGoal {
    /// All, in the order in which they are offered.
    pub const ALL: [LearningGoal; 4] = [
        LearningGoal::Clicks,
        LearningGoal::ViewableImpressions,
        LearningGoal::Conversions,
        LearningGoal::Value,
    ];
    /// Its word in answers and forms.
    pub fn word(self) -> &'static str {
        match self {
            LearningGoal::ViewableImpressions => "viewable_impressions",
            LearningGoal::Clicks => "clicks",
            LearningGoal::Conversions => "conversions",
            LearningGoal::Value => "value",
        }
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<LearningGoal> {
        LearningGoal::ALL.into_iter().find(|goal| goal.word() == word)
    }
    /// Several of what it counts, in a sentence.
    pub fn plural(self) -> &'static str {
        match self {
            LearningGoal::ViewableImpressions => "viewable impressions",
            LearningGoal::Clicks => "clicks",
            LearningGoal::Conversions => "conversions",
            LearningGoal::Value => "of value",
        }
    }
}

/// What the best version may depend on: facts of page and machine that a ticket carries, never a visitor (law P1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningContext {
    /// Nothing: one best version everywhere.
    #[default]
    None,
    /// The device class.
    Device,
    /// The placement (by its number, 64 apart).
    Placement,
    /// The hour of the day, UTC, in parts of three hours.
    Hour,
    /// The country, 63 apart and unknown; of a political ad only where the publisher has switched location on.
    Country,
}
/// What a context is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextFacts {
    /// Where.
    pub placement: PlacementId,
    /// On what.
    pub device: DeviceClass,
    /// When.
    pub at: UtcMs,
    /// ISO 3166-1 code; zeros when unknown or not to be read.
    pub country: [u8; 2],
}
impl ContextFacts {
    /// Of a ticket.
    pub fn of(ticket: &Ticket) -> ContextFacts {
        let Ticket { placement, device, issued_at, country, .. } = *ticket;
        ContextFacts { placement, device, at: issued_at, country }
    }
}
const HOURS: i64 = 3;
const PLACES: u32 = 64;
const COUNTRIES: u16 = 64;
impl LearningContext {
    /// All, in the order in which they are offered.
    pub const ALL: [LearningContext; 5] = [
        LearningContext::None,
        LearningContext::Device,
        LearningContext::Placement,
        LearningContext::Hour,
        LearningContext::Country,
    ];
    /// Its word in answers and forms.
    pub fn word(self) -> &'static str {
        match self {
            LearningContext::None => "none",
            LearningContext::Device => "device",
            LearningContext::Placement => "placement",
            LearningContext::Hour => "hour",
            LearningContext::Country => "country",
        }
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<LearningContext> {
        LearningContext::ALL.into_iter().find(|context| context.word() == word)
    }
    /// How many contexts there are; at least 1.
    pub fn count(self) -> usize {
        match self {
            LearningContext::None => 1,
            LearningContext::Device => DeviceClass::ALL.len(),
            LearningContext::Placement => PLACES as usize,
            LearningContext::Hour => (24 / HOURS) as usize,
            LearningContext::Country => usize::from(COUNTRIES),
        }
    }
    /// Which one this is: below [`LearningContext::count`].
    pub fn number(self, facts: &ContextFacts) -> usize {
        match self {
            LearningContext::None => 0,
            LearningContext::Device => facts.device as usize,
            LearningContext::Placement => (facts.placement.0 % PLACES) as usize,
            LearningContext::Hour => (facts.at.0.div_euclid(3_600_000 * HOURS) % (24 / HOURS)) as usize,
            LearningContext::Country => match facts.country {
                [0, 0] => 0,
                [a, b] => usize::from(1 + (u16::from(a) * 26 + u16::from(b)) % (COUNTRIES - 1)),
            },
        }
    }
}

/// A promise about the whole ad set while it learns: never below a part of one version's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// The version that is known and good enough.
    pub control: VersionId,
    /// The expected rate of what is served stays at or above this part of control's, parts per million (900000 is 90%).
    pub least_ppm: u32,
}

/// How an ad set learns which of its versions to show. Without it versions are drawn by their booked weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningSpec {
    /// What a version is to bring.
    #[serde(default)]
    pub goal: LearningGoal,
    /// What the best version may depend on.
    #[serde(default)]
    pub context: LearningContext,
    /// Most of the impressions that may explore, parts per million; at least this share is drawn by booked weights.
    #[serde(default = "explore")]
    pub explore_ppm: u32,
    /// What must not be fallen below meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
}
fn explore() -> u32 {
    EXPLORE_PPM
}
impl Default for LearningSpec {
    fn default() -> LearningSpec {
        LearningSpec {
            goal: LearningGoal::default(),
            context: LearningContext::default(),
            explore_ppm: EXPLORE_PPM,
            guardrail: None,
        }
    }
}
impl LearningSpec {
    /// Adds every fault found.
    pub fn check(&self, field: &str, faults: &mut Faults) {
        faults.when(
            !(EXPLORE_PPM_MIN..=EXPLORE_PPM_MAX).contains(&self.explore_ppm),
            format!("{field}.explore_ppm"),
            "out_of_range",
            format!("{EXPLORE_PPM_MIN} to {EXPLORE_PPM_MAX} (0.1% to 50%)."),
        );
        if let Some(guardrail) = &self.guardrail {
            let sound = (1..=1_000_000).contains(&guardrail.least_ppm);
            faults.when(
                !sound,
                format!("{field}.guardrail.least_ppm"),
                "out_of_range",
                "1 to 1000000 (100%).",
            );
        }
    }
}

/// How far the daily budget of an ad set may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimits {
    /// Which ad set.
    pub ad_set: AdSetId,
    /// It keeps at least this a day, micros.
    pub least_micros: Micros,
    /// It has at most this a day, micros.
    pub most_micros: Micros,
}

/// What a campaign lets Regie change by itself, within limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptSpec {
    /// Ad sets between which daily budget may move, and how far; empty: none moves.
    #[serde(default)]
    pub limits: Vec<BudgetLimits>,
    /// Part of a budget that one step may move, parts per million.
    #[serde(default = "step")]
    pub step_ppm: u32,
    /// How sure it has to be that the other return is better, parts per million.
    #[serde(default = "sure")]
    pub sure_ppm: u32,
    /// Losers may be paused by the rule below.
    #[serde(default)]
    pub pause_losers: bool,
    /// Impressions that every version or element has before it may be paused.
    #[serde(default = "least_impressions")]
    pub least_impressions_count: u32,
    /// It is paused when the probability that it is no loser is at most this, parts per million.
    #[serde(default = "chance")]
    pub chance_ppm: u32,
    /// A loser is worse than the best by more than this part of the best's rate, parts per million.
    #[serde(default = "tolerance")]
    pub tolerance_ppm: u32,
    /// Minutes between two steps.
    #[serde(default = "period")]
    pub period_minutes: u32,
}
fn step() -> u32 {
    100_000
}
fn sure() -> u32 {
    950_000
}
fn least_impressions() -> u32 {
    2_000
}
fn chance() -> u32 {
    10_000
}
fn tolerance() -> u32 {
    50_000
}
fn period() -> u32 {
    1_440
}
impl Default for AdaptSpec {
    fn default() -> AdaptSpec {
        AdaptSpec {
            limits: Vec::new(),
            step_ppm: step(),
            sure_ppm: sure(),
            pause_losers: false,
            least_impressions_count: least_impressions(),
            chance_ppm: chance(),
            tolerance_ppm: tolerance(),
            period_minutes: period(),
        }
    }
}
impl AdaptSpec {
    /// Adds every fault found.
    pub fn check(&self, field: &str, faults: &mut Faults) {
        let at = |name: &str| format!("{field}.{name}");
        let mut part = |name: &str, ppm: u32, least: u32| {
            let why = format!("{least} to 1000000 (100%).");
            faults.when(!(least..=1_000_000).contains(&ppm), at(name), "out_of_range", why);
        };
        part("step_ppm", self.step_ppm, 1);
        part("sure_ppm", self.sure_ppm, 500_000);
        part("chance_ppm", self.chance_ppm, 1);
        part("tolerance_ppm", self.tolerance_ppm, 0);
        let period = (1..=44_640).contains(&self.period_minutes);
        faults.when(!period, at("period_minutes"), "out_of_range", "1 minute to 31 days.");
        faults.when(
            self.least_impressions_count < 100,
            at("least_impressions_count"),
            "too_small",
            "At least 100: less says nothing.",
        );
        let count = self.limits.len();
        let many = format!("At most {ADAPT_LIMITS_COUNT_MAX}; these are {count}.");
        faults.when(count > ADAPT_LIMITS_COUNT_MAX, at("limits"), "too_many", many);
        let mut seen = BTreeSet::new();
        for (index, limits) in self.limits.iter().enumerate() {
            let at = |name: &str| format!("{field}.limits[{index}].{name}");
            check_amount(&at("least_micros"), limits.least_micros.0, 0, faults);
            check_amount(&at("most_micros"), limits.most_micros.0, 1, faults);
            let backwards = limits.least_micros > limits.most_micros;
            faults.when(backwards, at("most_micros"), "contradiction", "Less than the least.");
            faults.when(!seen.insert(limits.ad_set), at("ad_set"), "taken", "Named twice.");
        }
    }
}

/// One thing that Regie changed by itself: what, and why. The change itself is an event beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdaptStep {
    /// Daily budget moved to the better return at the margin.
    BudgetMoved {
        /// From which ad set.
        from: AdSetId,
        /// To which.
        to: AdSetId,
        /// How much, micros.
        amount_micros: Micros,
        /// What a unit of currency brought there and here lately.
        returns: (f64, f64),
        /// Probability that the ad set it went to brings more.
        probability: f64,
        /// The same in words.
        reason: String,
    },
    /// A version was paused by the rule.
    VersionPaused {
        /// Of which ad set.
        ad_set: AdSetId,
        /// Which.
        version: VersionId,
        /// Probability that it is no loser.
        probability: f64,
        /// The best's expected rate, and its own.
        rates: (f64, f64),
        /// The same in words.
        reason: String,
    },
    /// An element of a template was retired by the rule.
    ElementRetired {
        /// Of which ad.
        ad: AdId,
        /// Which slot and asset.
        element: super::Element,
        /// Probability that it is no loser.
        probability: f64,
        /// The same in words.
        reason: String,
    },
}
impl AdaptStep {
    /// Why, in words.
    pub fn reason(&self) -> &str {
        match self {
            AdaptStep::BudgetMoved { reason, .. }
            | AdaptStep::VersionPaused { reason, .. }
            | AdaptStep::ElementRetired { reason, .. } => reason,
        }
    }
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("step.reason", self.reason(), TEXT_CHARS_MAX.max(NAME_CHARS_MAX));
        if let AdaptStep::BudgetMoved { from, to, amount_micros, .. } = self {
            check_amount("step.amount_micros", amount_micros.0, 1, faults);
            faults.when(from == to, "step.to", "contradiction", "Money moves between two ad sets.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_is_a_number_below_its_count() {
        for context in LearningContext::ALL {
            assert_eq!(LearningContext::from_word(context.word()), Some(context));
            let mut seen = BTreeSet::new();
            for n in 0..4_000u32 {
                let facts = ContextFacts {
                    placement: PlacementId(n),
                    device: DeviceClass::from_u8((n % 5) as u8),
                    at: UtcMs(i64::from(n) * 1_800_000),
                    country: if n % 7 == 0 {
                        [0; 2]
                    } else {
                        [b'A' + (n % 26) as u8, b'A' + (n / 26 % 26) as u8]
                    },
                };
                let number = context.number(&facts);
                assert!(number < context.count());
                seen.insert(number);
            }
            assert_eq!(seen.len(), context.count(), "{context:?}: every number is used");
        }
    }
    #[test]
    fn limits_are_checked() {
        let limits = |least, most| BudgetLimits {
            ad_set: AdSetId(1),
            least_micros: Micros(least),
            most_micros: Micros(most),
        };
        let faulty = |spec: AdaptSpec| {
            let mut faults = Faults::new();
            spec.check("adapt", &mut faults);
            faults.0.len()
        };
        assert_eq!(faulty(AdaptSpec::default()), 0);
        assert_eq!(faulty(AdaptSpec { limits: vec![limits(10, 20)], ..AdaptSpec::default() }), 0);
        assert_eq!(faulty(AdaptSpec { limits: vec![limits(30, 20)], ..AdaptSpec::default() }), 1);
        assert_eq!(faulty(AdaptSpec { limits: vec![limits(1, 2), limits(1, 2)], ..AdaptSpec::default() }), 1);
        assert_eq!(faulty(AdaptSpec { sure_ppm: 1, step_ppm: 0, ..AdaptSpec::default() }), 2);
    }
}
