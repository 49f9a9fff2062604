//! The request as the decision sees it: already parsed, with derived context, time and seed (law D1 stores this).
//!
//! Refuses nothing at decision time: [`Request::normalise`] is called once at the edge and cuts what is
//! longer than its limit; a request that was not normalised is decided too, it only matches less.

use regie_model::{
    AdId, AdSetId, CampaignId, PlacementId, SegmentId, SiteId, UtcMs,
    booking::CapPeriod,
    limits::{
        REQUEST_KEY_VALUES_COUNT_MAX, REQUEST_PLACEMENTS_COUNT_MAX, REQUEST_VALUES_COUNT_MAX, URL_BYTES_MAX,
        VALUE_BYTES_MAX,
    },
    ticket::DeviceClass,
};
use serde::{Deserialize, Serialize};

/// Entries of one frequency view, of each kind.
pub const FREQUENCY_COUNT_MAX: usize = 512;

/// The consent that lets the visitor's counts of ordinary ads be read and kept.
pub const CONSENT_STORAGE: &str = "storage";
/// The consent that lets the visitor's counts of political ads be read and kept, and nothing else does (law P1).
pub const CONSENT_POLITICAL_FREQUENCY: &str = "political_frequency";

/// One page view asking for one or more ads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// When.
    pub at: UtcMs,
    /// Source of every chance in the decision. Must not be derived from anything personal (law P1).
    pub seed: u64,
    /// On which site.
    pub site: SiteId,
    /// For which places, in page order.
    pub placements: Vec<PlacementId>,
    /// What is known of the page.
    #[serde(default)]
    pub page: PageFacts,
    /// Coarse class of the machine.
    #[serde(default)]
    pub device: DeviceClass,
    /// Where the visitor seems to be.
    #[serde(default)]
    pub location: Location,
    /// What software the visitor seems to use.
    #[serde(default)]
    pub machine: Machine,
    /// Age band of the visitor; counts only with its consent ([`regie_model::targeting::AGE_BAND_CONSENT`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_band: Option<String>,
    /// Publisher's segments that the visitor is in.
    #[serde(default)]
    pub segments: Vec<SegmentId>,
    /// Consents that the request proves, by name.
    #[serde(default)]
    pub consents: Vec<String>,
    /// What was shown before.
    #[serde(default)]
    pub frequency: FrequencyView,
}

/// What is known of the page, and the publisher's key-values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageFacts {
    /// Address of the page; empty when unknown.
    pub url: String,
    /// Primary language (`fr`); the site's language when absent.
    pub language: Option<String>,
    /// Keywords, lower case.
    pub keywords: Vec<String>,
    /// Topics, lower case.
    pub topics: Vec<String>,
    /// Key-values; a key may stand several times. Only those among the publisher's page keys are
    /// facts about the page (law P1).
    pub key_values: Vec<(String, String)>,
}

/// Where the visitor seems to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Location {
    /// ISO 3166-1 alpha-2.
    #[serde(with = "country_text")]
    pub country: Option<[u8; 2]>,
    /// ISO 3166-2 (`FR-IDF`).
    pub region: Option<String>,
    /// Name as in the MaxMind database, lower case.
    pub city: Option<String>,
}

/// What software the visitor seems to use, lower case families.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// Operating system.
    pub os: Option<String>,
    /// Browser.
    pub browser: Option<String>,
}

/// What an impression is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Counted {
    /// A campaign.
    Campaign(CampaignId),
    /// An ad set.
    AdSet(AdSetId),
    /// An ad.
    Ad(AdId),
}

/// So many impressions in this page view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageViewCount {
    /// Of what.
    pub what: Counted,
    /// How many.
    pub count: u32,
}

/// So many impressions to this visitor in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisitorCount {
    /// Of what.
    pub what: Counted,
    /// In which period up to now.
    pub period: CapPeriod,
    /// How many.
    pub count: u32,
}

/// What was shown before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrequencyView {
    /// In this page view; not personal.
    pub page_view: Vec<PageViewCount>,
    /// To this visitor, from a consented token; `None` without one, and every cap then counts by page view.
    pub visitor: Option<Vec<VisitorCount>>,
    /// As `visitor`, of political ads: counts only beside [`CONSENT_POLITICAL_FREQUENCY`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub political: Option<Vec<VisitorCount>>,
}

impl Request {
    /// A request that knows nothing but time, seed, site and places.
    pub fn bare(at: UtcMs, seed: u64, site: SiteId, placements: Vec<PlacementId>) -> Request {
        Request {
            at,
            seed,
            site,
            placements,
            page: PageFacts::default(),
            device: DeviceClass::default(),
            location: Location::default(),
            machine: Machine::default(),
            age_band: None,
            segments: Vec::new(),
            consents: Vec::new(),
            frequency: FrequencyView::default(),
        }
    }
    /// Brings every value into the form that targeting lists (case, primary language) and cuts every list
    /// and text at its limit. Idempotent.
    pub fn normalise(&mut self) {
        self.placements.truncate(REQUEST_PLACEMENTS_COUNT_MAX);
        self.segments.truncate(REQUEST_VALUES_COUNT_MAX);
        self.consents.truncate(REQUEST_VALUES_COUNT_MAX);
        self.consents.iter_mut().for_each(|c| cut(c, VALUE_BYTES_MAX));
        let page = &mut self.page;
        cut(&mut page.url, URL_BYTES_MAX);
        if let Some(language) = &mut page.language {
            let primary = language.trim().split(['-', '_']).next().unwrap_or_default();
            if primary.len() < language.len() {
                *language = primary.to_owned();
            }
            lower(language);
            cut(language, 3);
        }
        page.language.take_if(|l| l.is_empty());
        for list in [&mut page.keywords, &mut page.topics] {
            list.truncate(REQUEST_VALUES_COUNT_MAX);
            list.iter_mut().for_each(lower);
        }
        page.key_values.truncate(REQUEST_KEY_VALUES_COUNT_MAX);
        for (key, value) in &mut page.key_values {
            cut(key, VALUE_BYTES_MAX);
            trim(value);
            cut(value, VALUE_BYTES_MAX);
        }
        if let Some(country) = &mut self.location.country {
            country.make_ascii_uppercase();
        }
        self.location.country.take_if(|c| !c.iter().all(u8::is_ascii_uppercase));
        if let Some(region) = &mut self.location.region {
            *region = region.trim().to_ascii_uppercase();
            cut(region, VALUE_BYTES_MAX);
        }
        let machine = &mut self.machine;
        let texts = [&mut self.location.city, &mut machine.os, &mut machine.browser, &mut self.age_band];
        texts.into_iter().flatten().for_each(lower);
        self.frequency.page_view.truncate(FREQUENCY_COUNT_MAX);
        for counts in [&mut self.frequency.visitor, &mut self.frequency.political].into_iter().flatten() {
            counts.truncate(FREQUENCY_COUNT_MAX);
        }
    }
}

fn lower(text: &mut String) {
    // Most values are plain and in order already: then nothing is copied.
    if text.is_ascii() {
        text.make_ascii_lowercase();
        trim(text);
    } else {
        *text = text.trim().to_lowercase();
    }
    cut(text, VALUE_BYTES_MAX);
}
fn trim(text: &mut String) {
    let trimmed = text.trim();
    if trimmed.len() < text.len() {
        *text = trimmed.to_owned();
    }
}
fn cut(text: &mut String, max: usize) {
    let end = text.floor_char_boundary(max);
    text.truncate(text[..end].trim_end().len());
}

mod country_text {
    //! A country in JSON is its two letters.
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    pub fn serialize<S: Serializer>(country: &Option<[u8; 2]>, s: S) -> Result<S::Ok, S::Error> {
        country.as_ref().map(|c| String::from_utf8_lossy(c).into_owned()).serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<[u8; 2]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
        let letters =
            text.as_bytes().try_into().ok().filter(|c: &[u8; 2]| c.iter().all(u8::is_ascii_alphabetic));
        letters
            .map(Some)
            .ok_or_else(|| de::Error::custom("a country is two letters (ISO 3166-1), such as FR"))
    }
}
