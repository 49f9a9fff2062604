//! Pacing: spending a budget along the traffic of its day, by what a bid counts for in the auction, or by letting
//! an ad set take part in a share of requests.
//!
//! [`TrafficShape`] learns the site's week; [`Controller`] turns budgets and shapes into multipliers and pass
//! probabilities (docs/PACING.md).
//! Pure: time is an argument. Refuses to bound spend: law B1 is the ledger's.

mod controller;
mod dual;
mod shape;

pub use controller::{BIDS_EVENTS_MIN, Budget, BudgetKey, Controller, Goal, Paced, Pass};
pub use shape::TrafficShape;
