//! What the journal's tests share: a witness of what was appended and acknowledged, and scenarios
//! that a simulated disk can interrupt. Refuses to trust the journal: every law is checked against
//! the witness's own list.
#![allow(dead_code)]

pub mod scenario;
pub mod suite;
pub mod witness;
