//! Personal data in the journal is only ciphertext (law J1): these are its envelopes.
//!
//! The key of each person is kept apart, outside the journal; erasure destroys the key and is itself
//! an event. This room neither encrypts nor decrypts: it says what is sealed and where it may stand.

use crate::PersonKeyId;
use serde::{Deserialize, Serialize};

/// Encrypted bytes (XChaCha20-Poly1305: 24-byte nonce, then ciphertext) under a person's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Whose key opens it.
    pub key: PersonKeyId,
    /// Nonce and ciphertext, base 16.
    pub ciphertext_hex: String,
}

/// Who a sponsor or payer is: everything by which a person can be named. Sealed before it is journalled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Full name of the person or legal name of the organisation.
    pub name: String,
    /// Contact e-mail (TTPA Art. 12(1)a).
    #[serde(default)]
    pub email: String,
    /// Postal address, where public (TTPA Art. 12(1)a).
    #[serde(default)]
    pub postal_address: String,
    /// Who ultimately controls the party, where somebody else does.
    #[serde(default)]
    pub controller: String,
    /// Public register and number (company register, party register), where there is one.
    #[serde(default)]
    pub register_id: String,
}
