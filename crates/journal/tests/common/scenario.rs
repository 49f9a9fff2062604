//! Scenarios on a simulated disk: steps, an interruption, a restart, the check. Refuses to end
//! without one. The same seed gives the same run.

use super::witness::{Violation, Witness};
use regie_journal::simdisk::{SIM_DIR, SimDisk, SimFaults};
use regie_journal::*;
use std::path::Path;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// One thing that happens to a journal.
#[derive(Clone, Debug)]
pub enum Step {
    /// Records of these lengths, at this time.
    Append(Vec<usize>, i64),
    Seal,
    /// The oldest sealed segment goes to the archive.
    Archive,
    /// Closed and opened in order.
    Reopen,
    /// `kill -9` and a new process; the machine goes on.
    Kill,
}

/// Everything once: sizes below and above a page, seals by hand, by size and by day, clocks that
/// go backwards, clean and unclean restarts.
pub fn fixed() -> Vec<Step> {
    use Step::*;
    vec![
        Append(vec![10], 1_000),
        Append(vec![200; 5], 1_001),
        Append(vec![0, 1], 990),
        Append(vec![9_000], 1_002),
        Seal,
        Seal,
        Append(vec![50; 64], 1_003),
        Reopen,
        Append(vec![5_000; 3], 1_004),
        Append(vec![100], 5),
        Append(vec![100, 4_096], 1_005),
        Append(vec![7_000, 7_000], 1_006),
        Archive,
        Append(vec![30], 1_007),
        Append(vec![30], DAY_MS + 1),
        Kill,
        Append(vec![1], DAY_MS),
        Append(vec![12_000], DAY_MS + 2),
        Kill,
        Reopen,
        Append(vec![3_000; 2], DAY_MS + 3),
    ]
}

/// Numbers for scenarios (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// Steps by lot.
pub fn random(dice: &mut Dice, count: u64) -> Vec<Step> {
    let mut now_ms = dice.roll(3) as i64 * DAY_MS;
    (0..count)
        .map(|_| match dice.roll(12) {
            0 => Step::Seal,
            1 => Step::Reopen,
            2 => Step::Kill,
            3 if dice.roll(3) == 0 => Step::Archive,
            _ => {
                now_ms += match dice.roll(20) {
                    0 => -(dice.roll(2 * DAY_MS as u64) as i64),
                    1 => DAY_MS,
                    _ => dice.roll(100) as i64,
                };
                let records = 1 + if dice.roll(4) == 0 { dice.roll(200) } else { dice.roll(6) };
                let largest = [1, 50, 300, 6_000][dice.roll(4) as usize];
                Step::Append((0..records).map(|_| dice.roll(largest) as usize).collect(), now_ms)
            }
        })
        .collect()
}

pub fn options(disk: &SimDisk) -> Options {
    Options {
        segment_bytes_max: 20_000,
        checkpoint_bytes: 24_000,
        disk: Arc::new(disk.clone()),
        ..Options::default()
    }
}

pub fn open(disk: &SimDisk) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open(Path::new(SIM_DIR), options(disk))
}

/// Does the steps until one fails. `Ok(true)`: all were done.
pub fn play(disk: &SimDisk, steps: &[Step], witness: &mut Witness) -> Result<bool, Violation> {
    let Ok(mut journal) = open(disk) else {
        return Ok(false);
    };
    for step in steps {
        let went_on = match step {
            Step::Append(lengths, now_ms) => witness.append(&mut journal, lengths, *now_ms)?,
            Step::Seal => journal.seal().is_ok(),
            Step::Archive => {
                let oldest = journal.segments().into_iter().find(|info| info.sealed && !info.archived);
                oldest.is_none_or(|info| journal.archive(info.number).is_ok())
            }
            Step::Reopen | Step::Kill if journal.stopped().is_some() => return Ok(false),
            Step::Reopen | Step::Kill => {
                if matches!(step, Step::Kill) {
                    disk.crash();
                    drop(journal);
                    disk.restart_after_kill();
                } else {
                    witness.close(journal, disk);
                }
                match open(disk) {
                    Ok(opened) => journal = opened,
                    Err(error) if disk.crashed() || interrupted(&error) => return Ok(false),
                    Err(error) => return Err(format!("opening again: {error}")),
                }
                true
            }
        };
        if !went_on || disk.crashed() {
            return Ok(false);
        }
    }
    witness.close(journal, disk);
    Ok(!disk.crashed())
}

/// An error that an injected fault explains; damage is not one.
fn interrupted(error: &JournalError) -> bool {
    matches!(error, JournalError::Sqlite { .. } | JournalError::Io { .. } | JournalError::DiskFull { .. })
}

/// How the machine comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Power,
    Process,
}

/// Restarts, recovers, checks the laws, appends more, and verifies the files.
pub fn recover(disk: &SimDisk, how: Restart, witness: &mut Witness) -> Result<(), Violation> {
    disk.crash();
    match how {
        Restart::Power => disk.restart(),
        Restart::Process => disk.restart_after_kill(),
    }
    disk.set_faults(SimFaults::default());
    let journal = open(disk).map_err(|error| format!("recovery: {error}"))?;
    witness.recovered(&journal)?;
    // What recovery has shown must stay, even if the power goes at once.
    disk.crash();
    drop(journal);
    disk.restart();
    let mut journal = open(disk).map_err(|error| format!("second recovery: {error}"))?;
    witness.recovered(&journal)?;
    for lengths in [&[20, 400][..], &[8_000]] {
        if !witness.append(&mut journal, lengths, 2_000)? {
            return Err("an append after recovery failed".into());
        }
    }
    witness.recovered(&journal)?;
    drop(journal);
    witness.verified(disk)
}
