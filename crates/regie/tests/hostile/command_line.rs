//! Wrong command lines, configurations and data folders: an exit code that says so, and words on what to do.

use crate::common::{Harness, publisher};
use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A command that has not ended by then has begun to serve.
const WAIT: Duration = Duration::from_secs(30);

/// Runs the binary; its exit code and all it said. `None`: it did not end.
fn regie(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regie"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGIE_")) {
        command.env_remove(name);
    }
    command
        .env("RUST_BACKTRACE", "0")
        .arg("--folder")
        .arg(folder)
        .args(args)
        .current_dir(folder.parent().unwrap());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (out, err) = (std::thread::spawn(move || all(&mut out)), std::thread::spawn(move || all(&mut err)));
    let start = Instant::now();
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status.code().unwrap_or(-1)),
            None if start.elapsed() > WAIT => {
                child.kill().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    child.wait().unwrap();
    (code, out.join().unwrap() + &err.join().unwrap())
}
fn all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is wrong with how the binary refused, if anything is.
fn fault(folder: &Path, args: &[&str], says: &str) -> Option<String> {
    let (code, said) = regie(folder, args);
    let why = match code {
        None => "does not end",
        Some(0) => "succeeds",
        _ if said.contains("panicked") || said.contains("RUST_BACKTRACE") => "panics",
        _ if !said.to_lowercase().contains(&says.to_lowercase()) => "does not say what to do",
        _ => return None,
    };
    Some(format!("{args:?}: {why} ({says:?}): {code:?} {said}"))
}

#[track_caller]
fn check(folder: &Path, table: &[(&[&str], &str)]) {
    let faults: Vec<String> = table.iter().filter_map(|(args, says)| fault(folder, args, says)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn wrong_command_lines_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    std::fs::write(dir.path().join("log.csv"), "a,b\n1,2\n").unwrap();
    std::fs::write(dir.path().join("rows.csv"), "timestamp,item_id,position,click\nnow,-1,1,1\n").unwrap();
    std::fs::write(dir.path().join("log.csv.gz"), b"\x1f\x8b\x08\x00garbage").unwrap();
    check(
        &folder,
        &[
            (&["restore"], "<FROM>"),
            (&["restore", "absent"], "absent is no data folder"),
            (&[], "Usage"),
            (&["frobnicate"], "unrecognized subcommand"),
            (&["serve", "--frobnicate"], "unexpected argument"),
            (&["serve", "--set", "nonsense"], "KEY=VALUE"),
            (&["serve", "--set", "colour=red"], "unknown setting; known are"),
            (&["serve", "--listen", "somewhere"], "listen"),
            (&["demo", "--port", "99999"], "--port"),
            (&["demo", "--visitors=-1"], "--visitors"),
            (&["replay"], "--open-bandit"),
            (&["replay", "--open-bandit", "absent.csv"], "absent.csv"),
            (&["replay", "--open-bandit", "log.csv"], "is this an Open Bandit log"),
            (&["replay", "--open-bandit", "rows.csv"], "line 2"),
            (&["replay", "--open-bandit", "log.csv.gz"], "log.csv.gz"),
            (&["replay", "--open-bandit", "log.csv", "--server", "http://127.0.0.1:1"], "--token"),
            (&["explain", "yesterday"], "EPOCH-SEQUENCE"),
            (&["explain", "1-99999999999999999999"], "EPOCH-SEQUENCE"),
            (&["export", "out", "--from", "yesterday"], "YYYY-MM-DD"),
            (&["completions", "fish-and-chips"], "possible values"),
            (&["study", "import", "absent.csv"], "absent.csv"),
            (&["study", "rank", "--store", "log.csv"], "log.csv"),
        ],
    );
    assert!(!dir.path().join("absent").exists(), "what a wrong path names is not made");
}

#[test]
fn wrong_users_and_tokens_are_refused_in_words() {
    let mut harness = Harness::start();
    harness.owner().put("/v1/publisher", publisher()).expect(200);
    harness.stop();
    check(
        harness.folder(),
        &[
            (&["user", "add", "someone@example.org", "--role", "king"], "expected one of"),
            (&["user", "add", "someone", "--role", "owner"], "e-mail"),
            (&["user", "add", "one@example.org", "--role", "advertiser"], "advertiser"),
            (
                &["user", "add", "one@example.org", "--role", "advertiser", "--advertiser", "adv_x"],
                "adv_NUMBER",
            ),
            (&["user", "link", "nobody@example.org"], "nobody@example.org"),
            (&["user", "reset", "usr_99999999999"], "usr_99999999999"),
            (&["token", "create", "mine", "--scope", "all"], "expected one of"),
            (&["token", "create", "", "--scope", "read"], "name"),
            (&["token", "revoke", "tok_9"], "tok_9"),
            (&["explain", "1-1"], "were not kept"),
        ],
    );
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let set = |pair: &'static str, says: &'static str| {
        fault(&folder, &["serve", "--listen", "127.0.0.1:0", "--set", pair], says)
    };
    let faults: Vec<String> = [
        ("workers=-1", "workers"),
        ("workers=many", "workers"),
        ("workers=99999999999999999999", "workers"),
        ("traffic_flush_ms=5", "100 to 60000"),
        ("drain_ms=soon", "drain_ms"),
        ("log_format=xml", "text or json"),
        ("log_filter=regie=loudly", "log_filter"),
        ("public_url=ads", "https://ads.example.org"),
        ("trusted_proxies=[\"10.0.0.0/99\"]", "10.0.0.0/8"),
        ("trusted_proxies=[1]", "trusted_proxies"),
        ("tls_certificate=cert.pem", "tls_key"),
        ("geo_database=absent.mmdb", "absent.mmdb"),
    ]
    .into_iter()
    .filter_map(|(pair, says)| set(pair, says))
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let both = [
        "serve",
        "--set",
        "tls_certificate=absent.pem",
        "--set",
        "tls_key=absent.key",
        "--listen",
        "127.0.0.1:0",
    ];
    check(&folder, &[(&both, "absent.pem")]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&folder, &[(&["serve", "--listen", &address], "is another server running there?")]);
}

#[test]
fn wrong_configuration_files_are_refused_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("data"), dir.path().join("regie.toml"));
    let deep = format!("listen = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let wide = "a".repeat(1 << 20);
    let files: [(&[u8], &str); 10] = [
        (b"listen =", "regie.toml"),
        (b"\xff\xfe\x00", "regie.toml"),
        (b"listen = 8080", "listen"),
        (b"listen = \"here\"", "listen"),
        (b"lisen = \"127.0.0.1:0\"", "lisen"),
        (b"workers = -1", "workers"),
        (b"workers = 1\nworkers = 2", "duplicate key"),
        (b"[listen]\nport = 1", "listen"),
        (deep.as_bytes(), "regie.toml"),
        (wide.as_bytes(), "regie.toml"),
    ];
    for (text, says) in files {
        std::fs::write(&file, text).unwrap();
        check(&folder, &[(&["--config", "regie.toml", "serve"], says)]);
    }
    check(
        &folder,
        &[
            (&["--config", "absent.toml", "serve"], "absent.toml"),
            (&["--config", ".", "serve"], "cannot read"),
        ],
    );
}

#[test]
fn folders_that_are_none_or_damaged_are_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    check(&file, &[(&["serve", "--listen", "127.0.0.1:0"], "file"), (&["check"], "file")]);
    let absent = dir.path().join("absent");
    check(
        &absent,
        &[
            (&["check"], "absent"),
            (&["export", "out"], "absent"),
            (&["explain", "1-1"], "absent"),
            (&["backup", "out"], "absent"),
            (&["user", "link", "nobody@example.org"], "absent"),
            (&["restore", "--confirm"], "absent"),
        ],
    );
    assert!(!absent.exists(), "a command that only reads makes no folder");
    for (name, says) in [
        ("journal/00000001.db", "journal segment 00000001 is damaged"),
        ("secrets.db", "put the one of a backup in its place"),
    ] {
        let folder = dir.path().join(name.replace(['/', '.'], "-"));
        std::fs::create_dir_all(folder.join("journal")).unwrap();
        std::fs::write(
            folder.join(name),
            b"this is no database, whatever its name says, and longer than a header".repeat(40),
        )
        .unwrap();
        check(&folder, &[(&["serve", "--listen", "127.0.0.1:0"], says)]);
    }
}
