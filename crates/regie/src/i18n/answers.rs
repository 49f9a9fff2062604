//! Answers of the study room in the language of the request: documents come as English fragments, and every text in them
//! that the area `answers` has a message for is said again, with its values and its numbers.
//!
//! The stored document stays as it was published; only what is shown is said otherwise. What stands in `code` is never
//! touched, and a text that no message fits (a name, a citation) stays as it is. Refuses to look into tags but for the
//! attributes that are read out.

use super::{
    AREAS, Lang, format_in, lang,
    rooms::{Pattern, read},
};
use std::{collections::HashMap, sync::OnceLock};

/// Attributes that screen readers read.
const READ_OUT: [&str; 2] = [" aria-label=\"", " title=\""];

#[derive(Default)]
struct Patterns {
    exact: HashMap<String, String>,
    open: Vec<Pattern>,
    /// Those of several sentences.
    spanning: Vec<Pattern>,
    /// Only within others.
    parts: Vec<Pattern>,
    /// Pieces of a sentence that is written with commas.
    pieces: Vec<Pattern>,
}

fn patterns() -> &'static Patterns {
    static ALL: OnceLock<Patterns> = OnceLock::new();
    ALL.get_or_init(|| {
        let source = AREAS.iter().find(|(name, ..)| *name == "answers").map_or("", |(_, en, _)| en);
        let mut all = Patterns::default();
        for (key, message) in source.lines().filter_map(|line| line.split_once(" = ")) {
            let pattern = read(key, message);
            if key.starts_with("answer-comma-") {
                all.pieces.push(pattern);
            } else if let Some(text) = pattern.alone() {
                all.exact.insert(text.to_owned(), key.to_owned());
            } else if key.starts_with("answer-part-") {
                all.parts.push(pattern);
            } else if message.contains(". ") {
                all.spanning.push(pattern);
            } else {
                all.open.push(pattern);
            }
        }
        for list in [&mut all.open, &mut all.spanning, &mut all.parts, &mut all.pieces] {
            list.sort_by_key(|pattern| std::cmp::Reverse(pattern.weight()));
        }
        all
    })
}

/// A fragment of HTML in the language of the request.
pub fn document(html: &str) -> String {
    if lang() == Lang::En {
        return html.to_owned();
    }
    let (mut out, mut rest, mut code) = (String::with_capacity(html.len() + 256), html, 0usize);
    while let Some((text, after)) = rest.split_once('<') {
        if code == 0 {
            out.push_str(&node(text))
        } else {
            out.push_str(text)
        }
        let Some((tag, next)) = after.split_once('>') else {
            out.push('<');
            out.push_str(after);
            return out;
        };
        match tag.split([' ', '/']).find(|part| !part.is_empty()) {
            Some("code" | "pre" | "style") if tag.starts_with('/') => code = code.saturating_sub(1),
            Some("code" | "pre" | "style") => code += 1,
            _ => {}
        }
        out.push('<');
        out.push_str(&attributes(tag));
        out.push('>');
        rest = next;
    }
    out.push_str(&node(rest));
    out
}

fn attributes(tag: &str) -> String {
    let mut tag = tag.to_owned();
    for name in READ_OUT {
        let Some(start) = tag.find(name).map(|at| at + name.len()) else { continue };
        let Some(length) = tag.get(start..).and_then(|rest| rest.find('"')) else { continue };
        let said = tag.get(start..start + length).map(node).unwrap_or_default();
        tag.replace_range(start..start + length, &said);
    }
    tag
}

/// The text between two tags, its blanks around it kept.
fn node(text: &str) -> String {
    let inner = text.trim();
    if inner.is_empty() {
        return text.to_owned();
    }
    let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let said = say(&plain);
    let escaped = said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replacen(inner, &escaped, 1)
}

/// A text of the study room: a message, several sentences, pieces between commas, or a number; else as it is.
pub fn say(english: &str) -> String {
    if lang() == Lang::En {
        return english.to_owned();
    }
    // Of several sentences only a message of several sentences fits the whole.
    let several = english.contains(". ");
    if let Some(said) = patterns().exact.get(english).and_then(|key| format_in(lang(), key, &[])) {
        return said;
    }
    if several {
        if let Some(said) = fitting(&patterns().spanning, english) {
            return said;
        }
        let (mut said, mut rest) = (Vec::new(), english);
        while let Some(at) = rest.find(". ") {
            said.push(sentence(&rest[..=at]));
            rest = &rest[at + 2..];
        }
        said.push(sentence(rest));
        return said.join(" ");
    }
    sentence(english)
}

fn whole(english: &str) -> Option<String> {
    let all = patterns();
    if let Some(key) = all.exact.get(english) {
        return format_in(lang(), key, &[]);
    }
    fitting(&all.open, english)
}
fn sentence(english: &str) -> String {
    whole(english).or_else(|| by_commas(english)).unwrap_or_else(|| numbers(english))
}
fn fitting(patterns: &[Pattern], english: &str) -> Option<String> {
    patterns.iter().find_map(|pattern| {
        let values = pattern.fit(english)?;
        let values: Vec<(&str, String)> = values.into_iter().map(|(name, v)| (name, value(&v))).collect();
        format_in(lang(), pattern.key(), &values)
    })
}
/// What stands within a message: a part of its own, several of them, a message, or a number.
fn value(english: &str) -> String {
    let all = patterns();
    let one = |text: &str| whole(text).or_else(|| fitting(&all.parts, text)).unwrap_or_else(|| numbers(text));
    if english.contains("; and ") {
        return english.split("; and ").map(one).collect::<Vec<_>>().join(" ; et ");
    }
    one(english)
}
/// A sentence all of whose pieces are known.
fn by_commas(english: &str) -> Option<String> {
    let bare = english.strip_suffix('.')?;
    let piece = |text: &str| fitting_piece(text);
    let said: Option<Vec<String>> = bare.split(", ").map(piece).collect();
    Some(format!("{}.", said?.join(", ")))
}
fn fitting_piece(text: &str) -> Option<String> {
    let known = patterns().pieces.iter().find(|pattern| pattern.alone() == Some(text));
    match known {
        Some(pattern) => format_in(lang(), pattern.key(), &[]),
        None => fitting(&patterns().pieces, text),
    }
}

/// A text of digits and signs alone, as the language writes it; anything else as it is.
fn numbers(text: &str) -> String {
    let is_sign = |c: char| c.is_ascii_digit() || ",.-\u{2013}%#() ".contains(c);
    let has_unit = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_uppercase());
    let plain = text.split(' ').all(|word| has_unit(word) || word.chars().all(is_sign));
    if !plain || !text.bytes().any(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut out = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let between = at > 0 && digit(at - 1) && digit(at + 1);
        match c {
            ',' if between => out.push('\u{202f}'),
            '.' if between => out.push(','),
            '%' if at > 0 && digit(at - 1) => out.push_str("\u{a0}%"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn french(english: &str) -> String {
        super::super::within(Lang::Fr, || document(english))
    }

    #[test]
    fn a_headline_is_said_with_its_name_sum_and_rank() {
        let english = "<p class=\"answer\">Alder &lt;Party&gt; leads with between 1,200.50 and 1,300.00 EUR. The first rank is certain in these sources.</p>";
        assert_eq!(
            french(english),
            "<p class=\"answer\">Alder &lt;Party&gt; arrive en tête avec entre 1\u{202f}200,50 et 1\u{202f}300,00 EUR. Le premier rang est certain dans ces sources.</p>"
        );
        assert_eq!(super::super::within(Lang::En, || document(english)), english);
    }
    #[test]
    fn a_paragraph_goes_sentence_by_sentence_and_its_range_piece_by_piece() {
        let english = "<p>Units were not grouped. Days from 2024-05-01 to 2024-05-07 are counted, a period counts wholly when it begins inside, as known on 2024-05-09. In the sources amounts are published exactly; and amounts are rounded down to 50.00.</p>";
        assert_eq!(
            french(english),
            "<p>Les unités ne furent pas regroupées. Les jours du 2024-05-01 au 2024-05-07 sont comptés, une période compte en entier quand elle commence à l\u{2019}intérieur, tel que connu le 2024-05-09. Dans les sources, les montants sont publiés exactement ; et les montants sont arrondis vers le bas à 50,00.</p>"
        );
    }
    #[test]
    fn names_code_and_dates_stay_and_attributes_are_read_out() {
        let english = "<div aria-label=\"Ranking table\"><th>Who</th><td> Pippa Norris, Inc. </td><code>vanished 1.5</code><td>1,234.5%</td><td>2024-05-01</td></div>";
        assert_eq!(
            french(english),
            "<div aria-label=\"Tableau du classement\"><th>Qui</th><td> Pippa Norris, Inc. </td><code>vanished 1.5</code><td>1\u{202f}234,5\u{a0}%</td><td>2024-05-01</td></div>"
        );
    }
}
