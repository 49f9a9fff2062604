//! An ad set's experiment as a decision reads it: which arm a unit is in, and what that arm may show.
//!
//! Refuses to know who the visitor is: a unit is the page view, the placement and hour, or the region and day.

use super::Group;
use crate::request::Request;
use regie_learn::experiment::{Key, Split, Unit};
use regie_model::{
    AdSetId, PlacementId,
    booking::{ArmSpec, ExperimentSpec, ExperimentUnit},
    time::DAY_MS,
};

/// One arm.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// It shows nothing.
    pub(crate) holdout: bool,
    /// What it may show; `None` where that is whatever the ad set has.
    pub(crate) groups: Option<Box<[Group]>>,
}

/// An experiment.
#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    salt: u64,
    unit: Unit,
    split: Split,
    arms: Box<[Arm]>,
}

/// The salt of an ad set's experiment: its name draws all units anew.
pub fn experiment_salt(ad_set: AdSetId, name: &str) -> u64 {
    regie_learn::experiment::salt(ad_set.0, name)
}

/// What is randomised, in the words of the learning room.
pub fn experiment_unit(unit: ExperimentUnit) -> Unit {
    match unit {
        ExperimentUnit::Visitor => Unit::Visitor,
        ExperimentUnit::PageView => Unit::PageView,
        ExperimentUnit::PlacementHour => Unit::PlacementHour,
        ExperimentUnit::RegionDay => Unit::RegionDay,
    }
}

impl Experiment {
    /// Compiles a booked experiment; `None` where its shares are no split, which booking refuses.
    pub(super) fn compile(ad_set: AdSetId, spec: &ExperimentSpec, groups: &[Group]) -> Option<Experiment> {
        let shares: Vec<u32> = spec.arms.iter().map(|a| a.share_ppm).collect();
        let split = Split::new(&shares).ok()?;
        let arms =
            spec.arms.iter().map(|arm| Arm { holdout: arm.holdout, groups: shown_by(arm, groups) }).collect();
        let unit = experiment_unit(spec.unit);
        Some(Experiment { salt: experiment_salt(ad_set, &spec.name), unit, split, arms })
    }
    /// The arm of a request at a placement. `located` says whether its region may be read (law P1).
    pub(crate) fn arm(&self, request: &Request, placement: PlacementId, located: bool) -> &Arm {
        let at_ms = request.at.0;
        let key = match self.unit {
            Unit::PlacementHour => Key::placement_hour(placement.0, at_ms),
            Unit::RegionDay => {
                let region = request.location.region.as_deref().filter(|_| located).unwrap_or_default();
                Key::region_day(region, at_ms.div_euclid(DAY_MS) as i32)
            }
            // Decisions get no visitor's token; booking refuses that unit.
            Unit::PageView | Unit::Visitor => Key::page_view(request.seed),
        };
        &self.arms[self.split.arm(self.salt, self.unit, key)]
    }
}

fn shown_by(arm: &ArmSpec, groups: &[Group]) -> Option<Box<[Group]>> {
    if arm.shows_all() || arm.holdout {
        return None;
    }
    let kept = |group: &Group| {
        if arm.ads.contains(&group.ad) {
            return Some(group.clone());
        }
        group.only(|version| arm.versions.contains(&version))
    };
    Some(groups.iter().filter_map(kept).collect())
}
