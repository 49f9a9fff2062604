//! The study room on the web: archives come in as files, are asked, grouped and published; anybody reads what was.

use crate::common::{Client, Harness, Reply};
use crate::shown::Stage;
use regie_model::booking::Role;

const REPORT: &str = "FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv";
const HEADER: &str = "Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n";

/// Thirty pages of three invented parties, one company, and one row that is none.
fn report() -> String {
    let mut text = HEADER.to_owned();
    for n in 0..30 {
        let party = ["Alder", "Birch", "Cedar"][n % 3];
        text.push_str(&format!("{},{party} Party {n},{party} <Party>,{},1\n", 1000 + n, 1000 - n * 10));
    }
    text.push_str("2000,Generated Shoes Ltd,Generated Shoes Ltd,≤100,4\n3000,Broken,Broken,minus five,1\n");
    text
}

/// The parts of a form with a file, as a browser sends them: the token first, the file last.
fn form(fields: &[(&str, &str)], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in fields {
        body.extend(
            format!("--cut\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    body.extend(format!("--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n").bytes());
    body.extend(bytes);
    body.extend(b"\r\n--cut--\r\n");
    body
}

/// A browser without scripts: the token only in the form.
fn csrf(client: &Client) -> (Client, String) {
    let token = client.headers.iter().find(|(n, _)| n == "x-regie-csrf").unwrap().1.clone();
    (client.clone().without("x-regie-csrf"), token)
}

fn upload(client: &Client, fields: &[(&str, &str)], name: &str, bytes: &[u8]) -> Reply {
    let (browser, token) = csrf(client);
    let all: Vec<(&str, &str)> = [("csrf", token.as_str())].iter().chain(fields).copied().collect();
    browser.send(
        "POST",
        "/console/study/import",
        Some("multipart/form-data; boundary=cut"),
        &form(&all, name, bytes),
    )
}

/// Follows an import to its end.
fn finished(harness: &Harness, client: &Client, reply: Reply) -> String {
    let path = reply.expect(303).header("location").to_owned();
    assert!(path.starts_with("/console/study/imports/"), "{path}");
    let mut text = String::new();
    harness.wait_for("the import", || {
        let page = client.get(&path).expect(200);
        text = page.text();
        page.header("refresh").is_empty()
    });
    text
}

#[track_caller]
fn is_sound(reply: &Reply) {
    let html = reply.text();
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    for forbidden in [" style=\"", "<style", " onclick=", "javascript:", "<Party>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("study.css") && html.contains("<h1>"));
}

#[test]
fn from_a_file_to_a_published_report() {
    let harness = Harness::start();
    let owner = harness.owner();
    let done = finished(
        &harness,
        &owner,
        upload(&owner, &[("known_on", "2024-05-02")], REPORT, report().as_bytes()),
    );
    assert!(done.contains("31 rows are in the store, 1 were kept aside"), "{done}");
    let kept = owner.get("/console/study/snapshots/1").expect(200);
    assert!(
        kept.text().contains("amount: the amount is not a number") && !kept.text().contains("minus five")
    );
    // The same file again changes nothing.
    let again = finished(
        &harness,
        &owner,
        upload(&owner, &[("known_on", "2024-05-02")], REPORT, report().as_bytes()),
    );
    assert!(again.contains("was there already"), "{again}");

    let asked = owner.get("/console/study/ask?go=1&by=payer&exclude=commercial").expect(200);
    is_sound(&asked);
    assert!(asked.text().contains("Alder &lt;Party&gt;") && asked.text().contains("taken out by the filter"));
    assert!(asked.text().contains("Publish this answer"));
    let csv = owner.get("/console/study/ask/ranking.csv?by=payer").expect(200).text();
    assert!(csv.lines().nth(1).unwrap().starts_with("1,1,1,Alder <Party>"), "{csv}");
    let known = owner.get("/console/study/ask?go=1&known-on=2024-05-01").expect(200).text();
    assert!(known.contains("role=\"alert\""), "nothing was known then");
    owner.get("/console/study/ask?go=1&group=../../etc").expect(404);

    let fields = [("query", "by=payer"), ("title", "Who paid in <May>?"), ("lead", "A test & nothing else.")];
    let address = owner.form("/console/study/reports", &fields).expect(303).header("location").to_owned();
    let anybody = harness.anonymous();
    let page = anybody.get(&address).expect(200);
    is_sound(&page);
    let text = page.text();
    for part in [
        "Who paid in &lt;May&gt;?",
        "A test &amp; nothing else.",
        "<svg",
        "We ranked 4 candidates",
        "snapshot of 2024-05-02",
        "regie study rank --by payer",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(anybody.get("/study").expect(200).text().contains(&address));
    assert_eq!(anybody.get(&format!("{address}/ranking.csv")).expect(200).text(), csv);
    assert_eq!(anybody.get(&format!("{address}/ranking.json")).expect(200).json()["ranked"][0]["rank"], 1);
    assert!(anybody.get(&format!("{address}/ranking.parquet")).expect(200).body.starts_with(b"PAR1"));
    for none in ["grouping.csv", "report.json", "page.html", "..%2Freport.json"] {
        anybody.get(&format!("{address}/{none}")).expect(404);
    }
    // What was published stays as it was, whatever is imported later.
    let later = format!("{HEADER}1,Later Party,Later Party,999999,1\n");
    let name = "FacebookAdLibraryReport_2024-05-03_XX_yesterday_advertisers.csv";
    finished(&harness, &owner, upload(&owner, &[], name, later.as_bytes()));
    assert!(owner.get("/console/study/ask/ranking.csv?by=payer").expect(200).text().contains("Later Party"));
    assert_eq!(anybody.get(&format!("{address}/ranking.csv")).expect(200).text(), csv);

    let slug = address.strip_prefix("/study/").unwrap();
    owner.form(&format!("/console/study/reports/{slug}"), &[("reason", " ")]).expect(422);
    owner.form(&format!("/console/study/reports/{slug}"), &[("reason", "A row was wrong.")]).expect(303);
    let gone = anybody.get(&address).expect(410).text();
    assert!(gone.contains("A row was wrong.") && !gone.contains("We ranked"));
    anybody.get(&format!("{address}/ranking.csv")).expect(404);
    assert!(!anybody.get("/study").expect(200).text().contains(&address));
}

#[test]
fn proposals_are_decided_by_named_people_and_nobody_overwrites_another() {
    let harness = Harness::start();
    let owner = harness.owner();
    finished(&harness, &owner, upload(&owner, &[], REPORT, report().as_bytes()));
    owner.form("/console/study/groupings", &[("name", "Tree parties"), ("from", "empty")]).expect(303);
    let path = "/console/study/groupings/tree-parties";
    let mark = |page: &str| {
        page.split("name=\"mark\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    for n in 0..9 {
        let page = owner.get(path).expect(200).text();
        let (entity, value) = (["Alder", "Birch", "Cedar"][n % 3], (1000 + n).to_string());
        let link = [
            ("mark", mark(&page)),
            ("what", "add".into()),
            ("entity", entity.into()),
            ("by", "account".into()),
            ("value", value),
            ("platform", "meta".into()),
            ("evidence", "its <page>".into()),
        ];
        let link: Vec<(&str, &str)> = link.iter().map(|(a, b)| (*a, b.as_str())).collect();
        owner.form(path, &link).expect(303);
    }
    let stale = mark(&owner.get(path).expect(200).text());
    owner.form(path, &[("mark", &stale), ("what", "propose")]).expect(303);
    let page = owner.get(path).expect(200);
    is_sound(&page);
    assert!(page.text().contains("proposed (21)") && page.text().contains("nobody else"), "{}", page.text());
    let refused =
        owner.form(path, &[("mark", &stale), ("what", "accept"), ("number", "10")]).expect(422).text();
    assert!(refused.contains("somebody else in between"), "{refused}");
    for (what, number) in [("accept", "10"), ("reject", "11"), ("undo", "1")] {
        let mark = mark(&owner.get(path).expect(200).text());
        owner.form(path, &[("mark", &mark), ("what", what), ("number", number)]).expect(303);
    }
    let file = owner.get(&format!("{path}/file")).expect(200).text();
    let line = |n: usize| file.lines().skip_while(|l| l.starts_with('#')).nth(n).unwrap().to_owned();
    assert!(
        line(10).contains(",accepted,")
            && line(10).contains("before: proposed by regie study")
            && line(10).contains(",Person usr_"),
        "{}",
        line(10)
    );
    assert!(line(11).contains(",rejected,") && line(1).contains(",undone,"), "{file}");
    let ranked = owner.get("/console/study/ask?go=1&group=tree-parties&unmapped=apart").expect(200).text();
    assert!(ranked.contains("not in the grouping") && ranked.contains("joined"));
    // Too few decisions to say how good the program's links are: it says so.
    assert!(owner.get(&format!("{path}/quality")).expect(200).text().contains("at least 20 are needed"));
    owner
        .form("/console/study/groupings", &[("name", "copy"), ("from", "text"), ("text", &file)])
        .expect(303);
    let diff = owner.get(&format!("{path}/diff?with=copy")).expect(200).text();
    assert!(diff.contains("9 links are the same"), "{diff}");
    owner.form("/console/study/groupings", &[("name", "copy"), ("from", "auto")]).expect(422);
}

#[test]
fn our_own_exact_figures_stand_beside_intervals() {
    let stage = Stage::open();
    stage.show(3);
    let owner = &stage.owner;
    finished(&stage.harness, owner, upload(owner, &[], REPORT, report().as_bytes()));
    let done = finished(&stage.harness, owner, owner.form("/console/study/own", &[]));
    assert!(done.contains("1 rows are in the store"), "{done}");
    let json = owner.get("/console/study/ask/ranking.json?source=regie").expect(200).json();
    let first = &json["ranked"][0];
    // Three impressions at 1.50 euros for a thousand, as the public record has them.
    assert_eq!((first["lower"].as_str(), first["upper"].as_str()), (Some("4500"), Some("4500")));
    assert_eq!((first["views_published"].as_str(), first["ads_count"].as_u64()), (Some("3"), Some(1)));
    let record = stage.harness.anonymous().get("/record/ads.json").expect(200).json();
    assert_eq!(record["entries"][0]["figures"]["spend_nanos"], "4500000");
    let both = owner.get("/console/study/ask/ranking.csv?by=payer").expect(200).text();
    assert!(both.contains("regie") && both.contains("Generated Shoes Ltd"), "{both}");
    // The record as anybody downloads it is an archive like others.
    let text = stage.harness.anonymous().get("/record/ads.json").expect(200).body;
    let other = Harness::start();
    let reader = other.owner();
    let done =
        finished(&other, &reader, upload(&reader, &[("known_on", "2030-01-01")], "record.json", &text));
    assert!(done.contains("1 rows are in the store"), "{done}");
    let theirs = reader.get("/console/study/ask/ranking.json").expect(200).json();
    assert_eq!(theirs["ranked"][0]["lower"], first["lower"]);
    // And so does the command line, while the server runs.
    let platform = regie::server::open_to_read(
        &regie::platform::folder::Folder::existing(stage.harness.folder()).unwrap(),
    )
    .unwrap();
    let (_, entries) = regie::http::record::own_entries(&platform).unwrap();
    assert_eq!(
        entries.iter().map(|e| (e.spend_nanos, e.impressions_count)).collect::<Vec<_>>(),
        [(4_500_000, 3)]
    );
}

#[test]
fn only_the_house_studies_and_only_who_operates_changes() {
    let harness = Harness::start();
    let owner = harness.owner();
    let (browser, _) = csrf(&owner);
    let kind = Some("multipart/form-data; boundary=cut");
    for fields in [&[][..], &[("csrf", "wrong")], &[("known_on", ""), ("csrf", "late")]] {
        browser.send("POST", "/console/study/import", kind, &form(fields, "a.csv", b"x")).expect(403);
    }
    let reader = harness.user(Role::ReadOnly, None);
    upload(&reader, &[], REPORT, report().as_bytes()).expect(403);
    reader.get("/console/study/ask").expect(200);
    harness.user(Role::Advertiser, None).get("/console/study").expect(403);
    // What cannot be read is said, and leaves nothing behind.
    let faulty = upload(&owner, &[("known_on", "yesterday")], REPORT, report().as_bytes()).expect(400).text();
    assert!(faulty.contains("YYYY-MM-DD"), "{faulty}");
    let unknown = finished(&harness, &owner, upload(&owner, &[], "x.csv", b"colour,shape\nred,round\n"));
    assert!(unknown.contains("Not imported.") && unknown.contains("colour, shape"), "{unknown}");
    let uploads = harness.folder().join("study/uploads");
    harness.wait_for("the upload to go", || std::fs::read_dir(&uploads).unwrap().next().is_none());
}

#[test]
fn what_a_stop_interrupted_is_gone_on_with() {
    let harness = Harness::start();
    let folder = harness.folder().join("study/uploads/7");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(REPORT), report()).unwrap();
    std::fs::write(folder.join("said.json"), format!("{{\"file\":\"{REPORT}\",\"by\":\"Person <1>\"}}"))
        .unwrap();
    let owner = harness.owner();
    let home = owner.get("/console/study").expect(200).text();
    assert!(home.contains("was interrupted") && home.contains("Person &lt;1&gt;"), "{home}");
    let done = finished(&harness, &owner, owner.form("/console/study/imports/7", &[("what", "go")]));
    assert!(done.contains("31 rows are in the store"), "{done}");
    owner.form("/console/study/imports/7", &[("what", "go")]).expect(404);
}

#[test]
fn answers_are_french_on_french_pages_and_the_published_document_stays_as_it_was() {
    let harness = Harness::start();
    let owner = harness.owner();
    let options = [("known_on", "2024-05-02")];
    finished(&harness, &owner, upload(&owner, &options, REPORT, report().as_bytes()));
    let later =
        report().replace("1000,Alder Party 0,Alder <Party>,1000", "1000,Alder Party 0,Alder <Party>,1400");
    finished(&harness, &owner, upload(&owner, &[("known_on", "2024-05-09")], REPORT, later.as_bytes()));
    let made = owner.form("/console/study/groupings", &[("name", "Parties"), ("from", "auto")]).expect(303);
    let grouping = made.header("location").to_owned();
    let fields =
        [("query", "by=payer&from=2024-04-01"), ("title", "Qui a pay\u{e9} ?"), ("lead", "Un essai.")];
    let address = owner.form("/console/study/reports", &fields).expect(303).header("location").to_owned();
    let french = owner.clone().with("accept-language", "fr");
    let english = crate::languages::only_english();
    let mut told = Vec::new();
    for path in [
        "/console/study/ask?go=1&by=payer&exclude=commercial",
        "/console/study/ask?go=1&by=account&estimate=midpoint&from=2024-04-30&to=2024-05-01",
        "/console/study/ask?go=1&by=name&measure=spend&periods=start&from=2024-04-30",
        "/console/study/ask?go=1&from=2024-05-01&to=2024-04-01",
        "/console/study/ask?go=1&known-on=2024-05-01",
        "/console/study/compare?first=2024-05-02&second=2024-05-09",
        "/console/study/check?go=1",
        &format!("{grouping}/quality"),
        &grouping,
        &address,
        "/study",
    ] {
        let html = french.get(path).text();
        for text in crate::languages::readable(&html) {
            // Names of the invented parties, and the question as the command line writes it.
            if crate::languages::is_english(&text, &english) {
                told.push(format!("{path}: {text}"));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
    let page = french.get(&address).text();
    assert!(page.contains("Nous avons class\u{e9}") && page.contains("arrive en t\u{ea}te avec"), "{page}");
    let original = harness.anonymous().get(&address).text();
    assert!(original.contains("We ranked") && original.contains("leads with"), "{original}");
}
