//! A simulated audience: who comes when, to which page, with what, and what they secretly like.
//!
//! The demo's visitors and tests draw from it; the product's own path never does. Refuses IO, a clock and randomness of
//! its own: the seed is an argument and the same seed gives the same visitors.

mod arrivals;
pub mod campaign;
pub mod market;
mod random;
mod taste;
mod visitor;

pub use arrivals::{Arrivals, DayShape};
pub use random::Random;
pub use taste::{Appeal, TOPICS_COUNT, Taste};
pub use visitor::{Audience, Device, Page, Visitor};
