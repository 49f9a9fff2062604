//! Whether an ad set that matched may take part at one place: the checks in their order, first reason wins.
//!
//! Law P1: the counts that cap a political ad set come from [`Contextual`], which has none of a visitor.

use crate::{
    chance::{self, Place, Purpose},
    facts::Contextual,
    gate::BudgetGate,
    outcome::Elimination,
    request::{Counted, PageViewCount, Request, VisitorCount},
    snapshot::{AdSetFacts, Arm, Candidates, Group, Here, Snapshot},
    tables::{Aligned, Numbers, PPM, paced as paced_nanos},
    versions::context_facts,
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId,
    booking::{AuctionKind, CapPeriod, CapScope, FrequencyCap, TierKind},
    ticket::Billing,
};

/// What one decision reads throughout.
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) aligned: &'a Aligned<'a>,
    pub(crate) request: &'a Request,
    pub(crate) gate: &'a dyn BudgetGate,
    /// Nothing is known of the visitor: what decides about political ads (law P1).
    pub(crate) contextual: bool,
}
impl Context<'_> {
    pub(crate) fn numbers(&self, index: usize) -> Numbers {
        self.aligned.numbers(index)
    }
    /// The numbers of an ad set at a place: where it has learned, at the rate expected of its current allocation in this context.
    /// Places sold together have slot weights in their place.
    pub(crate) fn numbers_at(&self, open: &Open<'_>, index: usize) -> Numbers {
        let numbers = self.aligned.numbers(index);
        let Some(learned) = self.aligned.learned_at(index) else { return numbers };
        let ad_set = self.snapshot.ad_set(index);
        let per_action = matches!(ad_set.billing, Billing::Click | Billing::Conversion);
        if !per_action || open.here.facts.auction == AuctionKind::Vcg {
            return numbers;
        }
        let rate_ppm = learned.rate_ppm(&context_facts(self, open, ad_set.political));
        let rate_ppb = (u64::from(numbers.rate_ppb) * rate_ppm / u64::from(PPM)).max(1) as u32;
        let score_nanos = paced_nanos(ad_set.score_nanos(rate_ppb), numbers.multiplier_ppm);
        Numbers { rate_ppb, score_nanos, ..numbers }
    }
}

/// A place that waits for an ad.
pub(crate) struct Open<'a> {
    pub(crate) here: Here<'a>,
    pub(crate) contextual: Contextual<'a>,
    pub(crate) candidates: Candidates<'a>,
}

/// An ad that this request already shows.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) slot: usize,
    pub(crate) advertiser: AdvertiserId,
    pub(crate) campaign: CampaignId,
    pub(crate) ad_set: AdSetId,
    pub(crate) ad: AdId,
    pub(crate) categories: &'a [u32],
    pub(crate) house: bool,
}

/// The counts that a cap is held against.
#[derive(Clone, Copy)]
enum Counts<'a> {
    PageView(&'a [PageViewCount]),
    Visitor(&'a [VisitorCount]),
}
/// Of a political ad set: a visitor's only with the consent for exactly that (law P1).
fn political_counts<'a>(view: &Contextual<'a>, period: CapPeriod) -> Counts<'a> {
    match view.consented() {
        Some(consented) if period != CapPeriod::PageView => Counts::Visitor(consented.counts()),
        _ => Counts::PageView(view.page_view()),
    }
}
/// Of any other: the visitor's where a consented token gave them, otherwise by page view.
fn ordinary_counts(request: &Request, period: CapPeriod) -> Counts<'_> {
    match (&request.frequency.visitor, period) {
        (Some(visitor), period) if period != CapPeriod::PageView => Counts::Visitor(visitor),
        _ => Counts::PageView(&request.frequency.page_view),
    }
}
impl Counts<'_> {
    fn of(self, what: Counted, period: CapPeriod) -> u32 {
        match self {
            Counts::PageView(counts) => {
                counts.iter().filter(|c| c.what == what).map(|c| c.count).fold(0, u32::saturating_add)
            }
            Counts::Visitor(counts) => counts
                .iter()
                .filter(|c| c.what == what && c.period == period)
                .map(|c| c.count)
                .fold(0, u32::saturating_add),
        }
    }
}

/// The elimination by one cap, counting what this request shows already.
fn capped(
    context: &Context<'_>,
    open: &Open<'_>,
    shown: &[Shown<'_>],
    ad_set: &AdSetFacts,
    cap: &FrequencyCap,
    ad: AdId,
) -> Option<Elimination> {
    let counts = match (ad_set.political, context.contextual) {
        (true, _) => political_counts(&open.contextual, cap.period),
        // Beside political ads nothing is known of the visitor.
        (false, true) => Counts::PageView(open.contextual.page_view()),
        (false, false) => ordinary_counts(context.request, cap.period),
    };
    let (what, here) = match cap.scope {
        CapScope::Campaign => {
            let here = shown.iter().filter(|s| s.campaign == ad_set.campaign).count();
            (Counted::Campaign(ad_set.campaign), here)
        }
        CapScope::AdSet => {
            (Counted::AdSet(ad_set.id), shown.iter().filter(|s| s.ad_set == ad_set.id).count())
        }
        CapScope::Ad => (Counted::Ad(ad), shown.iter().filter(|s| s.ad == ad).count()),
    };
    let shown_count = counts.of(what, cap.period).saturating_add(here as u32);
    (shown_count >= cap.impressions_count).then_some(Elimination::Frequency {
        scope: cap.scope,
        period: cap.period,
        shown_count,
        cap_count: cap.impressions_count,
    })
}

/// Why none of the versions of a group may be shown here; `None` when one may.
pub(crate) fn group_refused(
    context: &Context<'_>,
    open: &Open<'_>,
    shown: &[Shown<'_>],
    ad_set: &AdSetFacts,
    group: &Group,
) -> Option<Elimination> {
    if !open.here.facts.fits(group) {
        return Some(Elimination::Format);
    }
    if open.here.facts.blocks_host(group) {
        return Some(Elimination::BlockedDomain);
    }
    let by_ad = ad_set.caps.iter().filter(|cap| cap.scope == CapScope::Ad);
    let capped = by_ad.filter_map(|cap| capped(context, open, shown, ad_set, cap, group.ad)).next();
    capped.or_else(|| shown.iter().any(|s| s.ad == group.ad).then_some(Elimination::SameAd))
}

/// What of an ad set may be drawn here: all, or what its experiment's arm shows.
pub(crate) fn groups_here<'a>(context: &Context<'_>, open: &Open<'_>, ad_set: &'a AdSetFacts) -> &'a [Group] {
    arm(context, open, ad_set).and_then(|arm| arm.groups.as_deref()).unwrap_or(&ad_set.groups)
}
/// The arm that this request is in.
fn arm<'a>(context: &Context<'_>, open: &Open<'_>, ad_set: &'a AdSetFacts) -> Option<&'a Arm> {
    let located = !ad_set.political || context.snapshot.political_location();
    ad_set.experiment.as_ref().map(|e| e.arm(context.request, open.here.id, located))
}
/// Whether the request is in the holdout of the ad set's experiment. Places that are sold together and roadblocks are no
/// part of a holdout: there, who would have had the place instead is not one ad set.
pub(crate) fn held_out(context: &Context<'_>, open: &Open<'_>, ad_set: &AdSetFacts) -> bool {
    let alone = open.here.facts.auction != AuctionKind::Vcg && !ad_set.roadblock;
    alone && arm(context, open, ad_set).is_some_and(|arm| arm.holdout)
}

/// The group that came furthest decides; `None` when one of them may be shown.
fn groups_refused(
    context: &Context<'_>,
    open: &Open<'_>,
    shown: &[Shown<'_>],
    ad_set: &AdSetFacts,
) -> Option<Elimination> {
    let mut furthest: Option<Elimination> = None;
    for group in groups_here(context, open, ad_set) {
        // `None`: this group may be shown, so nothing refuses the ad set.
        let why = group_refused(context, open, shown, ad_set, group)?;
        if furthest.is_none_or(|f| f.stage() < why.stage()) {
            furthest = Some(why);
        }
    }
    furthest.or(Some(Elimination::NoAds))
}

fn timing(context: &Context<'_>, ad_set: &AdSetFacts) -> Option<Elimination> {
    let at = context.request.at;
    if at < ad_set.starts_at {
        return Some(Elimination::NotBegun { starts_at: ad_set.starts_at });
    }
    if let Some(ended_at) = ad_set.ends_at.filter(|end| *end <= at) {
        return Some(Elimination::Ended { ended_at });
    }
    let silent = ad_set.silences.iter().find(|(from, until)| *from <= at && at < *until);
    silent.map(|(_, until)| Elimination::BeforeVote { until: *until })
}

fn placement(open: &Open<'_>, ad_set: &AdSetFacts) -> Option<Elimination> {
    let here = open.here.facts;
    if ad_set.political && !here.political {
        return Some(Elimination::PoliticalPlacement);
    }
    if here.blocked_advertisers.binary_search(&ad_set.advertiser).is_ok() {
        return Some(Elimination::BlockedAdvertiser);
    }
    let blocked = ad_set.categories.iter().any(|c| here.blocked_categories.binary_search(c).is_ok());
    blocked.then_some(Elimination::BlockedCategory)
}

fn paced(context: &Context<'_>, open: &Open<'_>, ad_set: &AdSetFacts, pass_ppm: u32) -> Option<Elimination> {
    if pass_ppm >= PPM {
        return None;
    }
    let mut place = open.here.place;
    if let Some(first) = context.request.placements.first().filter(|_| ad_set.roadblock) {
        // All places or none: one draw for the request.
        place = Place { placement: first.0, occurrence: 0 };
    }
    let bits = chance::bits(context.request.seed, Purpose::Pace, place, ad_set.id.0);
    let drawn_ppm = chance::below(bits, u64::from(PPM)) as u32;
    (drawn_ppm >= pass_ppm).then_some(Elimination::Paced { pass_ppm, drawn_ppm })
}

fn separated(shown: &[Shown<'_>], ad_set: &AdSetFacts) -> Option<Elimination> {
    // A roadblock's ads stand together.
    let companion = |s: &Shown<'_>| ad_set.roadblock && s.campaign == ad_set.campaign;
    for other in shown.iter().filter(|s| !s.house && !companion(s)) {
        if other.advertiser == ad_set.advertiser {
            return Some(Elimination::SameAdvertiser);
        }
        if other.categories.iter().any(|c| ad_set.categories.binary_search(c).is_ok()) {
            return Some(Elimination::SameCategory);
        }
    }
    None
}

/// Every check of an ad set that can deliver and matched, in order; `None` when it may take part.
/// House ads have no budget, no pacing, and do not compete with one another. `numbers` are the ad set's here.
pub(crate) fn refused(
    context: &Context<'_>,
    open: &Open<'_>,
    shown: &[Shown<'_>],
    index: usize,
    numbers: Numbers,
) -> Option<Elimination> {
    let ad_set = context.snapshot.ad_set(index);
    let house = ad_set.tier.kind() == TierKind::House;
    if let Some(why) = timing(context, ad_set).or_else(|| placement(open, ad_set)) {
        return Some(why);
    }
    let groups = groups_refused(context, open, shown, ad_set);
    if let Some(why) = groups.filter(|why| matches!(why, Elimination::Format | Elimination::BlockedDomain)) {
        return Some(why);
    }
    if !house {
        if context.gate.house_only() {
            return Some(Elimination::HouseOnly);
        }
        if context.gate.refuses(ad_set.id) {
            return Some(Elimination::Budget);
        }
        if let Some(why) = paced(context, open, ad_set, numbers.pass_ppm) {
            return Some(why);
        }
    }
    let wider = ad_set.caps.iter().filter(|cap| cap.scope != CapScope::Ad);
    let over = wider.filter_map(|cap| capped(context, open, shown, ad_set, cap, AdId(0))).next();
    let frequency = over.or(groups.filter(|why| matches!(why, Elimination::Frequency { .. })));
    let separation = || if house { None } else { separated(shown, ad_set) };
    frequency.or_else(separation).or(groups).or_else(|| {
        let floor_nanos = open.here.facts.reserve_nanos(ad_set);
        let value_nanos = ad_set.value_nanos(numbers.rate_ppb)?;
        if value_nanos < floor_nanos {
            return Some(Elimination::Floor { value_nanos, floor_nanos });
        }
        at_floor(context, open, ad_set, paced_nanos(value_nanos, numbers.multiplier_ppm), floor_nanos)
    })
}

/// Where only the paced value is below the floor, the ad set is left out of the share of requests that it is short
/// of, and bids the floor in the others. A reserve is a rival that always ties, and a tie of a pacing equilibrium is
/// won in part (Conitzer et al. 2022, section 2); without this, a budget whose only rival is the floor would spend
/// everything or nothing.
fn at_floor(
    context: &Context<'_>,
    open: &Open<'_>,
    ad_set: &AdSetFacts,
    counts_nanos: i64,
    floor_nanos: i64,
) -> Option<Elimination> {
    if counts_nanos >= floor_nanos || ad_set.tier.kind() != TierKind::Auction {
        return None;
    }
    let pass_ppm = (i128::from(counts_nanos) * i128::from(PPM) / i128::from(floor_nanos)) as u32;
    let bits = chance::bits(context.request.seed, Purpose::Reserve, open.here.place, ad_set.id.0);
    let drawn_ppm = chance::below(bits, u64::from(PPM)) as u32;
    (drawn_ppm >= pass_ppm).then_some(Elimination::Paced { pass_ppm, drawn_ppm })
}
