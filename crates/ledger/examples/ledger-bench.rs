//! Folds one million impression events, decoded from their bytes, and says how fast.
//!
//! `cargo run --release -p regie-ledger --example ledger-bench [EVENTS]`. Not part of the crate: it reads a clock.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use regie_ledger::Ledger;
use regie_model::{booking::Bid, event::Event, *};
use std::time::Instant;

const AD_SETS: u32 = 200;
const PLACEMENTS: u32 = 20;

/// Bookings of 200 ad sets in 20 campaigns of 4 accounts, and then `count` impressions at 2,000 a second:
/// every 100th sent twice, prices that vary, three ads an ad set, 20 placements, 4 countries.
fn journal(count: u64) -> Vec<(i64, Vec<u8>)> {
    let mut world = World::new();
    for id in 10..14 {
        world.put_advertiser(AdvertiserId(id), advertiser("Europe/Paris", "EUR", booking::Funding::Prepaid));
        world.deposit(AdvertiserId(id), 1_000_000);
    }
    for id in 100..120 {
        let mut spec = campaign(AdvertiserId(10 + id % 4));
        (spec.lifetime_budget_micros, spec.daily_budget_micros) = (euros(100_000), euros(300));
        world.put_campaign(CampaignId(id), spec);
    }
    for id in 0..AD_SETS {
        let mut spec = ad_set(CampaignId(100 + id % 20), Bid::Cpm { micros_per_mille: 5_000_000 });
        spec.daily_budget_micros = euros(20);
        world.put_ad_set(AdSetId(1_000 + id), spec);
    }
    let mut records: Vec<(i64, Vec<u8>)> =
        world.list.iter().map(|(_, at, event, _)| (at.0, event.encode())).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let (mut last, start) = (Vec::new(), world.now.0);
    for index in 0..count {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = start + (index / 2) as i64;
        if index % 100 == 99 {
            records.push((at, last.clone()));
            continue;
        }
        let draw = (random >> 33) as u32;
        let mut ticket = world.ticket(AdSetId(1_000 + draw % AD_SETS));
        ticket.issued_at = UtcMs(at - i64::from(draw % 30_000));
        ticket.placement = PlacementId(1 + draw / 256 % PLACEMENTS);
        ticket.ad = AdId(ticket.ad_set.0 * 10 + draw / 8_192 % 3);
        ticket.version = VersionId(ticket.ad.0);
        ticket.country = [*b"FR", *b"DE", *b"IT", *b"ES"][(draw / 65_536 % 4) as usize];
        ticket.price_nanos = 1_000_000 + i64::from(draw % 4_000) * 1_000;
        last = Event::Impression(ticket).encode();
        records.push((at, last.clone()));
    }
    records
}

/// Seconds that this thread was on a processor: what remains comparable on a busy machine (Linux).
fn on_cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().unwrap());
    let records = journal(count);
    for run in 1..=3 {
        let (mut ledger, mut rows, mut blocks) = (Ledger::new(), 0, 0);
        let (began, began_cpu) = (Instant::now(), on_cpu_s());
        for (position, (at, bytes)) in (1u64..).zip(&records) {
            let event = Event::decode(bytes).unwrap();
            ledger.apply(position, UtcMs(*at), &event).unwrap();
            if position.is_multiple_of(65_536) {
                rows += ledger.take_rollups().len();
                blocks += ledger.take_charge_blocks().iter().map(|(_, b)| b.len()).sum::<usize>();
            }
        }
        let (folded, folded_cpu) = (began.elapsed().as_secs_f64(), on_cpu_s() - began_cpu);
        let began = Instant::now();
        let bytes = ledger.to_bytes();
        let written = began.elapsed().as_secs_f64();
        let began = Instant::now();
        Ledger::from_bytes(&bytes).unwrap();
        let read = began.elapsed().as_secs_f64();
        println!(
            "run {run}: {:.0} events/s, {:.0} per CPU-second ({} events in {folded:.3} s); checkpoint {} bytes, written in {:.1} ms, \
             read in {:.1} ms; {rows} rows, {blocks} bytes of charge blocks",
            records.len() as f64 / folded,
            records.len() as f64 / folded_cpu,
            records.len(),
            bytes.len(),
            written * 1e3,
            read * 1e3,
        );
    }
}
