//! A whole server, spoken to over HTTP: its API, its pages, the public record it keeps, and the languages it speaks.
//! One program for all of them: each is linked with the whole server, which takes longer than most of them run.
#![allow(clippy::unwrap_used)]

mod api_access;
mod api_accounts;
mod api_booking;
#[path = "../common/mod.rs"]
mod common;
mod downloads;
mod forms;
mod guide;
mod languages;
#[cfg(feature = "smtp")]
mod mail;
mod pages_console;
mod pages_operations;
mod pages_record;
mod pages_reports;
mod pages_study;
mod program;
mod record_cli;
mod record_groupings;
mod record_log;
mod record_mirror;
mod record_payers;
mod record_promises;
mod record_publication;
mod record_reading;
mod record_subjects;
mod record_tampering;
#[path = "../shown/mod.rs"]
mod shown;
mod tables;
mod tag_variants;
mod twins;
