//! A real server with millions of versions: its memory, and how long it takes to start with and without an image.

use super::{
    super::{Row, setup::Process},
    decisions::row,
    world::{Chance, Plan},
};
use crate::{
    cli::{Cli, progress},
    platform::{folder::Folder, secrets::Secrets},
    server::system_clock,
};
use anyhow::Result;
use regie_journal::{Journal, Options, SqliteJournal};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PlacementId, SiteId, UtcMs, VersionId,
    booking::TierKind,
    command::Change,
    event::{Actor, Booked, Event},
    personal::Identity,
    ticket::{Billing, DeviceClass, Ticket, TicketId},
};
use std::{path::Path, time::Instant};

/// Records and bytes of one batch at most.
const BATCH_RECORDS: usize = 8_192;
const BATCH_BYTES: usize = 8 << 20;

/// Appends in large batches.
struct Writer {
    journal: SqliteJournal,
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    now: UtcMs,
}
impl Writer {
    fn open(folder: &Folder) -> Result<Writer> {
        let journal = SqliteJournal::open(&folder.journal(), Options::default())?;
        Ok(Writer { journal, waiting: Vec::new(), bytes: 0, now: system_clock()() })
    }
    fn put(&mut self, event: &Event) -> Result<()> {
        let payload = event.encode();
        self.bytes += payload.len();
        self.waiting.push(payload);
        if self.waiting.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }
    fn flush(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.journal.append(self.now.0, &self.waiting)?;
            self.waiting.clear();
            self.bytes = 0;
        }
        Ok(())
    }
}

fn book(cli: &Cli, folder: &Folder, plan: &Plan) -> Result<()> {
    let secrets = Secrets::open(&folder.secrets_db())?;
    let mut writer = Writer::open(folder)?;
    let bar = progress::bar("booking", cli.json);
    bar.set_length(u64::from(plan.versions));
    let at = writer.now;
    plan.changes(&mut |mut change| {
        if let Change::PartyPut { spec, .. } = &mut change {
            let identity = Identity { name: "Fictional Goods".into(), ..Identity::default() };
            spec.identity = secrets.seal(&identity, None, 0)?;
        }
        bar.inc(u64::from(matches!(change, Change::VersionPut { .. })));
        writer.put(&Event::Booked(Box::new(Booked { by: Actor::Operator, at, change })))
    })?;
    writer.flush()?;
    bar.finish_and_clear();
    Ok(())
}

/// Impressions of versions at random, as tickets of a new epoch.
fn tail(cli: &Cli, folder: &Folder, plan: &Plan, count: u32) -> Result<()> {
    let mut writer = Writer::open(folder)?;
    let mut chance = Chance::new(plan.seed ^ 2);
    let bar = progress::bar("events", cli.json);
    bar.set_length(u64::from(count));
    let epoch = u32::try_from(writer.now.0 / 1_000).unwrap_or(0) + 1;
    writer.put(&Event::EpochOpened { epoch })?;
    for sequence in 1..=u64::from(count) {
        let ad_set = 1 + chance.below(u64::from(plan.ad_sets)) as u32;
        let each = u64::from(plan.versions / plan.ad_sets).max(1);
        let version = (u64::from(ad_set - 1) * u64::from(plan.versions) / u64::from(plan.ad_sets)
            + chance.below(each)) as u32
            + 1;
        let ticket = Ticket {
            key_id: 1,
            id: TicketId { epoch, sequence },
            issued_at: writer.now,
            site: SiteId(1),
            placement: PlacementId(1),
            advertiser: AdvertiserId(1 + (ad_set - 1) / 100),
            campaign: CampaignId(1 + (ad_set - 1) / 10),
            ad_set: AdSetId(ad_set),
            ad: AdId(ad_set),
            version: VersionId(version),
            tier: TierKind::Auction,
            billing: Billing::Impression,
            price_nanos: 1_000_000,
            currency: Currency::EUR,
            rate_nanos: 1_000_000_000,
            propensity: 1.0 / each as f64,
            predicted_rate: 1.0,
            creative: [0; 16],
            country: *b"FR",
            device: DeviceClass::Phone,
            political: false,
            sampled: false,
            snapshot: 1,
        };
        writer.put(&Event::Impression(ticket))?;
        bar.inc(1);
    }
    writer.flush()?;
    bar.finish_and_clear();
    Ok(())
}

/// Books, starts without an image, stops, adds events, starts again.
///
/// # Errors
/// A folder that cannot be written; a server that does not come up.
pub fn rows(cli: &Cli, path: &Path, plan: &Plan, tail_count: u32) -> Result<Vec<Row>> {
    let folder = Folder::open(path)?;
    book(cli, &folder, plan)?;
    let size = format!("{} ad sets, {} versions", plan.ad_sets, plan.versions);
    let start = Instant::now();
    let server = Process::serve(path)?;
    let rebuild_s = start.elapsed().as_secs_f64();
    // Facts of every ad go into the record's log once; what follows starts with all of them there.
    let start = Instant::now();
    let logging = progress::bar("logging facts", cli.json);
    logging.set_length(u64::from(plan.ad_sets));
    server.wait_logged(|waiting| logging.set_position(u64::from(plan.ad_sets).saturating_sub(waiting)))?;
    logging.finish_and_clear();
    let logged_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    server.stop()?;
    let stop_s = start.elapsed().as_secs_f64();
    let image_bytes = std::fs::metadata(folder.catalogue_image())?.len();
    tail(cli, &folder, plan, tail_count)?;
    let start = Instant::now();
    let server = Process::serve(path)?;
    let start_s = start.elapsed().as_secs_f64();
    let resident = server.resident_bytes()? as f64 / 1e9;
    server.stop()?;
    let image = format!("{size}; image of {} MB; {tail_count} events behind it", image_bytes / 1_000_000);
    Ok(vec![
        row("start without an image, every projection built", rebuild_s, "s", None, size.clone()),
        row("facts of every ad logged after it", logged_s, "s", None, size.clone()),
        row("stop, image written", stop_s, "s", None, size.clone()),
        row("start with the image and a tail", start_s, "s", Some(10.0), image),
        row("resident memory of the server", resident, "GB", Some(1.5), size),
    ])
}
