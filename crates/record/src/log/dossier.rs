//! Everything that was published about one sponsor or one vote, as one file that is checked without the server (Regulation (EU)
//! 2024/900, Art. 16 and 17): every version of every ad, its objects, and the proof that each stands in the log.
//!
//! The log's key signs the whole. Refuses a version that is not proved, a gap between versions, an object that is left out
//! without its tombstone. That nothing was left out at the end is seen by comparing with the log ([`beside`]).

use super::{
    checkpoint::Checkpoint,
    evidence::{CompareError, Evidence, compare},
    hash::{Hash, leaf_hash},
    leaf::{Envelope, KIND_TOMBSTONE, Tombstone},
    mirror::for_each_leaf,
    note::{Note, NoteError, Signatory, VerifierKey},
    policy::{Policy, Trust},
    read::{CHECKPOINT_PATH, ReadError, Source, object_path},
    tree::verify_inclusion,
};
use crate::{
    FACTS_PART, Facts,
    canonical::{CanonicalError, canonical},
    commit::{Object, Sha256Hash},
    leaf::{Kind, Leaf},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use regie_model::{AdId, PartyId, UtcMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Format of the file.
pub const DOSSIER_FORMAT: &str = "regie-dossier/2";
/// First line of the note that signs it.
const HEADER: &str = "regie-dossier/v2";
/// Bytes of a file that is read at most.
pub const DOSSIER_BYTES_MAX: usize = 1 << 30;

/// Whom or what it is about: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// As sponsor or payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<PartyId>,
    /// Linked vote or process, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub election: Option<String>,
}
impl About {
    /// Whether facts are of it.
    pub fn is_of(&self, facts: &Facts) -> bool {
        let party = |id: PartyId| self.sponsor == Some(id);
        let linked = facts.declaration.iter().flat_map(|d| &d.linked);
        party(facts.sponsor.id)
            || party(facts.payer.id)
            || linked.map(|l| &l.name).any(|name| self.election.as_ref() == Some(name))
    }
}

/// A leaf with the proof that it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proved {
    /// Its place, from 0.
    pub index: u64,
    /// Its bytes, which are JSON.
    pub leaf: String,
    /// From its sibling up to the checkpoint's root.
    pub path: Vec<Hash>,
}

/// What a leaf commits to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which part.
    pub part: String,
    /// The commitment.
    pub sha256: Sha256Hash,
    /// The object, Base64; none where it is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Where it is withheld: the tombstone that says on what ground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<Proved>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DossierVersion {
    /// Its leaf.
    pub entry: Proved,
    /// On a version of facts: what its objects say together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Every part.
    pub parts: Vec<Part>,
}

/// One ad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DossierAd {
    /// Which.
    pub ad: AdId,
    /// All versions of facts, figures and decisions, in the log's order.
    pub versions: Vec<DossierVersion>,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Of whom or what.
    pub about: About,
    /// Which log.
    pub origin: String,
    /// When it was made.
    pub made_at: UtcMs,
    /// The log's checkpoint that all proofs lead to, with its cosignatures.
    pub checkpoint: String,
    /// By number.
    pub ads: Vec<DossierAd>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dossier {
    /// [`DOSSIER_FORMAT`].
    pub format: String,
    /// A signed note (C2SP signed-note) over the hash of the document's canonical JSON.
    pub signed: String,
    /// What it says.
    pub document: Document,
}

/// Why a file is no dossier of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DossierError {
    /// Not the format.
    #[error("this is no dossier: {0}")]
    Malformed(String),
    /// Not signed by the log, or by another.
    #[error("the dossier is not signed by the log: {0}")]
    Unsigned(#[from] NoteError),
}
impl From<CanonicalError> for DossierError {
    fn from(error: CanonicalError) -> DossierError {
        DossierError::Malformed(error.to_string())
    }
}

fn text_of(document: &Document) -> Result<String, CanonicalError> {
    Ok(format!("{HEADER}\n{}\n{}\n", document.origin, Hash::of(&canonical(document)?).to_hex()))
}
impl Dossier {
    /// Signs a document with the log's key.
    ///
    /// # Errors
    /// A document without canonical form.
    pub fn sign(document: Document, by: &Signatory) -> Result<Dossier, DossierError> {
        let signed = Note::sign(&text_of(&document)?, &[by])?.to_string();
        Ok(Dossier { format: DOSSIER_FORMAT.into(), signed, document })
    }
    /// Reads a file; what it says is not believed yet.
    ///
    /// # Errors
    /// [`DossierError::Malformed`]; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Dossier, DossierError> {
        if bytes.len() > DOSSIER_BYTES_MAX {
            return Err(DossierError::Malformed(format!("at most {DOSSIER_BYTES_MAX} bytes are read")));
        }
        let dossier: Dossier =
            serde_json::from_slice(bytes).map_err(|e| DossierError::Malformed(e.to_string()))?;
        if dossier.format != DOSSIER_FORMAT {
            return Err(DossierError::Malformed(format!("format {} is not known here", dossier.format)));
        }
        Ok(dossier)
    }
}

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DossierReport {
    /// What is wrong, in words; nothing where all fits.
    pub faults: Vec<String>,
    /// Ads.
    pub ads_count: u64,
    /// Versions.
    pub versions_count: u64,
    /// Objects that are as committed to.
    pub objects_count: u64,
    /// Parts withheld by a tombstone.
    pub withheld_count: u64,
    /// Whether the caller's quorum of witnesses cosigned the checkpoint.
    pub witnessed: bool,
}

/// Checks a dossier: signature, proofs, versions without a gap, objects.
///
/// # Errors
/// [`DossierError::Unsigned`]: then nothing else was looked at.
pub fn check(dossier: &Dossier, policy: &Policy) -> Result<DossierReport, DossierError> {
    let document = &dossier.document;
    let note = Note::parse(dossier.signed.as_bytes())?;
    let text = text_of(document)?;
    let keys = policy.log_keys();
    let by = note.verify(&keys)?;
    if note.text != text || !by.iter().any(|key| key.name() == document.origin) {
        return Err(NoteError::Malformed("the signature is of another document").into());
    }
    let (checkpoint, _, trust) = policy.judge(document.checkpoint.as_bytes())?;
    if checkpoint.origin != document.origin {
        return Err(NoteError::Malformed("the checkpoint is of another log").into());
    }
    let mut report =
        DossierReport { witnessed: matches!(trust, Trust::Witnessed(_)), ..DossierReport::default() };
    let proved = |entry: &Proved| {
        let leaf = leaf_hash(entry.leaf.as_bytes());
        verify_inclusion(leaf, entry.index, checkpoint.size, &entry.path, checkpoint.root)
            .map_err(|e| format!("entry {} is not proved: {e}", entry.index))
    };
    let mut seen = BTreeSet::new();
    for of in &document.ads {
        report.ads_count += 1;
        if !seen.insert(of.ad) {
            report.faults.push(format!("{} stands twice", of.ad));
        }
        ad(of, &document.about, &proved, &mut report);
    }
    Ok(report)
}

type Prove<'a> = &'a dyn Fn(&Proved) -> Result<(), String>;

fn ad(of: &DossierAd, about: &About, proved: Prove<'_>, report: &mut DossierReport) {
    let mut last: BTreeMap<(Kind, Option<i32>), (u32, Sha256Hash)> = BTreeMap::new();
    let (mut is_of, mut has_facts) = (false, false);
    for version in &of.versions {
        report.versions_count += 1;
        let index = version.entry.index;
        if let Err(fault) = proved(&version.entry) {
            report.faults.push(fault);
        }
        let leaf = match Leaf::parse(version.entry.leaf.as_bytes()) {
            Ok(leaf) if leaf.ad == of.ad => leaf,
            Ok(leaf) => {
                report.faults.push(format!("entry {index} is about {}, not {}", leaf.ad, of.ad));
                continue;
            }
            Err(error) => {
                report.faults.push(format!("entry {index}: {error}"));
                continue;
            }
        };
        let key = (leaf.kind, leaf.figures.as_ref().map(|f| f.day.0));
        let before = last.insert(key, (leaf.version, Sha256Hash::of(version.entry.leaf.as_bytes())));
        let follows = before.map_or((0, None), |(version, hash)| (version, Some(hash)));
        if leaf.version != follows.0 + 1 || leaf.follows != follows.1 {
            report.faults.push(format!("entry {index}: a version of {} is left out before it", of.ad));
        }
        parts(&leaf, version, proved, report);
        has_facts |= version.facts.is_some();
        is_of |= version.facts.as_ref().is_some_and(|facts| about.is_of(facts));
    }
    if has_facts && !is_of {
        report.faults.push(format!("{} is not of what the dossier is about", of.ad));
    }
}

fn parts(leaf: &Leaf, version: &DossierVersion, proved: Prove<'_>, report: &mut DossierReport) {
    let index = version.entry.index;
    let named: Vec<(&str, Sha256Hash)> = version.parts.iter().map(|p| (p.part.as_str(), p.sha256)).collect();
    let committed: Vec<(&str, Sha256Hash)> =
        leaf.commitments.iter().map(|c| (c.part.as_str(), c.sha256)).collect();
    if named != committed {
        report.faults.push(format!("entry {index}: its parts are not those that it commits to"));
        return;
    }
    let mut objects = BTreeMap::new();
    for part in &version.parts {
        let fault = |what: &str| format!("entry {index}, {}: {what}", part.part);
        match (&part.object, &part.tombstone) {
            (Some(text), None) => match STANDARD.decode(text) {
                Ok(bytes) if Object::open(part.sha256, &bytes).is_some() => {
                    report.objects_count += 1;
                    objects.insert(part.sha256, bytes);
                }
                _ => report.faults.push(fault("the object is not the one committed to")),
            },
            (None, Some(tombstone)) => {
                match buried(tombstone, part.sha256).and_then(|()| proved(tombstone)) {
                    Ok(()) => report.withheld_count += 1,
                    Err(why) => report.faults.push(fault(&why)),
                }
            }
            (None, None) => report.faults.push(fault("left out, and no tombstone says why")),
            (Some(_), Some(_)) => report.faults.push(fault("withheld, and shown all the same")),
        }
    }
    if leaf.kind == Kind::Facts {
        let read = Facts::read(leaf, &|hash| objects.get(hash).cloned()).ok();
        if read != version.facts {
            report.faults.push(format!("entry {index}: its facts are not what its objects say"));
        }
    } else if version.facts.is_some() {
        report.faults.push(format!("entry {index} has no facts"));
    }
}

/// A tombstone of this object.
fn buried(tombstone: &Proved, object: Sha256Hash) -> Result<(), String> {
    let envelope = Envelope::read(tombstone.leaf.as_bytes()).map_err(|e| e.to_string())?;
    let body: Tombstone = envelope.body_as().map_err(|e| e.to_string())?;
    let fits = envelope.kind == KIND_TOMBSTONE && body.object.0 == object.0 && !body.ground.is_empty();
    if fits { Ok(()) } else { Err("the tombstone is of something else".into()) }
}

/// What is wrong with a dossier beside the log or a mirror: what it leaves out, and whether the checkpoint that its proofs lead to is
/// one of the same history. Two that do not fit come with their evidence.
///
/// # Errors
/// A file of the log that cannot be read, or a checkpoint that is none.
pub fn beside(
    document: &Document,
    source: &mut dyn Source,
    log: &[VerifierKey],
) -> Result<(Vec<String>, Option<Evidence>), CompareError> {
    let shown = source.get(CHECKPOINT_PATH)?.ok_or_else(|| ReadError::Missing(CHECKPOINT_PATH.into()))?;
    let (now, _) = Checkpoint::open(&shown, log)?;
    let made = document.checkpoint.as_bytes();
    let (then, _) = Checkpoint::open(made, log)?;
    // A mirror may be behind the dossier: what it has not yet cannot be compared.
    if then.size <= now.size
        && let Err(evidence) = compare(source, made, &shown, log)?
    {
        return Ok((vec!["its proofs lead to another history than this log's".into()], Some(evidence)));
    }
    // What was published after the dossier was made is no fault of it.
    Ok((left_out(document, source, now.size, then.size)?, None))
}

/// What the log has of the dossier's subject and the dossier has not: every version, and every other ad whose facts name it.
/// `source`: the log or a mirror of `size` entries, which the caller has verified; those from `until` on came later.
///
/// # Errors
/// A file of the log that cannot be read.
pub fn left_out(
    document: &Document,
    source: &mut dyn Source,
    size: u64,
    until: u64,
) -> Result<Vec<String>, ReadError> {
    let here: BTreeMap<AdId, BTreeSet<u64>> =
        document.ads.iter().map(|of| (of.ad, of.versions.iter().map(|v| v.entry.index).collect())).collect();
    let mut missing = Vec::new();
    let mut others: Vec<(u64, Leaf)> = Vec::new();
    for_each_leaf(source, size, &mut |index, bytes| {
        if index >= until {
            return false;
        }
        if let Ok(leaf) = Leaf::parse(bytes) {
            match here.get(&leaf.ad) {
                Some(indexes) if !indexes.contains(&index) => {
                    missing.push(format!("entry {index} of {} is not in the dossier", leaf.ad));
                }
                Some(_) => {}
                None if leaf.kind == Kind::Facts => others.push((index, leaf)),
                None => {}
            }
        }
        true
    })?;
    for (index, leaf) in others {
        let Some(hash) = leaf.commitment(FACTS_PART) else { continue };
        let Some(bytes) = source.get(&object_path(Hash(hash.0)))? else { continue };
        let facts = Facts::read(&leaf, &|asked| (*asked == hash).then(|| bytes.clone()));
        if facts.is_ok_and(|facts| document.about.is_of(&facts)) {
            missing.push(format!("{} (entry {index}) is of it, and is not in the dossier", leaf.ad));
        }
    }
    Ok(missing)
}
