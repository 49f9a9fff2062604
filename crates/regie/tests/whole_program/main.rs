//! The real binary, as people run it: killed under load, replaying logs, backed up and restored, opening a folder of an
//! earlier build.

mod golden;
mod kill;
mod replay;
mod run;
