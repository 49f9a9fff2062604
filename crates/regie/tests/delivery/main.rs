//! Delivery over HTTP, on a real server: deciding, counting, billing and operating, as issue and documents promise it.
#![allow(clippy::unwrap_used)]

mod bill;
mod bill_limits;
#[path = "../common/mod.rs"]
mod common;
mod conversions;
mod count;
mod decide;
mod explain;
mod export;
mod forecast;
mod formats;
mod frames;
mod frequency;
mod geo;
mod learning;
mod operate;
mod process;
mod scene;
mod targeting;
