//! `regie explain`: kept decisions come out again byte for byte; of others it says what is missing (law D1).

use crate::{
    common::*,
    scene::{Booking, Scene},
};
use regie::platform::{
    Ack, Appender, Parts, Platform, objects::Objects, secrets::Secrets, state_db::StateDb,
};
use regie_journal::{Appended, Position, QueueFull};
use regie_model::{UtcMs, booking::Role, command::Command as Booked, event::Actor};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub fn regie(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_regie")).arg("--folder").arg(folder).args(args).output().unwrap()
}
fn sample(scene: &Scene, ppm: u32) {
    let mut spec = publisher();
    spec["sample_ppm"] = json!(ppm);
    scene.owner.put("/v1/publisher", spec).expect(200);
    scene.settle();
}
/// Explains a decision once its inputs are in the projections.
fn explained(scene: &Scene, decision: &str) -> String {
    let mut told = String::new();
    scene.within(5_000, "keeping the inputs", || {
        let output = regie(scene.harness.folder(), &["explain", decision]);
        told = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success()
    });
    told
}

#[test]
fn a_political_decision_is_always_kept_and_comes_out_again() {
    let scene = Scene::start();
    let cyclists = create(&scene.owner, "/v1/segments", json!({ "name": "Cyclists" }));
    let political = Booking::cpm("Party", 3_000_000).campaign(json!({ "political": declaration() }));
    let shop = scene.book(&political);
    let clause = json!([{ "dimension": "segment", "op": "in", "values": [cyclists] }]);
    let other = scene.book(&Booking::cpm("Commerce", 2_000_000).targeting(clause));
    sample(&scene, 0);
    let page = json!({ "url": "https://gazette.example/vote", "language": "fr" });
    let more = json!({ "page": page, "segments": [cyclists, "seg_77"], "visitor": { "location": { "country": "FR", "city": "Paris" } } });
    let slot = scene.ask_as(&scene.decider(), more);
    assert_eq!(slot["ad"]["ad_set"], json!(shop.ad_set));
    // Everything changes afterwards: the decision is taken on what was.
    scene.report(&[("impression", slot["ad"]["ticket"].as_str().unwrap())]).expect(200);
    scene
        .owner
        .post(&format!("/v1/ad-sets/{}/status", shop.ad_set), json!({ "status": "archived" }))
        .expect(200);
    let decision = slot["ad"]["decision"].as_str().unwrap();
    let told = explained(&scene, decision);
    assert!(told.contains("the same decision, byte for byte"), "{told}");
    assert!(told.lines().any(|l| l.contains(&shop.ad_set) && l.contains("shown")), "{told}");
    assert!(told.lines().any(|l| l.contains(&other.ad_set) && l.contains("not shown")), "{told}");
    let json = regie(scene.harness.folder(), &["--json", "explain", decision]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["decision"], &json["same_as_recorded"]), (&json!(decision), &json!(true)));
    // Law P1: what no targeting could have used was not kept.
    let kept = kept(&scene, decision);
    let location = &kept["request"]["location"];
    assert_eq!((&location["country"], &location["city"]), (&Value::Null, &Value::Null), "{kept}");
    assert_eq!(kept["request"]["segments"], json!([cyclists]), "{kept}");
}

/// The kept inputs of a decision, from the journal.
fn kept(scene: &Scene, decision: &str) -> Value {
    let folder = regie::platform::folder::Folder::open(scene.harness.folder()).unwrap();
    serde_json::to_value(regie::cli::explain::find(&folder, decision.parse().unwrap()).unwrap()).unwrap()
}

#[test]
fn each_political_ad_of_a_request_can_be_explained() {
    let scene = Scene::start();
    create(&scene.owner, "/v1/placements", placement(&scene.site, "side"));
    for name in ["One", "Other"] {
        scene.book(&Booking::cpm(name, 3_000_000).campaign(json!({ "political": declaration() })));
    }
    sample(&scene, 0);
    let places = json!({ "placements": [{ "name": "front-top" }, { "name": "side" }] });
    let reply = scene.harness.anonymous().post("/v1/decisions", scene.request(places)).expect(200).json();
    for slot in reply["decisions"].as_array().unwrap() {
        let told = explained(&scene, slot["ad"]["decision"].as_str().unwrap());
        assert!(told.contains("byte for byte"), "{told}");
    }
}

#[test]
fn decisions_of_every_kind_come_out_again_while_bookings_change() {
    let scene = Scene::start();
    sample(&scene, 1_000_000);
    let shops =
        [3_000_000, 2_500_000, 2_000_000].map(|bid| scene.book_unapproved(&Booking::cpm("Some", bid)));
    let ads: Vec<&String> = shops.iter().map(|s| &s.ad).collect();
    scene.owner.post("/v1/reviews", json!({ "ads": ads, "verdict": "approved" })).expect(200);
    let mut decisions = Vec::new();
    for round in 0..12 {
        let status = if round % 2 == 0 { "paused" } else { "active" };
        let path = format!("/v1/ad-sets/{}/status", shops[round / 2 % 3].ad_set);
        // Asked while the edit is on its way.
        std::thread::scope(|scope| {
            scope.spawn(|| scene.owner.post(&path, json!({ "status": status })).expect(200));
            for _ in 0..6 {
                if let Some(id) = scene.ask(json!({}))["ad"]["decision"].as_str() {
                    decisions.push(id.to_owned());
                }
            }
        });
    }
    assert!(decisions.len() > 40, "{}", decisions.len());
    let last = decisions.last().unwrap();
    explained(&scene, last);
    let folder = regie::platform::folder::Folder::open(scene.harness.folder()).unwrap();
    for decision in &decisions {
        let inputs = regie::cli::explain::find(&folder, decision.parse().unwrap()).unwrap();
        let (_, same) = regie::cli::explain::again(&folder, &inputs).unwrap();
        assert!(same, "decision {decision} came out different, on snapshot {}", inputs.snapshot);
    }
}

#[test]
fn of_a_decision_not_kept_it_says_what_is_missing() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 2_000_000));
    sample(&scene, 0);
    let slot = scene.ask(json!({}));
    let output = regie(scene.harness.folder(), &["explain", slot["ad"]["decision"].as_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for word in
        ["were not kept", "missing are", "request", "time", "seed", "frequency", "budget", "explain=1"]
    {
        assert!(error.contains(word), "{word}: {error}");
    }
    let output = regie(scene.harness.folder(), &["explain", "ad_1"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("EPOCH-SEQUENCE"), "{error}");
    // What would happen now can be asked.
    let now = scene.harness.user(Role::Owner, None).post("/v1/decisions?explain=1", scene.request(json!({})));
    assert_eq!(now.expect(200).json()["placements"][0]["ad_sets"][0]["verdict"], "won");
}

/// Acknowledges at once; the folds never hear of it, as when they are behind.
struct Ahead(AtomicU64);
impl Appender for Ahead {
    fn submit(&self, payloads: Vec<Vec<u8>>, ack: Ack) -> Result<(), QueueFull> {
        let count = payloads.len() as u64;
        let first = self.0.fetch_add(count, Ordering::SeqCst) + 1;
        ack(Ok(Appended { first: Position(first), last: Position(first + count - 1), at_ms: 1 }));
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        false
    }
}

#[test]
fn a_snapshot_states_the_position_of_the_last_change_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts {
        clock: Arc::new(|| UtcMs(1_800_000_000_000)),
        secrets: Secrets::in_memory().unwrap(),
        objects: Objects::new(dir.path()),
        state: StateDb::in_memory().unwrap(),
        restored: false,
    };
    let platform = Platform::open(parts).unwrap();
    platform.connect(Arc::new(Ahead(AtomicU64::new(0))));
    for name in ["One", "Two"] {
        let mut spec = publisher();
        spec["name"] = json!(name);
        let command: Booked =
            serde_json::from_value(json!({ "command": "put_publisher", "spec": spec })).unwrap();
        platform.command(Actor::Operator, vec![command], Box::new(|result| drop(result.unwrap())));
    }
    assert!(platform.publish());
    let view = platform.current_view();
    assert_eq!(view.publisher.as_ref().unwrap().name, "Two");
    assert_eq!(view.snapshot.position(), 2, "law D1: the catalogue at this position is what is shown");
}
