//! The suite that the shipping code must pass and every mutation must fail. Refuses to stop at the
//! first violation: it lists them by where they came from.

use super::scenario::{Restart, fixed, open, play, recover};
use super::witness::{Violation, Witness};
use regie_journal::simdisk::{SIM_DIR, SimDisk, SimFaults};
use regie_journal::{Journal, JournalError};

pub type Found = Vec<(String, Violation)>;

fn report(found: &mut Found, place: String, result: Result<(), Violation>) {
    if let Err(violation) = result {
        found.push((place, violation));
    }
}

/// The power goes at every operation of the fixed scenario in turn.
pub fn crash_everywhere(seed: u64, stride: usize, found: &mut Found) {
    for op in (1..).step_by(stride) {
        let disk = SimDisk::new(seed.wrapping_mul(1_000_003) + op);
        disk.set_faults(SimFaults { crash_at_op: Some(op), ..SimFaults::default() });
        let mut witness = Witness::default();
        let played = play(&disk, &fixed(), &mut witness);
        // The scenario ended, well or badly, before the power went.
        let done = disk.op_count() < op;
        let result = played.and_then(|_| recover(&disk, Restart::Power, &mut witness));
        report(found, format!("seed {seed}, power lost at operation {op}"), result);
        if done {
            return;
        }
    }
}

/// Every sync of the fixed scenario fails in turn; then the machine or only the process restarts.
pub fn fail_every_sync(seed: u64, found: &mut Found) {
    let disk = SimDisk::new(seed);
    let whole = play(&disk, &fixed(), &mut Witness::default()).map(|_| ());
    report(found, format!("seed {seed}, no fault"), whole);
    for op in disk.sync_ops() {
        for how in [Restart::Power, Restart::Process] {
            let disk = SimDisk::new(seed);
            disk.set_faults(SimFaults { fail_sync_at_op: Some(op), ..SimFaults::default() });
            let mut witness = Witness::default();
            let result = play(&disk, &fixed(), &mut witness).and_then(|_| {
                // Law L1: not one operation after the failure, closing included.
                let after = disk.op_count() - op;
                if after > 0 && !witness.closing(op) {
                    return Err(format!("{after} operations after a failed sync"));
                }
                recover(&disk, how, &mut witness)
            });
            report(found, format!("seed {seed}, sync at operation {op} failed, {how:?}"), result);
        }
    }
}

/// Bits rot in a sealed segment: what is read is what was written, or an error.
pub fn rot(seed: u64, stride: usize, found: &mut Found) {
    let fresh = || {
        let disk = SimDisk::new(seed);
        let mut witness = Witness::default();
        let mut journal = open(&disk).map_err(|error| error.to_string())?;
        for lengths in [&[30, 0, 50][..], &[400], &[6_000, 10]] {
            witness.append(&mut journal, lengths, 5)?;
        }
        let sealed: Result<_, JournalError> = journal.seal();
        sealed.map_err(|error| error.to_string())?;
        drop(journal);
        witness.verified(&disk)?;
        Ok((disk, witness))
    };
    let (disk, witness) = match fresh() {
        Ok(made) => made,
        Err(violation) => return found.push((format!("seed {seed}, no rot"), violation)),
    };
    let file = format!("{SIM_DIR}/00000001.db");
    let length = disk.content(&file).map_or(0, |content| content.len());
    for offset in (0..length).step_by(stride) {
        let mask = 1 << (offset % 8);
        assert!(disk.corrupt(&file, offset, mask));
        if let Err(told) = witness.readable(&disk)
            && told.starts_with("wrong")
        {
            found.push((format!("bit flipped at {offset}"), told));
        }
        assert!(disk.corrupt(&file, offset, mask));
    }
}

/// All of it, for the mutations.
pub fn whole(stride: usize) -> Found {
    let mut found = Vec::new();
    crash_everywhere(1, stride, &mut found);
    fail_every_sync(2, &mut found);
    rot(3, 11, &mut found);
    found
}
