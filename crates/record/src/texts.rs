//! Label and notice texts in the 24 official languages of the Union, as data (`data/languages.json`).
//!
//! Each language says whether somebody who speaks it has reviewed its texts. One that nobody reviewed is used only where
//! the publisher has opted in; English stands in its place otherwise. Refuses to translate what a sponsor wrote.

use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

/// The texts of one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Its own name for itself.
    pub name: String,
    /// Somebody who speaks it has read the texts.
    pub reviewed: bool,
    /// By [`Text`].
    pub texts: BTreeMap<Text, String>,
    /// Labels, sources and fixed answers of the notice, by their English words; what is absent stays English.
    #[serde(default)]
    pub phrases: BTreeMap<String, String>,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $key:literal;)*) => {
        /// A text of label or notice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Text { $($(#[$doc])* #[serde(rename = $key)] $name,)* }
        impl Text {
            /// All.
            pub const ALL: &'static [Text] = &[$(Text::$name),*];
            /// The key in the data.
            pub fn key(self) -> &'static str { match self { $(Text::$name => $key,)* } }
        }
    };
}
texts! {
    /// That it is an ad.
    Advertisement "advertisement";
    /// That it is a political ad (Art. 11(1)a).
    PoliticalAdvertisement "political_advertisement";
    /// On whose behalf; `{name}`.
    OnBehalfOf "on_behalf_of";
    /// Who paid; `{name}`.
    PaidBy "paid_by";
    /// Who ultimately controls the sponsor; `{name}`.
    ControlledBy "controlled_by";
    /// The linked vote or process (Art. 11(1)c); `{name}`.
    LinkedTo "linked_to";
    /// That targeting or delivery techniques were used (Art. 11(1)d).
    Targeted "targeted";
    /// The link to the record of an ad that is not political.
    WhoPaid "who_paid";
    /// The link to the notice (Art. 11(1)e).
    TransparencyNotice "transparency_notice";
    /// Title of item a of Art. 12(1).
    A "a";
    /// Title of item b.
    B "b";
    /// Title of item c.
    C "c";
    /// Title of item d.
    D "d";
    /// Title of item e.
    E "e";
    /// Title of item f.
    F "f";
    /// Title of item g.
    G "g";
    /// Title of item h.
    H "h";
    /// Title of item i.
    I "i";
    /// Title of item j.
    J "j";
    /// Title of item k.
    K "k";
    /// Title of item l.
    L "l";
    /// Title of item m.
    M "m";
    /// Source: the sponsor.
    DeclaredBySponsor "declared_by_sponsor";
    /// Source: the ledger.
    CountedExactly "counted_exactly";
    /// Nothing was declared.
    NotDeclared "not_declared";
    /// The link to the form of Art. 15.
    ReportThisAd "report_this_ad";
    /// The list of versions.
    EarlierVersions "earlier_versions";
}

static LANGUAGES: LazyLock<BTreeMap<String, Language>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/languages.json")).unwrap_or_default());

/// Every language by its code (BCP 47 primary language).
pub fn languages() -> &'static BTreeMap<String, Language> {
    &LANGUAGES
}

/// Texts to use on a page.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// Code of the language used.
    pub code: &'static str,
    language: Option<&'static Language>,
}
impl Texts {
    /// The texts for a page in `wanted` (a BCP 47 tag): that language if it is reviewed or among `opted_in`; English
    /// otherwise.
    pub fn choose(wanted: Option<&str>, opted_in: &[String]) -> Texts {
        let primary = wanted.unwrap_or("en").split(['-', '_']).next().unwrap_or("en");
        // Chosen for every ad: what is written small already, as nearly always, is not copied.
        let primary = match primary.bytes().all(|byte| byte.is_ascii_lowercase()) {
            true => Cow::Borrowed(primary),
            false => Cow::Owned(primary.to_lowercase()),
        };
        let usable = LANGUAGES
            .get_key_value(primary.as_ref())
            .filter(|(code, language)| language.reviewed || opted_in.iter().any(|o| o == *code));
        let found = usable.or_else(|| LANGUAGES.get_key_value("en"));
        Texts { code: found.map_or("en", |(code, _)| code.as_str()), language: found.map(|(_, l)| l) }
    }
    /// A text.
    pub fn get(&self, text: Text) -> &'static str {
        self.language.and_then(|l| l.texts.get(&text)).map_or_else(|| text.key(), String::as_str)
    }
    /// A text with a name in its place.
    pub fn with(&self, text: Text, name: &str) -> String {
        self.get(text).replacen("{name}", name, 1)
    }
    /// A label, source or fixed answer of the notice; `None`: this language has none.
    pub fn phrase(&self, english: &str) -> Option<&'static str> {
        self.language?.phrases.get(english).map(String::as_str)
    }
    /// The title of an item `a` to `m`.
    pub fn item(&self, letter: &str) -> Option<&'static str> {
        let at = Text::ALL.iter().find(|t| t.key() == letter && letter.len() == 1)?;
        Some(self.get(*at))
    }
}

/// A notice in a language: titles, sources, labels and fixed answers in it, as far as it has them; what the sponsor
/// declared in the sponsor's words.
pub fn notice_in(items: &[crate::NoticeItem], texts: &Texts) -> Vec<crate::NoticeItem> {
    let one = |item: &crate::NoticeItem| {
        let mut told = item.clone();
        if let Some(title) = texts.item(&item.item) {
            told.title = title.to_owned();
        }
        let ledger = !item.declared && item.source.contains("ledger");
        told.source = match texts.phrase(&item.source) {
            Some(source) => source.to_owned(),
            None if texts.code == "en" => item.source.clone(),
            None if item.declared => texts.get(Text::DeclaredBySponsor).to_owned(),
            None if ledger => texts.get(Text::CountedExactly).to_owned(),
            None => item.source.clone(),
        };
        for value in &mut told.values {
            if let Some(label) = texts.phrase(&value.label) {
                value.label = label.to_owned();
            }
            if value.value == crate::NOT_DECLARED {
                value.value = texts.get(Text::NotDeclared).to_owned();
            } else if let Some(answer) = texts.phrase(&value.value) {
                value.value = answer.to_owned();
            }
        }
        told
    };
    items.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The official languages of the Union (Regulation No 1/58 as amended).
    const OFFICIAL: &str = "bg cs da de el en es et fi fr ga hr hu it lt lv mt nl pl pt ro sk sl sv";

    #[test]
    fn every_official_language_has_every_text() {
        let codes: Vec<&str> = languages().keys().map(String::as_str).collect();
        assert_eq!(codes.join(" "), OFFICIAL);
        for (code, language) in languages() {
            assert_eq!(language.texts.len(), Text::ALL.len(), "{code}");
            for (text, words) in &language.texts {
                assert!(!words.trim().is_empty(), "{code} {text:?}");
                let named = [Text::OnBehalfOf, Text::PaidBy, Text::ControlledBy, Text::LinkedTo];
                assert_eq!(
                    words.matches("{name}").count(),
                    usize::from(named.contains(text)),
                    "{code} {text:?}"
                );
                assert!(!words.contains(['<', '>', '&']), "{code} {text:?}");
            }
        }
    }
    #[test]
    fn every_other_language_has_the_labels_and_answers_of_the_notice() {
        let wanted: Vec<&String> = languages()["fr"].phrases.keys().collect();
        assert!(wanted.len() > 50);
        for (code, language) in languages().iter().filter(|(code, _)| *code != "en") {
            assert_eq!(language.phrases.keys().collect::<Vec<_>>(), wanted, "{code}");
            for (english, words) in &language.phrases {
                assert!(!words.trim().is_empty() && !words.contains(['<', '>', '&']), "{code}: {english}");
                // A sentence that is the English one was not translated.
                assert!(english.len() < 25 || words != english, "{code}: {english}");
            }
        }
    }
    #[test]
    fn an_unreviewed_language_needs_the_publishers_opt_in() {
        let reviewed: Vec<_> =
            languages().iter().filter(|(_, l)| l.reviewed).map(|(c, _)| c.as_str()).collect();
        assert_eq!(reviewed, ["en", "fr"]);
        assert_eq!(Texts::choose(Some("de-AT"), &[]).code, "en");
        assert_eq!(Texts::choose(Some("de-AT"), &["de".into()]).code, "de");
        assert_eq!(
            Texts::choose(Some("fr"), &[]).with(Text::PaidBy, "{name} & Fils"),
            "payée par {name} & Fils"
        );
        assert_eq!(Texts::choose(Some("xx"), &["xx".into()]).code, "en");
        assert_eq!(Texts::choose(None, &[]).item("d").map(|t| t.contains("Amounts")), Some(true));
        assert_eq!(Texts::choose(None, &[]).item("z"), None);
    }
}
