//! The catalogue as a decision needs it: immutable, ids, states, prices and rates as numbers, an index over
//! the targeting. No markup, no names but those of placements.
//!
//! Ad sets are numbered by order of service, within the auction in descending order of a static bound of their
//! value, those that cannot deliver at all last. Law P1: ad sets of political campaigns have an index of their
//! own, which is only ever asked with a [`Contextual`].

mod build;
mod standing;

use crate::{
    chance::Place,
    facts::{Contextual, Everything},
    index::{BLOCK_BITS, Block, Index, Query},
    outcome::Elimination,
    rates::PPB,
    tables::{Aligned, Numbers, Row},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PlacementId, SegmentId, SiteId, UtcMs, VersionId,
    Zone,
    booking::{FrequencyCap, Shape, Tier, TierKind},
    creative::ObjectHash,
    money::DatedRate,
    targeting::Clause,
    ticket::Billing,
};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// Number of an ad set within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdSetIndex(pub u32);

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
}

/// What a decision reads of one ad set.
#[derive(Clone, Debug)]
pub(crate) struct AdSetFacts {
    pub(crate) id: AdSetId,
    pub(crate) campaign: CampaignId,
    pub(crate) advertiser: AdvertiserId,
    pub(crate) political: bool,
    pub(crate) tier: Tier,
    pub(crate) starts_at: UtcMs,
    pub(crate) ends_at: Option<UtcMs>,
    pub(crate) billing: Billing,
    /// The bid for one billed event (one impression for CPM), nanos of the account's currency.
    pub(crate) bid_nanos: i64,
    /// The account's.
    pub(crate) currency: Currency,
    /// Number of `currency` in every placement's reserves.
    pub(crate) currency_number: u32,
    pub(crate) rate_nanos: i64,
    pub(crate) caps: Box<[FrequencyCap]>,
    /// Sorted.
    pub(crate) categories: Box<[u32]>,
    /// From when until when its sponsor may not advertise before a vote.
    pub(crate) silences: Box<[(UtcMs, UtcMs)]>,
    pub(crate) groups: Range<u32>,
    /// Why it cannot deliver whatever the request.
    pub(crate) standing: Option<Elimination>,
}
impl AdSetFacts {
    /// Expected value of an impression in the auction currency, each step rounded down.
    pub(crate) fn score_nanos(&self, rate_ppb: u32) -> i64 {
        let auction = i128::from(self.bid_nanos.max(0)) * i128::from(self.rate_nanos.max(1))
            / i128::from(DatedRate::PAR);
        i64::try_from(auction * i128::from(rate_ppb) / i128::from(PPB)).unwrap_or(i64::MAX)
    }
    /// Expected value of an impression in the account's currency, rounded down; `None` for a fee or a free ad.
    pub(crate) fn value_nanos(&self, rate_ppb: u32) -> Option<i64> {
        let value = i128::from(self.bid_nanos.max(0)) * i128::from(rate_ppb) / i128::from(PPB);
        (self.billing != Billing::None).then(|| i64::try_from(value).unwrap_or(i64::MAX))
    }
    fn numbers(&self, row: Row) -> Numbers {
        let rate_ppb = match self.billing {
            Billing::Click => row.click_ppb,
            Billing::Conversion => row.conversion_ppb,
            Billing::Impression | Billing::None => PPB,
        };
        let score_nanos = self.score_nanos(rate_ppb);
        Numbers { pass_ppm: row.pass_ppm, rate_ppb, need_ppm: row.need_ppm, score_nanos }
    }
}

/// The versions of one ad that have one shape, with running sums of their weights.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) ad: AdId,
    /// Number of the landing page's host.
    pub(crate) host: u32,
    /// Number of the shape.
    pub(crate) shape: u32,
    pub(crate) versions: Range<u32>,
    /// Sum of the versions' weights; above zero.
    pub(crate) weight: u64,
}

/// One version that may be served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VersionFacts {
    pub(crate) id: VersionId,
    pub(crate) creative: ObjectHash,
    /// Sum of the weights of its group up to and with this version.
    pub(crate) weight_to_here: u64,
}

/// What a decision reads of one placement.
#[derive(Clone, Debug)]
pub(crate) struct PlacementFacts {
    pub(crate) site: SiteId,
    pub(crate) active: bool,
    pub(crate) political: bool,
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

/// What only `explain` reads.
pub(crate) struct Cold {
    pub(crate) clauses: Vec<Clause>,
    /// The account's.
    pub(crate) zone: Zone,
}

/// The catalogue at one position, ready to decide on.
pub struct Snapshot {
    position: u64,
    key: u64,
    set_up: bool,
    auction_currency: Currency,
    political_location: bool,
    page_keys: BTreeSet<String>,
    sites: HashMap<SiteId, SiteFacts>,
    placements: HashMap<PlacementId, PlacementFacts>,
    names: HashMap<SiteId, HashMap<String, PlacementId>>,
    /// Active segments with the consent they need.
    segments: HashMap<SegmentId, Option<String>>,
    ids: Vec<AdSetId>,
    by_id: Vec<(AdSetId, AdSetIndex)>,
    ad_sets: Vec<AdSetFacts>,
    cold: Vec<Cold>,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
    versions: Vec<VersionFacts>,
    tiers: [Range<usize>; 4],
    general: GeneralIndex,
    political: PoliticalIndex,
    plain: Aligned,
}

impl Snapshot {
    /// Journal position of the catalogue.
    pub fn position(&self) -> u64 {
        self.position
    }
    /// Names this order of ad sets with their bids: tables are aligned to it.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }
    /// The publisher's settings exist.
    pub fn is_set_up(&self) -> bool {
        self.set_up
    }
    /// Currency in which ads compete.
    pub fn auction_currency(&self) -> Currency {
        self.auction_currency
    }
    /// Number of an ad set here.
    pub fn ad_set_index(&self, ad_set: AdSetId) -> Option<AdSetIndex> {
        self.by_id.binary_search_by_key(&ad_set, |(id, _)| *id).ok().map(|at| self.by_id[at].1)
    }
    /// All ad sets in the order of their numbers.
    pub fn ad_set_ids(&self) -> &[AdSetId] {
        &self.ids
    }
    /// The placement of this name on a site.
    pub fn placement_by_name(&self, site: SiteId, name: &str) -> Option<PlacementId> {
        self.names.get(&site)?.get(name).copied()
    }
    /// Site of a placement.
    pub fn site_of(&self, placement: PlacementId) -> Option<SiteId> {
        self.placements.get(&placement).map(|p| p.site)
    }
    /// Why an ad set cannot deliver whatever the request; such ad sets never reach a decision's sink.
    pub fn standing(&self, ad_set: AdSetId) -> Option<Elimination> {
        let index = self.ad_set_index(ad_set)?;
        self.ad_sets.get(index.0 as usize)?.standing
    }
    /// How many ad sets could deliver at some request.
    pub fn live_count(&self) -> usize {
        self.tiers.iter().map(ExactSizeIterator::len).sum()
    }
    /// How many versions could be served.
    pub fn versions_count(&self) -> usize {
        self.versions.len()
    }
    pub(crate) fn political_location(&self) -> bool {
        self.political_location
    }
    pub(crate) fn is_page_key(&self, key: &str) -> bool {
        self.page_keys.contains(key)
    }
    pub(crate) fn site_active(&self, site: SiteId) -> bool {
        self.sites.get(&site).is_some_and(|s| s.active)
    }
    pub(crate) fn site_language(&self, site: SiteId) -> Option<&str> {
        self.sites.get(&site)?.language.as_deref()
    }
    pub(crate) fn segment_usable(&self, segment: SegmentId, consents: &[String]) -> bool {
        match self.segments.get(&segment) {
            Some(None) => true,
            Some(Some(needed)) => consents.contains(needed),
            None => false,
        }
    }
    pub(crate) fn placement(&self, placement: PlacementId) -> Option<&PlacementFacts> {
        self.placements.get(&placement)
    }
    pub(crate) fn ad_set(&self, index: usize) -> &AdSetFacts {
        &self.ad_sets[index]
    }
    pub(crate) fn cold(&self, index: usize) -> &Cold {
        &self.cold[index]
    }
    pub(crate) fn groups(&self, ad_set: &AdSetFacts) -> &[Group] {
        &self.groups[ad_set.groups.start as usize..ad_set.groups.end as usize]
    }
    pub(crate) fn versions(&self, group: &Group) -> &[VersionFacts] {
        &self.versions[group.versions.start as usize..group.versions.end as usize]
    }
    pub(crate) fn shape(&self, group: &Group) -> Shape {
        self.shapes[group.shape as usize]
    }
    /// Numbers of the ad sets that can deliver in a tier.
    pub(crate) fn tier(&self, tier: TierKind) -> Range<usize> {
        self.tiers[tier as usize].clone()
    }
    pub(crate) fn plain(&self) -> &Aligned {
        &self.plain
    }
    /// Numbers of all ad sets in their order.
    pub(crate) fn numbers(&self, row: impl Fn(AdSetId) -> Row) -> impl Iterator<Item = Numbers> {
        self.ad_sets.iter().map(move |ad_set| ad_set.numbers(row(ad_set.id)))
    }
    /// For each block the largest score of the auction in it and all later ones; -1 where there is none.
    pub(crate) fn bounds(&self, numbers: &[Numbers]) -> Vec<i64> {
        let auction = self.tier(TierKind::Auction);
        let mut bounds = vec![-1; numbers.len().div_ceil(BLOCK_BITS)];
        let mut largest = -1;
        for (block, bound) in bounds.iter_mut().enumerate().rev() {
            let first = (block * BLOCK_BITS).max(auction.start);
            let end = ((block + 1) * BLOCK_BITS).min(auction.end);
            let here = numbers.get(first..end).into_iter().flatten().map(|n| n.score_nanos).max();
            largest = largest.max(here.unwrap_or(-1));
            *bound = largest;
        }
        bounds
    }
    /// Looks a request up, for matching block by block.
    pub(crate) fn candidates<'a>(
        &'a self,
        everything: &Everything<'_>,
        contextual: &Contextual<'_>,
    ) -> Candidates<'a> {
        Candidates { general: self.general.query(everything), political: self.political.query(contextual) }
    }
}

/// A request looked up in both indices.
pub(crate) struct Candidates<'a> {
    general: Query<'a>,
    political: Query<'a>,
}
impl Candidates<'_> {
    /// The ad sets of a block that can deliver and match.
    pub(crate) fn block(&self, number: usize) -> Block {
        self.general.block(number).union(self.political.block(number))
    }
}

/// A place of the request, resolved.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) id: PlacementId,
    pub(crate) facts: &'a PlacementFacts,
    pub(crate) place: Place,
}
