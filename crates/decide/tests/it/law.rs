//! Laws by name: P1 (what a political ad may read), D2 (versions and their propensity), separation, shares.

use crate::world::*;
use proptest::prelude::*;
use regie_decide::{Decision, OpenGate, Request, Snapshot, Tables, decide, explain};
use regie_model::{
    AdSetId, Currency, PlacementId, SiteId, VersionId,
    booking::*,
    command::EntityRef,
    targeting::{Dimension, Op},
};
use std::collections::BTreeMap;

fn top(seed: u64) -> Request {
    Request::bare(noon(), seed, SiteId(1), vec![PlacementId(1)])
}
fn ask(snapshot: &Snapshot, request: &Request) -> Decision {
    decide(snapshot, &Tables::default(), request, &OpenGate, &mut |_, _| ())
}
fn winner(snapshot: &Snapshot, request: &Request) -> Option<AdSetId> {
    ask(snapshot, request).fills().next().map(|fill| fill.ad_set)
}

/// Codes of all political ad sets at every placement.
fn political_codes(world: &World, snapshot: &Snapshot, request: &Request) -> Vec<(AdSetId, &'static str)> {
    let political = |id: &AdSetId| {
        let campaign = world.catalogue.ad_sets[id].spec.campaign;
        world.catalogue.campaigns[&campaign].spec.political.is_some()
    };
    let explanation = explain(snapshot, &Tables::default(), request, &OpenGate);
    let all = explanation.placements.into_iter().flat_map(|p| p.ad_sets);
    all.filter(|a| political(&a.ad_set)).map(|a| (a.ad_set, a.code)).collect()
}

/// Makes every campaign political, whatever its targeting, as if it had been booked before the law.
fn all_political(world: &mut World) {
    for id in world.catalogue.ad_sets.keys().copied().collect::<Vec<_>>() {
        world.edit_campaign(id, |campaign| campaign.political = Some(declaration()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    /// Law P1: among political ads alone, no personal fact changes anything.
    #[test]
    fn personal_facts_never_change_a_political_decision(seed: u64, ad_sets_count in 1u64..30) {
        let mut chance = Chance(seed);
        let mut world = random_world(&mut chance, ad_sets_count);
        all_political(&mut world);
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let mut request = random_request(&mut chance, &world);
        let before = ask(&snapshot, &request);
        for _ in 0..4 {
            personalise(&mut chance, &mut request);
            prop_assert_eq!(&ask(&snapshot, &request), &before);
        }
    }

    /// Law P1 in a mixed catalogue: no personal fact changes which political ads are candidates.
    #[test]
    fn personal_facts_never_change_the_political_candidates(seed: u64, ad_sets_count in 1u64..30) {
        let mut chance = Chance(seed);
        let world = random_world(&mut chance, ad_sets_count);
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let mut request = random_request(&mut chance, &world);
        request.placements.truncate(1);
        // Losing to a commercial ad is not a matter of candidacy.
        let candidates = |request: &Request| {
            let mut codes = political_codes(&world, &snapshot, request);
            for (_, code) in &mut codes {
                if ["won", "outbid", "earlier_tier", "not_drawn"].contains(code) { *code = "candidate"; }
            }
            codes
        };
        let before = candidates(&request);
        for _ in 0..4 {
            personalise(&mut chance, &mut request);
            prop_assert_eq!(&candidates(&request), &before);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    /// Law P1 in a mixed catalogue, several places, every tier and kind of auction: where a political ad is shown,
    /// which version, at which price, and why the others were not, never depends on a personal fact.
    #[test]
    fn personal_facts_never_change_what_becomes_of_political_ads(seed: u64, ad_sets_count in 1u64..40) {
        let mut chance = Chance(seed);
        let world = random_world(&mut chance, ad_sets_count);
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let mut request = random_request(&mut chance, &world);
        let shown = |request: &Request| {
            let decision = ask(&snapshot, request);
            let fills = decision.slots.into_iter().map(|slot| match slot {
                regie_decide::Slot::Fill(fill) if fill.political => Some(fill),
                _ => None,
            });
            let joint = decision.joint.into_iter().filter(|joint| joint.contextual);
            (fills.collect::<Vec<_>>(), joint.collect::<Vec<_>>(), political_codes(&world, &snapshot, request))
        };
        let before = shown(&request);
        for _ in 0..3 {
            personalise(&mut chance, &mut request);
            prop_assert_eq!(&shown(&request), &before);
        }
    }
}

/// A commercial ad that is there only because of a personal fact neither outbids a political one nor sets its price.
#[test]
fn a_personal_rival_does_not_touch_a_political_ad() {
    let mut world = World::new();
    let political = world.bidder(1_000_000);
    world.edit_campaign(political, |campaign| campaign.political = Some(declaration()));
    let contextual = world.bidder(700_000);
    let personal = world.bidder(9_000_000);
    world.edit_ad_set(personal, |set| {
        set.targeting.clauses = vec![clause(Dimension::City, Op::In, &["paris"])]
    });
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let mut request = top(1);
    request.location.city = Some("paris".into());
    let got = ask(&snapshot, &request).fills().map(|f| (f.ad_set, f.price_nanos)).collect::<Vec<_>>();
    assert_eq!(got, [(political, 700_000)]);
    // It loses to what needs nothing of the visitor; then everything counts again, and who kept it out pays for that.
    world.edit_ad_set(contextual, |set| set.bid = Bid::Cpm { micros_per_mille: 3_000_000 });
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let got = ask(&snapshot, &request).fills().map(|f| (f.ad_set, f.price_nanos)).collect::<Vec<_>>();
    assert_eq!(got, [(personal, 3_000_000)]);
    request.location.city = None;
    let got = ask(&snapshot, &request).fills().map(|f| (f.ad_set, f.price_nanos)).collect::<Vec<_>>();
    assert_eq!(got, [(contextual, 1_000_000)]);
}

/// A roadblock takes all places or none; its share is of requests, and the others keep theirs of each place.
#[test]
fn a_roadblock_takes_all_places_or_none() {
    let mut world = World::new();
    world.placement(2, placement(SiteId(1), "side"));
    let block = world.bidder(4_000_000);
    world.edit_campaign(block, |campaign| campaign.roadblock = true);
    world.edit_ad_set(block, |set| set.tier = Tier::Sponsorship { share_ppm: 300_000 });
    let sponsors = [world.bidder(1_000_000), world.bidder(1_000_000)];
    for (sponsor, place) in sponsors.into_iter().zip(["plc_1", "plc_2"]) {
        world.edit_ad_set(sponsor, |set| {
            set.tier = Tier::Sponsorship { share_ppm: 500_000 };
            set.targeting.clauses = vec![clause(Dimension::Placement, Op::In, &[place])];
        });
    }
    let mut request = top(0);
    request.placements = vec![PlacementId(1), PlacementId(2)];
    let count = |world: &World| {
        let snapshot = Snapshot::build(&world.catalogue, 1);
        let mut counts = [0u32; 4];
        for seed in 0..10_000 {
            let decision = ask(&snapshot, &Request { seed, ..request.clone() });
            let by = |set: AdSetId| decision.fills().filter(|fill| fill.ad_set == set).count();
            counts[by(block)] += 1;
            counts[2] += u32::from(by(block) == 0 && by(sponsors[0]) == 1);
            counts[3] += u32::from(by(sponsors[1]) == 1);
        }
        counts
    };
    // One ad for two places: never.
    assert_eq!(count(&world)[..2], [10_000, 0]);
    let ad = world.ad(block, "https://goods.example/two");
    world.version(ad, Shape::Banner(SIZES[0]), 1);
    world.approve(ad);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let taken = (0..10_000).filter(|seed| {
        let decision = ask(&snapshot, &Request { seed: *seed, ..request.clone() });
        let own = decision.fills().filter(|fill| fill.ad_set == block).count();
        assert!(own == 0 || own == 2);
        own == 2
    });
    let taken = taken.count();
    assert!((2_800..3_200).contains(&taken), "{taken}");
    for (at, sponsor) in sponsors.into_iter().enumerate() {
        let shows = |seed: &u64| {
            let decision = ask(&snapshot, &Request { seed: *seed, ..request.clone() });
            decision.fills().any(|fill| fill.ad_set == sponsor)
        };
        let shown = (0..10_000).filter(shows).count();
        assert!((4_800..5_200).contains(&shown), "sponsor {at}: {shown}");
    }
}

fn political_bidder(world: &mut World, dimension: Dimension, op: Op, values: &[&str]) -> AdSetId {
    let id = world.bidder(1_000_000);
    world.edit_campaign(id, |campaign| campaign.political = Some(declaration()));
    world.edit_ad_set(id, |set| set.targeting.clauses = vec![clause(dimension, op, values)]);
    id
}

#[test]
fn location_counts_for_political_ads_only_where_switched_on() {
    let mut world = World::new();
    let id = political_bidder(&mut world, Dimension::Country, Op::In, &["FR"]);
    let mut request = top(1);
    request.location.country = Some(*b"FR");
    assert_eq!(winner(&Snapshot::build(&world.catalogue, 1), &request), None);
    world.publisher(|p| p.political_location = true);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    assert_eq!(winner(&snapshot, &request), Some(id));
    request.location.country = Some(*b"DE");
    assert_eq!(winner(&snapshot, &request), None);
}

#[test]
fn a_political_ad_set_that_names_a_personal_fact_never_delivers() {
    // NOT IN would match every request if the fact were only left out.
    for dimension in
        [Dimension::City, Dimension::AgeBand, Dimension::Os, Dimension::Segment, Dimension::Key("age".into())]
    {
        let mut world = World::new();
        let id = political_bidder(&mut world, dimension.clone(), Op::NotIn, &["x"]);
        let snapshot = Snapshot::build(&world.catalogue, 1);
        assert_eq!(winner(&snapshot, &top(1)), None, "{dimension}");
        assert_eq!(snapshot.standing(id).unwrap().code(), "political_targeting");
    }
    let mut world = World::new();
    let id = political_bidder(&mut world, Dimension::Key("section".into()), Op::In, &["news"]);
    let mut request = top(1);
    request.page.key_values = vec![("section".into(), "news".into())];
    assert_eq!(winner(&Snapshot::build(&world.catalogue, 1), &request), Some(id));
}

/// Law D2: propensities are the weights over their sum, sum to 1, and are what is drawn.
#[test]
fn versions_are_drawn_by_their_propensity() {
    let mut world = World::new();
    let set = world.bidder(1_000_000);
    let mut weights = BTreeMap::from([(VersionId(1), 1u32)]);
    for weight in [2, 3, 10] {
        let ad = world.ad(set, "https://goods.example/");
        weights.insert(world.version(ad, Shape::Banner(SIZES[0]), weight), weight);
        weights.insert(world.version(ad, Shape::Banner(SIZES[0]), weight), weight);
        world.version(ad, Shape::Banner(SIZES[1]), 50);
        world.approve(ad);
    }
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let sum: u32 = weights.values().sum();
    let (mut drawn, mut propensities) = (BTreeMap::<VersionId, u32>::new(), BTreeMap::new());
    let count = 60_000;
    for seed in 0..count {
        let decision = ask(&snapshot, &top(seed));
        let fill = decision.fills().next().unwrap();
        *drawn.entry(fill.version).or_default() += 1;
        propensities.insert(fill.version, fill.propensity);
        assert_eq!(fill.propensity, f64::from(weights[&fill.version]) / f64::from(sum));
    }
    assert_eq!(drawn.len(), weights.len(), "versions of another size are not drawn");
    assert!((propensities.values().sum::<f64>() - 1.0).abs() < 1e-12);
    for (version, times) in drawn {
        let want = propensities[&version];
        let sigma = (want * (1.0 - want) / count as f64).sqrt();
        let got = f64::from(times) / count as f64;
        assert!((got - want).abs() < 4.5 * sigma, "{version}: {got} against {want}");
    }
}

#[test]
fn what_is_approved_is_served_while_an_edit_waits() {
    let mut world = World::new();
    let set = world.bidder(1_000_000);
    let ad = world.catalogue.ads_of[&set][0];
    let version = world.catalogue.versions_of(ad)[0];
    let approved = world.version_state(version).approved.unwrap().0;
    let mut record = world.version_state(version).kept.spec;
    record.creative = regie_model::creative::ObjectHash::of(b"pending");
    record.shape = Shape::Banner(SIZES[1]);
    world.apply(regie_model::command::Change::VersionPut { id: version, record });
    let decision = ask(&Snapshot::build(&world.catalogue, 1), &top(1));
    let fill = decision.fills().next().unwrap();
    assert_eq!((fill.creative, fill.shape), (approved, Shape::Banner(SIZES[0])));
}

#[test]
fn competitors_and_one_advertiser_never_share_a_request() {
    let mut world = World::new();
    let spec = placement(SiteId(1), "side");
    world.placement(2, spec);
    let first = world.bidder(3_000_000);
    let rival = world.bidder(2_000_000);
    for id in [first, rival] {
        world.edit_advertiser(id, |a| a.categories = vec!["Shoes".into()]);
    }
    let campaign = world.catalogue.ad_sets[&first].spec.campaign;
    world.ready(ad_set(campaign, 2_500_000));
    let other = world.bidder(500_000);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let mut request = top(1);
    request.placements = vec![PlacementId(1), PlacementId(2)];
    let got: Vec<_> = ask(&snapshot, &request).fills().map(|f| f.ad_set).collect();
    assert_eq!(got, [first, other]);
}

#[test]
fn sponsors_get_their_share_and_take_the_place_before_the_auction() {
    let mut world = World::new();
    let (sponsor, bidder) = (world.bidder(1_000_000), world.bidder(90_000_000));
    world.edit_ad_set(sponsor, |set| set.tier = Tier::Sponsorship { share_ppm: 250_000 });
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let count = 20_000;
    let won = (0..count).filter(|seed| winner(&snapshot, &top(*seed)) == Some(sponsor)).count();
    assert!((4_700..5_300).contains(&won), "{won}");
    let rest = (0..count).filter(|seed| winner(&snapshot, &top(*seed)) == Some(bidder)).count();
    assert_eq!(won + rest, count as usize);
    let decision =
        ask(&snapshot, &top((0..count).find(|s| winner(&snapshot, &top(*s)) == Some(sponsor)).unwrap()));
    assert_eq!(decision.fills().next().unwrap().price_nanos, 1_000_000, "a sponsor pays its price in full");
}

#[test]
fn an_advertiser_does_not_bid_against_itself() {
    let mut world = World::new();
    let high = world.bidder(5_000_000);
    let campaign = world.catalogue.ad_sets[&high].spec.campaign;
    world.ready(ad_set(campaign, 4_000_000));
    let rival = world.bidder(1_500_000);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    let decision = ask(&snapshot, &top(1));
    let fill = decision.fills().next().unwrap();
    assert_eq!((fill.ad_set, fill.price_nanos), (high, 1_500_000));
    world.status(EntityRef::AdSet(rival), Status::Paused);
    let snapshot = Snapshot::build(&world.catalogue, 1);
    assert_eq!(ask(&snapshot, &top(1)).fills().next().unwrap().price_nanos, 0, "no rival, no floor");
}

#[test]
fn prices_convert_by_the_dated_rate_and_round_down() {
    let mut world = World::new();
    let dollar = world.bidder(2_000_000);
    world.edit_advertiser(dollar, |a| a.currency = USD);
    world.bidder(1_000_001);
    let decision = ask(&Snapshot::build(&world.catalogue, 1), &top(1));
    let fill = decision.fills().next().unwrap();
    // 1,000,001 EUR nanos at 0.923456789 EUR a dollar.
    assert_eq!((fill.ad_set, fill.currency, fill.price_nanos), (dollar, USD, 1_082_888));
    assert_eq!(fill.rate_nanos, 923_456_789);
    world.edit_placement(|p| {
        p.floors =
            vec![Floor { tier: TierKind::Auction, currency: Currency::EUR, micros_per_mille: 1_500_000 }];
    });
    let decision = ask(&Snapshot::build(&world.catalogue, 1), &top(1));
    // The floor, rounded up into dollars.
    assert_eq!(decision.fills().next().unwrap().price_nanos, 1_624_332);
}

#[test]
fn clicks_are_priced_by_the_predicted_rate() {
    let mut world = World::new();
    let click = world.bidder(1);
    world.edit_ad_set(click, |s| s.bid = Bid::Cpc { micros_per_click: 3_000_000 });
    world.bidder(1_000_000);
    // At the prior click rate of 0.1% a click bid of 3.00 is worth 3.00 per thousand impressions.
    let decision = ask(&Snapshot::build(&world.catalogue, 1), &top(1));
    let fill = decision.fills().next().unwrap();
    assert_eq!((fill.ad_set, fill.price_nanos, fill.hold_nanos), (click, 1_000_000_000, 1_000_000));
    assert!((fill.predicted_rate - 0.001).abs() < 1e-9);
}

#[test]
fn a_snapshot_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Snapshot>();
    shared::<Tables>();
}
