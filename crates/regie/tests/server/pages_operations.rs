//! What operations, advertisers and operators do with what is booked: the delivery board, results, copies, undo, health.

use crate::common::{self, Client};
use crate::shown::{self, Stage};
use regie_model::booking::{Role, Scope};

/// The position of the latest change of a thing, as its history offers to take it back.
fn latest(client: &Client, entity: &str) -> String {
    let changes = client.get(&format!("/v1/history?entity={entity}")).expect(200).json();
    changes["changes"][0]["position"].to_string()
}
fn undo(client: &Client, entity: &str, position: &str) -> u16 {
    client.form("/console/history/undo", &[("entity", entity), ("position", position)]).status
}
fn name(client: &Client, path: &str) -> String {
    client.get(path).expect(200).json()["spec"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_is_taken_back_as_a_new_event_and_only_the_latest() {
    let stage = Stage::open();
    let (owner, campaign) = (&stage.owner, &stage.shop.campaign);
    let path = format!("/v1/campaigns/{campaign}");
    let rename = |to: &str| {
        let mut spec = owner.get(&path).expect(200).json()["spec"].clone();
        spec["name"] = to.into();
        owner.put(&path, spec).expect(200);
    };
    rename("Summer");
    let first = latest(owner, campaign);
    rename("Autumn");
    let second = latest(owner, campaign);
    assert_eq!(undo(owner, campaign, &first), 409, "a later change stands in the way");
    assert_eq!(undo(owner, campaign, &second), 303);
    assert_eq!(name(owner, &path), "Summer");
    let count =
        owner.get(&format!("/v1/history?entity={campaign}")).json()["changes"].as_array().unwrap().len();
    assert_eq!(count, 4, "booked, renamed twice, taken back: nothing is deleted");
    // A switch is taken back too; what was made has nothing before it.
    owner.post(&format!("{path}/status"), serde_json::json!({ "status": "paused" })).expect(200);
    assert_eq!(undo(owner, campaign, &latest(owner, campaign)), 303);
    assert_eq!(owner.get(&path).json()["status"], "active");
    assert_eq!(undo(owner, &stage.shop.ad_set, &latest(owner, &stage.shop.ad_set)), 409);
    // Another advertiser cannot, and does not learn that there is anything.
    let other = common::open_shop(owner, "Other Shop");
    let stranger = stage.harness.user(Role::Advertiser, Some(other.advertiser.parse().unwrap()));
    assert_eq!(undo(&stranger, campaign, &latest(owner, campaign)), 404);
}

#[test]
fn parties_limits_votes_and_users_are_taken_back_too() {
    let stage = Stage::open();
    let owner = &stage.owner;
    // A party: its earlier identity is sealed again, unless it was erased.
    let party = format!("/v1/parties/{}", stage.shop.party);
    let mut spec = owner.get(&party).expect(200).json()["spec"].clone();
    let before = spec["identity"]["name"].clone();
    spec["identity"]["name"] = "Typed Wrong".into();
    owner.put(&party, spec).expect(200);
    assert_eq!(undo(owner, &stage.shop.party, &latest(owner, &stage.shop.party)), 303);
    assert_eq!(owner.get(&party).json()["spec"]["identity"]["name"], before);
    // A limit of credit.
    let account = format!("/v1/advertisers/{}", stage.shop.advertiser);
    let mut spec = owner.get(&account).expect(200).json()["spec"].clone();
    spec["funding"] = serde_json::json!({ "kind": "credit", "limit_micros": 9_000_000_000i64 });
    owner.put(&account, spec).expect(200);
    assert_eq!(undo(owner, &stage.shop.advertiser, &latest(owner, &stage.shop.advertiser)), 303);
    assert_eq!(owner.get(&account).json()["spec"]["funding"]["kind"], "prepaid");
    // A vote: the day that was saved by mistake goes back to the one before, as a new event.
    let vote = |held_on: &str, more: &[(&str, &str)]| {
        let base = [("name", "Municipal"), ("kind", "election"), ("country", "FR"), ("held_on", held_on)];
        let pairs: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        owner.form("/console/elections", &pairs).expect(303);
    };
    vote("2029-03-15", &[]);
    vote("2030-03-15", &[("id", "vote_1")]);
    let day = || owner.get("/v1/elections").expect(200).json()["elections"][0]["spec"]["held_on"].clone();
    assert_eq!(day(), "2030-03-15");
    let advertiser = stage.harness.user(Role::Advertiser, stage.shop.advertiser.parse().ok());
    assert_ne!(undo(&advertiser, "vote_1", &latest(owner, "vote_1")), 303, "votes are the publisher's");
    assert_eq!(undo(owner, "vote_1", &latest(owner, "vote_1")), 303);
    assert_eq!(day(), "2029-03-15");
    let events = owner.get("/v1/history?entity=vote_1").json()["changes"].as_array().unwrap().len();
    assert_eq!(events, 3, "added, changed, taken back: nothing is deleted");
    // A user's role, by an owner alone; never so that the last owner goes.
    let made = owner.post(
        "/v1/users",
        serde_json::json!({ "email": "lee@example.org", "name": "Lee", "role": "read_only" }),
    );
    let lee = made.expect(201).json()["id"].as_str().unwrap().to_owned();
    owner.put(&format!("/v1/users/{lee}"), serde_json::json!({ "role": "ad_operations" })).expect(200);
    let position = latest(owner, &lee);
    let operations = stage.harness.user(Role::AdOperations, None);
    assert_eq!(undo(&operations, &lee, &position), 404);
    assert_eq!(undo(owner, &lee, &position), 303);
    let users = owner.get("/v1/users").json()["users"].clone();
    let role = users.as_array().unwrap().iter().find(|u| u["id"] == lee.as_str()).unwrap()["role"].clone();
    assert_eq!(role, "read_only");
    // An erased identity does not come back.
    owner.post(&format!("{party}/erase"), serde_json::json!({ "reason": "asked for" })).expect(200);
    let changes = owner.get(&format!("/v1/history?entity={}", stage.shop.party)).json()["changes"].clone();
    let edits = changes.as_array().unwrap().iter().filter(|c| c["change"]["change"] == "party_put");
    let last = edits.map(|c| c["position"].to_string()).next().unwrap();
    assert_eq!(undo(owner, &stage.shop.party, &last), 409);
}

#[test]
fn a_copy_is_a_draft_with_everything_in_it() {
    let stage = Stage::open();
    let reply =
        stage.owner.form(&format!("/console/campaigns/{}/duplicate", stage.shop.campaign), &[]).expect(303);
    let copy = reply.header("location").rsplit('/').next().unwrap().to_owned();
    assert_ne!(copy, stage.shop.campaign);
    let json = stage.owner.get(&format!("/v1/campaigns/{copy}")).expect(200).json();
    assert_eq!(
        (json["status"].as_str(), json["spec"]["name"].as_str()),
        (Some("draft"), Some("Copy of Spring"))
    );
    let versions = stage.owner.get(&format!("/v1/versions?within={copy}")).expect(200).json();
    let items = versions["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    let original = stage.owner.get(&format!("/v1/versions/{}", stage.shop.version)).json();
    assert_eq!(items[0]["creative_hash"], original["creative_hash"]);
    assert_ne!(items[0]["id"], original["id"]);
}

#[test]
fn a_campaign_may_be_booked_as_a_draft() {
    let stage = Stage::open();
    let fields = [
        ("name", "Later"),
        ("advertiser", stage.shop.advertiser.as_str()),
        ("sponsor", &stage.shop.party),
        ("payer", &stage.shop.party),
        ("objective", "clicks"),
        ("flight.starts_at", "2030-01-01 00:00"),
        ("draft", "on"),
    ];
    let reply = stage.owner.form("/console/campaigns", &fields).expect(303);
    let id = reply.header("location").rsplit('/').next().unwrap().to_owned();
    assert_eq!(stage.owner.get(&format!("/v1/campaigns/{id}")).expect(200).json()["status"], "draft");
    let page = stage.owner.get(&format!("/console/campaigns/{id}")).expect(200).text();
    assert!(page.contains(">Start<"), "a draft is started");
}

#[test]
fn the_board_says_where_each_ad_set_stands_to_those_who_may_see_it() {
    let stage = Stage::open();
    stage.show(3);
    let rows = stage.owner.get("/v1/delivery").expect(200).json();
    let row = &rows["ad_sets"][0];
    assert_eq!(row["ad_set"], stage.shop.ad_set.as_str());
    assert_eq!(row["standing"], "behind", "measured by its campaign's budget: {row}");
    assert_eq!(row["delivered"].as_i64(), Some(3 * shown::FLOOR_NANOS));
    // Without any budget there is no plan, and it is counted by impressions.
    let campaign = format!("/v1/campaigns/{}", stage.shop.campaign);
    let mut spec = stage.owner.get(&campaign).expect(200).json()["spec"].clone();
    spec["lifetime_budget_micros"] = serde_json::Value::Null;
    stage.owner.put(&campaign, spec.clone()).expect(200);
    let row = stage.owner.get("/v1/delivery").expect(200).json()["ad_sets"][0].clone();
    assert_eq!((row["standing"].as_str(), row["delivered"].as_i64()), (Some("no_plan"), Some(3)), "{row}");
    spec["lifetime_budget_micros"] = 1_000_000_000.into();
    stage.owner.put(&campaign, spec).expect(200);
    let path = format!("/v1/ad-sets/{}", stage.shop.ad_set);
    let mut spec = stage.owner.get(&path).expect(200).json()["spec"].clone();
    spec["lifetime_budget_micros"] = 900_000_000.into();
    stage.owner.put(&path, spec).expect(200);
    let row = stage.owner.get("/v1/delivery").expect(200).json()["ad_sets"][0].clone();
    assert_eq!(row["standing"], "behind", "{row}");
    assert!(row["planned"].as_i64().unwrap() > 0 && row["unit"] == "nanos");
    let page = stage.owner.get("/console/delivery?promises=1").expect(200).text();
    assert!(page.contains("Behind") && page.contains("nothing is oversold"), "{page}");
    let other = common::open_shop(&stage.owner, "Other Shop");
    let stranger = stage.harness.user(Role::Advertiser, Some(other.advertiser.parse().unwrap()));
    let seen = stranger.get("/v1/delivery").expect(200).text();
    assert!(!seen.contains(&format!("\"{}\"", stage.shop.ad_set)), "{seen}");
}

#[test]
fn results_show_the_same_figures_as_the_report() {
    let stage = Stage::open();
    stage.show(5);
    let page =
        stage.owner.get(&format!("/console/campaigns/{}/results", stage.shop.campaign)).expect(200).text();
    for words in [
        "Spend against plan",
        "From ad to action",
        "By version",
        "By place",
        "front-top",
        "95% interval",
        "<svg",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(
        page.contains("<dd>5</dd>") && page.contains("<dd>0.0075\u{a0}EUR</dd>"),
        "five impressions at the floor: {page}"
    );
    let other = common::open_shop(&stage.owner, "Other Shop");
    let stranger = stage.harness.user(Role::Advertiser, Some(other.advertiser.parse().unwrap()));
    stranger.get(&format!("/console/campaigns/{}/results", stage.shop.campaign)).expect(404);
    stranger.get(&format!("/v1/campaigns/{}/results", stage.shop.campaign)).expect(404);
}

#[test]
fn results_are_data_too_by_day_hour_and_part() {
    let stage = Stage::open();
    stage.show(4);
    let clicked = stage.ticket();
    stage.report(&clicked, &["impression", "click"]);
    let path = format!("/v1/campaigns/{}/results", stage.shop.campaign);
    let reader = stage.harness.token(&[Scope::Read], stage.shop.advertiser.parse().ok());
    let json = reader.get(&path).expect(200).json();
    let counts = |row: &serde_json::Value| (row["impressions_count"].as_u64(), row["clicks_count"].as_u64());
    assert_eq!(counts(&json["totals"]), (Some(5), Some(1)), "{json}");
    let days = json["days"].as_array().unwrap();
    assert_eq!((days.len(), counts(&days[13])), (14, (Some(5), Some(1))));
    // Wilson's interval for 1 of 5, to four digits: 0.0362 to 0.6245.
    let limits = ["click_rate_low_ppm", "click_rate_high_ppm"].map(|n| json["totals"][n].as_u64().unwrap());
    assert!((36_100..36_300).contains(&limits[0]) && (624_400..624_600).contains(&limits[1]), "{limits:?}");
    let hours: u64 = json["by"]["hour_of_day"].as_array().unwrap().iter().map(|r| counts(r).0.unwrap()).sum();
    assert_eq!(hours, 5);
    let hour = json["by"]["hour_of_day"][0]["hour_of_day"].as_str().unwrap().parse::<u32>().unwrap();
    assert!(hour < 24);
    assert_eq!(json["by"]["version"][0]["version"], stage.shop.version);
    assert_eq!(json["before"]["totals"]["impressions_count"], 0);
    // The page has the band and, behind it, the table with the same limits.
    let page = stage.owner.get(&path.replace("/v1", "/console")).expect(200).text();
    for words in ["class=\"band\"", "By hour of the day", "3.62% \u{2013} 62.4"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let few = reader.get(&format!("{path}?by=placement,country")).expect(200).json();
    assert_eq!(few["by"].as_object().unwrap().len(), 2);
    assert_eq!(
        reader.get(&format!("{path}?by=weather&from=soon")).faults(),
        ["by: unknown", "from: malformed"]
    );
}

#[test]
fn two_periods_are_compared_as_one_chooses() {
    let stage = Stage::open();
    stage.show(3);
    let path = format!("/v1/campaigns/{}/results", stage.shop.campaign);
    let today =
        stage.owner.get(&format!("{path}?from=")).expect(200).json()["to"].as_str().unwrap().to_owned();
    // Today beside today: nothing differs. Today beside a day before the first ad: all of it is new.
    let same = stage.owner.get(&format!("{path}?from={today}&to={today}&against={today}")).expect(200).json();
    assert_eq!(same["totals"]["impressions_count"], 3);
    assert_eq!(same["before"], serde_json::json!({ "from": today, "to": today, "totals": same["totals"] }));
    let other = stage.owner.get(&format!("{path}?from={today}&against=2020-02-29")).expect(200).json();
    assert_eq!(
        (&other["before"]["from"], &other["before"]["totals"]["impressions_count"]),
        (&"2020-02-29".into(), &0.into())
    );
    stage.owner.get(&format!("{path}?against=soon")).expect(422);
    let page = format!("/console/campaigns/{}/results?from={today}&against={today}", stage.shop.campaign);
    let page = stage.owner.get(&page).expect(200).text();
    assert!(
        page.contains(&format!("name=\"against\" value=\"{today}\"")) && page.contains("+0.00% (3)"),
        "{page}"
    );
}

#[test]
fn the_operator_sees_journal_folds_storage_and_backups() {
    let stage = Stage::open();
    stage.show(2);
    let health = stage.owner.get("/v1/health").expect(200).json();
    let head = health["journal_head"].as_u64().unwrap();
    assert!(head > 10);
    let fold = |name: &str| {
        let all = health["folds"].as_array().unwrap();
        all.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name}: {health}")).clone()
    };
    for name in ["ledger", "learner", "reports"] {
        let (at, lag) = (fold(name)["position"].as_u64().unwrap(), fold(name)["lag_count"].as_u64().unwrap());
        assert!(at + lag >= head && at > 10, "{name}: {health}");
    }
    let (changes, record) = (fold("catalogue"), fold("record"));
    assert!(changes["position"].as_u64().unwrap() > 5, "the last booking: {health}");
    assert!(record["position"].as_u64() <= changes["position"].as_u64(), "{health}");
    let parts: Vec<&str> =
        health["parts"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(parts.contains(&"journal") && parts.contains(&"objects"), "{parts:?}");
    assert!(health["last_backup_at"].is_null());
    let page = stage.owner.get("/console/health").expect(200).text();
    assert!(page.contains("Everything keeps up") && page.contains("never"), "{page}");
    let folder = stage.harness.folder().to_string_lossy().into_owned();
    assert!(!page.contains(&folder) && !health.to_string().contains(&folder), "no path of the machine");
}

#[test]
fn the_site_page_says_whether_its_tag_is_heard() {
    let stage = Stage::open();
    let path = format!("/console/sites/{}", stage.site);
    let page = stage.owner.get(&path).expect(200).text();
    assert!(page.contains("nothing heard yet") && page.contains("script-src"), "{page}");
    stage.show(2);
    stage.owner.get("/v1/reports").expect(200);
    let page = stage.owner.get(&path).expect(200).text();
    assert!(page.contains("requests in the last two hours") && page.contains("?what=approved"), "{page}");
}

#[test]
fn a_form_sent_without_a_session_leads_back_to_its_page() {
    let stage = Stage::open();
    let referer = format!("{}/console/campaigns/new", stage.harness.url);
    let reply =
        stage.harness.anonymous().with("referer", &referer).form("/console/campaigns", &[("name", "Typed")]);
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("location"), "/console/sign-in?next=%2Fconsole%2Fcampaigns%2Fnew");
    let elsewhere = stage
        .harness
        .anonymous()
        .with("referer", "https://elsewhere.example/x")
        .form("/console/campaigns", &[]);
    assert_eq!(elsewhere.header("location"), "/console/sign-in?next=%2Fconsole");
}
