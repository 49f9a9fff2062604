//! This Regie as a mirror of other logs (C2SP tlog-mirror): it takes their entries in, proved package by package, and cosigns a
//! checkpoint once it has everything that the checkpoint covers.
//!
//! Its key is another than the witness's. What it cosigned is stored before the answer and never goes back; entries are durable
//! before they count. Refuses logs that are not configured, entries without a proof, and more uploads at once than it has room for.
//! Objects are no part of the protocol: they are fetched from the log's address, where one is given, and deleted under a tombstone.

use super::{
    client::{HttpSource, Roots},
    files::FolderFiles,
};
use crate::platform::{lock, secrets::Secrets};
use anyhow::{Context, Result, anyhow, ensure};
use regie_model::UtcMs;
use regie_record::log::{
    Checkpoint, Hash, Note, Signatory, VerifierKey,
    cosignature::cosign,
    leaf::{KIND_TOMBSTONE, View},
    mirror::folder_of,
    note::TYPE_COSIGNATURE,
    read::{CHECKPOINT_PATH, ReadError, Source, object_path, tile_bytes},
    sequencer::LogFiles,
    tile::{Edge, Kind, TILE_WIDTH, Tile, entries_of, hashes_of, node_from_tiles, push_entry, tiles_between},
    tree::{Frontier, Head},
    upload::{MirrorInfo, Package, Span, Upload, UploadError},
    witness::{AddCheckpoint, Answer, check, origin_of},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::HashMap,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Uploads at once at most.
pub const UPLOADS_MAX: usize = 8;
/// Checkpoints of a log up to which entries may be uploaded: the last so many.
const PENDING_MAX: usize = 16;
/// Entries below the next one that may be sent once more.
const BELOW_NEXT_MAX: u64 = 8_192;
/// Authenticated entries that wait to be stored together: bytes, and packages.
const HELD_BYTES_MAX: usize = 16 << 20;
const HELD_PACKAGES_MAX: usize = 32;
/// Packages of one request that are taken in; the client goes on with another.
const REQUEST_PACKAGES_MAX: usize = 1_024;
/// Bytes that are read at a time.
const READ_BYTES: usize = 64 << 10;
/// How often the thread that fetches objects looks about.
const TICK: Duration = Duration::from_millis(100);
/// Entries whose objects are fetched in one round.
const OBJECTS_ROUND: u64 = 10 * TILE_WIDTH;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS pending (
  origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, PRIMARY KEY (origin, size)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copies (
  origin TEXT PRIMARY KEY, next INTEGER NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL, objects_next INTEGER NOT NULL) WITHOUT ROWID;
";

/// A log that is mirrored.
struct Known {
    key: VerifierKey,
    /// Where its objects are fetched from.
    url: Option<String>,
}

/// The copy of one log.
struct LogCopy {
    files: FolderFiles,
    edge: Edge,
    /// Size of the checkpoint that was cosigned last.
    size: u64,
}

/// A mirror.
pub struct OwnMirror {
    key: Signatory,
    logs: Vec<Known>,
    root: PathBuf,
    roots: Roots,
    connection: Mutex<Connection>,
    copies: Mutex<HashMap<String, Arc<Mutex<LogCopy>>>>,
    uploads: AtomicUsize,
    /// Two at once would write the same files.
    fetching: Mutex<()>,
}

/// What the mirror answers to an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// 200: everything is here, and this is the cosignature.
    Cosigned(String),
    /// 202: some of it is here; go on from there.
    Partly(MirrorInfo),
    /// 400: no upload.
    BadRequest(String),
    /// 404: a log that is not mirrored here.
    UnknownLog,
    /// 409: where the mirror stands.
    Conflict(MirrorInfo),
    /// 422: entries that are not the checkpoint's.
    Unprocessable(String),
    /// 503: too many at once.
    Busy,
}

/// A request's bytes as they come.
struct Incoming<'a> {
    body: &'a mut dyn Read,
    buffer: Vec<u8>,
    ended: bool,
}
impl Incoming<'_> {
    /// The next whole thing; `None` where the body ends before it does, or breaks off.
    fn next<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, UploadError>,
    ) -> Result<Option<T>, UploadError> {
        loop {
            if let Some((thing, count)) = parse(&self.buffer)? {
                self.buffer.drain(..count);
                return Ok(Some(thing));
            }
            if self.ended {
                return Ok(None);
            }
            let mut chunk = vec![0; READ_BYTES];
            match self.body.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.ended = true,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

/// One of the uploads at once.
struct Slot<'a>(&'a AtomicUsize);
impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl OwnMirror {
    /// Opens the mirror of a data folder. `logs`: verifier keys of the logs, each alone or with the log's address after a space.
    ///
    /// # Errors
    /// SQLite's error, a setting that is no key.
    pub fn open(
        folder: &Path,
        secrets: &Secrets,
        name: &str,
        logs: &[String],
        roots: Roots,
        now: UtcMs,
    ) -> Result<OwnMirror> {
        let known = |text: &String| -> Result<Known> {
            let (key, url) = match text.split_once(' ') {
                Some((key, url)) => (key, Some(url.trim().trim_end_matches('/').to_owned())),
                None => (text.as_str(), None),
            };
            let key = VerifierKey::parse(key).with_context(|| format!("the log {text}"))?;
            Ok(Known { key, url })
        };
        let logs = logs.iter().map(known).collect::<Result<_>>()?;
        let path = folder.join("mirror.db");
        // What it cosigned never goes back. Where its memory is lost, as after a restore, its key signs no more.
        if !path.exists() {
            secrets.retire_signing_keys("mirror", name, now)?;
        }
        let keys = secrets.signing_keys("mirror", name, TYPE_COSIGNATURE, now)?;
        let key = keys.into_iter().next_back().context("the mirror has no key")?;
        let connection =
            Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        connection.execute_batch(SCHEMA)?;
        let (connection, copies, uploads) = (Mutex::new(connection), Mutex::default(), AtomicUsize::new(0));
        Ok(OwnMirror {
            fetching: Mutex::default(),
            key,
            logs,
            root: folder.join("mirror"),
            roots,
            connection,
            copies,
            uploads,
        })
    }
    /// Its key.
    pub fn key(&self) -> VerifierKey {
        self.key.verifier()
    }
    /// The logs that it mirrors.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.iter().map(|log| log.key.name())
    }
    fn keys(&self) -> Vec<VerifierKey> {
        self.logs.iter().map(|log| log.key.clone()).collect()
    }
    /// A file of a copy, under the hash of its origin.
    ///
    /// # Errors
    /// The system's.
    pub fn file(&self, hash: &str, path: &str) -> Result<Option<Vec<u8>>> {
        if !super::files::is_log_path(path) || !self.origins().any(|origin| folder_of(origin) == hash) {
            return Ok(None);
        }
        let folder = self.root.join(hash);
        if !folder.is_dir() {
            return Ok(None);
        }
        Ok(Source::get(&mut FolderFiles::new(&folder)?, path)?)
    }
    /// Makes a checkpoint the pending one, by the rules of a witness, without a cosignature.
    ///
    /// # Errors
    /// SQLite's error; then nothing is pending.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<Answer> {
        let read = AddCheckpoint::parse(body).and_then(|request| Ok((origin_of(&request)?, request)));
        let (origin, request) = match read {
            Ok(read) => read,
            Err(error) => return Ok(Answer::BadRequest(error.to_string())),
        };
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let last = pending(&transaction, &origin, None)?.map(|(head, _)| head);
        let checkpoint = match check(&request, &self.keys(), last) {
            Ok(checkpoint) => checkpoint,
            Err(answer) => return Ok(answer),
        };
        // The log's own signature stays; others' are nobody's here.
        let mut note = request.checkpoint.clone();
        note.signatures.retain(|line| self.logs.iter().any(|log| line.is_by(&log.key)));
        transaction.execute(
            "INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3, ?4)",
            params![origin, checkpoint.size as i64, checkpoint.root.0, note.to_string()],
        )?;
        transaction.execute(
            "DELETE FROM pending WHERE origin = ?1 AND size NOT IN (SELECT size FROM pending WHERE origin = ?1 ORDER BY size DESC LIMIT ?2)",
            params![origin, PENDING_MAX as i64],
        )?;
        transaction.commit()?;
        Ok(Answer::Cosigned { head: checkpoint.head(), body: String::new() })
    }
    /// Takes an upload in, as its bytes come.
    ///
    /// # Errors
    /// The storage's; what was stored until then counts.
    pub fn add_entries(&self, body: &mut dyn Read, now: &dyn Fn() -> UtcMs) -> Result<Told> {
        let slot = Slot(&self.uploads);
        if slot.0.fetch_add(1, Ordering::SeqCst) >= UPLOADS_MAX {
            return Ok(Told::Busy);
        }
        let mut incoming = Incoming { body, buffer: Vec::new(), ended: false };
        let upload = match incoming.next(Upload::parse) {
            Ok(Some(upload)) => upload,
            Ok(None) => return Ok(Told::BadRequest("the request ends before its first package".into())),
            Err(error) => return Ok(Told::BadRequest(error.to_string())),
        };
        if !self.origins().any(|origin| origin == upload.origin) {
            return Ok(Told::UnknownLog);
        }
        let copy = self.copy(&upload.origin)?;
        let (next, size) = {
            let copy = lock(&copy);
            (copy.edge.size(), copy.size)
        };
        let known = pending(&lock(&self.connection), &upload.origin, Some(upload.end))?;
        let Some((head, note)) = known.filter(|_| upload.end >= size) else {
            return Ok(Told::Conflict(self.standing(&upload.origin, next)?));
        };
        let info = |next| MirrorInfo { size: upload.end, next, ticket: Vec::new() };
        if upload.start > next || upload.start.saturating_add(BELOW_NEXT_MAX) < next {
            return Ok(Told::Conflict(info(next)));
        }
        let mut intake = Intake { mirror: self, origin: &upload.origin, copy: &copy, held: Held::default() };
        let ended = intake.packages(&mut incoming, &upload, head)?;
        intake.store()?;
        let next = lock(&copy).edge.size();
        match ended {
            Ended::Whole => self.finish(&upload.origin, &copy, head, &note, now()),
            Ended::Part(0) => Ok(Told::BadRequest("the request ends within its first package".into())),
            Ended::Part(_) => Ok(Told::Partly(info(next))),
            Ended::Wrong(why) => Ok(Told::Unprocessable(why)),
        }
    }
    /// Where the mirror stands, for one who asks for what it does not know.
    fn standing(&self, origin: &str, next: u64) -> Result<MirrorInfo> {
        let current = pending(&lock(&self.connection), origin, None)?;
        Ok(MirrorInfo { size: current.map_or(0, |(head, _)| head.size), next, ticket: Vec::new() })
    }
    /// The copy of a log, opened once.
    fn copy(&self, origin: &str) -> Result<Arc<Mutex<LogCopy>>> {
        let mut copies = lock(&self.copies);
        if let Some(copy) = copies.get(origin) {
            return Ok(Arc::clone(copy));
        }
        let mut files = FolderFiles::new(&self.root.join(folder_of(origin)))?;
        let stored = lock(&self.connection)
            .query_row("SELECT next, size, note FROM copies WHERE origin = ?1", [origin], |r| {
                Ok((r.get::<_, i64>(0)? as u64, r.get::<_, i64>(1)? as u64, r.get::<_, String>(2)?))
            })
            .optional()?;
        let (next, size, note) = stored.unwrap_or_default();
        let edge = Edge::load(next, &mut |tile| tile_bytes(&mut files, tile))?;
        // What was cosigned is shown, even where a former process died between the two.
        if !note.is_empty() && Source::get(&mut files, CHECKPOINT_PATH)?.as_deref() != Some(note.as_bytes()) {
            LogFiles::put(&mut files, &[(CHECKPOINT_PATH.to_owned(), note.into_bytes())])?;
        }
        let copy = Arc::new(Mutex::new(LogCopy { files, edge, size }));
        copies.insert(origin.to_owned(), Arc::clone(&copy));
        Ok(copy)
    }
    /// Cosigns a checkpoint whose entries are all here, unless a newer one was cosigned meanwhile.
    fn finish(
        &self,
        origin: &str,
        copy: &Mutex<LogCopy>,
        head: Head,
        note: &str,
        now: UtcMs,
    ) -> Result<Told> {
        let mut copy = lock(copy);
        let next = copy.edge.size();
        ensure!(next >= head.size, "{origin}: {next} entries are here, and {} are to be cosigned", head.size);
        if head.size < copy.size {
            return Ok(Told::Conflict(self.standing(origin, next)?));
        }
        copy.show_edge(head.size)?;
        let root = copy.root(head.size)?;
        ensure!(root == head.root, "law R1: the copy of {origin} gives another root at {}", head.size);
        let mut note = Note::parse(note.as_bytes())?;
        let line = cosign(&note.text, &self.key, u64::try_from(now.0 / 1_000).unwrap_or(0))?;
        note.signatures.push(line.clone());
        let text = note.to_string();
        let sql = "INSERT INTO copies VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT (origin) DO UPDATE SET size = ?3, note = ?4";
        lock(&self.connection).execute(sql, params![origin, next as i64, head.size as i64, text])?;
        copy.size = head.size;
        LogFiles::put(&mut copy.files, &[(CHECKPOINT_PATH.to_owned(), text.into_bytes())])?;
        Ok(Told::Cosigned(format!("{line}\n")))
    }
    /// Fetches objects of entries that are cosigned, from their logs' addresses, and deletes those under a tombstone; how many
    /// entries were looked through. For a thread that may wait.
    ///
    /// # Errors
    /// A log that does not answer; the rest is fetched the next time.
    pub fn fetch_objects(&self) -> Result<u64> {
        let _one = lock(&self.fetching);
        let mut done = 0;
        for log in &self.logs {
            let (Some(url), origin) = (&log.url, log.key.name()) else { continue };
            let copy = self.copy(origin)?;
            let (mut files, size) = {
                let copy = lock(&copy);
                (copy.files.clone(), copy.size)
            };
            let sql = "SELECT objects_next FROM copies WHERE origin = ?1";
            let from = lock(&self.connection).query_row(sql, [origin], |r| r.get::<_, i64>(0)).optional()?;
            let from = from.map_or(0, |n| n as u64);
            let to = size.min(from + OBJECTS_ROUND);
            if from >= to {
                continue;
            }
            let mut source = HttpSource::trusting(url, &self.roots);
            for index in from / TILE_WIDTH..to.div_ceil(TILE_WIDTH) {
                let tile = Tile::at(Kind::Entries, index, size).context("no such bundle")?;
                let bundle = tile_bytes(&mut files, tile)?;
                for leaf in entries_of(&bundle, tile.width)? {
                    follow(&mut source, &mut files, leaf)?;
                }
            }
            let sql = "UPDATE copies SET objects_next = ?2 WHERE origin = ?1";
            lock(&self.connection).execute(sql, params![origin, to as i64])?;
            done += to - from;
        }
        Ok(done)
    }
    /// Fetches objects from now on, until `stopping`. A log that does not answer is left alone for a minute.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn_fetching(self: &Arc<Self>, stopping: Arc<AtomicBool>) -> Result<JoinHandle<()>> {
        let mirror = Arc::clone(self);
        let work = move || {
            let mut rest = 0u32;
            while !stopping.load(Ordering::SeqCst) {
                std::thread::sleep(TICK);
                rest = rest.saturating_sub(1);
                if rest > 0 {
                    continue;
                }
                rest = match mirror.fetch_objects() {
                    Ok(0) => 10,
                    Ok(_) => 0,
                    Err(error) => {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "a mirrored log's objects were not fetched"
                        );
                        600
                    }
                };
            }
        };
        Ok(std::thread::Builder::new().name("regie-mirror".into()).spawn(work)?)
    }
}

/// Fetches the objects that an entry commits to, or deletes the one whose tombstone it is.
fn follow(source: &mut HttpSource, files: &mut FolderFiles, leaf: &[u8]) -> Result<()> {
    let Ok(view) = View::read(leaf) else { return Ok(()) };
    if view.kind == KIND_TOMBSTONE
        && let Some(object) = Hash::from_hex(&view.id)
    {
        LogFiles::delete(files, &object_path(object))?;
    }
    for hash in view.commitments.values() {
        let path = object_path(*hash);
        if Source::get(files, &path)?.is_some() {
            continue;
        }
        // What the log withholds by now is not there.
        if let Some(object) = source.get(&path)? {
            ensure!(Hash::of(&object) == *hash, "{path} is another object");
            LogFiles::put(files, &[(path, object)])?;
        }
    }
    Ok(())
}

/// A pending checkpoint of a size, or the newest: its head, and the note as the log signed it.
fn pending(connection: &Connection, origin: &str, size: Option<u64>) -> Result<Option<(Head, String)>> {
    let size = size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    let sql = "SELECT size, root, note FROM pending WHERE origin = ?1 AND (?2 IS NULL OR size = ?2) ORDER BY size DESC LIMIT 1";
    let read = |r: &rusqlite::Row<'_>| {
        Ok((Head { size: r.get::<_, i64>(0)? as u64, root: Hash(r.get(1)?) }, r.get(2)?))
    };
    Ok(connection.query_row(sql, params![origin, size], read).optional()?)
}

/// How a request ended.
enum Ended {
    /// With all its packages.
    Whole,
    /// After so many.
    Part(usize),
    /// With one that proves nothing.
    Wrong(String),
}

/// Entries that are proved and not stored.
#[derive(Default)]
struct Held {
    first: u64,
    entries: Vec<Vec<u8>>,
    bytes: usize,
    packages: usize,
}

/// One upload on its way in.
struct Intake<'a> {
    mirror: &'a OwnMirror,
    origin: &'a str,
    copy: &'a Mutex<LogCopy>,
    held: Held,
}
impl Intake<'_> {
    fn packages(&mut self, incoming: &mut Incoming<'_>, upload: &Upload, head: Head) -> Result<Ended> {
        for (done, span) in upload.spans().enumerate() {
            if done >= REQUEST_PACKAGES_MAX {
                return Ok(Ended::Part(done));
            }
            let package = match incoming.next(|bytes| Package::parse(bytes, span.count())) {
                Ok(Some(package)) => package,
                // What follows the last package that is proved is dropped.
                Ok(None) | Err(_) => return Ok(Ended::Part(done)),
            };
            let before = self.before(span)?;
            if let Err(error) = package.check(span, &before, head) {
                return Ok(Ended::Wrong(error.to_string()));
            }
            if self.held.entries.is_empty() {
                self.held.first = span.start;
            }
            self.held.bytes += package.entries.iter().map(Vec::len).sum::<usize>();
            self.held.packages += 1;
            self.held.entries.extend(package.entries);
            if self.held.bytes > HELD_BYTES_MAX || self.held.packages >= HELD_PACKAGES_MAX {
                self.store()?;
            }
        }
        Ok(Ended::Whole)
    }
    /// The entries of a bundle that come before those of a package.
    fn before(&self, span: Span) -> Result<Vec<Vec<u8>>> {
        if span.start == span.aligned {
            return Ok(Vec::new());
        }
        let mut copy = lock(self.copy);
        let tile = Tile::at(Kind::Entries, span.aligned / TILE_WIDTH, copy.edge.size());
        let tile =
            tile.ok_or_else(|| anyhow!("{}: entries below {} are not here", self.origin, span.start))?;
        let bundle = tile_bytes(&mut copy.files, tile)?;
        let count = usize::try_from(span.start - span.aligned)?;
        Ok(entries_of(&bundle, tile.width)?.into_iter().take(count).map(<[u8]>::to_vec).collect())
    }
    /// Stores what is held, durably; what somebody else stored meanwhile is the same, and left out.
    fn store(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        let mut copy = lock(self.copy);
        let next = copy.edge.size();
        let known = usize::try_from(next.saturating_sub(held.first)).unwrap_or(usize::MAX);
        let Some(fresh) = held.entries.get(known..).filter(|fresh| !fresh.is_empty()) else { return Ok(()) };
        let mut edge = copy.edge.clone();
        let files: Vec<(String, Vec<u8>)> =
            edge.append(fresh)?.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect();
        LogFiles::put(&mut copy.files, &files)?;
        let sql = "INSERT INTO copies VALUES (?1, ?2, 0, '', 0) ON CONFLICT (origin) DO UPDATE SET next = ?2";
        lock(&self.mirror.connection).execute(sql, params![self.origin, edge.size() as i64])?;
        copy.edge = edge;
        Ok(())
    }
}

impl LogCopy {
    /// Writes the partial tiles of a size below the next entry: others may have uploaded beyond it already.
    fn show_edge(&mut self, size: u64) -> Result<()> {
        let next = self.edge.size();
        let mut missing = Vec::new();
        for tile in tiles_between(0, size).into_iter().filter(|tile| u64::from(tile.width) < TILE_WIDTH) {
            if Source::get(&mut self.files, &tile.path())?.is_some() {
                continue;
            }
            let wider = Tile::at(tile.kind, tile.index, next).context("a tile is missing")?;
            let bytes = tile_bytes(&mut self.files, wider)?;
            let bytes = match tile.kind {
                Kind::Hashes(_) => {
                    bytes.get(..32 * usize::from(tile.width)).context("a short tile")?.to_vec()
                }
                Kind::Entries => {
                    let mut bundle = Vec::new();
                    for entry in entries_of(&bytes, wider.width)?.into_iter().take(usize::from(tile.width)) {
                        push_entry(&mut bundle, entry)?;
                    }
                    bundle
                }
            };
            missing.push((tile.path(), bytes));
        }
        Ok(LogFiles::put(&mut self.files, &missing)?)
    }
    fn root(&mut self, size: u64) -> Result<Hash> {
        let files = &mut self.files;
        let mut tile = |tile: Tile| -> Result<Vec<Hash>, ReadError> {
            Ok(hashes_of(&tile_bytes(files, tile)?, tile.width)?)
        };
        let mut read = |level, index| node_from_tiles(level, index, size, &mut tile);
        Ok(Frontier::load(size, &mut read)?.root())
    }
}

/// What is to be shown of a mirror: each log with the checkpoint that was cosigned last.
pub fn standing_of(mirror: &OwnMirror) -> Vec<(String, Option<Checkpoint>)> {
    let read = |origin: &str| {
        let bytes = mirror.file(&folder_of(origin), CHECKPOINT_PATH).ok().flatten()?;
        Checkpoint::parse(&Note::parse(&bytes).ok()?.text).ok()
    };
    mirror.origins().map(|origin| (origin.to_owned(), read(origin))).collect()
}
