//! A log in memory with a head store and files that can fail at any step, and an outsider who keeps all that was ever shown.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)]

use regie_record::log::{
    Append, Checkpoint, Envelope, Hash, Policy, Signatory, VerifierKey,
    hash::object_of,
    note::{TYPE_COSIGNATURE, TYPE_ED25519},
    outside::WitnessClient,
    read::{CHECKPOINT_PATH, MemoryFiles},
    sequencer::{Batch, HeadStore, LogFiles, Opening, Sequencer, SequencerError, StorageError, StoredHead},
    tree::{Frontier, Head},
    verify::{NoSchema, Report, Wanted, verify},
    witness::{AddCheckpoint, Answer, judge},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub const ORIGIN: &str = "gazette.example/record/log";
pub const START_MS: i64 = 1_790_000_000_000;

pub fn key(byte: u8) -> Signatory {
    Signatory::new(ORIGIN, TYPE_ED25519, &[byte; 32]).unwrap()
}
pub fn witness_key(byte: u8) -> Signatory {
    Signatory::new(&format!("witness.example/w{byte}"), TYPE_COSIGNATURE, &[byte; 32]).unwrap()
}

/// What is kept of the head.
type Kept = Option<(StoredHead, Batch)>;

/// A disk: the head and the files. `fuse`: so many more writes succeed, then each fails; whether the failing one persists all
/// the same is the low bit of the seed.
#[derive(Default)]
pub struct Disk {
    pub head: Kept,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files that a power loss takes.
    pub lazy: Vec<String>,
    pub fuse: Option<u64>,
    pub persists: bool,
    pub writes: u64,
}
impl Disk {
    /// Whether this write fails, and whether it persists.
    fn write(&mut self) -> (bool, bool) {
        self.writes += 1;
        match &mut self.fuse {
            Some(0) => (true, std::mem::take(&mut self.persists)),
            Some(left) => {
                *left -= 1;
                (false, true)
            }
            None => (false, true),
        }
    }
    /// The power goes: what was not made durable is gone.
    pub fn crash(&mut self) {
        for path in std::mem::take(&mut self.lazy) {
            self.files.remove(&path);
        }
        self.fuse = None;
    }
    pub fn shown(&self) -> MemoryFiles {
        MemoryFiles(self.files.clone())
    }
    pub fn copy(&self) -> Disk {
        Disk { head: self.head.clone(), files: self.files.clone(), ..Disk::default() }
    }
}
pub type Shared = Arc<Mutex<Disk>>;

fn failed() -> StorageError {
    StorageError("the disk failed".into())
}

pub struct Store(pub Shared);
impl HeadStore for Store {
    fn load(&mut self) -> Result<Kept, StorageError> {
        Ok(self.0.lock().unwrap().head.clone())
    }
    fn swap(
        &mut self,
        expected: Option<&StoredHead>,
        next: &StoredHead,
        batch: &Batch,
    ) -> Result<bool, StorageError> {
        let mut disk = self.0.lock().unwrap();
        if disk.head.as_ref().map(|(head, _)| head) != expected {
            return Ok(false);
        }
        let (fails, persists) = disk.write();
        if persists {
            let mut batch = batch.clone();
            let before = disk.head.take();
            batch.objects.extend(before.into_iter().flat_map(|(_, b)| b.objects));
            disk.head = Some((next.clone(), batch));
        }
        if fails { Err(failed()) } else { Ok(true) }
    }
    fn settled(&mut self, objects: &[Hash]) -> Result<(), StorageError> {
        let mut disk = self.0.lock().unwrap();
        if disk.write().0 {
            return Err(failed());
        }
        if let Some((_, batch)) = &mut disk.head {
            batch.objects.retain(|(hash, _)| !objects.contains(hash));
        }
        Ok(())
    }
}
pub struct Files(pub Shared);
impl LogFiles for Files {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.lock().unwrap().files.get(path).cloned())
    }
    fn put(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), StorageError> {
        let mut disk = self.0.lock().unwrap();
        for (path, bytes) in files {
            let (fails, persists) = disk.write();
            if persists {
                disk.files.insert(path.clone(), bytes.clone());
            }
            if fails {
                return Err(failed());
            }
        }
        Ok(())
    }
    fn put_lazily(&mut self, files: &[(String, &[u8])]) -> Result<(), StorageError> {
        let mut disk = self.0.lock().unwrap();
        for (path, bytes) in files {
            if disk.write().0 {
                return Err(failed());
            }
            disk.files.insert(path.clone(), bytes.to_vec());
            disk.lazy.push(path.clone());
        }
        Ok(())
    }
    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError> {
        let mut disk = self.0.lock().unwrap();
        if disk.write().0 {
            return Err(failed());
        }
        if let Some(lost) = paths.iter().find(|path| !disk.files.contains_key(*path)) {
            return Err(StorageError(format!("{lost} is not there")));
        }
        disk.lazy.retain(|path| !paths.contains(path));
        Ok(())
    }
    fn delete(&mut self, path: &str) -> Result<(), StorageError> {
        self.0.lock().unwrap().files.remove(path);
        Ok(())
    }
}

pub fn open(disk: &Shared, keys: &[Signatory], now_ms: i64) -> Result<Sequencer, SequencerError> {
    open_as(disk, &Opening { origin: ORIGIN, keys, now_ms, continues: None, position: 0 })
}
pub fn open_as(disk: &Shared, opening: &Opening<'_>) -> Result<Sequencer, SequencerError> {
    Sequencer::open(Box::new(Store(Arc::clone(disk))), Box::new(Files(Arc::clone(disk))), opening)
}

/// An entry about an ad, with a name that may have to be withheld.
pub fn entry(ad: u64, version: u32, at_ms: i64) -> Append {
    let (name, object) = object_of(&[ad as u8 ^ version as u8; 32], format!("Sponsor of ad {ad}").as_bytes());
    let mut leaf =
        Envelope::new("facts", &format!("ad_{ad}"), version, at_ms, &json!({ "spend_nanos": 1_000 * ad }))
            .unwrap();
    leaf.commitments.insert("sponsor".into(), name);
    Append { leaf: leaf.to_bytes().unwrap(), objects: vec![(name, object)] }
}

/// Opens a log and appends entries about ads 1 to `count` in small batches, all shown.
pub fn a_log(count: u64) -> (Shared, Sequencer) {
    let disk = Shared::default();
    let mut sequencer = open(&disk, &[key(1)], START_MS).unwrap();
    for batch in (1..=count).collect::<Vec<_>>().chunks(7) {
        let entries: Vec<Append> = batch.iter().map(|ad| entry(*ad, 1, START_MS + *ad as i64)).collect();
        sequencer.append(&entries, batch[0]).unwrap();
        sequencer.show().unwrap();
        sequencer.settle().unwrap();
    }
    (disk, sequencer)
}

pub fn policy() -> Policy {
    Policy::of_log(key(1).verifier())
}
pub fn check(files: &MemoryFiles, policy: &Policy, seen: Option<String>) -> Report {
    let wanted = Wanted { policy, seen, objects: true };
    verify(&mut files.clone(), &wanted, &mut NoSchema, &mut |_, _| {})
}
pub fn shown_checkpoint(files: &MemoryFiles) -> String {
    String::from_utf8(files.0[CHECKPOINT_PATH].clone()).unwrap()
}

/// A witness in memory.
pub struct Witness {
    pub key: Signatory,
    pub verifier: VerifierKey,
    pub logs: Vec<VerifierKey>,
    pub last: Option<Head>,
    pub now_s: u64,
}
impl Witness {
    pub fn new(byte: u8, logs: &[VerifierKey]) -> Witness {
        let key = witness_key(byte);
        Witness { verifier: key.verifier(), key, logs: logs.to_vec(), last: None, now_s: 1_790_000_100 }
    }
}
impl WitnessClient for Witness {
    fn key(&self) -> &VerifierKey {
        &self.verifier
    }
    fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<(u16, String), StorageError> {
        let request =
            AddCheckpoint::parse(request.to_text().as_bytes()).map_err(|e| StorageError(e.to_string()))?;
        let answer = judge(&request, &self.logs, self.last, &self.key, self.now_s);
        let status = answer.status();
        Ok(match answer {
            Answer::Cosigned { head, body } => {
                self.last = Some(head);
                (status, body)
            }
            Answer::Conflict(size) => (status, format!("{size}\n")),
            other => (status, format!("{other:?}\n")),
        })
    }
}

/// Everything an outsider was ever shown, and whether it fits together (R1, R2).
#[derive(Default)]
pub struct Outsider {
    pub seen: Option<(Head, String)>,
    pub looks: u64,
}
impl Outsider {
    pub fn look(&mut self, files: &MemoryFiles, keys: &[VerifierKey]) -> Result<(), String> {
        let Some(bytes) = files.0.get(CHECKPOINT_PATH) else { return Ok(()) };
        self.looks += 1;
        let (checkpoint, _) = Checkpoint::open(bytes, keys).map_err(|e| e.to_string())?;
        let mut log = files.clone();
        let mut frontier = Frontier::default();
        let mut within = None;
        let mut missing = None;
        regie_record::log::mirror::for_each_leaf(&mut log, checkpoint.size, &mut |_, leaf| {
            if self.seen.as_ref().is_some_and(|(head, _)| head.size == frontier.size()) {
                within = Some(frontier.root());
            }
            frontier.push(regie_record::log::hash::leaf_hash(leaf));
            let view = regie_record::log::leaf::View::read(leaf).unwrap();
            missing = missing.or(view
                .commitments
                .into_values()
                .find(|hash| !files.0.contains_key(&regie_record::log::read::object_path(*hash))));
            true
        })
        .map_err(|e| format!("law R2: shown before it was there: {e}"))?;
        if let Some(hash) = missing {
            return Err(format!("law R2: object {hash} was not there when its leaf was shown"));
        }
        if frontier.root() != checkpoint.root {
            return Err("law R2: the leaves do not give the root that is shown".into());
        }
        if let Some((before, _)) = &self.seen {
            if before.size > checkpoint.size {
                return Err(format!("law R1: {} entries were shown, now {}", before.size, checkpoint.size));
            }
            let then = if before.size == checkpoint.size { Some(checkpoint.root) } else { within };
            if then != Some(before.root) {
                return Err("law R1: another history was shown before".into());
            }
        }
        self.seen = Some((checkpoint.head(), String::from_utf8_lossy(bytes).into_owned()));
        Ok(())
    }
}
