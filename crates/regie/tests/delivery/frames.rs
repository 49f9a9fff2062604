//! What holds an ad in its frame: content security policy by ad, sandbox, pictures that are only pictures.

use crate::{
    common::*,
    scene::{Booking, Scene, problem},
};
use serde_json::{Value, json};

const SANDBOX: &str = "allow-scripts allow-popups allow-popups-to-escape-sandbox";

/// The sources of one directive of a policy.
fn directive(policy: &str, name: &str) -> Option<Vec<String>> {
    let rule = policy.split(';').map(str::trim).find(|rule| rule.split(' ').next() == Some(name))?;
    Some(rule.split(' ').skip(1).filter(|s| !s.is_empty()).map(str::to_owned).collect())
}
/// The frame of the ad that a request is shown.
fn frame(scene: &Scene, slot: &Value) -> Reply {
    scene.harness.anonymous().get(slot["ad"]["frame_path"].as_str().unwrap()).expect(200)
}

#[test]
fn an_html_ad_reaches_nothing_but_its_own_listed_origins() {
    let scene = Scene::start();
    let listed = json!({ "third_party_origins": ["https://cdn.shop.example", "https://fonts.example"] });
    let open = scene.book(&Booking::cpm("Open", 2_000_000).ad(listed));
    let slot = scene.ask(json!({}));
    assert_eq!(slot["ad"]["sandbox"], SANDBOX);
    let reply = frame(&scene, &slot);
    let policy = reply.header("content-security-policy");
    assert_eq!(directive(policy, "default-src").unwrap(), ["'none'"]);
    assert_eq!(directive(policy, "form-action").unwrap(), ["'none'"]);
    assert_eq!(directive(policy, "base-uri").unwrap(), ["'none'"]);
    assert_eq!(directive(policy, "sandbox").unwrap().join(" "), SANDBOX, "also when it is opened by itself");
    assert!(!policy.contains("allow-same-origin") && !policy.contains("allow-top-navigation"));
    for name in ["script-src", "img-src", "connect-src", "font-src", "media-src", "style-src"] {
        let sources = directive(policy, name).unwrap_or_else(|| panic!("{name}: {policy}"));
        for origin in ["https://cdn.shop.example", "https://fonts.example"] {
            assert!(sources.contains(&origin.to_owned()), "{name}: {policy}");
        }
        assert!(!sources.iter().any(|s| ["*", "https:", "http:"].contains(&s.as_str())), "{name}: {policy}");
    }
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(reply.header("set-cookie"), "");
    scene
        .owner
        .post(&format!("/v1/ad-sets/{}/status", open.ad_set), json!({ "status": "paused" }))
        .expect(200);
    scene.book(&Booking::cpm("Closed", 1_000_000));
    let closed = frame(&scene, &scene.ask(json!({})));
    let policy = closed.header("content-security-policy");
    assert!(!policy.contains("https://"), "the list is each ad's own: {policy}");
    assert!(
        directive(policy, "connect-src").unwrap().is_empty() || policy.contains("connect-src 'none'"),
        "{policy}"
    );
}

#[test]
fn macros_of_markup_are_filled_and_the_click_leads_through_the_server() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let markup = "<a href=\"{CLICK_URL}\" data-n=\"{CACHEBUSTER}\" data-p=\"{PLACEMENT}\">Go</a>";
    let version = json!({ "ad": shop.ad, "creative": { "kind": "html", "markup": markup, "size": { "width": 300, "height": 250 } } });
    scene.owner.put(&format!("/v1/versions/{}", shop.version), version).expect(200);
    scene.owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    scene.settle();
    let slot = scene.ask(json!({}));
    let ticket = slot["ad"]["ticket"].as_str().unwrap();
    let sequence = scene.open(ticket).id.sequence;
    let want = format!(
        "<a href=\"{}/v1/click/{ticket}\" data-n=\"{sequence}\" data-p=\"front-top\">Go</a>",
        scene.harness.url
    );
    assert_eq!(frame(&scene, &slot).text(), want);
}

#[test]
fn pictures_and_words_run_no_scripts() {
    let scene = Scene::start();
    let asset = scene.owner.send("POST", "/v1/assets", Some("image/gif"), GIF).expect(201).json();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let version = json!({ "ad": shop.ad, "creative": { "kind": "image", "asset": asset, "alt": "A <b>\"bicycle\"</b>" } });
    scene.owner.put(&format!("/v1/versions/{}", shop.version), version).expect(200);
    scene.owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    scene.settle();
    let slot = scene.ask(json!({}));
    assert_eq!(
        (&slot["ad"]["kind"], &slot["ad"]["sandbox"]),
        (&json!("image"), &json!("allow-popups allow-popups-to-escape-sandbox"))
    );
    let reply = frame(&scene, &slot);
    let policy = reply.header("content-security-policy");
    assert_eq!(directive(policy, "script-src"), None);
    assert_eq!(directive(policy, "default-src").unwrap(), ["'none'"]);
    assert!(!policy.contains("allow-scripts"), "{policy}");
    let text = reply.text();
    assert!(text.contains("A &lt;b&gt;&quot;bicycle&quot;&lt;/b&gt;"), "{text}");
    // The picture itself.
    let path = format!("/v1/assets/{}", asset["hash"].as_str().unwrap());
    assert!(text.contains(&path), "{text}");
    let picture = scene.harness.anonymous().get(&path).expect(200);
    assert_eq!(picture.body, GIF);
    assert_eq!(
        (picture.header("content-type"), picture.header("x-content-type-options")),
        ("image/gif", "nosniff")
    );
    assert_eq!(picture.header("content-security-policy"), "default-src 'none'; sandbox");
    assert!(picture.header("cache-control").contains("immutable"));
    // Only pictures leave by this door: not the creative's own document, nothing by a path.
    let document = regie_model::creative::ObjectHash::of(
        &serde_json::from_value::<regie_model::creative::Creative>(
            scene.owner.get(&format!("/v1/versions/{}", shop.version)).json()["spec"]["creative"].clone(),
        )
        .unwrap()
        .to_bytes(),
    );
    for path in [
        format!("/v1/assets/{document}"),
        "/v1/assets/..%2Fsecrets.db".into(),
        format!("/v1/assets/{}", "0".repeat(64)),
        "/v1/assets/x".into(),
    ] {
        assert_eq!(problem(&scene.harness.anonymous().get(&path), 404), "not_found", "{path}");
    }
    for upload in
        [&b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"[..], b"<html>", b"", b"GIF89a"]
    {
        assert_eq!(
            scene.owner.send("POST", "/v1/assets", Some("image/png"), upload).faults(),
            ["file: no_picture"]
        );
    }
}

#[test]
fn a_frame_needs_a_sound_ticket() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 2_000_000));
    let ticket = scene.ticket();
    let mut forged = ticket.clone().into_bytes();
    forged[60] = if forged[60] == b'A' { b'B' } else { b'A' };
    for (text, code) in
        [("x", "malformed"), (&*String::from_utf8(forged).unwrap(), "forged"), (&ticket[..100], "malformed")]
    {
        assert_eq!(problem(&scene.harness.anonymous().get(&format!("/v1/frames/{text}")), 400), code);
    }
}
