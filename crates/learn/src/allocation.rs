//! A published allocation of a template's traffic: a table that decisions look up, with exact propensities.
//!
//! The sampler (law D2): draw one of the table's entries for this context, each as often as it won posterior draws; then, with
//! probability epsilon, draw one slot evenly and one of the assets that may be shown there evenly, and put it in; if that breaks a
//! constraint, the entry itself is shown. The propensity of a version is the exact sum over all entries that could yield it.
//! Exploration is per asset, not per version: an asset of 59 keeps 1/59 of epsilon / slots, where a version of millions would keep nothing
//! worth weighing. Retired assets leave by a new table, never by rejection. Refuses to learn, and refuses a clock or randomness of
//! its own: the draw is an argument.

use crate::{
    stream::Stream,
    template::{Assets, Code, SLOTS_COUNT_MAX, Space},
};
use serde::{Deserialize, Serialize};

/// Largest exploration, parts per million.
pub const EXPLORE_PPM_MAX: u32 = 500_000;

/// One version of a context's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub code: Code,
    /// How many posterior draws it won.
    pub won: u16,
    /// How many draws made way for it, as the best known version, so that exploring does not cost more than its cap.
    #[serde(default)]
    pub kept: u16,
}
impl Entry {
    /// In how many of the table's draws it is shown.
    pub fn weight(&self) -> u32 {
        u32::from(self.won) + u32::from(self.kept)
    }
}

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The version.
    pub code: Code,
    /// Its assets.
    pub assets: Assets,
    /// Exact probability of this version in this context: in (0, 1].
    pub propensity: f64,
    /// The entry it came from, by its place in the context's list.
    pub entry: usize,
    /// The slot that was explored; none where the entry itself is shown.
    pub explored: Option<usize>,
}

/// One context's part: entries, and what decisions need of them.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    entries: Vec<Entry>,
    /// Entry of each draw.
    of_draw: Vec<u16>,
    assets: Vec<Assets>,
    /// Chance that a drawn entry is shown itself.
    stays: Vec<f64>,
}

/// A template's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    space: Space,
    explore: f64,
    draws_count: u16,
    parts: Vec<Part>,
}

/// The part of a table that is stored and hashed; with the template it was made for it gives the table again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationRecord {
    /// Share of exploring showings, parts per million.
    pub explore_ppm: u32,
    /// Winners of the posterior draws, by context; each list's weights sum to the same number.
    pub contexts: Vec<Vec<Entry>>,
}

impl Allocation {
    /// A table of a record. `None` where the record does not fit the template: another number of contexts, a version that may
    /// not be shown, no entry, unequal numbers of draws, too much exploration.
    pub fn of_record(space: &Space, record: &AllocationRecord) -> Option<Allocation> {
        let fits = record.contexts.len() == space.contexts_count() && record.explore_ppm <= EXPLORE_PPM_MAX;
        let explore = f64::from(record.explore_ppm) / 1e6;
        let parts: Option<Vec<Part>> =
            record.contexts.iter().map(|entries| Part::new(space, explore, entries)).collect();
        let parts = parts.filter(|_| fits)?;
        let draws_count = parts.first()?.of_draw.len();
        let equal = parts.iter().all(|part| part.of_draw.len() == draws_count);
        equal.then(|| Allocation { space: space.clone(), explore, draws_count: draws_count as u16, parts })
    }
    /// What is stored of it.
    pub fn to_record(&self) -> AllocationRecord {
        AllocationRecord {
            explore_ppm: (self.explore * 1e6).round() as u32,
            contexts: self.parts.iter().map(|part| part.entries.clone()).collect(),
        }
    }
    /// Before anything is known: every version that may be shown, evenly at random, as far as a table's draws can show that.
    pub fn even(space: &Space, explore_ppm: u32, draws_count: u16, seed: u64) -> Allocation {
        let mut stream = Stream::new(seed, 0x6576_656e);
        let mut context = || {
            let list = (0..draws_count.max(1)).map(|_| space.encode(&any(space, &mut stream)));
            tally(list)
        };
        let contexts = (0..space.contexts_count()).map(|_| context()).collect();
        let record = AllocationRecord { explore_ppm: explore_ppm.min(EXPLORE_PPM_MAX), contexts };
        Allocation::of_record(space, &record).unwrap_or_else(|| Allocation::single(space))
    }
    /// One version everywhere; what is left when nothing else fits.
    fn single(space: &Space) -> Allocation {
        let assets = space.some_version();
        let entries = vec![Entry { code: space.encode(&assets), won: 1, kept: 0 }];
        let part = Part { entries, of_draw: vec![0], assets: vec![assets], stays: vec![1.0] };
        Allocation {
            space: space.clone(),
            explore: 0.0,
            draws_count: 1,
            parts: vec![part; space.contexts_count()],
        }
    }
    /// The template.
    pub fn space(&self) -> &Space {
        &self.space
    }
    /// Posterior draws for each context.
    pub fn draws_count(&self) -> u16 {
        self.draws_count
    }
    /// Share of showings in which an asset is drawn evenly.
    pub fn explore(&self) -> f64 {
        self.explore
    }
    /// Entries of a context, most often winning first.
    pub fn entries(&self, context: usize) -> &[Entry] {
        self.parts.get(context).map_or(&[], |part| &part.entries)
    }
    /// Draws a version by 64 even bits. A context that the table does not know is answered as the first.
    pub fn draw(&self, context: usize, bits: u64) -> Drawn {
        let part = self.part(context);
        let mut stream = Stream::new(bits, 0x6472_6177);
        let entry = usize::from(part.of_draw[stream.below(part.of_draw.len() as u64) as usize]);
        let mut assets = part.assets[entry];
        let mut explored = None;
        if self.explore > 0.0 && stream.unit() < self.explore {
            let slot = stream.below(self.space.slots().len() as u64) as usize;
            let choices = self.space.choices(slot);
            let mut tried = assets;
            tried[slot] = choices[stream.below(choices.len() as u64) as usize];
            if self.space.holds(&tried) {
                explored = (tried != assets).then_some(slot);
                assets = tried;
            }
        }
        let code = self.space.encode(&assets);
        Drawn { code, assets, propensity: self.propensity_of(part, &assets), entry, explored }
    }
    /// Exact probability that a version is drawn in a context; zero for one that the table cannot yield.
    pub fn propensity(&self, context: usize, assets: &Assets) -> f64 {
        if self.space.may_show(assets) { self.propensity_of(self.part(context), assets) } else { 0.0 }
    }
    fn part(&self, context: usize) -> &Part {
        self.parts.get(context).unwrap_or(&self.parts[0])
    }
    fn propensity_of(&self, part: &Part, assets: &Assets) -> f64 {
        let slots_count = self.space.slots().len();
        let to_slot = self.explore / slots_count as f64;
        let mut sum = 0.0;
        for ((entry, own), stays) in part.entries.iter().zip(&part.assets).zip(&part.stays) {
            let mut apart = [0u16; SLOTS_COUNT_MAX];
            for slot in 0..SLOTS_COUNT_MAX {
                apart[slot] = u16::from(own[slot] != assets[slot]);
            }
            let yields = match apart.iter().sum::<u16>() {
                0 => *stays,
                1 => {
                    let slot = apart.iter().position(|a| *a == 1).unwrap_or(0);
                    to_slot / self.space.choices(slot).len() as f64
                }
                _ => continue,
            };
            sum += f64::from(entry.weight()) * yields;
        }
        sum / f64::from(self.draws_count)
    }
}

impl Part {
    fn new(space: &Space, explore: f64, entries: &[Entry]) -> Option<Part> {
        let mut part =
            Part { entries: entries.to_vec(), of_draw: Vec::new(), assets: Vec::new(), stays: Vec::new() };
        let draws: usize = entries.iter().map(|entry| entry.weight() as usize).sum();
        if entries.is_empty() || draws == 0 || draws > usize::from(u16::MAX) {
            return None;
        }
        for (at, entry) in entries.iter().enumerate() {
            let assets = space.decode(entry.code).filter(|assets| space.may_show(assets))?;
            part.of_draw.extend(std::iter::repeat_n(at as u16, entry.weight() as usize));
            part.stays.push(stays(space, explore, &assets));
            part.assets.push(assets);
        }
        Some(part)
    }
}

/// Chance that an entry is shown itself: no exploration, or its own asset drawn, or one that may not meet the others.
fn stays(space: &Space, explore: f64, assets: &Assets) -> f64 {
    let slots_count = space.slots().len();
    let itself = |slot: usize| {
        let choices = space.choices(slot);
        let back = choices.iter().filter(|asset| {
            let mut tried = *assets;
            tried[slot] = **asset;
            tried == *assets || !space.holds(&tried)
        });
        back.count() as f64 / choices.len() as f64
    };
    1.0 - explore + explore / slots_count as f64 * (0..slots_count).map(itself).sum::<f64>()
}

/// A version drawn evenly, as far as constraints let: some tries, then the one that is known to hold them.
fn any(space: &Space, stream: &mut Stream) -> Assets {
    for _ in 0..64 {
        let mut assets = [0; SLOTS_COUNT_MAX];
        for (slot, _) in space.slots().iter().enumerate() {
            let choices = space.choices(slot);
            assets[slot] = choices[stream.below(choices.len() as u64) as usize];
        }
        if space.holds(&assets) {
            return assets;
        }
    }
    space.some_version()
}

/// Counts winners; the most frequent first, then by number.
pub(crate) fn tally(winners: impl Iterator<Item = Code>) -> Vec<Entry> {
    let mut codes: Vec<Code> = winners.collect();
    codes.sort_unstable();
    let mut entries: Vec<Entry> = Vec::new();
    for code in codes {
        match entries.last_mut() {
            Some(last) if last.code == code => last.won += 1,
            _ => entries.push(Entry { code, won: 1, kept: 0 }),
        }
    }
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.won), entry.code));
    entries
}

#[cfg(test)]
mod tests;
