//! A closed day's figures as versions: provisional at the close, final on the seventh day, a correction whenever they
//! change later, with the reason and both values.
//!
//! Exact: counts and money of the ledger. Breakdowns come with the first version only (see `breakdown`), and so does the
//! manifest of the versions really shown: each with impressions and spend, under a Merkle root (RFC 6962 hashing), so
//! that one version's line can be proved with a short path. Refuses an open day.

use crate::{
    breakdown::Breakdown,
    canonical::canonical,
    commit::{Object, SALT_BYTES, Sha256Hash},
    facts::{Previous, commit_parts},
    leaf::{Amounts, DayFigures, Kind, LEAF_SCHEMA, Leaf, LeafError, Sheet, Stage},
};
use regie_model::{AdId, Day, Nanos, UtcMs, VersionId, creative::ObjectHash, time::DAY_MS};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Days after the close on which figures become final.
pub const FINAL_AFTER_DAYS: i64 = 7;
/// The part that holds the breakdowns.
pub const BREAKDOWN_PART: &str = "breakdown";
/// The part that holds the manifest's lines.
pub const MANIFEST_PART: &str = "manifest";
/// The part that holds how many places the ad's targeting matched, beside how many showed it.
pub const AUDIENCE_PART: &str = "audience";
/// The part that holds the reason of a correction, in the publisher's words.
pub const REASON_PART: &str = "reason";

/// A version that was really shown on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Which.
    pub version: VersionId,
    /// BLAKE3 hash of its creative document.
    pub creative: ObjectHash,
    /// Times shown.
    pub impressions_count: u64,
    /// Charged, 10^-9 of a unit, as text.
    pub spend_nanos: String,
}

/// Delivered against eligible: of the places that an ad set could have had on a day, how many showed the ad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Places offered on pages that matched the conditions and exclusions of its ad set while it could run. At least so many: one
    /// that provably could not win there was passed over uncounted.
    pub matched_count: u64,
    /// Impressions of the ad.
    pub shown_count: u64,
}

/// What the ledger says of an ad's closed day.
pub struct ClosedDay<'a> {
    /// The ad.
    pub ad: AdId,
    /// The day.
    pub day: Day,
    /// When it ended.
    pub closed_at: UtcMs,
    /// Its figures now, later credits included.
    pub amounts: &'a Amounts,
    /// The ad's other days, as last published, together.
    pub others: &'a Amounts,
    /// For the first version.
    pub breakdowns: &'a [Breakdown],
    /// For the first version: what was shown, by version.
    pub shown: &'a [Shown],
    /// For the first version: places offered that matched the ad set's targeting on that day, at least; none where not counted.
    pub matched_count: Option<u64>,
    /// Why figures changed, should they have.
    pub reason: &'a str,
}

/// Which stage is due for a day, if any. `published`: the figures last published, and when.
pub fn due(
    amounts: &Amounts,
    closed_at: UtcMs,
    now: UtcMs,
    published: Option<(&DayFigures, UtcMs)>,
) -> Option<Stage> {
    if now < closed_at {
        return None;
    }
    let final_at = UtcMs(closed_at.0 + FINAL_AFTER_DAYS * DAY_MS);
    match published {
        None if *amounts == Amounts::zero(amounts.currency) => None,
        None => Some(if now >= final_at { Stage::Final } else { Stage::Provisional }),
        Some((before, _)) if before.amounts != *amounts => Some(Stage::Correction),
        // Figures corrected before the seventh day become final on it like any other.
        Some((before, at)) if now >= final_at && at < final_at && before.stage != Stage::Final => {
            Some(Stage::Final)
        }
        Some(_) => None,
    }
}

/// The next version of a day's figures; `None` when none is due.
///
/// # Errors
/// [`LeafError`]; sums that overflow.
pub fn figures_sheet(
    day: &ClosedDay<'_>,
    previous: Option<&Previous<'_>>,
    now: UtcMs,
    salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
) -> Result<Option<Sheet>, LeafError> {
    let published = previous.and_then(|p| p.leaf.figures.as_ref());
    let last = previous.and_then(|p| Some((p.leaf.figures.as_ref()?, p.leaf.at)));
    let Some(stage) = due(day.amounts, day.closed_at, now, last) else { return Ok(None) };
    let total = day.others.plus(day.amounts).ok_or(LeafError::Contradiction("the total overflows"))?;
    let (mut commitments, mut objects, mut manifest) = (Vec::new(), Vec::new(), None);
    if let Some(previous) = previous {
        // What was published once stays as it was: a second breakdown of the same day could be subtracted.
        let kept = previous.leaf.commitments.iter().filter(|c| c.part != REASON_PART);
        commitments.extend(kept.cloned());
        manifest = published.and_then(|p| p.manifest);
    } else {
        let mut parts = BTreeMap::new();
        if !day.breakdowns.is_empty() {
            parts.insert(BREAKDOWN_PART.to_owned(), canonical(&day.breakdowns)?);
        }
        if !day.shown.is_empty() {
            parts.insert(MANIFEST_PART.to_owned(), canonical(&day.shown)?);
            manifest = Some(manifest_root(day.shown)?);
        }
        if let Some(matched_count) = day.matched_count {
            let shown_count = day.amounts.impressions_count;
            parts.insert(AUDIENCE_PART.to_owned(), canonical(&Audience { matched_count, shown_count })?);
        }
        (commitments, objects) = commit_parts(&parts, None, salt);
    }
    if stage == Stage::Correction && !day.reason.is_empty() {
        let object = Object::new(salt(), day.reason.as_bytes());
        commitments.push(crate::leaf::Commitment { part: REASON_PART.into(), sha256: object.hash });
        objects.push(object);
    }
    commitments.sort();
    let follows = previous.map(|p| p.leaf.to_bytes().map(|bytes| Sha256Hash::of(&bytes))).transpose()?;
    let leaf = Leaf {
        schema: LEAF_SCHEMA,
        kind: Kind::Figures,
        ad: day.ad,
        version: previous.map_or(1, |p| p.leaf.version + 1),
        at: previous.map_or(now, |p| now.max(p.leaf.at)),
        follows,
        figures: Some(DayFigures {
            day: day.day,
            stage,
            amounts: day.amounts.clone(),
            before: (stage == Stage::Correction).then(|| published.map(|p| p.amounts.clone())).flatten(),
            total,
            manifest,
        }),
        commitments,
    };
    Sheet::new(leaf, objects).map(Some)
}

fn leaf_hash(line: &Shown) -> Result<[u8; 32], LeafError> {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(canonical(line)?);
    Ok(hasher.finalize().into())
}
fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}
/// The largest power of two below `count` (RFC 6962, section 2.1).
fn split(count: usize) -> usize {
    let mut half = 1;
    while half * 2 < count {
        half *= 2;
    }
    half
}
fn root(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(split(more.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The root over a manifest's lines, in their order.
///
/// # Errors
/// A line without canonical form.
pub fn manifest_root(lines: &[Shown]) -> Result<Sha256Hash, LeafError> {
    let hashes = lines.iter().map(leaf_hash).collect::<Result<Vec<_>, _>>()?;
    Ok(Sha256Hash(root(&hashes)))
}

/// The path that proves line `index` under the root, leaf to root (RFC 6962, section 2.1.1).
///
/// # Errors
/// A line without canonical form.
pub fn manifest_proof(lines: &[Shown], index: usize) -> Result<Option<Vec<Sha256Hash>>, LeafError> {
    fn path(index: usize, hashes: &[[u8; 32]], out: &mut Vec<Sha256Hash>) {
        if hashes.len() < 2 {
            return;
        }
        let (left, right) = hashes.split_at(split(hashes.len()));
        if index < left.len() {
            path(index, left, out);
            out.push(Sha256Hash(root(right)));
        } else {
            path(index - left.len(), right, out);
            out.push(Sha256Hash(root(left)));
        }
    }
    let hashes = lines.iter().map(leaf_hash).collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::new();
    if index >= hashes.len() {
        return Ok(None);
    }
    path(index, &hashes, &mut out);
    Ok(Some(out))
}

/// Whether a line stands at `index` of `count` under `root`.
pub fn manifest_holds(
    line: &Shown,
    index: usize,
    count: usize,
    path: &[Sha256Hash],
    root: Sha256Hash,
) -> bool {
    fn up(hash: [u8; 32], index: usize, count: usize, path: &[Sha256Hash]) -> Option<[u8; 32]> {
        if count == 1 {
            return path.is_empty().then_some(hash);
        }
        let (last, rest) = path.split_last()?;
        let half = split(count);
        Some(if index < half {
            node_hash(&up(hash, index, half, rest)?, &last.0)
        } else {
            node_hash(&last.0, &up(hash, index - half, count - half, rest)?)
        })
    }
    index < count && leaf_hash(line).ok().and_then(|hash| up(hash, index, count, path)) == Some(root.0)
}

/// A manifest's line of money.
pub fn spend_text(nanos: Nanos) -> String {
    nanos.0.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: u32) -> Vec<Shown> {
        let line = |n: u32| Shown {
            version: VersionId(n),
            creative: ObjectHash::of(&n.to_le_bytes()),
            impressions_count: u64::from(n) * 3,
            spend_nanos: spend_text(Nanos(i128::from(n) * 1_000)),
        };
        (1..=count).map(line).collect()
    }

    #[test]
    fn every_shown_version_has_a_proof_and_no_other_line_has() {
        for count in 1..=17 {
            let all = lines(count);
            let root = manifest_root(&all).unwrap();
            for (index, line) in all.iter().enumerate() {
                let path = manifest_proof(&all, index).unwrap().unwrap();
                assert!(manifest_holds(line, index, all.len(), &path, root), "{index} of {count}");
                let more = Shown { impressions_count: line.impressions_count + 1, ..line.clone() };
                assert!(!manifest_holds(&more, index, all.len(), &path, root));
                assert!(count == 1 || !manifest_holds(line, (index + 1) % all.len(), all.len(), &path, root));
            }
            assert_eq!(manifest_proof(&all, all.len()).unwrap(), None);
        }
        assert_ne!(manifest_root(&lines(3)).unwrap(), manifest_root(&lines(4)).unwrap());
    }
}
