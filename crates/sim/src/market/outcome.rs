//! How the day went: each budget against the bars of docs/PACING.md.

use super::day::Course;
use regie_model::AdSetId;

/// One budget's day.
#[derive(Clone, Debug)]
pub struct BudgetDay {
    /// Whose.
    pub ad_set: AdSetId,
    /// The day's budget.
    pub total_nanos: i64,
    /// Charged by the ledger.
    pub spent_nanos: i64,
    /// Price of one billed event at most.
    pub event_nanos: i64,
    /// Events that were counted.
    pub events_count: u64,
    /// What it would have spent unpaced and unlimited, all others as they were.
    pub possible_nanos: f64,
    /// Its multiplier at the end.
    pub multiplier_ppm: u32,
    /// Its course, every five minutes.
    pub courses: Vec<Course>,
}
impl BudgetDay {
    /// Share of the budget that was spent.
    pub fn share(&self) -> f64 {
        self.spent_nanos as f64 / self.total_nanos as f64
    }
    /// Billed events that the budget is worth: by what was paid for one, or by the bid where nothing was bought.
    pub fn worth(&self) -> f64 {
        let paid = self.spent_nanos as f64 / self.events_count.max(1) as f64;
        self.total_nanos as f64 / if paid > 0.0 { paid } else { self.event_nanos as f64 }
    }
    /// An unpaced replay could have spent 120% of it.
    pub fn is_able(&self) -> bool {
        self.possible_nanos >= 1.2 * self.total_nanos as f64
    }
    /// Largest distance from the curve, share of the budget.
    pub fn off_curve(&self) -> f64 {
        self.courses.iter().map(|c| (c.spent - c.curve).abs()).fold(0.0, f64::max)
    }
    /// Root of the mean squared distance from the curve, share of the budget.
    pub fn rms_off_curve(&self) -> f64 {
        let sum: f64 = self.courses.iter().map(|c| (c.spent - c.curve).powi(2)).sum();
        (sum / self.courses.len().max(1) as f64).sqrt()
    }
    /// A small budget ends within two billable events and 3% of its whole.
    pub fn small_is_near(&self) -> bool {
        let short = (self.total_nanos - self.spent_nanos) as f64;
        short <= 2.0 * self.event_nanos as f64 + 0.03 * self.total_nanos as f64
    }
}

/// Quantiles of something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Least.
    pub min: f64,
    /// 5%.
    pub p5: f64,
    /// Half.
    pub median: f64,
    /// 95%.
    pub p95: f64,
    /// Most.
    pub max: f64,
}
impl Spread {
    /// Of these numbers.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        let count = sorted.len();
        Spread { count, min: at(0.0), p5: at(0.05), median: at(0.5), p95: at(0.95), max: at(1.0) }
    }
}

/// The whole day.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every budget.
    pub budgets: Vec<BudgetDay>,
    /// Requests.
    pub requests_count: u64,
    /// Of these filled.
    pub fills_count: u64,
    /// Charged in all.
    pub billed_nanos: f64,
    /// Delivered free because a budget had nothing left.
    pub free_nanos: f64,
    /// Laws that the ledger found broken.
    pub broken: Vec<String>,
}
impl Report {
    /// Budgets of at least 1,000 events that an unpaced replay could have spent to 120%.
    pub fn large(&self) -> impl Iterator<Item = &BudgetDay> {
        self.budgets.iter().filter(|b| b.worth() >= 1_000.0 && b.is_able())
    }
    /// Smaller ones that could have been spent.
    pub fn small(&self) -> impl Iterator<Item = &BudgetDay> {
        self.budgets.iter().filter(|b| b.worth() < 1_000.0 && b.is_able())
    }
    /// Budgets that the market could not have spent to 120%: reported, held to no bar.
    pub fn short(&self) -> impl Iterator<Item = &BudgetDay> {
        self.budgets.iter().filter(|b| !b.is_able())
    }
    /// Budgets that were exceeded (law B1): none.
    pub fn exceeded(&self) -> usize {
        self.budgets.iter().filter(|b| b.spent_nanos > b.total_nanos).count()
    }
}
