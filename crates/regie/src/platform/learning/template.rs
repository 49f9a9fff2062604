//! Templates at work: outcomes to the factorised learner, its fits, and its tables with each element's part.

use regie_decide::{
    learned::{LearnedTemplate, TemplateFacts},
    rates::PPB,
};
use regie_learn::{
    allocation::{Allocation, Entry},
    factor::{Learner, Settings},
    served::{CellKey, Counts},
    template::{Assets, Code, SLOTS_COUNT_MAX},
};
use regie_model::{AdId, AdSetId, booking::LearningSpec, catalogue::Catalogue};
use std::collections::BTreeMap;

/// Impressions after which a first table is worth while; then as the learner says.
const REFRESH_TRIALS: f64 = 100.0;
/// The part of what may explore that tries one element at random.
const FLOOR_PART: u32 = 5;
/// Width of effects that a prior scale of 1 expects most, log-odds.
const WIDTH_USUAL: f64 = 0.45;
/// Found effects, in all campaigns, before their size says anything about the next.
const FOUND_COUNT_MIN: usize = 20;

/// Counts of a combination in a context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) code: u32,
    pub(super) number: u16,
    pub(super) counts: Counts,
    pub(super) largest_micros: i64,
}

/// The cell of a template's version that its learner reads, without counts yet; `None` for any other.
pub(super) fn cell(catalogue: &Catalogue, key: &CellKey) -> Option<Cell> {
    let code = key.version.template_code()?;
    let spec = catalogue.ads.get(&key.ad)?.kept.spec.template.as_ref()?;
    // Sums over contexts stand beside the contexts themselves.
    (key.context == spec.context).then_some(Cell {
        code,
        number: key.number,
        counts: Counts::default(),
        largest_micros: 1,
    })
}

/// One template's learner.
pub(super) struct TemplateLearner {
    ad: AdId,
    ad_set: AdSetId,
    learner: Learner,
    spec: LearningSpec,
    key: u64,
    /// What the learner was told so far, by code and context: trials, reward.
    told: BTreeMap<(u32, u16), (f64, f64)>,
    allocation: Option<Allocation>,
    made_count: u64,
    form_changed: bool,
}

/// The usual size of effects in other campaigns, in units of the prior's; 1 where too little was found.
pub(super) fn prior_scale<'a>(others: impl Iterator<Item = &'a TemplateLearner>) -> f64 {
    let (mut count, mut squares) = (0, 0.0);
    for other in others {
        for found in other.learner.effects().found() {
            count += 1;
            squares += f64::from(found.posterior.mean).powi(2);
        }
    }
    if count < FOUND_COUNT_MIN {
        1.0
    } else {
        ((squares / count as f64).sqrt() / WIDTH_USUAL).clamp(0.25, 4.0)
    }
}

impl TemplateLearner {
    pub(super) fn new(
        ad: AdId,
        ad_set: AdSetId,
        facts: &TemplateFacts,
        spec: &LearningSpec,
        prior_scale: f64,
    ) -> TemplateLearner {
        let explore_ppm = (spec.explore_ppm / FLOOR_PART).max(1_000);
        let settings = Settings {
            explore_ppm,
            price_cap: f64::from(spec.explore_ppm) / 1e6,
            base_rate: super::base(spec.goal),
            prior_scale,
            refresh_trials: REFRESH_TRIALS,
            ..Settings::default()
        };
        TemplateLearner {
            ad,
            ad_set,
            learner: Learner::new(facts.space().clone(), settings),
            spec: spec.clone(),
            key: facts.spec().key(),
            told: BTreeMap::new(),
            allocation: None,
            made_count: 0,
            form_changed: false,
        }
    }
    pub(super) fn ad(&self) -> AdId {
        self.ad
    }
    pub(super) fn ad_set(&self) -> AdSetId {
        self.ad_set
    }
    pub(super) fn learner(&self) -> &Learner {
        &self.learner
    }
    pub(super) fn allocation(&self) -> Option<&Allocation> {
        self.allocation.as_ref()
    }
    /// Tells the learner what is new; true where it begins anew and must be told everything.
    pub(super) fn observe(&mut self, facts: &TemplateFacts, spec: &LearningSpec, cells: Vec<Cell>) -> bool {
        let anew = self.spec.goal != spec.goal || self.spec.explore_ppm != spec.explore_ppm;
        if anew {
            // Another goal is another question, which the same counts answer.
            *self = TemplateLearner::new(self.ad, self.ad_set, facts, spec, 1.0);
        }
        for Cell { code, number, counts, largest_micros } in cells {
            let trials = f64::from(counts.impressions_count);
            let reward = counts.reward(self.spec.goal, largest_micros).min(trials);
            let told = self.told.entry((code, number)).or_default();
            let (more, gained) = (trials - told.0, (reward - told.1).max(0.0));
            self.learner.observe(usize::from(number), Code(code), more as f32, gained as f32);
            *told = (trials, reward.max(told.1));
        }
        anew
    }
    /// Makes the next table where one is due; whether it did.
    pub(super) fn refresh(&mut self, facts: &TemplateFacts) -> bool {
        if self.key != facts.spec().key() {
            self.key = facts.spec().key();
            // A template that is renumbered cannot be booked.
            self.form_changed = self.learner.continue_with(facts.space().clone()).is_ok();
        }
        if !self.learner.is_due() && !self.form_changed {
            return false;
        }
        self.form_changed = false;
        self.made_count += 1;
        let seen = self.learner.evidence().total_trials() as u64;
        let seed = (u64::from(self.ad.0) << 32) ^ seen.wrapping_mul(31).wrapping_add(self.made_count);
        self.allocation = Some(self.learner.refresh(seed));
        true
    }
    /// The table with each element's part.
    pub(super) fn table(&self) -> Option<LearnedTemplate> {
        let allocation = self.allocation.as_ref()?;
        let record = allocation.to_record();
        let contexts = record.contexts.iter().enumerate();
        let parts = contexts.map(|(context, entries)| {
            entries.iter().map(|entry| self.parts(context, entry)).collect::<Vec<_>>()
        });
        let parts = parts.collect();
        let rates = record.contexts.iter().enumerate().map(|(context, entries)| {
            entries.iter().map(|entry| (self.rate(context, entry.code) * f64::from(PPB)) as u32).collect()
        });
        let rates = rates.collect();
        Some(LearnedTemplate::new(record, parts, rates))
    }
    /// Expected rate of a combination.
    pub(super) fn rate(&self, context: usize, code: Code) -> f64 {
        let assets = self.learner.space().decode(code);
        assets.map_or(0.0, |assets| self.learner.expected_rate(context, &assets))
    }
    fn parts(&self, context: usize, entry: &Entry) -> Vec<i16> {
        let Some(assets) = self.learner.space().decode(entry.code) else { return Vec::new() };
        let slots = self.learner.space().slots().len();
        (0..slots).map(|slot| (1e3 * self.part(context, &assets, slot)).clamp(-3e4, 3e4) as i16).collect()
    }
    /// What an asset adds to a combination's log-odds: its own effect, half of each pair's, its effect in the context.
    fn part(&self, context: usize, assets: &Assets, slot: usize) -> f64 {
        let effects = self.learner.effects();
        let slots = self.learner.space().slots().len().min(SLOTS_COUNT_MAX);
        let own = (slot, usize::from(assets[slot]));
        let mean = |first, second| effects.of(first, second).map_or(0.0, |p| f64::from(p.mean));
        let mut part = mean(own, None) + mean(own, Some((slots, context)));
        for other in (0..slots).filter(|other| *other != slot) {
            let theirs = (other, usize::from(assets[other]));
            let (first, second) = if other < slot { (theirs, own) } else { (own, theirs) };
            part += 0.5 * mean(first, Some(second));
        }
        part
    }
    /// Expected effect of one asset by itself, log-odds, with its standard deviation.
    pub(super) fn effect(&self, slot: usize, asset: usize) -> (f64, f64) {
        let of = self.learner.effects().of((slot, asset), None);
        of.map_or((0.0, 0.0), |p| (f64::from(p.mean), f64::from(p.variance).sqrt()))
    }
}
