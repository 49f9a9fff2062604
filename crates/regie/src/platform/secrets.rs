//! What must never be journalled: keys, passwords, sessions, token secrets (law J1).
//!
//! `secrets.db` is a SQLite file of its own. Passwords are Argon2id hashes; sessions, links and tokens are kept
//! as BLAKE3 hashes of random secrets. Erasing a person deletes their key: what was sealed with it is gone for ever.

use anyhow::{Context, Result, anyhow};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, aead::Aead};
use regie_model::{
    PersonKeyId, TokenId, UserId, UtcMs,
    personal::{Identity, Sealed},
    ticket::TicketKey,
};
use regie_record::log::Signatory;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long a session lives without use, in milliseconds (12 h).
pub const SESSION_MS: i64 = 12 * 3_600_000;
/// How long a set-up or reset link is good for, in milliseconds (24 h).
pub const LINK_MS: i64 = 24 * 3_600_000;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS ticket_keys (id INTEGER PRIMARY KEY, secret BLOB NOT NULL, created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS person_keys (id INTEGER PRIMARY KEY, secret BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT NOT NULL,
  password TEXT, totp BLOB, totp_on INTEGER NOT NULL DEFAULT 0, totp_step INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS links (hash BLOB PRIMARY KEY, user INTEGER NOT NULL, purpose TEXT NOT NULL, expires_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  hash BLOB PRIMARY KEY, user INTEGER NOT NULL, csrf TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS signing_keys (
  purpose TEXT NOT NULL, name TEXT NOT NULL, seed BLOB NOT NULL, created_at INTEGER NOT NULL, retired_at INTEGER,
  PRIMARY KEY (purpose, name, created_at));
CREATE TABLE IF NOT EXISTS tokens (id INTEGER PRIMARY KEY, hash BLOB NOT NULL);
";

/// A user's private facts.
#[derive(Clone, Debug)]
pub struct UserSecret {
    /// Number; what they may do stands in the catalogue.
    pub id: UserId,
    /// Sign-in name.
    pub email: String,
    /// Shown in the console.
    pub name: String,
    /// Argon2id hash, absent until set.
    pub password: Option<String>,
    /// TOTP secret, absent until set up.
    pub totp: Option<Vec<u8>>,
    /// TOTP is required at sign-in.
    pub totp_on: bool,
}

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose.
    pub user: UserId,
    /// Must come back with every form.
    pub csrf: String,
    /// Until when.
    pub expires_at: UtcMs,
}

/// The store of secrets.
pub struct Secrets {
    connection: Mutex<Connection>,
}

/// 32 random bytes from the system.
///
/// # Errors
/// When the system gives none.
pub fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| anyhow!("the system gives no randomness: {e}"))?;
    Ok(bytes)
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}
/// How secrets are kept: only their hash.
fn hashed(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}

impl Secrets {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(path: &Path) -> Result<Secrets> {
        let connection = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        connection.execute_batch(SCHEMA).with_context(|| {
            format!(
                "{} cannot be used; if it is damaged, put the one of a backup in its place",
                path.display()
            )
        })?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(Secrets { connection: Mutex::new(connection) })
    }
    /// In memory only, for simulation.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn in_memory() -> Result<Secrets> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Secrets { connection: Mutex::new(connection) })
    }
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Copies the whole store into a file, consistently.
    ///
    /// # Errors
    /// SQLite's error; the file must not exist.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        self.db().execute("VACUUM INTO ?1", params![path.to_string_lossy()])?;
        Ok(())
    }

    /// All ticket keys, the newest last; makes the first one.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn ticket_keys(&self, now: UtcMs) -> Result<Vec<TicketKey>> {
        let db = self.db();
        let count: i64 = db.query_row("SELECT count(*) FROM ticket_keys", [], |r| r.get(0))?;
        if count == 0 {
            db.execute("INSERT INTO ticket_keys VALUES (1, ?1, ?2)", params![random_bytes()?, now.0])?;
        }
        let mut statement = db.prepare("SELECT id, secret FROM ticket_keys ORDER BY created_at, id")?;
        let rows = statement.query_map([], |r| Ok((r.get::<_, u8>(0)?, r.get::<_, [u8; 32]>(1)?)))?;
        rows.map(|row| row.map(|(id, secret)| TicketKey { id, secret }).map_err(Into::into)).collect()
    }

    /// The keys that sign for a purpose under a name, the newest last; makes the first one. Never journalled (J1).
    ///
    /// # Errors
    /// SQLite's error; a name that no key can have.
    pub fn signing_keys(&self, purpose: &str, name: &str, kind: u8, now: UtcMs) -> Result<Vec<Signatory>> {
        let db = self.db();
        let sql = "SELECT seed FROM signing_keys WHERE purpose = ?1 AND name = ?2 AND retired_at IS NULL ORDER BY created_at";
        let read = |db: &Connection| -> Result<Vec<[u8; 32]>> {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([purpose, name], |r| r.get(0))?;
            rows.map(|row| row.map_err(Into::into)).collect()
        };
        let mut seeds = read(&db)?;
        if seeds.is_empty() {
            db.execute(
                "INSERT INTO signing_keys VALUES (?1, ?2, ?3, ?4, NULL)",
                params![purpose, name, random_bytes()?, now.0],
            )?;
            seeds = read(&db)?;
        }
        seeds.iter().map(|seed| Signatory::new(name, kind, seed).map_err(Into::into)).collect()
    }
    /// Signs no more with any key of a purpose and name: who signs so next gets a new one.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn retire_signing_keys(&self, purpose: &str, name: &str, now: UtcMs) -> Result<()> {
        let sql =
            "UPDATE signing_keys SET retired_at = ?3 WHERE purpose = ?1 AND name = ?2 AND retired_at IS NULL";
        self.db().execute(sql, params![purpose, name, now.0])?;
        Ok(())
    }
    /// Makes a further key for a purpose and name.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn add_signing_key(&self, purpose: &str, name: &str, now: UtcMs) -> Result<()> {
        let sql = "INSERT INTO signing_keys VALUES (?1, ?2, ?3, ?4, NULL)";
        self.db().execute(sql, params![purpose, name, random_bytes()?, now.0])?;
        Ok(())
    }
    /// Signs no more with the oldest key of a purpose and name.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn retire_signing_key(&self, purpose: &str, name: &str, now: UtcMs) -> Result<()> {
        let sql = "UPDATE signing_keys SET retired_at = ?3 WHERE rowid = (SELECT rowid FROM signing_keys WHERE purpose = ?1 AND name = ?2 AND retired_at IS NULL ORDER BY created_at LIMIT 1)";
        self.db().execute(sql, params![purpose, name, now.0])?;
        Ok(())
    }

    /// Encrypts an identity under a person's key, making a new key when none is given or the given one is gone.
    ///
    /// # Errors
    /// SQLite's or the system's error.
    pub fn seal<T: serde::Serialize>(
        &self,
        identity: &T,
        key: Option<PersonKeyId>,
        at_least: u32,
    ) -> Result<Sealed> {
        let known = match key {
            Some(id) => self.person_key(id)?.map(|secret| (id, secret)),
            None => None,
        };
        let (id, secret) = match known {
            Some(found) => found,
            None => {
                let secret = random_bytes()?;
                let db = self.db();
                let last: u32 =
                    db.query_row("SELECT coalesce(max(id), 0) FROM person_keys", [], |r| r.get(0))?;
                let id = PersonKeyId(last.max(at_least) + 1);
                db.execute("INSERT INTO person_keys VALUES (?1, ?2)", params![id.0, secret])?;
                (id, secret)
            }
        };
        let nonce: [u8; 24] = random_bytes()?[..24].try_into()?;
        let plain = serde_json::to_vec(identity)?;
        let cipher = XChaCha20Poly1305::new(&secret.into());
        let text = cipher.encrypt(&nonce.into(), plain.as_slice()).map_err(|_| anyhow!("sealing failed"))?;
        Ok(Sealed { key: id, ciphertext_hex: hex(&[nonce.as_slice(), &text].concat()) })
    }
    /// Opens what was sealed; `None` when the person was erased.
    ///
    /// # Errors
    /// SQLite's error, or a ciphertext that does not fit its key.
    pub fn unseal(&self, sealed: &Sealed) -> Result<Option<Identity>> {
        self.unseal_as(sealed)
    }
    /// Opens what was sealed as another form than an identity; `None` once the person's key is destroyed.
    ///
    /// # Errors
    /// As [`Secrets::unseal`].
    pub fn unseal_as<T: serde::de::DeserializeOwned>(&self, sealed: &Sealed) -> Result<Option<T>> {
        let Some(secret) = self.person_key(sealed.key)? else { return Ok(None) };
        let bytes = unhex(&sealed.ciphertext_hex)
            .filter(|b| b.len() > 24)
            .ok_or(anyhow!("sealed data is damaged"))?;
        let nonce: [u8; 24] = bytes[..24].try_into()?;
        let cipher = XChaCha20Poly1305::new(&secret.into());
        let plain = cipher
            .decrypt(&nonce.into(), &bytes[24..])
            .map_err(|_| anyhow!("sealed data does not fit its key"))?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }
    fn person_key(&self, id: PersonKeyId) -> Result<Option<[u8; 32]>> {
        let db = self.db();
        Ok(db.query_row("SELECT secret FROM person_keys WHERE id = ?1", [id.0], |r| r.get(0)).optional()?)
    }
    /// Destroys a person's key (law J1). The caller journals the event.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn erase_person(&self, id: PersonKeyId) -> Result<bool> {
        let db = self.db();
        db.execute_batch("PRAGMA secure_delete = ON")?;
        let count = db.execute("DELETE FROM person_keys WHERE id = ?1", [id.0])?;
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(count > 0)
    }

    /// Adds a user without a password.
    ///
    /// # Errors
    /// SQLite's error, such as an e-mail that is taken.
    pub fn add_user(&self, id: UserId, email: &str, name: &str, now: UtcMs) -> Result<()> {
        let sql = "INSERT INTO users (id, email, name, created_at) VALUES (?1, ?2, ?3, ?4)";
        self.db().execute(sql, params![id.0, email, name, now.0])?;
        Ok(())
    }
    /// Changes sign-in name and shown name.
    ///
    /// # Errors
    /// SQLite's error, such as an e-mail that is taken.
    pub fn rename_user(&self, id: UserId, email: &str, name: &str) -> Result<()> {
        self.db()
            .execute("UPDATE users SET email = ?2, name = ?3 WHERE id = ?1", params![id.0, email, name])?;
        Ok(())
    }
    /// Every user.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn users(&self) -> Result<Vec<UserSecret>> {
        let db = self.db();
        let mut statement =
            db.prepare("SELECT id, email, name, password, totp, totp_on FROM users ORDER BY id")?;
        let rows = statement.query_map([], read_user)?;
        rows.map(|r| r.map_err(Into::into)).collect()
    }
    /// By number.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn user(&self, id: UserId) -> Result<Option<UserSecret>> {
        let sql = "SELECT id, email, name, password, totp, totp_on FROM users WHERE id = ?1";
        Ok(self.db().query_row(sql, [id.0], read_user).optional()?)
    }
    /// By sign-in name.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn user_by_email(&self, email: &str) -> Result<Option<UserSecret>> {
        let sql = "SELECT id, email, name, password, totp, totp_on FROM users WHERE email = ?1";
        Ok(self.db().query_row(sql, [email], read_user).optional()?)
    }
    /// Sets a password hash and ends all sessions of the user.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_password(&self, id: UserId, hash: &str) -> Result<()> {
        let db = self.db();
        db.execute("UPDATE users SET password = ?2 WHERE id = ?1", params![id.0, hash])?;
        db.execute("DELETE FROM sessions WHERE user = ?1", [id.0])?;
        Ok(())
    }
    /// Keeps a TOTP secret; `on` requires it at sign-in. `None` removes it.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_totp(&self, id: UserId, secret: Option<&[u8]>, on: bool) -> Result<()> {
        self.db()
            .execute("UPDATE users SET totp = ?2, totp_on = ?3 WHERE id = ?1", params![id.0, secret, on])?;
        Ok(())
    }
    /// Takes a TOTP time step; false when it, or a later one, was used already (no replay).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn take_totp_step(&self, id: UserId, step: u64) -> Result<bool> {
        let sql = "UPDATE users SET totp_step = ?2 WHERE id = ?1 AND totp_step < ?2";
        Ok(self.db().execute(sql, params![id.0, step as i64])? == 1)
    }

    /// A one-time link secret for `purpose` (`setup`, `reset`).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn make_link(&self, user: UserId, purpose: &str, now: UtcMs) -> Result<String> {
        let secret = hex(&random_bytes()?);
        let sql = "INSERT INTO links VALUES (?1, ?2, ?3, ?4)";
        self.db().execute(sql, params![hashed(&secret), user.0, purpose, now.0 + LINK_MS])?;
        Ok(secret)
    }
    /// Whose link it is, if it is good; `take` uses it up.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn link(&self, secret: &str, take: bool, now: UtcMs) -> Result<Option<UserId>> {
        let db = self.db();
        let sql = "SELECT user FROM links WHERE hash = ?1 AND expires_at > ?2";
        let user: Option<u32> = db.query_row(sql, params![hashed(secret), now.0], |r| r.get(0)).optional()?;
        if take {
            db.execute(
                "DELETE FROM links WHERE hash = ?1 OR expires_at <= ?2",
                params![hashed(secret), now.0],
            )?;
        }
        Ok(user.map(UserId))
    }

    /// Opens a session: (cookie secret, CSRF token).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open_session(&self, user: UserId, now: UtcMs) -> Result<(String, String)> {
        let (secret, csrf) = (hex(&random_bytes()?), hex(&random_bytes()?[..16]));
        let db = self.db();
        let sql = "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5)";
        db.execute(sql, params![hashed(&secret), user.0, csrf, now.0, now.0 + SESSION_MS])?;
        db.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now.0])?;
        Ok((secret, csrf))
    }
    /// The session of a cookie, prolonged when half its life is over.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn session(&self, secret: &str, now: UtcMs) -> Result<Option<Session>> {
        let db = self.db();
        let sql = "SELECT user, csrf, expires_at FROM sessions WHERE hash = ?1 AND expires_at > ?2";
        let read = |r: &rusqlite::Row<'_>| {
            Ok(Session { user: UserId(r.get(0)?), csrf: r.get(1)?, expires_at: UtcMs(r.get(2)?) })
        };
        let session = db.query_row(sql, params![hashed(secret), now.0], read).optional()?;
        if session.as_ref().is_some_and(|s| s.expires_at.0 - now.0 < SESSION_MS / 2) {
            let sql = "UPDATE sessions SET expires_at = ?2 WHERE hash = ?1";
            db.execute(sql, params![hashed(secret), now.0 + SESSION_MS])?;
        }
        Ok(session)
    }
    /// Ends a session.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn close_session(&self, secret: &str) -> Result<()> {
        self.db().execute("DELETE FROM sessions WHERE hash = ?1", [hashed(secret)])?;
        Ok(())
    }
    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn close_sessions(&self, user: UserId) -> Result<()> {
        self.db().execute("DELETE FROM sessions WHERE user = ?1", [user.0])?;
        Ok(())
    }

    /// Makes the secret of a token: `rgt_NUMBER_SECRET`, shown once.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn make_token(&self, id: TokenId) -> Result<String> {
        let text = format!("rgt_{}_{}", id.0, hex(&random_bytes()?));
        self.db().execute("INSERT OR REPLACE INTO tokens VALUES (?1, ?2)", params![id.0, hashed(&text)])?;
        Ok(text)
    }
    /// Which token a bearer text is.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn token(&self, text: &str) -> Result<Option<TokenId>> {
        let sql = "SELECT id FROM tokens WHERE hash = ?1";
        Ok(self.db().query_row(sql, [hashed(text)], |r| r.get::<_, u32>(0)).optional()?.map(TokenId))
    }
    /// Forgets a token's secret.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn revoke_token(&self, id: TokenId) -> Result<()> {
        self.db().execute("DELETE FROM tokens WHERE id = ?1", [id.0])?;
        Ok(())
    }
}

/// A fresh text that nobody can guess: 64 hex digits.
///
/// # Errors
/// When the system has no randomness.
pub fn fresh_text() -> Result<String> {
    Ok(hex(&random_bytes()?))
}

fn read_user(row: &rusqlite::Row<'_>) -> rusqlite::Result<UserSecret> {
    Ok(UserSecret {
        id: UserId(row.get(0)?),
        email: row.get(1)?,
        name: row.get(2)?,
        password: row.get(3)?,
        totp: row.get(4)?,
        totp_on: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_erased_person_cannot_be_read_again() {
        let secrets = Secrets::in_memory().unwrap();
        let identity = Identity { name: "Alix Exemple".into(), ..Identity::default() };
        let sealed = secrets.seal(&identity, None, 7).unwrap();
        assert_eq!(sealed.key, PersonKeyId(8), "keys are never numbered again");
        assert!(!sealed.ciphertext_hex.contains(&hex(b"Alix")));
        assert_eq!(secrets.unseal(&sealed).unwrap(), Some(identity));
        assert!(secrets.erase_person(sealed.key).unwrap());
        assert_eq!(secrets.unseal(&sealed).unwrap(), None);
    }
    #[test]
    fn links_work_once_and_sessions_expire() {
        let secrets = Secrets::in_memory().unwrap();
        let now = UtcMs(1_000);
        secrets.add_user(UserId(1), "a@example.org", "A", now).unwrap();
        let link = secrets.make_link(UserId(1), "setup", now).unwrap();
        assert_eq!(secrets.link(&link, true, now).unwrap(), Some(UserId(1)));
        assert_eq!(secrets.link(&link, true, now).unwrap(), None);
        let (cookie, csrf) = secrets.open_session(UserId(1), now).unwrap();
        assert_eq!(secrets.session(&cookie, now).unwrap().map(|s| s.csrf), Some(csrf));
        assert!(secrets.session(&cookie, UtcMs(now.0 + SESSION_MS)).unwrap().is_none());
    }
}
