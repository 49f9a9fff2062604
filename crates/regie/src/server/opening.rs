//! Opening a data folder: the image of the catalogue, projections, the journal's tail; and writing images again.
//!
//! Whatever cannot be used is put aside and rebuilt from the journal. Refuses a folder whose projections are ahead of it.

use super::{Progress, system_clock};
use crate::platform::{
    Clock, Parts, Platform,
    folder::Folder,
    image::{self, Image},
    objects::Objects,
    secrets::Secrets,
    state_db::StateDb,
};
use anyhow::{Context, Result, anyhow};
use regie_journal::{JournalReader, Options, Position, SqliteJournal};
use regie_model::UtcMs;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// While the journal's end is read at a start, projections are written once so many records, or changes of bookings, wait.
const RECORDS_UNWRITTEN_MAX: u64 = 2_000_000;
const CHANGES_UNWRITTEN_MAX: usize = 200_000;

/// Says in the server's log what a start spends its time on.
pub(super) struct Phases(Instant);
impl Phases {
    pub(super) fn begin() -> Phases {
        Phases(Instant::now())
    }
    pub(super) fn done(&mut self, what: &str) {
        tracing::info!(ms = self.0.elapsed().as_millis() as u64, "{what}");
        self.0 = Instant::now();
    }
}

/// The image that a platform was opened with.
pub(super) struct Imaged {
    pub(super) position: u64,
    pub(super) mapped: image::Mapped,
}

/// Opens the platform of a folder, with the image of its catalogue where there is one. A projection that cannot be read
/// is put aside and rebuilt from the journal; an image that cannot be used is not.
pub(super) fn open_platform(folder: &Folder, clock: Clock) -> Result<(Arc<Platform>, Option<Imaged>)> {
    let parts = |state| -> Result<Parts> {
        Ok(Parts {
            clock: Arc::clone(&clock),
            secrets: Secrets::open(&folder.secrets_db())?,
            objects: Objects::new(&folder.objects()),
            state,
            restored: folder.is_restored(),
        })
    };
    // What is wrong with the secrets is no fault of state.db, and not mended by building it anew.
    drop(Secrets::open(&folder.secrets_db())?);
    let image = read_image(folder);
    let imaged =
        image.as_ref().map(|image| Imaged { position: image.position, mapped: image.mapped.clone() });
    let opened =
        StateDb::open(&folder.state_db()).and_then(|state| Platform::open_with(parts(state)?, image));
    match opened {
        Ok(platform) => Ok((platform, imaged)),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "state.db cannot be used: it is rebuilt from the journal"
            );
            for suffix in ["", "-wal", "-shm"] {
                let path = folder.root().join(format!("state.db{suffix}"));
                if path.exists() {
                    std::fs::rename(&path, folder.root().join(format!("state.db.unusable{suffix}")))?;
                }
            }
            let state = StateDb::open(&folder.state_db())?;
            Ok((Platform::open_with(parts(state)?, read_image(folder))?, imaged))
        }
    }
}

fn read_image(folder: &Folder) -> Option<Image> {
    match image::read(&folder.catalogue_image(), &folder.journal()) {
        Ok(image) => image,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the image of the catalogue cannot be used: the catalogue is built from its bookings"
            );
            None
        }
    }
}

/// Writes images of the catalogue.
#[derive(Clone)]
pub(super) struct Images {
    pub(super) folder: Folder,
    /// Journal position of the last one.
    pub(super) written_at: Arc<AtomicU64>,
}
impl Images {
    /// Writes one if anything was booked since the last. A failure costs the next start time, and nothing else.
    pub(super) fn write(&self, platform: &Platform) {
        let Some((catalogue, position)) = platform.settled_catalogue() else { return };
        if position == self.written_at.load(Ordering::SeqCst) {
            return;
        }
        let (path, journal) = (self.folder.catalogue_image(), self.folder.journal());
        match image::write(&path, &journal, position, &catalogue) {
            Ok(bytes) => {
                self.written_at.store(position, Ordering::SeqCst);
                tracing::info!(position, bytes, "the image of the catalogue was written");
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the image of the catalogue could not be written"
                );
            }
        }
    }
}

/// Reads the journal's end. Projections are written where very much waits; the rest the caller writes, or its jobs do.
pub(super) fn catch_up(
    platform: &Platform,
    folder: &Folder,
    head: u64,
    progress: Progress<'_>,
) -> Result<()> {
    let from = platform.position();
    if from > head {
        return Err(anyhow!(
            "state.db has read up to record {from}, but the journal ends at {head}: it was restored without its journal, or the journal was cut. Delete state.db to rebuild it."
        ));
    }
    let mut reader = JournalReader::open(&folder.journal(), Position(from))?;
    let mut next_flush = from + RECORDS_UNWRITTEN_MAX;
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records() {
            platform.observe_one(record.position.0, UtcMs(record.at_ms), record.payload, true);
        }
        let position = batch.last().0;
        progress(position - from, head - from);
        if position >= next_flush || platform.folds().changes_waiting() >= CHANGES_UNWRITTEN_MAX {
            platform.flush(true)?;
            next_flush = position + RECORDS_UNWRITTEN_MAX;
        }
    }
    platform.finish_observing();
    Ok(())
}

/// Opens a data folder to read its figures, also while a server holds it: then nothing is written, and figures are as
/// of the journal's end now.
///
/// # Errors
/// A damaged journal; a projection that cannot be read.
pub fn open_to_read(folder: &Folder) -> Result<Arc<Platform>> {
    let clock = system_clock();
    match SqliteJournal::open(&folder.journal(), Options::default()) {
        Ok(journal) => {
            let (platform, _) = open_platform(folder, clock)?;
            catch_up(&platform, folder, regie_journal::Journal::head(&journal).0, &mut |_, _| {})?;
            platform.flush(false)?;
            platform.publish();
            Ok(platform)
        }
        Err(regie_journal::JournalError::Locked { .. }) => {
            let platform = Platform::open(Parts {
                clock,
                secrets: Secrets::open(&folder.secrets_db())?,
                objects: Objects::new(&folder.objects()),
                state: StateDb::open(&folder.state_db())?,
                restored: folder.is_restored(),
            })?;
            let mut reader = JournalReader::open(&folder.journal(), Position(platform.position()))?;
            while let Some(batch) = reader.next_batch()? {
                for record in batch.records() {
                    platform.observe_one(record.position.0, UtcMs(record.at_ms), record.payload, true);
                }
            }
            platform.finish_observing();
            platform.publish();
            Ok(platform)
        }
        Err(error) => Err(error).context("opening the journal"),
    }
}
