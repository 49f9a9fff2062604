//! The day itself: requests, decisions, impressions and clicks that come later, charges, updates of the controller.

use super::{
    outcome::{BudgetDay, Report},
    world::{Bidder, COUNTRIES, Options, TOPICS, World},
};
use regie_decide::{
    BudgetGate, Fill, PPM, Request, Row, Snapshot, Tables,
    pacing::{Budget, BudgetKey, Controller, Paced, TrafficShape},
    rates::PPB,
};
use regie_model::{
    AdSetId, HourOfWeek, PlacementId, SiteId, UtcMs,
    event::Event,
    ticket::{Billing, DeviceClass, Ticket, TicketId},
    time::{DAY_MS, HOUR_MS},
};
use std::collections::VecDeque;

/// After how long a shown ad is known to be shown.
const IMPRESSION_MS: i64 = 3_000;
/// After how long a click comes.
const CLICK_MS: i64 = 20_000;
/// How long the expected charge of a click is held, as at the product's gate.
const CLICK_HOLD_MS: i64 = 600_000;
/// Courses are looked at this often.
const SAMPLE_MS: i64 = 300_000;

/// Told about once in a simulated hour: (hours done, of 24).
pub type Progress<'a> = &'a mut dyn FnMut(u32, u32);

/// How far one budget and the traffic had come at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Share of the day's expected traffic that had passed, by the site's true usual day.
    pub curve: f64,
    /// Share of the budget that was spent.
    pub spent: f64,
    /// What its bid counted for.
    pub multiplier: f64,
    /// What an unpaced replay would have spent until then, share of the budget.
    pub possible: f64,
}

/// Holds of tickets that are out: as the product's gate, for one budget by ad set.
struct Gate {
    remaining: Vec<i64>,
    held: Vec<i64>,
    /// Holds of clicks, to be let go at a time.
    expiring: VecDeque<(i64, usize, i64)>,
}
impl BudgetGate for Gate {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        let at = ad_set.0 as usize - 1;
        self.remaining[at] - self.held[at] <= 0
    }
}

/// Something that will be reported.
struct Due {
    at: i64,
    click: bool,
    ticket: Ticket,
    hold: i64,
}

struct Day<'a> {
    world: World,
    snapshot: Snapshot,
    shape: TrafficShape,
    controller: Controller,
    gate: Gate,
    shown: VecDeque<Due>,
    clicked: VecDeque<Due>,
    sequence: u64,
    /// When the day began.
    start: UtcMs,
    now: i64,
    /// Requests of the hour that runs.
    hour_requests: u64,
    rows: Vec<Row>,
    /// Competitors of each kind of visitor, dearest first: (index, whole value in nanos).
    rivals: Vec<Vec<(usize, f64)>>,
    /// What each would have spent unpaced while all others did what they did.
    possible: Vec<f64>,
    courses: Vec<Vec<Course>>,
    /// Charged, and events, before this day.
    before: Vec<(i128, u64)>,
    report: Report,
    progress: Progress<'a>,
}

/// Simulates days, one after the other, and says how each budget fared on each. On the first nothing is known of
/// the site's traffic unless the options say so, and no budget has a multiplier yet.
pub fn run(options: Options, progress: Progress<'_>) -> Vec<Report> {
    let days_count = options.days_count.max(1);
    let mut day = Day::new(World::new(options), progress);
    let mut reports = Vec::new();
    for _ in 0..days_count {
        let (start, step) = (day.start.0, day.world.options.step_ms.max(1_000));
        let mut next_sample = start;
        while day.now < start + DAY_MS {
            day.update();
            if day.now >= next_sample {
                day.sample();
                next_sample += SAMPLE_MS;
            }
            day.step(step);
        }
        reports.push(day.finish());
    }
    reports
}

impl<'a> Day<'a> {
    fn new(mut world: World, progress: Progress<'a>) -> Day<'a> {
        let count = world.bidders.len();
        let mut shape = TrafficShape::flat();
        if world.options.learned {
            learn(&mut world, &mut shape);
        }
        let rows = rows(&mut world);
        let snapshot = Snapshot::build(&world.catalogue, world.position);
        let rivals = rivals(&world.bidders, &rows);
        let gate = Gate {
            remaining: world.bidders.iter().map(|b| b.total).collect(),
            held: vec![0; count],
            expiring: VecDeque::new(),
        };
        Day {
            start: world.start,
            now: world.start.0,
            hour_requests: 0,
            snapshot,
            shape,
            controller: Controller::default(),
            gate,
            shown: VecDeque::new(),
            clicked: VecDeque::new(),
            sequence: 0,
            rows,
            rivals,
            possible: vec![0.0; count],
            courses: vec![Vec::new(); count],
            before: vec![(0, 0); count],
            report: Report::default(),
            progress,
            world,
        }
    }

    /// What the product does about once a second: budgets from the ledger, multipliers from the controller.
    fn update(&mut self) {
        let (start, now) = (self.start, UtcMs(self.now));
        let ends_at = UtcMs(start.0 + DAY_MS);
        let ledger = &self.world.ledger;
        let spent = |bidder: &Bidder| {
            let view = ledger.campaign_budget(bidder.campaign, now);
            view.map_or(0, |view| i64::try_from(view.gross_today.0).unwrap_or(i64::MAX))
        };
        let budgets = self.world.bidders.iter().map(|bidder| Budget {
            key: BudgetKey::Campaign(bidder.campaign),
            spent: spent(bidder),
            total: bidder.total,
            event: bidder.event,
            starts_at: start,
            ends_at,
        });
        let budgets = budgets.collect::<Vec<_>>();
        let paced = self.world.bidders.iter().map(|bidder| Paced {
            ad_set: bidder.ad_set,
            asap: false,
            bids: true,
            budgets: vec![BudgetKey::Campaign(bidder.campaign)],
            goal: None,
        });
        let paced = paced.collect::<Vec<_>>();
        let passes = self.controller.update(now, (&self.shape, &World::zone()), &budgets, &paced);
        for (row, pass) in self.rows.iter_mut().zip(&passes) {
            *row = pass.row(*row);
        }
        for (remaining, budget) in self.gate.remaining.iter_mut().zip(&budgets) {
            *remaining = budget.total - budget.spent;
        }
    }

    /// Requests of one step, spread evenly over it.
    fn step(&mut self, step: i64) {
        let ids = self.world.bidders.iter().map(|bidder| bidder.ad_set);
        let tables = Tables::new(ids.zip(self.rows.iter().copied())).align(&self.snapshot);
        let usual = World::usual();
        let level = usual.at((self.now - self.start.0) as f64) * self.report_level();
        let mean = self.world.options.requests_count as f64 * level * step as f64 / DAY_MS as f64;
        let count = self.poisson(mean);
        for number in 0..count {
            let at = self.now + step * number as i64 / count.max(1) as i64;
            self.settle(at);
            self.request(at, &tables);
        }
        let before = (self.now - self.start.0) / HOUR_MS;
        self.now += step;
        self.settle(self.now - 1);
        let hour = (self.now - self.start.0) / HOUR_MS;
        if hour != before {
            // As the product does: whole hours that have passed are learned.
            let of_week = World::zone().hour_of_week(UtcMs(self.now - 1));
            self.shape.observe(of_week, std::mem::take(&mut self.hour_requests));
            (self.progress)(hour as u32, 24);
        }
    }
    /// Today is a little busier or quieter than usual, by the hour.
    fn report_level(&self) -> f64 {
        let hour = (self.now - self.start.0) / HOUR_MS;
        let mixed = (self.world.options.seed ^ (hour as u64 + 1 + self.start.0 as u64))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        0.85 + 0.3 * (mixed >> 40) as f64 / (1u64 << 24) as f64
    }
    fn poisson(&mut self, mean: f64) -> u64 {
        let (mut left, mut count) = (mean, 0);
        while left > 0.0 {
            let part = left.min(20.0);
            left -= part;
            let (mut product, limit) = (1.0, (-part).exp());
            loop {
                product *= 1.0 - self.world.random.unit();
                if product <= limit {
                    break;
                }
                count += 1;
            }
        }
        count
    }

    fn request(&mut self, at: i64, tables: &Tables) {
        let random = &mut self.world.random;
        let topic = random.bits() as usize % TOPICS.len();
        let country = random.weighted(COUNTRIES.iter().map(|(_, share)| *share));
        let seed = random.bits();
        let mut request = Request::bare(UtcMs(at), seed, SiteId(1), vec![PlacementId(1)]);
        request.page.topics = vec![TOPICS[topic].to_owned()];
        let letters = COUNTRIES[country].0.as_bytes();
        request.location.country = Some([letters[0], letters[1]]);
        let decision = regie_decide::decide(&self.snapshot, tables, &request, &self.gate, &mut |_, _| ());
        self.report.requests_count += 1;
        self.hour_requests += 1;
        let fill = decision.fills().next().cloned();
        self.foresee(topic * COUNTRIES.len() + country, fill.as_ref());
        if let Some(fill) = fill {
            self.show(at, &fill);
        }
    }

    /// What everybody would have paid for this request unpaced, all others as they were.
    fn foresee(&mut self, kind: usize, fill: Option<&Fill>) {
        let floor = super::world::FLOOR as f64;
        let (winner, score, paid) = match fill {
            None => (usize::MAX, floor, 0.0),
            Some(fill) => {
                let index = fill.ad_set.0 as usize - 1;
                let paid = fill.price_nanos as f64 * f64::from(fill.predicted_rate);
                let counts = f64::from(self.rows[index].multiplier_ppm) / f64::from(PPM);
                (index, (self.value(index) * counts).max(floor), paid)
            }
        };
        for (index, value) in &self.rivals[kind] {
            if *value < score {
                break;
            }
            if *index != winner {
                self.possible[*index] += score;
            }
        }
        if winner != usize::MAX {
            self.possible[winner] += paid;
        }
    }
    /// Whole value of an impression, as the product predicts it.
    fn value(&self, index: usize) -> f64 {
        value(&self.world.bidders[index], &self.rows[index])
    }

    fn show(&mut self, at: i64, fill: &Fill) {
        self.sequence += 1;
        self.report.fills_count += 1;
        let index = fill.ad_set.0 as usize - 1;
        let ticket = ticket(fill, self.sequence, at);
        self.gate.held[index] += fill.hold_nanos;
        let hold = if fill.billing == Billing::Impression { fill.hold_nanos } else { 0 };
        self.shown.push_back(Due { at: at + IMPRESSION_MS, click: false, ticket, hold });
        if fill.billing == Billing::Click {
            let clicks = self.world.random.chance(self.world.bidders[index].click_rate);
            if clicks {
                let due = Due { at: at + CLICK_MS, click: true, ticket, hold: fill.hold_nanos };
                self.clicked.push_back(due);
            } else {
                self.gate.expiring.push_back((at + CLICK_HOLD_MS, index, fill.hold_nanos));
            }
        }
    }

    /// Reports what is due by `until`, in order of time.
    fn settle(&mut self, until: i64) {
        loop {
            let first = |queue: &VecDeque<Due>| queue.front().map_or(i64::MAX, |due| due.at);
            let (shown, clicked) = (first(&self.shown), first(&self.clicked));
            if shown.min(clicked) > until || shown.min(clicked) == i64::MAX {
                break;
            }
            let queue = if shown <= clicked { &mut self.shown } else { &mut self.clicked };
            if let Some(due) = queue.pop_front() {
                self.charge(&due);
            }
        }
        while self.gate.expiring.front().is_some_and(|(at, ..)| *at <= until) {
            if let Some((_, index, hold)) = self.gate.expiring.pop_front() {
                self.gate.held[index] -= hold;
            }
        }
    }
    fn charge(&mut self, due: &Due) {
        let event = if due.click { Event::Click(due.ticket) } else { Event::Impression(due.ticket) };
        self.world.position += 1;
        let outcome = self.world.ledger.apply(self.world.position, UtcMs(due.at), &event);
        let index = due.ticket.ad_set.0 as usize - 1;
        self.gate.held[index] -= due.hold;
        match outcome {
            Ok(outcome) => {
                let billed = outcome.billed_nanos().0 as i64;
                self.gate.remaining[index] -= billed;
                self.report.free_nanos += outcome.free_nanos().0 as f64;
                self.report.billed_nanos += billed as f64;
            }
            Err(broken) => self.report.broken.push(broken.to_string()),
        }
    }

    fn sample(&mut self) {
        let usual = World::usual();
        let minutes = (self.now - self.start.0) / 60_000;
        let mass = |until: i64| (0..until).map(|m| usual.at(m as f64 * 60_000.0)).sum::<f64>();
        let curve = mass(minutes) / mass(24 * 60);
        for (index, bidder) in self.world.bidders.iter().enumerate() {
            let spent = 1.0 - self.gate.remaining[index] as f64 / bidder.total as f64;
            let multiplier = f64::from(self.rows[index].multiplier_ppm) / f64::from(PPM);
            let possible = self.possible[index] / bidder.total as f64;
            self.courses[index].push(Course { curve, spent, multiplier, possible });
        }
    }

    /// Ends the day and begins the next.
    fn finish(&mut self) -> Report {
        let end = UtcMs(self.start.0 + DAY_MS - 1);
        let mut report = std::mem::take(&mut self.report);
        for (index, bidder) in self.world.bidders.iter().enumerate() {
            let counts = self.world.ledger.counts(bidder.ad_set);
            let events = if bidder.by_click { counts.clicks_count } else { counts.impressions_count };
            let gross = self.world.ledger.campaign_budget(bidder.campaign, end).map_or(0, |v| v.gross.0);
            let before = &mut self.before[index];
            report.budgets.push(BudgetDay {
                ad_set: bidder.ad_set,
                total_nanos: bidder.total,
                spent_nanos: i64::try_from(gross - before.0).unwrap_or(i64::MAX),
                event_nanos: bidder.event,
                events_count: events - before.1,
                possible_nanos: std::mem::take(&mut self.possible[index]),
                multiplier_ppm: self.rows[index].multiplier_ppm,
                courses: std::mem::take(&mut self.courses[index]),
            });
            *before = (gross, events);
        }
        self.start = UtcMs(self.start.0 + DAY_MS);
        report
    }
}

/// Four weeks of counted hours, as the site would have seen them.
fn learn(world: &mut World, shape: &mut TrafficShape) {
    let usual = World::usual();
    for _ in 0..4 {
        for hour in 0..168u8 {
            let middle = f64::from(hour % 24) * HOUR_MS as f64 + HOUR_MS as f64 / 2.0;
            let noise = 0.9 + 0.2 * world.random.unit();
            let count = world.options.requests_count as f64 / 24.0 * usual.at(middle) * noise;
            shape.observe(HourOfWeek(hour), count as u64);
        }
    }
}

/// Predicted click rates: true ones with an error of about a fifth, as after some days of learning.
fn rows(world: &mut World) -> Vec<Row> {
    let mut rows = Vec::with_capacity(world.bidders.len());
    for index in 0..world.bidders.len() {
        let error = (world.random.unit() + world.random.unit() - 1.0) * 0.4;
        let rate = world.bidders[index].click_rate * (1.0 + error);
        rows.push(Row { click_ppb: (rate * f64::from(PPB)) as u32, ..Row::default() });
    }
    rows
}

/// Whole value of an impression, nanos.
fn value(bidder: &Bidder, row: &Row) -> f64 {
    match bidder.by_click {
        true => bidder.event as f64 * f64::from(row.click_ppb) / f64::from(PPB),
        false => bidder.value,
    }
}

fn rivals(bidders: &[Bidder], rows: &[Row]) -> Vec<Vec<(usize, f64)>> {
    let mut kinds = vec![Vec::new(); TOPICS.len() * COUNTRIES.len()];
    for (index, bidder) in bidders.iter().enumerate() {
        for topic in &bidder.topics {
            for country in &bidder.countries {
                kinds[topic * COUNTRIES.len() + country].push((index, value(bidder, &rows[index])));
            }
        }
    }
    for kind in &mut kinds {
        kind.sort_by(|a, b| b.1.total_cmp(&a.1));
    }
    kinds
}

fn ticket(fill: &Fill, sequence: u64, at: i64) -> Ticket {
    Ticket {
        key_id: 1,
        id: TicketId { epoch: 1, sequence },
        issued_at: UtcMs(at),
        site: fill.site,
        placement: fill.placement,
        advertiser: fill.advertiser,
        campaign: fill.campaign,
        ad_set: fill.ad_set,
        ad: fill.ad,
        version: fill.version,
        tier: fill.tier,
        billing: fill.billing,
        price_nanos: fill.price_nanos,
        currency: fill.currency,
        rate_nanos: fill.rate_nanos,
        propensity: fill.propensity,
        predicted_rate: fill.predicted_rate,
        creative: fill.creative.short(),
        country: *b"FR",
        device: DeviceClass::Other,
        political: false,
        sampled: false,
        snapshot: 1,
    }
}
