//! A market of a day: many budgets compete for one site's traffic, paced by the product's own controller.
//!
//! Production code decides (`regie_decide`), charges (`regie_ledger`) and paces (`regie_decide::pacing`); visitors,
//! clicks and the clock are simulated. The same seed gives the same day. Refuses IO; holds no law, but checks B1 at
//! every budget at the end.

mod day;
mod outcome;
mod world;

pub use day::{Course, Progress, run};
pub use outcome::{BudgetDay, Report, Spread};
pub use world::{Options, World};
