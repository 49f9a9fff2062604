//! Forms that lose nothing: faults beside their fields, what was typed after a fault, after a session's end, and after
//! somebody else saved first.

use crate::common::{self, Client, Reply};
use crate::shown::Stage;

/// A form: where it is sent, what was typed, the field that is wrong.
struct Case {
    path: String,
    pairs: Vec<(&'static str, String)>,
    field: &'static str,
}
fn case(path: impl Into<String>, field: &'static str, pairs: &[(&'static str, &str)]) -> Case {
    Case { path: path.into(), pairs: pairs.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(), field }
}
fn send(client: &Client, case: &Case) -> Reply {
    let pairs: Vec<(&str, &str)> = case.pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
    client.form(&case.path, &pairs)
}

/// The main forms, each with one fault and something typed that must not be lost.
fn faulty(stage: &Stage) -> Vec<Case> {
    let shop = &stage.shop;
    let typed = "Typed & kept";
    vec![
        case(
            "/console/settings",
            "zone",
            &[("name", typed), ("zone", "Nowhere/Land"), ("auction_currency", "EUR")],
        ),
        case("/console/sites", "origins", &[("name", typed), ("origins", "nowhere")]),
        case(
            format!("/console/sites/{}/placements", stage.site),
            "format.sizes",
            &[("name", "kept-place"), ("format.kind", "banner"), ("format.sizes", "")],
        ),
        case(
            "/console/advertisers",
            "currency",
            &[("name", typed), ("currency", "??"), ("zone", "Europe/Paris"), ("funding.kind", "prepaid")],
        ),
        case(
            format!("/console/advertisers/{}/deposits", shop.advertiser),
            "amount_micros",
            &[("amount_micros", "lots"), ("reference", typed)],
        ),
        case(
            "/console/parties",
            "established_in",
            &[("kind", "organisation"), ("identity.name", typed), ("established_in", "France")],
        ),
        case(
            "/console/campaigns",
            "flight.starts_at",
            &[
                ("name", typed),
                ("advertiser", &shop.advertiser),
                ("sponsor", &shop.party),
                ("payer", &shop.party),
                ("objective", "clicks"),
                ("flight.starts_at", "soon"),
            ],
        ),
        case(
            format!("/console/campaigns/{}/ad-sets", shop.campaign),
            "bid.micros_per_mille",
            &[
                ("name", typed),
                ("bid.kind", "cpm"),
                ("bid.micros_per_mille", "much"),
                ("tier.kind", "auction"),
            ],
        ),
        case(
            format!("/console/ad-sets/{}/ads", shop.ad_set),
            "landing_url",
            &[("name", typed), ("landing_url", "nowhere")],
        ),
        case(
            format!("/console/ads/{}/versions", shop.ad),
            "creative.title",
            &[("kind", "text"), ("creative.body", typed), ("creative.title", ""), ("weight", "1")],
        ),
        case(
            "/console/elections",
            "held_on",
            &[("name", typed), ("kind", "election"), ("country", "FR"), ("held_on", "soon")],
        ),
        case(
            "/console/groupings",
            "sponsors",
            &[("name", typed), ("sponsors", "nobody"), ("evidence", "A register"), ("author", "Kim")],
        ),
        case(
            "/console/stops",
            "what",
            &[("form", "ad"), ("on", "on"), ("what", "everything"), ("reason", typed)],
        ),
        case("/console/users", "email", &[("name", typed), ("email", "nowhere"), ("role", "owner")]),
        case("/console/tokens", "scope_read", &[("name", typed)]),
        case("/console/downloads", "campaign", &[("every", "week"), ("by", "day"), ("keep_days", "77")]),
    ]
}

#[test]
fn a_fault_stands_beside_its_field_and_nothing_typed_is_lost() {
    let stage = Stage::open();
    let mut told = Vec::new();
    for case in faulty(&stage) {
        let reply = send(&stage.owner, &case);
        if reply.status != 422 {
            told.push(format!("{}: {} instead of 422", case.path, reply.status));
            continue;
        }
        let html = reply.text();
        let slug: String =
            case.field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        if !html.contains(&format!("id=\"e-{slug}")) {
            told.push(format!("{}: no fault beside {}", case.path, case.field));
        }
        for (name, value) in case
            .pairs
            .iter()
            .filter(|(name, _)| !["kind", "form", "on", "role", "every", "by"].contains(name))
        {
            let shown = value.replace('&', "&amp;");
            if !html.contains(&shown) {
                told.push(format!("{}: {name} = {value} is lost", case.path));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_form_whose_session_ended_leads_back_to_its_page_and_the_page_keeps_what_was_typed() {
    let stage = Stage::open();
    for (page, form) in [
        ("/console/campaigns/new", "/console/campaigns".to_owned()),
        ("/console/parties/new", "/console/parties".to_owned()),
        ("/console/settings", "/console/settings".to_owned()),
        ("/console/elections", "/console/elections".to_owned()),
        ("/console/groupings", "/console/groupings".to_owned()),
    ] {
        // The script keeps what is typed in forms so marked, and offers it again on the same page.
        let html = stage.owner.get(page).expect(200).text();
        assert!(html.contains("data-guard") && html.contains("data-restore"), "{page} keeps nothing");
        let nobody = stage.harness.anonymous().with("referer", &format!("http://localhost{page}"));
        let reply = nobody.form(&form, &[("name", "Typed")]).expect(303);
        let next = reply.header("location").to_owned();
        assert_eq!(next, format!("/console/sign-in?next={}", page.replace('/', "%2F")), "{page}");
    }
}

#[test]
fn the_second_of_two_editors_sees_what_the_first_saved() {
    let stage = Stage::open();
    let owner = &stage.owner;
    let vote = |name: &str, more: &[(&str, &str)]| {
        let base = [("name", name), ("kind", "election"), ("country", "FR"), ("held_on", "2029-03-15")];
        let pairs: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        owner.form("/console/elections", &pairs)
    };
    vote("Municipal", &[]).expect(303);
    let form = owner.get("/console/elections?edit=vote_1").expect(200).text();
    assert!(form.contains("value=\"Municipal\"") && form.contains("name=\"revision\" value=\"1\""), "{form}");
    vote("First", &[("id", "vote_1"), ("revision", "1")]).expect(303);
    let html = vote("Second", &[("id", "vote_1"), ("revision", "1")]).expect(422).text();
    assert!(html.contains("<q>First</q>") && html.contains("value=\"Second\""), "{html}");
    vote("Second", &[("id", "vote_1"), ("revision", "2")]).expect(303);
    // The same on the other main forms: what was read first is refused once it is old.
    let (party, set, ad) = (&stage.shop.party, &stage.shop.ad_set, &stage.shop.ad);
    /// A form, its twin under `/v1`, and what is typed into it.
    type Edit<'t> = (String, String, Vec<(&'t str, &'t str)>);
    let cases: [Edit<'_>; 3] = [
        (
            format!("/console/parties/{party}"),
            format!("/v1/parties/{party}"),
            vec![("kind", "organisation"), ("identity.name", "Second"), ("established_in", "FR")],
        ),
        (
            format!("/console/ad-sets/{set}"),
            format!("/v1/ad-sets/{set}"),
            vec![
                ("name", "Second"),
                ("bid.kind", "cpm"),
                ("bid.micros_per_mille", "2"),
                ("tier.kind", "auction"),
                ("pacing", "asap"),
            ],
        ),
        (
            format!("/console/ads/{ad}"),
            format!("/v1/ads/{ad}"),
            vec![("name", "Second"), ("landing_url", "https://shop.example/")],
        ),
    ];
    for (form, api, mut pairs) in cases {
        let read = owner.get(&api).expect(200).json();
        let (revision, mut spec) = (read["revision"].to_string(), read["spec"].clone());
        let name =
            if spec["identity"].is_object() { &mut spec["identity"]["name"] } else { &mut spec["name"] };
        *name = "First".into();
        owner.put(&api, spec).expect(200);
        pairs.push(("revision", &revision));
        let html = owner.form(&form, &pairs).expect(422).text();
        assert!(html.contains("<q>First</q>") && html.contains("Second"), "{form}: {html}");
    }
}

#[test]
fn an_answer_to_a_review_without_reasons_keeps_its_place() {
    let stage = Stage::open();
    let other = common::open_shop(&stage.owner, "Other Shop");
    let html = stage
        .owner
        .form(
            "/console/review",
            &[("ad", &other.ad), ("revision", "1"), ("verdict", "rejected"), ("reason", "")],
        )
        .expect(422)
        .text();
    let id = format!("id=\"e-reason-{}\"", other.ad);
    assert!(html.contains(&id), "no fault beside the reason: {html}");
    let sent =
        [("ad", other.ad.as_str()), ("revision", "1"), ("verdict", "rejected"), ("reason", "Too loud")];
    stage.owner.form("/console/review", &sent).expect(303);
}

#[test]
fn a_program_is_told_its_faults_in_the_language_it_asks_for() {
    let stage = Stage::open();
    let ask = |language: &str| {
        stage.owner.clone().with("accept-language", language).post("/v1/campaigns", serde_json::json!({}))
    };
    let (english, french) = (ask("en"), ask("fr-FR,fr;q=0.9"));
    assert_eq!((english.status, french.status), (422, 422));
    assert_eq!(english.faults(), french.faults(), "fields and codes are the same");
    assert_eq!(french.header("content-language"), "fr");
    let messages = |reply: &Reply| -> Vec<String> {
        let json = reply.json();
        let faults = json["faults"].as_array().unwrap().iter();
        faults.map(|f| f["message"].as_str().unwrap().to_owned()).collect()
    };
    for (en, fr) in messages(&english).iter().zip(messages(&french)) {
        assert_ne!(*en, fr, "said in English only");
    }
    assert_ne!(english.json()["title"], french.json()["title"]);
    assert_eq!(english.json()["code"], french.json()["code"]);
    // Without a wish, English; and a refusal of another kind too.
    assert_eq!(stage.owner.post("/v1/campaigns", serde_json::json!({})).header("content-language"), "en");
    let missing = stage.owner.clone().with("accept-language", "fr").get("/v1/campaigns/cam_99").expect(404);
    assert!(missing.json()["title"].as_str().unwrap().starts_with("Il n\u{2019}y a"), "{}", missing.text());
}
