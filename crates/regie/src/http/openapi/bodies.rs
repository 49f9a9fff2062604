//! Which body each operation takes: schemas asked of the types that read them, and the few that have readers of their own.
//!
//! A route that takes JSON and stands here with nothing fails the test.

use super::schema;
use crate::http::{
    Route,
    accounts::people,
    billing,
    booking::{entities, kind::Kind, operate},
    conversions, downloads, forecast, preview,
};
use axum::http::Method;
use regie_model::{booking::*, command::Command};
use serde_json::{Map, Value, json};

/// Operations whose body is no booking: method, path, name of the schema.
const BODIES: [(&str, &str, &str); 17] = [
    ("PUT", "/v1/publisher", "Publisher"),
    ("POST", "/v1/commands", "Commands"),
    ("POST", "/v1/reviews", "Review"),
    ("POST", "/v1/stops", "StopSwitch"),
    ("POST", "/v1/advertisers/{id}/deposits", "Deposit"),
    ("POST", "/v1/parties/{id}/erase", "Erasure"),
    ("POST", "/v1/previews", "PreviewOrder"),
    ("POST", "/v1/forecast", "ForecastQuestion"),
    ("POST", "/v1/report-orders", "ReportOrder"),
    ("POST", "/v1/invoices", "InvoiceOrder"),
    ("POST", "/v1/credits", "Credit"),
    ("POST", "/v1/users", "NewUser"),
    ("PUT", "/v1/users/{id}", "UserEdit"),
    ("POST", "/v1/tokens", "NewToken"),
    ("POST", "/v1/conversions", "Conversion"),
    ("POST", "/v1/decisions", "DecisionRequest"),
    ("POST", "/v1/events", "Beacon"),
];
/// Changes that need no body: the address says everything.
const BARE: [&str; 4] = [
    "/v1/tokens/{id}/revoke",
    "/v1/users/{id}/link",
    "/v1/report-orders/{id}/end",
    "/v1/ads/{id}/proposals/{code}",
];

/// What a route's body is.
pub(super) enum Body {
    /// JSON of a named schema.
    Schema(&'static str),
    /// Other bytes than JSON.
    Media(&'static str),
    /// None.
    Empty,
}

/// The body that a route takes.
pub(super) fn of(route: &Route) -> Option<Body> {
    if route.method != Method::POST && route.method != Method::PUT {
        return Some(Body::Empty);
    }
    match route.path {
        "/v1/tables/{kind}" => return Some(Body::Media("text/csv")),
        "/v1/assets" => return Some(Body::Media("application/octet-stream")),
        "/v1/decisions/batch" => return Some(Body::Schema("DecisionRequests")),
        bare if BARE.contains(&bare) => return Some(Body::Empty),
        _ => {}
    }
    let method = route.method.as_str();
    let own = BODIES.iter().find(|(m, path, _)| *m == method && *path == route.path);
    if let Some((.., name)) = own {
        return Some(Body::Schema(name));
    }
    let (kind, tail) = Kind::ALL.into_iter().find_map(|kind| {
        let tail = route.path.strip_prefix("/v1/")?.strip_prefix(kind.plural())?;
        matches!(tail, "" | "/{id}" | "/{id}/status").then_some((kind, tail))
    })?;
    Some(Body::Schema(if tail == "/{id}/status" { "StatusSwitch" } else { name_of(kind) }))
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Site => "Site",
        Kind::Placement => "Placement",
        Kind::Segment => "Segment",
        Kind::Advertiser => "Advertiser",
        Kind::Party => "Party",
        Kind::Campaign => "Campaign",
        Kind::AdSet => "AdSet",
        Kind::Ad => "Ad",
        Kind::Version => "Version",
    }
}

/// The booking that a command carries as its `spec`.
fn spec_of(command: &str) -> Option<&'static str> {
    Some(match command.strip_prefix("put_")? {
        "publisher" => "Publisher",
        "site" => "Site",
        "placement" => "Placement",
        "segment" => "Segment",
        "advertiser" => "Advertiser",
        "party" => "Party",
        "campaign" => "Campaign",
        "ad_set" => "AdSet",
        "ad" => "Ad",
        "version" => "Version",
        "election" => "Election",
        _ => return None,
    })
}

/// Every schema, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let mut all = bookings();
    let command = schema::of_choice::<Command>("command", &spec_of);
    all.insert("Commands".into(), json!({
        "type": "object", "required": ["commands"], "additionalProperties": false,
        "properties": { "commands": { "type": "array", "items": command, "minItems": 1, "maxItems": regie_model::limits::COMMANDS_COUNT_MAX } },
    }));
    for (name, schema) in [
        ("Election", schema::of::<ElectionSpec>()),
        ("Review", schema::of::<operate::ReviewInput>()),
        ("StopSwitch", schema::of::<operate::StopInput>()),
        ("Deposit", schema::of::<operate::DepositInput>()),
        ("Erasure", schema::of::<operate::EraseInput>()),
        ("StatusSwitch", schema::of::<entities::StatusInput>()),
        ("PreviewOrder", schema::of::<preview::Input>()),
        ("ForecastQuestion", schema::of::<forecast::Input>()),
        ("ReportOrder", schema::of::<downloads::Input>()),
        ("InvoiceOrder", schema::of::<billing::IssueInput>()),
        ("Credit", schema::of::<billing::credits::Input>()),
        ("NewUser", schema::of::<people::NewUser>()),
        ("UserEdit", schema::of::<people::EditUser>()),
        ("NewToken", schema::of::<people::NewToken>()),
        ("Conversion", schema::of::<conversions::Input>()),
        ("DecisionRequest", decision()),
        (
            "DecisionRequests",
            json!({
                "type": "object", "required": ["requests"],
                "properties": { "requests": { "type": "array", "items": { "$ref": "#/components/schemas/DecisionRequest" } } },
            }),
        ),
        ("Beacon", beacon()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

/// What is booked, as its parser takes it; an edit may also name the `revision` that it was made on.
fn bookings() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, mut schema) in [
        ("Publisher", schema::of::<PublisherSpec>()),
        ("Site", schema::of::<SiteSpec>()),
        ("Placement", schema::of::<PlacementSpec>()),
        ("Segment", schema::of::<SegmentSpec>()),
        ("Advertiser", schema::of::<AdvertiserSpec>()),
        ("Party", schema::of::<PartySpec>()),
        ("Campaign", schema::of::<CampaignSpec>()),
        ("AdSet", schema::of::<AdSetSpec>()),
        ("Ad", schema::of::<AdSpec>()),
        ("Version", schema::of::<VersionSpec>()),
    ] {
        let words = "In an edit: what was read, so that nobody else's change is overwritten.";
        schema["properties"]["revision"] = json!({ "type": "integer", "description": words });
        all.insert(name.to_owned(), schema);
    }
    all
}

/// A request for ads: its reader is written by hand, for speed.
fn decision() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let text = json!({ "type": ["string", "null"] });
    json!({
        "type": "object", "required": ["site", "placements"], "additionalProperties": false,
        "properties": {
            "site": { "type": "string", "pattern": "^site_[0-9]+$" },
            "placements": { "type": "array", "items": { "oneOf": [
                { "type": "object", "required": ["name"], "additionalProperties": false, "properties": { "name": { "type": "string" } } },
                { "type": "object", "required": ["id"], "additionalProperties": false, "properties": { "id": { "type": "string", "pattern": "^plc_[0-9]+$" } } },
            ] } },
            "page": { "type": "object", "additionalProperties": false, "properties": {
                "url": { "type": "string" }, "language": text, "keywords": texts, "topics": texts,
                "key_values": { "type": "object", "additionalProperties": texts },
            } },
            "age_band": text, "segments": texts, "consents": texts,
            "frequency": { "type": "object", "properties": {
                "page_view": { "type": "array", "items": { "type": "object" } }, "token": text, "visitor_id": text,
            } },
            "visitor": { "type": ["object", "null"], "description": "Only with a token of scope `decide`.", "additionalProperties": false, "properties": {
                "location": { "type": "object", "properties": { "country": text, "region": text, "city": text } },
                "device": text, "user_agent": text,
            } },
        },
    })
}
fn beacon() -> Value {
    json!({
        "type": "object", "required": ["events"],
        "properties": { "events": { "type": "array", "items": {
            "type": "object", "required": ["kind", "ticket"],
            "properties": { "kind": { "type": "string", "enum": ["impression", "viewable_impression", "click"] }, "ticket": { "type": "string" } },
        } } },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::{decisions::input::DecisionInput, routes};

    #[test]
    fn every_change_under_v1_says_what_it_takes() {
        let silent: Vec<String> = routes()
            .iter()
            .filter(|r| r.path.starts_with("/v1/") && of(r).is_none())
            .map(|r| format!("{} {}", r.method, r.path))
            .collect();
        assert!(silent.is_empty(), "add the body's schema to BODIES: {silent:?}");
        let stray: Vec<_> = BODIES
            .iter()
            .filter(|(m, p, _)| !routes().iter().any(|r| r.method.as_str() == *m && r.path == *p))
            .collect();
        assert!(stray.is_empty(), "there is no such route: {stray:?}");
    }
    #[test]
    fn every_named_schema_is_there_with_fields_and_no_other() {
        let schemas = schemas();
        let mut named: Vec<&str> = BODIES.iter().map(|(.., name)| *name).collect();
        named.extend(Kind::ALL.map(name_of));
        named.extend(["StatusSwitch", "Election", "DecisionRequests"]);
        for name in &named {
            let fields = schemas.get(*name).and_then(|s| s["properties"].as_object()).map_or(0, Map::len);
            assert!(fields > 0, "{name}: {:?}", schemas.get(*name));
        }
        assert!(schemas.keys().all(|name| named.contains(&name.as_str())), "{:?}", schemas.keys());
    }
    #[test]
    fn a_command_is_a_choice_that_refers_to_the_bookings() {
        let schemas = schemas();
        let choices = schemas["Commands"]["properties"]["commands"]["items"]["oneOf"].as_array().unwrap();
        let of = |word: &str| {
            choices
                .iter()
                .find(|c| c["properties"]["command"]["const"] == word)
                .unwrap_or_else(|| panic!("{word}: {choices:?}"))
        };
        assert_eq!(of("put_campaign")["properties"]["spec"]["$ref"], "#/components/schemas/Campaign");
        assert!(of("put_campaign")["required"].as_array().unwrap().contains(&json!("spec")));
        assert_eq!(of("review")["properties"]["verdict"]["enum"], json!(["approved", "rejected"]));
        assert_eq!(of("set_status")["required"], json!(["command", "entity", "status"]));
        assert!(choices.len() >= 15, "{}", choices.len());
    }
    #[test]
    fn a_request_for_ads_with_every_field_of_its_schema_is_read() {
        let whole = json!({
            "site": "site_1", "placements": [{ "name": "top" }, { "id": "plc_2" }],
            "page": { "url": "https://a.example/", "language": "fr", "keywords": ["k"], "topics": ["t"], "key_values": { "section": ["a"] } },
            "age_band": "25-34", "segments": ["seg_1"], "consents": ["age_band"],
            "frequency": { "page_view": [], "token": null, "visitor_id": "v" },
            "visitor": { "location": { "country": "FR", "region": null, "city": null }, "device": "phone", "user_agent": "x" },
        });
        serde_json::from_str::<DecisionInput>(&whole.to_string()).unwrap();
        let schema = decision();
        let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&schema["properties"]), keys(&whole));
        assert_eq!(keys(&schema["properties"]["page"]["properties"]), keys(&whole["page"]));
        assert_eq!(keys(&schema["properties"]["visitor"]["properties"]), keys(&whole["visitor"]));
    }
}
