//! No machine-made secrets in the tree: keys, tokens, databases of secrets. Refuses to print one.

use super::{at, files::File};

/// What well-known secrets look like. Split, so that this file does not contain them.
const MARKS: [&str; 6] = [
    concat!("-----BEGIN ", "PRIVATE KEY"),
    concat!("-----BEGIN RSA ", "PRIVATE KEY"),
    concat!("-----BEGIN EC ", "PRIVATE KEY"),
    concat!("-----BEGIN OPENSSH ", "PRIVATE KEY"),
    concat!("gh", "p_"),
    concat!("AK", "IA"),
];
const NAMES: [&str; 5] = ["pem", "key", "p12", "pfx", "env"];

/// Checks one file.
pub fn check(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    if NAMES.contains(&file.extension()) {
        faults.push(format!("{}: a file of this kind holds secrets", file.path));
    }
    for (index, line) in file.text.lines().enumerate() {
        if MARKS.iter().any(|mark| has_secret(line, mark)) || has_web_token(line) {
            faults.push(at(file, index, "looks like a secret"));
        }
    }
    faults
}

/// A mark that stands for itself, or is followed by at least 16 letters and digits.
fn has_secret(line: &str, mark: &str) -> bool {
    let long = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).count() >= 16;
    line.match_indices(mark).any(|(at, _)| mark.starts_with('-') || long(&line[at + mark.len()..]))
}

/// A JSON web token: two parts in base64url that begin with `{"`.
fn has_web_token(line: &str) -> bool {
    let mark = concat!("ey", "J");
    line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .any(|word| word.len() > 40 && word.starts_with(mark) && word.contains(&format!(".{mark}")))
}

#[cfg(test)]
mod tests {
    use super::{File, check};

    fn count(path: &str, text: &str) -> usize {
        check(&File::of(path, text)).len()
    }

    #[test]
    fn secrets_are_seen_by_name_and_by_content() {
        assert_eq!(count("docs/a.md", "plain words, a key, a token"), 0);
        assert_eq!(count("a/server.pem", ""), 1);
        assert_eq!(count("a.rs", concat!("-----BEGIN ", "PRIVATE KEY-----")), 1);
        assert_eq!(count("a.rs", concat!("\"AK", "IA0123456789ABCDEF\"")), 1);
        assert_eq!(count("a.rs", concat!("AK", "IA is a prefix")), 0);
        let token = format!("{0}hbGciOiJFZERTQSJ9.{0}zdWIiOiIxMjM0NTY3ODkwIn0.c2ln", concat!("ey", "J"));
        assert_eq!(count("a.rs", &token), 1);
    }
}
