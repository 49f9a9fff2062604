//! Names made comparable: case, accents, punctuation, legal forms and "paid for by" taken away.
//!
//! A normalised name is for matching only; what is shown is always what the archive wrote.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Legal forms, as separate words at the end of a name (several countries).
const LEGAL_FORMS: [&str; 34] = [
    "inc",
    "incorporated",
    "llc",
    "l l c",
    "ltd",
    "limited",
    "corp",
    "corporation",
    "co",
    "company",
    "plc",
    "llp",
    "lp",
    "gmbh",
    "mbh",
    "ag",
    "kg",
    "e v",
    "ev",
    "ug",
    "bv",
    "b v",
    "nv",
    "n v",
    "vzw",
    "asbl",
    "sa",
    "s a",
    "sas",
    "srl",
    "s r l",
    "spa",
    "ab",
    "oy",
];
/// Openings that say that somebody paid, not who.
const OPENINGS: [&str; 9] = [
    "paid for by",
    "paid by",
    "ad paid for by",
    "sponsored by",
    "published by",
    "promoted by",
    "gesponsert von",
    "gesponsord door",
    "betaald door",
];

/// Words in lower case without accents and punctuation, one space between.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkd() {
        if is_combining_mark(c) || matches!(c, '\'' | '’' | '.') {
            // "U.S." and "O'Rourke" stay one word.
            continue;
        }
        if c.is_alphanumeric() {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.extend(c.to_lowercase());
        } else {
            gap = true;
        }
    }
    out
}

/// A name to match by: plain words without openings, leading articles and legal forms.
pub fn name_key(text: &str) -> String {
    let plain = plain(text);
    let mut rest = plain.as_str();
    for opening in OPENINGS {
        if let Some(tail) = rest.strip_prefix(opening).and_then(|t| t.strip_prefix(' ')) {
            rest = tail;
        }
    }
    let rest_full = rest;
    for article in ["the ", "de ", "het ", "die ", "der "] {
        if article == "the " || rest.split(' ').count() > 3 {
            rest = rest.strip_prefix(article).unwrap_or(rest);
        }
    }
    loop {
        let shorter = LEGAL_FORMS.iter().find_map(|form| rest.strip_suffix(form)?.strip_suffix(' '));
        match shorter {
            Some(shorter) if !shorter.is_empty() => rest = shorter,
            _ => break,
        }
    }
    if rest.is_empty() { rest_full.to_owned() } else { rest.to_owned() }
}

/// Whether a text may hold private contact data (an e-mail address, a telephone number, a street number
/// with a postal code); such disclaimers are not shown.
pub fn looks_private(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.contains('@') || digits >= 9 || (digits >= 6 && text.contains(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet() {
        for (a, b) in [
            (
                "Paid for by the Trump Make America Great Again Committee",
                "TRUMP MAKE AMERICA GREAT AGAIN COMMITTEE",
            ),
            ("DONALD J. TRUMP FOR PRESIDENT, INC.", "Donald J Trump for President"),
            ("AAF Nation, LLC", "aaf nation"),
            ("Fryslȃn", "Fryslan"),
            ("Beto O’Rourke", "Beto O'Rourke"),
            ("BRITT FOR ALABAMA, INC,", "Britt for Alabama Inc."),
        ] {
            assert_eq!(name_key(a), name_key(b), "{a} | {b}");
        }
        assert_eq!(name_key("Co"), "co");
        assert_eq!(name_key("The Inc"), "inc");
    }

    #[test]
    fn any_text_has_a_key() {
        use proptest::prelude::*;
        proptest!(|(text in "\\PC{0,80}")| { prop_assert_eq!(name_key(&name_key(&text)).is_empty(), name_key(&text).is_empty()); });
    }
}
