//! The snapshot that follows the catalogue: changed ad sets are compiled into small strata above a large one, and
//! merged into it in the background.
//!
//! Law D1: what is decided on a followed snapshot is what is decided on one built anew (a property test edits at
//! random and compares). Refuses threads: a [`Merge`] is work that the caller does where it likes.

use super::{
    AdSetFacts, Shared, Snapshot,
    compile::{Builder, Words},
    stratum::{Layer, Stratum},
    touched::Touched,
};
use crate::tables::Tables;
use regie_model::{
    AdSetId,
    catalogue::{Catalogue, VersionPages},
};
use std::{collections::BTreeMap, sync::Arc};

/// How large the small strata may become.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    /// Ad sets in the uppermost stratum before they move one down.
    pub top_count_max: usize,
    /// Ad sets above the large stratum before a merge is due, at least.
    pub merge_count_min: usize,
    /// The same as a part of the large stratum: one in so many.
    pub merge_one_in: usize,
}
impl Default for Levels {
    fn default() -> Levels {
        Levels { top_count_max: 512, merge_count_min: 2_048, merge_one_in: 16 }
    }
}

/// Compiled ad sets by id.
type Compiled = BTreeMap<AdSetId, Arc<AdSetFacts>>;

/// Follows a catalogue.
pub struct Compiler {
    words: Words,
    position: u64,
    shared: Arc<Shared>,
    pages: VersionPages,
    /// Large, middle, top; those above are absent while empty.
    layers: Vec<Layer>,
    middle: Compiled,
    top: Compiled,
    levels: Levels,
    /// Counts whole builds: a merge of what was before one is of no use after it.
    generation: u64,
}

/// Ad sets of all strata, to be made one.
pub struct Merge {
    ad_sets: Vec<Arc<AdSetFacts>>,
    generation: u64,
}
/// A merged stratum.
pub struct Merged {
    stratum: Arc<Stratum>,
    generation: u64,
}
impl Merge {
    /// Orders and indexes them, at the predicted rates of `tables`: about 10 µs of CPU an ad set.
    pub fn run(self, tables: &Tables) -> Merged {
        Merged { stratum: Arc::new(Stratum::new(self.ad_sets, tables)), generation: self.generation }
    }
}

impl Compiler {
    /// Compiles a whole catalogue that stands at journal `position`.
    pub fn new(catalogue: &Catalogue, position: u64, tables: &Tables) -> Compiler {
        let mut compiler = Compiler {
            words: Words::default(),
            position,
            shared: Arc::default(),
            pages: VersionPages::default(),
            layers: Vec::new(),
            middle: Compiled::new(),
            top: Compiled::new(),
            levels: Levels::default(),
            generation: 0,
        };
        compiler.build(catalogue, tables);
        compiler
    }
    /// With other levels than the usual ones.
    #[must_use]
    pub fn with_levels(self, levels: Levels) -> Compiler {
        Compiler { levels, ..self }
    }
    /// What stands now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            position: self.position,
            shared: Arc::clone(&self.shared),
            layers: self.layers.clone(),
            pages: self.pages.clone(),
        }
    }
    fn build(&mut self, catalogue: &Catalogue, tables: &Tables) {
        let mut builder = Builder { catalogue, words: &mut self.words };
        let ad_sets = catalogue.ad_sets.iter().map(|(id, kept)| Arc::new(builder.ad_set(*id, kept)));
        let ad_sets: Vec<_> = ad_sets.collect();
        self.shared = Arc::new(builder.shared());
        self.layers = vec![Layer::new(Arc::new(Stratum::new(ad_sets, tables)))];
        self.pages = catalogue.versions.pages();
        self.middle.clear();
        self.top.clear();
        self.generation += 1;
    }
    /// Brings the snapshot to a later state of the same catalogue, in time proportional to what was touched.
    pub fn update(
        &mut self,
        catalogue: &Catalogue,
        position: u64,
        touched: &Touched,
        tables: &Tables,
    ) -> Snapshot {
        self.position = position;
        if touched.everything {
            self.build(catalogue, tables);
            return self.snapshot();
        }
        let known = self.words.count();
        let mut builder = Builder { catalogue, words: &mut self.words };
        for id in &touched.ad_sets {
            if let Some(kept) = catalogue.ad_sets.get(id) {
                self.top.insert(*id, Arc::new(builder.ad_set(*id, kept)));
                // What it was must not come back when a merge takes the new one down.
                self.middle.remove(id);
            }
        }
        if touched.shared || builder.words.count() > known {
            self.shared = Arc::new(builder.shared());
        }
        self.pages = catalogue.versions.pages();
        if !touched.ad_sets.is_empty() {
            if self.top.len() > self.levels.top_count_max {
                self.middle.append(&mut self.top);
            }
            self.stack(tables);
        }
        self.snapshot()
    }
    /// Lays the small strata above the large one.
    fn stack(&mut self, tables: &Tables) {
        let Some(large) = self.layers.first() else { return };
        let mut layers = vec![Layer { replaced: Default::default(), ..large.clone() }];
        for upper in [&self.middle, &self.top].into_iter().filter(|upper| !upper.is_empty()) {
            // Unchanged since the last time: the order and index stand.
            let same = |layer: &&Layer| {
                layer.stratum.len() == upper.len()
                    && layer
                        .stratum
                        .ad_sets()
                        .iter()
                        .all(|facts| upper.get(&facts.id).is_some_and(|other| Arc::ptr_eq(facts, other)))
            };
            let stratum = self.layers.iter().skip(1).find(same).map(|layer| Arc::clone(&layer.stratum));
            let make = || Arc::new(Stratum::new(upper.values().cloned().collect(), tables));
            let stratum = stratum.unwrap_or_else(make);
            for layer in &mut layers {
                for id in upper.keys() {
                    if let Some(number) = layer.stratum.number(*id) {
                        layer.replaced.set(number, &layer.stratum);
                    }
                }
            }
            layers.push(Layer::new(stratum));
        }
        self.layers = layers;
    }
    /// Ad sets of the large stratum.
    pub fn ad_sets_count(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.stratum.len())
    }
    /// Ad sets that stand above the large stratum.
    pub fn waiting_count(&self) -> usize {
        self.middle.len() + self.top.len()
    }
    /// The work of a merge when one is due, or when `now` something stands above the large stratum.
    pub fn merge_due(&self, now: bool) -> Option<Merge> {
        let large = self.layers.first().map_or(0, |layer| layer.stratum.len());
        let due =
            self.waiting_count() > self.levels.merge_count_min.max(large / self.levels.merge_one_in.max(1));
        (due || now && self.waiting_count() > 0).then(|| self.merge())
    }
    /// The work of ordering everything anew, such as after predicted rates have moved.
    pub fn merge(&self) -> Merge {
        let members =
            self.layers.iter().flat_map(|layer| layer.members().map(|(_, facts)| Arc::clone(facts)));
        Merge { ad_sets: members.collect(), generation: self.generation }
    }
    /// Puts a merged stratum in the place of what it was made of; what changed meanwhile stays above it.
    /// `None` when the catalogue was compiled anew meanwhile.
    pub fn adopt(&mut self, merged: Merged, tables: &Tables) -> Option<Snapshot> {
        if merged.generation != self.generation {
            return None;
        }
        let large = &merged.stratum;
        let stands = |id: &AdSetId, facts: &Arc<AdSetFacts>| {
            let there = large.number(*id).and_then(|number| large.ad_sets().get(number));
            there.is_some_and(|there| Arc::ptr_eq(there, facts))
        };
        self.middle.retain(|id, facts| !stands(id, facts));
        self.top.retain(|id, facts| !stands(id, facts));
        let mut layers = vec![Layer::new(Arc::clone(large))];
        layers.extend(self.layers.drain(1..));
        self.layers = layers;
        self.stack(tables);
        Some(self.snapshot())
    }
}
