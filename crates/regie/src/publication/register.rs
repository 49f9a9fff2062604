//! What follows from the published leaves and is kept beside them: whom an ad's facts are about, which ads name nobody, and until
//! when each personal field is held.
//!
//! A projection of the log in `record.db`, caught up on demand in small steps. A personal field is held for a stated time after
//! its ad last ran, and goes then: its object is deleted under a tombstone, the leaf stays (R3). Refuses to hold one without
//! a date.

use super::{Publication, db::RecordDb};
use crate::platform::lock;
use anyhow::Result;
use regie_model::{AdId, PartyId, UtcMs, time::DAY_MS};
use regie_record::{
    FACTS_PART, Facts, PublicParty,
    commit::Sha256Hash,
    leaf::{Kind, Leaf},
};
use rusqlite::{Connection, params};
use std::{collections::BTreeSet, sync::atomic::Ordering};

/// Days that a personal field is held after its ad last ran, unless the operator says otherwise: seven years, as Regulation (EU)
/// 2024/900 has it for notices (to be confirmed).
pub const KEEP_DAYS: u32 = 2_557;
/// Leaves of one step.
const STEP: usize = 1_000;
/// Personal fields that one round withholds at most.
const EXPIRED_MAX: usize = 500;

/// Tables of the register, in `record.db`.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS about (what TEXT NOT NULL, ad INTEGER NOT NULL, PRIMARY KEY (what, ad)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unnamed (ad INTEGER PRIMARY KEY, sponsor INTEGER NOT NULL, payer INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS personal (
  hash BLOB PRIMARY KEY, ad INTEGER NOT NULL, idx INTEGER NOT NULL, part TEXT NOT NULL, until_ms INTEGER NOT NULL, live INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS personal_by_ad ON personal (ad);
CREATE INDEX IF NOT EXISTS personal_by_time ON personal (until_ms);
CREATE INDEX IF NOT EXISTS leaves_decisions ON leaves (idx) WHERE kind = 'decision';
";

/// Whether a part is a field of a party.
pub fn is_personal(part: &str) -> bool {
    part.starts_with("sponsor.") || part.starts_with("payer.")
}
fn of_party(id: PartyId) -> String {
    id.to_string()
}
fn of_vote(name: &str) -> String {
    format!("vote {name}")
}

/// Reads some leaves that were not read yet; whether there may be more.
fn step(db: &RecordDb, keep_ms: i64) -> Result<bool> {
    let connection = db.connection();
    let kept = u64::try_from(keep_ms).unwrap_or(0);
    if db.mark("register_keep")? != kept {
        connection.execute_batch("DELETE FROM personal")?;
        db.set_mark("register", 0)?;
        db.set_mark("register_keep", kept)?;
    }
    let from = db.mark("register")?;
    let leaves: Vec<(u64, Vec<u8>)> = {
        let sql = "SELECT idx, bytes FROM leaves WHERE idx >= ?1 AND kind <> 'log' ORDER BY idx LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![from as i64, STEP as i64], |r| Ok((r.get::<_, i64>(0)? as u64, r.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let Some((last, _)) = leaves.last() else { return Ok(false) };
    let (next, more) = (last + 1, leaves.len() == STEP);
    let transaction = connection.unchecked_transaction()?;
    for (index, bytes) in &leaves {
        let leaf = Leaf::parse(bytes)?;
        match leaf.kind {
            Kind::Facts => note_facts(db, *index, &leaf, keep_ms)?,
            Kind::Figures => {
                let day = leaf.figures.as_ref().map_or(0, |f| i64::from(f.day.0) + 1);
                prolong(connection, leaf.ad, day * DAY_MS + keep_ms)?;
            }
            Kind::Decision => {}
        }
    }
    db.set_mark("register", next)?;
    transaction.commit()?;
    Ok(more)
}

/// Everything of the facts but creatives and texts.
fn bare_facts(db: &RecordDb, leaf: &Leaf) -> Option<Facts> {
    let wanted = |part: &str| part == FACTS_PART || is_personal(part);
    let named: BTreeSet<Sha256Hash> =
        leaf.commitments.iter().filter(|c| wanted(&c.part)).map(|c| c.sha256).collect();
    Facts::read(leaf, &|hash| named.contains(hash).then(|| db.object(hash)).flatten()).ok()
}

fn prolong(connection: &Connection, ad: AdId, until_ms: i64) -> Result<()> {
    let sql = "UPDATE personal SET until_ms = max(until_ms, ?2) WHERE ad = ?1 AND live = 1";
    connection.prepare_cached(sql)?.execute(params![ad.0, until_ms])?;
    Ok(())
}

fn note_facts(db: &RecordDb, index: u64, leaf: &Leaf, keep_ms: i64) -> Result<()> {
    let connection = db.connection();
    let facts = bare_facts(db, leaf);
    let ends = facts.as_ref().and_then(|f| f.period.ends_at).map_or(leaf.at, |end| end.max(leaf.at));
    // What the version before showed was shown until now.
    prolong(connection, leaf.ad, leaf.at.0 + keep_ms)?;
    connection.prepare_cached("UPDATE personal SET live = 0 WHERE ad = ?1")?.execute([leaf.ad.0])?;
    let mut put = connection.prepare_cached(
        "INSERT INTO personal VALUES (?1, ?2, ?3, ?4, ?5, 1)
         ON CONFLICT (hash) DO UPDATE SET idx = ?3, until_ms = max(until_ms, ?5), live = 1",
    )?;
    for held in leaf.commitments.iter().filter(|c| is_personal(&c.part)) {
        if db.object(&held.sha256).is_some() {
            put.execute(params![held.sha256.0, leaf.ad.0, index as i64, held.part, ends.0 + keep_ms])?;
        }
    }
    let Some(facts) = facts else { return Ok(()) };
    let mut about = connection.prepare_cached("INSERT OR IGNORE INTO about VALUES (?1, ?2)")?;
    about.execute(params![of_party(facts.sponsor.id), leaf.ad.0])?;
    about.execute(params![of_party(facts.payer.id), leaf.ad.0])?;
    for linked in facts.declaration.iter().flat_map(|d| &d.linked) {
        about.execute(params![of_vote(&linked.name), leaf.ad.0])?;
    }
    let [sponsor, payer] = [&facts.sponsor, &facts.payer].map(is_unnamed);
    let sql = match sponsor || payer {
        true => "INSERT OR REPLACE INTO unnamed VALUES (?1, ?2, ?3)",
        false => "DELETE FROM unnamed WHERE ad = ?1 AND ?2 = ?2 AND ?3 = ?3",
    };
    connection.prepare_cached(sql)?.execute(params![leaf.ad.0, sponsor, payer])?;
    Ok(())
}

/// A party that nobody can tell from its number. A name that was lawfully withheld is not missing.
fn is_unnamed(party: &PublicParty) -> bool {
    !party.withheld && (party.name.trim().is_empty() || party.name == party.id.to_string())
}

/// Reads all that was not read yet.
///
/// # Errors
/// SQLite's error.
pub fn catch_up(db: &RecordDb, keep_days: u32) -> Result<()> {
    while step(db, i64::from(keep_days) * DAY_MS)? {}
    Ok(())
}

/// Ads whose facts ever named a party as sponsor or payer, or a vote or process, by number.
///
/// # Errors
/// SQLite's error.
pub fn ads_about(db: &RecordDb, about: &regie_record::log::dossier::About) -> Result<Vec<AdId>> {
    let what = match (&about.sponsor, &about.election) {
        (Some(party), _) => of_party(*party),
        (None, Some(name)) => of_vote(name),
        (None, None) => return Ok(Vec::new()),
    };
    let mut statement = db.connection().prepare_cached("SELECT ad FROM about WHERE what = ?1 ORDER BY ad")?;
    let rows = statement.query_map([what], |r| r.get::<_, u32>(0))?;
    Ok(rows.map(|ad| ad.map(AdId)).collect::<Result<_, _>>()?)
}

/// Ads shown whose facts name no sponsor, and no payer.
///
/// # Errors
/// SQLite's error.
pub fn unnamed_counts(db: &RecordDb) -> Result<[u64; 2]> {
    let sql = "SELECT coalesce(sum(u.sponsor), 0), coalesce(sum(u.payer), 0) FROM unnamed u JOIN ads a ON a.ad = u.ad WHERE a.shown = 1";
    let counts = db.connection().query_row(sql, [], |r| Ok([r.get::<_, i64>(0)?, r.get::<_, i64>(1)?]))?;
    Ok(counts.map(|count| count as u64))
}

/// Until when the personal fields of a leaf are held: by part. What is gone has no date.
///
/// # Errors
/// SQLite's error.
pub fn kept_until(db: &RecordDb, leaf: &Leaf) -> Result<Vec<(String, UtcMs)>> {
    let mut told = Vec::new();
    let mut statement = db.connection().prepare_cached("SELECT until_ms FROM personal WHERE hash = ?1")?;
    for held in leaf.commitments.iter().filter(|c| is_personal(&c.part)) {
        if let Some(until) = statement.query_map([held.sha256.0], |r| r.get(0))?.next() {
            told.push((held.part.clone(), UtcMs(until?)));
        }
    }
    Ok(told)
}

impl Publication {
    /// How long personal fields are held after their ad last ran, in days.
    pub fn keep_personal_for(&self, days: u32) {
        self.keep_days.store(days, Ordering::Relaxed);
    }
    /// Reads all that the register has not read yet, leaving the projection to others between steps.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn register(&self) -> Result<()> {
        let keep_ms = i64::from(self.keep_days.load(Ordering::Relaxed)) * DAY_MS;
        while step(&self.db(), keep_ms)? {}
        Ok(())
    }
    /// Withholds every personal field whose time is over, each under a tombstone; how many.
    ///
    /// # Errors
    /// SQLite's and the log's; what was not withheld is tried again.
    pub fn withhold_expired(&self, now: UtcMs) -> Result<u64> {
        self.register()?;
        let days = self.keep_days.load(Ordering::Relaxed);
        let ground = format!("end of the retention period: {days} days after the ad last ran");
        let due: Vec<(Sha256Hash, AdId, u64, String)> = {
            let db = self.db();
            let sql =
                "SELECT hash, ad, idx, part FROM personal WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2";
            let mut statement = db.connection().prepare_cached(sql)?;
            let rows = statement.query_map(params![now.0, EXPIRED_MAX as i64], |r| {
                Ok((Sha256Hash(r.get(0)?), AdId(r.get(1)?), r.get::<_, i64>(2)? as u64, r.get(3)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let mut ads = BTreeSet::new();
        for (hash, ad, index, part) in &due {
            let leaf = self.db().leaf_bytes(*index)?.map(|bytes| Leaf::parse(&bytes)).transpose()?;
            let held = self.db().object(hash).is_some();
            if let Some(leaf) = leaf.filter(|_| held) {
                lock(&self.log).withhold(&leaf, part, *hash, &ground, now)?;
                self.db().withhold_of(*ad, hash)?;
                ads.insert(*ad);
            }
            self.db().connection().execute("DELETE FROM personal WHERE hash = ?1", [hash.0])?;
        }
        for ad in ads {
            self.index(ad)?;
        }
        Ok(due.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_record::{Previous, facts_sheet};

    fn facts(ad: u32, sponsor: &str) -> Facts {
        let party = serde_json::json!({ "id": "party_1", "name": "", "withheld": false });
        let mut facts: Facts = serde_json::from_value(serde_json::json!({
            "schema_version": 1, "id": AdId(ad), "campaign": "cam_1", "political": false, "run": "active",
            "sponsor": party, "payer": party, "content": { "landing_url": "https://shop.example/", "versions": [] },
            "period": { "starts_at": UtcMs(0), "ends_at": null, "first_day": null, "last_day": null, "zone": "UTC" },
            "currency": "EUR", "targeting": { "clauses": [], "caps": [], "learned": false, "words": "Everybody" },
            "price": { "model": "free", "currency": "EUR", "words": "Free" }, "history": [],
        }))
        .unwrap();
        facts.sponsor.name = sponsor.into();
        facts.payer = facts.sponsor.clone();
        facts
    }
    fn publish(db: &mut RecordDb, facts: &Facts, at: i64) -> Leaf {
        let before = db.latest(facts.id, Kind::Facts, None).unwrap();
        let mut salt = [0u8; 32];
        salt[0] = at as u8;
        salt[1] = facts.id.0 as u8;
        let sheet = {
            let object = |hash: &Sha256Hash| db.object(hash);
            let previous = before.as_ref().map(|leaf| Previous { leaf, object: &object });
            let mut fresh = || {
                salt[2] += 1;
                salt
            };
            facts_sheet(facts, &|_| None, previous.as_ref(), UtcMs(at), &mut fresh).unwrap().unwrap()
        };
        let size = db.size().unwrap();
        db.ingest(size, std::slice::from_ref(&sheet), None).unwrap();
        let mut filters = super::super::db::Filters::default();
        filters.add("shown", "1");
        db.set_words(facts.id, true, "", &filters).unwrap();
        sheet.leaf
    }

    #[test]
    fn ads_without_a_name_are_counted_and_a_name_that_comes_later_counts() {
        let mut db = RecordDb::in_memory().unwrap();
        publish(&mut db, &facts(1, "Named"), 1_000);
        publish(&mut db, &facts(2, ""), 1_000);
        let numbered = facts(3, &facts(3, "").sponsor.id.to_string());
        publish(&mut db, &numbered, 1_000);
        catch_up(&db, 10).unwrap();
        assert_eq!(unnamed_counts(&db).unwrap(), [2, 2]);
        let mut paid = facts(2, "");
        paid.payer.id = PartyId(77);
        paid.payer.name = "Payer".into();
        publish(&mut db, &paid, 2_000);
        publish(&mut db, &facts(3, "Named now"), 2_000);
        catch_up(&db, 10).unwrap();
        assert_eq!(unnamed_counts(&db).unwrap(), [1, 0]);
        let about =
            |party: PartyId| regie_record::log::dossier::About { sponsor: Some(party), election: None };
        assert_eq!(ads_about(&db, &about(PartyId(77))).unwrap(), [AdId(2)]);
        assert_eq!(ads_about(&db, &about(numbered.sponsor.id)).unwrap(), [AdId(1), AdId(2), AdId(3)]);
    }
    #[test]
    fn a_personal_field_has_a_date_that_moves_while_it_is_shown() {
        let mut db = RecordDb::in_memory().unwrap();
        let (keep, day) = (10, DAY_MS);
        let mut first = facts(1, "First name");
        first.period.ends_at = None;
        let before = publish(&mut db, &first, day);
        let part = |db: &RecordDb, leaf: &Leaf| {
            let dates = kept_until(db, leaf).unwrap();
            dates.into_iter().find(|(part, _)| part == "sponsor.name").map(|(_, until)| until.0)
        };
        catch_up(&db, keep).unwrap();
        assert_eq!(part(&db, &before), Some(day + 10 * day));
        // Another name: the first was shown until then.
        let mut second = first.clone();
        second.sponsor.name = "Second name".into();
        second.payer = second.sponsor.clone();
        let after = publish(&mut db, &second, 5 * day);
        catch_up(&db, keep).unwrap();
        assert_eq!((part(&db, &before), part(&db, &after)), (Some(15 * day), Some(15 * day)));
        // Intended to run for longer: so is its name held.
        second.period.ends_at = Some(UtcMs(40 * day));
        let after = publish(&mut db, &second, 6 * day);
        catch_up(&db, keep).unwrap();
        assert_eq!((part(&db, &before), part(&db, &after)), (Some(15 * day), Some(50 * day)));
        // Another period of the operator's: every date is made anew.
        catch_up(&db, 20).unwrap();
        assert_eq!((part(&db, &before), part(&db, &after)), (Some(25 * day), Some(60 * day)));
    }
}
