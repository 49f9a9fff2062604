//! Who may do what: roles of users, scopes of tokens. Names, addresses and secrets live elsewhere, never in the journal.

use crate::AdvertiserId;
use serde::{Deserialize, Serialize};

/// What a signed-in person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, users and settings included.
    Owner,
    /// Inventory, bookings, approvals, billing.
    AdOperations,
    /// Books and reads for one advertiser.
    Advertiser,
    /// Reads everything but users.
    ReadOnly,
    /// Reads everything, users and the journal's history included; changes nothing.
    Auditor,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read bookings and reports.
    Read,
    /// Send booking commands.
    Book,
    /// Approve, stop, bill.
    Operate,
    /// Report conversions server to server.
    Conversions,
    /// Ask for decisions with facts about the visitor (server to server).
    Decide,
    /// Read metrics.
    Metrics,
}

/// A user as the journal knows them: what they may do, not who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// Role.
    pub role: Role,
    /// For the role `advertiser`: whose.
    #[serde(default)]
    pub advertiser: Option<AdvertiserId>,
    /// May sign in.
    pub active: bool,
}

/// A token as the journal knows it: what it may do, not its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Limited to one advertiser.
    #[serde(default)]
    pub advertiser: Option<AdvertiserId>,
    /// Not revoked.
    pub active: bool,
}
