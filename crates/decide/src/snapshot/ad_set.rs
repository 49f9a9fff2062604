//! What a decision reads of one ad set and of its versions. Immutable once compiled; segments share it.

use super::experiment::Experiment;
use crate::{
    learned::TemplateFacts,
    outcome::Elimination,
    rates::PPB,
    tables::{Numbers, Row, paced, scaled},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, UtcMs, VersionId, Zone,
    booking::{FrequencyCap, Tier},
    money::DatedRate,
    targeting::Clause,
    ticket::Billing,
};
use std::sync::Arc;

/// What a decision reads of one ad set.
#[derive(Clone, Debug)]
pub(crate) struct AdSetFacts {
    pub(crate) id: AdSetId,
    pub(crate) campaign: CampaignId,
    pub(crate) advertiser: AdvertiserId,
    pub(crate) political: bool,
    /// Its campaign takes all places of a request or none.
    pub(crate) roadblock: bool,
    pub(crate) tier: Tier,
    pub(crate) starts_at: UtcMs,
    pub(crate) ends_at: Option<UtcMs>,
    pub(crate) billing: Billing,
    /// The bid for one billed event (one impression for CPM), nanos of the account's currency.
    pub(crate) bid_nanos: i64,
    /// The account's.
    pub(crate) currency: Currency,
    /// Number of `currency` in every placement's reserves.
    pub(crate) currency_number: u32,
    pub(crate) rate_nanos: i64,
    pub(crate) caps: Box<[FrequencyCap]>,
    /// Sorted.
    pub(crate) categories: Box<[u32]>,
    /// From when until when its sponsor may not advertise before a vote.
    pub(crate) silences: Box<[(UtcMs, UtcMs)]>,
    /// In the order in which versions are drawn: by ad, then shape.
    pub(crate) groups: Box<[Group]>,
    /// Why it cannot deliver whatever the request; the switch that stops everything paid apart.
    pub(crate) standing: Option<Elimination>,
    /// The experiment over what it shows.
    pub(crate) experiment: Option<Box<Experiment>>,
    pub(crate) cold: Cold,
}

/// What only the index and `explain` read.
#[derive(Clone, Debug)]
pub(crate) struct Cold {
    pub(crate) clauses: Box<[Clause]>,
    /// The account's.
    pub(crate) zone: Zone,
}

impl AdSetFacts {
    /// Expected value of an impression in the auction currency, each step rounded down.
    pub(crate) fn score_nanos(&self, rate_ppb: u32) -> i64 {
        if self.rate_nanos == DatedRate::PAR {
            return scaled(self.bid_nanos.max(0), rate_ppb, PPB);
        }
        let auction = i128::from(self.bid_nanos.max(0)) * i128::from(self.rate_nanos.max(1))
            / i128::from(DatedRate::PAR);
        i64::try_from(auction * i128::from(rate_ppb) / i128::from(PPB)).unwrap_or(i64::MAX)
    }
    /// Expected value of an impression in the account's currency, rounded down; `None` for a fee or a free ad.
    pub(crate) fn value_nanos(&self, rate_ppb: u32) -> Option<i64> {
        (self.billing != Billing::None).then(|| scaled(self.bid_nanos.max(0), rate_ppb, PPB))
    }
    pub(crate) fn numbers(&self, row: Row) -> Numbers {
        let rate_ppb = match self.billing {
            Billing::Click => row.click_ppb,
            Billing::Conversion => row.conversion_ppb,
            Billing::Impression | Billing::None => PPB,
        };
        let Row { pass_ppm, multiplier_ppm, need_ppm, .. } = row;
        let score_nanos = paced(self.score_nanos(rate_ppb), multiplier_ppm);
        Numbers { pass_ppm, multiplier_ppm, rate_ppb, need_ppm, score_nanos, advertiser: self.advertiser }
    }
}

/// The versions of one ad that have one shape. Their creatives are looked up by id when one is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) ad: AdId,
    /// Number of the landing page's host.
    pub(crate) host: u32,
    /// Number of the shape.
    pub(crate) shape: u32,
    /// Sum of the versions' weights; above zero.
    pub(crate) weight: u64,
    /// Ascending; of a template the version of its code 0, which stands for all of them.
    pub(crate) versions: Box<[VersionId]>,
    /// The template whose combinations these are.
    pub(crate) template: Option<Arc<TemplateFacts>>,
    /// Sum of the weights up to and with each version; empty where all weigh alike.
    weight_to_here: Box<[u64]>,
}
impl Group {
    /// From versions in ascending order with weights above zero.
    pub(super) fn new(ad: AdId, host: u32, shape: u32, versions: &[(VersionId, u32)]) -> Group {
        let first = versions.first().map_or(1, |(_, weight)| *weight);
        let alike = versions.iter().all(|(_, weight)| *weight == first);
        let mut weight = 0;
        let sums = versions.iter().map(|(_, own)| {
            weight += u64::from(*own);
            weight
        });
        let sums: Vec<u64> = sums.collect();
        let weight_to_here = if alike { Box::default() } else { sums.into() };
        Group {
            ad,
            host,
            shape,
            weight,
            versions: versions.iter().map(|(id, _)| *id).collect(),
            template: None,
            weight_to_here,
        }
    }
    /// A template: it counts as one version of weight 1 among the ad set's.
    pub(super) fn of_template(ad: AdId, host: u32, shape: u32, template: TemplateFacts) -> Group {
        let group = Group::new(ad, host, shape, &[(VersionId::of_template(0), 1)]);
        Group { template: Some(Arc::new(template)), ..group }
    }
    /// Whether a version is among these.
    pub(crate) fn has(&self, version: VersionId) -> bool {
        self.versions.binary_search(&version).is_ok()
    }
    /// The weight of one of them.
    pub(crate) fn weight_of(&self, version: VersionId) -> Option<u64> {
        let at = self.versions.binary_search(&version).ok()?;
        let Some(sum) = self.weight_to_here.get(at) else {
            return Some((self.weight / self.versions.len().max(1) as u64).max(1));
        };
        let before = at.checked_sub(1).and_then(|b| self.weight_to_here.get(b)).copied().unwrap_or(0);
        Some(sum - before)
    }
    /// The group with some of its versions; `None` when none is left.
    pub(crate) fn only(&self, kept: impl Fn(VersionId) -> bool) -> Option<Group> {
        let mut before = 0;
        let weighed: Vec<(VersionId, u32)> = (0..self.versions.len())
            .filter_map(|at| {
                let (id, weight) = self.draw(before)?;
                before += weight;
                debug_assert_eq!(Some(&id), self.versions.get(at));
                kept(id).then(|| (id, u32::try_from(weight).unwrap_or(u32::MAX)))
            })
            .collect();
        (!weighed.is_empty()).then(|| Group::new(self.ad, self.host, self.shape, &weighed))
    }
    /// The version that `drawn`, 0 to `weight`, falls upon, with its weight.
    pub(crate) fn draw(&self, drawn: u64) -> Option<(VersionId, u64)> {
        if self.weight_to_here.is_empty() {
            let each = (self.weight / self.versions.len().max(1) as u64).max(1);
            return Some((*self.versions.get((drawn / each) as usize)?, each));
        }
        let at = self.weight_to_here.partition_point(|sum| *sum <= drawn);
        let before = at.checked_sub(1).and_then(|b| self.weight_to_here.get(b)).copied().unwrap_or(0);
        Some((*self.versions.get(at)?, self.weight_to_here.get(at)? - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_draw_falls_upon_its_version() {
        for weights in [vec![1u32, 1, 1], vec![5, 5], vec![1, 3, 2, 7], vec![4]] {
            let versions: Vec<_> = weights.iter().zip(1..).map(|(w, id)| (VersionId(id), *w)).collect();
            let group = Group::new(AdId(1), 0, 0, &versions);
            let drawn: Vec<_> = (0..group.weight).map(|draw| group.draw(draw).unwrap()).collect();
            let wanted = versions.iter().flat_map(|(id, w)| (0..*w).map(move |_| (*id, u64::from(*w))));
            assert_eq!(drawn, wanted.collect::<Vec<_>>());
            assert_eq!(group.draw(group.weight), None);
            for (id, weight) in &versions {
                assert_eq!(group.weight_of(*id), Some(u64::from(*weight)));
            }
            assert_eq!(group.weight_of(VersionId(99)), None);
        }
    }
}
