//! The catalogue: everything booked, as a fold over [`Change`]s. Same changes, same catalogue.
//!
//! Of the versions, of which there may be millions, it keeps ids, states and numbers ([`Versions`]).
//! Refuses to judge: a change in the journal was accepted, so applying it cannot fail.

use crate::{
    AdId, AdSetId, AdvertiserId, CampaignId, ElectionId, GroupingId, PartyId, PersonKeyId, PlacementId,
    ReportId, SegmentId, SiteId, TokenId, UserId, UtcMs, VersionId,
    booking::*,
    command::{Change, EntityRef, Stop, Verdict},
    creative::ObjectHash,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod image;
mod page;
mod versions;

pub use image::{Damaged, FRAME_BYTES_MAX, ImageReader};
pub use page::{Servable, VersionBrief};
pub use versions::{VersionPages, Versions};

/// A spec with its revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept<T> {
    /// 1 for the first.
    pub revision: u32,
    /// What it says now.
    pub spec: T,
    /// Whether it may deliver.
    pub status: Status,
    /// When it was first booked.
    pub created_at: UtcMs,
    /// When it last changed.
    pub changed_at: UtcMs,
}

/// Where a review stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Review {
    /// Waits for the publisher.
    #[default]
    Pending,
    /// May be served.
    Approved,
    /// May not, with the reason.
    Rejected {
        /// What the publisher says.
        reason: String,
    },
}

/// What of an ad was approved: this is what is served while a later edit waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedAd {
    /// Which revision.
    pub revision: u32,
    /// Where clicks go.
    pub landing_url: String,
    /// What its HTML may load from.
    pub third_party_origins: Vec<String>,
    /// Slots and assets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateSpec>,
}

/// An ad with its review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdState {
    /// As booked.
    #[serde(flatten)]
    pub kept: Kept<AdSpec>,
    /// Of the current revision.
    pub review: Review,
    /// What is served.
    pub approved: Option<ApprovedAd>,
}

/// A version with its review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionState {
    /// As booked.
    #[serde(flatten)]
    pub kept: Kept<VersionRecord>,
    /// Of the current creative.
    pub review: Review,
    /// What is served.
    pub approved: Option<(ObjectHash, Shape)>,
}

/// A report and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportState {
    /// As it was filed.
    pub spec: ReportSpec,
    /// When.
    pub filed_at: UtcMs,
    /// The decision, and when it was taken.
    pub decided: Option<(ReportDecision, UtcMs)>,
}

/// Everything booked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Settings; none before the first start is finished.
    pub publisher: Option<Kept<PublisherSpec>>,
    /// Sites.
    pub sites: BTreeMap<SiteId, Kept<SiteSpec>>,
    /// Placements.
    pub placements: BTreeMap<PlacementId, Kept<PlacementSpec>>,
    /// Segments.
    pub segments: BTreeMap<SegmentId, Kept<SegmentSpec>>,
    /// Advertisers.
    pub advertisers: BTreeMap<AdvertiserId, Kept<AdvertiserSpec>>,
    /// Sponsors and payers.
    pub parties: BTreeMap<PartyId, Kept<SealedParty>>,
    /// Campaigns.
    pub campaigns: BTreeMap<CampaignId, Kept<CampaignSpec>>,
    /// Ad sets.
    pub ad_sets: BTreeMap<AdSetId, Kept<AdSetSpec>>,
    /// Ads.
    pub ads: BTreeMap<AdId, AdState>,
    /// Versions.
    pub versions: Versions,
    /// Users.
    pub users: BTreeMap<UserId, UserRecord>,
    /// Tokens.
    pub tokens: BTreeMap<TokenId, TokenRecord>,
    /// Elections, referendums and legislative processes.
    pub elections: BTreeMap<ElectionId, Kept<ElectionSpec>>,
    /// Reports of possibly non-compliant ads.
    pub reports: BTreeMap<ReportId, ReportState>,
    /// Which sponsors belong together, as the publisher says.
    pub groupings: BTreeMap<GroupingId, Kept<GroupingSpec>>,
    /// What is stopped, with the reason.
    pub stops: BTreeMap<Stop, String>,
    /// Persons whose key was destroyed.
    pub erased: BTreeSet<PersonKeyId>,
    /// Highest person key ever used.
    pub last_person_key: u32,
    /// Ad sets by campaign.
    pub ad_sets_of: BTreeMap<CampaignId, Vec<AdSetId>>,
    /// Ads by ad set.
    pub ads_of: BTreeMap<AdSetId, Vec<AdId>>,
    /// Callers' own ids: campaigns.
    pub external_campaigns: BTreeMap<String, CampaignId>,
    /// Callers' own ids: ad sets.
    pub external_ad_sets: BTreeMap<String, AdSetId>,
    /// Callers' own ids: ads.
    pub external_ads: BTreeMap<String, AdId>,
}

fn put<K: Ord, T>(map: &mut BTreeMap<K, Kept<T>>, id: K, spec: T, status: Option<Status>, at: UtcMs) -> bool {
    match map.get_mut(&id) {
        Some(kept) => {
            kept.revision += 1;
            kept.spec = spec;
            kept.status = status.unwrap_or(kept.status);
            kept.changed_at = at;
            false
        }
        None => {
            let status = status.unwrap_or_default();
            map.insert(id, Kept { revision: 1, spec, status, created_at: at, changed_at: at });
            true
        }
    }
}

impl Catalogue {
    /// Nothing booked.
    pub fn new() -> Catalogue {
        Catalogue::default()
    }

    /// Applies an accepted change of the journal, made at `at`.
    pub fn apply(&mut self, at: UtcMs, change: &Change) {
        match change.clone() {
            Change::PublisherPut { spec } => {
                let revision = self.publisher.as_ref().map_or(0, |p| p.revision) + 1;
                let created_at = self.publisher.as_ref().map_or(at, |p| p.created_at);
                self.publisher =
                    Some(Kept { revision, spec, status: Status::Active, created_at, changed_at: at });
            }
            Change::SitePut { id, spec } => drop(put(&mut self.sites, id, spec, None, at)),
            Change::PlacementPut { id, spec } => drop(put(&mut self.placements, id, spec, None, at)),
            Change::SegmentPut { id, spec } => drop(put(&mut self.segments, id, spec, None, at)),
            Change::AdvertiserPut { id, spec } => drop(put(&mut self.advertisers, id, spec, None, at)),
            Change::PartyPut { id, spec } => {
                self.last_person_key = self.last_person_key.max(spec.identity.key.0);
                put(&mut self.parties, id, spec, None, at);
            }
            Change::CampaignPut { id, spec } => {
                if let Some(external) = &spec.external_id {
                    self.external_campaigns.insert(external.clone(), id);
                }
                put(&mut self.campaigns, id, spec, None, at);
            }
            Change::AdSetPut { id, spec } => {
                if let Some(external) = &spec.external_id {
                    self.external_ad_sets.insert(external.clone(), id);
                }
                let campaign = spec.campaign;
                if put(&mut self.ad_sets, id, spec, None, at) {
                    self.ad_sets_of.entry(campaign).or_default().push(id);
                }
            }
            Change::AdPut { id, spec } => self.put_ad(at, id, spec),
            Change::VersionPut { id, record } => self.versions.put(at, id, &record),
            Change::StatusSet { entity, status } => self.set_status(at, entity, status),
            Change::Reviewed { ads, versions, verdict, reason } => {
                self.review(&ads, &versions, verdict, &reason)
            }
            Change::StopSet { what, on, reason } => {
                if on {
                    self.stops.insert(what, reason);
                } else {
                    self.stops.remove(&what);
                }
            }
            Change::ElectionPut { id, spec } => drop(put(&mut self.elections, id, spec, None, at)),
            Change::ReportFiled { id, spec } => {
                self.last_person_key = self.last_person_key.max(spec.reporter.key.0);
                self.reports.insert(id, ReportState { spec, filed_at: at, decided: None });
            }
            Change::ReportDecided { id, decision } => {
                if let Some(report) = self.reports.get_mut(&id) {
                    report.decided = Some((decision, at));
                }
            }
            Change::GroupingPut { id, spec } => {
                self.last_person_key = self.last_person_key.max(spec.said.key.0);
                put(&mut self.groupings, id, spec, None, at);
            }
            Change::UserPut { id, record } => drop(self.users.insert(id, record)),
            Change::TokenPut { id, record } => drop(self.tokens.insert(id, record)),
            Change::PersonErased { key, .. } => drop(self.erased.insert(key)),
            Change::Deposited { .. } | Change::Credited { .. } | Change::Adapted { .. } => {}
        }
    }

    fn put_ad(&mut self, at: UtcMs, id: AdId, spec: AdSpec) {
        if let Some(external) = &spec.external_id {
            self.external_ads.insert(external.clone(), id);
        }
        match self.ads.get_mut(&id) {
            Some(ad) => {
                let serves_alike = ad.kept.spec.landing_url == spec.landing_url
                    && ad.kept.spec.third_party_origins == spec.third_party_origins
                    && shows_alike(ad.kept.spec.template.as_ref(), spec.template.as_ref());
                ad.kept.revision += 1;
                ad.kept.spec = spec;
                ad.kept.changed_at = at;
                if serves_alike && ad.review == Review::Approved {
                    if let Some(approved) = &mut ad.approved {
                        approved.revision = ad.kept.revision;
                        approved.template = ad.kept.spec.template.clone();
                    }
                } else {
                    ad.review = Review::Pending;
                }
            }
            None => {
                self.ads_of.entry(spec.ad_set).or_default().push(id);
                let kept = Kept { revision: 1, spec, status: Status::Active, created_at: at, changed_at: at };
                self.ads.insert(id, AdState { kept, review: Review::Pending, approved: None });
            }
        }
    }

    fn set_status(&mut self, at: UtcMs, entity: EntityRef, status: Status) {
        fn set<T>(kept: Option<&mut Kept<T>>, status: Status, at: UtcMs) {
            if let Some(kept) = kept {
                kept.status = status;
                kept.changed_at = at;
            }
        }
        match entity {
            EntityRef::Site(id) => set(self.sites.get_mut(&id), status, at),
            EntityRef::Placement(id) => set(self.placements.get_mut(&id), status, at),
            EntityRef::Segment(id) => set(self.segments.get_mut(&id), status, at),
            EntityRef::Advertiser(id) => set(self.advertisers.get_mut(&id), status, at),
            EntityRef::Party(id) => set(self.parties.get_mut(&id), status, at),
            EntityRef::Campaign(id) => set(self.campaigns.get_mut(&id), status, at),
            EntityRef::AdSet(id) => set(self.ad_sets.get_mut(&id), status, at),
            EntityRef::Ad(id) => set(self.ads.get_mut(&id).map(|a| &mut a.kept), status, at),
            EntityRef::Version(id) => self.versions.set_status(at, id, status),
        }
    }

    fn review(
        &mut self,
        ads: &[(AdId, u32)],
        versions: &[(VersionId, ObjectHash)],
        verdict: Verdict,
        reason: &str,
    ) {
        let review = match verdict {
            Verdict::Approved => Review::Approved,
            Verdict::Rejected => Review::Rejected { reason: reason.to_owned() },
        };
        for (id, revision) in ads {
            let Some(ad) = self.ads.get_mut(id).filter(|ad| ad.kept.revision == *revision) else { continue };
            ad.review = review.clone();
            ad.approved = (verdict == Verdict::Approved).then(|| ApprovedAd {
                revision: *revision,
                landing_url: ad.kept.spec.landing_url.clone(),
                third_party_origins: ad.kept.spec.third_party_origins.clone(),
                template: ad.kept.spec.template.clone(),
            });
        }
        for (id, creative) in versions {
            self.versions.review(*id, *creative, &review);
        }
    }

    /// The placement of this name on a site.
    pub fn placement_named(&self, site: SiteId, name: &str) -> Option<PlacementId> {
        self.placements.iter().find(|(_, p)| p.spec.site == site && p.spec.name == name).map(|(id, _)| *id)
    }
    /// The advertiser of an ad set's campaign.
    pub fn advertiser_of(&self, ad_set: AdSetId) -> Option<AdvertiserId> {
        let campaign = self.ad_sets.get(&ad_set)?.spec.campaign;
        Some(self.campaigns.get(&campaign)?.spec.advertiser)
    }
    /// Versions of an ad in the order in which they were booked.
    pub fn versions_of(&self, ad: AdId) -> &[VersionId] {
        self.versions.of(ad)
    }
    /// Campaign and ad set of an ad.
    pub fn parents_of(&self, ad: AdId) -> Option<(CampaignId, AdSetId)> {
        let ad_set = self.ads.get(&ad)?.kept.spec.ad_set;
        Some((self.ad_sets.get(&ad_set)?.spec.campaign, ad_set))
    }
    /// Whether `what` is stopped by one of the switches.
    pub fn is_stopped(&self, what: Stop) -> bool {
        self.stops.contains_key(&what)
    }
}

/// Whether a template edited so shows nothing that was not reviewed.
fn shows_alike(before: Option<&TemplateSpec>, now: Option<&TemplateSpec>) -> bool {
    match (before, now) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(now)) => now.only_narrows(before),
    }
}
