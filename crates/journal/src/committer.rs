//! The committer: one thread that owns the journal and commits what others submit. Refuses to
//! block a submitter (a submission takes a short lock and returns) and to wait when there is
//! nothing to wait for. Laws as in `commit`: durable, then observed, then acknowledged (B4); one
//! failure and it stops (L1).

use crate::commit::{CommitError, CommitQueue, Job, PendingBatch, QueueFull, QueueLimits, settle};
use crate::error::JournalError;
use crate::segment::SegmentInfo;
use crate::{Appended, Journal, Position};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How the committer groups and bounds.
#[derive(Clone, Copy, Debug)]
pub struct CommitterOptions {
    /// Under load from several submitters, wait at most this long for as many submissions as the
    /// last batch had. 0 never waits. Default 4 ms, about one device flush.
    pub window_ms: u64,
    /// Records that may wait. Default 262,144.
    pub queue_records_max: usize,
    /// Bytes that may wait. Default 64 MiB.
    pub queue_bytes_max: usize,
}

impl Default for CommitterOptions {
    fn default() -> CommitterOptions {
        let QueueLimits { queue_records_max, queue_bytes_max } = QueueLimits::default();
        CommitterOptions { window_ms: 4, queue_records_max, queue_bytes_max }
    }
}

/// Figures since the start; each is exact, together they are a moment's glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitCounters {
    /// Records waiting now.
    pub queued_record_count: u64,
    /// Bytes waiting now.
    pub queued_bytes: u64,
    /// Batches committed.
    pub commit_count: u64,
    /// Records committed.
    pub record_count: u64,
    /// How long the last append took, in microseconds.
    pub last_commit_micros: u64,
    /// How long the longest append took, in microseconds.
    pub longest_commit_micros: u64,
    /// The last durable record.
    pub head: Position,
}

type SealReply = mpsc::SyncSender<Result<Option<SegmentInfo>, CommitError>>;

struct State {
    queue: CommitQueue,
    seals: Vec<SealReply>,
    /// Submissions at which the waiting committer wants to be woken.
    wake_at: usize,
    first_queued: Option<Instant>,
    draining: bool,
    finished: bool,
    failure: Option<CommitError>,
}

#[derive(Default)]
struct Figures {
    queued_record_count: AtomicU64,
    queued_bytes: AtomicU64,
    commit_count: AtomicU64,
    record_count: AtomicU64,
    last_commit_micros: AtomicU64,
    longest_commit_micros: AtomicU64,
    head: AtomicU64,
    stopped: AtomicBool,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
    figures: Figures,
    thread: std::sync::OnceLock<ThreadId>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_queue(&self, state: &State) {
        self.figures.queued_record_count.store(state.queue.record_count() as u64, Relaxed);
        self.figures.queued_bytes.store(state.queue.queued_bytes() as u64, Relaxed);
    }

    fn on_own_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }
}

/// Starts committers.
pub struct Committer;

impl Committer {
    /// Gives the journal to a new thread. `clock` tells milliseconds since 1970-01-01 UTC;
    /// `observer` sees every batch in journal order, after it is durable and before its
    /// acknowledgements, on that thread. The thread ends by [`CommitterHandle::stop`], or after a
    /// failure; the journal is closed then.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the system gives no thread.
    pub fn start<J: Journal + 'static>(
        journal: J,
        clock: impl FnMut() -> i64 + Send + 'static,
        observer: impl FnMut(Appended, Vec<Vec<u8>>) + Send + 'static,
        options: CommitterOptions,
    ) -> Result<CommitterHandle, JournalError> {
        let limits = QueueLimits {
            queue_records_max: options.queue_records_max,
            queue_bytes_max: options.queue_bytes_max,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: CommitQueue::new(limits),
                seals: Vec::new(),
                wake_at: 1,
                first_queued: None,
                draining: false,
                finished: false,
                failure: None,
            }),
            work: Condvar::new(),
            done: Condvar::new(),
            figures: Figures::default(),
            thread: std::sync::OnceLock::new(),
        });
        shared.figures.head.store(journal.head().0, Relaxed);
        let worker = Worker {
            shared: shared.clone(),
            journal: Some(Box::new(journal)),
            clock: Box::new(clock),
            observer: Box::new(observer),
            window: Duration::from_millis(options.window_ms),
            last_commit: None,
        };
        std::thread::Builder::new()
            .name("regie-committer".into())
            .spawn(move || worker.run())
            .map_err(|source| JournalError::io("starting the committer", source))?;
        Ok(CommitterHandle { shared })
    }
}

/// Submits to a committer from anywhere; clones are cheap.
#[derive(Clone)]
pub struct CommitterHandle {
    shared: Arc<Shared>,
}

impl CommitterHandle {
    /// Queues payloads that belong together: consecutive positions, one batch, all or nothing.
    /// Never waits for the disk. `ack` fires exactly once: on the committer's thread (so it must
    /// be quick), or here and now if the submission is refused or the journal has stopped.
    ///
    /// # Errors
    /// [`QueueFull`]; then `ack` never fires.
    pub fn submit(
        &self,
        payloads: Vec<Vec<u8>>,
        ack: impl FnOnce(Result<Appended, CommitError>) + Send + 'static,
    ) -> Result<(), QueueFull> {
        let Some(job) = Job::new(payloads, ack) else {
            return Ok(());
        };
        let mut state = self.shared.lock();
        let pushed = match state.draining {
            true => Err((None, job)),
            false => state.queue.push(job),
        };
        if pushed.is_ok() {
            if state.queue.submission_count() == 1 {
                state.first_queued = Some(Instant::now());
            }
            if state.queue.submission_count() >= state.wake_at {
                state.wake_at = usize::MAX;
                self.shared.work.notify_one();
            }
            self.shared.publish_queue(&state);
        }
        drop(state);
        settle(pushed)
    }

    /// Submits and waits until it is durable, refused or lost. For threads that may block.
    ///
    /// # Errors
    /// As the acknowledgement; [`CommitError::QueueFull`]; [`CommitError::OwnThread`].
    pub fn submit_wait(&self, payloads: Vec<Vec<u8>>) -> Result<Appended, CommitError> {
        if self.shared.on_own_thread() {
            return Err(CommitError::OwnThread);
        }
        let (reply, answer) = mpsc::sync_channel(1);
        self.submit(payloads, move |result| drop(reply.send(result)))?;
        answer.recv().unwrap_or(Err(CommitError::Stopped))
    }

    /// Seals the active segment between two commits and waits for it. `Ok(None)`: it is empty.
    ///
    /// # Errors
    /// [`CommitError::Failed`] (and the journal stops), [`CommitError::Stopped`],
    /// [`CommitError::OwnThread`].
    pub fn seal(&self) -> Result<Option<SegmentInfo>, CommitError> {
        if self.shared.on_own_thread() {
            return Err(CommitError::OwnThread);
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let mut state = self.shared.lock();
        if state.draining || state.queue.is_stopped() {
            return Err(CommitError::Stopped);
        }
        state.seals.push(reply);
        self.shared.work.notify_one();
        drop(state);
        answer.recv().unwrap_or(Err(CommitError::Stopped))
    }

    /// Accepts nothing more, commits what waits, closes the journal, and returns when that is
    /// done. From the committer's own thread it only asks. Calling it again is harmless.
    ///
    /// # Errors
    /// The failure that stopped the journal, if one did.
    pub fn stop(&self) -> Result<(), CommitError> {
        let mut state = self.shared.lock();
        state.draining = true;
        self.shared.work.notify_one();
        if self.shared.on_own_thread() {
            return Ok(());
        }
        while !state.finished {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// True when nothing more will be committed: stopped, or failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.figures.stopped.load(Relaxed)
    }

    /// The failure that stopped it, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<CommitError> {
        self.shared.lock().failure.clone()
    }

    /// Figures for metrics; takes no lock.
    #[must_use]
    pub fn counters(&self) -> CommitCounters {
        let figures = &self.shared.figures;
        CommitCounters {
            queued_record_count: figures.queued_record_count.load(Relaxed),
            queued_bytes: figures.queued_bytes.load(Relaxed),
            commit_count: figures.commit_count.load(Relaxed),
            record_count: figures.record_count.load(Relaxed),
            last_commit_micros: figures.last_commit_micros.load(Relaxed),
            longest_commit_micros: figures.longest_commit_micros.load(Relaxed),
            head: Position(figures.head.load(Relaxed)),
        }
    }
}

enum Work {
    Commit(PendingBatch),
    Seal(Vec<SealReply>),
    End,
}

struct Worker {
    shared: Arc<Shared>,
    journal: Option<Box<dyn Journal>>,
    clock: Box<dyn FnMut() -> i64 + Send>,
    observer: Box<dyn FnMut(Appended, Vec<Vec<u8>>) + Send>,
    window: Duration,
    /// When the last commit ended, and how many submissions it had.
    last_commit: Option<(Instant, usize)>,
}

impl Worker {
    fn run(mut self) {
        let _ = self.shared.thread.set(std::thread::current().id());
        while let Some(mut journal) = self.journal.take() {
            let failed = match self.next_work() {
                Work::End => break,
                Work::Commit(batch) => self.commit(batch, &mut *journal).err(),
                Work::Seal(replies) => {
                    let sealed = journal.seal().map_err(|error| CommitError::Failed(Arc::new(error)));
                    for reply in replies {
                        let _ = reply.send(sealed.clone());
                    }
                    sealed.err()
                }
            };
            match failed {
                Some(failure @ CommitError::Failed(_)) => {
                    self.shared.lock().failure = Some(failure);
                    break;
                }
                _ => self.journal = Some(journal),
            }
        }
        // Dropping `self` closes the journal and then tells everyone; so does a panic.
    }

    /// Waits for something to do, and a little longer when more of it is about to come.
    fn next_work(&mut self) -> Work {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            if !state.seals.is_empty() {
                return Work::Seal(std::mem::take(&mut state.seals));
            }
            let waiting = state.queue.submission_count();
            if waiting == 0 && state.draining {
                return Work::End;
            }
            let hold = match waiting {
                0 => None,
                _ => Some(self.hold(&state, Instant::now())),
            };
            state = match hold {
                Some(None) => break,
                Some(Some((wake_at, time))) => {
                    state.wake_at = wake_at;
                    shared.work.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    state.wake_at = 1;
                    shared.work.wait(state).unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        state.wake_at = usize::MAX;
        state.first_queued = None;
        let batch = state.queue.take();
        if state.queue.submission_count() > 0 {
            state.first_queued = Some(Instant::now());
        }
        shared.publish_queue(&state);
        batch.map_or(Work::End, Work::Commit)
    }

    /// How many submissions to wait for, and how long; `None`: commit now. A lone submitter never
    /// waits, nor does the first one after a pause.
    fn hold(&self, state: &State, now: Instant) -> Option<(usize, Duration)> {
        let (ended, expected) = self.last_commit?;
        let since = state.first_queued?;
        if state.draining || now.duration_since(ended) > self.window {
            return None;
        }
        if state.queue.submission_count() >= expected {
            return None;
        }
        let left = self.window.checked_sub(now.duration_since(since))?;
        (!left.is_zero()).then_some((expected, left))
    }

    fn commit(&mut self, batch: PendingBatch, journal: &mut dyn Journal) -> Result<(), CommitError> {
        let submission_count = batch.submission_count();
        let now_ms = (self.clock)();
        let figures = &self.shared.figures;
        let started = Instant::now();
        let observer = &mut self.observer;
        let mut observe = |appended: Appended, payloads| {
            let micros = started.elapsed().as_micros() as u64;
            figures.last_commit_micros.store(micros, Relaxed);
            figures.longest_commit_micros.fetch_max(micros, Relaxed);
            figures.commit_count.fetch_add(1, Relaxed);
            figures.record_count.fetch_add(appended.record_count(), Relaxed);
            figures.head.store(appended.last.0, Relaxed);
            observer(appended, payloads);
        };
        let result = batch.commit(now_ms, journal, &mut observe);
        self.last_commit = Some((Instant::now(), submission_count));
        result.map(|_| ())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // First the journal, so that whoever waits for the end can open the folder again.
        self.journal = None;
        self.shared.figures.stopped.store(true, Relaxed);
        let mut state = self.shared.lock();
        let left = state.queue.stop();
        let seals = std::mem::take(&mut state.seals);
        self.shared.publish_queue(&state);
        state.finished = true;
        drop(state);
        self.shared.done.notify_all();
        drop((left, seals));
    }
}
