//! Content-addressed objects: creatives, assets, policy tables. Written durably once, never changed.
//!
//! A bounded cache keeps what is served often in memory. Refuses to know what an object means.

use regie_model::creative::ObjectHash;
use std::{
    collections::{BTreeSet, HashMap},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Objects written and not yet flushed, each with an open file.
const OPEN_MAX: usize = 256;
/// Flushes that run beside each other.
const FLUSHES_MAX: usize = 32;
/// Bytes kept in memory at most.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// The store.
pub struct Objects {
    root: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    bytes: usize,
    by_short: HashMap<[u8; 16], Arc<Vec<u8>>>,
}

/// An object written and not yet durable.
struct Waiting {
    file: std::fs::File,
    temporary: PathBuf,
    path: PathBuf,
    folder: PathBuf,
}
impl Waiting {
    /// Flushes it and moves it to its place; durable once its folder is flushed too.
    fn settle(&self) -> std::io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)
    }
}
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
/// Does something to each of a list on several threads; the first error of any.
fn beside_each_other<T: Sync>(
    all: &[T],
    each: impl Fn(&T) -> std::io::Result<()> + Sync,
) -> std::io::Result<()> {
    let threads = all.len().clamp(1, FLUSHES_MAX);
    let share = all.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> =
            all.chunks(share).map(|part| scope.spawn(move || part.iter().try_for_each(each))).collect();
        let ended = running
            .into_iter()
            .map(|r| r.join().unwrap_or_else(|_| Err(std::io::Error::other("a flush panicked"))));
        ended.collect()
    })
}

impl Objects {
    /// Opens the store in `root`.
    pub fn new(root: &Path) -> Objects {
        Objects { root: root.to_path_buf(), cache: Mutex::default() }
    }
    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let text = hash.to_string();
        self.root.join(&text[..2]).join(text)
    }
    /// Stores bytes durably under their hash; storing again changes nothing.
    ///
    /// # Errors
    /// The system's error.
    pub fn put(&self, bytes: &[u8]) -> std::io::Result<ObjectHash> {
        let hash = ObjectHash::of(bytes);
        if let Some(waiting) = self.write(&hash, bytes)? {
            waiting.settle()?;
            sync_folder(&waiting.folder)?;
        }
        Ok(hash)
    }
    /// Stores many, each as [`Objects::put`] does. Their flushes run beside each other, so that a disk serves many at
    /// once, and a folder is flushed once.
    ///
    /// # Errors
    /// The system's error; then some may be stored.
    pub fn put_all<'a>(&self, all: impl IntoIterator<Item = &'a [u8]>) -> std::io::Result<()> {
        let mut waiting = Vec::new();
        for bytes in all {
            waiting.extend(self.write(&ObjectHash::of(bytes), bytes)?);
            if waiting.len() >= OPEN_MAX {
                Objects::settle(&std::mem::take(&mut waiting))?;
            }
        }
        Objects::settle(&waiting)
    }
    fn settle(waiting: &[Waiting]) -> std::io::Result<()> {
        let folders: BTreeSet<PathBuf> = waiting.iter().map(|w| w.folder.clone()).collect();
        beside_each_other(waiting, Waiting::settle)?;
        beside_each_other(&folders.into_iter().collect::<Vec<_>>(), |folder| sync_folder(folder))
    }
    /// Writes an object beside its place; nothing when it is there already.
    fn write(&self, hash: &ObjectHash, bytes: &[u8]) -> std::io::Result<Option<Waiting>> {
        let path = self.path(hash);
        if path.exists() {
            return Ok(None);
        }
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        std::fs::create_dir_all(&folder)?;
        let mut nonce = [0u8; 8];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let temporary = folder.join(format!(".{:016x}", u64::from_le_bytes(nonce)));
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        Ok(Some(Waiting { file, temporary, path, folder }))
    }
    /// The bytes of an object, if it is there and unchanged.
    pub fn get(&self, hash: &ObjectHash) -> Option<Arc<Vec<u8>>> {
        if let Some(bytes) = self.cached(&hash.short()) {
            return Some(bytes);
        }
        let bytes = std::fs::read(self.path(hash)).ok()?;
        if ObjectHash::of(&bytes) != *hash {
            tracing::error!(object = %hash, "an object on disk does not fit its hash");
            return None;
        }
        Some(self.remember(hash.short(), bytes))
    }
    /// The bytes of an object by the first 16 bytes of its hash, as tickets carry it.
    pub fn get_short(&self, short: &[u8; 16]) -> Option<Arc<Vec<u8>>> {
        if let Some(bytes) = self.cached(short) {
            return Some(bytes);
        }
        let prefix: String = short.iter().map(|b| format!("{b:02x}")).collect();
        let dir = self.root.join(&prefix[..2]);
        let found = std::fs::read_dir(dir)
            .ok()?
            .flatten()
            .find(|e| e.file_name().to_string_lossy().starts_with(&prefix))?;
        let hash = ObjectHash::parse(&found.file_name().to_string_lossy())?;
        self.get(&hash)
    }
    fn cached(&self, short: &[u8; 16]) -> Option<Arc<Vec<u8>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).by_short.get(short).cloned()
    }
    fn remember(&self, short: [u8; 16], bytes: Vec<u8>) -> Arc<Vec<u8>> {
        let bytes = Arc::new(bytes);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.bytes + bytes.len() > CACHE_BYTES_MAX {
            *cache = Cache::default();
        }
        cache.bytes += bytes.len();
        cache.by_short.insert(short, bytes.clone());
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn many_are_stored_as_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::new(folder.path());
        let texts: Vec<String> = (0..700).map(|n| format!("object {}", n % 600)).collect();
        objects.put_all(texts.iter().map(String::as_bytes)).unwrap();
        objects.put_all(std::iter::empty()).unwrap();
        for text in &texts {
            let hash = ObjectHash::of(text.as_bytes());
            assert_eq!(objects.get(&hash).unwrap().as_slice(), text.as_bytes());
            assert_eq!(objects.put(text.as_bytes()).unwrap(), hash);
        }
        let files = |path: &Path| std::fs::read_dir(path).unwrap().flatten().count();
        let count: usize =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|d| files(&d.path())).sum();
        assert_eq!(count, 600, "nothing stays behind");
    }
}
