//! Budgets run dry: ads stop within a second, nothing is billed over, what was shown besides is free.

use crate::{
    count::counts,
    scene::{Booking, FLOOR, Scene},
};
use serde_json::{Value, json};

/// Shows and reports until no more is handed out; how many were shown.
fn drain(scene: &Scene) -> i64 {
    let mut shown = 0;
    while let Some(ticket) = scene.ask(json!({}))["ad"]["ticket"].as_str() {
        scene.report(&[("impression", ticket)]).expect(200);
        shown += 1;
        assert!(shown < 100, "nothing stops it");
    }
    shown
}
fn free(row: &Value) -> i64 {
    row["free_nanos"].as_i64().unwrap()
}

#[test]
fn each_budget_is_spent_to_the_last_nano_and_not_one_more() {
    let scene = Scene::start();
    // Ten and a half impressions at the floor's 10,000 nanos each.
    let (budget, nanos) = (105, 105_000);
    assert_eq!(FLOOR, 10_000);
    let plain = || Booking::cpm("Some", 50_000);
    let limit = json!({ "lifetime_budget_micros": budget });
    let daily = json!({ "daily_budget_micros": budget });
    let credit = json!({ "funding": { "kind": "credit", "limit_micros": budget } });
    let cases = [
        ("prepaid account", plain().prepaid(budget)),
        ("credit limit", plain().account(credit)),
        ("campaign, lifetime", plain().campaign(limit.clone())),
        ("campaign, daily", plain().campaign(daily.clone())),
        ("ad set, lifetime", plain().set(limit)),
        ("ad set, daily", plain().set(daily)),
    ];
    for (what, booking) in cases {
        let shop = scene.book(&booking);
        let shown = drain(&scene);
        assert_eq!(shown, 11, "{what}");
        let row = scene.of(&shop.ad_set);
        assert_eq!(counts(&row), [11, 0, 0, 0, nanos], "{what}");
        assert_eq!(free(&row), 11 * 10_000 - nanos, "{what}");
    }
}

#[test]
fn tickets_handed_out_before_the_end_are_counted_free() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Some", 50_000));
    let tickets: Vec<String> = (0..10).map(|_| scene.ticket()).collect();
    // The campaign's budget is cut below what is already handed out.
    let path = format!("/v1/campaigns/{}", shop.campaign);
    let mut spec = scene.owner.get(&path).expect(200).json()["spec"].clone();
    spec["lifetime_budget_micros"] = json!(33);
    scene.owner.put(&path, spec).expect(200);
    for ticket in &tickets {
        scene.report(&[("impression", ticket)]).expect(200);
    }
    let row = scene.of(&shop.ad_set);
    assert_eq!((counts(&row), free(&row)), ([10, 0, 0, 0, 33_000], 67_000));
    scene.within(1_000, "the end", || scene.shown(json!({})).is_none());
}

#[test]
fn a_dry_account_stops_and_a_deposit_starts_it_within_a_second() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Some", 50_000).prepaid(20));
    let house = scene.book(&Booking::house("House"));
    let tickets = [scene.ticket(), scene.ticket()];
    let events: Vec<(&str, &str)> = tickets.iter().map(|t| ("impression", t.as_str())).collect();
    scene.report(&events).expect(200);
    scene.within(1_000, "the stop", || scene.shown(json!({})) == Some(house.ad_set.clone()));
    // More than what tickets still out could hold.
    scene.deposit(&shop.advertiser, 1_000);
    scene.within(1_000, "the start", || scene.shown(json!({})) == Some(shop.ad_set.clone()));
    let row = scene.of(&shop.ad_set);
    assert_eq!((counts(&row)[4], free(&row)), (20_000, 0));
    assert_eq!(counts(&scene.of(&house.ad_set))[4], 0);
}

#[test]
fn many_at_once_never_pass_the_budget() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Some", 50_000).prepaid(500));
    let shown: usize = std::thread::scope(|scope| {
        let visitors = (0..4).map(|_| {
            scope.spawn(|| {
                let ask = json!({ "requests": vec![scene.request(json!({})); 16] });
                let mut shown = 0;
                for _ in 0..5 {
                    let reply =
                        scene.harness.anonymous().post("/v1/decisions/batch", ask.clone()).expect(200).json();
                    let tickets = reply["answers"].as_array().unwrap().iter();
                    let tickets: Vec<&str> =
                        tickets.filter_map(|a| a["decisions"][0]["ad"]["ticket"].as_str()).collect();
                    let events: Vec<(&str, &str)> = tickets.iter().map(|t| ("impression", *t)).collect();
                    if !events.is_empty() {
                        scene.report(&events).expect(200);
                    }
                    shown += tickets.len();
                }
                shown
            })
        });
        let visitors: Vec<_> = visitors.collect();
        visitors.into_iter().map(|v| v.join().unwrap()).sum()
    });
    let row = scene.of(&shop.ad_set);
    assert_eq!(counts(&row)[0], shown as i64);
    assert_eq!(counts(&row)[4], 500_000, "50 impressions' worth, all of it and no more");
    assert!((50..=60).contains(&shown), "{shown} were shown for 50 paid");
}
