//! Frequency caps over more than a page view: by the page's token, by the publisher's own id, with and without consent.

use crate::{
    common::*,
    scene::{Booking, Scene},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A scene with a dear campaign of this cap, and a cheap one that shows when it is capped.
fn scene(political: bool, cap: u32) -> (Scene, Shop) {
    let scene = Scene::start();
    let caps = json!([{ "scope": "campaign", "period": "day", "impressions_count": cap }]);
    let mut booking = Booking::cpm("Capped", 9_000_000).set(json!({ "caps": caps }));
    if political {
        booking = booking.campaign(json!({ "political": declaration() }));
    }
    let capped = scene.book(&booking);
    scene.book(&Booking::cpm("Other", 1_000_000));
    (scene, capped)
}

/// What one visitor's browser does: sends what it keeps, keeps what it is told.
struct Browser {
    consents: Value,
    token: Value,
}
impl Browser {
    fn with(consents: Value) -> Browser {
        Browser { consents, token: Value::Null }
    }
    fn visit(&mut self, scene: &Scene) -> String {
        let more = json!({ "consents": self.consents, "frequency": { "token": self.token } });
        let answer = scene.harness.anonymous().post("/v1/decisions", scene.request(more)).expect(200).json();
        self.token = answer["frequency_token"].clone();
        answer["decisions"][0]["ad"]["ad_set"].as_str().unwrap_or_default().to_owned()
    }
    fn times(&mut self, scene: &Scene, shop: &Shop, visits: usize) -> usize {
        (0..visits).filter(|_| self.visit(scene) == shop.ad_set).count()
    }
}

#[test]
fn sequential_requests_never_pass_a_cap_and_a_first_visit_is_served() {
    let (scene, capped) = scene(false, 3);
    for _ in 0..3 {
        let mut browser = Browser::with(json!(["storage"]));
        assert_eq!(browser.visit(&scene), capped.ad_set, "a capped ad serves on a first visit");
        assert_eq!(browser.times(&scene, &capped, 8), 2, "no violation, and none too few");
        let text = browser.token.as_str().unwrap();
        assert!(text.len() < 200, "one campaign's token is short: {}", text.len());
        // Lost: a first visit again. Damaged: the same.
        browser.token = json!("AAAA");
        assert_eq!(browser.visit(&scene), capped.ad_set);
    }
    // The publisher's own id: the server counts, whatever the page keeps.
    for visitor in ["reader-1", "reader-2"] {
        let ask = || {
            let more = json!({ "consents": ["storage"], "frequency": { "visitor_id": visitor } });
            scene.shown(more) == Some(capped.ad_set.clone())
        };
        assert_eq!((0..9).filter(|_| ask()).count(), 3, "{visitor}");
    }
    let journal = std::fs::read_dir(scene.harness.folder().join("journal")).unwrap();
    for file in journal.filter_map(|f| std::fs::read(f.unwrap().path()).ok()) {
        assert!(!file.windows(8).any(|w| w == b"reader-1"), "an id is never journalled");
    }
}

#[test]
fn without_consent_nothing_is_kept_and_caps_count_by_page_view() {
    let (scene, capped) = scene(false, 1);
    let mut browser = Browser::with(json!([]));
    assert_eq!(browser.times(&scene, &capped, 4), 4);
    assert_eq!(browser.token, Value::Null);
    let id = json!({ "frequency": { "visitor_id": "reader-9" } });
    assert_eq!((0..3).filter(|_| scene.shown(id.clone()) == Some(capped.ad_set.clone())).count(), 3);
    assert_eq!(scene.harness.app.platform.frequency.visitors_count(), 0);
    let seen = json!([{ "what": { "kind": "campaign", "id": capped.campaign }, "count": 1 }]);
    assert_ne!(scene.shown(json!({ "frequency": { "page_view": seen } })), Some(capped.ad_set.clone()));
    // A consent that is withdrawn: the token that came with it is not read, and is to be dropped.
    let mut browser = Browser::with(json!(["storage"]));
    assert_eq!(browser.times(&scene, &capped, 2), 1);
    browser.consents = json!([]);
    assert_eq!(browser.visit(&scene), capped.ad_set);
    assert_eq!(browser.token, Value::Null);
}

#[test]
fn a_political_cap_reads_a_visitors_count_only_with_the_consent_for_exactly_that() {
    let (scene, capped) = scene(true, 1);
    for (consents, shown) in [
        (json!([]), 4),
        (json!(["storage"]), 4),
        (json!(["political_frequency"]), 1),
        (json!(["storage", "political_frequency"]), 1),
    ] {
        let mut browser = Browser::with(consents.clone());
        assert_eq!(browser.times(&scene, &capped, 4), shown, "{consents}");
    }
    let (scene, ordinary) = self::scene(false, 1);
    assert_eq!(
        Browser::with(json!(["political_frequency"])).times(&scene, &ordinary, 3),
        3,
        "not for ordinary ads"
    );
}

/// How often a cap of 2 was passed by a visitor with eight tabs that ask at once.
#[test]
fn eight_parallel_tabs_are_measured() {
    const CAP: usize = 2;
    let (scene, capped) = scene(false, CAP as u32);
    let tabs = |ask: &(dyn Fn() -> bool + Sync)| {
        let shown = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| shown.fetch_add((0..4).filter(|_| ask()).count(), Ordering::SeqCst));
            }
        });
        shown.into_inner()
    };
    let by_id = tabs(&|| {
        let more = json!({ "consents": ["storage"], "frequency": { "visitor_id": "eight" } });
        scene.shown(more) == Some(capped.ad_set.clone())
    });
    // Tabs that share one token without taking turns: the last answer stays.
    let kept = std::sync::Mutex::new(Value::Null);
    let by_token = tabs(&|| {
        let token = kept.lock().unwrap().clone();
        let mut browser = Browser { consents: json!(["storage"]), token };
        let shown = browser.visit(&scene) == capped.ad_set;
        *kept.lock().unwrap() = browser.token;
        shown
    });
    // The tag's tabs take turns (Web Locks).
    let kept = std::sync::Mutex::new(Browser::with(json!(["storage"])));
    let in_turn = tabs(&|| kept.lock().unwrap().visit(&scene) == capped.ad_set);
    println!(
        "32 requests from 8 tabs, cap {CAP}: shown by id {by_id}, by token in turn {in_turn}, by racing token {by_token}"
    );
    assert_eq!((by_id, in_turn), (CAP, CAP), "counted by the server, or in turn: no violation");
    assert!(by_token >= CAP, "{by_token}");
}
