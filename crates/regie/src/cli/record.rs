//! `regie record`: the log's keys and its origin, while the server is stopped; and rendering what was shown, from any copy.

use super::{
    Cli,
    verify::{policy_of, source_of},
};
use crate::{
    platform::{
        folder::Folder,
        log::{PURPOSE, RecordLog, files::FolderFiles, files_of, head_of, store::SqliteHead},
        secrets::Secrets,
    },
    server::system_clock,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use regie_model::{AdId, VersionId};
use regie_record::log::{
    Signatory,
    note::TYPE_ED25519,
    read::CHECKPOINT_PATH,
    sequencer::{LogFiles, Opening, Sequencer},
};
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `regie record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// What to do.
    #[command(subcommand)]
    command: RecordCommand,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum RecordCommand {
    /// Print the keys that sign the log now, as verifier keys.
    Keys,
    /// Sign with a further key from now on; the log says so. The first step of a rotation.
    AddKey,
    /// Sign no more with the oldest key; the log says why. The second step.
    RetireKey {
        /// Why, for everybody to read.
        #[arg(long)]
        because: String,
    },
    /// Render a version that was shown, from a log or mirror alone, with the proof of each day.
    Render {
        /// Address of a log, or a folder with its files (a mirror).
        log: String,
        /// The ad, such as ad_3.
        ad: AdId,
        /// The version, such as ver_9.
        #[arg(value_name = "VERSION")]
        shown: VersionId,
        /// Only the log's key.
        #[arg(long)]
        key: Option<String>,
        /// Whom you trust: a policy file (c2sp.org/tlog-policy).
        #[arg(long, conflicts_with = "key")]
        policy: Option<PathBuf>,
        /// Certificate authorities (PEM) that `https://` trusts in place of those that browsers trust.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// File to write: one HTML page that needs nothing else.
        #[arg(long)]
        to: PathBuf,
    },
    /// Begin another log that goes on from this one, where this one cannot be continued. Its files stay, put aside.
    NewOrigin {
        /// Name of the new log, such as example.org/record/log-2.
        origin: String,
        /// Why, for everybody to read.
        #[arg(long)]
        because: String,
    },
}

/// Runs it.
///
/// # Errors
/// A folder without a log, SQLite's errors.
pub fn run(cli: &Cli, args: &RecordArgs) -> Result<ExitCode> {
    if let RecordCommand::Render { log, ad, shown, key, policy, ca, to } = &args.command {
        let policy = policy_of(policy.as_deref(), key.as_deref())?;
        let mut source = source_of(log, &policy, ca.as_deref())?;
        return super::render::run(cli, &mut *source, &policy, (*ad, *shown), to);
    }
    let folder = Folder::existing(&cli.folder)?;
    let secrets = Secrets::open(&folder.secrets_db())?;
    let now = (system_clock())();
    if let RecordCommand::NewOrigin { origin, because } = &args.command {
        return new_origin(&folder, &secrets, origin, because);
    }
    let log = RecordLog::open(&folder, &secrets, &cli.configuration()?, now)?;
    let names = |log: &RecordLog| log.verifiers().iter().map(|key| format!("{key}\n")).collect::<String>();
    match &args.command {
        RecordCommand::AddKey => {
            secrets.add_signing_key(PURPOSE, log.origin(), now)?;
            let keys = secrets.signing_keys(PURPOSE, log.origin(), TYPE_ED25519, now)?;
            let fresh = keys.into_iter().next_back().context("the new key was not stored")?;
            log.change_keys(|sequencer| sequencer.add_key(fresh, now.0).map(drop))?;
        }
        RecordCommand::RetireKey { because } => {
            let oldest = log.verifiers().first().context("the log has no key")?.id();
            log.change_keys(|sequencer| sequencer.retire_key(oldest, because, now.0).map(drop))?;
            secrets.retire_signing_key(PURPOSE, log.origin(), now)?;
        }
        RecordCommand::Keys | RecordCommand::NewOrigin { .. } | RecordCommand::Render { .. } => {}
    }
    print!("{}", names(&log));
    Ok(ExitCode::SUCCESS)
}

fn new_origin(folder: &Folder, secrets: &Secrets, origin: &str, because: &str) -> Result<ExitCode> {
    let now = (system_clock())();
    let files = files_of(folder);
    let last = LogFiles::get(&mut FolderFiles::new(&files)?, CHECKPOINT_PATH)?;
    let last = String::from_utf8(last.context("this folder has no log to go on from")?)?;
    if last.lines().next() == Some(origin) {
        bail!("{origin} is the log that is here; a new one needs a new name");
    }
    let aside = folder.root().join(format!("record.until-{}", now.0));
    std::fs::rename(&files, &aside).with_context(|| format!("cannot put {} aside", files.display()))?;
    let mut store = SqliteHead::open(&head_of(folder))?;
    store.clear()?;
    let keys: Vec<Signatory> = secrets.signing_keys(PURPOSE, origin, TYPE_ED25519, now)?;
    let continues = Some((last, because.to_owned()));
    let opening = Opening { origin, keys: &keys, now_ms: now.0, continues, position: 0 };
    Sequencer::open(Box::new(store), Box::new(FolderFiles::new(&files)?), &opening)?;
    println!(
        "Begun: {origin}. The former log's files are in {}; keep them readable for everybody.",
        aside.display()
    );
    if let Some(key) = keys.first() {
        println!("Its key, to be told to readers and witnesses: {}", key.verifier());
    }
    Ok(ExitCode::SUCCESS)
}
