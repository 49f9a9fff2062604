//! Budgets that compete for two days of a site, short enough for every run of the suite; `regie simulate pacing` is
//! the long one.
#![allow(clippy::unwrap_used)]

use regie_sim::market::{BudgetDay, Options, Spread, run};

#[test]
fn competing_budgets_are_spent_along_their_curve_and_never_exceeded() {
    let options = Options {
        seed: 5,
        budgets_count: 40,
        requests_count: 50_000,
        step_ms: 60_000,
        learned: false,
        days_count: 2,
    };
    let days = run(options, &mut |_, _| ());
    for (at, day) in days.iter().enumerate() {
        assert!(day.broken.is_empty(), "{:?}", day.broken);
        assert_eq!(day.exceeded(), 0, "law B1");
        assert!(day.large().count() >= 5, "a market without large budgets shows nothing");
        let least = if at == 0 { 0.90 } else { 0.97 };
        for budget in day.large() {
            let share = budget.share();
            assert!((least..=1.0).contains(&share), "day {}: {} spent {share}", at + 1, budget.ad_set);
        }
        let small = day.small().filter(|b| b.small_is_near()).count();
        assert!(small * 100 >= day.small().count() * 90, "{small} of {} small ones", day.small().count());
    }
    let off = Spread::of(days[1].large().map(BudgetDay::rms_off_curve));
    assert!(off.median < 0.05, "{off:?}");
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let short = || Options {
        budgets_count: 6,
        requests_count: 3_000,
        step_ms: 300_000,
        days_count: 1,
        ..Options::default()
    };
    let spent =
        |options| run(options, &mut |_, _| ())[0].budgets.iter().map(|b| b.spent_nanos).collect::<Vec<_>>();
    assert_eq!(spent(short()), spent(short()));
    assert_ne!(spent(short()), spent(Options { seed: 2, ..short() }));
}
