//! The decision: one ad request in, one decision out.
//!
//! [`Snapshot::build`] makes what a decision reads of the catalogue, [`Tables`] hold pacing and predicted rates,
//! [`decide`] answers a [`Request`], [`explain`] says for every ad set why it was not shown. Holds laws D1 (same
//! inputs, same decision), D2 (the version is drawn after the win, its propensity exact) and P1 (what a
//! political ad may read). Refuses IO, a clock or randomness of its own, async, SQL, markup.

mod auction;
pub mod chance;
mod decide;
mod eligibility;
mod explain;
mod facts;
pub mod forecast;
mod gate;
mod index;
mod joint;
pub mod learned;
mod outcome;
pub mod pacing;
mod pass;
pub mod rates;
mod request;
mod snapshot;
mod tables;
mod turn;
pub mod vcg;
mod versions;

pub use decide::decide;
pub use explain::{Explanation, PlacementExplanation, Verdict, explain};
pub use gate::{BudgetGate, OpenGate, RecordedGate};
pub use outcome::{Decision, Elimination, Fill, JointAuction, JointMethod, NoFill, Slot, Stage, Whose};
pub use request::{
    CONSENT_POLITICAL_FREQUENCY, CONSENT_STORAGE, Counted, FREQUENCY_COUNT_MAX, FrequencyView, Location,
    Machine, PageFacts, PageViewCount, Request, VisitorCount,
};
pub use snapshot::{
    AdSetIndex, Compiler, Levels, Merge, Merged, Snapshot, Touched, experiment_salt, experiment_unit,
};
pub use tables::{PPM, Row, Tables};
