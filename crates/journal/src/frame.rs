//! Frames: many records in one blob. Refuses anything it cannot take apart exactly, to the last
//! byte; decoding never panics. Format 1, little endian:
//! `[1u8, 0, 0, 0] [count u32] count x ([length u32] [payload])`, nothing after.

use crate::error::{JournalError, Limit};
use crate::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Position, RECORD_BYTES_MAX, Record};

/// The frame format that this version writes.
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// Bytes before the first record.
pub(crate) const FRAME_HEADER_BYTES: usize = 8;
/// Bytes before each payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 4;

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is shorter than it says.
    #[error("frame ends at byte {at_bytes} inside a record or header")]
    Truncated {
        /// Where the bytes ended.
        at_bytes: usize,
    },
    /// Not a version that this reader knows.
    #[error("frame version {found:?} is unknown")]
    Version {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A count or length is over its limit.
    #[error("frame says {value} {limit}, at most {max}")]
    TooLarge {
        /// Which limit.
        limit: Limit,
        /// The number found.
        value: usize,
        /// The limit.
        max: usize,
    },
    /// Bytes follow the last record.
    #[error("frame has {count_bytes} bytes after its last record")]
    Trailing {
        /// How many.
        count_bytes: usize,
    },
}

fn refuse(limit: Limit, value: usize, max: usize) -> JournalError {
    JournalError::Limit { limit, value, max }
}

/// The size of the frame that these payloads make, checked against every limit.
pub(crate) fn frame_bytes(payloads: &[Vec<u8>]) -> Result<usize, JournalError> {
    if payloads.is_empty() {
        return Err(refuse(Limit::BatchEmpty, 0, BATCH_RECORDS_MAX));
    }
    if payloads.len() > BATCH_RECORDS_MAX {
        return Err(refuse(Limit::BatchRecords, payloads.len(), BATCH_RECORDS_MAX));
    }
    let mut total = FRAME_HEADER_BYTES;
    for payload in payloads {
        if payload.len() > RECORD_BYTES_MAX {
            return Err(refuse(Limit::RecordBytes, payload.len(), RECORD_BYTES_MAX));
        }
        total += RECORD_HEADER_BYTES + payload.len();
    }
    if total > BATCH_BYTES_MAX {
        return Err(refuse(Limit::BatchBytes, total, BATCH_BYTES_MAX));
    }
    Ok(total)
}

/// Puts payloads into one frame.
///
/// # Errors
/// [`JournalError::Limit`] for an empty batch, or one over a limit.
pub fn encode_frame(payloads: &[Vec<u8>]) -> Result<Vec<u8>, JournalError> {
    let mut frame = Vec::with_capacity(frame_bytes(payloads)?);
    frame.extend_from_slice(&VERSION);
    frame.extend_from_slice(&(payloads.len() as u32).to_le_bytes());
    for payload in payloads {
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(payload);
    }
    Ok(frame)
}

fn u32_at(frame: &[u8], at: usize) -> Result<usize, FrameError> {
    let end = at + 4;
    let bytes = frame.get(at..end).ok_or(FrameError::Truncated { at_bytes: frame.len() })?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

/// Checks a whole frame and returns its number of records (1 to [`BATCH_RECORDS_MAX`]).
///
/// # Errors
/// [`FrameError`] for anything but a whole, exact frame of a known version.
pub fn decode_frame(frame: &[u8]) -> Result<usize, FrameError> {
    let version = frame.get(..4).ok_or(FrameError::Truncated { at_bytes: frame.len() })?;
    if version != VERSION {
        return Err(FrameError::Version { found: [version[0], version[1], version[2], version[3]] });
    }
    let count = u32_at(frame, 4)?;
    let too_large = |limit, value, max| FrameError::TooLarge { limit, value, max };
    if count == 0 {
        return Err(too_large(Limit::BatchEmpty, 0, BATCH_RECORDS_MAX));
    }
    if count > BATCH_RECORDS_MAX {
        return Err(too_large(Limit::BatchRecords, count, BATCH_RECORDS_MAX));
    }
    if frame.len() > BATCH_BYTES_MAX {
        return Err(too_large(Limit::BatchBytes, frame.len(), BATCH_BYTES_MAX));
    }
    let mut at = FRAME_HEADER_BYTES;
    for _ in 0..count {
        let length = u32_at(frame, at)?;
        if length > RECORD_BYTES_MAX {
            return Err(too_large(Limit::RecordBytes, length, RECORD_BYTES_MAX));
        }
        at += RECORD_HEADER_BYTES + length;
        if at > frame.len() {
            return Err(FrameError::Truncated { at_bytes: frame.len() });
        }
    }
    if at != frame.len() {
        return Err(FrameError::Trailing { count_bytes: frame.len() - at });
    }
    Ok(count)
}

/// A record still inside its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its number, from 1.
    pub position: Position,
    /// Its append time, milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl RecordRef<'_> {
    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record { position: self.position, at_ms: self.at_ms, payload: self.payload.to_vec() }
    }
}

/// A batch read from the journal: its checksum and its frame were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    first: Position,
    at_ms: i64,
    count: u32,
    skip: u32,
    frame: Vec<u8>,
}

impl Batch {
    /// Takes a frame apart.
    ///
    /// # Errors
    /// [`FrameError`] if it is not one.
    pub fn new(first: Position, at_ms: i64, frame: Vec<u8>) -> Result<Batch, FrameError> {
        let count = decode_frame(&frame)? as u32;
        Ok(Batch { first, at_ms, count, skip: 0, frame })
    }

    /// Leaves out the records up to and including `after`.
    pub(crate) fn skip_to(&mut self, after: Position) {
        let skip = (after.0 + 1).saturating_sub(self.first.0);
        self.skip = skip.min(u64::from(self.count)) as u32;
    }

    /// The first record's position (after those left out).
    #[must_use]
    pub fn first(&self) -> Position {
        Position(self.first.0 + u64::from(self.skip))
    }

    /// The last record's position.
    #[must_use]
    pub fn last(&self) -> Position {
        Position(self.first.0 + u64::from(self.count) - 1)
    }

    /// The append time of all its records, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// How many records [`Batch::records`] yields.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.count - self.skip) as usize
    }

    /// True when every record was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The size of its frame in bytes.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// Its records in order.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let mut rest = &self.frame[FRAME_HEADER_BYTES..];
        (0..self.count)
            .map_while(move |index| {
                // `new` walked the whole frame, so neither split can miss.
                let (length, tail) = rest.split_first_chunk::<RECORD_HEADER_BYTES>()?;
                let (payload, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                rest = tail;
                Some(RecordRef {
                    position: Position(self.first.0 + u64::from(index)),
                    at_ms: self.at_ms,
                    payload,
                })
            })
            .skip(self.skip as usize)
    }
}
