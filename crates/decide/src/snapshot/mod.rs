//! The catalogue as a decision needs it: immutable, ids, states, prices and rates as numbers, an index over
//! the targeting. No markup, no names but those of placements.
//!
//! A large [`stratum`] holds most ad sets, small ones above it those that changed since. Which ad set stands in which
//! changes how soon a decision is made, never what is decided.

mod ad_set;
mod compile;
mod experiment;
mod live;
mod standing;
mod stratum;
mod touched;

pub(crate) use ad_set::{AdSetFacts, Cold, Group};
pub(crate) use experiment::Arm;
pub use experiment::{experiment_salt, experiment_unit};
pub use live::{Compiler, Levels, Merge, Merged};
pub(crate) use stratum::{Candidates, Look, STRATA_MAX, Stratum, locate, locate_block};
pub use touched::Touched;

use crate::{
    chance::Place,
    facts::{Contextual, Everything},
    outcome::{Elimination, Stage, Whose},
    tables::Tables,
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, Currency, PlacementId, SegmentId, SiteId, VersionId,
    booking::{AuctionKind, Shape, TierKind},
    catalogue::{Catalogue, VersionPages},
    creative::ObjectHash,
    targeting::Dimension,
};
use std::{collections::BTreeSet, ops::Range, sync::Arc};
use stratum::{Layer, index_of};

/// Keys are the publisher's own: a fast hash will do.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// Number of an ad set within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdSetIndex(pub u32);

/// What a decision reads of one placement.
#[derive(Clone, Debug)]
pub(crate) struct PlacementFacts {
    pub(crate) site: SiteId,
    pub(crate) active: bool,
    pub(crate) political: bool,
    pub(crate) auction: AuctionKind,
    /// Parts per million, above zero.
    pub(crate) weight_ppm: u32,
    /// By number of the shape.
    shapes: Vec<bool>,
    /// By number of the host; empty when no domain is blocked.
    blocked_hosts: Vec<bool>,
    /// Sorted.
    pub(crate) blocked_advertisers: Vec<AdvertiserId>,
    /// Sorted.
    pub(crate) blocked_categories: Vec<u32>,
    /// By tier, then number of the currency: nanos an impression, account's currency.
    reserves: [Vec<i64>; 4],
}
impl PlacementFacts {
    pub(crate) fn fits(&self, group: &Group) -> bool {
        self.shapes.get(group.shape as usize).copied().unwrap_or(false)
    }
    pub(crate) fn blocks_host(&self, group: &Group) -> bool {
        self.blocked_hosts.get(group.host as usize).copied().unwrap_or(false)
    }
    pub(crate) fn reserve_nanos(&self, ad_set: &AdSetFacts) -> i64 {
        let of_tier = &self.reserves[ad_set.tier.kind() as usize];
        of_tier.get(ad_set.currency_number as usize).copied().unwrap_or(0)
    }
}

struct SiteFacts {
    active: bool,
    language: Option<String>,
}

/// What every decision reads whatever the ad set.
#[derive(Default)]
struct Shared {
    set_up: bool,
    auction_currency: Option<Currency>,
    political_location: bool,
    /// Everything paid is stopped by the publisher's switch.
    stopped_all: bool,
    page_keys: BTreeSet<String>,
    sites: HashMap<SiteId, SiteFacts>,
    placements: HashMap<PlacementId, PlacementFacts>,
    names: HashMap<SiteId, HashMap<String, PlacementId>>,
    /// Active segments with the consent they need.
    segments: HashMap<SegmentId, Option<String>>,
    shapes: Vec<Shape>,
    /// Most categories that one advertiser has.
    categories_count_max: usize,
}

/// The catalogue at one position, ready to decide on. A copy costs next to nothing.
#[derive(Clone)]
pub struct Snapshot {
    position: u64,
    shared: Arc<Shared>,
    /// The large one first, the latest last.
    layers: Vec<Layer>,
    pages: VersionPages,
}

impl Snapshot {
    /// Builds the snapshot of a catalogue that stands at journal `position`.
    pub fn build(catalogue: &Catalogue, position: u64) -> Snapshot {
        Snapshot::build_for(catalogue, position, &Tables::default())
    }
    /// The same, numbered by value at the predicted rates of `tables`. Numbering changes how soon an auction is
    /// settled, never what is decided.
    pub fn build_for(catalogue: &Catalogue, position: u64, tables: &Tables) -> Snapshot {
        Compiler::new(catalogue, position, tables).snapshot()
    }
    /// Journal position of the catalogue.
    pub fn position(&self) -> u64 {
        self.position
    }
    /// The publisher's settings exist.
    pub fn is_set_up(&self) -> bool {
        self.shared.set_up
    }
    /// Currency in which ads compete.
    pub fn auction_currency(&self) -> Currency {
        self.shared.auction_currency.unwrap_or(Currency::EUR)
    }
    /// Number of an ad set here.
    pub fn ad_set_index(&self, ad_set: AdSetId) -> Option<AdSetIndex> {
        let layers = self.layers.iter().enumerate().rev();
        let mut found = layers.filter_map(|(at, layer)| Some(index_of(at, layer.stratum.number(ad_set)?)));
        found.next().map(|index| AdSetIndex(index as u32))
    }
    /// Indices of all ad sets, each where it counts.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        let layers = self.layers.iter().enumerate();
        layers.flat_map(|(at, layer)| layer.members().map(move |(number, _)| index_of(at, number)))
    }
    /// The placement of this name on a site.
    pub fn placement_by_name(&self, site: SiteId, name: &str) -> Option<PlacementId> {
        self.shared.names.get(&site)?.get(name).copied()
    }
    /// Site of a placement.
    pub fn site_of(&self, placement: PlacementId) -> Option<SiteId> {
        self.shared.placements.get(&placement).map(|p| p.site)
    }
    /// Why an ad set cannot deliver whatever the request; such ad sets never reach a decision's sink.
    pub fn standing(&self, ad_set: AdSetId) -> Option<Elimination> {
        self.standing_at(self.ad_set_index(ad_set)?.0 as usize)
    }
    pub(crate) fn standing_at(&self, index: usize) -> Option<Elimination> {
        let facts = self.ad_set(index);
        if !self.shared.stopped_all || facts.tier.kind() == TierKind::House {
            return facts.standing;
        }
        // The switch comes after status and sponsor, and before the ads.
        let of_ads = |why: &Elimination| {
            matches!(why, Elimination::NoAds | Elimination::NotActive { whose: Whose::Ads, .. })
        };
        let before = facts.standing.filter(|why| why.stage() < Stage::Stopped && !of_ads(why));
        Some(before.unwrap_or(Elimination::StoppedAll))
    }
    /// How many ad sets could deliver at some request.
    pub fn live_count(&self) -> usize {
        self.indices().filter(|index| self.standing_at(*index).is_none()).count()
    }
    /// How many versions could be served.
    pub fn versions_count(&self) -> usize {
        let groups = self.indices().flat_map(|index| self.ad_set(index).groups.iter());
        groups.map(|group| group.versions.len()).sum()
    }
    /// Some ad set's targeting names this value (or did, until lately).
    pub fn lists(&self, dimension: &Dimension, value: &str) -> bool {
        self.layers.iter().any(|layer| layer.stratum.lists(dimension, value))
    }
    /// The same, not looking at ad sets whose budget is known to be spent. The gate must refuse each of them:
    /// then nothing is decided otherwise, only sooner.
    #[must_use]
    pub fn with_exhausted(&self, ad_sets: impl IntoIterator<Item = AdSetId>) -> Snapshot {
        let mut snapshot = self.without_exhausted();
        for ad_set in ad_sets {
            let Some(index) = snapshot.ad_set_index(ad_set) else { continue };
            let (at, number) = locate(index.0 as usize);
            let layer = &mut snapshot.layers[at];
            // House ads have no budget.
            if layer.stratum.ad_sets()[number].tier.kind() == TierKind::House {
                continue;
            }
            layer.exhausted.set(number, &layer.stratum);
        }
        snapshot
    }
    /// The same, looking at every ad set: what a record of the gate's answers needs (law D1).
    #[must_use]
    pub fn without_exhausted(&self) -> Snapshot {
        let mut snapshot = self.clone();
        snapshot.layers.iter_mut().for_each(|layer| layer.exhausted = Default::default());
        snapshot
    }
    /// The budget of an ad set is known to be spent, as [`Snapshot::with_exhausted`] was told.
    pub fn is_exhausted(&self, ad_set: AdSetId) -> bool {
        if self.layers.iter().all(|layer| layer.exhausted.is_empty()) {
            return false;
        }
        let index = self.ad_set_index(ad_set).map(|index| locate(index.0 as usize));
        index.is_some_and(|(at, number)| self.layers[at].exhausted.has(number))
    }
    /// How many ad sets [`Snapshot::with_exhausted`] left out.
    pub fn exhausted_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.exhausted.count()).sum()
    }
    pub(crate) fn political_location(&self) -> bool {
        self.shared.political_location
    }
    pub(crate) fn is_page_key(&self, key: &str) -> bool {
        self.shared.page_keys.contains(key)
    }
    pub(crate) fn site_active(&self, site: SiteId) -> bool {
        self.shared.sites.get(&site).is_some_and(|s| s.active)
    }
    pub(crate) fn site_language(&self, site: SiteId) -> Option<&str> {
        self.shared.sites.get(&site)?.language.as_deref()
    }
    pub(crate) fn segment_usable(&self, segment: SegmentId, consents: &[String]) -> bool {
        match self.shared.segments.get(&segment) {
            Some(None) => true,
            Some(Some(needed)) => consents.contains(needed),
            None => false,
        }
    }
    pub(crate) fn placement(&self, placement: PlacementId) -> Option<&PlacementFacts> {
        self.shared.placements.get(&placement)
    }
    pub(crate) fn ad_set(&self, index: usize) -> &AdSetFacts {
        let (at, number) = locate(index);
        &self.layers[at].stratum.ad_sets()[number]
    }
    pub(crate) fn cold(&self, index: usize) -> &Cold {
        &self.ad_set(index).cold
    }
    /// The template of an ad that can deliver.
    pub fn template(&self, ad_set: AdSetId, ad: AdId) -> Option<&crate::learned::TemplateFacts> {
        let facts = self.ad_set(self.ad_set_index(ad_set)?.0 as usize);
        facts.groups.iter().filter(|group| group.ad == ad).find_map(|group| group.template.as_deref())
    }
    /// What an ad set may show, by ad and shape (its number): versions ascending, a template as the version of its code 0.
    pub fn offered_of(&self, ad_set: AdSetId) -> Vec<(AdId, u32, &[VersionId])> {
        let Some(index) = self.ad_set_index(ad_set) else { return Vec::new() };
        let groups = self.ad_set(index.0 as usize).groups.iter();
        groups.map(|group| (group.ad, group.shape, group.versions.as_ref())).collect()
    }
    /// The weight of every ad that an ad set may show, by ad and shape.
    pub fn weights_of(&self, ad_set: AdSetId) -> Vec<(AdId, u64)> {
        let Some(index) = self.ad_set_index(ad_set) else { return Vec::new() };
        self.ad_set(index.0 as usize).groups.iter().map(|group| (group.ad, group.weight)).collect()
    }
    /// Approved creative of a version.
    pub(crate) fn creative(&self, version: VersionId) -> Option<ObjectHash> {
        self.pages.approved(version).map(|(creative, _)| creative)
    }
    pub(crate) fn shape(&self, group: &Group) -> Shape {
        self.shared.shapes[group.shape as usize]
    }
    /// The ad sets that can deliver in a tier, a run of indices for each stratum that has any.
    pub(crate) fn tier(&self, tier: TierKind) -> impl DoubleEndedIterator<Item = Range<usize>> {
        let stopped = self.shared.stopped_all && tier != TierKind::House;
        let layers = self.layers.iter().enumerate().filter(move |_| !stopped);
        let ranges = layers.map(move |(at, layer)| {
            let range = layer.stratum.tier(tier);
            index_of(at, range.start)..index_of(at, range.end)
        });
        ranges.filter(|range| !range.is_empty())
    }
    pub(crate) fn strata(&self) -> impl Iterator<Item = &Stratum> {
        self.layers.iter().map(|layer| layer.stratum.as_ref())
    }
    /// Looks a request up, for matching block by block.
    pub(crate) fn candidates<'a>(
        &'a self,
        everything: &Everything<'_>,
        contextual: &Contextual<'_>,
    ) -> Candidates<'a> {
        Candidates::new(&self.layers, everything, contextual)
    }
    /// The same, as if of every request only what a political ad may read were known.
    pub(crate) fn contextual_candidates<'a>(&'a self, contextual: &Contextual<'_>) -> Candidates<'a> {
        Candidates::contextual(&self.layers, contextual)
    }
    /// Some ad set that can deliver is political (or was, until lately).
    pub(crate) fn has_political(&self) -> bool {
        self.layers.iter().any(|layer| layer.stratum.has_political())
    }
    /// Some ad set that can deliver belongs to a roadblock (or did, until lately).
    pub(crate) fn has_roadblocks(&self) -> bool {
        self.layers.iter().any(|layer| layer.stratum.has_roadblocks())
    }
    /// Some ad set that can deliver is under an experiment (or was, until lately).
    pub(crate) fn has_experiments(&self) -> bool {
        self.layers.iter().any(|layer| layer.stratum.has_experiments())
    }
    /// Most categories that one advertiser of the catalogue has.
    pub(crate) fn categories_count_max(&self) -> usize {
        self.shared.categories_count_max
    }
}

/// A place of the request, resolved.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) id: PlacementId,
    pub(crate) facts: &'a PlacementFacts,
    pub(crate) place: Place,
}
