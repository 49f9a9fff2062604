//! The rooms of ARCHITECTURE.md: which crate may use which, and that pure ones stay pure.
//!
//! The order is read from the block marked `rooms` in ARCHITECTURE.md, one line a crate, so that
//! the map and the check cannot part.

use super::{at, files::File};
use crate::metadata::{Package, TEST_FEATURES};

/// Crates without IO, a clock or randomness of their own.
const PURE: [&str; 7] = ["model", "decide", "learn", "ledger", "record", "protocols", "sim"];
/// Libraries that bring IO, a clock, randomness or a runtime.
const IMPURE_LIBRARIES: [&str; 17] = [
    "arc-swap",
    "async-nats",
    "axum",
    "clap",
    "getrandom",
    "hyper",
    "indicatif",
    "maud",
    "mimalloc",
    "object_store",
    "parquet",
    "rand",
    "reqwest",
    "rusqlite",
    "tokio",
    "tracing",
    "ureq",
];
/// What the sources of a pure crate may not name.
const IMPURE_NAMES: [&str; 14] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread::spawn",
    "thread::sleep",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "RandomState",
    "getrandom",
    "tokio::",
    "println!",
];
const PREFIX: &str = "regie-";

/// A crate's name without the project's prefix.
fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Checks that each crate uses only the rooms that the map allows it, and that pure ones use only
/// pure libraries.
pub fn check_graph(map: &str, members: &[Package]) -> Vec<String> {
    let order = order(map);
    if order.is_empty() {
        return vec!["ARCHITECTURE.md: there is no block marked `rooms`".into()];
    }
    let mut faults = Vec::new();
    for (room, _) in &order {
        if !members.iter().any(|m| short(&m.name) == room) {
            faults.push(format!("ARCHITECTURE.md: the rooms name {room}, which is no crate"));
        }
    }
    for member in members.iter().filter(|m| m.name != "xtask") {
        let room = short(&member.name);
        let Some(index) = order.iter().position(|(name, _)| name == room) else {
            faults.push(format!("{}: ARCHITECTURE.md's rooms do not name it", member.name));
            continue;
        };
        for dependency in &member.dependencies {
            let used = short(&dependency.name);
            let is_room = members.iter().any(|m| m.name == dependency.name);
            let allowed = dependency.dev || order[index].1.iter().any(|name| name == used);
            if is_room && !allowed {
                faults.push(format!("{}: may not use {used} (ARCHITECTURE.md, rooms)", member.name));
            }
            let test_only = dependency.features.iter().find(|f| TEST_FEATURES.contains(&f.as_str()));
            if let Some(feature) = test_only.filter(|_| !dependency.dev) {
                faults.push(format!("{}: may use {used}/{feature} in its tests only", member.name));
            }
            let impure = IMPURE_LIBRARIES.contains(&dependency.name.as_str());
            if PURE.contains(&room) && !dependency.dev && impure {
                faults.push(format!("{}: is pure and may not use {}", member.name, dependency.name));
            }
        }
    }
    for (index, (room, uses)) in order.iter().enumerate() {
        for used in uses.iter().filter(|used| !order[..index].iter().any(|(name, _)| name == *used)) {
            faults.push(format!("ARCHITECTURE.md: {room} uses {used}, which must stand above it"));
        }
    }
    faults.extend(circles(members));
    faults
}

/// The lines `room: used used` of the block marked `rooms`, lowest room first.
fn order(map: &str) -> Vec<(String, Vec<String>)> {
    let lines = map.lines().skip_while(|line| line.trim() != "```rooms").skip(1);
    let lines = lines.take_while(|line| line.trim() != "```");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    lines.filter_map(|l| l.split_once(':')).map(|(a, b)| (a.trim().to_owned(), words(b))).collect()
}

/// Circles among the crates, dependencies of tests included (cargo would allow those).
fn circles(members: &[Package]) -> Vec<String> {
    let mut left: Vec<&Package> = members.iter().collect();
    loop {
        let before = left.len();
        let names: Vec<String> = left.iter().map(|m| m.name.clone()).collect();
        // A crate may test itself with other features: that is no circle.
        left.retain(|m| m.dependencies.iter().any(|d| d.name != m.name && names.contains(&d.name)));
        if left.is_empty() {
            return Vec::new();
        }
        if left.len() == before {
            return vec![format!("the crates use each other in a circle: {}", names.join(", "))];
        }
    }
}

/// Checks that a pure crate's source names nothing that reads a clock, a disk or the network.
pub fn check_purity(file: &File) -> Vec<String> {
    let pure = PURE.iter().any(|room| file.path.starts_with(&format!("crates/{room}/src/")));
    if !pure || file.extension() != "rs" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for name in IMPURE_NAMES.iter().filter(|name| line.contains(**name)) {
            faults.push(at(file, index, &format!("a pure crate does not use {name}")));
        }
    }
    faults
}

/// Checks that time zones come from the data in the binary: the same journal must fold to the same
/// days on every machine, whatever zone files it has.
pub fn check_zone_data(packages: &[Package]) -> Vec<String> {
    let outside = ["tzdb-zoneinfo", "tzdb-concatenated", "tz-system"];
    let jiff = packages.iter().filter(|p| p.name == "jiff");
    jiff.flat_map(|p| p.active_features.iter())
        .filter(|feature| outside.contains(&feature.as_str()))
        .map(|feature| format!("jiff is built with {feature}: zone data would come from the machine"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{File, check_graph, check_purity, check_zone_data};
    use crate::metadata::{Dependency, Package};

    const MAP: &str = "# Map\n```rooms\nmodel:\njournal:\nledger: model\n```\n";

    fn package(name: &str, uses: &[&str]) -> Package {
        let dependency = |text: &&str| {
            let (name, feature) = text.split_once('/').unwrap_or((text, "default"));
            let dev = name.starts_with("dev ");
            let name = name.trim_start_matches("dev ").to_owned();
            Dependency { name, dev, features: vec![feature.to_owned()] }
        };
        Package {
            name: name.into(),
            version: String::new(),
            licence: None,
            member: true,
            dir: Default::default(),
            dependencies: uses.iter().map(dependency).collect(),
            features: Vec::new(),
            active_features: Vec::new(),
        }
    }

    fn check(map: &str, journal: &[&str], ledger: &[&str], expected: &str) {
        let members =
            [package("regie-model", &[]), package("regie-journal", journal), package("regie-ledger", ledger)];
        let faults = check_graph(map, &members).join("\n");
        assert!(if expected.is_empty() { faults.is_empty() } else { faults.contains(expected) }, "{faults}");
    }

    #[test]
    fn rooms_use_only_what_the_map_allows() {
        check(MAP, &["rusqlite"], &["regie-model"], "");
        check(MAP, &["regie-model"], &[], "regie-journal: may not use model");
        check(MAP, &["dev regie-ledger"], &["regie-model"], "");
        check(MAP, &["dev regie-ledger"], &["dev regie-journal"], "circle");
        check(MAP, &["dev regie-journal"], &["regie-model"], "");
        check(MAP, &[], &["rusqlite"], "regie-ledger: is pure");
        check(MAP, &[], &["dev rusqlite"], "");
        check(MAP, &["rusqlite"], &["regie-model/mutations"], "in its tests only");
        check(MAP, &["rusqlite"], &["regie-model", "dev regie-model/mutations"], "");
        check("# Map", &[], &[], "no block");
        check("```rooms\nmodel: ledger\nledger: model\njournal:\n```", &[], &[], "must stand above it");
        check(
            "```rooms\nmodel:\njournal:\n```",
            &[],
            &[],
            "regie-ledger: ARCHITECTURE.md's rooms do not name it",
        );
        check("```rooms\nmodel:\njournal:\nledger:\nlearn:\n```", &[], &[], "learn, which is no crate");
    }

    #[test]
    fn pure_sources_have_no_clock_and_no_disk() {
        let count = |path: &str, text: &str| check_purity(&File::of(path, text)).len();
        assert_eq!(count("crates/ledger/src/a.rs", "let now = SystemTime::now();"), 1);
        assert_eq!(count("crates/ledger/src/a.rs", "// no SystemTime::now here"), 0);
        assert_eq!(count("crates/journal/src/a.rs", "use std::fs;"), 0);
        assert_eq!(count("crates/model/src/a.rs", "use std::fs;"), 1);
    }

    #[test]
    fn zone_data_comes_from_the_binary() {
        let mut jiff = package("jiff", &[]);
        assert_eq!(check_zone_data(&[jiff.clone()]).len(), 0);
        jiff.active_features = vec!["tzdb-zoneinfo".into()];
        assert_eq!(check_zone_data(&[jiff]).len(), 1);
    }
}
