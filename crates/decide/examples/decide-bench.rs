//! Decisions a second of CPU on a catalogue of many ad sets with realistic rules, about 5% of which match.
//!
//! `cargo run --release -p regie-decide --example decide-bench [AD_SETS [VERSIONS_EACH]]`
//! (100000 and 4 when absent). Prints build times,
//! the share that matches, median and p99 for one placement and for four. An example may read a clock; the
//! library may not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use regie_decide::{
    BudgetGate, Elimination, OpenGate, Request, Row, Snapshot, Tables,
    chance::{Place, Purpose, below, bits},
    decide,
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, PartyId, PersonKeyId, PlacementId, SiteId, UtcMs, VersionId,
    booking::*,
    catalogue::Catalogue,
    command::{Change, Verdict},
    creative::{ObjectHash, Size},
    personal::Sealed,
    targeting::{Clause, Dimension, Op, Targeting},
    ticket::DeviceClass,
};
use std::{cell::Cell, time::Instant};

const SIZE: Size = Size { width: 300, height: 250 };
const COUNTRIES: [&str; 8] = ["FR", "DE", "BE", "IT", "ES", "NL", "AT", "PL"];

struct Chance(u64, u32);
impl Chance {
    fn below(&mut self, count: u64) -> u64 {
        self.1 += 1;
        below(bits(self.0, Purpose::Tie, Place { placement: self.1, occurrence: 0 }, 0), count)
    }
    fn words(&mut self, prefix: &str, kinds: u64, count: u64) -> Vec<String> {
        (0..count).map(|_| format!("{prefix}{}", self.below(kinds))).collect()
    }
}

fn clause(dimension: Dimension, op: Op, values: Vec<String>) -> Clause {
    Clause { dimension, op, values, zone: None }
}

/// Country, region, age band, interests IN and NOT IN, hour of week, device, keywords.
fn targeting(chance: &mut Chance) -> Targeting {
    let mut clauses = Vec::new();
    if chance.below(10) < 8 {
        let count = 1 + chance.below(3);
        let values = (0..count).map(|_| COUNTRIES[chance.below(8) as usize].to_owned()).collect();
        clauses.push(clause(Dimension::Country, Op::In, values));
    }
    if chance.below(10) < 2 {
        clauses.push(clause(Dimension::Region, Op::In, chance.words("FR-", 20, 6)));
    }
    if chance.below(10) < 5 {
        let values = chance.words("", 6, 3);
        clauses.push(clause(Dimension::Key("age".into()), Op::In, values));
    }
    if chance.below(10) < 5 {
        clauses.push(clause(Dimension::Topic, Op::In, chance.words("topic", 40, 8)));
    }
    if chance.below(10) < 3 {
        clauses.push(clause(Dimension::Topic, Op::NotIn, chance.words("topic", 40, 4)));
    }
    if chance.below(10) < 3 {
        clauses.push(clause(Dimension::HourOfWeek, Op::In, vec!["mon-fri 6-22".into()]));
    }
    if chance.below(10) < 4 {
        let values = vec![["desktop", "phone", "tablet"][chance.below(3) as usize].into()];
        clauses.push(clause(Dimension::Device, Op::In, values));
    }
    if chance.below(10) < 2 {
        clauses.push(clause(Dimension::Keyword, Op::In, chance.words("word", 5_000, 40)));
    }
    Targeting { clauses }
}

fn base(catalogue: &mut Catalogue) {
    let publisher = r#"{"name":"Example Press","auction_currency":"EUR","zone":"Europe/Paris"}"#;
    let changes = [
        Change::PublisherPut { spec: serde_json::from_str(publisher).unwrap() },
        Change::SitePut {
            id: SiteId(1),
            spec: SiteSpec { name: "News".into(), origins: Vec::new(), language: Some("fr".into()) },
        },
        Change::PartyPut {
            id: PartyId(1),
            spec: SealedParty {
                kind: PartyKind::Organisation,
                advertiser: None,
                identity: Sealed { key: PersonKeyId(1), ciphertext_hex: String::new() },
                established_in: "FR".into(),
                may_sponsor_before_votes: true,
                political_gaps: Vec::new(),
            },
        },
    ];
    changes.iter().for_each(|change| catalogue.apply(UtcMs(0), change));
    for number in 1..=4 {
        let text = format!(
            r#"{{"site":"site_1","name":"p{number}","format":{{"kind":"banner","sizes":[{{"width":300,"height":250}}]}},
            "floors":[{{"tier":"auction","currency":"EUR","micros_per_mille":100000}}]}}"#
        );
        let spec = serde_json::from_str(&text).unwrap();
        catalogue.apply(UtcMs(0), &Change::PlacementPut { id: PlacementId(number), spec });
    }
}

fn catalogue(ad_sets_count: u32, versions_each: u32, chance: &mut Chance) -> Catalogue {
    let mut catalogue = Catalogue::new();
    base(&mut catalogue);
    for number in 1..=ad_sets_count {
        let (advertiser, campaign) =
            (AdvertiserId(1 + (number - 1) / 100), CampaignId(1 + (number - 1) / 10));
        if number % 100 == 1 {
            let category = chance.below(200);
            let text = format!(
                r#"{{"name":"Fictional Goods","currency":"EUR","zone":"UTC","funding":{{"kind":"prepaid"}},
                "categories":["category{category}"]}}"#
            );
            let spec = serde_json::from_str(&text).unwrap();
            catalogue.apply(UtcMs(0), &Change::AdvertiserPut { id: advertiser, spec });
        }
        if number % 10 == 1 {
            let text = format!(
                r#"{{"advertiser":"{advertiser}","name":"C","objective":"clicks","sponsor":"party_1","payer":"party_1",
                "flight":{{"starts_at":"2026-01-01T00:00:00Z"}}}}"#
            );
            let spec = serde_json::from_str(&text).unwrap();
            catalogue.apply(UtcMs(0), &Change::CampaignPut { id: campaign, spec });
        }
        let spec = ad_set(campaign, chance);
        catalogue.apply(UtcMs(0), &Change::AdSetPut { id: AdSetId(number), spec });
        ad(&mut catalogue, number, versions_each);
    }
    catalogue
}

fn ad_set(campaign: CampaignId, chance: &mut Chance) -> AdSetSpec {
    let price = 200_000 + chance.below(5_000_000) as i64;
    let bid = match chance.below(10) {
        0..5 => Bid::Cpm { micros_per_mille: price },
        _ => Bid::Cpc { micros_per_click: price },
    };
    let cap = FrequencyCap { scope: CapScope::Campaign, period: CapPeriod::PageView, impressions_count: 1 };
    AdSetSpec {
        campaign,
        name: "S".into(),
        targeting: targeting(chance),
        bid,
        tier: Tier::Auction,
        pacing: Pacing::Even,
        caps: if chance.below(2) == 0 { vec![cap] } else { Vec::new() },
        flight: None,
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        external_id: None,
        experiment: None,
        learning: None,
    }
}

/// One ad with its versions, approved.
fn ad(catalogue: &mut Catalogue, number: u32, versions_each: u32) {
    let mut put = |change: Change| catalogue.apply(UtcMs(0), &change);
    let text = format!(r#"{{"ad_set":"set_{number}","name":"A","landing_url":"https://goods.example/"}}"#);
    put(Change::AdPut { id: AdId(number), spec: serde_json::from_str(&text).unwrap() });
    let mut versions = Vec::new();
    for version in number * versions_each..(number + 1) * versions_each {
        let creative = ObjectHash::of(&version.to_le_bytes());
        let record = VersionRecord {
            ad: AdId(number),
            name: String::new(),
            creative,
            shape: Shape::Banner(SIZE),
            weight: 1 + version % 3,
            external_id: None,
        };
        put(Change::VersionPut { id: VersionId(version), record });
        versions.push((VersionId(version), creative));
    }
    let ads = vec![(AdId(number), 1)];
    put(Change::Reviewed { ads, versions, verdict: Verdict::Approved, reason: String::new() });
}

fn request(chance: &mut Chance, placements_count: u32) -> Request {
    let at = UtcMs(1_777_888_800_000 + chance.below(7 * 86_400_000) as i64);
    let placements = (1..=placements_count).map(PlacementId).collect();
    let mut request = Request::bare(at, chance.below(u64::MAX), SiteId(1), placements);
    let country = COUNTRIES[chance.below(8) as usize].as_bytes();
    request.location.country = Some([country[0], country[1]]);
    request.location.region = Some(format!("FR-{}", chance.below(20)));
    request.device =
        [DeviceClass::Desktop, DeviceClass::Phone, DeviceClass::Tablet][chance.below(3) as usize];
    request.page.url = "https://news.example/article/12345".into();
    request.page.topics = chance.words("topic", 40, 3);
    request.page.keywords = chance.words("word", 5_000, 5);
    request.page.key_values = vec![("age".into(), chance.below(6).to_string())];
    request.normalise();
    request
}

/// Refuses so many of those it is asked about in each decision: the best have no money left.
struct RefusesFirst(u32, Cell<u32>);
impl BudgetGate for RefusesFirst {
    fn refuses(&self, _: AdSetId) -> bool {
        self.1.set(self.1.get() + 1);
        self.1.get() <= self.0
    }
}

fn measure(name: &str, snapshot: &Snapshot, tables: &Tables, requests: &[Request], refused: u32) {
    let gate = RefusesFirst(refused, Cell::default());
    let mut nanos: Vec<u128> = Vec::with_capacity(requests.len());
    let (mut fills, mut told) = (0usize, 0u64);
    for request in requests {
        gate.1.set(0);
        let start = Instant::now();
        let decision = decide(snapshot, tables, request, &gate, &mut |_, why| {
            told += u64::from(!matches!(why, Elimination::Targeting { .. }));
        });
        nanos.push(start.elapsed().as_nanos());
        fills += decision.fills().count();
    }
    nanos.sort_unstable();
    let at = |part: usize| nanos[(nanos.len() * part / 1_000).min(nanos.len() - 1)] as f64 / 1_000.0;
    println!(
        "{name}: median {:.2} µs, p99 {:.2} µs, p99.9 {:.2} µs; {:.3} fills and {:.1} eliminations a request",
        at(500),
        at(990),
        at(999),
        fills as f64 / requests.len() as f64,
        told as f64 / requests.len() as f64
    );
}

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let mut chance = Chance(42, 0);
    let start = Instant::now();
    let each: u32 = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(4);
    let catalogue = catalogue(count, each, &mut chance);
    println!("{count} ad sets, {} versions: catalogue in {:.2?}", catalogue.versions.len(), start.elapsed());
    let rows = (1..=count).map(|id| {
        let click_ppb = 200_000 + chance.below(3_000_000) as u32;
        let pass_ppm = if chance.below(3) == 0 { 500_000 } else { 1_000_000 };
        (AdSetId(id), Row { click_ppb, pass_ppm, ..Row::default() })
    });
    let rows: Vec<_> = rows.collect();
    let table = Tables::new(rows);
    let start = Instant::now();
    let snapshot = Snapshot::build_for(&catalogue, 1, &table);
    println!("snapshot in {:.2?}", start.elapsed());
    let start = Instant::now();
    let tables = table.align(&snapshot);
    println!("tables aligned in {:.2?}", start.elapsed());
    let one: Vec<Request> = (0..100_000).map(|_| request(&mut chance, 1)).collect();
    let four: Vec<Request> = (0..20_000).map(|_| request(&mut chance, 4)).collect();
    let sample = &one[..one.len().min(20)];
    let matching: usize = sample.iter().map(|request| matching(&snapshot, request)).sum();
    println!("matching: {:.2}%", matching as f64 / sample.len() as f64 / f64::from(count) * 100.0);
    measure("warm-up", &snapshot, &tables, &one[..one.len() / 10], 0);
    measure("one placement", &snapshot, &tables, &one, 0);
    measure("four placements", &snapshot, &tables, &four, 0);
    measure("one placement, the best 700 refused", &snapshot, &tables, &one[..one.len() / 10], 700);
}

/// How many ad sets' targeting fits, as `explain` sees it.
fn matching(snapshot: &Snapshot, request: &Request) -> usize {
    let explanation = regie_decide::explain(snapshot, &Tables::default(), request, &OpenGate);
    explanation.placements.iter().flat_map(|p| &p.ad_sets).filter(|a| a.code != "targeting").count()
}
