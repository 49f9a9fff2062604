//! `regie audit`: a payer's check of an invoice against the public log, without the server.

use super::{Cli, verify::policy_of};
use anyhow::{Context, Result};
use clap::Args;
use regie_record::log::audit::audit;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `regie audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The audit file that came with the invoice.
    #[arg(long)]
    invoice: PathBuf,
    /// Whom you trust: a policy file (c2sp.org/tlog-policy).
    #[arg(long, conflicts_with = "key")]
    policy: Option<PathBuf>,
    /// Only the log's key.
    #[arg(long)]
    key: Option<String>,
    /// What you were really asked for, without tax, in 10^-6 of a unit.
    #[arg(long)]
    paid_micros: Option<i64>,
}

/// Runs it. Ends with 0 when everything agrees, 1 when something differs.
///
/// # Errors
/// A file that is none, an invoice that the log has not signed.
pub fn run(cli: &Cli, args: &AuditArgs) -> Result<ExitCode> {
    let policy = policy_of(args.policy.as_deref(), args.key.as_deref())?;
    let path = &args.invoice;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report = audit(&text, &policy, args.paid_micros)?;
    let agrees = report.differences.is_empty();
    if cli.json {
        println!(
            "{}",
            json!({ "agrees": agrees, "differences": report.differences, "is_evidence": report.is_evidence,
                "days": report.days_count, "events": report.events_count, "witnessed": report.witnessed })
        );
        return Ok(ExitCode::from(u8::from(!agrees)));
    }
    println!(
        "{} days and {} billing events are in the public log as the invoice has them.",
        report.days_count, report.events_count
    );
    if !report.witnessed {
        println!("No quorum of witnesses of yours says that others are shown the same log.");
    }
    for difference in &report.differences {
        println!("DIFFERS: {difference}");
    }
    match (agrees, report.is_evidence) {
        (true, _) => println!(
            "The invoice asks for what was published. (That a person saw the ads is not proved by this.)"
        ),
        (false, true) => {
            println!("The publisher signed both sides of this: {} is evidence as it is.", path.display())
        }
        (false, false) => {
            println!("Not all of this was signed by the publisher as it stands; ask for the file again.")
        }
    }
    Ok(ExitCode::from(u8::from(!agrees)))
}
