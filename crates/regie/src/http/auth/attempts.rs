//! Sign-in attempts, counted in memory by account and by address: guessing is slow, and costs bounded memory and CPU.
//!
//! Soft state, lost gladly in a restart.

use regie_model::UtcMs;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Attempts for one account in a window.
pub const ACCOUNT_ATTEMPTS_MAX: u32 = 10;
/// Attempts from one address in a window.
pub const ADDRESS_ATTEMPTS_MAX: u32 = 50;
/// Length of a window, in milliseconds (15 min).
pub const WINDOW_MS: i64 = 15 * 60_000;
/// Accounts and addresses remembered at most.
const KEYS_MAX: usize = 50_000;
/// Passwords hashed at the same time (19 MiB each).
const HASHES_MAX: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
}

/// The counters.
pub struct Attempts {
    windows: Mutex<HashMap<Key, (UtcMs, u32)>>,
    /// Held while a password is hashed.
    pub hashing: Semaphore,
}
impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { windows: Mutex::default(), hashing: Semaphore::new(HASHES_MAX) }
    }
}

impl Attempts {
    /// Counts an attempt before it is judged.
    ///
    /// # Errors
    /// Seconds to wait, when there were too many.
    pub fn count(&self, account: &str, address: IpAddr, now: UtcMs) -> Result<(), i64> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= KEYS_MAX {
            windows.retain(|_, (start, _)| now.0 - start.0 < WINDOW_MS);
            if windows.len() >= KEYS_MAX {
                windows.clear();
            }
        }
        let account: String = account.trim().to_lowercase().chars().take(200).collect();
        let keys =
            [(Key::Account(account), ACCOUNT_ATTEMPTS_MAX), (Key::Address(address), ADDRESS_ATTEMPTS_MAX)];
        for (key, max) in keys {
            let window = windows.entry(key).or_insert((now, 0));
            if now.0 - window.0.0 >= WINDOW_MS {
                *window = (now, 0);
            }
            if window.1 >= max {
                return Err(((window.0.0 + WINDOW_MS - now.0) / 1_000).max(1));
            }
            window.1 += 1;
        }
        Ok(())
    }
    /// A success clears its account's count.
    pub fn succeeded(&self, account: &str) {
        let account: String = account.trim().to_lowercase().chars().take(200).collect();
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(&Key::Account(account));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_account_may_be_tried_ten_times_in_a_window() {
        let attempts = Attempts::default();
        let at = |ms| UtcMs(ms);
        let from = |last| IpAddr::from([10, 0, 0, last]);
        for n in 0..ACCOUNT_ATTEMPTS_MAX {
            assert_eq!(attempts.count("A@example.org", from(n as u8), at(0)), Ok(()));
        }
        assert_eq!(attempts.count("a@example.org ", from(99), at(0)), Err(900));
        assert_eq!(attempts.count("b@example.org", from(99), at(0)), Ok(()));
        assert_eq!(attempts.count("a@example.org", from(99), at(WINDOW_MS)), Ok(()));
    }
    #[test]
    fn an_address_may_try_fifty_times() {
        let attempts = Attempts::default();
        let from = IpAddr::from([10, 0, 0, 1]);
        for n in 0..ADDRESS_ATTEMPTS_MAX {
            assert_eq!(attempts.count(&format!("{n}"), from, UtcMs(0)), Ok(()));
        }
        assert!(attempts.count("another", from, UtcMs(0)).is_err());
    }
}
