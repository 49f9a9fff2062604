//! Facts: what is known of an ad before its first impression. One version of them is one leaf of the log, with an object
//! for each part that may have to be withheld.
//!
//! Holds R3: a changed fact is a new version, and a part that was withheld is never published again by a later one. Holds
//! R4 by its types. Refuses figures, which have leaves of their own, and salts of its own making.

use crate::{
    Content, HistoryLine, Period, Price, PublicParty, PublicTargeting,
    canonical::canonical,
    commit::{Object, SALT_BYTES, Sha256Hash},
    leaf::{Commitment, Kind, LEAF_SCHEMA, Leaf, LeafError, Sheet},
};
use regie_model::{
    AdId, CampaignId, Currency, UtcMs,
    booking::{Declaration, TemplateSpec},
    creative::Creative,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether the ad's bookings let it run, apart from its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Approved, neither paused nor stopped.
    Active,
    /// Paused, a draft, or not approved now.
    Paused,
    /// Stopped by the publisher.
    Stopped,
    /// Put away.
    Archived,
}

/// Everything known of an ad but its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`crate::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The ad.
    pub id: AdId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Declared as political advertising.
    pub political: bool,
    /// Whether its bookings let it run.
    pub run: RunState,
    /// On whose behalf.
    pub sponsor: PublicParty,
    /// Who pays.
    pub payer: PublicParty,
    /// What is shown.
    pub content: Content,
    /// As intended; the days really shown are figures.
    pub period: Period,
    /// Of all money.
    pub currency: Currency,
    /// Whom it is meant to reach, exclusions included.
    pub targeting: PublicTargeting,
    /// How the price is formed.
    pub price: Price,
    /// Approvals and suspensions, oldest first.
    pub history: Vec<HistoryLine>,
    /// The sponsor's declaration of a political ad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration: Option<Declaration>,
    /// The template whose combinations are shown: assets, constraints, layout. Outside the facts' own object, since its words and
    /// pictures may have to be withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateSpec>,
}

/// The part that holds everything but personal fields and creatives.
pub const FACTS_PART: &str = "facts";
/// The part that holds a template: canonical JSON of what is booked.
pub const TEMPLATE_PART: &str = "template";
/// Pictures of a template that have objects of their own, by number; the others are committed to by their hash in the template.
pub const TEMPLATE_PICTURES_MAX: usize = 256;
/// Stands where a part was withheld.
pub const WITHHELD: &str = "(withheld)";

/// A personal field of a party: its name in a part, how to read it and how to write it.
type Field = (&'static str, fn(&PublicParty) -> &String, fn(&mut PublicParty) -> &mut String);
const FIELDS: [Field; 5] = [
    ("controller", |p| &p.controller, |p| &mut p.controller),
    ("email", |p| &p.email, |p| &mut p.email),
    ("name", |p| &p.name, |p| &mut p.name),
    ("postal_address", |p| &p.postal_address, |p| &mut p.postal_address),
    ("register_id", |p| &p.register_id, |p| &mut p.register_id),
];

/// What contents the facts need from the object store: documents of creatives and the files that they show, by BLAKE3
/// name. `None`: not held any more.
pub type Store<'a> = &'a dyn Fn(&regie_model::creative::ObjectHash) -> Option<Vec<u8>>;

impl Facts {
    /// The contents by part: the whole of what a version of the facts says.
    ///
    /// # Errors
    /// [`LeafError`]: facts without canonical form.
    pub fn parts(&self, store: Store<'_>) -> Result<BTreeMap<String, Vec<u8>>, LeafError> {
        let mut parts = BTreeMap::new();
        let mut bare = self.clone();
        let own = self.payer.id == self.sponsor.id;
        for (whose, party, bared) in
            [("sponsor", &self.sponsor, &mut bare.sponsor), ("payer", &self.payer, &mut bare.payer)]
        {
            for (field, read, write) in FIELDS {
                let text = read(party);
                let silent = text.is_empty() || party.withheld || whose == "payer" && own;
                if !silent {
                    parts.insert(format!("{whose}.{field}"), text.as_bytes().to_vec());
                }
                write(bared).clear();
            }
        }
        for version in &mut bare.content.versions {
            version.texts.clear();
            let Some(document) = store(&version.creative) else { continue };
            if let Some(asset) = asset_of(&document)
                && let Some(bytes) = store(&asset)
            {
                parts.insert(format!("asset.{asset}"), bytes);
            }
            parts.insert(format!("creative.{}", version.version), document);
        }
        if let Some(template) = bare.template.take() {
            let pictures =
                template.slots.iter().flat_map(|slot| &slot.assets).filter_map(|a| a.asset.as_ref());
            for picture in pictures.take(TEMPLATE_PICTURES_MAX) {
                if let Some(bytes) = store(&picture.hash) {
                    parts.insert(format!("asset.{}", picture.hash), bytes);
                }
            }
            parts.insert(TEMPLATE_PART.to_owned(), canonical(&template)?);
        }
        parts.insert(FACTS_PART.into(), canonical(&bare)?);
        Ok(parts)
    }

    /// Puts the facts of a leaf together again from its objects. A part whose object is gone reads as withheld.
    ///
    /// # Errors
    /// Why the leaf's facts cannot be read.
    pub fn read(leaf: &Leaf, object: &dyn Fn(&Sha256Hash) -> Option<Vec<u8>>) -> Result<Facts, FactsError> {
        let content = |part: &str| -> Result<Option<Vec<u8>>, FactsError> {
            let Some(hash) = leaf.commitment(part) else { return Ok(None) };
            let Some(bytes) = object(&hash) else { return Ok(None) };
            let content = Object::open(hash, &bytes).ok_or_else(|| FactsError::Damaged(part.into()))?;
            Ok(Some(content.to_vec()))
        };
        let bytes = content(FACTS_PART)?.ok_or(FactsError::Withheld)?;
        let mut facts: Facts =
            serde_json::from_slice(&bytes).map_err(|e| FactsError::Damaged(format!("{FACTS_PART}: {e}")))?;
        for (whose, party) in [("sponsor", &mut facts.sponsor), ("payer", &mut facts.payer)] {
            for (field, _, write) in FIELDS {
                let part = format!("{whose}.{field}");
                let text = content(&part)?;
                if text.is_none() && leaf.commitment(&part).is_some() {
                    party.withheld = true;
                }
                let text = text.map(|t| String::from_utf8(t).map_err(|_| FactsError::Damaged(part)));
                *write(party) = text.transpose()?.unwrap_or_default();
            }
            if party.withheld {
                party.name = WITHHELD.into();
            }
        }
        if facts.payer.id == facts.sponsor.id {
            facts.payer = facts.sponsor.clone();
        }
        facts.template = content(TEMPLATE_PART)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        for version in &mut facts.content.versions {
            let document = content(&format!("creative.{}", version.version))?;
            let creative: Option<Creative> = document.and_then(|d| serde_json::from_slice(&d).ok());
            version.texts = creative.as_ref().map(crate::build::texts).unwrap_or_default();
            if creative.is_none() {
                version.kind.clear();
            }
        }
        Ok(facts)
    }
}

/// Why facts cannot be read from the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The facts' own object is gone.
    #[error("the facts of this version are withheld")]
    Withheld,
    /// An object does not fit.
    #[error("an object does not fit the leaf: {0}")]
    Damaged(String),
}

/// The picture that a creative document shows.
fn asset_of(document: &[u8]) -> Option<regie_model::creative::ObjectHash> {
    match serde_json::from_slice::<Creative>(document).ok()? {
        Creative::Image { asset, .. } => Some(asset.hash),
        Creative::Native { asset, .. } => asset.map(|a| a.hash),
        Creative::Html { .. } | Creative::Text { .. } => None,
    }
}

/// The version of an ad's leaf that came before.
pub struct Previous<'a> {
    /// The leaf.
    pub leaf: &'a Leaf,
    /// Its objects' bytes; `None`: withheld.
    pub object: &'a dyn Fn(&Sha256Hash) -> Option<Vec<u8>>,
}

/// The next version of an ad's facts; `None` when they say what the version before said.
///
/// Parts that did not change keep their commitment and bring no object. A part whose object was withheld keeps its
/// commitment too: what was withheld stays so.
///
/// # Errors
/// [`LeafError`].
pub fn facts_sheet(
    facts: &Facts,
    store: Store<'_>,
    previous: Option<&Previous<'_>>,
    at: UtcMs,
    salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
) -> Result<Option<Sheet>, LeafError> {
    let parts = facts.parts(store)?;
    let (commitments, objects) = commit_parts(&parts, previous, salt);
    if previous.is_some_and(|p| p.leaf.commitments == commitments) {
        return Ok(None);
    }
    let follows = previous.map(|p| p.leaf.to_bytes().map(|bytes| Sha256Hash::of(&bytes))).transpose()?;
    let leaf = Leaf {
        schema: LEAF_SCHEMA,
        kind: Kind::Facts,
        ad: facts.id,
        version: previous.map_or(1, |p| p.leaf.version + 1),
        at: previous.map_or(at, |p| at.max(p.leaf.at)),
        follows,
        figures: None,
        commitments,
    };
    Sheet::new(leaf, objects).map(Some)
}

/// Commitments to parts, sorted; new objects only for what changed.
pub(crate) fn commit_parts(
    parts: &BTreeMap<String, Vec<u8>>,
    previous: Option<&Previous<'_>>,
    salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
) -> (Vec<Commitment>, Vec<Object>) {
    let mut objects = Vec::new();
    let commit = |(part, content): (&String, &Vec<u8>)| {
        let kept = previous.and_then(|p| {
            let hash = p.leaf.commitment(part)?;
            let Some(bytes) = (p.object)(&hash) else { return Some(hash) };
            (Object::open(hash, &bytes) == Some(content)).then_some(hash)
        });
        let sha256 = kept.unwrap_or_else(|| {
            let object = Object::new(salt(), content);
            let hash = object.hash;
            objects.push(object);
            hash
        });
        Commitment { part: part.clone(), sha256 }
    };
    let commitments = parts.iter().map(commit).collect();
    (commitments, objects)
}
