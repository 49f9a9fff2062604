//! What a change of the catalogue means for the snapshot: which ad sets must be compiled again.
//!
//! Too many is safe and slow; too few would be wrong, and a test compares with a whole build.

use regie_model::{
    AdSetId, AdvertiserId, CampaignId, PartyId,
    catalogue::Catalogue,
    command::{Change, EntityRef, Stop},
};
use std::collections::BTreeSet;

/// What must be compiled again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// These ad sets.
    pub ad_sets: BTreeSet<AdSetId>,
    /// These sponsors and payers: for names, which no decision reads.
    pub parties: BTreeSet<PartyId>,
    /// Sites, placements, segments, the switch that stops everything paid.
    pub shared: bool,
    /// All of it: rates or blocked categories changed.
    pub everything: bool,
}

impl Touched {
    /// Everything.
    pub fn everything() -> Touched {
        Touched { everything: true, ..Touched::default() }
    }
    /// Nothing was touched.
    pub fn is_empty(&self) -> bool {
        *self == Touched::default()
    }
    /// Adds what `change`, which `catalogue` has applied, touches.
    pub fn note(&mut self, catalogue: &Catalogue, change: &Change) {
        match change {
            Change::PublisherPut { .. } => self.everything = true,
            Change::SitePut { .. } | Change::PlacementPut { .. } | Change::SegmentPut { .. } => {
                self.shared = true
            }
            Change::AdvertiserPut { id, .. } => {
                // The most categories that one has is known to all.
                self.shared = true;
                self.advertiser(catalogue, *id);
            }
            Change::PartyPut { id, .. } => self.party(catalogue, *id),
            Change::CampaignPut { id, .. } => self.campaign(catalogue, *id),
            Change::AdSetPut { id, .. } => self.ad_set(*id),
            Change::AdPut { id, .. } => self.entity(catalogue, EntityRef::Ad(*id)),
            Change::VersionPut { id, .. } => self.entity(catalogue, EntityRef::Version(*id)),
            Change::StatusSet { entity, .. } => self.entity(catalogue, *entity),
            Change::Reviewed { ads, versions, .. } => {
                ads.iter().for_each(|(ad, _)| self.entity(catalogue, EntityRef::Ad(*ad)));
                versions.iter().for_each(|(id, _)| self.entity(catalogue, EntityRef::Version(*id)));
            }
            Change::StopSet { what, .. } => match what {
                Stop::AllPaid => self.shared = true,
                Stop::Sponsor(party) => self.party(catalogue, *party),
                Stop::Ad(ad) => self.entity(catalogue, EntityRef::Ad(*ad)),
            },
            Change::PersonErased { key, .. } => {
                let parties = catalogue.parties.iter().filter(|(_, party)| party.spec.identity.key == *key);
                parties.for_each(|(id, _)| self.party(catalogue, *id));
            }
            // A vote's periods silence whoever names it.
            Change::ElectionPut { id, .. } => {
                let names = |spec: &regie_model::booking::CampaignSpec| {
                    spec.political.iter().flat_map(|d| &d.linked).any(|linked| linked.election == Some(*id))
                };
                let naming = catalogue.campaigns.iter().filter(|(_, campaign)| names(&campaign.spec));
                naming.for_each(|(campaign, _)| self.campaign(catalogue, *campaign));
            }
            Change::ReportFiled { .. }
            | Change::ReportDecided { .. }
            | Change::GroupingPut { .. }
            | Change::Adapted { .. }
            | Change::UserPut { .. }
            | Change::TokenPut { .. }
            | Change::Deposited { .. }
            | Change::Credited { .. } => {}
        }
    }
    fn entity(&mut self, catalogue: &Catalogue, entity: EntityRef) {
        match entity {
            EntityRef::Site(_) | EntityRef::Placement(_) | EntityRef::Segment(_) => self.shared = true,
            EntityRef::Advertiser(id) => self.advertiser(catalogue, id),
            EntityRef::Party(id) => self.party(catalogue, id),
            EntityRef::Campaign(id) => self.campaign(catalogue, id),
            EntityRef::AdSet(id) => self.ad_set(id),
            EntityRef::Ad(id) => {
                let ad = catalogue.ads.get(&id).map(|ad| ad.kept.spec.ad_set);
                ad.into_iter().for_each(|ad_set| self.ad_set(ad_set));
            }
            EntityRef::Version(id) => {
                if let Some(version) = catalogue.versions.brief(id) {
                    self.entity(catalogue, EntityRef::Ad(version.ad));
                }
            }
        }
    }
    fn ad_set(&mut self, id: AdSetId) {
        self.ad_sets.insert(id);
    }
    fn campaign(&mut self, catalogue: &Catalogue, id: CampaignId) {
        self.ad_sets.extend(catalogue.ad_sets_of.get(&id).into_iter().flatten());
    }
    fn advertiser(&mut self, catalogue: &Catalogue, id: AdvertiserId) {
        let own = catalogue.campaigns.iter().filter(|(_, campaign)| campaign.spec.advertiser == id);
        own.for_each(|(campaign, _)| self.campaign(catalogue, *campaign));
    }
    fn party(&mut self, catalogue: &Catalogue, id: PartyId) {
        self.parties.insert(id);
        let named = |spec: &regie_model::booking::CampaignSpec| spec.sponsor == id || spec.payer == id;
        let own = catalogue.campaigns.iter().filter(|(_, campaign)| named(&campaign.spec));
        own.for_each(|(campaign, _)| self.campaign(catalogue, *campaign));
    }
}
