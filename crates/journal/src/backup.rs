//! A consistent copy of a journal while it is in use: a prefix of it, durable when done. Refuses
//! to write into a folder that holds a journal already. The copy opens like the original.

use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::segment::{self, ARCHIVE_DIR, Segment};
use crate::sqlite::list_segments;
use crate::{ChainHash, Position};
use std::fs;
use std::io;
use std::path::Path;

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Segments copied.
    pub segment_count: u32,
    /// The last record in the copy.
    pub head: Position,
    /// The chain hash there.
    pub head_chain: ChainHash,
}

/// Copies the journal in `from`, archive included, into `to`, which must be new or without a
/// journal. Sealed segments are copied as files, the active one through SQLite. The copy is
/// verified and flushed. `progress` gets segments done and their total.
///
/// # Errors
/// [`JournalError::Io`] of kind `AlreadyExists` if `to` holds a journal; [`JournalError::Missing`]
/// if `from` holds none; [`JournalError::DiskFull`]; a fault in what was copied.
pub fn backup(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupReport, JournalError> {
    let disk = RealDisk;
    let io = |source| JournalError::io(format!("backing up to {}", to.display()), source);
    disk.create_dir(to).map_err(io)?;
    if !list_segments(&disk, to)?.is_empty() {
        return Err(io(io::ErrorKind::AlreadyExists.into()));
    }
    let list = list_segments(&disk, from)?;
    if list.is_empty() {
        return Err(JournalError::Missing { dir: from.to_path_buf() });
    }
    for (index, &(number, archived)) in list.iter().enumerate() {
        progress(index as u64, list.len() as u64);
        copy_segment(&disk, from, to, number, archived)?;
    }
    disk.sync_dir(to).map_err(io)?;
    progress(list.len() as u64, list.len() as u64);
    let report = crate::verify(to, true, &mut |_, _| {})?;
    Ok(BackupReport { segment_count: report.segment_count, head: report.head, head_chain: report.head_chain })
}

fn copy_segment(
    disk: &RealDisk,
    from: &Path,
    to: &Path,
    number: u32,
    archived: bool,
) -> Result<(), JournalError> {
    let io = |source| JournalError::io(format!("backing up segment {number:08}"), source);
    let sub = |dir: &Path| match archived {
        true => dir.join(ARCHIVE_DIR),
        false => dir.to_path_buf(),
    };
    let target = sub(to);
    disk.create_dir(&target).map_err(io)?;
    let name = segment::file_name(number);
    let building = target.join(format!("{name}.new"));
    let source = Segment::open_read(disk, from, number, archived)?;
    if source.info().sealed && !segment::wal_has_data(disk, &sub(from), number) {
        fs::copy(sub(from).join(&name), &building).map_err(io)?;
    } else {
        source.copy_into(&building)?;
    }
    drop(source);
    let file = fs::OpenOptions::new().write(true).open(&building).map_err(io)?;
    file.sync_all().map_err(io)?;
    disk.rename(&building, &target.join(&name)).map_err(io)?;
    disk.sync_dir(&target).map_err(io)
}
