//! Reading beside the writer: own read-only connections, over archived, sealed and active
//! segments from any position. Refuses to write, and refuses to pass on a record whose checksum
//! fails. Never sees a record that was not committed.

use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::frame::{Batch, RecordRef};
use crate::segment::{ReadBudget, Segment, SegmentInfo};
use crate::sqlite::list_segments;
use crate::{BATCH_RECORDS_MAX, Position};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much one look at the database fetches; no lock is held between looks.
const FETCH: ReadBudget = ReadBudget { records: BATCH_RECORDS_MAX, bytes: 8 << 20 };

/// Reads a journal in order, batch by batch, and can go on when more was appended.
pub struct JournalReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    position: Position,
    current: Option<Segment>,
    fetched: VecDeque<Batch>,
}

impl JournalReader {
    /// Opens a journal to read what comes after a position ([`Position::START`]: everything).
    ///
    /// # Errors
    /// [`JournalError::Missing`] if there is no journal, [`JournalError::Gone`] if what comes after
    /// the position was retired, or what opening a segment reports.
    pub fn open(dir: &Path, after: Position) -> Result<JournalReader, JournalError> {
        JournalReader::open_on(Arc::new(RealDisk), dir, after)
    }

    /// As [`JournalReader::open`], on another disk.
    ///
    /// # Errors
    /// As [`JournalReader::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, after: Position) -> Result<JournalReader, JournalError> {
        let mut reader = JournalReader {
            disk,
            dir: dir.to_path_buf(),
            position: after,
            current: None,
            fetched: VecDeque::new(),
        };
        reader.current = Some(reader.find()?);
        Ok(reader)
    }

    /// The segment that holds, or will hold, the record after the position.
    fn find(&self) -> Result<Segment, JournalError> {
        let list = list_segments(&*self.disk, &self.dir)?;
        let open = |index: usize| {
            let (number, archived) = list[index];
            Segment::open_read(&*self.disk, &self.dir, number, archived)
        };
        if list.is_empty() {
            return Err(JournalError::Missing { dir: self.dir.clone() });
        }
        let wanted = self.position.next();
        let (mut low, mut high) = (0, list.len());
        while high - low > 1 {
            let middle = low.midpoint(high);
            if open(middle)?.info().first <= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        let found = open(low)?;
        if found.info().first > wanted {
            return Err(JournalError::Gone { after: self.position, oldest: found.info().first });
        }
        Ok(found)
    }

    /// The last record handed out, or where reading began.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next batch, or `None` when there is no more for now; ask again later.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] for a batch that is not what was written; the disk's.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, JournalError> {
        loop {
            if let Some(batch) = self.fetched.pop_front() {
                self.position = batch.last();
                return Ok(Some(batch));
            }
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.find()?,
            };
            self.fetched = current.read(self.position, FETCH)?.into();
            if !self.fetched.is_empty() {
                self.current = Some(current);
                continue;
            }
            // Nothing more here. If it is sealed, by now, and read to its end, go on to the next.
            if !current.info().sealed {
                current.refresh()?;
            }
            let info = *current.info();
            if !info.sealed {
                self.current = Some(current);
                return Ok(None);
            }
            if self.position < info.last {
                self.fetched = current.read(self.position, FETCH)?.into();
                if self.fetched.is_empty() {
                    let what = format!("its records after {} are missing", self.position);
                    return Err(JournalError::corrupt(info.number, None, what));
                }
                self.current = Some(current);
                continue;
            }
            match self.successor(&info)? {
                Some(next) => self.current = Some(next),
                None => {
                    self.current = Some(current);
                    return Ok(None);
                }
            }
        }
    }

    fn successor(&self, info: &SegmentInfo) -> Result<Option<Segment>, JournalError> {
        let list = list_segments(&*self.disk, &self.dir)?;
        let next = list.iter().find(|(number, _)| *number == info.number + 1);
        let Some(&(number, archived)) = next else {
            return Ok(None);
        };
        let next = Segment::open_read(&*self.disk, &self.dir, number, archived)?;
        crate::sqlite::check_link(Some(info), next.info())?;
        Ok(Some(next))
    }

    /// Hands every record up to the present head to `each`, in order; returns how many.
    ///
    /// # Errors
    /// As [`JournalReader::next_batch`]. What was handed out before an error is sound.
    pub fn for_each(&mut self, mut each: impl FnMut(RecordRef<'_>)) -> Result<u64, JournalError> {
        let mut count = 0;
        while let Some(batch) = self.next_batch()? {
            count += batch.len() as u64;
            batch.records().for_each(&mut each);
        }
        Ok(count)
    }
}
