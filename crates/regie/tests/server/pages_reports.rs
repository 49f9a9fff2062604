//! Reports, invoices and credits equal a stream of events counted by hand, sent through HTTP.

use crate::common::{self, Reply};
use crate::shown::{FLOOR_NANOS, Stage};
use regie_model::booking::{Role, Scope};
use serde_json::{Value, json};

fn charged(reply: &Reply) -> i64 {
    reply.json()["totals"][0]["gross_nanos"].as_i64().unwrap()
}
fn counts(row: &Value) -> [u64; 4] {
    ["served_count", "impressions_count", "viewable_count", "clicks_count"]
        .map(|name| row[name].as_u64().unwrap())
}

#[test]
fn a_report_equals_the_events_counted_by_hand() {
    let stage = Stage::open();
    // Waiting for the first decision hands out ads, too: count them from the answers alone.
    let mut tickets = vec![stage.ticket()];
    for _ in 0..9 {
        tickets.push(stage.ask()["ad"]["ticket"].as_str().unwrap().to_owned());
    }
    // By hand: 10 handed out; 8 shown, of these 5 seen, of these 2 clicked; 3 sent twice; 1 forged.
    for (index, ticket) in tickets.iter().enumerate() {
        match index {
            0..2 => stage.report(ticket, &["impression", "viewable", "click"]),
            2..5 => stage.report(ticket, &["impression", "viewable"]),
            5..8 => stage.report(ticket, &["impression"]),
            _ => {}
        }
    }
    tickets[..3].iter().for_each(|ticket| stage.report(ticket, &["impression"]));
    let mut forged = tickets[9].clone();
    forged.replace_range(40..41, if &forged[40..41] == "A" { "B" } else { "A" });
    let body = json!({ "events": [{ "kind": "impression", "ticket": forged }] });
    stage.harness.anonymous().post("/v1/events", body).expect(400);

    let reader = stage.harness.token(&[Scope::Read], None);
    let report = reader.get("/v1/reports?by=ad_set,placement,device").expect(200);
    let json = report.json();
    assert_eq!(json["rows"].as_array().unwrap().len(), 1, "{json}");
    let row = &json["rows"][0];
    assert_eq!(counts(row), [10, 8, 5, 2], "{json}");
    assert_eq!((&row["ad_set"], &row["placement"]), (&json!(stage.shop.ad_set), &json!(stage.placement)));
    assert_eq!(
        (row["viewability"].as_f64(), row["fill"].as_f64(), row["click_rate"].as_f64()),
        (Some(0.625), Some(0.8), Some(0.25))
    );
    let refused: Vec<(&str, &str, u64)> = json["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["kind"].as_str().unwrap(), r["reason"].as_str().unwrap(), r["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(refused, [("impression", "duplicate", 3), ("other", "forged", 1)]);
    // Eight impressions at the floor, to the nano; the ledger's account says the same.
    assert_eq!(charged(&report), 8 * FLOOR_NANOS);
    let ledger =
        stage.harness.app.platform.folds().ledger.account(stage.shop.advertiser.parse().unwrap()).unwrap();
    assert_eq!(i128::from(charged(&report)), ledger.gross.0);
    assert_eq!(row["gross"], ledger.gross.display(ledger.currency, 9));
}

#[test]
fn the_same_figures_by_every_dimension_and_as_csv() {
    let stage = Stage::open();
    stage.show(5);
    for by in [
        "hour",
        "day",
        "hour_of_day",
        "element",
        "campaign",
        "ad_set",
        "ad",
        "version",
        "placement",
        "country",
        "device",
        "hour,ad,country",
        "",
    ] {
        let json = stage.owner.get(&format!("/v1/reports?by={by}")).expect(200).json();
        let sum: u64 =
            json["rows"].as_array().unwrap().iter().map(|r| r["impressions_count"].as_u64().unwrap()).sum();
        assert_eq!((sum, &json["totals"][0]["impressions_count"]), (5, &json!(5)), "{by}");
    }
    let csv = stage.owner.get("/v1/reports?by=day,ad&format=csv").expect(200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    let text = csv.text();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("day,ad,served_count,impressions_count"), "{text}");
    assert_eq!(lines.next().unwrap().split(',').nth(3), Some("5"), "{text}");
    let html = stage.owner.get("/console/reports").expect(200).text();
    assert!(html.contains("Impressions") && html.contains("journal position"));
}

#[test]
fn currencies_are_never_added_together() {
    let stage = Stage::open();
    let owner = &stage.owner;
    let mut publisher = common::publisher();
    publisher["rates"] = json!([{ "currency": "USD", "rate_nanos": 900_000_000, "quoted_on": "2026-11-01" }]);
    owner.put("/v1/publisher", publisher).expect(200);
    let mut dollars = common::advertiser("Dollar Shop");
    dollars["currency"] = "USD".into();
    let advertiser = common::create(owner, "/v1/advertisers", dollars);
    let mut campaign = common::campaign(&advertiser, &stage.shop.party);
    campaign["advertiser"] = advertiser.clone().into();
    let campaign = common::create(owner, "/v1/campaigns", campaign);
    let mut set = common::ad_set(&campaign);
    set["bid"] = json!({ "kind": "cpm", "micros_per_mille": 9_000_000 });
    let set = common::create(owner, "/v1/ad-sets", set);
    let ad = common::create(owner, "/v1/ads", common::ad(&set));
    common::create(owner, "/v1/versions", common::html_version(&ad, "Dollars"));
    stage.fund(&common::Shop { advertiser, ..stage.shop.clone() });
    stage.show(2);
    stage.approve(&ad);
    stage.harness.wait_for("the dollar ad", || {
        stage.show(1);
        !stage.owner.get(&format!("/v1/reports?campaign={campaign}")).json()["rows"]
            .as_array()
            .unwrap()
            .is_empty()
    });
    stage.show(1);
    let json = owner.get("/v1/reports?by=day").expect(200).json();
    let mut currencies: Vec<&str> =
        json["rows"].as_array().unwrap().iter().map(|r| r["currency"].as_str().unwrap()).collect();
    currencies.sort_unstable();
    assert_eq!(currencies, ["EUR", "USD"], "{json}");
    assert_eq!(json["totals"].as_array().unwrap().len(), 2);
}

#[test]
fn faults_in_a_question_are_all_named_and_rows_are_bounded() {
    let stage = Stage::open();
    stage.show(2);
    let reply = stage.owner.get("/v1/reports?by=day,colour&from=yesterday&campaign=7&format=xml&limit=x");
    assert_eq!(
        reply.faults(),
        ["by: unknown", "campaign: malformed", "format: unknown", "from: malformed", "limit: out_of_range"]
    );
    let first = stage.owner.get("/v1/reports?by=hour,version,placement,ad&limit=1").expect(200).json();
    assert_eq!(first["limit"], 1);
    assert_eq!(first["rows"].as_array().unwrap().len(), 1);
    assert!(first["cursor"].is_null() || first["rows_count"].as_u64().unwrap() > 1);
    let past = stage.owner.get("/v1/reports?cursor=5").expect(200).json();
    assert_eq!(past["rows"], json!([]));
}

#[test]
fn a_credit_refers_to_its_charge_and_shows_net_and_gross() {
    let stage = Stage::open();
    stage.show(3);
    let before = stage.owner.get("/v1/reports").expect(200).json()["totals"][0].clone();
    let gross = before["gross_nanos"].as_i64().unwrap();
    // The first impression of this account stands somewhere before the head: look for a charge.
    let head = stage.harness.app.metrics.head();
    let found = (1..=head).find(|position| {
        let credit = json!({ "position": position, "amount_nanos": 1_000, "reason": "robot" });
        stage.owner.post("/v1/credits", credit).status == 201
    });
    let position = found.expect("a charge");
    let part = stage.owner.get("/v1/reports").expect(200).json()["totals"][0].clone();
    assert_eq!((&part["gross_nanos"], &part["credited_nanos"]), (&json!(gross), &json!(1_000)));
    assert_eq!(part["net_nanos"], json!(gross - 1_000));
    let rest = stage
        .owner
        .post("/v1/credits", json!({ "position": position, "full": true, "reason": "robot" }))
        .expect(201)
        .json();
    assert_eq!(rest["charged_nanos"], rest["credited_nanos"]);
    let again =
        stage.owner.post("/v1/credits", json!({ "position": position, "full": true, "reason": "robot" }));
    assert_eq!(again.faults(), ["position: nothing_left"]);
    let nonsense = stage
        .owner
        .post("/v1/credits", json!({ "position": 1, "amount_nanos": -5, "full": true, "reason": "" }));
    assert_eq!(
        nonsense.faults(),
        ["amount_nanos: contradiction", "amount_nanos: too_small", "position: no_charge", "reason: missing"]
    );
    let reader = stage.harness.user(Role::ReadOnly, None);
    assert_eq!(
        reader.post("/v1/credits", json!({ "position": position, "full": true, "reason": "x" })).status,
        403
    );
    // The record shows the net, and both parts of it.
    let entry =
        stage.harness.anonymous().get(&format!("/record/ads/{}.json", stage.shop.ad)).expect(200).json();
    assert_eq!(entry["figures"]["gross_nanos"], gross.to_string());
    assert_eq!(entry["figures"]["credited_nanos"], rest["credited_nanos"].to_string());
}

#[test]
fn a_statement_adds_up_and_an_open_month_is_not_invoiced() {
    let stage = Stage::open();
    stage.show(4);
    let zone = regie_model::Zone::parse("Europe/Paris").unwrap();
    let (year, month) = zone.day(stage.harness.app.platform.now()).year_month();
    let advertiser = &stage.shop.advertiser;
    let path = format!("/v1/invoices/{advertiser}/{year}-{month:02}");
    let statement = stage.owner.get(&path).expect(200).json();
    let gross = stage.owner.get("/v1/reports").expect(200).json()["totals"][0]["gross_nanos"].clone();
    assert_eq!((&statement["gross_nanos"], &statement["number"]), (&gross, &Value::Null), "{statement}");
    assert_eq!(statement["lines"][0]["quantity_count"], 4);
    let csv = stage.owner.get(&format!("{path}?format=csv")).expect(200).text();
    assert!(csv.lines().any(|l| l.contains(",impression,4,EUR,")), "{csv}");
    let issue =
        stage.owner.post("/v1/invoices", json!({ "advertiser": advertiser, "year": year, "month": month }));
    assert_eq!(issue.faults(), ["month: not_closed"]);
    let empty =
        stage.owner.post("/v1/invoices", json!({ "advertiser": advertiser, "year": 2020, "month": 1 }));
    assert_eq!(empty.faults(), ["month: empty"]);
    stage.owner.get("/v1/invoices/adv_77/2026-01").expect(404);
    let other = stage.harness.user(Role::Advertiser, Some(regie_model::AdvertiserId(77)));
    assert_eq!(other.get(&path).status, 404);
    let html =
        stage.owner.get(&format!("/console/billing/{advertiser}/{year}-{month:02}")).expect(200).text();
    assert!(html.contains("not an invoice") && html.contains("impressions"), "{html}");
}
