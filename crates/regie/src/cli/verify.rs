//! `regie verify`: a record's log checked from outside, in plain words; `--label` and `--evidence` for single files.
//!
//! Needs no data folder. What was seen is kept in a state file, and compared the next time. Ends with 0 when everything fits,
//! 1 when something is wrong, 2 when nobody could find out. Never says "verified" without a quorum of the caller's policy.

use super::{Cli, progress};
use crate::platform::log::{
    client::{HttpSource, Roots},
    files::FolderFiles,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_record::log::{
    Checkpoint, Policy, VerifierKey,
    dossier::{self, Dossier},
    evidence::Evidence,
    mirror::folder_of,
    note::Note,
    promise::{self, Kept, SignedPromise, hold},
    read::{CHECKPOINT_PATH, Source},
    verify::{Report, Verdict, Wanted, verify},
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `regie verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Address of a log (`https://example.org/record/log`), or a folder with its files (a mirror).
    #[arg(required_unless_present_any = ["evidence", "dossier"])]
    log: Option<String>,
    /// Whom you trust: a policy file (c2sp.org/tlog-policy) with the log's key, your witnesses and the quorum.
    #[arg(long, conflicts_with = "key")]
    policy: Option<PathBuf>,
    /// Only the log's key; then the verdict is "consistent, unwitnessed" at best.
    #[arg(long)]
    key: Option<String>,
    /// File in which the checkpoint seen last is kept.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Hold the log to what this label promised (a signed promise, as JSON).
    #[arg(long)]
    label: Option<PathBuf>,
    /// Check an evidence file instead of a log.
    #[arg(long, conflicts_with_all = ["label", "state"])]
    evidence: Option<PathBuf>,
    /// Check a dossier (`regie dossier`); with a log beside it, also that the log has nothing more of its subject.
    #[arg(long, conflicts_with_all = ["label", "state", "evidence"])]
    dossier: Option<PathBuf>,
    /// Write evidence here, if there is any.
    #[arg(long, default_value = "evidence.json")]
    write_evidence: PathBuf,
    /// Certificate authorities (PEM) that `https://` trusts in place of those that browsers trust.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Leave the objects (names, creatives) unread.
    #[arg(long)]
    no_objects: bool,
}

/// The policy of a command: a file, or a bare key.
///
/// # Errors
/// Neither of the two, or one that cannot be read.
pub fn policy_of(file: Option<&Path>, key: Option<&str>) -> Result<Policy> {
    match (file, key) {
        (Some(path), _) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Policy::parse(&text)?)
        }
        (None, Some(key)) => Ok(Policy::of_log(VerifierKey::parse(key.trim())?)),
        (None, None) => bail!(
            "whom do you trust? Give --policy FILE, or --key with the log's key from somewhere else than the log itself"
        ),
    }
}

/// Where a log's files are: an address or a folder. A mirror's folder may be named by itself or by the one above it.
///
/// # Errors
/// A folder without a checkpoint; a file of authorities that has none.
pub fn source_of(text: &str, policy: &Policy, authorities: Option<&Path>) -> Result<Box<dyn Source>> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(Box::new(HttpSource::trusting(text, &Roots::of_file(authorities)?)));
    }
    let root = Path::new(text);
    let mut places = vec![root.to_path_buf(), root.join("record")];
    places.extend(policy.logs.iter().map(|log| root.join(folder_of(log.key.name()))));
    let found = places.into_iter().find(|place| place.join(CHECKPOINT_PATH).is_file());
    let place = found.with_context(|| format!("{text} has no checkpoint: it is no log or mirror"))?;
    Ok(Box::new(FolderFiles::new(&place)?))
}

/// Runs it.
///
/// # Errors
/// Files that cannot be read, a policy that is none.
pub fn run(cli: &Cli, args: &VerifyArgs) -> Result<ExitCode> {
    let policy = policy_of(args.policy.as_deref(), args.key.as_deref())?;
    if let Some(path) = &args.evidence {
        return evidence(cli, path, &policy);
    }
    if let Some(path) = &args.dossier {
        return dossier(cli, args, path, &policy);
    }
    let Some(log) = &args.log else { bail!("name a log") };
    let mut source = source_of(log, &policy, args.ca.as_deref())?;
    if let Some(path) = &args.label {
        return label(cli, args, path, &policy, &mut *source);
    }
    let state = state_of(args, &policy);
    let seen = state.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let first = seen.is_none();
    let wanted = Wanted { policy: &policy, seen, objects: !args.no_objects };
    let bar = progress::bar("verifying", cli.json);
    let mut schema = crate::platform::log::schema::Entries::default();
    let report = verify(&mut *source, &wanted, &mut schema, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    if let Some(evidence) = &report.evidence {
        std::fs::write(&args.write_evidence, evidence.to_text())?;
    }
    tell(cli, args, &report, first);
    if report.verdict() == Verdict::Broken {
        return Ok(ExitCode::from(1));
    }
    if let (Some(path), Some(note)) = (state, &report.note) {
        std::fs::write(&path, note.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The state file: as given, or one for each log in the user's own state folder.
fn state_of(args: &VerifyArgs, policy: &Policy) -> Option<PathBuf> {
    if let Some(path) = &args.state {
        return Some(path.clone());
    }
    let origin = policy.logs.first()?.key.name().to_owned();
    let home = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let dir = home.join("regie/seen");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join(folder_of(&origin)))
}

fn tell(cli: &Cli, args: &VerifyArgs, report: &Report, first: bool) {
    let verdict = report.verdict();
    let size = report.checkpoint.as_ref().map_or(0, |c| c.size);
    let witnesses: Vec<&str> = report.trust.iter().flat_map(|t| t.by()).map(|w| w.key.name()).collect();
    if cli.json {
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        println!(
            "{}",
            json!({ "verdict": verdict.to_string(), "entries": size, "kinds": report.kinds, "objects": report.objects_count,
                "withheld": report.withheld.len(), "witnesses": witnesses, "findings": findings, "more_findings": report.more_count,
                "evidence": report.evidence.is_some(), "first_look": first })
        );
        return;
    }
    println!("{}: {verdict}", args.log.as_deref().unwrap_or_default());
    if let Some(checkpoint) = &report.checkpoint {
        println!("  log       {}", checkpoint.origin);
        println!(
            "  entries   {size} ({})",
            report.kinds.iter().map(|(k, n)| format!("{n} {k}")).collect::<Vec<_>>().join(", ")
        );
        println!("  root      {}", checkpoint.root);
        println!(
            "  objects   {} as committed to, {} withheld by a tombstone",
            report.objects_count,
            report.withheld.len()
        );
        println!(
            "  witnesses {}",
            if witnesses.is_empty() { "none that you named".into() } else { witnesses.join(", ") }
        );
    }
    for (index, part, ground) in &report.withheld {
        println!("  withheld: entry {index}, part {part}, on the ground of {ground}");
    }
    for finding in &report.findings {
        println!("  WRONG: {finding}");
    }
    if report.more_count > 0 {
        println!("  and {} more", report.more_count);
    }
    if let Some(opened) = &report.continues {
        println!(
            "  It goes on from an earlier log, because: {}",
            opened.because.as_deref().unwrap_or("(no reason given)")
        );
    }
    if report.evidence.is_some() {
        println!(
            "  Proof that two histories were signed is in {}; anybody can check it with the log's key.",
            args.write_evidence.display()
        );
    }
    match verdict {
        Verdict::ConsistentUnwitnessed => println!(
            "Everything fits together{}. No quorum of witnesses of yours says that others are shown the same.",
            if first {
                ", and nothing was seen before to compare with"
            } else {
                " and goes on from what you saw before"
            }
        ),
        Verdict::Verified => {
            println!("Everything fits together, and your witnesses say that others are shown the same.")
        }
        Verdict::Broken => {}
    }
}

fn label(
    cli: &Cli,
    args: &VerifyArgs,
    path: &Path,
    policy: &Policy,
    source: &mut dyn Source,
) -> Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let signed: SignedPromise =
        serde_json::from_str(&text).context("this is no signed promise of a label")?;
    promise::open(&signed, &policy.log_keys()).context("the label's promise")?;
    let bytes = source.get(CHECKPOINT_PATH)?.context("there is no checkpoint")?;
    let (checkpoint, note): (Checkpoint, Note) = Checkpoint::open(&bytes, &policy.log_keys())?;
    let now = (crate::server::system_clock())().0;
    let entry = signed.promise.entry;
    let (code, word, words) = match hold(source, &checkpoint, &note, &signed, now)? {
        Kept::Yes(index) => (0, "kept", format!("{entry} is in the log, at place {index}.")),
        Kept::NotYetDue(due) => (
            2,
            "not_yet_due",
            format!("{entry} is not in the log yet; it was promised by {}.", regie_model::UtcMs(due)),
        ),
        Kept::Broken(evidence) => {
            std::fs::write(&args.write_evidence, evidence.to_text())?;
            let file = args.write_evidence.display();
            (
                1,
                "broken",
                format!(
                    "BROKEN: {entry} was promised by {} and is not in the log. The proof is in {file}.",
                    signed.promise.due_at()
                ),
            )
        }
    };
    if cli.json {
        println!("{}", json!({ "promise": word, "entry": entry, "words": words }));
    } else {
        println!("{words}");
    }
    Ok(ExitCode::from(code))
}

fn dossier(cli: &Cli, args: &VerifyArgs, path: &Path, policy: &Policy) -> Result<ExitCode> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = Dossier::parse(&bytes)?;
    let mut report = dossier::check(&file, policy)?;
    let mut compared = false;
    if let Some(log) = &args.log {
        let mut source = source_of(log, policy, args.ca.as_deref())?;
        let (faults, evidence) = dossier::beside(&file.document, &mut *source, &policy.log_keys())?;
        report.faults.extend(faults);
        if let Some(evidence) = evidence {
            std::fs::write(&args.write_evidence, evidence.to_text())?;
        }
        compared = true;
    }
    let fits = report.faults.is_empty();
    if cli.json {
        println!(
            "{}",
            json!({ "fits": fits, "faults": report.faults, "ads": report.ads_count, "versions": report.versions_count,
                "objects": report.objects_count, "withheld": report.withheld_count, "witnessed": report.witnessed,
                "compared_with_log": compared, "made_at": file.document.made_at, "about": file.document.about })
        );
        return Ok(ExitCode::from(u8::from(!fits)));
    }
    println!("A dossier of {}, signed by its log on {}.", file.document.origin, file.document.made_at);
    println!(
        "  {} ads, {} versions, {} objects as committed to, {} withheld by a tombstone",
        report.ads_count, report.versions_count, report.objects_count, report.withheld_count
    );
    for fault in &report.faults {
        println!("  WRONG: {fault}");
    }
    if fits {
        println!("Every version stands in the log, none is left out between two, and every object fits.");
        println!(
            "{}",
            match compared {
                true => "The log has nothing more of it, up to when the dossier was made.",
                false => "Name the log or a mirror too, and it is compared whether the log has more.",
            }
        );
    }
    Ok(ExitCode::from(u8::from(!fits)))
}

fn evidence(cli: &Cli, path: &Path, policy: &Policy) -> Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (proved, words) = match Evidence::parse(&text)?.check(&policy.log_keys()) {
        Ok(words) => (true, words),
        Err(error) => (false, error.to_string()),
    };
    if cli.json {
        println!("{}", json!({ "proved": proved, "words": words }));
    } else {
        println!("{}{words}", if proved { "PROVED: " } else { "Not proved: " });
    }
    Ok(ExitCode::from(u8::from(!proved)))
}
