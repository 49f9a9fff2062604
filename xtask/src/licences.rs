//! The licence audit: every dependency against `licences.toml`. Refuses what is not listed there.

use crate::{metadata, spdx};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The rules of `licences.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Licence and why it is accepted.
    allow: BTreeMap<String, String>,
    /// Package, and the licence accepted for it alone.
    only: BTreeMap<String, String>,
    /// Package, and why it must not come in.
    deny: BTreeMap<String, String>,
}

/// Checks every dependency; returns the offenders.
///
/// # Errors
/// If cargo or `licences.toml` cannot be read.
pub fn run(root: &Path) -> Result<Vec<String>, String> {
    let file = root.join("licences.toml");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let rules = parse(&text)?;
    let packages = metadata::packages(root)?;
    let foreign: Vec<_> = packages.iter().filter(|p| !p.member).collect();
    println!("licences: {} dependencies", foreign.len());
    let mut faults = Vec::new();
    for package in &foreign {
        let licence = package.licence.as_deref();
        faults.extend(judge(&rules, &package.name, &package.version, licence));
    }
    let used = |name: &String| foreign.iter().any(|p| p.name == *name);
    for name in rules.only.keys().filter(|name| !used(name)) {
        faults.push(format!("licences.toml has an exception for {name}, which is no dependency"));
    }
    Ok(faults)
}

fn judge(rules: &Rules, name: &str, version: &str, licence: Option<&str>) -> Option<String> {
    if let Some(reason) = rules.deny.get(name) {
        return Some(format!("{name} {version} is denied: {reason}"));
    }
    let Some(licence) = licence else {
        return Some(format!("{name} {version} states no licence"));
    };
    let accepted =
        |id: &str| rules.allow.contains_key(id) || rules.only.get(name).is_some_and(|only| only == id);
    match spdx::satisfied(licence, &accepted) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name} {version}: \"{licence}\" is not accepted by licences.toml")),
        Err(why) => Some(format!("{name} {version}: \"{licence}\": {why}")),
    }
}

fn parse(text: &str) -> Result<Rules, String> {
    let table: Table = text.parse().map_err(|e| format!("licences.toml: {e}"))?;
    let mut rules = Rules::default();
    for (section, value) in &table {
        for entry in value.as_array().into_iter().flatten() {
            let word = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            let reason = word("reason").filter(|r| !r.trim().is_empty());
            let reason =
                reason.ok_or_else(|| format!("licences.toml: an entry of {section} has no reason"))?;
            match (section.as_str(), word("licence"), word("package")) {
                ("allow", Some(licence), None) => rules.allow.insert(licence, reason),
                ("only", Some(licence), Some(package)) => rules.only.insert(package, licence),
                ("deny", None, Some(package)) => rules.deny.insert(package, reason),
                _ => return Err(format!("licences.toml: cannot read an entry of {section}")),
            };
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::{judge, parse};

    #[test]
    fn only_listed_licences_pass() {
        let rules = parse(
            r#"
            allow = [{ licence = "MIT", reason = "permissive" }]
            only = [{ package = "files", licence = "MPL-2.0", reason = "used unchanged" }]
            deny = [{ package = "evil", reason = "a test" }]
            "#,
        )
        .unwrap();
        assert_eq!(judge(&rules, "a", "1.0.0", Some("MIT OR GPL-3.0")), None);
        assert_eq!(judge(&rules, "files", "1.0.0", Some("MPL-2.0")), None);
        for (name, licence) in [("a", Some("MPL-2.0")), ("a", None), ("evil", Some("MIT")), ("a", Some("("))]
        {
            assert!(judge(&rules, name, "1.0.0", licence).is_some(), "{name} {licence:?}");
        }
        assert!(parse(r#"allow = [{ licence = "MIT" }]"#).is_err());
    }
}
