//! Learning over HTTP: a template is booked, shown and told by element; experiments report; steps of adapting keep to their limits.

use crate::{
    common::*,
    scene::{Booking, Scene, problem},
};
use regie_model::{VersionId, booking::Role};
use serde_json::{Value, json};

fn slot(name: &str, words: &[&str]) -> Value {
    let assets: Vec<Value> = words.iter().map(|w| json!({ "text": w })).collect();
    json!({ "name": name, "capacity": 16, "assets": assets })
}
fn template() -> Value {
    let markup = "<a href=\"{CLICK_URL}\"><b>{slot:head}</b> {slot:button}</a>";
    json!({
        "layout": { "kind": "html", "markup": markup, "size": { "width": 300, "height": 250 } },
        "slots": [slot("head", &["Warm <socks>", "Dry boots"]), slot("button", &["Buy", "See"])],
        "never": [[{ "slot": 0, "asset": 1 }, { "slot": 1, "asset": 0 }]],
    })
}
fn edit(scene: &Scene, path: &str, change: impl FnOnce(&mut Value)) -> Reply {
    let mut spec = scene.owner.get(path).expect(200).json()["spec"].clone();
    change(&mut spec);
    scene.owner.put(path, spec)
}
/// Shows an ad and clicks it, so many times.
fn visit(scene: &Scene, count: usize, clicks: impl Fn(&Value) -> bool) {
    for _ in 0..count {
        let slot = scene.ask(json!({}));
        let ticket = slot["ad"]["ticket"].as_str().unwrap_or_else(|| panic!("no ad: {slot}"));
        scene.report(&[("impression", ticket)]).expect(200);
        if clicks(&slot["ad"]) {
            scene.click(ticket);
        }
    }
}

#[test]
fn a_template_is_booked_shown_learned_and_told() {
    let scene = Scene::start();
    let shop = scene.book(
        &Booking::cpm("Combines", 9_000_000)
            .set(json!({ "learning": { "goal": "clicks", "explore_ppm": 200_000 } })),
    );
    let path = format!("/v1/ads/{}", shop.ad);
    let mut wrong = template();
    wrong["slots"][1]["name"] = json!("nowhere");
    let refused = edit(&scene, &path, |spec| spec["template"] = wrong);
    assert_eq!(problem(&refused, 422), "invalid", "{}", refused.text());
    assert!(
        refused.faults().iter().any(|f| f.starts_with("template.slots[1].name")),
        "{:?}",
        refused.faults()
    );
    edit(&scene, &path, |spec| spec["template"] = template()).expect(200);
    scene
        .owner
        .post(&format!("/v1/versions/{}/status", shop.version), json!({ "status": "paused" }))
        .expect(200);
    scene.owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
    scene.settle();
    let code_of =
        |ad: &Value| ad["version"].as_str().unwrap().parse::<VersionId>().unwrap().template_code().unwrap();
    let slot = scene.ask(json!({}));
    let frame = scene.harness.anonymous().get(slot["ad"]["frame_path"].as_str().unwrap()).expect(200);
    assert!(!frame.text().contains("<socks>") && !frame.text().contains("{slot:"), "{}", frame.text());
    let ticket = scene.open(slot["ad"]["ticket"].as_str().unwrap());
    assert!(ticket.propensity > 0.0 && ticket.propensity < 1.0, "three combinations share the impressions");
    // Code 16 + 1 is (Dry boots, See): what readers like.
    visit(&scene, 160, |ad| code_of(ad) == 17);
    let learning = format!("/v1/ad-sets/{}/learning", shop.ad_set);
    scene.harness.wait_for("a table of the template", || {
        let known = scene.owner.get(&learning).json();
        known["templates"][0]["combinations"].as_array().is_some_and(|list| !list.is_empty())
    });
    let known = scene.owner.get(&learning).expect(200).json();
    let shown = &known["templates"][0];
    assert_eq!(
        (shown["combinations_count"].as_u64(), known["total"]["impressions_count"].as_u64()),
        (Some(4), Some(160))
    );
    assert_eq!(shown["elements"].as_array().unwrap().len(), 4);
    assert!(shown["elements"][1]["odds"].as_f64().unwrap() > 1.0, "{}", shown["elements"]);
    assert!(known["versions"][0]["why"].as_str().unwrap().contains("draws"), "{known}");
    for path in [
        format!("/console/ad-sets/{}/learning", shop.ad_set),
        format!("/console/ads/{}/template", shop.ad),
        format!("/console/campaigns/{}/adapting", shop.campaign),
        "/console/learning".into(),
    ] {
        let page = scene.owner.get(&path).expect(200).text();
        assert!(
            page.contains("Dry boots") || !path.contains("learning") || path == "/console/learning",
            "{path}"
        );
    }
    // A person books a proposal: a version of its own, which waits for review.
    let code = shown["proposals"][0]["code"].as_u64().unwrap();
    let booked =
        scene.owner.post(&format!("/v1/ads/{}/proposals/{code}", shop.ad), json!({})).expect(201).json();
    let version =
        scene.owner.get(&format!("/v1/versions/{}", booked["id"].as_str().unwrap())).expect(200).json();
    assert_eq!(version["review"]["state"], "pending", "{version}");
    assert_eq!(
        scene.owner.post(&format!("/v1/ads/{}/proposals/1", shop.ad), json!({})).status,
        404,
        "never together"
    );
    // What was booked keeps its meaning.
    let changed =
        edit(&scene, &path, |spec| spec["template"]["slots"][0]["assets"][0]["text"] = json!("Other words"));
    assert_eq!(changed.faults(), ["template.slots[0].assets: fixed"]);
    edit(&scene, &path, |spec| spec["template"]["slots"][0]["assets"][1]["retired"] = json!(true))
        .expect(200);
    scene.settle();
    for _ in 0..30 {
        assert_eq!(code_of(&scene.ask(json!({}))["ad"]) % 16, 0, "retired at once, without a review");
    }
    // Reports by element: each impression once in each slot, and once in the totals.
    let report = scene.owner.get(&format!("/v1/reports?by=element&ad={}", shop.ad)).expect(200).json();
    let shown = |key: String| {
        let rows = report["rows"].as_array().unwrap().iter();
        rows.filter(|r| r["element"].as_str().unwrap().starts_with(&key))
            .map(|r| r["impressions_count"].as_u64().unwrap())
            .sum::<u64>()
    };
    let all = report["totals"][0]["impressions_count"].as_u64().unwrap();
    assert!(all > 0);
    assert_eq!((shown(format!("{}:1.", shop.ad)), shown(format!("{}:2.", shop.ad))), (all, all), "{report}");
    let page = scene.owner.get(&format!("/console/campaigns/{}/results", shop.campaign)).expect(200).text();
    assert!(
        page.contains("By element of the template") && page.contains("head: Warm &lt;socks&gt;"),
        "{page}"
    );
    // Another advertiser sees none of it.
    let other = scene.book(&Booking::cpm("Other", 1_000_000));
    let stranger = scene.harness.user(Role::Advertiser, Some(other.advertiser.parse().unwrap()));
    for path in [
        learning,
        format!("/v1/ad-sets/{}/experiment", shop.ad_set),
        format!("/v1/campaigns/{}/adapting", shop.campaign),
    ] {
        assert_eq!(stranger.get(&path).status, 404, "{path}");
    }
    assert_eq!(stranger.get("/v1/learning/rates").status, 403);
}

#[test]
fn an_experiment_is_counted_and_told() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Compares", 9_000_000));
    let second = create(&scene.owner, "/v1/ads", ad(&shop.ad_set));
    create(&scene.owner, "/v1/versions", html_version(&second, "second"));
    scene.owner.post("/v1/reviews", json!({ "ads": [second], "verdict": "approved" })).expect(200);
    let arms = json!([{ "name": "old", "share_ppm": 500_000, "ads": [shop.ad] }, { "name": "new", "share_ppm": 500_000, "ads": [second] }]);
    let path = format!("/v1/ad-sets/{}", shop.ad_set);
    edit(&scene, &path, |spec| {
        spec["experiment"] = json!({ "name": "first", "unit": "page_view", "arms": arms })
    })
    .expect(200);
    scene.settle();
    visit(&scene, 40, |ad| ad["ad"] == json!(second));
    let told = || scene.owner.get(&format!("/v1/ad-sets/{}/experiment", shop.ad_set)).expect(200).json();
    scene.harness.wait_for("the arms' counts", || {
        let arms = told()["phases"][0]["arms"].clone();
        let count = |arm: usize| arms[arm]["counts"]["impressions_count"].as_u64().unwrap_or_default();
        count(0) + count(1) == 40
    });
    let phase = told()["phases"][0].clone();
    assert_eq!((phase["name"].as_str(), phase["runs"].as_bool()), (Some("first"), Some(true)));
    assert_eq!(phase["arms"][0]["counts"]["clicks_count"], 0, "{phase}");
    assert!(phase["report"]["stopping_rule"].as_str().unwrap().contains("as you like"), "{phase}");
    let page = scene.owner.get(&format!("/console/ad-sets/{}/experiment", shop.ad_set)).expect(200).text();
    assert!(page.contains("No hour is closed yet"), "words before figures");
}

#[test]
fn a_step_of_adapting_keeps_to_the_advertisers_limits() {
    let scene = Scene::start();
    let daily = json!({ "daily_budget_micros": 50_000_000 });
    let shop = scene.book(&Booking::cpm("Adapts", 2_000_000).set(daily));
    let mut spec = ad_set(&shop.campaign);
    spec["daily_budget_micros"] = json!(50_000_000);
    let second = create(&scene.owner, "/v1/ad-sets", spec);
    let step = |amount: i64| {
        let step = json!({ "step": "budget_moved", "from": shop.ad_set, "to": second, "amount_micros": amount,
            "returns": [2.0, 1.0], "probability": 0.99, "reason": "It brings twice as much." });
        scene.owner.post(
            "/v1/commands",
            json!({ "commands": [{ "command": "adapt", "campaign": shop.campaign, "step": step }] }),
        )
    };
    assert_eq!(problem(&step(1_000_000), 422), "invalid", "nothing may be changed unasked");
    let limits = |id: &str| json!({ "ad_set": id, "least_micros": 40_000_000, "most_micros": 70_000_000 });
    let path = format!("/v1/campaigns/{}", shop.campaign);
    edit(&scene, &path, |spec| spec["adapt"] = json!({ "limits": [limits(&shop.ad_set), limits(&second)] }))
        .expect(200);
    assert_eq!(problem(&step(11_000_000), 422), "invalid", "below the least that it keeps");
    step(10_000_000).expect(200);
    let budget = |id: &str| {
        scene.owner.get(&format!("/v1/ad-sets/{id}")).json()["spec"]["daily_budget_micros"].clone()
    };
    assert_eq!((budget(&shop.ad_set), budget(&second)), (json!(40_000_000), json!(60_000_000)));
    let adapting = format!("/v1/campaigns/{}/adapting", shop.campaign);
    scene.harness.wait_for("the step among those taken", || {
        scene.owner.get(&adapting).json()["taken"].as_array().is_some_and(|taken| taken.len() == 1)
    });
    let taken = scene.owner.get(&adapting).expect(200).json()["taken"][0].clone();
    assert_eq!(taken["step"]["reason"], "It brings twice as much.");
    let page = scene.owner.get(&format!("/console/campaigns/{}/adapting", shop.campaign)).expect(200).text();
    assert!(page.contains("10.00 a day moved"), "{page}");
    // An advertiser sets limits and sees steps; steps themselves are the job's and the publisher's.
    let advertiser = scene.harness.user(Role::Advertiser, Some(shop.advertiser.parse().unwrap()));
    let own =
        json!({ "commands": [{ "command": "adapt", "campaign": shop.campaign, "step": taken["step"] }] });
    assert_eq!(advertiser.post("/v1/commands", own).status, 403);
}
