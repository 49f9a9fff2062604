//! One visitor after the other: page, device, language, country and taste, drawn together as they hang together.

use crate::{Random, Taste, taste::TOPICS_COUNT};

/// What somebody holds in their hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Desktop or laptop.
    Desktop,
    /// Phone.
    Phone,
    /// Tablet.
    Tablet,
}

impl Device {
    /// A plausible user agent of the class.
    pub fn user_agent(self) -> &'static str {
        match self {
            Device::Desktop => {
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
            }
            Device::Phone => {
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36"
            }
            Device::Tablet => {
                "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
            }
        }
    }
}

/// A page that can be visited.
#[derive(Clone, Debug)]
pub struct Page {
    /// Share of visits among all pages, for somebody who cares equally for everything.
    pub weight: f64,
    /// The topic that draws people to it; none draws everybody alike.
    pub topic: Option<usize>,
}

/// Somebody who came.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Index of the page.
    pub page: usize,
    /// Device.
    pub device: Device,
    /// BCP 47 primary language.
    pub language: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// What they like.
    pub taste: Taste,
    random: Random,
}

impl Visitor {
    /// Whether they scroll so far that the placement at this position of the page (0 is the top) is seen for a second.
    pub fn sees(&mut self, position: usize) -> bool {
        let patience = if self.device == Device::Phone { 0.72 } else { 0.82 };
        self.random.chance(0.92 * f64::powi(patience, i32::try_from(position).unwrap_or(i32::MAX)))
    }
    /// Whether something of a probability happens to them.
    pub fn does(&mut self, probability: f64) -> bool {
        self.random.chance(probability)
    }
}

/// Where visitors come from.
#[derive(Clone, Debug)]
pub struct Audience {
    random: Random,
    pages: Vec<Page>,
}

const DEVICES: [(Device, f64); 3] = [(Device::Phone, 0.56), (Device::Desktop, 0.36), (Device::Tablet, 0.08)];
const PLACES: [(&str, &str, f64); 6] = [
    ("FR", "fr", 0.46),
    ("BE", "fr", 0.14),
    ("IE", "en", 0.16),
    ("DE", "de", 0.10),
    ("NL", "nl", 0.08),
    ("ES", "es", 0.06),
];

impl Audience {
    /// Visitors of these pages; at least one.
    pub fn new(seed: u64, pages: Vec<Page>) -> Audience {
        Audience { random: Random::new(seed), pages }
    }
    /// The next visitor.
    pub fn visitor(&mut self) -> Visitor {
        let taste = Taste::draw(&mut self.random);
        // Who cares for a topic is drawn to its page.
        let draw = |page: &Page| {
            page.weight * page.topic.map_or(1.0, |t| 0.25 + taste.0[t] * TOPICS_COUNT as f64 * 0.75)
        };
        let page = self.random.weighted(self.pages.iter().map(draw));
        let device = DEVICES[self.random.weighted(DEVICES.iter().map(|d| d.1))].0;
        let place = PLACES[self.random.weighted(PLACES.iter().map(|p| p.2))];
        let random = Random::new(self.random.bits());
        Visitor { page, device, language: place.1, country: place.0, taste, random }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn audience() -> Audience {
        Audience::new(11, vec![Page { weight: 2.0, topic: None }, Page { weight: 1.0, topic: Some(0) }])
    }
    #[test]
    fn the_same_seed_gives_the_same_visitors() {
        let (mut a, mut b) = (audience(), audience());
        for _ in 0..100 {
            assert_eq!(format!("{:?}", a.visitor()), format!("{:?}", b.visitor()));
        }
    }
    #[test]
    fn pages_draw_those_who_like_their_topic() {
        let mut audience = audience();
        let mut means = [(0.0, 0.0); 2];
        for _ in 0..5_000 {
            let visitor = audience.visitor();
            means[visitor.page].0 += visitor.taste.0[0];
            means[visitor.page].1 += 1.0;
        }
        assert!(means[1].0 / means[1].1 > 1.8 * means[0].0 / means[0].1, "{means:?}");
    }
    #[test]
    fn what_stands_lower_is_seen_less() {
        let mut audience = audience();
        let mut seen = [0; 2];
        for _ in 0..4_000 {
            let mut visitor = audience.visitor();
            seen[0] += usize::from(visitor.sees(0));
            seen[1] += usize::from(visitor.sees(4));
        }
        assert!(seen[1] * 2 < seen[0], "{seen:?}");
    }
}
