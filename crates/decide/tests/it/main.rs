//! Tests of the decision from outside: against a naive full scan of the catalogue, by table, and by law.

// The configured exception covers test functions, not the helpers that they share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contention;
mod edits;
mod experiments;
mod follow;
mod forecast;
mod law;
mod learned;
mod naive;
mod naive_pass;
mod pacing;
mod properties;
mod reasons;
mod selling;
mod world;
