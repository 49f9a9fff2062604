//! Forecasts over HTTP, beside a booking and on the command line, from two weeks of counted traffic.

use crate::{common::*, explain::regie, scene::*};
use regie_journal::{Journal, Options, SqliteJournal};
use regie_model::{
    AdvertiserId,
    booking::{Role, Scope},
    event::{Asked, Event, PlacementTraffic, Traffic},
    time::HOUR_MS,
};
use serde_json::{Value, json};

/// Requests for the placement in each hour of the two weeks.
const HOURLY: u64 = 100;
const HOURS: i64 = 14 * 24;

/// A scene after two weeks in which each hour brought the same, a quarter of it from Belgium.
fn two_weeks() -> Scene {
    let mut scene = Scene::start();
    scene.harness.stop();
    let journal = scene.harness.folder().join("journal");
    let mut journal = SqliteJournal::open(&journal, Options::default()).unwrap();
    let now = regie::server::system_clock()();
    let (placement, site) = (scene.placement.parse().unwrap(), scene.site.parse().unwrap());
    let asked = |country: &[u8; 2], requests_count| Asked {
        placement,
        site,
        country: *country,
        device: 0,
        requests_count,
    };
    let hours = (1..=HOURS).rev().map(|ago| {
        Event::Traffic(Box::new(Traffic {
            minute: (now.0 - ago * HOUR_MS) / 60_000,
            placements: vec![PlacementTraffic {
                placement,
                site,
                requests_count: HOURLY,
                fills_count: 0,
                no_fills: vec![("nothing_matches".into(), HOURLY)],
            }],
            asked: vec![asked(b"BE", HOURLY / 4), asked(b"FR", HOURLY - HOURLY / 4)],
            ..Traffic::default()
        }))
        .encode()
    });
    journal.append(now.0, &hours.collect::<Vec<_>>()).unwrap();
    drop(journal);
    let harness = scene.harness.restart_with(|config| config.traffic_flush_ms = 200);
    let owner = harness.owner();
    Scene { harness, owner, ..scene }
}

fn week(more: Value) -> Value {
    let from = regie::server::system_clock()();
    let mut asked = json!({ "from": from, "until": regie_model::UtcMs(from.0 + 7 * 24 * HOUR_MS) });
    merge(&mut asked, more);
    asked
}
fn expected(answer: &Value) -> f64 {
    answer["available"]["requests"]["expected"].as_f64().unwrap()
}

#[test]
fn a_forecast_says_what_will_come_and_who_competes_and_what_is_oversold() {
    let scene = two_weeks();
    let weekly = (HOURLY * 7 * 24) as f64;
    let near = |answer: &Value, wanted: f64| {
        let found = expected(answer);
        assert!((found - wanted).abs() < wanted * 0.1, "{found} instead of {wanted}: {answer}");
        let range = &answer["available"]["requests"];
        assert!(range["low"].as_f64().unwrap() <= found && found <= range["high"].as_f64().unwrap());
    };
    let ask = |client: &Client, body: Value| client.post("/v1/forecast", body).expect(200).json();
    let all = ask(&scene.owner, week(json!({})));
    near(&all, weekly);
    assert_eq!(all["oversold_at_booking"], false);
    let belgian = json!({ "targeting": [{ "dimension": "country", "op": "in", "values": ["BE"] }] });
    near(&ask(&scene.owner, week(belgian)), weekly / 4.0);
    // A keyword is not counted: the most it can be, down to nothing.
    let keyword = json!({ "targeting": [{ "dimension": "keyword", "op": "in", "values": ["boats"] }] });
    let uncounted = ask(&scene.owner, week(keyword));
    assert_eq!(uncounted["available"]["uncounted"], json!(["keyword"]));
    assert_eq!(uncounted["available"]["requests"]["low"], 0.0);

    let rival = scene.book(&Booking::cpm("Rival", 2_000_000));
    let beside = ask(&scene.owner, week(json!({})));
    assert_eq!(beside["competition"][0]["tier"], "auction");
    assert_eq!(beside["rivals"][0]["ad_set"], rival.ad_set.as_str(), "{beside}");
    // More than will come, and half of it.
    let promise = |count: f64| json!({ "tier": { "kind": "guaranteed", "impressions_count": count as u64 } });
    let over = ask(&scene.owner, week(promise(weekly * 2.0)));
    assert!(over["promise"]["missing_count"].as_u64().unwrap() as f64 > weekly / 2.0, "{over}");
    assert!(over["sentence"].as_str().unwrap().contains("Oversold"), "{over}");
    let under = ask(&scene.owner, week(promise(weekly / 2.0)));
    assert_eq!(under["promise"]["missing_count"], 0, "{under}");

    // Another advertiser hears how many compete, and not who.
    let other = scene.book(&Booking::cpm("Other", 1_000_000));
    let id: AdvertiserId = other.advertiser.parse().unwrap();
    let theirs = ask(&scene.harness.token(&[Scope::Read], Some(id)), week(json!({})));
    assert_eq!(
        (theirs["rivals"].clone(), theirs["competition"][0]["ad_sets_count"].clone()),
        (json!([]), json!(2))
    );
    let hidden = week(json!({ "campaign": rival.campaign }));
    let refused = scene.harness.user(Role::Advertiser, Some(id)).post("/v1/forecast", hidden);
    assert_eq!(refused.faults(), ["campaign: unknown"]);
    scene.harness.anonymous().post("/v1/forecast", week(json!({}))).expect(401);
    let backwards = json!({ "from": "2027-01-02T00:00:00Z", "until": "2027-01-01T00:00:00Z" });
    assert_eq!(scene.owner.post("/v1/forecast", backwards).faults(), ["until: contradiction"]);

    // At booking: accepted, with the forecast that shows it.
    let now = regie::server::system_clock()();
    let ends_at = regie_model::UtcMs(now.0 + 7 * 24 * HOUR_MS);
    let mut goal =
        scene.owner.get(&format!("/v1/ad-sets/{}", rival.ad_set)).expect(200).json()["spec"].clone();
    merge(&mut goal, promise(weekly * 3.0));
    merge(&mut goal, json!({ "name": "Too much", "flight": { "starts_at": now, "ends_at": ends_at } }));
    let booked = scene.owner.post("/v1/ad-sets", goal.clone()).expect(201).json();
    assert_eq!(booked["warnings"][0]["code"], "oversold", "{booked}");
    assert!(booked["warnings"][0]["forecast"]["promise"]["missing_count"].as_u64().unwrap() > 0);
    goal["name"] = "By a command".into();
    let command = json!({ "commands": [{ "command": "put_ad_set", "spec": goal }] });
    let accepted = scene.owner.post("/v1/commands", command).expect(200).json();
    assert_eq!(accepted["accepted"][0]["warnings"][0]["code"], "oversold", "{accepted}");

    // On the command line, beside the running server.
    scene.harness.app.platform.flush(true).unwrap();
    let told = regie(scene.harness.folder(), &["--json", "forecast", "--target", "country=BE"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    // Four weeks, a quarter of them.
    assert!((expected(&told) - weekly).abs() < weekly * 0.15, "{told}");
    let words = regie(scene.harness.folder(), &["forecast", "--goal", "10000000"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("Oversold"), "{words}");
    let wrong = regie(scene.harness.folder(), &["forecast", "--target", "colour=red"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("colour"));
}
