//! Who may call what: the golden table of every route, and a call of each as nobody and as everybody.

use crate::common::{self, Client, Harness, ROLES, open_publisher, open_shop};
use axum::http::Method;
use regie::http::{Access, Route, routes};
use regie_model::booking::{Role, Scope};
use serde_json::json;

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}
fn access(access: Access) -> String {
    match access {
        Access::Public => "public".into(),
        Access::Signed { roles, scope } => {
            let mut all: Vec<String> = roles.iter().map(word).collect();
            all.extend(scope.map(|s| format!("token:{}", word(s))));
            all.join(",")
        }
    }
}

#[test]
fn the_table_of_endpoints_is_the_golden_one() {
    let mut rows: Vec<String> = routes()
        .iter()
        .map(|r| format!("{} {} {} {}", r.method, r.path, access(r.access), r.owner))
        .collect();
    rows.sort();
    let mut unique = rows.clone();
    unique.dedup();
    assert_eq!(unique, rows, "a route stands twice in the table");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/endpoints.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, rows.join("\n") + "\n").unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let golden: Vec<&str> = golden.lines().collect();
    let fresh: Vec<&String> = rows.iter().filter(|r| !golden.contains(&r.as_str())).collect();
    let gone: Vec<&&str> = golden.iter().filter(|g| !rows.iter().any(|r| r == *g)).collect();
    assert!(
        fresh.is_empty() && gone.is_empty(),
        "endpoints changed: look at who may call them, then run with UPDATE_GOLDEN=1\nnew: {fresh:#?}\ngone: {gone:#?}"
    );
}

/// A path with something in each of its places.
fn concrete(path: &str) -> String {
    path.replace("{id}", "cam_999")
        .replace("{*path}", "x")
        .split('/')
        .map(|p| if p.starts_with('{') { "x" } else { p })
        .collect::<Vec<_>>()
        .join("/")
}
fn call(client: &Client, route: &Route) -> common::Reply {
    let body: &[u8] = if route.method == Method::GET { b"" } else { b"{}" };
    let kind = (!body.is_empty()).then_some("application/json");
    client.send(route.method.as_str(), &concrete(route.path), kind, body)
}
fn is_page(path: &str) -> bool {
    path == "/console" || path.starts_with("/console/")
}

#[test]
fn nobody_gets_through_the_guard() {
    let harness = Harness::start();
    let stranger = harness.anonymous();
    let forged = harness.anonymous().with(
        "authorization",
        "Bearer rgt_1_0000000000000000000000000000000000000000000000000000000000000000",
    );
    let stale = harness
        .anonymous()
        .with("cookie", "regie_session=0000000000000000000000000000000000000000000000000000000000000000");
    let mut count = 0;
    for route in routes().iter().filter(|r| r.access != Access::Public) {
        count += 1;
        for client in [&stranger, &forged, &stale] {
            let reply = call(client, route);
            let what = format!("{} {}: {} {}", route.method, route.path, reply.status, reply.text());
            if is_page(route.path) {
                assert_eq!(reply.status, 303, "{what}");
                assert!(reply.header("location").starts_with("/console/sign-in?next="), "{what}");
            } else {
                assert_eq!(reply.status, 401, "{what}");
                assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
            }
        }
    }
    assert!(count > 60, "only {count} routes are guarded");
}

#[test]
fn each_role_gets_only_what_its_row_says() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let limit = shop.advertiser.parse().unwrap();
    for role in ROLES {
        let client = harness.user(role, (role == Role::Advertiser).then_some(limit));
        for route in routes() {
            let Access::Signed { roles, .. } = route.access else { continue };
            if route.path == "/console/sign-out" {
                continue;
            }
            let reply = call(&client, &route);
            let what = format!("{role:?} {} {}: {} {}", route.method, route.path, reply.status, reply.text());
            assert_ne!(reply.status, 401, "{what}");
            assert_ne!(reply.status, 500, "{what}");
            if roles.contains(&role) {
                let guarded = reply.text().contains("Your role is");
                assert!(!guarded, "{what}");
            } else {
                assert_eq!(reply.status, 403, "{what}");
            }
        }
    }
}

#[test]
fn each_scope_gets_only_what_its_row_says() {
    let harness = Harness::start();
    open_publisher(&harness.owner());
    for scope in [Scope::Read, Scope::Book, Scope::Operate, Scope::Conversions, Scope::Decide, Scope::Metrics]
    {
        let client = harness.token(&[scope], None);
        for route in routes() {
            let Access::Signed { scope: needed, .. } = route.access else { continue };
            let reply = call(&client, &route);
            let what =
                format!("{scope:?} {} {}: {} {}", route.method, route.path, reply.status, reply.text());
            if needed == Some(scope) {
                assert!(reply.status != 401 && !reply.text().contains("A token needs"), "{what}");
            } else {
                assert_eq!(reply.status, 403, "{what}");
            }
        }
    }
}

#[test]
fn a_browsers_change_needs_its_own_page_and_its_token() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let body = || json!({ "name": "Another", "origins": ["https://other.example"] });
    let refuse = |client: Client| client.post("/v1/sites", body()).expect(403);
    refuse(owner.clone().without("x-regie-csrf"));
    refuse(owner.clone().without("x-regie-csrf").with("x-regie-csrf", "00000000000000000000000000000000"));
    refuse(owner.clone().without("origin"));
    refuse(owner.clone().without("origin").with("origin", "https://evil.example"));
    refuse(owner.clone().with("sec-fetch-site", "cross-site"));
    refuse(owner.clone().with("sec-fetch-site", "same-site"));
    owner
        .clone()
        .without("origin")
        .with("sec-fetch-site", "same-origin")
        .post("/v1/sites", body())
        .expect(201);
    owner.post("/v1/sites", body()).expect(201);
    // A form carries the token as a field; a token of another session does not fit.
    let csrf = owner.headers.iter().find(|(n, _)| n == "x-regie-csrf").unwrap().1.clone();
    let bare = owner.clone().without("x-regie-csrf");
    bare.form("/console/account/totp/begin", &[("csrf", "wrong")]).expect(403);
    bare.form("/console/account/totp/begin", &[]).expect(403);
    bare.form("/console/account/totp/begin", &[("csrf", &csrf)]).expect(200);
    let other = harness.owner();
    let theirs = other.headers.iter().find(|(n, _)| n == "x-regie-csrf").unwrap().1.clone();
    bare.form("/console/account/totp/begin", &[("csrf", &theirs)]).expect(403);
    // Programs with tokens have no cookies to steal.
    harness
        .token(&[Scope::Book], None)
        .with("sec-fetch-site", "cross-site")
        .post("/v1/sites", body())
        .expect(201);
}

#[test]
fn an_upload_form_carries_the_token_too() {
    let harness = Harness::start();
    let owner = harness.owner();
    let csrf = owner.headers.iter().find(|(n, _)| n == "x-regie-csrf").unwrap().1.clone();
    let bare = owner.without("x-regie-csrf");
    let form = |token: &str| {
        let mut body = format!("--B\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{token}\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.gif\"\r\n\r\n").into_bytes();
        body.extend_from_slice(common::GIF);
        body.extend_from_slice(b"\r\n--B--\r\n");
        body
    };
    let kind = Some("multipart/form-data; boundary=B");
    bare.send("POST", "/v1/assets", kind, &form("wrong")).expect(403);
    let asset = bare.send("POST", "/v1/assets", kind, &form(&csrf)).expect(201).json();
    assert_eq!(asset["size"], json!({ "width": 300, "height": 250 }));
    // A raw body has no field for it.
    bare.send("POST", "/v1/assets", Some("image/gif"), common::GIF).expect(403);
}

#[test]
fn an_address_that_does_not_exist_is_a_problem_too() {
    let harness = Harness::start();
    let reply = harness.anonymous().get("/v1/nothing").expect(404);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    harness.anonymous().send("DELETE", "/v1/decisions", None, b"").expect(405);
}
