//! SHA-256 as RFC 6962, section 2.1, uses it: leaves and nodes are hashed apart, so that none can pass for the other.
//!
//! Refuses to be anything but 32 bytes. A commitment to a content is the hash of its salt and the content together: whoever
//! has the object can check it, and nobody can guess a short content from the hash alone.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The plain SHA-256 of bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
    /// The root of the empty tree: the hash of nothing (RFC 6962, section 2.1).
    pub fn empty_root() -> Hash {
        Hash::of(&[])
    }
    /// Standard Base64 with padding, as notes and proofs write it.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }
    /// Reads [`Hash::to_base64`]; `None` for anything else, a second spelling of the same bytes included.
    pub fn from_base64(text: &str) -> Option<Hash> {
        let bytes = STANDARD.decode(text).ok()?;
        Some(Hash(bytes.try_into().ok()?)).filter(|hash| hash.to_base64() == text)
    }
    /// 64 lower-case hexadecimal digits, as file names have it.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
    /// Reads [`Hash::to_hex`]; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Hash> {
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(lower) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Hash(bytes))
    }
}
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}
impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Hash::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("a hash is 64 lower-case hexadecimal digits"))
    }
}

/// The hash of a leaf: SHA-256(0x00 || leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(leaf);
    Hash(hasher.finalize().into())
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// The object of a content that may have to be withheld: salt || content. Its name, and the commitment in the leaf, is
/// [`Hash::of`] the object.
pub fn object_of(salt: &[u8; SALT_BYTES], content: &[u8]) -> (Hash, Vec<u8>) {
    let mut object = Vec::with_capacity(SALT_BYTES + content.len());
    object.extend_from_slice(salt);
    object.extend_from_slice(content);
    (Hash::of(&object), object)
}

/// The content of an object, if the object is the one that `commitment` names.
pub fn content_of(commitment: Hash, object: &[u8]) -> Option<&[u8]> {
    (Hash::of(object) == commitment).then_some(())?;
    object.get(SALT_BYTES..)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn texts_of_a_hash_have_one_spelling() {
        let hash = Hash::of(b"x");
        assert_eq!(Hash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(Hash::from_base64(&hash.to_base64()), Some(hash));
        assert_eq!(Hash::from_hex(&hash.to_hex().to_uppercase()), None);
        assert_eq!(Hash::from_base64(hash.to_base64().trim_end_matches('=')), None);
    }
    #[test]
    fn a_changed_salt_or_content_is_another_object() {
        let (name, object) = object_of(&[7; 32], b"Alix Exemple");
        assert_eq!(content_of(name, &object), Some(b"Alix Exemple".as_slice()));
        let mut other = object.clone();
        other[0] ^= 1;
        assert_eq!(content_of(name, &other), None);
        assert_ne!(name, object_of(&[8; 32], b"Alix Exemple").0);
    }
}
