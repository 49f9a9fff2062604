//! The project's own tools: `cargo xtask tidy`, `licences`, `test [--fast]`, `clean-room`.
//!
//! Refuses to be part of the product. A command ends with 0 only when it found nothing wrong.

mod browser;
mod clean_room;
mod licences;
mod metadata;
mod process;
mod spdx;
mod tally;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test [--fast]   everything: format, lints, tidy, licences, tests, pages in a browser
                  --fast leaves out the browser, the seeded faults and slow rounds
  tidy            what compilers do not check: headers, file sizes, rooms, documents
  licences        the licence of every dependency against licences.toml
  clean-room      clone HEAD to a temporary folder and time the first release build
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let done = match words.as_slice() {
        ["test"] => test::run(&root, false),
        ["test", "--fast"] => test::run(&root, true),
        ["tidy"] => tidy::run(&root).map(|faults| report("tidy", &faults)),
        ["licences"] => licences::run(&root).map(|faults| report("licences", &faults)),
        ["clean-room"] => clean_room::run(&root).map(|()| true),
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            Ok(true)
        }
        _ => Err(format!("I do not know \"{}\".\n\n{USAGE}", words.join(" "))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}

/// The workspace's folder: the parent of this crate's. Asked of `cargo run` first, since clones may
/// share one folder of build products.
fn root() -> PathBuf {
    let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or(built_in, PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// Prints faults; true when there are none.
fn report(what: &str, faults: &[String]) -> bool {
    for fault in faults {
        println!("{what}: {fault}");
    }
    match faults.len() {
        0 => println!("{what}: nothing found"),
        count => println!("{what}: {count} found"),
    }
    faults.is_empty()
}
