//! The study room's command line by itself: `cargo run --release -p regie-study --example study -- demo`.

use clap::Parser;
use regie_study::cli::{StudyArgs, Terminal, run};
use regie_study::day::Day;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "study", about = "Rank the spenders of any advertising archive, honestly")]
struct Arguments {
    #[command(flatten)]
    study: StudyArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut out = std::io::stdout().lock();
    let shows_progress = std::io::stderr().is_terminal();
    let today = Day::from_unix_seconds(seconds as i64).unwrap_or_default();
    let mut terminal = Terminal { out: &mut out, shows_progress, today, own: None };
    let code = run(&arguments.study, &mut terminal);
    let _ = out.flush();
    match code {
        Ok(code) => ExitCode::from(code),
        // A reader that closed the pipe has seen enough.
        Err(regie_study::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
