//! The parts of a file: the file itself, a gzip stream, or the members of a zip archive, each readable
//! as often as needed without being held in memory.

use crate::day::Day;
use crate::encoding::{Encoding, Transcoder};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// One readable part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    index: usize,
    /// The file on disk.
    pub path: PathBuf,
    /// Its name without folders.
    pub file: String,
    /// Member name within an archive, without folders.
    member: Option<String>,
    /// Unpacked size, when known.
    pub bytes: Option<u64>,
    /// Day of the file's or member's own time stamp.
    pub modified: Option<Day>,
    /// Whether it must be unpacked.
    pub is_packed: bool,
}

impl Part {
    /// The name that importers read: the member's with the archive's before it.
    pub fn full_name(&self) -> String {
        match &self.member {
            Some(member) => format!("{} / {member}", self.file),
            None => self.file.clone(),
        }
    }
}

enum Kind {
    Plain,
    Memory(Vec<u8>),
    Gzip,
    Zip(Box<zip::ZipArchive<File>>),
}

/// An opened file with its parts.
pub(super) struct Parts {
    path: PathBuf,
    kind: Kind,
    count: usize,
}

impl Parts {
    /// Opens a file and looks at its first bytes.
    pub fn open(path: &Path) -> Result<Parts> {
        let mut file = File::open(path).map_err(|e| Error::file(path.display(), e))?;
        let mut magic = [0; 4];
        let filled = read_up_to(&mut file, &mut magic).map_err(|e| Error::file(path.display(), e))?;
        let kind = match &magic[..filled] {
            [0x1f, 0x8b, ..] => Kind::Gzip,
            b"PK\x03\x04" | b"PK\x05\x06" => {
                let file = File::open(path).map_err(|e| Error::file(path.display(), e))?;
                let archive = zip::ZipArchive::new(file).map_err(|e| damaged(path, &e))?;
                Kind::Zip(Box::new(archive))
            }
            _ => Kind::Plain,
        };
        let count = if let Kind::Zip(archive) = &kind { archive.len() } else { 1 };
        Ok(Parts { path: path.to_owned(), kind, count })
    }
    /// Text in memory under a file's name.
    pub fn memory(name: &str, bytes: &[u8]) -> Parts {
        Parts { path: PathBuf::from(name), kind: Kind::Memory(bytes.to_vec()), count: 1 }
    }
    /// Number of parts.
    pub fn len(&self) -> usize {
        self.count
    }
    /// Describes a part.
    pub fn part(&mut self, index: usize) -> Result<Part> {
        let file = base_name(&self.path.to_string_lossy());
        if let Kind::Memory(bytes) = &self.kind {
            let bytes = Some(bytes.len() as u64);
            return Ok(Part {
                index,
                path: self.path.clone(),
                file,
                member: None,
                bytes,
                modified: None,
                is_packed: true,
            });
        }
        let metadata = std::fs::metadata(&self.path).map_err(|e| Error::file(self.path.display(), e))?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|d| Day::from_unix_seconds(d.as_secs() as i64));
        let mut part = Part {
            index,
            path: self.path.clone(),
            file,
            member: None,
            bytes: Some(metadata.len()),
            modified,
            is_packed: true,
        };
        match &mut self.kind {
            Kind::Plain | Kind::Memory(_) => part.is_packed = false,
            Kind::Gzip => {
                part.file = part.file.trim_end_matches(".gz").to_owned();
                part.bytes = None;
            }
            Kind::Zip(archive) => {
                let member = archive.by_index(index).map_err(|e| damaged(&self.path, &e))?;
                part.member = Some(base_name(&member.name().map_err(|e| damaged(&self.path, &e))?));
                part.bytes = Some(member.size());
                let stamp = member
                    .last_modified()
                    .and_then(|t| Day::new(i32::from(t.year()), u32::from(t.month()), u32::from(t.day())));
                part.modified = stamp.or(part.modified);
            }
        }
        Ok(part)
    }
    /// Reads a part from its beginning, as UTF-8 where the encoding is another.
    pub fn read<T>(
        &mut self,
        part: &Part,
        encoding: Encoding,
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        let open = || File::open(&part.path).map_err(|e| Error::file(part.path.display(), e));
        match &mut self.kind {
            Kind::Plain => read(&mut Transcoder::new(open()?, encoding)),
            Kind::Memory(bytes) => read(&mut Transcoder::new(&bytes[..], encoding)),
            Kind::Gzip => read(&mut Transcoder::new(
                flate2::read::MultiGzDecoder::new(BufReader::new(open()?)),
                encoding,
            )),
            Kind::Zip(archive) => {
                let member = archive.by_index(part.index).map_err(|e| damaged(&part.path, &e))?;
                read(&mut Transcoder::new(member, encoding))
            }
        }
        .map_err(|error| match error {
            Error::Io(source) => Error::Damaged { file: part.full_name(), reason: source.to_string() },
            other => other,
        })
    }
    /// The first bytes, unpacked.
    pub fn head(&mut self, part: &Part) -> Result<Vec<u8>> {
        self.read(part, Encoding::Utf8, |input| {
            let mut head = vec![0; 1 << 14];
            let filled = read_up_to(input, &mut head)?;
            head.truncate(filled);
            Ok(head)
        })
    }
    /// BLAKE3 of the unpacked contents, hexadecimal.
    pub fn hash(&mut self, part: &Part) -> Result<String> {
        self.read(part, Encoding::Utf8, |input| {
            let mut hash = blake3::Hasher::new();
            let mut buffer = vec![0; 1 << 18];
            loop {
                match read_up_to(input, &mut buffer)? {
                    0 => return Ok(hash.finalize().to_hex().to_string()),
                    filled => hash.update(&buffer[..filled]),
                };
            }
        })
    }
}

fn read_up_to(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned()
}

fn damaged(path: &Path, error: &zip::result::ZipError) -> Error {
    Error::Damaged { file: path.display().to_string(), reason: error.to_string() }
}
