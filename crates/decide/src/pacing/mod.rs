//! Pacing: spending a budget along the traffic of its day, by letting an ad set take part in a share of requests.
//!
//! [`TrafficShape`] learns the site's week; [`Controller`] turns budgets and shapes into pass probabilities.
//! Pure: time is an argument. Refuses to bound spend: law B1 is the ledger's.

mod controller;
mod shape;

pub use controller::{Budget, BudgetKey, Controller, Goal, Paced, Pass};
pub use shape::TrafficShape;
