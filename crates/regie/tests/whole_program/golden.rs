//! Backups, and folders of earlier builds: each release's data folder opens later on.

use crate::run::{self, Server};
use regie_model::booking::Scope;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/folder-0.1")
}
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("makes");
    for entry in std::fs::read_dir(from).expect("reads") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copies");
        }
    }
}
fn serve_some(folder: &Path, count: usize) -> usize {
    let server = Server::start(folder);
    let mut shown = 0;
    for _ in 0..count {
        let ask = json!({ "site": "site_1", "placements": [{ "name": "top" }] });
        let (status, answer) =
            run::call(&server.address, "POST", "/v1/decisions", "", &ask).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        if let Some(ticket) = answer["decisions"][0]["ad"]["ticket"].as_str() {
            let events = json!({ "events": [{ "kind": "impression", "ticket": ticket }, { "kind": "viewable", "ticket": ticket }] });
            assert_eq!(
                run::call(&server.address, "POST", "/v1/events", "", &events).expect("an answer").0,
                200
            );
            shown += 1;
        }
    }
    server.stop();
    shown
}

/// The golden folder of 0.1 opens, checks, and goes on. `UPDATE_GOLDEN=1` writes a new one.
#[test]
fn the_folder_of_release_0_1_opens() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _ = std::fs::remove_dir_all(golden());
        run::book(&golden(), run::bookings(1_000_000));
        assert_eq!(serve_some(&golden(), 30), 30);
        for name in ["state.db-wal", "state.db-shm", "secrets.db-wal", "secrets.db-shm"] {
            let _ = std::fs::remove_file(golden().join(name));
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("data");
    copy(&golden(), &folder);
    let check = run::regie(&folder, &["--json", "check", "--full"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let token = run::token(&folder, &[Scope::Read]);
    assert_eq!(serve_some(&folder, 10), 10);
    let server = Server::start(&folder);
    let (status, report) =
        run::call(&server.address, "GET", "/v1/reports?by=placement&from=2020-01-01", &token, &Value::Null)
            .expect("an answer");
    assert_eq!((status, &report["rows"][0]["impressions_count"]), (200, &json!(40)), "{report}");
    server.stop();
    // Without its projections it is rebuilt to the same figures.
    std::fs::remove_file(folder.join("state.db")).expect("removes");
    let server = Server::start(&folder);
    let (_, rebuilt) =
        run::call(&server.address, "GET", "/v1/reports?by=placement&from=2020-01-01", &token, &Value::Null)
            .expect("an answer");
    assert_eq!(report["rows"], rebuilt["rows"]);
    server.stop();
}

/// A restored folder shows house ads only, until the operator has said what the world has seen.
#[test]
fn a_restored_backup_issues_no_paid_ticket_until_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, backup, restored) =
        (dir.path().join("data"), dir.path().join("backup"), dir.path().join("restored"));
    run::book(&folder, run::bookings(1_000_000));
    serve_some(&folder, 5);
    let made = run::regie(&folder, &["backup", backup.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = run::regie(&restored, &["restore", backup.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Server::start(&restored);
    for _ in 0..20 {
        let ask = json!({ "site": "site_1", "placements": [{ "name": "top" }] });
        let (_, answer) = run::call(&server.address, "POST", "/v1/decisions", "", &ask).expect("an answer");
        assert_eq!(
            answer["decisions"][0]["ad"]["ad_set"], "set_3",
            "only the house ad may be shown: {answer}"
        );
    }
    let (status, why) = run::call(&server.address, "GET", "/ready", "", &Value::Null).expect("an answer");
    assert_eq!(status, 503, "{why}");
    server.stop();
    let told = run::regie(&restored, &["restore", "--confirm"]);
    assert!(told.status.success());
    let server = Server::start(&restored);
    let ask = json!({ "site": "site_1", "placements": [{ "name": "top" }] });
    let (_, answer) = run::call(&server.address, "POST", "/v1/decisions", "", &ask).expect("an answer");
    assert_eq!(answer["decisions"][0]["ad"]["ad_set"], "set_1", "{answer}");
    server.stop();
}
