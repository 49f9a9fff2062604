//! Regie's own record as a source: exact figures, from the data folder or from a record's published JSON.
//!
//! One fact a day and ad. Money is exact to the nano-unit in the ledger and to the micro here: what an ad cost up to
//! a day is rounded once (half to even), and a day is the difference of two such sums, so that nothing adds up. A
//! credit that outweighs a day is taken from the days before it. Refuses figures that no ledger can have.

use crate::amount::{Amount, Currency, Rule};
use crate::day::Day;
use crate::error::Result;
use crate::store::{Coverage, Dataset, Fact, KnownBasis, Snapshot, SnapshotId, Window, Writer};
use crate::subject::Subject;
use std::collections::BTreeMap;

/// The platform code of a Regie record.
pub const PLATFORM: &str = "regie";
/// Nano-units in a micro-unit.
const NANOS_PER_MICRO: i128 = 1_000;

/// One ad's figures of one day, exact.
#[derive(Clone, Debug)]
pub struct OwnEntry {
    /// The sponsor's number in the record, or another id that stays when the name changes.
    pub account: String,
    /// Sponsor: who the ad is for.
    pub sponsor: String,
    /// Who pays; empty when the sponsor does.
    pub payer: String,
    /// Id of the ad in the record.
    pub ad: String,
    /// Region, or empty.
    pub region: String,
    /// Linked election, or empty.
    pub election: String,
    /// Currency of the account.
    pub currency: Currency,
    /// The day, in the account's zone.
    pub day: Day,
    /// Charged less credits, in nano-units; below zero where credits of the day outweigh its charges.
    pub spend_nanos: i128,
    /// Impressions.
    pub impressions_count: i64,
}

/// What a set of own entries is.
#[derive(Clone, Debug)]
pub struct OwnSource {
    /// Name of the publisher, for citation.
    pub publisher: String,
    /// Country code, or empty.
    pub country: String,
    /// The day of the record's checkpoint the entries were read at.
    pub known_on: Day,
    /// First and last day of the record.
    pub window: (Day, Day),
    /// The checkpoint, for citation: its root hash or its address.
    pub checkpoint: String,
}

/// What an ad cost day by day, in micros: never below zero, and in all what the nano-units come to, rounded once.
pub(super) fn days_in_micros(nanos: &[i128]) -> Vec<i64> {
    let mut sums: Vec<i128> = nanos
        .iter()
        .scan(0i128, |sum, day| {
            *sum = sum.saturating_add(*day);
            Some(*sum)
        })
        .collect();
    // A later credit lowers what stood before it.
    let mut least = i128::MAX;
    for sum in sums.iter_mut().rev() {
        least = least.min(*sum);
        *sum = round_half_even(least.max(0));
    }
    let mut before = 0;
    let mut days = Vec::with_capacity(sums.len());
    for sum in sums {
        days.push(i64::try_from(sum - before).unwrap_or(i64::MAX));
        before = sum;
    }
    days
}

fn round_half_even(nanos: i128) -> i128 {
    let (whole, rest) = (nanos / NANOS_PER_MICRO, nanos % NANOS_PER_MICRO * 2);
    whole + i128::from(rest > NANOS_PER_MICRO || (rest == NANOS_PER_MICRO && whole % 2 == 1))
}

/// Stores the days of one ad, oldest first. All entries must be of that ad.
pub(super) fn store_ad(days: &[&OwnEntry], writer: &mut Writer<'_>) -> Result<()> {
    let nanos: Vec<i128> = days.iter().map(|e| e.spend_nanos).collect();
    for (index, (e, micros)) in days.iter().zip(days_in_micros(&nanos)).enumerate() {
        let subject = Subject {
            platform: PLATFORM,
            account: &e.account,
            name: &e.sponsor,
            payer: if e.payer == e.sponsor { "" } else { &e.payer },
            ids: "",
        };
        writer.push(&Fact {
            subject,
            place: &e.region,
            election: &e.election,
            currency: e.currency.code(),
            from: e.day,
            to: e.day,
            spend: Amount::exact(micros),
            views: Amount::exact(e.impressions_count),
            // The ad counts once, with its first day.
            ads: i64::from(index == 0),
            item: &format!("{} {}", e.ad, e.day),
        })?;
    }
    Ok(())
}

impl super::Importer<'_> {
    /// Imports own entries as one snapshot. The same entries twice change nothing.
    ///
    /// # Errors
    /// Those of the store. Negative impressions are kept aside like any malformed row.
    pub fn own_record(
        &mut self,
        source: &OwnSource,
        entries: impl IntoIterator<Item = OwnEntry>,
    ) -> Result<super::Outcome> {
        let mut ads: BTreeMap<String, Vec<OwnEntry>> = BTreeMap::new();
        for entry in entries {
            ads.entry(entry.ad.clone()).or_default().push(entry);
        }
        let mut hash = blake3::Hasher::new();
        for days in ads.values_mut() {
            days.sort_by_key(|e| e.day);
            for entry in days.iter() {
                hash.update(format!("{entry:?}").as_bytes());
            }
        }
        let cite =
            format!("{}, public advertising record, checkpoint {}", source.publisher, source.checkpoint);
        let snapshot = Snapshot {
            id: SnapshotId(0),
            platform: PLATFORM.into(),
            layout: "regie-record".into(),
            dataset: Dataset::Ad,
            country: source.country.clone(),
            place: String::new(),
            window: Window { name: "record".into(), from: source.window.0, to: source.window.1 },
            known_on: source.known_on,
            known_basis: KnownBasis::Given,
            rule: Rule::Exact,
            coverage: Coverage::Complete,
            cite,
            file: "record".into(),
            content_hash: hash.finalize().to_hex().to_string(),
            parallel_currencies: false,
            rows_count: 0,
            bad_rows_count: 0,
            is_done: false,
            notes: Vec::new(),
        };
        self.store_all(&snapshot, |writer| {
            let mut count = 0;
            for days in ads.values() {
                let (good, bad): (Vec<&OwnEntry>, Vec<&OwnEntry>) =
                    days.iter().partition(|e| e.impressions_count >= 0);
                for _ in bad {
                    writer.bad(count + 1, "a negative number of impressions", b"")?;
                }
                store_ad(&good, writer)?;
                count += days.len() as u64;
                if writer.is_full() {
                    writer.flush_only()?;
                }
            }
            Ok(count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_add_up_to_the_ad_rounded_once() {
        assert_eq!(days_in_micros(&[400, 400, 400]), [0, 1, 0]);
        assert_eq!(days_in_micros(&[1_500, 1_000]), [2, 0]);
        assert_eq!(days_in_micros(&[2_500]), [2]);
        assert_eq!(days_in_micros(&[5_000, -3_000, 4_000]), [2, 0, 4]);
        assert_eq!(days_in_micros(&[1_000, -5_000]), [0, 0]);
        assert_eq!(days_in_micros(&[]), [0i64; 0]);
    }
}
