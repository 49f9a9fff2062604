//! What the publisher offers: settings, sites, placements, segments.

use super::{AuctionKind, auction, check_amount, check_https, check_origin};
use crate::{Currency, Faults, SiteId, Zone, creative::Size, limits::*, money::DatedRate};
use serde::{Deserialize, Serialize};

/// The publisher's settings; there is one publisher in an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherSpec {
    /// Name shown to readers and on invoices.
    pub name: String,
    /// Legal name and address on invoices.
    #[serde(default)]
    pub legal_address: String,
    /// Tax number on invoices.
    #[serde(default)]
    pub tax_id: String,
    /// Tax rate on invoices, in parts per million (200000 is 20%).
    #[serde(default)]
    pub tax_rate_ppm: u32,
    /// Currency in which ads compete.
    pub auction_currency: Currency,
    /// Zone for pages and reports.
    pub zone: Zone,
    /// Dated rates by which other currencies compete.
    #[serde(default)]
    pub rates: Vec<DatedRate>,
    /// Country and region may be used for political ads (law P1); only after the publisher's own legal review.
    #[serde(default)]
    pub political_location: bool,
    /// Keys of key-values that describe the page, never the visitor (law P1).
    #[serde(default)]
    pub page_keys: Vec<String>,
    /// Advertiser categories that are never shown (IAB content taxonomy names or the publisher's own).
    #[serde(default)]
    pub blocked_categories: Vec<String>,
    /// Languages whose label and notice texts nobody has reviewed, and that the publisher uses nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_languages: Vec<String>,
    /// Share of decisions whose inputs are kept for replay, in parts per million (law D1; 10000 is 1%).
    #[serde(default = "default_sample_ppm")]
    pub sample_ppm: u32,
    /// How the auction tier sells places, where a placement does not say otherwise.
    #[serde(default, skip_serializing_if = "AuctionKind::is_default")]
    pub auction: AuctionKind,
}
fn default_sample_ppm() -> u32 {
    10_000
}

impl PublisherSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        faults.optional_text("legal_address", &self.legal_address, TEXT_CHARS_MAX);
        faults.optional_text("tax_id", &self.tax_id, NAME_CHARS_MAX);
        faults.when(
            self.tax_rate_ppm > 1_000_000,
            "tax_rate_ppm",
            "too_large",
            "A tax rate is at most 1000000 (100%).",
        );
        faults.when(
            self.sample_ppm > 1_000_000,
            "sample_ppm",
            "too_large",
            "A share is at most 1000000 (100%).",
        );
        for (index, rate) in self.rates.iter().enumerate() {
            let at = format!("rates[{index}]");
            faults.when(
                rate.rate_nanos <= 0,
                format!("{at}.rate_nanos"),
                "too_small",
                "A rate is above zero.",
            );
            let dated = crate::Day::parse(&rate.quoted_on).is_some();
            faults.when(!dated, format!("{at}.quoted_on"), "malformed", "The day of the rate, YYYY-MM-DD.");
            let own = rate.currency == self.auction_currency && rate.rate_nanos != DatedRate::PAR;
            faults.when(
                own,
                format!("{at}.rate_nanos"),
                "contradiction",
                "The auction currency is worth itself.",
            );
        }
        for (index, key) in self.page_keys.iter().enumerate() {
            faults.text(&format!("page_keys[{index}]"), key, 64);
        }
    }
    /// Rate of `currency` to the auction currency, times 10^9; `None` when none is dated.
    pub fn rate_nanos(&self, currency: Currency) -> Option<i64> {
        if currency == self.auction_currency {
            return Some(DatedRate::PAR);
        }
        self.rates
            .iter()
            .filter(|r| r.currency == currency)
            .max_by(|a, b| a.quoted_on.cmp(&b.quoted_on))
            .map(|r| r.rate_nanos)
    }
}

/// A web site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSpec {
    /// Its name.
    pub name: String,
    /// Origins whose pages may ask for ads (`https://www.example.org`).
    pub origins: Vec<String>,
    /// Language of the pages where they do not say (BCP 47 primary language).
    #[serde(default)]
    pub language: Option<String>,
}
impl SiteSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        faults.when(
            self.origins.is_empty(),
            "origins",
            "missing",
            "List at least one origin, such as https://www.example.org.",
        );
        faults.when(
            self.origins.len() > ORIGINS_COUNT_MAX,
            "origins",
            "too_many",
            format!("At most {ORIGINS_COUNT_MAX} origins."),
        );
        for (index, origin) in self.origins.iter().enumerate() {
            check_origin(&format!("origins[{index}]"), origin, faults);
        }
    }
}

/// What fits into a placement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Format {
    /// Images and HTML bundles of one of these sizes.
    Banner {
        /// CSS pixels.
        sizes: Vec<Size>,
    },
    /// Parts that the page lays out.
    Native,
    /// Words only.
    Text,
}

/// Where an ad set stands in the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierKind {
    /// Share of voice.
    Sponsorship,
    /// An impression goal.
    Guaranteed,
    /// Competes by value.
    Auction,
    /// The publisher's own, free.
    House,
}

/// Lowest price of a placement for one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// For which tier.
    pub tier: TierKind,
    /// In which currency.
    pub currency: Currency,
    /// Micros per thousand impressions.
    pub micros_per_mille: i64,
}

/// When a placement asks for an ad again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// Ask only when the place is about to be seen.
    pub lazy: bool,
    /// Ask again after so many seconds in view; 0 is never, at least 30 otherwise.
    pub refresh_s: u32,
    /// Ask again when a single-page application navigates.
    pub single_page: bool,
}

/// A place where an ad can appear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementSpec {
    /// On which site.
    pub site: SiteId,
    /// Name in the tag (`data-regie-placement="front-top"`): letters, digits, `-`, `_`; unique in the site.
    pub name: String,
    /// What fits.
    pub format: Format,
    /// Lowest prices.
    #[serde(default)]
    pub floors: Vec<Floor>,
    /// Advertisers never shown here.
    #[serde(default)]
    pub blocked_advertisers: Vec<crate::AdvertiserId>,
    /// Categories never shown here.
    #[serde(default)]
    pub blocked_categories: Vec<String>,
    /// Landing domains never linked from here (`example.org` covers its subdomains).
    #[serde(default)]
    pub blocked_domains: Vec<String>,
    /// Shown when no ad is: HTML without scripts.
    #[serde(default)]
    pub fallback_html: String,
    /// When it asks.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Political ads may appear here.
    #[serde(default = "yes")]
    pub political: bool,
    /// How the auction tier sells this place; the publisher's kind where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<AuctionKind>,
    /// What an impression here is worth beside one of the page's best place, parts per million: 1 to 1000000
    /// (100%). Read where places are sold together (`vcg`).
    #[serde(default = "auction::full_weight", skip_serializing_if = "auction::is_full_weight")]
    pub slot_weight_ppm: u32,
}
fn yes() -> bool {
    true
}
impl PlacementSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, 64);
        let fits = self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        faults.when(!fits, "name", "malformed", "A placement's name has letters, digits, - and _.");
        if let Format::Banner { sizes } = &self.format {
            faults.when(sizes.is_empty(), "format.sizes", "missing", "List at least one size.");
            faults.when(
                sizes.len() > SIZES_COUNT_MAX,
                "format.sizes",
                "too_many",
                format!("At most {SIZES_COUNT_MAX} sizes."),
            );
            let flat = sizes.iter().any(|s| s.width == 0 || s.height == 0);
            faults.when(flat, "format.sizes", "too_small", "Width and height are above zero.");
        }
        for (index, floor) in self.floors.iter().enumerate() {
            check_amount(&format!("floors[{index}].micros_per_mille"), floor.micros_per_mille, 0, faults);
        }
        for (index, domain) in self.blocked_domains.iter().enumerate() {
            check_https(&format!("blocked_domains[{index}]"), &format!("https://{domain}/"), faults);
        }
        faults.optional_text("fallback_html", &self.fallback_html, 20_000);
        let active = self.fallback_html.to_lowercase().contains("<script");
        faults.when(active, "fallback_html", "script", "Fallback HTML may not contain scripts.");
        let hasty = self.behaviour.refresh_s != 0 && !(30..=3_600).contains(&self.behaviour.refresh_s);
        let odd = !(1..=super::FULL_WEIGHT_PPM).contains(&self.slot_weight_ppm);
        faults.when(odd, "slot_weight_ppm", "out_of_range", "1 to 1000000 (100%).");
        faults.when(hasty, "behaviour.refresh_s", "out_of_range", "0 (never), or 30 to 3600 seconds.");
    }
    /// Floor for a tier in micros per mille of `currency`; 0 when none is set.
    pub fn floor_micros_per_mille(&self, tier: TierKind, currency: Currency) -> i64 {
        self.floors
            .iter()
            .filter(|f| f.tier == tier && f.currency == currency)
            .map(|f| f.micros_per_mille)
            .max()
            .unwrap_or(0)
    }
}

/// The publisher's own audience segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// Its name.
    pub name: String,
    /// What puts a visitor into it, in words.
    #[serde(default)]
    pub description: String,
    /// A request may use it only with proof of this consent (`advertising` ...); none means no personal data is used.
    #[serde(default)]
    pub consent: Option<String>,
}
impl SegmentSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        faults.optional_text("description", &self.description, TEXT_CHARS_MAX);
    }
}
