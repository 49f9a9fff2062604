//! What decisions read of the learner: for each ad set that learns a table of its versions, for each template a table of its
//! combinations, each with exact propensities.
//!
//! Part of [`crate::Tables`], kept by hash for replay (law D1). A table is a record of posterior draws; what a catalogue lets be
//! shown here and now is settled at the decision, and probabilities are renormalised over exactly that (law D2): a retired version
//! is never drawn, a new one has its part of the exploration at once. Refuses to learn, and a rate above the ad set's row, so that
//! bounds by row stay bounds.

use regie_learn::{
    allocation::{Allocation, AllocationRecord, Entry},
    template::{Constraint, Slot, Space},
};
use regie_model::{
    AdId, AdSetId, PlacementId, VersionId,
    booking::{ContextFacts, LearningContext, TemplateSpec},
    creative::ObjectHash,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Parts per million in 1.
const PPM: u32 = 1_000_000;

/// A version that won posterior draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Winner {
    /// Its ad.
    pub ad: AdId,
    /// Which; of a template as a whole, the version of its code 0.
    pub version: VersionId,
    /// How many draws it won.
    pub won: u16,
    /// Its expected rate when the table was made, parts per billion.
    pub rate_ppb: u32,
    /// Impressions that it had then.
    pub impressions_count: u32,
}

/// The table of an ad set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedSet {
    /// What its parts are told apart by.
    pub context: LearningContext,
    /// Share of impressions drawn by booked weights over all that may be shown, parts per million; above zero.
    pub explore_ppm: u32,
    /// Winners by number of the context, the most frequent first.
    pub parts: Vec<Vec<Winner>>,
    /// Expected rate by number of the context, parts per million of the row's; empty: the same everywhere.
    pub context_ppm: Vec<u32>,
    /// Expected rate by placement, parts per million of the row's; ascending by placement.
    pub place_ppm: Vec<(PlacementId, u32)>,
    /// The same where a placement has none.
    pub elsewhere_ppm: u32,
}
impl Default for LearnedSet {
    fn default() -> LearnedSet {
        LearnedSet {
            context: LearningContext::None,
            explore_ppm: PPM,
            parts: Vec::new(),
            context_ppm: Vec::new(),
            place_ppm: Vec::new(),
            elsewhere_ppm: PPM,
        }
    }
}
impl LearnedSet {
    /// Winners in a context.
    pub fn winners(&self, facts: &ContextFacts) -> &[Winner] {
        self.parts.get(self.context.number(facts)).map_or(&[], Vec::as_slice)
    }
    /// Expected rate here, parts per million of the row's: 1 to a million.
    pub fn rate_ppm(&self, facts: &ContextFacts) -> u64 {
        let in_context = match self.context_ppm.as_slice() {
            [] => PPM,
            list => list.get(self.context.number(facts)).copied().unwrap_or(PPM),
        };
        let place = self.place_ppm.binary_search_by_key(&facts.placement, |(id, _)| *id);
        let place = place.ok().map_or(self.elsewhere_ppm, |at| self.place_ppm[at].1);
        (u64::from(in_context.min(PPM)) * u64::from(place.min(PPM)) / u64::from(PPM)).max(1)
    }
}

/// The table of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearnedTemplate {
    /// Winners of posterior draws, by context.
    pub record: AllocationRecord,
    /// What each entry's assets add to its log-odds, thousandths, by context, entry and slot.
    pub parts_milli: Vec<Vec<Vec<i16>>>,
    /// Its expected rate by entry, parts per billion, by context.
    pub rates_ppb: Vec<Vec<u32>>,
    /// Made ready for one form of the template; a cache.
    #[serde(skip)]
    ready: Option<Arc<Ready>>,
}
impl PartialEq for LearnedTemplate {
    fn eq(&self, other: &LearnedTemplate) -> bool {
        self.record == other.record
            && self.parts_milli == other.parts_milli
            && self.rates_ppb == other.rates_ppb
    }
}
impl LearnedTemplate {
    /// From its parts.
    pub fn new(
        record: AllocationRecord,
        parts_milli: Vec<Vec<Vec<i16>>>,
        rates_ppb: Vec<Vec<u32>>,
    ) -> LearnedTemplate {
        LearnedTemplate { record, parts_milli, rates_ppb, ready: None }
    }
    /// The same, ready for a template as it is booked now. Changes how long a decision takes, never what it decides.
    #[must_use]
    pub fn made_ready(mut self, facts: &TemplateFacts) -> LearnedTemplate {
        self.ready = Some(Arc::new(Ready::new(facts, &self.record)));
        self
    }
}

/// A table compiled, with the hashes of what its entries show.
#[derive(Debug)]
struct Ready {
    key: u64,
    allocation: Allocation,
    /// Ascending by code.
    hashes: Vec<(u32, ObjectHash)>,
}
impl Ready {
    fn new(facts: &TemplateFacts, record: &AllocationRecord) -> Ready {
        let allocation = fitting(&facts.space, record).unwrap_or_else(|| facts.even.clone());
        let contexts = 0..facts.space.contexts_count();
        let codes = contexts.flat_map(|context| allocation.entries(context)).map(|entry| entry.code.0);
        let mut codes: Vec<u32> = codes.collect();
        codes.sort_unstable();
        codes.dedup();
        let hashes = codes.into_iter().filter_map(|code| Some((code, facts.hash(code)?))).collect();
        Ready { key: facts.key, allocation, hashes }
    }
}

/// The table of a record over what may be shown now: entries that may not be shown make way for the context's best that may.
fn fitting(space: &Space, record: &AllocationRecord) -> Option<Allocation> {
    if let Some(allocation) = Allocation::of_record(space, record) {
        return Some(allocation);
    }
    let weight = |entries: &[Entry]| entries.iter().map(Entry::weight).sum::<u32>();
    let contexts = record.contexts.iter().map(|entries| {
        let shown = |entry: &&Entry| space.decode(entry.code).is_some_and(|assets| space.may_show(&assets));
        let mut left: Vec<Entry> = entries.iter().filter(shown).cloned().collect();
        let missing = weight(entries).saturating_sub(weight(&left)) as u16;
        match left.first_mut() {
            Some(best) => best.kept = best.kept.saturating_add(missing),
            None => left.push(Entry { code: space.encode(&space.some_version()), won: 0, kept: missing }),
        }
        left
    });
    let contexts = contexts.collect();
    Allocation::of_record(space, &AllocationRecord { explore_ppm: record.explore_ppm, contexts })
}

/// A template as decisions read it.
#[derive(Debug)]
pub struct TemplateFacts {
    ad: AdId,
    spec: TemplateSpec,
    space: Space,
    /// Names this form of it: which assets may be shown, which may not meet.
    key: u64,
    /// The table before anything is known.
    even: Allocation,
}
/// Draws of the table that stands before anything is known.
const EVEN_DRAWS_COUNT: u16 = 256;

/// A combination, drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DrawnCode {
    pub(crate) code: u32,
    pub(crate) propensity: f64,
    pub(crate) creative: ObjectHash,
}

impl TemplateFacts {
    /// Compiles an approved template; `None` where nothing of it may be shown.
    pub fn new(ad: AdId, spec: &TemplateSpec) -> Option<TemplateFacts> {
        let space = space_of(spec)?;
        let explore_ppm = regie_model::booking::EXPLORE_PPM;
        let even = Allocation::even(&space, explore_ppm, EVEN_DRAWS_COUNT, u64::from(ad.0));
        Some(TemplateFacts { ad, spec: spec.clone(), space, key: spec.key(), even })
    }
    /// Its ad.
    pub fn ad(&self) -> AdId {
        self.ad
    }
    /// As booked and approved.
    pub fn spec(&self) -> &TemplateSpec {
        &self.spec
    }
    /// Its versions as the learner numbers them.
    pub fn space(&self) -> &Space {
        &self.space
    }
    fn hash(&self, code: u32) -> Option<ObjectHash> {
        Some(ObjectHash::of(&self.spec.creative(code)?.to_bytes()))
    }
    /// Draws a combination by 64 even bits.
    pub(crate) fn draw(
        &self,
        learned: Option<&LearnedTemplate>,
        facts: &ContextFacts,
        bits: u64,
    ) -> Option<DrawnCode> {
        let context = self.spec.context.number(facts);
        let ready = learned.and_then(|l| l.ready.as_deref()).filter(|ready| ready.key == self.key);
        let drawn = match (ready, learned) {
            (Some(ready), _) => ready.allocation.draw(context, bits),
            // Edited a moment ago, or a replay: the same table, made on the spot.
            (None, Some(learned)) => match fitting(&self.space, &learned.record) {
                Some(allocation) => allocation.draw(context, bits),
                None => self.even.draw(context, bits),
            },
            (None, None) => self.even.draw(context, bits),
        };
        let code = drawn.code.0;
        let known = ready.and_then(|ready| {
            let at = ready.hashes.binary_search_by_key(&code, |(code, _)| *code).ok()?;
            Some(ready.hashes[at].1)
        });
        let creative = known.or_else(|| self.hash(code))?;
        Some(DrawnCode { code, propensity: drawn.propensity, creative })
    }
}

/// A booked template as the learner numbers it; `None` where nothing may be shown.
pub fn space_of(spec: &TemplateSpec) -> Option<Space> {
    let slots = spec.slots.iter().map(|slot| Slot {
        capacity: slot.capacity,
        active: slot.assets.iter().map(|asset| !asset.retired).collect(),
    });
    let never =
        spec.never.iter().map(|[a, b]| Constraint { first: (a.slot, a.asset), second: (b.slot, b.asset) });
    Space::new(slots.collect(), spec.context.count(), never.collect()).ok()
}

/// Everything learned, by ad set and by ad; ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    sets: Arc<Vec<(AdSetId, Arc<LearnedSet>)>>,
    templates: Arc<Vec<(AdId, Arc<LearnedTemplate>)>>,
}
impl Learned {
    /// From tables in any order, none twice.
    pub fn new(
        sets: impl IntoIterator<Item = (AdSetId, Arc<LearnedSet>)>,
        templates: impl IntoIterator<Item = (AdId, Arc<LearnedTemplate>)>,
    ) -> Learned {
        let mut sets: Vec<_> = sets.into_iter().collect();
        sets.sort_by_key(|(id, _)| *id);
        sets.dedup_by_key(|(id, _)| *id);
        let mut templates: Vec<_> = templates.into_iter().collect();
        templates.sort_by_key(|(id, _)| *id);
        templates.dedup_by_key(|(id, _)| *id);
        Learned { sets: Arc::new(sets), templates: Arc::new(templates) }
    }
    /// Nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.templates.is_empty()
    }
    /// The tables of ad sets.
    pub fn sets(&self) -> &[(AdSetId, Arc<LearnedSet>)] {
        &self.sets
    }
    /// The tables of templates.
    pub fn templates(&self) -> &[(AdId, Arc<LearnedTemplate>)] {
        &self.templates
    }
    /// The table of an ad set.
    pub fn set(&self, ad_set: AdSetId) -> Option<&LearnedSet> {
        let at = self.sets.binary_search_by_key(&ad_set, |(id, _)| *id).ok()?;
        self.sets.get(at).map(|(_, set)| set.as_ref())
    }
    /// The table of an ad's template.
    pub fn template(&self, ad: AdId) -> Option<&LearnedTemplate> {
        let at = self.templates.binary_search_by_key(&ad, |(id, _)| *id).ok()?;
        self.templates.get(at).map(|(_, template)| template.as_ref())
    }
    /// Every table as an object of its own, with its hash: kept beside the tables that name it (law D1).
    pub fn objects(&self) -> impl Iterator<Item = (ObjectHash, Vec<u8>)> + '_ {
        let sets = self.sets.iter().map(|(_, set)| bytes_of(set.as_ref()));
        let templates = self.templates.iter().map(|(_, template)| bytes_of(template.as_ref()));
        sets.chain(templates).map(|bytes| (ObjectHash::of(&bytes), bytes))
    }
    /// Which tables these are, by hash.
    pub(crate) fn names(&self) -> Names {
        let sets = self.sets.iter().map(|(id, set)| (*id, ObjectHash::of(&bytes_of(set.as_ref()))));
        let templates =
            self.templates.iter().map(|(id, table)| (*id, ObjectHash::of(&bytes_of(table.as_ref()))));
        Names { sets: sets.collect(), templates: templates.collect() }
    }
}

/// Tables by hash.
#[derive(Serialize, Deserialize)]
pub(crate) struct Names {
    sets: Vec<(AdSetId, ObjectHash)>,
    templates: Vec<(AdId, ObjectHash)>,
}
impl Names {
    /// The tables themselves; `None` where one is missing or damaged.
    pub(crate) fn read(self, fetch: &mut dyn FnMut(&ObjectHash) -> Option<Vec<u8>>) -> Option<Learned> {
        let mut sets = Vec::with_capacity(self.sets.len());
        for (id, hash) in self.sets {
            sets.push((id, Arc::new(postcard::from_bytes(&fetch(&hash)?).ok()?)));
        }
        let mut templates = Vec::with_capacity(self.templates.len());
        for (id, hash) in self.templates {
            templates.push((id, Arc::new(postcard::from_bytes(&fetch(&hash)?).ok()?)));
        }
        Some(Learned::new(sets, templates))
    }
}
fn bytes_of(table: &impl Serialize) -> Vec<u8> {
    // Numbers and sequences only: postcard cannot fail on them.
    postcard::to_allocvec(table).unwrap_or_default()
}
