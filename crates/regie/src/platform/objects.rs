//! Content-addressed objects: creatives, assets, policy tables. Written durably once, never changed.
//!
//! A bounded cache keeps what is served often in memory. Refuses to know what an object means.

use regie_model::creative::ObjectHash;
use std::{
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

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
        let path = self.path(&hash);
        if path.exists() {
            return Ok(hash);
        }
        let dir = path.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(dir)?;
        let mut nonce = [0u8; 8];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let temporary = dir.join(format!(".{:016x}", u64::from_le_bytes(nonce)));
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        std::fs::File::open(dir)?.sync_all()?;
        Ok(hash)
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
