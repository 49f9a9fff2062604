//! The public form of an entry: schema version 1. Every field is on the allow-list; adding one is a decision.
//!
//! Money stands twice: as an integer with its unit and as decimal text for people. Times are RFC 3339 in UTC; days
//! are those of the account's zone, which the entry names.

use regie_model::{AdId, CampaignId, Currency, Day, PartyId, UtcMs, VersionId, creative::ObjectHash};
use serde::{Deserialize, Serialize};

/// Every key that an entry's JSON may have, anywhere in it (law R4).
pub const ALLOWED_KEYS: &[&str] = &[
    "about",
    "amount_micros",
    "assets_count",
    "at",
    "campaign",
    "campaign_figures",
    "caps",
    "clauses",
    "clicks_count",
    "combinations_count",
    "content",
    "controller",
    "conversions_count",
    "creative",
    "credited",
    "credited_nanos",
    "currency",
    "day",
    "days",
    "declared",
    "dimension",
    "email",
    "ends_at",
    "established_in",
    "event",
    "figures",
    "first_day",
    "gross",
    "gross_nanos",
    "height",
    "history",
    "id",
    "impressions_count",
    "item",
    "kind",
    "label",
    "landing_url",
    "last_day",
    "learned",
    "matched_count",
    "model",
    "name",
    "never_count",
    "notice",
    "op",
    "payer",
    "period",
    "political",
    "postal_address",
    "price",
    "reason",
    "register_id",
    "schema_version",
    "slots",
    "source",
    "spend",
    "spend_nanos",
    "sponsor",
    "starts_at",
    "status",
    "targeting",
    "template",
    "texts",
    "third_party_origins",
    "title",
    "value",
    "values",
    "version",
    "versions",
    "width",
    "withheld",
    "words",
    "zone",
];

/// One ad's place in the public record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`crate::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The ad.
    pub id: AdId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Declared as political advertising (Regulation (EU) 2024/900).
    pub political: bool,
    /// Whether it may run now.
    pub status: RunStatus,
    /// On whose behalf.
    pub sponsor: PublicParty,
    /// Who pays.
    pub payer: PublicParty,
    /// What is shown.
    pub content: Content,
    /// From when to when, intended and actual.
    pub period: Period,
    /// Whom it is meant to reach.
    pub targeting: PublicTargeting,
    /// How the price is formed.
    pub price: Price,
    /// What it cost and how often it was shown: exact.
    pub figures: PublicFigures,
    /// The same for the whole campaign.
    pub campaign_figures: Totals,
    /// Approvals and suspensions, oldest first.
    pub history: Vec<HistoryLine>,
    /// The transparency notice of a political ad, items a to m of Art. 12(1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notice: Vec<NoticeItem>,
}

/// Whether an ad runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// In its period, approved, neither paused nor stopped.
    Running,
    /// Its period has not begun (again).
    Scheduled,
    /// Paused, a draft, or not approved now.
    Paused,
    /// Stopped by the publisher.
    Stopped,
    /// Its period is over, or it was put away.
    Ended,
}
impl RunStatus {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Scheduled => "scheduled",
            RunStatus::Paused => "paused",
            RunStatus::Stopped => "stopped by the publisher",
            RunStatus::Ended => "ended",
        }
    }
}

/// A sponsor or payer as the public sees it. Contact facts only for political ads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicParty {
    /// Its number here.
    pub id: PartyId,
    /// Its name, or that it is withheld.
    pub name: String,
    /// The identity was erased; what is left says so.
    pub withheld: bool,
    /// Who ultimately controls it, where declared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub controller: String,
    /// Contact (political ads).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Postal address (political ads).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub postal_address: String,
    /// Public register and number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub register_id: String,
    /// Country of establishment, ISO 3166-1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub established_in: String,
}

/// What is shown and where it leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Where a click goes.
    pub landing_url: String,
    /// What its HTML may load from elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub third_party_origins: Vec<String>,
    /// What is, or last was, approved.
    pub versions: Vec<PublicVersion>,
    /// Where the versions are combined from a template: what it is made of. The whole is an object of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PublicTemplate>,
}

/// A template, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTemplate {
    /// `text`, `native` or `html`.
    pub kind: String,
    /// Versions that can be combined now, constraints aside.
    pub combinations_count: u64,
    /// Its places for assets.
    pub slots: Vec<PublicSlot>,
    /// Pairs of assets that never meet.
    pub never_count: u64,
}

/// A place of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicSlot {
    /// Its name.
    pub name: String,
    /// Assets that can stand there now.
    pub assets_count: u64,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicVersion {
    /// Its number.
    pub version: VersionId,
    /// `image`, `html`, `native` or `text`; empty when the document is not held any more.
    pub kind: String,
    /// BLAKE3 hash of the creative document.
    pub creative: ObjectHash,
    /// CSS pixels, where fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    /// CSS pixels, where fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
    /// Its words: headline, body, description of the picture.
    pub texts: Vec<String>,
}

/// From when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Intended start.
    pub starts_at: UtcMs,
    /// Intended end (not included); absent: until stopped.
    pub ends_at: Option<UtcMs>,
    /// First day with an impression, in `zone`.
    pub first_day: Option<Day>,
    /// Last day with an impression so far, in `zone`.
    pub last_day: Option<Day>,
    /// Zone of the days.
    pub zone: String,
}

/// Whom it is meant to reach: every condition, exclusions included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTargeting {
    /// All must hold; none means every page view.
    pub clauses: Vec<PublicClause>,
    /// Caps in words.
    pub caps: Vec<String>,
    /// Several versions compete and their shares may be learned from results.
    pub learned: bool,
    /// The whole in one sentence.
    pub words: String,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicClause {
    /// What is looked at.
    pub dimension: String,
    /// `in` or `not_in`.
    pub op: String,
    /// The listed values.
    pub values: Vec<String>,
    /// Zone of hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// In words.
    pub words: String,
}

/// How the price is formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// `cpm`, `cpc`, `cpa`, `flat_fee` or `free`.
    pub model: String,
    /// The bid in micros, absent when free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_micros: Option<i64>,
    /// Of the amount.
    pub currency: Currency,
    /// In words.
    pub words: String,
}

/// Exact totals. Spend is what was charged less what was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Of the money.
    pub currency: Currency,
    /// Times shown.
    pub impressions_count: u64,
    /// Times clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
    /// Charged, in 10^-9 of a unit, as text since it may pass 2^53.
    pub gross_nanos: String,
    /// Given back later.
    pub credited_nanos: String,
    /// Gross less credited.
    pub spend_nanos: String,
    /// The same as decimal text, all digits.
    pub spend: String,
}

/// Exact totals with their days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicFigures {
    /// Of the money.
    pub currency: Currency,
    /// Times shown.
    pub impressions_count: u64,
    /// Times clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
    /// Charged, in 10^-9 of a unit.
    pub gross_nanos: String,
    /// Given back later.
    pub credited_nanos: String,
    /// Gross less credited.
    pub spend_nanos: String,
    /// The same as decimal text, all digits.
    pub spend: String,
    /// Places offered to its ad set whose page matched the conditions and exclusions while it could run, at least: the audience
    /// that it could have reached, as far as it was counted. Of the whole ad set, however many ads it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_count: Option<u64>,
    /// By day of the account's zone, oldest first.
    pub days: Vec<DayFigures>,
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayFigures {
    /// Which.
    pub day: Day,
    /// Times shown.
    pub impressions_count: u64,
    /// Charged less given back on that day, in 10^-9 of a unit.
    pub spend_nanos: String,
    /// The same as decimal text.
    pub spend: String,
}

/// Something that was decided about the ad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryLine {
    /// When.
    pub at: UtcMs,
    /// `approved`, `withdrawn`, `stopped`, `stop_lifted`, `paused`, `resumed`, `archived`.
    pub event: String,
    /// What it was about: `ad`, `ad_set`, `campaign`, `sponsor`, `all_paid`, or a version's id.
    pub about: String,
    /// Why, where the publisher says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One item of the transparency notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeItem {
    /// `a` to `m` of Art. 12(1).
    pub item: String,
    /// What it asks for.
    pub title: String,
    /// The answers; "not declared" where there is none.
    pub values: Vec<NoticeValue>,
    /// Where the answers come from.
    pub source: String,
    /// The answers are the sponsor's declaration, not the ledger's figures.
    pub declared: bool,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeValue {
    /// Of what.
    pub label: String,
    /// In words or figures.
    pub value: String,
}

/// Stands where the sponsor gave nothing.
pub const NOT_DECLARED: &str = "not declared";
