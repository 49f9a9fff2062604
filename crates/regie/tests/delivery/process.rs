//! The real process: configuration that is wrong, a folder in use, a stop that drains, completions.

use crate::explain::regie;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Running {
    child: Child,
    told: Value,
}
impl Running {
    fn start(folder: &Path) -> Running {
        Running::with(folder, &["log_filter=warn"], Stdio::null())
    }
    fn with(folder: &Path, settings: &[&str], log: Stdio) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_regie"))
            .arg("--json")
            .args(settings.iter().flat_map(|s| ["--set", s]))
            .args(["serve", "--listen", "127.0.0.1:0", "--folder"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Running { child, told: serde_json::from_str(&line).unwrap_or_else(|_| panic!("told {line:?}")) }
    }
    fn address(&self) -> &str {
        self.told["address"].as_str().unwrap()
    }
    fn terminate(&self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
    }
}
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `regie serve` says of a configuration, which must keep it from starting.
fn refused(settings: &[&str], file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(dir.path().join("regie.toml"), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_regie"));
    command.arg("--folder").arg(dir.path());
    command.args(settings.iter().flat_map(|s| ["--set", s]));
    command.arg("serve").envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(5) {
            let _ = child.kill();
            panic!("it runs with {settings:?} {file:?} {environment:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_configuration_names_its_key_and_where_it_stands() {
    let files = [
        ("lisen = \"127.0.0.1:1\"\n", "lisen"),
        ("drain_ms = \"soon\"\n", "drain_ms"),
        ("drain_ms = -1\n", "drain_ms"),
        ("listen = \"here\"\n", "listen"),
        ("trusted_proxies = [\"10.0.0.0/33\"]\n", "trusted_proxies"),
        ("trusted_proxies = \"10.0.0.0/8\"\n", "trusted_proxies"),
        ("public_url = \"ads.example.org\"\n", "public_url"),
        ("tls_key = \"key.pem\"\n", "tls_certificate"),
        ("log_format = \"xml\"\n", "log_format"),
        ("traffic_flush_ms = 1\n", "traffic_flush_ms"),
        ("listen = [\n", "regie.toml"),
        ("listen = \"127.0.0.1:0\"\ngeo_database = \"/nowhere/places.mmdb\"\n", "/nowhere/places.mmdb"),
        (
            "listen = \"127.0.0.1:0\"\ntls_certificate = \"/nowhere/c.pem\"\ntls_key = \"/nowhere/k.pem\"\n",
            "/nowhere/c.pem",
        ),
    ];
    for (text, word) in files {
        let error = refused(&[], Some(text), &[]);
        assert!(error.contains(word), "{text:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
    let error = refused(&["lisen=1"], None, &[]);
    assert!(error.contains("lisen") && error.contains("known are listen"), "{error}");
    assert!(refused(&["listen"], None, &[]).contains("KEY=VALUE"));
    assert!(refused(&["drain_ms=x"], None, &[]).contains("drain_ms"));
    assert!(refused(&[], None, &[("REGIE_DRAIN_MS", "x")]).contains("drain_ms"));
    let error = refused(&[], None, &[("REGIE_CONFIG", "/nowhere/regie.toml")]);
    assert!(error.contains("/nowhere/regie.toml"), "{error}");
}

#[test]
fn a_second_server_on_the_folder_says_that_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(dir.path());
    let output = regie(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("another") && error.contains(dir.path().to_str().unwrap()), "{error}");
    // The first one did not notice.
    assert!(get(first.address(), "/ready").starts_with("HTTP/1.1 200"));
    let elsewhere = tempfile::tempdir().unwrap();
    let output = regie(elsewhere.path(), &["serve", "--listen", first.address()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains(first.address()), "{error}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_stop_lets_an_open_request_finish_and_takes_no_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Running::start(dir.path());
    let body = r#"{"events":[{"kind":"click","ticket":"x"}]}"#;
    let mut open = TcpStream::connect(server.address()).unwrap();
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    open.write_all(head.as_bytes()).unwrap();
    open.write_all(&body.as_bytes()[..10]).unwrap();
    let _idle = TcpStream::connect(server.address()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    server.terminate();
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.child.try_wait().unwrap().is_none(), "it waits for the open request");
    assert!(TcpStream::connect(server.address()).is_err(), "nobody new is let in");
    open.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("malformed"), "{answer}");
    let start = Instant::now();
    assert!(server.child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let check = regie(dir.path(), &["--json", "check", "--full"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let told: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert!(told.is_object(), "{told}");
}

#[test]
fn completions_know_every_subcommand() {
    let dir = tempfile::tempdir().unwrap();
    let help = String::from_utf8(regie(dir.path(), &["--help"]).stdout).unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = regie(dir.path(), &["completions", shell]);
        let text = String::from_utf8(output.stdout).unwrap();
        for word in [
            "serve",
            "demo",
            "replay",
            "explain",
            "export",
            "check",
            "backup",
            "restore",
            "bench",
            "completions",
        ] {
            assert!(text.contains(word) && help.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "asking for completions makes no data folder"
    );
    let wrong = regie(dir.path(), &["server"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("serve"));
}

#[test]
fn a_request_that_never_ends_holds_a_stop_up_no_longer_than_configured() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Running::with(dir.path(), &["drain_ms=500", "log_filter=off"], Stdio::null());
    let mut open = TcpStream::connect(server.address()).unwrap();
    open.write_all(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.terminate();
    assert!(server.child.wait().unwrap().success());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn the_log_holds_nothing_of_visitors() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let settings = ["log_filter=trace", "log_format=json", "trusted_proxies=[\"127.0.0.1\"]"];
    let file = std::fs::File::create(&log).unwrap();
    let mut server = Running::with(&dir.path().join("data"), &settings, file.into());
    let body = r#"{"site":"site_1","placements":[{"name":"x"}],"page":{"url":"https://gazette.example/private"},"segments":["seg_4242"]}"#;
    for (path, body) in
        [("/v1/decisions", body), ("/v1/events", r#"{"events":[{"kind":"click","ticket":"x"}]}"#)]
    {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 203.0.113.9\r\nuser-agent: Secret-Agent/7.7\r\n\
             cookie: regie_session=abcdef\r\nauthorization: Bearer regie_abcdef\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    server.terminate();
    assert!(server.child.wait().unwrap().success());
    let text = std::fs::read_to_string(&log).unwrap();
    for secret in ["203.0.113.9", "Secret-Agent", "abcdef", "gazette.example/private", "seg_4242"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}
