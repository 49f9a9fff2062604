//! The console's pages: each role, a strict policy, no third party, light, escaped; forms that lose nothing.

use crate::common::{self, Client, Harness, ROLES, Reply};
use crate::shown::Stage;
use regie_model::booking::Role;
use serde_json::json;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const PAGE_BYTES_MAX: usize = 200_000;

/// Every page that one shop's bookings have, with the roles that may not see it.
fn pages(stage: &Stage) -> Vec<(String, Vec<Role>)> {
    let shop = &stage.shop;
    let (adv, cam, set, ad, ver) = (&shop.advertiser, &shop.campaign, &shop.ad_set, &shop.ad, &shop.version);
    let books = || vec![Role::ReadOnly, Role::Auditor];
    let house = || vec![Role::Advertiser];
    let operates = || vec![Role::Advertiser, Role::ReadOnly, Role::Auditor];
    let mut all: Vec<(String, Vec<Role>)> = [
        "/console",
        "/console/campaigns",
        "/console/advertisers",
        "/console/parties",
        "/console/billing",
        "/console/reports",
    ]
    .iter()
    .map(|p| ((*p).to_owned(), vec![]))
    .collect();
    all.extend([
        (format!("/console/campaigns/{cam}"), vec![]),
        (format!("/console/campaigns/{cam}/results"), vec![]),
        ("/console/delivery".into(), vec![]),
        ("/console/downloads".into(), vec![]),
        ("/console/bulk".into(), books()),
        ("/console/health".into(), vec![Role::Advertiser, Role::ReadOnly]),
        (format!("/console/ads/{ad}"), vec![]),
        (format!("/console/advertisers/{adv}"), vec![]),
        (format!("/console/billing/{adv}/2026-11"), vec![]),
        (format!("/console/reports?by=campaign,placement&campaign={cam}"), vec![]),
        (format!("/console/history?entity={cam}"), vec![Role::ReadOnly]),
        ("/console/history".into(), vec![Role::Advertiser, Role::ReadOnly]),
        ("/console/book".into(), books()),
        ("/console/campaigns/new".into(), books()),
        (format!("/console/campaigns/{cam}/edit"), books()),
        (format!("/console/campaigns/{cam}/ad-sets/new"), books()),
        (format!("/console/ad-sets/{set}/edit"), books()),
        (format!("/console/ad-sets/{set}/ads/new"), books()),
        (format!("/console/ads/{ad}/edit"), books()),
        (format!("/console/ads/{ad}/versions/new?kind=image"), books()),
        (format!("/console/ads/{ad}/versions/new?kind=native"), books()),
        (format!("/console/versions/{ver}/edit"), books()),
        ("/console/parties/new".into(), books()),
        (format!("/console/parties/{}/edit", shop.party), books()),
        ("/console/inventory".into(), house()),
        (format!("/console/sites/{}", stage.site), house()),
        (format!("/console/placements/{}/edit", stage.placement), house()),
        ("/console/review".into(), house()),
        ("/console/stops".into(), house()),
        ("/console/settings".into(), house()),
        ("/console/design".into(), house()),
        ("/console/sites/new".into(), operates()),
        (format!("/console/sites/{}/edit", stage.site), operates()),
        (format!("/console/sites/{}/placements/new", stage.site), operates()),
        ("/console/advertisers/new".into(), operates()),
        (format!("/console/advertisers/{adv}/edit"), operates()),
        ("/console/users".into(), vec![Role::AdOperations, Role::Advertiser, Role::ReadOnly]),
        ("/console/tokens".into(), vec![Role::AdOperations, Role::Advertiser, Role::ReadOnly]),
    ]);
    all
}

fn public_pages(stage: &Stage) -> Vec<String> {
    vec![
        "/record".into(),
        "/record?q=bicycle".into(),
        format!("/record/ads/{}", stage.shop.ad),
        format!("/record/sponsors/{}", stage.shop.party),
        "/record/ads/ad_77".into(),
    ]
}

/// Addresses that a browser would load by itself: never another server's.
fn loads(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (tag, attribute) in
        [("<script", "src"), ("<img", "src"), ("<iframe", "src"), ("<link", "href"), ("<form", "action")]
    {
        for piece in html.split(tag).skip(1) {
            let head = piece.split('>').next().unwrap_or("");
            if let Some((_, rest)) = head.split_once(&format!("{attribute}=\"")) {
                found.push(rest.split('"').next().unwrap_or("").to_owned());
            }
        }
    }
    found
}

#[track_caller]
fn is_sound(path: &str, reply: &Reply) {
    let html = reply.text();
    assert_eq!(reply.header("content-security-policy"), POLICY, "{path}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
    assert!(reply.header("content-type").starts_with("text/html"), "{path}");
    assert!(html.len() < PAGE_BYTES_MAX, "{path} weighs {} bytes", html.len());
    assert!(
        html.contains("<html lang=\"en\">") && html.contains("<title>") && html.contains("<h1>"),
        "{path}"
    );
    for forbidden in [" style=\"", "<style", " onclick=", " onload=", "javascript:"] {
        assert!(!html.contains(forbidden), "{path} has {forbidden}");
    }
    for script in html.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/static/"), "{path}: an inline script");
    }
    for address in loads(&html) {
        assert!(
            address.starts_with('/') && !address.starts_with("//") || address.is_empty(),
            "{path} loads {address}"
        );
    }
}

#[test]
fn every_page_is_for_the_roles_that_may_see_it_and_sound() {
    let stage = Stage::open();
    stage.show(3);
    let own = stage.shop.advertiser.parse().unwrap();
    for role in ROLES {
        let client = stage.harness.user(role, (role == Role::Advertiser).then_some(own));
        for (path, not) in pages(&stage) {
            let reply = client.get(&path);
            if not.contains(&role) {
                assert_eq!(reply.status, 403, "{role:?} {path}");
            } else {
                assert_eq!(reply.status, 200, "{role:?} {path}: {}", reply.text());
                is_sound(&path, &reply);
            }
        }
    }
    for path in public_pages(&stage) {
        is_sound(&path, &stage.harness.anonymous().get(&path));
    }
    for (path, _) in pages(&stage) {
        assert_eq!(
            stage.harness.anonymous().get(&path).status,
            303,
            "{path} sends nobody to the sign-in page"
        );
    }
}

#[test]
fn static_files_are_named_by_their_content_and_kept() {
    let harness = Harness::start();
    let page = harness.anonymous().get("/record").expect(200).text();
    let files: Vec<String> = loads(&page).into_iter().filter(|a| a.starts_with("/static/")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let reply = harness.anonymous().get(&file).expect(200);
        assert!(reply.header("cache-control").contains("immutable"), "{file}");
    }
    assert_eq!(
        harness.anonymous().get("/static/0000/console.css").expect(200).header("cache-control"),
        "no-cache"
    );
    harness.anonymous().get("/static/0000/other.css").expect(404);
}

const EVIL: &str = "<script>alert('x')</script>\"'&";

/// Books every text field with markup in it.
fn evil_stage() -> (Stage, Vec<String>) {
    let stage = Stage::open();
    let owner = &stage.owner;
    let mut publisher = common::publisher();
    (publisher["name"], publisher["legal_address"], publisher["tax_id"]) =
        (EVIL.into(), EVIL.into(), EVIL.into());
    publisher["blocked_categories"] = json!([format!("{EVIL} two")]);
    owner.put("/v1/publisher", publisher).expect(200);
    let mut site = common::site();
    (site["name"], site["language"]) = (EVIL.into(), "en".into());
    let site = common::create(owner, "/v1/sites", site);
    let mut placement = common::placement(&site, "evil");
    placement["fallback_html"] = "<b>\"'&</b>".into();
    placement["blocked_categories"] = json!([format!("{EVIL} two")]);
    let placement = common::create(owner, "/v1/placements", placement);
    let mut advertiser = common::advertiser(EVIL);
    (advertiser["invoice_address"], advertiser["categories"]) = (EVIL.into(), json!([EVIL]));
    let advertiser = common::create(owner, "/v1/advertisers", advertiser);
    let mut party = common::party(EVIL);
    party["identity"] = json!({ "name": EVIL, "email": "a@\"><script>.example", "postal_address": EVIL, "controller": EVIL, "register_id": EVIL });
    let party = common::create(owner, "/v1/parties", party);
    let mut campaign = common::campaign(&advertiser, &party);
    campaign["name"] = EVIL.into();
    campaign["political"] = common::declaration();
    campaign["political"]["linked"][0]["name"] = EVIL.into();
    campaign["political"]["no_other_provider"] = false.into();
    campaign["political"]["other_providers"] = json!([{ "provider": EVIL, "in_kind": EVIL }]);
    let campaign = common::create(owner, "/v1/campaigns", campaign);
    let mut set = common::ad_set(&campaign);
    (set["name"], set["targeting"]) =
        (EVIL.into(), json!([{ "dimension": "keyword", "op": "not_in", "values": [EVIL] }]));
    set["bid"] = json!({ "kind": "cpa", "micros_per_conversion": 1_000_000, "action": "<script>\"'&" });
    let set = common::create(owner, "/v1/ad-sets", set);
    let mut ad = common::ad(&set);
    ad["name"] = EVIL.into();
    let ad = common::create(owner, "/v1/ads", ad);
    let mut version = common::html_version(&ad, EVIL);
    version["name"] = EVIL.into();
    let version = common::create(owner, "/v1/versions", version);
    let path = format!("/v1/advertisers/{advertiser}/deposits");
    assert!(owner.post(&path, json!({ "amount_micros": 9_000_000, "reference": EVIL })).status < 300);
    stage.approve(&ad);
    let stop = json!({ "what": { "kind": "sponsor", "id": "party_1" }, "on": true, "reason": EVIL });
    assert!(owner.post("/v1/stops", stop).status < 300);
    // Decisions follow a changed publisher a moment later.
    let ask = json!({ "site": site, "placements": [{ "name": "evil" }], "page": { "url": "https://gazette.example/" } });
    let reader = stage.harness.anonymous();
    stage.harness.wait_for("the place", || reader.post("/v1/decisions", ask.clone()).status == 200);
    stage.harness.wait_for("the ad in the record", || {
        stage.show_on(&site, "evil");
        stage.harness.anonymous().get(&format!("/record/ads/{ad}")).status == 200
    });
    let reject = json!({ "ads": [ad], "verdict": "rejected", "reason": EVIL });
    assert!(owner.post("/v1/reviews", reject).status < 300);
    let search = url::form_urlencoded::byte_serialize(EVIL.as_bytes()).collect::<String>();
    let paths = vec![
        "/console".into(),
        "/console/campaigns".into(),
        format!("/console/campaigns?q={search}"),
        format!("/console/campaigns/{campaign}"),
        format!("/console/campaigns/{campaign}/edit"),
        format!("/console/ad-sets/{set}/edit"),
        format!("/console/ads/{ad}"),
        format!("/console/ads/{ad}/edit"),
        format!("/console/versions/{version}/edit"),
        "/console/advertisers".into(),
        format!("/console/advertisers/{advertiser}"),
        format!("/console/advertisers/{advertiser}/edit"),
        "/console/parties".into(),
        format!("/console/parties/{party}/edit"),
        "/console/inventory".into(),
        format!("/console/sites/{site}"),
        format!("/console/placements/{placement}/edit"),
        "/console/review".into(),
        "/console/stops".into(),
        "/console/settings".into(),
        "/console/history".into(),
        format!("/console/history?entity={search}"),
        "/console/billing".into(),
        format!("/console/billing/{advertiser}/2026-11"),
        "/console/reports?by=campaign,ad_set,ad,placement".into(),
        "/record".into(),
        format!("/record?q={search}"),
        format!("/record/ads/{ad}"),
        format!("/record/sponsors/{party}"),
    ];
    (stage, paths)
}

#[test]
fn whatever_was_booked_is_escaped_on_every_page() {
    let (stage, paths) = evil_stage();
    let mut seen = 0;
    for path in paths {
        let reply = stage.owner.get(&path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let html = reply.text();
        assert!(!html.contains("<script>"), "{path} has the script");
        assert!(!html.contains("alert('x')</script>"), "{path} has the end of the script");
        seen += usize::from(html.contains("&lt;script&gt;"));
        is_sound(&path, &reply);
    }
    assert!(seen >= 20, "only {seen} pages show what was booked; the test looks at the wrong pages");
}

fn fill<'a>(pairs: &[(&'a str, &'a str)], change: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let changed = |name: &str| change.iter().any(|(n, _)| *n == name);
    pairs.iter().filter(|(n, _)| !changed(n)).chain(change).copied().collect()
}

#[test]
fn a_campaign_is_booked_by_form_and_a_fault_loses_nothing() {
    let stage = Stage::open();
    let (adv, party) = (stage.shop.advertiser.as_str(), stage.shop.party.as_str());
    let good = [
        ("advertiser", adv),
        ("sponsor", party),
        ("payer", party),
        ("name", "Summer & sun"),
        ("objective", "clicks"),
        ("flight.starts_at", "2026-11-01T00:00"),
        ("flight.ends_at", "2027-11-01T00:00"),
        ("lifetime_budget_micros", "1 250.50"),
    ];
    let bad = fill(
        &good,
        &[("flight.ends_at", "2026-01-01T00:00"), ("daily_budget_micros", "lots"), ("political", "on")],
    );
    let reply = stage.owner.form("/console/campaigns", &bad).expect(422);
    let html = reply.text();
    is_sound("POST /console/campaigns", &reply);
    for kept in ["Summer &amp; sun", "1 250.50", "lots", "2026-01-01T00:00"] {
        assert!(html.contains(kept), "{kept} is lost: {html}");
    }
    for told in [
        "The end must be after the start.",
        "Write an amount such as",
        "Say whether the money is public or private.",
        "must confirm",
    ] {
        assert!(html.contains(told), "{told}");
    }
    let reply = stage.owner.form("/console/campaigns", &good).expect(303);
    let page = stage.owner.get(reply.header("location")).expect(200).text();
    assert!(page.contains("Summer &amp; sun") && page.contains("1,250.50\u{a0}EUR"), "{page}");
}

#[test]
fn the_second_editor_sees_what_the_first_changed() {
    let stage = Stage::open();
    let path = format!("/console/campaigns/{}", stage.shop.campaign);
    let (adv, party) = (stage.shop.advertiser.as_str(), stage.shop.party.as_str());
    let base = [
        ("revision", "1"),
        ("advertiser", adv),
        ("sponsor", party),
        ("payer", party),
        ("objective", "clicks"),
        ("flight.starts_at", "2026-01-01T01:00"),
        ("flight.ends_at", "2030-01-01T01:00"),
        ("lifetime_budget_micros", "1000"),
    ];
    stage.owner.form(&path, &fill(&base, &[("name", "First")])).expect(303);
    let html = stage.owner.form(&path, &fill(&base, &[("name", "Second")])).expect(422).text();
    assert!(html.contains("Somebody saved this while you were editing."), "{html}");
    assert!(html.contains("value=\"Second\"") && html.contains("<q>First</q>"), "{html}");
    stage.owner.form(&path, &fill(&base, &[("name", "Second"), ("revision", "2")])).expect(303);
}

#[test]
fn the_rest_of_a_booking_goes_by_form_too() {
    let harness = Harness::start();
    let owner = harness.owner();
    let at = |reply: Reply| reply.expect(303).header("location").to_owned();
    let publisher = [
        ("name", "Gazette"),
        ("auction_currency", "eur"),
        ("zone", "Europe/Paris"),
        ("tax_rate_ppm", "20"),
        ("sample_ppm", "1"),
    ];
    at(owner.form("/console/settings", &publisher));
    let site =
        at(owner.form("/console/sites", &[("name", "Main"), ("origins", "https://gazette.example\r\n")]));
    let placement = [
        ("name", "top"),
        ("format.kind", "banner"),
        ("format.sizes", "300x250, 728x90"),
        ("floors[1].micros_per_mille", "0.50"),
        ("floors[1].currency", "EUR"),
        ("floors[1].tier", "auction"),
        ("political", "on"),
    ];
    at(owner.form(&format!("{site}/placements"), &placement));
    let advertiser = [
        ("name", "Shop"),
        ("currency", "EUR"),
        ("zone", "Europe/Paris"),
        ("funding.kind", "credit"),
        ("funding.limit_micros", "500"),
    ];
    let advertiser = at(owner.form("/console/advertisers", &advertiser));
    at(owner.form(&format!("{advertiser}/deposits"), &[("amount_micros", "100"), ("reference", "R1")]));
    at(owner.form(
        "/console/parties",
        &[("kind", "organisation"), ("identity.name", "Shop plc"), ("established_in", "fr")],
    ));
    let campaign = [
        ("advertiser", "adv_1"),
        ("sponsor", "party_1"),
        ("payer", "party_1"),
        ("name", "Spring"),
        ("objective", "impressions"),
        ("flight.starts_at", "2026-11-01T00:00"),
    ];
    let campaign = at(owner.form("/console/campaigns", &campaign));
    let set = [
        ("name", "All"),
        ("bid.kind", "cpm"),
        ("bid.micros_per_mille", "2"),
        ("tier.kind", "auction"),
        ("pacing", "asap"),
        ("targeting[2].dimension", "device"),
        ("targeting[2].op", "not_in"),
        ("targeting[2].values", "tv, other"),
        ("caps[0].impressions_count", "3"),
        ("caps[0].period", "page_view"),
        ("caps[0].scope", "ad"),
    ];
    at(owner.form(&format!("{campaign}/ad-sets"), &set));
    let bad = fill(&set, &[("targeting[2].values", "toaster"), ("bid.micros_per_mille", "")]);
    let html = owner.form(&format!("{campaign}/ad-sets"), &bad).expect(422).text();
    assert!(html.contains("toaster") && html.contains("A device class is"), "{html}");
    let ad = at(owner
        .form("/console/ad-sets/set_1/ads", &[("name", "Bikes"), ("landing_url", "https://shop.example/")]));
    at(owner.form(
        &format!("{ad}/versions"),
        &[("kind", "text"), ("creative.title", "Bikes"), ("creative.body", "Two wheels"), ("weight", "1")],
    ));
    let html = owner
        .form(
            &format!("{ad}/versions"),
            &[("kind", "image"), ("creative.alt", "Kept words"), ("weight", "1")],
        )
        .expect(422)
        .text();
    assert!(html.contains("Choose a picture") && html.contains("Kept words"), "{html}");
    at(owner.form("/console/review", &[("ad", "ad_1"), ("revision", "1"), ("verdict", "approved")]));
    let stop = at(owner.form("/console/stops", &[("what", "all_paid"), ("on", "on"), ("reason", "test")]));
    assert!(owner.get(&stop).text().contains("Everything paid"));
    at(owner.form(
        "/console/status",
        &[("entity", "cam_1"), ("status", "paused"), ("back", "/console/campaigns/cam_1")],
    ));
    let catalogue = harness.app.platform.catalogue();
    let set = &catalogue.ad_sets.values().next().unwrap().spec;
    assert_eq!((set.targeting.clauses.len(), set.caps.len()), (1, 1));
    assert_eq!(set.targeting.clauses[0].values, ["tv", "other"]);
}

#[test]
fn an_uploaded_picture_survives_a_fault_elsewhere() {
    let stage = Stage::open();
    let upload = |alt: &str, file: bool| -> Reply {
        let mut body = Vec::new();
        let mut part = |name: &str, extra: &str, content: &[u8]| {
            body.extend_from_slice(
                format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"{extra}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        part("kind", "", b"image");
        part("weight", "", b"1");
        part("creative.alt", "", alt.as_bytes());
        if file {
            part("file", "; filename=\"a.gif\"\r\ncontent-type: image/gif", common::GIF);
        }
        body.extend_from_slice(b"--x--\r\n");
        let path = format!("/console/ads/{}/versions", stage.shop.ad);
        stage.owner.send("POST", &path, Some("multipart/form-data; boundary=x"), &body)
    };
    let html = upload("", true).expect(422).text();
    let hash =
        html.split("name=\"creative.asset\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(hash.len(), 64);
    stage.harness.anonymous().get(&format!("/v1/assets/{hash}")).expect(200);
    upload("A bicycle", true).expect(303);
}

#[test]
fn an_advertiser_sees_nothing_of_another() {
    let stage = Stage::open();
    let other = common::open_shop(&stage.owner, "Submarine Yard");
    stage.show(1);
    let client: Client = stage.harness.user(Role::Advertiser, Some(stage.shop.advertiser.parse().unwrap()));
    for path in [
        "/console",
        "/console/campaigns",
        "/console/advertisers",
        "/console/parties",
        "/console/billing",
        "/console/reports?by=campaign",
    ] {
        let html = client.get(path).expect(200).text();
        assert!(!html.contains("Submarine"), "{path} shows the other's");
    }
    for path in [
        format!("/console/campaigns/{}", other.campaign),
        format!("/console/campaigns/{}/edit", other.campaign),
        format!("/console/ad-sets/{}/edit", other.ad_set),
        format!("/console/ads/{}", other.ad),
        format!("/console/ads/{}/versions/{}/frame", other.ad, other.version),
        format!("/console/versions/{}/edit", other.version),
        format!("/console/advertisers/{}", other.advertiser),
        format!("/console/parties/{}/edit", other.party),
        format!("/console/billing/{}/2026-11", other.advertiser),
    ] {
        assert_eq!(client.get(&path).status, 404, "{path}");
    }
    assert_eq!(client.get(&format!("/console/history?entity={}", other.campaign)).status, 403);
    assert_eq!(client.get(&format!("/v1/reports?advertiser={}", other.advertiser)).status, 403);
    let live = client.get("/console/live.json").expect(200).json();
    assert!(live["campaigns"].get(&other.campaign).is_none(), "{live}");
    assert_eq!(live["requests"], "0", "the house's traffic is not the advertiser's");
}

#[test]
fn live_figures_follow_within_a_second() {
    let stage = Stage::open();
    let before = stage.owner.get("/console/live.json").expect(200).json();
    assert_eq!(before["impressions_count"], 0);
    stage.show(4);
    let after = stage.owner.get("/console/live.json").expect(200).json();
    assert_eq!(after["impressions_count"], 4);
    assert_eq!(after["campaigns"][&stage.shop.campaign]["impressions"], "4");
    let stream = stage.owner.get("/console/live").expect(200);
    assert_eq!(stream.header("content-type"), "text/event-stream");
}
