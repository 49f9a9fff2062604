//! What is booked: publisher, sites, placements, advertisers, parties, campaigns, ad sets, ads, versions.
//!
//! Each has a spec (what a person writes, checked by `check`), a number and a revision. Edits are new
//! revisions; nothing is overwritten, since each is an event of the journal.

mod ads;
mod auction;
mod campaigns;
mod experiment;
mod inventory;
mod learning;
mod parties;
mod people;
mod template;
mod votes;

pub use ads::*;
pub use auction::{AuctionKind, FULL_WEIGHT_PPM};
pub use campaigns::*;
pub use experiment::*;
pub use inventory::*;
pub use learning::*;
pub use parties::*;
pub use people::*;
pub use template::*;
pub use votes::*;

use crate::{Faults, limits::*};
use serde::{Deserialize, Serialize};

/// Whether something may deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being written; may be incomplete later on, never delivers.
    Draft,
    /// May deliver.
    #[default]
    Active,
    /// Stopped for now.
    Paused,
    /// Put away; stays readable.
    Archived,
}

/// Reads an `https://` address: the URL, or why not. `http://` is accepted only for loopback hosts.
pub fn check_https(field: &str, text: &str, faults: &mut Faults) -> Option<url::Url> {
    if text.len() > URL_BYTES_MAX {
        faults.add(field, "too_long", format!("At most {URL_BYTES_MAX} bytes."));
        return None;
    }
    let Ok(url) = url::Url::parse(text) else {
        faults.add(field, "malformed", "Write a whole address, such as https://www.example.org/page.");
        return None;
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        faults.add(field, "not_tls", "The address must begin with https://.");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || url.host_str().is_none_or(str::is_empty) {
        faults.add(field, "malformed", "The address must have a host and no user name or password.");
        return None;
    }
    Some(url)
}

/// An origin, `https://host[:port]`, nothing behind it.
pub fn check_origin(field: &str, text: &str, faults: &mut Faults) {
    if let Some(url) = check_https(field, text, faults) {
        let plain = url.origin().ascii_serialization();
        faults.when(plain != text, field, "malformed", format!("Write only the origin: {plain}"));
    }
}

/// An amount between `min` and [`AMOUNT_MICROS_MAX`] micros.
pub fn check_amount(field: &str, micros: i64, min: i64, faults: &mut Faults) {
    faults.when(micros < min, field, "too_small", format!("At least {min} micros."));
    faults.when(
        micros > AMOUNT_MICROS_MAX,
        field,
        "too_large",
        format!("At most {AMOUNT_MICROS_MAX} micros."),
    );
}
