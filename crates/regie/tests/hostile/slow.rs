//! Clients that hold connections without using them: each is let go in time, and others are served meanwhile.

use crate::common::Harness;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Longest time that a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(25);
const CONNECTIONS_COUNT: usize = 64;

#[test]
fn connections_that_stand_still_are_closed() {
    let harness = Harness::start();
    let started: [(&str, &[u8]); 5] = [
        ("nothing", b""),
        ("half a line", b"GET /hea"),
        ("headers without an end", b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: b\r\n"),
        (
            "a body that does not come",
            b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{\"ev",
        ),
        (
            "chunks without an end",
            b"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"si\r\n",
        ),
    ];
    let address = harness.url.trim_start_matches("http://").to_owned();
    let start = Instant::now();
    let mut held = Vec::new();
    for index in 0..CONNECTIONS_COUNT {
        let (what, bytes) = started[index % started.len()];
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(bytes).unwrap();
        held.push((what, stream));
    }
    harness.anonymous().get("/health").expect(200);
    for (what, mut stream) in held {
        let left = PATIENCE.saturating_sub(start.elapsed()).max(Duration::from_millis(100));
        stream.set_read_timeout(Some(left)).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{what}: still open after {:?}", start.elapsed());
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{what}: {text}");
    }
    assert!(start.elapsed() > Duration::from_secs(5), "closed before an honest client could be done");
    harness.anonymous().get("/health").expect(200);
}
