//! One segment: one SQLite database with a row per batch and a row about itself. Refuses to be
//! half made: it is built under another name and renamed into place. Holds L1 within one file:
//! one batch, one transaction, `synchronous=FULL`, and every read checks what it reads.

mod connection;
mod read;

use crate::Position;
use crate::chain::{BatchHeader, ChainHash};
use crate::disk::Disk;
use crate::error::JournalError;
pub(crate) use connection::wal_has_data;
use connection::{build, checkpoint, configure_writer, connect, describe, immutable_uri, set_exclusive};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Folder of sealed segments that were put aside, inside the journal's folder.
pub(crate) const ARCHIVE_DIR: &str = "archive";

/// What is known about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number, from 1; its file is `{number:08}.db`.
    pub number: u32,
    /// The position of its first record, whether or not there is one yet.
    pub first: Position,
    /// Its last record, `first - 1` when it is empty.
    pub last: Position,
    /// How many batches.
    pub batch_count: u64,
    /// The size of all frames, in bytes.
    pub frame_bytes: u64,
    /// The append time of the last batch, its predecessor's when it is empty (`i64::MIN`: none).
    pub last_at_ms: i64,
    /// The chain hash at the end of its predecessor.
    pub prev_chain: ChainHash,
    /// The chain hash at its end.
    pub chain: ChainHash,
    /// Closed for good.
    pub sealed: bool,
    /// Moved to the archive folder.
    pub archived: bool,
}

impl SegmentInfo {
    /// How many records.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.last.0 + 1 - self.first.0
    }

    /// The segment that comes after this one, still empty.
    pub(crate) fn successor(&self) -> SegmentInfo {
        SegmentInfo {
            number: self.number + 1,
            first: self.last.next(),
            last: self.last,
            batch_count: 0,
            frame_bytes: 0,
            last_at_ms: self.last_at_ms,
            prev_chain: self.chain,
            chain: self.chain,
            sealed: false,
            archived: false,
        }
    }

    /// What a journal begins with.
    pub(crate) fn genesis() -> SegmentInfo {
        SegmentInfo {
            number: 1,
            first: Position(1),
            last: Position::START,
            batch_count: 0,
            frame_bytes: 0,
            last_at_ms: i64::MIN,
            prev_chain: ChainHash::GENESIS,
            chain: ChainHash::GENESIS,
            sealed: false,
            archived: false,
        }
    }
}

pub(crate) fn file_name(number: u32) -> String {
    format!("{number:08}.db")
}

/// How much one read may return; at least one batch always comes.
#[derive(Clone, Copy)]
pub(crate) struct ReadBudget {
    pub records: usize,
    pub bytes: usize,
}

/// How a writer works on its segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing {
    /// One connection only, no shared memory.
    pub exclusive: bool,
    /// The write-ahead log is copied into the database after this many bytes.
    pub checkpoint_bytes: u64,
}

/// An open segment.
pub(crate) struct Segment {
    conn: Connection,
    info: SegmentInfo,
    wal_bytes: u64,
    checkpoint_bytes: u64,
    /// Closing may copy the log into the database and remove it: nothing has failed.
    tidy: bool,
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.tidy {
            let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
    }
}

impl Segment {
    /// Makes an empty segment whole under another name, then puts it in place, durably.
    pub fn create(
        disk: &dyn Disk,
        dir: &Path,
        info: &SegmentInfo,
        how: Writing,
    ) -> Result<Segment, JournalError> {
        let number = info.number;
        let doing = "creating a segment";
        let sqlite = |source| JournalError::sqlite(number, doing, source);
        let io = |source| JournalError::io(format!("{doing} (segment {number:08})"), source);
        let building = dir.join(format!("{}.new", file_name(number)));
        build(disk, &building, info, how.exclusive).map_err(sqlite)?;
        disk.rename(&building, &dir.join(file_name(number))).map_err(io)?;
        disk.sync_dir(dir).map_err(io)?;
        let mut segment = Segment::open_write(disk, dir, number, how)?;
        segment.tidy = true;
        Ok(segment)
    }

    /// Opens for writing; `info` holds only what the segment says about itself until
    /// [`Segment::scan`] or a seal. Nothing may be shown to anyone before [`Segment::settle`].
    pub fn open_write(
        disk: &dyn Disk,
        dir: &Path,
        number: u32,
        how: Writing,
    ) -> Result<Segment, JournalError> {
        let sqlite = |source| JournalError::sqlite(number, "opening a segment", source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let conn = connect(disk, &dir.join(file_name(number)), flags).map_err(sqlite)?;
        configure_writer(&conn, how.exclusive).map_err(sqlite)?;
        let mut segment = Segment::describe(conn, number, false)?;
        segment.checkpoint_bytes = how.checkpoint_bytes;
        Ok(segment)
    }

    /// Makes durable what was found. A process that was killed leaves records in the log that were
    /// written and never synced; after a failed sync the log may even read back what the device
    /// does not hold. So: a commit of our own syncs the log, copying the log into the database
    /// writes everything anew, and one more commit begins the log anew, so that the old one cannot
    /// come back in part.
    pub fn settle(&mut self) -> Result<(), JournalError> {
        let sqlite = |source| JournalError::sqlite(self.info.number, "making a recovery durable", source);
        let bump = "UPDATE segment SET opened_count = opened_count + 1";
        self.conn.execute(bump, []).map_err(sqlite)?;
        checkpoint(&self.conn, "TRUNCATE").map_err(sqlite)?;
        self.conn.execute(bump, []).map_err(sqlite)?;
        self.tidy = true;
        Ok(())
    }

    /// Opens for reading beside a writer. An archived segment is read as it is, without locks.
    pub fn open_read(
        disk: &dyn Disk,
        dir: &Path,
        number: u32,
        archived: bool,
    ) -> Result<Segment, JournalError> {
        let sqlite = |source| JournalError::sqlite(number, "opening a segment to read", source);
        let folder = if archived { dir.join(ARCHIVE_DIR) } else { dir.to_path_buf() };
        let path = folder.join(file_name(number));
        if disk.exclusive_only() {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
            let conn = connect(disk, &path, flags).map_err(sqlite)?;
            set_exclusive(&conn).map_err(sqlite)?;
            return Segment::describe(conn, number, archived);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = |path: &Path, flags| {
            let conn = connect(disk, path, flags).map_err(sqlite)?;
            Segment::describe(conn, number, archived)
        };
        let unchanging = immutable_uri(&path);
        let as_is = |uri: &Path| open(uri, flags | OpenFlags::SQLITE_OPEN_URI);
        if archived {
            return as_is(&unchanging);
        }
        match open(&path, flags) {
            // A read-only medium has no room for the log's shared memory.
            Err(JournalError::Sqlite { .. }) if !wal_has_data(disk, &folder, number) => as_is(&unchanging),
            other => other,
        }
    }

    fn describe(conn: Connection, number: u32, archived: bool) -> Result<Segment, JournalError> {
        let info = describe(&conn, number, archived)?;
        Ok(Segment { conn, info, wal_bytes: 0, checkpoint_bytes: u64::MAX, tidy: false })
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// Asks the file again what it says of itself: whether it was sealed meanwhile.
    pub fn refresh(&mut self) -> Result<(), JournalError> {
        self.info = describe(&self.conn, self.info.number, self.info.archived)?;
        Ok(())
    }

    /// Writes one batch as one transaction. After an error the outcome is unknown.
    pub fn insert(&mut self, header: BatchHeader, frame: &[u8]) -> Result<(), JournalError> {
        let number = self.info.number;
        let chain = self.info.chain.advance(&header, frame);
        self.conn
            .prepare_cached(
                "INSERT INTO batch (first, count, at_ms, checksum, chain, frame)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| {
                statement.execute((
                    header.first.0 as i64,
                    header.count,
                    header.at_ms,
                    header.checksum(frame),
                    &chain.0[..],
                    frame,
                ))
            })
            .map_err(|source| {
                self.tidy = false;
                JournalError::sqlite(number, "committing a batch", source)
            })?;
        self.note(&header, chain, frame.len());
        self.wal_bytes += frame.len() as u64 + 8192;
        Ok(())
    }

    fn note(&mut self, header: &BatchHeader, chain: ChainHash, frame_bytes: usize) {
        self.info.last = header.last();
        self.info.last_at_ms = header.at_ms;
        self.info.batch_count += 1;
        self.info.frame_bytes += frame_bytes as u64;
        self.info.chain = chain;
    }

    /// Copies the write-ahead log into the database when it has grown enough.
    pub fn checkpoint_if_due(&mut self) -> Result<(), JournalError> {
        if self.wal_bytes < self.checkpoint_bytes {
            return Ok(());
        }
        self.wal_bytes = 0;
        checkpoint(&self.conn, "PASSIVE").map(|_| ()).map_err(|source| {
            self.tidy = false;
            JournalError::sqlite(self.info.number, "checkpointing", source)
        })
    }

    /// Writes the seal, durably, and puts everything into the one file if no reader hinders it.
    pub fn seal(mut self) -> Result<SegmentInfo, JournalError> {
        let number = self.info.number;
        let sqlite = |source| JournalError::sqlite(number, "sealing", source);
        self.tidy = false;
        self.conn
            .execute(
                "UPDATE segment SET sealed_last = ?1, sealed_batch_count = ?2,
                 sealed_frame_bytes = ?3, sealed_at_ms = ?4, sealed_chain = ?5 WHERE id = 1",
                (
                    self.info.last.0 as i64,
                    self.info.batch_count as i64,
                    self.info.frame_bytes as i64,
                    self.info.last_at_ms,
                    &self.info.chain.0[..],
                ),
            )
            .map_err(sqlite)?;
        self.info.sealed = true;
        self.conn.busy_timeout(Duration::ZERO).map_err(sqlite)?;
        checkpoint(&self.conn, "TRUNCATE").map_err(sqlite)?;
        self.tidy = true;
        Ok(self.info)
    }

    /// From now on closing writes nothing more: after a failure the files stay as they are.
    pub fn abandon(&mut self) {
        self.tidy = false;
    }

    fn damaged(&self, batch: Position, what: impl Into<String>) -> JournalError {
        JournalError::corrupt(self.info.number, Some(batch), what)
    }
}
