//! The conformance story: what every engine of the journal must do, told once, run on each.
//! Refuses to know the engine: it only has the trait, and a way to open the same journal again.

use regie_journal::*;

/// Tells the story; `open` opens the same journal each time, after the one before was dropped.
pub fn tell<J: Journal>(mut open: impl FnMut() -> J) {
    let mut journal = open();
    begins_empty(&journal);
    appends_and_reads(&mut journal);
    refuses_and_goes_on(&mut journal);
    let (head, chain) = (journal.head(), journal.head_chain());

    drop(journal);
    let mut journal = open();
    assert_eq!((journal.head(), journal.head_chain()), (head, chain), "reopening changes nothing");
    assert_eq!(journal.last_at_ms(), 2_000);
    keeps_time_from_going_back(&mut journal);
    seals(&mut journal);

    drop(journal);
    let journal = open();
    reads_from_anywhere(&journal);
}

fn numbered(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(|number| number.to_string().into_bytes()).collect()
}

fn begins_empty(journal: &impl Journal) {
    assert_eq!(journal.head(), Position::START);
    assert_eq!(journal.head_chain(), ChainHash::GENESIS);
    assert_eq!(journal.last_at_ms(), i64::MIN);
    assert_eq!(journal.read(Position::START, 10).expect("reads"), []);
}

fn appends_and_reads(journal: &mut impl Journal) {
    let one = journal.append(1_000, &numbered(1, 1)).expect("appends");
    assert_eq!(one, Appended { first: Position(1), last: Position(1), at_ms: 1_000 });
    let before = journal.head_chain();
    let more = journal.append(2_000, &numbered(2, 3)).expect("appends");
    assert_eq!(more, Appended { first: Position(2), last: Position(4), at_ms: 2_000 });
    assert_eq!(more.record_count(), 3);
    assert_ne!(journal.head_chain(), before);
    assert_eq!(journal.head(), Position(4));
    let read = journal.read(Position(1), 2).expect("reads");
    assert_eq!(
        read,
        [
            Record { position: Position(2), at_ms: 2_000, payload: b"2".to_vec() },
            Record { position: Position(3), at_ms: 2_000, payload: b"3".to_vec() },
        ]
    );
    assert_eq!(journal.read(Position(4), 9).expect("reads"), []);
    assert_eq!(journal.read(Position(99), 9).expect("reads"), []);
    assert_eq!(journal.read(Position::START, 0).expect("reads"), []);
}

fn refuses_and_goes_on(journal: &mut impl Journal) {
    for refused in [vec![], vec![vec![0; RECORD_BYTES_MAX + 1]]] {
        let error = journal.append(9_000, &refused).expect_err("over a limit");
        assert!(error.is_refusal());
    }
    assert_eq!((journal.head(), journal.last_at_ms()), (Position(4), 2_000));
    let largest = vec![0xA5; RECORD_BYTES_MAX];
    journal.append(2_000, &[Vec::new(), largest.clone(), b"7".to_vec()]).expect("fits");
    let read = journal.read(Position(4), 3).expect("reads");
    assert_eq!((read[0].payload.len(), &read[1].payload, &read[2].payload[..]), (0, &largest, &b"7"[..]));
}

fn keeps_time_from_going_back(journal: &mut impl Journal) {
    assert_eq!(journal.append(500, &numbered(8, 1)).expect("appends").at_ms, 2_000);
    assert_eq!(journal.append(-5, &numbered(9, 1)).expect("appends").at_ms, 2_000);
    assert_eq!(journal.append(2_001, &numbered(10, 1)).expect("appends").at_ms, 2_001);
}

fn seals(journal: &mut impl Journal) {
    let chain = journal.head_chain();
    let sealed = journal.seal().expect("seals").expect("not empty");
    assert!(sealed.sealed);
    assert_eq!((sealed.last, sealed.chain), (Position(10), chain));
    assert!(journal.seal().expect("seals").is_none(), "an empty segment is not sealed");
    assert_eq!(journal.head_chain(), chain, "sealing changes no record");
    assert_eq!(journal.append(2_001, &numbered(11, 5)).expect("appends").first, Position(11));
    let segments = journal.segments();
    assert!(segments.iter().rev().skip(1).all(|segment| segment.sealed));
    assert!(!segments.last().expect("one is active").sealed);
    for pair in segments.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1);
        assert_eq!(pair[1].first, pair[0].last.next());
        assert_eq!(pair[1].prev_chain, pair[0].chain);
    }
}

fn reads_from_anywhere(journal: &impl Journal) {
    assert_eq!(journal.head(), Position(15));
    for after in 0..=15 {
        for max in [1, 3, 100] {
            let read = journal.read(Position(after), max).expect("reads");
            let positions: Vec<u64> = read.iter().map(|record| record.position.0).collect();
            let expected: Vec<u64> = (after + 1..=15).take(max).collect();
            assert_eq!(positions, expected);
            assert!(
                read.iter()
                    .filter(|record| record.position.0 != 5 && record.position.0 != 6)
                    .all(|record| record.payload == record.position.to_string().as_bytes())
            );
            assert!(read.is_sorted_by_key(|record| record.at_ms));
        }
    }
}
