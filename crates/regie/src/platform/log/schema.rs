//! What entries about ads must be, for the verifier: their schema, and daily figures against totals.

use regie_model::{AdId, booking::TemplateSpec, creative::ObjectHash};
use regie_record::{
    TEMPLATE_PART,
    dayclose::{MANIFEST_PART, Shown, manifest_root},
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
    templates: HashMap<AdId, TemplateSpec>,
}

impl Entries {
    /// A day's manifest gives its root, adds up to the day, and every combination of a template is what the template makes of it:
    /// what was shown can be shown again.
    fn manifest(&self, leaf: &Leaf, content: Option<Vec<u8>>) -> Vec<String> {
        let (Some(figures), Some(content)) = (&leaf.figures, content) else { return Vec::new() };
        let fault = |what: String| vec![format!("{}, manifest of {}: {what}", leaf.ad, figures.day)];
        let lines: Vec<Shown> = match serde_json::from_slice(&content) {
            Ok(lines) => lines,
            Err(error) => return fault(error.to_string()),
        };
        if manifest_root(&lines).ok() != figures.manifest {
            return fault("its lines do not give its root".into());
        }
        let counts = lines.iter().try_fold(0u64, |sum, line| sum.checked_add(line.impressions_count));
        if leaf.version == 1 && counts != Some(figures.amounts.impressions_count) {
            return fault("its impressions are not those of the day".into());
        }
        let Some(template) = self.templates.get(&leaf.ad) else { return Vec::new() };
        for line in &lines {
            let Some(code) = line.version.template_code() else { continue };
            let made = template.creative(code).map(|creative| ObjectHash::of(&creative.to_bytes()));
            if made != Some(line.creative) {
                return fault(format!("{} is not what the template makes of it", line.version));
            }
        }
        Vec::new()
    }
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
        let content = |part: &str| Some(objects.get(part)?.get(SALT_BYTES..)?.to_vec());
        match leaf.kind {
            Kind::Facts => {
                if let Some(template) = content(TEMPLATE_PART) {
                    match serde_json::from_slice(&template) {
                        Ok(template) => drop(self.templates.insert(leaf.ad, template)),
                        Err(_) => wrong.push(format!("{}: its template cannot be read", leaf.ad)),
                    }
                }
            }
            Kind::Figures => wrong.extend(self.manifest(&leaf, content(MANIFEST_PART))),
            Kind::Decision => {
                let of = leaf.commitments.iter().filter(|c| c.part.starts_with("decision.")).count();
                if of != 1 {
                    wrong.push(format!("{}: a decision is on one report, not on {of}", leaf.ad));
                }
            }
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
