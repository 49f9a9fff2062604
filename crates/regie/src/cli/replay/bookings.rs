//! What a replay books, through the ordinary booking API: one site, three placements (left, centre, right), and one ad
//! set for each item, whose ordinary key-value targeting names item, campaign and position.
//!
//! The ad sets are sponsorships with the whole share of voice, so each pays its own bid: items with an even number by
//! CPM, those with an odd one by CPC.

use super::{client::Client, log::LoggedRow};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// CPM price: EUR 2.00 per thousand, in micros.
const CPM_MICROS_PER_MILLE: i64 = 2_000_000;
/// CPC price: EUR 0.25, in micros.
const CPC_MICROS_PER_CLICK: i64 = 250_000;
/// What one impression costs by CPM, in nanos.
pub const CPM_NANOS: i128 = CPM_MICROS_PER_MILLE as i128;
/// What one click costs by CPC, in nanos.
pub const CPC_NANOS: i128 = CPC_MICROS_PER_CLICK as i128 * 1_000;

/// What an item pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// Impressions.
    Cpm,
    /// Clicks.
    Cpc,
}
impl Pricing {
    /// Of an item.
    pub fn of(item: u32) -> Pricing {
        if item.is_multiple_of(2) { Pricing::Cpm } else { Pricing::Cpc }
    }
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Pricing::Cpm => "CPM",
            Pricing::Cpc => "CPC",
        }
    }
}

/// What was booked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Booked {
    site: String,
    name: String,
    /// Campaign id.
    pub campaign: String,
    /// Placement id by logged position.
    pub placements: BTreeMap<u32, String>,
    /// Ad set id by item.
    pub ad_sets: BTreeMap<u32, String>,
}

impl Booked {
    /// The ad request of a logged row.
    pub fn request(&self, row: &LoggedRow) -> Value {
        let mut pairs = serde_json::Map::new();
        pairs.insert("item".into(), json!([row.item.to_string()]));
        pairs.insert("campaign".into(), json!([self.name]));
        pairs.insert("position".into(), json!([row.position.to_string()]));
        pairs.insert("logged_at".into(), json!([row.timestamp]));
        for (name, value) in &row.features {
            pairs.insert(name.clone(), json!([value]));
        }
        json!({
            "site": self.site,
            "placements": [{ "id": self.placements.get(&row.position) }],
            "page": { "url": "https://replay.example/recommendations", "language": "ja", "key_values": pairs },
        })
    }
}

/// Books everything, unless `note` says that it was booked before.
///
/// # Errors
/// What the booking API answered.
pub fn book(client: &mut Client, note: &Path, name: &str, rows: &[LoggedRow]) -> Result<Booked> {
    if let Ok(text) = std::fs::read_to_string(note) {
        return serde_json::from_str(&text).with_context(|| format!("{} is damaged", note.display()));
    }
    let items: BTreeSet<u32> = rows.iter().map(|r| r.item).collect();
    let positions: BTreeSet<u32> = rows.iter().map(|r| r.position).collect();
    let site = basics(client)?;
    let placements = places(client, &site, &positions)?;
    let campaign = campaign(client, name)?;
    let ad_sets = sets(client, name, &campaign, &items, &positions)?;
    ads(client, &ad_sets)?;
    let booked = Booked { site, name: name.to_owned(), campaign, placements, ad_sets };
    wait_until_served(client, &booked, rows)?;
    std::fs::write(note, serde_json::to_string(&booked)?)?;
    Ok(booked)
}

/// Sends commands; the ids of what they made.
fn commands(client: &mut Client, list: Vec<Value>) -> Result<Vec<String>> {
    let count = list.len();
    let answer = client.post("/v1/commands", &json!({ "commands": list }))?;
    let ids: Vec<String> = answer["accepted"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| r["id"].as_str().map(str::to_owned))
        .collect();
    if ids.len() != count {
        bail!("{count} commands were answered with {} results: {answer}", ids.len());
    }
    Ok(ids)
}
fn only(client: &mut Client, command: Value) -> Result<String> {
    commands(client, vec![command])?.pop().context("no id")
}

fn basics(client: &mut Client) -> Result<String> {
    let publisher = json!({ "name": "Replay", "auction_currency": "EUR", "zone": "UTC" });
    only(client, json!({ "command": "put_publisher", "spec": publisher }))?;
    let site = json!({ "name": "Replay", "origins": ["https://replay.example"] });
    only(client, json!({ "command": "put_site", "spec": site }))
}

fn places(client: &mut Client, site: &str, positions: &BTreeSet<u32>) -> Result<BTreeMap<u32, String>> {
    let list = positions.iter().map(|position| {
        let spec =
            json!({ "site": site, "name": format!("position-{position}"), "format": { "kind": "text" } });
        json!({ "command": "put_placement", "spec": spec })
    });
    let ids = commands(client, list.collect())?;
    Ok(positions.iter().copied().zip(ids).collect())
}

fn campaign(client: &mut Client, name: &str) -> Result<String> {
    let funding = json!({ "kind": "credit", "limit_micros": 1_000_000_000_000i64 });
    let spec = json!({ "name": "Replay", "currency": "EUR", "zone": "UTC", "funding": funding });
    let advertiser = only(client, json!({ "command": "put_advertiser", "spec": spec }))?;
    let identity = json!({ "name": "Replay" });
    let spec = json!({ "kind": "organisation", "identity": identity, "established_in": "JP" });
    let party = only(client, json!({ "command": "put_party", "spec": spec }))?;
    let spec = json!({
        "advertiser": advertiser, "name": format!("Replay of {name}"), "objective": "clicks",
        "flight": { "starts_at": "2020-01-01T00:00:00Z" }, "sponsor": party, "payer": party,
    });
    only(client, json!({ "command": "put_campaign", "spec": spec }))
}

fn sets(
    client: &mut Client,
    name: &str,
    campaign: &str,
    items: &BTreeSet<u32>,
    positions: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, String>> {
    let positions: Vec<String> = positions.iter().map(u32::to_string).collect();
    let list = items.iter().map(|item| {
        let bid = match Pricing::of(*item) {
            Pricing::Cpm => json!({ "kind": "cpm", "micros_per_mille": CPM_MICROS_PER_MILLE }),
            Pricing::Cpc => json!({ "kind": "cpc", "micros_per_click": CPC_MICROS_PER_CLICK }),
        };
        let spec = json!({
            "campaign": campaign, "name": format!("Item {item}"), "bid": bid, "pacing": "asap",
            "tier": { "kind": "sponsorship", "share_ppm": 1_000_000 },
            "targeting": [
                { "dimension": "key:item", "op": "in", "values": [item.to_string()] },
                { "dimension": "key:campaign", "op": "in", "values": [name] },
                { "dimension": "key:position", "op": "in", "values": positions },
            ],
        });
        json!({ "command": "put_ad_set", "spec": spec })
    });
    let ids = commands(client, list.collect())?;
    Ok(items.iter().copied().zip(ids).collect())
}

fn ads(client: &mut Client, ad_sets: &BTreeMap<u32, String>) -> Result<()> {
    let list = ad_sets.iter().map(|(item, ad_set)| {
        let landing = format!("https://replay.example/items/{item}");
        json!({ "command": "put_ad", "spec": { "ad_set": ad_set, "name": format!("Item {item}"), "landing_url": landing } })
    });
    let ads = commands(client, list.collect())?;
    let list = ad_sets.keys().zip(&ads).map(|(item, ad)| {
        let creative = json!({ "kind": "text", "title": format!("Item {item}"), "body": "" });
        json!({ "command": "put_version", "spec": { "ad": ad, "creative": creative } })
    });
    commands(client, list.collect())?;
    only(client, json!({ "command": "review", "ads": ads, "verdict": "approved" }))?;
    Ok(())
}

/// Waits until the server decides on the new bookings.
fn wait_until_served(client: &mut Client, booked: &Booked, rows: &[LoggedRow]) -> Result<()> {
    let row = rows.first().context("the log is empty")?;
    for _ in 0..200 {
        let answer = client.post("/v1/decisions", &booked.request(row))?;
        if answer["decisions"][0]["ad"].is_object() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    bail!("the bookings are not served")
}
