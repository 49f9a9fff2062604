//! A small publisher with one of everything, which commands and requests are tried against.

use regie_decide::Snapshot;
use regie_ledger::Ledger;
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PersonKeyId, PlacementId, SiteId, UtcMs, VersionId,
    booking::TierKind,
    catalogue::Catalogue,
    command::{Change, Command, Planned, Refusal},
    event::{Actor, Booked, Event},
    personal::{Identity, Sealed},
    ticket::{Billing, DeviceClass, Ticket, TicketId, TicketKey},
};
use std::sync::LazyLock;

/// The key that seals of the corpus are made with. Not secret.
pub const KEY: TicketKey = TicketKey { id: 1, secret: [7; 32] };
/// Now, in this world.
pub(crate) const NOW: UtcMs = UtcMs(1_790_000_000_000);

/// A ticket of this world.
pub const TICKET: Ticket = Ticket {
    key_id: KEY.id,
    id: TicketId { epoch: 1, sequence: 42 },
    issued_at: NOW,
    site: SiteId(1),
    placement: PlacementId(1),
    advertiser: AdvertiserId(1),
    campaign: CampaignId(1),
    ad_set: AdSetId(1),
    ad: AdId(1),
    version: VersionId(1),
    tier: TierKind::Auction,
    billing: Billing::Impression,
    price_nanos: 2_000_000,
    currency: Currency::EUR,
    rate_nanos: 1_000_000_000,
    propensity: 0.5,
    predicted_rate: 1.0,
    creative: [9; 16],
    country: *b"FR",
    device: DeviceClass::Phone,
    political: false,
    sampled: true,
    snapshot: 12,
};

/// The commands that set the world up, as JSON.
const COMMANDS: [&str; 10] = [
    r#"{"command":"put_publisher","spec":{"name":"The Example Gazette","auction_currency":"EUR","zone":"Europe/Paris","page_keys":["section"]}}"#,
    r#"{"command":"put_site","spec":{"name":"Gazette","origins":["https://gazette.example"]}}"#,
    r#"{"command":"put_placement","spec":{"site":"site_1","name":"front-top","format":{"kind":"banner","sizes":[{"width":300,"height":250}]}}}"#,
    r#"{"command":"put_segment","spec":{"name":"Gardeners"}}"#,
    r#"{"command":"put_advertiser","spec":{"name":"Bicycle Works","currency":"EUR","zone":"Europe/Paris","funding":{"kind":"prepaid"}}}"#,
    r#"{"command":"put_party","spec":{"kind":"organisation","identity":{"name":"Bicycle Works","email":"office@example.org"},"established_in":"FR"}}"#,
    r#"{"command":"put_campaign","spec":{"advertiser":"adv_1","name":"Spring","objective":"clicks","flight":{"starts_at":"2026-01-01T00:00:00Z","ends_at":"2030-01-01T00:00:00Z"},"lifetime_budget_micros":1000000000,"sponsor":"party_1","payer":"party_1"}}"#,
    r#"{"command":"put_ad_set","spec":{"campaign":"cam_1","name":"All pages","bid":{"kind":"cpm","micros_per_mille":2000000},"tier":{"kind":"auction"},"pacing":"asap"}}"#,
    r#"{"command":"put_ad","spec":{"ad_set":"set_1","name":"Bicycles","landing_url":"https://shop.example/bicycles?from={PLACEMENT}"}}"#,
    r#"{"command":"put_version","spec":{"ad":"ad_1","creative":{"kind":"html","markup":"<a href=\"{CLICK_URL}\">Two wheels</a>","size":{"width":300,"height":250}}}}"#,
];
/// Those that make it deliver.
const OPENED: [&str; 2] = [
    r#"{"command":"review","ads":["ad_1"],"versions":["ver_1"],"verdict":"approved"}"#,
    r#"{"command":"deposit","advertiser":"adv_1","amount_micros":1000000000}"#,
];

/// Everything that commands change.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) catalogue: Catalogue,
    pub(crate) ledger: Ledger,
}

/// The commands of the world, in order: seeds for the corpus.
pub fn set_up() -> impl Iterator<Item = &'static str> {
    COMMANDS.into_iter().chain(OPENED)
}

/// The ledger of the world as it is kept: a seed for the corpus.
pub fn checkpoint_of_world() -> Vec<u8> {
    WORLD.ledger.to_bytes()
}

/// The world, made once.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut world = World { catalogue: Catalogue::new(), ledger: Ledger::new() };
    for text in set_up() {
        let command = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let planned = plan(&world.catalogue, command).unwrap_or_else(|e| panic!("{text}: {e}"));
        planned.changes.into_iter().for_each(|change| world.apply(change));
    }
    world
});
/// The world as decisions see it.
pub(crate) static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| Snapshot::build(&WORLD.catalogue, 1));

/// Plans a command, sealing nothing.
pub(crate) fn plan(catalogue: &Catalogue, command: Command) -> Result<Planned, Refusal> {
    let mut sealer = |_: &Identity, key: Option<PersonKeyId>| Sealed {
        key: key.unwrap_or(PersonKeyId(1)),
        ciphertext_hex: String::new(),
    };
    regie_model::command::plan(catalogue, command, &mut sealer)
}

impl World {
    /// Does what the journal's folds do with an accepted change: it is written, read back, and applied.
    pub(crate) fn apply(&mut self, change: Change) {
        let event = Event::Booked(Box::new(Booked { by: Actor::Operator, at: NOW, change }));
        let read = Event::decode(&event.encode());
        assert!(read.as_ref().is_ok_and(|r| *r == event), "an accepted change is read back: {event:?}");
        let Event::Booked(booked) = &event else { return };
        self.catalogue.apply(NOW, &booked.change);
        let position = self.ledger.position() + 1;
        let applied = self.ledger.apply(position, NOW, &event);
        assert!(applied.is_ok(), "an accepted change breaks no law: {applied:?}");
    }
}
