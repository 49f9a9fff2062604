//! Imports in the background: one at a time, watched, gone on with after a stop.
//!
//! An upload lies in `study/uploads/NUMBER/` with what was said of it until it is imported; what a stop interrupted is
//! still there at the next start and goes on where its last commit ended. Soft state: the list of finished imports of
//! this process; the store itself knows what it holds.

use regie_study::{
    Currency, Day,
    desk::Desk,
    encoding::Encoding,
    import::{ImportOptions, Importer, Mapping, Outcome, OwnEntry, OwnSource, Progress},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Finished imports that are remembered.
const JOBS_MAX: usize = 100;
/// The file beside an upload that says what was said of it.
const SAID: &str = "said.json";

/// What a person says of a file, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Name of the file.
    pub file: String,
    /// Who sent it.
    pub by: String,
    /// Published or fetched on.
    pub known_on: String,
    /// Country code.
    pub country: String,
    /// Window family.
    pub window: String,
    /// Currency.
    pub currency: String,
    /// Encoding.
    pub encoding: String,
    /// A mapping, as TOML.
    pub mapping: String,
}

impl Said {
    /// As the importer takes it.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub fn options(&self) -> Result<ImportOptions, String> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        let day = |text: String| Day::parse(&text).ok_or(format!("{text:?} is no day; write YYYY-MM-DD"));
        let currency = |text: String| text.parse::<Currency>();
        let encoding = |text: String| Encoding::parse(&text).ok_or(format!("no encoding {text:?}"));
        let mapping = |text: String| Mapping::parse(&text, "the mapping").map_err(|e| e.to_string());
        Ok(ImportOptions {
            mapping: some(&self.mapping).map(mapping).transpose()?,
            known_on: some(&self.known_on).map(day).transpose()?,
            country: some(&self.country).map(|c| c.to_ascii_uppercase()),
            window: some(&self.window),
            currency: some(&self.currency).map(currency).transpose()?,
            encoding: some(&self.encoding).map(encoding).transpose()?,
        })
    }
}

/// How far an import is.
#[derive(Debug, Default)]
pub struct Job {
    /// What was said of the file.
    pub said: Said,
    part: Mutex<(String, Option<u64>)>,
    bytes: AtomicU64,
    rows: AtomicU64,
    result: Mutex<Option<Result<Outcome, String>>>,
}

impl Job {
    /// Part that is read now, its size where known, bytes and rows read of it.
    pub fn at(&self) -> (String, Option<u64>, u64, u64) {
        let (part, size) = lock(&self.part).clone();
        (part, size, self.bytes.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed))
    }
    /// What became of it, when it has ended.
    pub fn result(&self) -> Option<Result<Outcome, String>> {
        lock(&self.result).clone()
    }
    fn end(&self, result: Result<Outcome, String>) {
        *lock(&self.result) = Some(result);
    }
}

/// Tells a job how far it is, and the importer when to stop.
struct Watch<'a> {
    job: &'a Job,
    stopping: &'a AtomicBool,
}
impl Progress for Watch<'_> {
    fn begin(&mut self, name: &str, bytes: Option<u64>) {
        *lock(&self.job.part) = (name.to_owned(), bytes);
        self.job.bytes.store(0, Ordering::Relaxed);
        self.job.rows.store(0, Ordering::Relaxed);
    }
    fn at(&mut self, bytes: u64, rows: u64) -> bool {
        self.job.bytes.store(bytes, Ordering::Relaxed);
        self.job.rows.store(rows, Ordering::Relaxed);
        !self.stopping.load(Ordering::SeqCst)
    }
}

/// The study of this server.
pub struct Study {
    /// Store, groupings, reports.
    pub desk: Desk,
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    /// Held by the import that runs.
    turn: Arc<Mutex<()>>,
    /// Set when the process ends.
    stopping: Arc<AtomicBool>,
    /// Groupings and reports are changed by one at a time.
    pub changing: Mutex<()>,
}

impl Study {
    /// The study of a data folder.
    pub fn of(data_folder: &Path) -> Study {
        Study {
            desk: Desk::of(data_folder),
            jobs: Mutex::default(),
            turn: Arc::default(),
            stopping: Arc::default(),
            changing: Mutex::default(),
        }
    }
    /// Asks a running import to stop at its next commit, and waits for it.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(lock(&self.turn));
    }
    /// Free bytes on the desk's disk, where the system tells.
    pub fn free_bytes(&self) -> Option<u64> {
        let folder = self.desk.room("uploads").ok()?;
        crate::platform::folder::free_bytes(&folder)
    }
    /// A folder for an upload, under a number that no other has.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new_upload(&self) -> Result<(u64, PathBuf), regie_study::Error> {
        let uploads = self.desk.room("uploads")?;
        let mut jobs = lock(&self.jobs);
        let there = numbers(&uploads).last().copied().unwrap_or(0);
        let id = jobs.keys().next_back().copied().unwrap_or(0).max(there) + 1;
        // The number is taken before anything waits.
        jobs.insert(id, Arc::new(Job::default()));
        let folder = uploads.join(id.to_string());
        std::fs::create_dir_all(&folder)?;
        Ok((id, folder))
    }
    /// Forgets an upload that came to nothing.
    pub fn drop_upload(&self, id: u64) {
        lock(&self.jobs).remove(&id);
        if let Ok(uploads) = self.desk.room("uploads") {
            let _ = std::fs::remove_dir_all(uploads.join(id.to_string()));
        }
    }
    /// One import.
    pub fn job(&self, id: u64) -> Option<Arc<Job>> {
        lock(&self.jobs).get(&id).cloned()
    }
    /// Every import of this process, the latest first.
    pub fn jobs(&self) -> Vec<(u64, Arc<Job>)> {
        lock(&self.jobs).iter().rev().map(|(id, job)| (*id, Arc::clone(job))).collect()
    }
    /// Uploads that an earlier process left, with what was said of them.
    pub fn left_over(&self) -> Vec<(u64, Said)> {
        let Ok(uploads) = self.desk.room("uploads") else { return Vec::new() };
        let mine = lock(&self.jobs);
        let of = |id: u64| {
            let text = std::fs::read(uploads.join(id.to_string()).join(SAID)).ok()?;
            Some((id, serde_json::from_slice(&text).ok()?))
        };
        numbers(&uploads).into_iter().filter(|id| !mine.contains_key(id)).filter_map(of).collect()
    }
    /// Begins the import of an upload, or goes on with one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin(self: &Arc<Self>, id: u64, said: Said) -> Result<(), regie_study::Error> {
        let folder = self.desk.room("uploads")?.join(id.to_string());
        std::fs::write(folder.join(SAID), serde_json::to_vec(&said)?)?;
        let path = folder.join(&said.file);
        let study = Arc::clone(self);
        let work = move |job: &Job| {
            let options = job.said.options()?;
            let store = study.desk.store().map_err(|e| e.to_string())?;
            let mut importer = Importer::new(&store, options).map_err(|e| e.to_string())?;
            let mut watch = Watch { job, stopping: &study.stopping };
            let done = importer.path(&path, &mut watch).map_err(|e| e.to_string());
            // What a stop interrupted stays, to be gone on with; everything else is settled.
            if !study.stopping.load(Ordering::SeqCst) {
                let _ = std::fs::remove_dir_all(&folder);
            }
            done
        };
        self.run(id, said, work);
        Ok(())
    }
    /// Imports this publisher's own record.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin_own(
        self: &Arc<Self>,
        by: String,
        read: impl FnOnce() -> Result<(OwnSource, Vec<OwnEntry>), String> + Send + 'static,
    ) -> Result<u64, regie_study::Error> {
        let (id, folder) = self.new_upload()?;
        let _ = std::fs::remove_dir_all(folder);
        let study = Arc::clone(self);
        let said = Said { file: "our own record".into(), by, ..Said::default() };
        self.run(id, said, move |_| {
            let (source, entries) = read()?;
            let own = || {
                let store = study.desk.store()?;
                Importer::new(&store, ImportOptions::default())?.own_record(&source, entries)
            };
            own().map_err(|e: regie_study::Error| e.to_string())
        });
        Ok(id)
    }
    fn run(&self, id: u64, said: Said, work: impl FnOnce(&Job) -> Result<Outcome, String> + Send + 'static) {
        let job = Arc::new(Job { said, ..Job::default() });
        {
            let mut jobs = lock(&self.jobs);
            jobs.insert(id, Arc::clone(&job));
            while jobs.len() > JOBS_MAX {
                let ended = jobs.iter().find(|(_, j)| j.result().is_some()).map(|(id, _)| *id);
                let Some(ended) = ended else { break };
                jobs.remove(&ended);
            }
        }
        let (turn, ending) = (Arc::clone(&self.turn), Arc::clone(&job));
        let thread = std::thread::Builder::new().name("regie-study".into());
        let started = thread.spawn(move || {
            let _mine = lock(&turn);
            job.end(work(&job));
        });
        if let Err(error) = started {
            ending.end(Err(format!("no thread for it: {error}")));
        }
    }
}

fn numbers(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut ids: Vec<u64> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
