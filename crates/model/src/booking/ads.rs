//! Ads and their versions. What an ad links to is its own; what it shows are its versions.

use super::{TemplateSpec, check_https, check_origin};
use crate::{
    AdId, AdSetId, Faults,
    creative::{Creative, ObjectHash, Size},
    limits::*,
};
use serde::{Deserialize, Serialize};

/// An ad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdSpec {
    /// Of which ad set.
    pub ad_set: AdSetId,
    /// Its name.
    pub name: String,
    /// Where a click goes, and nowhere else. May contain the macros `{PLACEMENT}` and `{CACHEBUSTER}`.
    pub landing_url: String,
    /// Third-party origins that its HTML may load from; off by default. Each stands in the ad's content security policy.
    #[serde(default)]
    pub third_party_origins: Vec<String>,
    /// The caller's own id, for imports that can be repeated.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Slots and assets whose combinations are versions of it, beside those that are uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateSpec>,
}
impl AdSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        let bare = self.landing_url.replace("{PLACEMENT}", "x").replace("{CACHEBUSTER}", "0");
        check_https("landing_url", &bare, faults);
        let host_end =
            self.landing_url.find("://").and_then(|i| self.landing_url[i + 3..].find('/').map(|j| i + 3 + j));
        let in_host = self.landing_url.find('{').is_some_and(|at| host_end.is_none_or(|end| at < end));
        faults.when(in_host, "landing_url", "macro_in_host", "A macro may not stand in the host name.");
        let count = self.third_party_origins.len();
        faults.when(
            count > ORIGINS_COUNT_MAX,
            "third_party_origins",
            "too_many",
            format!("At most {ORIGINS_COUNT_MAX}; this has {count}."),
        );
        for (index, origin) in self.third_party_origins.iter().enumerate() {
            check_origin(&format!("third_party_origins[{index}]"), origin, faults);
        }
        if let Some(template) = &self.template {
            template.check("template", &self.third_party_origins, faults);
        }
    }
}

/// A version as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSpec {
    /// Of which ad.
    pub ad: AdId,
    /// Its name; empty for the ad's only version.
    #[serde(default)]
    pub name: String,
    /// What it shows.
    pub creative: Creative,
    /// Share of the ad set's showings among its versions, relative to the others'; above zero.
    #[serde(default = "one")]
    pub weight: u32,
    /// The caller's own id, for imports that can be repeated.
    #[serde(default)]
    pub external_id: Option<String>,
}
fn one() -> u32 {
    1
}

/// What fits where: the shape of a creative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// Image or HTML of a fixed size.
    Banner(Size),
    /// Parts that the page lays out.
    Native,
    /// Words only.
    Text,
}
impl Shape {
    /// Of a creative.
    pub fn of(creative: &Creative) -> Shape {
        match (creative, creative.size()) {
            (Creative::Text { .. }, _) => Shape::Text,
            (_, Some(size)) => Shape::Banner(size),
            (_, None) => Shape::Native,
        }
    }
}

/// The same version as the journal holds it: numbers and a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRecord {
    /// Of which ad.
    pub ad: AdId,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Hash of the creative document.
    pub creative: ObjectHash,
    /// What fits where.
    pub shape: Shape,
    /// Relative share.
    pub weight: u32,
    /// The caller's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}
impl VersionSpec {
    /// Adds every fault found. `origins` are the ad's third-party origins.
    pub fn check(&self, origins: &[String], faults: &mut Faults) {
        faults.optional_text("name", &self.name, NAME_CHARS_MAX);
        faults.when(self.weight == 0 || self.weight > 1_000_000, "weight", "out_of_range", "1 to 1000000.");
        self.creative.check("creative", origins, faults);
    }
    /// The form that is journalled; the creative document is stored under the returned hash first.
    pub fn to_record(&self) -> VersionRecord {
        VersionRecord {
            ad: self.ad,
            name: self.name.clone(),
            creative: ObjectHash::of(&self.creative.to_bytes()),
            shape: Shape::of(&self.creative),
            weight: self.weight,
            external_id: self.external_id.clone(),
        }
    }
}
