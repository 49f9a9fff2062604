//! The tag's routes over HTTP, on the demo's own bookings: the script, the iframe, the picture without a script; and
//! that the demo's bookings are whole (every tier and kind of bid, declared politics, everything approved).

use crate::common::{Harness, Reply};
use regie::demo::{bookings, desk::Desk};
use regie_model::booking::{Bid, TierKind};
use serde_json::{Value, json};

/// A server with the demo booked.
fn demo() -> Harness {
    let harness = Harness::start();
    let desk = Desk::new(harness.app.platform.clone(), harness.url.clone());
    bookings::book(&desk, vec![harness.url.clone()]).unwrap();
    harness.wait_for("the bookings", || {
        let view = harness.app.platform.current_view();
        view.ads.len() == harness.app.platform.catalogue().ads.len() && !view.placements.is_empty()
    });
    harness
}
fn decide(harness: &Harness, places: &[&str], page: &Value) -> Vec<Value> {
    let places: Vec<Value> = places.iter().map(|name| json!({ "name": name })).collect();
    let body = json!({ "site": "site_1", "placements": places, "page": page });
    let reply = harness.anonymous().post("/v1/decisions", body).expect(200);
    reply.json()["decisions"].as_array().cloned().unwrap()
}
/// Events of all ads as the ledger has counted them: impressions, clicks.
fn counted(harness: &Harness) -> (u64, u64) {
    let folds = harness.app.platform.folds();
    folds.ledger.ads().fold((0, 0), |(i, c), (_, n)| (i + n.impressions_count, c + n.clicks_count))
}
#[track_caller]
fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 302, "{}", reply.text());
    reply.header("location")
}

#[test]
fn the_script_revalidates_and_travels_packed() {
    let harness = Harness::start();
    let plain = harness.anonymous().get("/regie.js").expect(200);
    assert!(
        plain.text().contains("localStorage") && !plain.text().contains("// An ad must"),
        "without comments"
    );
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(plain.header("access-control-allow-origin"), "*");
    assert_eq!(plain.header("set-cookie"), "");
    let again = harness.anonymous().with("if-none-match", plain.header("etag")).get("/regie.js").expect(304);
    assert!(again.body.is_empty());
    let packed = harness.anonymous().with("accept-encoding", "gzip, br").get("/regie.js").expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < 6 * 1024, "{} bytes", packed.body.len());
}

#[test]
fn the_demo_has_every_tier_and_bid_and_nothing_waits() {
    let harness = demo();
    let catalogue = harness.app.platform.catalogue();
    let tiers: Vec<TierKind> = catalogue.ad_sets.values().map(|s| s.spec.tier.kind()).collect();
    for tier in [TierKind::Sponsorship, TierKind::Guaranteed, TierKind::Auction, TierKind::House] {
        assert!(tiers.contains(&tier), "{tier:?}");
    }
    let has = |test: fn(&Bid) -> bool| catalogue.ad_sets.values().any(|s| test(&s.spec.bid));
    assert!(has(|b| matches!(b, Bid::Cpm { .. })) && has(|b| matches!(b, Bid::Cpc { .. })));
    assert!(
        has(|b| matches!(b, Bid::Cpa { .. }))
            && has(|b| matches!(b, Bid::FlatFee { .. }))
            && has(|b| matches!(b, Bid::Free))
    );
    assert_eq!(catalogue.campaigns.values().filter(|c| c.spec.political.is_some()).count(), 3);
    assert!(catalogue.ads.values().all(|ad| ad.approved.is_some()));
    let appeals = bookings::appeals(&catalogue);
    assert_eq!(appeals.len(), catalogue.ads.len());
    drop(catalogue);
    let front = json!({ "key_values": { "section": ["front"] } });
    for slot in decide(&harness, &["top", "billboard", "side", "native", "text"], &front) {
        assert!(slot["ad"]["label"]["sponsor"].is_string(), "{slot}");
    }
    // Moved to another port, the landing pages move along and stay approved.
    let desk = Desk::new(harness.app.platform.clone(), "http://localhost:1".into());
    bookings::move_to(&desk, vec!["http://localhost:1".into()]).unwrap();
    let catalogue = harness.app.platform.catalogue();
    let moved = |ad: &regie_model::catalogue::AdState| {
        ad.approved.as_ref().is_some_and(|a| a.landing_url.starts_with("http://localhost:1/demo/at/"))
    };
    assert!(catalogue.ads.values().all(moved));
}

#[test]
fn the_iframe_may_stand_on_the_sites_own_pages_only() {
    let harness = demo();
    let page = harness
        .anonymous()
        .with("referer", "https://gazette.example/a?mail=x")
        .get("/v1/embed?site=site_1&placement=side&topics=news")
        .expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("frame-ancestors 'self' {}", harness.url)), "{policy}");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
    let text = page.text();
    assert!(
        text.contains("data-regie-placement=\"side\"") && text.contains("data-regie-topics=\"news\""),
        "{text}"
    );
    assert!(text.contains("data-regie-url=\"https://gazette.example/a\""), "without the query: {text}");
    harness.anonymous().get("/v1/embed?site=site_9&placement=side").expect(404);
    let hostile = harness
        .anonymous()
        .get("/v1/embed?site=site_1&placement=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        .expect(200);
    assert!(!hostile.text().contains("<script>alert"), "{}", hostile.text());
}

#[test]
fn picture_and_link_share_one_decision_and_count_once() {
    let harness = demo();
    let client = harness.anonymous();
    let query = "site=site_1&placement=side&n=abc123";
    let picture = client.get(&format!("/v1/noscript/image?{query}"));
    let asset = location(&picture).to_owned();
    assert!(asset.starts_with("/v1/assets/"), "{asset}");
    assert_eq!(client.get(&asset).expect(200).header("content-type"), "image/png");
    assert_eq!(location(&client.get(&format!("/v1/noscript/image?{query}"))), asset, "asked again, the same");
    harness.wait_for("the impression", || counted(&harness).0 == 1);
    let click = client.get(&format!("/v1/noscript/click?{query}"));
    let landing = client.get(location(&click));
    assert!(
        location(&landing).starts_with(&format!("{}/demo/at/guesthouse?", harness.url)),
        "{}",
        location(&landing)
    );
    harness.wait_for("the click", || counted(&harness) == (1, 1));
    let notice = client.get(&format!("/v1/noscript/notice?{query}"));
    assert!(location(&notice).starts_with("/record/ads/ad_"));
    assert_eq!(picture.header("set-cookie"), "");
}

#[test]
fn without_its_picture_a_link_leads_nowhere_and_bad_input_is_refused() {
    let harness = demo();
    let client = harness.anonymous();
    client.get("/v1/noscript/click?site=site_1&placement=side&n=never").expect(410);
    client.get("/v1/noscript/notice?site=site_1&placement=side&n=never").expect(410);
    client.get("/v1/noscript/image?site=site_1&placement=nowhere&n=1").expect(400);
    client.get("/v1/noscript/image?site=site_1&placement=side&n=").expect(400);
    client.get(&format!("/v1/noscript/image?site=site_1&placement=side&n={}", "x".repeat(65))).expect(400);
    // A place for words has no picture: one transparent pixel, and nothing counts.
    let words = client.get("/v1/noscript/image?site=site_1&placement=text&n=1").expect(200);
    assert_eq!(words.header("content-type"), "image/gif");
    assert_eq!(counted(&harness), (0, 0));
}
