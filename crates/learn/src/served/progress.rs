//! How shares and results went while an ad set learned: a bounded row of steps, each of as many impressions.
//!
//! When the row is full, neighbours are put together and steps become twice as long: the whole story always fits a plot. Refuses
//! more than its limits: versions beyond those most shown in a step are counted together.

use super::Counts;
use regie_model::{AdId, VersionId, booking::LearningGoal, ticket::Ticket};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Steps kept at most.
pub const STEPS_COUNT_MAX: usize = 96;
/// Impressions of a step at first.
const SPAN_FIRST: u32 = 20;
/// Versions told apart in one step.
const VERSIONS_COUNT_MAX: usize = 24;

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Impressions.
    pub impressions_count: u32,
    /// What was counted toward the goal while it lasted, of whatever was shown before; value in micros.
    pub reward: i64,
    /// Impressions by version.
    pub versions: BTreeMap<(AdId, VersionId), u32>,
}

/// The row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    span: u32,
    steps: Vec<Step>,
}
impl Default for Progress {
    fn default() -> Progress {
        Progress { span: SPAN_FIRST, steps: Vec::new() }
    }
}
impl Progress {
    /// The steps, the first first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    /// Impressions of a full step.
    pub fn span(&self) -> u32 {
        self.span
    }
    pub(super) fn add(&mut self, ticket: &Ticket, counts: &Counts, goal: LearningGoal) {
        let full = self.steps.last().is_none_or(|step| step.impressions_count >= self.span);
        if full && counts.impressions_count > 0 {
            if self.steps.len() >= STEPS_COUNT_MAX {
                self.halve();
            }
            self.steps.push(Step::default());
        }
        let Some(step) = self.steps.last_mut() else { return };
        step.reward = step.reward.saturating_add(match goal {
            LearningGoal::ViewableImpressions => i64::from(counts.viewable_count),
            LearningGoal::Clicks => i64::from(counts.clicks_count),
            LearningGoal::Conversions => i64::from(counts.conversions_count),
            LearningGoal::Value => counts.value_micros,
        });
        if counts.impressions_count > 0 {
            step.impressions_count += counts.impressions_count;
            let key = (ticket.ad, ticket.version);
            if step.versions.len() < VERSIONS_COUNT_MAX || step.versions.contains_key(&key) {
                *step.versions.entry(key).or_default() += counts.impressions_count;
            }
        }
    }
    fn halve(&mut self) {
        self.span *= 2;
        let pairs = std::mem::take(&mut self.steps);
        for pair in pairs.chunks(2) {
            let mut sum = Step::default();
            for step in pair {
                sum.impressions_count += step.impressions_count;
                sum.reward = sum.reward.saturating_add(step.reward);
                for (version, count) in &step.versions {
                    *sum.versions.entry(*version).or_default() += count;
                }
            }
            let mut most: Vec<_> = std::mem::take(&mut sum.versions).into_iter().collect();
            most.sort_by_key(|(version, count)| (std::cmp::Reverse(*count), *version));
            sum.versions = most.into_iter().take(VERSIONS_COUNT_MAX).collect();
            self.steps.push(sum);
        }
    }
}
