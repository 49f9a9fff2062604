//! The report of an experiment: plain words first, and every figure behind them with the promise it keeps.
//!
//! Intervals of rates and differences are confidence sequences by betting: they hold at every look, from the first unit on.
//! The probability to be best and the expected loss are Bayesian. With many arms, discoveries are by e-BH. Refuses to call a
//! winner by anything but the stopping rule that it states.

use super::{
    Unit,
    lift::{Funded, interference},
    tally::{Allocation, Tally},
};
use crate::infer::{
    Interval,
    bayes::{self, Beta},
    betting,
    fixed::{self, Effect, RATIO_MISMATCH_P, Sample, Scale},
    many,
    plan::Plan,
    sequential,
};

/// The level of every interval and of the false discovery rate.
pub const ALPHA: f64 = 0.05;

/// What an experiment is about, for its report.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// What is randomised.
    pub unit: Unit,
    /// Names of the arms; the first is control.
    pub arms: Vec<String>,
    /// Which arm is a holdout, if one is.
    pub holdout: Option<usize>,
    /// What an outcome is, such as "clicks".
    pub outcome: String,
    /// Budgets of the arms, holdout left out.
    pub budgets: Vec<Funded>,
}

/// An arm's figures.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmReport {
    /// Its name.
    pub name: String,
    /// Share it should have.
    pub share: f64,
    /// Units.
    pub units: u64,
    /// Mean outcome, plain.
    pub rate: f64,
    /// Its confidence sequence, valid at every look.
    pub interval: Interval,
    /// Probability to be the best arm.
    pub best: f64,
    /// Expected loss if it is chosen.
    pub expected_loss: f64,
    /// Against control; `None` for control itself.
    pub against: Option<Against>,
}

/// An arm against control.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Difference of mean outcomes (weighted by propensity where allocation is adaptive).
    pub difference: f64,
    /// Its confidence sequence, valid at every look.
    pub interval: Interval,
    /// Relative change, from the arms' own sequences at half the error each; `None` while control may be zero.
    pub relative: Option<Interval>,
    /// The narrower asymptotic sequence; only after its burn-in, and only under a fixed split.
    pub asymptotic: Option<Interval>,
    /// Evidence against "no difference": wins of a fair gambler from 1.
    pub e_value: f64,
    /// The always-valid p-value.
    pub p: f64,
    /// Among the discoveries at a false discovery rate of 5%.
    pub discovered: bool,
}

/// What can still be expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Smallest difference that the units so far show with 80% power, always-valid.
    pub smallest: f64,
    /// Days so far.
    pub days: u64,
    /// Days in all until a difference of a tenth of control's rate is decided; `None` beyond foresight.
    pub days_to_tenth: Option<f64>,
}

/// The report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Plain sentences: what is known.
    pub sentences: Vec<String>,
    /// What makes the comparison doubtful.
    pub warnings: Vec<String>,
    /// When the experiment may be stopped, in words.
    pub stopping_rule: String,
    /// Every arm.
    pub arms: Vec<ArmReport>,
    /// Chi-square and p of the sample-ratio test.
    pub sample_ratio: Option<(f64, f64)>,
    /// What can still be expected.
    pub outlook: Option<Outlook>,
    /// By day of exposure: the day's number, and units and mean outcome of each arm.
    pub days: Vec<(i32, Vec<(u64, f64)>)>,
}

/// Writes the report.
pub fn report(about: &About, tally: &Tally) -> Report {
    let seen = tally.arms();
    let counts: Vec<u64> = seen.iter().map(|a| a.units).collect();
    let fixed_split = tally.allocation() == Allocation::Fixed;
    let sample_ratio = if fixed_split { fixed::sample_ratio(&counts, tally.shares()) } else { None };
    let posterior =
        |a: &super::tally::Seen| Beta { a: 1.0 + a.sum, b: 1.0 + (a.units as f64 - a.sum).max(0.0) };
    let standings = bayes::standings(&seen.iter().map(posterior).collect::<Vec<_>>());
    let e_values: Vec<f64> = (1..seen.len()).map(|arm| tally.difference(arm).ln_e_value(0.0).exp()).collect();
    let discovered = many::e_bh(&e_values, ALPHA);
    let arms: Vec<ArmReport> = (0..seen.len())
        .map(|arm| ArmReport {
            name: about.arms.get(arm).cloned().unwrap_or_else(|| format!("arm {arm}")),
            share: tally.shares()[arm],
            units: seen[arm].units,
            rate: seen[arm].mean(),
            interval: tally.rate(arm).interval(ALPHA),
            best: standings[arm].best,
            expected_loss: standings[arm].expected_loss,
            against: (arm > 0)
                .then(|| Against { discovered: discovered.contains(&(arm - 1)), ..against(tally, arm) }),
        })
        .collect();
    let days =
        tally.days().map(|(day, arms)| (day, arms.iter().map(|a| (a.units, a.mean())).collect())).collect();
    let outlook = outlook(tally);
    let mut warnings = warnings(about, tally, sample_ratio);
    warnings.extend(interference(&about.budgets));
    let sentences = sentences(about, &arms);
    Report {
        sentences,
        warnings,
        stopping_rule: stopping_rule(&arms, outlook.as_ref()),
        arms,
        sample_ratio,
        outlook,
        days,
    }
}

fn against(tally: &Tally, arm: usize) -> Against {
    let sequence = tally.difference(arm);
    let [control, treated] = [tally.arms()[0], tally.arms()[arm]];
    let fixed_split = tally.allocation() == Allocation::Fixed;
    let difference =
        if fixed_split { treated.mean() - control.mean() } else { sequence.mean().unwrap_or_default() };
    let halves = [0, arm].map(|a| tally.rate(a).interval(ALPHA / 2.0));
    let relative = (halves[0].low > 0.0).then(|| Interval {
        low: halves[1].low / halves[0].high - 1.0,
        high: halves[1].high / halves[0].low - 1.0,
    });
    let sample = |s: super::tally::Seen| Sample {
        count: s.units as f64,
        mean: s.mean(),
        variance: s.mean() * (1.0 - s.mean()),
    };
    let burnt_in = [control, treated].iter().all(|s| sequential::burnt_in(s.sum as u64, s.units));
    let effect = Effect::of(&sample(control), &sample(treated), Scale::Absolute);
    let best_at = (control.units + treated.units) as f64;
    let asymptotic = effect.filter(|_| fixed_split && burnt_in).map(|e| {
        // Tuned beforehand, not to the units at hand: to the next power of two at most doubles a harmless constant.
        sequential::asymptotic(&e, ALPHA, 2f64.powf(best_at.log2().ceil()).max(5_000.0))
    });
    Against {
        difference,
        interval: sequence.interval(ALPHA),
        relative,
        asymptotic,
        e_value: sequence.ln_e_value(0.0).exp(),
        p: sequence.p(0.0),
        discovered: false,
    }
}

fn outlook(tally: &Tally) -> Option<Outlook> {
    let seen = tally.arms();
    let units: u64 = seen.iter().map(|a| a.units).sum();
    let days = tally.days().count() as u64;
    let control = seen.first().filter(|c| c.sum > 0.0 && c.mean() < 1.0)?;
    let shares = tally.shares();
    let both = shares[0] + shares[1];
    let plan = Plan { share: shares[1] / both, ..Plan::of_rate(control.mean()) };
    let in_two = units as f64 * both;
    let a_day = in_two / days.max(1) as f64;
    let needed = plan.count_needed(0.1 * control.mean(), Plan::smallest_sequential);
    Some(Outlook {
        smallest: plan.smallest_sequential(in_two.max(2.0)),
        days,
        days_to_tenth: needed.map(|n| n / a_day).filter(|d| *d < 36_500.0),
    })
}

fn warnings(about: &About, tally: &Tally, sample_ratio: Option<(f64, f64)>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some((_, p)) = sample_ratio.filter(|(_, p)| *p < RATIO_MISMATCH_P) {
        let units: u64 = tally.arms().iter().map(|a| a.units).sum();
        let shown: Vec<String> = tally
            .arms()
            .iter()
            .zip(tally.shares())
            .map(|(a, s)| format!("{} instead of about {:.0}", a.units, s * units as f64))
            .collect();
        warnings.push(format!(
            "The arms do not have the {} they should ({}; p = {p:.1e}): something other than chance split them, such as \
             an arm whose pages fail to report. Do not use the comparison before that is found.",
            about.unit.plural(),
            shown.join(", ")
        ));
    }
    if tally.refused > 0 {
        warnings.push(format!(
            "{} units were left out: outcome or propensity outside what was declared.",
            tally.refused
        ));
    }
    if matches!(about.unit, Unit::PlacementHour | Unit::RegionDay)
        && tally.arms().iter().any(|a| a.units < 20)
    {
        warnings.push(format!(
            "There are fewer than 20 {} in an arm: one unusual one moves the result.",
            about.unit.plural()
        ));
    }
    warnings
}

fn per_thousand(rate: f64) -> String {
    format!("{:.2}", 1e3 * rate)
}

fn sentences(about: &About, arms: &[ArmReport]) -> Vec<String> {
    let unit = about.unit.plural();
    let mut sentences = Vec::new();
    for arm in arms {
        let Some(against) = &arm.against else { continue };
        let range = format!(
            "{} to {} {} more per 1,000 {unit} (95%, at every look)",
            per_thousand(against.interval.low),
            per_thousand(against.interval.high),
            about.outcome
        );
        let (treated, control) = match about.holdout {
            Some(0) => (arm.name.clone(), "showing nothing of this advertiser"),
            _ => (arm.name.clone(), arms[0].name.as_str()),
        };
        sentences.push(if against.interval.low > 0.0 {
            format!("{treated} does better than {control}: {range}.")
        } else if against.interval.high < 0.0 {
            format!("{treated} does worse than {control}: {range}.")
        } else {
            format!("Whether {treated} does better or worse than {control} cannot be said yet: {range}.")
        });
    }
    if let Some(best) = arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)) {
        sentences.push(format!(
            "{} is the best with probability {:.1}%; choosing it loses {} {} per 1,000 {unit} on average if it is not.",
            best.name,
            100.0 * best.best,
            per_thousand(best.expected_loss),
            about.outcome
        ));
    }
    sentences
}

fn stopping_rule(arms: &[ArmReport], outlook: Option<&Outlook>) -> String {
    let rule = "Look as often as you like. Stop when an arm's range against control lies wholly above or below zero; \
                stopping for that reason is right at least 19 times in 20, however often you looked.";
    let found =
        arms.iter().filter_map(|a| a.against.as_ref()).any(|a| a.interval.low > 0.0 || a.interval.high < 0.0);
    if found {
        return format!("{rule} That is the case now.");
    }
    match outlook.and_then(|o| o.days_to_tenth.map(|days| (o.days, days))) {
        Some((so_far, days)) => format!(
            "{rule} That is not the case yet, after {so_far} days; a difference of a tenth would show after about {:.0} days in all.",
            days.ceil()
        ),
        None => format!("{rule} That is not the case yet."),
    }
}

/// The narrowest rate interval that promises nothing less: used where only counts are at hand.
pub fn rate_interval(successes: u64, units: u64) -> Interval {
    betting::Sequence::of_rate(successes, units).interval(ALPHA)
}
