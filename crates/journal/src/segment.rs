//! One segment: one SQLite database with a row per batch and a row about itself. Refuses to be
//! half made: it is built under another name and renamed into place. Holds L1 within one file:
//! one batch, one transaction, `synchronous=FULL`, and every read checks what it reads.

use crate::chain::{BatchHeader, ChainHash};
use crate::disk::Disk;
use crate::error::JournalError;
use crate::frame::Batch;
use crate::mutation::{self, Mutation};
use crate::{BATCH_RECORDS_MAX, Position};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The segment format that this version writes, and the newest that it reads.
const FORMAT: i64 = 1;
/// The write-ahead log is copied into the database after this many bytes.
const CHECKPOINT_BYTES: u64 = 16 << 20;
/// How long a reader waits for a lock.
const BUSY: Duration = Duration::from_secs(5);
/// Folder of sealed segments that were put aside, inside the journal's folder.
pub(crate) const ARCHIVE_DIR: &str = "archive";

const SCHEMA: &str = "
CREATE TABLE segment (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    prev_chain BLOB NOT NULL,
    prev_at_ms INTEGER NOT NULL,
    sealed_last INTEGER,
    sealed_batch_count INTEGER,
    sealed_frame_bytes INTEGER,
    sealed_at_ms INTEGER,
    sealed_chain BLOB
) STRICT;
CREATE TABLE batch (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    chain BLOB NOT NULL,
    frame BLOB NOT NULL
) STRICT;";

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

pub(crate) fn path_of(dir: &Path, info: &SegmentInfo) -> PathBuf {
    if info.archived {
        dir.join(ARCHIVE_DIR).join(file_name(info.number))
    } else {
        dir.join(file_name(info.number))
    }
}

/// A stored batch with everything that covers it.
pub(crate) struct StoredBatch {
    pub header: BatchHeader,
    pub chain: ChainHash,
    pub batch: Batch,
}

/// How much one read may return; at least one batch always comes.
#[derive(Clone, Copy)]
pub(crate) struct ReadBudget {
    pub records: usize,
    pub bytes: usize,
}

/// An open segment.
pub(crate) struct Segment {
    conn: Connection,
    info: SegmentInfo,
    wal_bytes: u64,
}

impl Segment {
    /// Makes an empty segment whole under another name, then puts it in place, durably.
    pub fn create(
        disk: &dyn Disk,
        dir: &Path,
        info: &SegmentInfo,
        exclusive: bool,
    ) -> Result<Segment, JournalError> {
        let number = info.number;
        let doing = "creating a segment";
        let sqlite = |source| JournalError::sqlite(number, doing, source);
        let io = |source| JournalError::io(format!("{doing} (segment {number:08})"), source);
        let path = dir.join(file_name(number));
        let building = dir.join(format!("{}.new", file_name(number)));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let conn = connect(disk, &building, flags).map_err(sqlite)?;
        configure_writer(&conn, exclusive).map_err(sqlite)?;
        let made = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            conn.execute_batch(SCHEMA)?;
            conn.execute(
                "INSERT INTO segment (id, format, number, first, prev_chain, prev_at_ms)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                (FORMAT, number, info.first.0 as i64, &info.prev_chain.0[..], info.last_at_ms),
            )?;
            conn.execute_batch("COMMIT")
        });
        made.map_err(sqlite)?;
        let (busy, _) = checkpoint(&conn, "TRUNCATE").map_err(sqlite)?;
        if busy {
            return Err(io(std::io::ErrorKind::ResourceBusy.into()));
        }
        conn.close().map_err(|(_, source)| sqlite(source))?;
        disk.rename(&building, &path).map_err(io)?;
        disk.sync_dir(dir).map_err(io)?;
        Segment::open_write(disk, dir, number, exclusive)
    }

    /// Opens for writing; `info` holds only what the segment says about itself until
    /// [`Segment::scan`] or a seal.
    pub fn open_write(
        disk: &dyn Disk,
        dir: &Path,
        number: u32,
        exclusive: bool,
    ) -> Result<Segment, JournalError> {
        let sqlite = |source| JournalError::sqlite(number, "opening a segment", source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let conn = connect(disk, &dir.join(file_name(number)), flags).map_err(sqlite)?;
        configure_writer(&conn, exclusive).map_err(sqlite)?;
        Segment::describe(conn, number, false)
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
        let mut info = conn
            .query_row("SELECT format, number, first, prev_chain, prev_at_ms, sealed_last, sealed_batch_count, sealed_frame_bytes, sealed_at_ms, sealed_chain FROM segment", [], |row| {
                Ok(describe_row(row, number))
            })
            .map_err(|source| JournalError::sqlite(number, "reading what a segment says of itself", source))??;
        info.archived = archived;
        Ok(Segment { conn, info, wal_bytes: 0 })
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// Asks the file again what it says of itself: whether it was sealed meanwhile.
    pub fn refresh(self) -> Result<Segment, JournalError> {
        Segment::describe(self.conn, self.info.number, self.info.archived)
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
            .map_err(|source| JournalError::sqlite(number, "committing a batch", source))?;
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
        if self.wal_bytes < CHECKPOINT_BYTES {
            return Ok(());
        }
        self.wal_bytes = 0;
        checkpoint(&self.conn, "PASSIVE")
            .map(|_| ())
            .map_err(|source| JournalError::sqlite(self.info.number, "checkpointing", source))
    }

    /// Writes the seal, durably, and puts everything into the one file if no reader hinders it.
    pub fn seal(mut self) -> Result<SegmentInfo, JournalError> {
        let number = self.info.number;
        let sqlite = |source| JournalError::sqlite(number, "sealing", source);
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
        let info = self.info;
        self.conn.close().map_err(|(_, source)| sqlite(source))?;
        Ok(info)
    }

    /// From now on closing writes nothing more: after a failure the files stay as they are.
    pub fn abandon(&self) {
        // Else SQLite would copy the log and delete it. This only changes a flag in memory.
        let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

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

    fn damaged(&self, batch: Position, what: impl Into<String>) -> JournalError {
        JournalError::corrupt(self.info.number, Some(batch), what)
    }
}

fn describe_row(row: &Row<'_>, number: u32) -> Result<SegmentInfo, JournalError> {
    let bad = |source: rusqlite::Error| {
        let what = format!("what it says of itself cannot be read: {source}");
        JournalError::corrupt(number, None, what)
    };
    let chain = |index: usize| {
        let bytes: [u8; 32] = row.get(index).map_err(bad)?;
        Ok(ChainHash(bytes))
    };
    let found: i64 = row.get(0).map_err(bad)?;
    if found != FORMAT {
        return Err(JournalError::Format { segment: number, found, supported: FORMAT });
    }
    let own: i64 = row.get(1).map_err(bad)?;
    if own != i64::from(number) {
        let what = format!("it says that it is segment {own}");
        return Err(JournalError::corrupt(number, None, what));
    }
    let first: i64 = row.get(2).map_err(bad)?;
    if first < 1 {
        return Err(JournalError::corrupt(number, None, "it starts before record 1"));
    }
    let sealed_last: Option<i64> = row.get(5).map_err(bad)?;
    let mut info = SegmentInfo {
        number,
        first: Position(first as u64),
        last: Position(first as u64 - 1),
        batch_count: 0,
        frame_bytes: 0,
        last_at_ms: row.get(4).map_err(bad)?,
        prev_chain: chain(3)?,
        chain: chain(3)?,
        sealed: sealed_last.is_some(),
        archived: false,
    };
    if let Some(last) = sealed_last {
        if last < first {
            return Err(JournalError::corrupt(number, None, "it was sealed empty"));
        }
        info.last = Position(last as u64);
        info.batch_count = row.get::<_, i64>(6).map_err(bad)? as u64;
        info.frame_bytes = row.get::<_, i64>(7).map_err(bad)? as u64;
        info.last_at_ms = row.get(8).map_err(bad)?;
        info.chain = chain(9)?;
    }
    Ok(info)
}

fn connect(disk: &dyn Disk, path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match disk.vfs_name() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

fn set_exclusive(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))
}

fn configure_writer(conn: &Connection, exclusive: bool) -> rusqlite::Result<()> {
    if exclusive {
        set_exclusive(conn)?;
    }
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("the write-ahead log cannot be used here (mode {mode})")),
        ));
    }
    conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    let synchronous = if mutation::active(Mutation::NoFsync) { "OFF" } else { "FULL" };
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = 1; PRAGMA temp_store = MEMORY;"
    ))
}

/// Returns whether a reader hindered it, and how many pages are left in the log.
fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<(bool, i64)> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let busy: i64 = row.get(0)?;
        Ok((busy != 0, row.get(1)?))
    })
}

/// Whether a segment has a write-ahead log that is not empty.
pub(crate) fn wal_has_data(disk: &dyn Disk, folder: &Path, number: u32) -> bool {
    let wal = format!("{}-wal", file_name(number));
    disk.list(folder)
        .is_ok_and(|entries| entries.iter().any(|entry| entry.name == wal && entry.size_bytes > 0))
}

fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}
