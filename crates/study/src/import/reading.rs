//! The steps of an import that read: the header, the place to go on from, the rows; and what identifies it.

use super::layouts::Header;
use super::parts::Part;
use super::plan::Runner;
use super::{PARTS_MAX, Progress};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::records::{Records, Step};
use crate::store::{KnownBasis, Resume, Snapshot, Writer};
use std::path::Path;

/// What makes two imports the same: contents and what was said about them, not the file's place or time.
pub(super) fn identity(s: &Snapshot) -> [u8; 32] {
    let known = if s.known_basis == KnownBasis::FileTime { Day::OPEN_START } else { s.known_on };
    let window = if s.known_basis == KnownBasis::FileTime {
        String::new()
    } else {
        format!("{} {}", s.window.from.0, s.window.to.0)
    };
    let text = [
        s.content_hash.as_str(),
        &s.platform,
        s.dataset.code(),
        &s.country,
        &s.place,
        &s.window.name,
        &window,
        &known.0.to_string(),
        &serde_json::to_string(&s.rule).unwrap_or_default(),
    ];
    *blake3::hash(text.join("\0").as_bytes()).as_bytes()
}

pub(super) fn header(part: &Part, input: &mut dyn std::io::Read) -> Result<(Header, u8)> {
    let mut head = vec![0; 1 << 16];
    let mut filled = 0;
    while filled < head.len() {
        match input.read(&mut head[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    head.truncate(filled);
    let delimiter = crate::records::sniff_delimiter(&head);
    let mut records = Records::new(&head[..], delimiter, 0, 1);
    records.skip_mark()?;
    if crate::records::stated_delimiter(&head).is_some() {
        records.step()?;
    }
    match records.step()? {
        Step::Record(record) if record.len() > 1 => {
            let names = (0..record.len())
                .map(|i| record.text(i).map(str::to_owned))
                .collect::<std::result::Result<Vec<_>, _>>();
            let names = names.map_err(|_| {
                unknown(part, "its header is not UTF-8; say the encoding with --encoding windows-1252")
            })?;
            Ok((Header::new(names), delimiter))
        }
        _ => Err(unknown(part, "has no header line with several columns")),
    }
}

/// Opens the records behind the header, or where an interrupted import stopped.
pub(super) fn resume_at(
    input: &mut dyn std::io::Read,
    delimiter: u8,
    resume: Option<Resume>,
) -> Result<Records<&mut dyn std::io::Read>> {
    if let Some(resume) = resume {
        let skipped =
            std::io::copy(&mut std::io::Read::take(&mut *input, resume.offset), &mut std::io::sink())?;
        if skipped < resume.offset {
            return Err(Error::Question("the file is shorter than when its import began".into()));
        }
        return Ok(Records::new(input, delimiter, resume.offset, resume.line));
    }
    let mut records = Records::new(input, delimiter, 0, 1);
    records.skip_mark()?;
    // The line that names the delimiter, where there is one, and the header.
    if matches!(records.step()?, Step::Record(record) if is_delimiter_line(record.raw)) {
        records.step()?;
    }
    Ok(records)
}

fn is_delimiter_line(raw: &[u8]) -> bool {
    raw.len() == 5 && raw[..4].eq_ignore_ascii_case(b"sep=")
}

pub(super) fn copy<R: std::io::Read>(
    records: &mut Records<R>,
    runner: &mut Runner<'_>,
    writer: &mut Writer<'_>,
    progress: &mut dyn Progress,
) -> Result<Resume> {
    let mut rows_count = 0u64;
    loop {
        match records.step()? {
            Step::End => return Ok(Resume { offset: records.offset(), line: records.line() }),
            Step::Bad { line, reason, raw } => writer.bad(line, reason, raw)?,
            Step::Record(record) => runner.run(&record, writer)?,
        }
        rows_count += 1;
        if writer.is_full() || rows_count.is_multiple_of(1 << 20) {
            writer.checkpoint(Resume { offset: records.offset(), line: records.line() })?;
            if !progress.at(records.offset(), rows_count) {
                return Err(stopped());
            }
        }
    }
}

pub(super) fn stopped() -> Error {
    Error::Question("stopped; the same command goes on where this import ended".into())
}

pub(super) fn unknown(part: &Part, reason: &str) -> Error {
    Error::Unrecognised { file: part.full_name(), reason: reason.into() }
}

pub(super) fn shorten(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        text.to_owned()
    } else {
        text.chars().take(chars).chain("…".chars()).collect()
    }
}

pub(super) fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>, depth: u32) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder.display(), e))? {
        let path = entry.map_err(|e| Error::file(folder.display(), e))?.path();
        if path.is_dir() && depth < 8 {
            list(&path, files, depth + 1)?;
        } else if path.is_file() {
            files.push(path);
        }
        if files.len() > PARTS_MAX {
            return Err(Error::Limit {
                what: "files in the folder",
                limit: PARTS_MAX as u64,
                hint: "import its folders one by one",
            });
        }
    }
    Ok(())
}
