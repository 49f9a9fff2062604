//! Running other programs: streamed to the terminal, line by line, or collected. Refuses a shell.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A command in the project's folder.
pub fn command(root: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root);
    command
}

/// The `cargo` that runs this.
pub fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    command(root, &program, arguments)
}

/// How a command is written, for people.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs it with the terminal's own output.
///
/// # Errors
/// If it cannot be started, or ends with anything but 0.
pub fn pass(mut command: Command) -> Result<(), String> {
    let text = shown(&command);
    println!("> {text}");
    let status = command.status().map_err(|e| format!("cannot start {text}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{text}: {status}")) }
}

/// Runs it and gives each line of its standard output to `each`; true when it ended with 0.
///
/// # Errors
/// If it cannot be started or read.
pub fn lines(mut command: Command, mut each: impl FnMut(&str)) -> Result<bool, String> {
    let text = shown(&command);
    println!("> {text}");
    let fail = |e: std::io::Error| format!("{text}: {e}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(fail)?;
    let Some(output) = child.stdout.take() else { return Err(format!("{text}: no output")) };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).map_err(fail)? > 0 {
        each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    child.wait().map(|status| status.success()).map_err(fail)
}

/// Runs it and returns its standard output.
///
/// # Errors
/// If it cannot be started, or ends with anything but 0; then with what it said.
pub fn output(mut command: Command) -> Result<String, String> {
    let text = shown(&command);
    let done = command.output().map_err(|e| format!("cannot start {text}: {e}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("{text}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim_end()))
}
