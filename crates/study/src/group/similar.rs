//! How alike two names are, and in which way: the ways are known kinds, each with its own reliability.
//!
//! No model is trained. Scores are in thousandths and only order links; which score is good enough is
//! measured on hand-made gold standards (see [`super::quality`]).

use crate::text;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The way two names are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The same normalised name.
    SameName,
    /// Campaigns of the same full name: "Jane Doe for Congress", "Friends of Jane Doe".
    SamePerson,
    /// Branches of an organisation that stands in the corpus under its own name: "VVD", "VVD Gennep".
    SameFamily,
    /// One campaign's name words within the other's.
    PartOfName,
    /// Campaigns that share only a surname.
    SameSurname,
}

impl LinkKind {
    /// All kinds, most reliable first.
    pub const ALL: [LinkKind; 5] = [
        LinkKind::SameName,
        LinkKind::SamePerson,
        LinkKind::SameFamily,
        LinkKind::PartOfName,
        LinkKind::SameSurname,
    ];
    /// What it says, in words.
    pub fn words(self) -> &'static str {
        match self {
            LinkKind::SameName => "same normalised name",
            LinkKind::SamePerson => "campaigns of the same full name",
            LinkKind::SameFamily => "branches of one organisation",
            LinkKind::PartOfName => "one name within the other",
            LinkKind::SameSurname => "same surname only",
        }
    }
}

/// Words that make a name a campaign's; taken away they leave the person's name.
const CAMPAIGN: [&str; 52] = [
    "for",
    "of",
    "the",
    "us",
    "u",
    "s",
    "senate",
    "congress",
    "house",
    "representatives",
    "representative",
    "rep",
    "sen",
    "senator",
    "congressman",
    "congresswoman",
    "committee",
    "campaign",
    "friends",
    "citizens",
    "elect",
    "re",
    "reelect",
    "team",
    "vote",
    "volunteers",
    "people",
    "to",
    "exploratory",
    "governor",
    "gov",
    "president",
    "mayor",
    "attorney",
    "general",
    "judge",
    "dr",
    "mr",
    "mrs",
    "ms",
    "jr",
    "sr",
    "ii",
    "iii",
    "and",
    "in",
    "a",
    "county",
    "state",
    "assembly",
    "america",
    "federal",
];
/// Of these, the ones whose presence says that a name is a campaign's.
const MARKERS: [&str; 20] = [
    "for",
    "senate",
    "congress",
    "house",
    "representatives",
    "rep",
    "sen",
    "senator",
    "congressman",
    "congresswoman",
    "friends",
    "elect",
    "reelect",
    "team",
    "governor",
    "president",
    "mayor",
    "exploratory",
    "campaign",
    "citizens",
];
/// Words of organisations: a name with one of them is not a person's campaign.
const ORGANISATION: [&str; 44] = [
    "party",
    "democratic",
    "democrats",
    "republican",
    "republicans",
    "gop",
    "pac",
    "action",
    "fund",
    "union",
    "association",
    "institute",
    "foundation",
    "council",
    "alliance",
    "coalition",
    "league",
    "project",
    "network",
    "center",
    "centre",
    "victory",
    "caucus",
    "conference",
    "majority",
    "rights",
    "education",
    "teachers",
    "families",
    "workers",
    "voters",
    "veterans",
    "patriots",
    "freedom",
    "future",
    "policy",
    "progress",
    "american",
    "americans",
    "national",
    "conservative",
    "conservatives",
    "club",
    "society",
];
const STATES: [&str; 62] = [
    "alabama",
    "alaska",
    "arizona",
    "arkansas",
    "california",
    "colorado",
    "connecticut",
    "delaware",
    "florida",
    "georgia",
    "hawaii",
    "idaho",
    "illinois",
    "indiana",
    "iowa",
    "kansas",
    "kentucky",
    "louisiana",
    "maine",
    "maryland",
    "massachusetts",
    "michigan",
    "minnesota",
    "mississippi",
    "missouri",
    "montana",
    "nebraska",
    "nevada",
    "ohio",
    "oklahoma",
    "oregon",
    "pennsylvania",
    "tennessee",
    "texas",
    "utah",
    "vermont",
    "virginia",
    "washington",
    "wisconsin",
    "wyoming",
    "north",
    "south",
    "west",
    "new",
    "carolina",
    "dakota",
    "york",
    "jersey",
    "mexico",
    "hampshire",
    "rhode",
    "island",
    "nc",
    "nh",
    "ny",
    "nj",
    "az",
    "tx",
    "ca",
    "texans",
    "nevadans",
    "ohioans",
];
/// Words that open the names of bodies of every kind and so make no family.
const GENERIC: [&str; 27] = [
    "provincie",
    "gemeente",
    "stichting",
    "vereniging",
    "partij",
    "lokaal",
    "stadsdeel",
    "waterschap",
    "dorp",
    "stad",
    "gemeentebelangen",
    "party",
    "committee",
    "friends",
    "partei",
    "parti",
    "partido",
    "stadt",
    "ville",
    "city",
    "county",
    "leefbaar",
    "forum",
    "team",
    "us",
    "usa",
    "gop",
];
const SMALL_WORDS: [&str; 18] = [
    "de", "het", "en", "van", "voor", "of", "the", "for", "and", "der", "die", "das", "du", "la", "le", "el",
    "y", "op",
];

/// A name taken apart.
#[derive(Clone, Debug)]
pub struct Name {
    /// Normalised.
    pub key: String,
    words: Vec<String>,
    /// Name words of a campaign, sorted; empty when it is none.
    person: Vec<String>,
    /// Words written as a sign (VVD, PvdA, D66) beside ordinary ones, or in brackets at the end.
    signs: Vec<String>,
}

impl Name {
    /// Takes a name apart.
    pub fn new(text: &str) -> Name {
        let key = text::name_key(text);
        let words: Vec<String> = key.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let has = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
        let mut person = Vec::new();
        if has(&MARKERS) && !has(&ORGANISATION) {
            let is_name =
                |w: &&String| w.len() > 1 && !CAMPAIGN.contains(&w.as_str()) && !STATES.contains(&w.as_str());
            person = words.iter().filter(is_name).cloned().collect();
            person.sort();
            person.dedup();
        }
        Name { key, words, person, signs: signs(text) }
    }
}

/// Words with several capitals, or capitals and digits, in a text that is not all capitals.
fn signs(text: &str) -> Vec<String> {
    let words = || text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 1);
    let has_ordinary = words().any(|w| w.chars().skip(1).all(char::is_lowercase));
    if !has_ordinary {
        return Vec::new();
    }
    let is_sign = |w: &&str| {
        let capitals = w.chars().filter(|c| c.is_uppercase()).count();
        let digits = w.chars().filter(char::is_ascii_digit).count();
        capitals >= 2 || (capitals >= 1 && digits >= 1)
    };
    words().filter(is_sign).map(text::plain).collect()
}

/// What the whole set of names tells about its words.
#[derive(Debug, Default)]
pub struct Corpus {
    families: HashSet<String>,
    persons: HashMap<String, u32>,
}

/// A word opens a family when so many names begin with it.
const FAMILY_MIN: u32 = 3;

impl Corpus {
    /// Reads every name once.
    pub fn new<'a>(names: impl Iterator<Item = &'a Name> + Clone) -> Corpus {
        let mut first: HashMap<&str, u32> = HashMap::new();
        let mut any: HashMap<&str, u32> = HashMap::new();
        let mut alone: HashSet<&str> = HashSet::new();
        let mut signed: HashMap<&str, u32> = HashMap::new();
        let mut corpus = Corpus::default();
        for name in names {
            let Some(head) = name.words.first() else { continue };
            *first.entry(head).or_default() += 1;
            let distinct: HashSet<&str> = name.words.iter().map(String::as_str).collect();
            distinct.into_iter().for_each(|w| *any.entry(w).or_default() += 1);
            if name.words.len() == 1 {
                alone.insert(head);
            }
            name.signs.iter().for_each(|w| *signed.entry(w).or_default() += 1);
            for word in &name.person {
                *corpus.persons.entry(word.clone()).or_default() += 1;
            }
        }
        for (word, count) in first {
            let is_plain = GENERIC.contains(&word)
                || SMALL_WORDS.contains(&word)
                || STATES.contains(&word)
                || CAMPAIGN.contains(&word);
            let mostly_first = count * 10 >= any[word] * 6;
            let is_sign = signed.get(word).is_some_and(|n| n * 2 >= any[word]);
            if count >= FAMILY_MIN
                && (alone.contains(word) || is_sign)
                && mostly_first
                && !is_plain
                && word.len() > 1
            {
                corpus.families.insert(word.to_owned());
            }
        }
        corpus
    }

    /// The one family a name belongs to; none when it names two.
    pub fn family<'n>(&self, name: &'n Name) -> Option<&'n str> {
        let mut found: Vec<&str> =
            name.words.iter().map(String::as_str).filter(|w| self.families.contains(*w)).collect();
        found.dedup();
        match found.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// In which way two names are alike and how strongly; the strongest way counts.
    pub fn compare(&self, a: &Name, b: &Name) -> Option<(LinkKind, u32)> {
        if a.key == b.key && !a.key.is_empty() {
            return Some((LinkKind::SameName, if a.words.len() > 1 { 1000 } else { 960 }));
        }
        if let (Some(x), Some(y)) = (self.family(a), self.family(b))
            && x == y
        {
            let opens = u32::from(a.words[0] == x) + u32::from(b.words[0] == x);
            return Some((LinkKind::SameFamily, 900 + opens * 25));
        }
        if a.person.is_empty() || b.person.is_empty() {
            return None;
        }
        let (short, long) = if a.person.len() <= b.person.len() { (a, b) } else { (b, a) };
        let is_within = short.person.iter().all(|w| long.person.contains(w));
        if !is_within {
            return None;
        }
        let rarest =
            short.person.iter().map(|w| self.persons.get(w).copied().unwrap_or(1)).min().unwrap_or(1);
        let rarity = 40u32.saturating_sub(4 * rarest.saturating_sub(2).min(10));
        Some(match (short.person.len(), long.person.len()) {
            (n, m) if n == m && n >= 2 => (LinkKind::SamePerson, 880 + rarity),
            (n, _) if n >= 2 => (LinkKind::PartOfName, 760 + rarity),
            (_, 1) => (LinkKind::SameSurname, 440 + rarity),
            _ => (LinkKind::SameSurname, 500 + rarity),
        })
    }
}

/// Pairs of names worth comparing: those that share a key, a family or a name word of a campaign.
/// Words shared by more than `block_max` names are left out, which bounds the work.
pub fn candidate_pairs(names: &[Name], corpus: &Corpus, block_max: usize) -> Vec<(usize, usize)> {
    let mut blocks: HashMap<(u8, &str), Vec<usize>> = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if !name.key.is_empty() {
            blocks.entry((0, &name.key)).or_default().push(index);
        }
        if let Some(family) = corpus.family(name) {
            blocks.entry((1, family)).or_default().push(index);
        }
        for word in &name.person {
            blocks.entry((2, word)).or_default().push(index);
        }
    }
    let mut pairs = Vec::new();
    for list in blocks.values().filter(|l| l.len() <= block_max) {
        for (at, a) in list.iter().enumerate() {
            pairs.extend(list[at + 1..].iter().map(|b| (*a.min(b), *a.max(b))));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_being_alike() {
        let texts = [
            "VVD",
            "VVD Gennep",
            "VVD Drenthe",
            "Alkmaarse VVD",
            "Jane Q. Doe for Congress",
            "Friends of Jane Doe",
            "DOE FOR OHIO",
            "Doe Democratic Party",
            "Jane Q. Doe for Congress, Inc.",
            "CDA",
            "CDA Urk",
            "CDA Ommen",
            "VVD CDA Samen",
        ];
        let names: Vec<Name> = texts.iter().map(|t| Name::new(t)).collect();
        let corpus = Corpus::new(names.iter());
        let kind = |a: usize, b: usize| corpus.compare(&names[a], &names[b]).map(|k| k.0);
        assert_eq!(kind(0, 1), Some(LinkKind::SameFamily));
        assert_eq!(kind(1, 3), Some(LinkKind::SameFamily));
        assert_eq!(kind(4, 5), Some(LinkKind::SamePerson));
        assert_eq!(kind(4, 8), Some(LinkKind::SameName));
        assert_eq!(kind(4, 6), Some(LinkKind::SameSurname));
        assert_eq!(kind(6, 7), None);
        assert_eq!(kind(1, 10), None);
        assert_eq!(kind(1, 12), None);
        let pairs = candidate_pairs(&names, &corpus, 100);
        assert!(pairs.contains(&(0, 3)) && !pairs.contains(&(0, 9)));
    }
}
