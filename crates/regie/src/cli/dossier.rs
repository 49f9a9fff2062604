//! `regie dossier`: everything that was published about one sponsor or one vote, as one file (Regulation (EU) 2024/900,
//! Art. 16 and 17): every version of every ad, each leaf as it stands in the log, each object that is still held.
//!
//! Reads `record.db` only; the server may run. What was withheld is listed as withheld. The file's SHA-256 is printed, so
//! that it can be given on another way.

use super::Cli;
use crate::{
    platform::folder::Folder,
    publication::db::{Query, RecordDb},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_model::{AdId, PartyId};
use regie_record::commit::{Object, Sha256Hash};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// Format of the file.
pub const FORMAT: &str = "regie-dossier/1";

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
/// Neither or both of sponsor and election; a file that cannot be written.
pub fn run(cli: &Cli, args: &DossierArgs) -> Result<ExitCode> {
    let db = RecordDb::open(&Folder::existing(&cli.folder)?.record_db())?;
    let about = match (&args.sponsor, &args.election) {
        (Some(party), None) => json!({ "sponsor": party }),
        (None, Some(name)) => json!({ "election": name }),
        _ => bail!("name one of the two: --sponsor party_3 or --election \"NAME\""),
    };
    let bar = super::progress::bar("collecting", cli.json);
    let ads = ads(&db, args.sponsor, args.election.as_deref())?;
    if ads.is_empty() {
        bail!("nothing was published about it; ids and names stand on the record's pages");
    }
    let document = document(&db, &about, &ads, &mut |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let bytes = serde_json::to_vec(&document)?;
    std::fs::write(&args.to, &bytes).with_context(|| format!("cannot write {}", args.to.display()))?;
    let hash = Sha256Hash::of(&bytes);
    if cli.json {
        println!("{}", json!({ "ads": ads.len(), "bytes": bytes.len(), "sha256": hash, "to": args.to }));
    } else {
        println!(
            "Wrote {} ads, {} bytes, to {}.\nSHA-256: {hash}",
            ads.len(),
            bytes.len(),
            args.to.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The ads that a dossier is about: all that were ever shown.
///
/// # Errors
/// SQLite's error.
pub fn ads(db: &RecordDb, sponsor: Option<PartyId>, election: Option<&str>) -> Result<Vec<AdId>> {
    let mut found = std::collections::BTreeSet::new();
    let searches: Vec<(&str, String)> = match (sponsor, election) {
        (Some(party), _) => vec![("sponsor", party.to_string()), ("payer", party.to_string())],
        (None, Some(name)) => vec![("linked", name.to_owned())],
        (None, None) => Vec::new(),
    };
    for (name, value) in searches {
        let mut query = Query { limit: 10_000, ..Query::default() };
        query.filters.add(name, &value);
        loop {
            let (ids, next) = db.search(&query)?;
            found.extend(ids);
            query.before = next;
            if next.is_none() {
                break;
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The document.
///
/// # Errors
/// SQLite's error.
pub fn document(db: &RecordDb, about: &Value, ads: &[AdId], step: &mut dyn FnMut(u64)) -> Result<Value> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut told = Vec::new();
    for (index, ad) in ads.iter().enumerate() {
        let mut versions = Vec::new();
        for version in db.versions(*ad, None)? {
            let bytes = db.leaf_bytes(version.index)?.unwrap_or_default();
            let objects: Vec<Value> = version
                .leaf
                .commitments
                .iter()
                .map(|c| match db.object(&c.sha256) {
                    Some(object) => {
                        let fits = Object::open(c.sha256, &object).is_some();
                        json!({ "part": c.part, "sha256": c.sha256, "fits": fits, "object": STANDARD.encode(object) })
                    }
                    None => json!({ "part": c.part, "sha256": c.sha256, "withheld": true }),
                })
                .collect();
            versions.push(json!({
                "index": version.index, "leaf": STANDARD.encode(&bytes), "facts": version.facts, "figures": version.leaf.figures,
                "objects": objects,
            }));
        }
        told.push(json!({ "ad": ad, "versions": versions }));
        step(index as u64 + 1);
    }
    let size = db.size()?;
    Ok(json!({ "format": FORMAT, "about": about, "log_size": size, "as_of": db.time_of(size)?, "ads": told }))
}
