//! The targeting index: for each value that a clause lists, the bitset of ad sets that list it, in blocks of
//! 512 bits; a request is matched block by block in ascending number, so that the caller can stop early.
//!
//! An ad set's k-th IN clause over a dimension stands in that dimension's k-th layer: it matches where the ad
//! set has no such clause, or where one of the request's values lists it. NOT IN clauses only take away.
//! High-cardinality values (key-values, cities, keywords) touch few blocks and are kept sparse.
//! Refuses to know what a political ad may read: it asks a [`Values`], and the caller chooses which (law P1).

use foldhash::fast::FixedState;
use regie_model::{
    PlacementId, SegmentId, SiteId, UtcMs, Zone,
    targeting::{Clause, Dimension, Op, glob_matches},
    ticket::DeviceClass,
};
use std::collections::BTreeMap;

/// Looked up for every request; the seed comes from the whole catalogue, which no advertiser knows.
type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// Ad sets in one block.
pub(crate) const BLOCK_BITS: usize = 512;
const WORDS: usize = BLOCK_BITS / 64;

/// 512 ad sets, one bit each; a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Block(pub [u64; WORDS]);
impl Block {
    pub(crate) const EMPTY: Block = Block([0; WORDS]);
    pub(crate) const FULL: Block = Block([u64::MAX; WORDS]);
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }
    pub(crate) fn set(&mut self, bit: usize) {
        self.0[bit / 64 % WORDS] |= 1 << (bit % 64);
    }
    pub(crate) fn has(&self, bit: usize) -> bool {
        self.0[bit / 64 % WORDS] >> (bit % 64) & 1 == 1
    }
    fn or(&mut self, other: &Block) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }
    fn and_not(&mut self, other: &Block) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }
    /// Clears the bits that `with` has and `any` lacks: those with a clause that no value meets.
    fn keep(&mut self, with: &Block, any: &Block) {
        for ((bits, with), any) in self.0.iter_mut().zip(&with.0).zip(&any.0) {
            *bits &= !with | any;
        }
    }
    /// Both.
    pub(crate) fn union(mut self, other: Block) -> Block {
        self.or(&other);
        self
    }
    /// What both have.
    pub(crate) fn intersection(mut self, other: Block) -> Block {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
        self
    }
    /// Only bits from `first` up to, not including, `end` (0 to 512).
    pub(crate) fn only(mut self, first: usize, end: usize) -> Block {
        for (index, word) in self.0.iter_mut().enumerate() {
            let low = first.saturating_sub(index * 64).min(64);
            let high = end.saturating_sub(index * 64).min(64);
            let mask = |bits: usize| if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 };
            *word &= mask(high) & !mask(low);
        }
        self
    }
    /// The set bits in ascending order.
    pub(crate) fn bits(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                (word != 0).then(|| {
                    word &= word - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

/// The ad sets of one value: only the blocks that have any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posting {
    /// Numbers of the blocks, ascending; empty when `blocks` has all of them.
    numbers: Vec<u32>,
    blocks: Vec<Block>,
}
impl Posting {
    fn add(&mut self, ad_set: usize) {
        let number = (ad_set / BLOCK_BITS) as u32;
        // Ad sets are added in ascending order, so the block is the last or a new one.
        if self.numbers.last() != Some(&number) {
            self.numbers.push(number);
            self.blocks.push(Block::EMPTY);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.set(ad_set % BLOCK_BITS);
        }
    }
    /// Lays the blocks out densely when that costs at most twice the room.
    fn settle(&mut self, blocks_count: usize) {
        if !self.numbers.is_empty() && self.numbers.len() * 2 >= blocks_count {
            let mut dense = vec![Block::EMPTY; blocks_count];
            for (number, block) in self.numbers.iter().zip(&self.blocks) {
                dense[*number as usize] = *block;
            }
            self.numbers = Vec::new();
            self.blocks = dense;
        }
        self.numbers.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }
    fn block(&self, number: usize) -> Option<&Block> {
        if self.numbers.is_empty() {
            return self.blocks.get(number);
        }
        self.numbers.binary_search(&(number as u32)).ok().and_then(|at| self.blocks.get(at))
    }
}

/// A value as the index looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(u32),
}

/// What a request says about a dimension. Implemented by the view that may be read, and by nothing else.
pub(crate) trait Values {
    /// Calls `out` with each value of a dimension other than hours and page patterns.
    fn each(&self, dimension: &Dimension, out: &mut dyn FnMut(Value<'_>));
    /// When.
    fn at(&self) -> UtcMs;
    /// Address of the page.
    fn url(&self) -> &str;
}

/// The values of a clause as the index looks them up; `None` for a value that means nothing.
fn keys(clause: &Clause, mut out: impl FnMut(Value<'_>)) {
    for value in &clause.values {
        let number = match clause.dimension {
            Dimension::Device => DeviceClass::from_word(value).map(|d| d as u32),
            Dimension::Site => value.parse::<SiteId>().ok().map(|id| id.0),
            Dimension::Placement => value.parse::<PlacementId>().ok().map(|id| id.0),
            Dimension::Segment => value.parse::<SegmentId>().ok().map(|id| id.0),
            Dimension::HourOfWeek => break,
            _ => {
                out(Value::Text(value));
                continue;
            }
        };
        number.into_iter().for_each(|n| out(Value::Number(n)));
    }
    if clause.dimension == Dimension::HourOfWeek {
        let hours = clause.hours();
        (0..168).filter(|h| hours[*h as usize]).for_each(|h| out(Value::Number(h)));
    }
}

/// Page patterns, found by the text before their first `*`.
#[derive(Clone, Debug)]
struct Patterns {
    by_prefix: HashMap<Box<str>, Vec<(Box<str>, u32)>>,
    /// Lengths of the prefixes, ascending, each once.
    lengths: Vec<usize>,
}
impl Patterns {
    fn add(&mut self, pattern: &str, posting: u32) {
        let prefix = pattern.split('*').next().unwrap_or_default();
        self.by_prefix.entry(prefix.into()).or_default().push((pattern.into(), posting));
        if let Err(at) = self.lengths.binary_search(&prefix.len()) {
            self.lengths.insert(at, prefix.len());
        }
    }
    fn each(&self, url: &str, mut out: impl FnMut(u32)) {
        for length in self.lengths.iter().take_while(|l| **l <= url.len()) {
            let Some(prefix) = url.get(..*length) else { continue };
            for (pattern, posting) in self.by_prefix.get(prefix).into_iter().flatten() {
                if glob_matches(pattern, url) {
                    out(*posting);
                }
            }
        }
    }
}

/// One dimension (in one zone, for hours), one rank of clause.
#[derive(Clone, Debug)]
struct Layer {
    dimension: Dimension,
    zone: Option<Zone>,
    negative: bool,
    /// Ad sets that have such a clause.
    with: Posting,
    texts: HashMap<Box<str>, u32>,
    numbers: HashMap<u32, u32>,
    patterns: Patterns,
    postings: Vec<Posting>,
}
impl Layer {
    fn new(dimension: Dimension, zone: Option<Zone>, negative: bool, seed: u64) -> Layer {
        let state = FixedState::with_seed(seed);
        Layer {
            dimension,
            zone,
            negative,
            with: Posting::default(),
            texts: HashMap::with_hasher(state.clone()),
            numbers: HashMap::with_hasher(state.clone()),
            patterns: Patterns { by_prefix: HashMap::with_hasher(state), lengths: Vec::new() },
            postings: Vec::new(),
        }
    }
    fn posting(&mut self, value: Value<'_>) -> &mut Posting {
        let next = self.postings.len() as u32;
        let at = match value {
            Value::Number(number) => *self.numbers.entry(number).or_insert(next),
            Value::Text(text) => match self.texts.get(text) {
                Some(at) => *at,
                None => {
                    self.texts.insert(text.into(), next);
                    if self.dimension == Dimension::PageUrl {
                        self.patterns.add(text, next);
                    }
                    next
                }
            },
        };
        if at == next {
            self.postings.push(Posting::default());
        }
        &mut self.postings[at as usize]
    }
    fn each(&self, values: &dyn Values, mut out: impl FnMut(u32)) {
        match (&self.dimension, &self.zone) {
            (Dimension::HourOfWeek, Some(zone)) => {
                let hour = u32::from(zone.hour_of_week(values.at()).0);
                self.numbers.get(&hour).into_iter().for_each(|p| out(*p));
            }
            (Dimension::PageUrl, _) => self.patterns.each(values.url(), out),
            (dimension, _) => values.each(dimension, &mut |value| {
                let found = match value {
                    Value::Text(text) => self.texts.get(text),
                    Value::Number(number) => self.numbers.get(&number),
                };
                found.into_iter().for_each(|p| out(*p));
            }),
        }
    }
}

/// Collects the clauses of ad sets in ascending number.
#[derive(Default)]
pub(crate) struct IndexBuilder {
    layers: Vec<Layer>,
    /// Layer by (dimension, zone name, rank; `None` for NOT IN).
    ranks: BTreeMap<(Dimension, String, Option<usize>), usize>,
    live: Posting,
    seed: u64,
}
impl IndexBuilder {
    /// `seed` is that of the look-up tables: any number that those who book cannot foresee.
    pub(crate) fn new(seed: u64) -> IndexBuilder {
        IndexBuilder { seed, ..IndexBuilder::default() }
    }
    /// Adds an ad set; `zone` is its account's. Numbers must ascend.
    pub(crate) fn add(&mut self, ad_set: usize, clauses: &[Clause], zone: &Zone) {
        self.live.add(ad_set);
        let mut used: BTreeMap<(&Dimension, String), usize> = BTreeMap::new();
        for clause in clauses {
            let hours = clause.dimension == Dimension::HourOfWeek;
            let zone = hours.then(|| clause.zone.as_ref().unwrap_or(zone).clone());
            let name = zone.as_ref().map_or(String::new(), |z| z.name().to_owned());
            let rank = (clause.op == Op::In).then(|| {
                let rank = used.entry((&clause.dimension, name.clone())).or_default();
                *rank += 1;
                *rank
            });
            let (layers, seed) = (&mut self.layers, self.seed);
            let at = *self.ranks.entry((clause.dimension.clone(), name, rank)).or_insert_with(|| {
                layers.push(Layer::new(clause.dimension.clone(), zone, rank.is_none(), seed));
                layers.len() - 1
            });
            let layer = &mut self.layers[at];
            layer.with.add(ad_set);
            keys(clause, |value| layer.posting(value).add(ad_set));
        }
    }
    /// The index over `ad_sets_count` ad sets.
    pub(crate) fn build(mut self, ad_sets_count: usize) -> Index {
        let blocks_count = ad_sets_count.div_ceil(BLOCK_BITS);
        self.live.settle(blocks_count);
        for layer in &mut self.layers {
            layer.with.settle(blocks_count);
            layer.postings.iter_mut().for_each(|p| p.settle(blocks_count));
        }
        let negative = self.layers.iter().filter(|layer| layer.negative).count();
        let counts = (self.layers.len() - negative, negative);
        Index { layers: self.layers, live: self.live, counts }
    }
}

/// The built index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    layers: Vec<Layer>,
    live: Posting,
    /// Layers of IN clauses, of NOT IN clauses.
    counts: (usize, usize),
}
impl Index {
    /// Some ad set's clause names this value.
    pub(crate) fn lists(&self, dimension: &Dimension, value: &str) -> bool {
        let number = match dimension {
            Dimension::Segment => value.parse::<SegmentId>().ok().map(|id| id.0),
            _ => None,
        };
        self.layers.iter().filter(|layer| layer.dimension == *dimension).any(|layer| {
            layer.texts.contains_key(value) || number.is_some_and(|n| layer.numbers.contains_key(&n))
        })
    }
    /// Looks a request's values up once, for matching block by block.
    pub(crate) fn query(&self, values: &dyn Values) -> Query<'_> {
        // One allocation each: most requests have few values of a dimension.
        let (positive, negative) = self.counts;
        let mut query = Query {
            live: &self.live,
            hits: Vec::with_capacity(2 * positive),
            layers: Vec::with_capacity(positive),
            without: Vec::with_capacity(2 * negative),
        };
        for layer in &self.layers {
            if layer.negative {
                layer.each(values, |p| query.without.push(&layer.postings[p as usize]));
            } else {
                let first = query.hits.len();
                layer.each(values, |p| query.hits.push(&layer.postings[p as usize]));
                query.layers.push((&layer.with, first, query.hits.len()));
            }
        }
        query
    }
}

/// A request looked up in an index.
pub(crate) struct Query<'a> {
    live: &'a Posting,
    hits: Vec<&'a Posting>,
    layers: Vec<(&'a Posting, usize, usize)>,
    without: Vec<&'a Posting>,
}
impl Query<'_> {
    /// The live ad sets of a block that match, those in `hidden` left out.
    pub(crate) fn block(&self, number: usize, hidden: &Block) -> Block {
        let Some(mut bits) = self.live.block(number).copied() else { return Block::EMPTY };
        bits.and_not(hidden);
        if bits.is_empty() {
            return bits;
        }
        for (with, first, end) in &self.layers {
            let Some(with) = with.block(number) else { continue };
            let mut any = Block::EMPTY;
            for hit in &self.hits[*first..*end] {
                if let Some(block) = hit.block(number) {
                    any.or(block);
                }
            }
            bits.keep(with, &any);
            if bits.is_empty() {
                return bits;
            }
        }
        for posting in &self.without {
            if let Some(block) = posting.block(number) {
                bits.and_not(block);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn blocks_mask_and_iterate() {
        let mut block = Block::EMPTY;
        [0, 63, 64, 200, 511].into_iter().for_each(|bit| block.set(bit));
        assert_eq!(block.bits().collect::<Vec<_>>(), [0, 63, 64, 200, 511]);
        assert_eq!(block.only(63, 201).bits().collect::<Vec<_>>(), [63, 64, 200]);
        assert!(block.only(201, 511).is_empty());
        assert_eq!(block.only(0, 512), block);
    }
    #[test]
    fn a_posting_is_the_same_sparse_and_dense() {
        for members in [vec![1usize, 600, 9_000], (0..5_000).collect::<Vec<_>>()] {
            let mut posting = Posting::default();
            members.iter().for_each(|m| posting.add(*m));
            let mut settled = posting.clone();
            settled.settle(20);
            for number in 0..25 {
                let (a, b) = (posting.block(number).copied(), settled.block(number).copied());
                assert_eq!(a.unwrap_or(Block::EMPTY), b.unwrap_or(Block::EMPTY));
            }
        }
    }
}
