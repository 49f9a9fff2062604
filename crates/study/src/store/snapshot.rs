//! Snapshots: one file (or member of an archive) as it was published and when it was known.

use super::Store;
use crate::amount::Rule;
use crate::day::Day;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// Number of a snapshot within its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub i64);

/// What the rows of a snapshot are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Totals per advertiser over the window of a report.
    Advertiser,
    /// Per advertiser and region over the window of a report.
    Region,
    /// Totals per region over the window of a report.
    Location,
    /// Per advertiser and week.
    Weekly,
    /// Totals per advertiser since the archive began.
    Totals,
    /// Per region since the archive began.
    Geo,
    /// One row an ad.
    Ad,
    /// One row an ad and region: the ad's range times the region's share of whom it reached.
    AdRegion,
    /// One row an ad and group of age and gender, likewise.
    AdAudience,
    /// Spending on search words; never ranked with advertisers.
    Keyword,
    /// Names, identifiers or targeting without amounts.
    Detail,
}

impl Dataset {
    /// All of them.
    pub const ALL: [Dataset; 11] = [
        Dataset::Weekly,
        Dataset::Advertiser,
        Dataset::Ad,
        Dataset::Totals,
        Dataset::Region,
        Dataset::Location,
        Dataset::Geo,
        Dataset::AdRegion,
        Dataset::AdAudience,
        Dataset::Keyword,
        Dataset::Detail,
    ];
    /// The stored and shown word.
    pub fn code(self) -> &'static str {
        match self {
            Dataset::Advertiser => "advertiser",
            Dataset::Region => "region",
            Dataset::Location => "location",
            Dataset::Weekly => "weekly",
            Dataset::Totals => "totals",
            Dataset::Geo => "geo",
            Dataset::Ad => "ad",
            Dataset::AdRegion => "ad_region",
            Dataset::AdAudience => "ad_audience",
            Dataset::Keyword => "keyword",
            Dataset::Detail => "detail",
        }
    }
    /// Reads the word.
    pub fn parse(code: &str) -> Option<Dataset> {
        Dataset::ALL.into_iter().find(|d| d.code() == code)
    }
    /// Whether its rows are about ads, each of which counts once however many dumps state it.
    pub fn is_per_ad(self) -> bool {
        matches!(self, Dataset::Ad | Dataset::AdRegion | Dataset::AdAudience)
    }
    /// Whether a later snapshot replaces the earlier ones of its kind as a whole (otherwise windows add up).
    pub fn is_replaced_whole(self) -> bool {
        matches!(self, Dataset::Weekly | Dataset::Totals | Dataset::Geo | Dataset::Keyword | Dataset::Detail)
    }
}

/// The days a report covers and the name of its family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// `yesterday`, `last_7_days`, `lifelong`, `dump` ...
    pub name: String,
    /// First day covered.
    pub from: Day,
    /// Last day covered.
    pub to: Day,
}

impl Window {
    /// Whether two windows share a day.
    pub fn overlaps(&self, other: &Window) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// How the snapshot's date is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBasis {
    /// Stated by the person who imported it.
    Given,
    /// Part of the file's name.
    FileName,
    /// The newest period within the file.
    Content,
    /// The time of the file or of the archive member: known at the latest then.
    FileTime,
}

impl KnownBasis {
    fn code(self) -> &'static str {
        match self {
            KnownBasis::Given => "given",
            KnownBasis::FileName => "file_name",
            KnownBasis::Content => "content",
            KnownBasis::FileTime => "file_time",
        }
    }
    fn parse(code: &str) -> KnownBasis {
        match code {
            "given" => KnownBasis::Given,
            "file_name" => KnownBasis::FileName,
            "content" => KnownBasis::Content,
            _ => KnownBasis::FileTime,
        }
    }
}

/// Whether the snapshot holds everybody or only some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Everybody the archive knows.
    Complete,
    /// A selection (a published top ten, a search result): others may have spent more.
    Selection,
}

/// One snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Its number in the store (0 before it is stored).
    pub id: SnapshotId,
    /// Platform code.
    pub platform: String,
    /// Name of the importer's layout.
    pub layout: String,
    /// What the rows are.
    pub dataset: Dataset,
    /// Country code, or empty.
    pub country: String,
    /// The one region of the whole file, or empty.
    pub place: String,
    /// Days covered.
    pub window: Window,
    /// The day on which this was known.
    pub known_on: Day,
    /// How that day is known.
    pub known_basis: KnownBasis,
    /// How the source rounds.
    pub rule: Rule,
    /// Everybody, or a selection.
    pub coverage: Coverage,
    /// Where it comes from, for citation.
    pub cite: String,
    /// File (and member) name without folders.
    pub file: String,
    /// BLAKE3 of the contents, hexadecimal.
    pub content_hash: String,
    /// Whether a row states the same money in several currencies.
    pub parallel_currencies: bool,
    /// Facts stored.
    pub rows_count: u64,
    /// Rows kept aside.
    pub bad_rows_count: u64,
    /// Whether the import is complete.
    pub is_done: bool,
    /// What the importer noticed.
    pub notes: Vec<String>,
}

impl Snapshot {
    /// One line for lists and messages.
    pub fn title(&self) -> String {
        let place = if self.place.is_empty() { String::new() } else { format!(" {}", self.place) };
        format!(
            "{} {} {}{place}, {} ({} to {}), known on {} [{}]",
            self.platform,
            self.dataset.code(),
            self.country,
            self.window.name,
            self.window.from,
            self.window.to,
            self.known_on,
            self.file
        )
    }
}

/// Where an unfinished import stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub offset: u64,
    pub line: u64,
}

/// What is known about an identity.
pub(crate) enum Begun {
    New(SnapshotId),
    Partial(SnapshotId, Resume),
    Done(SnapshotId),
}

/// A row that is no fact.
#[derive(Clone, Debug, Serialize)]
pub struct BadRow {
    /// Physical line (or index in a JSON array), from 1.
    pub line: u64,
    /// Why it was kept aside.
    pub reason: String,
    /// The row as it stands, at most 4 KiB; empty where the layout holds private columns.
    pub raw: String,
}

const FIELDS: &str = "id, platform, layout, dataset, country, place, window, window_from, window_to, known_on, known_basis, rule, coverage, cite, file, content_hash, parallel, rows, bad_rows, is_done, notes";

impl Store {
    /// Every snapshot, in order of import.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut query = self.db.prepare(&format!("SELECT {FIELDS} FROM snapshot ORDER BY id"))?;
        let rows = query.query_map([], |r| Ok(from_row(r)))?;
        rows.map(|r| r?).collect()
    }
    /// Rows kept aside, by line.
    pub fn bad_rows(&self, snapshot: SnapshotId, limit: usize) -> Result<Vec<BadRow>> {
        let mut query = self
            .db
            .prepare("SELECT line, reason, raw FROM bad_row WHERE snapshot = ?1 ORDER BY line LIMIT ?2")?;
        let rows = query.query_map(params![snapshot.0, limit as i64], |r| {
            Ok(BadRow { line: r.get::<_, i64>(0)? as u64, reason: r.get(1)?, raw: r.get(2)? })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }
    /// Facts stored and rows kept aside.
    pub(crate) fn counts(&self, snapshot: SnapshotId) -> Result<(u64, u64)> {
        let counts =
            self.db.query_row("SELECT rows, bad_rows FROM snapshot WHERE id = ?1", [snapshot.0], |r| {
                Ok((r.get::<_, i64>(0)? as u64, r.get::<_, i64>(1)? as u64))
            });
        Ok(counts?)
    }
    /// Forgets a snapshot of shares in which there were none: it was made by looking for them.
    pub(crate) fn forget_if_empty(&self, id: SnapshotId, dataset: Dataset) -> Result<()> {
        if dataset.is_per_ad() && dataset != Dataset::Ad {
            let sql = "DELETE FROM snapshot WHERE id = ?1 AND rows = 0 AND bad_rows = 0";
            self.db.execute(sql, [id.0])?;
        }
        Ok(())
    }
    /// Looks the identity up, storing a new unfinished snapshot when it is unknown.
    pub(crate) fn begin(&self, identity: &[u8], s: &Snapshot) -> Result<Begun> {
        let found = self
            .db
            .prepare_cached("SELECT id, is_done, offset, line FROM snapshot WHERE identity = ?1")?
            .query_row([identity], |r| {
                Ok((r.get::<_, i64>(0)?, r.get::<_, bool>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?))
            })
            .optional()?;
        if let Some((id, is_done, offset, line)) = found {
            let resume = Resume { offset: offset as u64, line: line as u64 };
            return Ok(if is_done {
                Begun::Done(SnapshotId(id))
            } else {
                Begun::Partial(SnapshotId(id), resume)
            });
        }
        self.db.prepare_cached(
            "INSERT INTO snapshot(identity, platform, layout, dataset, country, place, window, window_from, window_to,
             known_on, known_basis, rule, coverage, cite, file, content_hash, parallel, rows, bad_rows, is_done, offset, line, notes)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,0,0,0,0,1,?18)",
        )?.execute(params![
            identity, s.platform, s.layout, s.dataset.code(), s.country, s.place, s.window.name, s.window.from.0,
            s.window.to.0, s.known_on.0, s.known_basis.code(), serde_json::to_string(&s.rule)?,
            if s.coverage == Coverage::Complete { "complete" } else { "selection" },
            s.cite, s.file, s.content_hash, s.parallel_currencies, s.notes.join("\n")
        ])?;
        Ok(Begun::New(SnapshotId(self.db.last_insert_rowid())))
    }
}

fn from_row(r: &Row<'_>) -> Result<Snapshot> {
    let dataset: String = r.get(3)?;
    let rule: String = r.get(11)?;
    let notes: String = r.get(20)?;
    Ok(Snapshot {
        id: SnapshotId(r.get(0)?),
        platform: r.get(1)?,
        layout: r.get(2)?,
        dataset: Dataset::parse(&dataset).ok_or_else(|| Error::NotAStore(format!("dataset {dataset:?}")))?,
        country: r.get(4)?,
        place: r.get(5)?,
        window: Window { name: r.get(6)?, from: Day(r.get(7)?), to: Day(r.get(8)?) },
        known_on: Day(r.get(9)?),
        known_basis: KnownBasis::parse(&r.get::<_, String>(10)?),
        rule: serde_json::from_str(&rule)?,
        coverage: if r.get::<_, String>(12)? == "complete" {
            Coverage::Complete
        } else {
            Coverage::Selection
        },
        cite: r.get(13)?,
        file: r.get(14)?,
        content_hash: r.get(15)?,
        parallel_currencies: r.get(16)?,
        rows_count: r.get::<_, i64>(17)? as u64,
        bad_rows_count: r.get::<_, i64>(18)? as u64,
        is_done: r.get(19)?,
        notes: notes.lines().map(str::to_owned).collect(),
    })
}
