//! When visitors come: a Poisson process whose rate follows the hour of the day, drawn by thinning
//! (Lewis and Shedler 1979).

use crate::Random;

/// How much of the mean rate each part of a day has; evenly spaced, read with linear interpolation, mean 1.
#[derive(Clone, Debug)]
pub struct DayShape {
    points: Vec<f64>,
    day_ms: f64,
}

impl DayShape {
    /// A news site's day: quiet at night, a hump before work, one at noon, the largest in the evening. `day_ms` is how
    /// long the day lasts; the demo's is shorter than the Earth's.
    pub fn news(day_ms: u32) -> DayShape {
        const POINTS: [f64; 24] = [
            0.45, 0.30, 0.22, 0.20, 0.22, 0.40, 0.80, 1.25, 1.40, 1.20, 1.10, 1.15, 1.40, 1.35, 1.10, 1.00,
            1.05, 1.20, 1.40, 1.60, 1.75, 1.60, 1.20, 0.75,
        ];
        DayShape::new(&POINTS, day_ms)
    }
    /// The same rate all day.
    pub fn flat() -> DayShape {
        DayShape::new(&[1.0], 1)
    }
    /// From points, brought to mean 1.
    pub fn new(points: &[f64], day_ms: u32) -> DayShape {
        let mean = points.iter().sum::<f64>() / points.len().max(1) as f64;
        let points = points.iter().map(|p| if mean > 0.0 { p.max(0.0) / mean } else { 1.0 }).collect();
        DayShape { points, day_ms: f64::from(day_ms.max(1)) }
    }
    /// Share of the mean rate at a moment.
    pub fn at(&self, ms: f64) -> f64 {
        let count = self.points.len();
        let place = (ms / self.day_ms).rem_euclid(1.0) * count as f64;
        let (index, part) = (place as usize % count, place.fract());
        self.points[index] * (1.0 - part) + self.points[(index + 1) % count] * part
    }
    fn peak(&self) -> f64 {
        self.points.iter().copied().fold(0.0, f64::max)
    }
}

/// The moments at which visitors come.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    shape: DayShape,
    per_second: f64,
    now_ms: f64,
}

impl Arrivals {
    /// Visitors with a mean rate, from a moment of the day on.
    pub fn new(seed: u64, shape: DayShape, per_second: f64, start_ms: f64) -> Arrivals {
        Arrivals { random: Random::new(seed), shape, per_second, now_ms: start_ms }
    }
}

impl Iterator for Arrivals {
    /// Milliseconds since the same zero as the start; never ends unless the rate is zero.
    type Item = f64;
    fn next(&mut self) -> Option<f64> {
        let peak = self.per_second * self.shape.peak();
        if peak <= 0.0 {
            return None;
        }
        loop {
            self.now_ms += self.random.exponential() * 1_000.0 / peak;
            if self.random.chance(self.shape.at(self.now_ms) / self.shape.peak()) {
                return Some(self.now_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_rate_follows_the_day() {
        let day = 100_000.0;
        let arrivals = Arrivals::new(3, DayShape::news(100_000), 200.0, 0.0);
        let mut hours = [0u32; 24];
        let all = arrivals.take_while(|at| *at < day * 10.0).inspect(|at| {
            hours[(at / day).fract().mul_add(24.0, 0.0) as usize] += 1;
        });
        let count = all.count();
        assert!((count as f64 / 200_000.0 - 1.0).abs() < 0.02, "{count}");
        assert!(hours[20] > 5 * hours[3], "{hours:?}");
    }
    #[test]
    fn nobody_comes_at_rate_zero() {
        assert_eq!(Arrivals::new(1, DayShape::flat(), 0.0, 0.0).next(), None);
    }
}
