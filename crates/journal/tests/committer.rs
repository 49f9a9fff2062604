//! The committer: order, acknowledgements exactly once, draining, back pressure, failure, panic.
//! Refuses to depend on timing: threads meet at channels.

use regie_journal::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};

fn start(dir: &std::path::Path, options: CommitterOptions) -> CommitterHandle {
    let journal = SqliteJournal::open(dir, Options::default()).expect("opens");
    Committer::start(journal, || 1, |_, _| {}, options).expect("starts")
}

#[test]
fn many_submitters_every_record_once_in_order() {
    let dir = tempfile::tempdir().expect("tempdir");
    let journal = SqliteJournal::open(dir.path(), Options::default()).expect("opens");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watch = seen.clone();
    let observer = move |appended: Appended, payloads: Vec<Vec<u8>>| {
        assert_eq!(appended.record_count(), payloads.len() as u64);
        watch.lock().expect("lock").push((appended.first, payloads));
    };
    let handle = Committer::start(journal, || 7, observer, CommitterOptions::default()).expect("starts");
    let (sent, acks) = mpsc::channel();
    let threads: Vec<_> = (0..4u8)
        .map(|thread| {
            let (handle, sent) = (handle.clone(), sent.clone());
            std::thread::spawn(move || {
                for serial in 0..50u8 {
                    let payloads: Vec<_> = (0..=serial % 3).map(|part| vec![thread, serial, part]).collect();
                    let (sent, key) = (sent.clone(), payloads.clone());
                    handle
                        .submit(payloads, move |result| sent.send((key, result)).expect("open"))
                        .expect("room");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("joins"));
    handle.stop().expect("stops");
    drop(sent);
    let mut acknowledged = BTreeMap::new();
    for (payloads, result) in acks {
        let appended = result.expect("committed");
        assert_eq!(appended.record_count(), payloads.len() as u64);
        for (index, payload) in payloads.into_iter().enumerate() {
            assert!(acknowledged.insert(appended.first.0 + index as u64, payload).is_none());
        }
    }
    let journal = SqliteJournal::open(dir.path(), Options::default()).expect("closed by stop");
    let stored = journal.read(Position::START, usize::MAX).expect("reads");
    let stored: Vec<Vec<u8>> = stored.into_iter().map(|record| record.payload).collect();
    assert_eq!(stored, acknowledged.into_values().collect::<Vec<_>>());
    let seen = std::mem::take(&mut *seen.lock().expect("lock"));
    let mut next = Position(1);
    for (first, payloads) in &seen {
        assert_eq!(*first, next);
        next = Position(first.0 + payloads.len() as u64);
    }
    assert_eq!(stored, seen.into_iter().flat_map(|(_, payloads)| payloads).collect::<Vec<_>>());
    // Each submitter's own order is kept.
    for thread in 0..4u8 {
        let own: Vec<_> = stored.iter().filter(|payload| payload[0] == thread).collect();
        assert!(own.is_sorted());
    }
}

#[test]
fn after_stop_nothing_is_taken_and_the_folder_is_free() {
    let dir = tempfile::tempdir().expect("tempdir");
    let handle = start(dir.path(), CommitterOptions::default());
    assert_eq!(handle.submit_wait(vec![vec![1]]).expect("commits").last, Position(1));
    assert_eq!(handle.counters().head, Position(1));
    assert_eq!(handle.seal().expect("seals").expect("not empty").last, Position(1));
    assert!(handle.seal().expect("seals").is_none());
    handle.stop().expect("stops");
    handle.stop().expect("again");
    assert!(handle.is_stopped());
    assert!(matches!(handle.submit_wait(vec![vec![1]]), Err(CommitError::Stopped)));
    assert!(matches!(handle.seal(), Err(CommitError::Stopped)));
    let handle = start(dir.path(), CommitterOptions::default());
    assert_eq!(handle.submit_wait(vec![vec![2]]).expect("commits").first, Position(2));
}

#[test]
fn a_refused_submission_harms_no_other() {
    let dir = tempfile::tempdir().expect("tempdir");
    let handle = start(dir.path(), CommitterOptions::default());
    let refused = handle.submit_wait(vec![vec![0; RECORD_BYTES_MAX + 1]]);
    assert!(matches!(refused, Err(CommitError::Refused(_))));
    assert!(matches!(handle.submit_wait(Vec::new()), Err(CommitError::Refused(_))));
    assert_eq!(handle.submit_wait(vec![vec![1]]).expect("commits").first, Position(1));
}

#[test]
fn a_full_queue_says_so_and_fires_nothing() {
    let options = CommitterOptions { queue_records_max: 3, ..CommitterOptions::default() };
    let dir = tempfile::tempdir().expect("tempdir");
    let journal = SqliteJournal::open(dir.path(), Options::default()).expect("opens");
    let (entered, inside) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let observer = move |_, _| {
        entered.send(()).expect("open");
        let _ = gate.recv();
    };
    let handle = Committer::start(journal, || 1, observer, options).expect("starts");
    handle.submit(vec![vec![1]], |_| {}).expect("room");
    inside.recv().expect("the committer is busy");
    handle.submit(vec![vec![2]; 2], |_| {}).expect("room");
    let full = handle.submit(vec![vec![3]; 2], |_| panic!("must not fire")).expect_err("full");
    assert_eq!((full.queued_record_count, full.queue_records_max), (2, 3));
    assert!(matches!(handle.submit_wait(vec![vec![3]; 2]), Err(CommitError::QueueFull(_))));
    drop(release);
    handle.stop().expect("stops");
    assert_eq!(handle.counters().record_count, 3);
}

#[test]
fn a_panic_in_the_observer_stops_without_hanging_anyone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let journal = SqliteJournal::open(dir.path(), Options::default()).expect("opens");
    let observer = |_, _| panic!("on purpose");
    let handle = Committer::start(journal, || 1, observer, CommitterOptions::default()).expect("starts");
    assert!(matches!(handle.submit_wait(vec![vec![1]]), Err(CommitError::Stopped)));
    assert!(handle.stop().is_ok());
    assert!(matches!(handle.submit_wait(vec![vec![1]]), Err(CommitError::Stopped)));
    assert_eq!(start(dir.path(), CommitterOptions::default()).counters().head, Position(1));
}

#[test]
fn waiting_on_the_own_thread_is_refused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let handle = start(dir.path(), CommitterOptions::default());
    let (sent, answer) = mpsc::channel();
    let inner = handle.clone();
    let ack = move |_| {
        let waited = inner.submit_wait(vec![vec![2]]);
        sent.send(matches!(waited, Err(CommitError::OwnThread))).expect("open");
        inner.stop().expect("only asks");
    };
    handle.submit(vec![vec![1]], ack).expect("room");
    assert!(answer.recv().expect("fires"));
    handle.stop().expect("stops");
}

/// A journal whose commits fail from one on, as a broken disk's would.
struct Failing {
    inner: SqliteJournal,
    left: u32,
}

impl Journal for Failing {
    fn append(&mut self, now_ms: i64, payloads: &[Vec<u8>]) -> Result<Appended, JournalError> {
        if self.left == 0 {
            let source = std::io::Error::other("broken");
            return Err(JournalError::Io { doing: "testing".into(), source });
        }
        self.left -= 1;
        self.inner.append(now_ms, payloads)
    }
    fn head(&self) -> Position {
        self.inner.head()
    }
    fn head_chain(&self) -> ChainHash {
        self.inner.head_chain()
    }
    fn last_at_ms(&self) -> i64 {
        self.inner.last_at_ms()
    }
    fn read(&self, after: Position, max_records: usize) -> Result<Vec<Record>, JournalError> {
        self.inner.read(after, max_records)
    }
    fn seal(&mut self) -> Result<Option<SegmentInfo>, JournalError> {
        self.inner.seal()
    }
    fn segments(&self) -> Vec<SegmentInfo> {
        self.inner.segments()
    }
}

#[test]
fn a_failed_commit_fails_what_was_in_it_and_stops_the_rest() {
    let dir = tempfile::tempdir().expect("tempdir");
    let inner = SqliteJournal::open(dir.path(), Options::default()).expect("opens");
    let journal = Failing { inner, left: 1 };
    let handle = Committer::start(journal, || 1, |_, _| {}, CommitterOptions::default()).expect("starts");
    handle.submit_wait(vec![vec![1]]).expect("commits");
    assert!(matches!(handle.submit_wait(vec![vec![2]]), Err(CommitError::Failed(_))));
    assert!(matches!(handle.submit_wait(vec![vec![3]]), Err(CommitError::Stopped)));
    assert!(matches!(handle.stop(), Err(CommitError::Failed(_))));
    assert!(handle.failure().is_some());
    assert_eq!(handle.counters().record_count, 1);
}
