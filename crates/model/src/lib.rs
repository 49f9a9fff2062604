//! The words of Regie: ids, money, time, what is booked, what happened.
//!
//! Ground floor of the house: every other room uses these types. Parse, don't validate:
//! a value of one of these types is already well-formed. Refuses IO, a clock, randomness.

pub mod booking;
pub mod catalogue;
pub mod command;
pub mod creative;
pub mod event;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod money;
pub mod mutation;
pub mod personal;
pub mod targeting;
pub mod ticket;
pub mod time;

pub use fault::{Fault, Faults};
pub use ids::*;
pub use money::{Currency, Micros, Nanos};
pub use time::{Day, HourOfWeek, UtcHour, UtcMs, Zone};
