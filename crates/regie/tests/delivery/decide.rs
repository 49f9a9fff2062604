//! `POST /v1/decisions`: several places, batches, every refusal as problem details, origins, explanations.

use crate::{
    common::*,
    scene::{Booking, Scene, problem},
};
use regie_model::booking::{Role, Scope};
use serde_json::{Value, json};

#[test]
fn several_places_are_answered_in_order_each_for_itself() {
    let scene = Scene::start();
    create(&scene.owner, "/v1/placements", placement(&scene.site, "side"));
    let text = json!({ "site": scene.site, "name": "foot", "format": { "kind": "text" }, "fallback_html": "<p>Our newsletter</p>",
        "behaviour": { "lazy": true, "refresh_s": 60 } });
    create(&scene.owner, "/v1/placements", text);
    let first = scene.book(&Booking::cpm("First", 3_000_000));
    let second = scene.book(&Booking::cpm("Second", 1_000_000));
    let other =
        create(&scene.owner, "/v1/sites", json!({ "name": "Other", "origins": ["https://other.example"] }));
    let elsewhere = create(&scene.owner, "/v1/placements", placement(&other, "front-top"));
    scene.settle();
    let places = json!([{ "name": "front-top" }, { "name": "side" }, { "name": "foot" }, { "id": "plc_999" }, { "id": elsewhere }]);
    let reply =
        scene.harness.anonymous().post("/v1/decisions", scene.request(json!({ "placements": places })));
    assert_eq!(reply.header("cache-control"), "no-store");
    let slots = reply.expect(200).json()["decisions"].clone();
    assert_eq!(slots[0]["ad"]["ad_set"], json!(first.ad_set), "{slots}");
    assert_eq!(
        slots[1]["ad"]["ad_set"],
        json!(second.ad_set),
        "an advertiser is shown once in a request: {slots}"
    );
    assert_ne!(slots[0]["ad"]["ticket"], slots[1]["ad"]["ticket"]);
    assert_eq!(slots[2]["no_fill"], "wrong_format", "{slots}");
    assert_eq!(slots[2]["fallback_html"], "<p>Our newsletter</p>");
    assert_eq!(slots[2]["behaviour"], json!({ "lazy": true, "refresh_s": 60, "single_page": false }));
    assert_eq!(slots[3]["no_fill"], "unknown_placement", "{slots}");
    assert_eq!(slots[4]["no_fill"], "other_site", "{slots}");
    let ad = &slots[0]["ad"];
    assert_eq!((&ad["kind"], &ad["width"], &ad["height"]), (&json!("html"), &json!(300), &json!(250)));
    assert_eq!(
        (&ad["label"]["text"], &ad["label"]["payer"]),
        (&json!("Advertisement"), &json!("paid for by First"))
    );
}

#[test]
fn a_batch_answers_each_request() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 3_000_000));
    let anonymous = scene.harness.anonymous();
    let one = scene.request(json!({}));
    let reply = anonymous
        .post("/v1/decisions/batch", json!({ "requests": vec![one.clone(); 64] }))
        .expect(200)
        .json();
    let answers = reply["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 64);
    let mut tickets: Vec<&str> =
        answers.iter().map(|a| a["decisions"][0]["ad"]["ticket"].as_str().unwrap()).collect();
    tickets.sort_unstable();
    tickets.dedup();
    assert_eq!(tickets.len(), 64, "each decision has a ticket of its own");
    assert_eq!(
        anonymous.post("/v1/decisions/batch", json!({ "requests": [] })).expect(200).json()["answers"],
        json!([])
    );
    let many = anonymous.post("/v1/decisions/batch", json!({ "requests": vec![one.clone(); 65] }));
    assert_eq!(problem(&many, 400), "bad_request");
    assert!(many.text().contains("64") && many.text().contains("65"), "{}", many.text());
    // One bad request is refused with its number, and none of the others is answered.
    let bad = scene.request(json!({ "placements": [{ "name": "nowhere" }] }));
    let mixed = anonymous.post("/v1/decisions/batch", json!({ "requests": [one.clone(), bad] }));
    assert_eq!(problem(&mixed, 400), "bad_request");
    assert!(mixed.text().contains("requests[1]"), "{}", mixed.text());
    let facts = scene.request(json!({ "visitor": { "device": "phone" } }));
    assert_eq!(
        problem(&anonymous.post("/v1/decisions/batch", json!({ "requests": [one, facts] })), 403),
        "forbidden"
    );
    let served = scene.figures("by=campaign")["totals"][0]["served_count"].clone();
    assert_eq!(served, 64, "what was refused as a whole served nothing");
}

#[test]
fn bad_requests_are_refused_as_problems() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 3_000_000));
    let anonymous = scene.harness.anonymous();
    let post = |path: &str, body: &[u8]| anonymous.send("POST", path, Some("application/json"), body);
    let long = "x".repeat(70_000);
    let good = scene.request(json!({}));
    let over = |more: Value| scene.request(more).to_string();
    let cases: [(&str, String, u16, &str); 14] = [
        ("unknown name", over(json!({ "placements": [{ "name": "nowhere" }] })), 400, "nowhere"),
        ("no places", over(json!({ "placements": [] })), 400, "1 to 16"),
        ("17 places", over(json!({ "placements": vec![json!({ "name": "front-top" }); 17] })), 400, "17"),
        ("a place without a name", over(json!({ "placements": [{}] })), 400, ""),
        ("a large body", over(json!({ "page": { "url": long } })), 413, "65536"),
        ("half a body", good.to_string()[..20].to_owned(), 400, ""),
        ("no body", String::new(), 400, ""),
        ("not JSON", "placement=front-top".into(), 400, ""),
        ("an unknown field", over(json!({ "plcements": [] })), 400, "plcements"),
        ("a wrong type", over(json!({ "segments": "seg_1" })), 400, ""),
        ("a wrong id", over(json!({ "site": "plc_1" })), 400, ""),
        ("no such site", over(json!({ "site": "site_99" })), 400, "site_99"),
        ("a lone surrogate", r#"{"site":"site_1","placements":[{"name":"\ud800"}]}"#.into(), 400, ""),
        ("depth", "[".repeat(5_000), 400, ""),
    ];
    for (what, body, status, word) in cases {
        let reply = post("/v1/decisions", body.as_bytes());
        problem(&reply, status);
        assert!(reply.text().contains(word), "{what}: {}", reply.text());
    }
    problem(&post("/v1/decisions", b"\xff\xfe{}"), 400);
    problem(&post("/v1/decisions/batch", &vec![b'x'; 1_100_000]), 413);
    problem(&post("/v1/decisions/batch", &vec![b'x'; 1_900_000]), 413);
    problem(&post("/v1/decisions?explain=yes", good.to_string().as_bytes()), 400);
    problem(&anonymous.get("/v1/decisions"), 405);
    problem(&anonymous.get("/v1/decision"), 404);
    for path in ["/v1/events", "/v1/decisions", "/v1/decisions/batch"] {
        problem(&post(path, b"null"), 400);
        problem(&post(path, b"{}"), 400);
    }
    let many = json!({ "events": vec![json!({ "kind": "click", "ticket": "x" }); 65] });
    assert!(anonymous.post("/v1/events", many).expect(400).text().contains("65"));
    problem(&post("/v1/events", &vec![b' '; 70_000]), 413);
    // A name far too long is not echoed whole.
    let name = "n".repeat(20_000);
    assert!(
        post("/v1/decisions", over(json!({ "placements": [{ "name": name }] })).as_bytes()).body.len()
            < 1_000
    );
}

#[test]
fn more_page_facts_than_fit_are_cut_not_refused() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 3_000_000));
    let words: Vec<String> = (0..500).map(|n| format!("word-{n}")).collect();
    let pairs: serde_json::Map<String, Value> = (0..200).map(|n| (format!("k{n}"), json!(["v"]))).collect();
    let page =
        json!({ "url": "https://gazette.example/", "keywords": words, "topics": words, "key_values": pairs });
    assert_eq!(scene.shown(json!({ "page": page })), Some(shop.ad_set));
}

#[test]
fn only_the_sites_origins_may_read_the_answer() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 3_000_000));
    let other = json!({ "name": "Other", "origins": ["https://other.example"] });
    create(&scene.owner, "/v1/sites", other);
    scene.settle();
    let from = |origin: &str| scene.harness.anonymous().with("origin", origin);
    let allowed = |reply: &Reply| reply.header("access-control-allow-origin").to_owned();
    for (origin, want) in [
        ("https://gazette.example", "https://gazette.example"),
        // Of another site of the same publisher, of nobody, and nearly right.
        ("https://other.example", ""),
        ("https://evil.example", ""),
        ("http://gazette.example", ""),
        ("https://gazette.example.evil.example", ""),
        ("null", ""),
    ] {
        let reply = from(origin).post("/v1/decisions", scene.request(json!({})));
        assert_eq!(allowed(&reply), want, "{origin}");
        assert_eq!(reply.header("vary"), "origin");
        assert_eq!(reply.header("access-control-allow-credentials"), "");
        let asked = from(origin).with("access-control-request-method", "POST");
        let preflight = asked.send("OPTIONS", "/v1/decisions", None, b"").expect(204);
        // Before the request is sent, its site is not known: any site's origin may ask.
        let any = if origin == "https://other.example" { origin } else { want };
        assert_eq!(allowed(&preflight), any, "{origin}");
    }
    let beacon = json!({ "events": [{ "kind": "impression", "ticket": scene.ticket() }] });
    assert_eq!(
        allowed(&from("https://gazette.example").post("/v1/events", beacon.clone())),
        "https://gazette.example"
    );
    assert_eq!(allowed(&from("https://evil.example").post("/v1/events", beacon)), "");
}

#[test]
fn a_refusal_can_be_read_by_the_page_that_asked() {
    let scene = Scene::start();
    let from = scene.harness.anonymous().with("origin", "https://gazette.example");
    let reply = from.post("/v1/decisions", scene.request(json!({ "placements": [{ "name": "nowhere" }] })));
    problem(&reply, 400);
    assert_eq!(reply.header("access-control-allow-origin"), "https://gazette.example");
}

#[test]
fn facts_about_the_visitor_need_a_token_with_the_scope_decide() {
    let scene = Scene::start();
    let clause = json!([{ "dimension": "device", "op": "in", "values": ["tv"] }]);
    let shop = scene.book(&Booking::cpm("First", 3_000_000).targeting(clause));
    let ask = scene.request(json!({ "visitor": { "device": "tv" } }));
    assert_eq!(problem(&scene.harness.anonymous().post("/v1/decisions", ask.clone()), 403), "forbidden");
    let wrong = scene.harness.token(&[Scope::Read, Scope::Book, Scope::Operate, Scope::Conversions], None);
    assert_eq!(problem(&wrong.post("/v1/decisions", ask.clone()), 403), "forbidden");
    assert_eq!(problem(&scene.owner.post("/v1/decisions", ask.clone()), 403), "forbidden");
    let right = scene.decider().post("/v1/decisions", ask).expect(200).json();
    assert_eq!(right["decisions"][0]["ad"]["ad_set"], json!(shop.ad_set));
    let odd = scene.request(json!({ "visitor": { "device": "toaster" } }));
    let reply = scene.decider().post("/v1/decisions", odd);
    problem(&reply, 400);
    assert!(reply.text().contains("desktop, phone, tablet, tv"), "{}", reply.text());
}

#[test]
fn explanations_are_for_operators_and_count_nothing() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 3_000_000));
    let hidden = scene.book_unapproved(&Booking::cpm("Waiting", 9_000_000));
    scene.settle();
    let path = "/v1/decisions?explain=1";
    let ask = scene.request(json!({}));
    problem(&scene.harness.anonymous().post(path, ask.clone()), 401);
    let advertiser = scene.harness.user(Role::Advertiser, Some(shop.advertiser.parse().unwrap()));
    problem(&advertiser.post(path, ask.clone()), 403);
    let limited = scene.harness.token(&[Scope::Read], Some(shop.advertiser.parse().unwrap()));
    problem(&limited.post(path, ask.clone()), 403);
    let decider = scene.harness.token(&[Scope::Decide], None);
    problem(&decider.post(path, ask.clone()), 403);
    let reader = scene.harness.token(&[Scope::Read], None);
    reader.post(path, ask.clone()).expect(200);
    for role in [Role::Owner, Role::AdOperations] {
        let reply = scene.harness.user(role, None).post(path, ask.clone()).expect(200);
        let text = reply.text();
        assert!(!text.contains("\"ticket\""), "nothing is served: {text}");
        let sets = reply.json()["placements"][0]["ad_sets"].clone();
        let of = |id: &str| {
            let found = sets.as_array().unwrap().iter().find(|s| s["ad_set"] == id);
            found.unwrap_or_else(|| panic!("{id} in {sets}")).clone()
        };
        assert!(of(&hidden.ad_set)["sentence"].as_str().unwrap().contains("approved"), "{sets}");
        assert!(of(&shop.ad_set)["sentence"].as_str().is_some_and(|s| !s.is_empty()), "{sets}");
    }
    let report = scene.figures("by=ad_set");
    assert_eq!(report["rows"], json!([]), "nothing was counted: {report}");
    let draws = scene.harness.app.platform.gate.draws();
    let held: i64 = draws.iter().map(|(_, d)| d).flat_map(|d| d.budgets.iter().map(|b| b.held_nanos())).sum();
    assert_eq!(held, 0, "nothing is held");
}
