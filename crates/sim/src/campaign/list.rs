//! Running a policy over a list of uploaded versions, and two policies that share nothing between them.
//!
//! Every policy meets the same truth and the same luck for the same seed. Refuses to tell a policy anything but outcomes.

use super::{Captured, PARTS_COUNT, UPLOADED_COUNT, UploadedFamily, UploadedTruth};
use crate::Random;

/// Requests between two tables.
const BATCH: usize = 10_000;
/// Posterior draws of a table.
const DRAWS: usize = 64;

/// Something that chooses from a list and hears what became of it.
pub trait ListPolicy {
    /// Chooses a version's place in the list; `bits` are 64 even bits for its chances.
    fn choose(&mut self, bits: u64) -> u32;
    /// An outcome is known.
    fn learn(&mut self, version: u32, success: bool);
    /// Between two requests: the moment for work in the background.
    fn pause(&mut self, _seed: u64) {}
    /// Other versions can be shown from now on.
    fn roster(&mut self, available: &[bool]);
}

/// Which campaign.
#[derive(Clone, Copy, Debug)]
pub struct ListCampaign {
    /// Family of the truth.
    pub family: UploadedFamily,
    /// Seed of truth and luck.
    pub seed: u64,
    /// Requests.
    pub requests_count: usize,
    /// A tenth of the versions joins after a quarter of the run, another tenth is retired half-way.
    pub versions_change: bool,
}

impl ListCampaign {
    /// Which versions can be shown in a quarter of the run (0 to 3).
    fn available(&self, quarter: usize) -> Vec<bool> {
        let mut random = Random::new(self.seed ^ 0x726f_7374_6572);
        let mut order: Vec<usize> = (0..UPLOADED_COUNT).collect();
        let tenth = UPLOADED_COUNT / 10;
        for at in 0..2 * tenth {
            let other = at + (random.unit() * (UPLOADED_COUNT - at) as f64) as usize;
            order.swap(at, other.min(UPLOADED_COUNT - 1));
        }
        let mut available = vec![true; UPLOADED_COUNT];
        if self.versions_change {
            let late = order[..tenth].iter().filter(|_| quarter < 1);
            let gone = order[tenth..2 * tenth].iter().filter(|_| quarter >= 2);
            late.chain(gone).for_each(|at| available[*at] = false);
        }
        available
    }
    /// Runs it.
    pub fn run(&self, policy: &mut dyn ListPolicy) -> Captured {
        let truth = UploadedTruth::draw(self.family, self.seed);
        let mut random =
            Random::new(self.seed ^ (self.family as u64 + 31).wrapping_mul(0xe703_7ed1_a0b4_28db));
        let mut captured = Captured { parts: vec![[0.0; 3]; PARTS_COUNT], successes: 0.0 };
        let (mut mean, mut best) = (0.0, 0.0);
        for at in 0..self.requests_count {
            let quarter = at * 4 / self.requests_count;
            if at == 0 || quarter != (at - 1) * 4 / self.requests_count {
                let available = self.available(quarter);
                policy.roster(&available);
                let open =
                    truth.rates.iter().zip(&available).filter(|(_, open)| **open).map(|(rate, _)| *rate);
                let count = available.iter().filter(|open| **open).count();
                mean = open.clone().sum::<f64>() / count as f64;
                best = open.fold(0.0, f64::max);
            }
            let (bits, luck) = (random.bits(), random.unit());
            let version = policy.choose(bits);
            let rate = truth.rates[version as usize];
            let sums = &mut captured.parts[at * PARTS_COUNT / self.requests_count];
            sums[0] += rate;
            sums[1] += mean;
            sums[2] += best;
            captured.successes += if luck < rate { 1.0 } else { 0.0 };
            policy.learn(version, luck < rate);
            policy.pause(bits);
        }
        captured
    }
}

fn opened(available: &[bool]) -> Vec<u32> {
    (0u32..).zip(available).filter(|(_, open)| **open).map(|(at, _)| at).collect()
}

/// Every version alike.
#[derive(Default)]
pub struct EvenList {
    open: Vec<u32>,
}
impl ListPolicy for EvenList {
    fn choose(&mut self, bits: u64) -> u32 {
        self.open[(Random::new(bits).unit() * self.open.len() as f64) as usize]
    }
    fn learn(&mut self, _: u32, _: bool) {}
    fn roster(&mut self, available: &[bool]) {
        self.open = opened(available);
    }
}

/// Thompson sampling, each version for itself: Beta(1, 99), a table of 64 draws each 10,000 requests.
pub struct UnsharedThompson {
    open: Vec<u32>,
    seen: Vec<(f64, f64)>,
    table: Vec<u32>,
    requests_count: usize,
    random: Random,
}
impl UnsharedThompson {
    /// Over so many versions.
    pub fn new(count: usize, seed: u64) -> UnsharedThompson {
        let random = Random::new(seed ^ 0x756e_7368);
        UnsharedThompson {
            open: Vec::new(),
            seen: vec![(0.0, 0.0); count],
            table: Vec::new(),
            requests_count: 0,
            random,
        }
    }
    fn draw_table(&mut self) {
        let mut table = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            let mut best = (f64::NEG_INFINITY, 0);
            for at in &self.open {
                let (trials, successes) = self.seen[*at as usize];
                let a = gamma(&mut self.random, 1.0 + successes);
                let value = a / (a + gamma(&mut self.random, 99.0 + trials - successes));
                if value > best.0 {
                    best = (value, *at);
                }
            }
            table.push(best.1);
        }
        self.table = table;
    }
}
impl ListPolicy for UnsharedThompson {
    fn choose(&mut self, bits: u64) -> u32 {
        self.table[(Random::new(bits).unit() * self.table.len() as f64) as usize]
    }
    fn learn(&mut self, version: u32, success: bool) {
        let seen = &mut self.seen[version as usize];
        seen.0 += 1.0;
        seen.1 += f64::from(u8::from(success));
    }
    fn pause(&mut self, _: u64) {
        self.requests_count += 1;
        if self.requests_count.is_multiple_of(BATCH) {
            self.draw_table();
        }
    }
    fn roster(&mut self, available: &[bool]) {
        self.open = opened(available);
        self.draw_table();
    }
}

/// A gamma variate of shape at least 1 (Marsaglia and Tsang 2000).
fn gamma(random: &mut Random, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = random.normal();
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && random.unit().max(1e-300).ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn campaign(versions_change: bool) -> ListCampaign {
        ListCampaign { family: UploadedFamily::Structured, seed: 5, requests_count: 200_000, versions_change }
    }
    #[test]
    fn gamma_variates_have_their_mean_and_variance() {
        let mut random = Random::new(3);
        for shape in [1.0, 2.5, 400.0] {
            let values: Vec<f64> = (0..40_000).map(|_| gamma(&mut random, shape)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((mean / shape - 1.0).abs() < 0.02 && (variance / shape - 1.0).abs() < 0.06, "{shape}");
        }
    }
    #[test]
    fn thompson_gains_and_an_even_draw_does_not() {
        let gained = campaign(false).run(&mut UnsharedThompson::new(UPLOADED_COUNT, 1)).last_tenth().unwrap();
        let even = campaign(false).run(&mut EvenList::default()).whole().unwrap();
        assert!(gained > 0.2 && even.abs() < 0.02, "{gained} {even}");
    }
    #[test]
    fn versions_join_and_leave() {
        let count = |quarter| campaign(true).available(quarter).iter().filter(|open| **open).count();
        assert_eq!([count(0), count(1), count(2), count(3)], [900, 1_000, 900, 900]);
        campaign(true).run(&mut UnsharedThompson::new(UPLOADED_COUNT, 1));
    }
}
