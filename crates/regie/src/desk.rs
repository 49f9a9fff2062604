//! The desk: what people prepare and fetch. Drafts of bookings, orders for reports, and the files made for them.
//!
//! It lies in `desk.db` and `downloads/`, beside the journal and never in it: nothing here is booked, shown or charged. A
//! draft that is lost costs its typing, an order that is lost is placed again (ADR 28). Refuses to judge what a draft says
//! and who may see a file: its callers do.

mod drafts;
mod orders;

pub use drafts::{Content, DRAFTS_COUNT_MAX, Draft};
pub use orders::{Every, FILE_DAYS_DEFAULT, FILE_DAYS_MAX, File, NewFile, NewOrder, ORDERS_COUNT_MAX, Order};

use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS drafts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER NOT NULL, changed_at INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT, advertiser INTEGER NOT NULL, campaign INTEGER NOT NULL, user INTEGER,
  every TEXT NOT NULL, dimensions TEXT NOT NULL, keep_days INTEGER NOT NULL, mail INTEGER NOT NULL, made_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL, problem TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS files (
  id INTEGER PRIMARY KEY AUTOINCREMENT, report_order INTEGER NOT NULL, advertiser INTEGER NOT NULL, campaign INTEGER NOT NULL,
  first_day INTEGER NOT NULL, last_day INTEGER NOT NULL, made_at INTEGER NOT NULL, keep_until INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL, rows_count INTEGER NOT NULL, name TEXT NOT NULL,
  UNIQUE (report_order, first_day, last_day));
";

/// Why the desk could not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// SQLite refused.
    #[error("desk.db: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A draft that cannot be read.
    #[error("a draft cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A file that cannot be written or read.
    #[error("a file of a report: {0}")]
    File(#[from] std::io::Error),
    /// A limit bites; the text is for the caller.
    #[error("{0}")]
    Limit(String),
}

/// The desk of a data folder.
pub struct Desk {
    connection: Mutex<Connection>,
    downloads: PathBuf,
}

impl Desk {
    /// Opens or makes the desk of a data folder.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(folder: &Path) -> Result<Desk, DeskError> {
        let path = Desk::database(folder);
        let connection = Connection::open(&path)?;
        connection.execute_batch(SCHEMA)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(Desk { connection: Mutex::new(connection), downloads: folder.join("downloads") })
    }
    /// Where the database of a folder lies.
    pub fn database(folder: &Path) -> PathBuf {
        folder.join("desk.db")
    }
    /// Copies the database, for a backup; files are made again, and are not copied.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn backup_to(&self, target: &Path) -> Result<(), DeskError> {
        self.lock().execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
        Ok(())
    }
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
