//! Conversions: the last valid click, its window, tokens and their limits, pixels, once per order.

use crate::{
    common::*,
    count::counts,
    scene::{Booking, Scene, problem},
};
use regie_model::{UtcMs, booking::Scope};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

fn cpa(name: &'static str, micros: i64) -> Booking {
    let bid = json!({ "kind": "cpa", "micros_per_conversion": micros, "action": "order" });
    Booking::cpm(name, 1).set(json!({ "bid": bid }))
}
fn order(ids: &[&str], order: &str) -> Value {
    json!({ "click_ids": ids, "action": "order", "order_id": order, "value_micros": 49_900_000 })
}
/// A click id of a ticket, as of some time ago.
fn clicked(scene: &Scene, sealed: &str, ago_ms: i64) -> String {
    let mut ticket = scene.open(sealed);
    let now = scene.harness.app.platform.now();
    ticket.issued_at = UtcMs(now.0 - ago_ms - 1_000);
    scene.harness.app.platform.click_id(&ticket, UtcMs(now.0 - ago_ms))
}

#[test]
fn the_last_valid_click_counts_within_seven_days_once_per_order() {
    let scene = Scene::start();
    let first = scene.book(&cpa("First", 2_000_000));
    let (one, two) = (scene.ticket(), scene.ticket());
    let price = scene.open(&one).price_nanos;
    assert!((1..=2_000_000_000).contains(&price), "{price}");
    let shop = scene.harness.token(&[Scope::Conversions], None);
    let post = |body: Value| shop.post("/v1/conversions", body);
    let (early, late) = (clicked(&scene, &one, 3 * DAY_MS), clicked(&scene, &two, DAY_MS));
    let reply = post(order(&["junk", &late, &early, "more junk"], "A1")).expect(202).json();
    assert!(reply["position"].as_u64().is_some_and(|p| p > 0));
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [1, price]);
    // Again, in whatever order: the same click, action and order count once.
    post(order(&[&late], "A1")).expect(202);
    post(order(&[&early, &late], "A1")).expect(202);
    assert_eq!(scene.refused("conversion", "duplicate"), 2);
    // The earlier click is another ticket, another order another conversion; another action is counted, not billed.
    post(order(&[&late], "A2")).expect(202);
    post(order(&[&early], "A3")).expect(202);
    let mut other = order(&[&late], "A2");
    other["action"] = "signup".into();
    post(other).expect(202);
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [4, 3 * price]);
    // Seven days and not a minute more.
    post(order(&[&clicked(&scene, &one, 7 * DAY_MS - 60_000)], "B1")).expect(202);
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [5, 4 * price]);
    post(order(&[&clicked(&scene, &one, 7 * DAY_MS + 60_000)], "B2")).expect(202);
    assert_eq!(scene.refused("conversion", "late"), 1);
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [5, 4 * price]);
}

#[test]
fn bad_reports_are_refused() {
    let scene = Scene::start();
    let first = scene.book(&cpa("First", 2_000_000));
    let id = scene.click_id(&scene.ticket());
    let shop = scene.harness.token(&[Scope::Conversions], None);
    let mut forged = id.clone().into_bytes();
    forged[50] = if forged[50] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let ticket = scene.ticket();
    for (body, code) in [
        (order(&[], "A"), "malformed"),
        (order(&["junk"], "A"), "malformed"),
        (order(&[&ticket], "A"), "malformed"),
        (order(&[&forged], "A"), "forged"),
        (order(&[id.as_str(); 9], "A"), "bad_request"),
        (order(&[&id], ""), "bad_request"),
        (json!({ "click_ids": [id], "order_id": "A" }), "bad_request"),
        (json!({ "click_ids": [id], "order_id": "A", "action": "order", "price": 1 }), "bad_request"),
    ] {
        assert_eq!(problem(&shop.post("/v1/conversions", body.clone()), 400), code, "{body}");
    }
    let mut negative = order(&[&id], "A");
    negative["value_micros"] = json!(-1);
    assert_eq!(problem(&shop.post("/v1/conversions", negative), 400), "bad_request");
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [0, 0]);
    for query in [
        "",
        "?click_id=x",
        "?click_id=x&action=order&order_id=A",
        &format!("?click_id={forged}&action=order&order_id=A"),
    ] {
        problem(&scene.harness.anonymous().get(&format!("/v1/conversions/pixel.gif{query}")), 400);
    }
}

#[test]
fn tokens_are_scoped_and_limited_to_their_advertiser() {
    let scene = Scene::start();
    let first = scene.book(&cpa("First", 2_000_000));
    let id = scene.click_id(&scene.ticket());
    let other = create(&scene.owner, "/v1/advertisers", advertiser("Other"));
    let harness = &scene.harness;
    problem(&harness.anonymous().post("/v1/conversions", order(&[&id], "A")), 401);
    problem(&scene.owner.post("/v1/conversions", order(&[&id], "A")), 403);
    let wrong = harness.token(&[Scope::Read, Scope::Book, Scope::Operate, Scope::Decide], None);
    problem(&wrong.post("/v1/conversions", order(&[&id], "A")), 403);
    let theirs = harness.token(&[Scope::Conversions], Some(other.parse().unwrap()));
    problem(&theirs.post("/v1/conversions", order(&[&id], "A")), 403);
    assert_eq!(counts(&scene.of(&first.ad_set))[3..], [0, 0]);
    let own = harness.token(&[Scope::Conversions], Some(first.advertiser.parse().unwrap()));
    own.post("/v1/conversions", order(&[&id], "A")).expect(202);
    assert_eq!(counts(&scene.of(&first.ad_set))[3], 1);
}

#[test]
fn of_several_clicks_a_limited_token_may_only_name_its_own() {
    let scene = Scene::start();
    let first = scene.book(&cpa("First", 2_000_000));
    let mine = clicked(&scene, &scene.ticket(), 60_000);
    let path = format!("/v1/ad-sets/{}/status", first.ad_set);
    scene.owner.post(&path, json!({ "status": "paused" })).expect(200);
    scene.book(&cpa("Second", 2_000_000));
    let theirs = scene.click_id(&scene.ticket());
    let own = scene.harness.token(&[Scope::Conversions], Some(first.advertiser.parse().unwrap()));
    problem(&own.post("/v1/conversions", order(&[&theirs], "A")), 403);
    // A shop that keeps every click id it was sent reports them all: of these, its own count.
    own.post("/v1/conversions", order(&[&mine, &theirs], "A")).expect(202);
    assert_eq!(counts(&scene.of(&first.ad_set))[3], 1);
}

#[test]
fn pixels_bill_only_where_accepted_and_up_to_the_daily_cap() {
    let scene = Scene::start();
    let pixel = |id: &str, order: &str| {
        let path =
            format!("/v1/conversions/pixel.gif?click_id={id}&action=order&order_id={order}&value_micros=5");
        let reply = scene.harness.anonymous().get(&path).expect(200);
        assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("image/gif", "no-store"));
        assert!(reply.body.starts_with(b"GIF89a"));
    };
    let plain = scene.book(&cpa("Plain", 2_000_000));
    let ticket = scene.ticket();
    let price = scene.open(&ticket).price_nanos;
    let id = scene.click_id(&ticket);
    pixel(&id, "A1");
    let row = scene.of(&plain.ad_set);
    assert_eq!(
        (counts(&row)[3..].to_vec(), &row["free_nanos"]),
        (vec![1, 0], &json!(price)),
        "not accepted: counted, free"
    );
    // The shop's server says the same order: it is the same order.
    let shop = scene.harness.token(&[Scope::Conversions], None);
    shop.post("/v1/conversions", order(&[&id], "A1")).expect(202);
    assert_eq!(scene.refused("conversion", "duplicate"), 1);
    let path = format!("/v1/ad-sets/{}/status", plain.ad_set);
    scene.owner.post(&path, json!({ "status": "paused" })).expect(200);
    let accepts = cpa("Accepts", 2_000_000).account(json!({ "pixel_conversions": { "daily_count_max": 2 } }));
    let shop_of = scene.book(&accepts);
    let ticket = scene.ticket();
    let (price, id) = (scene.open(&ticket).price_nanos, scene.click_id(&ticket));
    for number in 0..5 {
        pixel(&id, &format!("B{number}"));
    }
    let row = scene.of(&shop_of.ad_set);
    assert_eq!((counts(&row)[3..].to_vec(), &row["free_nanos"]), (vec![5, 2 * price], &json!(3 * price)));
    // A report by the server is not capped.
    shop.post("/v1/conversions", order(&[&id], "C1")).expect(202);
    assert_eq!(counts(&scene.of(&shop_of.ad_set))[3..], [6, 3 * price]);
}
