//! Measures this room on generated rows: import (storing included) and ranking.
//!
//! Rows are generated, marked as such, and removed afterwards. With a Python that has the duckdb package
//! the same file is read by DuckDB in the same run, on one thread. Times are the caller's clock.

use crate::amount::{Amount, Rule, UNIT};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::import::{ImportOptions, Importer, NoProgress};
use crate::rank::{self, Question};
use crate::store::{Coverage, Dataset, Fact, KnownBasis, Snapshot, SnapshotId, Store, Window};
use crate::subject::Subject;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bench {
    /// One line each: what, and the figure.
    pub lines: Vec<(String, String)>,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Rows of the generated report.
    pub rows: u64,
    /// Rows of the store that is ranked.
    pub rank_rows: u64,
    /// Folder for generated files.
    pub folder: PathBuf,
    /// Python with duckdb.
    pub duckdb: Option<PathBuf>,
}

/// Measures.
///
/// # Errors
/// Those of the store and the file system.
pub fn bench(options: &BenchOptions) -> Result<Bench> {
    std::fs::create_dir_all(&options.folder).map_err(|e| Error::file(options.folder.display(), e))?;
    let mut bench = Bench::default();
    // A national file names every advertiser once; files of regions repeat them.
    for (what, advertisers) in
        [("every advertiser once", options.rows), ("advertisers repeated 20 times", options.rows / 20)]
    {
        let csv = options.folder.join("FacebookAdLibraryReport_2023-06-01_US_last_90_days_advertisers.csv");
        generate(&csv, options.rows, advertisers.max(1))?;
        import(&mut bench, what, &csv, options)?;
        let _ = std::fs::remove_file(&csv);
    }
    ranking(&mut bench, options)?;
    Ok(bench)
}

fn generate(path: &Path, rows: u64, advertisers: u64) -> Result<()> {
    let file = std::fs::File::create(path).map_err(|e| Error::file(path.display(), e))?;
    let mut out = BufWriter::new(file);
    out.write_all(
        "\u{feff}Page ID,Page name,Disclaimer,Amount spent (USD),Number of ads in Library\n".as_bytes(),
    )?;
    for row in 0..rows {
        let n = row % advertisers;
        let spend = (n * 7_919) % 90_001;
        let spend = if spend <= 30_000 { "≤100".to_owned() } else { spend.to_string() };
        writeln!(
            out,
            "{},Generated page {n},\"Generated committee {}, Inc.\",{spend},{}",
            100_000_000_000 + n * 7,
            n % 977,
            n % 40 + 1
        )?;
    }
    out.flush()?;
    Ok(())
}

fn import(bench: &mut Bench, what: &str, csv: &Path, options: &BenchOptions) -> Result<()> {
    let bytes = std::fs::metadata(csv).map_err(|e| Error::file(csv.display(), e))?.len();
    let db = options.folder.join("bench.db");
    remove_store(&db);
    let (started, cpu) = (Instant::now(), cpu_ms());
    let store = Store::open(&db)?;
    let outcome = Importer::new(&store, ImportOptions::default())?.path(csv, &mut NoProgress)?;
    drop(store);
    let wall = started.elapsed().as_millis().max(1) as u64;
    // On a busy machine processor time is the steadier figure; both are given.
    let own = cpu.zip(cpu_ms()).map_or(wall, |(a, b)| (b - a).max(1));
    let (rows, bad) = outcome.rows_count();
    let stored = std::fs::metadata(&db).map_or(0, |m| m.len());
    let per_second = rows * 1000 / own;
    bench.lines.push((
        format!("import, {what}"),
        format!(
            "{rows} rows ({bad} kept aside), {} MB hashed, parsed, stored in {own} ms of processor time ({wall} ms by the wall clock): {per_second} rows/s on one core; store {} MB; peak memory {} MB",
            bytes >> 20, stored >> 20, peak_mb()
        ),
    ));
    remove_store(&db);
    if let Some(python) = &options.duckdb {
        let [count_ms, all_ms, store_ms] = duckdb(python, csv, &options.folder)?;
        let speed = |ms: u64| format!("{}.{:02}", ms * 100 / own / 100, ms * 100 / own % 100);
        bench.lines.push((
            format!("DuckDB on the same file, one thread, {what}"),
            format!(
                "reading two of five columns as text {count_ms} ms, reading all five with detected types {all_ms} ms, storing as a table {store_ms} ms of processor time; our speed, storing included, is {} of its reading of two columns, {} of its reading of all, {} of its storing",
                speed(count_ms), speed(all_ms), speed(store_ms)
            ),
        ));
    }
    Ok(())
}

/// Processor time of this process so far, where the system tells (Linux: ticks of 10 ms).
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * 10)
}

/// Peak resident memory of this process in MB, or 0 where the system does not tell.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) >> 10
}

fn remove_store(db: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", db.display()));
    }
}

fn duckdb(python: &Path, csv: &Path, folder: &Path) -> Result<[u64; 3]> {
    let script = "import duckdb,sys,time,os\n\
        csv,db=sys.argv[1],sys.argv[2]\n\
        c=duckdb.connect(); c.execute('SET threads=1')\n\
        t=time.process_time(); c.execute(\"select count(*), sum(length(column0)), sum(length(column3)) from read_csv(?, header=false, skip=1, all_varchar=true)\",[csv]).fetchall(); a=time.process_time()-t\n\
        t=time.process_time(); c.execute(\"select count(*), sum(hash(columns(*))::double) from read_csv(?)\",[csv]).fetchall(); r=time.process_time()-t\n\
        c.close()\n\
        t=time.process_time(); c=duckdb.connect(db); c.execute('SET threads=1'); c.execute(\"create table t as select * from read_csv('\"+csv.replace(\"'\",\"''\")+\"', header=true)\"); c.close(); b=time.process_time()-t\n\
        os.remove(db); print(int(a*1000), int(r*1000), int(b*1000))\n";
    let db = folder.join("bench.duckdb");
    let _ = std::fs::remove_file(&db);
    let output = std::process::Command::new(python)
        .args(["-c", script])
        .arg(csv)
        .arg(&db)
        .output()
        .map_err(|e| Error::file(python.display(), e))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|t| t.parse().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(a), Some(b), Some(c)) => Ok([a, b, c]),
        _ => Err(Error::Question(format!(
            "DuckDB did not answer: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// Fills a store with generated weekly rows.
///
/// # Errors
/// Those of the store.
pub fn generated_store(store: &Store, rows: u64, advertisers: u64) -> Result<()> {
    let mut importer = Importer::new(store, ImportOptions::default())?;
    let snapshot = Snapshot {
        id: SnapshotId(0),
        platform: "generated".into(),
        layout: "generated".into(),
        dataset: Dataset::Weekly,
        country: String::new(),
        place: String::new(),
        window: Window { name: "dump".into(), from: Day::OPEN_START, to: Day(19_000) },
        known_on: Day(19_000),
        known_basis: KnownBasis::Given,
        rule: Rule::Capped,
        coverage: Coverage::Complete,
        cite: "generated rows".into(),
        file: "generated".into(),
        content_hash: format!("generated {rows} {advertisers}"),
        parallel_currencies: false,
        rows_count: 0,
        bad_rows_count: 0,
        is_done: false,
        notes: Vec::new(),
    };
    importer.store_all(&snapshot, |writer| {
        for row in 0..rows {
            let n = (row * 2_654_435_761) % advertisers.max(1);
            let account = (100_000_000_000 + n).to_string();
            let from = Day(17_000 + ((row * 97) % 500 * 7 / 2) as i32);
            let spend = if row % 3 == 0 {
                Amount { lower: 0, upper: Some(100 * UNIT) }
            } else {
                Amount::exact(((row * 31 + n) % 50_000) as i64 * UNIT)
            };
            writer.push(&Fact {
                subject: Subject {
                    platform: "generated",
                    account: &account,
                    name: "Generated",
                    payer: "",
                    ids: "",
                },
                place: "",
                election: "",
                currency: "USD",
                from,
                to: from.plus(6),
                spend,
                views: Amount::UNSTATED,
                ads: 1,
                item: "",
            })?;
            if writer.is_full() {
                writer.flush_only()?;
            }
        }
        Ok(rows)
    })?;
    Ok(())
}

fn ranking(bench: &mut Bench, options: &BenchOptions) -> Result<()> {
    let db = options.folder.join("rank.db");
    remove_store(&db);
    let store = Store::open(&db)?;
    generated_store(&store, options.rank_rows, 100_000)?;
    for (what, question) in [
        ("all days", Question::default()),
        (
            "a range of days",
            Question {
                scope: crate::select::Scope {
                    from: Some(Day(17_100)),
                    to: Some(Day(18_000)),
                    ..Default::default()
                },
                ..Question::default()
            },
        ),
    ] {
        let mut best = u128::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            rank::rank(&store, &question, None)?;
            best = best.min(started.elapsed().as_millis());
        }
        bench.lines.push((
            format!("rank {} rows of 100,000 advertisers, {what}", options.rank_rows),
            format!("{best} ms, best of 3, one core"),
        ));
    }
    drop(store);
    remove_store(&db);
    Ok(())
}
