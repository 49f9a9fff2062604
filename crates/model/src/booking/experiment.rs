//! An experiment on an ad set: which units see which arm. Booked with the ad set, by the same command and event.
//!
//! Refuses a unit that the rules do not allow (law P1), arms whose figures could not be told apart, and a holdout where
//! nobody could say who would have bought anyway. Its name is its salt: a new name draws all units anew.

use crate::{AdId, Faults, VersionId, limits::NAME_CHARS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Arms at most.
pub const ARMS_COUNT_MAX: usize = 16;
/// Ads or versions named by one arm at most.
pub const ARM_NAMES_COUNT_MAX: usize = 1_000;

/// What is randomised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentUnit {
    /// A visitor, by a token; decisions get none, so it is not offered.
    Visitor,
    /// One page view.
    PageView,
    /// A placement for an hour (switchback).
    PlacementHour,
    /// A region for a day.
    RegionDay,
}

/// One arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSpec {
    /// Its name; the first arm is control.
    pub name: String,
    /// Its share of units, parts per million; all sum to 1,000,000.
    pub share_ppm: u32,
    /// It shows these ads (each with its landing page).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ads: Vec<AdId>,
    /// It shows these versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionId>,
    /// It shows nothing: where the ad set would have won, the runner-up is served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holdout: bool,
}
impl ArmSpec {
    /// It shows whatever the ad set has.
    pub fn shows_all(&self) -> bool {
        self.ads.is_empty() && self.versions.is_empty() && !self.holdout
    }
}

/// An experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSpec {
    /// Its name, which is also its salt.
    pub name: String,
    /// What is randomised and counted.
    pub unit: ExperimentUnit,
    /// The arms, control first.
    pub arms: Vec<ArmSpec>,
}

impl ExperimentSpec {
    /// Adds every fault found.
    pub fn check(&self, field: &str, faults: &mut Faults) {
        faults.text(&format!("{field}.name"), &self.name, NAME_CHARS_MAX);
        let unit = format!("{field}.unit");
        let visitor = self.unit == ExperimentUnit::Visitor;
        faults.when(visitor, &unit, "not_offered", "Visitors cannot be told apart here: decisions get no token. Use page_view, placement_hour or region_day.");
        let held_out = self.arms.iter().filter(|a| a.holdout).count();
        faults.when(
            held_out > 0 && self.unit == ExperimentUnit::PageView,
            &unit,
            "not_offered",
            "A holdout measures what follows the page view; randomise placement_hour or region_day.",
        );
        let arms = format!("{field}.arms");
        let count = self.arms.len();
        faults.when(
            !(2..=ARMS_COUNT_MAX).contains(&count),
            &arms,
            "out_of_range",
            format!("2 to {ARMS_COUNT_MAX} arms; these are {count}."),
        );
        let sum: u64 = self.arms.iter().map(|a| u64::from(a.share_ppm)).sum();
        let shares = sum == 1_000_000 && self.arms.iter().all(|a| a.share_ppm > 0);
        faults.when(
            !shares,
            &arms,
            "shares",
            format!("Every share is above 0 and all sum to 1000000 ppm; these sum to {sum}."),
        );
        faults.when(held_out > 1, &arms, "contradiction", "At most one arm is a holdout.");
        let mut names = BTreeSet::new();
        let (mut ads, mut versions) = (BTreeSet::new(), BTreeSet::new());
        for (index, arm) in self.arms.iter().enumerate() {
            let at = format!("{arms}[{index}]");
            faults.text(&format!("{at}.name"), &arm.name, NAME_CHARS_MAX);
            faults.when(
                !names.insert(&arm.name),
                format!("{at}.name"),
                "taken",
                "Another arm has this name.",
            );
            let kinds = [!arm.ads.is_empty(), !arm.versions.is_empty(), arm.holdout];
            let chosen = kinds.iter().filter(|k| **k).count();
            faults.when(chosen > 1, &at, "contradiction", "An arm names ads, or versions, or is a holdout.");
            let told_apart = chosen == 1 || self.unit != ExperimentUnit::PageView;
            faults.when(!told_apart, &at, "required", "With page views every arm names its ads or versions.");
            let many = arm.ads.len().max(arm.versions.len()) > ARM_NAMES_COUNT_MAX;
            faults.when(many, &at, "too_many", format!("At most {ARM_NAMES_COUNT_MAX} ads or versions."));
            let twice =
                arm.ads.iter().any(|a| !ads.insert(*a)) || arm.versions.iter().any(|v| !versions.insert(*v));
            faults.when(twice, &at, "taken", "An ad or version stands in one arm only, once.");
        }
        let mixed = !ads.is_empty() && !versions.is_empty();
        faults.when(mixed, &arms, "contradiction", "Arms name ads, or versions, not some of each.");
        let open = self.arms.iter().filter(|a| a.shows_all()).count();
        faults.when(open > 1, &arms, "contradiction", "Two arms that show the same compare nothing.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(unit: ExperimentUnit, arms: &[(&str, u32, &[u32], bool)]) -> ExperimentSpec {
        let arm = |(name, share_ppm, ads, holdout): &(&str, u32, &[u32], bool)| ArmSpec {
            name: (*name).into(),
            share_ppm: *share_ppm,
            ads: ads.iter().map(|a| AdId(*a)).collect(),
            versions: Vec::new(),
            holdout: *holdout,
        };
        ExperimentSpec { name: "first".into(), unit, arms: arms.iter().map(arm).collect() }
    }
    fn faulty(spec: &ExperimentSpec) -> bool {
        let mut faults = Faults::new();
        spec.check("experiment", &mut faults);
        faults.into_result().is_err()
    }

    #[test]
    fn rules_of_booking() {
        use ExperimentUnit::{PageView, PlacementHour, Visitor};
        let half = 500_000;
        let ads: [(&str, u32, &[u32], bool); 2] = [("a", half, &[1], false), ("b", half, &[2], false)];
        assert!(!faulty(&spec(PageView, &ads)));
        assert!(faulty(&spec(Visitor, &ads)));
        assert!(faulty(&spec(PageView, &ads[..1])));
        assert!(faulty(&spec(PageView, &[("a", half, &[1], false), ("b", half, &[1], false)])));
        assert!(faulty(&spec(PageView, &[("a", half, &[1], false), ("b", 1, &[2], false)])));
        assert!(faulty(&spec(PageView, &[("a", half, &[1], false), ("b", half, &[], false)])));
        let holdout: [(&str, u32, &[u32], bool); 2] =
            [("none", half, &[], true), ("shown", half, &[], false)];
        assert!(!faulty(&spec(PlacementHour, &holdout)));
        assert!(faulty(&spec(PageView, &holdout)));
        let text = serde_json::to_string(&spec(PlacementHour, &holdout)).unwrap();
        assert_eq!(serde_json::from_str::<ExperimentSpec>(&text).unwrap(), spec(PlacementHour, &holdout));
    }
}
