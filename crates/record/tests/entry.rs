//! The entry of an ad: allow-listed keys only (law R4), nothing before the first impression, nothing that is private.

#![allow(clippy::unwrap_used)]

use regie_model::{
    AdId, Currency, Day, Nanos, PersonKeyId, UtcMs,
    booking::*,
    catalogue::Catalogue,
    command::{Change, Verdict},
    creative::Creative,
    personal::Sealed,
};
use regie_record::{ALLOWED_KEYS, Entry, Figures, PublicParty, RunStatus, Sources, entry};
use serde::de::DeserializeOwned;

fn from<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

fn booked(political: bool) -> Catalogue {
    let mut catalogue = Catalogue::new();
    let declaration = serde_json::json!({
        "linked": [{"name": "Municipal election, Example Town", "held_on": "2027-03-14", "official_url": "https://vote.example/"}],
        "other_providers": [{"provider": "Studio Example", "amount_micros": 120_000_000, "currency": "EUR", "in_kind": "free stock pictures"}],
        "origin": {"public": false, "private": true, "inside_union": true, "outside_union": false},
        "ai_used": false, "confirmed": true});
    let party = |key| SealedParty {
        kind: PartyKind::Organisation,
        identity: Sealed { key: PersonKeyId(key), ciphertext_hex: "00".into() },
        established_in: "FR".into(),
        may_sponsor_before_votes: true,
        political_gaps: vec![],
        advertiser: None,
    };
    let creative = Creative::Text { title: "Vote".into(), body: "On Sunday".into() };
    let version =
        VersionSpec { ad: AdId(1), name: "inner name".into(), creative, weight: 1, external_id: None };
    let changes = [
        from(serde_json::json!({"change": "advertiser_put", "id": "adv_1", "spec": {
            "name": "Private account name", "currency": "EUR", "zone": "Europe/Paris", "funding": {"kind": "prepaid"}}})),
        Change::PartyPut { id: regie_model::PartyId(1), spec: party(1) },
        Change::PartyPut { id: regie_model::PartyId(2), spec: party(2) },
        from(serde_json::json!({"change": "campaign_put", "id": "cam_1", "spec": {
            "advertiser": "adv_1", "name": "Private campaign name", "objective": "clicks",
            "flight": {"starts_at": "2026-11-01T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z"},
            "lifetime_budget_micros": 900_000_000, "sponsor": "party_1", "payer": "party_2",
            "political": if political { declaration } else { serde_json::Value::Null }}})),
        from(serde_json::json!({"change": "ad_set_put", "id": "set_1", "spec": {
            "campaign": "cam_1", "name": "Private set name", "bid": {"kind": "cpm", "micros_per_mille": 4_500_000},
            "tier": {"kind": "auction"}, "caps": [{"scope": "ad", "period": "page_view", "impressions_count": 1}],
            "targeting": [{"dimension": "topic", "op": "not_in", "values": ["war"]},
                {"dimension": "hour_of_week", "op": "in", "values": ["mon-fri 8-18"], "zone": "Europe/Paris"}]}})),
        from(serde_json::json!({"change": "ad_put", "id": "ad_1", "spec": {
            "ad_set": "set_1", "name": "Private ad name", "landing_url": "https://party.example/"}})),
        Change::VersionPut { id: regie_model::VersionId(1), record: version.to_record() },
        Change::Reviewed {
            ads: vec![(AdId(1), 1)],
            versions: vec![(regie_model::VersionId(1), version.to_record().creative)],
            verdict: Verdict::Approved,
            reason: String::new(),
        },
    ];
    changes.iter().for_each(|change| catalogue.apply(UtcMs(0), change));
    catalogue
}

fn made(catalogue: &Catalogue, impressions_count: u64) -> Option<Entry> {
    let party = |id: regie_model::PartyId| PublicParty {
        id,
        name: format!("Party {}", id.0),
        email: "office@party.example".into(),
        postal_address: "1 Street".into(),
        controller: "Somebody".into(),
        ..PublicParty::default()
    };
    let creative = |_: &_| Some(Creative::Text { title: "Vote".into(), body: "On Sunday".into() });
    let figures = Figures {
        impressions_count,
        clicks_count: 2,
        gross: Nanos(9_000_000),
        credited: Nanos(4_500_000),
        days: vec![(Day(20_000), 1, Nanos(4_500_000)), (Day(20_001), 1, Nanos(0))],
        ..Figures::default()
    };
    let sources = Sources {
        catalogue,
        now: UtcMs::parse("2026-11-20T00:00:00Z").unwrap(),
        party: &party,
        creative: &creative,
        figures: figures.clone(),
        campaign_figures: figures,
        history: vec![],
    };
    entry(AdId(1), &sources)
}

fn keys_of(value: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| {
            keys.insert(key.clone());
            keys_of(inner, keys);
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|inner| keys_of(inner, keys)),
        _ => {}
    }
}

#[test]
fn r4_an_entry_has_only_allow_listed_keys() {
    let mut keys = std::collections::BTreeSet::new();
    for political in [false, true] {
        let entry = made(&booked(political), 2).unwrap();
        keys_of(&serde_json::to_value(&entry).unwrap(), &mut keys);
    }
    let strangers: Vec<_> = keys.iter().filter(|k| !ALLOWED_KEYS.contains(&k.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?} are not on the allow-list");
}

#[test]
fn an_ad_appears_from_its_first_impression_on() {
    assert!(made(&booked(false), 0).is_none());
    assert!(made(&booked(false), 1).is_some());
}

#[test]
fn names_of_bookings_and_contacts_of_commercial_parties_stay_private() {
    let json = serde_json::to_string(&made(&booked(false), 2).unwrap()).unwrap();
    for private in ["Private", "inner name", "office@party.example", "1 Street", "900000000"] {
        assert!(!json.contains(private), "{private} is in {json}");
    }
    let political = serde_json::to_string(&made(&booked(true), 2).unwrap()).unwrap();
    assert!(political.contains("office@party.example"));
    assert!(!political.contains("Private"));
}

#[test]
fn a_political_ad_has_all_thirteen_notice_items_with_values() {
    let entry = made(&booked(true), 2).unwrap();
    let letters: String = entry.notice.iter().map(|i| i.item.as_str()).collect();
    assert_eq!(letters, "abcdefghijklm");
    for item in &entry.notice {
        assert!(!item.source.is_empty() && !item.values.is_empty(), "{item:?}");
        assert!(item.values.iter().all(|v| !v.value.is_empty()), "{item:?}");
    }
    let values = |letter: &str| -> String {
        let item = entry.notice.iter().find(|i| i.item == letter).unwrap();
        item.values.iter().map(|v| format!("{}={};", v.label, v.value)).collect()
    };
    assert!(values("d").contains("0.0045 EUR"), "{}", values("d"));
    assert!(values("d").contains("120.00 EUR; in kind: free stock pictures"), "{}", values("d"));
    assert!(values("h").contains("https://vote.example/"));
    assert!(values("l").contains("page topic is not war"));
    assert!(values("m").contains("=2;"));
    assert!(made(&booked(false), 2).unwrap().notice.is_empty());
}

#[test]
fn figures_are_exact_and_net() {
    let entry = made(&booked(false), 2).unwrap();
    assert_eq!(entry.figures.spend, "0.0045");
    assert_eq!(entry.figures.spend_nanos, "4500000");
    assert_eq!(entry.figures.currency, Currency::EUR);
    assert_eq!(entry.status, RunStatus::Running);
    assert_eq!((entry.period.first_day, entry.period.last_day), (Some(Day(20_000)), Some(Day(20_001))));
}

#[test]
fn an_entry_reads_back_as_it_was_written() {
    let entry = made(&booked(true), 2).unwrap();
    let json = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
}
