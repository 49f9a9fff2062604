//! Booked experiments as they ran: units by arm and hour of exposure, from tickets alone.
//!
//! An arm is told from a ticket by what it shows, or by the same hash that the decision used (law D1). Outcomes count in the hour in
//! which their impression was decided, so that results stand by exposure date. A new name, or other arms or shares, is a new phase with
//! its own counts: exposures of one phase never count in another. Ghosts of a holdout come from the journalled aggregate of
//! decisions. Refuses to compare what cannot be told apart.

use super::Counts;
use crate::experiment::{
    Key, Split, Unit,
    lift::Funded,
    report::{About, Report, report},
    tally::{Allocation, Exposed, Tally},
};
use regie_model::{
    AdSetId, PlacementId,
    booking::{ArmSpec, ExperimentSpec, ExperimentUnit, LearningGoal},
    ticket::Ticket,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Phases kept of one ad set.
pub const PHASES_COUNT_MAX: usize = 12;
/// Units told apart in one phase; beyond it they are counted by day.
const UNITS_COUNT_MAX: usize = 100_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;

/// A unit, as far as tickets tell: arm, placement, hour of exposure since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitKey {
    /// When, hours since 1970 (UTC).
    pub hour: i64,
    /// Where.
    pub placement: PlacementId,
    /// Which arm.
    pub arm: u8,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// As booked.
    pub spec: ExperimentSpec,
    salt: u64,
    units: BTreeMap<UnitKey, Counts>,
    ghosts: BTreeMap<i64, u64>,
    /// Impressions whose arm nobody can tell.
    pub untold_count: u64,
}

/// The phases of an ad set, the current last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trials {
    phases: Vec<Trial>,
    runs: bool,
}

impl Trials {
    /// All phases, the latest last.
    pub fn phases(&self) -> &[Trial] {
        &self.phases
    }
    /// The phase that runs now.
    pub fn current(&self) -> Option<&Trial> {
        self.phases.last().filter(|_| self.runs)
    }
    pub(super) fn book(&mut self, ad_set: AdSetId, spec: Option<&ExperimentSpec>) {
        self.runs = spec.is_some();
        let Some(spec) = spec.filter(|spec| self.phases.last().is_none_or(|last| last.spec != **spec)) else {
            return;
        };
        if self.phases.len() >= PHASES_COUNT_MAX {
            self.phases.remove(0);
        }
        let salt = crate::experiment::salt(ad_set.0, &spec.name);
        let spec = spec.clone();
        self.phases.push(Trial {
            spec,
            salt,
            units: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            untold_count: 0,
        });
    }
    pub(super) fn ghosts(&mut self, minute: i64, count: u64) {
        if let Some(trial) = self.phases.last_mut().filter(|_| self.runs) {
            *trial.ghosts.entry(minute.div_euclid(60)).or_default() += count;
        }
    }
    pub(super) fn add(&mut self, ticket: &Ticket, counts: &Counts) {
        if let Some(trial) = self.phases.last_mut().filter(|_| self.runs) {
            trial.add(ticket, counts);
        }
    }
}

/// The unit as the learning room names it.
pub fn unit_of(unit: ExperimentUnit) -> Unit {
    match unit {
        ExperimentUnit::Visitor => Unit::Visitor,
        ExperimentUnit::PageView => Unit::PageView,
        ExperimentUnit::PlacementHour => Unit::PlacementHour,
        ExperimentUnit::RegionDay => Unit::RegionDay,
    }
}

impl Trial {
    /// The arm that a ticket was shown in; `None` where nobody can tell.
    pub fn arm(&self, ticket: &Ticket) -> Option<usize> {
        if self.spec.unit == ExperimentUnit::PlacementHour {
            let shares: Vec<u32> = self.spec.arms.iter().map(|arm| arm.share_ppm).collect();
            let key = Key::placement_hour(ticket.placement.0, ticket.issued_at.0);
            return Split::new(&shares).ok().map(|split| split.arm(self.salt, Unit::PlacementHour, key));
        }
        let names = |arm: &ArmSpec| arm.ads.contains(&ticket.ad) || arm.versions.contains(&ticket.version);
        let named = self.spec.arms.iter().position(names);
        let open = || self.spec.arms.iter().position(ArmSpec::shows_all);
        let apart = self.spec.arms.iter().all(|arm| arm.holdout || arm.shows_all());
        named.or_else(|| open().filter(|_| apart))
    }
    fn add(&mut self, ticket: &Ticket, counts: &Counts) {
        let Some(arm) = self.arm(ticket) else {
            self.untold_count += u64::from(counts.impressions_count);
            return;
        };
        let hour = ticket.issued_at.0.div_euclid(HOUR_MS);
        let mut key = UnitKey { hour, placement: ticket.placement, arm: arm as u8 };
        if self.units.len() >= UNITS_COUNT_MAX && !self.units.contains_key(&key) {
            key = UnitKey { hour: hour - hour.rem_euclid(DAY_HOURS), placement: PlacementId(0), ..key };
        }
        self.units.entry(key).or_default().add(counts);
    }
    /// What was counted, unit by unit, in the order of time.
    pub fn units(&self) -> impl Iterator<Item = (&UnitKey, &Counts)> {
        self.units.iter()
    }
    /// What was counted by arm.
    pub fn by_arm(&self) -> Vec<Counts> {
        let mut sums = vec![Counts::default(); self.spec.arms.len()];
        for (key, counts) in &self.units {
            if let Some(sum) = sums.get_mut(usize::from(key.arm)) {
                sum.add(counts);
            }
        }
        sums
    }
    /// Times the ad set won and its holdout was not shown it, before this hour.
    pub fn ghosts_count(&self, before_hour: i64) -> u64 {
        self.ghosts.range(..before_hour).map(|(_, count)| count).sum()
    }
    /// The report on what was exposed before `before_hour` (hours since 1970; later outcomes are still coming in). `None` where
    /// fewer than two arms show anything.
    pub fn report(&self, goal: LearningGoal, before_hour: i64, budgets: &[Option<i64>]) -> Option<Report> {
        let shown: Vec<usize> =
            (0..self.spec.arms.len()).filter(|arm| !self.spec.arms[*arm].holdout).collect();
        let shares: Vec<f64> = shown.iter().map(|arm| f64::from(self.spec.arms[*arm].share_ppm)).collect();
        let whole: f64 = shares.iter().sum();
        if shown.len() < 2 {
            return None;
        }
        let shares: Vec<f64> = shares.into_iter().map(|share| share / whole).collect();
        let largest = 1;
        let mut tally = Tally::new(Allocation::Fixed, &shares);
        for (key, counts) in self.units.iter().filter(|(key, _)| key.hour < before_hour) {
            let Some(arm) = shown.iter().position(|arm| *arm == usize::from(key.arm)) else { continue };
            let day = key.hour.div_euclid(DAY_HOURS) as i32;
            let n = u64::from(counts.impressions_count);
            let reward = counts.reward(goal, largest).min(n as f64);
            if self.spec.unit == ExperimentUnit::PageView {
                let successes = reward as u64;
                tally.add(Exposed { arm, day, outcome: 1.0, units: successes });
                tally.add(Exposed { arm, day, outcome: 0.0, units: n - successes });
            } else if n > 0 {
                tally.add(Exposed { arm, day, outcome: reward / n as f64, units: 1 });
            }
        }
        let name = |arm: &usize| self.spec.arms[*arm].name.clone();
        let funded = shown.iter().map(|arm| Funded {
            share: f64::from(self.spec.arms[*arm].share_ppm) / whole,
            budget_micros: budgets.get(*arm).copied().flatten(),
        });
        let about = About {
            unit: unit_of(self.spec.unit),
            arms: shown.iter().map(name).collect(),
            holdout: None,
            outcome: goal.plural().to_owned(),
            budgets: funded.collect(),
        };
        Some(report(&about, &tally))
    }
}
