//! Whose a thing is, and what a caller limited to one advertiser may see and send.
//!
//! Things of others do not exist for such a caller: the answer is the same as for a number that was never given.

use super::kind::id_of;
use crate::http::{auth::Caller, problem::Problem};
use regie_model::{
    AdId, AdvertiserId, Faults, PartyId,
    booking::CampaignSpec,
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
        EntityRef::Version(id) => of_ad(catalogue.versions.brief(id)?.ad),
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
        | Command::PutElection { .. }
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
        Command::Review { .. }
        | Command::SetStop { .. }
        | Command::Deposit { .. }
        | Command::DecideReport { .. }
        | Command::Adapt { .. } => caller.may_operate(),
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
    let view = Own { own, caller, catalogue };
    let mut faults = Faults::new();
    match command {
        Command::PutParty { id, spec, .. } => {
            view.exists(id.map(EntityRef::Party))?;
            let theirs = id.is_some_and(|id| owner(catalogue, EntityRef::Party(id)) != Some(own));
            let why = "This party is the publisher's; ask them to change it.";
            faults.when(theirs, "id", "publishers", why);
            let odd = spec.advertiser != Some(own);
            faults.when(odd, "advertiser", "unknown", format!("Only {own} can be named here."));
        }
        Command::PutCampaign { id, spec, .. } => {
            view.exists(id.map(EntityRef::Campaign))?;
            view.campaign(spec, &mut faults);
        }
        Command::PutAdSet { id, spec, .. } => {
            view.exists(id.map(EntityRef::AdSet))?;
            let known = |external: &String| catalogue.external_ad_sets.get(external).copied();
            view.taken(spec.external_id.as_ref(), known, EntityRef::AdSet, &mut faults);
            view.holder("campaign", EntityRef::Campaign(spec.campaign), &mut faults);
        }
        Command::PutAd { id, spec, .. } => {
            view.exists(id.map(EntityRef::Ad))?;
            let known = |external: &String| catalogue.external_ads.get(external).copied();
            view.taken(spec.external_id.as_ref(), known, EntityRef::Ad, &mut faults);
            view.holder("ad_set", EntityRef::AdSet(spec.ad_set), &mut faults);
        }
        Command::PutVersion { id, spec, .. } => {
            view.exists(id.map(EntityRef::Version))?;
            let known = |external: &String| catalogue.versions.by_external(external);
            view.taken(spec.external_id.as_ref(), known, EntityRef::Version, &mut faults);
            view.holder("ad", EntityRef::Ad(spec.ad), &mut faults);
        }
        Command::SetStatus { entity, .. } => view.exists(Some(*entity))?,
        // `may_send` refuses these for a limited caller; refused here too, so that no order of calls lets them through.
        Command::PutPublisher { .. }
        | Command::PutSite { .. }
        | Command::PutPlacement { .. }
        | Command::PutSegment { .. }
        | Command::PutAdvertiser { .. }
        | Command::Review { .. }
        | Command::SetStop { .. }
        | Command::PutElection { .. }
        | Command::DecideReport { .. }
        | Command::Adapt { .. }
        | Command::Deposit { .. } => return Err(Refusal::NotFound("such command for you".into())),
    }
    faults.into_result().map_err(Refusal::Faults)
}

/// The catalogue as a limited caller sees it.
struct Own<'a> {
    own: AdvertiserId,
    caller: &'a Caller,
    catalogue: &'a Catalogue,
}
impl Own<'_> {
    fn sees(&self, entity: EntityRef) -> bool {
        may_see(self.catalogue, self.caller, entity)
    }
    /// What is edited must be there for them.
    fn exists(&self, entity: Option<EntityRef>) -> Result<(), Refusal> {
        match entity.filter(|e| !self.sees(*e)) {
            Some(hidden) => Err(Refusal::NotFound(id_of(hidden).1)),
            None => Ok(()),
        }
    }
    /// So must be what it stands in.
    fn holder(&self, field: &str, entity: EntityRef, faults: &mut Faults) {
        let what = id_of(entity).1;
        faults.when(!self.sees(entity), field, "unknown", format!("There is no {what}."));
    }
    /// An outside id that another advertiser has used.
    fn taken<K: Copy>(
        &self,
        given: Option<&String>,
        known: impl Fn(&String) -> Option<K>,
        entity: impl Fn(K) -> EntityRef,
        faults: &mut Faults,
    ) {
        let other = given.and_then(known).is_some_and(|id| !self.sees(entity(id)));
        let why = "This id is in use; choose another, such as one with your name before it.";
        faults.when(other, "external_id", "taken", why);
    }
    fn campaign(&self, spec: &CampaignSpec, faults: &mut Faults) {
        let known = |external: &String| self.catalogue.external_campaigns.get(external).copied();
        self.taken(spec.external_id.as_ref(), known, EntityRef::Campaign, faults);
        let odd = spec.advertiser != self.own;
        faults.when(odd, "advertiser", "unknown", format!("There is no advertiser {}.", spec.advertiser));
        for (field, party) in [("sponsor", spec.sponsor), ("payer", spec.payer)] {
            let hidden = !may_use(self.catalogue, self.own, party);
            let why = format!("There is no sponsor or payer {party}; an ad needs both.");
            faults.when(hidden, field, "unknown", why);
        }
    }
}
