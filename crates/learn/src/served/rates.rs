//! Predicted action rates from Regie's own counts: campaign, ad set, ad, placement, and ad set at placement, each as far as it tells.
//!
//! A rate is the overall rate times a multiplier for each level. Counts given the multiplier are Poisson around what the other levels
//! expect; multipliers are Gamma around 1, as tightly as the level's own scatter says (empirical Bayes: maximum of the negative
//! binomial marginal likelihood; Gelman et al., Bayesian Data Analysis, sections 2.6 and 5.1). So a multiplier is
//! `(actions + t) / (expected + t)`: a new ad has its parent's rate, one with many impressions its own. Levels are fitted in turn
//! (backfitting). Refuses a rate of zero, which could never win and never learn, and one above 1.

use std::collections::BTreeMap;

/// Actions that the constant prior is worth.
const PRIOR_ACTIONS: f64 = 10.0;
/// Rounds over the levels.
const ROUNDS: usize = 4;
/// Rows of which a level's tightness is learned.
const ROWS_MAX: usize = 2_000;
/// Tightness of a level of which nothing was seen: neither blind nor deaf.
const TIGHT_UNKNOWN: f64 = 8.0;

/// Impressions and actions of an ad at a placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which campaign.
    pub campaign: u32,
    /// Which ad set.
    pub ad_set: u32,
    /// Which ad.
    pub ad: u32,
    /// Where.
    pub placement: u32,
    /// Impressions.
    pub impressions: f64,
    /// Clicks, or conversions.
    pub actions: f64,
}

/// The levels, in the order in which they are fitted.
const LEVELS: usize = 5;
const CAMPAIGN: usize = 1;
const AD_SET: usize = 2;
const AD: usize = 3;
const PLACE: usize = 0;
const AD_SET_PLACE: usize = 4;
fn key(level: usize, row: &Row) -> (u32, u32) {
    match level {
        PLACE => (row.placement, 0),
        CAMPAIGN => (row.campaign, 0),
        AD_SET => (row.ad_set, 0),
        AD => (row.ad, 0),
        _ => (row.ad_set, row.placement),
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Level {
    /// How tightly multipliers keep to 1, in expected actions.
    tight: f64,
    multipliers: BTreeMap<(u32, u32), f64>,
}
impl Level {
    fn of(&self, key: (u32, u32)) -> f64 {
        self.multipliers.get(&key).copied().unwrap_or(1.0)
    }
}

/// What is expected of every ad at every place.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    overall: f64,
    levels: [Level; LEVELS],
}

impl Rates {
    /// Fits all levels; `prior` is the rate before anything was seen.
    pub fn fit(rows: &[Row], prior: f64) -> Rates {
        let (impressions, actions) =
            rows.iter().fold((0.0, 0.0), |sum, row| (sum.0 + row.impressions, sum.1 + row.actions));
        let prior = prior.clamp(1e-9, 0.5);
        let strength = PRIOR_ACTIONS / prior;
        let overall = (actions + PRIOR_ACTIONS) / (impressions + strength);
        let level = || Level { tight: TIGHT_UNKNOWN, multipliers: BTreeMap::new() };
        let mut rates = Rates { overall, levels: std::array::from_fn(|_| level()) };
        for _ in 0..ROUNDS {
            for level in 0..LEVELS {
                rates.levels[level] = rates.fitted(level, rows);
            }
        }
        rates
    }
    fn fitted(&self, level: usize, rows: &[Row]) -> Level {
        let mut cells: BTreeMap<(u32, u32), (f64, f64)> = BTreeMap::new();
        for row in rows {
            let own = self.levels[level].of(key(level, row));
            let cell = cells.entry(key(level, row)).or_default();
            cell.0 += row.actions.min(row.impressions);
            cell.1 += row.impressions * self.raw(row) / own;
        }
        let tight = tightest(cells.values().copied());
        let multiplier =
            |(key, (k, expected)): ((u32, u32), (f64, f64))| (key, (k + tight) / (expected + tight));
        Level { tight, multipliers: cells.into_iter().map(multiplier).collect() }
    }
    fn raw(&self, row: &Row) -> f64 {
        (0..LEVELS).map(|level| self.levels[level].of(key(level, row))).product::<f64>() * self.overall
    }
    /// The rate of an ad at a placement, in (0, 1). Ids that were never seen (such as 0) count as their parents.
    pub fn rate(&self, campaign: u32, ad_set: u32, ad: u32, placement: u32) -> f64 {
        let row = Row { campaign, ad_set, ad, placement, impressions: 0.0, actions: 0.0 };
        self.raw(&row).clamp(1e-9, 1.0)
    }
    /// What a placement multiplies an ad set's rate by.
    pub fn at_place(&self, ad_set: u32, placement: u32) -> f64 {
        self.levels[PLACE].of((placement, 0)) * self.levels[AD_SET_PLACE].of((ad_set, placement))
    }
    /// What an ad multiplies its ad set's rate by after `actions` where its parents expect `expected`: the update between fits.
    pub fn of_ad(&self, actions: f64, expected: f64) -> f64 {
        let tight = self.levels[AD].tight;
        (actions + tight) / (expected + tight)
    }
    /// How tightly each level keeps to its parent, in expected actions: placement, campaign, ad set, ad, ad set at placement.
    pub fn tightness(&self) -> [f64; LEVELS] {
        std::array::from_fn(|level| self.levels[level].tight)
    }
}

/// The tightness under which rows of (actions, expected actions) are most probable: negative binomial marginal likelihood on a grid of
/// factors of 1.6 from a quarter to 100,000, with a slight preference for tight (one nat a factor of ten thousand).
pub fn tightest(rows: impl Iterator<Item = (f64, f64)>) -> f64 {
    let rows: Vec<(f64, f64)> = rows.filter(|(_, expected)| *expected > 0.0).collect();
    if rows.len() < 2 {
        return TIGHT_UNKNOWN;
    }
    let step = rows.len().div_ceil(ROWS_MAX);
    let rows: Vec<(f64, f64)> = rows.into_iter().step_by(step).collect();
    let mut best = (f64::NEG_INFINITY, TIGHT_UNKNOWN);
    let mut tight: f64 = 0.25;
    while tight < 1e5 {
        let each = |(k, expected): &(f64, f64)| {
            libm::lgamma(k + tight) - libm::lgamma(tight) + tight * tight.ln()
                - (k + tight) * (expected + tight).ln()
                + k * expected.ln()
        };
        let value = rows.iter().map(each).sum::<f64>() + tight.ln() / 9.2;
        if value > best.0 {
            best = (value, tight);
        }
        tight *= 1.6;
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    /// Ads, their campaigns, ad sets and places with hidden multipliers: log-normal by these deviations.
    struct Hidden {
        stream: Stream,
        campaigns: Vec<f64>,
        sets: Vec<f64>,
        places: Vec<f64>,
    }
    const BASE: f64 = 0.02;
    const SETS: u32 = 60;
    impl Hidden {
        fn new(seed: u64) -> Hidden {
            let mut stream = Stream::new(seed, 1);
            let mut some = |count: u32, deviation: f64| -> Vec<f64> {
                (0..count).map(|_| (deviation * stream.normal()).exp()).collect()
            };
            let (campaigns, sets, places) = (some(12, 0.4), some(SETS, 0.3), some(6, 0.5));
            Hidden { stream, campaigns, sets, places }
        }
        fn ad(&mut self) -> f64 {
            (0.5 * self.stream.normal()).exp()
        }
        fn rate(&self, ad_set: u32, place: u32, ad: f64) -> f64 {
            let (campaign, set) = (self.campaigns[(ad_set % 12) as usize], self.sets[ad_set as usize]);
            (BASE * campaign * set * self.places[place as usize] * ad).min(0.9)
        }
        fn success(&mut self, rate: f64) -> bool {
            self.stream.unit() < rate
        }
    }
    /// Five ads for each ad set, at every place, so many impressions each.
    fn history(hidden: &mut Hidden, impressions: u32) -> Vec<Row> {
        let mut rows = Vec::new();
        for ad_set in 0..SETS {
            for n in 0..5 {
                let own = hidden.ad();
                for placement in 0..6 {
                    let rate = hidden.rate(ad_set, placement, own);
                    let actions = (0..impressions).filter(|_| hidden.success(rate)).count() as f64;
                    let (campaign, ad) = (ad_set % 12 + 1, 1 + ad_set * 5 + n);
                    let impressions = f64::from(impressions);
                    rows.push(Row {
                        campaign,
                        ad_set: ad_set + 1,
                        ad,
                        placement: placement + 1,
                        impressions,
                        actions,
                    });
                }
            }
        }
        rows
    }
    fn loss(p: f64, acted: bool) -> f64 {
        let p = p.clamp(1e-9, 1.0 - 1e-9);
        if acted { -p.ln() } else { -(-p).ln_1p() }
    }

    #[test]
    fn a_new_ads_first_hundred_impressions_are_predicted_better_than_by_its_parents_constant_rate() {
        let (mut ours, mut parents, mut wins) = (0.0, 0.0, 0);
        for seed in 0..10 {
            let mut hidden = Hidden::new(seed);
            let rows = history(&mut hidden, 300);
            let rates = Rates::fit(&rows, 0.001);
            let (mut own, mut constant) = (0.0, 0.0);
            for ad_set in 0..SETS {
                // What the ad set's rate was, constant over ads and places.
                let of_set = rows.iter().filter(|row| row.ad_set == ad_set + 1);
                let (n, k) = of_set.fold((0.0, 0.0), |s, row| (s.0 + row.impressions, s.1 + row.actions));
                let parent = (k + 0.5) / (n + 25.0);
                for _ in 0..4 {
                    let truth = hidden.ad();
                    let (mut actions, mut expected) = (0.0, 0.0);
                    for impression in 0..100u32 {
                        let place = (impression * 7 + ad_set) % 6;
                        let base = rates.rate(ad_set % 12 + 1, ad_set + 1, 0, place + 1);
                        let predicted = base * rates.of_ad(actions, expected);
                        let acted = hidden.success(hidden.rate(ad_set, place, truth));
                        own += loss(predicted, acted);
                        constant += loss(parent, acted);
                        expected += base;
                        actions += f64::from(u8::from(acted));
                    }
                }
            }
            wins += usize::from(own < constant);
            ours += own;
            parents += constant;
        }
        assert!(ours < 0.985 * parents, "log loss {ours:.0} against {parents:.0}");
        assert!(wins >= 9, "better in {wins} of 10 worlds");
    }
    #[test]
    fn predictions_are_calibrated_at_every_size() {
        let mut hidden = Hidden::new(77);
        let rows = history(&mut hidden, 400);
        let rates = Rates::fit(&rows, 0.001);
        let mut bins: BTreeMap<i32, (f64, f64, f64)> = BTreeMap::new();
        for row in &rows {
            let p = rates.rate(row.campaign, row.ad_set, row.ad, row.placement);
            let bin = bins.entry((p.log2() * 2.0) as i32).or_default();
            *bin = (bin.0 + row.impressions, bin.1 + row.impressions * p, bin.2 + row.actions);
        }
        for (_, predicted, seen) in bins.values().filter(|bin| bin.1 > 100.0) {
            let luck = 3.5 * predicted.sqrt() + 0.03 * predicted;
            assert!((seen - predicted).abs() < luck, "{bins:?}");
        }
        assert!(bins.len() > 6);
    }
    #[test]
    fn levels_that_say_nothing_are_ignored() {
        let mut stream = Stream::new(3, 1);
        let rows: Vec<Row> = (0..400u32)
            .map(|n| {
                let actions = (0..500).filter(|_| stream.unit() < 0.02).count() as f64;
                Row { campaign: n % 7, ad_set: n % 40, ad: n, placement: n % 5, impressions: 500.0, actions }
            })
            .collect();
        let rates = Rates::fit(&rows, 0.001);
        for row in &rows {
            let rate = rates.rate(row.campaign, row.ad_set, row.ad, row.placement);
            assert!((rate / 0.02 - 1.0).abs() < 0.2, "{rate}");
        }
        let unseen = rates.rate(999, 999, 999, 999);
        assert!((unseen / 0.02 - 1.0).abs() < 0.1, "{unseen}");
        assert_eq!(Rates::fit(&[], 0.001).rate(1, 1, 1, 1), 0.001);
    }
}
