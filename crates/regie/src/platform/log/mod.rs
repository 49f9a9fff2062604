//! The record's log in this process: its storage, the world outside, and one door for all who append.
//!
//! Holds R1 and R2 by [`regie_record::log::sequencer`]; this module gives it a durable head ([`store`]), files ([`files`])
//! and a network ([`client`]). A step that failed is taken up again by opening the log anew, from what is durable. Refuses to
//! sign after a restore until it has seen what the world has.

pub mod client;
mod door;
pub mod files;
pub mod own_mirror;
pub mod own_witness;
pub mod payers;
pub mod schema;
pub mod store;

pub use door::Door;

use super::{folder::Folder, lock, secrets::Secrets};
use crate::config::Config;
use anyhow::{Context, Result};
use client::{HttpSource, HttpWitness, Roots};
use regie_model::UtcMs;
use regie_record::log::{
    Append, Checkpoint, Hash, Note, Signatory, VerifierKey,
    leaf::{Tombstone, View, tombstone},
    note::TYPE_ED25519,
    outside::{OwnFiles, QUESTIONS_MAX, Standing, WitnessClient, answered, catch_up, compare, question},
    promise::{self, Promise, SignedPromise},
    proof::TlogProof,
    read::{CHECKPOINT_PATH, Source, inclusion_from, tile_bytes},
    sequencer::{Batch, Halted, HeadStore, LogFiles, Opening, Sequencer, SequencerError, StoredHead},
    tile::{Kind, TILE_WIDTH, Tile, entries_of},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

/// What a log's signing keys are kept under.
pub const PURPOSE: &str = "log";

/// The log.
pub struct RecordLog {
    sequencer: Mutex<Sequencer>,
    witnesses: Mutex<Vec<Asked>>,
    /// The head for which every witness was asked.
    asked: Mutex<u64>,
    /// When the newest entry was made, in milliseconds since 1970: a clock that is set back dates nothing back.
    newest_ms: AtomicI64,
    has_witnesses: bool,
    published: Vec<String>,
    roots: Roots,
    folder: Folder,
    origin: String,
    keys: Vec<Signatory>,
}

/// A witness, the size it cosigned last, and when it may be asked again after it did not answer.
struct Asked {
    witness: HttpWitness,
    last: u64,
    not_before: UtcMs,
}
/// How long a witness that did not answer is left alone, in milliseconds.
const LEFT_ALONE_MS: i64 = 60_000;

/// Where a log's files are in a data folder.
pub fn files_of(folder: &Folder) -> PathBuf {
    folder.root().join("record")
}
/// Where its head is.
pub fn head_of(folder: &Folder) -> PathBuf {
    folder.root().join("log.db")
}

/// The origin of a log below a public address: without scheme and final slash.
pub fn origin_of(public_url: &str) -> String {
    let bare = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    format!("{}/record/log", bare.trim_end_matches('/'))
}

impl RecordLog {
    /// Opens the log of a data folder, or begins one.
    ///
    /// # Errors
    /// A folder that does not fit its head, settings that cannot be read, SQLite's errors.
    pub fn open(folder: &Folder, secrets: &Secrets, config: &Config, now: UtcMs) -> Result<Arc<RecordLog>> {
        let mut store = store::SqliteHead::open(&head_of(folder))?;
        let mut files = files::FolderFiles::new(&files_of(folder))?;
        let stored = store.load()?.map(|(head, _)| head.origin);
        let shown = LogFiles::get(&mut files, CHECKPOINT_PATH)?.and_then(|bytes| Note::parse(&bytes).ok());
        let shown = shown.and_then(|note| Some((Checkpoint::parse(&note.text).ok()?, note)));
        let before = stored.clone().or_else(|| shown.as_ref().map(|(shown, _)| shown.origin.clone()));
        let configured = Some(config.log_origin.clone()).filter(|origin| !origin.is_empty());
        let origin = configured.or(before).unwrap_or_else(|| origin_of(&config.public_url));
        let keys = secrets.signing_keys(PURPOSE, &origin, TYPE_ED25519, now)?;
        if let (None, Some((checkpoint, note))) = (&stored, shown)
            && checkpoint.origin == origin
        {
            adopt(&mut store, &checkpoint, &note, &keys)?;
        }
        let roots = Roots::of_file(config.log_ca_file.as_deref()).context("log_ca_file")?;
        let witnesses: Vec<Asked> = config
            .log_witnesses
            .iter()
            .map(|text| {
                HttpWitness::parse(text, &roots).map(|witness| Asked {
                    witness,
                    last: 0,
                    not_before: UtcMs(0),
                })
            })
            .collect::<Result<_>>()?;
        let opening = Opening { origin: &origin, keys: &keys, now_ms: now.0, continues: None, position: 0 };
        let sequencer = Sequencer::open(Box::new(store), Box::new(files), &opening)?;
        let log = Arc::new(RecordLog {
            sequencer: Mutex::new(sequencer),
            has_witnesses: !witnesses.is_empty(),
            witnesses: Mutex::new(witnesses),
            asked: Mutex::new(0),
            newest_ms: AtomicI64::new(i64::MIN),
            published: config.log_published.clone(),
            roots,
            folder: folder.clone(),
            origin: origin.clone(),
            keys,
        });
        log.look_outside(folder.is_restored());
        log.note_newest()?;
        Ok(log)
    }
    /// Reads when the newest entries were made.
    fn note_newest(&self) -> Result<()> {
        let size = self.head().head.size;
        let Some(last) = size.checked_sub(1) else { return Ok(()) };
        let tile = Tile::at(Kind::Entries, last / TILE_WIDTH, size).context("no such place in the log")?;
        let bytes = self.file(&tile.path())?.with_context(|| format!("{} is missing", tile.path()))?;
        for leaf in entries_of(&bytes, tile.width)? {
            self.note_time(leaf);
        }
        Ok(())
    }
    fn note_time(&self, leaf: &[u8]) {
        if let Ok(view) = View::read(leaf) {
            self.newest_ms.fetch_max(view.at_ms, Ordering::SeqCst);
        }
    }
    /// The time of an entry that is made now: never before that of one that stands before it, whatever the clock says.
    pub fn time(&self, now: UtcMs) -> UtcMs {
        UtcMs(now.0.max(self.newest_ms.load(Ordering::SeqCst)))
    }
    /// Compares with what the world has, and takes over what is missing here. `restored`: sign nothing unless somebody told.
    fn look_outside(&self, restored: bool) {
        let keys: Vec<VerifierKey> = self.verifiers();
        let mut known = 0;
        for url in &self.published {
            let mut sequencer = lock(&self.sequencer);
            let mut source = match self.outside(url) {
                Ok(source) => source,
                Err(error) => {
                    tracing::warn!(
                        url,
                        error = format!("{error:#}"),
                        "the published log could not be compared"
                    );
                    continue;
                }
            };
            match compare(&mut sequencer, &mut *source, &keys) {
                Standing::Behind(size) => {
                    tracing::info!(url, size, "the published log is the one held here");
                    known += 1;
                }
                Standing::Ahead(size) => match catch_up(&mut sequencer, &mut *source, &keys) {
                    Ok(count) => {
                        tracing::warn!(url, count, size, "entries that were published and not held here were taken over");
                        known += 1;
                    }
                    Err(error) => sequencer.halt(Halted::Outside(format!(
                        "{url} has {size} entries, which cannot be taken over: {error}"
                    ))),
                },
                Standing::Forked(size) => sequencer.halt(Halted::Outside(format!(
                    "{url} has another history of this log ({size} entries); open a new origin with `regie record new-origin`"
                ))),
                Standing::Unknown(why) => tracing::warn!(url, why, "the published log could not be compared"),
            }
        }
        if restored && known == 0 {
            lock(&self.sequencer).halt(Halted::Outside(
                "this folder was restored, and no published copy of its log could be read: set `log_published`, or say with `regie restore --confirm` that nothing newer was seen".into(),
            ));
        }
    }
    /// A published copy: at an address, or in a folder.
    fn outside(&self, place: &str) -> Result<Box<dyn Source>> {
        if place.contains("://") {
            return Ok(Box::new(HttpSource::trusting(place, &self.roots)));
        }
        let folder = std::path::Path::new(place);
        anyhow::ensure!(folder.is_dir(), "{place} is neither an address nor a folder");
        Ok(Box::new(files::FolderFiles::new(folder)?))
    }
    /// The data folder that it is in.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }
    /// The keys that sign now.
    pub fn verifiers(&self) -> Vec<VerifierKey> {
        lock(&self.sequencer).keys().iter().map(Signatory::verifier).collect()
    }
    /// The head.
    pub fn head(&self) -> StoredHead {
        lock(&self.sequencer).head().clone()
    }
    /// Why nothing is signed, if so.
    pub fn halted(&self) -> Option<String> {
        lock(&self.sequencer).halted().map(ToString::to_string)
    }
    /// Appends entries; the index of the first. Shown at once where no witness is to be asked, else by [`RecordLog::tend`].
    ///
    /// # Errors
    /// The sequencer's. After a failed step the log is opened anew with the next call, from what is durable.
    pub fn append(&self, entries: &[Append], position: u64) -> Result<u64> {
        let mut sequencer = lock(&self.sequencer);
        self.recover(&mut sequencer)?;
        let first = sequencer.head().head.size;
        sequencer.append(entries, position)?;
        entries.iter().for_each(|entry| self.note_time(&entry.leaf));
        if !self.has_witnesses {
            sequencer.show()?;
        }
        Ok(first)
    }
    fn recover(&self, sequencer: &mut Sequencer) -> Result<()> {
        if !matches!(sequencer.halted(), Some(Halted::Failed(_))) {
            return Ok(());
        }
        let store = store::SqliteHead::open(&head_of(&self.folder))?;
        let files = files::FolderFiles::new(&files_of(&self.folder))?;
        let opening =
            Opening { origin: &self.origin, keys: &self.keys, now_ms: 0, continues: None, position: 0 };
        *sequencer = Sequencer::open(Box::new(store), Box::new(files), &opening)?;
        tracing::warn!(size = sequencer.head().head.size, "the log was opened anew after a failed step");
        Ok(())
    }
    /// What is to be done about once a second: objects made durable, witnesses asked, the checkpoint shown.
    ///
    /// # Errors
    /// The storage's; to be called again.
    pub fn tend(&self, now: UtcMs) -> Result<()> {
        lock(&self.sequencer).settle()?;
        if !self.has_witnesses {
            return Ok(());
        }
        let head = self.head();
        if *lock(&self.asked) == head.head.size {
            return Ok(());
        }
        let mut lines = Vec::new();
        for asked in lock(&self.witnesses).iter_mut().filter(|asked| asked.not_before <= now) {
            match self.ask(asked, &head) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    asked.not_before = UtcMs(now.0 + LEFT_ALONE_MS);
                    tracing::warn!(%error, witness = asked.witness.key().name(), "no cosignature");
                }
            }
        }
        let mut sequencer = lock(&self.sequencer);
        if sequencer.halted().is_none() {
            sequencer.show_cosigned(&head, &lines)?;
            *lock(&self.asked) = head.head.size;
        }
        Ok(())
    }
    /// A witness's cosignature of a head. Waits for its answer without the sequencer, so that others may append meanwhile.
    fn ask(&self, asked: &mut Asked, head: &StoredHead) -> Result<String> {
        for _ in 0..QUESTIONS_MAX {
            let request = question(&mut lock(&self.sequencer), head, asked.last)?;
            let (status, body) = asked.witness.add_checkpoint(&request)?;
            let key = asked.witness.key().clone();
            let mut sequencer = lock(&self.sequencer);
            if let Some(line) = answered(&mut sequencer, &request, &key, (status, &body), &mut asked.last)? {
                return Ok(line);
            }
        }
        anyhow::bail!("it keeps answering with another size")
    }
    /// A file of the log, as anybody may read it.
    ///
    /// # Errors
    /// The system's.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        if !files::is_log_path(path) {
            return Ok(None);
        }
        Ok(LogFiles::get(&mut files::FolderFiles::new(&files_of(&self.folder))?, path)?)
    }
    /// The proof that a leaf is under the head, as a text that can be kept; and the leaf.
    ///
    /// # Errors
    /// A place that the log does not have.
    pub fn proof(&self, index: u64) -> Result<(Vec<u8>, TlogProof)> {
        let mut sequencer = lock(&self.sequencer);
        let shown = sequencer.file(CHECKPOINT_PATH)?.context("nothing is published yet")?;
        let note = Note::parse(&shown)?;
        let size = Checkpoint::parse(&note.text)?.size;
        let mut files = OwnFiles(&mut sequencer);
        let path = inclusion_from(&mut files, index, size)?;
        let tile =
            Tile::at(Kind::Entries, index / TILE_WIDTH, size).context("the log does not have this place")?;
        let bytes = tile_bytes(&mut files, tile)?;
        let leaves = entries_of(&bytes, tile.width)?;
        let leaf =
            leaves.get((index % TILE_WIDTH) as usize).context("the log does not have this place")?.to_vec();
        Ok((leaf, TlogProof { extra: None, index, path, checkpoint: note }))
    }
    /// Places of an entry's versions: (version, place), oldest first.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn places(&self, kind: &str, id: &str) -> Result<Vec<(u32, u64)>> {
        store::places(&store::reader(&head_of(&self.folder))?, kind, id)
    }
    /// Signs a label's promise.
    ///
    /// # Errors
    /// A promise of another log.
    pub fn promise(&self, promise: &Promise) -> Result<SignedPromise> {
        let by = self.keys.last().context("the log has no key")?;
        Ok(promise::sign(promise, by)?)
    }
    /// The key that signs promises and invoices.
    pub fn signatory(&self) -> Option<&Signatory> {
        self.keys.last()
    }
    /// Says in the log that an object is withheld, then deletes it (R3).
    ///
    /// # Errors
    /// The sequencer's; the object then stays.
    pub fn withhold(&self, of: &str, part: &str, object: Hash, ground: &str, now: UtcMs) -> Result<()> {
        if self.places(regie_record::log::leaf::KIND_TOMBSTONE, &object.to_hex())?.is_empty() {
            let (of, part, ground) = (of.to_owned(), part.to_owned(), ground.to_owned());
            let now = self.time(now);
            let body = Tombstone { object, of, part, ground, withheld_at_ms: now.0 };
            let leaf = tombstone(1, now.0, &body)?.to_bytes()?;
            let position = self.head().position;
            self.append(&[Append { leaf, objects: Vec::new() }], position)?;
        }
        Ok(lock(&self.sequencer).withhold(object)?)
    }
    /// Signs with a further key from now on, or retires one.
    ///
    /// # Errors
    /// The sequencer's.
    pub fn change_keys(
        &self,
        change: impl FnOnce(&mut Sequencer) -> Result<(), SequencerError>,
    ) -> Result<()> {
        let mut sequencer = lock(&self.sequencer);
        change(&mut sequencer)?;
        Ok(sequencer.show()?)
    }
}

/// `log.db` is gone, the files are there: what they show was decided, and is gone on from. What was decided and not shown was
/// seen by witnesses alone, who will say so.
fn adopt(
    store: &mut store::SqliteHead,
    checkpoint: &Checkpoint,
    note: &Note,
    keys: &[Signatory],
) -> Result<()> {
    let verifiers: Vec<VerifierKey> = keys.iter().map(Signatory::verifier).collect();
    let by = note.verify(&verifiers).context(
        "record/ holds a log that no key in secrets.db has signed; restore secrets.db, or open a new origin with `regie record new-origin`",
    )?;
    let mut signed = note.clone();
    signed.signatures.retain(|line| by.iter().any(|key| line.is_by(key)));
    let head = StoredHead {
        origin: checkpoint.origin.clone(),
        head: checkpoint.head(),
        note: signed.to_string(),
        position: 0,
    };
    tracing::warn!(size = checkpoint.size, "log.db is missing: the log goes on from what its files show");
    store.swap(None, &head, &Batch::default())?;
    Ok(())
}
