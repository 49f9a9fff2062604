//! Reviews, stops and pauses by what they concern: a small fold over the booked changes, in memory, caught up on demand.

use crate::platform::{Platform, lock};
use anyhow::Result;
use regie_model::{
    AdId, UtcMs, VersionId,
    command::{Change, EntityRef, Stop},
    event::Event,
};
use regie_record::{HistoryLine, Subject, history_of};
use std::{collections::BTreeMap, sync::Mutex};

/// What a change may concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Ad(AdId),
    Version(VersionId),
    Stop(Stop),
    Status(EntityRef),
}

#[derive(Default)]
struct Known {
    position: u64,
    changes: BTreeMap<u64, (UtcMs, Change)>,
    by_key: BTreeMap<Key, Vec<u64>>,
}

/// The index. Holds no more than the changes that histories show.
#[derive(Default)]
pub struct Index(Mutex<Known>);

fn keys(change: &Change) -> Vec<Key> {
    match change {
        Change::Reviewed { ads, versions, .. } => {
            let ads = ads.iter().map(|(id, _)| Key::Ad(*id));
            ads.chain(versions.iter().map(|(id, _)| Key::Version(*id))).collect()
        }
        Change::StopSet { what, .. } => vec![Key::Stop(*what)],
        Change::StatusSet { entity, .. } => match entity {
            EntityRef::Ad(_) | EntityRef::AdSet(_) | EntityRef::Campaign(_) => vec![Key::Status(*entity)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl Index {
    /// The history of an ad. For threads that may block.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn history(&self, platform: &Platform, subject: &Subject) -> Result<Vec<HistoryLine>> {
        let mut known = lock(&self.0);
        catch_up(platform, &mut known)?;
        let mut wanted = vec![
            Key::Ad(subject.ad),
            Key::Stop(Stop::AllPaid),
            Key::Stop(Stop::Sponsor(subject.sponsor)),
            Key::Stop(Stop::Ad(subject.ad)),
            Key::Status(EntityRef::Ad(subject.ad)),
            Key::Status(EntityRef::AdSet(subject.ad_set)),
            Key::Status(EntityRef::Campaign(subject.campaign)),
        ];
        wanted.extend(subject.versions.iter().map(|v| Key::Version(*v)));
        let mut positions: Vec<u64> =
            wanted.iter().filter_map(|k| known.by_key.get(k)).flatten().copied().collect();
        positions.sort_unstable();
        positions.dedup();
        let changes = positions.iter().filter_map(|p| known.changes.get(p)).map(|(at, change)| (*at, change));
        Ok(history_of(subject, changes))
    }
}

fn catch_up(platform: &Platform, known: &mut Known) -> Result<()> {
    if platform.last_change() > known.position || known.position == 0 {
        platform.flush(false)?;
    }
    let state = platform.state();
    let sql = "SELECT position, body FROM changes WHERE position > ?1 ORDER BY position";
    let mut statement = state.connection().prepare_cached(sql)?;
    let mut rows = statement.query([i64::try_from(known.position).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let position = row.get::<_, i64>(0)? as u64;
        known.position = position;
        let Event::Booked(booked) = Event::decode(row.get_ref(1)?.as_blob()?)? else { continue };
        let keys = keys(&booked.change);
        if keys.is_empty() {
            continue;
        }
        keys.into_iter().for_each(|key| known.by_key.entry(key).or_default().push(position));
        known.changes.insert(position, (booked.at, booked.change));
    }
    Ok(())
}
