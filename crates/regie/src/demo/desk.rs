//! The demo's booking desk: ordinary commands, one after the other, each waited for until it is durable.

use super::looks::Words;
use crate::platform::{Platform, commands::Accepted};
use anyhow::{Context, Result, anyhow};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, Micros, PartyId, PlacementId, SiteId, UtcMs, Zone,
    booking::*,
    command::{Command, Verdict},
    creative::{Asset, Creative, Size},
    event::Actor,
    personal::Identity,
    time::DAY_MS,
};
use std::{
    str::FromStr,
    sync::{Arc, mpsc},
};

/// Euros as micros.
pub const fn euros(amount: i64) -> Micros {
    Micros(amount * 1_000_000)
}
/// Cents as micros.
pub const fn cents(amount: i64) -> Micros {
    Micros(amount * 10_000)
}

/// Where things are booked.
pub struct Desk {
    platform: Arc<Platform>,
    /// Address of the demo's own pages, for landing pages.
    pub base: String,
    /// When everything begins.
    pub now: UtcMs,
}

impl Desk {
    /// A desk; `base` is the origin of the demo's pages.
    pub fn new(platform: Arc<Platform>, base: String) -> Desk {
        let now = platform.now();
        Desk { platform, base, now }
    }
    /// The platform behind it.
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }
    /// Sends one command and waits until it is durable. For a thread that may block.
    ///
    /// # Errors
    /// A refusal, or a journal that stopped.
    pub fn send(&self, command: Command) -> Result<String> {
        let (done, wait) = mpsc::sync_channel::<Result<Vec<Accepted>, _>>(1);
        let ack = Box::new(move |result| drop(done.send(result)));
        self.platform.command(Actor::Job("demo".into()), vec![command], ack);
        let accepted =
            wait.recv().context("the journal stopped")?.map_err(|e| anyhow!("booking the demo: {e}"))?;
        accepted.into_iter().next().map(|a| a.id).context("a command without an id")
    }
    fn put<Id: FromStr>(&self, command: Command) -> Result<Id> {
        let id = self.send(command)?;
        id.parse().map_err(|_| anyhow!("{id} is not the id expected"))
    }
    /// So many days from now.
    pub fn in_days(&self, days: i64) -> UtcMs {
        UtcMs(self.now.0 + days * DAY_MS)
    }
    /// A flight from now on.
    pub fn flight(&self, days: i64) -> Flight {
        Flight { starts_at: self.now, ends_at: Some(self.in_days(days)) }
    }

    /// Books a site.
    ///
    /// # Errors
    /// As [`Desk::send`], as all below.
    pub fn site(&self, id: Option<SiteId>, spec: SiteSpec) -> Result<SiteId> {
        self.put(Command::PutSite { id, revision: None, spec })
    }
    /// Books a placement.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn placement(&self, spec: PlacementSpec) -> Result<PlacementId> {
        self.put(Command::PutPlacement { id: None, revision: None, spec })
    }
    /// Books a sponsor or payer, an organisation.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn party(&self, advertiser: AdvertiserId, identity: Identity) -> Result<PartyId> {
        let spec = PartySpec {
            kind: PartyKind::Organisation,
            identity,
            advertiser: Some(advertiser),
            established_in: "FR".into(),
            may_sponsor_before_votes: true,
        };
        self.put(Command::PutParty { id: None, revision: None, spec })
    }
    /// Books an account; a prepaid one pays in what is given.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn advertiser(
        &self,
        name: &str,
        categories: &[&str],
        prepaid: Option<Micros>,
    ) -> Result<AdvertiserId> {
        let funding = match prepaid {
            Some(_) => Funding::Prepaid,
            None => Funding::Credit { limit_micros: euros(20_000) },
        };
        let spec = AdvertiserSpec {
            name: name.into(),
            currency: Currency::EUR,
            zone: paris(),
            funding,
            categories: categories.iter().map(|c| (*c).to_owned()).collect(),
            pixel_conversions: None,
            invoice_address: format!("{name}\n1 Quay Street\nPort Brume"),
        };
        let id = self.put(Command::PutAdvertiser { id: None, revision: None, spec })?;
        if let Some(amount_micros) = prepaid {
            self.send(Command::Deposit {
                advertiser: id,
                amount_micros,
                reference: "Bank transfer 1".into(),
            })?;
        }
        Ok(id)
    }
    /// Books a campaign.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn campaign(&self, spec: CampaignSpec) -> Result<CampaignId> {
        self.put(Command::PutCampaign { id: None, revision: None, spec })
    }
    /// Books an ad set.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn ad_set(&self, spec: AdSetSpec) -> Result<AdSetId> {
        self.put(Command::PutAdSet { id: None, revision: None, spec })
    }
    /// Books an ad with its versions, and approves it as the publisher's reviewer would.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn ad(
        &self,
        ad_set: AdSetId,
        name: &str,
        slug: &str,
        versions: Vec<(&str, Creative)>,
    ) -> Result<AdId> {
        let id = self.put_ad(None, ad_set, name, slug)?;
        for (name, creative) in versions {
            let spec = VersionSpec { ad: id, name: name.into(), creative, weight: 1, external_id: None };
            self.send(Command::PutVersion { id: None, revision: None, spec })?;
        }
        self.approve(vec![id])?;
        Ok(id)
    }
    /// Books or edits an ad; its landing page is one of the demo's own.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn put_ad(&self, id: Option<AdId>, ad_set: AdSetId, name: &str, slug: &str) -> Result<AdId> {
        let landing_url = format!("{}/demo/at/{slug}?from={{PLACEMENT}}", self.base);
        let name = name.to_owned();
        let template = id.and_then(|id| self.platform.catalogue().ads.get(&id)?.kept.spec.template.clone());
        let third_party_origins = Vec::new();
        let spec = AdSpec { ad_set, name, landing_url, third_party_origins, external_id: None, template };
        self.put(Command::PutAd { id, revision: None, spec })
    }
    /// Books an ad that is a template, and approves it.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn template(&self, ad_set: AdSetId, name: &str, slug: &str, template: TemplateSpec) -> Result<AdId> {
        let landing_url = format!("{}/demo/at/{slug}?from={{PLACEMENT}}", self.base);
        let spec = AdSpec {
            ad_set,
            name: name.into(),
            landing_url,
            third_party_origins: Vec::new(),
            external_id: None,
            template: Some(template),
        };
        let id = self.put(Command::PutAd { id: None, revision: None, spec })?;
        self.approve(vec![id])?;
        Ok(id)
    }
    /// Approves ads.
    ///
    /// # Errors
    /// As [`Desk::send`].
    pub fn approve(&self, ads: Vec<AdId>) -> Result<()> {
        let verdict = Verdict::Approved;
        self.send(Command::Review { ads, versions: Vec::new(), verdict, reason: String::new() }).map(drop)
    }
    /// Stores a picture of the demo's.
    ///
    /// # Errors
    /// A full disk, or bytes that are no picture.
    pub fn picture(&self, bytes: &[u8]) -> Result<Asset> {
        let found = crate::uploads::image_type(bytes).context("a picture of the demo is damaged")?;
        let hash = self.platform.objects.put(bytes)?;
        let size_bytes = u32::try_from(bytes.len())?;
        Ok(Asset { hash, media_type: found.media_type.into(), size_bytes, size: found.size })
    }
    /// A native creative.
    ///
    /// # Errors
    /// As [`Desk::picture`].
    pub fn native(&self, picture: &[u8], alt: &str, body: &str, words: Words) -> Result<Creative> {
        Ok(Creative::Native {
            title: words.title.into(),
            body: body.into(),
            call_to_action: words.button.into(),
            asset: Some(self.picture(picture)?),
            alt: alt.into(),
        })
    }
}

/// The zone of everything in Port Brume.
pub fn paris() -> Zone {
    Zone::parse("Europe/Paris").unwrap_or_else(Zone::utc)
}
/// A banner placement's format.
pub fn banner(size: Size) -> Format {
    Format::Banner { sizes: vec![size] }
}
