//! The model of a disk that tells the truth only about what was synced. Refuses threads, clocks
//! and real files; the same seed and the same calls give the same disk. It is the adversary of
//! L1 and B4: at a power loss every unsynced sector may be old, new, any version between, torn,
//! or (where the device promises nothing) garbage; unsynced names likewise.

use super::inode::Inode;
use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A fault to inject. Operations are counted from 1 over the life of the disk; see
/// [`super::SimDisk::op_count`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimFaults {
    /// The power goes at this operation: it fails, as does everything until the restart.
    pub crash_at_op: Option<u64>,
    /// This operation, if it is a sync, fails: of what was unsynced some is stored, the rest never
    /// will be, though reads still show it; the next sync succeeds, as on Linux.
    pub fail_sync_at_op: Option<u64>,
    /// After a failed sync, later syncs of that file say "done" and store nothing.
    pub syncs_lie_after_failure: bool,
    /// This operation, if it is a write, fails after a part of it.
    pub fail_write_at_op: Option<u64>,
    /// Files may hold this many bytes altogether; a write beyond says "disk full".
    pub full_at_bytes: Option<u64>,
    /// Every sync says "done" and does nothing: a device that lies.
    pub lying_sync: bool,
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crashed,
    NotFound,
    WriteFailed,
    SyncFailed,
    Full,
    Busy,
}

type InodeId = u64;

#[derive(Clone)]
enum NameOp {
    Set(String, InodeId),
    Remove(String),
    Move(String, String, InodeId),
}

/// An open file.
pub(super) struct Handle {
    id: u64,
    inode: InodeId,
    epoch: u64,
    path: String,
    /// A new log or journal: its first sync covers its folder too, as SQLite's own VFS does.
    sync_dir: bool,
}

pub(super) struct Model {
    pub rng: Rng,
    pub faults: SimFaults,
    pub sector_bytes: usize,
    /// The device keeps the bytes of a sector that a write does not cover.
    pub powersafe: bool,
    ops: u64,
    syncs: Vec<u64>,
    epoch: u64,
    crashed: bool,
    next_id: u64,
    inodes: BTreeMap<InodeId, Inode>,
    names: BTreeMap<String, InodeId>,
    durable_names: BTreeMap<String, InodeId>,
    name_ops: Vec<NameOp>,
    dirs: BTreeSet<String>,
    folder_locks: BTreeSet<String>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Model {
    pub fn new(seed: u64) -> Model {
        let mut rng = Rng::new(seed);
        Model {
            sector_bytes: if rng.chance(50) { 512 } else { 4096 },
            powersafe: rng.chance(50),
            rng,
            faults: SimFaults::default(),
            ops: 0,
            syncs: Vec::new(),
            epoch: 0,
            crashed: false,
            next_id: 0,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_ops: Vec::new(),
            dirs: BTreeSet::new(),
            folder_locks: BTreeSet::new(),
        }
    }

    pub fn op_count(&self) -> u64 {
        self.ops
    }

    pub fn sync_ops(&self) -> Vec<u64> {
        self.syncs.clone()
    }

    pub fn crashed(&self) -> bool {
        self.crashed
    }

    pub fn crash(&mut self) {
        self.crashed = true;
    }

    /// Counts an operation that changes something; the power may go before it is done.
    fn op(&mut self) -> Result<u64, Fault> {
        self.alive()?;
        self.ops += 1;
        if self.faults.crash_at_op == Some(self.ops) {
            self.crashed = true;
        }
        Ok(self.ops)
    }

    fn alive(&self) -> Result<(), Fault> {
        if self.crashed { Err(Fault::Crashed) } else { Ok(()) }
    }

    fn inode(&mut self, handle: &Handle) -> Result<&mut Inode, Fault> {
        self.alive()?;
        if handle.epoch != self.epoch {
            return Err(Fault::Crashed);
        }
        self.inodes.get_mut(&handle.inode).ok_or(Fault::NotFound)
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn open(&mut self, path: &str, create: bool, sync_dir: bool) -> Result<Handle, Fault> {
        self.alive()?;
        let inode = match self.names.get(path) {
            Some(inode) => *inode,
            None if !create || !self.dirs.contains(parent(path)) => return Err(Fault::NotFound),
            None => {
                self.op()?;
                self.alive()?;
                let inode = self.new_id();
                self.inodes.insert(inode, Inode::default());
                self.names.insert(path.to_string(), inode);
                self.name_ops.push(NameOp::Set(path.to_string(), inode));
                inode
            }
        };
        let id = self.new_id();
        Ok(Handle { id, inode, epoch: self.epoch, path: path.to_string(), sync_dir })
    }

    pub fn close(&mut self, handle: &Handle) {
        if handle.epoch == self.epoch
            && let Some(inode) = self.inodes.get_mut(&handle.inode)
        {
            inode.locks.remove(&handle.id);
        }
    }

    pub fn read(&mut self, handle: &Handle, offset: usize, into: &mut [u8]) -> Result<usize, Fault> {
        let content = &self.inode(handle)?.content;
        let available = content.get(offset..).unwrap_or_default();
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        Ok(count)
    }

    pub fn size(&mut self, handle: &Handle) -> Result<usize, Fault> {
        Ok(self.inode(handle)?.content.len())
    }

    pub fn write(&mut self, handle: &Handle, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.inode(handle)?;
        let op = self.op()?;
        let mut bytes = bytes;
        let mut outcome = self.alive();
        if self.faults.fail_write_at_op == Some(op) {
            bytes = &bytes[..self.rng.below(bytes.len() as u64 + 1) as usize];
            outcome = Err(Fault::WriteFailed);
        }
        let total: usize =
            self.names.values().filter_map(|id| self.inodes.get(id)).map(|i| i.content.len()).sum();
        let sector_bytes = self.sector_bytes;
        let full_at = self.faults.full_at_bytes;
        let Some(inode) = self.inodes.get_mut(&handle.inode) else {
            return Err(Fault::NotFound);
        };
        let grows = (offset + bytes.len()).saturating_sub(inode.content.len());
        if let Some(limit) = full_at
            && (total + grows) as u64 > limit
        {
            let room = (limit as usize).saturating_sub(total);
            bytes = &bytes[..bytes.len() - (grows - room.min(grows)).min(bytes.len())];
            outcome = Err(Fault::Full);
        }
        inode.write(offset, bytes, sector_bytes);
        outcome
    }

    pub fn truncate(&mut self, handle: &Handle, length: usize) -> Result<(), Fault> {
        self.inode(handle)?;
        self.op()?;
        if let Some(inode) = self.inodes.get_mut(&handle.inode) {
            inode.truncate(length);
        }
        self.alive()
    }

    pub fn sync(&mut self, handle: &mut Handle) -> Result<(), Fault> {
        self.inode(handle)?;
        let op = self.op()?;
        self.syncs.push(op);
        self.alive()?;
        let (faults, sector_bytes) = (self.faults, self.sector_bytes);
        let (rng, inodes) = (&mut self.rng, &mut self.inodes);
        let Some(inode) = inodes.get_mut(&handle.inode) else {
            return Err(Fault::NotFound);
        };
        if faults.fail_sync_at_op == Some(op) {
            inode.fail(rng, sector_bytes);
            return Err(Fault::SyncFailed);
        }
        if faults.lying_sync || (inode.failed && faults.syncs_lie_after_failure) {
            return Ok(());
        }
        inode.store(rng, sector_bytes);
        if std::mem::take(&mut handle.sync_dir) {
            let path = handle.path.clone();
            self.sync_dir(parent(&path))?;
        }
        Ok(())
    }

    /// Locks as SQLite means them: 0 none, 1 shared, 2 reserved, 3 pending, 4 exclusive.
    pub fn lock(&mut self, handle: &Handle, level: i32) -> Result<(), Fault> {
        let inode = self.inode(handle)?;
        let others = inode.locks.iter().filter(|(id, _)| **id != handle.id);
        let highest = others.map(|(_, level)| *level).max().unwrap_or(0);
        let hindered = match level {
            0 | 1 => highest >= 3,
            2 | 3 => highest >= 2,
            _ => highest >= 1,
        };
        if hindered {
            return Err(Fault::Busy);
        }
        let held = inode.locks.entry(handle.id).or_insert(0);
        *held = level.max(*held);
        Ok(())
    }

    pub fn unlock(&mut self, handle: &Handle, level: i32) -> Result<(), Fault> {
        self.inode(handle)?.locks.insert(handle.id, level);
        Ok(())
    }

    pub fn is_reserved(&mut self, handle: &Handle) -> Result<bool, Fault> {
        Ok(self.inode(handle)?.locks.values().any(|level| *level >= 2))
    }

    pub fn exists(&self, path: &str) -> Result<bool, Fault> {
        self.alive()?;
        Ok(self.names.contains_key(path))
    }

    pub fn remove(&mut self, path: &str) -> Result<(), Fault> {
        self.exists(path)?.then_some(()).ok_or(Fault::NotFound)?;
        self.op()?;
        self.names.remove(path);
        self.name_ops.push(NameOp::Remove(path.to_string()));
        self.alive()
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        self.alive()?;
        let inode = *self.names.get(from).ok_or(Fault::NotFound)?;
        if !self.dirs.contains(parent(to)) {
            return Err(Fault::NotFound);
        }
        self.op()?;
        self.names.remove(from);
        self.names.insert(to.to_string(), inode);
        self.name_ops.push(NameOp::Move(from.to_string(), to.to_string(), inode));
        self.alive()
    }

    /// Folders themselves are taken to be durable at once.
    pub fn create_dir(&mut self, dir: &str) -> Result<(), Fault> {
        self.alive()?;
        self.dirs.insert(dir.to_string());
        Ok(())
    }

    pub fn list(&self, dir: &str) -> Result<Vec<(String, u64)>, Fault> {
        self.alive()?;
        if !self.dirs.contains(dir) {
            return Err(Fault::NotFound);
        }
        let inside = self.names.iter().filter(|(path, _)| parent(path) == dir);
        Ok(inside
            .filter_map(|(path, id)| {
                let name = path.rsplit('/').next()?.to_string();
                Some((name, self.inodes.get(id)?.content.len() as u64))
            })
            .collect())
    }

    pub fn sync_dir(&mut self, dir: &str) -> Result<(), Fault> {
        let op = self.op()?;
        self.syncs.push(op);
        self.alive()?;
        if self.faults.fail_sync_at_op == Some(op) {
            return Err(Fault::SyncFailed);
        }
        if self.faults.lying_sync {
            return Ok(());
        }
        let (mine, rest): (Vec<NameOp>, Vec<NameOp>) =
            std::mem::take(&mut self.name_ops).into_iter().partition(|op| match op {
                NameOp::Set(path, _) | NameOp::Remove(path) => parent(path) == dir,
                NameOp::Move(from, to, _) => parent(from) == dir || parent(to) == dir,
            });
        self.name_ops = rest;
        mine.iter().for_each(|op| op.apply(&mut self.durable_names));
        Ok(())
    }

    pub fn lock_folder(&mut self, dir: &str) -> Result<u64, Fault> {
        self.alive()?;
        if self.folder_locks.insert(dir.to_string()) { Ok(self.epoch) } else { Err(Fault::Busy) }
    }

    pub fn unlock_folder(&mut self, dir: &str, epoch: u64) {
        if epoch == self.epoch {
            self.folder_locks.remove(dir);
        }
    }

    fn new_epoch(&mut self) {
        self.epoch += 1;
        self.crashed = false;
        self.faults.crash_at_op = None;
        self.folder_locks.clear();
        self.inodes.values_mut().for_each(|inode| inode.locks.clear());
    }

    /// The process died, the machine did not: what was written is seen, and still unsynced.
    pub fn restart_process(&mut self) {
        self.new_epoch();
    }

    /// The power came back: decides what is left of everything unsynced.
    pub fn restart_power(&mut self) {
        self.new_epoch();
        let (rng, sector_bytes) = (&mut self.rng, self.sector_bytes);
        // Sometimes all is lost, sometimes all is kept, mostly some.
        let share = [0, 100, 50, 20, 80][rng.below(5) as usize];
        let in_order = rng.chance(50);
        let mut names = self.durable_names.clone();
        for op in std::mem::take(&mut self.name_ops) {
            if rng.chance(share) {
                op.apply(&mut names);
            } else if in_order {
                break;
            }
        }
        for inode in self.inodes.values_mut() {
            inode.lose(rng, share, sector_bytes, self.powersafe);
        }
        self.inodes.retain(|id, _| names.values().any(|named| named == id));
        self.names.clone_from(&names);
        self.durable_names = names;
    }

    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.names.get(path).and_then(|id| self.inodes.get(id)).map(|inode| inode.content.clone())
    }

    /// Changes stored bytes behind everyone's back.
    pub fn corrupt(&mut self, path: &str, offset: usize, mask: u8) -> bool {
        let Some(inode) = self.names.get(path).and_then(|id| self.inodes.get_mut(id)) else {
            return false;
        };
        inode.rot(offset, mask)
    }

    pub fn clear(&mut self) {
        self.crashed = true;
        self.inodes.clear();
        self.names.clear();
        self.durable_names.clear();
        self.name_ops.clear();
    }
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, InodeId>) {
        match self {
            NameOp::Set(path, inode) => drop(names.insert(path.clone(), *inode)),
            NameOp::Remove(path) => drop(names.remove(path)),
            NameOp::Move(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}
