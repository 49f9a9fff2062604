//! From the catalogue to what decisions read of it, one ad set at a time, and what all share.

use super::{
    AdSetFacts, Cold, Group, HashMap, PlacementFacts, Shared, SiteFacts, experiment::Experiment,
    standing::standing,
};
use crate::learned::TemplateFacts;
use regie_model::{
    AdId, AdSetId, AdvertiserId, Currency, Day, SegmentId, SiteId, UtcMs, VersionId, Zone,
    booking::*,
    catalogue::{AdState, Catalogue, Kept},
    command::Stop,
    creative::Size,
    money::DatedRate,
    ticket::Billing,
};
use std::collections::BTreeMap;

/// Days before a vote in which Regulation (EU) 2024/900, Art. 5(2) restricts who may sponsor: three months,
/// of which the longest have 92 days.
const BEFORE_VOTE_DAYS: i32 = 92;

/// Numbers things in the order of their first mention.
struct Interner<K>(BTreeMap<K, u32>);
impl<K> Default for Interner<K> {
    fn default() -> Interner<K> {
        Interner(BTreeMap::new())
    }
}
impl<K: Ord> Interner<K> {
    fn number(&mut self, key: K) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(key).or_insert(next)
    }
}

/// Small numbers for what ad sets and placements have in common. They only ever grow, so that what was compiled
/// earlier stays right.
#[derive(Default)]
pub(super) struct Words {
    currencies: Interner<[u8; 3]>,
    categories: Interner<String>,
    hosts: Interner<String>,
    shapes: Vec<Shape>,
    shape_numbers: HashMap<Shape, u32>,
}
impl Words {
    /// How many there are; when it grew, what all share must be compiled again.
    pub(super) fn count(&self) -> usize {
        self.currencies.0.len() + self.categories.0.len() + self.hosts.0.len() + self.shapes.len()
    }
    fn shape_number(&mut self, shape: Shape) -> u32 {
        let next = self.shapes.len() as u32;
        let number = *self.shape_numbers.entry(shape).or_insert(next);
        if number == next {
            self.shapes.push(shape);
        }
        number
    }
}

/// A catalogue with the words to compile it in.
pub(super) struct Builder<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) words: &'a mut Words,
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

impl Builder<'_> {
    pub(super) fn rate_nanos(&self, currency: Currency) -> Option<i64> {
        let publisher = self.catalogue.publisher.as_ref()?;
        publisher.spec.rate_nanos(currency).filter(|rate| *rate > 0)
    }
    pub(super) fn blocked_everywhere(&self, name: &str) -> bool {
        let publisher = self.catalogue.publisher.as_ref();
        publisher.is_some_and(|p| p.spec.blocked_categories.iter().any(|b| category(b) == category(name)))
    }
    /// What may be served of an ad set: approved, active, not stopped.
    fn groups(&mut self, ad_set: AdSetId) -> Vec<Group> {
        let mut ads = self.catalogue.ads_of.get(&ad_set).cloned().unwrap_or_default();
        ads.sort_unstable();
        let mut groups = Vec::new();
        for id in ads {
            if let Some(ad) = self.catalogue.ads.get(&id) {
                self.add_ad(id, ad, &mut groups);
            }
        }
        groups
    }
    fn add_ad(&mut self, id: AdId, ad: &AdState, groups: &mut Vec<Group>) {
        let catalogue = self.catalogue;
        let Some(approved) = &ad.approved else { return };
        if ad.kept.status != Status::Active || catalogue.is_stopped(Stop::Ad(id)) {
            return;
        }
        let host = self.words.hosts.number(host_of(&approved.landing_url));
        let mut by_shape: BTreeMap<ShapeKey, Vec<(VersionId, u32)>> = BTreeMap::new();
        for version in catalogue.versions_of(id) {
            if let Some(served) = catalogue.versions.servable(*version) {
                by_shape.entry(shape_key(served.shape)).or_default().push((*version, served.weight));
            }
        }
        for (shape, mut versions) in by_shape {
            let shape = self.words.shape_number(shape_of(shape));
            versions.sort_unstable_by_key(|(id, _)| *id);
            groups.push(Group::new(id, host, shape, &versions));
        }
        if let Some(spec) = &approved.template
            && let Some(template) = TemplateFacts::new(id, spec)
        {
            let shape = self.words.shape_number(spec.layout.shape());
            groups.push(Group::of_template(id, host, shape, template));
        }
    }

    /// Compiles an ad set.
    pub(super) fn ad_set(&mut self, id: AdSetId, kept: &Kept<AdSetSpec>) -> AdSetFacts {
        let groups = self.groups(id);
        let standing = standing(self, id, kept, !groups.is_empty());
        let spec = &kept.spec;
        let campaign = self.catalogue.campaigns.get(&spec.campaign).map(|c| &c.spec);
        let advertiser_id = campaign.map_or(AdvertiserId(0), |c| c.advertiser);
        let advertiser = self.catalogue.advertisers.get(&advertiser_id).map(|a| &a.spec);
        let currency = advertiser.map_or(Currency::EUR, |a| a.currency);
        let (billing, bid_nanos) = bid(&spec.bid);
        let flight =
            campaign.map_or(Flight { starts_at: UtcMs(i64::MAX), ends_at: None }, |c| narrow(spec, c));
        let mut categories: Vec<u32> = advertiser
            .map(|a| a.categories.iter().map(|c| self.words.categories.number(category(c))).collect())
            .unwrap_or_default();
        categories.sort_unstable();
        let zone = advertiser.map_or_else(Zone::utc, |a| a.zone.clone());
        let compile = |spec| Experiment::compile(id, spec, &groups).map(Box::new);
        let experiment = spec.experiment.as_ref().and_then(compile);
        AdSetFacts {
            id,
            experiment,
            campaign: spec.campaign,
            advertiser: advertiser_id,
            political: campaign.is_some_and(|c| c.political.is_some()),
            roadblock: campaign.is_some_and(|c| c.roadblock),
            tier: spec.tier,
            starts_at: flight.starts_at,
            ends_at: flight.ends_at,
            billing,
            bid_nanos,
            currency,
            currency_number: self.words.currencies.number(currency.0),
            rate_nanos: self.rate_nanos(currency).unwrap_or(DatedRate::PAR),
            caps: spec.caps.clone().into(),
            categories: categories.into(),
            silences: campaign.map(|c| self.silences(c)).unwrap_or_default().into(),
            groups: groups.into(),
            standing,
            cold: Cold { clauses: spec.targeting.clauses.clone().into(), zone },
        }
    }

    /// When a political campaign's sponsor may not advertise before the votes that it names.
    fn silences(&self, campaign: &CampaignSpec) -> Vec<(UtcMs, UtcMs)> {
        let sponsor = self.catalogue.parties.get(&campaign.sponsor);
        let free = sponsor.is_some_and(|s| s.spec.may_sponsor_before_votes);
        let (Some(declaration), Some(publisher)) = (&campaign.political, &self.catalogue.publisher) else {
            return Vec::new();
        };
        let zone = &publisher.spec.zone;
        let window =
            |from: Day, vote: Day| (zone.day_start(from), zone.day_start(Day(vote.0.saturating_add(1))));
        let mut windows = Vec::new();
        for process in &declaration.linked {
            let kept = process.election.and_then(|id| self.catalogue.elections.get(&id)).map(|e| &e.spec);
            let restricted = match (kept, process.held_on) {
                (Some(election), _) => Some((election.restricted_from(), election.held_on)),
                (None, Some(day)) => Some((Day(day.0.saturating_sub(BEFORE_VOTE_DAYS)), day)),
                (None, None) => None,
            };
            windows.extend(restricted.filter(|_| !free).map(|(from, vote)| window(from, vote)));
            // A country's silence before its vote binds every sponsor.
            windows.extend(kept.and_then(|e| Some(window(e.silent_from?, e.held_on))));
        }
        windows
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
            blocked_hosts = vec![false; self.words.hosts.0.len()];
            for (host, number) in &self.words.hosts.0 {
                // A landing page whose host cannot be read is blocked wherever any domain is.
                let hit = host.is_empty() || blocked.iter().any(|domain| covers(domain, host));
                blocked_hosts[*number as usize] = hit;
            }
        }
        let mut blocked_advertisers = spec.blocked_advertisers.clone();
        blocked_advertisers.sort_unstable();
        let named = spec.blocked_categories.iter().map(|c| category(c));
        let mut blocked_categories: Vec<u32> =
            named.filter_map(|name| self.words.categories.0.get(&name).copied()).collect();
        blocked_categories.sort_unstable();
        let tiers = [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House];
        let publisher = self.catalogue.publisher.as_ref();
        PlacementFacts {
            site: spec.site,
            active: status == Status::Active,
            political: spec.political,
            auction: spec.auction.or(publisher.map(|p| p.spec.auction)).unwrap_or_default(),
            weight_ppm: spec.slot_weight_ppm.clamp(1, FULL_WEIGHT_PPM),
            shapes: self.words.shapes.iter().map(fits).collect(),
            blocked_hosts,
            blocked_advertisers,
            blocked_categories,
            reserves: tiers.map(|tier| self.reserves(spec, tier)),
        }
    }

    /// What every decision reads whatever the ad set.
    pub(super) fn shared(&self) -> Shared {
        let catalogue = self.catalogue;
        let placements = catalogue.placements.iter();
        let placements =
            placements.map(|(id, kept)| (*id, self.placement(&kept.spec, kept.status))).collect();
        let mut names: HashMap<SiteId, HashMap<String, _>> = HashMap::default();
        for (id, kept) in &catalogue.placements {
            names.entry(kept.spec.site).or_default().entry(kept.spec.name.clone()).or_insert(*id);
        }
        let publisher = catalogue.publisher.as_ref().map(|p| &p.spec);
        let categories = |account: &Kept<AdvertiserSpec>| account.spec.categories.len();
        Shared {
            set_up: publisher.is_some(),
            auction_currency: publisher.map(|p| p.auction_currency),
            political_location: publisher.is_some_and(|p| p.political_location),
            stopped_all: catalogue.is_stopped(Stop::AllPaid),
            page_keys: publisher.map(|p| p.page_keys.iter().cloned().collect()).unwrap_or_default(),
            sites: sites(catalogue),
            placements,
            names,
            segments: segments(catalogue),
            shapes: self.words.shapes.clone(),
            categories_count_max: catalogue.advertisers.values().map(categories).max().unwrap_or(0),
        }
    }

    /// By number of the currency: the floor named in it, or the auction currency's floor converted, rounded up.
    fn reserves(&self, spec: &PlacementSpec, tier: TierKind) -> Vec<i64> {
        let mut reserves = vec![0; self.words.currencies.0.len()];
        let auction = self.catalogue.publisher.as_ref().map(|p| p.spec.auction_currency);
        for (code, number) in &self.words.currencies.0 {
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
