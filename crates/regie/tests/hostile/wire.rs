//! Requests as bytes, so that they can be wrong in every way, and answers as far as they came. And what is no HTTP at all.

use crate::common::{Client, Harness};
use serde_json::Value;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Longest wait for an answer.
const WAIT: Duration = Duration::from_secs(30);
/// More than this is written by a thread of its own, since the server may answer before it has read it.
const INLINE_BYTES_MAX: usize = 32 * 1024;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics of any thread from here on; says how many there were.
pub fn panics() -> usize {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// What came back; status 0 when nothing that can be understood did.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
}
impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned()
    }
    /// Why this is no proper refusal in problem details, if it is none.
    pub fn is_no_problem(&self) -> Option<String> {
        if self.kind != "application/problem+json" {
            return Some(format!("is {:?}", self.kind));
        }
        let Ok(json) = serde_json::from_slice::<Value>(&self.body) else { return Some("is no JSON".into()) };
        let word = |name: &str| json[name].as_str().is_some_and(|text| !text.is_empty());
        let whole = word("code") && word("title") && word("type") && json["status"] == self.status;
        (!whole).then(|| "lacks a member".into())
    }
}

/// A request, whole: its head from parts, its length stated.
pub fn request(client: &Client, method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: gazette.example\r\nconnection: close\r\n");
    for (name, value) in &client.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += headers;
    head += &format!("content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    stream
}

/// Sends bytes, and reads the answer.
pub fn ask(url: &str, bytes: &[u8]) -> Answer {
    let mut stream = connect(url);
    if bytes.len() <= INLINE_BYTES_MAX {
        let _ = stream.write_all(bytes);
        return answer(&mut stream);
    }
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        // A server that refuses early stops reading: then writing fails, and the answer is there already.
        scope.spawn(move || writer.write_all(bytes));
        let answer = answer(&mut stream);
        let _ = stream.shutdown(Shutdown::Both);
        answer
    })
}

/// Reads until the server closes, or, of a stream without an end, its head.
fn answer(stream: &mut TcpStream) -> Answer {
    let (mut bytes, mut part) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Reset after the answer: the body was not wanted.
            Err(_) => break,
        }
        if read(&bytes).is_some_and(|answer| answer.kind.starts_with("text/event-stream")) {
            break;
        }
    }
    read(&bytes).unwrap_or_default()
}
fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let line = |name: &str| head.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
    let kind = line("content-type:").unwrap_or_default();
    let rest = &bytes[end + 4..];
    let chunked = line("transfer-encoding:").is_some_and(|v| v.contains("chunked"));
    let body = if chunked { unchunk(rest).unwrap_or_default() } else { rest.to_vec() };
    Some(Answer { status, kind, body })
}
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let count = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        let (chunk, rest) = bytes[line + 2..].split_at_checked(count)?;
        body.extend_from_slice(chunk);
        if count == 0 {
            return Some(body);
        }
        bytes = rest.get(2..)?;
    }
}

#[test]
fn what_is_no_http_is_refused_and_the_server_goes_on() {
    let before = panics();
    let harness = Harness::start();
    let long = [b"GET /", &[b'a'; 200_000][..], b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat();
    let hostile: [&[u8]; 14] = [
        b"\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /health  HTTP/1.1\r\n\r\n",
        b"GET http://[::1/health HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        &long,
    ];
    for bytes in hostile {
        let mut stream = connect(&harness.url);
        let _ = stream.write_all(bytes);
        // Nothing more will come: a body that breaks off ends here.
        let _ = stream.shutdown(Shutdown::Write);
        let answer = answer(&mut stream);
        let start = bytes[..bytes.len().min(60)].escape_ascii();
        assert!(answer.status == 0 || (400..500).contains(&answer.status), "{start}: {answer:?}");
    }
    harness.anonymous().get("/health").expect(200);
    assert_eq!(panics(), before);
}
