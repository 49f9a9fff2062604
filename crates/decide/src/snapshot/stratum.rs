//! A run of ad sets with an order and an index of its own. A snapshot has a large one and small ones above it; an ad
//! set counts in the uppermost that has it, and is hidden in the others.
//!
//! Ad sets are numbered by order of service, within the auction in descending order of their value at the rates of
//! the time, those that cannot deliver at all last. Law P1: ad sets of political campaigns have an index of their own,
//! which is only ever asked with a [`Contextual`].

use super::ad_set::AdSetFacts;
use crate::{
    facts::{Contextual, Everything},
    index::{BLOCK_BITS, Block, Index, IndexBuilder, Query},
    tables::{Bound, StratumNumbers, Tables},
};
use regie_model::{AdSetId, booking::TierKind, targeting::Dimension};
use std::{ops::Range, sync::Arc};

/// Strata of one snapshot at most.
pub(crate) const STRATA_MAX: usize = 4;
/// Bits of an index that number an ad set within its stratum; the stratum's number stands above them.
const NUMBER_BITS: u32 = 26;
const BLOCK_NUMBER_BITS: u32 = NUMBER_BITS - BLOCK_BITS.trailing_zeros();

/// Stratum and number of an ad set's index.
pub(crate) fn locate(index: usize) -> (usize, usize) {
    (index >> NUMBER_BITS, index & ((1 << NUMBER_BITS) - 1))
}
/// Stratum and number of a block.
pub(crate) fn locate_block(block: usize) -> (usize, usize) {
    (block >> BLOCK_NUMBER_BITS, block & ((1 << BLOCK_NUMBER_BITS) - 1))
}
/// The index of an ad set in a stratum.
pub(crate) fn index_of(stratum: usize, number: usize) -> usize {
    (stratum << NUMBER_BITS) | number
}

/// Index over ad sets of political campaigns: asked with what law P1 leaves, and with nothing else.
struct PoliticalIndex(Index);
impl PoliticalIndex {
    fn query(&self, view: &Contextual<'_>) -> Query<'_> {
        self.0.query(view)
    }
}
/// Index over all other ad sets.
struct GeneralIndex(Index);
impl GeneralIndex {
    fn query(&self, facts: &Everything<'_>) -> Query<'_> {
        self.0.query(facts)
    }
    /// As if nothing were known but what a political ad may read.
    fn query_contextually(&self, view: &Contextual<'_>) -> Query<'_> {
        self.0.query(view)
    }
}

/// One run of ad sets.
pub(crate) struct Stratum {
    key: u64,
    ad_sets: Vec<Arc<AdSetFacts>>,
    /// Ascending by id.
    by_id: Vec<(AdSetId, u32)>,
    tiers: [Range<usize>; 4],
    general: GeneralIndex,
    political: PoliticalIndex,
    has_political: bool,
    has_roadblocks: bool,
    has_experiments: bool,
    plain: Arc<StratumNumbers>,
}

impl Stratum {
    /// Orders and indexes ad sets, at the predicted rates of `tables`. The order changes how soon an auction is
    /// settled, never what is decided.
    pub(super) fn new(mut ad_sets: Vec<Arc<AdSetFacts>>, tables: &Tables) -> Stratum {
        let prior = |facts: &AdSetFacts| facts.numbers(tables.row(facts.id)).score_nanos;
        ad_sets.sort_by_cached_key(|facts| {
            (facts.standing.is_some(), facts.tier.kind(), std::cmp::Reverse(prior(facts)), facts.id)
        });
        let mut by_id: Vec<_> = ad_sets.iter().zip(0..).map(|(facts, at)| (facts.id, at)).collect();
        by_id.sort_unstable();
        let key = key(&ad_sets);
        let has_political = live(&ad_sets).any(|facts| facts.political);
        let has_roadblocks = live(&ad_sets).any(|facts| facts.roadblock);
        let has_experiments = live(&ad_sets).any(|facts| facts.experiment.is_some());
        let mut stratum = Stratum {
            key,
            by_id,
            tiers: tiers(&ad_sets),
            general: GeneralIndex(index(&ad_sets, false, key)),
            political: PoliticalIndex(index(&ad_sets, true, key)),
            has_political,
            has_roadblocks,
            has_experiments,
            ad_sets,
            plain: Arc::default(),
        };
        stratum.plain = Arc::new(stratum.align(&Tables::default()));
        stratum
    }
    /// Names this order of ad sets with their bids: tables are aligned to it.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }
    pub(crate) fn len(&self) -> usize {
        self.ad_sets.len()
    }
    pub(crate) fn ad_sets(&self) -> &[Arc<AdSetFacts>] {
        &self.ad_sets
    }
    pub(crate) fn number(&self, ad_set: AdSetId) -> Option<usize> {
        self.by_id.binary_search_by_key(&ad_set, |(id, _)| *id).ok().map(|at| self.by_id[at].1 as usize)
    }
    /// The numbers of the empty table.
    pub(crate) fn plain(&self) -> &StratumNumbers {
        &self.plain
    }
    pub(super) fn has_political(&self) -> bool {
        self.has_political
    }
    pub(super) fn has_roadblocks(&self) -> bool {
        self.has_roadblocks
    }
    pub(super) fn has_experiments(&self) -> bool {
        self.has_experiments
    }
    /// The ad sets of a tier that can deliver.
    pub(super) fn tier(&self, tier: TierKind) -> Range<usize> {
        self.tiers[tier as usize].clone()
    }
    pub(super) fn lists(&self, dimension: &Dimension, value: &str) -> bool {
        self.general.0.lists(dimension, value) || self.political.0.lists(dimension, value)
    }
    /// The numbers of a table in this order, with the bounds of its blocks.
    pub(crate) fn align(&self, tables: &Tables) -> StratumNumbers {
        let mut numbers = vec![Default::default(); self.ad_sets.len()];
        let mut rows = tables.rows().iter().peekable();
        for (id, at) in &self.by_id {
            while rows.next_if(|(row, _)| row < id).is_some() {}
            let row = rows.next_if(|(row, _)| row == id).map(|(_, row)| *row).unwrap_or_default();
            numbers[*at as usize] = self.ad_sets[*at as usize].numbers(row);
        }
        let learned = self.learned(tables);
        let auction = self.tier(TierKind::Auction);
        let mut bounds = vec![Bound::NONE; numbers.len().div_ceil(BLOCK_BITS)];
        let mut largest = Bound::NONE;
        for (block, bound) in bounds.iter_mut().enumerate().rev() {
            let first = (block * BLOCK_BITS).max(auction.start);
            let end = ((block + 1) * BLOCK_BITS).min(auction.end);
            numbers.get(first..end).into_iter().flatten().for_each(|n| largest.take(n));
            *bound = largest;
        }
        StratumNumbers { key: self.key, numbers, bounds, learned }
    }
    /// By ad set, 1 and the place of its learned table; empty where nothing was learned of any.
    fn learned(&self, tables: &Tables) -> Vec<u32> {
        let mut learned = Vec::new();
        for (place, (id, _)) in tables.learned().sets().iter().enumerate() {
            if let Some(at) = self.number(*id) {
                learned.resize(self.ad_sets.len(), 0);
                learned[at] = 1 + place as u32;
            }
        }
        learned
    }
    fn query<'a>(&'a self, everything: &Everything<'_>, contextual: &Contextual<'_>) -> Matching<'a> {
        Matching { general: self.general.query(everything), political: self.political.query(contextual) }
    }
}

fn key(ad_sets: &[Arc<AdSetFacts>]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for facts in ad_sets {
        let flags = [facts.tier.kind() as u8, facts.billing as u8, u8::from(facts.standing.is_some()), 0];
        hasher.update(&facts.id.0.to_le_bytes());
        hasher.update(&flags);
        hasher.update(&facts.bid_nanos.to_le_bytes());
        hasher.update(&facts.rate_nanos.to_le_bytes());
    }
    let mut eight = [0; 8];
    eight.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(eight)
}

fn index(ad_sets: &[Arc<AdSetFacts>], political: bool, seed: u64) -> Index {
    let mut builder = IndexBuilder::new(seed);
    for (number, facts) in ad_sets.iter().enumerate() {
        if facts.standing.is_none() && facts.political == political {
            builder.add(number, &facts.cold.clauses, &facts.cold.zone);
        }
    }
    builder.build(ad_sets.len())
}

fn live(ad_sets: &[Arc<AdSetFacts>]) -> impl Iterator<Item = &Arc<AdSetFacts>> {
    ad_sets.iter().filter(|facts| facts.standing.is_none())
}

fn tiers(ad_sets: &[Arc<AdSetFacts>]) -> [Range<usize>; 4] {
    let live = ad_sets.partition_point(|facts| facts.standing.is_none());
    let at = |tier: TierKind| ad_sets[..live].partition_point(|facts| facts.tier.kind() < tier);
    let (guaranteed, auction, house) = (at(TierKind::Guaranteed), at(TierKind::Auction), at(TierKind::House));
    [0..guaranteed, guaranteed..auction, auction..house, house..live]
}

/// A set of ad sets of one stratum; empty stands for none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask(Arc<Vec<Block>>);
impl Mask {
    pub(super) fn set(&mut self, number: usize, stratum: &Stratum) {
        let blocks = Arc::make_mut(&mut self.0);
        if blocks.is_empty() {
            blocks.resize(stratum.len().div_ceil(BLOCK_BITS), Block::EMPTY);
        }
        if let Some(block) = blocks.get_mut(number / BLOCK_BITS) {
            block.set(number % BLOCK_BITS);
        }
    }
    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / BLOCK_BITS).is_some_and(|block| block.has(number % BLOCK_BITS))
    }
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|block| block.bits().count()).sum()
    }
    fn block(&self, number: usize) -> Block {
        self.0.get(number).copied().unwrap_or(Block::EMPTY)
    }
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A stratum in its place in a snapshot.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(super) stratum: Arc<Stratum>,
    /// Ad sets that stand anew in a stratum above.
    pub(super) replaced: Mask,
    /// Ad sets whose budget is known to be spent; the gate refuses them too.
    pub(super) exhausted: Mask,
}
impl Layer {
    pub(super) fn new(stratum: Arc<Stratum>) -> Layer {
        Layer { stratum, replaced: Mask::default(), exhausted: Mask::default() }
    }
    /// The ad sets that count here, with their numbers.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, &Arc<AdSetFacts>)> {
        self.stratum.ad_sets.iter().enumerate().filter(|(number, _)| !self.replaced.has(*number))
    }
}

/// A request looked up in both indices of a stratum.
struct Matching<'a> {
    general: Query<'a>,
    political: Query<'a>,
}

/// Which of the matching ad sets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Those that may have money.
    Funded,
    /// Those whose budget is known to be spent.
    Exhausted,
    /// All.
    All,
}

/// A request looked up in every stratum.
pub(crate) struct Candidates<'a> {
    layers: Vec<(&'a Layer, Matching<'a>)>,
}
impl<'a> Candidates<'a> {
    pub(super) fn new(
        layers: &'a [Layer],
        everything: &Everything<'_>,
        contextual: &Contextual<'_>,
    ) -> Candidates<'a> {
        let looked_up = |layer: &'a Layer| (layer, layer.stratum.query(everything, contextual));
        Candidates { layers: layers.iter().map(looked_up).collect() }
    }
    /// As if of every request only what a political ad may read were known.
    pub(super) fn contextual(layers: &'a [Layer], contextual: &Contextual<'_>) -> Candidates<'a> {
        let looked_up = |layer: &'a Layer| {
            let general = layer.stratum.general.query_contextually(contextual);
            (layer, Matching { general, political: layer.stratum.political.query(contextual) })
        };
        Candidates { layers: layers.iter().map(looked_up).collect() }
    }
    /// Some political ad set matches, whatever its budget.
    pub(crate) fn any_political(&self) -> bool {
        self.layers.iter().filter(|(layer, _)| layer.stratum.has_political).any(|(layer, matching)| {
            let blocks = layer.stratum.len().div_ceil(BLOCK_BITS);
            (0..blocks).any(|n| !matching.political.block(n, &layer.replaced.block(n)).is_empty())
        })
    }
    /// The ad sets of a block that can deliver, match and are to be looked at; political ones only `with_political`.
    pub(crate) fn block(&self, block: usize, look: Look, with_political: bool) -> Block {
        let (stratum, number) = locate_block(block);
        let Some((layer, matching)) = self.layers.get(stratum) else { return Block::EMPTY };
        let exhausted = layer.exhausted.block(number);
        let hidden = match look {
            Look::Funded => layer.replaced.block(number).union(exhausted),
            Look::Exhausted | Look::All => layer.replaced.block(number),
        };
        let within = if look == Look::Exhausted { exhausted } else { Block::FULL };
        if within.is_empty() {
            return Block::EMPTY;
        }
        let mut bits = matching.general.block(number, &hidden);
        if with_political {
            bits = bits.union(matching.political.block(number, &hidden));
        }
        bits.intersection(within)
    }
    /// Some ad set is known to have spent its budget.
    pub(crate) fn hides_exhausted(&self) -> bool {
        self.layers.iter().any(|(layer, _)| !layer.exhausted.is_empty())
    }
}
