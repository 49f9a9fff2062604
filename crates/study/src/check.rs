//! Whether the parts of a report agree with its whole: national totals against the files of regions.
//!
//! Every figure is an interval; two figures disagree when their intervals have no value in common.

use crate::amount::Sum;
use crate::error::Result;
use crate::rank::{as_text, as_text_or_none};
use crate::select::Scope;
use crate::store::columns::Column;
use crate::store::{Dataset, Snapshot, SnapshotId, Store, Window};
use crate::targets::{Label, Targets, Unit};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Two figures for the same thing.
#[derive(Clone, Debug, Serialize)]
pub struct Disagreement {
    /// What it is about: an advertiser.
    pub label: Label,
    /// The whole, lower bound, micros.
    #[serde(serialize_with = "as_text")]
    pub whole_lower: i128,
    /// The whole, upper bound.
    #[serde(serialize_with = "as_text_or_none")]
    pub whole_upper: Option<i128>,
    /// Sum of the parts, lower bound.
    #[serde(serialize_with = "as_text")]
    pub parts_lower: i128,
    /// Sum of the parts, upper bound.
    #[serde(serialize_with = "as_text_or_none")]
    pub parts_upper: Option<i128>,
}

/// One region's published total against its file.
#[derive(Clone, Debug, Serialize)]
pub struct RegionCheck {
    /// Region.
    pub place: String,
    /// Published total, micros (lower bound).
    #[serde(serialize_with = "as_text")]
    pub published: i128,
    /// Sum of its file, lower bound.
    #[serde(serialize_with = "as_text")]
    pub parts_lower: i128,
    /// Sum of its file, upper bound.
    #[serde(serialize_with = "as_text_or_none")]
    pub parts_upper: Option<i128>,
    /// Whether the total lies within.
    pub is_within: bool,
}

/// What the check of one window found.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciliation {
    /// The report's window.
    pub window: Window,
    /// Country.
    pub country: String,
    /// Regions whose total is a number.
    pub regions_count: usize,
    /// Of these, within the bounds of their files.
    pub regions_within: usize,
    /// Regions whose total is only "at most N": not checked.
    pub regions_capped: usize,
    /// Region by region.
    pub regions: Vec<RegionCheck>,
    /// Page and disclaimer pairs both in the whole and in the parts.
    pub pairs_count: usize,
    /// Those whose figures have no value in common.
    pub disagreements: Vec<Disagreement>,
    /// Pairs in the whole but in no part: how many, and the largest.
    pub only_whole_count: usize,
    /// Their sum as published, micros.
    #[serde(serialize_with = "as_text")]
    pub only_whole_published: i128,
    /// All of them, the largest first: label and published sum.
    pub only_whole: Vec<(Label, String)>,
    /// Pairs in a part but not in the whole.
    pub only_parts_count: usize,
}

/// Checks every window that has both a whole and parts.
///
/// # Errors
/// Those of the store.
pub fn reconcile(store: &Store, scope: &Scope) -> Result<Vec<Reconciliation>> {
    let mut windows: BTreeMap<(String, String, i32, i32), Vec<Snapshot>> = BTreeMap::new();
    let fits = |s: &Snapshot| {
        s.is_done
            && scope.country.as_ref().is_none_or(|c| s.country.eq_ignore_ascii_case(c))
            && scope.window.as_ref().is_none_or(|w| s.window.name == *w)
            && scope.known_on.is_none_or(|d| s.known_on <= d)
    };
    for s in store.snapshots()?.into_iter().filter(fits) {
        let key = (s.platform.clone(), s.country.clone(), s.window.from.0, s.window.to.0);
        windows.entry(key).or_default().push(s);
    }
    let targets = Targets::build(store, Unit::Pair, None, false)?;
    let mut out = Vec::new();
    for list in windows.values() {
        let of = |dataset: Dataset| -> Vec<SnapshotId> {
            list.iter().filter(|s| s.dataset == dataset).map(|s| s.id).collect()
        };
        let (whole, parts, totals) = (of(Dataset::Advertiser), of(Dataset::Region), of(Dataset::Location));
        if !whole.is_empty() && !parts.is_empty() {
            out.push(one(store, &targets, list, [&whole, &parts, &totals])?);
        }
    }
    Ok(out)
}

type Sums = (HashMap<usize, Sum>, HashMap<i64, Sum>);

fn sums(store: &Store, targets: &Targets, ids: &[SnapshotId]) -> Result<Sums> {
    let (mut pairs, mut places): Sums = Default::default();
    let columns = [Column::Subject, Column::Place, Column::From, Column::Days, Column::Lower, Column::Width];
    store.scan(ids, &columns)?.each(|chunk| {
        for row in 0..chunk.rows {
            let target = targets.of(chunk.column(Column::Subject)[row], chunk.period(row).0);
            pairs.entry(target).or_default().add(chunk.spend(row), (0, 0));
            places.entry(chunk.column(Column::Place)[row]).or_default().add(chunk.spend(row), (0, 0));
        }
        Ok(())
    })?;
    Ok((pairs, places))
}

fn are_apart(a: &Sum, b: &Sum) -> bool {
    a.upper().is_some_and(|u| u < b.lower) || b.upper().is_some_and(|u| u < a.lower)
}

fn one(
    store: &Store,
    targets: &Targets,
    list: &[Snapshot],
    ids: [&[SnapshotId]; 3],
) -> Result<Reconciliation> {
    let (whole, _) = sums(store, targets, ids[0])?;
    let (parts, by_place) = sums(store, targets, ids[1])?;
    let (_, totals) = sums(store, targets, ids[2])?;
    let words = store.words()?;
    let mut regions: Vec<RegionCheck> = Vec::new();
    let mut capped = 0;
    for (place, total) in &totals {
        if !total.is_exact() {
            capped += 1;
            continue;
        }
        let own = by_place.get(place).copied().unwrap_or_default();
        regions.push(RegionCheck {
            place: words.get(*place as usize).cloned().unwrap_or_default(),
            published: total.published,
            parts_lower: own.lower,
            parts_upper: own.upper(),
            is_within: !are_apart(total, &own),
        });
    }
    regions.sort_by(|a, b| a.place.cmp(&b.place));
    let mut apart: Vec<usize> =
        whole.keys().copied().filter(|t| parts.get(t).is_some_and(|p| are_apart(&whole[t], p))).collect();
    let mut only_whole: Vec<usize> = whole.keys().copied().filter(|t| !parts.contains_key(t)).collect();
    let by_size = |t: &usize| (std::cmp::Reverse(whole[t].published), *t);
    apart.sort_by_key(by_size);
    only_whole.sort_by_key(by_size);
    let wanted: Vec<usize> = apart.iter().chain(&only_whole).copied().collect();
    let labels = targets.labels(store, &wanted)?;
    let label = |t: &usize| labels.get(t).cloned().unwrap_or_default();
    let disagreement = |t: &usize| Disagreement {
        label: label(t),
        whole_lower: whole[t].lower,
        whole_upper: whole[t].upper(),
        parts_lower: parts[t].lower,
        parts_upper: parts[t].upper(),
    };
    Ok(Reconciliation {
        window: list[0].window.clone(),
        country: list[0].country.clone(),
        regions_count: regions.len(),
        regions_within: regions.iter().filter(|r| r.is_within).count(),
        regions_capped: capped,
        regions,
        pairs_count: whole.keys().filter(|t| parts.contains_key(t)).count(),
        disagreements: apart.iter().map(disagreement).collect(),
        only_whole_count: only_whole.len(),
        only_whole_published: only_whole.iter().map(|t| whole[t].published).sum(),
        only_whole: only_whole.iter().map(|t| (label(t), whole[t].published.to_string())).collect(),
        only_parts_count: parts.keys().filter(|t| !whole.contains_key(t)).count(),
    })
}
