//! What became of an event, and what a broken law looks like.
//!
//! Refuses to hide anything: every delivery event ends as exactly one [`Outcome`], and each that is not
//! counted has a [`Refusal`]. Holds the vocabulary of laws B1 and B3.

use regie_model::{AdvertiserId, Nanos};
use serde::{Deserialize, Serialize};

/// Which budget an event met. In this order a tie is resolved: the first is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Deposits, or the credit limit and payments.
    Account,
    /// The campaign's lifetime budget.
    CampaignLifetime,
    /// The campaign's budget of this account-zone day.
    CampaignDaily,
    /// The ad set's lifetime budget.
    AdSetLifetime,
    /// The ad set's budget of this account-zone day.
    AdSetDaily,
    /// No such ad set is booked: nothing may be spent.
    NotBooked,
}

/// Why a counted event that had a price cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeReason {
    /// A budget had nothing left: free over-delivery.
    Budget(Limit),
    /// The price is above every bid of this kind that the ad set ever had: nobody agreed to it.
    PriceAboveBid,
    /// The advertiser does not accept unauthenticated pixel conversions.
    PixelNotAccepted,
    /// The day's cap of pixel conversions is reached.
    PixelCap,
    /// A broken law was journalled and no one has let billing go on since.
    BillingStopped,
}

/// Why an event was not counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Sent before (law B3).
    Duplicate,
    /// After its window.
    Late,
    /// Its ticket or click is dated later than the journal's present allows.
    Future,
    /// Its ticket's epoch was never opened in the journal.
    UnknownEpoch,
    /// Its ad set was never booked.
    UnknownAdSet,
    /// Campaign, advertiser or currency of its ticket are not those of its ad set.
    Contradiction,
    /// One click brought more conversions than are counted.
    TooManyConversions,
    /// Refused before the journal, for the reason that the server gave.
    BeforeJournal(String),
}
impl Refusal {
    /// A stable word, for reports and metrics.
    pub fn word(&self) -> &str {
        match self {
            Refusal::Duplicate => "duplicate",
            Refusal::Late => "late",
            Refusal::Future => "future",
            Refusal::UnknownEpoch => "unknown_epoch",
            Refusal::UnknownAdSet => "unknown_ad_set",
            Refusal::Contradiction => "contradiction",
            Refusal::TooManyConversions => "too_many_conversions",
            Refusal::BeforeJournal(reason) => reason,
        }
    }
}

/// Which kind of ticket nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// Its epoch was never opened in the journal.
    Epoch,
    /// Its ad set was never booked.
    AdSet,
    /// Its parents or currency are not those of its ad set.
    Contradiction,
}

/// Why a credit was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreditRefusal {
    /// Nothing was charged at that position.
    NoCharge,
    /// It was charged to somebody else.
    OtherAdvertiser,
    /// All of it was credited before.
    NothingLeft,
    /// A credit is above zero.
    NotPositive,
}

/// Why an accrual of a flat fee or the close of a month changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotDue {
    /// No such ad set or advertiser, or no flat fee.
    NotBooked,
    /// The day is outside the flight, or the month is not over.
    NotYet,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Charged; above zero.
    Billed {
        /// What was charged.
        nanos: Nanos,
        /// The rest of the price, for which a budget had nothing left.
        free: Nanos,
        /// The budget that cut the charge, where `free` is above zero.
        limit: Option<Limit>,
    },
    /// Counted; had a price, but cost nothing.
    Free {
        /// Why.
        reason: FreeReason,
        /// The whole price.
        would_have_cost: Nanos,
    },
    /// Counted; there was nothing to bill.
    Counted,
    /// Sent before: changes nothing but a counter (law B3).
    Duplicate,
    /// After its window: changes nothing but a counter.
    Late,
    /// Dated in the future: changes nothing but a counter.
    Future,
    /// Nobody knows the ticket: changes nothing but a counter.
    Unknown(Unknown),
    /// One conversion too many for its click: changes nothing but a counter.
    TooManyConversions,
    /// Money was given back.
    Credited {
        /// To whom.
        advertiser: AdvertiserId,
        /// How much: the smaller of what was asked and what is left of the charge.
        nanos: Nanos,
    },
    /// A credit that was not granted.
    CreditRefused(CreditRefusal),
    /// NOTHING was applied: load the block of charges with [`crate::Ledger::load_block`] and apply again.
    NeedsBlock(u64),
    /// A month was closed under this number.
    Invoiced {
        /// From 1, without gaps.
        number: u64,
    },
    /// An accrual or close that is not due changed nothing.
    NotDue(NotDue),
    /// A command, an aggregate, a mark.
    Other,
}
impl Outcome {
    /// What was charged.
    pub fn billed_nanos(&self) -> Nanos {
        match self {
            Outcome::Billed { nanos, .. } => *nanos,
            _ => Nanos::ZERO,
        }
    }
    /// What was delivered without being charged.
    pub fn free_nanos(&self) -> Nanos {
        match self {
            Outcome::Billed { free, .. } => *free,
            Outcome::Free { would_have_cost, .. } => *would_have_cost,
            _ => Nanos::ZERO,
        }
    }
    /// Why the event was not counted, if it was not.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Outcome::Duplicate => Some(Refusal::Duplicate),
            Outcome::Late => Some(Refusal::Late),
            Outcome::Future => Some(Refusal::Future),
            Outcome::Unknown(Unknown::Epoch) => Some(Refusal::UnknownEpoch),
            Outcome::Unknown(Unknown::AdSet) => Some(Refusal::UnknownAdSet),
            Outcome::Unknown(Unknown::Contradiction) => Some(Refusal::Contradiction),
            Outcome::TooManyConversions => Some(Refusal::TooManyConversions),
            _ => None,
        }
    }
}

/// A law was found broken: which, and the numbers. Billing must stop; the evidence stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("law {law} is broken: {detail}")]
pub struct LawBroken {
    /// Id of the law: `B1`, `B2`, `B3`.
    pub law: String,
    /// What was found, with numbers.
    pub detail: String,
}
impl LawBroken {
    pub(crate) fn new(law: &str, detail: impl Into<String>) -> LawBroken {
        LawBroken { law: law.to_owned(), detail: detail.into() }
    }
}
