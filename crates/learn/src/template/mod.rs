//! A template's versions as numbers: slots with assets, which may meet and which may not.
//!
//! A version is one asset of each slot; its [`Code`] is their mixed radix over each slot's *reserved capacity*, so that a new
//! asset renumbers nothing and an edit resets nothing. Versions are never listed. Refuses more than the limits below.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Slots a template can have.
pub const SLOTS_COUNT_MAX: usize = 8;
/// Assets a slot can reserve room for.
pub const CAPACITY_MAX: usize = 512;
/// Contexts a template can be learned in.
pub const CONTEXTS_COUNT_MAX: usize = 1_024;
/// Pairs of assets that must never meet.
pub const CONSTRAINTS_COUNT_MAX: usize = 4_096;
/// Effects a learner keeps: assets, pairs of assets, assets in contexts.
pub const EFFECTS_COUNT_MAX: usize = 2_000_000;
/// Codes below this fit a version id beside the bit that marks them.
pub const CODES_COUNT_MAX: u64 = 1 << 31;

/// Number of a version of a template: below the product of the capacities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(pub u32);

/// One asset of each slot; what stands beyond the last slot is zero.
pub type Assets = [u16; SLOTS_COUNT_MAX];

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// How many assets it can ever have; fixed when the template is booked.
    pub capacity: u16,
    /// For each asset booked so far whether it may be shown. Shorter than the capacity; the rest is room.
    pub active: Vec<bool>,
}

/// Two assets of different slots that never meet: (slot, asset) each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// One.
    pub first: (u8, u16),
    /// The other.
    pub second: (u8, u16),
}

/// Why a template cannot be learned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpaceError {
    /// No slot, or too many.
    #[error("a template has 1 to {SLOTS_COUNT_MAX} slots; this has {0}")]
    Slots(usize),
    /// A slot without room, or with too much.
    #[error("slot {0} reserves room for 1 to {CAPACITY_MAX} assets and has no more assets than that")]
    Capacity(usize),
    /// A slot in which nothing may be shown.
    #[error("slot {0} has no asset that may be shown")]
    Empty(usize),
    /// Too many combinations for a number.
    #[error("{0} combinations; at most {CODES_COUNT_MAX}")]
    Codes(u64),
    /// Too many effects to learn.
    #[error("{0} effects of assets, pairs and contexts; at most {EFFECTS_COUNT_MAX}")]
    Effects(usize),
    /// Too many contexts, or none.
    #[error("1 to {CONTEXTS_COUNT_MAX} contexts; this has {0}")]
    Contexts(usize),
    /// A constraint that names nothing, or one slot twice.
    #[error("constraint {0} must name assets of two different slots")]
    Constraint(usize),
    /// Too many constraints.
    #[error("at most {CONSTRAINTS_COUNT_MAX} constraints; this has {0}")]
    Constraints(usize),
    /// The constraints leave nothing.
    #[error("the constraints leave no version to show")]
    Nothing,
    /// A later form of a template changes a capacity, which would renumber its versions.
    #[error("slots and their capacities are fixed once booked")]
    Renumbered,
}

/// A template's versions, and the contexts they are shown in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    slots: Vec<Slot>,
    contexts_count: u16,
    constraints: Vec<Constraint>,
    /// Place value of each slot in a code.
    radix: Assets32,
    /// Assets that may be shown, per slot, ascending.
    choices: Vec<Vec<u16>>,
    /// A version that holds every constraint.
    some: Assets,
}
type Assets32 = [u32; SLOTS_COUNT_MAX];

impl Space {
    /// Checks a template.
    ///
    /// # Errors
    /// Each [`SpaceError`] in its case.
    pub fn new(
        slots: Vec<Slot>,
        contexts_count: usize,
        constraints: Vec<Constraint>,
    ) -> Result<Space, SpaceError> {
        if slots.is_empty() || slots.len() > SLOTS_COUNT_MAX {
            return Err(SpaceError::Slots(slots.len()));
        }
        if contexts_count == 0 || contexts_count > CONTEXTS_COUNT_MAX {
            return Err(SpaceError::Contexts(contexts_count));
        }
        for (index, slot) in slots.iter().enumerate() {
            let capacity = usize::from(slot.capacity);
            if capacity == 0 || capacity > CAPACITY_MAX || slot.active.len() > capacity {
                return Err(SpaceError::Capacity(index));
            }
            if !slot.active.contains(&true) {
                return Err(SpaceError::Empty(index));
            }
        }
        let codes: u64 = slots
            .iter()
            .map(|slot| u64::from(slot.capacity))
            .try_fold(1, u64::checked_mul)
            .unwrap_or(u64::MAX);
        if codes > CODES_COUNT_MAX {
            return Err(SpaceError::Codes(codes));
        }
        let effects = effects_count(&slots, contexts_count);
        if effects > EFFECTS_COUNT_MAX {
            return Err(SpaceError::Effects(effects));
        }
        if constraints.len() > CONSTRAINTS_COUNT_MAX {
            return Err(SpaceError::Constraints(constraints.len()));
        }
        let known =
            |(slot, asset): (u8, u16)| slots.get(usize::from(slot)).is_some_and(|s| asset < s.capacity);
        for (index, constraint) in constraints.iter().enumerate() {
            if constraint.first.0 == constraint.second.0
                || !known(constraint.first)
                || !known(constraint.second)
            {
                return Err(SpaceError::Constraint(index));
            }
        }
        let mut radix = [0; SLOTS_COUNT_MAX];
        let mut value = 1u32;
        for (place, slot) in radix.iter_mut().zip(&slots) {
            *place = value;
            value = value.saturating_mul(u32::from(slot.capacity));
        }
        let shown = |slot: &Slot| {
            (0u16..).zip(&slot.active).filter(|(_, active)| **active).map(|(asset, _)| asset).collect()
        };
        let choices = slots.iter().map(shown).collect();
        let contexts_count = contexts_count as u16;
        let mut space =
            Space { slots, contexts_count, constraints, radix, choices, some: [0; SLOTS_COUNT_MAX] };
        let mut some = [0; SLOTS_COUNT_MAX];
        if !space.complete(0, &mut some) {
            return Err(SpaceError::Nothing);
        }
        space.some = some;
        Ok(space)
    }
    /// Finds a version that holds every constraint, slot by slot, going back where a slot has none left.
    fn complete(&self, slot: usize, assets: &mut Assets) -> bool {
        let Some(choices) = self.choices.get(slot) else { return true };
        choices.iter().any(|asset| {
            assets[slot] = *asset;
            self.holds_up_to(slot, assets) && self.complete(slot + 1, assets)
        })
    }
    fn holds_up_to(&self, slot: usize, assets: &Assets) -> bool {
        let has = |(s, asset): (u8, u16)| usize::from(s) <= slot && assets[usize::from(s)] == asset;
        !self.constraints.iter().any(|c| has(c.first) && has(c.second))
    }
    /// Whether a later form keeps every number: the same slots and capacities; assets may have come and gone.
    pub fn is_continued_by(&self, later: &Space) -> bool {
        let capacities = |space: &Space| space.slots.iter().map(|s| s.capacity).collect::<Vec<_>>();
        capacities(self) == capacities(later) && self.contexts_count == later.contexts_count
    }
    /// The slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
    /// How many contexts.
    pub fn contexts_count(&self) -> usize {
        usize::from(self.contexts_count)
    }
    /// The pairs that never meet.
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }
    /// Assets of a slot that may be shown, ascending; never empty for a slot that is there.
    pub fn choices(&self, slot: usize) -> &[u16] {
        self.choices.get(slot).map_or(&[], Vec::as_slice)
    }
    /// How many versions can be combined, constraints aside.
    pub fn combinations_count(&self) -> u64 {
        self.choices.iter().map(|c| c.len() as u64).product()
    }
    /// A version that may be shown.
    pub fn some_version(&self) -> Assets {
        self.some
    }
    /// The number of a version.
    pub fn encode(&self, assets: &Assets) -> Code {
        Code(self.slots.iter().enumerate().map(|(slot, _)| u32::from(assets[slot]) * self.radix[slot]).sum())
    }
    /// The version of a number; `None` for a number that no version has.
    pub fn decode(&self, code: Code) -> Option<Assets> {
        let mut assets = [0; SLOTS_COUNT_MAX];
        let mut rest = code.0;
        for (place, slot) in assets.iter_mut().zip(&self.slots) {
            let capacity = u32::from(slot.capacity);
            *place = (rest % capacity) as u16;
            rest /= capacity;
        }
        (rest == 0).then_some(assets)
    }
    /// Whether the constraints allow it (whether or not its assets may still be shown).
    pub fn holds(&self, assets: &Assets) -> bool {
        self.constraints.is_empty() || self.holds_up_to(SLOTS_COUNT_MAX, assets)
    }
    /// Whether it may be shown: every asset active, every constraint held.
    pub fn may_show(&self, assets: &Assets) -> bool {
        let active =
            |(slot, s): (usize, &Slot)| s.active.get(usize::from(assets[slot])).copied().unwrap_or(false);
        self.slots.iter().enumerate().all(active) && self.holds(assets)
    }
}

fn effects_count(slots: &[Slot], contexts_count: usize) -> usize {
    let sizes: Vec<usize> = slots.iter().map(|s| usize::from(s.capacity)).chain([contexts_count]).collect();
    let pairs = sizes.iter().enumerate().flat_map(|(at, a)| sizes[at + 1..].iter().map(move |b| a * b));
    sizes.iter().sum::<usize>() + pairs.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn slot(capacity: u16, count: usize) -> Slot {
        Slot { capacity, active: vec![true; count] }
    }
    #[test]
    fn every_code_is_one_version() {
        let space = Space::new(vec![slot(3, 3), slot(4, 2), slot(2, 2)], 1, Vec::new()).unwrap();
        for code in 0..24 {
            let assets = space.decode(Code(code)).unwrap();
            assert_eq!(space.encode(&assets), Code(code));
            assert_eq!(space.may_show(&assets), assets[1] < 2);
        }
        assert_eq!(space.decode(Code(24)), None);
        assert_eq!(space.combinations_count(), 12);
    }
    #[test]
    fn a_new_asset_renumbers_nothing() {
        let before = Space::new(vec![slot(3, 2), slot(9, 5)], 1, Vec::new()).unwrap();
        let after = Space::new(vec![slot(3, 3), slot(9, 6)], 1, Vec::new()).unwrap();
        assert!(before.is_continued_by(&after));
        let assets = [1, 4, 0, 0, 0, 0, 0, 0];
        assert_eq!(before.encode(&assets), after.encode(&assets));
        let wider = Space::new(vec![slot(4, 3), slot(9, 6)], 1, Vec::new()).unwrap();
        assert!(!before.is_continued_by(&wider));
    }
    #[test]
    fn what_cannot_be_is_refused() {
        let never = |a, b| Constraint { first: (0, a), second: (1, b) };
        let new = |slots, constraints| Space::new(slots, 1, constraints).unwrap_err();
        assert_eq!(new(vec![], vec![]), SpaceError::Slots(0));
        assert_eq!(new(vec![slot(0, 0)], vec![]), SpaceError::Capacity(0));
        assert_eq!(new(vec![slot(2, 0)], vec![]), SpaceError::Empty(0));
        assert!(matches!(new(vec![slot(512, 1); 4], vec![]), SpaceError::Codes(_)));
        assert!(matches!(
            new(vec![slot(9, 1); 2], vec![Constraint { first: (0, 0), second: (0, 1) }]),
            SpaceError::Constraint(0)
        ));
        let all = vec![never(0, 0), never(0, 1), never(1, 0), never(1, 1)];
        assert_eq!(new(vec![slot(2, 2), slot(2, 2)], all), SpaceError::Nothing);
        let most = vec![never(0, 0), never(0, 1), never(1, 0)];
        let space = Space::new(vec![slot(2, 2), slot(2, 2)], 1, most).unwrap();
        assert_eq!(space.some_version()[..2], [1, 1]);
        assert!(!space.may_show(&[1, 0, 0, 0, 0, 0, 0, 0]));
    }
}
