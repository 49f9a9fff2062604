//! The booking API on a real server: create, edit, refuse; reviews; one advertiser apart from another; previews.

mod apart;
mod approvals;
mod erasure;
mod previews;

use crate::common::*;
use regie_model::booking::{Role, Scope};
use serde_json::{Value, json};

#[test]
fn each_kind_is_created_read_listed_edited_and_put_away() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, placement) = open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let segment = create(&owner, "/v1/segments", json!({ "name": "Cyclists" }));
    let all = [
        ("sites", &site, "name"),
        ("placements", &placement, "fallback_html"),
        ("segments", &segment, "name"),
        ("advertisers", &shop.advertiser, "name"),
        ("campaigns", &shop.campaign, "name"),
        ("ad-sets", &shop.ad_set, "name"),
        ("ads", &shop.ad, "name"),
        ("versions", &shop.version, "name"),
    ];
    for (kind, id, field) in all {
        let path = format!("/v1/{kind}/{id}");
        let first = owner.get(&path).expect(200);
        assert_eq!(first.header("etag"), "\"1\"");
        let mut spec = first.json()["spec"].clone();
        spec[field] = "Renamed".into();
        let edited = owner.put(&path, spec.clone()).expect(200).json();
        assert_eq!(
            (edited["revision"].as_u64(), edited["id"].as_str()),
            (Some(2), Some(id.as_str())),
            "{kind}"
        );
        assert_eq!(edited["spec"], spec, "{kind}: what was read can be sent back");
        assert!(edited["position"].as_u64().unwrap() > 0);
        assert_eq!(owner.get(&path).expect(200).json()["spec"][field], "Renamed");
        let listed = owner.get(&format!("/v1/{kind}")).expect(200).json();
        assert!(listed["items"].as_array().unwrap().iter().any(|i| i["id"] == id.as_str()), "{kind}");
        let away = owner.post(&format!("{path}/status"), json!({ "status": "archived" })).expect(200).json();
        assert_eq!(away["status"], "archived", "{kind}");
        owner.post(&format!("{path}/status"), json!({ "status": "gone" })).expect(422);
        owner.get(&format!("/v1/{kind}/cam_x")).expect(404);
        let missing = format!("/v1/{kind}/{}_999", id.rsplit_once('_').unwrap().0);
        owner.get(&missing).expect(404);
        owner.put(&missing, spec).expect(404);
        owner.post(&format!("{missing}/status"), json!({ "status": "paused" })).expect(404);
    }
    let path = format!("/v1/parties/{}", shop.party);
    let mut spec = owner.get(&path).expect(200).json()["spec"].clone();
    spec["identity"]["name"] = "Renamed".into();
    assert_eq!(owner.put(&path, spec).expect(200).json()["spec"]["identity"]["name"], "Renamed");
}

#[test]
fn everything_is_there_after_a_restart() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let paths: Vec<String> =
        [("campaigns", &shop.campaign), ("parties", &shop.party), ("versions", &shop.version)]
            .iter()
            .map(|(kind, id)| format!("/v1/{kind}/{id}"))
            .collect();
    let read =
        |client: &Client| paths.iter().map(|p| client.get(p).expect(200).json()).collect::<Vec<Value>>();
    let before = read(&owner);
    let harness = harness.restart();
    let mut again = owner.clone();
    again.url = harness.url.clone();
    assert_eq!(read(&again), before, "the session and all bookings outlive the process");
}

#[test]
fn an_empty_booking_names_every_field_it_needs() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let refused = |kind: &str| owner.post(&format!("/v1/{kind}"), json!({})).faults();
    assert_eq!(refused("sites"), ["name: missing", "origins: missing"]);
    assert_eq!(refused("placements"), ["format: missing", "name: missing", "site: missing"]);
    assert_eq!(refused("segments"), ["name: missing"]);
    assert_eq!(
        refused("advertisers"),
        ["currency: missing", "funding: missing", "name: missing", "zone: missing"]
    );
    assert_eq!(refused("parties"), ["established_in: missing", "identity: missing", "kind: missing"]);
    let campaign = [
        "advertiser: missing",
        "flight: missing",
        "name: missing",
        "objective: missing",
        "payer: missing",
        "sponsor: missing",
    ];
    assert_eq!(refused("campaigns"), campaign);
    assert_eq!(refused("ad-sets"), ["bid: missing", "campaign: missing", "name: missing", "tier: missing"]);
    assert_eq!(refused("ads"), ["ad_set: missing", "landing_url: missing", "name: missing"]);
    assert_eq!(refused("versions"), ["ad: missing", "creative: missing"]);
    owner.send("POST", "/v1/sites", Some("application/json"), b"{").expect(400);
    owner.send("POST", "/v1/sites", Some("application/json"), b"[]").expect(422);
    owner.send("POST", "/v1/sites", Some("application/json"), &vec![b' '; 1_100_000]).expect(413);
    let long = owner.send("POST", "/v1/sites", Some("application/json"), &vec![b' '; 2_200_000]).expect(413);
    assert_eq!(long.header("content-type"), "application/problem+json");
}

#[test]
fn contradictory_bookings_are_refused_with_every_fault() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let mut wrong = campaign(&shop.advertiser, "party_99");
    wrong["name"] = "".into();
    wrong["flight"] = json!({ "starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z" });
    wrong["daily_budget_micros"] = 2_000_000_000.into();
    wrong["colour"] = "red".into();
    wrong["objective"] = "fame".into();
    assert_eq!(
        owner.post("/v1/campaigns", wrong).faults(),
        [
            "colour: unknown_field",
            "daily_budget_micros: contradiction",
            "flight.ends_at: contradiction",
            "name: missing",
            "objective: malformed",
            "payer: unknown",
            "sponsor: unknown"
        ]
    );
    let mut wrong = ad_set(&shop.campaign);
    wrong["tier"] = json!({ "kind": "house" });
    wrong["lifetime_budget_micros"] = 9_000_000_000i64.into();
    wrong["flight"] = json!({ "starts_at": "2025-01-01T00:00:00Z" });
    wrong["targeting"] = json!([
        { "dimension": "country", "op": "in", "values": ["France", "DE"] },
        { "dimension": "placement", "op": "not_in", "values": ["plc_77"] }
    ]);
    wrong["caps"] = json!([{ "scope": "ad", "period": "day", "impressions_count": 0 }]);
    assert_eq!(
        owner.post("/v1/ad-sets", wrong).faults(),
        [
            "bid: contradiction",
            "caps[0].impressions_count: too_small",
            "flight.ends_at: contradiction",
            "flight.starts_at: contradiction",
            "lifetime_budget_micros: contradiction",
            "targeting[0].values[0]: malformed",
            "targeting[1].values[0]: unknown"
        ]
    );
    let mut wrong = ad("set_99");
    wrong["landing_url"] = "http://{PLACEMENT}.example/".into();
    let found = owner.post("/v1/ads", wrong).faults();
    assert_eq!(found, ["ad_set: unknown", "landing_url: macro_in_host", "landing_url: not_tls"]);
    let creative = json!({ "kind": "html", "markup": "<img src=http://x.example/a><script src=https://cdn.example/s.js>", "size": { "width": 0, "height": 250 } });
    let found =
        owner.post("/v1/versions", json!({ "ad": shop.ad, "creative": creative, "weight": 0 })).faults();
    let at = |code: &str| format!("creative.markup: {code}");
    assert_eq!(
        found,
        [
            at("missing_macro"),
            at("not_tls"),
            at("third_party"),
            "creative.size: missing".into(),
            "weight: out_of_range".into()
        ]
    );
}

#[test]
fn an_incomplete_political_declaration_is_refused_and_a_complete_one_accepted() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Example Party");
    let mut bare = party("Nameless Friends");
    bare["identity"]["email"] = "".into();
    let bare = create(&owner, "/v1/parties", bare);
    let mut booking = campaign(&shop.advertiser, &bare);
    booking["flight"] = json!({ "starts_at": "2026-01-01T00:00:00Z" });
    booking["political"] = json!({
        "origin": { "public": false, "private": false, "inside_union": false, "outside_union": false }, "confirmed": false,
    });
    assert_eq!(
        owner.post("/v1/campaigns", booking.clone()).faults(),
        [
            "flight.ends_at: missing",
            "payer: incomplete",
            "political.confirmed: missing",
            "political.linked: missing",
            "political.origin: missing",
            "political.origin: missing",
            "political.other_providers: missing",
            "sponsor: incomplete"
        ]
    );
    booking["political"] = json!({});
    let found = owner.post("/v1/campaigns", booking.clone()).faults();
    assert!(
        found.contains(&"political.origin: missing".into())
            && found.contains(&"political.confirmed: missing".into()),
        "{found:?}"
    );
    booking["flight"]["ends_at"] = "2030-01-01T00:00:00Z".into();
    booking["sponsor"] = shop.party.clone().into();
    booking["payer"] = shop.party.clone().into();
    booking["political"] = declaration();
    let id = create(&owner, "/v1/campaigns", booking.clone());
    // It cannot be undeclared, and its party cannot lose what the notice needs.
    booking["political"] = Value::Null;
    assert_eq!(owner.put(&format!("/v1/campaigns/{id}"), booking).faults(), ["political: fixed"]);
    let path = format!("/v1/parties/{}", shop.party);
    let mut spec = owner.get(&path).json()["spec"].clone();
    spec["identity"]["email"] = "".into();
    assert_eq!(owner.put(&path, spec).faults(), ["identity.email: missing"]);
}

#[test]
fn a_political_ad_set_is_targeted_by_the_page_only() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Example Party");
    let segment = create(&owner, "/v1/segments", json!({ "name": "Readers" }));
    let mut booking = campaign(&shop.advertiser, &shop.party);
    booking["political"] = declaration();
    let political = create(&owner, "/v1/campaigns", booking);
    let clause =
        |dimension: &str, value: &str| json!({ "dimension": dimension, "op": "in", "values": [value] });
    let mut wrong = ad_set(&political);
    wrong["targeting"] = json!([
        clause("segment", &segment),
        clause("city", "paris"),
        clause("os", "linux"),
        clause("browser", "firefox"),
        clause("country", "FR"),
        clause("key:age", "40"),
        clause("topic", "town")
    ]);
    wrong["caps"] = json!([{ "scope": "ad", "period": "day", "impressions_count": 3 }, { "scope": "ad", "period": "page_view", "impressions_count": 1 }]);
    // Caps over more than a page view may be booked (ADR 0018): without the consent for exactly that they count by page view.
    let mut want: Vec<String> = (0..6).map(|n| format!("targeting[{n}].dimension: political")).collect();
    assert_eq!(owner.post("/v1/ad-sets", wrong.clone()).faults(), want);
    // What the publisher has switched on after its own review is allowed; what is personal never is.
    let mut settings = publisher();
    settings["political_location"] = true.into();
    settings["page_keys"] = json!(["age"]);
    owner.put("/v1/publisher", settings).expect(200);
    want.retain(|w| !w.contains("[4]") && !w.contains("[5]"));
    assert_eq!(owner.post("/v1/ad-sets", wrong).faults(), want);
    let mut right = ad_set(&political);
    right["targeting"] = json!([
        clause("topic", "town"),
        clause("language", "fr"),
        clause("device", "phone"),
        clause("hour_of_week", "mon 8-18"),
        clause("country", "FR")
    ]);
    create(&owner, "/v1/ad-sets", right);
    // An ordinary campaign with personal targeting cannot be declared political afterwards.
    let mut set = ad_set(&shop.campaign);
    set["targeting"] = json!([clause("city", "paris")]);
    owner.post("/v1/ad-sets", set).expect(201);
    let mut spec = owner.get(&format!("/v1/campaigns/{}", shop.campaign)).json()["spec"].clone();
    spec["political"] = declaration();
    assert_eq!(
        owner.put(&format!("/v1/campaigns/{}", shop.campaign), spec).faults(),
        ["political: contradiction"]
    );
}

#[test]
fn an_import_with_outside_ids_can_be_repeated() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let mut rows = [
        ("campaigns", campaign(&shop.advertiser, &shop.party)),
        ("ad-sets", ad_set(&shop.campaign)),
        ("ads", ad(&shop.ad_set)),
        ("versions", html_version(&shop.ad, "again")),
    ];
    for (kind, row) in &mut rows {
        row["external_id"] = format!("import-{kind}").into();
        let first = owner.post(&format!("/v1/{kind}"), row.clone()).expect(201).json();
        let again = owner.post(&format!("/v1/{kind}"), row.clone()).expect(200).json();
        assert_eq!(first["id"], again["id"], "{kind}");
        row["name"] = "Changed by the second import".into();
        let changed = owner.post(&format!("/v1/{kind}"), row.clone()).expect(200).json();
        assert_eq!((&changed["id"], &changed["spec"]["name"]), (&first["id"], &row["name"]), "{kind}");
        let listed = owner.get(&format!("/v1/{kind}")).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{kind}: the shop's own, and one");
    }
}

#[test]
fn two_people_editing_one_thing_do_not_overwrite_each_other() {
    let harness = Harness::start();
    let (one, other) = (harness.owner(), harness.owner());
    open_publisher(&one);
    let shop = open_shop(&one, "Bicycle Works");
    let path = format!("/v1/campaigns/{}", shop.campaign);
    let mut spec = one.get(&path).json()["spec"].clone();
    spec["name"] = "First".into();
    spec["revision"] = 1.into();
    assert_eq!(one.put(&path, spec.clone()).expect(200).json()["revision"], 2);
    let late = other.put(&path, spec.clone()).expect(409);
    assert_eq!(late.header("content-type"), "application/problem+json");
    assert_eq!((&late.json()["current_revision"], &late.json()["code"]), (&json!(2), &json!("conflict")));
    spec.as_object_mut().unwrap().remove("revision");
    other.clone().with("if-match", "\"1\"").put(&path, spec.clone()).expect(409);
    other.clone().with("if-match", "latest").put(&path, spec.clone()).expect(400);
    assert_eq!(other.with("if-match", "\"2\"").put(&path, spec).expect(200).json()["revision"], 3);
}

#[test]
fn a_list_of_commands_is_accepted_whole_or_not_at_all() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let put = |command: &str, spec: Value| json!({ "command": command, "spec": spec });
    let mut bad = ad("set_2");
    bad["landing_url"] = "nonsense".into();
    let before = owner.get("/v1/ad-sets").json();
    let list = json!({ "commands": [put("put_ad_set", ad_set(&shop.campaign)), put("put_ad", bad)] });
    assert_eq!(owner.post("/v1/commands", list).faults(), ["commands[1].landing_url: malformed"]);
    assert_eq!(owner.get("/v1/ad-sets").json(), before, "nothing of it was done");
    // Later commands may name what earlier ones make.
    let list = json!({ "commands": [put("put_ad_set", ad_set(&shop.campaign)), put("put_ad", ad("set_2")), put("put_version", html_version("ad_2", "x"))] });
    let done = owner.post("/v1/commands", list).expect(200).json();
    let ids: Vec<&str> =
        done["accepted"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["set_2", "ad_2", "ver_2"]);
    owner.post("/v1/commands", json!({ "commands": [] })).expect(400);
    let found = owner.post("/v1/commands", json!({ "commands": [{ "command": "put_moon" }, {}] })).faults();
    assert_eq!(found, ["commands[0]: malformed", "commands[1]: malformed"]);
    // A token that may book may not approve by way of a list.
    let review = json!({ "commands": [{ "command": "review", "ads": [shop.ad], "verdict": "approved" }] });
    harness.token(&[Scope::Book], None).post("/v1/commands", review.clone()).expect(403);
    harness.token(&[Scope::Book, Scope::Operate], None).post("/v1/commands", review).expect(200);
}

#[test]
fn pictures_are_checked_by_content_and_must_be_what_a_creative_says() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let upload = |bytes: &[u8]| owner.send("POST", "/v1/assets", Some("image/gif"), bytes);
    let asset = upload(GIF).expect(201).json();
    assert_eq!(
        (&asset["media_type"], &asset["size"]),
        (&json!("image/gif"), &json!({ "width": 300, "height": 250 }))
    );
    assert_eq!(upload(GIF).expect(201).json(), asset, "the same picture is the same object");
    assert_eq!(upload(b"<svg onload=alert(1)>").faults(), ["file: no_picture"]);
    let mut heavy = GIF.to_vec();
    heavy.resize(3 << 20, 0);
    assert_eq!(upload(&heavy).faults(), ["file: too_heavy"]);
    heavy.resize((5 << 20) + 1, 0);
    upload(&heavy).expect(413);
    let stored =
        harness.anonymous().get(&format!("/v1/assets/{}", asset["hash"].as_str().unwrap())).expect(200);
    assert_eq!((stored.body.as_slice(), stored.header("content-type")), (GIF, "image/gif"));
    let version = |asset: &Value| json!({ "ad": shop.ad, "creative": { "kind": "image", "asset": asset, "alt": "A bicycle" } });
    owner.post("/v1/versions", version(&asset)).expect(201);
    let mut lie = asset.clone();
    lie["size"] = json!({ "width": 728, "height": 90 });
    lie["media_type"] = "image/png".into();
    lie["size_bytes"] = 1.into();
    let at = |field: &str| format!("creative.asset.{field}: contradiction");
    assert_eq!(
        owner.post("/v1/versions", version(&lie)).faults(),
        [at("media_type"), at("size"), at("size_bytes")]
    );
    lie["hash"] = "00".repeat(32).into();
    assert_eq!(owner.post("/v1/versions", version(&lie)).faults(), ["creative.asset.hash: unknown"]);
    // An HTML creative is an object too, but no picture.
    let hash = owner.get(&format!("/v1/versions/{}", shop.version)).json()["creative_hash"].clone();
    lie["hash"] = hash;
    let found = owner
        .post("/v1/commands", json!({ "commands": [{ "command": "put_version", "spec": version(&lie) }] }))
        .faults();
    assert_eq!(found, ["creative.asset.hash: no_picture"]);
}

#[test]
fn lists_are_cut_into_pages_and_by_holder() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (site, _) = open_publisher(&owner);
    for name in ["a", "b", "c"] {
        create(&owner, "/v1/placements", placement(&site, name));
    }
    let page = owner.get("/v1/placements?limit=3").expect(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_after"]), (3, &json!("plc_3")));
    let rest = owner.get("/v1/placements?limit=3&after=plc_3").expect(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next_after"]), (&json!("plc_4"), &Value::Null));
    let within = owner.get(&format!("/v1/placements?within={site}&status=active")).expect(200).json();
    assert_eq!(within["items"].as_array().unwrap().len(), 4);
    assert_eq!(owner.get("/v1/placements?within=site_9").expect(200).json()["items"], json!([]));
    for bad in ["limit=0", "limit=5000", "after=x", "within=x", "colour=red"] {
        owner.get(&format!("/v1/placements?{bad}")).expect(400);
    }
}

#[test]
fn switches_and_deposits_are_the_publishers() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let what = json!({ "kind": "sponsor", "id": shop.party });
    owner.post("/v1/stops", json!({ "what": what, "on": true, "reason": "under review" })).expect(200);
    assert_eq!(owner.get("/v1/stops").json()["stops"], json!([{ "what": what, "reason": "under review" }]));
    owner.post("/v1/stops", json!({ "what": what, "on": false })).expect(200);
    assert_eq!(owner.get("/v1/stops").json()["stops"], json!([]));
    let unknown = json!({ "what": { "kind": "ad", "id": "ad_99" }, "on": true });
    assert_eq!(owner.post("/v1/stops", unknown).faults(), ["what.id: unknown"]);
    let path = format!("/v1/advertisers/{}/deposits", shop.advertiser);
    owner.post(&path, json!({ "amount_micros": 5_000_000, "reference": "wire 1" })).expect(201);
    assert_eq!(owner.post(&path, json!({ "amount_micros": 0 })).faults(), ["amount_micros: too_small"]);
    assert_eq!(owner.post(&path, json!({})).faults(), ["amount_micros: missing"]);
    owner.post("/v1/advertisers/adv_99/deposits", json!({ "amount_micros": 1 })).expect(404);
    let history = owner.get(&format!("/v1/history?entity={}", shop.advertiser)).expect(200).json();
    assert_eq!(history["changes"][0]["change"]["change"], "deposited");
    assert_eq!(history["changes"][0]["change"]["amount_micros"], 5_000_000);
}

#[test]
fn the_history_says_who_changed_what_and_when() {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let shop = open_shop(&owner, "Bicycle Works");
    let token = harness.token(&[Scope::Book], None);
    let path = format!("/v1/campaigns/{}", shop.campaign);
    let mut spec = owner.get(&path).json()["spec"].clone();
    spec["name"] = "Summer".into();
    token.put(&path, spec).expect(200);
    let history = owner.get(&format!("/v1/history?entity={}", shop.campaign)).expect(200).json();
    let rows = history["changes"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["by"]["kind"], &rows[0]["change"]["spec"]["name"]),
        (&json!("token"), &json!("Summer"))
    );
    assert_eq!((&rows[1]["by"]["id"], &rows[1]["by"]["name"]), (&json!("usr_1"), &json!("Person usr_1")));
    assert!(
        rows[0]["at"].as_str().unwrap().ends_with('Z')
            && rows[0]["position"].as_u64() > rows[1]["position"].as_u64()
    );
    // Personal data is opened only for those who may see it.
    let path = format!("/v1/history?entity={}", shop.party);
    assert_eq!(
        owner.get(&path).json()["changes"][0]["change"]["spec"]["identity"]["email"],
        "office@example.org"
    );
    let reader = harness.token(&[Scope::Read], None);
    let seen = reader.get(&path).expect(200).text();
    assert!(
        seen.contains("Bicycle Works")
            && !seen.contains("office@example.org")
            && !seen.contains("ciphertext"),
        "{seen}"
    );
    let list =
        harness.user(Role::ReadOnly, None).get(&format!("/v1/parties/{}", shop.party)).expect(200).text();
    assert!(list.contains("Bicycle Works") && !list.contains("office@example.org"), "{list}");
    harness.user(Role::ReadOnly, None).get("/v1/history").expect(403);
    // Who the users are is for owners and auditors.
    let people =
        |client: &Client| client.get("/v1/history?limit=500").expect(200).text().contains("user_put");
    assert!(people(&owner) && people(&harness.user(Role::Auditor, None)));
    assert!(!people(&harness.user(Role::AdOperations, None)));
    harness.user(Role::AdOperations, None).get("/v1/history?entity=usr_1").expect(404);
    let page = owner.get("/v1/history?limit=2").expect(200).json();
    let next = owner.get(&format!("/v1/history?limit=2&before={}", page["next_before"])).expect(200).json();
    assert!(next["changes"][0]["position"].as_u64() < page["changes"][1]["position"].as_u64());
}
