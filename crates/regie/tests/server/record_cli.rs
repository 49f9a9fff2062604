//! The record's commands, as an outsider and an operator run them: `verify` by HTTPS, of a label and of evidence; `mirror
//! --serve` when the origin is gone; `record` for keys and a new origin.

use crate::common::{self, Harness};
use crate::program::{Ended, key, program, regie, text};
use crate::shown::Stage;
use regie_record::promise::{MERGE_WITHIN_MS, Promise};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

/// An authority of this test and a server's certificate by it, made by `openssl`; `None` where there is no such program.
fn certificates(dir: &Path) -> Option<()> {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650";
    let extensions = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
    std::fs::write(dir.join("server.ext"), extensions).unwrap();
    for arguments in [
        format!("req -x509 {key} -keyout ca.key -out authority.pem -subj /CN=Authority -addext basicConstraints=critical,CA:TRUE"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
        "x509 -req -in server.csr -CA authority.pem -CAkey ca.key -CAcreateserial -out server.pem -days 3650 -extfile server.ext".to_owned(),
    ] {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().ok()?;
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Some(())
}

#[test]
fn a_log_is_verified_mirrored_and_witnessed_by_https() {
    let dir = tempfile::tempdir().unwrap();
    if certificates(dir.path()).is_none() {
        println!("SKIP a log by HTTPS: there is no openssl to make certificates");
        return;
    }
    let secure = |config: &mut regie::config::Config| {
        config.tls_certificate = Some(dir.path().join("server.pem"));
        config.tls_key = Some(dir.path().join("server.key"));
    };
    let server = Harness::with(secure);
    let authority = dir.path().join("authority.pem");
    let url = format!("{}/record/log", server.url.replace("http://", "https://"));
    let (key, state) = (key(&server), dir.path().join("seen"));
    let verify = ["verify", &url, "--key", &key, "--state", text(&state)];
    let (code, told) = regie(&[&verify[..], &["--ca", text(&authority)]].concat());
    assert_eq!((code, &told["verdict"]), (0, &json!("consistent, unwitnessed")), "{told}");
    let copy = dir.path().join("copy");
    let mirror = ["mirror", &url, "--key", &key, "--to", text(&copy)];
    let (code, told) = regie(&[&mirror[..], &["--ca", text(&authority)]].concat());
    assert_eq!((code, &told["entries"]), (0, &json!(1)), "{told}");
    // Nobody that browsers trust has signed the certificate; an authority that is none is refused in words.
    let (code, told) = regie(&verify);
    assert_eq!(code, 1, "{told}");
    assert!(told.to_string().contains("certificate"), "{told}");
    let (code, told) = regie(&[&verify[..], &["--ca", text(&dir.path().join("server.ext"))]].concat());
    assert_eq!(code, 1);
    assert!(told.to_string().contains("no certificate in PEM form"), "{told}");
    // A witness behind HTTPS cosigns under the authority of the settings.
    let log = key.clone();
    let witness = Harness::with(|config| {
        secure(config);
        config.witness_logs = vec![log];
        config.witness_name = "witness.example/w1".into();
    });
    let its = witness.app.witness.as_ref().unwrap().key().to_string();
    let line = format!("{its} {}/witness", witness.url.replace("http://", "https://"));
    let server = server.restart_with(|config| {
        config.log_witnesses = vec![line];
        config.log_ca_file = Some(authority.clone());
    });
    server.wait_for("the cosignature", || {
        let shown = server.anonymous().get("/record/log/checkpoint").expect(200).text();
        shown.contains("witness.example/w1")
    });
}

#[test]
fn a_label_is_held_to_its_promise_and_a_broken_one_is_proved() {
    let stage = Stage::open();
    stage.show(1);
    let (harness, dir) = (&stage.harness, tempfile::tempdir().unwrap());
    let (key, url) = (key(harness), format!("{}/record/log", harness.url));
    let at = |name: &str| dir.path().join(name);
    let (label, evidence) = (at("label.json"), at("evidence.json"));
    let check = |promise: &Value| {
        std::fs::write(&label, promise.to_string()).unwrap();
        regie(&["verify", &url, "--key", &key, "--label", text(&label), "--write-evidence", text(&evidence)])
    };
    // As a reader's browser keeps it: the answer of the server.
    let promise = stage.ask()["ad"]["label"]["promise"].clone();
    let (code, told) = check(&promise);
    assert_eq!((code, &told["promise"]), (0, &json!("kept")), "{told}");
    // A promise that is changed is none of the log's.
    let mut forged = promise.clone();
    forged["promise"]["entry"] = json!("ad_99");
    assert_eq!(check(&forged).0, 1);
    assert!(!evidence.exists(), "no evidence of what the log never said");
    // One for facts that no entry has: too early to say, then proof.
    let now = harness.app.platform.now();
    let of = |at_ms: i64| {
        let promise = Promise {
            origin: harness.app.log.origin().to_owned(),
            entry: regie_model::AdId(99),
            content: regie_record::commit::Sha256Hash::of(b"never logged"),
            at: regie_model::UtcMs(at_ms),
            merge_within_ms: MERGE_WITHIN_MS,
        };
        serde_json::to_value(harness.app.log.promise(&promise).unwrap()).unwrap()
    };
    let (code, told) = check(&of(now.0));
    assert_eq!((code, &told["promise"]), (2, &json!("not_yet_due")), "{told}");
    let (code, told) = check(&of(now.0 - 2 * i64::from(MERGE_WITHIN_MS)));
    assert_eq!((code, &told["promise"]), (1, &json!("broken")), "{told}");
    // The evidence convinces a stranger who has the log's key and nothing else; changed, it does not.
    let of_evidence = ["verify", "--evidence", text(&evidence), "--key", &key];
    let (code, told) = regie(&of_evidence);
    assert_eq!((code, &told["proved"]), (0, &json!(true)), "{told}");
    let changed = std::fs::read_to_string(&evidence).unwrap().replace("ad_99", "ad_98");
    std::fs::write(&evidence, changed).unwrap();
    let (code, told) = regie(&of_evidence);
    assert_eq!((code, &told["proved"]), (1, &json!(false)), "{told}");
}

#[test]
fn a_mirror_serves_the_record_when_its_origin_is_gone() {
    let mut stage = Stage::open();
    stage.show(1);
    let dir = tempfile::tempdir().unwrap();
    let (key, url) = (key(&stage.harness), format!("{}/record/log", stage.harness.url));
    let copy = dir.path().join("copy");
    let mirror = ["mirror", "--key", &key, "--to", text(&copy)];
    assert_eq!(regie(&[&mirror[..], &[&url]].concat()).0, 0);
    stage.harness.stop();
    let mut child = program()
        .arg("--json")
        .args(mirror)
        .args(["--serve", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _ended = Ended(child);
    let told: Value = serde_json::from_str(&line).unwrap();
    let served = told["url"].as_str().unwrap();
    let state = dir.path().join("seen");
    let (code, told) = regie(&["verify", served, "--key", &key, "--state", text(&state)]);
    assert_eq!((code, &told["verdict"]), (0, &json!("consistent, unwitnessed")), "{told}");
    assert!(told["objects"].as_u64().unwrap() > 0, "contents are there too: {told}");
    let reader = common::Client { url: served.to_owned(), headers: Vec::new() };
    assert!(reader.get("/").expect(200).text().contains("mirror of the public record"));
    reader.get("/verify.html").expect(200);
    reader.get("/../seen").expect(404);
    reader.send("POST", "/checkpoint", None, b"x").expect(405);
}

#[test]
fn keys_are_rotated_in_the_open_and_a_new_origin_names_the_old() {
    let mut stage = Stage::open();
    stage.show(1);
    let first = key(&stage.harness);
    stage.harness.stop();
    let folder = stage.harness.folder().to_path_buf();
    let record = |args: &[&str]| {
        let output = program().arg("--folder").arg(&folder).arg("record").args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(record(&["keys"]).lines().collect::<Vec<_>>(), [first.as_str()]);
    let both = record(&["add-key"]);
    let second = both.lines().nth(1).unwrap().to_owned();
    assert_eq!(both.lines().next(), Some(first.as_str()));
    let state = tempfile::tempdir().unwrap();
    let seen = state.path().join("seen");
    let verify =
        |key: &str| regie(&["verify", text(&folder.join("record")), "--key", key, "--state", text(&seen)]);
    // Both sign: who trusts either sees the one history.
    for key in [&first, &second] {
        let (code, told) = verify(key);
        assert_eq!((code, &told["verdict"]), (0, &json!("consistent, unwitnessed")), "{told}");
    }
    let left = record(&["retire-key", "--because", "yearly rotation"]);
    assert_eq!(left.lines().collect::<Vec<_>>(), [second.as_str()]);
    let (code, told) = verify(&second);
    assert_eq!((code, &told["kinds"]["log_key_retired"]), (0, &json!(1)), "{told}");
    assert_eq!(verify(&first).0, 1, "the retired key signs nothing any more");
    // The server goes on under the second key.
    let harness = stage.harness.restart();
    assert_eq!(key(&harness), second);
    let mut harness = harness;
    harness.stop();
    let folder = harness.folder().to_path_buf();
    let output = program()
        .arg("--folder")
        .arg(&folder)
        .args(["record", "new-origin", "gazette.example/record/log-2", "--because", "a disk was lost"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fresh = said.split_whitespace().find(|word| word.starts_with("gazette.example/record/log-2+"));
    let (code, told) =
        regie(&["verify", text(&folder.join("record")), "--key", fresh.unwrap(), "--state", text(&seen)]);
    assert!(code == 0 || told.to_string().contains("other"), "{told}");
    let other = state.path().join("seen-2");
    let (code, told) =
        regie(&["verify", text(&folder.join("record")), "--key", fresh.unwrap(), "--state", text(&other)]);
    assert_eq!((code, &told["entries"]), (0, &json!(1)), "{told}");
    // The former log's files stay readable for everybody, and still verify.
    let aside = std::fs::read_dir(&folder).unwrap().flatten();
    let aside = aside.map(|e| e.path()).find(|p| text(p).contains("record.until-")).unwrap();
    assert_eq!(regie(&["verify", text(&aside), "--key", &second, "--state", text(&seen)]).0, 0);
}
