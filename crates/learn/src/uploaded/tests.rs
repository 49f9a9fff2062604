//! Shares against lists and many draws; shrinkage against truths with and without structure.

use super::*;
use regie_sim_free::*;

/// What the tests need of a simulated list, from streams of their own.
mod regie_sim_free {
    use crate::stream::Stream;
    pub fn truth(between: f64, within: f64, seed: u64) -> (Vec<f64>, Vec<u32>) {
        let mut stream = Stream::new(seed, 77);
        let groups: Vec<u32> = (0..400).map(|n| n % 20).collect();
        let means: Vec<f64> = (0..20).map(|_| between * stream.normal()).collect();
        let rate =
            |group: &u32| 1.0 / (1.0 + (-(-3.0 + means[*group as usize] + within * stream.normal())).exp());
        (groups.iter().map(rate).collect(), groups)
    }
}

fn shown(between: f64, within: f64, each: usize) -> Uploaded {
    let (rates, groups) = truth(between, within, 3);
    let mut learner = Uploaded::new(&groups, Settings { base_rate: 0.05, ..Settings::default() });
    let mut stream = Stream::new(8, 8);
    for (version, rate) in rates.iter().enumerate() {
        let reward = (0..each).filter(|_| stream.unit() < *rate).count() as f64;
        learner.observe(version as u32, each as f64, reward);
    }
    learner
}

#[test]
fn tightness_is_learned_where_it_is() {
    let grouped = shown(0.6, 0.1, 400).tightness();
    let loose = shown(0.0, 0.6, 400).tightness();
    let alike = shown(0.0, 0.0, 400).tightness();
    // Beta(w m, w (1 - m)) has variance m (1 - m) / (w + 1): on the log-odds scale about 1 / (w m (1 - m)).
    assert!(grouped.within > 500.0 && grouped.between < 200.0, "{grouped:?}");
    assert!(loose.within < 150.0 && loose.between > 300.0, "{loose:?}");
    assert!(alike.within > 2_000.0 && alike.between > 2_000.0, "{alike:?}");
}

#[test]
fn propensities_sum_to_one_and_match_many_draws() {
    let mut learner = shown(0.3, 0.3, 20);
    (0..390).for_each(|version| learner.set_active(version, version % 20 == 0));
    let shares = Shares { explore_ppm: 200_000, ..learner.allocate(5) };
    let sum: f64 = (0..400).map(|version| shares.propensity(version)).sum();
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    let mut counts = vec![0.0; 400];
    let mut stream = Stream::new(4, 4);
    for _ in 0..200_000 {
        let (version, propensity) = shares.draw(stream.bits()).unwrap();
        assert_eq!(propensity, shares.propensity(version));
        counts[version as usize] += 1.0;
    }
    let (mut chi, mut freedom) = (0.0, -1.0);
    for (version, count) in counts.iter().enumerate() {
        let expected = 200_000.0 * shares.propensity(version as u32);
        if expected > 0.0 {
            chi += (count - expected).powi(2) / expected;
            freedom += 1.0;
        } else {
            assert_eq!(*count, 0.0, "{version} may not be shown");
        }
    }
    assert!(freedom > 10.0 && chi < freedom + 5.0 * (2.0f64 * freedom).sqrt() + 25.0, "{chi} {freedom}");
}

#[test]
fn a_list_of_millions_opens_doors_not_floodgates() {
    let groups: Vec<u32> = (0..200_000).map(|n| n % 10).collect();
    let mut learner = Uploaded::new(&groups, Settings::default());
    let first = learner.allocate(1);
    assert_eq!(first.winners.iter().map(|share| u32::from(share.won)).sum::<u32>(), 64);
    // One version was shown and is good: most draws know it.
    learner.observe(7, 20_000.0, 900.0);
    for other in 0..300 {
        learner.observe(10 + other, 300.0, 3.0);
    }
    let then = learner.allocate(2);
    assert_eq!(then.winners[0].version, 7);
    assert!(then.winners[0].won > 40, "{:?}", then.winners);
}

#[test]
fn history_outlives_retirement_and_an_empty_list_shows_nothing() {
    let mut learner = shown(0.0, 0.5, 500);
    let before = learner.expected();
    (0..400).for_each(|version| learner.set_active(version, false));
    assert_eq!(learner.expected(), before);
    let none = learner.allocate(1);
    assert_eq!((none.draw(9), none.propensity(3)), (None, 0.0));
    let new = learner.push(4);
    assert_eq!(learner.allocate(1).draw(9).unwrap(), (new, 1.0));
}

#[test]
fn the_leader_gets_its_share() {
    let mut learner = shown(0.0, 0.02, 300);
    learner.settings.leader_share = 0.5;
    let shares = learner.allocate(3);
    assert!(shares.winners[0].won >= 32);
}
