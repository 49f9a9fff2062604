//! From the catalogue to a snapshot. Deterministic: everything is walked in the order of its id.

use super::{
    AdSetFacts, AdSetIndex, Cold, GeneralIndex, Group, PlacementFacts, PoliticalIndex, SiteFacts, Snapshot,
    VersionFacts, standing::standing,
};
use crate::{
    index::IndexBuilder,
    tables::{Aligned, Tables},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, Currency, Day, SegmentId, SiteId, UtcMs, VersionId, Zone,
    booking::*,
    catalogue::{AdState, Catalogue, Kept},
    command::Stop,
    creative::{ObjectHash, Size},
    money::DatedRate,
    ticket::Billing,
};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

/// Days before a vote in which Regulation (EU) 2024/900, Art. 5(2) restricts who may sponsor: three months,
/// of which the longest have 92 days.
const BEFORE_VOTE_DAYS: i32 = 92;

/// Numbers things in the order of their first mention.
struct Interner<K>(BTreeMap<K, u32>);
impl<K: Ord> Interner<K> {
    fn number(&mut self, key: K) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(key).or_insert(next)
    }
}

pub(super) struct Builder<'a> {
    pub(super) catalogue: &'a Catalogue,
    currencies: Interner<[u8; 3]>,
    categories: Interner<String>,
    hosts: Interner<String>,
    shapes: Vec<Shape>,
    shape_numbers: HashMap<Shape, u32>,
    groups: Vec<Group>,
    groups_of: BTreeMap<AdSetId, Range<u32>>,
    versions: Vec<VersionFacts>,
}

/// Versions are drawn in the order of ad, shape and version; shapes sort by kind, width and height.
type ShapeKey = (u8, u16, u16);
fn shape_key(shape: Shape) -> ShapeKey {
    match shape {
        Shape::Banner(size) => (0, size.width, size.height),
        Shape::Native => (1, 0, 0),
        Shape::Text => (2, 0, 0),
    }
}
fn shape_of((kind, width, height): ShapeKey) -> Shape {
    match kind {
        0 => Shape::Banner(Size { width, height }),
        1 => Shape::Native,
        _ => Shape::Text,
    }
}

fn category(name: &str) -> String {
    name.trim().to_lowercase()
}
/// Host of a landing page as a browser reads it; empty when there is none.
fn host_of(landing_url: &str) -> String {
    let bare = landing_url.replace("{PLACEMENT}", "x").replace("{CACHEBUSTER}", "0");
    let url = url::Url::parse(&bare).ok();
    url.and_then(|u| u.host_str().map(|h| h.trim_end_matches('.').to_owned())).unwrap_or_default()
}
fn covers(domain: &str, host: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

impl<'a> Builder<'a> {
    fn new(catalogue: &'a Catalogue) -> Builder<'a> {
        Builder {
            catalogue,
            currencies: Interner(BTreeMap::new()),
            categories: Interner(BTreeMap::new()),
            hosts: Interner(BTreeMap::new()),
            shapes: Vec::new(),
            shape_numbers: HashMap::new(),
            groups: Vec::new(),
            groups_of: BTreeMap::new(),
            versions: Vec::new(),
        }
    }
    pub(super) fn rate_nanos(&self, currency: Currency) -> Option<i64> {
        let publisher = self.catalogue.publisher.as_ref()?;
        publisher.spec.rate_nanos(currency).filter(|rate| *rate > 0)
    }
    pub(super) fn blocked_everywhere(&self, name: &str) -> bool {
        let publisher = self.catalogue.publisher.as_ref();
        publisher.is_some_and(|p| p.spec.blocked_categories.iter().any(|b| category(b) == category(name)))
    }
    pub(super) fn has_groups(&self, ad_set: AdSetId) -> bool {
        self.groups_of.get(&ad_set).is_some_and(|range| !range.is_empty())
    }
    fn shape_number(&mut self, shape: Shape) -> u32 {
        let next = self.shapes.len() as u32;
        let number = *self.shape_numbers.entry(shape).or_insert(next);
        if number == next {
            self.shapes.push(shape);
        }
        number
    }

    /// Lays out what may be served of every ad set: approved, active, not stopped.
    fn add_versions(&mut self) {
        let catalogue = self.catalogue;
        for (ad_set, ads) in &catalogue.ads_of {
            let first = self.groups.len() as u32;
            let mut ads = ads.clone();
            ads.sort_unstable();
            for id in ads {
                if let Some(ad) = catalogue.ads.get(&id) {
                    self.add_ad(id, ad);
                }
            }
            self.groups_of.insert(*ad_set, first..self.groups.len() as u32);
        }
    }
    fn add_ad(&mut self, id: AdId, ad: &AdState) {
        let catalogue = self.catalogue;
        let Some(approved) = &ad.approved else { return };
        if ad.kept.status != Status::Active || catalogue.is_stopped(Stop::Ad(id)) {
            return;
        }
        let host = self.hosts.number(host_of(&approved.landing_url));
        let mut by_shape: BTreeMap<ShapeKey, Vec<(VersionId, ObjectHash, u32)>> = BTreeMap::new();
        for version in catalogue.versions_of.get(&id).into_iter().flatten() {
            let Some(state) = catalogue.versions.get(version) else { continue };
            let Some((creative, shape)) = state.approved else { continue };
            if state.kept.status != Status::Active || state.kept.spec.weight == 0 {
                continue;
            }
            let of_shape = by_shape.entry(shape_key(shape)).or_default();
            of_shape.push((*version, creative, state.kept.spec.weight));
        }
        for (shape, mut versions) in by_shape {
            let shape = self.shape_number(shape_of(shape));
            versions.sort_unstable_by_key(|(id, ..)| *id);
            let first = self.versions.len() as u32;
            let mut weight_to_here = 0;
            for (id, creative, weight) in versions {
                weight_to_here += u64::from(weight);
                self.versions.push(VersionFacts { id, creative, weight_to_here });
            }
            let versions = first..self.versions.len() as u32;
            self.groups.push(Group { ad: id, host, shape, versions, weight: weight_to_here });
        }
    }

    fn ad_set(&mut self, id: AdSetId, kept: &Kept<AdSetSpec>) -> (AdSetFacts, Cold) {
        let standing = standing(self, id, kept);
        let spec = &kept.spec;
        let campaign = self.catalogue.campaigns.get(&spec.campaign).map(|c| &c.spec);
        let advertiser_id = campaign.map_or(AdvertiserId(0), |c| c.advertiser);
        let advertiser = self.catalogue.advertisers.get(&advertiser_id).map(|a| &a.spec);
        let currency = advertiser.map_or(Currency::EUR, |a| a.currency);
        let (billing, bid_nanos) = bid(&spec.bid);
        let flight =
            campaign.map_or(Flight { starts_at: UtcMs(i64::MAX), ends_at: None }, |c| narrow(spec, c));
        let mut categories: Vec<u32> = advertiser
            .map(|a| a.categories.iter().map(|c| self.categories.number(category(c))).collect())
            .unwrap_or_default();
        categories.sort_unstable();
        let facts = AdSetFacts {
            id,
            campaign: spec.campaign,
            advertiser: advertiser_id,
            political: campaign.is_some_and(|c| c.political.is_some()),
            tier: spec.tier,
            starts_at: flight.starts_at,
            ends_at: flight.ends_at,
            billing,
            bid_nanos,
            currency,
            currency_number: self.currencies.number(currency.0),
            rate_nanos: self.rate_nanos(currency).unwrap_or(DatedRate::PAR),
            caps: spec.caps.clone().into(),
            categories: categories.into(),
            silences: campaign.map(|c| self.silences(c)).unwrap_or_default().into(),
            groups: self.groups_of.get(&id).cloned().unwrap_or(0..0),
            standing,
        };
        let zone = advertiser.map_or_else(Zone::utc, |a| a.zone.clone());
        (facts, Cold { clauses: spec.targeting.clauses.clone(), zone })
    }

    /// When a political campaign's sponsor may not advertise before the votes that it names.
    fn silences(&self, campaign: &CampaignSpec) -> Vec<(UtcMs, UtcMs)> {
        let sponsor = self.catalogue.parties.get(&campaign.sponsor);
        let free = sponsor.is_some_and(|s| s.spec.may_sponsor_before_votes);
        let (Some(declaration), Some(publisher), false) =
            (&campaign.political, &self.catalogue.publisher, free)
        else {
            return Vec::new();
        };
        let zone = &publisher.spec.zone;
        let days = declaration.linked.iter().filter_map(|process| process.held_on);
        let window = |day: Day| {
            (
                zone.day_start(Day(day.0.saturating_sub(BEFORE_VOTE_DAYS))),
                zone.day_start(Day(day.0.saturating_add(1))),
            )
        };
        days.map(window).collect()
    }

    fn placement(&self, spec: &PlacementSpec, status: Status) -> PlacementFacts {
        let fits = |shape: &Shape| match (&spec.format, shape) {
            (Format::Banner { sizes }, Shape::Banner(size)) => sizes.contains(size),
            (Format::Native, Shape::Native) | (Format::Text, Shape::Text) => true,
            _ => false,
        };
        let host = |domain: &String| host_of(&format!("https://{domain}/"));
        let blocked: Vec<String> =
            spec.blocked_domains.iter().map(host).filter(|domain| !domain.is_empty()).collect();
        let mut blocked_hosts = Vec::new();
        if !blocked.is_empty() {
            blocked_hosts = vec![false; self.hosts.0.len()];
            for (host, number) in &self.hosts.0 {
                // A landing page whose host cannot be read is blocked wherever any domain is.
                let hit = host.is_empty() || blocked.iter().any(|domain| covers(domain, host));
                blocked_hosts[*number as usize] = hit;
            }
        }
        let mut blocked_advertisers = spec.blocked_advertisers.clone();
        blocked_advertisers.sort_unstable();
        let named = spec.blocked_categories.iter().map(|c| category(c));
        let mut blocked_categories: Vec<u32> =
            named.filter_map(|name| self.categories.0.get(&name).copied()).collect();
        blocked_categories.sort_unstable();
        let tiers = [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House];
        PlacementFacts {
            site: spec.site,
            active: status == Status::Active,
            political: spec.political,
            shapes: self.shapes.iter().map(fits).collect(),
            blocked_hosts,
            blocked_advertisers,
            blocked_categories,
            reserves: tiers.map(|tier| self.reserves(spec, tier)),
        }
    }

    /// By number of the currency: the floor named in it, or the auction currency's floor converted, rounded up.
    fn reserves(&self, spec: &PlacementSpec, tier: TierKind) -> Vec<i64> {
        let mut reserves = vec![0; self.currencies.0.len()];
        let auction = self.catalogue.publisher.as_ref().map(|p| p.spec.auction_currency);
        for (code, number) in &self.currencies.0 {
            let currency = Currency(*code);
            let named = spec.floors.iter().any(|f| f.tier == tier && f.currency == currency);
            let reserve = if named {
                spec.floor_micros_per_mille(tier, currency)
            } else {
                let floor = auction.map_or(0, |a| spec.floor_micros_per_mille(tier, a));
                to_account_round_up(floor, self.rate_nanos(currency).unwrap_or(DatedRate::PAR))
            };
            reserves[*number as usize] = reserve.max(0);
        }
        reserves
    }
}

/// Converts a floor in the auction currency to the account's, rounded up in the publisher's favour.
fn to_account_round_up(auction_nanos: i64, rate_nanos: i64) -> i64 {
    let rate = i128::from(rate_nanos.max(1));
    let scaled = i128::from(auction_nanos.max(0)) * i128::from(DatedRate::PAR);
    i64::try_from((scaled + rate - 1) / rate).unwrap_or(i64::MAX)
}

/// Which event is paid, and the bid for it in nanos. Micros per mille are nanos an impression.
fn bid(bid: &Bid) -> (Billing, i64) {
    match bid {
        Bid::Cpm { micros_per_mille } => (Billing::Impression, *micros_per_mille),
        Bid::Cpc { micros_per_click } => (Billing::Click, micros_per_click.saturating_mul(1_000)),
        Bid::Cpa { micros_per_conversion, .. } => {
            (Billing::Conversion, micros_per_conversion.saturating_mul(1_000))
        }
        Bid::FlatFee { .. } | Bid::Free => (Billing::None, 0),
    }
}

/// The ad set's flight, within its campaign's.
fn narrow(spec: &AdSetSpec, campaign: &CampaignSpec) -> Flight {
    let own = spec.flight_in(campaign);
    let ends = [own.ends_at, campaign.flight.ends_at].into_iter().flatten().min();
    Flight { starts_at: own.starts_at.max(campaign.flight.starts_at), ends_at: ends }
}

/// Order of service, then descending value at the rates given, then id; what cannot deliver comes last.
fn order(ad_sets: &mut [(AdSetFacts, Cold)], tables: &Tables) {
    let prior = |facts: &AdSetFacts| facts.numbers(tables.row(facts.id)).score_nanos;
    ad_sets.sort_by_cached_key(|(facts, _)| {
        (facts.standing.is_some(), facts.tier.kind(), std::cmp::Reverse(prior(facts)), facts.id)
    });
}

fn key(ad_sets: &[AdSetFacts]) -> u64 {
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

fn index(ad_sets: &[AdSetFacts], cold: &[Cold], political: bool) -> crate::index::Index {
    let mut builder = IndexBuilder::default();
    for (number, (facts, cold)) in ad_sets.iter().zip(cold).enumerate() {
        if facts.standing.is_none() && facts.political == political {
            builder.add(number, &cold.clauses, &cold.zone);
        }
    }
    builder.build(ad_sets.len())
}

fn tiers(ad_sets: &[AdSetFacts]) -> [Range<usize>; 4] {
    let live = ad_sets.partition_point(|facts| facts.standing.is_none());
    let at = |tier: TierKind| ad_sets[..live].partition_point(|facts| facts.tier.kind() < tier);
    let (guaranteed, auction, house) = (at(TierKind::Guaranteed), at(TierKind::Auction), at(TierKind::House));
    [0..guaranteed, guaranteed..auction, auction..house, house..live]
}

fn sites(catalogue: &Catalogue) -> HashMap<SiteId, SiteFacts> {
    let facts = |kept: &Kept<SiteSpec>| SiteFacts {
        active: kept.status == Status::Active,
        language: kept.spec.language.as_ref().map(|l| l.to_lowercase()),
    };
    catalogue.sites.iter().map(|(id, kept)| (*id, facts(kept))).collect()
}

fn segments(catalogue: &Catalogue) -> HashMap<SegmentId, Option<String>> {
    let active = catalogue.segments.iter().filter(|(_, kept)| kept.status == Status::Active);
    active.map(|(id, kept)| (*id, kept.spec.consent.clone())).collect()
}

impl Snapshot {
    /// Builds the snapshot of a catalogue that stands at journal `position`.
    pub fn build(catalogue: &Catalogue, position: u64) -> Snapshot {
        Snapshot::build_for(catalogue, position, &Tables::default())
    }
    /// The same, numbered by value at the predicted rates of `tables`. Numbering changes how soon an auction is
    /// settled, never what is decided.
    pub fn build_for(catalogue: &Catalogue, position: u64, tables: &Tables) -> Snapshot {
        let mut builder = Builder::new(catalogue);
        builder.add_versions();
        let mut ad_sets: Vec<_> =
            catalogue.ad_sets.iter().map(|(id, kept)| builder.ad_set(*id, kept)).collect();
        order(&mut ad_sets, tables);
        let (ad_sets, cold): (Vec<_>, Vec<_>) = ad_sets.into_iter().unzip();
        let placements =
            catalogue.placements.iter().map(|(id, kept)| (*id, builder.placement(&kept.spec, kept.status)));
        let placements = placements.collect();
        let mut names: HashMap<SiteId, HashMap<String, _>> = HashMap::new();
        for (id, kept) in &catalogue.placements {
            names.entry(kept.spec.site).or_default().entry(kept.spec.name.clone()).or_insert(*id);
        }
        let ids: Vec<AdSetId> = ad_sets.iter().map(|facts| facts.id).collect();
        let mut by_id: Vec<_> = ids.iter().enumerate().map(|(at, id)| (*id, AdSetIndex(at as u32))).collect();
        by_id.sort_unstable();
        let publisher = catalogue.publisher.as_ref().map(|p| &p.spec);
        let mut snapshot = Snapshot {
            position,
            key: key(&ad_sets),
            set_up: publisher.is_some(),
            auction_currency: publisher.map_or(Currency::EUR, |p| p.auction_currency),
            political_location: publisher.is_some_and(|p| p.political_location),
            page_keys: publisher.map(|p| p.page_keys.iter().cloned().collect()).unwrap_or_default(),
            sites: sites(catalogue),
            placements,
            names,
            segments: segments(catalogue),
            ids,
            by_id,
            general: GeneralIndex(index(&ad_sets, &cold, false)),
            political: PoliticalIndex(index(&ad_sets, &cold, true)),
            tiers: tiers(&ad_sets),
            ad_sets,
            cold,
            groups: builder.groups,
            shapes: builder.shapes,
            versions: builder.versions,
            plain: Aligned::default(),
        };
        snapshot.plain = Aligned::of(&Tables::default(), &snapshot);
        snapshot
    }
}
