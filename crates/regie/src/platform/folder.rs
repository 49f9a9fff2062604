//! The data folder: what lies where, who holds it, and whether it was restored.
//!
//! ```text
//! regie.toml        configuration (optional)
//! journal/          the one journal: SQLite segments
//! state.db          projections; may be thrown away and rebuilt
//! record.db         the published record, made readable; search
//! secrets.db        keys, passwords, sessions, tokens; never journalled
//! desk.db           drafts of bookings, orders for reports; downloads/ has their files
//! study.db, study/  archives of other platforms, groupings, published reports; apart from the journal
//! log.db            the head of the record's log; must not be thrown away
//! record/           its static files: checkpoint, tiles, objects; may be served by any web server
//! witness.db        what this server cosigned of other logs
//! mirror.db, mirror/ copies of other logs that this server keeps, and what it cosigned of them
//! objects/ab/...    content-addressed creatives and assets
//! RESTORED          present after a restore: no paid ticket until told what the world has seen
//! ```

use std::path::{Path, PathBuf};

/// An open data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// The system's error, with the path.
    pub fn open(root: &Path) -> anyhow::Result<Folder> {
        use anyhow::Context;
        for dir in [root.to_path_buf(), root.join("journal"), root.join("objects")] {
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("cannot make the data folder {}", dir.display()))?;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot restrict {}", root.display()))?;
        }
        Ok(Folder { root: root.to_path_buf() })
    }
    /// A folder that is there already. Nothing is made where there is none.
    ///
    /// # Errors
    /// That it is none, with what to do; the system's error, with the path.
    pub fn existing(root: &Path) -> anyhow::Result<Folder> {
        if !root.join("journal").is_dir() {
            anyhow::bail!(
                "{} is no data folder; run `regie serve` once to make one, or name another with --folder",
                root.display()
            );
        }
        Folder::open(root)
    }
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }
    /// The projections.
    pub fn state_db(&self) -> PathBuf {
        self.root.join("state.db")
    }
    /// The secrets.
    pub fn catalogue_image(&self) -> PathBuf {
        self.root.join("catalogue.img")
    }
    /// Keys and passwords.
    pub fn secrets_db(&self) -> PathBuf {
        self.root.join("secrets.db")
    }
    /// The published record, made readable.
    pub fn record_db(&self) -> PathBuf {
        self.root.join("record.db")
    }
    /// The content-addressed store.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }
    /// The mark of a restore.
    pub fn restored_mark(&self) -> PathBuf {
        self.root.join("RESTORED")
    }
    /// Whether a restore waits for the operator's word.
    pub fn is_restored(&self) -> bool {
        self.restored_mark().exists()
    }
    /// Free bytes on the folder's disk, where the system tells.
    pub fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.root)
    }
}

/// Free bytes on a folder's disk, where the system tells.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let output = std::process::Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib * 1024)
}
