//! Every dependency was chosen: a line in docs/DEPENDENCIES.md for each of the workspace's, and no
//! line, and no entry, for one that nobody uses.

use crate::metadata::Package;
use toml::{Table, Value};

/// Checks the manifest against the document and the crates.
pub fn check(manifest: &str, document: &str, members: &[Package]) -> Vec<String> {
    let table: Table = match manifest.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("Cargo.toml: {error}")],
    };
    let listed = table.get("workspace").and_then(|w| w.get("dependencies")).and_then(Value::as_table);
    let foreign: Vec<&String> = listed
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, _)| name)
        .collect();
    let described: Vec<&str> = document.lines().filter_map(first_cell).collect();
    let mut faults = Vec::new();
    for name in &foreign {
        if !described.contains(&name.as_str()) {
            faults.push(format!("Cargo.toml: {name} has no line in docs/DEPENDENCIES.md"));
        }
        if !members.iter().any(|m| m.dependencies.iter().any(|d| d.name == **name)) {
            faults.push(format!("Cargo.toml: no crate uses {name}"));
        }
    }
    for name in &described {
        if !foreign.iter().any(|f| f == name) {
            faults.push(format!("docs/DEPENDENCIES.md: {name} is not in the workspace's Cargo.toml"));
        }
    }
    for (index, name) in described.iter().enumerate() {
        if described[..index].contains(name) {
            faults.push(format!("docs/DEPENDENCIES.md: {name} stands there twice"));
        }
    }
    for member in members {
        for dependency in &member.dependencies {
            let known = listed.is_some_and(|l| l.contains_key(&dependency.name));
            if !known {
                let (crate_name, name) = (&member.name, &dependency.name);
                faults.push(format!("{crate_name}: {name} is not among the workspace's dependencies"));
            }
        }
    }
    faults
}

/// The name in the first cell of a table's row: `` | `name` | ``.
fn first_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.split('|').next()?.trim();
    cell.strip_prefix('`')?.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::metadata::{Dependency, Package};

    #[test]
    fn manifest_document_and_crates_agree() {
        let manifest =
            "[workspace.dependencies]\nown = { path = \"crates/own\" }\nserde = \"1\"\nurl = \"2\"\n";
        let member = |names: &[&str]| Package {
            name: "own".into(),
            version: "0.1.0".into(),
            licence: None,
            member: true,
            dir: "crates/own".into(),
            dependencies: names
                .iter()
                .map(|n| Dependency { name: (*n).into(), dev: false, features: Vec::new() })
                .collect(),
            features: Vec::new(),
            active_features: Vec::new(),
        };
        let both = "| crate | for |\n|---|---|\n| `serde` | a |\n| `url` | b |\n";
        assert_eq!(check(manifest, both, &[member(&["serde", "url"])]), Vec::<String>::new());
        assert_eq!(check(manifest, "| `serde` | a |", &[member(&["serde", "url"])]).len(), 1);
        assert_eq!(check(manifest, &format!("{both}| `rand` | c |"), &[member(&["serde", "url"])]).len(), 1);
        assert_eq!(check(manifest, &format!("{both}| `url` | c |"), &[member(&["serde", "url"])]).len(), 1);
        assert_eq!(check(manifest, both, &[member(&["serde"])]).len(), 1);
        assert_eq!(check(manifest, both, &[member(&["serde", "url", "rand"])]).len(), 1);
    }
}
