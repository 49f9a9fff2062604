//! Preview links: a draft on the real page, signed, uncounted.

use crate::common::*;
use regie_model::{PlacementId, UtcMs, VersionId};
use serde_json::json;

#[test]
fn a_draft_is_shown_without_approval_ticket_or_count() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, placement) = open_publisher(&owner);
    let shop = open_shop(&owner, "Draft words");
    let body = json!({ "version": shop.version, "placement": placement, "page_url": "https://gazette.example/news?x=1#top" });
    let made = owner.post("/v1/previews", body).expect(201).json();
    let token = made["token"].as_str().unwrap().to_owned();
    assert_eq!(made["url"], format!("https://gazette.example/news?x=1#regie-preview={token}"));
    let days = (UtcMs::parse(made["expires_at"].as_str().unwrap()).unwrap().0 - harness.app.platform.now().0)
        as f64
        / 86_400_000.0;
    assert!((6.99..=7.0).contains(&days), "{days}");
    let by_ad =
        owner.post("/v1/previews", json!({ "ad": shop.ad, "placement": placement })).expect(201).json();
    assert_eq!(
        (&by_ad["version"], by_ad["url"].as_str().unwrap().split('#').next()),
        (&json!(shop.version), Some("https://gazette.example/"))
    );

    let position = harness.app.platform.position();
    let page = harness.anonymous().with("origin", "https://gazette.example");
    let reply = page.get(&format!("/v1/previews/{token}")).expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://gazette.example");
    let slot = reply.json();
    assert_eq!(
        (&slot["name"], &slot["ad"]["kind"], &slot["ad"]["width"]),
        (&json!("front-top"), &json!("html"), &json!(300))
    );
    assert!(
        slot["ad"]["ticket"].is_null()
            && slot["ad"]["label"]["sponsor"].as_str().unwrap().contains("Draft words")
    );
    let frame = page.get(slot["ad"]["frame_path"].as_str().unwrap()).expect(200);
    assert!(
        frame.text().contains("Draft words") && frame.header("content-security-policy").contains("sandbox")
    );
    assert!(frame.text().contains(&format!("/v1/previews/{token}/click")));
    let click = page.get(slot["ad"]["click_path"].as_str().unwrap()).expect(302);
    assert_eq!(click.header("location"), "https://shop.example/bicycles?from=front-top", "no click id");
    assert_eq!(harness.app.platform.position(), position, "nothing was journalled");
    let other =
        harness.anonymous().with("origin", "https://evil.example").get(&format!("/v1/previews/{token}"));
    assert_eq!(other.header("access-control-allow-origin"), "");

    // Decisions still show nothing.
    let ask = json!({ "site": site, "placements": [{ "name": "front-top" }] });
    assert!(harness.anonymous().post("/v1/decisions", ask).json()["decisions"][0]["ad"].is_null());
    // The link shows the draft as it is now, not as it was.
    owner.put(&format!("/v1/versions/{}", shop.version), html_version(&shop.ad, "Better words")).expect(200);
    assert!(page.get(&format!("/v1/previews/{token}/frame")).expect(200).text().contains("Better words"));
}

#[test]
fn a_link_is_signed_and_ends() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (_, placement) = open_publisher(&owner);
    let shop = open_shop(&owner, "Draft words");
    let token = owner.post("/v1/previews", json!({ "version": shop.version, "placement": placement })).json()
        ["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (at, _) in token.char_indices() {
        let mut bent = token.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        // The last character holds bits that no byte uses; the text must still be the canonical one.
        harness.anonymous().get(&format!("/v1/previews/{bent}")).expect(404);
    }
    for bad in ["x", "AAAA", &token[1..], &format!("{token}A")] {
        harness.anonymous().get(&format!("/v1/previews/{bad}")).expect(404);
        harness.anonymous().get(&format!("/v1/previews/{bad}/frame")).expect(404);
        harness.anonymous().get(&format!("/v1/previews/{bad}/click")).expect(404);
    }
    let platform = &harness.app.platform;
    let old = regie::http::preview::Preview {
        version: VersionId(1),
        placement: PlacementId(1),
        expires_at: platform.now(),
    };
    let old = regie::http::preview::seal(platform, old);
    harness.anonymous().get(&format!("/v1/previews/{old}")).expect(404);
    // A preview link is no ticket, and a ticket no preview link.
    harness.anonymous().get(&format!("/v1/frames/{token}")).expect(400);
    let refused = harness
        .anonymous()
        .post("/v1/events", json!({ "events": [{ "kind": "impression", "ticket": token }] }));
    refused.expect(400);
}

#[test]
fn a_preview_names_a_page_of_the_site_and_a_version_that_fits() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (_, placement) = open_publisher(&owner);
    let shop = open_shop(&owner, "Draft words");
    let refused = |body: serde_json::Value| owner.post("/v1/previews", body).faults();
    let elsewhere =
        json!({ "version": shop.version, "placement": placement, "page_url": "https://evil.example/" });
    assert_eq!(refused(elsewhere), ["page_url: contradiction"]);
    assert_eq!(refused(json!({ "placement": "plc_9" })), ["placement: unknown", "version: unknown"]);
    assert_eq!(
        refused(json!({ "version": shop.version, "ad": shop.ad, "placement": placement })),
        ["ad: unknown"]
    );
    let text = create(&owner, "/v1/versions", text_version(&shop.ad));
    assert_eq!(refused(json!({ "version": text, "placement": placement })), ["placement: contradiction"]);
}
