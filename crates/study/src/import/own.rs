//! Regie's own record as a source: exact figures, no file.
//!
//! The caller hands over entries (from the public record, whose figures are exact); they become a
//! snapshot like any other, so that the same ranking runs on them and on other platforms together.

use crate::amount::{Amount, Currency, Rule};
use crate::day::Day;
use crate::error::Result;
use crate::store::{Coverage, Dataset, Fact, KnownBasis, Snapshot, SnapshotId, Window};
use crate::subject::Subject;

/// One ad's figures over some days, exact.
#[derive(Clone, Debug)]
pub struct OwnEntry {
    /// Advertiser account id.
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
    /// First day counted.
    pub from: Day,
    /// Last day counted.
    pub to: Day,
    /// Billed, in micros.
    pub spend_micros: i64,
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

impl super::Importer<'_> {
    /// Imports own entries as one snapshot. The same entries twice change nothing.
    ///
    /// # Errors
    /// Those of the store. A negative figure is kept aside like any malformed row.
    pub fn own_record(
        &mut self,
        source: &OwnSource,
        entries: impl IntoIterator<Item = OwnEntry>,
    ) -> Result<super::Outcome> {
        let entries: Vec<OwnEntry> = entries.into_iter().collect();
        let mut hash = blake3::Hasher::new();
        for e in &entries {
            hash.update(format!("{e:?}").as_bytes());
        }
        let snapshot = Snapshot {
            id: SnapshotId(0),
            platform: "regie".into(),
            layout: "regie-record".into(),
            dataset: Dataset::Ad,
            country: source.country.clone(),
            place: String::new(),
            window: Window { name: "record".into(), from: source.window.0, to: source.window.1 },
            known_on: source.known_on,
            known_basis: KnownBasis::Given,
            rule: Rule::Exact,
            coverage: Coverage::Complete,
            cite: format!(
                "{}, public advertising record, checkpoint {}",
                source.publisher, source.checkpoint
            ),
            file: "record".into(),
            content_hash: hash.finalize().to_hex().to_string(),
            parallel_currencies: false,
            rows_count: 0,
            bad_rows_count: 0,
            is_done: false,
            notes: Vec::new(),
        };
        self.store_all(&snapshot, |writer| {
            for (index, e) in entries.iter().enumerate() {
                if e.spend_micros < 0 || e.impressions_count < 0 || e.to < e.from {
                    writer.bad(
                        index as u64 + 1,
                        "a negative figure, or the last day before the first",
                        b"",
                    )?;
                    continue;
                }
                let subject = Subject {
                    platform: "regie",
                    account: &e.account,
                    name: &e.sponsor,
                    payer: &e.payer,
                    ids: "",
                };
                writer.push(&Fact {
                    subject,
                    place: &e.region,
                    election: &e.election,
                    currency: e.currency.code(),
                    from: e.from,
                    to: e.to,
                    spend: Amount::exact(e.spend_micros),
                    views: Amount::exact(e.impressions_count),
                    ads: 1,
                    item: &e.ad,
                })?;
            }
            Ok(entries.len() as u64)
        })
    }
}
