//! One request in, one decision out: tiers in order of service, places in page order within each tier.
//!
//! Law D1: no clock, no state, no order of a hash map; every chance is [`chance`]'s. Law D2: the version is
//! drawn for winners only, after the win. Refuses to fail: a place without an ad has a reason.

use crate::{
    auction::{self, Bidder, Field},
    chance::{self, Place, Purpose},
    eligibility::{Context, Open, Shown, group_refused, refused},
    facts::{Contextual, Everything},
    gate::BudgetGate,
    index::BLOCK_BITS,
    outcome::{Decision, Elimination, Fill, NoFill, Slot, Stage},
    rates::PPB,
    request::Request,
    snapshot::{AdSetFacts, Here, Look, Snapshot},
    tables::{PPM, Tables},
};
use regie_model::{
    AdSetId, PlacementId,
    booking::{Tier, TierKind},
    limits::REQUEST_PLACEMENTS_COUNT_MAX,
};

const TIERS: [TierKind; 4] =
    [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House];

/// Decides one request.
///
/// `sink` gets each ad set that can deliver ([`Snapshot::standing`] has nothing against it), matched by
/// targeting and was then eliminated, once for each place. In the auction, one whose value can neither win nor
/// set the price is reported as outbid without further checks, and those that a proven bound keeps from both
/// are not looked at and not reported.
///
/// Never panics and never fails, whatever the request: a place without an ad has its reason.
pub fn decide(
    snapshot: &Snapshot,
    tables: &Tables,
    request: &Request,
    gate: &dyn BudgetGate,
    sink: &mut dyn FnMut(AdSetId, Elimination),
) -> Decision {
    let mut report = |_: usize, index: usize, why: Elimination| sink(snapshot.ad_set(index).id, why);
    run(snapshot, tables, request, gate, false, &mut report)
}

/// What a run reports: (slot, number of the ad set, reason).
pub(crate) type Report<'r> = dyn FnMut(usize, usize, Elimination) + 'r;

/// The place of a request's slot, or why there is none.
pub(crate) fn resolve<'a>(
    snapshot: &'a Snapshot,
    request: &Request,
    slot: usize,
) -> Result<Here<'a>, NoFill> {
    if !snapshot.is_set_up() {
        return Err(NoFill::NotSetUp);
    }
    let id = match request.placements.get(slot) {
        Some(id) if slot < REQUEST_PLACEMENTS_COUNT_MAX => *id,
        _ => return Err(NoFill::TooManyPlacements),
    };
    let facts = snapshot.placement(id).ok_or(NoFill::UnknownPlacement)?;
    if facts.site != request.site {
        return Err(NoFill::OtherSite);
    }
    if !snapshot.site_active(facts.site) {
        return Err(NoFill::SiteNotActive);
    }
    if !facts.active {
        return Err(NoFill::PlacementNotActive);
    }
    let occurrence = request.placements[..slot].iter().filter(|p| **p == id).count() as u32;
    Ok(Here { id, facts, place: Place { placement: id.0, occurrence } })
}

/// One slot on its way.
struct Working<'a> {
    placement: PlacementId,
    open: Result<Open<'a>, NoFill>,
    fill: Option<Fill>,
    furthest: Option<Stage>,
}

/// The decision. `exhaustive` looks at every ad set of every tier, for its reason; the answer is the same.
pub(crate) fn run(
    snapshot: &Snapshot,
    tables: &Tables,
    request: &Request,
    gate: &dyn BudgetGate,
    exhaustive: bool,
    report: &mut Report<'_>,
) -> Decision {
    let aligned = tables.for_snapshot(snapshot);
    let context = Context { snapshot, aligned: &aligned, request, gate };
    let mut slots: Vec<Working<'_>> = (0..request.placements.len())
        .map(|slot| {
            let open = resolve(snapshot, request, slot).map(|here| {
                let contextual = Contextual::of(snapshot, request, here.id);
                let everything = Everything::of(snapshot, request, here.id);
                let candidates = snapshot.candidates(&everything, &contextual);
                Open { here, contextual, candidates }
            });
            Working { placement: request.placements[slot], open, fill: None, furthest: None }
        })
        .collect();
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for tier in TIERS {
        if snapshot.tier(tier).next().is_none() {
            continue;
        }
        for (slot, working) in slots.iter_mut().enumerate() {
            let Ok(open) = &working.open else { continue };
            let mut tell = |index: usize, why: Elimination| {
                working.furthest = working.furthest.max(Some(why.stage()));
                report(slot, index, why);
            };
            if let Some(fill) = &working.fill {
                if exhaustive {
                    let others: Vec<Shown<'_>> = shown.iter().copied().filter(|s| s.slot != slot).collect();
                    let turn = Turn { context: &context, open, shown: &others, tier, exhaustive };
                    turn.too_late(fill.tier, &mut tell);
                }
                continue;
            }
            let turn = Turn { context: &context, open, shown: &shown, tier, exhaustive };
            let Some((index, price_nanos)) = turn.winner(&mut tell) else {
                turn.tell_exhausted(&mut tell);
                continue;
            };
            let ad_set = snapshot.ad_set(index);
            working.fill = turn.fill(index, price_nanos);
            if let Some(fill) = &working.fill {
                shown.push(shown_as(slot, ad_set, fill));
            }
        }
    }
    let slots = slots.into_iter().map(|working| match (working.fill, working.open) {
        (Some(fill), _) => Slot::Fill(fill),
        (None, Err(reason)) => Slot::NoFill { placement: working.placement, reason },
        (None, Ok(_)) => {
            let reason = working.furthest.map_or(NoFill::NothingMatches, NoFill::Eliminated);
            Slot::NoFill { placement: working.placement, reason }
        }
    });
    Decision { slots: slots.collect() }
}

fn shown_as<'a>(slot: usize, ad_set: &'a AdSetFacts, fill: &Fill) -> Shown<'a> {
    Shown {
        slot,
        advertiser: ad_set.advertiser,
        campaign: ad_set.campaign,
        ad_set: ad_set.id,
        ad: fill.ad,
        categories: &ad_set.categories,
        house: fill.tier == TierKind::House,
    }
}

/// One tier's turn at one place.
struct Turn<'a> {
    context: &'a Context<'a>,
    open: &'a Open<'a>,
    shown: &'a [Shown<'a>],
    tier: TierKind,
    exhaustive: bool,
}
type Tell<'t> = dyn FnMut(usize, Elimination) + 't;

impl Turn<'_> {
    /// Calls `each` with every ad set of the tier that matches and may have money, segment by segment in ascending
    /// number, until `stop` says that no later block of the segment (by its number) matters.
    fn scan(&self, stop: impl FnMut(usize) -> bool, each: impl FnMut(usize)) {
        let look = if self.exhaustive { Look::All } else { Look::Funded };
        self.scan_for(look, stop, each);
    }
    fn scan_for(&self, look: Look, mut stop: impl FnMut(usize) -> bool, mut each: impl FnMut(usize)) {
        for range in self.context.snapshot.tier(self.tier) {
            for block in range.start / BLOCK_BITS..range.end.div_ceil(BLOCK_BITS) {
                if stop(block) {
                    break;
                }
                let first = block * BLOCK_BITS;
                let within = (range.start.saturating_sub(first), (range.end - first).min(BLOCK_BITS));
                let bits = self.open.candidates.block(block, look).only(within.0, within.1);
                bits.bits().for_each(|bit| each(first + bit));
            }
        }
    }
    /// Where nobody won: the reasons of those that were not looked at because their budget is spent. The reason of a
    /// place without an ad is then the same as if they had been.
    fn tell_exhausted(&self, tell: &mut Tell<'_>) {
        if !self.exhaustive && self.open.candidates.hides_exhausted() {
            let why = |index| self.refused(index).unwrap_or(Elimination::Budget);
            self.scan_for(Look::Exhausted, |_| false, |index| tell(index, why(index)));
        }
    }
    fn refused(&self, index: usize) -> Option<Elimination> {
        refused(self.context, self.open, self.shown, index)
    }
    fn draw(&self, purpose: Purpose, ad_set: u32) -> u64 {
        chance::bits(self.context.request.seed, purpose, self.open.here.place, ad_set)
    }
    /// Those of the tier that may take part.
    fn eligible(&self, tell: &mut Tell<'_>) -> Vec<usize> {
        let mut eligible = Vec::new();
        self.scan(
            |_| false,
            |index| match self.refused(index) {
                Some(why) => tell(index, why),
                None => eligible.push(index),
            },
        );
        eligible
    }
    /// The winner of the tier and the price of its event, nanos of its currency.
    fn winner(&self, tell: &mut Tell<'_>) -> Option<(usize, i64)> {
        let winner = match self.tier {
            TierKind::Sponsorship => self.sponsor(tell),
            TierKind::Guaranteed => self.neediest(tell),
            TierKind::Auction => return self.auction(tell),
            TierKind::House => self.house(tell),
        }?;
        Some((winner, self.context.snapshot.ad_set(winner).bid_nanos))
    }
    /// Reasons of a tier that came after the place was taken, as if it had not been.
    fn too_late(&self, tier: TierKind, tell: &mut Tell<'_>) {
        self.scan(
            |_| false,
            |index| {
                tell(index, self.refused(index).unwrap_or(Elimination::EarlierTier { tier }));
            },
        );
    }

    /// Share of voice: each sponsor owns its share of 0..100% (of the sum, where more was sold), in the order
    /// of ids; the request's draw falls into one share, or into none.
    fn sponsor(&self, tell: &mut Tell<'_>) -> Option<usize> {
        let share = |index: usize| match self.context.snapshot.ad_set(index).tier {
            Tier::Sponsorship { share_ppm } => u64::from(share_ppm),
            _ => 0,
        };
        let mut eligible = self.eligible(tell);
        eligible.sort_by_key(|index| self.context.snapshot.ad_set(*index).id);
        let sold: u64 = eligible.iter().map(|index| share(*index)).sum();
        let drawn = chance::below(self.draw(Purpose::Share, 0), sold.max(u64::from(PPM)));
        let mut before = 0;
        let mut winner = None;
        for index in eligible {
            let own = before..before + share(index);
            before = own.end;
            if own.contains(&drawn) {
                winner = Some(index);
            } else {
                let share_ppm = u32::try_from(share(index)).unwrap_or(u32::MAX);
                let drawn_ppm = u32::try_from(drawn).unwrap_or(u32::MAX);
                tell(index, Elimination::ShareNotDrawn { share_ppm, drawn_ppm });
            }
        }
        winner
    }
    /// The goal that is furthest behind its curve; equal ones by an even draw.
    fn neediest(&self, tell: &mut Tell<'_>) -> Option<usize> {
        let need = |index: usize| self.context.numbers(index).need_ppm;
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
    /// Second price with reserve. Stops at the first block from which on nobody can matter, and within a block
    /// does not check those who cannot: they are outbid, whatever else may be against them.
    fn auction(&self, tell: &mut Tell<'_>) -> Option<(usize, i64)> {
        let field = std::cell::Cell::new(Field::default());
        let mut lost: Vec<(usize, i64)> = Vec::new();
        let settled = |bound: i64| !self.exhaustive && field.get().is_settled(bound);
        self.scan(
            |block| settled(self.context.aligned.bound(block)),
            |index| {
                let score_nanos = self.context.numbers(index).score_nanos;
                if settled(score_nanos) {
                    lost.push((index, score_nanos));
                    return;
                }
                match self.refused(index) {
                    Some(why) => tell(index, why),
                    None => {
                        let mut so_far = field.get();
                        let loser = so_far.add(self.bidder(index));
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
        let rate_ppb = self.context.numbers(best.index).rate_ppb;
        let needed = second.map_or(0, |s| s.score_nanos);
        let reserve = self.open.here.facts.reserve_nanos(ad_set);
        Some((best.index, auction::price_nanos(ad_set, rate_ppb, needed, reserve)))
    }
    fn bidder(&self, index: usize) -> Bidder {
        let ad_set = self.context.snapshot.ad_set(index);
        Bidder {
            index,
            ad_set: ad_set.id,
            advertiser: ad_set.advertiser,
            score_nanos: self.context.numbers(index).score_nanos,
            tie: self.draw(Purpose::Tie, ad_set.id.0),
        }
    }

    /// Draws the winner's version from the versions eligible here, by weight (law D2), and fills the slot.
    fn fill(&self, index: usize, price_nanos: i64) -> Option<Fill> {
        let snapshot = self.context.snapshot;
        let ad_set = snapshot.ad_set(index);
        let may = |group: &&crate::snapshot::Group| {
            group_refused(self.context, self.open, self.shown, ad_set, group).is_none()
        };
        let sum: u64 = snapshot.groups(ad_set).iter().filter(may).map(|g| g.weight).sum();
        let mut drawn = chance::below(self.draw(Purpose::Version, ad_set.id.0), sum);
        for group in snapshot.groups(ad_set).iter().filter(may) {
            if drawn >= group.weight {
                drawn -= group.weight;
                continue;
            }
            let (version, weight) = group.draw(drawn)?;
            let rate_ppb = self.context.numbers(index).rate_ppb;
            return Some(Fill {
                placement: self.open.here.id,
                site: self.context.request.site,
                advertiser: ad_set.advertiser,
                campaign: ad_set.campaign,
                ad_set: ad_set.id,
                ad: group.ad,
                version,
                tier: self.tier,
                billing: ad_set.billing,
                price_nanos,
                currency: ad_set.currency,
                rate_nanos: ad_set.rate_nanos,
                propensity: weight as f64 / sum as f64,
                predicted_rate: (f64::from(rate_ppb) / f64::from(PPB)) as f32,
                creative: snapshot.creative(version)?,
                shape: snapshot.shape(group),
                political: ad_set.political,
                hold_nanos: auction::hold_nanos(ad_set.billing, price_nanos, rate_ppb),
            });
        }
        None
    }
}
