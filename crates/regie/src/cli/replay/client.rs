//! The replay's HTTP client, patient with a server that is being restarted, and a server process of our own.

use crate::{config::Config, platform::folder::Folder, server::Engine};
use anyhow::{Context, Result, anyhow, bail};
use regie_model::{
    TokenId,
    booking::{Scope, TokenRecord},
    command::Change,
    event::Actor,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Speaks JSON with a server.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Client {
    /// A client of a server.
    pub fn new(base: &str, token: &str) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)));
        Client {
            agent: config.build().into(),
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        }
    }
    /// Sends JSON; tries again while the server is away. Safe for decisions (a lost answer is an unused ticket) and for
    /// events (a ticket counts once).
    ///
    /// # Errors
    /// What the server answered, or that it stayed away.
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let text = body.to_string();
        self.patiently(path, |client| {
            let request = client.agent.post(format!("{}{path}", client.base));
            let request = request.header("authorization", format!("Bearer {}", client.token));
            request.header("content-type", "application/json").send(&text)
        })
    }
    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub fn get(&mut self, path: &str) -> Result<Value> {
        self.patiently(path, |client| {
            let request = client.agent.get(format!("{}{path}", client.base));
            request.header("authorization", format!("Bearer {}", client.token)).call()
        })
    }
    fn patiently(
        &mut self,
        path: &str,
        send: impl Fn(&Client) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        let since = Instant::now();
        loop {
            let failure = match send(self) {
                Ok(mut answer) => {
                    let status = answer.status().as_u16();
                    match answer.body_mut().with_config().limit(64 << 20).read_to_string() {
                        Ok(text) if (200..300).contains(&status) => {
                            return serde_json::from_str(&text)
                                .with_context(|| format!("{path} answered no JSON"));
                        }
                        Ok(text) if status == 503 => format!("503: {text}"),
                        Ok(text) => bail!("{path} answered {status}: {text}"),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error.to_string(),
            };
            if since.elapsed() > PATIENCE {
                bail!("{}{path} does not answer: {failure}", self.base);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Makes a data folder with a token for us, unless it was made before; the token.
///
/// # Errors
/// A folder that is in use or cannot be written.
pub fn prepare_folder(root: &Path) -> Result<String> {
    let note = root.join("replay-token");
    if let Ok(token) = std::fs::read_to_string(&note) {
        return Ok(token.trim().to_owned());
    }
    let folder = Folder::open(root)?;
    let engine = Engine::start(&folder, &Config::default(), &mut |_, _| {})?;
    let id = TokenId(1);
    let scopes = vec![Scope::Read, Scope::Book, Scope::Operate];
    let record = TokenRecord { name: "replay".into(), scopes, advertiser: None, active: true };
    let token = engine.platform.secrets.make_token(id)?;
    let (done, wait) = mpsc::sync_channel(1);
    let change = Change::TokenPut { id, record };
    engine.platform.record_changes(
        Actor::Operator,
        vec![change],
        Box::new(move |result| drop(done.send(result))),
    );
    wait.recv()?.map_err(|e| anyhow!("{e}"))?;
    engine.stop()?;
    std::fs::write(&note, &token)?;
    Ok(token)
}

/// A server process of our own.
pub struct Child {
    process: std::process::Child,
    folder: PathBuf,
    /// Where it listens.
    pub url: String,
}

impl Child {
    /// Starts `regie serve` on a folder, on any free port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(folder: &Path) -> Result<Child> {
        Child::start_on(folder, "127.0.0.1:0")
    }
    fn start_on(folder: &Path, listen: &str) -> Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([
                "--json",
                "--set",
                "traffic_flush_ms=1000",
                "--set",
                "log_filter=warn",
                "serve",
                "--listen",
                listen,
            ])
            .arg("--folder")
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a server")?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let told: Value =
            serde_json::from_str(&line).map_err(|_| anyhow!("the server did not start: {line}"))?;
        let url = told["url"].as_str().context("the server told no address")?.to_owned();
        Ok(Child { process, folder: folder.to_path_buf(), url })
    }
    /// Kills the server with SIGKILL in a moment, and starts it again on the same port.
    pub fn kill_soon_and_restart(mut self) -> std::thread::JoinHandle<Result<Child>> {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(37));
            self.process.kill()?;
            self.process.wait()?;
            let listen = self.url.trim_start_matches("http://").to_owned();
            Child::start_on(&self.folder, &listen)
        })
    }
    /// Asks the server to stop, and waits for it.
    ///
    /// # Errors
    /// When it ends with an error.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        if !asked.success() {
            self.process.kill()?;
        }
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}
impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
