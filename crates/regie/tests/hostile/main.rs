//! Hostile input from outside, on the real server and the real binary: every route, the wire itself, the command line and
//! the configuration. Each bad input gets an answer in words; none a panic, a 500 or silence.
#![allow(clippy::unwrap_used)]

mod command_line;
#[path = "../common/mod.rs"]
mod common;
mod routes;
mod slow;
mod wire;
