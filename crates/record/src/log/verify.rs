//! The full check of a log, from its files alone: tree, signatures, what was seen before, leaves, objects, tombstones.
//!
//! Reads every leaf, computes every tile again, and compares. Says "withheld" where a tombstone says why an object is gone,
//! and "missing" where nothing does. Never says "verified" without the quorum that the verifier's own policy asks for.
//! Refuses to repair anything. Checks laws R1 and R3 from outside.

use super::{
    checkpoint::Checkpoint,
    evidence::{EVIDENCE_VERSION, Evidence},
    hash::Hash,
    leaf::{
        Envelope, KIND_DAY, KIND_KEY, KIND_KEY_RETIRED, KIND_OPENED, KIND_TOMBSTONE, KeyChange, LeafError,
        Opened, Tombstone, View,
    },
    note::{Note, NoteError, VerifierKey},
    policy::{Policy, Trust},
    read::{CHECKPOINT_PATH, ReadError, Source, consistency_from, object_path},
    tile::{Edge, Kind, TILE_WIDTH, Tile, entries_of},
    tree::{Frontier, Head},
};
use std::collections::{BTreeMap, HashMap};

/// Later checkpoints that one check goes on to: what was withheld meanwhile has its tombstone there.
const NEWER_MAX: u32 = 5;
const NO_OBJECT: &str = "a tombstone stands for an object that is there, or that no entry before it has";

/// How much earlier than a leaf before it a leaf may be dated, in milliseconds.
pub const BACKWARDS_TOLERANCE_MS: i64 = 60_000;
/// Findings of one kind that are listed; the rest is counted.
pub const FINDINGS_MAX: usize = 100;

/// What is wrong, in plain words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A checkpoint that is none, or by nobody known.
    #[error("the checkpoint is not to be believed: {0}")]
    Checkpoint(NoteError),
    /// Smaller than before.
    #[error("the log had {seen} entries when you last looked, and shows only {now} now")]
    Shrunk {
        /// Entries seen before.
        seen: u64,
        /// Entries now.
        now: u64,
    },
    /// Another history than before.
    #[error("the first {size} entries are not the ones you saw before: the log was rewritten")]
    Rewritten {
        /// Size seen before.
        size: u64,
    },
    /// The entries do not give the signed root.
    #[error("the entries do not add up to the root that the checkpoint signs")]
    Root,
    /// A file that readers need is not there or not readable.
    #[error("{0}")]
    File(ReadError),
    /// A file is not what the entries make it.
    #[error("{0} is not what the entries make it")]
    Tile(String),
    /// A leaf that is none.
    #[error("entry {index}: {why}")]
    Leaf {
        /// Which.
        index: u64,
        /// Why.
        why: String,
    },
    /// An object is gone, and nothing says why.
    #[error("entry {index} ({of}): its part `{part}` is missing, and no tombstone says why")]
    Missing {
        /// Of which leaf.
        index: u64,
        /// Kind and id of the leaf.
        of: String,
        /// The part.
        part: String,
    },
    /// An object that does not fit the commitment.
    #[error("entry {index} ({of}): its part `{part}` is not what the entry commits to")]
    Altered {
        /// Of which leaf.
        index: u64,
        /// Kind and id of the leaf.
        of: String,
        /// The part.
        part: String,
    },
    /// Dated before its predecessors.
    #[error("entry {index} is dated {behind_ms} ms before one that stands before it")]
    Backdated {
        /// Which.
        index: u64,
        /// By how much.
        behind_ms: i64,
    },
    /// A version is left out or given twice.
    #[error("entry {index} is version {found} of {of}; version {expected} comes next")]
    Version {
        /// Which.
        index: u64,
        /// Kind and id.
        of: String,
        /// What it says.
        found: u32,
        /// What it should say.
        expected: u32,
    },
    /// What the schema of the entries says.
    #[error("{0}")]
    Schema(String),
}

/// What other rooms know of entries: checked leaf by leaf, and once at the end.
pub trait Schema {
    /// A leaf, with what is wrong in it.
    fn leaf(&mut self, index: u64, leaf: &[u8], objects: &BTreeMap<String, Vec<u8>>) -> Vec<String>;
    /// After the last: daily figures against totals, and whatever needs them all.
    fn finish(&mut self) -> Vec<String>;
}
/// Knows nothing of entries.
pub struct NoSchema;
impl Schema for NoSchema {
    fn leaf(&mut self, _: u64, _: &[u8], _: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        Vec::new()
    }
    fn finish(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What is asked of a check.
pub struct Wanted<'a> {
    /// Whom the verifier trusts.
    pub policy: &'a Policy,
    /// The signed checkpoint of an earlier look.
    pub seen: Option<String>,
    /// Read every object too.
    pub objects: bool,
}

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The checkpoint, where it could be read.
    pub checkpoint: Option<Checkpoint>,
    /// The checkpoint as it was read.
    pub note: Option<Note>,
    /// How far it is to be believed.
    pub trust: Option<Trust>,
    /// What is wrong; at most [`FINDINGS_MAX`], the rest in `more_count`.
    pub findings: Vec<Finding>,
    /// Findings beyond the listed ones.
    pub more_count: u64,
    /// Proof of a rewriting, where there is one.
    pub evidence: Option<Evidence>,
    /// Leaves by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Objects that were read and fit.
    pub objects_count: u64,
    /// Objects withheld, each with its tombstone: the leaf's index, the part, the ground.
    pub withheld: Vec<(u64, String, String)>,
    /// The log that this one goes on from, as it says, and why.
    pub continues: Option<Opened>,
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything fits, and the verifier's quorum has witnessed it.
    Verified,
    /// Everything fits, but the verifier's quorum has not witnessed it.
    ConsistentUnwitnessed,
    /// Something is wrong.
    Broken,
}
impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Verified => "verified",
            Verdict::ConsistentUnwitnessed => "consistent, unwitnessed",
            Verdict::Broken => "NOT what it should be",
        })
    }
}

impl Report {
    fn new() -> Report {
        Report {
            checkpoint: None,
            note: None,
            trust: None,
            findings: Vec::new(),
            more_count: 0,
            evidence: None,
            kinds: BTreeMap::new(),
            objects_count: 0,
            withheld: Vec::new(),
            continues: None,
        }
    }
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        match (&self.trust, self.findings.is_empty()) {
            (Some(trust), true) if trust.is_witnessed() => Verdict::Verified,
            (Some(_), true) => Verdict::ConsistentUnwitnessed,
            _ => Verdict::Broken,
        }
    }
    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_count += 1;
        }
    }
}

/// Checks a whole log. `progress` is told (leaves done, of all).
pub fn verify(
    source: &mut dyn Source,
    wanted: &Wanted<'_>,
    schema: &mut dyn Schema,
    progress: &mut dyn FnMut(u64, u64),
) -> Report {
    let mut report = Report::new();
    let bytes = match source.get(CHECKPOINT_PATH) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            report.find(Finding::File(ReadError::Missing(CHECKPOINT_PATH.into())));
            return report;
        }
        Err(error) => {
            report.find(Finding::File(error));
            return report;
        }
    };
    let (checkpoint, note, trust) = match wanted.policy.judge(&bytes) {
        Ok(read) => read,
        Err(error) => {
            report.find(Finding::Checkpoint(error));
            return report;
        }
    };
    report.trust = Some(trust);
    report.note = Some(note);
    report.checkpoint = Some(checkpoint.clone());
    let seen = wanted.seen.as_deref().and_then(|text| seen_head(text, wanted.policy, &checkpoint.origin));
    let mut walk = Walk { source, schema, report, seen, checkpoint, wanted, state: State::default() };
    walk.leaves(progress);
    walk.finish();
    walk.report
}

/// The head of an earlier checkpoint, if it is of this log and signed by it.
fn seen_head(text: &str, policy: &Policy, origin: &str) -> Option<(Head, String)> {
    let (seen, _) = Checkpoint::open(text.as_bytes(), &policy.log_keys()).ok()?;
    (seen.origin == origin).then(|| (seen.head(), text.to_owned()))
}

#[derive(Default)]
struct State {
    edge: Edge,
    frontier: Frontier,
    newest_ms: i64,
    versions: HashMap<(String, String), u32>,
    /// Commitments whose object is not there, until a tombstone says why.
    absent: BTreeMap<Hash, (u64, String, String)>,
    keys: Vec<VerifierKey>,
    complete: bool,
    /// Later checkpoints that were looked for.
    rounds_count: u32,
    /// Tombstones of objects that were still there: the log says it first, and deletes then.
    early: Vec<(u64, Tombstone)>,
}

struct Walk<'a> {
    source: &'a mut dyn Source,
    schema: &'a mut dyn Schema,
    report: Report,
    seen: Option<(Head, String)>,
    checkpoint: Checkpoint,
    wanted: &'a Wanted<'a>,
    state: State,
}

impl Walk<'_> {
    fn leaves(&mut self, progress: &mut dyn FnMut(u64, u64)) {
        let size = self.checkpoint.size;
        if let Some((seen, _)) = &self.seen
            && seen.size > size
        {
            self.report.find(Finding::Shrunk { seen: seen.size, now: size });
        }
        self.compare_seen();
        while self.read_on(progress) && !self.state.absent.is_empty() && self.newer() {}
    }
    /// Reads on to the checkpoint; false where the files do not allow it.
    fn read_on(&mut self, progress: &mut dyn FnMut(u64, u64)) -> bool {
        let size = self.checkpoint.size;
        while self.state.frontier.size() < size {
            let at = self.state.frontier.size();
            let Some(tile) = Tile::at(Kind::Entries, at / TILE_WIDTH, size) else { break };
            let bytes = match super::read::tile_bytes(self.source, tile) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.report.find(Finding::File(error));
                    return false;
                }
            };
            let Ok(leaves) = entries_of(&bytes, tile.width) else {
                self.report.find(Finding::Tile(tile.path()));
                return false;
            };
            let read = (at % TILE_WIDTH) as usize;
            let leaves: Vec<Vec<u8>> = leaves.into_iter().skip(read).map(<[u8]>::to_vec).collect();
            if leaves.is_empty() {
                break;
            }
            for leaf in &leaves {
                self.leaf(leaf);
            }
            self.tiles(&leaves, size);
            progress(self.state.frontier.size(), size);
        }
        self.state.complete = true;
        if self.state.frontier.root() != self.checkpoint.root {
            self.report.find(Finding::Root);
        }
        true
    }
    /// Takes a later checkpoint where there is one: what was withheld since the first was read has its tombstone there.
    fn newer(&mut self) -> bool {
        let Ok(Some(bytes)) = self.source.get(CHECKPOINT_PATH) else { return false };
        let Ok((checkpoint, note, trust)) = self.wanted.policy.judge(&bytes) else { return false };
        self.state.rounds_count += 1;
        let later = checkpoint.origin == self.checkpoint.origin && checkpoint.size > self.checkpoint.size;
        if !later || self.state.rounds_count > NEWER_MAX {
            return false;
        }
        (self.report.trust, self.report.note) = (Some(trust), Some(note));
        self.report.checkpoint = Some(checkpoint.clone());
        self.checkpoint = checkpoint;
        true
    }
    /// Computes the tiles that these leaves fill, and compares them with the published ones.
    fn tiles(&mut self, leaves: &[Vec<u8>], size: u64) {
        let files = match self.state.edge.append(leaves) {
            Ok(files) => files,
            Err(error) => return self.report.find(Finding::Schema(error.to_string())),
        };
        for (tile, bytes) in files {
            let last = Tile::at(tile.kind, tile.index, size) == Some(tile);
            if tile.kind == Kind::Entries || !last {
                continue;
            }
            match self.source.get(&tile.path()) {
                Ok(Some(published)) if published == bytes => {}
                Ok(Some(_)) => self.report.find(Finding::Tile(tile.path())),
                Ok(None) => self.report.find(Finding::File(ReadError::Missing(tile.path()))),
                Err(error) => self.report.find(Finding::File(error)),
            }
        }
    }
    fn compare_seen(&mut self) {
        let Some((seen, text)) = &self.seen else { return };
        if self.state.frontier.size() != seen.size || self.state.frontier.root() == seen.root {
            return;
        }
        let (size, root_within, older) = (seen.size, self.state.frontier.root(), text.clone());
        self.report.find(Finding::Rewritten { size });
        let proof = consistency_from(self.source, size, self.checkpoint.size);
        if let (Ok(proof), Some(newer)) = (proof, &self.report.note) {
            let newer = newer.to_string();
            self.report.evidence =
                Some(Evidence::Fork { v: EVIDENCE_VERSION, older, newer, root_within, proof });
        }
    }
    fn leaf(&mut self, leaf: &[u8]) {
        let index = self.state.frontier.size();
        self.state.frontier.push(super::hash::leaf_hash(leaf));
        self.compare_seen();
        let view = match View::read(leaf) {
            Ok(view) => view,
            Err(error) => return self.report.find(Finding::Leaf { index, why: error.to_string() }),
        };
        match self.report.kinds.get_mut(&view.kind) {
            Some(count) => *count += 1,
            None => drop(self.report.kinds.insert(view.kind.clone(), 1)),
        }
        self.order(index, &view);
        self.own_kinds(index, &view.kind, leaf);
        let objects = if self.wanted.objects { self.objects(index, &view) } else { BTreeMap::new() };
        let complaints = self.schema.leaf(index, leaf, &objects);
        for why in complaints {
            self.report.find(Finding::Leaf { index, why });
        }
    }
    /// Time does not run backwards, and versions count up.
    fn order(&mut self, index: u64, leaf: &View) {
        let behind_ms = self.state.newest_ms.saturating_sub(leaf.at_ms);
        if behind_ms > BACKWARDS_TOLERANCE_MS {
            self.report.find(Finding::Backdated { index, behind_ms });
        }
        self.state.newest_ms = self.state.newest_ms.max(leaf.at_ms);
        let last = self.state.versions.entry((leaf.kind.clone(), leaf.id.clone())).or_insert(0);
        let expected = *last + 1;
        *last = leaf.version.max(*last);
        if leaf.version != expected {
            let of = format!("{} {}", leaf.kind, leaf.id);
            self.report.find(Finding::Version { index, of, found: leaf.version, expected });
        }
    }
    fn own_kinds(&mut self, index: u64, kind: &str, leaf: &[u8]) {
        if (index == 0) != (kind == KIND_OPENED) {
            let why = "a log begins with one leaf that opens it, and has no second".to_owned();
            self.report.find(Finding::Leaf { index, why });
        }
        let body = |error: LeafError| error.to_string();
        let result = match kind {
            KIND_OPENED => body_of::<Opened>(leaf).map_err(body).and_then(|o| self.opened(o)),
            KIND_KEY | KIND_KEY_RETIRED => {
                body_of::<KeyChange>(leaf).map_err(body).and_then(|k| self.key(&k))
            }
            KIND_TOMBSTONE => {
                body_of::<Tombstone>(leaf).map_err(body).and_then(|t| self.tombstone(index, &t))
            }
            KIND_DAY => Ok(()),
            other if other.starts_with("log_") => Err(format!("`{other}` is no kind that a log writes")),
            _ => Ok(()),
        };
        if let Err(why) = result {
            self.report.find(Finding::Leaf { index, why });
        }
    }
    fn opened(&mut self, opened: Opened) -> Result<(), String> {
        if opened.origin != self.checkpoint.origin {
            return Err(format!(
                "it opens {}, and the checkpoint is of {}",
                opened.origin, self.checkpoint.origin
            ));
        }
        self.state.keys.push(VerifierKey::parse(&opened.key).map_err(|e| e.to_string())?);
        if opened.continues.is_some() {
            self.report.continues = Some(opened);
        }
        Ok(())
    }
    fn key(&mut self, change: &KeyChange) -> Result<(), String> {
        let key = VerifierKey::parse(&change.key).map_err(|e| e.to_string())?;
        let known = self.state.keys.iter().position(|k| *k == key);
        match (change.retired_because.is_none(), known) {
            (true, None) => self.state.keys.push(key),
            (false, Some(at)) => drop(self.state.keys.remove(at)),
            (true, Some(_)) => return Err("a key that signs already is added".into()),
            (false, None) => return Err("a key that does not sign is retired".into()),
        }
        Ok(())
    }
    fn tombstone(&mut self, index: u64, tombstone: &Tombstone) -> Result<(), String> {
        if tombstone.ground.trim().is_empty() {
            return Err("a tombstone gives no legal ground".into());
        }
        match self.state.absent.remove(&tombstone.object) {
            Some((index, _, part)) => self.report.withheld.push((index, part, tombstone.ground.clone())),
            None if !self.wanted.objects => {}
            None => match self.source.get(&object_path(tombstone.object)) {
                Ok(Some(_)) => self.state.early.push((index, tombstone.clone())),
                _ => return Err(NO_OBJECT.into()),
            },
        }
        Ok(())
    }
    fn objects(&mut self, index: u64, leaf: &View) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for (part, hash) in &leaf.commitments {
            let of = format!("{} {}", leaf.kind, leaf.id);
            match self.source.get(&object_path(*hash)) {
                Ok(Some(object)) if Hash::of(&object) == *hash => {
                    self.report.objects_count += 1;
                    found.insert(part.clone(), object);
                }
                Ok(Some(_)) => self.report.find(Finding::Altered { index, of, part: part.clone() }),
                Ok(None) => drop(self.state.absent.insert(*hash, (index, of, part.clone()))),
                Err(error) => self.report.find(Finding::File(error)),
            }
        }
        found
    }
    fn finish(&mut self) {
        if !self.state.complete {
            return;
        }
        for (index, tombstone) in std::mem::take(&mut self.state.early) {
            match self.source.get(&object_path(tombstone.object)) {
                Ok(None) => self.report.withheld.push((index, tombstone.part, tombstone.ground)),
                _ => self.report.find(Finding::Leaf { index, why: NO_OBJECT.into() }),
            }
        }
        for (index, of, part) in std::mem::take(&mut self.state.absent).into_values() {
            self.report.find(Finding::Missing { index, of, part });
        }
        let signed = self.report.note.as_ref().is_some_and(|note| note.verify(&self.state.keys).is_ok());
        if !signed && self.checkpoint.size > 0 {
            let why = "no key that the log itself names has signed the checkpoint".to_owned();
            self.report.find(Finding::Schema(why));
        }
        for why in self.schema.finish() {
            self.report.find(Finding::Schema(why));
        }
    }
}

fn body_of<T: for<'de> serde::Deserialize<'de>>(leaf: &[u8]) -> Result<T, LeafError> {
    Envelope::read(leaf)?.body_as()
}
