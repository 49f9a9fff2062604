//! `regie replay`: real logged traffic through the ordinary HTTP API of a running server, and a comparison, item by
//! item, of what Regie's own report says with what the file says. No route exists for replay alone.

mod bookings;
mod client;
pub mod log;

use super::{Cli, progress};
use anyhow::{Context, Result, bail};
use bookings::{Booked, Pricing};
use clap::Args;
use client::{Child, Client};
use log::{LoggedRow, TicketFile};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Rows sent in one batch of decisions; their impressions and clicks fit into one beacon.
const CHUNK_ROWS: usize = 32;

/// Arguments of `regie replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Logs of the Open Bandit data set (`random_all.csv.gz`, `bts_men.csv` ...).
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    open_bandit: Vec<PathBuf>,
    /// Address of a running server; without one, a server of our own is started on a fresh data folder for each file.
    #[arg(long, requires = "token")]
    server: Option<String>,
    /// Token for that server with the scopes read, book and operate.
    #[arg(long, env = "REGIE_TOKEN")]
    token: Option<String>,
    /// Kill our own server with SIGKILL half-way, and start it again.
    #[arg(long, conflicts_with = "server")]
    kill_half_way: bool,
    /// Send every event a second time at the end.
    #[arg(long)]
    send_again: bool,
    /// Print every row of the comparison, not only the sums.
    #[arg(long)]
    table: bool,
}

/// Runs it.
///
/// # Errors
/// A file that is not of the format, a server that does not answer, or a difference at the end.
pub fn run(cli: &Cli, args: &ReplayArgs) -> Result<ExitCode> {
    if args.server.is_some() && args.open_bandit.len() > 1 {
        bail!("with --server, give one file: each file wants a fresh data folder");
    }
    let mut equal = true;
    for file in &args.open_bandit {
        equal &= replay_file(cli, args, file)?;
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What one item at one position counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    impressions: u64,
    clicks: u64,
    spend_nanos: i128,
}

fn replay_file(cli: &Cli, args: &ReplayArgs, file: &Path) -> Result<bool> {
    let name = file
        .file_name()
        .map(|n| n.to_string_lossy().split('.').next().unwrap_or("log").to_owned())
        .unwrap_or_default();
    let rows = log::read(file).with_context(|| format!("reading {}", file.display()))?;
    let folder = cli.folder.join(format!("replay-{name}"));
    let mut child = None;
    let mut client = match (&args.server, &args.token) {
        (Some(url), Some(token)) => Client::new(url, token),
        _ => {
            let token = client::prepare_folder(&folder)?;
            let started = Child::start(&folder)?;
            let client = Client::new(&started.url, &token);
            child = Some(started);
            client
        }
    };
    std::fs::create_dir_all(&folder)?;
    let mut tickets = TicketFile::open(&folder.join("tickets.tsv"))?;
    let booked = bookings::book(&mut client, &folder.join("bookings.json"), &name, &rows)?;
    send(cli, args, &mut client, &mut child, &booked, &rows, &mut tickets)?;
    if args.send_again {
        send_events_again(cli, &mut client, &rows, &tickets)?;
    }
    let wanted = count_file(&rows);
    let got = count_report(&mut client, &booked)?;
    let equal = wanted == got;
    print_comparison(cli, args, &name, &wanted, &got);
    if let Some(child) = child {
        child.stop()?;
    }
    Ok(equal)
}

/// Sends every row: its decision, its impression, its click. Rows whose ticket is known are not decided again.
fn send(
    cli: &Cli,
    args: &ReplayArgs,
    client: &mut Client,
    child: &mut Option<Child>,
    booked: &Booked,
    rows: &[LoggedRow],
    tickets: &mut TicketFile,
) -> Result<()> {
    let bar = progress::bar("replaying", cli.json);
    bar.set_length(rows.len() as u64);
    let half = rows.len() / 2 / CHUNK_ROWS;
    let mut killer = None;
    for (index, chunk) in rows.chunks(CHUNK_ROWS).enumerate() {
        if args.kill_half_way && index == half {
            // From another thread, so that it strikes while requests are under way.
            killer = child.take().map(Child::kill_soon_and_restart);
        }
        let missing: Vec<&LoggedRow> = chunk.iter().filter(|row| tickets.get(row.index).is_none()).collect();
        if !missing.is_empty() {
            let requests: Vec<_> = missing.iter().map(|row| booked.request(row)).collect();
            let answer = client.post("/v1/decisions/batch", &json!({ "requests": requests }))?;
            for (row, answer) in missing.iter().zip(answer["answers"].as_array().into_iter().flatten()) {
                let ad = &answer["decisions"][0]["ad"];
                let Some(ticket) = ad["ticket"].as_str() else {
                    bail!("row {} got no ad: {}", row.index, answer["decisions"][0]["no_fill"]);
                };
                if ad["ad_set"].as_str() != booked.ad_sets.get(&row.item).map(String::as_str) {
                    bail!(
                        "row {} was logged with item {}, but {} was shown",
                        row.index,
                        row.item,
                        ad["ad_set"]
                    );
                }
                tickets.put(row.index, ticket)?;
            }
        }
        send_events(client, chunk, tickets)?;
        bar.inc(chunk.len() as u64);
        if killer.as_ref().is_some_and(|k| k.is_finished()) {
            *child = Some(join(killer.take())?);
        }
    }
    if killer.is_some() {
        *child = Some(join(killer)?);
    }
    bar.finish_and_clear();
    Ok(())
}

fn join(killer: Option<std::thread::JoinHandle<Result<Child>>>) -> Result<Child> {
    let killer = killer.context("no server was to be killed")?;
    killer.join().map_err(|_| anyhow::anyhow!("the thread that kills the server panicked"))?
}

fn send_events(client: &mut Client, rows: &[LoggedRow], tickets: &TicketFile) -> Result<()> {
    let mut events = Vec::new();
    for row in rows {
        let ticket = tickets.get(row.index).with_context(|| format!("row {} has no ticket", row.index))?;
        events.push(json!({ "kind": "impression", "ticket": ticket }));
        if row.clicked {
            events.push(json!({ "kind": "click", "ticket": ticket }));
        }
    }
    let answer = client.post("/v1/events", &json!({ "events": events }))?;
    if answer["accepted_count"].as_u64() != Some(events.len() as u64) {
        bail!("some events were refused: {}", answer["refused"]);
    }
    Ok(())
}

fn send_events_again(cli: &Cli, client: &mut Client, rows: &[LoggedRow], tickets: &TicketFile) -> Result<()> {
    let bar = progress::bar("sending everything again", cli.json);
    bar.set_length(rows.len() as u64);
    for chunk in rows.chunks(CHUNK_ROWS) {
        send_events(client, chunk, tickets)?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn count_file(rows: &[LoggedRow]) -> BTreeMap<(u32, u32), Count> {
    let mut counts: BTreeMap<(u32, u32), Count> = BTreeMap::new();
    for row in rows {
        let count = counts.entry((row.item, row.position)).or_default();
        count.impressions += 1;
        count.clicks += u64::from(row.clicked);
        count.spend_nanos += match Pricing::of(row.item) {
            Pricing::Cpm => bookings::CPM_NANOS,
            Pricing::Cpc if row.clicked => bookings::CPC_NANOS,
            Pricing::Cpc => 0,
        };
    }
    counts
}

fn count_report(client: &mut Client, booked: &Booked) -> Result<BTreeMap<(u32, u32), Count>> {
    let path =
        format!("/v1/reports?by=ad_set,placement&campaign={}&from=2000-01-01&format=json", booked.campaign);
    let report = client.get(&path)?;
    let items: BTreeMap<&str, u32> = booked.ad_sets.iter().map(|(item, id)| (id.as_str(), *item)).collect();
    let places: BTreeMap<&str, u32> =
        booked.placements.iter().map(|(position, id)| (id.as_str(), *position)).collect();
    let mut counts = BTreeMap::new();
    for row in report["rows"].as_array().context("the report has no rows")? {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let number = |name: &str| {
            row[name].as_i64().or_else(|| row[name].as_str().and_then(|t| t.parse().ok())).unwrap_or(0)
        };
        let item = *items
            .get(text("ad_set"))
            .with_context(|| format!("the report names an unknown ad set: {row}"))?;
        let position = *places
            .get(text("placement"))
            .with_context(|| format!("the report names an unknown placement: {row}"))?;
        let count = Count {
            impressions: number("impressions_count") as u64,
            clicks: number("clicks_count") as u64,
            spend_nanos: i128::from(number("gross_nanos")),
        };
        if count != Count::default() {
            counts.insert((item, position), count);
        }
    }
    Ok(counts)
}

fn print_comparison(
    cli: &Cli,
    args: &ReplayArgs,
    name: &str,
    wanted: &BTreeMap<(u32, u32), Count>,
    got: &BTreeMap<(u32, u32), Count>,
) {
    let keys: std::collections::BTreeSet<_> = wanted.keys().chain(got.keys()).copied().collect();
    let at = |counts: &BTreeMap<(u32, u32), Count>, key| counts.get(&key).copied().unwrap_or_default();
    let different: Vec<_> = keys.iter().filter(|key| at(wanted, **key) != at(got, **key)).collect();
    let sum = |counts: &BTreeMap<(u32, u32), Count>| {
        counts.values().fold(Count::default(), |s, c| Count {
            impressions: s.impressions + c.impressions,
            clicks: s.clicks + c.clicks,
            spend_nanos: s.spend_nanos + c.spend_nanos,
        })
    };
    let (all, ours) = (sum(wanted), sum(got));
    let money = |nanos: i128| regie_model::Nanos(nanos).display(regie_model::Currency::EUR, 4);
    if cli.json {
        let rows = keys.iter().map(|key| {
            let (file, report) = (at(wanted, *key), at(got, *key));
            json!({ "item": key.0, "position": key.1, "equal": file == report,
                "file": { "impressions": file.impressions, "clicks": file.clicks, "spend_nanos": file.spend_nanos as i64 },
                "report": { "impressions": report.impressions, "clicks": report.clicks, "spend_nanos": report.spend_nanos as i64 } })
        });
        let rows: Vec<_> = rows.collect();
        println!(
            "{}",
            json!({ "log": name, "equal": different.is_empty(), "compared": keys.len(), "different": different.len(),
            "impressions": ours.impressions, "clicks": ours.clicks, "spend_nanos": ours.spend_nanos as i64, "rows": rows })
        );
        return;
    }
    println!(
        "{name}: items with an even number are priced by CPM (EUR 2.00), those with an odd one by CPC (EUR 0.25)"
    );
    println!(
        "{:>5} {:>8} {:>7} {:>12} {:>12} {:>7} {:>7} {:>12} {:>12}",
        "item",
        "position",
        "pricing",
        "impressions",
        "(report)",
        "clicks",
        "(report)",
        "spend EUR",
        "(report)"
    );
    for key in keys.iter().filter(|key| args.table || different.contains(key)) {
        let (file, report) = (at(wanted, *key), at(got, *key));
        println!(
            "{:>5} {:>8} {:>7} {:>12} {:>12} {:>7} {:>7} {:>12} {:>12}{}",
            key.0,
            key.1,
            Pricing::of(key.0).word(),
            file.impressions,
            report.impressions,
            file.clicks,
            report.clicks,
            money(file.spend_nanos),
            money(report.spend_nanos),
            if file == report { "" } else { "   DIFFERENT" }
        );
    }
    println!(
        "{:>5} {:>8} {:>7} {:>12} {:>12} {:>7} {:>7} {:>12} {:>12}",
        "all",
        "all",
        "",
        all.impressions,
        ours.impressions,
        all.clicks,
        ours.clicks,
        money(all.spend_nanos),
        money(ours.spend_nanos)
    );
    match different.len() {
        0 => println!("Equal on all {} items and positions.", keys.len()),
        count => println!("DIFFERENT on {count} of {} items and positions.", keys.len()),
    }
}
