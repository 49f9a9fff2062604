//! Formats beside banners, caps by page view, and what is never written down.

use crate::{
    common::*,
    scene::{Booking, Scene, test_data},
};
use serde_json::json;
use std::path::Path;

#[test]
fn words_and_native_parts_come_as_data_for_the_page_to_lay_out() {
    let scene = Scene::start();
    for (name, format) in [("words", "text"), ("parts", "native")] {
        let spec = json!({ "site": scene.site, "name": name, "format": { "kind": format } });
        create(&scene.owner, "/v1/placements", spec);
    }
    let asset = scene.owner.send("POST", "/v1/assets", Some("image/gif"), GIF).expect(201).json();
    let native = json!({ "kind": "native", "title": "Bicycles", "body": "Two wheels.", "call_to_action": "Ride",
        "asset": asset, "alt": "A bicycle" });
    let text = json!({ "kind": "text", "title": "Words", "body": "Only <b>words</b>." });
    for (name, creative) in [("Native", native), ("Text", text)] {
        let shop = scene.book(&Booking::cpm(name, 2_000_000));
        let version = json!({ "ad": shop.ad, "creative": creative });
        scene.owner.put(&format!("/v1/versions/{}", shop.version), version).expect(200);
        scene.owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    }
    scene.settle();
    let ask = |name: &str| scene.ask(json!({ "placements": [{ "name": name }] }))["ad"].clone();
    let (words, parts) = (ask("words"), ask("parts"));
    assert_eq!(words["kind"], "text", "{words}");
    assert_eq!(words["native"]["title"], "Words");
    assert_eq!(words["native"]["body"], "Only <b>words</b>.", "data, not markup");
    assert_eq!(parts["kind"], "native", "{parts}");
    let path = format!("/v1/assets/{}", asset["hash"].as_str().unwrap());
    let want = json!({ "title": "Bicycles", "body": "Two wheels.", "call_to_action": "Ride", "image_path": path, "alt": "A bicycle" });
    assert_eq!(parts["native"], want);
    let frame = scene.harness.anonymous().get(words["frame_path"].as_str().unwrap()).expect(200).text();
    assert!(frame.contains("Only &lt;b&gt;words&lt;/b&gt;."), "{frame}");
    assert_eq!(scene.ask(json!({}))["no_fill"], "wrong_format");
}

#[test]
fn a_cap_by_page_view_needs_no_token() {
    let scene = Scene::start();
    let caps = json!([
        { "scope": "ad_set", "period": "page_view", "impressions_count": 1 },
        { "scope": "campaign", "period": "day", "impressions_count": 3 },
    ]);
    let capped = scene.book(&Booking::cpm("Capped", 9_000_000).set(json!({ "caps": caps })));
    let other = scene.book(&Booking::cpm("Other", 1_000_000));
    assert_eq!(scene.shown(json!({})), Some(capped.ad_set.clone()));
    let seen = json!({ "page_view": [{ "what": { "kind": "ad_set", "id": capped.ad_set }, "count": 1 }] });
    assert_eq!(scene.shown(json!({ "frequency": seen })), Some(other.ad_set));
    // A page cannot state what a visitor saw on other pages: that needs a consented token.
    let what = json!({ "kind": "campaign", "id": capped.campaign });
    let claimed = json!({ "visitor": [{ "what": what, "period": "day", "count": 99 }] });
    assert_eq!(scene.shown(json!({ "frequency": claimed })), Some(capped.ad_set));
}

#[test]
fn addresses_and_user_agents_are_never_written_down() {
    let scene = Scene::with(|config| config.trusted_proxies = vec!["127.0.0.1".into()]);
    let mut spec = publisher();
    spec["sample_ppm"] = json!(1_000_000);
    scene.owner.put("/v1/publisher", spec).expect(200);
    scene.book(&Booking::cpm("Shop", 2_000_000));
    let visitor = scene
        .harness
        .anonymous()
        .with("user-agent", "Secret-Agent/7.7 (X11; Linux x86_64)")
        .with("x-forwarded-for", "203.0.113.9")
        .with("cookie", "visitor=5ecret-cookie");
    let page = json!({ "url": "https://gazette.example/an-article" });
    let slot = scene.ask_as(&visitor, json!({ "page": page }));
    let ticket = slot["ad"]["ticket"].as_str().unwrap();
    let beacon = json!({ "events": [{ "kind": "impression", "ticket": ticket }] });
    visitor.post("/v1/events", beacon).expect(200);
    visitor.get(&format!("/v1/click/{ticket}")).expect(302);
    visitor.get(slot["ad"]["frame_path"].as_str().unwrap()).expect(200);
    scene.of("set_1");
    std::thread::sleep(std::time::Duration::from_millis(700));
    let (mut files, mut sampled) = (0, false);
    walk(scene.harness.folder(), &mut |path, bytes| {
        files += 1;
        for secret in ["203.0.113.9", "Secret-Agent", "5ecret-cookie"] {
            assert!(!holds(bytes, secret), "{secret} stands in {}", path.display());
        }
        sampled |= holds(bytes, "gazette.example/an-article");
    });
    assert!(files > 3);
    assert!(sampled, "the sampled decision is there, so that the search would have found it");
}
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}
fn walk(dir: &Path, seen: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, seen);
        } else if let Ok(bytes) = std::fs::read(&path) {
            seen(&path, &bytes);
        }
    }
}

#[test]
fn broken_place_databases_crash_nothing() {
    let Some(data) = test_data("broken_place_databases_crash_nothing") else { return };
    let mut tried = 0;
    for folder in ["adtech/maxmind/bad", "adtech/maxmind/mmdb"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "mmdb") {
                continue;
            }
            tried += 1;
            let Ok(reader) = maxminddb::Reader::open_readfile(&path) else { continue };
            for number in 0..512u32 {
                let address = std::net::Ipv4Addr::from(number.wrapping_mul(0x0123_4567));
                regie::http::facts::location_in(&reader, address.into());
            }
        }
    }
    assert!(tried > 10);
}
