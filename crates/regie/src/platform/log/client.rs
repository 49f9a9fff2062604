//! Logs and witnesses on the network: small, blocking, with a limit on everything.

use anyhow::{Context, Result};
use regie_record::log::{
    VerifierKey,
    outside::WitnessClient,
    read::{ReadError, Source},
    sequencer::StorageError,
    witness::AddCheckpoint,
};
use std::time::Duration;

/// Bytes of one file at most: a full bundle of the largest entries.
const FILE_BYTES_MAX: u64 = 20 << 20;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("regie/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// A log at an address.
pub struct HttpSource {
    prefix: String,
    agent: ureq::Agent,
}
impl HttpSource {
    /// Below a prefix, with or without a final slash.
    pub fn new(prefix: &str) -> HttpSource {
        HttpSource { prefix: prefix.trim_end_matches('/').to_owned(), agent: agent() }
    }
}
impl Source for HttpSource {
    fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let url = format!("{}/{path}", self.prefix);
        let failed = |why: String| ReadError::Unreachable { path: url.clone(), why };
        let mut answer = self.agent.get(&url).call().map_err(|e| failed(e.to_string()))?;
        match answer.status().as_u16() {
            200 => {
                let body = answer.body_mut().with_config().limit(FILE_BYTES_MAX);
                body.read_to_vec().map(Some).map_err(|e| failed(e.to_string()))
            }
            404 | 410 => Ok(None),
            other => Err(failed(format!("it answered {other}"))),
        }
    }
}

/// A witness at an address.
pub struct HttpWitness {
    key: VerifierKey,
    url: String,
    agent: ureq::Agent,
}
impl HttpWitness {
    /// Of a setting: its verifier key, a space, its submission prefix.
    ///
    /// # Errors
    /// A setting that is neither.
    pub fn parse(text: &str) -> Result<HttpWitness> {
        let (key, url) = text.split_once(' ').context("a witness is written `VKEY URL`")?;
        let key = VerifierKey::parse(key).with_context(|| format!("the witness {text}"))?;
        Ok(HttpWitness { key, url: url.trim().trim_end_matches('/').to_owned(), agent: agent() })
    }
}
impl WitnessClient for HttpWitness {
    fn key(&self) -> &VerifierKey {
        &self.key
    }
    fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<(u16, String), StorageError> {
        let url = format!("{}/add-checkpoint", self.url);
        let failed = |e: ureq::Error| StorageError(format!("{url}: {e}"));
        let mut answer = self.agent.post(&url).send(request.to_text()).map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 20).read_to_string().map_err(failed)?;
        Ok((status, body))
    }
}
