//! `regie elections`: the votes and processes that the publisher keeps, imported from a file or listed, from the operator's shell.
//!
//! The import needs the journal: the server is stopped, or the console's page is used.

use super::{Cli, user::with_platform};
use crate::{http::console::votes, platform::folder::Folder};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use regie_model::{command::Command, event::Actor};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// Arguments of `regie elections`.
#[derive(Debug, Args)]
pub struct ElectionsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import votes from a CSV file with the columns name, kind, country, held_on, restricted_from, silent_from, official_url.
    Import {
        /// The file; a line whose name, country and day are known changes that vote.
        file: PathBuf,
        /// Say what is wrong and what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// List what is kept.
    List,
}

/// Bytes of a file at most.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Runs it.
///
/// # Errors
/// Every line that cannot be read, by its number; a folder in use.
pub fn run(cli: &Cli, args: &ElectionsArgs) -> Result<ExitCode> {
    let folder = Folder::existing(&cli.folder)?;
    match &args.action {
        Action::Import { file, dry_run } => import(cli, &folder, file, *dry_run),
        Action::List => list(cli, &folder),
    }
}

fn import(cli: &Cli, folder: &Folder, file: &PathBuf, dry_run: bool) -> Result<ExitCode> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {shown}"))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{shown} has {size} bytes; at most {FILE_BYTES_MAX}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let (added, changed) = with_platform(cli, folder, |platform| {
        let known = platform.catalogue().elections.clone();
        let commands = votes::commands(&known, &text).map_err(|faults| anyhow!("{shown}: {faults}"))?;
        let fresh = |c: &&Command| matches!(c, Command::PutElection { id: None, .. });
        let added = commands.iter().filter(fresh).count();
        let counts = (added, commands.len() - added);
        if !dry_run {
            let (done, wait) = std::sync::mpsc::channel();
            Arc::clone(platform).command(Actor::Operator, commands, Box::new(move |r| drop(done.send(r))));
            wait.recv()?.map_err(|refused| anyhow!("{refused}"))?;
        }
        Ok(counts)
    })?;
    if cli.json {
        println!("{}", json!({ "added": added, "changed": changed, "dry_run": dry_run }));
    } else {
        let would = if dry_run { "would be " } else { "" };
        println!("{added} votes {would}added, {changed} {would}changed.");
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cli: &Cli, folder: &Folder) -> Result<ExitCode> {
    let catalogue = super::user::read_catalogue(folder)?;
    if cli.json {
        let votes: Vec<_> =
            catalogue.elections.iter().map(|(id, kept)| json!({ "id": id, "election": kept.spec })).collect();
        println!("{}", json!({ "elections": votes }));
        return Ok(ExitCode::SUCCESS);
    }
    for (id, kept) in &catalogue.elections {
        let spec = &kept.spec;
        println!("{id}  {}  {}  {} ({})", spec.held_on, spec.country, spec.name, spec.kind.word());
    }
    Ok(ExitCode::SUCCESS)
}
