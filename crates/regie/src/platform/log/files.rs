//! The log's files in the data folder's `record/`: any web server or object storage can serve the folder as it is.
//!
//! A file is written beside its name and renamed, so that readers see it whole or not at all. Refuses paths that leave the
//! folder.

use anyhow::{Context, Result, bail};
use regie_record::log::{
    mirror::Sink,
    read::{CHECKPOINT_PATH, ReadError, Source, object_of_path},
    sequencer::{LogFiles, StorageError},
    tile::Tile,
};
use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Threads that flush objects at once.
const SYNC_THREADS: usize = 8;
/// So many files are flushed one by one; more of them with their whole file system, which is then ten times as quick.
const SYNC_FILES_MAX: usize = 64;

/// Files below a folder.
#[derive(Clone, Debug)]
pub struct FolderFiles {
    root: PathBuf,
    /// The folder, open since before anything was written: a failed write is told to those who held it open.
    held: Arc<File>,
}

/// Whether a path is one that a log has. Everything else is not looked for.
pub fn is_log_path(path: &str) -> bool {
    path == CHECKPOINT_PATH || Tile::parse(path).is_some() || object_of_path(path).is_some()
}

impl FolderFiles {
    /// Files below `root`, which is made where it is missing.
    ///
    /// # Errors
    /// The system's error.
    pub fn new(root: &Path) -> Result<FolderFiles> {
        std::fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let held = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
        Ok(FolderFiles { root: root.to_path_buf(), held: Arc::new(held) })
    }
    fn path(&self, path: &str) -> Result<PathBuf> {
        if !is_log_path(path) {
            bail!("{path} is no path of a log");
        }
        Ok(self.root.join(path))
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(File, PathBuf)> {
        let target = self.path(path)?;
        let temporary = target.with_extension("new");
        let mut file = match File::create(&temporary) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(target.parent().unwrap_or(&self.root))?;
                File::create(&temporary)?
            }
            made => made?,
        };
        file.write_all(bytes)?;
        Ok((file, target))
    }
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(path)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            // A folder where a file should be, such as a partial tile's.
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {path}")),
        }
    }
    /// Flushes folders, and those above them up to the root.
    fn sync_dirs(&self, dirs: BTreeSet<PathBuf>) -> Result<()> {
        let mut all = BTreeSet::new();
        for dir in dirs {
            let above = dir.ancestors().take_while(|d| d.starts_with(&self.root)).map(Path::to_path_buf);
            all.extend(above);
        }
        for dir in all {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

impl FolderFiles {
    fn store(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let mut dirs = BTreeSet::new();
        for (path, bytes) in files {
            let (file, target) = self.write(path, bytes)?;
            file.sync_all()?;
            std::fs::rename(target.with_extension("new"), &target)?;
            dirs.extend(target.parent().map(Path::to_path_buf));
        }
        self.sync_dirs(dirs)
    }
    fn store_lazily(&self, files: &[(String, &[u8])]) -> Result<()> {
        for (path, bytes) in files {
            let (_, target) = self.write(path, bytes)?;
            std::fs::rename(target.with_extension("new"), &target)?;
        }
        Ok(())
    }
    /// Everything that was written below the folder, with one call of the system.
    #[cfg(target_os = "linux")]
    fn flush_all(&self) -> Result<bool> {
        rustix::fs::syncfs(&*self.held).context("flushing the record's files")?;
        Ok(true)
    }
    /// Other systems have no such call that says whether it succeeded.
    #[cfg(not(target_os = "linux"))]
    fn flush_all(&self) -> Result<bool> {
        let _ = &self.held;
        Ok(false)
    }
    fn flush(&self, paths: &[String]) -> Result<()> {
        if paths.len() > SYNC_FILES_MAX && self.flush_all()? {
            return Ok(());
        }
        let targets: Vec<PathBuf> = paths.iter().map(|path| self.path(path)).collect::<Result<_>>()?;
        let dirs = targets.iter().filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
        let flush = |part: &[PathBuf]| -> std::io::Result<()> {
            part.iter().try_for_each(|path| File::open(path)?.sync_all())
        };
        let size = targets.len().div_ceil(SYNC_THREADS).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = targets.chunks(size).map(|part| scope.spawn(move || flush(part))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result.map_err(anyhow::Error::from),
                Err(_) => bail!("a thread that flushes objects panicked"),
            })
        })?;
        self.sync_dirs(dirs)
    }
    fn remove(&self, path: &str) -> Result<()> {
        let target = self.path(path)?;
        match std::fs::remove_file(&target) {
            Ok(()) => self.sync_dirs(target.parent().map(Path::to_path_buf).into_iter().collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn told(error: &anyhow::Error) -> StorageError {
    StorageError(format!("{error:#}"))
}
impl LogFiles for FolderFiles {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(path).map_err(|e| told(&e))
    }
    fn put(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), StorageError> {
        self.store(files).map_err(|e| told(&e))
    }
    fn put_lazily(&mut self, files: &[(String, &[u8])]) -> Result<(), StorageError> {
        self.store_lazily(files).map_err(|e| told(&e))
    }
    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError> {
        self.flush(paths).map_err(|e| told(&e))
    }
    fn delete(&mut self, path: &str) -> Result<(), StorageError> {
        self.remove(path).map_err(|e| told(&e))
    }
}

fn unreachable(path: &str, error: &anyhow::Error) -> ReadError {
    ReadError::Unreachable { path: path.to_owned(), why: format!("{error:#}") }
}
impl Source for FolderFiles {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(path).map_err(|error| unreachable(path, &error))
    }
}
impl Sink for FolderFiles {
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ReadError> {
        self.store(&[(path.to_owned(), bytes.to_vec())]).map_err(|error| unreachable(path, &error))
    }
}
