//! Regie: the library behind the one binary. HTTP, console, public pages, tags, command line, configuration, jobs.
//!
//! The only room that knows tokio, HTTP or HTML. Refuses business rules: those live in the rooms below.

pub mod cli;
pub mod config;
pub mod demo;
pub mod desk;
pub mod http;
pub mod i18n;
pub mod mail;
pub mod platform;
pub mod publication;
pub mod server;
pub mod uploads;
