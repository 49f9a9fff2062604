//! The simulated world: the shipping platform over a simulated disk, and the witness of what was promised.

use crate::{dice::Dice, record::Record};
use regie::platform::{
    Ack, Appender, Parts, Platform,
    deciding::{Answer, KeptInputs},
    objects::Objects,
    secrets::Secrets,
    state_db::StateDb,
};
use regie_decide::{Request, Snapshot, Tables};
use regie_journal::{
    CommitQueue, Journal, Options, Position, QueueFull, QueueLimits, SqliteJournal,
    simdisk::{SIM_DIR, SimDisk},
};
use regie_learn::served::Served;
use regie_ledger::{Ledger, Outcome, audit::Audit};
use regie_model::{
    PlacementId, SiteId, UtcMs,
    booking::TierKind,
    catalogue::Catalogue,
    command::Command,
    event::{Actor, Event},
    ticket::Ticket,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

/// A broken law, or something that should not happen.
pub type Violation = String;

/// What was acknowledged: payload by position.
type Promised = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

/// The way into the queue, remembering every acknowledgement.
struct Witnessed {
    queue: Arc<Mutex<CommitQueue>>,
    promised: Promised,
}
impl Appender for Witnessed {
    fn submit(&self, payloads: Vec<Vec<u8>>, ack: Ack) -> Result<(), QueueFull> {
        let (copy, promised) = (payloads.clone(), Arc::clone(&self.promised));
        let witness = move |result: Result<regie_journal::Appended, regie_journal::CommitError>| {
            if let Ok(appended) = &result {
                let mut promised = promised.lock().unwrap();
                for (index, payload) in copy.into_iter().enumerate() {
                    promised.insert(appended.first.0 + index as u64, payload);
                }
            }
            ack(result);
        };
        self.queue.lock().unwrap().submit(payloads, witness)
    }
    fn is_stopped(&self) -> bool {
        self.queue.lock().unwrap().is_stopped()
    }
}

/// A ticket that a client holds.
#[derive(Clone)]
pub struct Held {
    pub sealed: String,
    pub ticket: Ticket,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct End {
    pub billed_count: u64,
    pub billed_nanos: i128,
    pub free_nanos: i128,
    pub duplicate_count: u64,
    pub late_count: u64,
    pub restarts: u64,
    pub disk_ops: u64,
    pub published_count: u64,
}

pub struct World {
    pub disk: SimDisk,
    pub dice: Dice,
    pub platform: Arc<Platform>,
    pub held: Vec<Held>,
    pub clicks: Vec<String>,
    pub end: End,
    pub site: SiteId,
    pub placements: Vec<PlacementId>,
    journal: Option<SqliteJournal>,
    queue: Arc<Mutex<CommitQueue>>,
    promised: Promised,
    audit: Arc<Mutex<Audit>>,
    seen: Arc<Mutex<End>>,
    clock: Arc<AtomicI64>,
    record: Option<Record>,
    dir: tempfile::TempDir,
}

fn open_journal(disk: &SimDisk) -> Result<SqliteJournal, Violation> {
    let options = Options { disk: Arc::new(disk.clone()), segment_bytes_max: 20_000, ..Options::default() };
    SqliteJournal::open(Path::new(SIM_DIR), options).map_err(|e| format!("the journal does not open: {e}"))
}

impl World {
    pub fn start(seed: u64) -> Result<World, Violation> {
        World::start_with(seed, SimDisk::new(seed))
    }
    pub fn start_with(seed: u64, disk: SimDisk) -> Result<World, Violation> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        // Two days before the clocks change in Paris.
        let clock = Arc::new(AtomicI64::new(UtcMs::parse("2026-10-23T20:00:00Z").unwrap().0));
        let queue = Arc::new(Mutex::new(CommitQueue::new(QueueLimits::default())));
        let mut world = World {
            platform: assemble(dir.path(), &clock)?,
            disk,
            dice: Dice(seed),
            held: Vec::new(),
            clicks: Vec::new(),
            end: End::default(),
            site: SiteId(1),
            placements: Vec::new(),
            journal: None,
            queue,
            promised: Promised::default(),
            audit: Arc::default(),
            seen: Arc::default(),
            clock,
            record: None,
            dir,
        };
        world.boot()?;
        Ok(world)
    }
    /// Opens the journal, catches the folds up, folds everything anew beside it, opens an epoch.
    fn boot(&mut self) -> Result<(), Violation> {
        let journal = open_journal(&self.disk)?;
        self.keep_promises(&journal)?;
        let mut scratch = Ledger::new();
        let mut audit = Audit::new();
        let mut served = Served::default();
        let from = self.platform.position();
        let mut after = 0;
        loop {
            let records = journal.read(Position(after), 1_000).map_err(|e| e.to_string())?;
            let Some(last) = records.last() else { break };
            after = last.position.0;
            for record in &records {
                let at = UtcMs(record.at_ms);
                let event = Event::decode(&record.payload).map_err(|e| e.to_string())?;
                let outcome = scratch.apply(record.position.0, at, &event).map_err(|e| e.to_string())?;
                audit.observe(record.position.0, at, &event, &outcome);
                let counted =
                    matches!(outcome, Outcome::Billed { .. } | Outcome::Free { .. } | Outcome::Counted);
                served.apply(record.position.0, &event, counted, outcome.billed_nanos().0 as i64);
                if record.position.0 > from {
                    self.platform.observe_one(record.position.0, at, &record.payload, true);
                }
            }
        }
        self.platform.finish_observing();
        let (state, fresh) = (self.platform.folds().ledger.state_hash(), scratch.state_hash());
        if state != fresh {
            return Err(format!(
                "law B2: at record {after} the running state differs from the journal folded anew"
            ));
        }
        // The learner's fold, too, is a function of the journal.
        served.take_fresh();
        let mut running = self.platform.folds().served.clone();
        running.take_fresh();
        if running != served {
            return Err(format!("at record {after} the learner's fold differs from the journal folded anew"));
        }
        self.audit = Arc::new(Mutex::new(audit));
        self.watch();
        self.journal = Some(journal);
        self.queue = Arc::new(Mutex::new(CommitQueue::new(QueueLimits::default())));
        let way = Witnessed { queue: Arc::clone(&self.queue), promised: Arc::clone(&self.promised) };
        self.platform.connect(Arc::new(way));
        self.platform.open_epoch(Box::new(|_| {})).map_err(|e| e.to_string())?;
        self.commit_then_publish()
    }
    /// The folder, apart from the journal, which is on the simulated disk.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
    /// What is published.
    pub fn record(&mut self) -> Result<&mut Record, Violation> {
        self.record.as_mut().ok_or_else(|| "no record is kept".into())
    }
    /// The record's laws, now.
    pub fn check_record(&mut self) -> Result<(), Violation> {
        let platform = Arc::clone(&self.platform);
        self.record()?.check(&platform)
    }
    /// Closes the record; what an outsider saw of it last.
    pub fn close_record(&mut self) -> Option<String> {
        self.record.take().and_then(|record| record.seen)
    }
    /// Opens the record again, beside places where it is published too.
    pub fn open_record(&mut self, seen: Option<String>, published: &[String]) -> Result<(), Violation> {
        self.record = Some(Record::open_beside(self.dir.path(), &self.platform, seen, published)?);
        Ok(())
    }
    /// Publishes from now on.
    pub fn keep_a_record(&mut self) -> Result<(), Violation> {
        let seen = self.record.take().and_then(|record| record.seen);
        self.record = Some(Record::open(self.dir.path(), &self.platform, seen)?);
        self.commit_then_publish()
    }
    fn watch(&self) {
        let (audit, seen) = (Arc::clone(&self.audit), Arc::clone(&self.seen));
        let watcher = move |position: u64, at: UtcMs, event: &Event, outcome: &Outcome| {
            audit.lock().unwrap().observe(position, at, event, outcome);
            let mut seen = seen.lock().unwrap();
            seen.billed_count += u64::from(outcome.billed_nanos().0 > 0);
            seen.billed_nanos += outcome.billed_nanos().0;
            seen.free_nanos += outcome.free_nanos().0;
            seen.duplicate_count += u64::from(matches!(outcome, Outcome::Duplicate));
            seen.late_count += u64::from(matches!(outcome, Outcome::Late));
        };
        self.platform.folds().watcher = Some(Box::new(watcher));
    }
    /// Everything acknowledged is in the journal, once, where it was promised (B4, L1).
    fn keep_promises(&self, journal: &SqliteJournal) -> Result<(), Violation> {
        for (position, payload) in self.promised.lock().unwrap().iter() {
            let found = journal.read(Position(position - 1), 1).map_err(|e| e.to_string())?;
            match found.first() {
                Some(record) if record.position.0 == *position && record.payload == *payload => {}
                Some(_) => return Err(format!("law L1: record {position} is not what was acknowledged")),
                None => return Err(format!("law B4: record {position} was acknowledged and is lost")),
            }
        }
        Ok(())
    }
    /// Ends the process and starts it anew. `crash`: the power goes.
    pub fn restart(&mut self, crash: bool) -> Result<(), Violation> {
        if !crash {
            let _ = self.commit();
            self.platform.flush(true).map_err(|e| e.to_string())?;
        }
        self.journal = None;
        if crash {
            self.disk.crash();
            self.disk.restart();
        }
        self.end.restarts += 1;
        // Nothing of the former process goes on.
        let seen = self.record.take().map(|record| record.seen);
        self.platform = assemble(self.dir.path(), &self.clock)?;
        self.boot()?;
        if let Some(seen) = seen {
            self.record = Some(Record::open(self.dir.path(), &self.platform, seen)?);
            self.commit_then_publish()?;
        }
        Ok(())
    }
    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }
    pub fn advance(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
    /// Commits what waits. After a crash of the disk the world starts anew.
    pub fn commit(&mut self) -> Result<(), Violation> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let platform = Arc::clone(&self.platform);
        let mut observer = |appended, payloads: Vec<Vec<u8>>| platform.observe(appended, &payloads);
        let now = self.clock.load(Ordering::SeqCst);
        loop {
            // The queue is not locked while it commits: acknowledgements may come back to it.
            let mut queue =
                std::mem::replace(&mut *self.queue.lock().unwrap(), CommitQueue::new(QueueLimits::default()));
            let result = queue.commit(now, journal, &mut observer);
            *self.queue.lock().unwrap() = queue;
            match result {
                Some(Ok(_)) => continue,
                Some(Err(_)) => return Ok(()),
                None => return Ok(()),
            }
        }
    }
    pub fn commit_then_publish(&mut self) -> Result<(), Violation> {
        self.commit()?;
        if self.platform.is_journal_up() {
            self.platform.publish();
            if let Some(record) = &self.record {
                record.publish()?;
                self.platform.publish();
            }
        }
        Ok(())
    }
    /// The laws, now.
    pub fn check(&mut self) -> Result<(), Violation> {
        let folds = self.platform.folds();
        if let Some(law) = &folds.broken {
            return Err(law.to_string());
        }
        folds.ledger.verify().map_err(|e| e.to_string())?;
        let audit = self.audit.lock().unwrap();
        if let Some(finding) = audit.findings().first() {
            return Err(format!("{finding:?}"));
        }
        if let Some(finding) = audit.compare(&folds.ledger).first() {
            return Err(format!("{finding:?}"));
        }
        drop(audit);
        drop(folds);
        let whole = self.dice.roll(12) == 0;
        let platform = Arc::clone(&self.platform);
        match &mut self.record {
            Some(record) if whole => record.check(&platform),
            _ => Ok(()),
        }
    }
    pub fn finish(mut self) -> Result<End, Violation> {
        self.restart(false)?;
        self.check()?;
        let mut end = self.seen.lock().unwrap().clone();
        if let Some(record) = &mut self.record {
            // Two days later every day of the run is closed.
            record.settle(UtcMs(self.clock.load(Ordering::SeqCst) + 2 * 86_400_000))?;
            record.check(&self.platform)?;
            end.published_count = record.size();
        }
        end.restarts = self.end.restarts;
        end.disk_ops = self.disk.op_count();
        Ok(end)
    }

    pub fn command(&mut self, list: Vec<serde_json::Value>) -> Result<Vec<String>, Violation> {
        let known = |id: &str| known(&self.platform.catalogue(), id);
        let list = list.into_iter().map(|mut value| {
            if value["id"].as_str().is_some_and(|id| !known(id)) {
                value.as_object_mut().unwrap().remove("id");
            }
            value
        });
        let commands: Result<Vec<Command>, _> = list.map(serde_json::from_value).collect();
        let answer = Arc::new(Mutex::new(None));
        let into = Arc::clone(&answer);
        let done = move |result| *into.lock().unwrap() = Some(result);
        self.platform.command(Actor::Operator, commands.map_err(|e| e.to_string())?, Box::new(done));
        self.commit_then_publish()?;
        let answered = answer.lock().unwrap().take();
        match answered {
            Some(Ok(accepted)) => Ok(accepted.into_iter().map(|a| a.id).collect()),
            Some(Err(error)) if self.platform.is_journal_up() => {
                Err(format!("a command was refused: {error}"))
            }
            Some(Err(_)) | None => Ok(Vec::new()),
        }
    }
    pub fn request(&mut self) -> Request {
        let seed = self.dice.next();
        let count = 1 + self.dice.roll(self.placements.len() as u64) as usize;
        let mut request =
            Request::bare(UtcMs(self.now()), seed, self.site, self.placements[..count].to_vec());
        request.location.country = Some(*b"FR");
        request.page.language = Some("fr".into());
        request
    }
    /// Decides requests; how many ads came of it.
    pub fn decide_some(&mut self, count: usize) -> usize {
        let mut filled = 0;
        for _ in 0..count {
            let request = self.request();
            let view = self.platform.current_view();
            for answer in self.platform.decide(&view, &request) {
                if let Answer::Fill(answered) = answer {
                    self.held.push(Held { sealed: answered.sealed, ticket: answered.ticket });
                    filled += 1;
                }
            }
        }
        filled
    }
    /// Paid and house ads among so many decisions.
    pub fn tiers_served(&mut self, count: usize) -> (usize, usize) {
        let before = self.held.len();
        self.decide_some(count);
        let house = self.held[before..].iter().filter(|h| h.ticket.tier == TierKind::House).count();
        (self.held.len() - before - house, house)
    }
    pub fn send_impressions(&mut self, count: usize) {
        let from = self.held.len().saturating_sub(count);
        for held in &self.held[from..] {
            if let Ok(event) = self.platform.beacon(regie::platform::intake::Kind::Impression, &held.sealed) {
                let _ = self.platform.submit(&[event], Box::new(|_| {}));
            }
        }
    }
    /// Takes every kept decision again; how many there were.
    pub fn replay_samples(&mut self) -> Result<usize, Violation> {
        let journal = self.journal.as_ref().ok_or("no journal")?;
        let records = journal.read(Position(0), 1_000_000).map_err(|e| e.to_string())?;
        let objects = Objects::new(&self.dir.path().join("objects"));
        let mut count = 0;
        let (mut snapshot, mut tables): (Option<Snapshot>, Option<(_, Tables)>) = (None, None);
        for record in &records {
            let Ok(Event::Sampled(sample)) = Event::decode(&record.payload) else { continue };
            let kept: KeptInputs = serde_json::from_value(sample.inputs).map_err(|e| e.to_string())?;
            if snapshot.as_ref().is_none_or(|of| of.position() != kept.snapshot) {
                let mut catalogue = Catalogue::new();
                for earlier in records.iter().filter(|r| r.position.0 <= kept.snapshot) {
                    if let Ok(Event::Booked(booked)) = Event::decode(&earlier.payload) {
                        catalogue.apply(booked.at, &booked.change);
                    }
                }
                snapshot = Some(Snapshot::build(&catalogue, kept.snapshot));
                tables = None;
            }
            let Some(snapshot) = &snapshot else { continue };
            if tables.as_ref().is_none_or(|(hash, _)| *hash != kept.tables) {
                let bytes = objects.get(&kept.tables).ok_or("law D1: the tables are gone")?;
                let mut named = |hash: &_| objects.get(hash).map(|bytes| bytes.to_vec());
                let read = Tables::fetch(&bytes, &mut named).ok_or("law D1: the tables are damaged")?;
                tables = Some((kept.tables, read.align(snapshot)));
            }
            let Some((_, tables)) = &tables else { continue };
            let again = regie_decide::decide(snapshot, tables, &kept.request, &kept.gate, &mut |_, _| {});
            if serde_json::to_vec(&again).ok() != serde_json::to_vec(&kept.decision).ok() {
                return Err(format!(
                    "law D1: decision {}-{} came out differently",
                    sample.epoch, sample.sequence
                ));
            }
            count += 1;
        }
        Ok(count)
    }
}

/// Whether something of this id is booked.
fn known(catalogue: &Catalogue, id: &str) -> bool {
    macro_rules! among {
        ($($map:ident),*) => { $(id.parse().is_ok_and(|id| catalogue.$map.contains_key(&id)))||* };
    }
    among!(sites, placements, advertisers, parties, campaigns, ad_sets, ads, versions)
}

fn assemble(dir: &Path, clock: &Arc<AtomicI64>) -> Result<Arc<Platform>, Violation> {
    let clock = Arc::clone(clock);
    let parts = Parts {
        clock: Arc::new(move || UtcMs(clock.load(Ordering::SeqCst))),
        secrets: Secrets::open(&dir.join("secrets.db")).map_err(|e| e.to_string())?,
        objects: Objects::new(&dir.join("objects")),
        state: StateDb::open(&dir.join("state.db")).map_err(|e| e.to_string())?,
        restored: false,
    };
    Platform::open(parts).map_err(|e| format!("the platform does not open: {e:#}"))
}
