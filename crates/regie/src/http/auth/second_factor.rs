//! The second factor: time-based codes (RFC 6238, SHA-1, six digits, thirty seconds), each good once.

use crate::platform::{Platform, secrets::UserSecret};
use regie_model::UserId;
use totp_rs::{Builder, Secret, Totp};

/// Bytes of a new secret (160 bits, RFC 4226 section 4).
const SECRET_BYTES: usize = 20;

fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(secret.to_vec()).build().ok()
}

/// A new secret.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_secret() -> anyhow::Result<Vec<u8>> {
    Ok(crate::platform::secrets::random_bytes()?[..SECRET_BYTES].to_vec())
}

/// The secret as people type it into an authenticator.
pub fn base32(secret: &[u8]) -> String {
    Secret::from(secret.to_vec()).to_base32()
}

/// The secret as an authenticator reads it from a link or picture.
pub fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let plain = |text: &str| text.replace(':', " ");
    let (issuer, account) = (plain(issuer), plain(account));
    let encode = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@".contains(&b);
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    format!(
        "otpauth://totp/{}:{}?secret={}&issuer={}",
        encode(&issuer),
        encode(&account),
        base32(secret),
        encode(&issuer)
    )
}

/// The time step that a code is good for now, one step early or late included.
pub fn step(secret: &[u8], code: &str, now_ms: i64) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    totp(secret)?.check(&digits, u64::try_from(now_ms / 1_000).ok()?)
}

/// Takes a code of a user: right, and never used before.
pub fn take(platform: &Platform, user: UserId, secret: &[u8], code: &str) -> bool {
    let step = step(secret, code, platform.now().0);
    step.is_some_and(|step| platform.secrets.take_totp_step(user, step).unwrap_or(false))
}

/// Whether a user's second factor is passed: switched off, or a fresh code.
pub fn passed(platform: &Platform, user: &UserSecret, code: &str) -> bool {
    match &user.totp {
        Some(secret) if user.totp_on => take(platform, user.id, secret, code),
        _ => !user.totp_on,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn codes_follow_rfc_6238() {
        // Appendix B, SHA-1, cut to six digits.
        let secret = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000i64, "353130")] {
            assert_eq!(step(secret, code, seconds * 1_000), Some(seconds as u64 / 30), "{seconds}");
        }
        assert_eq!(step(secret, "287083", 59_000), None);
        assert_eq!(step(secret, "28 7082", 59_000), Some(1));
        assert_eq!(step(secret, "abc", 59_000), None);
    }
    #[test]
    fn the_link_names_issuer_and_account() {
        let link = uri(b"12345678901234567890", "Example: News", "a b@example.org");
        assert!(link.starts_with("otpauth://totp/Example%20%20News:a%20b@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20%20News"), "{link}");
    }
}
