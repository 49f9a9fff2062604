//! Accounts that are billed, and the persons or organisations behind an ad.

use super::check_amount;
use crate::{
    AdvertiserId, Currency, Faults, Micros, Zone,
    limits::*,
    personal::{Identity, Sealed},
};
use serde::{Deserialize, Serialize};

/// How an account pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Funding {
    /// Spends what was paid in.
    Prepaid,
    /// Is billed later, up to a limit of unpaid charges (itself a budget, law B1).
    Credit {
        /// Micros of the account's currency.
        limit_micros: Micros,
    },
}

/// Pixel conversions are not authenticated: an advertiser must accept them, with a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelConversions {
    /// At most so many are billed in one account-zone day.
    pub daily_count_max: u32,
}

/// An account that books and is billed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvertiserSpec {
    /// Its name.
    pub name: String,
    /// Never changes once a campaign is booked.
    pub currency: Currency,
    /// Zone of its days and invoices. Never changes once a campaign is booked.
    pub zone: Zone,
    /// How it pays.
    pub funding: Funding,
    /// Categories of what it advertises (for blocking and competitive separation).
    #[serde(default)]
    pub categories: Vec<String>,
    /// Accepts unauthenticated pixel conversions for billing, up to a daily cap.
    #[serde(default)]
    pub pixel_conversions: Option<PixelConversions>,
    /// Lines of the invoice address.
    #[serde(default)]
    pub invoice_address: String,
}
impl AdvertiserSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        faults.optional_text("invoice_address", &self.invoice_address, TEXT_CHARS_MAX);
        if let Funding::Credit { limit_micros } = self.funding {
            check_amount("funding.limit_micros", limit_micros.0, 0, faults);
        }
        for (index, category) in self.categories.iter().enumerate() {
            faults.text(&format!("categories[{index}]"), category, NAME_CHARS_MAX);
        }
    }
}

/// A natural person or an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// A natural person.
    Person,
    /// A company, party, association or authority.
    Organisation,
}

/// A sponsor or payer as a person writes it. The identity is sealed before anything is journalled (law J1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartySpec {
    /// Person or organisation.
    pub kind: PartyKind,
    /// Whose party it is: that advertiser may see, use and edit it. None: the publisher's.
    #[serde(default)]
    pub advertiser: Option<AdvertiserId>,
    /// By what it can be named.
    pub identity: Identity,
    /// Where it is established: ISO 3166-1 alpha-2.
    pub established_in: String,
    /// Union citizen, resident with voting rights, or Union-established and not controlled from a third country
    /// (Regulation (EU) 2024/900, Art. 5), as declared.
    #[serde(default)]
    pub may_sponsor_before_votes: bool,
}
impl PartySpec {
    /// Adds every fault found. `political`: all that a transparency notice needs is required.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("identity.name", &self.identity.name, NAME_CHARS_MAX);
        faults.optional_text("identity.email", &self.identity.email, NAME_CHARS_MAX);
        let mail = &self.identity.email;
        let odd = !mail.is_empty() && (!mail.contains('@') || mail.contains(char::is_whitespace));
        faults.when(
            odd,
            "identity.email",
            "malformed",
            "Write an e-mail address, such as office@example.org.",
        );
        faults.optional_text("identity.postal_address", &self.identity.postal_address, TEXT_CHARS_MAX);
        faults.optional_text("identity.controller", &self.identity.controller, NAME_CHARS_MAX);
        faults.optional_text("identity.register_id", &self.identity.register_id, NAME_CHARS_MAX);
        let country = &self.established_in;
        let fits = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        faults.when(
            !fits,
            "established_in",
            "malformed",
            "The country of establishment, two letters such as FR.",
        );
    }
    /// What a political transparency notice (Art. 12(1)a and b) still lacks, by field.
    pub fn political_gaps(&self) -> Vec<String> {
        let facts = [("identity.name", &self.identity.name), ("identity.email", &self.identity.email)];
        facts
            .iter()
            .filter(|(_, text)| text.trim().is_empty())
            .map(|(field, _)| (*field).to_owned())
            .collect()
    }
}

/// The same party as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedParty {
    /// Person or organisation.
    pub kind: PartyKind,
    /// Whose party it is; none: the publisher's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertiser: Option<AdvertiserId>,
    /// [`Identity`] as JSON, encrypted.
    pub identity: Sealed,
    /// Where it is established.
    pub established_in: String,
    /// As declared.
    pub may_sponsor_before_votes: bool,
    /// What a political notice lacks, found before sealing.
    #[serde(default)]
    pub political_gaps: Vec<String>,
}
