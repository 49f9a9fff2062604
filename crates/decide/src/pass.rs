//! One pass over a request: tiers in order of service, places in page order within each tier, roadblocks before
//! single places, places that are sold together as one.
//!
//! Refuses to know how a winner is found at a place ([`crate::turn`]) or among several ([`crate::joint`]).

use crate::{
    decide::Report,
    eligibility::{Context, Open, Shown, held_out},
    joint,
    outcome::{Elimination, Fill, JointAuction},
    snapshot::AdSetFacts,
    turn::{Barred, Roadblocks, Tell, Turn, Won},
    vcg::SLOTS_COUNT_MAX,
};
use regie_model::booking::{AuctionKind, FULL_WEIGHT_PPM, TierKind};

const TIERS: [TierKind; 4] =
    [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House];

/// Tiers that are no contest by value; booking refuses roadblocks in the others.
fn may_roadblock(tier: TierKind) -> bool {
    matches!(tier, TierKind::Sponsorship | TierKind::Guaranteed)
}

/// What came of a pass.
pub(crate) struct Outcome {
    pub(crate) fills: Vec<Option<Fill>>,
    pub(crate) joint: Vec<JointAuction>,
    /// Slots with a winner that is not political, its price, where a political ad set had a part in it.
    against_political: Vec<(usize, Won)>,
}

/// A pass on its way.
pub(crate) struct Pass<'a> {
    context: &'a Context<'a>,
    open: Vec<Option<Open<'a>>>,
    exhaustive: bool,
    shown: Vec<Shown<'a>>,
    pub(crate) fills: Vec<Option<Fill>>,
    joint: Vec<JointAuction>,
    against_political: Vec<(usize, Won)>,
    /// What the contextual pass left of the same.
    before: Vec<(usize, Won)>,
    /// Slots that a political ad took in the contextual pass.
    settled: Vec<usize>,
    barred: Vec<Barred>,
    roadblock_share_ppm: u64,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(context: &'a Context<'a>, open: Vec<Option<Open<'a>>>, exhaustive: bool) -> Pass<'a> {
        let count = open.len();
        Pass {
            context,
            open,
            exhaustive,
            shown: Vec::new(),
            fills: vec![None; count],
            joint: Vec::new(),
            against_political: Vec::new(),
            before: Vec::new(),
            settled: Vec::new(),
            barred: Vec::new(),
            roadblock_share_ppm: 0,
        }
    }
    /// Takes over the places that political ads won without anything being known of the visitor.
    pub(crate) fn settle_political(&mut self, outcome: Outcome) {
        for (slot, fill) in outcome.fills.into_iter().enumerate() {
            let Some(fill) = fill.filter(|fill| fill.political) else { continue };
            self.settled.push(slot);
            self.take(slot, fill);
        }
        self.before = outcome.against_political;
        // Only what decided about a political ad belongs to the decision.
        self.joint = outcome.joint;
    }
    pub(crate) fn outcome(self) -> Outcome {
        Outcome { fills: self.fills, joint: self.joint, against_political: self.against_political }
    }
    pub(crate) fn context(&self) -> &'a Context<'a> {
        self.context
    }
    /// The turn of a tier at an open place.
    pub(crate) fn turn<'t>(
        &'t self,
        slot: usize,
        tier: TierKind,
        shown: &'t [Shown<'a>],
    ) -> Option<Turn<'t>> {
        let open = self.open[slot].as_ref()?;
        let roadblocks = Roadblocks {
            here: may_roadblock(tier) && self.is_first(slot),
            barred: &self.barred,
            places_count: self.open.iter().flatten().count() as u32,
            share_ppm: self.roadblock_share_ppm,
        };
        Some(Turn {
            context: self.context,
            open,
            shown,
            tier,
            exhaustive: self.exhaustive,
            roadblocks,
            held: &[],
        })
    }
    fn is_first(&self, slot: usize) -> bool {
        self.open.iter().position(Option::is_some) == Some(slot)
    }
    /// A place has its ad.
    pub(crate) fn take(&mut self, slot: usize, fill: Fill) {
        let snapshot = self.context.snapshot;
        if let Some(index) = snapshot.ad_set_index(fill.ad_set) {
            self.shown.push(shown_as(slot, snapshot.ad_set(index.0 as usize), &fill));
        }
        self.fills[slot] = Some(fill);
    }
    pub(crate) fn shown(&self) -> &[Shown<'a>] {
        &self.shown
    }

    /// Decides every place that has no ad yet.
    pub(crate) fn run(&mut self, report: &mut Report<'_>) {
        for tier in TIERS {
            if self.context.snapshot.tier(tier).next().is_none() {
                continue;
            }
            // What was barred in an earlier tier says nothing of this one.
            (self.barred, self.roadblock_share_ppm) = (Vec::new(), 0);
            if may_roadblock(tier) {
                self.roadblock(tier, report);
            }
            let mut tried: Vec<usize> = Vec::new();
            for slot in 0..self.open.len() {
                if self.open[slot].is_none() || tried.contains(&slot) {
                    continue;
                }
                if self.fills[slot].is_some() {
                    self.too_late(slot, tier, report);
                    continue;
                }
                let together = self.together(slot, tier, &tried);
                if together.is_empty() {
                    self.single(slot, tier, report);
                    continue;
                }
                tried.extend(&together);
                let said = joint::sell(self, &together, report);
                self.joint.extend(Some(said).filter(|said| said.finalists_count > 0));
            }
        }
    }
    /// The open places that are sold together with this one.
    fn together(&self, slot: usize, tier: TierKind, tried: &[usize]) -> Vec<usize> {
        let vcg = |slot: &usize| {
            let here = self.open[*slot].as_ref().map(|open| open.here.facts.auction);
            here == Some(AuctionKind::Vcg) && self.fills[*slot].is_none() && !tried.contains(slot)
        };
        if tier != TierKind::Auction || !vcg(&slot) {
            return Vec::new();
        }
        (slot..self.open.len()).filter(vcg).take(SLOTS_COUNT_MAX).collect()
    }
    /// One place by itself.
    pub(crate) fn single(&mut self, slot: usize, tier: TierKind, report: &mut Report<'_>) {
        let shown = self.shown.clone();
        let mut tell = |index: usize, why: Elimination| report(slot, index, why);
        let mut held: Vec<usize> = Vec::new();
        let won = match self.context.snapshot.has_experiments() {
            true => self.not_held_out(slot, tier, &shown, &mut held, &mut tell),
            false => self.turn(slot, tier, &shown).and_then(|turn| turn.winner(&mut tell)),
        };
        let Some(turn) = self.turn(slot, tier, &shown) else { return };
        let turn = Turn { held: &held, ..turn };
        let Some(won) = won else { return turn.tell_exhausted(&mut tell) };
        if self.context.snapshot.ad_set(won.index).roadblock {
            return;
        }
        let fill = turn.fill(self.priced(slot, won), FULL_WEIGHT_PPM);
        self.won(slot, won);
        if let Some(fill) = fill {
            self.take(slot, fill);
        }
    }
    /// The winner when those that their experiments hold out are passed over. A ghost holds and spends nothing, and the
    /// runner-up is found as if it were not there.
    fn not_held_out(
        &self,
        slot: usize,
        tier: TierKind,
        shown: &[Shown<'a>],
        held: &mut Vec<usize>,
        tell: &mut Tell<'_>,
    ) -> Option<Won> {
        let mut heard: Vec<(usize, Elimination)> = Vec::new();
        let won = loop {
            heard.clear();
            let turn = self.turn(slot, tier, shown)?;
            let turn = Turn { held, ..turn };
            let won = turn.winner(&mut |index, why| heard.push((index, why)));
            match won.filter(|won| held_out(turn.context, turn.open, turn.context.snapshot.ad_set(won.index)))
            {
                Some(ghost) => held.push(ghost.index),
                None => break won,
            }
        };
        heard.retain(|(index, _)| !held.contains(index));
        heard.into_iter().for_each(|(index, why)| tell(index, why));
        held.iter().for_each(|index| tell(*index, Elimination::HeldOut));
        won
    }
    /// Remembers a winner whose price a political ad set had a part in.
    pub(crate) fn won(&mut self, slot: usize, won: Won) {
        let political = self.context.snapshot.ad_set(won.index).political;
        self.against_political.retain(|(of, _)| *of != slot);
        if won.against_political && !political {
            self.against_political.push((slot, won));
        }
    }
    /// Who kept a political ad from the place pays at least what that took.
    pub(crate) fn priced(&self, slot: usize, won: Won) -> Won {
        match self.before.iter().find(|(of, before)| *of == slot && before.index == won.index) {
            Some((_, before)) => Won { price_nanos: won.price_nanos.max(before.price_nanos), ..won },
            None => won,
        }
    }
    /// Reasons at a place that has its ad.
    fn too_late(&mut self, slot: usize, tier: TierKind, report: &mut Report<'_>) {
        let Some(fill) = self.fills[slot].as_ref().filter(|_| self.exhaustive) else { return };
        let why = match self.settled.contains(&slot) {
            true => Elimination::PoliticalFirst,
            // Only a roadblock has taken a place before its tier's turn there; at the first one it won as others do.
            false if fill.tier == tier && self.is_first(slot) => return,
            false if fill.tier == tier => Elimination::Roadblocked,
            false => Elimination::EarlierTier { tier: fill.tier },
        };
        let others: Vec<Shown<'_>> = self.shown.iter().copied().filter(|s| s.slot != slot).collect();
        if let Some(turn) = self.turn(slot, tier, &others) {
            turn.too_late(why, &mut |index, why| report(slot, index, why));
        }
    }

    /// A campaign that takes all places of a request, if one wins the first of them and fits into all.
    fn roadblock(&mut self, tier: TierKind, report: &mut Report<'_>) {
        if !self.context.snapshot.has_roadblocks() {
            return;
        }
        let places: Vec<usize> = (0..self.open.len()).filter(|slot| self.open[*slot].is_some()).collect();
        let Some(first) = places.first().copied() else { return };
        if self.fills.iter().any(Option::is_some) {
            let ranges = self.context.snapshot.tier(tier).flatten();
            let all = ranges.map(|index| self.context.snapshot.ad_set(index)).filter(|set| set.roadblock);
            let barred = all.map(|set| Barred { campaign: set.campaign, filled_count: 0 });
            self.barred = barred.collect();
            return;
        }
        loop {
            let shown: Vec<Shown<'a>> = Vec::new();
            let Some(turn) = self.turn(first, tier, &shown) else { return };
            let mut heard: Vec<(usize, usize, Elimination)> = Vec::new();
            let won = turn.winner(&mut |index, why| heard.push((first, index, why)));
            let Some(won) = won.filter(|won| self.context.snapshot.ad_set(won.index).roadblock) else {
                break;
            };
            let campaign = self.context.snapshot.ad_set(won.index).campaign;
            let fills = self.companions(won, tier, &places, &mut heard);
            if fills.len() == places.len() {
                heard.into_iter().for_each(|(slot, index, why)| report(slot, index, why));
                for (slot, fill) in places.into_iter().zip(fills) {
                    self.take(slot, fill);
                }
                return;
            }
            self.barred.push(Barred { campaign, filled_count: fills.len() as u32 });
        }
        // At the later places the draw is among what the roadblocks left.
        let shown: Vec<Shown<'a>> = Vec::new();
        let Some(turn) = self.turn(first, tier, &shown) else { return };
        let mut share_ppm = 0;
        turn.scan(
            |_| false,
            |index| {
                if self.context.snapshot.ad_set(index).roadblock && turn.refused(index).is_none() {
                    share_ppm += turn.share(index);
                }
            },
        );
        self.roadblock_share_ppm = share_ppm;
    }
    /// The ads of the winner's campaign for all places, each another one; fewer where it has none for a place.
    /// Hears of those that the gate refused.
    fn companions(
        &self,
        won: Won,
        tier: TierKind,
        places: &[usize],
        heard: &mut Vec<(usize, usize, Elimination)>,
    ) -> Vec<Fill> {
        let snapshot = self.context.snapshot;
        let campaign = snapshot.ad_set(won.index).campaign;
        let mut sets: Vec<usize> = snapshot
            .tier(tier)
            .flatten()
            .filter(|index| snapshot.ad_set(*index).campaign == campaign)
            .collect();
        sets.sort_by_key(|index| (*index != won.index, snapshot.ad_set(*index).id));
        let mut shown: Vec<Shown<'a>> = Vec::new();
        let mut fills = Vec::new();
        for slot in places {
            let Some(turn) = self.turn(*slot, tier, &shown) else { break };
            let turn = Turn { roadblocks: Roadblocks { here: true, ..turn.roadblocks }, ..turn };
            let fits = |index: &usize| {
                let why = if turn.matches(*index) { turn.refused(*index) } else { return false };
                if why == Some(Elimination::Budget) && *slot != places[0] {
                    heard.push((*slot, *index, Elimination::Budget));
                }
                why.is_none()
            };
            let Some(index) = sets.iter().copied().find(fits) else { break };
            let price_nanos = snapshot.ad_set(index).bid_nanos;
            let Some(fill) = turn.fill(Won { index, price_nanos, against_political: false }, FULL_WEIGHT_PPM)
            else {
                break;
            };
            shown.push(shown_as(*slot, snapshot.ad_set(index), &fill));
            fills.push(fill);
        }
        fills
    }
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
