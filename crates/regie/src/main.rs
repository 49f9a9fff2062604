//! The one binary. Parses the command line, sets logging up, and hands over to the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match regie::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("regie: {error:#}");
            ExitCode::FAILURE
        }
    }
}
