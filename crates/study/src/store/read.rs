//! Reading facts back: chunk by chunk, only the columns a question needs.

use super::Store;
use super::columns::{self, Column};
use super::snapshot::SnapshotId;
use super::write::packed_id;
use crate::amount::Amount;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::subject::Subject;
use rusqlite::params;
use std::collections::HashMap;

/// One chunk of rows, unpacked. Columns that were not asked for are empty.
pub struct Chunk {
    /// The snapshot it belongs to.
    pub snapshot: SnapshotId,
    /// Number of rows.
    pub rows: usize,
    columns: Vec<Vec<i64>>,
    items: Vec<u8>,
}

impl Chunk {
    /// No rows.
    pub fn empty() -> Chunk {
        let columns = (0..Column::NUMBERS).map(|_| Vec::new()).collect();
        Chunk { snapshot: SnapshotId(0), rows: 0, columns, items: Vec::new() }
    }
    /// A whole-number column.
    #[inline]
    pub fn column(&self, column: Column) -> &[i64] {
        &self.columns[column as usize]
    }
    /// Days of a row's period.
    #[inline]
    pub fn period(&self, row: usize) -> (Day, Day) {
        let from = self.columns[Column::From as usize][row] as i32;
        (Day(from), Day(from.saturating_add(self.columns[Column::Days as usize][row] as i32)))
    }
    /// Money of a row.
    #[inline]
    pub fn spend(&self, row: usize) -> Amount {
        self.amount(row, Column::Lower, Column::Width)
    }
    /// Impressions of a row.
    #[inline]
    pub fn views(&self, row: usize) -> Amount {
        self.amount(row, Column::ViewsLower, Column::ViewsWidth)
    }
    #[inline]
    fn amount(&self, row: usize, lower: Column, width: Column) -> Amount {
        let lower = self.columns[lower as usize][row];
        let width = self.columns[width as usize][row];
        Amount { lower, upper: (width > 0).then(|| lower.saturating_add(width - 1)) }
    }
    /// Id of the row's ad, or empty.
    pub fn item(&self, row: usize) -> &[u8] {
        columns::text_at(&self.items, self.rows, row)
    }
}

/// A scan over the chunks of some snapshots.
pub struct Scan<'s> {
    store: &'s Store,
    chunks: Vec<(i64, SnapshotId, usize)>,
    wanted: Vec<Column>,
}

impl Scan<'_> {
    /// Calls `each` for every chunk, in order of import. One chunk is in memory at a time.
    pub fn each(&self, mut each: impl FnMut(&Chunk) -> Result<()>) -> Result<()> {
        let mut chunk = Chunk::empty();
        let mut query = self.store.db.prepare_cached("SELECT data FROM packed WHERE id = ?1")?;
        for (id, snapshot, rows) in &self.chunks {
            (chunk.snapshot, chunk.rows) = (*snapshot, *rows);
            for column in &self.wanted {
                let mut found = query.query([packed_id(*id, *column as usize)])?;
                let row = found.next()?;
                let blob = match &row {
                    Some(row) => row.get_ref(0)?.as_blob().unwrap_or_default(),
                    None => &[],
                };
                if *column == Column::Item {
                    chunk.items.clear();
                    chunk.items.extend_from_slice(blob);
                } else {
                    let out = &mut chunk.columns[*column as usize];
                    columns::unpack(blob, *rows, out).ok_or_else(|| Error::Damaged {
                        file: "the study store".into(),
                        reason: format!("chunk {id} does not hold its {rows} rows; import the files again into a new store"),
                    })?;
                }
            }
            each(&chunk)?;
        }
        Ok(())
    }
    /// Number of rows the scan will see.
    pub fn rows_count(&self) -> u64 {
        self.chunks.iter().map(|c| c.2 as u64).sum()
    }
}

/// A subject as it lies in the store.
#[derive(Clone, Copy, Debug)]
pub struct StoredSubject<'a> {
    /// Its number; a subject may have several.
    pub id: u32,
    /// Its words.
    pub subject: Subject<'a>,
}

impl Store {
    /// Prepares a scan over snapshots.
    pub fn scan(&self, snapshots: &[SnapshotId], wanted: &[Column]) -> Result<Scan<'_>> {
        let mut query =
            self.db.prepare_cached("SELECT id, rows FROM chunk WHERE snapshot = ?1 ORDER BY id")?;
        let mut chunks = Vec::new();
        for snapshot in snapshots {
            let rows = query.query_map([snapshot.0], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)))?;
            for row in rows {
                let (id, rows) = row?;
                let rows = usize::try_from(rows).unwrap_or(0).min(columns::CHUNK_ROWS_MAX * 64);
                chunks.push((id, *snapshot, rows));
            }
        }
        Ok(Scan { store: self, chunks, wanted: wanted.to_vec() })
    }
    /// Number of subjects stored.
    pub fn subjects_count(&self) -> Result<usize> {
        let count: i64 =
            self.db
                .query_row("SELECT coalesce(max(first + count), 0) FROM subject_block", [], |r| r.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
    /// Calls `each` for every subject, by number.
    pub fn each_subject(&self, mut each: impl FnMut(StoredSubject<'_>) -> Result<()>) -> Result<()> {
        let mut query =
            self.db.prepare_cached("SELECT first, count, texts FROM subject_block ORDER BY first")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (first, count): (u32, u32) = (row.get(0)?, row.get(1)?);
            let mut rest = row.get_ref(2)?.as_blob().unwrap_or_default();
            for index in 0..count {
                let (subject, tail) = Subject::decode(rest).ok_or_else(|| damaged_subjects(first))?;
                rest = tail;
                each(StoredSubject { id: first + index, subject })?;
            }
        }
        Ok(())
    }
    /// The subjects of some numbers, which must be sorted. Reads only the blocks they lie in.
    pub fn subjects(&self, wanted: &[u32]) -> Result<HashMap<u32, OwnedSubject>> {
        let mut found = HashMap::with_capacity(wanted.len());
        let (Some(low), Some(high)) = (wanted.first(), wanted.last()) else { return Ok(found) };
        let mut query = self.db.prepare_cached(
            "SELECT first, count, texts FROM subject_block WHERE first <= ?2 AND first + count > ?1 ORDER BY first",
        )?;
        let mut rows = query.query(params![low, high])?;
        let mut next = 0;
        while let Some(row) = rows.next()? {
            let (first, count): (u32, u32) = (row.get(0)?, row.get(1)?);
            if wanted.get(next).is_none_or(|w| *w >= first.saturating_add(count)) {
                continue;
            }
            let mut rest = row.get_ref(2)?.as_blob().unwrap_or_default();
            for id in first..first.saturating_add(count) {
                let (s, tail) = Subject::decode(rest).ok_or_else(|| damaged_subjects(first))?;
                rest = tail;
                if wanted.get(next) == Some(&id) {
                    next += 1;
                    found.insert(id, OwnedSubject::from(s));
                }
            }
        }
        Ok(found)
    }
}

/// A subject's words, owned.
#[derive(Clone, Debug, Default)]
pub struct OwnedSubject {
    /// Platform code.
    pub platform: String,
    /// Platform's own id.
    pub account: String,
    /// Name.
    pub name: String,
    /// Payer.
    pub payer: String,
    /// Public identifiers.
    pub ids: String,
}

impl From<Subject<'_>> for OwnedSubject {
    fn from(s: Subject<'_>) -> OwnedSubject {
        let [platform, account, name, payer, ids] =
            [s.platform, s.account, s.name, s.payer, s.ids].map(str::to_owned);
        OwnedSubject { platform, account, name, payer, ids }
    }
}

fn damaged_subjects(id: u32) -> Error {
    Error::Damaged {
        file: "the study store".into(),
        reason: format!("subject {id} cannot be read; import the files again into a new store"),
    }
}
