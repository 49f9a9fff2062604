//! Checking a journal from outside: every checksum, the whole chain, every seal and link. Refuses
//! to repair. Serves `regie check`; a fault names the segment and the batch (L1, B2).

use crate::chain::ChainHash;
use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::segment::{ARCHIVE_DIR, Segment, SegmentInfo};
use crate::sqlite::{check_link, list_segments};
use crate::{Journal, Position};
use std::path::Path;

/// What a journal was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Records whose bytes were verified.
    pub record_count: u64,
    /// Batches verified.
    pub batch_count: u64,
    /// Frame bytes verified.
    pub frame_bytes: u64,
    /// Segments verified whole.
    pub segment_count: u32,
    /// Archived segments of which only the seal and the links were checked.
    pub skipped_segment_count: u32,
    /// The oldest record kept (archived ones included).
    pub oldest: Position,
    /// The last record.
    pub head: Position,
    /// The chain hash at the head.
    pub head_chain: ChainHash,
    /// The last append time, milliseconds since 1970-01-01 UTC; `i64::MIN` when empty.
    pub last_at_ms: i64,
}

/// Verifies the journal in a folder; a writer may be at work. `full` reads archived segments too.
/// `progress` gets the bytes done and the total, both of file sizes, as often as once a batch.
///
/// # Errors
/// The first fault, as [`JournalError::Corrupt`]; [`JournalError::Missing`]; the disk's.
pub fn verify(
    dir: &Path,
    full: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, JournalError> {
    verify_on(&RealDisk, dir, full, progress)
}

/// As [`verify`], on another disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(
    disk: &dyn Disk,
    dir: &Path,
    full: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, JournalError> {
    let missing = || JournalError::Missing { dir: dir.to_path_buf() };
    let list = match list_segments(disk, dir) {
        Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing());
        }
        other => other?,
    };
    let total = total_bytes(disk, dir, full)?;
    let (mut done, mut before) = (0, None::<SegmentInfo>);
    let mut oldest = None;
    let mut report = VerifyReport {
        record_count: 0,
        batch_count: 0,
        frame_bytes: 0,
        segment_count: 0,
        skipped_segment_count: 0,
        oldest: Position::START,
        head: Position::START,
        head_chain: ChainHash::GENESIS,
        last_at_ms: i64::MIN,
    };
    for &(number, archived) in &list {
        let mut segment = Segment::open_read(disk, dir, number, archived)?;
        oldest = oldest.or(Some(segment.info().first));
        if archived && !full {
            report.skipped_segment_count += 1;
        } else {
            segment.scan(&mut |bytes| {
                done += bytes;
                progress(done.min(total), total);
            })?;
            let info = segment.info();
            report.segment_count += 1;
            report.record_count += info.record_count();
            report.batch_count += info.batch_count;
            report.frame_bytes += info.frame_bytes;
        }
        let info = *segment.info();
        check_link(before.as_ref(), &info)?;
        report.head = info.last;
        report.head_chain = info.chain;
        report.last_at_ms = info.last_at_ms;
        before = Some(info);
    }
    report.oldest = oldest.ok_or_else(missing)?;
    progress(total, total);
    Ok(report)
}

fn total_bytes(disk: &dyn Disk, dir: &Path, full: bool) -> Result<u64, JournalError> {
    let mut total = 0;
    for (folder, wanted) in [(dir.to_path_buf(), true), (dir.join(ARCHIVE_DIR), full)] {
        match disk.list(&folder) {
            _ if !wanted => {}
            Ok(entries) => {
                let databases = entries.iter().filter(|entry| entry.name.ends_with(".db"));
                total += databases.map(|entry| entry.size_bytes).sum::<u64>();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(JournalError::io("listing segments", error)),
        }
    }
    Ok(total)
}

/// True when the report describes exactly what a journal says of itself.
impl VerifyReport {
    /// Compares head, chain and time with an open journal's.
    #[must_use]
    pub fn agrees_with(&self, journal: &dyn Journal) -> bool {
        self.head == journal.head()
            && self.head_chain == journal.head_chain()
            && self.last_at_ms == journal.last_at_ms()
    }
}
