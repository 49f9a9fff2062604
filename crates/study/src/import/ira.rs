//! The Internet Research Agency's Facebook advertisements as released in 2018, from the SQLite set.
//!
//! Exact spending in roubles (a few in dollars) for each ad; who paid is the set itself, so every ad has
//! one sponsor. Opened read-only; texts and targets stay in the source.

use crate::amount::{self, Amount, Currency};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::{Fact, Resume, Writer};
use crate::subject::Subject;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The one sponsor of the set.
pub const SPONSOR: &str = "Internet Research Agency";

/// Whether the database holds the table this importer reads.
pub fn recognises(path: &Path) -> bool {
    open(path).is_ok_and(|db| {
        db.prepare(
            "SELECT id, clicks, impressions, spend_amount, spend_currency, created, ended FROM ads LIMIT 1",
        )
        .is_ok()
    })
}

fn open(path: &Path) -> Result<Connection> {
    // Immutable: the file may lie in a folder that cannot be written.
    let name = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(format!("file:{name}?mode=ro&immutable=1"), flags)?)
}

/// Ads between two commits.
const COMMIT_ADS: u64 = 1_000;

/// Reads every ad into the writer, from the beginning or behind the row where an import stopped (its number is the
/// offset); gives where it ended. `each` watches rows and ads at every commit and may stop.
///
/// # Errors
/// A damaged database; those of the store; being stopped.
pub(crate) fn run(
    path: &Path,
    writer: &mut Writer<'_>,
    resume: Option<Resume>,
    mut each: impl FnMut(u64, u64) -> bool,
) -> Result<Resume> {
    let damaged =
        |e: rusqlite::Error| Error::Damaged { file: path.display().to_string(), reason: e.to_string() };
    let db = open(path)?;
    let mut query = db
        .prepare("SELECT CAST(id AS TEXT), CAST(impressions AS TEXT), CAST(spend_amount AS TEXT), spend_currency, created, ended, rowid FROM ads WHERE rowid > ?1 ORDER BY rowid")
        .map_err(damaged)?;
    let mut at = resume.unwrap_or(Resume { offset: 0, line: 1 });
    let from = if resume.is_some() { at.offset as i64 } else { i64::MIN };
    let mut rows = query.query([from]).map_err(damaged)?;
    let mut uncommitted = 0;
    while let Some(row) = rows.next().map_err(damaged)? {
        let mut fields = [const { String::new() }; 6];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = row.get::<_, Option<String>>(index).unwrap_or_default().unwrap_or_default();
        }
        if let Err(reason) = fact(&fields, writer)? {
            writer.bad(at.line, reason, fields.join(",").as_bytes())?;
        }
        at = Resume { offset: row.get::<_, i64>(6).map_err(damaged)?.max(0) as u64, line: at.line + 1 };
        uncommitted += 1;
        if uncommitted >= COMMIT_ADS {
            uncommitted = 0;
            writer.commit_at(at)?;
            if !each(at.offset, at.line - 1) {
                return Err(super::reading::stopped());
            }
        }
    }
    Ok(at)
}

fn fact(fields: &[String; 6], writer: &mut Writer<'_>) -> Result<std::result::Result<(), &'static str>> {
    let [item, views, spend, currency, created, ended] = fields;
    let spend = match spend.trim() {
        "" | "None" => Ok(None),
        text => amount::parse_amount(text, amount::UNIT).map(Some),
    };
    let views = match views.trim() {
        "" => Ok(Amount::UNSTATED),
        text => amount::parse_amount(text, 1),
    };
    let (spend, views) = match (spend, views) {
        (Ok(spend), Ok(views)) => (spend, views),
        (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
    };
    // One ad of the release has no date: it counts, but on no particular day.
    let (from, to) = match (Day::parse_prefix(created), Day::parse_prefix(ended)) {
        (Some(from), to) => (from, to.filter(|to| *to >= from).unwrap_or(from)),
        (None, _) if created.trim().is_empty() => (Day::OPEN_START, Day::OPEN_END),
        (None, _) => return Ok(Err("the first day is not a date")),
    };
    let currency = match (&spend, Currency::parse(currency)) {
        (_, Some(_)) => currency.trim(),
        (None, None) => "",
        (Some(_), None) => return Ok(Err("an amount without a currency")),
    };
    let subject = Subject { platform: "ira", account: "", name: SPONSOR, payer: "", ids: "" };
    let spend = spend.unwrap_or(Amount::UNSTATED);
    writer.push(&Fact {
        subject,
        place: "",
        election: "",
        currency,
        from,
        to,
        spend,
        views,
        ads: 1,
        item,
    })?;
    Ok(Ok(()))
}
