//! Inference against the reference values of `vectors/infer.json` (made by `vectors/infer.py`), and against the figures
//! of the published fixture: A = 100 of 10,000, B = 130 of 10,000.

#![allow(clippy::unwrap_used)]

use regie_learn::infer::{
    Interval, bayes, betting, fixed,
    fixed::{Effect, Sample, Scale},
    many, plug_in, sequential, special,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/infer.json")).unwrap()
}
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}
fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}
#[track_caller]
fn check(got: f64, expected: f64, relative: f64) {
    let fault = (got - expected).abs() / expected.abs().max(1e-300);
    assert!(got == expected || fault <= relative, "got {got}, expected {expected}, off by {fault:e}");
}
#[track_caller]
fn check_interval(got: Interval, expected: &Value, relative: f64) {
    let ends = numbers(expected);
    check(got.low, ends[0], relative);
    check(got.high, ends[1], relative);
}

#[test]
fn special_functions_match_scipy() {
    let vectors = vectors();
    for row in rows(&vectors["normal"]) {
        check(special::normal_quantile(row[0]), row[1], 1e-12);
        check(special::normal_cdf(row[1]), row[0], 1e-12);
    }
    for row in rows(&vectors["student"]) {
        let got = special::student_quantile(row[0], row[1]);
        assert!((got - row[2]).abs() <= 1e-9 * row[2].abs().max(1e-6), "{row:?} {got}");
    }
    for row in rows(&vectors["beta_cdf"]) {
        let got = special::beta_cdf(row[0], row[1], row[2]);
        assert!((got - row[3]).abs() <= 1e-9 * row[3].abs() + 1e-14, "{row:?} {got}");
    }
    for row in rows(&vectors["beta_quantile"]) {
        check(special::beta_quantile(row[0], row[1], row[2]), row[3], 1e-9);
    }
    for row in rows(&vectors["chi_square"]) {
        check(special::chi_square_tail(row[0], row[1]), row[2], 1e-11);
    }
}

#[test]
fn rates_match_gbstats_and_statsmodels() {
    for row in vectors()["rates"].as_array().unwrap() {
        let counts: Vec<u64> = numbers(&row["counts"]).iter().map(|c| *c as u64).collect();
        let (a, b) = (Sample::of_rate(counts[0], counts[1]), Sample::of_rate(counts[2], counts[3]));
        for (kind, scale) in [("relative", Scale::Relative), ("absolute", Scale::Absolute)] {
            let expected = &row[kind];
            let tested = fixed::t_test(&a, &b, scale, 0.05).unwrap();
            check(tested.estimate, number(&expected["estimate"]), 1e-12);
            check_interval(tested.interval, &expected["ci"], 1e-9);
            check(tested.p, number(&expected["p"]), 1e-9);
            let effect = Effect::of(&a, &b, scale).unwrap();
            check_interval(sequential::asymptotic(&effect, 0.05, 5_000.0), &expected["sequential"], 1e-11);
            let p = sequential::asymptotic_p(&effect, 0.05, 5_000.0);
            check(p, number(&expected["sequential_p"]), 1e-11);
            check(bayes::chance_to_win(&effect), number(&expected["chance"]), 1e-11);
            let risk = numbers(&expected["risk"]);
            let (keep, switch) = bayes::expected_losses(&effect);
            check(keep, risk[0], 1e-9);
            check(switch, risk[1], 1e-9);
        }
        let (successes, units) = ([counts[0], counts[2]], [counts[1], counts[3]]);
        let (z, p) = fixed::pooled_z(successes, units).unwrap();
        check(z, number(&row["z"]), 1e-12);
        check(p, number(&row["z_p"]), 1e-10);
        check_interval(fixed::wilson(counts[2], counts[3], 0.05), &row["wilson"], 1e-11);
        check_interval(fixed::clopper_pearson(counts[2], counts[3], 0.05), &row["clopper_pearson"], 1e-10);
        check_interval(fixed::newcombe(successes, units, 0.05), &row["newcombe"], 1e-10);
        let posteriors = [bayes::Beta::after(counts[0], counts[1]), bayes::Beta::after(counts[2], counts[3])];
        let standings = bayes::standings(&posteriors);
        let beats = number(&row["beats"]);
        assert!((standings[1].best - beats).abs() < 1e-10, "{} {beats}", standings[1].best);
        assert!((standings[0].best + standings[1].best - 1.0).abs() < 1e-10);
    }
}

#[test]
fn the_published_fixture_is_met_to_its_digits() {
    let (a, b) = (Sample::of_rate(100, 10_000), Sample::of_rate(130, 10_000));
    let relative = fixed::t_test(&a, &b, Scale::Relative, 0.05).unwrap();
    check(relative.interval.low, -0.0370091718, 1e-8);
    check(relative.interval.high, 0.6370091718, 1e-9);
    check(relative.p, 0.0810292218, 1e-9);
    let absolute = fixed::t_test(&a, &b, Scale::Absolute, 0.05).unwrap();
    check(absolute.interval.low, 4.48190e-5, 1e-5);
    check(absolute.interval.high, 0.00595518100, 1e-8);
    check(absolute.p, 0.0466255013, 1e-8);
    let sequence = |scale| sequential::asymptotic(&Effect::of(&a, &b, scale).unwrap(), 0.05, 5_000.0);
    check(sequence(Scale::Absolute).low, -0.00171468851, 1e-8);
    check(sequence(Scale::Absolute).high, 0.00771468851, 1e-8);
    check(sequence(Scale::Relative).low, -0.237663606, 1e-8);
    check(sequence(Scale::Relative).high, 0.837663606, 1e-8);
    check(bayes::chance_to_win(&Effect::of(&a, &b, Scale::Relative).unwrap()), 0.959493197, 1e-9);
    let posteriors = [bayes::Beta::after(100, 10_000), bayes::Beta::after(130, 10_000)];
    check(bayes::standings(&posteriors)[1].best, 0.976562101, 1e-9);
    let (z, p) = fixed::pooled_z([100, 130], [10_000; 2]).unwrap();
    check(z, 1.98961479, 1e-8);
    check(p, 0.0466333860, 1e-8);
    let wilson = fixed::wilson(130, 10_000, 0.05);
    check(wilson.low, 0.0109594402, 1e-8);
    check(wilson.high, 0.0154145742, 1e-8);
    let exact = fixed::clopper_pearson(130, 10_000, 0.05);
    check(exact.low, 0.0108725813, 1e-8);
    check(exact.high, 0.0154175949, 1e-8);
    let difference = fixed::newcombe([100, 130], [10_000; 2], 0.05);
    check(difference.low, 3.80045e-5, 1e-5);
    check(difference.high, 0.00599423097, 1e-8);
    let (chi_square, p) = fixed::sample_ratio(&[5_100, 4_900], &[0.5, 0.5]).unwrap();
    check(chi_square, 4.0, 1e-12);
    check(p, 0.0455002639, 1e-8);
    for (v, bound) in [(10.0, 12.19075315), (100.0, 30.35208990), (1e3, 102.5122868), (1e4, 356.1641041)] {
        check(sequential::mixture_boundary(v, 100.0, 0.05), bound, 1e-9);
    }
}

#[test]
fn means_match_gbstats() {
    for row in vectors()["means"].as_array().unwrap() {
        let s = numbers(&row["sums"]);
        let (a, b) = (Sample::of_sums(s[0] as u64, s[1], s[2]), Sample::of_sums(s[3] as u64, s[4], s[5]));
        let tested = fixed::t_test(&a, &b, Scale::Absolute, 0.05).unwrap();
        check_interval(tested.interval, &row["ci"], 1e-9);
        check(tested.p, number(&row["p"]), 1e-9);
    }
}

#[test]
fn standings_match_quadrature_by_scipy() {
    let vectors = vectors();
    let of = |row: Vec<f64>| bayes::Beta { a: row[0], b: row[1] };
    let arms: Vec<bayes::Beta> = rows(&vectors["standings"]["arms"]).into_iter().map(of).collect();
    let standings = bayes::standings(&arms);
    for (got, expected) in standings.iter().zip(rows(&vectors["standings"]["best_loss"])) {
        check(got.best, expected[0], 1e-9);
        check(got.expected_loss, expected[1], 1e-9);
    }
}

#[test]
fn msprt_and_false_discovery_match_their_definitions() {
    let vectors = vectors();
    for row in rows(&vectors["msprt"]) {
        let got = sequential::ln_msprt(row[0], row[1], row[2], row[3], row[4]);
        assert!((got - row[5]).abs() < 1e-9 * row[5].abs().max(1.0), "{row:?} {got}");
    }
    for row in vectors["many"].as_array().unwrap() {
        let p = numbers(&row["p"]);
        for (got, expected) in many::benjamini_hochberg(&p).iter().zip(numbers(&row["bh"])) {
            check(got.min(1.0), expected, 1e-12);
        }
        for (got, expected) in many::benjamini_yekutieli(&p).iter().zip(numbers(&row["by"])) {
            check(got.min(1.0), expected, 1e-12);
        }
        let found: Vec<f64> = many::e_bh(&numbers(&row["e"]), 0.1).iter().map(|i| *i as f64).collect();
        assert_eq!(found, numbers(&row["e_bh_at_0.1"]));
    }
}

#[test]
fn streams_match_confseq() {
    let vectors = vectors();
    let streams = vectors["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 3);
    for stream in streams {
        let x = numbers(&stream["x"]);
        let (bernstein, hedged) = (rows(&stream["bernstein"]), rows(&stream["hedged"]));
        for (look, at) in numbers(&stream["looks"]).iter().enumerate() {
            let seen = &x[..=*at as usize];
            let mut sequence = plug_in::Bernstein::new(0.05, 0.5);
            seen.iter().for_each(|x| sequence.push(*x));
            let got = sequence.interval();
            assert!((got.low - bernstein[look][0].max(0.0)).abs() < 1e-10, "{got:?} {:?}", bernstein[look]);
            assert!((got.high - bernstein[look][1].min(1.0)).abs() < 1e-10, "{got:?} {:?}", bernstein[look]);
            let got = plug_in::hedged(seen, 0.05, 0.5, 1_000);
            assert!((got.low - hedged[look][0]).abs() < 1.5e-3, "{got:?} {:?}", hedged[look]);
            assert!((got.high - hedged[look][1]).abs() < 1.5e-3, "{got:?} {:?}", hedged[look]);
        }
    }
}

#[test]
fn betting_intervals_are_those_of_their_capital_and_shrink() {
    let mut last = 1.0;
    for (successes, count) in
        [(0, 0), (1, 100), (10, 1_000), (100, 10_000), (1_000, 100_000), (100_000, 10_000_000)]
    {
        let sequence = betting::Sequence::of_rate(successes, count);
        let interval = sequence.interval(0.05);
        assert!(interval.contains(0.01) && interval.width() <= last, "{count}: {interval:?}");
        last = interval.width();
        if count > 0 {
            // Outside it the capital is at least 1/alpha, inside less.
            assert!(sequence.p(interval.low * 0.999) <= 0.05 && sequence.p(interval.high * 1.001) <= 0.05);
            assert!(sequence.p(0.01) > 0.05);
        }
    }
    // The price of being right at every look: not twice the width of one look's interval.
    let one_look = 2.0 * 1.96 * (0.01 * 0.99 / 1e7f64).sqrt();
    assert!(last < 2.0 * one_look, "{last} {one_look}");
    assert_eq!(betting::Sequence::of_rate(0, 0).interval(0.05), Interval { low: 0.0, high: 1.0 });
    let mut bounded = betting::Sequence::new(betting::Bounds::weighted_rate(0.1));
    assert!(
        bounded.add(10.000001, 1).is_err()
            && bounded.add(-0.1, 1).is_err()
            && bounded.add(f64::NAN, 1).is_err()
    );
    assert_eq!(bounded.count(), 0);
}
