//! How good predicted rates were: the rate that a ticket promised beside what became of it, by size of the promise.
//!
//! Log loss needs no join: an impression adds -ln(1 - p), an action of it ln(1 - p) - ln p. Bins are quarters of a doubling. Only
//! impressions billed by click or conversion have a predicted rate. Refuses to know whose ad it was.

use regie_model::ticket::{Billing, Ticket};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bins of a doubling of the rate.
const BINS_PER_DOUBLING: f64 = 4.0;

/// One size of promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Impressions.
    pub impressions_count: u64,
    /// Actions of these.
    pub actions_count: u64,
    /// Sum of the predicted rates.
    pub predicted_sum: f64,
    /// Sum of the log losses, nats.
    pub loss_sum: f64,
}

/// All sizes, by the billed event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    clicks: BTreeMap<i32, Bin>,
    conversions: BTreeMap<i32, Bin>,
}

/// All of one event together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Impressions.
    pub impressions_count: u64,
    /// Actions.
    pub actions_count: u64,
    /// Mean predicted rate.
    pub predicted: f64,
    /// Log loss of an impression, nats.
    pub loss: f64,
    /// The same for the best constant rate in hindsight.
    pub constant_loss: f64,
}

impl Calibration {
    fn bins(&mut self, billing: Billing) -> Option<&mut BTreeMap<i32, Bin>> {
        match billing {
            Billing::Click => Some(&mut self.clicks),
            Billing::Conversion => Some(&mut self.conversions),
            Billing::None | Billing::Impression => None,
        }
    }
    pub(super) fn shown(&mut self, ticket: &Ticket) {
        let p = promised(ticket);
        if let Some(bins) = self.bins(ticket.billing) {
            let bin = bins.entry(number(p)).or_default();
            bin.impressions_count += 1;
            bin.predicted_sum += p;
            bin.loss_sum -= (-p).ln_1p();
        }
    }
    pub(super) fn acted(&mut self, ticket: &Ticket, by: Billing) {
        let p = promised(ticket);
        if ticket.billing == by
            && let Some(bins) = self.bins(by)
        {
            let bin = bins.entry(number(p)).or_default();
            bin.actions_count += 1;
            bin.loss_sum += (-p).ln_1p() - p.ln();
        }
    }
    /// Bins with their middle rate, ascending.
    pub fn of(&self, billing: Billing) -> Vec<Bin> {
        let bins = match billing {
            Billing::Click => &self.clicks,
            Billing::Conversion => &self.conversions,
            Billing::None | Billing::Impression => return Vec::new(),
        };
        bins.values().copied().filter(|bin| bin.impressions_count > 0).collect()
    }
    /// All bins together; `None` without impressions.
    pub fn summary(&self, billing: Billing) -> Option<Summary> {
        let mut sum = Bin::default();
        for bin in self.of(billing) {
            sum.impressions_count += bin.impressions_count;
            sum.actions_count += bin.actions_count;
            sum.predicted_sum += bin.predicted_sum;
            sum.loss_sum += bin.loss_sum;
        }
        let n = sum.impressions_count as f64;
        let rate = (sum.actions_count as f64 / n).clamp(1e-12, 1.0 - 1e-12);
        (sum.impressions_count > 0).then(|| Summary {
            impressions_count: sum.impressions_count,
            actions_count: sum.actions_count,
            predicted: sum.predicted_sum / n,
            loss: sum.loss_sum / n,
            constant_loss: -(rate * rate.ln() + (1.0 - rate) * (-rate).ln_1p()),
        })
    }
}

/// The promise, kept off 0 and 1 where a logarithm would end.
fn promised(ticket: &Ticket) -> f64 {
    f64::from(ticket.predicted_rate).clamp(1e-9, 1.0 - 1e-9)
}
fn number(p: f64) -> i32 {
    (p.log2() * BINS_PER_DOUBLING).floor() as i32
}
