//! Importing: one file, archive or folder in; snapshots with their facts out.
//!
//! Streaming and resumable: contents are hashed first, so that the same file twice changes nothing, and
//! every few chunks the place in the file is committed with the rows. Nothing is downloaded here.

mod documents;
pub mod ira;
pub mod json;
pub mod layouts;
pub mod mapping;
pub mod own;
mod parts;
pub mod plan;
mod reading;
mod record;
mod shares;

pub use mapping::Mapping;
pub use own::{OwnEntry, OwnSource};
pub use shares::NOTE as SHARES_NOTE;

use crate::amount::Currency;
use crate::day::Day;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::store::{Begun, Resume};
use crate::store::{Interner, KnownBasis, Snapshot, SnapshotId, Store, Window, Writer};
use parts::{Part, Parts};
use plan::{Plan, Runner};
use reading::{copy, header, identity, list, resume_at, shorten, unknown};
use serde::Serialize;
use std::path::Path;

/// What the person importing states about the file; everything else is read from it.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// A mapping for a CSV of unknown layout.
    pub mapping: Option<Mapping>,
    /// When the file was published or fetched; wins over its name.
    pub known_on: Option<Day>,
    /// Country code; wins over the file's name.
    pub country: Option<String>,
    /// Window family of a report whose name does not say it: `last_7_days` ...
    pub window: Option<String>,
    /// Currency where the file states none.
    pub currency: Option<Currency>,
    /// Encoding, when not UTF-8 or marked UTF-16.
    pub encoding: Option<Encoding>,
}

/// Watches an import; every call may stop it.
pub trait Progress {
    /// A part begins; `bytes` is its size when known.
    fn begin(&mut self, _name: &str, _bytes: Option<u64>) {}
    /// So far `bytes` and `rows`. `false` stops the import; what was committed stays and is resumed.
    fn at(&mut self, _bytes: u64, _rows: u64) -> bool {
        true
    }
    /// The part has ended.
    fn end(&mut self) {}
}
/// Watches nothing.
pub struct NoProgress;
impl Progress for NoProgress {}

/// What became of one part of a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum PartOutcome {
    /// It is in the store now.
    Imported {
        /// File, and member of an archive.
        file: String,
        /// Its snapshot.
        snapshot: SnapshotId,
        /// Facts stored in all.
        rows_count: u64,
        /// Rows kept aside in all.
        bad_rows_count: u64,
        /// The line an interrupted import went on from.
        resumed_at_line: Option<u64>,
    },
    /// It was there before; nothing changed.
    Known {
        /// File, and member of an archive.
        file: String,
        /// Its snapshot.
        snapshot: SnapshotId,
    },
    /// It holds nothing this program reads.
    Skipped {
        /// File, and member of an archive.
        file: String,
        /// Why.
        reason: String,
    },
}

/// What became of a file or folder.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Part by part.
    pub parts: Vec<PartOutcome>,
}

impl Outcome {
    /// Facts newly stored, or already there, and rows kept aside.
    pub fn rows_count(&self) -> (u64, u64) {
        self.parts.iter().fold((0, 0), |sum, part| match part {
            PartOutcome::Imported { rows_count, bad_rows_count, .. } => {
                (sum.0 + rows_count, sum.1 + bad_rows_count)
            }
            _ => sum,
        })
    }
    /// Number of parts newly imported.
    pub fn imported_count(&self) -> usize {
        self.parts.iter().filter(|p| matches!(p, PartOutcome::Imported { .. })).count()
    }
}

/// Imports files into a store.
pub struct Importer<'s> {
    store: &'s Store,
    interner: Interner,
    options: ImportOptions,
}

/// Most files of one folder or members of one archive.
const PARTS_MAX: usize = 100_000;

impl<'s> Importer<'s> {
    /// Prepares to import with some options.
    pub fn new(store: &'s Store, options: ImportOptions) -> Result<Importer<'s>> {
        Ok(Importer { store, interner: Interner::load(store)?, options })
    }

    /// Imports a file, an archive, or every file of a folder in order of name.
    ///
    /// # Errors
    /// A single file that no importer knows is an error; inside a folder or archive it is skipped with
    /// its reason. What was imported before an error stays.
    pub fn path(&mut self, path: &Path, progress: &mut dyn Progress) -> Result<Outcome> {
        if !path.is_dir() {
            return self.file(path, progress);
        }
        let mut files = Vec::new();
        list(path, &mut files, 0)?;
        files.sort();
        let mut outcome = Outcome::default();
        for file in files {
            match self.file(&file, progress) {
                Ok(part) => outcome.parts.extend(part.parts),
                Err(Error::Unrecognised { file, reason }) => {
                    outcome.parts.push(PartOutcome::Skipped { file, reason })
                }
                Err(error @ (Error::Unstated { .. } | Error::Damaged { .. })) => {
                    let file = file.display().to_string();
                    outcome.parts.push(PartOutcome::Skipped { file, reason: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Imports text that is in memory, under the name a file would have.
    ///
    /// # Errors
    /// As for a single file.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<PartOutcome> {
        let mut parts = Parts::memory(name, bytes);
        let part = parts.part(0)?;
        self.part(&mut parts, &part, &mut NoProgress)
    }

    fn file(&mut self, path: &Path, progress: &mut dyn Progress) -> Result<Outcome> {
        let mut parts = Parts::open(path)?;
        let mut outcome = Outcome::default();
        let is_single = parts.len() == 1;
        for index in 0..parts.len().min(PARTS_MAX) {
            let part = parts.part(index)?;
            match self.part(&mut parts, &part, progress) {
                Ok(done) => outcome.parts.push(done),
                Err(Error::Unrecognised { file, reason }) if !is_single => {
                    outcome.parts.push(PartOutcome::Skipped { file, reason });
                }
                Err(error) => return Err(error),
            }
            progress.end();
        }
        if !is_single && outcome.parts.iter().all(|p| matches!(p, PartOutcome::Skipped { .. })) {
            let reason = "nothing in it is of a known layout".into();
            return Err(Error::Unrecognised { file: path.display().to_string(), reason });
        }
        Ok(outcome)
    }

    fn part(&mut self, parts: &mut Parts, part: &Part, progress: &mut dyn Progress) -> Result<PartOutcome> {
        let head = parts.head(part)?;
        if head.is_empty() {
            return Err(unknown(part, "is empty"));
        }
        if head.starts_with(b"SQLite format 3\0") {
            return self.sqlite(parts, part, progress);
        }
        let encoding = self.options.encoding.unwrap_or_else(|| Encoding::sniff(&head));
        let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
        if encoding == Encoding::Utf8 && matches!(start.first(), Some(b'{' | b'[')) {
            return self.json(parts, part, &head, progress);
        }
        self.csv(parts, part, encoding, progress)
    }

    fn csv(
        &mut self,
        parts: &mut Parts,
        part: &Part,
        encoding: Encoding,
        progress: &mut dyn Progress,
    ) -> Result<PartOutcome> {
        let (header, delimiter) = parts.read(part, encoding, |input| header(part, input))?;
        let mut plan = match &self.options.mapping {
            Some(mapping) => mapping.plan(&header, &part.file)?,
            None => layouts::recognise(&header, &part.full_name()).ok_or_else(|| {
                if header.find(&["percentage"]).is_some() && header.find(&["ad id"]).is_some() {
                    return unknown(part, "holds shares of ads whose amounts are in another file; import the answers themselves");
                }
                unknown(
                    part,
                    &format!("no known layout has the columns {}", shorten(&header.raw.join(", "), 200)),
                )
            })?,
        };
        let snapshot = self.settle(&mut plan, part, parts.hash(part)?)?;
        let (id, resume) = match self.store.begin(&identity(&snapshot), &snapshot)? {
            Begun::Done(snapshot) => return Ok(PartOutcome::Known { file: part.full_name(), snapshot }),
            Begun::New(id) => (id, None),
            Begun::Partial(id, resume) => (id, Some(resume).filter(|r| r.offset > 0)),
        };
        progress.begin(&part.full_name(), part.bytes);
        let mut writer = Writer::new(self.store, &mut self.interner, id)?;
        let mut runner = Runner::new(&plan, &snapshot.window, snapshot.known_on);
        let written = parts.read(part, encoding, |input| {
            let mut records = resume_at(input, delimiter, resume)?;
            copy(&mut records, &mut runner, &mut writer, progress)
        });
        let end = match written {
            Ok(end) => end,
            Err(error) => {
                drop(writer);
                self.interner = Interner::load(self.store)?;
                return Err(error);
            }
        };
        writer.note(&plan.notes)?;
        writer.note(&runner.notes())?;
        writer.finish(end)?;
        self.imported(part, id, resume)
    }

    /// Stores a snapshot that is written in one go: an interrupted one begins anew.
    pub(crate) fn store_all(
        &mut self,
        snapshot: &Snapshot,
        write: impl FnOnce(&mut Writer<'_>) -> Result<u64>,
    ) -> Result<Outcome> {
        let file = snapshot.file.clone();
        let id = match self.store.begin(&identity(snapshot), snapshot)? {
            Begun::Done(snapshot) => {
                return Ok(Outcome { parts: vec![PartOutcome::Known { file, snapshot }] });
            }
            Begun::New(id) => id,
            Begun::Partial(id, _) => id,
        };
        let mut writer = Writer::new(self.store, &mut self.interner, id)?;
        match write(&mut writer) {
            Ok(count) => {
                writer.note(&snapshot.notes)?;
                writer.finish(Resume { offset: 0, line: count + 1 })?;
            }
            Err(error) => {
                drop(writer);
                self.interner = Interner::load(self.store)?;
                return Err(error);
            }
        }
        let (rows_count, bad_rows_count) = self.store.counts(id)?;
        let done =
            PartOutcome::Imported { file, snapshot: id, rows_count, bad_rows_count, resumed_at_line: None };
        Ok(Outcome { parts: vec![done] })
    }

    fn imported(&self, part: &Part, id: SnapshotId, resume: Option<Resume>) -> Result<PartOutcome> {
        let (rows_count, bad_rows_count) = self.store.counts(id)?;
        let resumed_at_line = resume.map(|r| r.line);
        Ok(PartOutcome::Imported {
            file: part.full_name(),
            snapshot: id,
            rows_count,
            bad_rows_count,
            resumed_at_line,
        })
    }

    /// Settles what the plan leaves open, from the options, the name and the file's time.
    fn settle(&self, plan: &mut Plan, part: &Part, content_hash: String) -> Result<Snapshot> {
        let options = &self.options;
        let unstated = |what, option| Error::Unstated { file: part.full_name(), what, option };
        if let Some(country) = &options.country {
            plan.country.clone_from(country);
        }
        plan.currency = plan.currency.or(options.currency);
        let needs_currency =
            plan.columns.spend.iter().any(|m| m.currency.is_none()) && plan.columns.currency.is_none();
        if needs_currency && plan.currency.is_none() {
            return Err(unstated("the currency", "--currency CODE"));
        }
        let stated = options.known_on.map(|day| (day, KnownBasis::Given)).or(plan.known_on);
        let (known_on, known_basis) = match stated {
            Some(known) => known,
            None => (
                part.modified.ok_or_else(|| unstated("its date", "--known-on YYYY-MM-DD"))?,
                KnownBasis::FileTime,
            ),
        };
        let window = match (&plan.window, &options.window) {
            (_, Some(name)) => layouts::window(name, known_on).ok_or_else(|| {
                Error::Question(format!(
                    "no window family {name:?}; for example yesterday, last_7_days, lifelong"
                ))
            })?,
            (Some(window), None) => window.clone(),
            (None, None) if plan.layout.starts_with("meta-report") => {
                return Err(unstated(
                    "the days it covers",
                    "--window yesterday|last_7_days|last_30_days|last_90_days|lifelong",
                ));
            }
            (None, None) => Window { name: "dump".into(), from: Day::OPEN_START, to: known_on },
        };
        Ok(Snapshot {
            id: SnapshotId(0),
            platform: plan.platform.clone(),
            layout: plan.layout.clone(),
            dataset: plan.dataset,
            country: plan.country.clone(),
            place: plan.place.clone(),
            window,
            known_on,
            known_basis,
            rule: plan.rule,
            coverage: plan.coverage,
            cite: plan.cite.clone(),
            file: part.full_name(),
            content_hash,
            parallel_currencies: plan.parallel_currencies,
            rows_count: 0,
            bad_rows_count: 0,
            is_done: false,
            notes: Vec::new(),
        })
    }
}
