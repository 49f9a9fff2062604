//! The real binary, as people run it: killed under load, replaying logs, backed up and restored, opening a folder of an
//! earlier build.
#![allow(clippy::unwrap_used)]

mod evaluate;
mod golden;
mod kill;
mod replay;
mod run;
