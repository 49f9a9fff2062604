//! `regie backup` and `regie restore`: a consistent copy of a data folder, and the care a restored one needs.
//!
//! A restored folder issues no paid ticket until the operator has said what the world has seen of it; every start takes
//! a new ticket epoch all the same.

use super::{Cli, progress};
use crate::desk::Desk;
use crate::platform::{folder::Folder, secrets::Secrets};
use crate::publication::db::RecordDb;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `regie backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder to write the backup to; must not exist.
    to: PathBuf,
}

/// Arguments of `regie restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup to restore from, into the (new) data folder.
    #[arg(required_unless_present = "confirm")]
    from: Option<PathBuf>,
    /// Say that you have compared what the world has seen (invoices sent, figures published) with the restored folder, so
    /// that paid ads may run again.
    #[arg(long, conflicts_with = "from")]
    confirm: bool,
}

/// Runs `regie backup`.
///
/// # Errors
/// A target that exists; a folder that cannot be read.
pub fn run(cli: &Cli, args: &BackupArgs) -> Result<ExitCode> {
    if args.to.exists() {
        bail!("{} exists; name a folder that does not", args.to.display());
    }
    let folder = Folder::existing(&cli.folder)?;
    let target = Folder::open(&args.to)?;
    let report = regie_journal::backup(&folder.journal(), &target.journal(), &mut |_, _| {})
        .context("copying the journal")?;
    // Then secrets and objects: all that the copied journal refers to is there by now, and a later one is harmless.
    Secrets::open(&folder.secrets_db())?.backup_to(&target.secrets_db())?;
    copy_record(&folder, &target)?;
    let count = copy_tree(&folder.objects(), &target.objects(), cli.json)?;
    copy_log(&folder, &target, cli.json)?;
    copy_study(&folder, &target)?;
    copy_desk(&folder, &target)?;
    if let Ok(text) = std::fs::read(folder.root().join("regie.toml")) {
        std::fs::write(target.root().join("regie.toml"), text)?;
    }
    let records = report.head.0;
    // The folder remembers its last backup, for the console's page of health.
    let mark = serde_json::json!({ "at": crate::server::system_clock()().to_string(), "records": records });
    std::fs::write(folder.root().join(crate::http::console::operator::BACKUP_MARK), mark.to_string())?;
    if cli.json {
        println!("{}", serde_json::json!({ "backup": args.to, "records": records, "objects": count }));
    } else {
        println!("Copied {records} records and {count} objects to {}.", args.to.display());
        println!("It holds secrets (keys, password hashes): keep it as safe as the folder itself.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `regie restore`.
///
/// # Errors
/// A data folder that is not empty; a backup that cannot be read.
pub fn restore(cli: &Cli, args: &RestoreArgs) -> Result<ExitCode> {
    if args.confirm {
        let folder = Folder::existing(&cli.folder)?;
        if !folder.is_restored() {
            println!("{} does not wait for anything.", cli.folder.display());
            return Ok(ExitCode::SUCCESS);
        }
        std::fs::remove_file(folder.restored_mark())?;
        println!("Paid ads run again at the next start of the server.");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(from) = &args.from else { bail!("name the backup to restore from") };
    if cli.folder.join("journal").exists() {
        bail!("{} holds data already; restore into a new folder with --folder", cli.folder.display());
    }
    let source = Folder::existing(from).context("that is no backup")?;
    let target = Folder::open(&cli.folder)?;
    std::fs::write(target.restored_mark(), "restored from a backup; see `regie restore --confirm`\n")?;
    Secrets::open(&source.secrets_db())?.backup_to(&target.secrets_db())?;
    copy_record(&source, &target)?;
    copy_tree(&source.objects(), &target.objects(), cli.json)?;
    copy_log(&source, &target, cli.json)?;
    copy_study(&source, &target)?;
    copy_desk(&source, &target)?;
    let report = regie_journal::backup(&source.journal(), &target.journal(), &mut |_, _| {})
        .context("copying the journal")?;
    println!("Restored {} records into {}.", report.head.0, cli.folder.display());
    println!(
        "Only house ads are shown until you compare what the world has seen (invoices, published figures) and run:"
    );
    println!("  regie --folder {} restore --confirm", cli.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Drafts and orders for reports, where there are any.
fn copy_desk(from: &Folder, to: &Folder) -> Result<()> {
    if Desk::database(from.root()).exists() {
        Desk::open(from.root())?.backup_to(&Desk::database(to.root())).context("copying the desk")?;
    }
    Ok(())
}

/// Store, groupings and published reports of the study room, where there are any.
fn copy_study(from: &Folder, to: &Folder) -> Result<()> {
    let desk = regie_study::desk::Desk::of(from.root());
    if desk.is_used() {
        desk.copy_to(&regie_study::desk::Desk::of(to.root())).context("copying the study")?;
    }
    Ok(())
}

/// The record's log: its head first, so that the files have all that the head covers.
fn copy_log(from: &Folder, to: &Folder, quiet: bool) -> Result<()> {
    use crate::platform::{log, state_db::StateDb};
    let head = log::head_of(from);
    if head.exists() {
        let target = log::head_of(to);
        StateDb::reader(&head)?.execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
    }
    if log::files_of(from).exists() {
        copy_tree(&log::files_of(from), &log::files_of(to), quiet)?;
    }
    Ok(())
}

/// The published record: what the log's objects say, and its index.
fn copy_record(from: &Folder, to: &Folder) -> Result<()> {
    if from.record_db().exists() {
        RecordDb::open(&from.record_db())?.backup_to(&to.record_db())?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path, quiet: bool) -> Result<u64> {
    let bar = progress::bar("copying objects", quiet);
    let mut count = 0;
    let mut waiting = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = waiting.pop() {
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                waiting.push((entry.path(), target));
            } else if !entry.file_name().to_string_lossy().starts_with('.') {
                std::fs::copy(entry.path(), target)?;
                count += 1;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(count)
}
