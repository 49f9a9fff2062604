//! Tidy checks and CI.
fn main() {}
