//! What search takes for words, in every script, and how a query becomes one expression of the full-text index.
//!
//! Letters are folded (case, accents, final forms) before SQLite sees them, since its tokenizer knows Latin accents only;
//! where a script runs its words together, each pair of letters is a term. Refuses operators: what is typed is words.

use regie_model::AdId;
use std::time::{Duration, Instant};
use unicode_normalization::UnicodeNormalization;

/// Letters of a piece of a long word.
const PIECE: usize = 8;
/// Begins every piece but a word's first: a letter for private use, which nobody types.
const GOES_ON: char = '\u{e000}';

/// What search may be narrowed by besides words. Each is a term of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<String>);
impl Filters {
    /// Adds one; what is no letter or digit is dropped, so that it stays one term.
    pub fn add(&mut self, name: &str, value: &str) {
        let plain: String =
            value.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        self.0.push(format!("zz{name}x{plain}"));
    }
    /// As the index takes them.
    pub fn text(&self) -> String {
        self.0.join(" ")
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long a search that somebody waits for goes on, before it says where to go on.
pub const BRIEFLY: Duration = Duration::from_millis(15);

/// A search.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// As typed.
    pub words: String,
    /// All must hold.
    pub filters: Filters,
    /// Of each group at least one must hold.
    pub any: Vec<Filters>,
    /// Only ads with a smaller number.
    pub before: Option<AdId>,
    /// Only ads that the record had at this size (number of leaves).
    pub size: Option<u64>,
    /// Answers at most.
    pub limit: usize,
    /// After this moment the search says how far it came; without it, it goes to the end.
    pub until: Option<Instant>,
}

/// Scripts that write words without spaces, or with many letters run together: each of their letters is a term with its
/// neighbour.
fn runs_together(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}
/// Lower case, without accents and other marks, in every script: SQLite's tokenizer knows Latin letters only.
fn fold(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_accent(*c)).nfc();
    let mut folded = String::with_capacity(text.len());
    for c in plain.flat_map(char::to_lowercase) {
        match c {
            'ς' => folded.push('σ'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            other => folded.push(other),
        }
    }
    folded
}
/// Marks that may be left out in writing.
fn is_accent(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036f | 0x0591..=0x05c7 | 0x064b..=0x065f | 0x0670)
}
/// The terms of a text, in an order that phrases can follow: words, or pairs of letters where words run together.
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let mut word = String::new();
    let mut last: Option<char> = None;
    for c in fold(text).chars().chain([' ']) {
        if runs_together(c) {
            if !word.is_empty() {
                terms.push(std::mem::take(&mut word));
            }
            match last {
                Some(before) => terms.push(format!("{before}{c}")),
                None => terms.push(c.to_string()),
            }
            last = Some(c);
            continue;
        }
        last = None;
        if c.is_alphanumeric() || (!word.is_empty() && is_mark(c)) {
            word.push(c);
        } else if !word.is_empty() {
            terms.push(std::mem::take(&mut word));
        }
    }
    terms
}
/// A combining mark belongs to the letter before it.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036f | 0x0900..=0x0903 | 0x093a..=0x094f | 0x0591..=0x05c7 | 0x064b..=0x065f | 0x0980..=0x0983 | 0x09bc..=0x09cd)
}
/// A term in pieces of at most eight letters, since beginnings of up to eight have lists of their own. As terms of the index one follows
/// the other, so that a word is found by any beginning, as a phrase whose last piece may go on.
fn pieces(term: &str) -> Vec<String> {
    let letters: Vec<char> = term.chars().filter(|c| *c != GOES_ON).collect();
    let (first, rest) = letters.split_at(letters.len().min(PIECE));
    let mut pieces = vec![first.iter().collect::<String>()];
    pieces.extend(rest.chunks(PIECE - 1).map(|piece| std::iter::once(&GOES_ON).chain(piece).collect()));
    pieces
}
/// Terms, parted by spaces, as the index takes them.
pub(super) fn in_pieces(words: &str) -> String {
    let all: Vec<String> = words.split(' ').filter(|w| !w.is_empty()).flat_map(pieces).collect();
    all.join(" ")
}
/// The FTS5 expression of a query; `None` when it asks for nothing in particular.
pub(super) fn expression(query: &Query) -> Option<String> {
    let quoted = |term: &String| format!("\"{}\"", term.replace('"', ""));
    let mut parts = Vec::new();
    for typed in query.words.split_whitespace().take(16) {
        let found = terms(typed);
        if found.is_empty() {
            continue;
        }
        // A single letter of such a script begins pairs; words are found by their beginnings.
        let phrase: Vec<String> = if found.len() > 1 && typed.chars().all(runs_together) {
            found.iter().skip(1).map(quoted).collect()
        } else {
            found.iter().flat_map(|term| pieces(term)).map(|piece| quoted(&piece)).collect()
        };
        parts.push(format!("words : ({}*)", phrase.join(" + ")));
    }
    for filter in &query.filters.0 {
        parts.push(format!("filters : \"{filter}\""));
    }
    for group in query.any.iter().filter(|group| !group.is_empty()) {
        let any: Vec<String> = group.0.iter().map(|f| format!("filters : \"{f}\"")).collect();
        parts.push(format!("({})", any.join(" OR ")));
    }
    (!parts.is_empty()).then(|| parts.join(" AND "))
}
