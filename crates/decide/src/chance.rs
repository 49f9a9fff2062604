//! Every chance of a decision: a counter-based hash of (seed, purpose, place, ad set), so that no draw
//! depends on the order of another (law D1). Refuses state.
//!
//! The mixing function is the finaliser of SplitMix64 (Steele, Lea, Flood 2014, variant 13 of Stafford).

/// What a chance is drawn for; each purpose has draws of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Whether a paced ad set takes part.
    Pace = 1,
    /// Which of several equal ones comes first.
    Tie = 2,
    /// Whose share of voice this request is.
    Share = 3,
    /// Which version of the winner is shown.
    Version = 4,
    /// Whether a version is drawn by booked weight although its ad set learns.
    Explore = 10,
    /// Which combination of a template is shown.
    Combination = 11,
    /// Whether an ad set whose paced value fell below the floor takes part at the floor.
    Reserve = 9,
}

/// Where a chance is drawn: the place and how often it stood in the request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the placement.
    pub placement: u32,
    /// 0 for the first slot of this placement in the request.
    pub occurrence: u32,
}

const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// 64 even bits for one purpose at one place for one ad set (0 where no ad set is meant).
pub fn bits(seed: u64, purpose: Purpose, place: Place, ad_set: u32) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = mix(seed.wrapping_add((purpose as u64).wrapping_mul(GOLDEN)));
    let at = u64::from(place.placement) << 32 | u64::from(place.occurrence);
    let placed = mix(start.wrapping_add(mix(at.wrapping_add(GOLDEN))));
    mix(placed.wrapping_add(u64::from(ad_set).wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// Maps 64 even bits to 0..count (0 for a count of 0); uneven by less than count / 2^64.
pub fn below(bits: u64, count: u64) -> u64 {
    ((u128::from(bits) * u128::from(count)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn draws_are_even_and_apart() {
        let place = Place { placement: 7, occurrence: 0 };
        let mut counts = [0u32; 10];
        let mut same = 0;
        for seed in 0..100_000 {
            let draw = below(bits(seed, Purpose::Pace, place, 3), 10);
            counts[draw as usize] += 1;
            same += u32::from(draw == below(bits(seed, Purpose::Tie, place, 3), 10));
        }
        assert!(counts.iter().all(|c| (9_600..10_400).contains(c)), "{counts:?}");
        assert!((9_600..10_400).contains(&same), "{same}");
    }
}
