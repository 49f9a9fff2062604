//! Off-policy evaluation against the published figures on the Open Bandit logs (found through `REGIE_TEST_DATA`), and
//! against worlds whose truth is known.
// Tests read files; the room itself never does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

mod open_bandit;

use open_bandit::{Campaign, column, folder, lines};
use regie_learn::{
    evaluate::{
        EvaluateError, Log,
        elements::Versions,
        estimators::{Estimator, SHOWN, Weights},
        intervals, model, policy,
        support::{Known, Support},
        verdict,
    },
    infer::bayes::Beta,
};

#[track_caller]
fn check(got: f64, expected: f64, relative: f64) {
    let fault = (got - expected).abs() / expected.abs();
    assert!(fault <= relative, "got {got}, expected {expected}, off by {fault:e}");
}

#[test]
fn estimators_reproduce_the_published_figures_from_their_columns() {
    let Some(folder) = folder("estimators_reproduce_the_published_figures_from_their_columns") else {
        return;
    };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for campaign in ["all", "men"] {
        let lines = lines(&folder.join(format!("oracle_rows_{campaign}.csv.gz")));
        let log = Log {
            reward: column(&lines, "reward"),
            logged: column(&lines, "pscore"),
            target: column(&lines, "pi_e"),
            predicted: column(&lines, "q_factual"),
            expected: column(&lines, "dm_term"),
        };
        log.check().unwrap();
        let values = &expected[campaign]["values"];
        for (name, estimator) in [
            ("ipw", Estimator::Ips),
            ("snipw", Estimator::Snips),
            ("dm", Estimator::Dm),
            ("dr", Estimator::Dr),
            ("sndr", Estimator::Sndr),
            ("switch-dr_l10", Estimator::SwitchDr(10.0)),
            ("switch-dr_l2", Estimator::SwitchDr(2.0)),
            ("dr-os_l100", Estimator::DrOs(100.0)),
            ("ipw_clip5", Estimator::ClippedIps(5.0)),
        ] {
            check(estimator.value(&log), values[name].as_f64().unwrap(), 1e-12);
            let contributions = estimator.contributions(&log);
            check(contributions.iter().sum::<f64>() / log.count() as f64, estimator.value(&log), 1e-9);
        }
        check(
            Weights::of(&log).effective_count,
            expected[campaign]["weights"]["ess"].as_f64().unwrap(),
            1e-12,
        );
        for (name, estimator) in [("ipw", Estimator::Ips), ("snipw", Estimator::Snips), ("dr", Estimator::Dr)]
        {
            let published = &expected[campaign]["bootstrap_ci_10000"][name];
            let got = intervals::bootstrap(estimator, &log, 0.05, 400, 1);
            check(got.low, published["95.0% CI (lower)"].as_f64().unwrap(), 0.2);
            check(got.high, published["95.0% CI (upper)"].as_f64().unwrap(), 0.2);
        }
    }
}

#[test]
fn thompson_sampling_is_evaluated_exactly_by_quadrature() {
    let Some(folder) = folder("thompson_sampling_is_evaluated_exactly_by_quadrature") else { return };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for name in ["men", "all"] {
        let random = Campaign::read(&folder, "random", name);
        let table = policy::Table::thompson(&open_bandit::prior(&folder, name), 3);
        let published = lines(&folder.join(format!("action_dist_exact_{name}.csv.gz")));
        for place in 0..3 {
            for (got, expected) in table.at(place).iter().zip(column(&published, &format!("pos{place}"))) {
                assert!((got - expected).abs() < 1e-9, "{got} {expected}");
            }
        }
        let log = random.under(&table);
        let exact = &expected[name]["exact_action_dist"];
        check(Estimator::Ips.value(&log), exact["ipw"].as_f64().unwrap(), 1e-9);
        check(Estimator::Snips.value(&log), exact["snipw"].as_f64().unwrap(), 1e-9);
        check(Weights::of(&log).effective_count, exact["ess"].as_f64().unwrap(), 1e-9);
        let weights = Weights::of(&log);
        assert!(verdict::judge(&log, &weights).may_say_a_number);
    }
}

#[test]
fn the_reverse_direction_is_reproduced_and_gets_no_bare_number() {
    let Some(folder) = folder("the_reverse_direction_is_reproduced_and_gets_no_bare_number") else { return };
    for (name, ipw, snipw, ess) in [
        ("all", 0.0023596395168460067, 0.002333713893161734, 340.37834113259464),
        ("men", 0.0030086263272564836, 0.003189423162277392, 655.7098495873154),
    ] {
        let bts = Campaign::read(&folder, "bts", name);
        let log = bts.under(&policy::Table::uniform(bts.actions_count, 3));
        check(Estimator::Ips.value(&log), ipw, 1e-12);
        check(Estimator::Snips.value(&log), snipw, 1e-12);
        let weights = Weights::of(&log);
        check(weights.effective_count, ess, 1e-12);
        let verdict = verdict::judge(&log, &weights);
        assert!(!verdict.may_say_a_number && !verdict.warnings.is_empty());
        let interval = intervals::bootstrap(Estimator::Snips, &log, 0.05, 200, 1);
        let words = verdict::sentence("uniform", "clicks", &verdict, 0.00233, &interval, 0.0042);
        assert!(words.starts_with("uniform would have earned between"), "{words}");
    }
}

/// A known world: three actions at two places, logged by a skewed policy.
fn world(rows: usize) -> (Campaign, [f64; 3], Vec<Vec<f64>>) {
    let (rates, logging) = ([0.1, 0.3, 0.2], vec![vec![0.6, 0.1, 0.3], vec![0.2, 0.5, 0.3]]);
    let mut campaign = Campaign { actions_count: 3, ..Campaign::default() };
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    for row in 0..rows {
        let place = row % 2;
        let (mut draw, mut action) = (uniform(), 0);
        while action < 2 && draw >= logging[place][action] {
            draw -= logging[place][action];
            action += 1;
        }
        campaign.push(action, place, f64::from(u8::from(uniform() < rates[action])), logging[place][action]);
    }
    (campaign, rates, logging)
}

#[test]
fn every_estimator_finds_the_truth_of_a_known_world() {
    let (campaign, rates, _) = world(60_000);
    let target = policy::Table::new(vec![vec![0.2, 0.7, 0.1]; 2]).unwrap();
    let truth = 0.2 * rates[0] + 0.7 * rates[1] + 0.1 * rates[2];
    let mut log = campaign.under(&target);
    (log.predicted, log.expected) = model::cross_fit(&campaign.shown, &target);
    log.check().unwrap();
    for estimator in SHOWN {
        check(estimator.value(&log), truth, 0.05);
        if estimator != Estimator::Dm {
            // The direct method's interval knows nothing of its model's error.
            let interval = intervals::normal(estimator, &log, 1e-4);
            assert!(interval.contains(truth), "{} {interval:?} {truth}", estimator.name());
        }
    }
    let sequence = intervals::betting(&log, 7.0, 0.05).unwrap();
    assert!(sequence.contains(truth) && sequence.width() < 0.05, "{sequence:?}");
    assert!(intervals::betting(&log, 2.0, 0.05).is_err(), "weights above the declared bound are refused");
}

#[test]
fn what_the_log_could_not_show_is_refused() {
    let possible = |action: usize| action != 2;
    let target = [0.5, 0.48, 0.02];
    let support =
        Support::of([(1.0, &target[..], &possible as &dyn Fn(usize) -> bool)].into_iter(), Known::Declared);
    check(support.outside_share, 0.02, 1e-12);
    let refused = support.check().unwrap_err();
    assert!(refused.to_string().contains("2.00%"), "{refused}");
    let little = [0.5, 0.491, 0.009];
    let inside =
        Support::of([(1.0, &little[..], &possible as &dyn Fn(usize) -> bool)].into_iter(), Known::Declared);
    inside.check().unwrap();
    // Half of the target's mass has no rows: the weights alone show it.
    let half =
        Log { reward: vec![0.0; 400], logged: vec![1.0; 400], target: vec![0.5; 400], ..Log::default() };
    assert!(Support::of_weights(&Weights::of(&half), half.count()).check().is_err());
    let zero = Log { reward: vec![1.0], logged: vec![0.0], target: vec![0.5], ..Log::default() };
    assert!(matches!(zero.check(), Err(EvaluateError::Value { row: 0, .. })));
    assert!(policy::Table::new(vec![vec![0.5, 0.4]]).is_err());
}

#[test]
fn wrong_propensities_are_noticed() {
    let (campaign, _, _) = world(20_000);
    let target = policy::Table::uniform(3, 2);
    let mut log = campaign.under(&target);
    assert!(verdict::judge(&log, &Weights::of(&log)).warnings.is_empty());
    log.logged.iter_mut().for_each(|p| *p *= 0.9);
    let warnings = verdict::judge(&log, &Weights::of(&log)).warnings;
    assert!(warnings.iter().any(|w| w.contains("propensities")), "{warnings:?}");
}

#[test]
fn elements_are_evaluated_under_the_stated_assumption() {
    // Two slots whose elements are shown in correlated combinations: a plain mean by element would mislead.
    let parts = [[0.10, 0.20, 0.15], [0.05, 0.15, 0.0]];
    let mut versions = Versions { slots: vec![3, 3], ..Versions::default() };
    let mut state = 3u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    for _ in 0..80_000 {
        let first = (uniform() * 2.0) as u32;
        let second = if uniform() < 0.8 { first } else { 1 - first };
        versions.elements.extend([first, second]);
        let rate = parts[0][first as usize] + parts[1][second as usize];
        versions.reward.push(f64::from(u8::from(uniform() < rate)));
    }
    let fitted = versions.fit().unwrap();
    let (effect, interval) = fitted.effect(0, 1, 1e-4).unwrap();
    assert!((effect - 0.1).abs() < 0.02 && interval.contains(0.1), "{effect} {interval:?}");
    let (value, interval) = fitted.value(&[vec![0.0, 1.0, 0.0], vec![1.0, 0.0, 0.0]], 1e-4).unwrap();
    assert!(interval.contains(0.25) && (value - 0.25).abs() < 0.02, "{value} {interval:?}");
    assert!(fitted.effect(0, 2, 0.05).is_none(), "never shown");
    let refused = fitted.value(&[vec![0.0, 0.9, 0.1], vec![1.0, 0.0, 0.0]], 0.05);
    assert!(matches!(refused, Err(EvaluateError::OutsideSupport { .. })));
}

#[test]
fn thompson_over_places_sums_to_one() {
    let posteriors: Vec<Beta> = (1..=5u64).map(|i| Beta::after(i, 100 + 40 * i)).collect();
    let table = policy::Table::thompson(&posteriors, 3);
    for place in 0..3 {
        assert!((table.at(place).iter().sum::<f64>() - 1.0).abs() < 1e-10);
    }
}
