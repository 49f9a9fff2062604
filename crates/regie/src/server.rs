//! The server: threads, sockets and the system's clock around the platform.
//!
//! One committer thread (the journal's), one fold thread, one thread for jobs, tokio workers for HTTP. Order of a
//! stop: no new connections, open requests drain, the journal commits what waits, the folds are written.

mod opening;

pub use opening::open_to_read;

use crate::{
    config::Config,
    http::{self, App, AppState},
    platform::{
        Clock, Halt, Platform,
        folder::Folder,
        log::{
            Door, RecordLog, client::Roots, own_mirror::OwnMirror, own_witness::OwnWitness, payers::Payers,
        },
    },
    publication::Publication,
};
use anyhow::{Context, Result, anyhow};
use axum::Router;
use opening::{Images, Phases, catch_up, open_platform};
use regie_journal::{Appended, Committer, CommitterHandle, CommitterOptions, Options, SqliteJournal};
use regie_model::UtcMs;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

/// Batches that may wait for the folds before the committer is held back.
const FOLD_QUEUE_BATCHES: usize = 64;

/// How long a start waits for facts that are not in the record's log yet.
const PUBLISH_FIRST_MAX: Duration = Duration::from_secs(2);
/// Longest rest between two pictures of the catalogue.
const PUBLISH_REST_MAX: Duration = Duration::from_millis(400);
/// Rest between two looks at pacing, rates and what was learned.
const TABLES_REST_MIN: Duration = Duration::from_secs(1);
const TABLES_REST_MAX: Duration = Duration::from_secs(10);
/// How often an image of the catalogue is written, if anything was booked.
const IMAGE_PERIOD_MS: u64 = 300_000;

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}

/// Progress of something long: (done, of all).
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// The engine without HTTP: platform, journal, folds and jobs, running.
pub struct Engine {
    /// The platform.
    pub platform: Arc<Platform>,
    committer: CommitterHandle,
    threads: Vec<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    images: Images,
}

impl Engine {
    /// Opens a data folder, catches up with the journal and opens a ticket epoch.
    ///
    /// # Errors
    /// A folder in use, a damaged journal, a projection that cannot be read.
    pub fn start(folder: &Folder, config: &Config, progress: Progress<'_>) -> Result<Engine> {
        let clock = system_clock();
        let mut phase = Phases::begin();
        let options = Options { segment_bytes_max: config.segment_bytes_max, ..Options::default() };
        let journal = SqliteJournal::open(&folder.journal(), options).context("opening the journal")?;
        phase.done("the journal was opened");
        let (platform, image) = open_platform(folder, clock.clone())?;
        let imaged = image.as_ref().map_or(0, |image| image.position);
        phase.done("bookings and checkpoints were read");
        let images = Images { folder: folder.clone(), written_at: Arc::new(AtomicU64::new(imaged)) };
        let head = regie_journal::Journal::head(&journal).0;
        std::thread::scope(|scope| {
            // What the image has is compiled meanwhile; what the tail changes in it is compiled after it.
            let compiling = image.is_some().then(|| scope.spawn(|| platform.publish()));
            let caught_up = catch_up(&platform, folder, head, progress);
            let compiled = compiling.map(|thread| thread.join());
            caught_up
                .and(compiled.map_or(Ok(true), |joined| joined.map_err(|_| anyhow!("compiling panicked"))))
        })?;
        phase.done("the journal's tail was read");
        let (sender, receiver) = mpsc::sync_channel::<(Appended, Vec<Vec<u8>>)>(FOLD_QUEUE_BATCHES);
        let observer = move |appended, payloads| drop(sender.send((appended, payloads)));
        let tick = clock.clone();
        let committer = Committer::start(journal, move || tick().0, observer, CommitterOptions::default())?;
        platform.connect(Arc::new(committer.clone()));
        let folding = Arc::clone(&platform);
        let folds = std::thread::Builder::new().name("regie-folds".into()).spawn(move || {
            while let Ok((appended, payloads)) = receiver.recv() {
                folding.observe(appended, &payloads);
            }
        })?;
        open_epoch(&platform)?;
        platform.catalogue_moved();
        platform.publish();
        if let Some(image) = &image {
            image.mapped.give_back();
        }
        phase.done("the catalogue was compiled for decisions");
        watch_disk(&platform, folder, config);
        let stopping = Arc::new(AtomicBool::new(false));
        let jobs = Jobs {
            platform: Arc::clone(&platform),
            config: config.clone(),
            stopping: Arc::clone(&stopping),
            images: images.clone(),
        };
        let jobs = jobs.spawn()?;
        Ok(Engine { platform, committer, threads: vec![folds, jobs], stopping, images })
    }
    /// Commits what waits, writes the folds, ends the threads.
    ///
    /// # Errors
    /// The failure that stopped the journal, or SQLite's.
    pub fn stop(mut self) -> Result<()> {
        self.stopping.store(true, Ordering::SeqCst);
        self.platform.flush_traffic();
        let stopped = self.committer.stop();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a thread of the engine panicked"))?;
        }
        self.platform.flush(true)?;
        if stopped.is_ok() {
            self.images.write(&self.platform);
        }
        stopped.map_err(Into::into)
    }
    /// Figures of the committer.
    pub fn committer(&self) -> &CommitterHandle {
        &self.committer
    }
}

fn open_epoch(platform: &Arc<Platform>) -> Result<()> {
    let (done, wait) = mpsc::sync_channel(1);
    platform.open_epoch(Box::new(move |result| drop(done.send(result))))?;
    wait.recv().context("the journal stopped")?.context("opening a ticket epoch")?;
    Ok(())
}

/// Opens the record's log, and has it looked after as long as the engine runs.
fn open_log(engine: &mut Engine, folder: &Folder, config: &Config) -> Result<Arc<RecordLog>> {
    let platform = Arc::clone(&engine.platform);
    let log = RecordLog::open(folder, &platform.secrets, config, platform.now())
        .context("opening the record's log")?;
    engine.threads.push(tend_log(Arc::clone(&log), platform, Arc::clone(&engine.stopping))?);
    Ok(log)
}

/// This server as a witness of others, where it is told of any.
fn open_witness(platform: &Platform, folder: &Folder, config: &Config) -> Result<Option<OwnWitness>> {
    if config.witness_logs.is_empty() {
        return Ok(None);
    }
    let bare = config.public_url.split_once("://").map_or(config.public_url.as_str(), |(_, rest)| rest);
    let name = match config.witness_name.as_str() {
        "" => format!("{bare}/witness"),
        name => name.to_owned(),
    };
    let path = folder.root().join("witness.db");
    OwnWitness::open(&path, &platform.secrets, &name, &config.witness_logs, platform.now()).map(Some)
}

/// This server as a mirror of others, where it is told of any, with a thread that fetches what their entries commit to.
fn open_mirror(engine: &mut Engine, folder: &Folder, config: &Config) -> Result<Option<Arc<OwnMirror>>> {
    if config.mirror_logs.is_empty() {
        return Ok(None);
    }
    let bare = config.public_url.split_once("://").map_or(config.public_url.as_str(), |(_, rest)| rest);
    let name = match config.mirror_name.as_str() {
        "" => format!("{bare}/mirror"),
        name => name.to_owned(),
    };
    let platform = &engine.platform;
    let roots = Roots::of_file(config.log_ca_file.as_deref()).context("log_ca_file")?;
    let mirror =
        OwnMirror::open(folder.root(), &platform.secrets, &name, &config.mirror_logs, roots, platform.now())
            .map(Arc::new)
            .context("opening the mirror")?;
    engine.threads.push(mirror.spawn_fetching(Arc::clone(&engine.stopping))?);
    Ok(Some(mirror))
}

/// Looks after the log once a second: objects made durable, witnesses asked.
fn tend_log(
    log: Arc<RecordLog>,
    platform: Arc<Platform>,
    stopping: Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    let payers = Payers::open(log.folder())?;
    let work = move || {
        let (mut ticks, mut more) = (0u32, false);
        while !stopping.load(Ordering::SeqCst) {
            if ticks.is_multiple_of(10)
                && let Err(error) = log.tend(platform.now())
            {
                tracing::error!(error = format!("{error:#}"), "the record's log could not be looked after");
            }
            // Closed days, for payers: one at a time, until there is none.
            if ticks.is_multiple_of(300) || more {
                more = payers.close_next(&platform, &log).unwrap_or_else(|error| {
                    tracing::error!(error = format!("{error:#}"), "a day could not be closed for payers");
                    false
                });
            }
            ticks = ticks.wrapping_add(1);
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    Ok(std::thread::Builder::new().name("regie-log".into()).spawn(work)?)
}

/// Opens what publishes into the record: its versions go to the log first.
fn open_publication(
    platform: &Arc<Platform>,
    log: &Arc<RecordLog>,
    folder: &Folder,
    config: &Config,
) -> Result<Arc<Publication>> {
    let door = Box::new(Door(Arc::clone(log)));
    Publication::open(Arc::clone(platform), &folder.record_db(), folder.journal(), door, config.record_gate)
        .inspect(|publication| publication.keep_personal_for(config.record_keep_days))
        .context("opening record.db")
}

/// Stops everything paid while the disk is nearly full or the journal has stopped.
fn watch_disk(platform: &Platform, folder: &Folder, config: &Config) {
    let low = folder.free_bytes().is_some_and(|free| free < config.disk_free_bytes_min);
    platform.halt(Halt::Journal, low || !platform.is_journal_up());
}

/// What runs beside HTTP and the committer.
struct Jobs {
    platform: Arc<Platform>,
    config: Config,
    stopping: Arc<AtomicBool>,
    images: Images,
}
impl Jobs {
    fn spawn(self) -> Result<JoinHandle<()>> {
        Ok(std::thread::Builder::new().name("regie-jobs".into()).spawn(move || self.run())?)
    }
    fn run(self) {
        let Jobs { platform, config, stopping, images } = self;
        let start = Instant::now();
        let every = |last: &mut Duration, period_ms: u64| {
            let due = start.elapsed() >= *last + Duration::from_millis(period_ms);
            if due {
                *last = start.elapsed();
            }
            due
        };
        let (mut second, mut traffic, mut flush, mut disk, mut adapt) = Default::default();
        let mut image = start.elapsed();
        let (mut rested, mut tables_rested) = (Duration::ZERO, Duration::ZERO);
        let mut aside: Vec<JoinHandle<()>> = Vec::new();
        while !stopping.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
            if start.elapsed() >= rested {
                let began = start.elapsed();
                if platform.publish() {
                    // At most a tenth of a core goes into pictures, and none is older than about half a second.
                    let took = start.elapsed() - began;
                    rested = start.elapsed() + (took * 9).min(PUBLISH_REST_MAX);
                }
            }
            if let Some(merge) = platform.merge_due() {
                let merging = Arc::clone(&platform);
                aside.extend(in_background("regie-merge", move || {
                    let tables = merging.tables.load_full();
                    merging.merged(merge.run(&tables));
                }));
            }
            if every(&mut traffic, config.traffic_flush_ms) {
                platform.flush_traffic();
            }
            if every(&mut adapt, 15_000) {
                platform.adapt();
            }
            if every(&mut second, 1_000) {
                platform.tick_budgets();
            }
            if start.elapsed() >= tables_rested {
                let began = start.elapsed();
                platform.tick_tables();
                // As with pictures: at most a tenth of a core.
                let took = start.elapsed() - began;
                tables_rested = start.elapsed() + (took * 9).clamp(TABLES_REST_MIN, TABLES_REST_MAX);
            }
            if every(&mut flush, 500)
                && let Err(error) = platform.flush(false)
            {
                tracing::error!(error = format!("{error:#}"), "the projections could not be written");
            }
            if every(&mut disk, 10_000) {
                watch_disk(&platform, &images.folder, &config);
            }
            if every(&mut image, IMAGE_PERIOD_MS) {
                let (platform, images) = (Arc::clone(&platform), images.clone());
                aside.extend(in_background("regie-image", move || images.write(&platform)));
            }
            if !platform.is_journal_up() {
                platform.halt(Halt::Journal, true);
            }
            aside.retain(|thread| !thread.is_finished());
        }
        aside.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Runs something on a thread of its own; a thread that cannot be made is logged, and the work waits for the next time.
fn in_background(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.inspect_err(|error| tracing::warn!(%error, name, "no thread for work in the background")).ok()
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The application.
    pub app: AppState,
    engine: Engine,
    publishing: Vec<JoinHandle<()>>,
    stop: tokio::sync::watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts the engine and HTTP. `extra` routes (the demo's pages) are merged in.
    ///
    /// # Errors
    /// As [`Engine::start`]; an address in use; certificate files that cannot be read.
    pub async fn start(
        folder: &Folder,
        mut config: Config,
        extra: Router<AppState>,
        progress: Progress<'_>,
    ) -> Result<Server> {
        let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
            format!("cannot listen on {}; is another server running there?", config.listen)
        })?;
        let address = listener.local_addr()?;
        if config.listen.port() == 0 {
            config.public_url = config.public_url.replace(":0", &format!(":{}", address.port()));
            config.listen = address;
        }
        let geo = match &config.geo_database {
            Some(path) => Some(
                maxminddb::Reader::open_readfile(path)
                    .with_context(|| format!("cannot read {}", path.display()))?,
            ),
            None => None,
        };
        let mut engine = Engine::start(folder, &config, progress)?;
        let log = open_log(&mut engine, folder, &config)?;
        let witness = open_witness(&engine.platform, folder, &config)?;
        let mirror = open_mirror(&mut engine, folder, &config)?;
        let mut phase = Phases::begin();
        let publication = open_publication(&engine.platform, &log, folder, &config)?;
        phase.done("the record was opened");
        let publishing = publication.spawn()?;
        // What can be published soon is published before the first request; the gate holds back the rest meanwhile.
        publication.wait_rested(PUBLISH_FIRST_MAX).inspect_err(|_| publication.stop())?;
        phase.done("the first facts were published");
        let app = Arc::new(App {
            platform: Arc::clone(&engine.platform),
            config: config.clone(),
            geo,
            creatives: Default::default(),
            metrics: http::health::Metrics::new(engine.committer().clone(), engine.platform.now()),
            log,
            witness,
            mirror,
            publication: Arc::clone(&publication),
            record_limits: Default::default(),
            completeness: Default::default(),
            bulk_files: Default::default(),
            bulk: Default::default(),
            desk: crate::desk::Desk::open(folder.root())?,
            folder: folder.root().to_path_buf(),
            study: Arc::new(http::study::Study::of(folder.root())),
        });
        http::downloads::spawn(&app);
        let sending = http::record::outbox::spawn(&app)?;
        let publishing = vec![Some(publishing), sending].into_iter().flatten().collect();
        let router = http::router(Arc::clone(&app)).merge(extra.with_state(Arc::clone(&app)));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let answers = crate::http::serve::Answers { router, hot: Some(Arc::clone(&app)) };
        let serving = crate::http::serve::spawn(listener, answers, &config, stopped)?;
        Ok(Server { address, app, engine, publishing, stop, serving })
    }
    /// Tells the server to stop when the process is asked to, or when the journal has stopped; then stops it.
    ///
    /// # Errors
    /// As [`Engine::stop`]; an error when the journal stopped, so that the process is started anew.
    pub async fn run_until_signal(self) -> Result<()> {
        let platform = Arc::clone(&self.app.platform);
        let patience = Duration::from_millis(self.app.config.exit_after_journal_stop_ms);
        let broken = async {
            while platform.is_journal_up() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            tracing::error!(
                "the journal has stopped: only house ads are shown; the process ends soon, to recover at its next start"
            );
            tokio::time::sleep(patience).await;
        };
        let failed = tokio::select! {
            () = signal() => false,
            () = broken => true,
        };
        self.stop().await?;
        if failed { Err(anyhow!("the journal stopped; start again to recover")) } else { Ok(()) }
    }
    /// Drains and stops.
    ///
    /// # Errors
    /// As [`Engine::stop`].
    pub async fn stop(self) -> Result<()> {
        let _ = self.stop.send(true);
        let drain = Duration::from_millis(self.app.config.drain_ms);
        if tokio::time::timeout(drain, self.serving).await.is_err() {
            tracing::warn!("some requests were still open at the end of the drain time");
        }
        let (engine, publishing) = (self.engine, self.publishing);
        let study = Arc::clone(&self.app.study);
        self.app.publication.stop();
        let stopping = move || {
            study.stop();
            for thread in publishing {
                thread.join().map_err(|_| anyhow!("a thread of the record panicked"))?;
            }
            engine.stop()
        };
        tokio::task::spawn_blocking(stopping).await?
    }
}

/// Resolves when the process is asked to stop.
pub async fn signal() {
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
