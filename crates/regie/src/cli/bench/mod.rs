//! `regie bench`: first figures of this machine, each beside its bar. Server and generator are two processes; figures
//! are per CPU-second of the server, next to a bare echo of the same bytes on the same HTTP stack in one run.

mod load;
mod setup;

use super::{Cli, progress};
use anyhow::{Context, Result};
use clap::Args;
use load::{Load, Measured};
use serde_json::{Value, json};
use setup::{Prepared, Process};
use std::{path::Path, process::ExitCode, time::Duration};

/// Arguments of `regie bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Ad sets booked.
    #[arg(long, default_value_t = 100)]
    ad_sets: u32,
    /// Seconds of load for each row.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of the generator.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Run as the bare echo (used by the benchmark itself).
    #[arg(long, hide = true)]
    echo: Option<usize>,
}

/// One figure with its bar.
struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    bar: Option<f64>,
    note: String,
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
    let bar = progress::bar("measuring", cli.json);
    bar.set_length(6);
    let folder = std::env::temp_dir().join(format!("regie-bench-{}", std::process::id()));
    let _cleanup = setup::Cleanup(folder.clone());
    let prepared = setup::prepare(&folder, args.ad_sets)?;
    let server = Process::serve(&folder)?;
    bar.inc(1);
    let mut rows = decisions(args, &server, &prepared)?;
    bar.inc(1);
    rows.extend(events(args, &server, &prepared)?);
    bar.inc(1);
    let resident = server.resident_bytes()? as f64 / (1 << 20) as f64;
    let note = format!("{} ad sets", args.ad_sets);
    rows.push(Row {
        what: "server's resident memory".into(),
        figure: resident,
        unit: "MiB",
        bar: None,
        note,
    });
    server.stop()?;
    bar.inc(1);
    rows.push(rebuild(&folder)?);
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

fn decisions(args: &BenchArgs, server: &Process, prepared: &Prepared) -> Result<Vec<Row>> {
    let body = prepared.decision_body(1);
    let answer = server.post("/v1/decisions", &body)?;
    let parsed: Value = serde_json::from_slice(&answer).context("a decision answered no JSON")?;
    anyhow::ensure!(parsed["decisions"][0]["ad"].is_object(), "the benchmark's request got no ad: {parsed}");
    let echo = Process::echo(answer.len())?;
    let bare = load(args).run(&echo, "/v1/decisions", &body)?;
    let decided = load(args).run(server, "/v1/decisions", &body)?;
    echo.stop()?;
    let (bare_rate, rate) = (per_cpu(&bare), per_cpu(&decided));
    let batch = prepared.batch_body(16);
    let batched = load(args).run(server, "/v1/decisions/batch", &batch)?;
    let batch_rate = per_cpu(&batched) * 16.0;
    let latency = |m: &Measured| {
        format!("p50 {:.2} ms, p99 {:.2} ms at {} connections", m.p50_ms, m.p99_ms, args.connections)
    };
    Ok(vec![
        Row {
            what: "bare echo of the same bytes".into(),
            figure: bare_rate,
            unit: "answers per server CPU-s",
            bar: None,
            note: latency(&bare),
        },
        Row {
            what: "HTTP decisions, one placement".into(),
            figure: rate,
            unit: "decisions per server CPU-s",
            bar: None,
            note: latency(&decided),
        },
        Row {
            what: "decisions against the echo".into(),
            figure: 100.0 * rate / bare_rate,
            unit: "%",
            bar: Some(if args.ad_sets <= 1_000 { 75.0 } else { 55.0 }),
            note: format!("{} ad sets", args.ad_sets),
        },
        Row {
            what: "batch of 16 against single".into(),
            figure: batch_rate / rate,
            unit: "x",
            bar: Some(if args.ad_sets <= 1_000 { 4.0 } else { 2.0 }),
            note: format!("{batch_rate:.0} decisions per server CPU-s"),
        },
    ])
}

fn events(args: &BenchArgs, server: &Process, prepared: &Prepared) -> Result<Vec<Row>> {
    let beacons = prepared.beacons(server, 4_000)?;
    let count = beacons.len() * setup::BEACON_EVENTS;
    let measured = load(args).run_list(server, "/v1/events", &beacons)?;
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
        bar: Some(100_000.0),
        note,
    }])
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
        bar: Some(500_000.0),
        note,
    })
}

fn print(cli: &Cli, rows: &[Row]) {
    if cli.json {
        let list: Vec<Value> = rows
            .iter()
            .map(|r| json!({ "what": r.what, "figure": r.figure, "unit": r.unit, "bar": r.bar, "note": r.note }))
            .collect();
        println!("{}", json!({ "rows": list }));
        return;
    }
    println!("| what | figure | bar | note |\n|---|---|---|---|");
    for row in rows {
        let bar = row.bar.map_or("".to_owned(), |bar| format!(">= {bar}"));
        let figure =
            if row.figure < 1_000.0 { format!("{:.1}", row.figure) } else { format!("{:.0}", row.figure) };
        println!("| {} | {figure} {} | {bar} | {} |", row.what, row.unit, row.note);
    }
}
