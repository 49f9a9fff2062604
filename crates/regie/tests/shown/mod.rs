//! A publisher with a funded, approved shop, and visitors who see its ad: what the tests of pages have in common.
#![allow(dead_code)]

use super::common::{self, Client, Harness, Shop, create};
use serde_json::{Value, json};

/// What one impression costs when nobody else bids: the floor of 1.50 EUR for a thousand, in nanos.
pub const FLOOR_NANOS: i64 = 1_500_000;

/// The stage.
pub struct Stage {
    pub harness: Harness,
    pub owner: Client,
    pub site: String,
    pub placement: String,
    pub shop: Shop,
}

impl Stage {
    /// A shop with a CPM of 2 EUR, paid in advance, approved.
    pub fn open() -> Stage {
        let harness = Harness::start();
        let owner = harness.owner();
        let (site, placement) = common::open_publisher(&owner);
        let mut floored = common::placement(&site, "front-top");
        floored["floors"] =
            json!([{ "tier": "auction", "currency": "EUR", "micros_per_mille": FLOOR_NANOS }]);
        owner.put(&format!("/v1/placements/{placement}"), floored).expect(200);
        let shop = common::open_shop(&owner, "Bicycle Shop");
        let stage = Stage { harness, owner, site, placement, shop };
        // Decisions see a booking a moment after it is acknowledged.
        stage.harness.wait_for("the placement", || stage.request().status == 200);
        stage.fund(&stage.shop);
        stage.approve(&stage.shop.ad);
        stage
    }
    /// The same with names of one's own, for tests that read every word of a page.
    pub fn open_named(shop: &str, campaign: &str, set: &str, ad: &str) -> Stage {
        let mut stage = Stage::open();
        let owner = &stage.owner;
        let put = |path: String, change: &dyn Fn(&mut Value)| {
            let mut spec = owner.get(&path).expect(200).json()["spec"].clone();
            change(&mut spec);
            owner.put(&path, spec).expect(200);
        };
        put("/v1/publisher".into(), &|s| s["name"] = "La Gazette".into());
        put(format!("/v1/advertisers/{}", stage.shop.advertiser), &|s| s["name"] = shop.into());
        put(format!("/v1/parties/{}", stage.shop.party), &|s| s["identity"]["name"] = shop.into());
        put(format!("/v1/campaigns/{}", stage.shop.campaign), &|s| s["name"] = campaign.into());
        put(format!("/v1/ad-sets/{}", stage.shop.ad_set), &|s| s["name"] = set.into());
        put(format!("/v1/ads/{}", stage.shop.ad), &|s| s["name"] = ad.into());
        stage.owner = stage.harness.owner();
        stage
    }
    pub fn fund(&self, shop: &Shop) {
        let path = format!("/v1/advertisers/{}/deposits", shop.advertiser);
        let reply = self.owner.post(&path, json!({ "amount_micros": 500_000_000, "reference": "test" }));
        assert!(reply.status < 300, "{}", reply.text());
    }
    pub fn approve(&self, ad: &str) {
        let reply = self.owner.post("/v1/reviews", json!({ "ads": [ad], "verdict": "approved" }));
        assert!(reply.status < 300, "{}", reply.text());
    }
    /// One request for the placement: the ad of the answer.
    pub fn ask(&self) -> Value {
        self.request().expect(200).json()["decisions"][0].clone()
    }
    fn request(&self) -> common::Reply {
        let body = json!({ "site": self.site, "placements": [{ "name": "front-top" }], "page": { "url": "https://gazette.example/" } });
        self.harness.anonymous().post("/v1/decisions", body)
    }
    /// A sealed ticket, once decisions see what was booked.
    pub fn ticket(&self) -> String {
        let mut ticket = String::new();
        self.harness.wait_for("an ad", || {
            ticket = self.ask()["ad"]["ticket"].as_str().unwrap_or_default().to_owned();
            !ticket.is_empty()
        });
        ticket
    }
    /// Reports events of a ticket.
    pub fn report(&self, ticket: &str, kinds: &[&str]) {
        let events: Vec<Value> = kinds.iter().map(|kind| json!({ "kind": kind, "ticket": ticket })).collect();
        self.harness.anonymous().post("/v1/events", json!({ "events": events })).expect(200);
    }
    /// Shows the ad so many times.
    pub fn show(&self, times: usize) {
        for _ in 0..times {
            let ticket = self.ticket();
            self.report(&ticket, &["impression"]);
        }
        // The page reads the folds, which follow the journal a moment later.
        let head = self.harness.app.metrics.head();
        assert!(self.harness.app.platform.wait_applied(head, 5_000));
    }
    /// A political campaign of the shop, with its ad approved: (campaign, ad).
    pub fn political(&self) -> (String, String) {
        let owner = &self.owner;
        let mut campaign = common::campaign(&self.shop.advertiser, &self.shop.party);
        campaign["political"] = common::declaration();
        let campaign = create(owner, "/v1/campaigns", campaign);
        let set = create(owner, "/v1/ad-sets", common::ad_set(&campaign));
        let ad = create(owner, "/v1/ads", common::ad(&set));
        create(owner, "/v1/versions", common::html_version(&ad, "Vote"));
        self.approve(&ad);
        (campaign, ad)
    }
}

impl Stage {
    /// Shows whatever there is in one placement of another site, once.
    pub fn show_on(&self, site: &str, name: &str) {
        let body = json!({ "site": site, "placements": [{ "name": name }], "page": { "url": "https://gazette.example/" } });
        let reply = self.harness.anonymous().post("/v1/decisions", body).expect(200).json();
        if let Some(ticket) = reply["decisions"][0]["ad"]["ticket"].as_str() {
            self.report(ticket, &["impression"]);
            let head = self.harness.app.metrics.head();
            assert!(self.harness.app.platform.wait_applied(head, 5_000));
        }
    }
}
