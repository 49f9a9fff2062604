//! Every reason that `explain` knows is reached, with its code and its words; a case for each.

use crate::world::*;
use regie_decide::{
    Counted, NoFill, PageViewCount, RecordedGate, Request, Row, Slot, Snapshot, Stage, Tables, VisitorCount,
    decide, explain,
};
use regie_model::{
    AdSetId, AdvertiserId, CampaignId, Currency, Day, PartyId, PersonKeyId, PlacementId, SegmentId, SiteId,
    UtcMs,
    booking::*,
    catalogue::Catalogue,
    command::{Change, EntityRef, Stop},
    targeting::{Dimension, Op},
    time::DAY_MS,
};
use std::collections::BTreeSet;

/// A world with one ad set under scrutiny, and what is asked.
struct Scene {
    world: World,
    set: AdSetId,
    request: Request,
    row: Row,
    gate: RecordedGate,
}
impl Scene {
    fn rival(&mut self, micros_per_mille: i64) -> AdSetId {
        self.world.bidder(micros_per_mille)
    }
    fn rival_in(&mut self, tier: Tier) -> AdSetId {
        let id = self.world.bidder(1_000_000);
        self.world.edit_ad_set(id, |set| set.tier = tier);
        id
    }
    fn second_place(&mut self) {
        self.world.placement(2, placement(SiteId(1), "side"));
        self.request.placements = vec![PlacementId(2), PlacementId(1)];
    }
    fn political(&mut self) {
        self.world.edit_campaign(self.set, |campaign| campaign.political = Some(declaration()));
    }
    fn target(&mut self, dimension: Dimension, op: Op, values: &[&str]) {
        self.world.edit_ad_set(self.set, |set| set.targeting.clauses = vec![clause(dimension, op, values)]);
    }
    fn cap(&mut self, scope: CapScope, period: CapPeriod) {
        let cap = FrequencyCap { scope, period, impressions_count: 2 };
        self.world.edit_ad_set(self.set, |set| set.caps = vec![cap]);
    }
    fn ad(&self) -> regie_model::AdId {
        self.world.catalogue.ads_of[&self.set][0]
    }
}

/// Code and sentence of the ad set under scrutiny, at the last placement asked for.
fn said(prepare: impl FnOnce(&mut Scene)) -> (String, String) {
    let mut world = World::new();
    let set = world.bidder(1_000_000);
    let request = Request::bare(noon(), 1, SiteId(1), vec![PlacementId(1)]);
    let mut scene = Scene { world, set, request, row: Row::default(), gate: RecordedGate::default() };
    prepare(&mut scene);
    let snapshot = Snapshot::build(&scene.world.catalogue, 1);
    let tables = Tables::new([(scene.set, scene.row)]);
    let explanation = explain(&snapshot, &tables, &scene.request, &scene.gate);
    let last = explanation.placements.last().unwrap();
    let one = last.ad_sets.iter().find(|one| one.ad_set == scene.set).unwrap();
    (one.code.to_owned(), one.sentence.clone())
}

/// Seen codes, so that none is forgotten.
#[derive(Default)]
struct Seen(BTreeSet<String>);
impl Seen {
    #[track_caller]
    fn check(&mut self, code: &str, words: &str, prepare: impl FnOnce(&mut Scene)) {
        let (got, sentence) = said(prepare);
        assert_eq!(got, code, "{sentence}");
        assert!(sentence.contains(words), "wanted \"{words}\" in: {sentence}");
        self.0.insert(got);
    }
}

fn standing(seen: &mut Seen) {
    seen.check("not_active", "It is paused", |s| s.world.status(EntityRef::AdSet(s.set), Status::Paused));
    seen.check("not_active", "Its campaign is a draft", |s| {
        s.world.status(EntityRef::Campaign(CampaignId(1)), Status::Draft)
    });
    seen.check("not_active", "Its advertiser is archived", |s| {
        s.world.status(EntityRef::Advertiser(AdvertiserId(1)), Status::Archived)
    });
    seen.check("not_active", "Every approved ad or version of it is paused", |s| {
        s.world.status(EntityRef::Ad(s.ad()), Status::Paused)
    });
    seen.check("not_active", "Its payer is paused", |s| {
        s.world.party(2, |_| ());
        s.world.edit_campaign(s.set, |c| c.payer = PartyId(2));
        s.world.status(EntityRef::Party(PartyId(2)), Status::Paused);
    });
    seen.check("incomplete", "no ad with a version", |s| {
        s.world.catalogue.ads_of.clear();
    });
    seen.check("incomplete", "Its campaign does not exist", |s| {
        s.world.edit_ad_set(s.set, |set| set.campaign = CampaignId(99))
    });
    seen.check("incomplete", "Its advertiser does not exist", |s| {
        s.world.edit_campaign(s.set, |c| c.advertiser = AdvertiserId(99))
    });
    seen.check("sponsor_incomplete", "Its sponsor is not registered", |s| {
        s.world.edit_campaign(s.set, |c| c.sponsor = PartyId(99))
    });
    seen.check("sponsor_incomplete", "identity was erased", |s| {
        s.world.apply(Change::PersonErased { key: PersonKeyId(1), reason: String::new() })
    });
    seen.check("sponsor_incomplete", "lacks facts", |s| {
        s.political();
        s.world.party(1, |p| p.political_gaps = vec!["identity.email".into()]);
    });
    seen.check("sponsor_incomplete", "declaration is incomplete", |s| {
        let unconfirmed = Declaration { confirmed: false, ..declaration() };
        s.world.edit_campaign(s.set, |c| c.political = Some(unconfirmed));
    });
    seen.check("stopped", "All paid ads", |s| s.world.stop(Stop::AllPaid));
    seen.check("stopped", "Its sponsor is stopped", |s| s.world.stop(Stop::Sponsor(PartyId(1))));
    seen.check("stopped", "Its approved ads are stopped", |s| s.world.stop(Stop::Ad(s.ad())));
    seen.check("not_approved", "None of its ads is approved", |s| {
        s.set = s.world.ad_set(ad_set(CampaignId(1), 1));
        let ad = s.world.ad(s.set, "https://goods.example/");
        s.world.version(ad, Shape::Native, 1);
    });
    seen.check("no_rate", "no dated rate for CHF", |s| s.world.edit_advertiser(s.set, |a| a.currency = CHF));
    seen.check("blocked_everywhere", "category", |s| {
        s.world.publisher(|p| p.blocked_categories = vec!["Gambling".into()]);
        s.world.edit_advertiser(s.set, |a| a.categories = vec!["gambling".into()]);
    });
    seen.check("political_targeting", "names country", |s| {
        s.target(Dimension::Country, Op::In, &["FR"]);
        s.political();
    });
}

fn timing(seen: &mut Seen) {
    seen.check("flight_not_begun", "begins at 2026-05-05", |s| {
        s.world.edit_campaign(s.set, |c| c.flight.starts_at = UtcMs(noon().0 + DAY_MS - 1));
    });
    seen.check("flight_ended", "ended at 2026-05-04T10:00:00Z", |s| {
        s.world.edit_campaign(s.set, |c| c.flight.ends_at = Some(noon()))
    });
    seen.check("sponsor_before_vote", "three months before a vote", |s| {
        let vote = LinkedProcess {
            election: None,
            name: "Municipal election, Example Town".into(),
            held_on: Day::parse("2026-07-01"),
            official_url: None,
        };
        let linked = Declaration { linked: vec![vote], no_linked_process: false, ..declaration() };
        s.world.edit_campaign(s.set, |c| c.political = Some(linked));
        s.world.party(1, |p| p.may_sponsor_before_votes = false);
    });
}

fn at_the_place(seen: &mut Seen) {
    seen.check("political_placement", "no political ads", |s| {
        s.political();
        s.world.edit_placement(|p| p.political = false);
    });
    seen.check("blocked_advertiser", "blocks its advertiser", |s| {
        s.world.edit_placement(|p| p.blocked_advertisers = vec![AdvertiserId(1)])
    });
    seen.check("blocked_category", "category", |s| {
        s.world.edit_advertiser(s.set, |a| a.categories = vec!["Alcohol".into()]);
        s.world.edit_placement(|p| p.blocked_categories = vec![" alcohol".into()]);
    });
    seen.check("wrong_format", "size or format", |s| {
        s.world.edit_placement(|p| p.format = Format::Banner { sizes: vec![SIZES[1]] })
    });
    seen.check("wrong_format", "size or format", |s| s.world.edit_placement(|p| p.format = Format::Native));
    for domain in ["goods.example", "GOODS.example", "example"] {
        seen.check("blocked_domain", "domain", |s| {
            s.world.edit_placement(|p| p.blocked_domains = vec![domain.into()])
        });
    }
    seen.check("won", "", |s| s.world.edit_placement(|p| p.blocked_domains = vec!["oods.example".into()]));
    seen.check("house_only", "Only house ads", |s| s.gate.house_only = true);
    seen.check("budget", "budget", |s| {
        s.gate.refused.insert(s.set);
    });
    seen.check("paced", "takes part in 0.00% of requests", |s| s.row.pass_ppm = 0);
    seen.check("floor", "Worth 1.0000 EUR per thousand, below the placement's floor of 1.0001 EUR", |s| {
        s.world.edit_placement(|p| {
            let floor =
                Floor { tier: TierKind::Auction, currency: Currency::EUR, micros_per_mille: 1_000_100 };
            p.floors = vec![floor];
        })
    });
}

fn frequency(seen: &mut Seen) {
    let count = |what, count| PageViewCount { what, count };
    seen.check("frequency", "ad set was shown 2 of at most 2 times in this page view", |s| {
        s.cap(CapScope::AdSet, CapPeriod::PageView);
        s.request.frequency.page_view = vec![count(Counted::AdSet(s.set), 2)];
    });
    seen.check("frequency", "campaign was shown 5 of at most 2 times in this day", |s| {
        s.cap(CapScope::Campaign, CapPeriod::Day);
        let what = Counted::Campaign(CampaignId(1));
        s.request.frequency.visitor = Some(vec![VisitorCount { what, period: CapPeriod::Day, count: 5 }]);
    });
    seen.check("frequency", "the ad was shown 2", |s| {
        s.cap(CapScope::Ad, CapPeriod::Hour);
        // No token: the cap counts by page view.
        s.request.frequency.page_view = vec![count(Counted::Ad(s.ad()), 2)];
    });
    seen.check("won", "", |s| {
        s.cap(CapScope::AdSet, CapPeriod::Hour);
        // Another period's count is not this cap's.
        let what = Counted::AdSet(s.set);
        s.request.frequency.visitor = Some(vec![VisitorCount { what, period: CapPeriod::Week, count: 5 }]);
    });
    seen.check("separation", "an ad of its advertiser", |s| s.second_place());
    seen.check("separation", "competitor", |s| {
        s.second_place();
        let rival = s.rival(2_000_000);
        for id in [rival, s.set] {
            s.world.edit_advertiser(id, |a| a.categories = vec!["Shoes".into()]);
        }
    });
    seen.check("separation", "all of its ads that fit", |s| {
        s.second_place();
        s.world.edit_ad_set(s.set, |set| (set.tier, set.bid) = (Tier::House, Bid::Free));
    });
}

fn lost(seen: &mut Seen) {
    seen.check("earlier_tier", "earlier tier (guaranteed)", |s| {
        s.rival_in(Tier::Guaranteed { impressions_count: 9 });
    });
    seen.check("not_drawn", "share of voice is 0.01%", |s| {
        s.world.edit_ad_set(s.set, |set| set.tier = Tier::Sponsorship { share_ppm: 100 });
    });
    seen.check("not_drawn", "needs the impression as much or more for its goal: 0.00% against 0.00%", |s| {
        let goal = Tier::Guaranteed { impressions_count: 9 };
        s.rival_in(goal);
        s.world.edit_ad_set(s.set, |set| set.tier = goal);
        s.request.seed = (0..).find(|seed| loses(&s.world, s.set, *seed)).unwrap();
    });
    seen.check("won", "its goal needs the impression most (1.00% behind)", |s| {
        let goal = Tier::Guaranteed { impressions_count: 9 };
        s.rival_in(goal);
        s.world.edit_ad_set(s.set, |set| set.tier = goal);
        s.request.seed = (0..).find(|seed| loses(&s.world, s.set, *seed)).unwrap();
        s.row.need_ppm = 10_000;
    });
    seen.check("not_drawn", "Another house ad", |s| {
        let rival = s.rival_in(Tier::House);
        for id in [s.set, rival] {
            s.world.edit_ad_set(id, |set| (set.tier, set.bid) = (Tier::House, Bid::Free));
        }
        s.request.seed = (0..).find(|seed| loses(&s.world, s.set, *seed)).unwrap();
    });
    seen.check("roadblock", "did not win the first, or one was taken", |s| {
        s.second_place();
        s.world.edit_ad_set(s.set, |set| set.tier = Tier::Sponsorship { share_ppm: 1 });
        s.world.edit_campaign(s.set, |campaign| campaign.roadblock = true);
    });
    seen.check("roadblock", "had ads for 1 of 2", |s| {
        s.second_place();
        s.world.edit_ad_set(s.set, |set| set.tier = Tier::Guaranteed { impressions_count: 9 });
        s.world.edit_campaign(s.set, |campaign| campaign.roadblock = true);
    });
    seen.check("not_drawn", "Another campaign took all places", |s| {
        s.second_place();
        let rival = s.rival_in(Tier::Guaranteed { impressions_count: 9 });
        s.world.edit_campaign(rival, |campaign| campaign.roadblock = true);
        let ad = s.world.ad(rival, "https://goods.example/two");
        s.world.version(ad, Shape::Banner(SIZES[0]), 1);
        s.world.approve(ad);
        s.world.edit_ad_set(s.set, |set| set.tier = Tier::Guaranteed { impressions_count: 9 });
        s.request.seed = (0..).find(|seed| loses_both(&s.world, s.set, &s.request, *seed)).unwrap();
    });
    seen.check("political_first", "decided first and without knowing the visitor", |s| {
        let rival = s.rival(500_000);
        s.world.edit_campaign(rival, |campaign| campaign.political = Some(declaration()));
        // Worth more, but there only because of where the visitor is.
        s.target(Dimension::Country, Op::In, &["FR"]);
        s.request.location.country = Some(*b"FR");
    });
    seen.check("outbid", "Lost the auction to another ad set, nothing being known of the visitor", |s| {
        s.political();
        s.rival(2_000_000);
    });
    seen.check("won", "Won the auction at its own price: worth 1.0000 EUR per thousand", |s| {
        s.world.publisher(|p| p.auction = AuctionKind::FirstPrice);
        s.rival(600_000);
    });
    seen.check("won", "one of 2 places sold together: worth 0.5000 EUR per thousand here", |s| {
        s.world.publisher(|p| p.auction = AuctionKind::Vcg);
        s.second_place();
        s.world.edit_placement(|p| p.slot_weight_ppm = 500_000);
        s.rival(2_000_000);
    });
    seen.check("outbid", "Lost the auction to set_2 by value: 1.0000 EUR per thousand against 2.0000", |s| {
        s.rival(2_000_000);
    });
    seen.check("held_out", "its experiment holds this one out", |s| {
        let arm = |name: &str, share_ppm, holdout| ArmSpec {
            name: name.into(),
            share_ppm,
            ads: Vec::new(),
            versions: Vec::new(),
            holdout,
        };
        let arms = vec![arm("none", 999_999, true), arm("shown", 1, false)];
        let experiment = ExperimentSpec { name: "e".into(), unit: ExperimentUnit::PlacementHour, arms };
        s.world.edit_ad_set(s.set, |set| set.experiment = Some(experiment));
    });
    seen.check("won", "the next was set_2 with 0.6000 EUR per thousand", |s| {
        s.rival(600_000);
    });
}

fn loses_both(world: &World, id: AdSetId, request: &Request, seed: u64) -> bool {
    let request = Request { seed, ..request.clone() };
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let decision = decide(&snapshot, &Tables::default(), &request, &RecordedGate::default(), &mut |_, _| ());
    decision.fills().count() == 2 && decision.fills().all(|fill| fill.ad_set != id)
}
fn loses(world: &World, id: AdSetId, seed: u64) -> bool {
    let request = Request::bare(noon(), seed, SiteId(1), vec![PlacementId(1)]);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let decision = decide(&snapshot, &Tables::default(), &request, &RecordedGate::default(), &mut |_, _| ());
    decision.fills().all(|fill| fill.ad_set != id)
}

#[test]
fn every_reason_is_reached() {
    let mut seen = Seen::default();
    standing(&mut seen);
    timing(&mut seen);
    at_the_place(&mut seen);
    frequency(&mut seen);
    lost(&mut seen);
    seen.check("targeting", "", |s| s.target(Dimension::Country, Op::In, &["FR"]));
    let missing: Vec<_> = Stage::ALL.iter().map(|s| s.code()).filter(|c| !seen.0.contains(*c)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// Clauses and requests: whether they match, and the words when they do not.
#[test]
fn targeting_says_which_clause_failed_with_the_requests_value() {
    let mut seen = Seen::default();
    let mut fails = |dimension: &str, op: Op, values: &[&str], words: &str, edit: fn(&mut Request)| {
        seen.check("targeting", words, |s| {
            s.world.apply(Change::SegmentPut {
                id: SegmentId(1),
                spec: SegmentSpec {
                    name: "S".into(),
                    description: String::new(),
                    consent: Some("ads".into()),
                },
            });
            s.target(dimension.parse().unwrap(), op, values);
            edit(&mut s.request);
        });
    };
    fails("country", Op::In, &["FR", "BE"], "wants country to be one of FR, BE; the request has DE", |r| {
        r.location.country = Some(*b"DE")
    });
    fails("country", Op::In, &["FR"], "the request has none", |_| ());
    fails("country", Op::NotIn, &["FR"], "be none of FR; the request has FR", |r| {
        r.location.country = Some(*b"FR")
    });
    fails("language", Op::NotIn, &["fr"], "the request has fr", |_| ());
    fails("hour_of_week", Op::In, &["mon 0-8"], "it is mon 12:00 in Europe/Berlin", |_| ());
    fails("page_url", Op::In, &["*/sport/*"], "the page is https://x.example/", |r| {
        r.page.url = "https://x.example/".into()
    });
    fails("segment", Op::In, &["seg_1"], "none that may be used", |r| r.segments = vec![SegmentId(1)]);
    fails("segment", Op::NotIn, &["seg_1"], "the request has seg_1", |r| {
        r.segments = vec![SegmentId(1)];
        r.consents = vec!["ads".into()];
    });
    fails("key:age", Op::In, &["18"], "the request has 30, 40", |r| {
        r.page.key_values = vec![("age".into(), "30".into()), ("age".into(), "40".into())]
    });
    fails("device", Op::In, &["phone"], "the request has other", |_| ());
    fails("placement", Op::NotIn, &["plc_1"], "the request has plc_1", |_| ());
}

#[test]
fn places_that_cannot_be_served_say_why() {
    let mut world = World::new();
    world.bidder(1_000_000);
    let ask = |catalogue: &Catalogue, site: u32, placements: Vec<PlacementId>| {
        let snapshot = Snapshot::build(catalogue, 1);
        let request = Request::bare(noon(), 1, SiteId(site), placements);
        let decision = explain(&snapshot, &Tables::default(), &request, &RecordedGate::default()).decision;
        match decision.slots.last().unwrap() {
            Slot::Fill(_) => None,
            Slot::NoFill { reason, .. } => Some(*reason),
        }
    };
    let one = vec![PlacementId(1)];
    assert_eq!(ask(&world.catalogue, 1, one.clone()), None);
    assert_eq!(ask(&Catalogue::new(), 1, one.clone()), Some(NoFill::NotSetUp));
    assert_eq!(ask(&world.catalogue, 1, vec![PlacementId(9)]), Some(NoFill::UnknownPlacement));
    assert_eq!(ask(&world.catalogue, 2, one.clone()), Some(NoFill::OtherSite));
    assert_eq!(ask(&world.catalogue, 1, vec![PlacementId(1); 17]), Some(NoFill::TooManyPlacements));
    let last = Some(NoFill::Eliminated(Stage::Separation));
    assert_eq!(ask(&world.catalogue, 1, vec![PlacementId(1); 2]), last);
    let mut paused = world.clone();
    paused.status(EntityRef::Placement(PlacementId(1)), Status::Paused);
    assert_eq!(ask(&paused.catalogue, 1, one.clone()), Some(NoFill::PlacementNotActive));
    let mut paused = world.clone();
    paused.status(EntityRef::Site(SiteId(1)), Status::Paused);
    assert_eq!(ask(&paused.catalogue, 1, one.clone()), Some(NoFill::SiteNotActive));
    world.status(EntityRef::AdSet(AdSetId(1)), Status::Paused);
    assert_eq!(ask(&world.catalogue, 1, one), Some(NoFill::NothingMatches));
}
