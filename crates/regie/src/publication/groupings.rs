//! Groupings of sponsors that the publisher keeps, as entries of the log: which sponsors belong to one person, party or organisation,
//! by what evidence, who says so and since when. A change is a new version; a withdrawn one leaves its leaf, and what it said goes
//! under a tombstone (R3). What may name a person is an object, and no leaf says it (R4, J1).

use super::{Publication, db::RecordDb, salt};
use crate::platform::lock;
use anyhow::{Context, Result};
use regie_model::{
    GroupingId, PartyId, UtcMs,
    booking::{GroupingSpec, GroupingWords},
};
use regie_record::{
    canonical::canonical,
    commit::{Object, Sha256Hash},
    log::{Append, Envelope, Hash, leaf::View},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// Kind of the leaves.
pub const KIND: &str = "grouping";
/// The part that holds what is said.
pub const PART: &str = "said";

/// Tables of groupings, in `record.db`.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS groupings (id INTEGER NOT NULL, idx INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS groupings_by_place ON groupings (idx);
";

/// What a leaf says in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The sponsors, by number.
    pub sponsors: Vec<PartyId>,
    /// It holds no more.
    pub withdrawn: bool,
}

/// A grouping as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped {
    /// Which.
    pub id: GroupingId,
    /// Place of its newest version in the log.
    pub index: u64,
    /// From 1.
    pub version: u32,
    /// When that version was made.
    pub at: UtcMs,
    /// The sponsors.
    pub sponsors: Vec<PartyId>,
    /// Name, evidence, author; none where it is withheld.
    pub said: Option<GroupingWords>,
}

/// Takes in a leaf about a grouping; false where it is none.
///
/// # Errors
/// SQLite's error.
pub(super) fn ingest(db: &RecordDb, index: u64, bytes: &[u8], objects: &[(Hash, Vec<u8>)]) -> Result<bool> {
    let Ok(leaf) = Envelope::read(bytes) else { return Ok(false) };
    let Some(id) = (leaf.kind == KIND).then(|| leaf.id.parse::<GroupingId>().ok()).flatten() else {
        return Ok(false);
    };
    let transaction = db.connection().unchecked_transaction()?;
    db.pass(index)?;
    let sql = "INSERT OR IGNORE INTO groupings VALUES (?1, ?2, ?3)";
    db.connection().prepare_cached(sql)?.execute(params![id.0, index as i64, bytes])?;
    for (hash, object) in objects {
        let sql = "INSERT OR IGNORE INTO objects VALUES (?1, ?2)";
        db.connection().prepare_cached(sql)?.execute(params![hash.0, object])?;
    }
    transaction.commit()?;
    Ok(true)
}

fn newest(connection: &Connection, id: GroupingId, size: u64) -> Result<Option<(u64, Envelope)>> {
    let sql = "SELECT idx, bytes FROM groupings WHERE id = ?1 AND idx < ?2 ORDER BY idx DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let found: Option<(i64, Vec<u8>)> =
        statement.query_row(params![id.0, size], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    found.map(|(index, bytes)| Ok((index as u64, Envelope::read(&bytes)?))).transpose()
}
fn said_by(db: &RecordDb, leaf: &Envelope) -> Option<(Sha256Hash, Vec<u8>)> {
    let hash = Sha256Hash(leaf.commitments.get(PART)?.0);
    let object = db.object(&hash)?;
    Some((hash, Object::open(hash, &object)?.to_vec()))
}

/// The groupings that a sponsor stands in, as known at a size of the log; withdrawn ones are left out.
///
/// # Errors
/// SQLite's error; a leaf that cannot be read.
pub fn of(db: &RecordDb, sponsor: PartyId, size: Option<u64>) -> Result<Vec<Grouped>> {
    let size = size.unwrap_or(u64::MAX);
    let ids: Vec<GroupingId> = {
        let mut statement =
            db.connection().prepare_cached("SELECT DISTINCT id FROM groupings ORDER BY id")?;
        let rows = statement.query_map([], |r| r.get(0).map(GroupingId))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut found = Vec::new();
    for id in ids {
        let Some((index, leaf)) = newest(db.connection(), id, size)? else { continue };
        let Body { sponsors, withdrawn } = leaf.body_as()?;
        if withdrawn || !sponsors.contains(&sponsor) {
            continue;
        }
        let said = said_by(db, &leaf).and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok());
        found.push(Grouped { id, index, version: leaf.version, at: UtcMs(leaf.at_ms), sponsors, said });
    }
    Ok(found)
}

impl Publication {
    /// Publishes every grouping that says something new; how many.
    ///
    /// # Errors
    /// SQLite's and the log's; then it is to be called again.
    pub fn publish_groupings(&self, position: u64) -> Result<usize> {
        let kept: Vec<(GroupingId, GroupingSpec)> = {
            let catalogue = self.platform.catalogue();
            catalogue.groupings.iter().map(|(id, kept)| (*id, kept.spec.clone())).collect()
        };
        let mut count = 0;
        for (id, spec) in kept {
            count += usize::from(self.publish_grouping(id, &spec, position)?);
        }
        Ok(count)
    }
    fn publish_grouping(&self, id: GroupingId, spec: &GroupingSpec, position: u64) -> Result<bool> {
        let before = newest(self.db().connection(), id, u64::MAX)?;
        let body = Body { sponsors: spec.sponsors.clone(), withdrawn: spec.withdrawn.is_some() };
        // Whoever it names may have been erased: then there is nothing to say, and the grouping holds no more.
        let words: Option<GroupingWords> = self.platform.secrets.unseal_as(&spec.said)?;
        let content = match (&words, body.withdrawn) {
            (Some(words), false) => Some(canonical(words)?),
            _ => None,
        };
        let body = Body { withdrawn: body.withdrawn || content.is_none(), ..body };
        let same = before.as_ref().is_some_and(|(_, leaf)| {
            let said = said_by(&self.db(), leaf).map(|(_, bytes)| bytes);
            leaf.body_as::<Body>().is_ok_and(|before| before == body) && said == content
        });
        if same || before.is_none() && body.withdrawn {
            return Ok(false);
        }
        let version = before.as_ref().map_or(1, |(_, leaf)| leaf.version + 1);
        let mut leaf = Envelope::new(KIND, &id.to_string(), version, self.now().0, &body)?;
        let mut objects = Vec::new();
        if let Some(content) = content {
            let mut failed = None;
            let object = Object::new(salt(&mut failed), &content);
            anyhow::ensure!(failed.is_none(), "no randomness for a salt");
            leaf.commitments.insert(PART.into(), Hash(object.hash.0));
            objects.push((Hash(object.hash.0), object.bytes));
        }
        let bytes = leaf.to_bytes()?;
        let append = Append { leaf: bytes.clone(), objects: objects.clone() };
        let index = lock(&self.log).append_entry(append, position)?;
        ingest(&self.db(), index, &bytes, &objects)?;
        if body.withdrawn {
            let why = spec.withdrawn.clone().unwrap_or_else(|| "the person was erased".into());
            self.withhold_grouping(id, &format!("withdrawn: {why}"))?;
        }
        Ok(true)
    }
    /// What the versions of a withdrawn grouping said goes, each object under its tombstone.
    fn withhold_grouping(&self, id: GroupingId, ground: &str) -> Result<()> {
        let leaves: Vec<Vec<u8>> = {
            let db = self.db();
            let sql = "SELECT bytes FROM groupings WHERE id = ?1 ORDER BY idx";
            let mut statement = db.connection().prepare_cached(sql)?;
            let rows = statement.query_map([id.0], |r| r.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for bytes in leaves {
            let leaf = Envelope::read(&bytes)?;
            let held = said_by(&self.db(), &leaf);
            let Some((hash, _)) = held else { continue };
            let view = View::from(leaf);
            let now = self.platform.now();
            lock(&self.log)
                .withhold_of(&format!("{} {}", view.kind, view.id), PART, hash, ground, now)
                .context("withholding a grouping")?;
            self.db().withhold(&hash)?;
        }
        Ok(())
    }
}
