//! The journal on SQLite: one writer over a folder of segments. Refuses a second writer, and
//! refuses to go on after a failure.
//!
//! Holds **L1** and **B4**: an append is one transaction with a flush before it returns; opening
//! verifies every byte of the active segment and the links of the others; the first failed commit,
//! flush or seal stops the journal for good, and closing it then writes nothing more.

use crate::chain::{BatchHeader, ChainHash};
use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::frame::encode_frame;
use crate::mutation::{self, Mutation};
use crate::segment::{self, ARCHIVE_DIR, ReadBudget, Segment, SegmentInfo, Writing};
use crate::{Appended, Journal, Position, READ_BYTES_MAX, Record};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// How to open a journal.
#[derive(Clone)]
pub struct Options {
    /// A segment is sealed before the append that finds this many frame bytes in it (at least 1).
    /// Default 128 MiB; it bounds what an opening has to verify.
    pub segment_bytes_max: u64,
    /// Seal before the first append of a new UTC day. Default on.
    pub seal_daily: bool,
    /// Begin a journal where there is none. Default on.
    pub create_if_missing: bool,
    /// One connection only, no shared memory: no [`crate::JournalReader`] can read beside it.
    /// Default off; always on where the disk can only do this.
    pub exclusive: bool,
    /// SQLite's write-ahead log is copied into the database after about this many bytes. Default
    /// 16 MiB.
    pub checkpoint_bytes: u64,
    /// Where the files are. Default [`RealDisk`].
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes_max: 128 << 20,
            seal_daily: true,
            create_if_missing: true,
            exclusive: false,
            checkpoint_bytes: 16 << 20,
            disk: Arc::new(RealDisk),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes_max", &self.segment_bytes_max)
            .field("seal_daily", &self.seal_daily)
            .field("create_if_missing", &self.create_if_missing)
            .field("exclusive", &self.exclusive)
            .field("vfs", &self.disk.vfs_name())
            .finish()
    }
}

impl Options {
    fn writing(&self) -> Writing {
        Writing { exclusive: self.exclusive, checkpoint_bytes: self.checkpoint_bytes }
    }
}

/// The files of a journal by segment number, oldest first; the flag says archived.
pub(crate) fn list_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u32, bool)>, JournalError> {
    let doing = || format!("listing {}", dir.display());
    let mut found = std::collections::BTreeMap::new();
    let archive = match disk.list(&dir.join(ARCHIVE_DIR)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| JournalError::io(doing(), source))?,
    };
    let live = disk.list(dir).map_err(|source| JournalError::io(doing(), source))?;
    for (entries, archived) in [(archive, true), (live, false)] {
        for entry in entries {
            let number = entry
                .name
                .strip_suffix(".db")
                .filter(|stem| stem.len() == 8)
                .and_then(|stem| stem.parse::<u32>().ok());
            if let Some(number) = number {
                found.insert(number, archived);
            }
        }
    }
    let list: Vec<(u32, bool)> = found.into_iter().collect();
    for pair in list.windows(2) {
        if pair[1].0 != pair[0].0 + 1 {
            let what = "its file is missing";
            return Err(JournalError::corrupt(pair[0].0 + 1, None, what));
        }
    }
    Ok(list)
}

/// Checks that a segment continues its predecessor.
pub(crate) fn check_link(before: Option<&SegmentInfo>, info: &SegmentInfo) -> Result<(), JournalError> {
    let expected = match before {
        Some(before) if !before.sealed => {
            let what = "it is not sealed although another follows it";
            return Err(JournalError::corrupt(before.number, None, what));
        }
        Some(before) => before.successor(),
        None if info.number == 1 => SegmentInfo::genesis(),
        None => return Ok(()),
    };
    if info.first != expected.first || info.prev_chain != expected.prev_chain {
        let what = "it does not continue its predecessor";
        return Err(JournalError::corrupt(info.number, None, what));
    }
    Ok(())
}

/// The journal's one writer.
pub struct SqliteJournal {
    dir: PathBuf,
    options: Options,
    sealed: Vec<SegmentInfo>,
    tail: SegmentInfo,
    active: Option<Segment>,
    stopped: Option<Arc<str>>,
    reading: RefCell<Option<Segment>>,
    _lock: Box<dyn Send>,
}

impl SqliteJournal {
    /// Opens or begins the journal in a folder, and recovers it: the active segment is verified
    /// whole, the sealed ones by their links.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Missing`], [`JournalError::Corrupt`],
    /// [`JournalError::Format`], or the disk's.
    pub fn open(dir: &Path, options: Options) -> Result<SqliteJournal, JournalError> {
        let mut options = options;
        options.exclusive |= options.disk.exclusive_only();
        let disk = options.disk.clone();
        let missing = || JournalError::Missing { dir: dir.to_path_buf() };
        match disk.list(dir) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !options.create_if_missing {
                    return Err(missing());
                }
                disk.create_dir(dir)
                    .map_err(|source| JournalError::io(format!("creating {}", dir.display()), source))?;
            }
            Err(error) => return Err(JournalError::io(format!("opening {}", dir.display()), error)),
        }
        let lock = disk.lock(dir).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => JournalError::Locked { dir: dir.to_path_buf() },
            _ => JournalError::io(format!("locking {}", dir.display()), source),
        })?;
        let (sealed, active) = recover(&options, dir)?.map_or_else(
            || {
                if !options.create_if_missing {
                    return Err(missing());
                }
                let genesis = SegmentInfo::genesis();
                let active = Segment::create(&*disk, dir, &genesis, options.writing())?;
                Ok((Vec::new(), active))
            },
            Ok,
        )?;
        Ok(SqliteJournal {
            dir: dir.to_path_buf(),
            sealed,
            tail: *active.info(),
            active: Some(active),
            stopped: None,
            reading: RefCell::new(None),
            _lock: lock,
            options,
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Why the journal stopped, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Copies the journal as it is now into an empty or new folder; see [`crate::backup`].
    ///
    /// # Errors
    /// As [`crate::backup`].
    pub fn backup_to(&self, dir: &Path) -> Result<crate::BackupReport, JournalError> {
        crate::backup(&self.dir, dir, &mut |_, _| {})
    }

    /// Moves a sealed segment to the archive folder, where it is still read on demand.
    /// `Ok(false)`: it was there already.
    ///
    /// # Errors
    /// [`JournalError::Missing`] if there is no such sealed segment; the disk's, which stop the
    /// journal (the segment is whole, in one of the two folders).
    pub fn archive(&mut self, number: u32) -> Result<bool, JournalError> {
        self.check_running()?;
        let Some(index) = self.sealed.iter().position(|info| info.number == number) else {
            return Err(JournalError::Missing { dir: self.dir.join(segment::file_name(number)) });
        };
        if self.sealed[index].archived {
            return Ok(false);
        }
        *self.reading.borrow_mut() = None;
        match move_to_archive(&self.options, &self.dir, number) {
            Ok(()) => {
                self.sealed[index].archived = true;
                Ok(true)
            }
            Err(error) => self.stop(error),
        }
    }

    fn check_running(&self) -> Result<(), JournalError> {
        match &self.stopped {
            Some(cause) => Err(JournalError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Law L1: from here on nothing is written, not even on closing.
    fn stop<T>(&mut self, error: JournalError) -> Result<T, JournalError> {
        if let Some(active) = &mut self.active {
            active.abandon();
        }
        self.stopped = Some(error.to_string().into());
        Err(error)
    }

    fn seal_due(&self, at_ms: i64) -> bool {
        let tail = &self.tail;
        tail.batch_count > 0
            && (tail.frame_bytes >= self.options.segment_bytes_max.max(1)
                || (self.options.seal_daily && at_ms.div_euclid(DAY_MS) > tail.last_at_ms.div_euclid(DAY_MS)))
    }

    fn seal_active(&mut self) -> Result<SegmentInfo, JournalError> {
        let Some(active) = self.active.take() else {
            return Err(JournalError::Stopped { cause: "no segment is open".into() });
        };
        let info = active.seal()?;
        self.sealed.push(info);
        self.tail = info.successor();
        let next = Segment::create(&*self.options.disk, &self.dir, &self.tail, self.options.writing())?;
        self.active = Some(next);
        Ok(info)
    }

    fn insert(&mut self, header: BatchHeader, frame: &[u8]) -> Result<(), JournalError> {
        let Some(active) = &mut self.active else {
            return Err(JournalError::Stopped { cause: "no segment is open".into() });
        };
        let mut done = active.insert(header, frame);
        if done.is_err() && mutation::active(Mutation::RetryAfterFailedFsync) {
            done = active.insert(header, frame);
        }
        self.tail = *active.info();
        done
    }

    fn read_segment(
        &self,
        info: &SegmentInfo,
        after: Position,
        budget: ReadBudget,
    ) -> Result<Vec<crate::Batch>, JournalError> {
        if info.number == self.tail.number {
            return match &self.active {
                Some(active) => active.read(after, budget),
                None => self.check_running().map(|()| Vec::new()),
            };
        }
        let mut reading = self.reading.borrow_mut();
        let open = match reading.take() {
            Some(open) if open.info().number == info.number => open,
            _ => Segment::open_read(&*self.options.disk, &self.dir, info.number, info.archived)?,
        };
        reading.insert(open).read(after, budget)
    }
}

type Recovered = Option<(Vec<SegmentInfo>, Segment)>;

/// Finds what is there and checks it. `None`: there is no journal yet.
fn recover(options: &Options, dir: &Path) -> Result<Recovered, JournalError> {
    let disk = &*options.disk;
    let io = |source| JournalError::io(format!("clearing up {}", dir.display()), source);
    for entry in disk.list(dir).map_err(io)? {
        // A segment whose making was cut short; nothing was ever acknowledged in it.
        if entry.name.contains(".db.new") {
            disk.remove(&dir.join(&entry.name)).map_err(io)?;
        }
    }
    let list = list_segments(disk, dir)?;
    let Some((&(last, last_archived), older)) = list.split_last() else {
        return Ok(None);
    };
    let mut sealed: Vec<SegmentInfo> = Vec::with_capacity(list.len());
    for &(number, archived) in older {
        let info = *Segment::open_read(disk, dir, number, archived)?.info();
        check_link(sealed.last(), &info)?;
        sealed.push(info);
    }
    if last_archived {
        let info = *Segment::open_read(disk, dir, last, true)?.info();
        check_link(sealed.last(), &info)?;
        return go_on(options, dir, sealed, info).map(Some);
    }
    let mut active = Segment::open_write(disk, dir, last, options.writing())?;
    check_link(sealed.last(), active.info())?;
    active.scan(&mut |_| {})?;
    active.settle()?;
    if active.info().sealed {
        let info = *active.info();
        drop(active);
        return go_on(options, dir, sealed, info).map(Some);
    }
    Ok(Some((sealed, active)))
}

fn move_to_archive(options: &Options, dir: &Path, number: u32) -> Result<(), JournalError> {
    let disk = &*options.disk;
    let io = |source| JournalError::io(format!("archiving segment {number:08}"), source);
    if segment::wal_has_data(disk, dir, number) {
        // A reader hindered the seal's checkpoint; this makes up for it.
        Segment::open_write(disk, dir, number, options.writing())?.settle()?;
        if segment::wal_has_data(disk, dir, number) {
            return Err(io(io::ErrorKind::ResourceBusy.into()));
        }
    }
    let archive = dir.join(ARCHIVE_DIR);
    let name = segment::file_name(number);
    disk.create_dir(&archive).map_err(io)?;
    disk.rename(&dir.join(&name), &archive.join(&name)).map_err(io)?;
    disk.sync_dir(&archive).map_err(io)?;
    disk.sync_dir(dir).map_err(io)
}

/// The newest segment is sealed: begins the next.
fn go_on(
    options: &Options,
    dir: &Path,
    mut sealed: Vec<SegmentInfo>,
    info: SegmentInfo,
) -> Result<(Vec<SegmentInfo>, Segment), JournalError> {
    sealed.push(info);
    check_link(sealed.last(), &info.successor())?;
    let active = Segment::create(&*options.disk, dir, &info.successor(), options.writing())?;
    Ok((sealed, active))
}

impl Journal for SqliteJournal {
    fn append(&mut self, now_ms: i64, payloads: &[Vec<u8>]) -> Result<Appended, JournalError> {
        self.check_running()?;
        let mut frame = encode_frame(payloads)?;
        let at_ms = now_ms.max(self.tail.last_at_ms);
        if self.seal_due(at_ms)
            && let Err(error) = self.seal_active()
        {
            return self.stop(error);
        }
        let mut header = BatchHeader { first: self.tail.last.next(), count: payloads.len() as u32, at_ms };
        let appended = Appended { first: header.first, last: header.last(), at_ms };
        if mutation::active(Mutation::LostTail) {
            header.count -= 1;
            if header.count == 0 {
                return Ok(appended);
            }
            frame = encode_frame(&payloads[..header.count as usize])?;
        }
        if let Err(error) = self.insert(header, &frame) {
            return self.stop(error);
        }
        // The batch is durable; what fails from here on stops the next append, not this one.
        if let Some(active) = &mut self.active
            && let Err(error) = active.checkpoint_if_due()
        {
            let _: Result<(), _> = self.stop(error);
        }
        Ok(appended)
    }

    fn head(&self) -> Position {
        self.tail.last
    }

    fn head_chain(&self) -> ChainHash {
        self.tail.chain
    }

    fn last_at_ms(&self) -> i64 {
        self.tail.last_at_ms
    }

    fn read(&self, after: Position, max_records: usize) -> Result<Vec<Record>, JournalError> {
        let oldest = self.sealed.first().unwrap_or(&self.tail).first;
        if after.next() < oldest {
            return Err(JournalError::Gone { after, oldest });
        }
        let mut records: Vec<Record> = Vec::new();
        let mut after = after;
        let mut bytes = 0;
        let start = self.sealed.partition_point(|info| info.last <= after);
        for info in self.sealed[start..].iter().chain([&self.tail]) {
            while after < info.last && records.len() < max_records && bytes < READ_BYTES_MAX {
                let budget =
                    ReadBudget { records: max_records - records.len(), bytes: READ_BYTES_MAX - bytes };
                let batches = self.read_segment(info, after, budget)?;
                if batches.is_empty() {
                    let what = format!("its records after {after} are missing");
                    return Err(JournalError::corrupt(info.number, None, what));
                }
                for batch in &batches {
                    let room = max_records - records.len();
                    records.extend(batch.records().take(room).map(|r| r.to_record()));
                    bytes += batch.frame_bytes();
                    after = batch.last();
                }
            }
        }
        Ok(records)
    }

    fn seal(&mut self) -> Result<Option<SegmentInfo>, JournalError> {
        self.check_running()?;
        if self.tail.batch_count == 0 {
            return Ok(None);
        }
        match self.seal_active() {
            Ok(info) => Ok(Some(info)),
            Err(error) => self.stop(error),
        }
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        self.sealed.iter().copied().chain([self.tail]).collect()
    }
}
