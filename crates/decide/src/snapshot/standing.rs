//! What keeps an ad set from delivering whatever the request: status, missing parts, sponsor, switches,
//! approval, exchange rate, categories, and targeting that law P1 forbids. Refuses to look at time.

use super::compile::Builder;
use crate::outcome::{Elimination, Whose};
use regie_model::{
    AdSetId, PartyId,
    booking::{AdSetSpec, CampaignSpec, Status},
    catalogue::{Catalogue, Kept},
    command::Stop,
    targeting::{Dimension, Political},
};

fn inactive<T>(kept: &Kept<T>, whose: Whose) -> Option<Elimination> {
    (kept.status != Status::Active).then_some(Elimination::NotActive { whose, status: kept.status })
}

/// The first reason, in the order of [`crate::Stage`]; `None` when it may deliver. The switch that stops everything
/// paid is not looked at here, but by [`super::Snapshot::standing_at`].
pub(super) fn standing(
    builder: &Builder<'_>,
    id: AdSetId,
    kept: &Kept<AdSetSpec>,
    is_served: bool,
) -> Option<Elimination> {
    let catalogue = builder.catalogue;
    let Some(campaign) = catalogue.campaigns.get(&kept.spec.campaign) else {
        return Some(Elimination::Incomplete { whose: Whose::Campaign });
    };
    let Some(advertiser) = catalogue.advertisers.get(&campaign.spec.advertiser) else {
        return Some(Elimination::Incomplete { whose: Whose::Advertiser });
    };
    inactive(kept, Whose::AdSet)
        .or_else(|| inactive(campaign, Whose::Campaign))
        .or_else(|| inactive(advertiser, Whose::Advertiser))
        .or_else(|| sponsor(catalogue, &campaign.spec))
        .or_else(|| stopped(catalogue, &campaign.spec))
        .or_else(|| (!is_served).then(|| ads(catalogue, id)))
        .or_else(|| {
            let currency = advertiser.spec.currency;
            builder.rate_nanos(currency).is_none().then_some(Elimination::NoRate { currency })
        })
        .or_else(|| {
            let blocked = advertiser.spec.categories.iter().any(|c| builder.blocked_everywhere(c));
            blocked.then_some(Elimination::BlockedEverywhere)
        })
        .or_else(|| {
            let political = campaign.spec.political.is_some();
            political.then(|| forbidden_clause(catalogue, &kept.spec)).flatten()
        })
}

fn sponsor(catalogue: &Catalogue, campaign: &CampaignSpec) -> Option<Elimination> {
    let political = campaign.political.is_some();
    let one = |party: PartyId, whose: Whose| {
        let Some(kept) = catalogue.parties.get(&party) else {
            return Some(Elimination::SponsorUnknown { whose });
        };
        if catalogue.erased.contains(&kept.spec.identity.key) {
            return Some(Elimination::SponsorErased { whose });
        }
        let gaps = political && !kept.spec.political_gaps.is_empty();
        inactive(kept, whose).or_else(|| gaps.then_some(Elimination::SponsorGaps { whose }))
    };
    let unconfirmed = campaign.political.as_ref().is_some_and(|declaration| {
        let mut faults = regie_model::Faults::new();
        declaration.check("political", &mut faults);
        !faults.0.is_empty()
    });
    one(campaign.sponsor, Whose::Sponsor)
        .or_else(|| one(campaign.payer, Whose::Payer))
        .or_else(|| unconfirmed.then_some(Elimination::DeclarationIncomplete))
        .or_else(|| {
            let missing = campaign.political.as_ref().is_some_and(|d| !d.right_missing.trim().is_empty());
            missing.then_some(Elimination::RightMissing)
        })
}

fn stopped(catalogue: &Catalogue, campaign: &CampaignSpec) -> Option<Elimination> {
    catalogue.is_stopped(Stop::Sponsor(campaign.sponsor)).then_some(Elimination::StoppedSponsor)
}

/// Why none of an ad set's versions can be served: what stands nearest to serving one.
fn ads(catalogue: &Catalogue, id: AdSetId) -> Elimination {
    let mut nearest = Elimination::NoAds;
    for ad_id in catalogue.ads_of.get(&id).into_iter().flatten() {
        let Some(ad) = catalogue.ads.get(ad_id) else { continue };
        // A template is reviewed with its ad, and has no status of its own.
        let template = ad.kept.spec.template.iter().map(|_| {
            (Status::Active, ad.approved.as_ref().is_some_and(|approved| approved.template.is_some()))
        });
        let versions = catalogue.versions_of(*ad_id).iter().filter_map(|id| catalogue.versions.brief(*id));
        for (status, is_approved) in versions.map(|v| (v.status, v.is_approved)).chain(template) {
            let statuses = [ad.kept.status, status];
            let paused = statuses.into_iter().find(|s| *s != Status::Active);
            let approved = ad.approved.is_some() && is_approved;
            nearest = match (approved, paused, nearest) {
                (true, None, _) => return Elimination::StoppedAd,
                (true, Some(status), _) => Elimination::NotActive { whose: Whose::Ads, status },
                (false, _, Elimination::NoAds) => Elimination::NotApproved,
                (false, _, so_far) => so_far,
            };
        }
    }
    nearest
}

/// A clause that was booked when the publisher's settings allowed it, and may not be read now (law P1).
fn forbidden_clause(catalogue: &Catalogue, spec: &AdSetSpec) -> Option<Elimination> {
    let publisher = catalogue.publisher.as_ref().map(|p| &p.spec);
    let forbidden = |dimension: &Dimension| match (dimension.political(), dimension) {
        (Political::Allowed, _) => false,
        (Political::WhereSwitchedOn, _) => !publisher.is_some_and(|p| p.political_location),
        (Political::WherePageKey, Dimension::Key(key)) => {
            !publisher.is_some_and(|p| p.page_keys.contains(key))
        }
        (Political::WherePageKey | Political::Never, _) => true,
    };
    let clause = spec.targeting.clauses.iter().position(|c| forbidden(&c.dimension))?;
    Some(Elimination::PoliticalTargeting { clause: clause as u32 })
}
