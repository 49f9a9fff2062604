//! A first build as a stranger has it: HEAD cloned to a temporary folder, nothing compiled yet.
//! Refuses to count downloads: they are fetched before the clock starts.

use crate::{metadata, process};
use std::path::Path;
use std::time::Instant;

/// Clones, builds in release, prints wall and CPU seconds, and removes the clone.
///
/// # Errors
/// If git or cargo fails; then the clone is left where it is named.
pub fn run(root: &Path) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("regie-clean-room-{}", std::process::id()));
    let place = folder.to_string_lossy().into_owned();
    println!("clean-room: cloning HEAD to {place}");
    process::pass(process::command(root, "git", &["clone", "--quiet", "--no-hardlinks", ".", &place]))?;
    let target = folder.join("target");
    let cargo = |arguments: &[&str]| {
        let mut command = process::cargo(&folder, arguments);
        command.env("CARGO_TARGET_DIR", &target);
        command
    };
    metadata::fetch(&folder)?;
    let (started, cpu_before) = (Instant::now(), children_cpu_seconds());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut figures = Vec::new();
    // First what the README's first command builds, then the rest of the workspace.
    for arguments in [&["--bin", "regie"][..], &[][..]] {
        let mut command = cargo(&["build", "--release", "--locked", "--offline"]);
        command.args(arguments);
        process::pass(command)?;
        let cpu = children_cpu_seconds() - cpu_before;
        let wall = started.elapsed().as_secs_f64();
        let what = if arguments.is_empty() { "the whole workspace" } else { "the product" };
        figures.push(format!("{what} after {wall:.0} s, {cpu:.0} CPU-seconds, {cores} cores"));
    }
    figures.iter().for_each(|line| println!("clean-room: {line}"));
    std::fs::remove_dir_all(&folder).map_err(|e| format!("{place}: {e}"))
}

/// CPU time of ended child processes, from the kernel; 0 where it does not say.
fn children_cpu_seconds() -> f64 {
    // Fields 16 and 17 of proc(5) stat, in clock ticks; the name before them may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(13).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}
