//! What tampering can be seen, by whom: each attack, by each attacker, against each verifier, with what docs/LOG.md says of it.
//!
//! Attackers: a mirror (files, no key), the host (files and database, no key), the owner (everything, the key included).
//! Verifiers: at a first visit; with an earlier checkpoint; with a label; with a policy that asks for a quorum of witnesses.
#![allow(clippy::unwrap_used)]

mod log_world;

use log_world::{START_MS, Shared, Witness, check, entry, key, open, policy, shown_checkpoint};
use regie_model::{AdId, UtcMs};
use regie_record::{
    commit::Sha256Hash,
    log::{
        Append, Checkpoint, Hash, Note, Policy, Signatory,
        hash::leaf_hash,
        leaf::{Envelope, Tombstone, tombstone},
        note::TYPE_ED25519,
        outside::cosign,
        promise::{Kept, MERGE_WITHIN_MS, Promise, SignedPromise, hold, sign},
        read::{CHECKPOINT_PATH, MemoryFiles, object_path},
        tile::{Edge, Kind, Tile, entries_of, push_entry},
        tree::{Frontier, Head},
        verify::Verdict,
    },
};
use std::fmt::Write;

const ADS: u64 = 300;
/// The ad that most attacks are about.
const VICTIM: u64 = 7;

/// The honest world: the log at its end, what was seen of it in the middle, a label of the victim, three witnesses.
struct World {
    files: MemoryFiles,
    /// Checkpoint in the middle.
    seen: String,
    /// The files in the middle.
    middle: MemoryFiles,
    leaves: Vec<Vec<u8>>,
    label: SignedPromise,
}

fn labelled(leaf: &[u8], ad: u64) -> SignedPromise {
    let promise = Promise {
        origin: log_world::ORIGIN.into(),
        entry: AdId(ad as u32),
        content: Sha256Hash(leaf_hash(leaf).0),
        at: UtcMs(START_MS),
        merge_within_ms: MERGE_WITHIN_MS,
    };
    sign(&promise, &key(1)).unwrap()
}

fn honest() -> World {
    let disk = Shared::default();
    let mut log = open(&disk, &[key(1)], START_MS).unwrap();
    let mut witnesses: Vec<Witness> = (2..5).map(|byte| Witness::new(byte, &[key(1).verifier()])).collect();
    let mut lasts = [0; 3];
    let mut middle = None;
    for batch in (1..=ADS).collect::<Vec<_>>().chunks(50) {
        let entries: Vec<Append> = batch.iter().map(|ad| entry(*ad, 1, at(*ad))).collect();
        log.append(&entries, batch[0]).unwrap();
        let lines: Vec<String> = witnesses
            .iter_mut()
            .zip(&mut lasts)
            .map(|(w, last)| cosign(&mut log, w, last).unwrap())
            .collect();
        log.cosigned(&lines);
        log.show().unwrap();
        if batch[0] == 101 {
            middle = Some(disk.lock().unwrap().shown());
        }
    }
    // Later versions of one ad.
    log.append(&[entry(VICTIM, 2, at(ADS + 1)), entry(VICTIM, 3, at(ADS + 2))], ADS + 1).unwrap();
    let lines: Vec<String> =
        witnesses.iter_mut().zip(&mut lasts).map(|(w, last)| cosign(&mut log, w, last).unwrap()).collect();
    log.cosigned(&lines);
    log.show().unwrap();
    let files = disk.lock().unwrap().shown();
    let mut leaves = Vec::new();
    let size = ADS + 3;
    regie_record::log::mirror::for_each_leaf(&mut files.clone(), size, &mut |_, leaf| {
        leaves.push(leaf.to_vec());
        true
    })
    .unwrap();
    let middle = middle.unwrap();
    let label = labelled(&leaves[VICTIM as usize], VICTIM);
    World { seen: shown_checkpoint(&middle), middle, label, leaves, files }
}
fn at(ad: u64) -> i64 {
    START_MS + ad as i64 * 1_000
}

/// All files of a log with these leaves, under this note; objects as they are.
fn rebuilt(world: &World, leaves: &[Vec<u8>], note: &Note) -> MemoryFiles {
    let mut files = MemoryFiles(
        world
            .files
            .0
            .iter()
            .filter(|(p, _)| p.starts_with("object/"))
            .map(|(p, b)| (p.clone(), b.clone()))
            .collect(),
    );
    let (name, object) = entry(999, 1, START_MS).objects.remove(0);
    files.0.insert(object_path(name), object);
    for (tile, bytes) in Edge::default().append(leaves).unwrap() {
        files.0.insert(tile.path(), bytes);
    }
    files.0.insert(CHECKPOINT_PATH.into(), note.to_string().into_bytes());
    files
}
/// Whoever holds the key signs these leaves anew; witnesses, asked, refuse.
fn resigned(world: &World, leaves: &[Vec<u8>]) -> MemoryFiles {
    signed_by(world, leaves, &key(1))
}
fn signed_by(world: &World, leaves: &[Vec<u8>], by: &Signatory) -> MemoryFiles {
    let head =
        Head { size: leaves.len() as u64, root: Frontier::of(leaves.iter().map(Vec::as_slice)).root() };
    rebuilt(world, leaves, &Checkpoint::new(log_world::ORIGIN, head).sign(&[by]).unwrap())
}
fn note_of(files: &MemoryFiles) -> Note {
    Note::parse(&files.0[CHECKPOINT_PATH]).unwrap()
}
/// The first bundle of entries, changed.
fn bundle(world: &World, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> MemoryFiles {
    let tile = Tile { kind: Kind::Entries, index: 0, width: 256 };
    let mut files = world.files.clone();
    let mut leaves: Vec<Vec<u8>> =
        entries_of(&files.0[&tile.path()], 256).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    change(&mut leaves);
    let mut bytes = Vec::new();
    leaves.iter().for_each(|leaf| push_entry(&mut bytes, leaf).unwrap());
    files.0.insert(tile.path(), bytes);
    files
}
fn with(world: &World, change: impl FnOnce(&mut MemoryFiles)) -> MemoryFiles {
    let mut files = world.files.clone();
    change(&mut files);
    files
}
fn leaves(world: &World, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<Vec<u8>> {
    let mut leaves = world.leaves.clone();
    change(&mut leaves);
    leaves
}
fn other(ad: u64, version: u32, at_ms: i64) -> Vec<u8> {
    let mut leaf = Envelope::read(&entry(ad, version, at_ms).leaf).unwrap();
    leaf.body.insert("spend_nanos".into(), 1.into());
    leaf.to_bytes().unwrap()
}
fn object_path_of(ad: u64) -> String {
    object_path(entry(ad, 1, at(ad)).objects[0].0)
}
fn texted(world: &World, change: impl Fn(&str) -> String) -> MemoryFiles {
    with(world, |files| {
        let text = change(&shown_checkpoint(&world.files));
        files.0.insert(CHECKPOINT_PATH.into(), text.into_bytes());
    })
}

/// Seen at: a first visit, with an earlier checkpoint, with a label, with a quorum of witnesses.
type Seen = [bool; 4];
const ALL: Seen = [true, true, true, true];
const NONE: Seen = [false, false, false, false];
/// A forged file: whoever reads everything sees it; a label alone looks for its own entry.
const READ: Seen = [true, true, false, true];
/// A rewriting by whoever holds the key: seen by who remembers, and by witnesses.
const REMEMBERED: Seen = [false, true, false, true];
const REMEMBERED_AND_LABELLED: Seen = [false, true, true, true];

struct Attack {
    by: &'static str,
    what: &'static str,
    files: MemoryFiles,
    /// A label other than the world's.
    label: Option<SignedPromise>,
    seen: Seen,
}
fn attack(by: &'static str, what: &'static str, seen: Seen, files: MemoryFiles) -> Attack {
    Attack { by, what, files, label: None, seen }
}

fn by_mirrors(w: &World) -> Vec<Attack> {
    let v = VICTIM as usize;
    let level0 = Tile { kind: Kind::Hashes(0), index: 0, width: 256 }.path();
    let level1 = Tile { kind: Kind::Hashes(1), index: 0, width: 1 }.path();
    let mut forged = note_of(&w.files);
    forged.signatures.retain(|line| line.name == log_world::ORIGIN);
    let mut cosigned = note_of(&w.middle).signatures;
    cosigned.retain(|line| line.name != log_world::ORIGIN);
    forged.signatures.extend(cosigned);
    vec![
        attack("mirror", "changes an entry", ALL, bundle(w, |l| l[v] = other(VICTIM, 1, at(VICTIM)))),
        attack("mirror", "drops an entry from a bundle", ALL, bundle(w, |l| drop(l.remove(v)))),
        attack(
            "mirror",
            "drops an entry and puts a made-up one at the end",
            ALL,
            bundle(w, |l| {
                l.remove(v);
                l.push(other(999, 1, at(250)));
            }),
        ),
        attack("mirror", "changes the order of two entries", ALL, bundle(w, |l| l.swap(v, v + 1))),
        attack(
            "mirror",
            "inserts an entry",
            ALL,
            bundle(w, |l| {
                l.insert(v, other(999, 1, at(VICTIM)));
                l.pop();
            }),
        ),
        attack(
            "mirror",
            "changes a hash in a tile of leaves",
            READ,
            with(w, |f| f.0.get_mut(&level0).unwrap()[40] ^= 1),
        ),
        attack(
            "mirror",
            "changes a hash in a tile above",
            READ,
            with(w, |f| f.0.get_mut(&level1).unwrap()[0] ^= 1),
        ),
        attack("mirror", "leaves out a tile", READ, with(w, |f| drop(f.0.remove(&level0)))),
        attack(
            "mirror",
            "shows fewer entries than were signed",
            ALL,
            texted(w, |t| t.replace("\n303\n", "\n5\n")),
        ),
        attack(
            "mirror",
            "changes the signed root",
            ALL,
            texted(w, |t| {
                let root = note_of(&w.files).text.lines().nth(2).unwrap().to_owned();
                t.replace(&root, &Hash::of(b"other").to_base64())
            }),
        ),
        attack(
            "mirror",
            "takes the log's signature away",
            ALL,
            texted(w, |t| {
                t.lines().filter(|l| !l.starts_with("— gazette")).map(|l| format!("{l}\n")).collect()
            }),
        ),
        attack(
            "mirror",
            "puts cosignatures of an older checkpoint under a newer one",
            [false, false, false, true],
            with(w, |f| {
                f.0.insert(CHECKPOINT_PATH.into(), forged.to_string().into_bytes());
            }),
        ),
        attack(
            "mirror",
            "changes a creative or a name",
            READ,
            with(w, |f| f.0.get_mut(&object_path_of(VICTIM)).unwrap()[33] ^= 1),
        ),
        attack(
            "mirror",
            "serves one object in place of another",
            READ,
            with(w, |f| {
                let another = f.0[&object_path_of(8)].clone();
                f.0.insert(object_path_of(VICTIM), another);
            }),
        ),
        attack(
            "mirror",
            "erases an object without a tombstone",
            READ,
            with(w, |f| drop(f.0.remove(&object_path_of(VICTIM)))),
        ),
        attack(
            "mirror",
            "shows a whole older log as the present one, to one who saw no newer",
            NONE,
            w.middle.clone(),
        ),
    ]
}

fn by_hosts(w: &World) -> Vec<Attack> {
    let v = VICTIM as usize;
    let changed = leaves(w, |l| l[v] = other(VICTIM, 1, at(VICTIM)));
    let mut newer = w.files.clone();
    newer.0.extend(rebuilt(w, &leaves(w, |l| l.push(other(999, 1, at(400)))), &note_of(&w.files)).0);
    vec![
        attack(
            "host",
            "rewrites the database beneath and builds all tiles anew, under the old checkpoint",
            ALL,
            rebuilt(w, &changed, &note_of(&w.files)),
        ),
        attack(
            "host",
            "rewrites the database beneath and signs with a key of its own",
            ALL,
            signed_by(w, &changed, &Signatory::new(log_world::ORIGIN, TYPE_ED25519, &[66; 32]).unwrap()),
        ),
        attack(
            "host",
            "drops an entry and builds all tiles anew, under the old checkpoint",
            ALL,
            rebuilt(w, &leaves(w, |l| drop(l.remove(v))), &note_of(&w.files)),
        ),
        attack("host", "puts entries behind the signed end, which nobody reads", NONE, newer),
    ]
}

fn by_owners(w: &World) -> Vec<Attack> {
    let v = VICTIM as usize;
    let unlogged = entry(500, 1, at(310));
    let object = entry(VICTIM, 1, at(VICTIM)).objects[0].0;
    let erased = |ground: &str| {
        let leaf = leaves(w, |l| l.push(tombstone_leaf(ground, object)));
        let mut files = resigned(w, &leaf);
        files.0.remove(&object_path(object));
        files
    };
    vec![
        attack(
            "owner",
            "rewrites a past entry and signs anew",
            REMEMBERED_AND_LABELLED,
            resigned(w, &leaves(w, |l| l[v] = other(VICTIM, 1, at(VICTIM)))),
        ),
        attack(
            "owner",
            "drops an ad altogether and signs anew",
            REMEMBERED_AND_LABELLED,
            resigned(w, &leaves(w, |l| l.retain(|leaf| !Envelope::read(leaf).is_ok_and(|e| e.id == "ad_7")))),
        ),
        attack(
            "owner",
            "drops the middle version of an ad and signs anew",
            [true, true, false, true],
            resigned(
                w,
                &leaves(w, |l| {
                    l.retain(|leaf| !Envelope::read(leaf).is_ok_and(|e| e.id == "ad_7" && e.version == 2))
                }),
            ),
        ),
        attack(
            "owner",
            "changes the order of two past entries and signs anew",
            REMEMBERED,
            resigned(w, &leaves(w, |l| l.swap(v, v + 1))),
        ),
        attack(
            "owner",
            "slips an entry into the past and signs anew",
            REMEMBERED,
            resigned(w, &leaves(w, |l| l.insert(v, other(999, 1, at(VICTIM))))),
        ),
        attack(
            "owner",
            "appends an entry dated an hour back",
            [true, true, false, true],
            resigned(w, &leaves(w, |l| l.push(other(999, 1, at(300) - 3_600_000)))),
        ),
        attack(
            "owner",
            "gives a version twice",
            [true, true, false, true],
            resigned(w, &leaves(w, |l| l.push(other(VICTIM, 3, at(310))))),
        ),
        attack(
            "owner",
            "restarts the log from nothing, under the same name and key",
            REMEMBERED_AND_LABELLED,
            resigned(w, &w.leaves[..3]),
        ),
        attack(
            "owner",
            "cuts off the newest entries and signs anew",
            [false, false, false, true],
            resigned(w, &w.leaves[..w.leaves.len() - 2]),
        ),
        attack(
            "owner",
            "shows one reader another history than the rest",
            REMEMBERED,
            resigned(w, &leaves(w, |l| l[60] = other(60, 1, at(60)))),
        ),
        attack(
            "owner",
            "erases an object under a tombstone without a legal ground",
            [true, true, false, true],
            erased(" "),
        ),
        attack("owner", "erases an object without a tombstone", READ, {
            let mut files = w.files.clone();
            files.0.remove(&object_path(object));
            files
        }),
        attack(
            "owner",
            "puts a tombstone on an object that is still shown",
            [true, true, false, true],
            resigned(w, &leaves(w, |l| l.push(tombstone_leaf("GDPR Art. 17", object)))),
        ),
        attack(
            "owner",
            "writes a second opening leaf",
            [true, true, false, true],
            resigned(
                w,
                &leaves(w, |l| {
                    let first = l[0].clone();
                    l.push(first);
                }),
            ),
        ),
        attack(
            "owner",
            "writes a leaf with a field that is in no schema",
            [true, true, false, true],
            resigned(
                w,
                &leaves(w, |l| {
                    let text = String::from_utf8(l[v].clone()).unwrap();
                    l.push(text.replace("\"v\":1", "\"v\":1,\"viewer\":\"x\"").into_bytes());
                }),
            ),
        ),
        Attack {
            by: "owner",
            what: "serves an ad, with its label, that is not logged",
            files: w.files.clone(),
            label: Some(labelled(&unlogged.leaf, 500)),
            seen: [false, false, true, false],
        },
        attack("owner", "serves an ad without any label that is not logged", NONE, w.files.clone()),
    ]
}
fn tombstone_leaf(ground: &str, object: Hash) -> Vec<u8> {
    let body = Tombstone {
        object,
        of: "facts ad_7".into(),
        part: "sponsor".into(),
        ground: ground.into(),
        withheld_at_ms: at(310),
    };
    tombstone(1, at(310), &body).unwrap().to_bytes().unwrap()
}

fn quorum() -> Policy {
    let mut text = format!("log {}\n", key(1).verifier());
    for byte in 2..5 {
        writeln!(text, "witness w{byte} {}", log_world::witness_key(byte).verifier()).unwrap();
    }
    Policy::parse(&format!("{text}group all-three 2 w2 w3 w4\nquorum all-three\n")).unwrap()
}

/// What each verifier says: whether it raises an alarm.
fn alarms(world: &World, files: &MemoryFiles, label: &SignedPromise) -> Seen {
    let first = check(files, &policy(), None);
    let earlier = check(files, &policy(), Some(world.seen.clone()));
    let witnessed = check(files, &quorum(), None);
    let labelled = match policy().judge(&files.0[CHECKPOINT_PATH]) {
        Err(_) => true,
        Ok((checkpoint, note, _)) => {
            let now_ms = START_MS + 10_000_000;
            match hold(&mut files.clone(), &checkpoint, &note, label, now_ms) {
                Ok(Kept::Yes(_)) => false,
                Ok(Kept::Broken(evidence)) => evidence.check(&[key(1).verifier()]).is_ok(),
                Ok(Kept::NotYetDue(_)) => panic!("it was due"),
                Err(_) => true,
            }
        }
    };
    let broken = |verdict| verdict == Verdict::Broken;
    [broken(first.verdict()), broken(earlier.verdict()), labelled, witnessed.verdict() != Verdict::Verified]
}

#[test]
fn an_untouched_record_raises_no_alarm() {
    let world = honest();
    assert_eq!(alarms(&world, &world.files, &world.label), NONE);
    assert_eq!(check(&world.files, &quorum(), Some(world.seen.clone())).verdict(), Verdict::Verified);
    // Nor does it at any other size, nor without witnesses for who asks for none.
    assert_eq!(check(&world.middle, &quorum(), None).verdict(), Verdict::Verified);
    assert_eq!(
        check(&world.files, &policy(), Some(world.seen.clone())).verdict(),
        Verdict::ConsistentUnwitnessed
    );
}

/// Each attack against each verifier: detected where the table says so, and not where it says not.
#[test]
fn every_attack_is_seen_by_whom_the_table_says_and_by_nobody_else() {
    let world = honest();
    let mut attacks = by_mirrors(&world);
    attacks.extend(by_hosts(&world));
    attacks.extend(by_owners(&world));
    assert!(attacks.len() >= 25, "{}", attacks.len());
    let mut wrong = String::new();
    let mut table = String::new();
    for attack in &attacks {
        let seen = alarms(&world, &attack.files, attack.label.as_ref().unwrap_or(&world.label));
        if seen != attack.seen {
            writeln!(
                wrong,
                "{} {}: the table says {:?}, found {seen:?}",
                attack.by, attack.what, attack.seen
            )
            .unwrap();
        }
        let cells: Vec<&str> = attack.seen.iter().map(|seen| if *seen { "seen" } else { "–" }).collect();
        writeln!(table, "| {} | {} | {} |", attack.by, attack.what, cells.join(" | ")).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
    let docs = include_str!("../../../docs/LOG.md");
    assert!(docs.contains(&table), "docs/LOG.md does not have this table:\n{table}");
}

/// Before anybody outside saw a checkpoint, an owner can write any history: nobody sees it, and nothing here claims so.
#[test]
fn a_history_rewritten_before_anybody_looked_is_seen_by_nobody() {
    let world = honest();
    let rewritten = resigned(&world, &leaves(&world, |l| l[VICTIM as usize] = other(VICTIM, 1, at(VICTIM))));
    assert_eq!(check(&rewritten, &policy(), None).verdict(), Verdict::ConsistentUnwitnessed);
    // Even witnesses, if this is the first that they are shown.
    let disk = Shared::default();
    let mut log = open(&disk, &[key(1)], START_MS).unwrap();
    log.append(&[Append { leaf: other(VICTIM, 1, at(VICTIM)), objects: Vec::new() }], 1).unwrap();
    let mut witnesses: Vec<Witness> = (2..5).map(|byte| Witness::new(byte, &[key(1).verifier()])).collect();
    let lines: Vec<String> = witnesses.iter_mut().map(|w| cosign(&mut log, w, &mut 0).unwrap()).collect();
    log.cosigned(&lines);
    log.show().unwrap();
    let shown = disk.lock().unwrap().shown();
    assert!(quorum().judge(&shown.0[CHECKPOINT_PATH]).unwrap().2.is_witnessed());
}
