//! A simulated disk beneath SQLite, for crash tests: the shipping journal code runs on it
//! unchanged. Refuses threads (one at a time), shared memory, and any randomness but its seed's.
//! What it tests: L1 and B4 under power loss at every operation, failed and lying syncs, torn
//! and failed writes, a full disk.

mod inode;
mod model;
mod rng;
mod vfs;

use crate::disk::{Disk, DiskEntry};
pub use model::SimFaults;
use model::{Fault, Model};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where [`SimDisk`] has its one folder; others may be created.
pub const SIM_DIR: &str = "/sim/journal";

/// A disk in memory that forgets what was not synced. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Inner>,
}

struct Inner {
    model: Arc<Mutex<Model>>,
    vfs: vfs::Registered,
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.model).clear();
    }
}

fn lock(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn io_error(fault: Fault) -> io::Error {
    match fault {
        Fault::NotFound => io::ErrorKind::NotFound.into(),
        Fault::Full => io::ErrorKind::StorageFull.into(),
        Fault::Busy => io::ErrorKind::WouldBlock.into(),
        other => io::Error::other(format!("simulated: {other:?}")),
    }
}

impl SimDisk {
    /// An empty disk. The seed decides everything: sector size (512 or 4,096 bytes), whether a
    /// torn sector keeps its other bytes, and what each crash leaves.
    ///
    /// # Panics
    /// If SQLite refuses another VFS (out of memory).
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        let model = Arc::new(Mutex::new(Model::new(seed)));
        let vfs = vfs::register(model.clone());
        SimDisk { inner: Arc::new(Inner { model, vfs }) }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.inner.model)
    }

    /// Operations so far that change something or sync: writes, truncations, syncs, creations,
    /// removals, renames.
    #[must_use]
    pub fn op_count(&self) -> u64 {
        self.model().op_count()
    }

    /// Which of those operations were syncs.
    #[must_use]
    pub fn sync_ops(&self) -> Vec<u64> {
        self.model().sync_ops()
    }

    /// Sets what is to go wrong from now on, replacing what was set before.
    pub fn set_faults(&self, faults: SimFaults) {
        self.model().faults = faults;
    }

    /// The power goes now. Close everything that uses the disk, then restart.
    pub fn crash(&self) {
        self.model().crash();
    }

    /// True from the crash to the restart.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.model().crashed()
    }

    /// After a power loss: everything synced is there, of the rest what the seed decides. Files
    /// opened before are dead.
    pub fn restart(&self) {
        self.model().restart_power();
    }

    /// After a `kill -9`: everything written is there, synced or not. Files opened before are dead.
    pub fn restart_after_kill(&self) {
        self.model().restart_process();
    }

    /// What a file holds, as a reader sees it.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.model().content(path)
    }

    /// Flips bits of a stored byte, as rotting media do. `false`: there is no such byte.
    #[must_use]
    pub fn corrupt(&self, path: &str, offset: usize, mask: u8) -> bool {
        self.model().corrupt(path, offset, mask)
    }
}

struct FolderLock {
    model: Arc<Mutex<Model>>,
    dir: String,
    epoch: u64,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        lock(&self.model).unlock_folder(&self.dir, self.epoch);
    }
}

impl Disk for SimDisk {
    fn vfs_name(&self) -> Option<&str> {
        Some(self.inner.vfs.name())
    }

    fn exclusive_only(&self) -> bool {
        true
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.model().create_dir(text(dir)?).map_err(io_error)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>> {
        let entries = self.model().list(text(dir)?).map_err(io_error)?;
        Ok(entries.into_iter().map(|(name, size_bytes)| DiskEntry { name, size_bytes }).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.model().rename(text(from)?, text(to)?).map_err(io_error)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.model().remove(text(file)?).map_err(io_error)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.model().sync_dir(text(dir)?).map_err(io_error)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send>> {
        let dir = text(dir)?.to_string();
        let epoch = self.model().lock_folder(&dir).map_err(io_error)?;
        Ok(Box::new(FolderLock { model: self.inner.model.clone(), dir, epoch }))
    }
}
