//! One effect's posterior: how much of what was seen is the effect, and how much luck.
//!
//! The prior is a point at zero and normals of several widths around it, with weights that empirical Bayes learns from all effects of
//! a kind together: adaptive shrinkage (Stephens 2017, "False discovery rates: a new deal", section 2; spike and slab as in
//! Mitchell and Beauchamp 1988). Few large effects, many small ones or none at all are the same model with other weights, so
//! that nobody has to guess a scale. The likelihood is binomial in the effect's own log-odds; each normal's share of it is
//! integrated by Laplace's method. Refuses to look at more than one effect at a time.

/// Widths of the normals around zero, log-odds, before the prior scale.
pub const WIDTHS: [f64; 5] = [0.08, 0.2, 0.45, 0.9, 1.8];
/// Normals.
pub const SLABS: usize = WIDTHS.len();

/// Weights of the point at zero (first) and of the normals; they sum to 1.
pub type Weights = [f64; SLABS + 1];

/// What was seen of an effect with everything else held at its estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Showings.
    pub trials: f64,
    /// Successes (or reward between 0 and `trials`).
    pub reward: f64,
    /// Successes to be expected if the effect were zero.
    pub expected: f64,
}

/// Posterior of an effect, log-odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Probability of the point at zero, then of each normal.
    pub weights: [f32; SLABS + 1],
    /// Centre of each normal.
    pub centre: [f32; SLABS],
    /// Standard deviation of each normal.
    pub deviation: [f32; SLABS],
    /// Mean over all of them.
    pub mean: f32,
    /// Variance over all of them.
    pub variance: f32,
}

impl Posterior {
    /// What is believed before anything was seen.
    pub fn prior(weights: &Weights, scale: f64) -> Posterior {
        let mut prior = Posterior {
            weights: weights.map(|w| w as f32),
            centre: [0.0; SLABS],
            deviation: WIDTHS.map(|w| (w * scale) as f32),
            mean: 0.0,
            variance: 0.0,
        };
        prior.moments();
        prior
    }
    /// Probability that there is an effect at all.
    pub fn inclusion(&self) -> f64 {
        1.0 - f64::from(self.weights[0])
    }
    /// Chance that there is an effect above `least` (at least 0), and the expectation of what is above.
    pub fn above(&self, least: f64) -> (f64, f64) {
        let (mut chance, mut part) = (0.0, 0.0);
        for slab in 0..SLABS {
            let (weight, centre) = (f64::from(self.weights[slab + 1]), f64::from(self.centre[slab]));
            let deviation = f64::from(self.deviation[slab]);
            let z = (centre - least) / deviation;
            let above = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
            let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
            chance += weight * above;
            part += weight * ((centre - least) * above + deviation * density);
        }
        (chance, part)
    }
    /// Puts each normal where the likelihood draws it; log Bayes factors of the parts against the point at zero.
    fn integrate(&mut self, seen: Seen, scale: f64) -> [f64; SLABS + 1] {
        let likelihood = Likelihood::of(seen);
        let at_zero = likelihood.value(0.0);
        let mut evidence = [0.0f64; SLABS + 1];
        let mut start = 0.0;
        for slab in 0..SLABS {
            let precision = 1.0 / (WIDTHS[slab] * scale).powi(2);
            let (centre, curvature) = likelihood.peak(start, precision);
            start = centre;
            let height = likelihood.value(centre) - at_zero - 0.5 * centre * centre * precision;
            evidence[slab + 1] = height + 0.5 * (precision / curvature).ln();
            self.centre[slab] = centre as f32;
            self.deviation[slab] = curvature.sqrt().recip() as f32;
        }
        evidence
    }
    fn moments(&mut self) {
        let (mut mean, mut square) = (0.0, 0.0);
        for slab in 0..SLABS {
            let (weight, centre) = (self.weights[slab + 1], self.centre[slab]);
            mean += weight * centre;
            square += weight * (centre * centre + self.deviation[slab] * self.deviation[slab]);
        }
        self.mean = mean;
        self.variance = (square - mean * mean).max(0.0);
    }
    /// A draw: `unit` in [0, 1) chooses the part, `normal` the place in it.
    pub fn draw(&self, unit: f64, normal: impl FnOnce() -> f64) -> f32 {
        let mut left = unit as f32 - self.weights[0];
        if left < 0.0 {
            return 0.0;
        }
        for slab in 0..SLABS {
            left -= self.weights[slab + 1];
            if left < 0.0 || slab + 1 == SLABS {
                return self.centre[slab] + self.deviation[slab] * normal() as f32;
            }
        }
        0.0
    }
}

/// Expected successes below which nothing can be told, unless there was one.
const NOTHING: f64 = 0.02;

/// Posterior of one effect. `scale` multiplies [`WIDTHS`].
pub fn posterior(seen: Seen, weights: &Weights, scale: f64) -> Posterior {
    let mut result = Posterior::prior(weights, scale);
    if seen.trials <= 0.0 || (seen.expected < NOTHING && seen.reward <= 0.0) {
        return result;
    }
    let evidence = result.integrate(seen, scale);
    let most = evidence.iter().copied().fold(0.0, f64::max);
    let parts =
        std::array::from_fn::<f64, { SLABS + 1 }, _>(|part| (evidence[part] - most).exp() * weights[part]);
    let sum: f64 = parts.iter().sum();
    result.weights = parts.map(|part| (part / sum) as f32);
    result.moments();
    result
}

/// Log of the posterior odds that there is an effect: tells apart what [`Posterior::inclusion`] rounds to 1.
pub fn log_odds(seen: Seen, weights: &Weights, scale: f64) -> f64 {
    let evidence = Posterior::prior(weights, scale).integrate(seen, scale);
    let most = evidence[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 =
        evidence[1..].iter().zip(&weights[1..]).map(|(value, weight)| (value - most).exp() * weight).sum();
    most + sum.ln() - weights[0].max(1e-12).ln()
}

/// reward x effect - trials x ln(1 + odds x e^effect): binomial, up to a constant.
struct Likelihood {
    trials: f64,
    reward: f64,
    odds: f64,
}
impl Likelihood {
    fn of(seen: Seen) -> Likelihood {
        let rate = (seen.expected / seen.trials).clamp(1e-9, 1.0 - 1e-9);
        Likelihood { trials: seen.trials, reward: seen.reward.min(seen.trials), odds: rate / (1.0 - rate) }
    }
    fn value(&self, effect: f64) -> f64 {
        self.reward * effect - self.trials * (self.odds * effect.exp()).ln_1p()
    }
    /// Where likelihood times normal prior is highest, and its curvature there (Newton, steps bounded).
    fn peak(&self, start: f64, precision: f64) -> (f64, f64) {
        let mut effect = start;
        let mut curvature = precision;
        for _ in 0..12 {
            let odds = self.odds * effect.exp();
            let rate = odds / (1.0 + odds);
            curvature = self.trials * rate * (1.0 - rate) + precision;
            let step = (self.reward - self.trials * rate - effect * precision) / curvature;
            effect = (effect + step.clamp(-1.0, 1.0)).clamp(-12.0, 12.0);
            if step.abs() < 1e-3 {
                break;
            }
        }
        (effect, curvature)
    }
}

/// Steps of expectation maximisation each time.
const STEPS: usize = 12;

/// Learns the weights of a kind of effects from their posteriors under the weights `before`: expectation maximisation with a
/// Dirichlet prior of these pseudo-counts, over the effects' Bayes factors, so that nothing needs to be integrated again.
pub fn learn_weights(effects: &[&Posterior], before: &Weights, pseudo: &Weights) -> Weights {
    // Weight after over weight before: the Bayes factors up to a factor for each effect.
    let factors: Vec<[f64; SLABS + 1]> = effects
        .iter()
        .map(|effect| {
            let mut factor = [0.0; SLABS + 1];
            for part in 0..=SLABS {
                factor[part] = f64::from(effect.weights[part]) / before[part].max(1e-12);
            }
            factor
        })
        .collect();
    let total = pseudo.iter().sum::<f64>() + effects.len() as f64;
    let mut weights = *before;
    for _ in 0..STEPS {
        let mut counts = *pseudo;
        for factor in &factors {
            let mut parts = [0.0; SLABS + 1];
            let mut sum = 0.0;
            for part in 0..=SLABS {
                parts[part] = factor[part] * weights[part];
                sum += parts[part];
            }
            let scale = 1.0 / sum.max(1e-300);
            (0..=SLABS).for_each(|part| counts[part] += parts[part] * scale);
        }
        weights = counts.map(|count| count / total);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    const WEIGHTS: Weights = [0.9, 0.02, 0.02, 0.02, 0.02, 0.02];

    #[test]
    fn much_evidence_is_believed_and_little_is_shrunk() {
        let seen =
            |times: f64| Seen { trials: 1_000.0 * times, reward: 20.0 * times, expected: 10.0 * times };
        let much = posterior(seen(1_000.0), &WEIGHTS, 1.0);
        let truth = (0.02f64 / 0.98).ln() - (0.01f64 / 0.99).ln();
        assert!((f64::from(much.mean) - truth).abs() < 0.02, "{}", much.mean);
        assert!(much.inclusion() > 0.999 && much.variance.sqrt() < 0.02);
        let little = posterior(seen(0.1), &WEIGHTS, 1.0);
        assert!(little.mean > 0.0 && little.mean < 0.1, "{}", little.mean);
        let none = posterior(Seen { trials: 1e6, reward: 10_000.0, expected: 10_000.0 }, &WEIGHTS, 1.0);
        assert!(none.inclusion() < 0.1 && none.mean.abs() < 0.01);
    }
    #[test]
    fn agrees_with_integration_on_a_grid() {
        for (trials, reward, expected) in
            [(200.0, 5.0, 2.0), (50.0, 30.0, 20.0), (3_000.0, 12.0, 30.0), (40.0, 0.0, 1.5)]
        {
            let seen = Seen { trials, reward, expected };
            let got = posterior(seen, &WEIGHTS, 1.0);
            let likelihood = Likelihood::of(seen);
            let at_zero = likelihood.value(0.0);
            let (mut sum, mut first) = (WEIGHTS[0], 0.0);
            for (width, weight) in WIDTHS.iter().zip(&WEIGHTS[1..]) {
                for step in -40_000..40_000 {
                    let effect = f64::from(step) * 2e-4;
                    let prior =
                        (-0.5 * (effect / width).powi(2)).exp() / (width * std::f64::consts::TAU.sqrt());
                    let mass = weight * prior * 2e-4 * (likelihood.value(effect) - at_zero).exp();
                    sum += mass;
                    first += mass * effect;
                }
            }
            let exact = (WEIGHTS[0] / sum, first / sum);
            assert!(
                (f64::from(got.weights[0]) - exact.0).abs() < 0.03,
                "{seen:?}: {} {}",
                got.weights[0],
                exact.0
            );
            assert!((f64::from(got.mean) - exact.1).abs() < 0.04, "{seen:?}: {} {}", got.mean, exact.1);
        }
    }
    #[test]
    fn draws_follow_the_posterior() {
        let post = posterior(Seen { trials: 500.0, reward: 11.0, expected: 5.0 }, &WEIGHTS, 1.0);
        let mut stream = crate::stream::Stream::new(1, 1);
        let draws: Vec<f64> = (0..40_000)
            .map(|_| {
                let u = stream.unit();
                f64::from(post.draw(u, || stream.normal()))
            })
            .collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let zeros = draws.iter().filter(|d| **d == 0.0).count() as f64 / draws.len() as f64;
        assert!(
            (mean - f64::from(post.mean)).abs() < 0.01 && (zeros - f64::from(post.weights[0])).abs() < 0.01
        );
    }
    #[test]
    fn weights_are_learned_from_all_effects_together() {
        // 30 of 1,000 effects are real, all of width 0.9.
        let mut stream = crate::stream::Stream::new(5, 1);
        let pseudo = [5.0, 0.2, 0.2, 0.2, 0.2, 0.2];
        let seen: Vec<Seen> = (0..1_000)
            .map(|n| {
                let effect = if n < 30 { 0.9 * stream.normal() } else { 0.0 };
                let mean = 200.0 * effect.exp();
                Seen {
                    trials: 20_000.0,
                    reward: (mean + mean.sqrt() * stream.normal()).max(0.0),
                    expected: 200.0,
                }
            })
            .collect();
        let mut weights = WEIGHTS;
        for _ in 0..10 {
            let effects: Vec<Posterior> = seen.iter().map(|s| posterior(*s, &weights, 1.0)).collect();
            let all: Vec<&Posterior> = effects.iter().collect();
            weights = learn_weights(&all, &weights, &pseudo);
        }
        assert!((0.935..0.985).contains(&weights[0]), "{weights:?}");
        assert!(weights[3] + weights[4] + weights[5] > weights[1] + weights[2], "{weights:?}");
    }
}
