//! Runs on all processors, kept as they finish, so that a long table can be stopped and gone on with. Refuses to run twice what is kept.

use anyhow::{Context, Result};
use regie_sim::campaign::Captured;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// One policy on one seed of one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The row's name on the command line.
    pub row: String,
    /// The policy's word.
    pub policy: String,
    /// Seed.
    pub seed: u64,
    /// Requests of a run.
    pub requests_count: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: Key,
    parts: Vec<[f64; 3]>,
    successes: f64,
}

/// What was run so far, in memory and in a file if one was named: one JSON line a run.
pub struct Kept {
    runs: HashMap<Key, Captured>,
    file: Option<File>,
}
impl Kept {
    /// Of a file, which is made where there is none. The last line may be cut short: it is run again.
    ///
    /// # Errors
    /// A file that cannot be read or written; a line before the last that is none.
    pub fn open(path: Option<&Path>) -> Result<Kept> {
        let Some(path) = path else { return Ok(Kept { runs: HashMap::new(), file: None }) };
        let told = || format!("--keep {}", path.display());
        let text =
            if path.exists() { std::fs::read_to_string(path).with_context(told)? } else { String::new() };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut runs = HashMap::new();
        for line in text[..whole].lines() {
            let line: Line = serde_json::from_str(line).with_context(told)?;
            runs.insert(line.key, Captured { parts: line.parts, successes: line.successes });
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(told)?;
        file.set_len(whole as u64).with_context(told)?;
        Ok(Kept { runs, file: Some(file) })
    }
    /// What came of a run, if it is kept.
    pub fn get(&self, key: &Key) -> Option<&Captured> {
        self.runs.get(key)
    }
    /// Runs what is not kept yet; each as it finishes is kept, and told to `done`.
    ///
    /// # Errors
    /// The first that a run or the file gives.
    pub fn run<J: Sync>(
        &mut self,
        jobs: &[(Key, J)],
        work: &(dyn Fn(&J, u64) -> Result<Captured> + Sync),
        done: &(dyn Fn() + Sync),
    ) -> Result<()> {
        let left: Vec<&(Key, J)> = jobs.iter().filter(|(key, _)| !self.runs.contains_key(key)).collect();
        (left.len()..jobs.len()).for_each(|_| done());
        let next = AtomicUsize::new(0);
        let kept = Mutex::new((self, Ok(())));
        let each = || {
            while let Some((key, job)) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                let captured = work(job, key.seed);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(cause) = captured.and_then(|captured| kept.0.put(key, captured)) {
                    kept.1 = Err(cause);
                    return;
                }
                done();
            }
        };
        let threads =
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(left.len().max(1));
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(each))));
        kept.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
    fn put(&mut self, key: &Key, captured: Captured) -> Result<()> {
        if let Some(file) = &mut self.file {
            let line =
                Line { key: key.clone(), parts: captured.parts.clone(), successes: captured.successes };
            let mut text = serde_json::to_string(&line)?;
            text.push('\n');
            file.write_all(text.as_bytes())?;
        }
        self.runs.insert(key.clone(), captured);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn job(seed: u64) -> (Key, f64) {
        (Key { row: "row".into(), policy: "regie".into(), seed, requests_count: 10 }, seed as f64)
    }
    #[test]
    fn what_is_kept_is_not_run_again_and_what_was_cut_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.jsonl");
        let runs = AtomicUsize::new(0);
        let work = |value: &f64, _: u64| {
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(Captured { parts: vec![[*value, 0.0, 1.0]], successes: *value })
        };
        let jobs: Vec<(Key, f64)> = (1..=3).map(job).collect();
        Kept::open(Some(&path)).unwrap().run(&jobs, &work, &|| ()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let mut kept = Kept::open(Some(&path)).unwrap();
        kept.run(&jobs, &work, &|| ()).unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert!(jobs.iter().all(|(key, value)| kept.get(key).unwrap().successes == *value));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
        let fails = |_: &f64, _: u64| anyhow::bail!("no");
        assert!(kept.run(&[job(4)], &fails, &|| ()).is_err());
    }
}
