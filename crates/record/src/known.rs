//! The record in two times: what a fact was about, and when the record knew it. "As known on a date", and what changed
//! between two dates.
//!
//! Reads versions as the log gives them, in its order; refuses to judge them.

use crate::{
    Entry, Facts, Figures,
    commit::{Object, Sha256Hash},
    dayclose::{AUDIENCE_PART, Audience},
    leaf::{Amounts, DayFigures, Kind, Leaf},
};
use regie_model::{AdId, Day, UtcMs};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One published version of something about one ad.
#[derive(Clone, Debug)]
pub struct Version {
    /// Place in the log, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// The facts, on a leaf of facts whose object is held.
    pub facts: Option<Facts>,
    /// On a day's first version: the places that its ad set matched, at least, where they were counted and are held.
    pub matched_count: Option<u64>,
}
impl Version {
    /// Of a leaf in the log, with what its objects say.
    pub fn read(index: u64, leaf: Leaf, object: &dyn Fn(&Sha256Hash) -> Option<Vec<u8>>) -> Version {
        let facts = match leaf.kind {
            Kind::Facts => Facts::read(&leaf, object).ok(),
            Kind::Figures | Kind::Decision => None,
        };
        let audience = || -> Option<Audience> {
            let hash = leaf.commitment(AUDIENCE_PART)?;
            serde_json::from_slice(Object::open(hash, &object(&hash)?)?).ok()
        };
        let matched_count = audience().map(|audience| audience.matched_count);
        Version { index, leaf, facts, matched_count }
    }
}

/// An ad as the record knew it at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownAd {
    /// The facts.
    pub facts: Facts,
    /// Place in the log of their version.
    pub facts_index: u64,
    /// Number of their version.
    pub facts_version: u32,
    /// When that version was made.
    pub facts_at: UtcMs,
    /// The days' figures as last published then.
    pub days: BTreeMap<Day, DayFigures>,
    /// Places that its ad set matched on those days, at least; none where no day says so.
    pub matched_count: Option<u64>,
}

/// What the record knew of one ad at `at`: the latest versions made by then. `None`: nothing.
pub fn as_known(versions: &[Version], at: UtcMs) -> Option<KnownAd> {
    let mut facts: Option<(&Version, &Facts)> = None;
    let mut days = BTreeMap::new();
    let mut matched: BTreeMap<Day, u64> = BTreeMap::new();
    for version in versions.iter().filter(|v| v.leaf.at <= at) {
        match (&version.leaf.kind, &version.facts, &version.leaf.figures) {
            (Kind::Facts, Some(read), _) => facts = Some((version, read)),
            (Kind::Figures, _, Some(figures)) => {
                days.insert(figures.day, figures.clone());
                // A later version of the day keeps the count of its first.
                matched.extend(version.matched_count.map(|count| (figures.day, count)));
            }
            _ => {}
        }
    }
    let (version, read) = facts?;
    Some(KnownAd {
        facts: read.clone(),
        facts_index: version.index,
        facts_version: version.leaf.version,
        facts_at: version.leaf.at,
        days,
        matched_count: matched.into_values().reduce(u64::saturating_add),
    })
}

impl KnownAd {
    /// The ad: it has an id of its own.
    pub fn id(&self) -> AdId {
        self.facts.id
    }
    /// All published days together.
    pub fn total(&self) -> Amounts {
        let zero = Amounts::zero(self.facts.currency);
        self.days.values().fold(zero, |sum, day| sum.plus(&day.amounts).unwrap_or(sum))
    }
    /// The published figures in the form that entries are built from.
    pub fn figures(&self) -> Figures {
        let total = self.total();
        Figures {
            impressions_count: total.impressions_count,
            clicks_count: total.clicks_count,
            conversions_count: total.conversions_count,
            gross: total.gross_nanos,
            credited: total.credited_nanos,
            matched_count: self.matched_count,
            days: self.days.iter().map(|(d, f)| (*d, f.amounts.impressions_count, f.amounts.net())).collect(),
        }
    }
    /// The entry as it read then; `campaign`: figures of the whole campaign as known then.
    pub fn entry(&self, campaign: &Figures, at: UtcMs) -> Entry {
        self.facts.entry(&self.figures(), campaign, at)
    }
}

/// One difference: where, and both values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Such as `targeting.words` or `days.2026-11-20.spend_nanos`.
    pub path: String,
    /// Absent: there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Absent: there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What differs between two values, leaf by leaf. Lists are compared by place.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(before), Some(after), &mut found);
    found
}
fn walk(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().for_each(|key| walk(&inner(key), a.get(key), b.get(key), found));
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            (0..a.len().max(b.len())).for_each(|i| walk(&inner(&i.to_string()), a.get(i), b.get(i), found));
        }
        _ => found.push(Difference { path: path.into(), before: before.cloned(), after: after.cloned() }),
    }
}

/// What changed of an ad between two moments: facts by field, days by figure.
pub fn changes(before: Option<&KnownAd>, after: Option<&KnownAd>) -> Vec<Difference> {
    let value = |known: Option<&KnownAd>| {
        known.map_or(Value::Null, |known| {
            let days: serde_json::Map<String, Value> = known
                .days
                .iter()
                .map(|(day, f)| {
                    let amounts = serde_json::to_value(&f.amounts).unwrap_or_default();
                    (day.to_string(), serde_json::json!({ "stage": f.stage, "amounts": amounts }))
                })
                .collect();
            serde_json::json!({ "facts": known.facts, "days": days })
        })
    };
    differences(&value(before), &value(after))
}
