//! An entry in other people's formats: JSON-LD for a repository of political ads (Art. 13 of Regulation (EU) 2024/900,
//! Art. 39 of Regulation (EU) 2022/2065), and the "ad-transparency-standards" schema, version .2, of Who Targets Me.
//!
//! The European repository's own schema was not public when this was written; the JSON-LD is checked against the list of
//! required fields below, and its transport is configurable. A correction keeps the id and raises the version. Refuses to
//! fill what is not known: it says that it is not disclosed.

use crate::{Entry, NoticeItem, PublicClause};
use serde_json::{Map, Value, json};

/// What an export says around an entry.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// Address of the record, without a trailing slash.
    pub base_url: &'a str,
    /// Name of the publisher.
    pub publisher: &'a str,
    /// Language of the page, where it is known.
    pub language: Option<&'a str>,
    /// Version of the entry: a correction raises it.
    pub version: u32,
    /// When that version was made, RFC 3339.
    pub modified: String,
}
impl Around<'_> {
    fn ad(&self, entry: &Entry) -> String {
        format!("{}/record/ads/{}", self.base_url, entry.id)
    }
}

/// Fields that an upload must have, as a path of keys; each is checked by [`faults`].
pub const REQUIRED: &[&str] = &[
    "@context",
    "@type",
    "@id",
    "identifier",
    "version",
    "dateModified",
    "url",
    "publisher.name",
    "isPolitical",
    "sponsor.name",
    "payer.name",
    "periodIntended.startDate",
    "amounts.ad.value",
    "amounts.ad.currency",
    "amounts.campaign.value",
    "amounts.campaign.currency",
    "reach.impressions",
    "targeting.description",
    "noticeItems",
];

/// What a repository upload lacks; empty when it may be sent.
pub fn faults(document: &Value) -> Vec<String> {
    let lacks = |path: &&&str| {
        let found = path.split('.').try_fold(document, |value, key| value.get(key));
        found.is_none_or(|value| value.is_null() || value.as_str().is_some_and(str::is_empty))
    };
    let mut found: Vec<String> = REQUIRED.iter().filter(lacks).map(|p| format!("{p} is missing")).collect();
    let political = document["isPolitical"] == json!(true);
    let letters: String =
        document["noticeItems"].as_array().into_iter().flatten().filter_map(|i| i["item"].as_str()).collect();
    if political && letters != "abcdefghijklm" {
        found.push(format!("the notice has the items \"{letters}\" instead of a to m"));
    }
    found
}

/// The entry as JSON-LD.
pub fn repository(entry: &Entry, around: &Around<'_>) -> Value {
    let party = |party: &crate::PublicParty| {
        json!({
            "@type": "Organization", "identifier": party.id, "name": party.name, "withheld": party.withheld,
            "email": party.email, "address": party.postal_address, "controlledBy": party.controller,
            "registerId": party.register_id, "countryOfEstablishment": party.established_in,
        })
    };
    let money = |value: &str, currency: regie_model::Currency| json!({ "@type": "MonetaryAmount", "value": value, "currency": currency });
    json!({
        "@context": { "@vocab": "https://schema.org/", "regie": "https://w3id.org/regie/record#",
            "isPolitical": "regie:isPolitical", "periodIntended": "regie:periodIntended", "periodActual": "regie:periodActual",
            "amounts": "regie:amounts", "reach": "regie:reach", "targeting": "regie:targeting", "noticeItems": "regie:noticeItems",
            "payer": "regie:payer", "controlledBy": "regie:controlledBy", "withheld": "regie:withheld",
            "registerId": "regie:registerId", "countryOfEstablishment": "regie:countryOfEstablishment", "history": "regie:history" },
        "@type": "CreativeWork", "additionalType": "regie:Advertisement", "@id": around.ad(entry),
        "identifier": entry.id, "version": around.version, "dateModified": around.modified, "url": around.ad(entry),
        "inLanguage": around.language,
        "publisher": { "@type": "Organization", "name": around.publisher, "url": around.base_url },
        "isPolitical": entry.political, "isPartOf": entry.campaign,
        "sponsor": party(&entry.sponsor), "payer": party(&entry.payer),
        "periodIntended": { "startDate": entry.period.starts_at, "endDate": entry.period.ends_at },
        "periodActual": { "startDate": entry.period.first_day, "endDate": entry.period.last_day, "zone": entry.period.zone },
        "amounts": { "ad": money(&entry.figures.spend, entry.figures.currency),
            "campaign": money(&entry.campaign_figures.spend, entry.campaign_figures.currency), "calculation": entry.price.words },
        "reach": { "impressions": entry.figures.impressions_count, "clicks": entry.figures.clicks_count,
            "conversions": entry.figures.conversions_count },
        "targeting": { "description": entry.targeting.words, "clauses": entry.targeting.clauses, "caps": entry.targeting.caps },
        "text": entry.content.versions.iter().flat_map(|v| v.texts.clone()).collect::<Vec<_>>(),
        "mainEntityOfPage": entry.content.landing_url,
        "history": entry.history,
        "noticeItems": entry.notice.iter().map(notice_item).collect::<Vec<_>>(),
    })
}
fn notice_item(item: &NoticeItem) -> Value {
    json!({ "@type": "PropertyValue", "item": item.item, "name": item.title, "valueReference": item.values,
        "measurementTechnique": item.source, "declared": item.declared })
}

/// The entry in the schema of Who Targets Me, version .2: sections by their names, fields by theirs.
pub fn who_targets_me(entry: &Entry, around: &Around<'_>) -> Value {
    let mut suspensions = entry.history.iter().filter(|l| l.event == "stopped" && l.about == "sponsor");
    let lifted = entry.history.iter().rev().find(|l| l.event == "stop_lifted" && l.about == "sponsor");
    let last_stop = suspensions.next_back();
    let suspended = last_stop.is_some_and(|s| lifted.is_none_or(|l| l.at < s.at));
    let approved = entry.history.iter().find(|l| l.event == "approved" && l.about == "ad");
    let testing = if entry.content.versions.len() > 1 {
        json!({ "TESTING_TYPE": "AB" })
    } else {
        json!({ "TESTING_NOT_USED": true })
    };
    json!({
        "entity/details": {
            "ENTITY_ID": entry.sponsor.id, "ENTITY_REAL_NAME": entry.sponsor.name,
            "ENTITY_INTERNAL_NAME": entry.sponsor.id, "ENTITY_WEBSITE": "", "ENTITY_ELECTORAL_ID": entry.sponsor.register_id,
            "ENTITY_LEGAL_STATUS": "", "ENTITY_TYPE": "", "ENTITY_VERIFICATION_DATE": "",
            "ENTITY_GEO_SCOPE": entry.sponsor.established_in,
        },
        "entity/suspended": {
            "ENTITY_SUSPENDED": suspended, "ENTITY_SUSPENSION_START": last_stop.map(|l| l.at),
            "ENTITY_SUSPENSION_END": lifted.filter(|_| !suspended).map(|l| l.at),
            "ENTITY_SUSPENSION_REASON": last_stop.map(|l| l.reason.clone()).unwrap_or_default(),
        },
        "ad/details": {
            "AD_ID": entry.id, "AD_LIBRARY_ENTITY_URL": format!("{}/record/sponsors/{}", around.base_url, entry.sponsor.id),
            "AD_LIBRARY_AD_URL": around.ad(entry),
            "AD_COPY": entry.content.versions.iter().flat_map(|v| v.texts.clone()).collect::<Vec<_>>(),
            "AD_IMAGE_URLS": [],
            "AD_MEDIA_URLS": entry.content.versions.iter().map(|v| format!("{}/versions/{}/frame", around.ad(entry), v.version)).collect::<Vec<_>>(),
            "AD_URLS": [entry.content.landing_url],
        },
        "ad/group": { "GROUP_ID": entry.campaign },
        "ad/testing": testing,
        "ad/dates": {
            "DATETIME_LIVE": entry.period.first_day, "DATETIME_ENDED": entry.period.last_day.filter(|_| entry.status == crate::RunStatus::Ended),
            "DATETIME_APPROVED": approved.map(|l| l.at), "DATETIME_CREATED": entry.period.starts_at,
        },
        "advertising_platform/id_type": { "PLATFORM_NAME": around.publisher, "PLATFORM_URL": around.base_url,
            "PLATFORM_AD_POLICY": "", "IAB_ID": "" },
        "targeting_category/geo_location": geography(&entry.targeting.clauses),
        "targeting_category/remarketing": { "REMARKETING_NOT_USED": true },
        "targeting_category/user_characteristics": characteristics(&entry.targeting.clauses),
        "targeting_category/user_interests": interests(&entry.targeting.clauses),
        "targeting_category/context": context(&entry.targeting.clauses),
        "targeting_category/other": { "OTHER_USED": entry.targeting.caps },
        "targeting_category/audience_size": { "AUDIENCE_SIZE_NOT_DISCLOSED": true },
        "spending/details": { "SPENDING_TOTAL": entry.figures.spend, "SPENDING_CURRENCY": entry.figures.currency },
        "delivery/details": { "DELIVERY_OPTIMIZATION": entry.price.words },
        "reach/impressions": { "IMPRESSIONS_LOWER_BOUND": entry.figures.impressions_count,
            "IMPRESSIONS_UPPER_BOUND": entry.figures.impressions_count },
        "reach/unique_users": { "UNIQUE_USERS_NOT_DISCLOSED": true },
        "reach/engagement": { "ENGAGEMENT_CLICKS": entry.figures.clicks_count },
        "reach/demographics": { "DEMOGRAPHICS_NOT_DISCLOSED": true },
        "moderation/information": { "MODERATION_REVIEW_TYPE": "manual",
            "MODERATION_RULE_APPLIED": entry.history.iter().rev().find(|l| l.event == "withdrawn" || l.event == "stopped").map(|l| l.reason.clone()) },
    })
}

/// The clauses over some dimensions: words of what is meant and of what is excluded.
fn clauses(clauses: &[PublicClause], dimensions: &[&str]) -> (Vec<String>, Vec<String>) {
    let of = |op: &str| -> Vec<String> {
        let found = clauses.iter().filter(|c| c.op == op && dimensions.contains(&c.dimension.as_str()));
        found.flat_map(|c| c.values.clone()).collect()
    };
    (of("in"), of("not_in"))
}
/// A section with what is used and what is excluded, or the word for neither.
fn section(found: (Vec<String>, Vec<String>), used: &str, excluded: &str, none: &str) -> Value {
    let mut map = Map::new();
    for (key, values) in [(used, found.0), (excluded, found.1)] {
        if !values.is_empty() {
            map.insert(key.into(), values.into());
        }
    }
    if map.is_empty() {
        map.insert(none.into(), true.into());
    }
    Value::Object(map)
}
fn geography(all: &[PublicClause]) -> Value {
    let found = clauses(all, &["country", "region", "city"]);
    section(found, "GEO_LOCATION_APPROXIMATE", "GEO_LOCATION_EXCLUDED", "GEO_LOCATION_NOT_USED")
}
fn characteristics(all: &[PublicClause]) -> Value {
    let found = clauses(all, &["language"]);
    section(
        found,
        "USER_CHARACTERISTICS_LANGUAGES",
        "USER_CHARACTERISTICS_EXCLUSIONS",
        "USER_CHARACTERISTICS_NOT_USED",
    )
}
fn interests(all: &[PublicClause]) -> Value {
    section(
        clauses(all, &["segment"]),
        "USER_INTERESTS_USED",
        "USER_INTERESTS_EXCLUDED",
        "USER_INTERESTS_NOT_USED",
    )
}
fn context(all: &[PublicClause]) -> Value {
    let known = ["country", "region", "city", "language", "segment"];
    let words: Vec<String> =
        all.iter().filter(|c| !known.contains(&c.dimension.as_str())).map(|c| c.words.clone()).collect();
    section((words, Vec::new()), "CONTEXT_USED", "", "CONTEXT_NOT_USED")
}
