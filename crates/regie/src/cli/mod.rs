//! The command line: one subcommand each, plain words, `--json` for scripts, progress bars on everything long.

pub mod audit;
pub mod backup;
pub mod bench;
pub mod check;
pub mod demo;
pub mod dossier;
pub mod elections;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod forecast;
pub mod mirror;
pub mod progress;
pub mod record;
pub mod render;
pub mod replay;
pub mod serve;
pub mod simulate;
pub mod study;
pub mod user;
pub mod verify;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Data folder unless one is given.
pub const DEFAULT_FOLDER: &str = ".regie/data";

/// Regie: a self-hosted advertising platform that publishes who paid.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    /// Data folder.
    #[arg(long, global = true, env = "REGIE_FOLDER", default_value = DEFAULT_FOLDER)]
    pub folder: PathBuf,
    /// Configuration file; regie.toml in the data folder when not given.
    #[arg(long, global = true, env = "REGIE_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, such as --set listen=0.0.0.0:80; may be repeated. Comes after file and environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Answer in JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Show everything: an invented newspaper with live ads, advertisers, readers and the public record.
    Demo(demo::DemoArgs),
    /// Replay real logged traffic through the HTTP API of a running server.
    Replay(replay::ReplayArgs),
    /// Say for one kept decision why each ad set was shown or not.
    Explain(explain::ExplainArgs),
    /// Say what another policy would have earned, from what was logged.
    Evaluate(evaluate::EvaluateArgs),
    /// Say how many requests a targeting will meet, who competes, and what is oversold.
    Forecast(forecast::ForecastArgs),
    /// Write events or reports as Parquet, partitioned by day.
    Export(export::ExportArgs),
    /// Everything published about one sponsor or vote, as one signed file (Art. 16 and 17).
    Dossier(dossier::DossierArgs),
    /// Votes and processes that the publisher keeps: import from a file, list.
    Elections(elections::ElectionsArgs),
    /// Check the journal's chain and rebuild every fold to the same balances.
    Check(check::CheckArgs),
    /// Copy the data folder, consistently, while the server is stopped.
    Backup(backup::BackupArgs),
    /// Make a data folder from a backup, or say what the world has seen of it.
    Restore(backup::RestoreArgs),
    /// Measure this machine, each figure beside its bar.
    Bench(bench::BenchArgs),
    /// Check a record's log from outside: an address or a mirror, a label, evidence.
    Verify(verify::VerifyArgs),
    /// Copy a record's log, and serve the copy read-only.
    Mirror(mirror::MirrorArgs),
    /// The log's keys and origin: rotate, retire, go on under another name; render what was shown.
    Record(record::RecordArgs),
    /// Check an invoice against the public log, as its payer, without the server.
    Audit(audit::AuditArgs),
    /// Users: add, link, reset, list, disable.
    User(user::UserArgs),
    /// API tokens: create, revoke, list.
    Token(user::TokenArgs),
    /// Rank the spenders of other platforms' ad archives, honestly.
    Study(Box<regie_study::cli::StudyArgs>),
    /// Campaigns with a hidden truth, to see what is learned, and how fast.
    Simulate(Box<simulate::SimulateArgs>),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// The settings given as flags.
    ///
    /// # Errors
    /// A setting that is not `KEY=VALUE`, or an unknown key.
    pub fn flags(&self) -> Result<Vec<(String, String)>> {
        let parse = |text: &String| match text.split_once('=') {
            Some((key, value)) if crate::config::KEYS.contains(&key) => {
                Ok((key.to_owned(), value.to_owned()))
            }
            Some((key, _)) => {
                anyhow::bail!("--set {key}: unknown setting; known are {}", crate::config::KEYS.join(", "))
            }
            None => anyhow::bail!("--set {text}: write KEY=VALUE"),
        };
        self.settings.iter().map(parse).collect()
    }
    /// The configuration of this run.
    ///
    /// # Errors
    /// As [`crate::config::Config::load`].
    pub fn configuration(&self) -> Result<crate::config::Config> {
        crate::config::Config::load(&self.folder, self.config.as_deref(), &self.flags()?)
    }
}

/// Runs the command line of this process.
///
/// # Errors
/// What went wrong, in words that say what to do next.
pub fn run() -> Result<ExitCode> {
    let cli = Cli::parse();
    match &cli.command {
        Command::Serve(args) => serve::run(&cli, args),
        Command::Demo(args) => demo::run(&cli, args),
        Command::Replay(args) => replay::run(&cli, args),
        Command::Explain(args) => explain::run(&cli, args),
        Command::Evaluate(args) => evaluate::run(&cli, args),
        Command::Forecast(args) => forecast::run(&cli, args),
        Command::Export(args) => export::run(&cli, args),
        Command::Dossier(args) => dossier::run(&cli, args),
        Command::Elections(args) => elections::run(&cli, args),
        Command::Check(args) => check::run(&cli, args),
        Command::Backup(args) => backup::run(&cli, args),
        Command::Restore(args) => backup::restore(&cli, args),
        Command::Bench(args) => bench::run(&cli, args),
        Command::Verify(args) => verify::run(&cli, args),
        Command::Mirror(args) => mirror::run(&cli, args),
        Command::Record(args) => record::run(&cli, args),
        Command::Audit(args) => audit::run(&cli, args),
        Command::User(args) => user::run_user(&cli, args),
        Command::Token(args) => user::run_token(&cli, args),
        Command::Study(args) => study::run(&cli, args),
        Command::Simulate(args) => simulate::run(&cli, args),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "regie", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Sets logging up once.
pub fn start_logging(config: &crate::config::Config) {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_new(&config.log_filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = if config.log_format == "json" { builder.json().try_init() } else { builder.try_init() };
}

/// A tokio runtime for a command.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime(workers: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    Ok(builder.enable_all().build()?)
}
