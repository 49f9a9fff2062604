//! `kill -9` under load, twenty times in a row: what was acknowledged is there once, no budget is exceeded.

use crate::run::{self, Server};
use regie_journal::{JournalReader, Position};
use regie_ledger::{Ledger, Outcome};
use regie_model::{UtcMs, event::Event, ticket::TicketId};
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
    let acknowledged: Mutex<Vec<TicketId>> = Mutex::default();
    for round in 0..ROUNDS {
        let server = Server::start(&folder);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| client(&server.address, &stop, &acknowledged));
            }
            std::thread::sleep(Duration::from_millis(150 + round * 37 % 211));
            stop.store(round % 5 == 4, Ordering::SeqCst);
            // From here on the clients find nobody; they stop by themselves.
            let pid = server.child.id().to_string();
            std::process::Command::new("kill").args(["-9", &pid]).status().expect("kills");
        });
        drop(server);
        let check = run::regie(&folder, &["check"]);
        assert!(check.status.success(), "round {round}: {}", String::from_utf8_lossy(&check.stderr));
    }
    let acknowledged = acknowledged.into_inner().expect("no client panicked");
    assert!(
        acknowledged.len() > 500,
        "only {} impressions were acknowledged: the load tests nothing",
        acknowledged.len()
    );
    compare(&folder, &acknowledged);
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
