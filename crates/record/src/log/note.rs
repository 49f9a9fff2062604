//! Signed notes (C2SP signed-note): text, and who signed it.
//!
//! A line by an unknown key is ignored; one by a known key must verify, or the whole note is refused (section
//! "Signatures"). Only Ed25519 is implemented: signature type 0x01 here, 0x04 in [`super::cosignature`]. Refuses control
//! characters, more than [`SIGNATURES_MAX`] lines, and two lines by one known key.

use super::hash::Hash;
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;

/// Signature lines of a note at most.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of a note at most.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Signature type of a log's own Ed25519 signature.
pub const TYPE_ED25519: u8 = 0x01;
/// Signature type of a timestamped Ed25519 cosignature.
pub const TYPE_COSIGNATURE: u8 = 0x04;

/// Why a note is none, or proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the format.
    #[error("this is no signed note: {0}")]
    Malformed(&'static str),
    /// A key's text that is none.
    #[error("this is no verifier key (name+id+key): {0}")]
    Key(&'static str),
    /// Nobody known signed it.
    #[error("no key that you trust has signed this note")]
    Unsigned,
    /// Somebody known did not sign this text.
    #[error("the signature of {0} does not fit the text")]
    Forged(String),
}

/// Whether a name may be a key's: not empty, without white space and plus sign.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A public key with its name and type, written `name+id+base64(type || key)` (section "Verifier keys").
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: u8,
    key: VerifyingKey,
}
impl VerifierKey {
    /// Of its parts.
    ///
    /// # Errors
    /// A name that is none; bytes that are no point.
    pub fn new(name: &str, kind: u8, key: &[u8; 32]) -> Result<VerifierKey, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Key("the name is empty, or has white space or a plus sign"));
        }
        if kind != TYPE_ED25519 && kind != TYPE_COSIGNATURE {
            return Err(NoteError::Key("only Ed25519 keys (types 1 and 4) are known"));
        }
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key("the key is no Ed25519 point"))?;
        if key.is_weak() {
            return Err(NoteError::Key("the key is a weak point: anything would seem signed by it"));
        }
        Ok(VerifierKey { name: name.to_owned(), kind, key })
    }
    /// Reads the text form.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<VerifierKey, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has three parts, joined by plus signs"));
        };
        let bytes = STANDARD.decode(key).map_err(|_| NoteError::Key("the key is no Base64"))?;
        let (kind, key) = bytes.split_first().ok_or(NoteError::Key("the key is empty"))?;
        let key: &[u8; 32] = key.try_into().map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let parsed = VerifierKey::new(name, *kind, key)?;
        if parsed.to_string() != text || format!("{:08x}", parsed.id()) != id {
            return Err(NoteError::Key("the id does not fit name and key"));
        }
        Ok(parsed)
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Its signature type.
    pub fn kind(&self) -> u8 {
        self.kind
    }
    /// First four bytes of SHA-256(name || newline || type || key).
    pub fn id(&self) -> u32 {
        key_id(&self.name, self.kind, &self.key)
    }
    /// The public key's 32 bytes.
    pub fn public_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }
    /// Whether 64 bytes are this key's signature of a message, by the strict rules (no malleable signatures).
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.key.verify_strict(message, &s).is_ok())
    }
}
fn key_id(name: &str, kind: u8, key: &VerifyingKey) -> u32 {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.push(kind);
    bytes.extend_from_slice(key.as_bytes());
    let hash = Hash::of(&bytes);
    u32::from_be_bytes([hash.0[0], hash.0[1], hash.0[2], hash.0[3]])
}
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}
impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A private key with its name. Never journalled, never shown (law J1).
#[derive(Clone)]
pub struct Signatory {
    name: String,
    kind: u8,
    key: SigningKey,
}
impl Signatory {
    /// Of 32 secret bytes.
    ///
    /// # Errors
    /// A name that is none, a type that is unknown.
    pub fn new(name: &str, kind: u8, seed: &[u8; 32]) -> Result<Signatory, NoteError> {
        let key = SigningKey::from_bytes(seed);
        VerifierKey::new(name, kind, &key.verifying_key().to_bytes())?;
        Ok(Signatory { name: name.to_owned(), kind, key })
    }
    /// Its public half.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), kind: self.kind, key: self.key.verifying_key() }
    }
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
    /// The signature line of a text (type 0x01).
    pub fn line(&self, text: &str) -> SignatureLine {
        let signature = self.sign_bytes(text.as_bytes()).to_vec();
        SignatureLine { name: self.name.clone(), key_id: self.verifier().id(), signature }
    }
}
impl fmt::Debug for Signatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signatory({})", self.name)
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// Name of the key.
    pub name: String,
    /// Its id.
    pub key_id: u32,
    /// What follows the id.
    pub signature: Vec<u8>,
}
impl SignatureLine {
    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(line: &str) -> Result<SignatureLine, NoteError> {
        let rest =
            line.strip_prefix("— ").ok_or(NoteError::Malformed("a signature line begins with a dash"))?;
        let (name, signature) = rest
            .split_once(' ')
            .ok_or(NoteError::Malformed("a signature line has a name and a signature"))?;
        let bytes =
            STANDARD.decode(signature).map_err(|_| NoteError::Malformed("a signature is no Base64"))?;
        let (id, signature) =
            bytes.split_at_checked(4).ok_or(NoteError::Malformed("a signature is too short"))?;
        if !is_key_name(name) || signature.is_empty() {
            return Err(NoteError::Malformed("a signature line without a name or a signature"));
        }
        let key_id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
        Ok(SignatureLine { name: name.to_owned(), key_id, signature: signature.to_vec() })
    }
    /// Whether it claims to be by this key.
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.key_id == key.id() && self.name == key.name
    }
}
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text with signature lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, its last newline included.
    pub text: String,
    /// Lines, in order.
    pub signatures: Vec<SignatureLine>,
}
impl Note {
    /// A text signed by some.
    ///
    /// # Errors
    /// A text that cannot be a note's.
    pub fn sign(text: &str, by: &[&Signatory]) -> Result<Note, NoteError> {
        check_text(text)?;
        Ok(Note { text: text.to_owned(), signatures: by.iter().map(|s| s.line(text)).collect() })
    }
    /// Reads a note. Nothing in it is to be believed before [`Note::verify`].
    ///
    /// # Errors
    /// [`NoteError::Malformed`]; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Malformed("it is larger than 1 MiB"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        let split =
            whole.rfind("\n\n").ok_or(NoteError::Malformed("it has no empty line before signatures"))?;
        let (text, lines) = (&whole[..=split], &whole[split + 2..]);
        check_text(text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("it does not end with a newline"))?;
        let signatures: Vec<SignatureLine> =
            lines.split('\n').map(SignatureLine::parse).collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Malformed("it has more than 64 signatures"));
        }
        Ok(Note { text: text.to_owned(), signatures })
    }
    /// Whose signatures (type 0x01) stand under it, of the keys that are trusted.
    ///
    /// # Errors
    /// [`NoteError::Forged`] when a known key's line does not verify or stands twice; [`NoteError::Unsigned`] when there
    /// is none.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut by = Vec::new();
        for key in known.iter().filter(|key| key.kind == TYPE_ED25519) {
            let mut lines = self.signatures.iter().filter(|line| line.is_by(key));
            let Some(line) = lines.next() else { continue };
            if lines.next().is_some() || !key.has_signed(self.text.as_bytes(), &line.signature) {
                return Err(NoteError::Forged(key.name.clone()));
            }
            by.push(key);
        }
        if by.is_empty() { Err(NoteError::Unsigned) } else { Ok(by) }
    }
}
fn check_text(text: &str) -> Result<(), NoteError> {
    if text.is_empty() || !text.ends_with('\n') {
        return Err(NoteError::Malformed("its text does not end with a newline"));
    }
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Malformed("it has control characters"));
    }
    Ok(())
}
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
