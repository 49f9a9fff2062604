//! What a visitor likes and an ad offers: two directions among topics. Nobody is told; it shows only in clicks, which is
//! what a learner has to find out.

use crate::Random;

/// Topics, by number; the caller gives them names.
pub const TOPICS_COUNT: usize = 5;

/// How much a visitor cares for each topic; sums to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Taste(pub [f64; TOPICS_COUNT]);

impl Taste {
    /// Mostly one thing, a little of others: exponential weights, cubed and normalised.
    pub fn draw(random: &mut Random) -> Taste {
        let mut weights = [0.0; TOPICS_COUNT];
        weights.iter_mut().for_each(|w| *w = random.exponential().powi(3) + 1e-6);
        let sum: f64 = weights.iter().sum();
        Taste(weights.map(|w| w / sum))
    }
}

/// What an ad offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Appeal {
    /// Chance of a click by somebody who cares equally for everything and saw it.
    pub click_rate: f64,
    /// Chance that a click leads to an order.
    pub order_rate: f64,
    /// Topics it speaks to, each 0 to 1.
    pub topics: [f64; TOPICS_COUNT],
}

impl Appeal {
    /// Chance that a visitor of this taste clicks, having seen it: from a third of the ad's rate to three times it.
    pub fn click_probability(&self, taste: &Taste) -> f64 {
        let fit: f64 = self.topics.iter().zip(&taste.0).map(|(a, t)| a * t).sum();
        (self.click_rate * (1.0 / 3.0 + fit.clamp(0.0, 1.0) * 8.0 / 3.0)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn taste_decides_within_bounds() {
        let mut random = Random::new(5);
        let ad = Appeal { click_rate: 0.03, order_rate: 0.1, topics: [1.0, 0.0, 0.0, 0.0, 0.0] };
        let mut fans = 0;
        for _ in 0..1_000 {
            let taste = Taste::draw(&mut random);
            assert!((taste.0.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let chance = ad.click_probability(&taste);
            assert!((0.01 - 1e-9..=0.09 + 1e-9).contains(&chance), "{chance}");
            fans += usize::from(chance > 0.05);
        }
        assert!((100..400).contains(&fans), "{fans}");
    }
}
