//! What people, pages and programs send, and what an operator writes: JSON, markup, pictures, configuration, logs.

use crate::{
    KEY,
    world::{NOW, SNAPSHOT, WORLD, plan},
};
use regie::{
    cli::replay::log,
    config::Config,
    http::{booking::parse, decisions::DecisionInput, events::Beacon, facts},
    platform::intake::Kind,
    uploads::image_type,
};
use regie_decide::{FrequencyView, OpenGate, PageFacts, Request, Snapshot, Tables};
use regie_model::{
    Faults,
    booking::{AdSetSpec, AdSpec, CampaignSpec, PartySpec, PlacementSpec, PublisherSpec, VersionSpec},
    command::Command,
    creative::{Creative, Size},
    limits::{URL_BYTES_MAX, VALUE_BYTES_MAX},
    targeting::{Targeting, glob_matches},
    ticket::{DeviceClass, Ticket},
};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, Ipv4Addr};

/// Commands of one input.
const COMMANDS_COUNT_MAX: usize = 8;

/// A request for ads, from the page or as it was kept: normalised once and for all, and decided.
pub fn decision_request(bytes: &[u8]) {
    let asked = serde_json::from_slice::<DecisionInput>(bytes).ok().map(request);
    let kept = serde_json::from_slice::<Request>(bytes).ok();
    for mut request in [asked, kept].into_iter().flatten() {
        request.normalise();
        let once = request.clone();
        request.normalise();
        assert_eq!(request, once, "a request is normalised in one step");
        assert!(request.page.url.len() <= URL_BYTES_MAX);
        assert!(request.page.keywords.iter().all(|k| k.len() <= VALUE_BYTES_MAX));
        decide(&SNAPSHOT, &request);
    }
}
fn request(input: DecisionInput) -> Request {
    let given = input.visitor.unwrap_or_default();
    let (device, machine) = facts::machine_of(given.user_agent.as_deref().unwrap_or(""));
    let named = given.device.as_deref().and_then(DeviceClass::from_word);
    Request {
        page: PageFacts {
            url: input.page.url,
            language: input.page.language,
            keywords: input.page.keywords,
            topics: input.page.topics,
            key_values: input.page.key_values.0,
        },
        device: named.unwrap_or(device),
        location: given.location,
        machine,
        segments: input.segments,
        consents: input.consents,
        frequency: FrequencyView { page_view: input.frequency.page_view, ..FrequencyView::default() },
        ..Request::bare(NOW, 1, input.site, SNAPSHOT_PLACES.to_vec())
    }
}
const SNAPSHOT_PLACES: [regie_model::PlacementId; 1] = [crate::TICKET.placement];

fn decide(snapshot: &Snapshot, request: &Request) {
    let tables = Tables::default();
    let decision = regie_decide::decide(snapshot, &tables, request, &OpenGate, &mut |_, _| {});
    let again = regie_decide::decide(snapshot, &tables, request, &OpenGate, &mut |_, _| {});
    assert_eq!(decision, again, "the same inputs, the same decision (law D1)");
}

/// A beacon.
pub fn beacon(bytes: &[u8]) {
    let Ok(beacon) = serde_json::from_slice::<Beacon<'_>>(bytes) else { return };
    for event in beacon.events {
        let _ = (Kind::from_word(&event.kind), Ticket::open(&event.ticket, &[KEY]));
    }
}

/// Booking commands, one a line: each is refused in words, or journalled and folded; then a request is decided.
pub fn command(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').take(COMMANDS_COUNT_MAX);
    let commands: Vec<Command> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if commands.is_empty() {
        return;
    }
    let mut world = WORLD.clone();
    for command in commands {
        let text = serde_json::to_string(&command).expect("a command is written");
        let again: Command = serde_json::from_str(&text).expect("and read back");
        assert_eq!(again, command);
        match plan(&world.catalogue, command) {
            Ok(planned) => planned.changes.into_iter().for_each(|change| world.apply(change)),
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
    let snapshot = Snapshot::build(&world.catalogue, 2);
    decide(&snapshot, &Request::bare(NOW, 1, crate::TICKET.site, SNAPSHOT_PLACES.to_vec()));
}

/// A body of the booking API, read as each of what can be booked: a value, or faults by field.
pub fn booking_body(bytes: &[u8]) {
    fn read<T: DeserializeOwned>(bytes: &[u8]) {
        if let Err(problem) = parse::whole::<T>(bytes) {
            assert!((400..500).contains(&problem.status), "{problem:?}");
        }
    }
    read::<PublisherSpec>(bytes);
    read::<PlacementSpec>(bytes);
    read::<PartySpec>(bytes);
    read::<CampaignSpec>(bytes);
    read::<AdSetSpec>(bytes);
    read::<AdSpec>(bytes);
    read::<VersionSpec>(bytes);
}

/// Targeting: what passes its check passes it again, unchanged.
pub fn targeting(bytes: &[u8]) {
    let Ok(mut targeting) = serde_json::from_slice::<Targeting>(bytes) else { return };
    let mut faults = Faults::new();
    targeting.check("targeting", &mut faults);
    for clause in &targeting.clauses {
        let _ = clause.hours();
        clause.values.iter().for_each(|value| {
            let _ = glob_matches(value, "https://gazette.example/sport/cycling?page=2");
        });
    }
    if faults.is_empty() {
        let once = targeting.clone();
        targeting.check("targeting", &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(targeting, once, "targeting is normalised in one step");
    }
}

/// A creative as JSON, and any text as the markup of one.
pub fn creative(bytes: &[u8]) {
    let markup = String::from_utf8_lossy(bytes).into_owned();
    let html = Creative::Html { markup, size: Size { width: 300, height: 250 } };
    for creative in serde_json::from_slice(bytes).ok().into_iter().chain([html]) {
        creative.check("creative", &["https://cdn.example".to_owned()], &mut Faults::new());
        let again: Creative = serde_json::from_slice(&creative.to_bytes()).expect("what was written is read");
        assert_eq!(again, creative);
    }
}

/// An uploaded picture.
pub fn image(bytes: &[u8]) {
    if let Some(found) = image_type(bytes) {
        assert!(found.size.width > 0 && found.size.height > 0);
        assert!(found.media_type.starts_with("image/"));
    }
}

/// The configuration file.
pub fn configuration(bytes: &[u8]) {
    let Ok(table) = String::from_utf8_lossy(bytes).parse::<toml::Table>() else { return };
    match Config::of(table) {
        Ok(config) => drop(config.is_trusted_proxy(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
}

/// A log of the Open Bandit data set.
pub fn open_bandit(bytes: &[u8]) {
    if let Ok(rows) = log::read_from(bytes) {
        assert!(!rows.is_empty());
    }
}
