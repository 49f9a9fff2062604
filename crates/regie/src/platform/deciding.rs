//! From a request to sealed tickets: decide, hold, mint, count. Takes no lock that a writer can hold.

use super::{
    Platform,
    gate::Reading,
    traffic::{Origin, rollup_key},
    view::View,
};
use regie_decide::{BudgetGate, Decision, Elimination, Fill, RecordedGate, Request, Slot, Tables};
use regie_model::{
    AdSetId, UtcMs,
    creative::ObjectHash,
    event::{DecisionSample, Event},
    ticket::{Ticket, TicketId},
};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

/// An answer for one placement.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An ad, with its sealed ticket.
    Fill(Box<Filled>),
    /// None, and why.
    NoFill {
        /// For which placement.
        placement: regie_model::PlacementId,
        /// Why.
        reason: regie_decide::NoFill,
    },
}

/// An ad for a placement, with its sealed ticket.
#[derive(Clone, Debug)]
pub struct Filled {
    /// What was decided.
    pub fill: Fill,
    /// What it promises.
    pub ticket: Ticket,
    /// The ticket's text form.
    pub sealed: String,
}

/// What law D1 keeps of a decision: enough to take it again, byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptInputs {
    /// Journal position of the catalogue.
    pub snapshot: u64,
    /// Hash of the pacing and rate tables, kept as an object.
    pub tables: ObjectHash,
    /// The request with its derived context, time and seed.
    pub request: Request,
    /// What the budget gate answered.
    pub gate: RecordedGate,
    /// What was answered.
    pub decision: Decision,
}

/// Tables that are stored as an object.
pub struct KeptTables {
    of: Arc<Tables>,
    hash: ObjectHash,
}

/// How often a decision is taken again because others were admitted meanwhile.
const ADMITTED_AGAIN_MAX: u32 = 16;

/// A gate that remembers what it refused.
struct Recording<'a> {
    gate: &'a Reading,
    snapshot: &'a regie_decide::Snapshot,
    except: &'a [AdSetId],
    refused: RefCell<BTreeSet<AdSetId>>,
}
impl BudgetGate for Recording<'_> {
    fn refuses(&self, ad_set: AdSetId) -> bool {
        // What the snapshot leaves out as spent is refused, whatever has come in since.
        let refuses =
            self.except.contains(&ad_set) || self.gate.refuses(ad_set) || self.snapshot.is_exhausted(ad_set);
        if refuses {
            self.refused.borrow_mut().insert(ad_set);
        }
        refuses
    }
    fn house_only(&self) -> bool {
        self.gate.house_only()
    }
}

impl Platform {
    /// What [`Platform::decide_except`] would show, without a ticket, a hold or a count.
    pub fn foresee(&self, view: &View, request: &Request, except: &[AdSetId]) -> Decision {
        let reading = self.gate.read();
        let snapshot = &view.snapshot;
        let gate = Recording { gate: &reading, snapshot, except, refused: RefCell::default() };
        regie_decide::decide(&view.snapshot, &self.tables.load(), request, &gate, &mut |_, _| {})
    }
    /// A fresh decision number; the server's seed for the request follows from it and a secret.
    fn next_id(&self) -> TicketId {
        TicketId {
            epoch: self.epoch.load(Ordering::Relaxed),
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
    /// The seed of a request: unpredictable outside, reproducible from the secret.
    pub fn seed(&self) -> u64 {
        let id = self.next_id();
        let Some(key) = self.keys.last() else { return id.sequence };
        // One block: hashed at once, without a hasher's state.
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(b"seed");
        bytes[4..8].copy_from_slice(&id.epoch.to_le_bytes());
        bytes[8..].copy_from_slice(&id.sequence.to_le_bytes());
        let mut eight = [0; 8];
        eight.copy_from_slice(&blake3::keyed_hash(&key.secret, &bytes).as_bytes()[..8]);
        u64::from_le_bytes(eight)
    }
    /// Decides a request and mints tickets. Counts, holds and keeps samples.
    pub fn decide(&self, view: &View, request: &Request) -> Vec<Answer> {
        self.decide_except(view, request, &[])
    }
    /// As [`Platform::decide`], without these ad sets: places that can show less than the request says.
    pub fn decide_except(&self, view: &View, request: &Request, except: &[AdSetId]) -> Vec<Answer> {
        self.decide_admitted(view, request, except, &mut |_| Vec::new())
    }
    /// As [`Platform::decide_except`]; `admit` sees the decision before anything is counted, and names ad sets without
    /// which it is to be taken again, a few times at most.
    pub fn decide_admitted(
        &self,
        view: &View,
        request: &Request,
        except: &[AdSetId],
        admit: &mut dyn FnMut(&Decision) -> Vec<AdSetId>,
    ) -> Vec<Answer> {
        let tables = self.tables.load();
        let reading = self.gate.read();
        let snapshot = &view.snapshot;
        let mut without = except.to_vec();
        let mut tries = 0;
        let (decision, refused, eliminated) = loop {
            let mut eliminated: Vec<(AdSetId, &'static str)> = Vec::new();
            let refused = RefCell::default();
            let gate = Recording { gate: &reading, snapshot, except: &without, refused };
            let mut sink = |ad_set: AdSetId, why: Elimination| eliminated.push((ad_set, why.code()));
            let decision = regie_decide::decide(&view.snapshot, &tables, request, &gate, &mut sink);
            let over = if tries < ADMITTED_AGAIN_MAX { admit(&decision) } else { Vec::new() };
            if over.is_empty() {
                break (decision, gate.refused.into_inner(), eliminated);
            }
            without.extend(over);
            tries += 1;
        };
        self.traffic.eliminated(&eliminated);
        let origin = Origin { country: request.location.country.unwrap_or_default(), device: request.device };
        let is_kept = |fill: &Fill| fill.political || self.is_sampled(view, request.seed);
        // Most decisions are not kept: their fills are moved, not copied.
        let keeps = decision.fills().any(is_kept);
        let (slots, decision) =
            if keeps { (decision.slots.clone(), Some(decision)) } else { (decision.slots, None) };
        let mut answers = Vec::with_capacity(slots.len());
        let mut keep = Vec::new();
        for slot in slots {
            let placement = match &slot {
                Slot::Fill(fill) => fill.placement,
                Slot::NoFill { placement, .. } => *placement,
            };
            self.traffic.asked(placement, request.site, origin);
            match slot {
                Slot::NoFill { placement, reason } => {
                    self.traffic.no_fill(placement, request.site, &reason);
                    answers.push(Answer::NoFill { placement, reason });
                }
                Slot::Fill(fill) => {
                    let origin =
                        if may_place(view, &fill) { origin } else { Origin { country: [0; 2], ..origin } };
                    self.traffic.fill(&fill, origin);
                    debug_assert_eq!(rollup_key(&fill, origin).ad, fill.ad);
                    let sampled = is_kept(&fill);
                    let ticket = self.mint(view, &fill, origin, sampled, request.at);
                    reading.hold(fill.ad_set, fill.hold_nanos, request.at);
                    if sampled {
                        keep.push(ticket.id);
                    }
                    let sealed = self.keys.last().map(|key| ticket.seal(key)).unwrap_or_default();
                    answers.push(Answer::Fill(Box::new(Filled { fill, ticket, sealed })));
                }
            }
        }
        if let Some(decision) = decision {
            let house_only = reading.house_only();
            let gate = RecordedGate {
                refused: all_refused(view, &tables, request, refused, house_only),
                house_only,
            };
            self.keep_inputs(view, &tables, &keep, request, gate, decision);
        }
        answers
    }
    fn is_sampled(&self, view: &View, seed: u64) -> bool {
        let ppm = u64::from(view.publisher.as_ref().map_or(0, |p| p.sample_ppm));
        // Another part of the seed than decisions use.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ 0x5851_f42d_4c95_7f2d;
        mixed % 1_000_000 < ppm
    }
    fn mint(&self, view: &View, fill: &Fill, origin: Origin, sampled: bool, now: UtcMs) -> Ticket {
        Ticket {
            key_id: self.keys.last().map_or(0, |k| k.id),
            id: self.next_id(),
            issued_at: now,
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
            country: origin.country,
            device: origin.device,
            political: fill.political,
            sampled,
            snapshot: view.snapshot.position(),
        }
    }
    /// Stores a decision's inputs under each of its tickets (law D1), asynchronously: a full queue loses a sample, never
    /// a decision.
    fn keep_inputs(
        &self,
        view: &View,
        tables: &Arc<Tables>,
        ids: &[TicketId],
        request: &Request,
        gate: RecordedGate,
        decision: Decision,
    ) {
        let request = view.reduce(request);
        let Some(hash) = self.keep_tables(tables) else { return };
        let kept = KeptInputs { snapshot: view.snapshot.position(), tables: hash, request, gate, decision };
        let Ok(inputs) = serde_json::to_value(&kept) else { return };
        let samples = ids.iter().map(|id| {
            let inputs = inputs.clone();
            Event::Sampled(Box::new(DecisionSample { epoch: id.epoch, sequence: id.sequence, inputs }))
        });
        let _ = self.submit(&samples.collect::<Vec<_>>(), Box::new(|_| {}));
    }
    /// Stores the tables that decisions read now, once; `None` where the disk refuses.
    fn keep_tables(&self, tables: &Arc<Tables>) -> Option<ObjectHash> {
        if let Some(kept) = &*self.kept_tables.load()
            && Arc::ptr_eq(&kept.of, tables)
        {
            return Some(kept.hash);
        }
        // Each learned table is an object of its own, which many tables name.
        for (hash, bytes) in tables.learned().objects() {
            if self.objects.get(&hash).is_none() {
                self.objects.put(&bytes).ok()?;
            }
        }
        let hash = self.objects.put(&tables.to_bytes()).ok()?;
        self.kept_tables.store(Some(Arc::new(KeptTables { of: Arc::clone(tables), hash })));
        Some(hash)
    }
    /// The picture in force.
    pub fn current_view(&self) -> Arc<View> {
        self.view.load_full()
    }
}

/// What the gate refused in a decision, those included that the snapshot left out as spent: the same decision again,
/// looking at them too (law D1).
fn all_refused(
    view: &View,
    tables: &Tables,
    request: &Request,
    refused: BTreeSet<AdSetId>,
    house_only: bool,
) -> BTreeSet<AdSetId> {
    if view.snapshot.exhausted_count() == 0 {
        return refused;
    }
    /// Answers as the first time.
    struct Again<'a> {
        view: &'a View,
        refused: RefCell<BTreeSet<AdSetId>>,
        house_only: bool,
    }
    impl BudgetGate for Again<'_> {
        fn refuses(&self, ad_set: AdSetId) -> bool {
            let mut refused = self.refused.borrow_mut();
            let spent = self.view.snapshot.is_exhausted(ad_set);
            spent && refused.insert(ad_set) || refused.contains(&ad_set)
        }
        fn house_only(&self) -> bool {
            self.house_only
        }
    }
    let again = Again { view, refused: RefCell::new(refused), house_only };
    let _ = regie_decide::decide(&view.snapshot.without_exhausted(), tables, request, &again, &mut |_, _| {});
    again.refused.into_inner()
}

/// Whether a place may be known of an ad: of a political one only where the publisher has switched that on (law P1).
fn may_place(view: &View, fill: &Fill) -> bool {
    !fill.political || view.publisher.as_ref().is_some_and(|p| p.political_location)
}
