//! Predicted action rates: what fraction of an ad set's impressions ends in a click or a conversion.
//!
//! Hierarchical shrinkage by an empirical-Bayes mean at each level (Gelman et al., Bayesian Data Analysis,
//! section 2.4, with fixed prior strengths): with n impressions and k actions below a parent of rate q,
//!
//! ```text
//! rate = (k + strength x q) / (n + strength)
//! ```
//!
//! overall from the constant prior, campaign from overall, ad set from its campaign. Without counts an ad set
//! has its parent's rate; with many it has its own. Refuses a rate of zero (an ad set could never win and
//! never learn) and one above 1.

/// Parts per billion in 1.
pub const PPB: u32 = 1_000_000_000;
/// Click rate before anything is known: 0.1%.
pub const PRIOR_CLICK_PPB: u32 = 1_000_000;
/// Conversions an impression before anything is known: 0.001%.
pub const PRIOR_CONVERSION_PPB: u32 = 10_000;
/// Impressions that the constant prior is worth in the overall rate.
pub const OVERALL_STRENGTH: f64 = 10_000.0;
/// Impressions that the overall rate is worth in a campaign's.
pub const CAMPAIGN_STRENGTH: f64 = 2_000.0;
/// Impressions that a campaign's rate is worth in an ad set's.
pub const AD_SET_STRENGTH: f64 = 1_000.0;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Impressions.
    pub impressions_count: u64,
    /// Clicks, or conversions, of these.
    pub actions_count: u64,
}

/// One step of shrinkage; all rates in 0..=1.
pub fn shrink(counts: Counts, parent: f64, strength: f64) -> f64 {
    let impressions = counts.impressions_count as f64;
    // Late counting may show more clicks than impressions for a moment; a rate stays a rate.
    let actions = (counts.actions_count as f64).min(impressions);
    (actions + strength * parent) / (impressions + strength)
}

/// Rate of an ad set in parts per billion, 1 to [`PPB`]. `prior_ppb` is [`PRIOR_CLICK_PPB`] or
/// [`PRIOR_CONVERSION_PPB`]; each level's counts include those below it.
pub fn predict_ppb(overall: Counts, campaign: Counts, ad_set: Counts, prior_ppb: u32) -> u32 {
    let prior = f64::from(prior_ppb) / f64::from(PPB);
    let overall = shrink(overall, prior, OVERALL_STRENGTH);
    let campaign = shrink(campaign, overall, CAMPAIGN_STRENGTH);
    let rate = shrink(ad_set, campaign, AD_SET_STRENGTH);
    ((rate * f64::from(PPB)).round() as u32).clamp(1, PPB)
}

#[cfg(test)]
mod tests {
    use super::*;
    fn counts(impressions_count: u64, actions_count: u64) -> Counts {
        Counts { impressions_count, actions_count }
    }

    #[test]
    fn without_counts_it_is_the_prior_and_with_many_the_own_rate() {
        let none = Counts::default();
        assert_eq!(predict_ppb(none, none, none, PRIOR_CLICK_PPB), PRIOR_CLICK_PPB);
        let own = predict_ppb(none, none, counts(100_000_000, 5_000_000), PRIOR_CLICK_PPB);
        assert!((49_990_000..=50_000_000).contains(&own), "{own}");
    }
    #[test]
    fn lies_between_parent_and_own() {
        let parent = counts(1_000_000, 10_000);
        let child = predict_ppb(parent, parent, counts(1_000, 100), PRIOR_CLICK_PPB);
        assert!(child > 10_000_000 && child < 100_000_000, "{child}");
        let half = shrink(counts(1_000, 100), 0.01, 1_000.0);
        assert!((half - 0.055).abs() < 1e-12);
    }
    #[test]
    fn is_never_zero_and_never_above_one() {
        let odd = counts(3, 900);
        assert!(predict_ppb(odd, odd, odd, PPB) <= PPB);
        let dead = counts(u64::MAX, 0);
        assert_eq!(predict_ppb(dead, dead, dead, 1), 1);
    }
}
