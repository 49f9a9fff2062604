//! Reading a segment: whole batches from a position, or everything with its chain. Refuses to
//! return what does not match its checksum, its place, or (in a scan) its chain.

use super::{ReadBudget, Segment, SegmentInfo};
use crate::chain::{BatchHeader, ChainHash};
use crate::error::JournalError;
use crate::frame::Batch;
use crate::mutation::{self, Mutation};
use crate::{BATCH_RECORDS_MAX, Position};
use rusqlite::Row;
use std::path::Path;

/// A stored batch with everything that covers it.
pub(crate) struct StoredBatch {
    pub header: BatchHeader,
    pub chain: ChainHash,
    pub batch: Batch,
}

impl Segment {
    /// Reads whole batches, the first one holding the record after `after`. Empty at the end.
    pub fn read(&self, after: Position, budget: ReadBudget) -> Result<Vec<Batch>, JournalError> {
        let mut batches = Vec::new();
        let mut left = budget;
        let mut expected: Option<Position> = None;
        self.visit(after, &mut |stored| {
            let header = stored.header;
            let wanted = expected.unwrap_or_else(|| header.first.min(after.next()));
            if header.first != wanted {
                let what = format!("the batch of record {wanted} is missing");
                return Err(self.damaged(header.first, what));
            }
            expected = Some(header.last().next());
            if header.last() <= after {
                return Ok(true);
            }
            let mut batch = stored.batch;
            batch.skip_to(after);
            left.records = left.records.saturating_sub(batch.len());
            left.bytes = left.bytes.saturating_sub(batch.frame_bytes());
            batches.push(batch);
            Ok(left.records > 0 && left.bytes > 0)
        })?;
        Ok(batches)
    }

    /// Walks every batch, checks sums, order, times and chain, and brings `info` up to date.
    /// `seen` gets the frame bytes of each batch. A seal must agree with what is there.
    pub fn scan(&mut self, seen: &mut dyn FnMut(u64)) -> Result<(), JournalError> {
        let claimed = self.info;
        let mut found = SegmentInfo {
            last: Position(claimed.first.0 - 1),
            batch_count: 0,
            frame_bytes: 0,
            last_at_ms: self.prev_at_ms()?,
            chain: claimed.prev_chain,
            ..claimed
        };
        self.visit(Position::START, &mut |stored| {
            let header = stored.header;
            if header.first != found.last.next() {
                let what = format!("the batch of record {} is missing", found.last.next());
                return Err(self.damaged(header.first, what));
            }
            if header.at_ms < found.last_at_ms {
                return Err(self.damaged(header.first, "its time is before its predecessor's"));
            }
            let bytes = stored.batch.frame_bytes() as u64;
            let chain = found.chain.advance(&header, stored.batch.frame());
            if chain != stored.chain && !mutation::active(Mutation::SkipChecksum) {
                return Err(self.damaged(header.first, "its chain hash does not match"));
            }
            found.chain = chain;
            found.last = header.last();
            found.last_at_ms = header.at_ms;
            found.batch_count += 1;
            found.frame_bytes += bytes;
            seen(bytes);
            Ok(true)
        })?;
        if claimed.sealed && claimed != found && !mutation::active(Mutation::SkipChecksum) {
            let what = "its seal does not agree with its batches";
            return Err(JournalError::corrupt(claimed.number, None, what));
        }
        self.info = found;
        Ok(())
    }

    fn prev_at_ms(&self) -> Result<i64, JournalError> {
        self.conn
            .query_row("SELECT prev_at_ms FROM segment", [], |row| row.get(0))
            .map_err(|source| JournalError::sqlite(self.info.number, "reading", source))
    }

    /// Calls `each` for every batch from the one that holds the record after `after`, until it
    /// returns `false`. Sums and frames are checked.
    fn visit(
        &self,
        after: Position,
        each: &mut dyn FnMut(StoredBatch) -> Result<bool, JournalError>,
    ) -> Result<(), JournalError> {
        let sqlite = |source| JournalError::sqlite(self.info.number, "reading batches", source);
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT first, count, at_ms, checksum, chain, frame FROM batch
                 WHERE first >= (SELECT coalesce(max(first), 0) FROM batch WHERE first <= ?1)
                 ORDER BY first",
            )
            .map_err(sqlite)?;
        let start = i64::try_from(after.next().0).unwrap_or(i64::MAX);
        let mut rows = statement.query([start]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            if !each(self.stored(row)?)? {
                break;
            }
        }
        Ok(())
    }

    fn stored(&self, row: &Row<'_>) -> Result<StoredBatch, JournalError> {
        let number = self.info.number;
        let bad = |source| JournalError::corrupt(number, None, format!("a batch cannot be read: {source}"));
        let first: i64 = row.get(0).map_err(bad)?;
        let first = Position(first as u64);
        let count: i64 = row.get(1).map_err(bad)?;
        if !(1..=BATCH_RECORDS_MAX as i64).contains(&count) {
            return Err(self.damaged(first, format!("it says it has {count} records")));
        }
        let header = BatchHeader { first, count: count as u32, at_ms: row.get(2).map_err(bad)? };
        let checksum: u32 = row.get(3).map_err(bad)?;
        let chain: [u8; 32] = row.get(4).map_err(bad)?;
        let frame: Vec<u8> = row.get(5).map_err(bad)?;
        if header.checksum(&frame) != checksum && !mutation::active(Mutation::SkipChecksum) {
            return Err(self.damaged(first, "its checksum does not match"));
        }
        let batch =
            Batch::new(first, header.at_ms, frame).map_err(|error| self.damaged(first, error.to_string()))?;
        if batch.len() != header.count as usize {
            return Err(self.damaged(first, "its frame has another number of records"));
        }
        Ok(StoredBatch { header, chain: ChainHash(chain), batch })
    }

    /// Copies the segment as it is now into a new file, through SQLite.
    pub fn copy_into(&self, file: &Path) -> Result<(), JournalError> {
        let text = file.to_string_lossy();
        self.conn
            .execute("VACUUM INTO ?1", [text.as_ref()])
            .map(|_| ())
            .map_err(|source| JournalError::sqlite(self.info.number, "copying", source))
    }
}
