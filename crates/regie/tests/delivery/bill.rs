//! Money: exact prices by event, currencies, flat fees, credits.

use crate::{
    common::*,
    count::counts,
    scene::{Booking, FLOOR, Scene},
};
use regie_model::{UtcMs, Zone, booking::Scope};
use serde_json::{Value, json};

#[test]
fn impressions_cost_the_second_price_to_the_nano() {
    let scene = Scene::start();
    let first = scene.book(&Booking::cpm("First", 3_000_001));
    scene.book(&Booking::cpm("Second", 1_234_567));
    let mut owed = 0;
    for _ in 0..20 {
        let ticket = scene.ticket();
        let opened = scene.open(&ticket);
        assert_eq!(opened.ad_set.to_string(), first.ad_set);
        assert_eq!(opened.price_nanos, 1_234_567, "micros per mille are nanos an impression");
        owed += opened.price_nanos;
        scene.report(&[("impression", &ticket), ("viewable", &ticket), ("click", &ticket)]).expect(200);
    }
    let row = scene.of(&first.ad_set);
    assert_eq!(counts(&row), [20, 20, 20, 0, owed]);
    assert_eq!((&row["gross"], &row["currency"]), (&json!("0.024691340"), &json!("EUR")));
    assert_eq!(
        scene.figures("by=campaign")["totals"][0]["gross_nanos"],
        owed,
        "clicks and views are not billed"
    );
}

#[test]
fn clicks_cost_what_their_tickets_say_and_impressions_nothing() {
    let scene = Scene::start();
    let bid = json!({ "bid": { "kind": "cpc", "micros_per_click": 250_000 } });
    let shop = scene.book(&Booking::cpm("First", 1).set(bid));
    let mut owed = 0;
    for number in 0..30 {
        let ticket = scene.ticket();
        let price = scene.open(&ticket).price_nanos;
        assert!((1..=250_000_000).contains(&price), "{price}");
        scene.report(&[("impression", &ticket)]).expect(200);
        if number % 3 == 0 {
            scene.click(&ticket);
            owed += price;
        }
    }
    assert_eq!(counts(&scene.of(&shop.ad_set)), [30, 0, 10, 0, owed]);
}

#[test]
fn another_currency_competes_by_its_dated_rate_and_is_billed_as_itself() {
    let scene = Scene::start();
    let rates = |list: Value| {
        let mut spec = publisher();
        spec["rates"] = list;
        scene.owner.put("/v1/publisher", spec).expect(200);
        scene.settle();
    };
    let euros = scene.book(&Booking::cpm("Euros", 1_700_000));
    let account = create(
        &scene.owner,
        "/v1/advertisers",
        json!({ "name": "Yen", "currency": "JPY", "zone": "UTC", "funding": { "kind": "prepaid" } }),
    );
    let its = create(&scene.owner, "/v1/parties", party("Yen"));
    let faults = scene.owner.post("/v1/campaigns", campaign(&account, &its)).faults();
    assert_eq!(faults, ["advertiser: no_rate"], "without a dated rate it cannot compete");
    let old = json!({ "currency": "USD", "rate_nanos": 500_000_000, "quoted_on": "2026-01-01" });
    let new = json!({ "currency": "USD", "rate_nanos": 900_000_000, "quoted_on": "2026-06-01" });
    rates(json!([new, old]));
    let dollars = scene.book(&Booking::cpm("Dollars", 2_000_000).account(json!({ "currency": "USD" })));
    let ticket = scene.ticket();
    let opened = scene.open(&ticket);
    assert_eq!(opened.ad_set.to_string(), dollars.ad_set, "1.80 EUR is more than 1.70");
    assert_eq!((opened.currency.code(), opened.rate_nanos), ("USD", 900_000_000));
    assert_eq!(opened.price_nanos, 1_888_888, "1.70 EUR in dollars, rounded in the payer's favour");
    let newest = json!({ "currency": "USD", "rate_nanos": 800_000_000, "quoted_on": "2026-07-01" });
    rates(json!([old, new, newest]));
    let other = scene.ticket();
    assert_eq!(scene.open(&other).ad_set.to_string(), euros.ad_set, "1.60 EUR is less than 1.70");
    assert_eq!(scene.open(&other).price_nanos, 1_600_000);
    // The first ticket keeps the rate of its decision.
    scene.report(&[("impression", &ticket), ("impression", &other)]).expect(200);
    let row = scene.of(&dollars.ad_set);
    assert_eq!((&row["currency"], &row["gross_nanos"]), (&json!("USD"), &json!(1_888_888)));
    let totals = scene.figures("by=placement")["totals"].clone();
    let sums: Vec<_> = totals
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["currency"].clone(), t["gross_nanos"].clone()))
        .collect();
    assert!(
        sums.contains(&(json!("USD"), json!(1_888_888))) && sums.contains(&(json!("EUR"), json!(1_600_000))),
        "{totals}"
    );
    let statement = statement(&scene, &dollars.advertiser);
    assert_eq!((&statement["currency"], &statement["gross_nanos"]), (&json!("USD"), &json!(1_888_888)));
}

/// The account's statement of the running month.
fn statement(scene: &Scene, advertiser: &str) -> Value {
    let zone = Zone::parse("Europe/Paris").unwrap();
    let (year, month) = zone.day(scene.harness.app.platform.now()).year_month();
    scene.owner.get(&format!("/v1/invoices/{advertiser}/{year}-{month:02}")).expect(200).json()
}

#[test]
fn a_flat_fee_accrues_by_day_and_sums_to_its_total() {
    let scene = Scene::start();
    let zone = Zone::parse("Europe/Paris").unwrap();
    let today = zone.day(scene.harness.app.platform.now()).0;
    let start_of = |offset: i32| zone.day_start(regie_model::Day(today + offset));
    let text = |at: UtcMs| serde_json::to_value(at).unwrap();
    let booking = |name, from: i32, until: i32, micros: i64| {
        let flight = json!({ "flight": { "starts_at": text(start_of(from)), "ends_at": text(start_of(until)) },
            "lifetime_budget_micros": 1_000_000_000 });
        let set = json!({ "bid": { "kind": "flat_fee", "total_micros": micros }, "tier": { "kind": "sponsorship", "share_ppm": 1_000_000 } });
        Booking::cpm(name, 1).campaign(flight).set(set)
    };
    // Seven days, of which three are past and today has begun; and a flight over the change of clocks, all past.
    let running = scene.book(&booking("Running", -3, 4, 1_000_003));
    let over = scene.book(&booking("Over", -60, 0, 999_999_999));
    let want = 1_000_003_000i64 * 4 / 7;
    scene.within(5_000, "the accrual", || scene.of(&over.ad_set)["gross_nanos"] == json!(999_999_999_000i64));
    assert_eq!(scene.of(&running.ad_set)["gross_nanos"], want);
    let ticket = scene.ticket();
    assert_eq!(scene.open(&ticket).ad_set.to_string(), running.ad_set, "a sponsor comes before the auction");
    scene.report(&[("impression", &ticket), ("click", &ticket)]).expect(200);
    let row = scene.of(&running.ad_set);
    assert_eq!(counts(&row), [1, 0, 1, 0, want], "events cost nothing beside the fee");
    // More ticks and a restart change nothing: a day accrues once.
    let harness = scene.harness.restart();
    let owner = harness.owner();
    let scene = Scene { harness, owner, ..scene };
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert_eq!(scene.of(&running.ad_set)["gross_nanos"], want);
    assert_eq!(scene.of(&over.ad_set)["gross_nanos"], 999_999_999_000i64);
}

#[test]
fn a_credit_refers_to_its_charge_and_shows_net_beside_gross() {
    let scene = Scene::start();
    let bid = json!({ "kind": "cpa", "micros_per_conversion": 2_000_000, "action": "order" });
    let shop = scene.book(&Booking::cpm("First", 1).set(json!({ "bid": bid })).prepaid(1_500_000));
    let shop_server = scene.harness.token(&[Scope::Conversions], None);
    let ticket = scene.ticket();
    let price = scene.open(&ticket).price_nanos;
    assert!(price > 750_000_000 && price < 1_500_000_000, "{price}");
    let id = scene.click_id(&ticket);
    let convert = |order: &str| {
        let body = json!({ "click_ids": [id], "action": "order", "order_id": order });
        shop_server.post("/v1/conversions", body).expect(202).json()["position"].as_u64().unwrap()
    };
    let (first, second) = (convert("A"), convert("B"));
    let row = scene.of(&shop.ad_set);
    assert_eq!(
        (&row["gross_nanos"], &row["free_nanos"]),
        (&json!(1_500_000_000), &json!(2 * price - 1_500_000_000))
    );
    assert_eq!(scene.shown(json!({})), None, "the account is dry");
    let credit = json!({ "position": first, "full": true, "reason": "The order was never placed." });
    let reply = scene.owner.post("/v1/credits", credit.clone()).expect(201).json();
    assert_eq!((&reply["granted_nanos"], &reply["charged_nanos"]), (&json!(price), &json!(price)));
    assert_eq!(scene.owner.post("/v1/credits", credit).faults(), ["position: nothing_left"]);
    let over = json!({ "position": second, "amount_nanos": price, "reason": "Too much." });
    assert_eq!(scene.owner.post("/v1/credits", over).faults(), ["amount_nanos: too_large"]);
    let figures =
        [("gross_nanos", 1_500_000_000), ("credited_nanos", price), ("net_nanos", 1_500_000_000 - price)];
    let row = scene.of(&shop.ad_set);
    for (name, want) in figures {
        assert_eq!(row[name], want, "{name}: {row}");
    }
    assert_eq!(
        (&row["conversions_count"], &row["free_nanos"]),
        (&json!(2), &json!(2 * price - 1_500_000_000)),
        "never a re-bill"
    );
    let statement = statement(&scene, &shop.advertiser);
    assert_eq!(
        (&statement["gross_nanos"], &statement["credited_nanos"]),
        (&json!(1_500_000_000), &json!(price))
    );
    // What came back can be spent.
    scene.within(1_000, "the next ad", || scene.shown(json!({})).is_some());
    assert_ne!(FLOOR, 0);
}
