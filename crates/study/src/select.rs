//! Which snapshots a question is about: as known on a day, never summing windows that overlap.

use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::{Dataset, Snapshot, Store};
use std::collections::{BTreeMap, BTreeSet};

/// Which part of the store a question is about.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Platform codes; empty for all.
    pub platforms: Vec<String>,
    /// Country code of the report.
    pub country: Option<String>,
    /// Kind of rows; chosen by itself when not given.
    pub dataset: Option<Dataset>,
    /// Window family: `yesterday`, `last_7_days` ...
    pub window: Option<String>,
    /// What was known on this day; everything when not given.
    pub known_on: Option<Day>,
    /// First day asked for.
    pub from: Option<Day>,
    /// Last day asked for.
    pub to: Option<Day>,
    /// Region asked for.
    pub region: Option<String>,
}

/// The snapshots that answer, and what was left out and why.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What answers.
    pub snapshots: Vec<Snapshot>,
    /// What does not, with the reason.
    pub notes: Vec<String>,
}

/// Chooses.
///
/// # Errors
/// Overlapping windows (named), or nothing that fits.
pub fn select(store: &Store, scope: &Scope) -> Result<Selection> {
    let all = store.snapshots()?;
    let mut selection = Selection::default();
    let unfinished = all.iter().filter(|s| !s.is_done).count();
    if unfinished > 0 {
        selection
            .notes
            .push(format!("{unfinished} unfinished imports are not counted; run the import again"));
    }
    let known: Vec<&Snapshot> = all.iter().filter(|s| s.is_done && fits(s, scope)).collect();
    let mut chosen: Vec<Snapshot> = Vec::new();
    let platforms: BTreeSet<&str> = known.iter().map(|s| s.platform.as_str()).collect();
    for platform in platforms {
        let mine: Vec<&Snapshot> = known.iter().copied().filter(|s| s.platform == platform).collect();
        let Some(dataset) = dataset_for(&mine, scope) else { continue };
        let others: BTreeSet<&str> = mine
            .iter()
            .map(|s| s.dataset)
            .filter(|d| *d != dataset && is_rankable(*d))
            .map(Dataset::code)
            .collect();
        if scope.dataset.is_none() && !others.is_empty() {
            let others: Vec<&str> = others.into_iter().collect();
            selection.notes.push(format!(
                "of {platform} the {} figures are used; not the {} figures, which state the same money",
                dataset.code(),
                others.join(", ")
            ));
        }
        let of_dataset: Vec<&Snapshot> = mine.into_iter().filter(|s| s.dataset == dataset).collect();
        chosen.extend(newest(&of_dataset, &mut selection.notes));
    }
    refuse_overlaps(&chosen)?;
    chosen.sort_by_key(|s| (s.known_on, s.id));
    if chosen.is_empty() {
        return Err(Error::nothing(scope.known_on, hint(&all)));
    }
    selection.snapshots = chosen;
    Ok(selection)
}

/// Snapshots of shares made from the same files as these, for splitting what these sum.
///
/// # Errors
/// Those of the store.
pub fn shares(store: &Store, chosen: &[Snapshot], dataset: Dataset) -> Result<Vec<Snapshot>> {
    let of = |s: &Snapshot| (s.platform.clone(), s.content_hash.clone(), s.known_on);
    let wanted: BTreeSet<_> = chosen.iter().filter(|s| s.dataset == Dataset::Ad).map(of).collect();
    let mut all = store.snapshots()?;
    all.retain(|s| s.is_done && s.dataset == dataset && wanted.contains(&of(s)));
    Ok(all)
}

fn hint(all: &[Snapshot]) -> String {
    if all.is_empty() {
        return "the store is empty; begin with `study import FILE`".into();
    }
    let mut kinds: BTreeMap<String, (Day, Day)> = BTreeMap::new();
    for s in all.iter().filter(|s| s.is_done) {
        let span = kinds
            .entry(format!("{} {} {}", s.platform, s.dataset.code(), s.country))
            .or_insert((s.known_on, s.known_on));
        *span = (span.0.min(s.known_on), span.1.max(s.known_on));
    }
    let lines: Vec<String> =
        kinds.iter().take(12).map(|(k, (a, b))| format!("{} (known {a} to {b})", k.trim())).collect();
    format!("it holds {}", lines.join("; "))
}

fn fits(s: &Snapshot, scope: &Scope) -> bool {
    (scope.platforms.is_empty() || scope.platforms.contains(&s.platform))
        && scope.country.as_ref().is_none_or(|c| s.country.is_empty() || s.country.eq_ignore_ascii_case(c))
        && scope.known_on.is_none_or(|day| s.known_on <= day)
        && scope.window.as_ref().is_none_or(|w| s.window.name == *w || !is_report(s.dataset))
        && scope.from.is_none_or(|from| s.window.to >= from || s.dataset.is_per_ad())
        && scope.to.is_none_or(|to| s.window.from <= to)
}

/// Whether snapshots of this kind cover windows that add up.
fn is_report(dataset: Dataset) -> bool {
    matches!(dataset, Dataset::Advertiser | Dataset::Region | Dataset::Location)
}

fn is_rankable(dataset: Dataset) -> bool {
    !matches!(dataset, Dataset::Keyword | Dataset::Detail | Dataset::AdAudience)
}

fn dataset_for(mine: &[&Snapshot], scope: &Scope) -> Option<Dataset> {
    if let Some(dataset) = scope.dataset {
        return mine.iter().any(|s| s.dataset == dataset).then_some(dataset);
    }
    let order: &[Dataset] = if scope.region.is_some() {
        &[Dataset::Region, Dataset::AdRegion, Dataset::Ad, Dataset::Weekly, Dataset::Advertiser]
    } else {
        &[
            Dataset::Weekly,
            Dataset::Advertiser,
            Dataset::Ad,
            Dataset::Totals,
            Dataset::Region,
            Dataset::Location,
            Dataset::Geo,
            Dataset::AdRegion,
        ]
    };
    order.iter().copied().find(|d| mine.iter().any(|s| s.dataset == *d))
}

/// Of a bundle only the newest; of a window only its newest report; of ads every dump (an ad counts once).
fn newest(of_dataset: &[&Snapshot], notes: &mut Vec<String>) -> Vec<Snapshot> {
    let mut best: BTreeMap<String, &Snapshot> = BTreeMap::new();
    let mut replaced = 0;
    for s in of_dataset {
        let key = match s.dataset {
            d if d.is_per_ad() => format!("{}", s.id.0),
            d if d.is_replaced_whole() => format!("{} {} {}", s.country, s.place, s.layout),
            _ if s.window.from == Day::OPEN_START => {
                format!("{} {} {} open", s.country, s.place, s.window.name)
            }
            _ => format!("{} {} {} {}", s.country, s.place, s.window.from.0, s.window.to.0),
        };
        match best.get(&key) {
            Some(old) if (old.known_on, old.id) > (s.known_on, s.id) => replaced += 1,
            Some(_) => {
                replaced += 1;
                best.insert(key, s);
            }
            None => {
                best.insert(key, s);
            }
        }
    }
    if replaced > 0 {
        notes.push(format!("{replaced} earlier snapshots were replaced by later ones (see `study diff`)"));
    }
    best.into_values().cloned().collect()
}

fn refuse_overlaps(chosen: &[Snapshot]) -> Result<()> {
    let mut series: BTreeMap<(&str, &str, &str, Dataset), Vec<&Snapshot>> = BTreeMap::new();
    for s in chosen.iter().filter(|s| !s.dataset.is_per_ad()) {
        series.entry((&s.platform, &s.country, &s.place, s.dataset)).or_default().push(s);
    }
    for list in series.values_mut() {
        list.sort_by_key(|s| (s.window.from, s.window.to));
        for pair in list.windows(2) {
            if pair[0].window.overlaps(&pair[1].window) {
                let families: BTreeSet<&str> = chosen.iter().map(|s| s.window.name.as_str()).collect();
                return Err(Error::Overlap {
                    first: pair[0].title(),
                    second: pair[1].title(),
                    families: families.into_iter().collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    Ok(())
}
