//! Rules for documents: links lead somewhere, no word of one machine or workplace, bounded length,
//! decisions numbered without gaps.

use super::{at, files::File};

/// Paths and hosts that mean something on one machine only. Split, so that this file passes.
const WORDS: [&str; 9] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/bash"),
    concat!("crates", ".io"),
    concat!("registry", ".npmjs"),
    concat!("py", "pi.org"),
    concat!("arti", "factory"),
    concat!("\"resol", "ved\":"),
];
/// Written by cargo, with the registry's name in it.
const WRITTEN_BY_TOOLS: [&str; 3] = ["Cargo.lock", "fuzz/Cargo.lock", "tools/peers/Cargo.lock"];
/// Its data folder lies beside the clone on the build server, and nowhere else.
const BESIDE: &str = concat!("../sha", "red");
const BUILD_SERVER: &str = ".ci/run";
/// The map stays readable in one sitting.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Checks one file for words of one machine.
pub fn check_words(file: &File) -> Vec<String> {
    if WRITTEN_BY_TOOLS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for word in WORDS.iter().filter(|word| line.contains(**word)) {
            faults.push(at(file, index, &format!("{word} means something on one machine only")));
        }
        if line.contains(BESIDE) && file.path != BUILD_SERVER {
            faults.push(at(file, index, "names a folder outside the project"));
        }
    }
    faults
}

/// Checks that links of documents, and documents named in sources, exist.
pub fn check_links(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let mut in_code = false;
        for (index, line) in file.text.lines().enumerate() {
            if file.extension() == "rs" && file.path.starts_with("crates/") {
                for name in documents_named(line).filter(|name| !exists(name)) {
                    faults.push(at(file, index, &format!("{name} does not exist")));
                }
            }
            if file.extension() != "md" {
                continue;
            }
            in_code ^= line.trim_start().starts_with("```");
            for link in links(line).filter(|_| !in_code) {
                if let Some(why) = broken(file, link, files, exists) {
                    faults.push(at(file, index, &why));
                }
            }
        }
    }
    faults
}

/// Checks bounds: the map's length, the numbers of decisions.
pub fn check_limits(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|f| f.path == "ARCHITECTURE.md") {
        let count = file.text.lines().count();
        if count > ARCHITECTURE_LINES_MAX {
            faults.push(format!("ARCHITECTURE.md: {count} lines, at most {ARCHITECTURE_LINES_MAX}"));
        }
    }
    let decisions = files.iter().filter_map(|f| f.path.strip_prefix("docs/adr/"));
    for (index, name) in decisions.enumerate() {
        if !name.starts_with(&format!("{:04}-", index + 1)) {
            faults.push(format!("docs/adr/{name}: the next number is {:04}", index + 1));
        }
    }
    faults
}

/// `docs/NAME.md` in a comment or text of a source file.
fn documents_named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("docs/").filter_map(move |(at, _)| {
        let rest = &line[at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/_-.".contains(c))).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('.');
        let apart = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '/');
        (apart && name.ends_with(".md")).then_some(name)
    })
}

/// Targets of `[text](target)` in a line, code spans left out.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(move |(at, _)| {
        let inside_code = line[..at].matches('`').count() % 2 == 1;
        let rest = &line[at + 2..];
        let end = rest.find(')')?;
        (!inside_code).then_some(&rest[..end])
    })
}

fn broken(file: &File, link: &str, files: &[File], exists: &dyn Fn(&str) -> bool) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = if target.is_empty() { file.path.clone() } else { resolve(&file.path, target) };
    if !exists(&path) {
        return Some(format!("the link to {link} leads nowhere"));
    }
    let to = files.iter().find(|f| f.path == path && f.extension() == "md")?;
    let known = anchor.is_empty() || to.text.lines().filter_map(slug).any(|slug| slug == anchor);
    (!known).then(|| format!("{path} has no heading #{anchor}"))
}

/// A relative path from a file's folder, without `.` and `..`.
fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor of a heading, as common Markdown viewers make it.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let letters = heading.trim().to_lowercase();
    let kept = letters.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::{File, check_limits, check_links, check_words};

    #[test]
    fn words_of_one_machine_are_seen() {
        let count = |path: &str, text: &str| check_words(&File::of(path, text)).len();
        assert_eq!(count("README.md", "a word of work and home"), 0);
        assert_eq!(count("README.md", concat!("see /wo", "rk/main")), 1);
        assert_eq!(count("a.json", concat!("{\"resol", "ved\": 1}")), 1);
        assert_eq!(count("Cargo.lock", concat!("crates", ".io")), 0);
        assert_eq!(count("a.sh", concat!("../sha", "red/data")), 1);
        assert_eq!(count(".ci/run", concat!("../sha", "red/data")), 0);
    }

    #[test]
    fn links_lead_somewhere() {
        let check = |text: &str| {
            let files = [File::of("docs/A.md", text), File::of("docs/B.md", "# One, two\n")];
            check_links(&files, &|path| ["docs/A.md", "docs/B.md", "README.md"].contains(&path)).len()
        };
        assert_eq!(check("[b](B.md) [r](../README.md) [x](https://example.org) [o](B.md#one-two)"), 0);
        assert_eq!(check("[c](C.md)"), 1);
        assert_eq!(check("[b](B.md#three)"), 1);
        assert_eq!(check("`[c](C.md)`\n```\n[c](C.md)\n```"), 0);
    }

    #[test]
    fn documents_named_in_sources_exist() {
        let source = File::of("crates/a/src/a.rs", "//! See docs/EVENTS.md, and docs/NONE.md.");
        let faults = check_links(&[source], &|path| path == "docs/EVENTS.md");
        assert_eq!(faults, ["crates/a/src/a.rs:1: docs/NONE.md does not exist"]);
    }

    #[test]
    fn decisions_are_numbered_without_gaps() {
        let file = |name: &str| File::of(&format!("docs/adr/{name}"), "");
        assert_eq!(check_limits(&[file("0001-a.md"), file("0002-b.md")]).len(), 0);
        assert_eq!(check_limits(&[file("0001-a.md"), file("0003-b.md")]).len(), 1);
        assert_eq!(check_limits(&[File::of("ARCHITECTURE.md", &"\n".repeat(301))]).len(), 1);
    }
}
