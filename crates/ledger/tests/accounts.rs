//! Flat fees, credits, invoices: what accrues, what goes back, what is written on paper.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use regie_ledger::{
    BLOCK_POSITIONS_COUNT, BLOCKS_CACHED_MAX, BlockError, ChargeAt, ChargeBlock, ChargeKind, CreditRefusal,
    Ledger, Limit, NotDue, Outcome,
};
use regie_model::{
    booking::{Bid, Status},
    command::{Change, EntityRef},
    event::Event,
    *,
};

fn accrue_all(world: &mut World) -> Vec<Nanos> {
    let due = world.ledger.due_flat_fees(world.now);
    due.into_iter()
        .map(|(ad_set, day)| world.push(Event::FlatFeeAccrued { ad_set, day }).billed_nanos())
        .collect()
}

#[test]
fn a_flat_fee_accrues_exactly_its_total_over_the_days_of_the_flight() {
    // 28 March to 30 April in Paris: 34 days, one of 23 hours; 100.000001 EUR.
    let mut world = World::new();
    let mut shares = Vec::new();
    for _ in 0..40 {
        shares.extend(accrue_all(&mut world));
        assert_eq!(world.ledger.due_flat_fees(world.now), [], "each day is due once");
        world.wait(DAY);
    }
    let (total, n) = (100_000_001_000i128, 34);
    assert_eq!(shares.len(), 34);
    for (k, share) in (0..).zip(&shares) {
        assert_eq!(share.0, total * (k + 1) / n - total * k / n, "day {k}");
    }
    assert_eq!(shares.iter().copied().sum::<Nanos>(), Nanos(total));
    world.agree();
}

#[test]
fn a_flat_fee_accrues_each_day_once_inside_its_flight_and_under_b1() {
    let mut world = World::new();
    let today = Zone::parse("Europe/Paris").unwrap().day(world.now);
    let fee = |day: i32| Event::FlatFeeAccrued { ad_set: FEE, day: Day(today.0 + day) };
    assert!(matches!(world.push(fee(0)), Outcome::Billed { .. }));
    assert_eq!(world.push(fee(0)), Outcome::Duplicate);
    assert_eq!(world.push(fee(1)), Outcome::NotDue(NotDue::NotYet));
    assert_eq!(world.push(fee(-1)), Outcome::Duplicate);
    let not_a_fee = Event::FlatFeeAccrued { ad_set: CPM, day: today };
    assert_eq!(world.push(not_a_fee), Outcome::NotDue(NotDue::NotBooked));
    world.edit_ad_set(FEE, |s| s.daily_budget_micros = Some(Micros(1)));
    world.wait(DAY);
    let outcome = world.push(fee(1));
    assert!(matches!(outcome, Outcome::Billed { nanos: Nanos(1_000), limit: Some(Limit::AdSetDaily), .. }));
    world.agree();
}

#[test]
fn days_that_were_missed_are_due_in_order_and_edits_are_caught_up_with() {
    let mut world = World::new();
    world.wait(3 * DAY);
    let due = world.ledger.due_flat_fees(world.now);
    assert_eq!(due.len(), 4);
    assert!(due.is_sorted());
    accrue_all(&mut world);
    let total_micros = Micros(200_000_000);
    world.edit_ad_set(FEE, |s| s.bid = Bid::FlatFee { total_micros });
    for _ in 0..40 {
        world.wait(DAY);
        accrue_all(&mut world);
    }
    assert_eq!(world.ledger.ad_set_budget(FEE, world.now).unwrap().gross, Nanos(200_000_000_000));
    world.agree();
}

#[test]
fn drafts_and_what_is_archived_owe_no_fee_but_a_pause_does() {
    let mut world = World::new();
    for (entity, status, due) in [
        (EntityRef::AdSet(FEE), Status::Draft, 0),
        (EntityRef::AdSet(FEE), Status::Archived, 0),
        (EntityRef::AdSet(FEE), Status::Paused, 1),
        (EntityRef::Campaign(CampaignId(1)), Status::Archived, 0),
        (EntityRef::Campaign(CampaignId(1)), Status::Active, 1),
    ] {
        world.push(booked(Change::StatusSet { entity, status }));
        assert_eq!(world.ledger.due_flat_fees(world.now).len(), due, "{entity:?} {status:?}");
    }
}

#[test]
fn a_credit_gives_the_account_its_money_back_and_re_opens_no_budget() {
    let mut world = World::new();
    world.edit_campaign(1, |c| c.lifetime_budget_micros = Some(Micros(2_000)));
    world.impression(CPM);
    let charged = world.position;
    let before = world.ledger.account(PARIS).unwrap();
    let outcome = world.credit(PARIS, charged, 500_000);
    assert_eq!(outcome, Outcome::Credited { advertiser: PARIS, nanos: Nanos(500_000) });
    let after = world.ledger.account(PARIS).unwrap();
    assert_eq!(after.remaining.0 - before.remaining.0, 500_000);
    assert_eq!(after.gross, before.gross, "gross stays");
    assert_eq!(world.ledger.remaining(CPM, world.now).nanos, Some(Nanos::ZERO));
    assert!(matches!(world.impression(CPM), Outcome::Free { .. }));
    let ad = world.ledger.totals(AdId(110));
    assert_eq!(
        (ad.gross_nanos, ad.credited_nanos, ad.net_nanos()),
        (Nanos(2_000_000), Nanos(500_000), Nanos(1_500_000))
    );
    world.agree();
}

#[test]
fn credits_never_exceed_their_charge_in_sum() {
    let mut world = World::new();
    world.impression(CPM);
    let charged = world.position;
    let refused = |r| Outcome::CreditRefused(r);
    assert_eq!(world.credit(TOKYO, charged, 1), refused(CreditRefusal::OtherAdvertiser));
    assert_eq!(world.credit(PARIS, charged, 0), refused(CreditRefusal::NotPositive));
    assert_eq!(world.credit(PARIS, charged, -5), refused(CreditRefusal::NotPositive));
    assert_eq!(world.credit(PARIS, charged, 1_500_000).refusal(), None);
    let rest = Outcome::Credited { advertiser: PARIS, nanos: Nanos(500_000) };
    assert_eq!(world.credit(PARIS, charged, i64::MAX), rest);
    assert_eq!(world.credit(PARIS, charged, 1), refused(CreditRefusal::NothingLeft));
    for nothing in [1, world.position, world.position + 1, u64::MAX, 0] {
        assert_eq!(world.credit(PARIS, nothing, 1), refused(CreditRefusal::NoCharge), "{nothing}");
    }
    world.agree();
}

#[test]
fn an_old_charge_is_credited_from_its_own_block_and_from_no_other() {
    let mut world = World::new();
    world.impression(CPM);
    let charged = world.position;
    for _ in 0..(BLOCKS_CACHED_MAX as u64 + 3) * BLOCK_POSITIONS_COUNT {
        world.impression(if world.position.is_multiple_of(512) { CPM } else { HOUSE });
    }
    assert_eq!(world.ledger.charge_at(charged), ChargeAt::NeedsBlock(0));
    let (old, other) = (world.blocks[&0].clone(), world.blocks[&1].clone());
    // The desk loads the block on demand; the block is written anew with its credit.
    let half = world.credit(PARIS, charged, 1_000_000);
    assert_eq!(half, Outcome::Credited { advertiser: PARIS, nanos: Nanos(1_000_000) });
    assert_ne!(world.blocks[&0], old);
    assert_eq!(world.ledger.load_block(&old), Err(BlockError::Other(0)), "from before the credit");
    assert_eq!(world.ledger.load_block(&other), Ok(1));
    let mut damaged = world.blocks[&0].clone();
    for index in 0..damaged.len() {
        damaged[index] ^= 1;
        assert!(world.ledger.load_block(&damaged).is_err());
        assert!(ChargeBlock::from_bytes(&damaged[..index]).is_err());
        damaged[index] ^= 1;
    }
    let block = ChargeBlock::from_bytes(&damaged).unwrap();
    let charge = block.charges().find(|c| c.position == charged).unwrap();
    assert_eq!(
        (charge.kind, charge.nanos, charge.credited),
        (ChargeKind::Impression, Nanos(2_000_000), Nanos(1_000_000))
    );
    world.agree();
}

#[test]
fn a_fold_that_starts_again_from_an_older_checkpoint_accepts_blocks_stored_later() {
    let mut world = World::new();
    world.impression(CPM);
    let charged = world.position;
    for _ in 0..BLOCK_POSITIONS_COUNT {
        world.impression(HOUSE);
    }
    world.credit(PARIS, charged, 250_000);
    let (older, from) = (world.ledger.to_bytes(), world.list.len());
    for _ in 0..3 {
        world.credit(PARIS, charged, 500_000);
    }
    // The process dies: the blocks are stored with all four credits, the checkpoint knows of one.
    let mut ledger = Ledger::from_bytes(&older).unwrap();
    assert_eq!(ledger.charge_at(charged), ChargeAt::NeedsBlock(0));
    for (position, at, event, outcome) in &world.list[from..] {
        let mut again = ledger.apply(*position, *at, event).unwrap();
        if again == Outcome::NeedsBlock(0) {
            ledger.load_block(&world.blocks[&0]).unwrap();
            again = ledger.apply(*position, *at, event).unwrap();
        }
        assert_eq!(again, *outcome);
    }
    assert_eq!(ledger.state_hash(), world.ledger.state_hash());
    assert_eq!(world.audit.compare(&ledger), []);
    world.agree();
}

#[test]
fn an_invoice_rounds_each_line_once_half_even_and_has_gapless_numbers() {
    let mut world = World::new();
    let publisher = booking::PublisherSpec {
        name: "Publisher".into(),
        legal_address: String::new(),
        tax_id: String::new(),
        tax_rate_ppm: 200_000,
        auction_currency: Currency::EUR,
        zone: Zone::utc(),
        rates: Vec::new(),
        political_location: false,
        page_keys: Vec::new(),
        blocked_categories: Vec::new(),
        label_languages: Vec::new(),
        sample_ppm: 0,
        auction: Default::default(),
    };
    world.push(booked(Change::PublisherPut { spec: publisher }));
    // A tie: 12.5 cents round to 12.
    world.edit_ad_set(CPM, |s| s.bid = Bid::Cpm { micros_per_mille: 125_000_000 });
    world.impression(CPM);
    world.click(CPC);
    world.click(CPC);
    let charged = world.position;
    world.impression(YEN);
    let issue = |advertiser, month| Event::InvoiceIssued { advertiser, year: 2026, month };
    assert_eq!(world.push(issue(PARIS, 3)), Outcome::NotDue(NotDue::NotYet), "the month is not over");
    // Paris is at 00:30 on 1 April, UTC still in March.
    world.now = at("2026-03-31T22:30:00Z");
    assert_eq!(world.push(issue(PARIS, 3)), Outcome::Invoiced { number: 1 });
    assert_eq!(world.push(issue(PARIS, 3)), Outcome::Duplicate);
    assert_eq!(world.push(issue(PARIS, 13)), Outcome::NotDue(NotDue::NotYet));
    assert_eq!(world.push(issue(TOKYO, 3)), Outcome::Invoiced { number: 2 });
    let invoice = world.ledger.invoice(PARIS, 2026, 3).unwrap();
    let lines: Vec<_> =
        invoice.lines.iter().map(|l| (l.ad_set, l.kind, l.quantity_count, l.net_micros.0)).collect();
    assert_eq!(lines, [(CPM, ChargeKind::Impression, 1, 120_000), (CPC, ChargeKind::Click, 2, 1_000_000)]);
    assert_eq!(invoice.lines[0].gross_nanos, Nanos(125_000_000), "exact beside it");
    assert_eq!(
        (invoice.number, invoice.net_micros, invoice.tax_micros, invoice.total_micros),
        (Some(1), Micros(1_120_000), Micros(220_000), Micros(1_340_000))
    );
    assert_eq!(world.ledger.invoice(TOKYO, 2026, 3).unwrap().net_micros, Micros(0), "0.3 JPY");
    // A later credit stands on the next month; the issued one does not change.
    world.credit(PARIS, charged, 250_000_000);
    assert_eq!(world.ledger.invoice(PARIS, 2026, 3), Some(invoice));
    let april = world.ledger.invoice(PARIS, 2026, 4).unwrap();
    assert_eq!((april.number, april.net_micros, april.tax_micros), (None, Micros(-250_000), Micros(-50_000)));
    assert_eq!(world.ledger.invoices().len(), 2);
    world.agree();
}
