//! The one test command: every check of the project, with timing and a count at the end.
//!
//! Refuses to pass over anything in silence: a step that cannot run says why and counts as skipped
//! or failed. The last line is `N passed, N failed, N skipped`.

use crate::metadata::{Package, TEST_FEATURES};
use crate::tally::{Libtest, Tally};
use crate::{browser, licences, metadata, process, report, tidy};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The crate of the binary; with test features only its tests named `mutation` are run again.
const BINARY_CRATE: &str = "regie";
const MESSAGES: &str = "--message-format=json-render-diagnostics";

struct Row {
    name: &'static str,
    seconds: f64,
    tally: Tally,
}

struct Run<'a> {
    root: &'a Path,
    fast: bool,
    rows: Vec<Row>,
}

/// Runs everything; true when nothing failed.
///
/// # Errors
/// If the workspace itself cannot be read.
pub fn run(root: &Path, fast: bool) -> Result<bool, String> {
    let started = Instant::now();
    let mut run = Run { root, fast, rows: Vec::new() };
    run.step("download", |root| verdict(metadata::fetch(root)));
    run.step("format", |root| verdict(process::pass(format(root))));
    run.step("tidy", |root| Ok(Tally::check(report("tidy", &tidy::run(root)?))));
    run.step("lints", |root| verdict(process::pass(clippy(root))));
    run.step("licences", |root| Ok(Tally::check(report("licences", &licences::run(root)?))));
    let built = run.step("build", |root| build(root).map(|_| Tally::check(true)));
    if built {
        run.step("tests", |root| tests(workspace_tests(root, fast)));
        if fast {
            run.leave_out("seeded faults", "seeded faults: left out by --fast");
            run.leave_out("browser", "browser tests: left out by --fast");
        } else {
            run.step("seeded faults", seeded_faults);
            run.step("browser", |root| browser::run(root, product(root)?.as_deref()));
        }
    }
    Ok(summary(&run.rows, started.elapsed().as_secs_f64()))
}

impl Run<'_> {
    fn step(&mut self, name: &'static str, work: impl FnOnce(&Path) -> Result<Tally, String>) -> bool {
        println!("\n== {name}{}", if self.fast { " (fast)" } else { "" });
        let started = Instant::now();
        let tally = work(self.root).unwrap_or_else(|message| {
            eprintln!("{name}: {message}");
            Tally::check(false)
        });
        let well = tally.failed == 0;
        self.rows.push(Row { name, seconds: started.elapsed().as_secs_f64(), tally });
        well
    }

    fn leave_out(&mut self, name: &'static str, why: &str) {
        self.rows.push(Row { name, seconds: 0.0, tally: Tally::skip(why) });
    }
}

fn verdict(done: Result<(), String>) -> Result<Tally, String> {
    done.map(|()| Tally::check(true))
}

/// Names the files that `cargo fmt --all` would change.
fn format(root: &Path) -> Command {
    process::cargo(root, &["fmt", "--all", "--", "--check", "-l"])
}

fn clippy(root: &Path) -> Command {
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
    process::cargo(root, &arguments)
}

/// Builds what the tests need, once.
fn build(root: &Path) -> Result<Option<PathBuf>, String> {
    built(process::cargo(root, &["test", "--workspace", "--locked", "--no-run", MESSAGES]))
}

/// Builds the product alone: tests switch features on that a product never has.
fn product(root: &Path) -> Result<Option<PathBuf>, String> {
    built(process::cargo(root, &["build", "--locked", "--package", BINARY_CRATE, MESSAGES]))
}

fn built(command: Command) -> Result<Option<PathBuf>, String> {
    let mut binary = None;
    let well = process::lines(command, |line| binary = executable(line).or(binary.take()))?;
    if well { Ok(binary) } else { Err("the build failed".into()) }
}

/// The path of the product's binary, if this message of cargo names it.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    let is_binary = target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"));
    let is_product = target["name"] == BINARY_CRATE && message["profile"]["test"] == false;
    let path = message["executable"].as_str()?;
    (is_binary && is_product).then(|| PathBuf::from(path))
}

fn workspace_tests(root: &Path, fast: bool) -> Command {
    let arguments = ["test", "--workspace", "--locked", "--no-fail-fast", "--", "--show-output"];
    let mut command = process::cargo(root, &arguments);
    if fast {
        command.env("REGIE_FAST", "1");
    }
    command
}

fn tests(command: Command) -> Result<Tally, String> {
    let mut reader = Libtest::new();
    let well = process::lines(command, |line| {
        if reader.line(line) {
            println!("{line}");
        }
    })?;
    Ok(reader.finish().ended(well))
}

/// The suites once more, with the faults and the simulated disk that only tests may switch on.
fn seeded_faults(root: &Path) -> Result<Tally, String> {
    let packages = metadata::packages(root)?;
    let (binary, others): (Vec<&Package>, Vec<&Package>) =
        packages.iter().filter(|p| p.member).partition(|p| p.name == BINARY_CRATE);
    let mut tally = Tally::default();
    for (list, filter) in [(others, None), (binary, Some("mutation"))] {
        if let Some(command) = featured(root, &list, filter) {
            tally.add(&tests(command)?);
        }
    }
    Ok(tally)
}

fn featured(root: &Path, packages: &[&Package], filter: Option<&str>) -> Option<Command> {
    let mut names = Vec::new();
    let mut features = Vec::new();
    for package in packages.iter().filter(|p| !p.tests_itself()) {
        let own = TEST_FEATURES.iter().filter(|feature| package.has_feature(feature));
        let own: Vec<String> = own.map(|feature| format!("{}/{feature}", package.name)).collect();
        if !own.is_empty() {
            names.push(package.name.as_str());
            features.extend(own);
        }
    }
    if names.is_empty() {
        return None;
    }
    let mut command = process::cargo(root, &["test", "--locked", "--no-fail-fast"]);
    for name in names {
        command.args(["--package", name]);
    }
    command.args(["--features", &features.join(","), "--", "--show-output"]);
    command.args(filter);
    Some(command)
}

fn summary(rows: &[Row], seconds: f64) -> bool {
    let mut total = Tally::default();
    println!("\n{:<16}{:>9}{:>9}{:>9}{:>9}", "step", "seconds", "passed", "failed", "skipped");
    for Row { name, seconds, tally } in rows {
        let (passed, failed, skipped) = (tally.passed, tally.failed, tally.skipped);
        println!("{name:<16}{seconds:>9.1}{passed:>9}{failed:>9}{skipped:>9}");
        total.add(tally);
    }
    println!("{:<16}{seconds:>9.1}", "all");
    for why in &total.skips {
        println!("skipped: {why}");
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    total.failed == 0
}

#[cfg(test)]
mod tests {
    use super::{Package, executable, featured};
    use crate::metadata::Dependency;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let message = |kind: &str, name: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"{name}"}},
                "profile":{{"test":{test}}},"executable":"/t/debug/regie"}}"#
            )
        };
        assert_eq!(executable(&message("bin", "regie", false)), Some(PathBuf::from("/t/debug/regie")));
        assert_eq!(executable(&message("bin", "regie", true)), None);
        assert_eq!(executable(&message("lib", "regie", false)), None);
        assert_eq!(executable(&message("bin", "xtask", false)), None);
        assert_eq!(executable("plain text"), None);
    }

    #[test]
    fn only_packages_with_test_features_are_run_again() {
        let package = |name: &str, features: &[&str]| Package {
            name: name.into(),
            version: String::new(),
            licence: None,
            member: true,
            dir: PathBuf::new(),
            dependencies: vec![Dependency { name: "c".into(), dev: true, features: Vec::new() }],
            features: features.iter().map(|f| (*f).to_owned()).collect(),
            active_features: Vec::new(),
        };
        let (a, b) = (package("a", &["mutations", "other", "simdisk"]), package("b", &["default"]));
        let c = package("c", &["mutations"]);
        let command = featured(Path::new("."), &[&a, &b, &c], Some("mutation")).unwrap();
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        let wanted = "test --locked --no-fail-fast --package a --features a/mutations,a/simdisk -- --show-output mutation";
        assert_eq!(arguments.join(" "), wanted);
        assert!(featured(Path::new("."), &[&b], None).is_none());
    }
}
