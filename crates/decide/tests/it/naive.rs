//! The oracle: the same decision by a plain scan of the catalogue, written from the rules, without index,
//! snapshot, early stop or shared code other than the draws (`chance`) and the model's money. Passes, roadblocks
//! and places sold together are `naive_pass`'s.

use regie_decide::{
    Counted, Fill, PPM, Request, Row,
    chance::{Place, Purpose, below, bits},
    rates::PPB,
};
use regie_model::{
    AdId, AdSetId, Nanos, PartyId, PlacementId, VersionId, Zone,
    booking::*,
    catalogue::Catalogue,
    command::Stop,
    creative::ObjectHash,
    money::{DatedRate, to_auction_round_down},
    targeting::{Clause, Dimension, Op, glob_matches},
    ticket::Billing,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the oracle reads.
pub struct Naive<'a> {
    pub catalogue: &'a Catalogue,
    pub rows: &'a BTreeMap<AdSetId, Row>,
    pub refused: &'a BTreeSet<AdSetId>,
    pub request: &'a Request,
    /// Nothing is known of the visitor.
    pub contextual: bool,
}

struct Version {
    ad: AdId,
    key: (u8, u16, u16),
    id: VersionId,
    creative: ObjectHash,
    shape: Shape,
    weight: u64,
}

impl Naive<'_> {
    pub fn servable(&self, slot: usize) -> bool {
        let active = |status: Status| status == Status::Active;
        let placement = self.catalogue.placements.get(&self.request.placements[slot]);
        let site = self.catalogue.sites.get(&self.request.site);
        self.catalogue.publisher.is_some()
            && slot < 16
            && placement.is_some_and(|p| active(p.status) && p.spec.site == self.request.site)
            && site.is_some_and(|s| active(s.status))
    }
    pub fn place(&self, slot: usize) -> Place {
        let id = self.request.placements[slot];
        let occurrence = self.request.placements[..slot].iter().filter(|p| **p == id).count() as u32;
        Place { placement: id.0, occurrence }
    }
    pub fn draw(&self, purpose: Purpose, slot: usize, ad_set: u32) -> u64 {
        bits(self.request.seed, purpose, self.place(slot), ad_set)
    }
    pub fn row(&self, id: AdSetId) -> Row {
        self.rows.get(&id).copied().unwrap_or_default()
    }

    pub fn advertiser(&self, id: AdSetId) -> regie_model::AdvertiserId {
        self.catalogue.advertiser_of(id).unwrap()
    }
    pub fn account(&self, id: AdSetId) -> &AdvertiserSpec {
        &self.catalogue.advertisers[&self.advertiser(id)].spec
    }
    pub fn rate_nanos(&self, id: AdSetId) -> Option<i64> {
        self.catalogue.publisher.as_ref().unwrap().spec.rate_nanos(self.account(id).currency)
    }
    pub fn billing(&self, id: AdSetId) -> Billing {
        match self.catalogue.ad_sets[&id].spec.bid {
            Bid::Cpm { .. } => Billing::Impression,
            Bid::Cpc { .. } => Billing::Click,
            Bid::Cpa { .. } => Billing::Conversion,
            Bid::FlatFee { .. } | Bid::Free => Billing::None,
        }
    }
    pub fn bid(&self, id: AdSetId) -> i64 {
        match self.catalogue.ad_sets[&id].spec.bid {
            Bid::Cpm { micros_per_mille } => micros_per_mille,
            Bid::Cpc { micros_per_click } => micros_per_click * 1_000,
            Bid::Cpa { micros_per_conversion, .. } => micros_per_conversion * 1_000,
            Bid::FlatFee { .. } | Bid::Free => 0,
        }
    }
    pub fn action_ppb(&self, id: AdSetId) -> i128 {
        match self.billing(id) {
            Billing::Click => i128::from(self.row(id).click_ppb),
            Billing::Conversion => i128::from(self.row(id).conversion_ppb),
            _ => i128::from(PPB),
        }
    }
    pub fn score(&self, id: AdSetId) -> i128 {
        let bid = Nanos(i128::from(self.bid(id)));
        let whole = to_auction_round_down(bid, self.rate_nanos(id).unwrap()).0 * self.action_ppb(id)
            / i128::from(PPB);
        self.paced(id, whole)
    }
    fn paced(&self, id: AdSetId, value: i128) -> i128 {
        value * i128::from(self.row(id).multiplier_ppm) / i128::from(PPM)
    }
    pub fn floor(&self, id: AdSetId, slot: usize) -> i128 {
        let placement = &self.catalogue.placements[&self.request.placements[slot]].spec;
        let tier = self.catalogue.ad_sets[&id].spec.tier.kind();
        let currency = self.account(id).currency;
        if placement.floors.iter().any(|f| f.tier == tier && f.currency == currency) {
            return i128::from(placement.floor_micros_per_mille(tier, currency));
        }
        let auction = self.catalogue.publisher.as_ref().unwrap().spec.auction_currency;
        let floor = i128::from(placement.floor_micros_per_mille(tier, auction));
        let rate = i128::from(self.rate_nanos(id).unwrap());
        (floor * i128::from(DatedRate::PAR)).div_euclid(rate)
            + i128::from((floor * i128::from(DatedRate::PAR)) % rate != 0)
    }
    /// What the bid counts for, and the floor where that is more: never above the bid.
    pub fn first_price(&self, id: AdSetId, slot: usize) -> i64 {
        let bid = i128::from(self.bid(id));
        let floor = match self.billing(id) {
            Billing::None => 0,
            _ => self.floor(id, slot) * i128::from(PPB) / self.action_ppb(id),
        };
        i64::try_from(self.paced(id, bid).max(floor).min(bid)).unwrap()
    }
    pub fn second_price(&self, id: AdSetId, second: i128, slot: usize) -> i64 {
        if self.billing(id) == Billing::None {
            return 0;
        }
        let (ppb, rate) = (self.action_ppb(id), i128::from(self.rate_nanos(id).unwrap()));
        let needed = second * i128::from(DatedRate::PAR) * i128::from(PPB) / (rate * ppb);
        let reserve = self.floor(id, slot) * i128::from(PPB) / ppb;
        let price = needed.max(reserve).min(i128::from(self.bid(id)));
        i64::try_from(price).unwrap()
    }

    pub fn able(&self, id: AdSetId, slot: usize, fills: &[Option<Fill>]) -> bool {
        let spec = &self.catalogue.ad_sets[&id].spec;
        let house = spec.tier == Tier::House;
        let paced = || {
            let slot = if self.roadblock(id) { 0 } else { slot };
            let drawn = below(self.draw(Purpose::Pace, slot, id.0), u64::from(PPM));
            house || drawn < u64::from(self.row(id).pass_ppm)
        };
        let value = i128::from(self.bid(id)) * self.action_ppb(id) / i128::from(PPB);
        // Where only the paced value is below the floor, it bids the floor in that share of requests.
        let at_floor = || {
            let (counts, floor) = (self.paced(id, value), self.floor(id, slot));
            let drawn = i128::from(below(self.draw(Purpose::Reserve, slot, id.0), u64::from(PPM)));
            spec.tier != Tier::Auction || counts >= floor || drawn < counts * i128::from(PPM) / floor
        };
        self.standing(id)
            && self.rate_nanos(id).is_some()
            && self.timely(id)
            && self.targeted(id, slot)
            && self.welcome(id, slot)
            && (house || !self.refused.contains(&id))
            && paced()
            && (self.billing(id) == Billing::None || (value >= self.floor(id, slot) && at_floor()))
            && self.uncapped(id, None, fills)
            && (house || self.separate(id, fills))
            && !self.versions(id, slot, fills).is_empty()
    }
    pub fn standing(&self, id: AdSetId) -> bool {
        let kept = &self.catalogue.ad_sets[&id];
        let campaign = &self.catalogue.campaigns[&kept.spec.campaign];
        let house = kept.spec.tier == Tier::House;
        kept.status == Status::Active
            && campaign.status == Status::Active
            && self.catalogue.advertisers[&campaign.spec.advertiser].status == Status::Active
            && (house || !self.catalogue.is_stopped(Stop::AllPaid))
            && !self.catalogue.is_stopped(Stop::Sponsor(campaign.spec.sponsor))
            && [campaign.spec.sponsor, campaign.spec.payer].iter().all(|party| self.known(*party))
            && !self.blocked_everywhere(id)
            && !(self.political(id) && self.names_forbidden(id))
    }
    /// A sponsor or payer that is active and not erased.
    fn known(&self, party: PartyId) -> bool {
        let kept = &self.catalogue.parties[&party];
        kept.status == Status::Active && !self.catalogue.erased.contains(&kept.spec.identity.key)
    }
    fn blocked_everywhere(&self, id: AdSetId) -> bool {
        let blocked = &self.catalogue.publisher.as_ref().unwrap().spec.blocked_categories;
        self.account(id).categories.iter().any(|category| blocked.contains(category))
    }
    /// A clause that a political ad may not have now (law P1).
    fn names_forbidden(&self, id: AdSetId) -> bool {
        let publisher = &self.catalogue.publisher.as_ref().unwrap().spec;
        let clauses = &self.catalogue.ad_sets[&id].spec.targeting.clauses;
        clauses.iter().any(|clause| match &clause.dimension {
            Dimension::Country | Dimension::Region => !publisher.political_location,
            Dimension::Key(key) => !publisher.page_keys.contains(key),
            Dimension::City | Dimension::AgeBand => true,
            Dimension::Os | Dimension::Browser | Dimension::Segment => true,
            _ => false,
        })
    }
    fn timely(&self, id: AdSetId) -> bool {
        let spec = &self.catalogue.ad_sets[&id].spec;
        let campaign = &self.catalogue.campaigns[&spec.campaign].spec;
        spec.flight_in(campaign).contains(self.request.at) && campaign.flight.contains(self.request.at)
    }
    /// Something of it is approved and may be shown.
    pub fn has_ads(&self, id: AdSetId) -> bool {
        self.catalogue.ads_of.get(&id).into_iter().flatten().any(|ad| {
            let state = &self.catalogue.ads[ad];
            let shown = |v: &VersionId| {
                let version = self.catalogue.versions.get(v).unwrap();
                version.approved.is_some() && version.kept.status == Status::Active
            };
            state.approved.is_some()
                && state.kept.status == Status::Active
                && !self.catalogue.is_stopped(Stop::Ad(*ad))
                && self.catalogue.versions_of(*ad).iter().any(shown)
        })
    }
    pub fn roadblock(&self, id: AdSetId) -> bool {
        self.catalogue.campaigns[&self.catalogue.ad_sets[&id].spec.campaign].spec.roadblock
    }
    pub fn political(&self, id: AdSetId) -> bool {
        self.catalogue.campaigns[&self.catalogue.ad_sets[&id].spec.campaign].spec.political.is_some()
    }
    pub fn targeted(&self, id: AdSetId, slot: usize) -> bool {
        let zone = &self.account(id).zone;
        let clauses = &self.catalogue.ad_sets[&id].spec.targeting.clauses;
        clauses.iter().all(|clause| self.listed(clause, zone, slot) == (clause.op == Op::In))
    }
    fn listed(&self, clause: &Clause, zone: &Zone, slot: usize) -> bool {
        let request = self.request;
        let publisher = &self.catalogue.publisher.as_ref().unwrap().spec;
        // What a political ad may read (law P1), in the pass that decides about them.
        let hidden = match &clause.dimension {
            Dimension::Country | Dimension::Region => !publisher.political_location,
            Dimension::City
            | Dimension::AgeBand
            | Dimension::Os
            | Dimension::Browser
            | Dimension::Segment => true,
            Dimension::Key(key) => !publisher.page_keys.contains(key),
            _ => false,
        };
        if self.contextual && hidden {
            return false;
        }
        let has = |value: &str| clause.values.iter().any(|listed| listed == value);
        match &clause.dimension {
            Dimension::Country => {
                request.location.country.is_some_and(|c| has(std::str::from_utf8(&c).unwrap()))
            }
            Dimension::Region => request.location.region.as_deref().is_some_and(has),
            Dimension::City => request.location.city.as_deref().is_some_and(has),
            Dimension::Language => {
                let of_site = self.catalogue.sites[&request.site].spec.language.as_deref();
                request.page.language.as_deref().or(of_site).is_some_and(has)
            }
            Dimension::Device => has(request.device.word()),
            Dimension::AgeBand => {
                let consented = request.consents.iter().any(|c| c == "age_band");
                consented && request.age_band.as_deref().is_some_and(has)
            }
            Dimension::Os => request.machine.os.as_deref().is_some_and(has),
            Dimension::Browser => request.machine.browser.as_deref().is_some_and(has),
            Dimension::HourOfWeek => {
                let zone = clause.zone.as_ref().unwrap_or(zone);
                clause.hours()[usize::from(zone.hour_of_week(request.at).0)]
            }
            Dimension::Site => has(&request.site.to_string()),
            Dimension::Placement => has(&request.placements[slot].to_string()),
            Dimension::PageUrl => clause.values.iter().any(|p| glob_matches(p, &request.page.url)),
            Dimension::Keyword => request.page.keywords.iter().any(|k| has(k)),
            Dimension::Topic => request.page.topics.iter().any(|t| has(t)),
            Dimension::Segment => request.segments.iter().any(|segment| {
                let kept = self.catalogue.segments.get(segment).filter(|s| s.status == Status::Active);
                let needed = kept.map(|s| &s.spec.consent);
                let proven = |c: &Option<String>| c.as_ref().is_none_or(|c| request.consents.contains(c));
                needed.is_some_and(proven) && has(&segment.to_string())
            }),
            Dimension::Key(key) => request.page.key_values.iter().any(|(k, v)| k == key && has(v)),
        }
    }
    fn welcome(&self, id: AdSetId, slot: usize) -> bool {
        let placement = &self.catalogue.placements[&self.request.placements[slot]].spec;
        let categories = &self.account(id).categories;
        (placement.political || !self.political(id))
            && !placement.blocked_advertisers.contains(&self.advertiser(id))
            && !categories.iter().any(|c| placement.blocked_categories.contains(c))
    }
    fn separate(&self, id: AdSetId, fills: &[Option<Fill>]) -> bool {
        let campaign = self.catalogue.ad_sets[&id].spec.campaign;
        let companion = |fill: &&Fill| self.roadblock(id) && fill.campaign == campaign;
        let others = fills.iter().flatten().filter(|fill| fill.tier != TierKind::House);
        others.filter(|fill| !companion(fill)).all(|fill| {
            let theirs = &self.catalogue.advertisers[&fill.advertiser].spec.categories;
            fill.advertiser != self.advertiser(id)
                && !self.account(id).categories.iter().any(|c| theirs.contains(c))
        })
    }
    /// Caps of the ad set and campaign, or with an ad the caps of that ad.
    fn uncapped(&self, id: AdSetId, ad: Option<AdId>, fills: &[Option<Fill>]) -> bool {
        let spec = &self.catalogue.ad_sets[&id].spec;
        spec.caps.iter().all(|cap| {
            let (what, here) = match (cap.scope, ad) {
                (CapScope::Ad, Some(ad)) => {
                    (Counted::Ad(ad), fills.iter().flatten().filter(|f| f.ad == ad).count())
                }
                (CapScope::AdSet, None) => {
                    (Counted::AdSet(id), fills.iter().flatten().filter(|f| f.ad_set == id).count())
                }
                (CapScope::Campaign, None) => (
                    Counted::Campaign(spec.campaign),
                    fills.iter().flatten().filter(|f| f.campaign == spec.campaign).count(),
                ),
                _ => return true,
            };
            let view = &self.request.frequency;
            let consented = self.request.consents.iter().any(|c| c == "political_frequency");
            let of_visitor = match (self.political(id), self.contextual) {
                (true, _) => view.political.as_ref().filter(|_| consented),
                (false, contextual) => view.visitor.as_ref().filter(|_| !contextual),
            };
            let before: u32 = match of_visitor.filter(|_| cap.period != CapPeriod::PageView) {
                Some(counts) => {
                    counts.iter().filter(|c| c.what == what && c.period == cap.period).map(|c| c.count).sum()
                }
                None => view.page_view.iter().filter(|c| c.what == what).map(|c| c.count).sum(),
            };
            before + (here as u32) < cap.impressions_count
        })
    }
    fn versions(&self, id: AdSetId, slot: usize, fills: &[Option<Fill>]) -> Vec<Version> {
        let placement = &self.catalogue.placements[&self.request.placements[slot]].spec;
        let mut found = Vec::new();
        for ad in self.catalogue.ads_of.get(&id).into_iter().flatten() {
            let state = &self.catalogue.ads[ad];
            let Some(approved) = &state.approved else { continue };
            let used = fills.iter().flatten().any(|fill| fill.ad == *ad);
            let blocked =
                placement.blocked_domains.iter().any(|d| approved.landing_url.contains(&format!(".{d}/")));
            let stopped = self.catalogue.is_stopped(Stop::Ad(*ad));
            let active = state.kept.status == Status::Active;
            if used || blocked || stopped || !active || !self.uncapped(id, Some(*ad), fills) {
                continue;
            }
            for version in self.catalogue.versions_of(*ad) {
                let state = self.catalogue.versions.get(version).unwrap();
                let Some((creative, shape)) = state.approved else { continue };
                let (fits, key) = match (&placement.format, shape) {
                    (Format::Banner { sizes }, Shape::Banner(s)) => {
                        (sizes.contains(&s), (0, s.width, s.height))
                    }
                    (Format::Native, Shape::Native) => (true, (1, 0, 0)),
                    (Format::Text, Shape::Text) => (true, (2, 0, 0)),
                    _ => (false, (3, 0, 0)),
                };
                if fits && state.kept.status == Status::Active && state.kept.spec.weight > 0 {
                    let weight = u64::from(state.kept.spec.weight);
                    found.push(Version { ad: *ad, key, id: *version, creative, shape, weight });
                }
            }
        }
        found.sort_by_key(|v| (v.ad, v.key, v.id));
        found
    }
    pub fn fill(
        &self,
        id: AdSetId,
        slot: usize,
        fills: &[Option<Fill>],
        price_nanos: i64,
        weight_ppm: u32,
    ) -> Option<Fill> {
        let versions = self.versions(id, slot, fills);
        let sum: u64 = versions.iter().map(|v| v.weight).sum();
        let mut drawn = below(self.draw(Purpose::Version, slot, id.0), sum);
        let version = versions.iter().find(|version| {
            let hit = drawn < version.weight;
            drawn = drawn.saturating_sub(version.weight);
            hit
        })?;
        let spec = &self.catalogue.ad_sets[&id].spec;
        let mut ppb = self.action_ppb(id);
        if matches!(self.billing(id), Billing::Click | Billing::Conversion) {
            ppb = (ppb * i128::from(weight_ppm) / i128::from(PPM)).max(1);
        }
        let hold = match self.billing(id) {
            Billing::None => 0,
            _ => (i128::from(price_nanos) * ppb + i128::from(PPB) - 1) / i128::from(PPB),
        };
        Some(Fill {
            placement: PlacementId(self.request.placements[slot].0),
            site: self.request.site,
            advertiser: self.advertiser(id),
            campaign: spec.campaign,
            ad_set: id,
            ad: version.ad,
            version: version.id,
            tier: spec.tier.kind(),
            billing: self.billing(id),
            price_nanos,
            currency: self.account(id).currency,
            rate_nanos: self.rate_nanos(id).unwrap(),
            propensity: version.weight as f64 / sum as f64,
            predicted_rate: (ppb as f64 / f64::from(PPB)) as f32,
            creative: version.creative,
            shape: version.shape,
            political: self.political(id),
            hold_nanos: i64::try_from(hold).unwrap(),
        })
    }
}
