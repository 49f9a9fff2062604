//! What campaigns spent, as running sums beside the reports: by hour, by day of 24 hours and by block of 32 days, all of UTC.
//!
//! What was spent since an hour is the rest of its day, the rest of its block, and whole blocks: at most 24 + 32 + one a month rows of a
//! campaign, however many impressions there were. Written in the same transaction as the reports that it sums.

use anyhow::Result;
use regie_ledger::Counters;
use regie_model::{CampaignId, Nanos, UtcHour, event::RollupKey};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// The table, in `state.db`.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS spend (level INTEGER NOT NULL, period INTEGER NOT NULL, campaign INTEGER NOT NULL, nanos INTEGER NOT NULL,
  PRIMARY KEY (level, period, campaign)) WITHOUT ROWID;
";
const HOURS_OF_DAY: i64 = 24;
const DAYS_OF_BLOCK: i64 = 32;

/// The hour, day and block of an hour, by level.
fn periods(hour: UtcHour) -> [i64; 3] {
    let day = hour.0.div_euclid(HOURS_OF_DAY);
    [hour.0, day, day.div_euclid(DAYS_OF_BLOCK)]
}

/// Adds what some reports have.
pub(super) fn add(connection: &Connection, rollups: &[((UtcHour, RollupKey), Counters)]) -> Result<()> {
    let mut sums: BTreeMap<(i64, i64, CampaignId), i128> = BTreeMap::new();
    for ((hour, key), counters) in rollups {
        let net = counters.net_nanos().0;
        for (level, period) in (0..).zip(periods(*hour)).filter(|_| net != 0) {
            *sums.entry((level, period, key.campaign)).or_default() += net;
        }
    }
    let sql = "INSERT INTO spend VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET nanos = nanos + ?4";
    let mut put = connection.prepare_cached(sql)?;
    for ((level, period, campaign), nanos) in sums {
        put.execute(params![level, period, campaign.0, nanos as i64])?;
    }
    Ok(())
}

/// Sums the reports of a file that has none of these sums yet.
pub(super) fn make(connection: &Connection) -> Result<()> {
    let made: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'spend')", [], |r| r.get(0))?;
    if made {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute("DELETE FROM spend", [])?;
    {
        let sql =
            "SELECT hour, campaign, sum(spend_nanos - credited_nanos) FROM rollups GROUP BY hour, campaign";
        let mut statement = transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        let sql = "INSERT INTO spend VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET nanos = nanos + ?4";
        let mut put = transaction.prepare_cached(sql)?;
        while let Some(row) = rows.next()? {
            let (campaign, nanos): (u32, i64) = (row.get(1)?, row.get(2)?);
            for (level, period) in (0..3i64).zip(periods(UtcHour(row.get(0)?))).filter(|_| nanos != 0) {
                put.execute(params![level, period, campaign, nanos])?;
            }
        }
    }
    transaction.execute("INSERT INTO meta VALUES ('spend', 1)", [])?;
    Ok(transaction.commit()?)
}

/// What each campaign spent since the beginning of an hour, net of credits.
///
/// # Errors
/// SQLite's error.
pub fn since(connection: &Connection, hour: UtcHour) -> Result<Vec<(CampaignId, Nanos)>> {
    let [_, day, _] = periods(UtcHour(hour.0.saturating_add(HOURS_OF_DAY - 1)));
    // The first whole day and the first whole block.
    let whole_block = day.saturating_add(DAYS_OF_BLOCK - 1).div_euclid(DAYS_OF_BLOCK);
    let sql = "SELECT campaign, sum(nanos) FROM (
        SELECT campaign, nanos FROM spend WHERE level = 0 AND period >= ?1 AND period < ?2
        UNION ALL SELECT campaign, nanos FROM spend WHERE level = 1 AND period >= ?3 AND period < ?4
        UNION ALL SELECT campaign, nanos FROM spend WHERE level = 2 AND period >= ?5) GROUP BY campaign";
    let mut statement = connection.prepare_cached(sql)?;
    let ends = [day.saturating_mul(HOURS_OF_DAY), whole_block.saturating_mul(DAYS_OF_BLOCK)];
    let rows = statement.query_map(params![hour.0, ends[0], day, ends[1], whole_block], |r| {
        Ok((CampaignId(r.get(0)?), Nanos(i128::from(r.get::<_, i64>(1)?))))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::state_db::{Flush, StateDb};

    fn flush(rows: &[(i64, u32, i128)]) -> Flush {
        let row = |(hour, campaign, nanos): &(i64, u32, i128)| {
            let key = RollupKey {
                campaign: CampaignId(*campaign),
                ad_set: regie_model::AdSetId(1),
                ad: regie_model::AdId(1),
                version: regie_model::VersionId(1),
                placement: regie_model::PlacementId(1),
                country: [0, 0],
                device: 0,
            };
            let counters = Counters { gross_nanos: Nanos(*nanos), ..Counters::default() };
            ((UtcHour(*hour), key), counters)
        };
        Flush { rollups: rows.iter().map(row).collect(), ..Flush::default() }
    }
    fn slowly(state: &StateDb, hour: i64) -> Vec<(CampaignId, Nanos)> {
        let sql = "SELECT campaign, sum(spend_nanos - credited_nanos) FROM rollups WHERE hour >= ?1 GROUP BY campaign";
        let mut statement = state.connection().prepare(sql).unwrap();
        let rows = statement
            .query_map([hour], |r| Ok((CampaignId(r.get(0)?), Nanos(i128::from(r.get::<_, i64>(1)?)))))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn the_sums_since_any_hour_are_those_of_the_reports() {
        let mut state = StateDb::in_memory().unwrap();
        // Two campaigns over three blocks; hours 0, 7, 14, ... so that every hour of the day occurs.
        let rows: Vec<(i64, u32, i128)> =
            (0..330).map(|n| (15_000 + n * 7, 1 + (n % 2) as u32, 1_000 + i128::from(n))).collect();
        for some in rows.chunks(50) {
            state.flush(&flush(some)).unwrap();
        }
        // More of an hour that was counted already.
        state.flush(&flush(&[(15_000, 1, 5), (17_303, 2, 9)])).unwrap();
        for hour in (14_990..17_320).chain([0, i64::MIN, i64::MAX - 1]) {
            assert_eq!(since(state.connection(), UtcHour(hour)).unwrap(), slowly(&state, hour), "{hour}");
        }
    }
    #[test]
    fn a_file_without_the_sums_is_summed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        {
            let mut state = StateDb::open(&path).unwrap();
            state.flush(&flush(&[(15_000, 1, 5), (15_900, 1, 7), (15_900, 2, 9)])).unwrap();
            state
                .connection()
                .execute_batch("DROP TABLE spend; DELETE FROM meta WHERE key = 'spend'")
                .unwrap();
        }
        for _ in 0..2 {
            let state = StateDb::open(&path).unwrap();
            let told = since(state.connection(), UtcHour(0)).unwrap();
            assert_eq!(told, [(CampaignId(1), Nanos(12)), (CampaignId(2), Nanos(9))]);
        }
    }
}
