//! Who competes: one campaign with one ad set and one ad for each budget, and the site's usual week.

use crate::{DayShape, Random};
use regie_ledger::Ledger;
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, Micros, PartyId, PersonKeyId, PlacementId, SiteId,
    UtcMs, VersionId, Zone,
    booking::*,
    catalogue::Catalogue,
    command::{Change, Verdict},
    creative::{ObjectHash, Size},
    event::{Actor, Booked, Event},
    personal::Sealed,
    targeting::{Clause, Dimension, Op, Targeting},
    time::DAY_MS,
};

/// Topics of pages.
pub(super) const TOPICS: [&str; 8] =
    ["news", "sport", "food", "garden", "travel", "culture", "money", "science"];
/// Countries of visitors with their shares.
pub(super) const COUNTRIES: [(&str, f64); 4] = [("FR", 0.5), ("DE", 0.25), ("BE", 0.15), ("IT", 0.1)];
/// Floor of the placement, micros per mille.
pub(super) const FLOOR: i64 = 100_000;
const SIZE: Size = Size { width: 300, height: 250 };

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fixes everything.
    pub seed: u64,
    /// Budgets that compete.
    pub budgets_count: u32,
    /// Requests of the day, on average.
    pub requests_count: u64,
    /// Time between two updates of the controller, milliseconds.
    pub step_ms: i64,
    /// The site's usual week is learned; otherwise the first day is the site's first.
    pub learned: bool,
    /// Days, one after the other.
    pub days_count: u32,
}
impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            budgets_count: 1_000,
            requests_count: 1_500_000,
            step_ms: 10_000,
            learned: false,
            days_count: 2,
        }
    }
}

/// One budget's ad set, as the simulation knows it.
#[derive(Clone, Debug)]
pub(super) struct Bidder {
    pub(super) ad_set: AdSetId,
    pub(super) campaign: CampaignId,
    /// Price of one billed event at most, nanos.
    pub(super) event: i64,
    /// The day's budget, nanos.
    pub(super) total: i64,
    /// True chance of a click after an impression; the product does not see it.
    pub(super) click_rate: f64,
    /// What it expects an impression to be worth, nanos.
    pub(super) value: f64,
    /// Billed by click.
    pub(super) by_click: bool,
    pub(super) topics: Vec<usize>,
    pub(super) countries: Vec<usize>,
}

/// The market before its day.
pub struct World {
    pub(super) options: Options,
    pub(super) catalogue: Catalogue,
    pub(super) ledger: Ledger,
    pub(super) position: u64,
    pub(super) bidders: Vec<Bidder>,
    pub(super) start: UtcMs,
    pub(super) random: Random,
}

impl World {
    /// Draws the competitors.
    pub fn new(options: Options) -> World {
        // Monday: with Sunday evening before it, so that everything is booked when the day begins.
        let start = UtcMs(1_777_852_800_000);
        let random = Random::new(options.seed);
        let (catalogue, ledger) = (Catalogue::new(), Ledger::new());
        let mut world = World { options, catalogue, ledger, position: 0, bidders: Vec::new(), start, random };
        world.event(Event::EpochOpened { epoch: 1 });
        world.site();
        for number in 1..=world.options.budgets_count {
            world.bidder(number);
        }
        world
    }
    /// What the site's usual day looks like: traffic of an hour relative to the mean.
    pub(super) fn usual() -> DayShape {
        DayShape::news(DAY_MS as u32)
    }
    pub(super) fn zone() -> Zone {
        Zone::utc()
    }
    fn event(&mut self, event: Event) {
        self.position += 1;
        // Bookings of a simulation are its own: one that the ledger refuses is a fault of the simulation.
        let applied = self.ledger.apply(self.position, UtcMs(self.start.0 - 3_600_000), &event);
        debug_assert!(applied.is_ok(), "{applied:?}");
    }
    fn book(&mut self, change: Change) {
        let at = UtcMs(self.start.0 - 3_600_000);
        self.catalogue.apply(at, &change);
        self.event(Event::Booked(Box::new(Booked { by: Actor::Operator, at, change })));
    }
    fn site(&mut self) {
        self.book(Change::PublisherPut {
            spec: PublisherSpec {
                name: "Example Press".into(),
                legal_address: String::new(),
                tax_id: String::new(),
                tax_rate_ppm: 0,
                auction_currency: Currency::EUR,
                zone: World::zone(),
                rates: Vec::new(),
                political_location: false,
                page_keys: Vec::new(),
                blocked_categories: Vec::new(),
                sample_ppm: 0,
                auction: Default::default(),
                label_languages: Vec::new(),
            },
        });
        let spec = SiteSpec {
            name: "Example News".into(),
            origins: vec!["https://news.example".into()],
            language: None,
        };
        self.book(Change::SitePut { id: SiteId(1), spec });
        let spec = PlacementSpec {
            site: SiteId(1),
            name: "top".into(),
            format: Format::Banner { sizes: vec![SIZE] },
            floors: vec![Floor { tier: TierKind::Auction, currency: Currency::EUR, micros_per_mille: FLOOR }],
            blocked_advertisers: Vec::new(),
            blocked_categories: Vec::new(),
            blocked_domains: Vec::new(),
            fallback_html: String::new(),
            behaviour: Behaviour::default(),
            political: false,
            auction: Default::default(),
            slot_weight_ppm: FULL_WEIGHT_PPM,
        };
        self.book(Change::PlacementPut { id: PlacementId(1), spec });
        let spec = SealedParty {
            kind: PartyKind::Organisation,
            advertiser: None,
            identity: Sealed { key: PersonKeyId(1), ciphertext_hex: String::new() },
            established_in: "FR".into(),
            may_sponsor_before_votes: false,
            political_gaps: Vec::new(),
        };
        self.book(Change::PartyPut { id: PartyId(1), spec });
    }

    /// A standard normal by twelve uniforms, which is near enough here.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0
    }
    fn subset(&mut self, count: usize, most: usize) -> Vec<usize> {
        let wanted = 1 + (self.random.bits() as usize) % most;
        let mut chosen: Vec<usize> = (0..wanted).map(|_| self.random.bits() as usize % count).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
    /// One competitor: what it bids, what it may spend, whom it wants, and what its ad is worth to visitors.
    fn bidder(&mut self, number: u32) {
        let by_click = self.random.chance(0.3);
        let (value_shift, size) = (0.5 * self.normal(), 1.3 * self.normal());
        // Micros per mille: about 2 EUR per thousand, spread by half a magnitude.
        let value = 2_000_000.0 * value_shift.exp();
        let click_rate = 0.03 * (0.6 * self.normal()).exp().clamp(0.2, 4.0);
        let bid = if by_click {
            Bid::Cpc { micros_per_click: (value / click_rate / 1_000.0) as i64 }
        } else {
            Bid::Cpm { micros_per_mille: value as i64 }
        };
        let event = match &bid {
            Bid::Cpc { micros_per_click } => micros_per_click * 1_000,
            _ => value as i64,
        };
        // Impressions that it can about pay for at half its bid: from a few dozen to tens of thousands.
        let mean = 0.7 * self.options.requests_count as f64 / f64::from(self.options.budgets_count);
        let wanted = (mean * (size - 0.85).exp()).max(8.0);
        let total = (wanted * value * 0.5).max(event as f64);
        let (topics, countries) = (self.subset(TOPICS.len(), 4), self.subset(COUNTRIES.len(), 3));
        let list = |dimension, values: Vec<&str>| Clause {
            dimension,
            op: Op::In,
            values: values.into_iter().map(str::to_owned).collect(),
            zone: None,
        };
        let clauses = vec![
            list(Dimension::Topic, topics.iter().map(|t| TOPICS[*t]).collect()),
            list(Dimension::Country, countries.iter().map(|c| COUNTRIES[*c].0).collect()),
        ];
        // Budgets are booked in whole micros.
        let daily = Micros((total / 1_000.0).ceil() as i64);
        self.book_bidder(number, bid, daily, clauses);
        self.bidders.push(Bidder {
            ad_set: AdSetId(number),
            campaign: CampaignId(number),
            event,
            total: daily.0 * 1_000,
            click_rate,
            value,
            by_click,
            topics,
            countries,
        });
    }
    fn book_bidder(&mut self, number: u32, bid: Bid, daily: Micros, clauses: Vec<Clause>) {
        let spec = AdvertiserSpec {
            name: format!("Fictional Goods {number}"),
            currency: Currency::EUR,
            zone: World::zone(),
            funding: Funding::Credit { limit_micros: Micros(1_000_000_000_000) },
            categories: Vec::new(),
            pixel_conversions: None,
            invoice_address: String::new(),
        };
        self.book(Change::AdvertiserPut { id: AdvertiserId(number), spec });
        let flight = Flight { starts_at: self.start, ends_at: Some(UtcMs(self.start.0 + 30 * DAY_MS)) };
        let spec = CampaignSpec {
            advertiser: AdvertiserId(number),
            name: "Campaign".into(),
            objective: Objective::Impressions,
            flight,
            lifetime_budget_micros: None,
            daily_budget_micros: Some(daily),
            sponsor: PartyId(1),
            payer: PartyId(1),
            political: None,
            roadblock: false,
            adapt: None,
            external_id: None,
        };
        self.book(Change::CampaignPut { id: CampaignId(number), spec });
        let spec = AdSetSpec {
            campaign: CampaignId(number),
            name: "Ad set".into(),
            targeting: Targeting { clauses },
            bid,
            tier: Tier::Auction,
            pacing: Pacing::Even,
            caps: Vec::new(),
            flight: None,
            lifetime_budget_micros: None,
            daily_budget_micros: None,
            external_id: None,
            experiment: None,
            learning: None,
        };
        self.book(Change::AdSetPut { id: AdSetId(number), spec });
        let spec = AdSpec {
            ad_set: AdSetId(number),
            name: "Ad".into(),
            landing_url: "https://goods.example/".into(),
            third_party_origins: Vec::new(),
            template: None,
            external_id: None,
        };
        self.book(Change::AdPut { id: AdId(number), spec });
        let creative = ObjectHash::of(&number.to_le_bytes());
        let record = VersionRecord {
            ad: AdId(number),
            name: String::new(),
            creative,
            shape: Shape::Banner(SIZE),
            weight: 1,
            external_id: None,
        };
        self.book(Change::VersionPut { id: VersionId(number), record });
        self.book(Change::Reviewed {
            ads: vec![(AdId(number), 1)],
            versions: vec![(VersionId(number), creative)],
            verdict: Verdict::Approved,
            reason: String::new(),
        });
    }
}
