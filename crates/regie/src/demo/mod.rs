//! The demo: a fictional newspaper with fictional advertisers, parties and visitors, through the product's own doors.
//!
//! Bookings are ordinary commands, visitors ordinary HTTP requests. Everybody and everything here is invented, except the
//! figures of the study, which were published. Refuses any way into the platform that a publisher would not have.

pub mod bookings;
pub mod desk;
pub mod keep;
pub mod looks;
pub mod pages;
pub mod study;
pub mod taste;
pub mod visitors;

mod articles;
mod political;
