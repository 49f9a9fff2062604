//! Places of one request that are sold together: from candidates to finalists, the search, prices and reasons.
//!
//! Which candidates can still matter is decided by two rules, each of which is sound for the best assignment and
//! for every assignment without one advertiser (docs/AUCTION.md has the proofs); an offer that a rule drops never
//! changes what the rules say of another, so that an early stop and a full scan name the same finalists.
//! Refuses eligibility ([`crate::turn`]) and arithmetic of the assignment ([`crate::vcg`]).

use crate::{
    auction,
    chance::Purpose,
    decide::Report,
    index::BLOCK_BITS,
    outcome::{Elimination, JointAuction, JointMethod},
    pass::Pass,
    snapshot::{STRATA_MAX, Snapshot, locate_block},
    tables::PPM,
    turn::{Turn, Won},
    vcg::{self, FINALISTS_COUNT_MAX, Finalist, SLOTS_COUNT_MAX, STEPS_COUNT_MAX, Sold, Worth},
};
use regie_model::booking::TierKind;
use std::collections::BTreeMap;

/// An offer for a place.
#[derive(Clone, Copy, Debug)]
struct Offer {
    index: usize,
    worth: Worth,
}

/// What was seen at one place.
#[derive(Default)]
struct Seen {
    /// Offers that may matter, after [`Rules::keep`] in descending worth.
    offers: Vec<Offer>,
    /// From this worth down no offer matters.
    settled: Option<Worth>,
    /// Everyone who could have won by the checks that were made.
    checked: Vec<usize>,
    /// Those whose offer could not matter, and were not checked further.
    lost: Vec<usize>,
}

/// When an offer cannot matter any more.
struct Rules<'a> {
    snapshot: &'a Snapshot,
    /// So many advertisers with a better offer and no category that it lacks: one of them is always free.
    better_count: usize,
    /// So many better offers that do not clash with one another: one of them never clashes with the rest.
    apart_count: usize,
}
impl Rules<'_> {
    /// At each of the other places there may be an ad that blocks one better offer by its advertiser and one by
    /// each of its categories; the advertiser whose price is sought is away; one more must be left.
    fn new(snapshot: &Snapshot, slots_count: usize) -> Rules<'_> {
        let others = slots_count.saturating_sub(1);
        let apart_count = others * (snapshot.categories_count_max() + 1) + 2;
        Rules { snapshot, better_count: others + 2, apart_count }
    }
    fn is_bettered(&self, offer: &Offer, offers: &[Offer]) -> bool {
        let own = &self.snapshot.ad_set(offer.index).categories;
        let mut advertisers = Vec::with_capacity(self.better_count);
        for other in offers.iter().filter(|other| other.worth > offer.worth) {
            let set = self.snapshot.ad_set(other.index);
            let within = set.categories.iter().all(|category| own.binary_search(category).is_ok());
            if within && !advertisers.contains(&set.advertiser) {
                advertisers.push(set.advertiser);
                if advertisers.len() >= self.better_count {
                    return true;
                }
            }
        }
        false
    }
    /// The offers above `above` that matter, in descending worth, and from which worth down none does.
    fn keep(&self, offers: &[Offer], above: Option<Worth>) -> (Vec<Offer>, Option<Worth>) {
        let mut sorted: Vec<Offer> =
            offers.iter().copied().filter(|offer| above.is_none_or(|above| offer.worth > above)).collect();
        sorted.sort_by_key(|offer| (std::cmp::Reverse(offer.worth), self.snapshot.ad_set(offer.index).id));
        let mut kept: Vec<Offer> = Vec::new();
        let mut apart: Vec<usize> = Vec::new();
        for offer in sorted {
            if self.is_bettered(&offer, &kept) {
                continue;
            }
            kept.push(offer);
            let set = self.snapshot.ad_set(offer.index);
            let clashes = |other: &usize| {
                let other = self.snapshot.ad_set(*other);
                other.advertiser == set.advertiser || vcg::share(&other.categories, &set.categories)
            };
            if !apart.iter().any(clashes) {
                apart.push(offer.index);
                if apart.len() >= self.apart_count {
                    return (kept, Some(offer.worth));
                }
            }
        }
        (kept, None)
    }
}

/// What one impression at the turn's place is worth to an ad set above the floor; `None` below it.
fn worth(turn: &Turn<'_>, index: usize, draw: bool) -> Option<Worth> {
    let ad_set = turn.context.snapshot.ad_set(index);
    let here = turn.open.here.facts;
    let value = i128::from(turn.context.numbers(index).score_nanos.max(0)) * i128::from(here.weight_ppm);
    let floor = auction::floor_worth(ad_set, here.reserve_nanos(ad_set));
    let tie = if draw { (turn.draw(Purpose::Tie, ad_set.id.0) >> 32) as u32 } else { u32::MAX };
    Worth::new(value - floor, tie)
}
/// The value of an impression at the turn's place, nanos of the auction currency.
fn value_nanos(turn: &Turn<'_>, index: usize) -> i64 {
    let score = i128::from(turn.context.numbers(index).score_nanos.max(0));
    let value = score * i128::from(turn.open.here.facts.weight_ppm) / i128::from(PPM);
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Everyone who offers something for one place.
fn look(turn: &Turn<'_>, rules: &Rules<'_>, tell: &mut dyn FnMut(usize, Elimination)) -> Seen {
    let seen = std::cell::RefCell::new(Seen::default());
    let aligned = turn.context.aligned;
    // The highest score to come in the strata that are looked at after one.
    let mut after = [-1; STRATA_MAX];
    let mut highest = -1;
    for range in turn.context.snapshot.tier(TierKind::Auction) {
        let block = range.start / BLOCK_BITS;
        after[locate_block(block).0] = highest;
        highest = highest.max(aligned.bound(block).nanos);
    }
    let weight = i128::from(turn.open.here.facts.weight_ppm);
    turn.scan_large_last(
        |block| {
            if turn.exhaustive {
                return false;
            }
            let bound = aligned.bound(block).nanos.max(after[locate_block(block).0]);
            let Some(most) = Worth::new(i128::from(bound) * weight, u32::MAX) else { return true };
            let mut seen = seen.borrow_mut();
            if seen.settled.is_none() && seen.offers.len() >= rules.apart_count {
                seen.settled = rules.keep(&seen.offers, Some(most)).1;
            }
            seen.settled.is_some_and(|settled| most < settled)
        },
        |index| {
            let mut seen = seen.borrow_mut();
            let Some(worth) = worth(turn, index, true) else {
                let why = turn.refused(index).unwrap_or_else(|| below_floor(turn, index));
                return tell(index, why);
            };
            let offer = Offer { index, worth };
            let settled = seen.settled.is_some_and(|settled| worth < settled);
            if !turn.exhaustive && (settled || rules.is_bettered(&offer, &seen.offers)) {
                return seen.lost.push(index);
            }
            match turn.refused(index) {
                Some(why) => tell(index, why),
                None => {
                    seen.offers.push(offer);
                    seen.checked.push(index);
                }
            }
        },
    );
    let mut seen = seen.into_inner();
    seen.offers = rules.keep(&seen.offers, None).0;
    seen
}

fn below_floor(turn: &Turn<'_>, index: usize) -> Elimination {
    let ad_set = turn.context.snapshot.ad_set(index);
    let here = turn.open.here.facts;
    let value = ad_set.value_nanos(turn.context.numbers(index).rate_ppb).unwrap_or(0);
    let weighted = i128::from(value) * i128::from(here.weight_ppm) / i128::from(PPM);
    Elimination::Floor {
        value_nanos: i64::try_from(weighted).unwrap_or(value),
        floor_nanos: here.reserve_nanos(ad_set),
    }
}

/// Those who can still win a place, by the id of their ad set, and whether there were too many.
fn finalists(snapshot: &Snapshot, seen: &[Seen]) -> (Vec<(usize, Finalist)>, bool) {
    let mut found: BTreeMap<usize, Finalist> = BTreeMap::new();
    for (place, seen) in seen.iter().enumerate() {
        for offer in &seen.offers {
            let set = snapshot.ad_set(offer.index);
            let finalist = found.entry(offer.index).or_insert_with(|| Finalist {
                advertiser: set.advertiser,
                categories: set.categories.to_vec(),
                offers: [None; SLOTS_COUNT_MAX],
            });
            finalist.offers[place] = Some(offer.worth);
        }
    }
    let mut list: Vec<(usize, Finalist)> = found.into_iter().collect();
    let cut = list.len() > FINALISTS_COUNT_MAX;
    if cut {
        let best = |finalist: &Finalist| finalist.offers.iter().flatten().copied().max();
        list.sort_by_key(|(index, f)| (std::cmp::Reverse(best(f)), snapshot.ad_set(*index).id));
        list.truncate(FINALISTS_COUNT_MAX);
    }
    list.sort_by_key(|(index, _)| snapshot.ad_set(*index).id);
    (list, cut)
}

/// Sells these open places together, and says how.
pub(crate) fn sell(pass: &mut Pass<'_>, places: &[usize], report: &mut Report<'_>) -> JointAuction {
    let snapshot = pass.context().snapshot;
    let rules = Rules::new(snapshot, places.len());
    let shown = pass.shown().to_vec();
    let mut heard: Vec<(usize, usize, Elimination)> = Vec::new();
    let mut seen = Vec::with_capacity(places.len());
    for slot in places {
        let mut tell = |index: usize, why: Elimination| heard.push((*slot, index, why));
        seen.extend(pass.turn(*slot, TierKind::Auction, &shown).map(|t| look(&t, &rules, &mut tell)));
    }
    let (list, cut) = finalists(snapshot, &seen);
    let only: Vec<Finalist> = list.iter().map(|(_, finalist)| finalist.clone()).collect();
    let mut said = JointAuction {
        slots: places.iter().map(|slot| *slot as u32).collect(),
        contextual: pass.context().contextual,
        method: if cut { JointMethod::ExactAmongBest } else { JointMethod::Exact },
        finalists_count: list.len() as u32,
        steps_count: STEPS_COUNT_MAX,
    };
    let Some(sold) = vcg::sell(&only, places.len(), STEPS_COUNT_MAX) else {
        said.method = JointMethod::InOrder;
        places.iter().for_each(|slot| pass.single(*slot, TierKind::Auction, report));
        return said;
    };
    said.steps_count = sold.steps_count;
    heard.into_iter().for_each(|(slot, index, why)| report(slot, index, why));
    hand_over(pass, places, &list, &sold);
    tell_losers(pass, places, &seen, report);
    for slot in places.iter().copied().filter(|slot| pass.fills[*slot].is_none()) {
        let Some(turn) = pass.turn(slot, TierKind::Auction, pass.shown()) else { continue };
        turn.tell_exhausted(&mut |index, why| report(slot, index, why));
    }
    if cut {
        // Somebody who was not among the finalists may have what is left.
        let left: Vec<usize> = places.iter().copied().filter(|slot| pass.fills[*slot].is_none()).collect();
        left.into_iter().for_each(|slot| pass.single(slot, TierKind::Auction, report));
    }
    said
}

/// Gives the winners their places at their prices.
fn hand_over(pass: &mut Pass<'_>, places: &[usize], list: &[(usize, Finalist)], sold: &Sold) {
    let snapshot = pass.context().snapshot;
    let shown = pass.shown().to_vec();
    for (place, slot) in places.iter().enumerate() {
        let Some(number) = sold.winners[place] else { continue };
        let index = list[number].0;
        let ad_set = snapshot.ad_set(index);
        let Some(turn) = pass.turn(*slot, TierKind::Auction, &shown) else { continue };
        let here = turn.open.here.facts;
        let reserve = here.reserve_nanos(ad_set);
        let paid = auction::floor_worth(ad_set, reserve) + sold.over_floor[place];
        let rate_ppb = pass.context().numbers(index).rate_ppb;
        let price_nanos = auction::joint_price_nanos(ad_set, rate_ppb, here.weight_ppm, paid, reserve);
        // A contextual pass is made only where a political ad set matched.
        let won = Won { index, price_nanos, against_political: true };
        let fill = turn.fill(pass.priced(*slot, won), here.weight_ppm);
        pass.won(*slot, won);
        if let Some(fill) = fill {
            pass.take(*slot, fill);
        }
    }
}

/// Why the others did not get the place.
fn tell_losers(pass: &Pass<'_>, places: &[usize], seen: &[Seen], report: &mut Report<'_>) {
    let snapshot = pass.context().snapshot;
    for (slot, seen) in places.iter().zip(seen) {
        let Some(turn) = pass.turn(*slot, TierKind::Auction, &[]) else { continue };
        let winner = pass.fills[*slot].as_ref().and_then(|fill| snapshot.ad_set_index(fill.ad_set));
        let best_nanos = winner.map_or(0, |winner| value_nanos(&turn, winner.0 as usize));
        let outbid =
            |index: usize| Elimination::Outbid { value_nanos: value_nanos(&turn, index), best_nanos };
        let others = || pass.shown().iter().filter(|shown| shown.slot != *slot && !shown.house);
        let apart = |index: usize| {
            let set = snapshot.ad_set(index);
            if others().any(|shown| shown.advertiser == set.advertiser) {
                return Some(Elimination::SameAdvertiser);
            }
            let rival = others().any(|shown| vcg::share(shown.categories, &set.categories));
            rival.then_some(Elimination::SameCategory)
        };
        let losers = |list: &[usize]| -> Vec<usize> {
            list.iter().copied().filter(|index| winner.is_none_or(|w| w.0 as usize != *index)).collect()
        };
        for index in losers(&seen.checked) {
            report(*slot, index, apart(index).unwrap_or_else(|| outbid(index)));
        }
        losers(&seen.lost).into_iter().for_each(|index| report(*slot, index, outbid(index)));
    }
}
