//! One tier's turn at one place: who may take part, who wins, at which price; and the version that is shown.
//!
//! Law D2: the version is drawn after the win. Refuses several places at once: that is [`crate::joint`]'s and
//! [`crate::pass`]'s.

use crate::{
    auction::{self, Bidder, Field},
    chance::{self, Purpose},
    eligibility::{Context, Open, Shown, refused},
    index::{BLOCK_BITS, Block},
    outcome::{Elimination, Fill},
    rates::PPB,
    snapshot::{AdSetFacts, Look},
    tables::{Numbers, PPM},
    versions,
};
use regie_model::{
    CampaignId,
    booking::{AuctionKind, FULL_WEIGHT_PPM, Tier, TierKind},
    ticket::Billing,
};
use std::ops::Range;

/// A roadblock campaign that could not take all places of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barred {
    pub(crate) campaign: CampaignId,
    /// Places that it could have filled.
    pub(crate) filled_count: u32,
}

/// How roadblocks stand at a place.
#[derive(Clone, Copy)]
pub(crate) struct Roadblocks<'a> {
    /// They take part here: the request's first place.
    pub(crate) here: bool,
    /// Those that cannot have all places.
    pub(crate) barred: &'a [Barred],
    /// Of how many.
    pub(crate) places_count: u32,
    /// Share of voice that was theirs at the first place, parts per million.
    pub(crate) share_ppm: u64,
}

/// One tier's turn at one place.
pub(crate) struct Turn<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) open: &'a Open<'a>,
    pub(crate) shown: &'a [Shown<'a>],
    pub(crate) tier: TierKind,
    pub(crate) exhaustive: bool,
    pub(crate) roadblocks: Roadblocks<'a>,
    /// Won before, and held out by their experiments.
    pub(crate) held: &'a [usize],
}
pub(crate) type Tell<'t> = dyn FnMut(usize, Elimination) + 't;

/// Who won a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Won {
    pub(crate) index: usize,
    /// Price of its event, nanos of its currency.
    pub(crate) price_nanos: i64,
    /// A political ad set of another advertiser had a part in the price.
    pub(crate) against_political: bool,
}

impl Turn<'_> {
    /// Calls `each` with every ad set of the tier that matches and may have money, stratum by stratum in ascending
    /// number, until `stop` says that no later block of the stratum (by its number) matters.
    pub(crate) fn scan(&self, stop: impl FnMut(usize) -> bool, each: impl FnMut(usize)) {
        self.scan_in(self.context.snapshot.tier(self.tier), self.look(), stop, each);
    }
    /// The same, the last stratum first: when the large one is looked at, all others were.
    pub(crate) fn scan_large_last(&self, stop: impl FnMut(usize) -> bool, each: impl FnMut(usize)) {
        self.scan_in(self.context.snapshot.tier(self.tier).rev(), self.look(), stop, each);
    }
    fn look(&self) -> Look {
        if self.exhaustive { Look::All } else { Look::Funded }
    }
    fn scan_in(
        &self,
        ranges: impl Iterator<Item = Range<usize>>,
        look: Look,
        mut stop: impl FnMut(usize) -> bool,
        mut each: impl FnMut(usize),
    ) {
        for range in ranges {
            for block in range.start / BLOCK_BITS..range.end.div_ceil(BLOCK_BITS) {
                if stop(block) {
                    break;
                }
                let first = block * BLOCK_BITS;
                let within = (range.start.saturating_sub(first), (range.end - first).min(BLOCK_BITS));
                self.block(block, look).only(within.0, within.1).bits().for_each(|bit| each(first + bit));
            }
        }
    }
    /// Whether one ad set matches.
    pub(crate) fn matches(&self, index: usize) -> bool {
        self.block(index / BLOCK_BITS, Look::All).has(index % BLOCK_BITS)
    }
    /// Political ads belong to the contextual pass; after it they only keep their place in the line of sponsors.
    fn block(&self, number: usize, look: Look) -> Block {
        let with_political = self.context.contextual || self.tier == TierKind::Sponsorship;
        self.open.candidates.block(number, look, with_political)
    }
    /// Where nobody won: the reasons of those that were not looked at because their budget is spent. The reason of a
    /// place without an ad is then the same as if they had been.
    pub(crate) fn tell_exhausted(&self, tell: &mut Tell<'_>) {
        if self.exhaustive || !self.open.candidates.hides_exhausted() {
            return;
        }
        let ranges = self.context.snapshot.tier(self.tier);
        self.scan_in(
            ranges,
            Look::Exhausted,
            |_| false,
            |index| {
                if !self.is_past(index) {
                    tell(index, self.refused(index).unwrap_or(Elimination::Budget));
                }
            },
        );
    }
    /// It had its chance in the contextual pass.
    fn is_past(&self, index: usize) -> bool {
        !self.context.contextual && self.context.snapshot.ad_set(index).political
    }
    pub(crate) fn refused(&self, index: usize) -> Option<Elimination> {
        self.refused_at(index, self.numbers(index))
    }
    fn refused_at(&self, index: usize, numbers: Numbers) -> Option<Elimination> {
        if self.held.contains(&index) {
            return Some(Elimination::HeldOut);
        }
        let refused = refused(self.context, self.open, self.shown, index, numbers);
        let ad_set = self.context.snapshot.ad_set(index);
        if !ad_set.roadblock {
            return refused;
        }
        let roadblocks = self.roadblocks;
        let barred = roadblocks.barred.iter().find(|barred| barred.campaign == ad_set.campaign);
        let why = || Elimination::Roadblock {
            filled_count: barred.map_or(0, |barred| barred.filled_count),
            places_count: roadblocks.places_count,
        };
        refused.or_else(|| (!roadblocks.here || barred.is_some()).then(why))
    }
    /// The numbers of an ad set at this place.
    fn numbers(&self, index: usize) -> Numbers {
        self.context.numbers_at(self.open, index)
    }
    pub(crate) fn draw(&self, purpose: Purpose, ad_set: u32) -> u64 {
        chance::bits(self.context.request.seed, purpose, self.open.here.place, ad_set)
    }
    /// Those of the tier that may take part.
    fn eligible(&self, tell: &mut Tell<'_>) -> Vec<usize> {
        let mut eligible = Vec::new();
        self.scan(
            |_| false,
            |index| match self.refused(index) {
                Some(_) if self.is_past(index) => {}
                Some(why) => tell(index, why),
                None => eligible.push(index),
            },
        );
        eligible
    }
    /// The winner of the tier.
    pub(crate) fn winner(&self, tell: &mut Tell<'_>) -> Option<Won> {
        let index = match self.tier {
            TierKind::Sponsorship => self.sponsor(tell),
            TierKind::Guaranteed => self.neediest(tell),
            TierKind::Auction => return self.auction(tell),
            TierKind::House => self.house(tell),
        }?;
        let price_nanos = self.context.snapshot.ad_set(index).bid_nanos;
        Some(Won { index, price_nanos, against_political: false })
    }
    /// Reasons of a tier that came after the place was taken, as if it had not been.
    pub(crate) fn too_late(&self, otherwise: Elimination, tell: &mut Tell<'_>) {
        self.scan(
            |_| false,
            |index| {
                if !self.is_past(index) {
                    tell(index, self.refused(index).unwrap_or(otherwise));
                }
            },
        );
    }

    /// The share of voice that a sponsor has bought, parts per million.
    pub(crate) fn share(&self, index: usize) -> u64 {
        match self.context.snapshot.ad_set(index).tier {
            Tier::Sponsorship { share_ppm } => u64::from(share_ppm),
            _ => 0,
        }
    }
    /// Share of voice: each sponsor owns its share of 0..100% (of the sum, where more was sold), political ones
    /// first so that they stand alike in both passes, then in the order of ids; the request's draw falls into
    /// one share, or into none.
    fn sponsor(&self, tell: &mut Tell<'_>) -> Option<usize> {
        let mut eligible = self.eligible(tell);
        eligible.sort_by_key(|index| {
            let ad_set = self.context.snapshot.ad_set(*index);
            (!ad_set.political, ad_set.id)
        });
        let sold: u64 = eligible.iter().map(|index| self.share(*index)).sum();
        // A request that a roadblock has taken never comes to its later places.
        let taken = if self.roadblocks.here { 0 } else { self.roadblocks.share_ppm.min(u64::from(PPM) - 1) };
        let drawn = chance::below(self.draw(Purpose::Share, 0), sold.max(u64::from(PPM) - taken));
        let mut before = 0;
        let mut winner = None;
        for index in eligible {
            let own = before..before + self.share(index);
            before = own.end;
            if self.is_past(index) {
                continue;
            }
            if own.contains(&drawn) {
                winner = Some(index);
            } else {
                let share_ppm = u32::try_from(self.share(index)).unwrap_or(u32::MAX);
                let drawn_ppm = u32::try_from(drawn).unwrap_or(u32::MAX);
                tell(index, Elimination::ShareNotDrawn { share_ppm, drawn_ppm });
            }
        }
        winner
    }
    /// The goal that is furthest behind its curve; equal ones by an even draw.
    fn neediest(&self, tell: &mut Tell<'_>) -> Option<usize> {
        let need = |index: usize| self.numbers(index).need_ppm;
        let id = |index: usize| self.context.snapshot.ad_set(index).id;
        let eligible = self.eligible(tell);
        let rank = |index: &usize| (need(*index), self.draw(Purpose::Tie, id(*index).0), id(*index));
        let winner = eligible.iter().copied().max_by_key(rank)?;
        for index in eligible.into_iter().filter(|index| *index != winner) {
            tell(index, Elimination::LessNeed { need_ppm: need(index), best_ppm: need(winner) });
        }
        Some(winner)
    }
    /// An even draw.
    fn house(&self, tell: &mut Tell<'_>) -> Option<usize> {
        let id = |index: usize| self.context.snapshot.ad_set(index).id;
        let eligible = self.eligible(tell);
        let winner = eligible.iter().copied().max_by_key(|i| (self.draw(Purpose::Tie, id(*i).0), id(*i)))?;
        eligible.into_iter().filter(|i| *i != winner).for_each(|i| tell(i, Elimination::HouseNotDrawn));
        Some(winner)
    }
    /// The highest value, at the second price or its own. Stops at the first block from which on nobody can
    /// matter, and within a block does not check those who cannot: they are outbid, whatever else may be
    /// against them.
    fn auction(&self, tell: &mut Tell<'_>) -> Option<Won> {
        let field = std::cell::Cell::new(Field::default());
        let mut lost: Vec<(usize, i64)> = Vec::new();
        self.scan(
            |block| !self.exhaustive && field.get().is_settled(self.context.aligned.bound(block)),
            |index| {
                let numbers = self.numbers(index);
                if !self.exhaustive && field.get().is_beaten(&numbers) {
                    lost.push((index, numbers.score_nanos));
                    return;
                }
                match self.refused_at(index, numbers) {
                    Some(why) => tell(index, why),
                    None => {
                        let mut so_far = field.get();
                        let loser = so_far.add(self.bidder(index, numbers.score_nanos));
                        lost.extend(loser.map(|l| (l.index, l.score_nanos)));
                        field.set(so_far);
                    }
                }
            },
        );
        let Field { best, second } = field.get();
        let best = best?;
        for (index, value_nanos) in lost {
            tell(index, Elimination::Outbid { value_nanos, best_nanos: best.score_nanos });
        }
        let ad_set = self.context.snapshot.ad_set(best.index);
        let here = self.open.here.facts;
        let numbers = self.numbers(best.index);
        let price_nanos = match here.auction {
            AuctionKind::FirstPrice => {
                auction::first_price_nanos(ad_set, numbers, here.reserve_nanos(ad_set))
            }
            // Places that are sold together come here only when they could not be.
            AuctionKind::SecondPrice | AuctionKind::Vcg => {
                let needed = second.map_or(0, |s| s.score_nanos);
                auction::price_nanos(ad_set, numbers.rate_ppb, needed, here.reserve_nanos(ad_set))
            }
        };
        let against_political = second.is_some_and(|s| self.context.snapshot.ad_set(s.index).political);
        Some(Won { index: best.index, price_nanos, against_political })
    }
    fn bidder(&self, index: usize, score_nanos: i64) -> Bidder {
        let ad_set = self.context.snapshot.ad_set(index);
        Bidder {
            index,
            ad_set: ad_set.id,
            advertiser: ad_set.advertiser,
            score_nanos,
            tie: self.draw(Purpose::Tie, ad_set.id.0),
        }
    }

    /// Draws the winner's version from the versions eligible here ([`crate::versions`], law D2), and fills the slot.
    /// `weight_ppm` is by how much rarer clicks and conversions are at this place.
    pub(crate) fn fill(&self, won: Won, weight_ppm: u32) -> Option<Fill> {
        let ad_set = self.context.snapshot.ad_set(won.index);
        let rate_ppb = weighted_rate(ad_set, self.numbers(won.index).rate_ppb, weight_ppm);
        let drawn = versions::draw(self, won.index, ad_set)?;
        Some(Fill {
            placement: self.open.here.id,
            site: self.context.request.site,
            advertiser: ad_set.advertiser,
            campaign: ad_set.campaign,
            ad_set: ad_set.id,
            ad: drawn.ad,
            version: drawn.version,
            tier: self.tier,
            billing: ad_set.billing,
            price_nanos: won.price_nanos,
            currency: ad_set.currency,
            rate_nanos: ad_set.rate_nanos,
            propensity: drawn.propensity,
            predicted_rate: (f64::from(rate_ppb) / f64::from(PPB)) as f32,
            creative: drawn.creative,
            shape: drawn.shape,
            political: ad_set.political,
            hold_nanos: auction::hold_nanos(ad_set.billing, won.price_nanos, rate_ppb),
        })
    }
}

/// The predicted rate at a place of this weight: an impression is an impression everywhere.
fn weighted_rate(ad_set: &AdSetFacts, rate_ppb: u32, weight_ppm: u32) -> u32 {
    match ad_set.billing {
        Billing::Click | Billing::Conversion if weight_ppm < FULL_WEIGHT_PPM => {
            let scaled = u64::from(rate_ppb) * u64::from(weight_ppm) / u64::from(FULL_WEIGHT_PPM);
            u32::try_from(scaled).unwrap_or(rate_ppb).max(1)
        }
        _ => rate_ppb,
    }
}
