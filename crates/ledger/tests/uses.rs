//! Law B3 by tables: once per ticket and kind, inside its window, and only for tickets that are known.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use regie_ledger::{EventKind, FreeReason, Ledger, Loss, Outcome, Refusal, Unknown};
use regie_model::{
    booking::PixelConversions,
    event::{ConversionSource, Event, PlacementTraffic, RollupKey, Traffic},
    ticket::Ticket,
    *,
};

fn is_billed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Billed { .. })
}

#[test]
fn b3_each_kind_counts_once_per_ticket_however_often_it_is_sent() {
    let mut world = World::new();
    for (id, make, bills) in [
        (CPM, Event::Impression as fn(Ticket) -> Event, true),
        (CPM, Event::Viewable, false),
        (CPM, Event::Click, false),
        (CPC, Event::Impression, false),
        (CPC, Event::Click, true),
    ] {
        let ticket = world.ticket(id);
        let first = world.push(make(ticket));
        assert_eq!(is_billed(first), bills);
        assert!(bills || first == Outcome::Counted);
        for _ in 0..3 {
            world.wait(MINUTE);
            assert_eq!(world.push(make(ticket)), Outcome::Duplicate);
        }
    }
    world.agree();
}

#[test]
fn b3_holds_across_a_checkpoint() {
    let mut world = World::new();
    let ticket = world.ticket(CPM);
    assert!(is_billed(world.push(Event::Impression(ticket))));
    world.ledger = Ledger::from_bytes(&world.ledger.to_bytes()).unwrap();
    assert_eq!(world.push(Event::Impression(ticket)), Outcome::Duplicate);
    world.agree();
}

#[test]
fn b3_windows_close_to_the_millisecond() {
    for (make, window) in
        [(Event::Impression as fn(Ticket) -> Event, HOUR), (Event::Viewable, HOUR), (Event::Click, DAY)]
    {
        let mut world = World::new();
        let (in_time, late) = (world.ticket(CPC), world.ticket(CPC));
        world.wait(window);
        assert!(world.push(make(in_time)).refusal().is_none());
        assert_eq!(world.push(make(in_time)), Outcome::Duplicate);
        world.wait(1);
        assert_eq!(world.push(make(late)), Outcome::Late);
        // Its bit is dropped in time, and then it is late: never billed again.
        assert_eq!(world.push(make(in_time)), Outcome::Late);
        world.agree();
    }
}

#[test]
fn b3_a_ticket_from_the_future_is_never_billed() {
    let mut world = World::new();
    let mut ticket = world.ticket(CPM);
    ticket.issued_at = UtcMs(world.now.0 + regie_ledger::FUTURE_TOLERANCE_MS + 1);
    assert_eq!(world.push(Event::Impression(ticket)), Outcome::Future);
    ticket.issued_at.0 -= 1;
    assert!(is_billed(world.push(Event::Impression(ticket))));
    world.agree();
}

#[test]
fn duplicate_state_is_bounded_and_gone_when_everything_has_expired() {
    let mut world = World::new();
    for _ in 0..600 {
        world.wait(1_000);
        let ticket = world.ticket(CPA);
        world.push(Event::Impression(ticket));
        world.push(Event::Click(ticket));
        world.push(world.conversion(ticket, 1, ConversionSource::Server));
    }
    let (shown, clicked, converted) = world.ledger.uses_held();
    assert!(shown <= 14 && clicked <= 14, "a chunk a minute, and one more per 512: {shown} {clicked}");
    assert_eq!(converted, 600);
    for (ms, left) in [(HOUR + MINUTE, (0, clicked, 600)), (DAY, (0, 0, 600)), (7 * DAY, (0, 0, 0))] {
        world.wait(ms);
        world.impression(HOUSE);
        let (shown, clicked, converted) = world.ledger.uses_held();
        assert_eq!((shown - 1, clicked, converted), left);
    }
    world.agree();
}

#[test]
fn a_viewable_or_click_without_an_impression_counts_and_bills_no_impression() {
    let mut world = World::new();
    let (cpm, cpc) = (world.ticket(CPM), world.ticket(CPC));
    assert_eq!(world.push(Event::Viewable(cpm)), Outcome::Counted);
    assert_eq!(world.push(Event::Click(cpm)), Outcome::Counted);
    assert!(is_billed(world.push(Event::Click(cpc))));
    assert_eq!(world.ledger.ad_set_budget(CPM, world.now).unwrap().gross, Nanos(0));
    let counts = world.ledger.counts(CPM);
    assert_eq!((counts.impressions_count, counts.viewable_count, counts.clicks_count), (0, 1, 1));
    // The beacon was only slow: it comes, and bills.
    assert!(is_billed(world.push(Event::Impression(cpm))));
    world.agree();
}

#[test]
fn unknown_tickets_are_counted_apart() {
    let mut world = World::new();
    let good = world.ticket(CPM);
    type Change = fn(&mut Ticket);
    let cases: [(Change, Unknown); 5] = [
        (|t| t.id.epoch = 9, Unknown::Epoch),
        (|t| t.ad_set = AdSetId(999), Unknown::AdSet),
        (|t| t.campaign = CampaignId(2), Unknown::Contradiction),
        (|t| t.advertiser = TOKYO, Unknown::Contradiction),
        (|t| t.currency = Currency(*b"USD"), Unknown::Contradiction),
    ];
    for (change, unknown) in cases {
        let mut ticket = good;
        change(&mut ticket);
        assert_eq!(world.push(Event::Impression(ticket)), Outcome::Unknown(unknown));
    }
    assert!(is_billed(world.push(Event::Impression(good))), "none of them used the ticket up");
    let refusals = world.ledger.take_refusals();
    let found: Vec<_> = refusals.iter().map(|(k, n)| (k.kind, k.reason.clone(), k.placement, *n)).collect();
    assert_eq!(
        found,
        [
            (EventKind::Impression, Refusal::UnknownEpoch, good.placement, 1),
            (EventKind::Impression, Refusal::UnknownAdSet, good.placement, 1),
            (EventKind::Impression, Refusal::Contradiction, good.placement, 3),
        ]
    );
    assert_eq!(world.ledger.take_refusals(), []);
    world.agree();
}

#[test]
fn conversions_count_once_per_ticket_action_and_order_and_bill_the_bids_action() {
    let mut world = World::new();
    let ticket = world.ticket(CPA);
    let server = ConversionSource::Server;
    assert_eq!(world.push(world.conversion(ticket, 1, server)).billed_nanos(), Nanos(5_000_000_000));
    assert_eq!(world.push(world.conversion(ticket, 1, server)), Outcome::Duplicate);
    assert!(is_billed(world.push(world.conversion(ticket, 2, server))));
    let mut other = world.conversion(ticket, 1, server);
    if let Event::Conversion(c) = &mut other {
        c.action = "signup".into();
    }
    assert_eq!(world.push(other.clone()), Outcome::Counted);
    assert_eq!(world.push(other), Outcome::Duplicate);
    // Of another billing: counted.
    let cpc = world.ticket(CPC);
    assert_eq!(world.push(world.conversion(cpc, 1, server)), Outcome::Counted);
    // At most sixteen of one click.
    let many = (3..=20).map(|order| world.conversion(ticket, order, server)).collect::<Vec<_>>();
    let outcomes: Vec<_> = many.into_iter().map(|event| world.push(event)).collect();
    assert_eq!(outcomes.iter().filter(|o| is_billed(**o)).count(), 13);
    assert!(outcomes[13..].iter().all(|o| *o == Outcome::TooManyConversions));
    world.agree();
}

#[test]
fn conversions_count_for_seven_days_after_a_click_that_was_in_time() {
    let mut world = World::new();
    let issued = world.now;
    let server = ConversionSource::Server;
    let make = |world: &mut World, clicked_after: i64| {
        let mut ticket = world.ticket(CPA);
        ticket.issued_at = issued;
        let mut event = world.conversion(ticket, 1, server);
        if let Event::Conversion(c) = &mut event {
            c.clicked_at = UtcMs(issued.0 + clicked_after);
        }
        event
    };
    let early = make(&mut world, DAY);
    assert_eq!(world.push(early), Outcome::Future, "a click later than the present");
    let (last, after) = (make(&mut world, DAY), make(&mut world, DAY + 1));
    let before = make(&mut world, -MINUTE - 1);
    world.wait(DAY + 7 * DAY);
    assert!(is_billed(world.push(last.clone())));
    assert_eq!(world.push(last.clone()), Outcome::Duplicate);
    assert_eq!(world.push(after), Outcome::Late, "the click itself was late");
    assert_eq!(world.push(before), Outcome::Late);
    world.wait(1);
    assert_eq!(world.push(last), Outcome::Late);
    world.agree();
}

#[test]
fn pixel_conversions_bill_only_where_accepted_and_within_the_days_cap() {
    let mut world = World::new();
    let pixel = ConversionSource::Pixel;
    let convert = |world: &mut World| {
        let ticket = world.ticket(CPA);
        world.push(world.conversion(ticket, 1, pixel))
    };
    let reason = |outcome| match outcome {
        Outcome::Free { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(reason(convert(&mut world)), Some(FreeReason::PixelNotAccepted));
    world.edit_advertiser(PARIS, |a| a.pixel_conversions = Some(PixelConversions { daily_count_max: 2 }));
    assert!(is_billed(convert(&mut world)));
    assert!(is_billed(convert(&mut world)));
    assert_eq!(reason(convert(&mut world)), Some(FreeReason::PixelCap));
    let ticket = world.ticket(CPA);
    assert!(is_billed(world.push(world.conversion(ticket, 1, ConversionSource::Server))));
    world.wait(DAY);
    assert!(is_billed(convert(&mut world)));
    world.agree();
}

#[test]
fn an_old_epoch_is_known_while_its_tickets_live() {
    let mut world = World::new();
    let ticket = world.ticket(CPC);
    world.push(Event::EpochOpened { epoch: 2 });
    assert_eq!(world.push(Event::Impression(ticket)), Outcome::Counted);
    world.wait(DAY);
    world.push(Event::EpochOpened { epoch: 7 });
    assert!(is_billed(world.push(Event::Click(ticket))));
    world.wait(regie_ledger::EPOCH_KEPT_MS);
    let mut fresh = world.ticket(CPC);
    assert_eq!(world.push(Event::Click(fresh)), Outcome::Unknown(Unknown::Epoch));
    fresh.id.epoch = 7;
    assert!(is_billed(world.push(Event::Click(fresh))));
    world.agree();
}

#[test]
fn rollups_are_differences_that_are_handed_over_once() {
    let mut world = World::new();
    let ticket = world.ticket(CPM);
    world.push(Event::Impression(ticket));
    world.push(Event::Viewable(ticket));
    let rows = world.ledger.take_rollups();
    assert_eq!(rows.len(), 1);
    let ((hour, key), row) = rows[0];
    assert_eq!((hour, key), (world.now.hour(), RollupKey::of(&ticket)));
    assert_eq!((row.impressions_count, row.viewable_count, row.gross_nanos), (1, 1, Nanos(2_000_000)));
    assert_eq!(world.ledger.take_rollups(), []);
    world.push(Event::Impression(ticket));
    assert_eq!(world.ledger.take_rollups(), [], "a duplicate changes no row");
    world.wait(HOUR);
    world.push(Event::Click(ticket));
    assert_eq!(world.ledger.take_rollups()[0].0.0, world.now.hour());
}

#[test]
fn traffic_gives_the_sites_shape_the_reasons_and_the_estimate_of_loss() {
    let mut world = World::new();
    let start = world.now;
    let tickets: Vec<Ticket> = (0..10).map(|_| world.ticket(CPM)).collect();
    let traffic = Traffic {
        minute: start.minute(),
        placements: vec![PlacementTraffic {
            placement: PlacementId(1),
            site: SiteId(1),
            requests_count: 30,
            fills_count: 10,
            no_fills: vec![("no_candidate".into(), 20)],
        }],
        served: vec![(RollupKey::of(&tickets[0]), 10)],
        refused: vec![("forged".into(), 4)],
        eliminated: vec![(CPC, "budget".into(), 6)],
        asked: Vec::new(),
    };
    for ticket in &tickets[..7] {
        world.push(Event::Impression(*ticket));
    }
    world.push(Event::Traffic(Box::new(traffic)));
    assert_eq!(world.ledger.loss(CPM), Loss::default(), "their impressions may still come");
    let hours: Vec<_> = world.ledger.traffic().site_hours(SiteId(1)).collect();
    assert_eq!((hours[0].0, hours[0].1.requests_count, hours[0].1.fills_count), (start.hour(), 30, 10));
    assert_eq!(world.ledger.traffic().no_fills()[&(PlacementId(1), "no_candidate")], 20);
    assert_eq!(world.ledger.traffic().eliminated(CPC)["budget"], 6);
    let refused = &world.ledger.take_refusals()[0];
    assert_eq!((refused.0.reason.word(), refused.1), ("forged", 4));
    world.agree();

    world.wait(HOUR + 2 * MINUTE);
    world.push(Event::Traffic(Box::new(Traffic { minute: world.now.minute(), ..Traffic::default() })));
    let loss = world.ledger.loss(CPM);
    assert_eq!(loss, Loss { served_count: 10, impressions_count: 7 });
    assert_eq!((loss.lost_count(), loss.lost_ppm()), (3, 300_000));
    assert!(world.ledger.traffic().no_fills().is_empty(), "an hour later the reasons are old");
    assert_eq!(world.ledger.totals(AdId(110)).served_count, 10);
    world.agree();
}
