//! The demo's political advertisers: a fictional municipal election and a fictional referendum, declared completely, as
//! Regulation (EU) 2024/900 asks (Art. 7, 9, 11, 12). No real party, place or vote is meant.

use super::{
    bookings::{ad_set, cpm, once_a_page, sections, sizes},
    desk::{Desk, euros, paris},
    looks::{self, LEADERBOARD, RECTANGLE, Words, pictures},
};
use anyhow::Result;
use regie_model::{
    AdvertiserId, Currency, Day, ElectionId, Micros, PartyId, booking::*, command::Command,
    creative::Creative, personal::Identity, targeting::Targeting,
};

const ELECTION: &str = "Port Brume municipal election";
const HOW_TO_VOTE: &str = "https://elections.port-brume.example/how-to-vote";
const REFERENDUM: &str = "Port Brume referendum on the old quay";

/// Books them.
///
/// # Errors
/// A refusal or a journal that stopped.
pub fn book(desk: &Desk) -> Result<()> {
    let election = vote(desk, ELECTION, VoteKind::Election, 40)?;
    let referendum = vote(desk, REFERENDUM, VoteKind::Referendum, 26)?;
    let account = account(desk, "Open Harbour List", euros(900))?;
    let sponsor = party(desk, account, "Open Harbour List", "open-harbour", "")?;
    let friends = "Friends of the Open Harbour (association)";
    let payer = party(desk, account, friends, "friends-open-harbour", "Open Harbour List")?;
    let words = Words {
        over: "OPEN HARBOUR LIST",
        title: "A ferry every ten minutes. For everyone.",
        button: "Read our plan",
    };
    let text = Creative::Text {
        title: "Open Harbour List: a ferry every ten minutes".into(),
        body: "Our plan for the harbour, the school roads and the night bus, on four pages.".into(),
    };
    let declared = declaration(desk, (election, ELECTION), 40, Some(("Tern & Tide Agency", euros(120))));
    let mut versions =
        sizes(&looks::OPEN_HARBOUR, words, &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)]);
    versions.push(("words", text));
    let sale = Sale { account, name: "Ferries for everyone", sponsor, payer, budget: euros(900) };
    sale.book(desk, "open-harbour", declared, Targeting::default(), 420, versions)?;

    let account = self::account(desk, "Port Brume Forward", euros(700))?;
    let forward = party(desk, account, "Port Brume Forward", "port-brume-forward", "")?;
    let words = Words {
        over: "PORT BRUME FORWARD",
        title: "Build where we live. Homes before hotels.",
        button: "Meet the team",
    };
    let declared = declaration(desk, (election, ELECTION), 40, None);
    let versions = sizes(&looks::FORWARD, words, &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)]);
    let sale =
        Sale { account, name: "Homes before hotels", sponsor: forward, payer: forward, budget: euros(700) };
    sale.book(desk, "forward", declared, sections(&["politics", "front", "live"]), 520, versions)?;

    let account = self::account(desk, "Keep the Old Quay", euros(250))?;
    let quay = party(desk, account, "Keep the Old Quay (citizens' initiative)", "old-quay", "")?;
    let words = Words {
        over: "KEEP THE OLD QUAY",
        title: "Four hundred years old. Vote to keep it.",
        button: "See what is planned",
    };
    let declared = declaration(desk, (referendum, REFERENDUM), 26, None);
    let body = "What would be torn down, what would be built, what it would cost: all plans in one place.";
    let native = desk.native(pictures::OLD_QUAY, "Four old gabled houses on a quay.", body, words)?;
    let mut versions = vec![("native", native)];
    versions.extend(sizes(
        &looks::OLD_QUAY,
        words,
        &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)],
    ));
    let sale = Sale { account, name: "Keep the old quay", sponsor: quay, payer: quay, budget: euros(250) };
    sale.book(desk, "old-quay", declared, sections(&["politics"]), 600, versions)
}

/// A vote that the publisher keeps, with a day of silence before it.
fn vote(desk: &Desk, name: &str, kind: VoteKind, days: i64) -> Result<ElectionId> {
    let held_on = paris().day(desk.in_days(days));
    let spec = ElectionSpec {
        name: name.into(),
        kind,
        country: "FR".into(),
        held_on,
        restricted_from: None,
        silent_from: Some(Day(held_on.0 - 1)),
        official_url: Some(HOW_TO_VOTE.to_owned()),
    };
    let id = desk.send(Command::PutElection { id: None, revision: None, spec })?;
    id.parse().map_err(|_| anyhow::anyhow!("{id} is no number of a vote"))
}

fn account(desk: &Desk, name: &str, paid_in: Micros) -> Result<AdvertiserId> {
    desk.advertiser(name, &["political"], Some(paid_in))
}

fn party(desk: &Desk, account: AdvertiserId, name: &str, slug: &str, controller: &str) -> Result<PartyId> {
    let identity = Identity {
        name: name.into(),
        email: format!("office@{slug}.example"),
        postal_address: "7 Market Square, Port Brume".into(),
        controller: controller.into(),
        register_id: format!("Port Brume register of associations, {slug}"),
    };
    desk.party(account, identity)
}

/// The sponsor's facts: complete, so that label and notice follow from them.
fn declaration(
    desk: &Desk,
    (vote, process): (ElectionId, &str),
    days: i64,
    agency: Option<(&str, Micros)>,
) -> Declaration {
    let official_url = Some(HOW_TO_VOTE.to_owned());
    let held_on = Some(paris().day(desk.in_days(days)));
    let other_providers = agency.map(|(provider, amount)| OtherProvider {
        provider: provider.into(),
        amount_micros: Some(amount),
        currency: Some(Currency::EUR),
        in_kind: String::new(),
    });
    Declaration {
        linked: vec![LinkedProcess { name: process.into(), election: Some(vote), held_on, official_url }],
        no_linked_process: false,
        no_other_provider: other_providers.is_none(),
        other_providers: other_providers.into_iter().collect(),
        origin: Origin { public: false, private: true, inside_union: true, outside_union: false },
        ai_used: false,
        right_missing: String::new(),
        confirmed: true,
    }
}

/// A political campaign of one ad set and one ad.
struct Sale {
    account: AdvertiserId,
    name: &'static str,
    sponsor: PartyId,
    payer: PartyId,
    budget: Micros,
}
impl Sale {
    fn book(
        self,
        desk: &Desk,
        slug: &str,
        declared: Declaration,
        targeting: Targeting,
        bid_cents: i64,
        versions: Vec<(&str, Creative)>,
    ) -> Result<()> {
        let campaign = desk.campaign(CampaignSpec {
            advertiser: self.account,
            name: self.name.into(),
            objective: Objective::Impressions,
            flight: desk.flight(25),
            lifetime_budget_micros: Some(self.budget),
            daily_budget_micros: None,
            sponsor: self.sponsor,
            payer: self.payer,
            political: Some(declared),
            roadblock: false,
            adapt: None,
            external_id: None,
        })?;
        let set = ad_set(campaign, "By page, never by person", Tier::Auction, cpm(bid_cents), Pacing::Asap);
        let set = desk.ad_set(AdSetSpec { targeting, caps: once_a_page(), ..set })?;
        desk.ad(set, self.name, slug, versions).map(drop)
    }
}
