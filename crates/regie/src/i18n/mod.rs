//! The languages of the pages: English and French, as Fluent messages under `locales/`.
//!
//! A page is rendered in the language of its request, which [`negotiate`] puts where [`t!`](crate::t) and
//! [`th!`](crate::th) find it; templates name a message and its values, never a language. Under `/v1` only sentences for people
//! (a problem's title, detail and faults) are in it; codes and data are the same for everybody.
//! Every key is in both languages, with the same values, and used (`tests/languages.rs`). Refuses to guess: a key that
//! is missing shows as itself.

pub mod answers;
pub mod choice;
pub mod format;
pub mod rooms;

pub use choice::{here, negotiate};
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use maud::{Markup, PreEscaped, html};
use std::{collections::HashMap, sync::OnceLock};

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English, the language when nothing else is asked for.
    En,
    /// French.
    Fr,
}

impl Lang {
    /// Every language.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Fr];

    /// As `lang` attributes and headers write it.
    pub fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Fr => "fr",
        }
    }
    /// In its own words.
    pub fn name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Fr => "Français",
        }
    }
    /// From a language tag such as `fr-CA`; nothing for others.
    pub fn parse(tag: &str) -> Option<Lang> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Lang::ALL.into_iter().find(|l| primary.eq_ignore_ascii_case(l.code()))
    }
}

tokio::task_local! {
    static LANG: Lang;
}

/// The language of the request that is being answered; English outside one.
pub fn lang() -> Lang {
    LANG.try_with(|l| *l).unwrap_or(Lang::En)
}

/// Runs something in a language: for threads beside the request's own, which do not inherit it.
pub fn within<T>(lang: Lang, work: impl FnOnce() -> T) -> T {
    LANG.sync_scope(lang, work)
}

/// One area's files.
macro_rules! area {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../locales/en/", $name, ".ftl")),
            include_str!(concat!("../../locales/fr/", $name, ".ftl")),
        )
    };
}

/// Messages by area: name, English, French. A file that is not listed here fails the test of languages.
pub const AREAS: &[(&str, &str, &str)] = &[
    area!("words"),
    area!("frame"),
    area!("record"),
    area!("console"),
    area!("booking"),
    area!("guide"),
    area!("downloads"),
    area!("bulk"),
    area!("accounts"),
    area!("operations"),
    area!("changes"),
    area!("results"),
    area!("study"),
    area!("answers"),
    area!("learning"),
    area!("rooms"),
    area!("proofs"),
    area!("groupings"),
];

/// The messages of one language.
struct Messages {
    bundle: FluentBundle<FluentResource>,
    /// Those without values, once and for all.
    plain: HashMap<String, String>,
}

fn messages(lang: Lang) -> &'static Messages {
    static ALL: [OnceLock<Messages>; 2] = [OnceLock::new(), OnceLock::new()];
    ALL[lang as usize].get_or_init(|| {
        let tag = lang.code().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        bundle.set_use_isolating(false);
        let mut keys = Vec::new();
        for (area, en, fr) in AREAS {
            let source = if lang == Lang::En { en } else { fr };
            let resource = match FluentResource::try_new((*source).to_owned()) {
                Ok(resource) => resource,
                Err((resource, errors)) => {
                    tracing::error!(area, ?errors, "messages that cannot be read");
                    resource
                }
            };
            keys.extend(ids(source));
            bundle.add_resource_overriding(resource);
        }
        let mut plain = HashMap::with_capacity(keys.len());
        for key in keys {
            let mut errors = Vec::new();
            let pattern = bundle.get_message(&key).and_then(|m| m.value());
            let text = pattern.map(|p| bundle.format_pattern(p, None, &mut errors).into_owned());
            if let (Some(text), true) = (text, errors.is_empty()) {
                plain.insert(key, text);
            }
        }
        Messages { bundle, plain }
    })
}

/// The ids of the messages in a Fluent source, in order.
pub fn ids(source: &str) -> Vec<String> {
    let id = |line: &str| {
        let (id, _) = line.split_once('=')?;
        let id = id.trim_end();
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        (id.starts_with(|c: char| c.is_ascii_alphabetic()) && plain).then(|| id.to_owned())
    };
    source.lines().filter_map(id).collect()
}

/// A message without values, in the language of the request.
pub fn text(key: &'static str) -> &'static str {
    messages(lang()).plain.get(key).map_or(key, String::as_str)
}

/// A message with values in a given language; nothing when there is no such message.
pub fn format_in(lang: Lang, key: &str, values: &[(&str, String)]) -> Option<String> {
    let messages = messages(lang);
    let pattern = messages.bundle.get_message(key)?.value()?;
    let mut args = FluentArgs::with_capacity(values.len());
    for (name, value) in values {
        args.set(*name, argument(value));
    }
    let mut errors = Vec::new();
    let text = messages.bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned();
    if !errors.is_empty() {
        tracing::error!(key, ?errors, "a message that cannot be formatted");
    }
    Some(text)
}

/// Digits choose plural forms; everything else is text. What is shown is what was given.
fn argument(value: &str) -> FluentValue<'_> {
    match value.parse::<u64>() {
        Ok(_) if value.len() < 16 => FluentValue::try_number(value),
        _ => FluentValue::from(value),
    }
}

/// A message with values, in the language of the request.
pub fn say(key: &'static str, values: &[(&str, String)]) -> String {
    format_in(lang(), key, values).unwrap_or_else(|| key.to_owned())
}

/// A message whose values are markup. The message itself is text and escaped.
pub fn rich(key: &'static str, values: &[(&str, Markup)]) -> Markup {
    // Values stand in the message as private characters while it is escaped; digits also choose plural forms.
    const OPEN: char = '\u{e000}';
    const CLOSE: char = '\u{e001}';
    let plain = |m: &Markup| !m.0.is_empty() && m.0.len() < 16 && m.0.bytes().all(|b| b.is_ascii_digit());
    let held: Vec<(&str, String)> = values
        .iter()
        .enumerate()
        .map(|(i, (name, m))| (*name, if plain(m) { m.0.clone() } else { format!("{OPEN}{i}{CLOSE}") }))
        .collect();
    let text = say(key, &held);
    let mut out = String::with_capacity(text.len() + 64);
    for (index, piece) in text.split(OPEN).enumerate() {
        let (value, words) = match piece.split_once(CLOSE).filter(|_| index > 0) {
            Some((number, words)) => (number.parse::<usize>().ok().and_then(|i| values.get(i)), words),
            None => (None, piece),
        };
        if let Some((_, markup)) = value {
            out.push_str(&markup.0);
        }
        out.push_str(&html! { (words) }.0);
    }
    PreEscaped(out)
}

/// A message by its key, with values if it has some: `t!("reports-none")`, `t!("reports-of", name = name)`.
///
/// Without values a `&'static str`, else a `String`.
#[macro_export]
macro_rules! t {
    ($key:literal) => { $crate::i18n::text($key) };
    ($key:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::i18n::say($key, &[$((stringify!($name), ($value).to_string())),+])
    };
}

/// A message whose values are markup: `th!("record-by", publisher = html! { strong { (name) } })`.
#[macro_export]
macro_rules! th {
    ($key:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::i18n::rich($key, &[$((stringify!($name), maud::html! { ($value) })),+])
    };
}

/// Names a key where a constant table holds it; [`text`] turns it into words when the table is read.
#[macro_export]
macro_rules! k {
    ($key:literal) => {
        $key
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_by_their_first_part() {
        for (tag, want) in
            [("fr", Some(Lang::Fr)), ("FR-ca", Some(Lang::Fr)), (" en_GB", Some(Lang::En)), ("de", None)]
        {
            assert_eq!(Lang::parse(tag), want, "{tag}");
        }
    }
    #[test]
    fn values_of_rich_messages_stay_markup_and_words_are_escaped() {
        let page = || crate::th!("frame-published-by-with-regie", publisher = html! { b { "A & B" } });
        let english = page().0;
        assert!(english.contains("<b>A &amp; B</b>"), "{english}");
        let french = within(Lang::Fr, page).0;
        assert!(french.contains("<b>A &amp; B</b>") && french != english, "{french}");
    }
}
