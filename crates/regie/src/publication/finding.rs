//! What search finds, kept beside what is published: ads enter the index when they are first shown, and its segments are merged while
//! nothing else is to be done. Refuses what was not shown.

use super::{Publication, db::RecordDb, words};
use anyhow::Result;
use regie_model::AdId;
use regie_record::Facts;
use std::collections::BTreeMap;

/// Ads that are made findable in one transaction.
pub(super) const INDEX_BATCH: usize = 200;
/// Ads that are made findable at once.
const FIND_MAX: usize = 1_000;
/// Ads made findable since the index was merged last, before it is merged again: so many, and a twentieth of all.
const MERGE_AFTER: u64 = 1_000;
/// How the index of the search grew since its segments were merged.
#[derive(Default)]
pub(super) struct Growth {
    /// Ads in it then.
    merged: u64,
    /// It is being merged, step by step.
    merging: bool,
}

impl Publication {
    /// Merges the index of the search bit by bit while nothing else is to be done, once it has grown by a twentieth.
    pub(super) fn merge_index(&self, growth: &mut Growth) -> Result<()> {
        if !growth.merging {
            let count = self.found_count();
            let fresh = count.saturating_sub(growth.merged);
            if fresh < MERGE_AFTER || fresh < count / 20 {
                return Ok(());
            }
            (growth.merging, growth.merged) = (true, count);
        }
        growth.merging = self.db().merge_index()?;
        Ok(())
    }
    /// Sets what search finds some ads by, in one transaction.
    pub(super) fn index_all(&self, ads: &[AdId], fresh: &BTreeMap<AdId, Facts>) -> Result<()> {
        let db = self.db();
        let transaction = db.connection().unchecked_transaction()?;
        for ad in ads {
            match fresh.get(ad) {
                Some(facts) => self.index_as(&db, *ad, facts)?,
                None => self.index_in(&db, *ad)?,
            }
        }
        Ok(transaction.commit()?)
    }
    /// Sets what search finds an ad by.
    pub(super) fn index(&self, ad: AdId) -> Result<()> {
        self.index_in(&self.db(), ad)
    }
    fn index_in(&self, db: &RecordDb, ad: AdId) -> Result<()> {
        let Some(facts) = db.facts(ad)? else { return Ok(()) };
        self.index_as(db, ad, &facts)
    }
    fn index_as(&self, db: &RecordDb, ad: AdId, facts: &Facts) -> Result<()> {
        let shown = self.platform.folds().ledger.totals(ad).impressions_count > 0;
        db.set_words(ad, shown, &words::words(facts), &words::filters(facts))
    }
    /// Makes findable what was shown since the last time: of very many at once, as after a start, some; whether there are more.
    pub(super) fn find_shown(&self) -> Result<bool> {
        let fresh: Vec<AdId> = {
            let mut folds = self.platform.folds();
            let waiting = &mut folds.first_shown;
            waiting.drain(..waiting.len().min(FIND_MAX)).collect()
        };
        for (done, some) in fresh.chunks(INDEX_BATCH).enumerate() {
            let db = self.db();
            let made = (|| -> Result<()> {
                let transaction = db.connection().unchecked_transaction()?;
                some.iter().try_for_each(|ad| db.set_shown(*ad).map(drop))?;
                transaction.commit()?;
                Ok(())
            })();
            if let Err(error) = made {
                self.platform.folds().first_shown.extend(fresh.iter().skip(done * INDEX_BATCH));
                return Err(error);
            }
        }
        Ok(fresh.len() == FIND_MAX)
    }
}
