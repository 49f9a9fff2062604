//! The token that a page keeps: format version 1, base64url without padding of
//!
//! ```text
//! version (1) | number of the ticket key (1) | nonce (24) | XChaCha20-Poly1305 of the body, with its tag (16)
//! ```
//!
//! The body is postcard: minute of issue, history. The site's number is authenticated beside it, so that a token is of
//! use on its site only. Nothing in it names a visitor; only this server can read it. Expires 90 days after its issue.

use super::history::{History, SEEN_COUNT_MAX};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use regie_model::{SiteId, UtcMs, ticket::TicketKey, time::DAY_MS};

/// How long a token is good for after its issue, in milliseconds (90 days).
pub const TOKEN_MS: i64 = 90 * DAY_MS;
/// Longest token: 48 entries of at most 23 bytes, sealed, as text.
pub const TOKEN_CHARS_MAX: usize = (HEAD_BYTES + 16 + 10 + SEEN_COUNT_MAX * 23) * 4 / 3 + 4;
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 26;

fn cipher(key: &TicketKey) -> XChaCha20Poly1305 {
    let derived = blake3::derive_key("regie frequency token v1", &key.secret);
    XChaCha20Poly1305::new(&derived.into())
}
fn beside(version: u8, key: u8, site: SiteId) -> [u8; 6] {
    let [a, b, c, d] = site.0.to_le_bytes();
    [version, key, a, b, c, d]
}

/// Seals a history for a site; `None` when the system has no randomness or the server no key.
pub(super) fn seal(history: &History, keys: &[TicketKey], site: SiteId, at: UtcMs) -> Option<String> {
    let key = keys.last()?;
    let mut nonce = [0u8; 24];
    getrandom::fill(&mut nonce).ok()?;
    let minute = u32::try_from(at.minute()).ok()?;
    let body = postcard::to_allocvec(&(minute, history)).ok()?;
    let aad = beside(VERSION, key.id, site);
    let sealed = cipher(key).encrypt(&nonce.into(), Payload { msg: &body, aad: &aad }).ok()?;
    let mut bytes = vec![VERSION, key.id];
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens a token; `None` when it is none, another site's, of a key that is gone, or expired.
pub(super) fn open(text: &str, keys: &[TicketKey], site: SiteId, at: UtcMs) -> Option<History> {
    if text.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (head, sealed) = bytes.split_at_checked(HEAD_BYTES)?;
    let (version, number) = (head[0], head[1]);
    let key = keys.iter().find(|key| key.id == number).filter(|_| version == VERSION)?;
    let nonce: [u8; 24] = head[2..].try_into().ok()?;
    let aad = beside(version, number, site);
    let body = cipher(key).decrypt(&nonce.into(), Payload { msg: sealed, aad: &aad }).ok()?;
    let (minute, history): (u32, History) = postcard::from_bytes(&body).ok()?;
    let age_ms = at.0 - i64::from(minute) * 60_000;
    (-60_000..TOKEN_MS).contains(&age_ms).then(|| history.within_limits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<TicketKey> {
        vec![TicketKey { id: 1, secret: [7; 32] }]
    }

    #[test]
    fn only_the_same_site_reads_it_until_it_expires_and_no_changed_bit() {
        let (at, site) = (UtcMs(1_790_000_000_000), SiteId(3));
        let text = seal(&History::default(), &keys(), site, at).unwrap();
        assert!(text.len() <= TOKEN_CHARS_MAX);
        assert_eq!(open(&text, &keys(), site, at), Some(History::default()));
        assert_eq!(open(&text, &keys(), SiteId(4), at), None);
        assert_eq!(open(&text, &keys(), site, UtcMs(at.0 + TOKEN_MS)), None);
        assert_eq!(open(&text, &[TicketKey { id: 1, secret: [8; 32] }], site, at), None);
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(open(&changed, &keys(), site, at), None, "character {index}");
        }
        for cut in 0..text.len() {
            assert_eq!(open(&text[..cut], &keys(), site, at), None);
        }
        assert_ne!(text, seal(&History::default(), &keys(), site, at).unwrap(), "no two are alike");
    }
}
