//! The oracle's order of service: two passes, tiers, roadblocks, and places sold together by trying every
//! assignment. Written from docs/AUCTION.md.

use crate::naive::Naive;
use regie_decide::{Fill, PPM, chance::Purpose, chance::below, rates::PPB};
use regie_model::{AdSetId, AdvertiserId, CampaignId, booking::*, money::DatedRate, ticket::Billing};

/// A winner, its price, and whether a political ad set had a part in it.
type Won = (AdSetId, i64, bool);

/// One pass.
struct Pass<'n, 'a> {
    naive: &'n Naive<'a>,
    fills: Vec<Option<Fill>>,
    before: Vec<Option<Won>>,
    against: Vec<Option<Won>>,
    /// The first place that can be served.
    first: Option<usize>,
    roadblock_share: u64,
    barred: Vec<CampaignId>,
}

/// The fills, one for each slot.
pub fn decide(naive: &Naive<'_>) -> Vec<Option<Fill>> {
    let contextual = Naive { contextual: true, ..*naive };
    let slots = || (0..naive.request.placements.len()).filter(|slot| naive.servable(*slot));
    let live = |id: &AdSetId| naive.standing(*id) && naive.rate_nanos(*id).is_some() && naive.has_ads(*id);
    let political = naive.catalogue.ad_sets.keys().filter(|id| naive.political(**id) && live(id));
    let mut second = Pass::new(naive);
    if !political.into_iter().any(|id| slots().any(|slot| contextual.targeted(*id, slot))) {
        second.run();
        return second.fills;
    }
    let mut first = Pass::new(&contextual);
    first.run();
    for (slot, fill) in first.fills.into_iter().enumerate() {
        second.fills[slot] = fill.filter(|fill| fill.political);
    }
    second.before = first.against;
    second.run();
    second.fills
}

impl<'n, 'a> Pass<'n, 'a> {
    fn new(naive: &'n Naive<'a>) -> Pass<'n, 'a> {
        let count = naive.request.placements.len();
        Pass {
            naive,
            fills: vec![None; count],
            before: vec![None; count],
            against: vec![None; count],
            first: (0..count).find(|slot| naive.servable(*slot)),
            roadblock_share: 0,
            barred: Vec::new(),
        }
    }
    fn open(&self) -> Vec<usize> {
        (0..self.fills.len()).filter(|s| self.fills[*s].is_none() && self.naive.servable(*s)).collect()
    }
    fn of_tier(&self, tier: TierKind) -> Vec<AdSetId> {
        let all = self.naive.catalogue.ad_sets.iter();
        all.filter(|(_, kept)| kept.spec.tier.kind() == tier).map(|(id, _)| *id).collect()
    }
    /// Political ad sets have their turn in the contextual pass.
    fn past(&self, id: AdSetId) -> bool {
        !self.naive.contextual && self.naive.political(id)
    }
    fn able(&self, tier: TierKind, slot: usize) -> Vec<AdSetId> {
        let may = |id: &AdSetId| {
            let campaign = self.naive.catalogue.ad_sets[id].spec.campaign;
            let takes = matches!(tier, TierKind::Sponsorship | TierKind::Guaranteed);
            let barred = !takes || Some(slot) != self.first || self.barred.contains(&campaign);
            (!self.past(*id) || tier == TierKind::Sponsorship)
                && !(self.naive.roadblock(*id) && barred)
                && self.naive.able(*id, slot, &self.fills)
        };
        self.of_tier(tier).into_iter().filter(may).collect()
    }
    fn run(&mut self) {
        for tier in [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House] {
            self.barred.clear();
            self.roadblock_share = 0;
            if matches!(tier, TierKind::Sponsorship | TierKind::Guaranteed) {
                self.roadblocks(tier);
            }
            let mut sold = false;
            for slot in 0..self.fills.len() {
                if !self.open().contains(&slot) {
                    continue;
                }
                if tier == TierKind::Auction && self.kind(slot) == AuctionKind::Vcg {
                    if !sold {
                        sold = true;
                        self.together();
                    }
                    continue;
                }
                if let Some((id, price, political)) = self.winner(tier, slot) {
                    self.take(slot, (id, price, political), PPM);
                }
            }
        }
    }
    fn kind(&self, slot: usize) -> AuctionKind {
        let catalogue = self.naive.catalogue;
        let of_place = catalogue.placements[&self.naive.request.placements[slot]].spec.auction;
        of_place.unwrap_or(catalogue.publisher.as_ref().unwrap().spec.auction)
    }
    fn weight(&self, slot: usize) -> u32 {
        self.naive.catalogue.placements[&self.naive.request.placements[slot]].spec.slot_weight_ppm
    }
    fn take(&mut self, slot: usize, (id, price, political): Won, weight_ppm: u32) {
        let mut paid = price;
        if let Some((before, least, _)) = self.before[slot].filter(|(before, ..)| *before == id) {
            assert_eq!(before, id);
            paid = paid.max(least);
        }
        self.against[slot] = (political && !self.naive.political(id)).then_some((id, price, political));
        self.fills[slot] = self.naive.fill(id, slot, &self.fills, paid, weight_ppm);
    }

    fn share(&self, id: AdSetId) -> u64 {
        match self.naive.catalogue.ad_sets[&id].spec.tier {
            Tier::Sponsorship { share_ppm } => u64::from(share_ppm),
            _ => 0,
        }
    }
    fn winner(&self, tier: TierKind, slot: usize) -> Option<Won> {
        let naive = self.naive;
        let mut able = self.able(tier, slot);
        let tie = |id: AdSetId| (naive.draw(Purpose::Tie, slot, id.0), id);
        let plain = |id: AdSetId| (id, naive.bid(id), false);
        match tier {
            TierKind::Sponsorship => {
                able.sort_by_key(|id| (!naive.political(*id), *id));
                let sum: u64 = able.iter().map(|id| self.share(*id)).sum();
                let left = u64::from(PPM) - if Some(slot) == self.first { 0 } else { self.roadblock_share };
                let mut drawn = below(naive.draw(Purpose::Share, slot, 0), sum.max(left));
                for id in &able {
                    if drawn < self.share(*id) {
                        return Some(plain(*id)).filter(|_| !self.past(*id));
                    }
                    drawn -= self.share(*id);
                }
                None
            }
            TierKind::Guaranteed => {
                able.iter().copied().max_by_key(|id| (naive.row(*id).need_ppm, tie(*id))).map(plain)
            }
            TierKind::House => able.iter().copied().max_by_key(|id| tie(*id)).map(plain),
            TierKind::Auction => {
                let winner = able.iter().copied().max_by_key(|id| (naive.score(*id), tie(*id)))?;
                let other = |id: &&AdSetId| naive.advertiser(**id) != naive.advertiser(winner);
                let second = able.iter().filter(other).max_by_key(|id| (naive.score(**id), tie(**id)));
                let needed = second.map_or(0, |id| naive.score(*id));
                let price = match self.kind(slot) {
                    AuctionKind::FirstPrice => naive.first_price(winner, slot),
                    _ => naive.second_price(winner, needed, slot),
                };
                Some((winner, price, second.is_some_and(|id| naive.political(*id))))
            }
        }
    }

    /// A campaign that wins the first place and has an ad for each takes them all.
    fn roadblocks(&mut self, tier: TierKind) {
        let places: Vec<usize> = (0..self.fills.len()).filter(|s| self.naive.servable(*s)).collect();
        let Some(first) = self.first else { return };
        if self.open().len() < places.len() {
            let all = self.of_tier(tier).into_iter();
            self.barred = all.map(|id| self.naive.catalogue.ad_sets[&id].spec.campaign).collect();
            return;
        }
        while let Some((id, ..)) = self.winner(tier, first).filter(|(id, ..)| self.naive.roadblock(*id)) {
            let campaign = self.naive.catalogue.ad_sets[&id].spec.campaign;
            let mut fills = vec![None; self.fills.len()];
            for slot in &places {
                let mut own = self.of_tier(tier);
                own.retain(|set| self.naive.catalogue.ad_sets[set].spec.campaign == campaign);
                own.sort_by_key(|set| (*set != id, *set));
                let found = own.into_iter().find(|set| self.naive.able(*set, *slot, &fills));
                let fill = found.and_then(|s| self.naive.fill(s, *slot, &fills, self.naive.bid(s), PPM));
                fills[*slot] = fill;
                if fills[*slot].is_none() {
                    break;
                }
            }
            if fills.iter().flatten().count() == places.len() {
                self.fills = fills;
                return;
            }
            self.barred.push(campaign);
        }
        let sponsors = self.able(tier, first).into_iter().filter(|id| self.naive.roadblock(*id));
        self.roadblock_share = sponsors.map(|id| self.share(id)).sum::<u64>().min(u64::from(PPM) - 1);
    }

    fn together(&mut self) {
        let mut places = self.open();
        places.retain(|slot| self.kind(*slot) == AuctionKind::Vcg);
        assert!(places.len() <= 8);
        let offers: Vec<Vec<Offer>> = places.iter().map(|slot| self.offers(*slot)).collect();
        let best = self.best(&offers, None);
        let paid: Vec<Option<(AdSetId, i64)>> = best
            .chosen
            .iter()
            .enumerate()
            .map(|(place, chosen)| {
                let own = (*chosen)?;
                let advertiser = self.naive.advertiser(own.id);
                let without = self.best(&offers, Some(advertiser)).surplus;
                let over = without - (best.surplus - own.surplus);
                Some((own.id, self.price(own.id, places[place], over)))
            })
            .collect();
        let fills = self.fills.clone();
        for (place, won) in paid.into_iter().enumerate() {
            let Some((id, price)) = won else { continue };
            let slot = places[place];
            let before = self.before[slot].filter(|(before, ..)| *before == id);
            let paid = before.map_or(price, |(_, least, _)| price.max(least));
            let fill = self.naive.fill(id, slot, &fills, paid, self.weight(slot));
            self.against[slot] = (!self.naive.political(id)).then_some((id, price, true));
            self.fills[slot] = fill;
        }
    }
    fn price(&self, id: AdSetId, slot: usize, over: i128) -> i64 {
        let naive = self.naive;
        if naive.billing(id) == Billing::None {
            return 0;
        }
        let (par, ppb, ppm) = (i128::from(DatedRate::PAR), i128::from(PPB), i128::from(PPM));
        let weight = i128::from(self.weight(slot));
        let events = match naive.billing(id) {
            Billing::Impression => ppm * ppb,
            _ => weight * naive.action_ppb(id),
        };
        let rate = i128::from(naive.rate_nanos(id).unwrap());
        let needed = (self.floor(id, slot) + over) * par * ppb / (rate * events);
        let reserve = naive.floor(id, slot) * ppb * ppm / events;
        let bid = i128::from(naive.bid(id));
        let most = if naive.billing(id) == Billing::Impression { bid * weight / ppm } else { bid };
        i64::try_from(needed.max(reserve).min(most)).unwrap()
    }
    /// The floor in nanos of the auction currency times a million, rounded up.
    fn floor(&self, id: AdSetId, slot: usize) -> i128 {
        let par = i128::from(DatedRate::PAR);
        let rate = i128::from(self.naive.rate_nanos(id).unwrap());
        (self.naive.floor(id, slot) * rate * i128::from(PPM) + par - 1) / par
    }
    fn offers(&self, slot: usize) -> Vec<Offer> {
        let value = |id: AdSetId| self.naive.score(id) * i128::from(self.weight(slot));
        let offer = |id: AdSetId| Offer {
            id,
            surplus: value(id) - self.floor(id, slot),
            tie: (self.naive.draw(Purpose::Tie, slot, id.0) >> 32).max(1),
        };
        let mut offers: Vec<Offer> = self.able(TierKind::Auction, slot).into_iter().map(offer).collect();
        offers.retain(|offer| offer.surplus >= 0);
        offers.sort_by_key(|offer| std::cmp::Reverse((offer.surplus, offer.tie)));
        offers
    }
    fn best(&self, offers: &[Vec<Offer>], without: Option<AdvertiserId>) -> Assigned {
        let mut best = Assigned { chosen: vec![None; offers.len()], surplus: 0, tie: 0 };
        let start = Assigned { chosen: Vec::new(), surplus: 0, tie: 0 };
        self.extend(offers, without, &start, &mut best);
        best
    }
    /// Every assignment that could be better than the best so far.
    fn extend(
        &self,
        offers: &[Vec<Offer>],
        without: Option<AdvertiserId>,
        so_far: &Assigned,
        best: &mut Assigned,
    ) {
        let place = so_far.chosen.len();
        let Some(here) = offers.get(place) else {
            if (so_far.surplus, so_far.tie) > (best.surplus, best.tie) {
                *best = so_far.clone();
            }
            return;
        };
        let to_come: i128 = offers[place + 1..].iter().map(|o| o.first().map_or(0, |o| o.surplus)).sum();
        for offer in here {
            if so_far.surplus + offer.surplus + to_come < best.surplus {
                break;
            }
            let clash = so_far.chosen.iter().flatten().any(|other| self.clash(other.id, offer.id));
            if clash || Some(self.naive.advertiser(offer.id)) == without {
                continue;
            }
            let mut next = so_far.clone();
            next.chosen.push(Some(*offer));
            (next.surplus, next.tie) = (next.surplus + offer.surplus, next.tie + offer.tie);
            self.extend(offers, without, &next, best);
        }
        let mut next = so_far.clone();
        next.chosen.push(None);
        self.extend(offers, without, &next, best);
    }
    fn clash(&self, a: AdSetId, b: AdSetId) -> bool {
        let (one, two) = (self.naive.account(a), self.naive.account(b));
        self.naive.advertiser(a) == self.naive.advertiser(b)
            || one.categories.iter().any(|category| two.categories.contains(category))
    }
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    id: AdSetId,
    surplus: i128,
    tie: u64,
}
#[derive(Clone, Debug)]
struct Assigned {
    chosen: Vec<Option<Offer>>,
    surplus: i128,
    tie: u64,
}
