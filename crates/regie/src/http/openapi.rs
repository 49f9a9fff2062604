//! `GET /v1/openapi.json`: every route under `/v1` as one OpenAPI document, made from the table of routes itself.
//!
//! What a route is for stands in [`OPERATIONS`]; one without a line fails the test. Who may call it comes from its access,
//! so that the document cannot say otherwise than the guard. Refuses to describe the public record, which has its own
//! document at `/record/openapi.json`.

mod bodies;
mod operations;
mod schema;

use self::{
    bodies::Body,
    operations::{OF_KINDS, OPERATIONS, Operation},
};
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
    match bodies::of(route) {
        Some(Body::Schema(name)) => {
            let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
            told["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        Some(Body::Media(kind)) => {
            told["requestBody"] = json!({ "required": true, "content": { kind: { "schema": {} } } })
        }
        Some(Body::Empty) | None => {}
    }
    told
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
            "description": "Decisions, events, bookings, reports and money. Amounts are whole micros (10^-6) or nanos (10^-9) of a unit, named so. Ids are a kind's prefix and a number. Sentences for people (titles, details, messages of faults) are in the language of Accept-Language, English or French; codes never change. The public record is also under /v1/record; its own document, for those who read nothing else, is /record/openapi.json.",
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
        schemas.extend(bodies::schemas());
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
        assert_eq!(references.len(), 30, "{references:?}");
        for name in references {
            let schema = &schemas[name];
            assert!(schema["properties"].as_object().is_some_and(|p| !p.is_empty()), "{name}: {schema}");
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
