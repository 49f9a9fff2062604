//! Edits of every kind at random, as accepted commands would make them.

use crate::world::*;
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PartyId, PersonKeyId, PlacementId, SegmentId, SiteId,
    VersionId,
    booking::*,
    command::{Change, EntityRef, Stop, Verdict},
    creative::ObjectHash,
};

const STATUSES: [Status; 4] = [Status::Active, Status::Active, Status::Paused, Status::Archived];

fn one<T: Copy>(chance: &mut Chance, all: impl Iterator<Item = T>) -> Option<T> {
    let all: Vec<T> = all.collect();
    (!all.is_empty()).then(|| *chance.pick(&all))
}

/// One edit; some find nothing to edit.
pub fn edit(chance: &mut Chance, world: &mut World) {
    let ad_set = one(chance, world.catalogue.ad_sets.keys().copied());
    let ad = one(chance, world.catalogue.ads.keys().copied());
    let version = one(chance, world.catalogue.versions.iter().map(|(id, _)| id));
    let campaign = one(chance, world.catalogue.campaigns.keys().copied());
    match chance.below(24) {
        0 | 1 => campaign.into_iter().for_each(|campaign| add_ad_set(chance, world, campaign)),
        2 | 3 => ad_set.into_iter().for_each(|id| edit_ad_set(chance, world, id)),
        4 => ad.into_iter().for_each(|id| edit_ad(chance, world, id)),
        5 | 6 => ad.into_iter().for_each(|id| add_versions(chance, world, id)),
        7 => version.into_iter().for_each(|id| edit_version(chance, world, id)),
        8 | 9 => ad.into_iter().for_each(|id| world.approve(id)),
        10 => version.into_iter().for_each(|id| reject(world, id)),
        11 => status(chance, world, ad_set.map(EntityRef::AdSet)),
        12 => status(chance, world, ad.map(EntityRef::Ad)),
        13 => status(chance, world, version.map(EntityRef::Version)),
        14 => status(chance, world, campaign.map(EntityRef::Campaign)),
        15 => {
            let id = one(chance, world.catalogue.advertisers.keys().copied());
            status(chance, world, id.map(EntityRef::Advertiser));
        }
        16 => {
            let entity = match chance.below(4) {
                0 => EntityRef::Site(SiteId(2)),
                1 => EntityRef::Placement(PlacementId(1 + chance.below(5) as u32)),
                2 => EntityRef::Segment(SegmentId(1 + chance.below(3) as u32)),
                _ => EntityRef::Party(PartyId(1 + chance.below(2) as u32)),
            };
            status(chance, world, Some(entity));
        }
        17 => stop(chance, world),
        18 => {
            let number = 1 + chance.below(5) as u32;
            let spec = random_placement(chance, number);
            world.placement(number, spec);
        }
        19 => campaign.into_iter().for_each(|id| edit_campaign(chance, world, id)),
        20 => {
            let id = one(chance, world.catalogue.advertisers.keys().copied());
            id.into_iter().for_each(|id| edit_advertiser(chance, world, id));
        }
        21 => {
            let advertiser = world.advertiser(*chance.pick(&[Currency::EUR, USD, CHF]), &["garden"]);
            let campaign = world.campaign(crate::world::campaign(advertiser));
            add_ad_set(chance, world, campaign);
        }
        22 => world.party(1 + chance.below(2) as u32, |party| {
            party.may_sponsor_before_votes = chance.one_in(2);
        }),
        _ if chance.one_in(4) => publisher(chance, world),
        _ if chance.one_in(8) => {
            world.apply(Change::PersonErased { key: PersonKeyId(2), reason: "asked".into() });
        }
        _ => {}
    }
}

fn edit_ad_set(chance: &mut Chance, world: &mut World, id: AdSetId) {
    let campaign = world.catalogue.ad_sets[&id].spec.campaign;
    let political = world.catalogue.campaigns[&campaign].spec.political.is_some();
    let spec = random_ad_set(chance, campaign, political);
    world.apply(Change::AdSetPut { id, spec });
}
fn edit_ad(chance: &mut Chance, world: &mut World, id: AdId) {
    let mut spec = world.catalogue.ads[&id].kept.spec.clone();
    spec.landing_url = format!("https://host{}.example/", chance.below(4));
    world.apply(Change::AdPut { id, spec });
}
fn add_versions(chance: &mut Chance, world: &mut World, ad: AdId) {
    for _ in 0..1 + chance.below(4) {
        let shape = *chance.pick(&[Shape::Banner(SIZES[0]), Shape::Banner(SIZES[1]), Shape::Native]);
        world.version(ad, shape, chance.below(4) as u32);
    }
    if !chance.one_in(3) {
        world.approve(ad);
    }
}
fn edit_version(chance: &mut Chance, world: &mut World, id: VersionId) {
    let mut record = world.version_state(id).kept.spec;
    if chance.one_in(2) {
        record.creative = ObjectHash::of(&chance.bits().to_le_bytes());
        record.shape = Shape::Banner(*chance.pick(&SIZES));
    } else {
        record.weight = chance.below(5) as u32;
    }
    world.apply(Change::VersionPut { id, record });
}
fn reject(world: &mut World, id: VersionId) {
    let versions = vec![(id, world.version_state(id).kept.spec.creative)];
    let reason = "no".into();
    world.apply(Change::Reviewed { ads: Vec::new(), versions, verdict: Verdict::Rejected, reason });
}
fn status(chance: &mut Chance, world: &mut World, entity: Option<EntityRef>) {
    let to = *chance.pick(&STATUSES);
    entity.into_iter().for_each(|entity| world.status(entity, to));
}
fn stop(chance: &mut Chance, world: &mut World) {
    let ad = AdId(1 + chance.below(6) as u32);
    let what = *chance.pick(&[Stop::AllPaid, Stop::Sponsor(PartyId(2)), Stop::Ad(ad)]);
    // Mostly lifted again, or nothing would be left to compare.
    let on = !world.catalogue.is_stopped(what) && chance.one_in(2);
    world.apply(Change::StopSet { what, on, reason: "test".into() });
}
fn edit_campaign(chance: &mut Chance, world: &mut World, id: CampaignId) {
    let mut spec = world.catalogue.campaigns[&id].spec.clone();
    match chance.below(3) {
        0 => spec.sponsor = PartyId(1 + chance.below(2) as u32),
        1 => spec.flight.ends_at = Some(regie_model::UtcMs(noon().0 + chance.below(4_000) as i64)),
        _ => spec.political = chance.one_in(2).then(declaration),
    }
    world.apply(Change::CampaignPut { id, spec });
}
fn edit_advertiser(chance: &mut Chance, world: &mut World, id: AdvertiserId) {
    let mut spec = world.catalogue.advertisers[&id].spec.clone();
    spec.categories = chance.some(&["sport", "food", "garden", "new"].map(str::to_owned), 2);
    world.apply(Change::AdvertiserPut { id, spec });
}
fn publisher(chance: &mut Chance, world: &mut World) {
    let rate = 500_000_000 + chance.below(900_000_000) as i64;
    let location = chance.one_in(2);
    let blocked = if chance.one_in(3) { vec!["sport".to_owned()] } else { Vec::new() };
    world.publisher(|publisher| {
        publisher.rates[0].rate_nanos = rate;
        publisher.political_location = location;
        publisher.blocked_categories = blocked;
    });
}
