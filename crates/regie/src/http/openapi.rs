//! `GET /v1/openapi.json`: every route under `/v1` as one OpenAPI document, made from the table of routes itself.
//!
//! What a route is for stands in [`OPERATIONS`]; one without a line fails the test. Who may call it comes from its access,
//! so that the document cannot say otherwise than the guard. Refuses to describe the public record, which has its own
//! document at `/record/openapi.json`.

mod schema;

use super::{Access, Route, booking::kind::Kind, routes};
use axum::{
    Json,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The module's routes.
pub fn own_routes() -> Vec<Route> {
    vec![Route::public("openapi", Method::GET, "/v1/openapi.json", get(document))]
}

/// What an operation is for: method, path, one line, query parameters with what each means.
type Operation = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Every operation but those that all kinds of bookings have.
const OPERATIONS: &[Operation] = &[
    ("GET", "/v1/openapi.json", "This document.", &[]),
    ("GET", "/v1/publisher", "The publisher's settings.", &[]),
    ("PUT", "/v1/publisher", "Make or edit the publisher's settings.", &[]),
    ("POST", "/v1/commands", "Several booking commands: all are accepted, or none.", &[]),
    ("POST", "/v1/reviews", "Approve or reject ads and versions.", &[]),
    (
        "GET",
        "/v1/reviews/queue",
        "What waits for review, beside what is served now.",
        &[("limit", "rows at most")],
    ),
    ("GET", "/v1/stops", "What is stopped.", &[]),
    ("POST", "/v1/stops", "Stop everything paid, a sponsor or an ad; or let it go on.", &[]),
    ("POST", "/v1/advertisers/{id}/deposits", "Record money paid in, or an invoice settled.", &[]),
    ("POST", "/v1/parties/{id}/erase", "Erase the identity of a sponsor or payer, for ever.", &[]),
    (
        "GET",
        "/v1/history",
        "Who changed what, the latest first.",
        &[
            ("entity", "only of this thing, such as cam_1"),
            ("before", "only before this journal position"),
            ("limit", "rows at most"),
        ],
    ),
    ("POST", "/v1/assets", "Upload a picture; the answer is the asset to put into a creative.", &[]),
    ("GET", "/v1/assets/{hash}", "A picture that an ad shows.", &[]),
    (
        "POST",
        "/v1/previews",
        "A link that shows a version on a real page; it counts nothing and expires.",
        &[],
    ),
    ("GET", "/v1/previews/{token}", "What a preview's link shows, for the tag.", &[]),
    ("GET", "/v1/previews/{token}/frame", "The creative of a preview.", &[]),
    ("GET", "/v1/previews/{token}/click", "The click of a preview; counts nothing.", &[]),
    (
        "POST",
        "/v1/forecast",
        "How many requests an ad set will meet, who competes, whether a promise can be kept.",
        &[],
    ),
    ("GET", "/v1/delivery", "Every running ad set against its plan, with the reason of the last hour.", &[]),
    ("GET", "/v1/ad-sets/{id}/learning", "What an ad set has learned: shares, rates and why.", &[]),
    ("GET", "/v1/ad-sets/{id}/experiment", "An experiment's report, valid whenever it is looked at.", &[]),
    ("GET", "/v1/campaigns/{id}/adapting", "What a campaign's adapting did and would do.", &[]),
    ("GET", "/v1/learning/rates", "Predicted rates in force.", &[]),
    ("POST", "/v1/ads/{id}/proposals/{code}", "Book a version that the learner proposes.", &[]),
    ("GET", "/v1/health", "Journal, folds, lag, storage, version and last backup.", &[]),
    (
        "GET",
        "/v1/tables/{kind}",
        "Bookings of a kind as CSV: campaigns, ad-sets, ads or versions.",
        &[("within", "only what stands in this thing, such as cam_1")],
    ),
    (
        "POST",
        "/v1/tables/{kind}",
        "Take a CSV of the same columns in; rows are known by id or external_id.",
        &[("dry_run", "true: only check")],
    ),
    ("GET", "/v1/table-jobs/{id}", "How far a table is, with its first bad rows and their reasons.", &[]),
    ("GET", "/v1/table-jobs/{id}/bad", "The bad rows of a table as CSV, each with its reason.", &[]),
    (
        "GET",
        "/v1/reports",
        "Figures by hour or day and by what was booked, exact at the time of asking.",
        &[
            ("from", "first day or time"),
            ("to", "last day or time"),
            ("zone", "of days, such as Europe/Paris"),
            (
                "by",
                "dimensions, separated by commas: hour, day, hour_of_day, campaign, ad_set, ad, version, element, placement, country, device",
            ),
            ("campaign", "only this one"),
            ("ad_set", "only this one"),
            ("ad", "only this one"),
            ("version", "only this one"),
            ("placement", "only this one"),
            ("advertiser", "only this one"),
            ("limit", "rows at most"),
            ("cursor", "from the answer before"),
            ("format", "json or csv"),
        ],
    ),
    (
        "GET",
        "/v1/campaigns/{id}/results",
        "What came of a campaign: by day against plan, the period before, by version, element, place, hour, country, device.",
        &[
            ("from", "first day, in the account's zone; two weeks ago when absent"),
            ("to", "last day; today when absent"),
            ("by", "breakdowns, separated by commas; all when absent"),
        ],
    ),
    ("GET", "/v1/report-orders", "Reports that are made by the clock.", &[]),
    ("POST", "/v1/report-orders", "Order a report of a campaign, each day or each week.", &[]),
    ("POST", "/v1/report-orders/{id}/end", "End an order; its files stay for their time.", &[]),
    ("GET", "/v1/report-files", "Files that were made, the latest first.", &[]),
    ("GET", "/v1/report-files/{id}", "One file, as CSV.", &[]),
    ("GET", "/v1/invoices", "Statements and invoices by month.", &[("advertiser", "only this one's")]),
    ("POST", "/v1/invoices", "Issue the invoice of a month that is over.", &[]),
    (
        "GET",
        "/v1/invoices/{advertiser}/{month}",
        "A statement, or the invoice once it is issued.",
        &[("format", "json or csv")],
    ),
    (
        "GET",
        "/v1/invoices/{advertiser}/{month}/audit",
        "What proves an invoice against the journal and the record.",
        &[],
    ),
    ("POST", "/v1/credits", "Give a charge back, wholly or in part.", &[]),
    ("GET", "/v1/users", "Users and their roles.", &[]),
    ("POST", "/v1/users", "Invite somebody.", &[]),
    ("PUT", "/v1/users/{id}", "Change a role, or close an account.", &[]),
    ("POST", "/v1/users/{id}/link", "A new link to set a password.", &[]),
    ("GET", "/v1/tokens", "Tokens and their scopes.", &[]),
    ("POST", "/v1/tokens", "Make a token; its secret is in this answer alone.", &[]),
    ("POST", "/v1/tokens/{id}/revoke", "Revoke a token.", &[]),
    ("POST", "/v1/decisions", "One page's request: an ad, or the reason for none, for each place.", &[]),
    ("OPTIONS", "/v1/decisions", "For pages of other origins.", &[]),
    ("POST", "/v1/decisions/batch", "Requests of several pages.", &[]),
    ("POST", "/v1/events", "What became of ads: impressions, viewable impressions, clicks.", &[]),
    ("OPTIONS", "/v1/events", "For pages of other origins.", &[]),
    ("GET", "/v1/click/{ticket}", "Count a click and go on to the landing page.", &[]),
    ("GET", "/v1/frames/{ticket}", "The creative of a decision, for a sandboxed frame.", &[]),
    ("POST", "/v1/conversions", "Report actions after clicks.", &[]),
    ("GET", "/v1/conversions/pixel.gif", "Report an action from a page, not authenticated.", &[]),
    ("GET", "/v1/embed", "A place as a frame, for pages that take no script.", &[]),
    ("GET", "/v1/noscript/image", "A place as a picture, for pages and mails without scripts.", &[]),
    ("GET", "/v1/noscript/click", "The click of such a picture.", &[]),
    ("GET", "/v1/noscript/notice", "The notice of such a picture's ad.", &[]),
];

/// What every kind of booking has: method, tail of the path, one line, query parameters.
const OF_KINDS: &[Operation] = &[
    (
        "GET",
        "",
        "A page of them.",
        &[
            ("limit", "rows of a page"),
            ("after", "the last id of the page before"),
            ("within", "only what stands in this thing"),
            ("status", "only with this status"),
        ],
    ),
    ("POST", "", "Book one; with a known external_id, edit that one.", &[]),
    ("GET", "/{id}", "One of them.", &[]),
    ("PUT", "/{id}", "Edit it: the whole new spec, with the revision that was read.", &[]),
    ("POST", "/{id}/status", "Switch it on or off, or put it away.", &[]),
];

/// The line of a route, if it has one.
pub fn operation(method: &str, path: &str) -> Option<Operation> {
    let own = OPERATIONS.iter().find(|(m, p, ..)| *m == method && *p == path);
    own.copied().or_else(|| {
        let rest = path.strip_prefix("/v1/")?;
        let kind = Kind::ALL.into_iter().find(|k| {
            rest.strip_prefix(k.plural()).is_some_and(|tail| tail.is_empty() || tail.starts_with('/'))
        })?;
        let tail = &rest[kind.plural().len()..];
        OF_KINDS.iter().find(|(m, t, ..)| *m == method && *t == tail).copied()
    })
}

fn access(access: Access) -> (Value, Value) {
    match access {
        Access::Public => (json!([]), json!("anybody")),
        Access::Signed { roles, scope } => {
            let mut ways = vec![json!({ "session": [] })];
            if let Some(scope) = scope {
                ways.push(json!({ "token": [scope] }));
            }
            (Value::Array(ways), json!({ "roles": roles, "token_scope": scope }))
        }
    }
}

fn parameters(path: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let text = json!({ "type": "string" });
    let mut all: Vec<Value> =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text })).collect();
    all.extend(
        query
            .iter()
            .map(|(name, what)| json!({ "name": name, "in": "query", "description": what, "schema": text })),
    );
    all
}

fn described(route: &Route) -> Value {
    let (_, _, summary, query) = operation(route.method.as_str(), route.path).unwrap_or(("", "", "", &[]));
    let (security, who) = access(route.access);
    let words: Vec<String> = route
        .path
        .trim_start_matches("/v1/")
        .split(['/', '-', '.'])
        .map(|w| w.trim_matches(['{', '}']).to_owned())
        .filter(|w| !w.is_empty())
        .collect();
    let mut told = json!({
        "operationId": format!("{}_{}", route.method.as_str().to_lowercase(), words.join("_")),
        "tags": [route.owner],
        "summary": summary,
        "parameters": parameters(route.path, query),
        "security": security,
        "x-who": who,
        "responses": {
            "2XX": { "description": "Done, or what was asked for." },
            "4XX": { "description": "Why not.", "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
        },
    });
    if route.method == Method::POST || route.method == Method::PUT {
        let kind = match route.path {
            "/v1/tables/{kind}" => "text/csv",
            "/v1/assets" => "application/octet-stream",
            _ => "application/json",
        };
        let schema = body_of(route)
            .map_or_else(|| json!({}), |name| json!({ "$ref": format!("#/components/schemas/{name}") }));
        told["requestBody"] = json!({ "content": { kind: { "schema": schema } } });
    }
    told
}

/// The schema that a route's body has, where it is a booking's.
fn body_of(route: &Route) -> Option<&'static str> {
    if route.path == "/v1/publisher" {
        return Some("Publisher");
    }
    let kind = Kind::ALL.into_iter().find(|kind| {
        let tail = route.path.strip_prefix("/v1/").and_then(|rest| rest.strip_prefix(kind.plural()));
        matches!((route.method.as_str(), tail), ("POST", Some("")) | ("PUT", Some("/{id}")))
    })?;
    Some(match kind {
        Kind::Site => "Site",
        Kind::Placement => "Placement",
        Kind::Segment => "Segment",
        Kind::Advertiser => "Advertiser",
        Kind::Party => "Party",
        Kind::Campaign => "Campaign",
        Kind::AdSet => "AdSet",
        Kind::Ad => "Ad",
        Kind::Version => "Version",
    })
}
/// What is booked, as its parser takes it; an edit may also name the `revision` that it was made on.
fn bookings() -> Map<String, Value> {
    use regie_model::booking::*;
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

/// The whole document.
pub fn whole() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes().iter().filter(|r| r.path.starts_with("/v1/")) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = described(route);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Regie", "version": env!("CARGO_PKG_VERSION"),
            "description": "Decisions, events, bookings, reports and money. Amounts are whole micros (10^-6) or nanos (10^-9) of a unit, named so. Ids are a kind's prefix and a number. The public record has its own document at /record/openapi.json.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "An API token; scopes stand with each operation." },
                "session": { "type": "apiKey", "in": "cookie", "name": "regie_session", "description": "A signed-in person; what changes anything also sends x-regie-csrf." },
            },
            "schemas": {
                "Problem": {
                    "type": "object", "description": "RFC 9457 problem details.", "required": ["type", "status", "code", "title"],
                    "properties": {
                        "type": { "type": "string" }, "status": { "type": "integer" },
                        "code": { "type": "string", "description": "Stable machine word." },
                        "title": { "type": "string" }, "detail": { "type": "string", "description": "What to do about it." },
                        "faults": { "type": "array", "items": { "type": "object", "properties": {
                            "field": { "type": "string", "description": "Path of the field in the request." },
                            "code": { "type": "string" }, "message": { "type": "string" },
                        } } },
                        "current_revision": { "type": "integer", "description": "For a conflict: the revision that it is at now." },
                    },
                },
            },
        },
    });
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(bookings());
    }
    document
}

async fn document() -> Response {
    static TEXT: OnceLock<Value> = OnceLock::new();
    let mut response = Json(TEXT.get_or_init(whole)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_under_v1_says_what_it_is_for_and_no_line_is_left_over() {
        let all: Vec<Route> = routes().into_iter().filter(|r| r.path.starts_with("/v1/")).collect();
        let silent: Vec<String> = all
            .iter()
            .filter(|r| operation(r.method.as_str(), r.path).is_none())
            .map(|r| format!("{} {}", r.method, r.path))
            .collect();
        assert!(silent.is_empty(), "add a line to OPERATIONS for each: {silent:?}");
        let stray: Vec<_> = OPERATIONS
            .iter()
            .filter(|(m, p, ..)| !all.iter().any(|r| r.method.as_str() == *m && r.path == *p))
            .map(|(m, p, ..)| format!("{m} {p}"))
            .collect();
        assert!(stray.is_empty(), "there is no such route: {stray:?}");
    }
    #[test]
    fn every_booking_has_its_schema_and_every_reference_leads_to_one() {
        let document = whole();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        let references: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(references.len(), 11, "{references:?}");
        for name in references {
            let schema = &schemas[name];
            assert!(schema["properties"].as_object().is_some_and(|p| p.len() > 2), "{name}: {schema}");
        }
        let post = &document["paths"]["/v1/campaigns"]["post"]["requestBody"]["content"]["application/json"]
            ["schema"];
        assert_eq!(post["$ref"], "#/components/schemas/Campaign");
    }
    #[test]
    fn operations_have_names_of_their_own_and_say_who_may() {
        let document = whole();
        let mut names = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, told) in methods.as_object().unwrap() {
                assert!(names.insert(told["operationId"].to_string()), "{method} {path}");
                assert!(
                    !told["x-who"].is_null() && !told["summary"].as_str().unwrap().is_empty(),
                    "{method} {path}"
                );
            }
        }
        let decisions = &document["paths"]["/v1/decisions"]["post"];
        assert_eq!(decisions["security"], json!([]), "anybody may ask for an ad");
    }
}
