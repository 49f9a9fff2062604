//! The catalogue's image on disk: what a start reads in place of every booking ever made.
//!
//! `catalogue.img`: magic, format version, journal position, a mark of the record there, frames, and BLAKE3 over all of
//! it. Written beside the old one and renamed. A start maps it: versions are read where they lie, until they change; an image
//! that was replaced keeps its place on the disk until the server that mapped it ends. It may be thrown away: an image that is damaged, of another version, or of
//! another journal is noticed, logged and not used; the catalogue is then built from its bookings.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use memmap2::{Mmap, UncheckedAdvice};
use regie_journal::{JournalReader, Position};
use regie_model::catalogue::{Catalogue, FRAME_BYTES_MAX, ImageReader};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

const MAGIC: &[u8; 8] = b"REGIEIMG";
/// Raised when frames change their meaning; an older image is then built anew.
const FORMAT_VERSION: u32 = 3;
/// Ends the frames.
const END: u32 = u32::MAX;
/// Bytes before the frames: magic, version, position, mark.
const HEAD_BYTES: usize = 8 + 4 + 8 + 32;
/// Bytes of the checksum at the end.
const HASH_BYTES: usize = 32;

/// An image that was read.
pub struct Image {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Journal position of its last change.
    pub position: u64,
    /// Where its versions lie.
    pub mapped: Mapped,
}

/// What tells one journal's record from another's: the hash of its bytes. `None` when there is no such record.
fn mark(journal: &Path, position: u64) -> Result<Option<[u8; 32]>> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    let mut reader = JournalReader::open(journal, Position(before))?;
    let Some(batch) = reader.next_batch()? else { return Ok(None) };
    let record = batch.records().find(|record| record.position.0 == position);
    Ok(record.map(|record| *blake3::hash(record.payload).as_bytes()))
}

/// Writes through a hash.
struct Hashing<W> {
    out: W,
    hasher: blake3::Hasher,
    bytes: u64,
}
impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Writes the image of a catalogue whose last change stands at `position` of `journal`; its size in bytes.
///
/// # Errors
/// The disk's; a position that the journal does not have.
pub fn write(path: &Path, journal: &Path, position: u64, catalogue: &Catalogue) -> Result<u64> {
    let mark = mark(journal, position)?.context("the journal has no record at the catalogue's position")?;
    let fresh = path.with_extension("img.new");
    let file = File::create(&fresh).with_context(|| format!("cannot write {}", fresh.display()))?;
    let out = BufWriter::with_capacity(1 << 20, file);
    let mut out = Hashing { out, hasher: blake3::Hasher::new(), bytes: 0 };
    out.put(MAGIC)?;
    out.put(&FORMAT_VERSION.to_le_bytes())?;
    out.put(&position.to_le_bytes())?;
    out.put(&mark)?;
    catalogue.write_image(|frame| -> Result<()> {
        ensure!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        out.put(&(frame.len() as u32).to_le_bytes())?;
        Ok(out.put(frame)?)
    })?;
    out.put(&END.to_le_bytes())?;
    let (hash, bytes) = (out.hasher.finalize(), out.bytes);
    let mut file = out.out;
    file.write_all(hash.as_bytes())?;
    file.into_inner()?.sync_all()?;
    std::fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(bytes + 32)
}

/// The file in memory, as far as somebody reads it.
#[derive(Clone)]
pub struct Mapped(Arc<Mmap>);
impl Mapped {
    #[allow(unsafe_code)]
    fn open(file: &File) -> std::io::Result<Mapped> {
        // SAFETY: nobody writes into the file. It is written beside the old one and renamed ([`write`]), so that a new image
        // is another file; the folder is one server's, which holds its lock. Whoever cuts the file by hand meanwhile
        // ends the process, and changes nothing that was written.
        unsafe { Mmap::map(file) }.map(|map| Mapped(Arc::new(map)))
    }
    /// Gives back what was read so far: what is read again comes from the system's cache.
    #[allow(unsafe_code)]
    pub fn give_back(&self) {
        // SAFETY: the map is shared and only read, so that what is given back is what is in the file.
        let given = unsafe { self.0.unchecked_advise(UncheckedAdvice::DontNeed) };
        if let Err(error) = given {
            tracing::debug!(%error, "the image's pages stay in memory");
        }
    }
}
impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps the image; `None` when there is none. All of it is read once, for its checksum; then versions are read where they lie.
///
/// # Errors
/// Why it cannot be used: damaged, of another version, of another journal.
pub fn read(path: &Path, journal: &Path) -> Result<Option<Image>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    ensure!(file.metadata()?.len() >= (HEAD_BYTES + HASH_BYTES) as u64, "it ends early");
    let mapped = Mapped::open(&file)?;
    let bytes = Bytes::from_owner(mapped.clone());
    ensure!(bytes.starts_with(MAGIC), "it is no image of a catalogue");
    let version = u32::from_le_bytes(bytes[8..12].try_into()?);
    ensure!(
        version == FORMAT_VERSION,
        "it has format version {version}, this program reads {FORMAT_VERSION}"
    );
    let position = u64::from_le_bytes(bytes[12..20].try_into()?);
    let known = mark(journal, position)?;
    ensure!(
        known.is_some_and(|mark| mark == bytes[20..52]),
        "it belongs to another journal, or to a longer one"
    );
    let hashed = bytes.slice(..bytes.len() - HASH_BYTES);
    let hash = blake3::hash(&hashed);
    ensure!(hash.as_bytes()[..] == bytes[hashed.len()..], "it is damaged: its checksum does not fit");
    let mut reader = ImageReader::default();
    let mut rest = hashed.slice(HEAD_BYTES..);
    loop {
        ensure!(rest.len() >= 4, "it ends early");
        let length = u32::from_le_bytes(rest.split_to(4)[..].try_into()?);
        if length == END {
            break;
        }
        ensure!(length as usize <= rest.len(), "it ends early");
        reader.frame(&rest.split_to(length as usize))?;
    }
    Ok(Some(Image { catalogue: reader.finish(), position, mapped }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_journal::{Journal, Options, SqliteJournal};
    use regie_model::{
        AdId, UtcMs, VersionId,
        booking::{Shape, VersionRecord},
        command::Change,
        creative::ObjectHash,
        event::{Actor, Booked, Event},
    };

    /// A journal of so many versions and what it folds to.
    fn booked(journal: &Path, count: u32) -> Catalogue {
        let mut catalogue = Catalogue::new();
        let mut payloads = Vec::new();
        for number in 1..=count {
            let record = VersionRecord {
                ad: AdId(1),
                name: format!("Version {number}"),
                creative: ObjectHash::of(&number.to_le_bytes()),
                shape: Shape::Text,
                weight: number,
                external_id: Some(format!("own-{number}")),
            };
            let change = Change::VersionPut { id: VersionId(number), record };
            catalogue.apply(UtcMs(5), &change);
            let booked = Booked { by: Actor::Operator, at: UtcMs(5), change };
            payloads.push(Event::Booked(Box::new(booked)).encode());
        }
        let mut writer = SqliteJournal::open(journal, Options::default()).unwrap();
        writer.append(5, &payloads).unwrap();
        catalogue
    }

    #[test]
    fn is_read_back_and_any_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("catalogue.img"), folder.path().join("journal"));
        let catalogue = booked(&journal, 700);
        assert!(read(&path, &journal).unwrap().is_none());
        let bytes = write(&path, &journal, 700, &catalogue).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
        let image = read(&path, &journal).unwrap().unwrap();
        assert!(image.catalogue == catalogue && image.position == 700);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 97) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, &flipped).unwrap();
            assert!(read(&path, &journal).is_err(), "a flipped bit at {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path, &journal).is_err(), "cut at {at}");
        }
    }
    #[test]
    fn an_image_of_another_journal_or_of_its_future_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("catalogue.img"), folder.path().join("journal"));
        let catalogue = booked(&journal, 3);
        write(&path, &journal, 3, &catalogue).unwrap();
        let other = folder.path().join("other");
        booked(&other, 1);
        assert!(read(&path, &other).is_err(), "a journal of one record");
        assert!(write(&path, &journal, 9, &catalogue).is_err(), "no such record");
    }
}
