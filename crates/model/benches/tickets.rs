//! A ticket sealed and opened: `cargo bench -p regie-model`. One of each is on every decision's and every event's path.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PlacementId, SiteId, UtcMs, VersionId,
    booking::TierKind,
    ticket::{Billing, DeviceClass, Ticket, TicketId, TicketKey},
};

fn main() {
    divan::main();
}

fn ticket() -> (Ticket, TicketKey) {
    let ticket = Ticket {
        key_id: 1,
        id: TicketId { epoch: 7, sequence: 1_000_000 },
        issued_at: UtcMs(1_800_000_000_000),
        site: SiteId(1),
        placement: PlacementId(2),
        advertiser: AdvertiserId(3),
        campaign: CampaignId(4),
        ad_set: AdSetId(5),
        ad: AdId(6),
        version: VersionId(7),
        tier: TierKind::Auction,
        billing: Billing::Impression,
        price_nanos: 1_234_567,
        currency: Currency::EUR,
        rate_nanos: 1_000_000_000,
        propensity: 0.25,
        predicted_rate: 1.0,
        creative: [9; 16],
        country: *b"FR",
        device: DeviceClass::Phone,
        political: false,
        sampled: false,
        snapshot: 42,
    };
    (ticket, TicketKey { id: 1, secret: [3; 32] })
}

#[divan::bench]
fn seal(bencher: Bencher<'_, '_>) {
    let (ticket, key) = ticket();
    bencher.bench_local(|| black_box(&ticket).seal(black_box(&key)));
}

#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let (ticket, key) = ticket();
    let (text, keys) = (ticket.seal(&key), [key]);
    bencher.bench_local(|| Ticket::open(black_box(&text), black_box(&keys)).unwrap());
}
