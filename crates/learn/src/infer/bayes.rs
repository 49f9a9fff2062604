//! Bayesian answers: how probable is it that this version is best, and what is lost if it is not.
//!
//! Of rates with beta posteriors, exact by quadrature, and of effects with a normal posterior (flat prior), as the
//! reference implementation gbstats computes them. They say what to believe given the prior; they do not bound how often
//! one errs when looking again and again. Refuses an improper posterior: parameters are kept above zero.

use super::{
    fixed::Effect,
    special::{BetaCdf, normal_cdf, normal_density, quadrature},
};

/// A beta posterior of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Successes and their prior.
    pub a: f64,
    /// Failures and theirs.
    pub b: f64,
}

impl Beta {
    /// After `successes` of `count`, from the uniform prior Beta(1, 1).
    pub fn after(successes: u64, count: u64) -> Beta {
        Beta { a: 1.0 + successes as f64, b: 1.0 + count.saturating_sub(successes) as f64 }
    }
    /// Its mean.
    pub fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }
    fn deviation(&self) -> f64 {
        let sum = self.a + self.b;
        (self.a * self.b / (sum * sum * (sum + 1.0))).sqrt()
    }
}

/// What quadrature says of one version among several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Probability to be the best.
    pub best: f64,
    /// Expected loss, in the rate's unit, if this one is chosen: E[max of all - this].
    pub expected_loss: f64,
}

/// Where quadrature samples: in u with x = u^2, since mass crowds at zero, in panels of at most half a deviation of
/// the sharpest posterior.
fn nodes(arms: &[Beta], mut each: impl FnMut(f64, f64)) {
    const DEVIATIONS: f64 = 40.0;
    const PANELS_MAX: f64 = 4_000.0;
    let top = |arm: &Beta| (arm.mean() + DEVIATIONS * arm.deviation()).min(1.0);
    let bottom = |arm: &Beta| (arm.mean() - DEVIATIONS * arm.deviation()).max(0.0);
    let low = arms.iter().map(bottom).fold(1.0, f64::min).sqrt();
    let high = arms.iter().map(top).fold(0.0, f64::max).sqrt();
    // A deviation in x is about deviation / (2 sqrt(mean)) in u.
    let sharpest = arms.iter().map(|a| a.deviation() / (2.0 * a.mean().sqrt())).fold(1.0, f64::min);
    let panels = ((high - low) / (1.5 * sharpest)).ceil().clamp(64.0, PANELS_MAX);
    quadrature(low, high, panels as usize, |u, weight| each(u * u, 2.0 * u * weight));
}

/// The standing of every arm: P(best) = integral of f_k prod F_j, E[max] = low + integral of 1 - prod F_j.
pub fn standings(arms: &[Beta]) -> Vec<Standing> {
    let cdfs: Vec<BetaCdf> = arms.iter().map(|a| BetaCdf::new(a.a, a.b)).collect();
    let mut best = vec![0.0; arms.len()];
    let mut loss = vec![0.0; arms.len()];
    let mut below = vec![0.0; arms.len()];
    let mut others = vec![0.0; arms.len()];
    nodes(arms, |x, weight| {
        below.iter_mut().zip(&cdfs).for_each(|(f, cdf)| *f = cdf.at(x));
        products_of_others(&below, &mut others);
        for (k, cdf) in cdfs.iter().enumerate() {
            best[k] += weight * cdf.density(x) * others[k];
            // E[max] - E[k] = integral of F_k - prod F, from zero to one.
            loss[k] += weight * below[k] * (1.0 - others[k]);
        }
    });
    let standing = |(best, expected_loss): (f64, f64)| Standing { best, expected_loss };
    best.into_iter().zip(loss).map(standing).collect()
}

/// For each place the product of all other values.
fn products_of_others(values: &[f64], out: &mut [f64]) {
    let mut before = 1.0;
    for (out, value) in out.iter_mut().zip(values) {
        *out = before;
        before *= value;
    }
    let mut after = 1.0;
    for (out, value) in out.iter_mut().zip(values).rev() {
        *out *= after;
        after *= value;
    }
}

/// For each arm the probabilities to be ranked first, second, ... `ranks_count`-th: what Thompson sampling of that many
/// different arms shows at each place, exactly. Row k, column r.
pub fn ranks(arms: &[Beta], ranks_count: usize) -> Vec<Vec<f64>> {
    let cdfs: Vec<BetaCdf> = arms.iter().map(|a| BetaCdf::new(a.a, a.b)).collect();
    let mut table = vec![vec![0.0; ranks_count]; arms.len()];
    let mut above = vec![0.0; arms.len()];
    let mut exactly = vec![0.0; ranks_count];
    nodes(arms, |x, weight| {
        above.iter_mut().zip(&cdfs).for_each(|(p, cdf)| *p = 1.0 - cdf.at(x));
        for (k, cdf) in cdfs.iter().enumerate() {
            let density = weight * cdf.density(x);
            if density == 0.0 {
                continue;
            }
            // P(exactly r of the others lie above x): a Poisson-binomial, cut at the ranks that matter.
            exactly.fill(0.0);
            exactly[0] = 1.0;
            for (_, p) in above.iter().enumerate().filter(|(j, _)| *j != k) {
                for r in (0..ranks_count).rev() {
                    exactly[r] = exactly[r] * (1.0 - p) + if r > 0 { exactly[r - 1] * p } else { 0.0 };
                }
            }
            table[k].iter_mut().zip(&exactly).for_each(|(cell, p)| *cell += density * p);
        }
    });
    table
}

/// P(B > A) of an effect with a flat prior: the normal approximation of gbstats.
pub fn chance_to_win(effect: &Effect) -> f64 {
    normal_cdf(effect.estimate / effect.variance.sqrt())
}

/// Expected loss of (keeping control, switching to the treated arm), in the effect's unit, with a flat prior.
pub fn expected_losses(effect: &Effect) -> (f64, f64) {
    let deviation = effect.variance.sqrt();
    let z = effect.estimate / deviation;
    let gain = deviation * (normal_density(z) + z * normal_cdf(z));
    (gain, gain - effect.estimate)
}
