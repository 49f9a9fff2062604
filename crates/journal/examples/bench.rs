//! Measures the journal on a real disk: durable records per second through the committer, and
//! records per second read back. Refuses to run on an existing journal.
//!
//! `cargo run --release -p regie-journal --example bench [-- FOLDER [SECONDS [SUBMITTERS]]]`

use regie_journal::*;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const RECORD_BYTES: usize = 200;
const BATCH_RECORDS: usize = 64;
/// Submissions that one submitter has in flight.
const IN_FLIGHT: usize = 16;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

fn submitter(handle: &CommitterHandle, ending: &AtomicBool) -> Vec<Duration> {
    let (sent, answers) = std::sync::mpsc::channel();
    let mut latencies = Vec::new();
    let (mut waiting, mut serial) = (0, 0u64);
    loop {
        while waiting < IN_FLIGHT && !ending.load(Relaxed) {
            serial += 1;
            let payloads = (0..BATCH_RECORDS)
                .map(|index| {
                    let mut payload = vec![index as u8; RECORD_BYTES];
                    payload[..8].copy_from_slice(&serial.to_le_bytes());
                    payload
                })
                .collect();
            let (sent, started) = (sent.clone(), Instant::now());
            let answer = move |result: Result<Appended, CommitError>| {
                let _ = sent.send(result.map(|_| started.elapsed()));
            };
            if handle.submit(payloads, answer).is_err() {
                break;
            }
            waiting += 1;
        }
        if waiting == 0 {
            return latencies;
        }
        match answers.recv() {
            Ok(Ok(latency)) => latencies.push(latency),
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => return latencies,
        }
        waiting -= 1;
    }
}

fn write(dir: &std::path::Path, seconds: u64, submitters: usize) -> Result<(), Box<dyn std::error::Error>> {
    let journal = SqliteJournal::open(dir, Options::default())?;
    let handle = Committer::start(journal, now_ms, |_, _| {}, CommitterOptions::default())?;
    let ending = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let threads: Vec<_> = (0..submitters)
        .map(|_| {
            let (handle, ending) = (handle.clone(), ending.clone());
            std::thread::spawn(move || submitter(&handle, &ending))
        })
        .collect();
    while started.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(200));
        let done = handle.counters();
        let rate = done.record_count as f64 / started.elapsed().as_secs_f64();
        eprint!("\rwriting: {:>10} records, {rate:>8.0}/s, {} commits", done.record_count, done.commit_count);
        std::io::stderr().flush()?;
    }
    ending.store(true, Relaxed);
    let mut latencies: Vec<Duration> = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| "a submitter failed")?);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let counters = handle.counters();
    handle.stop()?;
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    eprintln!();
    println!(
        "durable: {:.0} records/s of {RECORD_BYTES} bytes ({} submitters, {BATCH_RECORDS} a submission, \
         {IN_FLIGHT} in flight), {:.0} records a commit, {:.0} commits/s",
        counters.record_count as f64 / elapsed,
        submitters,
        counters.record_count as f64 / counters.commit_count as f64,
        counters.commit_count as f64 / elapsed,
    );
    println!("acknowledged: median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(0.5), at(0.99), at(1.0));
    Ok(())
}

/// One submitter, one record at a time: what a lone command waits.
fn lone(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let journal = SqliteJournal::open(dir, Options::default())?;
    let handle = Committer::start(journal, now_ms, |_, _| {}, CommitterOptions::default())?;
    let started = Instant::now();
    let mut count = 0u32;
    while started.elapsed() < Duration::from_secs(2) {
        handle.submit_wait(vec![vec![1; RECORD_BYTES]])?;
        count += 1;
    }
    println!(
        "alone: {:.0} durable records/s one after the other, {:.0} us each",
        f64::from(count) / started.elapsed().as_secs_f64(),
        started.elapsed().as_micros() as f64 / f64::from(count)
    );
    handle.stop()?;
    Ok(())
}

fn read(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut bytes = 0;
    let count =
        JournalReader::open(dir, Position::START)?.for_each(|record| bytes += record.payload.len())?;
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "read: {:.0} records/s, {:.0} MB/s of payload, checksums checked ({count} records)",
        count as f64 / elapsed,
        bytes as f64 / elapsed / 1e6
    );
    let started = Instant::now();
    let mut shown = u64::MAX;
    let report = verify(dir, true, &mut |done, total| {
        let percent = done * 100 / total.max(1);
        if percent != shown {
            shown = percent;
            eprint!("\rverifying: {percent:>3} %");
        }
    })?;
    eprintln!();
    println!(
        "verify: {:.0} records/s, chain included ({} segments)",
        report.record_count as f64 / started.elapsed().as_secs_f64(),
        report.segment_count
    );
    let started = Instant::now();
    drop(SqliteJournal::open(dir, Options::default())?);
    println!("open: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let given = arguments.next().map(PathBuf::from);
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let submitters = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = given.unwrap_or_else(|| temporary.path().join("journal"));
    if dir.exists() {
        return Err(format!("{} exists; name a new folder", dir.display()).into());
    }
    write(&dir, seconds, submitters)?;
    read(&dir)?;
    lone(&dir)
}
