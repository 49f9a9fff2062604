//! A version that was really shown, from the record alone: what it looked like, on which days, how often, for how much, and the
//! proof of each day.
//!
//! The day's leaf has the root of a manifest; the manifest's line names the creative by its hash; the creative itself, or the
//! template that it is combined by, is an object of the ad's facts. Refuses a creative whose hash is not the line's.

use crate::{
    commit::{Object, Sha256Hash},
    dayclose::{MANIFEST_PART, Shown, manifest_proof, manifest_root},
    facts::TEMPLATE_PART,
    leaf::{Kind, Leaf},
};
use regie_model::{
    Day, VersionId,
    booking::TemplateSpec,
    creative::{Creative, ObjectHash},
};
use serde::{Deserialize, Serialize};

/// One day's line of a version, with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedLine {
    /// The day.
    pub day: Day,
    /// Place of the day's leaf in the log.
    pub entry_index: u64,
    /// Root of the day's manifest, as in that leaf.
    pub manifest: Sha256Hash,
    /// The line.
    pub line: Shown,
    /// Its place in the manifest, from 0.
    pub index: u64,
    /// Lines of the manifest.
    pub lines_count: u64,
    /// From its sibling up to the root (RFC 6962, section 2.1.1).
    pub path: Vec<Sha256Hash>,
}

/// A version as the record has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownVersion {
    /// What it showed; none where that is withheld.
    pub creative: Option<Creative>,
    /// BLAKE3 hash of what it showed last.
    pub hash: ObjectHash,
    /// Its elements in words, where it is combined from a template.
    pub elements: Vec<String>,
    /// Days, oldest first.
    pub days: Vec<ProvedLine>,
}

/// Why a version cannot be told from the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShownError {
    /// No closed day has a line of it.
    #[error("no closed day of this ad has shown this version")]
    Never,
    /// An object does not fit.
    #[error("entry {0}: the manifest does not fit its root")]
    Damaged(u64),
}

/// Objects of the record, salt included; `None`: withheld.
pub type Objects<'a> = &'a dyn Fn(&Sha256Hash) -> Option<Vec<u8>>;

fn content(leaf: &Leaf, part: &str, object: Objects<'_>) -> Option<Vec<u8>> {
    let hash = leaf.commitment(part)?;
    Object::open(hash, &object(&hash)?).map(<[u8]>::to_vec)
}

/// The lines of a day's manifest; `None` where there is none, or it is withheld.
///
/// # Errors
/// Lines that do not give the root.
pub fn manifest_of(index: u64, leaf: &Leaf, object: Objects<'_>) -> Result<Option<Vec<Shown>>, ShownError> {
    let Some(root) = leaf.figures.as_ref().and_then(|f| f.manifest) else { return Ok(None) };
    let Some(bytes) = content(leaf, MANIFEST_PART, object) else { return Ok(None) };
    let lines: Vec<Shown> = serde_json::from_slice(&bytes).map_err(|_| ShownError::Damaged(index))?;
    if manifest_root(&lines).ok() != Some(root) {
        return Err(ShownError::Damaged(index));
    }
    Ok(Some(lines))
}

/// A version of an ad from its leaves, in the log's order: (place, leaf).
///
/// # Errors
/// [`ShownError`].
pub fn shown(
    leaves: &[(u64, Leaf)],
    object: Objects<'_>,
    version: VersionId,
) -> Result<ShownVersion, ShownError> {
    let mut days = Vec::new();
    let firsts = leaves.iter().filter(|(_, leaf)| leaf.kind == Kind::Figures && leaf.version == 1);
    for (entry_index, leaf) in firsts {
        let Some(figures) = &leaf.figures else { continue };
        let (Some(lines), Some(manifest)) = (manifest_of(*entry_index, leaf, object)?, figures.manifest)
        else {
            continue;
        };
        let Some(at) = lines.iter().position(|line| line.version == version) else { continue };
        let damaged = |_| ShownError::Damaged(*entry_index);
        let path = manifest_proof(&lines, at).map_err(damaged)?.unwrap_or_default();
        days.push(ProvedLine {
            day: figures.day,
            entry_index: *entry_index,
            manifest,
            line: lines[at].clone(),
            index: at as u64,
            lines_count: lines.len() as u64,
            path,
        });
    }
    days.sort_by_key(|line| line.day);
    let hash = days.last().map(|line| line.line.creative).ok_or(ShownError::Never)?;
    let (creative, elements) = creative_of(leaves, object, version, hash);
    Ok(ShownVersion { creative, hash, elements, days })
}

/// The creative of this hash, from the newest facts that have it.
fn creative_of(
    leaves: &[(u64, Leaf)],
    object: Objects<'_>,
    version: VersionId,
    hash: ObjectHash,
) -> (Option<Creative>, Vec<String>) {
    let fits = |creative: &Creative| ObjectHash::of(&creative.to_bytes()) == hash;
    for (_, leaf) in leaves.iter().rev().filter(|(_, leaf)| leaf.kind == Kind::Facts) {
        if let Some(code) = version.template_code() {
            let template = content(leaf, TEMPLATE_PART, object);
            let template: Option<TemplateSpec> = template.and_then(|b| serde_json::from_slice(&b).ok());
            let Some(template) = template else { continue };
            if let Some(creative) = template.creative(code).filter(fits) {
                return (Some(creative), elements(&template, code));
            }
            continue;
        }
        let document = content(leaf, &format!("creative.{version}"), object);
        let document = document.filter(|bytes| ObjectHash::of(bytes) == hash);
        if let Some(creative) = document.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return (Some(creative), Vec::new());
        }
    }
    (None, Vec::new())
}

fn elements(template: &TemplateSpec, code: u32) -> Vec<String> {
    let assets = template.decode(code).unwrap_or_default();
    let element = |(slot, asset): (usize, u16)| regie_model::booking::Element { slot: slot as u8, asset };
    assets.into_iter().enumerate().map(|pair| template.words(element(pair))).collect()
}

/// The file of a picture by its hash, from an ad's facts.
pub fn asset(leaves: &[(u64, Leaf)], object: Objects<'_>, hash: ObjectHash) -> Option<Vec<u8>> {
    let part = format!("asset.{hash}");
    let found = leaves.iter().rev().find_map(|(_, leaf)| content(leaf, &part, object));
    found.filter(|bytes| ObjectHash::of(bytes) == hash)
}
