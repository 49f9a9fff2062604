//! Running the binary on a data folder.

use regie::{config::Config, platform::folder::Folder, server::Engine};
use regie_model::{
    TokenId,
    booking::{Scope, TokenRecord},
    command::{Change, Command as Booking},
    event::Actor,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

/// The binary under test.
pub const REGIE: &str = env!("CARGO_BIN_EXE_regie");

/// Runs a command to its end.
pub fn regie(folder: &Path, args: &[&str]) -> Output {
    Command::new(REGIE).arg("--folder").arg(folder).args(args).output().expect("the binary runs")
}

/// Books commands with an engine of our own, before any server runs on the folder.
pub fn book(folder: &Path, lists: Vec<Vec<Value>>) {
    with_engine(folder, |engine| {
        for list in lists {
            let commands: Vec<Booking> =
                list.into_iter().map(|v| serde_json::from_value(v).expect("a command")).collect();
            let (done, wait) = mpsc::sync_channel(1);
            engine.platform.command(
                Actor::Operator,
                commands,
                Box::new(move |result| drop(done.send(result))),
            );
            wait.recv().expect("an answer").expect("accepted");
        }
    });
}
/// Makes a token with scopes.
pub fn token(folder: &Path, scopes: &[Scope]) -> String {
    let mut text = String::new();
    with_engine(folder, |engine| {
        let id = TokenId(engine.platform.catalogue().tokens.len() as u32 + 1);
        text = engine.platform.secrets.make_token(id).expect("a token");
        let record =
            TokenRecord { name: "test".into(), scopes: scopes.to_vec(), advertiser: None, active: true };
        let (done, wait) = mpsc::sync_channel(1);
        let changes = vec![Change::TokenPut { id, record }];
        engine.platform.record_changes(
            Actor::Operator,
            changes,
            Box::new(move |result| drop(done.send(result))),
        );
        wait.recv().expect("an answer").expect("accepted");
    });
    text
}
fn with_engine(folder: &Path, work: impl FnOnce(&Engine)) {
    let folder = Folder::open(folder).expect("a folder");
    let engine = Engine::start(&folder, &Config::default(), &mut |_, _| {}).expect("an engine");
    work(&engine);
    engine.stop().expect("stops");
}

/// A server process.
pub struct Server {
    pub child: Child,
    pub address: String,
}
impl Server {
    pub fn start(folder: &Path) -> Server {
        let mut child = Command::new(REGIE)
            .args([
                "--json",
                "--set",
                "log_filter=warn",
                "--set",
                "traffic_flush_ms=200",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--folder",
            ])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("an output")).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the server told {line:?}"));
        Server { child, address: told["address"].as_str().expect("an address").to_owned() }
    }
    pub fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("asks");
        assert!(self.child.wait().expect("ends").success(), "the server ended with an error");
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One JSON request; status and body. `None` when the server is gone.
pub fn call(address: &str, method: &str, path: &str, token: &str, body: &Value) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let bearer = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n{bearer}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// A publisher, a site, three ad sets: one by CPM with a small budget, one by CPM without end, one house ad.
pub fn bookings(daily_budget_micros: i64) -> Vec<Vec<Value>> {
    let sizes = json!([{ "width": 300, "height": 250 }]);
    let funding = json!({ "kind": "credit", "limit_micros": 1_000_000_000_000i64 });
    let flight = json!({ "starts_at": "2020-01-01T00:00:00Z" });
    let mut lists = vec![
        vec![
            json!({ "command": "put_publisher", "spec": { "name": "Test", "auction_currency": "EUR", "zone": "Europe/Paris", "sample_ppm": 20_000 } }),
        ],
        vec![
            json!({ "command": "put_site", "spec": { "name": "Test", "origins": ["https://test.example"] } }),
        ],
        vec![
            json!({ "command": "put_placement", "spec": { "site": "site_1", "name": "top", "format": { "kind": "banner", "sizes": sizes } } }),
        ],
        // Two accounts: nobody bids against themselves, so the price of the first comes from the second.
        vec![
            json!({ "command": "put_advertiser", "spec": { "name": "First", "currency": "EUR", "zone": "Europe/Paris", "funding": funding } }),
        ],
        vec![
            json!({ "command": "put_advertiser", "spec": { "name": "Second", "currency": "EUR", "zone": "Europe/Paris", "funding": funding } }),
        ],
        vec![
            json!({ "command": "put_party", "spec": { "kind": "organisation", "identity": { "name": "Test" }, "established_in": "FR" } }),
        ],
    ];
    for (number, budget) in [(1, json!(daily_budget_micros)), (2, Value::Null)] {
        lists.push(vec![json!({ "command": "put_campaign", "spec": { "advertiser": format!("adv_{number}"), "name": format!("Campaign {number}"), "objective": "impressions",
            "flight": flight, "sponsor": "party_1", "payer": "party_1", "daily_budget_micros": budget } })]);
    }
    let sets = [
        ("cam_1", json!({ "kind": "cpm", "micros_per_mille": 3_000_000 }), "auction"),
        ("cam_2", json!({ "kind": "cpm", "micros_per_mille": 1_000_000 }), "auction"),
        ("cam_2", json!({ "kind": "free" }), "house"),
    ];
    for (number, (campaign, bid, tier)) in sets.into_iter().enumerate() {
        let number = number + 1;
        lists.push(vec![json!({ "command": "put_ad_set", "spec": { "campaign": campaign, "name": "Set", "bid": bid, "tier": { "kind": tier }, "pacing": "asap" } })]);
        lists.push(vec![json!({ "command": "put_ad", "spec": { "ad_set": format!("set_{number}"), "name": "Ad", "landing_url": "https://shop.example/" } })]);
        let creative = json!({ "kind": "html", "markup": "<a href=\"{CLICK_URL}\">Ad</a>", "size": { "width": 300, "height": 250 } });
        lists.push(vec![json!({ "command": "put_version", "spec": { "ad": format!("ad_{number}"), "creative": creative } })]);
    }
    lists.push(vec![json!({ "command": "review", "ads": ["ad_1", "ad_2", "ad_3"], "verdict": "approved" })]);
    lists
}
