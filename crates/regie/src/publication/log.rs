//! The log as publishing needs it: append, withhold, read again. Refuses to know how it is kept.

use anyhow::Result;
use regie_model::UtcMs;
use regie_record::{
    commit::Sha256Hash,
    leaf::{Leaf, Sheet},
    log::{Append, leaf::View},
};

/// The log, as publishing needs it.
pub trait Log: Send {
    /// Appends versions durably, in order; the index of the first. `position`: how far in the journal they follow from.
    ///
    /// # Errors
    /// Then nobody knows whether they were appended, until [`Log::read`] says.
    fn append(&mut self, sheets: &[Sheet], position: u64) -> Result<u64>;
    /// Appends one entry that is not about an ad; its index.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn append_entry(&mut self, entry: Append, position: u64) -> Result<u64>;
    /// Says in the log that an object of an entry about an ad is withheld, then deletes it.
    ///
    /// # Errors
    /// As [`Log::append`]; the object then stays.
    fn withhold(
        &mut self,
        leaf: &Leaf,
        part: &str,
        object: Sha256Hash,
        ground: &str,
        now: UtcMs,
    ) -> Result<()> {
        let view = View::read(&leaf.to_bytes()?)?;
        self.withhold_of(&format!("{} {}", view.kind, view.id), part, object, ground, now)
    }
    /// The same of any entry, named by its kind and id.
    ///
    /// # Errors
    /// As [`Log::withhold`].
    fn withhold_of(
        &mut self,
        of: &str,
        part: &str,
        object: Sha256Hash,
        ground: &str,
        now: UtcMs,
    ) -> Result<()>;
    /// Leaves from an index on that `record.db` has not read, in order: index, bytes. At most a batch; none at the end.
    ///
    /// # Errors
    /// The log's.
    fn read(&mut self, from: u64) -> Result<Vec<(u64, Vec<u8>)>>;
    /// An object's bytes.
    ///
    /// # Errors
    /// The log's.
    fn object(&mut self, hash: &Sha256Hash) -> Result<Option<Vec<u8>>>;
    /// The time of a leaf that is made now: never before that of one that stands before it.
    fn time(&self, now: UtcMs) -> UtcMs {
        now
    }
    /// How many leaves it has.
    fn size(&self) -> u64;
}

/// A list without a tree: what publishing appends to where no log is kept.
pub struct Plain {
    size: u64,
}
impl Plain {
    /// Of so many leaves.
    pub fn new(size: u64) -> Plain {
        Plain { size }
    }
}
impl Log for Plain {
    fn append(&mut self, sheets: &[Sheet], _: u64) -> Result<u64> {
        let first = self.size;
        self.size += sheets.len() as u64;
        Ok(first)
    }
    fn append_entry(&mut self, _: Append, _: u64) -> Result<u64> {
        self.size += 1;
        Ok(self.size - 1)
    }
    fn withhold_of(&mut self, _: &str, _: &str, _: Sha256Hash, _: &str, _: UtcMs) -> Result<()> {
        Ok(())
    }
    fn read(&mut self, _: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        Ok(Vec::new())
    }
    fn object(&mut self, _: &Sha256Hash) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn size(&self) -> u64 {
        self.size
    }
}
