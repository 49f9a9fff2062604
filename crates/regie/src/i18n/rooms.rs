//! Texts from the rooms below, which know no language: faults of a booking, reasons of a decision, words of targeting.
//!
//! They come as English sentences, are recognised by the English message of the area `rooms`, and said again in the
//! language of the request with the same values. One that no message fits stays English; a test names those that the
//! sources have.

use super::{AREAS, Lang, format_in, lang};
use std::{collections::HashMap, sync::OnceLock};

/// A message as the words around its values.
pub(super) struct Pattern {
    key: String,
    /// Words before, between and after the values: one more than there are values.
    words: Vec<String>,
    values: Vec<String>,
}

struct Patterns {
    exact: HashMap<String, String>,
    open: Vec<Pattern>,
    /// Messages that stand only within others, such as one condition of a targeting.
    parts: Vec<Pattern>,
}

fn patterns() -> &'static Patterns {
    static ALL: OnceLock<Patterns> = OnceLock::new();
    ALL.get_or_init(|| {
        let source = AREAS.iter().find(|(name, ..)| *name == "rooms").map_or("", |(_, en, _)| en);
        let mut all = Patterns { exact: HashMap::new(), open: Vec::new(), parts: Vec::new() };
        for line in source.lines() {
            let Some((key, message)) = line.split_once(" = ") else { continue };
            if !key.starts_with("room-") {
                continue;
            }
            let pattern = read(key, message);
            match pattern.words.as_slice() {
                [only] => drop(all.exact.insert(only.clone(), pattern.key)),
                _ if key.starts_with("room-part-") => all.parts.push(pattern),
                _ => all.open.push(pattern),
            }
        }
        all.parts.sort_by_key(|p| std::cmp::Reverse(p.words.iter().map(String::len).sum::<usize>()));
        // The more words a message has, the more it says about what it fits.
        all.open.sort_by_key(|p| std::cmp::Reverse(p.words.iter().map(String::len).sum::<usize>()));
        all
    })
}

pub(super) fn read(key: &str, message: &str) -> Pattern {
    let (mut words, mut values) = (vec![String::new()], Vec::new());
    let mut rest = message.trim_end();
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, next) = after.split_once('}').unwrap_or((after, ""));
        let last = words.last_mut().map(|w| w.push_str(before));
        debug_assert!(last.is_some());
        let inside = inside.trim();
        if let Some(name) = inside.strip_prefix('$') {
            values.push(name.to_owned());
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push_str(inside.trim_matches('"'));
        }
        rest = next;
    }
    if let Some(word) = words.last_mut() {
        word.push_str(rest);
    }
    Pattern { key: key.to_owned(), words, values }
}

impl Pattern {
    /// Its message's key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
    /// The whole text of a message without values.
    pub(super) fn alone(&self) -> Option<&str> {
        match self.words.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
    /// How many characters it fixes: the more, the more it says about what it fits.
    pub(super) fn weight(&self) -> usize {
        self.words.iter().map(String::len).sum()
    }
    /// The values with which the message says this text.
    pub(super) fn fit(&self, text: &str) -> Option<Vec<(&str, String)>> {
        let (first, rest) = self.words.split_first()?;
        let (last, between) = rest.split_last()?;
        let mut inner = text.strip_prefix(first.as_str())?.strip_suffix(last.as_str())?;
        let mut found = Vec::with_capacity(self.values.len());
        let mut names = self.values.iter();
        for word in between {
            let (value, after) = inner.split_once(word.as_str())?;
            found.push((names.next()?.as_str(), value.to_owned()));
            inner = after;
        }
        found.push((names.next()?.as_str(), inner.to_owned()));
        found.iter().all(|(_, v)| !v.is_empty()).then_some(found)
    }
}

/// Whether a message fits this English text.
pub fn known(text: &str) -> bool {
    patterns().exact.contains_key(text) || patterns().open.iter().any(|p| p.fit(text).is_some())
}

/// A text of the rooms in the language of the request.
pub fn say(english: &str) -> String {
    if lang() == Lang::En || english.is_empty() {
        return english.to_owned();
    }
    if let Some(key) = patterns().exact.get(english) {
        return format_in(lang(), key, &[]).unwrap_or_else(|| english.to_owned());
    }
    fitting(&patterns().open, english).unwrap_or_else(|| english.to_owned())
}
/// Several sentences of the rooms, one after the other, with their numbers as the language writes them.
pub fn say_all(english: &str) -> String {
    if lang() == Lang::En {
        return english.to_owned();
    }
    let text = grouped(english);
    let (mut said, mut rest) = (Vec::new(), text.as_str());
    while let Some(at) = rest.find(". ") {
        said.push(say(&rest[..=at]));
        rest = &rest[at + 2..];
    }
    said.push(say(rest));
    said.join(" ")
}
/// Digits grouped as the language does, from groups with commas.
pub fn grouped(english: &str) -> String {
    if lang() == Lang::En {
        return english.to_owned();
    }
    let bytes = english.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_group =
        |at: usize| digit(at.checked_sub(1)) && (1..=3).all(|n| digit(Some(at + n))) && !digit(Some(at + 4));
    english.char_indices().map(|(at, c)| if c == ',' && is_group(at) { '\u{202f}' } else { c }).collect()
}
/// A text that stands within others, such as one condition of a targeting.
pub fn say_part(english: &str) -> String {
    if lang() == Lang::En { english.to_owned() } else { say_value(english) }
}
/// Values may be texts of the rooms themselves, and lists of such.
fn say_value(english: &str) -> String {
    if let Some(key) = patterns().exact.get(english) {
        return format_in(lang(), key, &[]).unwrap_or_else(|| english.to_owned());
    }
    let between = match lang() {
        Lang::En => "; and ",
        Lang::Fr => " ; et ",
    };
    let said = english
        .split("; and ")
        .map(|part| match fitting(&patterns().parts, part) {
            Some(said) => said,
            None => patterns()
                .exact
                .get(part)
                .and_then(|key| format_in(lang(), key, &[]))
                .unwrap_or_else(|| part.to_owned()),
        })
        .collect::<Vec<_>>();
    said.join(between)
}
fn fitting(patterns: &[Pattern], english: &str) -> Option<String> {
    patterns.iter().find_map(|p| {
        let values = p.fit(english)?;
        let values: Vec<(&str, String)> = values.into_iter().map(|(n, v)| (n, say_value(&v))).collect();
        format_in(lang(), &p.key, &values)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_targeting_are_said_with_their_conditions() {
        let english = "Shown only where device class is one of phone, tablet; and page topic is not war.";
        let french = super::super::within(Lang::Fr, || say(english));
        assert_eq!(
            french,
            "Montrée seulement là où : type d\u{2019}appareil est l\u{2019}un de phone, tablet ; et sujet de la page n\u{2019}est pas war."
        );
        assert_eq!(super::super::within(Lang::En, || say(english)), english);
    }
    #[test]
    fn several_sentences_are_said_one_by_one_with_their_numbers() {
        let english = "About 1,234,000 requests, between 900 and 2,000,000 nine times of ten. 3 other promises would be missed.";
        let french = super::super::within(Lang::Fr, || say_all(english));
        assert_eq!(
            french,
            "Environ 1\u{202f}234\u{202f}000 demandes, entre 900 et 2\u{202f}000\u{202f}000 neuf fois sur dix. 3 autres promesses ne seraient pas tenues."
        );
        assert_eq!(super::super::within(Lang::Fr, || grouped("a, b 12,5 1,23")), "a, b 12,5 1,23");
        assert_eq!(say_all(english), english);
    }
    #[test]
    fn a_text_is_recognised_with_its_values() {
        let pattern = read("room-x", "At most {$max} characters; this has {$count}.");
        let fit = pattern.fit("At most 5 characters; this has 7.");
        assert_eq!(fit, Some(vec![("max", "5".to_owned()), ("count", "7".to_owned())]));
        for other in ["At most 5 characters; this has .", "At most 5", "Please fill this in."] {
            assert_eq!(pattern.fit(other), None, "{other}");
        }
    }
}
