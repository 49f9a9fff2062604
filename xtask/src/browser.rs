//! Browser tests: the real binary and its pages in Chromium, driven by `tests/browser/*.test.mjs`.
//!
//! Installs what they need: Chromium from Debian's packages (when run by root), the driver by
//! `npm ci` from the committed lock file. Refuses to download a browser from elsewhere.

use crate::process;
use crate::tally::{Tally, Tap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const CHROMIUM: &str = "/usr/bin/chromium";

/// Runs them all with `REGIE_BIN` and `REGIE_CHROMIUM` set.
///
/// # Errors
/// If something they need is missing and cannot be installed.
pub fn run(root: &Path, binary: Option<&Path>) -> Result<Tally, String> {
    let folder = root.join("tests").join("browser");
    let files = test_files(&folder)?;
    if files.is_empty() {
        return Err("there is no tests/browser/*.test.mjs".into());
    }
    let binary = binary.ok_or("the build made no regie binary")?;
    let chromium = chromium(root)?;
    packages(&folder)?;
    let arguments = ["--test", "--test-reporter=tap", "--test-concurrency=1"];
    let mut command = process::command(&folder, "node", &arguments);
    command.args(&files).env("REGIE_BIN", binary).env("REGIE_CHROMIUM", chromium);
    let mut tap = Tap::default();
    let well = process::lines(command, |line| {
        println!("{line}");
        tap.line(line);
    })?;
    Ok(tap.finish().ended(well))
}

fn test_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    Ok(files)
}

fn chromium(root: &Path) -> Result<PathBuf, String> {
    if let Some(own) = std::env::var_os("REGIE_CHROMIUM") {
        return Ok(PathBuf::from(own));
    }
    let path = PathBuf::from(CHROMIUM);
    if path.exists() {
        return Ok(path);
    }
    let user = process::output(process::command(root, "id", &["-u"]))?;
    if user.trim() != "0" {
        return Err(format!(
            "{CHROMIUM} is missing. Install it (sudo apt-get install chromium), or name yours in REGIE_CHROMIUM"
        ));
    }
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", "chromium"][..]] {
        let mut command = process::command(root, "apt-get", arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        process::pass(command)?;
    }
    if path.exists() { Ok(path) } else { Err(format!("apt-get installed no {CHROMIUM}")) }
}

/// Installs the driver when the lock file is newer than what is there.
fn packages(folder: &Path) -> Result<(), String> {
    let lock = folder.join("package-lock.json");
    let changed = |file: &Path| -> Option<SystemTime> { file.metadata().ok()?.modified().ok() };
    let Some(wanted) = changed(&lock) else {
        return Err("tests/browser/package-lock.json is missing: the driver's version is pinned there".into());
    };
    let installed = changed(&folder.join("node_modules").join(".package-lock.json"));
    if installed.is_some_and(|at| at >= wanted) {
        return Ok(());
    }
    process::pass(process::command(folder, "npm", &["ci", "--no-audit", "--no-fund"]))
}
