//! Lift from a holdout by ghost impressions: what the ads added, measured on units that *would have* seen them.
//!
//! In the holdout the ad set takes part in the decision like any other; where it would have won, a ghost impression is
//! logged, no budget is held, and the runner-up is served (Johnson, Lewis, Nubbemeyer, JMR 2017). Served and ghost units are
//! alike but for the ad, as long as one budget gate opens and closes for both; arms that spend *separate* budgets stay
//! comparable only in proportion to their split, else one is out of money while the other still serves, and time of day
//! passes for effect. Refuses silence about that: [`interference`].

/// How far an arm's share of the budgets may be from its share of the units, relatively, before the report warns.
pub const BUDGET_DEVIATION_MAX: f64 = 0.05;

/// An arm's share and its own budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Funded {
    /// Share of units, 0 to 1.
    pub share: f64,
    /// Own budget; `None` where it spends from the common one.
    pub budget_micros: Option<i64>,
}

/// Why the arms' budgets may make the comparison misleading; `None` where they do not. Holdouts are left out by the caller.
pub fn interference(arms: &[Funded]) -> Option<String> {
    let own: Vec<(f64, f64)> =
        arms.iter().filter_map(|a| a.budget_micros.map(|b| (a.share, b as f64))).collect();
    if own.is_empty() {
        return (arms.len() > 1).then(|| {
            "The arms spend from one budget: what one arm wins the others cannot spend, so a better arm takes money from \
             the arm it is compared with. Give each arm a budget of its own, in proportion to its split."
                .to_owned()
        });
    }
    if own.len() < arms.len() {
        return Some(
            "Some arms have budgets of their own and others do not; they run out at different times."
                .to_owned(),
        );
    }
    let (share, budget) = own.iter().fold((0.0, 0.0), |sum, arm| (sum.0 + arm.0, sum.1 + arm.1));
    let off = own.iter().map(|(s, b)| ((b / budget) / (s / share) - 1.0).abs()).fold(0.0, f64::max);
    (off > BUDGET_DEVIATION_MAX).then(|| {
        format!(
            "The arms' budgets are not in proportion to their split (off by {:.0}%): one runs out before the other, and the \
             time of day passes for an effect.",
            100.0 * off
        )
    })
}

/// What a simulated day with a tight budget is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TightDay {
    /// Page views.
    pub views: u64,
    /// Share of views that the ad set would win, while it has money.
    pub win_share: f64,
    /// Impressions that the budgets of all arms pay for.
    pub paid: u64,
    /// Share of that budget given to the second arm; its split is one half.
    pub second_share: f64,
    /// The second arm is a holdout: ghosts, spending nothing, under the first arm's gate.
    pub holdout: bool,
}

/// One view's result: the arm (0, 1) and whether a conversion followed.
pub type Counted = (usize, bool);

/// Simulates a day **without any effect**: conversions follow the hour alone, four times as likely late as early. `even` gives
/// even numbers in [0, 1); `counted` gets every exposed unit, ghosts included.
pub fn day_without_effect(day: &TightDay, mut even: impl FnMut() -> f64, mut counted: impl FnMut(Counted)) {
    let second = (day.paid as f64 * day.second_share) as u64;
    let mut left = if day.holdout { [day.paid, 0] } else { [day.paid - second, second] };
    for view in 0..day.views {
        let late = view as f64 / day.views as f64;
        let converts = even() < 0.02 + 0.06 * late;
        if even() >= day.win_share {
            continue;
        }
        let arm = usize::from(even() < 0.5);
        let gate = if day.holdout { 0 } else { arm };
        if left[gate] == 0 {
            continue;
        }
        // A ghost holds and spends nothing.
        if !(day.holdout && arm == 1) {
            left[gate] -= 1;
        }
        counted((arm, converts));
    }
}
