//! A real server on a free port with a real data folder, and clients: nobody, each role, tokens.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)]

use regie::{
    config::Config,
    http::{AppState, accounts::people, auth::links},
    platform::folder::Folder,
    server::Server,
};
use regie_model::{
    AdvertiserId,
    booking::{Role, Scope, TokenRecord, UserRecord},
    event::Actor,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Every role.
pub const ROLES: [Role; 5] =
    [Role::Owner, Role::AdOperations, Role::Advertiser, Role::ReadOnly, Role::Auditor];

/// A picture of 300 by 250 pixels, as far as its header says.
pub const GIF: &[u8] = b"GIF89a\x2c\x01\xfa\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00\x3b";

/// A running server.
pub struct Harness {
    pub url: String,
    pub app: AppState,
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
    folder: tempfile::TempDir,
}

impl Harness {
    pub fn start() -> Harness {
        Harness::with(|_| {})
    }
    pub fn with(change: impl FnOnce(&mut Config)) -> Harness {
        let folder = tempfile::tempdir().unwrap();
        Harness::on(folder, change)
    }
    fn on(folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Harness {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://127.0.0.1:0".into(),
            ..Config::default()
        };
        change(&mut config);
        let data = Folder::open(folder.path()).unwrap();
        let server =
            runtime.block_on(Server::start(&data, config, axum::Router::new(), &mut |_, _| {})).unwrap();
        let (url, app) = (format!("http://{}", server.address), server.app.clone());
        Harness { url, app, runtime, server: Some(server), folder }
    }
    /// Stops the server and starts it again on the same folder.
    pub fn restart(self) -> Harness {
        self.restart_with(|_| {})
    }
    pub fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Harness {
        self.stop();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        drop(self);
        Harness::on(folder, change)
    }
    /// Stops the server; the folder stays until the harness goes.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop()).unwrap();
        }
    }
    /// Runs something of the server's own to its end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Somebody without a session or token.
    pub fn anonymous(&self) -> Client {
        Client { url: self.url.clone(), headers: Vec::new() }
    }
    /// A signed-in person of a role.
    pub fn user(&self, role: Role, advertiser: Option<AdvertiserId>) -> Client {
        let record = UserRecord { role, advertiser, active: true };
        let id = links::add_user(&self.app.platform, Actor::Operator, record).unwrap();
        let secrets = &self.app.platform.secrets;
        secrets
            .add_user(id, &format!("{id}@example.org"), &format!("Person {id}"), self.app.platform.now())
            .unwrap();
        let (cookie, csrf) = secrets.open_session(id, self.app.platform.now()).unwrap();
        self.anonymous()
            .with("cookie", &format!("regie_session={cookie}"))
            .with("x-regie-csrf", &csrf)
            .with("origin", &self.url)
    }
    pub fn owner(&self) -> Client {
        self.user(Role::Owner, None)
    }
    /// A program with a token.
    pub fn token(&self, scopes: &[Scope], advertiser: Option<AdvertiserId>) -> Client {
        let record = TokenRecord { name: "test".into(), scopes: scopes.to_vec(), advertiser, active: true };
        let (_, secret) = people::make_token(&self.app.platform, Actor::Operator, record).unwrap();
        self.anonymous().with("authorization", &format!("Bearer {secret}"))
    }
    /// Waits until decisions see what was booked.
    pub fn wait_for(&self, what: &str, mut seen: impl FnMut() -> bool) {
        let start = Instant::now();
        while !seen() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited 10 s for {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
impl Drop for Harness {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Client {
    pub url: String,
    pub headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn with(mut self, name: &str, value: &str) -> Client {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
    pub fn without(mut self, name: &str) -> Client {
        self.headers.retain(|(n, _)| n != name);
        self
    }
    pub fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.to_vec()).unwrap();
        let mut response = agent.run(request).unwrap();
        let text = |v: &ureq::http::HeaderValue| v.to_str().unwrap_or("").to_owned();
        let headers: Vec<(String, String)> =
            response.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect();
        // A stream of live figures does not end.
        let endless = headers.iter().any(|(n, v)| n == "content-type" && v.starts_with("text/event-stream"));
        let body = if endless { Vec::new() } else { response.body_mut().read_to_vec().unwrap() };
        Reply { status: response.status().as_u16(), headers, body }
    }
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, b"")
    }
    pub fn post(&self, path: &str, json: Value) -> Reply {
        self.send("POST", path, Some("application/json"), json.to_string().as_bytes())
    }
    pub fn put(&self, path: &str, json: Value) -> Reply {
        self.send("PUT", path, Some("application/json"), json.to_string().as_bytes())
    }
    pub fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.send("POST", path, Some("application/x-www-form-urlencoded"), body.as_bytes())
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
    /// The faults of a refusal as `field: code`, sorted.
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        assert_eq!(self.status, 422, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json = self.json();
        let rows = json["faults"].as_array().cloned().unwrap_or_default();
        let mut all: Vec<String> = rows
            .iter()
            .map(|f| format!("{}: {}", f["field"].as_str().unwrap(), f["code"].as_str().unwrap()))
            .collect();
        all.sort();
        all
    }
    /// The session cookie that was set.
    pub fn cookie(&self) -> Option<String> {
        let set = self.header("set-cookie");
        set.split(';')
            .next()
            .filter(|pair| pair.starts_with("regie_session=") && pair.len() > 20)
            .map(str::to_owned)
    }
}

// What tests book.

pub fn publisher() -> Value {
    json!({ "name": "The Example Gazette", "auction_currency": "EUR", "zone": "Europe/Paris" })
}
pub fn site() -> Value {
    json!({ "name": "Gazette", "origins": ["https://gazette.example"] })
}
pub fn placement(site: &str, name: &str) -> Value {
    json!({ "site": site, "name": name, "format": { "kind": "banner", "sizes": [{ "width": 300, "height": 250 }] } })
}
pub fn advertiser(name: &str) -> Value {
    json!({ "name": name, "currency": "EUR", "zone": "Europe/Paris", "funding": { "kind": "prepaid" } })
}
pub fn party(name: &str) -> Value {
    json!({
        "kind": "organisation", "established_in": "FR", "may_sponsor_before_votes": true,
        "identity": { "name": name, "email": "office@example.org" },
    })
}
pub fn campaign(advertiser: &str, party: &str) -> Value {
    json!({
        "advertiser": advertiser, "name": "Spring", "objective": "clicks",
        "flight": { "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z" },
        "lifetime_budget_micros": 1_000_000_000, "sponsor": party, "payer": party,
    })
}
pub fn declaration() -> Value {
    json!({
        "linked": [{ "name": "Municipal election, Example Town", "held_on": "2029-03-15" }], "no_other_provider": true,
        "origin": { "public": false, "private": true, "inside_union": true, "outside_union": false }, "confirmed": true,
    })
}
pub fn ad_set(campaign: &str) -> Value {
    json!({
        "campaign": campaign, "name": "All pages", "bid": { "kind": "cpm", "micros_per_mille": 2_000_000 },
        "tier": { "kind": "auction" }, "pacing": "asap",
    })
}
pub fn ad(ad_set: &str) -> Value {
    json!({ "ad_set": ad_set, "name": "Bicycles", "landing_url": "https://shop.example/bicycles?from={PLACEMENT}" })
}
pub fn text_version(ad: &str) -> Value {
    json!({ "ad": ad, "creative": { "kind": "text", "title": "Bicycles", "body": "Two wheels." } })
}
pub fn html_version(ad: &str, words: &str) -> Value {
    let markup = format!("<a href=\"{{CLICK_URL}}\">{words}</a>");
    json!({ "ad": ad, "creative": { "kind": "html", "markup": markup, "size": { "width": 300, "height": 250 } } })
}

/// Everything that one advertiser needs to be shown.
#[derive(Clone, Debug)]
pub struct Shop {
    pub advertiser: String,
    pub party: String,
    pub campaign: String,
    pub ad_set: String,
    pub ad: String,
    pub version: String,
}

#[track_caller]
pub fn create(client: &Client, path: &str, json: Value) -> String {
    client.post(path, json).expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// The publisher with one site and one placement: (site, placement).
pub fn open_publisher(owner: &Client) -> (String, String) {
    owner.put("/v1/publisher", publisher()).expect(200);
    let site = create(owner, "/v1/sites", site());
    let placement = create(owner, "/v1/placements", placement(&site, "front-top"));
    (site, placement)
}
/// An advertiser with one of each.
pub fn open_shop(owner: &Client, name: &str) -> Shop {
    let advertiser = create(owner, "/v1/advertisers", advertiser(name));
    let mut its = party(name);
    its["advertiser"] = advertiser.clone().into();
    let party = create(owner, "/v1/parties", its);
    let campaign = create(owner, "/v1/campaigns", campaign(&advertiser, &party));
    let ad_set = create(owner, "/v1/ad-sets", ad_set(&campaign));
    let ad = create(owner, "/v1/ads", ad(&ad_set));
    let version = create(owner, "/v1/versions", html_version(&ad, name));
    Shop { advertiser, party, campaign, ad_set, ad, version }
}
