//! Uploading entries to a mirror (C2SP tlog-mirror, "add-entries"): the request, its packages, the mirror's answers.
//!
//! A request says which log, from where to where, and then has packages of up to 256 entries, each with the proof that they are
//! the checkpoint's. Bytes are read as they come: what is not whole yet is asked for again, so that no more than one package
//! need be held. Refuses a start after the end, names that are none, and packages with another number of entries than their place
//! has.

use super::{
    checkpoint::decimal,
    hash::{Hash, leaf_hash},
    read::{ReadError, Source, tile_bytes, tile_hashes},
    subtree::{Subtree, prove_subtree, verify_subtree},
    tile::{Kind, TILE_WIDTH, Tile, TileError, entries_of, nodes_over, push_entry},
    tree::{Frontier, Head, ProofError},
    witness::PROOF_COUNT_MAX,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Packages that a client puts into one request ("Implementation Considerations").
pub const PACKAGES_MAX: usize = 32;
/// Bytes of a ticket at most: its length is a big-endian u16.
pub const TICKET_BYTES_MAX: usize = 65_535;
/// Content type of [`MirrorInfo`].
pub const INFO_TYPE: &str = "text/x.tlog.mirror-info";

/// Why bytes are no upload, or an upload proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Not the format.
    #[error("this is no upload of entries: {0}")]
    Malformed(&'static str),
    /// An entry that is too large.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// Entries that are not the checkpoint's.
    #[error("these entries are not the checkpoint's: {0}")]
    Proof(#[from] ProofError),
    /// The log's files.
    #[error(transparent)]
    Read(#[from] ReadError),
}
fn malformed<T>(why: &'static str) -> Result<T, UploadError> {
    Err(UploadError::Malformed(why))
}

/// What stands before the packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Which log.
    pub origin: String,
    /// The first entry.
    pub start: u64,
    /// The entry after the last: the size of a checkpoint that the mirror knows.
    pub end: u64,
    /// What the mirror gave with its last answer; opaque.
    pub ticket: Vec<u8>,
}

impl Upload {
    /// Its bytes.
    ///
    /// # Errors
    /// An origin or a ticket that is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, UploadError> {
        let sized = |out: &mut Vec<u8>, bytes: &[u8]| -> Result<(), UploadError> {
            let length = u16::try_from(bytes.len())
                .map_err(|_| UploadError::Malformed("an origin or ticket is too long"))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
            Ok(())
        };
        let mut out = Vec::new();
        sized(&mut out, self.origin.as_bytes())?;
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&self.end.to_be_bytes());
        sized(&mut out, &self.ticket)?;
        Ok(out)
    }
    /// Reads it from the front of what has come so far, with the number of bytes that it took; `None` while it is not whole.
    ///
    /// # Errors
    /// [`UploadError::Malformed`]; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Upload, usize)>, UploadError> {
        let mut rest = bytes;
        let Some(origin) = take_sized(&mut rest) else { return Ok(None) };
        let (Some(start), Some(end)) = (take_u64(&mut rest), take_u64(&mut rest)) else { return Ok(None) };
        let Some(ticket) = take_sized(&mut rest) else { return Ok(None) };
        let Ok(origin) = std::str::from_utf8(origin) else { return malformed("the origin is not UTF-8") };
        if start > end {
            return malformed("it starts after its end");
        }
        let upload = Upload { origin: origin.to_owned(), start, end, ticket: ticket.to_vec() };
        Ok(Some((upload, bytes.len() - rest.len())))
    }
    /// The canonical sequence of packages.
    pub fn spans(&self) -> impl Iterator<Item = Span> + use<> {
        let (start, end) = (self.start, self.end);
        let packages = if start == end { 0..0 } else { start / TILE_WIDTH..end.div_ceil(TILE_WIDTH) };
        packages.map(move |tile| Span {
            aligned: tile * TILE_WIDTH,
            start: start.max(tile * TILE_WIDTH),
            end: end.min((tile + 1).saturating_mul(TILE_WIDTH)),
        })
    }
}
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}
fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(take(rest, 8)?.try_into().ok()?))
}
fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(rest, 2)?;
    take(rest, usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// The place of one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first entry of its bundle.
    pub aligned: u64,
    /// The first entry that it brings.
    pub start: u64,
    /// The entry after the last.
    pub end: u64,
}
impl Span {
    /// How many entries it brings.
    pub fn count(self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }
    fn subtree(self) -> Result<Subtree, ProofError> {
        Subtree::new(self.aligned, self.end).ok_or(ProofError::Place)
    }
}

/// Entries of one bundle, with the proof that they are a checkpoint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// In order.
    pub entries: Vec<Vec<u8>>,
    /// Subtree consistency proof from the bundle, up to the last entry here, to the upload's end.
    pub proof: Vec<Hash>,
}

impl Package {
    /// Of a log's files.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn of(source: &mut dyn Source, span: Span, size: u64) -> Result<Package, UploadError> {
        let tile = Tile::at(Kind::Entries, span.aligned / TILE_WIDTH, size).ok_or(ProofError::Place)?;
        let bundle = tile_bytes(source, tile)?;
        let entries = entries_of(&bundle, tile.width)?;
        let from = usize::try_from(span.start - span.aligned).map_err(|_| ProofError::Place)?;
        let wanted = entries.get(from..from + span.count()).ok_or(ProofError::Place)?;
        let mut nodes = nodes_over(size, |tile| tile_hashes(source, tile));
        let proof = prove_subtree(span.subtree()?, size, &mut *nodes)?;
        drop(nodes);
        Ok(Package { entries: wanted.iter().map(|entry| entry.to_vec()).collect(), proof })
    }
    /// Its bytes.
    ///
    /// # Errors
    /// An entry that is too large, a proof that is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, UploadError> {
        let mut out = Vec::new();
        for entry in &self.entries {
            push_entry(&mut out, entry)?;
        }
        let count = u8::try_from(self.proof.len()).ok().filter(|n| usize::from(*n) <= PROOF_COUNT_MAX);
        out.push(count.ok_or(UploadError::Malformed("a proof has over 63 hashes"))?);
        out.extend(self.proof.iter().flat_map(|hash| hash.0));
        Ok(out)
    }
    /// Reads a package of so many entries from the front of what has come so far, with the number of bytes that it took; `None`
    /// while it is not whole.
    ///
    /// # Errors
    /// [`UploadError::Malformed`]; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8], count: usize) -> Result<Option<(Package, usize)>, UploadError> {
        let mut rest = bytes;
        let mut entries = Vec::new();
        for _ in 0..count {
            let Some(entry) = take_sized(&mut rest) else { return Ok(None) };
            entries.push(entry);
        }
        let Some(count) = take(&mut rest, 1) else { return Ok(None) };
        if usize::from(count[0]) > PROOF_COUNT_MAX {
            return malformed("a proof has over 63 hashes");
        }
        let Some(hashes) = take(&mut rest, 32 * usize::from(count[0])) else { return Ok(None) };
        let (hashes, _) = hashes.as_chunks::<32>();
        let entries = entries.into_iter().map(<[u8]>::to_vec).collect();
        let proof = hashes.iter().map(|hash| Hash(*hash)).collect();
        Ok(Some((Package { entries, proof }, bytes.len() - rest.len())))
    }
    /// Whether its entries are those of a checkpoint. `before`: the entries of its bundle that come before them, which the mirror
    /// has already.
    ///
    /// # Errors
    /// [`UploadError::Proof`].
    pub fn check(&self, span: Span, before: &[Vec<u8>], head: Head) -> Result<(), UploadError> {
        let had = span.start - span.aligned;
        if before.len() as u64 != had || self.entries.len() != span.count() {
            return Err(ProofError::Place.into());
        }
        let mut frontier = Frontier::default();
        before.iter().chain(&self.entries).for_each(|entry| frontier.push(leaf_hash(entry)));
        Ok(verify_subtree(span.subtree()?, frontier.root(), head, &self.proof)?)
    }
}

/// What a mirror tells with a conflict (409) and of a part that was taken in (202).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorInfo {
    /// Size of a checkpoint up to which entries may be uploaded.
    pub size: u64,
    /// The first entry that it does not have.
    pub next: u64,
    /// To be given back with the next request.
    pub ticket: Vec<u8>,
}
impl MirrorInfo {
    /// Three lines.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.size, self.next, STANDARD.encode(&self.ticket))
    }
    /// Reads them.
    ///
    /// # Errors
    /// [`UploadError::Malformed`].
    pub fn parse(text: &str) -> Result<MirrorInfo, UploadError> {
        let wrong =
            UploadError::Malformed("an answer has a size, the next entry and a ticket, each on a line");
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(wrong.clone())?.split('\n').collect();
        let [size, next, ticket] = lines[..] else { return Err(wrong) };
        let ticket = STANDARD.decode(ticket).ok().filter(|t| t.len() <= TICKET_BYTES_MAX);
        let (Some(size), Some(next), Some(ticket)) = (decimal(size), decimal(next), ticket) else {
            return Err(wrong);
        };
        Ok(MirrorInfo { size, next, ticket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{read::MemoryFiles, tile::Edge};

    fn leaf(n: u64) -> Vec<u8> {
        format!("entry {n} of the gazette's record").into_bytes()
    }
    fn log(size: u64) -> (MemoryFiles, Head) {
        let leaves: Vec<Vec<u8>> = (0..size).map(leaf).collect();
        let files = Edge::default().append(&leaves).unwrap();
        let files = files.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect();
        let frontier = Frontier::of(leaves.iter().map(Vec::as_slice));
        (MemoryFiles(files), Head { size, root: frontier.root() })
    }
    fn upload(start: u64, end: u64) -> Upload {
        Upload { origin: "gazette.example/log".into(), start, end, ticket: b"ticket".to_vec() }
    }

    #[test]
    fn packages_are_aligned_to_bundles() {
        let spans = |start, end| -> Vec<(u64, u64, u64)> {
            upload(start, end).spans().map(|s| (s.aligned, s.start, s.end)).collect()
        };
        assert_eq!(spans(0, 0), []);
        assert_eq!(spans(700, 700), []);
        assert_eq!(spans(0, 1), [(0, 0, 1)]);
        assert_eq!(spans(0, 256), [(0, 0, 256)]);
        assert_eq!(spans(5, 600), [(0, 5, 256), (256, 256, 512), (512, 512, 600)]);
        assert_eq!(spans(300, 301), [(256, 300, 301)]);
    }
    #[test]
    fn a_header_and_a_package_are_read_as_their_bytes_come() {
        let wanted = upload(256, 600);
        let bytes = wanted.to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(Upload::parse(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let longer: Vec<u8> = bytes.iter().copied().chain(*b"more").collect();
        assert_eq!(Upload::parse(&longer), Ok(Some((wanted.clone(), bytes.len()))));
        let (mut files, _) = log(600);
        let span = wanted.spans().last().unwrap();
        let package = Package::of(&mut files, span, 600).unwrap();
        let bytes = package.to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(Package::parse(&bytes[..cut], span.count()), Ok(None), "cut at {cut}");
        }
        assert_eq!(Package::parse(&bytes, span.count()), Ok(Some((package, bytes.len()))));
        let backwards = upload(9, 3).to_bytes().unwrap();
        assert!(Upload::parse(&backwards).is_err());
    }
    #[test]
    fn the_entries_of_a_checkpoint_are_taken_in_and_no_others() {
        let (mut files, head) = log(700);
        for (start, end) in [(0, 700), (3, 700), (256, 700), (400, 512), (513, 700), (699, 700)] {
            // The end is always a checkpoint's; its own head proves its packages.
            let (mut older, at) = if end == 700 { (files.clone(), head) } else { log(end) };
            for span in upload(start, end).spans() {
                let package = Package::of(&mut older, span, end).unwrap();
                let before: Vec<Vec<u8>> = (span.aligned..span.start).map(leaf).collect();
                assert_eq!(package.check(span, &before, at), Ok(()), "{span:?}");
                let mut changed = package.clone();
                changed.entries[0][0] ^= 1;
                assert!(changed.check(span, &before, at).is_err(), "{span:?}: a changed entry");
                let mut shorter = package.clone();
                shorter.entries.pop();
                assert!(shorter.check(span, &before, at).is_err(), "{span:?}: one entry too few");
                if package.entries.len() > 1 {
                    let mut swapped = package.clone();
                    swapped.entries.swap(0, 1);
                    assert!(swapped.check(span, &before, at).is_err(), "{span:?}: another order");
                }
                if let Some(first) = before.first() {
                    let mut other = before.clone();
                    other[0] = [first.as_slice(), b"!"].concat();
                    assert!(package.check(span, &other, at).is_err(), "{span:?}: another beginning");
                }
            }
        }
        let span = upload(0, 700).spans().next().unwrap();
        let package = Package::of(&mut files, span, 700).unwrap();
        let (_, another) = log(701);
        assert!(package.check(span, &[], Head { size: 700, root: another.root }).is_err());
    }
    #[test]
    fn an_answer_has_three_lines() {
        let info = MirrorInfo { size: 700, next: 512, ticket: vec![1, 2, 3] };
        assert_eq!(info.to_text(), "700\n512\nAQID\n");
        assert_eq!(MirrorInfo::parse(&info.to_text()), Ok(info));
        let empty = MirrorInfo { size: 0, next: 0, ticket: Vec::new() };
        assert_eq!(MirrorInfo::parse(&empty.to_text()), Ok(empty));
        for wrong in ["", "1\n2\n", "1\n2\n\n\n", "01\n2\n\n", "1\n-2\n\n", "1\n2\n!\n", "1\n2\n"] {
            assert!(MirrorInfo::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
