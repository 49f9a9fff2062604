//! The product's learner as a policy of a simulated campaign: what serves in production decides here. Refuses shortcuts: it
//! sees outcomes, nothing of the truth.

use regie_learn::{
    allocation::Allocation,
    factor::{Learner, Settings},
    template::{Slot, Space, SpaceError},
};
use regie_sim::campaign::{Policy, Shown};

/// The learner and the table it published last.
pub struct Learned {
    learner: Learner,
    table: Allocation,
    contexts_count: usize,
    /// Tables made.
    tables_count: usize,
}

/// The space of a roster of assets.
///
/// # Errors
/// As [`Space::new`].
pub fn space(available: &[Vec<bool>], contexts_count: usize) -> Result<Space, SpaceError> {
    let slot = |row: &Vec<bool>| Slot { capacity: row.len() as u16, active: row.clone() };
    Space::new(available.iter().map(slot).collect(), contexts_count, Vec::new())
}

impl Learned {
    /// Knows nothing.
    ///
    /// # Errors
    /// As [`Space::new`].
    pub fn new(
        sizes: &[usize],
        contexts_count: usize,
        settings: Settings,
        seed: u64,
    ) -> Result<Learned, SpaceError> {
        let available: Vec<Vec<bool>> = sizes.iter().map(|size| vec![true; *size]).collect();
        let learner = Learner::new(space(&available, contexts_count)?, settings);
        let table = learner.allocate(seed);
        Ok(Learned { learner, table, contexts_count, tables_count: 1 })
    }
}

impl Policy for Learned {
    fn choose(&mut self, context: usize, bits: u64) -> Shown {
        self.table.draw(context, bits).assets
    }
    fn learn(&mut self, context: usize, shown: &Shown, success: bool) {
        let code = self.learner.space().encode(shown);
        self.learner.observe(context, code, 1.0, if success { 1.0 } else { 0.0 });
    }
    fn pause(&mut self, seed: u64) {
        if self.learner.is_due() {
            self.table = self.learner.refresh(seed);
            self.tables_count += 1;
        }
    }
    fn roster(&mut self, available: &[Vec<bool>]) {
        // Slots and capacities stay as they are, so that this cannot fail; if it did, the old table would go on.
        if let Ok(space) = space(available, self.contexts_count)
            && self.learner.continue_with(space).is_ok()
        {
            self.table = self.learner.allocate(self.tables_count as u64);
        }
    }
}
