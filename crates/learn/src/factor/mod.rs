//! The learner of templates: what each asset, each pair of assets and each asset in a context adds to a version's success.
//!
//! Outcomes are added to cells as they come ([`Learner::observe`], one look-up). Every so often ([`Learner::is_due`]) the effects are
//! fitted again, and what is known and what is worth trying become a table ([`Learner::refresh`]); decisions only look
//! up the table. Millions of versions share thousands of effects, of which few matter, so that what is learned of one version is learned
//! of all that share an asset with it. Refuses IO, a clock and randomness of its own (laws D1, D2).

mod change;
mod draws;
mod effects;
mod evidence;
mod fit;
mod probe;
mod rebuild;
pub mod shrink;

pub use effects::{Effects, Found, Kind};
pub use evidence::Evidence;

use crate::{
    allocation::{Allocation, AllocationRecord, Entry, tally},
    stream::Stream,
    template::{Assets, Code, Space, SpaceError},
};

/// How a template is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Draws for each context and table.
    pub draws_count: u16,
    /// Share of showings in which one asset is drawn evenly, parts per million.
    pub explore_ppm: u32,
    /// Largest share of the expected reward that exploring may ever cost.
    pub price_cap: f64,
    /// It falls as this over the root of the successes seen.
    pub price_root: f64,
    /// Success rate expected before anything was seen.
    pub base_rate: f64,
    /// Multiplies the widths of the priors; 1 unless campaigns before say otherwise.
    pub prior_scale: f64,
    /// Whether pairs of assets, and assets in contexts, are learned beside assets.
    pub interactions: bool,
    /// Cells of evidence kept; the oldest beyond it are forgotten.
    pub cells_count_max: usize,
    /// Showings after which what was seen counts a third (1/e): slow forgetting, for tastes that wear out.
    pub memory_trials: f64,
    /// What the past counts after a change was found.
    pub after_change: f64,
    /// Showings after which a new table is due at the earliest.
    pub refresh_trials: f64,
}
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            draws_count: 64,
            explore_ppm: 10_000,
            price_cap: 1.0,
            price_root: 4.0,
            base_rate: 0.01,
            prior_scale: 1.0,
            interactions: true,
            cells_count_max: 1 << 20,
            memory_trials: 2e7,
            after_change: 0.05,
            refresh_trials: 10_000.0,
        }
    }
}

/// A table is due when what was seen has grown by this part.
const GROWTH: f64 = 0.02;
/// Of so many draws one is of the posterior; the others try what is worth it, or show what is known.
const DRAWS_BETWEEN_POSTERIOR: usize = 64;
/// Versions of what is known for each table.
const SETTLED_COUNT: usize = 16;
/// A version this much below the best expected rate, as a part of it, counts as good.
const NEAR: f64 = 0.02;
/// Fits before an alarm can be raised, at first and after a change: until then predictions are the learner's own first guesses.
const FITS_BEFORE_ALARM: u32 = 10;
/// Sweeps over the effects after a change was found.
const SWEEPS_AFTER_CHANGE: u32 = 4;
/// Fits after which the effects are chosen anew, and the better of both is kept.
const FITS_BETWEEN_REBUILDS: u32 = 8;
/// Fits after which every prediction is made anew.
const FITS_BETWEEN_PREDICTIONS: u32 = 32;

/// A learner of one template for one objective.
#[derive(Clone, Debug)]
pub struct Learner {
    space: Space,
    settings: Settings,
    evidence: Evidence,
    effects: Effects,
    fits_count: u32,
    changes_count: u32,
    rebuilds_count: u32,
    fall: change::Fall,
    /// Fits before the next alarm can be raised.
    alarms_from: u32,
}

impl Learner {
    /// Knows nothing yet.
    pub fn new(space: Space, settings: Settings) -> Learner {
        let effects = Effects::new(&space, settings.base_rate, settings.prior_scale, settings.interactions);
        let evidence = Evidence::new(space.slots().len(), settings.cells_count_max);
        Learner {
            space,
            settings,
            evidence,
            effects,
            fits_count: 0,
            changes_count: 0,
            rebuilds_count: 0,
            fall: change::Fall::default(),
            alarms_from: FITS_BEFORE_ALARM,
        }
    }
    /// The template as it is.
    pub fn space(&self) -> &Space {
        &self.space
    }
    /// How often what was seen contradicted what was believed so much that the past was weighed less.
    pub fn changes_count(&self) -> u32 {
        self.changes_count
    }
    /// How often choosing all effects anew explained what was seen better than going on from the last fit.
    pub fn rebuilds_count(&self) -> u32 {
        self.rebuilds_count
    }
    /// What is believed.
    pub fn effects(&self) -> &Effects {
        &self.effects
    }
    /// What was seen.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
    /// Goes on with assets that came, and without those that were retired. What was learned stays.
    ///
    /// # Errors
    /// [`SpaceError::Renumbered`] where slots or capacities changed.
    pub fn continue_with(&mut self, space: Space) -> Result<(), SpaceError> {
        if !self.space.is_continued_by(&space) {
            return Err(SpaceError::Renumbered);
        }
        self.space = space;
        Ok(())
    }
    /// Adds outcomes of a version in a context: `trials` showings whose outcome is known, with a reward in all between 0 and
    /// `trials` (successes, or value scaled to at most 1 a showing). Codes and contexts that do not exist are ignored.
    pub fn observe(&mut self, context: usize, code: Code, trials: f32, reward: f32) {
        let Some(assets) = self.space.decode(code).filter(|_| context < self.space.contexts_count()) else {
            return;
        };
        let context = context as u16;
        let effects = &self.effects;
        let cell =
            self.evidence.cell(context, code, &assets, || effects.log_odds(context, &assets).exp() as f32);
        self.evidence.add(cell, trials, reward);
    }
    /// Whether enough was seen since the last table for a new one.
    pub fn is_due(&self) -> bool {
        let grown = GROWTH * self.evidence.total_trials();
        self.evidence.fresh_trials() >= self.settings.refresh_trials.max(grown)
    }
    /// Fits the effects to what was seen so far.
    pub fn fit(&mut self) {
        let alarms = self.fits_count >= self.alarms_from;
        let changed =
            alarms && (self.fall.alarms(self.evidence.fresh()) | change::contradicts(self.evidence.fresh()));
        let fresh = self.evidence.fresh_trials();
        self.evidence.begin_generation();
        if changed {
            self.changes_count += 1;
            self.alarms_from = self.fits_count + FITS_BEFORE_ALARM;
            self.evidence.discount(self.settings.after_change as f32);
        } else {
            self.evidence.discount((-fresh / self.settings.memory_trials.max(1.0)).exp() as f32);
        }
        if self.fits_count.is_multiple_of(FITS_BETWEEN_PREDICTIONS) || changed {
            self.effects.predict_all(&mut self.evidence);
        }
        self.fits_count += 1;
        for _ in 0..if changed { SWEEPS_AFTER_CHANGE } else { 1 } {
            fit::sweep(&mut self.effects, &mut self.evidence);
        }
        if self.fits_count.is_multiple_of(FITS_BETWEEN_REBUILDS) || changed {
            self.rebuilds_count += u32::from(rebuild::rebuild(&mut self.effects, &mut self.evidence));
        }
    }
    /// Fits, and makes the next table from posterior draws.
    pub fn refresh(&mut self, seed: u64) -> Allocation {
        self.fit();
        self.allocate(seed)
    }
    /// A table from posterior draws of what is believed now.
    pub fn allocate(&self, seed: u64) -> Allocation {
        let mut stream = Stream::new(seed, 0x7461_626c);
        let contexts_count = self.space.contexts_count();
        let draws_count = usize::from(self.settings.draws_count.max(1));
        let mut winners: Vec<Vec<Code>> = vec![Vec::with_capacity(draws_count); contexts_count];
        let mut settled = draws::Draw::new(&self.space, &self.effects);
        settled.settle(&self.effects);
        // Before anything was seen there is nothing else to show.
        let nothing = self.evidence.total_trials() <= 0.0;
        let settled_count = if nothing { draws_count } else { SETTLED_COUNT };
        let mut known: Vec<Vec<Code>> = vec![Vec::with_capacity(settled_count + 1); contexts_count];
        for _ in 0..=settled_count {
            for (context, list) in known.iter_mut().enumerate() {
                settled.shuffle(&mut stream);
                list.push(self.space.encode(&settled.best(context)));
            }
        }
        let mut draw = draws::Draw::new(&self.space, &self.effects);
        let mut probes =
            probe::Probes::new(&self.space, &self.effects, &settled, self.evidence.total_reward());
        for number in 0..draws_count {
            let posterior = (number + 1).is_multiple_of(DRAWS_BETWEEN_POSTERIOR);
            if posterior {
                draw.sample(&self.effects, &mut stream);
            }
            for (context, list) in winners.iter_mut().enumerate() {
                let assets = if posterior {
                    draw.shuffle(&mut stream);
                    Some(draw.best(context))
                } else {
                    probes.next(context)
                };
                list.extend(assets.map(|assets| self.space.encode(&assets)));
            }
        }
        let each = winners.into_iter().zip(known).enumerate();
        let contexts = each
            .map(|(context, (winners, known))| self.within_price(&settled, context, winners, known))
            .collect();
        let record = AllocationRecord { explore_ppm: self.settings.explore_ppm, contexts };
        let even =
            || Allocation::even(&self.space, self.settings.explore_ppm, self.settings.draws_count, seed);
        Allocation::of_record(&self.space, &record).unwrap_or_else(even)
    }
    /// Largest share of the expected reward that exploring may cost now.
    pub fn price_cap(&self) -> f64 {
        let reward = self.evidence.total_reward().max(1.0);
        let learned = self.settings.price_root / reward.sqrt();
        self.settings.price_cap.min(learned)
    }
    /// What is tried as long as the price of exploring stays under its cap, and for the other draws what is known to be best. `known` has
    /// the best version first, then versions as good with their indifferent slots drawn anew.
    ///
    /// Prices count what was found alone: among thousands of effects that were not, some look a little better than others by luck, and what
    /// they seem to be worth would shut out everything else.
    fn within_price(
        &self,
        settled: &draws::Draw<'_>,
        context: usize,
        winners: Vec<Code>,
        known: Vec<Code>,
    ) -> Vec<Entry> {
        let draws_count = usize::from(self.settings.draws_count.max(1));
        let mut entries = tally(winners.iter().copied());
        let level = self.effects.level(context as u16);
        let rate = |code: Code| {
            self.space.decode(code).map_or(0.0, |assets| {
                1.0 / (1.0 + (-level - f64::from(settled.score(&assets, context))).exp())
            })
        };
        let rates: Vec<f64> = entries.iter().map(|entry| rate(entry.code)).collect();
        let candidates = entries.iter().map(|entry| entry.code).zip(rates.iter().copied());
        let first = known.first().map(|code| (*code, rate(*code)));
        let best = candidates.chain(first).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        // In the order they were drawn, which is that of their worth, until the price of all would be above the cap.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        let first = |at: usize| winners.iter().position(|code| *code == entries[at].code);
        order.sort_by_key(|at| first(*at));
        let mut left = self.price_cap() * draws_count as f64 * best.1;
        let mut kept = draws_count.saturating_sub(winners.len()) as u16;
        for at in order {
            let price = (best.1 - rates[at]).max(1e-12);
            let may = (left / price).min(f64::from(entries[at].won)) as u16;
            left -= price * f64::from(may);
            kept += entries[at].won - may;
            entries[at].won = may;
        }
        let good: Vec<Code> =
            known.into_iter().skip(1).filter(|code| rate(*code) >= best.1 * (1.0 - NEAR)).collect();
        for number in 0..usize::from(kept) {
            let code = if good.is_empty() { best.0 } else { good[number % good.len()] };
            match entries.iter_mut().find(|entry| entry.code == code) {
                Some(entry) => entry.kept += 1,
                None => entries.push(Entry { code, won: 0, kept: 1 }),
            }
        }
        entries.retain(|entry| entry.weight() > 0);
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.weight()), entry.code));
        entries
    }
    /// The version with the highest expected success in each context, as far as climbing finds it.
    pub fn best(&self) -> Vec<Assets> {
        let mut draw = draws::Draw::new(&self.space, &self.effects);
        draw.expect(&self.effects);
        (0..self.space.contexts_count()).map(|context| draw.best(context)).collect()
    }
    /// Expected success rate of a version in a context.
    pub fn expected_rate(&self, context: usize, assets: &Assets) -> f64 {
        let log_odds = self.effects.log_odds(context.min(self.space.contexts_count() - 1) as u16, assets);
        1.0 / (1.0 + (-log_odds).exp())
    }
}
