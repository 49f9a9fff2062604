//! What counts: each event once, everything else apart with its reason and never billed; clicks go only where they may.

use crate::scene::{Booking, Scene, problem};
use regie_model::{AdSetId, ticket::TicketKey};
use serde_json::{Value, json};

/// The counts of an ad set: impressions, viewable, clicks, conversions, gross nanos.
pub fn counts(row: &Value) -> [i64; 5] {
    ["impressions_count", "viewable_count", "clicks_count", "conversions_count", "gross_nanos"]
        .map(|name| row[name].as_i64().unwrap_or(0))
}

#[test]
fn each_event_counts_once_and_the_rest_is_counted_apart() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let ticket = scene.ticket();
    let price = scene.open(&ticket).price_nanos;
    let all = [("impression", &*ticket), ("viewable", &*ticket), ("click", &*ticket)];
    let reply = scene.report(&all).expect(200).json();
    assert_eq!(reply, json!({ "accepted_count": 3, "refused": [] }));
    for _ in 0..3 {
        scene.report(&all).expect(200);
        scene.report(&[all[0], all[0]]).expect(200);
    }
    assert_eq!(counts(&scene.of(&shop.ad_set)), [1, 1, 1, 0, price]);
    assert_eq!(scene.refused("impression", "duplicate"), 9);
    assert_eq!((scene.refused("viewable", "duplicate"), scene.refused("click", "duplicate")), (3, 3));
    // Across a restart duplicates stay duplicates, and tickets of before stay good.
    let late = scene.ticket();
    let harness = scene.harness.restart();
    let owner = harness.owner();
    let scene = Scene { harness, owner, ..scene };
    scene.report(&[("impression", &ticket), ("impression", &late)]).expect(200);
    assert_eq!(counts(&scene.of(&shop.ad_set)), [2, 1, 1, 0, 2 * price]);
    assert_eq!(scene.refused("impression", "duplicate"), 10);
}

#[test]
fn what_is_forged_late_or_unknown_is_refused_with_its_reason() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let sealed = scene.ticket();
    let ticket = scene.open(&sealed);
    let hour = 3_600_000;
    let old = |ms: i64| {
        let mut t = ticket;
        t.issued_at.0 -= ms;
        t.id.sequence += 1_000_000;
        scene.seal(&t)
    };
    let mut dearer = sealed.clone().into_bytes();
    dearer[100] = if dearer[100] == b'A' { b'B' } else { b'A' };
    let dearer = String::from_utf8(dearer).unwrap();
    let strange = TicketKey { id: 250, secret: [7; 32] };
    let foreign = {
        let mut t = ticket;
        t.key_id = 250;
        t.seal(&strange)
    };
    let stolen = ticket.seal(&TicketKey { id: ticket.key_id, secret: [7; 32] });
    let epoch = {
        let mut t = ticket;
        t.id.epoch = 17;
        scene.seal(&t)
    };
    let set = {
        let mut t = ticket;
        (t.ad_set, t.id.sequence) = (AdSetId(99), t.id.sequence + 5_000_000);
        scene.seal(&t)
    };
    let cheap = {
        let mut t = ticket;
        (t.price_nanos, t.id.sequence) = (t.price_nanos * 1_000, t.id.sequence + 6_000_000);
        scene.seal(&t)
    };
    // Refused at once: what no server of ours has sealed.
    for (text, code) in [
        ("", "malformed"),
        ("nonsense", "malformed"),
        (&sealed[..190], "malformed"),
        (&dearer, "forged"),
        (&stolen, "forged"),
        (&foreign, "unknown_key"),
    ] {
        let reply = scene.report(&[("impression", text)]);
        let json = reply.expect(400).json();
        assert_eq!(json["refused"], json!([{ "index": 0, "reason": code }]), "{text}");
    }
    let reply =
        scene.report(&[("sneeze", &sealed), ("impression", &dearer), ("impression", &sealed)]).expect(200);
    let refused = json!([{ "index": 0, "reason": "unknown_kind" }, { "index": 1, "reason": "forged" }]);
    assert_eq!(reply.json(), json!({ "accepted_count": 1, "refused": refused }));
    // Accepted durably, then refused by the fold, in journal order.
    for (kind, text, reason) in [
        ("impression", old(hour + 60_000), "late"),
        ("viewable", old(hour + 60_000), "late"),
        ("click", old(24 * hour + 60_000), "late"),
        ("impression", old(-hour), "future"),
        ("impression", epoch, "unknown_epoch"),
        ("impression", set, "unknown_ad_set"),
    ] {
        scene.report(&[(kind, &text)]).expect(200);
        assert_eq!(
            scene.refused(kind, reason),
            1,
            "{kind} {reason}: {}",
            scene.figures("by=campaign")["refused"]
        );
    }
    let report = scene.figures("by=campaign");
    let count = |reason: &str| -> u64 {
        let rows = report["refused"].as_array().unwrap().iter().filter(|r| r["reason"] == reason);
        rows.map(|r| r["count"].as_u64().unwrap()).sum()
    };
    assert_eq!((count("malformed"), count("forged"), count("unknown_key")), (3, 3, 1), "{report}");
    assert_eq!(counts(&scene.of(&shop.ad_set)), [1, 0, 0, 0, ticket.price_nanos], "only the one was counted");
    // A late click within its own window counts, and a price above every bid is free.
    scene.report(&[("click", &old(23 * hour)), ("impression", &cheap)]).expect(200);
    let row = scene.of(&shop.ad_set);
    assert_eq!(counts(&row), [2, 0, 1, 0, ticket.price_nanos]);
    assert_eq!(row["free_nanos"], ticket.price_nanos * 1_000);
}

#[test]
fn a_refusal_of_all_events_is_a_problem() {
    let scene = Scene::start();
    let reply = scene.report(&[("impression", "nonsense"), ("sneeze", "nonsense")]);
    assert_eq!(problem(&reply, 400), "refused");
    let refused = json!([{ "index": 0, "reason": "malformed" }, { "index": 1, "reason": "unknown_kind" }]);
    assert_eq!(reply.json()["refused"], refused);
}

#[test]
fn json_may_write_its_strings_as_it_likes() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let ticket = scene.ticket();
    let escaped: String = ticket.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    let body = format!(r#"{{"events":[{{"kind":"impressio\u006e","ticket":"{escaped}"}}]}}"#);
    let reply = scene.harness.anonymous().send("POST", "/v1/events", Some("text/plain"), body.as_bytes());
    assert_eq!(reply.expect(200).json()["accepted_count"], 1);
    assert_eq!(counts(&scene.of(&shop.ad_set))[0], 1);
}

#[test]
fn a_click_goes_to_the_approved_landing_page_and_nowhere_else() {
    let scene = Scene::start();
    let landing =
        json!({ "landing_url": "https://shop.example/bicycles?from={PLACEMENT}&n={CACHEBUSTER}#top" });
    let shop = scene.book(&Booking::cpm("First", 2_000_000).ad(landing));
    let ticket = scene.ticket();
    let sequence = scene.open(&ticket).id.sequence.to_string();
    let url = scene.click(&ticket);
    assert_eq!(
        (url.host_str(), url.path(), url.fragment()),
        (Some("shop.example"), "/bicycles", Some("top"))
    );
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs[..2], [("from".into(), "front-top".into()), ("n".into(), sequence)]);
    assert_eq!((pairs.len(), pairs[2].0.as_str()), (3, "regie_click"));
    // Nothing that a visitor adds changes where it goes.
    let anonymous = scene.harness.anonymous();
    let path = format!("/v1/click/{ticket}");
    for attempt in
        ["?url=https://evil.example", "?to=//evil.example&landing_url=https://evil.example", "?regie_click=x"]
    {
        let reply = anonymous.get(&format!("{path}{attempt}")).expect(302);
        assert!(reply.header("location").starts_with("https://shop.example/bicycles?"), "{attempt}");
    }
    for attempt in [
        "/v1/click/https:%2F%2Fevil.example",
        "/v1/click/%2F%2Fevil.example",
        "/v1/click/x",
        "/v1/click/%00",
        &format!("{path}x"),
        &format!("{path}%0d%0alocation:%20https:%2F%2Fevil.example"),
    ] {
        let reply = anonymous.get(attempt);
        problem(&reply, 400);
        assert_eq!(reply.header("location"), "", "{attempt}");
    }
    let header = anonymous.clone().with("x-forwarded-host", "evil.example").get(&path).expect(302);
    assert!(header.header("location").starts_with("https://shop.example/"));
    assert_eq!(
        (header.header("cache-control"), header.header("referrer-policy")),
        ("no-store", "strict-origin-when-cross-origin")
    );
    assert_eq!(counts(&scene.of(&shop.ad_set))[2], 1, "the same ticket clicks once");
    assert_eq!(scene.refused("click", "duplicate"), 4);
}

#[test]
fn asking_where_a_click_would_lead_is_no_click() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("First", 2_000_000));
    let ticket = scene.ticket();
    let reply = scene.harness.anonymous().send("HEAD", &format!("/v1/click/{ticket}"), None, b"").expect(302);
    assert!(reply.header("location").starts_with("https://shop.example/"));
    scene.report(&[("impression", &ticket)]).expect(200);
    assert_eq!(counts(&scene.of(&shop.ad_set))[..3], [1, 0, 0]);
}
