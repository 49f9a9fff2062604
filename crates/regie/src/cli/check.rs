//! `regie check`: the journal's chain is readable, and the folds rebuild to the same balances (law B2).

use super::{Cli, progress};
use crate::platform::{folder::Folder, folds::Folds, state_db::StateDb};
use anyhow::{Context, Result, bail};
use clap::Args;
use regie_journal::{JournalReader, Position};
use regie_model::UtcMs;
use std::{process::ExitCode, time::Instant};

/// Arguments of `regie check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Read archived segments too.
    #[arg(long)]
    full: bool,
}

/// Runs it.
///
/// # Errors
/// The first fault found.
pub fn run(cli: &Cli, args: &CheckArgs) -> Result<ExitCode> {
    let folder = Folder::existing(&cli.folder)?;
    let bar = progress::bar("reading the chain", cli.json);
    let mut seen = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let report =
        regie_journal::verify(&folder.journal(), args.full, &mut seen).context("the journal's chain")?;
    bar.finish_and_clear();

    let bar = progress::bar("rebuilding the folds", cli.json);
    bar.set_length(report.head.0);
    let state = StateDb::open(&folder.state_db())?;
    let stored = Folds::restore(&state)?;
    let stored_at = stored.position();
    let started = Instant::now();
    let mut folds = Folds::empty();
    let mut differs = None;
    if stored_at == 0 && stored.ledger.state_hash() != folds.ledger.state_hash() {
        differs = Some(0);
    }
    let mut reader = JournalReader::open(&folder.journal(), Position(0))?;
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records() {
            folds.apply_loading(record.position.0, UtcMs(record.at_ms), record.payload, &state)?;
            if record.position.0 == stored_at && folds.ledger.state_hash() != stored.ledger.state_hash() {
                differs = Some(stored_at);
            }
        }
        bar.set_position(batch.last().0);
    }
    bar.finish_and_clear();
    if let Some(law) = &folds.broken {
        bail!("{law}");
    }
    if stored_at > folds.position() {
        bail!("state.db has read up to record {stored_at}, but the journal ends at {}", folds.position());
    }
    if let Some(at) = differs {
        bail!(
            "law B2 is broken: state.db at record {at} is not what the journal folds to; delete state.db to rebuild it, and report this"
        );
    }
    let wrong = compare_rollups(&state, &mut folds)?;
    if let Some(wrong) = wrong {
        bail!("law B2 is broken: {wrong}");
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = folds.position() as f64 / seconds.max(1e-9);
    if cli.json {
        println!(
            "{}",
            serde_json::json!({ "ok": true, "records": folds.position(), "state_checked_at": stored_at,
                "rebuild_records_per_s": rate, "full": args.full })
        );
    } else {
        println!("The journal's chain is sound: {} records.", folds.position());
        println!("The folds rebuild to the same balances (compared at record {stored_at}).");
        println!("Rebuilt {} records in {seconds:.2} s: {rate:.0} events/s (bar 500,000).", folds.position());
    }
    Ok(ExitCode::SUCCESS)
}

/// Report totals of `state.db` against the rebuilt ones, where both have read equally far.
fn compare_rollups(state: &StateDb, folds: &mut Folds) -> Result<Option<String>> {
    if state.rollups_position()? != folds.position() {
        return Ok(None);
    }
    let mut rebuilt: std::collections::BTreeMap<(i64, u32), [i128; 5]> = Default::default();
    for ((hour, key), c) in folds.ledger.take_rollups() {
        let row = rebuilt.entry((hour.0, key.ad_set.0)).or_default();
        let adds = [c.served_count, c.impressions_count, c.viewable_count, c.clicks_count];
        adds.iter().zip(row.iter_mut()).for_each(|(add, sum)| *sum += i128::from(*add));
        row[4] += c.gross_nanos.0;
    }
    let sql = "SELECT hour, ad_set, sum(served), sum(impressions), sum(viewable), sum(clicks), sum(spend_nanos) FROM rollups GROUP BY hour, ad_set";
    let mut statement = state.connection().prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let key = (row.get::<_, i64>(0)?, row.get::<_, u32>(1)?);
        let mut stored = [0i128; 5];
        for (index, value) in stored.iter_mut().enumerate() {
            *value = i128::from(row.get::<_, i64>(index + 2)?);
        }
        if rebuilt.get(&key) != Some(&stored) {
            let want = rebuilt.get(&key);
            return Ok(Some(format!(
                "reports of hour {} ad set {}: stored {stored:?}, rebuilt {want:?}",
                key.0, key.1
            )));
        }
    }
    Ok((count != rebuilt.len())
        .then(|| format!("{count} report rows are stored, {} are rebuilt", rebuilt.len())))
}
