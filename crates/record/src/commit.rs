//! Salted commitments: what a leaf says of a part that may have to be withheld later (law R3).
//!
//! An object is 32 random bytes, then the content. Its name, and the commitment in the leaf, is the SHA-256 of the whole
//! object. Whoever holds the object can check it with one hash; once object and salt are deleted, the commitment says
//! nothing of the content, not even to somebody who guesses it. Refuses randomness of its own: salts are arguments.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

/// SHA-256 of bytes. 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sha256Hash(pub [u8; 32]);
impl Sha256Hash {
    /// Hash of bytes.
    pub fn of(bytes: &[u8]) -> Sha256Hash {
        Sha256Hash(Sha256::digest(bytes).into())
    }
    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Sha256Hash> {
        let digits = text.as_bytes();
        let fits = digits.len() == 64 && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !fits {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok())?;
        }
        Some(Sha256Hash(hash))
    }
}
impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Sha256Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Sha256Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || serde::de::Error::custom("a SHA-256 hash is 64 lower-case hex digits");
        Sha256Hash::parse(&text).ok_or_else(wrong)
    }
}

/// A content under its salt: what is stored outside the tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Name and commitment.
    pub hash: Sha256Hash,
    /// Salt, then content.
    pub bytes: Vec<u8>,
}
impl Object {
    /// Seals a content under a salt. The salt must be random and new: a salt used twice, or a known one, lets contents
    /// be guessed after they were withheld.
    pub fn new(salt: [u8; SALT_BYTES], content: &[u8]) -> Object {
        let mut bytes = Vec::with_capacity(SALT_BYTES + content.len());
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(content);
        Object { hash: Sha256Hash::of(&bytes), bytes }
    }
    /// The content of an object's bytes, if they are what the commitment says.
    pub fn open(hash: Sha256Hash, bytes: &[u8]) -> Option<&[u8]> {
        (Sha256Hash::of(bytes) == hash).then(|| bytes.get(SALT_BYTES..)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_opens_with_its_object_and_nothing_else() {
        let object = Object::new([7; 32], b"Alix Exemple");
        assert_eq!(Object::open(object.hash, &object.bytes), Some(&b"Alix Exemple"[..]));
        assert_ne!(Object::new([8; 32], b"Alix Exemple").hash, object.hash, "the salt counts");
        let mut changed = object.bytes.clone();
        changed[40] ^= 1;
        assert_eq!(Object::open(object.hash, &changed), None);
        assert_eq!(Object::open(Sha256Hash::of(b"short"), b"short"), None);
        assert_eq!(Sha256Hash::parse(&object.hash.to_string()), Some(object.hash));
        assert_eq!(Sha256Hash::parse(&object.hash.to_string().to_uppercase()), None);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256Hash::of(b"").to_string(), empty);
    }
}
