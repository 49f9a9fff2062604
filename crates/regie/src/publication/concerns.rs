//! Which ads a booked change concerns: those whose facts may say something new after it.

use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, PartyId, VersionId,
    catalogue::Catalogue,
    command::{Change, EntityRef, Stop},
};

/// The ads that a change concerns, as the catalogue stands after it.
pub fn ads(catalogue: &Catalogue, change: &Change) -> Vec<AdId> {
    match change {
        Change::AdvertiserPut { id, .. } => of_advertiser(catalogue, *id),
        Change::PartyPut { id, .. } => of_party(catalogue, *id),
        Change::CampaignPut { id, .. } => of_campaign(catalogue, *id),
        Change::AdSetPut { id, .. } => of_set(catalogue, *id),
        Change::AdPut { id, .. } => vec![*id],
        Change::VersionPut { id, .. } => of_version(catalogue, *id),
        Change::StatusSet { entity, .. } => match entity {
            EntityRef::Campaign(id) => of_campaign(catalogue, *id),
            EntityRef::AdSet(id) => of_set(catalogue, *id),
            EntityRef::Ad(id) => vec![*id],
            EntityRef::Version(id) => of_version(catalogue, *id),
            EntityRef::Advertiser(id) => of_advertiser(catalogue, *id),
            EntityRef::Party(id) => of_party(catalogue, *id),
            EntityRef::Site(_) | EntityRef::Placement(_) | EntityRef::Segment(_) => Vec::new(),
        },
        Change::Reviewed { ads, versions, .. } => {
            let of_versions = versions.iter().flat_map(|(id, _)| of_version(catalogue, *id));
            ads.iter().map(|(id, _)| *id).chain(of_versions).collect()
        }
        Change::StopSet { what, .. } => match what {
            Stop::AllPaid => catalogue.ads.keys().copied().collect(),
            Stop::Sponsor(id) => of_party(catalogue, *id),
            Stop::Ad(id) => vec![*id],
        },
        Change::PersonErased { key, .. } => {
            let its = catalogue.parties.iter().filter(|(_, p)| p.spec.identity.key == *key);
            its.flat_map(|(id, _)| of_party(catalogue, *id)).collect()
        }
        _ => Vec::new(),
    }
}
fn of_set(catalogue: &Catalogue, id: AdSetId) -> Vec<AdId> {
    catalogue.ads_of.get(&id).cloned().unwrap_or_default()
}
/// Every ad of a campaign.
pub fn of_campaign(catalogue: &Catalogue, id: CampaignId) -> Vec<AdId> {
    let sets = catalogue.ad_sets_of.get(&id).into_iter().flatten();
    sets.flat_map(|set| of_set(catalogue, *set)).collect()
}
fn of_version(catalogue: &Catalogue, id: VersionId) -> Vec<AdId> {
    catalogue.versions.brief(id).map(|v| v.ad).into_iter().collect()
}
/// Every ad on behalf of a party or paid by it.
pub fn of_party(catalogue: &Catalogue, id: PartyId) -> Vec<AdId> {
    let its = catalogue.campaigns.iter().filter(|(_, c)| c.spec.sponsor == id || c.spec.payer == id);
    its.flat_map(|(campaign, _)| of_campaign(catalogue, *campaign)).collect()
}
fn of_advertiser(catalogue: &Catalogue, id: AdvertiserId) -> Vec<AdId> {
    let its = catalogue.campaigns.iter().filter(|(_, c)| c.spec.advertiser == id);
    its.flat_map(|(campaign, _)| of_campaign(catalogue, *campaign)).collect()
}
