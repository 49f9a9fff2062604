//! Every page's data is under `/v1` too: a table of pages and their twins that no page can be missing from, and the twins
//! themselves, asked beside their pages.

use crate::common::Client;
use crate::shown::Stage;
use regie::http::routes;
use regie_model::booking::{Role, Scope};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A page, and the operation that reads (or, for a form, takes) what it shows.
const TWINS: &[(&str, &str)] = &[
    ("/console", "GET /v1/dashboard"),
    ("/console/account", "GET /v1/account"),
    ("/console/ad-sets/{id}/ads/new", "POST /v1/ads"),
    ("/console/ad-sets/{id}/edit", "PUT /v1/ad-sets/{id}"),
    ("/console/ad-sets/{id}/experiment", "GET /v1/ad-sets/{id}/experiment"),
    ("/console/ad-sets/{id}/learning", "GET /v1/ad-sets/{id}/learning"),
    ("/console/ads/{id}", "GET /v1/ads/{id}"),
    ("/console/ads/{id}/edit", "PUT /v1/ads/{id}"),
    ("/console/ads/{id}/template", "GET /v1/ad-sets/{id}/learning"),
    ("/console/ads/{id}/versions/new", "POST /v1/versions"),
    ("/console/advertisers", "GET /v1/advertisers"),
    ("/console/advertisers/new", "POST /v1/advertisers"),
    ("/console/advertisers/{id}", "GET /v1/advertisers/{id}/account"),
    ("/console/advertisers/{id}/edit", "PUT /v1/advertisers/{id}"),
    ("/console/billing", "GET /v1/invoices"),
    ("/console/billing/{advertiser}/{month}", "GET /v1/invoices/{advertiser}/{month}"),
    ("/console/book", "GET /v1/drafts"),
    ("/console/book/{draft}/{step}", "GET /v1/drafts"),
    ("/console/bulk", "GET /v1/table-jobs"),
    ("/console/bulk/{id}", "GET /v1/table-jobs/{id}"),
    ("/console/campaigns", "GET /v1/campaigns"),
    ("/console/campaigns/new", "POST /v1/campaigns"),
    ("/console/campaigns/{id}", "GET /v1/campaigns/{id}/eliminations"),
    ("/console/campaigns/{id}/ad-sets/new", "POST /v1/ad-sets"),
    ("/console/campaigns/{id}/adapting", "GET /v1/campaigns/{id}/adapting"),
    ("/console/campaigns/{id}/edit", "PUT /v1/campaigns/{id}"),
    ("/console/campaigns/{id}/results", "GET /v1/campaigns/{id}/results"),
    ("/console/complaints", "GET /v1/complaints"),
    ("/console/repository", "GET /v1/repository"),
    ("/console/complaints/{id}", "GET /v1/complaints/{id}"),
    ("/console/delivery", "GET /v1/delivery"),
    ("/console/downloads", "GET /v1/report-files"),
    ("/console/downloads/{id}", "GET /v1/report-files/{id}"),
    ("/console/elections", "GET /v1/elections"),
    ("/console/groupings", "GET /v1/groupings"),
    ("/console/health", "GET /v1/health"),
    ("/console/history", "GET /v1/history"),
    ("/console/inventory", "GET /v1/placements"),
    ("/console/learning", "GET /v1/learning/rates"),
    ("/console/live", "GET /v1/dashboard"),
    ("/console/live.json", "GET /v1/dashboard"),
    ("/console/parties", "GET /v1/parties"),
    ("/console/parties/new", "POST /v1/parties"),
    ("/console/parties/{id}/edit", "PUT /v1/parties/{id}"),
    ("/console/placements/{id}/edit", "PUT /v1/placements/{id}"),
    ("/console/reports", "GET /v1/reports"),
    ("/console/review", "GET /v1/reviews/queue"),
    ("/console/settings", "GET /v1/publisher"),
    ("/console/sites/new", "POST /v1/sites"),
    ("/console/sites/{id}", "GET /v1/sites/{id}/tag"),
    ("/console/sites/{id}/edit", "PUT /v1/sites/{id}"),
    ("/console/sites/{id}/placements/new", "POST /v1/placements"),
    ("/console/stops", "GET /v1/stops"),
    ("/console/study", "GET /v1/study/snapshots"),
    ("/console/study/ask", "GET /v1/study/ranking"),
    ("/console/study/ask/{file}", "GET /v1/study/ranking"),
    ("/console/study/check", "GET /v1/study/check"),
    ("/console/study/compare", "GET /v1/study/comparison"),
    ("/console/study/groupings", "GET /v1/study/groupings"),
    ("/console/study/groupings/{name}", "GET /v1/study/groupings/{name}"),
    ("/console/study/groupings/{name}/diff", "GET /v1/study/groupings/{name}/diff"),
    ("/console/study/groupings/{name}/file", "GET /v1/study/groupings/{name}"),
    ("/console/study/groupings/{name}/quality", "GET /v1/study/groupings/{name}/quality"),
    ("/console/study/imports/{id}", "GET /v1/study/imports/{id}"),
    ("/console/study/reports", "GET /v1/study/reports"),
    ("/console/study/snapshots/{id}", "GET /v1/study/snapshots/{id}"),
    ("/console/tokens", "GET /v1/tokens"),
    ("/console/users", "GET /v1/users"),
    ("/console/versions/{id}/edit", "PUT /v1/versions/{id}"),
    ("/record", "GET /v1/record/spenders"),
    ("/record/ads/{id}", "GET /v1/record/ads/{id}"),
    ("/record/ads/{id}/versions", "GET /v1/record/ads/{id}/versions"),
    ("/record/ads/{id}/versions/{version}", "GET /v1/record/ads/{id}/versions/{version}"),
    ("/record/ads/{id}/{form}", "GET /v1/record/ads/{id}/{form}"),
    ("/record/changes", "GET /v1/record/changes"),
    ("/record/data", "GET /v1/record/fields"),
    ("/record/days/{name}", "GET /v1/record/days"),
    ("/record/elections", "GET /v1/record/elections"),
    ("/record/spenders", "GET /v1/record/spenders"),
    ("/record/sponsors/{id}", "GET /v1/record/sponsors/{id}"),
    ("/study", "GET /v1/study/published"),
    ("/study/{slug}", "GET /v1/study/published/{slug}/{file}"),
    ("/study/{slug}/{file}", "GET /v1/study/published/{slug}/{file}"),
];

/// Addresses that have no twin, each with the reason.
const WITHOUT: &[(&str, &str)] = &[
    ("/console/ads/{id}/template/{code}", "a creative in a sandbox, not data"),
    ("/console/ads/{id}/versions/{version}/frame", "a creative in a sandbox, not data"),
    ("/console/book/{draft}/preview/{number}", "a creative in a sandbox, not data"),
    ("/record/ads/{id}/versions/{version}/frame", "a creative in a sandbox, not data"),
    ("/console/design", "the components of the pages themselves"),
    ("/console/sign-in", "a password form: programs have tokens"),
    ("/console/link/{secret}", "a password form: programs have tokens"),
    ("/console/study/import", "an empty form for a file"),
    ("/record/ads/{id}/report", "an empty form for a reader"),
    ("/record/sponsors/{id}/dispute", "an empty form for a reader"),
    ("/record/reports/{id}", "the receipt of one reader, by its secret"),
    ("/record/verify.html", "a program that runs in the reader's own browser"),
    ("/record/log", "the log's own format, with an address of its own by specification"),
    ("/record/log/{*path}", "the log's own format, with an address of its own by specification"),
    ("/record/feed.atom", "a format of its own; the same ads are /v1/record/ads"),
];

#[test]
fn no_page_is_without_its_data_under_v1() {
    let all = routes();
    let operations: BTreeSet<String> = all.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    let is_page = |path: &str| {
        ["/console", "/record", "/study"].iter().any(|p| path == *p || path.starts_with(&format!("{p}/")))
    };
    let data_itself = |path: &str| path.ends_with(".json") && path.starts_with("/record/");
    let known = |path: &str| TWINS.iter().chain(WITHOUT).any(|(page, _)| *page == path);
    let missing: Vec<&str> = all
        .iter()
        .filter(|r| r.method.as_str() == "GET" && is_page(r.path) && !data_itself(r.path))
        .map(|r| r.path)
        .filter(|path| !known(path))
        .collect();
    assert!(missing.is_empty(), "say where the data of these is, or why nowhere: {missing:?}");
    let stray: Vec<_> =
        TWINS.iter().chain(WITHOUT).filter(|(page, _)| !all.iter().any(|r| r.path == *page)).collect();
    assert!(stray.is_empty(), "there is no such page: {stray:?}");
    let broken: Vec<_> = TWINS.iter().filter(|(_, twin)| !operations.contains(*twin)).collect();
    assert!(broken.is_empty(), "there is no such operation: {broken:?}");
    // Where a page may be seen, its data may be read: nobody is shown more by a program than on the page, nor less.
    for (page, twin) in TWINS.iter().filter(|(_, twin)| twin.starts_with("GET ")) {
        let access = |method: &str, path: &str| {
            all.iter().find(|r| r.method.as_str() == method && r.path == path).unwrap().access
        };
        let roles = |access| match access {
            regie::http::Access::Public => None,
            regie::http::Access::Signed { roles, .. } => Some(roles.to_vec()),
        };
        let (page_roles, twin_roles) = (roles(access("GET", page)), roles(access("GET", &twin[4..])));
        if let (Some(page_roles), Some(twin_roles)) = (&page_roles, &twin_roles) {
            let lacks: Vec<_> = page_roles.iter().filter(|r| !twin_roles.contains(r)).collect();
            assert!(lacks.is_empty(), "{page}: {lacks:?} see the page, and not {twin}");
        }
        assert!(page_roles.is_some() || twin_roles.is_none(), "{page} is for anybody, {twin} is not");
    }
}

fn got(client: &Client, path: &str) -> Value {
    let reply = client.get(path).expect(200);
    assert!(reply.header("content-type").starts_with("application/json"), "{path}");
    reply.json()
}

#[test]
fn the_consoles_twins_say_what_their_pages_say() {
    let stage = Stage::open();
    stage.show(3);
    let owner = &stage.owner;
    let (cam, adv, site) = (&stage.shop.campaign, &stage.shop.advertiser, &stage.site);
    let today = got(owner, "/v1/dashboard");
    assert_eq!(today["today"]["impressions_count"], 3);
    assert_eq!(today["today"]["campaigns"][cam]["impressions_count"], 3, "{today}");
    assert!(today["attention"].is_array());
    assert_eq!(got(owner, "/v1/account")["role"], "owner");
    let tag = || got(owner, &format!("/v1/sites/{site}/tag"));
    // Requests are counted by the minute.
    stage.harness.wait_for("the tag to be heard", || tag()["works"] == true);
    let tag = tag();
    assert_eq!(tag["works"], true, "{tag}");
    let snippet = tag["places"][0]["snippet"].as_str().unwrap();
    let page = owner.get(&format!("/console/sites/{site}")).expect(200).text();
    assert!(
        page.contains(&snippet.replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")),
        "{snippet}"
    );
    let account = got(owner, &format!("/v1/advertisers/{adv}/account"));
    let amount = |key: &str| account[key].as_i64().unwrap();
    assert_eq!(amount("remaining_nanos"), amount("deposits_nanos") - amount("charged_nanos"), "{account}");
    assert!(got(owner, &format!("/v1/campaigns/{cam}/eliminations"))["ad_sets"][0]["reasons"].is_array());
    assert!(got(owner, "/v1/delivery?promises=1")["oversold"].is_array());
    let draft = owner.form("/console/book", &[]).expect(303).header("location").to_owned();
    owner.form(&draft, &[("go", "leave"), ("name", "Half a booking")]).expect(303);
    assert_eq!(got(owner, "/v1/drafts")["drafts"][0]["name"], "Half a booking");
    let vote = [("name", "Municipal"), ("kind", "election"), ("country", "FR"), ("held_on", "2029-03-15")];
    owner.form("/console/elections", &vote).expect(303);
    assert_eq!(got(owner, "/v1/elections")["elections"][0]["restricted_from"], "2028-12-13");
    assert_eq!(got(owner, "/v1/groupings"), json!({ "groupings": [] }));
    let pairs = [("grounds", "unlabelled"), ("words", "It has no label."), ("email", "kim@example.org")];
    stage.harness.anonymous().form(&format!("/record/ads/{}/report", stage.shop.ad), &pairs);
    let complaints = got(owner, "/v1/complaints")["complaints"].clone();
    if let Some(id) = complaints[0]["id"].as_str() {
        assert!(complaints[0]["decided"].is_null() && complaints[0].get("reporter").is_none());
        assert_eq!(got(owner, &format!("/v1/complaints/{id}"))["reporter"]["words"], "It has no label.");
    }
    owner.send("POST", "/v1/tables/ads?dry_run=true", Some("text/csv"), b"id,name\nad_99,X\n").expect(202);
    assert_eq!(got(owner, "/v1/table-jobs")["jobs"][0]["kind"], "ads");
}

#[test]
fn a_limited_caller_reads_its_own_and_nothing_of_the_house() {
    let stage = Stage::open();
    stage.show(2);
    let other = crate::common::open_shop(&stage.owner, "Other Shop");
    let scopes = [Scope::Read, Scope::Operate];
    let token = stage.harness.token(&scopes, other.advertiser.parse().ok());
    let person = stage.harness.user(Role::Advertiser, other.advertiser.parse().ok());
    for path in [
        "/v1/complaints",
        "/v1/complaints/report_1",
        "/v1/elections",
        "/v1/groupings",
        "/v1/study/snapshots",
        "/v1/study/ranking",
        "/v1/study/reports",
        &format!("/v1/sites/{}/tag", stage.site),
    ] {
        token.get(path).expect(403);
        person.get(path).expect(403);
    }
    assert_eq!(got(&token, "/v1/dashboard")["today"]["impressions_count"], 0);
    token.get(&format!("/v1/campaigns/{}/eliminations", stage.shop.campaign)).expect(404);
    token.get(&format!("/v1/advertisers/{}/account", stage.shop.advertiser)).expect(404);
    token.get("/v1/drafts").expect(403);
    assert_eq!(got(&person, "/v1/account")["advertiser"], other.advertiser.as_str());
}

#[test]
fn the_records_twins_are_its_own_answers() {
    let stage = Stage::open();
    stage.show(2);
    let reader = stage.harness.anonymous();
    let (ad, party) = (&stage.shop.ad, &stage.shop.party);
    stage
        .harness
        .wait_for("the ad in the record", || reader.get(&format!("/v1/record/ads/{ad}")).status == 200);
    for (twin, own) in [
        (format!("/v1/record/ads/{ad}"), format!("/record/ads/{ad}.json")),
        (format!("/v1/record/ads/{ad}/notice.json"), format!("/record/ads/{ad}/notice.json")),
        (format!("/v1/record/ads/{ad}/versions"), format!("/record/ads/{ad}/versions.json")),
        (format!("/v1/record/sponsors/{party}"), format!("/record/sponsors/{party}.json")),
        ("/v1/record/ads?limit=1".into(), "/record/ads.json?limit=1".into()),
        ("/v1/record/elections".into(), "/record/elections.json".into()),
        ("/v1/record/completeness".into(), "/record/completeness.json".into()),
        ("/v1/record/fields".into(), "/record/data.json".into()),
        ("/v1/record/days".into(), "/record/days.json".into()),
        ("/v1/record/changes".into(), "/record/changes.json".into()),
    ] {
        // The counter says when it counted.
        let told = |path: &str| {
            let mut told = got(&reader, path);
            told.as_object_mut().map(|all| all.remove("counted_at"));
            told
        };
        assert_eq!(told(&twin), told(&own), "{twin}");
    }
    // The record's figures are at most a second old.
    let spenders =
        || got(&reader, "/v1/record/spenders?since=2020-01-01")["currencies"][0]["sponsors"].clone();
    stage.harness.wait_for("the money in the record", || spenders()[0]["sponsor"] == party.as_str());
    let page = reader.get("/record?since=2020-01-01").expect(200).text();
    assert!(page.contains(spenders()[0]["name"].as_str().unwrap()), "{page}");
    let bad = reader.get("/v1/record/spenders?since=soon").expect(400).json();
    assert_eq!(bad["code"], "bad_request");
    let (twin, own) = ("/v1/record/spenders?since=2020-01-01", "/record/spenders.json?since=2020-01-01");
    assert_eq!(got(&reader, twin)["currencies"], got(&reader, own)["currencies"]);
}
