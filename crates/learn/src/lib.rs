//! The learning room: what is tested, learned and proved about versions.
//!
//! Refuses IO, a clock or randomness of its own, async: time and seed are arguments, so that what was learned can be
//! learned again from the journal, byte for byte (laws D1 and D2).

pub mod adapt;
pub mod allocation;
pub mod evaluate;
pub mod experiment;
pub mod factor;
pub mod infer;
pub mod served;
pub mod stream;
pub mod template;
pub mod uploaded;
