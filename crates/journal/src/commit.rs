//! Group commit without a thread and without a clock: a queue of submissions and the one way from
//! it into a journal. Refuses to acknowledge before the journal has said "durable" (B4), to show
//! the observer anything out of order, and to try again after a failure (L1). Every
//! acknowledgement fires exactly once, whatever happens.

use crate::error::JournalError;
use crate::frame::{FRAME_HEADER_BYTES, frame_bytes};
use crate::mutation::{self, Mutation};
use crate::{Appended, BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Journal, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// Why a submission was not acknowledged as durable.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The submission is empty or over a limit; nothing was written, the journal goes on.
    #[error("submission refused: {0}")]
    Refused(Arc<JournalError>),
    /// The queue is full (only from waiting calls; others return [`QueueFull`] at once).
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    /// The commit failed: the records may or may not be there after recovery.
    #[error("commit failed, outcome unknown until recovery: {0}")]
    Failed(Arc<JournalError>),
    /// The journal had stopped before; nothing of this submission was written.
    #[error("journal stopped; the submission was not written")]
    Stopped,
    /// A waiting call from within an observer or an acknowledgement would wait for itself.
    #[error("a waiting call on the committer's own thread would never return")]
    OwnThread,
}

/// There is no room in the queue: try later, or shed load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "commit queue full: {queued_record_count} of {queue_records_max} records, \
     {queued_bytes} of {queue_bytes_max} bytes"
)]
pub struct QueueFull {
    /// Records waiting.
    pub queued_record_count: usize,
    /// The limit on them.
    pub queue_records_max: usize,
    /// Payload and header bytes waiting.
    pub queued_bytes: usize,
    /// The limit on them.
    pub queue_bytes_max: usize,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// In records.
    pub queue_records_max: usize,
    /// In bytes of payload and headers.
    pub queue_bytes_max: usize,
}

impl Default for QueueLimits {
    /// 262,144 records, 64 MiB.
    fn default() -> QueueLimits {
        QueueLimits { queue_records_max: 1 << 18, queue_bytes_max: 64 << 20 }
    }
}

type AckFn = Box<dyn FnOnce(Result<Appended, CommitError>) + Send>;

/// Fires once; dropped unfired it says [`CommitError::Stopped`].
struct Ack(Option<AckFn>);

impl Ack {
    fn fire(mut self, result: Result<Appended, CommitError>) {
        if let Some(ack) = self.0.take() {
            ack(result);
        }
    }

    /// Lets it go unfired: the caller was told otherwise.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(ack) = self.0.take() {
            ack(Err(CommitError::Stopped));
        }
    }
}

/// A submission on its way.
pub(crate) struct Job {
    payloads: Vec<Vec<u8>>,
    bytes: usize,
    ack: Ack,
}

impl Job {
    /// Checks limits; a refused submission is acknowledged as such here and now.
    pub(crate) fn new(
        payloads: Vec<Vec<u8>>,
        ack: impl FnOnce(Result<Appended, CommitError>) + Send + 'static,
    ) -> Option<Job> {
        let ack = Ack(Some(Box::new(ack)));
        match frame_bytes(&payloads) {
            Ok(bytes) => Some(Job { payloads, bytes: bytes - FRAME_HEADER_BYTES, ack }),
            Err(error) => {
                ack.fire(Err(CommitError::Refused(Arc::new(error))));
                None
            }
        }
    }
}

/// A job that was not queued, because the queue is full or (`None`) has stopped. It comes back, so
/// that its acknowledgement fires outside any lock.
pub(crate) type NotQueued = (Option<QueueFull>, Job);

/// Tells the submitter what became of it.
pub(crate) fn settle(pushed: Result<(), NotQueued>) -> Result<(), QueueFull> {
    match pushed {
        Err((Some(full), job)) => {
            job.ack.disarm();
            Err(full)
        }
        // Dropping the job says "stopped".
        Err((None, _)) | Ok(()) => Ok(()),
    }
}

/// Submissions waiting for their commit, in order.
pub struct CommitQueue {
    limits: QueueLimits,
    jobs: VecDeque<Job>,
    record_count: usize,
    bytes: usize,
    stopped: bool,
}

impl CommitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> CommitQueue {
        CommitQueue { limits, jobs: VecDeque::new(), record_count: 0, bytes: 0, stopped: false }
    }

    /// Queues payloads that belong together: they get consecutive positions in one batch.
    /// `ack` fires exactly once, later or (refused, stopped) now; unless this returns an error.
    ///
    /// # Errors
    /// [`QueueFull`]; then `ack` never fires.
    pub fn submit(
        &mut self,
        payloads: Vec<Vec<u8>>,
        ack: impl FnOnce(Result<Appended, CommitError>) + Send + 'static,
    ) -> Result<(), QueueFull> {
        Job::new(payloads, ack).map_or(Ok(()), |job| settle(self.push(job)))
    }

    pub(crate) fn push(&mut self, job: Job) -> Result<(), NotQueued> {
        if self.stopped {
            return Err((None, job));
        }
        let records = self.record_count + job.payloads.len();
        let bytes = self.bytes + job.bytes;
        if records > self.limits.queue_records_max || bytes > self.limits.queue_bytes_max {
            let full = QueueFull {
                queued_record_count: self.record_count,
                queue_records_max: self.limits.queue_records_max,
                queued_bytes: self.bytes,
                queue_bytes_max: self.limits.queue_bytes_max,
            };
            return Err((Some(full), job));
        }
        self.record_count = records;
        self.bytes = bytes;
        self.jobs.push_back(job);
        Ok(())
    }

    /// Records waiting.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Bytes waiting.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Submissions waiting.
    #[must_use]
    pub fn submission_count(&self) -> usize {
        self.jobs.len()
    }

    /// No submission will be accepted or committed any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes whole submissions from the front, as many as one batch holds.
    pub(crate) fn take(&mut self) -> Option<PendingBatch> {
        let (mut records, mut bytes) = (0, FRAME_HEADER_BYTES);
        let mut count = 0;
        for job in &self.jobs {
            records += job.payloads.len();
            bytes += job.bytes;
            if count > 0 && (records > BATCH_RECORDS_MAX || bytes > BATCH_BYTES_MAX) {
                break;
            }
            count += 1;
        }
        let jobs: Vec<Job> = self.jobs.drain(..count).collect();
        for job in &jobs {
            self.record_count -= job.payloads.len();
            self.bytes -= job.bytes;
        }
        (!jobs.is_empty()).then_some(PendingBatch { jobs })
    }

    /// Stops for good; what was waiting comes back, and says "stopped" when dropped.
    #[must_use]
    pub(crate) fn stop(&mut self) -> Vec<Job> {
        self.stopped = true;
        self.record_count = 0;
        self.bytes = 0;
        self.jobs.drain(..).collect()
    }

    /// Commits what waits, up to one batch: append, then the observer, then the acknowledgements.
    /// `None` if nothing waited. After a failure the queue is stopped, and everything that still
    /// waited has been told so.
    pub fn commit(
        &mut self,
        now_ms: i64,
        journal: &mut dyn Journal,
        observer: &mut dyn FnMut(Appended, Vec<Vec<u8>>),
    ) -> Option<Result<Appended, CommitError>> {
        let result = self.take()?.commit(now_ms, journal, observer);
        if matches!(result, Err(CommitError::Failed(_))) {
            drop(self.stop());
        }
        Some(result)
    }
}

/// Submissions taken from the queue for one batch.
pub(crate) struct PendingBatch {
    jobs: Vec<Job>,
}

impl PendingBatch {
    pub(crate) fn submission_count(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn commit(
        self,
        now_ms: i64,
        journal: &mut dyn Journal,
        observer: &mut dyn FnMut(Appended, Vec<Vec<u8>>),
    ) -> Result<Appended, CommitError> {
        let mut payloads = Vec::with_capacity(self.jobs.iter().map(|job| job.payloads.len()).sum());
        let mut acks = Vec::with_capacity(self.jobs.len());
        for job in self.jobs {
            acks.push((job.payloads.len() as u64, job.ack));
            payloads.extend(job.payloads);
        }
        if mutation::active(Mutation::AcknowledgeBeforeCommit) {
            let first = journal.head().next();
            let last = Position(journal.head().0 + payloads.len() as u64);
            acknowledge(std::mem::take(&mut acks), Appended { first, last, at_ms: now_ms });
        }
        match journal.append(now_ms, &payloads) {
            Ok(appended) => {
                observer(appended, payloads);
                acknowledge(acks, appended);
                Ok(appended)
            }
            Err(error) => {
                let refused = error.is_refusal();
                let error = Arc::new(error);
                let told = match refused {
                    true => CommitError::Refused(error),
                    false => CommitError::Failed(error),
                };
                acks.into_iter().for_each(|(_, ack)| ack.fire(Err(told.clone())));
                Err(told)
            }
        }
    }
}

/// Tells each submission which part of the batch is its own.
fn acknowledge(acks: Vec<(u64, Ack)>, whole: Appended) {
    let mut first = whole.first;
    for (count, ack) in acks {
        let last = Position(first.0 + count - 1);
        ack.fire(Ok(Appended { first, last, at_ms: whole.at_ms }));
        first = last.next();
    }
}
