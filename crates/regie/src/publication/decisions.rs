//! Decisions on reports of ads (Regulation (EU) 2024/900, Art. 15) as versions in the log: what was found, when it was due and when
//! it was made, the publisher's reasons. Nothing of who reported, and none of their words (R4, J1).

use super::{Publication, db::RecordDb, salt};
use anyhow::Result;
use regie_model::{AdId, ReportId, UtcMs, booking::Outcome};
use regie_record::{
    canonical::canonical,
    commit::{Object, Sha256Hash},
    dayclose::REASON_PART,
    leaf::{Commitment, Kind, LEAF_SCHEMA, Leaf, Sheet},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the part `decision.REPORT` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The report.
    pub report: ReportId,
    /// On what grounds the ad was reported, in words of a list.
    pub grounds: Vec<String>,
    /// When it was reported.
    pub filed_at: UtcMs,
    /// By when an answer was due.
    pub due_at: UtcMs,
    /// When it was decided.
    pub decided_at: UtcMs,
    /// What was found.
    pub outcome: Outcome,
}

/// A decision as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Place in the log.
    pub index: u64,
    /// What was decided; none where it is withheld.
    pub decided: Option<Decided>,
    /// Why, in the publisher's words; empty where withheld.
    pub reason: String,
}

/// The part of a decision on a report.
fn part_of(report: ReportId) -> String {
    format!("decision.{report}")
}

/// Decisions on reports of an ad, oldest first, as known at a size of the log.
///
/// # Errors
/// SQLite's error; a leaf that cannot be read.
pub fn of(db: &RecordDb, ad: AdId, size: Option<u64>) -> Result<Vec<Line>> {
    let content = |leaf: &Leaf, part: &str| {
        let hash = leaf.commitment(part)?;
        Object::open(hash, &db.object(&hash)?).map(<[u8]>::to_vec)
    };
    let versions = db.versions(ad, size)?;
    let decisions = versions.into_iter().filter(|v| v.leaf.kind == Kind::Decision);
    let line = |version: regie_record::known::Version| {
        let part =
            version.leaf.commitments.iter().map(|c| c.part.as_str()).find(|p| p.starts_with("decision."));
        Line {
            index: version.index,
            decided: part.and_then(|p| serde_json::from_slice(&content(&version.leaf, p)?).ok()),
            reason: content(&version.leaf, REASON_PART)
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default(),
        }
    };
    Ok(decisions.map(line).collect())
}

impl Publication {
    /// Publishes every decision that is not in the log yet; how many.
    ///
    /// # Errors
    /// SQLite's and the log's; then it is to be called again.
    pub fn publish_decisions(&self, position: u64) -> Result<usize> {
        let decided: Vec<(AdId, Decided, String)> = {
            let catalogue = self.platform.catalogue();
            let of = catalogue.reports.iter().filter_map(|(id, report)| {
                let (decision, at) = report.decided.as_ref()?;
                let decided = Decided {
                    report: *id,
                    grounds: report.spec.grounds.clone(),
                    filed_at: report.filed_at,
                    due_at: report.spec.due_at,
                    decided_at: *at,
                    outcome: decision.outcome,
                };
                Some((report.spec.ad, decided, decision.reason.clone()))
            });
            of.collect()
        };
        if decided.is_empty() {
            return Ok(0);
        }
        let known = self.published_decisions()?;
        let mut count = 0;
        for (ad, decided, reason) in decided {
            if known.contains(&part_of(decided.report)) || self.db().facts(ad)?.is_none() {
                continue;
            }
            let sheet = self.decision_sheet(ad, &decided, &reason)?;
            self.publish(&[sheet], position, None)?;
            count += 1;
        }
        Ok(count)
    }
    fn published_decisions(&self) -> Result<BTreeSet<String>> {
        let db = self.db();
        let mut statement =
            db.connection().prepare_cached("SELECT bytes FROM leaves WHERE kind = 'decision'")?;
        let mut known = BTreeSet::new();
        for bytes in statement.query_map([], |r| r.get::<_, Vec<u8>>(0))? {
            let leaf = Leaf::parse(&bytes?)?;
            known.extend(leaf.commitments.into_iter().map(|c| c.part));
        }
        Ok(known)
    }
    fn decision_sheet(&self, ad: AdId, decided: &Decided, reason: &str) -> Result<Sheet> {
        let before = self.db().latest(ad, Kind::Decision, None)?;
        let mut failed = None;
        let mut objects =
            vec![(part_of(decided.report), Object::new(salt(&mut failed), &canonical(decided)?))];
        if !reason.is_empty() {
            objects.push((REASON_PART.to_owned(), Object::new(salt(&mut failed), reason.as_bytes())));
        }
        anyhow::ensure!(failed.is_none(), "no randomness for a salt");
        let mut commitments: Vec<Commitment> =
            objects.iter().map(|(part, o)| Commitment { part: part.clone(), sha256: o.hash }).collect();
        commitments.sort();
        let now = self.now();
        let follows = before.as_ref().map(|leaf| leaf.to_bytes().map(|b| Sha256Hash::of(&b))).transpose()?;
        let leaf = Leaf {
            schema: LEAF_SCHEMA,
            kind: Kind::Decision,
            ad,
            version: before.as_ref().map_or(1, |leaf| leaf.version + 1),
            at: before.as_ref().map_or(now, |leaf| now.max(leaf.at)),
            follows,
            figures: None,
            commitments,
        };
        Ok(Sheet::new(leaf, objects.into_iter().map(|(_, object)| object).collect())?)
    }
}
