//! Every route of the table, as nobody, as the owner and as a program: empty, huge, deep, broken and misaddressed requests.

use crate::{
    common::{Client, Harness, create, open_publisher, open_shop},
    wire::{Answer, ask, panics, request},
};
use axum::http::Method;
use regie::http::{Route, routes};
use regie_model::booking::Scope;
use serde_json::json;

const SCOPES: [Scope; 6] =
    [Scope::Read, Scope::Book, Scope::Operate, Scope::Conversions, Scope::Decide, Scope::Metrics];
const JSON: &str = "content-type: application/json\r\n";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const QUERY: &str = "%ff%fe=%00&&&==&limit=99999999999999999999&limit=-1&from=9999-99-99&until=x&by[]=%F0%9F&explain=256\
    &site=site_99999999999&placement=%22&format=exe&page=-1&after=zzz&ticket=%00&click_id=..&next=//elsewhere.example";

const STRANGE: &str = "content-type: é\r\ncookie: é;=;regie_session\r\norigin: é\r\nrange: bytes=9-1\r\n\
    if-none-match: *\"é\r\nif-match: é\r\naccept-language: ,;q=é\r\nuser-agent: é\r\nx-forwarded-for: é, ,1.2.3\r\n";

/// One way to be hostile: its name and the bytes of the request.
type Case = (&'static str, Vec<u8>);

/// A path with `filling` in each of its places.
fn filled(path: &str, filling: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { filling } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn cases(client: &Client, route: &Route, huge: &[u8], deep: &[u8]) -> Vec<Case> {
    let (method, path) = (route.method.as_str(), filled(route.path, "cam_999"));
    let of = |headers: &str, body: &[u8]| request(client, method, &path, headers, body);
    let to = |target: String| request(client, method, &target, JSON, b"{}");
    let separator = if route.path.contains('{') { "" } else { "/" };
    let flood: String = (0..500).map(|n| format!("x-flood-{n}: {n}\r\n")).collect();
    let fat = format!("x-fat: {}\r\n", "a".repeat(200_000));
    let wrong = if route.method == Method::GET { "DELETE" } else { "PATCH" };
    vec![
        ("empty", of(JSON, b"")),
        ("no JSON", of(JSON, b"{\"name\": nonsense")),
        ("null", of(JSON, b"null")),
        (
            "wrong types",
            of(JSON, br#"{"site":[],"placements":{},"events":7,"spec":"x","commands":null,"id":1e999}"#),
        ),
        ("deep", of(JSON, deep)),
        ("huge", of(JSON, huge)),
        ("no type", of("", b"{}")),
        ("wrong type", of("content-type: text/plain; charset=é\r\n", b"{}")),
        ("form without its boundary", of("content-type: multipart/form-data\r\n", b"--x\r\n")),
        (
            "form that breaks off",
            of("content-type: multipart/form-data; boundary=x\r\n", b"--x\r\nContent-Disp"),
        ),
        ("no UTF-8", of(JSON, b"{\"name\":\"\xff\xfe\xc0\x80\"}")),
        ("form of no UTF-8", of(FORM, b"name=%ff%fe&id=%00&=&&%zz")),
        ("long segment", to(filled(route.path, &"a".repeat(20_000)) + separator)),
        ("strange segment", to(filled(route.path, "%ff%00%2e%2e%2f%F0%9F"))),
        ("segment of another kind", to(filled(route.path, "set_99999999999999999999"))),
        ("query", to(format!("{path}?{QUERY}"))),
        ("long query", to(format!("{path}?{}", "a=b&".repeat(8_000)))),
        ("many headers", of(&flood, b"{}")),
        ("fat header", of(&fat, b"{}")),
        ("strange headers", of(STRANGE, b"{}")),
        ("control characters in a header", of("x-a: \x01\x7f\r\n", b"{}")),
        ("wrong method", request(client, wrong, &path, JSON, b"{}")),
        ("invented method", request(client, "BREW", &path, JSON, b"{}")),
    ]
}

/// Pages for people may refuse in HTML.
fn is_for_people(path: &str) -> bool {
    [
        "/console",
        "/record",
        "/study",
        "/v1/embed",
        "/v1/frames/",
        "/v1/previews/",
        "/v1/noscript/",
        "/v1/click/",
    ]
    .iter()
    .any(|start| path.starts_with(start))
}

/// What is wrong with an answer, if anything is.
fn fault(route: &Route, case: &str, answer: &Answer) -> Option<String> {
    // Beyond what is read of a request's head: hyper's own refusal, without a body.
    let head = ["many headers", "fat header", "control characters in a header"].contains(&case);
    match answer.status {
        0 => Some("no answer".into()),
        400 | 414 | 431 if head && answer.body.is_empty() => None,
        500.. => Some("a failure of the server".into()),
        400.. if answer.kind.starts_with("text/html") && is_for_people(route.path) => None,
        400.. => answer.is_no_problem(),
        _ => None,
    }
}

/// An ad that is shown: a decision finds it, before and after.
fn open(harness: &Harness, owner: &Client) -> serde_json::Value {
    let (site, placement) = open_publisher(owner);
    let shop = open_shop(owner, "Bicycle Works");
    owner
        .post(
            &format!("/v1/advertisers/{}/deposits", shop.advertiser),
            json!({ "amount_micros": 1_000_000_000 }),
        )
        .expect(201);
    let review = json!({ "ads": [shop.ad], "versions": [shop.version], "verdict": "approved" });
    owner.post("/v1/reviews", review).expect(200);
    let body = json!({ "site": site, "placements": [{ "id": placement }] });
    harness.wait_for("an ad", || is_shown(&harness.anonymous(), &body));
    body
}
fn is_shown(client: &Client, body: &serde_json::Value) -> bool {
    let reply = client.post("/v1/decisions", body.clone()).expect(200).json();
    reply["decisions"][0]["ad"]["ticket"].is_string()
}

#[test]
fn every_route_answers_hostile_requests_in_words() {
    let before = panics();
    let harness = Harness::start();
    let owner = harness.owner();
    let asked = open(&harness, &owner);
    let huge = [b"\"", &[b'a'; 10 << 20][..], b"\""].concat();
    let deep = [b"{\"a\":[".repeat(10_000), b"]}".repeat(10_000)].concat();
    let callers = [
        ("nobody", harness.anonymous()),
        ("owner", owner.clone()),
        ("program", harness.token(&SCOPES, None)),
    ];
    let (mut count, mut faults) = (0, Vec::new());
    for route in routes() {
        // Whoever signs out is nobody afterwards.
        let leaving = (route.path == "/console/sign-out").then(|| harness.owner());
        for (who, client) in &callers {
            let client = leaving.as_ref().filter(|_| *who == "owner").unwrap_or(client);
            for (case, bytes) in cases(client, &route, &huge, &deep) {
                count += 1;
                let answer = ask(&harness.url, &bytes);
                if let Some(fault) = fault(&route, case, &answer) {
                    let (method, path, status) = (&route.method, route.path, answer.status);
                    faults
                        .push(format!("{method} {path}, {who}, {case}: {fault}: {status} {}", answer.text()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {count} requests:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(panics(), before, "a panic behind an answer");
    harness.anonymous().get("/health").expect(200);
    harness.anonymous().get("/ready").expect(200);
    assert!(is_shown(&harness.anonymous(), &asked), "the ad is not shown any more");
    create(&owner, "/v1/sites", json!({ "name": "Another", "origins": ["https://another.example"] }));
}
