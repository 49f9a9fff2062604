//! Predicted rates by ad set and place, from the fold's counts: what an impression of an ad set is worth under its current
//! allocation, here.

use super::paid_goal;
use regie_decide::{PPM, Snapshot, rates::PPB};
use regie_learn::served::{
    Served,
    list::Table,
    rates::{Rates, Row},
};
use regie_model::{
    AdId, AdSetId, PlacementId,
    booking::{LearningContext, LearningGoal, Status},
    catalogue::Catalogue,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Places told apart for one ad set.
const PLACES_COUNT_MAX: usize = 64;

/// Counts by ad and place: for clicks, for conversions.
pub(super) type Rows = (Vec<Row>, Vec<Row>);

/// What the fold counted.
pub(super) fn rows(served: &Served) -> Rows {
    let (mut clicks, mut conversions) = (Vec::new(), Vec::new());
    for (ad_set, seen) in served.sets() {
        for ((ad, placement), counts) in &seen.places {
            let row = Row {
                campaign: seen.campaign.0,
                ad_set: ad_set.0,
                ad: ad.0,
                placement: placement.0,
                impressions: f64::from(counts.impressions_count),
                actions: f64::from(counts.clicks_count),
            };
            clicks.push(row);
            conversions.push(Row { actions: f64::from(counts.conversions_count), ..row });
        }
    }
    (clicks, conversions)
}

/// How an ad set's rate differs by place and context, beside its row's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Places {
    pub(super) place_ppm: Vec<(PlacementId, u32)>,
    pub(super) elsewhere_ppm: u32,
    pub(super) context_ppm: Vec<u32>,
}

/// What is predicted.
#[derive(Default)]
pub(super) struct Predicted {
    clicks: Option<Rates>,
    conversions: Option<Rates>,
    counted: BTreeMap<AdSetId, BTreeSet<PlacementId>>,
    seen: Rows,
    rows: Arc<BTreeMap<AdSetId, (u32, u32)>>,
    places: BTreeMap<AdSetId, Places>,
}

impl Predicted {
    /// Fits anew where counts moved; whether they had.
    pub(super) fn fit(&mut self, rows: Rows) -> bool {
        if rows == self.seen {
            return false;
        }
        let prior = |ppb: u32| f64::from(ppb) / f64::from(PPB);
        self.clicks = Some(Rates::fit(&rows.0, prior(regie_decide::rates::PRIOR_CLICK_PPB)));
        self.conversions = Some(Rates::fit(&rows.1, prior(regie_decide::rates::PRIOR_CONVERSION_PPB)));
        self.counted.clear();
        for row in &rows.0 {
            self.counted.entry(AdSetId(row.ad_set)).or_default().insert(PlacementId(row.placement));
        }
        self.seen = rows;
        true
    }
    /// (clicks, conversions) by ad set, parts per billion, at the place and in the context where they are highest.
    pub(super) fn rows(&self) -> Arc<BTreeMap<AdSetId, (u32, u32)>> {
        Arc::clone(&self.rows)
    }
    /// How rates differ.
    pub(super) fn places(&self) -> &BTreeMap<AdSetId, Places> {
        &self.places
    }
    /// Predicts every ad set that pays for actions and of which something was counted. `table` gives the learned allocation.
    pub(super) fn predict<'t>(
        &mut self,
        catalogue: &Catalogue,
        snapshot: &Snapshot,
        table: impl Fn(AdSetId) -> Option<(&'t Table, LearningGoal)>,
    ) {
        let (mut rows, mut places) = (BTreeMap::new(), BTreeMap::new());
        let (Some(clicks), Some(conversions)) = (&self.clicks, &self.conversions) else { return };
        for (id, counted) in &self.counted {
            let Some(set) = catalogue.ad_sets.get(id).filter(|set| set.status == Status::Active) else {
                continue;
            };
            let Some(goal) = paid_goal(&set.spec.bid) else { continue };
            let rates = if goal == LearningGoal::Clicks { clicks } else { conversions };
            let campaign = set.spec.campaign.0;
            let table = table(*id);
            let shares = shares(snapshot, *id, table.map(|t| t.0));
            let of_ads = |place: u32| {
                shares.iter().map(|(ad, share)| share * rates.rate(campaign, id.0, ad.0, place)).sum::<f64>()
            };
            let middle = of_ads(0);
            // Where versions are learned for the very event that is paid, their own rates say more than their ads'.
            let learned = table.filter(|(table, of)| *of == goal && !table.parts.is_empty()).map(|t| t.0);
            let whole = learned.map(|table| table.parts.iter().map(|p| p.expected).fold(0.0, f64::max));
            let by_placement =
                set.spec.learning.as_ref().map(|l| l.context) == Some(LearningContext::Placement);
            let scale =
                |factor: f64, most: f64| ((factor / most) * f64::from(PPM)).clamp(1.0, f64::from(PPM)) as u32;
            let mut factors: Vec<(PlacementId, f64)> = Vec::new();
            if !(learned.is_some() && by_placement) {
                let list = counted.iter().take(PLACES_COUNT_MAX);
                factors = list.map(|place| (*place, rates.at_place(id.0, place.0))).collect();
            }
            let mean = mean_factor(&self.seen, goal, *id, &factors);
            let elsewhere = 1.0 / mean;
            factors.iter_mut().for_each(|(_, factor)| *factor /= mean);
            let most = factors.iter().map(|(_, factor)| *factor).fold(elsewhere, f64::max);
            let base = whole.unwrap_or(middle * mean);
            let rate = (base * most).clamp(1.0 / f64::from(PPB), 1.0);
            let ppb = ((rate * f64::from(PPB)).round() as u32).clamp(1, PPB);
            let other =
                |rates: &Rates| ((rates.rate(campaign, id.0, 0, 0) * f64::from(PPB)) as u32).clamp(1, PPB);
            let row =
                if goal == LearningGoal::Clicks { (ppb, other(conversions)) } else { (other(clicks), ppb) };
            rows.insert(*id, row);
            let context_ppm = match (learned, whole) {
                (Some(table), Some(whole)) if table.parts.len() > 1 => {
                    table.parts.iter().map(|part| scale(part.expected, whole)).collect()
                }
                _ => Vec::new(),
            };
            let place_ppm = factors.iter().map(|(place, factor)| (*place, scale(*factor, most))).collect();
            let elsewhere_ppm = scale(elsewhere, most);
            places.insert(*id, Places { place_ppm, elsewhere_ppm, context_ppm });
        }
        self.rows = Arc::new(rows);
        self.places = places;
    }
}

/// The part that each ad has of what is shown: by its learned table, or by booked weight.
fn shares(snapshot: &Snapshot, id: AdSetId, table: Option<&Table>) -> Vec<(AdId, f64)> {
    let mut shares: BTreeMap<AdId, f64> = BTreeMap::new();
    let weights = snapshot.weights_of(id);
    let whole: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let explore = table.map_or(1.0, |table| f64::from(table.explore_ppm) / 1e6);
    for (ad, weight) in weights {
        *shares.entry(ad).or_default() += explore * weight as f64 / whole.max(1) as f64;
    }
    if let Some(part) = table.and_then(|table| table.parts.first()) {
        let draws: f64 = part.winners.iter().map(|w| f64::from(w.draws_count)).sum();
        for won in &part.winners {
            *shares.entry(won.of.ad).or_default() +=
                (1.0 - explore) * f64::from(won.draws_count) / draws.max(1.0);
        }
    }
    shares.into_iter().collect()
}

/// Mean factor over the places where the ad set was shown, as often as it was.
fn mean_factor(seen: &Rows, goal: LearningGoal, id: AdSetId, factors: &[(PlacementId, f64)]) -> f64 {
    let rows = if goal == LearningGoal::Clicks { &seen.0 } else { &seen.1 };
    let (mut sum, mut count) = (0.0, 0.0);
    let start = rows.partition_point(|row| row.ad_set < id.0);
    for row in rows[start..].iter().take_while(|row| row.ad_set == id.0) {
        if let Ok(at) = factors.binary_search_by_key(&PlacementId(row.placement), |(place, _)| *place) {
            sum += row.impressions * factors[at].1;
            count += row.impressions;
        }
    }
    if count > 0.0 && sum > 0.0 { sum / count } else { 1.0 }
}
