//! Experiments: who gets which arm, what may be compared, and what the comparison says.
//!
//! Every experiment names its *unit*: what is randomised, once, and counted, once. Assignment is a function of the
//! experiment's salt and the unit's key, so that it needs no memory and is the same on every machine (law D1). Refuses
//! units that the rules do not allow ([`rules`]): without a token nothing about a person is randomised, and a political
//! experiment never uses a visitor unless consent for that purpose was recorded (law P1).

pub mod lift;
pub mod plot;
pub mod report;
pub mod rules;
pub mod tally;

/// Parts of a whole split.
pub const WHOLE_PPM: u32 = 1_000_000;
/// Arms of one experiment at most.
pub const ARMS_COUNT_MAX: usize = 16;
const HOUR_MS: i64 = 3_600_000;

/// What is randomised and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Unit {
    /// A visitor, by a token that was consented to.
    Visitor = 1,
    /// One page view.
    PageView = 2,
    /// A placement for an hour: everybody there sees the same arm, then it switches (switchback).
    PlacementHour = 3,
    /// A region for a day.
    RegionDay = 4,
}

impl Unit {
    /// All, in the order in which they are offered.
    pub const ALL: [Unit; 4] = [Unit::Visitor, Unit::PageView, Unit::PlacementHour, Unit::RegionDay];
    /// Its word in plans, answers and pages.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Visitor => "visitor",
            Unit::PageView => "page_view",
            Unit::PlacementHour => "placement_hour",
            Unit::RegionDay => "region_day",
        }
    }
    /// Several of them, in a sentence.
    pub fn plural(self) -> &'static str {
        match self {
            Unit::Visitor => "visitors",
            Unit::PageView => "page views",
            Unit::PlacementHour => "hours of a placement",
            Unit::RegionDay => "days of a region",
        }
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|u| u.word() == word)
    }
}

/// Which unit of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// A visitor, by a hash of the token (the token itself never comes here).
    pub fn visitor(token_hash: u64) -> Key {
        Key(mix(token_hash))
    }
    /// A page view, by the seed of its decision.
    pub fn page_view(seed: u64) -> Key {
        Key(mix(seed ^ 0x7061_6765_7669_6577))
    }
    /// A placement in the hour of `at_ms` (UTC milliseconds).
    pub fn placement_hour(placement: u32, at_ms: i64) -> Key {
        Key(mix(mix(u64::from(placement)).wrapping_add(at_ms.div_euclid(HOUR_MS) as u64)))
    }
    /// A region on a day, by the day's number.
    pub fn region_day(region: &str, day: i32) -> Key {
        let name = region.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| mix(h ^ u64::from(b)));
        Key(mix(name.wrapping_add(day as i64 as u64)))
    }
}

/// The salt of an ad set's experiment: its name draws all units anew.
pub fn salt(ad_set: u32, name: &str) -> u64 {
    name.bytes().fold(u64::from(ad_set).wrapping_add(0x9e37_79b9_7f4a_7c15), |salt, byte| {
        (salt ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17)
    })
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
const fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Shares of the arms, in parts per million; they sum to [`WHOLE_PPM`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split(Vec<u32>);

/// Why shares are no split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an experiment has 2 to {ARMS_COUNT_MAX} arms whose shares, each above 0, sum to 1,000,000 ppm; these {arms} sum to {sum}"
)]
pub struct NoSplit {
    /// Arms given.
    pub arms: usize,
    /// Their sum.
    pub sum: u64,
}

impl Split {
    /// From the arms' shares.
    ///
    /// # Errors
    /// [`NoSplit`].
    pub fn new(shares_ppm: &[u32]) -> Result<Split, NoSplit> {
        let sum: u64 = shares_ppm.iter().map(|s| u64::from(*s)).sum();
        let sound = (2..=ARMS_COUNT_MAX).contains(&shares_ppm.len()) && sum == u64::from(WHOLE_PPM);
        if !sound || shares_ppm.contains(&0) {
            return Err(NoSplit { arms: shares_ppm.len(), sum });
        }
        Ok(Split(shares_ppm.to_vec()))
    }
    /// Shares in 0..1, in the order of arms.
    pub fn shares(&self) -> Vec<f64> {
        self.0.iter().map(|s| f64::from(*s) / f64::from(WHOLE_PPM)).collect()
    }
    /// The arm of a unit: always the same for the same salt, and independent between salts.
    pub fn arm(&self, salt: u64, unit: Unit, key: Key) -> usize {
        let bits = mix(mix(salt ^ ((unit as u64) << 56)).wrapping_add(key.0));
        let mut bucket = ((u128::from(bits) * u128::from(WHOLE_PPM)) >> 64) as u32;
        for (arm, share) in self.0.iter().enumerate() {
            if bucket < *share {
                return arm;
            }
            bucket -= share;
        }
        self.0.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::fixed::{RATIO_MISMATCH_P, sample_ratio};

    #[test]
    fn assignment_is_repeatable_even_and_independent_between_experiments() {
        let split = Split::new(&[500_000, 300_000, 200_000]).unwrap();
        let mut counts = [0u64; 3];
        let mut both = [0u64; 9];
        for key in 0..120_000u64 {
            let arm = split.arm(1, Unit::PageView, Key::page_view(key));
            assert_eq!(arm, split.arm(1, Unit::PageView, Key::page_view(key)));
            counts[arm] += 1;
            both[3 * arm + split.arm(2, Unit::PageView, Key::page_view(key))] += 1;
        }
        let shares = split.shares();
        assert!(sample_ratio(&counts, &shares).unwrap().1 > RATIO_MISMATCH_P, "{counts:?}");
        let products: Vec<f64> = shares.iter().flat_map(|a| shares.iter().map(move |b| a * b)).collect();
        assert!(sample_ratio(&both, &products).unwrap().1 > RATIO_MISMATCH_P, "{both:?}");
    }

    #[test]
    fn neighbouring_hours_and_days_switch_evenly() {
        let split = Split::new(&[500_000, 500_000]).unwrap();
        let (mut hours, mut days, mut changes) = ([0u64; 2], [0u64; 2], 0);
        let mut last = 0;
        for i in 0..20_000i64 {
            let arm = split.arm(9, Unit::PlacementHour, Key::placement_hour(7, i * HOUR_MS + i % HOUR_MS));
            hours[arm] += 1;
            changes += u64::from(arm != last);
            last = arm;
            days[split.arm(9, Unit::RegionDay, Key::region_day("FR-IDF", i as i32))] += 1;
        }
        for counts in [hours, days, [changes, 20_000 - changes]] {
            assert!(sample_ratio(&counts, &[0.5, 0.5]).unwrap().1 > RATIO_MISMATCH_P, "{counts:?}");
        }
        let hour = |at| split.arm(9, Unit::PlacementHour, Key::placement_hour(7, at));
        assert_eq!(hour(0), hour(HOUR_MS - 1));
    }

    #[test]
    fn what_is_no_split_is_refused() {
        for shares in [&[1_000_000][..], &[500_000, 400_000], &[1_000_000, 0], &[62_500; 17]] {
            assert!(Split::new(shares).is_err(), "{shares:?}");
        }
    }
}
