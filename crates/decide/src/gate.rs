//! The budget gate: soft holds at decision time, asked once for each ad set that comes that far.
//! Refuses to be exact: law B1 is the ledger's.

use regie_model::AdSetId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Says which ad sets have no money left at the moment. Never asked for house ads.
pub trait BudgetGate {
    /// A budget that the ad set draws on is spent or wholly held.
    fn refuses(&self, ad_set: AdSetId) -> bool;
    /// Only house ads for now: the journal is stopped, the disk is low, or a law was found broken.
    fn house_only(&self) -> bool {
        false
    }
}

/// No budget ever runs out.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGate;
impl BudgetGate for OpenGate {
    fn refuses(&self, _: AdSetId) -> bool {
        false
    }
}

/// What a gate answered, for replay (law D1): the refused ad sets of a decision, as its sink saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordedGate {
    /// Ad sets refused.
    pub refused: BTreeSet<AdSetId>,
    /// Only house ads were shown.
    pub house_only: bool,
}
impl BudgetGate for RecordedGate {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        self.refused.contains(&ad_set)
    }
    fn house_only(&self) -> bool {
        self.house_only
    }
}
