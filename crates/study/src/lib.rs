//! The study of other platforms' advertising archives: import, group, rank, compare, report.
//!
//! Every amount is an interval, every fact keeps its source and the day it was known, every grouping says
//! who claims it and why, and a rank says between which ranks the truth lies. Refuses HTTP, floating-point
//! money, sums of overlapping windows or of different currencies, and rows dropped in silence.

pub mod amount;
pub mod answers;
pub mod ask;
pub mod bench;
pub mod check;
pub mod cli;
pub mod day;
pub mod demo;
pub mod desk;
pub mod diff;
pub mod encoding;
pub mod error;
pub mod export;
pub mod group;
pub mod import;
pub mod kinds;
pub mod methods;
pub mod plot;
pub mod rank;
pub mod records;
pub mod report;
pub mod select;
pub mod store;
pub mod subject;
pub mod table;
pub mod targets;
pub mod text;

pub use amount::{Amount, Currency};
pub use day::Day;
pub use error::{Error, Result};
pub use import::{ImportOptions, Importer};
pub use store::Store;
