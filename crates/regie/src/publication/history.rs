//! Reviews, stops and pauses by what they concern: a projection of the booked changes in `state.db`, caught up on demand.
//!
//! Of a review is kept, for each ad, what it says of that ad: a history is read without the thousands of other versions that
//! the same review may have approved. Refuses to hold any of it in memory.

use crate::platform::{Platform, lock};
use anyhow::Result;
use regie_model::{
    AdId, UtcMs, VersionId,
    catalogue::Catalogue,
    command::{Change, EntityRef, Stop, Verdict},
    creative::ObjectHash,
    event::{Booked, Event},
};
use regie_record::{HistoryLine, Subject, history_of};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Changes that are read at once.
pub(super) const CHANGES_COUNT_MAX: usize = 50_000;
/// The subject of what concerns everybody.
const ALL: &str = "all_paid";

/// What is kept of a change, for one subject.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kept {
    Reviewed { ad: bool, versions: Vec<VersionId>, verdict: Verdict, reason: String },
    Stopped { what: Stop, on: bool, reason: String },
    Status { entity: EntityRef, status: regie_model::booking::Status },
}

impl Kept {
    /// As a change that says no more than what is kept.
    fn change(self, of: AdId) -> Change {
        match self {
            Kept::Reviewed { ad, versions, verdict, reason } => Change::Reviewed {
                ads: ad.then_some((of, 0)).into_iter().collect(),
                versions: versions.into_iter().map(|id| (id, ObjectHash([0; 32]))).collect(),
                verdict,
                reason,
            },
            Kept::Stopped { what, on, reason } => Change::StopSet { what, on, reason },
            Kept::Status { entity, status } => Change::StatusSet { entity, status },
        }
    }
}

/// Whom a change concerns, with what is kept of it for each.
fn kept(catalogue: &Catalogue, change: &Change) -> Vec<(String, Kept)> {
    match change {
        Change::Reviewed { ads, versions, verdict, reason } => {
            let mut by_ad: BTreeMap<AdId, (bool, Vec<VersionId>)> = BTreeMap::new();
            ads.iter().for_each(|(id, _)| by_ad.entry(*id).or_default().0 = true);
            for (id, _) in versions {
                if let Some(version) = catalogue.versions.brief(*id) {
                    by_ad.entry(version.ad).or_default().1.push(*id);
                }
            }
            let line = |(id, (ad, versions)): (AdId, _)| {
                (id.to_string(), Kept::Reviewed { ad, versions, verdict: *verdict, reason: reason.clone() })
            };
            by_ad.into_iter().map(line).collect()
        }
        Change::StopSet { what, on, reason } => {
            let subject = match what {
                Stop::AllPaid => ALL.to_owned(),
                Stop::Sponsor(id) => id.to_string(),
                Stop::Ad(id) => id.to_string(),
            };
            vec![(subject, Kept::Stopped { what: *what, on: *on, reason: reason.clone() })]
        }
        Change::StatusSet { entity, status } => {
            let subject = match entity {
                EntityRef::Ad(id) => id.to_string(),
                EntityRef::AdSet(id) => id.to_string(),
                EntityRef::Campaign(id) => id.to_string(),
                _ => return Vec::new(),
            };
            vec![(subject, Kept::Status { entity: *entity, status: *status })]
        }
        _ => Vec::new(),
    }
}

/// What keeps histories up to date.
#[derive(Default)]
pub struct Index {
    /// One who writes at a time.
    writing: Mutex<()>,
    /// Up to which change it is known to be complete.
    complete: AtomicU64,
}

impl Index {
    /// The history of an ad. For threads that may block.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn history(&self, platform: &Platform, subject: &Subject) -> Result<Vec<HistoryLine>> {
        self.catch_up(platform)?;
        let subjects = [
            subject.ad.to_string(),
            subject.ad_set.to_string(),
            subject.campaign.to_string(),
            subject.sponsor.to_string(),
            ALL.to_owned(),
        ];
        let mut changes: Vec<(u64, UtcMs, Change)> = Vec::new();
        {
            let state = platform.state();
            for of in &subjects {
                for (position, at_ms, body) in state.history_of(of)? {
                    let kept: Kept = serde_json::from_str(&body)?;
                    changes.push((position, UtcMs(at_ms), kept.change(subject.ad)));
                }
            }
        }
        changes.sort_by_key(|(position, ..)| *position);
        Ok(history_of(subject, changes.iter().map(|(_, at, change)| (*at, change))))
    }
    /// Keeps what some changes say that were read anyway: all of those behind `after`. Nothing where earlier ones are
    /// missing; those are read on demand.
    pub(super) fn keep(&self, platform: &Platform, after: u64, changes: &[(u64, Event)]) -> Result<()> {
        let _writing = lock(&self.writing);
        let from = platform.state().histories_position()?;
        if from < after {
            return Ok(());
        }
        let lines = lines(platform, changes.iter().filter(|(position, _)| *position > from))?;
        match changes.last() {
            Some((last, _)) if *last > from => platform.state().keep_histories(&lines, *last),
            _ => Ok(()),
        }
    }
    fn catch_up(&self, platform: &Platform) -> Result<()> {
        let last = platform.last_change();
        let complete = self.complete.load(Ordering::SeqCst);
        if complete > 0 && complete >= last {
            return Ok(());
        }
        let _writing = lock(&self.writing);
        platform.flush(false)?;
        loop {
            let from = platform.state().histories_position()?;
            let read = platform.state().changes(from, CHANGES_COUNT_MAX)?;
            let Some((position, _)) = read.last() else {
                self.complete.store(from.max(last), Ordering::SeqCst);
                return Ok(());
            };
            let position = *position;
            let mut changes = Vec::with_capacity(read.len());
            for (position, body) in read {
                changes.push((position, Event::decode(&body)?));
            }
            let lines = lines(platform, changes.iter())?;
            platform.state().keep_histories(&lines, position)?;
        }
    }
}

/// (subject, position, time, JSON) of each line.
fn lines<'e>(
    platform: &Platform,
    changes: impl Iterator<Item = &'e (u64, Event)>,
) -> Result<Vec<(String, u64, i64, String)>> {
    let catalogue = platform.catalogue();
    let mut lines = Vec::new();
    for (position, event) in changes {
        let Event::Booked(booked) = event else { continue };
        let Booked { at, change, .. } = booked.as_ref();
        for (subject, kept) in kept(&catalogue, change) {
            lines.push((subject, *position, at.0, serde_json::to_string(&kept)?));
        }
    }
    Ok(lines)
}
