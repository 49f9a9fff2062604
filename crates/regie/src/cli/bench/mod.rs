//! `regie bench`: first figures of this machine, each beside its bar. Server and generator are two processes; figures
//! are per CPU-second of the server, next to a bare echo of the same bytes on the same HTTP stack in one run.

mod load;
mod pages;
mod scale;
mod search;
mod setup;

pub use setup::cpu_s;

use super::{Cli, progress};
use anyhow::{Context, Result};
use clap::Args;
use load::{Load, Measured};
use serde_json::{Value, json};
use setup::{Prepared, Process};
use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Turns of echo, single decisions and batches.
const TURNS: usize = 5;

/// Arguments of `regie bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Ad sets booked: one run of the HTTP rows for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 100_000])]
    ad_sets: Vec<u32>,
    /// Seconds of load for each row.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of the generator.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Connections for beacons of one event each, which wait for the disk.
    #[arg(long, default_value_t = 64)]
    beacon_connections: usize,
    #[command(flatten)]
    scale: scale::ScaleArgs,
    /// Measure search in a record of so many ads, and nothing else.
    #[arg(long, value_name = "ADS")]
    record_search: Option<u32>,
    /// Measure how fast a server logs the facts of so many ads, and nothing else.
    #[arg(long, value_name = "ADS")]
    record_facts: Option<u32>,
    /// Measure every page's first byte and weight on the demo's data, and nothing else.
    #[arg(long)]
    pages: bool,
    /// Simulated visitors a second while pages are measured.
    #[arg(long, default_value_t = 4.0, requires = "pages")]
    visitors: f64,
    /// Run as the bare echo (used by the benchmark itself).
    #[arg(long, hide = true)]
    echo: Option<usize>,
}

/// One figure with its bar.
struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    bar: Option<Bar>,
    note: String,
}

/// How fast a server logs the facts of the ads that wait for it; none where no ad waits.
fn logged(server: &Process, mut each: impl FnMut(u64)) -> Result<Option<Row>> {
    let started = Instant::now();
    let mut first = 0;
    server.wait_logged(|waiting| {
        first = first.max(waiting);
        each(waiting);
    })?;
    Ok((first > 0).then(|| Row {
        what: "facts logged after the start".into(),
        figure: first as f64 / started.elapsed().as_secs_f64(),
        unit: "ads/s",
        bar: Some(Bar::AtLeast(1_000.0)),
        note: format!("{first} ads"),
    }))
}

/// A server that begins with so many ads whose facts are not logged.
fn record_facts(cli: &Cli, count: u32) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("regie-bench-facts-{}", std::process::id()));
    let _cleanup = setup::Cleanup(folder.clone());
    let bar = progress::bar("booking", cli.json);
    setup::prepare(&folder, count)?;
    let server = Process::serve(&folder)?;
    bar.set_message("logging facts");
    bar.set_length(u64::from(count));
    let row = logged(&server, |waiting| bar.set_position(u64::from(count).saturating_sub(waiting)))?;
    bar.finish_and_clear();
    let cpu_s = server.cpu_s()?;
    server.stop()?;
    let cpu = Row {
        what: "the server's CPU time for it, its start included".into(),
        figure: cpu_s,
        unit: "CPU-s",
        bar: None,
        note: String::new(),
    };
    Ok(row.into_iter().chain([cpu]).collect())
}

/// What a figure should reach.
#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}
impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bar::AtLeast(bar) => write!(f, ">= {bar}"),
            Bar::AtMost(bar) => write!(f, "<= {bar}"),
        }
    }
}

/// Runs it.
///
/// # Errors
/// When a server does not come up, or answers what it should not.
pub fn run(cli: &Cli, args: &BenchArgs) -> Result<ExitCode> {
    if let Some(bytes) = args.echo {
        super::runtime(0)?.block_on(setup::echo(bytes))?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.scale.scale {
        print(cli, &scale::run(cli, &args.scale)?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.pages {
        let bar = progress::bar("measuring pages", cli.json);
        let rows = pages::measure(args.visitors, &mut |what| bar.set_message(what.to_owned()))?;
        bar.finish_and_clear();
        print(cli, &rows);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(count) = args.record_search {
        let bar = progress::bar("filling a record", cli.json);
        bar.set_length(u64::from(count));
        let rows = search::measure(count, &mut |done| bar.set_position(done))?;
        bar.finish_and_clear();
        print(cli, &rows);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(count) = args.record_facts {
        print(cli, &record_facts(cli, count)?);
        return Ok(ExitCode::SUCCESS);
    }
    let bar = progress::bar("measuring", cli.json);
    bar.set_length(args.ad_sets.len() as u64 * 3 + 3);
    let mut rows = Vec::new();
    for (index, ad_sets) in args.ad_sets.iter().enumerate() {
        let folder = std::env::temp_dir().join(format!("regie-bench-{}-{ad_sets}", std::process::id()));
        let _cleanup = setup::Cleanup(folder.clone());
        bar.set_message(format!("booking {ad_sets} ad sets"));
        let prepared = setup::prepare(&folder, *ad_sets)?;
        bar.inc(1);
        bar.set_message(format!("deciding among {ad_sets} ad sets"));
        let server = Process::serve(&folder)?;
        // An ad is shown once its facts are logged; what is measured comes after.
        rows.extend(logged(&server, |waiting| {
            bar.set_message(format!("{waiting} ads wait for the record's log"));
        })?);
        bar.set_message(format!("deciding among {ad_sets} ad sets"));
        rows.extend(decisions(args, *ad_sets, &server, &prepared)?);
        bar.inc(1);
        // Beacons do not depend on how much is booked: once is enough.
        if index == 0 {
            bar.set_message("beacons");
            rows.extend(events(args, &server, &prepared)?);
            bar.inc(1);
            rows.extend(single_events(args, &server, &prepared)?);
            bar.inc(1);
        }
        let resident = server.resident_bytes()? as f64 / (1 << 20) as f64;
        rows.push(Row {
            what: "server's resident memory".into(),
            figure: resident,
            unit: "MiB",
            bar: None,
            note: format!("{ad_sets} ad sets"),
        });
        server.stop()?;
        bar.inc(1);
        if index == 0 {
            bar.set_message("rebuilding");
            rows.push(rebuild(&folder)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    print(cli, &rows);
    Ok(ExitCode::SUCCESS)
}

fn load(args: &BenchArgs) -> Load {
    Load { connections: args.connections, duration: Duration::from_secs(args.seconds) }
}

fn per_cpu(measured: &Measured) -> f64 {
    measured.answers as f64 / measured.server_cpu_s.max(1e-9)
}

/// The middle one of the turns' figures: what else the machine does meets all that is measured in turns alike.
fn middle<T>(turns: &[T], figure: &dyn Fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = turns.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn decisions(args: &BenchArgs, ad_sets: u32, server: &Process, prepared: &Prepared) -> Result<Vec<Row>> {
    let body = prepared.decision_body(1);
    let answer = server.post("/v1/decisions", &body)?;
    let parsed: Value = serde_json::from_slice(&answer).context("a decision answered no JSON")?;
    anyhow::ensure!(parsed["decisions"][0]["ad"].is_object(), "the benchmark's request got no ad: {parsed}");
    let echo = Process::echo(answer.len())?;
    let batch = prepared.batch_body(16);
    // In turns, and the median of the turns.
    let slice = Load { duration: load(args).duration / TURNS as u32, ..load(args) };
    let mut turns = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let bare = slice.run(&echo, "/v1/decisions", &body)?;
        let decided = slice.run(server, "/v1/decisions", &body)?;
        let batched = slice.run(server, "/v1/decisions/batch", &batch)?;
        turns.push((bare, decided, batched));
    }
    echo.stop()?;
    let (bare_rate, rate) = (middle(&turns, &|t| per_cpu(&t.0)), middle(&turns, &|t| per_cpu(&t.1)));
    let batch_rate = middle(&turns, &|t| per_cpu(&t.2) * 16.0);
    let against_echo = middle(&turns, &|t| per_cpu(&t.1) / per_cpu(&t.0));
    let against_single = middle(&turns, &|t| per_cpu(&t.2) * 16.0 / per_cpu(&t.1));
    let Some((bare, decided, _)) = turns.last() else { return Ok(Vec::new()) };
    let latency = |m: &Measured| {
        format!("p50 {:.2} ms, p99 {:.2} ms at {} connections", m.p50_ms, m.p99_ms, args.connections)
    };
    Ok(vec![
        Row {
            what: "bare echo of the same bytes".into(),
            figure: bare_rate,
            unit: "answers per server CPU-s",
            bar: None,
            note: latency(bare),
        },
        Row {
            what: "HTTP decisions, one placement".into(),
            figure: rate,
            unit: "decisions per server CPU-s",
            bar: None,
            note: latency(decided),
        },
        Row {
            what: "decisions against the echo".into(),
            figure: 100.0 * against_echo,
            unit: "%",
            bar: Some(Bar::AtLeast(if ad_sets <= 1_000 { 75.0 } else { 55.0 })),
            note: format!("{ad_sets} ad sets"),
        },
        Row {
            what: "batch of 16 against single".into(),
            figure: against_single,
            unit: "x",
            bar: Some(Bar::AtLeast(if ad_sets <= 1_000 { 4.0 } else { 2.0 })),
            note: format!("{batch_rate:.0} decisions per server CPU-s"),
        },
    ])
}

fn events(args: &BenchArgs, server: &Process, prepared: &Prepared) -> Result<Vec<Row>> {
    let beacons = prepared.beacons(server, 4_000)?;
    let count = beacons.len() * setup::BEACON_EVENTS;
    let measured = load(args).run_list(server, "/v1/events", beacons)?;
    let rate = count as f64 / measured.wall_s;
    let note = format!(
        "{count} impressions in beacons of {}; server {:.2} CPU-s, generator {:.2} CPU-s; p99 {:.1} ms",
        setup::BEACON_EVENTS,
        measured.server_cpu_s,
        measured.own_cpu_s,
        measured.p99_ms
    );
    Ok(vec![Row {
        what: "durable impressions acknowledged".into(),
        figure: rate,
        unit: "events/s",
        bar: Some(Bar::AtLeast(100_000.0)),
        note,
    }])
}

/// Beacons of one event each: what a page sends. Each answer waits until its event is durable. In turns with the echo.
fn single_events(args: &BenchArgs, server: &Process, prepared: &Prepared) -> Result<Vec<Row>> {
    let whole = Load { connections: args.beacon_connections, ..load(args) };
    let slice = Load { duration: whole.duration / TURNS as u32, ..whole };
    let (warm, mut beacons) =
        (prepared.single_beacons(server, 64)?, prepared.single_beacons(server, 200_000)?);
    let answer = server.post("/v1/events", &warm[0])?;
    let echo = Process::echo(answer.len())?;
    let mut turns = Vec::with_capacity(TURNS);
    let each = beacons.len() / TURNS;
    for _ in 0..TURNS {
        let some = beacons.split_off(beacons.len() - each);
        let bare = slice.run(&echo, "/v1/decisions", &some[0])?;
        turns.push((bare, slice.run_list(server, "/v1/events", some)?));
    }
    echo.stop()?;
    let (bare_rate, rate) = (middle(&turns, &|t| per_cpu(&t.0)), middle(&turns, &|t| per_cpu(&t.1)));
    let note = format!(
        "{rate:.0} against {bare_rate:.0} per server CPU-s at {} connections; p50 {:.1} ms; {:.0}/s; generator {:.2} CPU-s",
        args.beacon_connections,
        middle(&turns, &|t| t.1.p50_ms),
        middle(&turns, &|t| t.1.answers as f64 / t.1.wall_s),
        turns.iter().map(|t| t.1.own_cpu_s).sum::<f64>()
    );
    Ok(vec![
        Row {
            what: "single beacons against the echo".into(),
            figure: 100.0 * middle(&turns, &|t| per_cpu(&t.1) / per_cpu(&t.0)),
            unit: "%",
            bar: Some(Bar::AtLeast(50.0)),
            note,
        },
        Row {
            what: "single beacons, p99".into(),
            figure: turns.iter().map(|t| t.1.p99_ms).fold(0.0, f64::max),
            unit: "ms",
            bar: Some(Bar::AtMost(25.0)),
            note: "durable when answered; the worst turn's".into(),
        },
    ])
}

/// `regie check` on the folder that the load left behind.
fn rebuild(folder: &Path) -> Result<Row> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--json", "check", "--folder"])
        .arg(folder)
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "regie check failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let note = format!("{} records", told["records"]);
    Ok(Row {
        what: "rebuild of every fold (regie check)".into(),
        figure: told["rebuild_records_per_s"].as_f64().unwrap_or(0.0),
        unit: "events/s",
        bar: Some(Bar::AtLeast(500_000.0)),
        note,
    })
}

fn print(cli: &Cli, rows: &[Row]) {
    if cli.json {
        let list: Vec<Value> = rows
            .iter()
            .map(|r| json!({ "what": r.what, "figure": r.figure, "unit": r.unit, "bar": r.bar.map(|bar| bar.to_string()), "note": r.note }))
            .collect();
        println!("{}", json!({ "rows": list }));
        return;
    }
    println!("| what | figure | bar | note |\n|---|---|---|---|");
    for row in rows {
        let bar = row.bar.map_or_else(String::new, |bar| bar.to_string());
        let figure = if row.figure < 10.0 {
            format!("{:.2}", row.figure)
        } else if row.figure < 1_000.0 {
            format!("{:.1}", row.figure)
        } else {
            format!("{:.0}", row.figure)
        };
        println!("| {} | {figure} {} | {bar} | {} |", row.what, row.unit, row.note);
    }
}
