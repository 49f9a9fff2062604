//! Seeded faults for the test suite: each breaks one law on purpose, and the suite must notice.
//! Refuses to exist in a product build: without the feature `mutations` every question is `false`
//! at compile time and nothing can be switched.

/// A law broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutations"), allow(dead_code))]
pub enum Mutation {
    /// Acknowledgements fire before the append (against B4).
    AcknowledgeBeforeCommit,
    /// `synchronous=OFF`: no flush before the acknowledgement (against B4).
    NoFsync,
    /// The last record of a batch is dropped without a word (against L1).
    LostTail,
    /// A failed commit is tried again (against L1).
    RetryAfterFailedFsync,
    /// Reads and recovery do not check sums, chain or frame bounds (against L1).
    SkipChecksum,
}

#[cfg(feature = "mutations")]
mod switch {
    use super::Mutation;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Every mutation of this crate, for suites that go through all of them.
    pub const ALL: [Mutation; 5] = [
        Mutation::AcknowledgeBeforeCommit,
        Mutation::NoFsync,
        Mutation::LostTail,
        Mutation::RetryAfterFailedFsync,
        Mutation::SkipChecksum,
    ];

    /// Switches a mutation on, for this thread only; `None` switches it off.
    pub fn set(mutation: Option<Mutation>) {
        ACTIVE.set(mutation);
    }

    pub(crate) fn active(mutation: Mutation) -> bool {
        ACTIVE.get() == Some(mutation)
    }
}

#[cfg(not(feature = "mutations"))]
mod switch {
    pub(crate) const fn active(_: super::Mutation) -> bool {
        false
    }
}

pub(crate) use switch::active;
#[cfg(feature = "mutations")]
pub use switch::{ALL, set};
