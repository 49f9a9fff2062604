//! `regie study`: the study room's command line, given a terminal and today's date.

use super::Cli;
use anyhow::Result;
use regie_study::cli::{StudyArgs, Terminal};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

/// Runs it.
///
/// # Errors
/// What the study room says.
pub fn run(cli: &Cli, args: &StudyArgs) -> Result<ExitCode> {
    let args = StudyArgs { json: args.json || cli.json, ..args.clone() };
    let seconds = (crate::server::system_clock())().0 / 1_000;
    let mut out = std::io::stdout().lock();
    let today = regie_study::day::Day::from_unix_seconds(seconds).unwrap_or_default();
    let shows_progress = std::io::stderr().is_terminal();
    let code = regie_study::cli::run(&args, &mut Terminal { out: &mut out, shows_progress, today });
    let flushed = out.flush();
    match code {
        // A reader that closed the pipe has seen enough.
        Err(regie_study::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
        Ok(code) => {
            flushed?;
            Ok(ExitCode::from(code))
        }
    }
}
