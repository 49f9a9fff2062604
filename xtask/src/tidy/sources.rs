//! Rules for source files: a header, a bound on length, no leftovers, no addresses that a page
//! would load from elsewhere.

use super::{at, files::File};

/// The longest source file, in lines, that needs no reason.
pub const LINES_MAX: usize = 600;
/// Words that say "not done". Split, so that this file does not contain them.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("db", "g!")];
/// What a page would load code, fonts or styles from.
const CONTENT_NETWORKS: [&str; 6] =
    ["unpkg.com", "jsdelivr.net", "googleapis.com", "gstatic.com", "cloudflare.com", "googletagmanager.com"];
/// Hosts that an address in a page may name: this machine, and those reserved for examples.
const OWN_HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "www.w3.org"];
/// Endings of names reserved for examples and tests (RFC 2606, RFC 6761).
const RESERVED: [&str; 7] =
    [".example", ".test", ".invalid", ".localhost", "example.org", "example.com", "example.net"];

/// Checks one file.
pub fn check(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let extension = file.extension();
    let is_rust = extension == "rs";
    if is_rust && !file.text.starts_with("//!") {
        faults.push(at(file, 0, "a source file opens with //!: what it is, what it refuses"));
    }
    let is_script = ["js", "mjs", "css", "html"].contains(&extension);
    for (index, line) in file.text.lines().enumerate() {
        if is_rust || is_script || extension == "sh" {
            for word in LEFTOVERS.iter().filter(|word| has_word(line, word)) {
                faults.push(at(file, index, &format!("{word}: finish it, or say it in an issue")));
            }
        }
        let served = file.path.starts_with("crates/") && (is_script || is_rust);
        for host in hosts(line).filter(|host| served && is_network(host)) {
            faults.push(at(file, index, &format!("a page loads nothing from a content network: {host}")));
        }
        if served && is_script {
            for host in hosts(line).filter(|host| !is_own(host)) {
                faults.push(at(file, index, &format!("an asset names a foreign host: {host}")));
            }
        }
    }
    faults
}

/// Whether a line contains a word, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next()))
}

fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").map(move |(at, _)| {
        let rest = &line[at + 3..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "-._[]:$".contains(c))).unwrap_or(rest.len());
        rest[..end].trim_end_matches([':', '.'])
    })
}

fn is_network(host: &str) -> bool {
    !is_own(host) && (host.starts_with("cdn.") || CONTENT_NETWORKS.iter().any(|end| host.ends_with(end)))
}

fn is_own(host: &str) -> bool {
    let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let bare = bare.map_or(host, |(name, _)| name);
    let reserved = RESERVED.iter().any(|end| bare.ends_with(end));
    bare.is_empty() || bare.contains('$') || reserved || OWN_HOSTS.contains(&bare)
}

/// Checks lengths against the list of exceptions: `path: reason` on each line.
pub fn check_lengths(files: &[File], exceptions: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let listed: Vec<(&str, &str)> = exceptions
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .collect();
    for (path, reason) in &listed {
        if reason.trim().is_empty() {
            faults.push(format!("xtask/long-files.txt: {path} has no reason"));
        }
        if !files.iter().any(|f| f.path == *path && is_long(f)) {
            faults.push(format!("xtask/long-files.txt: {path} is no long file"));
        }
    }
    for file in files.iter().filter(|f| is_long(f) && !listed.iter().any(|(path, _)| *path == f.path)) {
        let count = file.text.lines().count();
        faults.push(format!("{}: {count} lines, at most {LINES_MAX}: split it by meaning", file.path));
    }
    faults
}

fn is_long(file: &File) -> bool {
    let source = (file.path.starts_with("crates/") && file.path.contains("/src/"))
        || file.path.starts_with("xtask/src/");
    source && file.extension() == "rs" && file.text.lines().count() > LINES_MAX
}

#[cfg(test)]
mod tests {
    use super::{File, LINES_MAX, check, check_lengths};

    fn count(path: &str, text: &str) -> usize {
        check(&File::of(path, text)).len()
    }

    #[test]
    fn headers_and_leftovers() {
        assert_eq!(count("crates/a/src/lib.rs", "//! A.\nfn a() {}"), 0);
        assert_eq!(count("crates/a/src/lib.rs", "fn a() {}"), 1);
        assert_eq!(count("crates/a/src/lib.rs", concat!("//! A.\n// TO", "DO: b")), 1);
        assert_eq!(count("crates/a/src/lib.rs", concat!("//! A.\nTO", "DOS")), 0);
        assert_eq!(count("crates/a/src/lib.rs", concat!("//! A.\ndb", "g!(1)")), 1);
        assert_eq!(count("crates/a/src/a.js", concat!("// FIX", "ME")), 1);
    }

    #[test]
    fn pages_load_nothing_from_elsewhere() {
        let page = "crates/a/assets/a.html";
        assert_eq!(
            count(page, "<a href=\"https://www.example.org/a\">http://localhost:80/ https://a.example"),
            0
        );
        assert_eq!(count(page, "<svg xmlns='http://www.w3.org/2000/svg'> fetch(`https://${host}/x`)"), 0);
        assert_eq!(count(page, "<script src=http://code.jquery.com/a.js>"), 1);
        assert_eq!(count("crates/a/src/page.rs", "//! A.\n\"https://cdn.site.org/a.js\""), 1);
        assert_eq!(count("crates/a/src/page.rs", "//! A.\n\"https://cdn.example/a.js\""), 0);
        assert_eq!(count("crates/a/src/page.rs", "//! A.\n// RFC at https://www.rfc-editor.org/"), 0);
    }

    #[test]
    fn long_files_need_a_reason() {
        let long = "x\n".repeat(LINES_MAX + 1);
        let files = [File::of("crates/a/src/a.rs", &long), File::of("crates/a/tests/a.rs", &long)];
        assert_eq!(check_lengths(&files, "").len(), 1);
        assert_eq!(check_lengths(&files, "# note\ncrates/a/src/a.rs: one table").len(), 0);
        assert_eq!(check_lengths(&files, "crates/a/src/a.rs: ").len(), 1);
        assert_eq!(check_lengths(&files[1..], "crates/a/src/a.rs: one table").len(), 1);
    }
}
