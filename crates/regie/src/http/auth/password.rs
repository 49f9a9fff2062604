//! Passwords: Argon2id (RFC 9106) with the crate's default cost (19 MiB, 2 passes), never shorter than ten characters.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use regie_model::Faults;
use std::sync::LazyLock;

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Longest password, in bytes: hashing takes time in its length.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// A hash of nothing anybody can type, so that an unknown user takes as long as a known one.
static DUMMY: LazyLock<String> = LazyLock::new(|| hash("\u{0}nobody\u{0}").unwrap_or_default());

/// Adds what is wrong with a new password.
pub fn check(password: &str, faults: &mut Faults) {
    let count = password.chars().count();
    let short = format!("At least {PASSWORD_CHARS_MIN} characters; this has {count}.");
    faults.when(count < PASSWORD_CHARS_MIN, "password", "too_short", short);
    let long = format!("At most {PASSWORD_BYTES_MAX} bytes.");
    faults.when(password.len() > PASSWORD_BYTES_MAX, "password", "too_long", long);
}

/// The hash to keep, with its own random salt.
///
/// # Errors
/// When the system gives no randomness.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let salt = crate::platform::secrets::random_bytes()?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt[..16]);
    hash.map(|h| h.to_string()).map_err(|e| anyhow::anyhow!("hashing a password: {e}"))
}

/// Whether a password fits a hash; takes as long without one.
pub fn fits(password: &str, hash: Option<&str>) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let verified = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(&DUMMY));
    verified.is_ok() && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_password_fits_only_its_own_hash() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse").unwrap(), "each hash has its own salt");
        assert!(fits("correct horse", Some(&kept)));
        assert!(!fits("correct hors", Some(&kept)));
        assert!(!fits("\u{0}nobody\u{0}", None));
    }
}
