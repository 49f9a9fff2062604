//! Writing facts: subjects and words are numbered, rows are packed into chunks, chunks are committed in
//! batches together with the place in the file, so that a killed import goes on where it stopped.
//!
//! Memory is bounded: one chunk, one batch of new subjects, and a table of at most
//! [`INTERNED_MAX`] subjects. When that table is full it is emptied; a subject may then be stored twice,
//! which readers join again by its key.

use super::Store;
use super::columns::{self, CHUNK_ROWS_MAX, Column};
use super::snapshot::{Resume, SnapshotId};
use crate::amount::Amount;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::subject::Subject;
use rusqlite::params;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// Most subjects remembered while importing (about 100 MB).
pub const INTERNED_MAX: usize = 2_000_000;
const CHUNKS_PER_COMMIT: u32 = 8;
const RAW_BYTES_MAX: usize = 4_096;

/// One row of an archive, ready to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// Who.
    pub subject: Subject<'a>,
    /// Region, or empty.
    pub place: &'a str,
    /// Election or cycle, or empty.
    pub election: &'a str,
    /// Currency code, or empty when the row has no money.
    pub currency: &'a str,
    /// First day of the period.
    pub from: Day,
    /// Last day of the period; not before `from`.
    pub to: Day,
    /// Money in micros, as published.
    pub spend: Amount,
    /// Impressions, as published.
    pub views: Amount,
    /// Number of ads; 0 when not stated.
    pub ads: i64,
    /// Id of the ad, or empty.
    pub item: &'a str,
}

/// Uses the key itself, which is already a cryptographic hash.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);
impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
/// A map by subject key.
pub(crate) type KeyMap<V> = HashMap<u128, V, BuildHasherDefault<KeyHasher>>;

/// Numbers by key; two words a key, so that an entry is 24 bytes and not 32.
type Known = HashMap<[u64; 2], u32, BuildHasherDefault<KeyHasher>>;

fn halves(key: u128) -> [u64; 2] {
    [key as u64, (key >> 64) as u64]
}

/// Numbers given to subjects; kept over all members of one import.
pub struct Interner {
    known: Known,
    next: u32,
    first_pending: u32,
    keys: Vec<u8>,
    texts: Vec<u8>,
    scratch: Vec<u8>,
}

impl Interner {
    /// Loads the newest subjects of the store.
    pub fn load(store: &Store) -> Result<Interner> {
        let next: i64 =
            store
                .db
                .query_row("SELECT coalesce(max(first + count), 0) FROM subject_block", [], |r| r.get(0))?;
        let next = u32::try_from(next).map_err(|_| TOO_MANY)?;
        let mut known = Known::default();
        let mut query = store.db.prepare("SELECT first, keys FROM subject_block ORDER BY first DESC")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let first: u32 = row.get(0)?;
            let keys = row.get_ref(1)?.as_blob().unwrap_or_default();
            for (index, key) in keys.chunks_exact(16).enumerate() {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(key);
                known.insert(halves(u128::from_le_bytes(bytes)), first + index as u32);
            }
            if known.len() > INTERNED_MAX {
                break;
            }
        }
        let (keys, texts, scratch) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Interner { known, next, first_pending: next, keys, texts, scratch })
    }

    fn number(&mut self, subject: &Subject<'_>) -> Result<u32> {
        self.scratch.clear();
        subject.encode(&mut self.scratch);
        let key = Subject::key(&self.scratch);
        if self.known.len() >= INTERNED_MAX && !self.known.contains_key(&halves(key)) {
            self.known.clear();
        }
        let id = self.next;
        match self.known.entry(halves(key)) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(free) => free.insert(id),
        };
        self.next = id.checked_add(1).ok_or(TOO_MANY)?;
        self.keys.extend(key.to_le_bytes());
        self.texts.extend_from_slice(&self.scratch);
        Ok(id)
    }

    fn flush(&mut self, store: &Store) -> Result<()> {
        if self.next > self.first_pending {
            let count = self.next - self.first_pending;
            store
                .db
                .prepare_cached("INSERT INTO subject_block(first, count, keys, texts) VALUES (?1,?2,?3,?4)")?
                .execute(params![self.first_pending, count, self.keys, self.texts])?;
            self.first_pending = self.next;
            self.keys.clear();
            self.texts.clear();
        }
        Ok(())
    }
}

const TOO_MANY: Error =
    Error::Limit { what: "subjects", limit: u32::MAX as u64, hint: "split the study over several stores" };

/// Writes one snapshot's facts.
pub struct Writer<'s> {
    store: &'s Store,
    interner: &'s mut Interner,
    snapshot: SnapshotId,
    columns: Vec<Vec<i64>>,
    item_ends: Vec<u32>,
    items: Vec<u8>,
    words: HashMap<String, i64>,
    last_words: [(String, i64); 3],
    chunks_uncommitted: u32,
    rows_count: u64,
    bad_count: u64,
    is_open: bool,
}

impl<'s> Writer<'s> {
    /// Begins (or goes on with) a snapshot.
    pub(crate) fn new(
        store: &'s Store,
        interner: &'s mut Interner,
        snapshot: SnapshotId,
    ) -> Result<Writer<'s>> {
        let mut writer = Writer {
            store,
            interner,
            snapshot,
            columns: (0..Column::NUMBERS).map(|_| Vec::with_capacity(1024)).collect(),
            item_ends: Vec::new(),
            items: Vec::new(),
            words: HashMap::new(),
            last_words: Default::default(),
            chunks_uncommitted: 0,
            rows_count: 0,
            bad_count: 0,
            is_open: false,
        };
        writer.open()?;
        Ok(writer)
    }
    fn open(&mut self) -> Result<()> {
        if !self.is_open {
            self.store.db.execute_batch("BEGIN IMMEDIATE")?;
            self.is_open = true;
        }
        Ok(())
    }
    fn word(&mut self, slot: usize, text: &str) -> Result<i64> {
        if text.is_empty() {
            return Ok(0);
        }
        if self.last_words[slot].0 == text {
            return Ok(self.last_words[slot].1);
        }
        let id = match self.words.get(text) {
            Some(id) => *id,
            None => {
                let id = self.store.word_id(text)?;
                if self.words.len() >= 100_000 {
                    self.words.clear();
                }
                self.words.insert(text.to_owned(), id);
                id
            }
        };
        self.last_words[slot] = (text.to_owned(), id);
        Ok(id)
    }

    /// Adds a fact.
    pub fn push(&mut self, fact: &Fact<'_>) -> Result<()> {
        let subject = self.interner.number(&fact.subject)?;
        let place = self.word(0, fact.place)?;
        let election = self.word(1, fact.election)?;
        let currency = self.word(2, fact.currency)?;
        let width = |a: Amount| a.upper.map_or(0, |u| u.saturating_sub(a.lower).saturating_add(1));
        let row: [i64; Column::NUMBERS] = [
            i64::from(subject),
            place,
            election,
            currency,
            i64::from(fact.from.0),
            i64::from(fact.to.0.saturating_sub(fact.from.0).max(0)),
            fact.spend.lower,
            width(fact.spend),
            fact.views.lower,
            width(fact.views),
            fact.ads,
        ];
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value);
        }
        self.items.extend_from_slice(fact.item.as_bytes());
        self.item_ends.push(self.items.len() as u32);
        self.rows_count += 1;
        Ok(())
    }
    /// Whether a chunk is full and the caller should tell its place with [`Writer::checkpoint`].
    pub(crate) fn is_full(&self) -> bool {
        self.columns[0].len() >= CHUNK_ROWS_MAX || self.items.len() > (1 << 24)
    }
    /// Keeps a row aside.
    pub fn bad(&mut self, line: u64, reason: &str, raw: &[u8]) -> Result<()> {
        let raw = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]);
        self.store
            .db
            .prepare_cached("INSERT INTO bad_row(snapshot, line, reason, raw) VALUES (?1,?2,?3,?4)")?
            .execute(params![self.snapshot.0, line as i64, reason, raw])?;
        self.bad_count += 1;
        Ok(())
    }

    fn flush_chunk(&mut self) -> Result<()> {
        let rows = self.columns[0].len();
        if rows == 0 {
            return Ok(());
        }
        self.interner.flush(self.store)?;
        let db = &self.store.db;
        db.prepare_cached("INSERT INTO chunk(snapshot, rows) VALUES (?1,?2)")?
            .execute(params![self.snapshot.0, rows as i64])?;
        let chunk = db.last_insert_rowid();
        let mut insert = db.prepare_cached("INSERT INTO packed(id, data) VALUES (?1,?2)")?;
        for (index, values) in self.columns.iter_mut().enumerate() {
            insert.execute(params![packed_id(chunk, index), columns::pack(values)])?;
            values.clear();
        }
        if !self.items.is_empty() {
            let texts = columns::pack_texts(&self.item_ends, &self.items);
            insert.execute(params![packed_id(chunk, Column::Item as usize), texts])?;
        }
        self.items.clear();
        self.item_ends.clear();
        Ok(())
    }

    /// Stores the full chunk with the place to resume from; commits every few chunks.
    pub(crate) fn checkpoint(&mut self, at: Resume) -> Result<()> {
        self.flush_chunk()?;
        self.chunks_uncommitted += 1;
        if self.chunks_uncommitted >= CHUNKS_PER_COMMIT {
            self.commit(at, false)?;
            self.open()?;
        }
        Ok(())
    }
    /// Stores the full chunk within the running transaction: for sources that begin anew when interrupted.
    pub(crate) fn flush_only(&mut self) -> Result<()> {
        self.flush_chunk()
    }
    /// Stores what there is and commits it with the place to resume from.
    pub(crate) fn commit_at(&mut self, at: Resume) -> Result<()> {
        self.flush_chunk()?;
        self.commit(at, false)?;
        self.open()
    }
    /// As [`Writer::bad`], where `is_told`: of a file read several times a bad row is kept once.
    pub(crate) fn bad_of(&mut self, is_told: bool, line: u64, reason: &str, raw: &[u8]) -> Result<()> {
        if is_told { self.bad(line, reason, raw) } else { Ok(()) }
    }
    fn commit(&mut self, at: Resume, is_done: bool) -> Result<()> {
        self.store
            .db
            .prepare_cached(
                "UPDATE snapshot SET rows = rows + ?2, bad_rows = bad_rows + ?3, offset = ?4, line = ?5, is_done = ?6 WHERE id = ?1",
            )?
            .execute(params![
                self.snapshot.0, self.rows_count as i64, self.bad_count as i64, at.offset as i64, at.line as i64, is_done
            ])?;
        self.store.db.execute_batch("COMMIT")?;
        (self.is_open, self.rows_count, self.bad_count, self.chunks_uncommitted) = (false, 0, 0, 0);
        Ok(())
    }
    /// Adds remarks to the snapshot.
    pub(crate) fn note(&mut self, notes: &[String]) -> Result<()> {
        if !notes.is_empty() {
            self.store.db.execute(
                "UPDATE snapshot SET notes = trim(notes || char(10) || ?2, char(10)) WHERE id = ?1",
                params![self.snapshot.0, notes.join("\n")],
            )?;
        }
        Ok(())
    }
    /// Ends the snapshot: everything is stored and it becomes visible to questions.
    pub(crate) fn finish(mut self, at: Resume) -> Result<()> {
        self.flush_chunk()?;
        self.commit(at, true)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Best effort: the connection rolls back by itself when it closes.
            let _ = self.store.db.execute_batch("ROLLBACK");
        }
    }
}

pub(super) fn packed_id(chunk: i64, column: usize) -> i64 {
    chunk * 16 + column as i64
}
