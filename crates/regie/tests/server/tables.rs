//! Bookings by table: the same columns out and in, every bad row with its reason, repeatable without doubling.

use crate::common::{self, Client, Reply};
use crate::shown::Stage;
use regie_model::booking::Role;
use serde_json::Value;
use std::fmt::Write;

/// Sends a table and waits until it is taken in.
#[track_caller]
fn send(stage: &Stage, client: &Client, kind: &str, table: &str) -> Value {
    let reply = client.send("POST", &format!("/v1/tables/{kind}"), Some("text/csv"), table.as_bytes());
    let path = reply.expect(202).json()["path"].as_str().unwrap().to_owned();
    let mut told = Value::Null;
    stage.harness.wait_for("the table", || {
        told = client.get(&path).expect(200).json();
        told["finished"] == true
    });
    assert_eq!(told["error"], Value::Null);
    assert_eq!(told["done_count"], told["rows_count"], "every row is accounted for");
    told
}
fn counts(told: &Value) -> [u64; 4] {
    ["created_count", "changed_count", "unchanged_count", "bad_count"].map(|key| told[key].as_u64().unwrap())
}
fn out(client: &Client, path: &str) -> String {
    let reply: Reply = client.get(path).expect(200);
    assert!(reply.header("content-type").starts_with("text/csv"));
    reply.text()
}

#[test]
fn what_goes_out_comes_in_and_changes_nothing() {
    let stage = Stage::open();
    for kind in ["campaigns", "ad-sets", "ads", "versions"] {
        let table = out(&stage.owner, &format!("/v1/tables/{kind}"));
        let told = send(&stage, &stage.owner, kind, &table);
        assert_eq!(counts(&told), [0, 0, 1, 0], "{kind}: {told}");
    }
}

#[test]
fn many_versions_bad_rows_with_reasons_and_nothing_doubles() {
    let stage = Stage::open();
    let ad = &stage.shop.ad;
    let mut table = "external_id,ad,name,weight,creative.kind,creative.title,creative.body\n".to_owned();
    for row in 0..1_200 {
        let _ = match row {
            7 => writeln!(table, "x{row},ad_999,V{row},1,text,Title,Body"),
            8 => writeln!(table, "x{row},{ad},V{row},many,text,Title,Body"),
            9 => writeln!(table, "x{row},{ad},V{row},1,text"),
            // Without a headline, and with a weight that is no number: both are told.
            10 => writeln!(table, "x{row},{ad},V{row},few,text,,Body"),
            _ => writeln!(table, "x{row},{ad},V{row},1,text,\"Title, {row}\",Body"),
        };
    }
    let told = send(&stage, &stage.owner, "versions", &table);
    assert_eq!(counts(&told), [1_196, 0, 0, 4], "{told}");
    let bad = told["bad"].as_array().unwrap();
    let lines: Vec<u64> = bad.iter().map(|b| b["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [9, 10, 11, 12]);
    let reasons = |at: usize| -> Vec<String> {
        let faults = bad[at]["faults"].as_array().unwrap();
        faults
            .iter()
            .map(|f| format!("{}: {}", f["field"].as_str().unwrap(), f["code"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(reasons(0), ["ad: unknown"]);
    assert_eq!(reasons(1), ["weight: malformed"]);
    assert_eq!(reasons(2), [": malformed"]);
    assert!(
        reasons(3).len() == 2 && reasons(3).contains(&"creative.title: missing".to_owned()),
        "{:?}",
        reasons(3)
    );
    // The same table again: what is there stays one.
    let again = send(&stage, &stage.owner, "versions", &table);
    assert_eq!(counts(&again), [0, 0, 1_196, 4], "{again}");
    let booked = out(&stage.owner, &format!("/v1/tables/versions?within={ad}"));
    assert_eq!(booked.lines().count(), 1 + 1_196 + 1, "a header, the rows, and the shop's own version");
    // The bad rows come back as a table of the same columns; mended, they are taken.
    let path = format!("/v1/table-jobs/{}/bad", told["job"]);
    let mended = out(&stage.owner, &path).replace("ad_999", ad).replace(",many,", ",2,");
    let third = send(&stage, &stage.owner, "versions", &mended);
    assert_eq!(counts(&third), [2, 0, 0, 2], "{third}");
}

#[test]
fn a_few_columns_edit_in_bulk_and_a_status_switches() {
    let stage = Stage::open();
    let (cam, ad) = (&stage.shop.campaign, &stage.shop.ad);
    let told = send(
        &stage,
        &stage.owner,
        "campaigns",
        &format!("id,name,daily_budget,status\n{cam},Summer,12.50,paused\n"),
    );
    assert_eq!(counts(&told), [0, 1, 0, 0], "{told}");
    let now = stage.owner.get(&format!("/v1/campaigns/{cam}")).expect(200).json();
    assert_eq!(now["spec"]["name"], "Summer");
    assert_eq!(now["spec"]["daily_budget_micros"], 12_500_000);
    assert_eq!(
        now["spec"]["lifetime_budget_micros"], 1_000_000_000,
        "a column that is not there changes nothing"
    );
    assert_eq!(now["status"], "paused");
    // An old revision is refused, and so is an unknown column.
    let told = send(&stage, &stage.owner, "campaigns", &format!("id,revision,name\n{cam},1,Autumn\n"));
    assert_eq!(counts(&told), [0, 0, 0, 1], "{told}");
    let reply = stage.owner.send(
        "POST",
        "/v1/tables/ads",
        Some("text/csv"),
        format!("id,colour\n{ad},red\n").as_bytes(),
    );
    assert_eq!(reply.faults(), ["colour: unknown_field"]);
    // Only checked, nothing is changed.
    let dry = stage.owner.send(
        "POST",
        "/v1/tables/ads?dry_run=true",
        Some("text/csv"),
        format!("id,name\n{ad},Other\n").as_bytes(),
    );
    let path = dry.expect(202).json()["path"].as_str().unwrap().to_owned();
    stage.harness.wait_for("the check", || stage.owner.get(&path).expect(200).json()["finished"] == true);
    assert_eq!(stage.owner.get(&path).json()["changed_count"], 1);
    assert_eq!(stage.owner.get(&format!("/v1/ads/{ad}")).json()["spec"]["name"], "Bicycles");
}

#[test]
fn an_advertiser_takes_out_and_changes_only_its_own() {
    let stage = Stage::open();
    let other = common::open_shop(&stage.owner, "Other Shop");
    let own = stage.harness.user(Role::Advertiser, Some(other.advertiser.parse().unwrap()));
    let table = out(&own, "/v1/tables/campaigns");
    assert!(
        table.contains(&other.campaign) && !table.contains(&format!("{},", stage.shop.campaign)),
        "{table}"
    );
    let told = send(&stage, &own, "campaigns", &format!("id,name\n{},Mine\n", stage.shop.campaign));
    assert_eq!(counts(&told), [0, 0, 0, 1], "{told}");
    let told = send(
        &stage,
        &own,
        "ads",
        &format!("ad_set,name,landing_url\n{},Stray,https://x.example/\n", stage.shop.ad_set),
    );
    assert_eq!(counts(&told), [0, 0, 0, 1], "{told}");
    let job = told["job"].as_u64().unwrap();
    let stranger = stage.harness.user(Role::Advertiser, Some(stage.shop.advertiser.parse().unwrap()));
    stranger.get(&format!("/v1/table-jobs/{job}")).expect(404);
    stranger.get(&format!("/console/bulk/{job}")).expect(404);
    own.get(&format!("/console/bulk/{job}")).expect(200);
}

#[test]
fn the_console_takes_a_file_and_shows_each_bad_row() {
    let stage = Stage::open();
    let csrf = stage.owner.headers.iter().find(|(n, _)| n == "x-regie-csrf").unwrap().1.clone();
    let form = |table: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nads\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ads.csv\"\r\nContent-Type: text/csv\r\n\r\n{table}\r\n--b--\r\n"
        )
    };
    let browser = stage.owner.clone().without("x-regie-csrf");
    let post = |table: &str| {
        browser.send("POST", "/console/bulk", Some("multipart/form-data; boundary=b"), form(table).as_bytes())
    };
    let reply = post(&format!("id,name,landing_url\n{},Wheels,nowhere\n", stage.shop.ad)).expect(303);
    let place = reply.header("location").to_owned();
    let mut page = String::new();
    stage.harness.wait_for("the table", || {
        page = browser.get(&place).expect(200).text();
        !page.contains("data-refresh")
    });
    assert!(page.contains("landing_url") && page.contains("Write a whole address"), "{page}");
    let refused = post("id,colour\n1,red\n").expect(422).text();
    assert!(refused.contains("There is no such column: colour."), "{refused}");
}

/// Rows of the large table, unless `REGIE_TABLE_ROWS` says otherwise: 100000 is what docs/UX.md promises, and takes minutes in
/// a build for debugging.
const ROWS_COUNT: usize = 6_000;

#[test]
fn a_large_table_tells_its_progress_each_bad_row_its_reason_and_again_doubles_nothing() {
    const VERSIONS_OF_AN_AD: usize = 1_000;
    let asked = std::env::var("REGIE_TABLE_ROWS").ok().and_then(|text| text.parse().ok());
    let rows_count: usize = asked.unwrap_or(ROWS_COUNT);
    let stage = Stage::open();
    let ads_count = rows_count.div_ceil(VERSIONS_OF_AN_AD);
    let set = &stage.shop.ad_set;
    let mut ads = "external_id,ad_set,name,landing_url\n".to_owned();
    (0..ads_count).for_each(|n| {
        let _ = writeln!(ads, "ad-{n},{set},Ad {n},https://shop.example/{n}");
    });
    assert_eq!(counts(&send(&stage, &stage.owner, "ads", &ads))[0], ads_count as u64);
    let known = out(&stage.owner, "/v1/tables/ads");
    let at = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    let ids: Vec<String> = known.lines().skip(1).filter(|l| l.contains("ad-")).map(at).collect();
    assert_eq!(ids.len(), ads_count, "{known}");
    // One row of a hundred has no headline, one of a thousand no ad that is there.
    let mut table = "external_id,ad,name,weight,creative.kind,creative.title,creative.body\n".to_owned();
    let (mut bad_count, mut row) = (0u64, 0);
    while row < rows_count {
        let ad = &ids[row / VERSIONS_OF_AN_AD];
        let (ad, title) = match row {
            _ if row % 1_000 == 500 => ("ad_999999", "Title"),
            _ if row % 100 == 7 => (ad.as_str(), ""),
            _ => (ad.as_str(), "Title"),
        };
        bad_count += u64::from(ad == "ad_999999" || title.is_empty());
        let _ = writeln!(table, "v{row},{ad},V{row},1,text,{title},Body {row}");
        row += 1;
    }
    let upload = |expected: [u64; 4]| {
        let began = std::time::Instant::now();
        let reply = stage.owner.send("POST", "/v1/tables/versions", Some("text/csv"), table.as_bytes());
        let path = reply.expect(202).json()["path"].as_str().unwrap().to_owned();
        let (mut seen, mut told) = (vec![0u64], Value::Null);
        while told["finished"] != true {
            told = stage.owner.get(&path).expect(200).json();
            let done = told["done_count"].as_u64().unwrap();
            assert!(*seen.last().unwrap() <= done, "progress goes forward");
            if *seen.last().unwrap() < done {
                seen.push(done);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        println!(
            "{rows_count} rows in {:.1} s, seen at {} moments",
            began.elapsed().as_secs_f64(),
            seen.len() - 1
        );
        assert_eq!((counts(&told), told["error"].clone()), (expected, Value::Null));
        assert!(seen.len() > 2, "how far it is was told on the way: {seen:?}");
        told["job"].clone()
    };
    let good = rows_count as u64 - bad_count;
    let job = upload([good, 0, 0, bad_count]);
    let bad = out(&stage.owner, &format!("/v1/table-jobs/{job}/bad"));
    assert_eq!(bad.lines().count() as u64, 1 + bad_count, "every bad row comes back");
    assert!(bad.lines().skip(1).all(|line| line.contains("line ")), "each with its line and reason");
    upload([0, 0, good, bad_count]);
    let booked = out(&stage.owner, &format!("/v1/tables/versions?within={set}"));
    assert_eq!(booked.lines().count() as u64, 1 + good + 1, "a header, the rows, and the shop's own version");
}
