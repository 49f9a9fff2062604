//! Logs and witnesses on the network, plain or by HTTPS: small, blocking, with a limit on everything.
//!
//! HTTPS trusts the roots that browsers trust, or those of a file instead. It keeps readers' requests private; what a log says
//! is checked by its signatures, whoever carried it.

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use regie_record::log::{
    VerifierKey,
    outside::WitnessClient,
    push::MirrorClient,
    read::{ReadError, Source},
    sequencer::StorageError,
    witness::AddCheckpoint,
};
use std::{io::Write, path::Path, sync::Arc, time::Duration};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Bytes of one file at most: a full bundle of the largest entries.
const FILE_BYTES_MAX: u64 = 20 << 20;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a mirror may take over one upload.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(120);

/// Which authorities HTTPS trusts: those that browsers trust (Mozilla's list), unless made of a file.
#[derive(Clone, Debug, Default)]
pub struct Roots(Option<Arc<Vec<Certificate<'static>>>>);
impl Roots {
    /// The certificates of a PEM file in place of Mozilla's; these where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or has no certificate.
    pub fn of_file(path: Option<&Path>) -> Result<Roots> {
        let Some(path) = path else { return Ok(Roots::default()) };
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut certificates = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) =
                item.with_context(|| format!("{} is not PEM", path.display()))?
            {
                certificates.push(certificate);
            }
        }
        ensure!(!certificates.is_empty(), "{} has no certificate in PEM form", path.display());
        Ok(Roots(Some(Arc::new(certificates))))
    }
}

fn agent(roots: &Roots) -> ureq::Agent {
    patient(roots, PATIENCE)
}
fn patient(roots: &Roots, patience: Duration) -> ureq::Agent {
    let trusted = roots.0.clone().map_or(RootCerts::WebPki, RootCerts::Specific);
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(trusted).build())
        .http_status_as_error(false)
        .timeout_global(Some(patience))
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
    /// Below a prefix, with or without a final slash, under browsers' roots.
    pub fn new(prefix: &str) -> HttpSource {
        HttpSource::trusting(prefix, &Roots::default())
    }
    /// Below a prefix, under roots.
    pub fn trusting(prefix: &str, roots: &Roots) -> HttpSource {
        HttpSource { prefix: prefix.trim_end_matches('/').to_owned(), agent: agent(roots) }
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
    pub fn parse(text: &str, roots: &Roots) -> Result<HttpWitness> {
        let (key, url) = text.split_once(' ').context("a witness is written `VKEY URL`")?;
        let key = VerifierKey::parse(key).with_context(|| format!("the witness {text}"))?;
        Ok(HttpWitness { key, url: url.trim().trim_end_matches('/').to_owned(), agent: agent(roots) })
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

/// A mirror at an address.
pub struct HttpMirror {
    key: VerifierKey,
    url: String,
    agent: ureq::Agent,
}
impl HttpMirror {
    /// Of a text: its verifier key, a space, its submission prefix.
    ///
    /// # Errors
    /// A text that is neither.
    pub fn parse(text: &str, roots: &Roots) -> Result<HttpMirror> {
        let (key, url) = text.split_once(' ').context("a mirror is written `VKEY URL`")?;
        let key = VerifierKey::parse(key).with_context(|| format!("the mirror {text}"))?;
        let url = url.trim().trim_end_matches('/').to_owned();
        Ok(HttpMirror { key, url, agent: patient(roots, UPLOAD_PATIENCE) })
    }
    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, String), StorageError> {
        let url = format!("{}/{path}", self.url);
        let failed = |e: ureq::Error| StorageError(format!("{url}: {e}"));
        let request =
            headers.iter().fold(self.agent.post(&url), |all, (name, value)| all.header(*name, *value));
        let mut answer = request.send(body).map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 20).read_to_string().map_err(failed)?;
        Ok((status, body))
    }
}
impl MirrorClient for HttpMirror {
    fn key(&self) -> &VerifierKey {
        &self.key
    }
    fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<(u16, String), StorageError> {
        self.post("add-checkpoint", &[], request.to_text().as_bytes())
    }
    fn add_entries(&mut self, request: &[u8]) -> Result<(u16, String), StorageError> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = gzip.write_all(request).and_then(|()| gzip.finish());
        let packed = packed.map_err(|e| StorageError(format!("packing entries: {e}")))?;
        let headers = [("content-type", "application/octet-stream"), ("content-encoding", "gzip")];
        self.post("add-entries", &headers, &packed)
    }
}
