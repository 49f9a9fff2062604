//! The record's log in a running server: its files over HTTP, a restart, a witness that is another Regie, a mirror that goes
//! on when the server is gone, and the command line that checks all of it.

use crate::common::Harness;
use crate::program::regie;
use regie::platform::log::client::HttpSource;
use regie_record::log::{
    Append, Envelope, Policy, VerifierKey,
    hash::object_of,
    proof::TlogProof,
    verify::{NoSchema, Report, Verdict, Wanted, verify},
};
use serde_json::json;

fn entry(ad: u32, at_ms: i64) -> Append {
    let (name, object) = object_of(&[ad as u8; 32], format!("Sponsor {ad}").as_bytes());
    let mut leaf = Envelope::new("facts", &format!("ad_{ad}"), 1, at_ms, &json!({ "ad": ad })).unwrap();
    leaf.commitments.insert("sponsor".into(), name);
    Append { leaf: leaf.to_bytes().unwrap(), objects: vec![(name, object)] }
}
fn key(harness: &Harness) -> VerifierKey {
    harness.app.log.verifiers().remove(0)
}
fn check(harness: &Harness, policy: &Policy, seen: Option<String>) -> Report {
    let mut source = HttpSource::new(&format!("{}/record/log", harness.url));
    verify(&mut source, &Wanted { policy, seen, objects: true }, &mut NoSchema, &mut |_, _| {})
}
fn append(harness: &Harness, from: u32, count: u32) {
    let now = harness.app.platform.now().0;
    let entries: Vec<Append> = (from..from + count).map(|ad| entry(ad, now)).collect();
    harness.app.log.append(&entries, 0).unwrap();
}
#[test]
fn a_servers_log_is_read_by_anybody_and_goes_on_after_a_restart() {
    let server = Harness::start();
    append(&server, 1, 300);
    let policy = Policy::of_log(key(&server));
    let report = check(&server, &policy, None);
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    assert_eq!((report.checkpoint.unwrap().size, report.objects_count), (301, 300));
    let seen = report.note.unwrap().to_string();
    let anybody = server.anonymous();
    assert_eq!(anybody.get("/record/log/checkpoint").expect(200).text(), seen);
    assert_eq!(anybody.get("/record/log/key").expect(200).text().trim(), key(&server).to_string());
    let tile = anybody.get("/record/log/tile/0/000").expect(200);
    assert_eq!((tile.body.len(), tile.header("access-control-allow-origin")), (8192, "*"));
    assert!(tile.header("cache-control").contains("immutable"));
    for path in [
        "/record/log/tile/0/001.p/46",
        "/record/log/../log.db",
        "/record/log/log.db",
        "/record/log/object/00/00",
    ] {
        anybody.get(path).expect(404);
    }
    let proof = TlogProof::parse(&anybody.get("/record/log/proof/150").expect(200).text()).unwrap();
    let leaf = anybody.get("/record/log/proof/150/leaf").expect(200);
    assert_eq!(proof.verify(&leaf.body).unwrap().size, 301);
    assert_eq!(anybody.get("/record/log/proof/facts/ad_150").expect(200).json()["versions"][0]["index"], 150);
    anybody.get("/record/log/proof/301").expect(404);
    assert!(anybody.get("/record/log").expect(200).text().contains(&key(&server).to_string()));

    let server = server.restart();
    append(&server, 301, 5);
    let report = check(&server, &policy, Some(seen));
    assert_eq!(report.verdict(), Verdict::ConsistentUnwitnessed, "{:?}", report.findings);
    assert_eq!(report.checkpoint.unwrap().size, 306);
}

#[test]
fn one_regie_witnesses_another() {
    let server = Harness::start();
    append(&server, 1, 3);
    let log = key(&server);
    let witness = Harness::with(|config| {
        config.witness_logs = vec![log.to_string()];
        config.witness_name = "witness.example/w1".into();
    });
    let anybody = witness.anonymous();
    let its = anybody.get("/witness").expect(200).text().trim().to_owned();
    server.anonymous().get("/witness").expect(404);
    let line = format!("{its} {}/witness", witness.url);
    let server = server.restart_with(|config| config.log_witnesses = vec![line]);
    append(&server, 4, 3);
    server.app.log.tend(server.app.platform.now()).unwrap();
    let policy = Policy::parse(&format!("log {log}\nwitness W {its}\nquorum W\n")).unwrap();
    let report = check(&server, &policy, None);
    assert_eq!(report.verdict(), Verdict::Verified, "{:?}", report.findings);
    // What it does not know, or what is none, it does not cosign.
    let post =
        |body: &str| anybody.send("POST", "/witness/add-checkpoint", Some("text/plain"), body.as_bytes());
    post("nonsense").expect(400);
    let checkpoint = server.anonymous().get("/record/log/checkpoint").expect(200).text();
    let conflict = post(&format!("old 0\n\n{checkpoint}")).expect(409);
    assert_eq!((conflict.text(), conflict.header("content-type")), ("7\n".into(), "text/x.tlog.size"));
    post(&format!("old 7\n\n{}", checkpoint.replace("\n7\n", "\n8\n"))).expect(403);
    post(&format!("old 7\n\n{checkpoint}")).expect(200);
}

#[test]
fn a_restored_folder_signs_nothing_until_somebody_looked() {
    let server = Harness::start();
    append(&server, 1, 3);
    std::fs::write(server.folder().join("RESTORED"), "").unwrap();
    let server = server.restart();
    assert!(server.app.log.halted().unwrap().contains("restored"));
    assert!(server.app.log.append(&[entry(9, 0)], 0).is_err());
    std::fs::remove_file(server.folder().join("RESTORED")).unwrap();
    let server = server.restart();
    assert_eq!(server.app.log.halted(), None);
    // Without its head, the log goes on from what its files show.
    let mut server = server;
    server.stop();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(server.folder().join(format!("log.db{suffix}")));
    }
    let server = server.restart();
    append(&server, 4, 1);
    assert_eq!(check(&server, &Policy::of_log(key(&server)), None).checkpoint.unwrap().size, 5);
}

#[test]
fn a_mirror_is_verified_when_its_origin_is_gone() {
    let mut server = Harness::start();
    append(&server, 1, 40);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (url, key, state) = (format!("{}/record/log", server.url), key(&server).to_string(), at("seen"));
    let (code, json) = regie(&["verify", &url, "--key", &key, "--state", &state]);
    assert_eq!((code, json["verdict"].as_str()), (0, Some("consistent, unwitnessed")), "{json}");
    let (code, json) = regie(&["mirror", &url, "--key", &key, "--to", &at("copy")]);
    assert_eq!((code, json["entries"].as_u64()), (0, Some(41)), "{json}");
    server.stop();
    let (code, json) = regie(&["verify", &at("copy"), "--key", &key, "--state", &state]);
    assert_eq!((code, json["first_look"].as_bool()), (0, Some(false)), "{json}");
    // Whom do you trust? Nobody is no answer; another key is not this log's.
    assert_eq!(regie(&["verify", &at("copy")]).0, 1);
    let folder = std::fs::read_dir(at("copy")).unwrap().flatten().find(|e| e.path().is_dir()).unwrap().path();
    let bundle = folder.join("tile/entries/000.p/41");
    let text = String::from_utf8_lossy(&std::fs::read(&bundle).unwrap()).replacen("\"ad\":7", "\"ad\":8", 1);
    std::fs::write(&bundle, text).unwrap();
    let (code, json) = regie(&["verify", &at("copy"), "--key", &key, "--state", &state]);
    assert_eq!((code, json["verdict"].as_str()), (1, Some("NOT what it should be")), "{json}");
}

/// The page is one file, names the publisher's own site, and needs nothing from elsewhere.
#[test]
fn the_browser_page_is_one_static_file() {
    let server = Harness::start();
    let page = server.anonymous().get("/record/verify.html").expect(200);
    assert_eq!(page.body, include_bytes!("../../assets/verify.html"));
    let text = page.text();
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains("this script comes from the publisher"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
}
