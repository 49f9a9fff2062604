//! Configuration: file, environment, flags, in rising order of precedence (docs/OPERATIONS.md lists every key).

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// Settings of this process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Address under which browsers reach the server, without a trailing slash: `https://ads.example.org`.
    pub public_url: String,
    /// Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// MaxMind City or Country database.
    pub geo_database: Option<PathBuf>,
    /// Certificate chain, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// `smtp://user:password@host:port`, for set-up and reset links (feature `smtp`).
    pub smtp_url: Option<String>,
    /// Sender of mail.
    pub smtp_from: String,
    /// `text` or `json`.
    pub log_format: String,
    /// Level or filter, such as `info` or `regie=debug`.
    pub log_filter: String,
    /// How often aggregate traffic is journalled, in milliseconds.
    pub traffic_flush_ms: u64,
    /// Below this, only house ads are shown and readiness is red, in bytes.
    pub disk_free_bytes_min: u64,
    /// A journal segment is sealed at this size, in bytes.
    pub segment_bytes_max: u64,
    /// Longest wait for open requests at a stop, in milliseconds.
    pub drain_ms: u64,
    /// How long the server shows house ads after the journal stopped, before it ends so that it is started anew, in milliseconds.
    pub exit_after_journal_stop_ms: u64,
    /// Requests a minute that one address may send to the record's open interface.
    pub record_requests_per_minute: u32,
    /// Show an ad only when its facts are in the record's log. Off only to measure without it.
    pub record_gate: bool,
    /// Days that personal fields of the record are held after their ad last ran; then they are withheld, with a tombstone.
    pub record_keep_days: u32,
    /// Where entries of political ads are sent for a repository (Art. 13); nowhere when empty.
    pub repository_url: String,
    /// Worker threads; 0 takes one per core.
    pub workers: usize,
    /// Origin of the record's log; the public address, without scheme, and `/record/log` when empty. Never changes by itself.
    pub log_origin: String,
    /// Where the record's log is published or mirrored besides this server, addresses or folders: compared at a start, and taken over
    /// from after a restore.
    pub log_published: Vec<String>,
    /// Witnesses that cosign the log, each `VKEY URL`.
    pub log_witnesses: Vec<String>,
    /// Certificate authorities, PEM, that HTTPS to published logs and witnesses trusts in place of those that browsers trust.
    pub log_ca_file: Option<PathBuf>,
    /// Verifier keys of logs that this server witnesses.
    pub witness_logs: Vec<String>,
    /// Name under which it does; the public address without scheme, and `/witness`, when empty.
    pub witness_name: String,
    /// Logs that this server mirrors: each `VKEY`, or `VKEY URL` to fetch what the entries commit to from there.
    pub mirror_logs: Vec<String>,
    /// Name under which it does; the public address without scheme, and `/mirror`, when empty.
    pub mirror_name: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            geo_database: None,
            tls_certificate: None,
            tls_key: None,
            smtp_url: None,
            smtp_from: String::new(),
            log_format: "text".into(),
            log_filter: "info".into(),
            traffic_flush_ms: 10_000,
            disk_free_bytes_min: 256 << 20,
            segment_bytes_max: 128 << 20,
            drain_ms: 10_000,
            exit_after_journal_stop_ms: 30_000,
            record_requests_per_minute: 1_200,
            record_gate: true,
            record_keep_days: crate::publication::register::KEEP_DAYS,
            repository_url: String::new(),
            workers: 0,
            log_origin: String::new(),
            log_published: Vec::new(),
            log_witnesses: Vec::new(),
            log_ca_file: None,
            witness_logs: Vec::new(),
            mirror_logs: Vec::new(),
            mirror_name: String::new(),
            witness_name: String::new(),
        }
    }
}

impl Config {
    /// Reads `regie.toml` of the data folder (or the file given), then `REGIE_*` variables. `flags` come last, as TOML pairs.
    ///
    /// # Errors
    /// What is wrong, and where it stands.
    pub fn load(folder: &Path, file: Option<&Path>, flags: &[(String, String)]) -> Result<Config> {
        let path = file.map_or_else(|| folder.join("regie.toml"), Path::to_path_buf);
        let mut table = match std::fs::read_to_string(&path) {
            Ok(text) => text
                .parse::<toml::Table>()
                .with_context(|| format!("{} is not valid TOML", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => {
                toml::Table::new()
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        for (name, value) in std::env::vars() {
            let key = name.strip_prefix("REGIE_").map(str::to_lowercase);
            if let Some(key) = key.filter(|key| KEYS.contains(&key.as_str())) {
                table.insert(key, value_of(&value));
            }
        }
        for (key, value) in flags {
            table.insert(key.clone(), value_of(value));
        }
        Config::of(table).with_context(|| {
            format!("the configuration ({}, REGIE_* variables, flags) is not understood", path.display())
        })
    }
    /// The settings of a table, checked.
    ///
    /// # Errors
    /// What is wrong, by key.
    pub fn of(table: toml::Table) -> Result<Config> {
        let mut config: Config = toml::Value::Table(table).try_into()?;
        config.check()?;
        if config.public_url.is_empty() {
            let scheme = if config.tls_certificate.is_some() { "https" } else { "http" };
            config.public_url = format!("{scheme}://{}", config.listen);
        }
        Ok(config)
    }
    fn check(&mut self) -> Result<()> {
        while self.public_url.ends_with('/') {
            self.public_url.pop();
        }
        if !self.public_url.is_empty() && url::Url::parse(&self.public_url).is_err() {
            bail!("public_url is a whole address such as https://ads.example.org, not {:?}", self.public_url);
        }
        for proxy in &self.trusted_proxies {
            parse_network(proxy).with_context(|| {
                format!("trusted_proxies: {proxy:?} is no address or network such as 10.0.0.0/8")
            })?;
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            bail!("tls_certificate and tls_key go together: give both or neither");
        }
        if !["text", "json"].contains(&self.log_format.as_str()) {
            bail!("log_format is text or json, not {:?}", self.log_format);
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log_filter) {
            bail!(
                "log_filter is a level or filter, such as info or regie=debug, not {:?}: {error}",
                self.log_filter
            );
        }
        if !(1..=36_500).contains(&self.record_keep_days) {
            bail!("record_keep_days is 1 to 36500, not {}", self.record_keep_days);
        }
        if !(100..=60_000).contains(&self.traffic_flush_ms) {
            bail!("traffic_flush_ms is 100 to 60000, not {}", self.traffic_flush_ms);
        }
        Ok(())
    }
    /// Whether an address is one of the trusted proxies.
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .filter_map(|p| parse_network(p))
            .any(|(network, bits)| contains(network, bits, address))
    }
}

/// Every key, for the environment.
pub const KEYS: [&str; 28] = [
    "listen",
    "public_url",
    "trusted_proxies",
    "geo_database",
    "tls_certificate",
    "tls_key",
    "smtp_url",
    "smtp_from",
    "log_format",
    "log_filter",
    "traffic_flush_ms",
    "disk_free_bytes_min",
    "segment_bytes_max",
    "drain_ms",
    "exit_after_journal_stop_ms",
    "record_requests_per_minute",
    "record_gate",
    "record_keep_days",
    "repository_url",
    "workers",
    "log_origin",
    "log_published",
    "log_witnesses",
    "log_ca_file",
    "witness_logs",
    "witness_name",
    "mirror_logs",
    "mirror_name",
];

/// A value from the environment or a flag: TOML where it reads as such, else text.
fn value_of(text: &str) -> toml::Value {
    let wrapped = format!("x = {text}").parse::<toml::Table>();
    match wrapped.ok().and_then(|mut t| t.remove("x")) {
        Some(value @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Array(_))) => value,
        _ => toml::Value::String(text.to_owned()),
    }
}

fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let all = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((address, bits))
}
fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let shift = |width: u32| width - bits;
    match (network, address) {
        (IpAddr::V4(n), IpAddr::V4(a)) => bits == 0 || u32::from(n) >> shift(32) == u32::from(a) >> shift(32),
        (IpAddr::V6(n), IpAddr::V6(a)) => {
            bits == 0 || u128::from(n) >> shift(128) == u128::from(a) >> shift(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn networks_contain_their_addresses() {
        let config = Config { trusted_proxies: vec!["10.0.0.0/8".into(), "::1".into()], ..Config::default() };
        for (address, want) in [("10.1.2.3", true), ("11.0.0.1", false), ("::1", true), ("::2", false)] {
            assert_eq!(config.is_trusted_proxy(address.parse().unwrap()), want, "{address}");
        }
    }
    #[test]
    fn flags_override_the_file_and_faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("regie.toml"), "listen = \"127.0.0.1:1\"\ndrain_ms = 5\n").unwrap();
        let flags = [("listen".to_owned(), "127.0.0.1:2".to_owned())];
        let config = Config::load(dir.path(), None, &flags).unwrap();
        assert_eq!((config.listen.port(), config.drain_ms), (2, 5));
        std::fs::write(dir.path().join("regie.toml"), "lisen = 1\n").unwrap();
        let error = format!("{:#}", Config::load(dir.path(), None, &[]).unwrap_err());
        assert!(error.contains("lisen"), "{error}");
    }
}
