//! The Internet Research Agency's Facebook advertisements as released in 2018, from the SQLite set.
//!
//! Exact spending in roubles (a few in dollars) for each ad; who paid is the set itself, so every ad has
//! one sponsor. Opened read-only; texts and targets stay in the source.

use crate::amount::{self, Amount, Currency};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::{Fact, Writer};
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

/// Reads every ad into the writer; gives their number.
pub fn run(path: &Path, writer: &mut Writer<'_>) -> Result<u64> {
    let damaged =
        |e: rusqlite::Error| Error::Damaged { file: path.display().to_string(), reason: e.to_string() };
    let db = open(path)?;
    let mut query = db
        .prepare("SELECT CAST(id AS TEXT), CAST(impressions AS TEXT), CAST(spend_amount AS TEXT), spend_currency, created, ended FROM ads ORDER BY id")
        .map_err(damaged)?;
    let mut rows = query.query([]).map_err(damaged)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(damaged)? {
        count += 1;
        let mut fields = [const { String::new() }; 6];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = row.get::<_, Option<String>>(index).unwrap_or_default().unwrap_or_default();
        }
        if let Err(reason) = fact(&fields, writer)? {
            writer.bad(count, reason, fields.join(",").as_bytes())?;
        }
    }
    Ok(count)
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
