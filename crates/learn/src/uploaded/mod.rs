//! The learner of uploaded versions: a list, in groups that may or may not resemble each other.
//!
//! Version rates are Beta around their group's mean, group means Beta around the mean of all; how tightly, both times, is learned by
//! empirical Bayes (maximum marginal likelihood on a grid), so that groups that say nothing are ignored and groups that say much are used
//! (Gelman et al., Bayesian Data Analysis, section 5.3). Thompson sampling: each draw's best version gets a part of the table.
//!
//! **Many versions, few showings.** Of millions most are never shown. A draw looks at every version that was shown, and at one
//! new version for each group: a door, not the best of millions of lucky guesses. So the number of versions tried grows with what was
//! learned and not with the length of the list (compare the subsampling of Bayati et al. 2020, section 4). Refuses IO, a clock and
//! randomness of its own (laws D1, D2).

use crate::stream::Stream;
use serde::{Deserialize, Serialize};

/// How a list is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Posterior draws for each table.
    pub draws_count: u16,
    /// Share of showings drawn evenly over all versions, parts per million.
    pub explore_ppm: u32,
    /// Success rate expected before anything was seen.
    pub base_rate: f64,
    /// Best-known version's least share of draws: top-two Thompson sampling serves it in this part of them and the draw's best in the rest
    /// (Russo 2020); 0 is plain Thompson sampling.
    pub leader_share: f64,
}
impl Default for Settings {
    fn default() -> Settings {
        Settings { draws_count: 64, explore_ppm: 5_000, base_rate: 0.01, leader_share: 0.0 }
    }
}

/// What was seen of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    group: u32,
    trials: f64,
    reward: f64,
    active: bool,
}

/// A share of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Place of the version in the list.
    pub version: u32,
    /// Posterior draws it won.
    pub won: u16,
}

/// A published table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Share of showings drawn evenly, parts per million.
    pub explore_ppm: u32,
    /// Versions that may be shown.
    pub active: Vec<u32>,
    /// Winners; the most frequent first.
    pub winners: Vec<Share>,
}

/// How tightly versions and groups keep together, in showings' worth of prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tightness {
    /// Versions around their group's mean.
    pub within: f64,
    /// Groups around the mean of all.
    pub between: f64,
    /// The mean of all.
    pub mean: f64,
}

/// A learner of a list of versions for one objective.
#[derive(Clone, Debug)]
pub struct Uploaded {
    settings: Settings,
    versions: Vec<Seen>,
    groups_count: usize,
}

impl Uploaded {
    /// Of versions with their groups; nothing seen.
    pub fn new(groups: &[u32], settings: Settings) -> Uploaded {
        let versions =
            groups.iter().map(|group| Seen { group: *group, active: true, ..Seen::default() }).collect();
        let groups_count = groups.iter().max().map_or(0, |group| *group as usize + 1);
        Uploaded { settings, versions, groups_count }
    }
    /// Adds a version; returns its place.
    pub fn push(&mut self, group: u32) -> u32 {
        self.versions.push(Seen { group, active: true, ..Seen::default() });
        self.groups_count = self.groups_count.max(group as usize + 1);
        (self.versions.len() - 1) as u32
    }
    /// Whether a version may be shown; its history stays.
    pub fn set_active(&mut self, version: u32, active: bool) {
        if let Some(seen) = self.versions.get_mut(version as usize) {
            seen.active = active;
        }
    }
    /// Adds outcomes: showings, and their reward in all (between 0 and `trials`).
    pub fn observe(&mut self, version: u32, trials: f64, reward: f64) {
        if let Some(seen) = self.versions.get_mut(version as usize) {
            seen.trials += trials;
            seen.reward += reward;
        }
    }
    /// Weighs the past less.
    pub fn discount(&mut self, factor: f64) {
        for seen in &mut self.versions {
            seen.trials *= factor;
            seen.reward *= factor;
        }
    }
    /// How tightly versions and groups keep together, as far as was seen.
    pub fn tightness(&self) -> Tightness {
        let shown: Vec<Seen> = self.versions.iter().filter(|seen| seen.trials > 0.0).copied().collect();
        let (trials, reward) =
            shown.iter().fold((0.0, 0.0), |sum, seen| (sum.0 + seen.trials, sum.1 + seen.reward));
        // A hundred showings' worth of what was expected.
        let mean = (reward + 100.0 * self.settings.base_rate) / (trials + 100.0);
        let mut tightness = Tightness { within: 1_000.0, between: 1_000.0, mean };
        // Each in turn, the other held: group means need the versions' scatter, and the other way round.
        for _ in 0..3 {
            let groups = self.groups(&shown, &tightness);
            let means = self.means(&groups, &tightness);
            let versions = shown.iter().map(|seen| (seen.trials, seen.reward, means[seen.group as usize]));
            tightness.within = tightest(versions.collect::<Vec<_>>().as_slice());
            let groups = self.groups(&shown, &tightness);
            let rows: Vec<_> =
                groups.iter().filter(|g| g.0 > 0.0).map(|(n, s)| (*n, *s, tightness.mean)).collect();
            tightness.between = tightest(&rows);
            // The mean of groups, each as it counts.
            let weights = rows.iter().map(|(n, s, _)| (n / (n + tightness.between), s / n));
            let (sum, weighted) =
                weights.fold((1e-3, 1e-3 * tightness.mean), |a, (w, r)| (a.0 + w, a.1 + w * r));
            tightness.mean = weighted / sum;
        }
        tightness
    }
    /// What each group's versions say about its mean: showings and reward, each version counted as far as it tells.
    fn groups(&self, shown: &[Seen], tightness: &Tightness) -> Vec<(f64, f64)> {
        let mut groups = vec![(0.0, 0.0); self.groups_count];
        for seen in shown {
            let tells = tightness.within / (seen.trials + tightness.within);
            let group = &mut groups[seen.group as usize];
            group.0 += seen.trials * tells;
            group.1 += seen.reward * tells;
        }
        groups
    }
    fn means(&self, groups: &[(f64, f64)], tightness: &Tightness) -> Vec<f64> {
        let prior = tightness.between;
        groups
            .iter()
            .map(|(n, s)| ((s + prior * tightness.mean) / (n + prior)).clamp(1e-9, 1.0 - 1e-9))
            .collect()
    }
    /// Expected rate and its standard deviation, by version.
    pub fn expected(&self) -> Vec<(f64, f64)> {
        let tightness = self.tightness();
        let shown: Vec<Seen> = self.versions.iter().filter(|seen| seen.trials > 0.0).copied().collect();
        let means = self.means(&self.groups(&shown, &tightness), &tightness);
        self.versions
            .iter()
            .map(|seen| expected(seen, means[seen.group as usize], tightness.within))
            .collect()
    }
    /// The next table.
    pub fn allocate(&self, seed: u64) -> Shares {
        let mut stream = Stream::new(seed, 0x7570_6c64);
        let tightness = self.tightness();
        let shown: Vec<Seen> = self.versions.iter().filter(|seen| seen.trials > 0.0).copied().collect();
        let groups = self.groups(&shown, &tightness);
        let means = self.means(&groups, &tightness);
        let active: Vec<u32> =
            (0u32..).zip(&self.versions).filter(|(_, seen)| seen.active).map(|(at, _)| at).collect();
        let (rivals, leader) = self.rivals(&active, &means, tightness.within);
        let mut doors: Vec<Vec<u32>> = vec![Vec::new(); self.groups_count];
        for at in &active {
            let seen = &self.versions[*at as usize];
            if seen.trials <= 0.0 {
                doors[seen.group as usize].push(*at);
            }
        }
        let mut winners = Vec::new();
        for number in 0..self.settings.draws_count.max(1) {
            let follows =
                f64::from(number) < self.settings.leader_share * f64::from(self.settings.draws_count);
            if let Some(leader) = leader.filter(|_| follows) {
                winners.push(leader);
                continue;
            }
            let drawn: Vec<f64> =
                groups.iter().map(|(n, s)| draw_mean(&mut stream, *n, *s, &tightness)).collect();
            let mut best = (f64::NEG_INFINITY, None);
            for at in &rivals {
                let seen = &self.versions[*at as usize];
                let value = draw(&mut stream, seen, drawn[seen.group as usize], tightness.within);
                if value > best.0 {
                    best = (value, Some(*at));
                }
            }
            for (group, unseen) in doors.iter().enumerate().filter(|(_, unseen)| !unseen.is_empty()) {
                let value = draw(&mut stream, &Seen::default(), drawn[group], tightness.within);
                if value > best.0 {
                    best = (value, Some(unseen[stream.below(unseen.len() as u64) as usize]));
                }
            }
            winners.extend(best.1);
        }
        Shares { explore_ppm: self.settings.explore_ppm, active, winners: tally(winners) }
    }
    /// Versions shown before that a draw can choose, and the one with the highest expected rate. One that lies more than five standard
    /// deviations below the best expected rate wins no draw in a million.
    fn rivals(&self, active: &[u32], means: &[f64], within: f64) -> (Vec<u32>, Option<u32>) {
        let shown = active.iter().filter(|at| self.versions[**at as usize].trials > 0.0);
        let values: Vec<(u32, f64, f64)> = shown
            .map(|at| {
                let seen = &self.versions[*at as usize];
                let (mean, deviation) = expected(seen, means[seen.group as usize], within);
                (*at, mean, deviation)
            })
            .collect();
        let leader = values.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let best = leader.map_or(0.0, |leader| leader.1);
        let rivals = values.iter().filter(|(_, mean, deviation)| mean + 5.0 * deviation >= best);
        (rivals.map(|(at, ..)| *at).collect(), leader.map(|leader| leader.0))
    }
}

fn expected(seen: &Seen, mean: f64, within: f64) -> (f64, f64) {
    let count = seen.trials + within;
    let rate = (seen.reward + within * mean) / count;
    (rate, (rate * (1.0 - rate) / (count + 1.0)).sqrt())
}

fn draw_mean(stream: &mut Stream, trials: f64, reward: f64, tightness: &Tightness) -> f64 {
    let prior = tightness.between;
    let a = reward + prior * tightness.mean;
    stream.beta(a.max(1e-6), (trials + prior - a).max(1e-6)).clamp(1e-9, 1.0 - 1e-9)
}

fn draw(stream: &mut Stream, seen: &Seen, mean: f64, within: f64) -> f64 {
    let a = seen.reward + within * mean;
    stream.beta(a.max(1e-6), (seen.trials + within - a).max(1e-6))
}

/// Rows of which the likelihood is made.
const ROWS_MAX: usize = 1_000;

/// The prior weight, in showings, under which rows of (trials, reward, mean) are most probable: beta-binomial marginal likelihood, on a
/// grid of factors of 1.6 from 10 to 10 million, with a slight preference for tight (one nat a factor of ten thousand).
fn tightest(rows: &[(f64, f64, f64)]) -> f64 {
    // Thousands of rows say as much as millions: each so-manieth, in order.
    let step = rows.len().div_ceil(ROWS_MAX).max(1);
    let rows: Vec<(f64, f64, f64)> = rows.iter().step_by(step).copied().collect();
    let mut best = (f64::NEG_INFINITY, 1_000.0);
    let mut weight = 10.0f64;
    while weight < 1e7 {
        let likelihood: f64 =
            rows.iter().map(|(trials, reward, mean)| beta_binomial(*trials, *reward, *mean, weight)).sum();
        let value = likelihood + weight.ln() / 9.2;
        if value > best.0 {
            best = (value, weight);
        }
        weight *= 1.6;
    }
    best.1
}

fn beta_binomial(trials: f64, reward: f64, mean: f64, weight: f64) -> f64 {
    let (a, b) = (weight * mean, weight * (1.0 - mean));
    ln_beta(reward + a, (trials - reward).max(0.0) + b) - ln_beta(a, b)
}
fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

fn tally(mut winners: Vec<u32>) -> Vec<Share> {
    winners.sort_unstable();
    let mut shares: Vec<Share> = Vec::new();
    for version in winners {
        match shares.last_mut() {
            Some(last) if last.version == version => last.won += 1,
            _ => shares.push(Share { version, won: 1 }),
        }
    }
    shares.sort_by_key(|share| (std::cmp::Reverse(share.won), share.version));
    shares
}

impl Shares {
    fn draws_count(&self) -> f64 {
        self.winners.iter().map(|share| f64::from(share.won)).sum()
    }
    /// Draws a version by 64 even bits: its place in the list and its exact probability. `None` where nothing may be shown.
    pub fn draw(&self, bits: u64) -> Option<(u32, f64)> {
        let mut stream = Stream::new(bits, 0x6472_6177);
        let draws = self.draws_count();
        let explores = draws <= 0.0 || stream.unit() < f64::from(self.explore_ppm) / 1e6;
        let version = if explores {
            *self.active.get(stream.below(self.active.len() as u64) as usize)?
        } else {
            let mut left = stream.below(draws as u64) as i64;
            let found = self.winners.iter().find(|share| {
                left -= i64::from(share.won);
                left < 0
            });
            found?.version
        };
        Some((version, self.propensity(version)))
    }
    /// Exact probability of a version: zero for one that may not be shown.
    pub fn propensity(&self, version: u32) -> f64 {
        if self.active.binary_search(&version).is_err() {
            return 0.0;
        }
        let even = 1.0 / self.active.len() as f64;
        let draws = self.draws_count();
        if draws <= 0.0 {
            return even;
        }
        let explore = f64::from(self.explore_ppm) / 1e6;
        let won = self
            .winners
            .iter()
            .find(|share| share.version == version)
            .map_or(0.0, |share| f64::from(share.won));
        (1.0 - explore) * won / draws + explore * even
    }
}

#[cfg(test)]
mod tests;
