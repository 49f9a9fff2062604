//! Reports made by the clock: ordered, made when their period is over, fetched by whom they concern, and gone in time.

use crate::common;
use crate::shown::Stage;
use regie::http::downloads::round;
use regie_model::{
    UtcMs,
    booking::{Role, Scope},
    time::DAY_MS,
};
use serde_json::{Value, json};

fn order(stage: &Stage) -> Value {
    json!({ "campaign": stage.shop.campaign, "every": "day", "by": "day,version", "keep_days": 3 })
}
/// A round as if it were so many days later.
fn later(stage: &Stage, days: i64) -> usize {
    let app = &stage.harness.app;
    stage.harness.run(round(app, UtcMs(app.platform.now().0 + days * DAY_MS))).unwrap()
}

#[test]
fn a_daily_report_is_made_once_when_its_day_is_over_and_says_what_reports_say() {
    let stage = Stage::open();
    stage.show(5);
    let kim = stage.harness.token(&[Scope::Book, Scope::Read], stage.shop.advertiser.parse().ok());
    let placed = kim.post("/v1/report-orders", order(&stage)).expect(201).json();
    assert_eq!((&placed["every"], &placed["keep_days"]), (&json!("day"), &json!(3)));
    // Yesterday is over, today is not.
    assert_eq!((later(&stage, 0), later(&stage, 0)), (1, 0));
    assert_eq!((later(&stage, 1), later(&stage, 1)), (1, 0));
    let files = kim.get("/v1/report-files").expect(200).json()["files"].clone();
    assert_eq!(files.as_array().unwrap().len(), 2, "{files}");
    let full = files.as_array().unwrap().iter().find(|f| f["rows_count"] == 1).unwrap().clone();
    let got = kim.get(full["path"].as_str().unwrap()).expect(200);
    assert!(got.header("content-disposition").contains(full["name"].as_str().unwrap()));
    let (from, campaign) = (full["from"].as_str().unwrap(), &stage.shop.campaign);
    let asked = format!(
        "/v1/reports?campaign={campaign}&by=day,version&from={from}&to={from}&zone=Europe/Paris&format=csv"
    );
    assert_eq!(got.text(), kim.get(&asked).expect(200).text());
    assert!(got.text().contains(&stage.shop.version));
    // Kept for three days after it was made, then gone from list and disk.
    later(&stage, 5);
    assert_eq!(kim.get(full["path"].as_str().unwrap()).status, 404);
    let path = format!("/v1/report-orders/{}/end", placed["id"]);
    kim.post(&path, json!({})).expect(200);
    assert_eq!(
        (later(&stage, 9), kim.get("/v1/report-orders").json()["orders"].as_array().unwrap().len()),
        (0, 0)
    );
}

#[test]
fn orders_and_files_are_for_whom_the_campaign_is() {
    let stage = Stage::open();
    let other = common::open_shop(&stage.owner, "Other Shop");
    let stranger = stage.harness.token(&[Scope::Book, Scope::Read], other.advertiser.parse().ok());
    stranger.post("/v1/report-orders", order(&stage)).expect(404);
    let placed = stage.owner.post("/v1/report-orders", order(&stage)).expect(201).json();
    later(&stage, 0);
    let file = stage.owner.get("/v1/report-files").json()["files"][0]["id"].clone();
    stranger.get(&format!("/v1/report-files/{file}")).expect(404);
    assert_eq!(stranger.get("/v1/report-files").json()["files"], json!([]));
    assert_eq!(stranger.get("/v1/report-orders").json()["orders"], json!([]));
    stranger.post(&format!("/v1/report-orders/{}/end", placed["id"]), json!({})).expect(404);
    let person = stage.harness.user(Role::Advertiser, other.advertiser.parse().ok());
    person.get(&format!("/console/downloads/{file}")).expect(404);
    assert!(
        !person.get("/console/downloads").expect(200).text().contains(&format!("/console/downloads/{file}"))
    );
    let reader = stage.harness.user(Role::ReadOnly, None);
    reader.get(&format!("/console/downloads/{file}")).expect(200);
    reader.form("/console/downloads", &[("campaign", &stage.shop.campaign)]).expect(403);
    // What makes no sense is named by field.
    let bad = json!({ "campaign": stage.shop.campaign, "every": "week", "by": "day,weather", "keep_days": 0, "mail": true });
    assert_eq!(
        stage.owner.post("/v1/report-orders", bad).faults(),
        ["by: unknown", "keep_days: out_of_range", "mail: unavailable"]
    );
}

#[test]
fn a_report_is_ordered_on_the_page_survives_a_restart_and_ends_with_its_campaign() {
    let mut stage = Stage::open();
    stage.show(1);
    let kim = stage.harness.user(Role::Advertiser, stage.shop.advertiser.parse().ok());
    let refused =
        kim.form("/console/downloads", &[("every", "week"), ("keep_days", "many")]).expect(422).text();
    assert!(refused.contains("id=\"e-campaign\"") && refused.contains("value=\"many\""), "{refused}");
    let campaign = stage.shop.campaign.clone();
    let pairs =
        [("campaign", campaign.as_str()), ("every", "week"), ("by", "day,placement"), ("keep_days", "30")];
    kim.form("/console/downloads", &pairs).expect(303);
    let page = kim.get("/console/downloads").expect(200).text();
    assert!(
        page.contains("each Monday, of the week before") && page.contains(&format!("{campaign}_")),
        "the last week is there at once: {page}"
    );
    stage.harness = stage.harness.restart();
    stage.owner = stage.harness.owner();
    let orders = stage.owner.get("/v1/report-orders").json()["orders"].clone();
    assert_eq!(orders.as_array().unwrap().len(), 1);
    // The campaign ended long ago: the next round ends the order instead of making empty files for ever.
    let path = format!("/v1/campaigns/{campaign}");
    let mut spec = stage.owner.get(&path).expect(200).json()["spec"].clone();
    spec["flight"]["ends_at"] = json!("2026-02-01T00:00:00Z");
    stage.owner.put(&path, spec).expect(200);
    assert_eq!(later(&stage, 7), 0);
    assert_eq!(stage.owner.get("/v1/report-orders").json()["orders"], json!([]));
    assert_eq!(stage.owner.get("/v1/report-files").json()["files"].as_array().unwrap().len(), 1);
}
