//! The SQLite engine on a real disk: locks, limits, reading beside the writer, seals, archive,
//! verification, damage, backup. Refuses a sleep or a retry.

use regie_journal::*;
use std::path::Path;

fn payloads(from: u64, count: usize) -> Vec<Vec<u8>> {
    (0..count as u64).map(|i| format!("record {}", from + i).into_bytes()).collect()
}

fn open(dir: &Path) -> SqliteJournal {
    SqliteJournal::open(dir, Options::default()).expect("opens")
}

#[test]
fn one_writer_per_folder() {
    let dir = tempfile::tempdir().expect("tempdir");
    let first = open(dir.path());
    let second = SqliteJournal::open(dir.path(), Options::default());
    assert!(matches!(second, Err(JournalError::Locked { .. })));
    drop(first);
    open(dir.path());
}

#[test]
fn missing_is_said() {
    let dir = tempfile::tempdir().expect("tempdir");
    let options = Options { create_if_missing: false, ..Options::default() };
    for path in [dir.path().to_path_buf(), dir.path().join("none")] {
        let opened = SqliteJournal::open(&path, options.clone());
        assert!(matches!(opened, Err(JournalError::Missing { .. })));
        let verified = verify(&path, true, &mut |_, _| {});
        assert!(matches!(verified, Err(JournalError::Missing { .. })));
        let read = JournalReader::open(&path, Position::START);
        assert!(read.is_err());
    }
}

#[test]
fn limits_refuse_and_go_on() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut journal = open(dir.path());
    let megabyte = vec![7; RECORD_BYTES_MAX];
    for (payloads, text) in [
        (vec![], "at least one"),
        (vec![vec![0; RECORD_BYTES_MAX + 1]], "1048576"),
        (vec![vec![]; BATCH_RECORDS_MAX + 1], "65536"),
        (vec![megabyte.clone(); 16], "16777216"),
    ] {
        let error = journal.append(1, &payloads).expect_err("over a limit");
        assert!(error.is_refusal());
        assert!(error.to_string().contains(text), "{error}");
    }
    journal.append(1, &vec![megabyte; 15]).expect("fits");
    journal.append(1, &vec![vec![]; BATCH_RECORDS_MAX]).expect("fits");
    assert_eq!(journal.head(), Position(15 + BATCH_RECORDS_MAX as u64));
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(journal.head(), Position(15 + BATCH_RECORDS_MAX as u64));
}

#[test]
fn reader_follows_the_writer_over_seals_and_archive() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut journal = open(dir.path());
    let mut reader = JournalReader::open(dir.path(), Position::START).expect("opens");
    assert!(reader.next_batch().expect("reads").is_none());
    let mut expected = 0;
    for round in 0..6 {
        journal.append(round, &payloads(expected + 1, 5)).expect("appends");
        expected += 5;
        if round % 2 == 1 {
            let sealed = journal.seal().expect("seals").expect("not empty");
            if round == 3 {
                assert!(journal.archive(sealed.number).expect("archives"));
                assert!(!journal.archive(sealed.number).expect("again"));
            }
        }
        if round == 4 {
            continue;
        }
        reader
            .for_each(|record| {
                let text = format!("record {}", record.position);
                assert_eq!(record.payload, text.as_bytes());
            })
            .expect("reads");
        assert_eq!(reader.position(), Position(expected));
    }
    for after in 0..=expected {
        let mut reader = JournalReader::open(dir.path(), Position(after)).expect("opens");
        let mut next = after + 1;
        let count = reader.for_each(|record| {
            assert_eq!(record.position, Position(next));
            next += 1;
        });
        assert_eq!(count.expect("reads"), expected - after);
    }
    let report = verify(dir.path(), true, &mut |_, _| {}).expect("sound");
    assert!(report.agrees_with(&journal));
    assert_eq!((report.record_count, report.segment_count), (30, 4));
    let quick = verify(dir.path(), false, &mut |_, _| {}).expect("sound");
    assert_eq!((quick.record_count, quick.skipped_segment_count), (20, 1));
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(journal.segments().len(), 4);
    assert_eq!(journal.read(Position(12), 6).expect("reads").len(), 6);
}

#[test]
fn seals_by_size_and_by_day() {
    let dir = tempfile::tempdir().expect("tempdir");
    let options = Options { segment_bytes_max: 100, ..Options::default() };
    let mut journal = SqliteJournal::open(dir.path(), options).expect("opens");
    let day = 86_400_000;
    for at in [0, 1, day - 1, day, day - 5, 2 * day] {
        journal.append(at, &[vec![1; 60]]).expect("appends");
    }
    let lasts: Vec<u64> = journal.segments().iter().map(|s| s.last.0).collect();
    assert_eq!(lasts, [2, 3, 5, 6]);
    let times: Vec<i64> =
        journal.read(Position::START, 10).expect("reads").iter().map(|record| record.at_ms).collect();
    assert_eq!(times, [0, 1, day - 1, day, day, 2 * day]);
}

#[test]
fn backup_of_a_journal_in_use_opens_like_it() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (from, to) = (dir.path().join("journal"), dir.path().join("copy"));
    let mut journal = open(&from);
    for round in 0..9 {
        journal.append(round, &payloads(1, 3)).expect("appends");
        if round % 3 == 2 && round < 8 {
            let info = journal.seal().expect("seals").expect("not empty");
            if round == 2 {
                journal.archive(info.number).expect("archives");
            }
        }
    }
    let report = journal.backup_to(&to).expect("copies");
    assert_eq!(report.head, journal.head());
    assert_eq!(report.head_chain, journal.head_chain());
    journal.append(99, &payloads(1, 1)).expect("still open");
    assert!(journal.backup_to(&to).is_err(), "never over another");
    let mut copy = open(&to);
    assert_eq!(copy.head(), Position(27));
    assert_eq!(copy.append(99, &payloads(1, 1)).expect("appends").first, Position(28));
    assert_eq!(copy.head_chain(), journal.head_chain());
}

/// Changes one stored byte, by SQL, and expects to be told segment and batch.
#[test]
fn damage_is_named() {
    for (sealed, sql, told) in [
        (
            false,
            "UPDATE batch SET frame = cast(substr(frame, 1, 12) || x'00' || substr(frame, 14) AS BLOB) WHERE first = 4",
            "checksum",
        ),
        (
            true,
            "UPDATE batch SET frame = cast(substr(frame, 1, 12) || x'00' || substr(frame, 14) AS BLOB) WHERE first = 4",
            "checksum",
        ),
        (true, "UPDATE batch SET at_ms = at_ms - 1 WHERE first = 4", "checksum"),
        (true, "UPDATE batch SET chain = zeroblob(32) WHERE first = 4", "chain"),
        (true, "UPDATE batch SET count = 0 WHERE first = 4", "0 records"),
        (true, "DELETE FROM batch WHERE first = 4", "missing"),
        (true, "DELETE FROM batch WHERE first = 7", "seal"),
    ] {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut journal = open(dir.path());
        for round in 0..3 {
            journal.append(round, &payloads(1, 3)).expect("appends");
        }
        if sealed {
            journal.seal().expect("seals");
        }
        drop(journal);
        let db = rusqlite::Connection::open(dir.path().join("00000001.db")).expect("opens");
        assert_eq!(db.execute(sql, []).expect("changes"), 1);
        drop(db);
        let fault = verify(dir.path(), true, &mut |_, _| {}).expect_err("must be seen");
        let JournalError::Corrupt { segment: 1, what, .. } = &fault else {
            panic!("{sql}: {fault}");
        };
        assert!(what.contains(told), "{sql}: {what}");
        if !sealed {
            let opened = SqliteJournal::open(dir.path(), Options::default());
            assert!(matches!(opened, Err(JournalError::Corrupt { .. })));
        }
    }
}

#[test]
fn a_missing_segment_and_garbage_are_named() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut journal = open(dir.path());
    for _ in 0..3 {
        journal.append(1, &payloads(1, 3)).expect("appends");
        journal.seal().expect("seals");
    }
    drop(journal);
    std::fs::write(dir.path().join("00000001.db"), b"this was a database once").expect("writes");
    let opened = SqliteJournal::open(dir.path(), Options::default());
    assert!(matches!(opened, Err(JournalError::Corrupt { segment: 1, .. })));
    std::fs::remove_file(dir.path().join("00000002.db")).expect("removes");
    let opened = SqliteJournal::open(dir.path(), Options::default());
    assert!(matches!(opened, Err(JournalError::Corrupt { segment: 2, .. })));
}

/// Retiring the oldest segment is allowed; asking for its records is answered by name.
#[test]
fn retired_records_are_gone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut journal = open(dir.path());
    for _ in 0..2 {
        journal.append(1, &payloads(1, 3)).expect("appends");
        journal.seal().expect("seals");
    }
    drop(journal);
    std::fs::remove_file(dir.path().join("00000001.db")).expect("removes");
    let journal = open(dir.path());
    let read = journal.read(Position(2), 9);
    assert!(matches!(read, Err(JournalError::Gone { oldest: Position(4), .. })));
    assert_eq!(journal.read(Position(3), 9).expect("reads").len(), 3);
    let reader = JournalReader::open(dir.path(), Position(0));
    assert!(matches!(reader, Err(JournalError::Gone { .. })));
}
