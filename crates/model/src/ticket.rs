//! The ticket: proof of a decision, and all that billing and learning need of it.
//!
//! Format version 1 (docs/TICKET.md): 128 bytes little-endian, then the first 16 bytes of a keyed BLAKE3
//! over them; base64url without padding in text (192 characters). Holds law D2 (exact propensity) and the
//! keys of law B3 (epoch, window, sequence).

use crate::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PlacementId, SiteId, UtcMs, VersionId,
    booking::TierKind,
    mutation::{self, Mutation},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Bytes of a ticket without its MAC.
pub const TICKET_BYTES: usize = 128;
/// Bytes of the MAC.
pub const MAC_BYTES: usize = 16;
/// Characters of the text form.
pub const TICKET_TEXT_CHARS: usize = (TICKET_BYTES + MAC_BYTES) / 3 * 4;

/// Which event a ticket is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Billing {
    /// Nothing (house ads, flat fees).
    None = 0,
    /// The impression.
    Impression = 1,
    /// The click.
    Click = 2,
    /// The conversion.
    Conversion = 3,
}

/// Coarse class of the visitor's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DeviceClass {
    /// Not known.
    #[default]
    Other = 0,
    /// Desktop or laptop.
    Desktop = 1,
    /// Phone.
    Phone = 2,
    /// Tablet.
    Tablet = 3,
    /// Television.
    Tv = 4,
}
impl DeviceClass {
    /// All classes with their words.
    pub const ALL: [(DeviceClass, &'static str); 5] = [
        (DeviceClass::Other, "other"),
        (DeviceClass::Desktop, "desktop"),
        (DeviceClass::Phone, "phone"),
        (DeviceClass::Tablet, "tablet"),
        (DeviceClass::Tv, "tv"),
    ];
    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }
    /// By its number.
    pub fn from_u8(number: u8) -> DeviceClass {
        Self::ALL.get(number as usize).map_or(DeviceClass::Other, |(d, _)| *d)
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<DeviceClass> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(d, _)| *d)
    }
}

/// The use of a ticket: which decision it stands for, uniquely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId {
    /// Start of the server that issued it; each start takes a new one.
    pub epoch: u32,
    /// Running number within the epoch.
    pub sequence: u64,
}
impl std::fmt::Display for TicketId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}
impl std::str::FromStr for TicketId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(e, s)| Some((e.parse().ok()?, s.parse().ok()?)));
        parts
            .map(|(epoch, sequence)| TicketId { epoch, sequence })
            .ok_or(format!("\"{text}\" is not a decision id (EPOCH-SEQUENCE)"))
    }
}

/// What a decision promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticket {
    /// Which of the server's keys made the MAC.
    pub key_id: u8,
    /// Which decision.
    pub id: TicketId,
    /// When it was issued.
    pub issued_at: UtcMs,
    /// Where.
    pub site: SiteId,
    /// Where.
    pub placement: PlacementId,
    /// Who is billed.
    pub advertiser: AdvertiserId,
    /// What was shown.
    pub campaign: CampaignId,
    /// What was shown.
    pub ad_set: AdSetId,
    /// What was shown.
    pub ad: AdId,
    /// What was shown.
    pub version: VersionId,
    /// Order of service it won in.
    pub tier: TierKind,
    /// Which event is charged.
    pub billing: Billing,
    /// Price of that event, nanos of `currency`; not below zero.
    pub price_nanos: i64,
    /// The account's currency.
    pub currency: Currency,
    /// Rate to the auction currency at the decision, times 10^9.
    pub rate_nanos: i64,
    /// Probability that this version was drawn, given ad set, context and eligible versions: in (0, 1].
    pub propensity: f64,
    /// Predicted rate of the charged event, in (0, 1]; 1 for impressions.
    pub predicted_rate: f32,
    /// First 16 bytes of the creative's hash.
    pub creative: [u8; 16],
    /// Country of the request (ISO 3166-1), zeros when unknown.
    pub country: [u8; 2],
    /// Device class of the request.
    pub device: DeviceClass,
    /// The ad is political.
    pub political: bool,
    /// Inputs of the decision were kept (law D1).
    pub sampled: bool,
    /// Journal position of the catalogue it was decided on.
    pub snapshot: u64,
}

/// Why a ticket was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not of the form of a ticket.
    #[error("not a ticket")]
    Malformed,
    /// A version or key that this server does not know.
    #[error("a ticket of an unknown version or key")]
    Unknown,
    /// The MAC does not fit: forged or damaged.
    #[error("the ticket's seal does not fit")]
    Forged,
}

/// A secret key for tickets, and its number.
#[derive(Clone)]
pub struct TicketKey {
    /// 0 to 255; rises with each rotation.
    pub id: u8,
    /// 32 secret bytes.
    pub secret: [u8; 32],
}

impl Ticket {
    /// The 128 bytes that are sealed, and that events copy.
    pub fn to_bytes(&self) -> [u8; TICKET_BYTES] {
        let mut bytes = [0u8; TICKET_BYTES];
        let mut out = Writer { bytes: &mut bytes, at: 0 };
        let flags = u8::from(self.political) | u8::from(self.sampled) << 1;
        out.put(&[1, self.key_id, self.tier as u8, self.billing as u8, flags, self.device as u8]);
        out.put(&self.country);
        out.put(&self.id.epoch.to_le_bytes());
        out.put(&self.id.sequence.to_le_bytes());
        out.put(&self.issued_at.0.to_le_bytes());
        for id in [
            self.site.0,
            self.placement.0,
            self.advertiser.0,
            self.campaign.0,
            self.ad_set.0,
            self.ad.0,
            self.version.0,
        ] {
            out.put(&id.to_le_bytes());
        }
        out.put(&self.price_nanos.to_le_bytes());
        out.put(&self.rate_nanos.to_le_bytes());
        out.put(&self.propensity.to_le_bytes());
        out.put(&self.predicted_rate.to_le_bytes());
        out.put(&self.currency.0);
        out.put(&[0]);
        out.put(&self.creative);
        out.put(&self.snapshot.to_le_bytes());
        bytes
    }
    /// Reads the 128 bytes back.
    ///
    /// # Errors
    /// [`TicketError::Malformed`] or [`TicketError::Unknown`]; never panics.
    pub fn from_bytes(bytes: &[u8]) -> Result<Ticket, TicketError> {
        if bytes.len() != TICKET_BYTES {
            return Err(TicketError::Malformed);
        }
        if bytes[0] != 1 {
            return Err(TicketError::Unknown);
        }
        let mut reader = Reader { bytes, at: 8 };
        let tier = match bytes[2] {
            0 => TierKind::Sponsorship,
            1 => TierKind::Guaranteed,
            2 => TierKind::Auction,
            3 => TierKind::House,
            _ => return Err(TicketError::Malformed),
        };
        let billing = match bytes[3] {
            0 => Billing::None,
            1 => Billing::Impression,
            2 => Billing::Click,
            3 => Billing::Conversion,
            _ => return Err(TicketError::Malformed),
        };
        let ticket = Ticket {
            key_id: bytes[1],
            tier,
            billing,
            political: bytes[4] & 1 != 0,
            sampled: bytes[4] & 2 != 0,
            device: DeviceClass::from_u8(bytes[5]),
            country: [bytes[6], bytes[7]],
            id: TicketId { epoch: reader.u32(), sequence: reader.u64() },
            issued_at: UtcMs(reader.u64() as i64),
            site: SiteId(reader.u32()),
            placement: PlacementId(reader.u32()),
            advertiser: AdvertiserId(reader.u32()),
            campaign: CampaignId(reader.u32()),
            ad_set: AdSetId(reader.u32()),
            ad: AdId(reader.u32()),
            version: VersionId(reader.u32()),
            price_nanos: reader.u64() as i64,
            rate_nanos: reader.u64() as i64,
            propensity: f64::from_le_bytes(reader.take()),
            predicted_rate: f32::from_le_bytes(reader.take()),
            currency: {
                let [a, b, c, _] = reader.take::<4>();
                Currency([a, b, c])
            },
            creative: reader.take(),
            snapshot: reader.u64(),
        };
        let sound = ticket.price_nanos >= 0 && ticket.propensity > 0.0 && ticket.propensity <= 1.0;
        if sound { Ok(ticket) } else { Err(TicketError::Malformed) }
    }
    /// The text form, sealed with `key` (whose number must be the ticket's `key_id`).
    pub fn seal(&self, key: &TicketKey) -> String {
        let bytes = self.to_bytes();
        let mut sealed = [0u8; TICKET_BYTES + MAC_BYTES];
        sealed[..TICKET_BYTES].copy_from_slice(&bytes);
        sealed[TICKET_BYTES..].copy_from_slice(&mac(&bytes, &key.secret));
        URL_SAFE_NO_PAD.encode(sealed)
    }
    /// Opens a sealed text form with the key of its number.
    ///
    /// # Errors
    /// As [`TicketError`] says; never panics.
    pub fn open(text: &str, keys: &[TicketKey]) -> Result<Ticket, TicketError> {
        let mut sealed = [0u8; TICKET_BYTES + MAC_BYTES];
        if text.len() != TICKET_TEXT_CHARS {
            return Err(TicketError::Malformed);
        }
        let count = URL_SAFE_NO_PAD.decode_slice(text, &mut sealed).map_err(|_| TicketError::Malformed)?;
        if count != sealed.len() {
            return Err(TicketError::Malformed);
        }
        let (bytes, given) = sealed.split_at(TICKET_BYTES);
        let key = keys.iter().find(|k| k.id == bytes[1]).ok_or(TicketError::Unknown)?;
        let wanted = mac(bytes, &key.secret);
        let differs = wanted.iter().zip(given).fold(0u8, |d, (a, b)| d | (a ^ b));
        if differs != 0 && !mutation::on(Mutation::AcceptForged) {
            return Err(TicketError::Forged);
        }
        Ticket::from_bytes(bytes)
    }
    /// The country as text, empty when unknown.
    pub fn country_text(&self) -> &str {
        if self.country == [0, 0] { "" } else { std::str::from_utf8(&self.country).unwrap_or("") }
    }
}

fn mac(bytes: &[u8], secret: &[u8; 32]) -> [u8; MAC_BYTES] {
    let full = blake3::keyed_hash(secret, bytes);
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(&full.as_bytes()[..MAC_BYTES]);
    short
}

struct Writer<'a> {
    bytes: &'a mut [u8; TICKET_BYTES],
    at: usize,
}
impl Writer<'_> {
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}
impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        part
    }
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> Ticket {
        Ticket {
            key_id: 3,
            id: TicketId { epoch: 7, sequence: 99 },
            issued_at: UtcMs(1_790_000_000_123),
            site: SiteId(1),
            placement: PlacementId(2),
            advertiser: AdvertiserId(3),
            campaign: CampaignId(4),
            ad_set: AdSetId(5),
            ad: AdId(6),
            version: VersionId(7),
            tier: TierKind::Auction,
            billing: Billing::Click,
            price_nanos: 250_000_000,
            currency: Currency::EUR,
            rate_nanos: 1_000_000_000,
            propensity: 0.25,
            predicted_rate: 0.01,
            creative: [9; 16],
            country: *b"FR",
            device: DeviceClass::Phone,
            political: true,
            sampled: false,
            snapshot: 1234,
        }
    }
    fn key() -> TicketKey {
        TicketKey { id: 3, secret: [5; 32] }
    }

    #[test]
    fn round_trips_and_refuses_every_changed_bit() {
        let text = ticket().seal(&key());
        assert_eq!(text.len(), TICKET_TEXT_CHARS);
        assert_eq!(Ticket::open(&text, &[key()]), Ok(ticket()));
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Ticket::open(&changed, &[key()]).is_err(), "character {index}");
        }
        for cut in 0..text.len() {
            assert_eq!(Ticket::open(&text[..cut], &[key()]), Err(TicketError::Malformed));
        }
        assert_eq!(Ticket::open(&text, &[]), Err(TicketError::Unknown));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in ".{0,300}") {
            let _ = Ticket::open(&text, &[key()]);
        }
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Ticket::from_bytes(&bytes);
        }
    }
}
