//! Random days of an installation: deliveries, resends, late ones, edits, jumps of the clock over the days on
//! which clocks change, credits, fees, closes. Each step is data, so that a failing stream can be shrunk.
#![allow(clippy::unwrap_used)]

use super::common::*;
use proptest::prelude::*;
use regie_ledger::Ledger;
use regie_model::{
    AdSetId, AdvertiserId, Currency, Day, Micros, SiteId, UtcMs, Zone,
    booking::{Bid, Funding, PixelConversions},
    command::{Change, Stop},
    event::{ConversionSource, Event},
    event::{PlacementTraffic, RollupKey, Traffic},
    ticket::{Billing, Ticket},
};

#[derive(Clone, Debug)]
pub enum Step {
    /// A new ticket and one event of it.
    Deliver {
        set: usize,
        kind: u8,
    },
    /// An event of an earlier ticket: a resend, another kind, a late one.
    Again {
        ticket: usize,
        kind: u8,
    },
    /// A conversion of an earlier ticket.
    Convert {
        ticket: usize,
        order: u8,
        other_action: bool,
        pixel: bool,
        clicked_after_ms: i64,
    },
    /// A ticket that says something wrong.
    Odd {
        set: usize,
        what: u8,
    },
    Wait {
        ms: i64,
    },
    /// To just before or after the next midnight of a zone.
    Midnight {
        tokyo: bool,
        offset_ms: i64,
    },
    CampaignBudget {
        of: u32,
        daily: bool,
        micros: Option<i64>,
    },
    AdSetBudget {
        set: usize,
        daily: bool,
        micros: Option<i64>,
    },
    Bid {
        set: usize,
        percent: i64,
    },
    Deposit {
        tokyo: bool,
        units: i64,
    },
    Funding {
        tokyo: bool,
        limit_micros: Option<i64>,
    },
    Pixels {
        max: Option<u32>,
    },
    Credit {
        back: u64,
        tokyo: bool,
        nanos: i64,
    },
    Fees,
    Fee {
        set: usize,
        days: i32,
    },
    Served {
        set: usize,
        count: u64,
        minutes_ago: i64,
    },
    Close {
        tokyo: bool,
        months_ago: i8,
    },
    Epoch,
    Broken,
    Resume,
    /// The server stops and starts: everything goes through bytes.
    Restart,
    /// So many house impressions, to pass into another block of charges.
    Bulk,
}

pub const SETS: [AdSetId; 7] = [CPM, CPC, CPA, FEE, HOUSE, GOAL, YEN];

pub fn step() -> impl Strategy<Value = Step> {
    let micros = proptest::option::weighted(0.8, 0..20_000_000i64);
    let set = 0..SETS.len();
    let wait = prop_oneof![0..2_000i64, 0..HOUR, 0..2 * DAY, Just(HOUR), Just(DAY)];
    let clicked = prop_oneof![Just(0i64), 0..HOUR, -2 * MINUTE..2 * DAY];
    prop_oneof![
        20 => (set.clone(), 0..3u8).prop_map(|(set, kind)| Step::Deliver { set, kind }),
        12 => (0..60usize, 0..3u8).prop_map(|(ticket, kind)| Step::Again { ticket, kind }),
        8 => (0..30usize, 0..4u8, prop::bool::weighted(0.2), any::<bool>(), clicked).prop_map(
            |(ticket, order, other_action, pixel, clicked_after_ms)| Step::Convert {
                ticket, order, other_action, pixel, clicked_after_ms
            }
        ),
        2 => (set.clone(), 0..7u8).prop_map(|(set, what)| Step::Odd { set, what }),
        8 => wait.prop_map(|ms| Step::Wait { ms }),
        3 => (any::<bool>(), -1..2i64).prop_map(|(tokyo, offset_ms)| Step::Midnight { tokyo, offset_ms }),
        4 => (1..3u32, any::<bool>(), micros.clone())
            .prop_map(|(of, daily, micros)| Step::CampaignBudget { of, daily, micros }),
        4 => (set.clone(), any::<bool>(), micros)
            .prop_map(|(set, daily, micros)| Step::AdSetBudget { set, daily, micros }),
        2 => (set.clone(), 1..300i64).prop_map(|(set, percent)| Step::Bid { set, percent }),
        2 => (any::<bool>(), 1..50i64).prop_map(|(tokyo, units)| Step::Deposit { tokyo, units }),
        2 => (any::<bool>(), proptest::option::of(0..5_000_000i64))
            .prop_map(|(tokyo, limit_micros)| Step::Funding { tokyo, limit_micros }),
        1 => proptest::option::weighted(0.8, 0..3u32).prop_map(|max| Step::Pixels { max }),
        6 => (0..40u64, prop::bool::weighted(0.2), -1..4_000_000i64)
            .prop_map(|(back, tokyo, nanos)| Step::Credit { back, tokyo, nanos }),
        3 => Just(Step::Fees),
        1 => (set.clone(), -3..3i32).prop_map(|(set, days)| Step::Fee { set, days }),
        2 => (set, 0..9u64, -5..90i64)
            .prop_map(|(set, count, minutes_ago)| Step::Served { set, count, minutes_ago }),
        2 => (any::<bool>(), 0..3i8).prop_map(|(tokyo, months_ago)| Step::Close { tokyo, months_ago }),
        1 => Just(Step::Epoch),
        1 => Just(Step::Broken),
        2 => Just(Step::Resume),
        3 => Just(Step::Restart),
        1 => Just(Step::Bulk),
    ]
}

fn account(tokyo: bool) -> AdvertiserId {
    if tokyo { TOKYO } else { PARIS }
}

/// A world with what the steps need to remember.
pub struct Walk {
    pub world: World,
    tickets: Vec<Ticket>,
    epoch: u32,
}

impl Walk {
    pub fn new(strict: bool) -> Walk {
        let world = World::at(at("2026-03-28T08:00:00Z"), strict);
        Walk { world, tickets: Vec::new(), epoch: 1 }
    }
    fn ticket(&mut self, set: usize) -> Ticket {
        let mut ticket = self.world.ticket(SETS[set]);
        ticket.id.epoch = self.epoch;
        self.tickets.push(ticket);
        ticket
    }
    fn earlier(&mut self, back: usize) -> Ticket {
        match self.tickets.len() {
            0 => self.ticket(0),
            count => self.tickets[count - 1 - back % count],
        }
    }
    fn send(&mut self, ticket: Ticket, kind: u8) {
        let make = [Event::Impression as fn(Ticket) -> Event, Event::Viewable, Event::Click];
        self.world.push(make[usize::from(kind)](ticket));
    }

    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Deliver { set, kind } => {
                let ticket = self.ticket(set);
                self.send(ticket, kind);
            }
            Step::Again { ticket, kind } => {
                let ticket = self.earlier(ticket);
                self.send(ticket, kind);
            }
            Step::Convert { ticket, order, other_action, pixel, clicked_after_ms } => {
                let ticket = self.earlier(ticket);
                let source = if pixel { ConversionSource::Pixel } else { ConversionSource::Server };
                let mut event = self.world.conversion(ticket, order, source);
                if let Event::Conversion(c) = &mut event {
                    c.clicked_at.0 += clicked_after_ms;
                    c.action = if other_action { "signup" } else { "order" }.into();
                }
                self.world.push(event);
            }
            Step::Odd { set, what } => self.odd(set, what),
            Step::Wait { ms } => self.world.wait(ms),
            Step::Midnight { tokyo, offset_ms } => {
                let zone = Zone::parse(if tokyo { "Asia/Tokyo" } else { "Europe/Paris" }).unwrap();
                let next = zone.day_start(Day(zone.day(self.world.now).0 + 1));
                self.world.now = self.world.now.max(UtcMs(next.0 + offset_ms));
            }
            Step::Bulk => {
                for _ in 0..4_096 {
                    self.world.impression(HOUSE);
                }
            }
            Step::Restart => self.restart(),
            _ => self.book(step),
        }
    }

    fn odd(&mut self, set: usize, what: u8) {
        let mut ticket = self.world.ticket(SETS[set]);
        match what {
            0 => ticket.id.epoch += 100,
            1 => ticket.ad_set = AdSetId(999),
            2 => ticket.campaign.0 += 1,
            3 => ticket.currency = Currency(*b"USD"),
            4 => ticket.issued_at.0 += 2 * MINUTE,
            5 => ticket.price_nanos += 1_000_000_000_000,
            _ => ticket.billing = Billing::Click,
        }
        self.send(ticket, what % 3);
    }

    fn book(&mut self, step: &Step) {
        let world = &mut self.world;
        match *step {
            Step::CampaignBudget { of, daily, micros } => world.edit_campaign(of, |c| {
                let budget = if daily { &mut c.daily_budget_micros } else { &mut c.lifetime_budget_micros };
                *budget = micros.map(Micros);
            }),
            Step::AdSetBudget { set, daily, micros } => world.edit_ad_set(SETS[set], |s| {
                let budget = if daily { &mut s.daily_budget_micros } else { &mut s.lifetime_budget_micros };
                *budget = micros.map(|m| Micros(m / 10));
            }),
            Step::Bid { set, percent } => world.edit_ad_set(SETS[set], |s| match &mut s.bid {
                Bid::Cpm { micros_per_mille: price }
                | Bid::Cpc { micros_per_click: price }
                | Bid::Cpa { micros_per_conversion: price, .. }
                | Bid::FlatFee { total_micros: Micros(price) } => {
                    *price = (*price * percent / 100).clamp(1, 1_000_000_000);
                }
                Bid::Free => {}
            }),
            Step::Deposit { tokyo, units } => world.deposit(account(tokyo), units),
            Step::Funding { tokyo, limit_micros } => world.edit_advertiser(account(tokyo), |a| {
                a.funding = limit_micros
                    .map_or(Funding::Prepaid, |limit| Funding::Credit { limit_micros: Micros(limit) });
            }),
            Step::Pixels { max } => world.edit_advertiser(PARIS, |a| {
                a.pixel_conversions = max.map(|daily_count_max| PixelConversions { daily_count_max });
            }),
            Step::Credit { back, tokyo, nanos } => {
                let position = world.position.saturating_sub(back);
                world.credit(account(tokyo), position, nanos);
            }
            Step::Fees => {
                for (ad_set, day) in world.ledger.due_flat_fees(world.now) {
                    world.push(Event::FlatFeeAccrued { ad_set, day });
                }
            }
            Step::Fee { set, days } => {
                let day = Day(Zone::utc().day(world.now).0 + days);
                world.push(Event::FlatFeeAccrued { ad_set: SETS[set], day });
            }
            Step::Served { set, count, minutes_ago } => {
                let key = RollupKey::of(&world.ticket(SETS[set]));
                let placements = vec![PlacementTraffic { site: SiteId(1), ..Default::default() }];
                let minute = world.now.minute() - minutes_ago;
                let traffic =
                    Traffic { minute, placements, served: vec![(key, count)], ..Default::default() };
                world.push(Event::Traffic(Box::new(traffic)));
            }
            Step::Close { tokyo, months_ago } => {
                let (year, month) = Zone::utc().day(world.now).year_month();
                let month = month - months_ago;
                world.push(Event::InvoiceIssued { advertiser: account(tokyo), year, month });
            }
            Step::Epoch => {
                self.epoch += 1;
                world.push(Event::EpochOpened { epoch: self.epoch });
            }
            Step::Broken => {
                world.push(Event::LawBroken { law: "R1".into(), detail: "a test".into() });
            }
            Step::Resume => {
                let reason = "looked into".into();
                world.push(booked(Change::StopSet { what: Stop::AllPaid, on: false, reason }));
            }
            _ => {}
        }
    }

    fn restart(&mut self) {
        let (bytes, hash) = (self.world.ledger.to_bytes(), self.world.ledger.state_hash());
        self.world.ledger = Ledger::from_bytes(&bytes).unwrap();
        if self.world.strict {
            assert_eq!(self.world.ledger.to_bytes(), bytes, "equal states have equal bytes");
            assert_eq!(self.world.ledger.state_hash(), hash);
        }
    }
}
