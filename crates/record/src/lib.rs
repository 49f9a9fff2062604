//! The public record: who paid for an ad, for whom, how much, and how often it was shown.
//!
//! Builds an ad's entry from the catalogue, exact totals and decrypted names. Holds law R4: an [`Entry`] has only
//! the fields listed in [`ALLOWED_KEYS`], and there is no way to put a viewer's data into it. An ad has an entry
//! from its first impression on, and not before; its facts are a leaf of the log before that. Refuses IO, a clock,
//! randomness, and knowing how an ad is chosen.

pub mod breakdown;
mod build;
pub mod canonical;
pub mod commit;
pub mod dayclose;
mod entry;
pub mod export;
mod facts;
mod history;
pub mod known;
pub mod leaf;
pub mod log;
mod notice;
pub mod promise;
pub mod shown;
pub mod texts;
mod words;

pub use build::{Figures, Sources, entry, facts};
pub use entry::*;
pub use facts::*;
pub use history::{Subject, history_of};
pub use words::{clause_in_words, price_in_words, targeting_in_words};

/// Version of the entry's schema (docs/RECORD-FORMAT.md).
pub const SCHEMA_VERSION: u32 = 1;
