//! The kinds of things that are booked, by the word that stands in their address.

use regie_model::{catalogue::Catalogue, command::EntityRef};

/// A kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Site,
    Placement,
    Segment,
    Advertiser,
    Party,
    Campaign,
    AdSet,
    Ad,
    Version,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 9] = [
        Kind::Site,
        Kind::Placement,
        Kind::Segment,
        Kind::Advertiser,
        Kind::Party,
        Kind::Campaign,
        Kind::AdSet,
        Kind::Ad,
        Kind::Version,
    ];
    /// The word in addresses.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Site => "sites",
            Kind::Placement => "placements",
            Kind::Segment => "segments",
            Kind::Advertiser => "advertisers",
            Kind::Party => "parties",
            Kind::Campaign => "campaigns",
            Kind::AdSet => "ad-sets",
            Kind::Ad => "ads",
            Kind::Version => "versions",
        }
    }
    /// Whether advertisers book it themselves.
    pub fn is_bookers(self) -> bool {
        matches!(self, Kind::Party | Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Version)
    }
    /// The thing of this kind that a text names.
    pub fn parse(self, text: &str) -> Option<EntityRef> {
        Some(match self {
            Kind::Site => EntityRef::Site(text.parse().ok()?),
            Kind::Placement => EntityRef::Placement(text.parse().ok()?),
            Kind::Segment => EntityRef::Segment(text.parse().ok()?),
            Kind::Advertiser => EntityRef::Advertiser(text.parse().ok()?),
            Kind::Party => EntityRef::Party(text.parse().ok()?),
            Kind::Campaign => EntityRef::Campaign(text.parse().ok()?),
            Kind::AdSet => EntityRef::AdSet(text.parse().ok()?),
            Kind::Ad => EntityRef::Ad(text.parse().ok()?),
            Kind::Version => EntityRef::Version(text.parse().ok()?),
        })
    }
    /// The things of this kind whose number is above `after`, in order.
    pub fn after<'a>(self, c: &'a Catalogue, after: u32) -> Box<dyn Iterator<Item = EntityRef> + 'a> {
        use regie_model::*;
        use std::ops::Bound::{Excluded, Unbounded};
        macro_rules! rest {
            ($map:ident, $id:ident, $kind:ident) => {
                Box::new(c.$map.range((Excluded($id(after)), Unbounded)).map(|(id, _)| EntityRef::$kind(*id)))
            };
        }
        match self {
            Kind::Site => rest!(sites, SiteId, Site),
            Kind::Placement => rest!(placements, PlacementId, Placement),
            Kind::Segment => rest!(segments, SegmentId, Segment),
            Kind::Advertiser => rest!(advertisers, AdvertiserId, Advertiser),
            Kind::Party => rest!(parties, PartyId, Party),
            Kind::Campaign => rest!(campaigns, CampaignId, Campaign),
            Kind::AdSet => rest!(ad_sets, AdSetId, AdSet),
            Kind::Ad => rest!(ads, AdId, Ad),
            Kind::Version => Box::new(c.versions.ids_after(after).map(EntityRef::Version)),
        }
    }
}

/// The number and text form of a thing.
pub fn id_of(entity: EntityRef) -> (u32, String) {
    match entity {
        EntityRef::Site(id) => (id.0, id.to_string()),
        EntityRef::Placement(id) => (id.0, id.to_string()),
        EntityRef::Segment(id) => (id.0, id.to_string()),
        EntityRef::Advertiser(id) => (id.0, id.to_string()),
        EntityRef::Party(id) => (id.0, id.to_string()),
        EntityRef::Campaign(id) => (id.0, id.to_string()),
        EntityRef::AdSet(id) => (id.0, id.to_string()),
        EntityRef::Ad(id) => (id.0, id.to_string()),
        EntityRef::Version(id) => (id.0, id.to_string()),
    }
}

/// The thing that a text names, of whatever kind.
pub fn parse_any(text: &str) -> Option<EntityRef> {
    Kind::ALL.into_iter().find_map(|kind| kind.parse(text))
}
