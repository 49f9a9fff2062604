//! What entries about ads must be, for the verifier: their schema, and daily figures against totals.

use regie_record::{
    leaf::{Amounts, Kind, Leaf},
    log::{
        Envelope, Hash,
        day::{DayCommitment, DayTree, LEAVES_PART},
        hash::SALT_BYTES,
        leaf::KIND_DAY,
        verify::Schema,
    },
};
use std::collections::{BTreeMap, HashMap};

/// Reads every entry by its schema; keeps the newest figures of each ad and day.
#[derive(Default)]
pub struct Entries {
    days: HashMap<String, BTreeMap<i32, Amounts>>,
    newest: HashMap<String, (u64, Amounts)>,
    last: HashMap<(String, Option<i32>), Hash>,
}

impl Schema for Entries {
    fn leaf(&mut self, index: u64, bytes: &[u8], objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        if let Ok(envelope) = Envelope::read(bytes) {
            return own(&envelope, objects);
        }
        let leaf = match Leaf::parse(bytes) {
            Ok(leaf) => leaf,
            Err(error) => return vec![error.to_string()],
        };
        let mut wrong = Vec::new();
        let day = leaf.figures.as_ref().map(|figures| figures.day.0);
        let name = (format!("{:?} {}", leaf.kind, leaf.ad), day);
        let follows = leaf.follows.map(|hash| Hash(hash.0));
        let before = self.last.insert(name, Hash::of(bytes));
        if leaf.version > 1 && follows != before {
            wrong.push(format!("{} follows another version than the one before it", leaf.ad));
        }
        if let (Kind::Figures, Some(figures)) = (leaf.kind, &leaf.figures) {
            let of_ad = self.days.entry(leaf.ad.to_string()).or_default();
            let said = of_ad.insert(figures.day.0, figures.amounts.clone());
            if figures.before.is_some() && figures.before != said {
                wrong.push(format!(
                    "{}: a correction of {} does not name what was said before",
                    leaf.ad, figures.day
                ));
            }
            self.newest.insert(leaf.ad.to_string(), (index, figures.total.clone()));
        }
        wrong
    }
    fn finish(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (ad, (index, total)) in &self.newest {
            let mut days = self.days.get(ad).into_iter().flat_map(BTreeMap::values);
            let sum = days.try_fold(Amounts::zero(total.currency), |sum, day| sum.plus(day));
            if sum.as_ref() != Some(total) {
                wrong.push(format!("{ad}: the days do not sum to the total that entry {index} states"));
            }
        }
        wrong.sort();
        wrong
    }
}

/// A day's list gives the day's root.
fn own(leaf: &Envelope, objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let list = objects.get(LEAVES_PART).and_then(|object| object.get(SALT_BYTES..));
    let (KIND_DAY, Some(list)) = (leaf.kind.as_str(), list) else { return Vec::new() };
    match leaf.body_as::<DayCommitment>() {
        Ok(said) => DayTree::check(list, &said, &leaf.id).err().into_iter().collect(),
        Err(error) => vec![error.to_string()],
    }
}
