//! Templates: what each element earns, and what another mix of elements would have earned.
//!
//! Versions of a template are too many to weigh one by one. Under the **stated assumption that the reward is a sum of one
//! part for each slot's element** (no interactions), least squares on the elements shown is the pseudo-inverse estimator
//! (Swaminathan et al. 2017, Thm. 1, one context): unbiased for any policy over elements that were shown, with variance by
//! element, not by version. Intervals are of the sandwich form (White 1980, HC0), normal.
//!
//! Refuses a target element that was never shown, and more than [`ELEMENTS_COUNT_MAX`] elements.

use super::{EvaluateError, support};
use crate::infer::{Interval, special::normal_quantile};

/// Elements over all slots at most: the normal equations are dense.
pub const ELEMENTS_COUNT_MAX: usize = 600;
/// The assumption, in the words that every report shows beside these figures.
pub const ASSUMPTION: &str =
    "Assumes that each element adds its own part to the reward, whatever it stands beside.";

/// Versions shown: for each row one element of every slot, numbered from 0 within its slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versions {
    /// Elements in each slot.
    pub slots: Vec<usize>,
    /// Row by row, one element for each slot.
    pub elements: Vec<u32>,
    /// Rewards, one a row.
    pub reward: Vec<f64>,
}

/// The fitted parts.
#[derive(Clone, Debug)]
pub struct Fitted {
    slots: Vec<usize>,
    parts: Vec<f64>,
    covariance: Vec<f64>,
    shown: Vec<u64>,
    count: u64,
}

impl Versions {
    fn row(&self, row: usize) -> &[u32] {
        &self.elements[row * self.slots.len()..(row + 1) * self.slots.len()]
    }
    /// Fits one part for each element.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`].
    pub fn fit(&self) -> Result<Fitted, EvaluateError> {
        let width: usize = self.slots.iter().sum();
        let rows = self.reward.len();
        if width == 0
            || width > ELEMENTS_COUNT_MAX
            || rows == 0
            || self.elements.len() != rows * self.slots.len()
        {
            let what = format!("{width} elements (1 to {ELEMENTS_COUNT_MAX}), {rows} rows");
            return Err(EvaluateError::Shape(what));
        }
        let offsets = offsets(&self.slots);
        let mut normal = vec![0.0; width * width];
        let mut right = vec![0.0; width];
        let mut shown = vec![0u64; width];
        let at = |row: usize, slot: usize| offsets[slot] + self.row(row)[slot] as usize;
        for row in 0..rows {
            for slot in 0..self.slots.len() {
                if self.row(row)[slot] as usize >= self.slots[slot] {
                    let what = format!("slot {slot} has no element {}", self.row(row)[slot]);
                    return Err(EvaluateError::Value { row, what });
                }
            }
            for slot in 0..self.slots.len() {
                let i = at(row, slot);
                shown[i] += 1;
                right[i] += self.reward[row];
                (0..self.slots.len()).for_each(|other| normal[i * width + at(row, other)] += 1.0);
            }
        }
        // Slots share a constant, so the equations lack rank: a trace of ridge chooses the smallest solution, and no
        // contrast or policy value depends on the choice.
        let ridge = 1e-8 * rows as f64 / width as f64;
        (0..width).for_each(|i| normal[i * width + i] += ridge);
        let inverse = inverse(normal, width);
        let parts: Vec<f64> =
            (0..width).map(|i| (0..width).map(|j| inverse[i * width + j] * right[j]).sum()).collect();
        let mut meat = vec![0.0; width * width];
        for row in 0..rows {
            let fit: f64 = (0..self.slots.len()).map(|slot| parts[at(row, slot)]).sum();
            let squared = (self.reward[row] - fit).powi(2);
            for slot in 0..self.slots.len() {
                let i = at(row, slot) * width;
                (0..self.slots.len()).for_each(|other| meat[i + at(row, other)] += squared);
            }
        }
        let covariance = product(&product(&inverse, &meat, width), &inverse, width);
        Ok(Fitted { slots: self.slots.clone(), parts, covariance, shown, count: rows as u64 })
    }
}

impl Fitted {
    /// Value of a policy that chooses each slot's element by the given probabilities, independently, and its interval.
    ///
    /// # Errors
    /// [`EvaluateError::OutsideSupport`] where more than 1% lies on elements never shown; [`EvaluateError::Shape`].
    pub fn value(&self, target: &[Vec<f64>], alpha: f64) -> Result<(f64, Interval), EvaluateError> {
        let direction: Vec<f64> = target.concat();
        if direction.len() != self.parts.len() || target.len() != self.slots.len() {
            return Err(EvaluateError::Shape("the policy has other slots than the log".into()));
        }
        let outside = |(p, shown): (&f64, &u64)| if *shown == 0 { *p } else { 0.0 };
        let outside_share: f64 =
            direction.iter().zip(&self.shown).map(outside).sum::<f64>() / self.slots.len() as f64;
        if outside_share > support::OUTSIDE_SHARE_MAX {
            return Err(EvaluateError::OutsideSupport { outside_share });
        }
        Ok(self.along(&direction, alpha))
    }
    /// What an element adds, against the others of its slot as they were shown, and its interval; `None` for one never
    /// shown, or the only one.
    pub fn effect(&self, slot: usize, element: usize, alpha: f64) -> Option<(f64, Interval)> {
        let offset = *offsets(&self.slots).get(slot)?;
        let others = self.count.checked_sub(*self.shown.get(offset + element)?)?;
        if element >= *self.slots.get(slot)? || self.shown[offset + element] == 0 || others == 0 {
            return None;
        }
        let mut direction = vec![0.0; self.parts.len()];
        for other in (0..self.slots[slot]).filter(|o| *o != element) {
            direction[offset + other] = -(self.shown[offset + other] as f64) / others as f64;
        }
        direction[offset + element] = 1.0;
        Some(self.along(&direction, alpha))
    }
    fn along(&self, direction: &[f64], alpha: f64) -> (f64, Interval) {
        let width = direction.len();
        let value = direction.iter().zip(&self.parts).map(|(d, p)| d * p).sum();
        let mut variance = 0.0;
        for (i, a) in direction.iter().enumerate().filter(|(_, a)| **a != 0.0) {
            variance += a * (0..width).map(|j| self.covariance[i * width + j] * direction[j]).sum::<f64>();
        }
        let half_width = normal_quantile(1.0 - alpha / 2.0) * variance.max(0.0).sqrt();
        (value, Interval::around(value, half_width))
    }
}

fn offsets(slots: &[usize]) -> Vec<usize> {
    slots.iter().scan(0, |next, count| Some(std::mem::replace(next, *next + count))).collect()
}

fn product(a: &[f64], b: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; width * width];
    for i in 0..width {
        for k in 0..width {
            let factor = a[i * width + k];
            if factor != 0.0 {
                (0..width).for_each(|j| out[i * width + j] += factor * b[k * width + j]);
            }
        }
    }
    out
}

/// Inverse of a symmetric positive matrix by Gauss-Jordan elimination, pivots on the diagonal.
fn inverse(mut a: Vec<f64>, width: usize) -> Vec<f64> {
    for pivot in 0..width {
        let diagonal = a[pivot * width + pivot];
        a[pivot * width + pivot] = 1.0;
        (0..width).for_each(|j| a[pivot * width + j] /= diagonal);
        for i in (0..width).filter(|i| *i != pivot) {
            let factor = std::mem::take(&mut a[i * width + pivot]);
            if factor != 0.0 {
                (0..width).for_each(|j| a[i * width + j] -= factor * a[pivot * width + j]);
            }
        }
    }
    a
}
