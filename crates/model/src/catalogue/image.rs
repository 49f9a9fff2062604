//! The whole catalogue as a row of frames, and back: what a quick start reads in place of every booking ever made.
//!
//! A frame is a tag and a body. Entities are JSON, as in the journal; versions are pages of rows, and behind them all the pages' texts. Refuses files,
//! checksums and positions: those are the caller's. A reader takes any bytes: what does not fit is [`Damaged`].

use super::{
    AdState, Catalogue, Kept, ReportState,
    versions::{Part, Reading},
};
use crate::{
    AdId, AdSetId, AdvertiserId, CampaignId, ElectionId, GroupingId, PartyId, PersonKeyId, PlacementId,
    ReportId, SegmentId, SiteId, TokenId, UserId, booking::*, command::Stop,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const ENTITY: u8 = b'E';
const PAGE: u8 = b'P';
const TEXTS: u8 = b'T';
const ALIASES: u8 = b'A';
/// Largest frame that is written or read.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes are no image of a catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image of the catalogue is damaged at frame {frame}")]
pub struct Damaged {
    /// Number of the frame, 0 for the first.
    pub frame: u64,
}

type Given<'a, T> = Cow<'a, Kept<T>>;

/// One thing of the catalogue.
#[derive(Serialize, Deserialize)]
enum Entity<'a> {
    Publisher(Given<'a, PublisherSpec>),
    Site(SiteId, Given<'a, SiteSpec>),
    Placement(PlacementId, Given<'a, PlacementSpec>),
    Segment(SegmentId, Given<'a, SegmentSpec>),
    Advertiser(AdvertiserId, Given<'a, AdvertiserSpec>),
    Party(PartyId, Given<'a, SealedParty>),
    Campaign(CampaignId, Given<'a, CampaignSpec>),
    AdSet(AdSetId, Given<'a, AdSetSpec>),
    Ad(AdId, Cow<'a, AdState>),
    User(UserId, Cow<'a, UserRecord>),
    Token(TokenId, Cow<'a, TokenRecord>),
    Election(ElectionId, Given<'a, ElectionSpec>),
    Report(ReportId, Cow<'a, ReportState>),
    Grouping(GroupingId, Given<'a, GroupingSpec>),
    Stop(Stop, Cow<'a, str>),
    Erased(PersonKeyId),
    LastPersonKey(u32),
    ExternalCampaign(Cow<'a, str>, CampaignId),
    ExternalAdSet(Cow<'a, str>, AdSetId),
    ExternalAd(Cow<'a, str>, AdId),
}

impl Catalogue {
    /// Hands the catalogue to `out`, frame by frame.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write_image<E>(&self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = Vec::new();
        let mut result = Ok(());
        self.each_entity(&mut |entity| {
            if result.is_ok() {
                bytes.clear();
                bytes.push(ENTITY);
                // Specs are read from JSON and written to it everywhere else; a vector takes any bytes.
                if serde_json::to_writer(&mut bytes, &entity).is_ok() {
                    result = out(&bytes);
                }
            }
        });
        result?;
        self.versions.write(|part, body| {
            bytes.clear();
            bytes.push(match part {
                Part::Page => PAGE,
                Part::Texts => TEXTS,
                Part::Aliases => ALIASES,
            });
            bytes.extend(body);
            out(&bytes)
        })
    }
    fn each_entity(&self, out: &mut dyn FnMut(Entity<'_>)) {
        use Cow::Borrowed as B;
        // Named one by one, so that a part that is added later cannot be forgotten here.
        let Catalogue {
            publisher,
            sites,
            placements,
            segments,
            advertisers,
            parties,
            campaigns,
            ad_sets,
            ads,
            versions: _,
            users,
            tokens,
            elections,
            reports,
            groupings,
            stops,
            erased,
            last_person_key,
            // These follow from the entities.
            ad_sets_of: _,
            ads_of: _,
            external_campaigns,
            external_ad_sets,
            external_ads,
        } = self;
        publisher.iter().for_each(|kept| out(Entity::Publisher(B(kept))));
        sites.iter().for_each(|(id, kept)| out(Entity::Site(*id, B(kept))));
        placements.iter().for_each(|(id, kept)| out(Entity::Placement(*id, B(kept))));
        segments.iter().for_each(|(id, kept)| out(Entity::Segment(*id, B(kept))));
        advertisers.iter().for_each(|(id, kept)| out(Entity::Advertiser(*id, B(kept))));
        parties.iter().for_each(|(id, kept)| out(Entity::Party(*id, B(kept))));
        campaigns.iter().for_each(|(id, kept)| out(Entity::Campaign(*id, B(kept))));
        ad_sets.iter().for_each(|(id, kept)| out(Entity::AdSet(*id, B(kept))));
        ads.iter().for_each(|(id, state)| out(Entity::Ad(*id, B(state))));
        users.iter().for_each(|(id, record)| out(Entity::User(*id, B(record))));
        tokens.iter().for_each(|(id, record)| out(Entity::Token(*id, B(record))));
        elections.iter().for_each(|(id, kept)| out(Entity::Election(*id, B(kept))));
        reports.iter().for_each(|(id, state)| out(Entity::Report(*id, B(state))));
        groupings.iter().for_each(|(id, kept)| out(Entity::Grouping(*id, B(kept))));
        stops.iter().for_each(|(stop, reason)| out(Entity::Stop(*stop, B(reason))));
        erased.iter().for_each(|key| out(Entity::Erased(*key)));
        out(Entity::LastPersonKey(*last_person_key));
        external_campaigns.iter().for_each(|(text, id)| out(Entity::ExternalCampaign(B(text), *id)));
        external_ad_sets.iter().for_each(|(text, id)| out(Entity::ExternalAdSet(B(text), *id)));
        external_ads.iter().for_each(|(text, id)| out(Entity::ExternalAd(B(text), *id)));
    }
}

/// Reads an image, frame by frame.
#[derive(Default)]
pub struct ImageReader {
    catalogue: Catalogue,
    versions: Reading,
    frames: u64,
}
impl ImageReader {
    /// Takes the next frame. Versions are read from it where they lie, as long as they are not changed: bytes of a mapped
    /// file are not copied.
    ///
    /// # Errors
    /// A frame that is none.
    pub fn frame(&mut self, bytes: &Bytes) -> Result<(), Damaged> {
        let damaged = Damaged { frame: self.frames };
        self.frames += 1;
        let tag = *bytes.first().ok_or(damaged)?;
        let body = bytes.slice(1..);
        match tag {
            ENTITY => self.entity(serde_json::from_slice(&body).map_err(|_| damaged)?),
            PAGE => self.versions.page(&body).ok_or(damaged)?,
            TEXTS => self.versions.texts(&body).ok_or(damaged)?,
            ALIASES => self.versions.aliases(&body).ok_or(damaged)?,
            _ => return Err(damaged),
        }
        Ok(())
    }
    fn entity(&mut self, entity: Entity<'_>) {
        let catalogue = &mut self.catalogue;
        match entity {
            Entity::Publisher(kept) => catalogue.publisher = Some(kept.into_owned()),
            Entity::Site(id, kept) => drop(catalogue.sites.insert(id, kept.into_owned())),
            Entity::Placement(id, kept) => drop(catalogue.placements.insert(id, kept.into_owned())),
            Entity::Segment(id, kept) => drop(catalogue.segments.insert(id, kept.into_owned())),
            Entity::Advertiser(id, kept) => drop(catalogue.advertisers.insert(id, kept.into_owned())),
            Entity::Party(id, kept) => drop(catalogue.parties.insert(id, kept.into_owned())),
            Entity::Campaign(id, kept) => drop(catalogue.campaigns.insert(id, kept.into_owned())),
            Entity::AdSet(id, kept) => {
                // Ids ascend in the order of booking, so the order within a campaign follows.
                catalogue.ad_sets_of.entry(kept.spec.campaign).or_default().push(id);
                catalogue.ad_sets.insert(id, kept.into_owned());
            }
            Entity::Ad(id, state) => {
                catalogue.ads_of.entry(state.kept.spec.ad_set).or_default().push(id);
                catalogue.ads.insert(id, state.into_owned());
            }
            Entity::User(id, record) => drop(catalogue.users.insert(id, record.into_owned())),
            Entity::Token(id, record) => drop(catalogue.tokens.insert(id, record.into_owned())),
            Entity::Election(id, kept) => drop(catalogue.elections.insert(id, kept.into_owned())),
            Entity::Report(id, state) => drop(catalogue.reports.insert(id, state.into_owned())),
            Entity::Grouping(id, kept) => drop(catalogue.groupings.insert(id, kept.into_owned())),
            Entity::Stop(stop, reason) => drop(catalogue.stops.insert(stop, reason.into_owned())),
            Entity::Erased(key) => drop(catalogue.erased.insert(key)),
            Entity::LastPersonKey(key) => catalogue.last_person_key = key,
            Entity::ExternalCampaign(text, id) => {
                catalogue.external_campaigns.insert(text.into_owned(), id);
            }
            Entity::ExternalAdSet(text, id) => drop(catalogue.external_ad_sets.insert(text.into_owned(), id)),
            Entity::ExternalAd(text, id) => drop(catalogue.external_ads.insert(text.into_owned(), id)),
        }
    }
    /// The catalogue, when every frame was taken.
    pub fn finish(self) -> Catalogue {
        Catalogue { versions: self.versions.finish(), ..self.catalogue }
    }
}
