//! Experiments end to end, simulated: lift over ghosts under a tight budget covers zero when there is none, budgets out of
//! proportion are warned of, and the report says what it knows and no more.
#![allow(clippy::unwrap_used)]

use regie_learn::{
    experiment::{
        Key, Split, Unit,
        lift::{Funded, TightDay, day_without_effect},
        plot,
        report::{About, report},
        tally::{Allocation, Exposed, Tally},
    },
    infer::fixed::{self, Sample, Scale},
};

struct Bits(u64);
impl Bits {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        ((x ^ (x >> 33)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// (share of runs whose always-valid interval misses zero, share whose one-look t interval does).
fn misses(day: &TightDay, runs: u64) -> (f64, f64) {
    let (mut sequence, mut one_look) = (0u64, 0u64);
    for run in 0..runs {
        let mut bits = Bits(run * 7_919 + 1);
        let mut counts = [[0u64; 2]; 2];
        day_without_effect(
            day,
            || bits.even(),
            |(arm, converts)| {
                counts[arm][0] += u64::from(converts);
                counts[arm][1] += 1;
            },
        );
        let mut tally = Tally::new(Allocation::Fixed, &[0.5, 0.5]);
        for (arm, [converted, units]) in counts.iter().enumerate() {
            tally.add(Exposed { arm, day: 0, outcome: 1.0, units: *converted });
            tally.add(Exposed { arm, day: 0, outcome: 0.0, units: units - converted });
        }
        sequence += u64::from(!tally.difference(1).interval(0.05).contains(0.0));
        let samples = counts.map(|[converted, units]| Sample::of_rate(converted, units));
        let tested = fixed::t_test(&samples[0], &samples[1], Scale::Absolute, 0.05).unwrap();
        one_look += u64::from(!tested.interval.contains(0.0));
    }
    (sequence as f64 / runs as f64, one_look as f64 / runs as f64)
}

#[test]
fn lift_over_ghosts_covers_zero_at_its_nominal_rate_under_a_tight_budget() {
    // The money is gone at noon: 6,000 of about 12,000 wins.
    let day = TightDay { views: 20_000, win_share: 0.6, paid: 3_000, second_share: 0.0, holdout: true };
    let runs = 400;
    let (sequence, one_look) = misses(&day, runs);
    let allowed = 0.05 + 2.0 * (0.05f64 * 0.95 / runs as f64).sqrt();
    assert!(sequence <= allowed, "{sequence}");
    assert!(
        one_look <= allowed && one_look >= 0.01,
        "one look is nominal, neither more nor less: {one_look}"
    );
}

#[test]
fn budgets_out_of_proportion_bias_and_are_warned_of() {
    let fair = TightDay { views: 20_000, win_share: 0.6, paid: 6_000, second_share: 0.5, holdout: false };
    let unfair = TightDay { second_share: 0.25, ..fair };
    assert!(misses(&fair, 200).1 <= 0.09);
    assert!(misses(&unfair, 200).1 > 0.25, "the bias that the warning is about is real");
    let funded = |budgets: [i64; 2]| budgets.map(|b| Funded { share: 0.5, budget_micros: Some(b) }).to_vec();
    let about = |budgets| About {
        unit: Unit::PageView,
        arms: vec!["A".into(), "B".into()],
        holdout: None,
        outcome: "clicks".into(),
        budgets,
    };
    let tally = Tally::new(Allocation::Fixed, &[0.5, 0.5]);
    assert!(report(&about(funded([500, 500])), &tally).warnings.is_empty());
    assert!(report(&about(funded([750, 250])), &tally).warnings[0].contains("not in proportion"));
    let common = vec![Funded { share: 0.5, budget_micros: None }; 2];
    assert!(report(&about(common), &tally).warnings[0].contains("one budget"));
}

fn run(rates: &[f64], days: i32, a_day: u64, lost: u64) -> Tally {
    let shares = vec![1.0 / rates.len() as f64; rates.len()];
    let ppm: Vec<u32> = (0..rates.len() as u32).map(|_| 1_000_000 / rates.len() as u32).collect();
    let split = Split::new(&ppm).unwrap();
    let mut tally = Tally::new(Allocation::Fixed, &shares);
    let mut bits = Bits(11);
    for day in 0..days {
        for view in 0..a_day {
            let arm = split.arm(5, Unit::PageView, Key::page_view(day as u64 * a_day + view));
            if arm == 1 && view % 100 < lost {
                continue;
            }
            let outcome = f64::from(u8::from(bits.even() < rates[arm]));
            tally.add(Exposed { arm, day, outcome, units: 1 });
        }
    }
    tally
}

fn about(arms: &[&str]) -> About {
    About {
        unit: Unit::PageView,
        arms: arms.iter().map(|a| (*a).to_owned()).collect(),
        holdout: None,
        outcome: "clicks".into(),
        budgets: Vec::new(),
    }
}

#[test]
fn a_report_finds_what_is_there_and_says_it_plainly() {
    let tally = run(&[0.02, 0.03, 0.02, 0.021], 5, 20_000, 0);
    let about = about(&["old", "new <b>", "same", "like"]);
    let report = report(&about, &tally);
    let [_, new, same, _] = report.arms.as_slice() else { panic!("four arms") };
    let against = new.against.as_ref().unwrap();
    assert!(
        against.interval.contains(0.01) && against.interval.low > 0.0 && against.discovered,
        "{against:?}"
    );
    assert!(against.asymptotic.unwrap().width() < against.interval.width());
    assert!(against.relative.unwrap().contains(0.5));
    assert!(!same.against.as_ref().unwrap().discovered && new.best > 0.999);
    assert!(report.sentences[0].starts_with("new <b> does better than old"), "{:?}", report.sentences);
    assert!(report.sentences[1].contains("cannot be said yet"));
    assert!(report.warnings.is_empty() && report.stopping_rule.ends_with("That is the case now."));
    assert_eq!(report.days.len(), 5);
    assert!(report.sample_ratio.unwrap().1 > fixed::RATIO_MISMATCH_P);
    for svg in [plot::differences(&report), plot::days(&report)] {
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && svg.contains("new &lt;b&gt;"));
    }
}

#[test]
fn a_sample_ratio_that_chance_does_not_explain_is_said_first() {
    let report = report(&about(&["old", "new"]), &run(&[0.02, 0.02], 4, 10_000, 10));
    assert!(report.warnings[0].contains("something other than chance split them"), "{:?}", report.warnings);
    let outlook = report.outlook.unwrap();
    assert!(outlook.days == 4 && outlook.days_to_tenth.unwrap() > 4.0 && outlook.smallest > 0.002);
    assert!(report.stopping_rule.contains("not the case yet"));
}

#[test]
fn adaptive_allocation_is_reported_from_propensities() {
    let mut tally = Tally::new(Allocation::Adaptive { floor: 0.1 }, &[0.5, 0.5]);
    let mut bits = Bits(3);
    for unit in 0..40_000u32 {
        // Allocation drifts to the second arm while everybody's rate falls: plain means would mislead.
        let second = 0.1 + 0.8 * f64::from(unit) / 40_000.0;
        let level = 1.5 - f64::from(unit) / 40_000.0;
        let arm = usize::from(bits.even() < second);
        let rate = level * [0.10, 0.12][arm];
        let outcome = f64::from(u8::from(bits.even() < rate));
        tally.add_drawn(Exposed { arm, day: 0, outcome, units: 1 }, &[1.0 - second, second]);
    }
    let report = report(&about(&["old", "new"]), &tally);
    let against = report.arms[1].against.as_ref().unwrap();
    assert!(against.interval.contains(0.02), "{against:?}");
    assert!((against.difference - 0.02).abs() < 0.012, "{against:?}");
    let plain = report.arms[1].rate - report.arms[0].rate;
    assert!(plain < 0.01, "the plain difference misleads here: {plain}");
    assert!(against.asymptotic.is_none() && report.sample_ratio.is_none());
    tally.add_drawn(Exposed { arm: 1, day: 0, outcome: 1.0, units: 2 }, &[0.95, 0.05]);
    assert_eq!(tally.refused, 2, "below the declared floor");
}
