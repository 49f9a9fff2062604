//! Tests of the decision from outside: against a naive full scan of the catalogue, by table, and by law.

mod law;
mod naive;
mod pacing;
mod properties;
mod reasons;
mod world;
