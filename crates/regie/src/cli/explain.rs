//! `regie explain`: for a decision whose inputs were kept (law D1), takes it again and gives every reason.

use super::Cli;
use crate::platform::{deciding::KeptInputs, folder::Folder, objects::Objects, state_db::StateDb};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_decide::{Snapshot, Tables};
use regie_journal::{JournalReader, Position};
use regie_model::{catalogue::Catalogue, creative::ObjectHash, event::Event, ticket::TicketId};
use std::process::ExitCode;

/// Arguments of `regie explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Decision id as the answer gave it: EPOCH-SEQUENCE.
    decision: String,
}

/// Runs it.
///
/// # Errors
/// What is missing, in words.
pub fn run(cli: &Cli, args: &ExplainArgs) -> Result<ExitCode> {
    let id: TicketId = args.decision.parse().map_err(anyhow::Error::msg)?;
    let folder = Folder::existing(&cli.folder)?;
    let kept = find(&folder, id)?;
    let (explanation, same) = again(&folder, &kept)?;
    if cli.json {
        println!(
            "{}",
            serde_json::json!({ "decision": id.to_string(), "same_as_recorded": same, "explanation": explanation })
        );
    } else {
        print!("{}", to_text(&explanation));
        println!(
            "{}",
            if same {
                "Taken again from its recorded inputs: the same decision, byte for byte."
            } else {
                "Taken again from its recorded inputs, it came out DIFFERENT: law D1 is broken; please report this."
            }
        );
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An explanation in plain lines.
pub fn to_text(explanation: &regie_decide::Explanation) -> String {
    use regie_decide::Verdict;
    use std::fmt::Write;
    let mut text = String::new();
    for place in &explanation.placements {
        let _ = writeln!(text, "{}:", place.placement);
        for set in &place.ad_sets {
            let mark = if matches!(set.verdict, Verdict::Won) { "shown" } else { "not shown" };
            let _ = writeln!(text, "  {:<9} {:<10} {}", mark, set.ad_set.to_string(), set.sentence);
        }
    }
    text
}

/// The recorded inputs of a decision.
///
/// # Errors
/// That its inputs were not kept.
pub fn find(folder: &Folder, id: TicketId) -> Result<KeptInputs> {
    let state = StateDb::open(&folder.state_db())?;
    let sql = "SELECT position FROM samples WHERE epoch = ?1 AND sequence = ?2";
    let position: Option<i64> = state
        .connection()
        .query_row(sql, (id.epoch, id.sequence as i64), |r| r.get(0))
        .map(Some)
        .or_else(|e| if e == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(e) })?;
    let Some(position) = position else {
        bail!(
            "the inputs of decision {id} were not kept: missing are its request, time, seed, frequency view and the budget gate's refusals. \
             Every political decision and a share of all others (setting sample_ppm, 1% by default) is kept; \
             for what would happen now, ask POST /v1/decisions?explain=1 as a signed-in operator."
        );
    };
    let mut reader = JournalReader::open(&folder.journal(), Position(position as u64 - 1))?;
    let batch = reader.next_batch()?.context("the journal ends before the recorded inputs")?;
    let record =
        batch.records().find(|r| r.position.0 == position as u64).context("the recorded inputs are gone")?;
    let Event::Sampled(sample) = Event::decode(record.payload)? else {
        bail!("record {position} holds no decision's inputs")
    };
    Ok(serde_json::from_value(sample.inputs)?)
}

/// Takes a decision again; whether it came out the same.
///
/// # Errors
/// What is missing of its inputs.
pub fn again(folder: &Folder, kept: &KeptInputs) -> Result<(regie_decide::Explanation, bool)> {
    let objects = Objects::new(&folder.objects());
    let tables = match objects.get(&kept.tables) {
        Some(bytes) => {
            let mut named = |hash: &ObjectHash| objects.get(hash).map(|bytes| bytes.to_vec());
            Tables::fetch(&bytes, &mut named)
                .context("the pacing, rate or learned tables are damaged or gone")?
        }
        None => bail!(
            "the pacing and rate tables of this decision (object {}) are gone: they are kept for the replay period only",
            kept.tables
        ),
    };
    let snapshot = Snapshot::build(&catalogue_at(folder, kept.snapshot)?, kept.snapshot);
    let tables = tables.align(&snapshot);
    let decision = regie_decide::decide(&snapshot, &tables, &kept.request, &kept.gate, &mut |_, _| {});
    let explanation = regie_decide::explain(&snapshot, &tables, &kept.request, &kept.gate);
    Ok((explanation, decision == kept.decision))
}

/// The catalogue as it was at a journal position.
fn catalogue_at(folder: &Folder, position: u64) -> Result<Catalogue> {
    let mut catalogue = Catalogue::new();
    let mut reader = JournalReader::open(&folder.journal(), Position(0))?;
    while let Some(batch) = reader.next_batch()? {
        if batch.first().0 > position {
            break;
        }
        for record in batch.records().filter(|r| r.position.0 <= position) {
            if let Event::Booked(booked) = Event::decode(record.payload)? {
                catalogue.apply(booked.at, &booked.change);
            }
        }
    }
    Ok(catalogue)
}
