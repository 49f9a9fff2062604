//! Reads delimited text record by record in bounded memory, whatever the file holds.
//!
//! RFC 4180 with the tolerance archives need: LF or CRLF, a byte-order mark, empty lines, quotes inside
//! unquoted fields. A record is at most [`RECORD_BYTES_MAX`]; a quotation mark that is never closed costs
//! one line, not the file: reading goes on after the first physical line. Refuses nothing silently: every
//! line becomes a record or a [`Step::Bad`] with its number and reason.

use std::io::Read;

/// Largest record in bytes; a longer one is kept aside as malformed.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Largest number of fields in a record.
pub const FIELDS_MAX: usize = 4_096;
const READ_BYTES: usize = 1 << 18;

/// One step of reading.
#[derive(Debug)]
pub enum Step<'a> {
    /// A well-formed record.
    Record(Record<'a>),
    /// A line that is no record.
    Bad {
        /// Physical line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
        /// The line as it stands, without its end.
        raw: &'a [u8],
    },
    /// The end of the input.
    End,
}

/// A record's fields, unquoted.
#[derive(Debug)]
pub struct Record<'a> {
    /// Physical line on which the record begins, from 1.
    pub line: u64,
    /// The record as it stands, without its end.
    pub raw: &'a [u8],
    text: &'a [u8],
    ends: &'a [(u32, u32)],
}

impl<'a> Record<'a> {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Never true: a record has at least one field.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// The field's bytes, or nothing beyond the last.
    #[inline]
    pub fn bytes(&self, index: usize) -> &'a [u8] {
        self.ends.get(index).map_or(&[], |(from, to)| &self.text[*from as usize..*to as usize])
    }
    /// The field as text without space around it, or the reason why it is none.
    #[inline]
    pub fn trimmed(&self, index: usize) -> Result<&'a str, &'static str> {
        let text = self.text(index)?;
        let is_plain = |b: &u8| (b'!'..=b'~').contains(b);
        match text.as_bytes() {
            [] => Ok(text),
            [one] if is_plain(one) => Ok(text),
            // Nearly every field: nothing to look for beyond its ends.
            [first, .., last] if is_plain(first) && is_plain(last) => Ok(text),
            _ => Ok(text.trim()),
        }
    }
    /// The field as text, or the reason why it is none.
    #[inline]
    pub fn text(&self, index: usize) -> Result<&'a str, &'static str> {
        std::str::from_utf8(self.bytes(index)).map_err(|_| "a field is not UTF-8 text")
    }
}

/// A reader of records.
pub struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    is_ended: bool,
    /// Bytes consumed before `buffer[at]`.
    offset: u64,
    line: u64,
    delimiter: u8,
    unquoted: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

enum Parsed {
    Record { len: usize, lines: u64, is_unquoted: bool },
    Bad(&'static str),
    NeedMore,
}

impl<R: Read> Records<R> {
    /// Reads from `input`, whose first byte is at `offset` and on `line` of the whole (0 and 1 at the start).
    pub fn new(input: R, delimiter: u8, offset: u64, line: u64) -> Records<R> {
        let buffer = vec![0; READ_BYTES];
        let (unquoted, ends) = (Vec::new(), Vec::new());
        Records { input, buffer, at: 0, filled: 0, is_ended: false, offset, line, delimiter, unquoted, ends }
    }
    /// Bytes consumed so far, counted from the start of the whole input.
    pub fn offset(&self) -> u64 {
        self.offset
    }
    /// The line the next record begins on.
    pub fn line(&self) -> u64 {
        self.line
    }
    /// Skips a UTF-8 byte-order mark at the very start.
    pub fn skip_mark(&mut self) -> std::io::Result<()> {
        while self.filled - self.at < 3 && !self.is_ended {
            self.fill()?;
        }
        if self.offset == 0 && self.buffer[self.at..self.filled].starts_with(b"\xef\xbb\xbf") {
            self.consume(3, 0);
        }
        Ok(())
    }
    fn consume(&mut self, len: usize, lines: u64) {
        self.at += len;
        self.offset += len as u64;
        self.line += lines;
    }
    fn fill(&mut self) -> std::io::Result<()> {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
        }
        if self.filled == self.buffer.len() {
            let len = (self.buffer.len() * 2).min(RECORD_BYTES_MAX + READ_BYTES);
            self.buffer.resize(len, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.is_ended = true,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// The next record, malformed line, or the end.
    pub fn step(&mut self) -> std::io::Result<Step<'_>> {
        loop {
            // Empty lines are no records.
            match self.buffer[self.at..self.filled] {
                [b'\n', ..] => {
                    self.consume(1, 1);
                    continue;
                }
                [b'\r', b'\n', ..] => {
                    self.consume(2, 1);
                    continue;
                }
                _ => {}
            }
            let parsed = self.parse();
            match parsed {
                Parsed::NeedMore if self.filled - self.at > RECORD_BYTES_MAX => {
                    return Ok(self.bad("a record is longer than 1 MiB, or a quotation mark is never closed"));
                }
                Parsed::NeedMore if !self.is_ended => self.fill()?,
                Parsed::NeedMore if self.at == self.filled => return Ok(Step::End),
                Parsed::NeedMore => return Ok(self.bad("a quotation mark is never closed")),
                Parsed::Bad(reason) => return Ok(self.bad(reason)),
                Parsed::Record { len, lines, is_unquoted } => {
                    let (from, line) = (self.at, self.line);
                    self.consume(len, lines);
                    let raw = trim_end(&self.buffer[from..from + len]);
                    let text = if is_unquoted { &self.buffer[from..from + len] } else { &self.unquoted[..] };
                    return Ok(Step::Record(Record { line, raw, text, ends: &self.ends }));
                }
            }
        }
    }

    /// Gives up the first physical line of what is buffered.
    fn bad(&mut self, reason: &'static str) -> Step<'_> {
        let rest = &self.buffer[self.at..self.filled];
        let (len, lines) = memchr::memchr(b'\n', rest).map_or((rest.len(), 0), |at| (at + 1, 1));
        let (from, line) = (self.at, self.line);
        self.consume(len, lines);
        Step::Bad { line, reason, raw: trim_end(&self.buffer[from..from + len]) }
    }

    fn parse(&mut self) -> Parsed {
        let rest = &self.buffer[self.at..self.filled];
        let (line_len, has_end) = match memchr::memchr(b'\n', rest) {
            Some(at) => (at + 1, true),
            None if self.is_ended && !rest.is_empty() => (rest.len(), false),
            None => return Parsed::NeedMore,
        };
        if line_len > RECORD_BYTES_MAX {
            return Parsed::Bad("a record is longer than 1 MiB");
        }
        let line = &rest[..line_len];
        if memchr::memchr(b'"', line).is_some() {
            return self.parse_quoted(line_len);
        }
        self.ends.clear();
        let end = trim_end(line).len();
        let mut from = 0;
        for at in memchr::memchr_iter(self.delimiter, &line[..end]) {
            self.ends.push((from, at as u32));
            from = at as u32 + 1;
        }
        self.ends.push((from, end as u32));
        if self.ends.len() > FIELDS_MAX {
            return Parsed::Bad("a record has more than 4,096 fields");
        }
        Parsed::Record { len: line_len, lines: u64::from(has_end), is_unquoted: true }
    }

    /// A record with quotation marks: fields are copied without them. `line_len` is where its first line ends: no
    /// line end is looked for before.
    fn parse_quoted(&mut self, line_len: usize) -> Parsed {
        let rest = &self.buffer[self.at..self.filled];
        self.unquoted.clear();
        self.ends.clear();
        let (mut at, mut lines) = (0, 0);
        loop {
            let from = self.unquoted.len() as u32;
            if rest.get(at) == Some(&b'"') {
                at += 1;
                loop {
                    let Some(close) = memchr::memchr(b'"', &rest[at..]) else { return Parsed::NeedMore };
                    let inside = &rest[at..at + close];
                    if at + close >= line_len {
                        lines += memchr::memchr_iter(b'\n', inside).count() as u64;
                    }
                    self.unquoted.extend_from_slice(inside);
                    at += close + 1;
                    if rest.get(at) != Some(&b'"') {
                        break;
                    }
                    self.unquoted.push(b'"');
                    at += 1;
                }
                if at == rest.len() && !self.is_ended {
                    return Parsed::NeedMore;
                }
            } else {
                let len = memchr::memchr2(self.delimiter, b'\n', &rest[at..]).unwrap_or(rest.len() - at);
                if at + len == rest.len() && !self.is_ended {
                    return Parsed::NeedMore;
                }
                let is_last = rest.get(at + len) != Some(&self.delimiter);
                let field = &rest[at..at + len];
                let field = if is_last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
                self.unquoted.extend_from_slice(field);
                at += len;
            }
            self.ends.push((from, self.unquoted.len() as u32));
            if self.ends.len() > FIELDS_MAX {
                return Parsed::Bad("a record has more than 4,096 fields");
            }
            if at > RECORD_BYTES_MAX {
                return Parsed::Bad("a record is longer than 1 MiB");
            }
            match rest.get(at) {
                Some(byte) if *byte == self.delimiter => at += 1,
                Some(b'\n') => return Parsed::Record { len: at + 1, lines: lines + 1, is_unquoted: false },
                Some(b'\r') if rest.get(at + 1) == Some(&b'\n') => {
                    return Parsed::Record { len: at + 2, lines: lines + 1, is_unquoted: false };
                }
                Some(b'\r') if at + 1 == rest.len() && !self.is_ended => return Parsed::NeedMore,
                None => return Parsed::Record { len: at, lines, is_unquoted: false },
                Some(_) => return Parsed::Bad("text follows a closing quotation mark"),
            }
        }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What spreadsheets may write above the header to name the delimiter: `sep=;`.
pub fn stated_delimiter(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match head {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', mark, b'\r' | b'\n', ..] => Some(*mark),
        _ => None,
    }
}

/// Finds the delimiter of a header line: the most frequent of comma, semicolon, tab and bar outside quotation marks.
pub fn sniff_delimiter(header: &[u8]) -> u8 {
    if let Some(stated) = stated_delimiter(header) {
        return stated;
    }
    let line = header.split(|b| *b == b'\n').next().unwrap_or_default();
    let outside: Vec<u8> = line.split(|b| *b == b'"').step_by(2).flatten().copied().collect();
    let count = |mark: u8| memchr::memchr_iter(mark, &outside).count();
    [b';', b'\t', b'|']
        .into_iter()
        .fold(b',', |best, mark| if count(mark) > count(best) { mark } else { best })
}

/// Writes one field of a CSV record, quoted where RFC 4180 asks for it, and safe against formulas in
/// spreadsheets is NOT attempted: figures and names are published as they are.
pub fn push_field(out: &mut String, field: &str) {
    if field.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

/// Joins fields into one CSV line with its end.
pub fn csv_line<S: AsRef<str>>(fields: &[S]) -> String {
    let mut out = String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_field(&mut out, field.as_ref());
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<String> {
        let mut records = Records::new(text, b',', 0, 1);
        records.skip_mark().unwrap();
        let mut out = Vec::new();
        loop {
            match records.step().unwrap() {
                Step::End => return out,
                Step::Bad { line, reason, .. } => out.push(format!("{line}: {reason}")),
                Step::Record(record) => {
                    let fields: Vec<_> = (0..record.len())
                        .map(|i| String::from_utf8_lossy(record.bytes(i)).into_owned())
                        .collect();
                    out.push(format!("{}[{}]", record.line, fields.join("|")));
                }
            }
        }
    }

    #[test]
    fn reads_quotes_ends_and_marks() {
        let text = b"\xef\xbb\xbfa,b\r\n\r\n\"x, \"\"y\"\"\",2\n\"two\nlines\",3\nplain \"q\" z,4\nlast,";
        assert_eq!(
            read(text),
            ["1[a|b]", "3[x, \"y\"|2]", "4[two\nlines|3]", "6[plain \"q\" z|4]", "7[last|]"]
        );
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        assert_eq!(
            read(b"a,b\n\"open,1\nnext,2\n\"x\"y,3\nz,4"),
            [
                "1[a|b]",
                "2: text follows a closing quotation mark",
                "3[next|2]",
                "4: text follows a closing quotation mark",
                "5[z|4]"
            ]
        );
    }

    #[test]
    fn a_huge_field_is_one_bad_line_and_memory_stays_bounded() {
        let mut text = b"a,b\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 5 * RECORD_BYTES_MAX));
        text.extend(b",1\nc,2\n");
        let mut records = Records::new(&text[..], b',', 0, 1);
        let (mut bad, mut good) = (0, 0);
        loop {
            match records.step().unwrap() {
                Step::End => break,
                Step::Bad { .. } => bad += 1,
                Step::Record(_) => good += 1,
            }
        }
        assert!(bad >= 1 && good >= 2, "{bad} {good}");
        assert!(records.buffer.len() <= RECORD_BYTES_MAX + READ_BYTES);
    }

    #[test]
    fn any_bytes_are_read_to_the_end() {
        use proptest::prelude::*;
        let soup = proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()],
            0..300,
        );
        proptest!(|(bytes in soup)| {
            let mut records = Records::new(&bytes[..], b',', 0, 1);
            while !matches!(records.step().unwrap(), Step::End) {}
            prop_assert_eq!(records.offset(), bytes.len() as u64);
        });
    }
}
