//! Connections for those who read `record.db`: a page waits for no batch that is being written.
//!
//! Each reader sees one moment of the record from its first question to its last. Refuses to write.

use super::db::RecordDb;
use crate::platform::lock;
use anyhow::Result;
use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Connections that are kept open while nobody reads.
const KEPT_MAX: usize = 8;

/// Readers of one file.
pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<RecordDb>>,
}

impl Readers {
    /// Of a file that exists.
    pub fn new(path: &Path) -> Readers {
        Readers { path: path.to_path_buf(), idle: Mutex::new(Vec::new()) }
    }
    /// The record as it is at this moment, for as long as it is held. Not to be held for long: what is written meanwhile cannot
    /// be put away.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn read(&self) -> Result<Reading<'_>> {
        let idle = lock(&self.idle).pop();
        let db = idle.map_or_else(|| RecordDb::reader(&self.path), Ok)?;
        db.connection().execute_batch("BEGIN")?;
        Ok(Reading { readers: self, db: Some(db) })
    }
}

/// A moment of the record.
pub struct Reading<'a> {
    readers: &'a Readers,
    /// Some until it is dropped.
    db: Option<RecordDb>,
}
impl Deref for Reading<'_> {
    type Target = RecordDb;
    fn deref(&self) -> &RecordDb {
        self.db.as_ref().expect("a reading has its connection until it is dropped")
    }
}
impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if db.connection().execute_batch("ROLLBACK").is_ok() {
            let mut idle = lock(&self.readers.idle);
            if idle.len() < KEPT_MAX {
                idle.push(db);
            }
        }
    }
}
