//! Sending political ads' entries to a repository (Regulation (EU) 2024/900, Art. 13): a queue with retries and a deadline of
//! 72 hours from the first publication.
//!
//! The transport is configured: an `http://` address that takes JSON-LD by POST (a local forwarder where TLS or a
//! signed token is needed), or `file:` and a folder. A correction keeps the id and raises the version. An entry that is
//! not complete is not sent, and the queue says what it lacks.

use super::{data, notice};
use crate::{
    http::{App, AppState, console::layout},
    publication::sending,
};
use anyhow::{Context, Result, bail};
use regie_model::AdId;
use regie_record::{
    export::{faults, repository},
    texts::Texts,
};
use rusqlite::params;
use std::{sync::Arc, time::Duration};

/// An upload is due so long after the first publication, in milliseconds.
pub const DUE_MS: i64 = 72 * 3_600_000;
/// First wait after a failure, in milliseconds; each further one is twice as long, at most six hours.
const RETRY_MS: i64 = 60_000;
const RETRY_MS_MAX: i64 = 6 * 3_600_000;
/// Uploads of one round at most.
const ROUND_MAX: usize = 100;
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Runs until publishing stops, if a repository is configured.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(app: &AppState) -> Result<Option<std::thread::JoinHandle<()>>> {
    if app.config.repository_url.is_empty() {
        return Ok(None);
    }
    let app = Arc::clone(app);
    let work = move || {
        while !app.publication.is_stopping() {
            if let Err(error) = round(&app, &mut |url, body| send(url, body)) {
                tracing::error!(error = format!("{error:#}"), "entries could not be sent to the repository");
            }
            for _ in 0..20 {
                if app.publication.is_stopping() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    Ok(Some(std::thread::Builder::new().name("regie-repository".into()).spawn(work)?))
}

/// Queues what is new and sends what is due for a try; how many were sent.
///
/// # Errors
/// SQLite's error. What a transport says is kept in the queue.
pub fn round(app: &App, transport: &mut dyn FnMut(&str, &[u8]) -> Result<String>) -> Result<usize> {
    let now = app.platform.now();
    sending::queue(&*app.publication.fresh_db()?, now.0, DUE_MS)?;
    let due: Vec<(AdId, u32, u32)> = {
        let db = app.publication.db();
        let sql = "SELECT ad, version, tries FROM outbox WHERE sent_ms IS NULL AND next_ms <= ?1 ORDER BY due_ms LIMIT ?2";
        let mut statement = db.connection().prepare_cached(sql)?;
        let rows = statement
            .query_map(params![now.0, ROUND_MAX as i64], |r| Ok((AdId(r.get(0)?), r.get(1)?, r.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut sent = 0;
    for (ad, version, tries) in due {
        let outcome =
            document(app, ad, version).and_then(|body| transport(&app.config.repository_url, &body));
        let db = app.publication.db();
        match outcome {
            Ok(answer) => {
                let sql = "UPDATE outbox SET sent_ms = ?3, answer = ?4, tries = tries + 1 WHERE ad = ?1 AND version = ?2";
                db.connection().execute(sql, params![ad.0, version, now.0, answer])?;
                sent += 1;
            }
            Err(error) => {
                let wait = RETRY_MS.saturating_mul(1i64 << tries.min(12)).min(RETRY_MS_MAX);
                let sql = "UPDATE outbox SET next_ms = ?3, answer = ?4, tries = tries + 1 WHERE ad = ?1 AND version = ?2";
                db.connection().execute(sql, params![ad.0, version, now.0 + wait, format!("{error:#}")])?;
            }
        }
    }
    Ok(sent)
}

fn document(app: &App, ad: AdId, version: u32) -> Result<Vec<u8>> {
    let entry = data::entry(app, ad).map_err(|p| anyhow::anyhow!(p.title))?.context("the ad has no entry")?;
    let publisher = layout::publisher_name(app);
    let mut around = notice::around(app, &publisher, ad).map_err(|p| anyhow::anyhow!(p.title))?;
    around.version = version;
    around.language = Some(Texts::choose(None, &[]).code);
    let document = repository(&entry, &around);
    let lacking = faults(&document);
    if !lacking.is_empty() {
        bail!("not sent, because it is incomplete: {}", lacking.join("; "));
    }
    Ok(serde_json::to_vec(&document)?)
}

/// Sends one document by the configured transport.
///
/// # Errors
/// What the transport says.
pub fn send(url: &str, body: &[u8]) -> Result<String> {
    if let Some(folder) = url.strip_prefix("file:") {
        let folder = std::path::Path::new(folder);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let name = regie_record::commit::Sha256Hash::of(body).to_string();
        std::fs::write(folder.join(format!("{name}.jsonld")), body)?;
        return Ok(name);
    }
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(ANSWER)).http_status_as_error(false).build().into();
    let mut response = agent.post(url).header("content-type", "application/ld+json").send(body)?;
    let status = response.status();
    let mut answer = response.body_mut().read_to_string().unwrap_or_default();
    answer.truncate(answer.floor_char_boundary(500));
    if status.is_success() { Ok(answer) } else { bail!("status {status}: {answer}") }
}
