//! The one sequencer of the record's log: it alone appends, signs and publishes.
//!
//! Order of everything: leaves, objects and the next signed head are stored in one durable compare-and-set, strictly larger
//! than the last (R1); then the files are written; then the witnesses are asked; then the checkpoint is shown (R2). A process
//! that dies anywhere between does the rest at its next start, from the stored batch, to the same bytes. Refuses to sign when
//! somebody else holds the head, and when the world has seen more than this folder holds ([`super::outside`]).

use super::{
    Append,
    checkpoint::Checkpoint,
    hash::{Hash, leaf_hash},
    leaf::{self, LeafError, Opened, View},
    note::{Note, NoteError, Signatory},
    promise::MERGE_WITHIN_MS,
    read::{CHECKPOINT_PATH, ReadError, object_path},
    tile::{Edge, Tile, TileError, hashes_of, node_from_tiles},
    tree::{Frontier, Head},
};

/// What a store or a folder said when something failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// Why a step was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequencerError {
    /// Nothing is signed any more.
    #[error(transparent)]
    Halted(#[from] Halted),
    /// The store or the folder.
    #[error("the log's storage: {0}")]
    Storage(#[from] StorageError),
    /// A leaf.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A tile, or a leaf that is too large.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A name that cannot be signed under.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Something else that is not as it must be.
    #[error("{0}")]
    Refused(String),
}
type Result<T, E = SequencerError> = std::result::Result<T, E>;
fn refused<T>(why: impl Into<String>) -> Result<T> {
    Err(SequencerError::Refused(why.into()))
}

/// Leaves of one batch at most.
pub const BATCH_LEAVES_MAX: usize = 20_000;

/// Objects that may wait for [`Sequencer::settle`] while entries keep coming; more of them settle first.
pub const UNSETTLED_MAX: usize = 10_000;
/// Bytes of such objects.
pub const UNSETTLED_BYTES_MAX: usize = 64 << 20;

/// The head as it is stored: the last thing that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHead {
    /// Which log.
    pub origin: String,
    /// Leaves and root.
    pub head: Head,
    /// The signed checkpoint, without cosignatures.
    pub note: String,
    /// Journal position up to which the log has read.
    pub position: u64,
}

/// One leaf of a batch, with where its id is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLeaf {
    /// Place in the log.
    pub index: u64,
    /// Kind, id, version, where the leaf has an envelope.
    pub name: Option<(String, String, u32)>,
    /// Its bytes.
    pub leaf: Vec<u8>,
}

/// What is kept until its files are safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Leaves since the head before.
    pub leaves: Vec<BatchLeaf>,
    /// Objects that are not yet known to be durable as files.
    pub objects: Vec<(Hash, Vec<u8>)>,
}

/// Where the head lives. Both methods are durable when they return.
pub trait HeadStore: Send {
    /// The head and its batch; `None` before the first.
    ///
    /// # Errors
    /// The store's.
    fn load(&mut self) -> Result<Option<(StoredHead, Batch)>, StorageError>;
    /// Replaces the head and its leaves, and keeps the batch's objects beside those that are not settled, if the head is still
    /// `expected`; false, and nothing changes, if it is not.
    ///
    /// # Errors
    /// The store's; then nobody knows whether it was replaced, until [`HeadStore::load`] says.
    fn swap(
        &mut self,
        expected: Option<&StoredHead>,
        next: &StoredHead,
        batch: &Batch,
    ) -> Result<bool, StorageError>;
    /// Forgets objects that are durable as files.
    ///
    /// # Errors
    /// The store's.
    fn settled(&mut self, objects: &[Hash]) -> Result<(), StorageError>;
}

/// Where the files are.
pub trait LogFiles: Send {
    /// A file; `None` where it is not there.
    ///
    /// # Errors
    /// The system's.
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, StorageError>;
    /// Stores files, all durable when it returns, each whole or not at all.
    ///
    /// # Errors
    /// The system's.
    fn put(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), StorageError>;
    /// Stores files that may be lost again until [`LogFiles::sync`].
    ///
    /// # Errors
    /// The system's.
    fn put_lazily(&mut self, files: &[(String, &[u8])]) -> Result<(), StorageError>;
    /// Makes files durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError>;
    /// Deletes a file, durably.
    ///
    /// # Errors
    /// The system's.
    fn delete(&mut self, path: &str) -> Result<(), StorageError>;
}

/// Why nothing is signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halted {
    /// Another process replaced the head.
    #[error("another sequencer has appended to this log: stop one of the two, and start this one again")]
    Other,
    /// The world has seen what this folder does not hold.
    #[error("{0}")]
    Outside(String),
    /// A step failed in a way that only a new start can mend.
    #[error("a step failed: {0}; start again to recover")]
    Failed(String),
}

/// The sequencer.
pub struct Sequencer {
    store: Box<dyn HeadStore>,
    files: Box<dyn LogFiles>,
    keys: Vec<Signatory>,
    stored: StoredHead,
    edge: Edge,
    frontier: Frontier,
    unsettled: Vec<Hash>,
    unsettled_bytes: usize,
    halted: Option<Halted>,
    /// Cosignatures of the stored head.
    cosigned: Vec<String>,
    /// Size of the newest head that is shown.
    shown: u64,
}

/// How a log begins.
pub struct Opening<'a> {
    /// Its origin.
    pub origin: &'a str,
    /// Who signs; the first is named in the first leaf.
    pub keys: &'a [Signatory],
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
    /// The signed checkpoint of the log that it goes on from, and why that could not be continued.
    pub continues: Option<(String, String)>,
    /// Journal position from which it reads.
    pub position: u64,
}

impl Sequencer {
    /// Opens the stored log, doing what a former process left undone; or begins one.
    ///
    /// # Errors
    /// Files that do not fit the head, an origin that is not the stored one, the store's errors.
    pub fn open(
        mut store: Box<dyn HeadStore>,
        mut files: Box<dyn LogFiles>,
        opening: &Opening<'_>,
    ) -> Result<Sequencer> {
        let loaded = store.load()?;
        let Some((stored, batch)) = loaded else { return begin(store, files, opening) };
        if stored.origin != opening.origin {
            return refused(format!(
                "the log in this folder is {}, and the settings say {}: open a new origin that goes on from it",
                stored.origin, opening.origin
            ));
        }
        let before = stored.head.size - batch.leaves.len() as u64;
        let mut edge = Edge::load(before, &mut |tile| read_file(&mut *files, &tile.path()))?;
        let leaves: Vec<Vec<u8>> = batch.leaves.iter().map(|leaf| leaf.leaf.clone()).collect();
        let written = edge.append(&leaves)?;
        write_objects(&mut *files, &batch.objects)?;
        files.put(&written.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect::<Vec<_>>())?;
        let size = stored.head.size;
        let mut tile = |tile: Tile| -> Result<Vec<Hash>> {
            Ok(hashes_of(&read_file(&mut *files, &tile.path())?, tile.width)?)
        };
        let frontier =
            Frontier::load(size, &mut |level, index| node_from_tiles(level, index, size, &mut tile))?;
        if frontier.root() != stored.head.root {
            return refused(
                "the log's files do not give the root of its head: restore the record folder, or open a new origin",
            );
        }
        let unsettled = batch.objects.iter().map(|(hash, _)| *hash).collect();
        let unsettled_bytes = bytes_of(&batch.objects);
        let keys = opening.keys.to_vec();
        let mut sequencer = Sequencer {
            store,
            files,
            keys,
            stored,
            edge,
            frontier,
            unsettled,
            unsettled_bytes,
            halted: None,
            cosigned: Vec::new(),
            shown: 0,
        };
        sequencer.show_if_behind()?;
        Ok(sequencer)
    }
    /// The head, decided and durable.
    pub fn head(&self) -> &StoredHead {
        &self.stored
    }
    /// Why nothing is signed, if so.
    pub fn halted(&self) -> Option<&Halted> {
        self.halted.as_ref()
    }
    /// Stops signing.
    pub fn halt(&mut self, why: Halted) {
        self.halted.get_or_insert(why);
    }
    /// Who signs.
    pub fn keys(&self) -> &[Signatory] {
        &self.keys
    }
    /// Appends entries and signs the new head; nothing is shown yet. `position` is the journal position up to which these
    /// entries follow from the journal. No entries at all only move the position.
    ///
    /// # Errors
    /// [`Halted`], too many entries, a leaf that is too large; a failure of a store halts until the next start.
    pub fn append(&mut self, entries: &[Append], position: u64) -> Result<Head> {
        if let Some(halted) = &self.halted {
            return Err(halted.clone().into());
        }
        if entries.is_empty() || entries.len() > BATCH_LEAVES_MAX {
            return refused(format!("a batch has 1 to {BATCH_LEAVES_MAX} entries"));
        }
        for entry in entries {
            if let Some((hash, _)) = entry.objects.iter().find(|(hash, object)| Hash::of(object) != *hash) {
                return refused(format!("object {hash} does not fit its hash"));
            }
        }
        match self.step(entries, position) {
            Ok(head) => Ok(head),
            Err(error) => {
                self.halt(Halted::Failed(error.to_string()));
                Err(error)
            }
        }
    }
    fn step(&mut self, entries: &[Append], position: u64) -> Result<Head> {
        let leaves: Vec<Vec<u8>> = entries.iter().map(|entry| entry.leaf.clone()).collect();
        let (mut edge, mut frontier) = (self.edge.clone(), self.frontier.clone());
        let files = edge.append(&leaves)?;
        leaves.iter().for_each(|leaf| frontier.push(leaf_hash(leaf)));
        let next = signed(&self.stored.origin, &frontier, &self.keys, position)?;
        if next.head.size <= self.stored.head.size {
            return refused("law R1: the next head of the log is not larger");
        }
        let batch = batch_of(entries, self.stored.head.size);
        let bytes = bytes_of(&batch.objects);
        if self.unsettled.len() + batch.objects.len() > UNSETTLED_MAX
            || self.unsettled_bytes + bytes > UNSETTLED_BYTES_MAX
        {
            self.settle()?;
        }
        if !self.store.swap(Some(&self.stored), &next, &batch)? {
            self.halt(Halted::Other);
            return Err(Halted::Other.into());
        }
        (self.stored, self.edge, self.frontier) = (next, edge, frontier);
        self.cosigned.clear();
        self.unsettled.extend(batch.objects.iter().map(|(hash, _)| *hash));
        self.unsettled_bytes += bytes;
        write_objects(&mut *self.files, &batch.objects)?;
        self.files.put(&files.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect::<Vec<_>>())?;
        Ok(self.stored.head)
    }
    /// Adds cosignatures to what will be shown of this head.
    pub fn cosigned(&mut self, lines: &[String]) {
        self.cosigned.extend(lines.iter().cloned());
    }
    /// Shows the head: the checkpoint with the cosignatures so far. Everything it covers is durable by now (R2).
    ///
    /// # Errors
    /// The system's.
    pub fn show(&mut self) -> Result<()> {
        let text = with_lines(&self.stored.note, &self.cosigned);
        self.files.put(&[(CHECKPOINT_PATH.to_owned(), text.into_bytes())])?;
        self.shown = self.stored.head.size;
        Ok(())
    }
    /// Shows a head that was decided here and cosigned since, unless a newer one is shown already: while entries keep coming, the
    /// witnesses' answers are about a head that is no longer the last.
    ///
    /// # Errors
    /// The system's.
    pub fn show_cosigned(&mut self, head: &StoredHead, lines: &[String]) -> Result<()> {
        if head.head == self.stored.head {
            self.cosigned(lines);
            return self.show();
        }
        if head.head.size > self.shown {
            let text = with_lines(&head.note, lines);
            self.files.put(&[(CHECKPOINT_PATH.to_owned(), text.into_bytes())])?;
            self.shown = head.head.size;
        }
        Ok(())
    }
    fn show_if_behind(&mut self) -> Result<()> {
        let shown = self.files.get(CHECKPOINT_PATH)?;
        let shown = shown.and_then(|bytes| Checkpoint::parse(&Note::parse(&bytes).ok()?.text).ok());
        if shown.is_some_and(|shown| shown.origin == self.stored.origin && shown.head() == self.stored.head) {
            self.shown = self.stored.head.size;
            return Ok(());
        }
        self.show()
    }
    /// Makes the files of objects durable, so that the store may forget them.
    ///
    /// # Errors
    /// The system's.
    pub fn settle(&mut self) -> Result<()> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let paths: Vec<String> = self.unsettled.iter().map(|hash| object_path(*hash)).collect();
        self.files.sync(&paths)?;
        self.store.settled(&self.unsettled)?;
        self.unsettled.clear();
        self.unsettled_bytes = 0;
        Ok(())
    }
    /// Deletes an object (R3: its tombstone must be in the log already; the leaf stays valid).
    ///
    /// # Errors
    /// The system's.
    pub fn withhold(&mut self, object: Hash) -> Result<()> {
        self.settle()?;
        Ok(self.files.delete(&object_path(object))?)
    }
    /// A file of the log, for proofs.
    ///
    /// # Errors
    /// The system's.
    pub fn file(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.get(path)?)
    }
    /// Adds a signing key: the leaf that says so is signed by the former keys and by the new one.
    ///
    /// # Errors
    /// As [`Sequencer::append`].
    pub fn add_key(&mut self, key: Signatory, now_ms: i64) -> Result<Head> {
        let verifier = key.verifier();
        if self.keys.iter().any(|known| known.verifier() == verifier) {
            return refused("this key signs already");
        }
        let leaf = leaf::key_change(now_ms, &verifier, None)?.to_bytes()?;
        self.keys.push(key);
        self.append(&[Append { leaf, objects: Vec::new() }], self.stored.position)
    }
    /// Retires a signing key, for a reason that stands in the log. The head with that leaf is signed by those that remain.
    ///
    /// # Errors
    /// As [`Sequencer::append`]; the last key cannot go.
    pub fn retire_key(&mut self, id: u32, because: &str, now_ms: i64) -> Result<Head> {
        let at = self.keys.iter().position(|key| key.verifier().id() == id);
        let at = at.ok_or_else(|| SequencerError::Refused("no such key signs".into()))?;
        if self.keys.len() < 2 {
            return refused("the last key cannot be retired; add another first");
        }
        let key = self.keys.remove(at).verifier();
        let leaf = leaf::key_change(now_ms, &key, Some(because.to_owned()))?.to_bytes()?;
        self.append(&[Append { leaf, objects: Vec::new() }], self.stored.position)
    }
}

fn begin(
    mut store: Box<dyn HeadStore>,
    mut files: Box<dyn LogFiles>,
    opening: &Opening<'_>,
) -> Result<Sequencer> {
    let first = opening.keys.first().ok_or_else(|| SequencerError::Refused("a log needs a key".into()))?;
    let (continues, because) = opening.continues.clone().unzip();
    let body = Opened {
        origin: opening.origin.to_owned(),
        key: first.verifier().to_string(),
        merge_delay_ms: u64::from(MERGE_WITHIN_MS),
        continues,
        because,
    };
    let mut entries =
        vec![Append { leaf: leaf::opened(opening.now_ms, &body)?.to_bytes()?, objects: Vec::new() }];
    for key in &opening.keys[1..] {
        let leaf = leaf::key_change(opening.now_ms, &key.verifier(), None)?.to_bytes()?;
        entries.push(Append { leaf, objects: Vec::new() });
    }
    let leaves: Vec<Vec<u8>> = entries.iter().map(|entry| entry.leaf.clone()).collect();
    let mut edge = Edge::default();
    let written = edge.append(&leaves)?;
    let frontier = Frontier::of(leaves.iter().map(Vec::as_slice));
    let stored = signed(opening.origin, &frontier, opening.keys, opening.position)?;
    if !store.swap(None, &stored, &batch_of(&entries, 0))? {
        return Err(Halted::Other.into());
    }
    files.put(&written.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect::<Vec<_>>())?;
    let keys = opening.keys.to_vec();
    let mut sequencer = Sequencer {
        store,
        files,
        keys,
        stored,
        edge,
        frontier,
        unsettled: Vec::new(),
        unsettled_bytes: 0,
        halted: None,
        cosigned: Vec::new(),
        shown: 0,
    };
    sequencer.show()?;
    Ok(sequencer)
}

fn signed(origin: &str, frontier: &Frontier, keys: &[Signatory], position: u64) -> Result<StoredHead> {
    let head = Head { size: frontier.size(), root: frontier.root() };
    let by: Vec<&Signatory> = keys.iter().collect();
    let note = Checkpoint::new(origin, head).sign(&by)?.to_string();
    Ok(StoredHead { origin: origin.to_owned(), head, note, position })
}

/// A note with further signature lines.
fn with_lines(note: &str, lines: &[String]) -> String {
    let mut text = note.to_owned();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn batch_of(entries: &[Append], from: u64) -> Batch {
    let leaves = entries.iter().zip(from..).map(|(entry, index)| {
        let name = View::read(&entry.leaf).ok().map(|leaf| (leaf.kind, leaf.id, leaf.version));
        BatchLeaf { index, name, leaf: entry.leaf.clone() }
    });
    let objects = entries.iter().flat_map(|entry| entry.objects.iter().cloned());
    Batch { leaves: leaves.collect(), objects: objects.collect() }
}

fn bytes_of(objects: &[(Hash, Vec<u8>)]) -> usize {
    objects.iter().map(|(_, object)| object.len()).sum()
}

fn write_objects(files: &mut dyn LogFiles, objects: &[(Hash, Vec<u8>)]) -> Result<()> {
    let files_of: Vec<(String, &[u8])> =
        objects.iter().map(|(hash, bytes)| (object_path(*hash), bytes.as_slice())).collect();
    Ok(files.put_lazily(&files_of)?)
}

fn read_file(files: &mut dyn LogFiles, path: &str) -> Result<Vec<u8>> {
    files.get(path)?.ok_or_else(|| ReadError::Missing(path.to_owned()).into())
}
