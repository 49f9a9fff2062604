//! A catalogue of many ad sets with realistic rules, as the changes that book it; and requests for it. All names are
//! fictional, and everything follows from one seed.

use regie_decide::{
    Request,
    chance::{Place, Purpose, below, bits},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, PartyId, PersonKeyId, PlacementId, SegmentId, SiteId, UtcMs,
    VersionId,
    booking::*,
    command::{Change, Verdict},
    creative::{ObjectHash, Size},
    personal::Sealed,
    targeting::{AGE_BAND_CONSENT, AGE_BANDS, Clause, Dimension, Op, Targeting},
    ticket::DeviceClass,
};

const SIZE: Size = Size { width: 300, height: 250 };
const COUNTRIES: [&str; 8] = ["FR", "DE", "BE", "IT", "ES", "NL", "AT", "PL"];
const DEVICES: [DeviceClass; 3] = [DeviceClass::Desktop, DeviceClass::Phone, DeviceClass::Tablet];
/// What a visitor is interested in: segments of the publisher that need consent.
const INTERESTS: u64 = 40;
/// The consent that interests need.
const CONSENT: &str = "profiling";
/// Pages' keywords.
const KEYWORDS: u64 = 5_000;

/// Numbers at random, the same for the same seed.
pub struct Chance(pub u64, u32);
impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed, 0)
    }
    /// 0 to `count`.
    pub fn below(&mut self, count: u64) -> u64 {
        self.1 += 1;
        below(bits(self.0, Purpose::Tie, Place { placement: self.1, occurrence: 0 }, 0), count)
    }
    fn words(&mut self, prefix: &str, kinds: u64, count: u64) -> Vec<String> {
        (0..count).map(|_| format!("{prefix}{}", 1 + self.below(kinds))).collect()
    }
    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// What is booked.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Ad sets.
    pub ad_sets: u32,
    /// Versions of all together, spread evenly.
    pub versions: u32,
    /// Seed.
    pub seed: u64,
}

fn clause(dimension: Dimension, op: Op, values: Vec<String>) -> Clause {
    Clause { dimension, op, values, zone: None }
}

/// Country, region, age band, interests IN and NOT IN, hour of week, device, keywords.
fn targeting(chance: &mut Chance) -> Targeting {
    let mut clauses = Vec::new();
    if chance.below(10) < 8 {
        let count = 1 + chance.below(3);
        let values = (0..count).map(|_| chance.pick(&COUNTRIES).to_owned()).collect();
        clauses.push(clause(Dimension::Country, Op::In, values));
    }
    if chance.below(10) < 2 {
        clauses.push(clause(Dimension::Region, Op::In, chance.words("FR-", 20, 6)));
    }
    if chance.below(10) < 5 {
        let values = (0..3).map(|_| chance.pick(&AGE_BANDS).to_owned()).collect();
        clauses.push(clause(Dimension::AgeBand, Op::In, values));
    }
    if chance.below(10) < 5 {
        clauses.push(clause(Dimension::Segment, Op::In, chance.words("seg_", INTERESTS, 8)));
    }
    if chance.below(10) < 3 {
        clauses.push(clause(Dimension::Segment, Op::NotIn, chance.words("seg_", INTERESTS, 4)));
    }
    if chance.below(10) < 3 {
        clauses.push(clause(Dimension::HourOfWeek, Op::In, vec!["mon-fri 6-22".into()]));
    }
    if chance.below(10) < 4 {
        let device = chance.pick(&DEVICES).word().to_owned();
        clauses.push(clause(Dimension::Device, Op::In, vec![device]));
    }
    if chance.below(10) < 2 {
        clauses.push(clause(Dimension::Keyword, Op::In, chance.words("word", KEYWORDS, 40)));
    }
    Targeting { clauses }
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_str(text)?)
}

impl Plan {
    /// Every change that books it, in order.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn changes(&self, out: &mut dyn FnMut(Change) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut chance = Chance::new(self.seed);
        base(out)?;
        let mut version = 0;
        for number in 1..=self.ad_sets {
            self.account(number, &mut chance, out)?;
            let campaign = CampaignId(1 + (number - 1) / 10);
            out(Change::AdSetPut { id: AdSetId(number), spec: ad_set(campaign, &mut chance) })?;
            let upto = (u64::from(number) * u64::from(self.versions) / u64::from(self.ad_sets)) as u32;
            ad(number, version..upto.max(version + 1), out)?;
            version = upto.max(version + 1);
        }
        Ok(())
    }
    /// The account and campaign that an ad set is the first of.
    fn account(
        &self,
        number: u32,
        chance: &mut Chance,
        out: &mut dyn FnMut(Change) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let advertiser = AdvertiserId(1 + (number - 1) / 100);
        if number % 100 == 1 {
            let text = format!(
                r#"{{"name":"Fictional Goods","currency":"EUR","zone":"UTC","funding":{{"kind":"credit","limit_micros":1000000000000000}},"categories":["category{}"]}}"#,
                chance.below(200)
            );
            out(Change::AdvertiserPut { id: advertiser, spec: parsed(&text)? })?;
        }
        if number % 10 == 1 {
            let text = format!(
                r#"{{"advertiser":"{advertiser}","name":"C","objective":"clicks","sponsor":"party_1","payer":"party_1","flight":{{"starts_at":"2020-01-01T00:00:00Z"}}}}"#
            );
            out(Change::CampaignPut { id: CampaignId(1 + (number - 1) / 10), spec: parsed(&text)? })?;
        }
        Ok(())
    }
}

fn base(out: &mut dyn FnMut(Change) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let publisher =
        r#"{"name":"Example Press","auction_currency":"EUR","zone":"Europe/Paris","sample_ppm":0}"#;
    out(Change::PublisherPut { spec: parsed(publisher)? })?;
    let spec = SiteSpec {
        name: "News".into(),
        origins: vec!["https://news.example".into()],
        language: Some("fr".into()),
    };
    out(Change::SitePut { id: SiteId(1), spec })?;
    let spec = SealedParty {
        kind: PartyKind::Organisation,
        advertiser: None,
        identity: Sealed { key: PersonKeyId(1), ciphertext_hex: String::new() },
        established_in: "FR".into(),
        may_sponsor_before_votes: true,
        political_gaps: Vec::new(),
    };
    out(Change::PartyPut { id: PartyId(1), spec })?;
    for number in 1..=INTERESTS as u32 {
        let (name, description) = (format!("Interest {number}"), String::new());
        let spec = SegmentSpec { name, description, consent: Some(CONSENT.into()) };
        out(Change::SegmentPut { id: SegmentId(number), spec })?;
    }
    for number in 1..=4 {
        let text = format!(
            r#"{{"site":"site_1","name":"p{number}","format":{{"kind":"banner","sizes":[{{"width":300,"height":250}}]}},"floors":[{{"tier":"auction","currency":"EUR","micros_per_mille":100000}}],"blocked_categories":["category{number}"]}}"#
        );
        out(Change::PlacementPut { id: PlacementId(number), spec: parsed(&text)? })?;
    }
    Ok(())
}

fn ad_set(campaign: CampaignId, chance: &mut Chance) -> AdSetSpec {
    let price = 200_000 + chance.below(5_000_000) as i64;
    let bid = match chance.below(10) {
        0..5 => Bid::Cpm { micros_per_mille: price },
        _ => Bid::Cpc { micros_per_click: price },
    };
    let cap = |scope, period| FrequencyCap { scope, period, impressions_count: 3 };
    let caps = vec![cap(CapScope::Campaign, CapPeriod::PageView), cap(CapScope::AdSet, CapPeriod::Day)];
    AdSetSpec {
        campaign,
        name: "S".into(),
        targeting: targeting(chance),
        bid,
        tier: Tier::Auction,
        pacing: Pacing::Even,
        caps: if chance.below(2) == 0 { caps } else { Vec::new() },
        flight: None,
        lifetime_budget_micros: Some(regie_model::Micros(1_000_000_000_000)),
        daily_budget_micros: None,
        external_id: None,
        experiment: None,
        learning: None,
    }
}

/// One ad with its versions, approved.
fn ad(
    number: u32,
    versions: std::ops::Range<u32>,
    out: &mut dyn FnMut(Change) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let text = format!(
        r#"{{"ad_set":"set_{number}","name":"A","landing_url":"https://goods{}.example/"}}"#,
        number % 500
    );
    out(Change::AdPut { id: AdId(number), spec: parsed(&text)? })?;
    let mut reviewed = Vec::with_capacity(versions.len());
    for version in versions {
        let id = VersionId(version + 1);
        let creative = ObjectHash::of(&version.to_le_bytes());
        let record = VersionRecord {
            ad: AdId(number),
            name: format!("v{version}"),
            creative,
            shape: Shape::Banner(SIZE),
            weight: 1 + version % 3,
            external_id: Some(format!("own-{version}")),
        };
        out(Change::VersionPut { id, record })?;
        reviewed.push((id, creative));
    }
    let (ads, verdict) = (vec![(AdId(number), 1)], Verdict::Approved);
    out(Change::Reviewed { ads, versions: reviewed, verdict, reason: String::new() })
}

/// A request with facts of every kind.
pub fn request(chance: &mut Chance) -> Request {
    let at = UtcMs(1_777_888_800_000 + chance.below(7 * 86_400_000) as i64);
    let mut request = Request::bare(at, chance.below(u64::MAX), SiteId(1), vec![PlacementId(1)]);
    let country = chance.pick(&COUNTRIES).as_bytes();
    request.location.country = Some([country[0], country[1]]);
    request.location.region = Some(format!("FR-{}", 1 + chance.below(20)));
    request.device = chance.pick(&DEVICES);
    request.page.url = "https://news.example/article/12345".into();
    request.page.keywords = chance.words("word", KEYWORDS, 5);
    request.age_band = Some(chance.pick(&AGE_BANDS).to_owned());
    request.segments = (0..3).map(|_| SegmentId(1 + chance.below(INTERESTS) as u32)).collect();
    request.consents = vec![CONSENT.into(), AGE_BAND_CONSENT.into()];
    request.frequency.visitor = Some(Vec::new());
    request.normalise();
    request
}
