//! Seeded faults: a test suite that cannot fail proves nothing, so the suites run once more
//! with each of these switched on and must then report a broken law.
//!
//! With the feature `mutations` off (every shipped build) [`on`] is a constant `false`.

/// One deliberate fault of a pure room; the journal has its own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The ledger bills an event again when it is sent again (breaks B3).
    DoubleCharge,
    /// The ledger ignores the smallest remaining budget (breaks B1).
    IgnoreBudget,
    /// A charge is put on the UTC day instead of the account-zone day.
    WrongDay,
    /// The duplicate bitmap is lost when the fold's state is written and read back.
    ForgetDuplicates,
    /// A ticket with a wrong MAC is accepted.
    AcceptForged,
    /// The ticket epoch is not raised at a start.
    SameEpoch,
    /// A late event is billed.
    BillLate,
    /// The daily budget is never reset, or reset at any event (clock jump).
    LoseDay,
}

#[cfg(feature = "mutations")]
mod switch {
    use super::Mutation;
    use std::cell::Cell;
    thread_local! { static ON: Cell<Option<Mutation>> = const { Cell::new(None) }; }
    /// Switches one fault on for this thread, or all off.
    pub fn set(mutation: Option<Mutation>) {
        ON.with(|on| on.set(mutation));
    }
    /// Whether `mutation` is on in this thread.
    pub fn on(mutation: Mutation) -> bool {
        ON.with(|on| on.get() == Some(mutation))
    }
}
#[cfg(feature = "mutations")]
pub use switch::{on, set};

/// Whether `mutation` is on: never, in a build without the feature.
#[cfg(not(feature = "mutations"))]
#[inline(always)]
pub const fn on(_mutation: Mutation) -> bool {
    false
}
