//! The witness: knows what was submitted, what was acknowledged, and what time each batch must
//! have. Checks L1 and B4, gapless positions, times, chain, and that batches are whole.

use regie_journal::simdisk::{SIM_DIR, SimDisk};
use regie_journal::*;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A law found broken, in words.
pub type Violation = String;

#[derive(Clone)]
struct Sent {
    last: u64,
    at_ms: i64,
    chain: Option<ChainHash>,
}

/// What must be in the journal, and what may be.
#[derive(Clone, Default)]
pub struct Witness {
    payloads: Vec<Vec<u8>>,
    batches: Vec<Sent>,
    acknowledged: u64,
    serial: u64,
    closes: Vec<std::ops::RangeInclusive<u64>>,
}

fn payload(serial: u64, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length as u64).map(|i| (serial * 31 + i * 7) as u8).collect();
    let mark = serial.to_le_bytes();
    let count = mark.len().min(length);
    bytes[..count].copy_from_slice(&mark[..count]);
    bytes
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Witness {
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Closes a journal in order and remembers which of the disk's operations that took.
    pub fn close(&mut self, journal: SqliteJournal, disk: &SimDisk) {
        let before = disk.op_count() + 1;
        drop(journal);
        self.closes.push(before..=disk.op_count());
    }

    /// Whether an operation was part of closing. SQLite keeps its log if that fails, and the next
    /// opening recovers.
    pub fn closing(&self, op: u64) -> bool {
        self.closes.iter().any(|close| close.contains(&op))
    }

    /// Submits records of these lengths, in up to two submissions, and commits them as one batch.
    /// `Ok(false)`: the commit failed.
    pub fn append(
        &mut self,
        journal: &mut dyn Journal,
        lengths: &[usize],
        now_ms: i64,
    ) -> Result<bool, Violation> {
        let before = self.payloads.len() as u64;
        let payloads: Vec<Vec<u8>> = lengths
            .iter()
            .map(|length| {
                self.serial += 1;
                payload(self.serial, *length)
            })
            .collect();
        self.payloads.extend(payloads.iter().cloned());
        let last_at = self.batches.last().map_or(i64::MIN, |sent| sent.at_ms);
        let last = self.payloads.len() as u64;
        self.batches.push(Sent { last, at_ms: now_ms.max(last_at), chain: None });

        let mut queue = CommitQueue::new(QueueLimits::default());
        let acks = Arc::new(Mutex::new(Vec::new()));
        let middle = payloads.len() / 2;
        for part in [&payloads[..middle], &payloads[middle..]] {
            if !part.is_empty() {
                let acks = acks.clone();
                let ack = move |result| acks.lock().expect("lock").push(result);
                queue.submit(part.to_vec(), ack).expect("room");
            }
        }
        let mut observed = Vec::new();
        let result = queue.commit(now_ms, journal, &mut |appended, batch| observed.push((appended, batch)));
        let acks = std::mem::take(&mut *acks.lock().expect("lock"));
        // An acknowledgement counts whatever happened after it: that is what it is for.
        for appended in acks.iter().flatten() {
            ensure(appended.first.0 == self.acknowledged.max(before) + 1, || {
                format!("positions {}.. after {} records", appended.first, self.acknowledged)
            })?;
            self.acknowledged = appended.last.0;
        }
        match result.expect("something was queued") {
            Ok(appended) => {
                ensure(acks.len() == 1 + usize::from(middle > 0), || "an acknowledgement is missing".into())?;
                ensure(self.acknowledged == last && appended.last.0 == last, || {
                    format!("{last} records submitted, {} acknowledged", self.acknowledged)
                })?;
                ensure(observed == [(appended, payloads)], || "the observer saw something else".into())?;
                ensure(journal.head().0 == last, || format!("head is {}, not {last}", journal.head()))?;
                let sent = self.batches.last_mut().expect("pushed above");
                ensure(appended.at_ms == sent.at_ms, || "the time is not the larger of both".into())?;
                sent.chain = Some(journal.head_chain());
                Ok(true)
            }
            Err(_) => {
                ensure(observed.is_empty(), || "a failed batch was observed".into())?;
                let again = journal.append(now_ms, &[vec![1]]);
                ensure(matches!(again, Err(JournalError::Stopped { .. })), || {
                    format!("after a failed commit the next append gives {again:?}")
                })?;
                Ok(false)
            }
        }
    }

    /// Checks what a recovery (or a reader) has found, and takes it as the truth from here on.
    pub fn recovered(&mut self, journal: &dyn Journal) -> Result<(), Violation> {
        let records = journal
            .read(Position::START, usize::MAX)
            .map_err(|error| format!("after recovery, reading: {error}"))?;
        let count = records.len() as u64;
        ensure(count == journal.head().0, || format!("head {} but {count} records", journal.head()))?;
        ensure(count >= self.acknowledged, || {
            format!("{} records were acknowledged, {count} are left", self.acknowledged)
        })?;
        ensure(count <= self.payloads.len() as u64, || "records that nobody sent".into())?;
        ensure(count == 0 || self.batches.iter().any(|sent| sent.last == count), || {
            format!("a batch was cut at record {count}")
        })?;
        let mut sent = self.batches.iter();
        let mut batch = sent.next();
        for (record, expected) in records.iter().zip(&self.payloads) {
            let at = record.position.0;
            while batch.is_some_and(|batch| batch.last < at) {
                batch = sent.next();
            }
            let batch = batch.ok_or("no batch holds this record")?;
            ensure(record.payload == *expected, || format!("record {at} is another"))?;
            ensure(record.at_ms == batch.at_ms, || format!("record {at} has another time"))?;
        }
        ensure(records.iter().zip(1..).all(|(record, position)| record.position.0 == position), || {
            "positions have gaps".into()
        })?;
        self.batches.retain(|sent| sent.last <= count);
        self.payloads.truncate(count as usize);
        let chain = self.batches.last().map_or(Some(ChainHash::GENESIS), |sent| sent.chain);
        ensure(chain.is_none_or(|chain| chain == journal.head_chain()), || "another chain".into())?;
        if let Some(last) = self.batches.last_mut() {
            last.chain = Some(journal.head_chain());
            ensure(journal.last_at_ms() == last.at_ms, || "another last time".into())?;
        }
        self.acknowledged = count;
        Ok(())
    }

    /// Verifies the files of a closed journal, and reads them as a reader does.
    pub fn verified(&self, disk: &SimDisk) -> Result<(), Violation> {
        let dir = Path::new(SIM_DIR);
        let report =
            verify_on(disk, dir, true, &mut |_, _| {}).map_err(|error| format!("verify: {error}"))?;
        ensure(report.head.0 == self.acknowledged, || {
            format!("verify found {} of {} records", report.head, self.acknowledged)
        })?;
        let chain = self.batches.last().map_or(ChainHash::GENESIS, |sent| sent.chain.unwrap_or_default());
        ensure(report.head_chain == chain, || "verify found another chain".into())?;
        self.readable(disk)
    }

    /// Reads everything; it must be exactly what was acknowledged.
    pub fn readable(&self, disk: &SimDisk) -> Result<(), Violation> {
        let mut reader = JournalReader::open_on(Arc::new(disk.clone()), Path::new(SIM_DIR), Position::START)
            .map_err(|error| format!("reading: {error}"))?;
        let mut wrong = None;
        let count = reader
            .for_each(|record| {
                let expected = self.payloads.get(record.position.0 as usize - 1);
                if expected.map(Vec::as_slice) != Some(record.payload) {
                    wrong = wrong.or(Some(record.position));
                }
            })
            .map_err(|error| format!("reading: {error}"))?;
        ensure(wrong.is_none(), || format!("wrong: record {wrong:?} is another"))?;
        ensure(count == self.acknowledged, || format!("wrong: read {count} of {}", self.acknowledged))
    }
}
