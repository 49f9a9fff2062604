//! What happens in a run: bookings, then steps drawn from the seed.

use crate::world::{End, Violation, World};
use regie::platform::intake::Kind;
use regie_journal::simdisk::{SimDisk, SimFaults};
use regie_model::event::ConversionSource;
use serde_json::{Value, json};

/// One run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    pub seed: u64,
    pub steps: u64,
    /// The power goes once, at this operation of the disk.
    pub crash_at_op: Option<u64>,
    /// The power goes about every so many operations.
    pub crash_every: Option<u64>,
    /// The record's log goes along, and its laws are checked.
    pub record: bool,
}

/// Plays a run to its end.
pub fn run(run: Run) -> Result<End, Violation> {
    let disk = SimDisk::new(run.seed);
    disk.set_faults(SimFaults { crash_at_op: run.crash_at_op, ..SimFaults::default() });
    let mut world = loop {
        match World::start_with(run.seed, disk.clone()) {
            Ok(world) => break world,
            Err(_) if disk.crashed() => disk.restart(),
            Err(violation) => return Err(violation),
        }
    };
    if run.record {
        world.keep_a_record()?;
    }
    book(&mut world)?;
    for _ in 0..run.steps {
        if let (Some(every), false) = (run.crash_every, world.disk.crashed())
            && world.dice.roll(20) == 0
        {
            let op = world.disk.op_count() + 1 + world.dice.roll(every);
            world.disk.set_faults(SimFaults { crash_at_op: Some(op), ..SimFaults::default() });
        }
        step(&mut world)?;
        if world.disk.crashed() || !world.platform.is_journal_up() {
            recover(&mut world)?;
        }
        world.check()?;
    }
    world.disk.set_faults(SimFaults::default());
    world.finish()
}

/// Starts anew after a crash, which may crash again while it recovers.
fn recover(world: &mut World) -> Result<(), Violation> {
    for _ in 0..20 {
        match world.restart(true) {
            Ok(()) => {
                // What was being booked when the power went may be missing.
                return book(world);
            }
            Err(_) if world.disk.crashed() => continue,
            Err(violation) => return Err(violation),
        }
    }
    Err("the world does not recover".into())
}

fn step(world: &mut World) -> Result<(), Violation> {
    match world.dice.roll(22) {
        0..=5 => drop(world.decide_some(4)),
        6..=9 => beacon(world, Kind::Impression),
        10 => beacon(world, Kind::Viewable),
        11..=12 => click(world),
        13 => convert(world),
        14 => forge(world)?,
        15 => {
            let jump = world.dice.roll(5) as usize;
            world.advance([500, 20_000, 400_000, 3_700_000, 30_000_000][jump]);
        }
        16 => {
            let back = world.dice.roll(7_200_000) as i64;
            world.advance(-back);
        }
        17 => edit(world)?,
        18 => world.platform.tick(),
        19 => {
            world.platform.flush_traffic();
            world.platform.flush(world.dice.roll(2) == 0).map_err(|e| e.to_string())?;
        }
        20 => world
            .restart(false)
            .or_else(|violation| if world.disk.crashed() { Ok(()) } else { Err(violation) })?,
        _ => world.commit()?,
    }
    if world.dice.roll(2) == 0 { world.commit_then_publish() } else { Ok(()) }
}

/// Some held ticket: mostly a recent one, sometimes an old one (late, or a duplicate).
fn some_ticket(world: &mut World) -> Option<crate::world::Held> {
    let count = world.held.len() as u64;
    if count == 0 {
        return None;
    }
    let back = if world.dice.roll(4) == 0 { world.dice.roll(count) } else { world.dice.roll(count.min(8)) };
    world.held.get((count - 1 - back) as usize).cloned()
}
fn submit(world: &World, event: regie_model::event::Event) {
    let _ = world.platform.submit(&[event], Box::new(|_| {}));
}
fn beacon(world: &mut World, kind: Kind) {
    let Some(held) = some_ticket(world) else { return };
    if let Ok(event) = world.platform.beacon(kind, &held.sealed) {
        for _ in 0..1 + world.dice.roll(2) {
            submit(world, event.clone());
        }
    }
}
fn click(world: &mut World) {
    let Some(held) = some_ticket(world) else { return };
    let now = world.platform.now();
    world.clicks.push(world.platform.click_id(&held.ticket, now));
    beacon(world, Kind::Click);
    submit(world, regie_model::event::Event::Click(held.ticket));
}
fn convert(world: &mut World) {
    let count = world.clicks.len() as u64;
    if count == 0 {
        return;
    }
    let id = world.clicks[world.dice.roll(count) as usize].clone();
    let order = format!("order {}", world.dice.roll(3));
    let source = if world.dice.roll(2) == 0 { ConversionSource::Server } else { ConversionSource::Pixel };
    if let Ok(event) = world.platform.conversion(&[&id], None, "order", &order, 1_000_000, source) {
        submit(world, event);
    }
}
/// A ticket with one character changed must be refused.
fn forge(world: &mut World) -> Result<(), Violation> {
    let Some(held) = some_ticket(world) else { return Ok(()) };
    let mut bytes = held.sealed.into_bytes();
    let at = 20 + world.dice.roll(bytes.len() as u64 - 40) as usize;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    match world.platform.beacon(Kind::Impression, &text) {
        Ok(_) => Err("a forged ticket was accepted".into()),
        Err(_) => Ok(()),
    }
}
/// Budgets go up and down, also below what is spent; ad sets are paused; everything is stopped for a while.
fn edit(world: &mut World) -> Result<(), Violation> {
    let set = 1 + world.dice.roll(6);
    let command = match world.dice.roll(4) {
        0 => json!({ "command": "set_stop", "what": { "kind": "all_paid" }, "on": world.dice.roll(2) == 0 }),
        1 => {
            json!({ "command": "set_status", "entity": { "kind": "ad_set", "id": format!("set_{set}") }, "status": if world.dice.roll(3) == 0 { "paused" } else { "active" } })
        }
        2 => {
            json!({ "command": "deposit", "advertiser": "adv_1", "amount_micros": 1 + world.dice.roll(2_000) })
        }
        _ => {
            let budget = 1_000 + world.dice.roll(30_000);
            let mut spec = campaign(1, "adv_1", "party_1");
            spec["daily_budget_micros"] = json!(budget);
            spec["lifetime_budget_micros"] = json!(budget * 3);
            json!({ "command": "put_campaign", "id": "cam_1", "spec": spec })
        }
    };
    world.command(vec![command]).map(drop)
}

/// An ad set is paused and goes on: two versions of its ad's facts.
pub fn pause_and_resume(world: &mut World) -> Result<(), Violation> {
    for status in ["paused", "active"] {
        let entity = json!({ "kind": "ad_set", "id": "set_6" });
        world.command(vec![json!({ "command": "set_status", "entity": entity, "status": status })])?;
        world.advance(500);
    }
    Ok(())
}

fn campaign(number: u32, advertiser: &str, party: &str) -> Value {
    json!({
        "advertiser": advertiser, "name": format!("Campaign {number}"), "objective": "clicks",
        "flight": { "starts_at": "2026-10-01T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z" },
        "sponsor": party, "payer": party,
    })
}

/// Books the scenario; what is booked already is booked again, as a new revision.
pub fn book(world: &mut World) -> Result<(), Violation> {
    for list in bookings() {
        let wanted = list.len();
        if world.command(list)?.len() != wanted {
            return recover_booking(world);
        }
    }
    world.placements = (1..=3).map(regie_model::PlacementId).collect();
    Ok(())
}
fn recover_booking(world: &mut World) -> Result<(), Violation> {
    if world.disk.crashed() || !world.platform.is_journal_up() {
        recover(world)
    } else {
        Err("bookings were lost".into())
    }
}

fn bookings() -> Vec<Vec<Value>> {
    let banner = json!({ "kind": "banner", "sizes": [{ "width": 300, "height": 250 }] });
    let rates = json!([{ "currency": "USD", "rate_nanos": 920_000_000, "quoted_on": "2026-10-01" }]);
    let publisher = json!({ "name": "Sim", "auction_currency": "EUR", "zone": "Europe/Paris", "rates": rates, "sample_ppm": 300_000 });
    let mut lists = vec![
        vec![json!({ "command": "put_publisher", "spec": publisher })],
        vec![
            json!({ "command": "put_site", "id": "site_1", "spec": { "name": "Sim", "origins": ["https://sim.example"] } }),
        ],
    ];
    lists.push((1..=3).map(|n| json!({ "command": "put_placement", "id": format!("plc_{n}"), "spec": { "site": "site_1", "name": format!("place-{n}"), "format": banner } })).collect());
    lists.push(vec![
        json!({ "command": "put_advertiser", "id": "adv_1", "spec": { "name": "Paris", "currency": "EUR", "zone": "Europe/Paris", "funding": { "kind": "prepaid" }, "categories": ["boats"], "pixel_conversions": { "daily_count_max": 2 } } }),
        json!({ "command": "put_advertiser", "id": "adv_2", "spec": { "name": "York", "currency": "USD", "zone": "America/New_York", "funding": { "kind": "credit", "limit_micros": 60_000 }, "categories": ["hats"] } }),
        json!({ "command": "put_party", "id": "party_1", "spec": { "kind": "organisation", "identity": { "name": "Sim" }, "established_in": "FR" } }),
    ]);
    lists.push(vec![json!({ "command": "deposit", "advertiser": "adv_1", "amount_micros": 40_000 })]);
    let mut first = campaign(1, "adv_1", "party_1");
    first["daily_budget_micros"] = json!(12_000);
    lists.push(vec![
        json!({ "command": "put_campaign", "id": "cam_1", "spec": first }),
        json!({ "command": "put_campaign", "id": "cam_2", "spec": campaign(2, "adv_2", "party_1") }),
        json!({ "command": "put_campaign", "id": "cam_3", "spec": campaign(3, "adv_1", "party_1") }),
    ]);
    let sets = [
        ("cam_1", json!({ "kind": "cpm", "micros_per_mille": 3_000_000 }), json!({ "kind": "auction" })),
        ("cam_1", json!({ "kind": "cpc", "micros_per_click": 4_000 }), json!({ "kind": "auction" })),
        ("cam_2", json!({ "kind": "cpm", "micros_per_mille": 2_500_000 }), json!({ "kind": "auction" })),
        (
            "cam_2",
            json!({ "kind": "cpa", "micros_per_conversion": 9_000, "action": "order" }),
            json!({ "kind": "sponsorship", "share_ppm": 200_000 }),
        ),
        (
            "cam_1",
            json!({ "kind": "flat_fee", "total_micros": 5_000 }),
            json!({ "kind": "guaranteed", "impressions_count": 60 }),
        ),
        ("cam_3", json!({ "kind": "free" }), json!({ "kind": "house" })),
    ];
    lists.push(sets.iter().enumerate().map(|(n, (campaign, bid, tier))| {
        json!({ "command": "put_ad_set", "id": format!("set_{}", n + 1), "spec": { "campaign": campaign, "name": format!("Set {}", n + 1), "bid": bid, "tier": tier, "pacing": if n % 2 == 0 { "asap" } else { "even" } } })
    }).collect());
    lists.push((1..=6).map(|n| json!({ "command": "put_ad", "id": format!("ad_{n}"), "spec": { "ad_set": format!("set_{n}"), "name": "Ad", "landing_url": "https://shop.example/" } })).collect());
    let creative = |n: u32| json!({ "kind": "html", "markup": format!("<a href=\"{{CLICK_URL}}\">{n}</a>"), "size": { "width": 300, "height": 250 } });
    lists.push((1..=6u32).map(|n| json!({ "command": "put_version", "id": format!("ver_{n}"), "spec": { "ad": format!("ad_{n}"), "creative": creative(n) } })).collect());
    lists.push(vec![json!({ "command": "review", "ads": (1..=6).map(|n| format!("ad_{n}")).collect::<Vec<_>>(), "verdict": "approved" })]);
    lists
}

/// The daily budget of the standard simulation, in micros: spent about half-way through it.
pub const SPEND_OUT_MICROS: i64 = 8_000_000;

/// The standard simulation of a budget's end: steady traffic, beacons a few seconds late, some lost, a crash midway.
pub fn spend_out(seed: u64) -> Result<End, Violation> {
    let mut world = World::start(seed)?;
    book(&mut world)?;
    world
        .command(vec![json!({ "command": "deposit", "advertiser": "adv_1", "amount_micros": 30_000_000 })])?;
    let mut spec = campaign(1, "adv_1", "party_1");
    spec["daily_budget_micros"] = json!(SPEND_OUT_MICROS);
    world.command(vec![json!({ "command": "put_campaign", "id": "cam_1", "spec": spec })])?;
    let mut under_way: std::collections::VecDeque<(i64, crate::world::Held)> = Default::default();
    for second in 0..900 {
        let before = world.held.len();
        world.decide_some(10);
        let due_from = world.now();
        let fresh: Vec<_> = world.held.drain(before..).collect();
        for held in fresh {
            let delay = 500 + world.dice.roll(6_000) as i64;
            if world.dice.roll(20) > 0 {
                under_way.push_back((due_from + delay, held));
            }
        }
        world.held.clear();
        world.advance(1_000);
        let now = world.now();
        let (due, later) = under_way.into_iter().partition(|(at, _)| *at <= now);
        under_way = later;
        let due: std::collections::VecDeque<(i64, crate::world::Held)> = due;
        for (_, held) in due {
            if let Ok(event) = world.platform.beacon(Kind::Impression, &held.sealed) {
                submit(&world, event);
            }
        }
        world.commit()?;
        world.platform.tick();
        if second == 450 {
            world.restart(true)?;
        }
    }
    world.check()?;
    let spent = world
        .platform
        .folds()
        .ledger
        .campaign_budget(regie_model::CampaignId(1), regie_model::UtcMs(world.now()));
    let spent = spent.map_or(0, |b| b.gross_today.0);
    if spent < i128::from(SPEND_OUT_MICROS) * 990 {
        return Err(format!("the budget did not end: {spent} nanos of {SPEND_OUT_MICROS} micros"));
    }
    world.finish()
}
