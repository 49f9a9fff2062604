//! The catalogue's image on disk: what a start reads in place of every booking ever made.
//!
//! `catalogue.img`: magic, format version, journal position, a mark of the record there, frames, and BLAKE3 over all of
//! it. Written beside the old one and renamed. It may be thrown away: an image that is damaged, of another version, or of
//! another journal is noticed, logged and not used; the catalogue is then built from its bookings.

use anyhow::{Context, Result, bail, ensure};
use regie_journal::{JournalReader, Position};
use regie_model::catalogue::{Catalogue, FRAME_BYTES_MAX, ImageReader};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::Path,
};

const MAGIC: &[u8; 8] = b"REGIEIMG";
/// Raised when frames change their meaning; an older image is then built anew.
const FORMAT_VERSION: u32 = 2;
/// Ends the frames.
const END: u32 = u32::MAX;
/// Bytes before the frames: magic, version, position, mark.
const HEAD_BYTES: usize = 8 + 4 + 8 + 32;

/// An image that was read.
pub struct Image {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Journal position of its last change.
    pub position: u64,
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

/// Reads the image; `None` when there is none.
///
/// # Errors
/// Why it cannot be used: damaged, of another version, of another journal.
pub fn read(path: &Path, journal: &Path) -> Result<Option<Image>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut input =
        Unhashing { input: BufReader::with_capacity(1 << 20, file), hasher: blake3::Hasher::new() };
    let mut head = [0; HEAD_BYTES];
    input.take(&mut head)?;
    ensure!(head.starts_with(MAGIC), "it is no image of a catalogue");
    let version = u32::from_le_bytes(head[8..12].try_into()?);
    ensure!(
        version == FORMAT_VERSION,
        "it has format version {version}, this program reads {FORMAT_VERSION}"
    );
    let position = u64::from_le_bytes(head[12..20].try_into()?);
    let known = mark(journal, position)?;
    ensure!(
        known.is_some_and(|mark| mark == head[20..52]),
        "it belongs to another journal, or to a longer one"
    );
    let mut reader = ImageReader::default();
    let mut frame = Vec::new();
    loop {
        let mut length = [0; 4];
        input.take(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == END {
            break;
        }
        if length as usize > FRAME_BYTES_MAX {
            bail!("it is damaged: a frame of {length} bytes");
        }
        frame.resize(length as usize, 0);
        input.take(&mut frame)?;
        reader.frame(&frame)?;
    }
    let hash = input.hasher.finalize();
    let mut written = [0; 32];
    input.input.read_exact(&mut written).context("it ends early")?;
    ensure!(hash == written, "it is damaged: its checksum does not fit");
    Ok(Some(Image { catalogue: reader.finish(), position }))
}

/// Reads through a hash.
struct Unhashing<R> {
    input: R,
    hasher: blake3::Hasher,
}
impl<R: Read> Unhashing<R> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).context("it ends early")?;
        self.hasher.update(bytes);
        Ok(())
    }
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
