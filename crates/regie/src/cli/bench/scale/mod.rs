//! `regie bench --scale`: what the reference campaign asks for, on this machine: decisions in process at several sizes,
//! memory and start of a real server with millions of versions, decisions while the catalogue is edited.

mod decisions;
mod edits;
mod folder;
mod world;

use super::{Row, setup::Cleanup};
use crate::cli::{Cli, progress};
use anyhow::Result;
use clap::Args;
use world::Plan;

/// Arguments of `regie bench --scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Measure decisions, memory, start and edits at the scale of millions of versions, in place of the usual rows.
    #[arg(long)]
    pub scale: bool,
    /// Sizes of the catalogue, in ad sets, for decisions in process.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    sizes: Vec<u32>,
    /// Versions uploaded, spread over the ad sets of the real server.
    #[arg(long, default_value_t = 5_900_000)]
    versions: u32,
    /// Ad sets of the real server; 0 leaves the server out.
    #[arg(long, default_value_t = 100_000)]
    server_ad_sets: u32,
    /// Events behind the image at the measured start.
    #[arg(long, default_value_t = 1_000_000)]
    tail: u32,
    /// Decisions measured for each row.
    #[arg(long, default_value_t = 100_000)]
    decisions: usize,
}

/// Measures and gives the rows.
///
/// # Errors
/// A folder that cannot be written; a server that does not come up.
pub fn run(cli: &Cli, args: &ScaleArgs) -> Result<Vec<Row>> {
    let bar = progress::bar("deciding", cli.json);
    bar.set_length(args.sizes.len() as u64);
    let mut rows = Vec::new();
    let mut median = None;
    for ad_sets in &args.sizes {
        // The reference row has every version; the others say that it is not their number that counts.
        let versions = if *ad_sets == 100_000 { args.versions } else { ad_sets.saturating_mul(4) };
        let plan = Plan { ad_sets: *ad_sets, versions, seed: 42 };
        rows.extend(decisions::rows(&plan, &mut median, args.decisions)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.server_ad_sets > 0 {
        let folder = std::env::temp_dir().join(format!("regie-bench-scale-{}", std::process::id()));
        let _cleanup = Cleanup(folder.clone());
        let plan = Plan { ad_sets: args.server_ad_sets, versions: args.versions, seed: 42 };
        rows.extend(folder::rows(cli, &folder, &plan, args.tail)?);
        rows.extend(edits::rows(cli, &folder, args.decisions)?);
    }
    Ok(rows)
}
