//! The sequencer under failing disks, crashes at every write, restored backups, rivals, rotated and stolen keys: laws R1 to
//! R3, as an outsider sees them.
#![allow(clippy::unwrap_used)]

mod log_world;

use log_world::{
    ORIGIN, Outsider, START_MS, Shared, Witness, a_log, check, entry, key, open, open_as, policy,
    shown_checkpoint,
};
use regie_record::log::{
    Policy, VerifierKey,
    evidence::Evidence,
    leaf::{Tombstone, tombstone},
    outside::{Standing, catch_up, compare, cosign},
    read::object_path,
    sequencer::{Halted, Opening, SequencerError},
    tree::Frontier,
    verify::{Finding, Verdict},
};
use std::sync::{Arc, Mutex};

/// A small linear congruential generator: a seed reproduces a run.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Appends, shows, settles; after a failure the power goes and the log is opened anew.
fn run(seed: u64, fuse: Option<u64>, steps: u64) -> Result<u64, String> {
    let disk = Shared::default();
    disk.lock().unwrap().fuse = fuse;
    disk.lock().unwrap().persists = seed.is_multiple_of(2);
    let mut dice = Dice(seed);
    let mut outsider = Outsider::default();
    let keys = [key(1)];
    let verifiers = [key(1).verifier()];
    let mut now_ms = START_MS;
    let mut sequencer = None;
    for step in 0..steps {
        now_ms += 1_000;
        let result = (|| -> Result<(), SequencerError> {
            let log = match sequencer.as_mut() {
                Some(log) => log,
                None => sequencer.insert(open(&disk, &keys, now_ms)?),
            };
            // What the head's position says is in; a batch that was in doubt is not appended twice.
            let position = step + 1;
            let most = if dice.roll(9) == 0 { 280 } else { 3 };
            let count = 1 + dice.roll(most);
            let entries: Vec<_> = (0..count)
                .map(|at| {
                    let ad = step * 1_000 + at;
                    entry(ad, 1, now_ms)
                })
                .collect();
            log.append(&entries, position)?;
            if dice.roll(3) > 0 {
                log.show()?;
            }
            if dice.roll(3) == 0 {
                log.settle()?;
            }
            Ok(())
        })();
        outsider.look(&disk.lock().unwrap().shown(), &verifiers)?;
        let power_goes = dice.roll(25) == 0;
        if result.is_err() || power_goes {
            drop(sequencer.take());
            disk.lock().unwrap().crash();
            // What is shown after the power came back is still whole.
            let mut again = open(&disk, &keys, now_ms).map_err(|e| format!("does not open again: {e}"))?;
            again.settle().map_err(|e| e.to_string())?;
            sequencer = Some(again);
            outsider.look(&disk.lock().unwrap().shown(), &verifiers)?;
        }
    }
    let shown = disk.lock().unwrap().shown();
    let report = check(&shown, &policy(), None);
    if report.verdict() != Verdict::ConsistentUnwitnessed {
        return Err(format!("an honest log raises an alarm: {:?}", report.findings));
    }
    Ok(disk.lock().unwrap().writes)
}

/// Steps of the run whose every write fails once.
const STEPS: u64 = 12;

#[test]
fn a_write_that_fails_anywhere_breaks_no_law() {
    let writes = run(7, None, STEPS).unwrap();
    assert!(writes > 60, "only {writes} writes: the scenario tests nothing");
    for fuse in 0..writes {
        // Of the failing writes, every second one persists all the same.
        let seed = 7 + fuse % 2;
        run(seed, Some(fuse), STEPS).unwrap_or_else(|e| panic!("write {fuse} fails, seed {seed}: {e}"));
    }
}

#[test]
fn random_runs_with_power_losses_break_no_law() {
    for seed in 0..6 {
        run(seed, (seed % 3 == 0).then_some(seed * 11), 30).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

#[test]
fn two_sequencers_on_one_store_cannot_both_append() {
    let (disk, mut first) = a_log(10);
    let mut second = open(&disk, &[key(1)], START_MS).unwrap();
    second.append(&[entry(11, 1, START_MS)], 11).unwrap();
    second.show().unwrap();
    let error = first.append(&[entry(12, 1, START_MS)], 12).unwrap_err();
    assert_eq!(error, SequencerError::Halted(Halted::Other));
    assert!(first.append(&[entry(12, 1, START_MS)], 12).is_err(), "and never again");
    let shown = disk.lock().unwrap().shown();
    assert_eq!(check(&shown, &policy(), None).checkpoint.unwrap().size, 12);
}

/// Two machines with a copy each: no store between them, but a witness.
#[test]
fn of_two_sequencers_on_copies_the_witness_stops_the_second() {
    let (disk, mut first) = a_log(10);
    let copy: Shared = Arc::new(Mutex::new(disk.lock().unwrap().copy()));
    let mut second = open(&copy, &[key(1)], START_MS).unwrap();
    let mut witness = Witness::new(2, &[key(1).verifier()]);
    let mut last = 0;
    first.append(&[entry(11, 1, START_MS)], 11).unwrap();
    cosign(&mut first, &mut witness, &mut last).unwrap();
    second.append(&[entry(99, 1, START_MS)], 11).unwrap();
    assert!(cosign(&mut second, &mut witness, &mut 0).unwrap_err().to_string().contains("another history"));
    assert!(matches!(second.halted(), Some(Halted::Outside(_))));
    second.append(&[entry(98, 1, START_MS)], 12).unwrap_err();
}

#[test]
fn a_restored_backup_signs_nothing_until_it_holds_what_was_published() {
    let (disk, mut log) = a_log(10);
    let backup = disk.lock().unwrap().copy();
    for ad in 11..=30 {
        log.append(&[entry(ad, 1, START_MS + ad as i64)], ad).unwrap();
        log.show().unwrap();
    }
    let mut published = disk.lock().unwrap().shown();
    let seen = shown_checkpoint(&published);
    let keys = [key(1).verifier()];
    // The folder comes back from the backup.
    let restored: Shared = Arc::new(Mutex::new(backup));
    let mut old = open(&restored, &[key(1)], START_MS).unwrap();
    assert_eq!(compare(&mut old, &mut published, &keys), Standing::Ahead(31));
    let mut witness = Witness::new(2, &keys);
    cosign(&mut log, &mut witness, &mut 0).unwrap();
    assert!(cosign(&mut old, &mut witness, &mut 0).unwrap_err().to_string().contains("has seen 31 entries"));
    assert!(old.append(&[entry(40, 1, START_MS)], 40).is_err(), "it refuses to sign");
    // It takes over what was published, and goes on from there.
    let mut old = open(&restored, &[key(1)], START_MS).unwrap();
    assert_eq!(catch_up(&mut old, &mut published, &keys).unwrap(), 20);
    assert_eq!(old.head().head, log.head().head);
    assert_eq!(compare(&mut old, &mut published, &keys), Standing::Behind(31));
    old.append(&[entry(40, 1, START_MS + 40)], 40).unwrap();
    old.show().unwrap();
    assert!(cosign(&mut old, &mut witness, &mut 0).is_ok());
    let report = check(&restored.lock().unwrap().shown(), &policy(), Some(seen));
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
}

/// Without the lost leaves, the way on is a new origin that links to the old.
#[test]
fn a_log_whose_leaves_are_lost_goes_on_under_a_new_origin() {
    let (disk, _) = a_log(10);
    let last = shown_checkpoint(&disk.lock().unwrap().shown());
    let fresh = Shared::default();
    let name = "gazette.example/record/log-2";
    let second = regie_record::log::Signatory::new(name, 1, &[5; 32]).unwrap();
    let opening = Opening {
        origin: name,
        keys: std::slice::from_ref(&second),
        now_ms: START_MS,
        continues: Some((last.clone(), "the disk was lost".into())),
        position: 10,
    };
    let mut log = open_as(&fresh, &opening).unwrap();
    log.append(&[entry(11, 1, START_MS)], 11).unwrap();
    log.show().unwrap();
    let report = check(&fresh.lock().unwrap().shown(), &Policy::of_log(second.verifier()), None);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    let continues = report.continues.unwrap();
    assert_eq!((continues.continues, continues.because), (Some(last), Some("the disk was lost".into())));
}

#[test]
fn a_forked_publication_is_told_from_one_that_is_ahead() {
    let (disk, _) = a_log(10);
    let copy: Shared = Arc::new(Mutex::new(disk.lock().unwrap().copy()));
    let mut one = open(&disk, &[key(1)], START_MS).unwrap();
    let mut other = open(&copy, &[key(1)], START_MS).unwrap();
    one.append(&[entry(11, 1, START_MS)], 11).unwrap();
    one.show().unwrap();
    for ad in 20..24 {
        other.append(&[entry(ad, 1, START_MS)], ad).unwrap();
    }
    other.show().unwrap();
    let keys = [key(1).verifier()];
    assert_eq!(compare(&mut one, &mut copy.lock().unwrap().shown(), &keys), Standing::Forked(15));
    assert!(
        catch_up(&mut one, &mut copy.lock().unwrap().shown(), &keys).is_ok_and(|_| true)
            || one.halted().is_none()
    );
}

#[test]
fn a_key_is_rotated_in_the_open() {
    let (disk, mut log) = a_log(5);
    let seen = shown_checkpoint(&disk.lock().unwrap().shown());
    log.add_key(key(9), START_MS + 100).unwrap();
    log.show().unwrap();
    let both = disk.lock().unwrap().shown();
    // Whoever knows the old key alone still believes it, and reads the new one in the log.
    for known in [1, 9] {
        let report = check(&both, &Policy::of_log(key(known).verifier()), None);
        assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    }
    log.retire_key(key(1).verifier().id(), "yearly change", START_MS + 200).unwrap();
    log.append(&[entry(6, 1, START_MS + 300)], 6).unwrap();
    log.show().unwrap();
    let after = disk.lock().unwrap().shown();
    let old = check(&after, &policy(), None);
    assert!(matches!(old.findings[..], [Finding::Checkpoint(_)]), "the retired key signs no more");
    let both_keys = Policy::parse(&format!("log {}\nquorum none\n", key(9).verifier())).unwrap();
    let report = check(&after, &both_keys, Some(seen));
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    // The process that starts next signs with what is left.
    let mut again = open(&disk, &[key(9)], START_MS).unwrap();
    again.append(&[entry(7, 1, START_MS + 400)], 7).unwrap();
}

/// A thief of the key can sign; not unseen by whoever held a checkpoint, nor past a witness.
#[test]
fn a_stolen_key_makes_evidence_against_its_use() {
    let (disk, mut log) = a_log(20);
    let seen = shown_checkpoint(&disk.lock().unwrap().shown());
    let mut witness = Witness::new(2, &[key(1).verifier()]);
    cosign(&mut log, &mut witness, &mut 0).unwrap();
    // The thief writes the same log with another ad 7, and goes on.
    let theirs = Shared::default();
    let mut thief = open(&theirs, &[key(1)], START_MS).unwrap();
    for ad in 1..=25 {
        let at = START_MS + ad as i64;
        thief.append(&[if ad == 7 { entry(777, 1, at) } else { entry(ad, 1, at) }], ad).unwrap();
    }
    thief.show().unwrap();
    assert!(cosign(&mut thief, &mut witness, &mut 0).is_err(), "no witness goes along");
    let report = check(&theirs.lock().unwrap().shown(), &policy(), Some(seen));
    assert!(report.findings.contains(&Finding::Rewritten { size: 21 }), "{:?}", report.findings);
    let evidence = Evidence::parse(&report.evidence.unwrap().to_text()).unwrap();
    let words = evidence.check(&[key(1).verifier()]).unwrap();
    assert!(words.contains("signed two histories: at 21 entries"), "{words}");
    let stranger: VerifierKey = key(3).verifier();
    assert!(evidence.check(&[stranger]).is_err());
    // Two checkpoints that do fit are no evidence.
    let honest = disk.lock().unwrap().shown();
    assert!(check(&honest, &policy(), Some(shown_checkpoint(&honest))).evidence.is_none());
}

#[test]
fn a_tombstone_tells_withheld_from_missing() {
    let (disk, mut log) = a_log(3);
    let object = entry(2, 1, START_MS + 2).objects[0].0;
    let body = Tombstone {
        object,
        of: "facts ad_2".into(),
        part: "sponsor".into(),
        ground: "GDPR Art. 17(1)(b)".into(),
        withheld_at_ms: START_MS + 50,
    };
    let leaf = tombstone(1, START_MS + 50, &body).unwrap().to_bytes().unwrap();
    log.append(&[regie_record::log::Append { leaf, objects: Vec::new() }], 4).unwrap();
    log.show().unwrap();
    log.withhold(object).unwrap();
    let shown = disk.lock().unwrap().shown();
    assert!(!shown.0.contains_key(&object_path(object)));
    let report = check(&shown, &policy(), None);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    assert_eq!(report.withheld, [(2, "sponsor".to_owned(), "GDPR Art. 17(1)(b)".to_owned())]);
    // The same hole without a tombstone is an alarm.
    let mut holed = shown.clone();
    holed.0.remove(&object_path(entry(3, 1, START_MS + 3).objects[0].0));
    let report = check(&holed, &policy(), None);
    assert_eq!(
        report.findings,
        [Finding::Missing { index: 3, of: "facts ad_3".into(), part: "sponsor".into() }]
    );
    // The leaf is still proved by the same root.
    let mut frontier = Frontier::default();
    regie_record::log::mirror::for_each_leaf(&mut shown.clone(), 5, &mut |_, leaf| {
        frontier.push(regie_record::log::hash::leaf_hash(leaf));
        true
    })
    .unwrap();
    assert_eq!(frontier.root(), report.checkpoint.unwrap().root);
}

#[test]
fn a_folder_of_another_origin_is_not_gone_on_with() {
    let (disk, _) = a_log(2);
    let other = regie_record::log::Signatory::new("other.example", 1, &[1; 32]).unwrap();
    let opening =
        Opening { origin: "other.example", keys: &[other], now_ms: 0, continues: None, position: 0 };
    let error = open_as(&disk, &opening).err().unwrap().to_string();
    assert!(error.contains(ORIGIN), "{error}");
}

/// What a mirror asks before it takes anything over: growth passes, a fork is evidence, an old copy and damage prove nothing.
#[test]
fn a_newer_checkpoint_is_compared_with_an_older_one() {
    use regie_record::log::evidence::{CompareError, compare};
    let (disk, mut log) = a_log(20);
    let older = shown_checkpoint(&disk.lock().unwrap().shown());
    let fork: Shared = Arc::new(Mutex::new(disk.lock().unwrap().copy()));
    log.append(&[entry(21, 1, START_MS + 21)], 21).unwrap();
    log.show().unwrap();
    let grown = disk.lock().unwrap().shown();
    let newer = shown_checkpoint(&grown);
    let keys = [key(1).verifier()];
    let ask = |files: &regie_record::log::read::MemoryFiles, older: &str, newer: &str| {
        compare(&mut files.clone(), older.as_bytes(), newer.as_bytes(), &keys)
    };
    assert_eq!(ask(&grown, &older, &newer), Ok(Ok(())));
    assert_eq!(ask(&grown, &newer, &older), Err(CompareError::Smaller { seen: 22, now: 21 }));
    let mut rival = open(&fork, &[key(1)], START_MS).unwrap();
    for ad in 30..33 {
        rival.append(&[entry(ad, 1, START_MS + 30)], ad).unwrap();
    }
    rival.show().unwrap();
    let forked = fork.lock().unwrap().shown();
    let evidence = ask(&forked, &newer, &shown_checkpoint(&forked)).unwrap().unwrap_err();
    assert!(evidence.check(&keys).unwrap().contains("signed two histories: at 22 entries"));
    let mut damaged = forked.clone();
    damaged.0.get_mut("tile/0/000.p/24").unwrap()[0] ^= 1;
    assert_eq!(ask(&damaged, &newer, &shown_checkpoint(&forked)), Err(CompareError::Damaged));
}
