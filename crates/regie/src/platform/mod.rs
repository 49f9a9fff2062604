//! The platform: everything between HTTP and the journal, without threads, sockets or a clock of its own.
//!
//! The server drives it with threads and the system's clock; the simulation drives the same code on one thread with a
//! simulated clock and disk. Order of everything: append durably, then acknowledge, then publish (B4, R2). Holds D1 and
//! D2 by handing `decide` recorded inputs, B1 to B3 by leaving every charge to the ledger fold.

pub mod adapting;
pub mod commands;
pub mod deciding;
pub mod folder;
pub mod folds;
pub mod forecasting;
pub mod frequency;
pub mod gate;
pub mod image;
pub mod intake;
pub mod jobs;
pub mod learning;
pub mod log;
pub mod objects;
pub mod secrets;
pub mod sharded;
pub mod spend;
pub mod state_db;
pub mod traffic;
pub mod view;

use anyhow::{Result, anyhow};
use arc_swap::ArcSwap;
use regie_decide::Tables;
use regie_journal::{Appended, CommitError, QueueFull};
use regie_model::{
    UtcMs,
    catalogue::Catalogue,
    event::Event,
    mutation::{self, Mutation},
    ticket::TicketKey,
};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// Called once when a submission is durable, or lost.
pub type Ack = Box<dyn FnOnce(Result<Appended, CommitError>) + Send>;

/// The one way into the journal.
pub trait Appender: Send + Sync {
    /// Queues payloads that belong together; never waits for the disk.
    ///
    /// # Errors
    /// When the queue is full: then `ack` never fires.
    fn submit(&self, payloads: Vec<Vec<u8>>, ack: Ack) -> Result<(), QueueFull>;
    /// Nothing more will be committed.
    fn is_stopped(&self) -> bool;
}

impl Appender for regie_journal::CommitterHandle {
    fn submit(&self, payloads: Vec<Vec<u8>>, ack: Ack) -> Result<(), QueueFull> {
        regie_journal::CommitterHandle::submit(self, payloads, ack)
    }
    fn is_stopped(&self) -> bool {
        regie_journal::CommitterHandle::is_stopped(self)
    }
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> UtcMs + Send + Sync>;

/// What the platform is made of.
pub struct Parts {
    /// The time.
    pub clock: Clock,
    /// Keys and passwords.
    pub secrets: secrets::Secrets,
    /// Creatives and assets.
    pub objects: objects::Objects,
    /// Projections.
    pub state: state_db::StateDb,
    /// Everything paid is stopped until the operator says what the world has seen.
    pub restored: bool,
}

/// Why paid ads are stopped, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Halt {
    /// A law was found broken.
    Law = 1,
    /// The journal stopped, or its disk is nearly full.
    Journal = 2,
    /// The folder was restored from a backup.
    Restored = 4,
}

/// The platform.
pub struct Platform {
    clock: Clock,
    /// Keys and passwords.
    pub secrets: secrets::Secrets,
    /// Creatives and assets.
    pub objects: objects::Objects,
    appender: std::sync::OnceLock<Arc<dyn Appender>>,
    catalogue: RwLock<Catalogue>,
    commands: Mutex<commands::Pending>,
    durable: (Mutex<commands::Durable>, Condvar),
    changed: AtomicBool,
    /// What changed in the catalogue since the picture was drawn.
    touched: Mutex<regie_decide::Touched>,
    following: Mutex<view::Following>,
    /// Journal position of the last change that the catalogue has from the disk.
    catalogue_position: AtomicU64,
    /// What decisions and pages read.
    pub view: ArcSwap<view::View>,
    /// Pacing and predicted rates.
    pub tables: ArcSwap<Tables>,
    /// The tables that were last kept for replay, so that each is written once and not with every sample.
    kept_tables: arc_swap::ArcSwapOption<deciding::KeptTables>,
    folds: Mutex<folds::Folds>,
    applied: (Mutex<u64>, Condvar),
    state: Mutex<state_db::StateDb>,
    /// Soft holds.
    pub gate: gate::Gate,
    /// What visitors were shown, as far as caps ask and consents allow.
    pub frequency: frequency::Frequency,
    /// Decisions in aggregate.
    pub traffic: traffic::TrafficCounters,
    pacing: Mutex<jobs::PacingState>,
    adapting: Mutex<adapting::Adapting>,
    /// Tables made of what was seen.
    pub learning: learning::Learning,
    /// Ads whose facts are in the record's log; none while nothing is published.
    logged: Mutex<Option<view::Logged>>,
    keys: Vec<TicketKey>,
    epoch: AtomicU32,
    sequence: AtomicU64,
    halts: AtomicU32,
    restored: AtomicBool,
}

/// Locks a mutex; a panic elsewhere does not make the data worse than it is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Platform {
    /// Puts the platform together from what `state.db` knows. The journal's tail behind [`Platform::position`] must then
    /// be handed to [`Platform::observe`], the appender given to [`Platform::connect`], and an epoch opened.
    ///
    /// # Errors
    /// SQLite's errors, or a projection that cannot be read (then it is to be deleted and rebuilt).
    pub fn open(parts: Parts) -> Result<Arc<Platform>> {
        Platform::open_with(parts, None)
    }
    /// As [`Platform::open`], taking up the catalogue where an image of this journal has it.
    ///
    /// # Errors
    /// As [`Platform::open`].
    pub fn open_with(parts: Parts, image: Option<image::Image>) -> Result<Arc<Platform>> {
        let now = (parts.clock)();
        let keys = parts.secrets.ticket_keys(now)?;
        let (mut catalogue, mut at) = image.map_or_else(Default::default, |i| (i.catalogue, i.position));
        parts.state.for_each_change(at, |position, body| {
            let Event::Booked(booked) = Event::decode(body)? else {
                return Err(anyhow!("state.db holds no change"));
            };
            catalogue.apply(booked.at, &booked.change);
            at = position;
            Ok(())
        })?;
        // An erasure whose key was not destroyed in time, or came back with a backup.
        for key in &catalogue.erased {
            parts.secrets.erase_person(*key)?;
        }
        let folds = folds::Folds::restore(&parts.state)?;
        let restored = parts.restored;
        let platform = Arc::new(Platform {
            clock: parts.clock,
            secrets: parts.secrets,
            objects: parts.objects,
            appender: std::sync::OnceLock::new(),
            catalogue: RwLock::new(catalogue),
            commands: Mutex::default(),
            durable: (Mutex::default(), Condvar::new()),
            changed: AtomicBool::new(true),
            touched: Mutex::default(),
            following: Mutex::default(),
            catalogue_position: AtomicU64::new(at),
            view: ArcSwap::from_pointee(view::View::default()),
            tables: ArcSwap::from_pointee(Tables::default()),
            kept_tables: arc_swap::ArcSwapOption::empty(),
            applied: (Mutex::new(folds.position()), Condvar::new()),
            folds: Mutex::new(folds),
            state: Mutex::new(parts.state),
            gate: gate::Gate::default(),
            frequency: frequency::Frequency::default(),
            traffic: traffic::TrafficCounters::default(),
            pacing: Mutex::default(),
            adapting: Mutex::default(),
            learning: learning::Learning::default(),
            logged: Mutex::default(),
            keys,
            epoch: AtomicU32::new(0),
            sequence: AtomicU64::new(0),
            halts: AtomicU32::new(0),
            restored: AtomicBool::new(restored),
        });
        if restored {
            platform.halt(Halt::Restored, true);
        }
        Ok(platform)
    }

    /// Gives the way into the journal, once.
    pub fn connect(&self, appender: Arc<dyn Appender>) {
        let _ = self.appender.set(appender);
    }
    /// Submits events that belong together.
    ///
    /// # Errors
    /// When the queue is full or there is no journal.
    pub fn submit(&self, events: &[Event], ack: Ack) -> Result<(), SubmitError> {
        let appender = self.appender.get().ok_or(SubmitError::Stopped)?;
        if appender.is_stopped() {
            return Err(SubmitError::Stopped);
        }
        let payloads = events.iter().map(Event::encode).collect();
        appender.submit(payloads, ack).map_err(|_| SubmitError::Busy)
    }
    /// Opens a new ticket epoch, larger than any before; tickets may be issued when `ack` has fired with success.
    ///
    /// # Errors
    /// As [`Platform::submit`].
    pub fn open_epoch(self: &Arc<Self>, ack: Ack) -> Result<(), SubmitError> {
        let last = lock(&self.folds).ledger.last_epoch();
        let seconds = u32::try_from(self.now().0 / 1_000).unwrap_or(0);
        let epoch = if mutation::on(Mutation::SameEpoch) { last.max(1) } else { seconds.max(last + 1) };
        let platform = Arc::clone(self);
        let done = move |result: Result<Appended, CommitError>| {
            if result.is_ok() {
                platform.sequence.store(0, Ordering::SeqCst);
                platform.epoch.store(epoch, Ordering::SeqCst);
            }
            ack(result);
        };
        self.submit(&[Event::EpochOpened { epoch }], Box::new(done))
    }

    /// The present.
    pub fn now(&self) -> UtcMs {
        (self.clock)()
    }
    /// Read access to everything booked.
    pub fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }
    /// Read access to the folds (balances, totals).
    pub fn folds(&self) -> MutexGuard<'_, folds::Folds> {
        lock(&self.folds)
    }
    /// Read access to the projections.
    pub fn state(&self) -> MutexGuard<'_, state_db::StateDb> {
        lock(&self.state)
    }
    /// The ticket epoch, 0 before one is open.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::SeqCst)
    }
    /// The server's ticket keys, the newest last.
    pub fn keys(&self) -> &[TicketKey] {
        &self.keys
    }

    /// A copy of the catalogue with the journal position of its last change, once everything queued is durable; new
    /// commands wait for the moment it takes. `None` when that is not soon, or when nothing was booked yet.
    pub fn settled_catalogue(&self) -> Option<(Catalogue, u64)> {
        let (held, changed_at) = self.settle_commands(2_000)?;
        let position = changed_at.max(self.catalogue_position.load(Ordering::SeqCst));
        let catalogue = self.catalogue().clone();
        drop(held);
        (position > 0).then_some((catalogue, position))
    }
    /// Journal position of the last change of a booking that is durable.
    pub fn catalogue_position(&self) -> u64 {
        self.catalogue_position.load(Ordering::SeqCst)
    }
    /// Up to which journal position the folds have read.
    pub fn position(&self) -> u64 {
        lock(&self.folds).position()
    }
    /// Stops everything paid for a reason, or lifts that reason; whether it stood before.
    pub fn halt(&self, why: Halt, on: bool) -> bool {
        let bit = why as u32;
        let before = match on {
            true => self.halts.fetch_or(bit, Ordering::SeqCst),
            false => self.halts.fetch_and(!bit, Ordering::SeqCst),
        };
        if (before & bit != 0) != on {
            self.apply_halts();
        }
        before & bit != 0
    }
    fn apply_halts(&self) {
        let switched = self.catalogue().is_stopped(regie_model::command::Stop::AllPaid);
        self.gate.stop_paid(switched || self.halts.load(Ordering::SeqCst) != 0);
    }
    /// Why paid ads are stopped; empty when they are not (the publisher's own switch apart).
    pub fn halted(&self) -> Vec<&'static str> {
        let halts = self.halts.load(Ordering::SeqCst);
        let mut why = Vec::new();
        for (bit, text) in [
            (Halt::Law, "a law was found broken; billing is stopped, see the journal's law_broken event"),
            (Halt::Journal, "the journal has stopped or its disk is nearly full"),
            (
                Halt::Restored,
                "the folder was restored; say what the world has seen with `regie restore --confirm`",
            ),
        ] {
            if halts & bit as u32 != 0 {
                why.push(text);
            }
        }
        if self.appender.get().is_some_and(|a| a.is_stopped()) && halts & Halt::Journal as u32 == 0 {
            why.push("the journal has stopped");
        }
        why
    }
    /// Whether the journal still accepts.
    pub fn is_journal_up(&self) -> bool {
        self.appender.get().is_some_and(|a| !a.is_stopped())
    }
    /// Whether the folder waits for the operator's word after a restore.
    pub fn is_restored(&self) -> bool {
        self.restored.load(Ordering::SeqCst)
    }
}

/// Why nothing was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Try again in a moment.
    #[error("the journal's queue is full; try again in a moment")]
    Busy,
    /// The journal has stopped.
    #[error("the journal has stopped")]
    Stopped,
}
