//! The fold and what follows from it.

use super::{
    list::{Offered, Wanted, table},
    *,
};
use crate::stream::Stream;
use regie_model::{
    AdvertiserId, Currency, SiteId, UtcMs,
    booking::*,
    event::{Actor, Booked, Traffic},
    ticket::{DeviceClass, TicketId},
};

fn ticket(sequence: u64, version: u32, device: DeviceClass) -> Ticket {
    Ticket {
        key_id: 1,
        id: TicketId { epoch: 1, sequence },
        issued_at: UtcMs(1_000 * sequence as i64),
        site: SiteId(1),
        placement: PlacementId(1 + (sequence % 3) as u32),
        advertiser: AdvertiserId(1),
        campaign: CampaignId(1),
        ad_set: AdSetId(1),
        ad: AdId(1 + version / 100),
        version: VersionId(version),
        tier: TierKind::Auction,
        billing: Billing::Click,
        price_nanos: 1,
        currency: Currency::EUR,
        rate_nanos: 1_000_000_000,
        propensity: 0.5,
        predicted_rate: 0.02,
        creative: [0; 16],
        country: [0; 2],
        device,
        political: false,
        sampled: false,
        snapshot: 1,
    }
}
fn set_put(learning: Option<LearningSpec>, experiment: Option<ExperimentSpec>) -> Event {
    let spec = AdSetSpec {
        campaign: CampaignId(1),
        name: "Set".into(),
        targeting: Default::default(),
        bid: Bid::Cpc { micros_per_click: 1_000_000 },
        tier: Tier::Auction,
        pacing: Pacing::Even,
        caps: Vec::new(),
        flight: None,
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        external_id: None,
        experiment,
        learning,
    };
    let change = Change::AdSetPut { id: AdSetId(1), spec };
    Event::Booked(Box::new(Booked { by: Actor::Operator, at: UtcMs(0), change }))
}
fn wanted(spec: &LearningSpec, seed: u64) -> Wanted<'_> {
    Wanted { spec, base_rate: 0.02, seed }
}
fn offered(versions: impl IntoIterator<Item = u32>) -> Vec<Offered> {
    versions.into_iter().map(|v| Offered { ad: AdId(1 + v / 100), version: VersionId(v), shape: 0 }).collect()
}
/// Shows a version so often, with this rate.
fn show(
    fold: &mut Served,
    stream: &mut Stream,
    position: &mut u64,
    what: (u32, DeviceClass),
    times: u32,
    rate: f64,
) {
    for _ in 0..times {
        *position += 1;
        let ticket = ticket(*position, what.0, what.1);
        fold.apply(*position, &Event::Impression(ticket), true, 0);
        if stream.unit() < rate {
            *position += 1;
            fold.apply(*position, &Event::Click(ticket), true, 1);
        }
    }
}

#[test]
fn counts_once_what_the_ledger_counts_and_an_edit_resets_nothing() {
    let mut fold = Served::default();
    fold.apply(1, &set_put(Some(LearningSpec::default()), None), false, 0);
    let first = ticket(1, 7, DeviceClass::Phone);
    fold.apply(2, &Event::Impression(first), true, 0);
    fold.apply(3, &Event::Impression(first), false, 0);
    fold.apply(4, &Event::Click(first), true, 250);
    fold.apply(4, &Event::Click(first), true, 250);
    let device = LearningSpec { context: LearningContext::Device, ..LearningSpec::default() };
    fold.apply(5, &set_put(Some(device), None), false, 0);
    fold.apply(6, &Event::Impression(ticket(2, 7, DeviceClass::Phone)), true, 0);
    let seen = fold.set(AdSetId(1)).unwrap();
    let counts = seen.version(AdId(1), VersionId(7));
    assert_eq!((counts.impressions_count, counts.clicks_count, counts.spend_nanos), (2, 1, 250));
    let here = CellKey {
        ad: AdId(1),
        version: VersionId(7),
        context: LearningContext::Device,
        number: DeviceClass::Phone as u16,
    };
    assert_eq!(seen.cells[&here].impressions_count, 1);
    assert_eq!(fold.calibration.summary(Billing::Click).unwrap().actions_count, 1);
    // As bytes and back; and the same again from the same records.
    let bytes = serde_json::to_vec(&fold.calibration).unwrap();
    assert_eq!(serde_json::from_slice::<Calibration>(&bytes).unwrap(), fold.calibration);
    assert_eq!(fold.take_fresh().len(), 2);
    assert!(fold.take_fresh().is_empty());
}

#[test]
fn the_better_version_is_found_and_exploring_stays_within_its_cap() {
    let spec = LearningSpec { explore_ppm: 50_000, ..LearningSpec::default() };
    let (mut fold, mut stream, mut position) = (Served::default(), Stream::new(4, 1), 1);
    fold.apply(1, &set_put(Some(spec.clone()), None), false, 0);
    for (version, rate) in [(1, 0.02), (2, 0.05), (3, 0.03)] {
        show(&mut fold, &mut stream, &mut position, (version, DeviceClass::Phone), 6_000, rate);
    }
    let made = table(fold.set(AdSetId(1)), &offered([1, 2, 3, 250]), wanted(&spec, 9));
    let part = &made.parts[0];
    assert_eq!(made.explore_ppm, 10_000);
    assert_eq!(part.winners[0].of.version, VersionId(2));
    assert!(part.winners[0].draws_count > 50, "{part:?}");
    assert!(part.price() <= 0.05 + 1e-9, "{}", part.price());
    assert_eq!(part.winners.iter().map(|w| u32::from(w.draws_count)).sum::<u32>(), 64);
    assert_eq!(made, table(fold.set(AdSetId(1)), &offered([1, 2, 3, 250]), wanted(&spec, 9)), "law D1");
    let without = table(fold.set(AdSetId(1)), &offered([1, 3]), wanted(&spec, 9));
    assert!(without.parts[0].winners.iter().all(|w| w.of.version != VersionId(2)), "it left");
    let nothing = table(None, &offered(1..90), wanted(&spec, 9));
    assert_eq!(nothing.parts[0].winners.iter().map(|w| u32::from(w.draws_count)).sum::<u32>(), 64);
}

#[test]
fn each_shape_has_winners_of_its_own() {
    let spec = LearningSpec::default();
    let (mut fold, mut stream, mut position) = (Served::default(), Stream::new(14, 1), 1);
    fold.apply(1, &set_put(Some(spec.clone()), None), false, 0);
    for (version, rate) in [(1, 0.08), (2, 0.06), (3, 0.01), (4, 0.03)] {
        show(&mut fold, &mut stream, &mut position, (version, DeviceClass::Phone), 4_000, rate);
    }
    let mut list = offered([1, 2, 3, 4]);
    list.iter_mut().for_each(|o| o.shape = u32::from(o.version.0 > 2));
    let made = table(fold.set(AdSetId(1)), &list, wanted(&spec, 9));
    let won = |version| {
        made.parts[0].winners.iter().find(|w| w.of.version == VersionId(version)).map_or(0, |w| w.draws_count)
    };
    assert!(won(1) > 50 && won(4) > 50, "{made:?}");
    assert_eq!(won(1) + won(2), 64);
}

#[test]
fn a_context_that_differs_gets_its_own_winner_and_one_that_says_nothing_the_common_one() {
    let spec = LearningSpec { context: LearningContext::Device, ..LearningSpec::default() };
    let (mut fold, mut stream, mut position) = (Served::default(), Stream::new(5, 1), 1);
    fold.apply(1, &set_put(Some(spec.clone()), None), false, 0);
    for (version, phone, desktop) in [(1, 0.06, 0.02), (2, 0.02, 0.06), (3, 0.02, 0.02)] {
        show(&mut fold, &mut stream, &mut position, (version, DeviceClass::Phone), 4_000, phone);
        show(&mut fold, &mut stream, &mut position, (version, DeviceClass::Desktop), 4_000, desktop);
    }
    let made = table(fold.set(AdSetId(1)), &offered([1, 2, 3]), wanted(&spec, 3));
    let best = |device: DeviceClass| made.parts[device as usize].winners[0].of.version;
    assert_eq!((best(DeviceClass::Phone), best(DeviceClass::Desktop)), (VersionId(1), VersionId(2)));
    let tv = &made.parts[DeviceClass::Tv as usize];
    assert!(!tv.winners.is_empty() && tv.winners.iter().all(|w| w.of.version != VersionId(3)), "{tv:?}");
}

#[test]
fn a_guardrail_keeps_the_whole_above_its_part_of_control() {
    let guardrail = Some(Guardrail { control: VersionId(1), least_ppm: 950_000 });
    let spec = LearningSpec { explore_ppm: 500_000, guardrail, ..LearningSpec::default() };
    let (mut fold, mut stream, mut position) = (Served::default(), Stream::new(6, 1), 1);
    fold.apply(1, &set_put(Some(spec.clone()), None), false, 0);
    show(&mut fold, &mut stream, &mut position, (1, DeviceClass::Phone), 20_000, 0.05);
    for version in 2..12 {
        show(&mut fold, &mut stream, &mut position, (version, DeviceClass::Phone), 300, 0.02);
    }
    let made = table(fold.set(AdSetId(1)), &offered(1..12), wanted(&spec, 3));
    let bare = LearningSpec { guardrail: None, ..spec.clone() };
    let free = table(fold.set(AdSetId(1)), &offered(1..12), wanted(&bare, 3));
    let part = &made.parts[0];
    let control = part.winners.iter().find(|w| w.of.version == VersionId(1)).unwrap();
    // What is drawn by booked weight explores too, so that the promise is about the whole.
    assert!(part.expected >= 0.95 * control.rate - 1e-9 || part.winners.len() == 1, "{part:?}");
    assert!(part.expected >= free.parts[0].expected);
}

#[test]
fn value_for_money_counts_spend_and_not_showings() {
    let spec = LearningSpec { goal: LearningGoal::Value, ..LearningSpec::default() };
    let mut fold = Served::default();
    fold.apply(1, &set_put(Some(spec.clone()), None), false, 0);
    let mut position = 1;
    // The second version brings as much value as the first, at half the price.
    for (version, price) in [(1, 2_000), (2, 1_000)] {
        for n in 0..3_000 {
            position += 1;
            let ticket = ticket(position, version, DeviceClass::Phone);
            fold.apply(position, &Event::Impression(ticket), true, price);
            if n % 20 == 0 {
                position += 1;
                let conversion = regie_model::event::Conversion {
                    ticket,
                    clicked_at: ticket.issued_at,
                    action: "order".into(),
                    order: [0; 16],
                    value_micros: 30_000_000,
                    source: regie_model::event::ConversionSource::Server,
                };
                fold.apply(position, &Event::Conversion(Box::new(conversion)), true, 0);
            }
        }
    }
    let made = table(fold.set(AdSetId(1)), &offered([1, 2]), wanted(&spec, 3));
    let [first, second] =
        [&made.parts[0].winners[0], made.parts[0].winners.get(1).unwrap_or(&made.parts[0].winners[0])];
    assert_eq!(first.of.version, VersionId(2), "{made:?}");
    assert!(first.rate >= second.rate);
}

#[test]
fn experiments_are_counted_by_phase_arm_and_exposure_and_reported_in_words() {
    let arm = |name: &str, versions: &[u32], share_ppm| ArmSpec {
        name: name.into(),
        share_ppm,
        ads: Vec::new(),
        versions: versions.iter().map(|v| VersionId(*v)).collect(),
        holdout: false,
    };
    let experiment = |share: u32| ExperimentSpec {
        name: "words".into(),
        unit: ExperimentUnit::PageView,
        arms: vec![arm("old words", &[1], share), arm("new words", &[2], 1_000_000 - share)],
    };
    let (mut fold, mut stream, mut position) = (Served::default(), Stream::new(8, 1), 1);
    fold.apply(1, &set_put(None, Some(experiment(500_000))), false, 0);
    for _ in 0..40 {
        show(&mut fold, &mut stream, &mut position, (1, DeviceClass::Phone), 100, 0.02);
        show(&mut fold, &mut stream, &mut position, (2, DeviceClass::Phone), 100, 0.06);
    }
    let hour = 1 + position as i64 * 1_000 / 3_600_000;
    let seen = fold.set(AdSetId(1)).unwrap();
    let report = seen.trials.current().unwrap().report(LearningGoal::Clicks, hour, &[]).unwrap();
    assert!(
        report.sentences[0].starts_with("new words does better than old words"),
        "{:?}",
        report.sentences
    );
    assert_eq!(report.arms[0].units, 4_000);
    assert!(report.arms[1].against.as_ref().unwrap().discovered);
    assert!(report.warnings.iter().any(|w| w.contains("one budget")), "interference is said");
    let early = seen.trials.current().unwrap().report(LearningGoal::Clicks, 1, &[]).unwrap();
    assert!(early.arms[0].units < 4_000, "hours that are open do not count");
    // Other shares: a new phase, with its own counts; a mismatch is told.
    fold.apply(position + 1, &set_put(None, Some(experiment(800_000))), false, 0);
    position += 1;
    show(&mut fold, &mut stream, &mut position, (1, DeviceClass::Phone), 500, 0.02);
    show(&mut fold, &mut stream, &mut position, (2, DeviceClass::Phone), 500, 0.02);
    let trials = &fold.set(AdSetId(1)).unwrap().trials;
    let second = trials.current().unwrap().report(LearningGoal::Clicks, i64::MAX, &[]).unwrap();
    assert_eq!((trials.phases().len(), second.arms[0].units), (2, 500));
    assert!(second.warnings[0].contains("something other than chance"), "{:?}", second.warnings);
}

#[test]
fn ghosts_of_a_holdout_are_counted_by_hour() {
    let arm = |holdout: bool| ArmSpec {
        name: holdout.to_string(),
        share_ppm: 500_000,
        ads: Vec::new(),
        versions: Vec::new(),
        holdout,
    };
    let experiment = ExperimentSpec {
        name: "hold".into(),
        unit: ExperimentUnit::PlacementHour,
        arms: vec![arm(true), arm(false)],
    };
    let mut fold = Served::default();
    fold.apply(1, &set_put(None, Some(experiment)), false, 0);
    let traffic = |minute| {
        let eliminated = vec![(AdSetId(1), "held_out".to_owned(), 5), (AdSetId(1), "paced".to_owned(), 9)];
        Event::Traffic(Box::new(Traffic { minute, eliminated, ..Traffic::default() }))
    };
    fold.apply(2, &traffic(30), false, 0);
    fold.apply(3, &traffic(90), false, 0);
    let trial = fold.set(AdSetId(1)).unwrap().trials.current().unwrap();
    assert_eq!((trial.ghosts_count(1), trial.ghosts_count(2)), (5, 10));
    assert_eq!(trial.report(LearningGoal::Clicks, i64::MAX, &[]), None, "nothing to compare clicks with");
}
