//! Two streaming confidence sequences of a mean in [0, 1], from the first unit on, where order matters.
//!
//! The empirical-Bernstein sequence with predictable plug-in (Waudby-Smith, Ramdas, JRSS B 2024, Thm. 2, eq. 14-16) and
//! hedged capital (Thm. 3, eq. 24-26) with the same plug-in, on a grid of means. Reports use [`super::betting`], which needs
//! no history; these stand beside it, for continuous outcomes in a stream and as a check by another method.
//!
//! Refuses outcomes outside [0, 1]: they are cut, so that a stray value cannot make capital.

use super::Interval;

/// Running mean and variance, as the plug-in needs them: both with a pseudo-observation.
#[derive(Clone, Copy, Debug)]
struct Running {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Running {
    const NEW: Running = Running { count: 0.0, sum: 0.0, squares: 0.0 };
    fn mean(&self) -> f64 {
        (0.5 + self.sum) / (self.count + 1.0)
    }
    fn variance(&self) -> f64 {
        (0.25 + self.squares) / (self.count + 1.0)
    }
    fn push(&mut self, x: f64) {
        self.count += 1.0;
        self.sum += x;
        self.squares += (x - self.mean()).powi(2);
    }
    /// The bet on the next outcome (eq. 15, 26), before truncation.
    fn bet(&self, alpha: f64) -> f64 {
        let next = self.count + 1.0;
        (2.0 * (2.0 / alpha).ln() / (self.variance() * next * next.ln_1p())).sqrt()
    }
}

/// The empirical-Bernstein sequence.
#[derive(Clone, Debug)]
pub struct Bernstein {
    alpha: f64,
    boldest: f64,
    running: Running,
    weight: f64,
    weighted: f64,
    spread: f64,
}

impl Bernstein {
    /// At level 1 - `alpha`, bets cut at `boldest` (the paper uses 1/2 or 3/4).
    pub fn new(alpha: f64, boldest: f64) -> Bernstein {
        Bernstein { alpha, boldest, running: Running::NEW, weight: 0.0, weighted: 0.0, spread: 0.0 }
    }
    /// The next outcome.
    pub fn push(&mut self, outcome: f64) {
        let x = outcome.clamp(0.0, 1.0);
        let bet = self.running.bet(self.alpha).min(self.boldest);
        let surprise = (x - self.running.mean()).powi(2);
        self.weight += bet;
        self.weighted += bet * x;
        // v_i psi_E(lambda) = 4 (x - mean)^2 (-ln(1 - lambda) - lambda) / 4.
        self.spread += surprise * (-(-bet).ln_1p() - bet);
        self.running.push(x);
    }
    /// The sequence at this look, within [0, 1].
    pub fn interval(&self) -> Interval {
        if self.weight == 0.0 {
            return Interval { low: 0.0, high: 1.0 };
        }
        let half_width = ((2.0 / self.alpha).ln() + self.spread) / self.weight;
        let all = Interval::around(self.weighted / self.weight, half_width);
        Interval { low: all.low.max(0.0), high: all.high.min(1.0) }
    }
}

/// Hedged capital against one hypothetical mean.
#[derive(Clone, Debug)]
pub struct Hedge {
    mean: f64,
    alpha: f64,
    boldest: f64,
    running: Running,
    ln_above: f64,
    ln_below: f64,
}

impl Hedge {
    /// Against a mean of `mean`, tuned for 1 - `alpha`, bets cut at `boldest` of what they could lose.
    pub fn against(mean: f64, alpha: f64, boldest: f64) -> Hedge {
        Hedge { mean, alpha, boldest, running: Running::NEW, ln_above: 0.0, ln_below: 0.0 }
    }
    /// The next outcome.
    pub fn push(&mut self, outcome: f64) {
        let x = outcome.clamp(0.0, 1.0);
        let bet = self.running.bet(self.alpha);
        let above = bet.min(self.boldest / self.mean);
        let below = bet.min(self.boldest / (1.0 - self.mean));
        self.ln_above += (above * (x - self.mean)).ln_1p();
        self.ln_below += (-below * (x - self.mean)).ln_1p();
        self.running.push(x);
    }
    /// ln of the capital, the larger half counted (eq. 24, theta = 1/2).
    pub fn ln_capital(&self) -> f64 {
        self.ln_above.max(self.ln_below) - std::f64::consts::LN_2
    }
    /// Whether the mean is refuted at this look.
    pub fn refuted(&self) -> bool {
        self.ln_capital() >= -self.alpha.ln()
    }
}
/// The hedged-capital interval of `outcomes`, on a grid of `cells_count` cells, ends rounded outward to the grid.
pub fn hedged(outcomes: &[f64], alpha: f64, boldest: f64, cells_count: usize) -> Interval {
    let at = |cell: usize| cell as f64 / cells_count as f64;
    let kept = |mean: f64| {
        let mut hedge = Hedge::against(mean, alpha, boldest);
        outcomes.iter().for_each(|x| hedge.push(*x));
        !hedge.refuted()
    };
    let inside: Vec<usize> = (1..cells_count).filter(|cell| kept(at(*cell))).collect();
    match (inside.first(), inside.last()) {
        (Some(first), Some(last)) => Interval { low: at(first - 1), high: at(last + 1) },
        _ => Interval { low: 0.0, high: 1.0 },
    }
}
