//! `regie replay`: real logged traffic through the ordinary HTTP API.
use super::Cli;
use clap::Args;
/// Arguments of `regie replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {}
/// Runs it.
///
/// # Errors
/// Nothing yet.
pub fn run(_cli: &Cli, _args: &ReplayArgs) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("not written yet")
}
