//! One advertiser apart from another: neither sees, names nor changes the other's things, by page, list or command.

use crate::common::*;
use regie_model::booking::{Role, Scope};
use serde_json::{Value, json};

struct Two {
    harness: Harness,
    ours: Shop,
    theirs: Shop,
    callers: Vec<Client>,
}

/// Two shops, and both kinds of callers that are limited to the first.
fn two() -> Two {
    let harness = Harness::start();
    let owner = harness.owner();
    open_publisher(&owner);
    let (ours, theirs) = (open_shop(&owner, "Ours"), open_shop(&owner, "Theirs"));
    let limit = Some(ours.advertiser.parse().unwrap());
    let scopes = [Scope::Read, Scope::Book, Scope::Operate];
    let callers = vec![harness.user(Role::Advertiser, limit), harness.token(&scopes, limit)];
    Two { harness, ours, theirs, callers }
}
fn things(shop: &Shop) -> [(&'static str, &str); 6] {
    [
        ("advertisers", &shop.advertiser),
        ("parties", &shop.party),
        ("campaigns", &shop.campaign),
        ("ad-sets", &shop.ad_set),
        ("ads", &shop.ad),
        ("versions", &shop.version),
    ]
}

#[test]
fn what_is_anothers_does_not_exist() {
    let two = two();
    let owner = two.harness.owner();
    let before: Vec<Value> =
        things(&two.theirs).iter().map(|(k, id)| owner.get(&format!("/v1/{k}/{id}")).json()).collect();
    for caller in &two.callers {
        for ((kind, id), (_, own)) in things(&two.theirs).into_iter().zip(things(&two.ours)) {
            let path = format!("/v1/{kind}/{id}");
            caller.get(&path).expect(404);
            let spec = owner.get(&path).json()["spec"].clone();
            // A person is refused by role where a role is asked for first; else the thing does not exist.
            for reply in [
                caller.put(&path, spec.clone()),
                caller.post(&format!("{path}/status"), json!({ "status": "paused" })),
            ] {
                let by_role = kind == "advertisers" && reply.status == 403;
                assert!(reply.status == 404 || by_role, "{path}: {} {}", reply.status, reply.text());
            }
            caller.get(&format!("/v1/history?entity={id}")).expect(404);
            caller.get(&format!("/v1/{kind}/{own}")).expect(200);
            caller.get(&format!("/v1/history?entity={own}")).expect(200);
            let listed = caller.get(&format!("/v1/{kind}")).expect(200);
            let ids: Vec<String> = listed.json()["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["id"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(ids, [own], "{kind}");
            assert!(!listed.text().contains("Theirs"), "{kind}");
            assert_eq!(
                caller.get(&format!("/v1/{kind}?within={}", two.theirs.advertiser)).json()["items"],
                json!([])
            );
        }
        let queue = caller.get("/v1/reviews/queue").expect(200);
        assert!(!queue.text().contains("Theirs"), "{}", queue.text());
        caller.get("/v1/history").expect(400);
        for hidden in ["publisher", "stop", "usr_1", "site_1", "plc_1"] {
            caller.get(&format!("/v1/history?entity={hidden}")).expect(404);
        }
    }
    let after: Vec<Value> =
        things(&two.theirs).iter().map(|(k, id)| owner.get(&format!("/v1/{k}/{id}")).json()).collect();
    assert_eq!(before, after);
}

#[test]
fn nothing_is_booked_with_what_is_anothers() {
    let two = two();
    let (ours, theirs) = (&two.ours, &two.theirs);
    for caller in &two.callers {
        let refused = |kind: &str, spec: Value| caller.post(&format!("/v1/{kind}"), spec).faults();
        assert_eq!(refused("campaigns", campaign(&theirs.advertiser, &ours.party)), ["advertiser: unknown"]);
        assert_eq!(
            refused("campaigns", campaign(&ours.advertiser, &theirs.party)),
            ["payer: unknown", "sponsor: unknown"]
        );
        assert_eq!(refused("ad-sets", ad_set(&theirs.campaign)), ["campaign: unknown"]);
        assert_eq!(refused("ads", ad(&theirs.ad_set)), ["ad_set: unknown"]);
        assert_eq!(refused("versions", text_version(&theirs.ad)), ["ad: unknown"]);
        let mut stolen = party("Stolen");
        stolen["advertiser"] = theirs.advertiser.clone().into();
        assert_eq!(refused("parties", stolen), ["advertiser: unknown"]);
        // The same by a list of commands, and with a made-up id of the next thing.
        for (command, spec, field) in [
            ("put_campaign", campaign(&theirs.advertiser, &ours.party), "advertiser"),
            ("put_ad_set", ad_set(&theirs.campaign), "campaign"),
            ("put_ad", ad("set_3"), "ad_set"),
            ("put_version", text_version(&theirs.ad), "ad"),
        ] {
            let list = json!({ "commands": [{ "command": command, "spec": spec }] });
            assert_eq!(caller.post("/v1/commands", list).faults(), [format!("{field}: unknown")]);
        }
        let status = json!({ "command": "set_status", "entity": { "kind": "campaign", "id": theirs.campaign }, "status": "paused" });
        caller.post("/v1/commands", json!({ "commands": [status] })).expect(404);
        caller.post("/v1/previews", json!({ "version": theirs.version, "placement": "plc_1" })).expect(422);
    }
}

#[test]
fn an_advertiser_books_for_itself_and_leaves_the_publishers_things() {
    let two = two();
    let ours = &two.ours;
    for caller in &two.callers {
        let party = caller.post("/v1/parties", party("Our friends")).expect(201).json();
        assert_eq!(party["spec"]["advertiser"], ours.advertiser.as_str());
        let campaign =
            create(caller, "/v1/campaigns", campaign(&ours.advertiser, party["id"].as_str().unwrap()));
        let set = create(caller, "/v1/ad-sets", ad_set(&campaign));
        let ad = create(caller, "/v1/ads", ad(&set));
        let version = create(caller, "/v1/versions", text_version(&ad));
        caller.post(&format!("/v1/campaigns/{campaign}/status"), json!({ "status": "paused" })).expect(200);
        let list = json!({ "commands": [
            { "command": "put_ad_set", "spec": ad_set(&campaign) },
            { "command": "set_status", "entity": { "kind": "version", "id": version }, "status": "archived" },
        ] });
        caller.post("/v1/commands", list).expect(200);
        // Not: approve, stop, pay in, settings, sites, accounts, people.
        caller.post("/v1/reviews", json!({ "ads": [ad], "verdict": "approved" })).expect(403);
        caller.post("/v1/stops", json!({ "what": { "kind": "all_paid" }, "on": true })).expect(403);
        caller
            .post(&format!("/v1/advertisers/{}/deposits", ours.advertiser), json!({ "amount_micros": 1 }))
            .expect(403);
        caller.put("/v1/publisher", publisher()).expect(403);
        caller.post("/v1/sites", site()).expect(403);
        caller.post("/v1/placements", placement("site_1", "x")).expect(403);
        caller.post("/v1/segments", json!({ "name": "x" })).expect(403);
        caller.post("/v1/advertisers", advertiser("x")).expect(403);
        caller.put(&format!("/v1/advertisers/{}", ours.advertiser), advertiser("x")).expect(403);
        caller
            .post(&format!("/v1/parties/{}/status", ours.party), json!({ "status": "archived" }))
            .expect(403);
        for command in [
            json!({ "command": "review", "ads": [ad], "verdict": "approved" }),
            json!({ "command": "set_stop", "what": { "kind": "all_paid" }, "on": true }),
            json!({ "command": "deposit", "advertiser": ours.advertiser, "amount_micros": 1 }),
            json!({ "command": "put_site", "spec": site() }),
            json!({ "command": "put_publisher", "spec": publisher() }),
        ] {
            caller.post("/v1/commands", json!({ "commands": [command] })).expect(403);
        }
        caller.get("/v1/users").expect(403);
        caller.post("/v1/tokens", json!({ "name": "x", "scopes": ["read"] })).expect(403);
    }
}

#[test]
fn a_publishers_party_is_used_but_not_changed_and_prices_are_not_told() {
    let two = two();
    let owner = two.harness.owner();
    let shared = create(&owner, "/v1/parties", party("Agency"));
    let caller = &two.callers[0];
    caller.get(&format!("/v1/parties/{shared}")).expect(404);
    owner.post("/v1/campaigns", campaign(&two.ours.advertiser, &shared)).expect(201);
    let seen = caller.get(&format!("/v1/parties/{shared}")).expect(200).json();
    assert_eq!(
        caller.put(&format!("/v1/parties/{shared}"), seen["spec"].clone()).faults(),
        ["id: publishers"]
    );
    caller.post("/v1/campaigns", campaign(&two.ours.advertiser, &shared)).expect(201);
    let mut priced = placement("site_1", "priced");
    priced["floors"] = json!([{ "tier": "auction", "currency": "EUR", "micros_per_mille": 123_456 }]);
    priced["blocked_advertisers"] = json!([two.theirs.advertiser]);
    create(&owner, "/v1/placements", priced);
    let text = caller.get("/v1/placements").expect(200).text();
    assert!(
        text.contains("priced") && !text.contains("123456") && !text.contains(&two.theirs.advertiser),
        "{text}"
    );
    let text = caller.get("/v1/publisher").expect(200).text();
    assert!(text.contains("Gazette") && !text.contains("tax_rate"), "{text}");
}

#[test]
fn an_outside_id_of_another_says_nothing_of_their_booking() {
    let two = two();
    let owner = two.harness.owner();
    let mut theirs = campaign(&two.theirs.advertiser, &two.theirs.party);
    theirs["external_id"] = "spring".into();
    create(&owner, "/v1/campaigns", theirs);
    let mut ours = campaign(&two.ours.advertiser, &two.ours.party);
    ours["external_id"] = "spring".into();
    let found = two.callers[0].post("/v1/campaigns", ours).faults();
    assert!(found.contains(&"external_id: taken".to_owned()), "{found:?}");
}
