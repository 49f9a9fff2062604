//! A small world for the tests: two accounts with bookings, and a desk that shows every event to the ledger
//! and to the audit's checker at once. Refuses to go on where the two disagree.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use regie_ledger::{Ledger, Outcome, audit::Audit};
use regie_model::{
    booking::*,
    command::Change,
    event::{Actor, Booked, Conversion, ConversionSource, Event},
    ticket::{Billing, DeviceClass, Ticket, TicketId},
    *,
};
use std::collections::BTreeMap;

pub const HOUR: i64 = 3_600_000;
pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 24 * HOUR;
pub const PARIS: AdvertiserId = AdvertiserId(1);
pub const TOKYO: AdvertiserId = AdvertiserId(2);
pub const CPM: AdSetId = AdSetId(11);
pub const CPC: AdSetId = AdSetId(12);
pub const CPA: AdSetId = AdSetId(13);
pub const FEE: AdSetId = AdSetId(14);
pub const HOUSE: AdSetId = AdSetId(15);
pub const GOAL: AdSetId = AdSetId(16);
pub const YEN: AdSetId = AdSetId(21);

pub fn at(text: &str) -> UtcMs {
    UtcMs::parse(text).expect(text)
}
pub fn advertiser(zone: &str, currency: &str, funding: Funding) -> AdvertiserSpec {
    AdvertiserSpec {
        name: "Example".into(),
        currency: currency.parse().unwrap(),
        zone: Zone::parse(zone).unwrap(),
        funding,
        categories: Vec::new(),
        pixel_conversions: None,
        invoice_address: String::new(),
    }
}
pub fn campaign(advertiser: AdvertiserId) -> CampaignSpec {
    CampaignSpec {
        advertiser,
        name: "Campaign".into(),
        objective: Objective::Impressions,
        flight: Flight { starts_at: at("2026-03-27T23:00:00Z"), ends_at: Some(at("2026-04-30T22:00:00Z")) },
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
pub fn ad_set(campaign: CampaignId, bid: Bid) -> AdSetSpec {
    let tier = if bid == Bid::Free { Tier::House } else { Tier::Auction };
    AdSetSpec {
        campaign,
        name: "Ad set".into(),
        targeting: Default::default(),
        bid,
        tier,
        pacing: Pacing::Asap,
        caps: Vec::new(),
        flight: None,
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        external_id: None,
        experiment: None,
        learning: None,
    }
}
pub fn booked(change: Change) -> Event {
    Event::Booked(Box::new(Booked { by: Actor::Operator, at: UtcMs(0), change }))
}
pub fn euros(euros: i64) -> Option<Micros> {
    Some(Micros(euros * 1_000_000))
}

/// The desk.
pub struct World {
    pub ledger: Ledger,
    pub audit: Audit,
    pub now: UtcMs,
    pub position: u64,
    pub list: Vec<(u64, UtcMs, Event, Outcome)>,
    pub campaigns: BTreeMap<CampaignId, CampaignSpec>,
    pub ad_sets: BTreeMap<AdSetId, AdSetSpec>,
    pub advertisers: BTreeMap<AdvertiserId, AdvertiserSpec>,
    /// Blocks of charges, as a server would store them.
    pub blocks: BTreeMap<u64, Vec<u8>>,
    pub sequence: u64,
    /// Whether a finding of the checker fails the test.
    pub strict: bool,
}

impl World {
    /// Epoch 1; a prepaid account in Paris with 1,000 EUR and one ad set of each kind; a credit account of
    /// 1,000,000 JPY in Tokyo.
    pub fn new() -> World {
        World::at(at("2026-03-28T08:00:00Z"), true)
    }
    pub fn at(now: UtcMs, strict: bool) -> World {
        let mut world = World {
            ledger: Ledger::new(),
            audit: Audit::new(),
            now,
            position: 0,
            list: Vec::new(),
            campaigns: BTreeMap::new(),
            ad_sets: BTreeMap::new(),
            advertisers: BTreeMap::new(),
            blocks: BTreeMap::new(),
            sequence: 0,
            strict,
        };
        world.push(Event::EpochOpened { epoch: 1 });
        world.put_advertiser(PARIS, advertiser("Europe/Paris", "EUR", Funding::Prepaid));
        let credit = Funding::Credit { limit_micros: Micros(1_000_000_000_000) };
        world.put_advertiser(TOKYO, advertiser("Asia/Tokyo", "JPY", credit));
        world.deposit(PARIS, 1_000);
        world.put_campaign(CampaignId(1), campaign(PARIS));
        world.put_campaign(CampaignId(2), campaign(TOKYO));
        let (mine, theirs) = (CampaignId(1), CampaignId(2));
        world.put_ad_set(CPM, ad_set(mine, Bid::Cpm { micros_per_mille: 2_000_000 }));
        world.put_ad_set(CPC, ad_set(mine, Bid::Cpc { micros_per_click: 500_000 }));
        let action = "order".to_owned();
        world.put_ad_set(CPA, ad_set(mine, Bid::Cpa { micros_per_conversion: 5_000_000, action }));
        let total_micros = Micros(100_000_001);
        let mut fee = ad_set(mine, Bid::FlatFee { total_micros });
        fee.tier = Tier::Sponsorship { share_ppm: 1_000_000 };
        world.put_ad_set(FEE, fee);
        world.put_ad_set(HOUSE, ad_set(mine, Bid::Free));
        let mut goal = ad_set(mine, Bid::Cpm { micros_per_mille: 1_000_000 });
        goal.tier = Tier::Guaranteed { impressions_count: 3 };
        world.put_ad_set(GOAL, goal);
        world.put_ad_set(YEN, ad_set(theirs, Bid::Cpm { micros_per_mille: 300_000_000 }));
        world
    }
    pub fn put_advertiser(&mut self, id: AdvertiserId, spec: AdvertiserSpec) {
        self.advertisers.insert(id, spec.clone());
        self.push(booked(Change::AdvertiserPut { id, spec }));
    }
    pub fn put_campaign(&mut self, id: CampaignId, spec: CampaignSpec) {
        self.campaigns.insert(id, spec.clone());
        self.push(booked(Change::CampaignPut { id, spec }));
    }
    pub fn put_ad_set(&mut self, id: AdSetId, spec: AdSetSpec) {
        self.ad_sets.insert(id, spec.clone());
        self.push(booked(Change::AdSetPut { id, spec }));
    }
    pub fn edit_campaign(&mut self, id: u32, edit: impl FnOnce(&mut CampaignSpec)) {
        let mut spec = self.campaigns[&CampaignId(id)].clone();
        edit(&mut spec);
        self.put_campaign(CampaignId(id), spec);
    }
    pub fn edit_ad_set(&mut self, id: AdSetId, edit: impl FnOnce(&mut AdSetSpec)) {
        let mut spec = self.ad_sets[&id].clone();
        edit(&mut spec);
        self.put_ad_set(id, spec);
    }
    pub fn edit_advertiser(&mut self, id: AdvertiserId, edit: impl FnOnce(&mut AdvertiserSpec)) {
        let mut spec = self.advertisers[&id].clone();
        edit(&mut spec);
        self.put_advertiser(id, spec);
    }
    pub fn deposit(&mut self, advertiser: AdvertiserId, units: i64) {
        let amount_micros = Micros(units * 1_000_000);
        self.push(booked(Change::Deposited { advertiser, amount_micros, reference: String::new() }));
    }
    pub fn credit(&mut self, advertiser: AdvertiserId, position: u64, amount_nanos: i64) -> Outcome {
        let reason = "invalid traffic".to_owned();
        self.push(booked(Change::Credited { advertiser, position, amount_nanos, reason }))
    }

    /// A new ticket, issued now, at the ad set's price.
    pub fn ticket(&mut self, id: AdSetId) -> Ticket {
        self.sequence += 1;
        let spec = &self.ad_sets[&id];
        let of = &self.campaigns[&spec.campaign];
        let (billing, price_nanos) = match &spec.bid {
            Bid::Cpm { micros_per_mille } => (Billing::Impression, *micros_per_mille),
            Bid::Cpc { micros_per_click } => (Billing::Click, micros_per_click * 1_000),
            Bid::Cpa { micros_per_conversion, .. } => (Billing::Conversion, micros_per_conversion * 1_000),
            Bid::FlatFee { .. } | Bid::Free => (Billing::None, 0),
        };
        Ticket {
            key_id: 0,
            id: TicketId { epoch: 1, sequence: self.sequence },
            issued_at: self.now,
            site: SiteId(1),
            placement: PlacementId(1 + id.0 % 2),
            advertiser: of.advertiser,
            campaign: spec.campaign,
            ad_set: id,
            ad: AdId(id.0 * 10),
            version: VersionId(id.0 * 100),
            tier: spec.tier.kind(),
            billing,
            price_nanos,
            currency: self.advertisers[&of.advertiser].currency,
            rate_nanos: 1_000_000_000,
            propensity: 1.0,
            predicted_rate: 1.0,
            creative: [0; 16],
            country: *b"FR",
            device: DeviceClass::Phone,
            political: false,
            sampled: false,
            snapshot: 1,
        }
    }
    pub fn impression(&mut self, id: AdSetId) -> Outcome {
        let ticket = self.ticket(id);
        self.push(Event::Impression(ticket))
    }
    pub fn click(&mut self, id: AdSetId) -> Outcome {
        let ticket = self.ticket(id);
        self.push(Event::Click(ticket))
    }
    pub fn conversion(&self, ticket: Ticket, order: u8, source: ConversionSource) -> Event {
        Event::Conversion(Box::new(Conversion {
            ticket,
            clicked_at: ticket.issued_at,
            action: "order".into(),
            order: [order; 16],
            value_micros: 1,
            source,
        }))
    }
    pub fn wait(&mut self, ms: i64) {
        self.now.0 += ms;
    }

    /// Appends one event now.
    pub fn push(&mut self, event: Event) -> Outcome {
        // As it comes back from the journal.
        let event = Event::decode(&event.encode()).unwrap();
        self.position += 1;
        let mut outcome = self.ledger.apply(self.position, self.now, &event).unwrap();
        while let Outcome::NeedsBlock(index) = outcome {
            assert_eq!(self.ledger.position(), self.position - 1, "nothing was applied");
            let loaded = self.ledger.load_block(&self.blocks[&index]).unwrap();
            assert_eq!(loaded, index);
            outcome = self.ledger.apply(self.position, self.now, &event).unwrap();
        }
        self.blocks.extend(self.ledger.take_charge_blocks());
        self.audit.observe(self.position, self.now, &event, &outcome);
        self.list.push((self.position, self.now, event, outcome));
        if self.strict {
            assert_eq!(self.audit.findings(), [], "at {}", self.position);
        }
        outcome
    }
    /// The checker and the ledger agree on every balance.
    pub fn agree(&self) {
        assert_eq!(self.audit.findings(), []);
        assert_eq!(self.audit.compare(&self.ledger), []);
        self.ledger.verify().unwrap();
    }
}
