//! Decisions of the real platform while its catalogue is edited a thousand times a second, and how soon an edit shows.

use super::{
    super::Row,
    decisions::{at, clock_nanos, row, thread_cpu},
    world::{Chance, request},
};
use crate::{
    cli::{Cli, progress},
    config::Config,
    platform::{Platform, folder::Folder},
    server::Engine,
};
use anyhow::Result;
use regie_decide::Request;
use regie_model::{
    AdSetId,
    booking::{Bid, Status},
    command::{Command, EntityRef},
    event::Actor,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// Edits sent at once, and how often.
const BURST: u32 = 10;
const BURST_MS: u64 = 10;

/// CPU and wall time of each decision, sorted, in nanoseconds.
fn measure(platform: &Platform, requests: &[Request]) -> (Vec<u64>, Vec<u64>) {
    let clock = clock_nanos();
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    let until = Instant::now() + Duration::from_secs(20);
    for request in requests.iter().cycle() {
        let (begun, start) = (Instant::now(), thread_cpu());
        if begun >= until {
            break;
        }
        let view = platform.current_view();
        std::hint::black_box(platform.decide(&view, request));
        cpu.push(((thread_cpu() - start).as_nanos() as u64).saturating_sub(clock));
        wall.push(begun.elapsed().as_nanos() as u64);
    }
    cpu.sort_unstable();
    wall.sort_unstable();
    (cpu, wall)
}

/// Sends edits until told to stop; each that is durable goes to `done` with its position and time. How many were sent.
fn edit(platform: &Arc<Platform>, stop: &AtomicBool, done: &mpsc::Sender<(u64, Instant)>) -> u32 {
    let mut chance = Chance::new(7);
    let count = platform.catalogue().ad_sets.len() as u64;
    let mut sent = 0;
    let start = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        for _ in 0..BURST {
            let id = AdSetId(1 + chance.below(count) as u32);
            let Some(mut spec) = platform.catalogue().ad_sets.get(&id).map(|kept| kept.spec.clone()) else {
                continue;
            };
            let command = if chance.below(10) == 0 {
                let status = if chance.below(2) == 0 { Status::Paused } else { Status::Active };
                Command::SetStatus { entity: EntityRef::AdSet(id), status }
            } else {
                spec.bid = Bid::Cpm { micros_per_mille: 200_000 + chance.below(5_000_000) as i64 };
                Command::PutAdSet { id: Some(id), revision: None, spec }
            };
            let done = done.clone();
            let ack = move |result: Result<Vec<crate::platform::commands::Accepted>, _>| {
                if let Ok([accepted, ..]) = result.as_deref() {
                    let _ = done.send((accepted.position, Instant::now()));
                }
            };
            platform.command(Actor::Operator, vec![command], Box::new(ack));
            sent += 1;
        }
        let due = start + Duration::from_millis(u64::from(sent / BURST) * BURST_MS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    sent
}

/// Waits for each edit to show; the times from durable to shown, in milliseconds, sorted.
fn watch(platform: &Platform, done: &mpsc::Receiver<(u64, Instant)>) -> Vec<u64> {
    let mut shown = Vec::new();
    while let Ok((position, at)) = done.recv() {
        while platform.current_view().snapshot.position() < position && at.elapsed().as_secs() < 30 {
            std::thread::sleep(Duration::from_millis(1));
        }
        shown.push(at.elapsed().as_millis() as u64);
    }
    shown.sort_unstable();
    shown
}

/// Measures with and without edits.
///
/// # Errors
/// An engine that does not start or stop.
pub fn rows(cli: &Cli, path: &Path, count: usize) -> Result<Vec<Row>> {
    let bar = progress::bar("editing", cli.json);
    bar.set_length(2);
    let engine = Engine::start(&Folder::open(path)?, &Config::default(), &mut |_, _| {})?;
    let platform = Arc::clone(&engine.platform);
    let mut chance = Chance::new(3);
    let now = platform.now();
    let requests: Vec<Request> = (0..count).map(|_| Request { at: now, ..request(&mut chance) }).collect();
    // The first tables and the first merge have passed.
    std::thread::sleep(Duration::from_secs(3));
    measure(&platform, &requests[..count.min(20_000)]);
    let (quiet, quiet_wall) = measure(&platform, &requests);
    bar.inc(1);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    let (start, busy, busy_wall, sent, shown) = std::thread::scope(|scope| {
        let start = Instant::now();
        let editor = scope.spawn(|| {
            let sender = sender;
            edit(&platform, &stop, &sender)
        });
        let watched = &platform;
        let watcher = scope.spawn(move || watch(watched, &receiver));
        let (busy, busy_wall) = measure(&platform, &requests);
        stop.store(true, Ordering::SeqCst);
        let elapsed = start.elapsed();
        let sent = editor.join().unwrap_or(0);
        (elapsed, busy, busy_wall, sent, watcher.join().unwrap_or_default())
    });
    bar.finish_and_clear();
    engine.stop()?;
    let rate = f64::from(sent) / start.as_secs_f64();
    let note = format!(
        "{rate:.0} edits/s; p99 {:.1} µs with, {:.1} µs without; wall p99 {:.0} and {:.0} µs; with ticket, holds and counts",
        at(&busy, 990),
        at(&quiet, 990),
        at(&busy_wall, 990),
        at(&quiet_wall, 990),
    );
    let ratio = at(&busy, 990) / at(&quiet, 990).max(1e-9);
    let late = |part: usize| {
        shown
            .get((shown.len() * part / 1_000).min(shown.len().saturating_sub(1)))
            .map_or(f64::NAN, |ms| *ms as f64)
    };
    let shown_note =
        format!("of {} edits; median {:.0} ms, largest {:.0} ms", shown.len(), late(500), late(1_000));
    Ok(vec![
        row("p99 of decisions with 1,000 edits/s against none", ratio, "x", Some(2.0), note),
        row("from durable to decided upon, p99", late(990), "ms", Some(1_000.0), shown_note),
    ])
}
