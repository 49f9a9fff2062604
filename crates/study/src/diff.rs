//! What changed between two states of an archive: changed, vanished, appeared, with sums.
//!
//! Told apart: a restatement (the same advertiser, another figure) and a re-identification (the same
//! advertiser under another id). Both ways of counting are given, and rows of nothing apart. Memory is
//! bounded: with many rows the keys are worked off in slices.

use crate::amount::Amount;
use crate::day::Day;
use crate::error::Result;
use crate::select::{self, Scope};
use crate::store::columns::Column;
use crate::store::{Chunk, KeyMap, Snapshot, SnapshotId, Store};
use crate::targets::{Label, Targets, Unit};
use crate::{rank::as_text, text};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Keys held in mind at a time (about 100 bytes each).
const KEYS_MAX: u64 = 4_000_000;
const SHOWN_MAX: usize = 25;

/// What to compare.
#[derive(Clone, Debug)]
pub struct DiffQuestion {
    /// Which part of the store; its `known_on` is not used.
    pub scope: Scope,
    /// First state: as known on this day.
    pub first: Day,
    /// Second state: as known on this day.
    pub second: Day,
}

/// One way of counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows in both.
    pub common: u64,
    /// Of these, with another amount.
    pub changed: u64,
    /// Changed upwards.
    pub up: u64,
    /// Changed downwards.
    pub down: u64,
    /// Sum of the rises, micros.
    #[serde(serialize_with = "as_text")]
    pub up_micros: i128,
    /// Sum of the falls, micros.
    #[serde(serialize_with = "as_text")]
    pub down_micros: i128,
    /// Only in the first.
    pub vanished: u64,
    /// Their sum, micros.
    #[serde(serialize_with = "as_text")]
    pub vanished_micros: i128,
    /// Of these, rows of nothing.
    pub vanished_zero: u64,
    /// Only in the second.
    pub appeared: u64,
    /// Their sum, micros.
    #[serde(serialize_with = "as_text")]
    pub appeared_micros: i128,
    /// Of these, rows of nothing.
    pub appeared_zero: u64,
    /// Sum of the first state, micros.
    #[serde(serialize_with = "as_text")]
    pub first_micros: i128,
    /// Sum of the second state, micros.
    #[serde(serialize_with = "as_text")]
    pub second_micros: i128,
}

/// One row that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Who.
    pub label: Label,
    /// First day of the row's period.
    pub from: Day,
    /// Published amount in the first state, micros, as text; `None` when it was not there.
    pub first: Option<String>,
    /// Published amount in the second state.
    pub second: Option<String>,
}

/// An advertiser that seems to go on under another id.
#[derive(Clone, Debug, Serialize)]
pub struct Reidentified {
    /// Under the old id.
    pub old: Label,
    /// Under the new id.
    pub new: Label,
    /// Why the two are taken for one.
    pub evidence: String,
}

/// The comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// Ids as published.
    pub as_published: Counts,
    /// With re-identified advertisers joined.
    pub joined: Counts,
    /// Who was joined.
    pub reidentified: Vec<Reidentified>,
    /// The largest changes (joined count), at most 25 of each kind.
    pub largest: Vec<Change>,
    /// Largest vanished.
    pub vanished: Vec<Change>,
    /// Largest appeared.
    pub appeared: Vec<Change>,
    /// Snapshots of the first state.
    pub first_sources: Vec<Snapshot>,
    /// Snapshots of the second state.
    pub second_sources: Vec<Snapshot>,
}

#[derive(Clone, Copy, Default)]
struct Pair {
    first: Option<(i64, i64)>,
    second: Option<(i64, i64)>,
    target: u32,
    from: i32,
}

/// Compares two states.
///
/// # Errors
/// As a ranking's, for either state.
pub fn diff(store: &Store, question: &DiffQuestion) -> Result<Diff> {
    let state = |day: Day| select::select(store, &Scope { known_on: Some(day), ..question.scope.clone() });
    let (first, second) = (state(question.first)?, state(question.second)?);
    let targets = Targets::build(store, Unit::Account, None, false)?;
    let ids = |list: &[Snapshot]| list.iter().map(|s| s.id).collect::<Vec<_>>();
    let sides = [ids(&first.snapshots), ids(&second.snapshots)];
    let (remap, joined_pairs) = reidentify(store, &targets, &sides)?;
    let plain = compare(store, question, &targets, &HashMap::new(), &sides)?;
    let joined =
        if remap.is_empty() { None } else { Some(compare(store, question, &targets, &remap, &sides)?) };
    let as_published = plain.counts;
    let shown = joined.unwrap_or(plain);
    let wanted: Vec<usize> = shown
        .lists
        .iter()
        .flatten()
        .map(|p| p.target as usize)
        .chain(joined_pairs.iter().flat_map(|p| [p.0, p.1]))
        .collect();
    let labels = targets.labels(store, &wanted)?;
    let label = |t: usize| labels.get(&t).cloned().unwrap_or_default();
    let change = |p: &Pair| Change {
        label: label(p.target as usize),
        from: Day(p.from),
        first: p.first.map(|a| a.0.to_string()),
        second: p.second.map(|a| a.0.to_string()),
    };
    let [largest, vanished, appeared] = shown.lists.map(|list| list.iter().map(change).collect());
    let reidentified = joined_pairs
        .iter()
        .map(|(old, new, evidence)| Reidentified {
            old: label(*old),
            new: label(*new),
            evidence: evidence.clone(),
        })
        .collect();
    Ok(Diff {
        as_published,
        joined: shown.counts,
        reidentified,
        largest,
        vanished,
        appeared,
        first_sources: first.snapshots,
        second_sources: second.snapshots,
    })
}

struct Compared {
    counts: Counts,
    /// Changed, vanished, appeared: the largest.
    lists: [Vec<Pair>; 3],
}

const COLUMNS: [Column; 8] = [
    Column::Subject,
    Column::Place,
    Column::Election,
    Column::Currency,
    Column::From,
    Column::Days,
    Column::Lower,
    Column::Width,
];

fn compare(
    store: &Store,
    question: &DiffQuestion,
    targets: &Targets,
    remap: &HashMap<usize, usize>,
    sides: &[Vec<SnapshotId>; 2],
) -> Result<Compared> {
    let columns: Vec<Column> = COLUMNS.into_iter().chain([Column::Item]).collect();
    let scans = [store.scan(&sides[0], &columns)?, store.scan(&sides[1], &columns)?];
    let rows = scans[0].rows_count() + scans[1].rows_count();
    let slices = u128::from(rows.div_ceil(KEYS_MAX).max(1));
    let mut out = Compared { counts: Counts::default(), lists: Default::default() };
    for slice in 0..slices {
        let mut pairs: KeyMap<Pair> = KeyMap::default();
        for (side, scan) in scans.iter().enumerate() {
            scan.each(|chunk| {
                for row in 0..chunk.rows {
                    let (from, _) = chunk.period(row);
                    if question.scope.from.is_some_and(|d| from < d)
                        || question.scope.to.is_some_and(|d| from > d)
                    {
                        continue;
                    }
                    let target = targets.of(chunk.column(Column::Subject)[row], from);
                    let target = remap.get(&target).copied().unwrap_or(target);
                    let key = row_key(chunk, row, target);
                    if key % slices != slice {
                        continue;
                    }
                    let pair = pairs.entry(key).or_default();
                    (pair.target, pair.from) = (target as u32, from.0);
                    let slot = if side == 0 { &mut pair.first } else { &mut pair.second };
                    *slot = Some(add(*slot, chunk.spend(row)));
                }
                Ok(())
            })?;
        }
        for pair in pairs.into_values() {
            count(&pair, &mut out);
        }
    }
    for list in &mut out.lists {
        trim(list);
    }
    Ok(out)
}

/// Lower and upper; -1 stands for an unknown upper.
fn add(slot: Option<(i64, i64)>, amount: Amount) -> (i64, i64) {
    let (lower, upper) = slot.unwrap_or((0, 0));
    let upper = match amount.upper {
        Some(u) if upper >= 0 => upper.saturating_add(u),
        _ => -1,
    };
    (lower.saturating_add(amount.lower), upper)
}

fn row_key(chunk: &Chunk, row: usize, target: usize) -> u128 {
    let mut hash = blake3::Hasher::new();
    hash.update(&(target as u64).to_le_bytes());
    for column in [Column::Place, Column::Election, Column::Currency, Column::From, Column::Days] {
        hash.update(&chunk.column(column)[row].to_le_bytes());
    }
    hash.update(chunk.item(row));
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    u128::from_le_bytes(key)
}

fn count(pair: &Pair, out: &mut Compared) {
    let c = &mut out.counts;
    c.first_micros += pair.first.map_or(0, |a| i128::from(a.0));
    c.second_micros += pair.second.map_or(0, |a| i128::from(a.0));
    let list = match (pair.first, pair.second) {
        (Some(a), Some(b)) => {
            c.common += 1;
            if a == b {
                return;
            }
            c.changed += 1;
            let change = i128::from(b.0) - i128::from(a.0);
            if b > a {
                c.up += 1;
                c.up_micros += change;
            } else {
                c.down += 1;
                c.down_micros -= change;
            }
            0
        }
        (Some(a), None) => {
            c.vanished += 1;
            c.vanished_micros += i128::from(a.0);
            c.vanished_zero += u64::from(a == (0, 0));
            1
        }
        (None, Some(b)) => {
            c.appeared += 1;
            c.appeared_micros += i128::from(b.0);
            c.appeared_zero += u64::from(b == (0, 0));
            2
        }
        (None, None) => return,
    };
    out.lists[list].push(*pair);
    if out.lists[list].len() > 40 * SHOWN_MAX {
        trim(&mut out.lists[list]);
    }
}

fn trim(list: &mut Vec<Pair>) {
    let size =
        |p: &Pair| (i128::from(p.second.map_or(0, |a| a.0)) - i128::from(p.first.map_or(0, |a| a.0))).abs();
    list.sort_by_key(|p| (std::cmp::Reverse(size(p)), p.target, p.from));
    list.truncate(SHOWN_MAX);
}

type Joined = (HashMap<usize, usize>, Vec<(usize, usize, String)>);

/// Ids of the first state that are gone from the second, where exactly one id there bears the same name.
fn reidentify(store: &Store, targets: &Targets, sides: &[Vec<SnapshotId>; 2]) -> Result<Joined> {
    let present = |side: &[SnapshotId]| -> Result<HashSet<usize>> {
        let mut found = HashSet::new();
        store.scan(side, &[Column::Subject, Column::From, Column::Days])?.each(|chunk| {
            for row in 0..chunk.rows {
                found.insert(targets.of(chunk.column(Column::Subject)[row], chunk.period(row).0));
            }
            Ok(())
        })?;
        Ok(found)
    };
    let (first, second) = (present(&sides[0])?, present(&sides[1])?);
    if first.iter().all(|t| second.contains(t)) {
        return Ok((HashMap::new(), Vec::new()));
    }
    let mut gone: BTreeMap<(String, String), HashSet<usize>> = BTreeMap::new();
    let mut there: BTreeMap<(String, String), HashSet<usize>> = BTreeMap::new();
    let mut ids: HashMap<usize, HashSet<String>> = HashMap::new();
    store.each_subject(|stored| {
        let s = &stored.subject;
        let target = targets.of(i64::from(stored.id), Day::OPEN_START);
        let key = text::name_key(s.name);
        if key.is_empty() || s.account.is_empty() {
            return Ok(());
        }
        if !s.ids.is_empty() {
            ids.entry(target).or_default().insert(s.ids.to_owned());
        }
        let side = match (first.contains(&target), second.contains(&target)) {
            (true, false) => &mut gone,
            (_, true) => &mut there,
            _ => return Ok(()),
        };
        side.entry((s.platform.to_owned(), key)).or_default().insert(target);
        Ok(())
    })?;
    let mut remap = HashMap::new();
    let mut joined = Vec::new();
    for (key, old) in gone {
        let Some(new) = there.get(&key).filter(|n| n.len() == 1).and_then(|n| n.iter().next()) else {
            continue;
        };
        for old in old {
            let shown = |t: usize| {
                let mut list: Vec<&str> = ids.get(&t).into_iter().flatten().map(String::as_str).collect();
                list.sort_unstable();
                list.join(", ")
            };
            let evidence = format!(
                "the same name; the old id is in no row of the later state; public identifiers: {:?} and {:?}",
                shown(old),
                shown(*new)
            );
            remap.insert(old, *new);
            joined.push((old, *new, evidence));
        }
    }
    joined.sort();
    Ok((remap, joined))
}
