//! Law B1 by tables: what is charged, to which budget, on which day.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use regie_ledger::{FreeReason, Limit, Outcome};
use regie_model::{
    booking::Funding,
    command::{Change, Stop},
    event::Event,
    *,
};

const PRICE: i128 = 2_000_000;

fn billed(nanos: i128) -> Outcome {
    Outcome::Billed { nanos: Nanos(nanos), free: Nanos(0), limit: None }
}
fn partly(nanos: i128, free: i128, limit: Limit) -> Outcome {
    Outcome::Billed { nanos: Nanos(nanos), free: Nanos(free), limit: Some(limit) }
}
fn free(limit: Limit) -> Outcome {
    Outcome::Free { reason: FreeReason::Budget(limit), would_have_cost: Nanos(PRICE) }
}

#[test]
fn b1_charges_the_price_or_the_smallest_remaining_budget_to_the_nano() {
    // A budget of two and a half impressions, in each place where a budget can stand.
    type Put = fn(&mut World);
    let cases: [(Put, Limit); 5] = [
        (|w| w.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(5_000))), Limit::CampaignLifetime),
        (|w| w.edit_campaign(1, |c| c.daily_budget_micros = Some(Micros(5_000))), Limit::CampaignDaily),
        (|w| w.edit_ad_set(CPM, |s| s.lifetime_budget_micros = Some(Micros(5_000))), Limit::AdSetLifetime),
        (|w| w.edit_ad_set(CPM, |s| s.daily_budget_micros = Some(Micros(5_000))), Limit::AdSetDaily),
        (
            |w| {
                w.deposit(PARIS, -1_000);
                let micros = Micros(5_000);
                let reference = String::new();
                w.push(booked(Change::Deposited { advertiser: PARIS, amount_micros: micros, reference }));
            },
            Limit::Account,
        ),
    ];
    for (put, limit) in cases {
        let mut world = World::new();
        put(&mut world);
        let got: Vec<Outcome> = (0..4).map(|_| world.impression(CPM)).collect();
        assert_eq!(got, [billed(PRICE), billed(PRICE), partly(1_000_000, 1_000_000, limit), free(limit)]);
        assert_eq!(world.ledger.remaining(CPM, world.now).limit, Some(limit));
        assert_eq!(world.ledger.remaining(CPM, world.now).nanos, Some(Nanos::ZERO));
        let ad = world.ledger.totals(AdId(110));
        assert_eq!((ad.impressions_count, ad.gross_nanos.0, ad.free_nanos.0), (4, 5_000_000, 3_000_000));
        world.agree();
    }
}

#[test]
fn b1_of_equal_budgets_the_first_in_order_is_named() {
    let mut world = World::new();
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(1_000)));
    world.edit_ad_set(CPM, |s| s.daily_budget_micros = Some(Micros(1_000)));
    assert_eq!(world.impression(CPM), partly(1_000_000, 1_000_000, Limit::CampaignLifetime));
    world.agree();
}

#[test]
fn b1_the_budget_in_force_is_the_one_at_the_position() {
    let mut world = World::new();
    let ticket = world.ticket(CPM);
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(500)));
    // Decided under no budget, journalled under one of a quarter of the price.
    assert_eq!(world.push(Event::Impression(ticket)), partly(500_000, 1_500_000, Limit::CampaignLifetime));
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(2_500)));
    assert_eq!(world.impression(CPM), billed(PRICE));
    world.agree();
}

#[test]
fn b1_a_budget_set_below_what_is_spent_stops_billing_and_violates_nothing() {
    let mut world = World::new();
    assert_eq!(world.impression(CPM), billed(PRICE));
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(1)));
    assert_eq!(world.ledger.remaining(CPM, world.now).nanos, Some(Nanos::ZERO));
    assert_eq!(world.impression(CPM), free(Limit::CampaignLifetime));
    world.edit_campaign(1, |c| c.lifetime_budget_micros = None);
    assert_eq!(world.impression(CPM), billed(PRICE));
    world.agree();
}

#[test]
fn b1_a_credit_limit_is_a_budget_that_payments_refill() {
    let mut world = World::new();
    let limit_micros = Micros(450_000);
    world.edit_advertiser(TOKYO, |a| a.funding = Funding::Credit { limit_micros });
    // 300 JPY per mille: 0.3 JPY an impression, 300,000,000 nanos.
    assert_eq!(world.impression(YEN), billed(300_000_000));
    assert_eq!(world.impression(YEN), partly(150_000_000, 150_000_000, Limit::Account));
    world.deposit(TOKYO, 1);
    assert_eq!(world.ledger.account(TOKYO).unwrap().remaining, Nanos(1_000_000_000));
    assert_eq!(world.impression(YEN), billed(300_000_000));
    world.edit_advertiser(TOKYO, |a| a.funding = Funding::Prepaid);
    // Paid in: 1 JPY; spent: 0.75 JPY.
    assert_eq!(world.impression(YEN), partly(250_000_000, 50_000_000, Limit::Account));
    world.agree();
}

#[test]
fn daily_budgets_follow_account_zone_days_of_23_24_and_25_hours() {
    for (zone, start, hours) in [
        ("Europe/Paris", "2026-03-28T23:00:00Z", 23),
        ("Europe/Paris", "2026-10-24T22:00:00Z", 25),
        ("Europe/Paris", "2026-06-01T22:00:00Z", 24),
        ("America/New_York", "2026-03-08T05:00:00Z", 23),
        ("Asia/Tokyo", "2026-06-01T15:00:00Z", 24),
    ] {
        let mut world = World::at(at("2026-01-10T12:00:00Z"), true);
        world.put_advertiser(AdvertiserId(3), advertiser(zone, "EUR", Funding::Prepaid));
        world.deposit(AdvertiserId(3), 100);
        world.put_campaign(CampaignId(3), campaign(AdvertiserId(3)));
        let mut set = ad_set(CampaignId(3), booking::Bid::Cpm { micros_per_mille: 2_000_000 });
        set.daily_budget_micros = Some(Micros(2_000));
        world.put_ad_set(AdSetId(31), set);
        let (start, end) = (at(start), UtcMs(at(start).0 + hours * HOUR));
        let id = AdSetId(31);
        for (now, outcome) in [
            (start.0 - 1, billed(PRICE)),
            (start.0, billed(PRICE)),
            (start.0 + HOUR, free(Limit::AdSetDaily)),
            (end.0 - 1, free(Limit::AdSetDaily)),
            (end.0, billed(PRICE)),
        ] {
            world.now = UtcMs(now);
            assert_eq!(world.impression(id), outcome, "{zone} {}", UtcMs(now));
        }
        assert_eq!(world.ledger.remaining(id, start).day_ends_at, end, "{zone}");
        assert_eq!(world.ledger.remaining(id, UtcMs(end.0 + 23 * HOUR)).nanos, Some(Nanos::ZERO));
        // Asked about a later day than any event: that day's budget is whole.
        assert_eq!(world.ledger.remaining(id, UtcMs(end.0 + 30 * HOUR)).nanos, Some(Nanos(PRICE)));
        world.agree();
    }
}

#[test]
fn free_over_delivery_is_counted_by_budget() {
    let mut world = World::new();
    world.edit_campaign(1, |c| c.daily_budget_micros = Some(Micros(2_000)));
    for _ in 0..3 {
        world.impression(CPM);
    }
    world.wait(DAY);
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(3_000)));
    world.impression(CPM);
    let view = world.ledger.campaign_budget(CampaignId(1), world.now).unwrap();
    assert_eq!((view.free_daily, view.free_lifetime), (Nanos(2 * PRICE), Nanos(PRICE / 2)));
    assert_eq!(
        (view.gross, view.gross_today, view.free_today),
        (Nanos(PRICE + PRICE / 2), Nanos(PRICE / 2), Nanos(PRICE / 2))
    );
    assert_eq!(view.remaining(), Some(Nanos::ZERO));
    world.agree();
}

#[test]
fn a_price_above_every_bid_ever_in_force_is_never_billed() {
    let mut world = World::new();
    let dear = world.ticket(CPM);
    world.edit_ad_set(CPM, |s| s.bid = booking::Bid::Cpm { micros_per_mille: 1_000_000 });
    assert_eq!(world.push(Event::Impression(dear)), billed(PRICE), "the higher bid was in force once");
    let mut ticket = world.ticket(CPM);
    ticket.price_nanos = 2_000_001;
    let reason = FreeReason::PriceAboveBid;
    assert_eq!(
        world.push(Event::Impression(ticket)),
        Outcome::Free { reason, would_have_cost: Nanos(2_000_001) }
    );
    let mut click = world.ticket(CPM);
    click.billing = ticket::Billing::Click;
    let outcome = world.push(Event::Click(click));
    assert!(matches!(outcome, Outcome::Free { reason: FreeReason::PriceAboveBid, .. }), "no bid per click");
    world.agree();
}

#[test]
fn a_journalled_broken_law_stops_billing_until_somebody_lets_it_go_on() {
    let mut world = World::new();
    world.push(Event::LawBroken { law: "R1".into(), detail: "a checkpoint".into() });
    assert!(world.ledger.billing_stopped().unwrap().contains("R1"));
    assert_eq!(world.ledger.remaining(CPM, world.now).nanos, Some(Nanos::ZERO));
    assert!(matches!(world.impression(CPM), Outcome::Free { reason: FreeReason::BillingStopped, .. }));
    assert_eq!(world.impression(HOUSE), Outcome::Counted);
    let reason = "looked into".into();
    world.push(booked(Change::StopSet { what: Stop::AllPaid, on: false, reason }));
    assert_eq!(world.impression(CPM), billed(PRICE));
    world.agree();
}

#[test]
fn time_and_positions_never_go_back_and_never_skip() {
    for (position, at_ms) in [(2, 99), (3, 100), (1, 100), (0, 100), (u64::MAX, 100)] {
        let mut ledger = regie_ledger::Ledger::new();
        let open = Event::EpochOpened { epoch: 1 };
        ledger.apply(1, UtcMs(100), &open).unwrap();
        let broken = ledger.apply(position, UtcMs(at_ms), &Event::EpochOpened { epoch: 2 }).unwrap_err();
        assert_eq!(broken.law, "B2");
        // It goes no further, and says the same again.
        let again = ledger.apply(2, UtcMs(100), &Event::EpochOpened { epoch: 2 }).unwrap_err();
        assert_eq!(again, broken);
        assert_eq!(ledger.position(), 1);
        assert_eq!(ledger.broken(), Some(&broken));
    }
}

#[test]
fn an_epoch_opened_twice_breaks_b3() {
    let mut world = World::new();
    let broken = world.ledger.apply(world.position + 1, world.now, &Event::EpochOpened { epoch: 1 });
    assert_eq!(broken.unwrap_err().law, "B3");
}

#[test]
fn a_guaranteed_goal_counts_impressions_down() {
    let mut world = World::new();
    for left in [3, 2, 1, 0, 0] {
        assert_eq!(world.ledger.remaining(GOAL, world.now).impressions_count, Some(left));
        world.impression(GOAL);
    }
    assert_eq!(world.ledger.remaining(CPM, world.now).impressions_count, None);
    world.agree();
}

#[test]
fn house_ads_cost_nothing_and_what_is_not_booked_may_spend_nothing() {
    let mut world = World::new();
    assert_eq!(world.impression(HOUSE), Outcome::Counted);
    let remaining = world.ledger.remaining(HOUSE, world.now);
    assert_eq!((remaining.nanos, remaining.limit), (None, None));
    let unknown = world.ledger.remaining(AdSetId(999), world.now);
    assert_eq!((unknown.nanos, unknown.limit), (Some(Nanos::ZERO), Some(Limit::NotBooked)));
    world.agree();
}
