//! Catalogues and requests for tests: built by hand or at random from a seed. All names are fictional.

use regie_decide::{Counted, Location, Machine, PageFacts, PageViewCount, Request, VisitorCount};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, Micros, PartyId, PersonKeyId, PlacementId, SegmentId,
    SiteId, UtcMs, VersionId, Zone,
    booking::*,
    catalogue::{Catalogue, VersionState},
    command::{Change, EntityRef, Stop, Verdict},
    creative::{ObjectHash, Size},
    money::DatedRate,
    personal::Sealed,
    targeting::{Clause, Dimension, Op, Targeting},
    ticket::DeviceClass,
    time::DAY_MS,
};

pub const USD: Currency = Currency(*b"USD");
pub const CHF: Currency = Currency(*b"CHF");
pub const SIZES: [Size; 3] =
    [Size { width: 300, height: 250 }, Size { width: 728, height: 90 }, Size { width: 160, height: 600 }];

/// Monday, 4 May 2026, 10:00 UTC.
pub fn noon() -> UtcMs {
    UtcMs::parse("2026-05-04T10:00:00Z").unwrap()
}

/// Numbers at random, the same for the same seed (SplitMix64).
pub struct Chance(pub u64);
impl Chance {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    pub fn below(&mut self, count: u64) -> u64 {
        self.bits() % count.max(1)
    }
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
    pub fn some<T: Clone>(&mut self, list: &[T], max: u64) -> Vec<T> {
        (0..1 + self.below(max)).map(|_| self.pick(list).clone()).collect()
    }
}

pub fn clause(dimension: Dimension, op: Op, values: &[&str]) -> Clause {
    Clause { dimension, op, values: values.iter().map(|v| (*v).to_owned()).collect(), zone: None }
}

pub fn declaration() -> Declaration {
    Declaration {
        linked: Vec::new(),
        no_linked_process: true,
        other_providers: Vec::new(),
        no_other_provider: true,
        origin: Origin { public: false, private: true, inside_union: true, outside_union: false },
        ai_used: false,
        right_missing: String::new(),
        confirmed: true,
    }
}

pub fn campaign(advertiser: AdvertiserId) -> CampaignSpec {
    CampaignSpec {
        advertiser,
        name: "Campaign".into(),
        objective: Objective::Impressions,
        flight: Flight { starts_at: UtcMs(noon().0 - DAY_MS), ends_at: Some(UtcMs(noon().0 + DAY_MS)) },
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        sponsor: PartyId(1),
        payer: PartyId(1),
        political: None,
        roadblock: false,
        adapt: None,
        external_id: None,
    }
}

pub fn ad_set(campaign: CampaignId, micros_per_mille: i64) -> AdSetSpec {
    AdSetSpec {
        campaign,
        name: "Ad set".into(),
        targeting: Targeting::default(),
        bid: Bid::Cpm { micros_per_mille },
        tier: Tier::Auction,
        pacing: Pacing::Even,
        caps: Vec::new(),
        flight: None,
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        external_id: None,
        experiment: None,
        learning: None,
    }
}

pub fn placement(site: SiteId, name: &str) -> PlacementSpec {
    PlacementSpec {
        site,
        name: name.into(),
        format: Format::Banner { sizes: vec![SIZES[0]] },
        floors: Vec::new(),
        blocked_advertisers: Vec::new(),
        blocked_categories: Vec::new(),
        blocked_domains: Vec::new(),
        fallback_html: String::new(),
        behaviour: Behaviour::default(),
        political: true,
        auction: None,
        slot_weight_ppm: FULL_WEIGHT_PPM,
    }
}

/// A catalogue that grows by accepted changes.
#[derive(Clone, Default)]
pub struct World {
    pub catalogue: Catalogue,
    /// What was changed, for who follows.
    pub log: Vec<Change>,
}
impl World {
    /// One publisher (EUR) with one site, one placement, one sponsor.
    pub fn new() -> World {
        let mut world = World::default();
        world.publisher(|_| ());
        let spec = SiteSpec {
            name: "Example News".into(),
            origins: vec!["https://news.example".into()],
            language: Some("fr".into()),
        };
        world.apply(Change::SitePut { id: SiteId(1), spec });
        world.party(1, |_| ());
        world.placement(1, placement(SiteId(1), "top"));
        world
    }
    pub fn apply(&mut self, change: Change) {
        self.catalogue.apply(UtcMs(noon().0 - 2 * DAY_MS), &change);
        self.log.push(change);
    }
    pub fn publisher(&mut self, edit: impl FnOnce(&mut PublisherSpec)) {
        let rate = |currency, rate_nanos| DatedRate { currency, rate_nanos, quoted_on: "2026-05-01".into() };
        let fresh = || PublisherSpec {
            name: "Example Press".into(),
            legal_address: String::new(),
            tax_id: String::new(),
            tax_rate_ppm: 0,
            auction_currency: Currency::EUR,
            zone: Zone::parse("Europe/Paris").unwrap(),
            rates: vec![rate(USD, 923_456_789)],
            political_location: false,
            page_keys: vec!["section".into()],
            blocked_categories: Vec::new(),
            label_languages: Vec::new(),
            sample_ppm: 0,
            auction: AuctionKind::default(),
        };
        let mut spec = self.catalogue.publisher.as_ref().map_or_else(fresh, |p| p.spec.clone());
        edit(&mut spec);
        self.apply(Change::PublisherPut { spec });
    }
    pub fn party(&mut self, number: u32, edit: impl FnOnce(&mut SealedParty)) {
        let mut spec = SealedParty {
            kind: PartyKind::Organisation,
            advertiser: None,
            identity: Sealed { key: PersonKeyId(number), ciphertext_hex: String::new() },
            established_in: "FR".into(),
            may_sponsor_before_votes: true,
            political_gaps: Vec::new(),
        };
        edit(&mut spec);
        self.apply(Change::PartyPut { id: PartyId(number), spec });
    }
    pub fn placement(&mut self, number: u32, spec: PlacementSpec) -> PlacementId {
        self.apply(Change::PlacementPut { id: PlacementId(number), spec });
        PlacementId(number)
    }
    pub fn advertiser(&mut self, currency: Currency, categories: &[&str]) -> AdvertiserId {
        let id = AdvertiserId(self.catalogue.advertisers.len() as u32 + 1);
        let spec = AdvertiserSpec {
            name: "Fictional Goods".into(),
            currency,
            zone: Zone::parse("Europe/Berlin").unwrap(),
            funding: Funding::Credit { limit_micros: Micros(1_000_000_000) },
            categories: categories.iter().map(|c| (*c).to_owned()).collect(),
            pixel_conversions: None,
            invoice_address: String::new(),
        };
        self.apply(Change::AdvertiserPut { id, spec });
        id
    }
    pub fn campaign(&mut self, spec: CampaignSpec) -> CampaignId {
        let id = CampaignId(self.catalogue.campaigns.len() as u32 + 1);
        self.apply(Change::CampaignPut { id, spec });
        id
    }
    pub fn ad_set(&mut self, spec: AdSetSpec) -> AdSetId {
        let id = AdSetId(self.catalogue.ad_sets.len() as u32 + 1);
        self.apply(Change::AdSetPut { id, spec });
        id
    }
    pub fn ad(&mut self, ad_set: AdSetId, landing_url: &str) -> AdId {
        let id = AdId(self.catalogue.ads.len() as u32 + 1);
        let spec = AdSpec {
            ad_set,
            name: "Ad".into(),
            landing_url: landing_url.into(),
            third_party_origins: Vec::new(),
            template: None,
            external_id: None,
        };
        self.apply(Change::AdPut { id, spec });
        id
    }
    pub fn version(&mut self, ad: AdId, shape: Shape, weight: u32) -> VersionId {
        let id = VersionId(self.catalogue.versions.len() as u32 + 1);
        let creative = ObjectHash::of(&id.0.to_le_bytes());
        let record = VersionRecord { ad, name: String::new(), creative, shape, weight, external_id: None };
        self.apply(Change::VersionPut { id, record });
        id
    }
    pub fn version_state(&self, id: VersionId) -> VersionState {
        self.catalogue.versions.get(&id).unwrap()
    }
    /// Approves an ad at its revision and all its versions.
    pub fn approve(&mut self, ad: AdId) {
        let revision = self.catalogue.ads[&ad].kept.revision;
        let versions = self.catalogue.versions_of(ad).iter();
        let versions = versions.map(|v| (*v, self.version_state(*v).kept.spec.creative)).collect();
        let ads = vec![(ad, revision)];
        self.apply(Change::Reviewed { ads, versions, verdict: Verdict::Approved, reason: String::new() });
    }
    pub fn status(&mut self, entity: EntityRef, status: Status) {
        self.apply(Change::StatusSet { entity, status });
    }
    pub fn stop(&mut self, what: Stop) {
        self.apply(Change::StopSet { what, on: true, reason: "test".into() });
    }
    /// An ad set with one approved ad of one version of the first size.
    pub fn ready(&mut self, spec: AdSetSpec) -> AdSetId {
        let id = self.ad_set(spec);
        let ad = self.ad(id, "https://goods.example/landing");
        self.version(ad, Shape::Banner(SIZES[0]), 1);
        self.approve(ad);
        id
    }
    /// An advertiser of its own with a campaign and a ready ad set at this CPM.
    pub fn bidder(&mut self, micros_per_mille: i64) -> AdSetId {
        let advertiser = self.advertiser(Currency::EUR, &[]);
        let campaign = self.campaign(campaign(advertiser));
        self.ready(ad_set(campaign, micros_per_mille))
    }
    pub fn edit_ad_set(&mut self, id: AdSetId, edit: impl FnOnce(&mut AdSetSpec)) {
        let mut spec = self.catalogue.ad_sets[&id].spec.clone();
        edit(&mut spec);
        self.apply(Change::AdSetPut { id, spec });
    }
    pub fn edit_campaign(&mut self, id: AdSetId, edit: impl FnOnce(&mut CampaignSpec)) {
        let id = self.catalogue.ad_sets[&id].spec.campaign;
        let mut spec = self.catalogue.campaigns[&id].spec.clone();
        edit(&mut spec);
        self.apply(Change::CampaignPut { id, spec });
    }
    pub fn edit_advertiser(&mut self, id: AdSetId, edit: impl FnOnce(&mut AdvertiserSpec)) {
        let id = self.catalogue.advertiser_of(id).unwrap();
        let mut spec = self.catalogue.advertisers[&id].spec.clone();
        edit(&mut spec);
        self.apply(Change::AdvertiserPut { id, spec });
    }
    pub fn edit_placement(&mut self, edit: impl FnOnce(&mut PlacementSpec)) {
        let mut spec = self.catalogue.placements[&PlacementId(1)].spec.clone();
        edit(&mut spec);
        self.apply(Change::PlacementPut { id: PlacementId(1), spec });
    }
}

const WORDS: [&str; 5] = ["sport", "politics", "food", "garden", "travel"];
const COUNTRIES: [&str; 4] = ["FR", "DE", "BE", "IT"];

fn random_clause(chance: &mut Chance, political: bool) -> Clause {
    let (dimension, values): (Dimension, &[&str]) = match chance.below(if political { 8 } else { 16 }) {
        0 => (Dimension::Language, &["fr", "de", "en"]),
        1 => (Dimension::Device, &["desktop", "phone", "tablet"]),
        2 => (Dimension::HourOfWeek, &["mon 08-18", "mon-fri 0-12", "sat", "sun 3-4"]),
        3 => (Dimension::Site, &["site_1", "site_2"]),
        4 => (Dimension::Placement, &["plc_1", "plc_2", "plc_3"]),
        5 => (Dimension::PageUrl, &["https://news.example/*", "*sport*", "https://news.example/food", "*"]),
        6 => (Dimension::Keyword, &WORDS),
        7 => (Dimension::Key("section".into()), &["home", "news", "culture"]),
        8 => (Dimension::Country, &COUNTRIES),
        9 => (Dimension::Region, &["FR-IDF", "DE-BE"]),
        10 => (Dimension::City, &["paris", "berlin"]),
        11 => (Dimension::Os, &["linux", "android"]),
        12 => (Dimension::Browser, &["firefox", "chrome"]),
        15 => (Dimension::AgeBand, &["18-24", "25-34", "65+"]),
        13 => (Dimension::Segment, &["seg_1", "seg_2", "seg_3"]),
        _ => (Dimension::Key("age".into()), &["18-24", "25-34"]),
    };
    let op = if chance.one_in(3) { Op::NotIn } else { Op::In };
    let mut clause = clause(dimension, op, &chance.some(values, 3));
    if clause.dimension == Dimension::HourOfWeek && chance.one_in(2) {
        clause.zone = Zone::parse("America/New_York");
    }
    clause
}

pub fn random_ad_set(chance: &mut Chance, campaign: CampaignId, political: bool) -> AdSetSpec {
    let mut spec = ad_set(campaign, 1 + chance.below(40) as i64 * 100_000);
    let clauses = [0, 0, 1, 1, 2, 3][chance.below(6) as usize];
    spec.targeting.clauses = (0..clauses).map(|_| random_clause(chance, political)).collect();
    spec.bid = match chance.below(8) {
        0 | 1 => Bid::Cpc { micros_per_click: 1 + chance.below(3_000_000) as i64 },
        2 => Bid::Cpa { micros_per_conversion: 1 + chance.below(300_000_000) as i64, action: "order".into() },
        _ => spec.bid,
    };
    spec.tier = match chance.below(12) {
        0 => Tier::Sponsorship { share_ppm: 1 + chance.below(700_000) as u32 },
        1 => Tier::Guaranteed { impressions_count: 1_000 },
        2 => Tier::House,
        _ => Tier::Auction,
    };
    if spec.tier == Tier::House {
        spec.bid = Bid::Free;
    } else if spec.tier != Tier::Auction && chance.one_in(3) {
        spec.bid = Bid::FlatFee { total_micros: Micros(1_000_000) };
    }
    for _ in 0..[0, 0, 1, 2][chance.below(4) as usize] {
        let scope = *chance.pick(&[CapScope::Campaign, CapScope::AdSet, CapScope::Ad]);
        let period = *chance.pick(&[CapPeriod::PageView, CapPeriod::Hour, CapPeriod::Day]);
        let period = if political { CapPeriod::PageView } else { period };
        let impressions_count = 1 + chance.below(3) as u32;
        spec.caps.push(FrequencyCap { scope, period, impressions_count });
    }
    if chance.one_in(10) {
        let starts_at = UtcMs(noon().0 + chance.below(4) as i64 * 1_000 - 2_000);
        spec.flight = Some(Flight { starts_at, ends_at: Some(UtcMs(starts_at.0 + 2_000)) });
    }
    spec
}

pub fn random_placement(chance: &mut Chance, number: u32) -> PlacementSpec {
    let mut spec = placement(SiteId(1 + number / 4), &format!("place-{number}"));
    spec.format = match chance.below(6) {
        0 => Format::Native,
        1 => Format::Text,
        _ => Format::Banner { sizes: chance.some(&SIZES, 3) },
    };
    for _ in 0..chance.below(3) {
        let tier = *chance.pick(&[TierKind::Auction, TierKind::Auction, TierKind::Guaranteed]);
        let currency = *chance.pick(&[Currency::EUR, USD]);
        let micros_per_mille = chance.below(20) as i64 * 100_000;
        spec.floors.push(Floor { tier, currency, micros_per_mille });
    }
    if chance.one_in(4) {
        spec.blocked_categories = vec![(*chance.pick(&WORDS)).to_owned()];
    }
    if chance.one_in(4) {
        spec.blocked_domains = vec!["blocked.example".into()];
    }
    if chance.one_in(4) {
        spec.blocked_advertisers = vec![AdvertiserId(1 + chance.below(4) as u32)];
    }
    spec.political = !chance.one_in(4);
    spec.auction = *chance.pick(&[
        None,
        None,
        Some(AuctionKind::SecondPrice),
        Some(AuctionKind::FirstPrice),
        Some(AuctionKind::Vcg),
        Some(AuctionKind::Vcg),
    ]);
    spec.slot_weight_ppm = *chance.pick(&[1_000_000, 1_000_000, 700_000, 333_333]);
    spec
}

/// A catalogue of about `ad_sets_count` ad sets with every kind of rule.
pub fn random_world(chance: &mut Chance, ad_sets_count: u64) -> World {
    let mut world = World::new();
    let site =
        SiteSpec { name: "Example Two".into(), origins: vec!["https://two.example".into()], language: None };
    world.apply(Change::SitePut { id: SiteId(2), spec: site });
    world.party(2, |party| party.may_sponsor_before_votes = false);
    let kind = *chance.pick(&[AuctionKind::SecondPrice, AuctionKind::Vcg, AuctionKind::FirstPrice]);
    world.publisher(|p| p.auction = kind);
    for number in 1..=5 {
        let spec = random_placement(chance, number);
        world.placement(number, spec);
    }
    for (number, consent) in [(1, None), (2, Some("advertising")), (3, Some("profiling"))] {
        let spec = SegmentSpec {
            name: "Segment".into(),
            description: String::new(),
            consent: consent.map(str::to_owned),
        };
        world.apply(Change::SegmentPut { id: SegmentId(number), spec });
    }
    let campaigns_count = 1 + ad_sets_count / 3;
    for _ in 0..campaigns_count {
        let currency = *chance.pick(&[Currency::EUR, Currency::EUR, USD, USD, CHF]);
        let categories = if chance.one_in(2) { chance.some(&WORDS, 2) } else { Vec::new() };
        let advertiser = if chance.one_in(3) && !world.catalogue.advertisers.is_empty() {
            AdvertiserId(1 + chance.below(world.catalogue.advertisers.len() as u64) as u32)
        } else {
            world.advertiser(currency, &categories)
        };
        let mut spec = campaign(advertiser);
        if chance.one_in(3) {
            spec.political = Some(declaration());
        }
        spec.roadblock = chance.one_in(8);
        let campaign = world.campaign(spec);
        for _ in 0..chance.below(6) {
            add_ad_set(chance, &mut world, campaign);
        }
    }
    if chance.one_in(20) {
        world.stop(*chance.pick(&[Stop::AllPaid, Stop::Sponsor(PartyId(1)), Stop::Ad(AdId(1))]));
    }
    world
}

pub fn add_ad_set(chance: &mut Chance, world: &mut World, campaign: CampaignId) {
    let political = world.catalogue.campaigns[&campaign].spec.political.is_some();
    let mut spec = random_ad_set(chance, campaign, political);
    let roadblock = world.catalogue.campaigns[&campaign].spec.roadblock;
    if roadblock && matches!(spec.tier, Tier::Auction | Tier::House) {
        spec.tier = if chance.one_in(2) {
            Tier::Sponsorship { share_ppm: 1 + chance.below(700_000) as u32 }
        } else {
            Tier::Guaranteed { impressions_count: 1_000 }
        };
        spec.bid = Bid::Cpm { micros_per_mille: 2_000_000 };
    }
    let id = world.ad_set(spec);
    for _ in 0..chance.below(4) {
        let host = if chance.one_in(6) { "shop.blocked.example" } else { "goods.example" };
        let ad = world.ad(id, &format!("https://{host}/{{PLACEMENT}}"));
        for _ in 0..chance.below(5) {
            let banner = Shape::Banner(*chance.pick(&SIZES));
            let shape = *chance.pick(&[banner, banner, banner, Shape::Native, Shape::Text]);
            let version = world.version(ad, shape, 1 + chance.below(5) as u32);
            if chance.one_in(8) {
                world.status(EntityRef::Version(version), Status::Paused);
            }
        }
        if !chance.one_in(8) {
            world.approve(ad);
        }
        if chance.one_in(10) {
            world.status(EntityRef::Ad(ad), Status::Paused);
        }
    }
    if chance.one_in(12) {
        world.status(EntityRef::AdSet(id), *chance.pick(&[Status::Draft, Status::Paused]));
    }
}

/// A request with facts of every kind.
pub fn random_request(chance: &mut Chance, world: &World) -> Request {
    let site = SiteId(1 + u32::from(chance.one_in(4)));
    let on_site: Vec<PlacementId> =
        world.catalogue.placements.iter().filter(|(_, p)| p.spec.site == site).map(|(id, _)| *id).collect();
    let mut placements = chance.some(&on_site, 3);
    if chance.one_in(10) {
        placements.push(PlacementId(chance.below(8) as u32));
    }
    let at = UtcMs(noon().0 + chance.below(8_000) as i64 - 4_000);
    let mut request = Request::bare(at, chance.bits(), site, placements);
    let word =
        |chance: &mut Chance, list: &[&str]| (!chance.one_in(4)).then(|| (*chance.pick(list)).to_owned());
    request.page = PageFacts {
        url: word(
            chance,
            &["https://news.example/sport/1", "https://news.example/food", "https://two.example/"],
        )
        .unwrap_or_default(),
        language: word(chance, &["fr", "de", "en"]),
        keywords: (0..chance.below(4)).map(|_| (*chance.pick(&WORDS)).to_owned()).collect(),
        topics: Vec::new(),
        key_values: Vec::new(),
    };
    for (key, values) in [("section", ["home", "news"]), ("age", ["18-24", "25-34"])] {
        for _ in 0..chance.below(3) {
            request.page.key_values.push((key.to_owned(), (*chance.pick(&values)).to_owned()));
        }
    }
    request.device = *chance.pick(&[DeviceClass::Desktop, DeviceClass::Phone, DeviceClass::Other]);
    personalise(chance, &mut request);
    request
}

/// Gives a request other personal facts: everything that a political ad must not read (law P1).
pub fn personalise(chance: &mut Chance, request: &mut Request) {
    let word =
        |chance: &mut Chance, list: &[&str]| (!chance.one_in(4)).then(|| (*chance.pick(list)).to_owned());
    let country = word(chance, &COUNTRIES).map(|c| [c.as_bytes()[0], c.as_bytes()[1]]);
    let region = word(chance, &["FR-IDF", "DE-BE"]);
    request.location = Location { country, region, city: word(chance, &["paris", "berlin"]) };
    request.machine =
        Machine { os: word(chance, &["linux", "android"]), browser: word(chance, &["firefox", "chrome"]) };
    request.segments = (0..chance.below(3)).map(|_| SegmentId(1 + chance.below(4) as u32)).collect();
    request.consents = word(chance, &["advertising", "profiling"]).into_iter().collect();
    request.age_band = word(chance, &["18-24", "25-34", "65+"]);
    request.consents.extend((!chance.one_in(3)).then(|| "age_band".to_owned()));
    request.page.key_values.retain(|(key, _)| key == "section");
    for _ in 0..chance.below(3) {
        let age = (*chance.pick(&["18-24", "25-34"])).to_owned();
        request.page.key_values.push(("age".into(), age));
    }
    let counted = |chance: &mut Chance| {
        let number = 1 + chance.below(12) as u32;
        *chance.pick(&[
            Counted::Campaign(CampaignId(number)),
            Counted::AdSet(AdSetId(number)),
            Counted::Ad(AdId(number)),
        ])
    };
    request.frequency.visitor = (!chance.one_in(3)).then(|| {
        let one = |chance: &mut Chance| VisitorCount {
            what: counted(chance),
            period: *chance.pick(&[CapPeriod::Hour, CapPeriod::Day]),
            count: chance.below(4) as u32,
        };
        (0..chance.below(8)).map(|_| one(chance)).collect()
    });
}

/// Some counts of this page view; not personal.
pub fn count_page_view(chance: &mut Chance, request: &mut Request) {
    for _ in 0..chance.below(6) {
        let number = 1 + chance.below(12) as u32;
        let what = *chance.pick(&[Counted::AdSet(AdSetId(number)), Counted::Ad(AdId(number))]);
        request.frequency.page_view.push(PageViewCount { what, count: chance.below(4) as u32 });
    }
}
