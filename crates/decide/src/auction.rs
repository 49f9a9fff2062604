//! The auction of one place: second price with reserve, by expected value in the auction currency.
//!
//! Each bidder's score is bid x predicted rate in the auction currency, rounded down. The highest score wins
//! (equal ones by an even draw) and pays what it needed to win against the next score of another advertiser,
//! at least the reserve, never above its bid (Vickrey 1961; Edelman, Ostrovsky, Schwarz 2007 for one slot).
//! An advertiser does not bid against itself. Every conversion rounds down, in the payer's favour; refuses
//! floating point.

use crate::{
    rates::PPB,
    snapshot::AdSetFacts,
    tables::{Bound, Numbers, PPM, paced},
};
use regie_model::{AdSetId, AdvertiserId, money::DatedRate, ticket::Billing};

/// Someone who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bidder {
    pub(crate) index: usize,
    pub(crate) ad_set: AdSetId,
    pub(crate) advertiser: AdvertiserId,
    pub(crate) score_nanos: i64,
    /// Even draw that orders equal scores.
    pub(crate) tie: u64,
}
impl Bidder {
    fn rank(&self) -> (i64, u64, AdSetId) {
        (self.score_nanos, self.tie, self.ad_set)
    }
}

/// The best so far, and the best of another advertiser.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Field {
    pub(crate) best: Option<Bidder>,
    pub(crate) second: Option<Bidder>,
}
impl Field {
    /// Takes a bidder in; returns the one that lost by it: the former best, or the new one.
    pub(crate) fn add(&mut self, new: Bidder) -> Option<Bidder> {
        let Some(best) = self.best else {
            self.best = Some(new);
            return None;
        };
        let other = best.advertiser != new.advertiser;
        if new.rank() > best.rank() {
            if other {
                self.second = Some(best);
            }
            self.best = Some(new);
            return Some(best);
        }
        if other && self.second.is_none_or(|second| new.rank() > second.rank()) {
            self.second = Some(new);
        }
        Some(new)
    }
    /// Nobody who is still to come can change winner or price any more. Nobody bids against itself: of the best one's
    /// own advertiser only a higher score counts, of all others one above the second.
    pub(crate) fn is_settled(&self, to_come: Bound) -> bool {
        self.best.is_some_and(|best| {
            to_come.nanos < best.score_nanos && to_come.of_others(best.advertiser) <= self.second_nanos()
        })
    }
    /// This bidder can change neither.
    pub(crate) fn is_beaten(&self, numbers: &Numbers) -> bool {
        self.best.is_some_and(|best| {
            let own = numbers.advertiser == best.advertiser;
            numbers.score_nanos < best.score_nanos && (own || numbers.score_nanos <= self.second_nanos())
        })
    }
    fn second_nanos(&self) -> i64 {
        self.second.map_or(0, |second| second.score_nanos)
    }
}

/// Price of one billed event in nanos of the account's currency.
///
/// `needed_nanos` is the score to beat (auction currency), `reserve_nanos` the floor (account's currency), both
/// for an impression. For clicks and conversions both are divided by the predicted rate. Rounded down once.
pub(crate) fn price_nanos(winner: &AdSetFacts, rate_ppb: u32, needed_nanos: i64, reserve_nanos: i64) -> i64 {
    let rate = match winner.billing {
        Billing::Impression => i128::from(PPB),
        Billing::Click | Billing::Conversion => i128::from(rate_ppb.max(1)),
        Billing::None => return 0,
    };
    if winner.rate_nanos == DatedRate::PAR && rate == i128::from(PPB) {
        // An impression in the auction's own currency: nothing to convert.
        return needed_nanos.max(0).max(reserve_nanos.max(0)).min(winner.bid_nanos.max(0));
    }
    let (par, ppb) = (i128::from(DatedRate::PAR), i128::from(PPB));
    let needed = i128::from(needed_nanos.max(0)) * par * ppb / (i128::from(winner.rate_nanos.max(1)) * rate);
    let reserve = i128::from(reserve_nanos.max(0)) * ppb / rate;
    let price = needed.max(reserve).min(i128::from(winner.bid_nanos.max(0)));
    // At most the bid, which is an i64.
    i64::try_from(price).unwrap_or(winner.bid_nanos)
}

/// Price of one billed event at the first price, nanos of the account's currency: what the bid counts for, so that a paced
/// budget pays what it says (Conitzer et al. 2022, first-price pacing equilibria), and at least the floor. Never above the bid.
pub(crate) fn first_price_nanos(winner: &AdSetFacts, numbers: Numbers, reserve_nanos: i64) -> i64 {
    let own = paced(winner.bid_nanos.max(0), numbers.multiplier_ppm);
    own.max(price_nanos(winner, numbers.rate_ppb, 0, reserve_nanos)).min(winner.bid_nanos)
}

/// The same where places are sold together: `paid` is what one impression at the place costs, nanos of the auction
/// currency times a million; `weight_ppm` is the place's, by which clicks and conversions are rarer there.
pub(crate) fn joint_price_nanos(
    winner: &AdSetFacts,
    rate_ppb: u32,
    weight_ppm: u32,
    paid: i128,
    reserve_nanos: i64,
) -> i64 {
    let (par, ppb, ppm) = (i128::from(DatedRate::PAR), i128::from(PPB), i128::from(PPM));
    let weighted = i128::from(weight_ppm.max(1)) * i128::from(rate_ppb.max(1));
    // Events an impression here, times a million times 10^9.
    let events = match winner.billing {
        Billing::Impression => ppm * ppb,
        Billing::Click | Billing::Conversion => weighted,
        Billing::None => return 0,
    };
    let rate = i128::from(winner.rate_nanos.max(1));
    // Divided first where the product would not fit, which costs the publisher less than a nano of its price.
    let needed = match paid.max(0).checked_mul(par).and_then(|n| n.checked_mul(ppb)) {
        Some(scaled) => scaled / rate / events,
        None => paid.max(0) / events * ppb / rate * par,
    };
    let reserve = i128::from(reserve_nanos.max(0)) * ppb * ppm / events;
    let bid = i128::from(winner.bid_nanos.max(0));
    let most = if winner.billing == Billing::Impression { bid * i128::from(weight_ppm) / ppm } else { bid };
    i64::try_from(needed.max(reserve).min(most)).unwrap_or(winner.bid_nanos)
}

/// A floor for an impression as the auction compares it: nanos of the auction currency times a million, rounded up.
pub(crate) fn floor_worth(ad_set: &AdSetFacts, reserve_nanos: i64) -> i128 {
    let par = i128::from(DatedRate::PAR);
    let scaled = i128::from(reserve_nanos.max(0)) * i128::from(ad_set.rate_nanos.max(1)) * i128::from(PPM);
    (scaled + par - 1) / par
}

/// What a budget holds until the ticket expires: the price times the predicted rate, rounded up.
pub(crate) fn hold_nanos(billing: Billing, price_nanos: i64, rate_ppb: u32) -> i64 {
    let expected = |price: i64| {
        let scaled = i128::from(price) * i128::from(rate_ppb) + i128::from(PPB) - 1;
        i64::try_from(scaled / i128::from(PPB)).unwrap_or(price)
    };
    match billing {
        Billing::None => 0,
        Billing::Impression => price_nanos,
        Billing::Click | Billing::Conversion => expected(price_nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bidder(number: usize, advertiser: u32, score_nanos: i64, tie: u64) -> Bidder {
        Bidder {
            index: number,
            ad_set: AdSetId(number as u32),
            advertiser: AdvertiserId(advertiser),
            score_nanos,
            tie,
        }
    }

    proptest! {
        #[test]
        fn the_field_is_the_sorted_list(given in proptest::collection::vec((0u32..4, 0i64..6, 0u64..3), 0..12)) {
            let all: Vec<_> =
                given.iter().enumerate().map(|(n, (a, s, t))| bidder(n, *a, *s, *t)).collect();
            let mut field = Field::default();
            let mut lost = Vec::new();
            for bidder in &all {
                lost.extend(field.add(*bidder));
            }
            let mut sorted = all.clone();
            sorted.sort_by_key(|b| std::cmp::Reverse(b.rank()));
            prop_assert_eq!(field.best, sorted.first().copied());
            let other = sorted.iter().find(|b| b.advertiser != sorted[0].advertiser);
            prop_assert_eq!(field.second, other.copied());
            prop_assert_eq!(lost.len() + usize::from(!all.is_empty()), all.len());
        }
    }
}
