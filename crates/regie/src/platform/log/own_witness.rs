//! This Regie as a witness of others (C2SP tlog-witness): it cosigns what extends what it cosigned last.
//!
//! What was cosigned is stored before the answer, in one transaction with the check. Refuses logs that are not configured, and to sign
//! with a key whose memory is lost.

use super::store;
use crate::platform::{lock, secrets::Secrets};
use anyhow::{Context, Result};
use regie_model::UtcMs;
use regie_record::log::{
    Signatory, VerifierKey,
    note::TYPE_COSIGNATURE,
    witness::{AddCheckpoint, Answer, judge, origin_of},
};
use rusqlite::Connection;
use std::{path::Path, sync::Mutex};

/// A witness.
pub struct OwnWitness {
    connection: Mutex<Connection>,
    key: Signatory,
    logs: Vec<VerifierKey>,
}

impl OwnWitness {
    /// Opens the witness of a folder. `logs`: verifier keys of the logs that it knows.
    ///
    /// # Errors
    /// SQLite's error, a setting that is no key.
    pub fn open(
        path: &Path,
        secrets: &Secrets,
        name: &str,
        logs: &[String],
        now: UtcMs,
    ) -> Result<OwnWitness> {
        let logs = logs
            .iter()
            .map(|text| VerifierKey::parse(text).with_context(|| format!("the log {text}")))
            .collect::<Result<_>>()?;
        // Whoever forgot what it cosigned, as after a restore, is another witness: the key that remembers more signs no more.
        if !path.exists() {
            secrets.retire_signing_keys("witness", name, now)?;
        }
        let keys = secrets.signing_keys("witness", name, TYPE_COSIGNATURE, now)?;
        let key = keys.into_iter().next_back().context("the witness has no key")?;
        Ok(OwnWitness { connection: Mutex::new(store::witness(path)?), key, logs })
    }
    /// Its key.
    pub fn key(&self) -> VerifierKey {
        self.key.verifier()
    }
    /// Answers a request: status, body.
    ///
    /// # Errors
    /// SQLite's error; then nothing was cosigned.
    pub fn answer(&self, body: &[u8], now: UtcMs) -> Result<Answer> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Ok(Answer::BadRequest(error.to_string())),
        };
        let origin = match origin_of(&request) {
            Ok(origin) => origin,
            Err(error) => return Ok(Answer::BadRequest(error.to_string())),
        };
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let last = store::cosigned(&transaction, &origin)?;
        let now_s = u64::try_from(now.0 / 1_000).unwrap_or(0);
        let answer = judge(&request, &self.logs, last, &self.key, now_s);
        if let Answer::Cosigned { head, .. } = &answer {
            store::set_cosigned(&transaction, &origin, *head, &request.checkpoint.to_string())?;
            transaction.commit()?;
        }
        Ok(answer)
    }
}
