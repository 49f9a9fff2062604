//! Forecasts from what the ledger counted and what is booked: what a targeting will meet, who competes for it, and
//! which promises cannot be kept.
//!
//! Reads counts by placement, hour, country and device; no visitor's data. Refuses to book: it advises.

use super::{Platform, lock};
use regie_decide::{
    forecast::{self, Asked as Wanted, Available, Booked, Cell, Claim, Demand, Observed, Promise, Traffic},
    rates::{Counts, PPB, PRIOR_CLICK_PPB, PRIOR_CONVERSION_PPB, predict_ppb},
};
use regie_ledger::{Counts as Counted, Ledger};
use regie_model::{
    AdSetId, CampaignId, PlacementId, UtcMs, Zone,
    booking::{AdSetSpec, Bid, CampaignSpec, Flight, Status, Tier, TierKind},
    catalogue::Catalogue,
    event::Asked,
    targeting::{Clause, Targeting},
    time::DAY_MS,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Rivals that are listed one by one.
pub const RIVALS_COUNT_MAX: usize = 50;
/// Bidders that are looked at, those of highest value first.
pub const BIDDERS_COUNT_MAX: usize = 200;
/// Days that a forecast looks ahead where the period has no end.
pub const OPEN_PERIOD_DAYS: i64 = 28;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which requests.
    pub targeting: Targeting,
    /// From when; not before now.
    pub from: UtcMs,
    /// Until when, not included.
    pub until: UtcMs,
    /// What would be promised, if anything.
    pub claim: Option<Claim>,
    /// For an ad of this campaign: its account's zone, and whether it is political.
    pub campaign: Option<CampaignId>,
    /// This ad set is being edited: what it is promised now does not count.
    pub instead_of: Option<AdSetId>,
}

/// Who else can serve the same requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rival {
    /// Which ad set.
    pub ad_set: AdSetId,
    /// Its place in the order of service.
    pub tier: TierKind,
    /// Of the requests asked for, those that it can serve too.
    pub shared_requests: f64,
    /// Share of voice, parts per million; only sponsors.
    pub share_ppm: Option<u32>,
    /// Impressions still to be delivered; only guaranteed.
    pub left_count: Option<u64>,
    /// Bid x predicted rate for a thousand impressions, micros of its currency; only in the auction.
    pub value_micros_per_mille: Option<i64>,
}

/// The rivals of one tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Competition {
    /// Which tier.
    pub tier: TierKind,
    /// Ad sets.
    pub ad_sets_count: u64,
    /// The requests asked for that at least the widest of them can serve.
    pub widest_requests: f64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// From when.
    pub from: UtcMs,
    /// Until when, not included.
    pub until: UtcMs,
    /// What the targeting will meet.
    pub available: Available,
    /// Who competes, by tier.
    pub competition: Vec<Competition>,
    /// Every bidder was looked at; otherwise the 200 of highest value.
    pub all_looked_at: bool,
    /// The widest rivals, in order of service; empty for callers who may not know others' bookings.
    pub rivals: Vec<Rival>,
    /// What was asked about, when something would be promised.
    pub promise: Option<Promise>,
    /// Other promises that cannot be kept at the traffic expected.
    pub missed: Vec<Promise>,
    /// Placements and weeks of which more is promised than will come, as far as the targeting can meet them.
    pub oversold: Vec<Booked>,
    /// The whole in one sentence.
    pub sentence: String,
}
impl Answer {
    /// More is promised of some placement than will come.
    pub fn is_oversold(&self) -> bool {
        !self.oversold.is_empty()
    }
    /// What was asked about would miss impressions.
    pub fn is_promise_missed(&self) -> bool {
        self.promise.as_ref().is_some_and(|promise| promise.missing_count > 0)
    }
}

/// Everything that an answer needs, taken out of catalogue and ledger at once so that neither waits for the answer.
pub struct Forecaster {
    question: Question,
    from: UtcMs,
    until: UtcMs,
    now: UtcMs,
    /// The publisher's zone, in which traffic repeats.
    zone: Zone,
    account_zone: Zone,
    placements: BTreeSet<PlacementId>,
    everywhere: BTreeSet<PlacementId>,
    standing: Vec<Standing>,
    all_looked_at: bool,
    observed: Observed,
}

/// An ad set that others compete with.
struct Standing {
    id: AdSetId,
    tier: Tier,
    clauses: Vec<Clause>,
    flight: Flight,
    zone: Zone,
    placements: BTreeSet<PlacementId>,
    left_count: u64,
    value_micros_per_mille: i64,
}

fn zone_of(catalogue: &Catalogue, campaign: &CampaignSpec) -> Zone {
    let account = catalogue.advertisers.get(&campaign.advertiser);
    account.map_or_else(Zone::utc, |a| a.spec.zone.clone())
}
/// Where an ad may appear: active placements of active sites that block neither it nor its advertiser.
fn placements_for(catalogue: &Catalogue, campaign: Option<&CampaignSpec>) -> BTreeSet<PlacementId> {
    let active = |status: Status| status == Status::Active;
    let advertiser = campaign.map(|c| c.advertiser);
    let account = advertiser.and_then(|id| catalogue.advertisers.get(&id));
    let blocked = |list: &[String]| {
        let mut own = account.iter().flat_map(|a| &a.spec.categories);
        own.any(|c| list.iter().any(|b| b.trim().eq_ignore_ascii_case(c.trim())))
    };
    let fits = |id: &PlacementId| {
        let Some(placement) = catalogue.placements.get(id) else { return false };
        let site = catalogue.sites.get(&placement.spec.site);
        active(placement.status)
            && site.is_some_and(|s| active(s.status))
            && (placement.spec.political || campaign.is_none_or(|c| c.political.is_none()))
            && !advertiser.is_some_and(|a| placement.spec.blocked_advertisers.contains(&a))
            && !blocked(&placement.spec.blocked_categories)
    };
    catalogue.placements.keys().copied().filter(fits).collect()
}
/// Bid x rate by the ad set's own counts, shrunk to the constant prior.
fn value_micros_per_mille(bid: &Bid, counts: &Counted) -> i64 {
    let of = |actions_count| Counts { impressions_count: counts.impressions_count, actions_count };
    let (micros, rate_ppb) = match bid {
        Bid::Cpm { micros_per_mille } => return *micros_per_mille,
        Bid::Cpc { micros_per_click } => {
            let own = of(counts.clicks_count);
            (*micros_per_click, predict_ppb(own, own, own, PRIOR_CLICK_PPB))
        }
        Bid::Cpa { micros_per_conversion, .. } => {
            let own = of(counts.conversions_count);
            (*micros_per_conversion, predict_ppb(own, own, own, PRIOR_CONVERSION_PPB))
        }
        Bid::FlatFee { .. } | Bid::Free => return 0,
    };
    let value = i128::from(micros) * 1_000 * i128::from(rate_ppb) / i128::from(PPB);
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Paid ad sets that are or will be running in a period: every promise, and the bidders of highest value.
fn standing(
    catalogue: &Catalogue,
    ledger: &Ledger,
    (now, until): (UtcMs, UtcMs),
    except: Option<AdSetId>,
) -> (Vec<Standing>, bool) {
    let mut found: Vec<(AdSetId, &AdSetSpec, &CampaignSpec, i64)> = Vec::new();
    for (id, set) in &catalogue.ad_sets {
        let Some(campaign) = catalogue.campaigns.get(&set.spec.campaign) else { continue };
        let account = catalogue.advertisers.get(&campaign.spec.advertiser);
        let active = [set.status, campaign.status].iter().all(|s| *s == Status::Active)
            && account.is_some_and(|a| a.status == Status::Active);
        let flight = set.spec.flight_in(&campaign.spec);
        let over = flight.ends_at.is_some_and(|end| end <= now);
        let bidder = set.spec.tier == Tier::Auction;
        let late = bidder && flight.starts_at >= until;
        if active && !over && !late && except != Some(*id) && set.spec.tier != Tier::House {
            let value = if bidder { value_micros_per_mille(&set.spec.bid, &ledger.counts(*id)) } else { 0 };
            found.push((*id, &set.spec, &campaign.spec, value));
        }
    }
    found.sort_by_key(|(id, set, _, value)| (set.tier.kind(), std::cmp::Reverse(*value), *id));
    let bidders_from = found.partition_point(|(_, set, ..)| set.tier.kind() < TierKind::Auction);
    let all = found.len() - bidders_from <= BIDDERS_COUNT_MAX;
    found.truncate(bidders_from + BIDDERS_COUNT_MAX);
    let mut placements: BTreeMap<CampaignId, BTreeSet<PlacementId>> = BTreeMap::new();
    let own = |(id, set, campaign, value): (AdSetId, &AdSetSpec, &CampaignSpec, i64)| {
        let places =
            placements.entry(set.campaign).or_insert_with(|| placements_for(catalogue, Some(campaign)));
        let goal = match set.tier {
            Tier::Guaranteed { impressions_count } => impressions_count,
            _ => 0,
        };
        Standing {
            id,
            tier: set.tier,
            clauses: set.targeting.clauses.clone(),
            flight: set.flight_in(campaign),
            zone: zone_of(catalogue, campaign),
            placements: places.clone(),
            left_count: goal.saturating_sub(ledger.counts(id).impressions_count),
            value_micros_per_mille: value,
        }
    };
    (found.into_iter().map(own).collect(), all)
}

impl Forecaster {
    /// Takes out what the question needs.
    pub fn gather(catalogue: &Catalogue, ledger: &Ledger, now: UtcMs, question: Question) -> Forecaster {
        let zone = catalogue.publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone());
        let campaign = question.campaign.and_then(|id| catalogue.campaigns.get(&id)).map(|c| &c.spec);
        let from = question.from.max(now);
        let until = question.until.max(from);
        let (standing, all_looked_at) = standing(catalogue, ledger, (now, until), question.instead_of);
        let (counted_from, counted_until) = ledger.cells().whole_hours(now);
        let counts = ledger.cells().rows().map(|(hour, asked)| {
            let Asked { placement, site, country, device, requests_count } = asked;
            (hour, Cell { placement, site, country, device }, requests_count)
        });
        let observed = Observed { counts: counts.collect(), from: counted_from, until: counted_until };
        Forecaster {
            account_zone: campaign.map_or_else(|| zone.clone(), |c| zone_of(catalogue, c)),
            placements: placements_for(catalogue, campaign),
            everywhere: placements_for(catalogue, None),
            question,
            from,
            until,
            now,
            zone,
            standing,
            all_looked_at,
            observed,
        }
    }

    /// Answers the question.
    pub fn answer(&self) -> Answer {
        let traffic = Traffic::learn(&self.observed, &self.zone);
        let asked = Wanted {
            clauses: &self.question.targeting.clauses,
            zone: &self.account_zone,
            placements: &self.placements,
            from: self.from,
            until: self.until,
        };
        let available = traffic.forecast(&asked);
        let rivals = self.rivals(&traffic, &asked, &available);
        let (promises, rows) = self.weigh(&traffic, &asked);
        let (own, others): (Vec<_>, Vec<_>) = promises.into_iter().partition(|p| p.ad_set.is_none());
        let met: BTreeSet<_> = available.by_placement.iter().map(|at| at.placement).collect();
        let mut answer = Answer {
            from: self.from,
            until: self.until,
            competition: competition(&rivals),
            all_looked_at: self.all_looked_at,
            rivals: rivals.into_iter().take(RIVALS_COUNT_MAX).collect(),
            promise: own.into_iter().next(),
            missed: others.into_iter().filter(|promise| promise.missing_count > 0).collect(),
            oversold: rows
                .into_iter()
                .filter(|row| row.is_oversold() && met.contains(&row.placement))
                .collect(),
            available,
            sentence: String::new(),
        };
        answer.sentence = sentence(&answer);
        answer
    }

    /// Who can serve the same requests, in order of service, the widest first.
    fn rivals(&self, traffic: &Traffic, asked: &Wanted<'_>, available: &Available) -> Vec<Rival> {
        let mut rivals = Vec::new();
        for rival in &self.standing {
            let clauses: Vec<_> = asked.clauses.iter().chain(&rival.clauses).cloned().collect();
            let shared: BTreeSet<_> = asked.placements.intersection(&rival.placements).copied().collect();
            let both = Wanted {
                clauses: &clauses,
                zone: &rival.zone,
                placements: &shared,
                from: asked.from.max(rival.flight.starts_at),
                until: rival.flight.ends_at.map_or(asked.until, |end| end.min(asked.until)),
            };
            let shared_requests = traffic.forecast(&both).requests.expected.min(available.requests.expected);
            if shared_requests <= 0.0 {
                continue;
            }
            let share_ppm = match rival.tier {
                Tier::Sponsorship { share_ppm } => Some(share_ppm),
                _ => None,
            };
            let tier = rival.tier.kind();
            rivals.push(Rival {
                ad_set: rival.id,
                tier,
                shared_requests,
                share_ppm,
                left_count: (tier == TierKind::Guaranteed).then_some(rival.left_count),
                value_micros_per_mille: (tier == TierKind::Auction).then_some(rival.value_micros_per_mille),
            });
        }
        rivals.sort_by(|a, b| {
            let wider = b.shared_requests.total_cmp(&a.shared_requests);
            a.tier.cmp(&b.tier).then(wider).then(a.ad_set.cmp(&b.ad_set))
        });
        rivals
    }

    /// Everything promised in the period, with what is asked about, against what will come.
    fn weigh(&self, traffic: &Traffic, asked: &Wanted<'_>) -> (Vec<Promise>, Vec<Booked>) {
        let mut demands: Vec<Demand<'_>> = Vec::new();
        for rival in &self.standing {
            let claim = match rival.tier {
                Tier::Sponsorship { share_ppm } => Claim::Share { ppm: share_ppm },
                Tier::Guaranteed { .. } => Claim::Goal { left_count: rival.left_count },
                _ => continue,
            };
            let asked = Wanted {
                clauses: &rival.clauses,
                zone: &rival.zone,
                placements: &rival.placements,
                from: rival.flight.starts_at.max(self.now),
                until: rival.flight.ends_at.unwrap_or(UtcMs(i64::MAX)),
            };
            demands.push(Demand { ad_set: Some(rival.id), asked, claim });
        }
        demands.extend(self.question.claim.map(|claim| Demand { ad_set: None, asked: asked.clone(), claim }));
        // Goals are weighed over their whole flights, as far as one may look ahead.
        let goals = demands.iter().filter(|demand| matches!(demand.claim, Claim::Goal { .. }));
        let last = self.now.0.saturating_add(forecast::PERIOD_DAYS_MAX * DAY_MS);
        let ends = goals.map(|demand| demand.asked.until.0).chain([asked.until.0]).max();
        let until = UtcMs(ends.unwrap_or(asked.until.0).min(last));
        let everything =
            Wanted { clauses: &[], zone: &self.zone, placements: &self.everywhere, from: self.now, until };
        let (promises, rows) = forecast::book(traffic, &everything, &demands);
        let within = |row: &Booked| row.week.starts_at < asked.until && row.week.ends_at > asked.from;
        (promises, rows.into_iter().filter(within).collect())
    }
}

impl Platform {
    /// Answers a question from what is counted and booked now. Takes tens of milliseconds: for a thread that may block.
    pub fn forecast(&self, question: Question) -> Answer {
        let catalogue = self.catalogue();
        let gathered = self.gathered(&catalogue, question);
        drop(catalogue);
        gathered.answer()
    }
    /// The same with a catalogue in which something is booked that is not booked yet.
    pub fn forecast_in(&self, catalogue: &Catalogue, question: Question) -> Answer {
        self.gathered(catalogue, question).answer()
    }
    fn gathered(&self, catalogue: &Catalogue, question: Question) -> Forecaster {
        let folds = lock(&self.folds);
        Forecaster::gather(catalogue, &folds.ledger, self.now(), question)
    }
}

impl Question {
    /// What booking this ad set would promise; `None` where nothing is promised or its period has no sense.
    pub fn of_ad_set(
        catalogue: &Catalogue,
        spec: &AdSetSpec,
        id: Option<AdSetId>,
        now: UtcMs,
    ) -> Option<Question> {
        let campaign = &catalogue.campaigns.get(&spec.campaign)?.spec;
        let flight = spec.flight_in(campaign);
        let from = flight.starts_at.max(now);
        let until = flight.ends_at.unwrap_or(UtcMs(from.0.saturating_add(OPEN_PERIOD_DAYS * DAY_MS)));
        (until > from).then(|| Question {
            targeting: spec.targeting.clone(),
            from,
            until,
            claim: claim_of(spec.tier),
            campaign: Some(spec.campaign),
            instead_of: id,
        })
    }
}
/// What a tier promises.
pub fn claim_of(tier: Tier) -> Option<Claim> {
    match tier {
        Tier::Sponsorship { share_ppm } => Some(Claim::Share { ppm: share_ppm }),
        Tier::Guaranteed { impressions_count } => Some(Claim::Goal { left_count: impressions_count }),
        Tier::Auction | Tier::House => None,
    }
}

fn competition(rivals: &[Rival]) -> Vec<Competition> {
    let mut by_tier: BTreeMap<TierKind, (u64, f64)> = BTreeMap::new();
    for rival in rivals {
        let at = by_tier.entry(rival.tier).or_default();
        *at = (at.0 + 1, at.1.max(rival.shared_requests));
    }
    let row = |(tier, (ad_sets_count, widest_requests))| Competition { tier, ad_sets_count, widest_requests };
    by_tier.into_iter().map(row).collect()
}

/// A count that says no more than is known, with its thousands apart.
pub fn rounded(count: f64) -> String {
    let whole = count.round().max(0.0) as u64;
    let unit = match whole {
        0..1_000 => 1,
        1_000..10_000 => 10,
        10_000..100_000 => 100,
        _ => 1_000,
    };
    let digits = ((whole + unit / 2) / unit * unit).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn sentence(answer: &Answer) -> String {
    let Available { requests, too_little, uncounted, .. } = &answer.available;
    let mut text = match too_little {
        Some(thin) if thin.requests_count == 0 => {
            "No whole hour of traffic was counted yet, so nothing can be said.".to_owned()
        }
        _ => format!(
            "About {} requests, between {} and {} nine times of ten.",
            rounded(requests.expected),
            rounded(requests.low),
            rounded(requests.high)
        ),
    };
    if let Some(thin) = too_little.filter(|thin| thin.requests_count > 0) {
        text += &format!(
            " Little was counted so far: {} whole hours with {} requests.",
            thin.hours_count,
            rounded(thin.requests_count as f64)
        );
    }
    if !uncounted.is_empty() {
        text +=
            &format!(" Requests are not counted by {}: this is the most it can be.", uncounted.join(", "));
    }
    if let Some(promise) = answer.promise.as_ref().filter(|promise| promise.missing_count > 0) {
        text += &format!(
            " Oversold: {} impressions would be missing at the end",
            rounded(promise.missing_count as f64)
        );
        text += match promise.missing_at_most_traffic_count {
            0 => "; a week of high traffic could still bring them.",
            _ => ", even with high traffic.",
        };
    } else if !answer.oversold.is_empty() {
        text += " Oversold: more is promised of some placements than will come.";
    }
    if !answer.missed.is_empty() && answer.is_oversold() {
        text += &format!(" {} other promises would be missed.", answer.missed.len());
    }
    text
}
