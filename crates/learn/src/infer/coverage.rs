//! How often confidence sequences miss the truth when watched from the first unit on: simulated, from a seed.
//!
//! Two arms, units one after the other. Allocation is fixed at one half, or adaptive: Thompson sampling (normal posteriors)
//! on the outcomes that have *arrived*, refreshed every [`REFRESH_UNITS`], probabilities cut to [`FLOOR`]. Outcomes arrive
//! late, after a geometric delay; a unit enters the sequences, in order of exposure, when its window has closed. A run
//! counts as a miss if a sequence excludes the truth at any look, and every unit is a look.
//!
//! Refuses randomness of its own. The capital watched here is the one of [`super::betting`], by the same bets, at the one
//! mean that matters; tests compare the two.

use super::{
    betting::{BETS_MAX, Bets, Bounds},
    fixed::{Effect, Sample, Scale},
    plug_in::{Bernstein, Hedge},
    sequential,
    special::normal_cdf,
};
use std::collections::VecDeque;

/// Units between two refreshes of the adaptive allocation.
pub const REFRESH_UNITS: u64 = 100;
/// Least probability of either arm under adaptive allocation: declared beforehand, it bounds the weights.
pub const FLOOR: f64 = 0.1;
/// The level of every sequence.
pub const ALPHA: f64 = 0.05;
/// What the treated arm's rate is over control's, where there is an effect.
pub const EFFECT: f64 = 1.5;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Control's rate.
    pub rate: f64,
    /// Whether the treated arm's rate is [`EFFECT`] times as high.
    pub effect: bool,
    /// Adaptive allocation, else one half each.
    pub adaptive: bool,
    /// Units in one run.
    pub units_count: u64,
    /// Mean delay of an outcome, in units; its window is four times as long.
    pub delay_units: u64,
}

/// A way to make an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Control's rate, by betting on its own units.
    Rate,
    /// Control's rate, empirical Bernstein.
    RateBernstein,
    /// Control's rate, hedged capital.
    RateHedged,
    /// The treated arm's rate over all units, outcomes weighted by 1/propensity.
    Weighted,
    /// The difference of rates over all units, outcomes weighted by 1/propensity.
    Difference,
    /// The difference, asymptotic sequence, from its burn-in on.
    Asymptotic,
    /// The difference, one look's interval looked at again and again: the mistake that the others avoid.
    Repeated,
}

impl Method {
    /// All, in the order of results.
    pub const ALL: [Method; 7] = [
        Method::Rate,
        Method::RateBernstein,
        Method::RateHedged,
        Method::Weighted,
        Method::Difference,
        Method::Asymptotic,
        Method::Repeated,
    ];
    /// Whether it promises to hold from the first unit on.
    pub fn promises(self) -> bool {
        !matches!(self, Method::Asymptotic | Method::Repeated)
    }
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Method::Rate => "rate, betting",
            Method::RateBernstein => "rate, empirical Bernstein",
            Method::RateHedged => "rate, hedged capital",
            Method::Weighted => "rate, weighted, betting",
            Method::Difference => "difference, weighted, betting",
            Method::Asymptotic => "difference, asymptotic after burn-in",
            Method::Repeated => "difference, repeated z (no sequence)",
        }
    }
}

/// Which methods missed in one run, in the order of [`Method::ALL`].
pub type Missed = [bool; Method::ALL.len()];

/// The most that `runs_count` runs of a 95% sequence may miss: 5% and two Monte Carlo standard errors, as a share.
pub fn allowed(runs_count: u64) -> f64 {
    ALPHA + 2.0 * (ALPHA * (1.0 - ALPHA) / runs_count as f64).sqrt()
}

/// Even bits from a seed: SplitMix64 (Steele, Lea, Flood 2014).
struct Bits(u64);
impl Bits {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The capital of [`super::betting`] against one mean, unit by unit.
#[derive(Clone, Debug)]
pub struct Watch {
    mean: f64,
    bets: [[f64; BETS_MAX]; 2],
    capital: [[f64; BETS_MAX]; 2],
    counts: [f64; 2],
}

impl Watch {
    /// Against `mean`.
    pub fn against(mean: f64, bounds: &Bounds) -> Watch {
        let sides = [(Bets::above(bounds), mean, 1.0), (Bets::below(bounds), -mean, -1.0)];
        let mut watch =
            Watch { mean, bets: [[0.0; BETS_MAX]; 2], capital: [[0.0; BETS_MAX]; 2], counts: [0.0; 2] };
        for (side, (bets, mean, sign)) in sides.iter().enumerate() {
            for (i, bet) in bets.against(*mean).enumerate() {
                watch.bets[side][i] = sign * bet;
                watch.capital[side][i] = 1.0;
                watch.counts[side] += 1.0;
            }
        }
        watch
    }
    /// The next outcome; whether the mean is refuted at this look.
    pub fn push(&mut self, outcome: f64) -> bool {
        let surprise = outcome - self.mean;
        let mut most = 0f64;
        for side in 0..2 {
            let mut sum = 0.0;
            for (capital, bet) in self.capital[side].iter_mut().zip(&self.bets[side]) {
                // Kept off the slow numbers near zero; a trace of capital more, never less.
                *capital = (*capital * (1.0 + bet * surprise)).max(1e-250);
                sum += *capital;
            }
            most = most.max(sum / self.counts[side]);
        }
        most >= 2.0 / ALPHA
    }
    /// ln capital of the bets on (above, below).
    pub fn ln_capital(&self) -> (f64, f64) {
        let ln = |side: usize| (self.capital[side].iter().sum::<f64>() / self.counts[side]).ln();
        (ln(0), ln(1))
    }
}

/// Exposed, not yet counted.
struct Pending {
    treated: bool,
    propensity: f64,
    success: bool,
}

/// Successes and units of an arm.
#[derive(Clone, Copy, Default)]
struct Arm {
    successes: u64,
    count: u64,
}
impl Arm {
    fn sample(self) -> Sample {
        Sample::of_rate(self.successes, self.count)
    }
}

/// Probability of the treated arm by Thompson sampling with normal posteriors, cut at the floor.
fn thompson(arms: &[Arm; 2]) -> f64 {
    let posterior = |arm: Arm| {
        let (a, b) = (arm.successes as f64 + 0.5, (arm.count - arm.successes) as f64 + 20.0);
        let mean = a / (a + b);
        (mean, mean * (1.0 - mean) / (a + b + 1.0))
    };
    let ((control, v0), (treated, v1)) = (posterior(arms[0]), posterior(arms[1]));
    normal_cdf((treated - control) / (v0 + v1).sqrt()).clamp(FLOOR, 1.0 - FLOOR)
}

/// Everything that is watched in one run.
struct Watched {
    truth: [f64; 2],
    rate: Watch,
    bernstein: Bernstein,
    hedge: Hedge,
    weighted: Watch,
    difference: Watch,
    arms: [Arm; 2],
    missed: Missed,
}

impl Watched {
    fn new(setting: &Setting) -> Watched {
        let truth = [setting.rate, setting.rate * if setting.effect { EFFECT } else { 1.0 }];
        let floor = if setting.adaptive { FLOOR } else { 0.5 };
        let difference = truth[1] - truth[0];
        Watched {
            truth,
            rate: Watch::against(truth[0], &Bounds::RATE),
            bernstein: Bernstein::new(ALPHA, 0.5),
            hedge: Hedge::against(truth[0], ALPHA, 0.5),
            weighted: Watch::against(truth[1], &Bounds::weighted_rate(floor)),
            difference: Watch::against(difference, &Bounds::weighted_difference(floor, floor)),
            arms: [Arm::default(); 2],
            missed: [false; Method::ALL.len()],
        }
    }
    fn count(&mut self, unit: &Pending) {
        let outcome = f64::from(u8::from(unit.success));
        let arm = &mut self.arms[usize::from(unit.treated)];
        arm.count += 1;
        arm.successes += u64::from(unit.success);
        if !unit.treated {
            self.missed[0] |= self.rate.push(outcome);
            self.bernstein.push(outcome);
            self.missed[1] |= !self.bernstein.interval().contains(self.truth[0]);
            self.hedge.push(outcome);
            self.missed[2] |= self.hedge.refuted();
        }
        let weight = if unit.treated { 1.0 / unit.propensity } else { 1.0 / (1.0 - unit.propensity) };
        let (weighted, sign) = if unit.treated { (outcome * weight, 1.0) } else { (0.0, -1.0) };
        self.missed[3] |= self.weighted.push(weighted);
        self.missed[4] |= self.difference.push(sign * outcome * weight);
        self.compare();
    }
    /// The two that wait for a burn-in.
    fn compare(&mut self) {
        if self.missed[5] && self.missed[6]
            || !self.arms.iter().all(|a| sequential::burnt_in(a.successes, a.count))
        {
            return;
        }
        let [control, treated] = self.arms.map(Arm::sample);
        let Some(effect) = Effect::of(&control, &treated, Scale::Absolute) else { return };
        let truth = self.truth[1] - self.truth[0];
        self.missed[5] |= !sequential::asymptotic(&effect, ALPHA, 5_000.0).contains(truth);
        self.missed[6] |= (effect.estimate - truth).abs() > 1.959_963_984_540_054 * effect.variance.sqrt();
    }
}

/// One run.
pub fn run(setting: &Setting, seed: u64) -> Missed {
    let mut bits = Bits(seed);
    let mut watched = Watched::new(setting);
    let window = (4 * setting.delay_units) as usize;
    let mut pending: VecDeque<Pending> = VecDeque::with_capacity(window + 1);
    // Successes that arrive so many units from now, by arm; failures are known when the window closes.
    let mut arriving: VecDeque<[u64; 2]> = VecDeque::from(vec![[0; 2]; window + 1]);
    let mut arrived = [Arm::default(); 2];
    let mut propensity = 0.5;
    for unit in 0..setting.units_count {
        if let Some(now) = arriving.pop_front() {
            (0..2).for_each(|arm| arrived[arm].successes += now[arm]);
            arriving.push_back([0; 2]);
        }
        if setting.adaptive && unit % REFRESH_UNITS == 0 && unit > 0 {
            propensity = thompson(&arrived);
        }
        let treated = bits.uniform() < propensity;
        let success = bits.uniform() < watched.truth[usize::from(treated)];
        // Counted as shown at once: an outcome on its way is a failure so far, as in real logs.
        arrived[usize::from(treated)].count += 1;
        if success {
            let delay = (-(1.0 - bits.uniform()).ln() * setting.delay_units as f64) as usize;
            arriving[delay.min(window)][usize::from(treated)] += 1;
        }
        pending.push_back(Pending { treated, propensity, success });
        if pending.len() > window
            && let Some(closed) = pending.pop_front()
        {
            watched.count(&closed);
        }
    }
    pending.iter().for_each(|unit| watched.count(unit));
    watched.missed
}

/// The settings of the study: rates of 0.1%, 1%, 10%, with and without an effect, fixed and adaptive; outcomes late.
pub fn settings(units_count: u64) -> Vec<Setting> {
    let mut all = Vec::new();
    for rate in [0.001, 0.01, 0.1] {
        for adaptive in [false, true] {
            for effect in [false, true] {
                all.push(Setting { rate, effect, adaptive, units_count, delay_units: 100 });
            }
        }
    }
    all
}
