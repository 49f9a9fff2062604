//! What targeting may read of a request: everything for ordinary ad sets, [`Contextual`] for political ones.
//!
//! Law P1 stands here in types: `Contextual` has no field for city, age band, operating system, browser, segments, a
//! visitor's frequency counts without [`ConsentedCounts`], or key-values that are not the publisher's page keys, and no reference to the
//! request. What matches or caps a political ad set takes only `&Contextual`.

use crate::{
    index::{Value, Values},
    request::{CONSENT_POLITICAL_FREQUENCY, PageViewCount, Request, VisitorCount},
    snapshot::Snapshot,
};
use regie_model::{
    PlacementId, SegmentId, SiteId, UtcMs,
    targeting::{AGE_BAND_CONSENT, Dimension},
    ticket::DeviceClass,
};

/// Country and region, where the publisher has switched location on for political ads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coarse<'a> {
    country: Option<&'a str>,
    region: Option<&'a str>,
}

/// A visitor's counts of political ads, with the consent for exactly that: there is no other way to one of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsentedCounts<'a>(&'a [VisitorCount]);
impl<'a> ConsentedCounts<'a> {
    fn of(request: &'a Request) -> Option<ConsentedCounts<'a>> {
        let counts = request.frequency.political.as_deref()?;
        let proven = request.consents.iter().any(|consent| consent == CONSENT_POLITICAL_FREQUENCY);
        proven.then_some(ConsentedCounts(counts))
    }
    /// The counts.
    pub(crate) fn counts(self) -> &'a [VisitorCount] {
        self.0
    }
}

/// All that may decide about a political ad (law P1).
#[derive(Clone, Debug)]
pub(crate) struct Contextual<'a> {
    at: UtcMs,
    site: SiteId,
    placement: PlacementId,
    url: &'a str,
    language: Option<&'a str>,
    keywords: &'a [String],
    topics: &'a [String],
    device: DeviceClass,
    page_key_values: Vec<(&'a str, &'a str)>,
    location: Option<Coarse<'a>>,
    page_view: &'a [PageViewCount],
    consented: Option<ConsentedCounts<'a>>,
}
impl<'a> Contextual<'a> {
    /// Takes from the request what law P1 leaves, by the publisher's settings.
    pub(crate) fn of(snapshot: &'a Snapshot, request: &'a Request, placement: PlacementId) -> Contextual<'a> {
        let page = &request.page;
        let coarse = || Coarse {
            country: request.location.country.as_ref().and_then(|c| std::str::from_utf8(c).ok()),
            region: request.location.region.as_deref(),
        };
        let of_page = page.key_values.iter().filter(|(key, _)| snapshot.is_page_key(key));
        Contextual {
            at: request.at,
            site: request.site,
            placement,
            url: &page.url,
            language: page.language.as_deref().or_else(|| snapshot.site_language(request.site)),
            keywords: &page.keywords,
            topics: &page.topics,
            device: request.device,
            page_key_values: of_page.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            location: snapshot.political_location().then(coarse),
            page_view: &request.frequency.page_view,
            consented: ConsentedCounts::of(request),
        }
    }
    /// Impressions in this page view; not personal.
    pub(crate) fn page_view(&self) -> &'a [PageViewCount] {
        self.page_view
    }
    /// Impressions to this visitor, where there is a consent for it.
    pub(crate) fn consented(&self) -> Option<ConsentedCounts<'a>> {
        self.consented
    }
}
impl Values for Contextual<'_> {
    fn each(&self, dimension: &Dimension, out: &mut dyn FnMut(Value<'_>)) {
        let mut text = |value: &str| out(Value::Text(value));
        match dimension {
            Dimension::Language => self.language.into_iter().for_each(text),
            Dimension::Keyword => self.keywords.iter().for_each(|v| text(v)),
            Dimension::Topic => self.topics.iter().for_each(|v| text(v)),
            Dimension::Key(key) => {
                self.page_key_values.iter().filter(|(k, _)| k == key).for_each(|(_, v)| text(v))
            }
            Dimension::Country => self.location.and_then(|l| l.country).into_iter().for_each(text),
            Dimension::Region => self.location.and_then(|l| l.region).into_iter().for_each(text),
            Dimension::Device => out(Value::Number(self.device as u32)),
            Dimension::Site => out(Value::Number(self.site.0)),
            Dimension::Placement => out(Value::Number(self.placement.0)),
            // Hours and patterns are looked up by `at` and `url`; the others a political ad cannot read.
            Dimension::HourOfWeek | Dimension::PageUrl => {}
            Dimension::City
            | Dimension::AgeBand
            | Dimension::Os
            | Dimension::Browser
            | Dimension::Segment => {}
        }
    }
    fn at(&self) -> UtcMs {
        self.at
    }
    fn url(&self) -> &str {
        self.url
    }
}

/// All that the request says, for ordinary ad sets.
#[derive(Clone, Debug)]
pub(crate) struct Everything<'a> {
    request: &'a Request,
    placement: PlacementId,
    language: Option<&'a str>,
    segments: Vec<SegmentId>,
    /// Only where the consent that it needs is proven.
    age_band: Option<&'a str>,
}
impl<'a> Everything<'a> {
    /// The request's facts; a segment counts only where the consent that it needs is proven.
    pub(crate) fn of(snapshot: &'a Snapshot, request: &'a Request, placement: PlacementId) -> Everything<'a> {
        let language = request.page.language.as_deref().or_else(|| snapshot.site_language(request.site));
        let usable = request.segments.iter().copied();
        let segments = usable.filter(|s| snapshot.segment_usable(*s, &request.consents)).collect();
        let consented = request.consents.iter().any(|consent| consent == AGE_BAND_CONSENT);
        let age_band = request.age_band.as_deref().filter(|_| consented);
        Everything { request, placement, language, segments, age_band }
    }
}
impl Values for Everything<'_> {
    fn each(&self, dimension: &Dimension, out: &mut dyn FnMut(Value<'_>)) {
        let request = self.request;
        let mut text = |value: &str| out(Value::Text(value));
        match dimension {
            Dimension::Country => {
                let country = request.location.country.as_ref();
                country.and_then(|c| std::str::from_utf8(c).ok()).into_iter().for_each(text)
            }
            Dimension::Region => request.location.region.iter().for_each(|v| text(v)),
            Dimension::City => request.location.city.iter().for_each(|v| text(v)),
            Dimension::Language => self.language.into_iter().for_each(text),
            Dimension::AgeBand => self.age_band.into_iter().for_each(text),
            Dimension::Os => request.machine.os.iter().for_each(|v| text(v)),
            Dimension::Browser => request.machine.browser.iter().for_each(|v| text(v)),
            Dimension::Keyword => request.page.keywords.iter().for_each(|v| text(v)),
            Dimension::Topic => request.page.topics.iter().for_each(|v| text(v)),
            Dimension::Key(key) => {
                request.page.key_values.iter().filter(|(k, _)| k == key).for_each(|(_, v)| text(v))
            }
            Dimension::Device => out(Value::Number(request.device as u32)),
            Dimension::Site => out(Value::Number(request.site.0)),
            Dimension::Placement => out(Value::Number(self.placement.0)),
            Dimension::Segment => self.segments.iter().for_each(|s| out(Value::Number(s.0))),
            Dimension::HourOfWeek | Dimension::PageUrl => {}
        }
    }
    fn at(&self) -> UtcMs {
        self.request.at
    }
    fn url(&self) -> &str {
        &self.request.page.url
    }
}
