//! The log's speed on this machine, beside its bars: `cargo run --release -p regie-record --example log-bench [ENTRIES]`.
//!
//! Real files in a temporary folder, each synced before the checkpoint that covers it is shown; the head in a synced file that is
//! replaced. One object to each entry. (The server keeps the head and its last batch in SQLite instead: one more commit a batch.)
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use regie_record::log::{
    Append, Envelope, Hash, Policy, Signatory,
    hash::object_of,
    note::TYPE_ED25519,
    read::{ReadError, Source},
    sequencer::{Batch, HeadStore, LogFiles, Opening, Sequencer, StorageError, StoredHead},
    verify::{NoSchema, Verdict, Wanted, verify},
};
use serde_json::json;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

/// Entries of one batch.
const BATCH: u64 = 1_000;

struct Head(PathBuf, Option<StoredHead>);
impl HeadStore for Head {
    fn load(&mut self) -> Result<Option<(StoredHead, Batch)>, StorageError> {
        Ok(None)
    }
    fn swap(
        &mut self,
        _: Option<&StoredHead>,
        next: &StoredHead,
        batch: &Batch,
    ) -> Result<bool, StorageError> {
        let mut bytes = next.note.clone().into_bytes();
        batch.leaves.iter().for_each(|leaf| bytes.extend_from_slice(&leaf.leaf));
        batch.objects.iter().for_each(|(_, object)| bytes.extend_from_slice(object));
        write(&self.0, &bytes, true);
        self.1 = Some(next.clone());
        Ok(true)
    }
    fn settled(&mut self, _: &[Hash]) -> Result<(), StorageError> {
        Ok(())
    }
}
#[derive(Clone)]
struct Files(PathBuf);
fn write(path: &Path, bytes: &[u8], sync: bool) {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)
        .or_else(|_| {
            std::fs::create_dir_all(path.parent().unwrap())?;
            File::create(&temporary)
        })
        .unwrap();
    file.write_all(bytes).unwrap();
    if sync {
        file.sync_all().unwrap();
    }
    std::fs::rename(&temporary, path).unwrap();
}
impl LogFiles for Files {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(std::fs::read(self.0.join(path)).ok())
    }
    fn put(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), StorageError> {
        files.iter().for_each(|(path, bytes)| write(&self.0.join(path), bytes, true));
        Ok(())
    }
    fn put_lazily(&mut self, files: &[(String, &[u8])]) -> Result<(), StorageError> {
        files.iter().for_each(|(path, bytes)| write(&self.0.join(path), bytes, false));
        Ok(())
    }
    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| self.0.join(path)).collect();
        std::thread::scope(|scope| {
            for part in paths.chunks(paths.len().div_ceil(8).max(1)) {
                scope.spawn(move || {
                    part.iter().for_each(|path| File::open(path).unwrap().sync_all().unwrap())
                });
            }
        });
        Ok(())
    }
    fn delete(&mut self, path: &str) -> Result<(), StorageError> {
        drop(std::fs::remove_file(self.0.join(path)));
        Ok(())
    }
}
impl Source for Files {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(std::fs::read(self.0.join(path)).ok())
    }
}

fn entry(ad: u64, with_object: bool) -> Append {
    let mut leaf = Envelope::new(
        "facts",
        &format!("ad_{ad}"),
        1,
        1_790_000_000_000 + ad as i64,
        &json!({ "ad": ad, "price": "cpm", "spend_nanos": 1_000 * ad }),
    )
    .unwrap();
    let mut objects = Vec::new();
    if with_object {
        let (name, object) =
            object_of(&Hash::of(&ad.to_be_bytes()).0, format!("{{\"sponsor\":\"Sponsor {ad}\"}}").as_bytes());
        leaf.commitments.insert("facts".into(), name);
        objects.push((name, object));
    }
    Append { leaf: leaf.to_bytes().unwrap(), objects }
}
/// CPU seconds of this process so far.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or("").split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // utime and stime are the 14th and 15th fields of the line, in hundredths of a second; one field (the state) is no number.
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn main() {
    let entries: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let synced = 20.min(entries / BATCH);
    let dir = std::env::temp_dir().join(format!("log-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let key = Signatory::new("bench.example/log", TYPE_ED25519, &[7; 32]).unwrap();
    let policy = Policy::of_log(key.verifier());
    let opening = Opening {
        origin: "bench.example/log",
        keys: &[key],
        now_ms: 1_790_000_000_000,
        continues: None,
        position: 0,
    };
    let files = Files(dir.clone());
    let mut log =
        Sequencer::open(Box::new(Head(dir.join("head"), None)), Box::new(files.clone()), &opening).unwrap();
    // With objects, each durable as a file.
    let (start, cpu) = (Instant::now(), cpu_s());
    for batch in 0..synced {
        let list: Vec<Append> = (batch * BATCH..(batch + 1) * BATCH).map(|ad| entry(ad, true)).collect();
        log.append(&list, 0).unwrap();
        log.show().unwrap();
        log.settle().unwrap();
    }
    let rate = (synced * BATCH) as f64 / start.elapsed().as_secs_f64();
    println!("| what | figure | bar | note |\n|---|---|---|---|");
    println!(
        "| versions with an object, all durable | {rate:.0}/s | >= 1000/s | {:.1} CPU-s for {} |",
        cpu_s() - cpu,
        synced * BATCH
    );
    let (start, cpu) = (Instant::now(), cpu_s());
    for batch in synced..entries / BATCH {
        let list: Vec<Append> = (batch * BATCH..(batch + 1) * BATCH).map(|ad| entry(ad, false)).collect();
        log.append(&list, 0).unwrap();
    }
    let count = entries - synced * BATCH;
    println!(
        "| versions without objects | {:.0}/s | >= 1000/s | {:.1} CPU-s for {count} |",
        count as f64 / start.elapsed().as_secs_f64(),
        cpu_s() - cpu
    );
    let start = Instant::now();
    log.append(&[entry(entries, false)], 0).unwrap();
    log.show().unwrap();
    let size = log.head().head.size;
    println!(
        "| one more entry, signed and shown, at {size} | {:.3} s | < 1 s | |",
        start.elapsed().as_secs_f64()
    );
    let (start, cpu) = (Instant::now(), cpu_s());
    let report = verify(
        &mut files.clone(),
        &Wanted { policy: &policy, seen: None, objects: true },
        &mut NoSchema,
        &mut |_, _| {},
    );
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    println!(
        "| full verify of {size} entries | {:.1} s | < 60 s | {:.1} CPU-s, {} objects |",
        start.elapsed().as_secs_f64(),
        cpu_s() - cpu,
        report.objects_count
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
