//! What payers hold a publisher to: each day's billing as a Merkle tree with one leaf per ad and day, and what a payer checks
//! an invoice by.
//!
//! A day's leaf has totals and the salted root of its billing events: ticket, kind, price, hour, and no field of a viewer
//! (R4). The log has the day's root; an invoice brings the payer's leaves, events and proofs. Refuses to prove what it cannot:
//! that a person saw the ad, or that payer and publisher do not collude (docs/LOG.md).

use super::{
    hash::{Hash, leaf_hash},
    tree::SmallTree,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of a day's leaf.
pub const DAY_VERSION: u32 = 1;
/// The part of a day's log entry that holds the list of its leaves.
pub const LEAVES_PART: &str = "leaves";

/// What was charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargedFor {
    /// An impression.
    Impression,
    /// A click.
    Click,
    /// A conversion.
    Conversion,
    /// A day of a flat fee.
    FlatFee,
}

/// One billing event, as the payer sees it: a list of five in JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BillingEvent(
    /// Ticket (`epoch-sequence`), or `position-N` for a charge that has none.
    pub String,
    /// What for.
    pub ChargedFor,
    /// Charged, in 10^-9 of a unit; below zero for money given back.
    pub i64,
    /// Hours since 1970.
    pub i64,
);

/// Sums of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Events charged more than nothing.
    pub charged_count: u64,
    /// Charged, in 10^-9 of a unit.
    pub gross_nanos: i64,
    /// Given back on this day, for charges of this day or an earlier one.
    pub credited_nanos: i64,
}

/// The leaf of one ad and day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayLeaf {
    /// [`DAY_VERSION`].
    pub v: u32,
    /// Day of the account's zone, such as `2026-11-27`.
    pub day: String,
    /// Of which ad set.
    pub ad_set: String,
    /// The ad; none for a fee, which belongs to the ad set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// By what was charged for.
    pub sums: BTreeMap<ChargedFor, Sums>,
    /// Root over the salted events, in order.
    pub events_root: Hash,
    /// How many events.
    pub events_count: u64,
}

/// A day's leaf or tree that cannot be built: amounts beyond 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amounts of one ad and day are beyond 64 bits")]
pub struct TooLarge;

impl DayLeaf {
    /// Of its events, salted by a seed that the payer gets with the invoice.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn of(
        day: &str,
        ad_set: &str,
        ad: Option<&str>,
        currency: &str,
        seed: Hash,
        events: &[BillingEvent],
    ) -> Result<DayLeaf, TooLarge> {
        Ok(DayLeaf {
            v: DAY_VERSION,
            day: day.to_owned(),
            ad_set: ad_set.to_owned(),
            ad: ad.map(str::to_owned),
            currency: currency.to_owned(),
            sums: sums_of(events)?,
            events_root: events_root(seed, events),
            events_count: events.len() as u64,
        })
    }
    /// Its bytes in the day's tree: JSON as this type writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Text of our own types cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
    /// Reads a leaf; only its own spelling.
    pub fn read(bytes: &[u8]) -> Option<DayLeaf> {
        let leaf: DayLeaf = serde_json::from_slice(bytes).ok()?;
        (leaf.v == DAY_VERSION && leaf.to_bytes() == bytes).then_some(leaf)
    }
}

/// Sums of events by kind.
///
/// # Errors
/// [`TooLarge`].
pub fn sums_of(events: &[BillingEvent]) -> Result<BTreeMap<ChargedFor, Sums>, TooLarge> {
    let mut sums: BTreeMap<ChargedFor, Sums> = BTreeMap::new();
    for BillingEvent(_, kind, nanos, _) in events {
        let row = sums.entry(*kind).or_default();
        if *nanos < 0 {
            row.credited_nanos = row.credited_nanos.checked_sub(*nanos).ok_or(TooLarge)?;
        } else {
            row.charged_count += 1;
            row.gross_nanos = row.gross_nanos.checked_add(*nanos).ok_or(TooLarge)?;
        }
    }
    Ok(sums)
}

/// Root over events, each under a salt of its own, derived from the seed: nobody who has only the root can try out which
/// tickets are in it.
pub fn events_root(seed: Hash, events: &[BillingEvent]) -> Hash {
    let leaves = events.iter().enumerate().map(|(index, event)| {
        let salt = Hash::of(&[&seed.0[..], &(index as u64).to_be_bytes()].concat());
        let mut bytes = salt.0.to_vec();
        bytes.extend(serde_json::to_vec(event).unwrap_or_default());
        leaf_hash(&bytes)
    });
    SmallTree::of(leaves).root()
}

/// Body of a day's log entry ([`super::leaf::KIND_DAY`]); its id is the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCommitment {
    /// Root of the day's tree.
    pub root: Hash,
    /// Leaves of the day's tree.
    pub leaves_count: u64,
}

/// A day's tree.
#[derive(Clone, Debug)]
pub struct DayTree {
    leaves: Vec<DayLeaf>,
    tree: SmallTree,
}
impl DayTree {
    /// Of leaves in any order: they are sorted by ad set and ad.
    pub fn of(mut leaves: Vec<DayLeaf>) -> DayTree {
        leaves.sort_by(|a, b| (&a.ad_set, &a.ad).cmp(&(&b.ad_set, &b.ad)));
        let tree = SmallTree::of(leaves.iter().map(|leaf| leaf_hash(&leaf.to_bytes())));
        DayTree { leaves, tree }
    }
    /// What the log says of it.
    pub fn commitment(&self) -> DayCommitment {
        DayCommitment { root: self.tree.root(), leaves_count: self.tree.size() }
    }
    /// Its leaves, sorted.
    pub fn leaves(&self) -> &[DayLeaf] {
        &self.leaves
    }
    /// The audit path of a leaf.
    pub fn prove(&self, index: u64) -> Vec<Hash> {
        self.tree.prove(index).unwrap_or_default()
    }
    /// The public list of leaves, as the entry's object holds it.
    pub fn list(&self) -> Vec<u8> {
        serde_json::to_vec(&self.leaves).unwrap_or_default()
    }
    /// Checks a list against a commitment.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(list: &[u8], said: &DayCommitment, day: &str) -> Result<(), String> {
        let leaves: Vec<DayLeaf> =
            serde_json::from_slice(list).map_err(|e| format!("the day's list: {e}"))?;
        if let Some(other) = leaves.iter().find(|leaf| leaf.day != day) {
            return Err(format!("a leaf of {} stands in the list of {day}", other.day));
        }
        let twice =
            leaves.windows(2).any(|pair| (&pair[0].ad_set, &pair[0].ad) >= (&pair[1].ad_set, &pair[1].ad));
        let tree = SmallTree::of(leaves.iter().map(|leaf| leaf_hash(&leaf.to_bytes())));
        if twice || tree.root() != said.root || tree.size() != said.leaves_count {
            return Err(format!("the list of {day} does not give the root that the log has"));
        }
        Ok(())
    }
}
