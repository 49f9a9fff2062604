//! A publisher with a site and a placement, and short words for what the tests book, ask and report.

use crate::common::*;
use regie::config::Config;
use regie_model::{booking::Scope, ticket::Ticket};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Floor of the placement: micros of EUR per mille in the auction.
pub const FLOOR: i64 = 10_000;

/// A server with a publisher, one site and one placement (`front-top`, 300 by 250).
pub struct Scene {
    pub harness: Harness,
    pub owner: Client,
    pub site: String,
    pub placement: String,
}

/// What one ad set is made of: everything else is as `common` books it.
#[derive(Clone)]
pub struct Booking {
    pub name: &'static str,
    pub account: Value,
    pub deposit_micros: i64,
    pub campaign: Value,
    pub set: Value,
    pub ad: Value,
}
impl Booking {
    /// An account on credit, bidding `micros_per_mille`.
    pub fn cpm(name: &'static str, micros_per_mille: i64) -> Booking {
        Booking {
            name,
            account: json!({ "funding": { "kind": "credit", "limit_micros": 1_000_000_000 } }),
            deposit_micros: 0,
            campaign: json!({}),
            set: json!({ "bid": { "kind": "cpm", "micros_per_mille": micros_per_mille } }),
            ad: json!({}),
        }
    }
    pub fn house(name: &'static str) -> Booking {
        Booking {
            set: json!({ "bid": { "kind": "free" }, "tier": { "kind": "house" } }),
            ..Booking::cpm(name, 1)
        }
    }
    pub fn account(mut self, more: Value) -> Booking {
        merge(&mut self.account, more);
        self
    }
    pub fn prepaid(mut self, deposit_micros: i64) -> Booking {
        self.deposit_micros = deposit_micros;
        self.account(json!({ "funding": { "kind": "prepaid" } }))
    }
    pub fn campaign(mut self, more: Value) -> Booking {
        merge(&mut self.campaign, more);
        self
    }
    pub fn set(mut self, more: Value) -> Booking {
        merge(&mut self.set, more);
        self
    }
    pub fn ad(mut self, more: Value) -> Booking {
        merge(&mut self.ad, more);
        self
    }
    pub fn targeting(self, clauses: Value) -> Booking {
        self.set(json!({ "targeting": clauses }))
    }
}

/// Puts the fields of `more` over those of `base`.
pub fn merge(base: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("an object") };
    for (key, value) in more {
        base[key] = value;
    }
}
fn with(mut base: Value, more: &Value) -> Value {
    merge(&mut base, more.clone());
    base
}

impl Scene {
    pub fn start() -> Scene {
        Scene::with(|_| {})
    }
    pub fn with(change: impl FnOnce(&mut Config)) -> Scene {
        let harness = Harness::with(|config| {
            config.traffic_flush_ms = 200;
            change(config);
        });
        let owner = harness.owner();
        let (site, placement) = open_publisher(&owner);
        // A floor: whoever is alone pays it, as a second price, and not nothing.
        let floor =
            json!({ "floors": [{ "tier": "auction", "currency": "EUR", "micros_per_mille": FLOOR }] });
        let spec = with(crate::common::placement(&site, "front-top"), &floor);
        owner.put(&format!("/v1/placements/{placement}"), spec).expect(200);
        let scene = Scene { harness, owner, site, placement };
        scene.settle();
        scene
    }
    /// Books and approves; it is in force when this returns.
    pub fn book(&self, booking: &Booking) -> Shop {
        let shop = self.book_unapproved(booking);
        self.owner.post("/v1/reviews", json!({ "ads": [shop.ad], "verdict": "approved" })).expect(200);
        self.settle();
        shop
    }
    pub fn book_unapproved(&self, booking: &Booking) -> Shop {
        let owner = &self.owner;
        let advertiser = create(owner, "/v1/advertisers", with(advertiser(booking.name), &booking.account));
        if booking.deposit_micros > 0 {
            let path = format!("/v1/advertisers/{advertiser}/deposits");
            owner.post(&path, json!({ "amount_micros": booking.deposit_micros })).expect(201);
        }
        let its = with(party(booking.name), &json!({ "advertiser": advertiser }));
        let party = create(owner, "/v1/parties", its);
        let plain = with(campaign(&advertiser, &party), &json!({ "objective": "impressions" }));
        let campaign = create(owner, "/v1/campaigns", with(plain, &booking.campaign));
        let ad_set = create(owner, "/v1/ad-sets", with(ad_set(&campaign), &booking.set));
        let ad = create(owner, "/v1/ads", with(ad(&ad_set), &booking.ad));
        let version = create(owner, "/v1/versions", html_version(&ad, booking.name));
        Shop { advertiser, party, campaign, ad_set, ad, version }
    }
    /// Waits until decisions see everything booked so far, and budgets are read.
    pub fn settle(&self) {
        let platform = &self.harness.app.platform;
        // A change of the publisher's settings that changes nothing else: the last of all changes so far.
        let spec = self.owner.get("/v1/publisher").json()["spec"].clone();
        let position = self.owner.put("/v1/publisher", spec).expect(200).json()["position"].as_u64().unwrap();
        self.harness
            .wait_for("the catalogue in force", || platform.current_view().snapshot.position() >= position);
        // An ad is shown only once its facts are in the record's log.
        while self.harness.app.publication.step().unwrap() {}
        platform.refresh_whole_gate();
    }
    /// A request for the placement, with more fields.
    pub fn request(&self, more: Value) -> Value {
        with(json!({ "site": self.site, "placements": [{ "name": "front-top" }] }), &more)
    }
    pub fn ask_as(&self, client: &Client, more: Value) -> Value {
        client.post("/v1/decisions", self.request(more)).expect(200).json()["decisions"][0].clone()
    }
    pub fn ask(&self, more: Value) -> Value {
        self.ask_as(&self.harness.anonymous(), more)
    }
    /// Which ad set a request is shown.
    pub fn shown(&self, more: Value) -> Option<String> {
        self.ask(more)["ad"]["ad_set"].as_str().map(str::to_owned)
    }
    /// A ticket for a plain request.
    #[track_caller]
    pub fn ticket(&self) -> String {
        let slot = self.ask(json!({}));
        slot["ad"]["ticket"].as_str().unwrap_or_else(|| panic!("no ad: {slot}")).to_owned()
    }
    pub fn open(&self, sealed: &str) -> Ticket {
        Ticket::open(sealed, self.harness.app.platform.keys()).unwrap()
    }
    /// Seals a ticket of our own making with the server's key.
    pub fn seal(&self, ticket: &Ticket) -> String {
        ticket.seal(self.harness.app.platform.keys().last().unwrap())
    }
    /// Reports events of tickets.
    pub fn report(&self, events: &[(&str, &str)]) -> Reply {
        let events: Vec<Value> =
            events.iter().map(|(kind, ticket)| json!({ "kind": kind, "ticket": ticket })).collect();
        self.harness.anonymous().post("/v1/events", json!({ "events": events }))
    }
    /// Follows a click; where it leads.
    #[track_caller]
    pub fn click(&self, ticket: &str) -> url::Url {
        let reply = self.harness.anonymous().get(&format!("/v1/click/{ticket}")).expect(302);
        url::Url::parse(reply.header("location")).unwrap()
    }
    /// The signed click id of a click just made.
    #[track_caller]
    pub fn click_id(&self, ticket: &str) -> String {
        let pairs: Vec<_> = self.click(ticket).query_pairs().into_owned().collect();
        pairs.iter().find(|(name, _)| name == "regie_click").unwrap().1.clone()
    }
    pub fn figures(&self, query: &str) -> Value {
        self.owner.get(&format!("/v1/reports?from=2020-01-01&{query}")).expect(200).json()
    }
    /// The figures of one ad set; null without a row.
    pub fn of(&self, ad_set: &str) -> Value {
        self.figures(&format!("by=ad_set&ad_set={ad_set}"))["rows"][0].clone()
    }
    /// How many events of a kind were refused for a reason.
    pub fn refused(&self, kind: &str, reason: &str) -> u64 {
        let report = self.figures("by=campaign");
        let rows = report["refused"].as_array().unwrap();
        rows.iter()
            .filter(|r| r["kind"] == kind && r["reason"] == reason)
            .map(|r| r["count"].as_u64().unwrap())
            .sum()
    }
    pub fn deposit(&self, advertiser: &str, micros: i64) {
        let path = format!("/v1/advertisers/{advertiser}/deposits");
        self.owner.post(&path, json!({ "amount_micros": micros })).expect(201);
    }
    pub fn decider(&self) -> Client {
        self.harness.token(&[Scope::Decide], None)
    }
    /// How long until `seen`; fails after `ms`.
    #[track_caller]
    pub fn within(&self, ms: u64, what: &str, mut seen: impl FnMut() -> bool) {
        let start = Instant::now();
        while !seen() {
            assert!(start.elapsed() < Duration::from_millis(ms), "{what} took more than {ms} ms");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The stable code of a refusal, which must be problem details.
#[track_caller]
pub fn problem(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.text());
    let json = reply.json();
    assert_eq!(json["status"], status);
    for field in ["type", "title", "code"] {
        assert!(json[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {json}");
    }
    json["code"].as_str().unwrap().to_owned()
}

/// The folder of other people's data, if there is one.
pub fn test_data(test: &str) -> Option<std::path::PathBuf> {
    let found = std::env::var_os("REGIE_TEST_DATA").map(std::path::PathBuf::from);
    if found.is_none() {
        println!("SKIP {test}: REGIE_TEST_DATA is unset");
    }
    found
}
