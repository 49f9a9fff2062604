//! The few things a journal asks of a disk besides SQLite: list, rename, remove, sync a folder,
//! lock it. Refuses to read or write file contents: that is SQLite's, through the VFS named here.

use std::fs;
use std::io;
use std::path::Path;

/// A file in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    /// Its name, without the folder.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
}

/// Where the journal's files are. [`RealDisk`] in the product; a simulated one in tests.
pub trait Disk: Send + Sync {
    /// The SQLite VFS to open databases with; `None` is the default one.
    fn vfs_name(&self) -> Option<&str>;
    /// True when only one connection may open a file, so that SQLite runs without shared memory.
    fn exclusive_only(&self) -> bool {
        false
    }
    /// Creates a folder and its parents; one that exists is no error.
    ///
    /// # Errors
    /// The system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The files in a folder, in any order; an error of kind `NotFound` if there is no folder.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>>;
    /// Renames a file; durable after [`Disk::sync_dir`] on both folders.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the folder for one writer, until the returned value is dropped or the process dies.
    ///
    /// # Errors
    /// Kind `WouldBlock` when someone else has it.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send>>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn vfs_name(&self) -> Option<&str> {
        None
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        // The new folder's own name must survive too.
        match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A file may go between listing and asking (a `-wal` at the last close).
            let size_bytes = match entry.metadata() {
                Ok(meta) if meta.is_file() => meta.len(),
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DiskEntry { name, size_bytes });
            }
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send>> {
        let file =
            fs::OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("writer.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
