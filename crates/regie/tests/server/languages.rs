//! English and French: no key missing, none unused, the same values in both, and no English sentence on a French page.

use crate::common::Client;
use crate::shown::Stage;
use regie::i18n::{AREAS, ids};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Keys that the sources name: `t!("...")`, `th!("...", ...)`, `k!("...")`.
fn used() -> BTreeMap<String, PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut found) = (Vec::new(), BTreeMap::new());
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // The documentation of the macros names examples.
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        let text = lines.join("\n");
        for call in ["t!(", "th!(", "k!("] {
            for (at, _) in text.match_indices(call) {
                let before = text[..at].chars().next_back();
                let rest = text[at + call.len()..].trim_start();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || !rest.starts_with('"') {
                    continue;
                }
                let key = rest[1..].split('"').next().unwrap();
                found.insert(key.to_owned(), file.clone());
            }
        }
    }
    found
}

fn values(message: &str) -> BTreeSet<String> {
    let names = message.split('$').skip(1);
    names.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}
/// Messages of a source, by key; a message may go on over indented lines.
fn messages(source: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in source.lines() {
        if let [id] = ids(line).as_slice() {
            last.clone_from(id);
            all.insert(id.clone(), line.split_once('=').unwrap().1.trim().to_owned());
        } else if line.starts_with(' ') {
            let message = all.get_mut(&last).unwrap();
            message.push('\n');
            message.push_str(line);
        }
    }
    all
}

#[test]
fn every_key_is_in_both_languages_with_the_same_values_once() {
    let mut seen = BTreeSet::new();
    for (area, en, fr) in AREAS {
        let (english, french) = (messages(en), messages(fr));
        assert_eq!(ids(en).len(), english.len(), "{area}: a key stands twice in English");
        assert_eq!(ids(fr).len(), french.len(), "{area}: a key stands twice in French");
        let missing: Vec<_> = english.keys().filter(|k| !french.contains_key(*k)).collect();
        let stray: Vec<_> = french.keys().filter(|k| !english.contains_key(*k)).collect();
        assert!(
            missing.is_empty() && stray.is_empty(),
            "{area}: not in French {missing:?}, only there {stray:?}"
        );
        for (key, message) in &english {
            assert_eq!(values(message), values(&french[key]), "{key}");
            assert!(seen.insert(key.clone()), "{key} stands in two areas");
        }
    }
}

#[test]
fn every_listed_file_is_there_and_none_besides() {
    for language in ["en", "fr"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales").join(language);
        let files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let listed: BTreeSet<String> = AREAS.iter().map(|(area, ..)| (*area).to_owned()).collect();
        assert_eq!(files, listed, "locales/{language}");
    }
}

#[test]
fn no_key_is_missing_and_none_is_unused() {
    let used = used();
    let known: BTreeSet<String> = AREAS.iter().flat_map(|(_, en, _)| ids(en)).collect();
    let missing: Vec<_> = used.iter().filter(|(k, _)| !known.contains(*k)).collect();
    assert!(missing.is_empty(), "no such message: {missing:?}");
    // Messages of the rooms are found by their text, not by their key.
    let unused: Vec<_> = known
        .iter()
        .filter(|k| !k.starts_with("room-") && !k.starts_with("answer-") && !used.contains_key(*k))
        .collect();
    assert!(unused.is_empty(), "nothing says these: {unused:?}");
}

/// What people read of a page: texts and the attributes that are read out, without what the guests wrote.
pub(crate) fn readable(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    let mut code = 0usize;
    while let Some((text, after)) = rest.split_once('<') {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !words.is_empty() && code == 0 {
            found.push(words);
        }
        let Some((tag, next)) = after.split_once('>') else { break };
        for name in ["code", "pre", "textarea"] {
            if tag == name || tag.starts_with(&format!("{name} ")) {
                code += 1;
            } else if tag == format!("/{name}") {
                code = code.saturating_sub(1);
            }
        }
        for attribute in ["title=\"", "aria-label=\"", "placeholder=\"", "alt=\"", "data-confirm=\""] {
            if let Some((_, value)) = tag.split_once(attribute) {
                found.push(value.split('"').next().unwrap_or_default().to_owned());
            }
        }
        rest = next;
    }
    found
}

/// Words that English sentences cannot do without and French ones do not have.
const ENGLISH: [&str; 30] = [
    "the", "of", "and", "is", "are", "was", "to", "with", "for", "by", "from", "it", "its", "this", "that",
    "not", "no", "yet", "what", "who", "when", "your", "you", "has", "have", "be", "or", "an", "at", "each",
];

pub(crate) fn is_english(text: &str, english: &BTreeSet<String>) -> bool {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic() && c != '\u{2019}' && c != '\'')
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    let hits = words.iter().filter(|w| ENGLISH.contains(&w.as_str())).count();
    // Names that only look like English.
    !["Who Targets Me", "utf-16be"].contains(&text)
        && (hits >= 2 || hits == 1 && words.len() <= 4 || english.contains(text))
}

/// Messages that read otherwise in French, as they stand in English.
pub(crate) fn only_english() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut french_words = BTreeSet::new();
    for (_, en, fr) in AREAS {
        let (english, french) = (messages(en), messages(fr));
        french_words.extend(french.values().cloned());
        found
            .extend(english.into_iter().filter(|(k, m)| french[k] != *m && !m.contains('{')).map(|(_, m)| m));
    }
    found.retain(|m| !french_words.contains(m));

    found
}

fn links(html: &str) -> Vec<String> {
    let hrefs = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    hrefs
        .filter(|h| h.starts_with("/record") || h.starts_with("/console"))
        .map(|h| h.split('#').next().unwrap_or_default().replace("&amp;", "&"))
        .collect()
}

/// Follows every link from `start` on and gives what is English on each page.
fn crawl(
    client: &Client,
    starts: &[&str],
    english: &BTreeSet<String>,
) -> (usize, BTreeMap<String, BTreeSet<String>>) {
    const PAGES_MAX: usize = 150;
    let (mut open, mut seen): (Vec<String>, BTreeSet<String>) =
        (starts.iter().map(|s| (*s).to_owned()).collect(), BTreeSet::new());
    let (mut count, mut found) = (0, BTreeMap::new());
    while let Some(path) = open.pop() {
        // A page with another question is the same page.
        let shape = path.split('?').next().unwrap_or_default().to_owned()
            + if path.contains("kind=") { &path } else { "" };
        if count >= PAGES_MAX || !seen.insert(shape) || path.contains("sign-out") {
            continue;
        }
        let reply = client.get(&path);
        if reply.status != 200 || !reply.header("content-type").starts_with("text/html") {
            continue;
        }
        let html = reply.text();
        if html.contains("sandbox=\"\"></iframe></body>") || path.ends_with("/frame") {
            continue;
        }
        count += 1;
        assert!(html.contains("<html lang=\"fr\">"), "{path}");
        assert_eq!(reply.header("content-language"), "fr", "{path}");
        open.extend(links(&html));
        let texts: BTreeSet<String> =
            readable(&html).into_iter().filter(|t| is_english(t, english)).collect();
        if !texts.is_empty() {
            found.insert(path, texts);
        }
    }
    (count, found)
}

#[test]
fn french_pages_have_no_english_sentence() {
    let stage = Stage::open_named("Vélos du Midi", "Printemps", "Toutes les pages", "Bicyclettes");
    stage.show(3);
    let english = only_english();
    let owner = stage.harness.owner().with("accept-language", "fr-FR,fr;q=0.9,en;q=0.5");
    // A draft of a booking, faulty, so that its pages have something to say.
    let draft = owner.form("/console/book", &[]).expect(303).header("location").replace("/goal", "");
    owner
        .form(&format!("{draft}/goal"), &[("go", "leave"), ("name", "Automne"), ("political", "on")])
        .expect(303);
    let (count, mut found) = crawl(&owner, &["/console", "/record", "/console/account"], &english);
    let reader = stage.harness.anonymous().with("accept-language", "fr");
    let (read, more) = crawl(&reader, &["/record", "/console/sign-in"], &english);
    found.extend(more);
    assert!(count > 40 && read > 6, "the crawl saw {count} and {read} pages");
    let told: Vec<String> = found.iter().map(|(p, t)| format!("{p}: {t:?}")).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// The literal sentence that a source hands to one of these calls, with each value as `7`.
fn sentences(source: &str, call: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in source.split(call).skip(1) {
        let piece = piece.trim_start().trim_start_matches('&').trim_start_matches("format!(");
        let Some(rest) = piece.trim_start().strip_prefix('"') else { continue };
        let mut text = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => text.extend(chars.next()),
                '{' => {
                    chars.by_ref().find(|c| *c == '}');
                    text.push('7');
                }
                c => text.push(c),
            }
        }
        found.push(text);
    }
    found
}

#[test]
fn every_refusal_is_said_in_french() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    // What is for programs alone: parts of a path or body that a person never types.
    const FOR_PROGRAMS: [&str; 1] = ["The body is 7."];
    let mut silent = BTreeSet::new();
    let mut seen = 0;
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for call in ["Problem::bad_request(", "Problem::not_found(", "Problem::forbidden("] {
            for text in sentences(&source, call) {
                seen += 1;
                if !regie::i18n::rooms::known(&text) && !FOR_PROGRAMS.contains(&text.as_str()) {
                    silent.insert(text);
                }
            }
        }
    }
    assert!(seen > 60, "only {seen} refusals were found; the test looks at the wrong sources");
    assert!(silent.is_empty(), "give each a message in locales/*/rooms.ftl: {silent:#?}");
}

/// A text of the page itself that reads the same in both languages, and is long enough to be a sentence.
#[test]
fn no_sentence_reads_the_same_in_both_languages() {
    let stage = Stage::open_named("V\u{e9}los", "Printemps", "Partout", "Bicyclettes");
    stage.show(2);
    let owner = stage.harness.owner();
    let words = |text: &str| {
        text.split_whitespace().filter(|w| w.chars().filter(|c| c.is_alphabetic()).count() > 2).count()
    };
    let mut told = BTreeSet::new();
    let shop = &stage.shop;
    for path in [
        "/console".to_owned(),
        "/console/inventory".into(),
        format!("/console/sites/{}", stage.site),
        "/console/review".into(),
        "/console/delivery".into(),
        "/console/complaints".into(),
        "/console/settings".into(),
        "/console/users".into(),
        "/console/tokens".into(),
        "/console/history".into(),
        "/console/campaigns".into(),
        format!("/console/campaigns/{}", shop.campaign),
        format!("/console/campaigns/{}/edit", shop.campaign),
        format!("/console/campaigns/{}/results", shop.campaign),
        format!("/console/ad-sets/{}/edit", shop.ad_set),
        format!("/console/ads/{}", shop.ad),
        "/console/bulk".into(),
        "/console/book".into(),
        "/console/downloads".into(),
        "/console/health".into(),
        "/console/stops".into(),
        "/console/elections".into(),
        "/console/groupings".into(),
        "/console/study/ask".into(),
        "/console/design".into(),
        "/record".into(),
        "/record/data".into(),
        format!("/record/ads/{}", shop.ad),
    ] {
        let of = |language: &str| -> BTreeSet<String> {
            readable(&owner.clone().with("accept-language", language).get(&path).expect(200).text())
                .into_iter()
                .collect()
        };
        let (english, french) = (of("en"), of("fr"));
        told.extend(english.intersection(&french).filter(|t| words(t) >= 3).map(|t| format!("{path}: {t}")));
    }
    assert!(told.is_empty(), "{}", told.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_choice_is_kept_and_leads_back() {
    let stage = Stage::open();
    let reader = stage.harness.anonymous();
    let reply = reader.get("/language?to=fr&back=%2Frecord%2Fdata").expect(303);
    assert_eq!(reply.header("location"), "/record/data");
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(cookie, "regie_language=fr");
    let page = reader.clone().with("cookie", &cookie).get("/record/data").expect(200).text();
    assert!(page.contains("<html lang=\"fr\">"));
    let outside = reader.get("/language?to=fr&back=%2F%2Felsewhere.example").expect(303);
    assert_eq!(outside.header("location"), "/record");
    // Nobody gets a cookie who does not choose.
    assert_eq!(reader.get("/record").header("set-cookie"), "");
}
