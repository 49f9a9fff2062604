//! `regie dossier`: everything that was published about one sponsor or one vote, as one signed file (Regulation (EU) 2024/900,
//! Art. 16 and 17): every version of every ad, each leaf with its proof, each object that is still held, each tombstone.
//!
//! Reads `record.db` and the log's files; the server may run. `regie verify --dossier FILE` checks it anywhere.

use super::Cli;
use crate::{
    platform::{
        folder::Folder,
        log::{
            PURPOSE,
            files::FolderFiles,
            files_of, head_of,
            store::{places, reader},
        },
        secrets::Secrets,
    },
    publication::{
        db::RecordDb,
        dossier::{From, document},
        register,
    },
    server::system_clock,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_model::PartyId;
use regie_record::{
    commit::Sha256Hash,
    log::{
        dossier::{About, Dossier},
        note::TYPE_ED25519,
    },
};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `regie dossier`.
#[derive(Debug, Args)]
pub struct DossierArgs {
    /// The sponsor or payer, such as party_3.
    #[arg(long)]
    sponsor: Option<PartyId>,
    /// The vote or process, by its name.
    #[arg(long)]
    election: Option<String>,
    /// File to write.
    #[arg(long)]
    to: PathBuf,
}

/// Runs it.
///
/// # Errors
/// Neither or both of sponsor and election; nothing published about it; a file that cannot be written.
pub fn run(cli: &Cli, args: &DossierArgs) -> Result<ExitCode> {
    let folder = Folder::existing(&cli.folder)?;
    let about = match (&args.sponsor, &args.election) {
        (Some(_), None) | (None, Some(_)) => About { sponsor: args.sponsor, election: args.election.clone() },
        _ => bail!("name one of the two: --sponsor party_3 or --election \"NAME\""),
    };
    let db = RecordDb::open(&folder.record_db())?;
    register::catch_up(&db, cli.configuration()?.record_keep_days)?;
    let mut files = FolderFiles::new(&files_of(&folder))?;
    let head = reader(&head_of(&folder))?;
    let now = (system_clock())();
    let bar = super::progress::bar("collecting", cli.json);
    let of = |kind: &str, id: &str| places(&head, kind, id);
    let mut from = From { db: &db, files: &mut files, places: &of };
    let document = document(&mut from, about, now, usize::MAX, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let keys =
        Secrets::open(&folder.secrets_db())?.signing_keys(PURPOSE, &document.origin, TYPE_ED25519, now)?;
    let by = keys.last().context("secrets.db has no key of this log")?;
    let ads_count = document.ads.len();
    let bytes = serde_json::to_vec(&Dossier::sign(document, by)?)?;
    std::fs::write(&args.to, &bytes).with_context(|| format!("cannot write {}", args.to.display()))?;
    let hash = Sha256Hash::of(&bytes);
    if cli.json {
        println!("{}", json!({ "ads": ads_count, "bytes": bytes.len(), "sha256": hash, "to": args.to }));
    } else {
        let to = args.to.display();
        println!("Wrote {ads_count} ads, {} bytes, to {to}.\nSHA-256: {hash}", bytes.len());
        println!(
            "Signed by the log's key; whoever gets it checks it with: regie verify --dossier {to} --key ..."
        );
    }
    Ok(ExitCode::SUCCESS)
}
