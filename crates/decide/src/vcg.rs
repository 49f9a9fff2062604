//! Several places sold at once: the assignment of greatest total worth, exactly, and what each winner's presence
//! costs the others.
//!
//! The places have separable weights (Edelman, Ostrovsky, Schwarz 2007, section II; Varian 2007, section 2): one
//! impression at place s is worth weight(s) x value to a bidder. A winner pays the floor of its place and what the
//! others and the seller would have gained without it (Vickrey 1961; Clarke 1971; Groves 1973); floors enter as the
//! seller's own value of a place, so that the rule is an affine maximiser (Roberts 1979) and honest bidding stays
//! best. An advertiser gets at most one place, and advertisers that share a category never meet in one request.
//!
//! The search is branch and bound: the bound is the assignment without regard to categories (the Hungarian method,
//! Kuhn 1955), a branch takes the first clashing ad in or out. It counts its steps and stops at
//! [`STEPS_COUNT_MAX`]; the caller then sells place by place. Refuses floating point, money and eligibility.

use regie_model::AdvertiserId;

/// Places sold together at most.
pub const SLOTS_COUNT_MAX: usize = 8;
/// Bidders that are weighed against one another at most.
pub const FINALISTS_COUNT_MAX: usize = 32;
/// Steps of the search of one request, payments included. A step is one assignment problem of at most 8 places
/// and 32 bidders.
pub const STEPS_COUNT_MAX: u32 = 400;
/// Bits below the worth that order equal ones; the sum of 8 draws of 32 bits stays within.
pub const TIE_BITS: u32 = 36;

/// What someone offers for a place: (value x weight - floor), nanos of the auction currency times a million, and
/// below it an even draw that orders equal offers. Sums of up to [`SLOTS_COUNT_MAX`] order assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Worth(i128);
impl Worth {
    /// From the surplus over the floor and a draw; `None` below the floor, where nobody may win. A surplus above
    /// 2^83 (9 x 10^18 nanos an impression at full weight) is cut to it.
    pub fn new(surplus: i128, tie: u32) -> Option<Worth> {
        // Never zero: a place that somebody may have is not left empty.
        let tie = i128::from(tie.max(1));
        (surplus >= 0).then(|| Worth((surplus.min(1 << 83) << TIE_BITS) | tie))
    }
    /// The surplus over the floors, nanos times a million.
    pub fn surplus(self) -> i128 {
        self.0 >> TIE_BITS
    }
    fn and(self, other: Worth) -> Worth {
        Worth(self.0 + other.0)
    }
    fn less(self, other: Worth) -> Worth {
        Worth(self.0 - other.0)
    }
}

/// One who bids for places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalist {
    /// Whose it is.
    pub advertiser: AdvertiserId,
    /// Categories that it may not share with another, ascending.
    pub categories: Vec<u32>,
    /// What it offers for each place; `None` where it may not stand.
    pub offers: [Option<Worth>; SLOTS_COUNT_MAX],
}
impl Finalist {
    /// Whether the two may not stand in one request.
    pub fn clashes(&self, other: &Finalist) -> bool {
        self.advertiser == other.advertiser || share(&self.categories, &other.categories)
    }
}
/// Whether two ascending lists have a number in common.
pub(crate) fn share(a: &[u32], b: &[u32]) -> bool {
    a.iter().any(|category| b.binary_search(category).is_ok())
}

/// Who gets which place, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    /// For each place, the number of its finalist.
    pub winners: Vec<Option<usize>>,
    /// For each place, what the winner pays above the floor of the place: nanos times a million.
    pub over_floor: Vec<i128>,
    /// Steps taken.
    pub steps_count: u32,
}

/// Sells `slots_count` places to at most [`FINALISTS_COUNT_MAX`] finalists (more are not looked at).
///
/// `None` when the search took more than `steps_max` steps. The answer depends on the finalists' order only where
/// two assignments have the same worth and the same draws.
pub fn sell(finalists: &[Finalist], slots_count: usize, steps_max: u32) -> Option<Sold> {
    let finalists = &finalists[..finalists.len().min(FINALISTS_COUNT_MAX)];
    let slots_count = slots_count.min(SLOTS_COUNT_MAX);
    let mut search = Search::new(finalists, slots_count, steps_max);
    let all = (0..finalists.len()).fold(0u32, |mask, number| mask | 1 << number);
    let best = search.best(all)?;
    let mut over_floor = vec![0; slots_count];
    for (slot, winner) in best.winners.iter().enumerate().take(slots_count) {
        let Some(winner) = *winner else { continue };
        let own = finalists[winner].offers[slot].unwrap_or_default();
        let others = best.worth.less(own);
        let without = search.best(all & !search.of_advertiser(winner))?;
        over_floor[slot] = (without.worth.surplus() - others.surplus()).max(0);
    }
    let winners = best.winners[..slots_count].to_vec();
    Some(Sold { winners, over_floor, steps_count: search.steps_count })
}

#[derive(Clone, Copy, Debug)]
struct Assignment {
    winners: [Option<usize>; SLOTS_COUNT_MAX],
    worth: Worth,
}

struct Search<'a> {
    finalists: &'a [Finalist],
    slots_count: usize,
    /// For each finalist, those that it clashes with, itself not among them.
    clashes: [u32; FINALISTS_COUNT_MAX],
    /// For each finalist, the number of its advertiser here.
    advertiser: [usize; FINALISTS_COUNT_MAX],
    advertisers_count: usize,
    steps_count: u32,
    steps_max: u32,
}
impl<'a> Search<'a> {
    fn new(finalists: &'a [Finalist], slots_count: usize, steps_max: u32) -> Search<'a> {
        let mut clashes = [0u32; FINALISTS_COUNT_MAX];
        let mut advertiser = [0; FINALISTS_COUNT_MAX];
        let mut known: Vec<AdvertiserId> = Vec::with_capacity(finalists.len());
        for (number, one) in finalists.iter().enumerate() {
            for (other, two) in finalists.iter().enumerate().filter(|(other, _)| *other != number) {
                clashes[number] |= u32::from(one.clashes(two)) << other;
            }
            advertiser[number] = known.iter().position(|a| *a == one.advertiser).unwrap_or_else(|| {
                known.push(one.advertiser);
                known.len() - 1
            });
        }
        let advertisers_count = known.len();
        Search { finalists, slots_count, clashes, advertiser, advertisers_count, steps_count: 0, steps_max }
    }
    /// All finalists of a finalist's advertiser.
    fn of_advertiser(&self, number: usize) -> u32 {
        let same = |other: &usize| self.advertiser[*other] == self.advertiser[number];
        (0..self.finalists.len()).filter(same).fold(0, |mask, other| mask | 1 << other)
    }
    /// The best assignment of the finalists in `allowed` without a clash; `None` at the limit of steps.
    fn best(&mut self, allowed: u32) -> Option<Assignment> {
        let mut best = Assignment { winners: [None; SLOTS_COUNT_MAX], worth: Worth::default() };
        let mut open = vec![allowed];
        while let Some(allowed) = open.pop() {
            if self.steps_count >= self.steps_max {
                return None;
            }
            self.steps_count += 1;
            let found = self.relaxed(allowed);
            if found.worth <= best.worth {
                continue;
            }
            match self.clashing(&found) {
                None => best = found,
                Some(number) => {
                    open.push(allowed & !(1 << number));
                    open.push(allowed & !self.clashes[number]);
                }
            }
        }
        Some(best)
    }
    /// The first winner that clashes with another.
    fn clashing(&self, found: &Assignment) -> Option<usize> {
        let mask = found.winners.iter().flatten().fold(0u32, |mask, number| mask | 1 << number);
        found.winners.iter().flatten().copied().find(|number| self.clashes[*number] & mask != 0)
    }
    /// The best assignment of places to advertisers where categories do not matter.
    fn relaxed(&self, allowed: u32) -> Assignment {
        const COLUMNS: usize = FINALISTS_COUNT_MAX + SLOTS_COUNT_MAX;
        // What nobody offers costs one; to leave a place empty costs nothing, and every place has a column for it.
        let mut cost = [[1i128; COLUMNS]; SLOTS_COUNT_MAX];
        let mut who = [[None; FINALISTS_COUNT_MAX]; SLOTS_COUNT_MAX];
        for (number, finalist) in self.finalists.iter().enumerate() {
            if allowed >> number & 1 == 0 {
                continue;
            }
            let column = self.advertiser[number];
            for slot in 0..self.slots_count {
                let Some(worth) = finalist.offers[slot] else { continue };
                if -worth.0 < cost[slot][column] {
                    cost[slot][column] = -worth.0;
                    who[slot][column] = Some(number);
                }
            }
        }
        let columns = self.advertisers_count + self.slots_count;
        for row in &mut cost[..self.slots_count] {
            row[self.advertisers_count..columns].fill(0);
        }
        let chosen = hungarian(&cost[..self.slots_count], columns);
        let mut found = Assignment { winners: [None; SLOTS_COUNT_MAX], worth: Worth::default() };
        for (slot, column) in chosen.iter().enumerate().take(self.slots_count) {
            let winner = who[slot].get(*column).copied().flatten();
            found.winners[slot] = winner;
            let offer = winner.and_then(|number| self.finalists[number].offers[slot]);
            found.worth = found.worth.and(offer.unwrap_or_default());
        }
        found
    }
}

/// The cheapest way to give every row a column of its own: shortest augmenting paths with potentials (Kuhn 1955;
/// Jonker and Volgenant 1987). At least as many columns as rows.
fn hungarian<const N: usize>(cost: &[[i128; N]], columns: usize) -> [usize; SLOTS_COUNT_MAX] {
    const NONE: usize = usize::MAX;
    let mut of_row = [0i128; SLOTS_COUNT_MAX];
    let mut of_column = [0i128; N];
    let mut row_of = [NONE; N];
    for first in 0..cost.len() {
        let mut least = [i128::MAX; N];
        let mut before = [NONE; N];
        let mut done = [false; N];
        // `at` is the column whose row looks for another one; NONE stands for the new row.
        let mut at = NONE;
        loop {
            let row = if at == NONE { first } else { row_of[at] };
            let (mut delta, mut next) = (i128::MAX, NONE);
            for column in (0..columns).filter(|c| !done[*c]) {
                let reduced = cost[row][column] - of_row[row] - of_column[column];
                if reduced < least[column] {
                    (least[column], before[column]) = (reduced, at);
                }
                if least[column] < delta {
                    (delta, next) = (least[column], column);
                }
            }
            of_row[first] += delta;
            for column in 0..columns {
                if done[column] {
                    of_row[row_of[column]] += delta;
                    of_column[column] -= delta;
                } else if least[column] < i128::MAX {
                    least[column] -= delta;
                }
            }
            done[next] = true;
            at = next;
            if row_of[at] == NONE {
                break;
            }
        }
        while at != NONE {
            let from = before[at];
            row_of[at] = if from == NONE { first } else { row_of[from] };
            at = from;
        }
    }
    let mut column_of = [0; SLOTS_COUNT_MAX];
    for (column, row) in row_of.iter().enumerate().take(columns).filter(|(_, row)| **row != NONE) {
        column_of[*row] = column;
    }
    column_of
}
