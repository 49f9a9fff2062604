//! Publishing: from bookings and the ledger to leaves of the record's log, and to `record.db`, where they are read.
//!
//! One thread. Facts: whatever a booked change concerns is stated anew, and where it says something new it is a version,
//! in the log before decisions may show the ad. Figures: each closed day once, and again when they change. Order: the log
//! first, durably, then the projection, then the gate (R2). Refuses to change what is published (R3), and knows nothing of
//! visitors: counts and money only (R4).

pub mod closed;
pub mod concerns;
pub mod days;
pub mod db;
pub mod decisions;
pub mod dossier;
mod finding;
pub mod groupings;
pub mod history;
mod index;
mod log;
pub mod readers;
pub mod register;
pub mod search;
pub mod sending;
pub mod words;

pub use log::{Log, Plain};

use crate::platform::{Platform, lock, view::PartyView};
use anyhow::Result;
use db::RecordDb;
use finding::{Growth, INDEX_BATCH};
use regie_model::{
    AdId, PartyId, UtcMs,
    booking::Status,
    catalogue::Catalogue,
    command::Change,
    creative::{Creative, ObjectHash},
    event::Event,
};
use regie_record::{
    Facts, Figures, Previous, PublicParty, Sources, Subject,
    commit::{SALT_BYTES, Sha256Hash},
    facts_sheet,
    leaf::{Kind, Leaf, Sheet},
    log::leaf::View,
    promise::{MERGE_WITHIN_MS, Promise, SignedPromise},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

/// Facts are published so long before the ad's flight begins, in milliseconds: in the log before the first impression,
/// and no longer before than needed.
pub const LEAD_MS: i64 = 600_000;
/// Versions of one batch at most.
const BATCH_MAX: usize = 2_000;
/// How long the thread sleeps when there is nothing to do, in milliseconds.
const IDLE_MS: u64 = 25;

/// Parties of one batch, opened. A change that comes meanwhile touches its ads again.
type Parties = BTreeMap<PartyId, PublicParty>;

/// What is still to be done.
#[derive(Default)]
struct Work {
    /// Journal position up to which changes were read.
    position: u64,
    /// Ads that a change concerned.
    touched: BTreeSet<AdId>,
    /// Ads whose time has not come.
    waiting: BTreeMap<AdId, UtcMs>,
    /// The hour in which closed days were last looked for.
    hour: i64,
    /// Credits that were read.
    credits: u64,
    index: Growth,
}

/// Publishing.
pub struct Publication {
    platform: Arc<Platform>,
    db: Mutex<RecordDb>,
    readers: readers::Readers,
    log: Mutex<Box<dyn Log>>,
    history: history::Index,
    work: Mutex<Work>,
    journal: PathBuf,
    stopping: AtomicBool,
    /// There was nothing more to publish once, or it failed.
    rested: AtomicBool,
    /// Why it failed before that.
    failed: Mutex<Option<anyhow::Error>>,
    /// Ads that search finds.
    found: Arc<AtomicU64>,
    /// How long personal fields are held after their ad last ran, in days.
    keep_days: AtomicU32,
}

impl Publication {
    /// Opens `record.db`, reads what the log has beyond it, and (`gate`) holds back every ad that is not in the log.
    ///
    /// # Errors
    /// SQLite's and the log's.
    pub fn open(
        platform: Arc<Platform>,
        path: &Path,
        journal: PathBuf,
        log: Box<dyn Log>,
        gate: bool,
    ) -> Result<Arc<Publication>> {
        let db = RecordDb::open(path)?;
        let position = db.mark("changes")?;
        let found = Arc::clone(db.found());
        let publication = Publication {
            platform,
            db: Mutex::new(db),
            readers: readers::Readers::new(path),
            log: Mutex::new(log),
            history: history::Index::default(),
            work: Mutex::new(Work { position, hour: -1, ..Work::default() }),
            journal,
            stopping: AtomicBool::new(false),
            rested: AtomicBool::new(false),
            failed: Mutex::default(),
            found,
            keep_days: AtomicU32::new(register::KEEP_DAYS),
        };
        publication.catch_up()?;
        let logged: Vec<AdId> = {
            let db = publication.db();
            let mut statement = db.connection().prepare("SELECT ad FROM ads")?;
            let rows = statement.query_map([], |r| r.get::<_, u32>(0))?;
            rows.map(|id| id.map(AdId)).collect::<Result<_, _>>()?
        };
        {
            // Ads that were approved before there was a log.
            let mut work = lock(&publication.work);
            let known: BTreeSet<AdId> = logged.iter().copied().collect();
            let catalogue = publication.platform.catalogue();
            work.touched.extend(catalogue.ads.keys().filter(|id| !known.contains(id)));
        }
        if gate {
            publication.platform.hold_back_unlogged(logged);
        }
        Ok(Arc::new(publication))
    }
    /// Runs until [`Publication::stop`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(self: &Arc<Self>) -> Result<JoinHandle<()>> {
        let publication = Arc::clone(self);
        let work = move || {
            let mut failures = 0u32;
            while !publication.stopping.load(Ordering::SeqCst) {
                match publication.step() {
                    Ok(true) => failures = 0,
                    Ok(false) => {
                        failures = 0;
                        std::thread::sleep(std::time::Duration::from_millis(IDLE_MS));
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::error!(
                            error = format!("{error:#}"),
                            failures,
                            "the record could not be published"
                        );
                        // Told first: who waits reads it as soon as the thread has rested.
                        if !publication.rested.load(Ordering::SeqCst) {
                            *lock(&publication.failed) = Some(error);
                            publication.rested.store(true, Ordering::SeqCst);
                        }
                        let wait = (100u64 << failures.min(6)).min(5_000);
                        std::thread::sleep(std::time::Duration::from_millis(wait));
                    }
                }
            }
        };
        Ok(std::thread::Builder::new().name("regie-record".into()).spawn(work)?)
    }
    /// Waits until everything that can be published is, once, or `patience` is over: the rest is published meanwhile.
    ///
    /// # Errors
    /// When it failed: then nothing is to be served from this record.
    pub fn wait_rested(&self, patience: std::time::Duration) -> Result<()> {
        let until = std::time::Instant::now() + patience;
        while !self.rested.load(Ordering::SeqCst) && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        lock(&self.failed).take().map_or(Ok(()), Err)
    }
    /// Ends the thread after its present step.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
    /// Whether it was told to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
    /// The projection, for those who write; they wait for each other.
    pub fn db(&self) -> MutexGuard<'_, RecordDb> {
        lock(&self.db)
    }
    /// The projection as it is now, for reading.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn reading(&self) -> Result<readers::Reading<'_>> {
        self.readers.read()
    }
    /// The same, with the ads findable that were shown by now: of very many at once, as after a start, the first; the others
    /// follow within seconds.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn fresh_reading(&self) -> Result<readers::Reading<'_>> {
        self.find_shown()?;
        self.reading()
    }
    /// The projection for those who write, with the ads findable that [`Publication::fresh_reading`] has.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn fresh_db(&self) -> Result<MutexGuard<'_, RecordDb>> {
        self.find_shown()?;
        Ok(self.db())
    }
    /// How many ads search finds.
    pub fn found_count(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }
    /// The platform.
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }
    /// How many leaves the log has.
    pub fn log_size(&self) -> u64 {
        lock(&self.log).size()
    }
    /// The signed promise of an ad's label: its facts as they stand in the log. `None`: they are not there, or the log signs
    /// nothing now.
    pub fn promise(&self, log: &crate::platform::log::RecordLog, ad: AdId) -> Option<SignedPromise> {
        let leaf = self.db().latest(ad, Kind::Facts, None).ok()??;
        let content = Leaf::merkle_hash(&leaf.to_bytes().ok()?);
        let (origin, at) = (log.origin().to_owned(), self.platform.now());
        let promise = Promise { origin, entry: ad, content, at, merge_within_ms: MERGE_WITHIN_MS };
        log.promise(&promise).ok()
    }
    /// Approvals and suspensions of an ad.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn history(&self, subject: &Subject) -> Result<Vec<regie_record::HistoryLine>> {
        self.history.history(&self.platform, subject)
    }
    /// The present, as entries are dated: a clock that is set back dates nothing back.
    fn now(&self) -> UtcMs {
        let now = self.platform.now();
        lock(&self.log).time(now)
    }
    /// Does what there is to do now; whether there may be more.
    ///
    /// # Errors
    /// SQLite's and the log's; then it is to be called again.
    pub fn step(&self) -> Result<bool> {
        let mut work = lock(&self.work);
        // What is stated follows from everything that is booked: all of it is read first.
        if self.read_changes(&mut work)? {
            return Ok(true);
        }
        let found = self.find_shown()?;
        let now = self.now();
        let due: Vec<AdId> = work.waiting.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for ad in due {
            work.waiting.remove(&ad);
            work.touched.insert(ad);
        }
        let published = self.publish_facts(&mut work, now)?;
        let closed = self.close_days(&mut work, now)?;
        if !published && !closed {
            self.rested.store(true, Ordering::SeqCst);
        }
        if !published && !closed && !found {
            self.merge_index(&mut work.index)?;
        }
        Ok(published || closed || found)
    }
    /// Reads what was booked; whether there may be more.
    fn read_changes(&self, work: &mut Work) -> Result<bool> {
        let last = self.platform.last_change();
        if last <= work.position && work.hour >= 0 {
            return Ok(false);
        }
        self.platform.wait_applied(last, 5_000);
        self.platform.flush(false)?;
        let read = self.platform.state().changes(work.position, history::CHANGES_COUNT_MAX)?;
        let more = read.len() == history::CHANGES_COUNT_MAX;
        let mut changes: Vec<(u64, Event)> = Vec::with_capacity(read.len());
        for (position, body) in read {
            changes.push((position, Event::decode(&body)?));
        }
        self.history.keep(&self.platform, work.position, &changes)?;
        for (position, event) in changes {
            if let Event::Booked(booked) = event {
                let catalogue = self.platform.catalogue();
                let touched = concerns::ads(&catalogue, &booked.change);
                work.touched.extend(touched);
                drop(catalogue);
                self.withhold_erased(&booked.change)?;
                match booked.change {
                    Change::ReportDecided { .. } => drop(self.publish_decisions(work.position)?),
                    Change::GroupingPut { .. } | Change::PersonErased { .. } => {
                        self.publish_groupings(work.position)?;
                    }
                    _ => {}
                }
            }
            work.position = position;
        }
        Ok(more)
    }
    /// The new versions of the touched ads' facts.
    fn publish_facts(&self, work: &mut Work, now: UtcMs) -> Result<bool> {
        let batch: Vec<AdId> = work.touched.iter().take(BATCH_MAX).copied().collect();
        if batch.is_empty() {
            if self.db().mark("changes")? != work.position {
                self.db().set_mark("changes", work.position)?;
            }
            return Ok(false);
        }
        let mut sheets = Vec::new();
        // What search finds a first version by is what was just put together; of a later one, parts may be withheld.
        let mut fresh: BTreeMap<AdId, Facts> = BTreeMap::new();
        let mut parties = Parties::default();
        for ad in &batch {
            let previous = self.db().latest(*ad, Kind::Facts, None)?;
            if previous.is_none() {
                match publishable_at(&self.platform.catalogue(), *ad) {
                    Some(at) if at <= now => {}
                    Some(at) => {
                        work.waiting.insert(*ad, at);
                        continue;
                    }
                    None => continue,
                }
            }
            let Some(facts) = self.current_facts_among(*ad, &mut parties)? else { continue };
            let Some(sheet) = self.facts_sheet_of(&facts, previous.as_ref(), now)? else { continue };
            sheets.push(sheet);
            if previous.is_none() {
                fresh.insert(*ad, facts);
            }
        }
        // The mark moves only when nothing of what was read waits any more.
        let mark = (batch.len() == work.touched.len()).then_some(("changes", work.position));
        self.publish(&sheets, work.position, mark)?;
        let ads: Vec<AdId> = sheets.iter().map(|s| s.leaf.ad).collect();
        self.platform.logged(&ads);
        // Readers of the projection come in between.
        for some in ads.chunks(INDEX_BATCH) {
            self.index_all(some, &fresh)?;
        }
        let done: BTreeSet<AdId> = batch.into_iter().collect();
        work.touched.retain(|ad| !done.contains(ad));
        Ok(true)
    }
    /// The log first, then the projection.
    fn publish(&self, sheets: &[Sheet], position: u64, mark: Option<(&str, u64)>) -> Result<()> {
        if sheets.is_empty() {
            return Ok(());
        }
        let first = lock(&self.log).append(sheets, position)?;
        self.db().ingest(first, sheets, mark)
    }
    /// Reads what the log has and the projection has not: after a crash between the two, or when `record.db` is built anew.
    fn catch_up(&self) -> Result<()> {
        loop {
            let from = self.db().size()?;
            let mut log = lock(&self.log);
            let leaves = log.read(from)?;
            if leaves.is_empty() {
                return Ok(());
            }
            for (index, bytes) in leaves {
                let Ok(leaf) = Leaf::parse(&bytes) else {
                    let mut objects = Vec::new();
                    for hash in View::read(&bytes).into_iter().flat_map(|view| view.commitments.into_values())
                    {
                        objects.extend(log.object(&Sha256Hash(hash.0))?.map(|bytes| (hash, bytes)));
                    }
                    if !groupings::ingest(&self.db(), index, &bytes, &objects)? {
                        self.db().pass(index)?;
                    }
                    continue;
                };
                let mut objects = Vec::new();
                for commitment in &leaf.commitments {
                    if let Some(bytes) = log.object(&commitment.sha256)? {
                        objects.push(regie_record::commit::Object { hash: commitment.sha256, bytes });
                    }
                }
                let (ad, facts) = (leaf.ad, leaf.kind == Kind::Facts);
                self.db().ingest(index, &[Sheet { leaf, bytes, objects }], None)?;
                if facts {
                    self.index(ad)?;
                }
            }
        }
    }
    fn facts_sheet_of(&self, facts: &Facts, previous: Option<&Leaf>, now: UtcMs) -> Result<Option<Sheet>> {
        let db = self.db();
        let object = |hash: &Sha256Hash| db.object(hash);
        let store = |hash: &ObjectHash| self.platform.objects.get(hash).map(|bytes| bytes.as_ref().clone());
        let previous = previous.map(|leaf| Previous { leaf, object: &object });
        let mut failed = None;
        let sheet = facts_sheet(facts, &store, previous.as_ref(), now, &mut || salt(&mut failed))?;
        match failed {
            Some(error) => Err(anyhow::anyhow!("no randomness for a salt: {error}")),
            None => Ok(sheet),
        }
    }
    /// The facts of an ad as they are booked now.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn current_facts(&self, ad: AdId) -> Result<Option<Facts>> {
        self.current_facts_among(ad, &mut Parties::default())
    }
    /// The same, for many ads of few parties: each is opened once.
    fn current_facts_among(&self, ad: AdId, opened: &mut Parties) -> Result<Option<Facts>> {
        let Some(subject) = subject(&self.platform.catalogue(), ad) else { return Ok(None) };
        let history = self.history(&subject)?;
        let catalogue = self.platform.catalogue();
        let opened = std::cell::RefCell::new(opened);
        let sources = Sources {
            catalogue: &catalogue,
            now: UtcMs(0),
            party: &|party| {
                let open = || {
                    let view = catalogue.parties.get(&party).map(|p| self.platform.party_view(&p.spec));
                    public_party(party, view.unwrap_or_default())
                };
                opened.borrow_mut().entry(party).or_insert_with(open).clone()
            },
            creative: &|hash| self.creative(hash),
            figures: Figures::default(),
            campaign_figures: Figures::default(),
            history,
        };
        Ok(regie_record::facts(ad, &sources))
    }
    fn creative(&self, hash: &ObjectHash) -> Option<Creative> {
        serde_json::from_slice(&self.platform.objects.get(hash)?).ok()
    }
    /// The key of a person was destroyed: what the record holds of that person goes too, with a tombstone each.
    fn withhold_erased(&self, change: &Change) -> Result<()> {
        let Change::PersonErased { key, .. } = change else { return Ok(()) };
        let parties: Vec<PartyId> = {
            let catalogue = self.platform.catalogue();
            let its = catalogue.parties.iter().filter(|(_, p)| p.spec.identity.key == *key);
            its.map(|(id, _)| *id).collect()
        };
        let ads: BTreeSet<AdId> = {
            let catalogue = self.platform.catalogue();
            parties.iter().flat_map(|party| concerns::of_party(&catalogue, *party)).collect()
        };
        for ad in ads {
            let versions = self.db().versions(ad, None)?;
            for version in versions.iter().filter(|v| v.leaf.kind == Kind::Facts) {
                let Some(facts) = &version.facts else { continue };
                for (whose, party) in [("sponsor.", &facts.sponsor), ("payer.", &facts.payer)] {
                    if !parties.contains(&party.id) {
                        continue;
                    }
                    for held in version.leaf.commitments.iter().filter(|c| c.part.starts_with(whose)) {
                        if self.db().object(&held.sha256).is_none() {
                            continue;
                        }
                        let ground = "GDPR Art. 17 (erasure of a person's data)";
                        let now = self.platform.now();
                        lock(&self.log).withhold(&version.leaf, &held.part, held.sha256, ground, now)?;
                        self.db().withhold_of(ad, &held.sha256)?;
                    }
                }
            }
            self.index(ad)?;
        }
        Ok(())
    }
}

/// A new salt; a failure is kept.
fn salt(failed: &mut Option<String>) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    if let Err(error) = getrandom::fill(&mut salt) {
        failed.get_or_insert(error.to_string());
    }
    salt
}

/// A party as the record may show it.
pub fn public_party(id: PartyId, party: PartyView) -> PublicParty {
    PublicParty {
        id,
        name: if party.name.is_empty() { id.to_string() } else { party.name },
        withheld: party.withheld,
        controller: party.controller,
        email: party.email,
        postal_address: party.postal_address,
        register_id: party.register_id,
        established_in: party.established_in,
    }
}

/// Whom an ad's history is about.
pub fn subject(catalogue: &Catalogue, ad: AdId) -> Option<Subject> {
    let (campaign, ad_set) = catalogue.parents_of(ad)?;
    Some(Subject {
        ad,
        versions: catalogue.versions_of(ad).to_vec(),
        ad_set,
        campaign,
        sponsor: catalogue.campaigns.get(&campaign)?.spec.sponsor,
        since: catalogue.ads.get(&ad)?.kept.created_at,
    })
}

/// From when on an ad's facts are to be in the log: some minutes before its flight, once it is approved and active.
/// `None`: it cannot be shown as it is.
pub fn publishable_at(catalogue: &Catalogue, id: AdId) -> Option<UtcMs> {
    let ad = catalogue.ads.get(&id)?;
    let (campaign_id, set_id) = catalogue.parents_of(id)?;
    let (campaign, set) = (catalogue.campaigns.get(&campaign_id)?, catalogue.ad_sets.get(&set_id)?);
    let active = [ad.kept.status, campaign.status, set.status].iter().all(|s| *s == Status::Active);
    let mut versions = catalogue.versions_of(id).iter();
    // A template is reviewed with its ad; its versions have no review of their own.
    let approved = ad.approved.as_ref().is_some_and(|approved| {
        approved.template.is_some()
            || versions.any(|v| catalogue.versions.get(v).is_some_and(|v| v.approved.is_some()))
    });
    let flight = set.spec.flight_in(&campaign.spec);
    (active && approved).then(|| UtcMs(flight.starts_at.0.saturating_sub(LEAD_MS)))
}
