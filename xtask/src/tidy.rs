//! Tidy checks: what compilers do not look at. Each rule is a pure function over file texts, so that
//! its tests can show that it fails. Refuses to mend anything.

mod dependencies;
mod documents;
mod files;
mod rooms;
mod secrets;
mod sources;

use crate::metadata;
use files::File;
use std::path::Path;

/// Runs every rule; returns the faults.
///
/// # Errors
/// If the tree or cargo's metadata cannot be read.
pub fn run(root: &Path) -> Result<Vec<String>, String> {
    let files = files::read(root)?;
    let packages = metadata::packages(root)?;
    let members: Vec<_> = packages.iter().filter(|p| p.member).cloned().collect();
    let text = |path: &str| files.iter().find(|f| f.path == path).map_or("", |f| f.text.as_str());
    let mut faults = Vec::new();
    for file in &files {
        faults.extend(sources::check(file));
        faults.extend(secrets::check(file));
        faults.extend(documents::check_words(file));
    }
    faults.extend(sources::check_lengths(&files, text("xtask/long-files.txt")));
    faults.extend(documents::check_links(&files, &|path| root.join(path).exists()));
    faults.extend(documents::check_limits(&files));
    faults.extend(dependencies::check(text("Cargo.toml"), text("docs/DEPENDENCIES.md"), &members));
    faults.extend(rooms::check_graph(text("ARCHITECTURE.md"), &members));
    faults.extend(rooms::check_zone_data(&packages));
    for file in &files {
        faults.extend(rooms::check_purity(file));
    }
    Ok(faults)
}

/// Where a fault is, for people and editors.
fn at(file: &File, line_index: usize, what: &str) -> String {
    format!("{}:{}: {what}", file.path, line_index + 1)
}
