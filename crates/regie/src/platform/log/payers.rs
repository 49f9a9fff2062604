//! Each closed day's billing, committed to in the log, and what a payer gets with an invoice to check it by.
//!
//! A day is closed once it is over in the zone of every account, from the journal and the ledger's own charges. Rows first, then
//! the log's entry: a crash between the two leaves rows without an entry, which are made anew. Refuses anything of a viewer (R4).

use super::{RecordLog, head_of};
use crate::platform::{Platform, secrets::random_bytes};
use anyhow::{Context, Result, anyhow};
use regie_journal::{JournalReader, Position};
use regie_ledger::{Charge, ChargeAt, ChargeKind};
use regie_model::{
    AdSetId, AdvertiserId, Currency, Day, UtcMs, Zone, catalogue::Catalogue, command::Change, event::Event,
};
use regie_record::log::{
    Append, Envelope, Hash,
    audit::{AUDIT_VERSION, AuditFile, Invoice, Line, ProvedDay, sign_invoice},
    day::{BillingEvent, ChargedFor, DayLeaf, DayTree, LEAVES_PART},
    hash::object_of,
    leaf::KIND_DAY,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::BTreeMap, path::Path};

/// A day is closed so long after its end, in milliseconds: what was appended on it has then been folded.
const SETTLE_MS: i64 = 5_000;
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS payer_days (
  day TEXT NOT NULL, ad_set TEXT NOT NULL, ad TEXT NOT NULL, advertiser INTEGER NOT NULL, leaf TEXT NOT NULL,
  seed BLOB NOT NULL, events TEXT NOT NULL, PRIMARY KEY (day, ad_set, ad)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payer_days_by_payer ON payer_days (advertiser, day);
CREATE TABLE IF NOT EXISTS payer_marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
";

/// Rows of one day: (ad set, ad) to the payer and events.
type Events = BTreeMap<(String, Option<String>), (AdvertiserId, Currency, Vec<BillingEvent>)>;

/// The payers' days.
pub struct Payers {
    connection: Connection,
    journal: std::path::PathBuf,
}

impl Payers {
    /// In a folder's `log.db`.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(folder: &crate::platform::folder::Folder) -> Result<Payers> {
        let connection = Connection::open(head_of(folder))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        Ok(Payers { connection, journal: folder.journal() })
    }
    fn mark(&self, name: &str) -> Result<Option<i64>> {
        let sql = "SELECT value FROM payer_marks WHERE name = ?1";
        Ok(self.connection.query_row(sql, [name], |r| r.get(0)).optional()?)
    }
    fn set_mark(&self, name: &str, value: i64) -> Result<()> {
        self.connection
            .execute("INSERT OR REPLACE INTO payer_marks VALUES (?1, ?2)", params![name, value])?;
        Ok(())
    }
    /// Closes the next day that is over, if there is one; whether there may be more.
    ///
    /// # Errors
    /// The journal's, SQLite's, the log's.
    pub fn close_next(&self, platform: &Platform, log: &RecordLog) -> Result<bool> {
        let zones: Vec<Zone> = {
            let catalogue = platform.catalogue();
            catalogue.advertisers.values().map(|a| a.spec.zone.clone()).collect()
        };
        if zones.is_empty() || log.halted().is_some() {
            return Ok(false);
        }
        let from = self.mark("position")?.unwrap_or(0) as u64;
        let day = match self.mark("day")? {
            Some(day) => Day(i32::try_from(day)?),
            None => match first_record(&self.journal)? {
                Some(at) => zones.iter().map(|zone| zone.day(at)).min().unwrap_or(Day(0)),
                None => return Ok(false),
            },
        };
        let next = Day(day.0 + 1);
        let over = zones.iter().map(|zone| zone.day_start(next)).max().unwrap_or(UtcMs(0));
        if platform.now().0 < over.0 + SETTLE_MS {
            return Ok(false);
        }
        platform.flush(false)?;
        let first_of_next = zones.iter().map(|zone| zone.day_start(next)).min().unwrap_or(UtcMs(0));
        let (events, position) = self.read(platform, day, from, first_of_next, over)?;
        self.commit(log, day, events, log.time(platform.now()))?;
        self.set_mark("position", position as i64)?;
        self.set_mark("day", i64::from(next.0))?;
        Ok(true)
    }
    /// The day's billing events, and the position behind which the next day's records are.
    fn read(
        &self,
        platform: &Platform,
        day: Day,
        from: u64,
        first_of_next: UtcMs,
        over: UtcMs,
    ) -> Result<(Events, u64)> {
        let mut events = Events::new();
        let mut position = None;
        let mut reader = JournalReader::open(&self.journal, Position(from))?;
        let mut last = from;
        'journal: while let Some(batch) = reader.next_batch()? {
            for record in batch.records() {
                let at = UtcMs(record.at_ms);
                if at >= first_of_next {
                    position.get_or_insert(record.position.0 - 1);
                }
                if at >= over {
                    break 'journal;
                }
                last = record.position.0;
                let event = Event::decode(record.payload)?;
                note(platform, &mut events, day, record.position.0, at, &event)?;
            }
        }
        Ok((events, position.unwrap_or(last)))
    }
    fn commit(&self, log: &RecordLog, day: Day, events: Events, now: UtcMs) -> Result<()> {
        let name = day.to_string();
        if events.is_empty() || !log.places(KIND_DAY, &name)?.is_empty() {
            return Ok(());
        }
        self.connection.execute("DELETE FROM payer_days WHERE day = ?1", [&name])?;
        let mut leaves = Vec::new();
        for ((ad_set, ad), (advertiser, currency, list)) in events {
            let seed = Hash(random_bytes()?);
            let leaf = DayLeaf::of(&name, &ad_set, ad.as_deref(), &currency.to_string(), seed, &list)?;
            self.connection.execute(
                "INSERT INTO payer_days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    name,
                    ad_set,
                    ad.unwrap_or_default(),
                    advertiser.0,
                    String::from_utf8(leaf.to_bytes())?,
                    seed.0,
                    serde_json::to_string(&list)?
                ],
            )?;
            leaves.push(leaf);
        }
        let tree = DayTree::of(leaves);
        let (object, bytes) = object_of(&random_bytes()?, &tree.list());
        let mut entry = Envelope::new(KIND_DAY, &name, 1, now.0, &tree.commitment())?;
        entry.commitments.insert(LEAVES_PART.into(), object);
        log.append(
            &[Append { leaf: entry.to_bytes()?, objects: vec![(object, bytes)] }],
            log.head().position,
        )?;
        Ok(())
    }
    /// The audit file of an invoice.
    ///
    /// # Errors
    /// SQLite's and the log's.
    pub fn audit_file(
        &self,
        log: &RecordLog,
        invoice: Invoice,
        advertiser: AdvertiserId,
    ) -> Result<AuditFile> {
        let sql = "SELECT day, leaf, seed, events FROM payer_days WHERE advertiser = ?1 AND day LIKE ?2 ORDER BY day, ad_set, ad";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(params![advertiser.0, format!("{}-%", invoice.month)])?;
        let mut days = Vec::new();
        let mut of_day: Option<(String, DayTree, String, String)> = None;
        while let Some(row) = rows.next()? {
            let (day, leaf, events): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
            if of_day.as_ref().is_none_or(|(known, ..)| *known != day) {
                let Some(&(_, place)) = log.places(KIND_DAY, &day)?.last() else { continue };
                let (entry, proof) = log.proof(place)?;
                of_day = Some((day.clone(), self.tree(&day)?, String::from_utf8(entry)?, proof.to_text()));
            }
            let (_, tree, entry, proof) = of_day.as_ref().context("a day without a tree")?;
            let index = tree.leaves().iter().position(|known| known.to_bytes() == leaf.as_bytes());
            let index = index.context("a day's row is not in its tree")? as u64;
            days.push(ProvedDay {
                leaf,
                seed: Hash(row.get(2)?),
                events: serde_json::from_str(&events)?,
                index,
                path: tree.prove(index),
                entry: entry.clone(),
                proof: proof.clone(),
            });
        }
        let by = log.signatory().context("the log has no key")?;
        let signed = sign_invoice(&invoice, &days, by)?.to_string();
        Ok(AuditFile { v: AUDIT_VERSION, invoice, signed, days })
    }
    fn tree(&self, day: &str) -> Result<DayTree> {
        let mut statement = self.connection.prepare("SELECT leaf FROM payer_days WHERE day = ?1")?;
        let rows = statement.query_map([day], |r| r.get::<_, String>(0))?;
        let mut leaves = Vec::new();
        for row in rows {
            leaves.push(DayLeaf::read(row?.as_bytes()).context("a day's leaf cannot be read")?);
        }
        Ok(DayTree::of(leaves))
    }
}

fn first_record(journal: &Path) -> Result<Option<UtcMs>> {
    let mut reader = JournalReader::open(journal, Position(0))?;
    let Some(batch) = reader.next_batch()? else { return Ok(None) };
    Ok(batch.records().next().map(|record| UtcMs(record.at_ms)))
}

/// Notes what a record charged or gave back, if it was on this day of its account.
fn note(
    platform: &Platform,
    events: &mut Events,
    day: Day,
    position: u64,
    at: UtcMs,
    event: &Event,
) -> Result<()> {
    let (charge, name, nanos) = match event {
        Event::Impression(ticket) | Event::Click(ticket) => {
            (charge_at(platform, position)?, ticket.id.to_string(), None)
        }
        Event::Conversion(conversion) => {
            (charge_at(platform, position)?, conversion.ticket.id.to_string(), None)
        }
        Event::FlatFeeAccrued { .. } => {
            (charge_at(platform, position)?, format!("position-{position}"), None)
        }
        Event::Booked(booked) => match &booked.change {
            Change::Credited { position: charged, .. } => {
                let granted = granted(platform, *charged, position)?;
                (charge_at(platform, *charged)?, format!("position-{charged}"), Some(-granted))
            }
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let Some(charge) = charge.filter(|_| nanos != Some(0)) else { return Ok(()) };
    let catalogue = platform.catalogue();
    let Some((advertiser, zone, currency)) = account_of(&catalogue, charge.key.ad_set) else { return Ok(()) };
    if zone.day(at) != day {
        return Ok(());
    }
    let kind = match charge.kind {
        ChargeKind::Impression => ChargedFor::Impression,
        ChargeKind::Click => ChargedFor::Click,
        ChargeKind::Conversion => ChargedFor::Conversion,
        ChargeKind::FlatFee => ChargedFor::FlatFee,
    };
    let nanos =
        i64::try_from(nanos.unwrap_or(charge.nanos.0)).map_err(|_| anyhow!("a charge beyond 64 bits"))?;
    let ad = (charge.key.ad.0 != 0).then(|| charge.key.ad.to_string());
    let row = events.entry((charge.key.ad_set.to_string(), ad)).or_insert((advertiser, currency, Vec::new()));
    row.2.push(BillingEvent(name, kind, nanos, at.hour().0));
    Ok(())
}

fn account_of(catalogue: &Catalogue, ad_set: AdSetId) -> Option<(AdvertiserId, Zone, Currency)> {
    let campaign = catalogue.ad_sets.get(&ad_set)?.spec.campaign;
    let advertiser = catalogue.campaigns.get(&campaign)?.spec.advertiser;
    let spec = &catalogue.advertisers.get(&advertiser)?.spec;
    Some((advertiser, spec.zone.clone(), spec.currency))
}

/// What the ledger charged at a position.
fn charge_at(platform: &Platform, position: u64) -> Result<Option<Charge>> {
    // The state's lock comes before the folds'.
    let state = platform.state();
    let mut folds = platform.folds();
    for _ in 0..2 {
        match folds.ledger.charge_at(position) {
            ChargeAt::Charge(charge) => return Ok(Some(charge)),
            ChargeAt::None => return Ok(None),
            ChargeAt::NeedsBlock(block) => {
                let bytes = state
                    .charge_block(block)?
                    .with_context(|| format!("block {block} of charges is missing"))?;
                folds.ledger.load_block(&bytes)?;
            }
        }
    }
    Err(anyhow!("the charge at {position} cannot be read"))
}

/// What the credit at `at` gave back of the charge at `charged`: as the ledger grants it, the smaller of what was asked and
/// what earlier credits had left.
fn granted(platform: &Platform, charged: u64, at: u64) -> Result<i128> {
    let Some(charge) = charge_at(platform, charged)? else { return Ok(0) };
    let state = platform.state();
    let mut left = charge.nanos.0;
    let mut last = 0;
    let sql = "SELECT position, body FROM changes WHERE position > ?1 AND position <= ?2 ORDER BY position";
    let mut statement = state.connection().prepare_cached(sql)?;
    let mut rows = statement.query(params![charged as i64, at as i64])?;
    while let Some(row) = rows.next()? {
        let (position, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let Event::Booked(booked) = Event::decode(&body)? else { continue };
        if let Change::Credited { position: of, amount_nanos, .. } = booked.change
            && of == charged
        {
            let grant = i128::from(amount_nanos.max(0)).min(left);
            left -= grant;
            if position as u64 == at {
                last = grant;
            }
        }
    }
    Ok(last)
}

/// An invoice as the payer's file has it.
pub fn invoice_of(invoice: &regie_ledger::Invoice) -> Invoice {
    let nanos = |n: regie_model::Nanos| i64::try_from(n.0).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    for line in &invoice.lines {
        lines.push(Line {
            ad_set: line.ad_set.to_string(),
            kind: match line.kind {
                ChargeKind::Impression => ChargedFor::Impression,
                ChargeKind::Click => ChargedFor::Click,
                ChargeKind::Conversion => ChargedFor::Conversion,
                ChargeKind::FlatFee => ChargedFor::FlatFee,
            },
            quantity_count: line.quantity_count,
            gross_nanos: nanos(line.gross_nanos),
            credited_nanos: nanos(line.credited_nanos),
            net_micros: line.net_micros.0,
        });
    }
    Invoice {
        number: invoice.number,
        advertiser: invoice.advertiser.to_string(),
        month: format!("{}-{:02}", invoice.year, invoice.month),
        currency: invoice.currency.to_string(),
        minor_digits: invoice.currency.minor_digits(),
        lines,
        net_micros: invoice.net_micros.0,
    }
}
