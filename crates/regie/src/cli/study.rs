//! `regie study`: the study room's command line, given a terminal and today's date.

use super::Cli;
use crate::platform::folder::Folder;
use anyhow::Result;
use regie_study::{
    cli::{StudyArgs, Terminal},
    import::{OwnEntry, OwnSource},
};
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
    let own = |named: &std::path::Path| {
        let folder = if named.as_os_str().is_empty() { cli.folder.as_path() } else { named };
        read_own(folder).map_err(|error| format!("{error:#}"))
    };
    let mut terminal = Terminal { out: &mut out, shows_progress, today, own: Some(&own) };
    let code = regie_study::cli::run(&args, &mut terminal);
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

/// The record of a data folder, also while its server runs.
fn read_own(folder: &std::path::Path) -> Result<(OwnSource, Vec<OwnEntry>)> {
    let platform = crate::server::open_to_read(&Folder::existing(folder)?)?;
    crate::http::record::own_entries(&platform)
}
