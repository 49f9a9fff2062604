//! Connections to segment files, and what a segment says of itself. Refuses a file of another
//! number or of a newer format, and a writer without a write-ahead log.

use super::{SegmentInfo, file_name};
use crate::Position;
use crate::chain::ChainHash;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::mutation::{self, Mutation};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The segment format that this version writes, and the newest that it reads.
const FORMAT: i64 = 1;
/// How long a reader waits for a lock.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE segment (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    prev_chain BLOB NOT NULL,
    prev_at_ms INTEGER NOT NULL,
    opened_count INTEGER NOT NULL DEFAULT 0,
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

/// Makes an empty segment in a file of its own, whole and synced. Until it is renamed it is scratch,
/// so it needs no journal, and what fails leaves nothing to roll back.
pub(super) fn build(
    disk: &dyn Disk,
    file: &Path,
    info: &SegmentInfo,
    exclusive: bool,
) -> rusqlite::Result<()> {
    let conn = connect(disk, file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if exclusive {
        set_exclusive(&conn)?;
    }
    pragma(&conn, "PRAGMA journal_mode = OFF", |_| Ok(()))?;
    set_durable(&conn)?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(SCHEMA)?;
    conn.execute(
        "INSERT INTO segment (id, format, number, first, prev_chain, prev_at_ms)
         VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        (FORMAT, info.number, info.first.0 as i64, &info.prev_chain.0[..], info.last_at_ms),
    )?;
    conn.execute_batch("COMMIT")?;
    set_wal(&conn)?;
    conn.close().map_err(|(_, source)| source)
}

/// What a segment says of itself.
pub(super) fn describe(conn: &Connection, number: u32, archived: bool) -> Result<SegmentInfo, JournalError> {
    let mut info = conn
        .query_row(
            "SELECT format, number, first, prev_chain, prev_at_ms, sealed_last, sealed_batch_count,
             sealed_frame_bytes, sealed_at_ms, sealed_chain FROM segment",
            [],
            |row| Ok(describe_row(row, number)),
        )
        .map_err(|source| JournalError::sqlite(number, "reading what a segment says of itself", source))??;
    info.archived = archived;
    Ok(info)
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

pub(super) fn connect(disk: &dyn Disk, path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match disk.vfs_name() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    conn.busy_timeout(BUSY)?;
    // Closing the last connection copies the log and deletes it; after a failure that must not be.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

pub(super) fn set_exclusive(conn: &Connection) -> rusqlite::Result<()> {
    pragma(conn, "PRAGMA locking_mode = EXCLUSIVE", |_| Ok(()))
}

/// Runs a pragma that answers with one row, to its end: some commit only after their row, and an
/// error from that must not be lost.
fn pragma<T>(
    conn: &Connection,
    sql: &str,
    take: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let answer = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows).and_then(take)?;
    while rows.next()?.is_some() {}
    Ok(answer)
}

pub(super) fn configure_writer(conn: &Connection, exclusive: bool) -> rusqlite::Result<()> {
    if exclusive {
        set_exclusive(conn)?;
    }
    set_wal(conn)?;
    pragma(conn, "PRAGMA wal_autocheckpoint = 0", |_| Ok(()))?;
    set_durable(conn)
}

fn set_wal(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String = pragma(conn, "PRAGMA journal_mode = WAL", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
        Some(format!("the write-ahead log cannot be used here (mode {mode})")),
    ))
}

fn set_durable(conn: &Connection) -> rusqlite::Result<()> {
    let synchronous = if mutation::active(Mutation::NoFsync) { "OFF" } else { "FULL" };
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = 1; PRAGMA temp_store = MEMORY;"
    ))
}

/// Returns whether a reader hindered it, and how many pages are left in the log.
pub(super) fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<(bool, i64)> {
    pragma(conn, &format!("PRAGMA wal_checkpoint({mode})"), |row| {
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

pub(super) fn immutable_uri(path: &Path) -> PathBuf {
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
