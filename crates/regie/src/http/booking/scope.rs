//! Whose a thing is, and what a caller limited to one advertiser may see and send.
//!
//! Things of others do not exist for such a caller: the answer is the same as for a number that was never given.

use super::kind::id_of;
use crate::http::{auth::Caller, problem::Problem};
use regie_model::{
    AdId, AdvertiserId, Faults, PartyId,
    catalogue::Catalogue,
    command::{Command, EntityRef, Refusal},
};

/// The advertiser that a thing belongs to; none: the publisher's.
pub fn owner(catalogue: &Catalogue, entity: EntityRef) -> Option<AdvertiserId> {
    let of_ad = |id: AdId| catalogue.advertiser_of(catalogue.ads.get(&id)?.kept.spec.ad_set);
    match entity {
        EntityRef::Site(_) | EntityRef::Placement(_) | EntityRef::Segment(_) => None,
        EntityRef::Advertiser(id) => Some(id),
        EntityRef::Party(id) => catalogue.parties.get(&id)?.spec.advertiser,
        EntityRef::Campaign(id) => catalogue.campaigns.get(&id).map(|c| c.spec.advertiser),
        EntityRef::AdSet(id) => catalogue.advertiser_of(id),
        EntityRef::Ad(id) => of_ad(id),
        EntityRef::Version(id) => of_ad(catalogue.versions.get(&id)?.kept.spec.ad),
    }
}

/// Whether a caller may see a thing. Sites, placements and segments are seen by all (in part by limited callers).
pub fn may_see(catalogue: &Catalogue, caller: &Caller, entity: EntityRef) -> bool {
    let Some(own) = caller.scope_filter() else { return true };
    match entity {
        EntityRef::Site(_) | EntityRef::Placement(_) | EntityRef::Segment(_) => true,
        EntityRef::Party(id) => may_use(catalogue, own, id),
        other => owner(catalogue, other) == Some(own),
    }
}

/// Whether an advertiser may name a party: its own, or one that its campaigns name already.
fn may_use(catalogue: &Catalogue, own: AdvertiserId, id: PartyId) -> bool {
    let booked =
        |c: &regie_model::booking::CampaignSpec| c.advertiser == own && (c.sponsor == id || c.payer == id);
    owner(catalogue, EntityRef::Party(id)) == Some(own)
        || catalogue.campaigns.values().any(|c| booked(&c.spec))
}

/// Whether a caller may send commands of these kinds at all.
///
/// # Errors
/// 403, saying which it may not.
pub fn may_send(caller: &Caller, command: &Command) -> Result<(), Problem> {
    let fits = match command {
        Command::PutPublisher { .. }
        | Command::PutSite { .. }
        | Command::PutPlacement { .. }
        | Command::PutSegment { .. }
        | Command::PutAdvertiser { .. } => caller.may_book_inventory(),
        Command::SetStatus { entity, .. } => match entity {
            EntityRef::Campaign(_) | EntityRef::AdSet(_) | EntityRef::Ad(_) | EntityRef::Version(_) => {
                caller.may_book()
            }
            _ => caller.may_book_inventory(),
        },
        Command::PutParty { .. }
        | Command::PutCampaign { .. }
        | Command::PutAdSet { .. }
        | Command::PutAd { .. }
        | Command::PutVersion { .. } => caller.may_book(),
        Command::Review { .. } | Command::SetStop { .. } | Command::Deposit { .. } => caller.may_operate(),
    };
    if fits {
        Ok(())
    } else {
        Err(Problem::forbidden("This command is the publisher's, or needs another role or scope."))
    }
}

/// Whether a caller may send a command about these things, on the catalogue that it is planned on.
///
/// # Errors
/// As if others' things did not exist.
pub fn permits(caller: &Caller, catalogue: &Catalogue, command: &Command) -> Result<(), Refusal> {
    let Some(own) = caller.scope_filter() else { return Ok(()) };
    let mut faults = Faults::new();
    let known = |entity: EntityRef| may_see(catalogue, caller, entity);
    let exists =
        |entity: EntityRef| if known(entity) { Ok(()) } else { Err(Refusal::NotFound(id_of(entity).1)) };
    match command {
        Command::PutParty { id, spec, .. } => {
            if let Some(id) = id {
                let theirs = owner(catalogue, EntityRef::Party(*id)) == Some(own);
                exists(EntityRef::Party(*id))?;
                faults.when(
                    !theirs,
                    "id",
                    "publishers",
                    "This party is the publisher's; ask them to change it.",
                );
            }
            let odd = spec.advertiser != Some(own);
            faults.when(odd, "advertiser", "unknown", format!("Only {own} can be named here."));
        }
        Command::PutCampaign { id, spec, .. } => {
            id.map_or(Ok(()), |id| exists(EntityRef::Campaign(id)))?;
            taken(
                catalogue
                    .external_campaigns
                    .get(spec.external_id.as_deref().unwrap_or(""))
                    .map(|id| known(EntityRef::Campaign(*id))),
                &mut faults,
            );
            let odd = spec.advertiser != own;
            faults.when(odd, "advertiser", "unknown", format!("There is no advertiser {}.", spec.advertiser));
            for (field, party) in [("sponsor", spec.sponsor), ("payer", spec.payer)] {
                let hidden = !may_use(catalogue, own, party);
                faults.when(
                    hidden,
                    field,
                    "unknown",
                    format!("There is no sponsor or payer {party}; an ad needs both."),
                );
            }
        }
        Command::PutAdSet { id, spec, .. } => {
            id.map_or(Ok(()), |id| exists(EntityRef::AdSet(id)))?;
            taken(
                catalogue
                    .external_ad_sets
                    .get(spec.external_id.as_deref().unwrap_or(""))
                    .map(|id| known(EntityRef::AdSet(*id))),
                &mut faults,
            );
            let hidden = !known(EntityRef::Campaign(spec.campaign));
            faults.when(hidden, "campaign", "unknown", format!("There is no campaign {}.", spec.campaign));
        }
        Command::PutAd { id, spec, .. } => {
            id.map_or(Ok(()), |id| exists(EntityRef::Ad(id)))?;
            taken(
                catalogue
                    .external_ads
                    .get(spec.external_id.as_deref().unwrap_or(""))
                    .map(|id| known(EntityRef::Ad(*id))),
                &mut faults,
            );
            let hidden = !known(EntityRef::AdSet(spec.ad_set));
            faults.when(hidden, "ad_set", "unknown", format!("There is no ad set {}.", spec.ad_set));
        }
        Command::PutVersion { id, spec, .. } => {
            id.map_or(Ok(()), |id| exists(EntityRef::Version(id)))?;
            taken(
                catalogue
                    .external_versions
                    .get(spec.external_id.as_deref().unwrap_or(""))
                    .map(|id| known(EntityRef::Version(*id))),
                &mut faults,
            );
            let hidden = !known(EntityRef::Ad(spec.ad));
            faults.when(hidden, "ad", "unknown", format!("There is no ad {}.", spec.ad));
        }
        Command::SetStatus { entity, .. } => exists(*entity)?,
        // `may_send` refuses these for a limited caller; refused here too, so that no order of calls lets them through.
        Command::PutPublisher { .. }
        | Command::PutSite { .. }
        | Command::PutPlacement { .. }
        | Command::PutSegment { .. }
        | Command::PutAdvertiser { .. }
        | Command::Review { .. }
        | Command::SetStop { .. }
        | Command::Deposit { .. } => return Err(Refusal::NotFound("such command for you".into())),
    }
    faults.into_result().map_err(Refusal::Faults)
}

/// An outside id that another advertiser has used.
fn taken(visible: Option<bool>, faults: &mut Faults) {
    let other = visible == Some(false);
    faults.when(
        other,
        "external_id",
        "taken",
        "This id is in use; choose another, such as one with your name before it.",
    );
}
