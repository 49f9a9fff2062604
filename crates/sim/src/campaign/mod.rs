//! Simulated campaigns with a hidden truth: what a learner of versions is measured on.
//!
//! The specification stands in docs/SIMULATION.md; this is its code, fixed before the first result. A campaign is a
//! [`Truth`] (the chance of a success for every version in every context), a stream of contexts, and what happens on the
//! way ([`Events`]). Refuses IO, a clock and randomness of its own: (family, shape, seed) gives the same campaign.

mod list;
pub mod policies;
mod run;
mod truth;
mod uploaded;

pub use list::{EvenList, ListCampaign, ListPolicy, UnsharedThompson};
pub use run::{Campaign, Captured, PARTS_COUNT, Policy, SLOTS_MAX, Shown};
pub use truth::{Effect, Standing, Truth, TruthError};
pub use uploaded::{UPLOADED_COUNT, UploadedFamily, UploadedTruth};

use crate::Random;

/// How many contexts a template campaign has; each request's is drawn evenly.
pub const CONTEXTS_COUNT: usize = 10;
/// Chance of a success of a version without any effect.
pub const BASE_RATE: f64 = 0.01;
/// Effects other than zero in the sparse families.
pub const EFFECTS_COUNT: usize = 16;

/// Slots of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 10 x 59 x 50 x 20 x 10: 5,900,000 combinable versions.
    Large,
    /// 10 x 59 x 50 x 20: 590,000 combinable versions, 5.9 million with the context.
    Small,
}
impl Form {
    /// Assets of each slot.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Form::Large => &[10, 59, 50, 20, 10],
            Form::Small => &[10, 59, 50, 20],
        }
    }
    /// How many versions can be combined.
    pub fn versions_count(self) -> usize {
        self.sizes().iter().product()
    }
}

/// Which kind of truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// 6 assets, 6 pairs of assets and 4 assets in a context matter; log-odds N(0, 0.6^2).
    Sparse,
    /// 16 assets matter, no pair; log-odds N(0, 0.45^2).
    Mains,
    /// 2 assets, 10 pairs, 4 assets in a context; log-odds N(0, 0.8^2).
    Pairs,
    /// As `Sparse` in kinds, sizes Laplace with scale 0.45: a few large, many small.
    Heavy,
    /// Everything matters: assets N(0, 0.25^2), pairs and contexts N(0, 0.06^2).
    Dense,
    /// Nothing matters.
    Null,
    /// 8 assets, 4 pairs, 4 assets in a context, all for the better; log-odds N(0.4, 0.12^2). Added after the others' first result
    /// (docs/SIMULATION.md says why).
    Strong,
}
impl Family {
    /// All, in the order they are printed.
    pub const ALL: [Family; 7] = [
        Family::Sparse,
        Family::Mains,
        Family::Pairs,
        Family::Heavy,
        Family::Dense,
        Family::Null,
        Family::Strong,
    ];
    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Family::Sparse => "sparse",
            Family::Mains => "mains",
            Family::Pairs => "pairs",
            Family::Heavy => "heavy",
            Family::Dense => "dense",
            Family::Null => "null",
            Family::Strong => "strong",
        }
    }
    /// From the word.
    pub fn from_word(word: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.word() == word)
    }
    /// How many effects of each kind: assets, pairs, assets in a context.
    pub fn kinds(self) -> [usize; 3] {
        match self {
            Family::Sparse | Family::Heavy => [6, 6, 4],
            Family::Mains => [EFFECTS_COUNT, 0, 0],
            Family::Pairs => [2, 10, 4],
            Family::Strong => [8, 4, 4],
            Family::Dense | Family::Null => [0; 3],
        }
    }
    /// One effect, log-odds.
    fn size(self, random: &mut Random) -> f64 {
        match self {
            Family::Sparse => 0.6 * random.normal(),
            Family::Mains => 0.45 * random.normal(),
            Family::Pairs => 0.8 * random.normal(),
            Family::Heavy => {
                let sign = if random.chance(0.5) { 1.0 } else { -1.0 };
                0.45 * sign * random.exponential()
            }
            Family::Strong => 0.4 + 0.12 * random.normal(),
            Family::Dense | Family::Null => 0.0,
        }
    }
}

/// What happens to a campaign while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The learner hears of an outcome this many impressions later.
    pub delay_count: usize,
    /// Half-way, 30% of the effects (5 of 16) are drawn again: other features, other sizes, the same kinds.
    pub redrawn: bool,
    /// A tenth of each slot's assets joins after a quarter of the run; another tenth is retired half-way.
    pub assets_change: bool,
}

/// A source of its own for one purpose of one campaign.
pub fn source(family: Family, seed: u64, purpose: u64) -> Random {
    let mut random = Random::new(seed ^ (family as u64 + 1).wrapping_mul(0xa076_1d64_78bd_642f));
    let start = random.bits();
    Random::new(start ^ purpose.wrapping_mul(0xe703_7ed1_a0b4_28db))
}

/// Which assets of each slot can be shown in which third of a run with [`Events::assets_change`].
///
/// Asset numbers are drawn: first of each slot those that join late, then those that are retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// For each slot and asset: joins late.
    pub late: Vec<Vec<bool>>,
    /// For each slot and asset: retired half-way.
    pub retired: Vec<Vec<bool>>,
}
impl Roster {
    /// The roster of a campaign.
    pub fn draw(family: Family, form: Form, seed: u64) -> Roster {
        let mut random = source(family, seed, 3);
        let mut roster = Roster { late: Vec::new(), retired: Vec::new() };
        for size in form.sizes() {
            let tenth = (size / 10).max(1);
            let mut order: Vec<usize> = (0..*size).collect();
            for at in 0..2 * tenth {
                let other = at + (random.unit() * (size - at) as f64) as usize;
                order.swap(at, other.min(size - 1));
            }
            let mark = |chosen: &[usize]| (0..*size).map(|asset| chosen.contains(&asset)).collect();
            roster.late.push(mark(&order[..tenth]));
            roster.retired.push(mark(&order[tenth..2 * tenth]));
        }
        roster
    }
    /// Which assets can be shown: `joined` after the first quarter, `gone` after half.
    pub fn available(&self, joined: bool, gone: bool) -> Vec<Vec<bool>> {
        let slot = |(late, retired): (&Vec<bool>, &Vec<bool>)| {
            late.iter().zip(retired).map(|(late, retired)| (joined || !late) && !(gone && *retired)).collect()
        };
        self.late.iter().zip(&self.retired).map(slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn rosters_take_a_tenth_and_keep_the_rest() {
        let roster = Roster::draw(Family::Sparse, Form::Large, 4);
        let count =
            |rows: &[Vec<bool>]| rows.iter().map(|r| r.iter().filter(|x| **x).count()).collect::<Vec<_>>();
        assert_eq!(count(&roster.late), [1, 5, 5, 2, 1]);
        assert_eq!(count(&roster.retired), [1, 5, 5, 2, 1]);
        assert_eq!(count(&roster.available(false, false)), [9, 54, 45, 18, 9]);
        assert_eq!(count(&roster.available(true, true)), [9, 54, 45, 18, 9]);
    }
    #[test]
    fn purposes_and_families_have_sources_of_their_own() {
        let first = |family, seed, purpose| source(family, seed, purpose).bits();
        assert_eq!(first(Family::Sparse, 1, 1), first(Family::Sparse, 1, 1));
        assert_ne!(first(Family::Sparse, 1, 1), first(Family::Sparse, 1, 2));
        assert_ne!(first(Family::Sparse, 1, 1), first(Family::Pairs, 1, 1));
        assert_ne!(first(Family::Sparse, 1, 1), first(Family::Sparse, 2, 1));
    }
}
