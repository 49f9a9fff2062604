//! What can befall the record of a running platform besides a crash: an old backup, a second sequencer, a change of keys, a stolen
//! key. After each the laws are checked as an outsider finds them, who remembers what was shown before.

use crate::{
    record::configured,
    steps,
    world::{Violation, World},
};
use regie::platform::{
    folder::Folder,
    log::{PURPOSE, RecordLog, files::FolderFiles, files_of, own_witness::OwnWitness},
};
use regie_model::UtcMs;
use regie_record::log::{
    Append, Checkpoint, Envelope, Note, Policy, Signatory, VerifierKey,
    mirror::for_each_leaf,
    note::TYPE_ED25519,
    read::{CHECKPOINT_PATH, MemoryFiles, Source, consistency_from},
    tile::Edge,
    tree::{Frontier, Head},
    verify::{NoSchema, Report, Verdict, Wanted, verify},
    witness::AddCheckpoint,
};
use serde_json::json;
use std::{path::Path, sync::Arc};

type Done = Result<(), Violation>;

/// A publisher that has published for a while.
fn busy(seed: u64) -> Result<World, Violation> {
    let mut world = World::start(seed)?;
    world.keep_a_record()?;
    steps::book(&mut world)?;
    go_on(&mut world)?;
    Ok(world)
}
/// Some minutes of business, in which the record grows.
fn go_on(world: &mut World) -> Done {
    let before = world.record()?.size();
    for _ in 0..4 {
        world.decide_some(10);
        world.send_impressions(6);
        world.commit_then_publish()?;
        world.advance(7_000);
    }
    steps::pause_and_resume(world)?;
    world.check()?;
    world.check_record()?;
    match world.record()?.size() > before {
        true => Ok(()),
        false => Err("nothing was published: the scenario tests nothing".into()),
    }
}
fn told(error: impl std::fmt::Display) -> Violation {
    format!("{error:#}")
}
fn copy_tree(from: &Path, to: &Path) -> Done {
    std::fs::create_dir_all(to).map_err(told)?;
    for entry in std::fs::read_dir(from).map_err(told)? {
        let entry = entry.map_err(told)?;
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_tree(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target).map_err(told)?),
        }
    }
    Ok(())
}
/// The record's part of a folder.
const PARTS: [&str; 2] = ["log.db", "record.db"];
fn back_up(world: &mut World, to: &Path) -> Done {
    let seen = world.close_record();
    for part in PARTS {
        std::fs::copy(world.folder().join(part), to.join(part)).map_err(told)?;
    }
    copy_tree(&files_of(&Folder::open(world.folder()).map_err(told)?), &to.join("record"))?;
    world.open_record(seen, &[])
}
/// Puts an old copy of the record's part in place of the present one; what an outsider remembers.
fn put_back(world: &mut World, from: &Path) -> Result<Option<String>, Violation> {
    let seen = world.close_record();
    for part in PARTS {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(world.folder().join(format!("{part}{suffix}")));
        }
        std::fs::copy(from.join(part), world.folder().join(part)).map_err(told)?;
    }
    let files = files_of(&Folder::open(world.folder()).map_err(told)?);
    std::fs::remove_dir_all(&files).map_err(told)?;
    copy_tree(&from.join("record"), &files)?;
    std::fs::write(world.folder().join("RESTORED"), "").map_err(told)?;
    Ok(seen)
}
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn a_restored_backup(seed: u64) -> Done {
    let mut world = busy(seed)?;
    let (backup, outside) = (tempfile::tempdir().map_err(told)?, tempfile::tempdir().map_err(told)?);
    back_up(&mut world, backup.path())?;
    let then = world.record()?.size();
    go_on(&mut world)?;
    let shown = world.record()?.size();
    copy_tree(&files_of(&Folder::open(world.folder()).map_err(told)?), &outside.path().join("copy"))?;
    let copy = text(&outside.path().join("copy"));
    // Nobody can be asked what the world has seen: nothing is signed.
    let seen = put_back(&mut world, backup.path())?;
    world.open_record(seen, &[])?;
    let record = world.record()?;
    assert!(record.log().halted().is_some_and(|why| why.contains("restored")));
    assert!(record.publish().is_err(), "what the backup does not have cannot be signed");
    assert_eq!(record.size(), then);
    // A copy is there: what the world has seen is taken over, and the same history goes on.
    let seen = world.close_record();
    world.open_record(seen, std::slice::from_ref(&copy))?;
    assert_eq!(world.record()?.log().halted(), None);
    assert_eq!(world.record()?.size(), shown);
    world.commit_then_publish()?;
    go_on(&mut world)?;
    // The operator says that nobody saw anything, which is not so: whoever remembers finds it out, and so does the next start.
    let seen = put_back(&mut world, backup.path())?;
    std::fs::remove_file(world.folder().join("RESTORED")).map_err(told)?;
    world.open_record(seen.clone(), &[])?;
    world.commit_then_publish()?;
    let found = world.check_record();
    assert!(found.is_err(), "another history was shown, and nobody noticed");
    world.close_record();
    world.open_record(seen, &[copy])?;
    assert!(world.record()?.log().halted().is_some_and(|why| why.contains("another history")));
    Ok(())
}

/// A second process on the same folder, which the lock on the journal would keep away.
fn second_log(world: &World) -> Result<Arc<RecordLog>, Violation> {
    let folder = Folder::open(world.folder()).map_err(told)?;
    RecordLog::open(&folder, &world.platform.secrets, &configured(&[]), UtcMs(world.now())).map_err(told)
}
fn one_entry(world: &World) -> Result<Append, Violation> {
    let leaf = Envelope::new("facts", "ad_900", 1, world.now(), &json!({ "n": 1 })).map_err(told)?;
    Ok(Append { leaf: leaf.to_bytes().map_err(told)?, objects: Vec::new() })
}

fn two_sequencers(seed: u64) -> Done {
    let mut world = busy(seed)?;
    let second = second_log(&world)?;
    go_on(&mut world)?;
    // The second has not seen what the first appended since: it signs nothing, and says why.
    let size = world.record()?.size();
    assert!(second.append(&[one_entry(&world)?], 0).is_err());
    assert!(second.halted().is_some_and(|why| why.contains("another sequencer")));
    assert!(second.append(&[one_entry(&world)?], 0).is_err(), "nor later");
    world.check_record()?;
    assert_eq!(world.record()?.size(), size);
    go_on(&mut world)?;
    // The other way about: the second is the quicker one. The first stops, and goes on after a start.
    let third = second_log(&world)?;
    third.append(&[one_entry(&world)?], 0).map_err(told)?;
    assert!(go_on(&mut world).is_err(), "two sequencers signed");
    assert!(world.record()?.log().halted().is_some_and(|why| why.contains("another sequencer")));
    world.check_record()?;
    drop((second, third));
    world.restart(false)?;
    world.check_record()?;
    go_on(&mut world)
}

fn keys_of(world: &mut World) -> Result<Vec<VerifierKey>, Violation> {
    Ok(world.record()?.log().verifiers())
}
fn signing_keys(world: &mut World) -> Result<Vec<Signatory>, Violation> {
    let origin = world.record()?.log().origin().to_owned();
    let now = UtcMs(world.now());
    world.platform.secrets.signing_keys(PURPOSE, &origin, TYPE_ED25519, now).map_err(told)
}
fn add_key(world: &mut World) -> Done {
    let (origin, now) = (world.record()?.log().origin().to_owned(), UtcMs(world.now()));
    world.platform.secrets.add_signing_key(PURPOSE, &origin, now).map_err(told)?;
    let fresh = signing_keys(world)?.pop().ok_or("no key")?;
    world.record()?.log().change_keys(|sequencer| sequencer.add_key(fresh, now.0).map(drop)).map_err(told)
}
fn retire_first(world: &mut World, because: &str) -> Done {
    let (origin, now) = (world.record()?.log().origin().to_owned(), UtcMs(world.now()));
    let id = keys_of(world)?.first().ok_or("no key")?.id();
    let log = world.record()?.log();
    log.change_keys(|sequencer| sequencer.retire_key(id, because, now.0).map(drop)).map_err(told)?;
    world.platform.secrets.retire_signing_key(PURPOSE, &origin, now).map_err(told)
}
fn shown(world: &World) -> Result<FolderFiles, Violation> {
    FolderFiles::new(&files_of(&Folder::open(world.folder()).map_err(told)?)).map_err(told)
}
fn checkpoint(world: &World) -> Result<Vec<u8>, Violation> {
    Source::get(&mut shown(world)?, CHECKPOINT_PATH).map_err(told)?.ok_or_else(|| "no checkpoint".into())
}
fn look(files: &mut dyn Source, key: &VerifierKey, seen: Option<String>) -> Report {
    let policy = Policy::of_log(key.clone());
    let wanted = Wanted { policy: &policy, seen, objects: true };
    verify(files, &wanted, &mut NoSchema, &mut |_, _| {})
}

fn a_key_is_rotated(seed: u64) -> Done {
    let mut world = busy(seed)?;
    let old = keys_of(&mut world)?.remove(0);
    add_key(&mut world)?;
    go_on(&mut world)?;
    let new = keys_of(&mut world)?.pop().ok_or("no key")?;
    assert_ne!(old, new);
    // While both sign, whoever trusts the one or the other sees one history.
    let both = String::from_utf8(checkpoint(&world)?).map_err(told)?;
    for key in [&old, &new] {
        let report = look(&mut shown(&world)?, key, Some(both.clone()));
        assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    }
    retire_first(&mut world, "kept for a year")?;
    go_on(&mut world)?;
    world.restart(true)?;
    go_on(&mut world)?;
    assert_eq!(keys_of(&mut world)?, std::slice::from_ref(&new));
    assert!(Checkpoint::open(&checkpoint(&world)?, &[old]).is_err(), "the old key signs no more");
    let report = look(&mut shown(&world)?, &new, Some(both));
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    Ok(())
}

/// What a thief of the key can make: the log with one entry changed, signed as the owner would.
fn forged(world: &World, key: &Signatory, more: u64) -> Result<MemoryFiles, Violation> {
    let mut files = shown(world)?;
    let checkpoint =
        Checkpoint::parse(&Note::parse(&checkpoint(world)?).map_err(told)?.text).map_err(told)?;
    let mut leaves = Vec::new();
    for_each_leaf(&mut files, checkpoint.size, &mut |_, leaf| {
        leaves.push(leaf.to_vec());
        true
    })
    .map_err(told)?;
    leaves[1] = one_entry(world)?.leaf;
    for n in 0..more {
        let leaf =
            Envelope::new("facts", &format!("ad_{}", 901 + n), 1, world.now(), &json!({})).map_err(told)?;
        leaves.push(leaf.to_bytes().map_err(told)?);
    }
    let head =
        Head { size: leaves.len() as u64, root: Frontier::of(leaves.iter().map(Vec::as_slice)).root() };
    let tiles = Edge::default().append(&leaves).map_err(told)?;
    let mut made = MemoryFiles(tiles.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect());
    let note = Checkpoint::new(&checkpoint.origin, head).sign(&[key]).map_err(told)?;
    made.0.insert(CHECKPOINT_PATH.into(), note.to_string().into_bytes());
    Ok(made)
}
/// What a witness says to a checkpoint that claims to go on from a size.
fn ask(witness: &OwnWitness, files: &mut dyn Source, old_size: u64) -> Result<u16, Violation> {
    let bytes = files.get(CHECKPOINT_PATH).map_err(told)?.ok_or("no checkpoint")?;
    let note = Note::parse(&bytes).map_err(told)?;
    let size = Checkpoint::parse(&note.text).map_err(told)?.size;
    let proof = consistency_from(files, old_size, size).map_err(told)?;
    let request = AddCheckpoint { old_size, proof, checkpoint: note }.to_text();
    Ok(witness.answer(request.as_bytes(), UtcMs(1_790_000_000_000)).map_err(told)?.status())
}

fn a_key_is_stolen(seed: u64) -> Done {
    let mut world = busy(seed)?;
    let stolen = signing_keys(&mut world)?.remove(0);
    let key = stolen.verifier();
    let dir = tempfile::tempdir().map_err(told)?;
    let secrets = &world.platform.secrets;
    let now = UtcMs(world.now());
    let logs = [key.to_string()];
    let witness =
        OwnWitness::open(&dir.path().join("w.db"), secrets, "witness.example/w", &logs, now).map_err(told)?;
    let honest = Checkpoint::parse(&Note::parse(&checkpoint(&world)?).map_err(told)?.text).map_err(told)?;
    assert_eq!(ask(&witness, &mut shown(&world)?, 0)?, 200);
    let seen = String::from_utf8(checkpoint(&world)?).map_err(told)?;
    // The thief's history verifies by itself, and against nobody who remembers: there it is proof.
    let mut theirs = forged(&world, &stolen, 1)?;
    let report = look(&mut theirs, &key, Some(seen));
    assert_eq!(report.verdict(), Verdict::Broken);
    let evidence = report.evidence.ok_or("two histories, and no evidence")?;
    assert!(evidence.check(std::slice::from_ref(&key)).is_ok());
    // Nor does a witness cosign it, at the same size or at a larger one.
    assert_eq!(ask(&witness, &mut theirs, honest.size)?, 422);
    assert_eq!(ask(&witness, &mut forged(&world, &stolen, 0)?, honest.size)?, 409);
    // The owner takes another key and says why; the log goes on, and what the stolen key signs is nothing to those who heard.
    add_key(&mut world)?;
    retire_first(&mut world, "stolen")?;
    go_on(&mut world)?;
    let new = keys_of(&mut world)?.remove(0);
    let again = forged(&world, &stolen, 50)?;
    assert!(Checkpoint::open(&again.0[CHECKPOINT_PATH], std::slice::from_ref(&new)).is_err());
    let told_why = (0..world.record()?.size()).any(|index| {
        let leaf = world.record().and_then(|record| record.log().proof(index).map_err(told));
        leaf.is_ok_and(|(leaf, _)| String::from_utf8_lossy(&leaf).contains("stolen"))
    });
    assert!(told_why, "the log does not say why the key went");
    Ok(())
}

fn each(seeds: std::ops::Range<u64>, play: impl Fn(u64) -> Done) {
    for seed in seeds {
        if let Err(violation) = play(seed) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn a_restored_backup_signs_nothing_that_the_world_would_contradict() {
    each(40..43, a_restored_backup);
}
#[test]
fn of_two_sequencers_one_stops_and_the_record_keeps_its_laws() {
    each(50..53, two_sequencers);
}
#[test]
fn a_key_is_rotated_in_the_open_while_the_platform_publishes() {
    each(60..63, a_key_is_rotated);
}
#[test]
fn a_stolen_key_rewrites_nothing_unseen_and_is_retired() {
    each(70..73, a_key_is_stolen);
}
