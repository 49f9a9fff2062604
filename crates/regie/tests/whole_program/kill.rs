//! `kill -9` under load, twenty times in a row: what was acknowledged is there once, no budget is exceeded, and the record's log,
//! which is published all the while, fits and goes on from what an outsider saw before.

use crate::run::{self, Server};
use regie_journal::{JournalReader, Position};
use regie_ledger::{Ledger, Outcome};
use regie_model::{UtcMs, booking::Scope, event::Event, ticket::TicketId};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const ROUNDS: u64 = 20;
const CLIENTS: usize = 4;
const DAILY_BUDGET_MICROS: i64 = 200_000;

#[test]
fn twenty_kills_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("data");
    run::book(&folder, run::bookings(DAILY_BUDGET_MICROS));
    let operator = run::token(&folder, &[Scope::Operate]);
    let acknowledged: Mutex<Vec<TicketId>> = Mutex::default();
    let mut entries = 0;
    for round in 0..ROUNDS {
        let server = Server::start(&folder);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| client(&server.address, &stop, &acknowledged));
            }
            // The record is written to as well: stops and their end are versions of the ad's facts.
            scope.spawn(|| toggle(&server.address, &operator, &stop));
            std::thread::sleep(Duration::from_millis(150 + round * 37 % 211));
            stop.store(round % 5 == 4, Ordering::SeqCst);
            // From here on the clients find nobody; they stop by themselves.
            let pid = server.child.id().to_string();
            std::process::Command::new("kill").args(["-9", &pid]).status().expect("kills");
        });
        drop(server);
        let check = run::regie(&folder, &["check"]);
        assert!(check.status.success(), "round {round}: {}", String::from_utf8_lossy(&check.stderr));
        let size = outsider(&folder, &dir.path().join("seen"), round);
        assert!(size >= entries, "law R1: round {round} shows {size} entries, {entries} were seen");
        entries = size;
    }
    assert!(entries > 10, "only {entries} entries were published: the rounds test nothing of the record");
    let acknowledged = acknowledged.into_inner().expect("no client panicked");
    assert!(
        acknowledged.len() > 500,
        "only {} impressions were acknowledged: the load tests nothing",
        acknowledged.len()
    );
    compare(&folder, &acknowledged);
}

/// Stops the house ad and lets it go on, until the server is gone.
fn toggle(address: &str, token: &str, stop: &AtomicBool) {
    for round in 0u32.. {
        let body =
            json!({ "what": { "kind": "ad", "id": "ad_3" }, "on": round % 2 == 0, "reason": "checked" });
        let answer = run::call(address, "POST", "/v1/stops", token, &body);
        if stop.load(Ordering::SeqCst) || !matches!(answer, Some((200..=299, _))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What somebody outside finds, who kept the checkpoint of the last round (laws R1 to R4); how many entries there are.
fn outsider(folder: &Path, seen: &Path, round: u64) -> u64 {
    let keys = run::regie(folder, &["record", "keys"]);
    assert!(keys.status.success(), "round {round}: {}", String::from_utf8_lossy(&keys.stderr));
    let key = String::from_utf8_lossy(&keys.stdout).trim().to_owned();
    let (record, seen) = (folder.join("record"), seen.to_string_lossy().into_owned());
    let verify = ["--json", "verify", &record.to_string_lossy(), "--key", &key, "--state", &seen];
    let output = run::regie(folder, &verify);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["verdict"], "consistent, unwitnessed", "round {round}: {told}");
    told["entries"].as_u64().expect("a count")
}

/// Asks for ads and reports each impression twice, until the server is gone.
fn client(address: &str, stop: &AtomicBool, acknowledged: &Mutex<Vec<TicketId>>) {
    let ask = json!({ "requests": vec![json!({ "site": "site_1", "placements": [{ "name": "top" }] }); 16] });
    while !stop.load(Ordering::SeqCst) {
        let Some((200, answer)) = run::call(address, "POST", "/v1/decisions/batch", "", &ask) else { return };
        let ads: Vec<&Value> =
            answer["answers"].as_array().into_iter().flatten().map(|a| &a["decisions"][0]["ad"]).collect();
        let events: Vec<Value> = ads
            .iter()
            .filter_map(|ad| ad["ticket"].as_str())
            .flat_map(|ticket| {
                [
                    json!({ "kind": "impression", "ticket": ticket }),
                    json!({ "kind": "impression", "ticket": ticket }),
                ]
            })
            .collect();
        let sent = events.len() as u64;
        match run::call(address, "POST", "/v1/events", "", &json!({ "events": events })) {
            Some((200, answer)) if answer["accepted_count"] == sent => {
                let ids = ads
                    .iter()
                    .filter_map(|ad| ad["decision"].as_str())
                    .map(|text| text.parse::<TicketId>().expect("an id"));
                acknowledged.lock().expect("no client panicked").extend(ids);
            }
            _ => return,
        }
    }
}

/// Folds the journal anew and compares it with what was acknowledged.
fn compare(folder: &Path, acknowledged: &[TicketId]) {
    let mut ledger = Ledger::new();
    let mut counted: HashMap<TicketId, u32> = HashMap::new();
    let mut reader = JournalReader::open(&folder.join("journal"), Position(0)).expect("a journal");
    while let Some(batch) = reader.next_batch().expect("sound") {
        for record in batch.records() {
            let event = Event::decode(record.payload).expect("an event");
            let outcome =
                ledger.apply(record.position.0, UtcMs(record.at_ms), &event).expect("no law is broken");
            if let (
                Event::Impression(ticket),
                Outcome::Billed { .. } | Outcome::Free { .. } | Outcome::Counted,
            ) = (&event, &outcome)
            {
                *counted.entry(ticket.id).or_default() += 1;
            }
        }
    }
    for id in acknowledged {
        assert_eq!(counted.get(id), Some(&1), "the acknowledged impression {id}");
    }
    assert!(counted.values().all(|count| *count == 1), "an impression was counted twice");
    ledger.verify().expect("no law is broken");
    let now = ledger.at();
    let campaign = ledger.campaign_budget(regie_model::CampaignId(1), now).expect("booked");
    assert!(
        campaign.gross_today.0 <= i128::from(DAILY_BUDGET_MICROS) * 1_000,
        "the daily budget was exceeded: {campaign:?}"
    );
    assert!(campaign.gross.0 > 0, "nothing was billed");
}
