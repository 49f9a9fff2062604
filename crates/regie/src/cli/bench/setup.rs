//! What the benchmark measures on: a fresh data folder with ad sets, a server process on it, and a bare echo.

use super::load::{Connection, reading, request};
use crate::{
    config::Config,
    platform::{commands::Accepted, folder::Folder},
    server::Engine,
};
use anyhow::{Context, Result, anyhow, bail};
use axum::{Router, body::Bytes, routing::post};
use regie_model::{command::Command, event::Actor};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command as System, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// How long the record may log nothing while ads wait for it.
const WAIT_LOGGED_MAX: Duration = Duration::from_secs(180);

/// Impressions in one beacon.
pub const BEACON_EVENTS: usize = 64;

/// Removes a folder at the end.
pub struct Cleanup(pub PathBuf);
impl Drop for Cleanup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What was booked.
pub struct Prepared {
    ad_sets: u32,
}

/// Books a site, a placement and ad sets in the auction, each for one of twenty sections, some with more conditions.
///
/// # Errors
/// A folder that cannot be written.
pub fn prepare(folder: &Path, ad_sets: u32) -> Result<Prepared> {
    let folder = Folder::open(folder)?;
    let engine = Engine::start(&folder, &Config::default(), &mut |_, _| {})?;
    let run = |list: Vec<Value>| -> Result<Vec<Accepted>> {
        let commands: Vec<Command> =
            list.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
        let (done, wait) = mpsc::sync_channel(1);
        engine.platform.command(Actor::Operator, commands, Box::new(move |result| drop(done.send(result))));
        wait.recv()?.map_err(|e| anyhow!("{e}"))
    };
    let funding = json!({ "kind": "credit", "limit_micros": 1_000_000_000_000_000i64 });
    run(vec![
        json!({ "command": "put_publisher", "spec": { "name": "Bench", "auction_currency": "EUR", "zone": "UTC", "sample_ppm": 0 } }),
    ])?;
    run(vec![
        json!({ "command": "put_site", "spec": { "name": "Bench", "origins": ["https://bench.example"] } }),
    ])?;
    let format = json!({ "kind": "banner", "sizes": [{ "width": 300, "height": 250 }] });
    run(vec![
        json!({ "command": "put_placement", "spec": { "site": "site_1", "name": "top", "format": format } }),
    ])?;
    run(vec![
        json!({ "command": "put_advertiser", "spec": { "name": "Bench", "currency": "EUR", "zone": "UTC", "funding": funding } }),
    ])?;
    run(vec![
        json!({ "command": "put_party", "spec": { "kind": "organisation", "identity": { "name": "Bench" }, "established_in": "FR" } }),
    ])?;
    let flight = json!({ "starts_at": "2020-01-01T00:00:00Z" });
    run(vec![
        json!({ "command": "put_campaign", "spec": { "advertiser": "adv_1", "name": "Bench", "objective": "impressions", "flight": flight, "sponsor": "party_1", "payer": "party_1" } }),
    ])?;
    let numbers: Vec<u32> = (1..=ad_sets).collect();
    for chunk in numbers.chunks(5_000) {
        let sets = chunk.iter().map(|n| {
            let mut targeting = vec![json!({ "dimension": "key:section", "op": "in", "values": [format!("s{}", n % 20)] })];
            if n % 3 == 0 {
                targeting.push(json!({ "dimension": "device", "op": "not_in", "values": ["tv"] }));
            }
            if n % 5 == 0 {
                targeting.push(json!({ "dimension": "language", "op": "in", "values": ["fr", "en"] }));
            }
            let bid = json!({ "kind": "cpm", "micros_per_mille": 1_000_000 + i64::from(n * 7_919 % 1_000_003) });
            json!({ "command": "put_ad_set", "spec": { "campaign": "cam_1", "name": format!("Set {n}"), "bid": bid, "tier": { "kind": "auction" }, "pacing": "asap", "targeting": targeting } })
        });
        let made = run(sets.collect())?;
        let ads = made.iter().map(|set| json!({ "command": "put_ad", "spec": { "ad_set": set.id, "name": "Ad", "landing_url": "https://shop.example/" } }));
        let ads = run(ads.collect())?;
        let creative = json!({ "kind": "html", "markup": "<a href=\"{CLICK_URL}\">Ad</a>", "size": { "width": 300, "height": 250 } });
        let versions = ads
            .iter()
            .map(|ad| json!({ "command": "put_version", "spec": { "ad": ad.id, "creative": creative } }));
        run(versions.collect())?;
        let ids: Vec<&str> = ads.iter().map(|ad| ad.id.as_str()).collect();
        run(vec![json!({ "command": "review", "ads": ids, "verdict": "approved" })])?;
    }
    engine.stop()?;
    Ok(Prepared { ad_sets })
}

impl Prepared {
    fn decision(&self, section: u32) -> Value {
        json!({
            "site": "site_1", "placements": [{ "id": "plc_1" }],
            "page": { "url": "https://bench.example/a/page", "language": "fr", "keywords": ["sea", "boats"], "key_values": { "section": [format!("s{}", section % 20)] } },
        })
    }
    /// The body of a request for one placement.
    pub fn decision_body(&self, section: u32) -> Vec<u8> {
        self.decision(section % self.ad_sets.max(1)).to_string().into_bytes()
    }
    /// The body of a batch.
    pub fn batch_body(&self, count: u32) -> Vec<u8> {
        let requests: Vec<Value> = (0..count).map(|n| self.decision(n % self.ad_sets.clamp(1, 20))).collect();
        json!({ "requests": requests }).to_string().into_bytes()
    }
    /// Beacons of fresh tickets, each with [`BEACON_EVENTS`] impressions.
    ///
    /// # Errors
    /// As the server answers.
    pub fn beacons(&self, server: &Process, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut beacons = Vec::with_capacity(count);
        self.tickets(server, count * BEACON_EVENTS, |tickets| beacons.push(beacon(tickets)))?;
        Ok(beacons)
    }
    /// Beacons of fresh tickets, each with one impression.
    ///
    /// # Errors
    /// As the server answers.
    pub fn single_beacons(&self, server: &Process, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut beacons = Vec::with_capacity(count);
        self.tickets(server, count, |tickets| {
            beacons.extend(tickets.chunks(1).map(beacon));
        })?;
        Ok(beacons)
    }
    /// At least so many fresh tickets, by [`BEACON_EVENTS`] at a time.
    fn tickets(&self, server: &Process, count: usize, mut each: impl FnMut(&[&str])) -> Result<()> {
        let mut connection = Connection::open(&server.address())?;
        let batch = request("/v1/decisions/batch", &self.batch_body(BEACON_EVENTS as u32));
        for _ in 0..count.div_ceil(BEACON_EVENTS) {
            let answer: Value = serde_json::from_slice(connection.exchange(&batch)?)?;
            let answers = answer["answers"].as_array().into_iter().flatten();
            let tickets: Vec<&str> =
                answers.filter_map(|a| a["decisions"][0]["ad"]["ticket"].as_str()).collect();
            anyhow::ensure!(
                tickets.len() == BEACON_EVENTS,
                "only {} of {BEACON_EVENTS} requests were filled",
                tickets.len()
            );
            each(&tickets);
        }
        Ok(())
    }
}

fn beacon(tickets: &[&str]) -> Vec<u8> {
    let events: Vec<Value> =
        tickets.iter().map(|ticket| json!({ "kind": "impression", "ticket": ticket })).collect();
    json!({ "events": events }).to_string().into_bytes()
}

/// The bare echo: reads the body, answers so many bytes, on the same HTTP stack.
///
/// # Errors
/// When no port is free.
pub async fn echo(bytes: usize) -> Result<()> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let answer = move |_: Bytes| {
        let body = body.clone();
        async move { ([("content-type", "application/json"), ("cache-control", "no-store")], body) }
    };
    let router = Router::new().route("/v1/decisions", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "address": listener.local_addr()? }));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = crate::http::serve::spawn(listener, router, &Config::default(), stopped)?;
    tokio::signal::ctrl_c().await?;
    let _ = stop.send(true);
    serving.abort();
    Ok(())
}

/// A process that serves.
pub struct Process {
    child: std::process::Child,
    address: String,
}

impl Process {
    /// `regie serve` on a folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve(folder: &Path) -> Result<Process> {
        let mut command = System::new(std::env::current_exe()?);
        command
            .args(["--json", "--set", "log_filter=warn", "serve", "--listen", "127.0.0.1:0", "--folder"])
            .arg(folder);
        Process::spawn(command)
    }
    /// The bare echo.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn echo(bytes: usize) -> Result<Process> {
        let mut command = System::new(std::env::current_exe()?);
        command.args(["bench", "--echo", &bytes.to_string()]);
        Process::spawn(command)
    }
    fn spawn(mut command: System) -> Result<Process> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("starting a process")?;
        let output = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).map_err(|_| anyhow!("it did not start: {line}"))?;
        let address = told["address"].as_str().context("it told no address")?.to_owned();
        Ok(Process { child, address })
    }
    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.clone()
    }
    /// Sends one request; the body of the answer.
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        Ok(Connection::open(&self.address)?.exchange(&request(path, body))?.to_vec())
    }
    /// Waits until no ad is held back for its facts to be in the record's log; `each` hears how many are.
    ///
    /// # Errors
    /// As [`Connection::exchange`]; when none was logged for half a minute.
    pub fn wait_logged(&self, mut each: impl FnMut(u64)) -> Result<()> {
        let mut connection = Connection::open(&self.address)?;
        let (mut last, mut since) = (u64::MAX, Instant::now());
        loop {
            let told: Value = serde_json::from_slice(connection.exchange(&reading("/ready"))?)?;
            let waiting = told["record_waiting_ads"].as_u64().context("it tells of no waiting ads")?;
            each(waiting);
            if waiting == 0 {
                return Ok(());
            }
            if waiting != last {
                (last, since) = (waiting, Instant::now());
            }
            anyhow::ensure!(since.elapsed() < WAIT_LOGGED_MAX, "{waiting} ads are not logged");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    /// CPU seconds that it has used, user and system.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn cpu_s(&self) -> Result<f64> {
        cpu_s(self.child.id())
    }
    /// Memory that it holds.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn resident_bytes(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kib * 1024)
    }
    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// When it ends with an error.
    pub fn stop(mut self) -> Result<()> {
        System::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU seconds of a process.
///
/// # Errors
/// When the system does not tell.
pub fn cpu_s(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = text.rsplit(')').next().context("an odd stat line")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields.get(11).context("no utime")?.parse::<u64>()?
        + fields.get(12).context("no stime")?.parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
