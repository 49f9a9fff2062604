//! Turns other encodings into UTF-8 while reading: spreadsheets save UTF-16, old exports Windows-1252.
//!
//! Streaming, bounded; what cannot be decoded becomes U+FFFD and so stays visible.

use std::io::Read;

/// How the bytes of a text file stand for characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a mark. Fields that are not valid are kept aside with their row.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// Windows-1252 (and Latin-1).
    Windows1252,
}

impl Encoding {
    /// From the first bytes: UTF-16 by its mark, or by the empty halves of its letters; otherwise UTF-8.
    pub fn sniff(head: &[u8]) -> Encoding {
        match head {
            [0xff, 0xfe, ..] => Encoding::Utf16Le,
            [0xfe, 0xff, ..] => Encoding::Utf16Be,
            [a, 0, b, 0, c, 0, ..] if *a > 0 && *b > 0 && *c > 0 => Encoding::Utf16Le,
            [0, a, 0, b, 0, c, ..] if *a > 0 && *b > 0 && *c > 0 => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        }
    }
    /// By name: `utf-8`, `utf-16le`, `utf-16be`, `windows-1252`.
    pub fn parse(name: &str) -> Option<Encoding> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Encoding::Utf8),
            "utf-16le" => Some(Encoding::Utf16Le),
            "utf-16be" => Some(Encoding::Utf16Be),
            "windows-1252" | "latin-1" | "latin1" | "iso-8859-1" => Some(Encoding::Windows1252),
            _ => None,
        }
    }
}

/// A reader that gives UTF-8 whatever the encoding of its input.
pub struct Transcoder<R> {
    input: R,
    encoding: Encoding,
    raw: Vec<u8>,
    held: usize,
    out: Vec<u8>,
    at: usize,
    high: Option<u16>,
}

impl<R: Read> Transcoder<R> {
    /// Wraps `input`.
    pub fn new(input: R, encoding: Encoding) -> Transcoder<R> {
        Transcoder { input, encoding, raw: vec![0; 1 << 15], held: 0, out: Vec::new(), at: 0, high: None }
    }

    fn refill(&mut self) -> std::io::Result<()> {
        self.out.clear();
        self.at = 0;
        while self.out.is_empty() {
            let count = self.input.read(&mut self.raw[self.held..])?;
            let filled = self.held + count;
            if filled == 0 {
                return Ok(());
            }
            let used = match self.encoding {
                Encoding::Windows1252 => {
                    self.out
                        .extend(self.raw[..filled].iter().flat_map(|b| encode(windows_1252(*b))).flatten());
                    filled
                }
                _ => self.push_utf16(filled, count == 0),
            };
            self.raw.copy_within(used..filled, 0);
            self.held = filled - used;
        }
        Ok(())
    }

    fn push_utf16(&mut self, filled: usize, is_last: bool) -> usize {
        let even = filled & !1;
        for pair in self.raw[..even].chunks_exact(2) {
            let unit = match self.encoding {
                Encoding::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
                _ => u16::from_le_bytes([pair[0], pair[1]]),
            };
            let units: Vec<u16> = self.high.take().into_iter().chain([unit]).collect();
            if units.len() == 1 && (0xd800..0xdc00).contains(&unit) {
                self.high = Some(unit);
                continue;
            }
            for c in char::decode_utf16(units) {
                self.out.extend(encode(c.unwrap_or('\u{fffd}')).into_iter().flatten());
            }
        }
        if is_last {
            self.out.extend_from_slice("\u{fffd}".as_bytes());
            return filled;
        }
        even
    }
}

fn encode(c: char) -> impl IntoIterator<Item = Option<u8>> {
    let mut bytes = [0; 4];
    let len = c.encode_utf8(&mut bytes).len();
    (0..4).map(move |i| (i < len).then_some(bytes[i]))
}

/// The characters of Windows-1252 that differ from Latin-1.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    if (0x80..0xa0).contains(&byte) { HIGH[usize::from(byte - 0x80)] } else { char::from(byte) }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.encoding == Encoding::Utf8 {
            return self.input.read(buffer);
        }
        if self.at == self.out.len() {
            self.refill()?;
        }
        let count = buffer.len().min(self.out.len() - self.at);
        buffer[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: Encoding) -> String {
        let mut text = String::new();
        Transcoder::new(bytes, encoding).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn reads_utf16_and_windows_1252() {
        let text = "\u{feff}Page ID,≤100,Fryslân 𝕏\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(Encoding::sniff(&le), Encoding::Utf16Le);
        assert_eq!(
            (Encoding::sniff(&le[2..]), Encoding::sniff(&be[2..])),
            (Encoding::Utf16Le, Encoding::Utf16Be)
        );
        assert_eq!(read(&le, Encoding::Utf16Le), text);
        assert_eq!(read(&be, Encoding::Utf16Be), text);
        assert_eq!(
            read(&le[..le.len() - 1], Encoding::Utf16Le),
            text.trim_end_matches('\n').to_string() + "\u{fffd}"
        );
        assert_eq!(read(b"Frysl\xe2n \x80", Encoding::Windows1252), "Fryslân €");
    }
}
