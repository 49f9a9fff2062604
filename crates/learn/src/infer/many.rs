//! Many versions at once: which discoveries to trust.
//!
//! e-BH (Wang, Ramdas, JRSS B 2022, Def. 2) holds under any dependence and at any time, for e-values; Benjamini-Hochberg
//! (1995) and Benjamini-Yekutieli (Annals of Statistics 2001, Thm. 1.3) take p-values. Refuses nothing: no hypotheses, no
//! discoveries; a `NaN` is never discovered.

/// The discoveries of e-BH at level `alpha`: indices in rising order.
pub fn e_bh(e_values: &[f64], alpha: f64) -> Vec<usize> {
    let count = e_values.len() as f64;
    let mut order: Vec<usize> = (0..e_values.len()).filter(|i| !e_values[*i].is_nan()).collect();
    order.sort_by(|a, b| e_values[*b].total_cmp(&e_values[*a]));
    let kept = order
        .iter()
        .enumerate()
        .rev()
        .find(|(rank, i)| (*rank as f64 + 1.0) * e_values[**i] >= count / alpha);
    let mut found: Vec<usize> = kept.map(|(rank, _)| order[..=rank].to_vec()).unwrap_or_default();
    found.sort_unstable();
    found
}

/// Adjusted p-values of Benjamini and Hochberg (independent, or positively dependent, tests).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    step_up(p_values, 1.0)
}

/// Adjusted p-values of Benjamini and Yekutieli (any dependence).
pub fn benjamini_yekutieli(p_values: &[f64]) -> Vec<f64> {
    step_up(p_values, (1..=p_values.len()).map(|i| 1.0 / i as f64).sum())
}

fn step_up(p_values: &[f64], penalty: f64) -> Vec<f64> {
    let count = p_values.len() as f64;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut least = 1.0f64;
    for (rank, i) in order.into_iter().enumerate().rev() {
        least = least.min(penalty * count * p_values[i] / (rank as f64 + 1.0));
        adjusted[i] = least;
    }
    adjusted
}
