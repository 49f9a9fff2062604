//! The load generator: blocking connections with keep-alive, one request at a time on each; loopback only, bounded in
//! time, stops by itself.

use super::setup::Process;
use anyhow::{Context, Result, bail};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// How much load.
pub struct Load {
    /// Connections.
    pub connections: usize,
    /// For how long.
    pub duration: Duration,
}

/// What was measured.
pub struct Measured {
    /// Answers with status 200.
    pub answers: u64,
    /// Wall time.
    pub wall_s: f64,
    /// CPU time of the server's process.
    pub server_cpu_s: f64,
    /// CPU time of the generator's process.
    pub own_cpu_s: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99th percentile of latency.
    pub p99_ms: f64,
}

/// A connection that speaks just enough HTTP.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Connection { stream, buffer: vec![0; 256 * 1024] })
    }
    /// Sends a prepared request and reads the whole answer; its body.
    ///
    /// # Errors
    /// A status other than 200, or a broken connection.
    pub fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let count = self.stream.read(&mut self.buffer[filled..])?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            filled += count;
            let Some(end) = find(&self.buffer[..filled], b"\r\n\r\n") else { continue };
            let head = &self.buffer[..end];
            if !head.starts_with(b"HTTP/1.1 200") {
                bail!("the server answered {}", String::from_utf8_lossy(&self.buffer[..filled.min(400)]));
            }
            let length = content_length(head).context("an answer without a length")?;
            if filled >= end + 4 + length {
                return Ok(&self.buffer[end + 4..end + 4 + length]);
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}
fn content_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    let line =
        text.split("\r\n").find(|l| l.len() > 15 && l[..15].eq_ignore_ascii_case("content-length:"))?;
    line[15..].trim().parse().ok()
}

/// A request's bytes.
pub fn request(path: &str, body: &[u8]) -> Vec<u8> {
    of_method("POST", path, body)
}
/// The same without a body, to read.
pub fn reading(path: &str) -> Vec<u8> {
    of_method("GET", path, b"")
}
fn of_method(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\naccept-language: fr-FR,fr;q=0.9\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Load {
    /// Sends one body over and over for the whole time.
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub fn run(&self, server: &Process, path: &str, body: &[u8]) -> Result<Measured> {
        let bytes = request(path, body);
        let warm_until = Instant::now() + Duration::from_millis(500);
        self.drive(server, |_| (Instant::now() < warm_until).then_some(bytes.as_slice()))?;
        let until = Instant::now() + self.duration;
        self.drive(server, |_| (Instant::now() < until).then_some(bytes.as_slice()))
    }
    /// Sends each body once.
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub fn run_list(&self, server: &Process, path: &str, bodies: Vec<Vec<u8>>) -> Result<Measured> {
        let requests: Vec<Vec<u8>> = bodies.into_iter().map(|body| request(path, &body)).collect();
        self.drive(server, |index| requests.get(index).map(Vec::as_slice))
    }
    fn drive<'a>(
        &self,
        server: &Process,
        next: impl Fn(usize) -> Option<&'a [u8]> + Sync,
    ) -> Result<Measured> {
        let address = server.address();
        let taken = AtomicUsize::new(0);
        let (cpu, own) = (server.cpu_s()?, super::setup::cpu_s(std::process::id())?);
        let started = Instant::now();
        let results: Vec<Result<Vec<u32>>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.connections)
                .map(|_| {
                    scope.spawn(|| {
                        let mut connection = Connection::open(&address)?;
                        let mut micros = Vec::with_capacity(100_000);
                        while let Some(request) = next(taken.fetch_add(1, Ordering::Relaxed)) {
                            let sent = Instant::now();
                            connection.exchange(request)?;
                            micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                        }
                        Ok(micros)
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect()
        });
        let wall_s = started.elapsed().as_secs_f64();
        let mut micros = Vec::new();
        for result in results {
            micros.extend(result?);
        }
        micros.sort_unstable();
        let at = |share: f64| {
            micros
                .get(((micros.len() as f64 * share) as usize).min(micros.len().saturating_sub(1)))
                .map_or(0.0, |m| f64::from(*m) / 1e3)
        };
        Ok(Measured {
            answers: micros.len() as u64,
            wall_s,
            server_cpu_s: server.cpu_s()? - cpu,
            own_cpu_s: super::setup::cpu_s(std::process::id())? - own,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        })
    }
}
